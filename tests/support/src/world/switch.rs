//! A switch between eth0 and the router: the device keeps its carrier while the router is off.
//!
//! ```text
//! device      switch                    router
//! eth0 ------ s-eth0 = br0 = s-router - r-eth0
//! ```

use std::process::Command;

use super::{Families, World, addressed};
use crate::space::{Space, run};

/// The interface of the device at the switch.
pub(super) const SWITCHED: &str = "eth0";

/// A bridge in a namespace of its own.
pub(super) struct Switch {
    space: Space,
}

impl Switch {
    /// Makes the switch with the router plugged into it.
    pub(super) fn new(name: &str, router: &Space) -> Self {
        let space = Space::new(name);
        // Ports forward at once, because there is no spanning tree.
        space.ip(&format!(
            "link add name br0 type bridge stp_state 0 mcast_snooping 0\n\
             link add name s-router index 52 type veth peer name r-{SWITCHED} index 21 netns {}\n\
             link set s-router master br0\n\
             link set br0 up\n\
             link set s-router up",
            router.name()
        ));
        router.ip(&addressed(SWITCHED));
        Self { space }
    }

    /// The namespace of the other end of the device's cable, with its name and number there.
    pub(super) fn port(&self) -> (&str, String, usize) {
        (self.space.name(), format!("s-{SWITCHED}"), 51)
    }

    /// Makes the device's new cable a port of the bridge.
    pub(super) fn attach(&self) {
        self.space.ip(&format!("link set s-{SWITCHED} master br0\nlink set s-{SWITCHED} up"));
    }

    /// Pulls the device's cable or plugs it back.
    pub(super) fn set(&self, state: &str) {
        self.space.ip(&format!("link set s-{SWITCHED} {state}"));
    }
}

impl World {
    /// Makes the network of [`World::with`] with a switch between eth0 and the router.
    ///
    /// # Panics
    ///
    /// As [`World::new`].
    #[must_use]
    pub fn behind_switch(families: Families) -> Self {
        Self::build(families, true)
    }

    /// Switches the router off, as seen from eth0. The carrier stays because of the switch.
    pub fn router_off(&self) {
        self.router.ip(&format!("link set r-{SWITCHED} down"));
    }

    /// Switches the router on again.
    pub fn router_on(&self) {
        self.router.ip(&format!("link set r-{SWITCHED} up"));
    }

    /// Whether the device has given up the hardware address of the router at `interface`: the
    /// router has not answered, and the kernel requests the address again or not at all.
    #[must_use]
    pub fn router_failed(&self, interface: &str) -> bool {
        let show = ["-n", self.device.name(), "neighbour", "show", "dev", interface];
        let failed = ["nud", "failed", "nud", "incomplete"];
        !run(Command::new("ip").args(show).args(failed), "").is_empty()
    }
}
