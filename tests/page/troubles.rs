//! What the page says when something is wrong, or not there yet.

use linkbeat_support::agent::Setting;
use linkbeat_support::world::{INTERFACES, World};
use serde_json::{Value, json};

use crate::browser::Browser;
use crate::live::{RARELY, agent};
use crate::tab::{PAGE, Tab};

/// A script that does this to each `answer` of the agent before the page sees it.
fn answering(change: &str) -> String {
    format!(
        "const real = window.fetch; window.fetch = async (...asked) => {{ \
           const answer = await (await real(...asked)).json(); {change} \
           return new Response(JSON.stringify(answer)); }}"
    )
}

#[test]
fn servers_word_is_shown_with_what_to_do() {
    let world = World::new();
    world.receiver.follow("status 404").unwrap();
    let _agent = agent(&world, &Setting::new(&world).every(1));
    let browser = Browser::start(&world);
    let tab = Tab::open(&browser, PAGE);
    tab.shows("#word", "Rejected");
    tab.shows("#notes", "What to do: provision the device key \"camera-1\" at the server");
    tab.shows("#last", "none yet");
    tab.wait("document.querySelector('#steps-section').hidden");
    tab.picture("unprovisioned");
    for (behaviour, word, place, words) in [
        ("status 401", "Rejected", "#notes", "What to do: correct token_code"),
        (
            "status 429 retry-after 600",
            "Rejected",
            "#next",
            "the server asked to wait (Retry-After)",
        ),
    ] {
        world.receiver.follow(behaviour).unwrap();
        tab.shows("#word", word);
        tab.shows(place, words);
    }
    tab.is_clean();
}

#[test]
fn silent_server_is_no_outage() {
    let world = World::new();
    world.receiver.follow("hang").unwrap();
    let setting = Setting::new(&world).every(1).own("request_timeout_ms", 1000);
    let _agent = agent(&world, &setting);
    let browser = Browser::start(&world);
    let tab = Tab::open(&browser, PAGE);
    tab.shows("#word", "Server silent");
    tab.shows("#notes", "What to do: check that the server");
    tab.is_clean();
}

#[test]
fn without_a_way_out_the_page_says_so() {
    let world = World::new();
    let _agent = agent(&world, &Setting::new(&world).every(RARELY));
    let browser = Browser::start(&world);
    let tab = Tab::open(&browser, PAGE);
    tab.shows("#word", "Online");
    for interface in INTERFACES.into_iter().rev() {
        world.pull(interface);
    }
    tab.shows("#word", "No uplink");
    tab.shows("#uplink", "none");
    // What is to be typed looks so.
    tab.shows("#notes code", "ip link");
    tab.shows("#events", "lost");
    tab.picture("no-uplink");
    world.plug("wlan0");
    tab.shows("#word", "Online");
    tab.shows("#uplink", "wlan0");
    tab.is_clean();
}

#[test]
fn page_without_a_configuration_names_the_missing_keys() {
    let world = World::new();
    let mut setting = Setting::new(&world);
    setting.meeting = Value::Null;
    let agent = agent(&world, &setting);
    let browser = Browser::start(&world);
    let tab = Tab::open(&browser, PAGE);
    tab.shows("#word", "Not configured");
    tab.shows("#notes", "What to do: set \"api_url\"");
    tab.shows("#next", "none");
    tab.picture("unconfigured");
    let file = agent.file("/etc/rpi-cam/meeting.json");
    std::fs::write(&file, r#"{"enabled": false, "api_url": "http://meeting.test"}"#).unwrap();
    tab.shows("#word", "Disabled");
    tab.shows("#notes", "set \"enabled\" to true");
    tab.is_clean();
}

#[test]
fn markup_of_others_is_text() {
    let world = World::new();
    let key = "<img src=x onerror=alert(1)>";
    let _agent = agent(&world, &Setting::new(&world).every(RARELY).meeting("device_key", key));
    let browser = Browser::start(&world);
    let tab = Tab::open(&browser, PAGE);
    tab.shows("#word", "Online");
    tab.shows("#camera", key);
    assert_eq!(tab.value("document.images.length"), 0);
    tab.is_clean();
}

#[test]
fn watched_services_are_listed() {
    let world = World::new();
    let _agent = agent(&world, &Setting::new(&world).every(RARELY));
    let browser = Browser::start(&world);
    let tab = Tab::blank(&browser);
    tab.prepare(&answering(
        "if ('state' in answer) answer.watch = [ \
           {name: 'rtsp', address: '127.0.0.1:8554', state: 'down', since: null, since_ago: 61}, \
           {name: 'web', address: '127.0.0.1:80', state: 'unknown', since: null, since_ago: null}];",
    ));
    tab.go(PAGE);
    tab.shows("#services", "127.0.0.1:8554 is down, for 1 min");
    tab.shows("#services", "127.0.0.1:80 is not known yet");
    tab.wait("document.querySelectorAll('#services .mark.bad').length === 1");
    tab.is_clean();
}

#[test]
fn clock_that_is_not_set_is_reported_and_times_are_ages() {
    let world = World::new();
    let _agent = agent(&world, &Setting::new(&world).every(RARELY));
    let browser = Browser::start(&world);
    let tab = Tab::blank(&browser);
    // What a camera says whose clock is not set: this machine's is.
    let clock = json!({"set": false, "since": "start", "used": "2026-02-02T12:34:56Z"});
    tab.prepare(&answering(&format!(
        "if ('clock_set' in answer) answer.clock_set = false; \
         if ('state' in answer) answer.clock = {clock};"
    )));
    tab.go(PAGE);
    tab.shows("#notes", "Clock: not set");
    tab.shows("#events", " s ago");
    tab.shows("#day .axis", "−6 h");
    tab.is_clean();
}
