//! `config.env`: shell-like lines, of which a bad one costs its key alone.

use super::*;

#[test]
fn env_file_is_read_only_where_the_reference_file_is_missing() {
    let env = "\
# camera
RTSP_PORT=554
export MEETING_ENABLED=\"yes\"
MEETING_API_URL='http://192.168.1.9:8000/api' # local
  MEETING_DEVICE_KEY=cam-env # comment
MEETING_TOKEN_CODE=one-2#3\r
MEETING_HEARTBEAT_INTERVAL = 60
#MEETING_PROVISIONED=0
MEETING_PROVISIONED=1
NETWORK_INTERFACE_PRIORITY=wlan0, eth0
\u{fffd}=\x01
";
    let own = r#"{"heartbeat_interval": 61}"#;
    let directory = Directory::new("env").with("config.env", env).with("linkbeat.json", own);
    assert_eq!(directory.problems(), Vec::<String>::new());
    let config = directory.config();
    assert!(config.settings.enabled && config.provisioned && config.configured());
    assert_eq!(config.device_key.as_deref(), Some("cam-env"));
    assert_eq!(config.token_code.as_ref().map(Secret::expose), Some("one-2#3"));
    assert_eq!(config.settings.interval, Duration::from_secs(61));
    assert_eq!(config.settings.interfaces, [name_of("wlan0"), name_of("eth0")]);

    let directory = directory.with("meeting.json", REFERENCE);
    assert_eq!(directory.config().device_key.as_deref(), Some("cam-7"));
}

#[test]
fn masked_token_of_the_env_file_counts_as_absent() {
    let env = "MEETING_TOKEN_CODE=\"********\"\n";
    let directory = Directory::new("masked").with("config.env", env);
    assert_eq!(directory.config().token_code, None);
}

#[test]
fn comments_of_the_env_file_are_no_values() {
    for (text, expected) in [
        ("MEETING_DEVICE_KEY=cam # note", Some("cam")),
        ("MEETING_DEVICE_KEY=cam\t# note", Some("cam")),
        ("MEETING_DEVICE_KEY= # set by the installer", None),
        ("MEETING_DEVICE_KEY=# note", None),
        ("MEETING_DEVICE_KEY=cam#7", Some("cam#7")),
        ("MEETING_DEVICE_KEY= 'cam # 7' # note", Some("cam # 7")),
        ("\u{feff}MEETING_DEVICE_KEY=cam", Some("cam")),
        ("MEETING_HEARTBEAT_INTERVAL=\nMEETING_DEVICE_KEY=cam", Some("cam")),
    ] {
        let directory = Directory::new("comment").with("config.env", text);
        assert_eq!(directory.problems(), Vec::<String>::new(), "{text}");
        assert_eq!(directory.config().device_key.as_deref(), expected, "{text}");
    }
}

#[test]
fn bad_value_of_the_env_file_costs_its_key_and_is_named() {
    let directory = |text: &[u8]| Directory::new("bad-env").with("config.env", text);
    let sound = directory(SOUND_ENV.as_bytes()).config();
    for (line, reported) in [
        (
            "MEETING_API_URL=ftp://x",
            "api_url does not begin with https:// or http://: write one in front of the host",
        ),
        ("MEETING_TOKEN_CODE=\"do not show\"", "expected at most 512 visible ASCII characters"),
        ("MEETING_HEARTBEAT_INTERVAL=0", "expected a whole number from 1 to 86400"),
        ("MEETING_HEARTBEAT_INTERVAL=30s", "expected a whole number from 1 to 86400"),
        ("MEETING_HEARTBEAT_INTERVAL=30.0", "expected a whole number from 1 to 86400"),
        ("MEETING_HEARTBEAT_INTERVAL=30 s", "expected a whole number from 1 to 86400"),
        ("MEETING_HEARTBEAT_INTERVAL=-30", "expected a whole number from 1 to 86400"),
        ("MEETING_HEARTBEAT_INTERVAL=1e9", "expected a whole number from 1 to 86400"),
        (
            "NETWORK_INTERFACE_PRIORITY=eth0,an-interface-name-too-long",
            "expected 1 to 15 characters of an interface name, with * and ?",
        ),
        (
            "NETWORK_INTERFACE_PRIORITY=a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q",
            "expected at most 16 interfaces",
        ),
        ("MEETING_DEVICE_KEY=a\tb", "expected a value without control characters"),
        ("MEETING_DEVICE_KEY=..", "expected a key of at most 128 bytes, not . or .."),
        ("MEETING_DEVICE_KEY=********", "expected a key, and not what a form shows in its place"),
    ] {
        let (key, _) = line.split_once('=').unwrap();
        let reported = [format!("config.env:6:1: warning: {key}: left out: {reported}")];
        let bad = directory(format!("{SOUND_ENV}{line}\n").as_bytes());
        assert_eq!(bad.problems(), reported);
        assert_eq!(load(&bad.0).config, Some(sound.clone()), "{line}");
    }
    let bytes = [SOUND_ENV.as_bytes(), b"MEETING_API_URL=\xff\nOTHER=\xff\n"].concat();
    let bad = directory(&bytes);
    assert_eq!(bad.problems(), ["config.env:6:1: warning: not UTF-8: left out"]);
    assert_eq!(load(&bad.0).config, Some(sound));
    drop(bad);
    let unknown = directory(format!("{SOUND_ENV}MEETING_DEVICEKEY=cam\n").as_bytes());
    let reported = "config.env:6:1: warning: unknown key \"MEETING_DEVICEKEY\", \
                did you mean \"MEETING_DEVICE_KEY\"?";
    assert_eq!(unknown.problems(), [reported]);
}

#[test]
fn mangled_line_of_the_env_file_is_named_without_what_may_be_a_secret() {
    for line in [
        "MEETING_TOKEN_CODE: s3cret",
        "MEETING_TOKEN_CODE: s3cret==",
        "export MEETING_TOKEN_CODE s3cret=",
        "MEETING_TOKEN_CODEs3cret=",
        "MEETING_TOKEN_CODE-s3cret=x",
    ] {
        let bad = Directory::new("mangled").with("config.env", format!("{SOUND_ENV}{line}\n"));
        let reported =
            r#"config.env:6:1: warning: unknown key "MEETING_TOKEN_CODE" with something behind it"#;
        assert_eq!(bad.problems(), [reported], "{line}");
        assert_eq!(bad.config().token_code, Some(Secret::new("secret".into())), "{line}");
    }
    let exported = Directory::new("exported").with("config.env", "export MEETING_ENABLED\n");
    assert_eq!(exported.problems(), Vec::<String>::new());
    assert!(exported.config().settings.enabled);
    drop(exported);
    let text = r#"{"token_code: s3cret": "", "status_token=s3cret": 1}"#;
    let mangled = Directory::new("mangled").with("meeting.json", text);
    let reported = [
        r#"meeting.json:1:2: warning: unknown key "token_code" with something behind it"#,
        r#"meeting.json:1:28: warning: unknown key "status_token" with something behind it"#,
    ];
    assert_eq!(mangled.problems(), reported);
}

/// Another value of each key that has no default, and the interval.
const SOUND_ENV: &str = "\
MEETING_API_URL=http://h/api
MEETING_DEVICE_KEY=cam
MEETING_TOKEN_CODE=secret
MEETING_HEARTBEAT_INTERVAL=45
NETWORK_INTERFACE_PRIORITY=eth7
";

#[test]
fn blank_values_of_the_env_file_are_none() {
    for blank in ["", " ", "\"\"", "' '", "None", "# nothing"] {
        let lines = SOUND_ENV.lines().filter_map(|line| Some(line.split_once('=')?.0));
        let text: String = lines.map(|key| format!("{key}={blank}\n")).collect();
        let directory = Directory::new("blank-env").with("config.env", text);
        assert_eq!(directory.problems(), Vec::<String>::new(), "{blank:?}");
        assert_eq!(directory.config(), Config::default(), "{blank:?}");
    }
}

#[test]
fn what_is_no_yes_in_the_env_file_is_a_no() {
    for (word, enabled, reported) in [
        ("yes", true, 0),
        ("TRUE", true, 0),
        ("1", true, 0),
        ("On", true, 0),
        ("no", false, 0),
        ("False", false, 0),
        ("0", false, 0),
        ("off", false, 0),
        ("", false, 0),
        ("None", false, 0),
        ("oui", false, 1),
        ("maybe", false, 1),
        ("2", false, 1),
        ("y", false, 1),
    ] {
        let text = format!("MEETING_ENABLED={word}\nMEETING_PROVISIONED={word}\n");
        let directory = Directory::new("words").with("config.env", text);
        let config = directory.config();
        assert_eq!((config.settings.enabled, config.provisioned), (enabled, enabled), "{word}");
        assert_eq!(directory.problems().len(), 2 * reported, "{word}");
    }
}
