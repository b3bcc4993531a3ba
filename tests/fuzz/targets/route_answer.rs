//! Answers of the kernel to questions about routes (RTM_NEWROUTE, NLMSG_ERROR), made of parts and
//! cut anywhere: what is read is what they were made of, and a pair of them becomes the route that a
//! second reading of the table in `question.rs` gives.

#![cfg_attr(not(test), no_main)]

use std::net::{IpAddr, Ipv6Addr};

use linkbeat_core::proto::link::LinkIndex;
use linkbeat_core::proto::route::{Route, RouteQuestion};
use linkbeat_core::wire::rtnetlink::{Form, QUESTION_MAX, answers, emit_question, guess, route};
use linkbeat_fuzz::Bytes;

/// What an answer is made of. `None` in place of it: an error, such as EHOSTUNREACH.
#[derive(Debug, Clone, Copy)]
struct Made {
    is_v6: bool,
    prefix: u8,
    /// linux/rtnetlink.h: 1 unicast, 2 local, 5 multicast; others reject, or lead to many.
    kind: u8,
    cloned: bool,
    table: u32,
    index: u32,
    metric: Option<u32>,
    gateway: Option<IpAddr>,
    source: Option<IpAddr>,
    asked_from: Option<IpAddr>,
}

/// An address of a family, from a small set.
fn address(bytes: &mut Bytes<'_>, is_v6: bool) -> IpAddr {
    match bytes.ip() {
        IpAddr::V4(ip) if is_v6 => ip.to_ipv6_mapped().into(),
        IpAddr::V6(ip) if !is_v6 => IpAddr::from([224, 0, 0, ip.octets()[15]]),
        ip => ip,
    }
}

impl Made {
    fn new(bytes: &mut Bytes<'_>) -> Self {
        let is_v6 = bytes.bool();
        Self {
            is_v6,
            prefix: bytes.pick(&[0, 1, 24, 32, if is_v6 { 128 } else { 31 }]),
            kind: bytes.pick(&[1, 1, 1, 2, 5, 6, 7]),
            cloned: bytes.bool(),
            table: bytes.pick(&[0, 253, 254, 255, 100_000]),
            index: bytes.pick(&[0, 2, 3]),
            metric: bytes.maybe(|bytes| bytes.short().into()),
            gateway: bytes.maybe(|bytes| {
                let is_v6 = is_v6 || bytes.byte() % 4 == 0;
                address(bytes, is_v6)
            }),
            source: bytes.maybe(|bytes| address(bytes, is_v6)),
            asked_from: bytes.maybe(|bytes| address(bytes, is_v6)),
        }
    }

    /// `struct rtmsg` and attributes, in an order that `bytes` choose, among some that mean nothing.
    fn body(&self, bytes: &mut Bytes<'_>) -> Vec<u8> {
        let octets = |address: IpAddr| match address {
            IpAddr::V4(address) => address.octets().to_vec(),
            IpAddr::V6(address) => address.octets().to_vec(),
        };
        let family = if self.is_v6 { 10 } else { 2 };
        let mut attributes = vec![(15, self.table.to_ne_bytes().to_vec())];
        attributes.push((4, self.index.to_ne_bytes().to_vec()));
        attributes.extend(self.metric.map(|it| (6, it.to_ne_bytes().to_vec())));
        attributes.extend(self.gateway.map(|gateway| match gateway {
            IpAddr::V6(_) if !self.is_v6 => {
                (18, [&10_u16.to_ne_bytes()[..], &octets(gateway)].concat())
            }
            gateway => (5, octets(gateway)),
        }));
        attributes.extend(self.source.map(|it| (7, octets(it))));
        attributes.extend(self.asked_from.map(|it| (2, octets(it))));
        for _ in 0..bytes.below(3) {
            let value = vec![bytes.byte(); bytes.below(9)];
            attributes.push((bytes.pick(&[8, 12, 16, 23]), value));
        }
        let turn = bytes.below(attributes.len());
        attributes.rotate_left(turn);
        let flags: u32 = if self.cloned { 0x200 } else { 0 };
        let table = u8::try_from(self.table).unwrap_or(252);
        let mut body = vec![family, self.prefix, 0, 0, table, 3, 0, self.kind];
        body.extend(flags.to_ne_bytes());
        for (kind, value) in attributes {
            let length = u16::try_from(4 + value.len()).expect("short");
            // The flag of nested attributes is no part of the type.
            let kind: u16 = kind | if bytes.byte() % 16 == 0 { 0x8000 } else { 0 };
            body.extend(length.to_ne_bytes());
            body.extend(kind.to_ne_bytes());
            body.extend(value);
            body.resize(body.len().next_multiple_of(4), 0);
        }
        body
    }

    /// Whether the answer names one way.
    const fn is_way(&self) -> bool {
        matches!(self.kind, 1 | 2 | 5)
    }

    /// The source that the answer has, of the question if it names none.
    fn source(&self) -> Option<IpAddr> {
        self.source.or(self.asked_from).filter(|source| !source.is_unspecified())
    }

    /// Whether this is what a kernel before 4.13 gives in place of the matching route.
    const fn is_resolved(&self) -> bool {
        self.cloned || (self.is_v6 && self.prefix == 128 && self.source.is_some())
    }
}

/// Whether answers to a source find their way back.
fn is_fit(source: IpAddr, to: IpAddr, prefix: u8) -> bool {
    match (source, to) {
        (IpAddr::V4(source), IpAddr::V4(to)) => {
            let [a, b, ..] = source.octets();
            let [c, d, ..] = to.octets();
            !(a == 169 && b == 254) || (c == 169 && d == 254) || prefix != 0
        }
        (IpAddr::V6(source), IpAddr::V6(to)) => {
            let is_link_local = |address: Ipv6Addr| address.segments()[0] & 0xffc0 == 0xfe80;
            let is_loopback = |address: Ipv6Addr| address.to_bits() == 1;
            (!is_link_local(source) || is_link_local(to))
                && (!is_loopback(source) || is_loopback(to))
        }
        _ => false,
    }
}

/// The route that two answers make.
fn expected(question: RouteQuestion, pair: [Option<Made>; 2]) -> Option<Route> {
    let [matching, resolved] = pair.map(|it| it.filter(Made::is_way));
    let hop = resolved?;
    let is_group = hop.kind == 5;
    if hop.index == 0 || is_group != question.to.is_multicast() {
        return None;
    }
    let way = if is_group { hop } else { matching? };
    let is_old = way.is_resolved() && hop.kind == 1;
    if is_old && hop.gateway.is_none() && question.bound.is_some() && question.to.is_ipv4() {
        return None;
    }
    let prefix = if is_old && hop.gateway.is_some() { 0 } else { way.prefix };
    Some(Route {
        question,
        index: LinkIndex(hop.index),
        local: hop.kind == 2,
        table: way.table,
        prefix,
        metric: way.metric.unwrap_or(0),
        gateway: hop.gateway,
        source: hop.source().filter(|source| is_fit(*source, question.to, prefix)),
    })
}

fn expected_guess(question: &RouteQuestion, pair: [Option<Made>; 2]) -> Option<IpAddr> {
    let [None, Some(hop)] = pair.map(|it| it.filter(Made::is_way)) else { return None };
    let asks = question.bound.is_some() && !question.to.is_multicast() && hop.table == 0;
    hop.source().filter(|_| asks)
}

/// The message of an answer: the header, and the body with its padding.
fn message(made: Option<Made>, seq: u32, bytes: &mut Bytes<'_>) -> Vec<u8> {
    let (kind, body) = match made {
        Some(made) => (24_u16, made.body(bytes)),
        None => (2, (-113_i32).to_ne_bytes().iter().copied().chain([0; 16]).collect()),
    };
    let length = u32::try_from(16 + body.len()).expect("short");
    [&length.to_ne_bytes()[..], &kind.to_ne_bytes(), &[0; 2], &seq.to_ne_bytes(), &[0; 4], &body]
        .concat()
}

linkbeat_fuzz::target!(|data| {
    let mut bytes = Bytes::new(data);
    let is_v6 = bytes.bool();
    let question =
        RouteQuestion { to: address(&mut bytes, is_v6), bound: bytes.maybe(|bytes| bytes.index()) };
    let made: Vec<Option<Made>> = (0..1 + bytes.below(6)).map(|_| bytes.maybe(Made::new)).collect();
    let (mut datagram, mut ends) = (Vec::new(), Vec::new());
    for (made, seq) in made.iter().zip(7..) {
        datagram.extend(message(*made, seq, &mut bytes));
        ends.push(datagram.len());
    }

    let read: Vec<_> = answers(&datagram).collect();
    assert_eq!(read.len(), made.len());
    for ((read, made), seq) in read.iter().zip(&made).zip(7..) {
        let read = read.expect("it is well-formed");
        assert_eq!(read.seq, seq);
        assert_eq!(read.found.is_some(), made.is_some_and(|made| made.is_way()), "{made:?}");
    }
    for (found, made) in read.windows(2).zip(made.windows(2)) {
        let found = [found[0].unwrap().found, found[1].unwrap().found];
        let made = [made[0], made[1]];
        assert_eq!(route(question, &found), expected(question, made), "{question:?} {made:?}");
        assert_eq!(guess(&question, &found), expected_guess(&question, made), "{made:?}");
    }

    // A message that is cut off takes nothing from those before it, and is reported once.
    let cut = usize::from(bytes.short()) % (datagram.len() + 1);
    let whole = ends.iter().filter(|end| **end <= cut).count();
    let part: Vec<_> = answers(&datagram[..cut]).collect();
    assert!(part[..whole] == read[..whole]);
    let is_torn = cut > 0 && !ends.contains(&cut);
    assert_eq!(part.len(), whole + usize::from(is_torn));
    assert!(part[whole..].iter().all(Result::is_err));

    // A question has its length in it, and names what it asks.
    let mut asked = Vec::new();
    let source = bytes.maybe(|bytes| address(bytes, is_v6));
    let port = bytes.maybe(|bytes| bytes.short());
    emit_question(&mut asked, &question, source, port, Form::Matching, 1);
    assert!(asked.len() <= QUESTION_MAX && asked.len() % 4 == 0);
    assert_eq!(asked[..4], u32::try_from(asked.len()).expect("short").to_ne_bytes());
    let octets = match question.to {
        IpAddr::V4(to) => to.octets().to_vec(),
        IpAddr::V6(to) => to.octets().to_vec(),
    };
    assert!(asked.windows(octets.len()).any(|part| part == octets));
});
