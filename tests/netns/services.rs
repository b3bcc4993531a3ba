//! Services on the camera that stop and start.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use linkbeat_support::agent::Setting;
use linkbeat_support::world::World;
use serde_json::{Value, json};
use socket2::{Domain, SockRef, Socket, Type};

use crate::camera::{Camera, RARELY, binary};

const RTSP: u16 = 8554;

/// Starts a service on the camera's loopback.
fn serve(world: &World) -> TcpListener {
    world.device.within(|| {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.set_reuse_address(true).unwrap();
        socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, RTSP)).into()).unwrap();
        socket.listen(16).unwrap();
        socket.into()
    })
}

fn watching(world: &World) -> Setting {
    let rtsp = json!({"name": "rtsp", "address": format!("127.0.0.1:{RTSP}"), "interval_s": 1});
    Setting::new(world).every(RARELY).own("watch", json!([rtsp]))
}

/// The first service in the status.
fn service(camera: &Camera) -> Value {
    let status: Value = serde_json::from_str(&camera.agent.ask("status").unwrap()).unwrap();
    status["watch"][0].clone()
}

#[test]
fn recovered_service_sends_a_beat_and_is_shown_everywhere() {
    let world = World::new();
    let listener = serve(&world);
    let mut camera = Camera::start(&world, &watching(&world));
    // The check leaves a connection in the queue. The status shows that it was answered.
    SockRef::from(&listener).accept().unwrap();
    camera.stays_silent();
    let shown = service(&camera);
    assert_eq!((&shown["name"], &shown["state"]), (&json!("rtsp"), &json!("up")), "{shown}");

    drop(listener);
    camera.agent.said("[Watch] rtsp does not answer");
    assert_eq!(service(&camera)["state"], "down");
    camera.stays_silent();
    let _listener = serve(&world);
    assert_eq!(camera.beat().reason(), "rtsp_recovered");
    assert_eq!(service(&camera)["state"], "up");
    let output = camera.agent.beside(&world, binary(), &["status"]);
    let page = String::from_utf8(output.stdout).unwrap();
    assert!(page.contains("rtsp at 127.0.0.1:8554: up for "), "{page}");
    let output = camera.agent.beside(&world, binary(), &["events"]);
    let events = String::from_utf8(output.stdout).unwrap();
    assert!(events.contains("rtsp does not answer") && events.contains("rtsp answers again"));
}

#[test]
fn service_is_checked_without_a_network() {
    let world = World::new();
    let listener = serve(&world);
    let camera = Camera::start(&world, &watching(&world));
    world.pull("eth0");
    world.pull("wlan1");
    world.pull("wlan0");
    camera.agent.said("no usable uplink");
    drop(listener);
    camera.agent.said("[Watch] rtsp does not answer");
}
