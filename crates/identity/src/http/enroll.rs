use axum::{
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use plasma_http::{Json, Problem, ProblemBody};
use plasma_kernel::Result;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    auth::{LoginResponse, PendingLogin},
    login::{LoginCode, PasskeyCeremony},
    security::{TotpSetup, exposed},
    visitor::Visitor,
};
use crate::{Enrolled, Identity, LoginStep, PasskeyAnswer};

/// Which login needs a second factor to be set up.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct EnrollFactor {
    /// The token of the login that has begun.
    #[schema(max_length = 200)]
    pending_token: String,
}

/// A passkey that was made in the middle of a login.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct EnrollPasskey {
    /// The token of the login that has begun.
    #[schema(max_length = 200)]
    pending_token: String,
    /// What to call the passkey.
    #[schema(min_length = 1, max_length = 200, example = "My laptop")]
    name: String,
    /// The challenge's token.
    #[schema(max_length = 200)]
    ceremony: String,
    /// The credential, as `PublicKeyCredential.toJSON()` gives it.
    #[schema(value_type = Object)]
    credential: Value,
}

/// The end of a login in which a factor was set up.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct EnrolledLogin {
    /// The new session; null when another proof is needed.
    #[schema(required)]
    login: Option<LoginResponse>,
    /// What is needed; null when the session has begun.
    #[schema(required)]
    pending: Option<PendingLogin>,
    /// Codes for the day when the factor is lost, shown only now; null when there were some already.
    #[schema(required)]
    recovery_codes: Option<Vec<String>>,
}

fn answer(identity: &Identity, headers: &HeaderMap, enrolled: Enrolled<LoginStep>) -> Result<Response> {
    let recovery_codes = enrolled.recovery_codes.map(exposed);
    match enrolled.made {
        LoginStep::Done(logged_in) => {
            let cookie = identity.session_cookie(headers, &logged_in.token, logged_in.expires_at)?;
            let body = EnrolledLogin { login: Some((*logged_in).into()), pending: None, recovery_codes };
            Ok(([(header::SET_COOKIE, cookie)], Json(body)).into_response())
        }
        LoginStep::Continue(pending) => {
            let body = EnrolledLogin { login: None, pending: Some(pending.into()), recovery_codes };
            Ok((StatusCode::OK, Json(body)).into_response())
        }
    }
}

/// Shows the secret of a new authenticator application to somebody whose login needs one.
#[utoipa::path(
    post, path = "/api/v1/auth/enroll/totp", tag = "Identity",
    request_body = EnrollFactor,
    responses(
        (status = 200, description = "The secret, to be confirmed with a code", body = TotpSetup),
        (status = "default", description = "What went wrong", body = ProblemBody, content_type = "application/problem+json")
    ),
    extensions(("x-permission" = json!("none")))
)]
pub(crate) async fn enroll_totp(
    State(identity): State<Identity>,
    visitor: Visitor,
    Json(request): Json<EnrollFactor>,
) -> Result<Json<TotpSetup>, Problem> {
    Ok(Json(identity.enroll_totp(&visitor.ctx, &request.pending_token).await?.into()))
}

/// Takes the new authenticator application into use and finishes the login.
#[utoipa::path(
    post, path = "/api/v1/auth/enroll/totp/confirm", tag = "Identity",
    request_body = LoginCode,
    responses(
        (status = 200, description = "The new session", body = EnrolledLogin),
        (status = "default", description = "What went wrong", body = ProblemBody, content_type = "application/problem+json")
    ),
    extensions(("x-permission" = json!("none")))
)]
pub(crate) async fn finish_enrolling_totp(
    State(identity): State<Identity>,
    visitor: Visitor,
    headers: HeaderMap,
    Json(request): Json<LoginCode>,
) -> Result<Response, Problem> {
    let (token, code) = request.into_parts();
    let enrolled = identity.finish_enrolling_totp(&visitor.ctx, &token, &code, visitor.origin).await?;
    Ok(answer(&identity, &headers, enrolled)?)
}

/// Gives a challenge to make a passkey to somebody whose login needs one.
#[utoipa::path(
    post, path = "/api/v1/auth/enroll/passkey/options", tag = "Identity",
    request_body = EnrollFactor,
    responses(
        (status = 200, description = "The challenge", body = PasskeyCeremony),
        (status = "default", description = "What went wrong", body = ProblemBody, content_type = "application/problem+json")
    ),
    extensions(("x-permission" = json!("none")))
)]
pub(crate) async fn enroll_passkey(
    State(identity): State<Identity>,
    visitor: Visitor,
    headers: HeaderMap,
    Json(request): Json<EnrollFactor>,
) -> Result<Json<PasskeyCeremony>, Problem> {
    let base = identity.trusted_url(&headers)?;
    Ok(Json(identity.enroll_passkey(&visitor.ctx, &request.pending_token, &base).await?.into()))
}

/// Keeps the new passkey and finishes the login.
#[utoipa::path(
    post, path = "/api/v1/auth/enroll/passkey", tag = "Identity",
    request_body = EnrollPasskey,
    responses(
        (status = 200, description = "The new session", body = EnrolledLogin),
        (status = "default", description = "What went wrong", body = ProblemBody, content_type = "application/problem+json")
    ),
    extensions(("x-permission" = json!("none")))
)]
pub(crate) async fn finish_enrolling_passkey(
    State(identity): State<Identity>,
    visitor: Visitor,
    headers: HeaderMap,
    Json(request): Json<EnrollPasskey>,
) -> Result<Response, Problem> {
    let base = identity.trusted_url(&headers)?;
    let EnrollPasskey { pending_token, name, ceremony, credential } = request;
    let given = PasskeyAnswer { ceremony, credential };
    let enrolled =
        identity.finish_enrolling_passkey(&visitor.ctx, &pending_token, &name, &given, &base, visitor.origin).await?;
    Ok(answer(&identity, &headers, enrolled)?)
}
