//! Why a passage was found, in words and numbers.

use super::{Fusion, SearchMode, TextReason, VectorReason, Why};

/// Where the ranks of reciprocal rank fusion begin to differ little: 60, as in its first publication (Cormack, Clarke and
/// Büttcher 2009).
pub(crate) const FUSION_K: u32 = 60;

/// What a rank adds to a fused score.
pub(crate) fn reciprocal_rank(rank: u32) -> f64 {
    1.0 / f64::from(FUSION_K + rank)
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

/// Puts the two reasons into a sentence and a formula.
pub(crate) fn why(mode: SearchMode, vector: Option<VectorReason>, text: Option<TextReason>, candidates: usize) -> Why {
    let summary = match (&vector, &text) {
        (Some(vector), Some(text)) => format!("ranked {} and {}", by_meaning(vector), by_words(text)),
        (Some(vector), None) if mode == SearchMode::Hybrid => {
            format!("ranked {}; not among the first {candidates} by words", by_meaning(vector))
        }
        (None, Some(text)) if mode == SearchMode::Hybrid => {
            format!("ranked {}; not among the first {candidates} by meaning", by_words(text))
        }
        (Some(vector), None) => format!("ranked {}", by_meaning(vector)),
        (None, Some(text)) => format!("ranked {}", by_words(text)),
        (None, None) => String::new(),
    };
    let fusion = fusion(mode, vector.as_ref(), text.as_ref());
    Why { summary, vector, text, fusion }
}

fn fusion(mode: SearchMode, vector: Option<&VectorReason>, text: Option<&TextReason>) -> Fusion {
    match mode {
        SearchMode::Vector => {
            Fusion { formula: "cosine".to_owned(), score: vector.map_or(0.0, |reason| f64::from(reason.similarity)) }
        }
        SearchMode::Text => {
            Fusion { formula: "BM25".to_owned(), score: text.map_or(0.0, |reason| f64::from(reason.bm25)) }
        }
        SearchMode::Hybrid => {
            let ranks: Vec<u32> =
                [vector.map(|reason| reason.rank), text.map(|reason| reason.rank)].into_iter().flatten().collect();
            let parts: Vec<String> = ranks.iter().map(|rank| format!("1/({FUSION_K}+{rank})")).collect();
            Fusion { formula: parts.join(" + "), score: ranks.iter().copied().map(reciprocal_rank).sum() }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_reads_well() {
        let vector = VectorReason { rank: 1, similarity: 0.834 };
        let text = TextReason { rank: 13, bm25: 7.12, terms: vec!["budget".to_owned(), "plan".to_owned()] };
        let both = why(SearchMode::Hybrid, Some(vector.clone()), Some(text.clone()), 100);
        assert_eq!(both.summary, "ranked 1st by meaning (cosine 0.83) and 13th by words (BM25 7.1: budget, plan)");
        assert_eq!(both.fusion.formula, "1/(60+1) + 1/(60+13)");
        assert!((both.fusion.score - (1.0 / 61.0 + 1.0 / 73.0)).abs() < 1e-12);
        let one = why(SearchMode::Hybrid, Some(vector), None, 100);
        assert_eq!(one.summary, "ranked 1st by meaning (cosine 0.83); not among the first 100 by words");
        assert_eq!(why(SearchMode::Text, None, Some(text), 100).fusion.formula, "BM25");
        assert_eq!(["1st", "2nd", "3rd", "4th", "11th", "22nd"], [1, 2, 3, 4, 11, 22].map(ordinal));
    }
}
