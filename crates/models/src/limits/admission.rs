//! Who is let through, and what is given back afterwards.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, atomic::AtomicUsize},
    time::Duration,
};

use plasma_kernel::{Code, Ctx, Error, LimitId, ProviderId, Result, TeamId};
use plasma_store::Store;
use tokio::time::Instant;

use super::{
    Limit, LimitSubject,
    gate::{Caller, Entrance, Gate, Kind, Place, WAITING_MAX},
    rate::Refused,
};
use crate::{definitions::TenantCache, store};

/// How long a call waits for a place. Whose patience is shorter goes away.
const WAIT: Duration = Duration::from_secs(30);
/// What a caller is told who found no place.
const PLACE_RETRY_MS: u64 = 1_000;
/// Gates are looked through for idle ones when there are this many, and after that when they have doubled.
const GATES_MIN: usize = 1_024;

/// What this process counts.
pub(crate) struct Limits {
    pub(super) definitions: TenantCache<TenantLimits>,
    gates: Mutex<Gates>,
    /// Calls that wait for a place.
    waiting: Arc<AtomicUsize>,
    /// Where the gates' times begin.
    started: Instant,
}

struct Gates {
    by_limit: HashMap<LimitId, Arc<Gate>>,
    sweep_at: usize,
}

/// A tenant's limits, by what they are asked for.
#[derive(Default)]
pub(super) struct TenantLimits {
    tenant: Option<Limit>,
    callers: HashMap<Caller, Limit>,
    teams: HashMap<TeamId, Limit>,
    providers: HashMap<ProviderId, Limit>,
}

impl TenantLimits {
    pub(super) fn new(limits: Vec<Limit>) -> Self {
        let mut all = Self::default();
        for limit in limits {
            match &limit.subject {
                LimitSubject::Tenant {} => all.tenant = Some(limit),
                LimitSubject::User { id } => drop(all.callers.insert(Caller::User(*id), limit)),
                LimitSubject::ApiKey { id } => drop(all.callers.insert(Caller::ApiKey(*id), limit)),
                LimitSubject::Team { id } => drop(all.teams.insert(*id, limit)),
                LimitSubject::Provider { id } => drop(all.providers.insert(*id, limit)),
            }
        }
        all
    }

    /// The caller's own limit first, then that of its team: who waits there takes no place of the workspace from others.
    fn of_caller(&self, ctx: &Ctx) -> [Option<&Limit>; 3] {
        let team = ctx.team().and_then(|team| self.teams.get(&team));
        [self.callers.get(&Caller::from(ctx.actor())), team, self.tenant.as_ref()]
    }
}

impl Limits {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            definitions: TenantCache::new(),
            gates: Mutex::new(Gates { by_limit: HashMap::new(), sweep_at: GATES_MIN }),
            waiting: Arc::default(),
            started: Instant::now(),
        })
    }

    fn now(&self) -> i64 {
        i64::try_from(self.started.elapsed().as_nanos()).unwrap_or(i64::MAX / 2)
    }

    async fn limits(&self, ctx: &Ctx, store: &Store) -> Result<Arc<TenantLimits>> {
        let load = || async {
            let mut tx = store.read(ctx).await?;
            Ok(TenantLimits::new(store::limits::all(&mut tx).await?))
        };
        self.definitions.get(ctx.tenant()?, load).await
    }

    /// The gate of a limit. Only here a reference to a gate begins, so one that is at rest and has no other is nobody's.
    fn gate(&self, id: LimitId) -> Arc<Gate> {
        let now = self.now();
        let mut gates = self.gates.lock().unwrap_or_else(PoisonError::into_inner);
        if gates.by_limit.len() >= gates.sweep_at {
            gates.by_limit.retain(|_, gate| Arc::strong_count(gate) > 1 || !gate.is_at_rest(now));
            gates.sweep_at = GATES_MIN.max(2 * gates.by_limit.len());
        }
        gates.by_limit.entry(id).or_default().clone()
    }

    /// A limit was changed here: those who wait see it at once.
    pub(super) fn set_concurrency(&self, id: LimitId, concurrency: Option<u32>) {
        self.gate(id).set_concurrency(concurrency);
    }

    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        self.waiting.load(std::sync::atomic::Ordering::Relaxed)
    }

    /// See [`crate::Models::admit`].
    pub(super) async fn admit(self: &Arc<Self>, ctx: &Ctx, store: &Store, tokens: u64) -> Result<Admission> {
        let limits = self.limits(ctx, store).await?;
        self.enter(limits.of_caller(ctx), Caller::from(ctx.actor()), tokens).await
    }

    /// See [`crate::Models::admit_provider`].
    pub(super) async fn admit_provider(
        self: &Arc<Self>,
        ctx: &Ctx,
        store: &Store,
        provider: ProviderId,
        tokens: u64,
    ) -> Result<Admission> {
        let limits = self.limits(ctx, store).await?;
        self.enter([limits.providers.get(&provider), None, None], Caller::from(ctx.actor()), tokens).await
    }

    async fn enter(self: &Arc<Self>, limits: [Option<&Limit>; 3], caller: Caller, tokens: u64) -> Result<Admission> {
        let mut admission =
            Admission { limits: self.clone(), passed: Vec::new(), tokens, places: Vec::new(), entered: false };
        // Rates first: who is over them need not wait for a place to be told so.
        for limit in limits.into_iter().flatten() {
            let gate = self.gate(limit.id);
            gate.take(self.now(), limit.requests_per_minute, limit.tokens_per_minute, tokens)
                .map_err(|(kind, refused)| rate_reached(limit, kind, refused, tokens))?;
            let (requests, tokens) = (limit.requests_per_minute, limit.tokens_per_minute);
            admission.passed.push(Passed { gate, requests_per_minute: requests, tokens_per_minute: tokens });
        }
        for limit in limits.into_iter().flatten().filter(|limit| limit.concurrency.is_some()) {
            let gate = self.gate(limit.id);
            gate.set_concurrency(limit.concurrency);
            let place = match gate.place(caller, &self.waiting) {
                Some(Entrance::Open(place)) => place,
                Some(Entrance::Queued(ticket)) => {
                    let turn = tokio::time::timeout(WAIT, ticket.turn()).await;
                    turn.ok().flatten().ok_or_else(|| no_place(limit))?
                }
                None => return Err(queue_full(limit)),
            };
            admission.places.push(place);
        }
        admission.entered = true;
        Ok(admission)
    }
}

/// A call that was let through. Dropped, its places go to those who wait; what it took of the rates stays taken.
#[must_use = "dropped, the call's place is given away"]
pub(crate) struct Admission {
    limits: Arc<Limits>,
    passed: Vec<Passed>,
    /// What is counted for the call now.
    tokens: u64,
    places: Vec<Place>,
    /// Whether the call was let through: else what it took of the rates is given back.
    entered: bool,
}

struct Passed {
    gate: Arc<Gate>,
    requests_per_minute: Option<u32>,
    tokens_per_minute: Option<u32>,
}

impl Admission {
    /// Replaces the estimate by what the call has used.
    pub(crate) fn used_tokens(&mut self, tokens: u64) {
        let now = self.limits.now();
        for passed in &self.passed {
            if let Some(per_minute) = passed.tokens_per_minute {
                passed.gate.correct(now, per_minute, self.tokens, tokens);
            }
        }
        self.tokens = tokens;
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        if !self.entered {
            let now = self.limits.now();
            for passed in &self.passed {
                passed.gate.give_back(now, passed.requests_per_minute, passed.tokens_per_minute, self.tokens);
            }
        }
    }
}

fn reached(message: String) -> Error {
    Error::new(Code::RateLimited, "model_limit_reached", message)
}

fn rate_reached(limit: &Limit, kind: Kind, refused: Refused, tokens: u64) -> Error {
    let (subject, id) = (&limit.subject, limit.id);
    let what = match kind {
        Kind::Requests => format!("{} calls a minute", limit.requests_per_minute.unwrap_or(0)),
        Kind::Tokens => format!("{} tokens a minute", limit.tokens_per_minute.unwrap_or(0)),
    };
    match refused {
        Refused::For(time) => {
            let milliseconds = u64::try_from(time.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX);
            reached(format!("the limit of {subject} ({id}) of {what} is reached"))
                .retry_after_ms(milliseconds)
                .remedy("wait as long as `retry-after` says, or raise the limit")
        }
        Refused::TooMuch => {
            let message = format!("this call may use {tokens} tokens, but the limit of {subject} ({id}) is {what}");
            reached(message).remedy("ask for a shorter answer (`max_tokens`), or raise the limit")
        }
    }
}

fn no_place(limit: &Limit) -> Error {
    let (subject, id, most) = (&limit.subject, limit.id, limit.concurrency.unwrap_or(0));
    let seconds = WAIT.as_secs();
    reached(format!("the limit of {subject} ({id}) of {most} calls at a time was reached for {seconds} s"))
        .retry_after_ms(PLACE_RETRY_MS)
        .remedy("send fewer calls at a time, or raise the limit")
}

fn queue_full(limit: &Limit) -> Error {
    let (subject, id, most) = (&limit.subject, limit.id, limit.concurrency.unwrap_or(0));
    let message = format!(
        "the limit of {subject} ({id}) of {most} calls at a time is reached, and {WAITING_MAX} calls wait already"
    );
    reached(message).retry_after_ms(PLACE_RETRY_MS).remedy("send fewer calls at a time, or raise the limit")
}
