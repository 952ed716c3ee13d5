//! Both halves of a search over one moment of a collection, and their fusion.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::Arc,
    time::Instant,
};

use plasma_kernel::{CollectionId, Error, Result};

use super::{
    SearchMode, VectorReason, explain,
    filter::Filter,
    nearest::{VectorHit, from_nodes, nearest},
};
use crate::{
    index::{
        CollectionStatistics, Doubts, Snapshot, SnapshotText, TextHit, low_bits,
        memory::{CollectionView, DocumentEntry},
        query::TextQuery,
        vectors::VectorsStatus,
    },
    limits,
    nodes::{ShardsReport, search::NodesAnswer},
    store::passages::PassagePlace,
};

/// Passages that each half proposes at least: fusion looks beyond the results that are shown.
const CANDIDATES_MIN: usize = 100;

/// What is searched for.
pub(super) struct Plan {
    pub(super) collection: CollectionId,
    pub(super) mode: SearchMode,
    pub(super) limit: usize,
    pub(super) filter: Filter,
    pub(super) text: TextQuery,
    /// Present in the modes that compare meanings.
    pub(super) vector: Option<Arc<[f32]>>,
}

/// What was found.
pub(super) struct Ranked {
    /// Best first.
    pub(super) best: Vec<RankedPassage>,
    /// Passages that each half was asked for.
    pub(super) candidates_max: usize,
    pub(super) passages: usize,
    pub(super) vector_ms: f64,
    pub(super) text_ms: f64,
    pub(super) warnings: Vec<String>,
    /// What one half found and the view does not have: it is left out.
    pub(super) doubts: Doubts,
    /// A file of the vector index is damaged.
    pub(super) is_damaged: bool,
    /// Which shards answered, when the vectors are on search nodes.
    pub(super) shards: Option<ShardsReport>,
}

/// A passage with its place in the ranking, without its text.
pub(super) struct RankedPassage {
    pub(super) document: Arc<DocumentEntry>,
    pub(super) ordinal: u32,
    pub(super) score: f64,
    pub(super) vector: Option<VectorReason>,
    /// Rank and BM25.
    pub(super) text: Option<(u32, f32)>,
}

impl RankedPassage {
    /// Where its text is found.
    pub(super) fn place(&self) -> PassagePlace {
        (self.document.id, self.document.version, self.ordinal)
    }
}

/// A passage in the view: the place of its document, and its ordinal.
type Place = (usize, u32);

/// What the half that compares meanings says.
#[derive(Default)]
struct ByMeaning {
    hits: Vec<VectorHit>,
    doubts: Doubts,
    is_damaged: bool,
    /// Why it says nothing.
    unavailable: Option<String>,
}

#[derive(Default)]
struct Candidate {
    vector: Option<VectorReason>,
    /// Rank and BM25.
    text: Option<(u32, f32)>,
}

impl Candidate {
    fn score(&self, mode: SearchMode) -> f64 {
        match mode {
            SearchMode::Vector => self.vector.as_ref().map_or(0.0, |reason| f64::from(reason.similarity)),
            SearchMode::Text => self.text.map_or(0.0, |(_, bm25)| f64::from(bm25)),
            SearchMode::Hybrid => {
                let ranks = [self.vector.as_ref().map(|reason| reason.rank), self.text.map(|(rank, _)| rank)];
                ranks.into_iter().flatten().map(explain::reciprocal_rank).sum()
            }
        }
    }
}

fn milliseconds(started: Instant) -> f64 {
    started.elapsed().as_secs_f64() * 1_000.0
}

fn rank_of(place: usize) -> u32 {
    u32::try_from(place + 1).unwrap_or(u32::MAX)
}

/// Passages that each half is asked for.
pub(super) fn candidates_max(limit: usize) -> usize {
    CANDIDATES_MIN.max(3 * limit)
}

/// Runs the search. Only computes: no SQL, no model.
pub(super) fn rank(plan: &Plan, snapshot: &Snapshot) -> Result<Ranked> {
    let view = &snapshot.view;
    let mut warnings = Vec::new();
    let allowed = allowed_documents(plan, view, &mut warnings);
    let passages = match &allowed {
        None => view.passages,
        Some(allowed) => {
            allowed.iter().filter_map(|place| view.documents.get(*place)).map(|found| found.passages as usize).sum()
        }
    };
    let candidates_max = candidates_max(plan.limit);
    let mut candidates: HashMap<Place, Candidate> = HashMap::new();
    let started = Instant::now();
    let by_meaning = by_meaning(plan, snapshot, candidates_max, allowed.as_deref(), &mut warnings)?;
    for (place, hit) in by_meaning.hits.iter().enumerate() {
        let reason = VectorReason { rank: rank_of(place), similarity: hit.similarity };
        candidates.entry((hit.document, hit.ordinal)).or_default().vector = Some(reason);
    }
    let nodes = snapshot.nodes.as_ref();
    let vector_ms = milliseconds(started) + nodes.map_or(0.0, |nodes| nodes.took_ms);
    let shards = nodes.map(|nodes| nodes.report.clone());
    let started = Instant::now();
    let mut doubts = by_meaning.doubts;
    if plan.mode != SearchMode::Vector {
        let by_words = ByWords { plan, snapshot, limit: candidates_max, is_alone: by_meaning.unavailable.is_some() };
        let found = by_words.hits(allowed.as_deref(), &mut warnings)?;
        let placed = found.iter().filter_map(|hit| Some((place_of(view, hit)?, hit.score)));
        for (place, (at, score)) in placed.enumerate() {
            candidates.entry(at).or_default().text = Some((rank_of(place), score));
        }
        let unplaced = found.iter().filter(|hit| place_of(view, hit).is_none());
        doubts.documents.extend(unplaced.map(|hit| hit.document));
    }
    let text_ms = milliseconds(started);
    let best = best(plan, view, candidates);
    let is_damaged = by_meaning.is_damaged;
    Ok(Ranked { best, candidates_max, passages, vector_ms, text_ms, warnings, doubts, is_damaged, shards })
}

/// What the vectors find, nearest first.
fn by_meaning(
    plan: &Plan,
    snapshot: &Snapshot,
    limit: usize,
    allowed: Option<&[usize]>,
    warnings: &mut Vec<String>,
) -> Result<ByMeaning> {
    let Some(query) = &plan.vector else { return Ok(ByMeaning::default()) };
    if let Some(nodes) = &snapshot.nodes {
        return by_nodes(plan, &snapshot.view, nodes, warnings);
    }
    let mut found = ByMeaning::default();
    match &snapshot.vectors {
        VectorsStatus::Complete => {}
        VectorsStatus::Building(progress) => warnings.push(format!(
            "the vector index is being built anew ({} of {} passages): some passages are not found by their meaning yet",
            progress.done, progress.total
        )),
        VectorsStatus::Failed(reason) => found.unavailable = Some(reason.clone()),
    }
    if found.unavailable.is_none() {
        match nearest(&snapshot.view, query, limit, allowed) {
            Ok(nearest) => {
                // What a filter leaves is no fair sample of what searches scan.
                if let (Some(work), Some(vectors), None) = (&nearest.work, &snapshot.view.vectors, allowed) {
                    snapshot.slot.vectors.note_search(query, work, vectors);
                }
                (found.hits, found.doubts) = (nearest.hits, nearest.doubts);
            }
            Err(error) => {
                tracing::warn!(%error, collection = %plan.collection, "the vectors do not answer");
                found.is_damaged = error.needs_rebuild();
                found.unavailable = Some("it is damaged and is built anew".to_owned());
            }
        }
    }
    if let Some(reason) = &found.unavailable {
        if plan.mode == SearchMode::Vector && !found.is_damaged {
            return Err(vectors_unavailable(reason));
        }
        warnings.push(format!("results are ranked by words only: the vector index does not answer ({reason})"));
    }
    Ok(found)
}

/// What the search nodes found, nearest first.
fn by_nodes(plan: &Plan, view: &CollectionView, nodes: &NodesAnswer, warnings: &mut Vec<String>) -> Result<ByMeaning> {
    let mut found = ByMeaning::default();
    if let Some(reason) = nodes.failure() {
        if plan.mode == SearchMode::Vector {
            let message = format!("no search node that has this collection's vectors answers: {reason}");
            return Err(Error::unavailable("search_nodes_unavailable", message)
                .retry_after_ms(5_000)
                .remedy("try again in a moment, or search in the mode `text`"));
        }
        warnings.push(format!("results are ranked by words only: no search node answers ({reason})"));
        found.unavailable = Some(reason.to_owned());
        return Ok(found);
    }
    warnings.extend(nodes.warnings());
    let nearest = from_nodes(view, &nodes.hits);
    (found.hits, found.doubts) = (nearest.hits, nearest.doubts);
    Ok(found)
}

fn vectors_unavailable(reason: &str) -> Error {
    Error::unavailable("vector_index_unavailable", format!("the vector index does not answer: {reason}"))
        .retry_after_ms(5_000)
        .remedy("try again in a moment; it repairs itself")
}

/// The places of documents that the filter lets through; `None` when there is no filter.
pub(super) fn allowed_documents(plan: &Plan, view: &CollectionView, warnings: &mut Vec<String>) -> Option<Vec<usize>> {
    if plan.filter.is_empty() {
        return None;
    }
    let documents = view.documents.iter().enumerate();
    let allowed: Vec<usize> =
        documents.filter(|(_, document)| plan.filter.accepts(&document.metadata)).map(|(place, _)| place).collect();
    if allowed.is_empty() && !view.documents.is_empty() {
        let known: BTreeSet<&str> =
            view.documents.iter().flat_map(|document| document.metadata.keys().map(String::as_str)).collect();
        for name in plan.filter.unknown_names(&known) {
            let names: Vec<&str> = known.iter().copied().take(limits::METADATA_FIELDS_MAX).collect();
            let name: String = name.chars().take(limits::METADATA_NAME_CHARS_MAX).collect();
            warnings.push(if names.is_empty() {
                format!("no document has the metadata field `{name}`; none has any")
            } else {
                format!("no document has the metadata field `{name}`; there are: {}", names.join(", "))
            });
        }
    }
    Some(allowed)
}

/// The half that looks up words.
struct ByWords<'a> {
    plan: &'a Plan,
    snapshot: &'a Snapshot,
    limit: usize,
    /// The other half does not answer.
    is_alone: bool,
}

impl ByWords<'_> {
    /// What the text index finds, best first.
    fn hits(&self, allowed: Option<&[usize]>, warnings: &mut Vec<String>) -> Result<Vec<TextHit>> {
        let plan = self.plan;
        let searcher = match &self.snapshot.text {
            SnapshotText::Complete(searcher) => searcher,
            SnapshotText::Incomplete(searcher) => {
                warnings.push(
                    "the text index is being built anew: some passages are not found by their words yet".to_owned(),
                );
                searcher
            }
            SnapshotText::Unavailable(reason) => return self.unavailable(reason, warnings),
        };
        let view = &self.snapshot.view;
        if plan.text.shortened {
            warnings.push(format!("only the first {} different words were looked up", limits::QUERY_WORDS_MAX));
        }
        let Some(query) = plan.text.build(searcher.words(), plan.collection) else { return Ok(Vec::new()) };
        let allowed: Option<HashSet<u64>> = allowed.map(|allowed| {
            let allowed = allowed.iter().filter_map(|place| view.documents.get(*place));
            allowed.map(|document| low_bits(document.id)).collect()
        });
        let statistics = CollectionStatistics { passages: view.passages as u64, words: view.words };
        searcher.search(&query, statistics, self.limit, allowed.map(Arc::new))
    }

    fn unavailable(&self, reason: &str, warnings: &mut Vec<String>) -> Result<Vec<TextHit>> {
        if self.is_alone || self.plan.mode == SearchMode::Text {
            let message = format!("the text index does not answer: {reason}");
            return Err(Error::unavailable("text_index_unavailable", message)
                .retry_after_ms(5_000)
                .remedy("try again in a moment; it repairs itself"));
        }
        warnings.push(format!("results are ranked by meaning only: the text index does not answer ({reason})"));
        Ok(Vec::new())
    }
}

/// Where the view has what the text index found; `None` when they hold different versions of the document.
fn place_of(view: &CollectionView, hit: &TextHit) -> Option<Place> {
    let place = view.place(hit.document)?;
    let document = view.documents.get(place)?;
    (document.version == hit.version && hit.ordinal < document.passages).then_some((place, hit.ordinal))
}

fn best(plan: &Plan, view: &CollectionView, candidates: HashMap<Place, Candidate>) -> Vec<RankedPassage> {
    let mut scored: Vec<(f64, Place, Candidate)> =
        candidates.into_iter().map(|(place, candidate)| (candidate.score(plan.mode), place, candidate)).collect();
    let similarity = |candidate: &Candidate| candidate.vector.as_ref().map_or(-1.0, |reason| reason.similarity);
    scored.sort_by(|left, right| {
        right
            .0
            .total_cmp(&left.0)
            .then_with(|| similarity(&right.2).total_cmp(&similarity(&left.2)))
            .then_with(|| left.1.cmp(&right.1))
    });
    scored.truncate(plan.limit);
    let ranked = scored.into_iter().filter_map(|(score, (place, ordinal), candidate)| {
        let document = Arc::clone(view.documents.get(place)?);
        Some(RankedPassage { document, ordinal, score, vector: candidate.vector, text: candidate.text })
    });
    ranked.collect()
}
