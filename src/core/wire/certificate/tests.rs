use super::*;
use crate::wire::{base64, pem};

/// A certificate of `tests/vectors/certificates`.
macro_rules! vector {
    ($name:literal) => {
        der(include_bytes!(concat!("../../../../tests/vectors/certificates/", $name, ".pem")))
    };
}

fn der(file: &[u8]) -> Vec<u8> {
    let text = pem::sections(file).next().expect("a section").text.expect("an end");
    let mut room = vec![0; text.len()];
    let length = base64::decode(text, &mut room).expect("base64");
    room[..length].to_vec()
}

/// 2026-11-29T17:03:40Z.
const MADE_S: u64 = 1_795_971_820;

#[test]
fn certificates_made_by_openssl_are_read() {
    use Algorithm::{Curve, Ed448, Ed25519, P256, P384, P521, Rsa};
    let h = Some("h.example");
    for (file, common_name, has_alt_names, algorithm, rsa_bits) in [
        (vector!("rsa"), h, true, Rsa, Some(2048)),
        (vector!("rsa1024"), h, false, Rsa, Some(1024)),
        (vector!("version1"), h, false, Rsa, Some(2048)),
        (vector!("common_name"), h, false, P256, None),
        (vector!("address"), Some("192.0.2.1"), false, P384, None),
        (vector!("wildcard"), Some("*.h.example"), false, P256, None),
        (vector!("nameless"), None, false, P256, None),
        (vector!("other_alt_name"), h, true, P256, None),
        (vector!("p521"), h, false, P521, None),
        (vector!("secp256k1"), h, false, Curve, None),
        (vector!("ed25519"), h, false, Ed25519, None),
        (vector!("ed448"), h, false, Ed448, None),
    ] {
        let certificate = Certificate::parse(&file).expect("a certificate");
        assert_eq!(certificate.common_name(), common_name);
        assert_eq!(certificate.has_alt_names(), Some(has_alt_names), "{common_name:?}");
        let key = certificate.public_key().expect("a key");
        assert_eq!((Algorithm::of(key.algorithm), key.rsa_bits()), (algorithm, rsa_bits));
        let (from_s, until_s) = certificate.validity_s().expect("times");
        assert!((MADE_S..MADE_S + 60).contains(&from_s), "{from_s}");
        assert_eq!(until_s, from_s + 36_500 * 86_400);
    }
}

#[test]
fn alternative_names_are_hosts_and_addresses() {
    let names = |file: &[u8]| -> Vec<String> {
        Certificate::parse(file)
            .expect("a certificate")
            .alt_names()
            .map(|it| it.to_string())
            .collect()
    };
    let rsa = vector!("rsa");
    assert_eq!(names(&rsa), ["h.example", "192.0.2.1"]);
    assert_eq!(names(&vector!("other_alt_name")), ["other.example"]);
    assert!(names(&vector!("nameless")).is_empty());
    // Of a length that no address has, as a name of another kind, and not UTF-8.
    assert_eq!(
        names(&edited(&rsa, &[0x87, 4, 192, 0, 2, 1], &[0x81, 4, 192, 0, 2, 1])),
        ["h.example"]
    );
    assert_eq!(names(&edited(&rsa, b"h.example\x87", b"h.exampl\xff\x87")), ["192.0.2.1"]);
    let short = edited(&rsa, &[0x87, 4, 192, 0, 2, 1], &[0x87, 2, 192, 0, 0x81, 0]);
    assert_eq!(names(&short), ["h.example"]);
}

#[test]
fn authority_is_recognized_by_ca_true_or_by_its_version() {
    let rsa = vector!("rsa");
    let unsaid = edited(&rsa, BASIC_CONSTRAINTS, &[0x55, 0x1d, 0x7f]);
    for (file, expected) in [
        (rsa.clone(), Some(true)),
        (vector!("version1"), Some(true)),
        // X.690 §11.1: TRUE is 0xff, and DER omits the default, FALSE.
        (edited(&rsa, &[1, 1, 0xff], &[1, 1, 0x00]), Some(false)),
        (unsaid.clone(), Some(false)),
        (edited(&rsa, &[0x30, 3, 1, 1, 0xff], &[0x31, 3, 1, 1, 0xff]), None),
        // Version 2 has no extensions.
        (edited(&unsaid, &[0xa0, 3, 2, 1, 2], &[0xa0, 3, 2, 1, 1]), Some(true)),
    ] {
        assert_eq!(Certificate::parse(&file).expect("a certificate").is_authority(), expected);
    }
}

/// `file` with the last occurrence of `from` replaced.
fn edited(file: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let at = file.windows(from.len()).rposition(|it| it == from).expect("it is there");
    [&file[..at], to, &file[at + from.len()..]].concat()
}

#[test]
fn bytes_after_a_certificate_are_rejected() {
    let mut file = vector!("rsa");
    file.push(0);
    assert_eq!(Certificate::parse(&file), None);
    assert_eq!(Certificate::parse(&vector!("trusted")), None);
}

#[test]
fn certificate_cut_or_changed_anywhere_never_panics() {
    for file in [vector!("rsa"), vector!("version1"), vector!("common_name")] {
        for at in 0..file.len() {
            assert_eq!(Certificate::parse(&file[..at]), None, "cut at {at}");
            for bit in 0..8 {
                let mut changed = file.clone();
                changed[at] ^= 1 << bit;
                let Some(read) = Certificate::parse(&changed) else { continue };
                // Any value is fine here, as long as nothing panics.
                let _ = (read.validity_s(), read.common_name(), read.has_alt_names());
                let _ = (read.is_authority(), read.public_key().and_then(|key| key.rsa_bits()));
            }
        }
    }
}

#[test]
fn only_the_shortest_form_of_a_length_is_read() {
    for (bytes, length) in [
        (&[0x30, 0x00][..], Some(0)),
        (&[0x30, 0x01, 7], Some(1)),
        // Not the shortest form, indefinite, longer than the input, and of four bytes.
        (&[0x30, 0x81, 0x01, 7], None),
        (&[0x30, 0x82, 0x00, 0x01, 7], None),
        (&[0x30, 0x80, 0, 0], None),
        (&[0x30, 0x02, 7], None),
        (&[0x30, 0x84, 0, 0, 0, 1, 7], None),
        (&[0x30, 0x82, 0x01], None),
        (&[0x30], None),
        (&[0x3f, 0x01, 7], None),
        (&[], None),
    ] {
        let contents = Reader(bytes).take_any().map(|(_, contents)| contents.len());
        assert_eq!(contents, length, "{bytes:02x?}");
    }
    for length in [0x80, 0xff, 0x100, 0xffff, 0x1_0000] {
        let digits = usize::to_be_bytes(length);
        let digits = &digits[digits.iter().position(|digit| *digit != 0).unwrap()..];
        let mut element = vec![0x30, 0x80 | u8::try_from(digits.len()).unwrap()];
        element.extend_from_slice(digits);
        element.resize(element.len() + length, 7);
        let (_, contents) = Reader(&element).take_any().expect("an element");
        assert_eq!(contents.len(), length);
    }
}
