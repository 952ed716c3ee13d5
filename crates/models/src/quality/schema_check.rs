//! Whether a JSON value follows a JSON schema: the part of JSON Schema that models are asked for.
//!
//! Checked: `type`, `enum`, `const`, `properties`, `required`, `additionalProperties`, `minProperties`, `maxProperties`, `items`,
//! `prefixItems`, `minItems`, `maxItems`, `uniqueItems`, `minLength`, `maxLength`, `pattern`, `minimum`, `maximum`,
//! `exclusiveMinimum`, `exclusiveMaximum`, `multipleOf`, `anyOf`, `oneOf`, `allOf`, `not`, `nullable`, and `$ref` within the schema. Other
//! keywords, `format` among them, are not checked. A schema that a reference leads around in for too long is given up.

use std::collections::{HashMap, hash_map::Entry};

use regex::{Regex, RegexBuilder};
use serde_json::{Map, Value};

/// Steps into schemas and values together: recursive schemas end here.
const DEPTH_MAX: usize = 128;
/// Checks of one value against one schema in all: `anyOf` in `anyOf` grows quickly.
const CHECKS_MAX: usize = 100_000;
/// Bytes of a compiled pattern.
const PATTERN_BYTES_MAX: usize = 64 << 10;
/// Checks that compiling one pattern stands for.
const PATTERN_CHECKS: usize = 1_000;
/// Stands for names that only the answer has: marks are kept where answers are not.
const UNNAMED: &str = "a field";

/// Why a value does not follow a schema, or why that cannot be told.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The value is wrong, here and so.
    Wrong(String),
    /// The schema is too deep or too large to be checked, or refers to what is not there.
    Unchecked,
}

/// Checks `value` against `schema`.
pub(super) fn check(schema: &Value, value: &Value) -> Result<(), Fault> {
    Checker { root: schema, checks: 0, patterns: HashMap::new() }.check(schema, value, "", 0)
}

struct Checker<'a> {
    root: &'a Value,
    checks: usize,
    /// `None` for what this dialect of patterns cannot say.
    patterns: HashMap<&'a str, Option<Regex>>,
}

fn wrong(place: &str, what: impl std::fmt::Display) -> Result<(), Fault> {
    let place = if place.is_empty() { "the answer" } else { place };
    // Names and places may be long.
    Err(Fault::Wrong(format!("{place} {what}").chars().take(200).collect()))
}

fn spend(spent: &mut usize, checks: usize) -> Result<(), Fault> {
    *spent = spent.saturating_add(checks);
    if *spent > CHECKS_MAX { Err(Fault::Unchecked) } else { Ok(()) }
}

impl<'a> Checker<'a> {
    fn check(&mut self, schema: &'a Value, value: &Value, place: &str, depth: usize) -> Result<(), Fault> {
        spend(&mut self.checks, 1)?;
        if depth > DEPTH_MAX {
            return Err(Fault::Unchecked);
        }
        let schema = match schema {
            Value::Bool(true) => return Ok(()),
            Value::Bool(false) => return wrong(place, "must not be there"),
            Value::Object(schema) => schema,
            _ => return Err(Fault::Unchecked),
        };
        if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
            let root = self.root;
            let target = reference.strip_prefix('#').and_then(|pointer| root.pointer(pointer));
            let target = target.ok_or(Fault::Unchecked)?;
            self.check(target, value, place, depth + 1)?;
        }
        if value.is_null() && schema.get("nullable") == Some(&Value::Bool(true)) {
            return Ok(());
        }
        check_type(schema, value, place)?;
        self.check_combinations(schema, value, place, depth)?;
        match value {
            Value::Object(object) => self.check_object(schema, object, place, depth),
            Value::Array(items) => self.check_array(schema, items, place, depth),
            Value::String(text) => self.check_text(schema, text, place),
            Value::Number(number) => check_number(schema, number.as_f64().unwrap_or(0.0), place),
            Value::Null | Value::Bool(_) => Ok(()),
        }
    }

    fn check_combinations(
        &mut self,
        schema: &'a Map<String, Value>,
        value: &Value,
        place: &str,
        depth: usize,
    ) -> Result<(), Fault> {
        for each in list(schema, "allOf") {
            self.check(each, value, place, depth + 1)?;
        }
        for (keyword, most) in [("anyOf", usize::MAX), ("oneOf", 1)] {
            let choices = list(schema, keyword);
            if choices.is_empty() {
                continue;
            }
            let mut fitting = 0;
            for choice in choices {
                match self.check(choice, value, place, depth + 1) {
                    Ok(()) => fitting += 1,
                    Err(Fault::Wrong(_)) => {}
                    Err(Fault::Unchecked) => return Err(Fault::Unchecked),
                }
            }
            if fitting == 0 || fitting > most {
                return wrong(place, format_args!("fits {fitting} of the schemas of `{keyword}`"));
            }
        }
        match schema.get("not").map(|not| self.check(not, value, place, depth + 1)) {
            Some(Ok(())) => wrong(place, "fits the schema of `not`"),
            Some(Err(Fault::Unchecked)) => Err(Fault::Unchecked),
            None | Some(Err(Fault::Wrong(_))) => Ok(()),
        }
    }

    fn check_object(
        &mut self,
        schema: &'a Map<String, Value>,
        object: &Map<String, Value>,
        place: &str,
        depth: usize,
    ) -> Result<(), Fault> {
        let known = schema.get("properties").and_then(Value::as_object);
        for name in list(schema, "required").iter().filter_map(Value::as_str) {
            if !object.contains_key(name) {
                if known.is_some_and(|known| known.contains_key(name)) {
                    return wrong(place, format_args!("lacks `{name}`"));
                }
                return wrong(place, format_args!("lacks {UNNAMED} that is required"));
            }
        }
        check_count(schema, "minProperties", "maxProperties", object.len(), place)?;
        let patterns = schema.contains_key("patternProperties");
        for (name, field) in object {
            match known.and_then(|known| known.get(name)) {
                Some(property) => self.check(property, field, &format!("{place}/{name}"), depth + 1)?,
                None if patterns => {}
                None => match schema.get("additionalProperties") {
                    Some(Value::Bool(false)) => {
                        return wrong(place, format_args!("has {UNNAMED} that is not in the schema"));
                    }
                    Some(additional) => self.check(additional, field, &format!("{place}/{UNNAMED}"), depth + 1)?,
                    None => {}
                },
            }
        }
        Ok(())
    }

    fn check_array(
        &mut self,
        schema: &'a Map<String, Value>,
        items: &[Value],
        place: &str,
        depth: usize,
    ) -> Result<(), Fault> {
        check_count(schema, "minItems", "maxItems", items.len(), place)?;
        let prefix = list(schema, "prefixItems");
        for (index, item) in items.iter().enumerate() {
            if let Some(of_item) = prefix.get(index).or_else(|| schema.get("items")) {
                self.check(of_item, item, &format!("{place}/{index}"), depth + 1)?;
            }
        }
        if schema.get("uniqueItems") == Some(&Value::Bool(true)) {
            spend(&mut self.checks, items.len().saturating_mul(items.len()) / 2)?;
            if items.iter().enumerate().any(|(index, item)| items.iter().take(index).any(|earlier| earlier == item)) {
                return wrong(place, "has an item twice");
            }
        }
        Ok(())
    }

    fn check_text(&mut self, schema: &'a Map<String, Value>, text: &str, place: &str) -> Result<(), Fault> {
        check_count(schema, "minLength", "maxLength", text.chars().count(), place)?;
        let Some(pattern) = schema.get("pattern").and_then(Value::as_str) else { return Ok(()) };
        let compiled = match self.patterns.entry(pattern) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) => {
                spend(&mut self.checks, PATTERN_CHECKS)?;
                place.insert(RegexBuilder::new(pattern).size_limit(PATTERN_BYTES_MAX).build().ok())
            }
        };
        match compiled {
            Some(pattern) if !pattern.is_match(text) => wrong(place, "does not match `pattern`"),
            _ => Ok(()),
        }
    }
}

fn list<'a>(schema: &'a Map<String, Value>, keyword: &str) -> &'a [Value] {
    schema.get(keyword).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

fn check_type(schema: &Map<String, Value>, value: &Value, place: &str) -> Result<(), Fault> {
    let is = |name: &str| match name.to_ascii_lowercase().as_str() {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "number" => value.is_number(),
        // 1.0 is an integer in JSON Schema.
        "integer" => value.as_f64().is_some_and(|number| number.fract() == 0.0),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        _ => true,
    };
    let fits = match schema.get("type") {
        Some(Value::String(name)) => is(name),
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).any(is),
        _ => true,
    };
    if !fits {
        let kind = schema.get("type").map(Value::to_string).unwrap_or_default();
        return wrong(place, format_args!("is not of the type {kind}"));
    }
    if schema.get("enum").and_then(Value::as_array).is_some_and(|values| !values.contains(value)) {
        return wrong(place, "is none of the values of `enum`");
    }
    match schema.get("const") {
        Some(constant) if constant != value => wrong(place, "is not the value of `const`"),
        _ => Ok(()),
    }
}

fn check_count(schema: &Map<String, Value>, least: &str, most: &str, count: usize, place: &str) -> Result<(), Fault> {
    let bound = |keyword: &str| schema.get(keyword).and_then(Value::as_f64);
    if bound(least).is_some_and(|bound| (count as f64) < bound) {
        return wrong(place, format_args!("has {count}, less than `{least}`"));
    }
    if bound(most).is_some_and(|bound| count as f64 > bound) {
        return wrong(place, format_args!("has {count}, more than `{most}`"));
    }
    Ok(())
}

fn check_number(schema: &Map<String, Value>, number: f64, place: &str) -> Result<(), Fault> {
    let bound = |keyword: &str| schema.get(keyword).and_then(Value::as_f64);
    let faults = [
        ("minimum", bound("minimum").is_some_and(|bound| number < bound)),
        ("maximum", bound("maximum").is_some_and(|bound| number > bound)),
        ("exclusiveMinimum", bound("exclusiveMinimum").is_some_and(|bound| number <= bound)),
        ("exclusiveMaximum", bound("exclusiveMaximum").is_some_and(|bound| number >= bound)),
        ("multipleOf", bound("multipleOf").is_some_and(|step| step > 0.0 && !is_multiple(number, step))),
    ];
    match faults.into_iter().find(|(_, fault)| *fault) {
        Some((keyword, _)) => wrong(place, format_args!("breaks `{keyword}`")),
        None => Ok(()),
    }
}

/// Binary fractions err a little: 0.3 is a multiple of 0.1.
fn is_multiple(number: f64, step: f64) -> bool {
    let times = number / step;
    (times - times.round()).abs() < 1e-9 * times.abs().max(1.0)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn assert_checked(schema: &Value, good: &[Value], bad: &[Value]) {
        for value in good {
            assert_eq!(check(schema, value), Ok(()), "{value}");
        }
        for value in bad {
            assert!(matches!(check(schema, value), Err(Fault::Wrong(_))), "{value}");
        }
    }

    #[test]
    fn objects_are_checked_to_the_bottom() {
        let schema = json!({
            "type": "object", "required": ["name", "tags"], "additionalProperties": false,
            "properties": {
                "name": { "type": "string", "minLength": 2, "pattern": "^[a-z]+$" },
                "tags": { "type": "array", "items": { "enum": ["a", "b"] }, "maxItems": 2, "uniqueItems": true },
                "age": { "type": ["integer", "null"], "minimum": 0, "exclusiveMaximum": 150 },
            },
        });
        assert_checked(
            &schema,
            &[
                json!({ "name": "ada", "tags": ["a", "b"], "age": 36.0 }),
                json!({ "tags": [], "name": "bo", "age": null }),
            ],
            &[
                json!([]),
                json!({ "name": "ada" }),
                json!({ "name": "a", "tags": [] }),
                json!({ "name": "Ada", "tags": [] }),
                json!({ "name": "ada", "tags": ["c"] }),
                json!({ "name": "ada", "tags": ["a", "a"] }),
                json!({ "name": "ada", "tags": [], "age": 150 }),
                json!({ "name": "ada", "tags": [], "age": 1.5 }),
                json!({ "name": "ada", "tags": [], "more": 1 }),
            ],
        );
        let fault = check(&schema, &json!({ "name": "ada", "tags": ["a", "x"] }));
        assert_eq!(fault, Err(Fault::Wrong("/tags/1 is none of the values of `enum`".to_owned())));
    }

    #[test]
    fn combinations_and_references_are_followed() {
        let schema = json!({
            "$defs": { "node": { "type": "object", "required": ["value"], "properties": {
                "value": { "type": "number", "multipleOf": 0.1 },
                "next": { "anyOf": [{ "$ref": "#/$defs/node" }, { "type": "null" }] },
            } } },
            "$ref": "#/$defs/node",
        });
        let good = json!({ "value": 0.3, "next": { "value": 1, "next": null } });
        assert_checked(
            &schema,
            &[good],
            &[json!({ "value": 0.3, "next": { "value": 0.25 } }), json!({ "next": null })],
        );
        let one = json!({ "oneOf": [{ "type": "integer" }, { "minimum": 5 }], "not": { "const": 7.5 } });
        assert_checked(&one, &[json!(1), json!(5.5)], &[json!(6), json!(1.5), json!(7.5)]);
        let tuple = json!({ "prefixItems": [{ "type": "string" }], "items": { "type": "integer" } });
        assert_checked(&tuple, &[json!(["a", 1, 2])], &[json!([1]), json!(["a", "b"])]);
    }

    #[test]
    fn what_cannot_be_checked_is_given_up() {
        let circle = json!({ "$ref": "#" });
        assert_eq!(check(&circle, &json!(1)), Err(Fault::Unchecked));
        assert_eq!(check(&json!({ "$ref": "https://example.org/schema" }), &json!(1)), Err(Fault::Unchecked));
        let mut wide = json!({ "type": "string" });
        for _ in 0..17 {
            wide = json!({ "anyOf": [wide.clone(), wide] });
        }
        assert_eq!(check(&wide, &json!(1)), Err(Fault::Unchecked));
        // A pattern of another dialect (look-ahead) says nothing.
        assert_eq!(check(&json!({ "pattern": "^(?=a)" }), &json!("b")), Ok(()));
    }
    #[test]
    fn a_pattern_is_compiled_once_and_many_are_given_up() {
        let texts = json!(vec!["abc"; 5_000]);
        assert_eq!(check(&json!({ "items": { "pattern": "^[a-z]+$" } }), &texts), Ok(()));
        let many: Vec<Value> = (0..200).map(|place| json!({ "pattern": format!("a{{0,{place}}}") })).collect();
        assert_eq!(check(&json!({ "allOf": many }), &json!("a")), Err(Fault::Unchecked));
        // One that becomes too large is not checked.
        assert_eq!(check(&json!({ "pattern": "^(b{1000}){1000}$" }), &json!("a")), Ok(()));
    }

    #[test]
    fn reasons_name_only_what_the_schema_declares() {
        let why = |schema: Value, value: Value| match check(&schema, &value) {
            Err(Fault::Wrong(why)) => why,
            other => format!("{other:?}"),
        };
        let closed = json!({ "properties": { "name": { "type": "string" } }, "additionalProperties": false });
        assert_eq!(why(closed.clone(), json!({ "Ada": 1 })), "the answer has a field that is not in the schema");
        assert_eq!(why(closed, json!({ "name": 1 })), "/name is not of the type \"string\"");
        let open = json!({ "additionalProperties": { "items": { "type": "string" } } });
        assert_eq!(why(open, json!({ "Ada": ["x", 1] })), "/a field/1 is not of the type \"string\"");
        assert_eq!(why(json!({ "required": ["Ada"] }), json!({})), "the answer lacks a field that is required");
    }
}
