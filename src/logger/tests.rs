//! Lines as their readers get them, and readers that do not read.

use std::fs;
use std::io::Read;
use std::path::PathBuf;

use super::*;

fn line(route: Route, level: Level, message: &str) -> String {
    let line = Line::new(route, level, 42, &format_args!("{message}"));
    String::from_utf8(line.as_bytes().to_vec()).expect("lines are UTF-8")
}

#[test]
fn each_reader_gets_its_own_prefix() {
    for (route, level, expected) in [
        (Route::Plain, Level::Info, "info: [Meeting] sent\n"),
        (Route::Plain, Level::Error, "error: [Meeting] sent\n"),
        (Route::Journal, Level::Error, "<3>[Meeting] sent\n"),
        (Route::Journal, Level::Warn, "<4>[Meeting] sent\n"),
        (Route::Journal, Level::Info, "<6>[Meeting] sent\n"),
        (Route::Journal, Level::Debug, "<7>[Meeting] sent\n"),
        (Route::Journal, Level::Trace, "<7>[Meeting] sent\n"),
        (Route::Syslog, Level::Info, "<30>linkbeat[42]: [Meeting] sent\n"),
        (Route::Syslog, Level::Error, "<27>linkbeat[42]: [Meeting] sent\n"),
    ] {
        assert_eq!(line(route, level, "[Meeting] sent"), expected);
    }
}

#[test]
fn a_message_stays_one_line_without_control_characters() {
    let message = "a\r\n<3>forged\u{1b}[2J\u{85}b\0";
    assert_eq!(line(Route::Journal, Level::Info, message), "<6>a  <3>forged [2J b \n");
}

#[test]
fn a_long_message_is_cut_between_characters() {
    for filler in ["x", "é", "😀"] {
        let text = line(Route::Plain, Level::Info, &filler.repeat(LINE_MAX));
        assert!(text.ends_with(&format!("{filler}\n")), "{text}");
        assert!((LINE_MAX - 3..=LINE_MAX).contains(&text.len()));
    }
}

#[test]
fn auto_finds_the_reader_and_the_others_obey() {
    let mut logger = Logger::new().expect("a socket");
    for (terminal, journal, auto, stderr) in [
        (false, false, Route::Syslog, Route::Plain),
        (true, false, Route::Plain, Route::Plain),
        (false, true, Route::Journal, Route::Journal),
    ] {
        (logger.terminal, logger.journal) = (terminal, journal);
        for (target, route) in [
            (LogTarget::Auto, auto),
            (LogTarget::Stderr, stderr),
            (LogTarget::Syslog, Route::Syslog),
        ] {
            logger.target.store(target as u8, Ordering::Relaxed);
            assert_eq!(logger.route(), route, "{target:?} {terminal} {journal}");
        }
    }
}

#[test]
fn only_the_stream_of_our_standard_error_is_journald() {
    let stat = rustix::fs::fstat(io::stderr()).expect("standard error is open");
    assert!(is_stderr(&format!("{}:{}", stat.st_dev, stat.st_ino)));
    for other in ["", ":", "8:1", &format!("{}:{}", stat.st_dev, stat.st_ino + 1)] {
        assert!(!is_stderr(other), "{other}");
    }
}

/// A syslog daemon's socket, removed with the test.
struct Daemon(UnixDatagram, PathBuf);

impl Daemon {
    fn new(path: &Path) -> Self {
        Self(UnixDatagram::bind(path).expect("own path"), path.to_path_buf())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        fs::remove_file(&self.1).expect("own path");
    }
}

#[test]
fn a_syslog_daemon_that_starts_again_is_heard_again_and_one_that_hangs_is_not_waited_for() {
    let name = format!("linkbeat-config-log-{}.sock", std::process::id());
    let path = std::env::temp_dir().join(name);
    let socket = Logger::new().expect("a socket").socket;
    let line = Line::new(Route::Syslog, Level::Info, 42, &format_args!("hello"));
    for _ in 0..2 {
        let daemon = Daemon::new(&path);
        send(&socket, &path, &line).expect("the daemon listens");
        let mut buffer = [0; LINE_MAX];
        let length = daemon.0.recv(&mut buffer).expect("a datagram was sent");
        assert_eq!(&buffer[..length], b"<30>linkbeat[42]: hello");
        let full = (0..10_000).find_map(|_| send(&socket, &path, &line).err());
        assert_eq!(full.expect("its queue is bounded").kind(), io::ErrorKind::WouldBlock);
        drop(daemon);
        let gone = send(&socket, &path, &line).expect_err("nobody listens");
        assert_eq!(gone.kind(), io::ErrorKind::NotFound);
    }
}

#[test]
fn a_pipe_that_nobody_reads_is_not_waited_for() {
    let (mut reader, writer) = io::pipe().expect("a pipe");
    let line = Line::new(Route::Plain, Level::Info, 42, &format_args!("{}", "x".repeat(LINE_MAX)));
    for _ in 0..1_000 {
        write_now(&writer, &line);
    }
    drop(writer);
    let mut read = Vec::new();
    reader.read_to_end(&mut read).expect("the writer is closed");
    assert!(!read.is_empty() && read.len() % LINE_MAX == 0, "whole lines only");
    assert!(read.chunks(LINE_MAX).all(|chunk| chunk == line.as_bytes()));
}
