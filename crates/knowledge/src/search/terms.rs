//! BM25 of a result, word by word and field by field: for explanations.

use std::collections::HashMap;

use tantivy::DocAddress;

use super::{
    FieldScores, TermScore,
    diversity::Item,
    fusion::Place,
    rank::{Plan, Ranked},
};
use crate::index::{
    Snapshot, SnapshotText,
    query_pieces::{PieceScores, piece_scores},
};

/// Scores are told apart from this share on: sums of 32-bit numbers differ by less.
const SHARE_MIN: f32 = 1e-3;

/// What each word of the query adds to the results' BM25, by their places. Nothing where the text index does not answer any more.
pub(super) fn term_scores(
    plan: &Plan,
    snapshot: &Snapshot,
    ranked: &Ranked,
    items: &[Item],
) -> HashMap<Place, Vec<TermScore>> {
    let searcher = match &snapshot.text {
        SnapshotText::Complete(searcher) | SnapshotText::Incomplete(searcher) => searcher,
        SnapshotText::Unavailable(_) => return HashMap::new(),
    };
    let found = |item: &Item| {
        let address = ranked.addresses.get(&item.place())?;
        Some((item.place(), item.fused.text?.found.score, *address))
    };
    let found: Vec<(Place, f32, DocAddress)> = items.iter().filter_map(found).collect();
    if found.is_empty() {
        return HashMap::new();
    }
    let addresses: Vec<DocAddress> = found.iter().map(|(_, _, address)| *address).collect();
    let pieces = searcher
        .collection(plan.collection)
        .and_then(|mut text| piece_scores(&ranked.query, plan.words.boosts, &mut text, &addresses));
    match pieces {
        Ok(pieces) => {
            let of =
                |(at, (place, bm25, _)): (usize, &(Place, f32, DocAddress))| (*place, of_passage(&pieces, at, *bm25));
            found.iter().enumerate().map(of).collect()
        }
        Err(error) => {
            tracing::debug!(?error, "scores of words are not told");
            HashMap::new()
        }
    }
}

/// The words that a passage has, with what they add; all together add up to its BM25.
fn of_passage(pieces: &[PieceScores], at: usize, bm25: f32) -> Vec<TermScore> {
    let mut terms = Vec::new();
    let mut rest = bm25;
    for piece in pieces {
        let Some((score, fields)) = piece.scores.get(at).copied().filter(|(score, _)| *score > 0.0) else { continue };
        rest -= score;
        // Of several words that stand for one the best counts: it may be another in each field, so that these do not add up.
        let adds_up = (fields.iter().sum::<f32>() - score).abs() <= SHARE_MIN * score;
        let [title, heading, text] = fields.map(f64::from);
        let fields = adds_up.then_some(FieldScores { title, heading, text });
        terms.push(TermScore { term: piece.shown.clone(), score: f64::from(score), fields });
    }
    if rest > SHARE_MIN * bm25 {
        terms.push(TermScore { term: "other words".to_owned(), score: f64::from(rest), fields: None });
    }
    terms
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(shown: &str, score: f32, fields: [f32; 3]) -> PieceScores {
        PieceScores { shown: shown.to_owned(), scores: vec![(0.0, [0.0; 3]), (score, fields)] }
    }

    #[test]
    fn words_add_up_and_fields_are_told_where_they_do() {
        let pieces =
            [piece("budget", 4.0, [3.0, 0.0, 1.0]), piece("tv", 2.0, [1.5, 0.0, 1.0]), piece("rare", 0.0, [0.0; 3])];
        let terms = of_passage(&pieces, 1, 7.0);
        let told: Vec<(&str, f64)> = terms.iter().map(|term| (term.term.as_str(), term.score)).collect();
        assert_eq!(told, [("budget", 4.0), ("tv", 2.0), ("other words", 1.0)]);
        assert_eq!(terms[0].fields, Some(FieldScores { title: 3.0, heading: 0.0, text: 1.0 }));
        assert_eq!((terms[1].fields, terms[2].fields), (None, None));
        assert!(of_passage(&pieces, 0, 0.0).is_empty());
    }
}
