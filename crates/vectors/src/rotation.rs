//! A random rotation, the same for each index of a number of dimensions, in O(n log n).
//!
//! Signs are flipped at random, then a Hadamard transform mixes the first 2^k numbers, then one mixes the last 2^k; three such
//! rounds. Lengths and inner products stay as they are, but no direction of the data is special any more, which is what the
//! codes' error bound needs.

#![allow(clippy::indexing_slicing, reason = "windows lie inside the padded length, which `new` computes")]
#![allow(unsafe_code, reason = "calls of functions compiled for instructions that the processor was asked for")]

use crate::cpu::for_each_cpu;

const ROUNDS: usize = 3;
/// Numbers that share the bytes of a code; vectors are filled up with zeros to a multiple of it.
pub(crate) const GROUP: usize = 8;
const SEED: u64 = 0x706c_6173_6d61_0001;

/// A rotation of vectors with up to `padded` numbers.
#[derive(Debug)]
pub(crate) struct Rotation {
    padded: usize,
    window: usize,
    /// +1 or -1 times what keeps lengths, a round after the other.
    signs: Vec<f32>,
}

/// A reproducible sequence of 64 random bits (SplitMix64, Steele et al. 2014).
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    /// Evenly below `end` (which is not 0), but for a bias of `end / 2^64`.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        ((u128::from(self.next()) * end as u128) >> 64) as usize
    }
}

impl Rotation {
    pub(crate) fn new(dimensions: usize) -> Self {
        let padded = dimensions.next_multiple_of(GROUP);
        let window = 1 << padded.ilog2();
        let mut random = Random::new(SEED ^ padded as u64);
        let mut bits = 0;
        let signs = (0..ROUNDS * padded).map(|at| {
            if at % 64 == 0 {
                bits = random.next();
            }
            let sign = if bits & 1 == 0 { 1.0 } else { -1.0 };
            bits >>= 1;
            sign
        });
        Self { padded, window, signs: signs.collect() }
    }

    /// Numbers of a rotated vector.
    pub(crate) fn padded(&self) -> usize {
        self.padded
    }

    /// Rotates `vector` (not longer than `padded`) into `target` (of length `padded`).
    pub(crate) fn rotate(&self, vector: &[f32], target: &mut [f32]) {
        let (head, rest) = target.split_at_mut(vector.len());
        head.copy_from_slice(vector);
        rest.fill(0.0);
        mix(target, &self.signs, self.window);
    }
}

for_each_cpu! {
    /// Three rounds of flips and transforms.
    fn mix(values: &mut [f32], signs: &[f32], window: usize) = mix_body
}

#[inline(always)]
fn mix_body(values: &mut [f32], signs: &[f32], window: usize) {
    let factor = 1.0 / (window as f32).sqrt();
    let last = values.len() - window;
    for signs in signs.chunks_exact(values.len()) {
        for (value, sign) in values.iter_mut().zip(signs) {
            *value *= sign;
        }
        hadamard(&mut values[..window], factor);
        if last > 0 {
            hadamard(&mut values[last..], factor);
        }
    }
}

#[inline(always)]
fn hadamard(values: &mut [f32], factor: f32) {
    for part in values.as_chunks_mut::<GROUP>().0 {
        let a: [f32; 8] =
            std::array::from_fn(|at| if at < 4 { part[at] + part[at + 4] } else { part[at - 4] - part[at] });
        let b: [f32; 8] = std::array::from_fn(|at| if at & 2 == 0 { a[at] + a[at + 2] } else { a[at - 2] - a[at] });
        *part = std::array::from_fn(|at| factor * if at & 1 == 0 { b[at] + b[at + 1] } else { b[at - 1] - b[at] });
    }
    let mut half = GROUP;
    while half < values.len() {
        for pair in values.chunks_exact_mut(2 * half) {
            let (left, right) = pair.split_at_mut(half);
            for (left, right) in left.iter_mut().zip(right) {
                (*left, *right) = (*left + *right, *left - *right);
            }
        }
        half *= 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inner_products_stay() {
        for dimensions in [1, 7, 8, 12, 100, 384, 1_536, 4_096] {
            let rotation = Rotation::new(dimensions);
            let mut random = Random::new(1);
            let mut vector =
                || -> Vec<f32> { (0..dimensions).map(|_| random.below(2_001) as f32 / 1e3 - 1.0).collect() };
            let (left, right) = (vector(), vector());
            let turned = |vector: &[f32]| {
                let mut target = vec![f32::NAN; rotation.padded()];
                rotation.rotate(vector, &mut target);
                target
            };
            let dot = |left: &[f32], right: &[f32]| -> f64 {
                left.iter().zip(right).map(|(left, right)| f64::from(*left) * f64::from(*right)).sum()
            };
            let (before, after) = (dot(&left, &right), dot(&turned(&left), &turned(&right)));
            let scale = dot(&left, &left).sqrt() * dot(&right, &right).sqrt();
            assert!((before - after).abs() <= 1e-5 * scale, "{dimensions}: {before} {after}");
        }
    }

    #[test]
    fn a_single_direction_is_spread_over_all() {
        let rotation = Rotation::new(384);
        for axis in [0, 100, 200, 383] {
            let mut vector = vec![0.0; 384];
            vector[axis] = 1.0;
            let mut target = vec![0.0; 384];
            rotation.rotate(&vector, &mut target);
            let largest = target.iter().fold(0.0_f32, |largest, value| largest.max(value.abs()));
            assert!(largest < 0.3, "{axis}: {largest}");
        }
    }
}
