//! Conditions on metadata: every one must hold.

use std::collections::BTreeSet;

use plasma_kernel::{Error, Result};
use serde::Deserialize as _;
use serde_json::{Map, Value};

use crate::{Metadata, MetadataValue, limits};

/// Conditions on documents' metadata.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Filter {
    fields: Vec<(String, Condition)>,
}

#[derive(Clone, Debug, PartialEq)]
enum Condition {
    Equals(MetadataValue),
    In(Vec<MetadataValue>),
    /// Bounds that belong to the range; a value that is no number is outside.
    Range {
        gte: Option<f64>,
        lte: Option<f64>,
    },
}

impl Filter {
    /// Reads a filter: `{"team": "legal", "year": {"gte": 2024, "lte": 2026}, "language": {"in": ["en", "de"]}}`.
    ///
    /// # Errors
    /// `invalid` with the path of the place.
    pub(crate) fn parse(filter: &Map<String, Value>) -> Result<Self> {
        if filter.len() > limits::METADATA_FIELDS_MAX {
            return Err(Error::invalid("filter", format!("has more than {} fields", limits::METADATA_FIELDS_MAX)));
        }
        let fields = filter
            .iter()
            .map(|(name, condition)| Ok((name.clone(), parse_condition(name, condition)?)))
            .collect::<Result<_>>()?;
        Ok(Self { fields })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    pub(crate) fn accepts(&self, metadata: &Metadata) -> bool {
        self.fields.iter().all(|(name, condition)| metadata.get(name).is_some_and(|value| condition.accepts(value)))
    }

    /// Names that no document has, as a mistyped one would be.
    pub(crate) fn unknown_names<'a>(&'a self, known: &BTreeSet<&str>) -> Vec<&'a str> {
        self.fields.iter().map(|(name, _)| name.as_str()).filter(|name| !known.contains(name)).collect()
    }
}

impl Condition {
    fn accepts(&self, value: &MetadataValue) -> bool {
        match self {
            Self::Equals(expected) => value.equals(expected),
            Self::In(expected) => expected.iter().any(|expected| value.equals(expected)),
            Self::Range { gte, lte } => value
                .as_number()
                .is_some_and(|number| gte.is_none_or(|gte| number >= gte) && lte.is_none_or(|lte| number <= lte)),
        }
    }
}

fn path(name: &str) -> String {
    // A name is the caller's own and may be long.
    format!("filter.{}", name.chars().take(limits::METADATA_NAME_CHARS_MAX).collect::<String>())
}

fn parse_value(path: String, value: &Value) -> Result<MetadataValue> {
    MetadataValue::deserialize(value).map_err(|_| {
        Error::invalid(path, "must be a text, a number, true or false")
            .remedy("write {\"in\": […]} for several values, {\"gte\": n, \"lte\": n} for a range")
    })
}

fn parse_condition(name: &str, condition: &Value) -> Result<Condition> {
    let Value::Object(operators) = condition else {
        return parse_value(path(name), condition).map(Condition::Equals);
    };
    if operators.is_empty() {
        return Err(Error::invalid(path(name), "has no operator; known are `in`, `gte` and `lte`"));
    }
    let mut range = (None, None);
    for (operator, operand) in operators {
        let place = || format!("{}.{}", path(name), operator.chars().take(40).collect::<String>());
        match operator.as_str() {
            "in" if operators.len() == 1 => return parse_in(&place(), operand),
            "in" => return Err(Error::invalid(place(), "cannot stand beside another operator")),
            "gte" => range.0 = Some(parse_bound(place(), operand)?),
            "lte" => range.1 = Some(parse_bound(place(), operand)?),
            _ => return Err(Error::invalid(place(), "is not an operator; known are `in`, `gte` and `lte`")),
        }
    }
    Ok(Condition::Range { gte: range.0, lte: range.1 })
}

fn parse_in(place: &str, operand: &Value) -> Result<Condition> {
    let Value::Array(values) = operand else { return Err(Error::invalid(place, "must be a list of values")) };
    if values.is_empty() || values.len() > limits::FILTER_VALUES_MAX {
        return Err(Error::invalid(place, format!("must have 1 to {} values", limits::FILTER_VALUES_MAX)));
    }
    let values = values
        .iter()
        .enumerate()
        .map(|(index, value)| parse_value(format!("{place}[{index}]"), value))
        .collect::<Result<_>>()?;
    Ok(Condition::In(values))
}

fn parse_bound(place: String, operand: &Value) -> Result<f64> {
    operand.as_f64().ok_or_else(|| Error::invalid(place, "must be a number"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn filter(json: Value) -> Result<Filter> {
        Filter::parse(json.as_object().unwrap())
    }

    fn metadata(json: Value) -> Metadata {
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn every_condition_must_hold() {
        let filter = filter(json!({
            "team": "legal", "year": {"gte": 2024, "lte": 2026}, "language": {"in": ["en", "de"]}, "public": true
        }))
        .unwrap();
        let fits = json!({"team": "legal", "year": 2026, "language": "de", "public": true, "more": 1});
        assert!(filter.accepts(&metadata(fits.clone())));
        let others =
            [("team", json!("sales")), ("year", json!(2027)), ("year", json!("2025")), ("language", json!("fr"))];
        for (name, value) in others {
            let mut changed = fits.clone();
            changed[name] = value;
            assert!(!filter.accepts(&metadata(changed)), "{name}");
        }
        let mut without = fits;
        without.as_object_mut().unwrap().remove("public");
        assert!(!filter.accepts(&metadata(without)));
    }

    #[test]
    fn mistakes_are_named_with_their_place() {
        let field = |json: Value| filter(json).unwrap_err().field_name().unwrap().to_owned();
        assert_eq!(field(json!({"year": {"gt": 5}})), "filter.year.gt");
        assert_eq!(field(json!({"year": {"gte": "5"}})), "filter.year.gte");
        assert_eq!(field(json!({"year": {"gte": 5, "in": [5]}})), "filter.year.in");
        assert_eq!(field(json!({"team": {"in": []}})), "filter.team.in");
        assert_eq!(field(json!({"team": {"in": ["a", null]}})), "filter.team.in[1]");
        assert_eq!(field(json!({"team": ["a"]})), "filter.team");
        assert_eq!(field(json!({"team": {}})), "filter.team");
        let many: Map<String, Value> = (0..33).map(|number| (number.to_string(), json!(1))).collect();
        assert_eq!(field(Value::Object(many)), "filter");
    }
}
