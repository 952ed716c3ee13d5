//! The end of a tenant: when its grace period is over, everything that it has is erased.
//!
//! Which tables hold something of it is read from the schema, so that none is forgotten. Each transaction is bound to the tenant
//! and names it in every statement; on Postgres row-level security holds the rest back as well. Everything here may run twice.

use futures::{TryStreamExt as _, future::BoxFuture};
use plasma_kernel::{Code, Ctx, Error, Result, TenantId};
use plasma_store::{BlobInfo, TenantTable, Tx};
use plasma_workflows::{Run, enqueue};

use crate::{Identity, TenantState, events, steps::EraseTenant, store};

/// Rows deleted in one transaction: other writers wait no longer than for these.
const ROWS_MAX: u32 = 1_000;
/// People taken out in one transaction.
const PEOPLE_MAX: u32 = 100;
/// Tables that refer to each other are gone through again; so often at most.
const ROUNDS_MAX: usize = 8;
/// Things that have ended, taken at once.
const ENDED_MAX: u32 = 100;
/// An erasure that failed is tried again after this time.
const AGAIN_MICROS: i64 = 3_600 * 1_000_000;
/// What ended is shown for so long.
const SHOWN_MICROS: i64 = 90 * 24 * 3_600 * 1_000_000;

/// Whatever another part of the program keeps of a tenant outside of its rows and files, such as indexes.
pub trait ForgetTenant: Send + Sync {
    /// Forgets all of it, or makes sure that every process will. Before the rows are deleted; may be called again.
    ///
    /// # Errors
    /// What it fails with; the erasure is then tried again.
    fn forget_tenant(&self, tenant: TenantId) -> BoxFuture<'_, Result<()>>;
}

/// Begins the erasures that are due and removes archives and invitations whose time is over.
pub(crate) async fn upkeep(identity: &Identity, run: &Run) -> Result<()> {
    let ctx = run.ctx();
    begin_due(identity, ctx).await?;
    remove_ended_exports(identity, ctx).await?;
    let before = ctx.now().saturating_sub(SHOWN_MICROS);
    let mut tx = identity.inner.store.begin(ctx).await?;
    store::exports::delete_old(&mut tx, before).await?;
    store::invitations::delete_old(&mut tx, before).await?;
    run.complete(&mut tx).await?;
    tx.commit().await?;
    Ok(())
}

/// From now on there is no way back, and nobody gets in.
async fn begin_due(identity: &Identity, ctx: &Ctx) -> Result<()> {
    let mut tx = identity.inner.store.begin(ctx).await?;
    let due = store::tenants::due_for_erasure(&mut tx, ctx.now(), ENDED_MAX).await?;
    let mut begun = Vec::new();
    for id in due {
        let (mut tenant, _) = store::tenants::locked(&mut tx, id).await?;
        // The owner may have taken it back at the last moment.
        let is_due = tenant.delete_at.is_some_and(|delete_at| delete_at <= ctx.now())
            && matches!(tenant.state, TenantState::Deleting | TenantState::Erasing);
        if !is_due {
            continue;
        }
        (tenant.state, tenant.delete_at) = (TenantState::Erasing, None);
        store::tenants::set_state(&mut tx, &tenant, None).await?;
        enqueue(&mut tx, &EraseTenant { tenant: id }, &id.to_string(), None).await?;
        begun.push(id);
    }
    tx.commit().await?;
    for id in begun {
        tracing::info!(tenant = %id, "a workspace is being erased: its grace period is over");
        identity.inner.credentials.forget_tenant(id);
    }
    Ok(())
}

async fn remove_ended_exports(identity: &Identity, ctx: &Ctx) -> Result<()> {
    let store = &identity.inner.store;
    let ended = store::exports::ended(&mut store.read(ctx).await?, ctx.now(), ENDED_MAX).await?;
    for (tenant, export, blob) in ended {
        let ctx = ctx.for_tenant(tenant, "remove a copy whose week is over");
        store.blobs().delete(&ctx, &blob).await?;
        let mut tx = store.begin(&ctx).await?;
        store::exports::set_expired(&mut tx, export).await?;
        tx.emit(events::export_deleted(export)).await?;
        tx.commit().await?;
    }
    Ok(())
}

/// Lets the next upkeep after an hour begin again.
pub(crate) async fn try_again_later(tx: &mut Tx, id: TenantId) -> Result<()> {
    let (mut tenant, _) = match store::tenants::locked(tx, id).await {
        Err(error) if error.code() == Code::NotFound => return Ok(()),
        found => found?,
    };
    tenant.delete_at = Some(tx.ctx().now().saturating_add(AGAIN_MICROS));
    store::tenants::set_state(tx, &tenant, None).await
}

/// Erases a tenant in whose name nobody can act any more.
pub(crate) async fn run(identity: &Identity, id: TenantId, run: &Run) -> Result<()> {
    let (store, system) = (&identity.inner.store, run.ctx());
    match store::tenants::state(&mut store.read(system).await?, id).await? {
        Some(TenantState::Erasing) => {}
        // Erased by an attempt before this one.
        None => return Ok(()),
        Some(state) => return Err(Error::internal(format!("the workspace {id} is {state} and not to be erased"))),
    }
    let ctx = system.for_tenant(id, "erase a workspace");
    for other in identity.forgetters() {
        other.forget_tenant(id).await?;
    }
    shred_keys(identity, &ctx).await?;
    let people = take_people_out(identity, system, id).await?;
    let rows = people + erase_rows(identity, &ctx, run).await?;
    let files = erase_files(identity, &ctx, run).await?;
    let mut tx = store.begin(system).await?;
    store::tenants::delete(&mut tx, id).await?;
    tx.emit(events::tenant_erased(id, rows, files)).await?;
    run.complete(&mut tx).await?;
    tx.commit().await?;
    identity.inner.credentials.forget_tenant(id);
    tracing::info!(tenant = %id, rows, files, "erased a workspace");
    Ok(())
}

/// From here on nothing that was sealed for the tenant opens again, wherever a copy of it is.
async fn shred_keys(identity: &Identity, ctx: &Ctx) -> Result<()> {
    let mut tx = identity.inner.store.begin(ctx).await?;
    identity.inner.store.shred_tenant(&mut tx).await?;
    tx.commit().await?;
    Ok(())
}

/// Ends the memberships. Whoever was in no other tenant is erased as a person too.
async fn take_people_out(identity: &Identity, system: &Ctx, id: TenantId) -> Result<u64> {
    let mut taken = 0;
    loop {
        let mut tx = identity.inner.store.begin(system).await?;
        let people = store::memberships::some_of_tenant(&mut tx, id, PEOPLE_MAX).await?;
        if people.is_empty() {
            return Ok(taken);
        }
        for (user, email) in people {
            store::memberships::erase(&mut tx, id, user).await?;
            store::users::delete_without_membership(&mut tx, &email).await?;
            taken += 1;
        }
        tx.commit().await?;
    }
}

/// Deletes the tenant's rows of every table.
async fn erase_rows(identity: &Identity, ctx: &Ctx, run: &Run) -> Result<u64> {
    let store = &identity.inner.store;
    let mut tables = store.read(ctx).await?.tenant_tables().await?;
    let mut rows = 0;
    for _ in 0..ROUNDS_MAX {
        for table in &tables {
            rows += erase_table(identity, ctx, table, run).await?;
        }
        // Whether something was written meanwhile by whoever did not know yet that nothing may be.
        let mut tx = store.read(ctx).await?;
        let mut remaining = Vec::new();
        for table in tx.tenant_tables().await? {
            if tx.count_tenant_rows(&table).await? > 0 {
                remaining.push(table);
            }
        }
        if remaining.is_empty() {
            return Ok(rows);
        }
        tables = remaining;
    }
    let names: Vec<&str> = tables.iter().map(TenantTable::name).collect();
    Err(Error::unavailable("tenant_not_empty", format!("rows of an erased workspace are left in {}", names.join(", "))))
}

/// How many rows were deleted. Those to which other tables still refer stay for the next round.
async fn erase_table(identity: &Identity, ctx: &Ctx, table: &TenantTable, run: &Run) -> Result<u64> {
    let mut rows = 0;
    loop {
        if run.cancellation().is_cancelled() {
            return Err(Run::interrupted());
        }
        let mut tx = identity.inner.store.begin(ctx).await?;
        match tx.delete_tenant_rows(table, ROWS_MAX).await {
            Ok(0) => return Ok(rows),
            Ok(deleted) => {
                tx.commit().await?;
                rows += deleted;
            }
            Err(error) if error.reason() == "still_referenced" => return Ok(rows),
            Err(error) => return Err(error),
        }
    }
}

async fn erase_files(identity: &Identity, ctx: &Ctx, run: &Run) -> Result<u64> {
    let blobs = identity.inner.store.blobs();
    // All names first: a list that is walked while its files go away may miss some.
    let listed: Vec<BlobInfo> = blobs.list(ctx)?.try_collect().await?;
    for file in &listed {
        if run.cancellation().is_cancelled() {
            return Err(Run::interrupted());
        }
        blobs.delete(ctx, &file.name).await?;
    }
    Ok(listed.len() as u64)
}
