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
    if !config.settings.enabled && manager.is_silenced() {
        let own = own.display();
        let text = "\"enabled\": false silences the web manager and linkbeat: set it to true in";
        say("warning", &format_args!("{text} {own}"))?;
    }
    if let StatusListen::At(listen @ Listen::Address(address)) = &config.status_listen
        && address.port() == PORT
    {
        let text = "keeps the web manager from its port: set it to \"auto\"";
        say("warning", &format_args!("status_listen {listen} {text}"))?;
    }
    let Some(url) = &config.api_url else { return Ok(()) };
    if matches!(&url.server().host, Host::Name(name) if name == RESET_HOST) {
        let text = "is what a master reset leaves as api_url: provision the camera again";
        return say("warning", &format_args!("{RESET_HOST} {text}"));
    }
    if url.is_tls() && config.ca_file.is_none() && config.pins.is_empty() {
        let text = "the web manager checks no certificate, linkbeat does: for a self-signed one set \
                    tls.pin_sha256 (`linkbeat check --pin`)";
        return say("info", &text);
    }
    Ok(())
}
