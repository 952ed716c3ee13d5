//! Calls to addresses that users of the installation choose: identity providers.
//!
//! [`check`] says which addresses may be called at all and [`client`] makes the client that calls them. Everything in this crate
//! that goes out passes through these two, and by them through the guard of [`plasma_http::outbound`].

use std::time::Duration;

use plasma_http::outbound::{Outbound, OutboundClient};
use plasma_kernel::{Code, Error, Result};
use url::{Host, Url};

/// From the first byte that is sent to the last that comes.
const TIMEOUT: Duration = Duration::from_secs(10);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Connections that are kept open to one provider while nothing happens.
const IDLE_CONNECTIONS_MAX: usize = 4;

/// A client that calls what the guard lets through, follows no redirects and gives up after ten seconds.
///
/// # Errors
/// `internal` when it cannot be made.
pub(crate) fn client(guard: &Outbound) -> Result<OutboundClient> {
    let builder = reqwest::Client::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(TIMEOUT)
        .pool_max_idle_per_host(IDLE_CONNECTIONS_MAX)
        .user_agent(concat!("plasma/", env!("CARGO_PKG_VERSION")));
    // A redirect would carry a client's secret or a token to an address that nobody checked.
    guard.client(builder, 0)
}

/// Whether an address may be one of a provider, as far as its form tells. Whether it leads into this machine's own network is the
/// guard's to say.
///
/// # Errors
/// `invalid` (`outbound_address_refused`), with what is wrong in words.
pub(crate) fn check(url: &Url) -> Result<()> {
    if !url.username().is_empty() || url.password().is_some() {
        return Err(refused("an address that holds credentials is not called"));
    }
    match url.scheme() {
        "https" => Ok(()),
        "http" if is_this_machine(url) => Ok(()),
        "http" => {
            Err(refused("an identity provider is reached by https:// only, for what comes by http:// can be forged"))
        }
        _ => Err(refused("an address of an identity provider begins with https://")),
    }
}

/// `http://` is for providers on the machine of a developer.
fn is_this_machine(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        None => false,
    }
}

fn refused(what: &str) -> Error {
    Error::new(Code::Invalid, "outbound_address_refused", what).remedy("use the provider's own https:// address")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn is_allowed(url: &str) -> bool {
        check(&Url::parse(url).unwrap()).is_ok()
    }

    #[test]
    fn only_secure_addresses_are_called() {
        assert!(is_allowed("https://login.example.org/a"));
        assert!(is_allowed("http://127.0.0.1:4000/"));
        assert!(is_allowed("http://[::1]:4000/"));
        assert!(is_allowed("http://localhost:4000/"));
        for url in [
            "http://login.example.org/",
            "http://10.0.0.1/",
            "http://localhost.example.org/",
            "ftp://login.example.org/",
            "file:///etc/passwd",
            "https://user:password@login.example.org/",
        ] {
            assert!(!is_allowed(url), "{url}");
        }
    }
}
