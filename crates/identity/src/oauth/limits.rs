//! How often strangers may ask. The tokens and secrets cannot be guessed; these limits keep guessing from costing us anything,
//! and keep the short codes that people type safe.

use std::{
    hash::Hash,
    net::{IpAddr, Ipv6Addr},
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use moka::sync::Cache;
use plasma_kernel::{Clock, Code, Error, Result, UserId};

const MINUTE: i64 = 60 * 1_000_000;
/// Addresses and people that are remembered at most, each about a hundred bytes.
const REMEMBERED_MAX: u64 = 100_000;
/// Longer than every window: only memory is freed by it.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(30 * 60);

/// The limits of the routes that need no login, by address, and of the codes that people type.
pub(crate) struct Limits {
    /// Questions to the token, introspection and revocation endpoints.
    requests: Limiter<IpAddr>,
    /// Those of them that failed.
    failures: Limiter<IpAddr>,
    /// Devices that begin to ask.
    devices: Limiter<IpAddr>,
    /// Wrong codes typed by a person, and from an address.
    entries: Limiter<UserId>,
    entries_of_address: Limiter<IpAddr>,
}

impl Limits {
    pub(crate) fn new() -> Self {
        Self {
            requests: Limiter::new(6_000, MINUTE),
            failures: Limiter::new(120, 5 * MINUTE),
            devices: Limiter::new(30, 10 * MINUTE),
            entries: Limiter::new(10, 15 * MINUTE),
            entries_of_address: Limiter::new(50, 15 * MINUTE),
        }
    }

    /// A question to the token endpoint and its like. `None` for calls that do not come over the network.
    ///
    /// # Errors
    /// `rate_limited` (`temporarily_unavailable`) with the time to wait.
    pub(crate) fn request(&self, clock: &Clock, address: Option<IpAddr>) -> Result<()> {
        let Some(address) = address.map(network_of) else { return Ok(()) };
        self.requests.take(clock, address).map_err(too_many_requests)?;
        self.failures.look(clock, address).map_err(too_many_requests)
    }

    /// It failed.
    pub(crate) fn failed(&self, clock: &Clock, address: Option<IpAddr>) {
        if let Some(address) = address {
            // When there is no room left, the next question is refused anyway.
            let _ = self.failures.take(clock, network_of(address));
        }
    }

    /// A device begins to ask.
    ///
    /// # Errors
    /// `rate_limited` with the time to wait.
    pub(crate) fn device(&self, clock: &Clock, address: Option<IpAddr>) -> Result<()> {
        let Some(address) = address.map(network_of) else { return Ok(()) };
        self.devices.take(clock, address).map_err(too_many_requests)
    }

    /// A person types a code. It takes its place before it is looked up, so that the limit holds for many at once.
    ///
    /// # Errors
    /// `rate_limited` (`too_many_codes`) with the time to wait.
    pub(crate) fn entry(&self, clock: &Clock, user: UserId, address: Option<IpAddr>) -> Result<()> {
        if let Some(address) = address {
            self.entries_of_address.take(clock, network_of(address)).map_err(too_many_codes)?;
        }
        self.entries.take(clock, user).map_err(too_many_codes)
    }

    /// The code was right: it does not count.
    pub(crate) fn entered(&self, user: UserId, address: Option<IpAddr>) {
        self.entries.give_back(&user);
        if let Some(address) = address {
            self.entries_of_address.give_back(&network_of(address));
        }
    }
}

fn too_many_requests(retry_after_ms: u64) -> Error {
    Error::new(Code::RateLimited, "temporarily_unavailable", "too many requests came from this address")
        .remedy(format!("wait {} seconds and try again", retry_after_ms.div_ceil(1_000)))
        .retry_after_ms(retry_after_ms)
}

fn too_many_codes(retry_after_ms: u64) -> Error {
    Error::new(Code::RateLimited, "too_many_codes", "too many wrong codes were typed")
        .remedy(format!("wait {} seconds and try again", retry_after_ms.div_ceil(1_000)))
        .retry_after_ms(retry_after_ms)
}

/// One subscriber holds a whole IPv6 /64, so all of it counts as one address.
fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX))),
    }
}

/// At most so many in a window, regained evenly (the generic cell rate algorithm): one number for each key says when all
/// that was taken will have been regained.
struct Limiter<K> {
    regained_at: Cache<K, Arc<AtomicI64>>,
    each: i64,
    window: i64,
}

impl<K: Hash + Eq + Send + Sync + 'static> Limiter<K> {
    fn new(at_most: i64, window: i64) -> Self {
        let regained_at = Cache::builder().max_capacity(REMEMBERED_MAX).time_to_idle(FORGOTTEN_AFTER).build();
        Self { regained_at, each: window / at_most.max(1), window }
    }

    /// Takes one, or says in how many milliseconds there will be one.
    fn take(&self, clock: &Clock, key: K) -> Result<(), u64> {
        let regained_at = self.regained_at.get_with(key, Arc::default);
        let now = clock.now();
        let taken = regained_at.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |at| {
            let at = at.max(now) + self.each;
            (at - now <= self.window).then_some(at)
        });
        taken.map(drop).map_err(|at| self.wait(at, now))
    }

    /// Whether there is one, without taking it.
    fn look(&self, clock: &Clock, key: K) -> Result<(), u64> {
        let (at, now) = (self.regained_at.get_with(key, Arc::default).load(Ordering::Relaxed), clock.now());
        if at.max(now) + self.each - now <= self.window { Ok(()) } else { Err(self.wait(at, now)) }
    }

    fn give_back(&self, key: &K) {
        if let Some(regained_at) = self.regained_at.get(key) {
            regained_at.fetch_sub(self.each, Ordering::Relaxed);
        }
    }

    fn wait(&self, at: i64, now: i64) -> u64 {
        u64::try_from(at + self.each - self.window - now).unwrap_or(0).div_ceil(1_000)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_window_holds_so_many_and_regains_them_evenly() {
        let clock = Clock::manual(1_800_000_000_000_000);
        let limiter: Limiter<u8> = Limiter::new(10, 10 * MINUTE);
        for _ in 0..10 {
            limiter.look(&clock, 1).unwrap();
            limiter.take(&clock, 1).unwrap();
        }
        assert_eq!(limiter.take(&clock, 1), Err(60_000));
        assert_eq!(limiter.look(&clock, 1), Err(60_000));
        limiter.take(&clock, 2).unwrap();
        clock.advance(Duration::from_secs(59));
        assert_eq!(limiter.take(&clock, 1), Err(1_000));
        clock.advance(Duration::from_secs(1));
        limiter.take(&clock, 1).unwrap();
        limiter.take(&clock, 1).unwrap_err();
        limiter.give_back(&1);
        limiter.take(&clock, 1).unwrap();
        clock.advance(Duration::from_secs(24 * 3_600));
        for _ in 0..10 {
            limiter.take(&clock, 1).unwrap();
        }
        limiter.take(&clock, 1).unwrap_err();
    }

    #[test]
    fn many_at_once_get_no_more() {
        let clock = Clock::manual(1_800_000_000_000_000);
        let limiter: Limiter<u8> = Limiter::new(100, MINUTE);
        let taken = std::thread::scope(|scope| {
            let takers: Vec<_> =
                (0..8).map(|_| scope.spawn(|| (0..100).filter(|_| limiter.take(&clock, 1).is_ok()).count())).collect();
            takers.into_iter().map(|taker| taker.join().unwrap()).sum::<usize>()
        });
        assert_eq!(taken, 100);
    }
}
