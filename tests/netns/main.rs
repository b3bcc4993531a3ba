//! The real binary in network namespaces that each test makes and removes.
//!
//! They need root, or a user namespace: `scripts/test netns` sees to it.

#[cfg(test)]
mod rtnetlink;
#[cfg(test)]
mod world;
