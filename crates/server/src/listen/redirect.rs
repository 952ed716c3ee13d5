//! The second listener: it sends browsers from http:// to https:// and shows an authority the proofs that it asks for.

use axum::{
    Router,
    extract::{Request, State},
    http::{Method, StatusCode, header, uri::Authority},
    response::{IntoResponse as _, Response},
};
use url::Url;

use super::acme::Tokens;

const CHALLENGE: &str = "/.well-known/acme-challenge/";
/// Tokens have some 40 characters.
const TOKEN_CHARS_MAX: usize = 200;

#[derive(Clone)]
struct Redirect {
    port: u16,
    /// The https:// address by which people know this program, for requests that name no host.
    public: Option<String>,
    tokens: Option<Tokens>,
}

/// Its only route. `port` is that of the https:// address where nothing is configured: `configured` goes before it, then that of
/// `public_url`. The host stays the one that was called, for workspaces have names of their own.
pub fn redirect(port: u16, configured: Option<u16>, public_url: Option<&Url>, tokens: Option<Tokens>) -> Router {
    let public_url = public_url.filter(|url| url.scheme() == "https");
    let port = configured.or_else(|| public_url?.port_or_known_default()).unwrap_or(port);
    let public = public_url.map(|url| url.origin().ascii_serialization());
    Router::new().fallback(answer).with_state(Redirect { port, public, tokens })
}

async fn answer(State(redirect): State<Redirect>, request: Request) -> Response {
    if let Some(token) = request.uri().path().strip_prefix(CHALLENGE) {
        let known = redirect.tokens.filter(|_| token.len() <= TOKEN_CHARS_MAX).and_then(|tokens| tokens.get(token));
        return match known {
            Some(proof) => ([(header::CONTENT_TYPE, "application/octet-stream")], proof).into_response(),
            None => StatusCode::NOT_FOUND.into_response(),
        };
    }
    // What was meant to be secret has been sent in the clear already; answering would teach the client to go on so.
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return (StatusCode::FORBIDDEN, "this address speaks only https").into_response();
    }
    let place = request.uri().path_and_query().map_or("/", |all| all.as_str());
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    let target = host.and_then(|host| target(host, redirect.port, place));
    match target.or_else(|| redirect.public.map(|public| format!("{public}{}", rooted(place)))) {
        Some(target) => (StatusCode::PERMANENT_REDIRECT, [(header::LOCATION, target)]).into_response(),
        None => (StatusCode::BAD_REQUEST, "the request does not name a host").into_response(),
    }
}

/// What may follow a host: a request may ask for `*`.
fn rooted(path_and_query: &str) -> &str {
    if path_and_query.starts_with('/') { path_and_query } else { "/" }
}

/// The same place by HTTPS; `None` when the host is none.
pub(super) fn target(host: &str, port: u16, path_and_query: &str) -> Option<String> {
    let authority: Authority = host.parse().ok()?;
    if authority.as_str().contains('@') || authority.host().is_empty() {
        return None;
    }
    let host = authority.host();
    let path_and_query = rooted(path_and_query);
    Some(if port == 443 {
        format!("https://{host}{path_and_query}")
    } else {
        format!("https://{host}:{port}{path_and_query}")
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use tower::ServiceExt as _;

    use super::*;

    #[tokio::test]
    async fn a_public_address_names_the_port_and_the_host_where_none_was_called() {
        let location = async |host: &str, configured: Option<u16>, public_url: &str| {
            let public_url = Url::parse(public_url).unwrap();
            let request = axum::http::Request::get("/x?y=1").header(header::HOST, host);
            let request = request.body(axum::body::Body::empty()).unwrap();
            let answer = redirect(8443, configured, Some(&public_url), None).oneshot(request).await.unwrap();
            answer.headers()[header::LOCATION].to_str().unwrap().to_owned()
        };
        assert_eq!(location("a.example", None, "https://plasma.example").await, "https://a.example/x?y=1");
        assert_eq!(location("a.example", Some(444), "https://plasma.example").await, "https://a.example:444/x?y=1");
        assert_eq!(location("a b", None, "https://plasma.example:444").await, "https://plasma.example:444/x?y=1");
        assert_eq!(location("a.example", None, "http://plasma.example").await, "https://a.example:8443/x?y=1");
    }

    #[test]
    fn the_same_place_by_https() {
        assert_eq!(target("a.example", 443, "/x?y=1").as_deref(), Some("https://a.example/x?y=1"));
        assert_eq!(target("a.example:8080", 8443, "/").as_deref(), Some("https://a.example:8443/"));
        assert_eq!(target("[::1]:80", 443, "*").as_deref(), Some("https://[::1]/"));
        for wrong in ["", "someone@a.example", "a.example/x", "a b", ":80"] {
            assert_eq!(target(wrong, 443, "/"), None, "{wrong}");
        }
    }
}
