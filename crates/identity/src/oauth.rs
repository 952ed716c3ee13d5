//! The OAuth 2.1 authorization server: applications that act for people who allowed it, or for themselves.
//!
//! An authorization walks: `authorization.rs` (what is asked, what the person decides) -> `codes.rs` or `device.rs` ->
//! `issue.rs` (the tokens) -> `refresh.rs` (the next ones). A request with an access token walks the way of every other token:
//! `Identity::authenticate`.

mod applications;
mod authorization;
mod clients;
mod codes;
mod device;
mod form;
mod grants;
mod id_tokens;
mod issue;
mod limits;
mod metadata;
mod pkce;
mod redirect;
mod refresh;
mod scopes;
mod signing_keys;
mod steps;
mod tokens;
mod types;

use std::{sync::Arc, time::Duration};

use moka::sync::Cache;
use plasma_kernel::{Actor, ApplicationId, Code, Ctx, Error, Permissions, TenantId, UserId};
use tokio::sync::Mutex;

use crate::tokens::Fingerprint;

pub use applications::{OVERLAP_SECONDS_DEFAULT, OVERLAP_SECONDS_MAX};
#[cfg(fuzzing)]
pub(crate) use authorization::fuzz as fuzz_authorization;
pub use form::Form;
pub use metadata::{ServerMetadata, metadata};
pub use scopes::{Scopes, all_names as all_scope_names, in_words as scope_in_words};
pub use signing_keys::{Jwk, SigningKeyInfo};
pub use types::{
    Application, ApplicationChange, ApplicationKind, ApplicationSecret, ApplicationWithSecret, AuthorizationParameters,
    AuthorizationStep, COMMAND_LINE, ClientCredentials, DeviceAuthorization, DeviceRequest, Grant, Introspection,
    NewApplication, TokenAnswer, UserInfo,
};

pub(crate) use applications::name_of;
pub(crate) use refresh::successor_purpose;
pub(crate) use signing_keys::key_purpose;

/// An access token is good for an hour.
pub(crate) const ACCESS_TOKEN_MICROS: i64 = 3_600 * 1_000_000;
/// A refresh token that nobody uses ends after this time.
pub(crate) const REFRESH_TOKEN_MICROS: i64 = 30 * 24 * 3_600 * 1_000_000;
/// However often it is renewed, an authorization ends after a year.
pub(crate) const FAMILY_MICROS: i64 = 365 * 24 * 3_600 * 1_000_000;
/// A code is exchanged at once.
pub(crate) const CODE_MICROS: i64 = 60 * 1_000_000;
/// A refresh token that comes again within this time gets the same successor: two requests of one honest client, or an
/// answer that was lost. Later it is taken for theft.
pub(crate) const GRACE_MICROS: i64 = 30 * 1_000_000;
/// Tokens whose next turn is being made in this process, at most.
const TURNS_MAX: u64 = 10_000;

/// What the authorization server keeps in memory.
pub(crate) struct OAuth {
    keys: signing_keys::KeyCache,
    limits: limits::Limits,
    /// One refresh of a token at a time in this process; the others find what it made, without waiting inside the database.
    turns: Cache<Fingerprint, Arc<Mutex<()>>>,
}

impl OAuth {
    pub(crate) fn new() -> Self {
        let turns = Cache::builder().max_capacity(TURNS_MAX).time_to_idle(Duration::from_secs(60)).build();
        Self { keys: signing_keys::KeyCache::new(), limits: limits::Limits::new(), turns }
    }
}

/// The application acts in the tenant, and the log says so. It reads and writes only what its verb is for.
fn acting_as(ctx: &Ctx, tenant: TenantId, application: ApplicationId, user: Option<UserId>) -> Ctx {
    let actor = Actor::Application { id: application, user };
    let acting = Ctx::new(tenant, actor, Permissions::none(), ctx.clock().clone(), ctx.random().clone());
    match ctx.origin() {
        Some(origin) => acting.with_origin(Arc::new(origin.clone())),
        None => acting,
    }
    .with_request(ctx.request())
}

fn invalid_request(field: &str, what: impl Into<String>) -> Error {
    Error::new(Code::Invalid, "invalid_request", what).field(field)
}

/// One answer for everything that may be wrong with a code or a token: it tells a thief nothing.
fn invalid_grant() -> Error {
    Error::new(
        Code::Invalid,
        "invalid_grant",
        "the code or token is unknown, used, expired or revoked, or belongs to another application",
    )
    .remedy("let the person authorize the application again")
}

fn unauthorized_client(what: impl Into<String>) -> Error {
    Error::new(Code::Invalid, "unauthorized_client", what)
}

/// What comes from outside, for the fuzzer: a header `Authorization`, a line break, and a form.
#[cfg(fuzzing)]
pub(crate) fn fuzz(bytes: &[u8]) {
    let split = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
    let (header, body) = bytes.split_at(split);
    let Ok(form) = Form::parse(body.get(1..).unwrap_or_default()) else { return };
    let _ = ClientCredentials::read(std::str::from_utf8(header).ok(), &form);
    let get = |name: &str| form.get(name).unwrap_or_default();
    if let Ok(scopes) = Scopes::parse(get("scope")) {
        assert_eq!(Scopes::parse(&scopes.to_text()).ok(), Some(scopes), "two forms of one scope");
    }
    let _ = pkce::check_challenge(form.get("code_challenge"), form.get("code_challenge_method"));
    assert!(!pkce::is_proven(get("code_challenge"), get("code_challenge")), "a challenge that proves itself");
    let (registered, requested) = (get("registered"), get("redirect_uri"));
    if redirect::check_registered("redirect_uri", registered, ApplicationKind::Public).is_ok() {
        let scheme = registered.split(':').next().unwrap_or_default().to_ascii_lowercase();
        assert!(matches!(scheme.as_str(), "http" | "https") || scheme.contains('.'), "an address that runs scripts");
        if redirect::matches(registered, requested) && registered != requested {
            assert!(requested.starts_with("http://127.0.0.1") || requested.starts_with("http://[::1]"), "another host");
        }
        assert!(url::Url::parse(&redirect::with_answer(registered, &[("code", requested)])).is_ok());
    }
    if let Some(code) = device::plain(get("user_code")) {
        assert_eq!(code.len(), 8);
    }
}
