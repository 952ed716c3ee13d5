//! How long calls took, in buckets that add up.

/// Buckets of a histogram: the first ends at 4 ms, each following one at twice the time of the one before; the last has no end.
pub(crate) const BUCKETS: usize = 20;
/// Where the first bucket ends, as a power of two.
const FIRST_END_BITS: u32 = 2;

/// How many calls took how long. Two of them add up bucket by bucket, in SQL too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Histogram([i64; BUCKETS]);

impl Histogram {
    /// Counts a time.
    pub(crate) fn record(&mut self, milliseconds: u64) {
        if let Some(count) = self.0.get_mut(bucket(milliseconds)) {
            *count = count.saturating_add(1);
        }
    }

    /// Adds what the other counts.
    pub(crate) fn merge(&mut self, other: &Self) {
        for (sum, count) in self.0.iter_mut().zip(other.0) {
            *sum = sum.saturating_add(count);
        }
    }

    /// The time in milliseconds that `percent` of a hundred calls took at most, between the bounds of its bucket in proportion;
    /// `None` when none was counted. What lies in the last bucket counts as its begin.
    pub(crate) fn percentile(&self, percent: i64) -> Option<u64> {
        let calls: i64 = self.0.iter().sum();
        if calls <= 0 {
            return None;
        }
        let wanted = (calls.saturating_mul(percent).saturating_add(99) / 100).clamp(1, calls);
        let mut before = 0;
        for (place, &count) in self.0.iter().enumerate() {
            if count > 0 && before + count >= wanted {
                let (begin, end) = bounds(place);
                let width = i64::try_from(end - begin).unwrap_or(i64::MAX);
                let part = width.saturating_mul(wanted - before) / count;
                return Some(begin.saturating_add_signed(part));
            }
            before += count;
        }
        None
    }

    pub(crate) fn counts(&self) -> [i64; BUCKETS] {
        self.0
    }
}

impl From<[i64; BUCKETS]> for Histogram {
    fn from(counts: [i64; BUCKETS]) -> Self {
        Self(counts)
    }
}

fn bucket(milliseconds: u64) -> usize {
    let bits = milliseconds.checked_ilog2().unwrap_or(0);
    let place = (bits + 1).saturating_sub(FIRST_END_BITS);
    (place as usize).min(BUCKETS - 1)
}

/// Where a bucket begins and before which time it ends; the last one as if it were empty.
fn bounds(place: usize) -> (u64, u64) {
    let end = |place: usize| 1_u64 << (place + FIRST_END_BITS as usize).min(63);
    let begin = if place == 0 { 0 } else { end(place - 1) };
    (begin, if place + 1 >= BUCKETS { begin } else { end(place) })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_time_lies_in_its_bucket() {
        for time in (0..5_000).chain([1 << 19, (1 << 20) - 1]) {
            let (begin, end) = bounds(bucket(time));
            assert!(begin <= time && time < end, "{time} in {begin}..{end}");
        }
        for time in [1 << 20, u64::MAX] {
            assert_eq!(bucket(time), BUCKETS - 1);
        }
        assert_eq!(bounds(BUCKETS - 1), (1 << 20, 1 << 20));
    }

    proptest! {
        #[test]
        fn percentiles_are_in_the_bucket_of_the_true_ones(mut times in prop::collection::vec(0_u64..900_000, 1..200)) {
            let mut histogram = Histogram::default();
            times.iter().for_each(|time| histogram.record(*time));
            times.sort_unstable();
            for percent in [50_usize, 95] {
                let truth = times[(times.len() * percent).div_ceil(100) - 1];
                let found = histogram.percentile(i64::try_from(percent).unwrap()).unwrap();
                let (begin, end) = bounds(bucket(truth));
                prop_assert!(begin <= found && found <= end, "{found} for {truth}");
            }
        }

        #[test]
        fn parts_add_up_to_the_whole(a in prop::collection::vec(0_u64..2_000_000, 0..50), b in prop::collection::vec(0_u64..2_000_000, 0..50)) {
            let of = |times: &[u64]| {
                let mut histogram = Histogram::default();
                times.iter().for_each(|time| histogram.record(*time));
                histogram
            };
            let mut merged = of(&a);
            merged.merge(&of(&b));
            prop_assert_eq!(merged, of(&[a, b].concat()));
        }
    }

    #[test]
    fn nothing_has_no_percentile() {
        assert_eq!(Histogram::default().percentile(50), None);
    }
}
