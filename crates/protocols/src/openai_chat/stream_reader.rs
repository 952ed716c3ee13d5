//! A provider's stream of `chat.completion.chunk`s.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
};

use serde::{Deserialize, de::IgnoredAny};
use serde_json::{Map, Value};

use super::{
    error, reasoning,
    wire::{self, Call, Piece},
};
use crate::{
    chat::{Content, Delta, Part, PartStart, TokenLogprob, Usage},
    read::Wrong,
    sse::SseEvent,
};

/// Reads a provider's stream, whatever its dialect, into the pieces that all writers understand.
///
/// Deviations that are understood: usage in a last chunk of its own, in each chunk, in the choice (Moonshot) or in
/// `x_groq`; chunks without choices (Azure's `prompt_filter_results`); tool calls without index or id, or whole and
/// several in one chunk; a missing `finish_reason`; a missing `[DONE]`.
#[derive(Debug, Default)]
pub struct StreamReader {
    id: String,
    model: String,
    created: Option<i64>,
    started: bool,
    done: bool,
    usage: Option<Usage>,
    choices: BTreeMap<u32, ChoiceReader>,
}

impl StreamReader {
    /// A reader of one stream.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next event and appends what it says.
    ///
    /// # Errors
    /// When the event is not a chunk, or is an error.
    pub fn read(&mut self, event: &SseEvent, deltas: &mut Vec<Delta>) -> Result<(), Wrong> {
        let data = event.data.trim();
        // Some servers keep the connection alive with empty events.
        if self.done || data.is_empty() {
            return Ok(());
        }
        if data == "[DONE]" {
            self.done = true;
            self.start(deltas);
            return self
                .choices
                .iter_mut()
                .filter(|(_, choice)| !choice.stopped)
                .try_for_each(|(index, choice)| choice.on(*index, deltas).stop(&Value::Null));
        }
        if self.started && event.name.is_none() && self.text_chunk(data, deltas)? {
            return Ok(());
        }
        let chunk: Value = serde_json::from_str(data)
            .map_err(|error| Wrong::malformed(format!("a chunk of the stream is not JSON: {error}")))?;
        if let Some(told) = error::told(&chunk) {
            return Err(Wrong::Told(told));
        }
        if event.name.as_deref() == Some("error") {
            return Err(Wrong::Told(error::from_error(&chunk)));
        }
        if !chunk.is_object() {
            return Err(Wrong::malformed("a chunk of the stream is not an object"));
        }
        self.chunk(&chunk, deltas)
    }

    /// Whether the answer is complete: `[DONE]` has come, or each choice that has begun has said why it ended, for some
    /// servers leave `[DONE]` out.
    pub fn is_complete(&self) -> bool {
        self.done || (!self.choices.is_empty() && self.choices.values().all(|choice| choice.stopped))
    }

    /// Reads a chunk that brings only text, as most do, without taking it apart; `false` when there is more to it.
    fn text_chunk(&mut self, data: &str, deltas: &mut Vec<Delta>) -> Result<bool, Wrong> {
        let Ok(TextChunk { choices: [choice], .. }) = serde_json::from_str(data) else { return Ok(false) };
        let Some(state) = self.choices.get_mut(&choice.index).filter(|_| !choice.delta.content.is_empty()) else {
            return Ok(false);
        };
        if !state.stopped {
            let mut choice_deltas = state.on(choice.index, deltas);
            choice_deltas.append(PartStart::Text, &choice.delta.content)?;
            choice_deltas.logprobs(&Value::Null);
        }
        Ok(true)
    }

    fn chunk(&mut self, chunk: &Value, deltas: &mut Vec<Delta>) -> Result<(), Wrong> {
        if !self.started {
            // Azure's first chunk, which tells of the prompt's filters, has no name yet.
            for (kept, name) in [(&mut self.id, "id"), (&mut self.model, "model")] {
                let text = wire::text(chunk, name);
                if !text.is_empty() {
                    text.clone_into(kept);
                }
            }
            let created = chunk.get("created").and_then(Value::as_i64);
            self.created = created.filter(|created| *created != 0).or(self.created);
        }
        let mut usage = wire::read_usage(chunk.get("usage"));
        if usage.is_none() {
            usage = wire::read_usage(chunk.get("x_groq").and_then(|groq| groq.get("usage")));
        }
        for (position, choice) in wire::items(chunk, "choices").enumerate() {
            if let Some(told) = error::told(choice) {
                return Err(Wrong::Told(told));
            }
            self.start(deltas);
            usage = usage.or_else(|| wire::read_usage(choice.get("usage")));
            let index = wire::choice_index(choice, position)?;
            self.choices.entry(index).or_default().on(index, deltas).read(choice)?;
        }
        if let Some(usage) = usage.filter(|usage| self.usage.as_ref() != Some(usage)) {
            self.start(deltas);
            self.usage = Some(usage);
            deltas.push(Delta::Usage(usage));
        }
        Ok(())
    }

    fn start(&mut self, deltas: &mut Vec<Delta>) {
        if !self.started {
            self.started = true;
            let (id, model) = (std::mem::take(&mut self.id), std::mem::take(&mut self.model));
            deltas.push(Delta::Start { id, model, created: self.created });
        }
    }
}

/// A chunk that brings text and nothing else that is read. A field beyond these, or another value, makes it none.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "fields that are known and not needed")]
struct TextChunk<'a> {
    #[serde(default)]
    id: IgnoredAny,
    #[serde(default)]
    object: IgnoredAny,
    #[serde(default)]
    created: IgnoredAny,
    #[serde(default)]
    model: IgnoredAny,
    #[serde(default)]
    system_fingerprint: IgnoredAny,
    #[serde(default)]
    service_tier: IgnoredAny,
    #[serde(borrow)]
    choices: [TextChoice<'a>; 1],
    /// Only null is.
    #[serde(default)]
    usage: (),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "fields that are known and not needed")]
struct TextChoice<'a> {
    index: u32,
    #[serde(borrow)]
    delta: TextDelta<'a>,
    #[serde(default)]
    finish_reason: (),
    #[serde(default)]
    logprobs: (),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "fields that are known and not needed")]
struct TextDelta<'a> {
    #[serde(default)]
    role: IgnoredAny,
    #[serde(borrow)]
    content: Cow<'a, str>,
    #[serde(default)]
    refusal: (),
    #[serde(default)]
    tool_calls: (),
    #[serde(default)]
    function_call: (),
}

/// What is known of one choice.
#[derive(Debug, Default)]
struct ChoiceReader {
    open: Option<Open>,
    /// The indices of tool calls that are complete.
    ended_calls: BTreeSet<u64>,
    called: bool,
    refused: bool,
    stopped: bool,
    /// Probabilities that came while no text was open: a token may be a part of a character.
    logprobs: Vec<TokenLogprob>,
}

/// The open part.
#[derive(Debug)]
enum Open {
    Text,
    Refusal,
    /// Thoughts outside of `reasoning_details`, and whether they go back as `reasoning_content`.
    Thoughts {
        sealed: bool,
        text: String,
    },
    /// An item of `reasoning_details` without its text, as far as it has come.
    Detail(Map<String, Value>),
    Call(OpenCall),
}

/// A tool call whose arguments come.
#[derive(Debug)]
struct OpenCall {
    index: Option<u64>,
    id: String,
    /// Whether it has a name, and so has been told.
    named: bool,
    /// Arguments that came before the name.
    arguments: String,
}

impl ChoiceReader {
    fn on<'a>(&'a mut self, index: u32, deltas: &'a mut Vec<Delta>) -> ChoiceDeltas<'a> {
        ChoiceDeltas { state: self, choice: index, deltas }
    }
}

/// A choice, and where its pieces go.
struct ChoiceDeltas<'a> {
    state: &'a mut ChoiceReader,
    choice: u32,
    deltas: &'a mut Vec<Delta>,
}

impl ChoiceDeltas<'_> {
    fn read(&mut self, choice: &Value) -> Result<(), Wrong> {
        // A few servers repeat the last chunk; nothing may follow the end.
        if self.state.stopped {
            return Ok(());
        }
        let delta = wire::present(choice, "delta").unwrap_or(&Value::Null);
        self.thoughts(delta)?;
        for piece in wire::pieces(delta) {
            match piece {
                Piece::Text(text) => self.append(PartStart::Text, &text)?,
                Piece::Thought(text) => self.plain_thought(&text, false)?,
                Piece::Image(media) => self.whole(Content::Image(media))?,
            }
        }
        let refusal = wire::text(delta, "refusal");
        if !refusal.is_empty() {
            self.state.refused = true;
            self.append(PartStart::Refusal, refusal)?;
        }
        for media in wire::items(delta, "images").filter_map(wire::image) {
            self.whole(Content::Image(media))?;
        }
        self.logprobs(choice);
        for call in wire::items(delta, "tool_calls") {
            self.call(Call::read(call))?;
        }
        if let Some(function) = wire::present(delta, "function_call") {
            self.call(Call { index: Some(0), ..Call::read_function(function) })?;
        }
        if wire::text(choice, "finish_reason").is_empty() { Ok(()) } else { self.stop(choice) }
    }

    /// The choice ends; `choice` says why, as far as it does.
    fn stop(&mut self, choice: &Value) -> Result<(), Wrong> {
        self.close()?;
        self.state.stopped = true;
        let (reason, sequence) = wire::read_stop(choice, self.state.called, self.state.refused);
        self.deltas.push(Delta::Stop { choice: self.choice, reason, sequence });
        Ok(())
    }

    fn open(&mut self, part: PartStart, open: Open) -> Result<(), Wrong> {
        self.close()?;
        self.deltas.push(Delta::Open { choice: self.choice, part });
        self.state.open = Some(open);
        Ok(())
    }

    fn close(&mut self) -> Result<(), Wrong> {
        let choice = self.choice;
        let signature = match self.state.open.take() {
            None => return Ok(()),
            Some(Open::Call(call)) => {
                if !call.named {
                    return Err(Wrong::malformed("a tool call without a name"));
                }
                self.state.ended_calls.extend(call.index);
                None
            }
            Some(Open::Thoughts { sealed: true, .. }) => Some(reasoning::content_field_seal()),
            Some(Open::Detail(item)) => Some(reasoning::seal(item)),
            Some(Open::Text | Open::Refusal | Open::Thoughts { sealed: false, .. }) => None,
        };
        self.deltas.extend(signature.map(|signature| Delta::Signature { choice, signature }));
        self.deltas.push(Delta::Close { choice });
        Ok(())
    }

    fn push(&mut self, text: &str) {
        if !text.is_empty() {
            self.deltas.push(Delta::Append { choice: self.choice, text: text.to_owned() });
        }
    }

    /// More text or refusal.
    fn append(&mut self, part: PartStart, text: &str) -> Result<(), Wrong> {
        match (&part, &self.state.open) {
            (PartStart::Text, Some(Open::Text)) | (PartStart::Refusal, Some(Open::Refusal)) => {}
            (PartStart::Text, _) => self.open(part, Open::Text)?,
            _ => self.open(part, Open::Refusal)?,
        }
        self.push(text);
        Ok(())
    }

    fn whole(&mut self, content: Content) -> Result<(), Wrong> {
        self.close()?;
        self.deltas.push(Delta::Open { choice: self.choice, part: PartStart::Whole(Part::new(content)) });
        self.deltas.push(Delta::Close { choice: self.choice });
        Ok(())
    }

    fn thoughts(&mut self, delta: &Value) -> Result<(), Wrong> {
        let said = |item: &Map<String, Value>| {
            reasoning::text_field(item)
                .and_then(|(field, _)| item.get(field)?.as_str())
                .is_some_and(|text| !text.is_empty())
        };
        // OpenRouter says the same text in both fields.
        if let Some((text, sealed)) = wire::plain_thoughts(delta)
            && !wire::details(delta).any(said)
        {
            self.plain_thought(text, sealed)?;
        }
        wire::details(delta).try_for_each(|item| self.detail(item))
    }

    fn plain_thought(&mut self, text: &str, sealed: bool) -> Result<(), Wrong> {
        if !matches!(&self.state.open, Some(Open::Thoughts { sealed: open, .. }) if *open == sealed) {
            let open = Open::Thoughts { sealed, text: String::new() };
            self.open(PartStart::Reasoning { summary: false, id: None }, open)?;
        }
        if let Some(Open::Thoughts { text: so_far, .. }) = &mut self.state.open {
            so_far.push_str(text);
        }
        self.push(text);
        Ok(())
    }

    /// A piece of an item of `reasoning_details`: pieces of one type and index are one item. What only the provider can
    /// read comes as a whole.
    fn detail(&mut self, item: &Map<String, Value>) -> Result<(), Wrong> {
        let Some((field, summary)) = reasoning::text_field(item) else {
            let hidden = reasoning::read_detail(item.clone(), reasoning::Sender::Provider);
            return self.whole(Content::Reasoning(hidden));
        };
        let text = item.get(field).and_then(Value::as_str).unwrap_or_default();
        let mut begun = item.clone();
        begun.shift_remove(field);
        let same = |open: &Map<String, Value>| ["type", "index"].iter().all(|name| open.get(*name) == item.get(*name));
        match &mut self.state.open {
            Some(Open::Detail(open)) if same(open) => {
                open.extend(begun.into_iter().filter(|(_, value)| !value.is_null()));
            }
            // Thoughts that have flowed, whole once more and sealed, as this module's own writer has it.
            Some(Open::Thoughts { text: so_far, .. }) if so_far == text => {
                self.state.open = Some(Open::Detail(begun));
                return Ok(());
            }
            _ => self.open(PartStart::Reasoning { summary, id: None }, Open::Detail(begun))?,
        }
        self.push(text);
        Ok(())
    }

    fn logprobs(&mut self, choice: &Value) {
        self.state.logprobs.append(&mut wire::read_logprobs(choice));
        if matches!(self.state.open, Some(Open::Text | Open::Refusal)) && !self.state.logprobs.is_empty() {
            let tokens = std::mem::take(&mut self.state.logprobs);
            self.deltas.push(Delta::Logprobs { choice: self.choice, tokens });
        }
    }

    /// A piece of a tool call, or a whole one.
    fn call(&mut self, piece: Call) -> Result<(), Wrong> {
        let open = match &self.state.open {
            Some(Open::Call(open)) => Some(open),
            _ => None,
        };
        let other_id = |open: &OpenCall| !piece.id.is_empty() && piece.id != open.id;
        let goes_on = open.is_some_and(|open| match piece.index {
            // Ollama and others give every call the index 0; some servers make up a new id for each piece, but repeat
            // no name.
            Some(_) => open.index == piece.index && (piece.name.is_empty() || !other_id(open)),
            // Without an index only the first piece bears an id or a name.
            None => !other_id(open) && (piece.name.is_empty() || !open.named || piece.id == open.id),
        });
        if !goes_on {
            let has_ended = piece.index.is_some_and(|index| self.state.ended_calls.contains(&index));
            if has_ended && piece.name.is_empty() {
                // Some servers send an empty piece after the last one.
                return match piece.arguments.trim().is_empty() {
                    true => Ok(()),
                    false => Err(Wrong::malformed("more of a tool call that was complete")),
                };
            }
            self.close()?;
            self.state.called = true;
            let call = OpenCall { index: piece.index, id: piece.id_or_new(), named: false, arguments: String::new() };
            self.state.open = Some(Open::Call(call));
        }
        let Some(Open::Call(open)) = &mut self.state.open else { return Ok(()) };
        if open.named {
            self.push(&piece.arguments);
            return Ok(());
        }
        open.arguments.push_str(&piece.arguments);
        if !piece.name.is_empty() {
            open.named = true;
            let (id, arguments) = (open.id.clone(), std::mem::take(&mut open.arguments));
            let part = PartStart::ToolCall { id, name: piece.name };
            self.deltas.push(Delta::Open { choice: self.choice, part });
            self.push(&arguments);
        }
        Ok(())
    }
}
