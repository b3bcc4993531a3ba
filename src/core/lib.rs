//! The core of linkbeat: the part that needs no operating system.
//!
//! [`proto`] makes every decision and [`wire`] reads and writes every byte format. Neither has a
//! socket, a clock, an allocator or a log: the agent passes in each event and performs the actions
//! that are returned. The simulation (`tests/sim`) and the fuzz targets run this crate alone.
#![cfg_attr(not(test), no_std)]

#[macro_use]
mod words;

pub mod proto;
pub mod wire;
