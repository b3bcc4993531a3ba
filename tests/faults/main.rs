//! The agent while its kernel fails: strace makes its system calls fail, one by one and for a time.
//!
//! After a fault the agent is well again or has ended with a message and the code of a system error,
//! for its supervisor to start it. It does not spin, does not panic, and loses no trigger. A short
//! selection runs always; `FAULTS=all` has each call that it makes with every error, and writes RESULTS.md here.

#[cfg(test)]
mod binding;
#[cfg(test)]
mod entropy;
#[cfg(test)]
mod selection;
#[cfg(test)]
mod sweep;
#[cfg(test)]
mod traced;
