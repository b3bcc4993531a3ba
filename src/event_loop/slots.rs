//! Sockets of one kind, each at the slot that its token names.

/// At most `N` sockets, known to the core by an `Id`. Their room is allocated once, for all.
pub(super) struct Slots<Id, Socket, const N: usize> {
    slots: Box<[Option<(Id, Socket)>]>,
}

impl<Id, Socket, const N: usize> Default for Slots<Id, Socket, N> {
    fn default() -> Self {
        Self { slots: (0..N).map(|_| None).collect() }
    }
}

impl<Id: Copy + PartialEq, Socket, const N: usize> Slots<Id, Socket, N> {
    /// A free slot.
    ///
    /// # Panics
    ///
    /// If there is none: the core keeps to the limit that `N` is.
    pub(super) fn free(&self) -> usize {
        self.slots.iter().position(Option::is_none).expect("the core keeps to its limits")
    }

    /// Puts a socket into a free slot.
    pub(super) fn put(&mut self, slot: usize, id: Id, socket: Socket) {
        if let Some(place) = self.slots.get_mut(slot) {
            *place = Some((id, socket));
        }
    }

    /// What is at a slot.
    pub(super) fn at(&mut self, slot: usize) -> Option<(Id, &mut Socket)> {
        let (id, socket) = self.slots.get_mut(slot)?.as_mut()?;
        Some((*id, socket))
    }

    /// The socket of that number, and its slot.
    pub(super) fn find(&mut self, id: Id) -> Option<(usize, &mut Socket)> {
        let slot = self.slot_of(id)?;
        self.at(slot).map(|(_, socket)| (slot, socket))
    }

    /// Takes the socket of that number out.
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
