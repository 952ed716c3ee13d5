use axum::{extract::State, http::StatusCode};
use plasma_http::{Caller, Json, Path, Problem, ProblemBody};
use plasma_kernel::{CallId, Timestamp};
use serde::Serialize;

use crate::{CallPayload, CaptureSettings, KeptText, Models};

/// What a call asked and was answered, redacted.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = ModelCallPayload)]
pub struct CallPayloadBody {
    /// The call.
    pub call_id: CallId,
    /// The request, in the caller's protocol; null when it is not kept.
    #[schema(required)]
    pub request: Option<KeptTextBody>,
    /// The answer as one that came whole, in the caller's protocol; null when it is not kept, there was none, it was longer than
    /// 4 MiB, or two models wrote it.
    #[schema(required)]
    pub answer: Option<KeptTextBody>,
    /// When the call started, in microseconds since 1970 UTC.
    pub created_at: Timestamp,
    /// When this is removed.
    pub expires_at: Timestamp,
}

/// A request or an answer as it is kept: at most 128 KiB of text.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = KeptText)]
pub struct KeptTextBody {
    /// JSON, but for one that was cut at its very end.
    pub text: String,
    /// Whether a part was too long: `[… bytes left out]` stands there.
    pub truncated: bool,
}

impl From<KeptText> for KeptTextBody {
    fn from(KeptText { text, truncated }: KeptText) -> Self {
        Self { text, truncated }
    }
}

impl CallPayloadBody {
    fn of(call_id: CallId, payload: CallPayload) -> Self {
        Self {
            call_id,
            request: payload.request.map(KeptTextBody::from),
            answer: payload.answer.map(KeptTextBody::from),
            created_at: payload.created_at,
            expires_at: payload.expires_at,
        }
    }
}

/// Get the settings of capture
///
/// What is kept of what models are asked and answer. Off until somebody turns it on.
#[utoipa::path(
    get, path = "/api/v1/models/capture", tag = "models", security(("bearer" = [])),
    extensions(("x-permission" = json!("models:read"))),
    responses(
        (status = 200, body = CaptureSettings),
        (status = "default", body = ProblemBody, content_type = "application/problem+json", description = "What went wrong"),
    )
)]
pub(super) async fn get_model_capture(
    State(models): State<Models>,
    Caller(ctx): Caller,
) -> Result<Json<CaptureSettings>, Problem> {
    Ok(Json(models.capture_settings(&ctx).await?))
}

/// Change the settings of capture
///
/// For calls from now on (other processes follow within 10 s). A shorter retention holds for what is kept already, too.
/// Embeddings are never kept.
#[utoipa::path(
    put, path = "/api/v1/models/capture", tag = "models", request_body = CaptureSettings, security(("bearer" = [])),
    extensions(("x-permission" = json!("models:write"))),
    responses(
        (status = 200, body = CaptureSettings),
        (status = "default", body = ProblemBody, content_type = "application/problem+json", description = "What went wrong"),
    )
)]
pub(super) async fn put_model_capture(
    State(models): State<Models>,
    Caller(ctx): Caller,
    Json(settings): Json<CaptureSettings>,
) -> Result<Json<CaptureSettings>, Problem> {
    Ok(Json(models.set_capture(&ctx, settings).await?))
}

/// Get what a call asked and was answered
///
/// Redacted, and only of calls that were captured. That somebody read it is an event.
#[utoipa::path(
    get, path = "/api/v1/models/calls/{id}/payload", tag = "models", security(("bearer" = [])),
    params(("id" = CallId, Path, description = "The call's id")),
    extensions(("x-permission" = json!("models:write"))),
    responses(
        (status = 200, body = CallPayloadBody),
        (status = "default", body = ProblemBody, content_type = "application/problem+json", description = "What went wrong"),
    )
)]
pub(super) async fn get_model_call_payload(
    State(models): State<Models>,
    Caller(ctx): Caller,
    Path(id): Path<CallId>,
) -> Result<Json<CallPayloadBody>, Problem> {
    Ok(Json(CallPayloadBody::of(id, models.call_payload(&ctx, id).await?)))
}

/// Remove what is kept of a call
///
/// The call's record stays.
#[utoipa::path(
    delete, path = "/api/v1/models/calls/{id}/payload", tag = "models", security(("bearer" = [])),
    params(("id" = CallId, Path, description = "The call's id")),
    extensions(("x-permission" = json!("models:write"))),
    responses(
        (status = 204, description = "Removed"),
        (status = "default", body = ProblemBody, content_type = "application/problem+json", description = "What went wrong"),
    )
)]
pub(super) async fn delete_model_call_payload(
    State(models): State<Models>,
    Caller(ctx): Caller,
    Path(id): Path<CallId>,
) -> Result<StatusCode, Problem> {
    models.delete_call_payload(&ctx, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
