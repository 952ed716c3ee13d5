//! A model of this process as the source of an answer, and what it can be asked.

use plasma_kernel::{Code, Error, Result};
use plasma_protocols::{
    Losses,
    chat::{self, Content, Delta, OutputFormat, PartStart, StopReason, ToolChoice},
};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio_util::sync::CancellationToken;

use super::needs::{asks_to_think, uses_tools};
use crate::{
    ChatMessage, Models, Role, TokenUsage,
    chat::{ChatEvent, check_size},
    local,
    manifest::ModelEntry,
    running_call::RunningCall,
};

/// Fields for the books or the speed of a provider: an answer is as right without them.
const HARMLESS: [&str; 12] = [
    "user",
    "metadata",
    "store",
    "service_tier",
    "safety_identifier",
    "prompt_cache_key",
    "prompt_cache_retention",
    "prediction",
    "safetySettings",
    "labels",
    "cache_control",
    "stream_options",
];

/// A field that a local model cannot honor.
pub(crate) fn not_for_local_models(field: impl Into<String>) -> Error {
    let field = field.into();
    Error::new(Code::Invalid, "local_model_limited", format!("local models cannot honor `{field}`"))
        .field(field)
        .remedy("leave it out, or name a model of a provider that supports it")
}

/// The question for a local model.
///
/// # Errors
/// `invalid` naming the field that a local model cannot honor, `too_large` beyond the limits of a conversation.
pub(super) fn into_local_request(
    request: &chat::Request,
    losses: &Losses,
    entry: &ModelEntry,
) -> Result<local::ChatRequest> {
    refuse_what_is_not_honored(request, losses)?;
    if let Some(tokens) = request.max_output_tokens
        && (tokens == 0 || tokens > entry.context_length as u64)
    {
        return Err(Error::invalid("max_tokens", format!("must be 1 to {} for `{}`", entry.context_length, entry.id)));
    }
    let mut messages = Vec::with_capacity(request.messages.len() + 1);
    if !request.system.is_empty() {
        messages.push(ChatMessage { role: Role::System, content: text_of(&request.system, "system")? });
    }
    for (index, message) in request.messages.iter().enumerate() {
        let role = match message.role {
            chat::Role::System => Role::System,
            chat::Role::User => Role::User,
            chat::Role::Assistant => Role::Assistant,
        };
        let content = text_of(&message.parts, &format!("messages[{index}].parts"))?;
        messages.push(ChatMessage { role, content });
    }
    if messages.is_empty() {
        return Err(Error::invalid("messages", "at least one message is needed"));
    }
    check_size(messages.len(), messages.iter().map(|message| message.content.chars().count()).sum())?;
    let narrow = |number: Option<f64>, usual: f32| number.map_or(usual, |number| number as f32);
    let usual = local::ChatRequest::new(messages);
    Ok(local::ChatRequest {
        max_tokens: request.max_output_tokens.and_then(|tokens| u32::try_from(tokens).ok()),
        temperature: narrow(request.temperature, usual.temperature),
        top_p: narrow(request.top_p, usual.top_p),
        // Signed seeds each have their own unsigned one.
        seed: request.seed.map(i64::cast_unsigned),
        stop: request.stop.clone(),
        frequency_penalty: narrow(request.frequency_penalty, usual.frequency_penalty),
        presence_penalty: narrow(request.presence_penalty, usual.presence_penalty),
        ..usual
    })
}

fn refuse_what_is_not_honored(request: &chat::Request, losses: &Losses) -> Result<()> {
    let lost = losses.iter().find(|loss| {
        let name = loss.field.rsplit('.').next().unwrap_or(&loss.field);
        !HARMLESS.contains(&name)
    });
    if let Some(loss) = lost {
        return Err(not_for_local_models(&loss.field));
    }
    let refused = [
        ("tools", uses_tools(request)),
        ("tool_choice", matches!(request.tool_choice, Some(ToolChoice::Required | ToolChoice::Named(_)))),
        ("output", request.output != OutputFormat::Text),
        ("choices", request.choices.is_some_and(|choices| choices != 1)),
        ("logprobs", request.logprobs.is_some()),
        ("top_k", request.top_k.is_some()),
        ("reasoning_effort", asks_to_think(request)),
    ];
    match refused.into_iter().find(|(_, is_refused)| *is_refused) {
        Some((field, _)) => Err(not_for_local_models(field)),
        None => Ok(()),
    }
}

/// The text of parts that are texts. Thoughts of former turns are left out, as their own models want it too.
fn text_of(parts: &[chat::Part], place: &str) -> Result<String> {
    let mut texts = Vec::with_capacity(parts.len());
    for (index, part) in parts.iter().enumerate() {
        match &part.content {
            Content::Text(text) | Content::Refusal(text) => texts.push(text.as_str()),
            Content::Reasoning(_) => {}
            Content::ToolCall(_) | Content::ToolResult(_) => return Err(not_for_local_models("tools")),
            Content::Image(_) | Content::Audio(_) | Content::Video(_) | Content::Document(_) => {
                return Err(not_for_local_models(format!("{place}[{index}]")));
            }
        }
    }
    Ok(texts.join("\n"))
}

/// A chat with a model of this process.
pub(super) struct LocalSource {
    events: UnboundedReceiver<local::ChatEvent>,
    model: String,
    has_begun: bool,
    usage: TokenUsage,
    is_over: bool,
}

/// What a local model's event means.
pub(super) enum LocalStep {
    /// Before the first token.
    Progress(ChatEvent),
    Deltas(Vec<Delta>),
    /// The last pieces of a complete answer.
    Last(Vec<Delta>),
}

impl LocalSource {
    /// # Errors
    /// As [`crate::LocalModels::chat`].
    pub(super) fn start(models: &Models, entry: &ModelEntry, request: local::ChatRequest) -> Result<Self> {
        let events = models.inner.local.chat(&entry.key(), request, CancellationToken::new())?;
        Ok(Self { events, model: entry.id.clone(), has_begun: false, usage: TokenUsage::default(), is_over: false })
    }

    /// What happens next; `None` after the last pieces.
    pub(super) async fn next(&mut self, call: &mut RunningCall) -> Result<Option<LocalStep>> {
        if self.is_over {
            return Ok(None);
        }
        Ok(Some(match self.events.recv().await {
            Some(local::ChatEvent::Queued { position }) => LocalStep::Progress(ChatEvent::Queued { position }),
            Some(local::ChatEvent::Loading) => LocalStep::Progress(ChatEvent::Loading),
            Some(local::ChatEvent::Reading { done, total }) => {
                call.leaves_queue();
                self.usage.input_tokens = total as u64;
                call.counts(self.usage);
                LocalStep::Progress(ChatEvent::Reading { done, total })
            }
            Some(local::ChatEvent::Token { text }) => {
                // A piece may be several tokens; the exact number comes with the end.
                self.usage.output_tokens += 1;
                call.counts(self.usage);
                let mut deltas = self.begin();
                deltas.push(Delta::Append { choice: 0, text });
                LocalStep::Deltas(deltas)
            }
            Some(local::ChatEvent::Done(end)) => LocalStep::Last(self.finish(call, &end)?),
            Some(local::ChatEvent::Error(error)) => return Err(error),
            None => return Err(interrupted()),
        }))
    }

    fn begin(&mut self) -> Vec<Delta> {
        if std::mem::replace(&mut self.has_begun, true) {
            return Vec::new();
        }
        vec![
            Delta::Start { id: String::new(), model: self.model.clone(), created: None },
            Delta::Open { choice: 0, part: PartStart::Text },
        ]
    }

    fn finish(&mut self, call: &mut RunningCall, end: &local::ChatDone) -> Result<Vec<Delta>> {
        self.is_over = true;
        let reason = match end.finish_reason {
            local::FinishReason::Stop => StopReason::End,
            local::FinishReason::Length => StopReason::MaxTokens,
            local::FinishReason::Cancelled => return Err(interrupted()),
        };
        call.leaves_queue();
        let usage = chat::Usage {
            input_tokens: end.input_tokens as u64,
            cached_input_tokens: end.cached_input_tokens as u64,
            output_tokens: end.output_tokens as u64,
            ..chat::Usage::default()
        };
        let mut deltas = self.begin();
        deltas.push(Delta::Close { choice: 0 });
        deltas.push(Delta::Stop { choice: 0, reason, sequence: None });
        deltas.push(Delta::Usage(usage));
        Ok(deltas)
    }
}

pub(super) fn interrupted() -> Error {
    Error::unavailable("model_interrupted", "the model stopped before the answer was complete").remedy("try again")
}
