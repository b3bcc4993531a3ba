//! The network as the device sees it: links, routes, uplinks, names, and whether anything outside
//! answers.
//!
//! It decides nothing about beats. What a change of the network means to connections and to beats is
//! decided by the agent. The rooms: `kernel` (what the kernel reports and is asked), `ways` (how a
//! destination is reached), `names` (over which way nameservers are asked), `connectivity` (whether
//! anything outside answers), `parked` (connections that a lost carrier took), `view` (what people
//! are shown).

mod connectivity;
mod kernel;
mod names;
mod parked;
mod view;
mod ways;

pub use self::view::{Identity, Obstacle};
pub(super) use self::ways::Ways;

use core::net::IpAddr;

use self::kernel::Dump;
use self::names::NameTurns;
use self::parked::Parked;
use super::event::{Action, Actions, Note, Reason};
use super::gateways::LostGateways;
use super::link::InterfaceName;
use super::links::Links;
use super::reach::Reach;
use super::resolve::Resolver;
use super::routing::{self, Destinations, Routing, STAND_INS};
use super::services::Services;
use super::settings::Settings;
use super::standby::StandbyTests;
use super::time::Instant;
use super::uplink::{self, Active, Uplink, Uplinks};

/// The state of the network.
#[derive(Debug)]
pub(super) struct Network {
    /// The interfaces that are not ignored.
    links: Links,
    /// How far the kernel has reported everything.
    dump: Dump,
    /// The kernel's answers on routes, and whether it has to be asked again.
    routing: Routing,
    /// Whether sockets are bound to the uplink, by the configuration in force.
    binds: bool,
    /// The destinations of a default route: the targets of the probe, or else addresses that stand
    /// for them.
    internet: Destinations,
    /// The usable interfaces, best first.
    uplinks: Uplinks,
    /// The uplink in use, as the server knows it.
    active: Active,
    /// Since when the uplink in use is the first one.
    usable_at: Instant,
    /// Whether there was a way at the last change.
    had_way: bool,
    /// Connections put aside because their interfaces have lost the carrier.
    parked: Parked,
    /// The gateways that do not answer, while neighbours are listened to.
    watched: Option<LostGateways>,
    /// The server's addresses.
    resolver: Resolver,
    /// Since when an address of the server is known.
    named_at: Option<Instant>,
    /// Over which of their ways the nameservers are asked.
    names: NameTurns,
    /// Whether the outside is reachable, and the probes that find out.
    reach: Reach,
    /// The services on the device that are looked at.
    services: Services,
    /// Whether the uplinks in reserve work.
    standby: StandbyTests,
}

/// The differences between two rankings of the uplinks.
pub(super) struct Change {
    /// The reason for an immediate beat, if there is one.
    pub(super) reason: Option<Reason>,
    /// Anything is another than before.
    pub(super) any: bool,
    /// Another interface is in use.
    pub(super) first: bool,
    /// Another interface is in use, or this one can do something that it could not do before.
    pub(super) moved: bool,
    /// An uplink can do something that it could not do before.
    pub(super) gained: bool,
}

impl Network {
    /// Knows nothing.
    pub(super) fn new(now: Instant) -> Self {
        Self {
            links: Links::default(),
            dump: Dump::First { again: false },
            routing: Routing::default(),
            binds: false,
            internet: STAND_INS.into_iter().collect(),
            uplinks: Uplinks::new(),
            active: Active::default(),
            usable_at: now,
            had_way: false,
            parked: Parked::default(),
            watched: None,
            resolver: Resolver::new(),
            named_at: None,
            names: NameTurns::default(),
            reach: Reach::default(),
            services: Services::default(),
            standby: StandbyTests::default(),
        }
    }

    /// Takes another configuration.
    pub(super) fn configure(&mut self, settings: &Settings, now: Instant, actions: &mut Actions) {
        self.binds = settings.bind_to_uplink;
        self.internet = internet(settings);
        self.services.configure(&settings.services, now, actions);
    }

    /// Compares the uplinks with what they were.
    pub(super) fn follow(
        &mut self,
        settings: &Settings,
        starting: bool,
        now: Instant,
        actions: &mut Actions,
    ) -> Change {
        let server = self.server();
        let uplinks = uplink::rank(&self.links, &self.routing, settings, &server, &self.internet);
        let reason = self.active.follow(&uplinks, &self.routing, settings, starting);
        let before = core::mem::replace(&mut self.uplinks, uplinks);
        let first = |uplinks: &Uplinks| uplinks.first().map(|uplink| (uplink.index, uplink.name));
        let ((was, from), (is, to)) = (first(&before).unzip(), first(&self.uplinks).unzip());
        if was != is {
            self.usable_at = now;
            let lost = self.uplinks.iter().all(|uplink| Some(uplink.index) != was);
            // One that was removed and made anew is the same to people.
            if from != to {
                Action::Note(Note::UplinkChanged { from, to, lost }).push_to(actions);
            }
        } else if let Some((from, to)) = from.zip(to).filter(|(from, to)| from != to) {
            Action::Note(Note::UplinkRenamed { from, to }).push_to(actions);
        }
        let uplinks = &self.uplinks;
        let lost = |former: &&Uplink| uplinks.iter().all(|uplink| uplink.name != former.name);
        for lost in before.iter().filter(lost) {
            self.resolver.link_lost(lost.name, actions);
        }
        let is_new = |uplink: &Uplink| uplink.is_new(&before);
        let change = Change {
            reason,
            any: before != self.uplinks,
            first: was != is,
            moved: was != is || self.first().is_some_and(is_new),
            gained: self.uplinks.iter().any(is_new),
        };
        if change.any {
            // What was found out over the former ways counts no more.
            self.resolver.doubt(true);
            self.names.turn = 0;
        }
        change
    }

    /// The kernel's answers on routes.
    pub(super) const fn routing(&self) -> &Routing {
        &self.routing
    }

    /// The kernel's answers on routes, to be asked for.
    pub(super) const fn routing_mut(&mut self) -> &mut Routing {
        &mut self.routing
    }

    /// The server's addresses.
    pub(super) const fn resolver(&self) -> &Resolver {
        &self.resolver
    }

    /// The server's addresses, to be asked for.
    pub(super) const fn resolver_mut(&mut self) -> &mut Resolver {
        &mut self.resolver
    }

    /// Whether the outside is reachable.
    pub(super) const fn reach(&self) -> &Reach {
        &self.reach
    }

    /// The probes that find out whether the outside is reachable.
    pub(super) const fn reach_mut(&mut self) -> &mut Reach {
        &mut self.reach
    }

    /// The services on the device.
    pub(super) const fn services(&self) -> &Services {
        &self.services
    }

    /// The services on the device, to be checked.
    pub(super) const fn services_mut(&mut self) -> &mut Services {
        &mut self.services
    }

    /// The tests of the uplinks in reserve.
    pub(super) const fn standby(&self) -> &StandbyTests {
        &self.standby
    }

    /// The uplinks in reserve, to be tested.
    pub(super) const fn standby_mut(&mut self) -> &mut StandbyTests {
        &mut self.standby
    }

    /// The server has acknowledged a beat that came from this address of an interface.
    pub(super) fn reported(&mut self, via: InterfaceName, from: IpAddr) {
        self.active.reported(via, from);
    }

    /// Compares what is tested with the uplinks in reserve; if tests are not on, that is nothing.
    pub(super) fn follow_standby(&mut self, settings: &Settings, is_on: bool, now: Instant) {
        let names = self.uplinks.iter().skip(1).map(|uplink| uplink.name);
        let reserve = names.filter(|name| is_on && !uplink::is_metered(settings, *name));
        self.standby.follow(reserve, now);
    }

    /// Lets time pass for names.
    pub(super) fn tick_names(&mut self, now: Instant, actions: &mut Actions) {
        self.resolver.tick(now, actions);
        self.note_names(now);
    }

    /// When something is to be done if nothing happens before.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        [
            self.parked.close_at,
            self.routing.next_deadline(),
            self.reach.next_deadline(),
            self.resolver.next_deadline(),
            self.names.wait.map(|wait| wait.move_at),
            self.services.next_deadline(),
            self.standby.next_deadline(),
        ]
        .into_iter()
        .flatten()
        .min()
    }
}

/// The destinations of a default route: the targets of the probe, or else addresses for them.
fn internet(settings: &Settings) -> Destinations {
    let mut to = Destinations::new();
    for probe in &settings.probe_addresses {
        routing::add(&mut to, probe.ip());
    }
    for ip in STAND_INS {
        if to.iter().all(|probe| probe.is_ipv4() != ip.is_ipv4()) {
            routing::add(&mut to, ip);
        }
    }
    to
}

#[cfg(test)]
impl Network {
    /// Takes every gateway for one that answers.
    pub(super) fn forget_lost_gateways(&mut self) {
        self.watched = self.watched.take().map(|_| LostGateways::default());
    }
}
