//! Chat as a call from Rust: one request and one stream of events, wherever the model runs.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use futures::{Stream, StreamExt as _, stream::BoxStream};
use plasma_kernel::{CallId, Ctx, Error, Money, Result};
use plasma_protocols::chat::{Delta, Message, Part, PartStart, Request, StopReason};

use crate::{
    ChatMessage, Models, PromptCall, PromptRole, Purpose, RenderedPrompt, TokenUsage,
    gateway::{Asked, Exchange, Question, Step},
    local::{self, Role},
    running_call::Finished,
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
    /// A prompt whose messages come before the conversation, and whose model and parameters count where none is named here.
    pub prompt: Option<PromptCall>,
    /// The conversation so far: 1 to 1,024 messages, those of the prompt included, of 4,000,000 characters together.
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
            prompt: None,
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

    /// Puts the messages of a prompt before the conversation, its instructions before other instructions.
    fn begin_with(&mut self, prompt: RenderedPrompt) {
        let role = |role| match role {
            PromptRole::System => Role::System,
            PromptRole::User => Role::User,
            PromptRole::Assistant => Role::Assistant,
        };
        let turns = prompt
            .messages
            .into_iter()
            .map(|message| ChatMessage { role: role(message.role), content: message.content });
        let (mut messages, turns): (Vec<ChatMessage>, Vec<ChatMessage>) =
            turns.partition(|message| message.role == Role::System);
        let own = std::mem::take(&mut self.messages);
        let instructions = own.iter().take_while(|message| message.role == Role::System).count();
        let mut own = own.into_iter();
        messages.extend(own.by_ref().take(instructions));
        messages.extend(turns);
        messages.extend(own);
        self.messages = messages;
        let parameters = prompt.parameters;
        self.model = self.model.take().or(prompt.model);
        self.max_tokens = self.max_tokens.or(parameters.max_tokens);
        self.temperature = self.temperature.or(parameters.temperature.map(|number| number as f32));
        self.top_p = self.top_p.or(parameters.top_p.map(|number| number as f32));
        if self.stop.is_empty() {
            self.stop = parameters.stop;
        }
    }

    fn check(&self) -> Result<()> {
        if self.messages.is_empty() {
            return Err(Error::invalid("messages", "at least one message is needed"));
        }
        check_size(self.messages.len(), self.messages.iter().map(|message| message.content.chars().count()).sum())
    }

    /// In the form that every protocol can be written from.
    fn into_request(self) -> Request {
        let mut request = Request {
            max_output_tokens: self.max_tokens.map(u64::from),
            temperature: self.temperature.map(f64::from),
            top_p: self.top_p.map(f64::from),
            seed: self.seed.map(u64::cast_signed),
            frequency_penalty: self.frequency_penalty.map(f64::from),
            presence_penalty: self.presence_penalty.map(f64::from),
            stop: self.stop,
            ..Request::default()
        };
        for message in self.messages {
            let part = Part::text(message.content);
            let role = match message.role {
                Role::System if request.messages.is_empty() => {
                    request.system.push(part);
                    continue;
                }
                Role::System => plasma_protocols::chat::Role::System,
                Role::User => plasma_protocols::chat::Role::User,
                Role::Assistant => plasma_protocols::chat::Role::Assistant,
            };
            request.messages.push(Message { role, name: None, parts: vec![part] });
        }
        request
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
    /// `not_found` (`model_not_found`, `prompt_not_found`, …), `rate_limited` (`too_many_model_calls`).
    pub async fn chat(&self, ctx: &Ctx, mut request: ChatRequest) -> Result<ChatStream> {
        ctx.require(request.purpose.permission())?;
        let mut used = None;
        if let Some(call) = request.prompt.take() {
            // Boxed: most calls name no prompt, and must not carry its weight.
            let prompt = Box::pin(self.use_prompt(ctx, call)).await?;
            used.clone_from(&prompt.used);
            request.begin_with(prompt);
        }
        request.check()?;
        let (purpose, model) = (request.purpose, request.model.clone());
        let mut question = Question::new(purpose, Asked::Ours(Box::new(request.into_request())), true);
        question.prompt = used;
        let plan = self.plan_chat(ctx, model.as_deref(), &question).await?;
        let exchange = Exchange::start(self, ctx, question, plan).await?;
        let (call_id, model) = (exchange.call_id(), exchange.model().to_owned());
        let answer = Answering { exchange, open_text: false, finish_reason: "stop".to_owned() };
        let events = futures::stream::unfold(answer, |mut answer| async move {
            let event = answer.next().await?;
            Some((event, answer))
        });
        Ok(ChatStream { call_id, model, events: events.boxed() })
    }
}

/// An exchange whose texts are wanted, and nothing else of it.
struct Answering {
    exchange: Exchange,
    /// Whether the open part is text, and not thoughts or a tool call.
    open_text: bool,
    finish_reason: String,
}

impl Answering {
    async fn next(&mut self) -> Option<Result<ChatEvent>> {
        loop {
            return Some(match self.exchange.next().await? {
                Ok(Step::Progress(event)) => Ok(event),
                Ok(Step::Deltas(deltas)) => match self.text_of(deltas) {
                    text if text.is_empty() => continue,
                    text => Ok(ChatEvent::Token { text }),
                },
                // Only clients are passed a provider's own events.
                Ok(Step::Raw { .. }) => continue,
                Ok(Step::Done(finished)) => {
                    Ok(ChatEvent::Done(done(self.exchange.call_id(), self.finish_reason.clone(), finished)))
                }
                Err(error) => Err(error),
            });
        }
    }

    fn text_of(&mut self, deltas: Vec<Delta>) -> String {
        let mut text = String::new();
        for delta in deltas {
            match delta {
                Delta::Open { part, .. } => self.open_text = matches!(part, PartStart::Text | PartStart::Refusal),
                Delta::Append { text: more, .. } if self.open_text => text.push_str(&more),
                Delta::Stop { reason, .. } => {
                    self.finish_reason = match reason {
                        StopReason::MaxTokens => "length".to_owned(),
                        StopReason::Other(word) => word,
                        StopReason::Refusal => "content_filter".to_owned(),
                        StopReason::End | StopReason::StopSequence | StopReason::ToolUse | StopReason::Pause => {
                            "stop".to_owned()
                        }
                    };
                }
                _ => {}
            }
        }
        text
    }
}

fn done(call_id: CallId, finish_reason: String, finished: Finished) -> ChatDone {
    let Finished { usage, first_token_ms, duration_ms, cost } = finished;
    ChatDone { finish_reason, usage, first_token_ms, duration_ms, cost, call_id }
}
