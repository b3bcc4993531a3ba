//! The costs of the agent: system calls, wake-ups, packets, bytes and allocations of a beat, and
//! its memory over many beats.
//!
//! Exact counts are checked against `bounds.txt`. Times are printed only, because they depend on
//! the machine. `LINKBEAT=FILE` selects another binary than that of this build, `BEATS=100000` the
//! number of beats in the test for growth, `SOAK_MINUTES=60` how long the network misbehaves in
//! the test under weather.

#[cfg(test)]
mod allocations;
#[cfg(test)]
mod camera;
#[cfg(test)]
mod growth;
#[cfg(test)]
mod history;
#[cfg(test)]
mod ledger;
#[cfg(test)]
mod memory;
#[cfg(test)]
mod month;
#[cfg(test)]
mod soak;
#[cfg(test)]
mod steady;
