//! A camera with WiFi only, and two access points of one network, with simulated radio.

use std::io;
use std::time::Duration;

use linkbeat_support::agent::Line;

use crate::day::{Day, PATIENCE, UNPLUGGED, missing};
use crate::machine::Machine;
use crate::network::RADIO;

/// The access points: interface and address of each.
const POINTS: [(&str, &str); 2] = [("wlan1", "02:00:00:00:01:00"), ("wlan2", "02:00:00:00:02:00")];

/// The number of roams of each kind.
const ROUNDS: usize = 8;
/// The pause between two roams, because moderation allows one beat every two seconds.
const APART: Duration = Duration::from_millis(2_500);
/// The retransmission times of the packages and of the kernel, for both families.
const INTERVALS_MS: [&str; 2] = ["200", "1000"];
/// Sends fifty packets a second to the server, like a camera that streams.
const STREAM: &str =
    "while :; do ping -i 0.02 203.0.113.10; done >/dev/null 2>&1 & echo $! >/tmp/stream";
const NO_STREAM: &str = "kill $(cat /tmp/stream); killall ping";

/// Prints the access point of the camera, among other values.
const STATUS: &str = "wpa_cli -i wlan0 status";

impl Day<'_> {
    /// Roams, loses both access points, and finds one again.
    pub(crate) fn wifi(&mut self) -> io::Result<()> {
        self.step("power on", "", RADIO, |_| Ok(()))?;
        self.look_around()?;
        let there = self.other_point()?;
        self.step("roamed to the other access point", "", RADIO, |it| roam(it, there))?;
        if !self.machine.ask(STATUS)?.contains(there) {
            return Err(missing("roaming"));
        }
        let mut lines = self.machine.log().follow();
        self.say("both access points off")?;
        for (point, _) in POINTS {
            enable(self.machine, point, false)?;
        }
        let lost = |line: &Line| line.text.contains("no usable uplink");
        lines.find(PATIENCE, lost).ok_or_else(|| missing("log line without an uplink"))?;
        self.pass(UNPLUGGED);
        self.print_events()?;
        self.step("one access point on again", "", RADIO, |it| enable(it, "wlan1", true)).map(drop)
    }

    /// Roams with the settings of the packages and with those of the kernel, with and without a
    /// stream.
    pub(crate) fn roams(&mut self) -> io::Result<()> {
        self.step("power on", "", RADIO, |_| Ok(()))?;
        let [brought, _] = INTERVALS_MS;
        let found = self.machine.ask("cat /proc/sys/net/ipv4/neigh/wlan0/retrans_time_ms")?;
        if found != brought {
            return Err(io::Error::other(format!(
                "neighbour requests are repeated every {found} ms"
            )));
        }
        let mut times: [[Vec<f64>; INTERVALS_MS.len()]; 2] = Default::default();
        for _ in 0..ROUNDS {
            for (of_interval, (begin, end)) in
                times.iter_mut().zip([("true", "true"), (STREAM, NO_STREAM)])
            {
                self.machine.ask(begin)?;
                for (times, interval) in of_interval.iter_mut().zip(INTERVALS_MS) {
                    self.pass(APART);
                    self.machine.ask(&format!(
                        "for it in /proc/sys/net/ipv[46]/neigh/*/retrans_time_ms; do echo {interval} >$it; done"
                    ))?;
                    let there = self.other_point()?;
                    let timed = self.time_beat("failover", |it| roam(it, there))?;
                    times.push(timed.own_ms);
                }
                self.machine.ask(end)?;
            }
            self.print_events()?;
        }
        for (camera, of_interval) in ["an idle camera", "a streaming camera"].iter().zip(&mut times)
        {
            for (times, interval) in of_interval.iter_mut().zip(INTERVALS_MS) {
                times.sort_by(f64::total_cmp);
                let (middle, last) = (times.get(ROUNDS / 2), times.last());
                let [middle, last] = [middle, last].map(|it| it.copied().unwrap_or_default());
                self.add_row(format!(
                    "{camera} roams, neighbours retried every {interval:>4} ms: {ROUNDS} times, median {middle:.0} ms, \
                     longest {last:.0} ms by the agent"
                ));
            }
        }
        Ok(())
    }

    /// The address of the other access point.
    fn other_point(&mut self) -> io::Result<&'static str> {
        let status = self.machine.ask(STATUS)?;
        let other = POINTS.into_iter().find(|(_, address)| !status.contains(address));
        other.map(|(_, address)| address).ok_or_else(|| missing("other access point"))
    }
}

/// Makes the camera roam to this access point.
fn roam(machine: &mut Machine, there: &str) -> io::Result<()> {
    machine.ask(&format!("wpa_cli -i {RADIO} roam {there}")).map(drop)
}

/// Switches an access point on or off.
fn enable(machine: &mut Machine, point: &str, on: bool) -> io::Result<()> {
    let word = if on { "enable" } else { "disable" };
    machine.ask(&format!("hostapd_cli -i {point} {word}")).map(drop)
}
