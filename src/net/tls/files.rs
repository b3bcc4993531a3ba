//! The files of TLS, in PEM: the roots that a server's certificate may end in, and the certificate
//! and key that this device shows to a server that asks for one.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use super::provider::{provider, sha256};
use super::trust::{Pin, Trust};
use crate::sys::{file, random};
use linkbeat_core::wire::base64;
use linkbeat_core::wire::certificate::Certificate;
use linkbeat_core::wire::pem::{self, Section};

/// Largest file, in bytes: four times a whole distribution's bundle of roots.
const FILE_MAX: usize = 1 << 20;

/// Most certificates that are left out by name.
const LEFT_OUT_MAX: usize = 16;

/// Whether roots are built in (feature `web-roots`).
pub const BUILT_IN: bool = cfg!(feature = "web-roots");

/// The roots that make a server trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Roots<'a> {
    /// The roots of the public web, as [built in](BUILT_IN).
    BuiltIn,
    /// Only the certificates in this PEM file.
    File(&'a Path),
    /// No roots: only one of these keys.
    Pins(&'a [Pin]),
}

/// Which files make a connection secure.
#[derive(Debug, Clone, Copy)]
pub struct Files<'a> {
    /// The roots that make a server trusted.
    pub roots: Roots<'a>,
    /// The certificate of this device.
    pub identity: Option<IdentityFiles<'a>>,
}

/// The certificate of this device and its key.
#[derive(Debug, Clone, Copy)]
pub struct IdentityFiles<'a> {
    /// The chain, the device's own certificate first.
    pub certificate: &'a Path,
    /// The private key: PKCS#8, SEC1 or PKCS#1.
    pub key: &'a Path,
}

/// The contents of the files, ready for use.
#[derive(Debug, Clone)]
pub struct Material {
    /// The certificates or keys that make a server trusted; never empty.
    pub trust: Arc<Trust>,
    /// The identity for a server that asks for one.
    pub identity: Option<Arc<CertifiedKey>>,
    /// The flaws of the file of roots that cost only a part of it: the first 16.
    pub left_out: heapless::Vec<LeftOut, LEFT_OUT_MAX>,
}

impl PartialEq for Material {
    /// A key is that of its certificate, so that the certificates distinguish identities.
    fn eq(&self, other: &Self) -> bool {
        let chain = |material: &Self| material.identity.as_ref().map(|it| it.cert.clone());
        self.trust == other.trust && chain(self) == chain(other)
    }
}

/// A certificate that does not count; `Display` says which and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeftOut {
    /// The place among the certificates of the file, from 1.
    pub position: usize,
    /// The line that it begins in, from 1.
    pub line: usize,
    /// The flaw of the certificate.
    pub flaw: Flaw,
}

linkbeat_core::words! {
    /// A flaw of a certificate in PEM; its words go on after "it".
    pub enum Flaw {
        /// The section has no end, or is not base64.
        Damaged = "is damaged",
        /// The section is not X.509.
        NotX509 = "is not an X.509 certificate",
        /// OpenSSL's `TRUSTED CERTIFICATE`, with words behind it about what it is trusted for.
        TrustSettings = "is a TRUSTED CERTIFICATE of OpenSSL: remove its trust settings with `openssl x509 -in FILE`",
    }
}

linkbeat_core::words! {
    /// The purpose of a file, and the key of the configuration that names it.
    pub enum Purpose {
        /// The roots, or certificates of servers.
        Roots = "tls.ca_file",
        /// The certificate of this device.
        Certificate = "tls.client_cert",
        /// The key of that certificate.
        Key = "tls.client_key",
    }
}

/// Why a file cannot be used; `Display` says it in a line.
#[derive(Debug)]
pub struct Error {
    /// Which one.
    pub purpose: Purpose,
    /// The path of the file; empty if none is named.
    path: PathBuf,
    /// The kind of error.
    pub kind: ErrorKind,
}

/// A kind of error. Positions count the certificates of a file from 1.
#[derive(Debug)]
pub enum ErrorKind {
    /// No file is named, and no roots are built in.
    NotBuiltIn,
    /// The file cannot be read.
    Read(io::Error),
    /// The path leads to a directory, a device or a pipe.
    NotAFile,
    /// The file is larger than one MiB.
    TooLarge,
    /// The file has no certificate, or no key.
    Empty,
    /// A certificate cannot be used.
    Certificate(LeftOut),
    /// The key cannot be used: damaged, or of a kind that cannot sign here.
    Key,
    /// The key is behind a password.
    Encrypted,
    /// The key is not that of the certificate.
    Mismatch,
    /// A key cannot be used before the kernel's random generator is ready.
    NoRandom,
}

impl Files<'_> {
    /// Every file that is named.
    pub fn paths(&self) -> Vec<&Path> {
        let mut paths = Vec::new();
        if let Roots::File(path) = self.roots {
            paths.push(path);
        }
        if let Some(IdentityFiles { certificate, key }) = self.identity {
            paths.extend([certificate, key]);
        }
        paths
    }

    /// Makes ready for use what the files hold. Reads from disk: call it when a configuration comes
    /// into force, not per beat.
    ///
    /// # Errors
    ///
    /// A file is missing, or has not what it is named for.
    pub fn load(&self) -> Result<Material, Error> {
        let identity = self.identity.map(load_identity).transpose()?;
        let wrong = |path| fail(Purpose::Roots, path);
        let (trust, left_out) = match self.roots {
            Roots::BuiltIn => (built_in().map_err(wrong(Path::new("")))?, heapless::Vec::new()),
            Roots::Pins(pins) => (Trust::Pins(pins.to_vec()), heapless::Vec::new()),
            Roots::File(path) => parse(&read(path, Purpose::Roots)?).map_err(wrong(path))?,
        };
        Ok(Material { trust: Arc::new(trust), identity: identity.map(Arc::new), left_out })
    }
}

/// The error of a file, made for `map_err`.
pub(super) fn fail(purpose: Purpose, path: &Path) -> impl FnOnce(ErrorKind) -> Error {
    move |kind| Error { purpose, path: path.to_owned(), kind }
}

fn load_identity(files: IdentityFiles<'_>) -> Result<CertifiedKey, Error> {
    let chain = certificate_chain(&read(files.certificate, Purpose::Certificate)?)
        .map_err(fail(Purpose::Certificate, files.certificate))?;
    certified_key(chain, &read(files.key, Purpose::Key)?).map_err(fail(Purpose::Key, files.key))
}

fn certificate_chain(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, ErrorKind> {
    let (mut chain, mut flawed) = (Vec::new(), None);
    certificates(pem, &mut |found| match found {
        Ok(der) => chain.push(CertificateDer::from(der)),
        Err(left_out) => flawed = flawed.or(Some(left_out)),
    });
    match flawed {
        Some(flawed) => Err(ErrorKind::Certificate(flawed)),
        None if chain.is_empty() => Err(ErrorKind::Empty),
        None => Ok(chain),
    }
}

fn certified_key(
    chain: Vec<CertificateDer<'static>>,
    pem: &[u8],
) -> Result<CertifiedKey, ErrorKind> {
    // ring draws the secret of its signatures, and would wait for it.
    if !random::is_ready() {
        return Err(ErrorKind::NoRandom);
    }
    let key = pem::sections(pem).find(|section| section.label.ends_with(b"PRIVATE KEY"));
    let key = key.ok_or(ErrorKind::Empty)?;
    if key.is_encrypted() {
        return Err(ErrorKind::Encrypted);
    }
    let key = private_key(&key).ok_or(ErrorKind::Key)?;
    CertifiedKey::from_der(chain, key, &provider(false)).map_err(|error| match error {
        rustls::Error::InconsistentKeys(_) => ErrorKind::Mismatch,
        _ => ErrorKind::Key,
    })
}

fn private_key(section: &Section<'_>) -> Option<PrivateKeyDer<'static>> {
    let der = der(section)?;
    match section.label {
        b"PRIVATE KEY" => Some(PrivateKeyDer::Pkcs8(der.into())),
        b"EC PRIVATE KEY" => Some(PrivateKeyDer::Sec1(der.into())),
        b"RSA PRIVATE KEY" => Some(PrivateKeyDer::Pkcs1(der.into())),
        _ => None,
    }
}

fn built_in() -> Result<Trust, ErrorKind> {
    #[cfg(feature = "web-roots")]
    let roots = webpki_roots::TLS_SERVER_ROOTS.to_vec();
    #[cfg(not(feature = "web-roots"))]
    let roots = Vec::new();
    if !BUILT_IN {
        return Err(ErrorKind::NotBuiltIn);
    }
    Ok(Trust::Certificates { roots: RootCertStore { roots }, servers: Vec::new() })
}

fn read(path: &Path, purpose: Purpose) -> Result<Vec<u8>, Error> {
    let read = file::read(path, FILE_MAX).map_err(|error| match error.kind() {
        io::ErrorKind::InvalidInput => ErrorKind::NotAFile,
        io::ErrorKind::FileTooLarge => ErrorKind::TooLarge,
        _ => ErrorKind::Read(error),
    });
    read.map(|(pem, _)| pem).map_err(fail(purpose, path))
}

/// The bytes of a section; `None` if it is damaged.
pub(super) fn der(section: &Section<'_>) -> Option<Vec<u8>> {
    let text = section.text?;
    let mut der = vec![0; text.len()];
    let length = base64::decode(text, &mut der)?;
    der.truncate(length);
    Some(der)
}

/// Hands out the certificates in a file, DER as it stands.
fn certificates(pem: &[u8], take: &mut dyn FnMut(Result<Vec<u8>, LeftOut>)) {
    let mut position = 0;
    for section in pem::sections(pem) {
        let found = match section.label {
            b"TRUSTED CERTIFICATE" => Err(Flaw::TrustSettings),
            // The second is what OpenSSL wrote in the last century, and still reads.
            b"CERTIFICATE" | b"X509 CERTIFICATE" => match der(&section) {
                None => Err(Flaw::Damaged),
                Some(der) if Certificate::parse(&der).is_none() => Err(Flaw::NotX509),
                Some(der) => Ok(der),
            },
            _ => continue,
        };
        position += 1;
        take(found.map_err(|flaw| LeftOut { position, line: section.line, flaw }));
    }
}

/// Parses certificates of servers, of which those of authorities are roots as well.
///
/// A part that cannot be used costs nothing but itself, unless nothing else is left.
pub(super) fn parse(
    pem: &[u8],
) -> Result<(Trust, heapless::Vec<LeftOut, LEFT_OUT_MAX>), ErrorKind> {
    let (mut roots, mut servers) = (RootCertStore::empty(), Vec::new());
    let mut left_out = heapless::Vec::new();
    certificates(pem, &mut |found| match found {
        Ok(der) => {
            servers.push(sha256(&der));
            // As a root it would speak for any name, and webpki would not check its dates.
            if Certificate::parse(&der).and_then(|it| it.is_authority()) == Some(true) {
                roots.add_parsable_certificates([CertificateDer::from(der)]);
            }
        }
        Err(_) if left_out.is_full() => {}
        Err(flawed) => left_out.push(flawed).expect("there is room"),
    });
    if !servers.is_empty() {
        return Ok((Trust::Certificates { roots, servers }, left_out));
    }
    Err(left_out.first().map_or(ErrorKind::Empty, |flawed| ErrorKind::Certificate(*flawed)))
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match &self.kind {
            ErrorKind::NotBuiltIn => f.write_str(
                "https needs the PEM file of your authority, this linkbeat has no roots built in",
            ),
            ErrorKind::Read(error) => write!(f, "cannot read {path}: {error}"),
            ErrorKind::NotAFile => write!(f, "{path} is not a regular file"),
            ErrorKind::TooLarge => write!(f, "{path} is larger than {FILE_MAX} bytes"),
            ErrorKind::Empty => {
                let is_key = self.purpose == Purpose::Key;
                let wanted = if is_key { "private key" } else { "certificate" };
                write!(f, "no {wanted} in PEM form in {path}")
            }
            ErrorKind::Certificate(LeftOut { position, line, flaw }) => {
                write!(f, "certificate {position} in {path} (line {line}) {flaw}")
            }
            ErrorKind::Key => write!(
                f,
                "the private key in {path} cannot be used: it is damaged, or neither RSA of 2048 bits or \
                 more nor P-256 or P-384"
            ),
            ErrorKind::Encrypted => write!(
                f,
                "the private key in {path} is encrypted: write it without a password, with \
                 `openssl pkey -in {path} -out FILE`"
            ),
            ErrorKind::Mismatch => write!(
                f,
                "the private key in {path} is not that of the first certificate in tls.client_cert"
            ),
            ErrorKind::NoRandom => write!(
                f,
                "the private key in {path} waits for the kernel's random generator, as after a boot"
            ),
        }
    }
}

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { position, line, flaw } = self;
        write!(f, "certificate {position} (line {line}) is left out: it {flaw}")
    }
}
