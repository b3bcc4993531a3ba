//! The kernel's announcements with their times: the times of the kernel's messages, not of our
//! actions.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::thread;

use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd, poll};
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType, bind, recv, socket_with};

use crate::clock;
use crate::journal::Journal;

// linux/rtnetlink.h: RTMGRP_LINK, RTMGRP_IPV4_IFADDR, RTMGRP_IPV4_ROUTE, and the same of IPv6.
const GROUPS: u32 = 0x1 | 0x10 | 0x40 | 0x100 | 0x400;
// linux/if.h.
const IFF_RUNNING: u32 = 0x40;
// linux/if_link.h.
const IFLA_IFNAME: u16 = 3;
// linux/rtnetlink.h.
const RTA_OIF: u16 = 4;

/// The kinds of announcements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// The interface exists and can carry packets.
    Running,
    /// The interface exists and cannot carry packets.
    NotRunning,
    /// The interface is gone.
    Gone,
    /// An address was added or refreshed.
    Address,
    /// An address is gone.
    AddressGone,
    /// A default route was added.
    DefaultRoute,
    /// A default route is gone.
    DefaultRouteGone,
}

/// One announcement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Announcement {
    /// The time at which it was read, on the clock of [`clock::boot_us`].
    pub at_us: u64,
    /// The interface.
    pub interface: String,
    /// The change of the interface.
    pub change: Change,
}

/// A running listener on rtnetlink(7). Dropping it stops it.
pub struct Observer {
    announcements: Journal<Announcement>,
    stop: Arc<OwnedFd>,
}

impl Observer {
    /// Listens in the network namespace of the calling thread. `names` are the existing interfaces;
    /// later ones are announced with their names.
    ///
    /// # Panics
    ///
    /// If the socket cannot be opened.
    #[must_use]
    pub fn start(names: HashMap<u32, String>) -> Self {
        let (family, kind) = (AddressFamily::NETLINK, SocketType::RAW);
        // NETLINK_ROUTE is 0, the default protocol.
        let socket =
            socket_with(family, kind, SocketFlags::CLOEXEC, None).expect("rtnetlink socket");
        bind(&socket, &SocketAddrNetlink::new(0, GROUPS)).expect("bind rtnetlink socket");
        let stop = Arc::new(eventfd(0, EventfdFlags::CLOEXEC).expect("eventfd"));
        let announcements = Journal::default();
        let (journal, until) = (announcements.clone(), Arc::clone(&stop));
        thread::spawn(move || listen(&socket, &until, names, &journal));
        Self { announcements, stop }
    }

    /// The journal of announcements.
    #[must_use]
    pub fn announcements(&self) -> Journal<Announcement> {
        self.announcements.clone()
    }
}

impl Drop for Observer {
    fn drop(&mut self) {
        rustix::io::write(&self.stop, &1_u64.to_ne_bytes()).ok();
    }
}

fn listen(
    socket: &OwnedFd,
    stop: &OwnedFd,
    mut names: HashMap<u32, String>,
    journal: &Journal<Announcement>,
) {
    let mut buffer = vec![0_u8; 1 << 16];
    loop {
        let mut ready = [PollFd::new(socket, PollFlags::IN), PollFd::new(stop, PollFlags::IN)];
        poll(&mut ready, None).expect("poll");
        let at_us = clock::boot_us();
        let [_, stopped] = &ready;
        if !stopped.revents().is_empty() {
            return;
        }
        // An overflow (ENOBUFS) loses announcements; a test that waits for one then fails.
        let Ok((length, _)) = recv(socket, &mut *buffer, RecvFlags::empty()) else { continue };
        for (kind, body) in messages(buffer.get(..length).unwrap_or_default()) {
            if let Some((interface, change)) = announcement(kind, body, &mut names) {
                journal.push(Announcement { at_us, interface, change });
            }
        }
    }
}

/// The messages of a datagram: type and body (netlink(7): a 16-byte header, aligned to 4).
fn messages(datagram: &[u8]) -> Vec<(u16, &[u8])> {
    let mut messages = Vec::new();
    let mut rest = datagram;
    while let (Some(length), Some(kind)) = (number(rest, 0), rest.get(4..6)) {
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let Some(body) = rest.get(16..length) else { break };
        messages.push((short(kind), body));
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    messages
}

fn announcement(
    kind: u16,
    body: &[u8],
    names: &mut HashMap<u32, String>,
) -> Option<(String, Change)> {
    // linux/rtnetlink.h: RTM_NEWLINK and those that follow.
    let (index, change) = match kind {
        16 | 17 => {
            let index = number(body, 4)?;
            if let Some(name) = attribute(body.get(16..)?, IFLA_IFNAME) {
                let name = String::from_utf8_lossy(name).trim_end_matches('\0').to_owned();
                names.insert(index, name);
            }
            let running = number(body, 8)? & IFF_RUNNING != 0;
            let change = if running { Change::Running } else { Change::NotRunning };
            (index, if kind == 17 { Change::Gone } else { change })
        }
        20 | 21 => {
            let change = if kind == 20 { Change::Address } else { Change::AddressGone };
            (number(body, 4)?, change)
        }
        24 | 25 => {
            // A destination with a prefix length of 0 is the default route.
            if *body.get(1)? != 0 {
                return None;
            }
            let change = if kind == 24 { Change::DefaultRoute } else { Change::DefaultRouteGone };
            (number(attribute(body.get(12..)?, RTA_OIF)?, 0)?, change)
        }
        _ => return None,
    };
    let name = names.get(&index).cloned().unwrap_or_else(|| index.to_string());
    Some((name, change))
}

/// The value of an attribute (rtnetlink(7): length and type, aligned to 4).
fn attribute(mut rest: &[u8], wanted: u16) -> Option<&[u8]> {
    loop {
        let length = usize::from(short(rest.get(..2)?));
        let value = rest.get(4..length)?;
        if short(rest.get(2..4)?) == wanted {
            return Some(value);
        }
        rest = rest.get(length.next_multiple_of(4)..)?;
    }
}

fn short(bytes: &[u8]) -> u16 {
    bytes.first_chunk().copied().map(u16::from_ne_bytes).unwrap_or_default()
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().copied().map(u32::from_ne_bytes)
}
