//! What searches teach about an index: real queries to measure recall with, and how much they scan.

use std::sync::Arc;

use plasma_kernel::Timestamp;
use plasma_vectors::Work;

/// Queries that are remembered of a collection.
const QUERIES_MAX: usize = 500;
/// The part that one search has in the average of what searches scan.
const SCANNED_PART: f64 = 0.05;

/// What recall was measured with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MeasuredWith {
    /// Vectors of recent searches.
    Queries,
    /// Vectors of the collection's own passages, for want of searches.
    Passages,
}

/// How recall was measured, as far as the index itself does not say it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Measured {
    pub(crate) with: MeasuredWith,
    pub(crate) at: Timestamp,
}

impl Measured {
    pub(super) fn to_text(self) -> String {
        let with = match self.with {
            MeasuredWith::Queries => "queries",
            MeasuredWith::Passages => "passages",
        };
        format!("{with} {}", self.at)
    }

    pub(super) fn from_text(text: &str) -> Option<Self> {
        let (with, at) = text.split_once(' ')?;
        let with = match with {
            "queries" => MeasuredWith::Queries,
            "passages" => MeasuredWith::Passages,
            _ => return None,
        };
        Some(Self { with, at: at.parse().ok()? })
    }
}

/// Recent searches of a collection that is large enough to have segments.
#[derive(Default)]
pub(super) struct RecentSearches {
    queries: Vec<Arc<[f32]>>,
    seen: u64,
    scanned_share: Option<f64>,
}

impl RecentSearches {
    /// Remembers a search. Once there are enough, a new query takes the place of another one, so that older ones fade away.
    pub(super) fn note(&mut self, query: &Arc<[f32]>, work: &Work, vectors: usize) {
        #[allow(clippy::cast_precision_loss)] // a share
        let share = work.scanned as f64 / vectors.max(1) as f64;
        self.scanned_share = Some(match self.scanned_share {
            Some(before) => before + SCANNED_PART * (share - before),
            None => share,
        });
        // A query that is asked again and again counts once, as long as its vector is remembered.
        if self.queries.iter().any(|known| Arc::ptr_eq(known, query)) {
            return;
        }
        self.seen = self.seen.wrapping_add(1);
        if self.queries.len() < QUERIES_MAX {
            self.queries.push(Arc::clone(query));
            return;
        }
        // Scattered by the golden ratio, so that no pattern in the traffic decides which query goes.
        let place = (self.seen.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) % QUERIES_MAX as u64;
        if let Some(place) = usize::try_from(place).ok().and_then(|place| self.queries.get_mut(place)) {
            *place = Arc::clone(query);
        }
    }

    /// Up to `count` queries of the index's dimensions, evenly spread.
    pub(super) fn queries(&self, dimensions: usize, count: usize) -> Vec<Vec<f32>> {
        let fitting: Vec<&Arc<[f32]>> = self.queries.iter().filter(|query| query.len() == dimensions).collect();
        let step = fitting.len().div_ceil(count.max(1)).max(1);
        fitting.into_iter().step_by(step).map(|query| query.to_vec()).collect()
    }

    /// The share of all vectors whose codes recent searches have scanned.
    pub(super) fn scanned_share(&self) -> Option<f64> {
        self.scanned_share
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(number: u16) -> Arc<[f32]> {
        Arc::from([f32::from(number), 1.0])
    }

    #[test]
    fn recent_queries_replace_older_ones_and_repeated_ones_count_once() {
        let work = Work { scanned: 10, ..Work::default() };
        let mut recent = RecentSearches::default();
        let first = query(0);
        for _ in 0..5 {
            recent.note(&first, &work, 100);
        }
        assert_eq!(recent.queries(2, 10), [vec![0.0, 1.0]]);
        assert!((recent.scanned_share().unwrap() - 0.1).abs() < 1e-9);
        for number in 1..5_000 {
            recent.note(&query(number), &work, 100);
        }
        let kept = recent.queries(2, 1_000);
        assert_eq!(kept.len(), QUERIES_MAX);
        let late = kept.iter().filter(|query| query[0] > 3_000.0).count();
        assert!(late > QUERIES_MAX / 2, "{late} of the kept queries are recent");
        assert!(recent.queries(2, 100).len() <= 100);
        assert!(recent.queries(3, 100).is_empty());
    }

    #[test]
    fn what_was_measured_is_read_again() {
        for measured in [
            Measured { with: MeasuredWith::Queries, at: 1_700_000_000_000_000 },
            Measured { with: MeasuredWith::Passages, at: 0 },
        ] {
            assert_eq!(Measured::from_text(&measured.to_text()), Some(measured));
        }
        assert_eq!(Measured::from_text("guesses 5"), None);
    }
}
