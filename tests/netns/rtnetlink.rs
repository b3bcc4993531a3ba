//! What the core makes of the kernel's messages is what the kernel has, whatever happens.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::process::{Command, Stdio};

use linkbeat::proto::link::{LinkIndex, Route};
use linkbeat::proto::links::{Link, Links};
use linkbeat::sys::netlink::{Heard, RouteSocket};
use linkbeat_support::space::{Space, unique};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// Datagrams read at once: few, so that the budget runs out now and then.
const BUDGET: usize = 3;

/// Runs, and acts of each.
const SEEDS: u64 = 5;
const ACTS: usize = 150;

/// One interface: its number, whether it runs, its usable addresses and its routes.
type View = (LinkIndex, bool, BTreeSet<IpAddr>, BTreeSet<(IpAddr, u8, u32, Option<IpAddr>)>);

/// A socket, and the core's table of what it has told.
struct Mirror {
    socket: RouteSocket,
    links: Links,
    dumping: bool,
    losses: u32,
}

impl Mirror {
    /// Opened in the present namespace, with everything in it listed.
    fn new() -> Self {
        let socket = RouteSocket::new().unwrap();
        let mut mirror = Self { socket, links: Links::new(), dumping: false, losses: 0 };
        mirror.start_dump();
        mirror.settle();
        mirror
    }

    fn start_dump(&mut self) {
        self.links.start_dump();
        self.dumping = true;
        self.socket.start_dump().unwrap();
    }

    /// Reads until no dump is under way and the kernel has nothing more to say.
    fn settle(&mut self) {
        while self.wait(if self.dumping { 2 } else { 0 }) {
            self.drain();
        }
        assert!(!self.dumping, "a dump does not end");
    }

    /// Whether there is something to read, at most this many seconds from now.
    fn wait(&self, seconds: i64) -> bool {
        let limit = Timespec { tv_sec: seconds, tv_nsec: 0 };
        poll(&mut [PollFd::new(&self.socket, PollFlags::IN)], Some(&limit)).unwrap() == 1
    }

    fn drain(&mut self) {
        let mut drained = false;
        while !drained {
            let mut all = Vec::new();
            drained = self.socket.drain(BUDGET, |heard| all.push(heard));
            for heard in all {
                match heard {
                    Heard::Event(event) => _ = self.links.apply(event),
                    Heard::Dumped => {
                        self.dumping = false;
                        self.links.finish_dump();
                    }
                    Heard::Lost => {
                        self.losses += 1;
                        self.start_dump();
                    }
                }
                if self.links.wants_dump() {
                    self.start_dump();
                }
            }
        }
    }

    fn view(&self) -> BTreeMap<&str, View> {
        let key = |route: &Route| (route.network, route.prefix, route.metric, route.gateway);
        let view = |link: &Link| -> View {
            let usable = link.addresses().filter(|address| address.usable);
            let addresses = usable.map(|address| address.ip).collect();
            (link.index, link.running, addresses, link.routes().map(key).collect())
        };
        self.links.iter().map(|link| (link.name.as_str(), view(link))).collect()
    }
}

/// A generator of choices that a seed repeats (xorshift).
struct Choices(u64);

impl Choices {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }

    fn of<'a>(&mut self, words: &[&'a str]) -> &'a str {
        words[usize::try_from(self.below(words.len() as u64)).unwrap()]
    }

    /// Something that a person, a DHCP client or a router could do; much of it is refused. No two
    /// routes differ only in what a `Route` does not show.
    fn act(&mut self) -> String {
        let link = self.of(&["eth0", "eth1", "far0", "far1"]);
        let near = self.of(&["eth0", "eth1"]);
        let verb = self.of(&["add", "add", "del"]);
        let change = self.of(&["add", "append", "replace", "replace", "change", "del"]);
        let metric = self.of(&["", "metric 100"]);
        let (net, host) = (self.below(2), self.below(2) + 2);
        match self.below(20) {
            0 => format!("link set {link} down"),
            1..=3 => format!("link set {link} up"),
            4 | 5 => format!("link add {near} type veth peer name other-{near}"),
            6 => format!("link del {near}"),
            7 => format!("addr flush dev {near}"),
            8..=10 => format!("addr {verb} 192.0.{net}.{host}/24 dev {near}"),
            11 | 12 => format!("addr {verb} 2001:db8:{net}::{host}/64 dev {near} nodad"),
            13 => format!("route {change} default via 192.0.{net}.9{host} {metric}"),
            14 | 15 => {
                format!("route {change} default via 192.0.{net}.8{host} dev {near} onlink {metric}")
            }
            16 | 17 => {
                format!("route {change} default via 2001:db8:{net}::9{host} dev {near} onlink")
            }
            _ => format!("route {change} 203.0.113.0/24 dev {near} {metric}"),
        }
    }
}

fn two_pairs() -> Space {
    let space = Space::new(&unique());
    for number in [0, 1] {
        space.ip(&format!("link add eth{number} type veth peer name far{number} index 5{number}"));
        space.ip(&format!("link set eth{number} up\nlink set far{number} up"));
    }
    space
}

/// Has `ip` do something that it may well refuse.
fn attempt(space: &Space, act: &str) {
    let words = act.split_whitespace();
    let mut ip = Command::new("ip");
    ip.args(["-n", space.name()]).args(words).stderr(Stdio::null()).status().unwrap();
}

/// Compares with a table that begins now. The kernel's own work, such as the look for duplicate
/// addresses, may fall between the two: then once more.
fn assert_whole(mirror: &mut Mirror, space: &Space, acts: &[String]) {
    for last in [false, false, true] {
        mirror.settle();
        let fresh = space.within(Mirror::new);
        mirror.settle();
        let (seen, real) = (mirror.view(), fresh.view());
        if seen == real {
            return;
        }
        assert!(!last, "seen {seen:#?}\nreal {real:#?}\nafter {acts:#?}");
        mirror.wait(1);
    }
}

#[test]
fn table_is_the_kernels_after_every_act() {
    for seed in 1..=SEEDS {
        let space = two_pairs();
        let mut mirror = space.within(Mirror::new);
        let mut choices = Choices(seed);
        let mut acts = Vec::new();
        while acts.len() < ACTS {
            let act = choices.act();
            attempt(&space, &act);
            acts.push(act);
            assert_whole(&mut mirror, &space, &acts);
        }
    }
}

#[test]
fn next_hops_go_and_come_with_their_interface() {
    let space = two_pairs();
    let mut mirror = space.within(Mirror::new);
    space.ip("addr add 192.0.2.2/24 dev eth0\naddr add 198.51.100.2/24 dev eth1");
    space.ip("route add default nexthop via 192.0.2.1 nexthop via 198.51.100.1");
    for act in ["link set eth1 down", "link set eth1 up", "link del eth1"] {
        attempt(&space, act);
        assert_whole(&mut mirror, &space, &[act.to_owned()]);
    }
}

#[test]
fn table_is_the_kernels_after_an_overflow() {
    let space = two_pairs();
    space.ip("addr add 192.0.2.2/24 dev eth0");
    let mut mirror = space.within(Mirror::new);
    let losses = mirror.losses;
    // More messages than the largest queue holds, and a change that must be among the lost ones.
    let noise = "route add 203.0.113.0/24 dev eth0\nroute del 203.0.113.0/24 dev eth0\n";
    space.ip(&noise.repeat(5000));
    space.ip("route add default via 192.0.2.1\nlink set far0 down");
    assert_whole(&mut mirror, &space, &[]);
    assert!(mirror.losses > losses);
    space.ip("route del default");
    assert_whole(&mut mirror, &space, &[]);
}
