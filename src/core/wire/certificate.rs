//! A minimal parser for X.509 certificates (RFC 5280 §4.1). It reads the parts that the agent needs
//! beside a full verifier: public key, validity, common name, and the extensions for alternative
//! names and basic constraints.
//!
//! Certificates of every version and with any extensions are read: openssl makes version 1 or 3 by
//! default, often with a common name only. DER is read strictly (X.690 §10.1), so each certificate
//! has one reading. This module does not decide whether a certificate is trusted.

use core::fmt;
use core::net::IpAddr;

use super::date::Utc;

#[cfg(test)]
mod tests;

const BOOLEAN: u8 = 0x01;
const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OCTET_STRING: u8 = 0x04;
const OBJECT_ID: u8 = 0x06;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
/// Context-specific, constructed: `version`.
const VERSION: u8 = 0xa0;
/// Context-specific, primitive: `issuerUniqueID` and `subjectUniqueID`.
const UNIQUE_IDS: [u8; 2] = [0x81, 0x82];
/// Context-specific, constructed: `extensions`.
const EXTENSIONS: u8 = 0xa3;

/// id-at-commonName (RFC 5280 §A.1).
const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
/// id-ce-subjectAltName (RFC 5280 §4.2.1.6).
const SUBJECT_ALT_NAME: &[u8] = &[0x55, 0x1d, 0x11];
/// Context-specific, primitive: `dNSName` and `iPAddress` of an alternative name.
const DNS_NAME: u8 = 0x82;
const IP_ADDRESS: u8 = 0x87;
/// id-ce-basicConstraints (RFC 5280 §4.2.1.9).
const BASIC_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 0x13];
/// The encoded number of X.509 version 3.
const VERSION_3: &[u8] = &[2];

/// Parts of a certificate, each in its DER encoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Certificate<'a> {
    version: Option<&'a [u8]>,
    validity: &'a [u8],
    subject: &'a [u8],
    public_key: &'a [u8],
    extensions: &'a [u8],
}

impl<'a> Certificate<'a> {
    /// Locates the parts. `None` if the bytes are not exactly one certificate.
    pub fn parse(der: &'a [u8]) -> Option<Self> {
        let mut signed = Reader(Reader(der).take_last(SEQUENCE)?);
        let mut fields = Reader(signed.take(SEQUENCE)?);
        signed.take(SEQUENCE)?;
        signed.take_last(BIT_STRING)?;
        let version = match fields.take_if(VERSION)? {
            Some(explicit) => Some(Reader(explicit).take_last(INTEGER)?),
            None => None,
        };
        fields.take(INTEGER)?;
        fields.take(SEQUENCE)?;
        fields.take(SEQUENCE)?;
        let validity = fields.take(SEQUENCE)?;
        let subject = fields.take(SEQUENCE)?;
        let public_key = fields.take_whole(SEQUENCE)?;
        for unique_id in UNIQUE_IDS {
            fields.take_if(unique_id)?;
        }
        let extensions = match fields.take_if(EXTENSIONS)? {
            Some(explicit) => Reader(explicit).take_last(SEQUENCE)?,
            None => &[],
        };
        let complete = fields.0.is_empty();
        complete.then_some(Self { version, validity, subject, public_key, extensions })
    }

    /// The whole SubjectPublicKeyInfo. A pin is a hash of it (RFC 7469 §2.4).
    pub const fn public_key_info(&self) -> &'a [u8] {
        self.public_key
    }

    /// The public key. `None` if it is malformed.
    pub fn public_key(&self) -> Option<PublicKey<'a>> {
        let mut fields = Reader(Reader(self.public_key).take_last(SEQUENCE)?);
        let algorithm = fields.take(SEQUENCE)?;
        // X.690 §8.6.2: the first byte counts the unused bits. A key has none.
        let key = fields.take_last(BIT_STRING)?.strip_prefix(&[0])?;
        Some(PublicKey { algorithm, key })
    }

    /// The first and the last second of validity, in seconds since 1970 UTC. A time before 1970 is
    /// 0. `None` if a time is malformed.
    pub fn validity_s(&self) -> Option<(u64, u64)> {
        let mut times = Reader(self.validity);
        let (not_before, not_after) = (times.take_time()?, times.take_time()?);
        times.0.is_empty().then_some((not_before.0, not_after.0))
    }

    /// Whether the certificate has a subjectAltName extension, even an empty one. `None` if the
    /// extensions are malformed.
    pub fn has_alt_names(&self) -> Option<bool> {
        self.extension(SUBJECT_ALT_NAME).map(|it| it.is_some())
    }

    /// The alternative names that are host names or addresses, for people: those that are malformed are left out.
    pub fn alt_names(&self) -> impl Iterator<Item = AltName<'a>> {
        let names = self.extension(SUBJECT_ALT_NAME).flatten();
        let mut names =
            Reader(names.and_then(|it| Reader(it).take_last(SEQUENCE)).unwrap_or_default());
        core::iter::from_fn(move || names.take_any()).filter_map(|(tag, name)| match tag {
            DNS_NAME => core::str::from_utf8(name).ok().map(AltName::Host),
            IP_ADDRESS => {
                let v4 = <[u8; 4]>::try_from(name).map(IpAddr::from);
                v4.or_else(|_| <[u8; 16]>::try_from(name).map(IpAddr::from))
                    .ok()
                    .map(AltName::Address)
            }
            _ => None,
        })
    }

    /// Whether the certificate is of an authority: it has `CA:TRUE`, or its version has no
    /// extensions and cannot say. `None` if the extensions are malformed.
    pub fn is_authority(&self) -> Option<bool> {
        let Some(constraints) = self.extension(BASIC_CONSTRAINTS)? else {
            return Some(self.version != Some(VERSION_3));
        };
        let is_true = Reader(Reader(constraints).take_last(SEQUENCE)?).take_if(BOOLEAN)?;
        Some(is_true == Some(&[0xff]))
    }

    /// The contents of an extension; `Some(None)` if it is absent. `None` if the extensions are
    /// malformed.
    fn extension(&self, wanted: &[u8]) -> Option<Option<&'a [u8]>> {
        let (mut extensions, mut found) = (Reader(self.extensions), None);
        while !extensions.0.is_empty() {
            let mut extension = Reader(extensions.take(SEQUENCE)?);
            let kind = extension.take(OBJECT_ID)?;
            extension.take_if(BOOLEAN)?;
            let contents = extension.take_last(OCTET_STRING)?;
            if kind == wanted {
                found = Some(contents);
            }
        }
        Some(found)
    }

    /// The last common name of the subject, if it is UTF-8.
    pub fn common_name(&self) -> Option<&'a str> {
        let (mut names, mut found) = (Reader(self.subject), None);
        while !names.0.is_empty() {
            let mut set = Reader(names.take(SET)?);
            while !set.0.is_empty() {
                let mut attribute = Reader(set.take(SEQUENCE)?);
                let kind = attribute.take(OBJECT_ID)?;
                let (_, text) = attribute.take_any()?;
                if kind == COMMON_NAME {
                    found = core::str::from_utf8(text).ok();
                }
            }
        }
        found
    }
}

/// A name of the holder of a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AltName<'a> {
    /// A host name, perhaps with `*` as its first label.
    Host(&'a str),
    /// An address.
    Address(IpAddr),
}

impl fmt::Display for AltName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(name) => f.write_str(name),
            Self::Address(address) => address.fmt(f),
        }
    }
}

/// A public key of a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PublicKey<'a> {
    /// The contents of the AlgorithmIdentifier.
    pub algorithm: &'a [u8],
    /// The key itself.
    pub key: &'a [u8],
}

impl PublicKey<'_> {
    /// Length of the modulus in bits. `None` if the key is not an RSA key.
    pub fn rsa_bits(&self) -> Option<usize> {
        if Algorithm::of(self.algorithm) != Algorithm::Rsa {
            return None;
        }
        let modulus = Reader(Reader(self.key).take_last(SEQUENCE)?).take(INTEGER)?;
        let first = modulus.iter().position(|byte| *byte != 0)?;
        let digits = modulus.get(first..)?;
        Some(digits.len() * 8 - digits.first()?.leading_zeros() as usize)
    }
}

words! {
    /// An algorithm of a key or signature in a certificate.
    pub enum Algorithm {
        /// rsaEncryption
        Rsa = "RSA",
        /// id-RSASSA-PSS
        RsaPss = "RSA-PSS",
        /// id-dsa, with any hash.
        Dsa = "DSA",
        /// prime256v1, secp256r1
        P256 = "P-256",
        /// secp384r1
        P384 = "P-384",
        /// secp521r1
        P521 = "P-521",
        /// An elliptic curve that is not listed here.
        Curve = "another elliptic curve",
        /// Ed25519
        Ed25519 = "Ed25519",
        /// Ed448
        Ed448 = "Ed448",
        /// A signature with MD5.
        Md5 = "MD5",
        /// A signature with SHA-1.
        Sha1 = "SHA-1",
        /// ecdsa-with-SHA512
        EcdsaSha512 = "ECDSA with SHA-512",
        /// An algorithm that is not listed here.
        Other = "an unknown algorithm",
    }
}

impl Algorithm {
    /// The algorithm that the contents of an AlgorithmIdentifier name.
    pub fn of(identifier: &[u8]) -> Self {
        let mut fields = Reader(identifier);
        match fields.take(OBJECT_ID).unwrap_or_default() {
            // 1.2.840.113549.1.1
            [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, last] => match last {
                1 => Self::Rsa,
                4 => Self::Md5,
                5 => Self::Sha1,
                10 => Self::RsaPss,
                _ => Self::Other,
            },
            // 1.2.840.10045.2.1
            [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01] => match fields.take(OBJECT_ID) {
                Some([0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07]) => Self::P256,
                Some([0x2b, 0x81, 0x04, 0x00, 0x22]) => Self::P384,
                Some([0x2b, 0x81, 0x04, 0x00, 0x23]) => Self::P521,
                _ => Self::Curve,
            },
            // 1.2.840.10045.4
            [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x01] => Self::Sha1,
            [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x04] => Self::EcdsaSha512,
            // 1.2.840.10040.4 and 2.16.840.1.101.3.4.3.1 to 4
            [0x2a, 0x86, 0x48, 0xce, 0x38, 0x04, ..]
            | [0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x03, 1..=4] => Self::Dsa,
            [0x2b, 0x65, 0x70] => Self::Ed25519,
            [0x2b, 0x65, 0x71] => Self::Ed448,
            _ => Self::Other,
        }
    }
}

/// Consecutive DER elements.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// Takes the next element: its tag and its contents.
    fn take_any(&mut self) -> Option<(u8, &'a [u8])> {
        let (tag, rest) = self.0.split_first()?;
        // Certificates have no tags of several bytes.
        if tag & 0x1f == 0x1f {
            return None;
        }
        let (length, rest) = rest.split_first()?;
        let (length, rest) = match *length {
            short @ ..=0x7f => (usize::from(short), rest),
            // X.690 §10.1: the length has the fewest bytes possible. No certificate needs four.
            long @ 0x81..=0x83 => {
                let (bytes, rest) = rest.split_at_checked(usize::from(long & 0x7f))?;
                let length = bytes.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte));
                let least = if bytes.len() == 1 { 0x80 } else { 1 << (8 * (bytes.len() - 1)) };
                (Some(length).filter(|length| *length >= least)?, rest)
            }
            _ => return None,
        };
        let (contents, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((*tag, contents))
    }

    /// Takes the next element, which must have this tag, and returns its contents.
    fn take(&mut self, tag: u8) -> Option<&'a [u8]> {
        let (found, contents) = self.take_any()?;
        (found == tag).then_some(contents)
    }

    /// Takes the next element, which must have this tag, and returns it with tag and length.
    fn take_whole(&mut self, tag: u8) -> Option<&'a [u8]> {
        let all = self.0;
        self.take(tag)?;
        all.get(..all.len() - self.0.len())
    }

    /// As [`take`](Self::take), for the last element.
    fn take_last(&mut self, tag: u8) -> Option<&'a [u8]> {
        self.take(tag).filter(|_| self.0.is_empty())
    }

    /// Takes the next element if it has this tag. `Some(None)` if it has another tag, or there is
    /// no next element.
    fn take_if(&mut self, tag: u8) -> Option<Option<&'a [u8]>> {
        if self.0.first() == Some(&tag) { self.take(tag).map(Some) } else { Some(None) }
    }

    fn take_time(&mut self) -> Option<Utc> {
        let (tag, text) = self.take_any()?;
        let text = core::str::from_utf8(text).ok()?;
        match (tag, text.len()) {
            (UTC_TIME, 13) | (GENERALIZED_TIME, 15) => Utc::parse_asn1(text),
            _ => None,
        }
    }
}
