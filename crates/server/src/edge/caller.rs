//! Who calls, and whether a browser was tricked into calling.

use std::{net::IpAddr, sync::Arc};

use axum::{
    extract::Request,
    http::{HeaderMap, HeaderName, header},
};
use plasma_identity::{
    Authenticated, Identity,
    http::{csrf_ok, same_origin},
};
use plasma_kernel::{Code, Ctx, Error, Result};

use super::{Access, Arrival, Edge, access::WhileSuspended, target::Target};
use crate::listen::ServiceCertificate;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// What the caller showed; kept for `/api/v1/live`, which looks again later.
#[derive(Clone)]
pub(crate) enum Token {
    /// A token that came with the request.
    Text(String),
    /// The SPIFFE id in the connection's verified certificate.
    Service(Arc<str>),
}

impl Token {
    /// Who that is, now, at this address; also when it is refused and when their tenant is not open.
    pub(crate) async fn authenticate(&self, identity: &Identity, address: Option<IpAddr>) -> Result<Authenticated> {
        match self {
            Self::Text(token) => identity.authenticate_in_any_state(token, address).await,
            Self::Service(spiffe_id) => identity.authenticate_service(spiffe_id, address).await,
        }
    }
}

/// Somebody whose token is valid, and who may do what the request asks for.
pub(super) struct Known {
    pub(super) ctx: Ctx,
    /// How many requests the plan lets the caller's tenant make in a minute; `None` where it says nothing.
    pub(super) requests_per_minute: Option<u32>,
}

impl Edge {
    /// The caller with what they may do in this request, or `None` where none is needed and none valid was given. `who` is set as
    /// soon as it is known, also for somebody who is refused: the audit names them.
    pub(super) async fn caller(
        &self,
        arrival: &Arrival,
        who: &mut Option<Ctx>,
        request: &mut Request,
    ) -> Result<Option<Known>> {
        let access = arrival.operation.access;
        let presented = Identity::token_from_headers(request.headers());
        let by_itself = presented.is_none_or(|(_, from_cookie)| from_cookie);
        // Without a session too: nobody is to be logged in by another site. Programs send neither header.
        let by_browser = presented.is_some() || names_its_origin(request.headers());
        if by_itself && by_browser && !csrf_ok(request.method(), request.headers()) {
            return Err(cross_origin());
        }
        // Whoever sends a token means it, also over a service's connection.
        let token = match (presented, request.extensions().get::<ServiceCertificate>()) {
            (Some((token, _)), _) => Token::Text(token.to_owned()),
            (None, Some(certificate)) => Token::Service(Arc::clone(&certificate.0)),
            (None, None) => {
                return match access {
                    Access::Public | Access::Watch => Ok(None),
                    Access::Authenticated | Access::Permission(_) => Err(nobody()),
                };
            }
        };
        let mut caller = match (token.authenticate(&self.identity, arrival.origin.address).await, access) {
            (Ok(caller), _) => caller,
            // A session that has ended must not keep anybody from the login.
            (Err(_), Access::Public | Access::Watch) => return Ok(None),
            (Err(error), _) => return Err(error),
        };
        let open = caller.require_address().and_then(|()| match arrival.operation.while_suspended {
            WhileSuspended::Closed => caller.require_open(false),
            WhileSuspended::Owner => caller.require_open(true),
            WhileSuspended::Anyone => Ok(()),
        });
        let ctx = caller.ctx.with_request(arrival.id).with_origin(Arc::clone(&arrival.origin));
        let target = Target::of(request).await;
        let authorized = match open {
            Ok(()) => self.identity.authorize(ctx.clone(), &target.request(access, request.method())).await,
            Err(error) => Err(error),
        };
        let ctx = match (authorized, access) {
            (Ok(ctx), _) => ctx,
            // Nor must one that belongs to another network, or a workspace that is closed.
            (Err(_), Access::Public | Access::Watch) => return Ok(None),
            (Err(error), _) => {
                *who = Some(ctx);
                return Err(error);
            }
        };
        *who = Some(ctx.clone());
        request.extensions_mut().insert(token);
        Ok(Some(Known { ctx, requests_per_minute: caller.requests_per_minute }))
    }
}

fn names_its_origin(headers: &HeaderMap) -> bool {
    headers.contains_key(header::ORIGIN) || headers.contains_key(SEC_FETCH_SITE)
}

/// Refuses a WebSocket that a page of another site opened: it begins with a GET, which [`csrf_ok`] lets pass.
///
/// # Errors
/// `forbidden` (`cross_origin`).
pub(crate) fn check_websocket_origin(headers: &HeaderMap, token: &Token) -> Result<()> {
    let from_cookie = matches!(token, Token::Text(_))
        && Identity::token_from_headers(headers).is_none_or(|(_, from_cookie)| from_cookie);
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
