//! The interfaces that may become uplinks, as the kernel last reported them.
//!
//! It compares state and does not count events: a message changes something or nothing, and the
//! caller gets to know which. Addresses and routes are not kept here: [`routing`](super::routing)
//! asks the kernel. Nothing is judged here either; [`uplink`](super::uplink) does.
//!
//! ```text
//!   start_dump ----- apply, apply, ... ----- finish_dump      what the dump did not name is gone,
//!    unmarks all      marks what is named     sweeps           whichever message about it was lost
//! ```

use heapless::Vec;

use super::link::{InterfaceName, LinkEvent, LinkIndex, Mac};

/// Most interfaces kept. Ignored ones take no place, and one that runs takes that of one that does
/// not; of more that run, later ones are left out until one of the former is gone.
pub const LINKS_MAX: usize = 32;
/// Most ignored interfaces whose names are kept, for people to read.
pub const IGNORED_MAX: usize = 8;

/// One interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Link {
    /// The kernel's number.
    pub index: LinkIndex,
    /// The name of the interface.
    pub name: InterfaceName,
    /// Whether it can carry packets.
    pub running: bool,
    /// Hardware address in use.
    pub mac: Option<Mac>,
    /// Whether the present dump has named it.
    marked: bool,
}

/// The changes that a message about a link has made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinksChange {
    /// A name, a running state or a hardware address is another one, or the interface is gone.
    pub any: bool,
    /// An interface can carry packets that could not before.
    pub gained: bool,
}

impl LinksChange {
    const NONE: Self = Self { any: false, gained: false };
}

/// All interfaces that are not ignored.
#[derive(Debug, Clone, Default)]
pub struct Links {
    links: Vec<Link, LINKS_MAX>,
    /// Ignored interfaces that run.
    ignored: Vec<(LinkIndex, InterfaceName), IGNORED_MAX>,
    /// The universally administered address of the interface with the lowest index, ignored or not.
    device_mac: Option<(LinkIndex, Mac)>,
    /// A link that runs found no room, and no dump has shown since that all do.
    left_out: bool,
    /// The same flag since the present dump began.
    dump_left_out: bool,
}

impl Links {
    /// Takes in one message about a link; those about anything else change nothing.
    ///
    /// What was known already and scan messages change nothing. `ignored` says which names never
    /// become an uplink.
    pub fn apply(
        &mut self,
        event: LinkEvent,
        ignored: impl Fn(InterfaceName) -> bool,
    ) -> LinksChange {
        match event {
            LinkEvent::Link { index, name, running, mac, permanent_mac } => {
                self.note_mac(index, permanent_mac.or(mac));
                if ignored(name) {
                    let gained = self.put_ignored(index, name, running);
                    return LinksChange { any: self.remove(|link| link.index == index), gained };
                }
                self.ignored.retain(|(other, _)| *other != index);
                // Whoever had the name before is gone or renamed, by a message that was lost.
                let taken = self.remove(|link| link.index != index && link.name == name);
                let change = self.put(Link { index, name, running, mac, marked: true });
                LinksChange { any: change.any || taken, ..change }
            }
            LinkEvent::LinkGone { index } => {
                self.ignored.retain(|(other, _)| *other != index);
                self.device_mac.take_if(|(other, _)| *other == index);
                LinksChange { any: self.remove(|link| link.index == index), gained: false }
            }
            LinkEvent::Announced(_) => LinksChange::NONE,
        }
    }

    /// Forgets the interfaces that are ignored from now on.
    pub fn remove_ignored(&mut self, ignored: impl Fn(InterfaceName) -> bool) {
        self.remove(|link| ignored(link.name));
    }

    /// A dump begins: until [`finish_dump`](Self::finish_dump), what is named is marked.
    ///
    /// An interrupted dump is simply started again.
    pub fn start_dump(&mut self) {
        self.dump_left_out = false;
        self.ignored.clear();
        self.links.iter_mut().for_each(|link| link.marked = false);
    }

    /// The dump is complete: what was not named since it began is gone. True if that changed any.
    pub fn finish_dump(&mut self) -> bool {
        self.left_out = self.dump_left_out;
        self.remove(|link| !link.marked)
    }

    /// Whether there was no room for one that runs, which only a dump can bring back when there is.
    pub const fn is_incomplete(&self) -> bool {
        self.left_out
    }

    /// Whether one that was left out would find room now.
    pub fn wants_dump(&self) -> bool {
        self.left_out && !self.links.is_full()
    }

    /// The interfaces, in the order in which they appeared.
    pub fn iter(&self) -> impl Iterator<Item = &Link> + Clone {
        self.links.iter()
    }

    /// The interface of this name.
    pub fn by_name(&self, name: InterfaceName) -> Option<&Link> {
        self.iter().find(|link| link.name == name)
    }

    /// The interface of this number.
    pub fn by_index(&self, index: LinkIndex) -> Option<&Link> {
        self.iter().find(|link| link.index == index)
    }

    /// The name of an interface, ignored or not, as far as it is kept.
    pub fn name_of(&self, index: LinkIndex) -> Option<InterfaceName> {
        let ignored = || self.ignored().find(|(other, _)| *other == index);
        self.by_index(index).map(|link| link.name).or_else(|| ignored().map(|(_, name)| name))
    }

    /// Ignored interfaces that run, besides the loopback; at most [`IGNORED_MAX`].
    pub fn ignored(&self) -> impl Iterator<Item = (LinkIndex, InterfaceName)> {
        self.ignored.iter().copied()
    }

    /// The permanent, universally administered hardware address of the interface with the lowest
    /// index that has one.
    pub fn device_mac(&self) -> Option<Mac> {
        self.device_mac.map(|(_, mac)| mac)
    }

    fn note_mac(&mut self, index: LinkIndex, mac: Option<Mac>) {
        let Some(mac) = mac.filter(|mac| mac.is_universal()) else { return };
        if self.device_mac.is_none_or(|(lowest, _)| index <= lowest) {
            self.device_mac = Some((index, mac));
        }
    }

    /// True if it runs and did not before.
    fn put_ignored(&mut self, index: LinkIndex, name: InterfaceName, running: bool) -> bool {
        let before = self.ignored.len();
        self.ignored.retain(|(other, _)| *other != index);
        let ran = self.ignored.len() != before;
        let shown = running && name.as_str() != "lo";
        let room = shown && self.ignored.push((index, name)).is_ok();
        room && !ran
    }

    fn put(&mut self, new: Link) -> LinksChange {
        let Some(link) = self.links.iter_mut().find(|link| link.index == new.index) else {
            if self.links.is_full() && new.running {
                let idle = self.links.iter().position(|link| !link.running);
                idle.map(|place| self.links.remove(place));
            }
            let room = self.links.push(new).is_ok();
            self.dump_left_out |= !room && new.running;
            self.left_out |= self.dump_left_out;
            return LinksChange { any: room, gained: room && new.running };
        };
        let before = *link;
        // A scan message names no hardware address, and no interface loses the one it has.
        *link = Link { mac: new.mac.or(before.mac), ..new };
        LinksChange {
            any: (before.name, before.running, before.mac) != (link.name, link.running, link.mac),
            gained: link.running && !before.running,
        }
    }

    fn remove(&mut self, gone: impl Fn(&Link) -> bool) -> bool {
        let before = self.links.len();
        self.links.retain(|link| !gone(link));
        self.links.len() != before
    }
}

#[cfg(test)]
mod tests;
