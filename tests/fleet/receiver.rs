//! A receiver that believes what beats promise: who is online, and since when one is not.
//!
//! The rules are those of `src/RECEIVER.md`, and this is all that they need.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::time::Duration;

use linkbeat_core::proto::time::Instant;

/// The time that a beat may take on its way.
pub(crate) const GRACE: Duration = Duration::from_secs(2);
/// Longest wait that a device obeys a `Retry-After` for.
const RETRY_MAX: Duration = Duration::from_secs(30 * 60);

/// What a receiver reads of a beat.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Beat {
    /// The device key.
    pub(crate) key: usize,
    /// The boot of the device.
    pub(crate) boot_id: u64,
    pub(crate) seq: u64,
    pub(crate) next_within: Duration,
}

/// What is stored for a device.
#[derive(Debug)]
struct Presence {
    boot_id: u64,
    seq: u64,
    heard_at: Instant,
    due_at: Instant,
    online: bool,
}

/// The devices that were heard.
#[derive(Debug, Default)]
pub(crate) struct Receiver {
    devices: HashMap<usize, Presence>,
    due: BinaryHeap<Reverse<(Instant, usize)>>,
    /// The devices that went offline: when that was noticed, which, and when it was last heard.
    pub(crate) offline: Vec<(Instant, usize, Instant)>,
    /// Different beats.
    pub(crate) beats: u64,
    /// Copies of a beat that was known.
    pub(crate) copies: u64,
}

impl Receiver {
    /// Takes a beat that is answered with this `Retry-After`, if any.
    pub(crate) fn hear(&mut self, beat: Beat, retry_after: Option<Duration>, now: Instant) {
        self.pass(now);
        let wait = retry_after.map_or(Duration::ZERO, |asked| (2 * asked).min(RETRY_MAX));
        let due_at = now + beat.next_within + wait + GRACE;
        let Beat { key, boot_id, seq, .. } = beat;
        let heard = Presence { boot_id, seq, heard_at: now, due_at, online: true };
        let former = self.devices.insert(key, heard);
        let again = former.is_some_and(|it| (it.boot_id, it.seq) == (boot_id, seq));
        if again {
            self.copies += 1;
        } else {
            self.beats += 1;
        }
        self.due.push(Reverse((due_at, key)));
    }

    /// Lets time pass: who was due until now and was not heard is offline.
    pub(crate) fn pass(&mut self, now: Instant) {
        while let Some(&Reverse((at, key))) = self.due.peek()
            && at < now
        {
            self.due.pop();
            let Some(device) = self.devices.get_mut(&key) else { continue };
            // One that was heard again is due later.
            if device.due_at == at && device.online {
                device.online = false;
                self.offline.push((at, key, device.heard_at));
            }
        }
    }

    /// How many devices are online.
    pub(crate) fn online(&self) -> usize {
        self.devices.values().filter(|device| device.online).count()
    }
}
