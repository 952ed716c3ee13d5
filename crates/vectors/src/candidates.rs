//! The best of what was scanned.

use std::cmp::Ordering;

use crate::types::Hit;

/// A vector and what its code says of its score.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Candidate {
    pub(crate) score: f32,
    pub(crate) slot: u32,
}

fn better_candidate(left: &Candidate, right: &Candidate) -> Ordering {
    right.score.total_cmp(&left.score).then(left.slot.cmp(&right.slot))
}

/// Keeps the `keep` best candidates. A slot may be offered more than once; its best score counts. The result does not
/// depend on the order of the offers.
#[derive(Clone, Debug)]
pub(crate) struct Candidates {
    keep: usize,
    items: Vec<Candidate>,
    threshold: f32,
}

impl Candidates {
    pub(crate) fn new(keep: usize) -> Self {
        Self { keep, items: Vec::new(), threshold: f32::NEG_INFINITY }
    }

    /// Candidates with lower scores cannot be among the best. Equal ones can, by their slots.
    #[inline]
    pub(crate) fn threshold(&self) -> f32 {
        self.threshold
    }

    pub(crate) fn push(&mut self, score: f32, slot: u32) {
        if self.items.len() >= 3 * self.keep + 64 {
            self.shrink();
        }
        self.items.push(Candidate { score, slot });
    }

    /// Drops doubles and all but the best.
    pub(crate) fn shrink(&mut self) {
        self.items.sort_unstable_by(|left, right| left.slot.cmp(&right.slot).then(better_candidate(left, right)));
        self.items.dedup_by_key(|candidate| candidate.slot);
        if self.items.len() >= self.keep && self.keep > 0 {
            let (_, last, _) = self.items.select_nth_unstable_by(self.keep - 1, better_candidate);
            self.threshold = last.score;
            self.items.truncate(self.keep);
        }
    }

    pub(crate) fn append(&mut self, others: Self) {
        for candidate in others.items {
            self.push(candidate.score, candidate.slot);
        }
    }

    /// After [`Self::shrink`], in no order.
    pub(crate) fn items(&self) -> &[Candidate] {
        &self.items
    }

    /// An empty one with the same threshold, for another thread.
    pub(crate) fn fork(&self) -> Self {
        Self { keep: self.keep, items: Vec::new(), threshold: self.threshold }
    }
}

fn nearer(left: &Hit, right: &Hit) -> Ordering {
    right.score.total_cmp(&left.score).then(left.key.cmp(&right.key))
}

/// The `limit` nearest of the hits that were offered, each key once.
#[derive(Clone, Debug)]
pub(crate) struct Nearest {
    limit: usize,
    hits: Vec<Hit>,
    threshold: f32,
}

impl Nearest {
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, hits: Vec::new(), threshold: f32::NEG_INFINITY }
    }

    #[inline]
    pub(crate) fn push(&mut self, key: impl FnOnce() -> u128, score: f32) {
        if score < self.threshold {
            return;
        }
        if self.hits.len() >= 2 * self.limit + 64 {
            self.shrink();
        }
        self.hits.push(Hit { key: key(), score });
    }

    fn shrink(&mut self) {
        if self.hits.len() >= self.limit && self.limit > 0 {
            let (_, last, _) = self.hits.select_nth_unstable_by(self.limit - 1, nearer);
            self.threshold = last.score;
            self.hits.truncate(self.limit);
        }
    }

    pub(crate) fn append(&mut self, others: Self) {
        for hit in others.hits {
            self.push(|| hit.key, hit.score);
        }
    }

    /// The scores of what was kept, not fewer than the best `limit`.
    pub(crate) fn scores(&self) -> impl Iterator<Item = f32> + '_ {
        self.hits.iter().map(|hit| hit.score)
    }

    pub(crate) fn into_hits(mut self) -> Vec<Hit> {
        self.shrink();
        self.hits.sort_unstable_by(nearer);
        self.hits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_do_not_depend_on_the_order() {
        let offers: Vec<(f32, u32)> = (0..1_000).map(|at: u32| ((at % 7) as f32, at % 400)).collect();
        let keep = |offers: &mut dyn Iterator<Item = &(f32, u32)>| {
            let mut candidates = Candidates::new(50);
            for (score, slot) in offers {
                if *score >= candidates.threshold() {
                    candidates.push(*score, *slot);
                }
            }
            candidates.shrink();
            let mut items = candidates.items().to_vec();
            items.sort_by(better_candidate);
            items
        };
        let forward = keep(&mut offers.iter());
        assert_eq!(forward.len(), 50);
        assert_eq!(forward, keep(&mut offers.iter().rev()));
        assert!(forward.iter().all(|candidate| candidate.score == 6.0));
    }
}
