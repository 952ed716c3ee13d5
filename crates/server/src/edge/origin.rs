//! From where a request came. What headers say of it counts only when a proxy that is trusted added it.

use std::net::IpAddr;

use axum::http::{HeaderMap, HeaderName, header};
use ipnet::IpNet;
use plasma_kernel::Origin;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
/// Proxies in a row that are looked through.
const HOPS_MAX: usize = 32;
/// Characters of a user agent that are kept.
const USER_AGENT_CHARS_MAX: usize = 200;

/// The origin of a request from `peer`.
pub(super) fn of(peer: Option<IpAddr>, headers: &HeaderMap, trusted: &[IpNet]) -> Origin {
    let user_agent = headers.get(header::USER_AGENT).map(|agent| {
        let text = String::from_utf8_lossy(agent.as_bytes());
        text.chars().filter(|letter| !letter.is_control()).take(USER_AGENT_CHARS_MAX).collect::<String>()
    });
    Origin {
        address: peer.map(|peer| client(peer.to_canonical(), headers, trusted)),
        user_agent: user_agent.filter(|agent| !agent.is_empty()),
    }
}

/// The address of the client: the right-most one that is not a trusted proxy's. A client may write whatever it likes to the left
/// of what the first trusted proxy adds.
fn client(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    let is_trusted = |address: IpAddr| trusted.iter().any(|network| network.contains(&address));
    if !is_trusted(peer) {
        return peer;
    }
    let walked = |hops: Vec<Option<IpAddr>>| {
        let mut nearest = peer;
        for hop in hops.into_iter().rev().take(HOPS_MAX) {
            // What is hidden or no address ends the way: nothing to the left of it can be told apart from an invention.
            let Some(address) = hop else { return nearest };
            nearest = address;
            if !is_trusted(address) {
                return nearest;
            }
        }
        nearest
    };
    match (x_forwarded_for(headers), forwarded(headers)) {
        (None, None) => peer,
        (Some(hops), None) | (None, Some(hops)) => walked(hops),
        (Some(one), Some(other)) => {
            let (one, other) = (walked(one), walked(other));
            // The proxy keeps one of the two headers; the other may be the client's own. When they differ, neither is believed.
            if one == other { one } else { peer }
        }
    }
}

/// The addresses of `X-Forwarded-For`, from left to right.
fn x_forwarded_for(headers: &HeaderMap) -> Option<Vec<Option<IpAddr>>> {
    let values: Vec<&str> = headers.get_all(X_FORWARDED_FOR).iter().filter_map(|value| value.to_str().ok()).collect();
    let hops = values.iter().flat_map(|value| value.split(',')).map(address);
    (!values.is_empty()).then(|| hops.collect())
}

/// The addresses of `Forwarded` (RFC 7239), from left to right.
fn forwarded(headers: &HeaderMap) -> Option<Vec<Option<IpAddr>>> {
    let values: Vec<&str> = headers.get_all(header::FORWARDED).iter().filter_map(|value| value.to_str().ok()).collect();
    let hops = values.iter().flat_map(|value| value.split(',')).map(|element| {
        let node = element.split(';').find_map(|pair| {
            let (name, value) = pair.split_once('=')?;
            name.trim().eq_ignore_ascii_case("for").then_some(value)
        });
        node.and_then(|node| address(node.trim().trim_matches('"')))
    });
    (!values.is_empty()).then(|| hops.collect())
}

/// `203.0.113.7`, `203.0.113.7:443`, `2001:db8::1`, `[2001:db8::1]:443`.
fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let bare = match text.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or(rest),
        // One colon stands before a port, several in an address of IPv6.
        None if text.matches(':').count() == 1 => text.split(':').next().unwrap_or(text),
        None => text,
    };
    bare.parse::<IpAddr>().ok().map(|address| address.to_canonical())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn client_of(peer: &str, pairs: &[(&'static str, &'static str)]) -> String {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        let trusted = ["10.0.0.0/8".parse().unwrap(), "2001:db8::/32".parse().unwrap()];
        of(Some(peer.parse().unwrap()), &headers, &trusted).address.unwrap().to_string()
    }

    #[test]
    fn strangers_are_not_believed() {
        assert_eq!(client_of("198.51.100.9", &[]), "198.51.100.9");
        assert_eq!(client_of("198.51.100.9", &[("x-forwarded-for", "1.1.1.1")]), "198.51.100.9");
        assert_eq!(client_of("198.51.100.9", &[("forwarded", "for=1.1.1.1")]), "198.51.100.9");
        assert_eq!(client_of("::ffff:198.51.100.9", &[]), "198.51.100.9");
    }

    #[test]
    fn the_right_most_address_that_is_no_proxy_counts() {
        let forwarded_for = |value: &'static str| client_of("10.0.0.1", &[("x-forwarded-for", value)]);
        assert_eq!(forwarded_for("203.0.113.7"), "203.0.113.7");
        // A client invents the left part.
        assert_eq!(forwarded_for("1.1.1.1, 203.0.113.7"), "203.0.113.7");
        assert_eq!(forwarded_for("1.1.1.1, 203.0.113.7, 10.9.9.9"), "203.0.113.7");
        assert_eq!(forwarded_for("203.0.113.7:4711"), "203.0.113.7");
        assert_eq!(forwarded_for("[2001:db9::7]:4711, 2001:db8::1"), "2001:db9::7");
        // All are proxies: the farthest.
        assert_eq!(forwarded_for("10.2.2.2, 10.1.1.1"), "10.2.2.2");
        // What cannot be read ends the way.
        assert_eq!(forwarded_for("203.0.113.7, unknown, 10.1.1.1"), "10.1.1.1");
        assert_eq!(forwarded_for(""), "10.0.0.1");
        let two = [("x-forwarded-for", "1.1.1.1"), ("x-forwarded-for", "203.0.113.7")];
        assert_eq!(client_of("10.0.0.1", &two), "203.0.113.7");
    }

    #[test]
    fn the_standard_header_is_read_too() {
        let forwarded = |value: &'static str| client_of("10.0.0.1", &[("forwarded", value)]);
        assert_eq!(forwarded("for=203.0.113.7;proto=https;by=10.0.0.1"), "203.0.113.7");
        assert_eq!(forwarded("for=1.1.1.1, For=\"[2001:db9::7]:4711\""), "2001:db9::7");
        assert_eq!(forwarded("for=_hidden"), "10.0.0.1");
        assert_eq!(forwarded("proto=https"), "10.0.0.1");
    }

    #[test]
    fn of_two_headers_that_differ_none_is_believed() {
        let agree = [("x-forwarded-for", "203.0.113.7"), ("forwarded", "for=203.0.113.7")];
        assert_eq!(client_of("10.0.0.1", &agree), "203.0.113.7");
        let differ = [("x-forwarded-for", "203.0.113.7"), ("forwarded", "for=1.1.1.1")];
        assert_eq!(client_of("10.0.0.1", &differ), "10.0.0.1");
    }

    #[test]
    fn what_the_client_says_it_is_is_short_and_plain() {
        let mut headers = HeaderMap::new();
        headers.insert(header::USER_AGENT, HeaderValue::from_bytes(&[b'a'; 500]).unwrap());
        let origin = of(None, &headers, &[]);
        assert_eq!((origin.address, origin.user_agent.unwrap().len()), (None, USER_AGENT_CHARS_MAX));
        headers.insert(header::USER_AGENT, HeaderValue::from_static(""));
        assert_eq!(of(None, &headers, &[]), Origin::default());
    }
}
