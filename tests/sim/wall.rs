//! The device's wall clock, which may be set at any time, the validity of the server's certificate,
//! and the date in its responses, right or wrong.

use linkbeat_core::proto::event::TlsFailure;
use linkbeat_core::proto::time::Instant;
use linkbeat_core::proto::wall::{Reading, SLACK_S, WallClock};

const DAY_S: u64 = 86_400;
/// Correct time at boot, in seconds since 1970 UTC.
const TRUTH_S: u64 = 1_790_000_000;
/// Build time of the agent.
const BUILT_S: u64 = TRUTH_S - 30 * DAY_S;
/// Validity of the server's certificate, issued the day before boot.
const VALID_S: (u64, u64) = (TRUTH_S - DAY_S, TRUTH_S + 90 * DAY_S);

/// The clock, and the agent's knowledge about it.
#[derive(Debug, Clone)]
pub(crate) struct Wall {
    clock: WallClock,
    /// How far the clock is ahead of the correct time, in seconds.
    ahead_s: i64,
    /// Whether NTP synchronizes the clock. Only a correct clock is synchronized.
    kept: bool,
    /// How far the server's clock is ahead of the correct time, in seconds.
    server_ahead_s: i64,
}

impl Wall {
    /// Values that the clock is set to, in seconds ahead of the correct time.
    pub(crate) const JUMPS_S: [i64; 8] = [
        0,
        0,
        -1_780_000_000,
        -10 * DAY_S.cast_signed(),
        -7_200,
        7_200,
        365 * DAY_S.cast_signed(),
        26_645 * DAY_S.cast_signed(),
    ];
    /// Values of the server's clock, in seconds ahead of the correct time.
    pub(crate) const SERVERS_S: [i64; 10] = [
        0,
        0,
        0,
        360,
        3600,
        DAY_S.cast_signed(),
        60 * DAY_S.cast_signed(),
        365 * DAY_S.cast_signed(),
        -360,
        -365 * DAY_S.cast_signed(),
    ];

    pub(crate) fn new() -> Self {
        Self { clock: WallClock::new(BUILT_S), ahead_s: 0, kept: false, server_ahead_s: 0 }
    }

    /// Sets the clock. NTP synchronizes it if `kept` is set and it is correct.
    pub(crate) fn set(&mut self, ahead_s: i64, kept: bool) {
        self.ahead_s = ahead_s;
        self.kept = kept && ahead_s == 0;
        self.clock.jumped();
    }

    /// Sets the server's clock.
    pub(crate) fn set_server(&mut self, ahead_s: i64) {
        self.server_ahead_s = ahead_s;
    }

    fn truth_s(at: Instant) -> u64 {
        TRUTH_S + at.as_micros() / 1_000_000
    }

    /// The value of the clock.
    fn reads_s(&self, at: Instant) -> u64 {
        Self::truth_s(at).saturating_add_signed(self.ahead_s)
    }

    fn reading(&self, at: Instant) -> Reading {
        Reading { unix_s: self.reads_s(at), synchronised: self.kept }
    }

    /// The failure of the certificate in the agent's verifier, if any.
    pub(crate) fn verdict(&self, at: Instant) -> Option<TlsFailure> {
        let reads_s = self.reads_s(at);
        let floors = self.clock.floors(reads_s, at);
        let mut judged_s = floors.first_s(reads_s);
        if !floors.allow(reads_s) {
            judged_s = judged_s.max(VALID_S.0);
        }
        if judged_s < VALID_S.0 {
            return Some(TlsFailure::NotYetValid);
        }
        let expired = judged_s > VALID_S.1;
        assert!(
            !expired || reads_s > VALID_S.1 || reads_s + SLACK_S < BUILT_S,
            "no server makes expire what is valid by a possible clock"
        );
        expired.then_some(TlsFailure::Expired)
    }

    /// Whether the certificate is valid now, and remains so after the date of the next response.
    pub(crate) fn trusts(&self, at: Instant) -> bool {
        let mut dated = self.clone();
        dated.hear_date(at);
        self.verdict(at).is_none() && dated.verdict(at).is_none()
    }

    /// Handles the date of a verified response, which counts if the certificate is valid at that
    /// date.
    pub(crate) fn hear_date(&mut self, at: Instant) {
        let date_s = Self::truth_s(at).saturating_add_signed(self.server_ahead_s);
        let reading = self.reading(at);
        let valid = (VALID_S.0..=VALID_S.1).contains(&date_s);
        if valid || !self.clock.is_bold(date_s, reading.unix_s, at) {
            self.clock.server_said(date_s, at);
        }
        self.clock.update(reading, at);
        let unset = self.clock.unset_since().is_some();
        if self.kept {
            assert!(!unset, "no server unsets a synchronised clock");
        } else if self.server_ahead_s == 0 {
            assert_eq!(unset, self.ahead_s < -300, "a clock is set if it is not behind the server");
        }
    }
}
