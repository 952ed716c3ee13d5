//! Reproducible data and brute force.

use plasma_vectors::{Hit, Metric, Options, VectorIndex};

/// A reproducible sequence (xorshift64*).
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub fn below(&mut self, end: u64) -> u64 {
        (self.next() >> 16) % end
    }

    /// About normally distributed.
    pub fn normal(&mut self) -> f32 {
        (0..12).map(|_| (self.next() >> 40) as f32 / (1 << 24) as f32).sum::<f32>() - 6.0
    }
}

/// Vectors in clusters of clusters with noise of few directions, so that neighbours are neither trivial nor arbitrary.
pub fn clustered(count: usize, dimensions: usize, seed: u64) -> Vec<Vec<f32>> {
    // The clusters are the same for every seed, so that queries come from where the vectors are.
    let mut fixed = Random::new(77);
    let normal =
        |random: &mut Random, scale: f32| -> Vec<f32> { (0..dimensions).map(|_| scale * random.normal()).collect() };
    let centers: Vec<Vec<f32>> = (0..20).map(|_| normal(&mut fixed, 1.0)).collect();
    let directions: Vec<Vec<f32>> = (0..12).map(|_| normal(&mut fixed, 0.3)).collect();
    let mut random = Random::new(seed);
    (0..count)
        .map(|_| {
            let mut vector = centers[random.below(20) as usize].clone();
            for direction in &directions {
                let along = random.normal();
                vector.iter_mut().zip(direction).for_each(|(value, step)| *value += along * step);
            }
            vector.iter_mut().for_each(|value| *value += 0.15 * random.normal());
            vector
        })
        .collect()
}

pub fn score(metric: Metric, left: &[f32], right: &[f32]) -> f64 {
    let pairs = || left.iter().zip(right).map(|(left, right)| (f64::from(*left), f64::from(*right)));
    let dot = || pairs().map(|(left, right)| left * right).sum::<f64>();
    let length = |vector: &[f32]| vector.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt();
    match metric {
        Metric::Cosine => dot() / length(left) / length(right),
        Metric::Dot => dot(),
        Metric::L2 => -pairs().map(|(left, right)| (left - right).powi(2)).sum::<f64>(),
    }
}

/// Keys and scores by brute force, nearest first.
pub fn brute<'a>(
    metric: Metric,
    vectors: impl Iterator<Item = (u128, &'a Vec<f32>)>,
    query: &[f32],
    limit: usize,
) -> Vec<(u128, f64)> {
    let mut all: Vec<(u128, f64)> = vectors.map(|(key, vector)| (key, score(metric, vector, query))).collect();
    all.sort_by(|left, right| right.1.total_cmp(&left.1).then(left.0.cmp(&right.0)));
    all.truncate(limit);
    all
}

/// The same hits, but for those that rounding makes equal.
pub fn assert_same(hits: &[Hit], expected: &[(u128, f64)], tolerance: f64, what: &str) {
    assert_eq!(hits.len(), expected.len(), "{what}");
    for (hit, (key, score)) in hits.iter().zip(expected) {
        let difference = (f64::from(hit.score) - score).abs();
        assert!(difference <= tolerance * score.abs().max(1.0), "{what}: {hit:?}, expected {key} {score}");
    }
    let mut keys: Vec<u128> = hits.iter().map(|hit| hit.key).collect();
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(keys.len(), hits.len(), "{what}: a key twice");
}

/// Share of the expected keys that are found, counting equally good ones.
pub fn recall(hits: &[Hit], expected: &[(u128, f64)]) -> f64 {
    if expected.is_empty() {
        return 1.0;
    }
    let floor = expected.last().map_or(f64::NEG_INFINITY, |(_, score)| score - 1e-5 * score.abs().max(1.0));
    let good = hits.iter().filter(|hit| f64::from(hit.score) >= floor).count();
    good.min(expected.len()) as f64 / expected.len() as f64
}

/// Small parts, so that little data has many of everything.
pub fn small(dimensions: usize, metric: Metric) -> Options {
    Options { tail_rows_max: 64, partition_from_rows: 200, partition_rows: 16, ..Options::new(dimensions, metric) }
}

/// Vectors under the keys 0, 1, 2 …, in one segment.
pub fn loaded(folder: &std::path::Path, options: Options, vectors: &[Vec<f32>]) -> VectorIndex {
    let index = VectorIndex::open(folder, options).unwrap();
    let mut bulk = index.bulk().unwrap();
    for (key, vector) in vectors.iter().enumerate() {
        bulk.push(key as u128, vector).unwrap();
    }
    assert_eq!(bulk.finish(None, 2).unwrap(), vectors.len());
    index
}
