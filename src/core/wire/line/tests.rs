use super::*;

fn trigger(word: &str, wait: bool) -> Result<CommandLine, BadLine> {
    Ok(CommandLine::Trigger { word: Word::new(word), wait })
}

#[test]
fn every_command_is_parsed() {
    let long = "x".repeat(WORD_MAX);
    let too_long = "x".repeat(WORD_MAX + 1);
    for (line, expected) in [
        ("trigger", trigger("", false)),
        ("trigger\r\n", trigger("", false)),
        ("  trigger \t motion-1.a_B\n", trigger("motion-1.a_B", false)),
        ("trigger --wait", trigger("", true)),
        ("trigger --wait door", trigger("door", true)),
        ("trigger door --wait", Err(BadLine::Reason)),
        (&format!("trigger {long}"), trigger(&long, false)),
        (&format!("trigger {too_long}"), Err(BadLine::Reason)),
        ("trigger a b", Err(BadLine::Reason)),
        ("trigger d\u{f6}rr", Err(BadLine::Reason)),
        ("trigger a\"b", Err(BadLine::Reason)),
        ("status\n", Ok(CommandLine::Status)),
        ("history\n", Ok(CommandLine::History { after: 0 })),
        ("history 4294967295\n", Ok(CommandLine::History { after: u32::MAX })),
        ("history 4294967296", Err(BadLine::Unknown)),
        ("history -1", Err(BadLine::Unknown)),
        ("history 1 2", Err(BadLine::Unknown)),
        ("status now", Err(BadLine::Unknown)),
        ("Trigger", Err(BadLine::Unknown)),
        ("triggers", Err(BadLine::Unknown)),
        ("", Err(BadLine::Unknown)),
        ("\0", Err(BadLine::Unknown)),
        ("GET / HTTP/1.1", Err(BadLine::Unknown)),
    ] {
        assert_eq!(parse(line.as_bytes()), expected, "{line:?}");
    }
    assert_eq!(parse(b"trigger \xff"), Err(BadLine::Unknown));
}

#[test]
fn cut_or_changed_lines_never_panic() {
    let line = b"trigger --wait front_door\r\n";
    for at in 0..line.len() {
        drop(parse(&line[..at]));
        for byte in 0..=u8::MAX {
            let mut changed = *line;
            changed[at] = byte;
            drop(parse(&changed));
        }
    }
}

#[test]
fn error_message_is_a_single_line() {
    for bad in [BadLine::Unknown, BadLine::Reason, BadLine::TooLong] {
        let text = bad.to_string();
        assert!(text.starts_with("error: ") && !text.contains('\n'), "{text}");
    }
}
