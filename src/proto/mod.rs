//! The core: every decision, no socket, no clock, no allocation.

pub mod agent;
pub mod backoff;
pub mod event;
pub mod gateways;
pub mod history;
mod label;
pub mod link;
pub mod links;
pub mod moderation;
pub mod race;
pub mod reach;
pub mod resolve;
pub mod rng;
pub mod routing;
pub mod schedule;
pub mod services;
pub mod settings;
pub mod time;
pub mod uplink;
pub mod wall;
