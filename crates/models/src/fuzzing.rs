//! Parsers of data from outside, for the program in `fuzz/`. It exists only when the crate is built for fuzzing.

use serde_json::Value;

use crate::{prompts, quality, upstream::RawObject};

/// Each under its name.
pub const TARGETS: &[(&str, fn(&[u8]))] =
    &[("prompt_template", template), ("answer_schema", schema), ("provider_object", object)];

fn template(bytes: &[u8]) {
    if let Ok(source) = std::str::from_utf8(bytes) {
        prompts::fuzz_template(source);
    }
}

/// A schema and a value, with a line break between.
fn schema(bytes: &[u8]) {
    let mut parts = bytes.splitn(2, |byte| *byte == b'\n');
    let mut next = || serde_json::from_slice::<Value>(parts.next().unwrap_or_default()).ok();
    if let (Some(schema), Some(value)) = (next(), next()) {
        quality::fuzz_schema(&schema, &value);
    }
}

fn object(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(object) = RawObject::parse(text) {
        let _ = object.get::<Value>("error");
        let _ = object.to_json();
    }
}
