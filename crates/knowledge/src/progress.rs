//! How fast this process ingests, and what follows from it for those who wait.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use crate::store::queue::Backlog;

/// Batches that the speed is measured over.
const BATCHES_MAX: usize = 64;
/// After a longer silence the speed is measured anew: nothing was waiting meanwhile.
const SILENCE_MAX: Duration = Duration::from_secs(20);
/// Weight of the newest document in the mean size of a passage.
const NEWEST_WEIGHT: f64 = 0.2;

struct Batch {
    started: Instant,
    finished: Instant,
    passages: usize,
}

#[derive(Default)]
struct Measured {
    batches: VecDeque<Batch>,
    /// Bytes of a file that become one passage.
    bytes_per_passage: Option<f64>,
}

/// Measured speed of embedding, all documents of this process together.
#[derive(Default)]
pub(crate) struct Throughput {
    measured: Mutex<Measured>,
}

impl Throughput {
    fn lock(&self) -> std::sync::MutexGuard<'_, Measured> {
        self.measured.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Passages were embedded between two moments.
    pub(crate) fn embedded(&self, passages: usize, started: Instant, finished: Instant) {
        let mut measured = self.lock();
        if measured.batches.back().is_some_and(|last| started.saturating_duration_since(last.finished) > SILENCE_MAX) {
            measured.batches.clear();
        }
        if measured.batches.len() == BATCHES_MAX {
            measured.batches.pop_front();
        }
        measured.batches.push_back(Batch { started, finished, passages });
    }

    /// A file of this size became this many passages.
    pub(crate) fn parsed(&self, size_bytes: u64, passages: usize) {
        if passages == 0 {
            return;
        }
        let newest = size_bytes as f64 / passages as f64;
        let mut measured = self.lock();
        let mean = measured.bytes_per_passage.map_or(newest, |mean| mean + NEWEST_WEIGHT * (newest - mean));
        measured.bytes_per_passage = Some(mean);
    }

    /// Seconds until the last document of this backlog is ready; `None` until something was measured.
    pub(crate) fn seconds_left(&self, backlog: Backlog) -> Option<u64> {
        let measured = self.lock();
        let (first, last) = (measured.batches.front()?, measured.batches.back()?);
        let seconds = last.finished.saturating_duration_since(first.started).as_secs_f64().max(0.001);
        let embedded: usize = measured.batches.iter().map(|batch| batch.passages).sum();
        let unparsed = backlog.unparsed_bytes as f64 / measured.bytes_per_passage?;
        let passages = backlog.passages as f64 + unparsed;
        Some(whole_seconds(passages * seconds / embedded.max(1) as f64))
    }
}

/// Seconds until `left` more are done, when `done` took `elapsed`; `None` when nothing is done yet.
pub(crate) fn remaining_seconds(done: usize, left: usize, elapsed: Duration) -> Option<u64> {
    if done == 0 {
        return None;
    }
    Some(whole_seconds(elapsed.as_secs_f64() * left as f64 / done as f64))
}

/// Rounded up: "0 seconds left" is said of nothing that is not done.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // not negative, and clamped
fn whole_seconds(seconds: f64) -> u64 {
    seconds.ceil().clamp(0.0, 1e9) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_backlog_is_told_from_what_was_measured() {
        let throughput = Throughput::default();
        let backlog = Backlog { unparsed_bytes: 10_000, passages: 20 };
        assert_eq!(throughput.seconds_left(backlog), None);
        let start = Instant::now();
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        throughput.embedded(20, at(0), at(2));
        throughput.parsed(50_000, 50);
        // 10 passages of 1,000 bytes and 20 more, at 10 a second.
        assert_eq!(throughput.seconds_left(backlog), Some(3));
        throughput.embedded(10, at(2), at(8));
        assert_eq!(throughput.seconds_left(backlog), Some(8));
        // Time in which nothing was to be done does not count.
        throughput.embedded(30, at(3_600), at(3_601));
        assert_eq!(throughput.seconds_left(backlog), Some(1));
    }

    #[test]
    fn what_is_left_of_a_document_follows_its_own_speed() {
        assert_eq!(remaining_seconds(0, 10, Duration::from_secs(1)), None);
        assert_eq!(remaining_seconds(10, 25, Duration::from_secs(4)), Some(10));
        assert_eq!(remaining_seconds(10, 0, Duration::from_secs(4)), Some(0));
    }
}
