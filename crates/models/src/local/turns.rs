//! Chat and ingestion take turns on the processor.
//!
//! The threads of a chat model wait for each other hundreds of times for each token, without sleeping. Where something
//! else computes on their cores at the same time, each of these waits can last until the scheduler lets the other thread
//! go on, and an answer becomes ten times slower than its share of the processor. So a chat model has all cores for a
//! turn, then passages have them, in the order in which they asked. Urgent texts take no turn: they are done in
//! milliseconds.

use std::{
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// How long a chat model keeps the cores while others wait: some tokens of an answer, or a chunk of a prompt.
const CHAT_TURN: Duration = Duration::from_millis(200);

/// The cores of the machine and who waits for them.
pub(super) struct Turns {
    cores: usize,
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    free: usize,
    /// Number of the next who asks, and of the next who is served: first come, first served.
    next_number: u64,
    serving: u64,
}

/// Cores that belong to whoever holds this.
pub(super) struct Turn<'a> {
    turns: &'a Turns,
    cores: usize,
    since: Instant,
}

impl Turns {
    /// For this many cores, at least 1.
    pub fn new(cores: usize) -> Self {
        let state = State { free: cores, next_number: 0, serving: 0 };
        Self { cores, state: Mutex::new(state), changed: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many cores there are.
    pub fn cores(&self) -> usize {
        self.cores
    }

    /// Waits for all cores.
    pub fn take_all(&self) -> Turn<'_> {
        self.take(self.cores)
    }

    /// Waits for one core.
    pub fn take_one(&self) -> Turn<'_> {
        self.take(1)
    }

    fn take(&self, cores: usize) -> Turn<'_> {
        self.acquire(cores);
        Turn { turns: self, cores, since: Instant::now() }
    }

    fn acquire(&self, cores: usize) {
        let mut state = self.lock();
        let number = state.next_number;
        state.next_number += 1;
        while state.serving != number || state.free < cores {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.free -= cores;
        state.serving += 1;
        drop(state);
        // The next in line may fit beside this one.
        self.changed.notify_all();
    }

    fn give_back(&self, cores: usize) {
        self.lock().free += cores;
        self.changed.notify_all();
    }

    fn someone_waits(&self) -> bool {
        let state = self.lock();
        state.next_number != state.serving
    }
}

impl Turn<'_> {
    /// Whether it lasted long enough.
    pub fn is_over(&self) -> bool {
        self.since.elapsed() >= CHAT_TURN
    }

    /// Begins the next turn, after those who wait.
    pub fn renew(&mut self) {
        if self.turns.someone_waits() {
            self.turns.give_back(self.cores);
            self.turns.acquire(self.cores);
        }
        self.since = Instant::now();
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.turns.give_back(self.cores);
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "these threads have no runtime; sleeping is what they are to do")]
mod tests {
    use std::{
        sync::{
            Arc,
            atomic::{AtomicUsize, Ordering},
            mpsc::channel,
        },
        thread,
    };

    use super::*;

    #[test]
    fn passages_run_side_by_side_and_a_chat_alone() {
        let turns = Arc::new(Turns::new(3));
        let running = Arc::new(AtomicUsize::new(0));
        let most = Arc::new(AtomicUsize::new(0));
        let threads: Vec<_> = (0..12)
            .map(|index| {
                let (turns, running, most) = (turns.clone(), running.clone(), most.clone());
                thread::spawn(move || {
                    let chat = index % 4 == 0;
                    let _turn = if chat { turns.take_all() } else { turns.take_one() };
                    let beside = running.fetch_add(1, Ordering::SeqCst);
                    most.fetch_max(beside + 1, Ordering::SeqCst);
                    assert!(beside == 0 || !chat, "a chat began beside {beside} others");
                    thread::sleep(Duration::from_millis(30));
                    assert!(!chat || running.load(Ordering::SeqCst) == 1);
                    running.fetch_sub(1, Ordering::SeqCst);
                })
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
        assert!((2..=3).contains(&most.load(Ordering::SeqCst)));
        assert_eq!(turns.lock().free, 3);
    }

    #[test]
    fn a_long_chat_lets_a_passage_in_between() {
        let turns = Arc::new(Turns::new(2));
        let mut chat = turns.take_all();
        let (done, passage) = channel();
        let thread = {
            let turns = turns.clone();
            thread::spawn(move || {
                drop(turns.take_one());
                done.send(()).unwrap();
            })
        };
        while !turns.someone_waits() {
            thread::yield_now();
        }
        assert!(passage.try_recv().is_err());
        thread::sleep(CHAT_TURN);
        assert!(chat.is_over());
        chat.renew();
        assert_eq!(passage.recv_timeout(Duration::from_secs(10)), Ok(()));
        assert!(turns.lock().free == 0 && !chat.is_over());
        drop(chat);
        assert_eq!(turns.lock().free, 2);
        thread.join().unwrap();
    }

    #[test]
    fn a_waiting_chat_is_not_overtaken() {
        let turns = Arc::new(Turns::new(2));
        let passage = turns.take_one();
        let (order, finished) = channel();
        let mut threads = Vec::new();
        for (name, cores) in [("chat", 2), ("passage", 1)] {
            let waiting = turns.lock().next_number;
            let (turns_there, order) = (turns.clone(), order.clone());
            threads.push(thread::spawn(move || {
                let _turn = turns_there.take(cores);
                order.send(name).unwrap();
            }));
            while turns.lock().next_number == waiting {
                thread::yield_now();
            }
        }
        drop(passage);
        assert_eq!((finished.recv(), finished.recv()), (Ok("chat"), Ok("passage")));
        for thread in threads {
            thread.join().unwrap();
        }
    }
}
