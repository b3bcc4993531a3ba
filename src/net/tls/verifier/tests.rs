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
        let verifier = Verifier::new(Arc::clone(&self.roots), Arc::new(provider(true)), times);
        let (end_entity, intermediates) = chain.split_first().unwrap();
        let name = "localhost".try_into().unwrap();
        verifier
            .verify_server_cert(end_entity, intermediates, &name, &[], unix_time(0))
            .map(|_| ())
            .map_err(|error| classify(&error))
    }

    fn leaf(&self, from: Day, to: Day) -> Chain {
        signed(&self.authority, from, to, |_| {})
    }

    /// A leaf of these days below an intermediate of those.
    fn below(&self, (from, to): (Day, Day), leaf: (Day, Day)) -> Chain {
        let mut params = ca_params("between");
        limit(&mut params, from, to);
        let key = KeyPair::generate().unwrap();
        let between = CertifiedIssuer::signed_by(params, key, &self.authority).unwrap();
        let mut chain = signed(&between, leaf.0, leaf.1, |_| {});
        chain.push(between.der().clone());
        chain
    }
}

/// Sets from when and until when a certificate is valid.
fn limit(params: &mut CertificateParams, from: Day, to: Day) {
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

fn leaf_params(from: Day, to: Day) -> CertificateParams {
    let mut params = CertificateParams::new([String::from("localhost")]).unwrap();
    limit(&mut params, from, to);
    params
}

fn signed(by: &Issuer, from: Day, to: Day, change: impl Fn(&mut CertificateParams)) -> Chain {
    let mut params = leaf_params(from, to);
    change(&mut params);
    let certificate = params.signed_by(&KeyPair::generate().unwrap(), by).unwrap();
    vec![certificate.der().clone()]
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

#[test]
fn what_passes_with_the_clock_not_set_and_set() {
    use TlsFailure::{BadCertificate, Expired, NotYetValid, UnknownIssuer, WrongName};
    const YEAR: (Day, Day) = ((2026, 1, 1), (2027, 1, 1));
    // Issued yesterday: no camera of the last half year has it behind its floor.
    const YESTERDAY: Day = (2026, 10, 31);
    const TOMORROW: Day = (2026, 11, 2);
    const LATER: Day = (2027, 6, 1);
    let world = World::new();
    let foreign = authority("theirs");
    let ours = &world.authority;
    let leaf = |from, to| world.leaf(from, to);
    let self_signed = |from, to| {
        let key = KeyPair::generate().unwrap();
        vec![leaf_params(from, to).self_signed(&key).unwrap().der().clone()]
    };
    let old = ((2025, 1, 1), (2026, 5, 1));
    let table: [(&str, Chain, Verdict, Verdict); 19] = [
        // Chain, clock not set (1970, floor June 2026), clock set (November 2026).
        ("valid", leaf(YEAR.0, YEAR.1), Ok(()), Ok(())),
        ("valid since yesterday", leaf(YESTERDAY, LATER), Ok(()), Ok(())),
        ("not yet", leaf(TOMORROW, LATER), Ok(()), Err(NotYetValid)),
        ("expired before the build", leaf(old.0, old.1), Err(Expired), Err(Expired)),
        // The one thing that is wider.
        ("expired after the build", leaf((2025, 1, 1), (2026, 9, 1)), Ok(()), Err(Expired)),
        ("of no day", leaf(LATER, TOMORROW), Err(Expired), Err(Expired)),
        ("wrong name", signed(ours, YEAR.0, YEAR.1, elsewhere), Err(WrongName), Err(WrongName)),
        (
            "wrong name, not yet",
            signed(ours, TOMORROW, LATER, elsewhere),
            Err(WrongName),
            Err(NotYetValid),
        ),
        (
            "foreign root",
            signed(&foreign, YEAR.0, YEAR.1, |_| {}),
            Err(UnknownIssuer),
            Err(UnknownIssuer),
        ),
        (
            "foreign root, not yet",
            signed(&foreign, TOMORROW, LATER, |_| {}),
            Err(UnknownIssuer),
            Err(NotYetValid),
        ),
        ("self-signed", self_signed(YEAR.0, YEAR.1), Err(UnknownIssuer), Err(UnknownIssuer)),
        (
            "self-signed, not yet",
            self_signed(TOMORROW, LATER),
            Err(UnknownIssuer),
            Err(NotYetValid),
        ),
        (
            "broken signature",
            broken(&leaf(YEAR.0, YEAR.1)),
            Err(BadCertificate),
            Err(BadCertificate),
        ),
        (
            "broken signature, not yet",
            broken(&leaf(TOMORROW, LATER)),
            Err(BadCertificate),
            Err(NotYetValid),
        ),
        (
            "wrong usage",
            signed(ours, YEAR.0, YEAR.1, for_clients),
            Err(BadCertificate),
            Err(BadCertificate),
        ),
        (
            "wrong usage, not yet",
            signed(ours, TOMORROW, LATER, for_clients),
            Err(BadCertificate),
            Err(NotYetValid),
        ),
        ("intermediate", world.below(YEAR, (YESTERDAY, LATER)), Ok(()), Ok(())),
        (
            "intermediate expired before the build",
            world.below(old, (YESTERDAY, LATER)),
            Err(Expired),
            Err(Expired),
        ),
        (
            "intermediate that ended before the leaf began",
            world.below(((2026, 1, 1), (2026, 9, 1)), (YESTERDAY, LATER)),
            Err(Expired),
            Err(Expired),
        ),
    ];
    for (kind, chain, unset, set) in table {
        assert_eq!(world.verdict(5, &chain), unset, "{kind}, clock not set");
        assert_eq!(world.verdict(unix_s(TODAY), &chain), set, "{kind}, clock set");
    }
}

#[test]
fn clock_far_ahead_is_a_set_one() {
    let world = World::new();
    let chain = world.leaf((2026, 1, 1), (2027, 1, 1));
    assert_eq!(world.verdict(unix_s((2099, 1, 1)), &chain), Err(TlsFailure::Expired));
}

#[test]
fn staggered_beginnings_are_followed_to_the_last_one() {
    let world = World::new();
    // Each later than the floor, the issuer's too.
    let chain = world.below(((2026, 8, 1), (2030, 1, 1)), ((2026, 10, 1), (2030, 1, 1)));
    assert_eq!(world.verdict(5, &chain), Ok(()));
    let chain = world.below(((2026, 10, 1), (2030, 1, 1)), ((2026, 8, 1), (2030, 1, 1)));
    assert_eq!(world.verdict(5, &chain), Ok(()));
}
