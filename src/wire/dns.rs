//! DNS questions and answers (RFC 1035), as a stub resolver needs them.
//!
//! Reads and writes bytes, decides nothing: whom to ask and for how long an answer is good is the
//! core's. A question goes out without EDNS (RFC 6891): a handful of addresses fits into the
//! 512 bytes every nameserver may send, and home routers that drop an OPT record still exist.

use core::net::{IpAddr, Ipv4Addr};

use domain::base::iana::{Class, Opcode, Rcode};
use domain::base::message_builder::MessageBuilder;
use domain::base::name::{Name, NameBuilder, ParsedName, ToName};
use domain::base::record::{ParsedRecord, Ttl};
use domain::base::wire::ParseError;
use domain::base::{Message, Rtype};
use domain::dep::octseq::Array;
use domain::rdata::{A, Aaaa, Cname, Soa};

use crate::proto::event::{Answer, Failure, RecordKind};
use crate::proto::settings::HostName;

/// Longest name on the wire, in bytes (RFC 1035 §2.3.4).
const WIRE_NAME_MAX: usize = 255;
/// Longest question message: header, name, type and class, in bytes.
const QUESTION_MAX: usize = 12 + WIRE_NAME_MAX + 4;
/// Longest answer worth reading, in bytes. Without EDNS it may have 512 (RFC 1035 §4.2.1), but some
/// forwarders pass on whatever fits into one packet.
pub const ANSWER_MAX: usize = 1232;
/// Most CNAME records followed; BIND and Unbound stop at 16 and 11.
const CNAMES_MAX: usize = 16;

/// One name to look up, qualified, and the kind of record wanted.
#[derive(Debug, Clone)]
pub struct Question {
    name: Name<Array<WIRE_NAME_MAX>>,
    kind: RecordKind,
}

impl Question {
    /// The question for `name`, with the domain `search` appended if given.
    ///
    /// `None` if a label is empty or longer than 63 bytes, or the whole name longer than 255: the
    /// name cannot exist.
    #[must_use]
    pub fn new(name: &HostName, search: Option<&HostName>, kind: RecordKind) -> Option<Self> {
        let mut builder = NameBuilder::<Array<WIRE_NAME_MAX>>::new();
        for label in name.split('.').chain(search.into_iter().flat_map(|domain| domain.split('.')))
        {
            if label.is_empty() {
                return None;
            }
            builder.append_label(label.as_bytes()).ok()?;
        }
        builder.into_name().ok().map(|name| Self { name, kind })
    }

    /// The message that asks the question recursively, at most `QUESTION_MAX` bytes.
    ///
    /// `id` must be unpredictable: with the source port it is all that keeps forged answers out
    /// (RFC 5452 §4).
    #[must_use]
    pub fn emit(&self, id: u16) -> impl AsRef<[u8]> + use<> {
        const FITS: &str = "QUESTION_MAX covers header and question";
        let mut message =
            MessageBuilder::from_target(Array::<QUESTION_MAX>::new()).expect(FITS).question();
        message.header_mut().set_id(id);
        message.header_mut().set_rd(true);
        message.push((&self.name, self.record_type())).expect(FITS);
        message.finish()
    }

    /// What `bytes` say to the question asked as number `id`.
    ///
    /// `None`: they are no answer to it (another number, name or type, not a response, too short
    /// to tell), whoever sent them, and the wait goes on.
    ///
    /// # Errors
    ///
    /// - [`Failure::NameNotFound`]: the nameserver says that the name does not exist. A name that
    ///   exists without a record of this kind is no failure but an empty [`Answer`].
    /// - [`Failure::NameServerFailed`]: the nameserver cannot or will not say, its answer is a
    ///   circle of aliases, or was truncated before the first address. There is no second try
    ///   over TCP: the next nameserver is asked instead.
    /// - [`Failure::Malformed`]: the records cannot be read.
    #[must_use]
    pub fn parse_answer(&self, id: u16, bytes: &[u8]) -> Option<Result<Answer, Failure>> {
        let message = Message::from_slice(bytes).ok()?;
        let header = message.header();
        if header.id() != id || !header.qr() || header.opcode() != Opcode::QUERY {
            return None;
        }
        let failed = !matches!(header.rcode(), Rcode::NOERROR | Rcode::NXDOMAIN);
        if message.header_counts().qdcount() == 0 && failed {
            // A nameserver that could not read the question cannot repeat it.
            return Some(Err(Failure::NameServerFailed));
        }
        let asked = message.sole_question().ok()?;
        let same = asked.qname().name_eq(&self.name)
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

    /// Follows the aliases from `owner` to addresses, wherever in the section each record stands.
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
                    // RFC 2181 §9: what a truncated message still holds may be used.
                    Err(_) if message.header().tc() => break,
                    Err(error) => return Err(error.into()),
                };
                if record.class() != Class::IN || !record.owner().name_eq(&owner) {
                    continue;
                }
                let ttl_s = seconds(record.ttl());
                if let Some(address) = self.address(&record)? {
                    found = true;
                    keep(&mut answer, address);
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

    /// The address in `record`, if it is of the kind asked for.
    fn address(&self, record: &ParsedRecord<'_, [u8]>) -> Result<Option<IpAddr>, ParseError> {
        Ok(match self.kind {
            RecordKind::A => record.to_record::<A>()?.map(|a| a.data().addr().into()),
            RecordKind::Aaaa => record.to_record::<Aaaa>()?.map(|aaaa| aaaa.data().addr().into()),
        })
    }

    fn record_type(&self) -> Rtype {
        match self.kind {
            RecordKind::A => Rtype::A,
            RecordKind::Aaaa => Rtype::AAAA,
        }
    }
}

impl From<ParseError> for Failure {
    fn from(_: ParseError) -> Self {
        Self::Malformed
    }
}

/// Adds `address`, if a server can have it and there is room for it.
///
/// Filtering nameservers answer with the unspecified address for "blocked"; connect(2) would take
/// it for this very host.
fn keep(answer: &mut Answer, address: IpAddr) {
    let unusable = address.is_unspecified()
        || address.is_multicast()
        || address == IpAddr::V4(Ipv4Addr::BROADCAST);
    if !unusable && !answer.addresses.contains(&address) && !answer.addresses.is_full() {
        answer.addresses.push(address).expect("checked for room");
    }
}

/// Concludes an answer in which the chain ends without an address.
fn without_address(message: &Message<[u8]>, mut answer: Answer) -> Result<Answer, Failure> {
    let header = message.header();
    if header.tc() {
        return Err(Failure::NameServerFailed);
    }
    let mut negative_ttl_s = None;
    for record in message.authority()?.limit_to_in::<Soa<ParsedName<&[u8]>>>() {
        let record = record?;
        // RFC 2308 §5: the smaller of the record's own TTL and its MINIMUM field.
        negative_ttl_s = Some(seconds(record.ttl()).min(seconds(record.data().minimum())));
    }
    match negative_ttl_s {
        // A referral, or an alias into a zone it does not serve: this nameserver does not recurse.
        None if !header.aa() && !header.ra() => Err(Failure::NameServerFailed),
        // RFC 2308 §5: without a SOA record the answer should not be cached.
        ttl_s => {
            answer.ttl_s = answer.ttl_s.min(ttl_s.unwrap_or(0));
            Ok(answer)
        }
    }
}

/// A TTL in seconds; RFC 2181 §8: one with the top bit set counts as zero.
fn seconds(ttl: Ttl) -> u32 {
    i32::try_from(ttl.as_secs()).map_or(0, i32::unsigned_abs)
}

#[cfg(test)]
mod tests;
