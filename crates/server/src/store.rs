//! The only statements of the server: counts for operators and for the overview.

use plasma_kernel::{CallId, Clock, Ctx, Permission, Random, Result};
use plasma_store::Store;

/// How many jobs of all tenants are in each state.
pub(crate) async fn jobs_by_state(store: &Store) -> Result<Vec<(String, u64)>> {
    let ctx = Ctx::system("metrics", Clock::system(), Random::system());
    let rows = store.read(&ctx).await?.fetch_all("SELECT state, COUNT(*) AS jobs FROM jobs GROUP BY state", []).await?;
    rows.iter().map(|row| Ok((row.get("state")?, row.get("jobs")?))).collect()
}

/// How many model calls the tenant made in the last 24 hours.
pub(crate) async fn calls_last_day(store: &Store, ctx: &Ctx) -> Result<u64> {
    ctx.require(Permission::ModelsRead)?;
    // Ids begin with their time in milliseconds, and the primary key is sorted by them.
    let a_day_ago_ms = (ctx.now() / 1_000 - 86_400_000).max(0);
    let first = CallId::from_bits(u128::from(a_day_ago_ms.unsigned_abs()) << 80);
    let row = store
        .read(ctx)
        .await?
        .fetch_one(
            "SELECT COUNT(*) AS calls FROM model_calls WHERE tenant_id = $1 AND id >= $2",
            [ctx.tenant()?.into(), first.into()],
        )
        .await?;
    row.get("calls")
}
