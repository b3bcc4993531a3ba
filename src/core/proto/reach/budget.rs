//! How fast is probed, and what that costs at most.
//!
//! An unanswered probe is one SYN, and a second one if it lives longer than the second after which
//! the kernel repeats it. An answered one is four packets: SYN, SYN-ACK, ACK, RST.

use core::time::Duration;

use crate::proto::rng::Rng;
use crate::proto::settings::BucketSettings;

/// Most probe sockets at once; the oldest is closed for a new one.
pub const OUTSTANDING_MAX: usize = 8;
/// Most targets of one round: one per family, and the server.
pub const TARGETS_MAX: usize = 3;
/// Wait between rounds in the first minute.
///
/// An outage ends at a random moment between two rounds, so its end is seen half a wait late on
/// average: 125 ms, of which a person notices nothing.
pub const FAST: Duration = Duration::from_millis(250);
/// Wait between rounds up to ten minutes, and the least between probes of the server.
pub const MODERATE: Duration = Duration::from_secs(1);
/// Longest wait between rounds after that, and while only the server is silent.
pub const SLOW: Duration = Duration::from_secs(5);
/// How long the fast cadence lasts.
const FAST_FOR: Duration = Duration::from_secs(60);
/// How long the moderate cadence lasts, counted from the start.
const MODERATE_FOR: Duration = Duration::from_secs(600);
/// Probes that must go unanswered before the device is called offline: one lost packet is no
/// outage.
pub(super) const UNANSWERED_MIN: u32 = 3;
/// How long nothing at all may have been answered by then.
///
/// An upload that fills the line makes round trips jump to seconds, longer than a probe lives; what
/// was sent arrives all the same, and the first answer ends this wait. A real outage is declared
/// later for it, and its end is seen as soon as ever: the search does not wait for the declaration.
pub(super) const UNANSWERED_FOR: Duration = Duration::from_secs(8);

/// Most probes in the first hour offline, with both families: 240 + 540 + 600 rounds of two, and
/// the server once a second for ten minutes, then with every round.
pub const OFFLINE_FIRST_HOUR: u32 = (240 + 540 + 600) * 2 + 600 + 600;
/// Most probes in every later hour offline: a round of three every five seconds.
pub const OFFLINE_HOUR: u32 = 720 * 3;
/// Most probes in an hour with a silent server: rounds of three, 3.75 s to 5 s apart.
pub const SERVER_SILENT_HOUR: u32 = 960 * 3;
/// Most probes in a second, however often the network changes: four rounds of two, and the server.
pub const PER_SECOND: u32 = 4 * 2 + 1;
/// Packets of a probe, SYN repeated or answered and reset, at most.
pub const PACKETS_UNANSWERED: u32 = 2;
/// Packets of an answered probe.
pub const PACKETS_ANSWERED: u32 = 4;

/// Connections to a server that answers nothing, beside the first one of each round.
///
/// Eight rounds over four addresses and three uplinks at once, which the first minute of silence
/// takes at most. After that one more every ten seconds, so that each of those twelve pairs has its
/// turn within two minutes.
pub const ATTEMPTS: BucketSettings = BucketSettings { burst: 96, every: Duration::from_secs(10) };
/// Of these, what is left for a round with evidence: each pair once.
pub const EVIDENCE_RESERVE: u32 = 12;
/// Most rounds in an hour without an answer that nothing but the back-off starts: one
/// every half interval of 30 s, and five while the wait doubles.
pub const ROUNDS_HOUR: u32 = 240 + 5;
/// Most connections of these rounds, whatever the number of addresses and uplinks.
pub const CONNECTIONS_HOUR: u32 = ROUNDS_HOUR + ATTEMPTS.burst + 3600 / 10;

/// Most SYNs of a connection without an answer: it lives 10 s at most, and the kernel repeats them
/// after 1, 2, 3, 4, 6 and 10 s (since Linux 6.5; before, after 1, 3 and 7 s).
pub const SYNS_OF_A_CONNECTION: u32 = 6;
/// Most SYNs of the connections of an hour without an answer.
pub const SYNS_HOUR: u32 = CONNECTIONS_HOUR * SYNS_OF_A_CONNECTION;
/// Most DNS packets in an hour, questions and answers, for a name without search domains, with two
/// nameservers, three uplinks and the default interval and timeouts, whatever fails. Unanswered
/// questions are put again after 1 s at first and 5 s later, and once in each round to the
/// nameservers of the next uplink after a second.
pub const DNS_PACKETS_HOUR: u32 = 5_000;

/// The wait between two rounds, `age` after the search began.
pub(super) fn cadence(age: Duration) -> Duration {
    if age < FAST_FOR {
        FAST
    } else if age < MODERATE_FOR {
        MODERATE
    } else {
        SLOW
    }
}

/// About [`SLOW`], spread so that a fleet does not return to its server in step.
pub(super) fn pause(rng: &mut Rng) -> Duration {
    SLOW - rng.fraction(SLOW / 4)
}
