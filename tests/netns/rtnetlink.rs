//! The kernel's announcements suffice to know when to query it, and its answers match the sockets.

use std::collections::HashMap;
use std::net::{IpAddr, UdpSocket};
use std::process::{Command, Stdio};

use linkbeat::sys::bind::to_interface;
use linkbeat::sys::netlink::{RouteEvent, RouteSocket};
use linkbeat::sys::routes::RouteAsker;
use linkbeat_core::proto::link::{InterfaceName, LinkEvent, LinkIndex, ObjectChange};
use linkbeat_core::proto::route::{Route, RouteQuestion};
use linkbeat_support::space::{Space, unique};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// Datagrams read at once. It is small, so that the budget is exceeded now and then.
const BUDGET: usize = 3;

/// Number of runs, and of acts in each.
const SEEDS: u64 = 6;
const ACTS: usize = 150;

/// Destinations of every kind, and the interfaces of bound questions.
const DESTINATIONS: [&str; 5] =
    ["203.0.113.9", "198.51.100.9", "192.0.1.77", "2001:db8:113::9", "2001:db8:1::77"];
const BOUND: [u32; 2] = [50, 51];

fn questions() -> impl Iterator<Item = RouteQuestion> {
    DESTINATIONS.into_iter().flat_map(|to| {
        let to = to.parse().unwrap();
        let bound = BOUND.into_iter().map(|index| Some(LinkIndex(index)));
        std::iter::once(None).chain(bound).map(move |bound| RouteQuestion { to, bound })
    })
}

fn is_within(address: IpAddr, (network, prefix): (IpAddr, u8)) -> bool {
    let bits = |address| match address {
        IpAddr::V4(address) => u128::from(address.to_bits()) << 96,
        IpAddr::V6(address) => address.to_bits(),
    };
    let differs = bits(address) ^ bits(network);
    address.is_ipv4() == network.is_ipv4() && differs.leading_zeros() >= u32::from(prefix)
}

/// A listener that sends queries only after an announcement of something new.
struct Mirror {
    socket: RouteSocket,
    asker: RouteAsker,
    routes: Vec<Route>,
    /// The last announced state of each object.
    known: HashMap<u64, u64>,
    links: HashMap<LinkIndex, LinkEvent>,
    dumping: bool,
    asked: u32,
    losses: u32,
}

impl Mirror {
    /// Opens the sockets in the current namespace.
    fn new() -> Self {
        let mut mirror = Self {
            socket: RouteSocket::new().unwrap(),
            asker: RouteAsker::new().unwrap(),
            routes: Vec::new(),
            known: HashMap::new(),
            links: HashMap::new(),
            dumping: false,
            asked: 0,
            losses: 0,
        };
        mirror.start_dump();
        mirror.settle();
        mirror
    }

    fn start_dump(&mut self) {
        self.dumping = true;
        self.socket.start_dump().unwrap();
    }

    /// Reads until no dump is running and no message is left, then sends the queries if needed.
    fn settle(&mut self) {
        let mut news = false;
        while self.wait(if self.dumping { 2 } else { 0 }) {
            news |= self.drain();
        }
        assert!(!self.dumping, "a dump does not end");
        if news {
            self.asked += 1;
            self.asker.ask(questions(), None, true, &mut self.routes).unwrap();
        }
    }

    /// Waits at most this many seconds for a message. Returns whether there is one.
    fn wait(&self, seconds: i64) -> bool {
        let limit = Timespec { tv_sec: seconds, tv_nsec: 0 };
        poll(&mut [PollFd::new(&self.socket, PollFlags::IN)], Some(&limit)).unwrap() == 1
    }

    /// Reads all messages. Returns whether one had something new.
    fn drain(&mut self) -> bool {
        let (mut drained, mut news) = (false, false);
        while !drained {
            let mut all = Vec::new();
            drained = self.socket.drain(BUDGET, |heard| all.push(heard));
            for heard in all {
                match heard {
                    RouteEvent::Link(event) => news |= self.is_news(event),
                    RouteEvent::Dumped => {
                        self.dumping = false;
                        self.known.clear();
                        news = true;
                    }
                    RouteEvent::Lost => {
                        self.losses += 1;
                        self.start_dump();
                    }
                }
            }
        }
        news
    }

    fn is_news(&mut self, event: LinkEvent) -> bool {
        let announcement = match event {
            LinkEvent::Announced(announcement) => announcement,
            LinkEvent::Link { index, .. } => return self.links.insert(index, event) != Some(event),
            LinkEvent::LinkGone { index } => return self.links.remove(&index).is_some(),
        };
        let matters = |network| questions().any(|question| is_within(question.to, network));
        if !announcement.network.is_none_or(matters) {
            return false;
        }
        if announcement.change != ObjectChange::Set {
            self.known.clear();
            return true;
        }
        self.known.insert(announcement.object, announcement.state) != Some(announcement.state)
    }
}

/// A reproducible generator of choices (xorshift).
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

    /// An act of a person, a DHCP client, a VPN or a router. Many of them are refused.
    fn act(&mut self) -> String {
        let link = self.of(&["eth0", "eth1", "far0", "far1"]);
        let near = self.of(&["eth0", "eth1"]);
        let verb = self.of(&["add", "add", "del"]);
        let change = self.of(&["add", "append", "replace", "replace", "change", "del"]);
        let metric = self.of(&["", "metric 100"]);
        let table = self.of(&["", "", "table 1000"]);
        let (net, host, object) = (self.below(2), self.below(2) + 2, self.below(3) + 1);
        match self.below(36) {
            0 => format!("link set {link} down"),
            1..=3 => pairs(),
            4 => format!("link del {near}"),
            5 => format!("addr flush dev {near}"),
            6..=9 => format!("addr {verb} 192.0.{net}.{host}/24 dev {near}"),
            10..=12 => format!("addr {verb} 2001:db8:{net}::{host}/64 dev {near} nodad"),
            13 => format!("route {change} default via 192.0.{net}.9{host} {metric} {table}"),
            14..=16 => format!(
                "route {change} default via 192.0.{net}.8{host} dev {near} onlink {metric} {table}"
            ),
            17..=19 => format!(
                "route {change} default via 2001:db8:{net}::9{host} dev {near} onlink {table}"
            ),
            20 => format!("route {change} 203.0.113.0/24 dev {near} {metric}"),
            21 => format!("route {verb} unreachable 198.51.100.0/24"),
            22 | 23 => format!("rule {verb} to 203.0.113.0/24 lookup 1000 pref 100"),
            24 => format!("rule {verb} from 192.0.{net}.{host} lookup 1000 pref 101"),
            25 => format!("-6 rule {verb} from all lookup 1000 pref 100"),
            26 | 27 => {
                format!("nexthop {change} id {object} via 192.0.{net}.7{host} dev {near} onlink")
            }
            28 => format!("nexthop {change} id {object} dev {near}"),
            29 => format!("nexthop {change} id 4 group {object}/2"),
            30 | 31 => format!("route {change} default nhid {object} {metric}"),
            32 => format!("route {change} 203.0.113.0/24 nhid {object} {metric}"),
            33 => format!("-6 rule {verb} from 2001:db8:{net}::/64 unreachable pref 99"),
            34 => {
                format!("route {verb} default nexthop via 192.0.0.9{host} nexthop via 192.0.1.91")
            }
            _ => format!("route {change} 198.51.100.0/24 nhid 4"),
        }
    }
}

/// Commands that create the missing interfaces of two pairs and set them up.
fn pairs() -> String {
    let pair = |number: u32| {
        let (near, far) = (BOUND[number as usize], 60 + number);
        format!(
            "link add eth{number} index {near} type veth peer name far{number} index {far}\n\
             link set eth{number} up\nlink set far{number} up\n"
        )
    };
    pair(0) + &pair(1)
}

/// Runs commands of `ip`, one a line, each of which may be refused.
fn attempt(space: &Space, acts: &str) {
    for act in acts.lines() {
        let mut ip = Command::new("ip");
        ip.args(["-n", space.name()]).args(act.split_whitespace());
        ip.stderr(Stdio::null()).status().unwrap();
    }
}

/// Compares the known answers with the kernel's current ones, and those with sockets. It is
/// repeated, because the kernel's own work, such as duplicate address detection, may change the
/// answers meanwhile.
fn assert_whole(mirror: &mut Mirror, space: &Space, acts: &[String]) {
    for last in [false, false, true] {
        mirror.settle();
        let mut real = Vec::new();
        mirror.asker.ask(questions(), None, true, &mut real).unwrap();
        let unlike = space.within(|| questions().find(|question| !is_true(*question, &real)));
        if mirror.routes == real && unlike.is_none() {
            return;
        }
        let known = &mirror.routes;
        assert!(
            !last,
            "known {known:#?}\nreal {real:#?}\nunlike a socket {unlike:?}\nafter {acts:#?}"
        );
        mirror.wait(1);
    }
}

/// The source address of a socket, if the kernel lets it connect.
fn connect(question: RouteQuestion) -> Option<IpAddr> {
    let any = if question.to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let socket = UdpSocket::bind(any).unwrap();
    if let Some(index) = question.bound {
        let name = if index == LinkIndex(BOUND[0]) { "eth0" } else { "eth1" };
        // A missing interface binds nothing.
        to_interface(&socket, InterfaceName::new(name).unwrap()).ok()?;
    }
    socket.connect((question.to, 9)).ok()?;
    Some(socket.local_addr().unwrap().ip())
}

/// Whether a socket gets the route of the kernel's answer. In IPv4 a bound socket connects without
/// a route as well, by a guess.
fn is_true(question: RouteQuestion, routes: &[Route]) -> bool {
    let local = connect(question);
    match routes.iter().find(|route| route.question == question) {
        Some(route) => local.is_some_and(|local| route.source.is_none_or(|it| it == local)),
        None => local.is_none() || question.bound.is_some() && question.to.is_ipv4(),
    }
}

#[test]
fn known_routes_are_current_and_match_sockets_after_every_act() {
    for seed in 1..=SEEDS {
        let space = Space::new(&unique());
        attempt(&space, &pairs());
        let mut mirror = space.within(Mirror::new);
        let mut choices = Choices(seed);
        let (mut acts, mut changes) = (Vec::new(), 0);
        while acts.len() < ACTS {
            let act = choices.act();
            attempt(&space, &act);
            acts.push(act);
            let before = mirror.routes.clone();
            assert_whole(&mut mirror, &space, &acts);
            changes += usize::from(before != mirror.routes);
        }
        assert!(changes > ACTS / 10, "{acts:#?} do too little");
    }
}

/// Runs each act, and expects that it changes the known answers.
fn assert_each_changes(acts: &[&str]) {
    let space = Space::new(&unique());
    attempt(&space, &pairs());
    space.ip("addr add 192.0.0.2/24 dev eth0\naddr add 192.0.1.2/24 dev eth1");
    let mut mirror = space.within(Mirror::new);
    for act in acts {
        let before = mirror.routes.clone();
        attempt(&space, act);
        assert_whole(&mut mirror, &space, &[(*act).to_owned()]);
        assert_ne!(before, mirror.routes, "{act}");
    }
}

#[test]
fn replaced_route_is_noticed_when_it_returns() {
    assert_each_changes(&[
        "route add default via 192.0.0.91",
        "route replace default via 192.0.1.91",
        "route del default",
        "route add default via 192.0.0.91",
    ]);
}

#[test]
fn route_removed_with_its_interface_is_noticed_when_it_returns() {
    let default = "route add default via 192.0.0.91";
    assert_each_changes(&[
        default,
        "link set eth0 down\nlink set eth0 up",
        default,
        // Removing the last address removes the route.
        "addr del 192.0.0.2/24 dev eth0\naddr add 192.0.0.2/24 dev eth0",
        default,
    ]);
}

#[test]
fn route_removed_with_its_nexthop_is_noticed_when_it_returns() {
    let route = "nexthop add id 1 via 192.0.0.91 dev eth0\nroute add default nhid 1";
    assert_each_changes(&[
        route,
        "nexthop replace id 1 via 192.0.1.91 dev eth1",
        "nexthop del id 1",
        route,
    ]);
}

#[test]
fn interface_set_down_without_a_carrier_is_noticed() {
    let space = Space::new(&unique());
    // In IPv4 the kernel does not announce the removal of the routes.
    space.sysctl("ipv6/conf/all/disable_ipv6", "1");
    space.sysctl("ipv6/conf/default/disable_ipv6", "1");
    attempt(&space, &pairs());
    space.ip("addr add 192.0.0.2/24 dev eth0\naddr add 192.0.1.2/24 dev eth1");
    space.ip("route add default via 192.0.0.91");
    let mut mirror = space.within(Mirror::new);
    space.ip("link set far0 down");
    let running = |mirror: &Mirror| {
        let eth0 = mirror.links.get(&LinkIndex(BOUND[0]));
        matches!(eth0, Some(LinkEvent::Link { running: true, .. }))
    };
    while running(&mirror) {
        mirror.wait(2);
        mirror.settle();
    }
    let before = mirror.routes.clone();
    space.ip("link set eth0 down");
    assert_whole(&mut mirror, &space, &[]);
    assert_ne!(before, mirror.routes);
}

#[test]
fn known_routes_are_current_after_an_overflow() {
    let space = Space::new(&unique());
    attempt(&space, &pairs());
    space.ip("addr add 192.0.0.2/24 dev eth0");
    let mut mirror = space.within(Mirror::new);
    let losses = mirror.losses;
    // More messages than the largest queue holds, and a change that is among the lost ones.
    let noise = "route add 203.0.114.0/24 dev eth0\nroute del 203.0.114.0/24 dev eth0\n";
    space.ip(&noise.repeat(5000));
    space.ip("route add default via 192.0.0.91");
    assert_whole(&mut mirror, &space, &[]);
    assert!(mirror.losses > losses);
    space.ip("route del default");
    assert_whole(&mut mirror, &space, &[]);
}
