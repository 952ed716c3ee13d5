pub(crate) mod allowed;
mod answer;
mod diversity;
mod facets;
pub(crate) mod filter;
mod fusion;
mod highlight;
mod hits;
mod nearest;
mod order;
pub(crate) mod passages;
mod rank;
mod remote;
mod request;
mod rerank;
mod results;
mod settings;
mod signals;
mod terms;
mod viewer;
mod why;
mod words;

use std::{sync::Arc, time::Instant};

use plasma_kernel::{Code, Ctx, Error, KnowledgeDocumentId, Permission, Result};

use crate::{
    Knowledge,
    access::Viewer,
    index::{Snapshot, VectorsOf, query::TextQuery, query_resolve::TextOptions, vectors::DAMAGED},
    limits,
    store::collections::StoredCollection,
};
use diversity::Item;
use filter::Filter;
use hits::Shown;
use rank::{Plan, Ranked, rank};
use request::Checked;
use results::{NotKept, ResultKey};
use settings::Ranking;
use words::WordSettings;

pub use answer::{
    CandidateCounts, ComponentSource, Duplicate, Explanation, FieldScores, FilterExplanation, Fusion, Highlight, Hit,
    RerankReason, ScoreComponent, SearchAnswer, SearchExplanation, TermScore, TextReason, Took, VectorReason, Why,
};
pub use facets::{Facet, FacetValue};
pub use request::{SearchMode, SearchRequest};
pub(crate) use results::Results;
pub use settings::{
    FusionMethod, FusionSettings, PopularitySettings, RankingSettings, RecencySettings, RerankSettings,
};
pub use words::{Boosts, Correction, TypoTolerance};

/// How often a search lets the two halves of the index agree before it goes on without what they differ in.
const RECHECKS_MAX: u32 = 2;

/// A search that has been checked.
struct Search<'a> {
    ctx: &'a Ctx,
    collection: &'a StoredCollection,
    request: &'a SearchRequest,
    checked: Checked,
    filter: Filter,
    viewer: Viewer,
    words: TextOptions,
    ranking: Ranking,
}

/// What is found out on the way.
#[derive(Default)]
struct Notes {
    warnings: Vec<String>,
    /// Whether something did not answer that would have had its say: then the answer is not remembered.
    degraded: bool,
    took: Took,
}

/// A shortlist that has been folded, reranked and arranged, with the passages that are shown.
struct Finished {
    items: Vec<Item>,
    shown: Shown,
    folded: u64,
    reranked: u64,
    /// Documents of passages that are gone: they belong to versions that were replaced meanwhile.
    gone: Vec<KnowledgeDocumentId>,
}

impl Knowledge {
    /// Searches a collection. Sees every document that this process has reported as `ready`.
    ///
    /// The same search of the same moment of the collection is answered from memory, where the caller may see the same. Without its
    /// embedding model a hybrid search ranks by words only, and without its reranker a search keeps the order that it had; `warnings`
    /// say so.
    ///
    /// # Errors
    /// `forbidden` without `search:query`, and with `on_behalf_of` without `documents:read_all`; `not_found` for the collection or
    /// the person; `invalid` or `too_large` naming the field; in the mode `vector`, what embedding the query fails with; in the
    /// mode `text`, `unavailable` while the text index does not answer; `unavailable` while the index does not know who may see
    /// what.
    pub async fn search(&self, ctx: &Ctx, request: SearchRequest) -> Result<SearchAnswer> {
        ctx.require(Permission::SearchQuery)?;
        let viewer = self.viewer(ctx, request.on_behalf_of).await?;
        if request.on_behalf_of.is_none() {
            return self.search_as(ctx, &request, viewer).await;
        }
        // Boxed: it is rare, and its large future must not weigh on the others.
        Box::pin(self.search_on_behalf(ctx, request, viewer)).await
    }

    /// A search for another person, and what it withholds from them.
    async fn search_on_behalf(&self, ctx: &Ctx, request: SearchRequest, viewer: Viewer) -> Result<SearchAnswer> {
        let collection = self.collection(ctx, &request.collection).await?.collection.id;
        let mut answer = self.search_as(ctx, &request, viewer.clone()).await?;
        let all = self.search_as(ctx, &request, Viewer::All).await?;
        answer.withheld = Some(self.withheld(ctx, collection, &all, &viewer).await?);
        Ok(answer)
    }

    /// A search that shows what the viewer may see.
    async fn search_as(&self, ctx: &Ctx, request: &SearchRequest, viewer: Viewer) -> Result<SearchAnswer> {
        let started = Instant::now();
        let checked = request.check()?;
        let filter = request.filter.as_ref().map_or_else(|| Ok(Filter::default()), Filter::parse)?;
        facets::check(request.facets.as_deref().unwrap_or_default())?;
        let collection = self.collection(ctx, &request.collection).await?;
        let words = WordSettings { boosts: request.boosts, typo: request.typo };
        let words = words.options(self.synonyms(ctx, &collection).await?)?;
        let ranking = Ranking::for_request(&collection.collection.ranking, request)?;
        let view = self.index().snapshot(ctx, collection.collection.id).await?.view;
        let key = ResultKey::new(ctx, &collection, (&view, &*words.synonyms), viewer.clone(), request)?;
        drop(view);
        if let Some(kept) = self.results().get(&key).await {
            return Ok(given_again(SearchAnswer::clone(&kept), started));
        }
        let mut own = false;
        let search = Search { ctx, collection: &collection, request, checked, filter, viewer, words, ranking };
        let work = async {
            own = true;
            // Boxed: what is remembered must not carry the weight of the work.
            match Box::pin(self.searched(&search, started)).await {
                Ok((answer, true)) => Ok(Arc::new(answer)),
                Ok((answer, false)) => Err(NotKept::Degraded(Box::new(answer))),
                Err(error) => Err(NotKept::Failed(Arc::new(error))),
            }
        };
        let answer = self.results().make(key, work).await?;
        Ok(if own { answer } else { given_again(answer, started) })
    }

    /// The answer, and whether it may be remembered.
    async fn searched(&self, search: &Search<'_>, started: Instant) -> Result<(SearchAnswer, bool)> {
        let mut notes = Notes::default();
        let (plan, (snapshot, mut ranked, finished)) = loop {
            let plan = Arc::new(self.planned(search, &mut notes).await?);
            // Once more, with the new model, when the collection's vectors became others in between.
            if let Some(found) = self.ranked(search.ctx, &plan, &mut notes).await? {
                break (plan, found);
            }
        };
        let mode = plan.mode;
        let total_passages = ranked.passages;
        let (corrections, facets) = (ranked.query.corrections.clone(), std::mem::take(&mut ranked.facets));
        let shards = ranked.shards.take();
        // Finding the words of a hundred passages takes milliseconds as well.
        let (results, explanation) = off_runtime(move || {
            let results = hits::hits(&plan, &snapshot, &ranked, &finished);
            (results, plan.explain.then(|| hits::explained(&plan, &snapshot, &ranked, &finished)))
        })
        .await?;
        notes.took.total = round(milliseconds(started));
        let answer = SearchAnswer {
            query: search.request.query.clone(),
            mode,
            took_ms: notes.took,
            total_passages,
            shards,
            results,
            warnings: notes.warnings,
            corrections,
            facets,
            withheld: None,
            explanation,
        };
        Ok((answer, !notes.degraded))
    }

    /// What is searched for, with the query's vector by the model whose vectors the collection has now.
    async fn planned(&self, search: &Search<'_>, notes: &mut Notes) -> Result<Plan> {
        let Search { ctx, request, checked, .. } = search;
        let collection = search.collection.collection.id;
        let mut mode = checked.mode;
        let text = if request.plain { TextQuery::plain(&request.query) } else { TextQuery::parse(&request.query) };
        let meaning = text.meaning(&request.query).to_owned();
        let vectors_of = match mode {
            SearchMode::Text => Arc::default(),
            _ => self.index().vectors_of(ctx, collection).await?,
        };
        let embedding_started = Instant::now();
        let vector = match &checked.vector {
            Some(vector) => {
                request::check_dimensions(vector, vectors_of.dimensions, &vectors_of.model)?;
                Some(Arc::clone(vector))
            }
            None => self.query_vector(ctx, &vectors_of, &meaning, &mut mode, &mut notes.warnings).await?,
        };
        notes.degraded = mode != checked.mode;
        notes.took.embedding = round(milliseconds(embedding_started));
        Ok(Plan {
            collection,
            mode,
            limit: checked.limit,
            filter: search.filter.clone(),
            viewer: search.viewer.clone(),
            query: meaning,
            text,
            words: search.words.clone(),
            facets: request.facets.clone().unwrap_or_default(),
            vector,
            generation: vectors_of.generation,
            ranking: search.ranking.clone(),
            now: ctx.now(),
            explain: request.explain,
        })
    }

    /// Ranks over one moment of the collection, in which both halves of the index agree, and reads the passages of the best.
    /// `None` when it has other vectors than the query's can be compared with.
    async fn ranked(
        &self,
        ctx: &Ctx,
        plan: &Arc<Plan>,
        notes: &mut Notes,
    ) -> Result<Option<(Arc<Snapshot>, Ranked, Finished)>> {
        let tenant = ctx.tenant()?;
        let mut rechecks = 0;
        loop {
            let mut snapshot = self.index().snapshot(ctx, plan.collection).await?;
            if plan.vector.is_some() && snapshot.view.vectors_of.generation != plan.generation {
                return Ok(None);
            }
            snapshot.nodes = self.ask_nodes(ctx, plan, &snapshot.view).await?;
            let snapshot = Arc::new(snapshot);
            let (planned, moment) = (Arc::clone(plan), Arc::clone(&snapshot));
            // Some milliseconds of pure computing would hold up other requests on a runtime thread.
            let mut ranked = off_runtime(move || rank(&planned, &moment)).await??;
            if ranked.is_damaged {
                self.index().distrust_vectors(tenant, plan.collection, &snapshot.view);
                if plan.mode == SearchMode::Vector {
                    return Err(rank::vectors_unavailable(DAMAGED));
                }
            }
            let is_last = rechecks == RECHECKS_MAX;
            if ranked.doubts.is_empty() || is_last {
                let mut found = Notes::default();
                let items = std::mem::take(&mut ranked.items);
                let mut finished = self.finished(ctx, plan, &snapshot, items, &mut found).await?;
                if finished.gone.is_empty() || is_last {
                    notes.degraded |= ranked.degraded || found.degraded || !finished.gone.is_empty();
                    notes.warnings.append(&mut ranked.warnings);
                    notes.warnings.append(&mut found.warnings);
                    let (ranking, embedding) = (ranked.ranking_ms + found.took.ranking, notes.took.embedding);
                    let (vector, text) = (round(ranked.vector_ms), round(ranked.text_ms));
                    notes.took = Took { embedding, vector, text, ranking: round(ranking), ..found.took };
                    return Ok(Some((snapshot, ranked, finished)));
                }
                ranked.doubts.documents.append(&mut finished.gone);
            }
            rechecks += 1;
            self.index().recheck(tenant, plan.collection, ranked.doubts).await;
        }
    }

    /// What needs the passages themselves: folding near-identical ones, the reranker, and at the end what is shown.
    async fn finished(
        &self,
        ctx: &Ctx,
        plan: &Arc<Plan>,
        snapshot: &Arc<Snapshot>,
        items: Vec<Item>,
        notes: &mut Notes,
    ) -> Result<Finished> {
        let (mut shown, view) = (Shown::default(), &snapshot.view);
        let doubtful: Vec<_> =
            items.iter().filter_map(|item| Some([item.place(), item.suspect?.of])).flatten().collect();
        shown.read(self, ctx, view, &doubtful).await?;
        let started = Instant::now();
        let (mut items, folded) = diversity::settle(items, limits::DUPLICATES_MAX, |place| shown.text(place));
        items.truncate(order::wanted(plan).count);
        notes.took.ranking += milliseconds(started);
        let reranked = self.reranked(ctx, plan, snapshot, &mut items, &mut shown, notes).await?;
        let started = Instant::now();
        let items = if plan.ranking.diversity > 0.0 {
            // Each candidate is compared with each result: some milliseconds.
            let (planned, moment) = (Arc::clone(plan), Arc::clone(snapshot));
            off_runtime(move || order::arranged(&planned, &moment.view, items)).await?
        } else {
            order::arranged(plan, view, items)
        };
        notes.took.ranking += milliseconds(started);
        shown.read(self, ctx, view, &places(&items)).await?;
        let missing = places(&items).into_iter().filter(|place| shown.get(*place).is_none());
        let gone = missing.filter_map(|place| Some(view.documents.get(place.0)?.id)).collect();
        Ok(Finished { items, shown, folded, reranked, gone })
    }

    /// Lets the reranker have its word, where there is one; returns how many passages it has read.
    async fn reranked(
        &self,
        ctx: &Ctx,
        plan: &Plan,
        snapshot: &Snapshot,
        items: &mut [Item],
        shown: &mut Shown,
        notes: &mut Notes,
    ) -> Result<u64> {
        let Some(rule) = &plan.ranking.rerank else { return Ok(0) };
        if plan.query.trim().is_empty() || items.is_empty() {
            if !items.is_empty() {
                notes.warnings.push("the reranker was not asked: there is no text to compare passages with".to_owned());
            }
            return Ok(0);
        }
        shown.read(self, ctx, &snapshot.view, &places(items)).await?;
        let document = |item: &Item| {
            let document = snapshot.view.documents.get(item.place().0)?;
            let passage = shown.get(item.place())?;
            Some(rerank::document(&document.title, passage.heading.as_deref(), &passage.text))
        };
        // A passage that is gone by now keeps its place in the list: it will not be shown.
        let documents = items.iter().map(|item| document(item).unwrap_or_else(|| "(gone)".to_owned())).collect();
        let started = Instant::now();
        let asked = rerank::ask(self.models(), ctx, rule, plan.query.trim(), documents).await;
        notes.took.rerank = round(milliseconds(started));
        match asked {
            Ok(words) => {
                rerank::apply(items, words);
                Ok(items.len() as u64)
            }
            Err(error) if rerank::degrades(&error) => {
                tracing::debug!(?error, "a search goes on without its reranker");
                notes.warnings.push(rerank::warning(&rule.model, &error));
                notes.degraded = true;
                Ok(0)
            }
            Err(error) => Err(error.field("rerank.model")),
        }
    }

    /// The query's vector, if the mode asks for one. A hybrid search that cannot get one becomes a text search.
    async fn query_vector(
        &self,
        ctx: &Ctx,
        vectors_of: &VectorsOf,
        query: &str,
        mode: &mut SearchMode,
        warnings: &mut Vec<String>,
    ) -> Result<Option<Arc<[f32]>>> {
        if *mode == SearchMode::Text {
            return Ok(None);
        }
        let model = &vectors_of.model;
        let error = match self.queries().get(self.models(), ctx, model, query).await {
            Ok(vector) if vectors_of.dimensions.is_none_or(|dimensions| dimensions == vector.len()) => {
                return Ok(Some(vector));
            }
            Ok(vector) => Error::conflict(
                "embedding_dimensions_changed",
                format!("`{model}` now gives vectors of {} numbers, unlike those of this collection", vector.len()),
            )
            .remedy("embed the collection anew: POST /api/v1/collections/{id}/reembed"),
            Err(error) => error,
        };
        let degrades = *mode == SearchMode::Hybrid
            && (error.code().is_transient()
                || matches!(error.code(), Code::NotFound | Code::Conflict | Code::OverBudget));
        if !degrades {
            return Err(error);
        }
        tracing::debug!(?error, "a hybrid search goes on with words only");
        let cause = match error.code() {
            Code::Internal => "the embedding model failed".to_owned(),
            _ => error.message().to_owned(),
        };
        let remedy = error.remedy_text().map(|remedy| format!(": {remedy}")).unwrap_or_default();
        warnings.push(format!("results are ranked by words only, for {cause}{remedy}"));
        *mode = SearchMode::Text;
        Ok(None)
    }
}

fn places(items: &[Item]) -> Vec<fusion::Place> {
    items.iter().map(Item::place).collect()
}

/// Runs some milliseconds of computing on a thread for blocking work.
async fn off_runtime<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(|error| Error::from_source("ranking panicked", error))
}

/// An answer that another search has made.
fn given_again(mut answer: SearchAnswer, started: Instant) -> SearchAnswer {
    answer.took_ms = Took { total: round(milliseconds(started)), cached: true, ..Took::default() };
    answer
}

fn milliseconds(started: Instant) -> f64 {
    started.elapsed().as_secs_f64() * 1_000.0
}

/// To whole microseconds: more digits would only be noise.
fn round(milliseconds: f64) -> f64 {
    (milliseconds * 1_000.0).round() / 1_000.0
}
