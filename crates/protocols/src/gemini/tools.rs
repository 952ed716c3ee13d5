//! `tools` and `toolConfig`.

use plasma_kernel::{Error, Result};
use serde_json::{Map, Value, json};

use super::{
    proto::{ProtoFields, camel_case},
    schema::to_json_schema,
};
use crate::{
    Losses,
    chat::{Request, Tool, ToolChoice},
};

/// The functions of `tools`.
///
/// # Errors
/// `invalid` for a tool that only Gemini has, such as `googleSearch`.
pub(super) fn read(items: Vec<(String, Value)>, losses: &mut Losses) -> Result<Vec<Tool>> {
    let mut tools = Vec::new();
    for (place, item) in items {
        let built_in = item.as_object().and_then(|fields| {
            let mut present = fields.iter().filter(|(_, value)| !value.is_null()).map(|(name, _)| name);
            present.find(|name| camel_case(name) != "functionDeclarations").cloned()
        });
        if let Some(name) = built_in {
            return Err(Error::invalid(
                format!("{place}.{name}"),
                "is a tool of Gemini's own, which cannot be translated",
            )
            .remedy("remove it, or ask a Gemini model"));
        }
        for (place, declaration) in ProtoFields::of(item, place)?.items("functionDeclarations") {
            tools.push(read_function(ProtoFields::of(declaration, place)?, losses)?);
        }
    }
    Ok(tools)
}

fn read_function(mut function: ProtoFields, losses: &mut Losses) -> Result<Tool> {
    let name = function.text("name")?;
    let name = function.need("name", name)?;
    let description = function.text("description")?;
    let parameters = function.take("parameters").map(to_json_schema);
    let parameters = function.take("parametersJsonSchema").or(parameters);
    function.finish(losses);
    Ok(Tool { name, description, parameters, strict: None, cache: None })
}

/// `toolConfig`.
pub(super) fn read_choice(mut config: ProtoFields, losses: &mut Losses) -> Result<Option<ToolChoice>> {
    let calling = config.object("functionCallingConfig")?;
    config.finish(losses);
    let Some(mut calling) = calling else { return Ok(None) };
    let mode_place = calling.place("mode");
    let names_place = calling.place("allowedFunctionNames");
    let mode = calling.word("mode")?;
    let names = calling.texts("allowedFunctionNames")?;
    calling.finish(losses);
    let only_free = |choice| {
        if !names.is_empty() {
            losses.note(names_place, "counts in the mode ANY only");
        }
        Some(choice)
    };
    Ok(match mode.as_deref() {
        None => None,
        Some("AUTO") => only_free(ToolChoice::Auto),
        Some("NONE") => only_free(ToolChoice::None),
        Some("VALIDATED") => {
            let choice = only_free(ToolChoice::Auto);
            losses.note(mode_place, "is read as AUTO");
            choice
        }
        Some("ANY") if names.is_empty() => Some(ToolChoice::Required),
        Some("ANY") => Some(ToolChoice::Named(names)),
        Some(_) => return Err(Error::invalid(mode_place, "must be AUTO, ANY or NONE")),
    })
}

/// `tools`, absent when there are none.
pub(super) fn write(request: &Request, losses: &mut Losses) -> Option<Value> {
    if request.tools.is_empty() {
        return None;
    }
    let mut declarations = Vec::with_capacity(request.tools.len());
    for (number, tool) in request.tools.iter().enumerate() {
        let mut declaration = Map::new();
        declaration.insert("name".to_owned(), tool.name.as_str().into());
        if let Some(description) = &tool.description {
            declaration.insert("description".to_owned(), description.as_str().into());
        }
        if let Some(parameters) = &tool.parameters {
            declaration.insert("parametersJsonSchema".to_owned(), parameters.clone());
        }
        if tool.strict == Some(true) {
            losses.note(format!("tools[{number}].strict"), "Gemini cannot promise to follow a schema exactly");
        }
        if tool.cache.is_some() {
            losses.note("cache", super::request_write::CACHES_BY_ITSELF);
        }
        declarations.push(declaration);
    }
    Some(json!([{"functionDeclarations": declarations}]))
}

/// `toolConfig`, absent where Gemini's default is meant.
pub(super) fn write_choice(request: &Request, losses: &mut Losses) -> Option<Value> {
    if request.parallel_tool_calls == Some(false) {
        losses.note("parallel_tool_calls", "Gemini cannot be kept from calling several tools at once");
    }
    let calling = match request.tool_choice.as_ref()? {
        // Without functions there is nothing to choose, and Gemini may refuse the field.
        ToolChoice::Auto | ToolChoice::None if request.tools.is_empty() => return None,
        ToolChoice::Auto => json!({"mode": "AUTO"}),
        ToolChoice::None => json!({"mode": "NONE"}),
        ToolChoice::Required => json!({"mode": "ANY"}),
        ToolChoice::Named(names) => json!({"mode": "ANY", "allowedFunctionNames": names}),
    };
    Some(json!({"functionCallingConfig": calling}))
}
