//! How models have been doing.

use axum::extract::State;
use plasma_http::{Caller, Json, Problem, ProblemBody};
use serde::Serialize;

use crate::{ModelHealth, Models};

/// How a model at a provider has been doing lately, as the process that answers saw it.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = ModelHealth)]
pub struct ModelHealthBody {
    /// The model's name.
    #[schema(example = "acme/large")]
    pub model: String,
    /// Whether routes ask it last, because it failed several times in a row.
    pub circuit_open: bool,
    /// How long that lasts yet, in milliseconds; 0 when the next request tries it, null when the circuit is closed.
    #[schema(required)]
    pub open_for_ms: Option<u64>,
    /// Failures since its last answer.
    pub failures_in_a_row: u32,
    /// The 95th percentile of the time to the first token, in milliseconds; null without an answer.
    #[schema(required)]
    pub first_token_p95_ms: Option<u32>,
    /// Answers that the percentile is taken from, at most the last 128.
    pub samples: usize,
}

/// The health of models.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ModelHealthList {
    /// In the order of the models' names; models that have not been called in the last hour are absent.
    pub data: Vec<ModelHealthBody>,
}

/// Read the health of models
///
/// Each process sees the calls that pass through it. Five failures in a row open a model's circuit: then routes ask it last,
/// until its provider answers again.
#[utoipa::path(
    get, path = "/api/v1/models/health", tag = "models", security(("bearer" = [])),
    extensions(("x-permission" = json!("models:read"))),
    responses(
        (status = 200, body = ModelHealthList),
        (status = "default", body = ProblemBody, content_type = "application/problem+json", description = "What went wrong"),
    )
)]
pub(super) async fn list_model_health(
    State(models): State<Models>,
    Caller(ctx): Caller,
) -> Result<Json<ModelHealthList>, Problem> {
    let data = models.health(&ctx).await?.into_iter().map(ModelHealthBody::from).collect();
    Ok(Json(ModelHealthList { data }))
}

impl From<ModelHealth> for ModelHealthBody {
    fn from(health: ModelHealth) -> Self {
        let ModelHealth { model, circuit_open, open_for_ms, failures_in_a_row, first_token_p95_ms, samples } = health;
        Self { model, circuit_open, open_for_ms, failures_in_a_row, first_token_p95_ms, samples }
    }
}
