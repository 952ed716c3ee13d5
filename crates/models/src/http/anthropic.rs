use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderName},
    response::Response,
};
use plasma_http::Caller;
use plasma_kernel::{Ctx, Error, Permission, Result};
use plasma_protocols::Protocol;
use serde::{Serialize, de::IgnoredAny};
use serde_json::Value;

use super::{
    chat_answer::{ClientChat, answer},
    prompt_use::{self, PromptHeaders},
    protocol::{body, json_text, refusal, task},
};
use crate::{Models, caches::CacheWish, chat::check_size, upstream::RawObject};

/// What a client asks of new features by; it goes on to providers of this protocol.
const ANTHROPIC_BETA: HeaderName = HeaderName::from_static("anthropic-beta");

/// A request in Anthropic's Messages format. A provider that speaks it gets every field as it came; for others it is
/// translated.
#[derive(Debug, utoipa::ToSchema)]
#[allow(dead_code)] // the documentation of a body that is passed on or translated
pub struct MessagesRequest {
    /// A model's name; the default chat model when absent.
    #[schema(example = "local/qwen2.5-coder-0.5b-instruct")]
    model: Option<String>,
    /// The conversation so far, at most 1,024 messages.
    messages: Vec<Value>,
    /// Instructions before the conversation: a text or a list of blocks.
    system: Option<Value>,
    /// Tokens to write at most.
    max_tokens: Option<u32>,
    /// Functions that the model may call.
    tools: Option<Vec<Value>>,
    /// 0 to 1.
    temperature: Option<f32>,
    /// Whether to answer with server-sent events.
    stream: Option<bool>,
}

/// An error in Anthropic's format.
#[derive(Debug, utoipa::ToSchema)]
#[allow(dead_code)] // written by `plasma-protocols`
pub struct AnthropicError {
    /// Always `error`.
    #[serde(rename = "type")]
    kind: String,
    /// `{"type", "message"}`.
    error: Value,
}

/// How many tokens a prompt has.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct TokenCount {
    /// Tokens.
    pub input_tokens: u64,
}

/// Create a message (Anthropic format)
///
/// The key may also come as `x-api-key`, as Anthropic's clients send it. The header `plasma-call-id` names the call's
/// record; `plasma-warning` says what a translation to the provider's format could not carry.
#[utoipa::path(
    post, path = "/anthropic/v1/messages", tag = "anthropic", request_body = MessagesRequest, security(("bearer" = [])),
    params(("plasma-task" = Option<String>, Header, description = "What the call is for, such as `summaries`: scores are summed up by it")),
    extensions(("x-permission" = json!("models:invoke"))),
    responses(
        (status = 200, description = "The message, or a stream of events", content(
            (Value = "application/json"),
            (String = "text/event-stream"),
        )),
        (status = "default", body = AnthropicError, description = "What went wrong"),
    )
)]
pub(super) async fn create_message(State(models): State<Models>, Caller(ctx): Caller, request: Request) -> Response {
    match client_chat(request).await {
        Ok(chat) => answer(&models, &ctx, chat).await,
        Err(error) => refusal(Protocol::Anthropic, error.into()),
    }
}

/// Count a message's tokens (Anthropic format)
///
/// By the provider of the model, where it can count (Anthropic, Gemini), or exactly for a local model.
#[utoipa::path(
    post, path = "/anthropic/v1/messages/count_tokens", tag = "anthropic", request_body = MessagesRequest,
    security(("bearer" = [])), extensions(("x-permission" = json!("models:invoke"))),
    responses(
        (status = 200, body = TokenCount),
        (status = "default", body = AnthropicError, description = "What went wrong"),
    )
)]
pub(super) async fn count_message_tokens(
    State(models): State<Models>,
    Caller(ctx): Caller,
    request: Request,
) -> Response {
    match count(&models, &ctx, request).await {
        Ok(response) => response,
        Err(error) => refusal(Protocol::Anthropic, error.into()),
    }
}

async fn count(models: &Models, ctx: &Ctx, request: Request) -> Result<Response> {
    ctx.require(Permission::ModelsInvoke)?;
    let ClientChat { protocol, model, mut body, prompt, .. } = client_chat(request).await?;
    let prompted = prompt_use::apply(models, ctx, protocol, model, &mut body, &prompt).await?;
    let input_tokens = models.count_chat_tokens(ctx, protocol, prompted.model.as_deref(), body).await?;
    let json = serde_json::to_string(&TokenCount { input_tokens })
        .map_err(|error| Error::from_source("a count could not be written", error))?;
    Ok(axum::response::IntoResponse::into_response(json_text(json)))
}

async fn client_chat(request: Request) -> Result<ClientChat> {
    let (header, cache) = (beta(request.headers()), CacheWish::of(request.headers()));
    let task = task(request.headers())?;
    let prompt = PromptHeaders::of(request.headers());
    let body: RawObject = body(request, &()).await?;
    let messages: Vec<IgnoredAny> = body.get("messages")?.unwrap_or_default();
    check_size(messages.len(), 0)?;
    Ok(ClientChat {
        protocol: Protocol::Anthropic,
        model: body.get("model")?,
        streamed: body.get::<bool>("stream")?.unwrap_or(false),
        body,
        task,
        header,
        cache,
        prompt,
    })
}

fn beta(headers: &HeaderMap) -> Option<(HeaderName, axum::http::HeaderValue)> {
    headers.get(&ANTHROPIC_BETA).map(|value| (ANTHROPIC_BETA, value.clone()))
}
