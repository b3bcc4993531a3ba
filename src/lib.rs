//! Presence agent for cameras.
#![doc = include_str!("DESIGN.md")]

pub mod proto;
