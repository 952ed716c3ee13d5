//! A tenant's access policies: kept, versioned, and never such that nobody could change them any more.

use std::sync::Arc;

use plasma_kernel::{Ctx, Error, Page, PageRequest, Permission, Permissions, PolicyId, Result, Role, Subject};
use plasma_store::Tx;

use crate::{
    Identity, NewPolicy, Policy, PolicyChange, PolicyProblem, PolicyVersion,
    access::compile,
    events,
    policy::{ActorKey, Checked, Compiled, Moment, Question, TEXT_BYTES_MAX, Who, check, schema_text},
    store,
    users::require_all,
    validation,
};

/// Policies of one tenant at most.
const POLICIES_MAX: i64 = 100;
/// Statements in force: each costs a part of a microsecond in every request that it may concern.
const STATEMENTS_MAX: usize = 500;
/// Owners of whom one must be able to change policies.
const OWNERS_ASKED: i64 = 50;
/// Where policies are changed, as the guard asks for it.
const POLICIES_PATH: &str = "/api/v1/policies";

impl Identity {
    /// The tenant's policies, the newest first.
    ///
    /// # Errors
    /// `forbidden` without `policies:read`.
    pub async fn policies(&self, ctx: &Ctx, page: &PageRequest) -> Result<Page<Policy>> {
        ctx.require(Permission::PoliciesRead)?;
        let mut tx = self.inner.store.read(ctx).await?;
        store::policies::page(&mut tx, page).await
    }

    /// One policy.
    ///
    /// # Errors
    /// `forbidden` without `policies:read`, `not_found`.
    pub async fn policy(&self, ctx: &Ctx, id: PolicyId) -> Result<Policy> {
        ctx.require(Permission::PoliciesRead)?;
        let mut tx = self.inner.store.read(ctx).await?;
        store::policies::get(&mut tx, id).await
    }

    /// A policy as it was, the newest version first.
    ///
    /// # Errors
    /// `forbidden` without `policies:read`, `not_found`, `invalid` for a cursor that is no version.
    pub async fn policy_versions(&self, ctx: &Ctx, id: PolicyId, page: &PageRequest) -> Result<Page<PolicyVersion>> {
        ctx.require(Permission::PoliciesRead)?;
        let mut tx = self.inner.store.read(ctx).await?;
        store::policies::get(&mut tx, id).await?;
        let before = match &page.cursor {
            Some(cursor) => cursor.parse().map_err(|_| Error::invalid("cursor", "is not a cursor of this list"))?,
            None => i64::MAX,
        };
        let versions = store::policies::versions(&mut tx, id, before, page.fetch_limit()).await?;
        Ok(Page::from_rows(versions, page.limit, |version| version.version.to_string()))
    }

    /// The types, attributes and actions that policies may use, in Cedar's notation for schemas.
    ///
    /// # Errors
    /// `forbidden` without `policies:read`.
    pub fn policy_schema(&self, ctx: &Ctx) -> Result<&'static str> {
        ctx.require(Permission::PoliciesRead)?;
        Ok(schema_text())
    }

    /// Makes a policy. It holds at once.
    ///
    /// # Errors
    /// `forbidden` without `policies:write` or for a `permit` of more than the caller may do, `invalid` for wrong input, `conflict`
    /// (`policy_name_taken`, `too_many_policies`, `policy_locks_out`).
    pub async fn create_policy(&self, ctx: &Ctx, new: NewPolicy) -> Result<Policy> {
        ctx.require(Permission::PoliciesWrite)?;
        ctx.require_recent_authentication()?;
        let name = validation::name("name", &new.name)?;
        let description = validation::description("description", &new.description)?;
        let checked = right_text(&new.text).await?;
        require_permits(ctx, &checked, new.enabled)?;
        let policy = Policy {
            id: PolicyId::new(ctx),
            name,
            description,
            text: new.text,
            statements: checked.count(),
            enabled: new.enabled,
            version: 1,
            created_at: ctx.now(),
            updated_at: ctx.now(),
            updated_by: ctx.actor().clone(),
        };
        let mut tx = self.inner.store.begin(ctx).await?;
        store::tenants::lock(&mut tx).await?;
        if store::policies::count(&mut tx).await? >= POLICIES_MAX {
            return Err(Error::conflict(
                "too_many_policies",
                format!("a workspace has at most {POLICIES_MAX} policies"),
            )
            .remedy("put several statements into one policy, or delete policies that are not in force"));
        }
        store::policies::insert(&mut tx, &policy).await?;
        tx.emit(events::policy_created(&policy)).await?;
        self.put_in_force(ctx, tx).await?;
        Ok(policy)
    }

    /// Changes a policy. What is not in `change` stays; what it was is kept as a version.
    ///
    /// # Errors
    /// `forbidden` without `policies:write` or for a `permit` of more than the caller may do, `invalid` for wrong input,
    /// `not_found`, `conflict` (`policy_changed`, `policy_name_taken`, `policy_locks_out`).
    pub async fn update_policy(&self, ctx: &Ctx, id: PolicyId, change: PolicyChange) -> Result<Policy> {
        ctx.require(Permission::PoliciesWrite)?;
        let mut tx = self.inner.store.read(ctx).await?;
        let before = store::policies::get(&mut tx, id).await?;
        drop(tx);
        ctx.require_recent_authentication()?;
        if change.expected_version != before.version {
            return Err(policy_changed(before.version));
        }
        let text = change.text.unwrap_or_else(|| before.text.clone());
        let enabled = change.enabled.unwrap_or(before.enabled);
        // A text that is only switched off need not be right any more.
        let statements = if enabled || text != before.text {
            let checked = right_text(&text).await?;
            require_permits(ctx, &checked, enabled)?;
            checked.count()
        } else {
            before.statements
        };
        let policy = Policy {
            name: match change.name {
                Some(name) => validation::name("name", &name)?,
                None => before.name.clone(),
            },
            description: match change.description {
                Some(description) => validation::description("description", &description)?,
                None => before.description.clone(),
            },
            text,
            statements,
            enabled,
            version: before.version + 1,
            updated_at: ctx.now(),
            updated_by: ctx.actor().clone(),
            ..before.clone()
        };
        let changed = changed_fields(&before, &policy);
        if changed.is_empty() {
            return Ok(before);
        }
        // The text was looked at before the lock was taken, which others wait for.
        let mut tx = self.inner.store.begin(ctx).await?;
        store::tenants::lock(&mut tx).await?;
        if !store::policies::update(&mut tx, &policy).await? {
            let now = store::policies::get(&mut tx, id).await?;
            return Err(policy_changed(now.version));
        }
        let event = events::policy_updated(&policy, &changed);
        tx.emit(event.changed(events::state_of_policy(&before), events::state_of_policy(&policy))).await?;
        self.put_in_force(ctx, tx).await?;
        Ok(policy)
    }

    /// Deletes a policy with all its versions. What it said stays in the event log.
    ///
    /// # Errors
    /// `forbidden` without `policies:write`, `not_found`, `conflict` (`policy_locks_out`) when it is what lets the caller change
    /// policies.
    pub async fn delete_policy(&self, ctx: &Ctx, id: PolicyId) -> Result<()> {
        ctx.require(Permission::PoliciesWrite)?;
        let mut tx = self.inner.store.begin(ctx).await?;
        store::tenants::lock(&mut tx).await?;
        let policy = store::policies::get(&mut tx, id).await?;
        ctx.require_recent_authentication()?;
        store::policies::delete(&mut tx, id).await?;
        tx.emit(events::policy_deleted(&policy)).await?;
        self.put_in_force(ctx, tx).await
    }

    /// Commits a change of policies, unless it would shut everybody out who could take it back.
    async fn put_in_force(&self, ctx: &Ctx, mut tx: Tx) -> Result<()> {
        let set = compile(store::policies::enabled(&mut tx).await?).await?;
        if set.count() > STATEMENTS_MAX {
            let what = format!(
                "a workspace has at most {STATEMENTS_MAX} statements in force, with this there were {}",
                set.count()
            );
            return Err(
                Error::conflict("too_many_statements", what).remedy("switch policies off that are no longer needed")
            );
        }
        if let Some(refusal) = self.lock_out(ctx, &mut tx, &set).await? {
            return Err(Error::conflict("policy_locks_out", refusal)
                .remedy("except owners from the statement, as in unless { principal in Role::\"owner\" }"));
        }
        store::policies::renew_set(&mut tx).await?;
        tx.commit().await?;
        self.inner.credentials.forget_tenant(ctx.tenant()?);
        Ok(())
    }

    /// Who could not change policies any more if this set were in force, in words: the person who acts, or every owner. Asked is
    /// how it would be now, from where the caller is.
    pub(crate) async fn lock_out(&self, ctx: &Ctx, tx: &mut Tx, set: &Compiled) -> Result<Option<String>> {
        let moment = Moment::new(ctx.origin().and_then(|origin| origin.address), ctx.now(), "POST");
        let may_write = |who: &Who| -> Result<bool> {
            let question = Question { who, id: None, within: &[], path: POLICIES_PATH, moment };
            let mut scene = self.inner.access.facts.scene(&question)?;
            let granted = who.subject.granted;
            Ok(set.decide(Permission::PoliciesWrite, granted, who.may_get_more(), &mut scene)?.is_allowed())
        };
        // A key may be shut out by the person who has it.
        if let Some(caller) = Who::of(ctx).filter(|who| matches!(who.actor, ActorKey::User(_)))
            && !may_write(&caller)?
        {
            return Ok(Some("with it you could not change policies any more yourself".to_owned()));
        }
        for owner in store::users::enabled_owners(tx, OWNERS_ASKED).await? {
            let tenant = tx.tenant()?;
            let domain = owner.email.rsplit_once('@').map_or("", |(_, domain)| domain).to_owned();
            let who = Who {
                actor: ActorKey::User(owner.id),
                person: Some(owner.id),
                teams: store::teams::of_person(tx, tenant, owner.id).await?,
                subject: Arc::new(Subject {
                    role: Role::Owner.to_string(),
                    email_domain: domain,
                    granted: owner.permissions(),
                }),
                // Whoever must prove themselves twice can do so.
                multi_factor: true,
            };
            if may_write(&who)? {
                return Ok(None);
            }
        }
        Ok(Some("with it no owner could change policies any more".to_owned()))
    }
}

/// Looks at a text beside the threads that serve requests.
pub(crate) async fn checked_text(text: &str) -> Result<Checked> {
    let text = text.to_owned();
    let checked = tokio::task::spawn_blocking(move || check(&text)).await;
    checked.map_err(|error| Error::from_source("a policy could not be checked", error))?
}

/// A text that can be kept.
async fn right_text(text: &str) -> Result<Checked> {
    if text.len() > TEXT_BYTES_MAX {
        return Err(Error::too_large("text", format!("a policy has at most {TEXT_BYTES_MAX} bytes")));
    }
    let checked = checked_text(text).await?;
    match checked.error() {
        Some(problem) => Err(wrong_text(problem)),
        None => Ok(checked),
    }
}

fn wrong_text(problem: &PolicyProblem) -> Error {
    let PolicyProblem { message, help, start, .. } = problem;
    let error = Error::invalid("text", format!("line {}, column {}: {message}", start.line, start.column));
    let help = help.as_deref().unwrap_or("GET /api/v1/policies/schema tells what policies may speak of");
    error.remedy(help)
}

/// Nobody permits more than they may do themselves.
pub(crate) fn require_permits(ctx: &Ctx, checked: &Checked, enabled: bool) -> Result<()> {
    let permits = if enabled { checked.permits() } else { Permissions::none() };
    require_all(ctx, permits, "write a policy")
}

fn policy_changed(version: u64) -> Error {
    Error::conflict("policy_changed", format!("the policy was changed in the meantime: it is at version {version}"))
        .remedy("look at it again, then send `expected_version` with the version that you saw")
}

fn changed_fields(before: &Policy, after: &Policy) -> Vec<&'static str> {
    [
        ("name", before.name != after.name),
        ("description", before.description != after.description),
        ("text", before.text != after.text),
        ("enabled", before.enabled != after.enabled),
    ]
    .into_iter()
    .filter_map(|(field, changed)| changed.then_some(field))
    .collect()
}
