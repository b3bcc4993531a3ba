//! Presence agent for cameras.
#![doc = include_str!("DESIGN.md")]

pub mod cli;
pub mod config;
pub mod error;
pub mod event_loop;
pub mod logger;
pub mod net;
pub mod page;
pub mod proto;
pub mod status;
pub mod sys;
pub mod wire;
