//! Whole answers.

use serde_json::{Map, Value, json};

use super::{
    error::told,
    reasoning::{self, Sender},
    wire::{self, Call, Piece},
};
use crate::{
    Losses,
    chat::{Answer, Choice, Content, Part, Reasoning, StopReason, ToolCall},
    read::Wrong,
};

/// Reads a provider's `chat.completion`.
///
/// # Errors
/// When it is not one, or an error in its place.
pub fn read_answer(body: &str) -> Result<Answer, Wrong> {
    let body: Value = serde_json::from_str(body).map_err(|error| Wrong::malformed(format!("not JSON: {error}")))?;
    if let Some(told) = told(&body) {
        return Err(Wrong::Told(told));
    }
    let choices = match body.get("choices") {
        Some(Value::Array(choices)) if !choices.is_empty() => choices,
        Some(Value::Array(_)) => return Err(Wrong::malformed("`choices` is empty")),
        _ => return Err(Wrong::malformed("`choices` is missing")),
    };
    let choices = choices.iter().enumerate().map(|(position, choice)| read_choice(choice, position));
    Ok(Answer {
        id: wire::text(&body, "id").to_owned(),
        model: wire::text(&body, "model").to_owned(),
        created: body.get("created").and_then(Value::as_i64),
        choices: choices.collect::<Result<_, _>>()?,
        usage: wire::read_usage(body.get("usage")),
    })
}

fn read_choice(choice: &Value, position: usize) -> Result<Choice, Wrong> {
    // OpenRouter tells of a provider's failure where its answer would be.
    if let Some(told) = told(choice) {
        return Err(Wrong::Told(told));
    }
    let index = wire::choice_index(choice, position)?;
    let message = wire::present(choice, "message").filter(|message| message.is_object());
    let message = message.ok_or_else(|| Wrong::malformed("a choice without a `message`"))?;
    let mut parts = read_thoughts(message);
    for piece in wire::pieces(message) {
        parts.push(Part::new(match piece {
            Piece::Text(text) => Content::Text(text),
            Piece::Thought(text) => Content::Reasoning(Reasoning { text, ..Reasoning::default() }),
            Piece::Image(media) => Content::Image(media),
        }));
    }
    let refusal = wire::text(message, "refusal");
    if !refusal.is_empty() {
        parts.push(Part::new(Content::Refusal(refusal.to_owned())));
    }
    let images = wire::items(message, "images").filter_map(wire::image);
    parts.extend(images.map(|media| Part::new(Content::Image(media))));
    let older = wire::present(message, "function_call").map(Call::read_function);
    let calls: Vec<Call> = wire::items(message, "tool_calls").map(Call::read).chain(older).collect();
    for call in &calls {
        if call.name.is_empty() {
            return Err(Wrong::malformed("a tool call without a name"));
        }
        let arguments = call.arguments.clone();
        parts.push(Part::new(Content::ToolCall(ToolCall { id: call.id_or_new(), name: call.name.clone(), arguments })));
    }
    let (stop, stop_sequence) = wire::read_stop(choice, !calls.is_empty(), !refusal.is_empty());
    Ok(Choice { index, parts, stop, stop_sequence, logprobs: wire::read_logprobs(choice) })
}

fn read_thoughts(message: &Value) -> Vec<Part> {
    let plain = wire::plain_thoughts(message).map(|(text, own)| Reasoning {
        text: text.to_owned(),
        signature: own.then(reasoning::content_field_seal),
        ..Reasoning::default()
    });
    let details = wire::details(message).cloned().collect();
    let thoughts = reasoning::read_thoughts(details, plain, Sender::Provider);
    thoughts.into_iter().map(|thought| Part::new(Content::Reasoning(thought))).collect()
}

/// Writes a `chat.completion` for a client. What a message of this protocol cannot hold, sound for one, is a loss.
pub fn write_answer(answer: &Answer, losses: &mut Losses) -> Value {
    let choices: Vec<Value> = answer.choices.iter().map(|choice| write_choice(choice, losses)).collect();
    let mut written = json!({
        "id": wire::answer_id(&answer.id),
        "object": "chat.completion",
        "created": answer.created.unwrap_or_default(),
        "model": answer.model,
        "choices": choices,
    });
    if let (Some(usage), Value::Object(fields)) = (&answer.usage, &mut written) {
        fields.insert("usage".to_owned(), wire::write_usage(usage));
    }
    written
}

fn write_choice(choice: &Choice, losses: &mut Losses) -> Value {
    let refused = choice.parts.iter().any(|part| matches!(part.content, Content::Refusal(_)));
    if let StopReason::Pause | StopReason::Other(_) = &choice.stop {
        losses.note(format!("choices[{}].stop", choice.index), "Chat Completions has no such reason for an end");
    }
    let of_refusal = refused && choice.parts.iter().all(|part| !matches!(part.content, Content::Text(_)));
    json!({
        "index": choice.index,
        "message": write_message(choice, losses),
        "logprobs": wire::write_logprobs(&choice.logprobs, of_refusal),
        "finish_reason": wire::write_stop(&choice.stop, refused),
    })
}

fn write_message(choice: &Choice, losses: &mut Losses) -> Map<String, Value> {
    let mut text: Option<String> = None;
    let mut refusal: Option<String> = None;
    let mut thoughts = String::new();
    let (mut details, mut calls, mut images) = (Vec::new(), Vec::new(), Vec::new());
    for (position, part) in choice.parts.iter().enumerate() {
        match &part.content {
            Content::Text(more) => text.get_or_insert_default().push_str(more),
            Content::Refusal(more) => refusal.get_or_insert_default().push_str(more),
            Content::Reasoning(reasoning) => {
                thoughts.push_str(&reasoning.text);
                let next = choice.parts.get(position + 1).map(|part| &part.content);
                let call = match next {
                    Some(Content::ToolCall(call)) => Some(call.id.as_str()),
                    _ => None,
                };
                details.extend(reasoning::write_details(reasoning, call, details.len()));
            }
            Content::ToolCall(call) => calls.push(json!({
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": wire::arguments(&call.arguments)},
            })),
            Content::Image(media) if media.to_url().is_some() => {
                images.push(json!({"type": "image_url", "image_url": {"url": media.to_url()}, "index": images.len()}));
            }
            _ => losses.note(
                format!("choices[{}].parts[{position}]", choice.index),
                "an answer of Chat Completions cannot hold it",
            ),
        }
    }
    let mut message = Map::new();
    message.insert("role".to_owned(), json!("assistant"));
    message.insert("content".to_owned(), json!(text));
    message.insert("refusal".to_owned(), json!(refusal));
    if !thoughts.is_empty() {
        message.insert("reasoning_content".to_owned(), json!(thoughts));
    }
    for (name, list) in [("reasoning_details", details), ("tool_calls", calls), ("images", images)] {
        if !list.is_empty() {
            message.insert(name.to_owned(), Value::Array(list));
        }
    }
    message
}
