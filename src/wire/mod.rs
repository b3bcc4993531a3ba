//! Bytes in and out: HTTP, JSON, DNS and rtnetlink, no socket and no allocation.

pub mod date;
pub mod dns;
pub mod json;
pub mod report;
pub mod request;
pub mod resolv_conf;
pub mod response;
pub mod rtnetlink;
