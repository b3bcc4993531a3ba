//! Files of certificates and keys, made of whole and damaged parts among other text: each part is
//! found, kept or left out at its place, and the key is the one of the chain or refused for what it
//! is. Any bytes as all of the files: no panic, and errors that cannot control a terminal.

#![cfg_attr(not(test), no_main)]

use std::path::PathBuf;
use std::sync::LazyLock;

use linkbeat::net::tls::{ErrorKind, Files, Flaw, IdentityFiles, Material, Roots, Trust};
use linkbeat_core::wire::base64::Base64;
use linkbeat_fuzz::Bytes;
use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};

/// Most certificates that are named among those left out.
const LEFT_OUT_MAX: usize = 16;

/// The directory of the files, in memory to avoid writes to a disk.
static DIRECTORY: LazyLock<PathBuf> = LazyLock::new(|| linkbeat_fuzz::directory("tls"));

/// A certificate with its key, both in DER.
struct Pair {
    certificate: Vec<u8>,
    key: Vec<u8>,
}

/// A device, and an authority.
static PAIRS: LazyLock<[Pair; 2]> = LazyLock::new(|| {
    [IsCa::NoCa, IsCa::Ca(BasicConstraints::Unconstrained)].map(|is_ca| {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new([String::from("camera.example")]).expect("a name");
        params.is_ca = is_ca;
        let certificate = params.self_signed(&key).expect("a certificate");
        Pair { certificate: certificate.der().to_vec(), key: key.serialize_der() }
    })
});

/// What a file of certificates is made of.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Part {
    /// That of the device (0) or of the authority (1).
    Whole(usize),
    Flawed(Flaw),
    /// Text, or a section of another kind.
    Other,
}

/// A section with lines of any length and end.
fn section(label: &str, der: &[u8], bytes: &mut Bytes<'_>) -> String {
    let end = bytes.pick(&["\n", "\n", "\r\n"]);
    let width = 1 + bytes.below(100);
    let base64 = Base64(der).to_string();
    let lines = base64.as_bytes().chunks(width).map(|line| str::from_utf8(line).expect("ASCII"));
    let text: String = lines.flat_map(|line| [line, end]).collect();
    format!("-----BEGIN {label}-----{end}{text}-----END {label}-----{}", bytes.pick(&[end, ""]))
}

/// Text that no section begins in or ends with.
fn junk(bytes: &mut Bytes<'_>) -> String {
    let text: Vec<u8> = (0..bytes.below(60)).map(|_| bytes.byte()).collect();
    String::from_utf8_lossy(&text).replace('-', "_")
}

/// A part, which is not flawed if `calm`, and its text.
fn part(bytes: &mut Bytes<'_>, calm: bool) -> (Part, String) {
    let which = usize::from(bytes.bool());
    let label = bytes.pick(&["CERTIFICATE", "CERTIFICATE", "X509 CERTIFICATE"]);
    let der = &PAIRS[which].certificate;
    match bytes.byte() % if calm { 6 } else { 10 } {
        0..=3 => (Part::Whole(which), section(label, der, bytes)),
        4 => (Part::Other, section(bytes.pick(&["PUBLIC KEY", "X509 CRL"]), der, bytes)),
        5 => (Part::Other, junk(bytes)),
        6 => {
            let cut = bytes.below(der.len());
            (Part::Flawed(Flaw::NotX509), section(label, &der[..cut], bytes))
        }
        7 => {
            let text = section(label, der, bytes);
            let end = text.rfind("-----END").expect("it has an end");
            (Part::Flawed(Flaw::Damaged), text[..end].to_owned())
        }
        8 => {
            let text = section(label, der, bytes);
            let spoilt = bytes.pick(&["*", "=", "\u{e9}", "A=A"]);
            let begin = text.find('\n').expect("lines") + 1;
            let text = format!("{}{spoilt}{}", &text[..begin], &text[begin..]);
            (Part::Flawed(Flaw::Damaged), text)
        }
        _ => (Part::Flawed(Flaw::TrustSettings), section("TRUSTED CERTIFICATE", der, bytes)),
    }
}

/// A file of parts, each with the line that it begins in.
fn file(bytes: &mut Bytes<'_>) -> (Vec<(Part, usize)>, String) {
    let (mut parts, mut text) = (Vec::new(), String::from(bytes.pick(&["", "", "\u{feff}"])));
    let calm = bytes.bool();
    for _ in 0..bytes.below(24) {
        let (part, added) = part(bytes, calm);
        parts.push((part, 1 + text.matches('\n').count()));
        text += &added;
    }
    (parts, text)
}

fn write(name: &str, content: &[u8]) -> PathBuf {
    let path = DIRECTORY.join(name);
    std::fs::write(&path, content).expect("write a file");
    path
}

fn load(
    roots: &[u8],
    certificate: &[u8],
    key: &[u8],
) -> Result<Material, linkbeat::net::tls::Error> {
    let files = [("roots", roots), ("certificate", certificate), ("key", key)];
    let [roots, certificate, key] = files.map(|(name, content)| write(name, content));
    let identity = Some(IdentityFiles { certificate: &certificate, key: &key });
    let loaded = Files { roots: Roots::File(&roots), identity }.load();
    if let Err(error) = &loaded {
        assert!(!error.to_string().contains(char::is_control), "{error}");
    }
    loaded
}

/// The certificates of a file, counted, as their place in [`PAIRS`] or their flaw and line.
fn certificates(parts: &[(Part, usize)]) -> Vec<Result<usize, (usize, usize, Flaw)>> {
    let found = parts.iter().filter(|(part, _)| *part != Part::Other).zip(1..);
    let found = found.map(|((part, line), position)| match part {
        Part::Whole(which) => Ok(*which),
        Part::Flawed(flaw) => Err((position, *line, *flaw)),
        Part::Other => unreachable!("left out above"),
    });
    found.collect()
}

/// What the key file has: the key of a pair, or why it is none.
fn key(bytes: &mut Bytes<'_>) -> (Result<usize, &'static str>, String) {
    let which = usize::from(bytes.byte() % 4 == 0);
    let der = &PAIRS[which].key;
    let text = junk(bytes);
    let (worth, section) = match bytes.byte() % 8 {
        0 => (Err("Encrypted"), section("ENCRYPTED PRIVATE KEY", der, bytes)),
        1 => (Err("Key"), section("PRIVATE KEY", &der[..bytes.below(der.len())], bytes)),
        2 => (Err("Key"), section("EC PRIVATE KEY", der, bytes)),
        3 => (Err("Empty"), section("PUBLIC KEY", der, bytes)),
        _ => (Ok(which), section("PRIVATE KEY", der, bytes)),
    };
    // The first key counts.
    let after = bytes.pick(&["", "-----BEGIN PUBLIC KEY-----"]);
    (worth, format!("{text}{section}{after}"))
}

/// The error of a file of certificates.
fn assert_flawed(kind: &ErrorKind, flawed: Option<(usize, usize, Flaw)>) {
    match (kind, flawed) {
        (ErrorKind::Certificate(it), Some(flawed)) => {
            assert_eq!((it.position, it.line, it.flaw), flawed);
        }
        (ErrorKind::Empty, None) => {}
        (kind, flawed) => panic!("{kind:?} for {flawed:?}"),
    }
}

linkbeat_fuzz::target!(|data| {
    let _ = load(data, data, data);

    let mut bytes = Bytes::new(data);
    let ((roots, roots_text), (chain, chain_text)) = (file(&mut bytes), file(&mut bytes));
    let (key, key_text) = key(&mut bytes);
    let loaded = load(roots_text.as_bytes(), chain_text.as_bytes(), key_text.as_bytes());
    let (roots, chain) = (certificates(&roots), certificates(&chain));
    // A chain is whole or refused.
    let flawed = chain.iter().find_map(|it| it.err());
    let first = chain.first().copied();
    let (Some(Ok(first)), None) = (first, flawed) else {
        let error = loaded.expect_err("a chain with a flaw, or none");
        return assert_flawed(&error.kind, flawed);
    };
    let key = key.and_then(|which| if which == first { Ok(()) } else { Err("Mismatch") });
    if let Err(expected) = key {
        let error = loaded.expect_err("a key that is none of this chain");
        return assert_eq!(format!("{:?}", error.kind), expected);
    }
    // Of the roots, those that are whole count.
    let whole: Vec<_> = roots.iter().filter_map(|it| it.ok()).collect();
    let left_out: Vec<_> = roots.iter().filter_map(|it| it.err()).collect();
    if whole.is_empty() {
        let error = loaded.expect_err("no root");
        return assert_flawed(&error.kind, left_out.first().copied());
    }
    let material = loaded.expect("a sound chain with its key");
    let identity = material.identity.expect("it is named");
    let shown: Vec<_> = identity.cert.iter().map(|der| der.as_ref()).collect();
    let expected: Vec<_> = chain.iter().flatten().map(|it| &PAIRS[*it].certificate[..]).collect();
    assert!(shown == expected, "{} certificates of {}", shown.len(), expected.len());
    let named: Vec<_> =
        material.left_out.iter().map(|it| (it.position, it.line, it.flaw)).collect();
    assert_eq!(named, left_out[..left_out.len().min(LEFT_OUT_MAX)]);
    let Trust::Certificates { roots, servers } = &*material.trust else { panic!("no pins") };
    assert_eq!(servers.len(), whole.len());
    assert_eq!(roots.len(), whole.iter().filter(|it| **it == 1).count());
});
