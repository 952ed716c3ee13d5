//! The routes of models, routes, providers, calls, budgets and limits, and those of the models' protocols.

mod aliases;
mod anthropic;
mod benchmarks;
mod budgets;
mod calls;
mod chat_answer;
mod custom_models;
mod gemini;
mod health;
mod limits;
mod model_price;
mod models;
mod openai_chat;
mod openai_embeddings;
mod openai_models;
mod openai_responses;
mod protocol;
mod providers;
mod routing;

use axum::{
    extract::DefaultBodyLimit,
    routing::{get, post},
};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::Models;

/// Bytes of a request to a model: images in a chat fit.
const BODY_BYTES_MAX: usize = 20 << 20;

/// `/api/v1/models`, `/api/v1/providers`, and the protocols of models: `/v1`, `/anthropic`, `/gemini`.
pub fn routes() -> OpenApiRouter<Models> {
    OpenApiRouter::new()
        .routes(routes!(models::list_models, models::create_model))
        .routes(routes!(models::delete_model))
        .routes(routes!(custom_models::create_custom_model))
        .routes(routes!(model_price::set_model_price))
        .routes(routes!(aliases::list_model_aliases))
        .routes(routes!(aliases::get_model_alias, aliases::put_model_alias, aliases::delete_model_alias))
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
        .routes(routes!(health::list_model_health))
        .routes(routes!(routing::list_routes))
        .routes(routes!(routing::put_route, routing::delete_route))
        .merge(benchmark_routes())
        .merge(model_routes())
}

fn benchmark_routes() -> OpenApiRouter<Models> {
    OpenApiRouter::new()
        .routes(routes!(benchmarks::list_model_benchmarks, benchmarks::create_model_benchmark))
        .routes(routes!(benchmarks::compare_model_benchmarks))
        .routes(routes!(benchmarks::get_model_benchmark, benchmarks::delete_model_benchmark))
        .routes(routes!(benchmarks::list_model_benchmark_results))
        .routes(routes!(benchmarks::cancel_model_benchmark))
}

fn model_routes() -> OpenApiRouter<Models> {
    OpenApiRouter::new()
        .routes(routes!(openai_chat::create_chat_completion))
        .routes(routes!(openai_responses::create_response))
        .routes(routes!(anthropic::create_message))
        .routes(routes!(anthropic::count_message_tokens))
        .routes(routes!(gemini::generate_content))
        .route("/gemini/v1beta/models/{provider}/{*call}", post(gemini::generate_content))
        .routes(routes!(openai_embeddings::create_embedding))
        .routes(routes!(openai_models::list_openai_models))
        .routes(routes!(openai_models::get_openai_model))
        // The same for clients that do not encode the slashes in a model's name.
        .route("/v1/models/{provider}/{*name}", get(openai_models::get_openai_model))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
}
