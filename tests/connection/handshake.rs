//! How TLS is established, and what ends it.

use super::*;

#[test]
fn both_versions_of_tls_carry_a_beat() {
    for tls12_only in [false, true] {
        let server = Server::behaving(Behaviour { tls12_only, ..Behaviour::default() });
        assert_eq!(server.tls().first_beat().map(|reply| reply.status), Ok(200));
        let security = &server.receiver.beats().all()[0].security;
        assert_eq!(security, if tls12_only { "TLSv1_2" } else { "TLSv1_3" });
    }
}

#[test]
fn the_second_handshake_is_resumed() {
    for tls12_only in [false, true] {
        let server = Server::behaving(Behaviour { tls12_only, ..Behaviour::default() });
        for _ in 0..3 {
            server.tls().first_beat().expect("a beat");
        }
        let counts = server.receiver.counts();
        assert_eq!((counts.full_handshakes, counts.resumed_handshakes), (1, 2));
    }
}

#[test]
fn the_request_is_sent_with_the_end_of_the_handshake() {
    let server = Server::start();
    let config = server.certificates.server(Shown::Good, false);
    let (at, serving) = serve(move |mut stream| {
        let mut tls = ServerConnection::new(config).expect("a sound configuration");
        while tls.is_handshaking() {
            while tls.wants_write() {
                tls.write_tls(&mut stream).expect("written");
            }
            tls.read_tls(&mut stream).expect("read");
            tls.process_new_packets().expect("a sound client");
        }
        // The request must be in the bytes that ended the handshake.
        read_request(&mut tls.reader());
    });
    let mut client = Client::open(at, secure(&server.config));
    client.establish().expect("established");
    client.connection.write(REQUEST);
    assert_eq!(client.next(), Ok(Progress::Written));
    serving.join().expect("the request was there");
}

#[test]
fn a_certificate_may_be_for_an_address() {
    let certificates = Certificates::new(&["127.0.0.1"]);
    let config = certificates.server(Shown::Good, false);
    let (at, serving) = serve_tls(config, |_, _| {});
    let name = Some(Ipv4Addr::LOCALHOST.into());
    let material = material_of(&certificates);
    let tls = tls::Client::new(material, tls::Times::default(), false, name);
    let mut client = Client::open(at, Some(tls));
    assert_eq!(client.establish(), Ok(()));
    drop(client);
    serving.join().expect("served");
}

#[test]
fn each_wrong_certificate_has_its_failure_and_text() {
    let table = [
        (Shown::WrongName, TlsFailure::WrongName, "elsewhere.test"),
        (Shown::Expired, TlsFailure::Expired, "certificate expired Mon, 01 Jan 2001 00:00:00 GMT"),
        (Shown::NotYetValid, TlsFailure::NotYetValid, "certificate valid from"),
        (Shown::Foreign, TlsFailure::UnknownIssuer, "trusted root"),
    ];
    for (shown, failure, words) in table {
        for tls12_only in [false, true] {
            let server = Server::behaving(Behaviour { shown, tls12_only, ..Behaviour::default() });
            let mut client = server.tls();
            assert_eq!(client.establish(), Err(Failure::Tls(failure)));
            let detail = client.detail().expect("words");
            assert!(detail.contains(words), "{detail}");
        }
    }
}

#[test]
fn a_server_gets_an_alert_if_its_certificate_is_refused() {
    let server = Server::start();
    let config = server.certificates.server(Shown::Foreign, false);
    let (at, serving) = serve(move |mut stream| {
        let mut tls = ServerConnection::new(config).expect("a sound configuration");
        let error = loop {
            if let Err(error) = tls.complete_io(&mut stream) {
                break error;
            }
        };
        assert!(error.to_string().contains("UnknownCA"), "{error}");
    });
    let mut client = Client::open(at, secure(&server.config));
    assert!(client.establish().is_err());
    drop(client);
    serving.join().expect("the alert was read");
}

#[test]
fn built_in_roots_do_not_trust_a_private_authority() {
    let server = Server::start();
    let files = tls::Files { roots: Roots::BuiltIn, identity: None };
    let tls = client_of(files.load().expect("sound roots"));
    let mut client = Client::open(server.https, Some(tls));
    assert_eq!(client.establish(), Err(Failure::Tls(TlsFailure::UnknownIssuer)));
}

#[test]
fn bytes_that_are_not_tls_fail_the_handshake() {
    let server = Server::start();
    for bytes in [&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], b"SSH-2.0-x\r\n", &[0xff; 100]] {
        let (at, serving) = serve(move |mut stream| {
            stream.write_all(bytes).expect("written");
            io::copy(&mut stream, &mut io::sink()).ok();
        });
        let mut client = Client::open(at, secure(&server.config));
        assert_eq!(client.establish(), Err(Failure::Tls(TlsFailure::Handshake)));
        assert!(client.detail().expect("words").contains("not TLS"));
        drop(client);
        serving.join().expect("served");
    }
}

#[test]
fn a_truncated_or_changed_handshake_never_succeeds() {
    let server = Server::start();
    let config = server.certificates.server(Shown::Good, false);
    let listener = listen();
    let at = address(&listener);
    let flight = |spoil: &dyn Fn(&mut Vec<u8>)| {
        let mut client = Client::open(at, secure(&server.config));
        assert_eq!(client.next(), Ok(Progress::Connected));
        assert_eq!(client.connection.on_ready(&mut client.response), Ok(Progress::Drained));
        let (mut stream, _) = listener.accept().expect("a client");
        let mut tls = ServerConnection::new(Arc::clone(&config)).expect("a sound configuration");
        tls.read_tls(&mut stream).expect("a ClientHello");
        tls.process_new_packets().expect("a sound client");
        let mut bytes = Vec::new();
        while tls.wants_write() {
            tls.write_tls(&mut bytes).expect("memory");
        }
        let sound = bytes.clone();
        spoil(&mut bytes);
        stream.write_all(&bytes).expect("written");
        drop((stream, tls));
        (client.next(), sound)
    };
    let (whole, sound) = flight(&|_| {});
    assert_eq!(whole, Ok(Progress::Secured));
    // The length of the signature varies by some bytes between handshakes.
    for at in 0..sound.len() - 8 {
        let (cut, _) = flight(&|bytes| bytes.truncate(at));
        assert!(matches!(cut, Err(Failure::Closed | Failure::Reset)), "cut at {at}: {cut:?}");
        let (changed, sound) = flight(&|bytes| bytes[at] ^= 0x55);
        let harmless = is_ignored(&sound, at);
        assert!(changed.is_err() || harmless, "changed at {at}: {changed:?}");
    }
}

/// Whether this byte is in a record's version, which is ignored (RFC 8446 §5.1).
fn is_ignored(records: &[u8], at: usize) -> bool {
    let mut start = 0;
    while let Some(&[_, _, _, high, low]) = records.get(start..start + 5) {
        if (start + 1..start + 3).contains(&at) {
            return true;
        }
        start += 5 + usize::from(u16::from_be_bytes([high, low]));
    }
    false
}

#[test]
fn end_of_stream_in_the_handshake_is_closed() {
    let server = Server::start();
    let (at, serving) = serve(drop);
    let mut client = Client::open(at, secure(&server.config));
    let failure = client.establish().expect_err("no handshake");
    assert!(matches!(failure, Failure::Closed | Failure::Reset), "{failure:?}");
    serving.join().expect("served");
}

#[test]
fn plain_text_to_a_tls_port_is_malformed() {
    let server = Server::start();
    let mut client = Client::open(server.https, None);
    // TLS can only answer with an alert.
    assert_eq!(client.first_beat_fails(), Failure::Malformed);
}

#[test]
fn a_server_without_http_1_1_is_recognized_by_alpn() {
    let server = Server::start();
    for other in ["h2", "acme-tls/1"] {
        let mut config = ServerConfig::clone(&server.certificates.server(Shown::Good, false));
        config.alpn_protocols = vec![other.into()];
        let (at, serving) = serve_tls(Arc::new(config), |_, _| panic!("no common protocol"));
        let mut client = Client::open(at, secure(&server.config));
        assert_eq!(client.establish(), Err(Failure::Http2Only), "{other}");
        let detail = client.detail().expect("of TLS");
        assert!(detail.ends_with("(it does not offer http/1.1 in ALPN)"), "{detail}");
        serving.join().expect("served");
    }
}

#[test]
fn endless_handshakes_are_cut_off() {
    let server = Server::start();
    let (at, serving) = serve(|mut stream| {
        // A ServerHello of 16 MiB, in records of 4 bytes.
        let mut record = vec![22, 3, 3, 0, 4, 2, 0xff, 0xff, 0xff];
        while stream.write_all(&record).is_ok() {
            record = vec![22, 3, 3, 0, 4, 0, 0, 0, 0];
        }
    });
    let mut client = Client::open(at, secure(&server.config));
    let failure = client.establish().expect_err("no handshake");
    assert_eq!(failure, Failure::Tls(TlsFailure::Handshake));
    drop(client);
    serving.join().expect("served");
}
