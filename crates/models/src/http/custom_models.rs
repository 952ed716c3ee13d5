use axum::{
    extract::State,
    http::{StatusCode, header},
    response::IntoResponse,
};
use plasma_http::{Caller, Json, Problem, ProblemBody};
use serde::Deserialize;

use super::models::ModelBody;
use crate::{Models, NewCustomModel, manifest::Precision};

/// Weights to add as a model.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewCustomModel)]
pub struct NewCustomModelBody {
    /// It is called as `local/<name>`: letters, digits and `._-`.
    #[schema(max_length = 100, example = "contracts-7b")]
    name: String,
    /// A GGUF file, or a folder with an embedding model of the BERT family (`config.json`, `tokenizer.json`,
    /// `model.safetensors`), below the server's models directory or a folder of `custom_models_dirs`. Relative paths begin at
    /// the models directory.
    #[schema(max_length = 1000, example = "acme--contracts-7b/contracts-7b-q4.gguf")]
    path: String,
    /// What it is made for, such as `legal`: lowercase letters, digits and hyphens.
    #[schema(max_length = 40)]
    domain: Option<String>,
    /// For people.
    #[schema(max_length = 500)]
    description: Option<String>,
    /// Tokens that it reads at most. When absent what it was trained for, of a chat model at most 4,096.
    context_length: Option<u32>,
    /// In which numbers an embedding model multiplies: `f32` when absent, or `int8`, which is faster and whose
    /// vectors differ slightly (cosines of about 0.999).
    precision: Option<Precision>,
}

/// Add a custom model
///
/// Weights on the server's machine become a model of the workspace. They are read once and their SHA-256 is kept: a file that
/// changes later is refused. Copy or pull them into the models directory first.
#[utoipa::path(
    post, path = "/api/v1/models/custom", tag = "models", request_body = NewCustomModelBody, security(("bearer" = [])),
    extensions(("x-permission" = json!("models:write"))),
    responses(
        (status = 201, body = ModelBody),
        (status = "default", body = ProblemBody, content_type = "application/problem+json", description = "What went wrong"),
    )
)]
pub(super) async fn create_custom_model(
    State(models): State<Models>,
    Caller(ctx): Caller,
    Json(body): Json<NewCustomModelBody>,
) -> Result<impl IntoResponse, Problem> {
    let NewCustomModelBody { name, path, domain, description, context_length, precision } = body;
    let new = NewCustomModel { name, path, domain, description, context_length, precision };
    let model = models.create_custom_model(&ctx, new).await?;
    let location = format!("/v1/models/{}", model.id);
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], Json(ModelBody::from(model))))
}
