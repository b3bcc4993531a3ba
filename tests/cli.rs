//! The command line of the real binary, against fake agents that answer, send garbage, hang or
//! close.

use std::ffi::OsStr;
use std::fs::{self, File, Permissions};
use std::io::{BufRead, BufReader, Read, Write, pipe};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread::{self, JoinHandle};

use linkbeat_core::wire::line::GREETING;
use linkbeat_support::agent::binary_or;
use rustix::process::geteuid;
use socket2::{Domain, SockAddr, Socket, Type};

/// The binary under test: the one in `LINKBEAT`, or that of this build.
fn binary() -> PathBuf {
    binary_or(env!("CARGO_BIN_EXE_linkbeat"))
}

/// A directory for one test, removed on drop.
struct Directory(PathBuf);

impl Directory {
    fn new(test: &str) -> Self {
        let path = std::env::temp_dir().join(format!("linkbeat-cli-{test}-{}", std::process::id()));
        fs::create_dir_all(&path).expect("a directory of our own");
        Self(path)
    }

    fn socket(&self) -> PathBuf {
        self.0.join("trigger.sock")
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, text).expect("a file of our own");
        path
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).expect("remove our own directory");
    }
}

fn linkbeat(arguments: &[&str]) -> Output {
    Command::new(binary()).args(arguments).output().expect("run linkbeat")
}

/// Runs `linkbeat` with the arguments and this socket.
fn at(socket: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(binary());
    command.args(arguments).arg("--socket").arg(socket).output().expect("run linkbeat")
}

fn code(output: &Output) -> i32 {
    output.status.code().expect("no signal")
}

fn stdout(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).expect("text")
}

fn stderr(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).expect("text")
}

/// A fake agent for one connection: reads a line, sends `answer` and closes. Returns the line.
fn agent(socket: &Path, answer: &str) -> JoinHandle<String> {
    let listener = UnixListener::bind(socket).expect("bind in our own directory");
    let answer = answer.to_owned();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a connection");
        let mut line = String::new();
        // The greeting comes first, without a request.
        let (greeting, rest) = answer.split_at(answer.find('\n').map_or(0, |end| end + 1));
        stream.write_all(greeting.as_bytes()).expect("greet");
        BufReader::new(&stream).read_line(&mut line).expect("a line");
        // The client may have closed after the part that it needs.
        stream.write_all(rest.as_bytes()).ok();
        line
    })
}

/// The output of `linkbeat` if the agent sends `answer` after its greeting, and the line that it
/// received.
fn answered(test: &str, arguments: &[&str], answer: &str) -> (Output, String) {
    let directory = Directory::new(test);
    let agent = agent(&directory.socket(), &format!("{GREETING}{answer}"));
    let output = at(&directory.socket(), arguments);
    (output, agent.join().expect("the agent ends"))
}

#[test]
fn trigger_prints_the_answer_and_exits_with_its_code() {
    for (number, (arguments, line, answer, exit)) in [
        (&["trigger"][..], "trigger \n", "set", 0),
        (&["trigger"], "trigger \n", "pending", 0),
        (&["trigger", "--reason", "door-1"], "trigger door-1\n", "set", 0),
        (&["trigger"], "trigger \n", "held until 2026-02-02T12:34:56Z", 0),
        (&["trigger"], "trigger \n", "disabled", 2),
        (&["trigger"], "trigger \n", "unconfigured", 2),
        (&["trigger", "--wait"], "trigger --wait \n", "seq 812, 200, 83 ms, via wlan0", 0),
        (
            &["trigger", "--wait", "--reason", "x"],
            "trigger --wait x\n",
            "failed: seq 812, no answer in time, next try at 2026-02-02T12:34:56Z",
            1,
        ),
        (
            &["trigger", "--wait"],
            "trigger --wait \n",
            "gave up after 15 s: seq 812 is not answered yet",
            1,
        ),
        (&["trigger", "--wait"], "trigger --wait \n", "held until 2026-02-02T12:34:56Z", 1),
    ]
    .into_iter()
    .enumerate()
    {
        let test = format!("trigger-{number}");
        let (output, heard) = answered(&test, arguments, &format!("{answer}\n"));
        assert_eq!(heard, line);
        assert_eq!(stdout(&output), format!("{answer}\n"));
        assert_eq!((stderr(&output), code(&output)), ("", exit), "{answer}");
    }
}

#[test]
fn answer_is_found_with_and_without_a_greeting() {
    for (test, answer) in [("bare", "\nset\n"), ("empty", "linkbeat 1\n\n\nset\n")] {
        let directory = Directory::new(test);
        let agent = agent(&directory.socket(), answer);
        let output = at(&directory.socket(), &["trigger"]);
        assert_eq!((stdout(&output), code(&output)), ("set\n", 0), "{test}");
        agent.join().unwrap();
    }
}

#[test]
fn answer_cannot_steer_the_terminal() {
    let answer = "failed: seq 1, \x1b]0;mine\x07\u{9b}31m\n";
    let (output, _) = answered("steer", &["trigger", "--wait"], answer);
    assert_eq!(stdout(&output), "failed: seq 1,  ]0;mine  31m\n");
    assert_eq!(code(&output), 1);
}

#[test]
fn malformed_answer_is_an_error() {
    let long = "x".repeat(70_000);
    for (number, (arguments, answer, words)) in [
        (&["trigger"][..], "error: too many helpers\n", "error: too many helpers"),
        (&["trigger"], "setup\n", "setup"),
        (&["trigger"], "se", "end of file"),
        (&["trigger"], "", "end of file"),
        (&["trigger"], &long, "too large"),
        (&["status"], "error: \x1b[2Jno\n", "error:  [2Jno"),
        (&["status"], "", "end of file"),
        (&["status"], "{\"state\": \"onl", "{\"state\": \"onl"),
        (&["status"], "[]", "[]"),
        (&["status", "--json"], "{} {}", "{} {}"),
        (&["status"], &long, "too large"),
    ]
    .into_iter()
    .enumerate()
    {
        let (output, _) = answered(&format!("nonsense-{number}"), arguments, answer);
        let error = stderr(&output);
        assert_eq!((stdout(&output), code(&output)), ("", 3), "{error}");
        assert!(error.contains("no agent answers on") && error.contains(words), "{error}");
        assert_eq!(error.lines().count(), 1, "{error}");
    }
}

#[test]
fn status_is_a_page_with_an_exit_code() {
    for (state, ago, exit) in [
        ("online", "12", 0),
        ("offline", "12", 1),
        ("no_uplink", "900", 1),
        ("rejected", "12", 1),
        ("rejected", "71", 2),
        ("online", "71", 2),
        ("starting", "null", 2),
    ] {
        let json = format!(
            r#"{{"state": "{state}", "last_heartbeat_ago": {ago}, "stale_after": 70, "since_ago": 5,
                "meaning": "in words", "advice": "what to do"}}"#
        );
        let (output, line) = answered(&format!("page-{state}-{ago}"), &["status"], &json);
        assert_eq!(line, "status\n");
        let name = state.replace('_', " ");
        let begin = format!("{name} for 5 s: in words\n");
        assert!(stdout(&output).starts_with(&begin), "{output:?}");
        assert!(stdout(&output).contains("\n  what to do   what to do\n"), "{output:?}");
        assert_eq!((stderr(&output), code(&output)), ("", exit), "{json}");
    }
}

#[test]
fn status_of_an_older_agent_is_a_page_without_words_that_it_does_not_send() {
    let json = r#"{"state": "rejected", "last_heartbeat_ago": 5, "stale_after": 70, "since_ago": 5,
        "cause": "http_404", "last_error": "the server answered 404"}"#;
    let (output, _) = answered("older", &["status"], json);
    let begin = "rejected for 5 s\n  error        the server answered 404\n  last beat    none";
    assert!(stdout(&output).starts_with(begin), "{output:?}");
    assert_eq!((stderr(&output), code(&output)), ("", 1));
}

#[test]
fn status_as_json_is_the_same_json_without_a_steering_byte() {
    let json = "{\n\"state\": \"offline\", \"last_error\": \"a\u{9b}b\u{7f}c é\"}";
    let (output, _) = answered("json", &["status", "--json"], json);
    let expected = "{\n\"state\": \"offline\", \"last_error\": \"a\\u009bb\\u007fc é\"}\n";
    assert_eq!((stdout(&output), code(&output)), (expected, 1));
    let [before, after]: [serde_json::Value; 2] =
        [json, expected].map(|text| serde_json::from_str(text).unwrap());
    assert_eq!(before, after);
}

#[test]
fn missing_agent_is_reported_with_the_socket() {
    let directory = Directory::new("absent");
    let socket = directory.socket();
    for arguments in [&["status"][..], &["status", "--json"], &["trigger"], &["trigger", "--wait"]]
    {
        let output = at(&socket, arguments);
        let error = format!("linkbeat: no agent answers on {}: No such file", socket.display());
        assert!(stderr(&output).starts_with(&error), "{output:?}");
        assert!(stderr(&output).contains("systemctl restart linkbeat, or "), "{output:?}");
        assert_eq!((stdout(&output), code(&output)), ("", 3));
    }
}

#[test]
fn socket_of_a_dead_agent_is_reported_as_no_agent() {
    let directory = Directory::new("dead");
    drop(UnixListener::bind(directory.socket()).unwrap());
    let output = at(&directory.socket(), &["status"]);
    assert!(stderr(&output).contains("refused"), "{output:?}");
    assert_eq!(code(&output), 3);
}

#[test]
fn path_that_is_too_long_is_reported() {
    let output = at(Path::new(&"x".repeat(200)), &["status"]);
    assert!(stderr(&output).contains("xxx: "), "{output:?}");
    assert_eq!(code(&output), 3);
}

#[test]
fn hanging_agent_times_out() {
    let directory = Directory::new("hanging");
    let listener = UnixListener::bind(directory.socket()).unwrap();
    let output = at(&directory.socket(), &["status"]);
    assert!(stderr(&output).contains("timed out"), "{output:?}");
    assert_eq!(code(&output), 3);
    drop(listener);
}

#[test]
fn hanging_agent_with_a_full_queue_times_out() {
    let directory = Directory::new("full");
    let address = SockAddr::unix(directory.socket()).unwrap();
    let listener = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
    listener.bind(&address).unwrap();
    listener.listen(0).unwrap();
    let first = UnixStream::connect(directory.socket()).unwrap();
    let output = at(&directory.socket(), &["trigger"]);
    assert!(stderr(&output).contains("timed out"), "{output:?}");
    assert_eq!(code(&output), 3);
    drop((listener, first));
}

#[test]
fn socket_without_permission_is_a_system_error() {
    let directory = Directory::new("denied");
    let listener = UnixListener::bind(directory.socket()).unwrap();
    fs::set_permissions(directory.socket(), Permissions::from_mode(0o000)).unwrap();
    let mut command = Command::new("setpriv");
    if geteuid().is_root() {
        // Otherwise root may connect whatever the mode is (capabilities(7)).
        command.arg("--bounding-set=-dac_override");
    }
    command.arg("--no-new-privs").arg(binary()).args(["status", "--socket"]);
    let output = command.arg(directory.socket()).output().unwrap();
    let error = format!("linkbeat: connect to {}: Permission denied", directory.socket().display());
    assert!(stderr(&output).starts_with(&error), "{output:?}");
    assert!(stderr(&output).ends_with("members of the group linkbeat\n"), "{output:?}");
    assert_eq!(code(&output), 71);
    drop(listener);
}

#[test]
fn wrong_usage_exits_64_and_points_to_the_help() {
    for arguments in [
        &[][..],
        &["events", "--watch"],
        &["run", "--trigger-fd", "x"],
        &["trigger", "--reason", "a b"],
        &["status", "--colour"],
        &["check", "a", "b"],
    ] {
        let output = linkbeat(arguments);
        assert_eq!((stdout(&output), code(&output)), ("", 64), "{arguments:?}");
        let error = stderr(&output);
        assert!(error.starts_with("linkbeat: "), "{error}");
        assert!(error.ends_with("; see linkbeat --help\n"), "{error}");
        assert_eq!(error.lines().count(), 1, "{error}");
    }
}

/// As in every binary: the one for a device is built without `{:?}`.
#[test]
fn names_in_messages_are_quoted() {
    let non_unicode = OsStr::from_bytes(b"\xff");
    for (arguments, words) in [
        (&["event"].map(OsStr::new)[..], r#"unknown command "event""#),
        (&["run", "a\"\u{1b}é"].map(OsStr::new), r#"unexpected argument "a\"\u{1b}é""#),
        (
            &["run", "--trigger-fd", "x"].map(OsStr::new),
            "cannot parse argument \"x\": --trigger-fd takes the number of a descriptor",
        ),
        (
            &["trigger", "--wait=1"].map(OsStr::new),
            "unexpected argument for option '--wait': \"1\"",
        ),
        (
            &[OsStr::new("trigger"), OsStr::new("--reason"), non_unicode],
            "argument is invalid unicode: \"\u{fffd}\"",
        ),
        (&["trigger", "--jsn"].map(OsStr::new), "invalid option '--jsn'"),
    ] {
        let output = Command::new(binary()).args(arguments).output().expect("run linkbeat");
        assert_eq!(stderr(&output), format!("linkbeat: {words}; see linkbeat --help\n"));
    }
    let directory = Directory::new("quoted");
    for (text, words) in [
        (r#"{"api_ulr": "http://h"}"#, r#"unknown key "api_ulr", did you mean "api_url"?"#),
        (
            r#"{"note": true, "note": true}"#,
            r#""note" is there more than once, the last one counts"#,
        ),
        ("{'api_url': 1}", "expected a key in double quotes or '}', found '\\''"),
    ] {
        let output = linkbeat(&["check", directory.file("meeting.json", text).to_str().unwrap()]);
        assert!(stdout(&output).lines().any(|line| line.ends_with(words)), "{words}: {output:?}");
    }
}

#[test]
fn version_and_help_go_to_standard_output() {
    let output = linkbeat(&["--version"]);
    let version = concat!("linkbeat ", env!("CARGO_PKG_VERSION"), "\n");
    assert_eq!((stdout(&output), stderr(&output), code(&output)), (version, "", 0));
    for arguments in [&["--help"][..], &["run", "--help"], &["status", "--help"]] {
        let output = linkbeat(arguments);
        assert_eq!((stderr(&output), code(&output)), ("", 0));
        assert_eq!(stdout(&output), linkbeat::cli::HELP);
    }
}

#[test]
fn check_exits_78_on_a_bad_file() {
    let directory = Directory::new("check");
    let good = directory.file("meeting.json", r#"{"api_url": "https://h"}"#);
    let output = linkbeat(&["check", good.to_str().unwrap()]);
    assert_eq!((stderr(&output), code(&output)), ("", 0));
    assert!(stdout(&output).contains("api_url: https://h\n"));
    let bad = directory.file("meeting.json", r#"{"api_url": 1}"#);
    let output = linkbeat(&["check", bad.to_str().unwrap()]);
    assert!(stdout(&output).contains("meeting.json:1:13: error: api_url"), "{output:?}");
    assert_eq!(stderr(&output), "linkbeat: the configuration is invalid\n");
    assert_eq!(code(&output), 78);
    let output = linkbeat(&["check", "/nonexistent/meeting.json"]);
    assert_eq!(code(&output), 78);
}

#[test]
fn descriptor_that_is_no_eventfd_is_refused_at_start() {
    for number in ["4294967295", "0"] {
        let mut command = Command::new(binary());
        command.args(["run", "--trigger-fd", number]).stdin(Stdio::null());
        assert_eq!(code(&command.output().unwrap()), 71, "{number}");
    }
}

/// A pipe without a reader.
fn nobody() -> Stdio {
    let (reader, writer) = pipe().expect("a pipe");
    drop(reader);
    writer.into()
}

#[test]
fn closed_output_pipe_does_not_change_the_exit_code() {
    let directory = Directory::new("gone");
    let bad = directory.file("meeting.json", "{");
    for (arguments, exit) in
        [(&["--help"][..], 0), (&["--version"], 0), (&["check", bad.to_str().unwrap()], 78)]
    {
        let output = Command::new(binary()).args(arguments).stdout(nobody()).output().unwrap();
        assert_eq!(code(&output), exit, "{output:?}");
    }
    let agent =
        agent(&directory.socket(), "linkbeat 1\n{\"state\": \"offline\", \"meaning\": \"m\"}");
    let mut command = Command::new(binary());
    command.arg("status").arg("--socket").arg(directory.socket()).stdout(nobody());
    let output = command.output().unwrap();
    assert_eq!((stderr(&output), code(&output)), ("", 1));
    agent.join().unwrap();
}

#[test]
fn failed_write_of_the_output_is_a_system_error() {
    let full = File::options().write(true).open("/dev/full").unwrap();
    let output = Command::new(binary()).arg("--help").stdout(full).output().unwrap();
    assert!(stderr(&output).contains("write to standard output: No space left"), "{output:?}");
    assert_eq!(code(&output), 71);
}

#[test]
fn page_for_a_pipe_has_no_colour() {
    let (reader, writer) = pipe().unwrap();
    let directory = Directory::new("colour");
    let agent =
        agent(&directory.socket(), "linkbeat 1\n{\"state\": \"offline\", \"meaning\": \"m\"}");
    let mut command = Command::new(binary());
    command.arg("status").arg("--socket").arg(directory.socket());
    command.env("TERM", "xterm").env_remove("NO_COLOR").stdout(writer);
    command.status().unwrap();
    drop(command);
    let mut page = String::new();
    BufReader::new(reader).read_to_string(&mut page).unwrap();
    assert!(page.starts_with("offline: ") && !page.contains('\x1b'), "{page}");
    agent.join().unwrap();
}
