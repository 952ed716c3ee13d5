//! A whole answer for a client, and the frame that it shares with a stream's.

use serde_json::{Value, json};

use super::items;
use crate::{
    Losses,
    chat::{Answer, Content, StopReason, Usage},
};

/// What the items and snapshots of one answer share.
#[derive(Debug, Default)]
pub(super) struct Head {
    id: String,
    model: String,
    created: i64,
}

impl Head {
    /// An id of another form gets this protocol's prefix; without one, the time of the answer has to do.
    pub(super) fn new(id: &str, model: &str, created: Option<i64>) -> Self {
        let created = created.unwrap_or(0);
        let id = match id {
            "" => format!("resp_{created}"),
            id if id.starts_with("resp_") => id.to_owned(),
            id => format!("resp_{id}"),
        };
        Self { id, model: model.to_owned(), created }
    }

    /// An id for the item at `index`, such as `msg_…_0`.
    pub(super) fn item_id(&self, kind: &str, index: usize) -> String {
        format!("{kind}_{}_{index}", self.id.trim_start_matches("resp_"))
    }

    /// The response object. What the request said is not repeated: the fields that clients' models demand stand at
    /// their defaults.
    pub(super) fn response(
        &self,
        status: &str,
        incomplete: Option<&str>,
        output: Vec<Value>,
        usage: Option<&Usage>,
    ) -> Value {
        json!({
            "id": self.id,
            "object": "response",
            "created_at": self.created,
            "status": status,
            "background": false,
            "error": null,
            "incomplete_details": incomplete.map(|reason| json!({ "reason": reason })),
            "instructions": null,
            "max_output_tokens": null,
            "max_tool_calls": null,
            "metadata": {},
            "model": self.model,
            "output": output,
            "parallel_tool_calls": true,
            "previous_response_id": null,
            "reasoning": { "effort": null, "summary": null },
            "store": false,
            "temperature": null,
            "text": { "format": { "type": "text" } },
            "tool_choice": "auto",
            "tools": [],
            "top_logprobs": 0,
            "top_p": null,
            "truncation": "disabled",
            "usage": usage.map(items::usage_value),
            "user": null,
        })
    }
}

/// Why an answer is incomplete, in this protocol's words; `None` when it is complete. A refusal in words is a complete
/// answer. A reason that this protocol does not know keeps its own word.
pub(super) fn incomplete_reason(stop: &StopReason, refuses: bool) -> Option<&str> {
    match stop {
        StopReason::MaxTokens => Some("max_output_tokens"),
        StopReason::Refusal if !refuses => Some("content_filter"),
        StopReason::Pause => Some("pause"),
        StopReason::Other(word) => Some(word),
        StopReason::End | StopReason::StopSequence | StopReason::ToolUse | StopReason::Refusal => None,
    }
}

pub(super) fn status_of(incomplete: Option<&str>) -> &'static str {
    if incomplete.is_some() { "incomplete" } else { "completed" }
}

/// An answer for a client.
pub fn write_answer(answer: &Answer, losses: &mut Losses) -> Value {
    let head = Head::new(&answer.id, &answer.model, answer.created);
    if answer.choices.len() > 1 {
        losses.note("choices", "a response holds one answer");
    }
    let Some(choice) = answer.choices.first() else {
        return head.response("completed", None, Vec::new(), answer.usage.as_ref());
    };
    if choice.stop_sequence.is_some() {
        losses.note("choices[0].stop_sequence", "a response does not say it");
    }
    let refuses = choice.parts.iter().any(|part| matches!(part.content, Content::Refusal(_)));
    let incomplete = incomplete_reason(&choice.stop, refuses);
    let mut logprobs = choice.logprobs.as_slice();
    let (mut output, mut message) = (Vec::new(), Vec::new());
    for (index, part) in choice.parts.iter().enumerate() {
        match &part.content {
            Content::Text(text) => message.push(items::text_content(text, std::mem::take(&mut logprobs))),
            Content::Refusal(refusal) => message.push(items::refusal_content(refusal)),
            content => {
                end_message(&head, "completed", &mut message, &mut output);
                let place = output.len();
                let item = match content {
                    Content::Reasoning(reasoning) => {
                        let id = reasoning.id.clone().unwrap_or_else(|| head.item_id("rs", place));
                        Some(items::reasoning_item(Some(&id), reasoning))
                    }
                    Content::ToolCall(call) => Some(items::call_item(&head.item_id("fc", place), "completed", call)),
                    Content::Image(media) => items::image_item(&head.item_id("ig", place), media),
                    _ => None,
                };
                if item.is_none() {
                    losses.note(format!("choices[0].parts[{index}]"), "a response cannot hold it");
                }
                output.extend(item);
            }
        }
    }
    end_message(&head, status_of(incomplete), &mut message, &mut output);
    head.response(status_of(incomplete), incomplete, output, answer.usage.as_ref())
}

/// Consecutive texts and refusals are the contents of one message.
fn end_message(head: &Head, status: &str, message: &mut Vec<Value>, output: &mut Vec<Value>) {
    if !message.is_empty() {
        let id = head.item_id("msg", output.len());
        output.push(items::message_item(&id, status, std::mem::take(message)));
    }
}
