//! Descriptors that only Linux has, owned, non-blocking and close-on-exec.
