use axum::{
    extract::State,
    http::{Extensions, HeaderMap, HeaderName, StatusCode, header},
};
use plasma_http::{Caller, Json, Problem, ProblemBody};
use plasma_kernel::Timestamp;
use serde::{Deserialize, Serialize};

use super::{issuer, stranger};
use crate::{
    Identity,
    oauth::{Jwk, ServerMetadata, metadata},
};

type Kept = [(HeaderName, &'static str); 1];

/// Everybody may keep it for ten minutes.
fn kept() -> Kept {
    [(header::CACHE_CONTROL, "public, max-age=600")]
}

/// The public keys of ID tokens (RFC 7517).
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct JwkSet {
    /// What signed lately, what signs, and what will sign.
    keys: Vec<Jwk>,
}

/// Which key to make.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RotateSigningKeys {
    /// True: the new key signs now and all others are taken away, because one was stolen. ID tokens that they signed are refused
    /// from then on. Absent: it signs in an hour, and the others go on being shown for a week.
    #[serde(default)]
    at_once: bool,
}

/// A key that was just made.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct NewSigningKey {
    /// Its id: `kid` in the headers of ID tokens.
    id: String,
    /// From when on it signs, in microseconds since 1970 UTC.
    signs_from: Timestamp,
}

/// Describes the authorization server, for clients of OpenID Connect.
#[utoipa::path(
    get, path = "/.well-known/openid-configuration", tag = "OAuth",
    responses(
        (status = 200, description = "Its endpoints and what it can do", body = ServerMetadata),
        (status = "default", description = "What went wrong", body = ProblemBody, content_type = "application/problem+json")
    ),
    extensions(("x-permission" = json!("none")))
)]
pub(crate) async fn get_openid_configuration(
    State(identity): State<Identity>,
    headers: HeaderMap,
) -> (Kept, Json<ServerMetadata>) {
    (kept(), Json(metadata(&issuer(&identity, &headers))))
}

/// Describes the authorization server, for clients of OAuth (RFC 8414).
#[utoipa::path(
    get, path = "/.well-known/oauth-authorization-server", tag = "OAuth",
    responses(
        (status = 200, description = "Its endpoints and what it can do", body = ServerMetadata),
        (status = "default", description = "What went wrong", body = ProblemBody, content_type = "application/problem+json")
    ),
    extensions(("x-permission" = json!("none")))
)]
pub(crate) async fn get_authorization_server(
    State(identity): State<Identity>,
    headers: HeaderMap,
) -> (Kept, Json<ServerMetadata>) {
    (kept(), Json(metadata(&issuer(&identity, &headers))))
}

/// Shows the public keys with which ID tokens are checked.
#[utoipa::path(
    get, path = "/oauth/jwks", tag = "OAuth",
    responses(
        (status = 200, description = "The keys", body = JwkSet),
        (status = "default", description = "What went wrong", body = ProblemBody, content_type = "application/problem+json")
    ),
    extensions(("x-permission" = json!("none")))
)]
pub(crate) async fn get_jwks(
    State(identity): State<Identity>,
    extensions: Extensions,
) -> Result<(Kept, Json<JwkSet>), Problem> {
    let keys = identity.jwks(&stranger(&identity, &extensions)).await?;
    Ok((kept(), Json(JwkSet { keys })))
}

/// Makes a new key that signs ID tokens. That happens every 90 days by itself.
#[utoipa::path(
    post, path = "/api/v1/oauth/signing-keys", tag = "OAuth",
    request_body = RotateSigningKeys,
    responses(
        (status = 201, description = "The new key", body = NewSigningKey),
        (status = "default", description = "What went wrong", body = ProblemBody, content_type = "application/problem+json")
    ),
    security(("bearer" = [])),
    extensions(("x-permission" = json!("installation:manage")))
)]
pub(crate) async fn rotate_signing_keys(
    State(identity): State<Identity>,
    Caller(ctx): Caller,
    Json(request): Json<RotateSigningKeys>,
) -> Result<(StatusCode, Json<NewSigningKey>), Problem> {
    let key = identity.rotate_signing_keys(&ctx, request.at_once).await?;
    Ok((StatusCode::CREATED, Json(NewSigningKey { id: key.id, signs_from: key.signs_from })))
}
