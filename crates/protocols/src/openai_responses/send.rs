//! A request for a provider.

use plasma_kernel::{Error, Result};
use serde_json::{Map, Value, json};

use super::send_items::Sender;
use crate::{
    Losses,
    chat::{Content, Effort, OutputFormat, ReasoningRequest, Request, Tool, ToolChoice},
    openai_chat::effort::effort_word,
};

/// Thinking budgets in tokens up to which an effort stands for them.
const LOW_EFFORT_TOKENS_MAX: u64 = 2_048;
const MEDIUM_EFFORT_TOKENS_MAX: u64 = 12_288;

/// A request for a provider, that nothing be stored there (`store: false`).
///
/// # Errors
/// `invalid`, naming the field of [`Request`], for what this protocol cannot say and what would change the answer.
pub fn write_request(request: &Request, losses: &mut Losses) -> Result<Value> {
    refuse(request)?;
    note_losses(request, losses);
    let mut sender = Sender::new(losses);
    let instructions = sender.system(&request.system)?;
    for (index, message) in request.messages.iter().enumerate() {
        sender.message(message, &format!("messages[{index}]"))?;
    }
    let (input, thoughts_sent) = sender.finish();

    let mut body = Map::new();
    let mut put = |name: &str, value: Value| {
        if !value.is_null() {
            body.insert(name.to_owned(), value);
        }
    };
    put("model", json!(request.model));
    put("instructions", json!(instructions));
    put("input", Value::Array(input));
    if !request.tools.is_empty() {
        put("tools", request.tools.iter().map(tool).collect());
    }
    put("tool_choice", json!(request.tool_choice.as_ref().map(tool_choice)));
    put("parallel_tool_calls", json!(request.parallel_tool_calls));
    put("text", json!(text(&request.output)));
    put("max_output_tokens", json!(request.max_output_tokens));
    put("temperature", json!(request.temperature));
    put("top_p", json!(request.top_p));
    put("top_logprobs", json!(request.logprobs));
    let thinks = request.reasoning.as_ref().is_some_and(asks_for_thoughts);
    let include: Vec<_> = [
        // Thoughts come back sealed, for nothing is stored. Models that do not think refuse this.
        (thinks || thoughts_sent).then_some("reasoning.encrypted_content"),
        request.logprobs.map(|_| "message.output_text.logprobs"),
    ]
    .into_iter()
    .flatten()
    .collect();
    if !include.is_empty() {
        put("include", json!(include));
    }
    put("reasoning", json!(request.reasoning.as_ref().and_then(reasoning)));
    put("user", json!(request.user));
    put("store", json!(false));
    put("stream", json!(request.stream.then_some(true)));
    Ok(Value::Object(body))
}

fn refuse(request: &Request) -> Result<()> {
    if request.choices.is_some_and(|choices| choices > 1) {
        return Err(Error::invalid("choices", "cannot be more than one in the Responses API")
            .remedy("send the request several times"));
    }
    if !request.stop.is_empty() {
        return Err(Error::invalid("stop", "cannot be sent: the Responses API has no stop sequences")
            .remedy("leave it out and cut the answer, or use a model of another provider"));
    }
    Ok(())
}

fn note_losses(request: &Request, losses: &mut Losses) {
    let unknown = [
        ("top_k", request.top_k.is_some()),
        ("frequency_penalty", request.frequency_penalty.is_some()),
        ("presence_penalty", request.presence_penalty.is_some()),
        ("seed", request.seed.is_some()),
    ];
    for (field, _) in unknown.into_iter().filter(|(_, is_set)| *is_set) {
        losses.note(field, "the Responses API has no such field");
    }
    let parts = request.system.iter().chain(request.messages.iter().flat_map(|message| &message.parts));
    let in_results = |content: &Content| match content {
        Content::ToolResult(result) => result.parts.iter().any(|part| part.cache.is_some()),
        _ => false,
    };
    if request.tools.iter().any(|tool| tool.cache.is_some())
        || parts.into_iter().any(|part| part.cache.is_some() || in_results(&part.content))
    {
        losses.note("cache", "providers of the Responses API cache by themselves");
    }
    if request.reasoning.as_ref().and_then(|asked| asked.budget_tokens).is_some_and(|tokens| tokens > 0) {
        losses.note("reasoning.budget_tokens", "the Responses API has efforts, not budgets; the nearest one is sent");
    }
}

fn tool(tool: &Tool) -> Value {
    let mut value = json!({ "type": "function", "name": tool.name });
    if let Value::Object(fields) = &mut value {
        fields.extend(tool.description.as_ref().map(|description| ("description".to_owned(), json!(description))));
        let parameters = tool.parameters.clone().unwrap_or_else(|| json!({ "type": "object", "properties": {} }));
        fields.insert("parameters".to_owned(), parameters);
        // Absent means true, and then a schema with optional fields would be refused.
        fields.insert("strict".to_owned(), json!(tool.strict.unwrap_or(false)));
    }
    value
}

fn tool_choice(choice: &ToolChoice) -> Value {
    let function = |name: &String| json!({ "type": "function", "name": name });
    match choice {
        ToolChoice::Auto => json!("auto"),
        ToolChoice::None => json!("none"),
        ToolChoice::Required => json!("required"),
        ToolChoice::Named(names) => match names.as_slice() {
            [] => json!("required"),
            [name] => function(name),
            names => {
                let tools: Vec<_> = names.iter().map(function).collect();
                json!({ "type": "allowed_tools", "mode": "required", "tools": tools })
            }
        },
    }
}

fn text(output: &OutputFormat) -> Option<Value> {
    let format = match output {
        OutputFormat::Text => return None,
        OutputFormat::Json => json!({ "type": "json_object" }),
        OutputFormat::Schema(schema) => {
            let mut format = Map::new();
            format.insert("type".to_owned(), json!("json_schema"));
            // The name is needed here and not everywhere.
            format.insert("name".to_owned(), json!(schema.name.as_deref().unwrap_or("answer")));
            format.extend(schema.description.as_ref().map(|text| ("description".to_owned(), json!(text))));
            format.insert("schema".to_owned(), schema.schema.clone());
            format.extend(schema.strict.map(|strict| ("strict".to_owned(), json!(strict))));
            Value::Object(format)
        }
    };
    Some(json!({ "format": format }))
}

fn asks_for_thoughts(asked: &ReasoningRequest) -> bool {
    effort(asked).map_or(asked.visible == Some(true), |effort| effort != Effort::None)
}

fn reasoning(asked: &ReasoningRequest) -> Option<Value> {
    let mut value = Map::new();
    if let Some(effort) = effort(asked) {
        value.insert("effort".to_owned(), json!(effort_word(effort)));
    }
    if asked.visible == Some(true) {
        value.insert("summary".to_owned(), json!("auto"));
    }
    (!value.is_empty()).then_some(Value::Object(value))
}

/// The effort asked for, or the one nearest to the budget asked for.
fn effort(asked: &ReasoningRequest) -> Option<Effort> {
    asked.effort.or_else(|| {
        Some(match asked.budget_tokens? {
            0 => Effort::None,
            tokens if tokens <= LOW_EFFORT_TOKENS_MAX => Effort::Low,
            tokens if tokens <= MEDIUM_EFFORT_TOKENS_MAX => Effort::Medium,
            _ => Effort::High,
        })
    })
}
