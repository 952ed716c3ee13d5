//! Passages near to a query by meaning, of collections whose vectors are on search nodes.

use std::sync::Arc;

use plasma_kernel::{Ctx, Result};

use super::{allowed::Allowed, off_runtime, rank::Plan};
use crate::{
    Knowledge,
    index::{low_bits, memory::CollectionView},
    nodes::{
        placement::Placement,
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
        let (planned, moment) = (Arc::clone(plan), Arc::clone(view));
        let filter = off_runtime(move || filter(&planned, &moment)).await?;
        let query = NodesQuery {
            tenant: ctx.tenant()?,
            collection: plan.collection,
            vector: Arc::clone(vector),
            vectors: plan.generation,
            limit: plan.asked_of_nodes(),
            filter,
            wanted: self.index().expected(),
        };
        Ok(self.nodes().nearest(&placement.serving, query).await)
    }
}

/// The documents that the search may show, as nodes are told.
fn filter(plan: &Plan, view: &CollectionView) -> NodesFilter {
    // Ranking asks for the same once more: it is remembered with the view.
    let selection = view.select(&plan.filter, &plan.viewer);
    selection.allowed.as_deref().map_or(NodesFilter::All, |allowed| filter_of(view, allowed))
}

/// A short list of those that may be found, or of those that may not.
fn filter_of(view: &CollectionView, allowed: &Allowed) -> NodesFilter {
    let all = view.documents.len();
    let listed: Vec<(u64, u32)> = allowed
        .iter()
        .filter_map(|place| view.documents.get(place))
        .map(|document| (low_bits(document.id), document.passages))
        .collect();
    if listed.len() <= LISTED_MAX {
        return NodesFilter::Only(listed);
    }
    if all.saturating_sub(listed.len()) <= LISTED_MAX {
        let except = view.documents.iter().enumerate().filter(|(place, _)| !allowed.contains(*place));
        return NodesFilter::Except(except.map(|(_, document)| low_bits(document.id)).collect());
    }
    #[allow(clippy::cast_precision_loss)] // a share
    let share = listed.len() as f64 / all.max(1) as f64;
    NodesFilter::Most { allowed: listed, share }
}

#[cfg(test)]
mod tests {
    use plasma_kernel::KnowledgeDocumentId;

    use super::*;
    use crate::{
        Metadata,
        index::{language::Language, memory::DocumentEntry},
        search::allowed::Bitmap,
    };

    fn view(documents: usize) -> CollectionView {
        let entry = |id: usize| {
            Arc::new(DocumentEntry {
                id: KnowledgeDocumentId::from_bits(id as u128),
                version: 1,
                title: String::new(),
                metadata: Metadata::new(),
                language: Language::default(),
                created_at: 0,
                updated_at: 0,
                access: None,
                passages: 2,
            })
        };
        CollectionView::new((0..documents).map(entry).collect(), None)
    }

    fn allowed(places: impl Iterator<Item = usize>) -> Allowed {
        let mut bits = Bitmap::empty(3 * LISTED_MAX);
        places.for_each(|place| bits.insert(place));
        Allowed::new(bits, |_| 2)
    }

    #[test]
    fn the_shorter_list_is_sent() {
        let view = view(3 * LISTED_MAX);
        let few = filter_of(&view, &allowed(0..10));
        assert!(matches!(few, NodesFilter::Only(listed) if listed.len() == 10 && listed[3] == (3, 2)));
        let most = filter_of(&view, &allowed((0..3 * LISTED_MAX).filter(|place| *place != 5 && *place != 77)));
        assert!(matches!(most, NodesFilter::Except(except) if except == [5, 77]));
        let half = filter_of(&view, &allowed((0..3 * LISTED_MAX).step_by(2)));
        let NodesFilter::Most { allowed: listed, share } = half else { panic!("not listed") };
        assert!(listed.len() == 3 * LISTED_MAX / 2 && (share - 0.5).abs() < 1e-9);
        let nothing = allowed(std::iter::empty());
        assert!(matches!(filter_of(&view, &nothing), NodesFilter::Only(listed) if listed.is_empty()));
    }
}
