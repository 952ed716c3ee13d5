//! The values that a call gives, checked against what the version declares.

use minijinja::Value as TemplateValue;
use plasma_kernel::{Code, Error, Result};
use serde_json::{Map, Value};

use super::types::{PromptVariable, VariableType};
use crate::near_names::near;

/// Bytes of all values as JSON.
pub(super) const VALUES_BYTES_MAX: usize = 1 << 20;

/// Values for the templates.
pub(super) struct Bound {
    pub(super) values: Vec<(String, TemplateValue)>,
    /// Their size as JSON.
    pub(super) bytes: usize,
}

/// Gives each declared variable its value: the call's, its default, or `none`.
///
/// # Errors
/// `invalid` (`prompt_variable_missing`, `prompt_variable_unknown`, `prompt_variable_wrong`) or `too_large`, naming
/// `variables.NAME`.
pub(super) fn bind(declared: &[PromptVariable], mut given: Map<String, Value>, as_texts: bool) -> Result<Bound> {
    let mut bound = Bound { values: Vec::with_capacity(declared.len()), bytes: 0 };
    for variable in declared {
        let value = match given.remove(&variable.name).filter(|value| !value.is_null()) {
            Some(value) => {
                let value = if as_texts { of_text(variable.kind, value) } else { value };
                check(variable, &value).map_err(|message| wrong(variable, message))?;
                value
            }
            None if variable.is_required() => {
                let message = format!("the prompt needs the variable `{}`", variable.name);
                return Err(Error::new(Code::Invalid, "prompt_variable_missing", message).field(place(&variable.name)));
            }
            None => variable.default.clone().unwrap_or(Value::Null),
        };
        bound.bytes += value.to_string().len();
        if bound.bytes > VALUES_BYTES_MAX {
            let message = format!("the variables have more than {VALUES_BYTES_MAX} bytes together");
            return Err(Error::too_large(place(&variable.name), message));
        }
        bound.values.push((variable.name.clone(), template_value(&value)));
    }
    match given.keys().next() {
        Some(name) => Err(unknown(name, declared)),
        None => Ok(bound),
    }
}

fn place(name: &str) -> String {
    format!("variables.{name}")
}

fn wrong(variable: &PromptVariable, message: String) -> Error {
    Error::new(Code::Invalid, "prompt_variable_wrong", message).field(place(&variable.name))
}

fn unknown(name: &str, declared: &[PromptVariable]) -> Error {
    let shown: String = name.chars().take(63).collect();
    let names: Vec<String> = declared.iter().map(|variable| variable.name.clone()).collect();
    let mut message = format!("the prompt has no variable `{shown}`");
    if let Some(near) = near(name, &names).first() {
        message.push_str(&format!("; did you mean `{near}`?"));
    }
    let has = if names.is_empty() { "it has none".to_owned() } else { format!("it has {}", names.join(", ")) };
    Error::new(Code::Invalid, "prompt_variable_unknown", message).field(place(&shown)).remedy(has)
}

/// A number or a boolean where the text spells one.
fn of_text(kind: VariableType, value: Value) -> Value {
    match (&value, kind) {
        (Value::String(text), VariableType::Integer | VariableType::Number | VariableType::Boolean) => {
            match serde_json::from_str(text.trim()) {
                Ok(spelled @ (Value::Number(_) | Value::Bool(_))) => spelled,
                _ => value,
            }
        }
        (Value::String(text), VariableType::List | VariableType::Json) => serde_json::from_str(text).unwrap_or(value),
        _ => value,
    }
}

/// Why a value does not fit its variable.
pub(super) fn check(variable: &PromptVariable, value: &Value) -> Result<(), String> {
    let limits = &variable.limits;
    match (variable.kind, value) {
        (VariableType::String, Value::String(text)) => match limits.max_length {
            Some(most) if text.chars().count() > most as usize => Err(format!("must have at most {most} characters")),
            _ => Ok(()),
        },
        (VariableType::Integer, Value::Number(number)) if number.is_i64() => within(variable, number.as_f64()),
        (VariableType::Number, Value::Number(number)) => within(variable, number.as_f64()),
        (VariableType::Boolean, Value::Bool(_)) | (VariableType::Json, _) => Ok(()),
        (VariableType::Enum, Value::String(text)) if variable.values.contains(text) => Ok(()),
        (VariableType::Enum, _) => Err(format!("must be one of {}", variable.values.join(", "))),
        (VariableType::List, Value::Array(items)) => match limits.max_items {
            Some(most) if items.len() > most as usize => Err(format!("must have at most {most} entries")),
            _ => Ok(()),
        },
        (kind, _) => Err(format!("must be {}", in_words(kind))),
    }
}

fn within(variable: &PromptVariable, number: Option<f64>) -> Result<(), String> {
    let Some(number) = number else { return Err("must be a number".to_owned()) };
    let limits = &variable.limits;
    match (limits.minimum, limits.maximum) {
        (Some(least), _) if number < least => Err(format!("must be at least {least}")),
        (_, Some(most)) if number > most => Err(format!("must be at most {most}")),
        _ => Ok(()),
    }
}

fn in_words(kind: VariableType) -> &'static str {
    match kind {
        VariableType::String => "a text",
        VariableType::Integer => "a whole number",
        VariableType::Number => "a number",
        VariableType::Boolean => "true or false",
        VariableType::Enum => "one of its values",
        VariableType::List => "a list",
        VariableType::Json => "JSON",
    }
}

/// JSON as a value of the template engine. What was parsed nests at most 128 levels.
fn template_value(value: &Value) -> TemplateValue {
    match value {
        Value::Null => TemplateValue::from(()),
        Value::Bool(flag) => TemplateValue::from(*flag),
        Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(number), _) => TemplateValue::from(number),
            (None, Some(number)) => TemplateValue::from(number),
            (None, None) => TemplateValue::from(number.as_f64().unwrap_or(0.0)),
        },
        Value::String(text) => TemplateValue::from(text.as_str()),
        Value::Array(items) => items.iter().map(template_value).collect(),
        Value::Object(fields) => {
            TemplateValue::from_pairs(fields.iter().map(|(name, value)| (name.as_str(), template_value(value))))
        }
    }
}
