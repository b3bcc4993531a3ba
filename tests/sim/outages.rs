//! What the server hears of outages: each by its number, and none of them in two ways.

use std::collections::BTreeMap;

use linkbeat_core::proto::agent::Agent;
use linkbeat_core::proto::outages::Outage;
use linkbeat_core::proto::time::Instant;

use super::net::Request;

/// One outage in a report.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ReportedOutage {
    pub(crate) outage: Outage,
    /// When the report was written.
    pub(crate) written_at: Instant,
}

/// The reports that were written, and what the server knows from those that arrived.
#[derive(Debug, Default)]
pub(crate) struct Outages {
    /// The outages of each report, by the number of the action that sent it.
    written: BTreeMap<u64, Vec<ReportedOutage>>,
    /// Reports of the server that were read here.
    read: usize,
    /// Every outage that the server has heard of, as it was reported first, by number.
    pub(crate) heard: BTreeMap<u32, ReportedOutage>,
    /// How many the server knows of by their count only.
    pub(crate) others: u32,
}

impl Outages {
    /// A report is written.
    pub(crate) fn write(&mut self, order: u64, agent: &Agent, now: Instant) {
        let outages = agent.outages();
        let reported: Vec<_> =
            outages.unreported().map(|outage| ReportedOutage { outage, written_at: now }).collect();
        let numbers: Vec<_> = reported.iter().map(|reported| reported.outage.number).collect();
        assert!(numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
        assert!(numbers.iter().all(Option::is_some), "a blip is reported");
        self.others = self.others.max(outages.others());
        self.written.insert(order, reported);
    }

    /// Reads what the server has received since the last time.
    pub(crate) fn read(&mut self, taken: &[Request]) {
        for request in taken.iter().skip(self.read) {
            let reported = self.written.get(&request.order).expect("every report was written");
            for reported in reported {
                let number = reported.outage.number.expect("a number");
                let first = *self.heard.entry(number).or_insert(*reported);
                let same = |report: &ReportedOutage| (report.outage.began_at, report.outage.uplink);
                assert_eq!(same(&first), same(reported), "{number}");
                // The copies may arrive in another order than they were written in.
                let mut copies = [first, *reported];
                copies.sort_by_key(|report| report.written_at);
                let [before, after] = copies.map(|report| report.outage.missed);
                assert!(after >= before && before > 0, "{copies:?}");
            }
        }
        self.read = taken.len();
    }

    /// All is well again: the server has heard of every outage.
    pub(crate) fn verify(&self, agent: &Agent) {
        let outages = agent.outages();
        assert_eq!(
            (outages.unreported().count(), outages.others()),
            (0, 0),
            "something is unreported"
        );
        let heard: Vec<_> = self.heard.keys().copied().collect();
        if self.others == 0 {
            let last = outages.last().and_then(|last| last.number).or(heard.last().copied());
            assert!(heard.iter().copied().eq(1..=last.unwrap_or(0)), "of {last:?}: {heard:?}");
        }
        let again = self.heard.values().map(|reported| reported.outage.began_at);
        assert!(again.is_sorted(), "outages are reported out of order");
    }
}
