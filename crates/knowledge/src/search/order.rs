//! The order of a search's candidates: both halves fused, signals added, near-identical passages marked.

use super::{
    diversity::{self, Item, Wanted},
    fusion::{self, Candidate, Place},
    rank::Plan,
    signals::{self, Facts},
};
use crate::index::{PassageKey, memory::CollectionView};

/// How many different passages the stages after the shortlist need.
pub(super) fn wanted(plan: &Plan) -> Wanted {
    let ranking = &plan.ranking;
    // The reranker and diversity choose among more than what is shown.
    let count = match &ranking.rerank {
        Some(rule) => rule.top.max(plan.limit),
        None if ranking.diversity > 0.0 => usize::MAX,
        None => plan.limit,
    };
    let per_document = if count == usize::MAX { None } else { ranking.per_document };
    Wanted { count, per_document, deduplicate: ranking.deduplicate }
}

/// The candidates in their order, as many as are needed, and warnings.
pub(super) fn shortlisted(plan: &Plan, view: &CollectionView, candidates: Vec<Candidate>) -> (Vec<Item>, Vec<String>) {
    let fused = fusion::fuse(plan.mode, &plan.ranking.fusion, candidates);
    let places: Vec<Place> = fused.iter().map(|fused| fused.place).collect();
    let (signals, warnings) = signals::signals(&plan.ranking, plan.now, &places, |place| facts(view, place));
    let mut items: Vec<Item> =
        fused.into_iter().zip(signals).map(|(fused, signals)| Item::new(fused, signals)).collect();
    diversity::sort(&mut items);
    (diversity::shortlist(items, wanted(plan), |place| vector(view, place)), warnings)
}

/// The results of a shortlist that has been folded and reranked.
pub(super) fn arranged(plan: &Plan, view: &CollectionView, mut items: Vec<Item>) -> Vec<Item> {
    diversity::sort(&mut items);
    let ranking = &plan.ranking;
    diversity::arrange(items, ranking.diversity, plan.limit, ranking.per_document, |place| vector(view, place))
}

fn facts(view: &CollectionView, (document, _): Place) -> Option<Facts<'_>> {
    let document = view.documents.get(document)?;
    Some(Facts { created_at: document.created_at, updated_at: document.updated_at, metadata: &document.metadata })
}

/// The vector of a passage, where it has one that can be read: a damaged file is the search's own concern.
fn vector(view: &CollectionView, (document, ordinal): Place) -> Option<Vec<f32>> {
    let document = view.documents.get(document)?;
    let key = PassageKey::new(document.id, document.version, ordinal);
    view.vectors.as_ref()?.vector(key.bits()).ok().flatten()
}
