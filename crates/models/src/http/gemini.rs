use axum::{
    extract::{RawPathParams, Request, State},
    response::{IntoResponse as _, Response},
};
use plasma_http::Caller;
use plasma_kernel::{Ctx, Error, Permission, Result};
use plasma_protocols::Protocol;
use serde::de::IgnoredAny;
use serde_json::{Value, json};

use super::{
    chat_answer::{ClientChat, answer},
    prompt_use::{self, PromptHeaders},
    protocol::{body, json_text, refusal, task},
};
use crate::{Models, caches::CacheWish, chat::check_size};

/// A request in Gemini's format. A provider that speaks it gets every field as it came; for others it is translated.
#[derive(Debug, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[allow(dead_code)] // the documentation of a body that is passed on or translated
pub struct GenerateContentRequest {
    /// The conversation so far, at most 1,024 entries: `{"role": "user" | "model", "parts": [{"text": "…"}]}`.
    contents: Vec<Value>,
    /// Instructions before the conversation.
    system_instruction: Option<Value>,
    /// Functions that the model may call.
    tools: Option<Vec<Value>>,
    /// Limits, sampling, the form of the answer.
    generation_config: Option<Value>,
}

/// An error in Google's format.
#[derive(Debug, utoipa::ToSchema)]
#[allow(dead_code)] // written by `plasma-protocols`
pub struct GoogleError {
    /// `{"code", "message", "status"}`.
    error: Value,
}

/// Generate content (Gemini format)
///
/// `{call}` is a model's name with what to do: `acme/large:generateContent`, `…:streamGenerateContent` (server-sent events) or
/// `…:countTokens`. The key may also come as `x-goog-api-key`, as Google's clients send it. The header `plasma-call-id` names
/// the call's record; `plasma-warning` says what a translation to the provider's format could not carry.
#[utoipa::path(
    post, path = "/gemini/v1beta/models/{call}", tag = "gemini", request_body = GenerateContentRequest,
    security(("bearer" = [])), extensions(("x-permission" = json!("models:invoke"))),
    params(
        ("call" = String, Path, description = "A model's name and what to do",
            example = "local%2Fqwen2.5-coder-0.5b-instruct:generateContent"),
        ("plasma-task" = Option<String>, Header, description = "What the call is for, such as `summaries`: scores are summed up by it"),
    ),
    responses(
        (status = 200, description = "The answer, or a stream of events", content(
            (Value = "application/json"),
            (String = "text/event-stream"),
        )),
        (status = "default", body = GoogleError, description = "What went wrong"),
    )
)]
pub(super) async fn generate_content(
    State(models): State<Models>,
    Caller(ctx): Caller,
    path: RawPathParams,
    request: Request,
) -> Response {
    let call = path.iter().map(|(_, part)| part).collect::<Vec<_>>().join("/");
    match respond(&models, &ctx, &call, request).await {
        Ok(response) => response,
        Err(error) => refusal(Protocol::Gemini, error.into()),
    }
}

async fn respond(models: &Models, ctx: &Ctx, call: &str, request: Request) -> Result<Response> {
    let (model, verb) = call.rsplit_once(':').ok_or_else(|| unknown(call))?;
    let cache = CacheWish::of(request.headers());
    let task = task(request.headers())?;
    let prompt = PromptHeaders::of(request.headers());
    let mut body = body(request, &()).await?;
    let contents: Vec<IgnoredAny> = body.get("contents")?.unwrap_or_default();
    check_size(contents.len(), 0)?;
    let streamed = match verb {
        "generateContent" => false,
        "streamGenerateContent" => true,
        "countTokens" => {
            ctx.require(Permission::ModelsInvoke)?;
            let model = Some(model.to_owned());
            let prompted = prompt_use::apply(models, ctx, Protocol::Gemini, model, &mut body, &prompt).await?;
            let count = models.count_chat_tokens(ctx, Protocol::Gemini, prompted.model.as_deref(), body).await?;
            return Ok(json_text(json!({ "totalTokens": count }).to_string()).into_response());
        }
        _ => return Err(unknown(call)),
    };
    let model = Some(model.to_owned());
    let chat = ClientChat { protocol: Protocol::Gemini, model, body, streamed, task, header: None, cache, prompt };
    Ok(answer(models, ctx, chat).await)
}

fn unknown(call: &str) -> Error {
    // What comes from outside may be long.
    let shown: String = call.chars().take(200).collect();
    Error::not_found("method_not_found", format!("`{shown}` names no method of a model"))
        .remedy("end the address with :generateContent, :streamGenerateContent or :countTokens")
}
