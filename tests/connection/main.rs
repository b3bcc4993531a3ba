//! Connections to correct and incorrect servers on 127.0.0.1.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use linkbeat::net::connection::{Connection, Progress};
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
mod handshake;
#[cfg(test)]
mod identity;
#[cfg(test)]
mod idle;
#[cfg(test)]
mod keys;
#[cfg(test)]
mod records;
#[cfg(test)]
mod responses;

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
    fn open(to: SocketAddr, tls: Option<tls::Client>) -> Self {
        let connection = Connection::open(to, None, tls).expect("a socket");
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
    config: tls::Client,
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

    fn client(&self, tls: Option<tls::Client>) -> Client {
        let to = if tls.is_none() { self.http } else { self.https };
        Client::open(to, tls)
    }

    fn tls(&self) -> Client {
        self.client(secure(&self.config))
    }

    fn both(&self) -> Vec<Client> {
        vec![self.client(None), self.tls()]
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

/// A client that trusts these certificates, loaded from a file as on a device.
fn trusting(certificates: &Certificates) -> tls::Client {
    client_of(material_of(certificates))
}

fn material_of(certificates: &Certificates) -> tls::Material {
    let mut path = std::env::temp_dir();
    let key = std::ptr::from_ref(certificates) as usize;
    path.push(format!("linkbeat-connection-{}-{key:x}.pem", std::process::id()));
    std::fs::write(&path, certificates.authority_pem()).expect("a file");
    let material = tls::Files { roots: Roots::File(&path), identity: None }.load();
    std::fs::remove_file(path).expect("the file");
    material.expect("sound roots")
}

fn client_of(material: tls::Material) -> tls::Client {
    tls::Client::new(material, tls::Times::default(), false, "localhost".try_into().ok())
}

fn secure(client: &tls::Client) -> Option<tls::Client> {
    Some(client.clone())
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
    let mut client = Client::open(address(&listener), None);
    client.establish().expect("established");
    let socket = SockRef::from(&client.connection);
    // A round trip may jump to seconds. The core decides when that is too long.
    assert_eq!(socket.tcp_user_timeout().ok().flatten(), None);
    assert!(!socket.keepalive().expect("an option"));
}

#[test]
fn a_missing_interface_fails_at_once() {
    let via = InterfaceName::new("gone0");
    let opened = Connection::open(address(&listen()), via, None);
    assert_eq!(opened.err(), Some(Failure::NoInterface));
}

#[test]
fn a_port_without_a_listener_refuses() {
    let server = Server::start();
    for security in [None, secure(&server.config)] {
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
    let mut client = Client::open(hole, None);
    assert_eq!(client.connection.on_ready(&mut client.response), Ok(Progress::Drained));
    assert!(!client.wait(SILENCE));
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
fn a_request_written_in_pieces_arrives_whole() {
    let listener = listen();
    // Accepted sockets inherit it, rounded up to the kernel's minimum (socket(7)).
    SockRef::from(&listener).set_recv_buffer_size(1).expect("a small buffer");
    let mut client = Client::open(address(&listener), None);
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
