//! Logout tokens: a provider says, from server to server, that somebody has logged out there.

use std::collections::HashMap;

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use openidconnect::{
    JsonWebKey as _,
    core::{CoreJsonWebKeySet, CoreJwsSigningAlgorithm},
};
use plasma_kernel::{Code, Error, Result, Timestamp};
use serde::Deserialize;

use super::{
    claims::{self, Claims},
    provider::{ALGORITHMS, Need, Provider, Providers},
    verify::{SKEW_SECONDS, SUBJECT_CHARS_MAX},
};

/// A logout token is obeyed for so long after it was made; its id is remembered for longer.
pub(crate) const LOGOUT_TOKEN_AGE_SECONDS: i64 = 5 * 60;
const LOGOUT_TOKEN_BYTES_MAX: usize = 16 << 10;
const KEYS_TRIED_MAX: usize = 20;
/// What a logout token is about (OpenID Connect Back-Channel Logout 1.0, section 2.4).
const LOGOUT_EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";

/// What a provider wants ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct LogoutToken {
    pub(crate) token_id: String,
    pub(crate) subject: Option<String>,
    pub(crate) provider_session: Option<String>,
}

/// A signed token, taken apart.
struct Jws<'a> {
    header: JwsHeader,
    signed: &'a str,
    signature: Vec<u8>,
    claims: Claims,
}

#[derive(Deserialize)]
struct JwsHeader {
    alg: CoreJwsSigningAlgorithm,
    kid: Option<String>,
    typ: Option<String>,
    #[serde(flatten)]
    others: HashMap<String, serde_json::Value>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Signed {
    Yes,
    No,
    ByAnUnknownKey,
}

impl<'a> Jws<'a> {
    fn parse(token: &'a str) -> Option<Self> {
        let (signed, signature) = token.rsplit_once('.')?;
        let (header, payload) = signed.split_once('.')?;
        let header: JwsHeader = serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(header).ok()?).ok()?;
        let claims = serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(payload).ok()?).ok()?;
        Some(Self { header, signed, signature: BASE64_URL_SAFE_NO_PAD.decode(signature).ok()?, claims })
    }

    fn signed_by(&self, keys: &CoreJsonWebKeySet) -> Signed {
        let mut named = keys
            .keys()
            .iter()
            .filter(|key| match &self.header.kid {
                Some(kid) => key.key_id().is_some_and(|id| id.as_str() == kid),
                None => true,
            })
            .take(KEYS_TRIED_MAX)
            .peekable();
        if named.peek().is_none() {
            return Signed::ByAnUnknownKey;
        }
        let is_signed =
            named.any(|key| key.verify_signature(&self.header.alg, self.signed.as_bytes(), &self.signature).is_ok());
        if is_signed { Signed::Yes } else { Signed::No }
    }
}

/// Verifies a logout token (OpenID Connect Back-Channel Logout 1.0, section 2.6).
///
/// # Errors
/// `invalid` (`logout_token_refused`), with what is wrong; `upstream` or `timeout` when the provider's keys cannot be had.
pub(crate) async fn logout_token(
    providers: &Providers,
    provider: &Provider,
    client_id: &str,
    token: &str,
    now: Timestamp,
) -> Result<LogoutToken> {
    let jws = acceptable(token)?;
    let mut signed = jws.signed_by(&*providers.keys(provider).await?);
    if signed == Signed::ByAnUnknownKey
        && let Some(newer) = providers.newer_keys(provider, Need::Logout).await?
    {
        signed = jws.signed_by(&newer);
    }
    if signed != Signed::Yes {
        return Err(logout_refused("the provider has not signed it"));
    }
    check_logout_claims(&jws.claims, &provider.issuer, client_id, now.div_euclid(1_000_000))
}

/// A token of the right form and kind, whoever signed it.
fn acceptable(token: &str) -> Result<Jws<'_>> {
    if token.len() > LOGOUT_TOKEN_BYTES_MAX {
        return Err(logout_refused("it is too large"));
    }
    let jws = Jws::parse(token).ok_or_else(|| logout_refused("it is no signed token"))?;
    if !ALGORITHMS.contains(&jws.header.alg) {
        return Err(logout_refused("its algorithm is not allowed"));
    }
    if jws.header.others.contains_key("crit") {
        return Err(logout_refused("it has critical headers, which are not known here"));
    }
    let kind = jws.header.typ.as_deref().map(str::to_ascii_lowercase);
    // Older providers call it a plain JWT.
    if !matches!(kind.as_deref(), None | Some("logout+jwt" | "application/logout+jwt" | "jwt")) {
        return Err(logout_refused("it is another kind of token"));
    }
    Ok(jws)
}

/// For fuzzing only: what is obeyed of a token, with the provider's keys at hand.
#[cfg(fuzzing)]
pub(super) fn obeyed(
    token: &str,
    keys: &CoreJsonWebKeySet,
    issuer: &str,
    client_id: &str,
    now_seconds: i64,
) -> Option<LogoutToken> {
    let jws = acceptable(token).ok().filter(|jws| jws.signed_by(keys) == Signed::Yes)?;
    check_logout_claims(&jws.claims, issuer, client_id, now_seconds).ok()
}

pub(super) fn check_logout_claims(
    claims: &Claims,
    issuer: &str,
    client_id: &str,
    now_seconds: i64,
) -> Result<LogoutToken> {
    if claims::text(claims, "iss") != Some(issuer) {
        return Err(logout_refused("its issuer is another one"));
    }
    if !claims::fits(claims, "aud", client_id) {
        return Err(logout_refused("it is meant for another application"));
    }
    let seconds = |claim: &str| claims.get(claim).and_then(serde_json::Value::as_f64).map(|seconds| seconds as i64);
    let made_at = seconds("iat").ok_or_else(|| logout_refused("it does not say when it was made"))?;
    if made_at > now_seconds + SKEW_SECONDS || made_at < now_seconds - LOGOUT_TOKEN_AGE_SECONDS - SKEW_SECONDS {
        return Err(logout_refused("it is too old, or from the future"));
    }
    if claims.contains_key("exp") && seconds("exp").is_none_or(|ends_at| ends_at <= now_seconds - SKEW_SECONDS) {
        return Err(logout_refused("it has expired"));
    }
    let is_logout =
        claims.get("events").and_then(|events| events.get(LOGOUT_EVENT)).is_some_and(serde_json::Value::is_object);
    if !is_logout {
        return Err(logout_refused("it is no logout token: it does not name the event"));
    }
    // An ID token must not pass for one.
    if claims.contains_key("nonce") {
        return Err(logout_refused("it has a nonce"));
    }
    let bounded = |claim: &str| {
        claims::text(claims, claim).filter(|text| text.chars().count() <= SUBJECT_CHARS_MAX).map(str::to_owned)
    };
    let token_id = bounded("jti").ok_or_else(|| logout_refused("it has no id (jti)"))?;
    let (subject, provider_session) = (bounded("sub"), bounded("sid"));
    if subject.is_none() && provider_session.is_none() {
        return Err(logout_refused("it names neither a person (sub) nor a session (sid)"));
    }
    Ok(LogoutToken { token_id, subject, provider_session })
}

pub(crate) fn logout_refused(what: &str) -> Error {
    Error::new(Code::Invalid, "logout_token_refused", format!("the logout token is refused: {what}"))
        .field("logout_token")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const NOW: i64 = 1_800_000_000;

    fn checked(change: impl FnOnce(&mut Claims)) -> Result<LogoutToken> {
        let claims = json!({
            "iss": "https://id.example.org", "aud": "plasma", "iat": NOW, "jti": "one", "sub": "ada", "sid": "s1",
            "events": { LOGOUT_EVENT: {} },
        });
        let Value::Object(mut claims) = claims else { return Err(Error::internal("no object")) };
        change(&mut claims);
        check_logout_claims(&claims, "https://id.example.org", "plasma", NOW)
    }

    fn set(name: &'static str, value: Value) -> impl FnOnce(&mut Claims) {
        move |claims| {
            claims.insert(name.to_owned(), value);
        }
    }

    fn without(name: &'static str) -> impl FnOnce(&mut Claims) {
        move |claims| {
            claims.remove(name);
        }
    }

    #[test]
    fn a_logout_token_names_whom_it_is_about() {
        let token = checked(|_| {}).unwrap();
        assert_eq!((token.subject.as_deref(), token.provider_session.as_deref()), (Some("ada"), Some("s1")));
        assert_eq!(checked(without("sub")).unwrap().subject, None);
        assert_eq!(checked(without("sid")).unwrap().provider_session, None);
        assert!(checked(set("aud", json!(["other", "plasma"]))).is_ok());
        assert!(checked(set("exp", json!(NOW + 100))).is_ok());
    }

    #[test]
    fn what_is_no_logout_token_for_us_is_refused() {
        let both = |claims: &mut Claims| {
            claims.remove("sub");
            claims.remove("sid");
        };
        assert!(checked(both).is_err());
        for name in ["iss", "aud", "iat", "jti", "events"] {
            assert!(checked(without(name)).is_err(), "without {name}");
        }
        for (name, value) in [
            ("iss", json!("https://evil.example.org")),
            ("aud", json!("other")),
            ("aud", json!([])),
            ("iat", json!(NOW + 600)),
            ("iat", json!(NOW - 600)),
            ("iat", json!("now")),
            ("exp", json!(NOW - 100)),
            ("exp", json!("later")),
            ("nonce", json!("n")),
            ("nonce", json!(null)),
            ("events", json!({ "http://schemas.openid.net/event/other": {} })),
            ("events", json!({ LOGOUT_EVENT: true })),
            ("events", json!([LOGOUT_EVENT])),
            ("jti", json!("a".repeat(300))),
        ] {
            assert!(checked(set(name, value.clone())).is_err(), "{name}: {value}");
        }
    }

    #[test]
    fn what_cannot_be_taken_apart_is_no_token() {
        for token in ["", ".", "..", "a.b.c", "e30.e30.", "eyJhbGciOiJYWVoifQ.e30.AA"] {
            assert!(Jws::parse(token).is_none(), "{token}");
        }
        // `none` is an algorithm that is known, and never allowed.
        assert!(Jws::parse("eyJhbGciOiJub25lIn0.e30.").is_some_and(|jws| !ALGORITHMS.contains(&jws.header.alg)));
    }
}
