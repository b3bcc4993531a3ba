//! What the tests and the demo put around the agent: a server, a nameserver, a network, a watch.
//!
//! Everything here may use threads and block; a thing that cannot be made panics, because a test
//! without its surroundings proves nothing. Nothing sleeps: a test waits for what it wants to see,
//! with a limit, through a [`journal`].

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
