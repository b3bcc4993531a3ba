//! Receiver, nameserver and network namespaces for the tests and the demo of linkbeat.
