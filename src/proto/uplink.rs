//! Which interfaces are usable, in which order, and when a change of uplink is worth a beat.
//!
//! Pure functions of the table of links and the settings, and one memory: the uplink that was
//! active last. Nothing here knows whether a server answers; racing around a dead path is the
//! beat's business.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use heapless::Vec;

use super::event::Reason;
use super::link::{LinkIndex, Name, Route};
use super::links::{Family, Link, Links};
use super::settings::{Pattern, Settings};

/// Most uplinks kept; of more usable interfaces the best ones stay.
pub const UPLINKS_MAX: usize = 8;

/// Usable interfaces, best first.
pub type Uplinks = Vec<Uplink, UPLINKS_MAX>;

/// A usable interface: it runs, and for at least one family it has an address and a route that
/// leads on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Uplink {
    /// The kernel's number.
    pub index: LinkIndex,
    /// Its name.
    pub name: Name,
    /// The address to go out with over IPv4; `None`: IPv4 is not usable here.
    pub v4: Option<Ipv4Addr>,
    /// The address to go out with over IPv6; `None`: IPv6 is not usable here.
    pub v6: Option<Ipv6Addr>,
    /// Lowest metric of the routes that make it usable.
    pub metric: u32,
}

impl Uplink {
    /// The address to go out with, `None` if the family is not usable.
    #[must_use]
    pub fn source(&self, family: Family) -> Option<IpAddr> {
        match family {
            Family::V4 => self.v4.map(IpAddr::V4),
            Family::V6 => self.v6.map(IpAddr::V6),
        }
    }

    /// The uplink that `link` is, if it is one.
    fn of(link: &Link, settings: &Settings, destinations: &[IpAddr]) -> Option<Self> {
        let ignored = settings.ignore_interfaces.iter().any(|&pattern| matches(pattern, link.name));
        if !link.running || ignored || link.name.as_str() == "lo" {
            return None;
        }
        let v4 = way_out(link, Family::V4, destinations);
        let v6 = way_out(link, Family::V6, destinations);
        let mut uplink =
            Self { index: link.index, name: link.name, v4: None, v6: None, metric: u32::MAX };
        for (source, metric) in [v4, v6].into_iter().flatten() {
            uplink.metric = uplink.metric.min(metric);
            match source {
                IpAddr::V4(v4) => uplink.v4 = Some(v4),
                IpAddr::V6(v6) => uplink.v6 = Some(v6),
            }
        }
        (v4.is_some() || v6.is_some()).then_some(uplink)
    }

    /// Its place in the order, first best: by pattern, then by metric, then by number.
    fn order(&self, settings: &Settings) -> impl Ord + use<> {
        let listed = settings.interfaces.iter().position(|&pattern| matches(pattern, self.name));
        (listed.unwrap_or(usize::MAX), self.metric, self.index)
    }
}

/// The usable interfaces, best first: `interfaces` in its order, then the others by route metric.
///
/// A family is usable with a default route or a route to one of `destinations`, the addresses of
/// server and probe. An IPv4 link-local source counts for such a route only: zero-configuration
/// daemons give every dead port an address and a default route.
#[must_use]
pub fn rank(links: &Links, settings: &Settings, destinations: &[IpAddr]) -> Uplinks {
    let mut uplinks = Uplinks::new();
    for uplink in links.iter().filter_map(|link| Uplink::of(link, settings, destinations)) {
        let place =
            uplinks.partition_point(|better| better.order(settings) < uplink.order(settings));
        if place < UPLINKS_MAX {
            uplinks.truncate(UPLINKS_MAX - 1);
            uplinks.insert(place, uplink).expect("the last one made room");
        }
    }
    uplinks
}

/// The source address and the lowest metric with which a family leads out of `link`.
fn way_out(link: &Link, family: Family, destinations: &[IpAddr]) -> Option<(IpAddr, u32)> {
    let source = link.source(family)?;
    let is_local = matches!(source, IpAddr::V4(v4) if v4.is_link_local());
    let leads_on = |route: &&Route| match route.prefix {
        0 => Family::of(route.network) == family && !is_local,
        _ => destinations.iter().any(|&ip| Family::of(ip) == family && contains(route, ip)),
    };
    let metric = link.routes().filter(leads_on).map(|route| route.metric).min()?;
    Some((source, metric))
}

/// Whether `ip` lies in the network of `route`.
fn contains(route: &Route, ip: IpAddr) -> bool {
    // What differs, shifted down to the bits that must not; a shift by all bits leaves none.
    let host_bits = |bits: u32| bits.saturating_sub(u32::from(route.prefix));
    match (route.network, ip) {
        (IpAddr::V4(network), IpAddr::V4(ip)) => {
            let differing = network.to_bits() ^ ip.to_bits();
            differing.checked_shr(host_bits(u32::BITS)).unwrap_or(0) == 0
        }
        (IpAddr::V6(network), IpAddr::V6(ip)) => {
            let differing = network.to_bits() ^ ip.to_bits();
            differing.checked_shr(host_bits(u128::BITS)).unwrap_or(0) == 0
        }
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
    }
}

/// Whether `name` matches `pattern`: `*` stands for any run of characters, `?` for any one.
///
/// Only the last `*` is ever tried again, so the steps are bounded by the product of the lengths.
#[must_use]
pub fn matches(pattern: Pattern, name: Name) -> bool {
    let (mut pattern, mut rest) = (pattern.as_str().as_bytes(), name.as_str().as_bytes());
    // What follows the last star, and what that star has left over so far.
    let mut last_star: Option<(&[u8], &[u8])> = None;
    loop {
        match (pattern.split_first(), rest.split_first()) {
            (Some((b'*', after)), _) => {
                last_star = Some((after, rest));
                pattern = after;
            }
            (Some((&wanted, after)), Some((&found, tail))) if wanted == b'?' || wanted == found => {
                (pattern, rest) = (after, tail);
            }
            (None, None) => return true,
            _ => {
                let Some((after, left)) = last_star else { return false };
                let Some((_, left)) = left.split_first() else { return false };
                last_star = Some((after, left));
                (pattern, rest) = (after, left);
            }
        }
    }
}

/// The interface to bind a socket to that goes to `destination`; `None`: leave the way to the
/// kernel.
///
/// A socket bound to an interface cannot reach this device itself (an API or a DNS forwarder on the
/// camera).
#[must_use]
pub fn via(
    settings: &Settings,
    links: &Links,
    uplink: &Uplink,
    destination: IpAddr,
) -> Option<Name> {
    (settings.bind_to_uplink && !links.is_own(destination)).then_some(uplink.name)
}

/// The uplink that is active, and what the server may know of it.
///
/// ```text
///  none --X is best-------------------------> X   failover_to_X, or nothing while starting
///  X ----none is usable---------------------> none
///  X ----Y is best, and above X-------------> Y   Y_priority
///  X ----Y is best, and below X-------------> Y   failover_to_Y
///  X ----an address is gone, another there--> X   address_changed
/// ```
#[derive(Debug, Clone, Default)]
pub struct Active(Option<Uplink>);

impl Active {
    /// No uplink has been active yet.
    #[must_use]
    pub const fn new() -> Self {
        Self(None)
    }

    /// The name of the active uplink.
    #[must_use]
    pub fn name(&self) -> Option<Name> {
        self.0.map(|uplink| uplink.name)
    }

    /// Follows a new ranking and says for which reason, if any, the server is to be told at once.
    ///
    /// While `starting`, the first uplink is no news: the first beat has a reason of its own. Above
    /// and below are meant by the present settings; an interface that is gone counts with the
    /// metric it had last.
    pub fn follow(
        &mut self,
        uplinks: &[Uplink],
        links: &Links,
        settings: &Settings,
        starting: bool,
    ) -> Option<Reason> {
        let former = self.0;
        self.0 = uplinks.first().copied();
        let (former, best) = match (former, self.0.as_mut()) {
            (_, None) => return None,
            (None, Some(best)) => return (!starting).then_some(Reason::FailoverTo(best.name)),
            (Some(former), Some(best)) => (former, best),
        };
        if former.index == best.index {
            let link = links.by_index(best.index);
            let v4_changed = keep(former.v4, &mut best.v4, link);
            let v6_changed = keep(former.v6, &mut best.v6, link);
            return (v4_changed || v6_changed).then_some(Reason::AddressChanged);
        }
        let overtaken = uplinks.iter().any(|uplink| uplink.index == former.index);
        if overtaken || best.order(settings) < former.order(settings) {
            Some(Reason::Priority(best.name))
        } else {
            Some(Reason::FailoverTo(best.name))
        }
    }
}

/// Keeps the `former` address in mind until it is gone and another has taken its place; says if
/// that is so.
///
/// One more address is no change, nor is one that comes back; and a lease that is renewed with
/// another address has none for a moment.
fn keep<A: Copy + PartialEq + Into<IpAddr>>(
    former: Option<A>,
    now: &mut Option<A>,
    link: Option<&Link>,
) -> bool {
    let Some(former) = former else { return false };
    let stays = link.is_some_and(|link| link.has_usable(former.into()));
    let changed = !stays && now.is_some_and(|now| now != former);
    if !changed {
        *now = Some(former);
    }
    changed
}

#[cfg(test)]
mod tests;
