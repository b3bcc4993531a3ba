use std::io::{self, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};

use super::*;
use crate::net::local::clients::{GUEST_TIME, LINE_CLIENTS_MAX};
use linkbeat_core::proto::label::Word;
use linkbeat_core::proto::link::InterfaceName;

mod socket;

const SILENCE: Duration = Duration::from_millis(20);
const PAUSE: Duration = Duration::from_millis(250);

impl Scratch {
    fn socket(&self) -> PathBuf {
        self.0.join("trigger.sock")
    }
}

/// A server that serves lines at `path`.
fn bind(path: &Path, poll: &Poll) -> Result<LocalServer, Error> {
    let mut server = LocalServer::new(poll.registry(), LINES_FIRST, HTTP_FIRST).unwrap();
    server.begin_lines(Some(path), Instant::default()).map(|()| server)
}

impl Loop {
    pub(super) fn lines() -> Self {
        let mut this = Self::new();
        let path = this.directory.socket();
        this.server.begin_lines(Some(&path), this.now).unwrap();
        this
    }

    /// Connects and is greeted.
    pub(super) fn connect(&mut self) -> LineEnd {
        let stream = UnixStream::connect(self.directory.socket()).unwrap();
        let before = self.connected();
        while self.connected() == before {
            assert_eq!(self.turn(PATIENCE), []);
        }
        LineEnd::greeted(stream)
    }

    /// Everything asked for until nothing happens any more.
    fn silence(&mut self) -> usize {
        let mut asked = 0;
        loop {
            let pending = !self.pending().is_empty();
            let requests = self.turn(SILENCE);
            if requests.is_empty() && !pending {
                return asked;
            }
            for request in requests {
                asked += 1;
                self.answer(&request, TriggerAnswer::Pending { seq: 1 });
            }
        }
    }

    /// A ring of this client does not wake the loop.
    fn assert_unheard(&mut self, client: &LineEnd) {
        client.ring(1);
        let mut events = Events::with_capacity(4);
        self.poll.poll(&mut events, Some(SILENCE)).unwrap();
        assert!(events.is_empty(), "the poll still knows the eventfd");
    }
}

/// The other end of a line client.
pub(super) struct LineEnd {
    stream: UnixStream,
    greeting: String,
    bell: Option<OwnedFd>,
}

impl LineEnd {
    fn greeted(stream: UnixStream) -> Self {
        let mut text = [0; 64];
        let mut room = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
        let mut control = RecvAncillaryBuffer::new(&mut room);
        let mut buffers = [IoSliceMut::new(&mut text)];
        let flags = RecvFlags::CMSG_CLOEXEC;
        let received = recvmsg(&stream, &mut buffers, &mut control, flags).unwrap();
        let mut bells: Vec<_> = control
            .drain()
            .flat_map(|message| match message {
                RecvAncillaryMessage::ScmRights(fds) => fds.collect::<Vec<_>>(),
                _ => Vec::new(),
            })
            .collect();
        assert!(bells.len() <= 1);
        let greeting = String::from_utf8(text[..received.bytes].to_vec()).unwrap();
        Self { stream, greeting, bell: bells.pop() }
    }

    pub(super) fn write(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).unwrap();
    }

    fn ring(&self, number: u64) {
        let bell = self.bell.as_ref().unwrap();
        assert_eq!(rustix::io::write(bell, &number.to_ne_bytes()), Ok(8));
    }

    /// What has come since the last time.
    fn heard(&mut self) -> String {
        self.stream.set_nonblocking(true).unwrap();
        let mut text = Vec::new();
        if let Err(error) = self.stream.read_to_end(&mut text) {
            assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        }
        self.stream.set_nonblocking(false).unwrap();
        String::from_utf8(text).unwrap()
    }

    fn is_hung_up(&mut self) -> bool {
        self.stream.set_nonblocking(true).unwrap();
        self.stream.read_to_end(&mut Vec::new()).is_ok()
    }
}

fn acknowledged(seq: u64) -> Outcome<'static> {
    let took = Duration::from_millis(83);
    Outcome::Acknowledged {
        seq,
        status: 200,
        took,
        via: InterfaceName::new("wlan0"),
        answer: None,
        exchange: None,
    }
}

#[test]
fn helper_is_greeted_with_an_eventfd_whose_ring_is_a_trigger() {
    let mut tested = Loop::lines();
    let client = tested.connect();
    assert_eq!(client.greeting, "linkbeat 1\n");
    client.ring(1);
    assert_eq!(tested.request(), RING);
    client.ring(1);
    client.ring(5);
    assert_eq!(tested.request(), RING);
    assert_eq!(tested.silence(), 0);
}

#[test]
fn every_word_of_the_core_has_its_line() {
    let mut tested = Loop::lines();
    let mut client = tested.connect();
    let until = Instant::from_micros(1_770_035_696_000_000);
    for (answer, line) in [
        (TriggerAnswer::Set { seq: 7 }, "set\n"),
        (TriggerAnswer::Pending { seq: 7 }, "pending\n"),
        (TriggerAnswer::Held { seq: 7, set: true, until }, "held until 2026-02-02T12:34:56Z\n"),
        (TriggerAnswer::Disabled, "disabled\n"),
        (TriggerAnswer::Unconfigured, "unconfigured\n"),
    ] {
        client.write("trigger door\n");
        let request = tested.request();
        assert_eq!(request.ask, Ask::Trigger(Word::new("door")));
        tested.answer(&request, answer);
        assert_eq!(client.heard(), line);
        tested.pass(PAUSE);
    }
}

#[test]
fn trigger_with_wait_is_answered_by_its_own_beat() {
    let mut tested = Loop::lines();
    let mut client = tested.connect();
    client.write("trigger --wait\n");
    let request = tested.request();
    tested.finish_waiting(u64::MAX, &acknowledged(1));
    tested.answer(&request, TriggerAnswer::Pending { seq: 812 });
    tested.finish_waiting(811, &acknowledged(811));
    assert_eq!(client.heard(), "");
    tested.finish_waiting(812, &acknowledged(812));
    assert_eq!(client.heard(), "seq 812, 200, 83 ms, via wlan0\n");
    tested.finish_waiting(813, &acknowledged(813));
    assert_eq!(client.heard(), "");
}

#[test]
fn trigger_with_wait_gets_the_failure() {
    let mut tested = Loop::lines();
    let mut client = tested.connect();
    client.write("trigger --wait\n");
    let request = tested.request();
    tested.answer(&request, TriggerAnswer::Set { seq: 3 });
    let failed = Outcome::Failed {
        seq: 3,
        error: "connection refused",
        retry_at: Some(Utc(1)),
        exchange: None,
    };
    tested.finish_waiting(3, &failed);
    let line = "failed: seq 3, connection refused, next try at 1970-01-01T00:00:01Z\n";
    assert_eq!(client.heard(), line);
}

#[test]
fn trigger_with_wait_gives_up_after_its_time() {
    let mut tested = Loop::lines();
    let mut client = tested.connect();
    client.write("trigger --wait\n");
    let request = tested.request();
    tested.answer(&request, TriggerAnswer::Set { seq: 3 });
    assert_eq!(tested.server.next_deadline(), Some(tested.now + WAIT_MAX));
    tested.pass(WAIT_MAX);
    assert_eq!(client.heard(), "gave up after 15 s: seq 3 is not answered yet\n");
}

#[test]
fn trigger_held_beyond_the_wait_is_answered_at_once() {
    let mut tested = Loop::lines();
    let mut client = tested.connect();
    for (wait, heard) in [(14, ""), (15, "held until 1970-01-01T00:00:16Z\n")] {
        client.write("trigger --wait\n");
        let request = tested.request();
        let until = tested.now + Duration::from_secs(wait);
        tested.answer(&request, TriggerAnswer::Held { seq: 3, set: true, until });
        assert_eq!(client.heard(), heard);
        tested.finish_waiting(3, &acknowledged(3));
        client.heard();
    }
}

#[test]
fn lines_are_answered_in_order_one_at_a_time() {
    let mut tested = Loop::lines();
    let mut client = tested.connect();
    client.write("trigger --wait a\ntrigger b\n");
    let first = tested.request();
    assert_eq!(first.ask, Ask::Trigger(Word::new("a")));
    tested.answer(&first, TriggerAnswer::Set { seq: 1 });
    client.write("rubbish\n");
    assert_eq!(tested.silence(), 0);
    assert_eq!(client.heard(), "");
    tested.finish_waiting(1, &acknowledged(1));
    let second = tested.request();
    assert_eq!(second.ask, Ask::Trigger(Word::new("b")));
    tested.answer(&second, TriggerAnswer::Pending { seq: 2 });
    tested.silence();
    let heard = client.heard();
    let lines: Vec<_> = heard.lines().collect();
    assert_eq!(lines[..2], ["seq 1, 200, 83 ms, via wlan0", "pending"]);
    assert!(lines[2].starts_with("error: no such request: send trigger"), "{heard}");
}

#[test]
fn status_is_replied_and_the_connection_ended() {
    let mut tested = Loop::lines();
    let mut client = tested.connect();
    client.write("status\n");
    let request = tested.request();
    assert_eq!(request.ask, Ask::Status);
    let json = vec![b' '; 8192];
    tested.reply(&request, &json);
    let mut heard = Vec::new();
    client.stream.read_to_end(&mut heard).unwrap();
    assert_eq!(heard, json);
    assert_eq!(tested.connected(), 0);
}

#[test]
fn script_that_ends_its_own_side_gets_its_answers() {
    let mut tested = Loop::lines();
    let mut client = tested.connect();
    client.write("trigger a\ntrigger --wait b");
    client.stream.shutdown(Shutdown::Write).unwrap();
    let request = tested.request();
    tested.answer(&request, TriggerAnswer::Set { seq: 1 });
    let request = tested.request();
    assert_eq!(request.ask, Ask::Trigger(Word::new("b")));
    tested.answer(&request, TriggerAnswer::Pending { seq: 1 });
    tested.silence();
    tested.finish_waiting(1, &acknowledged(1));
    tested.silence();
    assert!(client.is_hung_up());
    assert_eq!(tested.connected(), 0);
}

#[test]
fn line_in_single_bytes_is_heard_once() {
    let mut tested = Loop::lines();
    let mut client = tested.connect();
    let mut heard = Vec::new();
    for byte in "trigger door\n".chars() {
        client.write(&byte.to_string());
        heard.extend(tested.turn(PATIENCE));
    }
    assert_eq!(heard.len(), 1);
    assert_eq!(heard[0].ask, Ask::Trigger(Word::new("door")));
}

#[test]
fn line_too_long_is_answered_and_ends_the_connection() {
    let mut tested = Loop::lines();
    let mut client = tested.connect();
    client.write(&"x".repeat(1000));
    assert_eq!(tested.silence(), 0);
    let mut heard = String::new();
    // unix(7): bytes we left unread make the end a reset.
    let end = client.stream.read_to_string(&mut heard);
    assert!(end.is_ok() || end.unwrap_err().kind() == io::ErrorKind::ConnectionReset);
    assert_eq!(heard, "error: a line may have 256 bytes: connect again\n");
    assert_eq!(tested.connected(), 0);
}

#[test]
fn ring_and_immediate_end_is_still_a_trigger() {
    let mut tested = Loop::lines();
    let client = tested.connect();
    client.ring(1);
    drop(client);
    assert_eq!(tested.request(), RING);
    assert_eq!(tested.silence(), 0);
    assert_eq!(tested.connected(), 0);
}

#[test]
fn end_without_a_ring_is_no_trigger() {
    let mut tested = Loop::lines();
    drop(tested.connect());
    assert_eq!(tested.silence(), 0);
    assert_eq!(tested.connected(), 0);
}

#[test]
fn eventfd_of_an_ended_connection_wakes_nobody() {
    let mut tested = Loop::lines();
    let mut client = tested.connect();
    client.stream.shutdown(Shutdown::Both).unwrap();
    assert_eq!(tested.silence(), 0);
    assert!(client.is_hung_up());
    tested.assert_unheard(&client);
}

#[test]
fn eventfd_of_a_dropped_socket_wakes_nobody() {
    let mut tested = Loop::lines();
    let mut client = tested.connect();
    let other = tested.directory.0.join("other.sock");
    tested.server.listen_lines(Some(&other), tested.now);
    assert!(client.is_hung_up());
    tested.assert_unheard(&client);
}

#[test]
fn blocking_full_and_stolen_eventfds_are_harmless() {
    let mut tested = Loop::lines();
    let client = tested.connect();
    let bell = client.bell.as_ref().unwrap();
    let flags = fcntl_getfl(bell).unwrap();
    fcntl_setfl(bell, flags - OFlags::NONBLOCK).unwrap();
    client.ring(u64::MAX - 1);
    assert_eq!(tested.request(), RING);
    client.ring(u64::MAX - 1);
    assert_eq!(tested.request(), RING);
    client.ring(1);
    assert_eq!(rustix::io::read(bell, &mut [0; 8]), Ok(8));
    assert_eq!(tested.silence(), 0);
    client.ring(1);
    assert_eq!(tested.request(), RING);
}

#[test]
fn helper_that_rings_without_end_is_paused_and_heard_once_after_it() {
    let mut tested = Loop::lines();
    let client = tested.connect();
    let mut rings = 0;
    for _ in 0..1000 {
        client.ring(1);
        rings += tested.turn(Duration::ZERO).len();
    }
    assert_eq!(rings, 16);
    tested.pass(PAUSE);
    assert_eq!(tested.request(), RING);
    assert_eq!(tested.silence(), 0);
}

#[test]
fn helper_that_writes_without_end_is_paused_and_others_are_heard() {
    let mut tested = Loop::lines();
    let mut flood = tested.connect();
    let mut other = tested.connect();
    flood.write(&"rubbish\n".repeat(1000));
    other.write("trigger\n");
    let request = tested.request();
    tested.answer(&request, TriggerAnswer::Set { seq: 1 });
    assert_eq!(other.heard(), "set\n");
    tested.silence();
    assert_eq!(flood.heard().lines().count(), 16);
    // A readiness that was seen in the same wake-up as the pause.
    assert_eq!(tested.server.on_ready(Token(LINES_FIRST.0 + 1), tested.now), None);
    assert_eq!(flood.heard(), "");
    tested.pass(PAUSE);
    tested.silence();
    assert_eq!(flood.heard().lines().count(), 16);
}

#[test]
fn flood_of_connections_is_paused() {
    let mut tested = Loop::lines();
    let clients: Vec<_> = (0..40)
        .map_while(|_| {
            let stream = UnixStream::connect(tested.directory.socket()).unwrap();
            tested.turn(PATIENCE);
            tested.server.next_deadline().is_none().then_some(stream)
        })
        .collect();
    assert_eq!(clients.len(), 15);
    assert_eq!(tested.pending(), []);
    let _late = UnixStream::connect(tested.directory.socket()).unwrap();
    tested.silence();
    assert_eq!(tested.connected(), 15);
    tested.pass(PAUSE);
    tested.silence();
    assert_eq!(tested.connected(), 16);
}

#[test]
fn helper_that_takes_no_answers_is_ended() {
    let mut tested = Loop::lines();
    let mut client = tested.connect();
    // The kernel's buffer holds some hundreds of short answers.
    for _ in 0..1000 {
        if tested.connected() == 0 {
            break;
        }
        client.write("rubbish\n");
        tested.silence();
        tested.pass(PAUSE);
    }
    assert_eq!(tested.connected(), 0);
}

#[test]
fn full_socket_still_serves_guests_and_refuses_the_rest() {
    let mut tested = Loop::lines();
    let mut clients = Vec::new();
    for _ in 0..LINE_CLIENTS_MAX {
        clients.push(tested.connect());
        tested.pass(PAUSE);
    }
    assert_eq!(clients.iter().filter(|client| client.bell.is_some()).count(), HELPERS_MAX);
    let guest = clients.last_mut().unwrap();
    guest.write("trigger\n");
    let request = tested.request();
    tested.answer(&request, TriggerAnswer::Set { seq: 1 });
    assert_eq!(guest.heard(), "set\n");
    let mut refused = UnixStream::connect(tested.directory.socket()).unwrap();
    tested.silence();
    let mut text = String::new();
    refused.read_to_string(&mut text).unwrap();
    assert!(text.starts_with("error: too many helpers"), "{text}");
    tested.pass(GUEST_TIME);
    assert_eq!(tested.connected(), HELPERS_MAX);
    assert_eq!(tested.connect().greeting, "linkbeat 1\n");
}
