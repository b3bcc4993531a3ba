//! The surroundings of the agent in tests and in the demo: a server, a nameserver, a network.
//!
//! The code here may use threads and block. It panics if a part of the surroundings cannot be made,
//! because a test without them proves nothing. Nothing sleeps: a test waits for the event that it
//! needs, with a time limit, on a [`journal`].

pub mod acceptor;
pub mod agent;
pub mod certificates;
pub mod clock;
pub mod helper;
pub mod journal;
pub mod middlebox;
pub mod nameserver;
pub mod observer;
pub mod receiver;
pub mod space;
pub mod world;
