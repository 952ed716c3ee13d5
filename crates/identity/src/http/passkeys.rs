use axum::{
    extract::State,
    http::{HeaderMap, StatusCode},
};
use plasma_http::{Caller, Json, Path, Problem, ProblemBody};
use plasma_kernel::{PasskeyId, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{login::PasskeyCeremony, security::exposed};
use crate::{Identity, PasskeyAnswer, login_types};

/// A passkey of yours.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct Passkey {
    /// Its id.
    id: PasskeyId,
    /// What you call it.
    name: String,
    /// When it was made, in microseconds since 1970 UTC.
    created_at: Timestamp,
    /// When it was last used; null means never.
    #[schema(required)]
    last_used_at: Option<Timestamp>,
}

impl From<login_types::Passkey> for Passkey {
    fn from(passkey: login_types::Passkey) -> Self {
        let login_types::Passkey { id, name, created_at, last_used_at } = passkey;
        Self { id, name, created_at, last_used_at }
    }
}

/// A list of passkeys.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct PasskeyList {
    /// The oldest first.
    data: Vec<Passkey>,
}

/// A passkey that the browser made.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AddPasskey {
    /// What to call it.
    #[schema(min_length = 1, max_length = 200, example = "My laptop")]
    name: String,
    /// The challenge's token.
    #[schema(max_length = 200)]
    ceremony: String,
    /// The credential, as `PublicKeyCredential.toJSON()` gives it.
    #[schema(value_type = Object)]
    credential: Value,
}

/// A passkey that was just made.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct PasskeyAdded {
    /// What is kept of it.
    passkey: Passkey,
    /// Codes for the day when it is lost, shown only now; null when there were some already.
    #[schema(required)]
    recovery_codes: Option<Vec<String>>,
}

/// What to change of a passkey.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RenamePasskey {
    /// What to call it.
    #[schema(min_length = 1, max_length = 200)]
    name: String,
}

/// Lists your passkeys.
#[utoipa::path(
    get, path = "/api/v1/me/passkeys", tag = "Identity",
    responses(
        (status = 200, description = "Your passkeys", body = PasskeyList),
        (status = "default", description = "What went wrong", body = ProblemBody, content_type = "application/problem+json")
    ),
    security(("bearer" = [])),
    extensions(("x-permission" = json!("authenticated")))
)]
pub(crate) async fn list_my_passkeys(
    State(identity): State<Identity>,
    Caller(ctx): Caller,
) -> Result<Json<PasskeyList>, Problem> {
    let data = identity.my_passkeys(&ctx).await?.into_iter().map(Passkey::from).collect();
    Ok(Json(PasskeyList { data }))
}

/// Gives a challenge to make a passkey.
#[utoipa::path(
    post, path = "/api/v1/me/passkeys/options", tag = "Identity",
    responses(
        (status = 200, description = "The challenge", body = PasskeyCeremony),
        (status = "default", description = "What went wrong", body = ProblemBody, content_type = "application/problem+json")
    ),
    security(("bearer" = [])),
    extensions(("x-permission" = json!("authenticated")))
)]
pub(crate) async fn begin_my_passkey(
    State(identity): State<Identity>,
    Caller(ctx): Caller,
    headers: HeaderMap,
) -> Result<Json<PasskeyCeremony>, Problem> {
    let base = identity.trusted_url(&headers)?;
    Ok(Json(identity.begin_passkey(&ctx, &base).await?.into()))
}

/// Keeps the passkey that the browser made.
#[utoipa::path(
    post, path = "/api/v1/me/passkeys", tag = "Identity",
    request_body = AddPasskey,
    responses(
        (status = 201, description = "The passkey", body = PasskeyAdded),
        (status = "default", description = "What went wrong", body = ProblemBody, content_type = "application/problem+json")
    ),
    security(("bearer" = [])),
    extensions(("x-permission" = json!("authenticated")))
)]
pub(crate) async fn add_my_passkey(
    State(identity): State<Identity>,
    Caller(ctx): Caller,
    headers: HeaderMap,
    Json(request): Json<AddPasskey>,
) -> Result<(StatusCode, Json<PasskeyAdded>), Problem> {
    let base = identity.trusted_url(&headers)?;
    let AddPasskey { name, ceremony, credential } = request;
    let added = identity.finish_passkey(&ctx, &name, &PasskeyAnswer { ceremony, credential }, &base).await?;
    let recovery_codes = added.recovery_codes.map(exposed);
    Ok((StatusCode::CREATED, Json(PasskeyAdded { passkey: added.made.into(), recovery_codes })))
}

/// Gives a passkey of yours another name.
#[utoipa::path(
    patch, path = "/api/v1/me/passkeys/{id}", tag = "Identity",
    params(("id" = PasskeyId, Path, description = "The passkey's id")),
    request_body = RenamePasskey,
    responses(
        (status = 200, description = "The passkey", body = Passkey),
        (status = "default", description = "What went wrong", body = ProblemBody, content_type = "application/problem+json")
    ),
    security(("bearer" = [])),
    extensions(("x-permission" = json!("authenticated")))
)]
pub(crate) async fn rename_my_passkey(
    State(identity): State<Identity>,
    Caller(ctx): Caller,
    Path(id): Path<PasskeyId>,
    Json(request): Json<RenamePasskey>,
) -> Result<Json<Passkey>, Problem> {
    Ok(Json(identity.rename_passkey(&ctx, id, &request.name).await?.into()))
}

/// Removes a passkey of yours.
#[utoipa::path(
    delete, path = "/api/v1/me/passkeys/{id}", tag = "Identity",
    params(("id" = PasskeyId, Path, description = "The passkey's id")),
    responses(
        (status = 204, description = "It is removed"),
        (status = "default", description = "What went wrong", body = ProblemBody, content_type = "application/problem+json")
    ),
    security(("bearer" = [])),
    extensions(("x-permission" = json!("authenticated")))
)]
pub(crate) async fn remove_my_passkey(
    State(identity): State<Identity>,
    Caller(ctx): Caller,
    Path(id): Path<PasskeyId>,
) -> Result<StatusCode, Problem> {
    identity.remove_passkey(&ctx, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
