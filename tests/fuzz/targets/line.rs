//! A line of the Unix socket is a request that survives a round trip, or is refused in one line.

#![cfg_attr(not(test), no_main)]

use linkbeat_core::wire::line::{CommandLine, parse};

linkbeat_fuzz::target!(|data| {
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
