//! The answers of DNS about one name, per address family, and until when they count.

use core::net::IpAddr;
use core::time::Duration;

use heapless::Vec;

use super::{ADDRESSES_MAX, Families};
use crate::proto::event::{ANSWER_ADDRESSES_MAX, Answer};
use crate::proto::route::Family;
use crate::proto::time::Instant;

/// Shortest life of an answer with addresses. Some load balancers and forwarders say zero: this is
/// one lookup for a burst of retries, and still less than any sensible interval.
const TTL_MIN: Duration = Duration::from_secs(5);
/// Shortest life of "no address of this family". Forwarders that filter one family say so without
/// the SOA record that would give a TTL, and a name without AAAA may not cost a lookup per beat.
const TTL_EMPTY_MIN: Duration = Duration::from_secs(60);
/// Longest life of an answer. A server that moves may not be lost to a TTL of a week.
const TTL_MAX: Duration = Duration::from_secs(3600);

/// The answers, at most one per family.
#[derive(Debug, Clone, Default)]
pub(super) struct KnownAddresses {
    v4: Option<Record>,
    v6: Option<Record>,
}

#[derive(Debug, Clone)]
struct Record {
    addresses: Vec<IpAddr, ANSWER_ADDRESSES_MAX>,
    expires_at: Instant,
}

impl KnownAddresses {
    /// Takes an answer in place of the former one of its family.
    pub(super) fn learn(&mut self, family: Family, answer: &Answer, now: Instant) {
        let shortest = if answer.addresses.is_empty() { TTL_EMPTY_MIN } else { TTL_MIN };
        let life = Duration::from_secs(answer.ttl_s.into()).clamp(shortest, TTL_MAX);
        *self.slot(family) =
            Some(Record { addresses: answer.addresses.clone(), expires_at: now + life });
    }

    /// Takes silence for "no address of this family", unless something better is known.
    pub(super) fn miss(&mut self, family: Family, now: Instant) {
        if self.slot(family).as_ref().is_none_or(|record| record.expires_at <= now) {
            self.learn(family, &Answer::default(), now);
        }
    }

    /// Whether there is an answer of each of these families that counts at `at`, and an address in
    /// any.
    pub(super) fn covers(&self, families: Families, at: Instant) -> bool {
        let counts = |record: &Option<Record>| record.as_ref().is_some_and(|r| at < r.expires_at);
        let each = (!families.v4 || counts(&self.v4)) && (!families.v6 || counts(&self.v6));
        // One empty answer of two says nothing yet, even where a former lookup left the other.
        each && !self.addresses(Some(at)).is_empty()
    }

    /// The addresses that count at `at`, or of the last answers, however old; in their order, A
    /// before AAAA.
    pub(super) fn addresses(&self, at: Option<Instant>) -> Vec<IpAddr, ADDRESSES_MAX> {
        let mut addresses = Vec::new();
        for record in self.v4.iter().chain(&self.v6) {
            if at.is_none_or(|at| at < record.expires_at) {
                addresses
                    .extend_from_slice(&record.addresses)
                    .expect("room for one of each family");
            }
        }
        addresses
    }

    /// Whether the answers, expired or not, name others than `address`.
    pub(super) fn deny(&self, address: IpAddr) -> bool {
        let named = self.addresses(None);
        !named.is_empty() && !named.contains(&address)
    }

    fn slot(&mut self, family: Family) -> &mut Option<Record> {
        match family {
            Family::V4 => &mut self.v4,
            Family::V6 => &mut self.v6,
        }
    }
}

/// The order to try `addresses` in: families in turn, IPv6 first (RFC 8305 §4), and `good` before
/// all.
pub(super) fn in_order(addresses: &[IpAddr], good: Option<IpAddr>) -> Vec<IpAddr, ADDRESSES_MAX> {
    let mut ordered = Vec::<IpAddr, ADDRESSES_MAX>::new();
    for place in 0..addresses.len() {
        for family in [Family::V6, Family::V4] {
            let mut of_it = addresses.iter().filter(|it| Family::of(**it) == family);
            if let Some(address) = of_it.nth(place) {
                // What is over the limit is left out.
                ordered.push(*address).ok();
            }
        }
    }
    to_front(&mut ordered, |address| Some(*address) == good);
    ordered
}

/// Moves the first item that `is` wanted before all others, which keep their order.
pub(super) fn to_front<T>(items: &mut [T], is: impl Fn(&T) -> bool) {
    let front = items.iter().position(is).and_then(|at| items.get_mut(..=at));
    if let Some(front) = front {
        front.rotate_right(1);
    }
}
