//! The main promise: **if a path can carry a request and its response, a beat is acknowledged
//! within a bound**, whatever else fails meanwhile.
//!
//! A *path* is a socket that is bound to an interface, or an unbound one. Only the simulation knows
//! which paths work: it checks each of them after every change of the weather. Only a lasting path
//! counts. Two paths that work in turns cannot carry a beat that needs both.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use linkbeat_core::proto::agent::Agent;
use linkbeat_core::proto::link::InterfaceName;
use linkbeat_core::proto::route::RouteQuestion;
use linkbeat_core::proto::settings::{Host, ResolverSettings, Settings};
use linkbeat_core::proto::time::Instant;
use linkbeat_core::proto::uplink::matches;

use super::claims::Claims;
use super::net::{Mood, NameMood, Net};

/// Longest delay of a beat by a path that acknowledges segments but gives no response.
const PATIENCE: Duration = Duration::from_secs(2);
/// Longest delay of a beat by a path that does not even acknowledge segments.
const DOUBT: Duration = Duration::from_millis(300);
/// Longest delay by the silent nameservers of one path.
const NAME_PATIENCE: Duration = Duration::from_secs(1);
/// Longest pause between two rounds over the nameservers.
const NAME_REST: Duration = Duration::from_secs(5);
/// Time for a token of moderation and a dump of the links.
const SLACK: Duration = Duration::from_secs(3);
/// Slowest nameserver that must be waited for.
const NAMES_SLOW: Duration = Duration::from_secs(1);

/// Longest time between two acknowledged beats, or from the moment at which a path works to the
/// first of them. `in_vain` is the time that a beat loses on paths that do not work.
///
/// A round of attempts is due within an interval: by the cycle, or by the back-off, which is not
/// longer. It ends within `request_timeout`. Paths that failed are tried last in the next round, so
/// each round gets a `request_timeout` further.
pub(crate) fn bound(settings: &Settings, in_vain: Duration) -> Duration {
    let timeout = settings.request_timeout;
    let further = in_vain.as_micros() / timeout.as_micros();
    let rounds = 1 + u32::try_from(further).unwrap();
    (settings.interval + timeout) * rounds + settings.recovery_spread + NAME_REST + SLACK
}

/// A working path to the server or to a nameserver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Witness {
    /// The server at this address, over a socket bound to this interface.
    Server(Option<InterfaceName>, IpAddr),
    /// The nameserver at this address, over a socket bound to this interface.
    Names(Option<InterfaceName>, IpAddr),
}

/// The working paths, and the times that follow from them.
#[derive(Debug, Default)]
pub(crate) struct Delivery {
    since: BTreeMap<Witness, Instant>,
    /// Since when a beat can be carried.
    carried_since: Option<Instant>,
    /// Longest time since then that a beat loses on paths that do not work.
    in_vain: Duration,
    /// Until this time no beat was wanted, a Retry-After was in force, or the connections of an hour
    /// were spent on a server that does not answer.
    excused_until: Option<Instant>,
    wanted: bool,
    settled_at: Option<Instant>,
    /// Total time in which a beat was promised.
    pub(crate) promised: Duration,
    /// The largest fraction of its bound that a beat took.
    pub(crate) longest: f64,
}

impl Delivery {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Restarts all bounds, after connections were lost or the wanted state changed.
    pub(crate) fn interrupt(&mut self) {
        self.since.clear();
        self.carried_since = None;
    }

    /// Determines which paths work now.
    pub(crate) fn survey(
        &mut self,
        net: &Net,
        settings: &Settings,
        resolver: &ResolverSettings,
        good: Option<IpAddr>,
        now: Instant,
    ) {
        let witnesses = witnesses(net, settings, resolver, now);
        let former = std::mem::take(&mut self.since);
        let since = |witness: Witness| (witness, former.get(&witness).copied().unwrap_or(now));
        self.since = witnesses.into_iter().map(since).collect();
        let carried_since = self.carried_since(settings, good);
        if self.carried_since.is_none() || carried_since.is_none() {
            self.in_vain = Duration::ZERO;
        }
        self.carried_since = carried_since;
        self.in_vain = self.in_vain.max(in_vain(net, settings, resolver));
    }

    fn carried_since(&self, settings: &Settings, good: Option<IpAddr>) -> Option<Instant> {
        let named = matches!(&settings.server.as_ref()?.host, Host::Name(_));
        let names = |witness: &Witness| matches!(witness, Witness::Names(..));
        let names = self.since.iter().filter(|(it, _)| names(it)).map(|(_, since)| *since).min();
        let carried = |(witness, since): (&Witness, &Instant)| match witness {
            // The address is literal, or known from the last acknowledged beat.
            Witness::Server(_, to) if !named || good == Some(*to) => Some(*since),
            Witness::Server(..) => names.map(|names| names.max(*since)),
            Witness::Names(..) => None,
        };
        self.since.iter().filter_map(carried).min()
    }

    /// Checks the promise after every step.
    pub(crate) fn settle(
        &mut self,
        claims: &Claims,
        agent: &Agent,
        settings: &Settings,
        now: Instant,
    ) {
        let view = agent.view(now);
        let wanted = view.in_flight || view.pending.is_some() || view.due_at.is_some();
        if !std::mem::replace(&mut self.wanted, wanted) || !wanted {
            self.excused_until = Some(now);
        }
        self.excused_until = self.excused_until.max(view.held_until);
        if claims.may_be_spent(now) {
            self.excused_until = Some(now);
        }
        let settled_at = self.settled_at.replace(now).unwrap_or(now);
        let Some(since) = self.carried_since else { return };
        let since = since.max(claims.acknowledged_at);
        let since = self.excused_until.map_or(since, |until| since.max(until));
        let (took, bound) = (now - since, bound(settings, self.in_vain));
        self.promised += now - settled_at.max(since);
        self.longest = self.longest.max(took.as_secs_f64() / bound.as_secs_f64());
        assert!(
            took <= bound,
            "no beat for {took:?} of at most {bound:?} with {:?} in vain, although {:?}",
            self.in_vain,
            self.since
        );
    }
}

pub(crate) fn is_ignored(settings: &Settings, name: InterfaceName) -> bool {
    settings.ignore_interfaces.iter().any(|pattern| matches(*pattern, name))
}

/// Whether the agent may use this route. An unbound route over an ignored interface counts only if
/// it leads specifically to the destination.
fn is_wanted(net: &Net, settings: &Settings, via: Option<InterfaceName>, to: IpAddr) -> bool {
    let route = net.kernel.answer(RouteQuestion { to, bound: None });
    let Some(route) = route.filter(|_| via.is_none() && settings.bind_to_uplink) else {
        return true;
    };
    let out = net.kernel.by_index(route.index);
    route.local || route.is_on_purpose() || out.is_none_or(|it| !is_ignored(settings, it.name))
}

/// All sockets that may be used: bound to each interface, and unbound.
fn ways(net: &Net, settings: &Settings) -> Vec<Option<InterfaceName>> {
    let bound = net.kernel.present().filter(|it| it.runs() && !is_ignored(settings, it.name));
    let bound = bound.map(|it| Some(it.name)).filter(|_| settings.bind_to_uplink);
    bound.chain([None]).collect()
}

/// The addresses of the server.
fn addresses(net: &Net, settings: &Settings) -> Vec<IpAddr> {
    match settings.server.as_ref().map(|server| &server.host) {
        None => vec![],
        Some(Host::Address(to)) => vec![*to],
        Some(Host::Name(_)) => net.outside.named().collect(),
    }
}

fn nameservers<'a>(
    resolver: &'a ResolverSettings,
    ways: &'a [Option<InterfaceName>],
) -> impl Iterator<Item = (Option<InterfaceName>, IpAddr)> + 'a {
    resolver.nameservers.iter().flat_map(|server| {
        let scope = server.scope.map(Some);
        let ways = ways.iter().copied().filter(move |_| scope.is_none());
        scope.into_iter().chain(ways).map(|via| (via, server.address))
    })
}

fn witnesses(
    net: &Net,
    settings: &Settings,
    resolver: &ResolverSettings,
    now: Instant,
) -> Vec<Witness> {
    let outside = &net.outside;
    let trusted = outside.plain || net.wall.trusts(now);
    if !settings.enabled || outside.mood != Mood::Well || outside.exhausted || !trusted {
        return vec![];
    }
    let ways = ways(net, settings);
    let named = match outside.names {
        NameMood::Right => true,
        NameMood::Slow(wait) => wait <= NAMES_SLOW,
        NameMood::Silent | NameMood::Failing(_) | NameMood::Wrong(..) => false,
    };
    let servers = addresses(net, settings)
        .into_iter()
        .filter(|to| outside.addresses.contains(to))
        .flat_map(|to| ways.iter().map(move |via| (*via, to)))
        .filter(|(via, to)| net.delivers(*via, *to) && is_wanted(net, settings, *via, *to))
        .map(|(via, to)| Witness::Server(via, to));
    let names = nameservers(resolver, &ways)
        .filter(|(via, to)| named && net.delivers(*via, *to) && is_wanted(net, settings, *via, *to))
        .map(|(via, to)| Witness::Names(via, to));
    servers.chain(names).collect()
}

/// Time that a beat loses if every path and address that does not work is tried first.
fn in_vain(net: &Net, settings: &Settings, resolver: &ResolverSettings) -> Duration {
    let addresses = addresses(net, settings);
    let mut sum = Duration::ZERO;
    for via in ways(net, settings) {
        let sent = addresses.iter().filter(|to| net.sends(via, **to)).count();
        let delivered = addresses.iter().filter(|to| net.delivers(via, **to)).count();
        sum += DOUBT * u32::try_from(sent.saturating_sub(delivered)).unwrap();
        sum += if sent > 0 && delivered == 0 { PATIENCE } else { Duration::ZERO };
        let asked = |it: &(Option<InterfaceName>, IpAddr)| {
            net.sends(it.0, it.1) && !net.delivers(it.0, it.1)
        };
        let silent = nameservers(resolver, &[via]).any(|it| asked(&it));
        sum += if silent { NAME_PATIENCE } else { Duration::ZERO };
    }
    sum
}
