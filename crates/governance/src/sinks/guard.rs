//! Which addresses a sink may reach. Whoever manages only a workspace reaches public ones; whoever manages the installation may
//! name collectors in its own network. What a name means is looked at when the connection is made, not before.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use plasma_kernel::{Error, Result};
use reqwest::{
    dns::{Addrs, Name, Resolve, Resolving},
    redirect,
};
use url::{Host, Url};

/// How long a connection may take to be made.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long an answer may take.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
const URL_BYTES_MAX: usize = 2_000;

/// The clients with which sinks send.
pub(crate) struct Outbound {
    public: reqwest::Client,
    any: reqwest::Client,
}

impl Outbound {
    pub(crate) fn new() -> Result<Self> {
        let builder = || {
            reqwest::Client::builder()
                .connect_timeout(CONNECT_TIMEOUT)
                .timeout(ANSWER_TIMEOUT)
                // An answer must not send a secret elsewhere, nor to an address that was not checked.
                .redirect(redirect::Policy::none())
                .user_agent(concat!("plasma/", env!("CARGO_PKG_VERSION")))
        };
        let failed = |error| Error::from_source("the client of audit sinks cannot be made", error);
        Ok(Self {
            public: builder().dns_resolver(Arc::new(PublicOnly)).build().map_err(failed)?,
            any: builder().build().map_err(failed)?,
        })
    }

    /// The client for a sink that may or may not reach private networks.
    pub(super) fn client(&self, private_network: bool) -> &reqwest::Client {
        if private_network { &self.any } else { &self.public }
    }
}

/// Finds public addresses of names and no others.
struct PublicOnly;

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = resolve(name.as_str(), 0, false).await?;
            let addresses: Addrs = Box::new(found.into_iter());
            Ok::<Addrs, Box<dyn std::error::Error + Send + Sync>>(addresses)
        })
    }
}

/// The addresses of a host that may be reached.
///
/// # Errors
/// `upstream` when there are none.
pub(super) async fn resolve(host: &str, port: u16, private_network: bool) -> Result<Vec<SocketAddr>> {
    let found = tokio::net::lookup_host((host, port)).await.map_err(|error| {
        Error::new(plasma_kernel::Code::Upstream, "sink_unreachable", format!("the name {host} cannot be resolved"))
            .source(error)
    })?;
    let allowed: Vec<SocketAddr> = found.filter(|address| private_network || is_public(address.ip())).collect();
    if allowed.is_empty() {
        return Err(not_public(host));
    }
    Ok(allowed)
}

fn not_public(host: &str) -> Error {
    Error::new(
        plasma_kernel::Code::Upstream,
        "sink_address_private",
        format!("{host} is not at a public address of the internet"),
    )
    .remedy("let whoever manages the installation make a sink in its own network")
}

/// Checks an address that somebody entered: HTTPS, or HTTP for those who may reach private networks.
///
/// # Errors
/// `invalid` naming `field`.
pub(super) fn check_url(field: &str, text: &str, private_network: bool) -> Result<Url> {
    let wrong = |what: &str| Err(Error::invalid(field, what));
    if text.len() > URL_BYTES_MAX {
        return wrong("is longer than 2,000 bytes");
    }
    let Ok(url) = Url::parse(text) else { return wrong("is not a URL") };
    match url.scheme() {
        "https" => {}
        "http" if private_network => {}
        _ => return wrong("must start with https://"),
    }
    if !url.username().is_empty() || url.password().is_some() {
        return wrong("must not hold a user or a password; put the secret into `secret`");
    }
    if url.fragment().is_some() {
        return wrong("must not have a fragment");
    }
    let literal = match url.host() {
        Some(Host::Ipv4(address)) => Some(IpAddr::V4(address)),
        Some(Host::Ipv6(address)) => Some(IpAddr::V6(address)),
        Some(Host::Domain(_)) => None,
        None => return wrong("must name a host"),
    };
    if literal.is_some_and(|address| !private_network && !is_public(address)) {
        return Err(not_public(text).field(field));
    }
    Ok(url)
}

/// Whether an address is one of the public internet: no machine of a private network, none that means this one.
pub(super) fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [first, second, third, _] = address.octets();
    let is_special = address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_broadcast()
        || address.is_documentation()
        || address.is_multicast()
        // "This network", carriers' networks (RFC 6598), protocol assignments, benchmarks (RFC 2544), and what is reserved.
        || first == 0
        || (first == 100 && (64..128).contains(&second))
        || (first == 192 && second == 0 && third == 0)
        || (first == 198 && (18..20).contains(&second))
        || first >= 240;
    !is_special
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    let embedded = match segments {
        // Mapped and compatible addresses, and those that a translator makes (RFC 6052).
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => Some((high, low)),
        // 6to4 (RFC 3056).
        [0x2002, high, low, ..] => Some((high, low)),
        _ => None,
    };
    if let Some((high, low)) = embedded {
        let [a, b] = high.to_be_bytes();
        let [c, d] = low.to_be_bytes();
        return is_public_v4(Ipv4Addr::new(a, b, c, d));
    }
    let [first, second, ..] = segments;
    // Only global unicast is public; of it not Teredo, documentation, and what is assigned to protocols.
    first & 0xe000 == 0x2000 && !(first == 0x2001 && (second < 0x200 || second == 0xdb8)) && first != 0x3fff
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn private_addresses_are_known_in_every_disguise() {
        for private in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "198.18.0.1",
            "192.0.0.8",
            "203.0.113.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "64:ff9b::a00:1",
            "2002:7f00:1::",
            "fc00::1",
            "fe80::1",
            "ff02::1",
            "2001:db8::1",
            "2001::1",
            "3fff::1",
        ] {
            assert!(!is_public(private.parse().unwrap()), "{private}");
        }
        for public in ["1.1.1.1", "203.0.114.1", "100.128.0.1", "2606:4700::1111", "64:ff9b::101:101", "2001:200::1"] {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
    }

    #[test]
    fn addresses_are_checked_when_they_are_entered() {
        let reason = |text: &str, private| check_url("url", text, private).map_err(|error| error.reason()).err();
        assert_eq!(reason("https://hooks.example.com/a?b=c", false), None);
        assert_eq!(reason("https://10.0.0.1/", false), Some("sink_address_private"));
        assert_eq!(reason("https://[::1]/", false), Some("sink_address_private"));
        assert_eq!(reason("https://2130706433/", false), Some("sink_address_private"));
        assert_eq!(reason("http://10.0.0.1/", true), None);
        for wrong in ["http://example.com", "ftp://example.com", "https://u:p@example.com", "https://e.com/#a", "x"] {
            assert_eq!(reason(wrong, false), Some("invalid"), "{wrong}");
        }
    }

    #[tokio::test]
    async fn names_of_this_machine_are_not_public() {
        assert_eq!(resolve("localhost", 80, false).await.unwrap_err().reason(), "sink_address_private");
        assert!(!resolve("localhost", 80, true).await.unwrap().is_empty());
    }
}
