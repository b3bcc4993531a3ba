//! `linkbeat check --pin`: the pin of the key that answers at the address of the server.
//!
//! It connects like the agent, over the route that the kernel prefers, and closes the connection as
//! soon as the server has presented its key. No request is sent, and nothing is verified.

use std::fmt;
use std::io::{self, Write};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use mio::{Events, Interest, Poll, Token};

use super::output::{EXIT_DONE, EXIT_FAILED, say};
use crate::config;
use crate::error::Error;
use crate::net::connection::{Connection, Progress};
use crate::net::resolver::{QueryProgress, QuerySocket, SettingsReader};
use crate::net::tls::{Client, Material, Pin, Times, TlsSession, Trust, server_name};
use crate::net::watch::RESOLVER_FILES;
use crate::sys::clock;
use crate::sys::readiness::watch;
use linkbeat_core::proto::event::{Failure, Transport};
use linkbeat_core::proto::resolve::port_of;
use linkbeat_core::proto::route::Family;
use linkbeat_core::proto::settings::{Host, HostName, ResolverSettings};
use linkbeat_core::proto::time::Instant;
use linkbeat_core::wire::dns::Question;
use linkbeat_core::wire::response::Response;

/// Time limit for one nameserver.
const ANSWER_TIME: Duration = Duration::from_secs(3);
/// Time limit for one address of the server.
const CONNECT_TIME: Duration = Duration::from_secs(5);

/// How to verify a pin before using it.
const PROVES_NOTHING: &str = "\
This alone proves nothing: an attacker between this device and the server presents a key as well.
Compare the pin with the one that the owner of the server computes from its certificate:
  openssl x509 -in CERTIFICATE -pubkey -noout | openssl pkey -pubin -outform der |
    openssl dgst -sha256 -binary | base64
";

/// Prints to `out` the pin of the key at the `api_url` of the configuration at `file`; returns the
/// exit code.
///
/// # Errors
///
/// [`Error::Config`] without an `https` server, after the reason has been printed;
/// [`Error::System`].
pub(super) fn show(file: &Path, out: &mut dyn Write) -> Result<u8, Error> {
    let mut print = |text: fmt::Arguments<'_>| say(out, &text.to_string());
    let loaded = config::load(file);
    for problem in &loaded.problems {
        print(format_args!("{problem}\n"))?;
    }
    let url = loaded.config.ok_or(Error::Config)?.api_url;
    let Some(url) = url.filter(|url| url.is_tls()) else {
        print(format_args!("{}: error: api_url is not an https URL\n", file.display()))?;
        return Err(Error::Config);
    };
    let server = url.server();
    let mut waiter = Waiter::new()?;
    let addresses = match &server.host {
        Host::Address(address) => vec![address.to_canonical()],
        Host::Name(name) => waiter.look_up(name, &server.host)?,
    };
    if addresses.is_empty() {
        print(format_args!("{url}: the name of the server was not found\n"))?;
    }
    for address in addresses {
        let to = SocketAddr::new(address, server.port);
        match waiter.ask(to, &server.host)? {
            Ok(pin) => {
                print(format_args!(
                    "{url} ({to}) presents the key\ntls.pin_sha256: {pin}\n{PROVES_NOTHING}"
                ))?;
                return Ok(EXIT_DONE);
            }
            Err(words) => print(format_args!("{url} ({to}): {words}\n"))?,
        }
    }
    Ok(EXIT_FAILED)
}

/// Waits for sockets. The caller polls all of them after each wait.
struct Waiter {
    /// The epoll instance.
    poll: Poll,
    /// Room for events, whose content is not used.
    events: Events,
}

impl Waiter {
    fn new() -> Result<Self, Error> {
        let poll = Poll::new().map_err(Error::system("create an epoll instance"))?;
        Ok(Self { poll, events: Events::with_capacity(2) })
    }

    fn watch(&self, socket: &impl AsFd, interest: Interest) -> Result<(), Error> {
        let watched = watch(self.poll.registry(), socket, Token(0), interest);
        watched.map_err(Error::system("watch a socket"))
    }

    /// Waits until a socket is ready; false if `give_up_at` came first.
    fn wait(&mut self, give_up_at: Instant) -> Result<bool, Error> {
        let now = clock::now();
        if now >= give_up_at {
            return Ok(false);
        }
        match self.poll.poll(&mut self.events, Some(give_up_at - now)) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => {
                Err(Error::system("wait for an answer")(error))
            }
            Ok(()) | Err(_) => Ok(true),
        }
    }

    /// Connects to an address and returns the pin of its key, or the reason why there is none.
    fn ask(&mut self, to: SocketAddr, host: &Host) -> Result<Result<Pin, String>, Error> {
        // An empty list accepts no key: the handshake ends when the first one is presented.
        let nobody = Arc::new(Trust::Pins(Vec::new()));
        let material = Material { trust: nobody, identity: None, left_out: heapless::Vec::new() };
        let client = Client::new(material, Times::default(), false, server_name(host));
        let mut connection = match Connection::open(to, None, Some(client)) {
            Ok(connection) => connection,
            Err(failure) => return Ok(Err(failure.to_string())),
        };
        self.watch(&connection, Interest::READABLE | Interest::WRITABLE)?;
        let (mut response, give_up_at) = (Response::new(), clock::now() + CONNECT_TIME);
        let failure = loop {
            match connection.on_ready(&mut response) {
                Ok(Progress::Drained) if !self.wait(give_up_at)? => break Failure::TimedOut,
                Ok(_) => {}
                Err(failure) => break failure,
            }
        };
        let tls = connection.tls();
        let shown = tls.and_then(TlsSession::shown_pin);
        Ok(shown.ok_or_else(|| match tls.and_then(TlsSession::detail) {
            Some(detail) => detail.as_str().into(),
            None => failure.to_string(),
        }))
    }

    /// Resolves a name with the hosts file and the nameservers of the system.
    fn look_up(&mut self, name: &HostName, host: &Host) -> Result<Vec<IpAddr>, Error> {
        let [resolv_conf, hosts] = RESOLVER_FILES.map(Path::new);
        let mut reader = SettingsReader::new(resolv_conf, hosts, Some(host));
        let settings = loop {
            if let Some(settings) = reader.next_piece(hosts) {
                break settings;
            }
        };
        let mut found = settings.hosts.to_vec();
        let mut search = settings.domains().filter(|_| !name.contains('.'));
        loop {
            // The name without a domain is tried last.
            let domain = search.next();
            if found.is_empty() {
                self.ask_nameservers(name, domain, &settings, &mut found)?;
            }
            if domain.is_none() || !found.is_empty() {
                return Ok(found);
            }
        }
    }

    /// Adds the addresses from the first nameserver that returns any.
    fn ask_nameservers(
        &mut self,
        name: &HostName,
        domain: Option<&str>,
        settings: &ResolverSettings,
        found: &mut Vec<IpAddr>,
    ) -> Result<(), Error> {
        for nameserver in &settings.nameservers {
            let to = SocketAddr::new(nameserver.address, port_of(nameserver.address));
            let mut queries = [None, None];
            for (query, family) in queries.iter_mut().zip(Family::ALL) {
                let Some(question) = Question::new(name, domain, family) else { continue };
                let (via, transport) = (nameserver.scope, Transport::UdpEdns);
                let opened = QuerySocket::open(to, via, question, transport, clock::now());
                if let Ok(opened) = opened {
                    let interest = opened.interest();
                    self.watch(&opened, interest)?;
                    *query = Some(opened);
                }
            }
            // Both answers, or those that have arrived when the time limit is reached.
            let give_up_at = clock::now() + ANSWER_TIME;
            loop {
                for place in &mut queries {
                    let Some(query) = place else { continue };
                    match query.on_ready() {
                        QueryProgress::Waiting | QueryProgress::Spent => {}
                        QueryProgress::Moved => {
                            let interest = query.interest();
                            self.watch(&*query, interest)?;
                        }
                        QueryProgress::Done(result) => {
                            *place = None;
                            found.extend(result.unwrap_or_default().addresses);
                        }
                    }
                }
                if queries.iter().all(Option::is_none) || !self.wait(give_up_at)? {
                    break;
                }
            }
            if !found.is_empty() {
                break;
            }
        }
        Ok(())
    }
}
