//! Any datagram: parsing ends within the number of messages that fit, as events and as route
//! responses, and any two responses combine without contradiction.

#![cfg_attr(not(test), no_main)]

use std::net::IpAddr;

use linkbeat_core::proto::link::LinkIndex;
use linkbeat_core::proto::route::RouteQuestion;
use linkbeat_core::wire::rtnetlink::{answers, guess, messages, route};

/// At most two events for each message of sixteen bytes, and an error.
const fn most(length: usize) -> usize {
    length / 16 * 2 + 1
}

linkbeat_fuzz::target!(|data| {
    assert!(messages(data).count() <= most(data.len()), "more facts than bytes");
    assert!(messages(data).eq(messages(data)), "not the same twice");
    let found: Vec<_> = answers(data).flatten().map(|answer| answer.found).collect();
    assert!(found.len() <= most(data.len()), "more answers than bytes");
    for pair in found.windows(2) {
        let &[matching, resolved] = pair else { unreachable!("windows of two") };
        for (to, bound) in
            [("192.0.2.1", None), ("fe80::1", None), ("192.0.2.1", Some(LinkIndex(2)))]
        {
            let question = RouteQuestion { to: to.parse::<IpAddr>().expect("an address"), bound };
            let pair = [matching, resolved];
            assert!(guess(&question, &pair).is_none() || route(question, &pair).is_none());
            let Some(route) = route(question, &pair) else { continue };
            assert_eq!(route.question, question);
            assert!(route.prefix <= 128);
            assert!(route.source.is_none_or(|it| it.is_ipv4() == question.to.is_ipv4()));
            assert!(route.source.is_none_or(|it| !it.is_unspecified()));
        }
    }
});
