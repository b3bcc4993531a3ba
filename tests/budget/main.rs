//! What the agent costs: system calls, wake-ups, packets, bytes and allocations of a beat, and its
//! memory over many of them.
//!
//! What can be counted exactly is held to `bounds.txt`. Times are printed and held to nothing: they
//! say as much about the machine.

#[cfg(test)]
mod camera;
#[cfg(test)]
mod ledger;
#[cfg(test)]
mod steady;
