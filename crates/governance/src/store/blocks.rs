use plasma_kernel::{Result, TenantId, Timestamp};
use plasma_store::{Row, Tx};

use crate::words::Filter;

/// By what the records of a block are found.
#[derive(Clone, Debug)]
pub(crate) struct Block {
    pub(crate) number: u64,
    pub(crate) first_at: Timestamp,
    pub(crate) last_at: Timestamp,
    pub(crate) words: Filter,
}

impl Block {
    /// One that no record is in yet.
    pub(crate) fn new(number: u64) -> Self {
        Self { number, first_at: Timestamp::MAX, last_at: Timestamp::MIN, words: Filter::new() }
    }
}

fn from_row(row: &Row) -> Result<Block> {
    Ok(Block {
        number: row.get("block")?,
        first_at: row.get("first_at")?,
        last_at: row.get("last_at")?,
        words: Filter::from_bytes(row.get("words")?),
    })
}

pub(crate) async fn get(tx: &mut Tx, log: TenantId, number: u64) -> Result<Option<Block>> {
    let row = tx
        .fetch_optional("SELECT * FROM audit_blocks WHERE tenant_id = $1 AND block = $2", [log.into(), number.into()])
        .await?;
    row.as_ref().map(from_row).transpose()
}

pub(crate) async fn put(tx: &mut Tx, log: TenantId, block: Block) -> Result<()> {
    tx.execute(
        "INSERT INTO audit_blocks (tenant_id, block, first_at, last_at, words) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (tenant_id, block) DO UPDATE
           SET first_at = excluded.first_at, last_at = excluded.last_at, words = excluded.words",
        [log.into(), block.number.into(), block.first_at.into(), block.last_at.into(), block.words.into_bytes().into()],
    )
    .await?;
    Ok(())
}

/// Blocks up to `newest` in which records from `from` to before `to` may be, the newest first.
pub(crate) async fn candidates(
    tx: &mut Tx,
    log: TenantId,
    newest: u64,
    (from, to): (Timestamp, Timestamp),
    limit: u32,
) -> Result<Vec<Block>> {
    let rows = tx
        .fetch_all(
            "SELECT * FROM audit_blocks WHERE tenant_id = $1 AND block <= $2 AND last_at >= $3 AND first_at < $4
             ORDER BY block DESC LIMIT $5",
            [log.into(), newest.into(), from.into(), to.into(), limit.into()],
        )
        .await?;
    rows.iter().map(from_row).collect()
}

/// Removes the blocks before the one with this number.
pub(crate) async fn delete_before(tx: &mut Tx, log: TenantId, number: u64) -> Result<()> {
    tx.execute("DELETE FROM audit_blocks WHERE tenant_id = $1 AND block < $2", [log.into(), number.into()]).await?;
    Ok(())
}
