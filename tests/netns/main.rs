//! The real binary in network namespaces that each test makes and removes.
//!
//! They need root or a user namespace, which `scripts/test netns` sets up. A time-out here only
//! ends a failed test; speed is measured by the benchmark.

#[cfg(test)]
mod blips;
#[cfg(test)]
mod camera;
#[cfg(test)]
mod clock;
#[cfg(test)]
mod crowds;
#[cfg(test)]
mod elsewhere;
#[cfg(test)]
mod examples;
#[cfg(test)]
mod goodbye;
#[cfg(test)]
mod links;
#[cfg(test)]
mod names;
#[cfg(test)]
mod outages;
#[cfg(test)]
mod policy;
#[cfg(test)]
mod portals;
#[cfg(test)]
mod preference;
#[cfg(test)]
mod process;
#[cfg(test)]
mod reported;
#[cfg(test)]
mod reserve;
#[cfg(test)]
mod round_trips;
#[cfg(test)]
mod rtnetlink;
#[cfg(test)]
mod scenes;
#[cfg(test)]
mod server;
#[cfg(test)]
mod services;
#[cfg(test)]
mod shapes;
#[cfg(test)]
mod stale;
#[cfg(test)]
mod triggers;
#[cfg(test)]
mod ways;
#[cfg(test)]
mod words;
#[cfg(test)]
mod world;
