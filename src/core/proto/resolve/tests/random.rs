//! Whatever happens in whatever order: the bounds hold, the good address is never lost, and once
//! a nameserver answers again, addresses are known.

use super::*;
use crate::proto::rng::Rng;

const GOOD: &str = "192.0.2.1";
const STEPS: u32 = 300;
/// The longest rest and one pass before it, to one nameserver.
const RECOVERY_MAX: Duration = Duration::from_millis(5_000 + 300);

/// Does one random thing to the resolver.
fn disturb(bench: &mut Bench, rng: &mut Rng) {
    let eth0 = InterfaceName::new("eth0").unwrap();
    match rng.below(24) {
        0..8 => bench.resolve(),
        8 => bench.resolver.doubt(rng.below(2) == 0),
        9..14 => bench.wait(ms(rng.below(700))),
        14 => bench.wait(s(rng.below(200))),
        15 => bench.call(|resolver, _, actions| resolver.link_lost(eth0, actions)),
        16 => bench.call(|resolver, _, actions| resolver.close_all(actions)),
        17 => bench.resolver.network_back(),
        18 => {
            let ways = [None, Some(eth0), InterfaceName::new("wlan0")];
            let servers = ["10.0.0.1", "10.0.0.2", "10.0.0.3"];
            bench.via = servers
                .into_iter()
                .filter_map(|to| {
                    let way = usize::try_from(rng.below(4)).unwrap();
                    ways.get(way).map(|via| (ip(to), *via))
                })
                .collect();
        }
        19 => bench.families = if rng.below(2) == 0 { V4 } else { BOTH },
        _ => {
            let Some(last) = u64::try_from(bench.open.len()).unwrap().checked_sub(1) else {
                return;
            };
            let asked = bench.open[usize::try_from(rng.below(last + 1)).unwrap()];
            bench.end(asked.query);
            let addresses: &[&str] = match (rng.below(3), asked.family) {
                (0, _) => &[],
                (_, A) => &[GOOD, "192.0.2.2"],
                (_, Aaaa) => &["2001:db8::1"],
            };
            let answer = Answer {
                addresses: addresses.iter().map(|text| ip(text)).collect(),
                ttl_s: u32::try_from(rng.below(300)).unwrap(),
            };
            let failure = match rng.below(8) {
                0 => Some(Failure::NameNotFound),
                1..4 => Some(Failure::NameServerFailed),
                _ => None,
            };
            bench.call(|resolver, now, actions| match failure {
                Some(failure) => resolver.failed(asked.query, failure, now, actions),
                None => {
                    resolver.answered(asked.query, &answer, now, actions);
                }
            });
        }
    }
}

/// Answers whatever is asked until addresses are known, and gives the time that took.
fn recover(bench: &mut Bench) -> Duration {
    let start = bench.now;
    loop {
        bench.resolve();
        while let Some(asked) = bench.open.first().copied() {
            let text = if asked.family == A { GOOD } else { "2001:db8::1" };
            bench.answer(&asked.to.to_string(), asked.family, &[text], 60);
        }
        if bench.state() == State::Known {
            return bench.now - start;
        }
        let next = bench.resolver.next_deadline().expect("something goes on");
        let wait = next - bench.now;
        bench.wait(wait);
    }
}

#[test]
fn any_order_of_events_keeps_the_promises() {
    for seed in 0..200 {
        let mut rng = Rng::new(seed);
        let name = if seed % 4 == 0 { "api" } else { "meeting.example.com" };
        let servers = settings(&["10.0.0.1", "10.0.0.2", "10.0.0.3"], &["lan", "example.com"]);
        let mut bench = Bench::with(name, &servers);
        bench.good(GOOD);
        for step in 0..STEPS {
            disturb(&mut bench, &mut rng);
            let known = bench.addresses();
            let described = format!("seed {seed}, step {step}");
            assert_eq!(bench.state() == State::Known, !known.is_empty(), "{described}");
            assert_eq!(bench.resolver.lookup.is_open(), !bench.open.is_empty(), "{described}");
            assert!(known.is_empty() || bench.fallback().is_none(), "{described}");
            if matches!(bench.state(), State::Failed(_)) {
                assert_eq!(bench.fallback(), Some(ip(GOOD)), "{described}");
            }
        }
        bench.via.clear();
        bench.families = BOTH;
        let took = recover(&mut bench);
        assert!(took <= RECOVERY_MAX, "seed {seed}: {took:?}");
    }
}
