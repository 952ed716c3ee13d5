//! A client's request.

use plasma_kernel::{Error, Result};
use serde_json::Value;

use super::read_parts::{NOT_CARRIED, need_text, read_cache, read_content};
use crate::{
    Fields, Losses,
    chat::{
        Content, Effort, Message, OutputFormat, OutputSchema, Part, ReasoningRequest, Request, Role, Tool, ToolChoice,
    },
};

/// The least budget of thoughts, in tokens (guide "Extended thinking").
pub(super) const BUDGET_TOKENS_MIN: u64 = 1_024;

/// Reads the body of `/v1/messages`, or of `/v1/messages/count_tokens`: `max_tokens` may be missing.
///
/// # Errors
/// `invalid` naming the field when it is not such a request, or asks for what only Anthropic has: its own tools, its
/// MCP connector, their blocks.
pub fn read_request(body: Value, losses: &mut Losses) -> Result<Request> {
    let mut fields = Fields::of(body, "")?;
    let model = need_text(&mut fields, "model")?;
    let system = read_system(&mut fields, losses)?;
    let mut messages = read_messages(&mut fields, losses)?;
    mark_last_part(&mut messages, &mut fields, losses)?;
    if !fields.list("mcp_servers")?.is_empty() {
        return Err(Error::invalid("mcp_servers", "cannot be carried: only Anthropic connects to MCP servers itself")
            .remedy("give the tools as `tools` and call the servers yourself"));
    }
    let tools = read_tools(&mut fields, losses)?;
    let (tool_choice, parallel_tool_calls) = read_tool_choice(&mut fields, losses)?;
    let (effort, output) = read_output_config(&mut fields, losses)?;
    let reasoning = read_thinking(&mut fields, losses)?;
    let reasoning = match (reasoning, effort) {
        (None, None) => None,
        (reasoning, effort) => Some(ReasoningRequest { effort, ..reasoning.unwrap_or_default() }),
    };
    let stream = fields.flag("stream")?.unwrap_or(false);
    let request = Request {
        model,
        system,
        messages,
        tools,
        tool_choice,
        parallel_tool_calls,
        output,
        reasoning,
        max_output_tokens: fields.count("max_tokens")?,
        temperature: fields.number("temperature")?,
        top_p: fields.number("top_p")?,
        top_k: fields.count("top_k")?,
        stop: fields.texts("stop_sequences")?,
        user: read_user(&mut fields, losses)?,
        stream,
        // Its streams always tell the tokens used.
        stream_usage: stream,
        ..Request::default()
    };
    fields.finish(NOT_CARRIED, losses);
    Ok(request)
}

fn read_system(fields: &mut Fields, losses: &mut Losses) -> Result<Vec<Part>> {
    let parts = read_content(fields, "system", losses)?;
    match parts.iter().position(|part| !matches!(part.content, Content::Text(_))) {
        Some(index) => Err(Error::invalid(format!("system[{index}]"), "must be a block of type `text`")),
        None => Ok(parts),
    }
}

fn read_messages(fields: &mut Fields, losses: &mut Losses) -> Result<Vec<Message>> {
    let list = fields.list("messages")?;
    if list.is_empty() {
        return Err(Error::invalid("messages", "must hold at least one message"));
    }
    let mut messages = Vec::with_capacity(list.len());
    for (index, message) in list.into_iter().enumerate() {
        let mut message = Fields::of(message, format!("messages[{index}]"))?;
        let role = match need_text(&mut message, "role")?.as_str() {
            "user" => Role::User,
            "assistant" => Role::Assistant,
            "system" => Role::System,
            _ => return Err(Error::invalid(message.place("role"), "must be `user` or `assistant`")),
        };
        if !message.has("content") {
            return Err(Error::invalid(message.place("content"), "is missing"));
        }
        let parts = read_content(&mut message, "content", losses)?;
        message.finish(NOT_CARRIED, losses);
        messages.push(Message { role, name: None, parts });
    }
    Ok(messages)
}

/// A mark on the request itself stands for one on its last block.
fn mark_last_part(messages: &mut [Message], fields: &mut Fields, losses: &mut Losses) -> Result<()> {
    let cache = read_cache(fields, losses)?;
    if let Some(part) = messages.last_mut().and_then(|message| message.parts.last_mut()) {
        part.cache = part.cache.take().or(cache);
    }
    Ok(())
}

fn read_tools(fields: &mut Fields, losses: &mut Losses) -> Result<Vec<Tool>> {
    let list = fields.list("tools")?;
    let mut tools = Vec::with_capacity(list.len());
    for (index, tool) in list.into_iter().enumerate() {
        let mut tool = Fields::of(tool, format!("tools[{index}]"))?;
        if let Some(kind) = tool.text("type")?
            && kind != "custom"
        {
            let message = format!("the tool `{kind}` cannot be carried: only Anthropic has it");
            return Err(Error::invalid(tool.place("type"), message)
                .remedy("give a function of your own with `name` and `input_schema`, or use a model of Anthropic"));
        }
        let parameters = tool.take("input_schema");
        if parameters.as_ref().is_some_and(|schema| !schema.is_object()) {
            return Err(Error::invalid(tool.place("input_schema"), "must be an object"));
        }
        let read = Tool {
            name: need_text(&mut tool, "name")?,
            description: tool.text("description")?,
            parameters,
            strict: tool.flag("strict")?,
            cache: read_cache(&mut tool, losses)?,
        };
        tool.finish(NOT_CARRIED, losses);
        tools.push(read);
    }
    Ok(tools)
}

fn read_tool_choice(fields: &mut Fields, losses: &mut Losses) -> Result<(Option<ToolChoice>, Option<bool>)> {
    let Some(mut choice) = fields.object("tool_choice")? else { return Ok((None, None)) };
    let read = match need_text(&mut choice, "type")?.as_str() {
        "auto" => ToolChoice::Auto,
        "any" => ToolChoice::Required,
        "none" => ToolChoice::None,
        "tool" => ToolChoice::Named(vec![need_text(&mut choice, "name")?]),
        _ => return Err(Error::invalid(choice.place("type"), "must be `auto`, `any`, `tool` or `none`")),
    };
    let parallel = choice.flag("disable_parallel_tool_use")?.map(|disabled| !disabled);
    choice.finish(NOT_CARRIED, losses);
    Ok((Some(read), parallel))
}

fn read_output_config(fields: &mut Fields, losses: &mut Losses) -> Result<(Option<Effort>, OutputFormat)> {
    let mut effort = None;
    let mut format = None;
    if let Some(mut config) = fields.object("output_config")? {
        effort = read_effort(&mut config, losses)?;
        format = config.object("format")?;
        config.finish(NOT_CARRIED, losses);
    }
    // Where the format stood before `output_config`. When both are there, this one is left to be noted as lost.
    if format.is_none() {
        format = fields.object("output_format")?;
    }
    let Some(mut format) = format else { return Ok((effort, OutputFormat::Text)) };
    if need_text(&mut format, "type")? != "json_schema" {
        return Err(Error::invalid(format.place("type"), "must be `json_schema`"));
    }
    let schema = format.take("schema");
    let schema = format.need("schema", schema)?;
    if !schema.is_object() {
        return Err(Error::invalid(format.place("schema"), "must be an object"));
    }
    format.finish(NOT_CARRIED, losses);
    // Anthropic's answers always follow the schema.
    let schema = OutputSchema { name: None, description: None, schema, strict: Some(true) };
    Ok((effort, OutputFormat::Schema(schema)))
}

fn read_effort(config: &mut Fields, losses: &mut Losses) -> Result<Option<Effort>> {
    let Some(effort) = config.text("effort")? else { return Ok(None) };
    Ok(Some(match effort.as_str() {
        "low" => Effort::Low,
        "medium" => Effort::Medium,
        "high" => Effort::High,
        "max" => Effort::Max,
        "xhigh" => {
            losses.note(config.place("effort"), "`xhigh` is carried as `max`");
            Effort::Max
        }
        _ => {
            let message = "must be `low`, `medium`, `high`, `xhigh` or `max`";
            return Err(Error::invalid(config.place("effort"), message));
        }
    }))
}

fn read_thinking(fields: &mut Fields, losses: &mut Losses) -> Result<Option<ReasoningRequest>> {
    let Some(mut thinking) = fields.object("thinking")? else { return Ok(None) };
    let budget_tokens = match need_text(&mut thinking, "type")?.as_str() {
        "enabled" => {
            let budget = thinking.count("budget_tokens")?;
            let budget = thinking.need("budget_tokens", budget)?;
            if budget < BUDGET_TOKENS_MIN {
                let message = format!("must be at least {BUDGET_TOKENS_MIN}");
                return Err(Error::invalid(thinking.place("budget_tokens"), message));
            }
            Some(budget)
        }
        "disabled" => Some(0),
        "adaptive" => None,
        other => {
            losses.note(thinking.place("type"), format!("`{other}` is carried as `adaptive`"));
            None
        }
    };
    let visible = match thinking.text("display")?.as_deref() {
        None => None,
        Some("summarized") => Some(true),
        Some("omitted") => Some(false),
        Some(_) => {
            losses.note(thinking.place("display"), NOT_CARRIED);
            None
        }
    };
    thinking.finish(NOT_CARRIED, losses);
    Ok(Some(ReasoningRequest { effort: None, budget_tokens, visible }))
}

fn read_user(fields: &mut Fields, losses: &mut Losses) -> Result<Option<String>> {
    let Some(mut metadata) = fields.object("metadata")? else { return Ok(None) };
    let user = metadata.text("user_id")?;
    metadata.finish(NOT_CARRIED, losses);
    Ok(user)
}
