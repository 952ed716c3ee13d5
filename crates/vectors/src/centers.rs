//! Centres of partitions, as codes: what partitions a query or a row is near to.

use crate::{
    codes::{BLOCK, Encoder, Layout, Query, decode_lane, set_summand},
    error::Result,
    kernels::{distance, dot},
    partition::cluster,
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

/// From so many centres on the nearest ones are looked for in groups of them: eight times faster for 30,000.
const GROUPED_FROM: usize = 1_500;
/// Groups that are looked into.
const GROUPS_SEARCHED: usize = 16;

/// Centres as numbers and as codes.
#[derive(Debug)]
pub(crate) struct Centers {
    /// Rotated, one after the other.
    numbers: Vec<f32>,
    pub(crate) coded: CodedCenters,
    groups: Option<Box<Groups>>,
}

/// Centres that are near to each other.
#[derive(Debug)]
struct Groups {
    centers: Centers,
    members: Vec<Group>,
}

#[derive(Clone, Debug, Default)]
struct Group {
    centers: Vec<u32>,
    /// Around the mean of all centres.
    codes: Vec<u8>,
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
        Self { numbers: numbers.to_vec(), coded: CodedCenters { mean, codes, count }, groups: None }
    }

    /// Makes [`Self::nearest`] fast, if there are many. Sometimes it then misses the very nearest centre by a little.
    pub(crate) fn grouped(mut self, threads: usize) -> Result<Self> {
        if self.coded.count < GROUPED_FROM {
            return Ok(self);
        }
        let padded = self.coded.mean.len();
        let count = (self.coded.count as f64).sqrt() as usize;
        let centers = Self::new(&cluster(&self.numbers, count, padded, threads)?, padded);
        let mut members = vec![Group::default(); count];
        let mut query = Query::new(vec![0.0; padded]);
        let mut found = Vec::new();
        for (center, numbers) in (0_u32..).zip(self.numbers.chunks_exact(padded)) {
            query.set(numbers);
            centers.nearest(&query, 4, &mut found);
            let nearest = found.first().and_then(|(_, group)| members.get_mut(*group));
            nearest.into_iter().for_each(|group| group.centers.push(center));
        }
        let mut encoder = Encoder::new(layout(padded));
        for group in &mut members {
            let numbers = group.centers.iter().map(|center| self.center(*center as usize));
            encoder.encode(numbers, &self.coded.mean, &mut group.codes);
        }
        self.groups = Some(Box::new(Groups { centers, members }));
        Ok(self)
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
        let count = self.coded.count;
        if let Some(groups) = &self.groups {
            let group = |at| (at < groups.members.len()).then_some(at);
            groups.centers.add_nearest(query, &groups.centers.coded.codes, group, GROUPS_SEARCHED, found);
            let near: Vec<usize> = found.drain(..).map(|(_, group)| group).collect();
            for group in near.into_iter().filter_map(|group| groups.members.get(group)) {
                let center = |at: usize| group.centers.get(at).map(|center| *center as usize);
                self.add_nearest(query, &group.codes, center, keep, found);
            }
        } else {
            self.add_nearest(query, &self.coded.codes, |at| (at < count).then_some(at), keep, found);
        }
        for (score, center) in found.iter_mut() {
            *score = distance(&query.rotated, self.center(*center));
        }
        found.sort_unstable_by(|left, right| left.0.total_cmp(&right.0).then(left.1.cmp(&right.1)));
    }

    /// Keeps the best by their codes; `found` is ordered from the best to the worst.
    fn add_nearest(
        &self,
        query: &Query,
        codes: &[u8],
        center: impl Fn(usize) -> Option<usize>,
        keep: usize,
        found: &mut Vec<(f32, usize)>,
    ) {
        let limit = |found: &[(f32, usize)]| {
            found.last().filter(|_| found.len() == keep).map_or(f32::NEG_INFINITY, |(score, _)| *score)
        };
        let mut threshold = limit(found);
        scan::for_each_block(codes, layout(self.coded.mean.len()), query, |block, scanned| {
            let scores = scanned.scores(0.0, 2.0);
            if !scores.iter().fold(false, |any, score| any | (*score >= threshold)) {
                return;
            }
            for (lane, score) in scores.into_iter().enumerate() {
                if score >= threshold
                    && let Some(center) = center(block * BLOCK + lane)
                {
                    let at = found.partition_point(|(other, _)| *other >= score);
                    found.insert(at, (score, center));
                    found.truncate(keep);
                    threshold = limit(found);
                }
            }
        });
    }
}
