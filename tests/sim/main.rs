//! The core against a virtual clock and a seeded network that fails in every way it can.
//!
//! `SIM_SEED=n` replays one seed and prints its last steps, or the last `SIM_STEPS`, if it fails;
//! `SIM_SEEDS=n` runs that many; `SIM_MINUTES=n` is how long the network misbehaves in each.

#[cfg(test)]
mod chronicle;
#[cfg(test)]
mod claims;
#[cfg(test)]
mod delivery;
#[cfg(test)]
mod kernel;
#[cfg(test)]
mod net;
#[cfg(test)]
mod promises;
#[cfg(test)]
mod wall;
#[cfg(test)]
mod weather;
#[cfg(test)]
mod world;

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::time::Duration;

    use super::{delivery, weather, world::World};

    fn setting(name: &str) -> Option<u64> {
        std::env::var(name).ok().map(|text| text.parse().expect("a number"))
    }

    /// Runs one seed; a failure tells how to see it again.
    fn run(seed: u64, minutes: u64, keep: bool) -> World {
        let (mut world, mut weather) = weather::world(seed);
        world.trace.whole = keep.then(String::new);
        if let Some(steps) = setting("SIM_STEPS") {
            world.trace.last_max = usize::try_from(steps).unwrap();
        }
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            misbehave(&mut world, &mut weather, Duration::from_secs(60 * minutes));
            recover(&mut world);
        }));
        if let Err(panic) = outcome {
            let why = panic.downcast_ref::<String>().map(String::as_str);
            let why = why.or(panic.downcast_ref::<&str>().copied()).unwrap_or_default();
            let tail = world.trace.tail();
            panic!("{tail}{why}\nSIM_SEED={seed} cargo test --test sim replays it");
        }
        world
    }

    fn misbehave(world: &mut World, weather: &mut weather::Weather, how_long: Duration) {
        let end = world.now + how_long;
        world.net.plan_weather(world.now + Duration::from_secs(1));
        while world.now < end {
            if world.step(end) {
                weather.change(world);
                let next = world.now + weather.wait();
                world.net.plan_weather(next);
            }
        }
    }

    /// Once faults stop, a beat arrives: within the time that is promised while something would carry it,
    /// which begins when a server's Retry-After ends.
    fn recover(world: &mut World) {
        weather::calm(world);
        let calm_at = world.now;
        let order = world.claims.orders();
        if !world.settings.auto_connect {
            world.trigger(None);
        }
        let quiet = Duration::from_secs(900);
        let end = world.now + quiet + delivery::bound(&world.settings, Duration::from_secs(10));
        while world.claims.acknowledged_order < order {
            assert!(world.now < end, "no beat since {calm_at:?}");
            world.step(end);
        }
        world.pass(world.settings.interval * 3 + Duration::from_secs(10));
        assert!(!world.claims.has_pending(), "a trigger is lost");
        assert!(!world.agent.view(world.now).server_silent);
    }

    #[test]
    fn every_claim_holds_whatever_the_network_does() {
        let minutes = setting("SIM_MINUTES").unwrap_or(10);
        if let Some(seed) = setting("SIM_SEED") {
            run(seed, minutes, false);
            return;
        }
        let (mut beats, mut steps, mut most) = (0, 0, 0);
        let (mut promised, mut longest) = (Duration::ZERO, 0.0_f64);
        let seeds = setting("SIM_SEEDS").unwrap_or(100);
        for seed in 0..seeds {
            let world = run(seed, minutes, false);
            beats += world.claims.acknowledged;
            promised += world.delivery.promised;
            longest = world.delivery.longest.max(longest);
            steps += world.trace.count;
            most = most.max(world.claims.actions_max);
        }
        println!("{beats} beats, {steps} steps, at most {most} actions for one input");
        let (promised, all) = (promised.as_secs() / 60, seeds * minutes);
        println!("a beat was promised for {promised} of {all} minutes");
        println!("and took {:.0} % of its time at most", longest * 100.0);
    }

    #[test]
    fn same_seed_gives_the_same_trace() {
        for seed in [1, 2, 3] {
            let (first, second) = (run(seed, 5, true), run(seed, 5, true));
            // Not assert_eq: nobody reads megabytes.
            assert!(first.trace.whole == second.trace.whole, "seed {seed}");
        }
    }
}
