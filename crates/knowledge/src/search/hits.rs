//! From places in a collection's view to the results that are shown.

use std::{collections::HashMap, sync::Arc};

use plasma_kernel::{Ctx, Result};
use plasma_vectors::Work;

use super::{
    Duplicate, FilterExplanation, Finished, FusionMethod, Hit, SearchExplanation, SearchMode,
    diversity::{Folded, Item},
    filter::Filter,
    fusion::Place,
    highlight::Matcher,
    rank::{Plan, Ranked},
    terms,
    why::Teller,
};
use crate::{
    Knowledge,
    index::{Snapshot, memory::CollectionView},
    store::passages::{PassagePlace, ShownPassage},
};

/// Passages as they are shown, by their places in one view.
#[derive(Default)]
pub(super) struct Shown {
    passages: HashMap<Place, Arc<ShownPassage>>,
}

impl Shown {
    /// A passage that was read and is still there.
    pub(super) fn get(&self, place: Place) -> Option<&ShownPassage> {
        self.passages.get(&place).map(Arc::as_ref)
    }

    /// Its text.
    pub(super) fn text(&self, place: Place) -> Option<&str> {
        self.get(place).map(|passage| passage.text.as_str())
    }

    /// Reads these passages too. Those that are gone by now are left out.
    pub(super) async fn read(
        &mut self,
        knowledge: &Knowledge,
        ctx: &Ctx,
        view: &CollectionView,
        places: &[Place],
    ) -> Result<()> {
        let key = |place: Place| {
            let document = view.documents.get(place.0)?;
            Some((place, (document.id, document.version, place.1)))
        };
        let absent = places.iter().copied().filter(|place| !self.passages.contains_key(place));
        let absent: HashMap<Place, PassagePlace> = absent.filter_map(key).collect();
        if absent.is_empty() {
            return Ok(());
        }
        let keys: Vec<PassagePlace> = absent.values().copied().collect();
        let mut found = knowledge.passages(ctx, &keys).await?;
        let read = absent.into_iter().filter_map(|(place, key)| Some((place, found.remove(&key)?)));
        self.passages.extend(read);
        Ok(())
    }
}

/// The results. What cannot be read any more is left out.
pub(super) fn hits(plan: &Plan, snapshot: &Snapshot, ranked: &Ranked, finished: &Finished) -> Vec<Hit> {
    let teller = Teller { mode: plan.mode, ranking: &plan.ranking, candidates_max: plan.candidates_max() };
    let mut matcher = Matcher::new(&ranked.query);
    let items = finished.items.iter();
    let found = items.filter_map(|item| hit((plan, teller), snapshot, &mut matcher, item, &finished.shown));
    let mut hits: Vec<(Place, Hit)> = found.collect();
    if plan.explain {
        let mut terms = terms::term_scores(plan, snapshot, ranked, &finished.items);
        let items: HashMap<Place, &Item> = finished.items.iter().map(|item| (item.place(), item)).collect();
        for (place, hit) in &mut hits {
            let terms = terms.remove(&*place).unwrap_or_default();
            hit.explanation = items.get(&*place).map(|item| teller.explanation(item, terms));
        }
    }
    hits.into_iter().map(|(_, hit)| hit).collect()
}

fn hit(
    (plan, teller): (&Plan, Teller<'_>),
    snapshot: &Snapshot,
    matcher: &mut Matcher<'_>,
    item: &Item,
    shown: &Shown,
) -> Option<(Place, Hit)> {
    let (document, ordinal) = item.place();
    let document = snapshot.view.documents.get(document)?;
    let passage = shown.get(item.place())?;
    let heading = passage.heading.as_deref();
    let stemming = document.language.stemming();
    let terms = match item.fused.text {
        Some(_) => matcher.matched_words(stemming, &document.title, heading, &passage.text),
        None => Vec::new(),
    };
    let hit = Hit {
        passage_id: passage.id,
        document_id: document.id,
        collection_id: plan.collection,
        title: document.title.clone(),
        heading: passage.heading.clone(),
        text: passage.text.clone(),
        start: passage.start,
        end: passage.end,
        ordinal,
        metadata: document.metadata.clone(),
        score: item.score,
        highlights: matcher.highlights(stemming, &passage.text),
        why: teller.why(item, terms),
        duplicates: item.duplicates.iter().filter_map(|folded| duplicate(snapshot, folded, shown)).collect(),
        explanation: None,
    };
    Some((item.place(), hit))
}

fn duplicate(snapshot: &Snapshot, folded: &Folded, shown: &Shown) -> Option<Duplicate> {
    let (document, ordinal) = folded.place;
    let document = snapshot.view.documents.get(document)?;
    Some(Duplicate {
        passage_id: shown.get(folded.place)?.id,
        document_id: document.id,
        title: document.title.clone(),
        ordinal,
        score: folded.score,
        similarity: folded.similarity,
    })
}

/// What a search looked at and did, in words and numbers.
pub(super) fn explained(plan: &Plan, snapshot: &Snapshot, ranked: &Ranked, finished: &Finished) -> SearchExplanation {
    // What may be seen without the filter: how much there is beside it is nobody's business.
    let seen = snapshot.view.select(&Filter::default(), &plan.viewer);
    let all = seen.allowed.as_ref().map_or(snapshot.view.passages as u64, |allowed| allowed.passages());
    #[allow(clippy::cast_precision_loss)] // a share
    let selectivity = if all == 0 { 1.0 } else { ranked.passages as f64 / all as f64 };
    SearchExplanation {
        candidates: ranked.candidates,
        filter: FilterExplanation { filtered: !plan.filter.is_empty(), passages: ranked.passages, selectivity },
        vector_effort: ranked.work.map(effort),
        folded: finished.folded,
        reranked: finished.reranked,
        stages: stages(plan, ranked, finished),
    }
}

fn effort(work: Work) -> String {
    let Work { exact, partitions, scanned, compared } = work;
    if exact {
        return format!("all of {compared} vectors were compared exactly");
    }
    format!("{scanned} codes in {partitions} partitions were scanned, and the best {compared} vectors compared exactly")
}

fn stages(plan: &Plan, ranked: &Ranked, finished: &Finished) -> Vec<String> {
    let ranking = &plan.ranking;
    let found = ranked.candidates;
    let mut stages = Vec::new();
    if plan.vector.is_some() {
        stages.push(format!("found {} passages by meaning, of {} at most", found.vector, found.limit));
    }
    if plan.mode != SearchMode::Vector {
        stages.push(format!("found {} passages by words, of {} at most", found.text, found.limit));
    }
    if plan.mode == SearchMode::Hybrid {
        let rule = &ranking.fusion;
        let weights = format!("weights {} for meaning, {} for words", rule.vector_weight, rule.text_weight);
        stages.push(match rule.method {
            FusionMethod::Rrf => format!("fused both by reciprocal ranks (k {}, {weights})", rule.k),
            FusionMethod::Weighted => format!("fused both by their normalised scores ({weights})"),
        });
    }
    if let Some(rule) = &ranking.recency {
        stages.push(format!("added up to {:.0}% for newness by `{}`", 100.0 * rule.weight, rule.field));
    }
    if let Some(rule) = &ranking.popularity {
        stages.push(format!("added up to {:.0}% for popularity by `{}`", 100.0 * rule.weight, rule.field));
    }
    if ranking.deduplicate {
        stages.push(format!("folded {} near-identical passages into better ones", finished.folded));
    }
    if let Some(rule) = &ranking.rerank {
        stages.push(match finished.reranked {
            0 => format!("the reranker `{}` had no say", rule.model),
            count => format!("`{}` read {count} passages and ordered them anew", rule.model),
        });
    }
    if ranking.diversity > 0.0 {
        stages.push(format!("chose results by maximal marginal relevance (diversity {})", ranking.diversity));
    }
    if let Some(count) = ranking.per_document {
        stages.push(format!("took at most {count} passages of a document"));
    }
    stages
}
