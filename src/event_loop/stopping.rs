//! The end of the agent: why it is stopped, and how long a last beat may hold that up.

use std::fs;
use std::path::Path;
use std::time::Duration;

use super::EventLoop;
use linkbeat_core::proto::event::Input;
use linkbeat_core::proto::time::Instant;

/// How long the last beat may take. The kept connection normally delivers it in milliseconds.
const GOODBYE: Duration = Duration::from_millis(300);
/// The place of the cause, for the script that stops the agent: a symbolic link whose target is
/// the word. The directory is the agent's own and root writes there, so root must not open the
/// word: a link or a pipe in its place would lead root elsewhere, or block it.
const LINK: &str = "/run/linkbeat/stopping";
/// The words for it.
const WORDS: [&str; 3] = [USUAL, "reboot", "upgrade"];
/// The word where none is said.
const USUAL: &str = "stop";

/// The agent is being stopped.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stopping {
    /// Why: one of [`WORDS`].
    pub(super) word: &'static str,
    /// When it ends, whatever has become of the last beat.
    pub(super) until: Instant,
}

impl EventLoop {
    /// Begins to end: after a last beat, if one is to be sent. A second signal waits for nothing.
    pub(super) fn stop(&mut self) {
        let word = read(Path::new(LINK)).unwrap_or(USUAL);
        let until = end(self.stopping, self.setup.config.goodbye, self.now);
        self.stopping = Some(Stopping { word, until });
        if until > self.now {
            self.feed(Input::Stopping);
        }
    }

    /// Whether nothing is left to be done.
    pub(super) fn has_ended(&self) -> bool {
        let waits = |stopping: Stopping| stopping.until > self.now && self.agent.says_goodbye();
        self.stopping.is_some_and(|stopping| !waits(stopping))
    }
}

/// When the agent ends after a request at `now` to stop: the first request leaves time for a last
/// beat, if the configuration has `goodbye`.
fn end(before: Option<Stopping>, goodbye: bool, now: Instant) -> Instant {
    if goodbye && before.is_none() { now + GOODBYE } else { now }
}

/// Why the agent is stopped, if this is a link to one of the words.
fn read(link: &Path) -> Option<&'static str> {
    let said = fs::read_link(link).ok()?;
    WORDS.into_iter().find(|word| said.as_os_str() == *word)
}

/// Removes what an earlier agent was not there to read.
pub(super) fn forget_stale() {
    forget(Path::new(LINK));
}

/// Removes the link, if it is one to one of the words.
fn forget(link: &Path) {
    if read(link).is_some() {
        fs::remove_file(link).ok();
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::scratch::Scratch;

    #[test]
    fn word_is_what_a_link_leads_to_and_anything_else_stays() {
        let directory = Scratch::new();
        let link = directory.0.join("stopping");
        assert_eq!(read(&link), None);
        forget(&link);
        for (target, word) in [
            ("stop", Some("stop")),
            ("reboot", Some("reboot")),
            ("upgrade", Some("upgrade")),
            ("Reboot", None),
            ("reboot\n", None),
            ("./reboot", None),
            ("\"\\\u{1}", None),
            ("/etc/passwd", None),
        ] {
            symlink(target, &link).unwrap();
            assert_eq!(read(&link), word, "{target:?}");
            forget(&link);
            assert_eq!(link.is_symlink(), word.is_none(), "{target:?}");
            fs::remove_file(&link).ok();
        }
        fs::write(&link, "upgrade").unwrap();
        assert_eq!(read(&link), None);
        forget(&link);
        assert!(link.is_file());
    }

    #[test]
    fn second_signal_waits_for_nothing() {
        let (first, second) = (Instant::from_micros(1_000_000), Instant::from_micros(1_100_000));
        let until = end(None, true, first);
        assert_eq!(until, first + GOODBYE);
        let stopping = Some(Stopping { word: "stop", until });
        assert_eq!(end(stopping, true, second), second);
        assert_eq!(end(None, false, first), first);
    }
}
