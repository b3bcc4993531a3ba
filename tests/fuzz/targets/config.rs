//! Any text as each of the three files: the configuration is complete or refused, and messages
//! contain no control characters and no secrets.

#![cfg_attr(not(test), no_main)]

use std::path::PathBuf;
use std::sync::LazyLock;

use linkbeat::config::{Loaded, PROBLEMS_MAX, load};
use linkbeat_core::proto::link::Mac;

/// In memory, to avoid writes to a disk.
static DIRECTORY: LazyLock<PathBuf> = LazyLock::new(|| {
    let memory = PathBuf::from("/dev/shm");
    let parent = if memory.is_dir() { memory } else { std::env::temp_dir() };
    let directory = parent.join(format!("linkbeat-fuzz-{}", std::process::id()));
    std::fs::create_dir_all(&directory).expect("a directory for the files");
    directory
});

fn read(files: [Option<&[u8]>; 3]) -> Loaded {
    for (name, content) in ["meeting.json", "config.env", "linkbeat.json"].iter().zip(files) {
        let path = DIRECTORY.join(name);
        match content {
            Some(content) => std::fs::write(path, content).expect("write a file"),
            None => drop(std::fs::remove_file(path)),
        }
    }
    load(&DIRECTORY)
}

fn check(loaded: Loaded) {
    assert!(loaded.problems.len() <= PROBLEMS_MAX);
    for problem in &loaded.problems {
        let text = problem.to_string();
        assert!(!text.contains(char::is_control), "{text:?}");
        assert!(text.len() < 512, "{text}");
    }
    let Some(mut config) = loaded.config else {
        return assert!(!loaded.problems.is_empty(), "refused without a word");
    };
    for secret in [&config.token_code, &config.status_token].into_iter().flatten() {
        assert!(!secret.expose().is_empty());
        // A short secret may occur in any text by chance.
        if secret.expose().len() > 8 {
            let told = loaded.problems.iter().any(|one| one.message.contains(secret.expose()));
            assert!(!told, "a secret is told");
        }
    }
    config.derive_device_key("camera", Mac([2, 0, 0, 0, 0, 1]));
    assert_eq!(config.configured(), config.api_url.is_some());
    let texts = [&config.description].into_iter().chain(&config.device_key);
    assert!(texts.into_iter().all(|text| !text.contains(char::is_control)));
}

linkbeat_fuzz::target!(|data| {
    check(read([Some(data), None, None]));
    check(read([None, Some(data), None]));
    // Splits the data: linkbeat.json overrides meeting.json.
    let cut = data.iter().position(|byte| *byte == 0).unwrap_or(data.len());
    let (meeting, own) = data.split_at(cut);
    check(read([Some(meeting), None, Some(own.get(1..).unwrap_or_default())]));
});
