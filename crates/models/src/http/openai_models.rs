use axum::extract::{RawPathParams, State, rejection::RawPathParamsRejection};
use plasma_http::{Json, OpenAiProblem};
use plasma_kernel::Error;
use serde::Serialize;

use super::protocol::OpenAiCaller;
use crate::{Alias, Model, Models};

/// A model, in OpenAI's format.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct OpenAiModel {
    /// The name to use.
    pub id: String,
    /// Always `model`.
    pub object: &'static str,
    /// When it was added, in seconds since 1970 UTC; 0 for models in this process.
    pub created: i64,
    /// The provider's name; `local` for models in this process; `alias of …` for an alias.
    pub owned_by: String,
}

impl From<Model> for OpenAiModel {
    fn from(model: Model) -> Self {
        Self { id: model.id, object: "model", created: model.created_at / 1_000_000, owned_by: model.provider_name }
    }
}

impl From<Alias> for OpenAiModel {
    fn from(alias: Alias) -> Self {
        Self {
            id: alias.name,
            object: "model",
            created: alias.created_at / 1_000_000,
            owned_by: format!("alias of {}", alias.target),
        }
    }
}

/// All models, in OpenAI's format.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct OpenAiModelList {
    /// Always `list`.
    pub object: &'static str,
    /// Models in the order of their names, then aliases.
    pub data: Vec<OpenAiModel>,
}

/// List models (OpenAI format)
#[utoipa::path(
    get, path = "/v1/models", tag = "openai", security(("bearer" = [])),
    extensions(("x-permission" = json!("models:read"))),
    responses(
        (status = 200, body = OpenAiModelList),
        (status = "default", body = super::openai_chat::OpenAiError, description = "What went wrong"),
    )
)]
pub(super) async fn list_openai_models(
    State(models): State<Models>,
    OpenAiCaller(ctx): OpenAiCaller,
) -> Result<Json<OpenAiModelList>, OpenAiProblem> {
    let mut data: Vec<OpenAiModel> = models.all_models(&ctx).await?.into_iter().map(OpenAiModel::from).collect();
    data.extend(models.aliases(&ctx).await?.into_iter().map(OpenAiModel::from));
    Ok(Json(OpenAiModelList { object: "list", data }))
}

/// Get a model (OpenAI format)
///
/// The slash in the name may be encoded as `%2F` or not.
#[utoipa::path(
    get, path = "/v1/models/{id}", tag = "openai", security(("bearer" = [])),
    params(("id" = String, Path, description = "The model's name", example = "local%2Fall-minilm-l6-v2")),
    extensions(("x-permission" = json!("models:read"))),
    responses(
        (status = 200, body = OpenAiModel),
        (status = "default", body = super::openai_chat::OpenAiError, description = "What went wrong"),
    )
)]
pub(super) async fn get_openai_model(
    State(models): State<Models>,
    OpenAiCaller(ctx): OpenAiCaller,
    path: Result<RawPathParams, RawPathParamsRejection>,
) -> Result<Json<OpenAiModel>, OpenAiProblem> {
    let path = path.map_err(|_| Error::not_found("model_not_found", "the path is not UTF-8").field("model"))?;
    let id = path.iter().map(|(_, part)| part).collect::<Vec<_>>().join("/");
    if let Ok(alias) = models.alias(&ctx, &id).await {
        return Ok(Json(alias.into()));
    }
    Ok(Json(models.model(&ctx, &id).await?.into()))
}
