//! How similar two questions must be: measured on pairs of which a person has said whether they ask the same.

use std::collections::{BTreeMap, BTreeSet};

use plasma_kernel::{Code, Ctx, Error, Permission, Result};
use serde::{Deserialize, Serialize};

use super::{
    key::{Words, figures},
    semantic::{cosine, normal},
};
use crate::{Models, Priority};

/// Pairs in one calibration.
pub const CALIBRATION_PAIRS_MAX: usize = 2_000;
const TEXT_CHARS_MAX: usize = 2_000;
/// Texts that the local model gets at once.
const TEXTS_AT_ONCE: usize = 256;
/// Thresholds that are tried, in hundredths.
const THRESHOLDS: std::ops::RangeInclusive<u32> = 50..=99;
/// The quantile of the normal distribution for an upper bound that holds in 95 of 100 cases.
const Z: f64 = 1.644_853_6;

/// Two messages.
#[derive(Clone, Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = CacheTextPair)]
pub struct TextPair {
    /// One: 1 to 2,000 characters.
    pub a: String,
    /// The other.
    pub b: String,
    /// Whether the answer to one is an answer to the other.
    pub same: bool,
}

/// What one threshold would do.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
#[schema(as = CacheCalibrationRow)]
pub struct CalibrationRow {
    /// The least similarity of a hit.
    pub threshold: f64,
    /// Pairs that would be hits.
    pub hits: u64,
    /// Those of them that do not ask the same.
    pub false_hits: u64,
    /// Their share of the hits; null without hits.
    #[schema(required)]
    pub false_hit_rate: Option<f64>,
    /// The upper bound of that share (Wilson's, 95%).
    #[schema(required)]
    pub false_hit_rate_max: Option<f64>,
    /// The share of the pairs that ask the same and would be hits; null without such pairs.
    #[schema(required)]
    pub found: Option<f64>,
}

/// What thresholds of the semantic cache would do.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
#[schema(as = CacheCalibration)]
pub struct Calibration {
    /// The embedding model.
    pub model: String,
    /// The smallest threshold that keeps within the target; null when none does, or the pairs are too few to show it.
    #[schema(required)]
    pub threshold: Option<f64>,
    /// Every threshold that was tried, ascending.
    pub rows: Vec<CalibrationRow>,
}

impl Models {
    /// Tries thresholds of the semantic cache on pairs of messages, with the local embedding model. Nothing is changed.
    ///
    /// # Errors
    /// `forbidden` without `models:write`, `invalid` or `too_large` naming the field, `unavailable` without the weights.
    pub async fn calibrate_cache(
        &self,
        ctx: &Ctx,
        pairs: &[TextPair],
        target_false_hit_rate: f64,
    ) -> Result<Calibration> {
        ctx.require(Permission::ModelsWrite)?;
        check(pairs, target_false_hit_rate)?;
        let entry = self.comparing_model().ok_or_else(|| {
            Error::unavailable("no_default_model", "there is no local embedding model to compare messages with")
        })?;
        // A text may stand in several pairs.
        let texts: BTreeSet<&str> = pairs.iter().flat_map(|pair| [pair.a.as_str(), pair.b.as_str()]).collect();
        let texts: Vec<&str> = texts.into_iter().collect();
        let mut vectors: BTreeMap<&str, Vec<f32>> = BTreeMap::new();
        for some in texts.chunks(TEXTS_AT_ONCE) {
            let owned = some.iter().map(|text| (*text).to_owned()).collect();
            let embeddings = self.inner.local.embed(&entry.id, owned, Priority::Ordinary).await?;
            let unit = some.iter().zip(embeddings.vectors).filter_map(|(text, vector)| Some((*text, normal(vector)?)));
            vectors.extend(unit);
        }
        let similar: Vec<(f64, bool)> = pairs.iter().map(|pair| (similarity(pair, &vectors), pair.same)).collect();
        let rows: Vec<CalibrationRow> =
            THRESHOLDS.map(|hundredths| row(f64::from(hundredths) / 100.0, &similar)).collect();
        let within = |row: &&CalibrationRow| row.false_hit_rate_max.is_some_and(|most| most <= target_false_hit_rate);
        let threshold = rows.iter().find(within).map(|row| row.threshold);
        Ok(Calibration { model: entry.id.clone(), threshold, rows })
    }
}

/// As the cache has it: with other numbers, or the same words in another order, it is another question.
fn similarity(pair: &TextPair, vectors: &BTreeMap<&str, Vec<f32>>) -> f64 {
    match (vectors.get(pair.a.as_str()), vectors.get(pair.b.as_str())) {
        (Some(a), Some(b)) if is_comparable(&pair.a, &pair.b) => cosine(a, b),
        _ => f64::NEG_INFINITY,
    }
}

fn is_comparable(a: &str, b: &str) -> bool {
    figures(a) == figures(b) && !Words::of(a).are_shuffled(&Words::of(b))
}

fn check(pairs: &[TextPair], target: f64) -> Result<()> {
    if !(target > 0.0 && target < 1.0) {
        return Err(Error::invalid("target_false_hit_rate", "must be above 0 and below 1"));
    }
    if pairs.is_empty() {
        return Err(Error::invalid("pairs", "at least one pair is needed"));
    }
    if pairs.len() > CALIBRATION_PAIRS_MAX {
        let message = format!("{} pairs, the limit is {CALIBRATION_PAIRS_MAX}", pairs.len());
        return Err(Error::too_large("pairs", message));
    }
    for (index, pair) in pairs.iter().enumerate() {
        for (name, text) in [("a", &pair.a), ("b", &pair.b)] {
            if text.trim().is_empty() || text.chars().count() > TEXT_CHARS_MAX {
                let message = format!("must have 1 to {TEXT_CHARS_MAX} characters");
                return Err(Error::new(Code::Invalid, "invalid", message).field(format!("pairs[{index}].{name}")));
            }
        }
    }
    Ok(())
}

fn row(threshold: f64, similar: &[(f64, bool)]) -> CalibrationRow {
    let count = |wanted: bool, least: f64| {
        similar.iter().filter(|(similarity, same)| *same == wanted && *similarity >= least).count() as u64
    };
    let (true_hits, false_hits) = (count(true, threshold), count(false, threshold));
    let (hits, same) = (true_hits + false_hits, count(true, f64::NEG_INFINITY));
    let share = |part: u64, whole: u64| (whole > 0).then(|| part as f64 / whole as f64);
    CalibrationRow {
        threshold,
        hits,
        false_hits,
        false_hit_rate: share(false_hits, hits),
        false_hit_rate_max: (hits > 0).then(|| wilson_upper(false_hits, hits)),
        found: share(true_hits, same),
    }
}

/// The upper end of Wilson's score interval for a share of `part` in `whole` cases (E. B. Wilson, 1927).
fn wilson_upper(part: u64, whole: u64) -> f64 {
    let (cases, share) = (whole as f64, part as f64 / whole as f64);
    let z2 = Z * Z;
    let center = share + z2 / (2.0 * cases);
    let spread = Z * (share * (1.0 - share) / cases + z2 / (4.0 * cases * cases)).sqrt();
    ((center + spread) / (1.0 + z2 / cases)).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wilsons_bound_solves_its_equation() {
        // It is the greatest share p from which the one that was seen is no more than z standard deviations away:
        // (seen - p)^2 = z^2 p (1 - p) / n.
        for (part, whole) in [(0_u64, 10_u64), (0, 100), (1, 100), (5, 50), (49, 50)] {
            let (seen, bound) = (part as f64 / whole as f64, wilson_upper(part, whole));
            assert!(bound > seen && bound < 1.0, "{part} of {whole}: {bound}");
            let (left, right) = ((seen - bound).powi(2), Z * Z * bound * (1.0 - bound) / whole as f64);
            assert!((left - right).abs() < 1e-12, "{part} of {whole}: {left} {right}");
        }
        assert!((wilson_upper(0, 100) - 2.705_543_4 / 102.705_543_4).abs() < 1e-7);
        assert!((wilson_upper(10, 10) - 1.0).abs() < 1e-12);
    }

    #[test]
    fn a_row_counts_hits_and_false_ones() {
        let similar = [(0.95, true), (0.9, false), (0.8, true), (f64::NEG_INFINITY, false)];
        let row = row(0.9, &similar);
        assert_eq!((row.hits, row.false_hits), (2, 1));
        assert_eq!((row.false_hit_rate, row.found), (Some(0.5), Some(0.5)));
        let none = super::row(0.99, &similar);
        assert_eq!((none.hits, none.false_hit_rate, none.false_hit_rate_max), (0, None, None));
    }
}
