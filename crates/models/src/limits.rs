//! Limits: how fast calls may come.
//!
//! A call asks before it starts ([`Models::admit`], [`Models::admit_provider`]). Each process counts for itself, in memory.
//! See `docs/budgets.md`.

mod admission;
mod gate;
mod rate;
#[cfg(test)]
mod tests;
mod types;

use plasma_kernel::{Ctx, Error, LimitId, Page, PageRequest, Permission, ProviderId, Result};
use plasma_store::NewEvent;
use serde_json::{Value, json};

pub(crate) use admission::{Admission, Limits};
pub use types::{Limit, LimitChange, LimitSubject, NewLimit};

use crate::{Models, events, store};

/// Limits of one tenant.
const LIMITS_MAX: usize = 1_000;
const REQUESTS_MAX: u32 = 1_000_000;
const TOKENS_MAX: u32 = 1_000_000_000;
const CONCURRENCY_MAX: u32 = 10_000;

impl Models {
    /// Lets a call through the limits of its caller, of the caller's team and of the tenant. Rates let it through or refuse it at once; for a place
    /// among the calls at a time it waits up to 30 s, callers by turns. Keep the admission while the call runs.
    ///
    /// # Errors
    /// `rate_limited` (`model_limit_reached`) naming the limit and, where waiting helps, when to come back.
    pub(crate) async fn admit(&self, ctx: &Ctx, estimated_tokens: u64) -> Result<Admission> {
        Box::pin(self.inner.limits.admit(ctx, &self.inner.store, estimated_tokens)).await
    }

    /// The same for the limit of a provider's credential.
    ///
    /// # Errors
    /// As [`Models::admit`].
    pub(crate) async fn admit_provider(
        &self,
        ctx: &Ctx,
        provider: ProviderId,
        estimated_tokens: u64,
    ) -> Result<Admission> {
        Box::pin(self.inner.limits.admit_provider(ctx, &self.inner.store, provider, estimated_tokens)).await
    }

    /// Sets a limit.
    ///
    /// # Errors
    /// `forbidden` without `models:write`, `invalid` naming the field, `not_found` for the provider, `conflict`
    /// (`limit_exists`), `too_large` beyond 1,000 limits.
    pub async fn create_limit(&self, ctx: &Ctx, new: NewLimit) -> Result<Limit> {
        ctx.require(Permission::ModelsWrite)?;
        let NewLimit { subject, requests_per_minute, tokens_per_minute, concurrency } = new;
        let (id, created_at) = (LimitId::new(ctx), ctx.now());
        let limit = Limit { id, subject, requests_per_minute, tokens_per_minute, concurrency, created_at };
        check(&limit)?;
        let mut tx = self.inner.store.begin(ctx).await?;
        if store::limits::count(&mut tx).await? >= LIMITS_MAX {
            return Err(Error::too_large("subject", format!("a workspace has at most {LIMITS_MAX} limits")));
        }
        if let LimitSubject::Provider { id } = &limit.subject {
            store::providers::get(&mut tx, *id).await.map_err(|error| error.field("subject.id"))?;
        }
        store::limits::insert(&mut tx, &limit).await.map_err(|error| match error.reason() {
            "already_exists" => Error::conflict("limit_exists", format!("{} has a limit already", limit.subject))
                .field("subject")
                .remedy("change that limit"),
            _ => error,
        })?;
        let event = NewEvent::new(events::LIMIT_CREATED, id, data(&limit));
        tx.emit(event.changed(Value::Null, data(&limit))).await?;
        tx.commit().await?;
        self.inner.limits.definitions.changed();
        Ok(limit)
    }

    /// A page of the tenant's limits, newest first.
    ///
    /// # Errors
    /// `forbidden` without `models:read`.
    pub async fn limits(&self, ctx: &Ctx, page: &PageRequest) -> Result<Page<Limit>> {
        ctx.require(Permission::ModelsRead)?;
        let mut tx = self.inner.store.read(ctx).await?;
        store::limits::list(&mut tx, page).await
    }

    /// Changes a limit. Calls of this process see it at once, those of others within 10 s.
    ///
    /// # Errors
    /// `forbidden` without `models:write`, `not_found` (`limit_not_found`), `invalid` naming the field.
    pub async fn change_limit(&self, ctx: &Ctx, id: LimitId, change: LimitChange) -> Result<Limit> {
        ctx.require(Permission::ModelsWrite)?;
        let mut tx = self.inner.store.begin(ctx).await?;
        let before = store::limits::get(&mut tx, id).await?;
        let data_before = data(&before);
        let limit = Limit {
            requests_per_minute: change.requests_per_minute.unwrap_or(before.requests_per_minute),
            tokens_per_minute: change.tokens_per_minute.unwrap_or(before.tokens_per_minute),
            concurrency: change.concurrency.unwrap_or(before.concurrency),
            ..before
        };
        check(&limit)?;
        store::limits::update(&mut tx, &limit, ctx.now()).await?;
        let event = NewEvent::new(events::LIMIT_CHANGED, id, data(&limit));
        tx.emit(event.changed(data_before, data(&limit))).await?;
        tx.commit().await?;
        self.inner.limits.definitions.changed();
        self.inner.limits.set_concurrency(id, limit.concurrency);
        Ok(limit)
    }

    /// Removes a limit. Those who wait for it come in.
    ///
    /// # Errors
    /// `forbidden` without `models:write`, `not_found` (`limit_not_found`).
    pub async fn delete_limit(&self, ctx: &Ctx, id: LimitId) -> Result<()> {
        ctx.require(Permission::ModelsWrite)?;
        let mut tx = self.inner.store.begin(ctx).await?;
        let limit = store::limits::get(&mut tx, id).await?;
        store::limits::delete(&mut tx, id).await?;
        let event = NewEvent::new(events::LIMIT_DELETED, id, json!({ "subject": limit.subject }));
        tx.emit(event.changed(data(&limit), Value::Null)).await?;
        tx.commit().await?;
        self.inner.limits.definitions.changed();
        self.inner.limits.set_concurrency(id, None);
        Ok(())
    }
}

fn data(limit: &Limit) -> serde_json::Value {
    json!({
        "subject": limit.subject,
        "requests_per_minute": limit.requests_per_minute,
        "tokens_per_minute": limit.tokens_per_minute,
        "concurrency": limit.concurrency,
    })
}

fn check(limit: &Limit) -> Result<()> {
    let numbers = [
        ("requests_per_minute", limit.requests_per_minute, REQUESTS_MAX),
        ("tokens_per_minute", limit.tokens_per_minute, TOKENS_MAX),
        ("concurrency", limit.concurrency, CONCURRENCY_MAX),
    ];
    for (field, number, max) in numbers {
        if number.is_some_and(|number| number == 0 || number > max) {
            return Err(Error::invalid(field, format!("must be 1 to {max}")));
        }
    }
    if numbers.iter().all(|(_, number, _)| number.is_none()) {
        return Err(Error::invalid(
            "requests_per_minute",
            "a limit needs at least one of `requests_per_minute`, `tokens_per_minute` and `concurrency`",
        ));
    }
    Ok(())
}
