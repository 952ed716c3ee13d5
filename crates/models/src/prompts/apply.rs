//! A rendered prompt inside a client's request, in the client's protocol. What the caller wrote stays as it is, byte for byte.

use plasma_kernel::{Error, Result};
use plasma_protocols::{Losses, Protocol};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json, value::RawValue};

use super::types::{PromptRole, RenderedMessage, RenderedPrompt};
use crate::{chat::check_size, upstream::RawObject};

type Raw = Box<RawValue>;

/// Puts the prompt's messages before the caller's own, its instructions before the caller's instructions, and its
/// parameters where the caller has none. What the protocol has no place for is told as lost.
///
/// # Errors
/// `invalid` naming a field of the caller that is malformed, `too_large` beyond 1,024 messages.
pub(crate) fn insert(protocol: Protocol, body: &mut RawObject, prompt: &RenderedPrompt) -> Result<Losses> {
    let mut losses = Losses::default();
    match protocol {
        Protocol::OpenAiChat | Protocol::Bedrock => openai_chat(body, prompt)?,
        Protocol::OpenAiResponses => openai_responses(body, prompt, &mut losses)?,
        Protocol::Anthropic => anthropic(body, prompt)?,
        Protocol::Gemini => gemini(body, prompt)?,
    }
    Ok(losses)
}

fn raw(value: &Value) -> Result<Raw> {
    serde_json::value::to_raw_value(value).map_err(|error| Error::from_source("a prompt's message", error))
}

/// Sets the first of these names when the caller has none of them.
fn set_if_absent(body: &mut RawObject, names: &[&str], value: Option<impl Serialize>) -> Result<()> {
    match (names.first(), value) {
        (Some(name), Some(value)) if !names.iter().any(|name| body.has(name)) => body.set(name, &value),
        _ => Ok(()),
    }
}

fn stops(prompt: &RenderedPrompt) -> Option<&[String]> {
    Some(prompt.parameters.stop.as_slice()).filter(|stop| !stop.is_empty())
}

/// `{"role", "content"}` of a message after the instructions.
fn turn(message: &RenderedMessage) -> Result<Raw> {
    raw(&json!({ "role": message.role.as_str(), "content": message.content }))
}

fn openai_chat(body: &mut RawObject, prompt: &RenderedPrompt) -> Result<()> {
    #[derive(Deserialize)]
    struct Spoken {
        role: Option<String>,
    }
    let own: Vec<Raw> = body.get("messages")?.unwrap_or_default();
    let is_instruction = |message: &&Raw| {
        let spoken = serde_json::from_str::<Spoken>(message.get()).ok().and_then(|spoken| spoken.role);
        matches!(spoken.as_deref(), Some("system" | "developer"))
    };
    let instructions = own.iter().take_while(is_instruction).count();
    let (instructions, rest) = own.split_at(instructions);
    let system = prompt.messages.iter().filter(|message| message.role == PromptRole::System);
    let mut messages = system.map(turn).collect::<Result<Vec<_>>>()?;
    messages.extend(instructions.iter().cloned());
    messages.extend(prompt.turns().map(turn).collect::<Result<Vec<_>>>()?);
    messages.extend(rest.iter().cloned());
    check_size(messages.len(), 0)?;
    body.set("messages", &messages)?;
    let parameters = &prompt.parameters;
    set_if_absent(body, &["temperature"], parameters.temperature)?;
    set_if_absent(body, &["top_p"], parameters.top_p)?;
    set_if_absent(body, &["max_tokens", "max_completion_tokens"], parameters.max_tokens)?;
    set_if_absent(body, &["stop"], stops(prompt))
}

fn openai_responses(body: &mut RawObject, prompt: &RenderedPrompt, losses: &mut Losses) -> Result<()> {
    let own: Option<String> = body.get("instructions")?;
    if let Some(system) = prompt.system() {
        body.set("instructions", &joined(system, own))?;
    }
    let mut input = prompt.turns().map(turn).collect::<Result<Vec<_>>>()?;
    if !input.is_empty() || !body.has("input") {
        match body.text("input") {
            Some(text) if text.starts_with('"') => {
                let text: Option<String> = body.get("input")?;
                input.push(raw(&json!({ "role": "user", "content": text }))?);
            }
            _ => input.extend(body.get::<Vec<Raw>>("input")?.unwrap_or_default()),
        }
        check_size(input.len(), 0)?;
        body.set("input", &input)?;
    }
    let parameters = &prompt.parameters;
    set_if_absent(body, &["temperature"], parameters.temperature)?;
    set_if_absent(body, &["top_p"], parameters.top_p)?;
    set_if_absent(body, &["max_output_tokens"], parameters.max_tokens)?;
    if stops(prompt).is_some() {
        losses.note("prompt.parameters.stop", "has no counterpart in this protocol");
    }
    Ok(())
}

fn joined(system: String, own: Option<String>) -> String {
    match own {
        Some(own) if !own.is_empty() => format!("{system}\n\n{own}"),
        _ => system,
    }
}

fn anthropic(body: &mut RawObject, prompt: &RenderedPrompt) -> Result<()> {
    if let Some(system) = prompt.system() {
        match body.text("system") {
            Some(text) if text.starts_with('[') => {
                let mut blocks = vec![raw(&json!({ "type": "text", "text": system }))?];
                blocks.extend(body.get::<Vec<Raw>>("system")?.unwrap_or_default());
                body.set("system", &blocks)?;
            }
            _ => {
                let own: Option<String> = body.get("system")?;
                body.set("system", &joined(system, own))?;
            }
        }
    }
    let mut messages = prompt.turns().map(turn).collect::<Result<Vec<_>>>()?;
    messages.extend(body.get::<Vec<Raw>>("messages")?.unwrap_or_default());
    check_size(messages.len(), 0)?;
    body.set("messages", &messages)?;
    let parameters = &prompt.parameters;
    set_if_absent(body, &["temperature"], parameters.temperature)?;
    set_if_absent(body, &["top_p"], parameters.top_p)?;
    set_if_absent(body, &["max_tokens"], parameters.max_tokens)?;
    set_if_absent(body, &["stop_sequences"], stops(prompt))
}

fn gemini(body: &mut RawObject, prompt: &RenderedPrompt) -> Result<()> {
    /// The field's name in both spellings that Google's servers take.
    fn spelled<'a>(body: &RawObject, camel: &'a str, snake: &'a str) -> &'a str {
        if body.has(snake) { snake } else { camel }
    }
    if let Some(system) = prompt.system() {
        let name = spelled(body, "systemInstruction", "system_instruction");
        let mut instruction: RawObject = body.get(name)?.unwrap_or_default();
        let mut parts = vec![raw(&json!({ "text": system }))?];
        parts.extend(instruction.get::<Vec<Raw>>("parts")?.unwrap_or_default());
        instruction.set("parts", &parts)?;
        body.set(name, &instruction)?;
    }
    let content = |message: &RenderedMessage| {
        let role = if message.role == PromptRole::Assistant { "model" } else { "user" };
        raw(&json!({ "role": role, "parts": [{ "text": message.content }] }))
    };
    let mut contents = prompt.turns().map(content).collect::<Result<Vec<_>>>()?;
    contents.extend(body.get::<Vec<Raw>>("contents")?.unwrap_or_default());
    check_size(contents.len(), 0)?;
    body.set("contents", &contents)?;
    let name = spelled(body, "generationConfig", "generation_config");
    let had = body.has(name);
    let mut config: RawObject = body.get(name)?.unwrap_or_default();
    let parameters = &prompt.parameters;
    set_if_absent(&mut config, &["temperature"], parameters.temperature)?;
    set_if_absent(&mut config, &["topP", "top_p"], parameters.top_p)?;
    set_if_absent(&mut config, &["maxOutputTokens", "max_output_tokens"], parameters.max_tokens)?;
    set_if_absent(&mut config, &["stopSequences", "stop_sequences"], stops(prompt))?;
    if had || config.fields().next().is_some() {
        body.set(name, &config)?;
    }
    Ok(())
}
