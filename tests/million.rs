//! The core through a million beats, a year at one every 30 s: it allocates nothing at all, and the
//! last beat is like the first.

use std::alloc::System;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use linkbeat::proto::agent::Agent;
use linkbeat::proto::event::{Action, Attempt, Input, Reply, Ticket};
use linkbeat::proto::link::{LinkEvent, LinkIndex, Name};
use linkbeat::proto::routing::{Question, Route};
use linkbeat::proto::settings::{BucketSettings, Host, Server, Settings};
use linkbeat::proto::time::Instant;
use tracking_allocator::{
    AllocationGroupId, AllocationGroupToken, AllocationRegistry, AllocationTracker, Allocator,
};

#[global_allocator]
static ALLOCATOR: Allocator<System> = Allocator::system();

/// Allocations by the core.
static MADE: AtomicU64 = AtomicU64::new(0);

const BEATS: u64 = 1_000_000;
/// One beat in this many is asked for by a helper.
const ASKED_EVERY: u64 = 1000;
const INTERVAL: Duration = Duration::from_secs(30);
const SERVER: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 10));

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

fn settings() -> Settings {
    let bucket = BucketSettings { burst: 5, every: Duration::from_secs(2) };
    Settings {
        enabled: true,
        auto_connect: true,
        server: Some(Server { host: Host::Address(SERVER), port: 443 }),
        interval: INTERVAL,
        interfaces: Name::new("eth0").into_iter().collect(),
        ignore_interfaces: Name::new("lo").into_iter().collect(),
        bind_to_uplink: true,
        probe_addresses: [SocketAddr::from(([8, 8, 8, 8], 53))].into_iter().collect(),
        probe_timeout: Duration::from_secs(2),
        request_timeout: Duration::from_secs(10),
        trigger_bucket: bucket,
        network_bucket: bucket,
        services: heapless::Vec::new(),
    }
}

/// The core, and a network and a server in which all is well.
struct Camera {
    agent: Agent,
    now: Instant,
    open: Option<Attempt>,
    answered: u64,
    delivered: u64,
}

/// The kernel has a default route, over IPv4 only.
fn default_route(question: Question) -> Option<Route> {
    question.to.is_ipv4().then_some(Route {
        question,
        index: LinkIndex(2),
        local: false,
        table: 254,
        prefix: 0,
        metric: 100,
        gateway: Some([192, 0, 2, 1].into()),
        source: Some([192, 0, 2, 10].into()),
    })
}

impl Camera {
    fn new() -> Self {
        let now = Instant::from_micros(1_000_000);
        let agent = Agent::new(1, now);
        let mut camera = Self { agent, now, open: None, answered: 0, delivered: 0 };
        camera.input(Input::Configured(&settings()));
        camera.input(Input::LinksLost);
        let (index, name) = (LinkIndex(2), Name::new("eth0").expect("a name"));
        let link = LinkEvent::Link { index, name, running: true, mac: None, permanent_mac: None };
        camera.input(Input::Link(link));
        camera.input(Input::LinksDumped);
        camera
    }

    /// Tells the core, and all that follows from its orders.
    fn input(&mut self, input: Input<'_>) {
        let actions = self.agent.handle(input, self.now);
        for action in actions {
            match action {
                Action::AskRoutes => {
                    let routes: heapless::Vec<_, 8> =
                        self.agent.questions().filter_map(default_route).collect();
                    self.input(Input::Routes(&routes));
                }
                Action::Connect { attempt, .. } => {
                    self.open = Some(attempt);
                    self.input(Input::Opened(attempt, [192, 0, 2, 10].into()));
                    self.input(Input::Connected(attempt));
                    self.input(Input::Secured(attempt));
                }
                Action::SendReport { attempt, seq, .. } => {
                    self.delivered = seq;
                    self.input(Input::Written(attempt));
                    self.answered += 1;
                    // One connection in a hundred ends with its beat.
                    let keep_alive = !self.answered.is_multiple_of(100);
                    let reply = Reply { keep_alive, ..Reply::of(200) };
                    self.input(Input::Replied(attempt, reply));
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
    let began_at = camera.now;
    let mut passed = Duration::ZERO;
    while camera.delivered < BEATS {
        let due_at = camera.agent.next_deadline(camera.now).expect("a cycle");
        if camera.delivered.is_multiple_of(ASKED_EVERY) {
            // The answer restarts the interval, like every other.
            camera.now = camera.now + INTERVAL / 2;
            passed += INTERVAL / 2;
            camera.input(Input::Triggered { word: None, ticket: Ticket(0) });
        } else {
            camera.now = due_at;
            passed += INTERVAL;
            camera.input(Input::Deadline);
        }
    }
    drop(guard);
    AllocationRegistry::disable_tracking();
    assert_eq!(MADE.load(Ordering::Relaxed), 0, "allocations");
    assert_eq!(camera.now - began_at, passed, "the cycle drifts");
    assert_eq!(camera.answered, BEATS);
}
