//! What files say, brought into force: the configuration, and how names are resolved.

use mio::Token;

use super::setup::Verdict;
use super::{EventLoop, HELPER_FIRST, LOOK_EVERY};
use crate::error::Error;
use crate::net::resolver;
use crate::net::trigger::TriggerSocket;
use crate::net::watch::{Changed, RESOLVER_FILES};
use crate::proto::event::Input;

impl EventLoop {
    /// Looks once per cycle for changes of files that the watch has not told of, and whether helpers
    /// still find their socket.
    pub(super) fn look(&mut self) {
        if self.look_at <= self.now {
            self.look_at = self.now + LOOK_EVERY;
            let mut changed = self.watch.stat_changed();
            // A file that may be read now, and might not before, looks the same.
            changed.config |= self.setup.complaint.is_some();
            self.take_changes(changed);
            self.find_helpers();
            self.status.look(self.now);
        }
    }

    /// Has the status server listen where the configuration wants it.
    pub(super) fn open_status_server(&mut self) {
        let config = &self.setup.config;
        let (listen, token) = (config.status_listen.as_ref(), config.status_token.as_ref());
        self.status.listen(listen, token, self.now);
    }

    /// Opens the socket of helpers where it is missing.
    fn find_helpers(&mut self) {
        if let Err(error) = self.open_helpers() {
            self.complain_of_helpers(&error);
        }
    }

    /// Tells why helpers cannot ask for beats, once for each reason.
    fn complain_of_helpers(&mut self, error: &Error) {
        let complaint = format!("helpers cannot ask for beats: {}", error.chain());
        if self.helpers_complaint.as_ref() != Some(&complaint) {
            log::error!("{complaint}");
            self.helpers_complaint = Some(complaint);
        }
    }

    pub(super) fn take_changes(&mut self, changed: Changed) {
        if changed.config && self.load() == Verdict::Changed {
            self.reconfigure();
        }
        if changed.resolver {
            self.read_resolver();
        }
    }

    /// Brings the sources in line with a new configuration, then the core.
    pub(super) fn reconfigure(&mut self) {
        self.open_status_server();
        self.find_helpers();
        self.configure();
    }

    /// Opens the socket of helpers where the configuration wants it.
    ///
    /// # Errors
    ///
    /// Another agent has it. Without a socket for other reasons the agent still beats.
    pub(super) fn open_helpers(&mut self) -> Result<(), Error> {
        let wanted = self.setup.config.trigger_socket.as_deref();
        let there = self.helpers.as_ref().filter(|helpers| helpers.is_in_place());
        if there.map(TriggerSocket::path) == wanted {
            self.helpers_complaint = None;
            return Ok(());
        }
        let Some(path) = wanted else {
            self.helpers = None;
            self.helpers_complaint = None;
            return Ok(());
        };
        // The former one goes when there is another.
        match TriggerSocket::bind(path, self.poll.registry(), Token(HELPER_FIRST)) {
            Ok(helpers) => {
                self.helpers = Some(helpers);
                self.helpers_complaint = None;
            }
            Err(error @ Error::AlreadyRunning { .. }) => return Err(error),
            Err(error) => self.complain_of_helpers(&error),
        }
        Ok(())
    }

    /// Hands the configuration to the core: the first one as soon as the device knows what it is
    /// called, a later one at once, because it may say to be silent.
    pub(super) fn configure(&mut self) {
        if self.configured_at.is_some() || !self.setup.wants_mac() {
            self.configured_at = Some(self.now);
            self.read_resolver();
            let settings = self.setup.config.settings.clone();
            self.feed(Input::Configured(&settings));
        }
    }

    /// Reads how names are resolved; what the hosts file says depends on the server's name.
    pub(super) fn read_resolver(&mut self) {
        let [resolv_conf, hosts] = RESOLVER_FILES;
        let host = self.setup.config.settings.server.as_ref().map(|server| &server.host);
        self.resolver = resolver::read_settings(resolv_conf.as_ref(), hosts.as_ref(), host);
        let settings = self.resolver.clone();
        self.feed(Input::ResolverChanged(&settings));
    }

    /// Decides by which hardware address the device is called where no file names it. A file that
    /// does so now may be gone tomorrow.
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
