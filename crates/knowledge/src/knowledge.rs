use std::sync::{Arc, OnceLock};

use plasma_kernel::{Ctx, Result};
use plasma_models::Models;
use plasma_store::{Store, Tx, search_node::SearchNodeConfig};
use plasma_workflows::Workflows;
use tokio::sync::broadcast;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    IndexStatus, IngestProgress, People,
    caches::TenantCaches,
    embedding::QueryVectors,
    index::Index,
    nodes::Nodes,
    progress::Throughput,
    search::{Results, passages::PassageCache},
    steps, waiting,
};

/// Messages of progress that a slow listener may be behind; then it misses the oldest.
const FEED_LENGTH: usize = 1_024;

/// Collections, their documents, and search over them. Cheap to clone.
#[derive(Clone)]
pub struct Knowledge {
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    models: Models,
    ctx: Ctx,
    caches: Arc<TenantCaches>,
    index: Arc<Index>,
    queries: QueryVectors,
    results: Results,
    passages: PassageCache,
    nodes: Nodes,
    throughput: Throughput,
    people: OnceLock<Arc<dyn People>>,
    feed: broadcast::Sender<IngestProgress>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Knowledge {
    /// Knowledge over `store`, and its steps registered with `workflows`. `ctx` is a system context: its clock and
    /// randomness serve the background work. Nothing runs before [`Knowledge::start`].
    pub fn new(store: Store, models: Models, workflows: &Workflows, ctx: Ctx) -> Self {
        Self::over(store, models, workflows, ctx, Nodes::default())
    }

    /// The same, with search nodes on which collections may have their vectors. Needs a runtime; nothing is connected yet.
    ///
    /// # Errors
    /// `invalid` when a node's URL is not one of Postgres.
    pub fn with_nodes(
        store: Store,
        models: Models,
        workflows: &Workflows,
        ctx: Ctx,
        nodes: &[SearchNodeConfig],
    ) -> Result<Self> {
        Ok(Self::over(store, models, workflows, ctx, Nodes::new(nodes)?))
    }

    fn over(store: Store, models: Models, workflows: &Workflows, ctx: Ctx, nodes: Nodes) -> Self {
        let caches = Arc::new(TenantCaches::new());
        let index = Arc::new(Index::new(store.clone(), ctx.clone(), Arc::clone(&caches)));
        let (feed, _) = broadcast::channel(FEED_LENGTH);
        let inner = Inner {
            store,
            models,
            ctx,
            caches,
            index,
            queries: QueryVectors::new(),
            results: Results::new(),
            passages: PassageCache::new(),
            nodes,
            throughput: Throughput::default(),
            people: OnceLock::new(),
            feed,
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
        };
        let knowledge = Self { inner: Arc::new(inner) };
        workflows.register::<steps::IngestDocument>(knowledge.clone());
        workflows.register::<steps::PurgeVersions>(knowledge.clone());
        workflows.register::<steps::PurgeCollection>(knowledge.clone());
        workflows.register::<steps::ReembedCollection>(knowledge.clone());
        workflows.register::<steps::SettleVectors>(knowledge.clone());
        workflows.register::<steps::MoveCollection>(knowledge.clone());
        knowledge
    }

    /// Says who knows the people of tenants, so that a search may be made on behalf of one. Once, before it is used.
    pub fn use_people(&self, people: Arc<dyn People>) {
        if self.inner.people.set(people).is_err() {
            tracing::error!("knowledge was told twice who knows the people; the first stays");
        }
    }

    /// Starts to follow the event log, and opens this process's index or builds it anew. Returns at once: searches wait
    /// for the index up to two seconds, then go on without what it does not hold yet.
    pub fn start(&self) {
        let inner = &self.inner;
        inner.tasks.spawn(Arc::clone(&inner.index).follow(inner.stop.clone()));
        inner.tasks.spawn(Arc::clone(&inner.index).keep_up(inner.stop.clone()));
        inner.tasks.spawn(waiting::watch(self.clone(), inner.stop.clone()));
        inner.nodes.start(&inner.store, &inner.ctx, &inner.tasks, &inner.stop);
    }

    /// Stops the background work and returns when the index is closed. Before the store is closed.
    pub async fn stop(&self) {
        self.inner.stop.cancel();
        self.inner.tasks.close();
        self.inner.tasks.wait().await;
        self.inner.nodes.close().await;
    }

    /// How far this process's ingestion comes from now on. A listener that is too slow misses messages.
    pub fn progress_feed(&self) -> broadcast::Receiver<IngestProgress> {
        self.inner.feed.subscribe()
    }

    /// Whether this process's index answers.
    pub fn index_status(&self) -> IndexStatus {
        self.inner.index.status()
    }
}

/// What the verbs and steps share.
impl Knowledge {
    pub(crate) fn store(&self) -> &Store {
        &self.inner.store
    }

    pub(crate) fn models(&self) -> &Models {
        &self.inner.models
    }

    pub(crate) fn ctx(&self) -> &Ctx {
        &self.inner.ctx
    }

    pub(crate) fn caches(&self) -> &TenantCaches {
        &self.inner.caches
    }

    pub(crate) fn index(&self) -> &Index {
        &self.inner.index
    }

    pub(crate) fn queries(&self) -> &QueryVectors {
        &self.inner.queries
    }

    pub(crate) fn results(&self) -> &Results {
        &self.inner.results
    }

    pub(crate) fn people(&self) -> Option<&dyn People> {
        self.inner.people.get().map(|people| &**people)
    }

    pub(crate) fn passage_cache(&self) -> &PassageCache {
        &self.inner.passages
    }

    pub(crate) fn nodes(&self) -> &Nodes {
        &self.inner.nodes
    }

    pub(crate) fn throughput(&self) -> &Throughput {
        &self.inner.throughput
    }

    /// Tells whoever listens; nobody may.
    pub(crate) fn tell(&self, progress: IngestProgress) {
        let _ = self.inner.feed.send(progress);
    }

    /// Commits a change that lists show.
    pub(crate) async fn commit(&self, tx: Tx) -> Result<()> {
        let tenant = tx.tenant()?;
        tx.commit().await?;
        self.inner.caches.forget(tenant);
        Ok(())
    }

    /// Commits a change of who may see something: no search that begins from now on goes on without it.
    pub(crate) async fn commit_access(&self, tx: Tx) -> Result<()> {
        let tenant = tx.tenant()?;
        self.inner.index.commit_access(tx).await?;
        self.inner.caches.forget(tenant);
        Ok(())
    }

    /// Commits a change that searches show: those that begin from now on wait for it.
    pub(crate) async fn commit_searchable(&self, tx: Tx) -> Result<()> {
        let tenant = tx.tenant()?;
        self.inner.index.commit(tx).await?;
        self.inner.caches.forget(tenant);
        Ok(())
    }
}
