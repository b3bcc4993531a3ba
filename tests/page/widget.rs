//! The card in the page of another server on the camera, as the web manager shows it.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::thread;

use linkbeat_support::agent::Setting;
use linkbeat_support::world::World;

use crate::browser::Browser;
use crate::live::{RARELY, agent};
use crate::tab::{PAGE, Tab, WIDGET};

/// Serves a page that frames `url`, in the device of `world`; returns where.
fn dashboard(world: &World, url: &str) -> String {
    let page = format!(
        "<!doctype html><link rel=icon href=data:,><title>manager</title>\
         <body style='background: #d9dcef'>\
         <iframe src='{url}' width=320 height=120 style='border: 0'></iframe>"
    );
    let listener = world.device.within(|| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap());
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let length = page.len();
            let mut request = [0; 4096];
            // A browser asks in one piece, or has nothing to ask.
            if stream.read(&mut request).is_ok_and(|length| length > 0) {
                let head = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\n";
                write!(stream, "{head}Content-Length: {length}\r\n\r\n{page}").ok();
            }
        }
    });
    format!("http://127.0.0.1:{port}/")
}

#[test]
fn widget_stands_in_the_frame_of_another_server_and_is_live() {
    let world = World::new();
    let _agent = agent(&world, &Setting::new(&world).every(RARELY));
    let browser = Browser::start(&world);
    let url = dashboard(&world, WIDGET);
    let tab = Tab::open(&browser, &url);
    let card = tab.frame();
    card.shows("#word", "Online");
    card.shows("#uplink", "eth0 10.11.1.2");
    card.shows("#last", "startup");
    let size =
        "[document.documentElement.scrollWidth, document.documentElement.scrollHeight].join()";
    assert_eq!(card.value(size), "320,120", "it has to scroll");
    assert_eq!(card.value("document.querySelectorAll('button, form, a').length"), 0);
    assert_eq!(card.value("getComputedStyle(document.body).backgroundColor"), "rgba(0, 0, 0, 0)");
    tab.picture("widget");
    world.pull("eth0");
    card.shows("#uplink", "wlan1");
    assert_eq!(tab.complaints(), Vec::<String>::new());
    let foreign = |it: &&String| !it.starts_with(PAGE) && !it.starts_with(&url) && *it != "data:,";
    assert_eq!(tab.requests().iter().find(foreign), None);
}

#[test]
fn page_with_its_button_stands_in_no_frame() {
    let world = World::new();
    let _agent = agent(&world, &Setting::new(&world).every(RARELY));
    let browser = Browser::start(&world);
    let tab = Tab::open(&browser, &dashboard(&world, PAGE));
    let complaints = tab.complaints();
    assert!(complaints.iter().any(|it| it.contains("frame-ancestors")), "{complaints:?}");
    assert_eq!(tab.frame().value("document.querySelector('#send')"), serde_json::Value::Null);
}
