//! What is read as a response, and what is not.

use super::*;

#[test]
fn limit_of_received_bytes_applies_to_each_response() {
    const BODY: usize = 60_000;
    let (at, serving) = serve(|mut stream| {
        for _ in 0..10 {
            read_request(&mut stream);
            write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {BODY}\r\n\r\n").expect("written");
            stream.write_all(&vec![b'x'; BODY]).expect("written");
        }
    });
    let mut client = Client::open(at, None);
    client.establish().expect("established");
    for _ in 0..10 {
        assert_eq!(client.beat().map(|reply| reply.keep_alive), Ok(true));
    }
    serving.join().expect("served");
}

#[test]
fn responses_are_read_with_every_framing() {
    for framing in [Framing::Length, Framing::Chunked, Framing::UntilClose] {
        for close in [Close::Keep, Close::Announced] {
            let behaviour = Behaviour { framing, close, ..Behaviour::default() };
            let server = Server::behaving(behaviour);
            for mut client in server.both() {
                let reply = client.first_beat().expect("an answer");
                let keep_alive = close == Close::Keep && framing != Framing::UntilClose;
                assert_eq!((reply.status, reply.keep_alive), (200, keep_alive), "{framing:?}");
                assert!(client.response.body().starts_with(b"{\"ip_address\""));
            }
        }
    }
}

#[test]
fn a_response_may_arrive_one_byte_at_a_time() {
    let server = Server::behaving(Behaviour { drip: true, ..Behaviour::default() });
    for mut client in server.both() {
        assert_eq!(client.first_beat().map(|reply| reply.status), Ok(200));
    }
}

#[test]
fn bytes_that_are_not_http_are_malformed() {
    let server = Server::behaving(Behaviour { answer: Answer::Garbage, ..Behaviour::default() });
    for mut client in server.both() {
        assert_eq!(client.first_beat_fails(), Failure::Malformed);
        assert_eq!(client.detail(), None);
    }
}

#[test]
fn incomplete_or_endless_head_costs_the_connection_and_not_the_beat() {
    for answer in [Answer::Reset, Answer::HalfClose, Answer::LongHeaders] {
        let server = Server::behaving(Behaviour { answer: answer.clone(), ..Behaviour::default() });
        for mut client in server.both() {
            assert_eq!(client.first_beat(), Ok(Reply::of(200)), "{answer:?}");
        }
    }
}

#[test]
fn a_body_over_the_limit_costs_the_connection_and_not_the_beat() {
    let server = Server::behaving(Behaviour { answer: Answer::LongBody, ..Behaviour::default() });
    for mut client in server.both() {
        let reply = client.first_beat().expect("an answer");
        assert_eq!((reply.status, reply.keep_alive), (200, false));
    }
}

#[test]
fn a_response_without_close_notify_counts() {
    let table: [(&[u8], Result<u16, Failure>); 4] = [
        (ANSWER, Ok(200)),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", Ok(200)),
        (b"HTTP/1.1 200 OK\r\n\r\n{}", Ok(200)),
        (b"HTTP/1.1 200 OK\r\n", Err(Failure::Closed)),
    ];
    let server = Server::start();
    for (answer, wanted) in table {
        let config = server.certificates.server(Shown::Good, false);
        let (at, serving) = serve_tls(config, move |mut tls, mut stream| {
            read_request(&mut rustls::Stream::new(&mut tls, &mut stream));
            rustls::Stream::new(&mut tls, &mut stream).write_all(answer).expect("written");
        });
        let mut client = Client::open(at, secure(&server.config));
        client.establish().expect("established");
        client.connection.write(REQUEST);
        assert_eq!(client.next(), Ok(Progress::Written));
        let got = client.next().map(|_| client.response.reply(None, 0).status);
        assert_eq!(got, wanted, "{}", answer.escape_ascii());
        serving.join().expect("served");
    }
}

#[test]
fn endless_records_are_cut_off() {
    let server = Server::start();
    for (begin, wanted) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n", Ok(Reply::of(200))),
        ("HTTP/1.1 200 OK\r\nX: ", Err(Failure::TooLarge)),
    ] {
        let config = server.certificates.server(Shown::Good, false);
        let (at, serving) = serve_tls(config, move |tls, stream| {
            let mut tls = rustls::StreamOwned::new(tls, stream);
            read_request(&mut tls);
            tls.write_all(begin.as_bytes()).expect("written");
            // 23 bytes on the wire for each byte of the response.
            while tls.write_all(b"x").and_then(|()| tls.flush()).is_ok() {}
        });
        let mut client = Client::open(at, secure(&server.config));
        assert_eq!(client.first_beat_at_any_step(), wanted, "{begin}");
        drop(client);
        serving.join().expect("served");
    }
}

#[test]
fn bytes_after_a_response_prevent_reuse() {
    let (at, serving) = serve(|mut stream| {
        read_request(&mut stream);
        stream.write_all(&[ANSWER, ANSWER].concat()).expect("written");
        stream.read(&mut [0; 1]).expect_err("no more");
    });
    let mut client = Client::open(at, None);
    assert!(!client.first_beat().expect("a beat").keep_alive);
    drop(client);
    serving.join().expect("served");
}

#[test]
fn a_server_that_sends_first_gets_no_request() {
    let (at, serving) = serve(|mut stream| stream.write_all(ANSWER).expect("written"));
    let mut client = Client::open(at, None);
    client.establish().expect("established");
    assert_eq!(client.next(), Err(Failure::Closed));
    serving.join().expect("served");
}

#[test]
fn http_2_frames_are_recognized_before_and_after_the_request() {
    const SETTINGS: &[u8] = b"\0\0\0\x04\0\0\0\0\0";
    let server = Server::start();
    // Before the request and after it, in plain text and over TLS without ALPN.
    let (at, serving) = serve(|mut stream| stream.write_all(SETTINGS).expect("written"));
    let mut client = Client::open(at, None);
    client.establish().expect("established");
    assert_eq!(client.next(), Err(Failure::Http2Only));
    serving.join().expect("served");
    let config = server.certificates.server(Shown::Good, false);
    let (at, serving) = serve_tls(config, |tls, stream| {
        let mut tls = rustls::StreamOwned::new(tls, stream);
        read_request(&mut tls);
        tls.write_all(SETTINGS).and_then(|()| tls.flush()).expect("written");
    });
    let mut client = Client::open(at, secure(&server.config));
    assert_eq!(client.first_beat_fails(), Failure::Http2Only);
    serving.join().expect("served");
}

#[test]
fn a_long_response_is_read_in_several_calls() {
    const BODY: usize = 1 << 16;
    let (sender, heard) = channel();
    let (at, serving) = serve(move |mut stream| {
        read_request(&mut stream);
        write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {BODY}\r\n\r\n").expect("written");
        stream.write_all(&vec![b'x'; BODY]).expect("written");
        sender.send(()).expect("somebody listens");
    });
    let mut client = Client::open(at, None);
    client.establish().expect("established");
    client.connection.write(REQUEST);
    assert_eq!(client.next(), Ok(Progress::Written));
    heard.recv_timeout(PATIENCE).expect("all on its way");
    // One call does sixteen reads of 4 KiB, and the head exceeds that.
    assert_eq!(client.connection.on_ready(&mut client.response), Ok(Progress::Spent));
    assert_eq!(client.connection.on_ready(&mut client.response), Ok(Progress::Replied));
    serving.join().expect("served");
}
