//! A response gives the same result whole, byte by byte and in pieces, and stays within its limits.

#![cfg_attr(not(test), no_main)]

use linkbeat_core::proto::event::{Failure, Reply};
use linkbeat_core::proto::settings::Host;
use linkbeat_core::wire::response::{BODY_KEPT_MAX, LOCATION_MAX, Progress, Response};

#[derive(Debug, PartialEq)]
struct Read {
    progress: Result<Progress, Failure>,
    end: Result<(), Failure>,
    reply: Option<Reply>,
    body: Vec<u8>,
    location: Option<String>,
}

fn read<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Read {
    let mut response = Box::new(Response::new());
    let mut progress = Ok(Progress::Partial);
    for piece in pieces {
        let now = response.feed(piece);
        let over = !matches!(progress, Ok(Progress::Partial));
        assert!(!over || now == progress, "{progress:?} became {now:?}");
        progress = now;
    }
    let end = response.eof(true);
    let asked = Host::Name("api.example".try_into().expect("a name"));
    Read {
        progress,
        end,
        reply: end.ok().map(|()| response.reply(Some(&asked), 1_770_035_696)),
        body: response.body().to_vec(),
        location: response.location().map(str::to_owned),
    }
}

linkbeat_fuzz::target!(|data| {
    let whole = read(std::iter::once(data));
    assert_eq!(whole, read(data.chunks(1)));
    let size = data.last().map_or(2, |last| 2 + usize::from(*last));
    assert_eq!(whole, read(data.chunks(size)));

    assert!(whole.body.len() <= BODY_KEPT_MAX);
    assert!(whole.location.iter().all(|location| {
        location.len() <= LOCATION_MAX && location.bytes().all(|byte| byte.is_ascii_graphic())
    }));
    if let Some(reply) = whole.reply {
        assert!(!(100..200).contains(&reply.status) && reply.status < 1000, "{reply:?}");
    }
});
