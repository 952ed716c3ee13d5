//! Gemini's `Schema`, a subset of OpenAPI 3.0 with types in upper case, as JSON schema.

use serde_json::{Map, Value, json};

use super::proto::{camel_case, integer};

/// The same in JSON schema: types in lower case, `nullable` as the type `null`, numbers as numbers, and `propertyOrdering`
/// as the order in which the properties stand.
///
/// The depth is that of the request's body, which the caller has bounded.
pub(super) fn to_json_schema(value: Value) -> Value {
    let Value::Object(fields) = value else { return value };
    let mut schema = Map::new();
    let mut is_nullable = false;
    let mut order = Vec::new();
    for (name, value) in fields {
        if value.is_null() {
            continue;
        }
        let name = camel_case(&name);
        let value = match name.as_str() {
            "type" => match value {
                Value::String(kind) if kind.eq_ignore_ascii_case("TYPE_UNSPECIFIED") => continue,
                Value::String(kind) => Value::String(kind.to_ascii_lowercase()),
                other => other,
            },
            "nullable" => {
                is_nullable = value == Value::Bool(true);
                continue;
            }
            "propertyOrdering" => {
                order = value.as_array().cloned().unwrap_or_default();
                continue;
            }
            // The word for "there is an enum" in Gemini's examples; JSON schema has no such format.
            "format" if value == "enum" => continue,
            "properties" => match value {
                Value::Object(properties) => {
                    properties.into_iter().map(|(name, property)| (name, to_json_schema(property))).collect()
                }
                other => other,
            },
            "items" | "additionalProperties" => to_json_schema(value),
            "anyOf" | "prefixItems" => match value {
                Value::Array(list) => list.into_iter().map(to_json_schema).collect(),
                other => other,
            },
            "minItems" | "maxItems" | "minLength" | "maxLength" | "minProperties" | "maxProperties" => {
                integer(&value).map_or(value, Value::from)
            }
            _ => value,
        };
        schema.insert(name, value);
    }
    if let Some(Value::Object(properties)) = schema.get_mut("properties") {
        put_in_order(properties, &order);
    }
    if is_nullable {
        allow_null(&mut schema);
    }
    Value::Object(schema)
}

fn put_in_order(properties: &mut Map<String, Value>, order: &[Value]) {
    let mut ordered = Map::new();
    for name in order.iter().filter_map(Value::as_str) {
        if let Some(property) = properties.get_mut(name) {
            ordered.entry(name).or_insert_with(|| property.take());
        }
    }
    for (name, property) in std::mem::take(properties) {
        ordered.entry(name).or_insert(property);
    }
    *properties = ordered;
}

fn allow_null(schema: &mut Map<String, Value>) {
    if let Some(kind @ Value::String(_)) = schema.get_mut("type") {
        *kind = json!([kind.take(), "null"]);
    }
    if let Some(Value::Array(values)) = schema.get_mut("enum") {
        values.push(Value::Null);
    }
    if let Some(Value::Array(schemas)) = schema.get_mut("anyOf") {
        schemas.push(json!({"type": "null"}));
    }
}
