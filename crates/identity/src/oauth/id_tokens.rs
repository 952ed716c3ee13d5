//! ID tokens (OpenID Connect Core, section 2): who the person is, signed for one application.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL};
use plasma_kernel::{ApplicationId, Error, Method, Methods, Result, TenantId, Timestamp, UserId};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::signing_keys::{ALGORITHM, SigningKey};
use crate::Secret;

/// An ID token is read once, when the person comes back: an hour forgives slow clocks.
const LIFETIME_SECONDS: i64 = 3_600;

/// What an ID token says.
pub(crate) struct Claims<'a> {
    pub(crate) issuer: &'a str,
    pub(crate) user: UserId,
    pub(crate) tenant: TenantId,
    pub(crate) application: ApplicationId,
    pub(crate) now: Timestamp,
    /// When and how the person proved who they are.
    pub(crate) authenticated_at: Option<Timestamp>,
    pub(crate) methods: Methods,
    pub(crate) nonce: Option<&'a str>,
    pub(crate) access_token: &'a Secret,
    /// With the scope `profile`.
    pub(crate) name: Option<&'a str>,
    /// With the scope `email`.
    pub(crate) email: Option<&'a str>,
}

pub(crate) fn sign(key: &SigningKey, claims: &Claims<'_>) -> Result<String> {
    let header = json!({ "alg": ALGORITHM, "typ": "JWT", "kid": key.id });
    let signed = format!("{}.{}", encoded(&header)?, encoded(&Value::Object(members(claims)))?);
    let signature = key.sign(signed.as_bytes())?;
    Ok(format!("{signed}.{}", BASE64URL.encode(signature)))
}

fn encoded(value: &Value) -> Result<String> {
    let text = serde_json::to_vec(value).map_err(|error| Error::from_source("an ID token is no JSON", error))?;
    Ok(BASE64URL.encode(text))
}

fn members(claims: &Claims<'_>) -> Map<String, Value> {
    let issued_at = seconds(claims.now);
    let mut members = Map::new();
    let mut set = |name: &str, value: Value| drop(members.insert(name.to_owned(), value));
    set("iss", json!(claims.issuer));
    set("sub", json!(claims.user));
    set("aud", json!(claims.application));
    set("iat", json!(issued_at));
    set("exp", json!(issued_at + LIFETIME_SECONDS));
    set("at_hash", json!(half_of_hash(claims.access_token.expose())));
    set("tenant", json!(claims.tenant));
    if let Some(authenticated_at) = claims.authenticated_at {
        set("auth_time", json!(seconds(authenticated_at)));
    }
    let methods: Vec<&str> = claims.methods.iter().map(reference).collect();
    if !methods.is_empty() {
        set("amr", json!(methods));
    }
    for (name, value) in [("nonce", claims.nonce), ("name", claims.name), ("email", claims.email)] {
        if let Some(value) = value {
            set(name, json!(value));
        }
    }
    members
}

fn seconds(at: Timestamp) -> i64 {
    at.div_euclid(1_000_000)
}

/// The first half of the token's hash: it ties the access token to the ID token.
fn half_of_hash(access_token: &str) -> String {
    let hash = Sha256::digest(access_token.as_bytes());
    let half: Vec<u8> = hash.iter().take(16).copied().collect();
    BASE64URL.encode(half)
}

/// The names of RFC 8176, where it has one.
fn reference(method: Method) -> &'static str {
    match method {
        Method::Password => "pwd",
        Method::Totp | Method::RecoveryCode => "otp",
        Method::Passkey => "hwk",
        Method::MagicLink => "email",
        Method::SingleSignOn => "fed",
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_claims_are_those_of_the_specification() {
        let token = Secret::new("jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y");
        let claims = Claims {
            issuer: "https://plasma.example",
            user: UserId::from_bits(1),
            tenant: TenantId::from_bits(2),
            application: ApplicationId::from_bits(3),
            now: 1_800_000_000_999_999,
            authenticated_at: Some(1_799_999_999_000_000),
            methods: [Method::Password, Method::Totp].into_iter().collect(),
            nonce: Some("n"),
            access_token: &token,
            name: None,
            email: Some("ada@example.org"),
        };
        assert_eq!(
            Value::Object(members(&claims)),
            json!({
                "iss": "https://plasma.example", "sub": UserId::from_bits(1), "aud": ApplicationId::from_bits(3),
                "iat": 1_800_000_000, "exp": 1_800_003_600, "auth_time": 1_799_999_999, "amr": ["pwd", "otp"], "nonce": "n",
                // OpenID Connect Core, appendix A.3.
                "at_hash": "77QmUPtjPfzWtF2AnpK9RQ", "tenant": TenantId::from_bits(2), "email": "ada@example.org"
            })
        );
    }
}
