//! Two rankings become one.
//!
//! **Reciprocal rank fusion** (Cormack, Clarke and Büttcher: Reciprocal rank fusion outperforms Condorcet and individual rank
//! learning methods, SIGIR 2009): a passage at rank r of a half gets weight / (k + r) from it. Only ranks count, so that nothing
//! need be known of the scores.
//!
//! **Weighted score**: the mean of both scores by their weights, after both were brought to one scale. Cosines count from the lowest of
//! the first hundred candidates (min-max normalisation, as in Lee: Analyses of multiple evidence combination, SIGIR 1997), for real
//! embeddings never come near the -1 that a cosine could be. BM25 counts from 0, its least possible value, so that the last
//! candidate is not taken for one without any word (the theoretical minimum of Bruch, Gai and Ingber: An analysis of fusion
//! functions for hybrid retrieval, ACM TOIS 2023). 1 is the third best candidate, not the best: a passage that stands far above
//! all others, such as a copy of the query, would press the rest together at 0. The best two may so have more than 1. Who is no
//! candidate of a half gets 0 of it.

use super::{
    SearchMode,
    settings::{FusionMethod, FusionRule},
};

/// The candidate of this place from the top is 1 on the scale, where there are enough of them.
const SCALE_TOP: usize = 3;
/// The candidate of this place is 0 for cosines, or the last where there are fewer: so that a score does not depend on how many
/// results were wanted.
const SCALE_BOTTOM: usize = 100;
/// With fewer candidates the best is 1.
const SCALE_CANDIDATES_MIN: usize = 10;

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

/// The scores of a half's candidates that are 0 and 1 on the common scale.
#[derive(Clone, Copy)]
struct Scale {
    zero: f64,
    one: f64,
}

impl Scale {
    /// From `zero`, or else from the lowest of the first hundred scores.
    fn of(scores: impl Iterator<Item = f32>, zero: Option<f64>) -> Self {
        let mut scores: Vec<f64> = scores.map(f64::from).collect();
        scores.sort_unstable_by(|left, right| right.total_cmp(left));
        let zero = zero.or(scores.get(SCALE_BOTTOM - 1).or(scores.last()).copied()).unwrap_or(0.0);
        let best = scores.first().copied().unwrap_or(0.0);
        let third = scores.get(SCALE_TOP - 1).copied().filter(|third| {
            // Where all but one or two are equal, the best must stay above them.
            scores.len() >= SCALE_CANDIDATES_MIN && *third > zero
        });
        Self { zero, one: third.unwrap_or(best) }
    }

    /// At least 0. Where all are equal, each is 1.
    fn normalize(self, score: f32) -> f64 {
        let width = self.one - self.zero;
        if width > 0.0 { ((f64::from(score) - self.zero) / width).max(0.0) } else { 1.0 }
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
            let cosines = candidates.iter().filter_map(|candidate| candidate.vector).map(|found| found.score);
            let cosines = Scale::of(cosines, None);
            let bm25 = candidates.iter().filter_map(|candidate| candidate.text).map(|found| found.score);
            let bm25 = Scale::of(bm25, Some(0.0));
            let weights = rule.vector_weight + rule.text_weight;
            let by_score = |scale: Scale, weight: f64| {
                move |found: Found| {
                    let normalized = scale.normalize(found.score);
                    Part { found, normalized, weight, contribution: weight / weights * normalized }
                }
            };
            let by_vector = by_score(cosines, rule.vector_weight);
            let by_text = by_score(bm25, rule.text_weight);
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
    fn one_far_above_all_does_not_press_the_others_together() {
        let even = rule(FusionMethod::Weighted, 1.0, 1.0);
        let with_best = |best: f32| {
            let words = (0..12_u8).map(|place| if place == 0 { best } else { 13.0 - f32::from(place) });
            let candidates =
                (0..).zip(words).map(|(passage, score)| candidate(passage, None, Some((passage + 1, score))));
            scores(&fuse(SearchMode::Hybrid, &even, candidates.collect()))
        };
        // The third has 11.
        let (near, far) = (with_best(13.0), with_best(300.0));
        assert_close(&near[..3], &[13.0 / 11.0 / 2.0, 12.0 / 11.0 / 2.0, 0.5]);
        assert_close(&near[1..], &far[1..]);
        assert!(far[0] > 10.0);
        // All but the first are equal, and as low as a cosine of the candidates can be.
        let equal =
            (0..12).map(|passage| candidate(passage, Some((passage + 1, if passage == 0 { 0.9 } else { 0.1 })), None));
        let fused = scores(&fuse(SearchMode::Hybrid, &even, equal.collect()));
        assert_close(&fused[..2], &[0.5, 0.0]);
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
                prop_assert!(fused.score >= 0.0);
            }
        }
    }
}
