//! The real binary in network namespaces that each test makes and removes.
//!
//! They need root, or a user namespace: `scripts/test netns` sees to it. A time-out here only ends
//! a test that has failed; how fast things are is the benchmark's to say.

#[cfg(test)]
mod blips;
#[cfg(test)]
mod camera;
#[cfg(test)]
mod crowds;
#[cfg(test)]
mod elsewhere;
#[cfg(test)]
mod examples;
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
