//! The filters and tests of prompts' templates: none makes a value longer than a limit, and each pays for what it reads and
//! writes.

use std::{borrow::Cow, sync::LazyLock};

use minijinja::{
    Environment, Error, ErrorKind, Output, State, UndefinedBehavior, Value, filters as builtin,
    syntax::SyntaxConfig,
    tests,
    value::{Kwargs, ValueKind},
};

/// All filters.
pub(super) const FILTERS: [&str; 22] = [
    "abs",
    "capitalize",
    "count",
    "d",
    "default",
    "first",
    "indent",
    "items",
    "join",
    "last",
    "length",
    "lower",
    "replace",
    "reverse",
    "round",
    "sort",
    "title",
    "tojson",
    "trim",
    "truncate",
    "unique",
    "upper",
];
/// All tests.
pub(super) const TESTS: [&str; 17] = [
    "boolean",
    "defined",
    "divisibleby",
    "endingwith",
    "even",
    "false",
    "integer",
    "iterable",
    "mapping",
    "none",
    "number",
    "odd",
    "sequence",
    "startingwith",
    "string",
    "true",
    "undefined",
];

/// Bytes of a text that a filter makes.
const TEXT_BYTES_MAX: usize = 1 << 20;
/// Bytes that all filters of one message may read and write.
const WORK_BYTES_MAX: usize = 32 << 20;
/// Levels of a value that are written as JSON.
const DEPTH_MAX: usize = 128;

/// The empty environment with these filters and tests. Names without a value are errors, and nothing is escaped.
pub(super) static ENVIRONMENT: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut environment = Environment::empty();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_formatter(write_value);
    // A message ends as its author wrote it.
    if let Ok(syntax) = SyntaxConfig::builder().keep_trailing_newline(true).build() {
        environment.set_syntax(syntax);
    }
    environment.add_filter("abs", builtin::abs);
    environment.add_filter("capitalize", capitalize);
    environment.add_filter("count", length);
    environment.add_filter("d", default);
    environment.add_filter("default", default);
    environment.add_filter("first", builtin::first);
    environment.add_filter("indent", indent);
    environment.add_filter("items", builtin::items);
    environment.add_filter("join", join);
    environment.add_filter("last", last);
    environment.add_filter("length", length);
    environment.add_filter("lower", lower);
    environment.add_filter("replace", replace);
    environment.add_filter("reverse", reverse);
    environment.add_filter("round", builtin::round);
    environment.add_filter("sort", sort);
    environment.add_filter("title", title);
    environment.add_filter("tojson", tojson);
    environment.add_filter("trim", trim);
    environment.add_filter("truncate", truncate);
    environment.add_filter("unique", unique);
    environment.add_filter("upper", upper);
    environment.add_test("boolean", tests::is_boolean);
    environment.add_test("defined", tests::is_defined);
    environment.add_test("divisibleby", divisibleby);
    environment.add_test("endingwith", tests::is_endingwith);
    environment.add_test("even", tests::is_even);
    environment.add_test("false", tests::is_false);
    environment.add_test("integer", tests::is_integer);
    environment.add_test("iterable", tests::is_iterable);
    environment.add_test("mapping", tests::is_mapping);
    environment.add_test("none", tests::is_none);
    environment.add_test("number", tests::is_number);
    environment.add_test("odd", tests::is_odd);
    environment.add_test("sequence", tests::is_sequence);
    environment.add_test("startingwith", tests::is_startingwith);
    environment.add_test("string", tests::is_string);
    environment.add_test("true", tests::is_true);
    environment.add_test("undefined", tests::is_undefined);
    environment
});

/// What the filters of one message have read and written.
#[derive(Default)]
struct Work(usize);

fn spend(state: &mut State<'_, '_>, bytes: usize) -> Result<(), Error> {
    let work = state.get_or_insert_extension(Work::default());
    work.0 = work.0.saturating_add(bytes);
    if work.0 > WORK_BYTES_MAX { Err(ErrorKind::OutOfFuel.into()) } else { Ok(()) }
}

fn wrong(message: impl Into<Cow<'static, str>>) -> Error {
    Error::new(ErrorKind::InvalidOperation, message)
}

/// A text that a filter has made.
fn made(state: &mut State<'_, '_>, text: String) -> Result<String, Error> {
    spend(state, text.len())?;
    if text.len() > TEXT_BYTES_MAX { Err(too_long()) } else { Ok(text) }
}

fn too_long() -> Error {
    wrong(format!("a filter makes a text of more than {TEXT_BYTES_MAX} bytes"))
}

/// How a value is inserted: as it is. `none` writes nothing.
fn write_value(out: &mut Output<'_>, _: &mut State<'_, '_>, value: &Value) -> Result<(), Error> {
    match value.kind() {
        ValueKind::None => Ok(()),
        ValueKind::String => Ok(out.write_str(value.as_str().unwrap_or(""))?),
        ValueKind::Bool => Ok(out.write_str(bool_text(value))?),
        ValueKind::Number => Ok(write!(out, "{value}")?),
        ValueKind::Undefined => Err(ErrorKind::UndefinedError.into()),
        kind => Err(wrong(format!("a {kind} cannot be inserted as it is; use `join(\", \")` or `tojson`"))),
    }
}

/// As in JSON; the engine itself writes `True` as Python does.
fn bool_text(value: &Value) -> &'static str {
    if value.is_true() { "true" } else { "false" }
}

fn upper(state: &mut State<'_, '_>, text: Cow<'_, str>) -> Result<String, Error> {
    spend(state, text.len())?;
    made(state, text.to_uppercase())
}

fn lower(state: &mut State<'_, '_>, text: Cow<'_, str>) -> Result<String, Error> {
    spend(state, text.len())?;
    made(state, text.to_lowercase())
}

fn title(state: &mut State<'_, '_>, text: Cow<'_, str>) -> Result<String, Error> {
    spend(state, text.len())?;
    made(state, builtin::title(text))
}

fn capitalize(state: &mut State<'_, '_>, text: Cow<'_, str>) -> Result<String, Error> {
    spend(state, text.len())?;
    let mut letters = text.chars();
    let first: String = letters.next().into_iter().flat_map(char::to_uppercase).collect();
    let rest = letters.as_str().to_lowercase();
    made(state, first + &rest)
}

fn trim(state: &mut State<'_, '_>, text: Cow<'_, str>) -> Result<String, Error> {
    spend(state, text.len())?;
    made(state, text.trim().to_owned())
}

/// `truncate(100)`: the first hundred characters, and `…` when there were more.
fn truncate(state: &mut State<'_, '_>, text: Cow<'_, str>, characters: usize) -> Result<String, Error> {
    spend(state, text.len())?;
    match text.char_indices().nth(characters) {
        Some((end, _)) => made(state, format!("{}…", text.get(..end).unwrap_or(""))),
        None => made(state, text.into_owned()),
    }
}

fn replace(
    state: &mut State<'_, '_>,
    text: Cow<'_, str>,
    from: Cow<'_, str>,
    to: Cow<'_, str>,
) -> Result<String, Error> {
    spend(state, text.len())?;
    // Counted first: the text could become a million times as long.
    let count = if from.is_empty() { text.chars().count() + 1 } else { text.matches(&*from).count() };
    if count.saturating_mul(to.len()).saturating_add(text.len()) > TEXT_BYTES_MAX * 2 {
        return Err(too_long());
    }
    made(state, text.replace(&*from, &to))
}

/// `indent(4)`: each line but the first begins with four spaces.
fn indent(state: &mut State<'_, '_>, text: Cow<'_, str>, width: Option<usize>) -> Result<String, Error> {
    const WIDTH_MAX: usize = 100;
    let width = width.unwrap_or(4);
    if width > WIDTH_MAX {
        return Err(wrong(format!("the width of `indent` is {WIDTH_MAX} at most")));
    }
    replace(state, text, Cow::Borrowed("\n"), Cow::Owned(format!("\n{}", " ".repeat(width))))
}

/// For variables that have no value, and for fields that are not there; with `true` for everything that is false or empty.
fn default(value: &Value, other: Option<Value>, for_false: Option<bool>) -> Value {
    let is_missing = value.is_undefined() || value.is_none() || (for_false == Some(true) && !value.is_true());
    if is_missing { other.unwrap_or_else(|| Value::from("")) } else { value.clone() }
}

fn length(state: &mut State<'_, '_>, value: &Value) -> Result<usize, Error> {
    if let Some(text) = value.as_str() {
        spend(state, text.len())?;
    }
    builtin::length(value)
}

fn last(state: &mut State<'_, '_>, value: Value) -> Result<Value, Error> {
    spend_walk(state, &value)?;
    builtin::last(value)
}

fn reverse(state: &mut State<'_, '_>, value: &Value) -> Result<Value, Error> {
    spend_walk(state, value)?;
    builtin::reverse(value)
}

fn sort(state: &mut State<'_, '_>, value: Value, options: Kwargs) -> Result<Value, Error> {
    spend_sorted(state, &value)?;
    builtin::sort(state, value, options)
}

fn unique(state: &mut State<'_, '_>, value: Value, options: Kwargs) -> Result<Value, Error> {
    spend_sorted(state, &value)?;
    builtin::unique(state, value, options)
}

fn join(state: &mut State<'_, '_>, value: &Value, between: Option<Cow<'_, str>>) -> Result<String, Error> {
    let between = between.unwrap_or(Cow::Borrowed(""));
    if !matches!(value.kind(), ValueKind::Seq | ValueKind::Iterable) {
        return Err(wrong(format!("`join` needs a list, not a {}", value.kind())));
    }
    let mut text = String::new();
    for (place, item) in value.try_iter()?.checked().enumerate() {
        let item = item?;
        if place > 0 {
            text.push_str(&between);
        }
        match item.kind() {
            ValueKind::None => {}
            ValueKind::String => text.push_str(item.as_str().unwrap_or("")),
            ValueKind::Bool => text.push_str(bool_text(&item)),
            ValueKind::Number => text.push_str(&item.to_string()),
            kind => return Err(wrong(format!("`join` cannot write a {kind}; use `tojson`"))),
        }
        if text.len() > TEXT_BYTES_MAX {
            return Err(too_long());
        }
    }
    made(state, text)
}

/// Compact JSON, without the escapes that HTML would need.
fn tojson(state: &mut State<'_, '_>, value: &Value) -> Result<String, Error> {
    let mut json = String::new();
    write_json(value, 0, &mut json)?;
    made(state, json)
}

fn write_json(value: &Value, depth: usize, json: &mut String) -> Result<(), Error> {
    if json.len() > TEXT_BYTES_MAX {
        return Err(too_long());
    }
    if depth > DEPTH_MAX {
        return Err(wrong(format!("`tojson` writes {DEPTH_MAX} levels at most")));
    }
    match value.kind() {
        ValueKind::None => json.push_str("null"),
        ValueKind::String => json.push_str(&serde_json::Value::from(value.as_str().unwrap_or("")).to_string()),
        ValueKind::Bool => json.push_str(bool_text(value)),
        ValueKind::Number => json.push_str(&value.to_string()),
        ValueKind::Seq | ValueKind::Iterable => {
            json.push('[');
            for (place, item) in value.try_iter()?.checked().enumerate() {
                if place > 0 {
                    json.push(',');
                }
                write_json(&item?, depth + 1, json)?;
            }
            json.push(']');
        }
        ValueKind::Map => {
            json.push('{');
            for (place, key) in value.try_iter()?.checked().enumerate() {
                let key = key?;
                if place > 0 {
                    json.push(',');
                }
                write_json(&Value::from(key.to_string()), depth + 1, json)?;
                json.push(':');
                write_json(&value.get_item(&key)?, depth + 1, json)?;
            }
            json.push('}');
        }
        kind => return Err(wrong(format!("`tojson` cannot write a {kind}"))),
    }
    Ok(())
}

/// Nothing is divisible by 0. The engine's own test panics then, and where -1 makes the quotient too large.
fn divisibleby(value: &Value, by: &Value) -> bool {
    match i128::try_from(by.clone()) {
        Ok(0) => false,
        Ok(-1) => tests::is_divisibleby(value, &Value::from(1)),
        // Above 127 bits the engine takes numbers for negative ones.
        Err(_) if tests::is_integer(by) => false,
        _ => tests::is_divisibleby(value, by),
    }
}

/// Pays for one look at everything in a value.
fn spend_walk(state: &mut State<'_, '_>, value: &Value) -> Result<(), Error> {
    spend(state, weight(value, 0))
}

/// Pays for the comparisons of a sort.
fn spend_sorted(state: &mut State<'_, '_>, value: &Value) -> Result<(), Error> {
    let items = value.len().unwrap_or(1).max(2);
    spend(state, weight(value, 0).saturating_mul(items.ilog2() as usize))
}

/// Bytes of a value, about.
fn weight(value: &Value, depth: usize) -> usize {
    const VALUE_BYTES: usize = 24;
    if depth > DEPTH_MAX {
        return VALUE_BYTES;
    }
    let parts: usize = match value.kind() {
        ValueKind::String => value.as_str().map_or(0, str::len),
        ValueKind::Seq | ValueKind::Iterable => {
            value.try_iter().map_or(0, |items| items.checked().flatten().map(|item| weight(&item, depth + 1)).sum())
        }
        ValueKind::Map => value.try_iter().map_or(0, |keys| {
            keys.checked().flatten().map(|key| value.get_item(&key).map_or(0, |item| weight(&item, depth + 1))).sum()
        }),
        _ => 0,
    };
    VALUE_BYTES + parts
}

#[cfg(test)]
mod unit_tests {
    use super::*;

    #[test]
    fn nothing_is_divisible_by_0() {
        let divisible = |value: Value, by: Value| divisibleby(&value, &by);
        assert!(!divisible(Value::from(1), Value::from(0)));
        assert!(!divisible(Value::from(0), Value::from(0)));
        assert!(!divisible(Value::from(1), Value::from(false)));
        assert!(!divisible(Value::from(1), Value::from(0.0)));
        assert!(!divisible(Value::from("a"), Value::from(1)));
        assert!(divisible(Value::from(6), Value::from(3)) && !divisible(Value::from(7), Value::from(3)));
        assert!(divisible(Value::from(i128::MIN), Value::from(-1)));
        let values = Value::from_pairs([("four".to_owned(), Value::from(4))]);
        let rendered = ENVIRONMENT.render_str("{{ 1 is divisibleby(0) }}{{ four is divisibleby(2) }}", values);
        assert_eq!(rendered.ok().as_deref(), Some("falsetrue"));
    }
}
