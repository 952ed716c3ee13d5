//! The vector index of a collection, as this process has it: sizes, recall and effort.

use plasma_kernel::{CollectionId, Ctx, Permission, Result, Timestamp};
use plasma_vectors::Calibration;
use serde::Serialize;

use crate::{
    Knowledge,
    index::vectors::{IndexSummary, Measured, MeasuredWith, Opened, VectorsStatus},
};

/// What answers searches by meaning. Each process has its own; this is that of the process that answers.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct CollectionIndex {
    /// The collection.
    pub collection_id: CollectionId,
    /// How searches go.
    pub state: CollectionIndexState,
    /// Why it is `unavailable`.
    #[schema(required)]
    pub detail: Option<String>,
    /// How far it has been built; only while it is.
    #[schema(required)]
    pub build: Option<IndexBuild>,
    /// Passages that can be found by their meaning.
    pub passages: u64,
    /// Numbers in a vector; null before the first one was made.
    #[schema(required)]
    pub dimensions: Option<u64>,
    /// How vectors are compared: always `cosine`.
    pub metric: &'static str,
    /// Bytes of its files.
    pub disk_bytes: u64,
    /// Bytes that it takes in memory: codes, and vectors that are not in a segment yet. Of the files the system keeps in memory what
    /// is used, as far as there is room.
    pub memory_bytes: u64,
    /// Files with vectors. Without one everything is compared exactly.
    pub segments: u64,
    /// Groups of like vectors in all segments.
    pub partitions: u64,
    /// Passages that are not in a segment yet.
    pub unmerged: u64,
    /// Deleted passages that still take space.
    pub deleted: u64,
    /// Segments will be merged soon.
    pub compaction_due: bool,
    /// The share of the truly nearest passages that searches are to find.
    pub recall_target: f64,
    /// What they do find; null as long as it was not measured. An exact index finds all.
    #[schema(required)]
    pub recall: Option<IndexRecall>,
    /// How hard searches try; null when everything is compared exactly.
    #[schema(required)]
    pub effort: Option<IndexEffort>,
}

/// How searches by meaning go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CollectionIndexState {
    /// There are no vectors yet.
    Empty,
    /// Every vector is compared.
    Exact,
    /// Codes are scanned, and the best candidates compared exactly.
    Ready,
    /// It is being built from the database: some passages are not found by their meaning yet.
    Building,
    /// It does not answer; `detail` says why.
    Unavailable,
    /// Search nodes have the vectors, and this process has none: the collection's placement tells more.
    OnNodes,
}

/// How far an index has been built.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct IndexBuild {
    /// Passages read.
    pub done: u64,
    /// Passages in all.
    pub total: u64,
}

/// Recall of searches for ten passages, measured by comparing with exact searches.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct IndexRecall {
    /// The share of the truly nearest that was found.
    pub measured: f64,
    /// Lower end of the 95% confidence interval (bootstrap over queries).
    pub low: f64,
    /// Upper end of the 95% confidence interval.
    pub high: f64,
    /// The target that the effort was chosen for: another one than `recall_target` until that has been measured.
    pub target: f64,
    /// Queries that were measured.
    pub queries: u64,
    /// Where these came from; null when that is not known any more.
    #[schema(required)]
    pub measured_with: Option<RecallSource>,
    /// Passages in the index at that time.
    pub passages: u64,
    /// When, in microseconds since 1970 UTC; null when that is not known any more.
    #[schema(required)]
    pub measured_at: Option<Timestamp>,
}

/// What recall was measured with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RecallSource {
    /// Recent searches of this collection.
    Queries,
    /// Passages of the collection as queries, for want of searches.
    Passages,
}

/// How hard a search tries.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct IndexEffort {
    /// How far beyond the nearest groups a search goes on: 0 to 1.5.
    pub reach: f64,
    /// Candidates that are compared exactly for ten results.
    pub rescored: u64,
    /// The share of all codes that recent searches have scanned; null before the first.
    #[schema(required)]
    pub scanned_share: Option<f64>,
}

impl Knowledge {
    /// The vector index of a collection in this process.
    ///
    /// # Errors
    /// `forbidden` without `collections:read`, `not_found`.
    pub async fn collection_index(&self, ctx: &Ctx, id: CollectionId) -> Result<CollectionIndex> {
        ctx.require(Permission::CollectionsRead)?;
        let collection = self.collection(ctx, &id.to_string()).await?;
        let summary = self.index().describe_vectors(ctx, collection.collection.id).await?;
        let mut index = describe(id, collection.collection.recall_target, &summary);
        if !self.placement(ctx, id).await?.serving.is_in_process() {
            index.state = CollectionIndexState::OnNodes;
        }
        Ok(index)
    }
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

fn describe(collection_id: CollectionId, recall_target: f64, summary: &IndexSummary) -> CollectionIndex {
    let opened = summary.opened.as_ref();
    let stats = opened.map(|opened| &opened.stats);
    let is_exact = stats.is_none_or(|stats| stats.segments == 0);
    let (state, detail, build) = match &summary.status {
        VectorsStatus::Failed(reason) => (CollectionIndexState::Unavailable, Some(reason.clone()), None),
        VectorsStatus::Building(progress) => {
            let build = IndexBuild { done: progress.done, total: progress.total };
            (CollectionIndexState::Building, None, Some(build))
        }
        VectorsStatus::Complete if stats.is_none_or(|stats| stats.vectors == 0) => {
            (CollectionIndexState::Empty, None, None)
        }
        VectorsStatus::Complete if is_exact => (CollectionIndexState::Exact, None, None),
        VectorsStatus::Complete => (CollectionIndexState::Ready, None, None),
    };
    let calibration = stats.and_then(|stats| stats.calibration.as_ref()).filter(|_| !is_exact);
    CollectionIndex {
        collection_id,
        state,
        detail,
        build,
        passages: stats.map_or(0, |stats| count(stats.vectors)),
        dimensions: opened.map(|opened| count(opened.dimensions)),
        metric: "cosine",
        disk_bytes: opened.map_or(0, |opened| opened.disk_bytes),
        memory_bytes: stats.map_or(0, |stats| count(stats.memory_bytes)),
        segments: stats.map_or(0, |stats| count(stats.segments)),
        partitions: stats.map_or(0, |stats| count(stats.partitions)),
        unmerged: stats.map_or(0, |stats| count(stats.in_tail)),
        deleted: stats.map_or(0, |stats| count(stats.deleted)),
        compaction_due: opened.is_some_and(|opened| opened.is_compaction_due),
        recall_target,
        recall: calibration.map(|calibration| recall(calibration, opened.and_then(|opened| opened.measured))),
        effort: opened.filter(|_| !is_exact).map(effort),
    }
}

fn recall(calibration: &Calibration, measured: Option<Measured>) -> IndexRecall {
    IndexRecall {
        measured: calibration.recall,
        low: calibration.recall_low,
        high: calibration.recall_high,
        target: calibration.target,
        queries: count(calibration.queries),
        measured_with: measured.map(|measured| match measured.with {
            MeasuredWith::Queries => RecallSource::Queries,
            MeasuredWith::Passages => RecallSource::Passages,
        }),
        passages: count(calibration.vectors),
        measured_at: measured.map(|measured| measured.at),
    }
}

fn effort(opened: &Opened) -> IndexEffort {
    let effort = &opened.stats.effort;
    IndexEffort {
        // As many digits as the calibration's steps have.
        reach: (f64::from(effort.reach) * 1_000.0).round() / 1_000.0,
        rescored: count(effort.rescored),
        scanned_share: opened.scanned_share,
    }
}
