//! The trigger socket with a client that says anything in any pieces, beside helpers that ring: each
//! line has its one answer, in order and as a second reading of the protocol has it; no ring is
//! lost; a client that floods is paused and still served; and the server comes to rest.

#![cfg_attr(not(test), no_main)]

use std::collections::BTreeSet;
use std::io::{ErrorKind, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::LazyLock;
use std::time::Duration;

use linkbeat::net::local::{Ask, LocalServer, Request, WAIT_MAX};
use linkbeat_core::proto::event::{RequestId, TriggerAnswer};
use linkbeat_core::proto::time::Instant;
use linkbeat_core::wire::date::Utc;
use linkbeat_core::wire::http_server::Content;
use linkbeat_core::wire::line::{BadLine, CommandLine, GREETING, LINE_MAX, parse};
use linkbeat_core::wire::outcome::Outcome;
use linkbeat_fuzz::Bytes;
use mio::{Events, Poll, Token};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};

const LINES: Token = Token(200);
const HTTP: Token = Token(100);
/// Lines and rings of one client without a pause, and the longest pause.
const BURST: usize = 16;
const PAUSE: Duration = Duration::from_millis(250);
/// Helpers beside the client.
const HELPERS: usize = 3;
/// Most wake-ups without news: more is spinning.
const TURNS_MAX: usize = 2000;
/// Whole lines and parts of them, so that the fuzzer need not find them.
const PARTS: [&[u8]; 10] = [
    b"trigger\n",
    b"trigger --wait\n",
    b"trigger ",
    b"--wait ",
    b"door",
    b"\n",
    b"status\n",
    b"history 7\r\n",
    b"nonsense\n",
    b"trigger a b\n",
];

static DIRECTORY: LazyLock<PathBuf> = LazyLock::new(|| linkbeat_fuzz::directory("lines"));

/// The end of a client, greeted.
struct End {
    stream: UnixStream,
    bell: OwnedFd,
}

impl End {
    fn ring(&self, number: u64) {
        assert_eq!(rustix::io::write(&self.bell, &number.to_ne_bytes()), Ok(8));
    }
}

/// The request that a client waits for, as the model has it.
struct Waiting {
    id: RequestId,
    wait: bool,
    seq: Option<u64>,
    give_up_at: Instant,
}

/// What a client has said, and what it is to hear.
#[derive(Default)]
struct Model {
    said: Vec<u8>,
    /// Bytes of `said` that have been taken.
    taken: usize,
    ended: bool,
    /// No more is read of it.
    closed: bool,
    expected: String,
    heard: String,
    waiting: Option<Waiting>,
    /// Requests since time has passed.
    asked: usize,
}

impl Model {
    /// The next line, with its end; `None` if there is no whole one.
    fn line(&self) -> Option<&[u8]> {
        let rest = &self.said[self.taken..];
        let whole = rest.split_inclusive(|byte| *byte == b'\n').next()?;
        (whole.ends_with(b"\n") || self.ended || whole.len() >= LINE_MAX).then_some(whole)
    }

    /// Takes the lines that are answered with an error, and says what the next one asks for.
    fn next(&mut self) -> Option<(Ask, bool)> {
        while !self.closed && self.waiting.is_none() {
            let line = self.line()?;
            let is_whole = line.ends_with(b"\n") || (self.ended && line.len() < LINE_MAX);
            if line.len() > LINE_MAX || !is_whole {
                self.answer(BadLine::TooLong);
                self.closed = true;
                break;
            }
            match parse(line) {
                Ok(CommandLine::Status) => return Some((Ask::Status, false)),
                Ok(CommandLine::History { after }) => return Some((Ask::History { after }, false)),
                Ok(CommandLine::Trigger { word, wait }) => return Some((Ask::Trigger(word), wait)),
                Err(bad) => {
                    self.taken += line.len();
                    self.answer(bad);
                }
            }
        }
        None
    }

    fn answer(&mut self, text: impl std::fmt::Display) {
        self.expected += &format!("{text}\n");
    }

    /// Notes a request that the server has handed out.
    fn asked(&mut self, request: &Request, now: Instant) {
        let (ask, wait) = self.next().expect("a request that nobody made");
        assert_eq!(request.ask, ask);
        self.taken += self.line().expect("it is there").len();
        self.asked += 1;
        assert!(self.asked <= BURST, "a flood is heard");
        let id = request.id.expect("it waits for an answer");
        self.waiting = Some(Waiting { id, wait, seq: None, give_up_at: now + WAIT_MAX });
    }
}

struct World<'a> {
    bytes: Bytes<'a>,
    server: LocalServer,
    poll: Poll,
    now: Instant,
    helpers: Vec<End>,
    client: End,
    model: Model,
    /// Requests for status or history that wait.
    query: bool,
    /// Rings sent since the server was last at rest, those who rang, and rings heard.
    rings: usize,
    rang: BTreeSet<usize>,
    rung: usize,
}

/// Connects, and is greeted.
fn connect(server: &mut LocalServer, poll: &mut Poll, now: Instant) -> End {
    let stream = UnixStream::connect(DIRECTORY.join("lines.sock")).expect("a connection");
    let mut events = Events::with_capacity(64);
    poll.poll(&mut events, Some(Duration::ZERO)).expect("poll");
    assert_eq!(server.on_ready(LINES, now), None);
    let (mut text, mut room) =
        ([0; 64], [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))]);
    let mut control = RecvAncillaryBuffer::new(&mut room);
    let mut buffers = [IoSliceMut::new(&mut text)];
    let received = recvmsg(&stream, &mut buffers, &mut control, RecvFlags::CMSG_CLOEXEC);
    let received = received.expect("a greeting").bytes;
    let bells = control.drain().flat_map(|message| match message {
        RecvAncillaryMessage::ScmRights(bells) => bells.collect(),
        _ => Vec::new(),
    });
    let mut bells: Vec<OwnedFd> = bells.collect();
    assert_eq!((&text[..received], bells.len()), (GREETING.as_bytes(), 1));
    stream.set_nonblocking(true).expect("a socket");
    End { stream, bell: bells.remove(0) }
}

impl World<'_> {
    /// Wake-ups until nothing is left to do without an answer or the passing of time.
    fn pump(&mut self) {
        for _ in 0..TURNS_MAX {
            let mut events = Events::with_capacity(64);
            self.poll.poll(&mut events, Some(Duration::ZERO)).expect("poll");
            let ready = events.iter().map(|event| event.token());
            let ready: BTreeSet<Token> = ready.chain(self.server.pending(self.now)).collect();
            if ready.is_empty() {
                return self.listen();
            }
            for token in ready {
                match self.server.on_ready(token, self.now) {
                    None => {}
                    Some(request) if request.id.is_none() => {
                        assert_eq!(request.ask, Ask::Trigger(None));
                        self.rung += 1;
                    }
                    Some(request) => {
                        self.query = !matches!(request.ask, Ask::Trigger(_));
                        self.model.asked(&request, self.now);
                    }
                }
            }
            self.listen();
        }
        panic!("the server does not come to rest");
    }

    /// Reads what the client has been sent: no more than it is meant to get.
    fn listen(&mut self) {
        // Errors are answered without the loop.
        let _ = self.model.next();
        let mut heard = Vec::new();
        match self.client.stream.read_to_end(&mut heard) {
            // unix(7): bytes that the server has left unread make its end a reset.
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
            Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
        }
        self.model.heard += std::str::from_utf8(&heard).expect("text");
        let Model { heard, expected, .. } = &self.model;
        assert!(expected.starts_with(heard.as_str()), "{heard:?} is no part of {expected:?}");
    }

    /// The core's answer to a trigger, or that to another request.
    fn answer(&mut self) {
        let Some(waiting) = &mut self.model.waiting else { return };
        let (id, now) = (waiting.id, self.now);
        if self.query {
            let body = "{}\n".repeat(self.bytes.below(200));
            self.server.reply(id, 200, &Content::JSON, body.as_bytes(), now);
            self.model.expected += &body;
            (self.model.waiting, self.model.closed) = (None, true);
            return;
        }
        let seq = self.bytes.byte().into();
        let until = now + Duration::from_secs(self.bytes.below(40) as u64);
        let set = self.bytes.bool();
        let (answer, text, stays) = match self.bytes.byte() % 6 {
            0 | 1 => (TriggerAnswer::Set { seq }, String::from("set"), waiting.wait),
            2 => (TriggerAnswer::Pending { seq }, String::from("pending"), waiting.wait),
            3 => {
                let text = format!("held until {}", utc(until));
                let stays = waiting.wait && until < waiting.give_up_at;
                (TriggerAnswer::Held { seq, set, until }, text, stays)
            }
            4 => (TriggerAnswer::Disabled, String::from("disabled"), false),
            _ => (TriggerAnswer::Unconfigured, String::from("unconfigured"), false),
        };
        self.server.on_answer(id, answer, now, utc);
        if stays {
            waiting.seq = Some(seq);
        } else {
            self.model.waiting = None;
            self.model.answer(text);
        }
    }

    /// A beat ends, and covers triggers up to a number.
    fn finish(&mut self) {
        let covers = self.bytes.byte().into();
        let outcome =
            Outcome::Failed { seq: covers, error: "refused", retry_at: None, exchange: None };
        self.server.finish_waiting(covers, &outcome, self.now);
        let waited = self.model.waiting.as_ref().and_then(|waiting| waiting.seq);
        if waited.is_some_and(|seq| seq <= covers) {
            self.model.waiting = None;
            self.model.answer(format_args!("failed: seq {covers}, refused"));
        }
    }

    fn pass(&mut self, time: Duration) {
        self.now = self.now + time;
        self.server.on_deadline(self.now);
        self.model.asked = 0;
        let due = self.model.waiting.take_if(|waiting| self.now >= waiting.give_up_at);
        if let Some(Waiting { seq, .. }) = due {
            let covered = seq.map(|seq| format!(": seq {seq} is not answered yet"));
            self.model.answer(format_args!("gave up after 15 s{}", covered.unwrap_or_default()));
        }
    }

    fn ring(&mut self) {
        let who = self.bytes.below(HELPERS + 1);
        let number = 1 + u64::from(self.bytes.byte());
        self.helpers.get(who).unwrap_or(&self.client).ring(number);
        if who < HELPERS || !(self.model.closed || self.model.ended) {
            self.rang.insert(who);
        }
        self.rings += 1;
    }

    fn say(&mut self) {
        let said = match self.bytes.byte() {
            kind @ 0..=159 => PARTS[usize::from(kind) % PARTS.len()].to_vec(),
            160..=175 => vec![self.bytes.byte(); self.bytes.below(256)],
            176..=191 => PARTS[self.bytes.below(PARTS.len())].repeat(self.bytes.below(64)),
            _ => (0..=self.bytes.below(20)).map(|_| self.bytes.byte()).collect(),
        };
        if self.model.ended || self.model.said.len() > 20_000 {
            return;
        }
        match self.client.stream.write(&said) {
            Ok(taken) => self.model.said.extend(&said[..taken]),
            Err(error) => {
                let gone =
                    [ErrorKind::BrokenPipe, ErrorKind::ConnectionReset, ErrorKind::WouldBlock];
                assert!(gone.contains(&error.kind()), "{error}");
            }
        }
    }

    /// Answers everything and lets time pass until the client has all that it is owed.
    fn settle(&mut self) {
        for _ in 0..64 + self.model.said.len() {
            self.pump();
            self.answer();
            self.finish();
            let has_more = self.model.next().is_some() || self.model.waiting.is_some();
            if !has_more && self.model.heard == self.model.expected {
                break;
            }
            self.pass(if self.model.waiting.is_some() { WAIT_MAX } else { PAUSE });
        }
        self.pass(PAUSE);
        self.pump();
        assert_eq!(self.model.heard, self.model.expected, "owed for ever");
        assert!(self.model.waiting.is_none() && self.model.next().is_none());
        assert!(self.rung <= self.rings, "{} rings heard of {}", self.rung, self.rings);
        assert!(self.rung >= self.rang.len(), "a ring is lost");
        (self.rings, self.rung) = (0, 0);
        self.rang.clear();
    }

    /// The client ends its side, at which a line without its end is one.
    fn end(&mut self) {
        // It may be gone.
        let _ = self.client.stream.shutdown(Shutdown::Write);
        self.model.ended = true;
        self.settle();
    }

    /// Another client in place of the one that is served, which may ring at the very end.
    fn replace(&mut self) {
        self.settle();
        let Model { said, taken, ended, closed, .. } = &self.model;
        let rings = *taken == said.len() && !ended && !closed && self.bytes.bool();
        if rings {
            self.client.ring(1);
        } else {
            self.end();
        }
        let _ = self.client.stream.shutdown(Shutdown::Both);
        self.pump();
        assert_eq!(self.rung, usize::from(rings), "the ring of one that has gone");
        self.rung = 0;
        self.client = connect(&mut self.server, &mut self.poll, self.now);
        self.model = Model::default();
    }
}

fn utc(at: Instant) -> Utc {
    Utc(at.as_micros() / 1_000_000)
}

linkbeat_fuzz::target!(|data| {
    linkbeat_fuzz::fail_writes_instead_of_dying();
    let mut poll = Poll::new().expect("epoll");
    let mut server = LocalServer::new(poll.registry(), LINES, HTTP).expect("a server");
    let mut now = Instant::from_micros(1_000_000);
    let path = DIRECTORY.join("lines.sock");
    server.begin_lines(Some(&path), now).expect("a socket");
    let mut connected = || {
        // Connections have a limit of their own.
        now = now + PAUSE;
        server.on_deadline(now);
        connect(&mut server, &mut poll, now)
    };
    let helpers: Vec<End> = (0..HELPERS).map(|_| connected()).collect();
    let client = connected();
    let mut world = World {
        bytes: Bytes::new(data),
        server,
        poll,
        now,
        helpers,
        client,
        model: Model::default(),
        query: false,
        rings: 0,
        rang: BTreeSet::new(),
        rung: 0,
    };
    while !world.bytes.is_empty() {
        match world.bytes.byte() % 16 {
            0..=4 => world.say(),
            5 => world.ring(),
            6..=8 => world.pump(),
            9 | 10 => world.answer(),
            11 => world.finish(),
            12 => {
                let millis = u64::from(world.bytes.byte()) << world.bytes.below(8);
                world.pass(Duration::from_millis(millis));
            }
            13 => world.end(),
            14 => world.replace(),
            _ => world.settle(),
        }
    }
    world.end();
    // At rest, and with all of them gone, there is nothing to do and nothing to wait for.
    drop((world.client, world.helpers));
    let mut events = Events::with_capacity(64);
    for _ in 0..4 {
        world.poll.poll(&mut events, Some(Duration::ZERO)).expect("poll");
        for event in &events {
            assert_eq!(world.server.on_ready(event.token(), world.now), None);
        }
    }
    assert_eq!(world.server.pending(world.now).count(), 0);
    assert_eq!(world.server.next_deadline(), None);
});
