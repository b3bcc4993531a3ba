//! Clients of the status server that do what they should not: each is answered or ended, the beats go on,
//! and nothing of them stays.

use std::fs;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpStream};
use std::thread;
use std::time::Duration;

use linkbeat_support::clock;
use serde_json::json;
use socket2::SockRef;

use crate::camera::{Camera, PATIENCE};

/// Passes of all abuse, of which the first makes whatever memory is kept.
const PASSES: usize = 2;
/// After which the last client is gone from the server, whatever it did.
const SETTLED: Duration = Duration::from_millis(2_500);
/// Most that the memory may have grown after it, in kB.
const GROWTH_MAX: u64 = 64;
/// Longest time between two beats, which are due every second.
const LATE: Duration = Duration::from_millis(1_500);
/// Of the answers that are not waited for, and between two bytes of a slow client.
const MOMENT: Duration = Duration::from_millis(100);

/// A request with these fields.
fn get(path: &str, fields: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\n{fields}\r\n").into()
}

fn post(fields: &str) -> Vec<u8> {
    format!("POST /api/meeting/heartbeat HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n").into()
}

/// Bytes that are the same in every run, and nothing else.
fn rubbish(mut seed: u64, length: usize) -> Vec<u8> {
    let mut byte = || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed.to_le_bytes()[3]
    };
    (0..length).map(|_| byte()).collect()
}

/// What is sent, and the status of the answer.
fn table() -> Vec<(&'static str, Vec<u8>, u16)> {
    const STATUS: &str = "/api/meeting/status";
    const HOST: &str = "Host: localhost\r\n";
    let text = |text: &str| text.as_bytes().to_vec();
    let with = |fields: &str| get(STATUS, &format!("{HOST}{fields}"));
    vec![
        ("a proper request", with(""), 200),
        ("HTTP/1.0", text("GET /api/meeting/status HTTP/1.0\r\nHost: localhost\r\n\r\n"), 200),
        ("HTTP/1.0 without a host", text("GET /api/meeting/status HTTP/1.0\r\n\r\n"), 400),
        ("HTTP/0.9", text("GET /api/meeting/status\r\n\r\n"), 400),
        ("HTTP/1.2", text("GET /api/meeting/status HTTP/1.2\r\nHost: localhost\r\n\r\n"), 400),
        ("the preface of HTTP/2", text("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), 400),
        ("a TLS handshake", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(), 400),
        ("an SSH client", text("SSH-2.0-OpenSSH_9.2\r\n"), 400),
        ("zeroes", vec![0; 4096], 400),
        ("rubbish", rubbish(0x5EED, 4096), 400),
        ("letters without end", vec![b'A'; 1 << 20], 431),
        ("a folded field", with("X: a\r\n b\r\n"), 400),
        ("a space before the colon", get(STATUS, "Host : localhost\r\n"), 400),
        ("a field without a name", with(": x\r\n"), 400),
        ("a zero in a field", with("X: \0\r\n"), 400),
        ("a lone return in a field", with("X: a\rb\r\n"), 400),
        ("no host", get(STATUS, ""), 400),
        ("two hosts", with(HOST), 400),
        ("another host", get(STATUS, "Host: camera.example\r\n"), 403),
        ("a host with a user", get(STATUS, "Host: localhost@camera.example\r\n"), 403),
        ("a page of another host", with("Origin: http://camera.example\r\n"), 403),
        ("a page of nobody", with("Origin: null\r\n"), 403),
        ("two origins", with("Origin: http://localhost\r\nOrigin: http://localhost\r\n"), 400),
        ("our own URL", get("http://localhost:1/api/meeting/status", HOST), 200),
        ("another's URL", get("http://camera.example/api/meeting/status", HOST), 403),
        ("a tunnel", text("CONNECT localhost:22 HTTP/1.1\r\nHost: localhost\r\n\r\n"), 404),
        ("the server as a whole", text("OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n"), 404),
        ("an escape cut short", get("/api/meeting/status%", HOST), 404),
        ("an escape that is none", get("/api/meeting/%zz", HOST), 404),
        ("an escaped zero", get("/api/meeting/status%00", HOST), 404),
        ("a way out", get("/../../etc/rpi-cam/meeting.json", HOST), 404),
        ("a number that is none", get("/api/linkbeat/history?after=-1&after=%31", HOST), 200),
        ("another method", text("DELETE / HTTP/1.1\r\nHost: localhost\r\n\r\n"), 405),
        ("a method of our own", text("BEAT / HTTP/1.1\r\nHost: localhost\r\n\r\n"), 405),
        ("a long target", get(&format!("/{}", "a".repeat(5_000)), HOST), 431),
        ("a long field", with(&format!("X: {}\r\n", "a".repeat(5_000))), 431),
        ("many fields", with(&"X: a\r\n".repeat(40)), 431),
        ("a body of a negative length", post("Content-Length: -1\r\n"), 400),
        ("a body of two lengths", post("Content-Length: 1\r\nContent-Length: 2\r\n"), 400),
        (
            "a body of two framings",
            post("Content-Length: 1\r\nTransfer-Encoding: chunked\r\n"),
            411,
        ),
        ("a body in chunks", post("Transfer-Encoding: chunked\r\n"), 411),
        ("a large body", post("Content-Length: 1025\r\n"), 413),
        ("a body beyond all numbers", post("Content-Length: 99999999999999999999\r\n"), 413),
        ("more requests behind it", with("").repeat(50), 200),
        ("no requests behind it", [with(""), rubbish(7, 1 << 15)].concat(), 200),
    ]
}

fn connect(camera: &Camera) -> TcpStream {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, camera.port)).expect("connect");
    stream.set_read_timeout(Some(PATIENCE)).expect("not zero");
    stream.set_write_timeout(Some(PATIENCE)).expect("not zero");
    stream
}

/// Sends as much as is taken.
fn send(mut stream: &TcpStream, bytes: &[u8]) {
    match stream.write_all(bytes) {
        Err(error) if is_end(&error) => {}
        other => other.expect("the server reads, or ends it"),
    }
}

/// All that comes until the end, however that comes.
fn rest(mut stream: &TcpStream) -> String {
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        Err(error) if is_end(&error) => {}
        other => drop(other.expect("an end in time")),
    }
    String::from_utf8_lossy(&answer).into_owned()
}

fn is_end(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe)
}

fn is_served(camera: &Camera) -> bool {
    let stream = connect(camera);
    send(&stream, &table()[0].1);
    rest(&stream).starts_with("HTTP/1.1 200 ")
}

/// Each request of the table gets its answer, and only that.
fn malformed(camera: &Camera) {
    for (name, bytes, status) in table() {
        let stream = connect(camera);
        send(&stream, &bytes);
        let answer = rest(&stream);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{name}: {answer}");
        assert_eq!(answer.matches("Connection: close\r\n").count(), 1, "{name}: {answer}");
    }
}

/// Who ends his side still gets his answer, if what came before was a request.
fn half_closed(camera: &Camera) {
    for (bytes, expected) in [(&table()[0].1[..], "HTTP/1.1 200 "), (b"GET / HT", ""), (b"", "")] {
        let stream = connect(camera);
        send(&stream, bytes);
        stream.shutdown(Shutdown::Write).expect("our side ends");
        let answer = rest(&stream);
        assert!(
            answer.starts_with(expected) && answer.is_empty() == expected.is_empty(),
            "{answer}"
        );
    }
}

/// Whoever resets the connection in the midst of his answer, or before it, or without a word.
fn reset(camera: &Camera) {
    for bytes in [&get("/api/linkbeat/history", "Host: localhost\r\n")[..], b"GET /", b""] {
        for read in [0, 10] {
            let mut stream = connect(camera);
            send(&stream, bytes);
            stream.set_read_timeout(Some(MOMENT)).expect("not zero");
            let mut piece = vec![0; read];
            // What comes does not matter.
            stream.read_exact(&mut piece).ok();
            SockRef::from(&stream).set_linger(Some(Duration::ZERO)).expect("a socket");
        }
    }
    assert!(is_served(camera));
}

/// As many as are let in, each of whom sends a byte now and then: the next one waits for seconds at most.
fn slow(camera: &Camera) {
    let all: Vec<_> = (0..8).map(|_| connect(camera)).collect();
    let (first, others) = all.split_first().expect("eight");
    first.set_read_timeout(Some(MOMENT)).expect("not zero");
    let mut answer = Vec::new();
    for byte in b"GET /api/meeting/status HTTP/1.1\r\nHost: localhost\r\nX: ".iter().cycle() {
        all.iter().for_each(|stream| send(stream, &[*byte]));
        let mut piece = [0; 1024];
        match (&mut &*first).read(&mut piece) {
            Ok(0) => break,
            Ok(read) => answer.extend_from_slice(&piece[..read]),
            Err(error) if is_end(&error) => break,
            // A time-out that another signal cuts short is one of the kernel.
            Err(error) => assert!(
                matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted),
                "{error}"
            ),
        }
    }
    assert!(answer.starts_with(b"HTTP/1.1 408 "), "{}", String::from_utf8_lossy(&answer));
    assert!(others.iter().all(|stream| rest(stream).starts_with("HTTP/1.1 408 ")));
    assert!(is_served(camera));
}

/// As many as are let in, who ask for the longest answer there is and read nothing of it.
fn unread(camera: &Camera) {
    let all: Vec<_> = (0..8).map(|_| connect(camera)).collect();
    for stream in &all {
        SockRef::from(stream).set_recv_buffer_size(1024).expect("a socket");
        send(stream, &get("/api/linkbeat/history", "Host: localhost\r\n"));
    }
    assert!(is_served(camera));
}

/// Many at once, all of whom are served.
fn crowd(camera: &Camera) {
    thread::scope(|scope| {
        let all: Vec<_> = (0..100).map(|_| scope.spawn(|| is_served(camera))).collect();
        assert!(all.into_iter().all(|it| it.join().expect("no panic")));
    });
}

/// What the process holds: kB resident, and descriptors.
fn held(camera: &Camera) -> (u64, usize) {
    let process = format!("/proc/{}", camera.pid().as_raw_nonzero());
    let rollup = fs::read_to_string(format!("{process}/smaps_rollup")).expect("its memory");
    let resident = rollup.lines().find_map(|line| line.strip_prefix("Rss:")).expect("a number");
    let kb = resident.trim_end_matches("kB").trim().parse().expect("a number");
    (kb, fs::read_dir(format!("{process}/fd")).expect("its descriptors").count())
}

#[test]
fn abuse_of_any_kind_leaves_the_agent_as_it_was_and_no_beat_late() {
    let free = json!({ "burst": 1000, "every_ms": 0 });
    let mut camera = Camera::start(&json!({
        "heartbeat_interval": 1,
        "moderation": { "trigger": free, "network": free },
    }));
    // A history of full length.
    (0..70).for_each(|_| camera.trigger());
    let mut last =
        camera.beats.expect("the beat of the last trigger", PATIENCE, |it| it.seq() >= 71);
    let mut before = None;
    for pass in 0..PASSES {
        for abuse in [malformed, half_closed, reset, slow, unread, crowd] {
            abuse(&camera);
            assert!(is_served(&camera), "in pass {pass}");
        }
        camera.receiver.beats().follow().find(SETTLED, |_| false);
        let now = held(&camera);
        let (resident, descriptors) = *before.get_or_insert(now);
        assert!(now.0 <= resident + GROWTH_MAX, "pass {pass}: {} kB after {resident} kB", now.0);
        assert_eq!(now.1, descriptors, "pass {pass}");
    }
    let seq = last.seq();
    while let Some(beat) = camera.beats.find(Duration::ZERO, |_| true) {
        assert_eq!(beat.seq(), last.seq() + 1);
        let wait = Duration::from_micros(beat.received_us - last.received_us);
        assert!(wait < LATE, "seq {} came {wait:?} after the one before", beat.seq());
        last = beat;
    }
    assert!(last.seq() > seq + 5, "the beats ended with {}", last.seq());
}

#[test]
fn configuration_written_without_end_costs_a_complaint_a_second() {
    let mut camera = Camera::start(&json!({}));
    let file = camera.directory.join("linkbeat.json");
    let good = fs::read_to_string(&file).expect("it was written at start");
    let begun_us = clock::boot_us();
    let mut writes = 0;
    // Each has a complaint of its own. Whole files only: on a busy machine, most reads would find the file empty
    // between its truncation and its text, which is one complaint for all of them.
    let next = camera.directory.join("next");
    while clock::boot_us() - begun_us < 3_000_000 {
        fs::write(&next, format!("{{\"enabled\": {writes}}}")).expect("our own file");
        fs::rename(&next, &file).expect("our own file");
        writes += 1;
    }
    fs::write(&file, good.replace("camera-1", "camera-2")).expect("our own file");
    camera.beats.expect("a beat", PATIENCE, |beat| beat.path.contains("camera-2"));
    let seconds = (clock::boot_us() - begun_us) / 1_000_000;
    let complaints = camera.log().matches("the configuration is unusable").count();
    // A burst, and one more for each second and its rest.
    let most = usize::try_from(5 + seconds + 1).expect("seconds");
    assert!((2..=most).contains(&complaints), "{complaints} of {writes} in {seconds} s");
}
