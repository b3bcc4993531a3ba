//! Certificates, PEM and pins: nothing panics, and every value has one text. Where webpki parses a
//! certificate, both see the same key, and the same names or none.

#![cfg_attr(not(test), no_main)]

use linkbeat::net::tls::Pin;
use linkbeat_core::wire::base64::{self, Base64};
use linkbeat_core::wire::certificate::{Algorithm, Certificate};
use linkbeat_core::wire::pem;
use rustls_pki_types::CertificateDer;
use webpki::EndEntityCert;

fn read(der: &[u8]) {
    let ours = Certificate::parse(der);
    let other = CertificateDer::from(der);
    if let Some(ours) = &ours {
        let _ = (ours.validity_s(), ours.has_alt_names(), ours.common_name());
        if let Some(key) = ours.public_key() {
            let _ = (Algorithm::of(key.algorithm).as_str(), key.rsa_bits());
        }
    }
    let Ok(theirs) = EndEntityCert::try_from(&other) else { return };
    let Some(ours) = ours else { return };
    assert_eq!(ours.public_key_info(), theirs.subject_public_key_info().as_ref());
    if theirs.valid_dns_names().next().is_some() {
        assert_eq!(ours.has_alt_names(), Some(true));
    }
}

fn decode(text: &[u8]) -> Option<Vec<u8>> {
    let mut room = vec![0; text.len()];
    let length = base64::decode(text, &mut room)?;
    room.truncate(length);
    Some(room)
}

linkbeat_fuzz::target!(|data| {
    read(data);
    for section in pem::sections(data) {
        let _ = section.is_encrypted();
        if let Some(der) = section.text.and_then(decode) {
            read(&der);
        }
    }
    let text = Base64(data).to_string();
    assert_eq!(decode(text.as_bytes()).as_deref(), Some(data));
    if let Some(pin) = std::str::from_utf8(data).ok().and_then(Pin::parse) {
        assert_eq!(Pin::parse(&pin.to_string()), Some(pin));
    }
});
