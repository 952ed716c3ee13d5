//! The item of a provider's stream that is being read: its parts, opened and closed one after another.

use serde_json::Value;

use super::{
    answer::{list, read_call, read_logprobs, read_reasoning, read_signature, reasoning_id, text},
    items::{self, SECTION_BREAK},
};
use crate::{
    Wrong,
    chat::{Delta, PartStart},
};

/// What an event about an item says of its place. Some servers leave one or the other out, and some give an item
/// another id in each event, so the index counts first.
#[derive(Clone, Debug)]
pub(super) struct Address {
    index: Option<u64>,
    id: String,
}

impl Address {
    pub(super) fn of(event: &Value) -> Self {
        let id = event.get("item").map_or_else(|| text(event, "item_id"), |item| text(item, "id"));
        Self { index: event.get("output_index").and_then(Value::as_u64), id: id.to_owned() }
    }

    /// Whether both are of one item; `None` when they cannot be compared.
    pub(super) fn same(&self, other: &Self) -> Option<bool> {
        match (self.index, other.index) {
            (Some(one), Some(two)) => Some(one == two),
            _ if self.id.is_empty() || other.id.is_empty() => None,
            _ => Some(self.id == other.id),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Message,
    Reasoning,
    Call,
}

/// What an open part is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Text,
    Refusal,
    Thoughts { summary: bool },
    Arguments,
}

#[derive(Debug)]
struct Part {
    form: Form,
    /// The index of the content or of the summary's section.
    place: u64,
    /// Whether something of this place has come.
    begun: bool,
    /// Whether something has come at all.
    written: bool,
}

/// The item that is being read.
#[derive(Debug)]
pub(super) struct OpenItem {
    pub(super) address: Address,
    pub(super) kind: Kind,
    /// The id of thoughts.
    id: Option<String>,
    part: Option<Part>,
    /// The contents of the message, or sections of the thoughts, that have begun.
    contents: u64,
}

impl OpenItem {
    /// Begins `item`; `None` for one that is not read, such as the call of a tool that runs at the provider.
    pub(super) fn begin(address: Address, item: &Value, deltas: &mut Vec<Delta>) -> Result<Option<Self>, Wrong> {
        let kind = match text(item, "type") {
            "message" => Kind::Message,
            "reasoning" => Kind::Reasoning,
            "function_call" => Kind::Call,
            _ => return Ok(None),
        };
        let mut open = Self::of(kind, address);
        open.id = reasoning_id(item);
        if kind == Kind::Call {
            let call = read_call(item)?;
            open.open(Form::Arguments, 0, PartStart::ToolCall { id: call.id, name: call.name }, deltas);
        }
        Ok(Some(open))
    }

    /// An item whose beginning was not told.
    pub(super) fn of(kind: Kind, address: Address) -> Self {
        Self { address, kind, id: None, part: None, contents: 0 }
    }

    fn open(&mut self, form: Form, place: u64, start: PartStart, deltas: &mut Vec<Delta>) {
        self.close(deltas);
        self.contents = self.contents.max(place.saturating_add(1));
        self.part = Some(Part { form, place, begun: false, written: false });
        deltas.push(Delta::Open { choice: 0, part: start });
    }

    /// Closes the open part.
    pub(super) fn close(&mut self, deltas: &mut Vec<Delta>) {
        if self.part.take().is_some() {
            deltas.push(Delta::Close { choice: 0 });
        }
    }

    /// Makes the part at `place` the open one; false when the item has no such parts.
    fn at(&mut self, form: Form, place: u64, deltas: &mut Vec<Delta>) -> bool {
        match (&mut self.part, self.kind, form) {
            (Some(part), ..) if part.form == form && part.place == place => {}
            (Some(part), Kind::Reasoning, Form::Thoughts { .. }) => {
                if part.form != form {
                    // Thoughts and their summary: the first to come is read.
                    return false;
                }
                // Another section of the same thoughts.
                (part.place, part.begun) = (place, false);
                self.contents = self.contents.max(place.saturating_add(1));
            }
            (None, Kind::Reasoning, Form::Thoughts { summary }) => {
                let start = PartStart::Reasoning { summary, id: self.id.clone() };
                self.open(form, place, start, deltas);
            }
            (_, Kind::Message, Form::Text) => self.open(form, place, PartStart::Text, deltas),
            (_, Kind::Message, Form::Refusal) => self.open(form, place, PartStart::Refusal, deltas),
            _ => return false,
        }
        true
    }

    fn append(&mut self, form: Form, place: u64, more: &str, deltas: &mut Vec<Delta>) {
        // Thoughts begin with their first word: without one and without a seal there is nothing to tell.
        if (more.is_empty() && matches!(form, Form::Thoughts { .. }))
            || !self.at(form, place, deltas)
            || more.is_empty()
        {
            return;
        }
        let Some(part) = &mut self.part else { return };
        if part.written && !part.begun {
            deltas.push(Delta::Append { choice: 0, text: SECTION_BREAK.to_owned() });
        }
        (part.begun, part.written) = (true, true);
        deltas.push(Delta::Append { choice: 0, text: more.to_owned() });
    }

    /// The whole text at a place, for servers that did not send it in pieces.
    fn whole(&mut self, form: Form, place: u64, source: &Value, name: &str, deltas: &mut Vec<Delta>) {
        let has_come = match &self.part {
            Some(part) if part.form == form && part.place == place => part.begun,
            // Parts and sections come in order.
            _ => place < self.contents,
        };
        if has_come {
            return;
        }
        self.append(form, place, text(source, name), deltas);
        self.logprobs(source, deltas);
    }

    fn logprobs(&self, source: &Value, deltas: &mut Vec<Delta>) {
        let tokens = read_logprobs(source);
        if !tokens.is_empty() && self.part.as_ref().is_some_and(|part| part.form == Form::Text) {
            deltas.push(Delta::Logprobs { choice: 0, tokens });
        }
    }

    /// Takes an event about a piece of the item.
    pub(super) fn piece(&mut self, kind: &str, event: &Value, deltas: &mut Vec<Delta>) {
        let place = |name: &str| event.get(name).and_then(Value::as_u64);
        let content = place("content_index").or(self.part.as_ref().map(|part| part.place)).unwrap_or(0);
        let section = place("summary_index").unwrap_or(0);
        let delta = text(event, "delta");
        let part = event.get("part").unwrap_or(&Value::Null);
        let (thoughts, summary) = (Form::Thoughts { summary: false }, Form::Thoughts { summary: true });
        match kind {
            "response.content_part.added" => match text(part, "type") {
                "output_text" => _ = self.at(Form::Text, content, deltas),
                "refusal" => _ = self.at(Form::Refusal, content, deltas),
                _ => {}
            },
            "response.output_text.delta" => {
                self.append(Form::Text, content, delta, deltas);
                self.logprobs(event, deltas);
            }
            "response.refusal.delta" => self.append(Form::Refusal, content, delta, deltas),
            "response.reasoning_text.delta" => self.append(thoughts, content, delta, deltas),
            "response.reasoning_summary_text.delta" => self.append(summary, section, delta, deltas),
            "response.function_call_arguments.delta" => self.append(Form::Arguments, 0, delta, deltas),
            "response.output_text.done" => self.whole(Form::Text, content, event, "text", deltas),
            "response.refusal.done" => self.whole(Form::Refusal, content, event, "refusal", deltas),
            "response.reasoning_text.done" => self.whole(thoughts, content, event, "text", deltas),
            "response.reasoning_summary_text.done" => self.whole(summary, section, event, "text", deltas),
            "response.function_call_arguments.done" => {
                self.whole(Form::Arguments, 0, event, "arguments", deltas);
            }
            "response.content_part.done" if self.kind == Kind::Message => {
                self.content(content, part, deltas);
                self.close(deltas);
            }
            _ => {}
        }
    }

    fn content(&mut self, place: u64, content: &Value, deltas: &mut Vec<Delta>) {
        match text(content, "type") {
            "output_text" => self.whole(Form::Text, place, content, "text", deltas),
            "refusal" => self.whole(Form::Refusal, place, content, "refusal", deltas),
            _ => {}
        }
    }

    /// Takes the complete item: what did not come in pieces, and the seal.
    pub(super) fn finish(mut self, item: &Value, deltas: &mut Vec<Delta>) {
        match self.kind {
            Kind::Message => {
                for (place, content) in (0..).zip(list(item, "content")) {
                    self.content(place, content, deltas);
                }
            }
            Kind::Call => self.whole(Form::Arguments, 0, item, "arguments", deltas),
            Kind::Reasoning => {
                if let Some(reasoning) = read_reasoning(item)
                    && self.part.is_none()
                {
                    self.id = reasoning.id.or(self.id.take());
                    let form = Form::Thoughts { summary: reasoning.summary };
                    self.at(form, 0, deltas);
                    self.append(form, 0, &reasoning.text, deltas);
                }
                let signature = read_signature(item).filter(|_| self.part.is_some());
                deltas.extend(signature.map(|signature| Delta::Signature { choice: 0, signature }));
            }
        }
        self.close(deltas);
    }
}

/// A part that comes as a whole: an image.
pub(super) fn whole_item(item: &Value, deltas: &mut Vec<Delta>) {
    if text(item, "type") == "image_generation_call"
        && let Some(part) = items::image_of(text(item, "result"), item.get("output_format").and_then(Value::as_str))
    {
        deltas.push(Delta::Open { choice: 0, part: PartStart::Whole(part) });
        deltas.push(Delta::Close { choice: 0 });
    }
}
