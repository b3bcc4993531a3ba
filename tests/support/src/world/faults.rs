//! Faults in the router: it counts, drops and rejects packets.

use std::io::Write;
use std::process::{Child, Stdio};

use serde_json::Value;

use super::{INTERFACES, World};
use crate::clock;
use crate::space::{Space, run};

/// What the router does with a packet that it does not forward.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing: a black hole.
    Drop,
    /// A TCP reset (ICMP port unreachable for other protocols).
    Reset,
    /// ICMP port unreachable.
    Port,
    /// ICMP host unreachable.
    Host,
    /// ICMP administratively prohibited.
    Prohibited,
}

impl Verdict {
    /// All ways to reject a packet.
    pub const REJECTS: [Self; 4] = [Self::Reset, Self::Port, Self::Host, Self::Prohibited];

    fn rules(self) -> &'static [&'static str] {
        match self {
            Self::Drop => &["drop"],
            Self::Reset => &["meta l4proto tcp reject with tcp reset", "reject"],
            Self::Port => &["reject with icmpx type port-unreachable"],
            Self::Host => &["reject with icmpx type host-unreachable"],
            Self::Prohibited => &["reject with icmpx type admin-prohibited"],
        }
    }
}

/// The packets of the device that are not forwarded. Answers to them are dropped as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Block<'a> {
    /// Only packets of this interface.
    pub uplink: Option<&'a str>,
    /// Only packets to this address.
    pub to: Option<&'a str>,
    /// What happens to them.
    pub verdict: Verdict,
}

impl Block<'_> {
    /// All packets of all interfaces.
    #[must_use]
    pub const fn all(verdict: Verdict) -> Self {
        Self { uplink: None, to: None, verdict }
    }

    fn rules(&self) -> String {
        let mut there = String::from("iifname != \"isp\"");
        let mut back = String::from("iifname \"isp\"");
        if let Some(uplink) = self.uplink {
            there = format!("iifname \"r-{uplink}\"");
            back = format!("oifname \"r-{uplink}\"");
        }
        if let Some(to) = self.to {
            let family = if to.contains(':') { "ip6" } else { "ip" };
            there += &format!(" {family} daddr {to}");
            back += &format!(" {family} saddr {to}");
        }
        let add = |rule: String| format!("add rule inet linkbeat faults {rule}\n");
        let mut rules: String =
            self.verdict.rules().iter().map(|verdict| add(format!("{there} {verdict}"))).collect();
        rules += &add(format!("{back} drop"));
        rules
    }
}

/// A prepared change of the blocked packets.
#[derive(Debug)]
pub struct Prepared {
    nft: Child,
    rules: String,
}

impl Prepared {
    /// Makes the change. Returns the time at which it began, on the clock of [`clock::boot_us`]; it
    /// takes effect a millisecond or two later, and before this function returns.
    ///
    /// # Panics
    ///
    /// If `nft` fails; its message is on standard error.
    pub fn apply(mut self) -> u64 {
        let mut stdin = self.nft.stdin.take().expect("standard input is a pipe");
        let began_us = clock::boot_us();
        stdin.write_all(self.rules.as_bytes()).expect("write the rules to nft");
        drop(stdin);
        assert!(self.nft.wait().expect("wait for nft").success(), "nft: {}", self.rules);
        began_us
    }
}

/// Packets from one interface of the device in the router, blocked ones included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Packets {
    /// SYNs to port 53.
    pub probe_syns: u64,
    /// SYNs to any other port.
    pub server_syns: u64,
    /// Datagrams to port 53.
    pub queries: u64,
    /// All packets.
    pub all: u64,
}

/// The counters of one interface, and the packets they count.
const COUNTERS: [(&str, &str); 4] = [
    ("probe-syns", "tcp flags & (syn | ack) == syn tcp dport 53"),
    ("server-syns", "tcp flags & (syn | ack) == syn tcp dport != 53"),
    ("queries", "udp dport 53"),
    ("all", ""),
];

/// Makes the counters, and the chain for faults.
pub(super) fn prepare(router: &Space) {
    let mut table = String::from("table inet linkbeat {\n");
    let mut rules = String::new();
    for interface in INTERFACES {
        for (name, packets) in COUNTERS {
            table += &format!("counter {interface}-{name} {{ }}\n");
            let count = format!("counter name \"{interface}-{name}\"");
            rules += &format!("iifname \"r-{interface}\" {packets} {count}\n");
        }
    }
    table += &format!(
        "chain count {{\ntype filter hook forward priority -10\n{rules}}}\n\
         chain faults {{\ntype filter hook forward priority 0\n}}\n}}\n"
    );
    router.nft(&table);
}

impl World {
    /// Makes the router block these packets and forward all others, atomically.
    pub fn block(&self, blocks: &[Block<'_>]) {
        self.prepare(blocks).apply();
    }

    /// Makes the router forward everything.
    pub fn heal(&self) {
        self.block(&[]);
    }

    /// Prepares a [`World::block`] whose time matters: everything except the change itself.
    ///
    /// # Panics
    ///
    /// If `nft` cannot be started.
    #[must_use]
    pub fn prepare(&self, blocks: &[Block<'_>]) -> Prepared {
        let rules: String = blocks.iter().map(Block::rules).collect();
        let mut command = self.router.command("nft");
        let command = command.args(["-f", "-"]).stdin(Stdio::piped());
        let nft = command.spawn().expect("start nft");
        Prepared { nft, rules: format!("flush chain inet linkbeat faults\n{rules}") }
    }

    /// The packets from `interface` in the router since the start.
    ///
    /// # Panics
    ///
    /// If the output of `nft` is unexpected.
    #[must_use]
    pub fn packets(&self, interface: &str) -> Packets {
        let list = ["-j", "list", "counters", "table", "inet", "linkbeat"];
        let listing = run(self.router.command("nft").args(list), "");
        let listing: Value = serde_json::from_str(&listing).expect("nft speaks JSON");
        let objects = listing.get("nftables").and_then(Value::as_array).expect("a list of objects");
        let count = |name: &str| {
            let name = format!("{interface}-{name}");
            let mut counters = objects.iter().filter_map(|it| it.get("counter"));
            let counter = counters.find(|it| it.get("name").is_some_and(|it| *it == name));
            counter.and_then(|it| it.get("packets")?.as_u64()).expect("a counter")
        };
        Packets {
            probe_syns: count("probe-syns"),
            server_syns: count("server-syns"),
            queries: count("queries"),
            all: count("all"),
        }
    }
}
