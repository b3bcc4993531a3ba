//! The command line with an agent that answers anything in any pieces: its output is bounded and
//! cannot control a terminal, JSON stays what another parser reads, and the exit code is the one
//! that a second reading of the answer gives.

#![cfg_attr(not(test), no_main)]

use std::io::{Read, Write};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::sync::LazyLock;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use linkbeat::cli::{Command, OutputFormat, execute_to};
use linkbeat::error::Error;
use linkbeat_core::wire::json;
use serde_json::Value;

/// What an agent says, and in pieces of which size.
type Answer = (Vec<u8>, usize);
/// Runs a command, in colour or not, for which the agent has one answer.
type Ask<'a> = &'a dyn Fn(Command, bool) -> (Result<u8, Error>, String);

/// Output beside the texts of an answer: names of rows, words of the program, colour.
const ROW_MAX: usize = 200;
/// Rows that are always there, or once.
const ROWS: usize = 32;

/// An agent on a socket of its own, which answers each connection with what is sent here.
struct Agent {
    socket: PathBuf,
    answers: Sender<Answer>,
}

static AGENT: LazyLock<Agent> = LazyLock::new(Agent::start);

impl Agent {
    fn start() -> Self {
        let directory = linkbeat_fuzz::directory("cli");
        let socket = directory.join("agent.sock");
        let _ = std::fs::remove_file(&socket);
        let listener = UnixListener::bind(&socket).expect("a socket");
        let (answers, to_answer) = channel();
        thread::spawn(move || Self::serve(&listener, &to_answer));
        Self { socket, answers }
    }

    fn serve(listener: &UnixListener, answers: &Receiver<Answer>) {
        while let Ok((answer, size)) = answers.recv() {
            let (mut stream, _) = listener.accept().expect("a connection");
            // The command line may have heard enough.
            let _ = answer.chunks(size).try_for_each(|piece| stream.write_all(piece));
            let _ = stream.shutdown(std::net::Shutdown::Write);
            let _ = stream.read_to_end(&mut Vec::new());
        }
    }
}

/// What a command prints, and its exit code.
fn run(command: Command, colour: bool) -> (Result<u8, Error>, String) {
    let format = OutputFormat { json: false, again: false, terminal: false, colour };
    let mut out = Vec::new();
    let code = execute_to(command, format, &mut out);
    if let Err(error) = &code {
        assert!(matches!(error, Error::NoAgent { .. }), "{error}");
        let text = error.to_string();
        assert!(!text.contains(steers) && text.len() < 1000, "{text:?}");
    }
    (code, String::from_utf8(out).expect("text"))
}

/// Whether a character could control a terminal. The direction of text is that of UAX #9.
fn steers(char: char) -> bool {
    char.is_control() || matches!(char, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

/// The text in lines, without the colours of the program.
fn check_lines(text: &str, colour: bool) {
    let mut text = text.replace('\n', "");
    if colour {
        for sequence in ["\x1b[0m", "\x1b[31m", "\x1b[32m", "\x1b[33m"] {
            text = text.replace(sequence, "");
        }
    }
    assert!(!text.contains(steers), "{text:?}");
}

/// The answer without the greetings at its start, as one that reads the whole of it sees it.
fn without_greeting(mut answer: &[u8]) -> &[u8] {
    while let Some(end) = answer.iter().position(|byte| *byte == b'\n') {
        let line = String::from_utf8_lossy(&answer[..end]);
        if !line.trim().is_empty() && !line.starts_with("linkbeat ") {
            break;
        }
        answer = &answer[end + 1..];
    }
    answer
}

/// The exit code that the manual gives to a status.
fn verdict(status: &Value) -> u8 {
    // Before other numbers, floats among them, the program stops reading.
    let number = |key: &str| status.get(key).and_then(Value::as_u64);
    let state = status.get("state").and_then(Value::as_str).unwrap_or_default();
    let state: String = state.chars().map(|char| if steers(char) { ' ' } else { char }).collect();
    let is_fresh = number("last_heartbeat_ago")
        .is_some_and(|ago| ago <= number("stale_after").unwrap_or_default());
    match (state.as_str(), is_fresh) {
        ("no_uplink" | "offline", _) => 1,
        (_, false) => 2,
        ("online", true) => 0,
        (_, true) => 1,
    }
}

fn status(answer: &Answer, ask: Ask<'_>) {
    let body = without_greeting(&answer.0);
    let object = serde_json::from_slice::<Value>(body).ok().filter(Value::is_object);
    let is_short = answer.0.len() <= json::SIZE_MAX;
    for (json, colour) in [(false, false), (false, true), (true, true)] {
        let command = Command::Status { json, watch: false, socket: Some(AGENT.socket.clone()) };
        let (code, text) = ask(command, colour);
        check_lines(&text.replace(['\t', '\r'], if json { " " } else { "\t" }), colour && !json);
        let Ok(code) = code else {
            assert_eq!(text, "", "an error and a result");
            // The depth of JSON has a limit here.
            let deep = body.iter().filter(|byte| b"{[".contains(byte)).count() > json::DEPTH_MAX;
            assert!(object.is_none() || !is_short || deep, "{:?}", String::from_utf8_lossy(body));
            continue;
        };
        let object = object.as_ref().expect("no object, and a result");
        assert_eq!(code, verdict(object), "{object}");
        if json {
            assert_eq!(serde_json::from_str::<Value>(&text).ok().as_ref(), Some(object));
        } else {
            let lines = text.lines().count();
            let entries = body.iter().filter(|byte| **byte == b',').count();
            assert!(lines <= ROWS + entries, "{lines} lines");
            // Texts are shown twice at most: the one of the uplink in the first line as well.
            assert!(text.len() <= 4 * body.len() + lines * ROW_MAX, "{} bytes", text.len());
        }
    }
}

fn events(answer: &Answer, ask: Ask<'_>) {
    let body = without_greeting(&answer.0);
    let object = serde_json::from_slice::<Value>(body).ok().filter(Value::is_object);
    for (json, colour) in [(false, true), (true, false)] {
        let command = Command::Events { json, follow: false, socket: Some(AGENT.socket.clone()) };
        let (code, text) = ask(command, colour);
        check_lines(&text.replace(['\t', '\r'], if json { " " } else { "\t" }), colour);
        let Ok(code) = code else {
            assert_eq!(text, "", "an error and a result");
            continue;
        };
        let object = object.as_ref().expect("no object, and a result");
        assert_eq!(code, 0);
        if json {
            assert_eq!(serde_json::from_str::<Value>(&text).ok().as_ref(), Some(object));
            continue;
        }
        // One line for each entry with a number, in their order.
        let list = |key: &str| object.get(key).and_then(Value::as_array).into_iter().flatten();
        let entries = list("beats").chain(list("transitions"));
        let count = entries.filter(|entry| entry.get("id").is_some_and(Value::is_u64)).count();
        assert_eq!(text.lines().count(), count, "{text}");
        assert!(text.len() <= 4 * body.len() + count * ROW_MAX, "{} bytes", text.len());
    }
}

/// The first line that is no greeting decides, and is repeated.
fn trigger(answer: &Answer, ask: Ask<'_>) {
    let body = without_greeting(&answer.0);
    let line = body.iter().position(|byte| *byte == b'\n').map(|end| &body[..end]);
    for wait in [false, true] {
        let command = Command::Trigger { reason: None, wait, socket: Some(AGENT.socket.clone()) };
        let (code, text) = ask(command, false);
        let Ok(code) = code else {
            assert_eq!(text, "", "an error and a result");
            continue;
        };
        let line = String::from_utf8_lossy(line.expect("no line, and a result"));
        let line = line.trim_end();
        assert_eq!(
            text.strip_suffix('\n').map(|it| it.chars().count()),
            Some(line.chars().count())
        );
        check_lines(&text, false);
        assert_eq!(text.lines().count(), 1);
        let is = |words: &[&str]| {
            words.iter().any(|word| {
                line.strip_prefix(word)
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', ',']))
            })
        };
        let expected = match code {
            0 => is(&["set", "pending", "seq"]) || (is(&["held"]) && !wait),
            1 => is(&["failed:", "gave"]) || (is(&["held"]) && wait),
            2 => is(&["disabled", "unconfigured"]),
            _ => false,
        };
        assert!(expected, "{code} for {line:?}");
    }
}

linkbeat_fuzz::target!(|data| {
    linkbeat_fuzz::fail_writes_instead_of_dying();
    let Some((first, answer)) = data.split_first() else { return };
    let size = match first >> 2 {
        0 => 1 + answer.len() / 64,
        63 => answer.len().max(1),
        size => usize::from(size) * 8,
    };
    let answer = (answer.to_vec(), size);
    let ask = |command: Command, colour| {
        AGENT.answers.send(answer.clone()).expect("the agent lives");
        run(command, colour)
    };
    match first & 3 {
        0 | 1 => status(&answer, &ask),
        2 => events(&answer, &ask),
        _ => trigger(&answer, &ask),
    }
});
