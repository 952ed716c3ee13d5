//! The part of JSON Schema (draft 2020-12) that checks of answers need. A keyword that is not known is refused when the
//! suite is read, so that no schema checks less than it says.

use serde_json::{Map, Value};

const DEPTH_MAX: usize = 20;
const TYPES: [&str; 7] = ["object", "array", "string", "number", "integer", "boolean", "null"];

/// What is wrong with the schema itself.
pub(super) fn check(schema: &Value) -> Result<(), String> {
    check_at(schema, 0)
}

fn check_at(schema: &Value, depth: usize) -> Result<(), String> {
    if depth > DEPTH_MAX {
        return Err(format!("the schema is more than {DEPTH_MAX} levels deep"));
    }
    let members = match schema {
        Value::Bool(_) => return Ok(()),
        Value::Object(members) => members,
        _ => return Err("a schema must be an object".to_owned()),
    };
    for (keyword, value) in members {
        let right = match keyword.as_str() {
            "type" => match value {
                Value::String(word) => TYPES.contains(&word.as_str()),
                Value::Array(words) => words.iter().all(|word| word.as_str().is_some_and(|word| TYPES.contains(&word))),
                _ => false,
            },
            "properties" => {
                let Some(properties) = value.as_object() else { return Err(wrong(keyword)) };
                properties.values().try_for_each(|schema| check_at(schema, depth + 1))?;
                true
            }
            "items" | "additionalProperties" => {
                check_at(value, depth + 1)?;
                true
            }
            "required" => value.as_array().is_some_and(|names| names.iter().all(Value::is_string)),
            "enum" => value.is_array(),
            "const" => true,
            "minimum" | "maximum" => value.is_number(),
            "minItems" | "maxItems" | "minLength" | "maxLength" => value.is_u64(),
            _ => return Err(format!("the schema's keyword `{keyword}` is not known here")),
        };
        if !right {
            return Err(wrong(keyword));
        }
    }
    Ok(())
}

fn wrong(keyword: &str) -> String {
    format!("the schema's `{keyword}` has a wrong value")
}

/// Where `value` does not fit `schema`, which was checked.
pub(super) fn misfit(schema: &Value, value: &Value, place: &str) -> Result<(), String> {
    let members = match schema {
        Value::Bool(false) => return Err(format!("{place} is not allowed")),
        Value::Object(members) => members,
        _ => return Ok(()),
    };
    let allowed = match members.get("type") {
        Some(Value::String(word)) => is_of(value, word),
        Some(Value::Array(words)) => words.iter().filter_map(Value::as_str).any(|word| is_of(value, word)),
        _ => true,
    };
    if !allowed {
        return Err(format!("{place} has another type"));
    }
    if members.get("const").is_some_and(|only| only != value)
        || members.get("enum").and_then(Value::as_array).is_some_and(|values| !values.contains(value))
    {
        return Err(format!("{place} has another value: {value}"));
    }
    if let Some(number) = value.as_f64() {
        within(members, "minimum", "maximum", number).map_err(|limit| format!("{place} is {number}, {limit}"))?;
    }
    match value {
        Value::String(text) => {
            let length = text.chars().count() as f64;
            within(members, "minLength", "maxLength", length).map_err(|limit| format!("{place}: length {limit}"))
        }
        Value::Array(items) => {
            let length = items.len() as f64;
            within(members, "minItems", "maxItems", length)
                .map_err(|limit| format!("{place}: {length} items, {limit}"))?;
            let Some(schema) = members.get("items") else { return Ok(()) };
            items.iter().enumerate().try_for_each(|(index, item)| misfit(schema, item, &format!("{place}[{index}]")))
        }
        Value::Object(object) => misfit_of_object(members, object, place),
        _ => Ok(()),
    }
}

fn misfit_of_object(members: &Map<String, Value>, object: &Map<String, Value>, place: &str) -> Result<(), String> {
    let required = members.get("required").and_then(Value::as_array);
    if let Some(name) =
        required.into_iter().flatten().filter_map(Value::as_str).find(|name| !object.contains_key(*name))
    {
        return Err(format!("{place}.{name} is missing"));
    }
    let properties = members.get("properties").and_then(Value::as_object);
    for (name, value) in object {
        let own = properties.and_then(|properties| properties.get(name));
        if let Some(schema) = own.or_else(|| members.get("additionalProperties")) {
            misfit(schema, value, &format!("{place}.{name}"))?;
        }
    }
    Ok(())
}

fn within(members: &Map<String, Value>, min: &str, max: &str, number: f64) -> Result<(), String> {
    let limit = |name: &str| members.get(name).and_then(Value::as_f64);
    match (limit(min), limit(max)) {
        (Some(least), _) if number < least => Err(format!("at least {least} is needed")),
        (_, Some(most)) if number > most => Err(format!("at most {most} is allowed")),
        _ => Ok(()),
    }
}

fn is_of(value: &Value, word: &str) -> bool {
    match word {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "number" => value.is_number(),
        "integer" => value.as_f64().is_some_and(|number| number.fract() == 0.0),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        _ => false,
    }
}
