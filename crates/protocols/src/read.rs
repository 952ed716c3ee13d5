//! Reading JSON from outside: objects field by field, so that nothing is overlooked, and errors that name the place.

use plasma_kernel::{Error, Result};
use serde_json::{Map, Value};

use crate::Losses;

/// An answer of a provider that is not one.
#[derive(Clone, Debug, PartialEq)]
pub enum Wrong {
    /// It does not follow the protocol: what is wrong, for a person.
    Malformed(String),
    /// It is an error that the provider tells.
    Told(Told),
}

impl Wrong {
    /// It does not follow the protocol.
    pub fn malformed(what: impl Into<String>) -> Self {
        Self::Malformed(what.into())
    }
}

/// An error as a provider tells it. Any of it may be missing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// The HTTP status, where the error itself says one.
    pub status: Option<u16>,
    /// The provider's words for the class: its code and type together.
    pub kind: String,
    /// What is wrong, for a person.
    pub message: String,
    /// The field at fault.
    pub param: Option<String>,
}

/// The fields of a JSON object of a request, taken out one by one. What is left at the end was not understood:
/// [`Fields::finish`] notes it as lost. Null counts as absent, as all these protocols have it.
#[derive(Debug)]
pub struct Fields {
    place: String,
    map: Map<String, Value>,
}

impl Fields {
    /// The fields of `value`, which stands at `place` (empty for the body itself).
    ///
    /// # Errors
    /// `invalid` when it is not an object.
    pub fn of(value: Value, place: impl Into<String>) -> Result<Self> {
        let place = place.into();
        match value {
            Value::Object(map) => Ok(Self { place, map }),
            other => {
                let field = if place.is_empty() { "body".to_owned() } else { place };
                Err(Error::invalid(field, format!("must be an object, not {}", kind_of(&other))))
            }
        }
    }

    /// Where the field `name` stands, such as `messages[2].content`.
    pub fn place(&self, name: &str) -> String {
        if self.place.is_empty() { name.to_owned() } else { format!("{}.{name}", self.place) }
    }

    /// The value of a field, null counting as absent.
    pub fn take(&mut self, name: &str) -> Option<Value> {
        self.map.remove(name).filter(|value| !value.is_null())
    }

    /// Whether the field is there and not null.
    pub fn has(&self, name: &str) -> bool {
        self.map.get(name).is_some_and(|value| !value.is_null())
    }

    /// A field that must be there.
    ///
    /// # Errors
    /// `invalid` naming it.
    pub fn need<T>(&self, name: &str, value: Option<T>) -> Result<T> {
        value.ok_or_else(|| Error::invalid(self.place(name), "is missing"))
    }

    fn typed<T>(&mut self, name: &str, what: &str, read: impl FnOnce(Value) -> Option<T>) -> Result<Option<T>> {
        let Some(value) = self.take(name) else { return Ok(None) };
        let kind = kind_of(&value);
        match read(value) {
            Some(value) => Ok(Some(value)),
            None => Err(Error::invalid(self.place(name), format!("must be {what}, not {kind}"))),
        }
    }

    /// A text.
    ///
    /// # Errors
    /// `invalid` naming the field when it is something else. So for the other kinds below.
    pub fn text(&mut self, name: &str) -> Result<Option<String>> {
        self.typed(name, "a text", |value| match value {
            Value::String(text) => Some(text),
            _ => None,
        })
    }

    /// A number.
    pub fn number(&mut self, name: &str) -> Result<Option<f64>> {
        self.typed(name, "a number", |value| value.as_f64())
    }

    /// A whole number that is not negative.
    pub fn count(&mut self, name: &str) -> Result<Option<u64>> {
        self.typed(name, "a whole number", |value| value.as_u64())
    }

    /// A whole number.
    pub fn integer(&mut self, name: &str) -> Result<Option<i64>> {
        self.typed(name, "a whole number", |value| value.as_i64())
    }

    /// True or false.
    pub fn flag(&mut self, name: &str) -> Result<Option<bool>> {
        self.typed(name, "true or false", |value| value.as_bool())
    }

    /// A list; absent and empty are the same.
    pub fn list(&mut self, name: &str) -> Result<Vec<Value>> {
        let list = self.typed(name, "a list", |value| match value {
            Value::Array(list) => Some(list),
            _ => None,
        })?;
        Ok(list.unwrap_or_default())
    }

    /// A list of texts, or one text.
    pub fn texts(&mut self, name: &str) -> Result<Vec<String>> {
        let texts = self.typed(name, "a text or a list of texts", |value| match value {
            Value::String(text) => Some(vec![text]),
            Value::Array(list) => list
                .into_iter()
                .map(|item| match item {
                    Value::String(text) => Some(text),
                    _ => None,
                })
                .collect(),
            _ => None,
        })?;
        Ok(texts.unwrap_or_default())
    }

    /// An object's fields.
    pub fn object(&mut self, name: &str) -> Result<Option<Fields>> {
        let place = self.place(name);
        self.take(name).map(|value| Fields::of(value, place)).transpose()
    }

    /// Notes every field that was not taken as lost, because `why`.
    pub fn finish(self, why: &str, losses: &mut Losses) {
        for (name, value) in &self.map {
            if !value.is_null() {
                losses.note(self.place(name), why);
            }
        }
    }
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
