//! A fleet of devices with the real core, each with its own seed, boot time and round trip, through
//! what hits many of them at once: what the server gets in every second.
//!
//! `FLEET_DEVICES=n` is the size of the fleet (10,000; 2,000 for a day of many events). Each event
//! prints the largest second during it, in the two intervals after it, and in the five minutes that
//! follow, as multiples of the steady rate; then connections, full and resumed handshakes after it,
//! and SYNs in vain with those among them that the kernel repeats. A day makes a table of the same.

#[cfg(test)]
mod day;
#[cfg(test)]
mod device;
#[cfg(test)]
mod fleet;
#[cfg(test)]
mod plain;
#[cfg(test)]
mod receiver;
#[cfg(test)]
mod server;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use linkbeat_core::proto::reach::budget::{ROUNDS_HOUR, SYNS_OF_A_CONNECTION};

    use super::day::{DAY, Day, Event, LONG_DAY};
    use super::fleet::{EVENT_AT, Fleet, Plan, WATCHED, at, seconds, size};
    use super::plain::INTERVAL;
    use super::server::{Fate, MOVED, Second};

    /// The share of the fleet that a regional event hits, in percent.
    const REGION: usize = 30;

    #[test]
    fn a_fleet_that_nothing_happens_to_sends_evenly() {
        let mut fleet = Fleet::new(1);
        let start = fleet.most(at(seconds(120)), at(EVENT_AT), |second| second.requests);
        assert!(start <= 1.5, "{start:.2} times the steady rate");
        fleet.settles("nothing", 1.5);
    }

    #[test]
    fn a_region_that_was_cut_off_does_not_stay_in_step() {
        for (name, time) in [
            ("region cut off for 10 s", seconds(10)),
            ("region cut off for 10 min", seconds(600)),
            ("region cut off for 2 h", seconds(7200)),
        ] {
            let mut fleet = Fleet::new(2);
            fleet.cut_off(REGION);
            fleet.pass(time);
            fleet.cut_off(0);
            fleet.settles(name, f64::MAX);
        }
    }

    #[test]
    fn a_recovery_that_is_spread_is_no_peak() {
        for (name, time) in [
            ("region, 10 s, spread 5 s", seconds(10)),
            ("region, 10 min, spread 5 s", seconds(600)),
        ] {
            let mut fleet =
                Fleet::of(Plan { seed: 7, recovery_spread: seconds(5), ..Plan::default() });
            fleet.cut_off(REGION);
            fleet.pass(time);
            fleet.cut_off(0);
            fleet.settles(name, 3.0);
        }
    }

    #[test]
    fn after_ten_minutes_devices_are_online_again_within_about_a_second() {
        let mut fleet = Fleet::new(3);
        fleet.cut_off(REGION);
        fleet.pass(seconds(600));
        fleet.cut_off(0);
        let healed_at = fleet.now;
        fleet.pass(seconds(60));
        let region = fleet.devices.iter().filter(|device| device.key % 100 < REGION);
        let mut waits: Vec<Duration> =
            region.map(|device| device.heard_at.expect("a beat") - healed_at).collect();
        waits.sort_unstable();
        let slow = waits[waits.len() * 99 / 100];
        println!("online again after 10 min: 99 % within {slow:?}");
        assert!(slow <= Duration::from_millis(1200), "{slow:?}");
    }

    #[test]
    fn a_server_that_was_silent_or_refused_does_not_get_all_beats_at_once() {
        for (name, fate) in [
            ("server silent for 10 min", Fate::Silent),
            ("server refuses for 10 min", Fate::Refusing),
        ] {
            let mut fleet = Fleet::new(4);
            fleet.server.fate = fate;
            fleet.devices.iter_mut().for_each(|device| device.attempts = (0, 0));
            fleet.pass(seconds(600));
            let attempts = fleet.devices.iter().map(|device| device.attempts);
            let (connections, syns) = attempts.fold((0, 0), |a, b| (a.0.max(b.0), a.1.max(b.1)));
            println!("{name:34} a device: {connections} connections of {syns} SYNs at most");
            // A sixth of the rounds of an hour, and the first ones; in each the one way there is, and once more unbound.
            let most = 2 * (ROUNDS_HOUR / 6 + 5);
            assert!(connections <= most, "{name}: {connections} of {most} connections");
            assert!(syns <= most * SYNS_OF_A_CONNECTION, "{name}: {syns} SYNs");
            fleet.server.fate = Fate::Well;
            fleet.settles(name, f64::MAX);
        }
    }

    /// Nobody is left at the old addresses, and the new nodes have ticket keys of their own.
    #[test]
    fn a_name_that_moves_takes_every_device_with_it_within_an_interval() {
        let mut fleet = Fleet::of(Plan { seed: 9, named: true, ..Plan::default() });
        fleet.server.addresses = &MOVED;
        fleet.server.ticket_keys += 1;
        fleet.devices.iter_mut().for_each(|device| device.heard_at = None);
        let moved_at = fleet.now;
        fleet.settles("name that moves", 2.0);
        // Nor do they ask or connect in step.
        let questions = fleet.most(moved_at, fleet.now, |second| second.questions);
        let connections = fleet.most(moved_at, fleet.now, |second| second.connections);
        println!("name that moves                    questions: {questions:5.2}");
        assert!((0.9..=2.0).contains(&questions), "{questions:.2} questions for each beat");
        assert!(connections <= 2.0, "a second with {connections:.2} times the steady rate");
        let waits = fleet.devices.iter().map(|device| device.heard_at.expect("a beat") - moved_at);
        let longest = waits.max().expect("a device");
        println!("heard at the new address: within {longest:?}");
        assert!(longest <= INTERVAL + seconds(5), "{longest:?}");
    }

    #[test]
    fn an_overloaded_server_gets_no_more_than_it_asks_for() {
        for (name, retry_after, bound) in [
            ("503 for 10 min", None, 7.0),
            ("503, Retry-After: 60", Some(seconds(60)), 1.5),
            ("503, Retry-After: 900", Some(seconds(900)), 1.5),
        ] {
            let mut fleet = Fleet::new(5);
            fleet.server.fate = Fate::Overloaded { retry_after };
            fleet.pass(seconds(600));
            let during = fleet.most(at(EVENT_AT), fleet.now, |second| second.requests);
            assert!(during <= bound, "{name}: {during:.2} times the steady rate");
            fleet.server.fate = Fate::Well;
            fleet.settles(name, bound);
        }
    }

    #[test]
    fn devices_that_are_given_another_interval_at_once_are_not_in_step() {
        let mut fleet = Fleet::new(8);
        fleet.server.fate = Fate::Refusing;
        fleet.pass(seconds(600));
        fleet.server.fate = Fate::Well;
        fleet.server.interval = Some(INTERVAL * 4);
        let announced_at = fleet.now;
        fleet.pass(INTERVAL * 8);
        let settled = fleet.now;
        fleet.pass(WATCHED);
        let requests = |second: &Second| second.requests;
        let again = fleet.most(announced_at + seconds(5), settled, requests);
        let later = fleet.most(settled, fleet.now, requests) * 4.0;
        println!("interval of the server             requests: {again:5.2} {later:5.2}");
        assert!(again <= 1.5, "a second with {again:.2} times the former steady rate");
        assert!(later <= 1.7, "in step, with {later:.2} times the steady rate");
    }

    #[test]
    fn power_that_returns_leaves_nobody_in_step() {
        let mut fleet = Fleet::new(6);
        fleet.reboot();
        fleet.settles("power cut", f64::MAX);
    }

    /// Ten thousand devices send a million beats while the server is well and while it is not, and
    /// every thousandth of them dies.
    #[test]
    fn who_believes_what_beats_promise_takes_only_the_dead_for_dead() {
        let plan = Plan { seed: 8, recovery_spread: seconds(5), heard: true, ..Plan::default() };
        let mut fleet = Fleet::of(plan);
        let size = fleet.devices.len();
        let fates = [
            Fate::Overloaded { retry_after: None },
            Fate::Overloaded { retry_after: Some(seconds(60)) },
            Fate::Well,
        ];
        for fate in fates.into_iter().cycle() {
            fleet.server.fate = fate;
            fleet.pass(seconds(300));
            if fleet.receiver.beats >= 100 * u64::try_from(size).unwrap() {
                break;
            }
        }
        let receiver = &mut fleet.receiver;
        receiver.pass(fleet.now);
        assert_eq!(receiver.offline, [], "of {} beats", receiver.beats);
        assert_eq!(receiver.online(), size);
        let asked = seconds(2 * 60);
        let died_at = fleet.now;
        let dead: Vec<usize> = (0..size).step_by(1000).collect();
        for &place in &dead {
            fleet.devices[place].dead = true;
        }
        fleet.pass(asked + seconds(120));
        let receiver = &mut fleet.receiver;
        receiver.pass(fleet.now);
        let mut found: Vec<usize> = receiver.offline.iter().map(|(_, key, _)| *key).collect();
        found.sort_unstable();
        assert_eq!(found, dead);
        for (noticed_at, _, heard_at) in &receiver.offline {
            assert!(*heard_at <= died_at);
            // What the last beat promised, and what the server asked for itself.
            let most = Duration::from_secs(40) + asked + super::receiver::GRACE;
            assert!(*noticed_at - *heard_at <= most, "{:?}", *noticed_at - *heard_at);
        }
        println!(
            "{} beats and {} copies: nobody taken for dead; {} deaths known",
            receiver.beats,
            receiver.copies,
            dead.len()
        );
    }

    /// With `FLEET_RESULTS`, what the server got so far is written to this directory.
    fn live_through(events: &'static [Event], size: usize, name: &str) {
        let results = std::env::var("FLEET_RESULTS");
        let mut day = Day::new(events);
        while day.grow(size) {
            if let Ok(directory) = &results {
                std::fs::write(format!("{directory}/{name}.md"), day.table()).expect("a table");
                std::fs::write(format!("{directory}/{name}.csv"), day.data()).expect("data");
            }
        }
        print!("{}", day.table());
        for (event, later) in day.later() {
            assert!(later <= 1.5, "{event}: in step, with {later:.2} times the steady rate");
        }
    }

    #[test]
    fn a_fleet_is_steady_again_after_every_event_of_a_day() {
        live_through(DAY, size().unwrap_or(2_000), "day");
    }

    #[test]
    fn a_fleet_is_steady_again_after_a_long_outage() {
        live_through(LONG_DAY, size().unwrap_or(2_000), "long");
    }
}
