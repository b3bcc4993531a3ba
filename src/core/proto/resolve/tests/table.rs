//! Every input in every state, the ignored ones included.

use core::fmt::Write;

use super::*;

const SERVERS: [&str; 3] = ["10.0.0.1", "10.0.0.2", "10.0.0.3"];

const STATES: [(&str, Arrange); 9] = [
    ("idle", |_| {}),
    ("asking the first", |bench| bench.resolve()),
    ("asking the last", |bench| {
        bench.resolve();
        bench.wait(ms(600));
    }),
    ("holding A back", |bench| {
        bench.resolve();
        bench.answer("10.0.0.1", A, &["192.0.2.1"], 60);
    }),
    ("resting, late answer possible", |bench| {
        bench.resolve();
        bench.wait(ms(900));
    }),
    ("resting, all failed", |bench| {
        bench.resolve();
        for to in SERVERS {
            bench.fail(to, A, Failure::NameServerFailed);
            bench.fail(to, Aaaa, Failure::NameServerFailed);
        }
    }),
    ("idle after failure", |bench| {
        bench.resolve();
        bench.fail("10.0.0.1", A, Failure::NameNotFound);
        bench.fail("10.0.0.1", Aaaa, Failure::NameNotFound);
        bench.wait(s(1));
    }),
    ("known", |bench| {
        bench.resolve();
        bench.answer("10.0.0.1", A, &["192.0.2.1"], 60);
        bench.answer("10.0.0.1", Aaaa, &["2001:db8::1"], 60);
    }),
    ("known, refreshing", |bench| {
        bench.resolve();
        bench.answer("10.0.0.1", A, &["192.0.2.1"], 60);
        bench.answer("10.0.0.1", Aaaa, &["2001:db8::1"], 60);
        bench.wait(s(40));
        bench.resolver.doubt(true);
        bench.resolve();
    }),
];

const INPUTS: [(&str, Arrange); 17] = [
    ("resolve", |bench| bench.resolve()),
    ("resolve, other path", |bench| {
        bench.via = vec![(ip("10.0.0.1"), InterfaceName::new("wlan0"))];
        bench.resolve();
    }),
    ("resolve, IPv4 only", |bench| {
        bench.families = V4;
        bench.resolve();
    }),
    ("A", |bench| bench.reply(A, Ok(&["192.0.2.9"]))),
    ("AAAA", |bench| bench.reply(Aaaa, Ok(&["2001:db8::9"]))),
    ("no A", |bench| bench.reply(A, Ok(&[]))),
    ("no AAAA", |bench| bench.reply(Aaaa, Ok(&[]))),
    ("no such name", |bench| bench.reply(Aaaa, Err(Failure::NameNotFound))),
    ("failed", |bench| bench.reply(Aaaa, Err(Failure::NameServerFailed))),
    ("tick early", |bench| bench.call(Resolver::tick)),
    ("tick", |bench| {
        if let Some(at) = bench.resolver.next_deadline() {
            bench.now = at;
        }
        bench.call(Resolver::tick);
    }),
    ("same settings", |bench| {
        let same = settings(&SERVERS, &[]);
        bench.call(|resolver, _, actions| resolver.configure(&same, actions));
    }),
    ("other settings", |bench| {
        let other = settings(&["10.0.0.9"], &[]);
        bench.call(|resolver, _, actions| resolver.configure(&other, actions));
    }),
    ("other server", |bench| {
        bench.call(|resolver, _, actions| resolver.server(&server("other.example"), actions));
    }),
    ("link lost", |bench| {
        let eth0 = InterfaceName::new("eth0").unwrap();
        bench.call(|resolver, _, actions| resolver.link_lost(eth0, actions));
    }),
    ("close all", |bench| bench.call(|resolver, _, actions| resolver.close_all(actions))),
    ("network back", |bench| bench.resolver.network_back()),
];

impl Bench {
    /// Answers the newest open query of the family, or one that was never asked.
    fn reply(&mut self, family: Family, outcome: Result<&[&str], Failure>) {
        let newest = self.open.iter().rfind(|asked| asked.family == family);
        let query = newest.map_or(QueryId(u32::MAX), |asked| asked.query);
        self.end(query);
        self.call(|resolver, now, actions| match outcome {
            Ok(texts) => {
                let addresses = texts.iter().map(|text| ip(text)).collect();
                resolver.answered(query, &Answer { addresses, ttl_s: 60 }, now, actions);
            }
            Err(failure) => resolver.failed(query, failure, now, actions),
        });
    }

    fn summary(&self) -> String {
        let phase = match self.resolver.lookup.phase {
            LookupPhase::Idle => String::from("idle"),
            LookupPhase::Asking { asked, .. } => format!("asking {asked}"),
            LookupPhase::Resting { .. } => String::from("resting"),
        };
        let known = self.addresses().len();
        format!("{phase}, {} open, {known} known, {:?}", self.open.len(), self.state())
    }
}

fn table() -> String {
    let mut table = String::new();
    for (state, arrange) in STATES {
        let bench = || {
            let mut bench = Bench::new();
            bench.via = SERVERS.map(|to| (ip(to), InterfaceName::new("eth0"))).to_vec();
            arrange(&mut bench);
            bench
        };
        let before = bench().summary();
        writeln!(table, "{state}: {before}").unwrap();
        for (input, apply) in INPUTS {
            let mut bench = bench();
            let sent = bench.sent;
            apply(&mut bench);
            let after = bench.summary();
            let after = if after == before { "the same" } else { &after };
            match bench.sent - sent {
                0 => writeln!(table, "    {input}: {after}").unwrap(),
                sent => writeln!(table, "    {input}: {after}, {sent} sent").unwrap(),
            }
        }
    }
    table
}

#[test]
fn every_input_in_every_state_does_what_the_table_says() {
    let expected = include_str!("table.txt");
    let table = table();
    for (line, (is, should)) in table.lines().zip(expected.lines()).enumerate() {
        assert_eq!(is, should, "line {} of table.txt", line + 1);
    }
    assert_eq!(table, expected);
}
