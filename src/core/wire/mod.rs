//! Encoding and decoding of bytes: HTTP, JSON, DNS, rtnetlink and files. No module here opens a
//! socket or allocates.

pub mod base64;
pub mod buffer;
pub mod certificate;
pub mod cut;
pub mod date;
mod digest;
pub mod dns;
pub mod escaped;
pub mod http_server;
pub mod json;
pub mod line;
pub mod metrics;
pub mod outcome;
pub mod pem;
pub mod percent;
pub mod report;
pub mod request;
pub mod resolv_conf;
pub mod response;
pub mod rtnetlink;
pub mod state_file;
