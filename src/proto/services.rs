//! Services on the device itself, looked at from time to time: their recovery is worth a beat.
//!
//! ```text
//!            answers                    a look fails
//! Unknown ------------> Up --------------------------> Down
//!    |                   ^                              |
//!    +--a look fails-----|------------------------------+ (lost)
//!                        +----------- answers ----------+ (recovered: a beat)
//! ```
//!
//! A look is a TCP connect and nothing after it. A service that is up is looked at once per interval; one
//! that is down at least once a second, because somebody waits for it, and on the device that costs
//! nothing.

use core::fmt;
use core::net::SocketAddr;
use core::time::Duration;

use heapless::Vec;

use super::event::{Action, Actions, Word};
use super::label::Label;
use super::time::Instant;

#[cfg(test)]
mod tests;

/// Most services that are looked at.
pub const SERVICES_MAX: usize = 8;
/// Longest name of a service, in bytes: with `_recovered` behind it the reason stays a [`Word`].
pub const SERVICE_NAME_MAX: usize = 32;
/// Longest time that a look may take: a service with a full queue is as good as down.
pub const PATIENCE: Duration = Duration::from_secs(2);
/// Longest time between two looks at a service that is down.
pub const DOWN_EVERY: Duration = Duration::from_secs(1);

/// The name of a service: 1 to [`SERVICE_NAME_MAX`] of `[A-Za-z0-9_.-]`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ServiceName(Label<SERVICE_NAME_MAX>);

impl ServiceName {
    /// The name, or `None` if it is empty, too long, or has another character.
    #[must_use]
    pub fn new(name: &str) -> Option<Self> {
        Word::new(name)?;
        Label::new(name, |_| true).map(Self)
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl fmt::Display for ServiceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for ServiceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// What to look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServiceSettings {
    /// Unlike every other's.
    pub name: ServiceName,
    /// Where it listens.
    pub address: SocketAddr,
    /// Time between two looks, 1 s to 3,600 s.
    pub interval: Duration,
}

/// One numbered look at a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Look(pub u32);

/// Whether a service answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServiceState {
    /// Nobody has looked yet.
    Unknown,
    /// It does.
    Up,
    /// It does not.
    Down,
}

impl ServiceState {
    /// Its word in JSON.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Up => "up",
            Self::Down => "down",
        }
    }
}

/// A service and what is known of it.
#[derive(Debug, Clone, Copy)]
pub struct Service {
    /// What it is.
    pub settings: ServiceSettings,
    /// Whether it answers.
    pub state: ServiceState,
    /// Since when.
    pub since: Instant,
    phase: Phase,
}

#[derive(Debug, Clone, Copy)]
enum Phase {
    Waiting { look_at: Instant },
    Looking { look: Look, give_up_at: Instant },
}

/// What a look has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// The service does not answer any more, or has not yet.
    Lost(ServiceName),
    /// It did not answer, and does.
    Recovered(ServiceName),
}

/// The services of a configuration.
#[derive(Debug, Default)]
pub struct Services {
    services: Vec<Service, SERVICES_MAX>,
    last_look: u32,
}

impl Services {
    /// None.
    #[must_use]
    pub const fn new() -> Self {
        Self { services: Vec::new(), last_look: 0 }
    }

    /// The services, in the order of the configuration.
    #[must_use]
    pub fn all(&self) -> &[Service] {
        &self.services
    }

    /// Takes another configuration; what is known of a service that stays is kept.
    pub fn configure(
        &mut self,
        wanted: &Vec<ServiceSettings, SERVICES_MAX>,
        now: Instant,
        actions: &mut Actions,
    ) {
        let former = core::mem::take(&mut self.services);
        for service in former.iter().filter(|service| !wanted.contains(&service.settings)) {
            if let Phase::Looking { look, .. } = service.phase {
                Action::CloseLook(look).push_to(actions);
            }
        }
        let (state, phase) = (ServiceState::Unknown, Phase::Waiting { look_at: now });
        self.services = wanted
            .iter()
            .map(|settings| {
                let known = former.iter().find(|service| service.settings == *settings);
                known.copied().unwrap_or(Service { settings: *settings, state, since: now, phase })
            })
            .collect();
    }

    /// When [`tick`](Self::tick) has something to do.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        let deadlines = self.services.iter().map(|service| match service.phase {
            Phase::Waiting { look_at } => look_at,
            Phase::Looking { give_up_at, .. } => give_up_at,
        });
        deadlines.min()
    }

    /// Looks at what is due, and gives up what takes too long; the turns that the latter brings.
    pub fn tick(&mut self, now: Instant, actions: &mut Actions) -> Vec<Turn, SERVICES_MAX> {
        let mut turns = Vec::new();
        for service in &mut self.services {
            match service.phase {
                Phase::Waiting { look_at } if look_at <= now => {
                    self.last_look = self.last_look.wrapping_add(1);
                    let look = Look(self.last_look);
                    service.phase = Phase::Looking { look, give_up_at: now + PATIENCE };
                    Action::OpenLook { look, to: service.settings.address }.push_to(actions);
                }
                Phase::Looking { look, give_up_at } if give_up_at <= now => {
                    Action::CloseLook(look).push_to(actions);
                    turns.extend(service.conclude(false, now));
                }
                Phase::Waiting { .. } | Phase::Looking { .. } => {}
            }
        }
        turns
    }

    /// Takes the end of a look. One that was given up changes nothing.
    pub fn looked(&mut self, look: Look, answers: bool, now: Instant) -> Option<Turn> {
        let is_it = |service: &&mut Service| matches!(service.phase, Phase::Looking { look: under_way, .. } if under_way == look);
        self.services.iter_mut().find(is_it)?.conclude(answers, now)
    }
}

impl Service {
    fn conclude(&mut self, answers: bool, now: Instant) -> Option<Turn> {
        let former = self.state;
        self.state = if answers { ServiceState::Up } else { ServiceState::Down };
        let interval = self.settings.interval;
        let wait = if answers { interval } else { interval.min(DOWN_EVERY) };
        self.phase = Phase::Waiting { look_at: now + wait };
        if self.state == former {
            return None;
        }
        self.since = now;
        match (former, self.state) {
            (ServiceState::Down, ServiceState::Up) => Some(Turn::Recovered(self.settings.name)),
            (_, ServiceState::Down) => Some(Turn::Lost(self.settings.name)),
            (_, ServiceState::Up | ServiceState::Unknown) => None,
        }
    }
}
