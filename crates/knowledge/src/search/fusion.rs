//! Two rankings become one.
//!
//! **Reciprocal rank fusion** (Cormack, Clarke and Büttcher: Reciprocal rank fusion outperforms Condorcet and individual rank
//! learning methods, SIGIR 2009): a passage at rank r of a half gets weight / (k + r) from it. Only ranks count, so that nothing
//! need be known of the scores.
//!
//! **Weighted score**: the mean of both scores by their weights, after each was brought to 0 to 1. Cosines go from the lowest to
//! the highest of the candidates (min-max normalisation, as in Lee: Analyses of multiple evidence combination, SIGIR 1997), for real
//! embeddings never come near the -1 that a cosine could be. BM25 goes from 0, its least possible value, to the highest of the
//! candidates, so that the last candidate is not taken for one without any word (the theoretical minimum of Bruch, Gai and Ingber: An
//! analysis of fusion functions for hybrid retrieval, ACM TOIS 2023). Who is no candidate of a half gets 0 of it.

use super::{
    SearchMode,
    settings::{FusionMethod, FusionRule},
};

/// A passage in a view: the place of its document, and its ordinal.
pub(crate) type Place = (usize, u32);

/// A place in the ranking of one half.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Found {
    /// From 1.
    pub(crate) rank: u32,
    /// Cosine or BM25.
    pub(crate) score: f32,
}

/// A passage that at least one half proposes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Candidate {
    pub(crate) place: Place,
    pub(crate) vector: Option<Found>,
    pub(crate) text: Option<Found>,
}

/// What a half gives to the fused score.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Part {
    pub(crate) found: Found,
    /// The score as it can be compared with the other half's; `1 / (k + rank)` by ranks.
    pub(crate) normalized: f64,
    pub(crate) weight: f64,
    pub(crate) contribution: f64,
}

/// A candidate's fused score.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Fused {
    pub(crate) place: Place,
    pub(crate) vector: Option<Part>,
    pub(crate) text: Option<Part>,
    /// The sum of both contributions.
    pub(crate) score: f64,
}

/// The lowest and highest score of a half's candidates.
#[derive(Clone, Copy)]
struct Range {
    low: f64,
    high: f64,
}

impl Range {
    fn of(scores: impl Iterator<Item = f32>) -> Self {
        let none = Self { low: f64::INFINITY, high: f64::NEG_INFINITY };
        scores.map(f64::from).fold(none, |range, score| Self { low: range.low.min(score), high: range.high.max(score) })
    }

    /// From 0 to 1. Where all are equal, each is the best.
    fn normalize(self, score: f32) -> f64 {
        let width = self.high - self.low;
        if width > 0.0 { ((f64::from(score) - self.low) / width).clamp(0.0, 1.0) } else { 1.0 }
    }
}

/// Fuses the candidates of both halves, in no particular order. Outside of `hybrid` a score stays what it is.
pub(crate) fn fuse(mode: SearchMode, rule: &FusionRule, candidates: Vec<Candidate>) -> Vec<Fused> {
    let of_half = |found: Option<Found>, part: &dyn Fn(Found) -> Part| found.map(part);
    let unchanged = |found: Found| Part {
        found,
        normalized: f64::from(found.score),
        weight: 1.0,
        contribution: f64::from(found.score),
    };
    let fused = |candidate: &Candidate, by_vector: &dyn Fn(Found) -> Part, by_text: &dyn Fn(Found) -> Part| {
        let (vector, text) = (of_half(candidate.vector, by_vector), of_half(candidate.text, by_text));
        let score = [vector, text].into_iter().flatten().map(|part| part.contribution).sum();
        Fused { place: candidate.place, vector, text, score }
    };
    match (mode, rule.method) {
        (SearchMode::Vector | SearchMode::Text, _) => {
            candidates.iter().map(|candidate| fused(candidate, &unchanged, &unchanged)).collect()
        }
        (SearchMode::Hybrid, FusionMethod::Rrf) => {
            let k = f64::from(rule.k);
            let by_rank = |weight: f64| {
                move |found: Found| {
                    let normalized = 1.0 / (k + f64::from(found.rank));
                    Part { found, normalized, weight, contribution: weight * normalized }
                }
            };
            let (by_vector, by_text) = (by_rank(rule.vector_weight), by_rank(rule.text_weight));
            candidates.iter().map(|candidate| fused(candidate, &by_vector, &by_text)).collect()
        }
        (SearchMode::Hybrid, FusionMethod::Weighted) => {
            let cosines =
                Range::of(candidates.iter().filter_map(|candidate| candidate.vector).map(|found| found.score));
            let bm25 = Range::of(candidates.iter().filter_map(|candidate| candidate.text).map(|found| found.score));
            let weights = rule.vector_weight + rule.text_weight;
            let by_score = |range: Range, weight: f64| {
                move |found: Found| {
                    let normalized = range.normalize(found.score);
                    Part { found, normalized, weight, contribution: weight / weights * normalized }
                }
            };
            let by_vector = by_score(cosines, rule.vector_weight);
            let by_text = by_score(Range { low: 0.0, ..bm25 }, rule.text_weight);
            candidates.iter().map(|candidate| fused(candidate, &by_vector, &by_text)).collect()
        }
    }
}

/// A number of a formula: as short as it is true to four digits.
fn short(number: f64) -> String {
    let fixed = format!("{number:.4}");
    fixed.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// How a fused score comes about, with the numbers filled in.
pub(crate) fn formula(mode: SearchMode, rule: &FusionRule, fused: &Fused) -> String {
    let parts: Vec<Part> = [fused.vector, fused.text].into_iter().flatten().collect();
    match (mode, rule.method) {
        (SearchMode::Vector, _) => "cosine".to_owned(),
        (SearchMode::Text, _) => "BM25".to_owned(),
        (SearchMode::Hybrid, FusionMethod::Rrf) => {
            let part = |part: &Part| {
                #[allow(clippy::float_cmp)] // 1 is what stands in the request or the default
                let weight = if part.weight == 1.0 { "1".to_owned() } else { short(part.weight) };
                format!("{weight}/({}+{})", rule.k, part.found.rank)
            };
            parts.iter().map(part).collect::<Vec<_>>().join(" + ")
        }
        (SearchMode::Hybrid, FusionMethod::Weighted) => {
            let part = |part: &Part| format!("{} × {}", short(part.weight), short(part.normalized));
            let sum = parts.iter().map(part).collect::<Vec<_>>().join(" + ");
            format!("({sum}) / {}", short(rule.vector_weight + rule.text_weight))
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rule(method: FusionMethod, vector_weight: f64, text_weight: f64) -> FusionRule {
        FusionRule { method, vector_weight, text_weight, k: 60 }
    }

    fn candidate(passage: u32, vector: Option<(u32, f32)>, text: Option<(u32, f32)>) -> Candidate {
        let found = |(rank, score)| Found { rank, score };
        Candidate { place: (0, passage), vector: vector.map(found), text: text.map(found) }
    }

    fn three() -> Vec<Candidate> {
        vec![
            candidate(0, Some((1, 0.9)), Some((2, 6.0))),
            candidate(1, Some((2, 0.5)), None),
            candidate(2, None, Some((1, 8.0))),
        ]
    }

    fn scores(fused: &[Fused]) -> Vec<f64> {
        fused.iter().map(|fused| fused.score).collect()
    }

    #[track_caller]
    fn assert_close(actual: &[f64], expected: &[f64]) {
        assert_eq!(actual.len(), expected.len());
        for (actual, expected) in actual.iter().zip(expected) {
            assert!((actual - expected).abs() < 1e-9, "{actual} is not {expected}");
        }
    }

    #[test]
    fn ranks_are_fused_by_their_reciprocals() {
        let fused = fuse(SearchMode::Hybrid, &rule(FusionMethod::Rrf, 1.0, 1.0), three());
        assert_close(&scores(&fused), &[1.0 / 61.0 + 1.0 / 62.0, 1.0 / 62.0, 1.0 / 61.0]);
        let by_words = rule(FusionMethod::Rrf, 0.5, 3.0);
        let fused = fuse(SearchMode::Hybrid, &by_words, three());
        assert_close(&scores(&fused), &[0.5 / 61.0 + 3.0 / 62.0, 0.5 / 62.0, 3.0 / 61.0]);
        assert_eq!(formula(SearchMode::Hybrid, &by_words, &fused[0]), "0.5/(60+1) + 3/(60+2)");
        let plain = rule(FusionMethod::Rrf, 1.0, 1.0);
        assert_eq!(formula(SearchMode::Hybrid, &plain, &fuse(SearchMode::Hybrid, &plain, three())[2]), "1/(60+1)");
    }

    #[test]
    fn scores_are_normalized_over_the_candidates() {
        let even = rule(FusionMethod::Weighted, 1.0, 1.0);
        let fused = fuse(SearchMode::Hybrid, &even, three());
        // Cosines 0.9 and 0.5 become 1 and 0; BM25 6 and 8 become 0.75 and 1.
        assert_close(&scores(&fused), &[(1.0 + 0.75) / 2.0, 0.0, 0.5]);
        assert_eq!(formula(SearchMode::Hybrid, &even, &fused[0]), "(1 × 1 + 1 × 0.75) / 2");
        let fused = fuse(SearchMode::Hybrid, &rule(FusionMethod::Weighted, 3.0, 1.0), three());
        assert_close(&scores(&fused), &[(3.0 + 0.75) / 4.0, 0.0, 0.25]);
        // One candidate is the best there is.
        let one = fuse(SearchMode::Hybrid, &even, vec![candidate(0, Some((1, -0.2)), Some((1, 0.0)))]);
        assert_close(&scores(&one), &[1.0]);
    }

    #[test]
    fn one_half_alone_keeps_its_score() {
        let any = rule(FusionMethod::Weighted, 5.0, 0.0);
        let fused = fuse(SearchMode::Vector, &any, vec![candidate(0, Some((1, 0.5)), None)]);
        assert_eq!((fused[0].score, formula(SearchMode::Vector, &any, &fused[0])), (0.5, "cosine".to_owned()));
        let fused = fuse(SearchMode::Text, &any, vec![candidate(0, None, Some((1, 7.5)))]);
        assert_eq!((fused[0].score, formula(SearchMode::Text, &any, &fused[0])), (7.5, "BM25".to_owned()));
    }

    proptest! {
        #[test]
        fn the_parts_add_up_to_the_score(
            halves in proptest::collection::vec((proptest::option::of(-1.0_f32..1.0), proptest::option::of(0.0_f32..50.0)), 0..40),
            vector_weight in 0.01_f64..10.0,
            text_weight in 0.0_f64..10.0,
            weighted in any::<bool>(),
        ) {
            let method = if weighted { FusionMethod::Weighted } else { FusionMethod::Rrf };
            let candidates: Vec<Candidate> = (1..)
                .zip(halves)
                .map(|(rank, (vector, text))| candidate(rank, vector.map(|score| (rank, score)), text.map(|score| (rank, score))))
                .collect();
            for fused in fuse(SearchMode::Hybrid, &rule(method, vector_weight, text_weight), candidates) {
                let parts = [fused.vector, fused.text];
                let sum: f64 = parts.iter().flatten().map(|part| part.contribution).sum();
                prop_assert!((sum - fused.score).abs() < 1e-12);
                prop_assert!(!weighted || (0.0..=1.0 + 1e-12).contains(&fused.score));
            }
        }
    }
}
