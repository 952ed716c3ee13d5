use plasma_kernel::{Error, Result};
use serde_json::Value;

use super::request::NO_COUNTERPART;
use crate::{
    Fields, Losses,
    chat::{Tool, ToolChoice},
    openai_chat::tools::read_declaration,
};

/// The functions among `tools`.
///
/// # Errors
/// `invalid` for a tool that is not a function.
pub(super) fn read(fields: &mut Fields, losses: &mut Losses) -> Result<Vec<Tool>> {
    let tools = fields.list("tools")?.into_iter().enumerate();
    tools.map(|(index, tool)| read_tool(Fields::of(tool, format!("tools[{index}]"))?, losses)).collect()
}

fn read_tool(mut fields: Fields, losses: &mut Losses) -> Result<Tool> {
    let kind = fields.text("type")?;
    let kind = fields.need("type", kind)?;
    if kind != "function" {
        let what = format!("cannot be `{kind}`: only the protocol's own provider has such tools");
        return Err(Error::invalid(fields.place("type"), what)
            .remedy("use tools of type `function`, or a model of a provider that speaks this protocol"));
    }
    let tool = read_declaration(&mut fields)?;
    fields.finish(NO_COUNTERPART, losses);
    Ok(tool)
}

/// `tool_choice`. Where it allows some of the tools without demanding one, the others are taken out of `tools`: that is
/// what it means.
///
/// # Errors
/// `invalid` for the choice of a tool that is not a function.
pub(super) fn read_choice(
    fields: &mut Fields,
    tools: &mut Vec<Tool>,
    losses: &mut Losses,
) -> Result<Option<ToolChoice>> {
    let mut choice = match fields.take("tool_choice") {
        None => return Ok(None),
        Some(Value::String(word)) => return read_word(&word).map(Some),
        Some(choice) => Fields::of(choice, "tool_choice")?,
    };
    let kind = choice.text("type")?;
    let read = match choice.need("type", kind)?.as_str() {
        "function" => ToolChoice::Named(vec![read_function_name(&mut choice)?]),
        "allowed_tools" => {
            let mode = choice.text("mode")?;
            let mut names = Vec::new();
            for (index, tool) in choice.list("tools")?.into_iter().enumerate() {
                let mut tool = Fields::of(tool, format!("tool_choice.tools[{index}]"))?;
                let kind = tool.text("type")?.unwrap_or_default();
                if kind != "function" {
                    return Err(not_a_function(tool.place("type"), &kind));
                }
                names.push(read_function_name(&mut tool)?);
                tool.finish(NO_COUNTERPART, losses);
            }
            if mode.as_deref() == Some("required") {
                ToolChoice::Named(names)
            } else {
                tools.retain(|tool| names.contains(&tool.name));
                ToolChoice::Auto
            }
        }
        other => return Err(not_a_function(choice.place("type"), other)),
    };
    choice.finish(NO_COUNTERPART, losses);
    Ok(Some(read))
}

fn read_word(word: &str) -> Result<ToolChoice> {
    match word {
        "auto" => Ok(ToolChoice::Auto),
        "none" => Ok(ToolChoice::None),
        "required" => Ok(ToolChoice::Required),
        other => Err(Error::invalid("tool_choice", format!("cannot be `{other}`"))
            .remedy("use auto, none, required, or name a function")),
    }
}

fn read_function_name(fields: &mut Fields) -> Result<String> {
    let name = fields.text("name")?;
    fields.need("name", name)
}

fn not_a_function(place: String, kind: &str) -> Error {
    Error::invalid(place, format!("cannot be `{kind}`: only functions can be chosen"))
        .remedy("choose tools of type `function`")
}
