use axum::{
    extract::State,
    http::{Extensions, HeaderMap},
};
use plasma_http::{Caller, Json, Problem, ProblemBody};
use plasma_kernel::{Method, Result, Timestamp};
use serde::{Deserialize, Serialize};

use super::visitor::origin_of;
use crate::{Identity, login_policy};

const SECOND_MICROS: i64 = 1_000_000;

/// How the people of the workspace must log in.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct LoginPolicy {
    /// With what they may: `password`, `totp`, `passkey`, `magic_link`, `single_sign_on`.
    methods: Vec<Method>,
    /// Whether everybody needs a second factor or a passkey.
    mfa_required: bool,
    /// Since when, in microseconds since 1970 UTC; null when it is not.
    #[schema(required)]
    mfa_required_at: Option<Timestamp>,
    /// How long after that, or after joining, people may log in without, to set one up.
    mfa_grace_seconds: i64,
    /// A session ends after this time.
    session_seconds: i64,
    /// A session that nobody uses ends after this time.
    idle_seconds: i64,
    /// From which addresses, as in `192.0.2.0/24`; empty means from everywhere.
    ip_ranges: Vec<String>,
    /// When it was changed last; null means never.
    #[schema(required)]
    updated_at: Option<Timestamp>,
}

impl From<crate::LoginPolicy> for LoginPolicy {
    fn from(policy: crate::LoginPolicy) -> Self {
        Self {
            methods: policy.methods.iter().collect(),
            mfa_required: policy.mfa_required,
            mfa_required_at: policy.mfa_required_at,
            mfa_grace_seconds: policy.mfa_grace_micros / SECOND_MICROS,
            session_seconds: policy.session_micros / SECOND_MICROS,
            idle_seconds: policy.idle_micros / SECOND_MICROS,
            ip_ranges: policy.ip_ranges.iter().map(ToString::to_string).collect(),
            updated_at: policy.updated_at,
        }
    }
}

/// How the people of the workspace must log in from now on.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PutLoginPolicy {
    /// With what they may: `password`, `totp`, `passkey`, `magic_link`, `single_sign_on`.
    #[schema(min_items = 1, max_items = 6)]
    methods: Vec<Method>,
    /// Whether everybody needs a second factor or a passkey.
    mfa_required: bool,
    /// How long after this change, or after joining, people may log in without, to set one up.
    #[schema(minimum = 0, maximum = 7776000)]
    mfa_grace_seconds: i64,
    /// A session ends after this time.
    #[schema(minimum = 300, maximum = 7776000)]
    session_seconds: i64,
    /// A session that nobody uses ends after this time; not longer than `session_seconds`.
    #[schema(minimum = 300, maximum = 7776000)]
    idle_seconds: i64,
    /// From which addresses, as in `192.0.2.0/24`; empty means from everywhere.
    #[schema(max_items = 100)]
    ip_ranges: Vec<String>,
}

impl PutLoginPolicy {
    fn into_policy(self) -> Result<crate::LoginPolicy> {
        let ip_ranges = self.ip_ranges.iter().enumerate();
        let ip_ranges = ip_ranges.map(|(index, range)| login_policy::network(&format!("ip_ranges[{index}]"), range));
        Ok(crate::LoginPolicy {
            methods: self.methods.into_iter().collect(),
            mfa_required: self.mfa_required,
            mfa_required_at: None,
            mfa_grace_micros: self.mfa_grace_seconds.saturating_mul(SECOND_MICROS),
            session_micros: self.session_seconds.saturating_mul(SECOND_MICROS),
            idle_micros: self.idle_seconds.saturating_mul(SECOND_MICROS),
            ip_ranges: ip_ranges.collect::<Result<_>>()?,
            updated_at: None,
        })
    }
}

/// Shows how the people of the workspace must log in.
#[utoipa::path(
    get, path = "/api/v1/security/login-policy", tag = "Identity",
    responses(
        (status = 200, description = "The policy", body = LoginPolicy),
        (status = "default", description = "What went wrong", body = ProblemBody, content_type = "application/problem+json")
    ),
    security(("bearer" = [])),
    extensions(("x-permission" = json!("security:read")))
)]
pub(crate) async fn get_login_policy(
    State(identity): State<Identity>,
    Caller(ctx): Caller,
) -> Result<Json<LoginPolicy>, Problem> {
    Ok(Json(identity.login_policy(&ctx).await?.into()))
}

/// Says how the people of the workspace must log in. Sessions that do not fit end.
///
/// What would lock out whoever asks is refused.
#[utoipa::path(
    put, path = "/api/v1/security/login-policy", tag = "Identity",
    request_body = PutLoginPolicy,
    responses(
        (status = 200, description = "The policy", body = LoginPolicy),
        (status = "default", description = "What went wrong", body = ProblemBody, content_type = "application/problem+json")
    ),
    security(("bearer" = [])),
    extensions(("x-permission" = json!("security:write")))
)]
pub(crate) async fn put_login_policy(
    State(identity): State<Identity>,
    Caller(ctx): Caller,
    extensions: Extensions,
    headers: HeaderMap,
    Json(request): Json<PutLoginPolicy>,
) -> Result<Json<LoginPolicy>, Problem> {
    let address = match ctx.origin() {
        Some(origin) => origin.address,
        None => origin_of(&extensions, &headers).address,
    };
    let policy = identity.set_login_policy(&ctx, request.into_policy()?, address).await?;
    Ok(Json(policy.into()))
}
