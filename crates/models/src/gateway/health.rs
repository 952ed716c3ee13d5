//! How models at providers have been doing lately, in the memory of this process: for routes that prefer the quick and
//! avoid the broken.

use std::{collections::VecDeque, sync::Mutex, sync::PoisonError, time::Duration};

use moka::sync::Cache;
use plasma_kernel::TenantId;
use tokio::time::Instant;

/// Calls whose time to the first token is remembered.
const SAMPLES: usize = 128;
/// Failures in a row that open the circuit.
const FAILURES_MAX: u32 = 5;
/// How long an open circuit keeps requests away; it doubles each time the probe fails.
const OPEN_MIN: Duration = Duration::from_secs(15);
const OPEN_MAX: Duration = Duration::from_secs(120);
/// Models that are remembered, and how long after their last call.
const MODELS_MAX: u64 = 10_000;
const FORGOTTEN_AFTER: Duration = Duration::from_secs(3_600);

/// All models' health.
pub(crate) struct Health(Cache<(TenantId, String), std::sync::Arc<Mutex<ModelHealth>>>);

#[derive(Default)]
struct ModelHealth {
    first_token_ms: VecDeque<u32>,
    failures_in_a_row: u32,
    open_until: Option<Instant>,
    open_for: Duration,
}

/// How a model is doing.
pub(crate) struct Condition {
    pub(crate) failures_in_a_row: u32,
    /// How long the circuit stays open; zero: the next request tries it. `None`: it is closed.
    pub(crate) open_for: Option<Duration>,
    pub(crate) first_token_p95_ms: Option<u32>,
    /// Calls that the percentile is taken from.
    pub(crate) samples: usize,
}

impl Health {
    pub(crate) fn new() -> Self {
        Self(Cache::builder().max_capacity(MODELS_MAX).time_to_idle(FORGOTTEN_AFTER).build())
    }

    fn with<T>(&self, tenant: TenantId, model: &str, work: impl FnOnce(&mut ModelHealth) -> T) -> T {
        let health = self.0.get_with((tenant, model.to_owned()), Default::default);
        let mut health = health.lock().unwrap_or_else(PoisonError::into_inner);
        work(&mut health)
    }

    /// The model began to answer after so long.
    pub(crate) fn answered(&self, tenant: TenantId, model: &str, first_token: Duration) {
        self.with(tenant, model, |health| {
            if health.first_token_ms.len() == SAMPLES {
                health.first_token_ms.pop_front();
            }
            health.first_token_ms.push_back(u32::try_from(first_token.as_millis()).unwrap_or(u32::MAX));
            health.failures_in_a_row = 0;
            health.open_until = None;
            health.open_for = Duration::ZERO;
        });
    }

    /// The model's provider failed. Returns whether its circuit has just opened.
    pub(crate) fn failed(&self, tenant: TenantId, model: &str, now: Instant) -> bool {
        self.with(tenant, model, |health| {
            let was_open = health.open_until.is_some();
            health.failures_in_a_row += 1;
            // Once open, each trial that fails keeps it open for longer.
            if health.failures_in_a_row >= FAILURES_MAX {
                health.open_for = (health.open_for * 2).clamp(OPEN_MIN, OPEN_MAX);
                health.open_until = Some(now + health.open_for);
            }
            health.open_until.is_some() && !was_open
        })
    }

    /// The model's provider answers again: the next request may try it, whatever is left of the circuit's time. Returns
    /// whether the circuit was open.
    pub(crate) fn may_be_tried(&self, tenant: TenantId, model: &str, now: Instant) -> bool {
        self.with(tenant, model, |health| {
            let Some(until) = &mut health.open_until else { return false };
            *until = now.min(*until);
            true
        })
    }

    /// What is known of a model; `None` when it has not been called lately.
    pub(crate) fn look(&self, tenant: TenantId, model: &str, now: Instant) -> Option<Condition> {
        let health = self.0.get(&(tenant, model.to_owned()))?;
        let health = health.lock().unwrap_or_else(PoisonError::into_inner);
        Some(Condition {
            failures_in_a_row: health.failures_in_a_row,
            open_for: health.open_until.map(|until| until.saturating_duration_since(now)),
            first_token_p95_ms: health.p95_ms(),
            samples: health.first_token_ms.len(),
        })
    }

    /// Whether the circuit is open: requests should go elsewhere. After its time it lets one request through as a probe
    /// and stays open for the others until that has an outcome.
    pub(crate) fn is_open(&self, tenant: TenantId, model: &str, now: Instant) -> bool {
        self.with(tenant, model, |health| match health.open_until {
            None => false,
            Some(until) if now < until => true,
            Some(_) => {
                health.open_until = Some(now + OPEN_MIN);
                false
            }
        })
    }

    /// The 95th percentile of the time to the first token; `None` without a call yet.
    pub(crate) fn first_token_p95_ms(&self, tenant: TenantId, model: &str) -> Option<u32> {
        self.with(tenant, model, |health| health.p95_ms())
    }
}

impl ModelHealth {
    fn p95_ms(&self) -> Option<u32> {
        let mut sorted: Vec<u32> = self.first_token_ms.iter().copied().collect();
        sorted.sort_unstable();
        sorted.get((sorted.len() * 95).div_ceil(100).saturating_sub(1)).copied()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const TENANT: TenantId = TenantId::from_bits(1);

    #[test]
    fn five_failures_open_the_circuit_and_one_probe_may_close_it() {
        let health = Health::new();
        let start = Instant::now();
        let after = |times: u32| start + OPEN_MIN * times;
        for _ in 0..4 {
            assert!(!health.failed(TENANT, "a", start));
            assert!(!health.is_open(TENANT, "a", start));
        }
        assert!(health.failed(TENANT, "a", start), "it opens");
        assert!(health.is_open(TENANT, "a", start));
        assert!(!health.is_open(TENANT, "b", start));
        assert!(!health.is_open(TenantId::from_bits(2), "a", start));
        assert!(!health.is_open(TENANT, "a", after(1)), "the probe passes");
        assert!(health.is_open(TENANT, "a", after(1)), "the others wait for its outcome");
        assert!(!health.failed(TENANT, "a", after(1)), "it was open");
        assert!(health.is_open(TENANT, "a", after(2)), "a probe that fails doubles the time");
        assert!(!health.is_open(TENANT, "a", after(3)));
        health.answered(TENANT, "a", Duration::from_millis(5));
        assert!(!health.is_open(TENANT, "a", after(3)));
    }

    #[test]
    fn a_provider_that_answers_again_is_tried_at_once() {
        let health = Health::new();
        let start = Instant::now();
        assert!(health.look(TENANT, "a", start).is_none());
        assert!(!health.may_be_tried(TENANT, "a", start), "it is not open");
        for _ in 0..FAILURES_MAX {
            health.failed(TENANT, "a", start);
        }
        assert_eq!(health.look(TENANT, "a", start).unwrap().open_for, Some(OPEN_MIN));
        assert!(health.may_be_tried(TENANT, "a", start));
        assert_eq!(health.look(TENANT, "a", start).unwrap().open_for, Some(Duration::ZERO));
        assert!(!health.is_open(TENANT, "a", start), "one request passes");
        assert!(health.is_open(TENANT, "a", start), "the others wait for its outcome");
    }

    #[test]
    fn the_percentile_moves_with_the_last_calls() {
        let health = Health::new();
        assert_eq!(health.first_token_p95_ms(TENANT, "a"), None);
        for milliseconds in 1..=100 {
            health.answered(TENANT, "a", Duration::from_millis(milliseconds));
        }
        assert_eq!(health.first_token_p95_ms(TENANT, "a"), Some(95));
        for _ in 0..SAMPLES {
            health.answered(TENANT, "a", Duration::from_millis(7));
        }
        assert_eq!(health.first_token_p95_ms(TENANT, "a"), Some(7));
    }
}
