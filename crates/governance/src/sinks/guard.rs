//! Which addresses a sink may reach: for whoever manages only a workspace those of the installation's guard, which are public ones and
//! what the operator allows; whoever manages the installation may name collectors in its own network.

use std::time::Duration;

use plasma_http::outbound::{Outbound, OutboundClient};
use plasma_kernel::{Error, Result};
use reqwest::Client;
use url::Url;

/// How long a connection may take to be made.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long an answer may take.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
const URL_BYTES_MAX: usize = 2_000;

/// The clients with which sinks send.
pub(crate) struct Reach {
    guarded: OutboundClient,
    unguarded: OutboundClient,
}

impl Reach {
    pub(crate) fn new(guard: &Outbound) -> Result<Self> {
        let client = |guard: &Outbound| {
            let builder = Client::builder()
                .connect_timeout(CONNECT_TIMEOUT)
                .timeout(ANSWER_TIMEOUT)
                .user_agent(concat!("plasma/", env!("CARGO_PKG_VERSION")));
            // An answer must not send a secret elsewhere: no redirects.
            guard.client(builder, 0)
        };
        Ok(Self { guarded: client(guard)?, unguarded: client(&Outbound::unguarded())? })
    }

    /// The client for a sink that may or may not reach private networks.
    pub(super) fn client(&self, private_network: bool) -> &OutboundClient {
        if private_network { &self.unguarded } else { &self.guarded }
    }

    /// Checks an address that somebody entered: HTTPS, or HTTP for those who may reach private networks.
    ///
    /// # Errors
    /// `invalid` naming `field`, also (`outbound_address_refused`) for an address that may not be reached.
    pub(super) fn check_url(&self, field: &str, text: &str, private_network: bool) -> Result<Url> {
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
        let guard = self.client(private_network).guard();
        guard.check(&url).map_err(|refused| Error::from(refused).field(field))?;
        Ok(url)
    }

    /// Checks the name or the address of a machine, for protocols other than HTTP.
    ///
    /// # Errors
    /// As [`Reach::check_url`].
    pub(super) fn check_host(&self, field: &str, host: &str, private_network: bool) -> Result<()> {
        let is_name = !host.is_empty()
            && host.len() <= 253
            && host.chars().all(|letter| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '.' | ':' | '_'));
        let address = if host.contains(':') { format!("https://[{host}]/") } else { format!("https://{host}/") };
        let Some(url) = Url::parse(&address).ok().filter(|_| is_name) else {
            return Err(Error::invalid(field, "must be the name or the address of a machine"));
        };
        let guard = self.client(private_network).guard();
        guard.check(&url).map_err(|refused| Error::from(refused).field(field))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn reach() -> Reach {
        Reach::new(&Outbound::guarded(vec!["10.7.0.0/16".parse().unwrap()])).unwrap()
    }

    #[test]
    fn addresses_are_checked_when_they_are_entered() {
        let reach = reach();
        let reason = |text: &str, private| reach.check_url("url", text, private).map_err(|error| error.reason()).err();
        assert_eq!(reason("https://hooks.example.com/a?b=c", false), None);
        assert_eq!(reason("https://10.7.0.1/", false), None, "the operator allows it");
        for refused in ["https://10.0.0.1/", "https://[::1]/", "https://2130706433/", "https://localhost/"] {
            assert_eq!(reason(refused, false), Some("outbound_address_refused"), "{refused}");
            assert_eq!(reason(refused, true), None, "{refused}");
        }
        assert_eq!(reason("http://10.0.0.1/", true), None);
        for wrong in ["http://example.com", "ftp://example.com", "https://u:p@example.com", "https://e.com/#a", "x"] {
            assert_eq!(reason(wrong, false), Some("invalid"), "{wrong}");
        }
    }

    #[test]
    fn machines_are_checked_when_they_are_entered() {
        let reach = reach();
        let reason =
            |text: &str, private| reach.check_host("host", text, private).map_err(|error| error.reason()).err();
        for fine in ["logs.example.com", "1.1.1.1", "2606:4700::1111", "10.7.0.1"] {
            assert_eq!(reason(fine, false), None, "{fine}");
        }
        for refused in ["127.0.0.1", "::1", "localhost", "169.254.169.254"] {
            assert_eq!(reason(refused, false), Some("outbound_address_refused"), "{refused}");
            assert_eq!(reason(refused, true), None, "{refused}");
        }
        for wrong in ["", "a b", "a/b", "user@host", "1:2", "[::1]"] {
            assert_eq!(reason(wrong, true), Some("invalid"), "{wrong}");
        }
    }
}
