//! Asks all shards of a collection at once and puts their answers together.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
    time::{Duration, Instant},
};

use plasma_kernel::{Code, CollectionId, Error, Result, TenantId};
use plasma_store::{
    EventPosition,
    search_node::{ShardAnswer, ShardFilter, ShardQuery, ShardTable},
};
use serde::Serialize;

use super::{
    Node, Nodes,
    placement::{Place, shard_of},
};
use crate::limits;

/// How often a shard that is behind is asked again.
const BEHIND_INTERVAL: Duration = Duration::from_millis(20);
/// What is kept of the time for the search itself when a shard stays behind.
const STALE_RESERVE: Duration = Duration::from_millis(500);
/// Passages that a shard is asked for at most when what a filter lets through is chosen here.
const OVERFETCH_MAX: usize = 5_000;

/// Which parts of a split collection answered a search.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct ShardsReport {
    /// Parts of the collection.
    pub total: u32,
    /// Parts that answered.
    pub answered: u32,
    /// Parts that did not: their passages are not found by their meaning.
    pub failed: Vec<FailedShard>,
}

/// A part of a collection that did not answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct FailedShard {
    /// Which, from 0.
    pub shard: u32,
    /// The search node that it is on.
    pub node: String,
    /// Why.
    pub reason: String,
}

/// What is asked of the nodes.
pub(crate) struct NodesQuery {
    pub(crate) tenant: TenantId,
    pub(crate) collection: CollectionId,
    pub(crate) vector: Arc<[f32]>,
    /// Which of the collection's vectors it is to be compared with.
    pub(crate) vectors: u64,
    pub(crate) limit: usize,
    pub(crate) filter: NodesFilter,
    /// Up to where the answer should know everything.
    pub(crate) wanted: EventPosition,
}

/// Which documents may be found.
pub(crate) enum NodesFilter {
    All,
    /// These, each with the number of its passages.
    Only(Vec<(u64, u32)>),
    /// All but these.
    Except(Vec<u64>),
    /// So many of so many that they are not listed in a statement unless need be.
    Most {
        allowed: Vec<(u64, u32)>,
        share: f64,
    },
}

/// What the nodes answered.
#[derive(Clone, Debug, Default)]
pub(crate) struct NodesAnswer {
    /// Keys of passages with their cosine, nearest first.
    pub(crate) hits: Vec<(u128, f32)>,
    pub(crate) report: ShardsReport,
    /// Nodes that did not have the newest changes in time.
    pub(crate) behind: Vec<String>,
    pub(crate) took_ms: f64,
}

/// What one shard is asked for.
#[derive(Clone)]
struct ShardPlan {
    query: ShardQuery,
    /// The answer is filtered here.
    chosen: Option<Arc<Chosen>>,
}

/// The documents that a filter lets through, of one shard.
struct Chosen {
    documents: HashSet<u64>,
    passages: u64,
    limit: usize,
}

impl Nodes {
    /// The nearest passages of a collection that is on nodes. What goes wrong is in the answer.
    pub(crate) async fn nearest(&self, place: &Place, query: NodesQuery) -> NodesAnswer {
        let started = Instant::now();
        let plans = plans(place, &query);
        let mut asked = Vec::new();
        let mut answer = NodesAnswer::default();
        answer.report.total = place.split;
        for (number, name) in place.shards() {
            let Some(plan) = plans.get(&number).cloned() else {
                // No document that the filter lets through is there.
                answer.report.answered += 1;
                continue;
            };
            let node = self.get(name).map(Arc::clone);
            // A task of its own: what is dropped halfway would leave a connection in an unknown state. The server ends it in time.
            let task = node.map(|node| tokio::spawn(async move { ask(&node, plan, started).await }));
            asked.push(async move {
                let outcome = match task {
                    Err(error) => Err(error),
                    Ok(task) => {
                        let left = limits::NODES_WAIT_MAX.saturating_sub(started.elapsed());
                        match tokio::time::timeout(left, task).await {
                            Ok(Ok(outcome)) => outcome,
                            Ok(Err(error)) => Err(Error::from_source("asking a search node panicked", error)),
                            Err(_) => Err(too_late()),
                        }
                    }
                };
                (number, name.to_owned(), outcome)
            });
        }
        for (number, name, outcome) in futures::future::join_all(asked).await {
            answer.take(number, name, outcome, query.wanted);
        }
        answer.hits.sort_by(|left, right| right.1.total_cmp(&left.1).then_with(|| left.0.cmp(&right.0)));
        answer.hits.truncate(query.limit);
        answer.took_ms = started.elapsed().as_secs_f64() * 1_000.0;
        answer
    }
}

fn too_late() -> Error {
    let message = format!("no answer within {} s", limits::NODES_WAIT_MAX.as_secs());
    Error::new(Code::Timeout, "search_node_slow", message)
}

impl NodesAnswer {
    fn take(&mut self, shard: u32, node: String, outcome: Result<ShardAnswer>, wanted: EventPosition) {
        match outcome {
            Ok(found) => {
                self.report.answered += 1;
                self.hits.extend(found.hits);
                if found.position < wanted && !self.behind.contains(&node) {
                    self.behind.push(node);
                }
            }
            Err(error) => {
                tracing::debug!(?error, shard, node, "a shard does not answer");
                let reason = match error.code() {
                    Code::Internal => "it failed; the log says how".to_owned(),
                    _ => error.message().to_owned(),
                };
                self.report.failed.push(FailedShard { shard, node, reason });
            }
        }
    }

    /// Whether every part answered, with the newest changes.
    pub(crate) fn is_whole(&self) -> bool {
        self.report.failed.is_empty() && self.behind.is_empty()
    }

    /// Why there is no answer at all, if there is none.
    pub(crate) fn failure(&self) -> Option<&str> {
        let first = self.report.failed.first()?;
        (self.report.answered == 0).then_some(first.reason.as_str())
    }

    /// What should be known about this answer.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if let (false, Some(first)) = (self.report.answered == 0, self.report.failed.first()) {
            let (failed, total) = (self.report.failed.len(), self.report.total);
            warnings.push(format!(
                "{failed} of the collection's {total} parts did not answer, and their passages are not found by their meaning: {}",
                first.reason
            ));
        }
        if !self.behind.is_empty() {
            let nodes = self.behind.join("`, `");
            warnings.push(format!(
                "the newest changes are not yet on the search nodes `{nodes}`: they are not found by their meaning"
            ));
        }
        warnings
    }
}

/// What each shard is asked for; those that can have nothing are not in it.
fn plans(place: &Place, query: &NodesQuery) -> BTreeMap<u32, ShardPlan> {
    let limit = u32::try_from(query.limit).unwrap_or(u32::MAX);
    let plan = |number: u32, filter: ShardFilter, limit: u32, chosen: Option<Arc<Chosen>>| {
        let query = ShardQuery {
            table: ShardTable::new(query.collection, place.generation, number),
            tenant: query.tenant,
            vector: Arc::clone(&query.vector),
            vectors: query.vectors,
            limit,
            filter,
            wanted: query.wanted,
            takes_stale: false,
            timeout: limits::NODES_WAIT_MAX,
        };
        (number, ShardPlan { query, chosen })
    };
    let numbers = 0..place.split;
    match &query.filter {
        NodesFilter::All => numbers.map(|number| plan(number, ShardFilter::All, limit, None)).collect(),
        NodesFilter::Except(documents) => {
            let of = |number: u32| documents.iter().copied().filter(move |low| shard_of(*low, place.split) == number);
            numbers
                .map(|number| plan(number, ShardFilter::Except { documents: of(number).collect() }, limit, None))
                .collect()
        }
        NodesFilter::Only(documents) => {
            let dealt = dealt(documents, place.split);
            let filtered = dealt.into_iter().map(|(number, chosen)| {
                let documents = chosen.documents.into_iter().collect();
                plan(number, ShardFilter::Only { documents, passages: chosen.passages }, limit, None)
            });
            filtered.collect()
        }
        NodesFilter::Most { allowed, share } => {
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a few thousand
            let wanted = ((query.limit as f64 / share.max(1e-3) * 1.5) as usize + 50).min(OVERFETCH_MAX);
            let wanted = u32::try_from(wanted.max(query.limit)).unwrap_or(limit);
            let dealt = dealt(allowed, place.split);
            let chosen = dealt.into_iter().map(|(number, chosen)| {
                let chosen = Chosen { limit: query.limit, ..chosen };
                plan(number, ShardFilter::All, wanted, Some(Arc::new(chosen)))
            });
            chosen.collect()
        }
    }
}

/// The documents of each shard that has any.
fn dealt(documents: &[(u64, u32)], split: u32) -> BTreeMap<u32, Chosen> {
    let mut shards = BTreeMap::new();
    for (low, passages) in documents {
        let empty = || Chosen { documents: HashSet::new(), passages: 0, limit: 0 };
        let chosen: &mut Chosen = shards.entry(shard_of(*low, split)).or_insert_with(empty);
        chosen.documents.insert(*low);
        chosen.passages += u64::from(*passages);
    }
    shards
}

/// Asks a shard until it has what is wanted, or the time is nearly over: then what it has must do.
async fn ask(node: &Node, plan: ShardPlan, started: Instant) -> Result<ShardAnswer> {
    let ShardPlan { mut query, chosen } = plan;
    loop {
        let left = limits::NODES_WAIT_MAX.saturating_sub(started.elapsed());
        query.takes_stale = left <= STALE_RESERVE;
        query.timeout = left.max(Duration::from_millis(1));
        let answer = node.database.search(&query).await?;
        if answer.position < query.wanted && !query.takes_stale {
            tokio::time::sleep(BEHIND_INTERVAL).await;
            continue;
        }
        let Some(chosen) = &chosen else { return Ok(answer) };
        let asked_for = answer.hits.len();
        let hits: Vec<(u128, f32)> =
            answer.hits.into_iter().filter(|(key, _)| chosen.documents.contains(&document_of(*key))).collect();
        let is_enough = hits.len() >= chosen.limit || asked_for < query.limit as usize;
        if is_enough || matches!(query.filter, ShardFilter::Only { .. }) {
            return Ok(ShardAnswer { hits, position: answer.position });
        }
        // What is near is mostly what the filter holds back: the server has to know it.
        let documents = chosen.documents.iter().copied().collect();
        query.filter = ShardFilter::Only { documents, passages: chosen.passages };
        query.limit = u32::try_from(chosen.limit).unwrap_or(u32::MAX);
    }
}

/// The lower half of the id of a key's document.
fn document_of(key: u128) -> u64 {
    u64::try_from(key >> 64).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(filter: NodesFilter) -> NodesQuery {
        NodesQuery {
            tenant: TenantId::from_bits(1),
            collection: CollectionId::from_bits(2),
            vector: Arc::from([1.0_f32, 0.0].as_slice()),
            vectors: 0,
            limit: 10,
            filter,
            wanted: EventPosition::START,
        }
    }

    fn place() -> Place {
        Place { generation: 1, nodes: vec!["a".to_owned(), "b".to_owned()], split: 2 }
    }

    #[test]
    fn each_shard_is_asked_for_its_own_documents() {
        let plans_of = |filter| plans(&place(), &query(filter));
        assert_eq!(plans_of(NodesFilter::All).len(), 2);
        let only = plans_of(NodesFilter::Only(vec![(3, 2), (5, 1)]));
        assert_eq!(only.keys().collect::<Vec<_>>(), [&1]);
        let ShardFilter::Only { documents, passages } = &only[&1].query.filter else { panic!("not listed") };
        assert_eq!((documents.len(), *passages), (2, 3));
        assert!(plans_of(NodesFilter::Only(Vec::new())).is_empty());
        let except = plans_of(NodesFilter::Except(vec![4]));
        let excepted = |number: u32| match &except[&number].query.filter {
            ShardFilter::Except { documents } => documents.clone(),
            _ => panic!("not excepted"),
        };
        assert_eq!((excepted(0), excepted(1)), (vec![4], vec![]));
        let most = plans_of(NodesFilter::Most { allowed: vec![(2, 1), (3, 1)], share: 0.5 });
        assert!(most.values().all(|plan| plan.query.limit == 80 && plan.chosen.as_ref().unwrap().limit == 10));
    }

    #[test]
    fn an_answer_says_what_is_missing() {
        let mut answer = NodesAnswer::default();
        answer.report.total = 2;
        let late = EventPosition::from_text("0-5").unwrap();
        answer.take(0, "a".to_owned(), Ok(ShardAnswer { hits: vec![(7, 0.5)], position: EventPosition::START }), late);
        assert_eq!(answer.failure(), None);
        answer.take(1, "b".to_owned(), Err(Error::unavailable("search_node_unavailable", "it is off")), late);
        assert_eq!(
            answer.report.failed,
            [FailedShard { shard: 1, node: "b".to_owned(), reason: "it is off".to_owned() }]
        );
        let warnings = answer.warnings();
        assert!(
            warnings[0].contains("1 of the collection's 2 parts") && warnings[0].contains("it is off"),
            "{warnings:?}"
        );
        assert!(warnings[1].contains("`a`"), "{warnings:?}");
        answer.report.answered = 0;
        assert_eq!(answer.failure(), Some("it is off"));
    }
}
