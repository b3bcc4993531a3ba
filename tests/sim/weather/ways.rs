//! Changes that people and programs make to a device's routing.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use linkbeat_core::proto::link::LinkEvent;
use linkbeat_core::proto::rng::Rng;

use super::super::kernel::{DOCKER, Kernel, LAN, Policy, Stage, TUNNEL, Tunnel, noise};
use super::{chance, pick};

/// The networks of the server and of a nameserver, and halves of the internet.
const NETWORKS: [(IpAddr, u8); 5] = [
    (IpAddr::V4(Ipv4Addr::new(203, 0, 113, 0)), 24),
    (IpAddr::V6(Ipv6Addr::new(0x2001, 0xDB8, 1, 0, 0, 0, 0, 0)), 48),
    (IpAddr::V4(Ipv4Addr::new(9, 9, 9, 9)), 32),
    (IpAddr::V4(Ipv4Addr::new(0, 0, 0, 0)), 1),
    (IpAddr::V4(Ipv4Addr::new(128, 0, 0, 0)), 1),
];

/// Makes one change. Returns the kernel's announcements.
pub(super) fn change(kernel: &mut Kernel, kind: u64, at: usize, rng: &mut Rng) -> Vec<LinkEvent> {
    match kind {
        0 | 1 => {
            let network = pick(rng, &NETWORKS);
            let over = pick(rng, &[at, at, LAN]);
            if chance(rng, 50) {
                kernel.give_specific(over, network, chance(rng, 70))
            } else {
                kernel.drop_specific(network)
            }
        }
        2 => {
            let policies = [
                Policy::Main,
                Policy::Managed,
                Policy::BoundOnly,
                Policy::FromOwn,
                Policy::Default,
            ];
            kernel.set_policy(pick(rng, &policies))
        }
        3 => change_tunnel(kernel, rng),
        4 => {
            let other = pick(rng, &[DOCKER, LAN]);
            let present = kernel.interfaces[other].present;
            if present && chance(rng, 50) { kernel.vanish(other) } else { kernel.restore(other) }
        }
        5 => match rng.below(4) {
            0 => kernel.unnumber(at),
            1 => kernel.give_v6(at, 10, Stage::Deprecated),
            2 => {
                kernel.expire_v6(at);
                vec![]
            }
            _ => kernel.restore(at),
        },
        _ => {
            // A routing daemon, and a renewed lease.
            let number = u16::try_from(rng.below(1_000)).unwrap();
            let routes = (number..number + pick(rng, &[1, 30]))
                .flat_map(|number| [false, true].map(|gone| noise(number, gone)));
            kernel.refresh(at).into_iter().chain(routes).collect()
        }
    }
}

fn change_tunnel(kernel: &mut Kernel, rng: &mut Rng) -> Vec<LinkEvent> {
    if !kernel.interfaces[TUNNEL].present {
        let how = pick(rng, &[Tunnel::Ruled, Tunnel::Ruled, Tunnel::Halves]);
        kernel.kill_switch = chance(rng, 30);
        return kernel.open_tunnel(how);
    }
    match rng.below(3) {
        0 => kernel.close_tunnel(),
        1 => {
            let up = kernel.interfaces[TUNNEL].up;
            kernel.set_up(TUNNEL, !up)
        }
        _ => {
            kernel.kill_switch = !kernel.kill_switch;
            vec![]
        }
    }
}
