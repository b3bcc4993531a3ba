//! A nameserver with a table of records, which can misbehave on request.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use rustix::net::{RecvFlags, Shutdown, recvfrom, shutdown};

use crate::clock;
use crate::journal::Journal;

/// A record of a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    /// A or AAAA.
    Address(IpAddr),
    /// CNAME.
    Alias(String),
}

/// How queries are answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mood {
    /// From the table.
    #[default]
    Honest,
    /// No answer.
    Silent,
    /// SERVFAIL.
    Failing,
    /// NXDOMAIN, whatever the table says.
    Denying,
    /// From the table, after this delay.
    Slow(Duration),
    /// With this RCODE for AAAA, from the table for other types.
    OddOfAaaa(u8),
    /// Truncated, with the TC flag.
    Truncated,
    /// With a wrong id.
    WrongId,
    /// With a wrong question.
    WrongQuestion,
    /// With bytes that are not a DNS message.
    Garbage,
}

/// One query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// The time of its arrival, on the clock of [`clock::boot_us`].
    pub at_us: u64,
    /// The address of the client.
    pub peer: SocketAddr,
    /// The name in lower case, without the final dot.
    pub name: String,
    /// The requested record type: 1 is A, 28 is AAAA.
    pub kind: u16,
}

/// A running nameserver. Dropping it stops it.
pub struct Nameserver {
    shared: Arc<Shared>,
    sockets: Vec<Arc<UdpSocket>>,
}

#[derive(Default)]
struct Shared {
    queries: Journal<Query>,
    state: Mutex<State>,
    stop: Condvar,
}

struct State {
    table: Vec<(String, Record)>,
    mood: Mood,
    ttl_s: u32,
    stopping: bool,
}

impl Default for State {
    fn default() -> Self {
        Self { table: Vec::new(), mood: Mood::Honest, ttl_s: 60, stopping: false }
    }
}

impl Nameserver {
    /// Answers on these sockets. Each is bound to one address, from which its answers leave.
    #[must_use]
    pub fn start(sockets: Vec<UdpSocket>) -> Self {
        let shared = Arc::<Shared>::default();
        let serve = |socket| {
            let socket: Arc<UdpSocket> = Arc::new(socket);
            let (ours, shared) = (Arc::clone(&socket), Arc::clone(&shared));
            thread::spawn(move || answer_all(&ours, &shared));
            socket
        };
        let sockets = sockets.into_iter().map(serve).collect();
        Self { shared, sockets }
    }

    /// Sets the records of `name`; without records the name does not exist.
    pub fn set(&self, name: &str, records: &[Record]) {
        let mut state = self.shared.lock();
        state.table.retain(|(it, _)| it != name);
        state.table.extend(records.iter().map(|record| (name.to_owned(), record.clone())));
    }

    /// Changes how queries are answered from now on.
    pub fn set_mood(&self, mood: Mood) {
        self.shared.lock().mood = mood;
    }

    /// Sets the time to live of answers, in seconds; 60 at the start.
    pub fn set_ttl(&self, ttl_s: u32) {
        self.shared.lock().ttl_s = ttl_s;
    }

    /// The journal of queries.
    #[must_use]
    pub fn queries(&self) -> Journal<Query> {
        self.shared.queries.clone()
    }
}

impl Drop for Nameserver {
    fn drop(&mut self) {
        self.shared.lock().stopping = true;
        self.shared.stop.notify_all();
        for socket in &self.sockets {
            // The kernel reports that the socket is not connected, but its recvfrom(2) returns.
            shutdown(socket, Shutdown::Both).ok();
        }
    }
}

impl Shared {
    // Each change is complete when the lock is released, even after a panic.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits, but no longer than the nameserver runs.
    fn pause(&self, wait: Duration) {
        drop(self.stop.wait_timeout_while(self.lock(), wait, |state| !state.stopping));
    }
}

fn answer_all(socket: &Arc<UdpSocket>, shared: &Arc<Shared>) {
    let mut buffer = [0; 1500];
    while let Ok((_, length, peer)) = recvfrom(socket, &mut buffer, RecvFlags::empty()) {
        // After a shutdown there is no peer address; recv_from of the standard library would panic.
        let Some(peer) = peer.and_then(|it| SocketAddr::try_from(it).ok()) else { return };
        if shared.lock().stopping {
            return;
        }
        let Some((question, name, kind)) = question(buffer.get(..length).unwrap_or_default())
        else {
            continue;
        };
        shared.queries.push(Query { at_us: clock::boot_us(), peer, name: name.clone(), kind });
        let state = shared.lock();
        let mood = state.mood;
        let Some(answer) = message(&buffer, question, &name, kind, &state) else { continue };
        drop(state);
        let (socket, shared) = (Arc::clone(socket), Arc::clone(shared));
        let send = move || {
            if let Mood::Slow(wait) = mood {
                shared.pause(wait);
            }
            // The client may be gone.
            socket.send_to(&answer, peer).ok();
        };
        if matches!(mood, Mood::Slow(_)) {
            thread::spawn(send);
        } else {
            send();
        }
    }
}

/// The bytes of the question, its name in lower case, and its type (RFC 1035 §4.1.2).
fn question(query: &[u8]) -> Option<(&[u8], String, u16)> {
    let mut rest = query.get(12..)?;
    let mut labels = Vec::new();
    loop {
        let (&length, after) = rest.split_first()?;
        if length == 0 {
            rest = after;
            break;
        }
        let (label, after) = after.split_at_checked(usize::from(length))?;
        labels.push(String::from_utf8_lossy(label).to_ascii_lowercase());
        rest = after;
    }
    let kind = u16::from_be_bytes(rest.first_chunk().copied()?);
    let end = query.len() - rest.get(4..)?.len();
    Some((query.get(12..end)?, labels.join("."), kind))
}

/// The answer to a query, or `None` if the nameserver is to be silent.
fn message(query: &[u8], question: &[u8], name: &str, kind: u16, state: &State) -> Option<Vec<u8>> {
    let (answers, known) = records(name, kind, state);
    let mut id = u16::from_be_bytes(query.first_chunk().copied()?);
    let mut question = question.to_vec();
    // QR, RD and RA; then TC (0x0200) or an RCODE (RFC 1035 §4.1.1).
    let mut flags: u16 = if known { 0x8180 } else { 0x8183 };
    match state.mood {
        Mood::Honest | Mood::Slow(_) => {}
        Mood::Silent => return None,
        Mood::Failing => flags = 0x8182,
        Mood::Denying => flags = 0x8183,
        Mood::OddOfAaaa(code) if kind == 28 => flags = 0x8180 | u16::from(code),
        Mood::OddOfAaaa(_) => {}
        Mood::Truncated => flags |= 0x0200,
        Mood::WrongId => id = !id,
        Mood::WrongQuestion => question = [encode("elsewhere.test"), vec![0, 1, 0, 1]].concat(),
        Mood::Garbage => return Some(vec![0xff; 40]),
    }
    let full = flags & 0x020f == 0;
    let count = if full { u16::try_from(answers.len()).ok()? } else { 0 };
    let mut message = Vec::new();
    for field in [id, flags, 1, count, 0, 0] {
        message.extend(field.to_be_bytes());
    }
    message.extend(question);
    if full {
        message.extend(answers.concat());
    }
    Some(message)
}

/// The encoded records of the answer, aliases followed, and whether the name exists.
fn records(name: &str, kind: u16, state: &State) -> (Vec<Vec<u8>>, bool) {
    let mut owner = name;
    let mut answers = Vec::new();
    let mut known = false;
    // The limit also ends a loop of aliases.
    for _ in 0..8 {
        let mut next = None;
        for (_, record) in state.table.iter().filter(|(it, _)| it == owner) {
            known = true;
            let (record_kind, data): (u16, Vec<u8>) = match record {
                Record::Address(IpAddr::V4(address)) => (1, address.octets().to_vec()),
                Record::Address(IpAddr::V6(address)) => (28, address.octets().to_vec()),
                Record::Alias(to) => {
                    next = Some(to);
                    (5, encode(to))
                }
            };
            if record_kind == kind || record_kind == 5 {
                let mut answer = encode(owner);
                answer.extend(record_kind.to_be_bytes());
                answer.extend([0, 1]);
                answer.extend(state.ttl_s.to_be_bytes());
                answer.extend(u16::try_from(data.len()).unwrap_or_default().to_be_bytes());
                answer.extend(data);
                answers.push(answer);
            }
        }
        match next {
            Some(to) => owner = to,
            None => break,
        }
    }
    (answers, known)
}

/// A name in labels (RFC 1035 §3.1).
fn encode(name: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for label in name.split('.').filter(|it| !it.is_empty()) {
        bytes.push(u8::try_from(label.len()).unwrap_or(u8::MAX));
        bytes.extend(label.bytes());
    }
    bytes.push(0);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUERY: &[u8] = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x01A\x04test\0\0\x01\0\x01";

    fn answer(state: &State) -> Vec<u8> {
        let (bytes, name, kind) = question(QUERY).unwrap();
        message(QUERY, bytes, &name, kind, state).unwrap()
    }

    #[test]
    fn alias_is_followed_to_its_address() {
        let table = vec![
            ("a.test".into(), Record::Alias("b.test".into())),
            ("b.test".into(), Record::Address([192, 0, 2, 7].into())),
            ("b.test".into(), Record::Address("2001:db8::7".parse().unwrap())),
        ];
        let state = State { table, ..State::default() };
        let answer = answer(&state);
        assert_eq!(answer[..8], [0x12, 0x34, 0x81, 0x80, 0, 1, 0, 2]);
        assert!(answer.ends_with(b"\0\x01\0\x01\0\0\0\x3c\0\x04\xc0\0\x02\x07"));
    }

    #[test]
    fn unknown_name_does_not_exist() {
        assert_eq!(answer(&State::default())[2..8], [0x81, 0x83, 0, 1, 0, 0]);
    }

    #[test]
    fn stopping_ends_the_thread() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let nameserver = Nameserver::start(vec![socket]);
        let shared = Arc::downgrade(&nameserver.shared);
        let socket = Arc::downgrade(&nameserver.sockets[0]);
        drop(nameserver);
        while socket.strong_count() + shared.strong_count() > 0 {
            thread::yield_now();
        }
    }
}
