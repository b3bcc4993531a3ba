//! The real binary as a guest: beside the web manager of a camera, for which programs stand in, and in a
//! directory that belongs to it.
//!
//! The tests need root or a user namespace, which `scripts/test guest` sets up.

#[cfg(test)]
mod device;
#[cfg(test)]
mod directory;
#[cfg(test)]
mod listen;
#[cfg(test)]
mod migration;
