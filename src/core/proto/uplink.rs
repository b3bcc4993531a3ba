//! Which interfaces lead out, in which order, and when a change of uplink is worth a beat.
//!
//! Pure functions of the links, the kernel's answers and the settings, and one memory: the uplink
//! that was active last. Nothing here knows whether a server answers; racing around a dead path is
//! the beat's business.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use heapless::Vec;

use super::event::Reason;
use super::link::{InterfaceName, LinkIndex};
use super::links::{Link, Links};
use super::route::{Family, Route};
use super::routing::Routing;
use super::settings::{Pattern, Settings};

/// Most uplinks kept; of more usable interfaces the best ones stay.
pub(super) const UPLINKS_MAX: usize = 8;
/// From this metric on an interface comes after all others: network managers add as much to that of
/// one whose connectivity check fails.
pub(super) const DEMOTED: u32 = 20_000;

/// Usable interfaces, best first.
pub(super) type Uplinks = Vec<Uplink, UPLINKS_MAX>;

/// A usable interface: it runs, and the kernel would send out of it, for at least one family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Uplink {
    /// The kernel's number.
    pub index: LinkIndex,
    /// The name of the interface.
    pub name: InterfaceName,
    /// The address to go out with over IPv4; `None`: IPv4 is not usable here.
    pub v4: Option<Ipv4Addr>,
    /// The address to go out with over IPv6; `None`: IPv6 is not usable here.
    pub v6: Option<Ipv6Addr>,
    /// Lowest metric of the routes that make it usable.
    pub metric: u32,
    /// The server is reached this way, as far as the kernel knows; while no address of it is known,
    /// anything.
    pub leads_to_server: bool,
    /// An administrator has routed the server itself this way.
    pub on_purpose: bool,
    /// The kernel, if asked, takes this one.
    pub kernels_choice: bool,
}

impl Uplink {
    /// The addresses to go out with, one for each family that is usable.
    pub fn sources(&self) -> impl Iterator<Item = IpAddr> + Clone {
        Family::ALL.into_iter().filter_map(|family| match family {
            Family::V4 => self.v4.map(IpAddr::V4),
            Family::V6 => self.v6.map(IpAddr::V6),
        })
    }

    /// Whether it can do something that it, or its predecessor of this name, could not do before.
    pub(super) fn is_new(&self, before: &[Self]) -> bool {
        before.iter().find(|former| former.name == self.name).is_none_or(|former| {
            (self.v4.is_some() && self.v4 != former.v4)
                || (self.v6.is_some() && self.v6 != former.v6)
        })
    }

    /// The uplink that `link` is, if it is one.
    fn of(link: &Link, routing: &Routing, destinations: &[IpAddr]) -> Option<Self> {
        let (index, name) = (link.index, link.name);
        let mut uplink = Self {
            index,
            name,
            v4: None,
            v6: None,
            metric: u32::MAX,
            leads_to_server: true,
            on_purpose: false,
            kernels_choice: false,
        };
        let leads = |to: &&IpAddr| leads_out(routing, **to, index).is_some();
        for &to in destinations.iter().filter(leads) {
            let Some(route) = routing.route(to, Some(index)) else { continue };
            match route.source {
                Some(IpAddr::V4(v4)) => uplink.v4 = uplink.v4.or(Some(v4)),
                Some(IpAddr::V6(v6)) => uplink.v6 = uplink.v6.or(Some(v6)),
                None => {}
            }
            uplink.metric = uplink.metric.min(route.metric);
            uplink.on_purpose |= routing.is_on_purpose(to, route);
            uplink.kernels_choice |=
                routing.route(to, None).is_some_and(|route| route.index == index);
        }
        (uplink.v4.is_some() || uplink.v6.is_some()).then_some(uplink)
    }

    /// The place in the order, first best.
    ///
    /// Interfaces that lead to the server come first, those that an administrator has routed there
    /// on purpose before all others; those that a network manager has demoted come last. Between
    /// them the operator's patterns decide, then the kernel's metric, then its choice, then the
    /// number.
    fn order(&self, settings: &Settings) -> impl Ord + use<> {
        let listed = priority(settings, self.name);
        let demoted = self.metric >= DEMOTED;
        let fit = (!self.leads_to_server, !self.on_purpose, demoted);
        (fit, listed, self.metric, !self.kernels_choice, self.index)
    }
}

/// The usable interfaces, best first.
///
/// A family is usable if the kernel would send from it to one of the addresses of the `server` or
/// of the `internet`. While no address of the server is known, the addresses of the internet show
/// what is routed on purpose.
pub(super) fn rank(
    links: &Links,
    routing: &Routing,
    settings: &Settings,
    server: &[IpAddr],
    internet: &[IpAddr],
) -> Uplinks {
    let mut uplinks = Uplinks::new();
    for link in links.iter().filter(|link| link.running) {
        let at_the_server = Uplink::of(link, routing, server);
        let outside = Uplink::of(link, routing, internet).map(|outside| Uplink {
            leads_to_server: server.is_empty(),
            on_purpose: outside.on_purpose && server.is_empty(),
            ..outside
        });
        let Some(mut uplink) = at_the_server.or(outside) else { continue };
        uplink.v4 = uplink.v4.or(outside.and_then(|outside| outside.v4));
        uplink.v6 = uplink.v6.or(outside.and_then(|outside| outside.v6));
        let place =
            uplinks.partition_point(|better| better.order(settings) < uplink.order(settings));
        if place < UPLINKS_MAX {
            uplinks.truncate(UPLINKS_MAX - 1);
            assert!(uplinks.insert(place, uplink).is_ok(), "the last one made room");
        }
    }
    uplinks
}

/// How a socket bound to this interface would send to `to`; `None`: it could not.
pub(super) fn leads_out(routing: &Routing, to: IpAddr, index: LinkIndex) -> Option<&Route> {
    routing.route(to, Some(index)).filter(|route| route.source.is_some() && !route.local)
}

/// The place of an interface in the operator's order; the highest number for one that is not in it.
pub(super) fn priority(settings: &Settings, name: InterfaceName) -> usize {
    let listed = settings.interfaces.iter().position(|&pattern| matches(pattern, name));
    listed.unwrap_or(usize::MAX)
}

/// Whether an interface of this name is never an uplink.
pub fn is_ignored(settings: &Settings, name: InterfaceName) -> bool {
    name.as_str() == "lo"
        || settings.ignore_interfaces.iter().any(|&pattern| matches(pattern, name))
}

/// Whether an interface of this name costs by the byte.
pub(super) fn is_metered(settings: &Settings, name: InterfaceName) -> bool {
    settings.metered.interfaces.iter().any(|&pattern| matches(pattern, name))
}

/// Whether `name` matches `pattern`: `*` stands for any run of characters, `?` for any one.
///
/// Only the last `*` is ever tried again, so the steps are bounded by the product of the lengths.
pub fn matches(pattern: Pattern, name: InterfaceName) -> bool {
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

/// The uplink that is active, and what the server may know of it.
///
/// ```text
///  none --X is best-------------------------> X   failover_to_X, or nothing while starting
///  X ----none is usable---------------------> none
///  X ----Y is best, and above X-------------> Y   Y_priority
///  X ----Y is best, and below X-------------> Y   failover_to_Y
///  X ----another address in its place-------> X   address_changed
///  X ----its IPv4 address lost, IPv6 stays--> X   address_changed
/// ```
#[derive(Debug, Clone, Default)]
pub(super) struct Active {
    /// The uplink with the addresses that the server knows: those that a beat came from last, or
    /// before the first beat those that the kernel would send from.
    uplink: Option<Uplink>,
    /// The loss of IPv4 was reported to the server.
    v4_lost: bool,
}

impl Active {
    /// The addresses that were reported to the server last.
    pub(super) fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        self.uplink.iter().flat_map(Uplink::sources)
    }

    /// A beat over this interface came from this address.
    pub(super) fn reported(&mut self, via: InterfaceName, from: IpAddr) {
        let Some(uplink) = self.uplink.as_mut().filter(|uplink| uplink.name == via) else { return };
        match from {
            IpAddr::V4(from) => uplink.v4 = Some(from),
            IpAddr::V6(from) => uplink.v6 = Some(from),
        }
    }

    /// Follows a new ranking and returns the reason for an immediate beat, if there is one.
    ///
    /// While `starting`, the first uplink is no news: the first beat has a reason of its own. Above
    /// and below are meant by the present settings; an interface that is gone counts with the
    /// metric it had last.
    pub(super) fn follow(
        &mut self,
        uplinks: &[Uplink],
        routing: &Routing,
        settings: &Settings,
        starting: bool,
    ) -> Option<Reason> {
        let former = self.uplink;
        self.uplink = uplinks.first().copied();
        let (former, best) = match (former, self.uplink.as_mut()) {
            (_, None) => return None,
            (None, Some(best)) => return (!starting).then_some(Reason::FailoverTo(best.name)),
            (Some(former), Some(best)) => (former, best),
        };
        if former.index == best.index {
            let lost = |ip| routing.is_lost(ip);
            let without = best.v4.is_none() && former.v4.is_some_and(|v4| lost(v4.into()));
            let v4_lost = without && !core::mem::replace(&mut self.v4_lost, without);
            self.v4_lost &= best.v4.is_none();
            let v4_changed = keep(former.v4, &mut best.v4, lost);
            let v6_changed = keep(former.v6, &mut best.v6, lost);
            return (v4_changed || v6_changed || v4_lost).then_some(Reason::AddressChanged);
        }
        self.v4_lost = false;
        let still = uplinks.iter().find(|uplink| uplink.index == former.index);
        if starting && still.is_some_and(|former| !former.leads_to_server) {
            // Taken while the address of the server was not known.
            return None;
        }
        let (above, below) = (priority(settings, best.name), priority(settings, former.name));
        let better = still.is_some() || best.order(settings) < former.order(settings);
        if above < below || (above == below && better) {
            Some(Reason::Priority(best.name))
        } else {
            Some(Reason::FailoverTo(best.name))
        }
    }
}

/// Keeps the `former` address in mind until it is lost and another has taken its place; says if
/// that is so.
///
/// One more address is no change, nor is one that is lost and comes back; and a lease that is
/// renewed with another address has none for a moment.
fn keep<A: Copy + PartialEq + Into<IpAddr>>(
    former: Option<A>,
    now: &mut Option<A>,
    lost: impl Fn(IpAddr) -> bool,
) -> bool {
    let Some(former) = former else { return false };
    let changed = now.is_some_and(|now| now != former) && lost(former.into());
    if !changed {
        *now = Some(former);
    }
    changed
}

#[cfg(test)]
mod tests;
