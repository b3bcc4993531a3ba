//! The real binary beside real servers as distributions ship them, each test in its own network
//! namespaces.
//!
//! The reference programs (getaddrinfo, curl) run in the same network with the same files. The
//! tests need root or a user namespace, and the packages; `scripts/test field` sets up both.

#[cfg(test)]
mod daemon;
#[cfg(test)]
mod http;
#[cfg(test)]
mod names;
#[cfg(test)]
mod tls;
