//! `status_listen`: where the status server is to listen.

use std::fmt::{self, Display};

use super::json_file::Allowed;
use super::keys::socket_path;
use crate::net::local::Listen;

/// The place where the status server listens; `Display` is how the files have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StatusListen {
    /// At the usual port, unless that belongs to another program.
    Auto,
    /// Nowhere.
    Off,
    /// There.
    At(Listen),
}

impl Display for StatusListen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Off => f.write_str("off"),
            Self::At(listen) => listen.fmt(f),
        }
    }
}

pub(super) fn parse(text: &str) -> Result<StatusListen, Allowed> {
    match text {
        "auto" => return Ok(StatusListen::Auto),
        "" => return Ok(StatusListen::Off),
        _ => {}
    }
    if let Some(path) = text.strip_prefix("unix:") {
        let path = socket_path(path)?.ok_or(Allowed::Text("a path behind unix:"))?;
        return Ok(StatusListen::At(Listen::Socket(path)));
    }
    let allowed = Allowed::Text(
        "auto, an address with port, 127.0.0.1:5000 or [::1]:5000, unix: and a path, or \"\"",
    );
    text.parse().map(|address| StatusListen::At(Listen::Address(address))).map_err(|_| allowed)
}
