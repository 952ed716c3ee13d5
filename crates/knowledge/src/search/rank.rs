//! Both halves of a search over one moment of a collection, and their fusion.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::Arc,
    time::Instant,
};

use plasma_kernel::{CollectionId, Error, KnowledgeDocumentId, Result};

use super::{
    Hit, SearchMode, TextReason, VectorReason, explain,
    filter::Filter,
    nearest::{VectorHit, nearest},
};
use crate::{
    index::{
        CollectionStatistics, Snapshot, SnapshotText, TextHit, low_bits, memory::CollectionView, query::TextQuery,
    },
    limits,
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
    /// Of the vectors that this one can be compared with.
    pub(super) generation: u64,
}

/// What was found.
pub(super) struct Ranked {
    pub(super) hits: Vec<Hit>,
    pub(super) passages: usize,
    pub(super) vector_ms: f64,
    pub(super) text_ms: f64,
    pub(super) warnings: Vec<String>,
    /// Documents of which the text index has another version than the view: their passages are left out.
    pub(super) doubtful: Vec<KnowledgeDocumentId>,
}

/// A passage's place in the view: document and passage.
type Place = (usize, usize);

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

/// Runs the search. Only computes: no SQL, no model.
pub(super) fn rank(plan: &Plan, snapshot: &Snapshot) -> Result<Ranked> {
    let view = &snapshot.view;
    let mut warnings = Vec::new();
    let allowed = allowed_documents(plan, view, &mut warnings);
    let passages = match &allowed {
        None => view.passages,
        Some(allowed) => {
            allowed.iter().filter_map(|place| view.documents.get(*place)).map(|document| document.passages.len()).sum()
        }
    };
    let candidates_max = CANDIDATES_MIN.max(3 * plan.limit);
    let mut candidates: HashMap<Place, Candidate> = HashMap::new();
    let started = Instant::now();
    if let Some(query) = &plan.vector {
        for (place, hit) in nearest_hits(view, query, candidates_max, allowed.as_deref()).into_iter().enumerate() {
            let reason = VectorReason { rank: rank_of(place), similarity: hit.similarity };
            candidates.entry((hit.document, hit.passage)).or_default().vector = Some(reason);
        }
    }
    let vector_ms = milliseconds(started);
    let started = Instant::now();
    let mut doubtful = Vec::new();
    if plan.mode != SearchMode::Vector {
        let found = text_hits(plan, snapshot, candidates_max, allowed.as_deref(), &mut warnings)?;
        let placed = found.iter().filter_map(|hit| Some((place_of(view, hit)?, hit.score)));
        for (place, (at, score)) in placed.enumerate() {
            candidates.entry(at).or_default().text = Some((rank_of(place), score));
        }
        doubtful = found.iter().filter(|hit| place_of(view, hit).is_none()).map(|hit| hit.document).collect();
    }
    let text_ms = milliseconds(started);
    let hits = best(plan, view, candidates, candidates_max);
    Ok(Ranked { hits, passages, vector_ms, text_ms, warnings, doubtful })
}

fn nearest_hits(view: &CollectionView, query: &[f32], limit: usize, allowed: Option<&[usize]>) -> Vec<VectorHit> {
    match allowed {
        None => nearest(view, query, limit, 0..view.documents.len()),
        Some(allowed) => nearest(view, query, limit, allowed.iter().copied()),
    }
}

/// The places of documents that the filter lets through; `None` when there is no filter.
fn allowed_documents(plan: &Plan, view: &CollectionView, warnings: &mut Vec<String>) -> Option<Vec<usize>> {
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

/// What the text index finds, best first.
fn text_hits(
    plan: &Plan,
    snapshot: &Snapshot,
    limit: usize,
    allowed: Option<&[usize]>,
    warnings: &mut Vec<String>,
) -> Result<Vec<TextHit>> {
    let searcher = match &snapshot.text {
        SnapshotText::Complete(searcher) => searcher,
        SnapshotText::Incomplete(searcher) => {
            warnings
                .push("the text index is being built anew: some passages are not found by their words yet".to_owned());
            searcher
        }
        SnapshotText::Unavailable(reason) => return unavailable(plan, reason, warnings),
    };
    let view = &snapshot.view;
    if plan.text.shortened {
        warnings.push(format!("only the first {} different words were looked up", limits::QUERY_WORDS_MAX));
    }
    let Some(query) = plan.text.build(searcher.words(), plan.collection) else { return Ok(Vec::new()) };
    let allowed: Option<HashSet<u64>> = allowed.map(|allowed| {
        allowed.iter().filter_map(|place| view.documents.get(*place)).map(|document| low_bits(document.id)).collect()
    });
    let statistics = CollectionStatistics { passages: view.passages as u64, words: view.words };
    searcher.search(&query, statistics, limit, allowed.map(Arc::new))
}

fn unavailable(plan: &Plan, reason: &str, warnings: &mut Vec<String>) -> Result<Vec<TextHit>> {
    if plan.mode == SearchMode::Text {
        return Err(Error::unavailable("text_index_unavailable", format!("the text index does not answer: {reason}"))
            .retry_after_ms(5_000)
            .remedy("try again in a moment; it repairs itself"));
    }
    warnings.push(format!("results are ranked by meaning only: the text index does not answer ({reason})"));
    Ok(Vec::new())
}

/// Where the view has what the text index found; `None` when they hold different versions of the document.
fn place_of(view: &CollectionView, hit: &TextHit) -> Option<Place> {
    let place = view.place(hit.document)?;
    let document = view.documents.get(place).filter(|document| document.version == hit.version)?;
    document.passage(hit.ordinal)?;
    Some((place, usize::try_from(hit.ordinal).ok()?))
}

fn best(plan: &Plan, view: &CollectionView, candidates: HashMap<Place, Candidate>, candidates_max: usize) -> Vec<Hit> {
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
    scored
        .into_iter()
        .filter_map(|(score, place, candidate)| hit(plan, view, place, score, candidate, candidates_max))
        .collect()
}

fn hit(
    plan: &Plan,
    view: &CollectionView,
    (document, passage): Place,
    score: f64,
    candidate: Candidate,
    candidates_max: usize,
) -> Option<Hit> {
    let document = view.documents.get(document)?;
    let passage = document.passages.get(passage)?;
    let heading = passage.heading.as_deref();
    let text = candidate.text.map(|(rank, bm25)| TextReason {
        rank,
        bm25,
        terms: explain::matched_words(&plan.text, &document.title, heading, &passage.text),
    });
    Some(Hit {
        passage_id: passage.id,
        document_id: document.id,
        collection_id: plan.collection,
        title: document.title.clone(),
        heading: heading.map(str::to_owned),
        text: passage.text.to_string(),
        start: passage.start,
        end: passage.end,
        ordinal: passage.ordinal,
        metadata: document.metadata.clone(),
        score,
        highlights: explain::highlights(&plan.text, &passage.text),
        why: explain::why(plan.mode, candidate.vector, text, candidates_max),
    })
}
