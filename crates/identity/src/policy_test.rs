//! Trying a policy out before it is kept: what is wrong with it, and which requests of the last time it would answer otherwise.

use std::{collections::HashMap, sync::Arc};

use plasma_kernel::{Actor, ApiKeyId, Ctx, Error, Permission, PolicyId, Result, UserId};
use plasma_store::Tx;

use crate::{
    Identity, PolicyDraft, PolicyTest, TestedRequest,
    access::compile,
    policies::{checked_text, require_permits},
    policy::{ActorKey, Compiled, Decision, Facts, Seen, Source},
    store,
};

/// Requests whose answer would change that are shown.
const CHANGES_MAX: usize = 200;
/// What the policy is called in the answer while it has no name.
const DRAFT_NAME: &str = "this policy";

impl Identity {
    /// What a policy would change. Requests are those that this process has decided since it started, some thousand at most.
    ///
    /// # Errors
    /// `forbidden` without `policies:write`, `not_found` for the policy whose place it takes.
    pub async fn test_policy(&self, ctx: &Ctx, draft: PolicyDraft) -> Result<PolicyTest> {
        ctx.require(Permission::PoliciesWrite)?;
        let mut tx = self.inner.store.read(ctx).await?;
        let before = store::policies::enabled(&mut tx).await?;
        let name = match draft.id {
            Some(id) => store::policies::get(&mut tx, id).await?.name,
            None => DRAFT_NAME.to_owned(),
        };
        let checked = checked_text(&draft.text).await?;
        if checked.error().is_some() {
            return Ok(PolicyTest { problems: checked.problems, ..nothing_tested() });
        }
        let beyond = require_permits(ctx, &checked, draft.enabled).err();
        let mut after: Vec<Source> = before.iter().filter(|source| Some(source.id) != draft.id).cloned().collect();
        if draft.enabled {
            let id = draft.id.unwrap_or_else(|| PolicyId::new(ctx));
            after.push(Source { id, name, text: draft.text });
        }
        let (before, after) = (compile(before).await?, compile(after).await?);
        let refusal = match beyond {
            Some(error) => Some(error.message().to_owned()),
            None => self.lock_out(ctx, &mut tx, &after).await?,
        };
        let (seen, changed) = self.replayed(ctx, before, Arc::clone(&after)).await?;
        let since = seen.iter().map(|seen| seen.last_at).min();
        let newly_allowed = changed.iter().filter(|(_, decision)| decision.is_allowed()).count();
        Ok(PolicyTest {
            problems: checked.problems,
            refusal,
            examined: seen.len() as u64,
            since,
            newly_refused: (changed.len() - newly_allowed) as u64,
            newly_allowed: newly_allowed as u64,
            changes: told(&mut tx, &seen, changed, &after).await?,
        })
    }

    /// The requests of the last time, and the numbers of those that are decided otherwise with the new decision.
    async fn replayed(
        &self,
        ctx: &Ctx,
        before: Arc<Compiled>,
        after: Arc<Compiled>,
    ) -> Result<(Vec<Seen>, Vec<(usize, Decision)>)> {
        let (identity, tenant) = (self.clone(), ctx.tenant()?);
        let replay = move || {
            let seen = identity.inner.access.recent.of(tenant);
            let facts = &identity.inner.access.facts;
            let mut changed = Vec::new();
            for (number, request) in seen.iter().enumerate() {
                let (old, new) = (decided(facts, &before, request)?, decided(facts, &after, request)?);
                if old.is_allowed() != new.is_allowed() {
                    changed.push((number, new));
                }
            }
            Result::Ok((seen, changed))
        };
        // Some thousand decisions, beside the threads that serve requests.
        tokio::task::spawn_blocking(replay)
            .await
            .map_err(|error| Error::from_source("requests could not be decided anew", error))?
    }
}

fn nothing_tested() -> PolicyTest {
    PolicyTest {
        problems: Vec::new(),
        refusal: None,
        examined: 0,
        since: None,
        newly_refused: 0,
        newly_allowed: 0,
        changes: Vec::new(),
    }
}

fn decided(facts: &Facts, set: &Compiled, request: &Seen) -> Result<Decision> {
    let question = request.question();
    let mut scene = facts.scene(&question)?;
    let granted = request.who.subject.granted;
    set.decide(request.action, granted, request.who.may_get_more(), &mut scene)
}

/// The requests in the form that people read, with names.
async fn told(
    tx: &mut Tx,
    seen: &[Seen],
    changed: Vec<(usize, Decision)>,
    after: &Compiled,
) -> Result<Vec<TestedRequest>> {
    let shown: Vec<(&Seen, Decision)> = changed
        .into_iter()
        .take(CHANGES_MAX)
        .filter_map(|(number, decision)| Some((seen.get(number)?, decision)))
        .collect();
    let (mut users, mut keys): (Vec<UserId>, Vec<ApiKeyId>) = (Vec::new(), Vec::new());
    for (request, _) in &shown {
        match request.who.actor {
            ActorKey::User(id) => users.push(id),
            ActorKey::ApiKey(id) => keys.push(id),
            ActorKey::Application(..) => {}
        }
    }
    let users = store::users::names(tx, &users).await?;
    let keys = store::api_keys::names(tx, &keys).await?;
    let tested = shown.into_iter().map(|(request, decision)| {
        let principal = request.who.actor.actor();
        TestedRequest {
            name: name_of(&principal, &users, &keys),
            principal,
            action: request.action,
            id: request.id.clone(),
            path: request.path.clone(),
            method: request.method,
            address: request.address,
            count: request.count,
            last_at: request.last_at,
            allowed: decision.is_allowed(),
            policies: after.matches(decision.statements()),
        }
    });
    Ok(tested.collect())
}

fn name_of(actor: &Actor, users: &HashMap<UserId, String>, keys: &HashMap<ApiKeyId, String>) -> Option<String> {
    match actor {
        Actor::User { id } => users.get(id).cloned(),
        Actor::ApiKey { id } => keys.get(id).cloned(),
        Actor::Application { .. } | Actor::System { .. } => None,
    }
}
