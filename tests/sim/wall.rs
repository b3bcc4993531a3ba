//! The wall clock of the device, which anybody may set, and the certificate that is judged by it.

use linkbeat::proto::event::TlsFailure;
use linkbeat::proto::time::Instant;
use linkbeat::proto::wall::WallClock;

const DAY_S: u64 = 86_400;
/// What time it is at boot.
const TRUTH_S: u64 = 1_790_000_000;
/// When the agent was built.
const BUILT_S: u64 = TRUTH_S - 30 * DAY_S;
/// The days of the server's certificate, issued yesterday.
const VALID_S: (u64, u64) = (TRUTH_S - DAY_S, TRUTH_S + 90 * DAY_S);

/// The clock, and what the agent knows of it.
#[derive(Debug)]
pub(crate) struct Wall {
    clock: WallClock,
    /// How far it is ahead of the truth, in seconds.
    ahead_s: i64,
}

impl Wall {
    /// Places that a clock is set to, as seconds ahead of the truth.
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

    pub(crate) fn new() -> Self {
        Self { clock: WallClock::new(BUILT_S), ahead_s: 0 }
    }

    /// Somebody sets it.
    pub(crate) fn set(&mut self, ahead_s: i64) {
        self.ahead_s = ahead_s;
    }

    fn truth_s(at: Instant) -> u64 {
        TRUTH_S + at.as_micros() / 1_000_000
    }

    /// What it reads.
    fn reads_s(&self, at: Instant) -> u64 {
        Self::truth_s(at).saturating_add_signed(self.ahead_s)
    }

    /// What is wrong with the certificate, as the agent's verifier sees it.
    pub(crate) fn verdict(&self, at: Instant) -> Option<TlsFailure> {
        let (reads_s, floor) = (self.reads_s(at), self.clock.floor(at));
        let set = floor.allows(reads_s);
        let judged_s = if set { reads_s } else { floor.unix_s.max(VALID_S.0) };
        if judged_s < VALID_S.0 {
            Some(TlsFailure::NotYetValid)
        } else {
            (judged_s > VALID_S.1).then_some(TlsFailure::Expired)
        }
    }

    /// A verified answer tells the time.
    pub(crate) fn hear_date(&mut self, at: Instant) {
        self.clock.server_said(Self::truth_s(at), at);
        self.clock.look(self.reads_s(at), at);
        assert_eq!(
            self.clock.unset_since().is_some(),
            self.ahead_s < -300,
            "a clock is set if it is not behind the server"
        );
    }
}
