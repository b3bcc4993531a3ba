use std::fs;
use std::path::Path;

use super::*;
use crate::net::tls::failure::{classify, describe};
use crate::net::tls::files;
use crate::net::tls::provider::provider;
use linkbeat_core::proto::event::TlsFailure;
use linkbeat_core::wire::pem;

/// A day on which the vectors are valid, in 2027.
const VALID_S: u64 = 1_800_000_000;
const DAY_S: u64 = 86_400;

fn file(name: &str) -> Vec<u8> {
    fs::read(Path::new("tests/vectors/certificates").join(name).with_extension("pem")).unwrap()
}

fn der(name: &str) -> CertificateDer<'static> {
    let pem = file(name);
    let section = pem::sections(&pem).next().unwrap();
    files::der(&section).unwrap().into()
}

/// What `tls.ca_file` with these bytes makes trusted.
fn trusting(pem: &[u8]) -> Trust {
    files::parse(pem).unwrap().0
}

/// How a server called `name` fares that shows the certificate of this vector.
fn verdict(trust: &Trust, shown: &str, name: &str, at_s: u64) -> Result<(), (TlsFailure, String)> {
    let name = ServerName::try_from(name).unwrap();
    let at = UnixTime::since_unix_epoch(Duration::from_secs(at_s));
    let algorithms = provider(false).signature_verification_algorithms;
    trust
        .verify(&der(shown), &[], &name, at, &algorithms)
        .map_err(|error| (classify(&error, false), describe(&error, at_s).as_str().to_owned()))
}

fn failure(trust: &Trust, shown: &str, name: &str, at_s: u64) -> Option<TlsFailure> {
    verdict(trust, shown, name, at_s).err().map(|it| it.0)
}

#[test]
fn certificate_that_is_in_the_file_is_trusted_whatever_its_form() {
    let wrong = Some(TlsFailure::WrongName);
    for (shown, name, expected) in [
        ("rsa", "h.example", None),
        ("rsa", "192.0.2.1", None),
        ("rsa", "H.EXAMPLE", None),
        ("rsa", "g.example", wrong),
        ("rsa", "192.0.2.2", wrong),
        ("version1", "h.example", None),
        ("version1", "g.example", wrong),
        ("common_name", "h.example", None),
        ("common_name", "H.Example", None),
        ("common_name", "g.h.example", wrong),
        ("common_name", "192.0.2.1", wrong),
        ("address", "192.0.2.1", None),
        ("address", "192.0.2.11", wrong),
        ("wildcard", "g.h.example", None),
        ("wildcard", "f.g.h.example", wrong),
        ("wildcard", "h.example", wrong),
        ("wildcard", "192.0.2.1", wrong),
        ("nameless", "h.example", wrong),
        // With names in their place, the common name is none.
        ("other_alt_name", "other.example", None),
        ("other_alt_name", "h.example", wrong),
        ("ed25519", "h.example", None),
    ] {
        let trust = trusting(&file(shown));
        assert_eq!(failure(&trust, shown, name, VALID_S), expected, "{shown} for {name}");
    }
}

#[test]
fn key_of_a_server_in_the_file_speaks_for_no_other_name() {
    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
    let unknown = Some(TlsFailure::UnknownIssuer);
    for (is_ca, expected) in [
        (IsCa::NoCa, unknown),
        (IsCa::ExplicitNoCa, unknown),
        (IsCa::Ca(BasicConstraints::Unconstrained), None),
        (IsCa::Ca(BasicConstraints::Constrained(0)), None),
    ] {
        let mut params = CertificateParams::new([String::from("h.example")]).unwrap();
        params.is_ca = is_ca;
        let key = KeyPair::generate().unwrap();
        let listed = params.self_signed(&key).unwrap();
        let other = CertificateParams::new([String::from("api.example")]).unwrap();
        let issuer = Issuer::new(params, key);
        let other = other.signed_by(&KeyPair::generate().unwrap(), &issuer).unwrap();
        let trust = trusting(listed.pem().as_bytes());
        let failure = |shown: &CertificateDer<'_>, name: &'static str| {
            let at = UnixTime::since_unix_epoch(Duration::from_secs(VALID_S));
            let algorithms = provider(false).signature_verification_algorithms;
            let verified = trust.verify(shown, &[], &name.try_into().unwrap(), at, &algorithms);
            verified.err().map(|error| classify(&error, false))
        };
        assert_eq!(failure(listed.der(), "h.example"), None, "{is_ca:?}");
        assert_eq!(failure(other.der(), "api.example"), expected, "{is_ca:?}");
    }
}

#[test]
fn its_dates_are_checked() {
    for shown in ["rsa", "version1", "common_name"] {
        let trust = trusting(&file(shown));
        let (from_s, until_s) = parse(&der(shown)).unwrap().validity_s().unwrap();
        for (at_s, expected) in [
            (from_s - 1, Some(TlsFailure::NotYetValid)),
            (from_s, None),
            (until_s, None),
            (until_s + 1, Some(TlsFailure::Expired)),
        ] {
            assert_eq!(failure(&trust, shown, "h.example", at_s), expected, "{shown}");
        }
    }
}

#[test]
fn one_byte_more_or_another_certificate_of_the_same_name_is_a_stranger() {
    let trust = trusting(&[file("common_name"), file("wildcard")].concat());
    for shown in ["rsa", "version1", "ed25519"] {
        let (failure, words) = verdict(&trust, shown, "h.example", VALID_S).unwrap_err();
        assert_eq!(failure, TlsFailure::UnknownIssuer, "{shown}: {words}");
    }
    let mut longer = der("common_name").to_vec();
    longer.push(0);
    let name = ServerName::try_from("h.example").unwrap();
    let at = UnixTime::since_unix_epoch(Duration::from_secs(VALID_S));
    let algorithms = provider(false).signature_verification_algorithms;
    assert!(trust.verify(&longer.into(), &[], &name, at, &algorithms).is_err());
}

#[test]
fn certificate_of_an_unknown_form_says_what_to_do() {
    let trust = trusting(&file("common_name"));
    for (shown, words) in [
        (
            "rsa",
            "certificate is an authority's (CA:TRUE): accepted from a server only if tls.ca_file",
        ),
        ("version1", "certificate is X.509 version 1: accepted from a server only if tls.ca_file"),
    ] {
        let (_, reported) = verdict(&trust, shown, "h.example", VALID_S).unwrap_err();
        assert!(reported.starts_with(words), "{reported}");
    }
    let trust = trusting(&file("other_alt_name"));
    let (_, reported) = verdict(&trust, "other_alt_name", "h.example", VALID_S).unwrap_err();
    assert_eq!(reported, "certificate is not for h.example, but for other.example");
    let trust = trusting(&file("nameless"));
    let (_, reported) = verdict(&trust, "nameless", "h.example", VALID_S).unwrap_err();
    assert_eq!(reported, "certificate is not for h.example, but for no name");
}

/// By `openssl x509 -pubkey -noout | openssl pkey -pubin -outform der | openssl dgst -sha256 -binary | base64`.
const PINS: [(&str, &str); 5] = [
    ("rsa", "bfCh2xKwhBe4igZrou/us8+bQ3tuResz1qngaEp/edk="),
    ("common_name", "kAwK+CBD5crKCnSuzP+HGbOYslXlBtmOK8ejWDMGTvk="),
    ("address", "yrRADFmuPH+JFR92TVvHxrtoVffw9QwnpZ0hhzyyJH0="),
    ("version1", "vIDrm8GFpEC2HoCFX2sFGCC42ZyaBsfQCC+EFXZEJYw="),
    ("ed25519", "UvmTCCfJC9h9C1OckwaaD/sbsBuldz3N2UFSLAuvRws="),
];

#[test]
fn pinned_key_is_trusted_without_authority_name_or_date() {
    for (shown, pin) in PINS {
        let trust = Trust::Pins([Pin::parse(pin).unwrap()].into_iter().collect());
        for at_s in [0, VALID_S, VALID_S + 40_000 * DAY_S] {
            assert_eq!(verdict(&trust, shown, "somewhere.else", at_s), Ok(()), "{shown}");
        }
        for (other, _) in PINS.iter().filter(|(other, _)| *other != shown) {
            assert_eq!(failure(&trust, other, "h.example", VALID_S), Some(TlsFailure::WrongKey));
        }
    }
}

#[test]
fn any_of_several_pins_will_do_and_none_pins_nobody() {
    let all = Trust::Pins(PINS.iter().map(|(_, pin)| Pin::parse(pin).unwrap()).collect());
    let none = Trust::Pins(Vec::new());
    for (shown, pin) in PINS {
        assert_eq!(verdict(&all, shown, "h.example", VALID_S), Ok(()));
        let (failure, words) = verdict(&none, shown, "h.example", VALID_S).unwrap_err();
        let reported = format!("the key of what answers has the pin {pin}, which is not in ");
        assert!(failure == TlsFailure::WrongKey && words.starts_with(&reported), "{words}");
    }
}

#[test]
fn date_of_a_pinned_server_is_believed_while_its_certificate_is_valid() {
    let trust = Trust::Pins([Pin::parse(PINS[0].1).unwrap()].into_iter().collect());
    let name = ServerName::try_from("h.example").unwrap();
    let algorithms = provider(false).signature_verification_algorithms;
    for (at_s, chain, expected) in [
        (VALID_S, vec![der("rsa")], true),
        (VALID_S + 40_000 * DAY_S, vec![der("rsa")], false),
        (VALID_S, vec![der("address")], false),
        (VALID_S, vec![], false),
    ] {
        let at = UnixTime::since_unix_epoch(Duration::from_secs(at_s));
        assert_eq!(trust.is_valid_at(&chain, &name, at, &algorithms), expected);
    }
}

#[test]
fn pin_is_the_base64_of_32_bytes() {
    let (_, good) = PINS[0];
    assert_eq!(Pin::parse(good).map(|pin| pin.to_string()).as_deref(), Some(good));
    assert_eq!(Pin::parse(&format!("sha256//{good}")), Pin::parse(good));
    for bad in [
        "",
        "sha256//",
        "bfCh2xKwhBe4igZrou/us8+bQ3tuResz1qngaEp/edk",
        "bfCh2xKwhBe4igZrou/us8+bQ3tuResz1qngaEp/edl=",
        "bfCh2xKwhBe4igZrou/us8+bQ3tuResz1qngaEp/",
        "bfCh2xKwhBe4igZrou/us8+bQ3tuResz1qngaEp/edkA",
        "bfCh2xKwhBe4igZrou_us8-bQ3tuResz1qngaEp_edk=",
        "6df0a1db12b08417b88a066ba2efeeb3cf9b437b6e45eb33d6a9e0684a7f79d9",
        "sha256/bfCh2xKwhBe4igZrou/us8+bQ3tuResz1qngaEp/edk=",
    ] {
        assert_eq!(Pin::parse(bad), None, "{bad}");
    }
}
