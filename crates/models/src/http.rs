//! The routes of models, routes, providers, calls, budgets and limits, and those of the models' protocols.

mod aliases;
mod anthropic;
mod batches;
mod benchmarks;
mod budgets;
mod caches;
mod calls;
mod capture;
mod chat_answer;
mod complexity;
mod custom_models;
mod files;
mod gemini;
mod health;
mod limits;
mod model_capabilities;
mod model_price;
mod models;
mod openai_chat;
mod openai_embeddings;
mod openai_media;
mod openai_models;
mod openai_rerank;
mod openai_responses;
mod prompt_use;
mod prompt_versions;
mod prompts;
mod protocol;
mod providers;
mod pulls;
mod quality;
mod routing;
mod usage;
mod usage_csv;

use axum::{
    extract::DefaultBodyLimit,
    routing::{get, post},
};
use utoipa_axum::{
    router::{OpenApiRouter, UtoipaMethodRouterExt as _},
    routes,
};

pub(crate) use chat_answer::whole_chat_answer;
pub(crate) use openai_embeddings::embedding_answer;

use crate::Models;

/// Reads a form as the route that writes recordings down does: for fuzzing only.
#[cfg(fuzzing)]
#[doc(hidden)]
pub async fn read_recording(request: axum::extract::Request) -> bool {
    openai_media::read_form(request).await.is_ok()
}

/// Bytes of a request to a model: images in a chat fit.
const BODY_BYTES_MAX: usize = 20 << 20;

/// `/api/v1/models`, `/api/v1/prompts`, `/api/v1/usage`, `/api/v1/providers`, and the protocols of models: `/v1`, `/anthropic`,
/// `/gemini`.
pub fn routes() -> OpenApiRouter<Models> {
    OpenApiRouter::new()
        .routes(routes!(models::list_models, models::create_model))
        .routes(routes!(models::delete_model))
        .routes(routes!(custom_models::create_custom_model))
        .routes(routes!(model_price::set_model_price))
        .routes(routes!(model_capabilities::set_model_capabilities))
        .routes(routes!(aliases::list_model_aliases))
        .routes(routes!(aliases::get_model_alias, aliases::put_model_alias, aliases::delete_model_alias))
        .routes(routes!(complexity::measure_complexity))
        .routes(routes!(calls::list_model_calls))
        .routes(routes!(calls::get_model_call))
        .routes(routes!(calls::get_model_usage))
        .routes(routes!(capture::get_model_call_payload, capture::delete_model_call_payload))
        .routes(routes!(capture::get_model_capture, capture::put_model_capture))
        .routes(routes!(usage::get_usage))
        .routes(routes!(quality::give_call_feedback))
        .routes(routes!(quality::get_quality_settings, quality::put_quality_settings))
        .routes(routes!(quality::list_quality_scores))
        .routes(routes!(budgets::list_budgets, budgets::create_budget))
        .routes(routes!(budgets::get_budget, budgets::change_budget, budgets::delete_budget))
        .routes(routes!(limits::list_model_limits, limits::create_model_limit))
        .routes(routes!(limits::change_model_limit, limits::delete_model_limit))
        .routes(routes!(caches::get_model_cache, caches::set_model_cache, caches::purge_model_cache))
        .routes(routes!(caches::get_model_cache_usage))
        .routes(routes!(caches::calibrate_model_cache))
        .routes(routes!(providers::list_providers, providers::create_provider))
        .routes(routes!(providers::get_provider, providers::change_provider, providers::delete_provider))
        .routes(routes!(providers::test_provider))
        .routes(routes!(pulls::list_model_pulls, pulls::create_model_pull))
        .routes(routes!(pulls::get_model_pull, pulls::cancel_model_pull))
        .routes(routes!(health::list_model_health))
        .routes(routes!(routing::list_routes))
        .routes(routes!(routing::put_route, routing::delete_route))
        .routes(routes!(prompts::list_prompts, prompts::create_prompt))
        .routes(routes!(prompts::get_prompt, prompts::delete_prompt))
        .routes(routes!(prompts::render_prompt))
        .routes(routes!(prompts::put_prompt_alias, prompts::delete_prompt_alias))
        .routes(routes!(prompt_versions::list_prompt_versions, prompt_versions::create_prompt_version))
        .routes(routes!(prompt_versions::get_prompt_version))
        .routes(routes!(prompt_versions::diff_prompt_versions))
        .merge(batch_routes())
        .merge(benchmark_routes())
        .merge(model_routes())
}

fn batch_routes() -> OpenApiRouter<Models> {
    // The file is read piece by piece and has a limit of its own.
    let upload = routes!(files::list_files, files::create_file).layer(DefaultBodyLimit::disable());
    OpenApiRouter::new()
        .routes(upload)
        .routes(routes!(files::get_file, files::delete_file))
        .routes(routes!(files::get_file_content))
        .routes(routes!(batches::list_batches, batches::create_batch))
        .routes(routes!(batches::get_batch))
        .routes(routes!(batches::cancel_batch))
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
        .routes(routes!(openai_rerank::create_rerank))
        .routes(routes!(openai_media::create_image))
        .routes(routes!(openai_media::create_speech))
        .routes(routes!(openai_media::create_transcription))
        .routes(routes!(openai_models::list_openai_models))
        .routes(routes!(openai_models::get_openai_model))
        // The same for clients that do not encode the slashes in a model's name.
        .route("/v1/models/{provider}/{*name}", get(openai_models::get_openai_model))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
}
