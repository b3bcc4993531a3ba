//! Connections between two beats, and their end.

use super::*;

#[test]
fn a_hundred_beats_take_one_connection() {
    let server = Server::start();
    for mut client in server.both() {
        client.establish().expect("established");
        for _ in 0..100 {
            let reply = client.beat().expect("a beat");
            assert_eq!((reply.status, reply.keep_alive), (200, true));
        }
    }
    let counts = server.receiver.counts();
    assert_eq!((counts.connections, counts.requests, counts.full_handshakes), (2, 200, 1));
}

#[test]
fn parked_connection_sends_nothing_until_it_is_dropped() {
    let server = Server::start();
    let certificates = server.certificates.server(Shown::Good, false);
    for tls in [false, true] {
        let (park, parked) = channel();
        let (silent, seen) = channel();
        let listen_to = move |mut stream: TcpStream| {
            parked.recv().expect("it is parked");
            stream.set_nonblocking(true).expect("an option");
            let byte = stream.read(&mut [0]).map_err(|error| error.kind());
            silent.send(byte).expect("the test listens");
            stream.set_nonblocking(false).expect("an option");
            let end = stream.read(&mut [0]).map_err(|error| error.kind());
            assert_eq!(end, Err(io::ErrorKind::ConnectionReset));
        };
        let (at, serving) = if tls {
            serve_tls(Arc::clone(&certificates), move |mut tls, mut stream| {
                read_request(&mut rustls::Stream::new(&mut tls, &mut stream));
                rustls::Stream::new(&mut tls, &mut stream).write_all(ANSWER).expect("written");
                listen_to(stream);
            })
        } else {
            serve(move |mut stream| {
                read_request(&mut stream);
                stream.write_all(ANSWER).expect("written");
                listen_to(stream);
            })
        };
        let security = if tls { secure(&server.config) } else { None };
        let mut client = Client::open(at, security);
        client.first_beat().expect("an answer");
        let Client { poll, connection, .. } = client;
        let parked = connection.park(poll.registry()).expect("it is established");
        park.send(()).expect("the server listens");
        assert_eq!(seen.recv(), Ok(Err(io::ErrorKind::WouldBlock)), "tls: {tls}");
        drop(parked);
        serving.join().expect("served");
    }
}

#[test]
fn parked_connection_is_not_watched_and_must_be_established() {
    let listener = listen();
    let mut client = Client::open(address(&listener), None);
    client.establish().expect("established");
    let Client { mut poll, connection, .. } = client;
    let parked = connection.park(poll.registry());
    let (mut peer, _) = listener.accept().expect("a client");
    peer.write_all(b"are you there?").expect("written");
    let mut events = Events::with_capacity(4);
    poll.poll(&mut events, Some(SILENCE)).expect("poll");
    assert!(events.is_empty());
    drop(parked);
    let refused = Client::open(nobody(), None);
    assert!(refused.connection.park(refused.poll.registry()).is_none());
}

#[test]
fn keys_may_change_between_two_beats() {
    let server = Server::start();
    let (at, serving) = serve_tls(server.certificates.server(Shown::Good, false), |tls, stream| {
        let mut tls = rustls::StreamOwned::new(tls, stream);
        for _ in 0..3 {
            read_request(&mut tls);
            tls.conn.refresh_traffic_keys().expect("TLS 1.3");
            tls.write_all(ANSWER).expect("written");
            tls.flush().expect("flushed");
        }
    });
    let mut client = Client::open(at, secure(&server.config));
    client.establish().expect("established");
    for _ in 0..3 {
        assert_eq!(client.beat().map(|reply| reply.status), Ok(200));
    }
    serving.join().expect("served");
}

#[test]
fn a_kept_connection_that_the_server_closes_ends_at_once() {
    let server = Server::start();
    for security in [None, secure(&server.config)] {
        let mut client = server.client(security);
        client.first_beat().expect("a beat");
        assert_eq!(client.settle(), Ok(()));
        server.receiver.close_connections();
        assert_eq!(client.next(), Err(Failure::Closed));
    }
}

#[test]
fn a_connection_closed_without_announcement_ends_at_once() {
    let server = Server::behaving(Behaviour { close: Close::Silent, ..Behaviour::default() });
    for mut client in server.both() {
        assert!(client.first_beat().expect("a beat").keep_alive);
        assert_eq!(client.next(), Err(Failure::Closed));
    }
}

#[test]
fn unrequested_bytes_end_an_idle_connection() {
    const UNASKED: &[u8] = b"HTTP/1.1 408 Request Timeout\r\n\r\n";
    let server = Server::start();
    let (go, went) = channel();
    let config = server.certificates.server(Shown::Good, false);
    let (at, serving) = serve_tls(config, move |tls, stream| {
        let mut tls = rustls::StreamOwned::new(tls, stream);
        read_request(&mut tls);
        tls.write_all(ANSWER).and_then(|()| tls.flush()).expect("written");
        went.recv().expect("a word");
        tls.write_all(UNASKED).and_then(|()| tls.flush()).expect("written");
        // Waits until the client resets the connection.
        tls.read(&mut [0; 1]).expect_err("no more");
    });
    let mut client = Client::open(at, secure(&server.config));
    assert!(client.first_beat().expect("a beat").keep_alive);
    assert_eq!(client.settle(), Ok(()));
    go.send(()).expect("a server");
    assert_eq!(client.next(), Err(Failure::Closed));
    drop(client);
    serving.join().expect("served");
}

#[test]
fn drop_resets_a_connection_and_close_ends_it() {
    let server = Server::start();
    for polite in [true, false] {
        let (sender, heard) = channel();
        let config = server.certificates.server(Shown::Good, false);
        let (at, serving) = serve_tls(config, move |tls, stream| report_end(tls, stream, &sender));
        let mut client = Client::open(at, secure(&server.config));
        client.establish().expect("established");
        assert_eq!(client.settle(), Ok(()));
        let Client { connection, .. } = client;
        if polite {
            connection.close()
        } else {
            drop(connection)
        }
        let end = heard.recv_timeout(PATIENCE).expect("an end");
        assert_eq!(end, if polite { Ok(0) } else { Err(io::ErrorKind::ConnectionReset) });
        serving.join().expect("served");
    }
}

/// Reports the end of the client's side: `Ok(0)` only after `close_notify`.
fn report_end(
    tls: ServerConnection,
    stream: TcpStream,
    sender: &Sender<Result<usize, io::ErrorKind>>,
) {
    let mut tls = rustls::StreamOwned::new(tls, stream);
    let end = tls.read(&mut [0; 1]).map_err(|error| error.kind());
    sender.send(end).expect("somebody listens");
}
