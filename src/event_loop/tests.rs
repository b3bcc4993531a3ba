//! The form of the texts that people read: advice, errors and warnings, all of them.
//!
//! A text is one line of at most [`LENGTH_MAX`] characters, without double spaces and without the
//! output of `Debug`. An error begins in lower case and ends without a full stop. Advice begins with
//! what to do. The enums behind the texts are listed variant by variant: a new one does not compile
//! until it is listed here.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::{fs, io};

use rustix::io::Errno;

use super::reporter::Reporter;
use crate::cli;
use crate::cli::check::tests::findings;
use crate::config;
use crate::config::manager::tests::device;
use crate::config::manager::{DisconnectsWifi, SecondSender, Unreadable};
use crate::config::rp_filter::Strict;
use crate::error::Error;
use crate::net::local::{self, Listen};
use crate::net::tls::{self, Flaw, LeftOut, Purpose};
use crate::scratch::Scratch;
use crate::status::network::{FailedPath, LinksLeftOut, NoWay};
use crate::status::tests::every_advice;
use crate::status::{AgentState, TEXT_MAX};
use linkbeat_core::proto::agent::Obstacle;
use linkbeat_core::proto::event::{Failure, Note, Reason, TlsFailure};
use linkbeat_core::proto::link::{InterfaceName, LinkIndex};
use linkbeat_core::proto::route::Family;
use linkbeat_core::proto::time::Instant;
use linkbeat_core::wire::http_server::Refusal;
use linkbeat_core::wire::json::{self, Expected};
use linkbeat_core::wire::line::BadLine;
use linkbeat_core::wire::request::UrlError;

/// Longest text, in characters: two lines of a terminal.
const LENGTH_MAX: usize = 160;

/// Values as long as they come in practice, which the texts are to leave room for.
const FILE: &str = "/etc/rpi-cam/meeting.json";
const INTERFACE: &str = "enx001122334455";
const PEER: &str = "[2001:db8:1234:5678:9abc:def0:1234:5678]:8443";

/// The words that advice begins with.
const ORDERS: [&str; 20] = [
    "add",
    "change",
    "check",
    "compare",
    "correct",
    "enable",
    "find",
    "have",
    "log",
    "look",
    "plug",
    "provision",
    "remove",
    "renew",
    "report",
    "request",
    "set",
    "start",
    "wait",
    "write",
];

/// The values of each variant; the match makes sure that no variant is missing.
macro_rules! every {
    ($type:ty: $($variant:pat => $values:expr),+ $(,)?) => {{
        let _listed = |value: &$type| match value { $($variant => {})+ };
        let mut values: Vec<$type> = Vec::new();
        $(values.extend($values);)+
        values
    }};
}

/// What is wrong with the form of any text.
fn flaw(text: &str) -> Option<&'static str> {
    let length = text.chars().count();
    // `Debug` has names in front of brackets, and escapes of its own.
    let mut brackets = text.match_indices('(').map(|(at, _)| text.get(..at).unwrap_or_default());
    match text {
        "" => Some("empty"),
        _ if text.trim() != text => Some("spaces around it"),
        _ if text.contains("  ") => Some("double space"),
        _ if text.contains(char::is_control) => Some("control character"),
        _ if length > LENGTH_MAX => Some("too long"),
        _ if brackets.any(|before| !before.is_empty() && !before.ends_with(' ')) => {
            Some("output of Debug")
        }
        _ if text.contains(" {") || text.contains("\\u{") => Some("output of Debug"),
        _ => None,
    }
}

/// What is wrong with the form of an error or a warning.
fn flaw_of_error(text: &str) -> Option<&'static str> {
    let mut first = text.chars();
    let begins_sentence = first.next().is_some_and(char::is_uppercase)
        && first.next().is_some_and(|next| next.is_lowercase() || next == ' ');
    if begins_sentence {
        Some("not in lower case")
    } else if text.ends_with(['.', '!', ':', ',', ';']) {
        Some("ends with a stop")
    } else {
        flaw(text)
    }
}

/// What is wrong with the form of advice.
fn flaw_of_advice(text: &str) -> Option<&'static str> {
    let first = text.split(' ').next().unwrap_or_default().trim_end_matches(':');
    if !ORDERS.contains(&first) {
        Some("does not say what to do")
    } else if text.contains(['{', '}']) {
        Some("a name is not filled in")
    } else {
        flaw_of_error(text)
    }
}

/// Fails with all texts that have a flaw.
fn assert_all<T: Display>(
    texts: impl IntoIterator<Item = T>,
    flaw: fn(&str) -> Option<&'static str>,
) {
    let texts: Vec<String> = texts.into_iter().map(|text| text.to_string()).collect();
    assert!(!texts.is_empty(), "nothing to check");
    let flawed = |text: &String| Some(format!("{}: {text}", flaw(text)?));
    let flawed: BTreeSet<String> = texts.iter().filter_map(flawed).collect();
    assert!(flawed.is_empty(), "{flawed:#?}");
}

fn assert_errors<T: Display>(texts: impl IntoIterator<Item = T>) {
    assert_all(texts, flaw_of_error);
}

fn interface() -> InterfaceName {
    InterfaceName::new(INTERFACE).expect("15 characters")
}

fn failures() -> Vec<Failure> {
    let tls = every!(TlsFailure:
        TlsFailure::NotYetValid => [TlsFailure::NotYetValid],
        TlsFailure::Expired => [TlsFailure::Expired],
        TlsFailure::WrongName => [TlsFailure::WrongName],
        TlsFailure::UnknownIssuer => [TlsFailure::UnknownIssuer],
        TlsFailure::WrongKey => [TlsFailure::WrongKey],
        TlsFailure::BadCertificate => [TlsFailure::BadCertificate],
        TlsFailure::RefusedByServer => [TlsFailure::RefusedByServer],
        TlsFailure::ClientCertificateWanted => [TlsFailure::ClientCertificateWanted],
        TlsFailure::ClientCertificateRefused => [TlsFailure::ClientCertificateRefused],
        TlsFailure::Handshake => [TlsFailure::Handshake],
    );
    every!(Failure:
        Failure::Refused => [Failure::Refused],
        Failure::Unreachable => [Failure::Unreachable],
        Failure::TimedOut => [Failure::TimedOut],
        Failure::Reset => [Failure::Reset],
        Failure::Closed => [Failure::Closed],
        Failure::NoInterface => [Failure::NoInterface],
        Failure::Denied => [Failure::Denied],
        Failure::Exhausted => [Failure::Exhausted],
        Failure::Tls(_) => tls.iter().copied().map(Failure::Tls),
        Failure::Malformed => [Failure::Malformed],
        Failure::Http2Only => [Failure::Http2Only],
        Failure::TooLarge => [Failure::TooLarge],
        Failure::Status(_) => (300..600).map(Failure::Status),
        Failure::Portal(_) => [Failure::Portal(200), Failure::Portal(302), Failure::Portal(511)],
        Failure::NotAccepted => [Failure::NotAccepted],
        Failure::NameNotFound => [Failure::NameNotFound],
        Failure::NameServerFailed => [Failure::NameServerFailed],
        Failure::NameServerSilent => [Failure::NameServerSilent],
        Failure::NoNameserver => [Failure::NoNameserver],
    )
}

fn obstacles() -> Vec<NoWay> {
    let (index, to) = (LinkIndex(2), "2001:db8:1234:5678:9abc:def0:1234:5678".parse().ok());
    let ignored =
        ["docker0", "veth0a1b2c3", "br-0123456789ab"].into_iter().map_while(InterfaceName::new);
    let obstacles = every!(Obstacle:
        Obstacle::NoInterface => [Obstacle::NoInterface],
        Obstacle::NoCarrier(_) => [Obstacle::NoCarrier(interface())],
        Obstacle::Ignored(_) => [Obstacle::Ignored(ignored.collect())],
        Obstacle::NoRoute(..) => [
            Obstacle::NoRoute(index, interface(), to),
            Obstacle::NoRoute(index, interface(), None),
        ],
    );
    let addressed = |obstacle: Obstacle| {
        [true, false].map(|addressed| NoWay { obstacle: obstacle.clone(), addressed })
    };
    obstacles.into_iter().flat_map(addressed).collect()
}

#[test]
fn advice_says_what_to_do() {
    let texts = every_advice(&failures(), &obstacles());
    assert!(texts.len() > 2 * failures().len(), "states without advice");
    assert_all(texts, flaw_of_advice);
    assert_errors(AgentState::ALL.map(AgentState::meaning));
}

/// What status and log say of a failure, with this detail.
fn error_of(failure: Failure, detail: &str) -> String {
    let mut reporter = Reporter::new(0);
    if !detail.is_empty() {
        reporter.remark(format_args!("{PEER}: {detail}"));
    }
    let (seq, covers, retry_at, news) = (1, 1, None, true);
    let note = Note::BeatFailed { seq, covers, reason: Reason::Interval, failure, retry_at, news };
    reporter.record(&note, Instant::from_micros(0));
    reporter.error.as_str().to_owned()
}

#[test]
fn failures_and_their_details_have_the_form_of_errors_and_fit_together() {
    assert_errors(failures().into_iter().map(|failure| error_of(failure, "")));
    assert_errors(tls::tests::details().into_iter().map(|(_, detail)| detail));
    for (failure, detail) in tls::tests::details() {
        let whole = error_of(failure, &detail);
        assert!(whole.len() < TEXT_MAX && whole.ends_with(&detail), "it is cut: {whole}");
    }
}

#[test]
fn obstacles_and_warnings_have_the_form_of_errors() {
    assert_errors(obstacles());
    let families = every!(Family: Family::V4 => [Family::V4], Family::V6 => [Family::V6]);
    for family in families {
        let name = Some(interface());
        let paths = [(None, None), (name, None), (name, name)];
        assert_errors(paths.map(|(via, instead)| FailedPath { via, family, instead }));
    }
    assert_errors([LinksLeftOut]);
    assert_errors([Strict(interface())]);
    let whether = [false, true];
    assert_errors(whether.map(|without_json| SecondSender { without_json }));
    assert_errors(whether.map(|always| DisconnectsWifi { always }));
    assert_errors([Unreadable { path: FILE.into(), mode: 0o640 }]);
    let listen = Listen::Address(PEER.parse().expect("an address with port"));
    let errors = [Errno::ADDRINUSE, Errno::ADDRNOTAVAIL, Errno::ACCESS, Errno::MFILE];
    let errors = errors.map(|errno| Error::system("listen")(errno));
    assert_errors(errors.map(|error| local::describe(&listen, &error)));
    // Those of `check` beside the web manager: of the port and of a silent pair, of a reset, and of
    // a certificate.
    let own = r#"{"status_listen": "[2001:db8:1234:5678:9abc:def0:1234:5678]:5000",
        "status_token": "0123456789abcdef"}"#;
    for (meeting, own, count) in [
        (r#"{"enabled": false}"#, own, 4),
        (r#"{"api_url": "https://meeting.example.com/api"}"#, "{}", 4),
        (r#"{"api_url": "https://h/api"}"#, "{}", 4),
    ] {
        let files = [("rpi-cam/meeting.json", meeting), ("rpi-cam/linkbeat.json", own)];
        let found = findings(&device("form", &files));
        assert_eq!(found.len(), count, "{found:?}");
        assert_errors(found.iter().filter_map(|line| Some(line.split_once(": ")?.1)));
    }
}

#[test]
fn start_up_errors_have_the_form_of_errors() {
    let (path, denied) = (Path::new(FILE), || io::Error::from(io::ErrorKind::PermissionDenied));
    let errors = every!(Error:
        Error::Usage(_) => [Error::Usage("no command is given".into())],
        Error::System { .. } => [
            Error::system("open rtnetlink socket")(denied()),
            Error::system_on("connect to", path)(denied()),
        ],
        Error::AlreadyRunning { .. } => [Some(4_194_304), None]
            .map(|pid| Error::AlreadyRunning { socket: path.into(), pid }),
        Error::NoAgent { .. } => [Error::NoAgent { socket: path.into(), source: denied() }],
        Error::Config => [Error::Config],
    );
    assert_errors(errors);
    let lines = ["", "event", "run x", "trigger --reason", "run --trigger-fd x", "check a b"];
    let wrong = lines.map(|line| cli::parse(line.split_whitespace().map(Into::into)));
    assert_errors(wrong.into_iter().map(|result| result.expect_err("wrong usage")));
}

#[test]
fn answers_to_local_clients_have_the_form_of_errors() {
    let lines = every!(BadLine:
        BadLine::Unknown => [BadLine::Unknown],
        BadLine::Reason => [BadLine::Reason],
        BadLine::TooLong => [BadLine::TooLong],
    );
    assert_errors(lines);
    let refusals = every!(Refusal:
        Refusal::Malformed => [Refusal::Malformed],
        Refusal::Unauthorized => [Refusal::Unauthorized],
        Refusal::Foreign => [Refusal::Foreign],
        Refusal::OtherPage => [Refusal::OtherPage],
        Refusal::NotFound => [Refusal::NotFound],
        Refusal::MethodNotAllowed { .. } => [Refusal::MethodNotAllowed { allow: "GET, HEAD" }],
        Refusal::NotAcceptable => [Refusal::NotAcceptable],
        Refusal::TimedOut => [Refusal::TimedOut],
        Refusal::LengthRequired => [Refusal::LengthRequired],
        Refusal::BodyTooLarge => [Refusal::BodyTooLarge],
        Refusal::HeadTooLarge => [Refusal::HeadTooLarge],
        Refusal::TooManyGuesses { .. } => [Refusal::TooManyGuesses { wait_s: 3_600 }],
        Refusal::NoEntropy => [Refusal::NoEntropy],
        Refusal::Crowded => [Refusal::Crowded],
    );
    assert_errors(refusals);
}

#[test]
fn errors_of_texts_and_urls_have_the_form_of_errors() {
    let expected = every!(Expected:
        Expected::Value => [Expected::Value],
        Expected::FirstValue => [Expected::FirstValue],
        Expected::Key => [Expected::Key],
        Expected::FirstKey => [Expected::FirstKey],
        Expected::Colon => [Expected::Colon],
        Expected::ArraySeparator => [Expected::ArraySeparator],
        Expected::ObjectSeparator => [Expected::ObjectSeparator],
        Expected::Quote => [Expected::Quote],
        Expected::Nothing => [Expected::Nothing],
    );
    use json::ErrorKind;
    let kinds = every!(ErrorKind:
        ErrorKind::TooLong => [ErrorKind::TooLong],
        ErrorKind::TooDeep => [ErrorKind::TooDeep],
        ErrorKind::NotUtf8 => [ErrorKind::NotUtf8],
        ErrorKind::ByteOrderMark => [ErrorKind::ByteOrderMark],
        ErrorKind::ControlCharacter => [ErrorKind::ControlCharacter],
        ErrorKind::BadEscape => [ErrorKind::BadEscape],
        ErrorKind::LoneSurrogate => [ErrorKind::LoneSurrogate],
        ErrorKind::BadNumber => [ErrorKind::BadNumber],
        ErrorKind::Unexpected(..) => expected.iter().flat_map(|expected| {
            [None, Some('x'), Some('}')].map(|found| ErrorKind::Unexpected(*expected, found))
        }),
    );
    assert_errors(kinds);
    let urls = every!(UrlError:
        UrlError::TooLong => [UrlError::TooLong],
        UrlError::Character => [UrlError::Character],
        UrlError::Scheme => [UrlError::Scheme],
        UrlError::UserInfo => [UrlError::UserInfo],
        UrlError::Query => [UrlError::Query],
        UrlError::Host => [UrlError::Host],
        UrlError::Port => [UrlError::Port],
        UrlError::Path => [UrlError::Path],
    );
    assert_errors(urls);
}

#[test]
fn errors_of_tls_files_have_the_form_of_errors() {
    use tls::ErrorKind;
    let flaws = every!(Flaw:
        Flaw::Damaged => [Flaw::Damaged],
        Flaw::NotX509 => [Flaw::NotX509],
        Flaw::TrustSettings => [Flaw::TrustSettings],
    );
    let left_out = flaws.into_iter().map(|flaw| LeftOut { position: 100, line: 10_000, flaw });
    let left_out: Vec<LeftOut> = left_out.collect();
    assert_errors(&left_out);
    for purpose in every!(Purpose:
        Purpose::Roots => [Purpose::Roots],
        Purpose::Certificate => [Purpose::Certificate],
        Purpose::Key => [Purpose::Key],
    ) {
        let kinds = every!(ErrorKind:
            ErrorKind::NotBuiltIn => [ErrorKind::NotBuiltIn],
            ErrorKind::Read(_) => [ErrorKind::Read(io::ErrorKind::NotFound.into())],
            ErrorKind::NotAFile => [ErrorKind::NotAFile],
            ErrorKind::TooLarge => [ErrorKind::TooLarge],
            ErrorKind::Empty => [ErrorKind::Empty],
            ErrorKind::Certificate(_) => left_out.iter().map(|it| ErrorKind::Certificate(*it)),
            ErrorKind::Key => [ErrorKind::Key],
            ErrorKind::Encrypted => [ErrorKind::Encrypted],
            ErrorKind::Mismatch => [ErrorKind::Mismatch],
            ErrorKind::NoRandom => [ErrorKind::NoRandom],
        );
        let path = Path::new("/etc/rpi-cam/ca.pem");
        assert_errors(kinds.into_iter().map(|kind| tls::tests::error(purpose, path, kind)));
    }
}

/// The messages about a file with this text in the directory of a configuration.
fn messages_about(directory: &Scratch, file: &str, text: &str) -> Vec<String> {
    let path = directory.write(file, text);
    // That every user can read a token is one of the problems.
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("own file");
    let loaded = config::load(&directory.0.join("meeting.json"));
    fs::remove_file(&path).expect("own file");
    loaded.problems.into_iter().map(|problem| problem.message).collect()
}

/// Bad values for each key that `linkbeat check` prints.
const BAD: [(&str, &[&str]); 34] = [
    ("enabled", &[r#"{"enabled": 1}"#, "[]", r#"{"enabled": true, "enabled": true}"#]),
    ("api_url", &[r#"{"api_url": 1}"#, r#"{"api_url": "ftp://h"}"#]),
    ("device_key", &[r#"{"device_key": ".."}"#, r#"{"device_key": "\n"}"#]),
    ("token_code", &[r#"{"token_code": "\u0001"}"#, r#"{"token_code": "s3cret"}"#]),
    ("heartbeat_interval", &[r#"{"heartbeat_interval": 0}"#]),
    ("auto_connect", &[r#"{"auto_connect": "yes"}"#]),
    ("provisioned", &[r#"{"provisioned": {}}"#]),
    ("description", &[r#"{"description": 1e9}"#]),
    ("note", &[r#"{"note": "no"}"#]),
    ("goodbye", &[r#"{"goodbye": "no"}"#]),
    ("interfaces", &[r#"{"interfaces": "eth0"}"#, r#"{"interfaces": ["a b"]}"#]),
    ("ignore_interfaces", &[r#"{"ignore_interfaces": [""]}"#]),
    ("bind_to_uplink", &[r#"{"bind_to_uplink": 0}"#]),
    ("probe.address", &[r#"{"probe": {"address": "8.8.8.8"}}"#, r#"{"probe": 1}"#]),
    ("probe.timeout_ms", &[r#"{"probe": {"timeout_ms": 1}}"#, r#"{"probe.timeout_ms": 1}"#]),
    ("request_timeout_ms", &[r#"{"request_timeout_ms": 1}"#, r#"{"request_timeout": 1}"#]),
    ("recovery_spread_ms", &[r#"{"recovery_spread_ms": -1}"#, r#"{"recovery_spread": 1}"#]),
    ("metered.interfaces", &[r#"{"metered": {"interfaces": "wwan0"}}"#, r#"{"metered": true}"#]),
    (
        "metered.interval_s",
        &[r#"{"metered": {"interval_s": 0}}"#, r#"{"metered": {"interval": 1}}"#],
    ),
    ("standby_check_s", &[r#"{"standby_check_s": 9}"#, r#"{"standby_check": 60}"#]),
    ("moderation.trigger", &[r#"{"moderation": {"trigger": {"burst": 0, "every_ms": -1}}}"#]),
    ("moderation.network", &[r#"{"moderation": {"network": {"burst": 0, "every": 1}}}"#]),
    ("tls.ca_file", &[r#"{"tls": {"ca_file": "ca.pem"}}"#]),
    ("tls.pin_sha256", &[r#"{"tls": {"pin_sha256": "x"}}"#]),
    ("tls.client_cert", &[r#"{"tls": {"client_cert": "/camera.pem"}}"#]),
    ("tls.client_key", &[r#"{"tls": {"client_key": "/camera.key"}}"#]),
    ("tls.early_data", &[r#"{"tls": {"early_data": null, "early-data": true}}"#]),
    ("status_listen", &[r#"{"status_listen": "x"}"#, r#"{"status_listen": "0.0.0.0:80"}"#]),
    ("status_token", &[r#"{"status_token": "short"}"#]),
    ("trigger_socket", &[r#"{"trigger_socket": "x"}"#]),
    ("state_file", &[r#"{"state_file": "x"}"#]),
    ("log_level", &[r#"{"log_level": "loud"}"#]),
    ("log_target", &[r#"{"log_target": "file"}"#]),
    ("watch", &[r#"{"watch": {}}"#, r#"{"watch": [{"name": "a b", "address": "x"}]}"#]),
];

/// Bad lines of `config.env`.
const BAD_ENV: &str = "MEETING_ENABLED=maybe\nMEETING_API_URL=h\nMEETING_DEVICE_KEY=********\n\
    MEETING_TOKEN_CODE=\u{e9}\nMEETING_HEARTBEAT_INTERVAL=0\nMEETING_PROVISIONED=x\n\
    NETWORK_INTERFACE_PRIORITY=a b\nMEETING_UNKNOWN=1\nMEETING_TOKEN_CODE=s3cret\n";

#[test]
fn problems_of_a_configuration_have_the_form_of_errors() {
    let directory = Scratch::new();
    let mut shown = Vec::new();
    directory.write("linkbeat.json", "{}");
    cli::check::run(Some(&directory.0), Path::new("/nonexistent"), &mut shown).expect("defaults");
    let shown = String::from_utf8(shown).expect("text");
    let keys = shown.lines().filter_map(|line| Some(line.split_once(": ")?.0));
    let keys = keys.filter(|key| !key.contains(' ') && *key != "read");
    let listed = BAD.iter().map(|(key, _)| *key);
    assert!(keys.eq(listed), "a key without bad values:\n{shown}");
    // A value that is too long is not repeated.
    let long = format!(r#"{{"description": "{0}", "{0}": 1}}"#, "x".repeat(5_000));
    let json = BAD.iter().flat_map(|(_, texts)| texts.iter().copied()).chain([long.as_str(), "{"]);
    let mut messages: Vec<Vec<String>> =
        json.map(|text| messages_about(&directory, "linkbeat.json", text)).collect();
    messages.push(messages_about(&directory, "config.env", BAD_ENV));
    assert!(messages.iter().all(|messages| !messages.is_empty()), "{messages:?}");
    assert_errors(messages.iter().flatten());
}

#[test]
fn every_flaw_is_found() {
    let long = "x".repeat(LENGTH_MAX + 1);
    for (text, found) in [
        ("", "empty"),
        (" a space", "spaces around it"),
        ("two  spaces", "double space"),
        ("two\nlines", "control character"),
        (&long, "too long"),
        ("found Some(1)", "output of Debug"),
        ("found Error { kind: 1 }", "output of Debug"),
        ("found \"\\u{1b}\"", "output of Debug"),
        ("A sentence", "not in lower case"),
        ("a full stop.", "ends with a stop"),
    ] {
        assert_eq!(flaw_of_error(text), Some(found));
    }
    for text in ["TLS: no key (see the log)", "expected '}', found \"x\"", &long[1..]] {
        assert_eq!(flaw_of_error(text), None);
    }
    assert_eq!(flaw_of_advice("check the cable"), None);
    assert_eq!(flaw_of_advice("the cable is unplugged"), Some("does not say what to do"));
    assert_eq!(flaw_of_advice("check {url}"), Some("a name is not filled in"));
}
