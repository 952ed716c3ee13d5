//! How many requests a workspace may make, by the generic cell rate algorithm (ITU-T I.371): what is allowed in a minute may come at
//! once, and comes back evenly. A workspace's state is one number that every request moves forward or leaves; so the count is exact
//! however many come at the same moment. Each process counts for itself.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, Instant},
};

use axum::{
    http::{HeaderMap, HeaderName, HeaderValue},
    response::Response,
};
use moka::sync::Cache;
use plasma_kernel::{Code, Error, Result, TenantId};

/// As in draft-ietf-httpapi-ratelimit-headers-10.
const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

const WINDOW: Duration = Duration::from_secs(60);
const WINDOW_NS: i64 = 60_000_000_000;
/// Workspaces that are counted at the same time. One that is forgotten for want of room begins with all its requests again.
const TENANTS_MAX: u64 = 1_000_000;

/// What each workspace has used.
pub(super) struct Rates {
    /// When all requests that were made will have been earned again, in nanoseconds since `started`. One that is not used for longer
    /// than a minute has earned them all, so that nothing is lost when it is forgotten.
    earned_at: Cache<TenantId, Arc<AtomicI64>>,
    started: Instant,
}

impl Rates {
    pub(super) fn new() -> Self {
        let earned_at = Cache::builder().max_capacity(TENANTS_MAX).time_to_idle(2 * WINDOW).build();
        Self { earned_at, started: Instant::now() }
    }

    /// Counts a request of the workspace, if one is left of so many a minute.
    pub(super) fn count(&self, tenant: TenantId, per_minute: u32) -> Standing {
        let earned_at = self.earned_at.get_with_by_ref(&tenant, Arc::default);
        let now = i64::try_from(self.started.elapsed().as_nanos()).unwrap_or(i64::MAX / 2);
        take(&earned_at, now, per_minute)
    }
}

/// How a workspace stands after a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Standing {
    per_minute: u32,
    /// Requests that may still come at once.
    left: i64,
    /// Until all of them are there again.
    full_after_ns: i64,
    /// Until the next one is; `None` when this one was allowed.
    refused_for_ns: Option<i64>,
}

impl Standing {
    /// # Errors
    /// `rate_limited` (`tenant_rate_limited`) when the request was one too many.
    pub(super) fn admit(&self) -> Result<()> {
        let Some(wait_ns) = self.refused_for_ns else { return Ok(()) };
        let wait_ms = wait_ns.unsigned_abs().div_ceil(1_000_000);
        let message = format!("the workspace has made more than {} requests in a minute", self.per_minute);
        Err(Error::new(Code::RateLimited, "tenant_rate_limited", message)
            .remedy(
                "come back after the time in Retry-After; whoever runs this installation can raise the limit \
                 (tenant_requests_per_minute, or the workspace's plan)",
            )
            .retry_after_ms(wait_ms))
    }

    /// Tells the client.
    pub(super) fn tell(&self, response: &mut Response) {
        let headers: &mut HeaderMap = response.headers_mut();
        let mut set = |name: HeaderName, value: String| {
            if let Ok(value) = HeaderValue::try_from(value) {
                headers.insert(name, value);
            }
        };
        let seconds = self.full_after_ns.unsigned_abs().div_ceil(1_000_000_000);
        set(RATE_LIMIT_POLICY, format!("\"tenant\";q={};w={}", self.per_minute, WINDOW.as_secs()));
        set(RATE_LIMIT, format!("\"tenant\";r={};t={seconds}", self.left));
    }
}

/// Moves the number forward by the time in which one request is earned, unless it then were more than a minute ahead.
fn take(earned_at: &AtomicI64, now: i64, per_minute: u32) -> Standing {
    let each = (WINDOW_NS / i64::from(per_minute.max(1))).max(1);
    // Not the minute itself: that would be a few more or fewer where it does not divide evenly.
    let room = each * i64::from(per_minute);
    let after = |before: i64| before.max(now) + each;
    let taken = earned_at.fetch_update(Ordering::AcqRel, Ordering::Acquire, |before| {
        let next = after(before);
        (next - now <= room).then_some(next)
    });
    match taken {
        Ok(before) => {
            let debt = after(before) - now;
            Standing { per_minute, left: (room - debt) / each, full_after_ns: debt, refused_for_ns: None }
        }
        Err(before) => {
            let refused_for = after(before) - now - room;
            Standing { per_minute, left: 0, full_after_ns: before.max(now) - now, refused_for_ns: Some(refused_for) }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000_000;

    fn allowed(standing: Standing) -> bool {
        standing.refused_for_ns.is_none()
    }

    #[test]
    fn a_minutes_requests_may_come_at_once_and_come_back_evenly() {
        let state = AtomicI64::new(0);
        for left in (0..60).rev() {
            assert_eq!((take(&state, 0, 60).left, take(&AtomicI64::new(0), 0, 60).left), (left, 59));
        }
        let refused = take(&state, 0, 60);
        assert_eq!((refused.refused_for_ns, refused.full_after_ns), (Some(SECOND), 60 * SECOND));
        let error = refused.admit().unwrap_err();
        assert_eq!((error.reason(), error.retry_after()), ("tenant_rate_limited", Some(1_000)));
        assert!(allowed(take(&state, SECOND, 60)) && !allowed(take(&state, SECOND, 60)));
        assert_eq!(take(&state, 61 * SECOND + SECOND / 2, 60).left, 59);
    }

    #[test]
    fn numbers_that_do_not_divide_a_minute_are_exact_too() {
        for per_minute in [1, 7, 61, 999, 1_000_001, 6_000_000] {
            let state = AtomicI64::new(0);
            let taken = (0..=i64::from(per_minute)).filter(|_| allowed(take(&state, 0, per_minute))).count();
            assert_eq!(taken, per_minute as usize);
        }
    }

    #[test]
    fn threads_at_the_same_moment_get_exactly_what_there_is() {
        let state = AtomicI64::new(0);
        let total: usize = std::thread::scope(|scope| {
            let work = || (0..10_000).filter(|_| allowed(take(&state, SECOND, 12_345))).count();
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(work)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(total, 12_345);
    }

    #[test]
    fn a_plan_that_changes_counts_at_once() {
        let state = AtomicI64::new(0);
        for _ in 0..60 {
            assert!(allowed(take(&state, 0, 60)));
        }
        // All of the small plan is used: of the large one too, until a moment has passed.
        assert!(!allowed(take(&state, 0, 600)));
        assert!(allowed(take(&state, SECOND / 10, 600)));
    }

    #[test]
    fn workspaces_do_not_share_and_headers_tell_how_they_stand() {
        let rates = Rates::new();
        let (one, other) = (TenantId::from_bits(1), TenantId::from_bits(2));
        for _ in 0..60 {
            rates.count(one, 60);
        }
        assert!(rates.count(one, 60).admit().is_err());
        let standing = rates.count(other, 60);
        assert!(standing.admit().is_ok());
        let mut response = Response::new(axum::body::Body::empty());
        standing.tell(&mut response);
        assert_eq!(response.headers()["ratelimit-policy"], "\"tenant\";q=60;w=60");
        assert_eq!(response.headers()["ratelimit"], "\"tenant\";r=59;t=1");
    }
}
