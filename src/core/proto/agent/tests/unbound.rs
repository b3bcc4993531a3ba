//! The kernel's own way: sockets that are bound to no interface.

use super::*;

#[test]
fn a_server_on_the_device_itself_is_reached_unbound_and_without_an_uplink() {
    let host = Host::Address(Ipv4Addr::LOCALHOST.into());
    let mut bench =
        Bench::with(&Settings { server: Some(Server { host, port: 80 }), ..settings() });
    assert_eq!(bench.connect().map(|(_, via)| via), Some(None));
    bench.deliver(false);
    bench.link(ETH0, false);
    bench.pass(ms(30_000));
    assert_eq!(bench.connect().map(|(_, via)| via), Some(None));
    assert_eq!(bench.probe(), None);
}

#[test]
fn without_binding_the_kernel_chooses_the_way() {
    let mut bench = Bench::with(&Settings { bind_to_uplink: false, ..settings() });
    let (id, via) = bench.connect().expect("a connection");
    assert_eq!(via, None);
    bench.input(Input::Opened(id, local(LinkIndex(ETH0.into()), 10)));
    bench.link(ETH0, false);
    bench.pass(ms(1));
    assert!(bench.agent.view(bench.now).uplinks.is_empty());
}

#[test]
fn interface_set_down_is_no_outage_where_the_kernel_goes_another_way() {
    for bind_to_uplink in [true, false] {
        let mut bench = Bench::with(&Settings { bind_to_uplink, ..settings() });
        bench.deliver(false);
        bench.up(WLAN1);
        // Unlike a carrier, it takes its routes along.
        bench.tables.entries.retain(|entry| entry.index != LinkIndex(ETH0.into()));
        bench.link(ETH0, false);
        assert!(bench.connect().is_some(), "{:?}", bench.actions);
        assert!(!bench.notes().contains(&Note::ConnectivityLost), "{:?}", bench.notes());
    }
}

#[test]
fn an_unbound_connection_dies_with_its_local_address() {
    let mut bench = Bench::with(&Settings { bind_to_uplink: false, ..settings() });
    let (id, ..) = bench.write();
    bench.drop_address(ETH0, 10);
    assert!(bench.actions.contains(&Action::CloseConnection(id)));
}

#[test]
fn where_binding_is_forbidden_the_unbound_way_is_taken_and_then_first() {
    let mut bench = Bench::idle();
    bench.trigger();
    let (bound, via) = bench.connect().expect("a connection");
    assert_eq!(via, Some(name("eth0")));
    bench.fail(bound, Failure::Denied);
    assert_eq!(bench.connect().map(|(_, via)| via), Some(None));
    bench.deliver(false);
    bench.trigger();
    assert_eq!(bench.connect().map(|(_, via)| via), Some(None));
}

#[test]
fn an_interface_that_is_no_uplink_is_taken_unbound_where_it_was_routed_on_purpose() {
    let mut bench = Bench::idle();
    bench.tables.address(9, "172.17.0.1");
    bench.tables.entries.push(Entry::new(9, "203.0.113.0", 24, 0));
    bench.announce(false);
    bench.trigger();
    assert_eq!(bench.connect().map(|(_, via)| via), Some(None), "an ignored bridge");
}

#[test]
fn the_kernels_own_way_is_tried_beside_one_that_acknowledges_and_does_not_answer() {
    let mut bench = Bench::idle();
    bench.up(WLAN1);
    bench.trigger();
    bench.pass(ms(300));
    let (mute, _) = bench.connect().expect("a detour");
    bench.establish(mute);
    bench.pass(ms(300));
    bench.input(Input::AckChecked(mute, true));
    bench.pass(ms(1_699));
    assert_eq!(bench.connect(), None);
    bench.pass(ms(1));
    assert_eq!(bench.connect().map(|(_, via)| via), Some(None));
}
