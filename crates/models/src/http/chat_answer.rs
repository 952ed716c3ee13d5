//! One answer to one chat, in the caller's protocol: whole or as a stream.

use std::time::Duration;

use axum::{
    http::HeaderMap,
    response::{IntoResponse as _, Response},
};
use bytes::Bytes;
use futures::{Stream, stream};
use plasma_http::event_stream;
use plasma_kernel::{CallId, Ctx, Error, Result, Timestamp};
use plasma_protocols::{
    Losses, Protocol, WireEvent, anthropic,
    chat::{Answer, Delta},
    gemini, openai_chat, openai_responses, write_sse_event,
};

use super::{
    openai_chat::client_chat,
    prompt_use::{self, PromptHeaders, Prompted},
    protocol::{Origin, json_text, refusal, with_call_id},
};
use crate::{
    ChatEvent, Models, Purpose,
    caches::CacheWish,
    gateway::{Asked, Exchange, Question, Step, Whole},
    running_call::CallError,
    upstream::RawObject,
};

/// How long an answer's status waits for a local model that loads or has others before us: what fails by then (a prompt
/// that is too long, weights that are damaged) gets its own status instead of an error inside a successful stream.
const STATUS_WAIT: Duration = Duration::from_secs(15);

/// A chat as a client asks for it.
pub(super) struct ClientChat {
    pub(super) protocol: Protocol,
    pub(super) model: Option<String>,
    pub(super) body: RawObject,
    pub(super) streamed: bool,
    /// What the call is for, in the caller's words.
    pub(super) task: Option<String>,
    /// A header that belongs to the protocol and goes on to a provider that speaks it.
    pub(super) header: Option<(reqwest::header::HeaderName, reqwest::header::HeaderValue)>,
    /// Whether the answer may be one of the cache.
    pub(super) cache: CacheWish,
    /// What headers say of prompts.
    pub(super) prompt: PromptHeaders,
}

/// Answers a client's chat.
pub(super) async fn answer(models: &Models, ctx: &Ctx, chat: ClientChat) -> Response {
    let protocol = chat.protocol;
    match exchange(models, ctx, chat).await {
        Ok(response) => response,
        Err(error) => refusal(protocol, error),
    }
}

async fn exchange(models: &Models, ctx: &Ctx, chat: ClientChat) -> Result<Response, CallError> {
    let ClientChat { protocol, model, mut body, streamed, task, header, cache, prompt } = chat;
    ctx.require(Purpose::Api.permission())?;
    // Boxed: most calls name no prompt, and must not carry its weight.
    let prompted = Box::pin(prompt_use::apply(models, ctx, protocol, model, &mut body, &prompt)).await?;
    let Prompted { model, used, losses } = prompted;
    let mut question = Question::new(Purpose::Api, Asked::Client { protocol, body, header }, streamed).for_task(task);
    question.cache = cache;
    question.prompt = used;
    let plan = models.plan_chat(ctx, model.as_deref(), &question).await?;
    let usage_wanted = question.wants_usage()?;
    let mut exchange = Exchange::start(models, ctx, question, plan).await?;
    let call_id = exchange.call_id();
    let names = Names { protocol, call_id, now: ctx.now() };
    if streamed {
        let first = first_news(&mut exchange).await.map_err(|error| CallError { call_id: Some(call_id), error })?;
        let origin = Origin::of(&exchange).with(losses);
        let response = event_stream(events(exchange, first, names, usage_wanted));
        return Ok(with_call_id(call_id, origin.on(response)));
    }
    let whole = exchange.whole().await?;
    let mut origin = Origin::of(&exchange).with(losses);
    let json = match whole {
        Whole::Raw(json) => json,
        Whole::Translated(answer) => names.write_answer(answer, &mut origin.losses),
    };
    Ok(with_call_id(call_id, origin.on(json_text(json).into_response())))
}

/// The id of the call's record, and the whole answer's JSON in the caller's protocol, for callers that are not at the other end
/// of a connection.
pub(crate) async fn whole_chat_answer(
    models: &Models,
    ctx: &Ctx,
    protocol: Protocol,
    body: RawObject,
    purpose: Purpose,
) -> Result<(CallId, String), CallError> {
    ctx.require(purpose.permission())?;
    let ClientChat { model, mut body, header, prompt, .. } = client_chat(protocol, body, &HeaderMap::new())?;
    let prompted = Box::pin(prompt_use::apply(models, ctx, protocol, model, &mut body, &prompt)).await?;
    let Prompted { model, used, .. } = prompted;
    let mut question = Question::new(purpose, Asked::Client { protocol, body, header }, false);
    question.prompt = used;
    let plan = models.plan_chat(ctx, model.as_deref(), &question).await?;
    let mut exchange = Exchange::start(models, ctx, question, plan).await?;
    let names = Names { protocol, call_id: exchange.call_id(), now: ctx.now() };
    let json = match exchange.whole().await? {
        Whole::Raw(json) => json,
        Whole::Translated(answer) => names.write_answer(answer, &mut Losses::default()),
    };
    Ok((names.call_id, json))
}

/// The first step that is something of the answer, or says that a local model is at work; `None` when none came in time.
async fn first_news(exchange: &mut Exchange) -> Result<Option<Step>> {
    let deadline = tokio::time::Instant::now() + STATUS_WAIT;
    loop {
        // A provider's first piece is waited for: only a local model's wait may be given up without losing anything.
        let step = if exchange.is_local() {
            match tokio::time::timeout_at(deadline, exchange.next()).await {
                Ok(step) => step,
                Err(_) => return Ok(None),
            }
        } else {
            exchange.next().await
        };
        match step.transpose()? {
            Some(Step::Progress(ChatEvent::Queued { .. } | ChatEvent::Loading)) => {}
            news => return Ok(news),
        }
    }
}

/// What all pieces of one answer share.
#[derive(Clone, Copy)]
struct Names {
    protocol: Protocol,
    call_id: CallId,
    now: Timestamp,
}

impl Names {
    /// An id in the protocol's style, for answers that have none.
    fn id(self) -> String {
        let prefix = match self.protocol {
            Protocol::OpenAiChat | Protocol::Bedrock => "chatcmpl-",
            Protocol::OpenAiResponses => "resp_",
            Protocol::Anthropic => "msg_",
            Protocol::Gemini => "",
        };
        format!("{prefix}{}", self.call_id)
    }

    fn complete(self, id: &mut String, created: &mut Option<i64>) {
        // An id of another protocol's style would mislead.
        *id = self.id();
        created.get_or_insert(self.now / 1_000_000);
    }

    fn write_answer(self, mut answer: Answer, losses: &mut Losses) -> String {
        self.complete(&mut answer.id, &mut answer.created);
        match self.protocol {
            Protocol::OpenAiChat | Protocol::Bedrock => openai_chat::write_answer(&answer, losses),
            Protocol::OpenAiResponses => openai_responses::write_answer(&answer, losses),
            Protocol::Anthropic => anthropic::write_answer(&answer, losses),
            Protocol::Gemini => gemini::write_answer(&answer, losses),
        }
        .to_string()
    }
}

enum Writer {
    OpenAiChat(openai_chat::StreamWriter),
    OpenAiResponses(openai_responses::StreamWriter),
    Anthropic(anthropic::StreamWriter),
    Gemini(gemini::StreamWriter),
}

impl Writer {
    fn new(protocol: Protocol, usage_wanted: bool) -> Self {
        match protocol {
            Protocol::OpenAiChat | Protocol::Bedrock => Self::OpenAiChat(openai_chat::StreamWriter::new(usage_wanted)),
            Protocol::OpenAiResponses => Self::OpenAiResponses(openai_responses::StreamWriter::new(usage_wanted)),
            Protocol::Anthropic => Self::Anthropic(anthropic::StreamWriter::new(usage_wanted)),
            Protocol::Gemini => Self::Gemini(gemini::StreamWriter::new(usage_wanted)),
        }
    }

    fn write(&mut self, delta: Delta, events: &mut Vec<WireEvent>) {
        match self {
            Self::OpenAiChat(writer) => writer.write(delta, events),
            Self::OpenAiResponses(writer) => writer.write(delta, events),
            Self::Anthropic(writer) => writer.write(delta, events),
            Self::Gemini(writer) => writer.write(delta, events),
        }
    }

    fn finish(&mut self, events: &mut Vec<WireEvent>) {
        match self {
            Self::OpenAiChat(writer) => writer.finish(events),
            Self::OpenAiResponses(writer) => writer.finish(events),
            Self::Anthropic(writer) => writer.finish(events),
            Self::Gemini(writer) => writer.finish(events),
        }
    }

    fn error(&mut self, error: &Error, events: &mut Vec<WireEvent>) {
        match self {
            Self::OpenAiChat(writer) => writer.error(error, events),
            Self::OpenAiResponses(writer) => writer.error(error, events),
            Self::Anthropic(writer) => writer.error(error, events),
            Self::Gemini(writer) => writer.error(error, events),
        }
    }
}

/// The steps of an exchange as server-sent events.
fn events(
    exchange: Exchange,
    first: Option<Step>,
    names: Names,
    usage_wanted: bool,
) -> impl Stream<Item = Bytes> + Send + 'static {
    let writer = Writer::new(names.protocol, usage_wanted);
    // Boxed: it is moved with each of its steps.
    let sender = Box::new(Sender { exchange, first, names, writer, passed_through: false });
    stream::unfold(sender, |mut sender| async move {
        let text = sender.next().await?;
        Some((Bytes::from(text), sender))
    })
}

/// A stream on its way to the caller.
struct Sender {
    exchange: Exchange,
    /// The step that was waited for before the answer began.
    first: Option<Step>,
    names: Names,
    writer: Writer,
    /// Whether the provider's own events have gone out.
    passed_through: bool,
}

impl Sender {
    /// The next events, which are at least one; `None` after the end.
    async fn next(&mut self) -> Option<String> {
        loop {
            let step = match self.first.take() {
                Some(step) => Ok(step),
                None => self.exchange.next().await?,
            };
            let text = self.write(step);
            if !text.is_empty() {
                return Some(text);
            }
        }
    }

    fn write(&mut self, step: Result<Step>) -> String {
        let mut written: Vec<WireEvent> = Vec::new();
        match step {
            // These protocols have no place for progress.
            Ok(Step::Progress(_)) => {}
            Ok(Step::Raw { text, .. }) => {
                self.passed_through = true;
                return text;
            }
            Ok(Step::Deltas(deltas)) => {
                for mut delta in deltas {
                    if let Delta::Start { id, created, .. } = &mut delta {
                        self.names.complete(id, created);
                    }
                    self.writer.write(delta, &mut written);
                }
            }
            // The mark of the end is held back until the record is durable.
            Ok(Step::Done(_)) if self.passed_through => {
                if self.names.protocol == Protocol::OpenAiChat {
                    written.push(WireEvent { name: None, data: "[DONE]".to_owned() });
                }
            }
            Ok(Step::Done(_)) => self.writer.finish(&mut written),
            Err(error) => self.writer.error(&error, &mut written),
        }
        let mut text = String::new();
        for event in &written {
            write_sse_event(event.name, &event.data, &mut text);
        }
        text
    }
}
