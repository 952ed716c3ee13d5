//! Who calls, and whether a browser was tricked into calling.

use axum::{
    extract::Request,
    http::{HeaderMap, HeaderName, header},
};
use plasma_identity::{
    Identity,
    http::{csrf_ok, same_origin},
};
use plasma_kernel::{Code, Ctx, Error, Result};

use super::{Access, Edge};

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// The caller's token as it came with the request; kept for `/api/v1/live`, which looks again later.
#[derive(Clone)]
pub(crate) struct Token(pub(crate) String);

impl Edge {
    /// The caller's context, or `None` where none is needed and none valid was given. Whether they hold the permission is
    /// looked at afterwards, so that a refusal names them.
    pub(super) async fn caller(&self, access: Access, request: &mut Request) -> Result<Option<Ctx>> {
        let presented = Identity::token_from_headers(request.headers());
        let by_itself = presented.is_none_or(|(_, from_cookie)| from_cookie);
        // Without a session too: nobody is to be logged in by another site. Programs send neither header.
        let by_browser = presented.is_some() || names_its_origin(request.headers());
        if by_itself && by_browser && !csrf_ok(request.method(), request.headers()) {
            return Err(cross_origin());
        }
        let Some((token, _)) = presented else {
            return match access {
                Access::Public | Access::Watch => Ok(None),
                Access::Authenticated | Access::Permission(_) => Err(nobody()),
            };
        };
        let token = token.to_owned();
        let ctx = match (self.identity.authenticate(&token).await, access) {
            (Ok(authenticated), _) => authenticated.ctx,
            // A session that has ended must not keep anybody from the login.
            (Err(_), Access::Public | Access::Watch) => return Ok(None),
            (Err(error), _) => return Err(error),
        };
        request.extensions_mut().insert(Token(token));
        Ok(Some(ctx))
    }
}

fn names_its_origin(headers: &HeaderMap) -> bool {
    headers.contains_key(header::ORIGIN) || headers.contains_key(SEC_FETCH_SITE)
}

/// Refuses a WebSocket that a page of another site opened: it begins with a GET, which [`csrf_ok`] lets pass.
///
/// # Errors
/// `forbidden` (`cross_origin`).
pub(crate) fn check_websocket_origin(headers: &HeaderMap) -> Result<()> {
    let from_cookie = Identity::token_from_headers(headers).is_none_or(|(_, from_cookie)| from_cookie);
    if (from_cookie || names_its_origin(headers)) && !same_origin(headers) {
        return Err(cross_origin());
    }
    Ok(())
}

fn nobody() -> Error {
    Error::unauthenticated("this needs a login or an API key")
        .remedy("send `Authorization: Bearer plk_…`, or log in at /login")
}

fn cross_origin() -> Error {
    Error::new(Code::Forbidden, "cross_origin", "the request came from a page of another site")
        .remedy("use the dashboard at its own address; a proxy in front must pass the Host header on")
}
