//! Which partition a row belongs to: k-means on a sample, then each row to its nearest centre, and to a second one.

mod train;

pub(crate) use self::train::cluster;

use crate::{centers::Centers, codes::Query, error::Result, kernels::dot, segment::Rows, shared::Shared};

/// Rows that a thread takes at a time.
const CHUNK_ROWS: usize = 4_096;
/// Centres whose exact distance is computed, of those that their codes say are nearest.
const NEAREST: usize = 12;
/// How much more a second partition is wanted whose difference from the row is orthogonal to the first one's (SOAR, Sun et
/// al., NeurIPS 2023): a query for which the first is unfavourable then finds the row by the second.
const ORTHOGONALITY: f32 = 1.0;
/// Above so many rows partitions grow with the square root of their number, or looking for the nearest centre would take most of the
/// time.
const LARGE_ROWS: usize = 2_000_000;

/// No second partition.
const NONE: u32 = u32::MAX;

/// How the rows of a segment are laid out.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) centers: Centers,
    /// For each row of the segment, which row of the source it is.
    pub(crate) order: Vec<u32>,
    /// Own rows of each partition.
    pub(crate) own: Vec<u32>,
    /// Rows of the segment that are spilled into each partition.
    pub(crate) spilled: Vec<Vec<u32>>,
}

/// Decides where each row goes.
pub(crate) fn plan(shared: &Shared, rows: &dyn Rows, threads: usize) -> Result<Plan> {
    let count = partitions_for(shared, rows.count());
    let mut centers = Centers::new(&train::train(shared, rows, count, threads)?, shared.layout().padded);
    centers.settle();
    let centers = centers.grouped(threads)?;
    if count == 1 {
        let order = (0..rows.count() as u32).collect();
        return Ok(Plan { centers, order, own: vec![rows.count() as u32], spilled: vec![Vec::new()] });
    }
    let assigned = assign(shared, rows, &centers, threads)?;
    Ok(lay_out(centers, count, &assigned))
}

fn partitions_for(shared: &Shared, rows: usize) -> usize {
    let options = &shared.options;
    if rows < options.partition_from_rows.max(2 * options.partition_rows) {
        return 1;
    }
    let growth = (rows as f64 / LARGE_ROWS as f64).sqrt().max(1.0);
    (rows as f64 / (options.partition_rows as f64 * growth)) as usize
}

fn lay_out(centers: Centers, count: usize, assigned: &[(u32, u32)]) -> Plan {
    let mut members: Vec<Vec<u32>> = vec![Vec::new(); count];
    for (row, (first, _)) in assigned.iter().enumerate() {
        if let Some(members) = members.get_mut(*first as usize) {
            members.push(row as u32);
        }
    }
    let own = members.iter().map(|members| members.len() as u32).collect();
    let order: Vec<u32> = members.into_iter().flatten().collect();
    let mut spilled: Vec<Vec<u32>> = vec![Vec::new(); count];
    for (row, source) in order.iter().enumerate() {
        let second = assigned.get(*source as usize).map_or(NONE, |(_, second)| *second);
        if let Some(spilled) = spilled.get_mut(second as usize) {
            spilled.push(row as u32);
        }
    }
    Plan { centers, order, own, spilled }
}

/// The first and the second partition of each row.
fn assign(shared: &Shared, rows: &dyn Rows, centers: &Centers, threads: usize) -> Result<Vec<(u32, u32)>> {
    let chunks = in_chunks(rows.count(), CHUNK_ROWS, threads, |range| {
        let mut vector = vec![0.0; shared.options.dimensions];
        let padded = shared.layout().padded;
        let mut rotated = vec![0.0; padded];
        let mut query = Query::new(vec![0.0; padded]);
        let mut found = Vec::new();
        let nearest = if shared.options.spill_ratio > 1.0 { NEAREST } else { 3 };
        let mut differences = (vec![0.0; padded], vec![0.0; padded]);
        range
            .map(|row| {
                rows.read(row, &mut vector)?;
                shared.rotation().rotate(&vector, &mut rotated);
                query.set(&rotated);
                centers.nearest(&query, nearest, &mut found);
                Ok(two(centers, shared.options.spill_ratio, &rotated, &found, &mut differences))
            })
            .collect::<Result<Vec<_>>>()
    })?;
    Ok(chunks.into_iter().flatten().collect())
}

fn two(
    centers: &Centers,
    spill_ratio: f32,
    vector: &[f32],
    found: &[(f32, usize)],
    (first, second): &mut (Vec<f32>, Vec<f32>),
) -> (u32, u32) {
    let Some((nearest, others)) = found.split_first() else { return (0, NONE) };
    if spill_ratio <= 1.0 {
        return (nearest.1 as u32, NONE);
    }
    subtract(vector, centers.center(nearest.1), first);
    let mut best = (f32::INFINITY, NONE);
    for (square, center) in others.iter().filter(|other| other.0 <= spill_ratio * nearest.0) {
        subtract(vector, centers.center(*center), second);
        let along = dot(first, second);
        let loss = square + ORTHOGONALITY * along * along / nearest.0.max(f32::MIN_POSITIVE);
        if loss < best.0 {
            best = (loss, *center as u32);
        }
    }
    (nearest.1 as u32, best.1)
}

fn subtract(left: &[f32], right: &[f32], target: &mut [f32]) {
    for ((target, left), right) in target.iter_mut().zip(left).zip(right) {
        *target = left - right;
    }
}

/// Runs `work` on ranges of at most `chunk` of `0..count`, on several threads; the results come in order.
pub(crate) fn in_chunks<T: Send>(
    count: usize,
    chunk: usize,
    threads: usize,
    work: impl Fn(std::ops::Range<usize>) -> Result<T> + Sync,
) -> Result<Vec<T>> {
    let chunks = count.div_ceil(chunk);
    let range = |at: usize| at * chunk..count.min((at + 1) * chunk);
    if threads <= 1 || chunks <= 1 {
        return (0..chunks).map(|at| work(range(at))).collect();
    }
    let next = std::sync::atomic::AtomicUsize::new(0);
    let worker = || {
        let mut done = Vec::new();
        loop {
            let at = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            if at >= chunks {
                return done;
            }
            let result = work(range(at));
            let is_failed = result.is_err();
            done.push((at, result));
            if is_failed {
                next.store(chunks, std::sync::atomic::Ordering::Relaxed);
            }
        }
    };
    let mut results = std::thread::scope(|scope| {
        let others: Vec<_> = (1..threads.min(chunks)).map(|_| scope.spawn(worker)).collect();
        let mut results = worker();
        for other in others {
            match other.join() {
                Ok(more) => results.extend(more),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        results
    });
    results.sort_unstable_by_key(|(at, _)| *at);
    results.into_iter().map(|(_, result)| result).collect()
}
