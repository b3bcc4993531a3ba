use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpStream};
use std::time::Duration;

use mio::{Events, Poll};
use socket2::{Domain, Socket, Type};

use super::listener::SEND_BUFFER;
use super::*;
use crate::net::local::{Ask, WAIT_MAX};
use crate::page::{PAGE, WIDGET};
use crate::status::STATUS_MAX;
use crate::wire::json;

const PATIENCE: Duration = Duration::from_secs(20);
const FIRST: Token = Token(100);
const STATUS: &str = "GET /api/meeting/status HTTP/1.1\r\nHost: localhost\r\n\r\n";
const TRIGGER: &str = "POST /api/meeting/heartbeat HTTP/1.1\r\nHost: localhost\r\n\r\n";
const TRIGGER_ONLY: &str = "POST /api/meeting/heartbeat?wait=0 HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// A loop with nothing but the server, whose clock stands still.
struct Loop {
    poll: Poll,
    server: StatusServer,
    now: Instant,
}

impl Loop {
    fn new() -> Self {
        let poll = Poll::new().unwrap();
        let server = StatusServer::new(poll.registry(), FIRST).unwrap();
        let mut this = Self { poll, server, now: Instant::from_micros(1_000_000) };
        this.listen("127.0.0.1:0", None);
        this
    }

    fn listen(&mut self, place: &str, token: Option<&str>) {
        let listen = match place.strip_prefix("unix:") {
            Some(path) => Listen::Socket(path.into()),
            None => Listen::Address(place.parse().unwrap()),
        };
        let token = token.map(|token| Secret::new(token.into()));
        self.server.listen(Some(&listen), token.as_ref(), self.now);
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.server.local_address().unwrap()).unwrap();
        stream.set_nonblocking(true).unwrap();
        stream
    }

    fn ask(&self, request: &str) -> TcpStream {
        let mut stream = self.connect();
        stream.write_all(request.as_bytes()).unwrap();
        stream
    }

    /// A client whose own side takes next to nothing before it reads.
    fn ask_with_little_room(&self) -> TcpStream {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.set_recv_buffer_size(1024).unwrap();
        socket.connect(&self.server.local_address().unwrap().into()).unwrap();
        let mut client = TcpStream::from(socket);
        client.write_all(STATUS.as_bytes()).unwrap();
        client.set_nonblocking(true).unwrap();
        client
    }

    fn is_answering(&self) -> bool {
        self.server.connections.iter().flatten().any(Connection::is_answering)
    }

    /// One wake-up; waits for it at most `limit`.
    fn turn(&mut self, limit: Duration) -> Vec<Request> {
        let pending = self.server.pending();
        let limit = if pending.is_some() { Duration::ZERO } else { limit };
        let mut events = Events::with_capacity(4);
        self.poll.poll(&mut events, Some(limit)).unwrap();
        let ready = events.iter().map(|event| event.token()).chain(pending);
        ready.filter_map(|token| self.server.on_ready(token, self.now)).collect()
    }

    fn request(&mut self) -> Request {
        for _ in 0..100 {
            if let Some(request) = self.turn(PATIENCE).pop() {
                return request;
            }
        }
        panic!("no request came");
    }

    /// Everything the server sends to `client` until it closes; requests are dropped.
    fn bytes(&mut self, client: &mut TcpStream) -> Vec<u8> {
        let mut answer = Vec::new();
        for _ in 0..2_000 {
            match client.read_to_end(&mut answer) {
                Ok(_) => return answer,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.turn(Duration::from_millis(10));
                }
                Err(error) => panic!("{error} after {answer:?}"),
            }
        }
        panic!("no end after {answer:?}");
    }

    fn reply(&mut self, ticket: Ticket, body: &[u8]) {
        self.server.reply(ticket, 200, &Content::JSON, body, self.now);
    }

    /// The same as text.
    fn answer(&mut self, client: &mut TcpStream) -> String {
        String::from_utf8(self.bytes(client)).unwrap()
    }

    fn pass(&mut self, time: Duration) {
        self.now = self.now + time;
        self.server.on_deadline(self.now);
        assert!(self.server.next_deadline().is_none_or(|at| at > self.now));
    }

    fn open_connections(&self) -> usize {
        self.server.connections.iter().flatten().count()
    }
}

fn body(answer: &str) -> &str {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let length = head.split("Content-Length: ").nth(1).unwrap().lines().next().unwrap();
    assert_eq!(length, body.len().to_string());
    json::check(body.as_bytes()).unwrap();
    body
}

fn acknowledged(seq: u64) -> Outcome<'static> {
    let took = Duration::from_millis(5);
    Outcome::Acknowledged { seq, status: 200, took, via: None, answer: None }
}

#[test]
fn status_is_asked_for_and_replied() {
    let mut tested = Loop::new();
    let mut client = tested.ask(STATUS);
    let request = tested.request();
    assert_eq!(request.ask, Ask::Status);
    assert_eq!(tested.server.next_deadline(), Some(tested.now + WAIT_MAX));
    tested.reply(request.ticket, b"{}");
    let answer = tested.answer(&mut client);
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert_eq!(body(&answer), "{}");
    assert_eq!(tested.server.pending(), None);
}

#[test]
fn head_gets_the_length_and_no_body() {
    let mut tested = Loop::new();
    let mut client = tested.ask(&STATUS.replace("GET", "HEAD"));
    let request = tested.request();
    tested.reply(request.ticket, b"{}");
    let answer = tested.answer(&mut client);
    assert!(answer.contains("Content-Length: 2\r\n") && answer.ends_with("\r\n\r\n"), "{answer}");
}

#[test]
fn usual_answer_leaves_at_once_whatever_the_client_reads() {
    let mut tested = Loop::new();
    let mut client = tested.ask_with_little_room();
    let request = tested.request();
    // socket(7): the kernel doubles it for its own needs.
    let accepted = tested.server.connections.iter().flatten().next().unwrap();
    assert_eq!(accepted.send_buffer_size().unwrap(), 2 * SEND_BUFFER);
    const { assert!(STATUS_MAX <= SEND_BUFFER) };
    let reply = format!("\"{}\"", "x".repeat(STATUS_MAX - 2));
    tested.reply(request.ticket, reply.as_bytes());
    assert!(!tested.is_answering());
    assert_eq!(body(&tested.answer(&mut client)), reply);
}

#[test]
fn large_answer_is_sent_in_pieces() {
    let mut tested = Loop::new();
    let mut client = tested.ask(STATUS);
    let request = tested.request();
    let reply = format!("\"{}\"", (0..600_000).map(|n| format!("{n} ")).collect::<String>());
    tested.reply(request.ticket, reply.as_bytes());
    assert!(tested.is_answering());
    let (mut answer, mut turns) = (Vec::new(), 0);
    let mut piece = [0; 10_000];
    loop {
        match client.read(&mut piece) {
            Ok(0) => break,
            Ok(read) => answer.extend(&piece[..read]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                assert!(tested.turn(Duration::from_millis(100)).is_empty());
                turns += 1;
                assert!(turns < 1_000, "{} bytes of {}", answer.len(), reply.len());
            }
            Err(error) => panic!("{error}"),
        }
    }
    let (_, body) = std::str::from_utf8(&answer).unwrap().split_once("\r\n\r\n").unwrap();
    assert!(body == reply, "{} bytes", body.len());
}

#[test]
fn client_that_reads_nothing_of_a_large_answer_is_reset_in_time() {
    let mut tested = Loop::new();
    let mut client = tested.ask_with_little_room();
    let request = tested.request();
    tested.reply(request.ticket, &vec![b' '; 1 << 20]);
    tested.pass(Duration::from_millis(9_999));
    assert_eq!(tested.open_connections(), 1);
    tested.pass(Duration::from_millis(1));
    assert_eq!(tested.open_connections(), 0);
    client.set_nonblocking(false).unwrap();
    let end = client.read_to_end(&mut Vec::new()).unwrap_err();
    assert_eq!(end.kind(), io::ErrorKind::ConnectionReset);
}

#[test]
fn client_that_reads_a_large_answer_too_slowly_is_reset_in_the_end() {
    let mut tested = Loop::new();
    let mut client = tested.ask_with_little_room();
    let request = tested.request();
    tested.reply(request.ticket, &vec![b' '; 4 << 20]);
    let start = tested.now;
    let mut piece = [0; 700];
    while tested.open_connections() > 0 {
        assert!(tested.now - start < Duration::from_secs(11), "still there");
        assert!(client.read(&mut piece).is_ok());
        tested.turn(Duration::from_millis(20));
        tested.pass(Duration::from_millis(500));
    }
    assert_eq!(tested.now - start, Duration::from_secs(10));
}

/// A request for this path, with these fields.
fn visit(method: &str, path: &str, fields: &str) -> String {
    format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n")
}

#[test]
fn what_is_part_of_the_program_is_shown_without_asking() {
    for (path, document) in [("/", &PAGE), ("/widget", &WIDGET)] {
        let mut tested = Loop::new();
        let mut client = tested.ask(&visit("GET", path, "Accept-Encoding: gzip\r\n"));
        let answer = tested.bytes(&mut client);
        let head = answer.strip_suffix(document.body).unwrap();
        let mut client = tested.ask(&visit("HEAD", path, "Accept-Encoding: gzip\r\n"));
        assert_eq!(tested.bytes(&mut client), head);
        let head = std::str::from_utf8(head).unwrap();
        for field in [
            "Content-Type: text/html; charset=utf-8",
            "Content-Encoding: gzip",
            "Cache-Control: no-cache",
            "X-Content-Type-Options: nosniff",
            "Content-Security-Policy: default-src 'none'; script-src 'sha256-",
        ] {
            assert!(head.contains(&format!("\r\n{field}")), "{field}: {head}");
        }
    }
}

#[test]
fn page_that_the_client_has_is_not_sent_again() {
    let mut tested = Loop::new();
    let fields = format!("If-None-Match: {}\r\n", PAGE.content.etag.unwrap());
    let mut client = tested.ask(&visit("GET", "/", &fields));
    let answer = tested.answer(&mut client);
    assert!(answer.starts_with("HTTP/1.1 304 Not Modified\r\n"), "{answer}");
    assert!(answer.ends_with("\r\n\r\n"), "{answer}");
}

#[test]
fn page_says_what_to_do_to_who_cannot_expand_it() {
    let mut tested = Loop::new();
    let mut client = tested.ask(&visit("GET", "/", ""));
    let answer = tested.answer(&mut client);
    assert!(answer.starts_with("HTTP/1.1 406 Not Acceptable\r\n"), "{answer}");
    assert!(body(&answer).contains("`curl --compressed`"), "{answer}");
    let mut client = tested.ask(&visit("POST", "/", "Accept-Encoding: gzip\r\n"));
    let answer = tested.answer(&mut client);
    assert!(answer.starts_with("HTTP/1.1 405 "), "{answer}");
}

#[test]
fn refusal_of_head_has_no_body() {
    let mut tested = Loop::new();
    let mut client = tested.ask("HEAD /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let answer = tested.answer(&mut client);
    assert!(answer.starts_with("HTTP/1.1 404 ") && answer.ends_with("\r\n\r\n"), "{answer}");
}

#[test]
fn trigger_without_wait_is_answered_by_the_cores_word() {
    for (answer, expected) in [
        (TriggerAnswer::Set { seq: 1 }, r#"{"success":true,"set":true}"#),
        (TriggerAnswer::Pending { seq: 1 }, r#"{"success":true,"set":false}"#),
    ] {
        let mut tested = Loop::new();
        let mut client = tested.ask(TRIGGER_ONLY);
        let request = tested.request();
        assert_eq!(request.ask, Ask::Trigger(None));
        tested.server.answer(request.ticket, answer, tested.now, |_| Utc(0));
        assert_eq!(body(&tested.answer(&mut client)), expected);
    }
}

#[test]
fn trigger_waits_for_the_beat_that_covers_it() {
    let mut tested = Loop::new();
    let mut client = tested.ask(TRIGGER);
    let request = tested.request();
    tested.server.settle(9, &acknowledged(9), tested.now);
    tested.server.answer(request.ticket, TriggerAnswer::Set { seq: 10 }, tested.now, |_| Utc(0));
    tested.server.settle(9, &acknowledged(9), tested.now);
    tested.server.settle(10, &acknowledged(10), tested.now);
    let answer = tested.answer(&mut client);
    assert_eq!(body(&answer), r#"{"success":true,"data":null,"status_code":200}"#);
}

#[test]
fn those_who_wait_for_a_beat_leave_room_for_others() {
    let mut tested = Loop::new();
    for _ in 0..WAITING_MAX {
        // That it is gone does not show: who shuts its sending side down may still wait.
        drop(tested.ask(TRIGGER));
        let request = tested.request();
        tested.server.answer(request.ticket, TriggerAnswer::Set { seq: 1 }, tested.now, |_| Utc(0));
    }
    let mut refused = tested.ask(TRIGGER);
    let answer = tested.answer(&mut refused);
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("?wait=0"), "{answer}");
    let mut client = tested.ask(TRIGGER_ONLY);
    let request = tested.request();
    tested.server.answer(request.ticket, TriggerAnswer::Pending { seq: 1 }, tested.now, |_| Utc(0));
    assert_eq!(body(&tested.answer(&mut client)), r#"{"success":true,"set":false}"#);
}

#[test]
fn trigger_gives_up_after_its_time() {
    let mut tested = Loop::new();
    let mut client = tested.ask(TRIGGER);
    let request = tested.request();
    tested.server.answer(request.ticket, TriggerAnswer::Set { seq: 3 }, tested.now, |_| Utc(0));
    tested.pass(WAIT_MAX);
    let answer = tested.answer(&mut client);
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    assert!(body(&answer).contains("gave up after 15 s: seq 3"), "{answer}");
}

#[test]
fn trigger_held_for_longer_than_anyone_waits_is_told_so_at_once() {
    let mut tested = Loop::new();
    let mut client = tested.ask(TRIGGER);
    let request = tested.request();
    let until = tested.now + Duration::from_secs(60);
    let held = TriggerAnswer::Held { seq: 3, set: true, until };
    tested.server.answer(request.ticket, held, tested.now, |_| Utc(60));
    let answer = tested.answer(&mut client);
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    assert!(body(&answer).contains(r#""error":"held until 1970-01-01T00:01:00Z""#), "{answer}");
}

#[test]
fn client_that_ended_its_own_side_gets_its_answer() {
    let mut tested = Loop::new();
    let mut client = tested.ask(STATUS);
    client.shutdown(Shutdown::Write).unwrap();
    let request = tested.request();
    tested.turn(Duration::from_millis(10));
    tested.reply(request.ticket, b"{}");
    assert_eq!(body(&tested.answer(&mut client)), "{}");
    assert_eq!(tested.open_connections(), 0);
}

#[test]
fn bad_requests_get_their_status() {
    let head = "HTTP/1.1\r\nHost: localhost\r\n";
    for (request, status) in [
        ("rubbish\r\n\r\n".to_owned(), 400),
        ("\u{0}".to_owned(), 400),
        ("GET /api/meeting/status HTTP/1.1\r\nHost: evil.example\r\n\r\n".to_owned(), 403),
        (format!("POST /api/meeting/heartbeat {head}Origin: http://evil.example\r\n\r\n"), 403),
        (format!("GET /nothing {head}\r\n"), 404),
        (format!("GET /api/meeting/status/ {head}\r\n"), 404),
        (format!("GET /api/meeting/heartbeat {head}\r\n"), 405),
        (format!("POST /api/meeting/status {head}\r\n"), 405),
        (format!("OPTIONS /api/meeting/heartbeat {head}\r\n"), 405),
        (format!("POST /api/meeting/heartbeat {head}Transfer-Encoding: chunked\r\n\r\n"), 411),
        (format!("POST /api/meeting/heartbeat {head}Content-Length: 2000\r\n\r\n"), 413),
        (format!("GET /{} {head}\r\n", "x".repeat(5000)), 431),
        (format!("GET / {head}{}\r\n", "A: b\r\n".repeat(40)), 431),
    ] {
        let mut tested = Loop::new();
        let mut client = tested.ask(&request);
        let answer = tested.answer(&mut client);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{request}: {answer}");
        assert!(body(&answer).starts_with(r#"{"success":false,"error":""#), "{answer}");
    }
}

#[test]
fn request_in_single_bytes_is_heard_once_and_its_body_ignored() {
    let mut tested = Loop::new();
    let mut client = tested.connect();
    let request = TRIGGER_ONLY.replace("\r\n\r\n", "\r\nContent-Length: 5\r\n\r\nhello");
    let mut heard = Vec::new();
    for byte in request.bytes() {
        client.write_all(&[byte]).unwrap();
        heard.extend(tested.turn(PATIENCE));
    }
    while heard.is_empty() {
        heard.extend(tested.turn(PATIENCE));
    }
    let [request] = heard.as_slice() else { panic!("{heard:?}") };
    tested.server.answer(request.ticket, TriggerAnswer::Set { seq: 1 }, tested.now, |_| Utc(0));
    assert_eq!(body(&tested.answer(&mut client)), r#"{"success":true,"set":true}"#);
}

#[test]
fn slow_head_is_cut_off_and_a_silent_connection_closed() {
    let mut tested = Loop::new();
    let mut slow = tested.ask("GET /");
    let mut silent = tested.connect();
    while tested.open_connections() < 2 {
        tested.turn(PATIENCE);
    }
    // The bytes are there by the second turn at the latest.
    tested.turn(PATIENCE);
    tested.pass(Duration::from_secs(2));
    assert!(tested.answer(&mut slow).starts_with("HTTP/1.1 408 "));
    assert_eq!(tested.answer(&mut silent), "");
}

#[test]
fn client_that_does_not_go_is_cut_off() {
    let mut tested = Loop::new();
    let client = tested.ask(STATUS);
    let request = tested.request();
    tested.reply(request.ticket, b"{}");
    assert_eq!(tested.open_connections(), 1);
    tested.pass(Duration::from_secs(2));
    assert_eq!(tested.open_connections(), 0);
    drop(client);
}

#[test]
fn client_that_talks_on_after_its_answer_is_cut_off() {
    let mut tested = Loop::new();
    let mut client = tested.ask(STATUS);
    let request = tested.request();
    tested.reply(request.ticket, b"{}");
    for _ in 0..1000 {
        if tested.open_connections() == 0 {
            return;
        }
        assert!(client.write(&[b'x'; 4096]).is_ok());
        tested.turn(PATIENCE);
    }
    panic!("the client is still listened to");
}

#[test]
fn more_connections_than_slots_wait_for_their_turn() {
    let mut tested = Loop::new();
    let mut clients: Vec<_> = (0..12).map(|_| tested.ask(STATUS)).collect();
    let mut requests = Vec::new();
    while requests.len() < CONNECTIONS_MAX {
        requests.extend(tested.turn(PATIENCE));
    }
    assert_eq!(tested.open_connections(), CONNECTIONS_MAX);
    assert_eq!(tested.server.pending(), None, "full, and yet visited again and again");
    // A client that has ended its side is gone with its answer: no readiness tells of the room.
    for (client, request) in clients.iter().zip(&requests) {
        client.shutdown(Shutdown::Write).unwrap();
        tested.reply(request.ticket, b"{}");
    }
    assert_eq!(tested.server.pending(), Some(FIRST));
    let mut served = CONNECTIONS_MAX;
    while served < clients.len() {
        for request in tested.turn(PATIENCE) {
            tested.reply(request.ticket, b"{}");
            served += 1;
        }
    }
    for client in &mut clients {
        assert_eq!(body(&tested.answer(client)), "{}");
    }
}

#[test]
fn flood_of_connections_is_paused() {
    let mut tested = Loop::new();
    let mut accepted = 0;
    for _ in 0..100 {
        let client = tested.connect();
        tested.turn(Duration::from_millis(1));
        accepted += tested.open_connections();
        drop(client);
        while tested.open_connections() > 0 {
            tested.turn(PATIENCE);
        }
        if tested.server.next_deadline().is_some() {
            break;
        }
    }
    assert!((8..=16).contains(&accepted), "{accepted}");
    assert_eq!(tested.server.pending(), None);
    tested.pass(Duration::from_millis(250));
    assert_eq!(tested.server.pending(), Some(FIRST));
}

#[test]
fn port_in_use_is_told_and_tried_again() {
    let other = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = other.local_addr().unwrap();
    let mut tested = Loop::new();
    tested.listen(&address.to_string(), None);
    let trouble = Trouble { listen: Listen::Address(address), kind: TroubleKind::InUse };
    assert_eq!(tested.server.trouble(), Some(&trouble));
    for wait in [5, 10, 20, 40, 60, 60] {
        let due = tested.server.next_deadline().unwrap();
        assert_eq!(due - tested.now, Duration::from_secs(wait));
        tested.pass(due - tested.now);
        assert!(tested.server.trouble().is_some());
    }
    drop(other);
    tested.pass(Duration::from_secs(60));
    assert_eq!(tested.server.trouble(), None);
    assert_eq!(tested.server.local_address(), Some(address));
    let _client = tested.ask(STATUS);
    assert_eq!(tested.request().ask, Ask::Status);
}

#[test]
fn port_of_a_former_agent_is_free_at_once() {
    let mut tested = Loop::new();
    let address = tested.server.local_address();
    let mut client = tested.ask(STATUS);
    let request = tested.request();
    // We end the connection first: its port stays in TIME_WAIT on our side.
    tested.reply(request.ticket, b"{}");
    tested.answer(&mut client);
    drop(client);
    let mut successor = Loop::new();
    drop(tested);
    successor.listen(&address.unwrap().to_string(), None);
    assert_eq!(successor.server.trouble(), None);
}

#[test]
fn other_machines_are_listened_to_only_with_a_token() {
    let mut tested = Loop::new();
    tested.listen("0.0.0.0:0", None);
    let trouble = tested.server.trouble().unwrap();
    assert_eq!(trouble.kind, TroubleKind::NoToken);
    assert!(trouble.to_string().contains("set status_token as well"), "{trouble}");
    assert_eq!(tested.server.local_address(), None);
    assert_eq!(tested.server.next_deadline(), None);
    tested.listen("0.0.0.0:0", Some("a token of sorts"));
    assert_eq!(tested.server.trouble(), None);
    assert!(tested.server.local_address().unwrap().ip().is_unspecified());
    tested.listen("0.0.0.0:0", None);
    assert_eq!(tested.server.local_address(), None);
}

#[test]
fn same_address_keeps_the_socket_and_none_closes_it() {
    let mut tested = Loop::new();
    let before = tested.server.local_address();
    tested.listen("127.0.0.1:0", None);
    assert_eq!(tested.server.local_address(), before);
    tested.listen("127.0.0.1:0", Some("a token of sorts"));
    assert_eq!(tested.server.local_address(), before);
    tested.server.listen(None, None, tested.now);
    assert_eq!(tested.server.local_address(), None);
    assert!(TcpStream::connect(before.unwrap()).is_err());
}

/// The lines of a head that begin so.
fn field<'a>(answer: &'a str, name: &str) -> Option<&'a str> {
    answer.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

#[test]
fn browser_is_led_to_the_form_and_back_with_a_cookie() {
    let mut tested = Loop::new();
    tested.listen("127.0.0.1:0", Some("the token"));
    let mut get = |request: &str| {
        let mut client = tested.ask(request);
        tested.answer(&mut client)
    };
    let head = "HEAD / HTTP/1.1\r\nHost: camera.local\r\nAccept-Encoding: gzip\r\n";
    let page = |cookie: &str| format!("{head}{cookie}\r\n");
    let answer = get(&page(""));
    assert!(answer.starts_with("HTTP/1.1 303 See Other\r\n"), "{answer}");
    assert_eq!(field(&answer, "Location"), Some("/login"));
    let form = get("GET /login HTTP/1.1\r\nHost: camera.local\r\n\r\n");
    assert!(form.starts_with("HTTP/1.1 200 OK\r\n") && form.contains("name=token"), "{form}");
    let send = |token: &str| {
        let length = token.len() + 6;
        let head = "POST /login HTTP/1.1\r\nHost: camera.local\r\nOrigin: http://camera.local";
        format!("{head}\r\nContent-Length: {length}\r\n\r\ntoken={token}")
    };
    let again = get(&send("rubbish"));
    assert!(again.starts_with("HTTP/1.1 401 Unauthorized\r\n"), "{again}");
    assert!(again.contains("name=token") && again.contains("not the token"), "{again}");
    assert!(field(&again, "WWW-Authenticate").is_some() && field(&again, "Set-Cookie").is_none());
    let answer = get(&send("the%20token"));
    assert!(answer.starts_with("HTTP/1.1 303 See Other\r\n"), "{answer}");
    assert_eq!(field(&answer, "Location"), Some("/"));
    let cookie = field(&answer, "Set-Cookie").unwrap();
    assert!(cookie.ends_with("; Path=/; HttpOnly; SameSite=Strict"), "{cookie}");
    let session = cookie.split(';').next().unwrap();
    let answer = get(&page(&format!("Cookie: {session}\r\n")));
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    // Another token ends what was given for this one, the same again does not.
    tested.listen("127.0.0.1:0", Some("the token"));
    let mut client = tested.ask(&page(&format!("Cookie: {session}\r\n")));
    assert!(tested.answer(&mut client).starts_with("HTTP/1.1 200 "));
    tested.listen("127.0.0.1:0", Some("another token"));
    let mut client = tested.ask(&page(&format!("Cookie: {session}\r\n")));
    assert!(tested.answer(&mut client).starts_with("HTTP/1.1 303 "));
}

#[test]
fn script_is_asked_for_the_token() {
    let mut tested = Loop::new();
    tested.listen("127.0.0.1:0", Some("the-token"));
    for request in [STATUS, TRIGGER, TRIGGER_ONLY] {
        let mut client = tested.ask(request);
        let answer = tested.answer(&mut client);
        assert!(answer.starts_with("HTTP/1.1 401 Unauthorized\r\n"), "{answer}");
        assert_eq!(field(&answer, "WWW-Authenticate"), Some("Bearer realm=\"linkbeat\""));
        assert!(body(&answer).contains("status_token"), "{answer}");
        let _client =
            tested.ask(&request.replace("\r\n\r\n", "\r\nAuthorization: Bearer the-token\r\n\r\n"));
        let request = tested.request();
        tested.reply(request.ticket, b"{}");
    }
    for _ in 0..6 {
        let client = STATUS.replace("\r\n\r\n", "\r\nAuthorization: Bearer no-token\r\n\r\n");
        let mut client = tested.ask(&client);
        let answer = tested.answer(&mut client);
        let limited = answer.starts_with("HTTP/1.1 429 Too Many Requests\r\n");
        assert!(limited || answer.starts_with("HTTP/1.1 401 "), "{answer}");
        assert_eq!(limited, field(&answer, "Retry-After").is_some(), "{answer}");
        tested.pass(Duration::from_millis(300));
    }
    let mut client = tested.ask(&STATUS.replace("\r\n\r\n", "\r\nAuthorization: Bearer x\r\n\r\n"));
    assert!(tested.answer(&mut client).starts_with("HTTP/1.1 429 "));
}

#[test]
fn form_in_single_bytes_is_a_form_and_one_that_is_too_large_is_told_so() {
    let mut tested = Loop::new();
    tested.listen("127.0.0.1:0", Some("the-token"));
    let form = |fill: usize| {
        format!(
            "POST /login HTTP/1.1\r\nHost: camera\r\nX: {}\r\nContent-Length: 15\r\n\r\n\
             token=the-token",
            "x".repeat(fill)
        )
    };
    let mut client = tested.connect();
    for byte in form(1).bytes() {
        client.write_all(&[byte]).unwrap();
        assert!(tested.turn(PATIENCE).is_empty());
    }
    assert!(tested.answer(&mut client).starts_with("HTTP/1.1 303 "));
    let most = crate::wire::http_server::HEAD_MAX - form(0).len();
    for (fill, status) in [(most, 303), (most + 1, 413)] {
        let mut client = tested.ask(&form(fill));
        let answer = tested.answer(&mut client);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{fill}: {answer}");
    }
}

#[test]
fn form_is_only_there_where_a_token_is_asked_for() {
    let mut tested = Loop::new();
    let mut client = tested.ask("GET /login HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let answer = tested.answer(&mut client);
    assert_eq!(field(&answer, "Location"), Some("/"), "{answer}");
}

/// A directory of our own, gone with its drop.
struct Directory(std::path::PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        let name = format!("linkbeat-status-{name}-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).unwrap();
    }
}

#[test]
fn unix_socket_serves_whoever_may_open_it() {
    use std::os::unix::fs::PermissionsExt;
    let directory = Directory::new("unix");
    let path = directory.0.join("http.sock");
    let mut tested = Loop::new();
    let before = tested.server.local_address().unwrap();
    // The token is for TCP.
    tested.listen(&format!("unix:{}", path.display()), Some("the-token"));
    assert_eq!(tested.server.trouble(), None);
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o660);
    assert!(TcpStream::connect(before).is_err());
    let mut client = std::os::unix::net::UnixStream::connect(&path).unwrap();
    client.write_all(STATUS.replace("localhost", "any.name").as_bytes()).unwrap();
    let request = tested.request();
    let large = vec![b' '; 4 << 20];
    tested.reply(request.ticket, &large);
    assert!(tested.is_answering());
    client.set_nonblocking(true).unwrap();
    let (mut answer, mut piece, mut turns) = (Vec::new(), [0; 10_000], 0);
    loop {
        match client.read(&mut piece) {
            Ok(0) => break,
            Ok(read) => answer.extend_from_slice(&piece[..read]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                tested.turn(Duration::from_millis(100));
                turns += 1;
                assert!(turns < 1_000, "{} bytes", answer.len());
            }
            Err(error) => panic!("{error}"),
        }
    }
    assert!(answer.ends_with(&large));
    tested.listen("127.0.0.1:0", None);
    assert!(!path.exists());
}

#[test]
fn unix_socket_whose_file_is_gone_is_made_again_and_one_in_use_is_told() {
    let directory = Directory::new("gone");
    let path = directory.0.join("http.sock");
    let place = format!("unix:{}", path.display());
    let mut tested = Loop::new();
    tested.listen(&place, None);
    tested.server.look(tested.now);
    std::fs::remove_file(&path).unwrap();
    tested.server.look(tested.now);
    assert!(path.exists());
    let mut other = Loop::new();
    other.listen(&place, None);
    let trouble = other.server.trouble().unwrap().to_string();
    assert!(trouble.contains("another agent, process ") && trouble.contains(&place), "{trouble}");
    drop(tested);
    other.pass(Duration::from_secs(5));
    assert_eq!(other.server.trouble(), None);
    drop(other);
    assert!(!path.exists());
}
