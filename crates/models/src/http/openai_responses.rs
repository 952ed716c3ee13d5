use axum::{
    extract::State,
    http::HeaderMap,
    response::{IntoResponse as _, Response},
};
use plasma_http::OpenAiProblem;
use plasma_protocols::Protocol;
use serde_json::Value;

use super::{
    chat_answer::answer,
    openai_chat::{OpenAiError, client_chat},
    protocol::{OpenAiBody, OpenAiCaller},
};
use crate::Models;

/// A request in OpenAI's Responses format. A provider that has this format gets every field as it came; for others it is
/// translated.
#[derive(Debug, utoipa::ToSchema)]
#[allow(dead_code)] // the documentation of a body that is passed on or translated
pub struct ResponsesRequest {
    /// A model's name; the default chat model when absent.
    #[schema(example = "local/qwen2.5-coder-0.5b-instruct")]
    model: Option<String>,
    /// A text, or a list of items: messages, function calls and their outputs, reasoning.
    input: Value,
    /// Instructions before the conversation.
    instructions: Option<String>,
    /// Functions that the model may call.
    tools: Option<Vec<Value>>,
    /// Tokens to write at most, reasoning included.
    max_output_tokens: Option<u32>,
    /// 0 to 2.
    temperature: Option<f32>,
    /// `{"effort": "low", "summary": "auto"}`.
    reasoning: Option<Value>,
    /// `{"format": {"type": "json_schema", …}}`.
    text: Option<Value>,
    /// Whether to answer with server-sent events.
    stream: Option<bool>,
    /// A prompt of Plasma whose messages come before these: `{"id": its name, "version": a number or an alias,
    /// "variables": {…}}`. Ids that begin with `pmpt_` are OpenAI's own and pass on.
    prompt: Option<Value>,
}

/// Create a response (OpenAI format)
///
/// Responses are not stored: send the whole conversation as `input`. The header `plasma-call-id` names the call's record;
/// `plasma-warning` says what a translation to the provider's format could not carry.
#[utoipa::path(
    post, path = "/v1/responses", tag = "openai", request_body = ResponsesRequest, security(("bearer" = [])),
    params(("plasma-task" = Option<String>, Header, description = "What the call is for, such as `summaries`: scores are summed up by it")),
    extensions(("x-permission" = json!("models:invoke"))),
    responses(
        (status = 200, description = "The response, or a stream of events", content(
            (Value = "application/json"),
            (String = "text/event-stream"),
        )),
        (status = "default", body = OpenAiError, description = "What went wrong"),
    )
)]
pub(super) async fn create_response(
    State(models): State<Models>,
    OpenAiCaller(ctx): OpenAiCaller,
    headers: HeaderMap,
    OpenAiBody(body): OpenAiBody,
) -> Response {
    match client_chat(Protocol::OpenAiResponses, body, &headers) {
        Ok(chat) => answer(&models, &ctx, chat).await,
        Err(error) => OpenAiProblem(error).into_response(),
    }
}
