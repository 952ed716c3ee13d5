//! Ranges of addresses: from where people may log in, and from where a key may be used.

use std::{net::IpAddr, sync::Arc};

use ipnet::{IpNet, Ipv4Net};

/// Longer than any address with its length.
const TEXT_BYTES_MAX: usize = 50;

/// Bits before the address of IPv4 that an address of IPv6 stands for (`::ffff:192.0.2.1`; RFC 4291, section 2.5.5.2).
const MAPPED_BITS: u8 = 96;

/// Reads `192.0.2.0/24`, or a single address; without bits behind the network's length. Addresses are compared in their shortest form,
/// so networks are kept in it too: `::ffff:192.0.2.0/120` is `192.0.2.0/24`.
pub(crate) fn read(text: &str) -> Option<IpNet> {
    let text = text.trim();
    if text.len() > TEXT_BYTES_MAX {
        return None;
    }
    let network = match text.parse() {
        Ok(network) => canonical(network),
        Err(_) => IpNet::from(text.parse::<IpAddr>().ok()?.to_canonical()),
    };
    Some(network.trunc())
}

fn canonical(network: IpNet) -> IpNet {
    let length = network.prefix_len().checked_sub(MAPPED_BITS);
    match (network, network.addr().to_canonical(), length) {
        (IpNet::V6(_), IpAddr::V4(address), Some(length)) => Ipv4Net::new(address, length).map_or(network, IpNet::from),
        _ => network,
    }
}

/// What a table holds. A network that this version cannot read stands for an address that nobody has: leaving it out could let
/// everybody in.
pub(crate) fn stored<'a>(texts: impl IntoIterator<Item = &'a str>) -> Arc<[IpNet]> {
    let nobody = IpNet::from(IpAddr::from([255, 255, 255, 255]));
    texts.into_iter().map(|text| text.parse().unwrap_or(nobody)).collect()
}

/// Whether one of the networks holds the address. Without networks every address is fine; with some, one that is not known is not.
pub(crate) fn allow(networks: &[IpNet], address: Option<IpAddr>) -> bool {
    let address = address.map(|address| address.to_canonical());
    networks.is_empty() || address.is_some_and(|address| networks.iter().any(|network| network.contains(&address)))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_read_without_the_bits_of_a_host() {
        let shown = |text: &str| read(text).map(|network| network.to_string());
        assert_eq!(shown(" 192.0.2.77/24").as_deref(), Some("192.0.2.0/24"));
        assert_eq!(shown("::ffff:10.0.0.1").as_deref(), Some("10.0.0.1/32"));
        assert_eq!(shown("::ffff:10.1.2.3/104").as_deref(), Some("10.0.0.0/8"));
        assert_eq!(shown("::ffff:10.0.0.0/90").as_deref(), Some("::ffc0:0:0/90"));
        assert_eq!(shown("2001:db8::1").as_deref(), Some("2001:db8::1/128"));
        for wrong in ["", "localhost", "192.0.2.0/33", "192.0.2", "::/129", "1".repeat(60).as_str()] {
            assert_eq!(shown(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn no_network_is_every_address_and_a_damaged_one_is_none() {
        let address = Some(IpAddr::from([192, 0, 2, 1]));
        assert!(allow(&[], address) && allow(&[], None));
        let networks = stored(["192.0.2.0/24", "nonsense"]);
        assert!(allow(&networks, address) && allow(&networks, Some("::ffff:192.0.2.9".parse().unwrap())));
        assert!(!allow(&networks, None) && !allow(&networks, Some(IpAddr::from([198, 51, 100, 1]))));
        assert!(!allow(&stored(["nonsense"]), address));
    }
}
