use super::*;

/// Gives an interface another address, and the kernel a route for it.
fn add(bench: &mut Bench, index: u8, address: &str, network: &str) {
    bench.tables.address(index.into(), address);
    let entry = Entry::new(index.into(), network, 0, 100 * u32::from(index));
    if !bench.tables.entries.iter().any(|it| (it.index, it.network) == (entry.index, entry.network))
    {
        bench.tables.entries.push(entry);
    }
    bench.announce(false);
}

#[test]
fn public_address_is_a_global_one_of_the_interface_that_the_beat_leaves_from() {
    let outside = SocketAddr::new("2001:4860:4860::8888".parse().expect("an address"), 53);
    let probe_addresses = [PROBE, outside].into_iter().collect();
    let mut bench = Bench::with(&Settings { probe_addresses, ..settings() });
    bench.up(WLAN1);
    let [eth0, wlan1] = [ETH0, WLAN1].map(|index| Some(local(LinkIndex(index.into()), 10)));
    assert_eq!(bench.agent.identity(eth0).public, None, "behind NAT");

    add(&mut bench, ETH0, "fd00::2", "::");
    assert_eq!(bench.agent.identity(eth0).public, None, "of a closed network");

    bench.tables.drop_address("fd00::2");
    bench.announce(true);
    add(&mut bench, ETH0, "2a00:1450::2", "::");
    let v6 = Some("2a00:1450::2".parse().expect("an address"));
    for (local, public) in [(eth0, v6), (v6, v6), (None, v6), (wlan1, None)] {
        assert_eq!(bench.agent.identity(local).public, public, "{local:?}");
    }
    let loopback = Some(IpAddr::V4(Ipv4Addr::LOCALHOST));
    assert_eq!(bench.agent.identity(loopback).public, v6, "the server is on the camera itself");
    assert_eq!(bench.agent.identity(eth0).address, eth0);

    bench.tables.addresses.retain(|(index, it)| *index != LinkIndex(2) || !it.is_ipv4());
    bench.announce(true);
    add(&mut bench, ETH0, "198.41.0.4", "0.0.0.0");
    let v4 = Some("198.41.0.4".parse().expect("an address"));
    for (local, public) in [(v4, v4), (v6, v6), (None, v4), (wlan1, None)] {
        assert_eq!(bench.agent.identity(local).public, public, "{local:?}");
    }
}
