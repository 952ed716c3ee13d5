//! Centres of partitions.

use super::in_chunks;
use crate::{centers::Centers, codes::Query, error::Result, rotation::Random, segment::Rows, shared::Shared};

/// Rows of the sample for each centre.
const SAMPLE_ROWS: usize = 32;
const ROUNDS: usize = 8;
/// Rows whose mean is the centre of a segment without partitions.
const MEAN_ROWS: usize = 10_000;
const CHUNK_ROWS: usize = 1_024;
/// A cluster with fewer rows than this part of the average gets its centre from a crowded one.
const SPARSE: f64 = 0.3;
const CROWDED: f64 = 1.6;
const SEED: u64 = 0x706c_6173_6d61_0002;

/// `count` rotated centres, one after the other.
pub(super) fn train(shared: &Shared, rows: &dyn Rows, count: usize, threads: usize) -> Result<Vec<f32>> {
    let padded = shared.layout().padded;
    let wanted = if count == 1 { MEAN_ROWS } else { SAMPLE_ROWS * count };
    let sample = read_sample(shared, rows, wanted.min(rows.count()), threads)?;
    let size = sample.len() / padded;
    if size == 0 {
        return Ok(vec![0.0; count * padded]);
    }
    if count == 1 {
        let mut centers = vec![0.0; padded];
        move_centers(&sample, &vec![0; size], &mut centers, padded);
        return Ok(centers);
    }
    cluster(&sample, count, padded, threads)
}

/// `count` centres of rotated vectors.
pub(crate) fn cluster(sample: &[f32], count: usize, padded: usize, threads: usize) -> Result<Vec<f32>> {
    let size = sample.len() / padded;
    let mut centers = vec![0.0; count * padded];
    for (at, center) in centers.chunks_exact_mut(padded).enumerate() {
        center.copy_from_slice(row(sample, at * size / count, padded));
    }
    let mut random = Random::new(SEED);
    for round in 0..ROUNDS {
        let assigned = nearest(sample, &centers, padded, threads)?;
        move_centers(sample, &assigned, &mut centers, padded);
        if round + 2 < ROUNDS {
            balance(sample, &assigned, &mut centers, padded, &mut random);
        }
    }
    Ok(centers)
}

fn row(sample: &[f32], at: usize, padded: usize) -> &[f32] {
    sample.get(at * padded..(at + 1) * padded).unwrap_or_default()
}

/// Rotated rows, evenly spread over all.
fn read_sample(shared: &Shared, rows: &dyn Rows, size: usize, threads: usize) -> Result<Vec<f32>> {
    let padded = shared.layout().padded;
    let chunks = in_chunks(size, CHUNK_ROWS, threads, |range| {
        let mut vector = vec![0.0; shared.options.dimensions];
        let mut rotated = vec![0.0; range.len() * padded];
        for (at, target) in range.zip(rotated.chunks_exact_mut(padded)) {
            rows.read(at * rows.count() / size, &mut vector)?;
            shared.rotation().rotate(&vector, target);
        }
        Ok(rotated)
    })?;
    Ok(chunks.concat())
}

fn nearest(sample: &[f32], centers: &[f32], padded: usize, threads: usize) -> Result<Vec<u32>> {
    let centers = Centers::new(centers, padded).grouped(threads)?;
    let chunks = in_chunks(sample.len() / padded, CHUNK_ROWS, threads, |range| {
        let mut query = Query::new(vec![0.0; padded]);
        let mut found = Vec::new();
        let of = |at| {
            query.set(row(sample, at, padded));
            centers.nearest(&query, 4, &mut found);
            found.first().map_or(0, |(_, center)| *center as u32)
        };
        Ok(range.map(of).collect::<Vec<u32>>())
    })?;
    Ok(chunks.concat())
}

/// Each centre becomes the mean of its rows; one without rows stays.
fn move_centers(sample: &[f32], assigned: &[u32], centers: &mut [f32], padded: usize) {
    let count = centers.len() / padded;
    let mut sums = vec![0.0_f32; centers.len()];
    let mut sizes = vec![0_u32; count];
    for (row, center) in sample.chunks_exact(padded).zip(assigned) {
        let at = *center as usize;
        let (Some(size), Some(sum)) = (sizes.get_mut(at), sums.get_mut(at * padded..(at + 1) * padded)) else {
            continue;
        };
        *size += 1;
        for (sum, value) in sum.iter_mut().zip(row) {
            *sum += value;
        }
    }
    for ((center, sum), size) in centers.chunks_exact_mut(padded).zip(sums.chunks_exact(padded)).zip(sizes) {
        if size > 0 {
            for (value, sum) in center.iter_mut().zip(sum) {
                *value = sum / size as f32;
            }
        }
    }
}

/// Moves the centres of sparse clusters onto rows of crowded ones, which the next rounds then divide.
fn balance(sample: &[f32], assigned: &[u32], centers: &mut [f32], padded: usize, random: &mut Random) {
    let count = centers.len() / padded;
    let mut members: Vec<Vec<u32>> = vec![Vec::new(); count];
    for (row, center) in assigned.iter().enumerate() {
        if let Some(members) = members.get_mut(*center as usize) {
            members.push(row as u32);
        }
    }
    let average = assigned.len() as f64 / count as f64;
    let mut crowded: Vec<(usize, usize)> = members
        .iter()
        .enumerate()
        .filter(|(_, members)| members.len() as f64 > CROWDED * average)
        .map(|(at, members)| (members.len(), at))
        .collect();
    crowded.sort_unstable();
    let sparse = members.iter().enumerate().filter(|(_, members)| (members.len() as f64) < SPARSE * average);
    for (at, _) in sparse {
        let Some((size, from)) = crowded.pop() else { return };
        let Some(members) = members.get(from) else { return };
        let chosen = members.get(random.below(members.len())).copied().unwrap_or_default();
        if let Some(center) = centers.get_mut(at * padded..(at + 1) * padded) {
            center.copy_from_slice(row(sample, chosen as usize, padded));
        }
        let half = size / 2;
        if half as f64 > CROWDED * average {
            let place = crowded.partition_point(|other| *other < (half, from));
            crowded.insert(place, (half, from));
        }
    }
}
