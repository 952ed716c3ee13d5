//! A recall target instead of knobs: the index measures itself.
//!
//! Recall is the share of the true nearest (by exact search) that a search finds. Its interval is a percentile bootstrap over
//! queries, 95% wide: queries are what is drawn at random, while the neighbours of one query are found or missed together, so
//! that an interval that counts neighbours as independent would be too narrow.

use crate::{
    error::{Error, Result},
    partition::in_chunks,
    rotation::Random,
    types::{Effort, Search},
    view::View,
};

const RESAMPLES: usize = 1_000;
const SEED: u64 = 0x706c_6173_6d61_0003;
/// Of the recall that may be missing, the part that unscanned partitions may cost; the rest is for candidates that are not
/// compared.
const PARTITIONS_PART: f64 = 0.75;
/// Candidates while the reach is chosen: so many that hardly any is lost.
const MANY_RESCORED: usize = 400;
const RESCORED: [usize; 13] = [10, 12, 15, 20, 25, 30, 40, 50, 70, 100, 150, 250, 400];
const REACH_MAX: f32 = 1.5;
const REACH_STEPS: usize = 9;

/// What to measure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CalibrationOptions {
    /// The share of the true hits to find, above 0 and at most 1; 0.99 and 0.999 are usual.
    pub target: f64,
    /// Hits of each search, 1 to 1,000.
    pub limit: usize,
    /// Threads to measure on.
    pub threads: usize,
}

impl CalibrationOptions {
    /// Recall of ten hits, on the calling thread.
    pub fn new(target: f64) -> Self {
        Self { target, limit: 10, threads: 1 }
    }
}

/// How well a search with an effort was measured to do.
#[derive(Clone, Debug, PartialEq)]
pub struct Calibration {
    /// What was wanted.
    pub target: f64,
    /// What was measured.
    pub recall: f64,
    /// Lower end of the 95% interval (bootstrap over queries).
    pub recall_low: f64,
    /// Upper end of the 95% interval.
    pub recall_high: f64,
    /// What was measured with.
    pub effort: Effort,
    /// Queries that were measured.
    pub queries: usize,
    /// Hits of each.
    pub limit: usize,
    /// Vectors at that time.
    pub vectors: usize,
}

impl Calibration {
    /// Whether the measured recall reaches the target.
    pub fn is_reached(&self) -> bool {
        self.recall >= self.target
    }
}

/// Least scores that count as found, for each query.
struct Truth {
    floors: Vec<(f32, usize)>,
}

/// Recall of each query.
#[derive(Clone, Debug)]
struct Measured(Vec<f64>);

impl Measured {
    fn mean(&self) -> f64 {
        self.0.iter().sum::<f64>() / self.0.len().max(1) as f64
    }

    /// Means of samples drawn from the queries, ascending.
    fn resampled(&self) -> Vec<f64> {
        let mut random = Random::new(SEED);
        let count = self.0.len();
        let mut means: Vec<f64> = (0..RESAMPLES)
            .map(|_| {
                let drawn = (0..count).filter_map(|_| self.0.get(random.below(count)));
                drawn.sum::<f64>() / count.max(1) as f64
            })
            .collect();
        means.sort_unstable_by(f64::total_cmp);
        means
    }

    /// The mean less about one standard error: what is compared with a target, so that luck in the sample does not decide.
    fn cautious(&self) -> f64 {
        quantile(&self.resampled(), 0.16)
    }
}

fn quantile(ascending: &[f64], part: f64) -> f64 {
    let last = ascending.len().saturating_sub(1);
    ascending.get((last as f64 * part).round() as usize).copied().unwrap_or_default()
}

impl View {
    /// Measures the recall of searches with an effort (without one: the calibrated or default effort).
    ///
    /// # Errors
    ///
    /// Options out of range, a query that does not fit, nothing to measure, or a damaged file.
    pub fn measure(
        &self,
        queries: &[Vec<f32>],
        options: &CalibrationOptions,
        effort: Option<Effort>,
    ) -> Result<Calibration> {
        let truth = self.truth(queries, options)?;
        let effort = effort.unwrap_or_else(|| self.effort());
        Ok(self.report(&self.recall(queries, &truth, options, effort)?, options, effort))
    }

    fn truth(&self, queries: &[Vec<f32>], options: &CalibrationOptions) -> Result<Truth> {
        if !(options.target > 0.0 && options.target <= 1.0) {
            return Err(Error::Options("a recall target is above 0 and at most 1"));
        }
        if !(1..=1_000).contains(&options.limit) {
            return Err(Error::Options("recall is measured with 1 to 1000 hits"));
        }
        if queries.is_empty() || self.is_empty() {
            return Err(Error::NothingToMeasure);
        }
        let exact = self.search_exact(queries, options.limit, None, options.threads)?;
        let floors = exact.iter().map(|hits| {
            let last = hits.last().map_or(0.0, |hit| hit.score);
            // Equally good hits are as good, and sums of other orders differ in the last bits.
            (last - 1e-6 * last.abs(), hits.len())
        });
        Ok(Truth { floors: floors.collect() })
    }

    fn recall(
        &self,
        queries: &[Vec<f32>],
        truth: &Truth,
        options: &CalibrationOptions,
        effort: Effort,
    ) -> Result<Measured> {
        let search = Search::new(options.limit).effort(effort);
        let chunks = in_chunks(queries.len(), 8, options.threads, |range| {
            range
                .filter_map(|at| queries.get(at).zip(truth.floors.get(at)))
                .map(|(query, (floor, count))| {
                    let found = self.search(query, &search)?;
                    let good = found.hits.iter().filter(|hit| hit.score >= *floor).count();
                    Ok(good.min(*count) as f64 / (*count).max(1) as f64)
                })
                .collect::<Result<Vec<f64>>>()
        })?;
        Ok(Measured(chunks.concat()))
    }

    fn report(&self, measured: &Measured, options: &CalibrationOptions, effort: Effort) -> Calibration {
        let means = measured.resampled();
        Calibration {
            target: options.target,
            recall: measured.mean(),
            recall_low: quantile(&means, 0.025),
            recall_high: quantile(&means, 0.975),
            effort,
            queries: measured.0.len(),
            limit: options.limit,
            vectors: self.len(),
        }
    }
}

/// The least effort whose cautious recall reaches the target: the reach by bisection, then the fewest candidates.
pub(crate) fn calibrate(view: &View, queries: &[Vec<f32>], options: &CalibrationOptions) -> Result<Calibration> {
    let truth = view.truth(queries, options)?;
    let measure = |reach, rescored| view.recall(queries, &truth, options, Effort { reach, rescored });
    let wanted = 1.0 - PARTITIONS_PART * (1.0 - options.target);
    let (mut low, mut high) = (0.0, REACH_MAX);
    for _ in 0..REACH_STEPS {
        let middle = f32::midpoint(low, high);
        if measure(middle, MANY_RESCORED)?.cautious() >= wanted {
            high = middle;
        } else {
            low = middle;
        }
    }
    let mut last = None;
    for rescored in RESCORED {
        let effort = Effort { reach: high, rescored };
        let measured = measure(high, rescored)?;
        if measured.cautious() >= options.target {
            return Ok(view.report(&measured, options, effort));
        }
        last = Some((measured, effort));
    }
    let (measured, effort) = last.ok_or(Error::NothingToMeasure)?;
    Ok(view.report(&measured, options, effort))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_holds_the_mean_and_narrows_with_more_queries() {
        let measured = |count: usize| Measured((0..count).map(|at| if at % 10 == 0 { 0.8 } else { 1.0 }).collect());
        let width = |measured: &Measured| {
            let means = measured.resampled();
            let (low, high) = (quantile(&means, 0.025), quantile(&means, 0.975));
            assert!(low <= measured.mean() && measured.mean() <= high);
            assert!(low <= measured.cautious() && measured.cautious() <= measured.mean());
            high - low
        };
        assert!(width(&measured(1_000)) < width(&measured(100)));
        assert!((measured(100).mean() - 0.98).abs() < 1e-9);
    }
}
