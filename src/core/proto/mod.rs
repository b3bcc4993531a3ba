//! The core: every decision, no socket, no clock, no allocation.

pub mod agent;
mod backoff;
mod delivery;
mod demand;
pub mod event;
mod gateways;
mod global;
pub mod history;
pub mod label;
pub mod link;
pub mod links;
pub mod moderation;
mod network;
pub mod outages;
mod promise;
mod race;
pub mod reach;
pub mod resolve;
pub mod rng;
pub mod route;
pub mod routing;
mod schedule;
pub mod services;
pub mod settings;
pub mod time;
pub mod uplink;
pub mod wall;
