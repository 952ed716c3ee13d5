use std::{collections::BTreeMap, fmt};

use plasma_kernel::{Error, Result};
use serde::{Deserialize, Deserializer, Serialize, de};

use crate::limits;

/// A document's own fields, by name: at most 32.
pub type Metadata = BTreeMap<String, MetadataValue>;

/// The value of a metadata field.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
#[serde(untagged)]
pub enum MetadataValue {
    /// At most 1,000 characters.
    Text(String),
    /// A whole number of 64 bits.
    Integer(i64),
    /// Any other number, as a 64-bit float.
    Float(f64),
    /// Yes or no.
    Bool(bool),
}

impl MetadataValue {
    /// Equality as filters mean it: of the same type, and `1` equals `1.0`.
    pub(crate) fn equals(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Integer(_), Self::Float(_)) | (Self::Float(_), Self::Integer(_)) => {
                self.as_number() == other.as_number()
            }
            _ => self == other,
        }
    }

    pub(crate) fn as_number(&self) -> Option<f64> {
        match self {
            #[allow(clippy::cast_precision_loss)] // beyond 2^53 neighbors are equal, as in every JSON program
            Self::Integer(number) => Some(*number as f64),
            Self::Float(number) => Some(*number),
            Self::Text(_) | Self::Bool(_) => None,
        }
    }
}

impl<'de> Deserialize<'de> for MetadataValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl de::Visitor<'_> for ValueVisitor {
    type Value = MetadataValue;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a text, a number, true or false")
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<MetadataValue, E> {
        Ok(MetadataValue::Bool(value))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<MetadataValue, E> {
        Ok(MetadataValue::Integer(value))
    }

    #[allow(clippy::cast_precision_loss)] // such numbers are rounded, as in every JSON program
    fn visit_u64<E: de::Error>(self, value: u64) -> Result<MetadataValue, E> {
        Ok(i64::try_from(value).map_or(MetadataValue::Float(value as f64), MetadataValue::Integer))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<MetadataValue, E> {
        Ok(MetadataValue::Float(value))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<MetadataValue, E> {
        Ok(MetadataValue::Text(value.to_owned()))
    }
}

/// Refuses metadata over a limit, naming the field.
pub(crate) fn check(metadata: &Metadata) -> Result<()> {
    if metadata.len() > limits::METADATA_FIELDS_MAX {
        return Err(Error::invalid(
            "metadata",
            format!("has {} fields; at most {} are kept", metadata.len(), limits::METADATA_FIELDS_MAX),
        ));
    }
    for (name, value) in metadata {
        if name.is_empty()
            || name.chars().count() > limits::METADATA_NAME_CHARS_MAX
            || name.chars().any(char::is_control)
        {
            return Err(Error::invalid(
                "metadata",
                format!(
                    "a field's name must have 1 to {} characters and no control characters",
                    limits::METADATA_NAME_CHARS_MAX
                ),
            ));
        }
        if let MetadataValue::Text(text) = value {
            check_text(text).map_err(|message| Error::invalid(format!("metadata.{name}"), message))?;
        }
    }
    Ok(())
}

fn check_text(text: &str) -> Result<(), String> {
    if text.chars().count() > limits::METADATA_TEXT_CHARS_MAX {
        return Err(format!("is longer than {} characters", limits::METADATA_TEXT_CHARS_MAX));
    }
    // Postgres stores no NUL in text.
    if text.contains('\0') { Err("contains a NUL character".to_owned()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_keep_their_type_and_form() {
        let json = r#"{"draft":false,"price":2.5,"team":"legal","year":2026}"#;
        let metadata: Metadata = serde_json::from_str(json).unwrap();
        check(&metadata).unwrap();
        assert_eq!(serde_json::to_string(&metadata).unwrap(), json);
        assert!(serde_json::from_str::<Metadata>(r#"{"a":null}"#).is_err());
        assert!(serde_json::from_str::<Metadata>(r#"{"a":["b"]}"#).is_err());
    }

    #[test]
    fn equality_is_typed() {
        let value = |json: &str| serde_json::from_str::<MetadataValue>(json).unwrap();
        assert!(value("1").equals(&value("1.0")));
        assert!(!value("1").equals(&value("\"1\"")));
        assert!(!value("1").equals(&value("true")));
        assert!(value("9007199254740993").equals(&value("9007199254740993")));
    }

    #[test]
    fn limits_name_the_field() {
        let long = Metadata::from([("summary".to_owned(), MetadataValue::Text("x".repeat(1_001)))]);
        assert_eq!(check(&long).unwrap_err().field_name(), Some("metadata.summary"));
        let many: Metadata = (0..33).map(|number| (number.to_string(), MetadataValue::Bool(true))).collect();
        assert_eq!(check(&many).unwrap_err().field_name(), Some("metadata"));
    }
}
