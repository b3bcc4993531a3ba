//! What TLS needs from the disk: the roots that a server's certificate may end in, and the certificate and
//! key that this device shows where the server asks for one. All of it in PEM.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use super::provider::provider;

/// Largest file, in bytes: four times a whole distribution's bundle of roots.
const FILE_MAX: u64 = 1 << 20;

/// Whether roots are built in (feature `web-roots`).
pub const BUILT_IN: bool = cfg!(feature = "web-roots");

/// Whom to trust.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Roots {
    /// The roots of the public web, as [built in](BUILT_IN).
    BuiltIn,
    /// Only the certificates in this PEM file.
    File(PathBuf),
}

/// Which files make a connection secure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Files {
    /// Whom to trust.
    pub roots: Roots,
    /// Who this device is.
    pub identity: Option<IdentityFiles>,
}

/// The certificate of this device and its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentityFiles {
    /// The chain, the device's own certificate first.
    pub certificate: PathBuf,
    /// Its private key: PKCS#8, SEC1 or PKCS#1.
    pub key: PathBuf,
}

/// What the files hold, ready for use.
#[derive(Debug, Clone)]
pub struct Material {
    /// Whom to trust; never empty.
    pub roots: Arc<RootCertStore>,
    /// What to show where a server asks for it.
    pub identity: Option<Arc<CertifiedKey>>,
}

impl PartialEq for Material {
    /// A key is that of its certificate, so that the certificates tell identities apart.
    fn eq(&self, other: &Self) -> bool {
        let chain = |material: &Self| material.identity.as_ref().map(|it| it.cert.clone());
        self.roots.roots == other.roots.roots && chain(self) == chain(other)
    }
}

/// What a file is for, and so which key of the configuration names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// `tls.ca_file`
    Roots,
    /// `tls.client_cert`
    Certificate,
    /// `tls.client_key`
    Key,
}

/// Why a file cannot be used.
#[derive(Debug)]
pub struct Error {
    /// Which one.
    pub purpose: Purpose,
    /// What is wrong with it.
    pub kind: ErrorKind,
}

/// What can be wrong. Positions count the certificates of a file from 1.
#[derive(Debug)]
pub enum ErrorKind {
    /// No file is named, and no roots are built in.
    NotBuiltIn,
    /// The file cannot be read.
    Read(PathBuf, io::Error),
    /// It is a directory, a device or a pipe.
    NotAFile(PathBuf),
    /// It is larger than one MiB.
    TooLarge(PathBuf),
    /// What is looked for is not in it.
    Empty(PathBuf),
    /// The section at this position is damaged.
    Pem(PathBuf, usize, pem::Error),
    /// The certificate at this position cannot be used.
    Certificate(PathBuf, usize, rustls::Error),
    /// The key cannot be used: damaged, or of a kind that nobody signs with.
    Key(PathBuf, rustls::Error),
    /// The key is not that of the certificate.
    Mismatch(PathBuf),
}

impl Files {
    /// Every file that is named.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        let identity = self.identity.iter().flat_map(|it| [&it.certificate, &it.key]);
        self.roots.file().into_iter().chain(identity.map(PathBuf::as_path))
    }

    /// Makes ready for use what the files hold. Reads from disk: call it when a configuration comes into
    /// force, not per beat.
    ///
    /// # Errors
    ///
    /// A file is missing, or has not what it is named for.
    pub fn load(&self) -> Result<Material, Error> {
        let identity = self.identity.as_ref().map(IdentityFiles::load).transpose()?;
        Ok(Material { roots: self.roots.load()?, identity: identity.map(Arc::new) })
    }
}

impl IdentityFiles {
    fn load(&self) -> Result<CertifiedKey, Error> {
        let wrong = |kind| Error { purpose: Purpose::Key, kind };
        let chain =
            certificates(&self.certificate, &read(&self.certificate, Purpose::Certificate)?)
                .collect::<Result<Vec<_>, _>>()
                .map_err(|kind| Error { purpose: Purpose::Certificate, kind })?;
        if chain.is_empty() {
            let kind = ErrorKind::Empty(self.certificate.clone());
            return Err(Error { purpose: Purpose::Certificate, kind });
        }
        let pem = read(&self.key, Purpose::Key)?;
        let key = PrivateKeyDer::from_pem_slice(&pem).map_err(|error| match error {
            pem::Error::NoItemsFound => wrong(ErrorKind::Empty(self.key.clone())),
            error => wrong(ErrorKind::Pem(self.key.clone(), 1, error)),
        })?;
        CertifiedKey::from_der(chain, key, &provider(false)).map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => wrong(ErrorKind::Mismatch(self.key.clone())),
            error => wrong(ErrorKind::Key(self.key.clone(), error)),
        })
    }
}

impl Roots {
    /// The file that they are in.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        match self {
            Self::BuiltIn => None,
            Self::File(path) => Some(path),
        }
    }

    fn load(&self) -> Result<Arc<RootCertStore>, Error> {
        let wrong = |kind| Error { purpose: Purpose::Roots, kind };
        match self {
            Self::BuiltIn => built_in().map_err(wrong),
            Self::File(path) => parse(path, &read(path, Purpose::Roots)?).map_err(wrong),
        }
        .map(Arc::new)
    }
}

#[cfg(feature = "web-roots")]
fn built_in() -> Result<RootCertStore, ErrorKind> {
    Ok(RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() })
}

#[cfg(not(feature = "web-roots"))]
const fn built_in() -> Result<RootCertStore, ErrorKind> {
    Err(ErrorKind::NotBuiltIn)
}

fn read(path: &Path, purpose: Purpose) -> Result<Vec<u8>, Error> {
    let wrong = |kind| Error { purpose, kind };
    let unreadable = |error| wrong(ErrorKind::Read(path.to_owned(), error));
    // Before open(2), which would wait for the other end of a pipe.
    if !fs::metadata(path).map_err(unreadable)?.is_file() {
        return Err(wrong(ErrorKind::NotAFile(path.to_owned())));
    }
    let mut pem = Vec::new();
    let file = File::open(path).map_err(unreadable)?;
    file.take(FILE_MAX + 1).read_to_end(&mut pem).map_err(unreadable)?;
    if pem.len() as u64 > FILE_MAX {
        return Err(wrong(ErrorKind::TooLarge(path.to_owned())));
    }
    Ok(pem)
}

/// The certificates in a file; `path` is for the error.
fn certificates<'a>(
    path: &'a Path,
    pem: &'a [u8],
) -> impl Iterator<Item = Result<CertificateDer<'static>, ErrorKind>> {
    (1..).zip(CertificateDer::pem_slice_iter(pem)).map(|(position, certificate)| {
        certificate.map_err(|error| ErrorKind::Pem(path.to_owned(), position, error))
    })
}

/// Parses roots; `path` is for the error.
pub(super) fn parse(path: &Path, pem: &[u8]) -> Result<RootCertStore, ErrorKind> {
    let mut roots = RootCertStore::empty();
    for (position, certificate) in (1..).zip(certificates(path, pem)) {
        roots
            .add(certificate?)
            .map_err(|error| ErrorKind::Certificate(path.to_owned(), position, error))?;
    }
    if roots.is_empty() { Err(ErrorKind::Empty(path.to_owned())) } else { Ok(roots) }
}

impl Purpose {
    /// The key of the configuration that names the file.
    #[must_use]
    pub const fn key(self) -> &'static str {
        match self {
            Self::Roots => "tls.ca_file",
            Self::Certificate => "tls.client_cert",
            Self::Key => "tls.client_key",
        }
    }

    const fn wanted(self) -> &'static str {
        match self {
            Self::Roots | Self::Certificate => "certificate",
            Self::Key => "private key",
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let wanted = self.purpose.wanted();
        match &self.kind {
            ErrorKind::NotBuiltIn => f.write_str(
                "https needs the PEM file of your authority, this linkbeat has no roots built in",
            ),
            ErrorKind::Read(path, _) => write!(f, "cannot read {}", path.display()),
            ErrorKind::NotAFile(path) => write!(f, "{} is not a regular file", path.display()),
            ErrorKind::TooLarge(path) => {
                write!(f, "{} is larger than {FILE_MAX} bytes", path.display())
            }
            ErrorKind::Empty(path) => {
                write!(f, "no {wanted} in PEM form in {}", path.display())
            }
            ErrorKind::Pem(path, position, _) => {
                write!(f, "{wanted} {position} in {} is damaged", path.display())
            }
            ErrorKind::Certificate(path, position, _) => {
                write!(f, "certificate {position} in {} cannot be used", path.display())
            }
            ErrorKind::Key(path, _) => {
                write!(f, "the private key in {} cannot be used", path.display())
            }
            ErrorKind::Mismatch(path) => write!(
                f,
                "the private key in {} is not that of the first certificate in tls.client_cert",
                path.display()
            ),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.kind {
            ErrorKind::Read(_, error) => Some(error),
            ErrorKind::Pem(_, _, error) => Some(error),
            ErrorKind::Certificate(_, _, error) | ErrorKind::Key(_, error) => Some(error),
            ErrorKind::NotBuiltIn
            | ErrorKind::NotAFile(_)
            | ErrorKind::TooLarge(_)
            | ErrorKind::Empty(_)
            | ErrorKind::Mismatch(_) => None,
        }
    }
}
