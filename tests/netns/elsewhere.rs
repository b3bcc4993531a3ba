//! Nameservers and servers behind another interface than the best uplink, and networks without a
//! default route.

use std::net::{SocketAddrV6, UdpSocket};

use linkbeat_support::agent::SOON;
use linkbeat_support::nameserver::Nameserver;
use linkbeat_support::world::{Families, NAMESERVER, SERVER, SERVER_NAME, World};

use crate::camera::{Camera, is_own};
use crate::scenes::{
    Annex, PLAIN, SECURE, lease_of, nameserver_in, only, record, rename, reroute, server_in,
    setting,
};
use crate::stale::RETRIED;

/// The nameserver is behind an interface without any other route.
fn finds_the_nameserver_behind(interface: &str) {
    let world = World::new();
    let annex = Annex::behind(&world, interface);
    let nameserver = annex.nameserver(&world);
    let mut setting = setting(&world, PLAIN);
    setting.resolv_conf = format!("nameserver {}\n", Annex::HOST);
    let mut camera = Camera::silent(&world, &setting);
    assert_eq!(camera.curl(&world, &[PLAIN]), 200);
    let beat = camera.beat_over(&world, "eth0");
    assert_eq!((beat.reason(), beat.seq()), ("startup", 1), "{beat:?}");
    drop(nameserver);
}

#[test]
fn nameserver_in_a_container_is_queried() {
    finds_the_nameserver_behind("docker0");
}

#[test]
fn nameserver_on_a_second_lan_is_queried() {
    finds_the_nameserver_behind("eth1");
}

#[test]
fn nameserver_behind_a_vpn_is_queried() {
    finds_the_nameserver_behind("tun0");
}

/// eth0 has IPv6 only and another interface IPv4 only. The beat needs both families, whichever the
/// nameserver has.
fn split_by_family(other: &str, nameserver: &str, server: &str) {
    let world = World::with(Families::Both);
    only(&world, &["eth0", "wlan1"]);
    world.device.ip("address delete 10.11.1.2/24 dev eth0\n\
         route delete ::/0 dev wlan1\n\
         address delete 2001:db8:2::2/64 dev wlan1");
    if other != "wlan1" {
        rename(&world, "wlan1", other, 2048);
    }
    world.nameserver.set(SERVER_NAME, &[record(server)]);
    let mut setting = setting(&world, SECURE);
    setting.resolv_conf = format!("nameserver {nameserver}\n");
    let mut camera = Camera::silent(&world, &setting);
    assert_eq!(camera.curl(&world, &[SECURE]), 200);
    let beat = camera.beat();
    assert_eq!((beat.reason(), beat.seq()), ("startup", 1), "{beat:?}");
    assert_eq!(beat.peer.is_ipv6(), server == SERVER[1], "{beat:?}");
}

#[test]
fn server_of_the_family_that_only_wifi_has_is_found() {
    split_by_family("wlan1", NAMESERVER[1], SERVER[0]);
}

#[test]
fn server_of_the_family_that_only_464xlat_has_is_found() {
    split_by_family("clat", NAMESERVER[1], SERVER[0]);
}

#[test]
fn nameserver_of_the_family_that_only_wifi_has_is_queried() {
    split_by_family("wlan1", NAMESERVER[0], SERVER[1]);
}

#[test]
fn server_and_nameserver_of_the_family_that_only_wifi_has_are_found() {
    split_by_family("wlan1", NAMESERVER[0], SERVER[0]);
}

#[test]
fn server_with_a_name_in_a_closed_lan_is_found() {
    const HOST: &str = "10.11.1.1";
    let world = World::new();
    only(&world, &["eth0"]);
    world.device.ip("route delete default dev eth0");
    let nameserver = nameserver_in(&world.router, HOST, &[record(HOST)]);
    let server = server_in(&world, &world.router, HOST);
    let mut setting = setting(&world, SECURE);
    setting.resolv_conf = format!("nameserver {HOST}\n");
    let mut camera = Camera::heard_by(&world, &server, &setting);
    assert_eq!(camera.curl(&world, &[SECURE]), 200);
    let beat = camera.beat_over(&world, "eth0");
    assert_eq!((beat.reason(), beat.seq()), ("startup", 1), "{beat:?}");
    camera.shows_way("eth0");
    // A loss of its cable is handled as usual.
    world.pull("eth0");
    camera.shows("no way", |status| status["state"] == "no_uplink");
    world.plug("eth0");
    camera.beat_over(&world, "eth0");
    drop(nameserver);
}

/// The way out is gone, and the nameserver, which still answers, names a server in the LAN instead:
/// the address that is known for an hour leads nowhere.
#[test]
fn server_that_moved_into_the_lan_is_found_when_the_way_out_is_gone() {
    const HOST: &str = "10.11.1.1";
    let world = World::new();
    only(&world, &["eth0"]);
    let nameserver = nameserver_in(&world.router, HOST, &[record(SERVER[0])]);
    nameserver.set_ttl(3600);
    let server = server_in(&world, &world.router, HOST);
    let mut setting = setting(&world, SECURE).own("bind_to_uplink", false).every(2);
    setting.resolv_conf = format!("nameserver {HOST}\n");
    let camera = Camera::start(&world, &setting);
    nameserver.set(SERVER_NAME, &[record(HOST)]);
    let mut beats = server.beats().follow();
    world.device.ip("route delete default dev eth0");
    assert_eq!(camera.curl(&world, &[SECURE]), 200);
    beats.expect("beat in the LAN", RETRIED, is_own);
    camera.shows_way("eth0");
}

/// A recorder announces itself by mDNS on a switch with cameras only: no default route, no
/// nameserver.
#[test]
fn server_with_an_mdns_name_in_a_closed_lan_is_found() {
    const HOST: &str = "10.11.1.1";
    let world = World::new();
    only(&world, &["eth0"]);
    world.device.ip("route delete default dev eth0");
    let responder = world.router.within(|| {
        let socket = UdpSocket::bind("0.0.0.0:5353").unwrap();
        let group = "224.0.0.251".parse().unwrap();
        socket.join_multicast_v4(&group, &HOST.parse().unwrap()).unwrap();
        Nameserver::start(vec![socket])
    });
    responder.set("nvr.local", &[record(HOST)]);
    let server = server_in(&world, &world.router, HOST);
    let mut setting = setting(&world, "http://nvr.local/");
    setting.resolv_conf = String::new();
    let mut camera = Camera::heard_by(&world, &server, &setting);
    let beat = camera.beat_over(&world, "eth0");
    assert_eq!((beat.reason(), beat.seq()), ("startup", 1), "{beat:?}");
}

/// Without a default route of length zero, beats go over eth0, and over wlan1 after its cable is
/// pulled.
fn follows_routes(families: Families, networks: &[&str]) {
    let world = World::with(families);
    only(&world, &["eth0", "wlan1"]);
    for interface in ["eth0", "wlan1"] {
        if families == Families::V4 {
            reroute(&world, interface, networks, "");
        } else {
            let (metric, _) = lease_of(interface);
            let gateway = if interface == "eth0" { "2001:db8:1::1" } else { "2001:db8:2::1" };
            world.device.ip(&format!("route delete ::/0 dev {interface}"));
            for network in networks {
                let end = format!("via {gateway} dev {interface} metric {metric}");
                world.device.ip(&format!("route add {network} {end}"));
            }
        }
    }
    let mut camera = Camera::silent(&world, &setting(&world, SECURE));
    assert_eq!(camera.curl(&world, &[SECURE]), 200);
    assert_eq!(camera.curl(&world, &["--interface", "wlan1", SECURE]), 200);
    assert_eq!(camera.beat_over(&world, "eth0").reason(), "startup");
    camera.shows_way("eth0");
    world.pull("eth0");
    let beat = camera.beat_over(&world, "wlan1");
    assert_eq!(beat.reason(), "failover_to_wlan1", "{beat:?}");
}

#[test]
fn two_halves_are_a_default_route() {
    follows_routes(Families::V4, &["0.0.0.0/1", "128.0.0.0/1"]);
}

#[test]
fn two_halves_of_ipv6_are_a_default_route() {
    follows_routes(Families::V6, &["::/1", "8000::/1"]);
}

#[test]
fn static_routes_to_nameserver_and_server_are_enough() {
    follows_routes(Families::V4, &["203.0.113.10/32", "203.0.113.53/32"]);
}

#[test]
fn static_route_of_ipv6_to_nameserver_and_server_is_enough() {
    follows_routes(Families::V6, &["2001:db8:ff::/64"]);
}

/// The server is on the LAN of another interface. eth0's router does `what` with packets to it.
fn finds_the_server_on_another_lan(interface: &str, what: &str) {
    let world = World::new();
    let annex = Annex::behind(&world, interface);
    let server = annex.server(&world);
    if what == "foreign" {
        world.internet.ip(&format!("address add {}/32 dev lo", Annex::HOST));
        world.receiver.follow("status 403").unwrap();
    } else {
        world.router.ip(&format!("route add {what} {}/32", Annex::HOST));
    }
    let url = format!("http://{}/api", Annex::HOST);
    let mut camera = Camera::heard_by(&world, &server, &setting(&world, &url));
    assert_eq!(camera.curl(&world, &[&url]), 200);
    assert_eq!(camera.beat().seq(), 1);
    for _ in 0..2 {
        camera.ring();
        assert_eq!(camera.beat().peer.ip().to_string(), "10.77.0.1");
    }
    camera.shows_way(interface);
    assert!(!world.receiver.beats().all().iter().any(is_own), "a stranger was sent a beat");
}

#[test]
fn server_on_the_lan_of_another_card_is_found_past_a_black_hole() {
    finds_the_server_on_another_lan("eth1", "blackhole");
}

#[test]
fn server_on_the_lan_of_another_card_is_found_past_a_rejecting_router() {
    finds_the_server_on_another_lan("eth1", "unreachable");
}

#[test]
fn no_beat_goes_to_another_host_with_the_address_of_the_server() {
    finds_the_server_on_another_lan("eth1", "foreign");
}

#[test]
fn server_in_a_container_is_found() {
    finds_the_server_on_another_lan("docker0", "unreachable");
}

#[test]
fn host_route_to_the_server_is_followed() {
    let world = World::new();
    world.device.ip(&format!("route add {} via 10.11.3.1 dev wlan0", SERVER[0]));
    let mut camera = Camera::silent(&world, &setting(&world, SECURE));
    assert_eq!(camera.curl(&world, &[SECURE]), 200);
    let beat = camera.beat();
    assert_eq!(beat.peer.ip(), world.address("wlan0"), "{beat:?}");
    camera.shows_way("wlan0");
}

#[test]
fn nameserver_with_a_numeric_scope_is_queried() {
    let world = World::with(Families::V6);
    world.router.ip("address add fe80::53/64 dev r-eth0 nodad");
    // The interface indices of eth0 and r-eth0.
    let (ours, theirs) = (11, 21);
    let address = "fe80::53".parse().unwrap();
    let socket =
        world.router.within(|| UdpSocket::bind(SocketAddrV6::new(address, 53, 0, theirs)).unwrap());
    let nameserver = Nameserver::start(vec![socket]);
    nameserver.set(SERVER_NAME, &world.server_records());
    for scope in [ours.to_string(), "eth0".to_owned()] {
        let mut setting = setting(&world, SECURE);
        setting.resolv_conf = format!("nameserver fe80::53%{scope}\n");
        let mut camera = Camera::silent(&world, &setting);
        assert_eq!(camera.curl(&world, &[SECURE]), 200);
        assert_eq!(camera.beat_over(&world, "eth0").seq(), 1);
    }
}

#[test]
fn nameserver_with_an_ipv4_mapped_address_is_queried() {
    let world = World::new();
    let mut setting = setting(&world, SECURE);
    setting.resolv_conf = format!("nameserver ::ffff:{}\n", NAMESERVER[0]);
    let mut camera = Camera::silent(&world, &setting);
    assert_eq!(camera.curl(&world, &[SECURE]), 200);
    assert_eq!(camera.beat_over(&world, "eth0").seq(), 1);
}

#[test]
fn both_families_are_queried_if_each_has_its_own_uplink() {
    let world = World::with(Families::Both);
    only(&world, &["eth0", "wlan1"]);
    world.device.ip("address delete 10.11.1.2/24 dev eth0");
    let camera = Camera::silent(&world, &setting(&world, SECURE));
    // Types A and AAAA.
    for kind in [1, 28] {
        let mut queries = world.nameserver.queries().follow_all();
        queries.expect("query", SOON, |query| query.kind == kind);
    }
    drop(camera);
}
