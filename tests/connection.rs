//! Connections against servers on 127.0.0.1 that behave, and that do not.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use linkbeat::net::connection::{Connection, Progress, Security};
use linkbeat::net::tls::{self, Roots};
use linkbeat::proto::event::{Failure, Reply};
use linkbeat::wire::response::Response;
use linkbeat_support::certificates::Certificates;
use linkbeat_support::receiver::{Behaviour, Receiver, Scheme};
use mio::{Events, Interest, Poll, Token};
use rustls::ClientConfig;
use rustls::time_provider::DefaultTimeProvider;

/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(20);
const REQUEST: &[u8] = b"POST /api/devices/cam/online HTTP/1.1\r\nHost: localhost\r\n\
    Content-Type: application/json\r\nContent-Length: 9\r\n\r\n{\"seq\":1}";
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
        Ok(self.response.reply(0))
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
    config: Arc<ClientConfig>,
}

impl Server {
    fn start() -> Self {
        let certificates = Arc::new(Certificates::new(&["localhost"]));
        let (http, https) = (listen(), listen());
        let (http_at, https_at) = (address(&http), address(&https));
        let listeners = vec![(http, Scheme::Http), (https, Scheme::Https)];
        let receiver = Receiver::start(listeners, &certificates);
        let config = trusting(&certificates);
        Self { receiver, http: http_at, https: https_at, config }
    }

    fn behaving(behaviour: Behaviour) -> Self {
        let server = Self::start();
        server.receiver.behave(behaviour);
        server
    }

    fn plain(&self) -> Client {
        Client::open(self.http, Security::Plain)
    }

    fn tls(&self) -> Client {
        Client::open(self.https, secure(&self.config))
    }

    fn both(&self) -> Vec<Client> {
        vec![self.plain(), self.tls()]
    }
}

fn listen() -> TcpListener {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port")
}

fn address(listener: &TcpListener) -> SocketAddr {
    listener.local_addr().expect("an address")
}

/// The client's configuration that trusts these certificates, by way of a file as on a device.
fn trusting(certificates: &Certificates) -> Arc<ClientConfig> {
    let mut path = std::env::temp_dir();
    let key = std::ptr::from_ref(certificates) as usize;
    path.push(format!("linkbeat-connection-{}-{key:x}.pem", std::process::id()));
    std::fs::write(&path, certificates.authority_pem()).expect("a file");
    let config = tls::client_config(&Roots::File(path.clone()), Arc::new(DefaultTimeProvider));
    std::fs::remove_file(path).expect("the file");
    config.expect("sound roots")
}

fn secure(config: &Arc<ClientConfig>) -> Security {
    Security::Tls(Arc::clone(config), "localhost".try_into().expect("a name"))
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
        assert_eq!(client.response.reply(0).status, 200);
        assert!(client.response.reply(0).keep_alive);
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
