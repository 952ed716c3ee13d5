//! Requests that fit the specification's schemas, so that a route is reached and not only its parser.

use serde_json::{Map, Value, json};

/// The smallest value that fits a schema of `specification`.
pub fn of(specification: &Value, schema: &Value) -> Value {
    if let Some(reference) = schema["$ref"].as_str() {
        let target = specification.pointer(reference.trim_start_matches('#')).expect("a reference leads somewhere");
        return of(specification, target);
    }
    for choice in ["oneOf", "anyOf"] {
        if let Some(first) =
            schema[choice].as_array().and_then(|choices| choices.iter().find(|one| one["type"] != "null"))
        {
            return of(specification, first);
        }
    }
    if let Some(parts) = schema["allOf"].as_array() {
        let parts = parts.iter().filter_map(|part| of(specification, part).as_object().cloned());
        return Value::Object(parts.flatten().collect());
    }
    for given in ["example", "default"] {
        if !schema[given].is_null() {
            return schema[given].clone();
        }
    }
    if let Some(word) = schema["enum"].as_array().and_then(|words| words.first()) {
        return word.clone();
    }
    let kind = match &schema["type"] {
        Value::Array(kinds) => kinds.iter().find(|kind| *kind != "null").cloned().unwrap_or_default(),
        kind => kind.clone(),
    };
    match kind.as_str() {
        Some("object") => object(specification, schema),
        Some("array") => json!([of(specification, &schema["items"])]),
        Some("integer" | "number") => schema["minimum"].as_i64().map_or(json!(1), |minimum| json!(minimum)),
        Some("boolean") => json!(false),
        Some("string") => text(schema),
        _ => Value::Null,
    }
}

fn object(specification: &Value, schema: &Value) -> Value {
    let required = schema["required"].as_array().cloned().unwrap_or_default();
    let fields: Map<String, Value> = required
        .iter()
        .filter_map(Value::as_str)
        .map(|name| (name.to_owned(), of(specification, &schema["properties"][name])))
        .collect();
    Value::Object(fields)
}

fn text(schema: &Value) -> Value {
    // Ids have a pattern such as ^col_[0-9a-hjkmnp-tv-z]{26}$.
    if let Some((prefix, _)) =
        schema["pattern"].as_str().and_then(|pattern| pattern.trim_start_matches('^').split_once('_'))
    {
        return json!(format!("{prefix}_{}", "0".repeat(26)));
    }
    match schema["format"].as_str() {
        Some("uri") => json!("https://models.example/v1"),
        Some("password") => json!("correct horse battery"),
        _ => json!("someone@example.org"),
    }
}
