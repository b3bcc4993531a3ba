//! What a person can do about it.

use std::fmt::{self, Display};

use super::Page;
use super::words::{Clean, Member};
use crate::status::State;
use crate::wire::json::Value;

/// Advice for a state that is not as it should be. `Display` is one line.
pub(super) struct Advice<'a> {
    state: State,
    /// Why beats fail, empty if they do not.
    cause: String,
    status: Value<'a>,
}

impl<'a> Advice<'a> {
    /// `None` where there is nothing to do but wait.
    pub(super) fn of(page: &Page<'a>) -> Option<Self> {
        let state = page.state().filter(|state| !matches!(state, State::Starting | State::Online));
        let cause = page.text("cause").map(|cause| cause.to_string()).unwrap_or_default();
        Some(Self { state: state?, cause, status: page.status })
    }

    fn unconfigured(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = Member(self.status, "config_file");
        if self.status.get("config_error").and_then(Clean::of).is_some() {
            write!(f, "correct the configuration: `linkbeat check {file}` shows all that is wrong")
        } else if self.status.get("api_url").and_then(Clean::of).is_none() {
            write!(f, "set \"api_url\" in {file}, for example to \"https://meeting.example.com\"")
        } else {
            write!(
                f,
                "set \"device_key\" in {file}: there is no interface with a permanent MAC address \
                 to make one from"
            )
        }
    }

    fn no_uplink(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let obstacle = self.status.get("obstacle");
        let kind = obstacle.map(|it| Member(it, "kind").to_string()).unwrap_or_default();
        match kind.as_str() {
            "no_interface" => f.write_str("plug a network card in, or load its driver (`ip link`)"),
            "no_carrier" => f.write_str("check the cable and the switch, or the WiFi (`ip link`)"),
            "no_address" => f.write_str("check the DHCP client and its server (`ip address`)"),
            "no_route" => f.write_str("have DHCP or a hand add one (`ip route`)"),
            "ignored" => f.write_str(
                "take one that may be used off ignore_interfaces in linkbeat.json; its default names \
                 lo, docker*, veth* and br-*",
            ),
            _ => f.write_str("wait: it is looked for by itself"),
        }
    }

    /// Who a person is to turn to: the network of the uplink in use.
    fn portal(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let network = self.status.get("uplink").map(|uplink| Member(uplink, "name").to_string());
        let network = network.filter(|name| !name.is_empty());
        let network = network.as_deref().unwrap_or("the uplink");
        write!(
            f,
            "log in with a browser at the network behind {network}: a beat follows by itself; "
        )?;
        if self.cause.starts_with("tls_") {
            f.write_str("if there is no login page, ")?;
            self.failing(f)
        } else {
            let file = Member(self.status, "config_file");
            write!(f, "if it is the server's own redirect or page, correct api_url in {file}")
        }
    }

    fn silent(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (url, file) = (Member(self.status, "api_url"), Member(self.status, "config_file"));
        match self.cause.as_str() {
            "refused" => write!(
                f,
                "start the server, or correct the port of api_url in {file}: nobody listens at \
                 {url}, or a firewall refuses"
            ),
            "unreachable" => write!(
                f,
                "look for the route to {url} (`ip route`): there is none, or a router on the way \
                 says that it has none"
            ),
            _ => write!(f, "see that the server at {url} runs and that no firewall is in the way"),
        }
    }

    fn rejected(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (key, file) =
            (Member(self.status, "device_key_full"), Member(self.status, "config_file"));
        match self.cause.as_str() {
            "http_404" => write!(
                f,
                "provision the device key \"{key}\" at the server, or correct device_key or \
                 api_url in {file}"
            ),
            "http_401" | "http_403" => write!(
                f,
                "correct token_code in {file}: the server refuses it for the device key \"{key}\""
            ),
            "not_accepted" => write!(
                f,
                "look into the answer above and into the log of the server: it took the request for \
                 the device key \"{key}\" and says \"ok\": false"
            ),
            "http_429" => f.write_str("nothing: the server asks for fewer beats, and gets them"),
            cause if cause.starts_with("http_3") => {
                write!(f, "correct api_url in {file}: a redirect is not followed")
            }
            cause if cause.starts_with("http_5") => {
                f.write_str("tell whoever runs the server; beats are tried again by themselves")
            }
            _ => write!(f, "correct api_url in {file}, or look into the log of the server"),
        }
    }

    fn failing(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (url, file) = (Member(self.status, "api_url"), Member(self.status, "config_file"));
        match self.cause.as_str() {
            "tls_not_yet_valid" | "tls_expired" => f.write_str(
                "set the clock if it is wrong (see `date -u`); if it is right, the certificate of \
                 the server needs to be replaced",
            ),
            "tls_wrong_name" => {
                write!(f, "use the name in api_url in {file} that the server's certificate is for")
            }
            "tls_unknown_issuer" => write!(
                f,
                "name the PEM file of your own authority as tls.ca_file in linkbeat.json, beside \
                 {file}; if there is none, somebody is in between: log in where \
                 the network has a portal"
            ),
            "tls_bad_certificate" => f.write_str("replace the certificate of the server"),
            "tls_client_certificate_wanted" => write!(
                f,
                "name the certificate and the key of this device as tls.client_cert and \
                 tls.client_key in linkbeat.json, beside {file}: the server asks for them"
            ),
            "tls_client_certificate_refused" => f.write_str(
                "have the certificate in tls.client_cert renewed, or its authority accepted by the \
                 server: the error above has the server's reason",
            ),
            "tls_refused_by_server" | "tls_handshake" => {
                write!(f, "see that {url} speaks TLS 1.2 or 1.3 at this port")
            }
            "name_not_found" => write!(
                f,
                "correct the name of the server in api_url in {file}, or the nameservers in \
                 /etc/resolv.conf: they do not know it"
            ),
            "name_server_failed" => f.write_str(
                "see that the nameservers in /etc/resolv.conf work: none gave a useful answer",
            ),
            "name_server_silent" => f.write_str(
                "see that the nameservers in /etc/resolv.conf can be reached: none answers",
            ),
            "no_nameserver" => f.write_str("have DHCP or a hand put one into /etc/resolv.conf"),
            "denied" => f.write_str(
                "look into the firewall of this device (`nft list ruleset`); before Linux 5.7, give \
                 linkbeat CAP_NET_RAW or set \"bind_to_uplink\" to false",
            ),
            "exhausted" => f.write_str("look for the program that uses up this device (`top`)"),
            "malformed" | "too_large" => {
                write!(f, "correct api_url in {file}: what answers there is no Meeting API")
            }
            _ => f.write_str("wait: it is tried again by itself"),
        }
    }
}

impl Display for Advice<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.state {
            State::Disabled => {
                write!(f, "set \"enabled\" to true in {}", Member(self.status, "config_file"))
            }
            State::Unconfigured => self.unconfigured(f),
            State::NoUplink => self.no_uplink(f),
            State::Offline => f.write_str(
                "check the router and its line; a beat is sent as soon as anything answers",
            ),
            State::ServerSilent => self.silent(f),
            State::CaptivePortal => self.portal(f),
            State::Rejected => self.rejected(f),
            State::Failing => self.failing(f),
            State::Waiting => f.write_str("ask for the first beat: `linkbeat trigger`"),
            State::Starting | State::Online => Ok(()),
        }
    }
}
