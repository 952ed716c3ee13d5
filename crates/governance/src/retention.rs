//! For how long records are kept. Their hashes stay for ever, and the log itself says what was removed and under which
//! checkpoint it was.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use plasma_kernel::{
    Ctx, Error,
    Permission::{AuditWrite, InstallationManage},
    Result, TenantId,
};
use plasma_store::NewEvent;
use plasma_workflows::{Queue, Run, Step, Workflows};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{Governance, Inner, Log, LogState, append::BLOCK_RECORDS, proofs, record::RECORDS_EXPIRED, store};

/// No workspace may forget sooner.
pub const RETENTION_DAYS_MIN: u32 = 365;
/// A hundred years.
const RETENTION_DAYS_MAX: u32 = 36_500;
const DAY_MICROS: i64 = 24 * 3_600 * 1_000_000;
/// How often logs are looked through.
const INTERVAL: Duration = Duration::from_secs(6 * 3_600);
/// Records that one transaction removes: whole blocks.
const BATCH_RECORDS: u64 = 100 * BLOCK_RECORDS;

/// Removes records that are older than their workspace wants.
#[derive(Serialize, Deserialize)]
pub(crate) struct ExpireRecords {}

impl Step for ExpireRecords {
    type Domain = Governance;
    const KIND: &'static str = "governance.expire_records";
    const QUEUE: Queue = Queue { name: "maintenance", concurrency: 1 };

    async fn run(self, governance: Governance, _run: Run) -> Result<()> {
        governance.expire_records().await.map(drop)
    }
}

pub(crate) fn register(governance: &Governance, workflows: &Workflows) {
    workflows.register::<ExpireRecords>(governance.clone());
    workflows.every("governance.expire_records", INTERVAL, || ExpireRecords {});
}

impl Governance {
    /// Says for how many days a log keeps its records; `None` means for ever.
    ///
    /// # Errors
    /// `forbidden` without `audit:write`, for the installation's log also without `installation:manage`, and for a person who
    /// has not proved lately who they are; `invalid` for less than a year.
    pub async fn set_retention(&self, ctx: &Ctx, log: Log, days: Option<u32>) -> Result<LogState> {
        let bound = log.bind(ctx, AuditWrite, InstallationManage)?;
        ctx.require_recent_authentication()?;
        if days.is_some_and(|days| !(RETENTION_DAYS_MIN..=RETENTION_DAYS_MAX).contains(&days)) {
            let message = format!("must be {RETENTION_DAYS_MIN} to {RETENTION_DAYS_MAX} days, or null for ever");
            return Err(Error::invalid("days", message));
        }
        let tenant = bound.tenant()?;
        let mut tx = self.inner.store.begin(&bound).await?;
        let before = store::logs::hold(&mut tx, tenant).await?.retention_days;
        if before != days {
            store::logs::set_retention(&mut tx, tenant, days).await?;
            let event = NewEvent::new("audit.retention.changed", tenant, json!({ "days": days }));
            tx.emit(event.changed(json!({ "days": before }), json!({ "days": days }))).await?;
            tx.commit().await?;
        }
        self.log_state(ctx, log).await
    }

    /// Removes what is too old in every log, and returns how many records that were. The background does it by itself.
    ///
    /// # Errors
    /// `unavailable` or `internal` from the database.
    pub async fn expire_records(&self) -> Result<u64> {
        let mut tx = self.inner.store.read(&self.inner.ctx).await?;
        let logs = store::logs::that_expire(&mut tx).await?;
        drop(tx);
        let mut removed = 0;
        for log in logs {
            while let Some(records) = Box::pin(self.inner.expire_some(log)).await? {
                removed += records;
            }
        }
        Ok(removed)
    }
}

impl Inner {
    /// Removes a batch of old records in one transaction with the record that tells of it; `None` when there are none.
    async fn expire_some(&self, log: TenantId) -> Result<Option<u64>> {
        let ctx = self.ctx.for_tenant(log, "remove old records of the audit log");
        let mut tx = self.store.begin(&ctx).await?;
        let row = store::logs::hold(&mut tx, log).await?;
        let Some(days) = row.retention_days else { return Ok(None) };
        let oldest = ctx.now() - i64::from(days) * DAY_MICROS;
        let until = store::records::first_since(&mut tx, log, row.retained_from, oldest).await?.unwrap_or(row.size);
        // Only what a checkpoint covers, and whole blocks.
        let until = until.min(row.checkpoint_size).min(row.retained_from + BATCH_RECORDS);
        let until = until - until % BLOCK_RECORDS;
        if until <= row.retained_from {
            return Ok(None);
        }
        let Some(checkpoint) = store::checkpoints::newest(&mut tx, log).await? else { return Ok(None) };
        let root = proofs::range_root(&mut tx, log, &(0..until)).await?;
        let data = json!({
            "from": row.retained_from,
            "until": until,
            "older_than_days": days,
            "root": STANDARD.encode(root),
            "checkpoint": { "size": checkpoint.size, "root": checkpoint.root },
        });
        let id = tx.emit(NewEvent::new(RECORDS_EXPIRED, log, data)).await?;
        let event = tx.event(id).await?;
        Box::pin(self.append_to(&mut tx, log, &row, &[event])).await?;
        if !Box::pin(self.cover_all(&mut tx, log)).await? {
            return Ok(None);
        }
        let removed = store::records::delete_before(&mut tx, log, until).await?;
        store::blocks::delete_before(&mut tx, log, until / BLOCK_RECORDS).await?;
        store::logs::set_retained_from(&mut tx, log, until).await?;
        tx.commit().await?;
        Ok(Some(removed))
    }
}
