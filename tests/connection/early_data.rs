//! TLS early data: requests sent with the `ClientHello`, and the reactions of servers.

use std::net::Shutdown;

use linkbeat::net::tls;
use linkbeat_support::receiver::Beat;

use super::*;

/// A server, and a client that sends early data if it can.
struct Pair {
    server: Server,
    shared: tls::Client,
}

impl Pair {
    /// A pair in which the client has session tickets from a first connection.
    fn acquainted() -> Self {
        let server = Server::start();
        let name = "localhost".try_into().ok();
        let material = material_of(&server.certificates);
        let shared = tls::Client::new(material, tls::Times::default(), true, name);
        let pair = Self { server, shared };
        let mut first = pair.open();
        assert_eq!(first.first_beat().map(|reply| reply.status), Ok(200));
        assert!(!pair.last().early, "there was no ticket yet");
        // The tickets arrive after the response.
        assert_eq!(first.settle(), Ok(()));
        pair
    }

    fn open(&self) -> Client {
        self.open_at(self.server.https)
    }

    fn open_at(&self, to: SocketAddr) -> Client {
        Client::open(to, Some(self.shared.clone()))
    }

    /// The last request that the server received.
    fn last(&self) -> Beat {
        self.server.receiver.beats().all().pop().expect("a beat")
    }

    /// Whether the next connection carries a beat as early data. Its tickets are kept.
    fn is_early(&self) -> bool {
        let mut client = self.open();
        assert_eq!(client.first_beat().map(|reply| reply.status), Ok(200));
        assert_eq!(client.settle(), Ok(()));
        self.last().early
    }
}

#[test]
fn a_request_is_sent_before_the_first_byte_of_the_server() {
    let pair = Pair::acquainted();
    let config = pair.server.certificates.server(Shown::Good, false);
    let (at, serving) = serve(move |mut stream| {
        let mut tls = ServerConnection::new(config).expect("a sound configuration");
        let mut got = Vec::new();
        while got != REQUEST {
            tls.read_tls(&mut stream).expect("read");
            tls.process_new_packets().expect("a sound client");
            if let Some(mut early) = tls.early_data() {
                early.read_to_end(&mut got).expect("early data");
            }
        }
    });
    let mut client = pair.open_at(at);
    client.establish().expect("established");
    client.connection.write(REQUEST);
    assert_eq!(client.next(), Ok(Progress::Written));
    serving.join().expect("the request was there");
}

#[test]
fn early_beats_are_answered_and_the_connection_is_kept() {
    let pair = Pair::acquainted();
    for _ in 0..5 {
        let mut client = pair.open();
        for nth in 1..=3 {
            let reply = if nth == 1 { client.first_beat() } else { client.beat() };
            assert_eq!(reply.map(|it| (it.status, it.keep_alive)), Ok((200, true)));
            let beat = pair.last();
            assert_eq!((beat.early, beat.nth), (nth == 1, nth), "{beat:?}");
        }
        assert_eq!(client.settle(), Ok(()));
    }
    let counts = pair.server.receiver.counts();
    assert_eq!((counts.full_handshakes, counts.resumed_handshakes, counts.requests), (1, 5, 16));
}

#[test]
fn rejected_early_data_is_sent_again() {
    let pair = Pair::acquainted();
    pair.server.receiver.follow("early-data reject").expect("a word");
    let mut client = pair.open();
    assert_eq!(client.first_beat().map(|reply| reply.status), Ok(200));
    assert_eq!(client.settle(), Ok(()));
    let beats = pair.server.receiver.beats().all();
    assert_eq!(beats.len(), 2);
    assert!(!pair.last().early && pair.last().security.ends_with("resumed"));
    assert_eq!(client.beat().map(|reply| reply.status), Ok(200));
}

#[test]
fn early_data_answered_with_425_is_repeated_once() {
    let pair = Pair::acquainted();
    pair.server.receiver.follow("early-data too-early").expect("a word");
    assert_eq!(pair.open().first_beat().map(|reply| reply.status), Ok(200));
    let beats = pair.server.receiver.beats().all();
    let seen: Vec<_> = beats.iter().map(|it| (it.connection, it.nth, it.early)).collect();
    assert_eq!(seen, [(1, 1, false), (2, 1, true), (2, 2, false)]);
}

#[test]
fn status_425_for_a_request_without_early_data_is_the_response() {
    let pair = Pair::acquainted();
    pair.server.receiver.follow("status 425").expect("a word");
    let mut client = pair.open();
    // The request in early data is repeated. The repetition and later requests are not.
    for requests in [3, 4] {
        let reply = if requests == 3 { client.first_beat() } else { client.beat() };
        assert_eq!(reply.map(|reply| reply.status), Ok(425));
        assert_eq!(pair.server.receiver.counts().requests, requests);
    }
}

#[test]
fn status_425_on_a_closing_connection_disables_early_data_once() {
    for close in ["announced", "silent"] {
        let pair = Pair::acquainted();
        pair.server.receiver.follow("early-data too-early").expect("a word");
        pair.server.receiver.follow(&format!("close {close}")).expect("a word");
        let reply = pair.open().first_beat();
        match close {
            "announced" => assert_eq!(reply.map(|it| (it.status, it.keep_alive)), Ok((425, false))),
            // The repetition meets a closed connection.
            _ => assert!(reply.is_err(), "{reply:?}"),
        }
        pair.server.receiver.follow("ok").expect("a word");
        assert!(!pair.is_early(), "{close}");
        assert!(pair.is_early(), "{close}");
    }
}

#[test]
fn a_connection_that_fails_with_early_data_disables_it_once() {
    let pair = Pair::acquainted();
    let (at, serving) = serve(|mut stream| {
        let read = stream.read(&mut [0; 1]).expect("a ClientHello");
        assert_eq!(read, 1);
        stream.shutdown(Shutdown::Both).expect("shut down");
    });
    let failure = pair.open_at(at).first_beat_fails();
    assert!(matches!(failure, Failure::Closed | Failure::Reset), "{failure:?}");
    serving.join().expect("served");
    assert!(!pair.is_early());
    assert!(pair.is_early());
}

#[test]
fn a_server_that_returns_to_tls12_costs_one_connection() {
    let pair = Pair::acquainted();
    pair.server.receiver.follow("tls12-only on").expect("a word");
    assert!(matches!(pair.open().first_beat_fails(), Failure::Tls(_)));
    assert!(!pair.is_early());
    assert_eq!(pair.last().security, "TLSv1_2");
}

#[test]
fn a_request_larger_than_the_ticket_allows_waits_for_the_handshake() {
    for (room, fits) in [(REQUEST.len(), true), (REQUEST.len() - 1, false)] {
        let certificates = Certificates::new(&["localhost"]);
        let mut config = ServerConfig::clone(&certificates.server(Shown::Good, false));
        config.max_early_data_size = u32::try_from(room).expect("small");
        let config = Arc::new(config);
        let name = "localhost".try_into().ok();
        let material = material_of(&certificates);
        let shared = tls::Client::new(material, tls::Times::default(), true, name);
        for round in 0..2 {
            let (at, serving) = serve_tls(Arc::clone(&config), move |tls, stream| {
                let mut tls = rustls::StreamOwned::new(tls, stream);
                let mut early = Vec::new();
                if let Some(mut it) = tls.conn.early_data() {
                    it.read_to_end(&mut early).expect("early data");
                }
                if round == 1 && fits {
                    assert_eq!(early, REQUEST);
                } else {
                    assert_eq!(early, b"");
                    read_request(&mut tls);
                }
                tls.write_all(ANSWER).expect("written");
                tls.flush().expect("flushed");
                // Waits until the client has received the tickets.
                drop(tls.read(&mut [0; 1]));
            });
            let mut client = Client::open(at, Some(shared.clone()));
            assert_eq!(client.first_beat().map(|reply| reply.status), Ok(200));
            assert_eq!(client.settle(), Ok(()));
            client.connection.close();
            serving.join().expect("served");
        }
    }
}

#[test]
fn early_data_is_sent_only_if_enabled() {
    let server = Server::start();
    for _ in 0..3 {
        let mut client = server.tls();
        client.first_beat().expect("a beat");
        assert_eq!(client.settle(), Ok(()));
    }
    assert!(server.receiver.beats().all().iter().all(|beat| !beat.early));
}
