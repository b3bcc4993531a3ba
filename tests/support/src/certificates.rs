//! Certificates made at start: an authority, and valid and invalid server certificates.

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use rustls::version::{TLS12, TLS13};

use crate::clock;

const DAY: Duration = Duration::from_secs(86_400);

/// The kind of certificate that a server presents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Shown {
    /// A valid one.
    #[default]
    Good,
    /// For another name.
    WrongName,
    /// It has expired.
    Expired,
    /// Issued yesterday, for three months.
    Recent,
    /// It is not yet valid.
    NotYetValid,
    /// From an unknown authority.
    Foreign,
}

impl Shown {
    const ALL: [Self; 6] = [
        Self::Good,
        Self::WrongName,
        Self::Expired,
        Self::Recent,
        Self::NotYetValid,
        Self::Foreign,
    ];
}

/// An authority and the certificates it made for one server.
pub struct Certificates {
    authority_pem: String,
    servers: Vec<Server>,
}

struct Server {
    shown: Shown,
    tls12_only: bool,
    config: Arc<ServerConfig>,
}

impl Certificates {
    /// Makes an authority and the certificates of a server with these names and addresses.
    ///
    /// # Panics
    ///
    /// If a name is invalid, or the random source fails.
    #[must_use]
    pub fn new(names: &[&str]) -> Self {
        let known = authority("linkbeat test authority");
        let unknown = authority("somebody else's authority");
        let mut servers = Vec::new();
        for shown in Shown::ALL {
            let issuer = if shown == Shown::Foreign { &unknown } else { &known };
            for tls12_only in [false, true] {
                let config = server(shown, tls12_only, names, issuer);
                servers.push(Server { shown, tls12_only, config });
            }
        }
        Self { authority_pem: known.pem(), servers }
    }

    /// The certificate of the authority in PEM, for `tls.ca_file`.
    #[must_use]
    pub fn authority_pem(&self) -> &str {
        &self.authority_pem
    }

    /// The TLS configuration of a server with this certificate. Each has its own resumption store.
    ///
    /// # Panics
    ///
    /// Never: every kind was made at start.
    #[must_use]
    pub fn server(&self, shown: Shown, tls12_only: bool) -> Arc<ServerConfig> {
        let wanted = |it: &&Server| it.shown == shown && it.tls12_only == tls12_only;
        Arc::clone(&self.servers.iter().find(wanted).expect("every kind was made").config)
    }
}

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority(name: &str) -> Authority {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, name);
    let key = KeyPair::generate().expect("random source");
    CertifiedIssuer::self_signed(params, key).expect("self-signed authority")
}

fn server(shown: Shown, tls12_only: bool, names: &[&str], issuer: &Authority) -> Arc<ServerConfig> {
    let names = if shown == Shown::WrongName { &["elsewhere.test"] } else { names };
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    // The default validity of rcgen, 1975 to 4096, covers a device whose clock has no battery.
    let mut params = CertificateParams::new(names).expect("names or addresses");
    match shown {
        Shown::Expired => params.not_after = rcgen::date_time_ymd(2001, 1, 1),
        Shown::Recent => {
            let now = UNIX_EPOCH + Duration::from_micros(clock::wall_us());
            params.not_before = (now - DAY).into();
            params.not_after = (now + 90 * DAY).into();
        }
        Shown::NotYetValid => params.not_before = rcgen::date_time_ymd(2990, 1, 1),
        Shown::Good | Shown::WrongName | Shown::Foreign => {}
    }
    let key = KeyPair::generate().expect("random source");
    let certificate = params.signed_by(&key, issuer).expect("signed certificate");
    let versions: &[_] = if tls12_only { &[&TLS12] } else { &[&TLS13, &TLS12] };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .expect("ring speaks these versions")
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], PrivateKeyDer::from(key))
        .expect("a key and its certificate");
    // As much early data as common servers accept; the answer does not wait for the handshake.
    config.max_early_data_size = 1 << 14;
    config.send_half_rtt_data = true;
    Arc::new(config)
}
