//! The outages in a report.

use core::time::Duration;

use crate::proto::outages::{Outage, Outages};
use crate::proto::time::Instant;
use crate::wire::date::Utc;
use crate::wire::json::{Array, Emitter, Object, Quoted};

/// The news that the server has not received, at one moment.
#[derive(Debug, Clone, Copy)]
pub struct Unreported<'a> {
    /// The outages.
    pub outages: &'a Outages,
    /// The moment, in boot time.
    pub now: Instant,
    /// The date of boot since 1970 UTC, if the clock is set.
    pub boot_date: Option<Duration>,
}

impl Unreported<'_> {
    /// Writes the members of the report, none if there is nothing to report.
    pub(super) fn emit(&self, json: &mut Emitter<'_>) {
        let list = self.outages.unreported();
        let reported = list.clone().next().is_some();
        let list = list.map(|outage| Object(move |json| self.outage(json, &outage)));
        json.present("outage", reported.then_some(Array(list)))
            .present("outages_more", Some(self.outages.others()).filter(|others| *others > 0));
    }

    fn outage(&self, json: &mut Emitter<'_>, outage: &Outage) {
        let Outage { number, began_at, ended_at, kind, cause, uplink, missed } = outage;
        let since_boot = Duration::from_micros(began_at.as_micros());
        let began = self.boot_date.map(|boot| Utc(boot.saturating_add(since_boot).as_secs()));
        let ago = (self.now - *began_at).as_secs();
        json.present("n", *number)
            .present("began", began.map(Quoted))
            .present("began_ago_s", Some(ago).filter(|_| began.is_none()))
            .member("lasted_s", &(ended_at.unwrap_or(self.now) - *began_at).as_secs())
            .member("kind", &kind.as_str())
            .present("cause", cause.map(Quoted))
            .present("uplink", uplink.map(Quoted))
            .member("missed", missed);
    }
}
