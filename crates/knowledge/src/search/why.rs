//! Why a passage stands where it stands, in words and numbers.

use super::{
    ComponentSource, Explanation, Fusion, RerankReason, ScoreComponent, SearchMode, TermScore, TextReason,
    VectorReason, Why,
    diversity::Item,
    fusion::{self, Part},
    settings::{FusionMethod, Ranking},
    signals::Signal,
};

/// What a reason is told with.
#[derive(Clone, Copy)]
pub(super) struct Teller<'a> {
    pub(super) mode: SearchMode,
    pub(super) ranking: &'a Ranking,
    /// Passages that each half proposes at most.
    pub(super) candidates_max: usize,
}

fn ordinal(rank: u32) -> String {
    let suffix = match (rank % 10, rank % 100) {
        (_, 11..=13) => "th",
        (1, _) => "st",
        (2, _) => "nd",
        (3, _) => "rd",
        _ => "th",
    };
    format!("{rank}{suffix}")
}

fn by_meaning(reason: &VectorReason) -> String {
    format!("{} by meaning (cosine {:.2})", ordinal(reason.rank), reason.similarity)
}

fn by_words(reason: &TextReason) -> String {
    if reason.terms.is_empty() {
        return format!("{} by words (BM25 {:.1})", ordinal(reason.rank), reason.bm25);
    }
    format!("{} by words (BM25 {:.1}: {})", ordinal(reason.rank), reason.bm25, reason.terms.join(", "))
}

impl Teller<'_> {
    /// The reasons of a result in a sentence and a formula. `terms` are the words that it has of the query.
    pub(super) fn why(&self, item: &Item, terms: Vec<String>) -> Why {
        let vector = item.fused.vector.map(|part| VectorReason { rank: part.found.rank, similarity: part.found.score });
        let text = item.fused.text.map(|part| TextReason { rank: part.found.rank, bm25: part.found.score, terms });
        let rerank = item.reranked.zip(self.ranking.rerank.as_ref()).map(|(word, rule)| RerankReason {
            model: rule.model.clone(),
            rank: word.rank,
            score: word.raw,
        });
        let fusion =
            Fusion { formula: fusion::formula(self.mode, &self.ranking.fusion, &item.fused), score: item.fused.score };
        Why {
            summary: self.summary(item, vector.as_ref(), text.as_ref(), rerank.as_ref()),
            vector,
            text,
            fusion,
            rerank,
        }
    }

    fn summary(
        &self,
        item: &Item,
        vector: Option<&VectorReason>,
        text: Option<&TextReason>,
        rerank: Option<&RerankReason>,
    ) -> String {
        let candidates = self.candidates_max;
        let mut summary = match (vector, text) {
            (Some(vector), Some(text)) => format!("ranked {} and {}", by_meaning(vector), by_words(text)),
            (Some(vector), None) if self.mode == SearchMode::Hybrid => {
                format!("ranked {}; not among the first {candidates} by words", by_meaning(vector))
            }
            (None, Some(text)) if self.mode == SearchMode::Hybrid => {
                format!("ranked {}; not among the first {candidates} by meaning", by_words(text))
            }
            (Some(vector), None) => format!("ranked {}", by_meaning(vector)),
            (None, Some(text)) => format!("ranked {}", by_words(text)),
            (None, None) => String::new(),
        };
        if let Some(rerank) = rerank {
            summary.push_str(&format!("; {} for the reranker ({:.2})", ordinal(rerank.rank), rerank.score));
        }
        // Under a tenth of a percent is not worth a word.
        let gain = item.signals.contribution(1.0);
        if gain > 0.001 {
            summary.push_str(&format!("; {:.1}% more for what its document is", 100.0 * gain));
        }
        if let Some(penalty) = item.penalty.filter(|penalty| penalty.similarity > 0.0) {
            summary.push_str(&format!("; {:.2} like a better result", penalty.similarity));
        }
        summary
    }

    /// Every part of a result's score; `terms` are those of its BM25.
    pub(super) fn explanation(&self, item: &Item, terms: Vec<TermScore>) -> Explanation {
        let mut components = Vec::new();
        components.extend(item.fused.vector.map(|part| self.half(ComponentSource::Vector, part)));
        let by_words = |part| ScoreComponent { terms, ..self.half(ComponentSource::Text, part) };
        components.extend(item.fused.text.map(by_words));
        components.extend(self.rerank(item));
        components.extend(self.recency(item));
        components.extend(self.popularity(item));
        components.extend(diversity(item));
        Explanation { components, score: item.score }
    }

    fn half(&self, source: ComponentSource, part: Part) -> ScoreComponent {
        let (name, raw) = match source {
            ComponentSource::Text => ("by words", format!("BM25 {:.2}", part.found.score)),
            _ => ("by meaning", format!("cosine {:.3}", part.found.score)),
        };
        let rank = part.found.rank;
        let rule = &self.ranking.fusion;
        let summary = match (self.mode, rule.method) {
            (SearchMode::Vector | SearchMode::Text, _) => {
                format!("{} {name}, by its {raw}", ordinal(rank))
            }
            (SearchMode::Hybrid, FusionMethod::Rrf) => {
                format!("{} {name} ({raw}), which counts 1 / ({} + {rank})", ordinal(rank), rule.k)
            }
            (SearchMode::Hybrid, FusionMethod::Weighted) => {
                let all = rule.vector_weight + rule.text_weight;
                format!(
                    "{} {name}: {raw} is {:.3} where the third best candidate is 1, and counts {} of {all}",
                    ordinal(rank),
                    part.normalized,
                    part.weight
                )
            }
        };
        ScoreComponent {
            source,
            summary,
            rank: Some(rank),
            raw: Some(f64::from(part.found.score)),
            normalized: Some(part.normalized),
            weight: Some(part.weight),
            contribution: part.contribution,
            terms: Vec::new(),
        }
    }

    fn rerank(&self, item: &Item) -> Option<ScoreComponent> {
        let word = item.reranked?;
        let model = &self.ranking.rerank.as_ref()?.model;
        let fused = item.fused.score;
        Some(ScoreComponent {
            source: ComponentSource::Rerank,
            summary: format!(
                "{} for the reranker `{model}`: its {:.3} of 0 to 1 takes the place of the {fused:.4} before",
                ordinal(word.rank),
                word.normalized
            ),
            rank: Some(word.rank),
            raw: Some(word.raw),
            normalized: Some(word.normalized),
            weight: None,
            contribution: word.normalized - fused,
            terms: Vec::new(),
        })
    }

    fn recency(&self, item: &Item) -> Option<ScoreComponent> {
        let rule = self.ranking.recency.as_ref()?;
        let field = &rule.field;
        let summary = match item.signals.recency {
            Some(signal) => format!(
                "{:.1} days old by `{field}`: {:.1}% of its relevance, of {:.1}% for what is new, halved every {} days",
                signal.raw,
                100.0 * signal.weight * signal.value,
                100.0 * signal.weight,
                rule.half_life_days
            ),
            None => format!("its document has no time in `{field}`"),
        };
        Some(component(ComponentSource::Recency, summary, item.signals.recency, rule.weight, item.relevance()))
    }

    fn popularity(&self, item: &Item) -> Option<ScoreComponent> {
        let rule = self.ranking.popularity.as_ref()?;
        let field = &rule.field;
        let summary = match item.signals.popularity {
            Some(signal) => format!(
                "`{field}` is {}: {:.1}% of its relevance, of {:.1}% for the candidate with the largest, by logarithms",
                signal.raw,
                100.0 * signal.weight * signal.value,
                100.0 * signal.weight
            ),
            None => format!("its document has no number in `{field}`"),
        };
        Some(component(ComponentSource::Popularity, summary, item.signals.popularity, rule.weight, item.relevance()))
    }
}

fn component(
    source: ComponentSource,
    summary: String,
    signal: Option<Signal>,
    weight: f64,
    relevance: f64,
) -> ScoreComponent {
    ScoreComponent {
        source,
        summary,
        rank: None,
        raw: signal.map(|signal| signal.raw),
        normalized: signal.map(|signal| signal.value),
        weight: Some(weight),
        contribution: signal.map_or(0.0, |signal| signal.contribution(relevance)),
        terms: Vec::new(),
    }
}

fn diversity(item: &Item) -> Option<ScoreComponent> {
    let penalty = item.penalty?;
    let summary = if penalty.similarity > 0.0 {
        format!(
            "cosine {:.3} to the most alike of the better results: with diversity {} that takes of the score",
            penalty.similarity, penalty.weight
        )
    } else {
        format!("like none of the better results: diversity {} takes its share of every score", penalty.weight)
    };
    Some(ScoreComponent {
        source: ComponentSource::Diversity,
        summary,
        rank: None,
        raw: Some(penalty.similarity),
        normalized: Some(penalty.similarity),
        weight: Some(penalty.weight),
        contribution: penalty.contribution,
        terms: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::search::{
        SearchRequest,
        diversity::{Penalty, Reranked},
        fusion::{Candidate, Found, fuse},
        settings::RankingSettings,
        signals::Signals,
    };

    fn ranking(settings: serde_json::Value) -> Ranking {
        let settings: RankingSettings = serde_json::from_value(settings).unwrap();
        Ranking::for_request(&settings, &SearchRequest::default()).unwrap()
    }

    fn item(mode: SearchMode, ranking: &Ranking, vector: Option<(u32, f32)>, text: Option<(u32, f32)>) -> Item {
        let found = |(rank, score)| Found { rank, score };
        let candidate = Candidate { place: (0, 0), vector: vector.map(found), text: text.map(found) };
        Item::new(fuse(mode, &ranking.fusion, vec![candidate]).remove(0), Signals::default())
    }

    fn words(terms: &[&str]) -> Vec<String> {
        terms.iter().map(|term| (*term).to_owned()).collect()
    }

    #[test]
    fn the_summary_reads_well() {
        let ranking = ranking(json!({"fusion": {"method": "rrf"}}));
        let teller = |mode| Teller { mode, ranking: &ranking, candidates_max: 100 };
        let hybrid = teller(SearchMode::Hybrid);
        let both = item(SearchMode::Hybrid, &ranking, Some((1, 0.834)), Some((13, 7.12)));
        let both = hybrid.why(&both, words(&["budget", "plan"]));
        assert_eq!(both.summary, "ranked 1st by meaning (cosine 0.83) and 13th by words (BM25 7.1: budget, plan)");
        assert_eq!(both.fusion.formula, "1/(60+1) + 1/(60+13)");
        assert!((both.fusion.score - (1.0 / 61.0 + 1.0 / 73.0)).abs() < 1e-12);
        let one = hybrid.why(&item(SearchMode::Hybrid, &ranking, Some((1, 0.834)), None), Vec::new());
        assert_eq!(one.summary, "ranked 1st by meaning (cosine 0.83); not among the first 100 by words");
        let text = item(SearchMode::Text, &ranking, None, Some((13, 7.12)));
        assert_eq!(teller(SearchMode::Text).why(&text, Vec::new()).fusion.formula, "BM25");
        assert_eq!(["1st", "2nd", "3rd", "4th", "11th", "22nd"], [1, 2, 3, 4, 11, 22].map(ordinal));
    }

    #[test]
    fn the_summary_names_what_else_counts() {
        let ranking = ranking(json!({"rerank": {"model": "acme/r"}, "recency": {}, "diversity": 0.3}));
        let mut item = item(SearchMode::Hybrid, &ranking, Some((2, 0.5)), None);
        item.reranked = Some(Reranked { rank: 1, raw: 0.91, normalized: 0.91 });
        item.signals.recency = Some(Signal { raw: 1.0, value: 0.5, weight: 0.2 });
        item.rescore();
        item.penalty = Some(Penalty { similarity: 0.42, weight: 0.3, contribution: -0.1 });
        let why = Teller { mode: SearchMode::Hybrid, ranking: &ranking, candidates_max: 100 }.why(&item, Vec::new());
        assert_eq!(
            why.summary,
            "ranked 2nd by meaning (cosine 0.50); not among the first 100 by words; 1st for the reranker (0.91); 10.0% more for \
             what its document is; 0.42 like a better result"
        );
        assert_eq!(why.rerank, Some(RerankReason { model: "acme/r".to_owned(), rank: 1, score: 0.91 }));
    }

    #[test]
    fn a_missing_field_is_told_and_adds_nothing() {
        let ranking = ranking(json!({"recency": {"field": "published"}, "popularity": {"field": "views"}}));
        let item = item(SearchMode::Vector, &ranking, Some((1, 0.5)), None);
        let teller = Teller { mode: SearchMode::Vector, ranking: &ranking, candidates_max: 100 };
        let explanation = teller.explanation(&item, Vec::new());
        let told: Vec<(ComponentSource, f64)> =
            explanation.components.iter().map(|component| (component.source, component.contribution)).collect();
        assert_eq!(
            told,
            [(ComponentSource::Vector, 0.5), (ComponentSource::Recency, 0.0), (ComponentSource::Popularity, 0.0)]
        );
        assert!(explanation.components[2].summary.contains("`views`"));
    }

    proptest! {
        #[test]
        fn all_components_add_up_to_the_score(
            cosine in -1.0_f32..1.0, bm25 in proptest::option::of(0.0_f32..40.0), weighted in any::<bool>(),
            reranked in proptest::option::of(0.0_f64..1.0), recency in 0.0_f64..1.0, popularity in 0.0_f64..1.0,
            diversity in 0.0_f64..1.0, likeness in 0.0_f64..1.0,
        ) {
            let method = if weighted { "weighted" } else { "rrf" };
            let ranking = ranking(json!({
                "fusion": {"method": method, "vector_weight": 2}, "rerank": {"model": "acme/r"}, "recency": {"weight": 1.5},
                "popularity": {"field": "views", "weight": 0.5}, "diversity": diversity
            }));
            let mut item = item(SearchMode::Hybrid, &ranking, Some((3, cosine)), bm25.map(|score| (7, score)));
            item.reranked = reranked.map(|score| Reranked { rank: 1, raw: score, normalized: score });
            item.signals.recency = Some(Signal { raw: 1.0, value: recency, weight: 1.5 });
            item.signals.popularity = Some(Signal { raw: 1.0, value: popularity, weight: 0.5 });
            item.rescore();
            let score = (1.0 - diversity) * item.score - diversity * likeness;
            item.penalty = Some(Penalty { similarity: likeness, weight: diversity, contribution: score - item.score });
            item.score = score;
            let explanation = Teller { mode: SearchMode::Hybrid, ranking: &ranking, candidates_max: 100 }.explanation(&item, Vec::new());
            let sum: f64 = explanation.components.iter().map(|component| component.contribution).sum();
            prop_assert!((sum - explanation.score).abs() < 1e-9, "{} is not {}", sum, explanation.score);
        }
    }
}
