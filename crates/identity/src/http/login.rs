use axum::{
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use plasma_http::{Json, Problem, ProblemBody};
use plasma_kernel::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    auth::{LoginResponse, PendingLogin, answer},
    headers::browser_of,
    visitor::Visitor,
};
use crate::{Identity, LinkRequest, PasskeyAnswer, Secret, login_types};

/// A code for a login that needs a second factor.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LoginCode {
    /// The token of the login that has begun.
    #[schema(max_length = 200)]
    pending_token: String,
    /// The code.
    #[schema(max_length = 64, example = "123456")]
    code: String,
}

impl LoginCode {
    pub(crate) fn into_parts(self) -> (String, String) {
        (self.pending_token, self.code)
    }
}

/// For which login a passkey is asked.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PasskeyLoginOptions {
    /// The token of a login that needs a second factor. Absent: any passkey logs in, without an e-mail.
    #[schema(max_length = 200)]
    pending_token: Option<String>,
}

/// A challenge for a passkey.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct PasskeyCeremony {
    /// What to send with the answer.
    ceremony: String,
    /// For `navigator.credentials.create` or `.get`, as `publicKey`; bytes are in base64url.
    #[schema(value_type = Object)]
    options: Value,
    /// Until when it can be answered, in microseconds since 1970 UTC.
    expires_at: Timestamp,
}

impl From<login_types::Ceremony> for PasskeyCeremony {
    fn from(ceremony: login_types::Ceremony) -> Self {
        let login_types::Ceremony { token, options, expires_at } = ceremony;
        Self { ceremony: token.expose().to_owned(), options, expires_at }
    }
}

/// A passkey's answer for a login.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PasskeyLogin {
    /// The token of a login that needs a second factor, as it was sent for the challenge.
    #[schema(max_length = 200)]
    pending_token: Option<String>,
    /// The challenge's token.
    #[schema(max_length = 200)]
    ceremony: String,
    /// The credential, as `PublicKeyCredential.toJSON()` gives it.
    #[schema(value_type = Object)]
    credential: Value,
}

/// To whom a link is sent.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RequestLoginLink {
    /// The user's e-mail; whether it is somebody's is not told.
    #[schema(max_length = 254, example = "ada@example.org")]
    email: String,
    /// The page of the dashboard to go on to, such as `/knowledge/`.
    #[schema(max_length = 1000, example = "/")]
    next: Option<String>,
}

/// To whom a link is sent.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RequestPasswordReset {
    /// The user's e-mail; whether it is somebody's is not told.
    #[schema(max_length = 254, example = "ada@example.org")]
    email: String,
}

/// A link's token.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RedeemLoginLink {
    /// What stands behind `#token=` in the link.
    #[schema(max_length = 200)]
    token: String,
}

/// A new password with the token of a link.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ResetPassword {
    /// What stands behind `#token=` in the link.
    #[schema(max_length = 200)]
    token: String,
    /// The password from now on; not your e-mail, and none that is tried first.
    #[schema(min_length = 10, max_length = 200, format = "password")]
    new_password: String,
}

/// Goes on with a login by the code of an authenticator application.
///
/// The code before and the one after the current one are taken too; none is taken twice.
#[utoipa::path(
    post, path = "/api/v1/auth/totp", tag = "Identity",
    request_body = LoginCode,
    responses(
        (status = 200, description = "The new session", body = LoginResponse),
        (status = 202, description = "Another proof is needed", body = PendingLogin),
        (status = "default", description = "What went wrong", body = ProblemBody, content_type = "application/problem+json")
    ),
    extensions(("x-permission" = json!("none")))
)]
pub(crate) async fn login_with_totp(
    State(identity): State<Identity>,
    visitor: Visitor,
    headers: HeaderMap,
    Json(request): Json<LoginCode>,
) -> Result<Response, Problem> {
    let LoginCode { pending_token, code } = request;
    let step = identity.login_with_totp(&visitor.ctx, &pending_token, &code, visitor.origin).await?;
    Ok(answer(&identity, &headers, step)?)
}

/// Goes on with a login by a recovery code, which is good once.
#[utoipa::path(
    post, path = "/api/v1/auth/recovery-code", tag = "Identity",
    request_body = LoginCode,
    responses(
        (status = 200, description = "The new session", body = LoginResponse),
        (status = 202, description = "Another proof is needed", body = PendingLogin),
        (status = "default", description = "What went wrong", body = ProblemBody, content_type = "application/problem+json")
    ),
    extensions(("x-permission" = json!("none")))
)]
pub(crate) async fn login_with_recovery_code(
    State(identity): State<Identity>,
    visitor: Visitor,
    headers: HeaderMap,
    Json(request): Json<LoginCode>,
) -> Result<Response, Problem> {
    let LoginCode { pending_token, code } = request;
    let step = identity.login_with_recovery_code(&visitor.ctx, &pending_token, &code, visitor.origin).await?;
    Ok(answer(&identity, &headers, step)?)
}

/// Gives a challenge for a login by passkey: as a second factor, or without an e-mail.
#[utoipa::path(
    post, path = "/api/v1/auth/passkey/options", tag = "Identity",
    request_body = PasskeyLoginOptions,
    responses(
        (status = 200, description = "The challenge", body = PasskeyCeremony),
        (status = "default", description = "What went wrong", body = ProblemBody, content_type = "application/problem+json")
    ),
    extensions(("x-permission" = json!("none")))
)]
pub(crate) async fn begin_passkey_login(
    State(identity): State<Identity>,
    visitor: Visitor,
    headers: HeaderMap,
    Json(request): Json<PasskeyLoginOptions>,
) -> Result<Json<PasskeyCeremony>, Problem> {
    let base = identity.trusted_url(&headers)?;
    let pending = request.pending_token.as_deref();
    let ceremony = identity.begin_passkey_login(&visitor.ctx, pending, visitor.origin.address, &base).await?;
    Ok(Json(ceremony.into()))
}

/// Logs in by a passkey's answer to a challenge.
#[utoipa::path(
    post, path = "/api/v1/auth/passkey", tag = "Identity",
    request_body = PasskeyLogin,
    responses(
        (status = 200, description = "The new session", body = LoginResponse),
        (status = 202, description = "Another proof is needed", body = PendingLogin),
        (status = "default", description = "What went wrong", body = ProblemBody, content_type = "application/problem+json")
    ),
    extensions(("x-permission" = json!("none")))
)]
pub(crate) async fn login_with_passkey(
    State(identity): State<Identity>,
    visitor: Visitor,
    headers: HeaderMap,
    Json(request): Json<PasskeyLogin>,
) -> Result<Response, Problem> {
    let base = identity.trusted_url(&headers)?;
    let PasskeyLogin { pending_token, ceremony, credential } = request;
    let given = PasskeyAnswer { ceremony, credential };
    let step =
        identity.login_with_passkey(&visitor.ctx, pending_token.as_deref(), &given, &base, visitor.origin).await?;
    Ok(answer(&identity, &headers, step)?)
}

/// Sends a link that logs in. The answer does not depend on whether the e-mail is known.
///
/// The link works once, for 15 minutes, and only together with the cookie that this answer sets.
#[utoipa::path(
    post, path = "/api/v1/auth/magic-link", tag = "Identity",
    request_body = RequestLoginLink,
    responses(
        (status = 204, description = "If the e-mail is somebody's, a link is on its way"),
        (status = "default", description = "What went wrong", body = ProblemBody, content_type = "application/problem+json")
    ),
    extensions(("x-permission" = json!("none")))
)]
pub(crate) async fn request_login_link(
    State(identity): State<Identity>,
    visitor: Visitor,
    headers: HeaderMap,
    Json(request): Json<RequestLoginLink>,
) -> Result<Response, Problem> {
    let link = LinkRequest {
        email: request.email,
        base_url: identity.trusted_url(&headers)?,
        next_path: request.next,
        origin: visitor.origin,
    };
    let browser = identity.request_login_link(&visitor.ctx, link, browser_of(&headers)).await?;
    let cookie = identity.browser_cookie(&headers, &browser)?;
    Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, cookie)]).into_response())
}

/// Logs in by the link that was sent to this browser's person.
#[utoipa::path(
    post, path = "/api/v1/auth/magic-link/redeem", tag = "Identity",
    request_body = RedeemLoginLink,
    responses(
        (status = 200, description = "The new session", body = LoginResponse),
        (status = 202, description = "Another proof is needed", body = PendingLogin),
        (status = "default", description = "What went wrong", body = ProblemBody, content_type = "application/problem+json")
    ),
    extensions(("x-permission" = json!("none")))
)]
pub(crate) async fn login_with_link(
    State(identity): State<Identity>,
    visitor: Visitor,
    headers: HeaderMap,
    Json(request): Json<RedeemLoginLink>,
) -> Result<Response, Problem> {
    let browser = browser_of(&headers);
    let step = identity.login_with_link(&visitor.ctx, &request.token, browser, visitor.origin).await?;
    Ok(answer(&identity, &headers, step)?)
}

/// Sends a link that replaces a forgotten password. The answer does not depend on whether the e-mail is known.
#[utoipa::path(
    post, path = "/api/v1/auth/password-reset", tag = "Identity",
    request_body = RequestPasswordReset,
    responses(
        (status = 204, description = "If the e-mail is somebody's, a link is on its way"),
        (status = "default", description = "What went wrong", body = ProblemBody, content_type = "application/problem+json")
    ),
    extensions(("x-permission" = json!("none")))
)]
pub(crate) async fn request_password_reset(
    State(identity): State<Identity>,
    visitor: Visitor,
    headers: HeaderMap,
    Json(request): Json<RequestPasswordReset>,
) -> Result<StatusCode, Problem> {
    let link = LinkRequest {
        email: request.email,
        base_url: identity.trusted_url(&headers)?,
        next_path: None,
        origin: visitor.origin,
    };
    identity.request_password_reset(&visitor.ctx, link).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Replaces a forgotten password by a link. All sessions end; second factors stay.
#[utoipa::path(
    post, path = "/api/v1/auth/password-reset/redeem", tag = "Identity",
    request_body = ResetPassword,
    responses(
        (status = 204, description = "The password is replaced: log in with it"),
        (status = "default", description = "What went wrong", body = ProblemBody, content_type = "application/problem+json")
    ),
    extensions(("x-permission" = json!("none")))
)]
pub(crate) async fn reset_password(
    State(identity): State<Identity>,
    visitor: Visitor,
    Json(request): Json<ResetPassword>,
) -> Result<StatusCode, Problem> {
    let new = Secret::new(request.new_password);
    identity.reset_password(&visitor.ctx, &request.token, &new, &visitor.origin).await?;
    Ok(StatusCode::NO_CONTENT)
}
