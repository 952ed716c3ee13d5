//! What a change changed, in a form that may be written down: only the fields that differ, without secrets, and short.

use serde_json::{Map, Value};

/// What stands in the place of a secret.
const MASK: &str = "***";
/// Characters of one text, elements of one list, fields of one object and levels of nesting that are kept.
const TEXT_CHARS_MAX: usize = 256;
const LIST_MAX: usize = 20;
const FIELDS_MAX: usize = 64;
const DEPTH_MAX: usize = 5;
/// Bytes of JSON that one side of a change may have.
const SIDE_BYTES_MAX: usize = 8 << 10;

/// Words in a field's name that make its value a secret, wherever it stands.
const SECRET_WORDS: [&str; 9] =
    ["password", "passphrase", "secret", "token", "authorization", "cookie", "credential", "credentials", "private"];
/// Words that make it one in a change: such fields often hold a key or a part of it.
const SECRET_WORDS_OF_CHANGES: [&str; 6] = ["key", "hash", "code", "otp", "pin", "signature"];
/// How our own tokens begin: hidden under whatever name.
const TOKEN_PREFIXES: [&str; 12] =
    ["pla_", "plb_", "plc_", "pld_", "pli_", "plk_", "pll_", "plo_", "plp_", "plr_", "pls_", "plw_"];
/// A token is longer than what is shown of one to recognize it by.
const TOKEN_CHARS_MIN: usize = 20;

/// What differs between two states: the same fields on both sides, masked and shortened. Objects are compared field by field,
/// everything else as a whole; `null` stands for "was not there".
pub(crate) fn difference(before: &Value, after: &Value) -> (Value, Value) {
    let (before, after) = differing(before, after, 0);
    (bounded(before), bounded(after))
}

/// Hides what is a secret by its name, and tokens of this installation by their form, at any depth.
pub fn mask_secrets(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                if has_word(name, &SECRET_WORDS) {
                    mask(value);
                } else {
                    mask_secrets(value);
                }
            }
        }
        Value::Array(elements) => elements.iter_mut().for_each(mask_secrets),
        Value::String(text) if is_token(text) => *value = Value::from(MASK),
        _ => {}
    }
}

fn differing(before: &Value, after: &Value, depth: usize) -> (Value, Value) {
    let nothing = Map::new();
    let (old, new) = match (before, after) {
        (Value::Object(old), Value::Object(new)) => (old, new),
        (Value::Object(old), Value::Null) => (old, &nothing),
        (Value::Null, Value::Object(new)) => (&nothing, new),
        _ => return (shortened(before, depth), shortened(after, depth)),
    };
    let (mut before_fields, mut after_fields) = (Map::new(), Map::new());
    let names = old.keys().chain(new.keys().filter(|name| !old.contains_key(*name)));
    for name in names {
        let (one, other) = (old.get(name).unwrap_or(&Value::Null), new.get(name).unwrap_or(&Value::Null));
        if one == other {
            continue;
        }
        if before_fields.len() == FIELDS_MAX {
            break;
        }
        let (one, other) = if is_secret_in_changes(name) {
            (masked(one), masked(other))
        } else if depth + 1 < DEPTH_MAX {
            differing(one, other, depth + 1)
        } else {
            (shortened(one, depth + 1), shortened(other, depth + 1))
        };
        before_fields.insert(name.clone(), one);
        after_fields.insert(name.clone(), other);
    }
    let side = |whole: &Value, fields: Map<String, Value>| match whole {
        Value::Null => Value::Null,
        _ => Value::Object(fields),
    };
    (side(before, before_fields), side(after, after_fields))
}

/// A value as it is kept: without secrets in it, and short.
fn shortened(value: &Value, depth: usize) -> Value {
    match value {
        Value::String(text) if is_token(text) => Value::from(MASK),
        Value::String(text) => match text.char_indices().nth(TEXT_CHARS_MAX) {
            Some((end, _)) => Value::from(format!("{}…", text.get(..end).unwrap_or_default())),
            None => value.clone(),
        },
        Value::Array(_) | Value::Object(_) if depth >= DEPTH_MAX => Value::from("…"),
        Value::Array(elements) => {
            let mut kept: Vec<Value> =
                elements.iter().take(LIST_MAX).map(|element| shortened(element, depth + 1)).collect();
            if elements.len() > LIST_MAX {
                kept.push(Value::from(format!("… and {} more", elements.len() - LIST_MAX)));
            }
            Value::Array(kept)
        }
        Value::Object(fields) => {
            let kept = fields.iter().take(FIELDS_MAX).map(|(name, value)| {
                let value = if is_secret_in_changes(name) { masked(value) } else { shortened(value, depth + 1) };
                (name.clone(), value)
            });
            Value::Object(kept.collect())
        }
        _ => value.clone(),
    }
}

fn bounded(value: Value) -> Value {
    if value.to_string().len() > SIDE_BYTES_MAX { Value::from("(too large to be kept)") } else { value }
}

/// Whether there was something may be seen, what it was not. Truth values hide nothing.
fn masked(value: &Value) -> Value {
    match value {
        Value::Null | Value::Bool(_) => value.clone(),
        _ => Value::from(MASK),
    }
}

/// As [`masked`], in place; numbers stay, for limits and counts of tokens are named like them.
fn mask(value: &mut Value) {
    if matches!(value, Value::String(_) | Value::Array(_) | Value::Object(_)) {
        *value = Value::from(MASK);
    }
}

fn is_secret_in_changes(name: &str) -> bool {
    has_word(name, &SECRET_WORDS) || has_word(name, &SECRET_WORDS_OF_CHANGES)
}

/// Whether one of the words that `name` is made of (`api_key`, `apiKey`, `api-key`) is in the list.
fn has_word(name: &str, words: &[&str]) -> bool {
    let mut word = String::new();
    let mut found = false;
    for letter in name.chars() {
        if letter.is_uppercase() || !letter.is_alphanumeric() {
            found |= words.contains(&word.as_str());
            word.clear();
        }
        if letter.is_alphanumeric() {
            word.extend(letter.to_lowercase());
        }
    }
    found || words.contains(&word.as_str())
}

fn is_token(text: &str) -> bool {
    text.len() >= TOKEN_CHARS_MIN && TOKEN_PREFIXES.iter().any(|prefix| text.starts_with(prefix))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_differs_is_kept() {
        let before = json!({"name": "a", "role": "viewer", "settings": {"days": 1, "on": true}});
        let after = json!({"name": "a", "role": "admin", "settings": {"days": 2, "on": true}});
        let (before, after) = difference(&before, &after);
        assert_eq!(before, json!({"role": "viewer", "settings": {"days": 1}}));
        assert_eq!(after, json!({"role": "admin", "settings": {"days": 2}}));
    }

    #[test]
    fn what_is_new_or_gone_has_one_side() {
        assert_eq!(difference(&Value::Null, &json!({"a": 1})), (Value::Null, json!({"a": 1})));
        assert_eq!(difference(&json!({"a": 1}), &Value::Null), (json!({"a": 1}), Value::Null));
        assert_eq!(difference(&json!({"a": 1}), &json!({})), (json!({"a": 1}), json!({"a": null})));
    }

    #[test]
    fn secrets_are_masked_by_their_names_and_by_their_form() {
        let before = json!({
            "password": "hunter2", "api_key": "sk-1", "apiKey": "sk-1", "tokens_per_minute": 5, "keywords": ["a"],
            "totp-secret": "x", "country": "plk_00000000000000000000000000", "inner": {"signature": "s", "on": false},
        });
        let after = json!({
            "password": "hunter3", "api_key": null, "apiKey": "sk-2", "tokens_per_minute": 6, "keywords": ["b"],
            "totp-secret": "y", "country": "pls_00000000000000000000000000", "inner": {"signature": "t", "on": true},
        });
        let (before, after) = difference(&before, &after);
        assert_eq!(
            before,
            json!({
                "password": "***", "api_key": "***", "apiKey": "***", "tokens_per_minute": 5, "keywords": ["a"],
                "totp-secret": "***", "country": "***", "inner": {"signature": "***", "on": false},
            })
        );
        assert_eq!(after["api_key"], Value::Null);
        assert_eq!(after["inner"], json!({"signature": "***", "on": true}));
        let all = format!("{before}{after}");
        for secret in ["hunter", "sk-", "plk_", "pls_"] {
            assert!(!all.contains(secret), "{secret} in {all}");
        }
    }

    #[test]
    fn secrets_in_what_is_new_as_a_whole_are_masked_too() {
        let (_, after) = difference(&Value::Null, &json!({"list": [{"client_secret": "s"}], "hash": "abc"}));
        assert_eq!(after, json!({"list": [{"client_secret": "***"}], "hash": "***"}));
    }

    #[test]
    fn nothing_grows_without_bound() {
        let long = "ä".repeat(10_000);
        let many: Vec<Value> = (0..1_000).map(Value::from).collect();
        let (_, after) = difference(&Value::Null, &json!({"long": long, "many": many}));
        assert_eq!(after["long"].as_str().unwrap().chars().count(), TEXT_CHARS_MAX + 1);
        assert_eq!(after["many"].as_array().unwrap().len(), LIST_MAX + 1);
        let wide: Map<String, Value> =
            (0..1_000).map(|number| (format!("field{number}"), Value::from("x".repeat(300)))).collect();
        let (_, after) = difference(&Value::Null, &Value::Object(wide));
        assert!(after.to_string().len() <= SIDE_BYTES_MAX + 2);
        let mut deep = json!("end");
        for _ in 0..100 {
            deep = json!({ "in": deep });
        }
        let (_, after) = difference(&Value::Null, &deep);
        assert!(after.to_string().len() < 100);
    }

    #[test]
    fn masking_everything_keeps_counts_and_ids() {
        let mut data = json!({
            "key": "key_01", "code": "not_found", "input_tokens": 7, "token": "abc", "max_token": 3,
            "list": [{"password": {"a": 1}}], "text": "plk_00000000000000000000000000",
        });
        mask_secrets(&mut data);
        assert_eq!(
            data,
            json!({
                "key": "key_01", "code": "not_found", "input_tokens": 7, "token": "***", "max_token": 3,
                "list": [{"password": "***"}], "text": "***",
            })
        );
    }
}
