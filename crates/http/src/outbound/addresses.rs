//! Which addresses belong to a private network, to this machine or to its cloud, and not to a host of the internet.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const THIS_MACHINE: &str = "this machine itself";
const PRIVATE: &str = "in a private network";
const LINK: &str = "on the local link";
const METADATA: &str = "the metadata service of a cloud";
const DOCUMENTATION: &str = "one of those for documentation";
const TUNNEL: &str = "one of a tunnel into IPv4";
const MULTICAST: &str = "one of a group (multicast)";
const RESERVED: &str = "reserved";

/// From the registry of special addresses (RFC 6890, with its updates), and what clouds put beside it. The first match counts.
const NETWORKS_V4: &[([u8; 4], u32, &str)] = &[
    ([169, 254, 169, 254], 32, METADATA),
    ([169, 254, 170, 2], 32, METADATA),
    // Alibaba's stands in the carriers' network, Oracle's in the protocols', and Azure's is a public address.
    ([100, 100, 100, 200], 32, METADATA),
    ([192, 0, 0, 192], 32, METADATA),
    ([168, 63, 129, 16], 32, METADATA),
    ([0, 0, 0, 0], 8, THIS_MACHINE),
    ([127, 0, 0, 0], 8, THIS_MACHINE),
    ([10, 0, 0, 0], 8, PRIVATE),
    ([172, 16, 0, 0], 12, PRIVATE),
    ([192, 168, 0, 0], 16, PRIVATE),
    ([100, 64, 0, 0], 10, "in a carrier's network (RFC 6598)"),
    ([169, 254, 0, 0], 16, LINK),
    ([192, 0, 0, 0], 24, RESERVED),
    ([192, 0, 2, 0], 24, DOCUMENTATION),
    ([198, 51, 100, 0], 24, DOCUMENTATION),
    ([203, 0, 113, 0], 24, DOCUMENTATION),
    ([192, 88, 99, 0], 24, TUNNEL),
    ([198, 18, 0, 0], 15, "one of those for benchmarks (RFC 2544)"),
    ([224, 0, 0, 0], 4, MULTICAST),
    ([240, 0, 0, 0], 4, RESERVED),
];

const NETWORKS_V6: &[([u16; 8], u32, &str)] = &[
    ([0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x0254], 128, METADATA),
    ([0xfd20, 0x00ce, 0, 0, 0, 0, 0, 0x0254], 128, METADATA),
    ([0, 0, 0, 0, 0, 0, 0, 0], 127, THIS_MACHINE),
    ([0xfc00, 0, 0, 0, 0, 0, 0, 0], 7, PRIVATE),
    ([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10, LINK),
    ([0xfec0, 0, 0, 0, 0, 0, 0, 0], 10, PRIVATE),
    ([0xff00, 0, 0, 0, 0, 0, 0, 0], 8, MULTICAST),
    ([0x2001, 0x0db8, 0, 0, 0, 0, 0, 0], 32, DOCUMENTATION),
    ([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20, DOCUMENTATION),
    // Teredo, and the protocols' own addresses around it.
    ([0x2001, 0, 0, 0, 0, 0, 0, 0], 23, TUNNEL),
    // 6to4: its addresses hold an IPv4 address, private ones too.
    ([0x2002, 0, 0, 0, 0, 0, 0, 0], 16, TUNNEL),
];

/// What IPv6 gives to hosts of the internet: all else is something special, whatever the table knows of it.
const GLOBAL_V6: ([u16; 8], u32) = ([0x2000, 0, 0, 0, 0, 0, 0, 0], 3);

/// The IPv4 address that an IPv6 address stands for on the wire: mapped (RFC 4291), or behind NAT64 (RFC 6052).
pub(super) fn canonical(address: IpAddr) -> IpAddr {
    let IpAddr::V6(six) = address else { return address };
    match six.octets() {
        [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d]
        | [0, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0, a, b, c, d] => IpAddr::V4(Ipv4Addr::new(a, b, c, d)),
        _ => address,
    }
}

/// What an address is, if it is not one of the internet's. Give it as [`canonical`] made it.
pub(super) fn special(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(address) => special_v4(address),
        IpAddr::V6(address) => special_v6(address),
    }
}

fn special_v4(address: Ipv4Addr) -> Option<&'static str> {
    let bits = address.to_bits();
    let within = |network: &[u8; 4], length: u32| (bits ^ u32::from_be_bytes(*network)) >> (32 - length) == 0;
    NETWORKS_V4.iter().find(|(network, length, _)| within(network, *length)).map(|(.., what)| *what)
}

fn special_v6(address: Ipv6Addr) -> Option<&'static str> {
    let within =
        |network: [u16; 8], length: u32| (address.to_bits() ^ Ipv6Addr::from(network).to_bits()) >> (128 - length) == 0;
    let known = NETWORKS_V6.iter().find(|(network, length, _)| within(*network, *length)).map(|(.., what)| *what);
    known.or_else(|| if within(GLOBAL_V6.0, GLOBAL_V6.1) { None } else { Some(RESERVED) })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn of(address: &str) -> Option<&'static str> {
        special(canonical(address.parse().unwrap()))
    }

    #[test]
    fn addresses_of_the_internet_are_nothing_special() {
        for public in [
            "1.1.1.1",
            "8.8.8.8",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.0",
            "169.253.255.255",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.0",
            "192.167.255.255",
            "192.169.0.0",
            "198.17.255.255",
            "198.20.0.0",
            "223.255.255.255",
            "2606:4700:4700::1111",
            "2001:4860:4860::8888",
            "2a00:1450::1",
            "::ffff:1.1.1.1",
            "64:ff9b::1.1.1.1",
        ] {
            assert_eq!(of(public), None, "{public}");
        }
    }

    #[test]
    fn everything_else_is_named() {
        for (address, what) in [
            ("0.0.0.0", THIS_MACHINE),
            ("0.1.2.3", THIS_MACHINE),
            ("127.0.0.1", THIS_MACHINE),
            ("127.255.255.255", THIS_MACHINE),
            ("::", THIS_MACHINE),
            ("::1", THIS_MACHINE),
            ("10.0.0.1", PRIVATE),
            ("172.16.0.1", PRIVATE),
            ("172.31.255.255", PRIVATE),
            ("192.168.255.255", PRIVATE),
            ("fc00::1", PRIVATE),
            ("fdff::1", PRIVATE),
            ("fec0::1", PRIVATE),
            ("169.254.0.1", LINK),
            ("fe80::1", LINK),
            ("febf::1", LINK),
            ("169.254.169.254", METADATA),
            ("100.100.100.200", METADATA),
            ("168.63.129.16", METADATA),
            ("fd00:ec2::254", METADATA),
            ("192.0.2.1", DOCUMENTATION),
            ("198.51.100.1", DOCUMENTATION),
            ("203.0.113.255", DOCUMENTATION),
            ("2001:db8::1", DOCUMENTATION),
            ("3fff::1", DOCUMENTATION),
            ("224.0.0.1", MULTICAST),
            ("239.255.255.255", MULTICAST),
            ("ff02::1", MULTICAST),
            ("240.0.0.1", RESERVED),
            ("255.255.255.255", RESERVED),
            ("100::1", RESERVED),
            ("64:ff9b:1::1", RESERVED),
            ("5f00::1", RESERVED),
            ("4000::1", RESERVED),
            ("2001::1", TUNNEL),
            ("2002:7f00:1::1", TUNNEL),
            ("2002:0808:0808::1", TUNNEL),
        ] {
            assert_eq!(of(address), Some(what), "{address}");
        }
        assert!(of("100.64.0.1").is_some() && of("100.127.255.255").is_some() && of("198.19.255.255").is_some());
    }

    #[test]
    fn an_ipv4_address_inside_an_ipv6_address_is_judged_as_what_it_is() {
        for (address, what) in [
            ("::ffff:127.0.0.1", THIS_MACHINE),
            ("::ffff:10.1.2.3", PRIVATE),
            ("::ffff:169.254.169.254", METADATA),
            ("64:ff9b::192.168.1.1", PRIVATE),
            ("64:ff9b::7f00:1", THIS_MACHINE),
            // IPv4-compatible addresses (`::a.b.c.d`) went out of use in 2006.
            ("::10.0.0.1", RESERVED),
            ("::8.8.8.8", RESERVED),
        ] {
            assert_eq!(of(address), Some(what), "{address}");
        }
    }
}
