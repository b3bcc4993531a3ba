//! Sockets of one kind, each at the slot that its token names.

use std::os::fd::AsFd;

use mio::{Interest, Registry, Token};

use crate::sys::failure_of;
use crate::sys::readiness::watch;
use linkbeat_core::proto::event::Failure;

/// At most `N` sockets, known to the core by an `Id`. Their room is allocated once, for all.
pub(super) struct Slots<Id, Socket, const N: usize> {
    /// The token of the first slot.
    first: usize,
    /// The sockets and their ids.
    slots: Box<[Option<(Id, Socket)>]>,
}

impl<Id: Copy + PartialEq, Socket: AsFd, const N: usize> Slots<Id, Socket, N> {
    pub(super) fn new(first: usize) -> Self {
        Self { first, slots: (0..N).map(|_| None).collect() }
    }

    /// Puts a socket into a free slot, and has it watched.
    ///
    /// # Panics
    ///
    /// If there is no free slot: the core keeps to the limit that `N` is.
    pub(super) fn open(
        &mut self,
        registry: &Registry,
        id: Id,
        socket: Socket,
        interest: Interest,
    ) -> Result<(), Failure> {
        let free = self.slots.iter_mut().enumerate().find(|(_, slot)| slot.is_none());
        let (slot, place) = free.expect("the core keeps to its limits");
        let watched = watch(registry, &socket, Token(self.first + slot), interest);
        watched.map_err(|error| failure_of(&error))?;
        *place = Some((id, socket));
        Ok(())
    }

    /// Has the socket at a slot watched that has replaced its descriptor.
    pub(super) fn watch_again(
        &mut self,
        registry: &Registry,
        slot: usize,
        interest: Interest,
    ) -> Result<(), Failure> {
        let token = Token(self.first + slot);
        let watched = self.at(slot).map(|(_, socket)| watch(registry, socket, token, interest));
        watched.unwrap_or(Ok(())).map_err(|error| failure_of(&error))
    }

    /// The sockets with their slots.
    pub(super) fn iter(&self) -> impl Iterator<Item = (usize, &Socket)> {
        let places = self.slots.iter().enumerate();
        places.filter_map(|(slot, place)| place.as_ref().map(|(_, socket)| (slot, socket)))
    }

    /// The sockets, to change.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Socket> {
        self.slots.iter_mut().flatten().map(|(_, socket)| socket)
    }

    /// The socket at a slot, and its id.
    pub(super) fn at(&mut self, slot: usize) -> Option<(Id, &mut Socket)> {
        let (id, socket) = self.slots.get_mut(slot)?.as_mut()?;
        Some((*id, socket))
    }

    /// The socket of an id, and its slot.
    pub(super) fn find(&mut self, id: Id) -> Option<(usize, &mut Socket)> {
        let slot = self.slot_of(id)?;
        self.at(slot).map(|(_, socket)| (slot, socket))
    }

    /// Gives the first socket that `is` the one meant another id; false if there is none.
    pub(super) fn rename(&mut self, id: Id, mut is: impl FnMut(&mut Socket) -> bool) -> bool {
        let mut places = self.slots.iter_mut().flatten();
        let meant = places.find_map(|(known, socket)| is(socket).then_some(known));
        meant.map(|known| *known = id).is_some()
    }

    /// Closes the sockets that `is` true of.
    pub(super) fn close_if(&mut self, is: impl Fn(&Socket) -> bool) {
        self.slots.iter_mut().for_each(|place| drop(place.take_if(|(_, socket)| is(socket))));
    }

    /// Takes the socket of an id out.
    pub(super) fn take(&mut self, id: Id) -> Option<Socket> {
        let slot = self.slot_of(id)?;
        self.slots.get_mut(slot)?.take().map(|(_, socket)| socket)
    }

    /// Takes all sockets out.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = Socket> {
        self.slots.iter_mut().filter_map(|place| place.take().map(|(_, socket)| socket))
    }

    fn slot_of(&self, id: Id) -> Option<usize> {
        self.slots.iter().position(|place| place.as_ref().is_some_and(|(known, _)| *known == id))
    }
}
