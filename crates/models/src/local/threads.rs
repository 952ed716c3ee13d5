//! The operating-system threads that own models.

use std::{
    collections::HashSet,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Mutex, PoisonError},
    thread::JoinHandle,
};

use plasma_kernel::{Error, Result};

/// Starts a thread that runs `work` until it returns. A panic in it is logged and it is run again, so that one bad request
/// does not leave a model without its thread.
pub(super) fn start_worker(name: String, work: impl Fn() + Send + 'static) -> Result<JoinHandle<()>> {
    let label = name.clone();
    let run = move || {
        while catch_unwind(AssertUnwindSafe(&work)).is_err() {
            tracing::error!(thread = label, "a model's thread panicked and was started again");
        }
    };
    let failed = |source| Error::from_source("a thread for a model cannot be started", source);
    std::thread::Builder::new().name(name).spawn(run).map_err(failed)
}

/// The threads of a model, joined when it shuts down.
#[derive(Default)]
pub(super) struct Workers(Mutex<Vec<JoinHandle<()>>>);

impl Workers {
    /// Starts the threads with `start` unless they run.
    pub fn ensure(&self, start: impl FnOnce() -> Result<Vec<JoinHandle<()>>>) -> Result<()> {
        let mut threads = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if threads.is_empty() {
            *threads = start()?;
        }
        Ok(())
    }

    /// Waits for the threads to end.
    pub fn join(&self) {
        let threads = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            // A panic was caught and logged in the thread itself.
            let _ = thread.join();
        }
    }
}

/// The error for work that comes while the process stops.
pub(super) fn shutting_down() -> Error {
    Error::unavailable("shutting_down", "the server is shutting down").retry_after_ms(5_000)
}

/// Cores that this process may use, without counting hardware threads of one core twice: two of them gain nothing from
/// arithmetic that keeps a core busy.
pub(super) fn physical_cores() -> usize {
    let available = std::thread::available_parallelism().map_or(1, usize::from);
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let mut cores = HashSet::new();
    let mut package = "";
    for line in info.lines() {
        if let Some((key, value)) = line.split_once(':') {
            match key.trim() {
                "physical id" => package = value.trim(),
                "core id" => {
                    cores.insert((package, value.trim()));
                }
                _ => {}
            }
        }
    }
    if cores.is_empty() { available } else { available.min(cores.len()) }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use super::{
        super::queue::{Popped, Priority, Queue},
        *,
    };

    #[test]
    fn a_waiting_thread_is_woken_and_survives_a_panic() {
        let queue = Arc::new(Queue::new(4));
        let (done, result) = std::sync::mpsc::channel();
        let thread = {
            let queue = queue.clone();
            start_worker("test".to_owned(), move || {
                while let Popped::Item(item) = queue.pop(false, Duration::from_secs(10)) {
                    assert_ne!(item, 13, "this panic belongs to the test");
                    done.send(item).unwrap();
                }
            })
            .unwrap()
        };
        for item in [1, 13, 2] {
            assert!(queue.push(item, Priority::Ordinary).is_ok());
        }
        assert_eq!(result.recv_timeout(Duration::from_secs(10)), Ok(1));
        assert_eq!(result.recv_timeout(Duration::from_secs(10)), Ok(2));
        queue.close();
        thread.join().unwrap();
    }

    #[test]
    fn there_is_at_least_one_core() {
        assert!(physical_cores() >= 1);
    }
}
