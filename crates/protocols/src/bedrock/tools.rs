//! The tools of a request for Bedrock.

use plasma_kernel::{Error, Result};
use serde_json::{Map, Value, json};

use super::messages::Blocks;
use crate::chat::{Content, Request, Tool, ToolChoice};

/// `toolConfig`; `None` when no tools are told.
pub(super) fn write_tools(request: &Request, blocks: &mut Blocks<'_>) -> Result<Option<Value>> {
    let forbidden = request.tool_choice == Some(ToolChoice::None);
    if request.tools.is_empty() || forbidden {
        if has_tool_parts(request) {
            return Err(if forbidden {
                Error::invalid("tool_choice", "Bedrock cannot forbid tools in a conversation in which some were called")
                    .remedy("leave the choice to the model (`auto`), or leave the calls and their results out")
            } else {
                Error::invalid("tools", "Bedrock cannot take calls of tools without the tools")
                    .remedy("give the tools that the conversation calls, or leave the calls and their results out")
            });
        }
        return match request.tool_choice {
            None | Some(ToolChoice::Auto | ToolChoice::None) => Ok(None),
            Some(_) => Err(Error::invalid("tool_choice", "demands a tool, but there is none").remedy("give `tools`")),
        };
    }
    let mut tools = Vec::with_capacity(request.tools.len());
    for (index, tool) in request.tools.iter().enumerate() {
        let place = format!("tools[{index}]");
        tools.push(write_tool(tool, &place)?);
        blocks.tool_cache_point(tool.cache.as_ref(), &place, &mut tools);
    }
    if request.parallel_tool_calls == Some(false) {
        blocks.losses.note("parallel_tool_calls", "Bedrock cannot be kept from calling several tools at once");
    }
    let mut config = Map::new();
    config.insert("tools".to_owned(), Value::Array(tools));
    if let Some(choice) = write_choice(request)? {
        config.insert("toolChoice".to_owned(), choice);
    }
    Ok(Some(Value::Object(config)))
}

fn write_tool(tool: &Tool, place: &str) -> Result<Value> {
    let mut fields = Map::new();
    fields.insert("name".to_owned(), tool.name.clone().into());
    if let Some(description) = tool.description.as_ref().filter(|description| !description.is_empty()) {
        fields.insert("description".to_owned(), description.clone().into());
    }
    // Bedrock demands a schema, and that it says `"type":"object"`.
    let mut schema = match &tool.parameters {
        None => Map::new(),
        Some(Value::Object(schema)) => schema.clone(),
        Some(_) => return Err(Error::invalid(format!("{place}.parameters"), "must be an object")),
    };
    schema.entry("type").or_insert_with(|| "object".into());
    fields.insert("inputSchema".to_owned(), json!({ "json": schema }));
    // Not all models know the field, and `false` is what they do without it.
    if tool.strict == Some(true) {
        fields.insert("strict".to_owned(), true.into());
    }
    Ok(json!({ "toolSpec": fields }))
}

fn write_choice(request: &Request) -> Result<Option<Value>> {
    Ok(Some(match &request.tool_choice {
        None | Some(ToolChoice::None) => return Ok(None),
        Some(ToolChoice::Auto) => json!({ "auto": {} }),
        Some(ToolChoice::Required) => json!({ "any": {} }),
        Some(ToolChoice::Named(names)) => match names.as_slice() {
            [name] => json!({ "tool": { "name": name } }),
            _ => {
                let message = "Bedrock cannot choose among some of the tools";
                let remedy = "name one tool, or give only these tools and demand any of them";
                return Err(Error::invalid("tool_choice", message).remedy(remedy));
            }
        },
    }))
}

fn has_tool_parts(request: &Request) -> bool {
    let mut parts = request.messages.iter().flat_map(|message| &message.parts);
    parts.any(|part| matches!(part.content, Content::ToolCall(_) | Content::ToolResult(_)))
}

#[cfg(test)]
mod tests;
