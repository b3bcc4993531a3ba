//! A million beats of the core, a year at one every 30 s: no allocation, and no change from the
//! first beat to the last.

use std::alloc::System;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use linkbeat_core::proto::agent::Agent;
use linkbeat_core::proto::event::{Action, ConnectionId, Input, Reply};
use linkbeat_core::proto::link::{InterfaceName, LinkEvent, LinkIndex};
use linkbeat_core::proto::time::Instant;
use tracking_allocator::{
    AllocationGroupId, AllocationGroupToken, AllocationRegistry, AllocationTracker, Allocator,
};

use self::plain::{INTERVAL, LOCAL, default_route, settings};

#[path = "fleet/plain.rs"]
mod plain;

#[global_allocator]
static ALLOCATOR: Allocator<System> = Allocator::system();

/// Allocations by the core.
static MADE: AtomicU64 = AtomicU64::new(0);

const BEATS: u64 = 1_000_000;
/// Every beat of this number is triggered by a helper.
const ASKED_EVERY: u64 = 1000;

struct Witness;

impl AllocationTracker for Witness {
    fn allocated(&self, _: usize, _: usize, _: usize, group: AllocationGroupId) {
        if group != AllocationGroupId::ROOT {
            MADE.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn deallocated(
        &self,
        _: usize,
        _: usize,
        _: usize,
        _: AllocationGroupId,
        _: AllocationGroupId,
    ) {
    }
}

/// The core with a network and a server without faults.
struct Camera {
    agent: Agent,
    now: Instant,
    open: Option<ConnectionId>,
    answered: u64,
    delivered: u64,
}

impl Camera {
    fn new() -> Self {
        let now = Instant::from_micros(1_000_000);
        let agent = Agent::new(1, now);
        let mut camera = Self { agent, now, open: None, answered: 0, delivered: 0 };
        camera.input(Input::Configured(&settings()));
        camera.input(Input::LinksLost);
        let (index, name) = (LinkIndex(2), InterfaceName::new("eth0").expect("a name"));
        let link = LinkEvent::Link { index, name, running: true, mac: None, permanent_mac: None };
        camera.input(Input::Link(link));
        camera.input(Input::LinksDumped);
        camera
    }

    /// Feeds the core, and performs the resulting actions.
    fn input(&mut self, input: Input<'_>) {
        let actions = self.agent.handle(input, self.now);
        for action in actions {
            match action {
                Action::AskRoutes => {
                    let routes: heapless::Vec<_, 8> =
                        self.agent.questions().filter_map(default_route).collect();
                    self.input(Input::Routes(&routes));
                }
                Action::Connect { id, .. } => {
                    self.open = Some(id);
                    self.input(Input::Opened(id, LOCAL));
                    self.input(Input::Connected(id));
                    self.input(Input::Secured(id));
                }
                Action::SendReport { id, seq, .. } => {
                    self.delivered = seq;
                    self.input(Input::Written(id));
                    self.answered += 1;
                    // One connection in a hundred ends with its beat.
                    let keep_alive = !self.answered.is_multiple_of(100);
                    let reply = Reply { keep_alive, ..Reply::of(200) };
                    self.input(Input::Replied(id, reply));
                }
                _ => {}
            }
        }
    }
}

#[test]
fn a_million_beats_allocate_nothing_and_skip_none() {
    AllocationRegistry::set_global_tracker(Witness).expect("the only tracker");
    let mut group = AllocationGroupToken::register().expect("a group");
    AllocationRegistry::enable_tracking();
    let guard = group.enter();
    let mut camera = Camera::new();
    let first_at = camera.agent.next_deadline(camera.now).expect("a cycle");
    let (mut ticks, mut ticked_at) = (0, first_at);
    while camera.delivered < BEATS {
        if camera.delivered.is_multiple_of(ASKED_EVERY) {
            camera.now = camera.now + Duration::from_millis(1);
            camera.input(Input::Triggered { word: None, request: None });
        } else {
            camera.now = camera.agent.next_deadline(camera.now).expect("a cycle");
            camera.input(Input::Deadline);
            (ticks, ticked_at) = (ticks + 1, camera.now);
        }
    }
    drop(guard);
    AllocationRegistry::disable_tracking();
    assert_eq!(MADE.load(Ordering::Relaxed), 0, "allocations");
    assert_eq!(ticked_at, first_at + INTERVAL * (ticks - 1), "the cycle drifts");
    assert_eq!(camera.answered, BEATS);
}
