//! Passages near to a query by meaning, of collections whose vectors are on search nodes.

use std::sync::Arc;

use plasma_kernel::{Ctx, Result};

use super::{
    off_runtime,
    rank::{Plan, allowed_documents, candidates_max},
};
use crate::{
    Knowledge,
    index::{low_bits, memory::CollectionView},
    nodes::{
        placement::{Placement, VECTORS_GENERATION},
        search::{NodesAnswer, NodesFilter, NodesQuery},
    },
};

/// Documents that a statement lists at most, unless nothing else finds enough.
const LISTED_MAX: usize = 10_000;

impl Knowledge {
    /// What the search nodes answer; `None` when the vectors are in the process's own index, or when nobody asks for them.
    ///
    /// # Errors
    /// `unavailable` or `internal` from the database. What goes wrong on nodes is in the answer.
    pub(super) async fn ask_nodes(
        &self,
        ctx: &Ctx,
        plan: &Arc<Plan>,
        view: &Arc<CollectionView>,
    ) -> Result<Option<NodesAnswer>> {
        let Some(vector) = plan.vector.as_ref() else { return Ok(None) };
        let placement = self.placement(ctx, plan.collection).await?;
        if placement.serving.is_in_process() {
            return Ok(None);
        }
        // A query without a direction is near to nothing.
        if view.passages == 0 || vector.iter().all(|number| *number == 0.0) {
            return Ok(Some(NodesAnswer::default()));
        }
        let answer = self.ask_place(ctx, plan, view, vector, &placement).await?;
        if answer.failure().is_none() {
            return Ok(Some(answer));
        }
        // The collection may have been moved by another process a moment ago.
        self.caches().forget(ctx.tenant()?);
        let now = self.placement(ctx, plan.collection).await?;
        if now.serving == placement.serving {
            return Ok(Some(answer));
        }
        if now.serving.is_in_process() {
            return Ok(None);
        }
        self.ask_place(ctx, plan, view, vector, &now).await.map(Some)
    }

    async fn ask_place(
        &self,
        ctx: &Ctx,
        plan: &Arc<Plan>,
        view: &Arc<CollectionView>,
        vector: &Arc<[f32]>,
        placement: &Placement,
    ) -> Result<NodesAnswer> {
        let filter = if plan.filter.is_empty() {
            NodesFilter::All
        } else {
            let (plan, view) = (Arc::clone(plan), Arc::clone(view));
            off_runtime(move || filter(&plan, &view)).await?
        };
        let query = NodesQuery {
            tenant: ctx.tenant()?,
            collection: plan.collection,
            vector: Arc::clone(vector),
            vectors: VECTORS_GENERATION,
            limit: candidates_max(plan.limit),
            filter,
            wanted: self.index().expected(),
        };
        Ok(self.nodes().nearest(&placement.serving, query).await)
    }
}

/// The documents that the plan's filter lets through, as nodes are told.
fn filter(plan: &Plan, view: &CollectionView) -> NodesFilter {
    // Ranking says the same once more, with what there is to warn of.
    match allowed_documents(plan, view, &mut Vec::new()) {
        None => NodesFilter::All,
        Some(allowed) => filter_of(view, &allowed),
    }
}

/// A short list of those that may be found, or of those that may not.
fn filter_of(view: &CollectionView, allowed: &[usize]) -> NodesFilter {
    let all = view.documents.len();
    let held_back = all.saturating_sub(allowed.len());
    if allowed.len() > LISTED_MAX && held_back <= LISTED_MAX {
        let mut rest = allowed.iter().copied().peekable();
        let except = view.documents.iter().enumerate().filter(|(place, _)| rest.next_if_eq(place).is_none());
        return NodesFilter::Except(except.map(|(_, document)| low_bits(document.id)).collect());
    }
    let places = allowed.iter().filter_map(|place| view.documents.get(*place));
    let listed: Vec<(u64, u32)> = places.map(|document| (low_bits(document.id), document.passages)).collect();
    if listed.len() <= LISTED_MAX {
        return NodesFilter::Only(listed);
    }
    NodesFilter::Most { allowed: listed, share: allowed.len() as f64 / all.max(1) as f64 }
}

#[cfg(test)]
mod tests {
    use plasma_kernel::KnowledgeDocumentId;

    use super::*;
    use crate::{Metadata, index::memory::DocumentEntry};

    fn view(documents: usize) -> CollectionView {
        let entry = |id: usize| {
            Arc::new(DocumentEntry {
                id: KnowledgeDocumentId::from_bits(id as u128),
                version: 1,
                title: String::new(),
                metadata: Metadata::new(),
                created_at: 0,
                updated_at: 0,
                passages: 2,
                words: 0,
            })
        };
        CollectionView::new((0..documents).map(entry).collect(), None)
    }

    #[test]
    fn the_shorter_list_is_sent() {
        let view = view(3 * LISTED_MAX);
        let few: Vec<usize> = (0..10).collect();
        assert!(
            matches!(filter_of(&view, &few), NodesFilter::Only(listed) if listed.len() == 10 && listed[3] == (3, 2))
        );
        let most: Vec<usize> = (0..3 * LISTED_MAX).filter(|place| *place != 5 && *place != 77).collect();
        assert!(matches!(filter_of(&view, &most), NodesFilter::Except(except) if except == [5, 77]));
        let half: Vec<usize> = (0..3 * LISTED_MAX).step_by(2).collect();
        assert!(
            matches!(filter_of(&view, &half), NodesFilter::Most { allowed, share } if allowed.len() == half.len() && (share - 0.5).abs() < 1e-9)
        );
    }
}
