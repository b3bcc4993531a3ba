//! The clients of the local server, each at the slot that its token names.

use std::net::IpAddr;
use std::ops::Range;
use std::time::Duration;

use mio::{Registry, Token};

use super::client::{Client, ClientConnection};
use super::http::HttpClient;
use super::lines::LineClient;
use super::stream::{Closed, Stream};
use linkbeat_core::proto::event::RequestId;
use linkbeat_core::proto::time::Instant;

/// Most HTTP clients at a time; others wait in the kernel's queue.
pub const HTTP_CLIENTS_MAX: usize = 8;
/// Most of one address when all slots are taken, unless that is the loopback's, which all programs
/// of the camera share.
pub(super) const OF_ONE_ADDRESS_MAX: usize = HTTP_CLIENTS_MAX / 2;
/// Most of them that wait for the end of a beat, which may take 15 s.
pub(super) const WAITING_MAX: usize = HTTP_CLIENTS_MAX - 2;
/// Most line clients with an eventfd.
pub const HELPERS_MAX: usize = 16;
/// Most line clients beside them, without an eventfd and for a limited time: full of helpers, the
/// socket must still answer the command line.
pub const GUESTS_MAX: usize = 4;
/// Most line clients; others are turned away.
pub(super) const LINE_CLIENTS_MAX: usize = HELPERS_MAX + GUESTS_MAX;
/// Longest connection of a line client without an eventfd: the longest wait for a beat, and time to
/// ask for it.
pub(super) const GUEST_TIME: Duration = Duration::from_secs(20);
/// The answer to one line client too many.
const CROWDED: &str = "error: too many helpers are connected: end one of them and try again\n";
const SLOTS: usize = LINE_CLIENTS_MAX + HTTP_CLIENTS_MAX;

/// The protocol of the clients of a listening socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// Lines, and an eventfd.
    Lines,
    /// HTTP.
    Http,
}

impl Protocol {
    const ALL: [Self; 2] = [Self::Lines, Self::Http];

    /// The number of tokens of a socket and its clients, each with one for an eventfd.
    pub const fn tokens(self) -> usize {
        let Range { start, end } = self.slots();
        1 + 2 * (end - start)
    }

    /// The slots of its clients. A line client from [`HELPERS_MAX`] on is a guest.
    pub(super) const fn slots(self) -> Range<usize> {
        match self {
            Self::Lines => 0..LINE_CLIENTS_MAX,
            Self::Http => LINE_CLIENTS_MAX..SLOTS,
        }
    }

    /// The protocol of the client at a slot.
    pub(super) const fn of(slot: usize) -> Self {
        if slot < LINE_CLIENTS_MAX { Self::Lines } else { Self::Http }
    }
}

/// The owner of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TokenOwner {
    /// The listening socket.
    Listener(Protocol),
    /// The connection of a client, or its eventfd.
    Client { slot: usize, is_eventfd: bool },
}

/// An operation on a client; an error closes it.
pub(super) type Operation<'a> = dyn FnMut(&mut Client, &Registry) -> Result<(), Closed> + 'a;

/// The clients of both protocols.
#[derive(Debug)]
pub(super) struct Clients {
    /// The registry that watches their descriptors.
    pub(super) registry: Registry,
    /// The first token for lines, and the first for HTTP.
    first: [Token; 2],
    /// One per slot; their number never changes.
    slots: Box<[Option<Client>]>,
    /// Whether a helper wrote to its eventfd and was gone before that was seen.
    pub(super) rung: bool,
    /// Whether a line client was turned away since the last one left.
    pub(super) crowded: bool,
}

impl Clients {
    pub(super) fn new(registry: Registry, first: [Token; 2]) -> Self {
        let slots = (0..SLOTS).map(|_| None).collect();
        Self { registry, first, slots, rung: false, crowded: false }
    }

    /// The token of a listening socket; those of its clients follow.
    const fn first(&self, protocol: Protocol) -> Token {
        let [lines, http] = self.first;
        match protocol {
            Protocol::Lines => lines,
            Protocol::Http => http,
        }
    }

    /// The token of a client's connection; the next one is its eventfd's.
    const fn token(&self, slot: usize) -> Token {
        let protocol = Protocol::of(slot);
        Token(self.first(protocol).0 + 1 + 2 * (slot - protocol.slots().start))
    }

    /// The owner of a token; `None` if it belongs to others.
    pub(super) fn locate(&self, token: Token) -> Option<TokenOwner> {
        Protocol::ALL.into_iter().find_map(|protocol| {
            let offset = token.0.checked_sub(self.first(protocol).0)?;
            let place = match offset.checked_sub(1) {
                None => TokenOwner::Listener(protocol),
                Some(offset) => TokenOwner::Client {
                    slot: protocol.slots().start + offset / 2,
                    is_eventfd: offset % 2 == 1,
                },
            };
            (offset < protocol.tokens()).then_some(place)
        })
    }

    /// A free slot for a client of a protocol.
    pub(super) fn free(&self, protocol: Protocol) -> Option<usize> {
        protocol.slots().find(|slot| self.slots.get(*slot).is_some_and(Option::is_none))
    }

    /// When there is a slot for another HTTP client, free or made free; `None`: when one ends.
    pub(super) fn room_at(&self) -> Option<Instant> {
        let free = self.free(Protocol::Http).map(|_| Instant::default());
        free.or_else(|| self.spare(None).map(|(at, _)| at))
    }

    /// A free slot for an HTTP client of this address. Where there is none, the oldest connection
    /// without a complete request goes, one of its own if the address has its share: it is why
    /// there is no room.
    pub(super) fn make_room(&mut self, peer: IpAddr, now: Instant) -> Option<usize> {
        self.free(Protocol::Http).or_else(|| {
            let of_peer = |client: &Client| client.http().is_some_and(|it| it.stream.peer == peer);
            let its = self.iter().filter(|(_, client)| of_peer(client)).count();
            let has_its_share = its >= OF_ONE_ADDRESS_MAX && !peer.is_loopback();
            let (_, oldest) =
                self.spare(has_its_share.then_some(peer)).filter(|(at, _)| *at <= now)?;
            self.close(oldest);
            Some(oldest)
        })
    }

    /// The HTTP client, of this address if one is given, that makes room for another one first, and
    /// when.
    fn spare(&self, peer: Option<IpAddr>) -> Option<(Instant, usize)> {
        let spare = self.iter().filter_map(|(slot, client)| {
            let is_meant =
                peer.is_none_or(|peer| Some(peer) == client.http().map(|it| it.stream.peer));
            Some((client.spare_at()?, slot)).filter(|_| is_meant)
        });
        spare.min()
    }

    /// Greets a client and puts it into a free slot.
    pub(super) fn greet(&mut self, slot: usize, stream: Stream, now: Instant) {
        let (token, registry) = (self.token(slot), &self.registry);
        let greeted = match Protocol::of(slot) {
            Protocol::Lines => {
                let guest_until = (slot >= HELPERS_MAX).then(|| now + GUEST_TIME);
                LineClient::new(stream, guest_until, token, registry).map(ClientConnection::Lines)
            }
            Protocol::Http => {
                HttpClient::new(stream, token, registry, now).map(ClientConnection::Http)
            }
        };
        match (greeted, self.slots.get_mut(slot)) {
            (Ok(connection), Some(place)) => *place = Some(Client::new(connection)),
            (Ok(_), None) => {}
            (Err(error), _) => log::debug!("greet a local client: {error}"),
        }
    }

    /// Answers a line client that is one too many, and hangs up.
    pub(super) fn turn_away(&mut self, mut stream: Stream) {
        if !std::mem::replace(&mut self.crowded, true) {
            log::warn!(
                "trigger socket: {LINE_CLIENTS_MAX} helpers are connected, others are refused"
            );
        }
        if let Err(Closed) = stream.write(CROWDED.as_bytes(), &[]) {
            log::debug!("refuse a helper: it is gone");
        }
    }

    pub(super) fn get_mut(&mut self, slot: usize) -> Option<&mut Client> {
        self.slots.get_mut(slot)?.as_mut()
    }

    /// The clients with their slots.
    pub(super) fn iter(&self) -> impl Iterator<Item = (usize, &Client)> {
        let slots = self.slots.iter().enumerate();
        slots.filter_map(|(slot, client)| client.as_ref().map(|client| (slot, client)))
    }

    /// Whether as many HTTP clients wait for the end of a beat as may: others must still be served.
    pub(super) fn is_full_of_waiting(&self) -> bool {
        let http = self.iter().filter(|(slot, _)| Protocol::of(*slot) == Protocol::Http);
        http.filter(|(_, client)| client.waits_for_beat()).count() >= WAITING_MAX
    }

    /// Updates the client at a slot.
    pub(super) fn update(&mut self, slot: usize, operation: &mut Operation<'_>) {
        let client = self.slots.get_mut(slot).and_then(Option::as_mut);
        if client.is_some_and(|client| operation(client, &self.registry).is_err()) {
            self.close(slot);
        }
    }

    /// Updates the client that waits for the answer to a request; none if it is gone.
    pub(super) fn update_waiting(&mut self, id: RequestId, operation: &mut Operation<'_>) {
        let waiting = self.iter().find(|(_, client)| client.waits_for(id));
        if let Some((slot, _)) = waiting {
            self.update(slot, operation);
        }
    }

    /// Updates all clients.
    pub(super) fn update_all(&mut self, operation: &mut Operation<'_>) {
        (0..SLOTS).for_each(|slot| self.update(slot, operation));
    }

    pub(super) fn close(&mut self, slot: usize) {
        if let Some(client) = self.slots.get_mut(slot).and_then(Option::take) {
            self.rung |= client.close(&self.registry);
            self.crowded &= Protocol::of(slot) != Protocol::Lines;
        }
    }

    /// The tokens of clients that may have more, of which no readiness will come.
    pub(super) fn pending(&self) -> impl Iterator<Item = Token> {
        let pending = self.iter().filter(|(_, client)| client.is_pending());
        pending.map(|(slot, _)| self.token(slot))
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.iter().filter_map(|(_, client)| client.deadline()).min()
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use super::*;

    /// Clients, of which the first ones are HTTP's of these addresses, a second apart.
    fn visited_by(peers: &[IpAddr]) -> (Clients, Vec<UnixStream>) {
        let poll = mio::Poll::new().unwrap();
        let first = [Token(200), Token(100)];
        let mut clients = Clients::new(poll.registry().try_clone().unwrap(), first);
        let mut theirs = Vec::new();
        for (second, peer) in (0..).zip(peers) {
            let (ours, other) = UnixStream::pair().unwrap();
            ours.set_nonblocking(true).unwrap();
            let now = Instant::from_micros(1_000_000 * second);
            let slot = clients.make_room(*peer, now).unwrap();
            clients.greet(slot, Stream { socket: ours.into(), peer: *peer }, now);
            theirs.push(other);
        }
        (clients, theirs)
    }

    /// Whether the connection at this place is still there.
    fn is_open(theirs: &UnixStream) -> bool {
        let mut stream = theirs;
        stream.set_nonblocking(true).unwrap();
        std::io::Read::read(&mut stream, &mut [0]).is_err()
    }

    #[test]
    fn oldest_connection_without_a_request_makes_room() {
        let address = |nth: u8| IpAddr::from([10, 0, 0, nth]);
        let crowd: Vec<_> = (0..9).map(address).collect();
        let (mut clients, theirs) = visited_by(&crowd);
        let open: Vec<_> = theirs.iter().map(is_open).collect();
        assert_eq!(open, [false, true, true, true, true, true, true, true, true]);
        // One that is owed an answer stays, and so all may.
        for slot in Protocol::Http.slots() {
            assert!(clients.room_at().is_some());
            let id = RequestId(u32::try_from(slot).unwrap());
            clients.get_mut(slot).unwrap().begin_request(id, false, Instant::default());
        }
        assert!(clients.room_at().is_none());
        assert!(clients.make_room(address(77), LATE).is_none());
    }

    #[test]
    fn address_has_its_share_and_takes_nothing_of_others() {
        let (ours, theirs) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]));
        // What nobody else wants is its own as well, such as the six that a browser opens.
        let alone = HTTP_CLIENTS_MAX - 1;
        let peers = [vec![theirs], vec![ours; alone + 2]].concat();
        let (mut clients, streams) = visited_by(&peers);
        let open: Vec<_> = streams.iter().map(is_open).collect();
        assert_eq!(open, [true, false, false, true, true, true, true, true, true, true]);
        // With its share of answers to come, another one is turned away.
        for slot in Protocol::Http.slots() {
            if let Some(client) =
                clients.get_mut(slot).filter(|it| it.http().unwrap().stream.peer == ours)
            {
                client.begin_request(RequestId(1), false, Instant::default());
            }
        }
        assert!(clients.make_room(ours, LATE).is_none());
        assert!(clients.make_room(theirs, LATE).is_some());
        // The loopback is everybody's.
        let (clients, streams) = visited_by(&[IpAddr::from([127, 0, 0, 1]); SHARED]);
        assert!(streams.iter().all(is_open) && clients.iter().count() == SHARED);
    }

    #[test]
    fn connection_has_a_moment_before_it_makes_room() {
        let address = |nth: u8| IpAddr::from([10, 0, 0, nth]);
        let (mut clients, mut theirs) = visited_by(&[0, 1, 2, 3, 4, 5, 6, 7].map(address));
        let at = |ms: u64| Instant::from_micros(ms * 1000);
        assert_eq!(clients.room_at(), Some(at(250)));
        assert_eq!(clients.make_room(address(8), at(249)), None);
        // What has come and is not read yet may be a request.
        std::io::Write::write_all(&mut theirs[0], b"G").unwrap();
        assert_eq!(clients.room_at(), Some(at(1250)));
        assert!(clients.make_room(address(8), at(1250)).is_some());
        assert!(is_open(&theirs[0]) && !is_open(&theirs[1]));
    }

    const SHARED: usize = HTTP_CLIENTS_MAX;
    const LATE: Instant = Instant::from_micros(u64::MAX);

    #[test]
    fn every_token_belongs_to_one_place() {
        let poll = mio::Poll::new().unwrap();
        let first = [Token(200), Token(100)];
        let clients = Clients::new(poll.registry().try_clone().unwrap(), first);
        let mut slots = Vec::new();
        for protocol in Protocol::ALL {
            let first = clients.first(protocol);
            assert_eq!(clients.locate(first), Some(TokenOwner::Listener(protocol)));
            assert_eq!(clients.locate(Token(first.0 + protocol.tokens())), None);
            for slot in protocol.slots() {
                let token = clients.token(slot);
                for (offset, is_eventfd) in [(0, false), (1, true)] {
                    let found = clients.locate(Token(token.0 + offset));
                    assert_eq!(found, Some(TokenOwner::Client { slot, is_eventfd }));
                }
                slots.push(slot);
            }
        }
        assert_eq!(clients.locate(Token(0)), None);
        assert_eq!(slots, (0..slots.len()).collect::<Vec<_>>());
        assert_eq!(slots.len(), HELPERS_MAX + GUESTS_MAX + HTTP_CLIENTS_MAX);
    }
}
