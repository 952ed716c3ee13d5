//! Slows down guessing. Exact under concurrency: a try takes its place before the password is verified.

use std::{
    collections::VecDeque,
    hash::Hash,
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use moka::sync::Cache;
use plasma_kernel::{Clock, Code, Error, Result, Timestamp};

use crate::tokens::Fingerprint;

const WINDOW_MICROS: i64 = 15 * 60 * 1_000_000;
const ACCOUNT_FAILURES_MAX: usize = 10;
const ADDRESS_FAILURES_MAX: usize = 50;
/// Mistyping is human: only from this failure on does the next try have to wait, 1 s and then twice as long each time.
const FAILURES_BEFORE_DELAY: usize = 4;
const DELAY_FIRST_MICROS: i64 = 1_000_000;
/// When every place is taken by tries that are still being verified, they will be settled after about this time.
const IN_FLIGHT_RETRY_MS: u64 = 1_000;
/// Accounts and addresses that are remembered at most, each a few hundred bytes. Beyond, those that are tried least often
/// are forgotten first.
const REMEMBERED_MAX: u64 = 100_000;
/// Longer than the window: only memory is freed by it.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(30 * 60);

pub(crate) struct Throttle {
    accounts: Cache<Fingerprint, Arc<Mutex<Attempts>>>,
    addresses: Cache<IpAddr, Arc<Mutex<Attempts>>>,
}

#[derive(Default)]
struct Attempts {
    /// Times of the failures, oldest first; those older than the window are dropped.
    failed_at: VecDeque<Timestamp>,
    /// Tries that are being verified.
    in_flight: usize,
}

/// A place taken. Dropped without being given back it counts as a failure: a caller that goes away has used up a try.
struct Place {
    attempts: Arc<Mutex<Attempts>>,
    clock: Clock,
    settled: bool,
}

/// One try that may be verified.
pub(crate) struct Attempt {
    account: Place,
    address: Option<Place>,
}

impl Throttle {
    pub(crate) fn new() -> Self {
        Self { accounts: remembered(), addresses: remembered() }
    }

    /// Takes a place for one try at the account with this e-mail from this address.
    ///
    /// # Errors
    /// `rate_limited`, with the time to wait.
    pub(crate) fn take(&self, clock: &Clock, email: &str, address: Option<IpAddr>) -> Result<Attempt> {
        let mut address = match address {
            Some(address) => {
                let attempts = self.addresses.get_with(network_of(address), Arc::default);
                Some(Place::take(attempts, clock, ADDRESS_FAILURES_MAX, false)?)
            }
            None => None,
        };
        let attempts = self.accounts.get_with(Fingerprint::of(email), Arc::default);
        match Place::take(attempts, clock, ACCOUNT_FAILURES_MAX, true) {
            Ok(account) => Ok(Attempt { account, address }),
            Err(error) => {
                // Nothing is verified, so nothing was tried from this address.
                if let Some(place) = &mut address {
                    place.give_back();
                }
                Err(error)
            }
        }
    }
}

impl Attempt {
    /// The password was right: the account's failures are forgotten, the address's stay (its owner may know one password
    /// and guess others).
    pub(crate) fn succeeded(mut self) {
        self.account.give_back();
        self.account.lock().failed_at.clear();
        if let Some(address) = &mut self.address {
            address.give_back();
        }
    }

    /// Nothing was verified after all, such as when the database did not answer.
    pub(crate) fn abandoned(mut self) {
        self.account.give_back();
        if let Some(address) = &mut self.address {
            address.give_back();
        }
    }
}

impl Place {
    fn take(attempts: Arc<Mutex<Attempts>>, clock: &Clock, failures_max: usize, delayed: bool) -> Result<Self> {
        attempts.lock().unwrap_or_else(PoisonError::into_inner).take(clock.now(), failures_max, delayed)?;
        Ok(Self { attempts, clock: clock.clone(), settled: false })
    }

    fn lock(&self) -> MutexGuard<'_, Attempts> {
        self.attempts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn give_back(&mut self) {
        if !self.settled {
            self.settled = true;
            let mut attempts = self.lock();
            attempts.in_flight = attempts.in_flight.saturating_sub(1);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if !self.settled {
            let now = self.clock.now();
            let mut attempts = self.lock();
            attempts.in_flight = attempts.in_flight.saturating_sub(1);
            attempts.failed_at.push_back(now);
        }
    }
}

impl Attempts {
    fn take(&mut self, now: Timestamp, failures_max: usize, delayed: bool) -> Result<()> {
        while self.failed_at.front().is_some_and(|failed_at| now - failed_at >= WINDOW_MICROS) {
            self.failed_at.pop_front();
        }
        let failures = self.failed_at.len();
        if failures >= failures_max {
            let free_at = self.failed_at.front().map_or(now, |oldest| oldest + WINDOW_MICROS);
            return Err(refused(milliseconds_until(now, free_at)));
        }
        if failures + self.in_flight >= failures_max {
            return Err(refused(IN_FLIGHT_RETRY_MS));
        }
        if let (true, Some(last)) = (delayed, self.failed_at.back()) {
            let allowed_at = last + delay_micros(failures);
            if now < allowed_at {
                return Err(refused(milliseconds_until(now, allowed_at)));
            }
        }
        self.in_flight += 1;
        Ok(())
    }
}

fn remembered<K: Hash + Eq + Send + Sync + 'static>() -> Cache<K, Arc<Mutex<Attempts>>> {
    Cache::builder().max_capacity(REMEMBERED_MAX).time_to_idle(FORGOTTEN_AFTER).build()
}

fn delay_micros(failures: usize) -> i64 {
    match failures.checked_sub(FAILURES_BEFORE_DELAY) {
        // At most 9 failures are followed by another try, so the shift stays small.
        Some(doublings) => DELAY_FIRST_MICROS << doublings.min(10),
        None => 0,
    }
}

fn milliseconds_until(now: Timestamp, then: Timestamp) -> u64 {
    u64::try_from(then - now).unwrap_or(0).div_ceil(1_000)
}

fn refused(retry_after_ms: u64) -> Error {
    Error::new(Code::RateLimited, "too_many_logins", "too many failed logins for this account or from this address")
        .remedy(format!("wait {} seconds and try again", retry_after_ms.div_ceil(1_000)))
        .retry_after_ms(retry_after_ms)
}

/// One subscriber holds a whole IPv6 /64, so all of it counts as one address.
pub(crate) fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX))),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const HOME: Option<IpAddr> = Some(IpAddr::V6(Ipv6Addr::LOCALHOST));

    fn fail(throttle: &Throttle, clock: &Clock, email: &str) -> Result<()> {
        throttle.take(clock, email, HOME).map(drop)
    }

    #[test]
    fn ten_failures_with_growing_delays_then_a_quarter_of_an_hour() {
        let (throttle, clock) = (Throttle::new(), Clock::manual(0));
        for expected_delay_ms in [0, 0, 0, 0, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000] {
            if expected_delay_ms > 0 {
                let error = fail(&throttle, &clock, "ada@x").unwrap_err();
                assert_eq!(error.retry_after(), Some(expected_delay_ms));
                clock.advance(Duration::from_millis(expected_delay_ms));
            }
            fail(&throttle, &clock, "ada@x").unwrap();
        }
        let error = fail(&throttle, &clock, "ada@x").unwrap_err();
        assert_eq!(error.code(), Code::RateLimited);
        // The first failure was 63 s ago.
        assert_eq!(error.retry_after(), Some((15 * 60 - 63) * 1_000));
        fail(&throttle, &clock, "grace@x").unwrap();
        clock.advance(Duration::from_millis(error.retry_after().unwrap()));
        fail(&throttle, &clock, "ada@x").unwrap();
    }

    #[test]
    fn tries_in_flight_count_and_success_forgets() {
        let (throttle, clock) = (Throttle::new(), Clock::manual(0));
        let mut tries: Vec<_> = (0..10).map(|_| throttle.take(&clock, "ada@x", None).unwrap()).collect();
        assert_eq!(throttle.take(&clock, "ada@x", None).map(drop).unwrap_err().retry_after(), Some(1_000));
        let right = tries.pop().unwrap();
        drop(tries);
        right.succeeded();
        drop(throttle.take(&clock, "ada@x", None).unwrap());
    }

    #[test]
    fn an_address_may_fail_fifty_times_whatever_the_account() {
        let (throttle, clock) = (Throttle::new(), Clock::manual(0));
        for number in 0..50 {
            fail(&throttle, &clock, &format!("user{number}@x")).unwrap();
        }
        assert_eq!(fail(&throttle, &clock, "user50@x").unwrap_err().code(), Code::RateLimited);
        // Another address, and calls that come from none, are not touched.
        drop(throttle.take(&clock, "user50@x", Some(IpAddr::from([192, 0, 2, 1]))).unwrap());
        drop(throttle.take(&clock, "user50@x", None).unwrap());
    }

    #[test]
    fn a_refused_account_does_not_use_up_the_address() {
        let (throttle, clock) = (Throttle::new(), Clock::manual(0));
        for _ in 0..4 {
            fail(&throttle, &clock, "ada@x").unwrap();
        }
        for _ in 0..500 {
            assert!(fail(&throttle, &clock, "ada@x").is_err());
        }
        fail(&throttle, &clock, "grace@x").unwrap();
    }

    #[test]
    fn a_whole_ipv6_network_is_one_address() {
        let of = |text: &str| network_of(text.parse().unwrap());
        assert_eq!(of("2001:db8:1:2:3::4"), of("2001:db8:1:2:ffff::"));
        assert_ne!(of("2001:db8:1:2::"), of("2001:db8:1:3::"));
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
    }
}
