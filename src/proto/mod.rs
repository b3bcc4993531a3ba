//! The core: every decision, no socket, no clock, no allocation.

pub mod event;
pub mod link;
pub mod settings;
pub mod time;
