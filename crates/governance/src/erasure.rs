//! Takes what the log says of a person out of it. The hashes of the leaves stay, so the log can still be verified, and the
//! log says itself which records were erased.

use std::collections::BTreeSet;

use plasma_kernel::{Ctx, Error, EventId, Permission, Result, TenantId, UserId};
use plasma_store::{NewEvent, Tx, id_array};
use serde_json::json;

use crate::{
    AuditRecord, Governance, Inner, RecordFilter,
    append::{BLOCK_RECORDS, add_to},
    record::{self, RECORDS_ERASED, Record},
    search::{self, Query},
    store::{self, blocks::Block},
};

/// Records of one transaction.
const BATCH_RECORDS: usize = 500;

impl Governance {
    /// Takes the details and origins out of every record of the workspace that names a person: as the one who acted, to whom it
    /// happened, or otherwise. What happened to which id when stays. Returns how many records that were.
    ///
    /// # Errors
    /// `forbidden` without `audit:write`, for the caller's own person, and for a person who has not proved lately who they
    /// are; `conflict` (`audit_log_changed`) when the log was tampered with.
    pub async fn erase_person(&self, ctx: &Ctx, person: UserId) -> Result<u64> {
        ctx.require(Permission::AuditWrite)?;
        ctx.require_recent_authentication()?;
        if ctx.person() == Some(person) {
            return Err(Error::forbidden("nobody takes the traces of their own work out of the audit log")
                .remedy("ask another owner of your workspace to do it"));
        }
        let mut erased = 0;
        let mut below = u64::MAX;
        loop {
            let (count, next) = Box::pin(self.inner.erase_some(ctx, person, below)).await?;
            erased += count;
            match next {
                Some(next) => below = next,
                None => return Ok(erased),
            }
        }
    }
}

impl Inner {
    /// Erases a batch in one transaction with the record that tells of it. Returns how many records that were, and below which
    /// leaf to go on.
    async fn erase_some(&self, ctx: &Ctx, person: UserId, below: u64) -> Result<(u64, Option<u64>)> {
        let log = ctx.tenant()?;
        let query = Query::new(RecordFilter { text: Some(person.to_string()), ..RecordFilter::default() })?.unerased();
        let mut tx = self.store.begin(ctx).await?;
        let row = store::logs::hold(&mut tx, log).await?;
        let found = search::look(&mut tx, log, &query, below, BATCH_RECORDS).await?;
        // What tells of erasures and removals must stay: without it, what it tells of would be tampering.
        let is_kept = |record: &AuditRecord| record.kind.starts_with("audit.records.");
        let records: Vec<AuditRecord> = found.records.into_iter().filter(|record| !is_kept(record)).collect();
        if records.is_empty() {
            return Ok((0, found.below));
        }
        let data = json!({
            "person": person, "count": records.len(), "ranges": ranges(records.iter().map(|record| record.leaf)),
        });
        let id = tx.emit(NewEvent::new(RECORDS_ERASED, person, data)).await?;
        let event = tx.event(id).await?;
        Box::pin(self.append_to(&mut tx, log, &row, &[event])).await?;
        if !Box::pin(self.cover_all(&mut tx, log)).await? {
            return Err(Error::conflict(
                "audit_log_changed",
                "the audit log is not what was signed before: nothing is erased in it",
            )
            .remedy("let whoever runs the installation look at it with `plasma audit verify`"));
        }
        for record in &records {
            erase(&mut tx, log, record.id, id).await?;
        }
        tx.forget_event_details(log, id_array(records.iter().map(|record| record.id))).await?;
        let blocks: BTreeSet<u64> = records.iter().map(|record| record.leaf / BLOCK_RECORDS).collect();
        for block in blocks {
            renew_block(&mut tx, log, block).await?;
        }
        tx.commit().await?;
        Ok((records.len() as u64, found.below))
    }
}

async fn erase(tx: &mut Tx, log: TenantId, id: EventId, by: EventId) -> Result<()> {
    let Some(row) = store::records::by_id(tx, log, id).await? else { return Ok(()) };
    let redacted = record::redacted(&row.text, by)?;
    store::records::erase(tx, log, row.leaf, redacted, by).await
}

/// Makes a block's filter anew: the words of what was erased must not be found any more.
async fn renew_block(tx: &mut Tx, log: TenantId, number: u64) -> Result<()> {
    let first = number * BLOCK_RECORDS;
    let rows = store::records::range(tx, log, first, first + BLOCK_RECORDS, BLOCK_RECORDS as u32).await?;
    let mut block = Block::new(number);
    for row in &rows {
        add_to(&mut block, &Record::read(&row.text)?);
    }
    store::blocks::put(tx, log, block).await
}

/// Leaves in any order as ranges, each from its first to before its end.
fn ranges(leaves: impl Iterator<Item = u64>) -> Vec<(u64, u64)> {
    let sorted: BTreeSet<u64> = leaves.collect();
    let mut ranges: Vec<(u64, u64)> = Vec::new();
    for leaf in sorted {
        match ranges.last_mut() {
            Some((_, end)) if *end == leaf => *end += 1,
            _ => ranges.push((leaf, leaf + 1)),
        }
    }
    ranges
}

#[cfg(test)]
mod tests {
    use super::ranges;

    #[test]
    fn neighbours_are_one_range() {
        assert_eq!(ranges([7, 3, 4, 9, 8].into_iter()), [(3, 5), (7, 10)]);
        assert!(ranges(std::iter::empty()).is_empty());
    }
}
