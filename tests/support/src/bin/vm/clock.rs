//! A camera without a battery for its clock: the clock starts in 1970, is set, and is set wrong.

use std::io;
use std::process::Command;
use std::time::Duration;

use linkbeat_support::agent::Line;
use linkbeat_support::certificates::Shown;
use linkbeat_support::clock;
use linkbeat_support::journal::Follower;
use linkbeat_support::receiver::{Answer, Beat, Behaviour, Receiver};

use crate::day::{Day, missing};

/// The time of the machine's clock at power on.
pub(crate) const POWER_ON: &str = "1970-01-01T00:01:00";
/// 2099-01-01T00:00:00Z
const FAR_FUTURE_S: u64 = 4_070_908_800;
/// 2001-09-09T01:46:40Z
const LONG_AGO_S: u64 = 1_000_000_000;
/// A longer time means that the kernel did not report the change, and the agent noticed it with the
/// next beat.
const AT_ONCE: Duration = Duration::from_secs(15);
/// The largest difference between the clocks of host and camera after the latter is set.
const APART_S: u64 = 30;

/// A server with a certificate that was issued yesterday, and with a Date header.
pub(crate) fn behave(receiver: &Receiver) -> io::Result<()> {
    // RFC 9110 §5.6.7, written by another program than the one under test.
    let now =
        Command::new("date").env("LC_ALL", "C").args(["-u", "+%a, %d %b %Y %T GMT"]).output()?;
    let date = String::from_utf8_lossy(&now.stdout).trim().to_owned();
    receiver.behave(Behaviour {
        answer: Answer::Status { code: 200, header: Some(("Date", date)) },
        shown: Shown::Recent,
        ..Behaviour::default()
    });
    Ok(())
}

fn now_s() -> u64 {
    clock::wall_us() / 1_000_000
}

impl Day<'_> {
    /// Power on in 1970, set, restarted in 2099, set again, set back.
    pub(crate) fn clock(&mut self) -> io::Result<()> {
        let beat = self.step("power on, the clock at 1970", "", "eth0", |_| Ok(()))?;
        self.expect_untimed(&beat)?;
        self.expect_said("date -u +%Y", "1970")?;
        self.expect_said("linkbeat status", "not set for ")?;

        self.set("clock set to the present", now_s(), "the clock is set")?;
        // The time of the former beat is corrected as well.
        let year = self.machine.ask("date -u +%Y")?;
        self.expect_said("linkbeat status --json", &format!("\"last_heartbeat\":\"{year}-"))?;
        let beat = self.trigger("trigger with the clock set")?;
        self.expect_timed(&beat)?;

        self.restart_in_the_future()?;
        let beat = self.step("clock set right: the beat that failed", "startup", "eth0", |it| {
            it.ask(&format!("date -s @{}", now_s())).map(drop)
        })?;
        self.expect_timed(&beat)?;

        self.set("clock set back by decades", LONG_AGO_S, "the clock is not set")?;
        let beat = self.trigger("trigger with the clock set back")?;
        self.expect_untimed(&beat)
    }

    fn trigger(&mut self, what: &'static str) -> io::Result<Beat> {
        self.step(what, "trigger", "eth0", |it| it.ask("linkbeat trigger --wait").map(drop))
    }

    /// Sets the clock and waits until the agent logs that.
    fn set(&mut self, what: &str, unix_s: u64, words: &str) -> io::Result<()> {
        let mut lines = self.machine.log().follow();
        self.say(what)?;
        self.machine.ask(&format!("date -s @{unix_s}"))?;
        self.expect_line(&mut lines, words)
    }

    /// An agent without a session ticket verifies the certificate, and in 2099 no certificate of
    /// this test is valid.
    fn restart_in_the_future(&mut self) -> io::Result<()> {
        let mut lines = self.machine.log().follow();
        self.say("clock set to 2099, agent killed")?;
        let kill = "kill -KILL $(cat /var/run/linkbeat.pid)";
        self.machine.ask(&format!("date -s @{FAR_FUTURE_S}; {kill}"))?;
        self.expect_line(&mut lines, "TLS: the certificate has expired")?;
        self.expect_said("linkbeat status --json || true", "\"cause\":\"tls_expired\"")
    }

    fn expect_line(&mut self, lines: &mut Follower<Line>, words: &str) -> io::Result<()> {
        let found = lines.find(AT_ONCE, |line| line.text.contains(words));
        found.map(drop).ok_or_else(|| missing(&format!("line \"{words}\"")))?;
        self.print_events()
    }

    fn expect_said(&mut self, command: &str, words: &str) -> io::Result<()> {
        let said = self.machine.ask(command)?;
        if said.contains(words) {
            return Ok(());
        }
        Err(io::Error::other(format!("{command}: missing in this output: {words}\n{said}")))
    }

    fn expect_untimed(&self, beat: &Beat) -> io::Result<()> {
        match beat.body.get("timestamp") {
            None => Ok(()),
            Some(time) => Err(io::Error::other(format!("a beat with the timestamp {time}"))),
        }
    }

    fn expect_timed(&self, beat: &Beat) -> io::Result<()> {
        let timestamp = beat.body.get("timestamp").and_then(|it| it.as_str()).unwrap_or_default();
        let read = Command::new("date").args(["-u", "-d", timestamp, "+%s"]).output()?.stdout;
        let timestamp_s = String::from_utf8_lossy(&read).trim().parse::<u64>();
        let apart = timestamp_s.map(|it| it.abs_diff(beat.wall_us / 1_000_000));
        match apart {
            Ok(..=APART_S) => Ok(()),
            Ok(_) | Err(_) => {
                Err(io::Error::other(format!("a beat with the timestamp {timestamp:?}")))
            }
        }
    }
}
