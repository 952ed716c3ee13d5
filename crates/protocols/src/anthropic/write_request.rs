//! A request for Anthropic.

use plasma_kernel::{Error, Result};
use serde_json::{Map, Value, json};

use super::{
    thinking::{self, Plan},
    write_messages::{Blocks, is_unsigned_tool_loop},
};
use crate::{
    Losses,
    chat::{OutputFormat, Request, Tool, ToolChoice},
};

/// Writes the body of `/v1/messages`.
///
/// # Errors
/// `invalid` naming the field, in the middle form's words, that Anthropic cannot do.
pub fn write_request(request: &Request, losses: &mut Losses) -> Result<Value> {
    refuse_unknown(request)?;
    let (mut body, plan) = write_prompt(request, losses)?;
    if request.max_output_tokens.is_none() {
        let why = format!("Anthropic demands a limit: {} was set", plan.max_tokens);
        losses.note("max_output_tokens", why);
    }
    body.insert("max_tokens".to_owned(), plan.max_tokens.into());
    let sampling = thinking::sampling(request, plan.on, losses);
    let stop = stop_sequences(request)?;
    let mut set = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            body.insert(name.to_owned(), value);
        }
    };
    set("temperature", sampling.temperature.map(Value::from));
    set("top_p", sampling.top_p.map(Value::from));
    set("top_k", sampling.top_k.map(Value::from));
    set("stop_sequences", (!stop.is_empty()).then(|| json!(stop)));
    set("metadata", request.user.as_ref().map(|user| json!({ "user_id": user })));
    set("stream", request.stream.then_some(Value::Bool(true)));
    for (field, given) in [
        ("seed", request.seed.is_some()),
        ("frequency_penalty", request.frequency_penalty.is_some_and(|penalty| penalty != 0.0)),
        ("presence_penalty", request.presence_penalty.is_some_and(|penalty| penalty != 0.0)),
    ] {
        if given {
            losses.note(field, "Anthropic has no such field");
        }
    }
    Ok(Value::Object(body))
}

/// What changes the meaning of the answer and cannot be said.
fn refuse_unknown(request: &Request) -> Result<()> {
    if request.choices.is_some_and(|choices| choices > 1) {
        return Err(Error::invalid("choices", "Anthropic cannot give several answers at once")
            .remedy("ask for one, or send the request several times"));
    }
    if request.logprobs.is_some() {
        return Err(Error::invalid("logprobs", "Anthropic cannot tell the probabilities of tokens")
            .remedy("leave it out, or use a model of another provider"));
    }
    Ok(())
}

fn stop_sequences(request: &Request) -> Result<Vec<&str>> {
    let mut stop = Vec::new();
    for (index, sequence) in request.stop.iter().enumerate() {
        // An empty one stops nothing anywhere.
        if sequence.is_empty() {
            continue;
        }
        if sequence.trim().is_empty() {
            let message = "Anthropic cannot stop at white space alone";
            return Err(
                Error::invalid(format!("stop[{index}]"), message).remedy("give a sequence with a letter or sign")
            );
        }
        stop.push(sequence.as_str());
    }
    Ok(stop)
}

/// What a prompt consists of: the model, the tools, the conversation, the form of the answer.
pub(super) fn write_prompt(request: &Request, losses: &mut Losses) -> Result<(Map<String, Value>, Plan)> {
    let mut blocks = Blocks::new(losses);
    // In this order, for it is the order of Anthropic's cache, and the marks are counted.
    let tools = write_tools(request, &mut blocks)?;
    let system = blocks.system(request)?;
    let messages = blocks.messages(request)?;
    let plan = thinking::plan(request, is_unsigned_tool_loop(&messages), losses);
    let tool_choice = write_tool_choice(request)?;
    let output_config = write_output_config(request, &plan, losses)?;

    let mut body = Map::new();
    body.insert("model".to_owned(), request.model.clone().into());
    let mut set = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            body.insert(name.to_owned(), value);
        }
    };
    set("system", (!system.is_empty()).then(|| Value::Array(system)));
    set("messages", Some(Value::Array(messages)));
    set("tools", (!tools.is_empty()).then(|| Value::Array(tools)));
    set("tool_choice", tool_choice);
    set("thinking", plan.config.clone());
    set("output_config", (!output_config.is_empty()).then(|| Value::Object(output_config)));
    Ok((body, plan))
}

fn write_tools(request: &Request, blocks: &mut Blocks<'_>) -> Result<Vec<Value>> {
    let mut tools = Vec::with_capacity(request.tools.len());
    for (index, tool) in request.tools.iter().enumerate() {
        let place = format!("tools[{index}]");
        let mut fields = Map::new();
        fields.insert("name".to_owned(), tool.name.clone().into());
        if let Some(description) = &tool.description {
            fields.insert("description".to_owned(), description.clone().into());
        }
        fields.insert("input_schema".to_owned(), input_schema(tool, &place)?);
        if let Some(strict) = tool.strict {
            fields.insert("strict".to_owned(), strict.into());
        }
        blocks.mark(&mut fields, tool.cache.as_ref(), &place);
        tools.push(Value::Object(fields));
    }
    Ok(tools)
}

/// Anthropic demands a schema, and that it says `"type":"object"`.
fn input_schema(tool: &Tool, place: &str) -> Result<Value> {
    match &tool.parameters {
        None => Ok(json!({ "type": "object" })),
        Some(Value::Object(schema)) => {
            let mut schema = schema.clone();
            schema.entry("type").or_insert_with(|| "object".into());
            Ok(Value::Object(schema))
        }
        Some(_) => Err(Error::invalid(format!("{place}.parameters"), "must be an object")),
    }
}

fn write_tool_choice(request: &Request) -> Result<Option<Value>> {
    let one_at_a_time = request.parallel_tool_calls == Some(false);
    if request.tools.is_empty() {
        return match request.tool_choice {
            // Nothing to choose from.
            None | Some(ToolChoice::Auto | ToolChoice::None) => Ok(None),
            Some(_) => Err(Error::invalid("tool_choice", "demands a tool, but there is none").remedy("give `tools`")),
        };
    }
    let mut choice = match &request.tool_choice {
        None if !one_at_a_time => return Ok(None),
        Some(ToolChoice::None) => return Ok(Some(json!({ "type": "none" }))),
        None | Some(ToolChoice::Auto) => json!({ "type": "auto" }),
        Some(ToolChoice::Required) => json!({ "type": "any" }),
        Some(ToolChoice::Named(names)) => match names.as_slice() {
            [name] => json!({ "type": "tool", "name": name }),
            _ => {
                let message = "Anthropic cannot choose among some of the tools";
                let remedy = "name one tool, or give only these tools and demand any of them";
                return Err(Error::invalid("tool_choice", message).remedy(remedy));
            }
        },
    };
    if let (Some(parallel), Some(choice)) = (request.parallel_tool_calls, choice.as_object_mut()) {
        choice.insert("disable_parallel_tool_use".to_owned(), (!parallel).into());
    }
    Ok(Some(choice))
}

fn write_output_config(request: &Request, plan: &Plan, losses: &mut Losses) -> Result<Map<String, Value>> {
    let mut config = Map::new();
    if let Some(effort) = plan.effort {
        config.insert("effort".to_owned(), effort.into());
    }
    match &request.output {
        OutputFormat::Text => {}
        OutputFormat::Json => {
            return Err(Error::invalid("output", "Anthropic cannot promise JSON without a schema")
                .remedy("give a JSON schema for the answer"));
        }
        OutputFormat::Schema(schema) => {
            // Its name is only a label, which OpenAI's protocols demand.
            if schema.description.is_some() {
                losses.note("output.description", "Anthropic has no such field");
            }
            if schema.strict == Some(false) {
                losses.note("output.strict", "Anthropic always follows the schema exactly");
            }
            config.insert("format".to_owned(), json!({ "type": "json_schema", "schema": schema.schema }));
        }
    }
    Ok(config)
}
