//! An uplink in reserve that dies shows within an interval of its tests, and costs no more than
//! those.

use linkbeat_core::proto::settings::Settings;

use super::*;

const EVERY: Duration = Duration::from_secs(60);

/// What is known of the uplink behind the one in use.
fn works(world: &World) -> Option<bool> {
    world.agent.view(world.now).standby.all().first().and_then(|it| it.works)
}

#[test]
fn dead_reserve_shows_within_an_interval_and_a_time_out() {
    let mut times = vec![];
    for seed in 0..50 {
        let mut rng = Rng::new(seed);
        let mut world = weather::fair(seed, |_| ());
        world.configure(Settings { standby_check: EVERY, ..world.settings.clone() });
        world.pass(ms(10_000) + rng.fraction(EVERY));
        assert_eq!(works(&world), Some(true), "seed {seed}\n{}", world.trace.tail());
        for (flow, expected) in [(Flow::Silent, false), (Flow::Open, true)] {
            world.net.outside.flows[WLAN1] = flow;
            let (since, beats) = (world.now, world.claims.acknowledged);
            let end = world.now + EVERY + ms(2_000) + ms(1_000);
            while works(&world) != Some(expected) {
                assert!(world.now < end, "seed {seed}: {flow:?}\n{}", world.trace.tail());
                world.step(end);
            }
            times.push(world.now - since);
            assert!(world.claims.acknowledged <= beats + 3, "it causes no beat");
            world.pass(rng.fraction(EVERY));
        }
    }
    summary("reserve dead, or back", times);
}

#[test]
fn tests_of_two_uplinks_are_two_probes_an_interval() {
    let mut world = weather::fair(7, |_| ());
    world.configure(Settings { standby_check: EVERY, ..world.settings.clone() });
    world.pass(ms(30_000));
    let before = world.claims.probes_made;
    world.pass(HOUR);
    assert_eq!(world.claims.probes_made - before, 2 * 60);
}
