//! TLS over a stream that does not wait: configuration, and the pump between rustls and a socket.
//!
//! The server is always verified and there is no switch against it. What went wrong is told twice:
//! as a [`TlsFailure`](crate::proto::event::TlsFailure) to decide by, and as a [`Detail`] to read.
//!
//! Early data (RFC 8446 §2.3) saves the round trip of the handshake: the request leaves with the
//! `ClientHello`, under a key from the server's last ticket. A server may refuse to read it, or
//! having read it refuse to act on it (425, RFC 8470 §5.2). Either way the session writes the same
//! request once more, after the handshake, and nobody else notices.

use std::cell::Cell;
use std::io::{BufRead, Write};
use std::rc::Rc;
use std::sync::Arc;

use mio::net::TcpStream;
use rustls::client::Resumption;
use rustls::pki_types::ServerName;
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, ClientConnection, HandshakeKind};

use super::connection::{Handshake, REQUEST_MAX};
use super::dial::unless_blocked;
use crate::proto::event::Failure;

mod failure;
mod files;
mod identity;
mod provider;
#[cfg(test)]
mod tests;
mod verifier;

pub use failure::{DETAIL_MAX, Detail};
pub use files::{BUILT_IN, Error, ErrorKind, Files, IdentityFiles, Material, Purpose, Roots};
pub use verifier::{SharedFloor, Times};

use self::identity::Identity;
use self::verifier::{BootClock, Verifier};

/// Tickets kept in memory for resumption, all of one server (rustls counts them by eights).
const TICKETS_MAX: usize = 8;
/// Most plaintext queued before the handshake is through: one TLS record (RFC 8446 §5.1).
const QUEUED_MAX: usize = 1 << 14;
/// The one protocol offered (RFC 7301 §6).
///
/// Without an offer most servers would guess the same. Saying it costs 15 bytes of the
/// `ClientHello`, and a port that speaks something else ends in the handshake, where the reason is
/// plain, instead of reading our request as a message of its own protocol.
const PROTOCOL: &[u8] = b"http/1.1";

/// What all connections to one server have in common, resumption included.
#[derive(Debug)]
pub struct Config {
    tls: Arc<ClientConfig>,
    verifier: Arc<Verifier>,
    identity: Arc<Identity>,
}

impl Config {
    /// `material` is what the configuration's files hold ([`Files::load`]), `times` are those by which
    /// certificates are judged.
    ///
    /// # Panics
    ///
    /// Never: the provider has cipher suites of both versions.
    #[must_use]
    pub fn new(material: Material, times: Times) -> Arc<Self> {
        let provider = Arc::new(provider::provider(has_aes_instructions()));
        let verifier = Arc::new(Verifier::new(material.roots, &provider, times));
        let identity = Arc::new(Identity::new(material.identity));
        // What rustls calls dangerous is that somebody else verifies. Ours asks its own verifier, and
        // the handshake's time is of no use to it.
        let mut tls = ClientConfig::builder_with_details(provider, Arc::new(BootClock))
            .with_protocol_versions(&[&TLS13, &TLS12])
            .expect("the provider has suites of both versions")
            .dangerous()
            .with_custom_certificate_verifier(Arc::<Verifier>::clone(&verifier))
            .with_client_cert_resolver(Arc::<Identity>::clone(&identity));
        tls.alpn_protocols = vec![PROTOCOL.to_vec()];
        tls.resumption = Resumption::in_memory_sessions(TICKETS_MAX);
        Arc::new(Self { tls: Arc::new(tls), verifier, identity })
    }
}

/// Whether the processor has AES instructions. Cortex-A53 and A72 have them by design, but not as
/// licensed for the Raspberry Pi 3 and 4.
fn has_aes_instructions() -> bool {
    #[cfg(target_arch = "aarch64")]
    return std::arch::is_aarch64_feature_detected!("aes");
    #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
    return std::arch::is_x86_feature_detected!("aes");
    #[cfg(not(any(target_arch = "aarch64", target_arch = "x86", target_arch = "x86_64")))]
    return false;
}

/// What one [`Session::pull`] brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pulled {
    /// This many bytes of records, not necessarily plaintext.
    Bytes(usize),
    /// Nothing: the socket has no more for now.
    Nothing,
    /// The end, announced by the peer (`close_notify`) or cut.
    End {
        /// False: somebody may have cut bytes off (RFC 8446 §6.1).
        announced: bool,
    },
}

/// What all connections to one server share.
#[derive(Debug, Clone)]
pub struct Client {
    config: Arc<Config>,
    /// The same, tickets included, with early data.
    early: Option<Arc<ClientConfig>>,
    name: ServerName<'static>,
    /// Early data was sent, or not acted on, and no handshake has ended since.
    unproven: Rc<Cell<bool>>,
}

impl Client {
    /// Takes what connections have in common, whether requests may travel as early data, and the
    /// name or address that the certificate must be for.
    #[must_use]
    pub fn new(config: Arc<Config>, early_data: bool, name: ServerName<'static>) -> Self {
        let early = early_data.then(|| {
            let mut early = ClientConfig::clone(&config.tls);
            early.enable_early_data = true;
            Arc::new(early)
        });
        Self { config, early, name, unproven: Rc::default() }
    }

    /// The configuration for the next connection.
    ///
    /// A server that was changed may choke on early data with every ticket of its former self (RFC
    /// 8446 §D.3), or close with its 425: after one that failed, one goes the long way.
    fn config(&self) -> Arc<ClientConfig> {
        let early = self.early.as_ref().filter(|_| !self.unproven.get());
        Arc::clone(early.unwrap_or(&self.config.tls))
    }
}

/// The TLS side of one connection.
pub(super) struct Session {
    tls: ClientConnection,
    verifier: Arc<Verifier>,
    identity: Arc<Identity>,
    name: ServerName<'static>,
    unproven: Rc<Cell<bool>>,
    early: Early,
    /// What may have to be written (once more); of no meaning when `early` is `Unused`.
    request: heapless::Vec<u8, REQUEST_MAX>,
    error: Option<rustls::Error>,
    /// The handshake that is through, until somebody has asked for it.
    handshake: Option<Handshake>,
}

/// What became of the request that did not wait for the handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Early {
    /// There is none, or it was written once more.
    Unused,
    /// The ticket has no room for it: it waits after all.
    Held,
    /// It is sent, and the server may still refuse to read it.
    Sent,
    /// The server has read it, and may still refuse to act on it.
    Accepted,
}

impl Session {
    /// Begins a session; the first [`flush`](Self::flush) sends the `ClientHello`.
    pub(super) fn new(client: &Client) -> Result<Self, Failure> {
        let mut tls = ClientConnection::new(client.config(), client.name.clone())
            .map_err(|error| Failure::Tls(failure::classify(&error, false)))?;
        tls.set_buffer_limit(Some(QUEUED_MAX));
        Ok(Self {
            tls,
            verifier: Arc::clone(&client.config.verifier),
            identity: Arc::clone(&client.config.identity),
            name: client.name.clone(),
            unproven: Rc::clone(&client.unproven),
            early: Early::Unused,
            request: heapless::Vec::new(),
            error: None,
            handshake: None,
        })
    }

    /// Whether the handshake is through on our side; its last flight may still be unsent.
    pub(super) fn is_secured(&self) -> bool {
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
    /// If it is over [`REQUEST_MAX`], more than one is queued, or the session has failed before.
    pub(super) fn write(&mut self, request: &[u8]) -> bool {
        if self.is_secured() {
            self.early = Early::Unused;
            queue(&mut self.tls, request);
            return true;
        }
        self.request.clear();
        self.request.extend_from_slice(request).expect("REQUEST_MAX is its size");
        let fitting = self.tls.early_data().filter(|early| early.bytes_left() >= request.len());
        self.early = match fitting {
            None => Early::Held,
            Some(mut early) => {
                early.write_all(request).expect("the ticket has room for it");
                self.unproven.set(true);
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
        self.unproven.set(true);
        if lives {
            self.write_late();
        }
        lives
    }

    fn write_late(&mut self) {
        self.early = Early::Unused;
        queue(&mut self.tls, &self.request);
    }

    /// The handshake is through: what became of the request shows.
    fn settle(&mut self) {
        self.unproven.set(false);
        self.handshake = Some(match self.tls.handshake_kind() {
            Some(HandshakeKind::Resumed) => Handshake::Resumed,
            _ => Handshake::Full,
        });
        match self.early {
            Early::Sent if self.tls.is_early_data_accepted() => self.early = Early::Accepted,
            Early::Held | Early::Sent => self.write_late(),
            Early::Unused | Early::Accepted => {}
        }
    }

    /// The handshake, once, when it is through.
    pub(super) const fn take_handshake(&mut self) -> Option<Handshake> {
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
        let state = self.tls.process_new_packets();
        if state.is_ok() && self.is_secured() && !secured {
            self.settle();
        }
        match state {
            Ok(state) if bytes == 0 => Ok(Pulled::End { announced: state.peer_has_closed() }),
            Ok(_) => Ok(Pulled::Bytes(bytes)),
            Err(error) => {
                let missed = self.identity.is_missed();
                let failure = Failure::Tls(failure::classify(&error, missed));
                self.error = Some(error);
                // The alert tells the server's people why. Sent or not, we fail for that reason.
                match self.flush(stream, &mut 0) {
                    Ok(_) | Err(_) => Err(failure),
                }
            }
        }
    }

    /// The plaintext that is there, possibly none; [`consume`](Self::consume) it next.
    pub(super) fn plaintext(&mut self) -> &[u8] {
        // Errors here are "none yet" and "cut", and pull() tells both.
        self.tls.reader().into_first_chunk().unwrap_or_default()
    }

    /// Drops the first bytes of what [`plaintext`](Self::plaintext) showed.
    pub(super) fn consume(&mut self, bytes: usize) {
        self.tls.reader().consume(bytes);
    }

    /// Whether the server's chain is valid at this very second too, in seconds since 1970 UTC.
    pub(super) fn is_valid_at(&self, unix_s: u64) -> bool {
        let chain = self.tls.peer_certificates().unwrap_or_default();
        self.verifier.allows(chain, &self.name, unix_s)
    }

    /// What went wrong, in words.
    pub(super) fn detail(&self) -> Option<Detail> {
        self.error.as_ref().map(|error| failure::describe(error, self.verifier.wall_s()))
    }
}

fn queue(tls: &mut ClientConnection, bytes: &[u8]) {
    tls.writer().write_all(bytes).expect("a sound session takes QUEUED_MAX bytes");
}
