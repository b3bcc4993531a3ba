//! The reports of the kernel about links and routes, and the questions to it.

use core::net::IpAddr;
use core::time::Duration;

use super::{Network, routing};
use crate::proto::event::{Action, Actions, Note};
use crate::proto::link::{Announcement, InterfaceName, LinkEvent};
use crate::proto::links::{Link, LinksChange};
use crate::proto::race::Connection;
use crate::proto::route::{Route, RouteQuestion};
use crate::proto::routing::{Destinations, OWN_MAX};
use crate::proto::settings::Settings;
use crate::proto::time::Instant;
use crate::proto::uplink;

/// How long after a carrier came or went the kernel is asked whether that has changed its answers.
const CONFIRM: Duration = Duration::from_millis(50);
/// How long a removed route has to return before the kernel is asked for what is left: scripts that
/// renew a lease remove the route and set it again, a process for each.
const ROUTE_RETURN: Duration = Duration::from_millis(100);

/// How far the kernel has reported everything. `again`: for the second time, because what came in
/// between said too little again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dump {
    /// The first dump is awaited or under way: nothing is decided. Where it said too little, because
    /// an interface beside those that have a place has gone, it is ordered once more as well.
    First { again: bool },
    /// The first dump is complete, and the first answers on routes are awaited.
    Unrouted,
    /// Links and routes are known.
    Complete,
    /// They are known and being reported once more, because messages were lost or said too little.
    Renewed { again: bool },
}

impl Network {
    /// Whether everything was reported once: beats may begin.
    pub(crate) const fn is_complete(&self) -> bool {
        matches!(self.dump, Dump::Complete | Dump::Renewed { .. })
    }

    /// Has the kernel report everything.
    pub(crate) fn order_dump(&mut self, actions: &mut Actions) {
        self.dump_links(false, actions);
    }

    fn dump_links(&mut self, again: bool, actions: &mut Actions) {
        self.dump = match self.dump {
            Dump::First { .. } | Dump::Unrouted => Dump::First { again },
            Dump::Complete | Dump::Renewed { .. } => Dump::Renewed { again },
        };
        self.links.start_dump();
        Action::DumpLinks.push_to(actions);
    }

    /// The dump is complete.
    pub(crate) fn dumped(&mut self, actions: &mut Actions) {
        let (complete, again) = match self.dump {
            Dump::First { again } => (Dump::Unrouted, again),
            Dump::Renewed { again } => (Dump::Complete, again),
            complete @ (Dump::Unrouted | Dump::Complete) => (complete, true),
        };
        self.dump = complete;
        self.links.finish_dump();
        // Whatever was lost besides shows in the answers.
        self.routing.forget_announcements();
        self.routing.want();
        // Once more at most: a kernel that cannot make itself clear is not asked for ever.
        if self.links.wants_dump() && !again {
            self.dump_links(true, actions);
        }
    }

    /// Forgets the interfaces that are ignored from now on, and has those reported that were till
    /// now.
    pub(crate) fn ignore(&mut self, settings: &Settings, actions: &mut Actions) {
        self.links.remove_ignored(|name| uplink::is_ignored(settings, name));
        if self.is_complete() {
            self.order_dump(actions);
        }
    }

    /// Takes in a message about a link.
    ///
    /// A change is acted upon at once, by the answers at hand: the kernel's tables of routes do not
    /// follow a carrier. Then [`confirm`](Self::confirm) is to be called.
    pub(crate) fn link_changed(
        &mut self,
        event: LinkEvent,
        settings: Option<&Settings>,
        actions: &mut Actions,
    ) -> LinksChange {
        let ignored = |name| settings.is_some_and(|settings| uplink::is_ignored(settings, name));
        let complete = !self.links.is_incomplete();
        let change = self.links.apply(event, ignored);
        if complete && self.links.is_incomplete() {
            Action::Note(Note::LinksLeftOut).push_to(actions);
        }
        if change.any || change.gained {
            // Routes may have gone with it, without an announcement of their own.
            self.routing.forget_announcements();
        }
        change
    }

    /// Has the kernel asked for the outcome of a change of links.
    pub(crate) fn confirm(&mut self, now: Instant, actions: &mut Actions) {
        let known = |link: &Link| !link.running || self.routing.has_way(link.index);
        let is_known = self.links.iter().all(known);
        if !is_known || !self.binds {
            self.routing.want();
        }
        if is_known {
            // A carrier takes no route away; what is sent for it now comes first. An unbound socket
            // has only the kernel's own choice, and that may be made a moment later.
            self.routing.want_at(now + CONFIRM);
        }
        let at_rest = matches!(self.dump, Dump::Unrouted | Dump::Complete);
        if self.links.wants_dump() && at_rest {
            self.order_dump(actions);
        }
    }

    /// Takes in an announcement: the kernel is asked for the outcome if it is news.
    pub(crate) fn announced(&mut self, announcement: &Announcement, now: Instant) {
        if !self.routing.is_news(announcement) {
            return;
        }
        if announcement.removes_a_route() {
            self.routing.want_at(now + ROUTE_RETURN);
        } else {
            self.routing.want();
        }
    }

    /// Takes the kernel's answers; the first ones after the first dump let beats begin.
    pub(crate) fn routes_answered(&mut self, routes: &[Route], actions: &mut Actions) {
        let complete = !self.routing.is_incomplete();
        self.routing.answered(routes);
        if complete && self.routing.is_incomplete() {
            Action::Note(Note::LinksLeftOut).push_to(actions);
        }
        if self.dump == Dump::Unrouted {
            self.dump = Dump::Complete;
        }
    }

    /// Orders the question to the kernel that is due, for a destination of these connections that
    /// is new too.
    pub(crate) fn ask_kernel(
        &mut self,
        connections: impl Iterator<Item = Connection>,
        actions: &mut Actions,
    ) {
        let (destinations, own) = self.destinations(connections);
        self.routing.need(&destinations, &own);
        if self.routing.is_wanted() {
            self.routing.ask(destinations, own);
            Action::AskRoutes.push_to(actions);
        }
    }

    /// The questions for the kernel.
    pub(crate) fn questions(&self) -> impl Iterator<Item = RouteQuestion> {
        self.routing.questions(&self.links)
    }

    /// Everything that is to be reached, and the local addresses that connections depend on.
    fn destinations(
        &self,
        connections: impl Iterator<Item = Connection>,
    ) -> (Destinations, heapless::Vec<IpAddr, OWN_MAX>) {
        let (mut to, mut own) = (Destinations::new(), heapless::Vec::new());
        for Connection { via, to: remote, local, .. } in connections {
            routing::add(&mut to, remote.ip());
            // The address that the kernel would take anew needs no question of its own.
            if let Some(local) = local.filter(|local| !self.is_source(via, remote.ip(), *local)) {
                routing::add(&mut own, local);
            }
        }
        let is_current =
            |ip: IpAddr| self.first().is_some_and(|it| it.sources().any(|own| own == ip));
        for reported in self.active.addresses().filter(|ip| !is_current(*ip)) {
            routing::add(&mut own, reported);
        }
        self.server().into_iter().for_each(|ip| routing::add(&mut to, ip));
        self.resolver.nameservers().for_each(|server| routing::add(&mut to, server.address));
        self.internet.iter().for_each(|ip| routing::add(&mut to, *ip));
        (to, own)
    }

    /// Whether a connection's way is still one and its local address is still there.
    pub(crate) fn is_usable(&self, connection: &Connection) -> bool {
        let Connection { via, to, local, .. } = *connection;
        let lost = |local| !self.is_source(via, to.ip(), local) && self.routing.is_lost(local);
        self.leads(via, to.ip()) && !local.is_some_and(lost)
    }

    /// Whether the kernel would send from this address on this way.
    fn is_source(&self, via: Option<InterfaceName>, to: IpAddr, source: IpAddr) -> bool {
        self.route(via, to).is_some_and(|route| route.source == Some(source))
    }
}
