//! Both halves of a search over one moment of a collection, and their fusion.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::Arc,
    time::Instant,
};

use plasma_kernel::{CollectionId, Error, Result};

use super::{
    Facet, SearchMode, VectorReason, explain, facets,
    filter::Filter,
    nearest::{VectorHit, nearest},
    words::{Allowance, Lexical},
};
use crate::{
    index::{
        Doubts, PassageKey, Snapshot, TextHit, low_bits,
        memory::{CollectionView, DocumentEntry},
        query::TextQuery,
        query_resolve::{ResolvedQuery, TextOptions},
        vectors::VectorsStatus,
    },
    limits,
    store::passages::PassagePlace,
};

/// Passages that each half proposes at least: fusion looks beyond the results that are shown.
const CANDIDATES_MIN: usize = 100;
/// How many times more passages the half by meaning proposes when signs in the query may leave some of them out.
const CANDIDATES_WITH_SIGNS: usize = 5;

/// What is searched for.
pub(super) struct Plan {
    pub(super) collection: CollectionId,
    pub(super) mode: SearchMode,
    pub(super) limit: usize,
    pub(super) filter: Filter,
    pub(super) text: TextQuery,
    pub(super) words: TextOptions,
    pub(super) facets: Vec<String>,
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
    /// The query as the collection's words were asked for.
    pub(super) query: ResolvedQuery,
    pub(super) facets: Vec<Facet>,
    /// What one half found and the view does not have: it is left out.
    pub(super) doubts: Doubts,
    /// A file of the vector index is damaged.
    pub(super) is_damaged: bool,
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

/// What a search may find.
#[derive(Clone, Copy)]
struct May<'a> {
    /// Documents that the filter lets through; `None` when there is no filter.
    documents: Option<&'a [usize]>,
    /// Passages that the query's signs let through.
    passages: &'a Allowance,
}

impl May<'_> {
    fn has(self, view: &CollectionView, hit: &VectorHit) -> bool {
        let key = |document: &Arc<DocumentEntry>| PassageKey::new(document.id, document.version, hit.ordinal);
        self.passages.is_any()
            || view.documents.get(hit.document).is_some_and(|document| self.passages.allows(key(document)))
    }
}

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
    let candidates_max = CANDIDATES_MIN.max(3 * plan.limit);
    let mut candidates: HashMap<Place, Candidate> = HashMap::new();
    let started = Instant::now();
    let lexical = Lexical::new(&plan.text, &plan.words, plan.mode, (plan.collection, &snapshot.text), &mut warnings)?;
    let allowance = lexical.allowance()?;
    let mut text_ms = milliseconds(started);
    let started = Instant::now();
    let may = May { documents: allowed.as_deref(), passages: &allowance };
    let by_meaning = by_meaning(plan, snapshot, candidates_max, may, &mut warnings)?;
    for (place, hit) in by_meaning.hits.iter().enumerate() {
        let reason = VectorReason { rank: rank_of(place), similarity: hit.similarity };
        candidates.entry((hit.document, hit.ordinal)).or_default().vector = Some(reason);
    }
    let vector_ms = milliseconds(started);
    let started = Instant::now();
    let mut doubts = by_meaning.doubts;
    if plan.mode != SearchMode::Vector {
        if by_meaning.unavailable.is_some() {
            lexical.expect_answer()?;
        }
        let lows = allowed.as_deref().map(|allowed| Arc::new(lows(view, allowed)));
        let found = lexical.hits(candidates_max, lows)?;
        let placed = found.iter().filter_map(|hit| Some((place_of(view, hit)?, hit.score)));
        for (place, (at, score)) in placed.enumerate() {
            candidates.entry(at).or_default().text = Some((rank_of(place), score));
        }
        let unplaced = found.iter().filter(|hit| place_of(view, hit).is_none());
        doubts.documents.extend(unplaced.map(|hit| hit.document));
    }
    let facets = counted(plan, view, allowed.as_deref(), &lexical, &mut warnings)?;
    text_ms += milliseconds(started);
    let best = best(plan, view, candidates);
    let (query, is_damaged) = (lexical.query, by_meaning.is_damaged);
    Ok(Ranked { best, candidates_max, passages, vector_ms, text_ms, warnings, query, facets, doubts, is_damaged })
}

fn lows(view: &CollectionView, allowed: &[usize]) -> HashSet<u64> {
    allowed.iter().filter_map(|place| view.documents.get(*place)).map(|document| low_bits(document.id)).collect()
}

/// The facets that were asked for, over all documents that the search concerns.
fn counted(
    plan: &Plan,
    view: &CollectionView,
    allowed: Option<&[usize]>,
    lexical: &Lexical<'_>,
    warnings: &mut Vec<String>,
) -> Result<Vec<Facet>> {
    if plan.facets.is_empty() {
        return Ok(Vec::new());
    }
    let with_words = if plan.mode == SearchMode::Vector { None } else { lexical.documents()? };
    let places: Vec<usize> = allowed.map_or_else(|| (0..view.documents.len()).collect(), <[usize]>::to_vec);
    let documents: Vec<_> = places
        .iter()
        .filter_map(|place| view.documents.get(*place))
        .filter(|document| with_words.as_ref().is_none_or(|found| found.contains(&low_bits(document.id))))
        .collect();
    let facets = facets::count(&plan.facets, documents.iter().map(|document| &document.metadata));
    let empty = facets.iter().filter(|facet| facet.values.is_empty() && facet.missing > 0);
    warnings.extend(empty.map(|facet| format!("none of these documents has the metadata field `{}`", facet.field)));
    Ok(facets)
}

/// What the vectors find, nearest first.
fn by_meaning(
    plan: &Plan,
    snapshot: &Snapshot,
    limit: usize,
    may: May<'_>,
    warnings: &mut Vec<String>,
) -> Result<ByMeaning> {
    let Some(query) = &plan.vector else { return Ok(ByMeaning::default()) };
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
        let view = &snapshot.view;
        let proposed = if may.passages.is_any() { limit } else { CANDIDATES_WITH_SIGNS * limit };
        match nearest(view, query, proposed, may.documents) {
            Ok(nearest) => {
                // What a filter or signs leave is no fair sample of what searches scan.
                if let (Some(work), Some(vectors), None, true) =
                    (&nearest.work, &view.vectors, may.documents, may.passages.is_any())
                {
                    snapshot.slot.vectors.note_search(query, work, vectors);
                }
                found.hits = nearest.hits.into_iter().filter(|hit| may.has(view, hit)).take(limit).collect();
                found.doubts = nearest.doubts;
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

fn vectors_unavailable(reason: &str) -> Error {
    Error::unavailable("vector_index_unavailable", format!("the vector index does not answer: {reason}"))
        .retry_after_ms(5_000)
        .remedy("try again in a moment; it repairs itself")
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
