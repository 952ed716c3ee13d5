//! Parsers of data from outside, for the program in `fuzz/`. It exists only when the crate is built for fuzzing.

use serde_json::{Map, Value};

use crate::{FieldDeclarations, Metadata, metadata, search::filter::Filter};

/// Each under its name.
pub const TARGETS: &[(&str, fn(&[u8]))] = &[("filter", filter), ("metadata", fields)];

fn filter(bytes: &[u8]) {
    let Ok(map) = serde_json::from_slice::<Map<String, Value>>(bytes) else { return };
    if let Ok(filter) = Filter::parse(&map) {
        assert!(Filter::parse(&map).is_ok_and(|again| again == filter), "one text has two meanings");
    }
}

/// The fields of a document, and with them the declarations of a collection when a line break follows.
fn fields(bytes: &[u8]) {
    let mut parts = bytes.splitn(2, |byte| *byte == b'\n');
    let Ok(mut fields) = serde_json::from_slice::<Metadata>(parts.next().unwrap_or_default()) else { return };
    if metadata::check(&fields).is_err() {
        return;
    }
    let declared =
        parts.next().and_then(|rest| serde_json::from_slice::<FieldDeclarations>(rest).ok()).unwrap_or_default();
    if metadata::check_declarations(&declared).is_ok() {
        let _ = metadata::conform(&mut fields, &declared);
    }
    let text = serde_json::to_vec(&fields).unwrap_or_default();
    assert!(serde_json::from_slice::<Metadata>(&text).is_ok(), "what was stored cannot be read");
}
