//! What passes, with the clock set and not: one table, with certificates made for it.

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    date_time_ymd,
};

use rustls::RootCertStore;

use super::*;
use crate::net::tls::failure::classify;
use crate::net::tls::provider::provider;
use linkbeat_core::proto::event::TlsFailure;

type Issuer = CertifiedIssuer<'static, KeyPair>;
type Chain = Vec<CertificateDer<'static>>;
type Verdict = Result<(), TlsFailure>;
/// Year, month and day.
type Day = (i32, u8, u8);

/// The day of the build, which is the floor.
const BUILT: Day = (2026, 6, 1);
/// What the clock reads where it is set, and what it really is.
const TODAY: Day = (2026, 11, 1);

fn unix_s(day: Day) -> u64 {
    u64::try_from(date_time_ymd(day.0, day.1, day.2).unix_timestamp()).unwrap()
}

/// A clock that stands still.
#[derive(Debug)]
struct Stopped(u64);

impl TimeProvider for Stopped {
    fn current_time(&self) -> Option<UnixTime> {
        Some(unix_time(self.0))
    }
}

struct World {
    trust: Arc<Trust>,
    authority: Issuer,
}

impl World {
    fn new() -> Self {
        let authority = authority("ours");
        let mut roots = RootCertStore::empty();
        roots.add(authority.der().clone()).unwrap();
        let trust = Arc::new(Trust::Certificates { roots, servers: Vec::new() });
        Self { trust, authority }
    }

    /// Verifies a chain for `localhost` by a clock that reads `wall_s`.
    fn verdict(&self, wall_s: u64, chain: &Chain) -> Verdict {
        self.verdict_after(unix_s(BUILT), wall_s, chain)
    }

    /// The same after a server said that it is `likely_s`.
    fn verdict_after(&self, likely_s: u64, wall_s: u64, chain: &Chain) -> Verdict {
        let certain_s = unix_s(BUILT);
        self.verdict_by(Floors { built_s: certain_s, certain_s, likely_s }, wall_s, chain)
    }

    fn verdict_by(&self, floors: Floors, wall_s: u64, chain: &Chain) -> Verdict {
        let times = Times { wall: Arc::new(Stopped(wall_s)), floors: SharedFloors::default() };
        times.floors.set(floors);
        let verifier = Verifier::new(Arc::clone(&self.trust), &provider(true), times);
        let (end_entity, intermediates) = chain.split_first().unwrap();
        let name = "localhost".try_into().unwrap();
        verifier
            .verify_server_cert(end_entity, intermediates, &name, &[], unix_time(0))
            .map(|_| ())
            .map_err(|error| classify(&error, false))
    }

    /// A leaf of `days` under an intermediate of its own days.
    fn below(&self, between: Days, days: Days) -> Chain {
        let mut params = ca_params("between");
        limit(&mut params, between);
        let key = KeyPair::generate().unwrap();
        let between = CertifiedIssuer::signed_by(params, key, &self.authority).unwrap();
        let mut chain = signed(&between, days, |_| {});
        chain.push(between.der().clone());
        chain
    }
}

/// Sets from when and until when a certificate is valid.
fn limit(params: &mut CertificateParams, (from, to): Days) {
    params.not_before = date_time_ymd(from.0, from.1, from.2);
    params.not_after = date_time_ymd(to.0, to.1, to.2);
}

fn ca_params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    params
}

fn authority(name: &str) -> Issuer {
    CertifiedIssuer::self_signed(ca_params(name), KeyPair::generate().unwrap()).unwrap()
}

fn leaf_params(days: Days) -> CertificateParams {
    let mut params = CertificateParams::new([String::from("localhost")]).unwrap();
    limit(&mut params, days);
    params
}

fn signed(by: &Issuer, days: Days, change: impl Fn(&mut CertificateParams)) -> Chain {
    let mut params = leaf_params(days);
    change(&mut params);
    let certificate = params.signed_by(&KeyPair::generate().unwrap(), by).unwrap();
    vec![certificate.der().clone()]
}

fn self_signed(days: Days) -> Chain {
    let key = KeyPair::generate().unwrap();
    vec![leaf_params(days).self_signed(&key).unwrap().der().clone()]
}

fn broken(chain: &Chain) -> Chain {
    let mut leaf = chain[0].to_vec();
    // The signature is the last thing in a certificate.
    *leaf.last_mut().unwrap() ^= 1;
    vec![leaf.into()]
}

fn elsewhere(params: &mut CertificateParams) {
    params.subject_alt_names = vec![rcgen::SanType::DnsName("elsewhere.test".try_into().unwrap())];
}

fn for_clients(params: &mut CertificateParams) {
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
}

/// Passes.
const OK: Verdict = Ok(());
const EXPIRED: Verdict = Err(TlsFailure::Expired);
const NOT_YET: Verdict = Err(TlsFailure::NotYetValid);
const NAME: Verdict = Err(TlsFailure::WrongName);
const ISSUER: Verdict = Err(TlsFailure::UnknownIssuer);
const BAD: Verdict = Err(TlsFailure::BadCertificate);

/// Days that a certificate is valid.
type Days = (Day, Day);
const THIS_YEAR: Days = ((2026, 1, 1), (2027, 1, 1));
/// Issued yesterday: no camera of the last half year has it behind its floor.
const SINCE_YESTERDAY: Days = ((2026, 10, 31), (2027, 6, 1));
const FROM_TOMORROW: Days = ((2026, 11, 2), (2027, 6, 1));
const UNTIL_SEPTEMBER: Days = ((2025, 1, 1), (2026, 9, 1));
const UNTIL_MAY: Days = ((2025, 1, 1), (2026, 5, 1));

#[test]
fn what_passes_with_the_clock_not_set_and_set_and_a_server_that_is_wrong() {
    let world = World::new();
    let foreign = authority("theirs");
    let ours = &world.authority;
    let leaf = |days| signed(ours, days, |_| {});
    let chain = |between, days| world.below(between, days);
    // With the clock not set it is 1970 and certainly June 2026; set, it is November 2026. "Doubted" is the
    // clock that is set, and a server that says November 2027; "dated" and "misled" are the one that is not, and a
    // server that says November 2026 and 2027: the latter for an hour after it was heard last.
    #[rustfmt::skip]
    let table = [
        //                                                                     not set  set      doubted  dated    misled
        ("valid", leaf(THIS_YEAR),                                            [OK,      OK,      OK,      OK,      EXPIRED]),
        ("issued yesterday", leaf(SINCE_YESTERDAY),                           [OK,      OK,      OK,      OK,      EXPIRED]),
        // Nobody knows which of the two is wrong, and what exists has been issued.
        ("not yet", leaf(FROM_TOMORROW),                                      [OK,      NOT_YET, OK,      OK,      EXPIRED]),
        // The one thing that is wider, until a server sends the time.
        ("expired after the build", leaf(UNTIL_SEPTEMBER),                    [OK,      EXPIRED, EXPIRED, EXPIRED, EXPIRED]),
        ("expired before the build", leaf(UNTIL_MAY),                         [EXPIRED, EXPIRED, EXPIRED, EXPIRED, EXPIRED]),
        ("of no day", leaf(((2027, 6, 1), (2026, 11, 2))),                    [EXPIRED, EXPIRED, EXPIRED, EXPIRED, EXPIRED]),
        ("wrong name", signed(ours, THIS_YEAR, elsewhere),                    [NAME,    NAME,    NAME,    NAME,    EXPIRED]),
        ("wrong name, not yet", signed(ours, FROM_TOMORROW, elsewhere),       [NAME,    NOT_YET, NAME,    NAME,    EXPIRED]),
        ("foreign root", signed(&foreign, THIS_YEAR, |_| {}),                 [ISSUER,  ISSUER,  ISSUER,  ISSUER,  EXPIRED]),
        ("foreign root, not yet", signed(&foreign, FROM_TOMORROW, |_| {}),    [ISSUER,  NOT_YET, ISSUER,  ISSUER,  EXPIRED]),
        ("self-signed", self_signed(THIS_YEAR),                               [ISSUER,  ISSUER,  ISSUER,  ISSUER,  EXPIRED]),
        ("self-signed, not yet", self_signed(FROM_TOMORROW),                  [ISSUER,  NOT_YET, ISSUER,  ISSUER,  EXPIRED]),
        ("broken signature", broken(&leaf(THIS_YEAR)),                        [ISSUER,  ISSUER,  ISSUER,  ISSUER,     EXPIRED]),
        ("broken signature, not yet", broken(&leaf(FROM_TOMORROW)),           [ISSUER,  NOT_YET, ISSUER,  ISSUER,     EXPIRED]),
        ("wrong usage", signed(ours, THIS_YEAR, for_clients),                 [BAD,     BAD,     BAD,     BAD,     EXPIRED]),
        ("wrong usage, not yet", signed(ours, FROM_TOMORROW, for_clients),    [BAD,     NOT_YET, BAD,     BAD,     EXPIRED]),
        ("intermediate", chain(THIS_YEAR, SINCE_YESTERDAY),                   [OK,      OK,      OK,      OK,      EXPIRED]),
        ("intermediate, not yet", chain(THIS_YEAR, FROM_TOMORROW),            [OK,      NOT_YET, OK,      OK,      EXPIRED]),
        ("intermediate expired early", chain(UNTIL_MAY, SINCE_YESTERDAY),     [EXPIRED, EXPIRED, EXPIRED, EXPIRED, EXPIRED]),
        // Each was valid at some time after the floor, but never both.
        ("never valid together", chain(UNTIL_SEPTEMBER, SINCE_YESTERDAY),     [EXPIRED, EXPIRED, EXPIRED, EXPIRED, EXPIRED]),
    ];
    let (built_s, today_s) = (unix_s(BUILT), unix_s(TODAY));
    let ahead_s = unix_s((2027, 11, 1));
    let columns =
        [(5, built_s), (today_s, built_s), (today_s, ahead_s), (5, today_s), (5, ahead_s)];
    for (kind, chain, expected) in table {
        let found = columns.map(|(wall_s, server_s)| world.verdict_after(server_s, wall_s, &chain));
        assert_eq!(found, expected, "{kind}");
    }
}

#[test]
fn wrong_server_outdates_nothing_that_is_valid_by_a_possible_clock() {
    let world = World::new();
    let day_s = 86_400;
    let chain = signed(&world.authority, SINCE_YESTERDAY, |_| {});
    for ahead_s in [360, 3600, day_s, 60 * day_s, 365 * day_s, 3650 * day_s] {
        let server_s = unix_s(TODAY) + ahead_s;
        assert_eq!(world.verdict_after(server_s, unix_s(TODAY), &chain), OK, "{ahead_s} ahead");
        // By a clock at the build it is not yet valid, which a server's date only helps.
        assert_eq!(world.verdict_after(server_s, unix_s(BUILT), &chain), OK, "{ahead_s} ahead");
    }
}

#[test]
fn file_from_the_future_outdates_nothing_that_is_valid_by_a_possible_clock() {
    let world = World::new();
    let file_s = unix_s((2028, 11, 1));
    let floors = Floors { built_s: unix_s(BUILT), certain_s: file_s, likely_s: file_s };
    for (days, not_set, set) in [
        (THIS_YEAR, EXPIRED, OK),
        (SINCE_YESTERDAY, EXPIRED, OK),
        (UNTIL_SEPTEMBER, EXPIRED, EXPIRED),
        (UNTIL_MAY, EXPIRED, EXPIRED),
        // The clock may be the wrong one: what is not yet valid by it is judged by the file.
        (FROM_TOMORROW, EXPIRED, EXPIRED),
        (((2026, 11, 2), (2029, 1, 1)), OK, OK),
        (((2028, 12, 1), (2029, 1, 1)), OK, OK),
    ] {
        let chain = signed(&world.authority, days, |_| {});
        assert_eq!(world.verdict_by(floors, 5, &chain), not_set, "{days:?}");
        assert_eq!(world.verdict_by(floors, unix_s(TODAY), &chain), set, "{days:?}");
    }
}

#[test]
fn clock_far_ahead_is_a_set_one() {
    let world = World::new();
    let chain = signed(&world.authority, THIS_YEAR, |_| {});
    assert_eq!(world.verdict(unix_s((2099, 1, 1)), &chain), EXPIRED);
}

#[test]
fn staggered_beginnings_are_followed_to_the_last_one() {
    let world = World::new();
    // Each later than the floor, the issuer's too.
    let (earlier, later) = (((2026, 8, 1), (2030, 1, 1)), ((2026, 10, 1), (2030, 1, 1)));
    assert_eq!(world.verdict(5, &world.below(earlier, later)), OK);
    assert_eq!(world.verdict(5, &world.below(later, earlier)), OK);
}
