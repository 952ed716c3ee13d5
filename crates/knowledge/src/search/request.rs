//! What a search is asked for, and whether it can be.

use std::sync::Arc;

use plasma_kernel::{Code, Error, Result, UserId};
use serde::{Deserialize, Serialize};

use super::{
    settings::{FusionSettings, PopularitySettings, RecencySettings, RerankSettings},
    words::{Boosts, TypoTolerance},
};
use crate::{embedding, limits};

const RESULTS_DEFAULT: u32 = 10;

/// A search of one collection.
#[derive(Clone, Debug, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SearchRequest {
    /// The collection's id or exact name.
    pub collection: String,
    /// What is looked for, in plain words; "quoted words" count more where they stand together, `word*` stands for all words that
    /// begin so, `-word` must not be there, `+word` must. At most 8,000 characters. It may be absent in the mode `vector` when there
    /// is a `vector`.
    #[serde(default)]
    pub query: String,
    /// The query's vector, from the collection's embedding model, where the caller has it already: then the query is not embedded.
    /// Its length does not matter. Not for the mode `text`.
    #[serde(default)]
    pub vector: Option<Vec<f32>>,
    /// Results at most: 1 to 100, 10 when absent.
    #[serde(default)]
    #[schema(minimum = 1, maximum = 100)]
    pub limit: Option<u32>,
    /// Conditions on the documents' metadata, all of which must hold: a value, or `in`, `ne`, `gte`, `gt`, `lte`, `lt`, `exists`,
    /// `contains_all`, `contains_any`, `prefix`, `near`, `box`; joined by `and`, `or` and `not`. The document's own fields are
    /// `$title`, `$created_at`, `$updated_at` and `$document_id`.
    #[serde(default)]
    #[schema(
        value_type = Option<Object>,
        example = json!({"team": "legal", "year": {"gte": 2024}, "or": [{"tags": "tax"}, {"not": {"draft": true}}]})
    )]
    pub filter: Option<serde_json::Map<String, serde_json::Value>>,
    /// How passages are ranked; `hybrid` when absent.
    #[serde(default)]
    pub mode: Option<SearchMode>,
    /// How much a word counts by where it stands.
    #[serde(default)]
    pub boosts: Option<Boosts>,
    /// When words near to a typed one are looked for as well; `auto` when absent.
    #[serde(default)]
    pub typo: Option<TypoTolerance>,
    /// Metadata fields whose values are counted over all documents that the search concerns: those that the filter lets through and,
    /// in the modes `text` and `hybrid`, that have a passage with a word of the query. At most 10.
    #[serde(default)]
    #[schema(example = json!(["team"]))]
    pub facets: Option<Vec<String>>,
    /// The query is a text that nobody typed as a query, such as a question: signs in it mean nothing. Not part of the API.
    #[serde(skip_deserializing)]
    pub plain: bool,
    /// Search exactly as this person would, with the documents that they may see. Needs `documents:read_all`.
    #[serde(default)]
    pub on_behalf_of: Option<UserId>,
    /// How the ranking by meaning and the ranking by words become one. What it and the fields below leave out is as the
    /// collection's `ranking` says.
    #[serde(default)]
    pub fusion: Option<FusionSettings>,
    /// A model that reads the best candidates again.
    #[serde(default)]
    pub rerank: Option<RerankSettings>,
    /// Whether near-identical passages are folded into the best of them; true when nobody says otherwise.
    #[serde(default)]
    pub deduplicate: Option<bool>,
    /// How much results shall differ from each other: 0 (not at all) to 1 (only that counts).
    #[serde(default)]
    #[schema(minimum = 0, maximum = 1)]
    pub diversity: Option<f64>,
    /// Results of one document at most: 1 to 100.
    #[serde(default)]
    #[schema(minimum = 1, maximum = 100)]
    pub per_document: Option<u32>,
    /// Newer documents count more.
    #[serde(default)]
    pub recency: Option<RecencySettings>,
    /// Documents with a larger number count more.
    #[serde(default)]
    pub popularity: Option<PopularitySettings>,
    /// Whether each result tells every part of its score, and the answer what was looked at.
    #[serde(default)]
    pub explain: bool,
}

/// How passages are ranked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SearchMode {
    /// By meaning and by words, fused into one ranking.
    #[default]
    Hybrid,
    /// By meaning only.
    Vector,
    /// By words only.
    Text,
}

/// What was checked of a request.
#[derive(Clone, Debug)]
pub(super) struct Checked {
    pub(super) mode: SearchMode,
    /// 1 to 100.
    pub(super) limit: usize,
    /// The caller's vector, of length 1.
    pub(super) vector: Option<Arc<[f32]>>,
}

impl SearchRequest {
    /// Checks what does not need the collection.
    ///
    /// # Errors
    /// `invalid` or `too_large` naming the field.
    pub(super) fn check(&self) -> Result<Checked> {
        let mode = self.mode.unwrap_or_default();
        let vector = self.vector.as_deref().map(checked_vector).transpose()?;
        if mode == SearchMode::Text && vector.is_some() {
            return Err(Error::invalid("vector", "is of no use in the mode `text`")
                .remedy("leave it out, or choose the mode `hybrid` or `vector`"));
        }
        // Bytes first: counting the characters of a very long text takes long.
        if self.query.len() > 4 * limits::QUERY_CHARS_MAX || self.query.chars().count() > limits::QUERY_CHARS_MAX {
            let message = format!("must have at most {} characters", limits::QUERY_CHARS_MAX);
            return Err(Error::too_large("query", message)
                .remedy("search for what matters of it; a whole text can be compared by its `vector`"));
        }
        if self.query.trim().is_empty() && !(mode == SearchMode::Vector && vector.is_some()) {
            return Err(Error::invalid("query", "must not be empty")
                .remedy("write what you look for, or give a `vector` in the mode `vector`"));
        }
        let limit = self.limit.unwrap_or(RESULTS_DEFAULT);
        if !(1..=limits::RESULTS_MAX).contains(&limit) {
            return Err(Error::invalid("limit", format!("must be 1 to {}, got {limit}", limits::RESULTS_MAX))
                .remedy("ask for fewer results; more than 100 are better taken from a narrower search"));
        }
        Ok(Checked { mode, limit: usize::try_from(limit).unwrap_or(1), vector })
    }
}

/// A caller's vector, brought to length 1.
fn checked_vector(vector: &[f32]) -> Result<Arc<[f32]>> {
    if vector.is_empty() || vector.len() > limits::DIMENSIONS_MAX {
        let message = format!("must have 1 to {} numbers, got {}", limits::DIMENSIONS_MAX, vector.len());
        return Err(Error::new(Code::Invalid, "vector_dimensions", message)
            .field("vector")
            .remedy("send the query's vector from the collection's embedding model"));
    }
    if let Some(place) = vector.iter().position(|number| !number.is_finite()) {
        let message = format!("number {place} is not finite (not a number, or beyond what 32 bits hold)");
        return Err(Error::new(Code::Invalid, "vector_not_finite", message)
            .field("vector")
            .remedy("send finite numbers, as the collection's embedding model makes them"));
    }
    let mut vector = vector.to_vec();
    embedding::normalize(&mut vector);
    if vector.iter().all(|number| *number == 0.0) {
        let message = "is all zeros, which is like nothing: it has no direction to compare";
        return Err(Error::new(Code::Invalid, "vector_zero", message)
            .field("vector")
            .remedy("embed a text that is not empty"));
    }
    Ok(vector.into())
}

/// Refuses a caller's vector of another length than those of the collection.
pub(super) fn check_dimensions(vector: &[f32], expected: Option<usize>, model: &str) -> Result<()> {
    match expected {
        Some(expected) if expected != vector.len() => Err(Error::new(
            Code::Invalid,
            "vector_dimensions",
            format!("must have {expected} numbers, as the vectors of this collection have; got {}", vector.len()),
        )
        .field("vector")
        .remedy(format!("embed the query with `{model}`, the collection's model"))),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(query: &str) -> SearchRequest {
        SearchRequest { collection: "library".to_owned(), query: query.to_owned(), ..SearchRequest::default() }
    }

    fn refused(request: &SearchRequest) -> (Code, &'static str, String) {
        let error = request.check().unwrap_err();
        assert!(error.remedy_text().is_some(), "{error}");
        (error.code(), error.reason(), error.field_name().unwrap().to_owned())
    }

    #[test]
    fn bad_input_is_refused_with_its_field_and_a_remedy() {
        let field = |request: &SearchRequest| refused(request).2;
        assert_eq!(field(&request(" \n")), "query");
        assert_eq!(refused(&request(&"x".repeat(1 << 20))).0, Code::TooLarge);
        assert_eq!(field(&request(&"é".repeat(limits::QUERY_CHARS_MAX + 1))), "query");
        assert!(request(&"語".repeat(limits::QUERY_CHARS_MAX)).check().is_ok());
        for limit in [0, 101, 1_000_000_000] {
            assert_eq!(field(&SearchRequest { limit: Some(limit), ..request("a") }), "limit");
        }
    }

    #[test]
    fn a_vector_must_have_a_direction() {
        let with = |vector: Vec<f32>| SearchRequest { vector: Some(vector), ..request("a") };
        assert_eq!(refused(&with(Vec::new())).1, "vector_dimensions");
        assert_eq!(refused(&with(vec![1.0; limits::DIMENSIONS_MAX + 1])).1, "vector_dimensions");
        assert_eq!(refused(&with(vec![1.0, f32::NAN])).1, "vector_not_finite");
        assert_eq!(refused(&with(vec![f32::INFINITY])).1, "vector_not_finite");
        assert_eq!(refused(&with(vec![0.0, -0.0])).1, "vector_zero");
        let text = SearchRequest { mode: Some(SearchMode::Text), ..with(vec![1.0]) };
        assert_eq!(refused(&text).2, "vector");
        let checked = with(vec![3.0, 4.0]).check().unwrap();
        assert_eq!(checked.vector.as_deref(), Some([0.6, 0.8].as_slice()));
        // Only the mode `vector` needs no words.
        let alone = |mode| SearchRequest { query: String::new(), mode: Some(mode), ..with(vec![1.0]) };
        assert!(alone(SearchMode::Vector).check().is_ok());
        assert_eq!(refused(&alone(SearchMode::Hybrid)).2, "query");
        assert!(check_dimensions(&[1.0], None, "m").is_ok() && check_dimensions(&[1.0], Some(1), "m").is_ok());
        let error = check_dimensions(&[1.0], Some(384), "local/m").unwrap_err();
        assert!(error.message().contains("384") && error.remedy_text().unwrap().contains("local/m"));
    }
}
