//! The findings of `linkbeat check` on a device that has the web manager on it.

use std::fmt::{self, Display, Write};
use std::path::Path;

use crate::config::manager::WebManager;
use crate::config::{Config, Listen, StatusListen};
use linkbeat_core::proto::settings::Host;

/// The port of the web manager.
const PORT: u16 = 5000;
/// The server that a master reset of the web manager writes into its files.
const RESET_HOST: &str = "meeting.example.com";

/// A finding about the configuration. `Display` is a sentence with what to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Finding<'a> {
    /// Both are silenced by the file that they share.
    Silent {
        /// The path of `linkbeat.json`.
        own: &'a Path,
    },
    /// The status server has the port of the web manager.
    Port(&'a Listen),
    /// The server is that of a reset.
    Reset,
    /// Nothing is set that would verify a certificate of the server's own.
    Certificate,
}

impl Display for Finding<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Silent { own } => write!(
                f,
                "\"enabled\": false silences the web manager and linkbeat: set it to true in {}",
                own.display()
            ),
            Self::Port(listen) => write!(
                f,
                "status_listen {listen} keeps the web manager from its port: set it to \"auto\""
            ),
            Self::Reset => write!(
                f,
                "{RESET_HOST} is what a master reset leaves as api_url: provision the camera again"
            ),
            Self::Certificate => f.write_str(
                "the web manager checks no certificate, linkbeat does: for a self-signed one set \
                 tls.pin_sha256 (`linkbeat check --pin`)",
            ),
        }
    }
}

/// Writes what is found below `root`, one line each; `own` is the path of `linkbeat.json`.
pub(super) fn report(root: &Path, config: &Config, own: &Path, out: &mut String) -> fmt::Result {
    let Some(manager) = WebManager::find(root) else { return Ok(()) };
    let mut say = |severity: &str, text: &dyn Display| writeln!(out, "{severity}: {text}");
    let page = "the web manager is installed: its page shows its own heartbeat, `linkbeat status` \
                that of linkbeat";
    say("info", &page)?;
    for unreadable in manager.unreadable() {
        say("warning", &unreadable)?;
    }
    if let Some(second) = manager.second_sender(config) {
        say("warning", &second)?;
    }
    if let Some(disconnects) = manager.disconnects_wifi() {
        say("warning", &disconnects)?;
    }
    let url = config.api_url.as_ref();
    let port = match &config.status_listen {
        StatusListen::At(listen @ Listen::Address(address)) if address.port() == PORT => {
            Some(listen)
        }
        StatusListen::At(_) | StatusListen::Auto | StatusListen::Off => None,
    };
    let is_reset =
        url.is_some_and(|url| matches!(&url.server().host, Host::Name(name) if name == RESET_HOST));
    let is_bare = url.is_some_and(|url| url.is_tls())
        && config.ca_file.is_none()
        && config.pins.is_empty()
        && !is_reset;
    let found = [
        (!config.settings.enabled && manager.is_silenced()).then_some(Finding::Silent { own }),
        port.map(Finding::Port),
        is_reset.then_some(Finding::Reset),
    ];
    for finding in found.into_iter().flatten() {
        say("warning", &finding)?;
    }
    if is_bare { say("info", &Finding::Certificate) } else { Ok(()) }
}
