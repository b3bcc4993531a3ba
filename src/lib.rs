//! Presence agent for cameras: an HTTP heartbeat every 30 s, and at once when the network is back.
//!
//! To be read in this order:
//!
//! 1. [Design](_design): why the agent is built as it is.
//! 2. [Wire contract](_wire): what it sends, reads and shows, for servers, scripts and helpers.
//! 3. The code, from the top of the dependencies down: [`cli`] parses the command line and
//!    [`event_loop`] runs the agent; [`config`] reads the files, [`status`] and [`page`] show the
//!    state, [`logger`] and [`error`] report; [`net`] and [`sys`] own sockets and descriptors;
//!    `wire` reads and writes every byte format; `proto` decides, without sockets and clocks.

/// Chapter 1: the design.
#[cfg(doc)]
#[doc = include_str!("DESIGN.md")]
/// Next chapter: [the wire contract](_wire).
pub mod _design {}

/// Chapter 2: the contract with everything outside.
#[cfg(doc)]
#[doc = include_str!("WIRE.md")]
/// Next: [the modules](crate).
pub mod _wire {}

pub mod cli;
pub mod config;
pub mod error;
pub mod event_loop;
pub mod logger;
pub mod net;
pub mod page;
#[cfg(test)]
mod scratch;
pub mod status;
pub mod sys;
