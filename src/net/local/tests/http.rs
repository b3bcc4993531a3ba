use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream};

use socket2::{Domain, Socket, Type};

use super::*;
use crate::net::local::client::ClientConnection;
use crate::net::local::clients::WAITING_MAX;
use crate::net::local::http::HttpClient;
use crate::net::local::listener::SEND_BUFFER;
use crate::page::{PAGE, WIDGET};
use crate::status::STATUS_MAX;
use linkbeat_core::wire::json;

mod crowd;
mod login;
mod ports;
mod trigger;

pub(super) const STATUS: &str = "GET /api/meeting/status HTTP/1.1\r\nHost: localhost\r\n\r\n";
const TRIGGER: &str = "POST /api/meeting/heartbeat HTTP/1.1\r\nHost: localhost\r\n\r\n";
const DEBUG: &str = "POST /api/meeting/heartbeat/debug HTTP/1.1\r\nHost: localhost\r\n\r\n";
const TRIGGER_ONLY: &str = "POST /api/meeting/heartbeat?wait=0 HTTP/1.1\r\nHost: localhost\r\n\r\n";

impl Loop {
    fn http() -> Self {
        let mut this = Self::new();
        this.listen("127.0.0.1:0", None);
        this
    }

    pub(super) fn listen(&mut self, place: &str, token: Option<&str>) {
        let listen = match place.strip_prefix("unix:") {
            Some(path) => Listen::Socket(path.into()),
            None => Listen::Address(place.parse().unwrap()),
        };
        self.server.listen_http(Some(&listen), token, self.now);
    }

    fn http_address(&self) -> Option<SocketAddr> {
        self.server.http.local_address()
    }

    /// Why the status server does not listen.
    fn error(&self) -> Option<String> {
        self.server.http.error.clone()
    }

    fn connect_http(&self) -> TcpStream {
        let stream = TcpStream::connect(self.http_address().unwrap()).unwrap();
        stream.set_nonblocking(true).unwrap();
        stream
    }

    pub(super) fn ask(&self, request: &str) -> TcpStream {
        let mut stream = self.connect_http();
        stream.write_all(request.as_bytes()).unwrap();
        stream
    }

    /// A client whose own side takes next to nothing before it reads.
    fn ask_with_little_room(&self) -> TcpStream {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.set_recv_buffer_size(1024).unwrap();
        socket.connect(&self.http_address().unwrap().into()).unwrap();
        let mut client = TcpStream::from(socket);
        client.write_all(STATUS.as_bytes()).unwrap();
        client.set_nonblocking(true).unwrap();
        client
    }

    fn http_clients(&self) -> impl Iterator<Item = &HttpClient> {
        self.server.clients.iter().filter_map(|(_, client)| match &client.connection {
            ClientConnection::Http(client) => Some(client),
            ClientConnection::Lines(_) => None,
        })
    }

    fn is_answering(&self) -> bool {
        self.http_clients().any(HttpClient::is_answering)
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

    /// The same as text.
    fn text(&mut self, client: &mut TcpStream) -> String {
        String::from_utf8(self.bytes(client)).unwrap()
    }
}

fn body(answer: &str) -> &str {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let length = head.split("Content-Length: ").nth(1).unwrap().lines().next().unwrap();
    assert_eq!(length, body.len().to_string());
    json::parse(body.as_bytes()).unwrap();
    body
}

fn acknowledged(seq: u64) -> Outcome<'static> {
    let took = Duration::from_millis(5);
    Outcome::Acknowledged { seq, status: 200, took, via: None, answer: None, exchange: None }
}

#[test]
fn status_is_asked_for_and_replied() {
    let mut tested = Loop::http();
    let mut client = tested.ask(STATUS);
    let request = tested.request();
    assert_eq!(request.ask, Ask::Status);
    assert_eq!(tested.server.next_deadline(), Some(tested.now + WAIT_MAX));
    tested.reply(&request, b"{}");
    let answer = tested.text(&mut client);
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert_eq!(body(&answer), "{}");
    assert_eq!(tested.pending(), []);
}

#[test]
fn head_gets_the_length_and_no_body() {
    let mut tested = Loop::http();
    let mut client = tested.ask(&STATUS.replace("GET", "HEAD"));
    let request = tested.request();
    tested.reply(&request, b"{}");
    let answer = tested.text(&mut client);
    assert!(answer.contains("Content-Length: 2\r\n") && answer.ends_with("\r\n\r\n"), "{answer}");
}

#[test]
fn usual_answer_leaves_at_once_whatever_the_client_reads() {
    let mut tested = Loop::http();
    let mut client = tested.ask_with_little_room();
    let request = tested.request();
    // socket(7): the kernel doubles it for its own needs.
    let accepted = tested.http_clients().next().unwrap();
    assert_eq!(accepted.send_buffer_size().unwrap(), 2 * SEND_BUFFER);
    const { assert!(STATUS_MAX <= SEND_BUFFER) };
    let reply = format!("\"{}\"", "x".repeat(STATUS_MAX - 2));
    tested.reply(&request, reply.as_bytes());
    assert!(!tested.is_answering());
    assert_eq!(body(&tested.text(&mut client)), reply);
}

#[test]
fn large_answer_is_sent_in_pieces() {
    let mut tested = Loop::http();
    let mut client = tested.ask(STATUS);
    let request = tested.request();
    let reply = format!("\"{}\"", (0..600_000).map(|n| format!("{n} ")).collect::<String>());
    tested.reply(&request, reply.as_bytes());
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
    let mut tested = Loop::http();
    let mut client = tested.ask_with_little_room();
    let request = tested.request();
    tested.reply(&request, &vec![b' '; 1 << 20]);
    tested.pass(Duration::from_millis(9_999));
    assert_eq!(tested.connected(), 1);
    tested.pass(Duration::from_millis(1));
    assert_eq!(tested.connected(), 0);
    client.set_nonblocking(false).unwrap();
    let end = client.read_to_end(&mut Vec::new()).unwrap_err();
    assert_eq!(end.kind(), io::ErrorKind::ConnectionReset);
}

#[test]
fn client_that_reads_a_large_answer_too_slowly_is_reset_in_the_end() {
    let mut tested = Loop::http();
    let mut client = tested.ask_with_little_room();
    let request = tested.request();
    tested.reply(&request, &vec![b' '; 4 << 20]);
    let start = tested.now;
    let mut piece = [0; 700];
    while tested.connected() > 0 {
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
        let mut tested = Loop::http();
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
    let mut tested = Loop::http();
    let fields = format!("If-None-Match: {}\r\n", PAGE.content.etag.unwrap());
    let mut client = tested.ask(&visit("GET", "/", &fields));
    let answer = tested.text(&mut client);
    assert!(answer.starts_with("HTTP/1.1 304 Not Modified\r\n"), "{answer}");
    assert!(answer.ends_with("\r\n\r\n"), "{answer}");
}

#[test]
fn page_says_what_to_do_to_who_cannot_expand_it() {
    let mut tested = Loop::http();
    let mut client = tested.ask(&visit("GET", "/", ""));
    let answer = tested.text(&mut client);
    assert!(answer.starts_with("HTTP/1.1 406 Not Acceptable\r\n"), "{answer}");
    assert!(body(&answer).contains("`curl --compressed`"), "{answer}");
    let mut client = tested.ask(&visit("POST", "/", "Accept-Encoding: gzip\r\n"));
    let answer = tested.text(&mut client);
    assert!(answer.starts_with("HTTP/1.1 405 "), "{answer}");
}

#[test]
fn refusal_of_head_has_no_body() {
    let mut tested = Loop::http();
    let mut client = tested.ask("HEAD /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let answer = tested.text(&mut client);
    assert!(answer.starts_with("HTTP/1.1 404 ") && answer.ends_with("\r\n\r\n"), "{answer}");
}

#[test]
fn client_that_ended_its_own_side_gets_its_answer() {
    let mut tested = Loop::http();
    let mut client = tested.ask(STATUS);
    client.shutdown(Shutdown::Write).unwrap();
    let request = tested.request();
    tested.turn(Duration::from_millis(10));
    tested.reply(&request, b"{}");
    assert_eq!(body(&tested.text(&mut client)), "{}");
    assert_eq!(tested.connected(), 0);
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
        let mut tested = Loop::http();
        let mut client = tested.ask(&request);
        let answer = tested.text(&mut client);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{request}: {answer}");
        assert!(body(&answer).starts_with(r#"{"success":false,"error":""#), "{answer}");
    }
}

#[test]
fn request_in_single_bytes_is_heard_once_and_its_body_ignored() {
    let mut tested = Loop::http();
    let mut client = tested.connect_http();
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
    tested.answer(request, TriggerAnswer::Set { seq: 1 });
    assert_eq!(body(&tested.text(&mut client)), r#"{"success":true,"set":true}"#);
}
