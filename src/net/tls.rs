//! TLS over a stream that does not wait: configuration, and the pump between rustls and a socket.
//!
//! The server is always verified and there is no switch against it. A failure has two forms: a
//! [`TlsFailure`] to decide by, and a [`Detail`] to read.
//!
//! Early data (RFC 8446 §2.3) saves the round trip of the handshake: the request leaves with the
//! `ClientHello`, under a key from the server's last ticket. A server may refuse to read it, or
//! having read it refuse to act on it (425, RFC 8470 §5.2). Either way the session writes the same
//! request once more, after the handshake, and its caller does not notice.

use std::cell::Cell;
use std::io::{BufRead, Write};
use std::rc::Rc;
use std::sync::Arc;

use mio::net::TcpStream;
use rustls::client::Resumption;
use rustls::pki_types::ServerName;
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, ClientConnection, HandshakeKind, ProtocolVersion};

use super::dial::unless_blocked;
use linkbeat_core::proto::event::{Failure, TlsFailure};
use linkbeat_core::proto::settings::Host;
use linkbeat_core::wire::request::REQUEST_MAX;

mod failure;
mod files;
mod identity;
mod provider;
mod signature;
#[cfg(test)]
pub(crate) mod tests;
mod trust;
mod verifier;

pub use failure::{DETAIL_MAX, Detail};
pub use files::{
    BUILT_IN, Error, ErrorKind, Files, Flaw, IdentityFiles, LeftOut, Material, Purpose, Roots,
};
pub use identity::Hint;
pub use trust::{PINS_MAX, Pin, Pins, Trust};
pub use verifier::{SharedFloors, Times};

use self::identity::ClientIdentity;
use self::verifier::{BootClock, Verifier};

/// Tickets kept in memory for resumption, all of one server (rustls counts them by eights).
const TICKETS_MAX: usize = 8;
/// The one protocol offered (RFC 7301 §6).
///
/// Without an offer most servers would guess the same. Saying it costs 15 bytes of the
/// `ClientHello`, and a port that speaks something else ends in the handshake, where the reason is
/// plain, instead of reading our request as a message of its own protocol.
const PROTOCOL: &[u8] = b"http/1.1";

/// The name that the certificate of `host` must be for; `None` if none can be for such a name, by
/// the rules of the library, which change. A configuration with such a name is refused.
pub fn server_name(host: &Host) -> Option<ServerName<'static>> {
    match host {
        Host::Address(address) => Some(ServerName::IpAddress((*address).into())),
        Host::Name(name) => ServerName::try_from(name.as_str().to_owned()).ok(),
    }
}

/// The result of one [`TlsSession::pull`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pulled {
    /// This many bytes of records, not necessarily plaintext.
    Bytes(usize),
    /// The socket has no more for now.
    Nothing,
    /// The end, announced by the peer (`close_notify`) or cut.
    End {
        /// False: an attacker may have cut bytes off (RFC 8446 §6.1).
        announced: bool,
    },
}

/// What all connections to one server share, resumption included.
#[derive(Debug, Clone)]
pub struct Client {
    tls: Arc<ClientConfig>,
    /// The same configuration, tickets included, with early data.
    early: Option<Arc<ClientConfig>>,
    verifier: Arc<Verifier>,
    identity: Arc<ClientIdentity>,
    /// `None`: no certificate can be for it, and no session begins.
    name: Option<ServerName<'static>>,
    /// Early data was sent, or not acted on, and no handshake has ended since.
    unproven: Rc<Cell<bool>>,
}

impl Client {
    /// `material` is what the configuration's files hold ([`Files::load`]), `times` are those by
    /// which certificates are judged. `early_data`: requests may travel as such. `name` is what the
    /// certificate must be for ([`server_name`]).
    ///
    /// # Panics
    ///
    /// Never: the provider has cipher suites of both versions.
    pub fn new(
        material: Material,
        times: Times,
        early_data: bool,
        name: Option<ServerName<'static>>,
    ) -> Self {
        let provider = Arc::new(provider::provider(provider::has_aes_instructions()));
        let verifier = Arc::new(Verifier::new(material.trust, &provider, times));
        let identity = Arc::new(ClientIdentity::new(material.identity));
        // What rustls calls dangerous is another verifier than its own. Ours uses that of rustls,
        // and the handshake's time is of no use to it.
        let mut tls = ClientConfig::builder_with_details(provider, Arc::new(BootClock))
            .with_protocol_versions(&[&TLS13, &TLS12])
            .expect("the provider has suites of both versions")
            .dangerous()
            .with_custom_certificate_verifier(Arc::<Verifier>::clone(&verifier))
            .with_client_cert_resolver(Arc::<ClientIdentity>::clone(&identity));
        tls.alpn_protocols = vec![PROTOCOL.to_vec()];
        tls.resumption = Resumption::in_memory_sessions(TICKETS_MAX);
        let early = early_data.then(|| {
            let mut early = tls.clone();
            early.enable_early_data = true;
            Arc::new(early)
        });
        Self { tls: Arc::new(tls), early, verifier, identity, name, unproven: Rc::default() }
    }

    /// The configuration for the next connection.
    ///
    /// A server that was changed may choke on early data with every ticket of its former self (RFC
    /// 8446 §D.3), or close with its 425: after one that failed, one goes the long way.
    fn config(&self) -> Arc<ClientConfig> {
        let early = self.early.as_ref().filter(|_| !self.unproven.get());
        Arc::clone(early.unwrap_or(&self.tls))
    }
}

/// The TLS side of one connection.
pub struct TlsSession {
    tls: ClientConnection,
    client: Client,
    name: ServerName<'static>,
    early: Early,
    /// The request, to be written (once more); of no meaning when `early` is `Unused`.
    request: heapless::Vec<u8, REQUEST_MAX>,
    error: Option<rustls::Error>,
    /// Whether the server wanted another handshake, which was refused.
    renegotiated: bool,
    /// Whether a request was not taken whole: the next flush ends the connection.
    torn: bool,
    /// The completed handshake, until [`take_handshake`](Self::take_handshake).
    handshake: Option<HandshakeKind>,
}

/// The fate of the request that did not wait for the handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Early {
    /// There is none, or it was written once more.
    Unused,
    /// The ticket has no room for it: it waits after all.
    Held,
    /// The request is sent, and the server may still refuse to read it.
    Sent,
    /// The server has read it, and may still refuse to act on it.
    Accepted,
}

impl TlsSession {
    /// Begins a session; the first [`flush`](Self::flush) sends the `ClientHello`.
    pub(super) fn new(mut client: Client) -> Result<Self, Failure> {
        let name = client.name.take().ok_or(Failure::Tls(TlsFailure::WrongName))?;
        let mut tls = ClientConnection::new(client.config(), name.clone())
            .map_err(|error| Failure::Tls(failure::classify(&error, false)))?;
        // A limit counts what the handshake has queued too, such as a long client chain, and would
        // refuse the request behind it. There is one request at a time, of REQUEST_MAX at most.
        tls.set_buffer_limit(None);
        Ok(Self {
            tls,
            client,
            name,
            early: Early::Unused,
            request: heapless::Vec::new(),
            error: None,
            renegotiated: false,
            torn: false,
            handshake: None,
        })
    }

    /// Whether the handshake is through on our side; its last flight may still be unsent.
    pub fn is_secured(&self) -> bool {
        !self.tls.is_handshaking()
    }

    /// Whether a request may be written: after the handshake, or before it as early data.
    pub(super) fn takes_request(&mut self) -> bool {
        self.is_secured() || self.tls.early_data().is_some()
    }

    /// Queues a request; false if it has to wait for the handshake, and then is queued by itself.
    ///
    /// # Panics
    ///
    /// If it is over [`REQUEST_MAX`].
    pub(super) fn write(&mut self, request: &[u8]) -> bool {
        if self.is_secured() {
            self.early = Early::Unused;
            self.torn |= !is_whole(self.tls.writer().write(request), request);
            return true;
        }
        self.request.clear();
        self.request.extend_from_slice(request).expect("REQUEST_MAX is its size");
        let fitting = self.tls.early_data().filter(|early| early.bytes_left() >= request.len());
        self.early = match fitting {
            None => Early::Held,
            Some(mut early) => {
                self.torn |= !is_whole(early.write(request), request);
                self.client.unproven.set(true);
                Early::Sent
            }
        };
        self.early == Early::Sent
    }

    /// Writes the request once more if it was answered with 425 and had travelled as early data;
    /// false: the answer stands. `lives`: the connection can carry it.
    pub(super) fn repeat(&mut self, lives: bool) -> bool {
        if self.early != Early::Accepted {
            return false;
        }
        // Whatever the answer promised, the server may have closed.
        self.client.unproven.set(true);
        if lives {
            self.write_late();
        }
        lives
    }

    fn write_late(&mut self) {
        self.early = Early::Unused;
        self.torn |= !is_whole(self.tls.writer().write(&self.request), &self.request);
    }

    /// Notes how the handshake ended, and what became of the request.
    fn finish_handshake(&mut self) {
        self.client.unproven.set(false);
        self.handshake = self.tls.handshake_kind();
        match self.early {
            Early::Sent if self.tls.is_early_data_accepted() => self.early = Early::Accepted,
            Early::Held | Early::Sent => self.write_late(),
            Early::Unused | Early::Accepted => {}
        }
    }

    /// The handshake when it is completed, once.
    pub(super) const fn take_handshake(&mut self) -> Option<HandshakeKind> {
        self.handshake.take()
    }

    /// Announces the end of what we send.
    pub(super) fn say_goodbye(&mut self) {
        self.tls.send_close_notify();
    }

    /// Sends what is queued and counts its bytes; true when all is with the kernel.
    pub(super) fn flush(
        &mut self,
        stream: &mut TcpStream,
        count: &mut u64,
    ) -> Result<bool, Failure> {
        if self.torn {
            return Err(Failure::Closed);
        }
        while self.tls.wants_write() {
            match unless_blocked(|| self.tls.write_tls(stream))? {
                None => return Ok(false),
                Some(0) => return Err(Failure::Closed),
                Some(sent) => *count += sent as u64,
            }
        }
        Ok(true)
    }

    /// Reads once and works on what came. There may be something to flush afterwards.
    pub(super) fn pull(&mut self, stream: &mut TcpStream) -> Result<Pulled, Failure> {
        let Some(bytes) = unless_blocked(|| self.tls.read_tls(stream))? else {
            return Ok(Pulled::Nothing);
        };
        let secured = self.is_secured();
        let unsent = self.tls.wants_write();
        let state = self.tls.process_new_packets();
        // RFC 5246 §7.2.2: after the handshake there is nothing to answer but a HelloRequest, with
        // an alert, and what is wrong, with an alert too.
        self.renegotiated |= state.is_ok()
            && secured
            && !unsent
            && self.tls.wants_write()
            && self.tls.protocol_version() == Some(ProtocolVersion::TLSv1_2);
        if state.is_ok() && self.is_secured() && !secured {
            self.finish_handshake();
        }
        match state {
            Ok(state) if bytes == 0 => Ok(Pulled::End { announced: state.peer_has_closed() }),
            Ok(_) => Ok(Pulled::Bytes(bytes)),
            Err(error) => {
                let missed = self.client.identity.is_missed();
                let failure = failure::failure_of(&error, missed);
                self.error = Some(error);
                // The alert is for the server's log. Sent or not, we fail for that reason.
                match self.flush(stream, &mut 0) {
                    Ok(_) | Err(_) => Err(failure),
                }
            }
        }
    }

    /// The plaintext that is there, possibly none; [`consume`](Self::consume) it next.
    pub(super) fn plaintext(&mut self) -> &[u8] {
        // Errors here are "none yet" and "cut", and pull() reports both.
        self.tls.reader().into_first_chunk().unwrap_or_default()
    }

    /// Drops the first bytes of what [`plaintext`](Self::plaintext) showed.
    pub(super) fn consume(&mut self, bytes: usize) {
        self.tls.reader().consume(bytes);
    }

    /// Whether the server's chain is valid at this very second too, in seconds since 1970 UTC.
    pub fn is_valid_at(&self, unix_s: u64) -> bool {
        let chain = self.tls.peer_certificates().unwrap_or_default();
        self.client.verifier.allows(chain, &self.name, unix_s)
    }

    /// The key that was shown and is none of those that were pinned.
    pub fn shown_pin(&self) -> Option<Pin> {
        self.error.as_ref().and_then(failure::shown_pin)
    }

    /// The same failure, or its cause.
    ///
    /// A server that wants another handshake wants a client certificate, and hangs up without it.
    pub(super) const fn explain(&self, failure: Failure) -> Failure {
        match failure {
            Failure::Closed | Failure::Reset | Failure::Tls(_) if self.renegotiated => {
                Failure::Tls(TlsFailure::ClientCertificateWanted)
            }
            _ => failure,
        }
    }

    /// Whether the server wanted another handshake: rustls bears with that once per connection.
    pub(super) const fn is_worn(&self) -> bool {
        self.renegotiated
    }

    /// The hint that this HTTP answer gives about a client certificate.
    pub fn hint(&self, status: u16, body: &[u8]) -> Option<Hint> {
        self.client.identity.hint(status, body, self.renegotiated)
    }

    /// The failure in words.
    pub fn detail(&self) -> Option<Detail> {
        if self.renegotiated {
            return Detail::try_from(failure::LATE).ok();
        }
        self.error.as_ref().map(|error| failure::describe(error, self.client.verifier.wall_s()))
    }
}

/// Whether all of a request was taken.
fn is_whole(written: std::io::Result<usize>, request: &[u8]) -> bool {
    written.is_ok_and(|length| length == request.len())
}
