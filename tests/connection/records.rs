//! TLS records that cannot be decrypted, and servers that request renegotiation.

use rustls::crypto::cipher::{MessageEncrypter, OutboundChunks, OutboundPlainMessage};
use rustls::{ConnectionTrafficSecrets, ContentType, ProtocolVersion, SupportedCipherSuite};

use super::*;

/// A record of 32 bytes that was not encrypted with the session's key.
const FORGED: &[u8] = b"\x17\x03\x03\x00\x20AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
/// RFC 5246 §7.4.1.1: the type and an empty length.
const HELLO_REQUEST: &[u8] = &[0; 4];

/// Sends a beat that is answered with these bytes under TLS, directly followed by a forged record.
fn beat_forged(answer: &'static [u8], tls12_only: bool) -> (Result<Reply, Failure>, String) {
    let certificates = Certificates::new(&["localhost"]);
    let config = certificates.server(Shown::Good, tls12_only);
    let (at, serving) = serve_tls(config, |mut tls, mut stream| {
        read_request(&mut rustls::Stream::new(&mut tls, &mut stream));
        tls.writer().write_all(answer).expect("queued");
        let mut records = Vec::new();
        while tls.wants_write() {
            tls.write_tls(&mut records).expect("memory");
        }
        records.extend(FORGED);
        stream.write_all(&records).expect("written");
    });
    let mut client = Client::open(at, secure(&trusting(&certificates)));
    let result = client.first_beat_at_any_step();
    serving.join().expect("served");
    (result, client.detail().unwrap_or_default().to_string())
}

#[test]
fn forged_record_is_a_handshake_failure_without_other_blame() {
    for tls12_only in [false, true] {
        let (result, detail) = beat_forged(b"", tls12_only);
        assert_eq!(result, Err(Failure::Tls(TlsFailure::Handshake)), "TLS 1.2: {tls12_only}");
        assert_eq!(detail, "a record from the server cannot be decrypted");
    }
}

#[test]
fn response_before_a_forged_record_acknowledges_the_beat() {
    for tls12_only in [false, true] {
        let (result, _) = beat_forged(ANSWER, tls12_only);
        assert_eq!(result, Ok(Reply::of(200)), "TLS 1.2: {tls12_only}");
    }
}

/// The server's side of a TLS 1.2 session, for records that rustls does not create.
struct Sealer {
    encrypter: Box<dyn MessageEncrypter>,
    sequence: u64,
}

impl Sealer {
    fn new(tls: ServerConnection) -> Self {
        let Some(SupportedCipherSuite::Tls12(suite)) = tls.negotiated_cipher_suite() else {
            panic!("TLS 1.2");
        };
        let (sequence, secrets) = tls.dangerous_extract_secrets().expect("allowed").tx;
        let (ConnectionTrafficSecrets::Aes128Gcm { key, iv }
        | ConnectionTrafficSecrets::Aes256Gcm { key, iv }
        | ConnectionTrafficSecrets::Chacha20Poly1305 { key, iv }) = secrets
        else {
            panic!("a suite of ring");
        };
        let fixed = suite.aead_alg.key_block_shape().fixed_iv_len;
        let (iv, explicit) = iv.as_ref().split_at(fixed);
        Self { encrypter: suite.aead_alg.encrypter(key, iv, explicit), sequence }
    }

    fn seal(&mut self, typ: ContentType, bytes: &[u8]) -> Vec<u8> {
        let (version, payload) = (ProtocolVersion::TLSv1_2, OutboundChunks::Single(bytes));
        let message = OutboundPlainMessage { typ, version, payload };
        let record = self.encrypter.encrypt(message, self.sequence).expect("a record");
        self.sequence += 1;
        record.encode()
    }
}

#[test]
fn renegotiation_request_prevents_reuse_of_the_connection() {
    let certificates = Certificates::new(&["localhost"]);
    let mut config = ServerConfig::clone(&certificates.server(Shown::Good, true));
    config.enable_secret_extraction = true;
    for asks in [false, true] {
        let (at, serving) = serve_tls(Arc::new(config.clone()), move |mut tls, mut stream| {
            read_request(&mut rustls::Stream::new(&mut tls, &mut stream));
            let mut sealer = Sealer::new(tls);
            let mut records = Vec::new();
            if asks {
                records.extend(sealer.seal(ContentType::Handshake, HELLO_REQUEST));
            }
            records.extend(sealer.seal(ContentType::ApplicationData, ANSWER));
            stream.write_all(&records).expect("written");
        });
        let mut client = Client::open(at, secure(&trusting(&certificates)));
        let reply = client.first_beat_at_any_step().expect("an answer");
        assert_eq!((reply.status, reply.keep_alive), (200, !asks), "{asks}");
        serving.join().expect("served");
    }
}
