//! A line of the Unix socket is a request that survives a round trip, or is refused in one line.

#![no_main]

use libfuzzer_sys::fuzz_target;
use linkbeat_core::wire::line::{CommandLine, parse};

fuzz_target!(|data: &[u8]| {
    match parse(data) {
        Ok(CommandLine::Status | CommandLine::History { .. }) => {}
        Ok(CommandLine::Trigger { word, wait }) => {
            let option = if wait { "--wait " } else { "" };
            let again = format!("trigger {option}{}\n", word.as_ref().map_or("", |w| w.as_str()));
            assert_eq!(parse(again.as_bytes()), Ok(CommandLine::Trigger { word, wait }));
        }
        Err(bad) => assert!(!bad.to_string().contains(char::is_control), "{bad}"),
    }
});
