//! What each word of a query adds to a passage's score, and in which field: for explanations.

use plasma_kernel::Result;
use tantivy::DocAddress;

use super::{
    query::Sign, query_build::Clauses, query_resolve::ResolvedQuery, text::PARTS, text_search::CollectionText,
};

/// Words and phrases whose parts are told; the rest of a long query is told as one.
const PIECES_MAX: usize = 16;

/// What one word or phrase adds to the scores of some passages.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct PieceScores {
    /// The word as it was typed; a phrase in quotes.
    pub(crate) shown: String,
    /// For each passage: in all, and in title, headings and text alone.
    pub(crate) scores: Vec<(f32, [f32; PARTS])>,
}

/// What the first words and phrases of the query add to the scores of the passages at these addresses.
///
/// # Errors
/// `unavailable` when the text index cannot be read.
pub(crate) fn piece_scores(
    query: &ResolvedQuery,
    boosts: [f32; PARTS],
    text: &mut CollectionText<'_>,
    passages: &[DocAddress],
) -> Result<Vec<PieceScores>> {
    let mut pieces: Vec<PieceScores> = Vec::new();
    for (shown, own) in single_pieces(query) {
        let in_fields = |boosts: [f32; PARTS], text: &mut CollectionText<'_>| -> Result<Vec<f32>> {
            match Clauses::new(&own, boosts, text)?.query() {
                Some(found) => text.scores(&*found, passages),
                None => Ok(vec![0.0; passages.len()]),
            }
        };
        let all = in_fields(boosts, text)?;
        let mut scores: Vec<(f32, [f32; PARTS])> = all.into_iter().map(|score| (score, [0.0; PARTS])).collect();
        for part in 0..PARTS {
            let alone = only(part, boosts);
            for ((_, parts), score) in scores.iter_mut().zip(in_fields(alone, text)?) {
                if let Some(place) = parts.get_mut(part) {
                    *place = score;
                }
            }
        }
        pieces.push(PieceScores { shown, scores });
    }
    Ok(pieces)
}

/// The factors of one field; the others count nothing.
fn only(part: usize, boosts: [f32; PARTS]) -> [f32; PARTS] {
    let mut alone = [0.0; PARTS];
    if let (Some(alone), Some(factor)) = (alone.get_mut(part), boosts.get(part)) {
        *alone = *factor;
    }
    alone
}

/// The query cut into words and phrases, each a query of its own. Signs say what must be there, and not what it is worth.
fn single_pieces(query: &ResolvedQuery) -> Vec<(String, ResolvedQuery)> {
    let empty = || ResolvedQuery { stemmings: query.stemmings.clone(), ..ResolvedQuery::default() };
    let words = query.words.iter().filter(|word| word.sign != Sign::Excluded).map(|word| {
        let shown = if word.prefix.is_some() { format!("{}*", word.word) } else { word.word.clone() };
        (shown, ResolvedQuery { words: vec![word.clone()], ..empty() })
    });
    let phrases = query.phrases.iter().filter(|phrase| phrase.sign != Sign::Excluded).map(|phrase| {
        let written: Vec<&str> = phrase.words.iter().map(|(_, word)| word.as_str()).collect();
        (format!("\"{}\"", written.join(" ")), ResolvedQuery { phrases: vec![phrase.clone()], ..empty() })
    });
    let replacements = query.replacements.iter().map(|replacement| {
        let shown = format!("synonyms of {}", replacement.from);
        (shown, ResolvedQuery { replacements: vec![replacement.clone()], ..empty() })
    });
    words.chain(phrases).chain(replacements).take(PIECES_MAX).collect()
}
