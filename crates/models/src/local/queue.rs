//! Work that waits for the threads of a model: bounded, with an urgent lane.

use std::{
    collections::VecDeque,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// Which work goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Priority {
    /// A person waits for it, such as a search's query.
    Urgent,
    /// It may wait, such as a passage that is ingested.
    Ordinary,
}

/// A queue between callers and threads.
pub(super) struct Queue<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
    limit: usize,
}

struct State<T> {
    urgent: VecDeque<T>,
    ordinary: VecDeque<T>,
    closed: bool,
}

/// What a thread gets from the queue.
pub(super) enum Popped<T> {
    Item(T),
    /// Nothing came in time.
    TimedOut,
    /// The queue is closed and empty.
    Closed,
}

/// Why an item was not taken in.
pub(super) enum Rejected<T> {
    Full(T),
    Closed(T),
}

impl<T> Queue<T> {
    /// A queue in which at most `limit` items wait.
    pub fn new(limit: usize) -> Self {
        let state = State { urgent: VecDeque::new(), ordinary: VecDeque::new(), closed: false };
        Self { state: Mutex::new(state), changed: Condvar::new(), limit }
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts an item at the end of its lane. Never blocks.
    pub fn push(&self, item: T, priority: Priority) -> Result<(), Rejected<T>> {
        let mut state = self.lock();
        if state.closed {
            return Err(Rejected::Closed(item));
        }
        if state.urgent.len() + state.ordinary.len() >= self.limit {
            return Err(Rejected::Full(item));
        }
        match priority {
            Priority::Urgent => state.urgent.push_back(item),
            Priority::Ordinary => state.ordinary.push_back(item),
        }
        drop(state);
        self.changed.notify_all();
        Ok(())
    }

    /// The next item, waiting up to `timeout` for one: the urgent lane first, and the other unless `urgent_only`.
    pub fn pop(&self, urgent_only: bool, timeout: Duration) -> Popped<T> {
        let deadline = Instant::now() + timeout;
        let mut state = self.lock();
        loop {
            let item = state.urgent.pop_front();
            if let Some(item) = item.or_else(|| if urgent_only { None } else { state.ordinary.pop_front() }) {
                return Popped::Item(item);
            }
            if state.closed {
                return Popped::Closed;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Popped::TimedOut;
            }
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Drops the waiting items for which `keep` says no, and shows it each of the others with its place (0 is next).
    pub fn review(&self, mut keep: impl FnMut(usize, &T) -> bool) {
        let mut state = self.lock();
        let mut place = 0;
        let mut keep = |item: &T| {
            let kept = keep(place, item);
            place += usize::from(kept);
            kept
        };
        state.urgent.retain(&mut keep);
        state.ordinary.retain(&mut keep);
    }

    /// Takes nothing in any more, wakes all threads, and hands back what was waiting.
    pub fn close(&self) -> Vec<T> {
        let mut state = self.lock();
        state.closed = true;
        let mut waiting: Vec<T> = state.urgent.drain(..).collect();
        waiting.extend(state.ordinary.drain(..));
        drop(state);
        self.changed.notify_all();
        waiting
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_millis(20);

    fn pop<T>(queue: &Queue<T>, urgent_only: bool) -> Option<T> {
        match queue.pop(urgent_only, SHORT) {
            Popped::Item(item) => Some(item),
            Popped::TimedOut | Popped::Closed => None,
        }
    }

    #[test]
    fn urgent_items_go_first_and_each_lane_keeps_its_order() {
        let queue = Queue::new(4);
        for (item, priority) in
            [(1, Priority::Ordinary), (2, Priority::Ordinary), (3, Priority::Urgent), (4, Priority::Urgent)]
        {
            assert!(queue.push(item, priority).is_ok());
        }
        assert!(matches!(queue.push(5, Priority::Urgent), Err(Rejected::Full(5))));
        assert_eq!(pop(&queue, false), Some(3));
        assert_eq!(pop(&queue, true), Some(4));
        assert_eq!(pop(&queue, true), None);
        assert_eq!((pop(&queue, false), pop(&queue, false)), (Some(1), Some(2)));
    }

    #[test]
    fn review_drops_and_numbers() {
        let queue = Queue::new(9);
        for item in 0..5 {
            assert!(queue.push(item, Priority::Ordinary).is_ok());
        }
        let mut seen = Vec::new();
        queue.review(|place, item| {
            seen.push((place, *item));
            item % 2 == 0
        });
        assert_eq!(seen, [(0, 0), (1, 1), (1, 2), (2, 3), (2, 4)]);
        assert_eq!(queue.close(), [0, 2, 4]);
        assert!(matches!(queue.push(1, Priority::Ordinary), Err(Rejected::Closed(1))));
        assert!(matches!(queue.pop(false, SHORT), Popped::Closed));
    }
}
