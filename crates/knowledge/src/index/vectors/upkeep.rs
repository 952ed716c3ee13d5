//! Background work on vector indexes: building, compaction and calibration, one piece at a time, on one core.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use plasma_kernel::{CollectionId, Result};
use plasma_vectors::{Calibration, CalibrationOptions, Compaction, Stats, VectorIndex, View};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{DAMAGED, Measured, MeasuredWith, build::on_thread, failed};
use crate::{
    index::{
        Index,
        memory::{Slot, lock},
    },
    store::collections,
};

/// How often it is looked for work that nobody announced.
const INTERVAL: Duration = Duration::from_secs(5);
/// How long an index in trouble is left alone.
const FAILURE_PAUSE: Duration = Duration::from_secs(5);
const REST: Duration = Duration::from_secs(60);
/// After so long without a change an index of several segments is made one.
const SETTLES_AFTER: Duration = Duration::from_secs(30);
/// How long the end waits for a thread that computes.
const THREADS_WAIT_MAX: Duration = Duration::from_secs(5);
/// With fewer real queries than this, recall is measured with passages' vectors.
const QUERIES_MIN: usize = 50;
/// Queries that recall is measured with: as many as cost about so many multiplications, within these bounds. That is some
/// minutes for ten million vectors, and seconds for a hundred thousand.
const MULTIPLICATIONS: usize = 40_000_000_000;
const MEASURED_MIN: usize = 100;
const MEASURED_MAX: usize = 500;

/// Works until `stop` fires.
pub(in crate::index) async fn keep_up(index: Arc<Index>, stop: CancellationToken) {
    while !stop.is_cancelled() {
        let mut turn = std::pin::pin!(turn(&index, &stop));
        tokio::select! {
            () = &mut turn => {}
            () = stop.cancelled() => {
                // What has begun to write ends by itself, soon if it can.
                let _ = tokio::time::timeout(THREADS_WAIT_MAX, turn).await;
            }
        }
    }
    index.threads.close();
    if tokio::time::timeout(THREADS_WAIT_MAX, index.threads.wait()).await.is_err() {
        tracing::info!("work on a vector index goes on until the process ends");
    }
}

async fn turn(index: &Index, stop: &CancellationToken) {
    let Some(((tenant, collection), is_damaged)) = index.builds.next() else {
        index.look_after_all(stop).await;
        tokio::select! {
            () = index.builds.due.notified() => {}
            () = tokio::time::sleep(INTERVAL) => {}
            () = stop.cancelled() => {}
        }
        return;
    };
    let outcome = if is_damaged {
        index.discard_damaged(tenant, collection).await
    } else {
        index.build_vectors(tenant, collection, stop).await
    };
    if let Err(error) = outcome
        && !stop.is_cancelled()
    {
        tracing::warn!(?error, %collection, "a vector index could not be built; trying again");
        tokio::select! {
            () = tokio::time::sleep(FAILURE_PAUSE) => {}
            () = stop.cancelled() => {}
        }
        index.builds.put_back(tenant, collection, is_damaged);
    }
}

impl Index {
    /// Compacts and calibrates what is due among the open indexes, until something more urgent comes.
    async fn look_after_all(&self, stop: &CancellationToken) {
        for (collection, slot) in self.memory.slots() {
            if stop.is_cancelled() || self.builds.is_due() {
                return;
            }
            if lock(&slot.vectors.rests_until).is_some_and(|until| Instant::now() < until) {
                continue;
            }
            if let Err(error) = self.look_after(collection, &slot).await {
                tracing::warn!(?error, %collection, "background work on a vector index failed");
                *lock(&slot.vectors.rests_until) = Some(Instant::now() + REST);
            }
        }
    }

    async fn look_after(&self, collection: CollectionId, slot: &Slot) -> Result<()> {
        if slot.vectors.memory_bytes() == 0 || lock(&slot.vectors.building).is_some() {
            return Ok(());
        }
        let Some(index) = slot.vectors.opened().await else { return Ok(()) };
        let is_at_rest = lock(&slot.vectors.written_at).is_none_or(|at| at.elapsed() >= SETTLES_AFTER);
        let settles = is_at_rest && index.is_full_compaction_worthwhile();
        if settles {
            self.compact(collection, slot, &index, Compaction::Full).await?;
        } else if index.is_compaction_due() {
            self.compact(collection, slot, &index, Compaction::Due).await?;
        }
        let is_changed = slot.vectors.is_changed.swap(false, Ordering::Relaxed) || settles;
        let stats = index.stats();
        if stats.segments == 0 || !(is_changed || stats.is_calibration_due()) {
            return Ok(());
        }
        let Some(tenant) = slot.vectors.tenant() else { return Ok(()) };
        let ctx = self.ctx.for_tenant(tenant, "knowledge.index");
        let mut tx = self.store.read(&ctx).await?;
        let stored = collections::by_reference(&mut tx, &collection.to_string()).await?;
        drop(tx);
        let Some(stored) = stored else { return Ok(()) };
        let target = stored.collection.recall_target;
        // One segment with partitions is searched in another way than several without.
        if settles
            || stats.is_calibration_due()
            || aimed_at(&stats).is_none_or(|before| before.total_cmp(&target).is_ne())
        {
            self.calibrate(collection, slot, &index, target).await?;
        }
        Ok(())
    }

    async fn compact(
        &self,
        collection: CollectionId,
        slot: &Slot,
        index: &Arc<VectorIndex>,
        compaction: Compaction,
    ) -> Result<()> {
        let (folder, target) = (self.vector_folder()?, Arc::clone(index));
        let started = Instant::now();
        let done = on_thread(self, folder.lock, move || target.compact(compaction, 1)).await?;
        self.show(collection, slot, index, &done).await;
        let compacted = done.map_err(failed)?;
        let elapsed_ms = started.elapsed().as_millis();
        tracing::debug!(%collection, ?compacted, elapsed_ms, "compacted a vector index");
        Ok(())
    }

    async fn calibrate(
        &self,
        collection: CollectionId,
        slot: &Slot,
        index: &Arc<VectorIndex>,
        target: f64,
    ) -> Result<()> {
        let (folder, generation) = (self.vector_folder()?, slot.vectors.of().generation);
        let view = index.view();
        let count = queries_to_measure(&view, index.options().dimensions);
        let recent = lock(&slot.vectors.recent).queries(index.options().dimensions, count);
        let with = if recent.len() >= QUERIES_MIN { MeasuredWith::Queries } else { MeasuredWith::Passages };
        let measured = Measured { with, at: self.ctx.now() };
        let (measuring, lock_file) = (Arc::clone(index), Arc::clone(&folder.lock));
        let started = Instant::now();
        let done = on_thread(self, lock_file, move || -> plasma_vectors::Result<Calibration> {
            let queries = match with {
                MeasuredWith::Queries => recent,
                MeasuredWith::Passages => view.sample(count)?,
            };
            let calibration = measuring.calibrate(&queries, &CalibrationOptions::new(target))?;
            folder.write_measured(collection, generation, measured)?;
            Ok(calibration)
        })
        .await?;
        self.show(collection, slot, index, &done).await;
        let calibration = done.map_err(failed)?;
        *lock(&slot.vectors.measured) = Some(measured);
        let elapsed_ms = started.elapsed().as_millis();
        tracing::info!(%collection, ?calibration, elapsed_ms, "measured the recall of a vector index");
        Ok(())
    }

    /// Lets searches have what background work has made of an index, or has it built anew when a file is damaged.
    async fn show<T>(
        &self,
        collection: CollectionId,
        slot: &Slot,
        index: &VectorIndex,
        done: &plasma_vectors::Result<T>,
    ) {
        match (done, slot.vectors.tenant()) {
            (Err(error), Some(tenant)) if error.needs_rebuild() => {
                slot.vectors.note_failure(Some(DAMAGED));
                self.builds.add_damaged(tenant, collection);
            }
            _ => {
                let _applying = self.applying.lock().await;
                let view = index.view();
                slot.vectors.measure(&view);
                slot.show_vectors(Some(view), slot.vectors.of());
            }
        }
    }
}

/// The recall target of the last calibration.
fn aimed_at(stats: &Stats) -> Option<f64> {
    stats.calibration.as_ref().map(|calibration| calibration.target)
}

fn queries_to_measure(view: &View, dimensions: usize) -> usize {
    let each = view.len().saturating_mul(dimensions).max(1);
    (MULTIPLICATIONS / each).clamp(MEASURED_MIN, MEASURED_MAX)
}
