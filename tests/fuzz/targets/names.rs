//! Any `resolv.conf` and `hosts`: the results are valid, and do not depend on a final line end.

#![cfg_attr(not(test), no_main)]

use linkbeat_core::proto::route::Family;
use linkbeat_core::proto::settings::{HostName, SEARCH_MAX};
use linkbeat_core::wire::dns::Question;
use linkbeat_core::wire::resolv_conf::{add_hosts, add_localhost, parse};

linkbeat_fuzz::target!(|data| {
    let settings = parse(data);
    let ended = [data, b"\n"].concat();
    assert_eq!(parse(&ended), settings);
    let camera = HostName::try_from("camera").unwrap();
    assert!(settings.domains().count() <= SEARCH_MAX && settings.ndots <= 15);
    for domain in settings.domains() {
        assert!(domain.bytes().all(|byte| !byte.is_ascii_uppercase()));
        assert!(
            Question::new(&HostName::try_from(domain).unwrap(), None, Family::V4).is_some(),
            "{domain}"
        );
        // A name that is too long gives no question, but must not panic.
        let _too_long = Question::new(&camera, Some(domain), Family::V6);
    }
    for name in ["camera", "localhost", "a.localhost"] {
        let name = HostName::try_from(name).unwrap();
        let hosts = |bytes: &[u8]| {
            let mut addresses = heapless::Vec::new();
            add_hosts(&mut addresses, bytes, &name);
            add_localhost(&mut addresses, &name);
            addresses
        };
        let addresses = hosts(data);
        assert_eq!(hosts(&ended), addresses);
        for (place, address) in addresses.iter().enumerate() {
            assert!(!addresses[..place].contains(address), "{address} twice");
        }
    }
});
