//! Any response of a nameserver: no panic, no unusable address, no duplicates.
//!
//! The target asks the question that the response repeats, so that the fuzzer passes the
//! comparison.

#![cfg_attr(not(test), no_main)]

use linkbeat_core::proto::route::Family;
use linkbeat_core::proto::settings::HostName;
use linkbeat_core::wire::dns::Question;

/// The name in the question section of `message`, if it is UTF-8.
fn asked(message: &[u8]) -> Option<HostName> {
    let mut rest = message.get(12..)?;
    let mut name = HostName::new();
    loop {
        let (length, after) = rest.split_first()?;
        if *length == 0 {
            return Some(name);
        }
        let (label, after) = after.split_at_checked(usize::from(*length))?;
        if !name.is_empty() {
            name.push('.').ok()?;
        }
        name.push_str(std::str::from_utf8(label).ok()?).ok()?;
        rest = after;
    }
}

linkbeat_fuzz::target!(|data| {
    let name = asked(data).unwrap_or_else(|| HostName::try_from("camera.example").unwrap());
    let id = data.first_chunk().map_or(0, |bytes| u16::from_be_bytes(*bytes));
    for kind in [Family::V4, Family::V6] {
        let Some(question) = Question::new(&name, None, kind) else { continue };
        assert!(question.emit(id, true).as_ref().len() <= 282);
        let Some(Ok(answer)) = question.parse_answer(id, data) else { continue };
        for (place, address) in answer.addresses.iter().enumerate() {
            assert_eq!(address.is_ipv4(), kind == Family::V4);
            assert!(!address.is_unspecified() && !address.is_multicast(), "{address}");
            assert!(!answer.addresses[..place].contains(address), "{address} twice");
        }
        assert!(answer.ttl_s <= i32::MAX.unsigned_abs() || answer.addresses.is_empty());
    }
});
