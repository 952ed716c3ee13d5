//! Both halves of a search over one moment of a collection, and the shortlist that is made of what they propose.

use std::{collections::HashMap, sync::Arc, time::Instant};

use plasma_kernel::{CollectionId, Error, Result, Timestamp};
use plasma_vectors::Work;
use tantivy::DocAddress;

use super::{
    CandidateCounts, Facet, SearchMode,
    allowed::Allowed,
    diversity::Item,
    facets,
    filter::Filter,
    fusion::{Candidate, Found, Place},
    milliseconds,
    nearest::{VectorHit, from_nodes, nearest},
    order,
    settings::Ranking,
    words::{Allowance, Lexical},
};
use crate::{
    access::Viewer,
    index::{
        Doubts, PassageKey, Snapshot, SnapshotText, TextHit, low_bits,
        memory::{CollectionView, DocumentEntry},
        query::TextQuery,
        query_resolve::{ResolvedQuery, TextOptions},
        vectors::{DAMAGED, VectorsStatus},
    },
    nodes::{ShardsReport, search::NodesAnswer},
};

/// Passages that each half proposes at least: fusion looks beyond the results that are shown.
const CANDIDATES_MIN: usize = 100;
/// The recall of the half by meaning holds for so many at least, and for as many as are shown.
const AIM_MIN: usize = 20;
/// How many times more passages the half by meaning proposes when signs in the query may leave some of them out.
const CANDIDATES_WITH_SIGNS: usize = 5;

/// What is searched for.
pub(super) struct Plan {
    pub(super) collection: CollectionId,
    pub(super) mode: SearchMode,
    pub(super) limit: usize,
    pub(super) filter: Filter,
    /// Only what they may see is found.
    pub(super) viewer: Viewer,
    /// What models read of the query; empty where there is only a vector.
    pub(super) query: String,
    pub(super) text: TextQuery,
    pub(super) words: TextOptions,
    pub(super) facets: Vec<String>,
    /// Present in the modes that compare meanings.
    pub(super) vector: Option<Arc<[f32]>>,
    /// Of the vectors that this one can be compared with.
    pub(super) generation: u64,
    pub(super) ranking: Ranking,
    /// What ages are reckoned from.
    pub(super) now: Timestamp,
    pub(super) explain: bool,
}

impl Plan {
    /// Passages that each half proposes at most.
    pub(super) fn candidates_max(&self) -> usize {
        CANDIDATES_MIN.max(3 * self.limit)
    }

    /// Passages that search nodes are asked for: signs in the query may leave some of them out.
    pub(super) fn asked_of_nodes(&self) -> usize {
        let wanted = self.candidates_max();
        if self.text.has_signs() { CANDIDATES_WITH_SIGNS * wanted } else { wanted }
    }
}

/// What was found.
pub(super) struct Ranked {
    /// In order, before the reranker and diversity; with suspects of being the same as a better one.
    pub(super) items: Vec<Item>,
    pub(super) candidates: CandidateCounts,
    /// The query as the collection's words are compared with it.
    pub(super) query: ResolvedQuery,
    /// Where the text index has the passages that it found; only for explanations.
    pub(super) addresses: HashMap<Place, DocAddress>,
    pub(super) facets: Vec<Facet>,
    /// Passages that the filter lets through, of documents that may be seen.
    pub(super) passages: u64,
    /// What finding the nearest passages took; `None` when nothing was compared.
    pub(super) work: Option<Work>,
    pub(super) vector_ms: f64,
    pub(super) text_ms: f64,
    pub(super) ranking_ms: f64,
    pub(super) warnings: Vec<String>,
    /// Whether something did not answer that would have had its say.
    pub(super) degraded: bool,
    /// What one half found and the view does not have: it is left out.
    pub(super) doubts: Doubts,
    /// A file of the vector index is damaged.
    pub(super) is_damaged: bool,
    /// Which shards answered, when the vectors are on search nodes.
    pub(super) shards: Option<ShardsReport>,
}

/// What the half that compares meanings says.
#[derive(Default)]
struct ByMeaning {
    hits: Vec<VectorHit>,
    work: Option<Work>,
    doubts: Doubts,
    is_damaged: bool,
    /// Why it says nothing.
    unavailable: Option<String>,
}

fn rank_of(place: usize) -> u32 {
    u32::try_from(place + 1).unwrap_or(u32::MAX)
}

fn proposed(candidates: &mut HashMap<Place, Candidate>, place: Place) -> &mut Candidate {
    candidates.entry(place).or_insert(Candidate { place, vector: None, text: None })
}

fn counts(candidates: &[Candidate], limit: usize) -> CandidateCounts {
    let of = |chosen: fn(&Candidate) -> bool| candidates.iter().filter(|candidate| chosen(candidate)).count() as u64;
    CandidateCounts {
        limit: limit as u64,
        vector: of(|candidate| candidate.vector.is_some()),
        text: of(|candidate| candidate.text.is_some()),
        both: of(|candidate| candidate.vector.is_some() && candidate.text.is_some()),
    }
}

/// Runs the search. Only computes: no SQL, no model.
pub(super) fn rank(plan: &Plan, snapshot: &Snapshot) -> Result<Ranked> {
    let view = &snapshot.view;
    let mut warnings = Vec::new();
    let selection = view.select(&plan.filter, &plan.viewer);
    warnings.extend(selection.warnings.iter().cloned());
    let allowed = selection.allowed.as_ref();
    let (mut candidates, mut addresses) = (HashMap::new(), HashMap::new());
    let started = Instant::now();
    let lexical = Lexical::new(&plan.text, &plan.words, plan.mode, (plan.collection, &snapshot.text), &mut warnings)?;
    let allowance = lexical.allowance()?;
    let mut text_ms = milliseconds(started);
    let started = Instant::now();
    let scope = Scope { allowed: allowed.map(|allowed| &**allowed), allowance: &allowance };
    let by_meaning = by_meaning(plan, snapshot, scope, &mut warnings)?;
    for (rank, hit) in by_meaning.hits.iter().enumerate() {
        let found = Found { rank: rank_of(rank), score: hit.similarity };
        proposed(&mut candidates, (hit.document, hit.ordinal)).vector = Some(found);
    }
    let nodes = snapshot.nodes.as_ref();
    let vector_ms = milliseconds(started) + nodes.map_or(0.0, |nodes| nodes.took_ms);
    let shards = nodes.map(|nodes| nodes.report.clone());
    let started = Instant::now();
    let mut doubts = by_meaning.doubts;
    if plan.mode != SearchMode::Vector {
        if by_meaning.unavailable.is_some() {
            lexical.expect_answer()?;
        }
        let found = lexical.hits(plan.candidates_max(), allowed.map(|allowed| view.allowed_lows(allowed)))?;
        let placed = found.iter().filter_map(|hit| Some((place_of(view, hit)?, hit)));
        for (rank, (place, hit)) in placed.enumerate() {
            proposed(&mut candidates, place).text = Some(Found { rank: rank_of(rank), score: hit.score });
            if plan.explain {
                addresses.insert(place, hit.address);
            }
        }
        let unplaced = found.iter().filter(|hit| place_of(view, hit).is_none());
        doubts.documents.extend(unplaced.map(|hit| hit.document));
    }
    let facets = counted(plan, view, scope.allowed, &lexical, &mut warnings)?;
    text_ms += milliseconds(started);
    let started = Instant::now();
    let candidates: Vec<Candidate> = candidates.into_values().collect();
    let counts = counts(&candidates, plan.candidates_max());
    let (items, more) = order::shortlisted(plan, view, candidates);
    warnings.extend(more);
    Ok(Ranked {
        items,
        candidates: counts,
        query: lexical.query,
        addresses,
        facets,
        passages: allowed.map_or(view.passages as u64, |allowed| allowed.passages()),
        work: by_meaning.work,
        vector_ms,
        text_ms,
        ranking_ms: milliseconds(started),
        warnings,
        degraded: is_degraded(plan, snapshot) || by_meaning.unavailable.is_some() || !doubts.is_empty(),
        doubts,
        is_damaged: by_meaning.is_damaged,
        shards,
    })
}

/// What a search may find at all.
#[derive(Clone, Copy)]
struct Scope<'a> {
    /// By the filter and by who looks.
    allowed: Option<&'a Allowed>,
    /// By the signs of the query.
    allowance: &'a Allowance,
}

/// Whether a half that the mode asks for lacks something.
fn is_degraded(plan: &Plan, snapshot: &Snapshot) -> bool {
    // Signs in the query are looked up in every mode.
    let asks_words = plan.mode != SearchMode::Vector || plan.text.has_signs();
    let text = asks_words && !matches!(snapshot.text, SnapshotText::Complete(_));
    let vectors = plan.mode != SearchMode::Text
        && match &snapshot.nodes {
            Some(nodes) => !nodes.is_whole(),
            None => snapshot.vectors != VectorsStatus::Complete,
        };
    text || vectors
}

/// What the vectors find, nearest first.
fn by_meaning(
    plan: &Plan,
    snapshot: &Snapshot,
    Scope { allowed, allowance }: Scope<'_>,
    warnings: &mut Vec<String>,
) -> Result<ByMeaning> {
    let Some(query) = &plan.vector else { return Ok(ByMeaning::default()) };
    if let Some(nodes) = &snapshot.nodes {
        return by_nodes(plan, &snapshot.view, nodes, Scope { allowed, allowance }, warnings);
    }
    let mut found = ByMeaning::default();
    match &snapshot.vectors {
        // Between two states of the index, as when it was filled and nobody has shown it to the searches yet.
        VectorsStatus::Complete if snapshot.view.lacks_vectors() => {
            found.unavailable = Some("it is being opened".to_owned());
        }
        VectorsStatus::Complete => {}
        VectorsStatus::Building(progress) => warnings.push(format!(
            "the vector index is being built anew ({} of {} passages): some passages are not found by their meaning yet",
            progress.done, progress.total
        )),
        VectorsStatus::Failed(reason) => found.unavailable = Some(reason.clone()),
    }
    if found.unavailable.is_none() {
        let limit = plan.candidates_max();
        let looked_at = if allowance.is_any() { limit } else { CANDIDATES_WITH_SIGNS * limit };
        // The best candidates are certain; the others help the words to find what both halves know.
        let aim = if allowance.is_any() { order::wanted(plan).count.max(AIM_MIN) } else { looked_at };
        match nearest(&snapshot.view, query, looked_at, aim, allowed) {
            Ok(nearest) => {
                // What a filter or signs leave is no fair sample of what searches scan, and an index that is being built for another
                // embedding model has other queries.
                let is_of_index = snapshot.slot.vectors.of().generation == plan.generation;
                if let (Some(work), Some(vectors), None, true) =
                    (&nearest.work, &snapshot.view.vectors, allowed, allowance.is_any() && is_of_index)
                {
                    snapshot.slot.vectors.note_search(query, work, vectors);
                }
                (found.hits, found.doubts, found.work) = (nearest.hits, nearest.doubts, nearest.work);
                found.hits.retain(|hit| lets_through(allowance, &snapshot.view, hit));
                found.hits.truncate(limit);
            }
            Err(error) => {
                tracing::warn!(%error, collection = %plan.collection, "the vectors do not answer");
                found.is_damaged = error.needs_rebuild();
                found.unavailable = Some(DAMAGED.to_owned());
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
fn by_nodes(
    plan: &Plan,
    view: &CollectionView,
    nodes: &NodesAnswer,
    Scope { allowed, allowance }: Scope<'_>,
    warnings: &mut Vec<String>,
) -> Result<ByMeaning> {
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
    if plan.ranking.diversity > 0.0 {
        warnings.push("diversity was left out: the vectors that it compares are on search nodes".to_owned());
    }
    let nearest = from_nodes(view, &nodes.hits);
    (found.hits, found.doubts) = (nearest.hits, nearest.doubts);
    // Nodes were told what is allowed; whatever they say, nothing else is shown.
    found.hits.retain(|hit| {
        allowed.is_none_or(|allowed| allowed.contains(hit.document)) && lets_through(allowance, view, hit)
    });
    found.hits.truncate(plan.candidates_max());
    Ok(found)
}

pub(super) fn vectors_unavailable(reason: &str) -> Error {
    Error::unavailable("vector_index_unavailable", format!("the vector index does not answer: {reason}"))
        .retry_after_ms(5_000)
        .remedy("try again in a moment; it repairs itself")
}

/// Whether the signs of the query let a passage through.
fn lets_through(allowance: &Allowance, view: &CollectionView, hit: &VectorHit) -> bool {
    let key = || {
        let document = view.documents.get(hit.document)?;
        Some(PassageKey::new(document.id, document.version, hit.ordinal))
    };
    allowance.is_any() || key().is_some_and(|key| allowance.allows(key))
}

/// The facets that were asked for, over all documents that the search concerns.
fn counted(
    plan: &Plan,
    view: &CollectionView,
    allowed: Option<&Allowed>,
    lexical: &Lexical<'_>,
    warnings: &mut Vec<String>,
) -> Result<Vec<Facet>> {
    if plan.facets.is_empty() {
        return Ok(Vec::new());
    }
    let with_words = if plan.mode == SearchMode::Vector { None } else { lexical.documents()? };
    let concerned = |place: usize, document: &DocumentEntry| {
        allowed.is_none_or(|allowed| allowed.contains(place))
            && with_words.as_ref().is_none_or(|found| found.contains(&low_bits(document.id)))
    };
    let documents = view.documents.iter().enumerate().filter(|(place, document)| concerned(*place, document));
    let facets = facets::count(&plan.facets, documents.map(|(_, document)| &document.metadata));
    let empty = facets.iter().filter(|facet| facet.values.is_empty() && facet.missing > 0);
    warnings.extend(empty.map(|facet| format!("none of these documents has the metadata field `{}`", facet.field)));
    Ok(facets)
}

/// Where the view has what the text index found; `None` when they hold different versions of the document.
fn place_of(view: &CollectionView, hit: &TextHit) -> Option<Place> {
    let place = view.place(hit.document)?;
    let document = view.documents.get(place)?;
    (document.version == hit.version && hit.ordinal < document.passages).then_some((place, hit.ordinal))
}
