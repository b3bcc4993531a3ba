//! The steps of the test, and their times.

use std::io::{self, Write};
use std::time::Duration;

use linkbeat_support::agent::Line;
use linkbeat_support::clock;
use linkbeat_support::journal::Follower;
use linkbeat_support::receiver::Beat;

use crate::machine::Machine;
use crate::network::{CARDS, Network, card_of};

/// Time limit for an event: emulation on a busy host is slow.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// The time that a cable stays unplugged.
pub(crate) const UNPLUGGED: Duration = Duration::from_secs(3);
/// Events within this time after a step are shown with it.
const AFTERMATH: Duration = Duration::from_millis(500);

/// The steps of a test.
pub(crate) type Steps = fn(&mut Day<'_>) -> io::Result<()>;

/// Runs the steps.
pub(crate) fn live(network: &Network, machine: &mut Machine, steps: Steps) -> io::Result<()> {
    let beats = network.receiver.beats();
    let lines = machine.log().follow_all();
    let timeline = Timeline { beats: beats.follow_all(), lines };
    let mut day = Day {
        machine,
        beats: beats.follow_all(),
        began_us: clock::boot_us(),
        timeline,
        rows: Vec::new(),
    };
    let result = steps(&mut day).and_then(|()| day.end());
    // Show the events that led to a failure.
    day.print_events()?;
    result
}

pub(crate) struct Day<'a> {
    pub(crate) machine: &'a mut Machine,
    beats: Follower<Beat>,
    began_us: u64,
    timeline: Timeline,
    /// The summary with a line for each event.
    rows: Vec<String>,
}

/// A beat that an event caused.
pub(crate) struct Timed {
    pub(crate) beat: Beat,
    event_us: u64,
    /// The time from the event to the request fully received.
    took_us: u64,
    /// The time from a usable uplink to the request written, measured by the agent.
    pub(crate) own_ms: f64,
}

/// The events that are not printed yet.
struct Timeline {
    beats: Follower<Beat>,
    lines: Follower<Line>,
}

impl Day<'_> {
    /// The steps with cables, cards and crashes.
    pub(crate) fn cables(&mut self) -> io::Result<()> {
        // The reason varies, because the kernel announces the cards in any order.
        self.step("power on", "", "eth0", |_| Ok(()))?;
        self.look_around()?;
        self.step("cable of eth0 pulled", "failover_to_wlan1", "wlan1", |it| {
            it.set_link("eth0", false)
        })?;
        self.pass(UNPLUGGED);
        self.step("cable of eth0 plugged", "eth0_priority", "eth0", |it| {
            it.set_link("eth0", true)
        })?;
        self.pull_both()?;
        if self.machine.ask("ls /sys/bus/pci_express/drivers || true")?.contains("pciehp") {
            self.change_card()?;
        } else {
            self.say("no card is removed: this kernel does not support it")?;
        }
        self.step("somebody rings the bell (linkbeat trigger)", "door", "eth0", |it| {
            it.ask("linkbeat trigger --reason door --wait").map(drop)
        })?;
        self.crash()?;
        self.reboot()
    }

    fn end(&mut self) -> io::Result<()> {
        let status = self.machine.quit()?;
        self.say(&format!("switched off: qemu: {status}"))?;
        self.sum_up()
    }

    fn sum_up(&self) -> io::Result<()> {
        let mut out = io::stdout().lock();
        writeln!(
            out,
            "\nfrom the event to the request fully received over TLS; by the agent, on the"
        )?;
        writeln!(out, "clock of the camera, from a usable uplink to the request written:\n")?;
        writeln!(out, "{:<44} {:>12} {:>12}", "event", "on the host", "by the agent")?;
        self.rows.iter().try_for_each(|row| writeln!(out, "{row}"))
    }

    /// Checks that the agent runs as its own user with the settings of the package, and reports no
    /// problem.
    pub(crate) fn look_around(&mut self) -> io::Result<()> {
        let answer = self.machine.ask(
            "uname -srm; sed -n 's/^Uid:/agent: user/p; s/^CapEff:/agent: may/p; s/^VmRSS:/agent: resident/p' \
             /proc/$(cat /var/run/linkbeat.pid)/status; linkbeat --version; \
             ls -ld /etc/linkbeat /etc/linkbeat/* /etc/rpi-cam/*; linkbeat check >/tmp/check || cat /tmp/check; \
             linkbeat status",
        )?;
        for line in answer.lines() {
            writeln!(io::stdout(), "            {line}")?;
        }
        let may = if is_old(&answer) { "may\t0000000000002000" } else { "may\t0000000000000000" };
        let wanted = ["aarch64", "user\t100\t100", may, "the server acknowledges"];
        if let Some(missing) = wanted.into_iter().find(|it| !answer.contains(it)) {
            return Err(io::Error::other(format!("missing in this output: {missing}")));
        }
        if answer.contains("warning") {
            Err(io::Error::other("the status has a warning"))
        } else {
            Ok(())
        }
    }

    fn pull_both(&mut self) -> io::Result<()> {
        let mut lines = self.machine.log().follow();
        self.say("both cables pulled")?;
        for card in CARDS {
            self.machine.set_link(card, false)?;
        }
        let lost = |line: &Line| line.text.contains("no usable uplink");
        lines.find(PATIENCE, lost).ok_or_else(|| missing("log line without an uplink"))?;
        self.pass(UNPLUGGED);
        self.print_events()?;
        self.step("cable of wlan1 plugged", "", "wlan1", |it| it.set_link("wlan1", true))?;
        self.step("cable of eth0 plugged too", "eth0_priority", "eth0", |it| {
            it.set_link("eth0", true)
        })
        .map(drop)
    }

    /// A card is removed when the kernel has released it, five seconds after the request.
    fn change_card(&mut self) -> io::Result<()> {
        let mut events = self.machine.events();
        self.step("card of eth0 removed (kernel waits 5 s)", "failover_to_wlan1", "wlan1", |it| {
            it.remove("eth0")
        })?;
        events.expect("DEVICE_DELETED", Some("eth0"))?;
        self.step("card of eth0 added, leased by DHCP", "eth0_priority", "eth0", |it| {
            it.add("eth0")
        })
        .map(drop)
    }

    /// The loop of the S-script restarts the agent, because init does not supervise it.
    fn crash(&mut self) -> io::Result<()> {
        const PID: &str = "cat /var/run/linkbeat.pid";
        let old = self.machine.ask(PID)?;
        self.step("agent killed (started again after 1 s)", "startup", "eth0", |it| {
            it.ask(&format!("kill -KILL $({PID})")).map(drop)
        })?;
        let new = self.machine.ask(PID)?;
        if new == old { Err(missing("other process")) } else { Ok(()) }
    }

    fn reboot(&mut self) -> io::Result<()> {
        let mut events = self.machine.events();
        self.step("reboot", "", "eth0", |it| it.send("reboot"))?;
        events.expect("RESET", None)
    }

    /// Runs `act` and measures the time to the beat that it causes, with this reason (any if empty)
    /// over this card. Returns the beat.
    pub(crate) fn step(
        &mut self,
        what: &'static str,
        reason: &str,
        card: &str,
        act: impl FnOnce(&mut Machine) -> io::Result<()>,
    ) -> io::Result<Beat> {
        self.say(what)?;
        let Timed { beat, event_us, took_us, own_ms: own } = self.time_beat(reason, act)?;
        let first = beat.clone();
        let mut row = format!("{what:<44} {:>12} {own:>9.1} ms", milliseconds(took_us));
        if let Some(other) = card_of(beat.peer.ip()).filter(|it| *it != card) {
            let right = |beat: &Beat| card_of(beat.peer.ip()) == Some(card);
            let beat = self.beats.find(PATIENCE, right);
            let beat = beat.ok_or_else(|| missing(&format!("beat over {card}")))?;
            let took_us = beat.received_us.saturating_sub(event_us);
            row += &format!("  over {other}; over {card} after {}", milliseconds(took_us));
        }
        self.rows.push(row);
        self.print_events()?;
        Ok(first)
    }

    /// Runs `act` and measures the time to the beat that it causes, with this reason (any if
    /// empty).
    pub(crate) fn time_beat(
        &mut self,
        reason: &str,
        act: impl FnOnce(&mut Machine) -> io::Result<()>,
    ) -> io::Result<Timed> {
        self.beats.skip();
        let mut lines = self.machine.log().follow();
        let event_us = clock::boot_us();
        act(self.machine)?;
        // An event brings about neither a beat of the cycle nor the last one of an agent that stops.
        let is_due =
            |beat: &Beat| beat.reason() == "interval" || beat.body.get("stopping").is_some();
        let brought = |beat: &Beat| beat.reason().contains(reason) && !is_due(beat);
        let beat = self.beats.find(PATIENCE, brought);
        let beat = beat.ok_or_else(|| missing(&format!("beat {reason}")))?;
        let took_us = beat.received_us.saturating_sub(event_us);
        let sent = format!("sent: seq {}, {}", beat.seq(), beat.reason());
        let line = lines.find(PATIENCE, |line| line.text.contains(&sent));
        let line = line.ok_or_else(|| missing(&format!("line \"{sent}\"")))?.text;
        let own_ms =
            from_usable_to_written(&line).ok_or_else(|| missing(&format!("time in \"{line}\"")))?;
        Ok(Timed { beat, event_us, took_us, own_ms })
    }

    /// Adds a line to the summary.
    pub(crate) fn add_row(&mut self, row: String) {
        self.rows.push(row);
    }

    /// Waits.
    pub(crate) fn pass(&mut self, time: Duration) {
        self.timeline.lines.find(time, |_| false);
    }

    /// Prints the next step.
    pub(crate) fn say(&self, what: &str) -> io::Result<()> {
        writeln!(io::stdout(), "\n{} -- {what}", self.time(clock::boot_us()))
    }

    /// Prints the events since the last call.
    pub(crate) fn print_events(&mut self) -> io::Result<()> {
        self.pass(AFTERMATH);
        let mut events: Vec<(u64, String)> = Vec::new();
        for beat in self.timeline.beats.drain() {
            let (seq, reason, peer, security) =
                (beat.seq(), beat.reason(), beat.peer.ip(), &beat.security);
            let card = card_of(peer).unwrap_or("?");
            events.push((
                beat.received_us,
                format!("SERVER  beat {seq} {reason}, over {card} ({peer}), {security}"),
            ));
        }
        for line in self.timeline.lines.drain() {
            events.push((line.at_us, format!("camera  {}", line.text)));
        }
        events.sort();
        let mut out = io::stdout().lock();
        for (at_us, text) in events {
            writeln!(out, "{} {text}", self.time(at_us))?;
        }
        out.flush()
    }

    fn time(&self, at_us: u64) -> String {
        let us = at_us.saturating_sub(self.began_us);
        format!("{:>4}.{:06}", us / 1_000_000, us % 1_000_000)
    }
}

/// Whether sockets are bound by `CAP_NET_RAW` alone, by what uname(1) prints: before Linux 5.7.
fn is_old(uname: &str) -> bool {
    let numbers = uname.trim_start_matches("Linux ").split(|it: char| !it.is_ascii_digit());
    let version: Vec<u32> = numbers.map_while(|it| it.parse().ok()).take(2).collect();
    version < vec![5, 7]
}

/// The milliseconds of a line "Heartbeat sent: ... (usable 0.0, ..., written 2.8)".
fn from_usable_to_written(line: &str) -> Option<f64> {
    let after = |word: &str| {
        let number = line.rsplit_once(word)?.1.split([',', ')']).next()?;
        number.parse::<f64>().ok()
    };
    Some(after("written ")? - after("usable ")?)
}

fn milliseconds(us: u64) -> String {
    format!("{}.{} ms", us / 1000, us % 1000 / 100)
}

pub(crate) fn missing(what: &str) -> io::Error {
    io::Error::other(format!("no {what} within {PATIENCE:?}"))
}
