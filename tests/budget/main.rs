//! What the agent costs: system calls, wake-ups, packets, bytes and allocations of a beat, and its
//! memory over many of them.
//!
//! What can be counted exactly is held to `bounds.txt`. Times are printed and held to nothing: they
//! say as much about the machine. `LINKBEAT=FILE` names another binary to measure than that of this
//! build, `BEATS=100000` a number of beats to look for growth in.

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
mod steady;
