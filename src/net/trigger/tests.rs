use std::fs;
use std::io::{IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};

use mio::{Events, Poll};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};

use super::*;
use crate::net::local::WAIT_MAX;
use crate::proto::event::Word;
use crate::proto::link::Name;

const PATIENCE: Duration = Duration::from_secs(20);
const SILENCE: Duration = Duration::from_millis(20);
const FIRST: Token = Token(200);
const PAUSE: Duration = Duration::from_millis(250);

/// A directory of the test's own.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("lb-local-{}-{number}", process::id()));
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn socket(&self) -> PathBuf {
        self.0.join("trigger.sock")
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

/// A loop with nothing but the socket, whose clock stands still.
struct Loop {
    socket: TriggerSocket,
    poll: Poll,
    now: Instant,
    directory: Directory,
}

impl Loop {
    fn new() -> Self {
        let poll = Poll::new().unwrap();
        let directory = Directory::new();
        let socket = TriggerSocket::bind(&directory.socket(), poll.registry(), FIRST).unwrap();
        Self { socket, poll, now: Instant::from_micros(1_000_000), directory }
    }

    /// Connects and is greeted.
    fn connect(&mut self) -> Client {
        let stream = UnixStream::connect(self.directory.socket()).unwrap();
        let before = self.connected();
        while self.connected() == before {
            assert_eq!(self.turn(PATIENCE), []);
        }
        Client::greeted(stream)
    }

    fn connected(&self) -> usize {
        self.socket.helpers.iter().flatten().count()
    }

    /// One wake-up; waits for it at most `limit`.
    fn turn(&mut self, limit: Duration) -> Vec<Request> {
        let pending: Vec<_> = self.socket.pending().collect();
        let limit = if pending.is_empty() { limit } else { Duration::ZERO };
        let mut events = Events::with_capacity(64);
        self.poll.poll(&mut events, Some(limit)).unwrap();
        let mut ready: Vec<_> = events.iter().map(|event| event.token()).chain(pending).collect();
        ready.sort_unstable();
        ready.dedup();
        ready.into_iter().filter_map(|token| self.socket.on_ready(token, self.now)).collect()
    }

    /// The requests of one wake-up that has some.
    fn requests(&mut self) -> Vec<Request> {
        for _ in 0..100 {
            let requests = self.turn(PATIENCE);
            if !requests.is_empty() {
                return requests;
            }
        }
        panic!("no request came");
    }

    fn request(&mut self) -> Request {
        let mut requests = self.requests();
        assert_eq!(requests.len(), 1, "{requests:?}");
        requests.remove(0)
    }

    /// Everything asked for until nothing happens any more.
    fn silence(&mut self) -> usize {
        let mut asked = 0;
        loop {
            let pending = self.socket.pending().next().is_some();
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

    fn answer(&mut self, request: &Request, answer: TriggerAnswer) {
        self.socket.answer(request.ticket, answer, |at| Utc(at.as_micros() / 1_000_000));
    }

    fn pass(&mut self, time: Duration) {
        self.now = self.now + time;
        self.socket.on_deadline(self.now);
        assert!(self.socket.next_deadline().is_none_or(|at| at > self.now));
    }
}

struct Client {
    stream: UnixStream,
    greeting: String,
    bell: Option<OwnedFd>,
}

impl Client {
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

    fn write(&mut self, text: &str) {
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
    Outcome::Acknowledged { seq, status: 200, took, via: Name::new("wlan0"), answer: None }
}

#[test]
fn helper_is_greeted_with_an_eventfd_whose_ring_is_a_trigger() {
    let mut tested = Loop::new();
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
    let mut tested = Loop::new();
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
    let mut tested = Loop::new();
    let mut client = tested.connect();
    client.write("trigger --wait\n");
    let request = tested.request();
    tested.socket.settle(u64::MAX, &acknowledged(1));
    tested.answer(&request, TriggerAnswer::Pending { seq: 812 });
    tested.socket.settle(811, &acknowledged(811));
    assert_eq!(client.heard(), "");
    tested.socket.settle(812, &acknowledged(812));
    assert_eq!(client.heard(), "seq 812, 200, 83 ms, via wlan0\n");
    tested.socket.settle(813, &acknowledged(813));
    assert_eq!(client.heard(), "");
}

#[test]
fn trigger_with_wait_is_told_of_a_failure() {
    let mut tested = Loop::new();
    let mut client = tested.connect();
    client.write("trigger --wait\n");
    let request = tested.request();
    tested.answer(&request, TriggerAnswer::Set { seq: 3 });
    let failed = Outcome::Failed { seq: 3, error: "connection refused", retry_at: Some(Utc(1)) };
    tested.socket.settle(3, &failed);
    let line = "failed: seq 3, connection refused, next try at 1970-01-01T00:00:01Z\n";
    assert_eq!(client.heard(), line);
}

#[test]
fn trigger_with_wait_gives_up_after_its_time() {
    let mut tested = Loop::new();
    let mut client = tested.connect();
    client.write("trigger --wait\n");
    let request = tested.request();
    tested.answer(&request, TriggerAnswer::Set { seq: 3 });
    assert_eq!(tested.socket.next_deadline(), Some(tested.now + WAIT_MAX));
    tested.pass(WAIT_MAX);
    assert_eq!(client.heard(), "gave up after 15 s: seq 3 is not answered yet\n");
}

#[test]
fn trigger_held_beyond_the_wait_is_told_at_once() {
    let mut tested = Loop::new();
    let mut client = tested.connect();
    for (wait, heard) in [(14, ""), (15, "held until 1970-01-01T00:00:16Z\n")] {
        client.write("trigger --wait\n");
        let request = tested.request();
        let until = tested.now + Duration::from_secs(wait);
        tested.answer(&request, TriggerAnswer::Held { seq: 3, set: true, until });
        assert_eq!(client.heard(), heard);
        tested.socket.settle(3, &acknowledged(3));
        client.heard();
    }
}

#[test]
fn lines_are_answered_in_order_one_at_a_time() {
    let mut tested = Loop::new();
    let mut client = tested.connect();
    client.write("trigger --wait a\ntrigger b\n");
    let first = tested.request();
    assert_eq!(first.ask, Ask::Trigger(Word::new("a")));
    tested.answer(&first, TriggerAnswer::Set { seq: 1 });
    client.write("rubbish\n");
    assert_eq!(tested.silence(), 0);
    assert_eq!(client.heard(), "");
    tested.socket.settle(1, &acknowledged(1));
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
    let mut tested = Loop::new();
    let mut client = tested.connect();
    client.write("status\n");
    let request = tested.request();
    assert_eq!(request.ask, Ask::Status);
    let json = vec![b' '; 8192];
    tested.socket.reply(request.ticket, &json);
    let mut heard = Vec::new();
    client.stream.read_to_end(&mut heard).unwrap();
    assert_eq!(heard, json);
    assert_eq!(tested.connected(), 0);
}

#[test]
fn script_that_ends_its_own_side_gets_its_answers() {
    let mut tested = Loop::new();
    let mut client = tested.connect();
    client.write("trigger a\ntrigger --wait b");
    client.stream.shutdown(Shutdown::Write).unwrap();
    let request = tested.request();
    tested.answer(&request, TriggerAnswer::Set { seq: 1 });
    let request = tested.request();
    assert_eq!(request.ask, Ask::Trigger(Word::new("b")));
    tested.answer(&request, TriggerAnswer::Pending { seq: 1 });
    tested.silence();
    tested.socket.settle(1, &acknowledged(1));
    tested.silence();
    assert!(client.is_hung_up());
    assert_eq!(tested.connected(), 0);
}

#[test]
fn line_in_single_bytes_is_heard_once() {
    let mut tested = Loop::new();
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
fn line_too_long_is_told_and_ends_the_connection() {
    let mut tested = Loop::new();
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
    let mut tested = Loop::new();
    let client = tested.connect();
    client.ring(1);
    drop(client);
    assert_eq!(tested.request(), RING);
    assert_eq!(tested.silence(), 0);
    assert_eq!(tested.connected(), 0);
}

#[test]
fn end_without_a_ring_is_no_trigger() {
    let mut tested = Loop::new();
    drop(tested.connect());
    assert_eq!(tested.silence(), 0);
    assert_eq!(tested.connected(), 0);
}

#[test]
fn eventfd_of_an_ended_connection_wakes_nobody() {
    let mut tested = Loop::new();
    let mut client = tested.connect();
    client.stream.shutdown(Shutdown::Both).unwrap();
    assert_eq!(tested.silence(), 0);
    assert!(client.is_hung_up());
    client.ring(1);
    let mut events = Events::with_capacity(4);
    tested.poll.poll(&mut events, Some(SILENCE)).unwrap();
    assert!(events.is_empty(), "the poll still knows the eventfd");
}

#[test]
fn eventfd_of_a_dropped_socket_wakes_nobody() {
    let mut tested = Loop::new();
    let mut client = tested.connect();
    let poll = Poll::new().unwrap();
    let other = tested.directory.0.join("other.sock");
    tested.socket = TriggerSocket::bind(&other, poll.registry(), FIRST).unwrap();
    assert!(client.is_hung_up());
    client.ring(1);
    let mut events = Events::with_capacity(4);
    tested.poll.poll(&mut events, Some(SILENCE)).unwrap();
    assert!(events.is_empty(), "the poll still knows the eventfd");
}

#[test]
fn blocking_full_and_stolen_eventfds_are_harmless() {
    let mut tested = Loop::new();
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
    let mut tested = Loop::new();
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
    let mut tested = Loop::new();
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
    assert_eq!(tested.socket.on_ready(Token(FIRST.0 + 1), tested.now), None);
    assert_eq!(flood.heard(), "");
    tested.pass(PAUSE);
    tested.silence();
    assert_eq!(flood.heard().lines().count(), 16);
}

#[test]
fn flood_of_connections_is_paused() {
    let mut tested = Loop::new();
    let clients: Vec<_> = (0..40)
        .map_while(|_| {
            let stream = UnixStream::connect(tested.directory.socket()).unwrap();
            tested.turn(PATIENCE);
            tested.socket.paused_until.is_none().then_some(stream)
        })
        .collect();
    assert_eq!(clients.len(), 15);
    assert_eq!(tested.socket.pending().count(), 0);
    let _late = UnixStream::connect(tested.directory.socket()).unwrap();
    tested.silence();
    assert_eq!(tested.connected(), 15);
    tested.pass(PAUSE);
    tested.silence();
    assert_eq!(tested.connected(), 16);
}

#[test]
fn helper_that_takes_no_answers_is_ended() {
    let mut tested = Loop::new();
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
    let mut tested = Loop::new();
    let mut clients = Vec::new();
    for _ in 0..SLOTS {
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

#[test]
fn socket_has_its_mode_and_goes_with_the_agent() {
    let tested = Loop::new();
    let path = tested.directory.socket();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o660);
    let Loop { socket, directory, .. } = tested;
    drop(socket);
    assert!(!path.exists());
    drop(directory);
}

#[test]
fn missing_directory_is_made_for_all_to_see() {
    let directory = Directory::new();
    let path = directory.0.join("made/trigger.sock");
    let poll = Poll::new().unwrap();
    let socket = TriggerSocket::bind(&path, poll.registry(), FIRST).unwrap();
    let mode = fs::metadata(directory.0.join("made")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o755);
    assert_eq!(socket.path(), path);
}

#[test]
fn dead_socket_is_replaced_and_a_live_one_defended() {
    let directory = Directory::new();
    let path = directory.socket();
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    let poll = Poll::new().unwrap();
    let _live = TriggerSocket::bind(&path, poll.registry(), FIRST).unwrap();
    let second = TriggerSocket::bind(&path, poll.registry(), FIRST).unwrap_err();
    let Error::AlreadyRunning { socket, pid } = second else { panic!("{second}") };
    assert_eq!((socket, pid), (path, Some(process::id())));
}

#[test]
fn agent_that_hangs_is_alive_as_well() {
    let directory = Directory::new();
    let path = directory.socket();
    let poll = Poll::new().unwrap();
    let _hanging = TriggerSocket::bind(&path, poll.registry(), FIRST).unwrap();
    let mut queued = Vec::new();
    loop {
        let kind = socket2::Type::STREAM.nonblocking();
        let socket = socket2::Socket::new(socket2::Domain::UNIX, kind, None).unwrap();
        if socket.connect(&socket2::SockAddr::unix(&path).unwrap()).is_err() {
            break;
        }
        queued.push(socket);
    }
    let second = TriggerSocket::bind(&path, poll.registry(), FIRST).unwrap_err();
    assert!(matches!(second, Error::AlreadyRunning { pid: None, .. }), "{second}");
}

#[test]
fn file_that_is_no_socket_is_kept() {
    let directory = Directory::new();
    let path = directory.socket();
    fs::write(&path, "precious").unwrap();
    let poll = Poll::new().unwrap();
    let refused = TriggerSocket::bind(&path, poll.registry(), FIRST).unwrap_err();
    assert!(refused.chain().to_string().ends_with("another file is in its place"));
    assert_eq!(fs::read(&path).unwrap(), b"precious");
}

#[test]
fn socket_of_a_successor_is_kept() {
    let tested = Loop::new();
    let path = tested.directory.socket();
    fs::remove_file(&path).unwrap();
    let _successor = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let Loop { socket, directory, .. } = tested;
    drop(socket);
    assert!(path.exists());
    drop(directory);
}
