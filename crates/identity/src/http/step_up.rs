use std::sync::Arc;

use axum::{
    extract::State,
    http::{Extensions, HeaderMap, header},
    response::{IntoResponse as _, Response},
};
use plasma_http::{Caller, Json, Problem, ProblemBody};
use plasma_kernel::{Ctx, Error, Result, SessionId, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{login::PasskeyCeremony, visitor::origin_of};
use crate::{Identity, PasskeyAnswer, Proof, Secret};

/// With what you can prove that it is still you.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct StepUpOptions {
    /// You have a password.
    password: bool,
    /// You have an authenticator application.
    totp: bool,
    /// You have a passkey.
    passkey: bool,
}

/// A proof that it is still you: exactly one of the three.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct StepUp {
    /// Your password.
    #[schema(max_length = 200, format = "password")]
    password: Option<String>,
    /// A code of your authenticator application.
    #[schema(max_length = 64)]
    totp: Option<String>,
    /// The answer of one of your passkeys.
    passkey: Option<StepUpPasskey>,
}

/// A passkey's answer to a challenge.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct StepUpPasskey {
    /// The challenge's token.
    #[schema(max_length = 200)]
    ceremony: String,
    /// The credential, as `PublicKeyCredential.toJSON()` gives it.
    #[schema(value_type = Object)]
    credential: Value,
}

/// The session after the proof.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct SteppedUp {
    /// Its new token; the old one ends in a few seconds.
    token: String,
    /// The session; it is the same.
    session: SessionId,
    /// When it ends at the latest, in microseconds since 1970 UTC.
    expires_at: Timestamp,
}

impl StepUp {
    fn into_proof(self) -> Result<Proof> {
        match (self.password, self.totp, self.passkey) {
            (Some(password), None, None) => Ok(Proof::Password(Secret::new(password))),
            (None, Some(code), None) => Ok(Proof::Totp(code)),
            (None, None, Some(StepUpPasskey { ceremony, credential })) => {
                Ok(Proof::Passkey(PasskeyAnswer { ceremony, credential }))
            }
            _ => Err(Error::invalid("body", "must hold exactly one of password, totp and passkey")),
        }
    }
}

/// The caller's context with where the request comes from, to throttle by, if the edge has not put it there.
fn coming_from(ctx: Ctx, extensions: &Extensions, headers: &HeaderMap) -> Ctx {
    if ctx.origin().is_some() {
        return ctx;
    }
    ctx.with_origin(Arc::new(origin_of(extensions, headers)))
}

/// Tells with what you can prove that it is still you.
#[utoipa::path(
    get, path = "/api/v1/auth/step-up", tag = "Identity",
    responses(
        (status = 200, description = "Your ways", body = StepUpOptions),
        (status = "default", description = "What went wrong", body = ProblemBody, content_type = "application/problem+json")
    ),
    security(("bearer" = [])),
    extensions(("x-permission" = json!("authenticated")), ("x-while-suspended" = json!("owner")))
)]
pub(crate) async fn get_step_up(
    State(identity): State<Identity>,
    Caller(ctx): Caller,
) -> Result<Json<StepUpOptions>, Problem> {
    let methods = identity.step_up_methods(&ctx).await?;
    Ok(Json(StepUpOptions { password: methods.password, totp: methods.totp, passkey: methods.passkey }))
}

/// Gives a challenge for one of your passkeys.
#[utoipa::path(
    post, path = "/api/v1/auth/step-up/options", tag = "Identity",
    responses(
        (status = 200, description = "The challenge", body = PasskeyCeremony),
        (status = "default", description = "What went wrong", body = ProblemBody, content_type = "application/problem+json")
    ),
    security(("bearer" = [])),
    extensions(("x-permission" = json!("authenticated")), ("x-while-suspended" = json!("owner")))
)]
pub(crate) async fn begin_step_up(
    State(identity): State<Identity>,
    Caller(ctx): Caller,
    headers: HeaderMap,
) -> Result<Json<PasskeyCeremony>, Problem> {
    let base = identity.trusted_url(&headers)?;
    Ok(Json(identity.begin_step_up(&ctx, &base).await?.into()))
}

/// Proves that it is still you. Dangerous actions are open to this session for the next ten minutes.
///
/// The session gets a new token, in the body and as the cookie `plasma_session`.
#[utoipa::path(
    post, path = "/api/v1/auth/step-up", tag = "Identity",
    request_body = StepUp,
    responses(
        (status = 200, description = "The session, with a new token", body = SteppedUp),
        (status = "default", description = "What went wrong", body = ProblemBody, content_type = "application/problem+json")
    ),
    security(("bearer" = [])),
    extensions(("x-permission" = json!("authenticated")), ("x-while-suspended" = json!("owner")))
)]
pub(crate) async fn step_up(
    State(identity): State<Identity>,
    Caller(ctx): Caller,
    extensions: Extensions,
    headers: HeaderMap,
    Json(request): Json<StepUp>,
) -> Result<Response, Problem> {
    let proof = request.into_proof()?;
    let ctx = coming_from(ctx, &extensions, &headers);
    // A password or a code needs no address.
    let base = match &proof {
        Proof::Passkey(_) => identity.trusted_url(&headers)?,
        Proof::Password(_) | Proof::Totp(_) => identity.public_url(&headers),
    };
    let stepped_up = identity.step_up(&ctx, proof, &base).await?;
    let cookie = identity.session_cookie(&headers, &stepped_up.token, stepped_up.expires_at)?;
    let body = SteppedUp {
        token: stepped_up.token.expose().to_owned(),
        session: stepped_up.session,
        expires_at: stepped_up.expires_at,
    };
    Ok(([(header::SET_COOKIE, cookie)], Json(body)).into_response())
}
