//! What documents say beyond their words: how new they are and how popular.
//!
//! A signal is a share of the relevance that a passage has by itself, so that it never lifts what has nothing to do with the query: it
//! adds |relevance| × weight × value, where the value is between 0 and 1. The value of an age halves with every half-life (exponential
//! decay); that of a number is its logarithm beside that of the largest among the candidates, ln(1 + number) / ln(1 + largest),
//! because popularity spreads over orders of magnitude and the hundredth view says less than the second.

use plasma_kernel::Timestamp;

use super::{
    fusion::Place,
    settings::{CREATED_AT, PopularityRule, Ranking, RecencyRule, UPDATED_AT},
};
use crate::{Metadata, MetadataValue};

const MICROSECONDS_PER_DAY: f64 = 86_400_000_000.0;

/// What signals look at of a document.
#[derive(Clone, Copy)]
pub(crate) struct Facts<'a> {
    pub(crate) created_at: Timestamp,
    pub(crate) updated_at: Timestamp,
    pub(crate) metadata: &'a Metadata,
}

/// What a signal says of a passage.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Signal {
    /// Days, or the document's number.
    pub(crate) raw: f64,
    /// 0 to 1.
    pub(crate) value: f64,
    pub(crate) weight: f64,
}

impl Signal {
    /// What it adds to a passage of this relevance.
    pub(crate) fn contribution(self, relevance: f64) -> f64 {
        relevance.abs() * self.weight * self.value
    }
}

/// The signals of one passage. `None`: there is no such rule, or the document does not have the field.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Signals {
    pub(crate) recency: Option<Signal>,
    pub(crate) popularity: Option<Signal>,
}

impl Signals {
    /// What both add to a passage of this relevance.
    pub(crate) fn contribution(self, relevance: f64) -> f64 {
        [self.recency, self.popularity].into_iter().flatten().map(|signal| signal.contribution(relevance)).sum()
    }
}

/// The signals of all candidates, in their order; and warnings where a field is in none of them.
pub(crate) fn signals<'a>(
    ranking: &Ranking,
    now: Timestamp,
    places: &[Place],
    facts: impl Fn(Place) -> Option<Facts<'a>>,
) -> (Vec<Signals>, Vec<String>) {
    let mut all = vec![Signals::default(); places.len()];
    let mut warnings = Vec::new();
    let facts: Vec<Option<Facts<'a>>> = match (&ranking.recency, &ranking.popularity) {
        (None, None) => return (all, warnings),
        _ => places.iter().map(|place| facts(*place)).collect(),
    };
    let mut missing = |field: &str, what: &str| {
        warnings.push(format!("{what} counts for nothing: no passage that was found has {field}"));
    };
    if let Some(rule) = &ranking.recency {
        for (signals, facts) in all.iter_mut().zip(&facts) {
            signals.recency = facts.and_then(|facts| recency(rule, now, facts));
        }
        if !places.is_empty() && all.iter().all(|signals| signals.recency.is_none()) {
            missing(&format!("a time in the metadata field `{}`", rule.field), "recency");
        }
    }
    if let Some(rule) = &ranking.popularity {
        let numbers: Vec<Option<f64>> =
            facts.iter().map(|facts| facts.and_then(|facts| number(facts.metadata, &rule.field))).collect();
        let largest = numbers.iter().flatten().copied().fold(0.0, f64::max);
        for (signals, number) in all.iter_mut().zip(&numbers) {
            signals.popularity = number.map(|number| popularity(rule, number, largest));
        }
        if !places.is_empty() && numbers.iter().all(Option::is_none) {
            missing(&format!("a number in the metadata field `{}`", rule.field), "popularity");
        }
    }
    (all, warnings)
}

#[allow(clippy::cast_precision_loss)] // a second more or less in a lifetime does not matter
fn recency(rule: &RecencyRule, now: Timestamp, facts: Facts<'_>) -> Option<Signal> {
    let at = match rule.field.as_str() {
        UPDATED_AT => facts.updated_at,
        CREATED_AT => facts.created_at,
        field => time(facts.metadata, field)?,
    };
    // What lies in the future is as new as can be.
    let age = now.saturating_sub(at).max(0) as f64;
    let value = (-age / rule.half_life() * std::f64::consts::LN_2).exp();
    Some(Signal { raw: age / MICROSECONDS_PER_DAY, value, weight: rule.weight })
}

fn popularity(rule: &PopularityRule, number: f64, largest: f64) -> Signal {
    let value = if largest > 0.0 { (number.max(0.0).ln_1p() / largest.ln_1p()).clamp(0.0, 1.0) } else { 0.0 };
    Signal { raw: number, value, weight: rule.weight }
}

/// A time of the metadata: as such, or as a number of microseconds since 1970 UTC.
fn time(metadata: &Metadata, field: &str) -> Option<Timestamp> {
    match metadata.get(field)? {
        MetadataValue::Time(time) => Some(time.at()),
        MetadataValue::Integer(at) => Some(*at),
        _ => None,
    }
}

fn number(metadata: &Metadata, field: &str) -> Option<f64> {
    match metadata.get(field)? {
        #[allow(clippy::cast_precision_loss)] // logarithms of such numbers are equal
        MetadataValue::Integer(number) => Some(*number as f64),
        MetadataValue::Float(number) => Some(*number).filter(|number| number.is_finite()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::search::{SearchRequest, settings::RankingSettings};

    const DAY: Timestamp = 86_400_000_000;
    const NOW: Timestamp = 20_000 * DAY;

    fn ranking(settings: serde_json::Value) -> Ranking {
        let settings: RankingSettings = serde_json::from_value(settings).unwrap();
        Ranking::for_request(&settings, &SearchRequest::default()).unwrap()
    }

    fn found(settings: serde_json::Value, documents: &[(i64, serde_json::Value)]) -> (Vec<Signals>, Vec<String>) {
        let documents: Vec<(Timestamp, Metadata)> = documents
            .iter()
            .map(|(days, metadata)| (NOW - days * DAY, serde_json::from_value(metadata.clone()).unwrap()))
            .collect();
        let places: Vec<Place> = (0..documents.len()).map(|document| (document, 0)).collect();
        signals(&ranking(settings), NOW, &places, |(document, _)| {
            let (at, metadata) = documents.get(document)?;
            Some(Facts { created_at: *at - DAY, updated_at: *at, metadata })
        })
    }

    fn assert_close(actual: f64, expected: f64) {
        assert!((actual - expected).abs() < 1e-9, "{actual} is not {expected}");
    }

    #[test]
    fn age_halves_what_newness_is_worth() {
        let rule = json!({"recency": {"half_life_days": 10, "weight": 2}});
        let (all, warnings) = found(rule, &[(0, json!({})), (10, json!({})), (20, json!({})), (-5, json!({}))]);
        assert!(warnings.is_empty());
        for (signals, expected) in all.iter().zip([1.0, 0.5, 0.25, 1.0]) {
            let signal = signals.recency.unwrap();
            assert_close(signal.value, expected);
            assert_close(signals.contribution(0.5), 0.5 * 2.0 * expected);
            // What is unlike the query gains too, by the size of its score.
            assert_close(signals.contribution(-0.5), 0.5 * 2.0 * expected);
        }
        assert_close(all[1].recency.unwrap().raw, 10.0);
        let created = found(json!({"recency": {"field": "$created_at", "half_life_days": 1}}), &[(0, json!({}))]);
        assert_close(created.0[0].recency.unwrap().value, 0.5);
    }

    #[test]
    fn a_field_of_the_metadata_may_be_the_time() {
        let rule = json!({"recency": {"field": "published", "half_life_days": 30}});
        let (all, warnings) = found(rule.clone(), &[(0, json!({"published": NOW - 30 * DAY})), (0, json!({}))]);
        assert_close(all[0].recency.unwrap().value, 0.5);
        assert_eq!((all[1], warnings.len()), (Signals::default(), 0));
        let (_, warnings) = found(rule, &[(0, json!({"published": true}))]);
        assert!(warnings[0].contains("`published`"), "{warnings:?}");
    }

    #[test]
    fn numbers_count_by_their_logarithm() {
        let rule = json!({"popularity": {"field": "views", "weight": 1}});
        let documents = [
            (0, json!({"views": 999})),
            (0, json!({"views": 0})),
            (0, json!({"views": 30.622_776_601_683_793})),
            (0, json!({"views": -5})),
            (0, json!({})),
        ];
        let (all, _) = found(rule.clone(), &documents);
        let values: Vec<f64> = all.iter().filter_map(|signals| signals.popularity).map(|signal| signal.value).collect();
        for (value, expected) in values.iter().zip([1.0, 0.0, 0.5, 0.0]) {
            assert_close(*value, expected);
        }
        assert_eq!((values.len(), all[4].popularity), (4, None));
        let (_, warnings) = found(rule, &[(0, json!({"views": "many"}))]);
        assert!(warnings[0].contains("`views`"));
    }
}
