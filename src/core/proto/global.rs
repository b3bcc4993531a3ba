//! Which addresses belong to the public internet.

use core::net::IpAddr;

/// Whether an address is reached from everywhere: it is in no block that IANA's registries of
/// special-purpose addresses (RFC 6890) keep for private networks, links, tunnels or documents.
pub(super) const fn is_global(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => !matches!(
            address.octets(),
            // This network, private, loopback, multicast and reserved.
            [0 | 10 | 127 | 224..=255, ..]
                // Shared behind the NAT of a provider (RFC 6598).
                | [100, 64..=127, ..]
                // The link alone.
                | [169, 254, ..]
                // Private.
                | [172, 16..=31, ..]
                | [192, 168, ..]
                // Protocol assignments, documents, relays of 6to4, benchmarks.
                | [192, 0, 0 | 2, _]
                | [192, 88, 99, _]
                | [198, 18 | 19, ..]
                | [198, 51, 100, _]
                | [203, 0, 113, _]
        ),
        // Of the rest of IPv6 nothing is given out as global unicast (RFC 4291 §2.4).
        IpAddr::V6(address) => match address.segments() {
            // Protocol assignments, Teredo among them.
            [0x2001, 0..=0x1ff, ..] => false,
            // Documents.
            [0x2001, 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => false,
            // 6to4, an IPv4 address in another form.
            [0x2002, ..] => false,
            [first, ..] => matches!(first, 0x2000..=0x3fff),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_of_the_public_internet_are_global() {
        let global = "1.1.1.1 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 126.255.255.255 \
            128.0.0.0 169.253.255.255 172.15.255.255 172.32.0.0 192.0.1.1 192.0.3.0 \
            192.167.255.255 192.169.0.0 198.17.255.255 198.20.0.0 203.0.112.255 203.0.114.0 \
            223.255.255.255 2000::1 2001:200::1 2001:db7:ffff::1 2001:db9::1 2003::1 \
            2a00:1450:4001::1 3fff:1000::1";
        let others = "0.0.0.0 10.0.0.1 10.255.255.255 100.64.0.0 100.127.255.255 127.0.0.1 \
            169.254.0.1 172.16.0.0 172.31.255.255 192.0.0.8 192.0.2.1 192.88.99.1 \
            192.168.1.202 198.18.0.0 198.19.255.255 198.51.100.7 203.0.113.10 224.0.0.1 \
            240.0.0.1 255.255.255.255 :: ::1 ::ffff:1.1.1.1 64:ff9b::101:101 100::1 \
            1fff:ffff::1 2001::1 2001:1ff:ffff::1 2001:db8::1 2002:101:101::1 \
            3fff:fff:ffff::1 4000::1 5f00::1 fc00::1 fd00::2 fe80::1 fec0::1 ff02::1";
        for (addresses, expected) in [(global, true), (others, false)] {
            for text in addresses.split(' ') {
                assert_eq!(is_global(text.parse().unwrap()), expected, "{text}");
            }
        }
    }
}
