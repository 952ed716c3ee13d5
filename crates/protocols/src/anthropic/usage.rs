//! Counts of tokens. Anthropic's `input_tokens` leaves out what a cache answered or took; the middle form includes it.

use serde_json::{Map, Value, json};

use crate::chat::Usage;

/// The counts told so far. Those of a stream are cumulative: a later one replaces an earlier one, and an absent one
/// keeps it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    uncached_input: u64,
    cache_read: u64,
    cache_write: u64,
    output: u64,
    thinking: u64,
}

impl Counts {
    /// Takes the counts of a `usage` object. Anything else is no count.
    pub(super) fn merge(&mut self, usage: &Value) {
        let thinking = usage.get("output_tokens_details").and_then(|details| details.get("thinking_tokens"));
        for (count, told) in [
            (&mut self.uncached_input, usage.get("input_tokens")),
            (&mut self.cache_read, usage.get("cache_read_input_tokens")),
            (&mut self.cache_write, usage.get("cache_creation_input_tokens")),
            (&mut self.output, usage.get("output_tokens")),
            (&mut self.thinking, thinking),
        ] {
            if let Some(told) = told.and_then(count_of) {
                *count = told;
            }
        }
    }

    pub(super) fn usage(self) -> Usage {
        let usage = Usage {
            input_tokens: self.uncached_input.saturating_add(self.cache_read).saturating_add(self.cache_write),
            cached_input_tokens: self.cache_read,
            cache_write_tokens: self.cache_write,
            output_tokens: self.output,
            reasoning_tokens: self.thinking,
        };
        usage.bounded()
    }
}

/// The usage of a whole answer.
pub(super) fn read(usage: &Value) -> Usage {
    let mut counts = Counts::default();
    counts.merge(usage);
    counts.usage()
}

/// A count, however large it is told. `as` saturates.
pub(super) fn count_of(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_f64().filter(|number| *number >= 0.0).map(|number| number as u64))
}

/// As a `usage` object. What is unknown is 0, for clients demand the field.
pub(super) fn write(usage: Option<Usage>) -> Value {
    let usage = usage.unwrap_or_default().bounded();
    let uncached_input = usage.input_tokens - usage.cached_input_tokens - usage.cache_write_tokens;
    let mut fields = Map::new();
    fields.insert("input_tokens".to_owned(), uncached_input.into());
    fields.insert("cache_creation_input_tokens".to_owned(), usage.cache_write_tokens.into());
    fields.insert("cache_read_input_tokens".to_owned(), usage.cached_input_tokens.into());
    fields.insert("output_tokens".to_owned(), usage.output_tokens.into());
    if usage.reasoning_tokens > 0 {
        let details = json!({ "thinking_tokens": usage.reasoning_tokens });
        fields.insert("output_tokens_details".to_owned(), details);
    }
    Value::Object(fields)
}
