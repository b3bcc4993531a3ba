//! Services on the device itself, checked from time to time: their recovery is worth a beat.
//!
//! ```text
//!            answers                    a check fails
//! Unknown ------------> Up --------------------------> Down
//!    |                   ^                              |
//!    +--a check fails----|------------------------------+ (lost)
//!                        +----------- answers ----------+ (recovered: a beat)
//! ```
//!
//! A check is a TCP connect and nothing after it. A service that is up is checked once per
//! interval; one that is down at least once a second, because its return is waited for, and on the
//! device a check costs nothing.

use core::time::Duration;

use heapless::Vec;

use super::event::{Action, Actions, CheckId, Note};
use super::settings::{SERVICES_MAX, ServiceSettings};
use super::time::Instant;

#[cfg(test)]
mod tests;

/// Longest time that a check may take: a service with a full queue is as good as down.
pub const PATIENCE: Duration = Duration::from_secs(2);
/// Longest time between two checks of a service that is down.
pub const DOWN_EVERY: Duration = Duration::from_secs(1);

words! {
    /// Whether a service answers.
    pub enum ServiceState {
        /// The service was not checked yet.
        Unknown = "unknown",
        /// The service answers.
        Up = "up",
        /// The service does not answer.
        Down = "down",
    }
}

/// A service and what is known of it.
#[derive(Debug, Clone, Copy)]
pub struct Service {
    /// The service to check.
    pub settings: ServiceSettings,
    /// Whether it answers.
    pub state: ServiceState,
    /// Since when.
    pub since: Instant,
    phase: CheckPhase,
}

#[derive(Debug, Clone, Copy)]
enum CheckPhase {
    Waiting { look_at: Instant },
    Checking { check: CheckId, give_up_at: Instant },
}

/// The services of a configuration.
#[derive(Debug, Default)]
pub struct Services {
    services: Vec<Service, SERVICES_MAX>,
    last_check: u32,
}

impl Services {
    /// The services, in the order of the configuration.
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
            if let CheckPhase::Checking { check, .. } = service.phase {
                Action::CloseServiceCheck(check).push_to(actions);
            }
        }
        let (state, phase) = (ServiceState::Unknown, CheckPhase::Waiting { look_at: now });
        self.services = wanted
            .iter()
            .map(|settings| {
                let known = former.iter().find(|service| service.settings == *settings);
                known.copied().unwrap_or(Service { settings: *settings, state, since: now, phase })
            })
            .collect();
    }

    /// When [`tick`](Self::tick) has something to do.
    pub fn next_deadline(&self) -> Option<Instant> {
        let deadlines = self.services.iter().map(|service| match service.phase {
            CheckPhase::Waiting { look_at } => look_at,
            CheckPhase::Checking { give_up_at, .. } => give_up_at,
        });
        deadlines.min()
    }

    /// Starts the checks that are due, and gives up those that take too long: those services are
    /// down.
    pub fn tick(&mut self, now: Instant, actions: &mut Actions) {
        for service in &mut self.services {
            match service.phase {
                CheckPhase::Waiting { look_at } if look_at <= now => {
                    self.last_check = self.last_check.wrapping_add(1);
                    let check = CheckId(self.last_check);
                    service.phase = CheckPhase::Checking { check, give_up_at: now + PATIENCE };
                    Action::OpenServiceCheck { check, to: service.settings.address }
                        .push_to(actions);
                }
                CheckPhase::Checking { check, give_up_at } if give_up_at <= now => {
                    Action::CloseServiceCheck(check).push_to(actions);
                    let change = service.conclude(false, now);
                    change.into_iter().for_each(|lost| Action::Note(lost).push_to(actions));
                }
                CheckPhase::Waiting { .. } | CheckPhase::Checking { .. } => {}
            }
        }
    }

    /// Takes the end of a check; returns what it changes. One that was given up changes nothing.
    pub fn check_finished(&mut self, check: CheckId, answers: bool, now: Instant) -> Option<Note> {
        let is_it = |service: &&mut Service| match service.phase {
            CheckPhase::Checking { check: under_way, .. } => under_way == check,
            CheckPhase::Waiting { .. } => false,
        };
        self.services.iter_mut().find(is_it)?.conclude(answers, now)
    }
}

impl Service {
    fn conclude(&mut self, answers: bool, now: Instant) -> Option<Note> {
        let former = self.state;
        self.state = if answers { ServiceState::Up } else { ServiceState::Down };
        let interval = self.settings.interval;
        let wait = if answers { interval } else { interval.min(DOWN_EVERY) };
        self.phase = CheckPhase::Waiting { look_at: now + wait };
        if self.state == former {
            return None;
        }
        self.since = now;
        let name = self.settings.name;
        match former {
            _ if !answers => Some(Note::ServiceLost(name)),
            ServiceState::Down => Some(Note::ServiceRecovered(name)),
            ServiceState::Unknown | ServiceState::Up => None,
        }
    }
}
