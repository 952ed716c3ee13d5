//! Who asks before anybody is logged in, and under which address the dashboard is.

use std::{
    convert::Infallible,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use axum::{
    extract::{ConnectInfo, FromRequestParts},
    http::{Extensions, HeaderMap, header, request::Parts},
};
use plasma_kernel::{Ctx, Error, Origin, RequestId, Result};
use url::{Host, Url};

use super::headers::by_https;
use crate::{Identity, device::kept_user_agent};

/// Where the dashboard is when nothing else is known.
const LOCAL: &str = "http://localhost/";

/// Somebody who is not logged in, or whose login does not matter.
pub(crate) struct Visitor {
    /// A system context under the request's id.
    pub(crate) ctx: Ctx,
    /// Where they come from.
    pub(crate) origin: Origin,
}

impl FromRequestParts<Identity> for Visitor {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, identity: &Identity) -> Result<Self, Infallible> {
        let mut ctx = identity.system("login");
        if let Some(request) = parts.extensions.get::<RequestId>() {
            ctx = ctx.with_request(*request);
        }
        let origin = origin_of(&parts.extensions, &parts.headers);
        Ok(Self { ctx: ctx.with_origin(Arc::new(origin.clone())), origin })
    }
}

/// Where a request comes from: what the edge found out, or the connection's own address.
pub(crate) fn origin_of(extensions: &Extensions, headers: &HeaderMap) -> Origin {
    if let Some(origin) = extensions.get::<Arc<Origin>>() {
        return Origin::clone(origin);
    }
    let address = address_of(extensions);
    let user_agent = headers.get(header::USER_AGENT).and_then(|value| kept_user_agent(value.to_str().ok()?));
    Origin { address, user_agent }
}

/// The address that a request comes from: what the edge found out, or the connection's own.
pub(crate) fn address_of(extensions: &Extensions) -> Option<IpAddr> {
    match extensions.get::<Arc<Origin>>() {
        Some(origin) => origin.address,
        None => extensions.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| peer.ip()),
    }
}

impl Identity {
    /// The dashboard's address: the configured one, or in development what the request's `Host` says. Not for what leaves the
    /// request, such as a mail: for that there is [`Identity::trusted_url`].
    pub fn public_url(&self, headers: &HeaderMap) -> Url {
        match &self.inner.config.public_url {
            Some(url) => url.clone(),
            None => from_host(headers, self.inner.config.secure_cookies).unwrap_or_else(local),
        }
    }

    /// The dashboard's address for mails, passkeys and identity providers. A request cannot choose it: without a configured
    /// one, only names of this machine are taken from it. Else somebody could have a link to their own site sent to others.
    ///
    /// # Errors
    /// `unavailable` (`public_url_missing`).
    pub fn trusted_url(&self, headers: &HeaderMap) -> Result<Url> {
        let url = self.public_url(headers);
        if self.inner.config.public_url.is_some() || is_this_machine(&url) {
            return Ok(url);
        }
        Err(Error::unavailable("public_url_missing", "this installation does not know its own address")
            .remedy("let whoever runs it set public_url, as in PLASMA_PUBLIC_URL=https://plasma.example.com"))
    }
}

/// `is_secure` says that browsers see HTTPS whatever the headers say.
pub(super) fn from_host(headers: &HeaderMap, is_secure: bool) -> Option<Url> {
    let host = headers.get(header::HOST)?.to_str().ok()?;
    let scheme = if is_secure || by_https(headers) { "https" } else { "http" };
    let url = Url::parse(&format!("{scheme}://{host}/")).ok()?;
    // A host only: neither a login nor a path has crept in.
    let is_bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
    (is_bare && url.username().is_empty() && url.password().is_none()).then_some(url)
}

#[allow(clippy::expect_used)] // a constant
fn local() -> Url {
    Url::parse(LOCAL).expect("a URL")
}

fn is_this_machine(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => IpAddr::V4(address).is_loopback(),
        Some(Host::Ipv6(address)) => IpAddr::V6(address).is_loopback(),
        None => false,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn host(text: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(header::HOST, HeaderValue::from_static(text))])
    }

    #[test]
    fn only_names_of_this_machine_are_believed() {
        let trusted = |text| from_host(&host(text), false).filter(is_this_machine).map(|url| url.to_string());
        assert_eq!(trusted("localhost:8080").as_deref(), Some("http://localhost:8080/"));
        assert_eq!(trusted("127.0.0.1:8080").as_deref(), Some("http://127.0.0.1:8080/"));
        assert_eq!(trusted("[::1]:8080").as_deref(), Some("http://[::1]:8080/"));
        for foreign in [
            "evil.example",
            "localhost.evil.example",
            "192.0.2.1",
            "localhost@evil.example",
            "a/b",
            "x?localhost",
            "localhost#a",
            "",
        ] {
            assert_eq!(trusted(foreign), None, "{foreign:?}");
        }
    }

    #[test]
    fn an_address_is_as_browsers_see_it() {
        let shown = |is_secure| from_host(&host("plasma.example:8443"), is_secure).map(|url| url.to_string());
        assert_eq!(shown(false).as_deref(), Some("http://plasma.example:8443/"));
        assert_eq!(shown(true).as_deref(), Some("https://plasma.example:8443/"));
    }

    #[test]
    fn without_any_host_it_is_this_machine() {
        assert_eq!(from_host(&HeaderMap::new(), false), None);
        assert_eq!(local().as_str(), LOCAL);
    }

    #[test]
    fn the_edge_knows_better_where_a_request_comes_from() {
        let mut extensions = Extensions::new();
        extensions.insert(ConnectInfo(SocketAddr::from(([192, 0, 2, 1], 80))));
        let headers = HeaderMap::from_iter([(header::USER_AGENT, HeaderValue::from_static("curl/8"))]);
        let origin = origin_of(&extensions, &headers);
        assert_eq!(
            origin,
            Origin { address: Some(IpAddr::from([192, 0, 2, 1])), user_agent: Some("curl/8".to_owned()) }
        );
        let behind = Origin { address: Some(IpAddr::from([198, 51, 100, 7])), user_agent: None };
        extensions.insert(Arc::new(behind.clone()));
        assert_eq!(origin_of(&extensions, &headers), behind);
    }
}
