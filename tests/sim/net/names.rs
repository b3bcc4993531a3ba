//! Nameservers.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use linkbeat_core::proto::event::{Answer, Failure, QueryId};
use linkbeat_core::proto::link::InterfaceName;
use linkbeat_core::proto::route::Family;
use linkbeat_core::proto::time::Instant;

use super::super::weather::pick;
use super::paths::{Fate, NEIGHBOUR_WAIT, Way};
use super::{Event, NameMood, Net, News};

/// An address without a host.
pub(crate) const NOBODY: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 66));
/// The router of eth0, which refuses connections except to its nameserver.
pub(crate) const ROUTER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 168, 0, 1));

#[derive(Debug)]
pub(super) struct Asked {
    to: SocketAddr,
    local: IpAddr,
    way: Way,
    family: Family,
}

impl Net {
    /// # Errors
    ///
    /// Failures that the kernel reports immediately.
    pub(crate) fn ask(
        &mut self,
        query: QueryId,
        to: SocketAddr,
        via: Option<InterfaceName>,
        family: Family,
        now: Instant,
    ) -> Result<(), Failure> {
        let (way, local) = self.route(to.ip(), via)?;
        self.packets.queries += 1;
        self.queries.insert(query, Asked { to, local, way, family });
        match self.fate(way, local, to.ip()) {
            Fate::Carried(wait) => self.put(now + wait, Event::QueryThere(query)),
            Fate::Rejected(failure) => {
                self.put(now + Duration::from_millis(1), Event::QueryBack(query, Err(failure)));
            }
            Fate::Lost if way == Way::OnLink => {
                let failure = Err(Failure::Unreachable);
                self.put(now + NEIGHBOUR_WAIT, Event::QueryBack(query, failure));
            }
            Fate::Lost => {}
        }
        Ok(())
    }

    pub(crate) fn forget_query(&mut self, query: QueryId) {
        self.queries.remove(&query);
    }

    pub(super) fn query_there(&mut self, query: QueryId, at: Instant) {
        let Some(asked) = self.queries.get(&query) else { return };
        let (way, local, to, family) = (asked.way, asked.local, asked.to.ip(), asked.family);
        let Fate::Carried(wait) = self.fate(way, local, to) else { return };
        if self.accelerates(way, to) {
            return;
        }
        let of_family = |ip: &IpAddr| ip.is_ipv4() == (family == Family::V4);
        let ttl_s = pick(&mut self.rng, &[0, 1, 30, 300]);
        let right = Answer { addresses: self.outside.named().filter(of_family).collect(), ttl_s };
        let (thinking, result) = match self.outside.names {
            NameMood::Right => (Duration::from_millis(1), Ok(right)),
            NameMood::Slow(wait) => (wait, Ok(right)),
            NameMood::Silent => return,
            NameMood::Failing(failure) => (Duration::from_millis(1), Err(failure)),
            NameMood::Wrong(address, kept) => {
                let addresses = [address].into_iter().filter(of_family).collect();
                let kept_s = kept.and_then(|kept| u32::try_from(kept.as_secs()).ok());
                let ttl_s = kept_s.unwrap_or(ttl_s);
                (Duration::from_millis(1), Ok(Answer { addresses, ttl_s }))
            }
        };
        self.put(at + thinking + wait, Event::QueryBack(query, result));
    }

    pub(super) fn query_back(&mut self, query: QueryId, result: Result<Answer, Failure>) {
        let Some(asked) = self.queries.get(&query) else { return };
        let (way, local, to) = (asked.way, asked.local, asked.to.ip());
        if way != Way::OnLink && self.fate(way, local, to) == Fate::Lost {
            return;
        }
        self.packets.queries += 1;
        self.queries.remove(&query);
        self.news.push(News::Queried(query, result));
    }
}
