use axum::{
    extract::State,
    http::HeaderMap,
    response::{IntoResponse as _, Response},
};
use plasma_http::OpenAiProblem;
use plasma_kernel::Result;
use plasma_protocols::Protocol;
use serde::de::IgnoredAny;
use serde_json::Value;

use super::{
    chat_answer::{ClientChat, answer},
    prompt_use::PromptHeaders,
    protocol::{OpenAiBody, OpenAiCaller, task},
};
use crate::{Models, caches::CacheWish, chat::check_size, upstream::RawObject};

/// A chat request in OpenAI's format. A provider's model gets every field as it came, also those not listed here; a local
/// model refuses, by its name, a field that it cannot honor.
#[derive(Debug, utoipa::ToSchema)]
#[allow(dead_code)] // the documentation of a body that is passed on unread
pub struct ChatCompletionRequest {
    /// A model's name; the default chat model when absent.
    #[schema(example = "local/qwen2.5-coder-0.5b-instruct")]
    model: Option<String>,
    /// The conversation so far, at most 1,024 messages: `{"role": "system" | "user" | "assistant", "content": "…"}`.
    messages: Vec<Value>,
    /// Tokens to write at most.
    max_completion_tokens: Option<u32>,
    /// The older name of `max_completion_tokens`.
    max_tokens: Option<u32>,
    /// 0 to 2.
    temperature: Option<f32>,
    /// Above 0 up to 1.
    top_p: Option<f32>,
    /// The answer ends before the first of these: a text or a list of texts.
    stop: Option<Value>,
    /// For answers that can be repeated.
    seed: Option<i64>,
    /// -2 to 2.
    frequency_penalty: Option<f32>,
    /// -2 to 2.
    presence_penalty: Option<f32>,
    /// Whether to answer with server-sent events.
    stream: Option<bool>,
    /// `{"include_usage": true}` for the tokens used in the last chunk.
    stream_options: Option<Value>,
    /// A prompt of Plasma whose messages come before these: `{"name", "version" | "alias", "variables": {…}}`.
    prompt: Option<Value>,
}

/// An error in OpenAI's format.
#[derive(Debug, utoipa::ToSchema)]
#[allow(dead_code)] // written by `OpenAiProblem`
pub struct OpenAiError {
    /// `{"message", "type", "param", "code"}`.
    error: Value,
}

/// A chat's answer, in OpenAI's format. An answer of a provider may have further fields.
#[derive(Debug, utoipa::ToSchema)]
#[allow(dead_code)] // written by `plasma-protocols`, or by the provider
pub struct ChatCompletion {
    /// Its id.
    pub id: String,
    /// `chat.completion`, or `chat.completion.chunk` for a piece of a stream.
    pub object: String,
    /// Seconds since 1970 UTC.
    pub created: i64,
    /// The model's name.
    pub model: String,
    /// One for each answer.
    pub choices: Vec<ChatChoice>,
    /// The tokens used. In a stream only with `stream_options.include_usage`, and in the last chunk only.
    pub usage: Option<CompletionUsage>,
}

/// One answer.
#[derive(Debug, utoipa::ToSchema)]
#[allow(dead_code)]
pub struct ChatChoice {
    /// Its place.
    pub index: u32,
    /// The whole answer.
    pub message: Option<AssistantMessage>,
    /// A piece of the answer, in a stream.
    pub delta: Option<AssistantMessage>,
    /// Always null here: local models give no log probabilities.
    pub logprobs: Option<Value>,
    /// `stop`, `length`; null until the last chunk.
    pub finish_reason: Option<String>,
}

/// What the model says.
#[derive(Debug, utoipa::ToSchema)]
#[allow(dead_code)]
pub struct AssistantMessage {
    /// Always `assistant`; in a stream in the first chunk only.
    pub role: Option<String>,
    /// The text.
    pub content: Option<String>,
    /// Always null here.
    pub refusal: Option<String>,
}

/// Tokens used, in OpenAI's format.
#[derive(Debug, utoipa::ToSchema)]
#[allow(dead_code)]
pub struct CompletionUsage {
    /// Tokens read.
    pub prompt_tokens: u64,
    /// Tokens written.
    pub completion_tokens: u64,
    /// Both.
    pub total_tokens: u64,
    /// What is known of the tokens read.
    pub prompt_tokens_details: PromptTokensDetails,
}

/// What is known of the tokens read.
#[derive(Debug, utoipa::ToSchema)]
#[allow(dead_code)]
pub struct PromptTokensDetails {
    /// Tokens that a cache answered.
    pub cached_tokens: u64,
}

/// Complete a chat (OpenAI format)
///
/// With `stream: true` the answer comes as server-sent events, `data: {chunk}` each, and ends with `data: [DONE]`; an error in the
/// middle comes as `data: {"error": …}` and ends the stream. The header `plasma-call-id` names the call's record.
#[utoipa::path(
    post, path = "/v1/chat/completions", tag = "openai", request_body = ChatCompletionRequest, security(("bearer" = [])),
    params(("plasma-task" = Option<String>, Header, description = "What the call is for, such as `summaries`: scores are summed up by it")),
    extensions(("x-permission" = json!("models:invoke"))),
    responses(
        (status = 200, description = "The answer, or a stream of chunks", content(
            (ChatCompletion = "application/json"),
            (String = "text/event-stream"),
        )),
        (status = "default", body = OpenAiError, description = "What went wrong"),
    )
)]
pub(super) async fn create_chat_completion(
    State(models): State<Models>,
    OpenAiCaller(ctx): OpenAiCaller,
    headers: HeaderMap,
    OpenAiBody(body): OpenAiBody,
) -> Response {
    let chat = match client_chat(Protocol::OpenAiChat, body, &headers) {
        Ok(chat) => chat,
        Err(error) => return OpenAiProblem(error).into_response(),
    };
    answer(&models, &ctx, chat).await
}

/// What OpenAI's two protocols say in the same fields.
pub(super) fn client_chat(protocol: Protocol, body: RawObject, headers: &HeaderMap) -> Result<ClientChat> {
    let messages = if protocol == Protocol::OpenAiResponses { "input" } else { "messages" };
    // Responses take a text as well.
    if protocol == Protocol::OpenAiChat || body.text(messages).is_some_and(|text| text.starts_with('[')) {
        let messages: Vec<IgnoredAny> = body.get(messages)?.unwrap_or_default();
        check_size(messages.len(), 0)?;
    }
    Ok(ClientChat {
        protocol,
        model: body.get("model")?,
        streamed: body.get::<bool>("stream")?.unwrap_or(false),
        body,
        task: task(headers)?,
        header: None,
        cache: CacheWish::of(headers),
        prompt: PromptHeaders::of(headers),
    })
}
