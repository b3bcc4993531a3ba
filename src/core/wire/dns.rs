//! DNS queries and responses (RFC 1035) for a stub resolver.
//!
//! This module reads and writes messages only. The core decides which nameserver is asked and how
//! long a response is valid.

use core::net::{IpAddr, Ipv4Addr};

use domain::base::iana::{Class, Opcode, Rcode};
use domain::base::name::{ParsedName, ToName};
use domain::base::record::{ParsedRecord, Ttl};
use domain::base::wire::ParseError;
use domain::base::{Message, Rtype};
use domain::rdata::{A, Aaaa, Cname, Soa};

use crate::proto::event::{Answer, Failure};
use crate::proto::route::Family;
use crate::proto::settings::HostName;

/// Longest name on the wire, in bytes (RFC 1035 §2.3.4).
const WIRE_NAME_MAX: usize = 255;
/// Length of the header of a message (RFC 1035 §4.1.1).
const HEADER_LENGTH: usize = 12;
/// Place of QDCOUNT, the number of questions, in it.
const COUNT: core::ops::Range<usize> = 4..6;
/// Longest query: header, name, type, class and OPT record, in bytes.
const QUESTION_MAX: usize = HEADER_LENGTH + WIRE_NAME_MAX + 4 + OPT.len();
/// Longest response that is read, in bytes. A longer one is cut there and its first addresses are
/// used.
pub const ANSWER_MAX: usize = 4096;
/// The OPT record, which allows a response over UDP of [`ANSWER_MAX`] bytes instead of 512 (RFC
/// 6891 §6.1.2).
const OPT: [u8; 11] = [0, 0, 41, 0x10, 0, 0, 0, 0, 0, 0, 0];
/// Most CNAME records followed. BIND and Unbound stop at 16 and 11.
const CNAMES_MAX: usize = 32;
/// Size of the length field before a message on TCP, in bytes (RFC 1035 §4.2.2).
pub const LENGTH_BYTES: usize = 2;
/// Offsets in the header of the byte with the TC flag, and of the response code (RFC 1035 §4.1.1).
const FLAGS: usize = 2;
const CODE: usize = 3;
/// The TC flag in its byte.
const TRUNCATED: u8 = 2;

/// A fully qualified name to look up, and the type of record wanted.
#[derive(Debug, Clone)]
pub struct Question {
    /// The labels of the name, each behind its length, and the root.
    name: heapless::Vec<u8, WIRE_NAME_MAX>,
    family: Family,
}

impl Question {
    /// Builds the question for `name`, with the domain `search` appended if given.
    ///
    /// `None` if no such name can exist: a label is empty or longer than 63 bytes, or the whole
    /// name is longer than 255.
    pub fn new(name: &HostName, search: Option<&str>, family: Family) -> Option<Self> {
        let mut labels = heapless::Vec::new();
        for label in name.split('.').chain(search.into_iter().flat_map(|domain| domain.split('.')))
        {
            let length =
                u8::try_from(label.len()).ok().filter(|length| (1..=63).contains(length))?;
            labels.push(length).ok()?;
            labels.extend_from_slice(label.as_bytes()).ok()?;
        }
        labels.push(0).ok()?;
        Some(Self { name: labels, family })
    }

    /// Writes each letter of the name large or small, as the bits of `random` have it. Who forges a
    /// response has to guess them, because nameservers [repeat](Self::is_repeated) the question as it
    /// stands (draft-vixie-dnsext-dns0x20).
    pub fn mix_case(&mut self, mut random: u64) {
        // The length of a label is no letter.
        for byte in self.name.iter_mut().filter(|byte| byte.is_ascii_alphabetic()) {
            if random & 1 == 1 {
                *byte ^= 0x20;
            }
            random = random.rotate_right(1);
        }
    }

    /// Writes the name in lower case, for a nameserver that does not keep the case.
    pub fn lower_case(&mut self) {
        self.name.make_ascii_lowercase();
    }

    /// Whether it is the same question, whatever the case of the letters.
    pub fn is_same(&self, other: &Self) -> bool {
        self.name.eq_ignore_ascii_case(&other.name) && self.family == other.family
    }

    /// Whether the response in `bytes` repeats the name letter by letter. One that repeats no
    /// question, which says that it could not be parsed, does as well.
    pub fn is_repeated(&self, bytes: &[u8]) -> bool {
        name_in(bytes, self.name.len()) == Some(self.name.as_slice())
            || bytes.get(COUNT) == Some(&[0, 0][..])
    }

    /// Builds a recursive query of at most `QUESTION_MAX` bytes. `edns` adds the OPT record, which
    /// allows a large response.
    ///
    /// `id` must be unpredictable. It, the source port and the case of the letters are the only
    /// defence against forged responses (RFC 5452 §4).
    pub fn emit(&self, id: u16, edns: bool) -> impl AsRef<[u8]> + use<> {
        let [high, low] = id.to_be_bytes();
        let [kind_high, kind_low] = self.record_type().to_int().to_be_bytes();
        // RD, one question, and one additional record if there is one.
        let head = [high, low, 1, 0, 0, 1, 0, 0, 0, 0, 0, edns.into()];
        let opt: &[u8] = if edns { &OPT } else { &[] };
        let parts: [&[u8]; 4] = [&head, &self.name, &[kind_high, kind_low, 0, 1], opt];
        let mut message = heapless::Vec::<u8, QUESTION_MAX>::new();
        for part in parts {
            // QUESTION_MAX is the sum of the longest parts.
            message.extend_from_slice(part).ok();
        }
        message
    }

    /// Parses `bytes` as the response to this question, asked with `id`.
    ///
    /// `None` if `bytes` are not a response to it: another id, name or type, not a response, or too
    /// short. The caller goes on waiting.
    ///
    /// # Errors
    ///
    /// - [`Failure::NameNotFound`]: the nameserver reports that the name does not exist. An
    ///   existing name without a record of this type gives an empty [`Answer`] instead.
    /// - [`Failure::NameServerFailed`]: the nameserver reports an error, its response is a loop of
    ///   aliases, or it was truncated before the first address ([`is_truncated`]).
    /// - [`Failure::Malformed`]: the records cannot be parsed.
    pub fn parse_answer(&self, id: u16, bytes: &[u8]) -> Option<Result<Answer, Failure>> {
        let message = Message::from_slice(bytes).ok()?;
        let header = message.header();
        if header.id() != id || !header.qr() || header.opcode() != Opcode::QUERY {
            return None;
        }
        let failed = !matches!(header.rcode(), Rcode::NOERROR | Rcode::NXDOMAIN);
        if message.header_counts().qdcount() == 0 && failed {
            // A nameserver that could not parse the question cannot repeat it.
            return Some(Err(Failure::NameServerFailed));
        }
        let asked = message.sole_question().ok()?;
        let same = name_in(bytes, self.name.len())
            .is_some_and(|name| name.eq_ignore_ascii_case(&self.name))
            && asked.qtype() == self.record_type()
            && asked.qclass() == Class::IN;
        if !same {
            return None;
        }
        Some(match header.rcode() {
            Rcode::NOERROR => self.follow(message, asked.into_qname()),
            Rcode::NXDOMAIN => Err(Failure::NameNotFound),
            _ => Err(Failure::NameServerFailed),
        })
    }

    /// Follows the aliases from `owner` to addresses. The records may stand in any order.
    fn follow<'a>(
        &self,
        message: &'a Message<[u8]>,
        mut owner: ParsedName<&'a [u8]>,
    ) -> Result<Answer, Failure> {
        let mut answer = Answer { ttl_s: u32::MAX, ..Answer::default() };
        for _ in 0..=CNAMES_MAX {
            let mut alias = None;
            let mut found = false;
            for record in message.answer()? {
                let record = match record {
                    Ok(record) => record,
                    // RFC 2181 §9: the records before the cut may be used.
                    Err(_) if message.header().tc() => break,
                    Err(error) => return Err(error.into()),
                };
                if record.class() != Class::IN || !record.owner().name_eq(&owner) {
                    continue;
                }
                let ttl_s = seconds(record.ttl());
                if let Some(address) = self.address(&record)? {
                    found = true;
                    add_address(&mut answer, address);
                } else if let Some(cname) = record.into_record::<Cname<_>>()? {
                    alias = Some(cname.into_data().into_cname());
                } else {
                    continue;
                }
                answer.ttl_s = answer.ttl_s.min(ttl_s);
            }
            match alias {
                _ if found => return Ok(answer),
                Some(target) => owner = target,
                None => return without_address(message, answer),
            }
        }
        Err(Failure::NameServerFailed)
    }

    /// The address in `record`, if its type is the one asked for.
    fn address(&self, record: &ParsedRecord<'_, [u8]>) -> Result<Option<IpAddr>, ParseError> {
        Ok(match self.family {
            Family::V4 => record.to_record::<A>()?.map(|a| a.data().addr().into()),
            Family::V6 => record.to_record::<Aaaa>()?.map(|aaaa| aaaa.data().addr().into()),
        })
    }

    fn record_type(&self) -> Rtype {
        match self.family {
            Family::V4 => Rtype::A,
            Family::V6 => Rtype::AAAA,
        }
    }
}

/// As many bytes of the name in the question of a message as `length` says. Nothing before it could
/// stand for a part of it.
fn name_in(bytes: &[u8], length: usize) -> Option<&[u8]> {
    bytes.get(HEADER_LENGTH..HEADER_LENGTH + length)
}

/// Whether the response in `bytes` is truncated, so that the query has to be repeated over TCP if
/// it holds no address (RFC 7766 §5).
pub fn is_truncated(bytes: &[u8]) -> bool {
    bytes.get(FLAGS).is_some_and(|flags| flags & TRUNCATED != 0)
}

/// The first message in `received`, the bytes of a TCP stream. `None` while it is incomplete (RFC
/// 1035 §4.2.2).
///
/// A message longer than [`ANSWER_MAX`] is cut there and marked as truncated, which bounds the
/// memory that it takes.
pub fn first_message(received: &mut [u8]) -> Option<&[u8]> {
    let (length, bytes) = received.split_first_chunk_mut()?;
    let whole = usize::from(u16::from_be_bytes(*length));
    let message = bytes.get_mut(..whole.min(ANSWER_MAX))?;
    if whole > ANSWER_MAX {
        message.get_mut(FLAGS).into_iter().for_each(|flags| *flags |= TRUNCATED);
    }
    Some(message)
}

/// Whether the response in `bytes` is from a nameserver without EDNS: FORMERR or NOTIMP (RFC 6891
/// §7).
pub fn is_without_edns(bytes: &[u8]) -> bool {
    let is = |code: Rcode| bytes.get(CODE).is_some_and(|byte| byte & 0x0f == code.to_int());
    is(Rcode::FORMERR) || is(Rcode::NOTIMP)
}

impl From<ParseError> for Failure {
    fn from(_: ParseError) -> Self {
        Self::Malformed
    }
}

/// Adds `address`, if it is usable as a destination and there is room. An IPv4-mapped one is
/// reached over IPv4.
///
/// Filtering nameservers answer with the unspecified address for "blocked"; connect(2) would take
/// it for this very host.
fn add_address(answer: &mut Answer, address: IpAddr) {
    let address = address.to_canonical();
    let unusable = address.is_unspecified()
        || address.is_multicast()
        || address == IpAddr::V4(Ipv4Addr::BROADCAST);
    if !unusable && !answer.addresses.contains(&address) && !answer.addresses.is_full() {
        answer.addresses.push(address).expect("checked for room");
    }
}

/// Concludes a response whose chain of aliases ends without an address.
fn without_address(message: &Message<[u8]>, mut answer: Answer) -> Result<Answer, Failure> {
    let header = message.header();
    if header.tc() {
        return Err(Failure::NameServerFailed);
    }
    let mut negative_ttl_s = None;
    for record in message.authority()?.limit_to_in::<Soa<ParsedName<&[u8]>>>() {
        let record = record?;
        // RFC 2308 §5: the smaller of the TTL of the SOA record and its MINIMUM field.
        negative_ttl_s = Some(seconds(record.ttl()).min(seconds(record.data().minimum())));
    }
    match negative_ttl_s {
        // A referral, or an alias into a zone it does not serve: this nameserver does not recurse.
        None if !header.aa() && !header.ra() => Err(Failure::NameServerFailed),
        // RFC 2308 §5: a response without a SOA record should not be cached.
        ttl_s => {
            answer.ttl_s = answer.ttl_s.min(ttl_s.unwrap_or(0));
            Ok(answer)
        }
    }
}

/// A TTL in seconds. RFC 2181 §8: a TTL with the top bit set is zero.
fn seconds(ttl: Ttl) -> u32 {
    i32::try_from(ttl.as_secs()).map_or(0, i32::unsigned_abs)
}

#[cfg(test)]
mod tests;
