//! How it goes in one word, and why in another: for scripts, and for the advice to people.

use std::fmt::{self, Display};

use crate::config::Config;
use crate::proto::agent::View;
use crate::proto::event::Failure;
use crate::proto::reach::Connectivity;

/// How it goes. `Display` is the word in the JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// `enabled` is false: no beat is sent.
    Disabled,
    /// `api_url` or the device key is missing: no beat can be sent.
    Unconfigured,
    /// No interface leads out.
    NoUplink,
    /// Nothing outside answers.
    Offline,
    /// Nobody answers at the server's address, or nobody finishes the answer.
    ServerSilent,
    /// Somebody else answers in the server's place: a network that wants people to log in.
    CaptivePortal,
    /// The server's answer is an HTTP status that is not 2xx, or says that the beat is not accepted.
    Rejected,
    /// Beats fail before that: the name, TLS, the protocol, or this device itself.
    Failing,
    /// `auto_connect` is false and nobody has asked for a beat yet.
    Waiting,
    /// No beat has ended yet.
    Starting,
    /// The last beat was acknowledged.
    Online,
}

impl State {
    /// Every state.
    pub const ALL: [Self; 11] = [
        Self::Disabled,
        Self::Unconfigured,
        Self::NoUplink,
        Self::Offline,
        Self::ServerSilent,
        Self::CaptivePortal,
        Self::Rejected,
        Self::Failing,
        Self::Waiting,
        Self::Starting,
        Self::Online,
    ];

    /// The first of the states, in the order above, that the agent is in; `acknowledged` is whether
    /// a beat ever was.
    #[must_use]
    pub fn of(config: &Config, view: &View<'_>, acknowledged: bool) -> Self {
        if !config.settings.enabled {
            return Self::Disabled;
        }
        if !config.configured() {
            return Self::Unconfigured;
        }
        // A server on the camera itself is reached without any uplink.
        if view.connectivity != Connectivity::Online && view.uplinks.is_empty() {
            return Self::NoUplink;
        }
        if view.connectivity == Connectivity::Offline {
            return Self::Offline;
        }
        match view.failure {
            Some(failure) if failure.is_portal(acknowledged) => Self::CaptivePortal,
            Some(failure) => Self::after(failure),
            None if acknowledged => Self::Online,
            None if config.settings.auto_connect || view.in_flight || view.pending.is_some() => {
                Self::Starting
            }
            None => Self::Waiting,
        }
    }

    const fn after(failure: Failure) -> Self {
        match failure {
            Failure::Refused
            | Failure::Unreachable
            | Failure::TimedOut
            | Failure::Reset
            | Failure::Closed => Self::ServerSilent,
            Failure::Portal(_) => Self::CaptivePortal,
            Failure::Status(_) | Failure::NotAccepted => Self::Rejected,
            Failure::NoInterface
            | Failure::Denied
            | Failure::Exhausted
            | Failure::Tls(_)
            | Failure::Malformed
            | Failure::TooLarge
            | Failure::NameNotFound
            | Failure::NameServerFailed
            | Failure::NameServerSilent
            | Failure::NoNameserver => Self::Failing,
        }
    }

    /// The word in the JSON.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Disabled => "disabled",
            Self::Unconfigured => "unconfigured",
            Self::NoUplink => "no_uplink",
            Self::Offline => "offline",
            Self::ServerSilent => "server_silent",
            Self::CaptivePortal => "captive_portal",
            Self::Rejected => "rejected",
            Self::Failing => "failing",
            Self::Waiting => "waiting",
            Self::Starting => "starting",
            Self::Online => "online",
        }
    }

    /// The same for people, in half a sentence.
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Disabled => "no beat is sent, whatever asks for one",
            Self::Unconfigured => "no beat can be sent",
            Self::NoUplink => "no interface leads out",
            Self::Offline => "nothing outside answers",
            Self::ServerSilent => "the server does not answer",
            Self::CaptivePortal => "a login page answers in place of the server",
            Self::Rejected => "the server answers, but does not accept the beat",
            Self::Failing => "beats do not get through",
            Self::Waiting => "auto_connect is false, and nobody has asked for a beat yet",
            Self::Starting => "no beat has been answered yet",
            Self::Online => "the server acknowledges the beats",
        }
    }
}

impl Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// Why the last round failed. `Display` is the word in the JSON, `http_404` for a status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cause(pub Failure);

impl Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.word())?;
        if let Failure::Status(status) = self.0 { write!(f, "_{status}") } else { Ok(()) }
    }
}
