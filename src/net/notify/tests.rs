use super::*;

use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

const PID: u32 = 7;
const SECOND: Duration = Duration::from_secs(1);

fn at(seconds: u64) -> Instant {
    Instant::from_micros(seconds * 1_000_000)
}

/// A supervisor's end, in a directory of its own.
struct Supervisor {
    socket: UnixDatagram,
    path: PathBuf,
}

impl Supervisor {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path =
            std::env::temp_dir().join(format!("linkbeat-notify-{}-{number}", std::process::id()));
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_nonblocking(true).unwrap();
        Self { socket, path }
    }

    fn heard(&self) -> Option<std::string::String> {
        let mut buffer = [0; 1024];
        let length = self.socket.recv(&mut buffer).ok()?;
        Some(std::string::String::from_utf8(buffer[..length].to_vec()).unwrap())
    }

    fn notify(&self, watchdog: Option<&str>) -> Notify {
        self.notify_as(watchdog, None).unwrap()
    }

    fn notify_as(&self, watchdog: Option<&str>, watchdog_pid: Option<&str>) -> Option<Notify> {
        let variable = |name: &str| match name {
            "NOTIFY_SOCKET" => Some(self.path.clone().into_os_string()),
            "WATCHDOG_USEC" => watchdog.map(OsString::from),
            "WATCHDOG_PID" => watchdog_pid.map(OsString::from),
            _ => None,
        };
        Notify::new(variable, PID, at(0))
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        std::fs::remove_file(&self.path).ok();
    }
}

#[test]
fn without_a_socket_there_is_nobody() {
    for name in [None, Some(""), Some("vsock:2:1234"), Some("relative")] {
        let variable = |asked: &str| match asked {
            "NOTIFY_SOCKET" => name.map(OsString::from),
            _ => None,
        };
        assert!(Notify::new(variable, PID, at(0)).is_none(), "{name:?}");
    }
}

#[test]
fn readiness_is_sent_once_and_the_line_when_it_changes() {
    let supervisor = Supervisor::new();
    let mut notify = supervisor.notify(None);
    assert_eq!(supervisor.heard(), None);
    notify.update(at(1), |line| write!(line, "starting"));
    assert_eq!(supervisor.heard().as_deref(), Some("READY=1\nSTATUS=starting\n"));
    notify.update(at(1000), |line| write!(line, "starting"));
    assert_eq!(supervisor.heard(), None);
    notify.update(at(1000), |line| write!(line, "online via eth0"));
    assert_eq!(supervisor.heard().as_deref(), Some("STATUS=online via eth0\n"));
    assert_eq!(notify.next_deadline(), None);
    notify.stopping();
    assert_eq!(supervisor.heard().as_deref(), Some("STOPPING=1\n"));
}

#[test]
fn the_watchdog_is_fed_on_the_cycle_and_at_half_its_time_at_the_latest() {
    let supervisor = Supervisor::new();
    let mut notify = supervisor.notify(Some("90000000"));
    let mut update = |seconds| {
        notify.update(at(seconds), |line| write!(line, "-"));
        (
            supervisor.heard().is_some_and(|said| said.contains("WATCHDOG=1\n")),
            notify.next_deadline(),
        )
    };
    assert_eq!(update(0), (true, Some(at(45))));
    // Four times a second while the network heals.
    assert_eq!(update(1), (false, Some(at(45))));
    assert_eq!(update(22), (false, Some(at(45))));
    // The cycle of 30 s comes first.
    assert_eq!(update(30), (true, Some(at(75))));
    assert_eq!(update(75), (true, Some(at(120))));
    // Late, as after a suspend.
    assert_eq!(update(500), (true, Some(at(545))));
}

#[test]
fn a_watchdog_of_another_process_is_not_ours() {
    let supervisor = Supervisor::new();
    let deadline = |micros, pid| supervisor.notify_as(Some(micros), pid).unwrap().next_deadline();
    assert_eq!(deadline("2000000", None), Some(at(1)));
    assert_eq!(deadline("2000000", Some("7")), Some(at(1)));
    assert_eq!(deadline("2000000", Some("8")), None);
    assert_eq!(deadline("2000000", Some("rubbish")), None);
    for rubbish in ["", "0", "-1", "1 s", "99999999999999999999"] {
        assert_eq!(deadline(rubbish, None), None, "{rubbish}");
    }
}

#[test]
fn a_message_that_was_not_sent_is_sent_again() {
    let supervisor = Supervisor::new();
    let mut notify = supervisor.notify(Some("90000000"));
    let full = UnixDatagram::unbound().unwrap();
    full.set_nonblocking(true).unwrap();
    while full.send_to(b"x", &supervisor.path).is_ok() {}
    notify.update(at(1), |line| write!(line, "first"));
    assert_eq!(notify.next_deadline(), Some(at(1) + SECOND));
    while supervisor.heard().is_some() {}
    notify.update(at(2), |line| write!(line, "second"));
    assert_eq!(supervisor.heard().as_deref(), Some("READY=1\nWATCHDOG=1\nSTATUS=second\n"));
    assert_eq!(notify.next_deadline(), Some(at(47)));
}

#[test]
fn a_supervisor_that_went_away_is_no_reason_to_spin() {
    let supervisor = Supervisor::new();
    let mut notify = supervisor.notify(None);
    drop(supervisor);
    for seconds in 1..5 {
        notify.update(at(seconds), |line| write!(line, "-"));
        assert_eq!(notify.next_deadline(), Some(at(seconds) + SECOND));
    }
}

#[test]
fn an_abstract_name_is_a_supervisor_too() {
    let name = format!("linkbeat-notify-{}", std::process::id());
    let address = SocketAddr::from_abstract_name(&name).unwrap();
    let socket = UnixDatagram::bind_addr(&address).unwrap();
    let variable = |asked: &str| match asked {
        "NOTIFY_SOCKET" => Some(OsString::from(format!("@{name}"))),
        _ => None,
    };
    Notify::new(variable, PID, at(0)).unwrap().update(at(0), |line| write!(line, "-"));
    let mut buffer = [0; 64];
    let length = socket.recv(&mut buffer).unwrap();
    assert_eq!(&buffer[..length], b"READY=1\nSTATUS=-\n");
}

#[test]
fn a_line_stays_one_line_and_is_cut_between_characters() {
    let supervisor = Supervisor::new();
    let mut notify = supervisor.notify(None);
    notify.update(at(0), |line| write!(line, "refused\nMAINPID=1\r\0{}", "é".repeat(LINE_MAX)));
    let said = supervisor.heard().unwrap();
    let line = said.strip_prefix("READY=1\nSTATUS=refused MAINPID=1  ").unwrap();
    let line = line.strip_suffix('\n').unwrap();
    assert!(line.chars().all(|char| char == 'é'), "{line:?}");
    assert!(said.len() <= MESSAGE_MAX);
    assert!(line.len() >= LINE_MAX - "refused MAINPID=1  ".len() - 1);
}
