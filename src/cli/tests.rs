//! Which command lines are accepted, and the errors of the others.

use super::*;
use crate::error::EXIT_USAGE;

fn parsed(line: &str) -> Result<Command, String> {
    let arguments = line.split_whitespace().map(|word| OsString::from(word.replace("''", "")));
    parse(arguments).map_err(|error| {
        assert!(matches!(error, Error::Usage(_)), "{error:?}");
        error.to_string()
    })
}

#[test]
fn every_form_of_every_command_is_understood() {
    let path = |path: &str| Some(PathBuf::from(path));
    let run = |config: &str, trigger_fd| Command::Run {
        config: config.into(),
        trigger_fd,
        sandbox: true,
    };
    let trigger = |reason: Option<&str>, wait, socket| Command::Trigger {
        reason: reason.and_then(Word::new),
        wait,
        socket,
    };
    let status = |json, watch, socket| Command::Status { json, watch, socket };
    let events = |json, follow, socket| Command::Events { json, follow, socket };
    for (line, command) in [
        ("run", run(DEFAULT_FILE, None)),
        ("run --config /x", run("/x", None)),
        ("run --trigger-fd=7 --config=/x", run("/x", Some(7))),
        (
            "run --no-sandbox",
            Command::Run { config: DEFAULT_FILE.into(), trigger_fd: None, sandbox: false },
        ),
        ("trigger", trigger(None, false, None)),
        ("trigger --wait", trigger(None, true, None)),
        ("trigger --socket s --reason a.B-c_1 --wait", trigger(Some("a.B-c_1"), true, path("s"))),
        ("status", status(false, false, None)),
        ("status --socket s --json", status(true, false, path("s"))),
        ("status --watch", status(false, true, None)),
        ("events", events(false, false, None)),
        ("events --follow --socket=s --json", events(true, true, path("s"))),
        ("check", Command::Check { file: None, pin: false }),
        ("check f", Command::Check { file: path("f"), pin: false }),
        ("check -- --f", Command::Check { file: path("--f"), pin: false }),
        ("check --pin", Command::Check { file: None, pin: true }),
        ("check f --pin", Command::Check { file: path("f"), pin: true }),
        ("--version", Command::Version),
        ("--help", Command::Help),
        ("run --help", Command::Help),
        ("trigger --help", Command::Help),
        ("status --help", Command::Help),
        ("events --help", Command::Help),
        ("check --help", Command::Help),
        ("-h", Command::Help),
        ("help", Command::Help),
        ("run -h", Command::Help),
        ("-V", Command::Version),
    ] {
        assert_eq!(parsed(line), Ok(command), "{line}");
    }
}

#[test]
fn wrong_usage_is_named() {
    let long = format!("trigger --reason {}", "x".repeat(65));
    for (line, words) in [
        ("", "no command is given"),
        ("event", "unknown command \"event\""),
        ("events x", "\"x\""),
        ("events --watch", "'--watch'"),
        ("Run", "unknown command \"Run\""),
        ("-x", "'-x'"),
        ("--json", "'--json'"),
        ("--version x", "\"x\""),
        ("--help --version", "'--version'"),
        ("run x", "\"x\""),
        ("run --config", "'--config'"),
        ("run --config ''", "the path is empty"),
        ("run --trigger-fd", "'--trigger-fd'"),
        ("run --trigger-fd x", "\"x\": --trigger-fd takes the number"),
        ("run --trigger-fd -1", "\"-1\": --trigger-fd takes the number"),
        ("run --trigger-fd 4294967296", "--trigger-fd takes the number"),
        ("run --wait", "'--wait'"),
        ("trigger door", "\"door\""),
        ("trigger --reason a:b", "\"a:b\": --reason takes 1 to 64 of"),
        ("trigger --reason ''", "--reason takes 1 to 64 of"),
        (&long, "--reason takes 1 to 64 of"),
        ("trigger --wait=1", "'--wait'"),
        ("trigger --socket", "'--socket'"),
        ("trigger --socket ''", "the path is empty"),
        ("status x", "\"x\""),
        ("status --jsn", "'--jsn'"),
        ("check a b", "\"b\""),
        ("check ''", "the path is empty"),
        ("check --json", "'--json'"),
    ] {
        let error = parsed(line).unwrap_err();
        assert!(error.contains(words), "{line}: {error}");
        assert!(!error.contains('\n'), "{line}: {error}");
    }
    assert_eq!(EXIT_USAGE, 64);
}

#[test]
fn argument_that_is_no_unicode_is_refused_where_a_word_is_wanted() {
    use std::os::unix::ffi::OsStringExt;
    let rubbish = || OsString::from_vec(vec![0xFF]);
    assert!(parse([rubbish()]).is_err());
    assert!(parse(["trigger".into(), "--reason".into(), rubbish()]).is_err());
    let command = parse(["check".into(), rubbish()]).unwrap();
    assert_eq!(command, Command::Check { file: Some(rubbish().into()), pin: false });
}

#[test]
fn help_fits_a_terminal_and_names_every_command_and_exit_code() {
    for line in HELP.lines() {
        assert!(line.chars().count() <= 80, "{line}");
    }
    for word in ["run", "trigger", "status", "events", "check", "--version", "--help", DEFAULT_FILE]
    {
        assert!(HELP.contains(word), "{word}");
    }
    for code in [0, 1, 2, 3, 64, 71, 78] {
        let line = format!("\n  {code:<4}");
        assert!(HELP.contains(&line), "{code}");
    }
}
