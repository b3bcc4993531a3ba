//! Metrics in the hands of those who read them: promtool, and a Prometheus that scrapes them.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::{io, thread};

use linkbeat_support::clock;
use linkbeat_support::receiver::{Behaviour, Close};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use serde_json::{Value, json};

use crate::camera::{Camera, PATIENCE, ask, free_port};

/// Pause between two questions to Prometheus, which scrapes every second.
const PAUSE: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };

#[test]
fn promtool_has_nothing_to_say() {
    let camera = Camera::start(&json!({}));
    let answer = camera.http("GET /metrics");
    let (head, metrics) = answer.split_once("\r\n\r\n").expect("a whole answer");
    let media_type = "\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n";
    assert!(head.contains(media_type), "{head}");
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool, of Debian's package prometheus");
    let mut stdin = promtool.stdin.take().expect("a pipe");
    stdin.write_all(metrics.as_bytes()).expect("it reads");
    drop(stdin);
    let said = promtool.wait_with_output().expect("it ends");
    let words = [said.stdout, said.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    assert_eq!((said.status.code(), words.concat().trim()), (Some(0), ""), "{metrics}");
}

#[test]
fn prometheus_scrapes_what_the_agent_did() {
    let camera = Camera::start(&json!({}));
    let prometheus = Prometheus::start(&camera);
    prometheus.until("up", "1");
    prometheus.until("linkbeat_online", "1");
    prometheus.until("linkbeat_beats_total{reason=\"startup\"}", "1");
    camera.receiver.behave(Behaviour { close: Close::Announced, ..Behaviour::default() });
    (0..3).for_each(|_| camera.trigger());
    prometheus.until("linkbeat_beats_total{reason=\"trigger\"}", "3");
    prometheus.until("sum(linkbeat_beats_total)", "4");
    prometheus.until("linkbeat_round_trip_seconds_count", "4");
    prometheus.until("linkbeat_event_to_acknowledged_seconds_bucket{le=\"+Inf\"}", "4");
    let handshakes = camera.receiver.counts().resumed_handshakes.to_string();
    prometheus.until("linkbeat_tls_handshakes_total{kind=\"resumed\"}", &handshakes);
    prometheus.until("linkbeat_offline_seconds_total", "0");
    let quantile = "histogram_quantile(0.99, linkbeat_round_trip_seconds_bucket) <= bool 60";
    prometheus.until(quantile, "1");
    prometheus.until("time() - linkbeat_last_acknowledged_timestamp_seconds < bool 60", "1");
    prometheus.until("time() - process_start_time_seconds < bool 3600", "1");
    let version = format!("linkbeat_build_info{{version=\"{}\"}}", env!("CARGO_PKG_VERSION"));
    prometheus.until(&version, "1");
    for (metric, kind) in [
        ("linkbeat_beats_total", "counter"),
        ("linkbeat_online", "gauge"),
        ("linkbeat_round_trip_seconds", "histogram"),
    ] {
        let metadata = prometheus.get(&format!("/api/v1/metadata?metric={metric}")).expect("JSON");
        assert_eq!(metadata["data"][metric][0]["type"], kind, "{metadata}");
    }
}

/// A Prometheus of our own that scrapes the agent every second.
struct Prometheus {
    process: Child,
    port: u16,
}

impl Prometheus {
    /// Starts it, and waits until it can be asked.
    fn start(camera: &Camera) -> Self {
        let port = free_port().expect("a port");
        let config = camera.directory.join("prometheus.yml");
        let text = format!(
            "scrape_configs:\n- job_name: linkbeat\n  scrape_interval: 1s\n  static_configs:\n  \
             - targets: ['127.0.0.1:{}']\n",
            camera.port
        );
        fs::write(&config, text).expect("a file of our own");
        let mut process = Command::new("prometheus")
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", camera.directory.join("tsdb").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .stderr(Stdio::piped())
            .spawn()
            .expect("prometheus, of Debian's package of that name");
        let mut log = BufReader::new(process.stderr.take().expect("a pipe"));
        let (mut line, mut all) = (String::new(), String::new());
        while !line.contains("Server is ready to receive web requests") {
            all.push_str(&line);
            line.clear();
            assert!(log.read_line(&mut line).expect("a log") > 0, "{all}");
        }
        thread::spawn(move || io::copy(&mut log, &mut io::sink()));
        Self { process, port }
    }

    fn get(&self, target: &str) -> Option<Value> {
        let answer = ask(self.port, &format!("GET {target}")).ok()?;
        let (_, body) = answer.split_once("\r\n\r\n")?;
        serde_json::from_str(body.get(body.find('{')?..=body.rfind('}')?)?).ok()
    }

    /// Waits until a query has this one value.
    fn until(&self, query: &str, expected: &str) {
        let process = Pid::from_child(&self.process);
        let process = pidfd_open(process, PidfdFlags::empty()).expect("our own child");
        let (began_us, mut answer) = (clock::boot_us(), None);
        while u128::from(clock::boot_us() - began_us) < PATIENCE.as_micros() {
            answer = self.get(&format!("/api/v1/query?query={}", encoded(query)));
            let value = answer.as_ref().map(|answer| &answer["data"]["result"][0]["value"][1]);
            if value.is_some_and(|value| *value == expected) {
                return;
            }
            let ended = poll(&mut [PollFd::new(&process, PollFlags::IN)], Some(&PAUSE));
            assert_eq!(ended, Ok(0), "Prometheus has ended");
        }
        panic!("{query} is not {expected}: {answer:?}");
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        self.process.kill().expect("our own child");
        self.process.wait().expect("our own child");
    }
}

fn encoded(query: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_.()".contains(&byte);
    query
        .bytes()
        .map(|byte| if plain(byte) { char::from(byte).into() } else { format!("%{byte:02X}") })
        .collect()
}
