//! What passes, with the clock set and not: one table, with certificates made for it.

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    date_time_ymd,
};

use super::*;
use crate::net::tls::failure::classify;
use crate::net::tls::provider::provider;
use crate::proto::event::TlsFailure;

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
    roots: Arc<RootCertStore>,
    authority: Issuer,
}

impl World {
    fn new() -> Self {
        let authority = authority("ours");
        let mut roots = RootCertStore::empty();
        roots.add(authority.der().clone()).unwrap();
        Self { roots: Arc::new(roots), authority }
    }

    /// Verifies a chain for `localhost` by a clock that reads `wall_s`.
    fn verdict(&self, wall_s: u64, chain: &Chain) -> Verdict {
        let times = Times { wall: Arc::new(Stopped(wall_s)), floor: SharedFloor::default() };
        times.floor.set(Floor { unix_s: unix_s(BUILT), source: Source::Build });
        let verifier = Verifier::new(Arc::clone(&self.roots), &provider(true), times);
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
fn what_passes_with_the_clock_not_set_and_set() {
    let world = World::new();
    let foreign = authority("theirs");
    let ours = &world.authority;
    let leaf = |days| signed(ours, days, |_| {});
    let chain = |between, days| world.below(between, days);
    // With the clock not set it is 1970 and certainly June 2026; set, it is November 2026.
    #[rustfmt::skip]
    let table = [
        //                                                                        not set  set
        ("valid", leaf(THIS_YEAR),                                                OK,      OK),
        ("issued yesterday", leaf(SINCE_YESTERDAY),                               OK,      OK),
        ("not yet", leaf(FROM_TOMORROW),                                          OK,      NOT_YET),
        // The one thing that is wider.
        ("expired after the build", leaf(UNTIL_SEPTEMBER),                        OK,      EXPIRED),
        ("expired before the build", leaf(UNTIL_MAY),                             EXPIRED, EXPIRED),
        ("of no day", leaf(((2027, 6, 1), (2026, 11, 2))),                        EXPIRED, EXPIRED),
        ("wrong name", signed(ours, THIS_YEAR, elsewhere),                        NAME,    NAME),
        ("wrong name, not yet", signed(ours, FROM_TOMORROW, elsewhere),           NAME,    NOT_YET),
        ("foreign root", signed(&foreign, THIS_YEAR, |_| {}),                     ISSUER,  ISSUER),
        ("foreign root, not yet", signed(&foreign, FROM_TOMORROW, |_| {}),        ISSUER,  NOT_YET),
        ("self-signed", self_signed(THIS_YEAR),                                   ISSUER,  ISSUER),
        ("self-signed, not yet", self_signed(FROM_TOMORROW),                      ISSUER,  NOT_YET),
        ("broken signature", broken(&leaf(THIS_YEAR)),                            BAD,     BAD),
        ("broken signature, not yet", broken(&leaf(FROM_TOMORROW)),               BAD,     NOT_YET),
        ("wrong usage", signed(ours, THIS_YEAR, for_clients),                     BAD,     BAD),
        ("wrong usage, not yet", signed(ours, FROM_TOMORROW, for_clients),        BAD,     NOT_YET),
        ("intermediate", chain(THIS_YEAR, SINCE_YESTERDAY),                       OK,      OK),
        ("intermediate expired early", chain(UNTIL_MAY, SINCE_YESTERDAY),         EXPIRED, EXPIRED),
        // Each was valid at some time after the floor, but never both.
        ("never valid together", chain(UNTIL_SEPTEMBER, SINCE_YESTERDAY),         EXPIRED, EXPIRED),
    ];
    for (kind, chain, unset, set) in table {
        assert_eq!(world.verdict(5, &chain), unset, "{kind}, clock not set");
        assert_eq!(world.verdict(unix_s(TODAY), &chain), set, "{kind}, clock set");
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
