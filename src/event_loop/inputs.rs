//! Network events as inputs of the core: links, neighbours, queries, checks and probes.

use std::io;
use std::time::Duration;

use super::{EventLoop, NEIGHBOURS, QUERY_FIRST, RTNETLINK};
use crate::net::resolver::QueryProgress;
use crate::sys::netlink::RouteEvent;
use linkbeat_core::proto::event::Input;
use linkbeat_core::proto::moderation::Bucket;
use linkbeat_core::proto::settings::BucketSettings;
use linkbeat_core::proto::time::Instant;

/// Most datagrams read from rtnetlink in one call.
const DATAGRAMS_MAX: usize = 16;

/// How often the kernel is asked to list the links: a kernel that goes on refusing, or losing what
/// it lists, is not asked without end.
const DUMPS: BucketSettings = BucketSettings { burst: 5, every: Duration::from_secs(1) };
/// Pause of a socket that cannot be used.
const LINKS_RETRY: Duration = Duration::from_secs(1);

/// Longest wait for the end of a dump, which the kernel makes as fast as it is read.
const DUMP_PATIENCE: Duration = Duration::from_secs(5);

/// When the kernel is turned to again for the links, after a failure.
#[derive(Debug)]
pub(super) struct LinksRetry {
    /// Limits the dumps.
    dumps: Bucket,
    /// When the pause ends, in which the socket is left alone.
    at: Option<Instant>,
    /// Whether a dump is to be ordered then.
    dump: bool,
    /// Whether the last dump was refused: logged once.
    refused: bool,
    /// When a dump is ordered again that has not come whole.
    dumped_by: Option<Instant>,
    /// When the kernel is asked for routes again, because it could not be.
    routes_at: Option<Instant>,
}

impl LinksRetry {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            dumps: Bucket::new(DUMPS, now),
            at: None,
            dump: false,
            refused: false,
            dumped_by: None,
            routes_at: None,
        }
    }

    /// When [`EventLoop::retry_links`] is due.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.at.into_iter().chain(self.routes_at).chain(self.dumped_by).min()
    }

    /// The kernel was asked for routes. A failure is logged once, and is reason to ask again.
    pub(super) fn routes_asked(&mut self, asked: io::Result<()>, now: Instant) {
        let again_at = asked.as_ref().err().map(|_| now + LINKS_RETRY);
        let failed_before = std::mem::replace(&mut self.routes_at, again_at).is_some();
        if let (Err(error), false) = (&asked, failed_before) {
            log::warn!("the kernel cannot be asked for routes: {error}");
        }
    }
}

impl EventLoop {
    /// Has the kernel list the links: at once, or after a pause if it refuses or is asked too often.
    pub(super) fn dump_links(&mut self) {
        let retry = &mut self.links_retry;
        retry.dump = true;
        if !retry.dumps.take(0, self.now) {
            retry.at = Some(retry.dumps.token_at(0, self.now));
            return;
        }
        match self.routes.start_dump() {
            Ok(()) => {
                (retry.dump, retry.refused) = (false, false);
                retry.dumped_by = Some(self.now + DUMP_PATIENCE);
            }
            Err(error) => {
                retry.at = Some(self.now + LINKS_RETRY);
                if !core::mem::replace(&mut retry.refused, true) {
                    log::error!("the kernel refuses to list the links: {error}");
                }
            }
        }
    }

    /// Goes on after a pause.
    pub(super) fn retry_links(&mut self) {
        self.routes_wanted |= self.links_retry.routes_at.is_some_and(|at| at <= self.now);
        if self.links_retry.dumped_by.take_if(|at| *at <= self.now).is_some() {
            self.dump_links();
        }
        if self.links_retry.at.take_if(|at| *at <= self.now).is_some() {
            if self.links_retry.dump {
                self.dump_links();
            }
            self.again.push(RTNETLINK);
        }
    }

    pub(super) fn on_links_ready(&mut self) {
        if self.links_retry.at.is_some() {
            return;
        }
        let mut events = Vec::new();
        if !self.routes.drain(DATAGRAMS_MAX, |event| events.push(event)) {
            self.again.push(RTNETLINK);
        }
        if self.routes.is_failing() {
            self.links_retry.at = Some(self.now + LINKS_RETRY);
        }
        let mut complete = false;
        for event in events {
            let input = match event {
                RouteEvent::Link(event) => Input::Link(event),
                RouteEvent::Lost => {
                    self.reporter.history.counters.overflows += 1;
                    Input::LinksLost
                }
                RouteEvent::Dumped => {
                    complete = true;
                    self.links_retry.dumped_by = None;
                    Input::LinksDumped
                }
            };
            self.feed(input);
        }
        self.find_mac();
        if complete && self.setup.wants_mac() {
            log::warn!(
                "no beat is sent: device_key is not set, and no interface has a permanent hardware \
                 address to make one from"
            );
        }
    }

    pub(super) fn on_neighbours_ready(&mut self) {
        let Some(socket) = &self.neighbours else { return };
        let mut neighbours = Vec::new();
        match socket.drain(DATAGRAMS_MAX, |neighbour| neighbours.push(neighbour)) {
            Ok(true) => {}
            Ok(false) => self.again.push(NEIGHBOURS),
            Err(error) => {
                log::debug!("neighbours cannot be listened to: {error}");
                self.neighbours = None;
            }
        }
        for neighbour in neighbours {
            self.feed(Input::Neighbour(neighbour));
        }
    }

    pub(super) fn on_nameserver_ready(&mut self, slot: usize) {
        let Some((query, socket)) = self.queries.at(slot) else { return };
        let result = match socket.on_ready() {
            QueryProgress::Waiting => return,
            QueryProgress::Spent => {
                self.again.push(QUERY_FIRST + slot);
                return;
            }
            QueryProgress::Moved => {
                let interest = socket.interest();
                match self.queries.watch_again(self.poll.registry(), slot, interest) {
                    Ok(()) => return,
                    Err(failure) => Err(failure),
                }
            }
            QueryProgress::Done(result) => result,
        };
        drop(self.queries.take(query));
        match result {
            Ok(answer) => self.feed(Input::QueryAnswered(query, &answer)),
            Err(failure) => self.feed(Input::QueryFailed(query, failure)),
        }
    }

    pub(super) fn on_service_ready(&mut self, slot: usize) {
        let Some((check, socket)) = self.checks.at(slot) else { return };
        let Some(result) = socket.on_ready() else { return };
        drop(self.checks.take(check));
        self.feed(match result {
            Ok(()) => Input::ServiceAnswered(check),
            Err(failure) => Input::ServiceFailed(check, failure),
        });
    }

    pub(super) fn on_probe_ready(&mut self, slot: usize) {
        let Some((probe, socket)) = self.probes.at(slot) else { return };
        let Some(result) = socket.on_ready() else { return };
        drop(self.probes.take(probe));
        self.feed(match result {
            Ok(()) => Input::ProbeAnswered(probe),
            Err(failure) => Input::ProbeFailed(probe, failure),
        });
    }
}
