//! Sockets to the server, the nameservers and local helpers: mechanism, no decision.

pub mod connection;
mod dial;
pub mod facts;
pub mod local;
pub mod notify;
mod place;
pub mod probe;
pub mod resolver;
pub mod status;
pub mod tls;
pub mod trigger;
pub mod watch;
