//! Tools and the choice among them, both ways.

use plasma_kernel::{Error, Result};
use serde_json::{Value, json};

use super::{UNKNOWN, parts};
use crate::{
    Losses,
    chat::{Request, Tool, ToolChoice},
    read::Fields,
};

/// The `tools`, and the `functions` of the older protocol.
pub(super) fn read_tools(body: &mut Fields, losses: &mut Losses) -> Result<Vec<Tool>> {
    let mut tools = Vec::new();
    for (number, value) in body.list("tools")?.into_iter().enumerate() {
        let mut tool = Fields::of(value, format!("tools[{number}]"))?;
        expect_function(&mut tool)?;
        let cache = parts::read_cache(&mut tool, losses)?;
        let function = tool.object("function")?;
        let mut function = tool.need("function", function)?;
        // LiteLLM takes the mark in either place.
        let cache = parts::read_cache(&mut function, losses)?.or(cache);
        tools.push(Tool { cache, ..read_function(function, losses)? });
        tool.finish(UNKNOWN, losses);
    }
    for (number, value) in body.list("functions")?.into_iter().enumerate() {
        tools.push(read_function(Fields::of(value, format!("functions[{number}]"))?, losses)?);
    }
    Ok(tools)
}

/// Only functions can be said in every protocol.
pub(super) fn expect_function(fields: &mut Fields) -> Result<()> {
    match fields.text("type")?.as_deref() {
        None | Some("function") => Ok(()),
        Some(other) => {
            let what = format!("a tool of the type `{other}` cannot be said to this model's provider");
            Err(Error::invalid(fields.place("type"), what).remedy("declare it as a `function`"))
        }
    }
}

fn read_function(mut function: Fields, losses: &mut Losses) -> Result<Tool> {
    let tool = read_declaration(&mut function)?;
    function.finish(UNKNOWN, losses);
    Ok(tool)
}

/// What both of OpenAI's protocols say of a function.
pub(crate) fn read_declaration(function: &mut Fields) -> Result<Tool> {
    let name = function.text("name")?;
    Ok(Tool {
        name: function.need("name", name)?,
        description: function.text("description")?,
        parameters: function.take("parameters"),
        strict: function.flag("strict")?,
        cache: None,
    })
}

/// The `tool_choice`, or the `function_call` of the older protocol. A choice that leaves the model free among some of
/// the tools keeps only those.
pub(super) fn read_choice(
    body: &mut Fields,
    mut tools: Vec<Tool>,
    losses: &mut Losses,
) -> Result<(Vec<Tool>, Option<ToolChoice>)> {
    let (field, value) = match (body.take("tool_choice"), body.take("function_call")) {
        (Some(value), _) => ("tool_choice", value),
        (None, Some(value)) => ("function_call", value),
        (None, None) => return Ok((tools, None)),
    };
    if let Value::String(word) = &value {
        let choice = match word.as_str() {
            "auto" => ToolChoice::Auto,
            "none" => ToolChoice::None,
            // Mistral's word is `any`.
            "required" | "any" => ToolChoice::Required,
            _ => {
                return Err(Error::invalid(field, format!("`{word}` is not a choice of tools"))
                    .remedy("use `auto`, `none`, `required`, or name a function"));
            }
        };
        return Ok((tools, Some(choice)));
    }
    let mut choice = Fields::of(value, field)?;
    if let Some(mut allowed) = choice.object("allowed_tools")? {
        choice.take("type");
        let must_call = allowed.text("mode")?.as_deref() == Some("required");
        let mut names = Vec::new();
        for (number, value) in allowed.list("tools")?.into_iter().enumerate() {
            let tool = Fields::of(value, format!("{field}.allowed_tools.tools[{number}]"))?;
            names.push(read_name(tool, losses)?);
        }
        if let Some(unknown) = names.iter().find(|name| tools.iter().all(|tool| &tool.name != *name)) {
            return Err(Error::invalid(allowed.place("tools"), format!("`{unknown}` is not among the tools")));
        }
        allowed.finish(UNKNOWN, losses);
        choice.finish(UNKNOWN, losses);
        if must_call {
            return Ok((tools, Some(ToolChoice::Named(names))));
        }
        tools.retain(|tool| names.contains(&tool.name));
        return Ok((tools, Some(ToolChoice::Auto)));
    }
    let name = read_name(choice, losses)?;
    Ok((tools, Some(ToolChoice::Named(vec![name]))))
}

/// Of `{"type": "function", "function": {"name"}}`, or of `{"name"}` alone.
fn read_name(mut fields: Fields, losses: &mut Losses) -> Result<String> {
    expect_function(&mut fields)?;
    let name = match fields.object("function")? {
        Some(mut function) => {
            let name = function.text("name")?;
            let name = function.need("name", name)?;
            function.finish(UNKNOWN, losses);
            name
        }
        None => {
            let name = fields.text("name")?;
            fields.need("name", name)?
        }
    };
    fields.finish(UNKNOWN, losses);
    Ok(name)
}

/// The tools and the choice for a provider: nothing when there are no tools, for OpenAI refuses a choice without them.
///
/// Several names become the only tools, one of which must be called: `allowed_tools` would say the same, but compatible
/// servers do not know it.
pub(super) fn write_tools(request: &Request, losses: &mut Losses) -> Result<Vec<(&'static str, Value)>> {
    let offered = |tool: &&Tool| match &request.tool_choice {
        Some(ToolChoice::Named(names)) if names.len() > 1 => names.contains(&tool.name),
        _ => true,
    };
    let tools: Vec<Value> = request.tools.iter().filter(offered).map(write_tool).collect();
    if request.tools.iter().any(|tool| tool.cache.is_some()) {
        parts::note_cache(losses);
    }
    let choice = match &request.tool_choice {
        None | Some(ToolChoice::Auto | ToolChoice::None) if tools.is_empty() => None,
        _ if tools.is_empty() => {
            return Err(Error::invalid("tool_choice", "a tool cannot be called where none is declared")
                .remedy("declare the tools, or leave the choice out"));
        }
        None => None,
        Some(ToolChoice::Auto) => Some(json!("auto")),
        Some(ToolChoice::None) => Some(json!("none")),
        Some(ToolChoice::Required) => Some(json!("required")),
        Some(ToolChoice::Named(names)) => match names.as_slice() {
            [name] => Some(json!({"type": "function", "function": {"name": name}})),
            _ => Some(json!("required")),
        },
    };
    if tools.is_empty() {
        return Ok(Vec::new());
    }
    let mut fields = vec![("tools", Value::Array(tools))];
    fields.extend(choice.map(|choice| ("tool_choice", choice)));
    fields.extend(request.parallel_tool_calls.map(|parallel| ("parallel_tool_calls", Value::Bool(parallel))));
    Ok(fields)
}

fn write_tool(tool: &Tool) -> Value {
    let mut function = json!({"name": tool.name});
    if let Value::Object(fields) = &mut function {
        let description = tool.description.as_ref().map(|text| Value::String(text.clone()));
        let strict = tool.strict.map(Value::Bool);
        for (name, value) in [("description", description), ("parameters", tool.parameters.clone()), ("strict", strict)]
        {
            fields.extend(value.map(|value| (name.to_owned(), value)));
        }
    }
    json!({"type": "function", "function": function})
}
