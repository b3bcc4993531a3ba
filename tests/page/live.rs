//! What the page shows of what happens while somebody looks at it.

use std::time::Duration;

use linkbeat_support::agent::{Agent, SOON, Setting, binary_or};
use linkbeat_support::world::{Block, Verdict, World};

use crate::browser::Browser;
use crate::tab::{PAGE, Tab};

/// An interval in s that no test lasts: every beat has another reason.
pub(crate) const RARELY: u32 = 86_400;

/// Starts an agent and waits until the page can be asked for.
pub(crate) fn agent(world: &World, setting: &Setting) -> Agent {
    let agent = Agent::start(world, binary_or(env!("CARGO_BIN_EXE_linkbeat")), setting);
    agent.said("status server listens");
    agent
}

#[test]
fn page_shows_the_state_of_the_camera_and_the_steps_of_the_last_beat() {
    let world = World::new();
    let _agent = agent(&world, &Setting::new(&world).every(RARELY));
    let browser = Browser::start(&world);
    let tab = Tab::open(&browser, PAGE);
    tab.shows("#word", "Online");
    tab.shows("#meaning", "acknowledges");
    tab.shows("#camera", "camera-1");
    tab.shows("#uplink", "eth0");
    tab.shows("#uplink", "10.11.1.2");
    tab.shows("#uplink", "wlan1 10.11.2.2, in reserve");
    tab.shows("#uplink", "wlan0 10.11.3.2, in reserve");
    tab.shows("#last", "startup, number 1");
    tab.shows("#steps", "TLS");
    tab.wait("document.title === 'Online · camera-1'");
    tab.wait("[...document.querySelectorAll('#steps i')].every((it) => it.offsetWidth > 0)");
    tab.picture("online");
    tab.is_clean();
}

#[test]
fn pulled_cable_and_the_way_back_are_shown_without_reload() {
    let world = World::new();
    let _agent = agent(&world, &Setting::new(&world).every(RARELY));
    let browser = Browser::start(&world);
    let tab = Tab::open(&browser, PAGE);
    tab.shows("#uplink", "eth0");
    world.pull("eth0");
    tab.shows("#uplink p:first-child", "wlan1");
    tab.shows("#last", "failover_to_wlan1");
    tab.shows("#events", "uplink eth0 → wlan1");
    world.plug("eth0");
    tab.shows("#uplink p:first-child", "eth0");
    tab.shows("#last", "eth0_priority");
    tab.shows("#events", "uplink wlan1 → eth0");
    tab.shows("#day", "wlan1");
    tab.is_clean();
}

#[test]
fn outage_is_shown_while_it_lasts_and_stays_in_the_timeline() {
    let world = World::new();
    let _agent = agent(&world, &Setting::new(&world).every(1));
    let browser = Browser::start(&world);
    let tab = Tab::open(&browser, PAGE);
    tab.shows("#word", "Online");
    world.block(&[Block::all(Verdict::Drop)]);
    tab.shows("#word", "Offline");
    tab.shows("#notes", "What to do: check the router");
    tab.wait("document.querySelector('#day .track.day i.bad:last-child')");
    // However short it was, it can be seen.
    tab.wait(
        "(() => { const box = (it) => it.getBoundingClientRect(); \
         const bar = document.querySelector('#day i.bad'); \
         return box(bar).width >= 2 && box(bar).right <= box(bar.parentNode).right + 0.1; })()",
    );
    tab.wait("document.querySelector('#dot.bad')");
    tab.picture("offline");
    world.heal();
    tab.shows("#word", "Online");
    tab.shows("#day-words", "One outage of");
    tab.shows("#events", "connectivity_restored");
    tab.wait("document.querySelector('#day .track.day i.bad + i.good')");
    tab.wait("!document.querySelector('#notes p')");
    tab.is_clean();
}

#[test]
fn button_sends_a_beat_and_shows_its_result() {
    let world = World::new();
    let _agent = agent(&world, &Setting::new(&world).every(RARELY));
    let browser = Browser::start(&world);
    let tab = Tab::open(&browser, PAGE);
    tab.shows("#last", "startup");
    let mut beats = world.receiver.beats().follow();
    tab.click("#send");
    beats.expect("beat", SOON, |beat| beat.reason().starts_with("trigger"));
    tab.shows("#sent", "Acknowledged: the server answered 200 after");
    tab.shows("#last", "trigger");
    world.receiver.follow("status 503").unwrap();
    tab.click("#send");
    tab.shows("#sent", "Not acknowledged");
    tab.shows("#sent", "503");
    // The answer to a request that failed is 400, which the browser reports as well.
    let others: Vec<_> = tab.complaints();
    assert!(others.iter().all(|it| it.contains("api/meeting/heartbeat")), "{others:?}");
    tab.keeps_to_its_agent();
}

#[test]
fn keyboard_alone_reaches_everything_and_the_focus_is_seen() {
    let world = World::new();
    let _agent = agent(&world, &Setting::new(&world).every(RARELY));
    let browser = Browser::start(&world);
    let tab = Tab::open(&browser, PAGE);
    tab.shows("#last", "startup");
    let mut beats = world.receiver.beats().follow();
    tab.press("Tab", 9, "");
    tab.wait("document.activeElement.id === 'send'");
    tab.wait("getComputedStyle(document.activeElement).outlineStyle === 'solid'");
    tab.press("Enter", 13, "\r");
    beats.expect("beat", SOON, |beat| beat.reason().starts_with("trigger"));
    tab.shows("#sent", "Acknowledged");
    // Who has pressed it is still there, and can press it again.
    tab.wait("document.activeElement.id === 'send'");
    tab.press("Tab", 9, "");
    tab.wait("document.activeElement.tagName === 'SUMMARY'");
    tab.press("Enter", 13, "\r");
    tab.shows("#hours", "now");
    tab.is_clean();
}

#[test]
fn page_outlives_the_agent_and_comes_back_with_the_next() {
    let world = World::new();
    let setting = Setting::new(&world).every(RARELY);
    let mut first = agent(&world, &setting);
    let browser = Browser::start(&world);
    let tab = Tab::open(&browser, PAGE);
    tab.shows("#last", "startup");
    tab.value("document.body.untouched = true");
    tab.click("#send");
    tab.shows("#events", "beat trigger");
    first.end();
    tab.shows("#silence", "The agent does not answer");
    tab.shows("#freshness", "not live");
    // What was known stays, and is seen to be old.
    tab.shows("#word", "Online");
    tab.wait("document.body.classList.contains('stale')");
    tab.picture("silent");
    // It asks less and less often, but at once on request.
    tab.shows("#silence", "Next try in 4 s");
    tab.asks(|| tab.click("#again"));
    tab.click("#send");
    tab.shows("#sent", "the agent does not answer");
    let _second = first.restart(&world, binary_or(env!("CARGO_BIN_EXE_linkbeat")), &setting);
    tab.wait("document.querySelector('#silence').hidden");
    tab.shows("#freshness", "live");
    tab.shows("#last", "startup, number 1");
    // The counts and the history of the former one are forgotten with it.
    tab.wait("!document.querySelector('#events').innerText.includes('trigger')");
    tab.shows("#events", "linkbeat started");
    assert_eq!(tab.value("document.body.untouched"), true);
    let unwanted = |it: &&String| !it.contains("Failed to load resource");
    assert_eq!(tab.complaints().iter().find(unwanted), None);
    tab.keeps_to_its_agent();
}

#[test]
fn page_with_a_token_is_signed_in_to_and_says_when_it_is_locked_again() {
    let world = World::new();
    let setting = Setting::new(&world).every(RARELY).own("status_token", "open-sesame-1001");
    let first = agent(&world, &setting);
    let browser = Browser::start(&world);
    let tab = Tab::open(&browser, PAGE);
    let sign_in = || {
        tab.wait("document.querySelector('input[type=password]')");
        tab.value("document.querySelector('input[type=password]').value = 'open-sesame-1001'");
        tab.click("button");
        tab.shows("#word", "Online");
    };
    sign_in();
    tab.click("#send");
    tab.shows("#sent", "Acknowledged");
    // The next agent knows no cookie of this one.
    let _second = first.restart(&world, binary_or(env!("CARGO_BIN_EXE_linkbeat")), &setting);
    tab.shows("#silence", "This page is locked.");
    tab.shows("#word", "Online");
    tab.click("#again");
    sign_in();
    tab.keeps_to_its_agent();
}

#[test]
fn history_is_asked_for_anew_when_the_readers_machine_has_slept() {
    let world = World::new();
    let _agent = agent(&world, &Setting::new(&world).every(RARELY));
    let browser = Browser::start(&world);
    let tab = Tab::open(&browser, PAGE);
    tab.shows("#events", "startup");
    let asked = || tab.requests().iter().filter(|it| it.ends_with("history?after=0")).count();
    assert_eq!(asked(), 1);
    // In sleep the wall clock goes on alone.
    tab.value("(() => { const now = Date.now; Date.now = () => now() + 3600000; })()");
    tab.asks(|| ());
    tab.wait("past.boot > performance.timeOrigin + 3000000");
    assert_eq!(asked(), 2);
    tab.shows("#events", "startup");
    tab.is_clean();
}

#[test]
fn nobody_is_asked_while_nobody_looks() {
    let world = World::new();
    let _agent = agent(&world, &Setting::new(&world).every(RARELY));
    let browser = Browser::start(&world);
    let tab = Tab::open(&browser, PAGE);
    tab.shows("#last", "startup");
    let look = |hidden| {
        tab.value(&format!(
            "Object.defineProperty(document, 'hidden', {{value: {hidden}, configurable: true}}); \
             document.dispatchEvent(new Event('visibilitychange'))"
        ));
    };
    look(true);
    tab.falls_silent(Duration::from_secs(3));
    tab.asks(|| look(false));
    tab.is_clean();
}
