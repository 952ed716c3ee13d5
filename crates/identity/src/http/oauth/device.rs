use axum::{
    extract::State,
    http::{Extensions, HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use plasma_http::{Caller, Json, Problem, ProblemBody};
use plasma_kernel::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    AskingApplication, FormBody, OAuthErrorBody, OAuthProblem, ScopeInWords, credentials, in_words, issuer,
    keep_nowhere, stranger,
};
use crate::{Identity, http::visitor::address_of};

/// Who asks on a device, and for what.
#[derive(utoipa::ToSchema)]
#[allow(dead_code)] // it describes the form, which is read by hand
pub(crate) struct DeviceAuthorizationForm {
    /// The application, unless the header `Authorization` names it.
    #[schema(nullable = false)]
    client_id: Option<String>,
    /// The application's secret, unless the header `Authorization` holds it.
    #[schema(nullable = false, format = "password")]
    client_secret: Option<String>,
    /// Names separated by spaces; absent: all that the application may ask for.
    #[schema(nullable = false, max_length = 4096)]
    scope: Option<String>,
}

/// What a device shows to its person, and asks with (RFC 8628, section 3.2).
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct DeviceAuthorizationResponse {
    /// For the token endpoint.
    device_code: String,
    /// For the person to type.
    #[schema(example = "BCDF-GHJK")]
    user_code: String,
    /// Where to type it.
    verification_uri: String,
    /// The same with the code in it, for a picture that the person's phone reads.
    verification_uri_complete: String,
    /// Seconds for which the codes are good.
    expires_in: i64,
    /// Seconds between two questions at the token endpoint, at least.
    interval: i64,
}

/// The code that a device shows.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DeviceCodeEntry {
    /// As it was typed.
    #[schema(max_length = 100, example = "BCDF-GHJK")]
    user_code: String,
}

/// The code that a device shows, and what the person decided.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DeviceDecision {
    /// As it was typed.
    #[schema(max_length = 100, example = "BCDF-GHJK")]
    user_code: String,
    /// Whether the person allows it.
    allow: bool,
}

/// What a device asks for.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct DeviceQuestion {
    /// Who asks.
    application: AskingApplication,
    /// For what.
    scopes: Vec<ScopeInWords>,
    /// When it began to ask, in microseconds since 1970 UTC.
    created_at: Timestamp,
}

/// Begins the login of a program without a browser (RFC 8628).
#[utoipa::path(
    post, path = "/oauth/device", tag = "OAuth",
    request_body(content = DeviceAuthorizationForm, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 200, description = "The codes", body = DeviceAuthorizationResponse),
        (status = 429, description = "Too many", content(
            (OAuthErrorBody = "application/json"), (ProblemBody = "application/problem+json")
        )),
        (status = "default", description = "What went wrong", body = OAuthErrorBody)
    ),
    extensions(("x-permission" = json!("none")))
)]
pub(crate) async fn authorize_device(
    State(identity): State<Identity>,
    headers: HeaderMap,
    extensions: Extensions,
    FormBody(form): FormBody,
) -> Result<Response, OAuthProblem> {
    let ctx = stranger(&identity, &extensions);
    let credentials = credentials(&headers, &form)?;
    let begun = identity.begin_device_authorization(&ctx, &credentials, &form, address_of(&extensions)).await?;
    let verification_uri = format!("{}/device/", issuer(&identity, &headers));
    let body = DeviceAuthorizationResponse {
        device_code: begun.device_code.expose().to_owned(),
        verification_uri_complete: format!("{verification_uri}?code={}", begun.user_code),
        user_code: begun.user_code,
        verification_uri,
        expires_in: begun.expires_in,
        interval: begun.interval,
    };
    let mut response = axum::Json(body).into_response();
    keep_nowhere(response.headers_mut());
    Ok(response)
}

/// Tells a person what the device with this code asks for. Wrong codes are counted: ten in 15 minutes are taken.
#[utoipa::path(
    post, path = "/api/v1/oauth/device-requests", tag = "OAuth",
    request_body = DeviceCodeEntry,
    responses(
        (status = 200, description = "What it asks for", body = DeviceQuestion),
        (status = "default", description = "What went wrong", body = ProblemBody, content_type = "application/problem+json")
    ),
    security(("bearer" = [])),
    extensions(("x-permission" = json!("authenticated")))
)]
pub(crate) async fn find_device_request(
    State(identity): State<Identity>,
    Caller(ctx): Caller,
    extensions: Extensions,
    Json(entry): Json<DeviceCodeEntry>,
) -> Result<Json<DeviceQuestion>, Problem> {
    let request = identity.device_request(&ctx, &entry.user_code, address_of(&extensions)).await?;
    Ok(Json(DeviceQuestion {
        application: request.application.into(),
        scopes: in_words(request.scopes, *ctx.permissions()),
        created_at: request.created_at,
    }))
}

/// Allows what the device with this code asks for, or refuses it. Only a person who is signed in can.
#[utoipa::path(
    post, path = "/api/v1/oauth/device-decisions", tag = "OAuth",
    request_body = DeviceDecision,
    responses(
        (status = 204, description = "The device will hear of it"),
        (status = "default", description = "What went wrong", body = ProblemBody, content_type = "application/problem+json")
    ),
    security(("bearer" = [])),
    extensions(("x-permission" = json!("authenticated")))
)]
pub(crate) async fn decide_device_request(
    State(identity): State<Identity>,
    Caller(ctx): Caller,
    extensions: Extensions,
    Json(decision): Json<DeviceDecision>,
) -> Result<StatusCode, Problem> {
    identity.decide_device(&ctx, &decision.user_code, decision.allow, address_of(&extensions)).await?;
    Ok(StatusCode::NO_CONTENT)
}
