//! What a number of cases can say, and how sure it is: 95% confidence intervals and a paired test.

use serde::Serialize;

/// Resamples of a bootstrap.
const RESAMPLES: usize = 2_000;
/// The same seed always, so that the same results give the same interval.
const SEED: u64 = 20_160_229;
/// The 97.5th percentile of the normal distribution.
const Z: f64 = 1.959_963_984_540_054;

/// A value with its 95% confidence interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Estimate {
    /// The mean or the median.
    pub value: f64,
    /// The lower end of the 95% confidence interval.
    pub low: f64,
    /// The upper end.
    pub high: f64,
    /// Cases that it is of.
    pub count: usize,
}

/// The mean of scores. Where all are 0 or 1 the interval is Wilson's, else that of a percentile bootstrap. `None` without scores.
pub(super) fn mean_score(scores: &[f64]) -> Option<Estimate> {
    if scores.iter().all(|score| *score == 0.0 || *score == 1.0) {
        return wilson(scores.iter().filter(|score| **score == 1.0).count(), scores.len());
    }
    bootstrap(scores, mean)
}

/// The median of measurements with a percentile bootstrap's interval.
pub(super) fn median_of(values: &[f64]) -> Option<Estimate> {
    bootstrap(values, median)
}

/// The mean of paired differences with a percentile bootstrap's interval.
pub(super) fn mean_difference(differences: &[f64]) -> Option<Estimate> {
    bootstrap(differences, mean)
}

/// Wilson's score interval (1927) of a proportion.
fn wilson(successes: usize, count: usize) -> Option<Estimate> {
    if count == 0 {
        return None;
    }
    let (n, p) = (count as f64, successes as f64 / count as f64);
    let denominator = 1.0 + Z * Z / n;
    let centre = (p + Z * Z / (2.0 * n)) / denominator;
    let half = Z / denominator * (p * (1.0 - p) / n + Z * Z / (4.0 * n * n)).sqrt();
    Some(Estimate { value: p, low: (centre - half).max(0.0), high: (centre + half).min(1.0), count })
}

fn bootstrap(values: &[f64], statistic: fn(&mut [f64]) -> f64) -> Option<Estimate> {
    if values.is_empty() {
        return None;
    }
    let value = statistic(&mut values.to_vec());
    let mut random = SplitMix64(SEED);
    let mut sample = vec![0.0; values.len()];
    let mut resampled: Vec<f64> = (0..RESAMPLES)
        .map(|_| {
            for place in &mut sample {
                *place = values.get(random.below(values.len())).copied().unwrap_or(value);
            }
            statistic(&mut sample)
        })
        .collect();
    resampled.sort_unstable_by(f64::total_cmp);
    let at = |index: usize| resampled.get(index).copied().unwrap_or(value);
    Some(Estimate { value, low: at(RESAMPLES / 40), high: at(RESAMPLES - 1 - RESAMPLES / 40), count: values.len() })
}

fn mean(values: &mut [f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// Reorders the values.
fn median(values: &mut [f64]) -> f64 {
    let middle = values.len() / 2;
    let odd = values.len() % 2 == 1;
    let (below, upper, _) = values.select_nth_unstable_by(middle, f64::total_cmp);
    if odd {
        return *upper;
    }
    let lower = below.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    (lower + *upper) / 2.0
}

/// McNemar's exact test, two-sided: how likely is it that two equally good models differ at least so much, when one alone
/// passed `only_one` cases and the other alone `only_other`?
pub(super) fn mcnemar_p(only_one: usize, only_other: usize) -> f64 {
    let n = only_one + only_other;
    // The binomial distribution with probability 1/2, from 0 upwards.
    let mut term = 0.5_f64.powi(i32::try_from(n).unwrap_or(i32::MAX));
    let mut tail = 0.0;
    for k in 0..=only_one.min(only_other) {
        tail += term;
        term *= (n - k) as f64 / (k + 1) as f64;
    }
    (2.0 * tail).min(1.0)
}

/// Steele, Lea and Flood (2014): small, and good enough to draw cases.
struct SplitMix64(u64);

impl SplitMix64 {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `limit`, which is at most some thousands: the bias of the remainder is far below 1e-15.
    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit.max(1) as u64).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(actual: f64, expected: f64) {
        assert!((actual - expected).abs() < 5e-4, "{actual} is not {expected}");
    }

    #[test]
    fn wilson_intervals_are_the_known_ones() {
        // 8 of 10 is the textbooks' example (0.490 to 0.943); the others were computed by the same formula in Python.
        for (successes, count, low, high) in
            [(0, 10, 0.0, 0.27753), (10, 10, 0.72247, 1.0), (8, 10, 0.49016, 0.94331), (45, 90, 0.39889, 0.60111)]
        {
            let estimate = wilson(successes, count).unwrap();
            close(estimate.low, low);
            close(estimate.high, high);
        }
        assert_eq!(wilson(0, 0), None);
    }

    #[test]
    fn the_exact_test_counts_disagreements_only() {
        // Sums of binomial coefficients, computed with Python's exact integers.
        close(mcnemar_p(1, 9), 0.02148);
        close(mcnemar_p(5, 5), 1.0);
        close(mcnemar_p(0, 6), 0.03125);
        close(mcnemar_p(30, 50), 0.03299);
        close(mcnemar_p(0, 0), 1.0);
        assert!(mcnemar_p(0, 500) < 1e-100);
    }

    #[test]
    fn a_bootstrap_covers_its_value_and_repeats() {
        let values: Vec<f64> = (0..50).map(|number| f64::from(number * number % 37)).collect();
        let one = median_of(&values).unwrap();
        assert_eq!(Some(one), median_of(&values));
        assert!(one.low <= one.value && one.value <= one.high && one.low < one.high, "{one:?}");
        // The normal approximation of a mean's interval is near for 50 values.
        let mean = bootstrap(&values, mean).unwrap();
        let average = values.iter().sum::<f64>() / 50.0;
        let variance = values.iter().map(|value| (value - average).powi(2)).sum::<f64>() / 49.0;
        let half = Z * (variance / 50.0).sqrt();
        assert!((mean.low - (average - half)).abs() < 0.6 && (mean.high - (average + half)).abs() < 0.6, "{mean:?}");
        assert_eq!(median_of(&[4.0, 1.0, 3.0, 2.0]).unwrap().value, 2.5);
        assert_eq!(median_of(&[7.0]).unwrap(), Estimate { value: 7.0, low: 7.0, high: 7.0, count: 1 });
        assert_eq!(median_of(&[]), None);
    }

    #[test]
    fn scores_that_are_not_all_whole_are_bootstrapped() {
        let whole = mean_score(&[1.0, 0.0, 1.0, 1.0]).unwrap();
        assert_eq!(Some(whole), wilson(3, 4));
        let partial = mean_score(&[1.0, 0.5, 0.0, 1.0]).unwrap();
        assert_eq!(partial.value, 0.625);
        assert!(partial.low < 0.625 && partial.high > 0.625);
    }
}
