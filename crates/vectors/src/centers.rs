//! Centres of partitions, as codes: what partitions a query or a row is near to.

use crate::{
    codes::{BLOCK, Encoder, Layout, Query, decode_lane, set_summand},
    kernels::{distance, dot},
    scan,
    types::Metric,
};

/// Codes of centres around their mean.
#[derive(Debug)]
pub(crate) struct CodedCenters {
    pub(crate) mean: Vec<f32>,
    /// With summands, whatever the metric.
    pub(crate) codes: Vec<u8>,
    pub(crate) count: usize,
}

pub(crate) fn layout(padded: usize) -> Layout {
    Layout { padded, has_summands: true }
}

impl CodedCenters {
    /// Estimated scores of all centres. Once they are settled these are exact but for the rounding of the query.
    pub(crate) fn scores(&self, query: &Query, metric: Metric) -> Vec<f32> {
        let layout = layout(self.mean.len());
        let mut scores = Vec::with_capacity(self.count + BLOCK);
        if metric == Metric::L2 {
            let base = -distance(&self.mean, &query.rotated);
            scan::for_each_block(&self.codes, layout, query, |_, block| scores.extend(block.scores(base, 2.0)));
        } else {
            let base = dot(&self.mean, &query.rotated);
            scan::for_each_block(&self.codes, layout, query, |_, block| scores.extend(block.products(base)));
        }
        scores.truncate(self.count);
        scores
    }
}

/// Centres as numbers and as codes.
#[derive(Debug)]
pub(crate) struct Centers {
    /// Rotated, one after the other.
    numbers: Vec<f32>,
    pub(crate) coded: CodedCenters,
}

impl Centers {
    pub(crate) fn new(numbers: &[f32], padded: usize) -> Self {
        let count = numbers.len() / padded;
        let mut mean = vec![0.0_f64; padded];
        for center in numbers.chunks_exact(padded) {
            for (sum, value) in mean.iter_mut().zip(center) {
                *sum += f64::from(*value);
            }
        }
        let mean: Vec<f32> = mean.iter().map(|sum| (sum / count.max(1) as f64) as f32).collect();
        let mut codes = Vec::new();
        Encoder::new(layout(padded)).encode(numbers.chunks_exact(padded), &mean, &mut codes);
        Self { numbers: numbers.to_vec(), coded: CodedCenters { mean, codes, count } }
    }

    /// Moves each centre to where its code says that it is. A search then needs the codes only, and their score is the true
    /// centre's, so that no error of a centre adds to that of its members.
    pub(crate) fn settle(&mut self) {
        let CodedCenters { mean, codes, .. } = &mut self.coded;
        let layout = layout(mean.len());
        let blocks = codes.chunks_exact_mut(layout.block_bytes());
        for (block, centers) in blocks.zip(self.numbers.chunks_mut(BLOCK * mean.len())) {
            for (lane, center) in centers.chunks_exact_mut(mean.len()).enumerate() {
                decode_lane(block, layout, lane, center);
                set_summand(block, layout, lane, -(2.0 * dot(mean, center) + dot(center, center)));
                center.iter_mut().zip(mean.iter()).for_each(|(value, mean)| *value += mean);
            }
        }
    }

    pub(crate) fn center(&self, at: usize) -> &[f32] {
        let padded = self.coded.mean.len();
        self.numbers.get(at * padded..(at + 1) * padded).unwrap_or_default()
    }

    /// The `keep` nearest centres and their squared distances, nearest first; almost always the true ones.
    pub(crate) fn nearest(&self, query: &Query, keep: usize, found: &mut Vec<(f32, usize)>) {
        found.clear();
        let mut threshold = f32::NEG_INFINITY;
        let layout = layout(self.coded.mean.len());
        scan::for_each_block(&self.coded.codes, layout, query, |block, scanned| {
            let scores = scanned.scores(0.0, 2.0);
            if scores.iter().all(|score| *score < threshold) {
                return;
            }
            for (lane, score) in scores.into_iter().enumerate() {
                let center = block * BLOCK + lane;
                if score >= threshold && center < self.coded.count {
                    let at = found.partition_point(|(other, _)| *other >= score);
                    found.insert(at, (score, center));
                    found.truncate(keep);
                    if found.len() == keep {
                        threshold = found.last().map_or(threshold, |(score, _)| *score);
                    }
                }
            }
        });
        for (score, center) in found.iter_mut() {
            *score = distance(&query.rotated, self.center(*center));
        }
        found.sort_unstable_by(|left, right| left.0.total_cmp(&right.0).then(left.1.cmp(&right.1)));
    }
}
