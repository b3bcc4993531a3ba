//! A request in pieces is parsed like a whole one, and only accepted hosts are served.

#![cfg_attr(not(test), no_main)]

use linkbeat_core::wire::http_server::{
    ANSWER_HEAD_MAX, AnswerHead, Content, Names, Refusal, Request, login, parse,
};
use linkbeat_core::wire::{json, outcome};

fn check_refusal(refusal: Refusal) {
    let mut buffer = [0; ANSWER_HEAD_MAX];
    let length = outcome::emit_error(&refusal, &mut buffer).expect("it fits, as the server has it");
    json::parse(&buffer[..length]).expect("it is JSON");
    let (status, content, extra) = (refusal.status(), Content::JSON, refusal.extra());
    let head = AnswerHead { status, content, length, extra }.to_string();
    assert!(head.len() <= ANSWER_HEAD_MAX, "{head}");
}

/// The request without its body, which arrives in pieces.
fn head<'a>(parsed: Result<Option<Request<'a>>, Refusal>) -> Result<Option<Request<'a>>, Refusal> {
    parsed.map(|request| request.map(|request| Request { body: &[], ..request }))
}

linkbeat_fuzz::target!(|data| {
    for names in [Names::Loopback, Names::Any] {
        let whole = parse(data, names);
        match whole {
            Err(refusal) => check_refusal(refusal),
            Ok(Some(request)) => {
                assert!(request.body.len() <= request.body_length);
                let token = login::form_token(&request).map_or(0, Iterator::count);
                assert!(token <= request.body.len());
                assert!(login::cookies(&request, 5000).all(|it| it.len() < request.cookie.len()));
                assert!(login::bearer(&request).is_none_or(|it| it.len() < data.len()));
            }
            Ok(None) => {}
        }
        let step = 1 + data.len() / 64;
        for length in (0..data.len()).step_by(step) {
            match parse(&data[..length], names) {
                Ok(None) => {}
                // Bytes after a complete head change the body only.
                early => {
                    assert_eq!(head(early), head(whole), "after {length} bytes");
                    break;
                }
            }
        }
    }
});
