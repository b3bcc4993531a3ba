//! The roots that a server's certificate may end in.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::{self, PemObject};

/// Largest file of roots, in bytes: four times a whole distribution's bundle.
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

/// Why a file of roots cannot be used. Positions count certificates from 1.
#[derive(Debug)]
pub enum Error {
    /// No file is named, and no roots are built in.
    NotBuiltIn,
    /// The file cannot be read.
    Read(PathBuf, io::Error),
    /// It is a directory, a device or a pipe.
    NotAFile(PathBuf),
    /// It is larger than one MiB.
    TooLarge(PathBuf),
    /// It has no certificate in PEM form.
    Empty(PathBuf),
    /// The section at this position is damaged.
    Pem(PathBuf, usize, pem::Error),
    /// The certificate at this position cannot be a root.
    Certificate(PathBuf, usize, rustls::Error),
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

    /// Makes the roots ready for use. Reads from disk if they are in a file: call it when a
    /// configuration comes into force, not per beat.
    ///
    /// # Errors
    ///
    /// The file is missing, has no certificate, or has one that is unsound.
    pub fn load(&self) -> Result<Arc<RootCertStore>, Error> {
        match self {
            Self::BuiltIn => built_in(),
            Self::File(path) => parse(path, &read(path)?),
        }
        .map(Arc::new)
    }
}

#[cfg(feature = "web-roots")]
fn built_in() -> Result<RootCertStore, Error> {
    Ok(RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() })
}

#[cfg(not(feature = "web-roots"))]
const fn built_in() -> Result<RootCertStore, Error> {
    Err(Error::NotBuiltIn)
}

fn read(path: &Path) -> Result<Vec<u8>, Error> {
    let unreadable = |error| Error::Read(path.to_owned(), error);
    // Before open(2), which would wait for the other end of a pipe.
    if !fs::metadata(path).map_err(unreadable)?.is_file() {
        return Err(Error::NotAFile(path.to_owned()));
    }
    let mut pem = Vec::new();
    let file = File::open(path).map_err(unreadable)?;
    file.take(FILE_MAX + 1).read_to_end(&mut pem).map_err(unreadable)?;
    if pem.len() as u64 > FILE_MAX {
        return Err(Error::TooLarge(path.to_owned()));
    }
    Ok(pem)
}

/// Parses certificates; `path` is for the error.
pub(super) fn parse(path: &Path, pem: &[u8]) -> Result<RootCertStore, Error> {
    let mut roots = RootCertStore::empty();
    for (index, certificate) in CertificateDer::pem_slice_iter(pem).enumerate() {
        let position = index + 1;
        let certificate =
            certificate.map_err(|error| Error::Pem(path.to_owned(), position, error))?;
        roots
            .add(certificate)
            .map_err(|error| Error::Certificate(path.to_owned(), position, error))?;
    }
    if roots.is_empty() { Err(Error::Empty(path.to_owned())) } else { Ok(roots) }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotBuiltIn => f.write_str(
                "https needs the PEM file of your authority, this linkbeat has no roots built in",
            ),
            Self::Read(path, _) => write!(f, "read roots from {}", path.display()),
            Self::NotAFile(path) => write!(f, "roots: {} is not a regular file", path.display()),
            Self::TooLarge(path) => {
                write!(f, "roots: {} is larger than {FILE_MAX} bytes", path.display())
            }
            Self::Empty(path) => {
                write!(f, "roots: no certificate in PEM form in {}", path.display())
            }
            Self::Pem(path, position, _) => {
                write!(f, "roots: certificate {position} in {} is damaged", path.display())
            }
            Self::Certificate(path, position, _) => {
                write!(f, "roots: certificate {position} in {} cannot be used", path.display())
            }
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Read(_, error) => Some(error),
            Self::Pem(_, _, error) => Some(error),
            Self::Certificate(_, _, error) => Some(error),
            Self::NotBuiltIn | Self::NotAFile(_) | Self::TooLarge(_) | Self::Empty(_) => None,
        }
    }
}
