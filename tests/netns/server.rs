//! Servers that respond incorrectly, late, or not at all.

use std::net::TcpListener;
use std::time::Duration;

use linkbeat_support::agent::{SOON, Setting, expect_line};
use linkbeat_support::receiver::{Beat, Receiver, Scheme};
use linkbeat_support::world::World;
use serde_json::json;

use crate::camera::{Camera, QUIET, RARELY, is_own};

/// Longest time from a login to the beat: the longest wait, and a reserve for a loaded machine.
const WITHIN: Duration = Duration::from_secs(5 + 2);

/// The server does `what`. The camera reports a failure, and beats again soon afterwards.
fn survives(what: &str) {
    let world = World::new();
    let setting = Setting::new(&world).every(2).own("request_timeout_ms", 1000);
    let mut camera = Camera::start(&world, &setting);
    let mut lines = camera.agent.lines().follow();
    world.receiver.follow(what).unwrap();
    // A kept connection would not see the new certificate.
    world.receiver.close_connections();
    expect_line(&mut lines, "[Meeting] Heartbeat failed", SOON);
    world.receiver.follow("ok").unwrap();
    camera.beats.skip();
    camera.beat();
    expect_line(&mut lines, "[Meeting] Heartbeat sent", SOON);
}

/// The server does `what`, which is unusual but valid.
fn accepts(what: &str) {
    let world = World::new();
    world.receiver.follow(what).unwrap();
    let mut camera = Camera::start(&world, &Setting::new(&world).every(1));
    camera.beat_for("interval");
    camera.beat_for("interval");
    let lines = camera.agent.lines().all();
    assert!(!lines.iter().any(|line| line.text.contains("Heartbeat failed")), "{lines:?}");
}

#[test]
fn internal_error_is_survived() {
    survives("status 500");
}

#[test]
fn hanging_server_is_survived() {
    survives("hang");
}

#[test]
fn garbage_is_survived() {
    survives("garbage");
}

#[test]
fn redirect_is_not_followed_and_survived() {
    survives("redirect https://elsewhere.test/new");
}

#[test]
fn response_with_ok_false_is_survived() {
    survives("not-ok");
}

#[test]
fn login_page_is_reported_with_its_network_until_the_login() {
    for portal in ["page 200", "redirect http://192.0.2.1/login", "status 511"] {
        let world = World::new();
        let camera = Camera::calm(&world);
        world.receiver.follow(portal).unwrap();
        camera.ring();
        camera.agent.said("a login page answers in place of the server");
        let status = camera.agent.ask("status").unwrap();
        for word in [r#""state":"captive_portal""#, "the network behind eth0"] {
            assert!(status.contains(word), "{word}: {status}");
        }
        let mut lines = camera.agent.lines().follow();
        world.receiver.follow("ok").unwrap();
        expect_line(&mut lines, "[Meeting] Heartbeat sent: seq 2, trigger", WITHIN);
    }
}

#[test]
fn foreign_certificate_after_a_good_one_is_reported_as_a_portal() {
    let world = World::new();
    let camera = Camera::calm(&world);
    world.receiver.follow("certificate foreign").unwrap();
    world.receiver.close_connections();
    camera.ring();
    camera.agent.said("[Meeting] Heartbeat failed: TLS");
    let status = camera.agent.ask("status").unwrap();
    assert!(status.contains(r#""state":"captive_portal""#), "{status}");
    let mut lines = camera.agent.lines().follow();
    world.receiver.follow("certificate good").unwrap();
    expect_line(&mut lines, "[Meeting] Heartbeat sent: seq 2, trigger", WITHIN);
}

#[test]
fn interval_of_the_server_is_obeyed_and_one_out_of_bounds_is_reported_once() {
    let world = World::new();
    let mut camera = Camera::calm(&world);
    for value in ["5", "\"30\""] {
        world.receiver.follow(&format!("interval {value}")).unwrap();
        camera.ring();
        camera.beat_for("trigger");
    }
    let complaint = "no whole number from 10 to 3600";
    camera.agent.said(complaint);
    world.receiver.follow("interval 10").unwrap();
    camera.ring();
    camera.beat_for("trigger");
    camera.agent.said("[Meeting] The server sets the interval to 10 s");
    let status = camera.agent.ask("status").unwrap();
    assert!(status.contains(r#""interval_s":10,"interval_source":"server""#), "{status}");
    // The configured interval is a day.
    let reported = camera.beats.expect("interval", SOON * 4, |beat| beat.reason() == "interval");
    assert_eq!(reported.body["next_within_s"], 10 + 10, "the interval and request_timeout_ms");
    let lines = camera.agent.lines().all();
    assert_eq!(lines.iter().filter(|line| line.text.contains(complaint)).count(), 1);
}

#[test]
fn redirect_target_is_logged() {
    let world = World::new();
    world.receiver.follow("redirect https://elsewhere.test/new").unwrap();
    let camera = Camera::silent(&world, &Setting::new(&world).every(RARELY));
    camera.agent.said("https://elsewhere.test/new");
}

#[test]
fn token_in_a_redirect_target_is_not_shown() {
    for location in ["http://h/s3cret-token", "http://h/s3cret%2Dtoken", "/%73%33cret-token"] {
        let world = World::new();
        world.receiver.follow(&format!("redirect {location}")).unwrap();
        let mut camera = Camera::silent(&world, &Setting::new(&world).every(RARELY));
        camera.agent.said("[Meeting] Heartbeat failed");
        let said =
            camera.agent.ask("trigger --wait").unwrap() + &camera.agent.ask("status").unwrap();
        camera.agent.end();
        let log = format!("{said}{:?}", camera.agent.lines().all());
        assert!(log.contains(" 307") && !log.contains("cret"), "{location}: {log}");
    }
}

#[test]
fn certificate_for_another_name_is_refused() {
    survives("certificate wrong-name");
}

#[test]
fn expired_certificate_is_refused() {
    survives("certificate expired");
}

#[test]
fn certificate_of_the_future_is_refused() {
    survives("certificate not-yet-valid");
}

#[test]
fn certificate_of_a_foreign_authority_is_refused() {
    survives("certificate foreign");
}

#[test]
fn server_with_a_bad_certificate_gets_no_request() {
    let world = World::new();
    world.receiver.follow("certificate foreign").unwrap();
    let mut camera = Camera::silent(&world, &Setting::new(&world).every(1));
    camera.agent.said("[Meeting] Heartbeat failed");
    camera.stays_silent();
}

#[test]
fn answer_reset_in_its_body_is_read() {
    accepts("reset");
}

#[test]
fn answer_closed_in_its_body_is_read() {
    accepts("half-close");
}

#[test]
fn response_with_endless_headers_is_read() {
    accepts("long-headers");
}

#[test]
fn dripping_answer_is_read() {
    accepts("drip on");
}

#[test]
fn chunked_answer_is_read() {
    accepts("framing chunked");
}

#[test]
fn answer_until_close_is_read() {
    accepts("framing close");
}

#[test]
fn closed_connection_is_replaced() {
    accepts("close announced");
}

#[test]
fn silently_closed_connection_loses_no_beat() {
    accepts("close silent");
}

#[test]
fn tls_1_2_is_accepted() {
    accepts("tls12-only on");
}

#[test]
fn kept_connection_is_reused() {
    let world = World::new();
    let mut camera = Camera::start(&world, &Setting::new(&world).every(1));
    assert_eq!(camera.beat_for("interval").nth, 2);
    assert_eq!(camera.beat_for("interval").nth, 3);
    assert_eq!(world.receiver.counts().connections, 1);
}

#[test]
fn new_connection_resumes_the_session() {
    let world = World::new();
    let mut camera = Camera::start(&world, &Setting::new(&world).every(1));
    world.receiver.close_connections();
    let beat = camera.beats.expect("beat", SOON, |beat| beat.connection > 1);
    assert!(beat.security.ends_with("resumed"), "{beat:?}");
}

#[test]
fn slow_server_that_acknowledges_segments_gets_one_connection() {
    let world = World::new();
    world.receiver.follow("delay 1500").unwrap();
    let mut camera = Camera::silent(&world, &Setting::new(&world).every(RARELY));
    camera.beat();
    camera.agent.said("[Meeting] Heartbeat sent");
    let counts = world.receiver.counts();
    assert_eq!((counts.connections, counts.requests), (1, 1), "{counts:?}");
}

#[test]
fn change_of_uplink_sends_a_beat_despite_retry_after() {
    let world = World::new();
    let mut camera = Camera::calm(&world);
    world.receiver.follow("status 503 retry-after 600").unwrap();
    camera.ring();
    camera.beat();
    camera.agent.said("[Meeting] Heartbeat failed");
    world.receiver.follow("ok").unwrap();
    world.pull("eth0");
    assert_eq!(camera.beat_over(&world, "wlan1").reason(), "failover_to_wlan1");
}

#[test]
fn unknown_key_and_refused_token_are_not_retried_at_once() {
    for status in ["404", "401", "403"] {
        let world = World::new();
        world.receiver.follow(&format!("status {status}")).unwrap();
        let mut camera = Camera::silent(&world, &Setting::new(&world).every(RARELY));
        camera.beat();
        camera.agent.said("[Meeting] Heartbeat failed");
        camera.beats.expect_none("another beat", QUIET * 3, |_| true);
        camera.ring();
        camera.beat();
        camera.stays_silent();
    }
}

#[test]
fn server_on_loopback_is_reached_by_an_unbound_socket() {
    let world = World::new();
    let local = world.device.within(|| {
        let listeners = vec![(TcpListener::bind("127.0.0.1:8080").unwrap(), Scheme::Http)];
        Receiver::start(listeners, world.certificates())
    });
    let setting = Setting::new(&world).every(RARELY).meeting("api_url", "http://127.0.0.1:8080/");
    let _camera = Camera::silent(&world, &setting);
    let beat = local.beats().follow_all().next("beat", SOON);
    assert_eq!(beat.path, "/api/devices/camera-1/online");
}

#[test]
fn request_follows_the_contract() {
    let world = World::new();
    let mut camera = Camera::silent(&world, &Setting::new(&world));
    let beat = camera.beat();
    assert_eq!(
        (beat.method.as_str(), beat.path.as_str()),
        ("POST", "/api/devices/camera-1/online")
    );
    assert_eq!(beat.header("content-type"), Some("application/json"));
    assert_eq!(beat.header("accept"), Some("application/json"));
    assert_eq!(beat.header("x-token-code"), Some("s3cret-token"));
    let text = |key: &str| beat.body[key].as_str().unwrap_or_default();
    assert_eq!(text("ip_address"), "10.11.1.2");
    assert_eq!(text("ip_lan"), "10.11.1.2");
    assert_eq!(text("mac"), "00:16:3E:00:00:01");
    assert_eq!(text("reason"), "startup");
    assert!(!beat.body.as_object().unwrap().values().any(serde_json::Value::is_null));
}

#[test]
fn secret_is_never_logged() {
    let world = World::new();
    let setting = Setting::new(&world).every(1).own("log_level", "trace");
    let mut camera = Camera::start(&world, &setting);
    world.receiver.follow("status 403").unwrap();
    camera.beat_for("interval");
    camera.agent.said("[Meeting] Heartbeat failed");
    camera.agent.end();
    let lines = camera.agent.lines().all();
    assert!(!lines.iter().any(|line| line.text.contains("s3cret-token")), "{lines:?}");
}

#[test]
fn connection_closed_by_an_idle_server_is_not_a_failure() {
    let world = World::new();
    let mut camera = Camera::calm(&world);
    world.receiver.close_connections();
    camera.beats.expect_none("beat", Duration::from_millis(200), |_| true);
    camera.ring();
    camera.beat();
    let lines = camera.agent.lines().all();
    assert!(!lines.iter().any(|line| line.text.contains("Heartbeat failed")), "{lines:?}");
}

#[test]
fn retry_after_is_obeyed() {
    for status in ["429", "503"] {
        let world = World::new();
        let mut camera = Camera::calm(&world);
        world.receiver.follow(&format!("status {status} retry-after 2")).unwrap();
        camera.ring();
        let refused = camera.beat();
        world.receiver.follow("ok").unwrap();
        camera.agent.said("[Meeting] Heartbeat failed");
        camera.ring();
        let wait_us = camera.beat().received_us - refused.received_us;
        // As long as asked, up to as long again at random, and what a busy machine adds.
        assert!((2_000_000..4_900_000).contains(&wait_us), "{status}: {wait_us} us");
    }
}

#[test]
fn beats_over_a_metered_uplink_are_rare_and_short() {
    let left_out = ["mac", "note", "boot_id", "ip_lan"];
    let has = |beat: &Beat| left_out.map(|field| beat.body.get(field).is_some());
    let world = World::new();
    let metered = json!({"interfaces": ["wlan*"], "interval_s": RARELY});
    let mut camera = Camera::start(&world, &Setting::new(&world).every(1).own("metered", metered));
    camera.beat_for("interval");
    assert_eq!(has(&camera.beat_for("interval")), [true; 4]);
    world.pull("eth0");
    assert_eq!(has(&camera.beat_for("failover_to_wlan1")), [true; 4]);
    camera.shows("the interval", |status| status["interval_source"] == "metered");
    camera.beats.skip();
    camera.beats.expect_none("beat of the cycle", 3 * QUIET, is_own);
    camera.ring();
    let beat = camera.beat();
    assert_eq!((beat.reason(), has(&beat)), ("trigger", [false; 4]));
    assert!(beat.body.get("ip_address").is_some());
    // Another connection knows nothing.
    world.receiver.close_connections();
    camera.ring();
    assert_eq!(has(&camera.beat()), [true; 4]);
    world.plug("eth0");
    assert_eq!(has(&camera.beat_for("eth0_priority")), [true; 4]);
    assert_eq!(has(&camera.beat_for("interval")), [true; 4]);
}
