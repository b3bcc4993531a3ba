//! Nameservers that are slow, broken or wrong, and the files of name resolution.

use std::collections::BTreeMap;
use std::fs;
use std::net::{IpAddr, UdpSocket};
use std::process::Command;
use std::time::Duration;

use linkbeat_support::agent::{SOON, Setting};
use linkbeat_support::nameserver::{Mood, Nameserver, Record};
use linkbeat_support::space::run;
use linkbeat_support::world::{Families, SERVER, SERVER_NAME, World};

use crate::camera::{Camera, RARELY};

/// Longest time until a camera uses a recovered nameserver.
const HEALED: Duration = Duration::from_secs(15);

#[test]
fn nameserver_that_fails_loses_no_beat() {
    let moods = [
        Mood::Silent,
        Mood::Failing,
        Mood::Slow(Duration::from_secs(3)),
        Mood::Truncated,
        Mood::WrongId,
        Mood::WrongQuestion,
        Mood::Garbage,
    ];
    let world = World::new();
    world.nameserver.set_ttl(0);
    let mut camera = Camera::start(&world, &Setting::new(&world).every(1));
    for mood in moods {
        world.nameserver.set_mood(mood);
        // A kept connection would need no lookup.
        world.receiver.close_connections();
        camera.beat_for("interval");
        camera.beat_for("interval");
    }
}

#[test]
fn first_beat_is_sent_when_the_nameserver_recovers() {
    let world = World::new();
    world.nameserver.set_mood(Mood::Silent);
    let mut camera = Camera::silent(&world, &Setting::new(&world).every(RARELY));
    world.nameserver.queries().follow_all().next("query", SOON);
    world.nameserver.set_mood(Mood::Honest);
    camera.beats.expect("first beat", HEALED, |_| true);
}

/// RFC 4074 §4: NXDOMAIN, SERVFAIL, REFUSED and NOTIMP for a family that the name does not have.
#[test]
fn failing_queries_for_one_family_stop_no_beat() {
    let world = World::with(Families::Both);
    world.nameserver.set(SERVER_NAME, &[Record::Address(SERVER[0].parse().unwrap())]);
    world.nameserver.set_ttl(0);
    world.nameserver.set_mood(Mood::OddOfAaaa(3));
    let mut camera = Camera::start(&world, &Setting::new(&world).every(1));
    for code in [3, 2, 5, 4, 1] {
        world.nameserver.set_mood(Mood::OddOfAaaa(code));
        world.receiver.close_connections();
        camera.beat_for("interval");
        camera.beat_for("interval");
    }
}

#[test]
fn nameserver_that_takes_six_seconds_is_used() {
    let world = World::new();
    world.nameserver.set_mood(Mood::Slow(Duration::from_secs(6)));
    let mut camera = Camera::silent(&world, &Setting::new(&world).every(RARELY));
    camera.beats.expect("first beat", HEALED, |_| true);
}

/// A router may have tied a port to a line that is dead.
#[test]
fn silent_nameserver_is_asked_from_another_port_after_the_wait_for_an_answer() {
    let world = World::new();
    world.nameserver.set_mood(Mood::Silent);
    let _camera = Camera::silent(&world, &Setting::new(&world).every(RARELY));
    let mut queries = world.nameserver.queries().follow_all();
    let mut uses = BTreeMap::new();
    let (mut began_us, mut asked) = (None, 0);
    loop {
        let query = queries.next("query", 2 * HEALED);
        let (first_us, last_us) = uses.entry(query.peer).or_insert((query.at_us, query.at_us));
        *last_us = query.at_us;
        asked += 1;
        // An answer is waited for at most ten seconds.
        assert!(*last_us - *first_us < 10_500_000, "{}: {asked} queries", query.peer);
        if query.at_us > *began_us.get_or_insert(query.at_us) + 11_000_000 {
            break;
        }
    }
    assert!(uses.len() < asked, "no port was used twice");
}

#[test]
fn kept_connection_needs_no_nameserver() {
    let world = World::new();
    world.nameserver.set_ttl(1);
    let mut camera = Camera::start(&world, &Setting::new(&world).every(1));
    let mut queries = world.nameserver.queries().follow();
    // No answer counts for less than five seconds; the first tick may come at once.
    for _ in 0..7 {
        camera.beat_for("interval");
    }
    queries.expect_none("query", Duration::from_millis(100), |_| true);
    // A new connection causes a query, but does not wait for the response.
    world.nameserver.set_mood(Mood::Slow(Duration::from_secs(20)));
    world.receiver.close_connections();
    camera.beat_for("interval");
    queries.next("query", SOON);
}

/// An mDNS responder on the link, beside a nameserver that denies unknown names.
#[test]
fn mdns_name_is_queried_on_the_link() {
    let world = World::new();
    world.nameserver.set_mood(Mood::Denying);
    let responder = world.router.within(|| {
        let socket = UdpSocket::bind("0.0.0.0:5353").unwrap();
        let group = "224.0.0.251".parse().unwrap();
        socket.join_multicast_v4(&group, &"10.11.1.1".parse().unwrap()).unwrap();
        Nameserver::start(vec![socket])
    });
    responder.set("meeting.local", &world.server_records());
    for nameservers in [world.resolv_conf(), String::new()] {
        let mut setting = Setting::new(&world).every(RARELY);
        setting.resolv_conf = nameservers;
        let setting = setting.meeting("api_url", "http://meeting.local/");
        Camera::start(&world, &setting);
    }
}

#[test]
fn second_nameserver_answers_for_a_dead_first() {
    let world = World::new();
    let mut setting = Setting::new(&world).every(RARELY);
    setting.resolv_conf = format!("nameserver 203.0.113.99\n{}", world.resolv_conf());
    Camera::start(&world, &setting);
}

#[test]
fn hosts_file_wins_over_the_nameserver() {
    let world = World::new();
    world.nameserver.set_mood(Mood::Denying);
    let mut setting = Setting::new(&world).every(RARELY);
    setting.hosts += &format!("{} {SERVER_NAME}\n", SERVER[0]);
    Camera::start(&world, &setting);
}

/// On a camera without IPv6: an IPv4-mapped address is one of IPv4.
#[test]
fn mapped_address_leads_to_the_server() {
    let world = World::new();
    world.nameserver.set_mood(Mood::Denying);
    let mapped = format!("::ffff:{}", SERVER[0]);
    let mut setting = Setting::new(&world).every(RARELY);
    setting.hosts += &format!("{mapped} {SERVER_NAME}\n");
    Camera::start(&world, &setting);
    let setting = Setting::new(&world).every(RARELY);
    Camera::start(&world, &setting.meeting("api_url", format!("http://[{mapped}]/")));
}

#[test]
fn alias_leads_to_the_server() {
    let world = World::new();
    world.nameserver.set("api.meeting.test", &[Record::Alias(SERVER_NAME.to_owned())]);
    let setting = Setting::new(&world).every(RARELY).meeting("api_url", "http://api.meeting.test/");
    Camera::start(&world, &setting);
}

#[test]
fn search_domain_completes_a_single_label() {
    let world = World::new();
    let mut setting = Setting::new(&world).every(RARELY).meeting("api_url", "http://meeting");
    setting.resolv_conf += "search nowhere.test test\n";
    Camera::start(&world, &setting);
}

#[test]
fn new_search_domain_is_used_in_the_next_query() {
    let world = World::new();
    let setting = Setting::new(&world).every(RARELY).meeting("api_url", "http://meeting");
    let mut camera = Camera::silent(&world, &setting);
    let queries = world.nameserver.queries();
    let mut queries_before = queries.follow_all();
    queries_before.expect("the bare name", SOON, |query| query.name == "meeting");
    camera.stays_silent();
    let mut queries = queries.follow();
    let file = camera.agent.file("/etc/resolv.conf");
    fs::write(&file, world.resolv_conf() + "search test\n").unwrap();
    assert_eq!(queries.next("a question", SOON).name, "meeting.test");
    camera.beats.expect("a beat", SOON, |_| true);
}

#[test]
fn nameserver_on_loopback_is_reached_by_an_unbound_socket() {
    let world = World::new();
    world.nameserver.set_mood(Mood::Silent);
    let forwarder =
        world.device.within(|| Nameserver::start(vec![UdpSocket::bind("127.0.0.1:53").unwrap()]));
    forwarder.set(SERVER_NAME, &world.server_records());
    let mut setting = Setting::new(&world).every(RARELY);
    setting.resolv_conf = "nameserver 127.0.0.1\n".to_owned();
    Camera::start(&world, &setting);
}

#[test]
fn changed_resolv_conf_is_used_however_it_is_written() {
    let world = World::new();
    let mut setting = Setting::new(&world).every(RARELY);
    setting.resolv_conf = String::new();
    for how in
        ["in place", "renamed over", "link moved", "where it is mounted from", "mounted over"]
    {
        let mut camera = Camera::silent(&world, &setting);
        camera.stays_silent();
        let file = camera.agent.file("/etc/resolv.conf");
        let other = camera.agent.file("/run/resolv.conf");
        match how {
            "in place" => fs::write(&file, world.resolv_conf()).unwrap(),
            "renamed over" => {
                let new = camera.agent.file("/etc/resolv.conf.new");
                fs::write(&new, world.resolv_conf()).unwrap();
                fs::rename(&new, &file).unwrap();
            }
            // The watch of the agent's directory does not see this, as with a write on the other
            // side of a bind mount.
            "where it is mounted from" => {
                fs::hard_link(&file, &other).unwrap();
                fs::write(&other, world.resolv_conf()).unwrap();
            }
            "mounted over" => {
                fs::write(&other, world.resolv_conf()).unwrap();
                let place = ["--bind", "/run/resolv.conf", "/etc/resolv.conf"];
                let mut mount = Command::new("nsenter");
                mount
                    .args(["-m", "-t", &camera.agent.pid().as_raw_nonzero().to_string(), "mount"])
                    .args(place);
                run(&mut mount, "");
            }
            _ => {
                fs::write(&other, world.resolv_conf()).unwrap();
                let new = camera.agent.file("/etc/resolv.conf.new");
                std::os::unix::fs::symlink("/run/resolv.conf", &new).unwrap();
                fs::rename(&new, &file).unwrap();
            }
        }
        camera.beats.expect(how, SOON, |_| true);
    }
}

#[test]
fn dead_address_of_a_name_does_not_block_the_working_one() {
    let world = World::with(Families::Both);
    let dead: IpAddr = "203.0.113.77".parse().unwrap();
    let dead6: IpAddr = "2001:db8:ff::77".parse().unwrap();
    let mut records = vec![Record::Address(dead6), Record::Address(dead)];
    records.extend(world.server_records());
    world.nameserver.set(SERVER_NAME, &records);
    Camera::start(&world, &Setting::new(&world).every(RARELY));
}

/// A network manager rewrites resolv.conf as it brings up the better uplink.
#[test]
fn change_of_uplink_is_sent_over_it_while_resolv_conf_is_rewritten() {
    let dead = "nameserver 203.0.113.99\n";
    for resolv_conf in [dead.to_owned(), String::new(), "nameserver 10.11.1.1\n".to_owned() + dead]
    {
        let world = World::new();
        world.unlease("eth0");
        let mut camera = Camera::calm(&world);
        fs::write(camera.agent.file("/etc/resolv.conf"), &resolv_conf).unwrap();
        // Of two answers, the second one comes after the file was read.
        camera.status();
        camera.status();
        world.lease("eth0");
        let beat = camera.beat();
        let expected = ("eth0_priority", world.address("eth0"));
        assert_eq!((beat.reason(), beat.peer.ip()), expected, "{resolv_conf:?}");
        camera.shows_way("eth0");
    }
}

/// DHCP has brought a route before it has written resolv.conf.
#[test]
fn first_nameserver_sends_the_first_beat_and_ends_no_outage() {
    let world = World::new();
    let mut setting = Setting::new(&world).every(RARELY);
    setting.resolv_conf = String::new();
    let mut camera = Camera::silent(&world, &setting);
    camera.agent.said("Heartbeat failed");
    fs::write(camera.agent.file("/etc/resolv.conf"), world.resolv_conf()).unwrap();
    assert_eq!(camera.beat().reason(), "startup");
    let status = camera.shows("online", |status| status["state"] == "online");
    assert!(status["last_outage"].is_null(), "{status:#}");
}
