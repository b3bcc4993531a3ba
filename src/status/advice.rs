//! Advice: what people can do about a problem.

use std::fmt::{self, Display};

use super::text::Excerpt;
use super::{AgentState, Snapshot};
use linkbeat_core::proto::agent::Obstacle;
use linkbeat_core::proto::event::{Failure, TlsFailure};

/// Advice for a state other than online. `Display` is one line, which says what to do.
pub(super) struct Advice<'a> {
    /// The status, for the addresses, keys and files that the text names.
    status: &'a Snapshot<'a>,
    /// The text, with names between braces for what the status has.
    text: &'static str,
}

impl<'a> Advice<'a> {
    /// `None` where there is nothing to do but wait.
    pub(super) fn of(status: &'a Snapshot<'_>) -> Option<Self> {
        let failure = status.view.failure;
        let text = match status.state() {
            AgentState::Disabled => "set \"enabled\" to true in {file}",
            AgentState::Unconfigured => unconfigured(status),
            AgentState::NoUplink => no_uplink(status),
            AgentState::Offline => {
                "check the router and its internet connection; a beat is sent as soon as anything answers"
            }
            AgentState::CaptivePortal if matches!(failure, Some(Failure::Tls(_))) => {
                "log in to the network behind {uplink} with a browser; if no page appears, compare \
                 `linkbeat check --pin {file}` with the server's key"
            }
            AgentState::ServerSilent
            | AgentState::CaptivePortal
            | AgentState::Rejected
            | AgentState::Failing => after(failure?),
            AgentState::Waiting => "request the first beat with `linkbeat trigger`",
            AgentState::Starting | AgentState::Online => return None,
        };
        Some(Self { status, text })
    }
}

fn unconfigured(status: &Snapshot<'_>) -> &'static str {
    if status.config_error.is_some() {
        "correct the configuration: `linkbeat check {file}` lists all its errors"
    } else if status.config.api_url.is_none() {
        "set \"api_url\" in {file}, for example to \"https://meeting.example.com\""
    } else {
        "set \"device_key\" in {file}: no interface has a permanent MAC address to derive it from"
    }
}

fn no_uplink(status: &Snapshot<'_>) -> &'static str {
    match status.no_way.map(|no_way| (&no_way.obstacle, no_way.addressed)) {
        Some((Obstacle::NoInterface, _)) => {
            "plug in a network adapter, or load its driver (`ip link`)"
        }
        Some((Obstacle::NoCarrier(_), _)) => {
            "check the cable and the switch, or the WiFi (`ip link`)"
        }
        Some((Obstacle::NoRoute(..), false)) => {
            "check the DHCP client and the DHCP server (`ip address`)"
        }
        Some((Obstacle::NoRoute(..), true)) => "add a route, by DHCP or by hand (`ip route`)",
        Some((Obstacle::Ignored(_), _)) => {
            "remove the interface to use from ignore_interfaces in linkbeat.json; its default is \
             lo, docker*, veth* and br-*"
        }
        None => "wait: the agent uses the first uplink that appears by itself",
    }
}

/// The advice about beats that fail.
const fn after(failure: Failure) -> &'static str {
    match failure {
        Failure::Refused => {
            "start the server, or correct the port of api_url in {file}: {url}, or a firewall, \
             refuses connections"
        }
        Failure::Unreachable => {
            "check the route to {url} (`ip route`): this device, or a router on the way, has none"
        }
        Failure::TimedOut | Failure::Reset | Failure::Closed => {
            "check that the server at {url} is running and that no firewall blocks the connection"
        }
        Failure::Portal(_) => {
            "log in to the network behind {uplink} with a browser, a beat follows by itself; for the \
             server's own page, correct api_url in {file}"
        }
        Failure::NotAccepted => {
            "check the log of the server: its answer to the beat of the device key \"{key}\" is \
             \"ok\": false"
        }
        Failure::Status(status) => after_status(status),
        Failure::Tls(failure) => after_tls(failure),
        Failure::NameNotFound => {
            "correct the host name in api_url in {file}, or the nameservers in /etc/resolv.conf: \
             they do not know it"
        }
        Failure::NameServerFailed => {
            "check the nameservers in /etc/resolv.conf: none gave a useful answer"
        }
        Failure::NameServerSilent => {
            "check that the nameservers in /etc/resolv.conf can be reached: none answers"
        }
        Failure::NoNameserver => "add a nameserver to /etc/resolv.conf, by DHCP or by hand",
        Failure::Denied => {
            "check the firewall of this device (`nft list ruleset`); before Linux 5.7, give \
             linkbeat CAP_NET_RAW or set \"bind_to_uplink\" to false"
        }
        Failure::Exhausted => {
            "find the program that uses up the memory, descriptors or ports of this device (`top`)"
        }
        Failure::Http2Only => "enable HTTP/1.1 at {url}, or correct the port of api_url in {file}",
        Failure::Malformed | Failure::TooLarge => {
            "correct api_url in {file}: what answers there is not a Meeting API"
        }
        Failure::NoInterface => "wait: the beat is retried by itself",
    }
}

const fn after_status(status: u16) -> &'static str {
    match status {
        404 => {
            "provision the device key \"{key}\" at the server, or correct device_key or api_url in \
             {file}"
        }
        401 | 403 => {
            "correct token_code in {file}: the server refuses it for the device key \"{key}\""
        }
        429 => "wait: the server asked for fewer beats, and the agent sends fewer by itself",
        408 => {
            "check the line: the server did not receive the whole request in time; beats are \
             retried by themselves"
        }
        304 => {
            "look for a cache between this device and the server: it answers in place of the server"
        }
        300..=399 => {
            "correct api_url in {file}: the server answers with a redirect, which is not followed"
        }
        500..=599 => {
            "report the error to the operator of the server; beats are retried by themselves"
        }
        _ => "correct api_url in {file}, or check the log of the server",
    }
}

const fn after_tls(failure: TlsFailure) -> &'static str {
    match failure {
        TlsFailure::NotYetValid | TlsFailure::Expired => {
            "set the clock if `date -u` shows a wrong time; if not, have the certificate of the \
             server replaced"
        }
        TlsFailure::WrongName => {
            "change the host of api_url in {file} to a name in the server's certificate: the error \
             lists its names"
        }
        TlsFailure::UnknownIssuer => {
            "set tls.ca_file to the PEM file of your authority or tls.pin_sha256 (`linkbeat check \
             --pin {file}`) in linkbeat.json, or log in to a portal"
        }
        TlsFailure::WrongKey => {
            "compare `linkbeat check --pin {file}` with the owner's pin: set tls.pin_sha256 in \
             linkbeat.json to a new key, or log in to a portal"
        }
        TlsFailure::BadCertificate => {
            "have the certificate of the server replaced, or set tls.pin_sha256 in linkbeat.json \
             to its key (`linkbeat check --pin {file}`)"
        }
        TlsFailure::ClientCertificateWanted => {
            "set tls.client_cert and tls.client_key in linkbeat.json (`linkbeat check {file}`): the \
             server asks for a client certificate"
        }
        TlsFailure::ClientCertificateRefused => {
            "renew the certificate in tls.client_cert, or have the server accept its authority: the \
             error has the server's reason"
        }
        TlsFailure::RefusedByServer | TlsFailure::Handshake => {
            "check that {url} speaks TLS 1.2 or 1.3 with an RSA key of 2048 bits or more, P-256, \
             P-384 or Ed25519 (see the error)"
        }
    }
}

impl Display for Advice<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Snapshot { config, config_file, view, .. } = self.status;
        let mut rest = self.text;
        while let Some((before, (name, after))) =
            rest.split_once('{').and_then(|(before, rest)| Some((before, rest.split_once('}')?)))
        {
            f.write_str(before)?;
            rest = after;
            match (name, &config.api_url, view.uplinks.first()) {
                ("file", ..) => Excerpt(config_file.display()).fmt(f),
                ("url", Some(url), _) => url.fmt(f),
                ("key", ..) => Excerpt(config.device_key.as_deref().unwrap_or_default()).fmt(f),
                ("uplink", _, Some(uplink)) => uplink.name.fmt(f),
                ("uplink", ..) => f.write_str("the uplink"),
                (unknown, ..) => write!(f, "{{{unknown}}}"),
            }?;
        }
        f.write_str(rest)
    }
}
