//! The test network itself, on which all tests of the agent depend.

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

use linkbeat_support::agent::SOON;
use linkbeat_support::clock;
use linkbeat_support::observer::Change;
use linkbeat_support::world::{Block, Families, PROBED, SERVER, Verdict, World};

/// Longest wait for a connect that succeeds or is rejected.
const WAIT: Duration = Duration::from_secs(2);
/// Longest wait for a connect that hangs.
const HANG: Duration = Duration::from_millis(300);

fn connect(world: &World, to: &str, port: u16, within: Duration) -> std::io::Result<TcpStream> {
    let to = SocketAddr::new(to.parse().unwrap(), port);
    world.device.within(|| TcpStream::connect_timeout(&to, within))
}

fn post(world: &World, to: &str) -> String {
    let mut stream = connect(world, to, 80, WAIT).unwrap();
    stream.set_read_timeout(Some(WAIT)).unwrap();
    let body = r#"{"reason":"test"}"#;
    let length = body.len();
    write!(stream, "POST /api HTTP/1.1\r\nContent-Length: {length}\r\n\r\n{body}").unwrap();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn request_reaches_the_receiver_in_both_families() {
    let world = World::with(Families::Both);
    let mut beats = world.receiver.beats().follow();
    for server in SERVER {
        assert_eq!(post(&world, server), "HTTP/1.1 200");
        let beat = beats.next("request", SOON);
        assert_eq!((beat.reason(), beat.method.as_str()), ("test", "POST"));
        let expected: [IpAddr; 2] =
            ["10.11.1.2".parse().unwrap(), "2001:db8:1::2".parse().unwrap()];
        assert!(expected.contains(&beat.peer.ip()), "{beat:?}");
    }
}

#[test]
fn pulled_cable_is_announced_and_keeps_its_address() {
    let world = World::new();
    let mut kernel = world.kernel.announcements().follow();
    world.pull("eth0");
    let pulled = |it: &linkbeat_support::observer::Announcement| {
        it.interface == "eth0" && it.change == Change::NotRunning
    };
    kernel.expect("lost carrier", SOON, pulled);
    // Measured: an unbound socket continues to use the dead interface.
    assert!(connect(&world, SERVER[0], 80, HANG).is_err());
    world.plug("eth0");
    let plugged = |it: &linkbeat_support::observer::Announcement| it.change == Change::Running;
    kernel.expect("carrier", SOON, plugged);
    assert_eq!(post(&world, SERVER[0]), "HTTP/1.1 200");
}

#[test]
fn traffic_moves_to_the_next_interface_without_a_lease() {
    let world = World::with(Families::Both);
    let mut beats = world.receiver.beats().follow();
    world.unlease("eth0");
    post(&world, SERVER[0]);
    assert_eq!(beats.next("request", SOON).peer.ip(), world.address("wlan1"));
    world.lease("eth0");
    post(&world, SERVER[0]);
    assert_eq!(beats.next("request", SOON).peer.ip(), world.address("eth0"));
}

#[test]
fn each_kind_of_rejection_has_its_error() {
    let world = World::new();
    let expected = [
        (Verdict::Reset, "ConnectionRefused"),
        (Verdict::Port, "ConnectionRefused"),
        (Verdict::Host, "HostUnreachable"),
        (Verdict::Prohibited, "HostUnreachable"),
        (Verdict::Drop, "TimedOut"),
    ];
    for (verdict, kind) in expected {
        world.block(&[Block::all(verdict)]);
        let error = connect(&world, SERVER[0], 443, HANG).unwrap_err();
        assert_eq!(format!("{:?}", error.kind()), kind, "{verdict:?}");
        world.heal();
    }
    assert!(connect(&world, SERVER[0], 443, WAIT).is_ok());
}

#[test]
fn block_applies_to_one_address_and_one_uplink() {
    let world = World::new();
    world.block(&[Block { uplink: Some("eth0"), to: Some(PROBED[0]), verdict: Verdict::Drop }]);
    assert!(connect(&world, PROBED[0], 53, HANG).is_err());
    assert!(connect(&world, SERVER[0], 443, WAIT).is_ok());
    world.unlease("eth0");
    assert!(connect(&world, PROBED[0], 53, WAIT).is_ok());
    assert_eq!(world.packets("eth0").probe_syns, 1);
    assert_eq!(world.packets("wlan1").probe_syns, 1);
    assert_eq!(world.probed.accepted().all().len(), 1);
}

#[test]
fn deleted_interface_can_be_created_again() {
    let world = World::new();
    let mut kernel = world.kernel.announcements().follow();
    world.delete("eth0");
    kernel.expect("removal", SOON, |it| it.change == Change::Gone);
    world.create("eth0");
    kernel.expect("route", SOON, |it| it.interface == "eth0" && it.change == Change::DefaultRoute);
    assert_eq!(post(&world, SERVER[0]), "HTTP/1.1 200");
}

#[test]
fn nameserver_answers_in_the_device() {
    const QUERY: &[u8] = b"\0\x07\x01\0\0\x01\0\0\0\0\0\0\x07meeting\x04test\0\0\x01\0\x01";
    let world = World::new();
    let mut queries = world.nameserver.queries().follow();
    let answer = world.device.within(|| {
        let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
        socket.set_read_timeout(Some(WAIT)).unwrap();
        socket.send_to(QUERY, "203.0.113.53:53").unwrap();
        let mut answer = [0; 512];
        let length = socket.recv(&mut answer).unwrap();
        answer[..length].to_vec()
    });
    assert!(answer.ends_with(&[203, 0, 113, 10]), "{answer:?}");
    assert_eq!(queries.next("query", SOON).name, "meeting.test");
}

#[test]
fn slow_path_delays_both_directions() {
    let world = World::with(Families::Both);
    let slow = world.slow_down(Duration::from_millis(300));
    for server in SERVER {
        let began_us = clock::boot_us();
        assert!(connect(&world, server, 443, WAIT).is_ok());
        assert!(clock::boot_us() - began_us >= 600_000);
    }
    drop(slow);
    assert!(connect(&world, SERVER[0], 443, WAIT).is_ok());
}

#[test]
fn carrier_stays_behind_a_switch_when_the_router_is_off() {
    let world = World::behind_switch(Families::V4);
    let mut kernel = world.kernel.announcements().follow();
    assert_eq!(post(&world, SERVER[0]), "HTTP/1.1 200");
    world.router_off();
    assert!(connect(&world, SERVER[0], 80, HANG).is_err());
    kernel.expect_none("change", HANG, |it| it.interface == "eth0");
    world.router_on();
    assert_eq!(post(&world, SERVER[0]), "HTTP/1.1 200");
    world.pull("eth0");
    kernel.expect("lost carrier", SOON, |it| it.change == Change::NotRunning);
    world.plug("eth0");
    kernel.expect("carrier", SOON, |it| it.change == Change::Running);
    assert_eq!(post(&world, SERVER[0]), "HTTP/1.1 200");
}
