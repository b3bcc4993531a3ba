//! The core of linkbeat: what needs no operating system.
//!
//! [`proto`] makes every decision and [`wire`] reads and writes every byte format. Neither has a socket, a
//! clock, an allocator or a log: the agent passes in what happened and performs what is returned.
//! The simulation (`tests/sim`) and the fuzz targets run this crate alone.
#![cfg_attr(not(test), no_std)]

#[macro_use]
mod words;

pub mod proto;
pub mod wire;
