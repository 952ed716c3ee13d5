//! Ranked passages with their texts, as an answer shows them.

use std::{collections::HashMap, sync::Arc};

use super::{
    Hit, TextReason, explain,
    rank::{Plan, RankedPassage},
};
use crate::store::passages::{PassagePlace, ShownPassage};

/// The hits of an answer, best first. Those without a text are left out.
pub(super) fn hits(
    plan: &Plan,
    best: Vec<RankedPassage>,
    passages: &HashMap<PassagePlace, Arc<ShownPassage>>,
    candidates_max: usize,
) -> Vec<Hit> {
    let shown = best.into_iter().filter_map(|ranked| {
        let passage = passages.get(&ranked.place())?;
        Some(hit(plan, ranked, passage, candidates_max))
    });
    shown.collect()
}

fn hit(plan: &Plan, ranked: RankedPassage, passage: &ShownPassage, candidates_max: usize) -> Hit {
    let document = &ranked.document;
    let heading = passage.heading.as_deref();
    let text = ranked.text.map(|(rank, bm25)| TextReason {
        rank,
        bm25,
        terms: explain::matched_words(&plan.text, &document.title, heading, &passage.text),
    });
    Hit {
        passage_id: passage.id,
        document_id: document.id,
        collection_id: plan.collection,
        title: document.title.clone(),
        heading: heading.map(str::to_owned),
        text: passage.text.clone(),
        start: passage.start,
        end: passage.end,
        ordinal: ranked.ordinal,
        metadata: document.metadata.clone(),
        score: ranked.score,
        highlights: explain::highlights(&plan.text, &passage.text),
        why: explain::why(plan.mode, ranked.vector, text, candidates_max),
    }
}
