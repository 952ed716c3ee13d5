//! The signs of codes: one bit a number, for a first look that reads a quarter of the memory.
//!
//! A vector's signs, with the factor that makes the estimate unbiased, say of its score what the codes say, with an error about
//! seven times larger, whose distribution is known (RaBitQ with one bit). Most vectors are so far below the last hit
//! that this is enough to pass them over; only the blocks of the others are read.
//!
//! Sixteen codes make a block here as well. The signs of four numbers make half a byte, which chooses from a table of the sixteen
//! sums that they can have with the query (as in FastScan, André et al., VLDB 2015). A group of 64 bytes holds 32 numbers of each
//! code: byte `16 * lane + code` has numbers `4 * (8 * group + lane)` and following in its low half, and those 16 further on in its
//! high half. After the groups follow sixteen factors and, for L2, sixteen summands.

#![allow(clippy::indexing_slicing, reason = "places inside a block, whose size is computed here; inner loops")]
#![allow(unsafe_code, reason = "calls of functions compiled for instructions that the processor was asked for")]

use crate::{
    codes::{BLOCK, GROUP_BYTES, Layout},
    cpu::for_each_cpu,
};

/// Numbers of a vector in a group.
const SIGN_GROUP: usize = 32;
/// Groups of codes that make a group of signs.
const CODE_GROUPS: usize = 4;
/// Numbers whose signs choose from a table together.
const TABLE_NUMBERS: usize = 4;
const LANES: usize = 4;

impl Layout {
    pub(crate) fn sign_groups_bytes(self) -> usize {
        self.padded.div_ceil(SIGN_GROUP) * GROUP_BYTES
    }

    pub(crate) fn sign_block_bytes(self) -> usize {
        self.sign_groups_bytes() + 4 * BLOCK * (1 + usize::from(self.has_summands))
    }
}

/// Kernels add in 16 bits, with what rounding may add.
const SUM_MAX: f32 = 64_000.0;

/// The sums that four numbers of a query can have, for each four.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tables {
    /// For each group of signs 64 bytes for the low and 64 for the high halves; in each, sixteen for each lane.
    pub(crate) bytes: Vec<u8>,
    step: f32,
    start: f32,
}

impl Tables {
    pub(crate) fn new(rotated: &[f32]) -> Self {
        let groups = rotated.len().div_ceil(SIGN_GROUP);
        let mut sums = vec![[0.0_f32; 16]; groups * SIGN_GROUP / TABLE_NUMBERS];
        let (mut lowest, mut largest, mut total) = (0.0, 0.0_f32, 0.0);
        for (sums, numbers) in sums.iter_mut().zip(rotated.as_chunks::<TABLE_NUMBERS>().0) {
            for (at, sum) in sums.iter_mut().enumerate() {
                *sum = numbers.iter().enumerate().filter(|(bit, _)| at >> bit & 1 == 1).map(|(_, number)| number).sum();
            }
            let least = sums.iter().fold(0.0_f32, |least, sum| least.min(*sum));
            let most = sums.iter().fold(0.0_f32, |most, sum| most.max(*sum));
            lowest += least;
            largest = largest.max(most - least);
            total += most - least;
            sums.iter_mut().for_each(|sum| *sum -= least);
        }
        let step = (largest / 255.0).max(total / SUM_MAX);
        let step = if step > 0.0 { step } else { 1.0 };
        let mut bytes = vec![0; groups * 2 * GROUP_BYTES];
        for (number, sums) in sums.iter().enumerate() {
            let (group, within) = (number / 8, number % 8);
            let start = group * 2 * GROUP_BYTES + within / LANES * GROUP_BYTES + within % LANES * 16;
            for (byte, sum) in bytes[start..start + 16].iter_mut().zip(sums) {
                *byte = (sum / step).round().min(255.0) as u8;
            }
        }
        // Where the sign is positive the number counts, elsewhere its opposite: twice the chosen ones less all.
        Self { bytes, step: 2.0 * step, start: 2.0 * lowest - rotated.iter().sum::<f32>() }
    }

    /// What a sum of chosen entries says of the inner product, before the factor.
    #[inline(always)]
    pub(crate) fn estimate(&self, sum: i32) -> f32 {
        sum as f32 * self.step + self.start
    }
}

/// Writes the signs of whole blocks of codes into as many blocks of signs, which are zero before.
pub(crate) fn derive(codes: &[u8], layout: Layout, target: &mut [u8]) {
    let groups_bytes = layout.groups_bytes();
    let signs_bytes = layout.sign_groups_bytes();
    let blocks = codes.chunks_exact(layout.block_bytes()).zip(target.chunks_exact_mut(layout.sign_block_bytes()));
    for (codes, signs) in blocks {
        let mut factors = [0.0; BLOCK];
        derive_block(&codes[..groups_bytes], &mut signs[..signs_bytes], &mut factors);
        for (lane, factor) in factors.into_iter().enumerate() {
            let at = groups_bytes + 4 * lane;
            let of_code = f32::from_le_bytes([codes[at], codes[at + 1], codes[at + 2], codes[at + 3]]);
            signs[signs_bytes + 4 * lane..][..4].copy_from_slice(&(factor * of_code).to_le_bytes());
        }
        // Summands are the same.
        signs[signs_bytes + 4 * BLOCK..].copy_from_slice(&codes[groups_bytes + 4 * BLOCK..]);
    }
}

for_each_cpu! {
    /// Signs of a block, and for each code what makes its factor that of its signs.
    fn derive_block(codes: &[u8], signs: &mut [u8], factors: &mut [f32; BLOCK]) = derive_block_body
}

#[inline(always)]
fn derive_block_body(codes: &[u8], signs: &mut [u8], factors: &mut [f32; BLOCK]) {
    // Of twice the levels' distances from the middle: odd numbers from 1 to 15.
    let mut sums = [0_u32; BLOCK];
    let mut squares = [0_u32; BLOCK];
    let groups = codes.as_chunks::<GROUP_BYTES>().0;
    for (groups, target) in groups.chunks(CODE_GROUPS).zip(signs.as_chunks_mut::<GROUP_BYTES>().0) {
        for (k, group) in groups.iter().enumerate() {
            let words: [u32; BLOCK] = std::array::from_fn(|code| {
                u32::from_le_bytes([group[4 * code], group[4 * code + 1], group[4 * code + 2], group[4 * code + 3]])
            });
            for (number, shift) in [(2 * k, 0), (2 * k + 1, 4)] {
                let start = 16 * (number % LANES);
                let target = &mut target[start..start + BLOCK];
                for (((target, word), sum), square) in target.iter_mut().zip(words).zip(&mut sums).zip(&mut squares) {
                    let levels = word >> shift & 0x0f0f_0f0f;
                    // The top bits of four bytes, moved beside each other.
                    let chosen = (levels >> 3 & 0x0101_0101).wrapping_mul(0x0102_0408) >> 24 & 15;
                    *target |= (chosen << (4 * (number / LANES))) as u8;
                    for byte in 0..4 {
                        let distance = (2 * (levels >> (8 * byte) & 15)).abs_diff(15);
                        *sum = sum.wrapping_add(distance);
                        *square = square.wrapping_add(distance * distance);
                    }
                }
            }
        }
    }
    for ((factor, sum), square) in factors.iter_mut().zip(sums).zip(squares) {
        *factor = 0.5 * square as f32 / sum.max(1) as f32;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        codes::{Encoder, Query},
        kernels::dot,
        rotation::{Random, Rotation},
        scan,
    };

    #[test]
    fn hardly_any_score_exceeds_what_its_signs_allow() {
        for dimensions in [8, 40, 384] {
            let layout = Layout { padded: dimensions, has_summands: false };
            let rotation = Rotation::new(dimensions);
            let mut random = Random::new(4);
            let mut vector = || -> Vec<f32> {
                let numbers: Vec<f32> = (0..dimensions).map(|_| random.below(2_001) as f32 / 1e3 - 1.0).collect();
                let mut rotated = vec![0.0; dimensions];
                rotation.rotate(&numbers, &mut rotated);
                rotated
            };
            let vectors: Vec<Vec<f32>> = (0..800).map(|_| vector()).collect();
            let center = vec![0.0; dimensions];
            let query = Query::new(vector()).with_tables();
            let mut codes = Vec::new();
            Encoder::new(layout).encode(vectors.iter().map(Vec::as_slice), &center, &mut codes);
            let mut signs = vec![0; codes.len() / layout.block_bytes() * layout.sign_block_bytes()];
            derive(&codes, layout, &mut signs);
            let length = dot(&query.rotated, &query.rotated).sqrt();
            let (mut below, mut within) = (0, 0);
            scan::for_each_sign_block(&signs, layout, &query, (0.0, 1.0, 0.6028 * length), |block, scores| {
                for (vector, score) in vectors[block * BLOCK..].iter().zip(scores) {
                    below += usize::from(dot(vector, &query.rotated) <= score);
                }
            });
            scan::for_each_sign_block(&signs, layout, &query, (0.0, 1.0, 3.5 * 0.6028 * length), |block, scores| {
                for (vector, score) in vectors[block * BLOCK..].iter().zip(scores) {
                    within += usize::from(dot(vector, &query.rotated) <= score);
                }
            });
            // One deviation: 84% of normally distributed errors.
            assert!((620..=740).contains(&below), "{dimensions}: {below}");
            assert!(within >= 796, "{dimensions}: {within}");
        }
    }
}
