//! Lines as their readers get them, and readers that do not read.

use std::fs;
use std::io::Read;
use std::path::PathBuf;

use super::*;

fn line(output: Destination, level: Level, message: &str) -> String {
    let line = log_line(output, level, 42, &format_args!("{message}"));
    String::from_utf8(line.as_bytes().to_vec()).expect("lines are UTF-8")
}

#[test]
fn each_reader_gets_its_own_prefix() {
    for (output, level, expected) in [
        (Destination::Plain, Level::Info, "info: [Meeting] sent\n"),
        (Destination::Plain, Level::Error, "error: [Meeting] sent\n"),
        (Destination::Journal, Level::Error, "<3>[Meeting] sent\n"),
        (Destination::Journal, Level::Warn, "<4>[Meeting] sent\n"),
        (Destination::Journal, Level::Info, "<6>[Meeting] sent\n"),
        (Destination::Journal, Level::Debug, "<7>[Meeting] sent\n"),
        (Destination::Journal, Level::Trace, "<7>[Meeting] sent\n"),
        (Destination::Syslog, Level::Info, "<30>linkbeat[42]: [Meeting] sent\n"),
        (Destination::Syslog, Level::Error, "<27>linkbeat[42]: [Meeting] sent\n"),
    ] {
        assert_eq!(line(output, level, "[Meeting] sent"), expected);
    }
}

#[test]
fn a_message_stays_one_line_without_control_characters() {
    let message = "a\r\n<3>forged\u{1b}[2J\u{85}b\0";
    assert_eq!(line(Destination::Journal, Level::Info, message), "<6>a  <3>forged [2J b \n");
}

#[test]
fn a_long_message_is_cut_between_characters() {
    for filler in ["x", "é", "😀"] {
        let text = line(Destination::Plain, Level::Info, &filler.repeat(LINE_MAX));
        assert!(text.ends_with(&format!("{filler}\n")), "{text}");
        assert!((LINE_MAX - 3..=LINE_MAX).contains(&text.len()));
    }
}

#[test]
fn auto_finds_the_reader_and_the_others_obey() {
    let mut logger = Logger::new().expect("a socket");
    for (terminal, journal, auto, stderr) in [
        (false, false, Destination::Syslog, Destination::Plain),
        (true, false, Destination::Plain, Destination::Plain),
        (false, true, Destination::Journal, Destination::Journal),
    ] {
        (logger.terminal, logger.journal) = (terminal, journal);
        for (target, output) in [
            (LogTarget::Auto, auto),
            (LogTarget::Stderr, stderr),
            (LogTarget::Syslog, Destination::Syslog),
        ] {
            logger.target.store(target as u8, Ordering::Relaxed);
            assert_eq!(logger.output(), output, "{target:?} {terminal} {journal}");
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
    let line = log_line(Destination::Syslog, Level::Info, 42, &format_args!("hello"));
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
    let line =
        log_line(Destination::Plain, Level::Info, 42, &format_args!("{}", "x".repeat(LINE_MAX)));
    for _ in 0..1_000 {
        write_now(&writer, &line);
    }
    drop(writer);
    let mut read = Vec::new();
    reader.read_to_end(&mut read).expect("the writer is closed");
    assert!(!read.is_empty() && read.len() % LINE_MAX == 0, "whole lines only");
    assert!(read.chunks(LINE_MAX).all(|chunk| chunk == line.as_bytes()));
}

/// Environment variable for the run of these tests that panics.
const PANICS: &str = "LINKBEAT_TEST_PANICS";

#[test]
fn text_of_a_panic_reaches_the_log() {
    let mut command = std::process::Command::new("/proc/self/exe");
    command.args(["--exact", "logger::tests::panic_of_the_other_run", "--nocapture"]);
    let output = command.env(PANICS, "1").output().expect("this program runs");
    let text = String::from_utf8_lossy(&output.stderr);
    let line = text.lines().find(|line| line.starts_with("error: a bug of linkbeat ends it: "));
    let line = line.unwrap_or_else(|| panic!("{text}"));
    assert!(line.contains("src/logger/tests.rs:") && line.ends_with(" no way out"), "{line}");
}

#[test]
fn panic_of_the_other_run() {
    if std::env::var_os(PANICS).is_some() {
        init().expect("the only logger of this process");
        configure(LogTarget::Stderr, LevelFilter::Info);
        panic!("no way out");
    }
}
