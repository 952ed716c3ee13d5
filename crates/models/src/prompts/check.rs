//! What a prompt may be: names, sizes, counts.

use plasma_kernel::{Error, Result};

use super::{
    template::Templates,
    types::{PromptAlias, PromptDefinition, PromptParameters, PromptRole, PromptShare, PromptVariable, VariableType},
    variables,
};
use crate::routes::check_name;

const DESCRIPTION_CHARS_MAX: usize = 500;
const MESSAGES_MAX: usize = 32;
const TEMPLATE_BYTES_MAX: usize = 65_536;
const VARIABLES_MAX: usize = 64;
const NAME_CHARS_MAX: usize = 63;
const ENUM_VALUES_MAX: usize = 100;
const ENUM_VALUE_CHARS_MAX: usize = 200;
const MODEL_CHARS_MAX: usize = 400;
/// Bytes of a version as JSON.
const DEFINITION_BYTES_MAX: usize = 262_144;
const SHARES_MAX: usize = 10;
const WEIGHT_MAX: u32 = 1_000_000;
const STOPS_MAX: usize = 4;
const STOP_CHARS_MAX: usize = 100;
const MAX_TOKENS_MAX: u32 = 1_000_000;
/// Words of the template language.
const KEYWORDS: [&str; 20] = [
    "and",
    "or",
    "not",
    "in",
    "is",
    "if",
    "else",
    "elif",
    "for",
    "loop",
    "true",
    "false",
    "none",
    "True",
    "False",
    "None",
    "self",
    "super",
    "caller",
    "recursive",
];

/// A prompt's name: as those of routes, and none that OpenAI gives to what it stores itself.
pub(super) fn prompt_name(name: &str) -> Result<()> {
    check_name(name)?;
    if name.starts_with("pmpt_") {
        return Err(Error::invalid("name", "names that begin with `pmpt_` are OpenAI's"));
    }
    Ok(())
}

/// A text for people on one line or more, without control characters.
pub(super) fn words(field: &str, text: &str) -> Result<()> {
    if text.chars().count() > DESCRIPTION_CHARS_MAX {
        return Err(Error::too_large(field, format!("must have at most {DESCRIPTION_CHARS_MAX} characters")));
    }
    if text.chars().any(|letter| letter.is_control() && letter != '\n') {
        return Err(Error::invalid(field, "must not have control characters"));
    }
    Ok(())
}

/// Everything that a version must keep; gives its templates, compiled, and its text as JSON.
pub(super) fn definition(definition: &PromptDefinition) -> Result<(Templates, String)> {
    messages(definition)?;
    if definition.variables.len() > VARIABLES_MAX {
        return Err(Error::too_large("variables", format!("a version has at most {VARIABLES_MAX} variables")));
    }
    for (index, variable) in definition.variables.iter().enumerate() {
        let place = |field: &str| format!("variables[{index}].{field}");
        variable_of(variable, &place)?;
        if definition.variables.iter().take(index).any(|earlier| earlier.name == variable.name) {
            return Err(Error::invalid(place("name"), format!("`{}` is declared twice", variable.name)));
        }
    }
    if let Some(model) = &definition.model
        && (model.is_empty()
            || model.chars().count() > MODEL_CHARS_MAX
            || model.chars().any(char::is_control)
            || model.starts_with("prompt:"))
    {
        return Err(Error::invalid("model", "must be the name of a model, a route or an alias"));
    }
    parameters(&definition.parameters)?;
    let json = serde_json::to_string(definition).map_err(|error| Error::from_source("a prompt's version", error))?;
    if json.len() > DEFINITION_BYTES_MAX {
        let message = format!("a version has at most {DEFINITION_BYTES_MAX} bytes, this one has {}", json.len());
        return Err(Error::too_large("messages", message));
    }
    Ok((Templates::new(definition)?, json))
}

fn messages(definition: &PromptDefinition) -> Result<()> {
    if definition.messages.is_empty() || definition.messages.len() > MESSAGES_MAX {
        return Err(Error::invalid("messages", format!("a version has 1 to {MESSAGES_MAX} messages")));
    }
    let mut has_turns = false;
    for (index, message) in definition.messages.iter().enumerate() {
        if message.content.len() > TEMPLATE_BYTES_MAX {
            let text = format!("has {} bytes, the limit is {TEMPLATE_BYTES_MAX}", message.content.len());
            return Err(Error::too_large(format!("messages[{index}].content"), text));
        }
        if message.role == PromptRole::System && has_turns {
            let text = "messages of the system come before all others";
            return Err(Error::invalid(format!("messages[{index}].role"), text));
        }
        has_turns = has_turns || message.role != PromptRole::System;
    }
    Ok(())
}

fn variable_of(variable: &PromptVariable, place: &impl Fn(&str) -> String) -> Result<()> {
    let name = &variable.name;
    let allowed = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    let starts_well = name.starts_with(|letter: char| letter.is_ascii_alphabetic() || letter == '_');
    if !starts_well || name.len() > NAME_CHARS_MAX || !name.chars().all(allowed) || KEYWORDS.contains(&name.as_str()) {
        let message =
            format!("must be 1 to {NAME_CHARS_MAX} letters, digits or `_`, and no word of the template language");
        return Err(Error::invalid(place("name"), message));
    }
    if let Some(description) = &variable.description {
        words(&place("description"), description)?;
    }
    let is_enum = variable.kind == VariableType::Enum;
    if is_enum == variable.values.is_empty() || variable.values.len() > ENUM_VALUES_MAX {
        return Err(Error::invalid(
            place("values"),
            format!("an `enum` has 1 to {ENUM_VALUES_MAX} values, other types none"),
        ));
    }
    if variable.values.iter().any(|value| value.chars().count() > ENUM_VALUE_CHARS_MAX) {
        let message = format!("a value has at most {ENUM_VALUE_CHARS_MAX} characters");
        return Err(Error::too_large(place("values"), message));
    }
    limits_of(variable, place)?;
    match (&variable.default, variable.required) {
        (Some(_), Some(true)) => Err(Error::invalid(place("default"), "a variable that is required has no default")),
        (Some(default), _) => variables::check(variable, default).map_err(|why| Error::invalid(place("default"), why)),
        (None, _) => Ok(()),
    }
}

fn limits_of(variable: &PromptVariable, place: &impl Fn(&str) -> String) -> Result<()> {
    let limits = &variable.limits;
    let is_number = matches!(variable.kind, VariableType::Integer | VariableType::Number);
    for (name, is_set, has_it) in [
        ("limits.minimum", limits.minimum.is_some(), is_number),
        ("limits.maximum", limits.maximum.is_some(), is_number),
        ("limits.max_length", limits.max_length.is_some(), variable.kind == VariableType::String),
        ("limits.max_items", limits.max_items.is_some(), variable.kind == VariableType::List),
    ] {
        if is_set && !has_it {
            return Err(Error::invalid(place(name), "is no limit of this type"));
        }
    }
    if let (Some(least), Some(most)) = (limits.minimum, limits.maximum)
        && least > most
    {
        return Err(Error::invalid(place("limits.minimum"), "must not be above `maximum`"));
    }
    Ok(())
}

fn parameters(parameters: &PromptParameters) -> Result<()> {
    if parameters.temperature.is_some_and(|value| !(0.0..=2.0).contains(&value)) {
        return Err(Error::invalid("parameters.temperature", "must be 0 to 2"));
    }
    if parameters.top_p.is_some_and(|value| value <= 0.0 || value > 1.0) {
        return Err(Error::invalid("parameters.top_p", "must be above 0 and at most 1"));
    }
    if parameters.max_tokens.is_some_and(|value| value == 0 || value > MAX_TOKENS_MAX) {
        return Err(Error::invalid("parameters.max_tokens", format!("must be 1 to {MAX_TOKENS_MAX}")));
    }
    let fits = |stop: &String| !stop.is_empty() && stop.chars().count() <= STOP_CHARS_MAX;
    if parameters.stop.len() > STOPS_MAX || !parameters.stop.iter().all(fits) {
        let message = format!("must be at most {STOPS_MAX} texts of 1 to {STOP_CHARS_MAX} characters");
        return Err(Error::invalid("parameters.stop", message));
    }
    Ok(())
}

/// What an alias may be called and stand for, where `newest` is the number of the newest version.
pub(super) fn alias(alias: &PromptAlias, newest: u32) -> Result<()> {
    check_name(&alias.name).map_err(|error| error.field("alias"))?;
    if alias.name == "latest" || !alias.name.starts_with(|letter: char| letter.is_ascii_lowercase()) {
        return Err(Error::invalid(
            "alias",
            "must begin with a letter and not be `latest`, which is the newest version",
        ));
    }
    if alias.split.is_empty() || alias.split.len() > SHARES_MAX {
        return Err(Error::invalid("split", format!("must have 1 to {SHARES_MAX} versions")));
    }
    for (index, PromptShare { version, weight }) in alias.split.iter().enumerate() {
        let place = |field: &str| format!("split[{index}].{field}");
        if *version == 0 || *version > newest {
            let error = Error::not_found("prompt_version_not_found", format!("there is no version {version}"));
            return Err(error.field(place("version")));
        }
        if *weight > WEIGHT_MAX {
            return Err(Error::invalid(place("weight"), format!("must be 0 to {WEIGHT_MAX}")));
        }
        if alias.split.iter().take(index).any(|earlier| earlier.version == *version) {
            return Err(Error::invalid(place("version"), format!("version {version} stands twice")));
        }
    }
    if alias.split.iter().all(|share| share.weight == 0) {
        return Err(Error::invalid("split", "one weight at least must be above 0"));
    }
    Ok(())
}
