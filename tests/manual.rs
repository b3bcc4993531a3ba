//! The manual page, the completions and the contract say what the program says: no command, option, key,
//! state, metric or exit code is missing, and none is there that was taken away.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Command;

use linkbeat::status::AgentState;
use linkbeat_support::agent::binary_or;

const MANUAL: &str = include_str!("../src/cli/linkbeat.8");
const BASH: &str = include_str!("../src/cli/shell/linkbeat.bash");
const ZSH: &str = include_str!("../src/cli/shell/_linkbeat");
const FISH: &str = include_str!("../src/cli/shell/linkbeat.fish");
const CONTRACT: &str = include_str!("../src/WIRE.md");

type Words = BTreeSet<String>;

fn linkbeat(arguments: &[&str]) -> String {
    let mut command = Command::new(binary_or(env!("CARGO_BIN_EXE_linkbeat")));
    let output = command.args(arguments).output().expect("run linkbeat");
    String::from_utf8(output.stdout).expect("text")
}

/// The options of each command in `--help` without their dashes. Options without a command are
/// under "".
fn usage() -> BTreeMap<String, Words> {
    let mut commands = BTreeMap::<String, Words>::new();
    for line in linkbeat(&["--help"]).lines().filter_map(|line| line.strip_prefix("  linkbeat ")) {
        let (first, _) = line.split_once(' ').unwrap_or((line, ""));
        let command = if first.starts_with("--") { "" } else { first };
        commands.entry(command.to_owned()).or_default().extend(options(line));
    }
    assert!(commands.len() > 3 && commands.contains_key(""), "{commands:?}");
    commands
}

fn options(text: &str) -> Words {
    let words = text.split(|it: char| !(it.is_ascii_alphanumeric() || it == '-'));
    let named = words.filter_map(|word| word.strip_prefix("--")).filter(|name| !name.is_empty());
    named.map(ToOwned::to_owned).collect()
}

/// The texts between `before` and `after` in each line.
fn between<'a>(text: &'a str, before: &'a str, after: &'a str) -> impl Iterator<Item = &'a str> {
    text.lines().flat_map(move |line| {
        line.split(before).skip(1).map(move |rest| rest.split(after).next().unwrap_or(rest))
    })
}

fn all(usage: &BTreeMap<String, Words>) -> Words {
    usage.values().flatten().cloned().collect()
}

fn named(usage: &BTreeMap<String, Words>) -> Words {
    usage.keys().filter(|name| !name.is_empty()).cloned().collect()
}

/// The text between `first` and `next`.
fn section<'a>(text: &'a str, first: &str, next: &str) -> &'a str {
    let (_, rest) = text.split_once(first).unwrap_or_else(|| panic!("{first} is missing"));
    rest.split_once(next).map_or(rest, |(section, _)| section)
}

#[test]
fn manual_has_every_command_with_its_options_in_synopsis_and_description() {
    let usage = usage();
    let synopsis = section(MANUAL, ".Sh SYNOPSIS\n", ".Sh ").replace("Fl -", "--");
    let description = section(MANUAL, ".Sh DESCRIPTION\n", ".Sh ").replace("Fl -", "--");
    for (command, expected) in usage.iter().filter(|(command, _)| !command.is_empty()) {
        let wanted = section(&synopsis, &format!(".Cm {command}\n"), ".Nm");
        assert_eq!(options(wanted), *expected, "{command} in the synopsis");
        let line = section(&description, &format!(".It Cm {command} "), "\n");
        assert_eq!(options(line), *expected, "{command} in the description");
    }
    for option in &usage[""] {
        assert!(synopsis.contains(&format!(".Nm\n.--{option}\n")), "{option}");
        assert!(description.contains(&format!(".It --{option}\n")), "{option}");
    }
    assert_eq!(options(&MANUAL.replace("Fl -", "--")).len(), all(&usage).len());
}

/// The exit codes in `--help`.
fn codes() -> Words {
    let help = linkbeat(&["--help"]);
    let (_, codes) = help.split_once("exit codes:\n").expect("exit codes in the help");
    codes
        .lines()
        .filter_map(|line| line.strip_prefix("  ")?.split_whitespace().next())
        .filter(|word| word.parse::<u8>().is_ok())
        .map(ToOwned::to_owned)
        .collect()
}

#[test]
fn manual_has_every_exit_code() {
    let part = section(MANUAL, ".Sh EXIT STATUS\n", ".Sh ");
    let documented: Words = between(part, ".It ", "\n").map(ToOwned::to_owned).collect();
    assert_eq!(documented, codes());
}

#[test]
fn trigger_with_wait_fails_for_a_beat_that_is_held_for_longer() {
    let help = linkbeat(&["--help"]);
    let manual = section(MANUAL, ".Sh EXIT STATUS\n", ".Sh ");
    for failed in [
        section(&help, "\n  1   ", "\n  2 "),
        section(manual, ".It 1\n", ".It 2"),
        section(CONTRACT, "\n| 1 | ", "\n"),
    ] {
        let words: Vec<_> = failed.split_whitespace().collect();
        assert!(words.join(" ").contains("held for longer"), "{failed}");
    }
}

/// What `linkbeat check` says of a configuration.
fn check(test: &str, json: &str) -> String {
    let name = format!("linkbeat-manual-{test}-{}", std::process::id());
    let directory = std::env::temp_dir().join(name);
    fs::create_dir_all(&directory).expect("make a directory");
    let file = directory.join("linkbeat.json");
    fs::write(&file, json).expect("write a file");
    let shown = linkbeat(&["check", file.to_str().expect("a path in UTF-8")]);
    fs::remove_dir_all(&directory).expect("remove a directory");
    shown
}

/// Every key of the configuration.
fn keys(test: &str) -> Words {
    let shown = check(test, r#"{"watch": [{"name": "a", "address": "127.0.0.1:1"}]}"#);
    let key = |line: &str| {
        let (key, _) = line.split_once(": ")?;
        let sound = |it: u8| it.is_ascii_lowercase() || it.is_ascii_digit() || b"_.".contains(&it);
        key.bytes().all(sound).then(|| key.to_owned())
    };
    let keys: Words = shown.lines().filter_map(key).filter(|key| key != "read").collect();
    assert!(keys.len() > 20, "{shown}");
    keys
}

#[test]
fn manual_has_every_key_of_the_configuration() {
    let part = section(MANUAL, ".Sh CONFIGURATION\n", ".Sh ");
    let documented = between(part, ".It Cm ", "\n").flat_map(|line| line.split(" , "));
    assert_eq!(documented.map(ToOwned::to_owned).collect::<Words>(), keys("manual"));
}

#[test]
fn manual_has_every_state() {
    let part = section(MANUAL, ".Sh STATES\n", ".Sh ");
    let states: Vec<_> = AgentState::ALL.iter().map(ToString::to_string).collect();
    assert_eq!(between(part, ".It Cm ", "\n").collect::<Vec<_>>(), states);
}

/// What stands in code font.
fn code(text: &str) -> impl Iterator<Item = String> {
    text.split('`').skip(1).step_by(2).map(ToOwned::to_owned)
}

/// What stands in code font in the first column of the tables.
fn column(text: &str) -> Vec<String> {
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `")?.split(" |").next());
    rows.flat_map(|cell| code(&format!("`{cell}")).collect::<Vec<_>>()).collect()
}

#[test]
fn contract_has_every_key_of_the_configuration() {
    let section_2 = section(CONTRACT, "\n## 2. ", "\n## 3. ");
    let shared = section(section_2, "`meeting.json` has", "\n\n");
    let own = column(section(section_2, "\n### linkbeat's own keys\n", "\n### "));
    let documented: Words = code(shared).chain(own).collect();
    assert_eq!(documented, keys("contract"));
}

#[test]
fn contract_has_every_field_of_a_beat_in_its_order() {
    let report = include_str!("vectors/http/report.json");
    let members = report.trim_start_matches("{\"").split(",\"");
    let fields = members.filter_map(|member| member.split("\":").next());
    // They are there after a change in reserve and after an outage.
    let fields: Vec<_> = fields.chain(["standby", "outage", "outages_more"]).collect();
    let documented = column(section(CONTRACT, "\n### The request\n", "\n### "));
    assert_eq!(documented, fields);
}

#[test]
fn contract_has_every_exit_code_state_and_metric() {
    let table = section(CONTRACT, "\n| exit code |", "\n\n").lines().skip(2);
    let documented =
        table.filter_map(|row| row.split('|').nth(1)).map(|cell| cell.trim().to_owned());
    assert_eq!(documented.collect::<Words>(), codes());

    let states: Vec<_> = AgentState::ALL.iter().map(ToString::to_string).collect();
    let documented =
        code(section(CONTRACT, "\nThe states, the first that is true: ", ". `connected`"));
    assert_eq!(documented.filter(|it| it != "auto_connect").collect::<Vec<_>>(), states);

    let shown = between(include_str!("vectors/metrics/all.prom"), "# TYPE ", " ");
    // They are shown where uplinks in reserve are tested and services are watched.
    let metrics =
        shown.chain(["linkbeat_standby_up", "linkbeat_service_up"]).map(ToOwned::to_owned);
    let documented = code(section(CONTRACT, "\n### Metrics\n", "\n### "));
    let names = documented.map(|it| it.split('{').next().unwrap_or_default().to_owned());
    let documented: Words = names.filter(|it| it.contains('_')).collect();
    assert_eq!(documented, metrics.collect::<Words>());
}

fn words(text: &str) -> Words {
    text.split(' ').map(ToOwned::to_owned).collect()
}

fn dashed(words: &Words) -> Words {
    words.iter().map(|it| format!("--{it}")).collect()
}

#[test]
fn bash_completes_every_command_and_option() {
    let usage = usage();
    let first = words(section(BASH, "-eq 1 ]; then\n        words='", "'"));
    assert_eq!(first, &named(&usage) | &dashed(&usage[""]));
    for (command, expected) in usage.iter().filter(|(_, options)| !options.is_empty()) {
        if !command.is_empty() {
            let completed = words(section(BASH, &format!(" {command}) words='"), "'"));
            assert_eq!(completed, dashed(expected), "{command}");
        }
    }
    assert_eq!(options(BASH), all(&usage));
}

#[test]
fn zsh_completes_every_command_and_option() {
    let usage = usage();
    let completed = section(ZSH, "commands=(\n", "\n    )").lines().filter_map(|line| {
        line.trim().strip_prefix('\'')?.split(':').next().map(ToOwned::to_owned)
    });
    assert_eq!(completed.collect::<Words>(), named(&usage));
    for (command, expected) in usage.iter().filter(|(command, _)| !command.is_empty()) {
        let completed =
            section(ZSH, &format!("\n    {command})"), ";;").replace("$socket", "--socket");
        assert_eq!(options(&completed), *expected, "{command}");
    }
    assert_eq!(options(ZSH), all(&usage));
}

#[test]
fn fish_completes_every_command_and_option() {
    let usage = usage();
    assert_eq!(words(section(FISH, "set -l commands ", "\n")), named(&usage));
    let completed = between(FISH, " -a ", " ").map(ToOwned::to_owned);
    assert_eq!(completed.collect::<Words>(), named(&usage));
    for (command, expected) in usage.iter().filter(|(command, _)| !command.is_empty()) {
        let completed = FISH.lines().filter(|line| {
            let mut of = between(line, "'__fish_seen_subcommand_from ", "'");
            of.any(|commands| words(commands).contains(command))
        });
        let completed =
            completed.flat_map(|line| between(line, " -l ", " ")).map(ToOwned::to_owned);
        assert_eq!(completed.collect::<Words>(), *expected, "{command}");
    }
    assert_eq!(options(&FISH.replace(" -l commands", "").replace("-l ", "--")), all(&usage));
}
