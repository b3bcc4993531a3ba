//! A request that arrives in pieces is answered as one that arrives whole, and only for who may ask.

#![no_main]

use libfuzzer_sys::fuzz_target;
use linkbeat::wire::http_server::{ANSWER_HEAD_MAX, AnswerHead, Refusal, parse};
use linkbeat::wire::{json, outcome};

fn check_refusal(refusal: Refusal) {
    let mut buffer = [0; ANSWER_HEAD_MAX];
    let length = outcome::emit_error(&refusal, &mut buffer).expect("it fits, as the server has it");
    json::check(&buffer[..length]).expect("it is JSON");
    let allow = match refusal {
        Refusal::MethodNotAllowed { allow } => Some(allow),
        _ => None,
    };
    let head = AnswerHead { status: refusal.status(), length, allow }.to_string();
    assert!(head.len() <= ANSWER_HEAD_MAX, "{head}");
}

fuzz_target!(|data: &[u8]| {
    let whole = parse(data);
    if let Err(refusal) = whole {
        check_refusal(refusal);
    }
    let step = 1 + data.len() / 64;
    for length in (0..data.len()).step_by(step) {
        match parse(&data[..length]) {
            Ok(None) => {}
            // What follows a complete request is not looked at.
            early => return assert_eq!(early, whole, "after {length} bytes"),
        }
    }
});
