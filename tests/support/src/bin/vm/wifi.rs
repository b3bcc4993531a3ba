//! A day of a camera that has only WiFi: two access points of one network, in simulated radio.

use std::io;

use linkbeat_support::agent::Line;

use crate::day::{Day, PATIENCE, UNPLUGGED, missing};
use crate::machine::Machine;
use crate::network::RADIO;

/// The access points: interface and address of each.
const POINTS: [(&str, &str); 2] = [("wlan1", "02:00:00:00:01:00"), ("wlan2", "02:00:00:00:02:00")];

/// Asks for the point that the camera is with, among others.
const STATUS: &str = "wpa_cli -i wlan0 status";

impl Day<'_> {
    /// Roams, loses both points, finds one again.
    pub(crate) fn wifi(&mut self) -> io::Result<()> {
        self.step("power on", "", RADIO, |_| Ok(()))?;
        self.look_around()?;
        let status = self.machine.ask(STATUS)?;
        let there = POINTS.into_iter().find(|(_, address)| !status.contains(address));
        let (_, there) = there.ok_or_else(|| missing("other access point"))?;
        self.step("roamed to the other access point", "", RADIO, |it| {
            it.ask(&format!("wpa_cli -i wlan0 roam {there}")).map(drop)
        })?;
        if !self.machine.ask(STATUS)?.contains(there) {
            return Err(missing("roaming"));
        }
        let mut lines = self.machine.log().follow();
        self.say("both access points off")?;
        for (point, _) in POINTS {
            enable(self.machine, point, false)?;
        }
        let lost = |line: &Line| line.text.contains("no usable uplink");
        lines.find(PATIENCE, lost).ok_or_else(|| missing("word that there is no uplink"))?;
        self.pass(UNPLUGGED);
        self.tell()?;
        self.step("one access point on again", "", RADIO, |it| enable(it, "wlan1", true)).map(drop)
    }
}

/// Switches an access point on or off.
fn enable(machine: &mut Machine, point: &str, on: bool) -> io::Result<()> {
    let word = if on { "enable" } else { "disable" };
    machine.ask(&format!("hostapd_cli -i {point} {word}")).map(drop)
}
