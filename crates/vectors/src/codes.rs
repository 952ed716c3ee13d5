//! Vectors as 4 bits a number, and queries as 8.
//!
//! A rotated vector less the centre of its partition is rounded to sixteen levels in each direction. The step is chosen so that
//! the rounded vector points as nearly as possible where the original does, and the factor that is stored with it makes the
//! estimate of the inner product unbiased: RaBitQ (Gao and Long, SIGMOD 2024) with several bits (Gao et al., SIGMOD 2025).
//!
//! Sixteen codes make a block. A group of 64 bytes holds eight numbers of each: byte `4 * code + j` has number `8 * group + j` in
//! its low half and `8 * group + 4 + j` in its high half, so that one instruction multiplies four numbers of sixteen codes.
//! After the groups follow sixteen factors and, for L2, sixteen summands, as `f32`.

#![allow(clippy::indexing_slicing, reason = "places inside a block, whose size is computed here; inner loops")]
#![allow(unsafe_code, reason = "calls of functions compiled for instructions that the processor was asked for")]

use crate::{cpu::for_each_cpu, kernels::dot, rotation::GROUP, signs::Tables};

/// Codes in a block.
pub(crate) const BLOCK: usize = 16;
/// Bytes of a group of eight numbers of sixteen codes.
pub(crate) const GROUP_BYTES: usize = 64;
/// Half of 2 * 7.5, by which levels 0 to 15 are moved to be symmetric around zero.
const TWICE_MIDDLE: i32 = 15;
/// Steps that are tried, as parts of the root mean square of the numbers. The best for normally distributed ones is 0.335.
const STEPS: [f32; 8] = [0.24, 0.27, 0.30, 0.325, 0.35, 0.38, 0.42, 0.47];

/// The form of blocks of codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    /// Numbers in a rotated vector, a multiple of [`GROUP`].
    pub(crate) padded: usize,
    /// Whether a summand follows each factor.
    pub(crate) has_summands: bool,
}

impl Layout {
    pub(crate) fn groups_bytes(self) -> usize {
        self.padded / GROUP * GROUP_BYTES
    }

    pub(crate) fn block_bytes(self) -> usize {
        self.groups_bytes() + 4 * BLOCK * (1 + usize::from(self.has_summands))
    }
}

/// Turns rotated vectors into blocks.
#[derive(Debug)]
pub(crate) struct Encoder {
    layout: Layout,
    residual: Vec<f32>,
    levels: Vec<u8>,
}

impl Encoder {
    pub(crate) fn new(layout: Layout) -> Self {
        Self { layout, residual: vec![0.0; layout.padded], levels: vec![0; layout.padded] }
    }

    /// Appends the codes of rotated vectors around `center`, in as many blocks as they need. Returns the sum of the squared
    /// lengths of their differences from it.
    pub(crate) fn encode<'a>(
        &mut self,
        vectors: impl Iterator<Item = &'a [f32]>,
        center: &[f32],
        target: &mut Vec<u8>,
    ) -> f64 {
        let groups_bytes = self.layout.groups_bytes();
        let mut squares = 0.0;
        for (at, vector) in vectors.enumerate() {
            let lane = at % BLOCK;
            if lane == 0 {
                target.resize(target.len() + self.layout.block_bytes(), 0);
            }
            let start = target.len() - self.layout.block_bytes();
            let block = &mut target[start..];
            for ((difference, value), center) in self.residual.iter_mut().zip(vector).zip(center) {
                *difference = value - center;
            }
            let square = dot(&self.residual, &self.residual);
            squares += f64::from(square);
            let factor = quantize(&self.residual, &mut self.levels, square);
            for (group, levels) in self.levels.as_chunks::<GROUP>().0.iter().enumerate() {
                let bytes = &mut block[group * GROUP_BYTES + 4 * lane..][..4];
                for (j, byte) in bytes.iter_mut().enumerate() {
                    *byte = levels[j] | levels[j + 4] << 4;
                }
            }
            block[groups_bytes + 4 * lane..][..4].copy_from_slice(&factor.to_le_bytes());
            if self.layout.has_summands {
                // -|q - x|^2 = -|q - c|^2 + 2 <q, r> - (2 <c, r> + |r|^2) for x = c + r.
                let summand = -(2.0 * dot(center, &self.residual) + square);
                block[groups_bytes + 4 * (BLOCK + lane)..][..4].copy_from_slice(&summand.to_le_bytes());
            }
        }
        squares
    }
}

/// What a code of a block stands for, without the centre.
pub(crate) fn decode_lane(block: &[u8], layout: Layout, lane: usize, target: &mut [f32]) {
    let start = layout.groups_bytes() + 4 * lane;
    let factor = f32::from_le_bytes([block[start], block[start + 1], block[start + 2], block[start + 3]]);
    for (group, numbers) in target.as_chunks_mut::<GROUP>().0.iter_mut().enumerate() {
        let bytes = &block[group * GROUP_BYTES + 4 * lane..][..4];
        for (j, byte) in bytes.iter().enumerate() {
            numbers[j] = factor * (f32::from(byte & 15) - 7.5);
            numbers[j + 4] = factor * (f32::from(byte >> 4) - 7.5);
        }
    }
}

/// Replaces the summand of a code.
pub(crate) fn set_summand(block: &mut [u8], layout: Layout, lane: usize, summand: f32) {
    block[layout.groups_bytes() + 4 * (BLOCK + lane)..][..4].copy_from_slice(&summand.to_le_bytes());
}

for_each_cpu! {
    /// Writes the level of each number (0 to 15) and returns the factor: `factor * (level - 7.5)` estimates the vector.
    fn quantize(vector: &[f32], levels: &mut [u8], square: f32) -> f32 = quantize_body
}

#[inline(always)]
fn level(value: f32, inverse: f32) -> f32 {
    // Rounded to the nearest by adding 2^23, which leaves no bits for a fraction.
    const ROUND: f32 = 8_388_608.0;
    (value.mul_add_exactly(inverse, 7.5).clamp(0.0, 15.0) + ROUND) - ROUND
}

trait MulAdd {
    fn mul_add_exactly(self, factor: f32, summand: f32) -> f32;
}

impl MulAdd for f32 {
    /// Two roundings on every processor.
    #[inline(always)]
    fn mul_add_exactly(self, factor: f32, summand: f32) -> f32 {
        self * factor + summand
    }
}

#[inline(always)]
fn quantize_body(vector: &[f32], levels: &mut [u8], square: f32) -> f32 {
    if square <= 0.0 || !square.is_finite() {
        levels.fill(8);
        return 0.0;
    }
    let spread = (square / vector.len() as f32).sqrt();
    let mut best = (f32::NEG_INFINITY, 1.0, 1.0);
    for step in STEPS {
        let inverse = 1.0 / (step * spread);
        let mut products = [0.0_f32; GROUP];
        let mut squares = [0.0_f32; GROUP];
        for chunk in vector.as_chunks::<GROUP>().0 {
            for ((product, square), value) in products.iter_mut().zip(&mut squares).zip(chunk) {
                let rounded = level(*value, inverse) - 7.5;
                *product += rounded * value;
                *square += rounded * rounded;
            }
        }
        let (product, norm) = (products.iter().sum::<f32>(), squares.iter().sum::<f32>());
        let cosine = product / norm.sqrt();
        if cosine > best.0 {
            best = (cosine, inverse, product);
        }
    }
    for (target, value) in levels.iter_mut().zip(vector) {
        *target = level(*value, best.1) as u8;
    }
    square / best.2
}

/// A query, ready to be compared with codes.
#[derive(Clone, Debug)]
pub(crate) struct Query {
    /// Rotated.
    pub(crate) rotated: Vec<f32>,
    /// 8-bit whole numbers (`i8`), rounded from `rotated`.
    pub(crate) bytes: Vec<u8>,
    /// For signs.
    pub(crate) tables: Tables,
    /// An estimate is `alpha * factor * (2 * sum - offset)`.
    pub(crate) alpha: f32,
    pub(crate) offset: i32,
}

impl Query {
    pub(crate) fn new(rotated: Vec<f32>) -> Self {
        let tables = Tables::default();
        let mut query = Self { bytes: vec![0; rotated.len()], rotated, tables, alpha: 0.0, offset: 0 };
        query.round();
        query
    }

    /// The same buffers for another rotated vector.
    pub(crate) fn set(&mut self, rotated: &[f32]) {
        self.rotated.copy_from_slice(rotated);
        self.round();
    }

    fn round(&mut self) {
        let largest = self.rotated.iter().fold(0.0_f32, |largest, value| largest.max(value.abs()));
        let step = if largest > 0.0 { largest / 127.0 } else { 1.0 };
        let inverse = 1.0 / step;
        let mut sum = 0;
        for (byte, value) in self.bytes.iter_mut().zip(&self.rotated) {
            let rounded = (value * inverse).round().clamp(-127.0, 127.0) as i8;
            *byte = rounded.cast_unsigned();
            sum += i32::from(rounded);
        }
        self.alpha = step / 2.0;
        self.offset = TWICE_MIDDLE * sum;
    }

    /// Makes it ready for looking at signs as well.
    pub(crate) fn with_tables(mut self) -> Self {
        self.tables = Tables::new(&self.rotated);
        self
    }

    /// What a sum of products of levels and bytes says of the inner product, before the factor.
    #[inline(always)]
    pub(crate) fn estimate(&self, sum: i32) -> f32 {
        (2 * sum - self.offset) as f32 * self.alpha
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{rotation::Random, scan};

    #[test]
    fn estimates_are_near_the_inner_products() {
        for padded in [8, 384, 1_024] {
            let layout = Layout { padded, has_summands: false };
            let mut random = Random::new(3);
            let mut vector = || -> Vec<f32> {
                (0..padded).map(|_| (0..6).map(|_| random.below(1_001) as f32 / 1e3 - 0.5).sum::<f32>()).collect()
            };
            let center = vector();
            let vectors: Vec<Vec<f32>> = (0..40).map(|_| vector()).collect();
            let query = Query::new(vector());
            let mut blocks = Vec::new();
            let squares = Encoder::new(layout).encode(vectors.iter().map(Vec::as_slice), &center, &mut blocks);
            assert!(squares > 0.0);
            assert_eq!(blocks.len(), 3 * layout.block_bytes());
            let mut found = Vec::new();
            let base = dot(&center, &query.rotated);
            scan::for_each_block(&blocks, layout, &query, |_, block| {
                found.extend(block.scores(base, 1.0));
            });
            for (vector, estimate) in vectors.iter().zip(&found) {
                let exact = dot(vector, &query.rotated);
                let residual: f32 = vector.iter().zip(&center).map(|(a, b)| (a - b).powi(2)).sum::<f32>().sqrt();
                let length = dot(&query.rotated, &query.rotated).sqrt();
                let error = (exact - estimate).abs() / (residual * length) * (padded as f32).sqrt();
                assert!(error < 0.6, "{padded}: {error}");
            }
        }
    }
}
