//! Adds records to a log: hashes, rows, terms and checkpoints in the caller's transaction.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use plasma_kernel::{Result, TenantId};
use plasma_store::{Event, Tx};

use crate::{
    Inner,
    merkle::{Hash, TILE_WIDTH, leaf_hash},
    note::{self, Checkpoint},
    proofs,
    record::{self, Record},
    store::{self, blocks::Block, logs::LogRow, records::NewRecord},
};

/// Records whose terms are in one filter: those whose hashes are in one row.
pub(crate) const BLOCK_RECORDS: u64 = TILE_WIDTH;
/// A checkpoint is made when so many records came after the last one.
pub(crate) const CHECKPOINT_RECORDS: u64 = 4_096;

impl Inner {
    /// Appends the records of `events` to `log`, in their order.
    pub(crate) async fn append(&self, tx: &mut Tx, log: TenantId, events: &[Event]) -> Result<()> {
        let row = store::logs::hold(tx, log).await?;
        self.append_to(tx, log, &row, events).await
    }

    /// The same for a log that the transaction holds already.
    pub(crate) async fn append_to(&self, tx: &mut Tx, log: TenantId, row: &LogRow, events: &[Event]) -> Result<()> {
        let mut tiles = store::tiles::edge(tx, log, row.size).await?;
        let mut records = Vec::with_capacity(events.len());
        for event in events {
            let leaf = tiles.size();
            let text = record::write(event, log, leaf);
            tiles.push(leaf_hash(text.as_bytes()));
            records.push(NewRecord { leaf, id: event.id, at: event.at, text });
        }
        note_terms(tx, log, &records).await?;
        store::records::insert(tx, log, &records).await?;
        let (size, root) = (tiles.size(), tiles.root());
        store::tiles::put(tx, log, tiles.changed()).await?;
        let now = tx.ctx().now();
        store::logs::appended(tx, log, size, now).await?;
        if size - row.checkpoint_size >= CHECKPOINT_RECORDS {
            self.make_checkpoint(tx, log, size, root).await?;
        }
        Ok(())
    }

    /// Makes a checkpoint of all leaves when there are some without one. The transaction may write.
    pub(crate) async fn cover(&self, tx: &mut Tx, log: TenantId) -> Result<bool> {
        let row = store::logs::hold(tx, log).await?;
        if row.size == row.checkpoint_size {
            return Ok(false);
        }
        let root = store::tiles::edge(tx, log, row.size).await?.root();
        self.make_checkpoint(tx, log, row.size, root).await
    }

    /// Covers what was just appended; false when the log is not what was signed before, so that nothing can be signed. What tells of
    /// erased or removed records counts only under a checkpoint, so whoever erases or removes calls this before.
    pub(crate) async fn cover_all(&self, tx: &mut Tx, log: TenantId) -> Result<bool> {
        self.cover(tx, log).await?;
        let row = store::logs::hold(tx, log).await?;
        Ok(row.size == row.checkpoint_size)
    }

    /// Signs what the tree is now, if what was signed before is its beginning: a log never signs two histories.
    async fn make_checkpoint(&self, tx: &mut Tx, log: TenantId, size: u64, root: Hash) -> Result<bool> {
        if let Some(last) = store::checkpoints::newest(tx, log).await? {
            let signed = note::open(&last.note, &self.key.public());
            let now = proofs::range_root(tx, log, &(0..last.size)).await?;
            if signed.map(|checkpoint| (checkpoint.size, checkpoint.root)) != Ok((last.size, now)) {
                tracing::error!(
                    %log,
                    size = last.size,
                    root = STANDARD.encode(now),
                    "the audit log is not what was signed before: no checkpoint is made; run `plasma audit verify`"
                );
                return Ok(false);
            }
        }
        let note = self.key.signer().sign(&Checkpoint { origin: self.origin(log), size, root })?;
        let now = tx.ctx().now();
        store::checkpoints::insert(tx, log, size, &note, now).await?;
        store::logs::checkpointed(tx, log, size).await?;
        Ok(true)
    }
}

/// Puts the terms of new records into the filters of their blocks.
async fn note_terms(tx: &mut Tx, log: TenantId, records: &[NewRecord]) -> Result<()> {
    for records in records.chunk_by(|one, other| one.leaf / BLOCK_RECORDS == other.leaf / BLOCK_RECORDS) {
        let Some(first) = records.first() else { continue };
        let number = first.leaf / BLOCK_RECORDS;
        let begun =
            if first.leaf.is_multiple_of(BLOCK_RECORDS) { None } else { store::blocks::get(tx, log, number).await? };
        let mut block = begun.unwrap_or_else(|| Block::new(number));
        for record in records {
            add_to(&mut block, &Record::read(&record.text)?);
        }
        store::blocks::put(tx, log, block).await?;
    }
    Ok(())
}

/// Makes a record findable in its block.
pub(crate) fn add_to(block: &mut Block, record: &Record) {
    block.first_at = block.first_at.min(record.at);
    block.last_at = block.last_at.max(record.at);
    record.terms().into_iter().for_each(|term| block.words.insert(term));
}
