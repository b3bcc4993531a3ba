//! Connections to correct and incorrect servers on 127.0.0.1.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use linkbeat::net::connection::{Connection, Progress, Security};
use linkbeat::net::tls::{self, Detail, Roots, TlsSession};
use linkbeat::sys::readiness::watch;
use linkbeat_core::proto::event::{Failure, Reply, TlsFailure};
use linkbeat_core::proto::link::InterfaceName;
use linkbeat_core::wire::request::REQUEST_MAX;
use linkbeat_core::wire::response::Response;
use linkbeat_support::certificates::{Certificates, Shown};
use linkbeat_support::receiver::{Answer, Behaviour, Close, Framing, Receiver, Scheme};
use mio::{Events, Interest, Poll, Token};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection};
use socket2::SockRef;

#[cfg(test)]
mod early_data;
#[cfg(test)]
mod identity;
#[cfg(test)]
mod keys;
#[cfg(test)]
mod records;

/// Longest wait for an event that must come.
const PATIENCE: Duration = Duration::from_secs(20);
/// Wait for an event that must not come.
const SILENCE: Duration = Duration::from_millis(100);
const REQUEST: &[u8] = b"POST /api/devices/cam/online HTTP/1.1\r\nHost: localhost\r\n\
    Content-Type: application/json\r\nContent-Length: 9\r\n\r\n{\"seq\":1}";
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
const STEPS: [Progress; 4] =
    [Progress::Connected, Progress::Secured, Progress::Written, Progress::Replied];

/// A connection with its part of the event loop.
struct Client {
    poll: Poll,
    connection: Connection,
    response: Response,
}

impl Client {
    fn open(to: SocketAddr, security: Security) -> Self {
        let connection = Connection::open(to, None, security).expect("a socket");
        let poll = Poll::new().expect("epoll");
        let interest = Interest::READABLE | Interest::WRITABLE;
        watch(poll.registry(), &connection, Token(0), interest).expect("registered");
        Self { poll, connection, response: Response::new() }
    }

    /// Waits for readiness; false if there is none.
    fn wait(&mut self, limit: Duration) -> bool {
        let mut events = Events::with_capacity(4);
        self.poll.poll(&mut events, Some(limit)).expect("poll");
        !events.is_empty()
    }

    /// The next step, with the waits of the loop.
    fn next(&mut self) -> Result<Progress, Failure> {
        loop {
            match self.connection.on_ready(&mut self.response)? {
                Progress::Drained => assert!(self.wait(PATIENCE), "nothing happens"),
                Progress::Spent => {}
                progress => return Ok(progress),
            }
        }
    }

    /// Connects and completes the handshake.
    fn establish(&mut self) -> Result<(), Failure> {
        assert_eq!(self.next()?, Progress::Connected);
        assert_eq!(self.next()?, Progress::Secured);
        Ok(())
    }

    /// Sends one beat on an idle connection.
    fn beat(&mut self) -> Result<Reply, Failure> {
        self.connection.write(REQUEST);
        assert_eq!(self.next()?, Progress::Written);
        assert_eq!(self.next()?, Progress::Replied);
        Ok(self.response.reply(None, 0))
    }

    /// The failure of the first beat on a new connection, at any step.
    fn first_beat_fails(&mut self) -> Failure {
        self.establish().expect("established");
        self.connection.write(REQUEST);
        loop {
            match self.next() {
                Ok(Progress::Written) => {}
                Ok(progress) => panic!("{progress:?}"),
                Err(failure) => return failure,
            }
        }
    }

    /// The words of TLS about a failure.
    fn detail(&self) -> Option<Detail> {
        self.connection.tls().and_then(TlsSession::detail)
    }

    /// Sends one beat on a new connection, and returns a failure of any step.
    fn first_beat_at_any_step(&mut self) -> Result<Reply, Failure> {
        self.establish()?;
        self.connection.write(REQUEST);
        while self.next()? != Progress::Replied {}
        Ok(self.response.reply(None, 0))
    }

    /// Continues until nothing more happens.
    fn settle(&mut self) -> Result<(), Failure> {
        loop {
            match self.connection.on_ready(&mut self.response)? {
                Progress::Drained if !self.wait(SILENCE) => return Ok(()),
                Progress::Drained | Progress::Spent => {}
                progress => panic!("{progress:?}"),
            }
        }
    }

    /// Sends one beat on a new connection.
    fn first_beat(&mut self) -> Result<Reply, Failure> {
        self.establish()?;
        self.beat()
    }
}

/// A receiver for both schemes, and the configuration that trusts it.
struct Server {
    receiver: Receiver,
    http: SocketAddr,
    https: SocketAddr,
    config: Arc<tls::Config>,
    certificates: Arc<Certificates>,
}

impl Server {
    fn start() -> Self {
        let certificates = Arc::new(Certificates::new(&["localhost"]));
        let (http, https) = (listen(), listen());
        let (http_at, https_at) = (address(&http), address(&https));
        let listeners = vec![(http, Scheme::Http), (https, Scheme::Https)];
        let receiver = Receiver::start(listeners, &certificates);
        let config = trusting(&certificates);
        Self { receiver, http: http_at, https: https_at, config, certificates }
    }

    fn behaving(behaviour: Behaviour) -> Self {
        let server = Self::start();
        server.receiver.behave(behaviour);
        server
    }

    fn client(&self, security: Security) -> Client {
        let to = if matches!(security, Security::Plain) { self.http } else { self.https };
        Client::open(to, security)
    }

    fn tls(&self) -> Client {
        self.client(secure(&self.config))
    }

    fn both(&self) -> Vec<Client> {
        vec![self.client(Security::Plain), self.tls()]
    }
}

/// A server for one connection that runs `conversation`.
fn serve(conversation: impl FnOnce(TcpStream) + Send + 'static) -> (SocketAddr, JoinHandle<()>) {
    let listener = listen();
    let at = address(&listener);
    let serving = thread::spawn(move || {
        let (stream, _) = listener.accept().expect("a client");
        stream.set_nodelay(true).expect("nodelay");
        stream.set_read_timeout(Some(PATIENCE)).expect("a limit");
        conversation(stream);
    });
    (at, serving)
}

/// The same over TLS, after the handshake.
fn serve_tls(
    config: Arc<ServerConfig>,
    conversation: impl FnOnce(ServerConnection, TcpStream) + Send + 'static,
) -> (SocketAddr, JoinHandle<()>) {
    serve(move |mut stream| {
        let mut tls = ServerConnection::new(config).expect("a sound configuration");
        while tls.is_handshaking() {
            if tls.complete_io(&mut stream).is_err() {
                return;
            }
        }
        conversation(tls, stream);
    })
}

/// Reads one whole request.
fn read_request(stream: &mut impl Read) {
    let mut got = Vec::new();
    let mut chunk = [0; 4096];
    while !got.ends_with(b"{\"seq\":1}") {
        let read = stream.read(&mut chunk).expect("a request");
        assert!(read > 0, "the request ends early");
        got.extend(chunk.iter().take(read));
    }
    assert_eq!(got, REQUEST);
}

fn listen() -> TcpListener {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port")
}

/// An address without a listener.
fn nobody() -> SocketAddr {
    address(&listen())
}

fn address(listener: &TcpListener) -> SocketAddr {
    listener.local_addr().expect("an address")
}

/// A client configuration that trusts these certificates, loaded from a file as on a device.
fn trusting(certificates: &Certificates) -> Arc<tls::Config> {
    let mut path = std::env::temp_dir();
    let key = std::ptr::from_ref(certificates) as usize;
    path.push(format!("linkbeat-connection-{}-{key:x}.pem", std::process::id()));
    std::fs::write(&path, certificates.authority_pem()).expect("a file");
    let material = tls::Files { roots: Roots::File(&path), identity: None }.load();
    std::fs::remove_file(path).expect("the file");
    tls::Config::new(material.expect("sound roots"), tls::Times::default())
}

fn secure(config: &Arc<tls::Config>) -> Security {
    Security::Tls(tls::Client::new(Arc::clone(config), false, "localhost".try_into().ok()))
}

#[test]
fn every_step_is_reported_once_and_in_order() {
    let server = Server::start();
    for mut client in server.both() {
        let mut steps = Vec::new();
        for _ in STEPS {
            let step = client.next().expect("a step");
            if step == Progress::Secured {
                client.connection.write(REQUEST);
            }
            steps.push(step);
        }
        assert_eq!(steps, STEPS);
        assert_eq!(client.response.reply(None, 0).status, 200);
        assert!(client.response.reply(None, 0).keep_alive);
        assert_eq!(client.connection.on_ready(&mut client.response), Ok(Progress::Drained));
    }
}

#[test]
fn both_versions_of_tls_carry_a_beat() {
    for tls12_only in [false, true] {
        let server = Server::behaving(Behaviour { tls12_only, ..Behaviour::default() });
        assert_eq!(server.tls().first_beat().map(|reply| reply.status), Ok(200));
        let security = &server.receiver.beats().all()[0].security;
        assert_eq!(security, if tls12_only { "TLSv1_2" } else { "TLSv1_3" });
    }
}

#[test]
fn a_hundred_beats_take_one_connection() {
    let server = Server::start();
    for mut client in server.both() {
        client.establish().expect("established");
        for _ in 0..100 {
            let reply = client.beat().expect("a beat");
            assert_eq!((reply.status, reply.keep_alive), (200, true));
        }
    }
    let counts = server.receiver.counts();
    assert_eq!((counts.connections, counts.requests, counts.full_handshakes), (2, 200, 1));
}

#[test]
fn limit_of_received_bytes_applies_to_each_response() {
    const BODY: usize = 60_000;
    let (at, serving) = serve(|mut stream| {
        for _ in 0..10 {
            read_request(&mut stream);
            write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {BODY}\r\n\r\n").expect("written");
            stream.write_all(&vec![b'x'; BODY]).expect("written");
        }
    });
    let mut client = Client::open(at, Security::Plain);
    client.establish().expect("established");
    for _ in 0..10 {
        assert_eq!(client.beat().map(|reply| reply.keep_alive), Ok(true));
    }
    serving.join().expect("served");
}

#[test]
fn the_second_handshake_is_resumed() {
    for tls12_only in [false, true] {
        let server = Server::behaving(Behaviour { tls12_only, ..Behaviour::default() });
        for _ in 0..3 {
            server.tls().first_beat().expect("a beat");
        }
        let counts = server.receiver.counts();
        assert_eq!((counts.full_handshakes, counts.resumed_handshakes), (1, 2));
    }
}

#[test]
fn the_request_is_sent_with_the_end_of_the_handshake() {
    let server = Server::start();
    let config = server.certificates.server(Shown::Good, false);
    let (at, serving) = serve(move |mut stream| {
        let mut tls = ServerConnection::new(config).expect("a sound configuration");
        while tls.is_handshaking() {
            while tls.wants_write() {
                tls.write_tls(&mut stream).expect("written");
            }
            tls.read_tls(&mut stream).expect("read");
            tls.process_new_packets().expect("a sound client");
        }
        // The request must be in the bytes that ended the handshake.
        read_request(&mut tls.reader());
    });
    let mut client = Client::open(at, secure(&server.config));
    client.establish().expect("established");
    client.connection.write(REQUEST);
    assert_eq!(client.next(), Ok(Progress::Written));
    serving.join().expect("the request was there");
}

#[test]
fn both_addresses_are_known_before_the_syn_ack() {
    let server = Server::start();
    for (client, to) in server.both().iter().zip([server.http, server.https]) {
        assert_eq!(client.connection.remote(), to);
        assert_eq!(client.connection.local().ip(), Ipv4Addr::LOCALHOST);
        assert_ne!(client.connection.local().port(), 0);
    }
}

#[test]
fn no_user_timeout_and_no_keepalive_are_set() {
    let listener = listen();
    let mut client = Client::open(address(&listener), Security::Plain);
    client.establish().expect("established");
    let socket = SockRef::from(&client.connection);
    // A round trip may jump to seconds. The core decides when that is too long.
    assert_eq!(socket.tcp_user_timeout().ok().flatten(), None);
    assert!(!socket.keepalive().expect("an option"));
}

#[test]
fn parked_connection_sends_nothing_until_it_is_dropped() {
    let server = Server::start();
    let certificates = server.certificates.server(Shown::Good, false);
    for tls in [false, true] {
        let (told, parked) = channel();
        let (silent, seen) = channel();
        let listen_to = move |mut stream: TcpStream| {
            parked.recv().expect("it is parked");
            stream.set_nonblocking(true).expect("an option");
            let byte = stream.read(&mut [0]).map_err(|error| error.kind());
            silent.send(byte).expect("the test listens");
            stream.set_nonblocking(false).expect("an option");
            let end = stream.read(&mut [0]).map_err(|error| error.kind());
            assert_eq!(end, Err(io::ErrorKind::ConnectionReset));
        };
        let (at, serving) = if tls {
            serve_tls(Arc::clone(&certificates), move |mut tls, mut stream| {
                read_request(&mut rustls::Stream::new(&mut tls, &mut stream));
                rustls::Stream::new(&mut tls, &mut stream).write_all(ANSWER).expect("written");
                listen_to(stream);
            })
        } else {
            serve(move |mut stream| {
                read_request(&mut stream);
                stream.write_all(ANSWER).expect("written");
                listen_to(stream);
            })
        };
        let security = if tls { secure(&server.config) } else { Security::Plain };
        let mut client = Client::open(at, security);
        client.first_beat().expect("an answer");
        let Client { poll, connection, .. } = client;
        let parked = connection.park(poll.registry()).expect("it is established");
        told.send(()).expect("the server listens");
        assert_eq!(seen.recv(), Ok(Err(io::ErrorKind::WouldBlock)), "tls: {tls}");
        drop(parked);
        serving.join().expect("served");
    }
}

#[test]
fn parked_connection_is_not_watched_and_must_be_established() {
    let listener = listen();
    let mut client = Client::open(address(&listener), Security::Plain);
    client.establish().expect("established");
    let Client { mut poll, connection, .. } = client;
    let parked = connection.park(poll.registry());
    let (mut peer, _) = listener.accept().expect("a client");
    peer.write_all(b"are you there?").expect("written");
    let mut events = Events::with_capacity(4);
    poll.poll(&mut events, Some(SILENCE)).expect("poll");
    assert!(events.is_empty());
    drop(parked);
    let refused = Client::open(nobody(), Security::Plain);
    assert!(refused.connection.park(refused.poll.registry()).is_none());
}

#[test]
fn a_certificate_may_be_for_an_address() {
    let certificates = Certificates::new(&["127.0.0.1"]);
    let config = certificates.server(Shown::Good, false);
    let (at, serving) = serve_tls(config, |_, _| {});
    let name = Some(Ipv4Addr::LOCALHOST.into());
    let mut client =
        Client::open(at, Security::Tls(tls::Client::new(trusting(&certificates), false, name)));
    assert_eq!(client.establish(), Ok(()));
    drop(client);
    serving.join().expect("served");
}

#[test]
fn a_missing_interface_fails_at_once() {
    let via = InterfaceName::new("gone0");
    let opened = Connection::open(address(&listen()), via, Security::Plain);
    assert_eq!(opened.err(), Some(Failure::NoInterface));
}

#[test]
fn a_port_without_a_listener_refuses() {
    let server = Server::start();
    for security in [Security::Plain, secure(&server.config)] {
        assert_eq!(Client::open(nobody(), security).next(), Err(Failure::Refused));
    }
}

#[test]
fn a_black_hole_leaves_the_connection_waiting() {
    // Linux drops SYNs that do not fit a full queue (listen(2)).
    let listener = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None);
    let listener = listener.expect("a socket");
    listener.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).expect("a port");
    listener.listen(0).expect("a queue");
    let hole = listener.local_addr().ok().and_then(|at| at.as_socket()).expect("an address");
    let _queued = TcpStream::connect(hole).expect("the one there is room for");
    let mut client = Client::open(hole, Security::Plain);
    assert_eq!(client.connection.on_ready(&mut client.response), Ok(Progress::Drained));
    assert!(!client.wait(SILENCE));
}

#[test]
fn responses_are_read_with_every_framing() {
    for framing in [Framing::Length, Framing::Chunked, Framing::UntilClose] {
        for close in [Close::Keep, Close::Told] {
            let behaviour = Behaviour { framing, close, ..Behaviour::default() };
            let server = Server::behaving(behaviour);
            for mut client in server.both() {
                let reply = client.first_beat().expect("an answer");
                let keep_alive = close == Close::Keep && framing != Framing::UntilClose;
                assert_eq!((reply.status, reply.keep_alive), (200, keep_alive), "{framing:?}");
                assert!(client.response.body().starts_with(b"{\"ip_address\""));
            }
        }
    }
}

#[test]
fn a_response_may_arrive_one_byte_at_a_time() {
    let server = Server::behaving(Behaviour { drip: true, ..Behaviour::default() });
    for mut client in server.both() {
        assert_eq!(client.first_beat().map(|reply| reply.status), Ok(200));
    }
}

#[test]
fn bytes_that_are_not_http_are_malformed() {
    let server = Server::behaving(Behaviour { answer: Answer::Garbage, ..Behaviour::default() });
    for mut client in server.both() {
        assert_eq!(client.first_beat_fails(), Failure::Malformed);
        assert_eq!(client.detail(), None);
    }
}

#[test]
fn incomplete_or_endless_head_costs_the_connection_and_not_the_beat() {
    for answer in [Answer::Reset, Answer::HalfClose, Answer::LongHeaders] {
        let server = Server::behaving(Behaviour { answer: answer.clone(), ..Behaviour::default() });
        for mut client in server.both() {
            assert_eq!(client.first_beat(), Ok(Reply::of(200)), "{answer:?}");
        }
    }
}

#[test]
fn a_body_over_the_limit_costs_the_connection_and_not_the_beat() {
    let server = Server::behaving(Behaviour { answer: Answer::LongBody, ..Behaviour::default() });
    for mut client in server.both() {
        let reply = client.first_beat().expect("an answer");
        assert_eq!((reply.status, reply.keep_alive), (200, false));
    }
}

#[test]
fn a_server_that_never_answers_is_no_failure_of_the_connection() {
    let server = Server::behaving(Behaviour { answer: Answer::Hang, ..Behaviour::default() });
    for mut client in server.both() {
        client.establish().expect("established");
        client.connection.write(REQUEST);
        assert_eq!(client.next(), Ok(Progress::Written));
        assert_eq!(client.settle(), Ok(()));
    }
}

#[test]
fn each_wrong_certificate_has_its_failure_and_text() {
    let table = [
        (Shown::WrongName, TlsFailure::WrongName, "elsewhere.test"),
        (Shown::Expired, TlsFailure::Expired, "certificate expired Mon, 01 Jan 2001 00:00:00 GMT"),
        (Shown::NotYetValid, TlsFailure::NotYetValid, "certificate valid from"),
        (Shown::Foreign, TlsFailure::UnknownIssuer, "trusted root"),
    ];
    for (shown, failure, words) in table {
        for tls12_only in [false, true] {
            let server = Server::behaving(Behaviour { shown, tls12_only, ..Behaviour::default() });
            let mut client = server.tls();
            assert_eq!(client.establish(), Err(Failure::Tls(failure)));
            let detail = client.detail().expect("words");
            assert!(detail.contains(words), "{detail}");
        }
    }
}

#[test]
fn a_server_gets_an_alert_if_its_certificate_is_refused() {
    let server = Server::start();
    let config = server.certificates.server(Shown::Foreign, false);
    let (at, serving) = serve(move |mut stream| {
        let mut tls = ServerConnection::new(config).expect("a sound configuration");
        let error = loop {
            if let Err(error) = tls.complete_io(&mut stream) {
                break error;
            }
        };
        assert!(error.to_string().contains("UnknownCA"), "{error}");
    });
    let mut client = Client::open(at, secure(&server.config));
    assert!(client.establish().is_err());
    drop(client);
    serving.join().expect("told");
}

#[test]
fn built_in_roots_do_not_trust_a_private_authority() {
    let server = Server::start();
    let files = tls::Files { roots: Roots::BuiltIn, identity: None };
    let config = tls::Config::new(files.load().expect("sound roots"), tls::Times::default());
    let mut client = Client::open(server.https, secure(&config));
    assert_eq!(client.establish(), Err(Failure::Tls(TlsFailure::UnknownIssuer)));
}

#[test]
fn bytes_that_are_not_tls_fail_the_handshake() {
    let server = Server::start();
    for bytes in [&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], b"SSH-2.0-x\r\n", &[0xff; 100]] {
        let (at, serving) = serve(move |mut stream| {
            stream.write_all(bytes).expect("written");
            io::copy(&mut stream, &mut io::sink()).ok();
        });
        let mut client = Client::open(at, secure(&server.config));
        assert_eq!(client.establish(), Err(Failure::Tls(TlsFailure::Handshake)));
        assert!(client.detail().expect("words").contains("not TLS"));
        drop(client);
        serving.join().expect("served");
    }
}

#[test]
fn a_truncated_or_changed_handshake_never_succeeds() {
    let server = Server::start();
    let config = server.certificates.server(Shown::Good, false);
    let listener = listen();
    let at = address(&listener);
    let flight = |spoil: &dyn Fn(&mut Vec<u8>)| {
        let mut client = Client::open(at, secure(&server.config));
        assert_eq!(client.next(), Ok(Progress::Connected));
        assert_eq!(client.connection.on_ready(&mut client.response), Ok(Progress::Drained));
        let (mut stream, _) = listener.accept().expect("a client");
        let mut tls = ServerConnection::new(Arc::clone(&config)).expect("a sound configuration");
        tls.read_tls(&mut stream).expect("a ClientHello");
        tls.process_new_packets().expect("a sound client");
        let mut bytes = Vec::new();
        while tls.wants_write() {
            tls.write_tls(&mut bytes).expect("memory");
        }
        let sound = bytes.clone();
        spoil(&mut bytes);
        stream.write_all(&bytes).expect("written");
        drop((stream, tls));
        (client.next(), sound)
    };
    let (whole, sound) = flight(&|_| {});
    assert_eq!(whole, Ok(Progress::Secured));
    // The length of the signature varies by some bytes between handshakes.
    for at in 0..sound.len() - 8 {
        let (cut, _) = flight(&|bytes| bytes.truncate(at));
        assert!(matches!(cut, Err(Failure::Closed | Failure::Reset)), "cut at {at}: {cut:?}");
        let (changed, sound) = flight(&|bytes| bytes[at] ^= 0x55);
        let harmless = is_ignored(&sound, at);
        assert!(changed.is_err() || harmless, "changed at {at}: {changed:?}");
    }
}

/// Whether this byte is in a record's version, which is ignored (RFC 8446 §5.1).
fn is_ignored(records: &[u8], at: usize) -> bool {
    let mut start = 0;
    while let Some(&[_, _, _, high, low]) = records.get(start..start + 5) {
        if (start + 1..start + 3).contains(&at) {
            return true;
        }
        start += 5 + usize::from(u16::from_be_bytes([high, low]));
    }
    false
}

#[test]
fn end_of_stream_in_the_handshake_is_closed() {
    let server = Server::start();
    let (at, serving) = serve(drop);
    let mut client = Client::open(at, secure(&server.config));
    let failure = client.establish().expect_err("no handshake");
    assert!(matches!(failure, Failure::Closed | Failure::Reset), "{failure:?}");
    serving.join().expect("served");
}

#[test]
fn plain_text_to_a_tls_port_is_malformed() {
    let server = Server::start();
    let mut client = Client::open(server.https, Security::Plain);
    // TLS can only answer with an alert.
    assert_eq!(client.first_beat_fails(), Failure::Malformed);
}

#[test]
fn a_server_without_http_1_1_is_recognized_by_alpn() {
    let server = Server::start();
    for other in ["h2", "acme-tls/1"] {
        let mut config = ServerConfig::clone(&server.certificates.server(Shown::Good, false));
        config.alpn_protocols = vec![other.into()];
        let (at, serving) = serve_tls(Arc::new(config), |_, _| panic!("no common protocol"));
        let mut client = Client::open(at, secure(&server.config));
        assert_eq!(client.establish(), Err(Failure::Http2Only), "{other}");
        let detail = client.detail().expect("of TLS");
        assert!(detail.ends_with("(it does not offer http/1.1 in ALPN)"), "{detail}");
        serving.join().expect("served");
    }
}

#[test]
fn a_response_without_close_notify_counts() {
    let table: [(&[u8], Result<u16, Failure>); 4] = [
        (ANSWER, Ok(200)),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", Ok(200)),
        (b"HTTP/1.1 200 OK\r\n\r\n{}", Ok(200)),
        (b"HTTP/1.1 200 OK\r\n", Err(Failure::Closed)),
    ];
    let server = Server::start();
    for (answer, wanted) in table {
        let config = server.certificates.server(Shown::Good, false);
        let (at, serving) = serve_tls(config, move |mut tls, mut stream| {
            read_request(&mut rustls::Stream::new(&mut tls, &mut stream));
            rustls::Stream::new(&mut tls, &mut stream).write_all(answer).expect("written");
        });
        let mut client = Client::open(at, secure(&server.config));
        client.establish().expect("established");
        client.connection.write(REQUEST);
        assert_eq!(client.next(), Ok(Progress::Written));
        let got = client.next().map(|_| client.response.reply(None, 0).status);
        assert_eq!(got, wanted, "{}", answer.escape_ascii());
        serving.join().expect("served");
    }
}

#[test]
fn keys_may_change_between_two_beats() {
    let server = Server::start();
    let (at, serving) = serve_tls(server.certificates.server(Shown::Good, false), |tls, stream| {
        let mut tls = rustls::StreamOwned::new(tls, stream);
        for _ in 0..3 {
            read_request(&mut tls);
            tls.conn.refresh_traffic_keys().expect("TLS 1.3");
            tls.write_all(ANSWER).expect("written");
            tls.flush().expect("flushed");
        }
    });
    let mut client = Client::open(at, secure(&server.config));
    client.establish().expect("established");
    for _ in 0..3 {
        assert_eq!(client.beat().map(|reply| reply.status), Ok(200));
    }
    serving.join().expect("served");
}

#[test]
fn endless_records_are_cut_off() {
    let server = Server::start();
    for (begin, wanted) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n", Ok(Reply::of(200))),
        ("HTTP/1.1 200 OK\r\nX: ", Err(Failure::TooLarge)),
    ] {
        let config = server.certificates.server(Shown::Good, false);
        let (at, serving) = serve_tls(config, move |tls, stream| {
            let mut tls = rustls::StreamOwned::new(tls, stream);
            read_request(&mut tls);
            tls.write_all(begin.as_bytes()).expect("written");
            // 23 bytes on the wire for each byte of the response.
            while tls.write_all(b"x").and_then(|()| tls.flush()).is_ok() {}
        });
        let mut client = Client::open(at, secure(&server.config));
        assert_eq!(client.first_beat_at_any_step(), wanted, "{begin}");
        drop(client);
        serving.join().expect("served");
    }
}

#[test]
fn endless_handshakes_are_cut_off() {
    let server = Server::start();
    let (at, serving) = serve(|mut stream| {
        // A ServerHello of 16 MiB, in records of 4 bytes.
        let mut record = vec![22, 3, 3, 0, 4, 2, 0xff, 0xff, 0xff];
        while stream.write_all(&record).is_ok() {
            record = vec![22, 3, 3, 0, 4, 0, 0, 0, 0];
        }
    });
    let mut client = Client::open(at, secure(&server.config));
    let failure = client.establish().expect_err("no handshake");
    assert_eq!(failure, Failure::Tls(TlsFailure::Handshake));
    drop(client);
    serving.join().expect("served");
}

#[test]
fn a_kept_connection_that_the_server_closes_ends_at_once() {
    let server = Server::start();
    for security in [Security::Plain, secure(&server.config)] {
        let mut client = server.client(security);
        client.first_beat().expect("a beat");
        assert_eq!(client.settle(), Ok(()));
        server.receiver.close_connections();
        assert_eq!(client.next(), Err(Failure::Closed));
    }
}

#[test]
fn a_connection_closed_without_announcement_ends_at_once() {
    let server = Server::behaving(Behaviour { close: Close::Untold, ..Behaviour::default() });
    for mut client in server.both() {
        assert!(client.first_beat().expect("a beat").keep_alive);
        assert_eq!(client.next(), Err(Failure::Closed));
    }
}

#[test]
fn unrequested_bytes_end_an_idle_connection() {
    const UNASKED: &[u8] = b"HTTP/1.1 408 Request Timeout\r\n\r\n";
    let server = Server::start();
    let (go, went) = channel();
    let config = server.certificates.server(Shown::Good, false);
    let (at, serving) = serve_tls(config, move |tls, stream| {
        let mut tls = rustls::StreamOwned::new(tls, stream);
        read_request(&mut tls);
        tls.write_all(ANSWER).and_then(|()| tls.flush()).expect("written");
        went.recv().expect("a word");
        tls.write_all(UNASKED).and_then(|()| tls.flush()).expect("written");
        // Waits until the client resets the connection.
        tls.read(&mut [0; 1]).expect_err("no more");
    });
    let mut client = Client::open(at, secure(&server.config));
    assert!(client.first_beat().expect("a beat").keep_alive);
    assert_eq!(client.settle(), Ok(()));
    go.send(()).expect("a server");
    assert_eq!(client.next(), Err(Failure::Closed));
    drop(client);
    serving.join().expect("served");
}

#[test]
fn bytes_after_a_response_prevent_reuse() {
    let (at, serving) = serve(|mut stream| {
        read_request(&mut stream);
        stream.write_all(&[ANSWER, ANSWER].concat()).expect("written");
        stream.read(&mut [0; 1]).expect_err("no more");
    });
    let mut client = Client::open(at, Security::Plain);
    assert!(!client.first_beat().expect("a beat").keep_alive);
    drop(client);
    serving.join().expect("served");
}

#[test]
fn a_server_that_sends_first_gets_no_request() {
    let (at, serving) = serve(|mut stream| stream.write_all(ANSWER).expect("written"));
    let mut client = Client::open(at, Security::Plain);
    client.establish().expect("established");
    assert_eq!(client.next(), Err(Failure::Closed));
    serving.join().expect("served");
}

#[test]
fn http_2_frames_are_recognized_before_and_after_the_request() {
    const SETTINGS: &[u8] = b"\0\0\0\x04\0\0\0\0\0";
    let server = Server::start();
    // Before the request and after it, in plain text and over TLS without ALPN.
    let (at, serving) = serve(|mut stream| stream.write_all(SETTINGS).expect("written"));
    let mut client = Client::open(at, Security::Plain);
    client.establish().expect("established");
    assert_eq!(client.next(), Err(Failure::Http2Only));
    serving.join().expect("served");
    let config = server.certificates.server(Shown::Good, false);
    let (at, serving) = serve_tls(config, |tls, stream| {
        let mut tls = rustls::StreamOwned::new(tls, stream);
        read_request(&mut tls);
        tls.write_all(SETTINGS).and_then(|()| tls.flush()).expect("written");
    });
    let mut client = Client::open(at, secure(&server.config));
    assert_eq!(client.first_beat_fails(), Failure::Http2Only);
    serving.join().expect("served");
}

#[test]
fn a_long_response_is_read_in_several_calls() {
    const BODY: usize = 1 << 16;
    let (told, heard) = channel();
    let (at, serving) = serve(move |mut stream| {
        read_request(&mut stream);
        write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {BODY}\r\n\r\n").expect("written");
        stream.write_all(&vec![b'x'; BODY]).expect("written");
        told.send(()).expect("somebody listens");
    });
    let mut client = Client::open(at, Security::Plain);
    client.establish().expect("established");
    client.connection.write(REQUEST);
    assert_eq!(client.next(), Ok(Progress::Written));
    heard.recv_timeout(PATIENCE).expect("all on its way");
    // One call does sixteen reads of 4 KiB, and the head exceeds that.
    assert_eq!(client.connection.on_ready(&mut client.response), Ok(Progress::Spent));
    assert_eq!(client.connection.on_ready(&mut client.response), Ok(Progress::Replied));
    serving.join().expect("served");
}

#[test]
fn a_request_written_in_pieces_arrives_whole() {
    let listener = listen();
    // Accepted sockets inherit it, rounded up to the kernel's minimum (socket(7)).
    SockRef::from(&listener).set_recv_buffer_size(1).expect("a small buffer");
    let mut client = Client::open(address(&listener), Security::Plain);
    SockRef::from(&client.connection).set_send_buffer_size(1).expect("a small buffer");
    client.establish().expect("established");
    // No room is left when the request comes, which is smaller than the smallest buffers.
    let (mut filled, mut full) = (0, false);
    while !full {
        full = !client.wait(SILENCE);
        while let Ok(taken) = SockRef::from(&client.connection).send(&[0; 64]) {
            (filled, full) = (filled + taken, false);
        }
    }
    let request: Vec<u8> = (0..=u8::MAX).cycle().take(REQUEST_MAX).collect();
    client.connection.write(&request);
    assert_eq!(client.settle(), Ok(()));
    let (go, went) = channel();
    let reading = thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a client");
        let mut got = vec![0; filled + REQUEST_MAX];
        stream.read_exact(&mut got).expect("the request");
        go.send(got.split_off(filled)).expect("somebody listens");
        stream
    });
    assert_eq!(client.next(), Ok(Progress::Written));
    assert_eq!(went.recv_timeout(PATIENCE).expect("the request"), request);
    drop(reading.join());
}

#[test]
fn drop_resets_a_connection_and_close_ends_it() {
    let server = Server::start();
    for polite in [true, false] {
        let (told, heard) = channel();
        let config = server.certificates.server(Shown::Good, false);
        let (at, serving) = serve_tls(config, move |tls, stream| report_end(tls, stream, &told));
        let mut client = Client::open(at, secure(&server.config));
        client.establish().expect("established");
        assert_eq!(client.settle(), Ok(()));
        let Client { connection, .. } = client;
        if polite {
            connection.close()
        } else {
            drop(connection)
        }
        let end = heard.recv_timeout(PATIENCE).expect("an end");
        assert_eq!(end, if polite { Ok(0) } else { Err(io::ErrorKind::ConnectionReset) });
        serving.join().expect("served");
    }
}

/// Reports the end of the client's side: `Ok(0)` only after `close_notify`.
fn report_end(
    tls: ServerConnection,
    stream: TcpStream,
    told: &Sender<Result<usize, io::ErrorKind>>,
) {
    let mut tls = rustls::StreamOwned::new(tls, stream);
    let end = tls.read(&mut [0; 1]).map_err(|error| error.kind());
    told.send(end).expect("somebody listens");
}
