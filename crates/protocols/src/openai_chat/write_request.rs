//! Writing a request to a provider.

use plasma_kernel::Result;
use serde_json::{Map, Value, json};

use super::{effort::effort_word, tools, write_messages};
use crate::{
    Losses,
    chat::{Effort, OutputFormat, ReasoningRequest, Request},
};

/// Characters of `user` that OpenAI takes; OpenRouter takes 128.
const USER_CHARS_MAX: usize = 64;
/// Tokens of thought up to which an effort is low, and medium. The protocol has efforts only.
const BUDGET_LOW_MAX: u64 = 2_048;
const BUDGET_MEDIUM_MAX: u64 = 8_192;

/// Writes a request in the words that OpenAI and the compatible servers have in common: `max_tokens` and not its
/// younger name, contents of nothing but text as one text, a schema's name always. A stream is always asked for its
/// usage.
///
/// # Errors
/// `invalid`, naming the middle form's field, for what the protocol cannot say: a document by its address, a file in
/// another provider's store, an image among the model's own words.
pub fn write_request(request: &Request, losses: &mut Losses) -> Result<Value> {
    let mut body = Map::new();
    let mut set = |name: &str, value: Option<Value>| body.extend(value.map(|value| (name.to_owned(), value)));
    set("model", Some(json!(request.model)));
    set("messages", Some(Value::Array(write_messages::write_messages(request, losses)?)));
    for (name, value) in tools::write_tools(request, losses)? {
        set(name, Some(value));
    }
    set("response_format", write_output(&request.output));
    set("max_tokens", request.max_output_tokens.map(Value::from));
    set("temperature", request.temperature.map(Value::from));
    set("top_p", request.top_p.map(Value::from));
    set("frequency_penalty", request.frequency_penalty.map(Value::from));
    set("presence_penalty", request.presence_penalty.map(Value::from));
    set("seed", request.seed.map(Value::from));
    set("stop", (!request.stop.is_empty()).then(|| json!(request.stop)));
    set("n", request.choices.map(Value::from));
    set("logprobs", request.logprobs.map(|_| Value::Bool(true)));
    set("top_logprobs", request.logprobs.filter(|count| *count > 0).map(Value::from));
    if request.top_k.is_some() {
        losses.note("top_k", "Chat Completions has no such field");
    }
    set("reasoning_effort", request.reasoning.as_ref().and_then(|reasoning| write_effort(reasoning, losses)));
    match &request.user {
        Some(user) if user.chars().count() > USER_CHARS_MAX => {
            losses.note("user", format!("has more than the {USER_CHARS_MAX} characters that this provider takes"));
        }
        user => set("user", user.as_ref().map(|user| json!(user))),
    }
    if request.stream {
        set("stream", Some(Value::Bool(true)));
        set("stream_options", Some(json!({"include_usage": true})));
    }
    Ok(Value::Object(body))
}

fn write_output(output: &OutputFormat) -> Option<Value> {
    let schema = match output {
        OutputFormat::Text => return None,
        OutputFormat::Json => return Some(json!({"type": "json_object"})),
        OutputFormat::Schema(schema) => schema,
    };
    let mut fields = Map::new();
    // Servers demand a name.
    fields.insert("name".to_owned(), json!(schema.name.as_deref().unwrap_or("answer")));
    fields.extend(schema.description.as_ref().map(|text| ("description".to_owned(), json!(text))));
    fields.insert("schema".to_owned(), schema.schema.clone());
    fields.extend(schema.strict.map(|strict| ("strict".to_owned(), Value::Bool(strict))));
    Some(json!({"type": "json_schema", "json_schema": fields}))
}

fn write_effort(reasoning: &ReasoningRequest, losses: &mut Losses) -> Option<Value> {
    if reasoning.visible == Some(false) {
        losses.note("reasoning.visible", "Chat Completions cannot ask a provider to keep its thoughts back");
    }
    if reasoning.budget_tokens.is_some_and(|budget| budget > 0) {
        losses.note("reasoning.budget_tokens", "Chat Completions knows no budgets: an effort is asked for");
    }
    let of_budget = |budget| match budget {
        0 => Effort::None,
        budget if budget <= BUDGET_LOW_MAX => Effort::Low,
        budget if budget <= BUDGET_MEDIUM_MAX => Effort::Medium,
        _ => Effort::High,
    };
    let effort = reasoning.effort.or(reasoning.budget_tokens.map(of_budget))?;
    Some(json!(effort_word(effort)))
}
