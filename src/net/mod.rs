//! Sockets to the server, the nameservers and local helpers: mechanism, no decision.

mod dial;
pub mod probe;
