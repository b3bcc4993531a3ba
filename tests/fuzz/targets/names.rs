//! Any `resolv.conf` and `hosts`: what is taken from them can be asked, and whatever line ends it.

#![no_main]

use libfuzzer_sys::fuzz_target;
use linkbeat::proto::event::RecordKind;
use linkbeat::proto::settings::HostName;
use linkbeat::wire::dns::Question;
use linkbeat::wire::resolv_conf::{hosts, parse};

fuzz_target!(|data: &[u8]| {
    let settings = parse(data);
    let ended = [data, b"\n"].concat();
    assert_eq!(parse(&ended), settings);
    let camera = HostName::try_from("camera").unwrap();
    for domain in &settings.search {
        assert!(!domain.is_empty() && domain.bytes().all(|byte| !byte.is_ascii_uppercase()));
        assert!(Question::new(domain, None, RecordKind::A).is_some(), "{domain}");
        // A name that is too long in all is no question, but no panic either.
        let _too_long = Question::new(&camera, Some(domain), RecordKind::Aaaa);
    }
    for name in ["camera", "localhost", "a.localhost"] {
        let name = HostName::try_from(name).unwrap();
        let addresses = hosts(data, &name);
        assert_eq!(hosts(&ended, &name), addresses);
        for (place, address) in addresses.iter().enumerate() {
            assert!(!addresses[..place].contains(address), "{address} twice");
        }
    }
});
