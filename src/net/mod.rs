//! Sockets to the server, the nameservers and local helpers: mechanism, no decision.

pub mod connection;
pub mod device_info;
mod dial;
pub mod local;
pub mod notify;
pub mod probe;
pub mod resolver;
pub mod tls;
pub mod watch;
