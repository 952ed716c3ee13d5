//! Tokens and cookies in headers, and the defense against forged requests from other sites.

use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use plasma_kernel::{Error, Result, Timestamp};

use crate::{Identity, Secret, links::LINK_MICROS};

/// The cookie that holds a session's token for the dashboard.
pub const SESSION_COOKIE: &str = "plasma_session";

/// The cookie that binds a mailed link to the browser that asked for it. Only the routes that need it get to see it.
const BROWSER_COOKIE: &str = "plasma_login_browser";
const BROWSER_COOKIE_PATH: &str = "/api/v1/auth";

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");
const X_GOOG_API_KEY: HeaderName = HeaderName::from_static("x-goog-api-key");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

impl Identity {
    /// The token of a request, and whether the browser sent it by itself as a cookie: only then [`csrf_ok`] matters.
    /// `Authorization: Bearer` comes first, then the headers in which Anthropic's and Google's clients send a key; another
    /// scheme there (a proxy's own) does not hide the cookie.
    pub fn token_from_headers(headers: &HeaderMap) -> Option<(&str, bool)> {
        match bearer(headers).or_else(|| clients_key(headers)) {
            Some(token) => Some((token, false)),
            None => cookie(headers, SESSION_COOKIE).map(|token| (token, true)),
        }
    }

    /// `Set-Cookie` for a session that ends at `expires_at`.
    pub(crate) fn session_cookie(
        &self,
        headers: &HeaderMap,
        token: &Secret,
        expires_at: Timestamp,
    ) -> Result<HeaderValue> {
        let max_age_seconds = (expires_at - self.inner.clock.now()).max(0) / 1_000_000;
        self.cookie(headers, SESSION_COOKIE, token.expose(), "/", max_age_seconds)
    }

    /// `Set-Cookie` that removes the session's cookie.
    pub(crate) fn no_session_cookie(&self, headers: &HeaderMap) -> Result<HeaderValue> {
        self.cookie(headers, SESSION_COOKIE, "", "/", 0)
    }

    /// `Set-Cookie` for the browser that asked for a link.
    pub(crate) fn browser_cookie(&self, headers: &HeaderMap, value: &Secret) -> Result<HeaderValue> {
        self.cookie(headers, BROWSER_COOKIE, value.expose(), BROWSER_COOKIE_PATH, LINK_MICROS / 1_000_000)
    }

    fn cookie(
        &self,
        headers: &HeaderMap,
        name: &str,
        value: &str,
        path: &str,
        max_age_seconds: i64,
    ) -> Result<HeaderValue> {
        let is_secure = self.inner.config.secure_cookies
            || by_https(headers)
            || self.inner.config.public_url.as_ref().is_some_and(|url| url.scheme() == "https");
        let secure = if is_secure { "; Secure" } else { "" };
        let cookie =
            format!("{name}={value}; HttpOnly; SameSite=Strict; Path={path}; Max-Age={max_age_seconds}{secure}");
        let mut cookie = HeaderValue::try_from(cookie)
            .map_err(|error| Error::from_source("a session token does not fit into a cookie", error))?;
        cookie.set_sensitive(true);
        Ok(cookie)
    }
}

/// Whether a proxy in front says that the browser speaks HTTPS with it.
pub(crate) fn by_https(headers: &HeaderMap) -> bool {
    text(headers, &X_FORWARDED_PROTO)
        .and_then(|protocols| protocols.split(',').next())
        .is_some_and(|protocol| protocol.trim().eq_ignore_ascii_case("https"))
}

/// What the browser keeps of an earlier request for a link.
pub(crate) fn browser_of(headers: &HeaderMap) -> Option<&str> {
    cookie(headers, BROWSER_COOKIE)
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = text(headers, &header::AUTHORIZATION)?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Only what looks like one of our keys: the headers may be meant for somebody else.
fn clients_key(headers: &HeaderMap) -> Option<&str> {
    [X_API_KEY, X_GOOG_API_KEY].iter().find_map(|name| text(headers, name).filter(|key| key.starts_with("plk_")))
}

fn cookie<'a>(headers: &'a HeaderMap, wanted: &str) -> Option<&'a str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(name, value)| *name == wanted && !value.is_empty())
        .map(|(_, value)| value)
}

/// Whether a request that a cookie authenticates may pass: one that changes nothing, or one from our own pages.
pub fn csrf_ok(method: &Method, headers: &HeaderMap) -> bool {
    method.is_safe() || same_origin(headers)
}

/// Whether the browser says that our own page (or the person, by the address bar) made this request: by `Sec-Fetch-Site`,
/// which pages cannot set, or in old browsers by an `Origin` whose host is the request's own. WebSockets need this check
/// too, although they begin with a GET.
pub fn same_origin(headers: &HeaderMap) -> bool {
    match headers.get(SEC_FETCH_SITE) {
        Some(site) => matches!(site.as_bytes(), b"same-origin" | b"none"),
        None => match (text(headers, &header::ORIGIN).and_then(host_of_origin), text(headers, &header::HOST)) {
            (Some(origin), Some(host)) => origin.eq_ignore_ascii_case(host),
            _ => false,
        },
    }
}

/// `https://plasma.example:8443` -> `plasma.example:8443`. `null` (a sandboxed page) has no host.
fn host_of_origin(origin: &str) -> Option<&str> {
    origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        headers
    }

    fn token(pairs: &[(&'static str, &'static str)]) -> Option<(String, bool)> {
        Identity::token_from_headers(&headers(pairs)).map(|(token, from_cookie)| (token.to_owned(), from_cookie))
    }

    #[test]
    fn the_token_comes_from_the_header_or_the_cookie() {
        assert_eq!(token(&[("authorization", "Bearer plk_a")]), Some(("plk_a".into(), false)));
        assert_eq!(token(&[("authorization", "bearer  plk_a ")]), Some(("plk_a".into(), false)));
        assert_eq!(token(&[("cookie", "a=b; plasma_session=pls_a; c=d")]), Some(("pls_a".into(), true)));
        assert_eq!(token(&[("cookie", "a=b"), ("cookie", "plasma_session=pls_a")]), Some(("pls_a".into(), true)));
        let both = [("authorization", "Bearer plk_a"), ("cookie", "plasma_session=pls_a")];
        assert_eq!(token(&both), Some(("plk_a".into(), false)));
        assert_eq!(token(&[("x-api-key", "plk_a")]), Some(("plk_a".into(), false)));
        assert_eq!(
            token(&[("x-goog-api-key", "plk_a"), ("cookie", "plasma_session=pls_a")]),
            Some(("plk_a".into(), false))
        );
        assert_eq!(token(&[("x-api-key", "other"), ("cookie", "plasma_session=pls_a")]), Some(("pls_a".into(), true)));
        let proxy = [("authorization", "Basic dTpw"), ("cookie", "plasma_session=pls_a")];
        assert_eq!(token(&proxy), Some(("pls_a".into(), true)));
        assert_eq!(token(&[("cookie", "plasma_session="), ("authorization", "Bearer")]), None);
        assert_eq!(token(&[("cookie", "xplasma_session=pls_a")]), None);
        assert_eq!(token(&[]), None);
    }

    #[test]
    fn only_our_own_pages_change_something_by_cookie() {
        let post = |pairs: &[(&'static str, &'static str)]| csrf_ok(&Method::POST, &headers(pairs));
        assert!(csrf_ok(&Method::GET, &headers(&[("sec-fetch-site", "cross-site")])));
        assert!(post(&[("sec-fetch-site", "same-origin")]));
        assert!(post(&[("sec-fetch-site", "none")]));
        assert!(!post(&[("sec-fetch-site", "same-site")]));
        assert!(!post(&[("sec-fetch-site", "cross-site")]));
        // The newer header decides: a matching Origin does not overrule it.
        let contradiction =
            [("sec-fetch-site", "cross-site"), ("origin", "https://plasma.example"), ("host", "plasma.example")];
        assert!(!post(&contradiction));
    }

    #[test]
    fn old_browsers_are_judged_by_their_origin() {
        let delete = |origin: &'static str, host: &'static str| {
            csrf_ok(&Method::DELETE, &headers(&[("origin", origin), ("host", host)]))
        };
        assert!(delete("https://plasma.example", "plasma.example"));
        assert!(delete("http://127.0.0.1:8080", "127.0.0.1:8080"));
        assert!(!delete("http://127.0.0.1:3000", "127.0.0.1:8080"));
        assert!(!delete("https://plasma.example.evil.example", "plasma.example"));
        assert!(!delete("null", "plasma.example"));
        assert!(!csrf_ok(&Method::DELETE, &headers(&[("origin", "https://plasma.example")])));
        assert!(!csrf_ok(&Method::DELETE, &headers(&[("host", "plasma.example")])));
        assert!(!csrf_ok(&Method::DELETE, &headers(&[])));
    }
}
