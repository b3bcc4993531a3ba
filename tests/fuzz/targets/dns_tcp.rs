//! Any bytes of a nameserver over TCP, in any pieces: the first message is the same and is bounded.

#![cfg_attr(not(test), no_main)]

use linkbeat_core::proto::event::RecordKind;
use linkbeat_core::proto::settings::HostName;
use linkbeat_core::wire::dns::{ANSWER_MAX, LENGTH_BYTES, Question, first_message, is_truncated};

linkbeat_fuzz::target!(|data| {
    let mut whole = data.to_vec();
    whole.truncate(LENGTH_BYTES + ANSWER_MAX);
    let message = first_message(&mut whole.clone()).map(<[u8]>::to_vec);
    // Byte by byte the message is complete with its last byte, and stays the same.
    let (needed, complete) = match &message {
        Some(message) => (LENGTH_BYTES + message.len(), true),
        None => (whole.len(), false),
    };
    for length in needed.saturating_sub(3)..=whole.len() {
        let came = first_message(&mut whole[..length]).map(<[u8]>::to_vec);
        assert_eq!(came, message.clone().filter(|_| complete && length >= needed));
    }
    let Some(message) = message else { return };
    assert!(message.len() <= ANSWER_MAX);
    if usize::from(u16::from_be_bytes([data[0], data[1]])) > ANSWER_MAX {
        assert!(is_truncated(&message));
    }
    let name = HostName::try_from("camera.example").unwrap();
    let id = message.first_chunk().map_or(0, |bytes| u16::from_be_bytes(*bytes));
    for kind in [RecordKind::A, RecordKind::Aaaa] {
        let question = Question::new(&name, None, kind).expect("a name");
        if let Some(Ok(answer)) = question.parse_answer(id, &message) {
            assert!(answer.addresses.iter().all(|it| it.is_ipv4() == (kind == RecordKind::A)));
        }
    }
});
