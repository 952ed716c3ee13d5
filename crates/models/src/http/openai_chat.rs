use std::time::Duration;

use axum::{
    extract::State,
    response::{IntoResponse, Response, sse::Event},
};
use futures::{StreamExt as _, stream};
use plasma_http::{Json, OpenAiProblem, event_stream};
use plasma_kernel::{CallId, Ctx, Error, Permission, Result};
use serde::Serialize;
use serde_json::Value;

use super::{
    openai_answers::{OpenAiBody, OpenAiCaller, json_text, with_call_id},
    openai_chat_request::{check_limits, for_local_model},
};
use crate::{
    ChatEvent, ChatStream, ModelKind, Models, Purpose, TokenUsage,
    catalog::Target,
    openai::{Chunk, RawObject, chat_usage},
    remote_chat::{RemoteChat, RemoteStep},
    running_call::CallError,
};

/// How long an answer's status waits for a local model that loads or has others before us: what fails by then (a prompt
/// that is too long, weights that are damaged) gets its own status instead of an error inside a successful stream.
const STATUS_WAIT: Duration = Duration::from_secs(15);

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
}

/// An error in OpenAI's format.
#[derive(Debug, utoipa::ToSchema)]
#[allow(dead_code)] // written by `OpenAiProblem`
pub struct OpenAiError {
    /// `{"message", "type", "param", "code"}`.
    error: Value,
}

/// A chat's answer, in OpenAI's format. An answer of a provider may have further fields.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ChatCompletion {
    /// Its id.
    pub id: String,
    /// `chat.completion`, or `chat.completion.chunk` for a piece of a stream.
    pub object: &'static str,
    /// Seconds since 1970 UTC.
    pub created: i64,
    /// The model's name.
    pub model: String,
    /// One for each answer.
    pub choices: Vec<ChatChoice>,
    /// The tokens used. In a stream only with `stream_options.include_usage`, and in the last chunk only.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<CompletionUsage>)]
    pub usage: Option<Option<CompletionUsage>>,
}

/// One answer.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ChatChoice {
    /// Its place.
    pub index: u32,
    /// The whole answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<AssistantMessage>,
    /// A piece of the answer, in a stream.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delta: Option<AssistantMessage>,
    /// Always null here: local models give no log probabilities.
    pub logprobs: Option<Value>,
    /// `stop`, `length`; null until the last chunk.
    pub finish_reason: Option<String>,
}

/// What the model says.
#[derive(Debug, Default, Serialize, utoipa::ToSchema)]
pub struct AssistantMessage {
    /// Always `assistant`; in a stream in the first chunk only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<&'static str>,
    /// The text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
    /// Always null here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refusal: Option<Option<String>>,
}

/// Tokens used, in OpenAI's format.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
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
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct PromptTokensDetails {
    /// Tokens that a cache answered.
    pub cached_tokens: u64,
}

impl From<TokenUsage> for CompletionUsage {
    fn from(usage: TokenUsage) -> Self {
        Self {
            prompt_tokens: usage.input_tokens,
            completion_tokens: usage.output_tokens,
            total_tokens: usage.input_tokens + usage.output_tokens,
            prompt_tokens_details: PromptTokensDetails { cached_tokens: usage.cached_input_tokens },
        }
    }
}

/// Complete a chat (OpenAI format)
///
/// With `stream: true` the answer comes as server-sent events, `data: {chunk}` each, and ends with `data: [DONE]`; an error in the
/// middle comes as `data: {"error": …}` and ends the stream. The header `plasma-call-id` names the call's record.
#[utoipa::path(
    post, path = "/v1/chat/completions", tag = "openai", request_body = ChatCompletionRequest, security(("bearer" = [])),
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
    OpenAiBody(body): OpenAiBody,
) -> Response {
    complete(&models, &ctx, body).await.unwrap_or_else(IntoResponse::into_response)
}

async fn complete(models: &Models, ctx: &Ctx, body: RawObject) -> Result<Response, CallError> {
    ctx.require(Permission::ModelsInvoke)?;
    check_limits(&body)?;
    let model: Option<String> = body.get("model")?;
    let streamed = body.get::<bool>("stream")?.unwrap_or(false);
    match models.resolve(ctx, model.as_deref(), ModelKind::Chat).await? {
        Target::Remote(remote) if streamed => {
            let chat = RemoteChat::start(models, ctx, &remote, Purpose::Api, body)?;
            pass_stream(chat, remote.id.clone()).await
        }
        Target::Remote(remote) => {
            let (call_id, json) = models.pass_whole(ctx, &remote, body, chat_usage).await?;
            Ok(with_call_id(call_id, json_text(json)))
        }
        Target::Local(entry) => {
            let request = for_local_model(&body, &entry)?;
            let options: RawObject = body.get("stream_options")?.unwrap_or_default();
            let with_usage = options.text("include_usage") == Some("true");
            let chat = models.chat_with(ctx, Target::Local(entry), request, streamed)?;
            let answer = LocalAnswer::new(&chat, ctx, with_usage);
            if streamed { stream_local(chat, answer).await } else { whole_local(chat, answer).await }
        }
    }
}

/// A provider's chunks under our model's name. What fails before the first chunk gets its own status.
async fn pass_stream(mut chat: RemoteChat, model: String) -> Result<Response, CallError> {
    let call_id = chat.call_id();
    let first = match chat.next().await {
        Some(Err(error)) => return Err(CallError { call_id: Some(call_id), error }),
        first => first,
    };
    let usage_wanted = chat.usage_wanted();
    let rest = stream::unfold(chat, |mut chat| async move {
        let step = chat.next().await?;
        Some((step, chat))
    });
    let events = stream::iter(first).chain(rest).filter_map(move |step| {
        let event = match step {
            Ok(RemoteStep::Chunk(chunk)) => pass_chunk(&chunk, &model, usage_wanted).transpose(),
            Ok(RemoteStep::Done(_)) => Some(Ok(Event::default().data("[DONE]"))),
            Err(error) => Some(Err(error)),
        };
        std::future::ready(event.map(|event| event.unwrap_or_else(|error| error_event(&error))))
    });
    Ok(with_call_id(call_id, event_stream(events)))
}

/// The chunk as it came, but for the model's name and the usage that only we asked for.
fn pass_chunk(chunk: &Chunk, model: &str, usage_wanted: bool) -> Result<Option<Event>> {
    if chunk.only_usage && !usage_wanted {
        return Ok(None);
    }
    let mut object =
        RawObject::parse(&chunk.json).map_err(|error| Error::from_source("a chunk is not an object", error))?;
    object.set("model", &model)?;
    if !usage_wanted && !object.has("usage") {
        object.remove("usage");
    }
    Ok(Some(Event::default().data(object.to_json()?)))
}

fn error_event(error: &Error) -> Event {
    Event::default().data(OpenAiProblem::body(error).to_string())
}

/// What all pieces of one answer of a local model share.
struct LocalAnswer {
    call_id: CallId,
    model: String,
    created: i64,
    with_usage: bool,
}

impl LocalAnswer {
    fn new(chat: &ChatStream, ctx: &Ctx, with_usage: bool) -> Self {
        Self { call_id: chat.call_id(), model: chat.model().to_owned(), created: ctx.now() / 1_000_000, with_usage }
    }

    fn completion(&self, object: &'static str, choices: Vec<ChatChoice>) -> ChatCompletion {
        ChatCompletion {
            id: format!("chatcmpl-{}", self.call_id),
            object,
            created: self.created,
            model: self.model.clone(),
            choices,
            usage: None,
        }
    }

    fn chunk(&self, choices: Vec<ChatChoice>, usage: Option<CompletionUsage>) -> Event {
        let mut chunk = self.completion("chat.completion.chunk", choices);
        // With usage asked for, every chunk has the field, and it is null in all but the last.
        chunk.usage = self.with_usage.then_some(usage);
        // Our own type with string keys always serializes.
        Event::default().data(serde_json::to_string(&chunk).unwrap_or_default())
    }

    fn delta(&self, delta: AssistantMessage, finish_reason: Option<String>) -> Event {
        let choice = ChatChoice { index: 0, message: None, delta: Some(delta), logprobs: None, finish_reason };
        self.chunk(vec![choice], None)
    }

    fn role(&self) -> Event {
        self.delta(AssistantMessage { role: Some("assistant"), content: Some(String::new()), refusal: None }, None)
    }

    fn events(&self, event: Result<ChatEvent>) -> Vec<Event> {
        match event {
            Ok(ChatEvent::Token { text }) => {
                vec![self.delta(AssistantMessage { content: Some(text), ..AssistantMessage::default() }, None)]
            }
            Ok(ChatEvent::Done(done)) => {
                let mut events = vec![self.delta(AssistantMessage::default(), Some(done.finish_reason))];
                if self.with_usage {
                    events.push(self.chunk(Vec::new(), Some(done.usage.into())));
                }
                events.push(Event::default().data("[DONE]"));
                events
            }
            // The format has no place for progress.
            Ok(ChatEvent::Queued { .. } | ChatEvent::Loading | ChatEvent::Reading { .. }) => Vec::new(),
            Err(error) => vec![error_event(&error)],
        }
    }
}

async fn stream_local(mut chat: ChatStream, answer: LocalAnswer) -> Result<Response, CallError> {
    let call_id = answer.call_id;
    let first = first_news(&mut chat).await.map_err(|error| CallError { call_id: Some(call_id), error })?;
    let role = stream::iter([answer.role()]);
    let pieces = stream::iter(first.map(Ok)).chain(chat).flat_map(move |event| stream::iter(answer.events(event)));
    Ok(with_call_id(call_id, event_stream(role.chain(pieces))))
}

/// The first event that says that the model is at work; `None` when none came in time.
async fn first_news(chat: &mut ChatStream) -> Result<Option<ChatEvent>> {
    let news = async {
        loop {
            match chat.next().await.transpose()? {
                Some(ChatEvent::Queued { .. } | ChatEvent::Loading) => {}
                news => return Ok(news),
            }
        }
    };
    tokio::time::timeout(STATUS_WAIT, news).await.unwrap_or(Ok(None))
}

async fn whole_local(mut chat: ChatStream, answer: LocalAnswer) -> Result<Response, CallError> {
    let call_id = answer.call_id;
    let mut content = String::new();
    while let Some(event) = chat.next().await {
        match event.map_err(|error| CallError { call_id: Some(call_id), error })? {
            ChatEvent::Token { text } => content.push_str(&text),
            ChatEvent::Done(done) => {
                let message = AssistantMessage { role: Some("assistant"), content: Some(content), refusal: Some(None) };
                let choice = ChatChoice {
                    index: 0,
                    message: Some(message),
                    delta: None,
                    logprobs: None,
                    finish_reason: Some(done.finish_reason),
                };
                let mut completion = answer.completion("chat.completion", vec![choice]);
                completion.usage = Some(Some(done.usage.into()));
                return Ok(with_call_id(call_id, Json(completion)));
            }
            ChatEvent::Queued { .. } | ChatEvent::Loading | ChatEvent::Reading { .. } => {}
        }
    }
    // A stream ends with `Done` or an error, so this is not reached.
    Err(CallError { call_id: Some(call_id), error: Error::internal("a chat ended without an end") })
}
