//! The routes of models, providers, calls, budgets and limits, and those of the OpenAI format.

mod budgets;
mod calls;
mod limits;
mod models;
mod openai_answers;
mod openai_chat;
mod openai_chat_request;
mod openai_embeddings;
mod openai_models;
mod providers;

use axum::{extract::DefaultBodyLimit, routing::get};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::Models;

/// Bytes of a request's body under `/v1`: images in a chat fit.
const BODY_BYTES_MAX: usize = 20 << 20;

/// `/api/v1/models`, `/api/v1/providers` and `/v1`.
pub fn routes() -> OpenApiRouter<Models> {
    OpenApiRouter::new()
        .routes(routes!(models::list_models, models::create_model))
        .routes(routes!(models::delete_model))
        .routes(routes!(calls::list_model_calls))
        .routes(routes!(calls::get_model_call))
        .routes(routes!(calls::get_model_usage))
        .routes(routes!(budgets::list_budgets, budgets::create_budget))
        .routes(routes!(budgets::get_budget, budgets::change_budget, budgets::delete_budget))
        .routes(routes!(limits::list_model_limits, limits::create_model_limit))
        .routes(routes!(limits::change_model_limit, limits::delete_model_limit))
        .routes(routes!(providers::list_providers, providers::create_provider))
        .routes(routes!(providers::get_provider, providers::change_provider, providers::delete_provider))
        .routes(routes!(providers::test_provider))
        .merge(openai_routes())
}

fn openai_routes() -> OpenApiRouter<Models> {
    OpenApiRouter::new()
        .routes(routes!(openai_chat::create_chat_completion))
        .routes(routes!(openai_embeddings::create_embedding))
        .routes(routes!(openai_models::list_openai_models))
        .routes(routes!(openai_models::get_openai_model))
        // The same for clients that do not encode the slashes in a model's name.
        .route("/v1/models/{provider}/{*name}", get(openai_models::get_openai_model))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
}
