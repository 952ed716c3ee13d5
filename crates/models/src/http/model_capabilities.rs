use axum::extract::State;
use plasma_http::{Caller, Json, Path, Problem, ProblemBody};
use serde::Deserialize;

use super::models::ModelBody;
use crate::{Capability, Models};

/// What a chat model can do.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ModelCapabilities)]
pub struct CapabilitiesBody {
    /// All that it can do beyond answering text with text, each word once; an empty list says that it is nothing. Null: nobody
    /// knows, and routes try it.
    #[schema(required)]
    capabilities: Option<Vec<Capability>>,
}

/// Say what a model can do
///
/// Replaces what was said of a provider's chat model before. Routes send requests that need more (tools, images, documents,
/// recordings, a JSON schema, thinking) to other candidates; who names the model itself is not refused. Slashes in the id are
/// encoded as `%2F`.
#[utoipa::path(
    put, path = "/api/v1/models/{id}/capabilities", tag = "models", request_body = CapabilitiesBody,
    security(("bearer" = [])),
    params(("id" = String, Path, description = "The model's name, with slashes as `%2F`", example = "acme%2Flarge-1")),
    extensions(("x-permission" = json!("models:write"))),
    responses(
        (status = 200, body = ModelBody),
        (status = "default", body = ProblemBody, content_type = "application/problem+json", description = "What went wrong"),
    )
)]
pub(super) async fn set_model_capabilities(
    State(models): State<Models>,
    Caller(ctx): Caller,
    Path(id): Path<String>,
    Json(body): Json<CapabilitiesBody>,
) -> Result<Json<ModelBody>, Problem> {
    Ok(Json(models.set_capabilities(&ctx, &id, body.capabilities).await?.into()))
}
