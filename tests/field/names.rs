//! Names from bind, unbound, dnsmasq, systemd-resolved and avahi: the agent resolves the same names
//! as getaddrinfo.
//!
//! bind serves the zone `test`; unbound, dnsmasq and systemd-resolved query it. A name leads to the
//! server of the world, or to further addresses of it.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use linkbeat_support::agent::{Agent, SOON, Setting, binary_or};
use linkbeat_support::receiver::{Receiver, Scheme};
use linkbeat_support::world::{Families, World};

use crate::daemon::Daemon;

/// Addresses of bind and of a server that queries it, on the internet of the world.
const BIND: &str = "203.0.113.54";
const FORWARDER: &str = "203.0.113.55";
/// Longest time for a beat with avahi.
const LONG: Duration = Duration::from_secs(20);

impl Daemon {
    /// Starts a server without output, and waits until `is_there`.
    fn quiet(mut command: Command, is_there: impl Fn() -> bool) -> Self {
        command.stdout(Stdio::null()).stderr(Stdio::null());
        Self::spawn(&mut command, is_there, String::new)
    }

    /// Starts a server at `address` on the internet.
    fn in_internet(world: &World, program: &str, address: &str, arguments: &[&str]) -> Self {
        let mut command = world.internet.command(program);
        command.args(arguments);
        let to = SocketAddr::new(address.parse().unwrap(), 53);
        Self::quiet(command, || world.internet.within(|| TcpStream::connect(to)).is_ok())
    }

    /// Starts bind with the zone and these options.
    fn bind(world: &World, options: &str) -> Self {
        let directory = world.directory().display();
        world
            .internet
            .ip(&format!("address add {BIND} dev lo\nroute add local 198.18.0.0/15 dev lo"));
        let zone = file(world, "zone", &zone());
        let configuration = format!(
            "options {{ directory \"{directory}\"; listen-on {{ {BIND}; }}; listen-on-v6 {{ none; }};\n\
             recursion no; max-records-per-type 1000; dnssec-validation no; pid-file none; session-keyfile none; {options} }};\n\
             controls {{ }};\n\
             zone \"test\" {{ type primary; file \"{zone}\"; }};\n"
        );
        let configuration = file(world, "named.conf", &configuration);
        Self::in_internet(world, "named", BIND, &["-g", "-n", "1", "-c", &configuration])
    }

    fn unbound(world: &World) -> Self {
        world.internet.ip(&format!("address add {FORWARDER} dev lo"));
        let configuration = format!(
            "server:\n interface: {FORWARDER}\n access-control: 0.0.0.0/0 allow\n chroot: \"\"\n \
             username: \"\"\n pidfile: \"\"\n use-syslog: no\n module-config: iterator\n \
             local-zone: \"test.\" nodefault\n do-not-query-localhost: no\n\
             stub-zone:\n name: \"test.\"\n stub-addr: {BIND}\n"
        );
        let configuration = file(world, "unbound.conf", &configuration);
        Self::in_internet(world, "unbound", FORWARDER, &["-d", "-c", &configuration])
    }

    fn dnsmasq(world: &World, options: &[&str]) -> Self {
        world.internet.ip(&format!("address add {FORWARDER} dev lo"));
        let listen = format!("--listen-address={FORWARDER}");
        let always = ["-k", "--user=root", "--no-resolv", "--no-hosts", "--pid-file=", "-C"];
        let always = [&always[..], &["/dev/null", "--bind-interfaces", &listen], options].concat();
        Self::in_internet(world, "dnsmasq", FORWARDER, &always)
    }

    /// Starts systemd-resolved on the device, from `program`, with its own files and its own
    /// `/run`.
    fn resolved(world: &World, program: &Path) -> Self {
        let user = "systemd-resolve:x:990:990::/:/usr/sbin/nologin\n";
        let etc = world.directory().join("resolved");
        fs::create_dir_all(etc.join("systemd")).unwrap();
        fs::write(etc.join("passwd"), format!("root:x:0:0:root:/root:/bin/sh\n{user}")).unwrap();
        fs::write(etc.join("group"), "root:x:0:\nsystemd-resolve:x:990:\n").unwrap();
        let options = format!(
            "[Resolve]\nDNS={BIND}\nFallbackDNS=\nDomains=~.\nLLMNR=no\nMulticastDNS=no\nDNSSEC=no\n"
        );
        fs::write(etc.join("systemd/resolved.conf"), options).unwrap();
        let mut command = world.device.command("sh");
        command.args([
            "-c",
            "mount --bind \"$1\" /etc && mount -t tmpfs tmpfs /run && \
             mkdir -p /run/systemd/resolve && chown 990:990 /run/systemd/resolve && exec \"$2\"",
            "sh",
        ]);
        command.arg(etc).arg(program);
        let stub = SocketAddr::from(([127, 0, 0, 53], 53));
        Self::quiet(command, || world.device.within(|| TcpStream::connect(stub)).is_ok())
    }
}

/// Writes a file for a server of this world.
fn file(world: &World, name: &str, text: &str) -> String {
    let path: PathBuf = world.directory().join(name);
    fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

/// Names with few and many addresses, and chains of aliases with short and long labels.
fn zone() -> String {
    let mut zone = format!(
        "$TTL 60\n@ SOA ns hostmaster 1 3600 600 86400 60\n@ NS ns\nns A {BIND}\n\
         meeting A 203.0.113.10\nboth A 203.0.113.10\nboth AAAA 2001:db8:ff::10\n\
         six AAAA 2001:db8:ff::10\nnothing TXT nothing\ndeep.er.meeting A 203.0.113.10\n"
    );
    // Records of 16 bytes. The first set fits into 1232 bytes but not into 512, the last into no
    // buffer.
    for (name, count) in [("wide", 60), ("huge", 200), ("giant", 600)] {
        for number in 0..count {
            writeln!(zone, "{name} A 198.18.{}.{}", number / 200, 1 + number % 200).unwrap();
        }
    }
    for (prefix, label) in
        [("short", ""), ("long", "-and-a-label-of-sixty-bytes-as-those-of-clouds-often-are")]
    {
        for number in 0..30 {
            let next = format!("{prefix}{}{label}", number + 1);
            writeln!(zone, "{prefix}{number}{label} CNAME {next}").unwrap();
        }
        writeln!(zone, "{prefix}30{label} A 203.0.113.10").unwrap();
        // A name for the start of each of these chain lengths.
        for length in [1, 5, 8, 11, 15, 30] {
            let first = 31 - length;
            writeln!(zone, "{prefix}-chain{length} CNAME {prefix}{first}{label}").unwrap();
        }
    }
    zone
}

/// Starts an agent that beats to `name`. It must succeed if `found`; otherwise getaddrinfo must
/// fail, too.
fn look_up(world: &World, name: &str, resolv_conf: &str, found: bool) {
    let mut setting = Setting::new(world).meeting("api_url", format!("http://{name}"));
    setting.resolv_conf = resolv_conf.to_owned();
    let mut beats = world.receiver.beats().follow();
    let agent = Agent::start(world, binary(), &setting);
    if found {
        beats.expect(name, SOON, |_| true);
    } else {
        agent.said("Heartbeat failed");
        assert!(!getaddrinfo(world, &agent, name), "getaddrinfo finds {name}");
    }
}

fn binary() -> PathBuf {
    binary_or(env!("CARGO_BIN_EXE_linkbeat"))
}

fn getaddrinfo(world: &World, agent: &Agent, name: &str) -> bool {
    agent.beside(world, "getent", &["ahosts", name]).status.success()
}

/// Names that every server resolves and getaddrinfo finds.
const FOUND: [&str; 7] = [
    "meeting.test",
    "both.test",
    "wide.test",
    "huge.test",
    "giant.test",
    "short-chain8.test",
    "long-chain8.test",
];

/// Resolves these names with this nameserver.
fn all_are_found(world: &World, nameserver: &str, names: &[&str]) {
    let resolv_conf = format!("nameserver {nameserver}\n");
    for name in names {
        let mut setting = Setting::new(world).meeting("api_url", format!("http://{name}"));
        setting.resolv_conf.clone_from(&resolv_conf);
        let mut beats = world.receiver.beats().follow();
        let agent = Agent::start(world, binary(), &setting);
        beats.expect(name, SOON, |_| true);
        assert!(getaddrinfo(world, &agent, name), "{nameserver}: getaddrinfo does not find {name}");
    }
}

#[test]
fn names_are_resolved_by_bind() {
    let world = World::new();
    let _bind = Daemon::bind(&world, "");
    all_are_found(&world, BIND, &FOUND);
    let resolv_conf = format!("nameserver {BIND}\n");
    look_up(&world, "nothing.test", &resolv_conf, false);
    look_up(&world, "nobody.test", &resolv_conf, false);
}

#[test]
fn names_are_resolved_by_unbound() {
    let world = World::new();
    let _bind = Daemon::bind(&world, "");
    let _unbound = Daemon::unbound(&world);
    all_are_found(&world, FORWARDER, &FOUND);
}

#[test]
fn names_are_resolved_by_dnsmasq() {
    let world = World::new();
    let _bind = Daemon::bind(&world, "");
    let _dnsmasq = Daemon::dnsmasq(&world, &[&format!("--server=/test/{BIND}")]);
    all_are_found(&world, FORWARDER, &FOUND);
}

#[test]
fn systemd_resolved_is_understood() {
    let given = std::env::var_os("SYSTEMD_RESOLVED").map(PathBuf::from);
    let program = given.unwrap_or_else(|| "/lib/systemd/systemd-resolved".into());
    if !program.exists() {
        // A skipped test is at least reported.
        writeln!(std::io::stderr(), "systemd_resolved_is_understood: SKIPPED: no {program:?}").ok();
        return;
    }
    let world = World::new();
    let _bind = Daemon::bind(&world, "");
    let _resolved = Daemon::resolved(&world, &program);
    all_are_found(&world, "127.0.0.53", &FOUND);
}

/// A server announces its name by mDNS, and there is no nameserver.
#[test]
fn names_are_resolved_by_avahi() {
    let world = World::new();
    let configuration = "[server]\nhost-name=meeting\ndomain-name=local\nuse-ipv6=no\n\
                         allow-interfaces=r-eth0\nenable-dbus=no\n";
    let configuration = file(&world, "avahi.conf", configuration);
    let mut command = world.router.command("sh");
    let run = "mount -t tmpfs tmpfs /run && exec avahi-daemon --no-drop-root --no-chroot -f \"$1\"";
    command.args(["-c", run, "sh", &configuration]);
    let _avahi = Daemon::quiet(command, || true);
    let server = world.router.within(|| {
        let listener = TcpListener::bind("10.11.1.1:80").unwrap();
        Receiver::start(vec![(listener, Scheme::Http)], world.certificates())
    });
    let mut setting = Setting::new(&world).meeting("api_url", "http://meeting.local");
    setting.resolv_conf = String::new();
    let mut beats = server.beats().follow();
    let _agent = Agent::start(&world, binary(), &setting);
    beats.expect("meeting.local", LONG, |_| true);
}

/// A filter that denies AAAA, as in the forwarders of some providers.
#[test]
fn filtered_address_family_is_not_needed() {
    let world = World::with(Families::Both);
    let _dnsmasq = Daemon::dnsmasq(
        &world,
        &["--filter-AAAA", "--host-record=both.test,203.0.113.10,2001:db8:ff::10"],
    );
    all_are_found(&world, FORWARDER, &["both.test"]);
}

#[test]
fn search_continues_after_refused_domains() {
    let world = World::new();
    // Without an upstream server dnsmasq refuses all other names.
    let _dnsmasq = Daemon::dnsmasq(
        &world,
        &["--host-record=meeting.test,203.0.113.10", "--host-record=meeting,203.0.113.10"],
    );
    let domains: String = (0..10).map(|number| format!(" d{number}.example")).collect();
    for (name, rest) in [
        ("meeting", format!("search{domains} test")),
        ("meeting", format!("search{domains}")),
        ("meeting.test", format!("search{domains}\noptions ndots:2")),
        ("meeting.test", format!("search{domains}\noptions rotate timeout:1 attempts:1 edns0")),
    ] {
        let resolv_conf = format!("nameserver {FORWARDER}\n{rest}\n");
        look_up(&world, name, &resolv_conf, true);
    }
}

#[test]
fn search_finds_the_same_names_as_getaddrinfo() {
    let world = World::new();
    let _bind = Daemon::bind(&world, "");
    for (name, rest, found) in [
        ("meeting", "search test", true),
        ("meeting", "domain test", true),
        ("meeting", "search a.test b.test c.test d.test e.test f.test g.test test", true),
        ("meeting", "", false),
        // A name with a dot that does not exist is completed as well.
        ("deep.er", "search meeting.test", true),
        ("deep.er", "search meeting.test\noptions ndots:3", true),
        ("deep.er", "search test", false),
        ("meeting.test", "search a.test\noptions ndots:2", true),
    ] {
        let resolv_conf = format!("nameserver {BIND}\n{rest}\n");
        look_up(&world, name, &resolv_conf, found);
    }
}

#[test]
fn large_response_is_used_with_tcp_blocked() {
    let world = World::new();
    let _bind = Daemon::bind(&world, "max-udp-size 4096;");
    forward_drops(&world, "tcp dport 53 drop");
    look_up(&world, "huge.test", &format!("nameserver {BIND}\n"), true);
}

#[test]
fn router_that_drops_edns_is_survived() {
    let world = World::new();
    let _bind = Daemon::bind(&world, "");
    // Queries with an additional record: ARCOUNT is the sixth field of the header.
    forward_drops(&world, "udp dport 53 @th,144,16 != 0 drop");
    for name in ["meeting.test", "huge.test"] {
        look_up(&world, name, &format!("nameserver {BIND}\n"), true);
    }
}

#[test]
fn names_are_resolved_over_tcp_alone_with_use_vc() {
    let world = World::new();
    let _bind = Daemon::bind(&world, "");
    forward_drops(&world, "udp dport 53 drop");
    let resolv_conf = format!("nameserver {BIND}\noptions use-vc\n");
    for name in ["meeting.test", "giant.test"] {
        look_up(&world, name, &resolv_conf, true);
    }
}

#[test]
fn last_entry_of_a_megabyte_of_hosts_is_used() {
    let world = World::new();
    let mut setting = Setting::new(&world).meeting("api_url", "http://camera-server.example");
    setting.hosts += &"0.0.0.0 advertisement.example tracker.example\n".repeat(24_000);
    setting.hosts += "203.0.113.10 camera-server.example\n";
    setting.resolv_conf = String::new();
    let mut beats = world.receiver.beats().follow();
    let agent = Agent::start(&world, binary(), &setting);
    beats.expect("beat", SOON, |_| true);
    assert!(getaddrinfo(&world, &agent, "camera-server.example"));
}

/// Makes the router apply this rule to forwarded packets.
fn forward_drops(world: &World, rule: &str) {
    world.router.nft(&format!(
        "table inet field {{ chain forward {{ type filter hook forward priority 0; {rule}\n}}\n}}\n"
    ));
}
