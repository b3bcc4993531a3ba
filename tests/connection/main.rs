//! Connections against servers on 127.0.0.1 that behave, and that do not.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use linkbeat::net::connection::{Connection, Progress, REQUEST_MAX, Security};
use linkbeat::net::tls::{self, Roots};
use linkbeat::proto::event::{Failure, Reply, TlsFailure};
use linkbeat::proto::link::Name;
use linkbeat::wire::response::Response;
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

/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long a test waits to see that nothing comes.
const SILENCE: Duration = Duration::from_millis(100);
const REQUEST: &[u8] = b"POST /api/devices/cam/online HTTP/1.1\r\nHost: localhost\r\n\
    Content-Type: application/json\r\nContent-Length: 9\r\n\r\n{\"seq\":1}";
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
const STEPS: [Progress; 4] =
    [Progress::Connected, Progress::Secured, Progress::Written, Progress::Replied];

/// A connection and its part of the loop.
struct Client {
    poll: Poll,
    connection: Connection,
    response: Response,
}

impl Client {
    fn open(to: SocketAddr, security: Security) -> Self {
        let mut connection = Connection::open(to, None, security).expect("a socket");
        let poll = Poll::new().expect("epoll");
        let interest = Interest::READABLE | Interest::WRITABLE;
        poll.registry().register(connection.source(), Token(0), interest).expect("registered");
        Self { poll, connection, response: Response::new() }
    }

    /// Waits for a readiness; false if none comes.
    fn wait(&mut self, limit: Duration) -> bool {
        let mut events = Events::with_capacity(4);
        self.poll.poll(&mut events, Some(limit)).expect("poll");
        !events.is_empty()
    }

    /// The next step, waited for as the loop does.
    fn next(&mut self) -> Result<Progress, Failure> {
        loop {
            match self.connection.on_ready(&mut self.response)? {
                Progress::Drained => assert!(self.wait(PATIENCE), "nothing happens"),
                Progress::Spent => {}
                progress => return Ok(progress),
            }
        }
    }

    /// From connect to secured.
    fn establish(&mut self) -> Result<(), Failure> {
        assert_eq!(self.next()?, Progress::Connected);
        assert_eq!(self.next()?, Progress::Secured);
        Ok(())
    }

    /// One beat on an idle connection.
    fn beat(&mut self) -> Result<Reply, Failure> {
        self.connection.write(REQUEST);
        assert_eq!(self.next()?, Progress::Written);
        assert_eq!(self.next()?, Progress::Replied);
        Ok(self.response.reply(None, 0))
    }

    /// How the first beat on a new connection fails, at whatever step.
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

    /// One beat on a new connection, whose failure may come at any step.
    fn first_beat_at_any_step(&mut self) -> Result<Reply, Failure> {
        self.establish()?;
        self.connection.write(REQUEST);
        while self.next()? != Progress::Replied {}
        Ok(self.response.reply(None, 0))
    }

    /// Goes on until nothing happens any more.
    fn settle(&mut self) -> Result<(), Failure> {
        loop {
            match self.connection.on_ready(&mut self.response)? {
                Progress::Drained if !self.wait(SILENCE) => return Ok(()),
                Progress::Drained | Progress::Spent => {}
                progress => panic!("{progress:?}"),
            }
        }
    }

    /// One beat on a new connection.
    fn first_beat(&mut self) -> Result<Reply, Failure> {
        self.establish()?;
        self.beat()
    }
}

/// A receiver for both schemes, and what a client needs to trust it.
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

/// A server for one connection, written by the test that needs it.
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

/// Reads until the whole request is there.
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

/// Where nobody listens.
fn nobody() -> SocketAddr {
    address(&listen())
}

fn address(listener: &TcpListener) -> SocketAddr {
    listener.local_addr().expect("an address")
}

/// The client's configuration that trusts these certificates, by way of a file as on a device.
fn trusting(certificates: &Certificates) -> Arc<tls::Config> {
    let mut path = std::env::temp_dir();
    let key = std::ptr::from_ref(certificates) as usize;
    path.push(format!("linkbeat-connection-{}-{key:x}.pem", std::process::id()));
    std::fs::write(&path, certificates.authority_pem()).expect("a file");
    let material = tls::Files { roots: Roots::File(path.clone()), identity: None }.load();
    std::fs::remove_file(path).expect("the file");
    tls::Config::new(material.expect("sound roots"), tls::Times::default())
}

fn secure(config: &Arc<tls::Config>) -> Security {
    Security::Tls(tls::Client::new(
        Arc::clone(config),
        false,
        "localhost".try_into().expect("a name"),
    ))
}

#[test]
fn every_step_is_told_once_and_in_order() {
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
fn what_a_connection_may_receive_is_counted_per_answer() {
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
fn the_request_leaves_with_the_end_of_the_handshake() {
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
        // No read since the one that ended the handshake.
        read_request(&mut tls.reader());
    });
    let mut client = Client::open(at, secure(&server.config));
    client.establish().expect("established");
    client.connection.write(REQUEST);
    assert_eq!(client.next(), Ok(Progress::Written));
    serving.join().expect("the request was there");
}

#[test]
fn both_ends_are_known_before_the_answer_to_the_syn() {
    let server = Server::start();
    for (client, to) in server.both().iter().zip([server.http, server.https]) {
        assert_eq!(client.connection.remote(), to);
        assert_eq!(client.connection.local().ip(), Ipv4Addr::LOCALHOST);
        assert_ne!(client.connection.local().port(), 0);
    }
}

#[test]
fn no_ack_is_waited_for_in_vain_by_the_kernel_and_what_is_idle_costs_no_packet() {
    let listener = listen();
    let mut client = Client::open(address(&listener), Security::Plain);
    client.establish().expect("established");
    let socket = SockRef::from(&client.connection);
    // A round trip may jump to seconds: the core is to say when that is too long.
    assert_eq!(socket.tcp_user_timeout().ok().flatten(), None);
    assert!(!socket.keepalive().expect("an option"));
}

#[test]
fn what_is_parked_sends_nothing_until_it_is_dropped() {
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
fn what_is_parked_is_not_watched_and_what_is_not_established_is_forgotten() {
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
    let name = Ipv4Addr::LOCALHOST.into();
    let mut client =
        Client::open(at, Security::Tls(tls::Client::new(trusting(&certificates), false, name)));
    assert_eq!(client.establish(), Ok(()));
    drop(client);
    serving.join().expect("served");
}

#[test]
fn a_missing_interface_is_no_connection() {
    let via = Name::new("gone0");
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
    // Linux drops the SYNs that a full queue has no room for (listen(2)).
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
fn an_answer_is_an_answer_however_it_is_framed() {
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
fn an_answer_may_come_one_byte_at_a_time() {
    let server = Server::behaving(Behaviour { drip: true, ..Behaviour::default() });
    for mut client in server.both() {
        assert_eq!(client.first_beat().map(|reply| reply.status), Ok(200));
    }
}

#[test]
fn bytes_that_are_no_answer_fail_as_what_they_are() {
    let server = Server::behaving(Behaviour { answer: Answer::Garbage, ..Behaviour::default() });
    for mut client in server.both() {
        assert_eq!(client.first_beat_fails(), Failure::Malformed);
        assert_eq!(client.connection.detail(), None);
    }
}

#[test]
fn what_follows_the_status_line_may_be_torn_or_endless_and_costs_the_connection_only() {
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
fn a_wrong_certificate_fails_as_what_it_is_and_in_words() {
    let table = [
        (Shown::WrongName, TlsFailure::WrongName, "elsewhere.test"),
        (Shown::Expired, TlsFailure::Expired, "certificate expired Mon, 01 Jan 2001 00:00:00 GMT"),
        (Shown::NotYetValid, TlsFailure::NotYetValid, "not valid before"),
        (Shown::Foreign, TlsFailure::UnknownIssuer, "trusted root"),
    ];
    for (shown, failure, words) in table {
        for tls12_only in [false, true] {
            let server = Server::behaving(Behaviour { shown, tls12_only, ..Behaviour::default() });
            let mut client = server.tls();
            assert_eq!(client.establish(), Err(Failure::Tls(failure)));
            let detail = client.connection.detail().expect("words");
            assert!(detail.contains(words), "{detail}");
        }
    }
}

#[test]
fn a_server_is_told_why_its_certificate_is_refused() {
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
fn the_roots_of_the_web_do_not_vouch_for_us() {
    let server = Server::start();
    let files = tls::Files { roots: Roots::BuiltIn, identity: None };
    let config = tls::Config::new(files.load().expect("sound roots"), tls::Times::default());
    let mut client = Client::open(server.https, secure(&config));
    assert_eq!(client.establish(), Err(Failure::Tls(TlsFailure::UnknownIssuer)));
}

#[test]
fn what_is_not_tls_fails_the_handshake_and_says_so() {
    let server = Server::start();
    for bytes in [&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], b"SSH-2.0-x\r\n", &[0xff; 100]] {
        let (at, serving) = serve(move |mut stream| {
            stream.write_all(bytes).expect("written");
            io::copy(&mut stream, &mut io::sink()).ok();
        });
        let mut client = Client::open(at, secure(&server.config));
        assert_eq!(client.establish(), Err(Failure::Tls(TlsFailure::Handshake)));
        assert!(client.connection.detail().expect("words").contains("not TLS"));
        drop(client);
        serving.join().expect("served");
    }
}

#[test]
fn a_handshake_cut_or_changed_anywhere_never_carries_a_beat() {
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
    // The signature's length varies by some bytes from one handshake to the next.
    for at in 0..sound.len() - 8 {
        let (cut, _) = flight(&|bytes| bytes.truncate(at));
        assert!(matches!(cut, Err(Failure::Closed | Failure::Reset)), "cut at {at}: {cut:?}");
        let (changed, sound) = flight(&|bytes| bytes[at] ^= 0x55);
        let harmless = is_ignored(&sound, at);
        assert!(changed.is_err() || harmless, "changed at {at}: {changed:?}");
    }
}

/// Whether this byte is in a record's version, which nobody looks at any more (RFC 8446 §5.1).
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
fn tls_that_ends_in_the_handshake_is_closed() {
    let server = Server::start();
    let (at, serving) = serve(drop);
    let mut client = Client::open(at, secure(&server.config));
    let failure = client.establish().expect_err("no handshake");
    assert!(matches!(failure, Failure::Closed | Failure::Reset), "{failure:?}");
    serving.join().expect("served");
}

#[test]
fn plain_text_to_a_tls_port_gets_no_answer() {
    let server = Server::start();
    let mut client = Client::open(server.https, Security::Plain);
    // An alert is all that TLS has to say to it.
    assert_eq!(client.first_beat_fails(), Failure::Malformed);
}

#[test]
fn a_server_that_speaks_another_protocol_says_so_in_the_handshake() {
    let server = Server::start();
    let mut config = ServerConfig::clone(&server.certificates.server(Shown::Good, false));
    config.alpn_protocols = vec![b"h2".to_vec()];
    let (at, serving) = serve_tls(Arc::new(config), |_, _| panic!("no common protocol"));
    let mut client = Client::open(at, secure(&server.config));
    assert_eq!(client.establish(), Err(Failure::Tls(TlsFailure::RefusedByServer)));
    serving.join().expect("served");
}

#[test]
fn an_answer_without_close_notify_counts_whatever_its_length() {
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
fn endless_records_are_ended() {
    let server = Server::start();
    let (at, serving) = serve_tls(server.certificates.server(Shown::Good, false), |tls, stream| {
        let mut tls = rustls::StreamOwned::new(tls, stream);
        read_request(&mut tls);
        tls.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n").expect("written");
        // 23 bytes on the wire for each of the body.
        while tls.write_all(b"x").and_then(|()| tls.flush()).is_ok() {}
    });
    let mut client = Client::open(at, secure(&server.config));
    assert_eq!(client.first_beat_fails(), Failure::TooLarge);
    drop(client);
    serving.join().expect("served");
}

#[test]
fn endless_handshakes_are_ended() {
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
fn a_kept_connection_that_the_server_closes_is_over_at_once() {
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
fn a_connection_kept_by_one_side_only_is_over_at_once() {
    let server = Server::behaving(Behaviour { close: Close::Untold, ..Behaviour::default() });
    for mut client in server.both() {
        assert!(client.first_beat().expect("a beat").keep_alive);
        assert_eq!(client.next(), Err(Failure::Closed));
    }
}

#[test]
fn an_idle_connection_that_speaks_unasked_is_over() {
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
        // Until the client has had enough, which is a reset.
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
fn bytes_after_an_answer_cost_the_connection() {
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
fn a_server_that_speaks_first_is_not_spoken_to() {
    let (at, serving) = serve(|mut stream| stream.write_all(ANSWER).expect("written"));
    let mut client = Client::open(at, Security::Plain);
    client.establish().expect("established");
    assert_eq!(client.next(), Err(Failure::Closed));
    serving.join().expect("served");
}

#[test]
fn an_answer_that_is_long_is_read_in_turns() {
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
    // Sixteen reads of 4 KiB in one turn, and the head is over that.
    assert_eq!(client.connection.on_ready(&mut client.response), Ok(Progress::Spent));
    assert_eq!(client.connection.on_ready(&mut client.response), Ok(Progress::Replied));
    serving.join().expect("served");
}

#[test]
fn a_request_that_the_kernel_takes_in_pieces_arrives_whole() {
    let listener = listen();
    // Accepted sockets inherit it, rounded up to what the kernel allows (socket(7)).
    SockRef::from(&listener).set_recv_buffer_size(1).expect("a small buffer");
    let mut client = Client::open(address(&listener), Security::Plain);
    SockRef::from(&client.connection).set_send_buffer_size(1).expect("a small buffer");
    client.establish().expect("established");
    let request: Vec<u8> = (0..=u8::MAX).cycle().take(REQUEST_MAX).collect();
    client.connection.write(&request);
    assert_eq!(client.settle(), Ok(()));
    let (go, went) = channel();
    let reading = thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a client");
        let mut got = vec![0; REQUEST_MAX];
        stream.read_exact(&mut got).expect("the request");
        go.send(got).expect("somebody listens");
        stream
    });
    assert_eq!(client.next(), Ok(Progress::Written));
    assert_eq!(went.recv_timeout(PATIENCE).expect("the request"), request);
    drop(reading.join());
}

#[test]
fn dropped_a_connection_is_reset_and_closed_it_is_ended() {
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

/// Tells how the client's side ends: `Ok(0)` only after `close_notify`.
fn report_end(
    tls: ServerConnection,
    stream: TcpStream,
    told: &Sender<Result<usize, io::ErrorKind>>,
) {
    let mut tls = rustls::StreamOwned::new(tls, stream);
    let end = tls.read(&mut [0; 1]).map_err(|error| error.kind());
    told.send(end).expect("somebody listens");
}
