//! Nameservers that are slow, broken or lying, and the files that name them.

use std::fs;
use std::net::{IpAddr, UdpSocket};
use std::time::Duration;

use linkbeat_support::agent::{SOON, Setting};
use linkbeat_support::nameserver::{Mood, Nameserver, Record};
use linkbeat_support::world::{Families, SERVER, SERVER_NAME, World};

use crate::camera::{Camera, RARELY};

/// How long a camera may take to find a nameserver that is well again.
const HEALED: Duration = Duration::from_secs(15);

#[test]
fn nameserver_gone_bad_loses_no_beat() {
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
        // Each on a new connection, or the name would not be needed.
        world.receiver.close_connections();
        camera.beat_for("interval");
        camera.beat_for("interval");
    }
}

#[test]
fn first_beat_goes_out_when_the_nameserver_is_well() {
    let world = World::new();
    world.nameserver.set_mood(Mood::Silent);
    let mut camera = Camera::silent(&world, &Setting::new(&world).every(RARELY));
    world.nameserver.queries().follow_all().next("query", SOON);
    world.nameserver.set_mood(Mood::Honest);
    camera.beats.expect("first beat", HEALED, |_| true);
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
fn nameserver_on_loopback_is_reached_past_the_uplink() {
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
    for how in ["in place", "renamed over", "link moved"] {
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
fn dead_address_of_a_name_does_not_stop_the_living_one() {
    let world = World::with(Families::Both);
    let dead: IpAddr = "203.0.113.77".parse().unwrap();
    let dead6: IpAddr = "2001:db8:ff::77".parse().unwrap();
    let mut records = vec![Record::Address(dead6), Record::Address(dead)];
    records.extend(world.server_records());
    world.nameserver.set(SERVER_NAME, &records);
    Camera::start(&world, &Setting::new(&world).every(RARELY));
}
