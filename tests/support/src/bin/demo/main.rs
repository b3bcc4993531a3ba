//! A minute of network trouble of a camera, with measured times.

use std::fmt;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use linkbeat_support::agent::{Agent, Line, Setting};
use linkbeat_support::clock;
use linkbeat_support::journal::Follower;
use linkbeat_support::observer::{Announcement, Change};
use linkbeat_support::receiver::Beat;
use linkbeat_support::world::{Block, INTERFACES, Verdict, World};

mod loopback;

/// The longest wait before the demo gives up.
const PATIENCE: Duration = Duration::from_secs(20);
/// The length of an outage after the agent has noticed it.
const OUTAGE: Duration = Duration::from_secs(5);
/// Events within this time after a step are shown with it.
const AFTERMATH: Duration = Duration::from_millis(300);
/// Seconds between two beats: short, so that one falls due during an outage.
const INTERVAL: u32 = 5;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    let shown = match arguments.as_slice() {
        [option, binary] if option == "--loopback" => loopback::show(Path::new(binary)),
        [binary] => Demo::start(&PathBuf::from(binary)).show(),
        _ => Err(io::Error::other("usage: demo [--loopback] LINKBEAT")),
    };
    match shown {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Standard error is closed: nothing can be reported.
            writeln!(io::stderr(), "demo: {error}").ok();
            ExitCode::FAILURE
        }
    }
}

/// The times measured so far, with the promises of the reference.
#[derive(Default)]
struct Summary(Vec<(&'static str, u64, &'static str)>);

impl Summary {
    fn add(&mut self, what: &'static str, event_us: u64, beat: &Beat, promised: &'static str) {
        self.0.push((what, beat.received_us.saturating_sub(event_us), promised));
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\nfrom the event to the request fully received over TLS:\n")?;
        let (event, measured, promised) = ("event", "measured", "the reference promised");
        writeln!(f, "{event:<34} {measured:>12}   {promised}")?;
        for (what, took_us, promised) in &self.0 {
            let measured = format!("{}.{:03} ms", took_us / 1000, took_us % 1000);
            writeln!(f, "{what:<34} {measured:>12}   {promised}")?;
        }
        Ok(())
    }
}

struct Demo {
    world: World,
    agent: Agent,
    began_us: u64,
    beats: Follower<Beat>,
    changes: Follower<Announcement>,
    timeline: Timeline,
    summary: Summary,
}

/// The events that are not printed yet.
struct Timeline {
    beats: Follower<Beat>,
    lines: Follower<Line>,
    changes: Follower<Announcement>,
}

impl Demo {
    fn start(binary: &Path) -> Self {
        let world = World::new();
        let setting = Setting::new(&world).every(INTERVAL).own("log_level", "info");
        let began_us = clock::boot_us();
        let agent = Agent::start(&world, binary, &setting);
        let beats = || world.receiver.beats().follow_all();
        let changes = || world.kernel.announcements().follow();
        let lines = agent.lines().follow_all();
        Self {
            beats: beats(),
            changes: changes(),
            timeline: Timeline { beats: beats(), lines, changes: changes() },
            summary: Summary::default(),
            world,
            agent,
            began_us,
        }
    }

    fn show(mut self) -> io::Result<()> {
        self.say("a camera with eth0 (cable), wlan1 and wlan0; the server answers over TLS")?;
        self.beat("first beat", |_| true)?;
        self.print_events()?;
        self.pull_and_plug()?;
        self.reboot_wifi()?;
        self.outage("packets are lost", Verdict::Drop, "outage over (packets were lost)")?;
        self.outage("the router rejects", Verdict::Host, "outage over (router rejected)")?;
        self.trigger("trigger, connection kept", false)?;
        self.trigger("trigger, new connection", true)?;
        self.say("SIGTERM")?;
        let status = self.agent.end();
        self.print_events()?;
        self.say(&format!("the agent has ended: {status}"))?;
        write!(io::stdout(), "{}", self.summary)
    }

    fn pull_and_plug(&mut self) -> io::Result<()> {
        self.say("the cable of eth0 is pulled; its address and route stay in the kernel")?;
        self.changes.skip();
        self.world.pull("eth0");
        let event_us = self.change("eth0", Change::NotRunning)?;
        let beat = self.beat("beat over WiFi", |beat| beat.reason() == "failover_to_wlan1")?;
        self.summary.add("cable pulled, beat over WiFi", event_us, &beat, "1 to 3 s");
        self.pass(OUTAGE);
        self.print_events()?;

        self.say("the cable is plugged back")?;
        self.world.plug("eth0");
        let event_us = self.change("eth0", Change::Running)?;
        let beat = self.beat("beat over eth0", |beat| beat.reason() == "eth0_priority")?;
        self.summary.add("cable plugged back", event_us, &beat, "1 to 3 s");
        self.print_events()
    }

    fn reboot_wifi(&mut self) -> io::Result<()> {
        self.say("the cable is pulled again, and the WiFi router reboots: no uplink is left")?;
        self.changes.skip();
        for interface in INTERFACES.into_iter().rev() {
            self.world.pull(interface);
        }
        self.pass(OUTAGE);
        self.print_events()?;
        self.say("the WiFi router is back")?;
        self.beats.skip();
        self.world.plug("wlan1");
        let event_us = self.change("wlan1", Change::Running)?;
        let beat = self.beat("beat over WiFi", |_| true)?;
        self.summary.add("WiFi router back", event_us, &beat, "1 to 2 s");
        self.print_events()?;
        self.say("the cable is plugged back")?;
        self.world.plug("eth0");
        self.beat("beat over eth0", |beat| beat.reason() == "eth0_priority")?;
        self.print_events()
    }

    fn outage(&mut self, how: &str, verdict: Verdict, what: &'static str) -> io::Result<()> {
        self.say(&format!("an outage behind the router, all links stay up: {how}"))?;
        let mut lines = self.agent.lines().follow();
        self.world.block(&[Block::all(verdict)]);
        let lost = |line: &Line| line.text.contains("Connectivity lost");
        lines.find(PATIENCE, lost).ok_or_else(|| missing("notice of the outage"))?;
        self.pass(OUTAGE);
        self.print_events()?;
        self.say("the outage is over; no link has changed, so the kernel announces nothing")?;
        self.beats.skip();
        let event_us = self.world.prepare(&[]).apply();
        let beat = self.beat("beat", |_| true)?;
        self.summary.add(what, event_us, &beat, "1 s");
        self.print_events()
    }

    fn trigger(&mut self, what: &'static str, new_connection: bool) -> io::Result<()> {
        self.say(&format!("somebody rings the door bell: {what}"))?;
        if new_connection {
            self.world.receiver.close_connections();
            self.pass(AFTERMATH);
        }
        let event_us = clock::boot_us();
        self.agent.ask("trigger door-bell")?;
        let beat = self.beat("beat", |beat| {
            beat.received_us > event_us && beat.reason().contains("door-bell")
        })?;
        self.summary.add(what, event_us, &beat, "500 ms");
        self.print_events()
    }

    /// Waits for a change of a link; returns the time of the kernel's announcement.
    fn change(&mut self, interface: &str, change: Change) -> io::Result<u64> {
        let wanted = |it: &Announcement| it.interface == interface && it.change == change;
        let found = self.changes.find(PATIENCE, wanted);
        Ok(found.ok_or_else(|| missing("announcement of the kernel"))?.at_us)
    }

    fn beat(&mut self, what: &str, wanted: impl Fn(&Beat) -> bool) -> io::Result<Beat> {
        self.beats.find(PATIENCE, wanted).ok_or_else(|| missing(what))
    }

    /// Waits.
    fn pass(&mut self, time: Duration) {
        self.timeline.lines.find(time, |_| false);
    }

    /// Prints the next step.
    fn say(&self, what: &str) -> io::Result<()> {
        writeln!(io::stdout(), "\n{} -- {what}", self.time(clock::boot_us()))
    }

    /// Prints the events since the last call.
    fn print_events(&mut self) -> io::Result<()> {
        self.pass(AFTERMATH);
        let mut events: Vec<(u64, String)> = Vec::new();
        for beat in self.timeline.beats.drain() {
            let (seq, reason, peer) = (beat.seq(), beat.reason(), beat.peer.ip());
            let over = INTERFACES.into_iter().find(|it| self.world.address(it) == peer);
            let over = over.unwrap_or("?");
            let connection = if beat.nth == 1 { "new connection" } else { "kept connection" };
            let security = &beat.security;
            let text = format!(
                "SERVER  beat {seq} {reason}, over {over} ({peer}), {connection}, {security}"
            );
            events.push((beat.received_us, text));
        }
        for line in self.timeline.lines.drain() {
            events.push((line.at_us, format!("agent   {}", line.text)));
        }
        for Announcement { at_us, interface, change } in self.timeline.changes.drain() {
            events.push((at_us, format!("kernel  {interface} {change:?}")));
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

fn missing(what: &str) -> io::Error {
    io::Error::other(format!("no {what} within {PATIENCE:?}"))
}
