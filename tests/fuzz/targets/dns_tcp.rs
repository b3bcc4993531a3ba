//! Any bytes of a nameserver over TCP, in any pieces: the first message is the same and is bounded.

#![cfg_attr(not(test), no_main)]

use linkbeat_core::proto::route::Family;
use linkbeat_core::proto::settings::HostName;
use linkbeat_core::wire::dns::{ANSWER_MAX, LENGTH_BYTES, Question, first_message, is_truncated};

/// The flags that say that a message is cut (RFC 1035 §4.1.1).
const FLAGS: usize = 2;
const TRUNCATED: u8 = 2;

/// The first message as RFC 1035 §4.2.2 has it, cut where it is too long.
fn expected(received: &[u8]) -> Option<Vec<u8>> {
    let (length, rest) = received.split_at_checked(2)?;
    let declared = usize::from(length[0]) << 8 | usize::from(length[1]);
    let mut message = rest.get(..declared.min(4096))?.to_vec();
    if declared > 4096 {
        message[FLAGS] |= TRUNCATED;
    }
    Some(message)
}

linkbeat_fuzz::target!(|data| {
    let mut whole = data.to_vec();
    // The fuzzer makes no input as long as the longest message.
    if let Some(last) = data.last().filter(|last| **last % 2 == 1) {
        whole.resize(LENGTH_BYTES + ANSWER_MAX, *last);
    }
    whole.truncate(LENGTH_BYTES + ANSWER_MAX);
    let message = first_message(&mut whole.clone()).map(<[u8]>::to_vec);
    assert_eq!(message, expected(&whole));
    // Byte by byte the message is complete with its last byte, and stays the same.
    let needed = LENGTH_BYTES + message.as_ref().map_or(whole.len(), Vec::len);
    for length in needed.saturating_sub(3)..=whole.len().min(needed + 3) {
        let came = first_message(&mut whole[..length]).map(<[u8]>::to_vec);
        assert_eq!(came, message.clone().filter(|_| length >= needed));
    }
    let Some(message) = message else { return };
    assert!(message.len() <= ANSWER_MAX);
    if usize::from(u16::from_be_bytes([data[0], whole[1]])) > ANSWER_MAX {
        assert!(is_truncated(&message));
    }
    let name = HostName::try_from("camera.example").unwrap();
    let id = message.first_chunk().map_or(0, |bytes| u16::from_be_bytes(*bytes));
    for kind in [Family::V4, Family::V6] {
        let question = Question::new(&name, None, kind).expect("a name");
        if let Some(Ok(answer)) = question.parse_answer(id, &message) {
            assert!(answer.addresses.iter().all(|it| it.is_ipv4() == (kind == Family::V4)));
        }
    }
});
