use std::borrow::Cow;

use plasma_kernel::{Error, Result};
use serde_json::Value;

use crate::{Fields, Losses};

/// The fields of an object in `ProtoJSON`: names in lowerCamelCase or in snake_case, whole numbers also as texts. Asked by
/// their lowerCamelCase names; errors and losses name them as the caller wrote them.
pub(super) struct ProtoFields(Fields);

impl ProtoFields {
    pub(super) fn of(value: Value, place: impl Into<String>) -> Result<Self> {
        Fields::of(value, place).map(Self)
    }

    fn spelled<'a>(&self, name: &'a str) -> Cow<'a, str> {
        if !self.0.has(name) {
            let snake = snake_case(name);
            if self.0.has(&snake) {
                return Cow::Owned(snake);
            }
        }
        Cow::Borrowed(name)
    }

    pub(super) fn place(&self, name: &str) -> String {
        self.0.place(&self.spelled(name))
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.0.has(&self.spelled(name))
    }

    pub(super) fn take(&mut self, name: &str) -> Option<Value> {
        self.0.take(&self.spelled(name))
    }

    pub(super) fn need<T>(&self, name: &str, value: Option<T>) -> Result<T> {
        self.0.need(name, value)
    }

    pub(super) fn text(&mut self, name: &str) -> Result<Option<String>> {
        self.0.text(&self.spelled(name))
    }

    /// An enum's word in upper case; an unspecified one counts as absent.
    pub(super) fn word(&mut self, name: &str) -> Result<Option<String>> {
        let word = self.text(name)?.map(|word| word.to_ascii_uppercase());
        Ok(word.filter(|word| !word.is_empty() && !word.ends_with("_UNSPECIFIED")))
    }

    pub(super) fn number(&mut self, name: &str) -> Result<Option<f64>> {
        self.0.number(&self.spelled(name))
    }

    pub(super) fn flag(&mut self, name: &str) -> Result<Option<bool>> {
        self.0.flag(&self.spelled(name))
    }

    pub(super) fn texts(&mut self, name: &str) -> Result<Vec<String>> {
        self.0.texts(&self.spelled(name))
    }

    pub(super) fn integer(&mut self, name: &str) -> Result<Option<i64>> {
        let place = self.place(name);
        let Some(value) = self.take(name) else { return Ok(None) };
        match integer(&value) {
            Some(number) => Ok(Some(number)),
            None => Err(Error::invalid(place, "must be a whole number")),
        }
    }

    pub(super) fn count(&mut self, name: &str) -> Result<Option<u64>> {
        let place = self.place(name);
        let number = self.integer(name)?;
        number
            .map(|number| u64::try_from(number).map_err(|_| Error::invalid(place, "must not be negative")))
            .transpose()
    }

    pub(super) fn object(&mut self, name: &str) -> Result<Option<Self>> {
        let place = self.place(name);
        self.take(name).map(|value| Self::of(value, place)).transpose()
    }

    /// The items of a list, each with its place. One item alone counts as a list of it.
    pub(super) fn items(&mut self, name: &str) -> Vec<(String, Value)> {
        let place = self.place(name);
        match self.take(name) {
            None => Vec::new(),
            Some(Value::Array(list)) => {
                list.into_iter().enumerate().map(|(number, item)| (format!("{place}[{number}]"), item)).collect()
            }
            Some(item) => vec![(place, item)],
        }
    }

    /// Notes every field that was not taken as lost.
    pub(super) fn finish(self, losses: &mut Losses) {
        self.0.finish("has no counterpart outside of Gemini", losses);
    }
}

/// A whole number, however `ProtoJSON` writes it: 7, 7.0 or "7".
pub(super) fn integer(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => number.as_i64().or_else(|| {
            let number = number.as_f64().filter(|number| number.fract() == 0.0 && number.abs() < 9e15)?;
            Some(number as i64)
        }),
        Value::String(text) => text.parse().ok(),
        _ => None,
    }
}

/// `maxItems` to `max_items`.
pub(super) fn snake_case(name: &str) -> String {
    let mut snake = String::with_capacity(name.len() + 4);
    for letter in name.chars() {
        if letter.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    snake
}

/// `max_items` to `maxItems`; a name that begins with `_` or holds none stays.
pub(super) fn camel_case(name: &str) -> String {
    let mut camel = String::with_capacity(name.len());
    let mut is_word_start = false;
    for letter in name.chars() {
        if letter == '_' && !camel.is_empty() {
            is_word_start = true;
        } else if std::mem::take(&mut is_word_start) {
            camel.push(letter.to_ascii_uppercase());
        } else {
            camel.push(letter);
        }
    }
    camel
}
