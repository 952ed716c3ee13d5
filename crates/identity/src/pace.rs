//! Bounds how often something may be asked for that costs us a row or a mail, whoever asks and whatever the answer is.

use std::{
    collections::VecDeque,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use moka::sync::Cache;
use plasma_kernel::{Clock, Code, Error, Result, Timestamp};

use crate::{throttle::network_of, tokens::Fingerprint};

/// What is asked for and by whom, at most this many times in a window. Beyond, what is asked for least is forgotten first.
const REMEMBERED_MAX: u64 = 100_000;
/// Longer than every window: only memory is freed by it.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(60 * 60);

/// How often in which time.
#[derive(Clone, Copy)]
pub(crate) struct Limit {
    pub(crate) times: usize,
    pub(crate) window_micros: i64,
}

impl Limit {
    pub(crate) const fn new(times: usize, minutes: i64) -> Self {
        Self { times, window_micros: minutes * 60 * 1_000_000 }
    }
}

pub(crate) struct Pace {
    taken: Cache<Fingerprint, Arc<Mutex<VecDeque<Timestamp>>>>,
}

impl Pace {
    pub(crate) fn new() -> Self {
        Self { taken: Cache::builder().max_capacity(REMEMBERED_MAX).time_to_idle(FORGOTTEN_AFTER).build() }
    }

    /// Takes one turn of `what` for `who`.
    ///
    /// # Errors
    /// `rate_limited` (`too_many_requests`), with the time to wait.
    pub(crate) fn take(&self, clock: &Clock, what: &str, who: &str, limit: Limit) -> Result<()> {
        let taken = self.taken.get_with(Fingerprint::of(&format!("{what}/{who}")), Arc::default);
        let mut taken = taken.lock().unwrap_or_else(PoisonError::into_inner);
        let now = clock.now();
        while taken.front().is_some_and(|at| now - at >= limit.window_micros) {
            taken.pop_front();
        }
        if taken.len() >= limit.times {
            let free_at = taken.front().map_or(now, |oldest| oldest + limit.window_micros);
            let wait_ms = u64::try_from(free_at - now).unwrap_or(0).div_ceil(1_000);
            return Err(Error::new(Code::RateLimited, "too_many_requests", "this was asked for too often")
                .remedy(format!("wait {} seconds and try again", wait_ms.div_ceil(1_000)))
                .retry_after_ms(wait_ms));
        }
        taken.push_back(now);
        Ok(())
    }

    /// The same for an address; calls that do not come over the network are not bounded.
    ///
    /// # Errors
    /// As [`Pace::take`].
    pub(crate) fn take_from(&self, clock: &Clock, what: &str, address: Option<IpAddr>, limit: Limit) -> Result<()> {
        match address {
            Some(address) => self.take(clock, what, &network_of(address).to_string(), limit),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn turns_come_back_one_by_one() {
        let (pace, clock, limit) = (Pace::new(), Clock::manual(0), Limit::new(2, 1));
        pace.take(&clock, "link", "ada", limit).unwrap();
        clock.advance(Duration::from_secs(20));
        pace.take(&clock, "link", "ada", limit).unwrap();
        let error = pace.take(&clock, "link", "ada", limit).unwrap_err();
        assert_eq!((error.code(), error.retry_after()), (Code::RateLimited, Some(40_000)));
        pace.take(&clock, "link", "grace", limit).unwrap();
        pace.take(&clock, "other", "ada", limit).unwrap();
        clock.advance(Duration::from_secs(40));
        pace.take(&clock, "link", "ada", limit).unwrap();
        assert!(pace.take(&clock, "link", "ada", limit).is_err());
    }
}
