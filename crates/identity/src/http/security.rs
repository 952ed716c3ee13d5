use axum::{extract::State, http::StatusCode};
use plasma_http::{Caller, Json, Path, Problem, ProblemBody};
use plasma_kernel::{Timestamp, UserId};
use serde::{Deserialize, Serialize};

use super::passkeys::Passkey;
use crate::{Factor, Identity, Secret, login_types};

/// How you can sign in.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct SecurityOverview {
    /// Whether you have a password.
    has_password: bool,
    /// Since when you have an authenticator application, in microseconds since 1970 UTC; null when you have none.
    #[schema(required)]
    totp_since: Option<Timestamp>,
    /// Recovery codes that you have not used yet.
    recovery_codes: u64,
    /// Your passkeys, the oldest first.
    passkeys: Vec<Passkey>,
    /// Whether the workspace requires a second factor.
    mfa_required: bool,
    /// By when you must have set one up, if you must and have none; else null.
    #[schema(required)]
    enroll_by: Option<Timestamp>,
    /// What the workspace lets count as one.
    may_enroll: Vec<Factor>,
}

/// The secret of an authenticator application that is being set up.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct TotpSetup {
    /// The secret, in base32, for those who cannot scan.
    #[schema(example = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ")]
    secret: String,
    /// What the QR code says.
    address: String,
    /// The QR code, as an SVG image.
    qr_svg: String,
    /// Until when it can be confirmed, in microseconds since 1970 UTC.
    expires_at: Timestamp,
}

impl From<login_types::TotpSetup> for TotpSetup {
    fn from(setup: login_types::TotpSetup) -> Self {
        let login_types::TotpSetup { secret, address, qr_svg, expires_at } = setup;
        Self {
            secret: secret.expose().to_owned(),
            address: address.expose().to_owned(),
            qr_svg: qr_svg.expose().to_owned(),
            expires_at,
        }
    }
}

/// A code of the authenticator application that is being set up.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ConfirmTotp {
    /// The code that it shows now.
    #[schema(max_length = 64, example = "123456")]
    code: String,
}

/// What came with a new factor.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct FactorAdded {
    /// Codes for the day when the factor is lost, shown only now; null when there were some already.
    #[schema(required)]
    recovery_codes: Option<Vec<String>>,
}

/// New recovery codes.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct RecoveryCodes {
    /// They are shown only now; each is good once.
    recovery_codes: Vec<String>,
}

/// For the one answer in which the person sees them.
pub(crate) fn exposed(codes: Vec<Secret>) -> Vec<String> {
    codes.iter().map(|code| code.expose().to_owned()).collect()
}

/// Shows how you can sign in.
#[utoipa::path(
    get, path = "/api/v1/me/security", tag = "Identity",
    responses(
        (status = 200, description = "Your password, factors and passkeys", body = SecurityOverview),
        (status = "default", description = "What went wrong", body = ProblemBody, content_type = "application/problem+json")
    ),
    security(("bearer" = [])),
    extensions(("x-permission" = json!("authenticated")))
)]
pub(crate) async fn get_my_security(
    State(identity): State<Identity>,
    Caller(ctx): Caller,
) -> Result<Json<SecurityOverview>, Problem> {
    let login_types::SecurityOverview {
        has_password,
        totp_since,
        recovery_codes,
        passkeys,
        mfa_required,
        enroll_by,
        may_enroll,
    } = identity.security_overview(&ctx).await?;
    let passkeys = passkeys.into_iter().map(Passkey::from).collect();
    Ok(Json(SecurityOverview {
        has_password,
        totp_since,
        recovery_codes,
        passkeys,
        mfa_required,
        enroll_by,
        may_enroll,
    }))
}

/// Begins to set up an authenticator application. One that you have stays in use until the new one is confirmed.
#[utoipa::path(
    post, path = "/api/v1/me/totp", tag = "Identity",
    responses(
        (status = 200, description = "The secret, to be confirmed with a code", body = TotpSetup),
        (status = "default", description = "What went wrong", body = ProblemBody, content_type = "application/problem+json")
    ),
    security(("bearer" = [])),
    extensions(("x-permission" = json!("authenticated")))
)]
pub(crate) async fn begin_totp(
    State(identity): State<Identity>,
    Caller(ctx): Caller,
) -> Result<Json<TotpSetup>, Problem> {
    Ok(Json(identity.begin_totp(&ctx).await?.into()))
}

/// Takes the authenticator application into use: the code proves that it has the secret.
#[utoipa::path(
    post, path = "/api/v1/me/totp/confirm", tag = "Identity",
    request_body = ConfirmTotp,
    responses(
        (status = 200, description = "It is in use", body = FactorAdded),
        (status = "default", description = "What went wrong", body = ProblemBody, content_type = "application/problem+json")
    ),
    security(("bearer" = [])),
    extensions(("x-permission" = json!("authenticated")))
)]
pub(crate) async fn confirm_totp(
    State(identity): State<Identity>,
    Caller(ctx): Caller,
    Json(request): Json<ConfirmTotp>,
) -> Result<Json<FactorAdded>, Problem> {
    let added = identity.confirm_totp(&ctx, &request.code).await?;
    Ok(Json(FactorAdded { recovery_codes: added.recovery_codes.map(exposed) }))
}

/// Takes your authenticator application out of use.
#[utoipa::path(
    delete, path = "/api/v1/me/totp", tag = "Identity",
    responses(
        (status = 204, description = "It is out of use"),
        (status = "default", description = "What went wrong", body = ProblemBody, content_type = "application/problem+json")
    ),
    security(("bearer" = [])),
    extensions(("x-permission" = json!("authenticated")))
)]
pub(crate) async fn remove_totp(State(identity): State<Identity>, Caller(ctx): Caller) -> Result<StatusCode, Problem> {
    identity.remove_totp(&ctx).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Makes new recovery codes. The old ones are good no longer.
#[utoipa::path(
    post, path = "/api/v1/me/recovery-codes", tag = "Identity",
    responses(
        (status = 200, description = "The codes, shown only now", body = RecoveryCodes),
        (status = "default", description = "What went wrong", body = ProblemBody, content_type = "application/problem+json")
    ),
    security(("bearer" = [])),
    extensions(("x-permission" = json!("authenticated")))
)]
pub(crate) async fn renew_recovery_codes(
    State(identity): State<Identity>,
    Caller(ctx): Caller,
) -> Result<Json<RecoveryCodes>, Problem> {
    Ok(Json(RecoveryCodes { recovery_codes: exposed(identity.renew_recovery_codes(&ctx).await?) }))
}

/// Takes all second factors and passkeys from somebody who lost them. Their sessions end; their password stays.
#[utoipa::path(
    delete, path = "/api/v1/users/{id}/factors", tag = "Identity",
    params(("id" = UserId, Path, description = "The user's id")),
    responses(
        (status = 204, description = "They have none any more"),
        (status = "default", description = "What went wrong", body = ProblemBody, content_type = "application/problem+json")
    ),
    security(("bearer" = [])),
    extensions(("x-permission" = json!("users:write")))
)]
pub(crate) async fn reset_factors(
    State(identity): State<Identity>,
    Caller(ctx): Caller,
    Path(id): Path<UserId>,
) -> Result<StatusCode, Problem> {
    identity.reset_factors(&ctx, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
