//! Types that a collection declares for fields of its documents' metadata.

use std::collections::BTreeMap;

use plasma_kernel::{Error, Result};
use serde::{Deserialize, Serialize};

use super::{Metadata, MetadataTime, MetadataValue, check_name};
use crate::limits;

/// The declared fields of a collection, by name: at most 64.
pub type FieldDeclarations = BTreeMap<String, FieldDeclaration>;

/// What a collection says of a metadata field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FieldDeclaration {
    /// What its values are. Documents with another value are refused.
    #[serde(rename = "type")]
    pub kind: FieldType,
}

/// What the values of a metadata field are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum FieldType {
    /// Text.
    String,
    /// A number.
    Number,
    /// Yes or no.
    Bool,
    /// A point in time, as RFC 3339 writes it: also as a plain text.
    Time,
    /// Texts, numbers and booleans.
    List,
    /// A place on earth.
    Geo,
}

impl FieldType {
    /// What a value of the type looks like, for a person.
    fn described(self) -> &'static str {
        match self {
            Self::String => "a text",
            Self::Number => "a number",
            Self::Bool => "true or false",
            Self::Time => "a time such as 2026-01-02T03:04:05Z",
            Self::List => "a list",
            Self::Geo => "a place {\"lat\": …, \"lon\": …}",
        }
    }
}

/// Refuses declarations over a limit, naming the field.
pub(crate) fn check_declarations(fields: &FieldDeclarations) -> Result<()> {
    if fields.len() > limits::DECLARED_FIELDS_MAX {
        let message = format!("has {} fields; at most {} are declared", fields.len(), limits::DECLARED_FIELDS_MAX);
        return Err(Error::too_large("fields", message));
    }
    fields.keys().try_for_each(|name| check_name("fields", name))
}

/// Gives declared fields their type: a text in a field of times becomes a time.
///
/// # Errors
/// `invalid` naming the field, what the collection expects there, and what it got.
pub(crate) fn conform(metadata: &mut Metadata, fields: &FieldDeclarations) -> Result<()> {
    for (name, value) in metadata {
        let Some(declared) = fields.get(name) else { continue };
        let time = match value {
            MetadataValue::Text(text) if declared.kind == FieldType::Time => MetadataTime::parse(text),
            _ => None,
        };
        if let Some(time) = time {
            *value = MetadataValue::Time(time);
        }
        let fits = matches!(
            (declared.kind, &*value),
            (FieldType::String, MetadataValue::Text(_))
                | (FieldType::Number, MetadataValue::Integer(_) | MetadataValue::Float(_))
                | (FieldType::Bool, MetadataValue::Bool(_))
                | (FieldType::Time, MetadataValue::Time(_))
                | (FieldType::List, MetadataValue::List(_))
                | (FieldType::Geo, MetadataValue::Geo(_))
        );
        if !fits {
            let message = format!(
                "must be {}, as the collection declares it; it is {}",
                declared.kind.described(),
                value.described()
            );
            return Err(Error::invalid(format!("metadata.{name}"), message)
                .remedy("send the declared type, or change the collection's `fields`"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn declared() -> FieldDeclarations {
        serde_json::from_str(
            r#"{"published": {"type": "time"}, "tags": {"type": "list"}, "price": {"type": "number"},
                "office": {"type": "geo"}, "team": {"type": "string"}, "draft": {"type": "bool"}}"#,
        )
        .unwrap()
    }

    fn conformed(json: &str) -> Result<Metadata> {
        let mut metadata: Metadata = serde_json::from_str(json).unwrap();
        conform(&mut metadata, &declared()).map(|()| metadata)
    }

    #[test]
    fn declared_fields_have_their_type_and_others_keep_theirs() {
        let json = r#"{"published": "2026-01-02T04:04:05+01:00", "tags": ["a", 1], "price": 2, "other": "2026-01-02T03:04:05Z",
                       "office": {"lat": 48.1, "lon": 11.6}, "team": "legal", "draft": false}"#;
        let metadata = conformed(json).unwrap();
        assert_eq!(serde_json::to_string(&metadata["published"]).unwrap(), r#"{"time":"2026-01-02T03:04:05Z"}"#);
        assert_eq!(metadata["other"], MetadataValue::Text("2026-01-02T03:04:05Z".to_owned()));
    }

    #[test]
    fn a_wrong_type_is_named_with_what_was_expected() {
        let error = conformed(r#"{"published": "yesterday"}"#).unwrap_err();
        assert_eq!(error.field_name(), Some("metadata.published"));
        assert!(error.message().contains("a time such as") && error.message().contains("it is a text"), "{error}");
        for json in
            [r#"{"tags": "a"}"#, r#"{"price": "2"}"#, r#"{"office": [1, 2]}"#, r#"{"team": 1}"#, r#"{"draft": 0}"#]
        {
            assert!(conformed(json).is_err(), "{json}");
        }
    }

    #[test]
    fn declarations_have_limits() {
        let one = FieldDeclaration { kind: FieldType::Time };
        let many: FieldDeclarations = (0..65).map(|number| (format!("f{number}"), one)).collect();
        assert_eq!(check_declarations(&many).unwrap_err().field_name(), Some("fields"));
        assert!(check_declarations(&FieldDeclarations::from([("$title".to_owned(), one)])).is_err());
        assert!(serde_json::from_str::<FieldDeclarations>(r#"{"a": {"type": "date"}}"#).is_err());
        assert!(serde_json::from_str::<FieldDeclarations>(r#"{"a": {"type": "time", "zone": 1}}"#).is_err());
    }
}
