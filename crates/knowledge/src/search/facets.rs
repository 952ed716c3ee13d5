//! Facets: how many of the documents that a search concerns have each value of a metadata field.

use std::collections::HashMap;

use plasma_kernel::{Error, Result};
use serde::Serialize;
use serde_json::Value;

use crate::{Metadata, limits};

/// The values of a metadata field, counted over documents.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Facet {
    /// The field.
    pub field: String,
    /// Its values, the most frequent ones first; at most 100.
    pub values: Vec<FacetValue>,
    /// Different values that are not shown.
    pub values_left_out: u64,
    /// Documents that do not have the field.
    pub missing: u64,
}

/// How often a value occurs.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct FacetValue {
    /// As a filter takes it: a text, a number, true or false. Of a list, each of its elements.
    #[schema(value_type = Value)]
    pub value: Value,
    /// Documents that have it: exact, over all documents that the search concerns and not only those of its results.
    pub count: u64,
}

/// Checks the fields whose values are to be counted.
///
/// # Errors
/// `invalid` or `too_large` naming the place.
pub(crate) fn check(fields: &[String]) -> Result<()> {
    if fields.len() > limits::FACETS_MAX {
        return Err(Error::too_large("facets", format!("has more than {} fields", limits::FACETS_MAX)));
    }
    for (place, field) in fields.iter().enumerate() {
        if field.is_empty() || field.chars().count() > limits::METADATA_NAME_CHARS_MAX {
            return Err(Error::invalid(
                format!("facets.{place}"),
                format!("must have 1 to {} characters", limits::METADATA_NAME_CHARS_MAX),
            ));
        }
        if fields.iter().take(place).any(|other| other == field) {
            return Err(Error::invalid(format!("facets.{place}"), "is asked for twice"));
        }
    }
    Ok(())
}

/// Values of one field by their JSON text.
#[derive(Default)]
struct Counter {
    values: HashMap<String, FacetValue>,
    missing: u64,
}

impl Counter {
    fn count(&mut self, value: Value) {
        match value {
            // A document counts once for each of its different values.
            Value::Array(elements) => {
                let mut counted: Vec<Value> = Vec::with_capacity(elements.len());
                for element in elements {
                    if !counted.contains(&element) {
                        counted.push(element);
                    }
                }
                counted.into_iter().for_each(|element| self.count_one(element));
            }
            value => self.count_one(value),
        }
    }

    fn count_one(&mut self, value: Value) {
        // 1 and 1.0 are one value for filters.
        let value = match value.as_f64().filter(|_| value.is_f64()) {
            #[allow(clippy::cast_possible_truncation)] // exact: it has no fraction, and is far below 2^63
            Some(number) if number.fract() == 0.0 && number.abs() < 9e15 => Value::from(number as i64),
            _ => value,
        };
        self.values.entry(value.to_string()).or_insert(FacetValue { value, count: 0 }).count += 1;
    }

    fn finish(self, field: &str) -> Facet {
        let mut values: Vec<(String, FacetValue)> = self.values.into_iter().collect();
        values.sort_by(|left, right| right.1.count.cmp(&left.1.count).then_with(|| left.0.cmp(&right.0)));
        let values_left_out = values.len().saturating_sub(limits::FACET_VALUES_MAX) as u64;
        values.truncate(limits::FACET_VALUES_MAX);
        let values = values.into_iter().map(|(_, value)| value).collect();
        Facet { field: field.to_owned(), values, values_left_out, missing: self.missing }
    }
}

/// Counts the values of `fields` over documents.
pub(crate) fn count<'a>(fields: &[String], documents: impl Iterator<Item = &'a Metadata>) -> Vec<Facet> {
    let mut counters: Vec<Counter> = fields.iter().map(|_| Counter::default()).collect();
    for metadata in documents {
        for (field, counter) in fields.iter().zip(&mut counters) {
            match metadata.get(field).and_then(|value| serde_json::to_value(value).ok()) {
                Some(value) => counter.count(value),
                None => counter.missing += 1,
            }
        }
    }
    fields.iter().zip(counters).map(|(field, counter)| counter.finish(field)).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn metadata(json: Value) -> Metadata {
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn every_document_counts_once_for_each_value() {
        let documents = [
            metadata(json!({"team": "legal", "year": 2024})),
            metadata(json!({"team": "legal", "year": 2024.0})),
            metadata(json!({"team": "people", "draft": true})),
        ];
        let fields = ["team".to_owned(), "year".to_owned(), "nothing".to_owned()];
        let facets = count(&fields, documents.iter());
        let value = |value: Value, count: u64| FacetValue { value, count };
        assert_eq!(facets[0].values, [value(json!("legal"), 2), value(json!("people"), 1)]);
        assert_eq!((facets[1].values.as_slice(), facets[1].missing), ([value(json!(2024), 2)].as_slice(), 1));
        assert_eq!((facets[2].values.len(), facets[2].missing), (0, 3));
    }

    #[test]
    fn lists_count_their_different_elements() {
        let mut counter = Counter::default();
        counter.count(json!(["a", "b", "a"]));
        counter.count(json!(["a"]));
        let facet = counter.finish("tags");
        let counts: Vec<u64> = facet.values.iter().map(|value| value.count).collect();
        assert_eq!(counts, [2, 1]);
    }

    #[test]
    fn many_values_are_cut_at_the_least_frequent() {
        let documents: Vec<Metadata> = (0..150).map(|number| metadata(json!({"n": number}))).collect();
        let facets = count(&["n".to_owned()], documents.iter());
        assert_eq!((facets[0].values.len(), facets[0].values_left_out), (100, 50));
    }

    #[test]
    fn wrong_fields_name_their_place() {
        let field = |fields: &[&str]| {
            let fields: Vec<String> = fields.iter().map(|field| (*field).to_owned()).collect();
            check(&fields).err().and_then(|error| error.field_name().map(str::to_owned))
        };
        assert_eq!(field(&["team", "year"]), None);
        assert_eq!(field(&["team", "team"]).as_deref(), Some("facets.1"));
        assert_eq!(field(&[""]).as_deref(), Some("facets.0"));
        assert_eq!(field(&["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k"]).as_deref(), Some("facets"));
    }
}
