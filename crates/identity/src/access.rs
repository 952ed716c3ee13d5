//! Decisions: whether a caller may do what a request asks for.
//!
//! The number of the tenant's set of policies comes with the caller's credential, so a change holds as soon as credentials are
//! read anew: at once in this process, within 5 seconds in others. A set is compiled once for each number; where there is none,
//! the role decides and nothing more is looked at.

use std::{sync::Arc, time::Duration};

use moka::future::Cache;
use plasma_kernel::{Code, Ctx, Error, Permission, Permissions, Result, TenantId};

use crate::{
    AccessRequest, Identity,
    authentication::shared_error,
    policy::{Compiled, Decision, Facts, Moment, Question, Recent, Source, Who},
    store,
};

/// Compiled sets in memory; one of ten statements takes about 50 KB.
const SETS_MAX: u64 = 1_000;
/// A set that nobody asked in this time is forgotten: the newer ones have other numbers.
const SETS_IDLE: Duration = Duration::from_secs(600);

/// What decisions need, in memory.
pub(crate) struct Access {
    sets: Cache<(TenantId, u64), Arc<Compiled>>,
    pub(crate) facts: Facts,
    pub(crate) recent: Recent,
}

impl Access {
    pub(crate) fn new() -> Self {
        let sets = Cache::builder().max_capacity(SETS_MAX).time_to_idle(SETS_IDLE).build();
        Self { sets, facts: Facts::new(), recent: Recent::new() }
    }
}

impl Identity {
    /// Refuses what the caller may not do, and returns the context with what they may do in this request: policies take from the
    /// permissions of a role and add to them, also for what a verb asks for beside the operation's own permission.
    ///
    /// # Errors
    /// `forbidden` without the permission, `forbidden` (`forbidden_by_policy`) when a policy forbids it, `unavailable` when policies
    /// have to be read and the database does not answer.
    pub async fn authorize(&self, ctx: Ctx, request: &AccessRequest<'_>) -> Result<Ctx> {
        let Some(who) = Who::of(&ctx) else {
            // The system, which no policy binds.
            request.action.map_or(Ok(()), |action| ctx.require(action))?;
            return Ok(ctx);
        };
        let address = ctx.origin().and_then(|origin| origin.address);
        let AccessRequest { action, id, within, path, method } = *request;
        let question = Question { who: &who, id, within, path, moment: Moment::new(address, ctx.now(), method) };
        if let Some(action) = action {
            self.inner.access.recent.note(ctx.tenant()?, action, &question, ctx.now());
        }
        if ctx.policies() == 0 {
            action.map_or(Ok(()), |action| ctx.require(action))?;
            return Ok(ctx);
        }
        // Boxed: the reading of policies must not weigh on the requests that need none.
        let set = Box::pin(self.policy_set(ctx.tenant()?, ctx.policies())).await?;
        let mut scene = self.inner.access.facts.scene(&question)?;
        let granted = *ctx.permissions();
        let allowed = set.allowed(granted, who.may_get_more(), &mut scene)?;
        if let Some(action) = action.filter(|action| !allowed.contains(*action)) {
            if let Decision::Forbidden(statements) = set.decide(action, granted, who.may_get_more(), &mut scene)? {
                return Err(forbidden_by_policy(action, set.name_of(&statements)));
            }
            return Err(ctx.with_permissions(Permissions::none()).require(action).err().unwrap_or_else(undecided));
        }
        Ok(ctx.with_permissions(allowed))
    }

    /// Refuses what the caller may not do.
    ///
    /// # Errors
    /// As [`Identity::authorize`].
    pub async fn decide(&self, ctx: &Ctx, request: &AccessRequest<'_>) -> Result<()> {
        self.authorize(ctx.clone(), request).await.map(drop)
    }

    /// The tenant's policies of this revision or a newer one.
    pub(crate) async fn policy_set(&self, tenant: TenantId, revision: u64) -> Result<Arc<Compiled>> {
        let sets = &self.inner.access.sets;
        if let Some(set) = sets.get(&(tenant, revision)).await {
            return Ok(set);
        }
        let load = Box::pin(self.load_policies(tenant));
        sets.try_get_with((tenant, revision), load).await.map_err(|error| shared_error(&error))
    }

    async fn load_policies(&self, tenant: TenantId) -> Result<Arc<Compiled>> {
        let reason = "decide by access policies";
        let ctx = self.system(reason).for_tenant(tenant, reason);
        let mut tx = self.inner.store.read(&ctx).await?;
        let sources = store::policies::enabled(&mut tx).await?;
        drop(tx);
        compile(sources).await
    }
}

/// Makes policies ready to decide, beside the threads that serve requests.
pub(crate) async fn compile(sources: Vec<Source>) -> Result<Arc<Compiled>> {
    let compiled = tokio::task::spawn_blocking(move || Compiled::of(sources)).await;
    compiled.map_err(|error| Error::from_source("policies could not be compiled", error))?.map(Arc::new)
}

fn forbidden_by_policy(action: Permission, policy: &str) -> Error {
    Error::new(
        Code::Forbidden,
        "forbidden_by_policy",
        format!("the policy `{policy}` of your workspace forbids `{action}` here"),
    )
    .remedy("POST /api/v1/access/explain tells why; ask an owner of your workspace if it should be otherwise")
}

fn undecided() -> Error {
    Error::internal("a request was neither allowed nor refused")
}
