//! Exact comparisons of a query with stored vectors.
//!
//! Each sum is kept in 32 lanes that are added up in one fixed order, so that every set of instructions gives the same bits.

#![allow(unsafe_code, reason = "calls of functions compiled for instructions that the processor was asked for")]

use crate::{
    cpu::for_each_cpu,
    types::{Metric, Storage},
};

/// Numbers side by side: independent sums that fill the vector registers.
const LANES: usize = 32;

/// The score of a stored vector (`bytes`, in `storage`) for `query`, which is as long.
pub(crate) fn score(metric: Metric, storage: Storage, bytes: &[u8], query: &[f32]) -> f32 {
    match (metric, storage) {
        (Metric::Cosine | Metric::Dot, Storage::F32) => dot_f32(bytes, query),
        (Metric::Cosine | Metric::Dot, Storage::F16) => dot_f16(bytes, query),
        (Metric::L2, Storage::F32) => -distance_f32(bytes, query),
        (Metric::L2, Storage::F16) => -distance_f16(bytes, query),
    }
}

/// The score of a vector in memory.
pub(crate) fn score_plain(metric: Metric, vector: &[f32], query: &[f32]) -> f32 {
    match metric {
        Metric::Cosine | Metric::Dot => dot(vector, query),
        Metric::L2 => -distance(vector, query),
    }
}

/// Reads a stored vector into `target`, which is as long.
pub(crate) fn decode(storage: Storage, bytes: &[u8], target: &mut [f32]) {
    match storage {
        Storage::F32 => {
            for (number, bytes) in target.iter_mut().zip(bytes.as_chunks::<4>().0) {
                *number = f32::from_le_bytes(*bytes);
            }
        }
        Storage::F16 => decode_f16(bytes, target),
    }
}

/// Appends a vector as it is stored. Numbers beyond 16 bits were refused before.
pub(crate) fn encode(storage: Storage, vector: &[f32], target: &mut Vec<u8>) {
    match storage {
        Storage::F32 => target.extend(vector.iter().flat_map(|number| number.to_le_bytes())),
        Storage::F16 => target.extend(vector.iter().flat_map(|number| half::f16::from_f32(*number).to_le_bytes())),
    }
}

for_each_cpu! {
    fn dot_f32(bytes: &[u8], query: &[f32]) -> f32 = dot_f32_body
}
for_each_cpu! {
    fn dot_f16(bytes: &[u8], query: &[f32]) -> f32 = dot_f16_body
}
for_each_cpu! {
    fn distance_f32(bytes: &[u8], query: &[f32]) -> f32 = distance_f32_body
}
for_each_cpu! {
    fn distance_f16(bytes: &[u8], query: &[f32]) -> f32 = distance_f16_body
}
for_each_cpu! {
    fn decode_f16(bytes: &[u8], target: &mut [f32]) = decode_f16_body
}
for_each_cpu! {
    /// Inner product of two vectors of one length.
    fn dot(left: &[f32], right: &[f32]) -> f32 = dot_body
}
for_each_cpu! {
    /// Squared distance of two vectors of one length.
    fn distance(left: &[f32], right: &[f32]) -> f32 = distance_body
}

#[inline(always)]
fn read_f32(bytes: [u8; 4]) -> f32 {
    f32::from_le_bytes(bytes)
}

/// Exact for every finite half: the bits are moved to their places in an `f32` whose exponent is then too small by 112.
#[inline(always)]
fn read_f16(bytes: [u8; 2]) -> f32 {
    const TWO_POW_112: f32 = f32::from_bits((127 + 112) << 23);
    let bits = u32::from(u16::from_le_bytes(bytes));
    let magnitude = f32::from_bits((bits & 0x7fff) << 13) * TWO_POW_112;
    f32::from_bits(magnitude.to_bits() | ((bits & 0x8000) << 16))
}

#[inline(always)]
fn sum<const BYTES: usize>(
    bytes: &[u8],
    query: &[f32],
    read: impl Fn([u8; BYTES]) -> f32,
    term: impl Fn(f32, f32) -> f32,
) -> f32 {
    let stored = bytes.as_chunks::<BYTES>().0;
    let (stored_chunks, stored_rest) = stored.as_chunks::<LANES>();
    let (query_chunks, query_rest) = query.as_chunks::<LANES>();
    let mut lanes = [0.0_f32; LANES];
    for (stored, query) in stored_chunks.iter().zip(query_chunks) {
        for ((lane, stored), query) in lanes.iter_mut().zip(stored).zip(query) {
            *lane += term(read(*stored), *query);
        }
    }
    for ((lane, stored), query) in lanes.iter_mut().zip(stored_rest).zip(query_rest) {
        *lane += term(read(*stored), *query);
    }
    fold(lanes)
}

/// Adds up the lanes: halves onto each other, so that it takes five steps.
#[inline(always)]
fn fold(lanes: [f32; LANES]) -> f32 {
    let mut lanes = lanes;
    let mut half = LANES / 2;
    while half > 0 {
        let (left, right) = lanes.split_at_mut(half);
        for (left, right) in left.iter_mut().zip(right) {
            *left += *right;
        }
        half /= 2;
    }
    let [first, ..] = lanes;
    first
}

#[inline(always)]
fn product(left: f32, right: f32) -> f32 {
    left * right
}

#[inline(always)]
fn squared_difference(left: f32, right: f32) -> f32 {
    (left - right) * (left - right)
}

#[inline(always)]
fn dot_f32_body(bytes: &[u8], query: &[f32]) -> f32 {
    sum(bytes, query, read_f32, product)
}

#[inline(always)]
fn dot_f16_body(bytes: &[u8], query: &[f32]) -> f32 {
    sum(bytes, query, read_f16, product)
}

#[inline(always)]
fn distance_f32_body(bytes: &[u8], query: &[f32]) -> f32 {
    sum(bytes, query, read_f32, squared_difference)
}

#[inline(always)]
fn distance_f16_body(bytes: &[u8], query: &[f32]) -> f32 {
    sum(bytes, query, read_f16, squared_difference)
}

#[inline(always)]
fn decode_f16_body(bytes: &[u8], target: &mut [f32]) {
    for (number, bytes) in target.iter_mut().zip(bytes.as_chunks::<2>().0) {
        *number = read_f16(*bytes);
    }
}

#[inline(always)]
fn slices(left: &[f32], right: &[f32], term: impl Fn(f32, f32) -> f32) -> f32 {
    let (left_chunks, left_rest) = left.as_chunks::<LANES>();
    let (right_chunks, right_rest) = right.as_chunks::<LANES>();
    let mut lanes = [0.0_f32; LANES];
    for (left, right) in left_chunks.iter().zip(right_chunks) {
        for ((lane, left), right) in lanes.iter_mut().zip(left).zip(right) {
            *lane += term(*left, *right);
        }
    }
    for ((lane, left), right) in lanes.iter_mut().zip(left_rest).zip(right_rest) {
        *lane += term(*left, *right);
    }
    fold(lanes)
}

#[inline(always)]
fn dot_body(left: &[f32], right: &[f32]) -> f32 {
    slices(left, right, product)
}

#[inline(always)]
fn distance_body(left: &[f32], right: &[f32]) -> f32 {
    slices(left, right, squared_difference)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rotation::Random;

    fn numbers(count: usize, seed: u64) -> Vec<f32> {
        let mut random = Random::new(seed);
        (0..count).map(|_| random.below(20_001) as f32 / 1e4 - 1.0).collect()
    }

    #[test]
    fn every_half_is_read_exactly() {
        for bits in 0..=u16::MAX {
            let half = half::f16::from_bits(bits);
            if half.is_finite() {
                assert_eq!(read_f16(bits.to_le_bytes()).to_bits(), half.to_f32().to_bits(), "{bits:#x}");
            }
        }
    }

    #[test]
    fn scores_are_those_of_the_definition_and_the_same_for_every_processor() {
        for dimensions in [1, 3, 31, 32, 33, 384, 1_000] {
            let (stored, query) = (numbers(dimensions, 1), numbers(dimensions, 2));
            for storage in [Storage::F32, Storage::F16] {
                let mut bytes = Vec::new();
                encode(storage, &stored, &mut bytes);
                let mut read = vec![0.0; dimensions];
                decode(storage, &bytes, &mut read);
                let pairs = || read.iter().zip(&query).map(|(left, right)| (f64::from(*left), f64::from(*right)));
                let exact_dot: f64 = pairs().map(|(left, right)| left * right).sum();
                let exact_distance: f64 = pairs().map(|(left, right)| (left - right).powi(2)).sum();
                assert!((f64::from(score(Metric::Dot, storage, &bytes, &query)) - exact_dot).abs() < 1e-3);
                assert!((f64::from(score(Metric::L2, storage, &bytes, &query)) + exact_distance).abs() < 1e-3);
                let plain = match storage {
                    Storage::F32 => (dot_f32_body(&bytes, &query), distance_f32_body(&bytes, &query)),
                    Storage::F16 => (dot_f16_body(&bytes, &query), distance_f16_body(&bytes, &query)),
                };
                assert_eq!(score(Metric::Dot, storage, &bytes, &query).to_bits(), plain.0.to_bits());
                assert_eq!(score(Metric::L2, storage, &bytes, &query).to_bits(), (-plain.1).to_bits());
                assert_eq!(dot(&read, &query).to_bits(), plain.0.to_bits());
                assert_eq!(distance(&read, &query).to_bits(), plain.1.to_bits());
            }
        }
    }
}
