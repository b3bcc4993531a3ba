//! The end of the agent: why it is stopped, and how long a last beat may hold that up.

use std::fs;
use std::path::Path;
use std::time::Duration;

use super::EventLoop;
use crate::config::Config;
use crate::sys::file;
use linkbeat_core::proto::event::Input;
use linkbeat_core::proto::time::Instant;

/// How long the last beat may take. The kept connection normally delivers it in milliseconds.
const GOODBYE: Duration = Duration::from_millis(300);
/// The name of the file in which whoever stops the agent says why.
const FILE: &str = "stopping";
/// The directory of that file where there is no trigger socket that it could be beside.
const DIRECTORY: &str = "/run/linkbeat";
/// The words for it, the usual one first.
const WORDS: [&str; 3] = ["stop", "reboot", "upgrade"];
/// Longest content of the file, in bytes.
const CONTENT_MAX: usize = 16;

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
        let word = read(directory(&self.setup.config));
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

    /// Removes what an earlier agent was not there to read.
    pub(super) fn forget_stopping(&self) {
        // Mostly there is none.
        fs::remove_file(directory(&self.setup.config).join(FILE)).ok();
    }
}

/// When the agent ends that is told to stop at `now`: the first time after a last beat, if it says `goodbye`.
fn end(before: Option<Stopping>, goodbye: bool, now: Instant) -> Instant {
    if goodbye && before.is_none() { now + GOODBYE } else { now }
}

/// The directory of the file: that of the trigger socket.
fn directory(config: &Config) -> &Path {
    let socket = config.trigger_socket.as_deref();
    socket.and_then(Path::parent).unwrap_or(Path::new(DIRECTORY))
}

/// Why the agent is stopped, as far as the file in this directory says so.
fn read(directory: &Path) -> &'static str {
    let content = file::read(&directory.join(FILE), CONTENT_MAX).ok();
    let content = content.filter(|(_, metadata)| file::is_trusted(metadata));
    let said = content.as_ref().map(|(bytes, _)| bytes.trim_ascii());
    let [usual, ..] = WORDS;
    WORDS.into_iter().find(|word| said == Some(word.as_bytes())).unwrap_or(usual)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn word_is_one_of_three_and_anything_else_is_a_stop() {
        let directory =
            std::env::temp_dir().join(format!("linkbeat-stopping-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        assert_eq!(read(&directory), "stop");
        for (content, word) in [
            ("reboot\n", "reboot"),
            ("upgrade", "upgrade"),
            ("  stop \n\n", "stop"),
            ("", "stop"),
            ("Reboot", "stop"),
            ("reboot upgrade", "stop"),
            ("reboot                  ", "stop"),
            ("\"\\\u{1}", "stop"),
        ] {
            fs::write(directory.join(FILE), content).unwrap();
            assert_eq!(read(&directory), word, "{content:?}");
        }
        fs::remove_file(directory.join(FILE)).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", directory.join(FILE)).unwrap();
        assert_eq!(read(&directory), "stop");
        fs::remove_dir_all(&directory).unwrap();
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

    #[test]
    fn file_is_beside_the_trigger_socket() {
        let config = Config::default();
        assert_eq!(directory(&config), Path::new("/run/linkbeat"));
        let off = Config { trigger_socket: None, ..Config::default() };
        assert_eq!(directory(&off), Path::new("/run/linkbeat"));
        let elsewhere =
            Config { trigger_socket: Some("/tmp/x/t.sock".into()), ..Config::default() };
        assert_eq!(directory(&elsewhere), Path::new("/tmp/x"));
    }
}
