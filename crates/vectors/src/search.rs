//! From a query to hits: partitions in the order in which they promise something, until no other can hold a hit; then the
//! best candidates exactly.

mod pieces;

use self::pieces::{Piece, Target, scan_all};
use crate::{
    allow::AllowSet,
    candidates::{Candidates, Nearest},
    codes::Query,
    error::{Error, Result},
    kernels::dot,
    types::{Effort, Found, Metric, Search, Work},
    view::{Place, View},
};

/// Up to so many allowed vectors are all compared exactly, which is faster than scanning for them.
const ALLOWED_EXACT: usize = 2_500;
/// Partitions that are scanned before the first look at what was found.
const FIRST_PARTITIONS: usize = 32;
/// Standard deviation of an estimate by signs, as a part of the factor and the query's length: for normally distributed numbers
/// the factor is sqrt(pi / 2) * r / sqrt(n) and the deviation sqrt(pi / 2 - 1) * r / sqrt(n).
const SIGN_DEVIATION: f32 = 0.602_8;
/// So many deviations below the last candidate a vector is passed over for its signs: one of 4,000 wrongly.
const SIGN_DEVIATIONS: f32 = 3.5;
/// More candidates for ten hits are not compared.
const RESCORED_MAX: usize = 10_000;
/// Hits for which [`Effort::rescored`] is meant.
const EFFORT_LIMIT: usize = 10;
/// Vectors that are asked for before they are compared.
const AHEAD: usize = 8;

impl View {
    /// The vectors nearest to `query`.
    ///
    /// # Errors
    ///
    /// The query does not fit the index, a limit is out of range, the allow set is stale, or a file is damaged.
    pub fn search(&self, query: &[f32], search: &Search<'_>) -> Result<Found> {
        search.check()?;
        let query = self.shared.accept(query)?;
        if search.allow.is_some_and(|allow| allow.layout != self.layout) {
            return Err(Error::StaleAllowSet);
        }
        let mut work = Work::default();
        let mut nearest = Nearest::new(search.limit);
        self.compare_tail(&query, search.allow, &mut nearest, &mut work);
        let few = search.allow.filter(|allow| allow.len() <= ALLOWED_EXACT);
        if self.placed.is_empty() {
            work.exact = true;
        } else if let Some(allow) = few {
            self.compare_allowed(&query, allow, &mut nearest, &mut work)?;
        } else {
            self.scan_and_compare(&query, search, &mut nearest, &mut work)?;
        }
        Ok(Found { hits: nearest.into_hits(), work })
    }

    fn compare_tail(&self, query: &[f32], allow: Option<&AllowSet>, nearest: &mut Nearest, work: &mut Work) {
        let base = self.tail_base();
        for (row, key, vector) in self.tail.iter() {
            if allow.is_none_or(|allow| allow.contains(base + row as u32)) {
                nearest.push(|| key, self.shared.score(vector, query));
                work.compared += 1;
            }
        }
    }

    fn compare_allowed(&self, query: &[f32], allow: &AllowSet, nearest: &mut Nearest, work: &mut Work) -> Result<()> {
        work.exact = true;
        let end = self.tail_base();
        let slots: Vec<u32> = allow.iter().take_while(|slot| *slot < end).collect();
        self.compare(query, &slots, nearest, work)
    }

    /// Compares live vectors of segments exactly; `slots` ascend.
    fn compare(&self, query: &[f32], slots: &[u32], nearest: &mut Nearest, work: &mut Work) -> Result<()> {
        let mut ahead = slots.iter();
        let mut ask = |count: usize| {
            for slot in ahead.by_ref().take(count) {
                if let Place::Segment(placed, row) = self.place(*slot) {
                    placed.segment.prefetch(row);
                }
            }
        };
        ask(AHEAD);
        for slot in slots {
            ask(1);
            if let Place::Segment(placed, row) = self.place(*slot)
                && row < placed.segment.rows()
                && !placed.deleted.contains(row)
            {
                let score = placed.segment.score(row, query)?;
                nearest.push(|| placed.segment.key(row).unwrap_or_default(), score);
                work.compared += 1;
            }
        }
        Ok(())
    }

    fn scan_and_compare(
        &self,
        query: &[f32],
        search: &Search<'_>,
        nearest: &mut Nearest,
        work: &mut Work,
    ) -> Result<()> {
        let effort = search.effort.unwrap_or_else(|| self.effort());
        let rotation = self.shared.rotation();
        let mut rotated = vec![0.0; rotation.padded()];
        rotation.rotate(query, &mut rotated);
        let coded = Query::new(rotated).with_tables();
        let keep =
            search.limit.saturating_mul(effort.rescored.min(RESCORED_MAX)).div_ceil(EFFORT_LIMIT).max(search.limit);
        let mut candidates = Candidates::new(keep);
        let mut targets = self.targets(&coded, effort.reach);
        let aimed = search.aim.map_or(search.limit, |aim| aim.clamp(1, search.limit));
        let mut count = FIRST_PARTITIONS;
        while !targets.is_empty() {
            let next = split_best(&mut targets, count);
            let pieces: Vec<Piece> = next.iter().flat_map(|target| target.pieces(self)).collect();
            work.partitions += next.len();
            work.scanned += scan_all(self, &coded, &pieces, search, &mut candidates);
            candidates.shrink();
            let floor = floor(&candidates, nearest, aimed);
            targets.retain(|target| target.bound >= floor);
            count = work.partitions;
        }
        let mut slots: Vec<u32> = candidates.items().iter().map(|candidate| candidate.slot).collect();
        slots.sort_unstable();
        self.compare(query, &slots, nearest, work)
    }

    /// The calibrated effort, or the default.
    pub fn effort(&self) -> Effort {
        self.calibration.as_ref().map_or(Effort::DEFAULT, |calibration| calibration.effort)
    }

    /// Every partition, with the score above which it hardly holds anything.
    fn targets(&self, query: &Query, reach: f32) -> Vec<Target> {
        let metric = self.shared.options.metric;
        let length = dot(&query.rotated, &query.rotated).sqrt();
        let slack = if reach.is_infinite() { f32::INFINITY } else { SIGN_DEVIATIONS * SIGN_DEVIATION * length };
        let mut targets = Vec::new();
        for (part, placed) in self.placed.iter().enumerate() {
            let partitions = placed.segment.partitions();
            let is_always = partitions.len() == 1 || reach.is_infinite();
            let scores = placed.segment.centers.scores(query, metric);
            for (partition, (score, known)) in scores.into_iter().zip(partitions).enumerate() {
                let bound = match metric {
                    _ if is_always => f32::INFINITY,
                    Metric::Cosine | Metric::Dot => score + reach * known.radius * length,
                    Metric::L2 => {
                        let distance = (-score).max(0.0).sqrt();
                        score - known.radius * known.radius + 2.0 * reach * known.radius * distance
                    }
                };
                targets.push(Target { part, partition, base: score, slack, bound });
            }
        }
        targets
    }
}

/// Takes the `count` most promising targets out.
fn split_best(targets: &mut Vec<Target>, count: usize) -> Vec<Target> {
    if targets.len() <= count {
        return std::mem::take(targets);
    }
    let from = targets.len() - count;
    targets.select_nth_unstable_by(from, Target::promise);
    targets.split_off(from)
}

/// The score that another hit needs: the last hit's, as far as it is known.
fn floor(candidates: &Candidates, nearest: &Nearest, limit: usize) -> f32 {
    let estimates = candidates.items().iter().map(|candidate| candidate.score);
    let mut scores: Vec<f32> = estimates.chain(nearest.scores()).collect();
    if scores.len() < limit {
        return f32::NEG_INFINITY;
    }
    let (_, last, _) = scores.select_nth_unstable_by(limit - 1, |left, right| right.total_cmp(left));
    *last
}
