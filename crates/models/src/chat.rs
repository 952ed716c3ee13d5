//! Chat as a call from Rust: one request and one stream of events, wherever the model runs.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use futures::{Stream, StreamExt as _, stream::BoxStream};
use plasma_kernel::{CallId, Ctx, Error, Money, Result};
use serde::Serialize;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio_util::sync::CancellationToken;

use crate::{
    ChatMessage, ModelKind, Models, Purpose, TokenUsage,
    catalog::Target,
    cost, local,
    openai::RawObject,
    remote_chat::{RemoteChat, RemoteStep},
    running_call::{CallStart, Finished, RunningCall},
};

/// Messages in one request.
pub(crate) const MESSAGES_MAX: usize = local::MESSAGES_MAX;
/// Characters of all messages together: more than any model reads.
pub(crate) const CHARACTERS_MAX: usize = 4_000_000;

/// What a chat model is to answer, and how. What is `None` is the model's or provider's own default.
#[derive(Clone, Debug)]
pub struct ChatRequest {
    /// A model's name; `None` for the default chat model.
    pub model: Option<String>,
    /// What the call is made for; it also decides which permission is needed.
    pub purpose: Purpose,
    /// The conversation so far: 1 to 1,024 messages of 4,000,000 characters together.
    pub messages: Vec<ChatMessage>,
    /// Tokens to write at most.
    pub max_tokens: Option<u32>,
    /// 0 to 2.
    pub temperature: Option<f32>,
    /// Above 0 up to 1.
    pub top_p: Option<f32>,
    /// The answer ends before the first of these.
    pub stop: Vec<String>,
    /// For answers that can be repeated.
    pub seed: Option<u64>,
    /// -2 to 2.
    pub frequency_penalty: Option<f32>,
    /// -2 to 2.
    pub presence_penalty: Option<f32>,
}

impl ChatRequest {
    /// A request to the default model that leaves everything else to it.
    pub fn new(purpose: Purpose, messages: Vec<ChatMessage>) -> Self {
        Self {
            model: None,
            purpose,
            messages,
            max_tokens: None,
            temperature: None,
            top_p: None,
            stop: Vec::new(),
            seed: None,
            frequency_penalty: None,
            presence_penalty: None,
        }
    }

    fn check(&self) -> Result<()> {
        if self.messages.is_empty() {
            return Err(Error::invalid("messages", "at least one message is needed"));
        }
        check_size(self.messages.len(), self.messages.iter().map(|message| message.content.chars().count()).sum())
    }

    fn into_local(self) -> local::ChatRequest {
        let usual = local::ChatRequest::new(self.messages);
        local::ChatRequest {
            max_tokens: self.max_tokens,
            temperature: self.temperature.unwrap_or(usual.temperature),
            top_p: self.top_p.unwrap_or(usual.top_p),
            seed: self.seed,
            stop: self.stop,
            frequency_penalty: self.frequency_penalty.unwrap_or(usual.frequency_penalty),
            presence_penalty: self.presence_penalty.unwrap_or(usual.presence_penalty),
            ..usual
        }
    }

    fn into_body(self) -> Result<RawObject> {
        #[derive(Serialize)]
        struct Message<'a> {
            role: &'static str,
            content: &'a str,
        }
        let messages: Vec<Message> = self
            .messages
            .iter()
            .map(|message| Message { role: message.role.as_str(), content: &message.content })
            .collect();
        let mut body = RawObject::default();
        body.set("messages", &messages)?;
        body.set_some("max_tokens", self.max_tokens)?;
        body.set_some("temperature", self.temperature)?;
        body.set_some("top_p", self.top_p)?;
        body.set_some("seed", self.seed)?;
        body.set_some("frequency_penalty", self.frequency_penalty)?;
        body.set_some("presence_penalty", self.presence_penalty)?;
        body.set_some("stop", Some(self.stop).filter(|stop| !stop.is_empty()))?;
        Ok(body)
    }
}

/// The limits of a conversation.
pub(crate) fn check_size(messages: usize, characters: usize) -> Result<()> {
    if messages > MESSAGES_MAX {
        return Err(Error::too_large("messages", format!("{messages} messages, the limit is {MESSAGES_MAX}")));
    }
    if characters > CHARACTERS_MAX {
        let message = format!("the messages have {characters} characters, the limit is {CHARACTERS_MAX}");
        return Err(Error::too_large("messages", message));
    }
    Ok(())
}

/// What happens to a chat, in this order; after `Done` or an error nothing follows. The first three come from local models
/// only.
#[derive(Clone, Debug)]
pub enum ChatEvent {
    /// It waits for the model; sent again when its place changes.
    Queued {
        /// Requests before it, the running one included.
        position: usize,
    },
    /// The weights are being read.
    Loading,
    /// The model reads the prompt.
    Reading {
        /// Tokens read.
        done: usize,
        /// Tokens of the prompt.
        total: usize,
    },
    /// A piece of the answer, never empty.
    Token {
        /// The text to append.
        text: String,
    },
    /// The answer is complete, and its record durable.
    Done(ChatDone),
}

/// How a chat ended well.
#[derive(Clone, Debug)]
pub struct ChatDone {
    /// `stop`, `length`, or what else the provider says.
    pub finish_reason: String,
    /// Tokens used; zeros when the provider does not say.
    pub usage: TokenUsage,
    /// From the start to the first piece.
    pub first_token_ms: Option<u64>,
    /// From the start to the end.
    pub duration_ms: u64,
    /// `None` when unknown.
    pub cost: Option<Money>,
    /// The record in the call log.
    pub call_id: CallId,
}

/// The events of one chat. Dropping it stops the work, at the provider too, and the call is recorded as cancelled.
pub struct ChatStream {
    call_id: CallId,
    model: String,
    events: BoxStream<'static, Result<ChatEvent>>,
}

impl ChatStream {
    /// The record that the call log will have.
    pub fn call_id(&self) -> CallId {
        self.call_id
    }

    /// The name of the model that answers.
    pub fn model(&self) -> &str {
        &self.model
    }
}

impl Stream for ChatStream {
    type Item = Result<ChatEvent>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.events.poll_next_unpin(context)
    }
}

impl Models {
    /// Asks a chat model. What happens comes as events, the last of which is `Done` or an error: also when the weights are
    /// missing, the queue is full or the provider refuses.
    ///
    /// # Errors
    /// At once: `forbidden` without the permission of the purpose, `invalid` or `too_large` naming the field,
    /// `not_found` (`model_not_found`), `rate_limited` (`too_many_model_calls`).
    pub async fn chat(&self, ctx: &Ctx, request: ChatRequest) -> Result<ChatStream> {
        ctx.require(request.purpose.permission())?;
        let target = self.resolve(ctx, request.model.as_deref(), ModelKind::Chat).await?;
        self.chat_with(ctx, target, request, true)
    }

    /// The same when the name has been resolved already. `streamed` says how the answer goes to the client.
    pub(crate) fn chat_with(
        &self,
        ctx: &Ctx,
        target: Target,
        request: ChatRequest,
        streamed: bool,
    ) -> Result<ChatStream> {
        request.check()?;
        match target {
            Target::Local(entry) => {
                let start = CallStart {
                    model: entry.id.clone(),
                    kind: ModelKind::Chat,
                    purpose: request.purpose,
                    streamed,
                    price: Some(cost::free()),
                };
                let call = RunningCall::start(&self.inner.calls, ctx, start)?;
                Ok(self.local_stream(entry.id, request.into_local(), call))
            }
            Target::Remote(remote) => {
                let chat = RemoteChat::start(self, ctx, &remote, request.purpose, request.into_body()?)?;
                Ok(remote_stream(remote.id.clone(), chat))
            }
        }
    }

    fn local_stream(&self, model: String, request: local::ChatRequest, call: RunningCall) -> ChatStream {
        let call_id = call.id();
        let chat = LocalChat {
            models: self.clone(),
            waiting: Some((model.clone(), request)),
            events: None,
            call: Some(call),
            usage: TokenUsage::default(),
        };
        let events = futures::stream::unfold(chat, |mut chat| async move {
            let event = chat.next().await?;
            Some((event, chat))
        });
        ChatStream { call_id, model, events: events.boxed() }
    }
}

fn remote_stream(model: String, chat: RemoteChat) -> ChatStream {
    let call_id = chat.call_id();
    let events = futures::stream::unfold((chat, "stop".to_owned()), |(mut chat, mut finish_reason)| async move {
        let event = loop {
            match chat.next().await? {
                Ok(RemoteStep::Chunk(chunk)) => {
                    finish_reason = chunk.finish_reason.unwrap_or(finish_reason);
                    if !chunk.text.is_empty() {
                        break Ok(ChatEvent::Token { text: chunk.text });
                    }
                }
                Ok(RemoteStep::Done(finished)) => {
                    break Ok(ChatEvent::Done(done(chat.call_id(), finish_reason.clone(), finished)));
                }
                Err(error) => break Err(error),
            }
        };
        Some((event, (chat, finish_reason)))
    });
    ChatStream { call_id, model, events: events.boxed() }
}

fn done(call_id: CallId, finish_reason: String, finished: Finished) -> ChatDone {
    let Finished { usage, first_token_ms, duration_ms, cost } = finished;
    ChatDone { finish_reason, usage, first_token_ms, duration_ms, cost, call_id }
}

/// A chat with a model of this process.
struct LocalChat {
    models: Models,
    /// What to ask, until the first poll asks it.
    waiting: Option<(String, local::ChatRequest)>,
    events: Option<UnboundedReceiver<local::ChatEvent>>,
    /// `None` when the chat has ended.
    call: Option<RunningCall>,
    usage: TokenUsage,
}

impl LocalChat {
    async fn next(&mut self) -> Option<Result<ChatEvent>> {
        let call = self.call.as_mut()?;
        if let Some((id, request)) = self.waiting.take() {
            match self.models.inner.local.chat(&id, request, CancellationToken::new()) {
                Ok(events) => self.events = Some(events),
                Err(error) => return self.fail(error).await,
            }
        }
        let event = match &mut self.events {
            Some(events) => events.recv().await,
            None => None,
        };
        Some(Ok(match event {
            Some(local::ChatEvent::Queued { position }) => ChatEvent::Queued { position },
            Some(local::ChatEvent::Loading) => ChatEvent::Loading,
            Some(local::ChatEvent::Reading { done, total }) => {
                call.leaves_queue();
                self.usage.input_tokens = total as u64;
                call.counts(self.usage);
                ChatEvent::Reading { done, total }
            }
            Some(local::ChatEvent::Token { text }) => {
                call.has_token();
                // A piece may be several tokens; the exact number comes with the end.
                self.usage.output_tokens += 1;
                call.counts(self.usage);
                ChatEvent::Token { text }
            }
            Some(local::ChatEvent::Done(end)) => return self.succeed(end).await,
            Some(local::ChatEvent::Error(error)) => return self.fail(error).await,
            None => return self.fail(interrupted()).await,
        }))
    }

    async fn succeed(&mut self, end: local::ChatDone) -> Option<Result<ChatEvent>> {
        let mut call = self.call.take()?;
        let finish_reason = match end.finish_reason {
            local::FinishReason::Stop => "stop",
            local::FinishReason::Length => "length",
            local::FinishReason::Cancelled => return Some(Err(call.fail(interrupted()).await)),
        };
        call.leaves_queue();
        call.counts(TokenUsage {
            input_tokens: end.input_tokens as u64,
            cached_input_tokens: end.cached_input_tokens as u64,
            output_tokens: end.output_tokens as u64,
            ..TokenUsage::default()
        });
        let call_id = call.id();
        Some(call.succeed().await.map(|finished| ChatEvent::Done(done(call_id, finish_reason.to_owned(), finished))))
    }

    async fn fail(&mut self, error: Error) -> Option<Result<ChatEvent>> {
        let call = self.call.take()?;
        Some(Err(call.fail(error).await))
    }
}

fn interrupted() -> Error {
    Error::unavailable("model_interrupted", "the model stopped before the answer was complete").remedy("try again")
}
