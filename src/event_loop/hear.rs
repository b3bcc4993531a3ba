//! What comes from the network itself, brought to the core: links, neighbours, names, probes.

use super::{EventLoop, NEIGHBOURS, RTNETLINK};
use crate::proto::event::Input;
use crate::sys::netlink::Heard;

/// Most datagrams read from rtnetlink in one visit.
const DATAGRAMS_MAX: usize = 16;

impl EventLoop {
    pub(super) fn hear_links(&mut self) {
        let mut heard = Vec::new();
        if !self.routes.drain(DATAGRAMS_MAX, |news| heard.push(news)) {
            self.again.push(RTNETLINK);
        }
        let complete = heard.contains(&Heard::Dumped);
        for news in heard {
            let counters = self.journal.history.counters_mut();
            counters.overflows += u64::from(news == Heard::Lost);
            self.feed(match news {
                Heard::Event(event) => Input::Link(event),
                Heard::Lost => Input::LinksLost,
                Heard::Dumped => Input::LinksDumped,
            });
        }
        self.find_mac();
        if complete && self.setup.wants_mac() {
            log::warn!(
                "no beat is sent: device_key is not set, and no interface has a permanent hardware \
                 address to make one from"
            );
        }
    }

    pub(super) fn hear_neighbours(&mut self) {
        let Some(socket) = &self.neighbours else { return };
        let mut heard = Vec::new();
        match socket.drain(DATAGRAMS_MAX, |neighbour| heard.push(neighbour)) {
            Ok(true) => {}
            Ok(false) => self.again.push(NEIGHBOURS),
            Err(error) => {
                log::debug!("neighbours cannot be listened to: {error}");
                self.neighbours = None;
            }
        }
        for neighbour in heard {
            self.feed(Input::Neighbour(neighbour));
        }
    }

    pub(super) fn hear_nameserver(&mut self, slot: usize) {
        let Some((query, socket)) = self.queries.at(slot) else { return };
        let Some(result) = socket.on_ready() else { return };
        drop(self.queries.take(query));
        match result {
            Ok(answer) => self.feed(Input::QueryAnswered(query, &answer)),
            Err(failure) => self.feed(Input::QueryFailed(query, failure)),
        }
    }

    pub(super) fn hear_service(&mut self, slot: usize) {
        let Some((look, socket)) = self.looks.at(slot) else { return };
        let Some(result) = socket.on_ready() else { return };
        drop(self.looks.take(look));
        self.feed(match result {
            Ok(()) => Input::ServiceAnswered(look),
            Err(failure) => Input::ServiceFailed(look, failure),
        });
    }

    pub(super) fn hear_probe(&mut self, slot: usize) {
        let Some((probe, socket)) = self.probes.at(slot) else { return };
        let Some(result) = socket.on_ready() else { return };
        drop(self.probes.take(probe));
        self.feed(match result {
            Ok(()) => Input::ProbeAnswered(probe),
            Err(failure) => Input::ProbeFailed(probe, failure),
        });
    }
}
