//! The status server where others can reach it, and where only some can: with a token, on a Unix socket.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::net::UnixStream;

use linkbeat_support::space::unique;
use serde_json::json;

use crate::camera::{Camera, PATIENCE, free_port};

const TOKEN: &str = "Open-sesame/2026=";

/// The answer to GET with these fields.
fn get(camera: &Camera, path: &str, fields: &str) -> String {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, camera.port)).expect("connect");
    stream.set_read_timeout(Some(PATIENCE)).expect("not zero");
    write!(stream, "GET {path} HTTP/1.1\r\nHost: camera.example\r\n{fields}\r\n").expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer
}

#[test]
fn token_is_asked_for_and_never_shown() {
    let port = free_port().expect("a port");
    let mut camera = Camera::start(&json!({
        "status_listen": format!("0.0.0.0:{port}"),
        "status_token": TOKEN,
        "log_level": "trace",
    }));
    camera.port = port;
    let mut shown = String::new();
    for path in [
        "/api/meeting/status",
        "/api/meeting/heartbeat/preview",
        "/api/linkbeat/history",
        "/metrics",
    ] {
        let refused = get(&camera, path, "");
        assert!(refused.starts_with("HTTP/1.1 401 "), "{path}: {refused}");
        let answer = get(&camera, path, &format!("Authorization: Bearer {TOKEN}\r\n"));
        assert!(answer.starts_with("HTTP/1.1 200 "), "{path}: {answer}");
        shown.extend([refused, answer]);
    }
    for nth in 0..6 {
        let refused = get(&camera, "/metrics", &format!("Authorization: Bearer {TOKEN}{nth}\r\n"));
        let expected = if nth < 5 { "HTTP/1.1 401 " } else { "HTTP/1.1 429 " };
        assert!(refused.starts_with(expected), "{refused}");
        shown += &refused;
    }
    for arguments in [&["status"][..], &["status", "--json"], &["events"]] {
        shown += &String::from_utf8_lossy(&camera.says(arguments).stdout);
    }
    let file = camera.directory.join("linkbeat.json");
    let checked = camera.linkbeat(&["check"]).arg(file).output().expect("run linkbeat");
    shown += &String::from_utf8_lossy(&checked.stdout);
    shown += &camera.log();
    assert!(shown.contains("wrong tokens keep coming from 127.0.0.1"), "{shown}");
    assert!(!shown.contains("Open-sesame") && !shown.contains("has no effect"), "{shown}");
}

#[test]
fn unix_socket_takes_the_place_of_the_port() {
    let path = std::env::temp_dir().join(format!("linkbeat-seen-{}.sock", unique()));
    let mut camera = Camera::start(&json!({ "status_listen": format!("unix:{}", path.display()) }));
    let mut stream = UnixStream::connect(&path).expect("connect");
    stream.set_read_timeout(Some(PATIENCE)).expect("not zero");
    write!(stream, "GET /metrics HTTP/1.1\r\nHost: linkbeat\r\n\r\n").expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("linkbeat_"), "{answer}");
    assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, camera.port)).is_err());
    // One that is killed leaves its file, and its successor takes the place.
    camera.end(rustix::process::Signal::KILL);
    assert!(path.exists());
    camera.run();
    assert!(UnixStream::connect(&path).is_ok());
    camera.end(rustix::process::Signal::TERM);
    assert!(fs::symlink_metadata(&path).is_err());
}
