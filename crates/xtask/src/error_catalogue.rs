//! Every reason that an error of the program can have, read from the places in the sources that make errors.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use anyhow::Result;
use serde::Serialize;

use crate::scan::{self, Source};

#[derive(Debug, Serialize)]
struct Reason {
    reason: String,
    code: String,
    status: u16,
    details: BTreeSet<String>,
    remedies: BTreeSet<String>,
}

/// Makers of errors whose first argument is the reason, and the code that they give.
const MAKERS: &[(&str, &str)] =
    &[("Error::not_found", "not_found"), ("Error::conflict", "conflict"), ("Error::unavailable", "unavailable")];

/// The same table as `plasma_http::status_of`; a page names the status.
const STATUSES: &[(&str, u16)] = &[
    ("invalid", 400),
    ("unauthenticated", 401),
    ("over_budget", 402),
    ("forbidden", 403),
    ("not_found", 404),
    ("conflict", 409),
    ("gone", 410),
    ("too_large", 413),
    ("rate_limited", 429),
    ("internal", 500),
    ("upstream", 502),
    ("unavailable", 503),
    ("timeout", 504),
];

/// The catalogue as JSON, sorted by reason.
pub fn generate(root: &Path) -> Result<String> {
    let mut reasons = BTreeMap::new();
    for source in scan::files(root)? {
        if source.path.starts_with("crates/") && source.path.ends_with(".rs") && !source.is_test() {
            collect(&source, &mut reasons);
        }
    }
    let reasons: Vec<Reason> = reasons.into_values().collect();
    let mut text = serde_json::to_string_pretty(&reasons)?;
    text.push('\n');
    Ok(text)
}

fn collect(source: &Source, reasons: &mut BTreeMap<String, Reason>) {
    let code = source.without_tests();
    for (maker, class) in MAKERS {
        for (place, _) in code.match_indices(&format!("{maker}(")) {
            note(code, place + maker.len(), class, reasons);
        }
    }
    for (place, _) in code.match_indices("Error::new(") {
        let start = place + "Error::new".len();
        let arguments = code.get(start..).unwrap_or_default();
        let Some(class) = arguments.split_once("Code::").map(|(_, rest)| snake_case(rest)) else { continue };
        // Not an error of the kernel if the code is not the first argument.
        if arguments.find("Code::") < arguments.find('"') {
            note(code, start, &class, reasons);
        }
    }
}

/// `NotFound, …` -> `not_found`
fn snake_case(code: &str) -> String {
    let mut name = String::new();
    for character in code.chars().take_while(char::is_ascii_alphanumeric) {
        if character.is_ascii_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(character.to_ascii_lowercase());
    }
    name
}

/// Reads the strings of the call at `start`: the reason, the message, and a remedy in the calls that follow.
fn note(code: &str, start: usize, class: &str, reasons: &mut BTreeMap<String, Reason>) {
    let rest = code.get(start..).unwrap_or_default();
    let call = rest.get(..scan::call_length(rest)).unwrap_or_default();
    let strings = scan::literals(call);
    let Some(reason) = strings.first() else { return };
    let is_name =
        !reason.value.is_empty() && reason.value.chars().all(|letter| letter.is_ascii_lowercase() || letter == '_');
    let Some((_, status)) = STATUSES.iter().find(|(code, _)| *code == class) else { return };
    if !is_name {
        return;
    }
    let entry = reasons.entry(reason.value.clone()).or_insert_with(|| Reason {
        reason: reason.value.clone(),
        code: class.to_owned(),
        status: *status,
        details: BTreeSet::new(),
        remedies: BTreeSet::new(),
    });
    // What our own side did wrong is said to nobody.
    if class != "internal"
        && let Some(detail) = strings.get(1)
    {
        entry.details.insert(without_values(&detail.value));
    }
    if let Some(remedy) = remedy_after(rest.get(call.len()..).unwrap_or_default()) {
        entry.remedies.insert(without_values(&remedy));
    }
}

/// The text in `.remedy("…")` among the calls that are chained to an error.
fn remedy_after(mut rest: &str) -> Option<String> {
    loop {
        let chained = rest.trim_start().strip_prefix('.')?;
        let name: String =
            chained.chars().take_while(|letter| letter.is_ascii_alphanumeric() || *letter == '_').collect();
        let call = chained.get(name.len()..)?;
        if !call.starts_with('(') {
            return None;
        }
        let length = scan::call_length(call);
        if name == "remedy" {
            return scan::literals(call.get(..length)?).into_iter().next().map(|literal| literal.value);
        }
        rest = call.get(length..)?;
    }
}

/// `{name}` and `{0:?}` become `…`.
fn without_values(text: &str) -> String {
    let mut shown = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        shown.push_str(before);
        match after.strip_prefix('{') {
            Some(literal) => {
                shown.push('{');
                rest = literal;
            }
            None => {
                shown.push('…');
                rest = after.split_once('}').map_or("", |(_, rest)| rest);
            }
        }
    }
    shown.push_str(rest);
    shown.replace("}}", "}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_read_with_message_and_remedy() {
        let text = r#"
            Error::not_found("dog_not_found", format!("there is no dog {id}")).field("id").remedy("look again");
            Error::new(
                plasma_kernel::Code::RateLimited,
                "too_many_dogs",
                "too many dogs",
            );
            Error::invalid("name", "is empty");
            #[cfg(test)] Error::conflict("only_in_tests", "x");
        "#;
        let mut reasons = BTreeMap::new();
        collect(&Source { path: "crates/a/src/a.rs".to_owned(), text: text.to_owned() }, &mut reasons);
        assert_eq!(reasons.keys().collect::<Vec<_>>(), ["dog_not_found", "too_many_dogs"]);
        let dog = &reasons["dog_not_found"];
        assert!(dog.details.contains("there is no dog …") && dog.remedies.contains("look again"), "{dog:?}");
        assert_eq!((reasons["too_many_dogs"].code.as_str(), reasons["too_many_dogs"].status), ("rate_limited", 429));
    }
}
