use plasma_kernel::Error;
use serde_json::{Map, Value, json};

use super::{
    error::public_message,
    items,
    reply::{Head, incomplete_reason, status_of},
};
use crate::{
    WireEvent,
    chat::{Content, Delta, Part, PartStart, Reasoning, StopReason, TokenLogprob, ToolCall, Usage},
};

/// Writes an answer as the events of a stream to a client. The last event holds the whole answer, so it is kept.
///
/// Only the first choice is written: a request of this protocol asks for one.
#[derive(Debug, Default)]
pub struct StreamWriter {
    sequence: u64,
    head: Option<Head>,
    /// Items that are complete. The open one's place is after them.
    output: Vec<Value>,
    /// The contents of the open message that are complete. Texts and refusals in a row are one message.
    message: Option<Vec<Value>>,
    part: Option<Open>,
    refuses: bool,
    stop: Option<StopReason>,
    usage: Option<Usage>,
}

/// The part that is being written.
#[derive(Debug)]
enum Open {
    Text { text: String, logprobs: Vec<TokenLogprob> },
    Refusal(String),
    Reasoning { id: String, reasoning: Reasoning },
    ToolCall { id: String, call: ToolCall },
}

impl StreamWriter {
    /// `stream_usage` makes no difference: this protocol always tells the tokens used.
    pub fn new(_stream_usage: bool) -> Self {
        Self::default()
    }

    /// Writes the next piece.
    pub fn write(&mut self, delta: Delta, events: &mut Vec<WireEvent>) {
        match delta {
            Delta::Start { id, model, created } => self.start(Head::new(&id, &model, created), events),
            Delta::Open { choice: 0, part } => self.open(part, events),
            Delta::Append { choice: 0, text } => self.append(&text, events),
            Delta::Signature { choice: 0, signature } => {
                if let Some(Open::Reasoning { reasoning, .. }) = &mut self.part {
                    reasoning.signature = Some(signature);
                }
            }
            Delta::Close { choice: 0 } => self.close(events),
            Delta::Logprobs { choice: 0, tokens } => self.logprobs(tokens, events),
            Delta::Stop { choice: 0, reason, .. } => self.stop = Some(reason),
            Delta::Usage(usage) => self.usage = Some(usage),
            _ => {}
        }
    }

    /// Ends the stream of a complete answer.
    pub fn finish(&mut self, events: &mut Vec<WireEvent>) {
        self.close(events);
        let stop = self.stop.take().unwrap_or(StopReason::End);
        let incomplete = incomplete_reason(&stop, self.refuses);
        self.end_message(status_of(incomplete), events);
        let output = std::mem::take(&mut self.output);
        let usage = self.usage;
        let response = self.head(events).response(status_of(incomplete), incomplete, output, usage.as_ref());
        let name = if incomplete.is_some() { "response.incomplete" } else { "response.completed" };
        self.emit(name, json!({ "response": response }), events);
    }

    /// Ends the stream with an error.
    pub fn error(&mut self, error: &Error, events: &mut Vec<WireEvent>) {
        let fields = json!({ "code": error.reason(), "message": public_message(error), "param": error.field_name() });
        self.emit("error", fields, events);
    }

    fn start(&mut self, head: Head, events: &mut Vec<WireEvent>) {
        for name in ["response.created", "response.in_progress"] {
            self.emit(name, json!({ "response": head.response("in_progress", None, Vec::new(), None) }), events);
        }
        self.head = Some(head);
    }

    /// The answer's head; one that never began begins now.
    fn head(&mut self, events: &mut Vec<WireEvent>) -> &Head {
        if self.head.is_none() {
            self.start(Head::new("", "", None), events);
        }
        self.head.get_or_insert_default()
    }

    fn item_id(&mut self, kind: &str, events: &mut Vec<WireEvent>) -> String {
        let place = self.output.len();
        self.head(events).item_id(kind, place)
    }

    fn open(&mut self, part: PartStart, events: &mut Vec<WireEvent>) {
        self.close(events);
        if !matches!(part, PartStart::Text | PartStart::Refusal) {
            self.end_message("completed", events);
        }
        match part {
            PartStart::Text => {
                self.open_content(items::text_content("", &[]), events);
                self.part = Some(Open::Text { text: String::new(), logprobs: Vec::new() });
            }
            PartStart::Refusal => {
                self.refuses = true;
                self.open_content(items::refusal_content(""), events);
                self.part = Some(Open::Refusal(String::new()));
            }
            PartStart::Reasoning { summary, id } => {
                self.open_reasoning(Reasoning { summary, id, ..Reasoning::default() }, events);
            }
            PartStart::ToolCall { id: call_id, name } => {
                let id = self.item_id("fc", events);
                let item = json!({
                    "id": id, "type": "function_call", "status": "in_progress",
                    "call_id": call_id, "name": name, "arguments": "",
                });
                self.item_event("response.output_item.added", item, events);
                self.part = Some(Open::ToolCall { id, call: ToolCall { id: call_id, name, arguments: String::new() } });
            }
            PartStart::Whole(part) => self.whole(part, events),
        }
    }

    /// A content of the open message, or of a new one.
    fn open_content(&mut self, content: Value, events: &mut Vec<WireEvent>) {
        let id = self.item_id("msg", events);
        if self.message.is_none() {
            let item = items::message_item(&id, "in_progress", Vec::new());
            self.item_event("response.output_item.added", item, events);
        }
        let place = self.message.get_or_insert_default().len();
        self.piece("response.content_part.added", &id, ("content_index", place), json!({ "part": content }), events);
    }

    fn open_reasoning(&mut self, mut reasoning: Reasoning, events: &mut Vec<WireEvent>) {
        let id = match &reasoning.id {
            Some(id) => id.clone(),
            None => self.item_id("rs", events),
        };
        let text = std::mem::take(&mut reasoning.text);
        let item = json!({ "id": id, "type": "reasoning", "summary": [] });
        self.item_event("response.output_item.added", item, events);
        self.part = Some(Open::Reasoning { id, reasoning });
        if !text.is_empty() {
            self.append(&text, events);
        }
    }

    /// Encrypted thoughts or an image; this protocol has nothing for the rest.
    fn whole(&mut self, part: Part, events: &mut Vec<WireEvent>) {
        match part.content {
            Content::Reasoning(reasoning) => self.open_reasoning(reasoning, events),
            Content::Image(media) => {
                let id = self.item_id("ig", events);
                let Some(item) = items::image_item(&id, &media) else { return };
                let mut begun = item.clone();
                items::set(&mut begun, "status", "in_progress".into());
                items::set(&mut begun, "result", Value::Null);
                self.item_event("response.output_item.added", begun, events);
                self.item_done(item, events);
            }
            _ => {}
        }
    }

    fn append(&mut self, more: &str, events: &mut Vec<WireEvent>) {
        let Some(mut part) = self.part.take() else { return };
        let fields = json!({ "delta": more });
        match &mut part {
            Open::Text { text, .. } => {
                text.push_str(more);
                self.text_delta(more, &[], events);
            }
            Open::Refusal(text) => {
                text.push_str(more);
                self.content_piece("response.refusal.delta", fields, events);
            }
            Open::Reasoning { id, reasoning } => {
                let words = thought_words(reasoning);
                if reasoning.text.is_empty() {
                    let part = json!({ "part": { "type": words.kind, "text": "" } });
                    self.piece(words.part_added, id, (words.index, 0), part, events);
                }
                reasoning.text.push_str(more);
                self.piece(words.delta, id, (words.index, 0), fields, events);
            }
            Open::ToolCall { id, call } => {
                call.arguments.push_str(more);
                self.item_piece("response.function_call_arguments.delta", id, fields, events);
            }
        }
        self.part = Some(part);
    }

    fn logprobs(&mut self, tokens: Vec<TokenLogprob>, events: &mut Vec<WireEvent>) {
        if let Some(Open::Text { .. }) = &self.part {
            // The text itself has gone out already.
            self.text_delta("", &tokens, events);
        }
        if let Some(Open::Text { logprobs, .. }) = &mut self.part {
            logprobs.extend(tokens);
        }
    }

    fn text_delta(&mut self, delta: &str, tokens: &[TokenLogprob], events: &mut Vec<WireEvent>) {
        let logprobs: Vec<_> = tokens.iter().map(items::logprob).collect();
        self.content_piece("response.output_text.delta", json!({ "delta": delta, "logprobs": logprobs }), events);
    }

    fn close(&mut self, events: &mut Vec<WireEvent>) {
        match self.part.take() {
            None => {}
            Some(Open::Text { text, logprobs }) => {
                let content = items::text_content(&text, &logprobs);
                let done = json!({ "text": text, "logprobs": content.get("logprobs") });
                self.content_piece("response.output_text.done", done, events);
                self.close_content(content, events);
            }
            Some(Open::Refusal(text)) => {
                let content = items::refusal_content(&text);
                self.content_piece("response.refusal.done", json!({ "refusal": text }), events);
                self.close_content(content, events);
            }
            Some(Open::Reasoning { id, reasoning }) => {
                if !reasoning.text.is_empty() {
                    let words = thought_words(&reasoning);
                    self.piece(words.done, &id, (words.index, 0), json!({ "text": reasoning.text }), events);
                    let part = json!({ "part": { "type": words.kind, "text": reasoning.text } });
                    self.piece(words.part_done, &id, (words.index, 0), part, events);
                }
                self.item_done(items::reasoning_item(Some(&id), &reasoning), events);
            }
            Some(Open::ToolCall { id, call }) => {
                let arguments = items::arguments_of(&call);
                if call.arguments.is_empty() {
                    let delta = json!({ "delta": arguments });
                    self.item_piece("response.function_call_arguments.delta", &id, delta, events);
                }
                let done = json!({ "name": call.name, "arguments": arguments });
                self.item_piece("response.function_call_arguments.done", &id, done, events);
                self.item_done(items::call_item(&id, "completed", &call), events);
            }
        }
    }

    fn close_content(&mut self, content: Value, events: &mut Vec<WireEvent>) {
        self.content_piece("response.content_part.done", json!({ "part": content }), events);
        self.message.get_or_insert_default().push(content);
    }

    fn end_message(&mut self, status: &str, events: &mut Vec<WireEvent>) {
        if let Some(content) = self.message.take() {
            let id = self.item_id("msg", events);
            self.item_done(items::message_item(&id, status, content), events);
        }
    }

    fn item_done(&mut self, item: Value, events: &mut Vec<WireEvent>) {
        self.item_event("response.output_item.done", item.clone(), events);
        self.output.push(item);
    }

    fn item_event(&mut self, name: &'static str, item: Value, events: &mut Vec<WireEvent>) {
        self.emit(name, json!({ "output_index": self.output.len(), "item": item }), events);
    }

    /// About the open content of the open message.
    fn content_piece(&mut self, name: &'static str, fields: Value, events: &mut Vec<WireEvent>) {
        let id = self.item_id("msg", events);
        let place = self.message.as_ref().map_or(0, Vec::len);
        self.piece(name, &id, ("content_index", place), fields, events);
    }

    fn item_piece(&mut self, name: &'static str, id: &str, mut fields: Value, events: &mut Vec<WireEvent>) {
        items::set(&mut fields, "item_id", id.into());
        items::set(&mut fields, "output_index", self.output.len().into());
        self.emit(name, fields, events);
    }

    fn piece(
        &mut self,
        name: &'static str,
        id: &str,
        (index, place): (&'static str, usize),
        mut fields: Value,
        events: &mut Vec<WireEvent>,
    ) {
        items::set(&mut fields, index, place.into());
        self.item_piece(name, id, fields, events);
    }

    fn emit(&mut self, name: &'static str, fields: Value, events: &mut Vec<WireEvent>) {
        let mut data = Map::new();
        data.insert("type".to_owned(), name.into());
        data.insert("sequence_number".to_owned(), self.sequence.into());
        if let Value::Object(fields) = fields {
            data.extend(fields);
        }
        self.sequence += 1;
        events.push(WireEvent { name: Some(name), data: Value::Object(data).to_string() });
    }
}

/// How the events about thoughts are called: a summary's, or the thoughts' own.
struct ThoughtWords {
    kind: &'static str,
    index: &'static str,
    part_added: &'static str,
    delta: &'static str,
    done: &'static str,
    part_done: &'static str,
}

fn thought_words(reasoning: &Reasoning) -> ThoughtWords {
    if reasoning.summary {
        ThoughtWords {
            kind: "summary_text",
            index: "summary_index",
            part_added: "response.reasoning_summary_part.added",
            delta: "response.reasoning_summary_text.delta",
            done: "response.reasoning_summary_text.done",
            part_done: "response.reasoning_summary_part.done",
        }
    } else {
        ThoughtWords {
            kind: "reasoning_text",
            index: "content_index",
            part_added: "response.content_part.added",
            delta: "response.reasoning_text.delta",
            done: "response.reasoning_text.done",
            part_done: "response.content_part.done",
        }
    }
}
