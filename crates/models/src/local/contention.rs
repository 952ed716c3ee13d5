//! Notices other work on the cores of a chat model, so that it uses no more threads than there are free cores.
//!
//! A model whose threads wait for each other without sleeping becomes many times slower than its share of the processor
//! when one of them has to wait for a core, whoever keeps that busy: another program, or this one's own requests. With
//! one thread less it only loses what that thread did.

use std::fs;

/// A share of time in which a thread could run but had no core, above which there are too many threads.
const WAITING_MAX: f64 = 0.12;

/// Cores that must have been idle before a thread more is used.
const IDLE_MIN: f64 = 0.85;

/// What happened since an observer was made or last asked.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Observation {
    /// Share of the time that this thread wanted to run in which it had to wait for a core.
    pub waiting: f64,
    /// How many cores of the machine did nothing.
    pub idle_cores: f64,
}

impl Observation {
    /// How many threads to use from now on, given those in use and the most that are allowed.
    pub fn threads(self, current: usize, most: usize) -> usize {
        if self.waiting > WAITING_MAX {
            current.saturating_sub(((current as f64 * self.waiting) as usize).max(1)).max(1)
        } else if self.idle_cores >= IDLE_MIN {
            most.min(current + (self.idle_cores.round() as usize).max(1))
        } else {
            current
        }
    }
}

/// Counters of the calling thread and the machine at one moment.
#[derive(Clone, Copy)]
pub(super) struct Observer {
    ran_ns: u64,
    waited_ns: u64,
    idle_ticks: u64,
    all_ticks: u64,
    cores: usize,
}

impl Observer {
    /// Begins to observe. `None` where the system does not tell (not Linux, or without scheduler statistics).
    pub fn start() -> Option<Self> {
        let thread = fs::read_to_string("/proc/thread-self/schedstat").ok()?;
        let mut numbers = thread.split_ascii_whitespace().map_while(|number| number.parse().ok());
        let (ran_ns, waited_ns) = (numbers.next()?, numbers.next()?);
        let machine = fs::read_to_string("/proc/stat").ok()?;
        let ticks: Vec<u64> =
            machine.lines().next()?.split_ascii_whitespace().skip(1).map_while(|number| number.parse().ok()).collect();
        let cores = machine.lines().skip(1).take_while(|line| line.starts_with("cpu")).count();
        // user nice system idle iowait irq softirq steal; what follows is contained in the first two.
        Some(Self {
            ran_ns,
            waited_ns,
            idle_ticks: ticks.iter().skip(3).take(2).sum(),
            all_ticks: ticks.iter().take(8).sum(),
            cores,
        })
    }

    /// What happened since.
    pub fn observe(&self) -> Option<Observation> {
        let now = Self::start()?;
        let waited = now.waited_ns.saturating_sub(self.waited_ns) as f64;
        let wanted = waited + now.ran_ns.saturating_sub(self.ran_ns) as f64;
        let idle = now.idle_ticks.saturating_sub(self.idle_ticks) as f64;
        let all = now.all_ticks.saturating_sub(self.all_ticks) as f64;
        if wanted <= 0.0 || all <= 0.0 {
            return None;
        }
        Some(Observation { waiting: waited / wanted, idle_cores: idle / all * self.cores as f64 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn threads(waiting: f64, idle_cores: f64, current: usize, most: usize) -> usize {
        Observation { waiting, idle_cores }.threads(current, most)
    }

    #[test]
    fn threads_that_wait_are_given_up_but_for_the_last() {
        assert_eq!(threads(0.33, 0.0, 2, 2), 1);
        assert_eq!(threads(0.5, 0.0, 8, 8), 4);
        assert_eq!(threads(0.15, 0.0, 8, 8), 7);
        assert_eq!(threads(0.9, 0.0, 1, 8), 1);
    }

    #[test]
    fn idle_cores_are_used_up_to_the_limit() {
        assert_eq!(threads(0.0, 0.95, 1, 2), 2);
        assert_eq!(threads(0.0, 3.2, 2, 4), 4);
        assert_eq!(threads(0.0, 6.0, 2, 2), 2);
        assert_eq!(threads(0.05, 0.5, 1, 2), 1);
    }

    #[test]
    fn a_busy_thread_is_observed() {
        // Where the system does not tell, there is nothing to test.
        let Some(observer) = Observer::start() else { return };
        let start = std::time::Instant::now();
        let mut number = 1_u64;
        while start.elapsed() < std::time::Duration::from_millis(300) {
            number = number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        }
        assert_ne!(number, 0);
        let seen = observer.observe().unwrap();
        assert!((0.0..=1.0).contains(&seen.waiting) && seen.idle_cores >= 0.0, "{seen:?}");
        assert!(seen.idle_cores <= observer.cores as f64, "{seen:?}");
    }
}
