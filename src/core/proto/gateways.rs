//! Gateways that have stopped answering, so that the return of one is noticed.
//!
//! ```text
//! unknown --does not answer--> lost --answers--> back, once
//! ```
//!
//! A router that reboots behind a switch takes no carrier away, and no route changes. What shows is
//! the kernel's table of neighbours (RFC 4861 §7.3.2, arp(7)): the gateway fails, and is known
//! again as soon as it has answered, or asked for us by itself. A neighbour that never failed says
//! nothing: the kernel checks those that are well every half minute.

use heapless::Vec;

use super::link::Neighbour;

/// Most gateways remembered at once: both families of the uplinks of a camera, and some.
pub(super) const LOST_MAX: usize = 8;

/// The gateways that do not answer.
#[derive(Debug, Default)]
pub(super) struct LostGateways(Vec<Neighbour, LOST_MAX>);

impl LostGateways {
    /// Takes in what the kernel says of a gateway; true if it was lost and is back.
    ///
    /// With [`LOST_MAX`] lost ones further ones go unnoticed: the probes find out.
    pub(super) fn apply(&mut self, gateway: Neighbour) -> bool {
        let lost = Neighbour { answers: false, ..gateway };
        let place = self.0.iter().position(|known| *known == lost);
        let back = place.filter(|_| gateway.answers);
        if let Some(place) = back {
            self.0.swap_remove(place);
        } else if place.is_none() && !gateway.answers && !self.0.is_full() {
            self.0.extend([lost]);
        }
        back.is_some()
    }
}

#[cfg(test)]
mod tests {
    use core::net::{IpAddr, Ipv4Addr};

    use super::*;
    use crate::proto::link::LinkIndex;

    fn word(of: u8, answers: bool) -> Neighbour {
        let address = IpAddr::V4(Ipv4Addr::new(192, 0, 2, of));
        Neighbour { index: LinkIndex(2), address, answers }
    }

    #[test]
    fn a_lost_gateway_is_back_once() {
        let mut gateways = LostGateways::default();
        for (gateway, back) in [
            (word(1, true), false),
            (word(1, false), false),
            (word(1, false), false),
            (word(2, true), false),
            (word(1, true), true),
            (word(1, true), false),
        ] {
            assert_eq!(gateways.apply(gateway), back, "{gateway:?}");
        }
    }

    #[test]
    fn the_same_address_on_another_link_is_another_gateway() {
        let mut gateways = LostGateways::default();
        gateways.apply(word(1, false));
        let elsewhere = Neighbour { index: LinkIndex(3), ..word(1, true) };
        assert!(!gateways.apply(elsewhere));
        assert!(gateways.apply(word(1, true)));
    }

    #[test]
    fn more_than_the_limit_are_not_remembered() {
        let mut gateways = LostGateways::default();
        for of in 0..=u8::try_from(LOST_MAX).unwrap() {
            gateways.apply(word(of, false));
        }
        assert!(gateways.apply(word(0, true)));
        assert!(!gateways.apply(word(u8::try_from(LOST_MAX).unwrap(), true)));
    }
}
