//! Descriptors that only Linux has, owned, non-blocking and close-on-exec.
//!
//! Every source has a `drain` that reads until the kernel has no more, or until its budget is used
//! up, and is made for edge-triggered polling: readiness is a hint, and reading too often is free.
//!
//! System errors end here and in `net`: `EINTR` is retried, `EWOULDBLOCK` ends a `drain`, a full
//! netlink queue means "ask for everything again", and what the network did to a socket becomes a
//! [`Failure`](linkbeat_core::proto::event::Failure) through [`failure_of`].

pub mod addresses;
pub mod atomic_file;
pub mod bind;
pub mod clock;
pub mod eventfd;
mod failure;
pub mod file;
pub mod inotify;
pub mod neighbours;
pub mod netlink;
pub mod random;
pub mod readiness;
pub mod routes;
pub mod sandbox;
pub mod signals;
pub mod tcp_table;
pub mod timerfd;

pub use self::failure::failure_of;
