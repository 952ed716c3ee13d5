//! How results are ranked: what a request or a collection may set, and what then holds.

use std::collections::HashSet;

use plasma_kernel::{Error, Result};
use serde::{Deserialize, Serialize};
use unicode_segmentation::UnicodeSegmentation as _;

use super::request::SearchRequest;
use crate::limits;

/// The document's own time of its last change.
pub(crate) const UPDATED_AT: &str = "$updated_at";
/// The document's own time of its first version.
pub(crate) const CREATED_AT: &str = "$created_at";

/// Where the ranks of reciprocal rank fusion begin to differ little: 60, as in its first publication (Cormack, Clarke and
/// Büttcher, 2009).
const FUSION_K_DEFAULT: u32 = 60;
/// How much the meaning counts where nobody says, of 1, by the number of different words in the query: embeddings of a short query
/// say what is meant, those of a long one are a mean of many things, while each of its words still counts by itself. Measured with
/// `make eval-search`, see docs/search-benchmarks.md.
const VECTOR_SHARE_SHORT: f64 = 0.8;
const VECTOR_SHARE_LONG: f64 = 0.4;
/// Queries of up to so many different words are short, of this many and more long; in between it is in proportion.
const SHORT_QUERY_WORDS: usize = 20;
const LONG_QUERY_WORDS: usize = 60;
const RERANK_TOP_DEFAULT: u32 = 30;
const HALF_LIFE_DAYS_DEFAULT: f64 = 30.0;
const SIGNAL_WEIGHT_DEFAULT: f64 = 0.2;
const MICROSECONDS_PER_DAY: f64 = 86_400_000_000.0;

/// How a collection's results are ranked where a request does not say. A field that is absent stands for the built-in default.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RankingSettings {
    /// How the ranking by meaning and the ranking by words become one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fusion: Option<FusionSettings>,
    /// A model that reads the best candidates again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rerank: Option<RerankSettings>,
    /// Whether near-identical passages are folded into the best of them; true when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deduplicate: Option<bool>,
    /// How much results shall differ from each other: 0 (not at all, the default) to 1 (only that counts).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, maximum = 1)]
    pub diversity: Option<f64>,
    /// Results of one document at most: 1 to 100; without a limit when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 100)]
    pub per_document: Option<u32>,
    /// Newer documents count more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recency: Option<RecencySettings>,
    /// Documents with a larger number count more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub popularity: Option<PopularitySettings>,
}

/// How two rankings become one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum FusionMethod {
    /// Reciprocal rank fusion: only ranks count.
    Rrf,
    /// The weighted mean of both scores, each brought to one scale: 1 is the third best candidate of its half.
    #[default]
    Weighted,
}

/// How the ranking by meaning and the ranking by words become one, in the mode `hybrid`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FusionSettings {
    /// When absent: `weighted`, or `rrf` where `k` is set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<FusionMethod>,
    /// How much the meaning counts: 0 to 10. When both weights are absent: for `weighted` 0.8 of 1 for queries of up to 20 different
    /// words, falling to 0.4 for those of 60 and more, and as much as the words for `rrf`. 1 when only the other is there.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, maximum = 10)]
    pub vector_weight: Option<f64>,
    /// How much the words count: 0 to 10. When it is absent, see `vector_weight`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, maximum = 10)]
    pub text_weight: Option<f64>,
    /// For `rrf`: how little the first ranks stand out, 1 to 1,000; 60 when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 1000)]
    pub k: Option<u32>,
}

/// A model that reads the best candidates together with the query and orders them anew.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RerankSettings {
    /// The name of a model of the kind `rerank`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "acme/bge-reranker-v2-m3")]
    pub model: Option<String>,
    /// How many candidates it reads: 1 to 100, 30 when absent, and never fewer than the results that are wanted; 0: it is not asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, maximum = 100)]
    pub top: Option<u32>,
}

/// How much newer documents count more.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RecencySettings {
    /// `$updated_at` (the default), `$created_at`, or a metadata field that holds a time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// After so many days a document counts half as new: 0.01 to 36,500; 30 when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0.01, maximum = 36500)]
    pub half_life_days: Option<f64>,
    /// What a document of this moment gains of its relevance: 0 (nothing: the signal is off) to 10; 0.2 when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, maximum = 10)]
    pub weight: Option<f64>,
}

/// How much documents with a larger number, such as views or votes, count more.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PopularitySettings {
    /// A metadata field that holds a number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// What the most popular candidate gains of its relevance: 0 (nothing: the signal is off) to 10; 0.2 when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, maximum = 10)]
    pub weight: Option<f64>,
}

/// What holds for a search: the request's own settings, else the collection's, else the built-in ones.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Ranking {
    pub(crate) fusion: FusionRule,
    pub(crate) rerank: Option<RerankRule>,
    pub(crate) deduplicate: bool,
    /// 0 to 1.
    pub(crate) diversity: f64,
    pub(crate) per_document: Option<usize>,
    pub(crate) recency: Option<RecencyRule>,
    pub(crate) popularity: Option<PopularityRule>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct FusionRule {
    pub(crate) method: FusionMethod,
    pub(crate) vector_weight: f64,
    pub(crate) text_weight: f64,
    pub(crate) k: u32,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct RerankRule {
    pub(crate) model: String,
    /// At least 1.
    pub(crate) top: usize,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct RecencyRule {
    pub(crate) field: String,
    pub(crate) half_life_days: f64,
    pub(crate) weight: f64,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct PopularityRule {
    pub(crate) field: String,
    pub(crate) weight: f64,
}

impl RecencyRule {
    /// In microseconds.
    pub(crate) fn half_life(&self) -> f64 {
        self.half_life_days * MICROSECONDS_PER_DAY
    }
}

impl RankingSettings {
    /// Refuses settings that no search could follow.
    ///
    /// # Errors
    /// `invalid` naming the field below `ranking`.
    pub(crate) fn check(&self) -> Result<()> {
        Ranking::of(&Self::default(), self, "").map(drop).map_err(|error| {
            let field = format!("ranking.{}", error.field_name().unwrap_or_default());
            error.field(field)
        })
    }
}

impl Ranking {
    /// What holds for `request` in a collection with these defaults.
    ///
    /// # Errors
    /// `invalid` naming the field.
    pub(crate) fn for_request(defaults: &RankingSettings, request: &SearchRequest) -> Result<Self> {
        let own = RankingSettings {
            fusion: request.fusion.clone(),
            rerank: request.rerank.clone(),
            deduplicate: request.deduplicate,
            diversity: request.diversity,
            per_document: request.per_document,
            recency: request.recency.clone(),
            popularity: request.popularity.clone(),
        };
        Self::of(defaults, &own, &request.query)
    }

    fn of(defaults: &RankingSettings, own: &RankingSettings, query: &str) -> Result<Self> {
        let per_document = own.per_document.or(defaults.per_document);
        if let Some(count) = per_document
            && !(1..=limits::RESULTS_MAX).contains(&count)
        {
            return Err(out_of_range("per_document", 1.0, f64::from(limits::RESULTS_MAX), f64::from(count))
                .remedy("leave it out for no limit"));
        }
        Ok(Self {
            fusion: fusion(&both(defaults.fusion.as_ref(), own.fusion.as_ref()), query)?,
            rerank: rerank(&both(defaults.rerank.as_ref(), own.rerank.as_ref()))?,
            deduplicate: own.deduplicate.or(defaults.deduplicate).unwrap_or(true),
            diversity: within("diversity", own.diversity.or(defaults.diversity), 0.0, 0.0, 1.0)?,
            per_document: per_document.and_then(|count| usize::try_from(count).ok()),
            recency: recency(&both(defaults.recency.as_ref(), own.recency.as_ref()))?,
            popularity: popularity(&both(defaults.popularity.as_ref(), own.popularity.as_ref()))?,
        })
    }
}

/// The collection's default and the request's own setting, where there are any.
struct Both<'a, T> {
    default: Option<&'a T>,
    own: Option<&'a T>,
}

fn both<'a, T>(default: Option<&'a T>, own: Option<&'a T>) -> Both<'a, T> {
    Both { default, own }
}

impl<T> Both<'_, T> {
    fn is_absent(&self) -> bool {
        self.default.is_none() && self.own.is_none()
    }

    /// One field: the request's own, else the collection's.
    fn field<F>(&self, field: impl Fn(&T) -> Option<F>) -> Option<F> {
        self.own.and_then(&field).or_else(|| self.default.and_then(&field))
    }
}

fn out_of_range(field: &str, min: f64, max: f64, value: f64) -> Error {
    Error::invalid(field, format!("must be {min} to {max}, got {value}"))
}

/// A number between two bounds, or `default`.
fn within(field: &str, value: Option<f64>, default: f64, min: f64, max: f64) -> Result<f64> {
    let value = value.unwrap_or(default);
    // What is not a number is in no range.
    if (min..=max).contains(&value) { Ok(value) } else { Err(out_of_range(field, min, max, value)) }
}

/// How much the meaning counts of 1, in steps of a hundredth.
fn vector_share(query: &str) -> f64 {
    let words: HashSet<String> = query.unicode_words().map(str::to_lowercase).collect();
    let beyond = words.len().clamp(SHORT_QUERY_WORDS, LONG_QUERY_WORDS) - SHORT_QUERY_WORDS;
    let long = beyond as f64 / (LONG_QUERY_WORDS - SHORT_QUERY_WORDS) as f64;
    ((VECTOR_SHARE_SHORT + (VECTOR_SHARE_LONG - VECTOR_SHARE_SHORT) * long) * 100.0).round() / 100.0
}

fn fusion(settings: &Both<'_, FusionSettings>, query: &str) -> Result<FusionRule> {
    let weight_max = limits::RANKING_WEIGHT_MAX;
    let k = settings.field(|fusion| fusion.k);
    let by_name = settings.field(|fusion| fusion.method);
    let method = by_name.unwrap_or(if k.is_some() { FusionMethod::Rrf } else { FusionMethod::default() });
    let weights = (settings.field(|fusion| fusion.vector_weight), settings.field(|fusion| fusion.text_weight));
    let (vector_default, text_default) = match (method, weights) {
        (FusionMethod::Weighted, (None, None)) => {
            let share = vector_share(query);
            (share, ((1.0 - share) * 100.0).round() / 100.0)
        }
        _ => (1.0, 1.0),
    };
    let vector_weight = within("fusion.vector_weight", weights.0, vector_default, 0.0, weight_max)?;
    let text_weight = within("fusion.text_weight", weights.1, text_default, 0.0, weight_max)?;
    if vector_weight + text_weight <= 0.0 {
        return Err(Error::invalid("fusion.vector_weight", "is 0, and so is `text_weight`: nothing would count")
            .remedy("give one of them a weight above 0"));
    }
    let k = k.unwrap_or(FUSION_K_DEFAULT);
    if !(1..=limits::FUSION_K_MAX).contains(&k) {
        return Err(out_of_range("fusion.k", 1.0, f64::from(limits::FUSION_K_MAX), f64::from(k))
            .remedy(format!("leave it out for {FUSION_K_DEFAULT}, which fits most collections")));
    }
    Ok(FusionRule { method, vector_weight, text_weight, k })
}

fn rerank(settings: &Both<'_, RerankSettings>) -> Result<Option<RerankRule>> {
    let top = settings.field(|rerank| rerank.top).unwrap_or(RERANK_TOP_DEFAULT);
    if top > limits::RERANK_TOP_MAX {
        return Err(out_of_range("rerank.top", 0.0, f64::from(limits::RERANK_TOP_MAX), f64::from(top)));
    }
    if settings.is_absent() || top == 0 {
        return Ok(None);
    }
    let model = settings.field(|rerank| rerank.model.clone()).ok_or_else(|| {
        Error::invalid("rerank.model", "is missing, and the collection has none")
            .remedy("name a model of the kind `rerank`; GET /api/v1/models lists them")
    })?;
    if model.is_empty() || model.chars().count() > limits::MODEL_NAME_CHARS_MAX {
        return Err(Error::invalid(
            "rerank.model",
            format!("must have 1 to {} characters", limits::MODEL_NAME_CHARS_MAX),
        ));
    }
    Ok(Some(RerankRule { model, top: usize::try_from(top).unwrap_or(1) }))
}

fn check_field(place: &str, field: &str) -> Result<()> {
    if field.is_empty() || field.chars().count() > limits::METADATA_NAME_CHARS_MAX {
        let message = format!("must have 1 to {} characters", limits::METADATA_NAME_CHARS_MAX);
        return Err(Error::invalid(place, message));
    }
    Ok(())
}

fn recency(settings: &Both<'_, RecencySettings>) -> Result<Option<RecencyRule>> {
    let weight = within(
        "recency.weight",
        settings.field(|recency| recency.weight),
        SIGNAL_WEIGHT_DEFAULT,
        0.0,
        limits::RANKING_WEIGHT_MAX,
    )?;
    let half_life_days = within(
        "recency.half_life_days",
        settings.field(|recency| recency.half_life_days),
        HALF_LIFE_DAYS_DEFAULT,
        limits::HALF_LIFE_DAYS_MIN,
        limits::HALF_LIFE_DAYS_MAX,
    )?;
    let field = settings.field(|recency| recency.field.clone()).unwrap_or_else(|| UPDATED_AT.to_owned());
    check_field("recency.field", &field)?;
    if field.starts_with('$') && field != UPDATED_AT && field != CREATED_AT {
        return Err(Error::invalid("recency.field", "is not a time of a document")
            .remedy(format!("there are `{UPDATED_AT}`, `{CREATED_AT}`, and metadata fields that hold a time")));
    }
    let on = !settings.is_absent() && weight > 0.0;
    Ok(on.then_some(RecencyRule { field, half_life_days, weight }))
}

fn popularity(settings: &Both<'_, PopularitySettings>) -> Result<Option<PopularityRule>> {
    let weight = within(
        "popularity.weight",
        settings.field(|popularity| popularity.weight),
        SIGNAL_WEIGHT_DEFAULT,
        0.0,
        limits::RANKING_WEIGHT_MAX,
    )?;
    if settings.is_absent() || weight <= 0.0 {
        return Ok(None);
    }
    let field = settings.field(|popularity| popularity.field.clone()).ok_or_else(|| {
        Error::invalid("popularity.field", "is missing")
            .remedy("name a metadata field that holds a number, such as `views`")
    })?;
    check_field("popularity.field", &field)?;
    Ok(Some(PopularityRule { field, weight }))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn settings(json: Value) -> RankingSettings {
        serde_json::from_value(json).unwrap()
    }

    fn ranking(defaults: Value, own: Value) -> Result<Ranking> {
        Ranking::of(&settings(defaults), &settings(own), "how long is the vacation?")
    }

    #[test]
    fn in_a_long_query_the_words_count_more() {
        let words = |count: usize| (0..count).map(|word| format!("Word{word} word{word} ")).collect::<String>();
        for (count, share) in [(0, 0.8), (20, 0.8), (40, 0.6), (60, 0.4), (500, 0.4)] {
            let rule = Ranking::of(&settings(json!({})), &settings(json!({})), &words(count)).unwrap().fusion;
            assert_eq!((rule.vector_weight, rule.text_weight), (share, ((1.0 - share) * 100.0_f64).round() / 100.0));
        }
        // `k` says something only of ranks.
        let by_ranks = json!({"fusion": {"k": 30}});
        let rule = Ranking::of(&settings(json!({})), &settings(by_ranks), &words(60)).unwrap().fusion;
        assert_eq!((rule.vector_weight, rule.text_weight), (1.0, 1.0));
    }

    #[test]
    fn nothing_said_is_the_built_in_ranking() {
        let ranking = ranking(json!({}), json!({})).unwrap();
        assert_eq!((ranking.fusion.method, ranking.fusion.k), (FusionMethod::Weighted, 60));
        assert_eq!((ranking.fusion.vector_weight, ranking.fusion.text_weight), (0.8, 0.2));
        assert!(ranking.deduplicate && ranking.diversity == 0.0);
        assert_eq!(
            (ranking.rerank, ranking.recency, ranking.popularity, ranking.per_document),
            (None, None, None, None)
        );
    }

    #[test]
    fn a_request_overrides_field_by_field() {
        let defaults = json!({
            "fusion": {"method": "weighted", "text_weight": 3}, "rerank": {"model": "acme/a", "top": 20}, "diversity": 0.5,
            "recency": {"half_life_days": 7}, "popularity": {"field": "views"}, "deduplicate": false, "per_document": 2
        });
        let own = json!({
            "fusion": {"vector_weight": 2}, "rerank": {"model": "acme/b"}, "diversity": 0, "recency": {"weight": 1},
            "popularity": {"weight": 0}
        });
        let ranking = ranking(defaults.clone(), own).unwrap();
        let fusion = FusionRule { method: FusionMethod::Weighted, vector_weight: 2.0, text_weight: 3.0, k: 60 };
        assert_eq!(ranking.fusion, fusion);
        assert_eq!(ranking.rerank, Some(RerankRule { model: "acme/b".to_owned(), top: 20 }));
        let recency = RecencyRule { field: UPDATED_AT.to_owned(), half_life_days: 7.0, weight: 1.0 };
        assert_eq!((ranking.recency, ranking.popularity), (Some(recency), None));
        assert!(!ranking.deduplicate && ranking.diversity == 0.0);
        assert_eq!(ranking.per_document, Some(2));
        let without = super::Ranking::of(&settings(defaults), &settings(json!({"rerank": {"top": 0}})), "").unwrap();
        assert_eq!(without.rerank, None);
    }

    #[test]
    fn mistakes_name_their_field() {
        for (own, field) in [
            (json!({"fusion": {"k": 0}}), "fusion.k"),
            (json!({"fusion": {"k": 1001}}), "fusion.k"),
            (json!({"fusion": {"vector_weight": -1}}), "fusion.vector_weight"),
            (json!({"fusion": {"text_weight": 10.5}}), "fusion.text_weight"),
            (json!({"fusion": {"vector_weight": 0, "text_weight": 0}}), "fusion.vector_weight"),
            (json!({"rerank": {}}), "rerank.model"),
            (json!({"rerank": {"model": ""}}), "rerank.model"),
            (json!({"rerank": {"model": "a", "top": 101}}), "rerank.top"),
            (json!({"diversity": 1.1}), "diversity"),
            (json!({"per_document": 0}), "per_document"),
            (json!({"recency": {"half_life_days": 0}}), "recency.half_life_days"),
            (json!({"recency": {"field": "$made_at"}}), "recency.field"),
            (json!({"recency": {"weight": 11}}), "recency.weight"),
            (json!({"popularity": {}}), "popularity.field"),
            (json!({"popularity": {"field": ""}}), "popularity.field"),
        ] {
            let error = settings(own.clone()).check().unwrap_err();
            assert_eq!(error.field_name(), Some(format!("ranking.{field}").as_str()), "{own}");
            assert_eq!(ranking(json!({}), own).unwrap_err().field_name(), Some(field));
        }
        let not_a_number = RankingSettings { diversity: Some(f64::NAN), ..RankingSettings::default() };
        assert_eq!(not_a_number.check().unwrap_err().field_name(), Some("ranking.diversity"));
        assert!(serde_json::from_value::<RankingSettings>(json!({"diversty": 1})).is_err());
    }
}
