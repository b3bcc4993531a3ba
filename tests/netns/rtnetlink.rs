//! What the kernel announces is enough to know when to ask it, and what it answers is what sockets get.

use std::collections::HashMap;
use std::net::{IpAddr, UdpSocket};
use std::process::{Command, Stdio};

use linkbeat::proto::link::{LinkEvent, LinkIndex, Name};
use linkbeat::proto::routing::{Question, Route};
use linkbeat::sys::bind::to_interface;
use linkbeat::sys::netlink::{Heard, RouteSocket};
use linkbeat::sys::routes::RouteAsker;
use linkbeat_support::space::{Space, unique};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// Datagrams read at once: few, so that the budget runs out now and then.
const BUDGET: usize = 3;

/// Runs, and acts of each.
const SEEDS: u64 = 6;
const ACTS: usize = 150;

/// Destinations of every kind, and the interfaces that are asked for besides none.
const DESTINATIONS: [&str; 5] =
    ["203.0.113.9", "198.51.100.9", "192.0.1.77", "2001:db8:113::9", "2001:db8:1::77"];
const BOUND: [u32; 2] = [50, 51];

fn questions() -> impl Iterator<Item = Question> {
    DESTINATIONS.into_iter().flat_map(|to| {
        let to = to.parse().unwrap();
        let bound = BOUND.into_iter().map(|index| Some(LinkIndex(index)));
        std::iter::once(None).chain(bound).map(move |bound| Question { to, bound })
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

/// A listener that asks only when an announcement says something new.
struct Mirror {
    socket: RouteSocket,
    asker: RouteAsker,
    routes: Vec<Route>,
    /// State of each object, as said last.
    known: HashMap<u64, u64>,
    links: HashMap<LinkIndex, LinkEvent>,
    dumping: bool,
    asked: u32,
    losses: u32,
}

impl Mirror {
    /// Opened in the present namespace.
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

    /// Reads until no dump is under way and the kernel has nothing more to say, then asks if need be.
    fn settle(&mut self) {
        let mut news = false;
        while self.wait(if self.dumping { 2 } else { 0 }) {
            news |= self.drain();
        }
        assert!(!self.dumping, "a dump does not end");
        if news {
            self.asked += 1;
            self.asker.ask(questions(), &mut self.routes).unwrap();
        }
    }

    /// Whether there is something to read, at most this many seconds from now.
    fn wait(&self, seconds: i64) -> bool {
        let limit = Timespec { tv_sec: seconds, tv_nsec: 0 };
        poll(&mut [PollFd::new(&self.socket, PollFlags::IN)], Some(&limit)).unwrap() == 1
    }

    /// Whether there is news.
    fn drain(&mut self) -> bool {
        let (mut drained, mut news) = (false, false);
        while !drained {
            let mut all = Vec::new();
            drained = self.socket.drain(BUDGET, |heard| all.push(heard));
            for heard in all {
                match heard {
                    Heard::Event(event) => news |= self.is_news(event),
                    Heard::Dumped => {
                        self.dumping = false;
                        self.known.clear();
                        news = true;
                    }
                    Heard::Lost => {
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
        if announcement.gone {
            self.known.clear();
            return true;
        }
        self.known.insert(announcement.object, announcement.state) != Some(announcement.state)
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

    /// Something that a person, a DHCP client, a VPN or a router could do; much of it is refused.
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

/// Makes what is missing of two pairs of interfaces, and sets them up.
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

/// Has `ip` do things that it may well refuse, one a line.
fn attempt(space: &Space, acts: &str) {
    for act in acts.lines() {
        let mut ip = Command::new("ip");
        ip.args(["-n", space.name()]).args(act.split_whitespace());
        ip.stderr(Stdio::null()).status().unwrap();
    }
}

/// Compares what is known with what the kernel answers now, and that with what sockets get. The kernel's
/// own work, such as the look for duplicate addresses, may fall between two of them: then once more.
fn assert_whole(mirror: &mut Mirror, space: &Space, acts: &[String]) {
    for last in [false, false, true] {
        mirror.settle();
        let mut real = Vec::new();
        mirror.asker.ask(questions(), &mut real).unwrap();
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

/// The address that a socket would send from, if the kernel lets it send.
fn connect(question: Question) -> Option<IpAddr> {
    let any = if question.to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let socket = UdpSocket::bind(any).unwrap();
    if let Some(index) = question.bound {
        let name = if index == LinkIndex(BOUND[0]) { "eth0" } else { "eth1" };
        // An interface that is not there binds nothing.
        to_interface(&socket, Name::new(name).unwrap()).ok()?;
    }
    socket.connect((question.to, 9)).ok()?;
    Some(socket.local_addr().unwrap().ip())
}

/// Whether a socket gets what the kernel has answered. One that is bound connects in IPv4 without a
/// route, too: on a guess, and to nobody.
fn is_true(question: Question, routes: &[Route]) -> bool {
    let local = connect(question);
    match routes.iter().find(|route| route.question == question) {
        Some(route) => local.is_some_and(|local| route.source.is_none_or(|it| it == local)),
        None => local.is_none() || question.bound.is_some() && question.to.is_ipv4(),
    }
}

#[test]
fn answers_are_known_after_every_act_and_true() {
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

/// Lets each act happen, and expects that what is known changes with it.
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
fn route_that_was_replaced_is_news_when_it_is_back() {
    assert_each_changes(&[
        "route add default via 192.0.0.91",
        "route replace default via 192.0.1.91",
        "route del default",
        "route add default via 192.0.0.91",
    ]);
}

#[test]
fn route_that_went_with_its_interface_is_news_when_it_is_back() {
    let default = "route add default via 192.0.0.91";
    assert_each_changes(&[
        default,
        "link set eth0 down\nlink set eth0 up",
        default,
        // The last address, which takes the route along.
        "addr del 192.0.0.2/24 dev eth0\naddr add 192.0.0.2/24 dev eth0",
        default,
    ]);
}

#[test]
fn route_that_went_with_its_nexthop_object_is_news_when_it_is_back() {
    let route = "nexthop add id 1 via 192.0.0.91 dev eth0\nroute add default nhid 1";
    assert_each_changes(&[
        route,
        "nexthop replace id 1 via 192.0.1.91 dev eth1",
        "nexthop del id 1",
        route,
    ]);
}

#[test]
fn interface_set_down_without_a_carrier_is_news() {
    let space = Space::new(&unique());
    // Whose routes go without a word in IPv4.
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
fn answers_are_known_after_an_overflow() {
    let space = Space::new(&unique());
    attempt(&space, &pairs());
    space.ip("addr add 192.0.0.2/24 dev eth0");
    let mut mirror = space.within(Mirror::new);
    let losses = mirror.losses;
    // More messages than the largest queue holds, and a change that must be among the lost ones.
    let noise = "route add 203.0.114.0/24 dev eth0\nroute del 203.0.114.0/24 dev eth0\n";
    space.ip(&noise.repeat(5000));
    space.ip("route add default via 192.0.0.91");
    assert_whole(&mut mirror, &space, &[]);
    assert!(mirror.losses > losses);
    space.ip("route del default");
    assert_whole(&mut mirror, &space, &[]);
}
