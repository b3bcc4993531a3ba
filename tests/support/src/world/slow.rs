//! A path with a long delay for each packet, because not every kernel has netem.
//!
//! A TUN device in the router receives every packet, holds it, and sends it back, and the router
//! forwards it. Both directions are delayed equally, for all kinds of packets.

use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd, poll};
use tappers::{Interface, Tun};

use super::{INTERFACES, World};
use crate::clock;

/// The name of the TUN device in the router, and the table of the routes into it.
const NAME: &str = "slow";
const TABLE: u32 = 100;

/// A slow path. Dropping it makes it fast again and loses the packets held.
#[derive(Debug)]
pub struct SlowPath {
    stop: Arc<OwnedFd>,
}

impl World {
    /// Delays every packet between the device and the internet by `each_way`.
    ///
    /// # Panics
    ///
    /// If a TUN device cannot be made.
    #[must_use]
    pub fn slow_down(&self, each_way: Duration) -> SlowPath {
        let name = Interface::new(NAME).expect("a short name");
        let tun = self.router.within(|| Tun::new_named(name)).expect("TUN device");
        self.router.ip(&format!(
            "link set {NAME} up\n\
             route add default dev {NAME} table {TABLE}\n\
             route add ::/0 dev {NAME} table {TABLE}"
        ));
        let enter = |from: &str| format!("rule add iif {from} table {TABLE}\n");
        let rules = INTERFACES.map(|it| enter(&format!("r-{it}"))).concat() + &enter("isp");
        self.router.ip(&rules);
        self.router.ip6(&rules);
        let stop = Arc::new(eventfd(0, EventfdFlags::CLOEXEC).expect("eventfd"));
        let until = Arc::clone(&stop);
        thread::spawn(move || relay(&tun, &until, each_way));
        SlowPath { stop }
    }
}

impl Drop for SlowPath {
    fn drop(&mut self) {
        rustix::io::write(&self.stop, &1_u64.to_ne_bytes()).ok();
    }
}

fn relay(tun: &Tun, stop: &OwnedFd, each_way: Duration) {
    let wait_us = u64::try_from(each_way.as_micros()).unwrap_or(u64::MAX);
    let mut held: VecDeque<(u64, Vec<u8>)> = VecDeque::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        let due = held
            .front()
            .map(|(due_us, _)| Duration::from_micros(due_us.saturating_sub(clock::boot_us())));
        let due = due.map(|it| it.try_into().expect("a time-out"));
        let mut ready = [PollFd::new(tun, PollFlags::IN), PollFd::new(stop, PollFlags::IN)];
        poll(&mut ready, due.as_ref()).expect("poll");
        let [readable, stopped] = ready.map(|it| !it.revents().is_empty());
        if stopped {
            return;
        }
        if readable && let Ok(length) = tun.recv(&mut buffer) {
            let packet = buffer.iter().take(length).copied().collect();
            held.push_back((clock::boot_us().saturating_add(wait_us), packet));
        }
        let now_us = clock::boot_us();
        while let Some((due_us, packet)) = held.front()
            && *due_us <= now_us
        {
            // A packet that the kernel refuses is lost, like any other lost packet.
            tun.send(packet).ok();
            held.pop_front();
        }
    }
}
