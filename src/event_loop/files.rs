//! Configuration and name resolution files: polling, reading and putting in force.

use std::time::Duration;

use mio::{Interest, Token};

use super::setup::Verdict;
use super::{EventLoop, WATCH};
use crate::config::{Secret, StatusListen};
use crate::net::local::Listen;
use crate::net::resolver::SettingsReader;
use crate::net::watch::{Changed, RESOLVER_FILES, Watch};
use crate::sys::inotify::Inotify;
use crate::sys::readiness;
use linkbeat_core::proto::event::Input;

/// Wait between two checks of the files that the watch may have missed.
const POLL_EVERY: Duration = Duration::from_secs(30);
/// Time between two checks where they are the only way.
const POLL_BLIND: Duration = Duration::from_secs(5);
/// Wait before unusable files are read again: a missing descriptor or a mended mode is no event.
const LOAD_RETRY: Duration = Duration::from_secs(5);

/// Wait before the files are checked again.
pub(super) fn wait(watch: &Watch) -> Duration {
    if watch.events().is_some() { POLL_EVERY } else { POLL_BLIND }
}

impl EventLoop {
    /// Checks once per cycle for changes of files that the watch has not reported, whether the Unix
    /// sockets are still in place, and whether another program has come to the usual port; reads
    /// again what could not be used.
    pub(super) fn poll_files(&mut self) {
        let load = self.load_at.is_some_and(|at| at <= self.now);
        let mut changed = Changed { config: load, ..Changed::default() };
        if self.poll_files_at <= self.now {
            let registry = self.poll.registry();
            let watch = &|events: &Inotify| {
                readiness::watch(registry, events, Token(WATCH), Interest::READABLE)
            };
            // The start has reported that there is none.
            self.watch.open(watch).ok();
            self.poll_files_at = self.now + wait(&self.watch);
            changed = self.watch.stat_changed();
            changed.config |= load;
            changed.manager = true;
            self.local.poll_files(self.now);
        }
        self.take_changes(changed);
    }

    /// Has the status server listen where the configuration wants it.
    pub(super) fn listen_http(&mut self) {
        let place = self.http_place();
        let token = self.setup.config.status_token.as_ref().map(Secret::expose);
        self.local.listen_http(place.as_ref(), token, self.now);
    }

    /// Moves the status server if its place is another one by now.
    fn move_http(&mut self) {
        if self.http_place().as_ref() != self.local.http_place() {
            self.listen_http();
        }
    }

    fn http_place(&mut self) -> Option<Listen> {
        match &self.setup.config.status_listen {
            StatusListen::At(place) => Some(place.clone()),
            StatusListen::Off => None,
            // The files that cannot be read may say that it is to listen nowhere.
            StatusListen::Auto if !self.setup.in_force => None,
            StatusListen::Auto => Some(self.local.usual_place(self.watch.has_manager())),
        }
    }

    /// Reads the configuration, and what its files say of the time and of another sender.
    pub(super) fn load(&mut self) -> Verdict {
        let before = self.setup.config.settings.server.clone();
        let verdict = self.setup.load(&mut self.watch, &self.wall.times);
        self.setup.warn_of_second_sender();
        // Unusable files are read every few seconds.
        if verdict != Verdict::Invalid {
            let is_other_server = self.setup.config.settings.server != before;
            self.wall.learn_files(self.setup.written(), is_other_server, self.now);
        }
        self.load_at = self.setup.complaint.as_ref().map(|_| self.now + LOAD_RETRY);
        verdict
    }

    pub(super) fn take_changes(&mut self, changed: Changed) {
        if changed.config {
            if !self.loads.take(0, self.now) {
                self.load_at = Some(self.loads.token_at(0, self.now));
            } else if self.load() == Verdict::Changed {
                self.reconfigure();
            }
        }
        if changed.manager {
            self.setup.warn_of_second_sender();
        }
        if changed.config || changed.manager {
            self.move_http();
        }
        if changed.resolver {
            self.read_resolver();
        }
    }

    /// Applies a new configuration to the sources, then to the core.
    pub(super) fn reconfigure(&mut self) {
        self.listen_http();
        self.local.listen_lines(self.setup.config.trigger_socket.as_deref(), self.now);
        self.sessions.forget_written();
        self.configure();
    }

    /// Hands the configuration to the core: the first one as soon as the device knows what it is
    /// called, a later one at once, because it may say to be silent.
    pub(super) fn configure(&mut self) {
        if self.configured_at.is_some() || !self.setup.wants_mac() {
            self.configured_at = Some(self.now);
            self.read_resolver();
            // All of it before anything else: no report of the new configuration may go to the
            // former server.
            while self.reader.is_some() {
                self.read_on();
            }
            let settings = self.setup.config.settings.clone();
            self.feed(Input::Configured(&settings));
        }
    }

    /// Starts to read the name resolution files. The hosts file is searched for the server's name.
    pub(super) fn read_resolver(&mut self) {
        let [resolv_conf, hosts] = RESOLVER_FILES;
        let host = self.setup.config.settings.server.as_ref().map(|server| &server.host);
        self.reader = Some(SettingsReader::new(resolv_conf.as_ref(), hosts.as_ref(), host));
        self.read_on();
    }

    /// Reads the next piece. After the last one the settings go to the core.
    pub(super) fn read_on(&mut self) {
        let Some(reader) = &mut self.reader else { return };
        let Some(settings) = reader.next_piece(RESOLVER_FILES[1].as_ref()) else {
            self.again.push(WATCH);
            return;
        };
        self.reader = None;
        // The core sends queries while it handles the input.
        self.resolver = settings.clone();
        self.feed(Input::ResolverChanged(&settings));
    }

    /// Chooses the hardware address for a derived device key. It is kept even if the configuration
    /// has a key now, because that may change.
    pub(super) fn find_mac(&mut self) {
        if self.setup.mac.is_none()
            && let Some(mac) = self.agent.device_mac()
        {
            let waited = self.setup.wants_mac();
            self.setup.decide_mac(mac);
            if waited {
                self.configure();
            }
        }
    }
}
