//! The network of the camera: a cable and a WiFi, each with a DHCP lease, and the servers behind
//! them.
//!
//! ```text
//! camera               this namespace
//! eth0  10.11.1.2 ---- eth0  10.11.1.1 \    203.0.113.10  the server, :443
//! wlan1 10.11.2.2 ---- wlan1 10.11.2.1 /    203.0.113.53  the nameserver
//!                                           8.8.8.8:53    the probe's target
//! ```

use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, TcpListener, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use linkbeat_support::acceptor::Acceptor;
use linkbeat_support::certificates::Certificates;
use linkbeat_support::nameserver::{Nameserver, Record};
use linkbeat_support::receiver::{Receiver, Scheme};
use linkbeat_support::space::run;
use linkbeat_support::world::{NAMESERVER, PROBED, SERVER, SERVER_NAME};

/// The cards of the camera, best first, with the same names on both sides.
pub(crate) const CARDS: [&str; 2] = ["eth0", "wlan1"];

/// The radio of the camera, if it has one; the access points are then bridged to the line of the
/// first card.
pub(crate) const RADIO: &str = "wlan0";
/// The hardware address that mac80211_hwsim gives it.
const RADIO_ADDRESS: &str = "02:00:00:00:00:00";

/// The hardware address of a card, by which `/etc/mactab` of the image names it.
pub(crate) fn hardware_address(card: &str) -> String {
    format!("52:54:00:0b:00:0{}", number(card))
}

/// The card with this address.
pub(crate) fn card_of(peer: IpAddr) -> Option<&'static str> {
    let cards = CARDS.into_iter().chain([RADIO]);
    cards.into_iter().find(|card| address(card) == peer)
}

fn address(card: &str) -> Ipv4Addr {
    let last = if card == RADIO { 3 } else { 2 };
    Ipv4Addr::new(10, 11, number(card), last)
}

/// The running servers.
pub(crate) struct Network {
    pub(crate) receiver: Receiver,
    pub(crate) authority_pem: String,
    _nameserver: Nameserver,
    _probed: Acceptor,
    leases: Vec<Child>,
}

impl Network {
    /// Makes it in the current namespace. The files of the servers are in `directory`.
    pub(crate) fn start(directory: &Path) -> io::Result<Self> {
        let mut lines = String::from("link set lo up\n");
        for address in [SERVER[0], NAMESERVER[0], PROBED[0]] {
            lines += &format!("address add {address}/32 dev lo\n");
        }
        for card in CARDS {
            lines += &format!(
                "tuntap add mode tap name {card}\n\
                 address add 10.11.{}.1/24 dev {card}\n\
                 link set {card} up\n",
                number(card)
            );
        }
        run(Command::new("ip").args(["-batch", "-"]), &lines);
        let certificates = Arc::new(Certificates::new(&[SERVER_NAME]));
        let listener = TcpListener::bind((SERVER[0], 443))?;
        let receiver = Receiver::start(vec![(listener, Scheme::Https)], &certificates);
        let nameserver = Nameserver::start(vec![UdpSocket::bind((NAMESERVER[0], 53))?]);
        let server = SERVER[0].parse().map_err(io::Error::other)?;
        nameserver.set(SERVER_NAME, &[Record::Address(server)]);
        let probed = Acceptor::start(vec![TcpListener::bind((PROBED[0], 53))?]);
        let leases =
            CARDS.into_iter().map(|card| lease(card, directory)).collect::<Result<_, _>>()?;
        Ok(Self {
            receiver,
            authority_pem: certificates.authority_pem().to_owned(),
            _nameserver: nameserver,
            _probed: probed,
            leases,
        })
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for server in &mut self.leases {
            // It may have ended already.
            server.kill().ok();
            server.wait().ok();
        }
    }
}

/// Serves the address of one card by DHCP.
fn lease(card: &str, directory: &Path) -> io::Result<Child> {
    let n = number(card);
    let file = directory.join(format!("udhcpd-{card}.conf"));
    let files = directory.join(format!("udhcpd-{card}"));
    let files = files.display();
    let leases = [(hardware_address(card), address(card)), (RADIO_ADDRESS.into(), address(RADIO))];
    let leases = leases.map(|(card, address)| format!("static_lease {card} {address}\n")).concat();
    fs::write(
        &file,
        format!(
            "interface {card}\nstart 10.11.{n}.2\nend 10.11.{n}.2\n{leases}\
             option subnet 255.255.255.0\noption router 10.11.{n}.1\noption dns {}\n\
             lease_file {files}.leases\npidfile {files}.pid\n",
            NAMESERVER[0],
        ),
    )?;
    fs::write(format!("{files}.leases"), "")?;
    let log = fs::File::create(format!("{files}.log"))?;
    let mut command = Command::new("busybox");
    command.args(["udhcpd", "-f"]).arg(&file);
    command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).spawn()
}

/// The number of a card in [`CARDS`], from 1, which is its subnet.
fn number(card: &str) -> u8 {
    if card == CARDS[1] { 2 } else { 1 }
}
