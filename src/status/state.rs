//! The state of the agent and the cause of a failure, each as a word for scripts.

use crate::config::Config;
use linkbeat_core::proto::agent::View;
use linkbeat_core::proto::event::Failure;
use linkbeat_core::proto::reach::Connectivity;

linkbeat_core::words! {
    /// The state of the agent, and its word in the JSON.
    pub enum AgentState {
        /// `enabled` is false: no beat is sent.
        Disabled = "disabled",
        /// `api_url` or the device key is missing: no beat can be sent.
        Unconfigured = "unconfigured",
        /// No interface has a way out.
        NoUplink = "no_uplink",
        /// Nothing outside the device answers.
        Offline = "offline",
        /// Nothing answers at the server's address, or the answer is incomplete.
        ServerSilent = "server_silent",
        /// A login page of the network answers in place of the server.
        CaptivePortal = "captive_portal",
        /// The server answers with an HTTP status other than 2xx, or with `"ok": false`.
        Rejected = "rejected",
        /// Beats fail before an HTTP answer: name resolution, TLS, protocol, or this device itself.
        Failing = "failing",
        /// `auto_connect` is false and no beat has been requested yet.
        Waiting = "waiting",
        /// No beat has ended yet.
        Starting = "starting",
        /// The last beat was acknowledged.
        Online = "online",
    }
}

impl AgentState {
    /// The first of the states, in the order above, that applies. `acknowledged` is whether a beat
    /// was ever acknowledged.
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
            | Failure::Http2Only
            | Failure::TooLarge
            | Failure::NameNotFound
            | Failure::NameServerFailed
            | Failure::NameServerSilent
            | Failure::NoNameserver => Self::Failing,
        }
    }

    /// The meaning of the state, for people.
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
