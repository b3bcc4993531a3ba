//! Bytes in and out: HTTP, JSON, DNS and rtnetlink, no socket and no allocation.

pub mod date;
pub mod dns;
pub mod escaped;
pub mod http_server;
pub mod json;
pub mod line;
pub mod metrics;
pub mod outcome;
pub mod percent;
pub mod report;
pub mod request;
pub mod resolv_conf;
pub mod response;
pub mod rtnetlink;
pub mod state_file;
