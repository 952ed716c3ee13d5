//! Proofs for whoever asks: that a record is in the log, that a log is the beginning of a larger one.

use std::ops::Range;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use plasma_kernel::{
    Ctx, Error, EventId, Page, PageRequest,
    Permission::{AuditRead, InstallationRead},
    Result, TenantId,
};
use plasma_store::Tx;

use crate::{
    AuditCheckpoint, AuditDetail, CheckedProof, ConsistencyProof, Governance, InclusionProof, Log, LogState,
    merkle::{
        Hash, Node, TILE_WIDTH, consistency_ranges, empty_root, inclusion_ranges, leaf_hash, node_hash,
        root_of_inclusion, root_over,
    },
    note,
    record::Record,
    store::{self, tiles::Reader},
};

/// The root over a range of leaves, as it occurs in proofs.
pub(crate) async fn range_root(tx: &mut Tx, log: TenantId, range: &Range<u64>) -> Result<Hash> {
    root_in(&mut Reader::new(tx, log), range).await
}

async fn root_in(reader: &mut Reader<'_>, range: &Range<u64>) -> Result<Hash> {
    let mut root: Option<Hash> = None;
    for node in Node::cover(range).into_iter().rev() {
        let (level, number, first, count) = node.place();
        let subtree = root_over(&reader.hashes(level, number, first, count).await?);
        root = Some(root.map_or(subtree, |right| node_hash(&subtree, &right)));
    }
    Ok(root.unwrap_or_else(empty_root))
}

async fn path(tx: &mut Tx, log: TenantId, ranges: &[Range<u64>]) -> Result<Vec<Hash>> {
    let mut reader = Reader::new(tx, log);
    let mut path = Vec::with_capacity(ranges.len());
    for range in ranges {
        path.push(root_in(&mut reader, range).await?);
    }
    Ok(path)
}

async fn leaf(tx: &mut Tx, log: TenantId, leaf: u64) -> Result<Hash> {
    let first = usize::try_from(leaf % TILE_WIDTH).unwrap_or(0);
    let hashes = Reader::new(tx, log).hashes(0, leaf / TILE_WIDTH, first, 1).await?;
    hashes.first().copied().ok_or_else(|| Error::internal("a leaf of the audit log has no hash"))
}

fn encoded(path: &[Hash]) -> Vec<String> {
    path.iter().map(|hash| STANDARD.encode(hash)).collect()
}

impl Governance {
    /// Where a log stands.
    ///
    /// # Errors
    /// `forbidden` without `audit:read`; for the installation's log also without `installation:read`.
    pub async fn log_state(&self, ctx: &Ctx, log: Log) -> Result<LogState> {
        let ctx = log.bind(ctx, AuditRead, InstallationRead)?;
        let tenant = ctx.tenant()?;
        let mut tx = self.inner.store.read(&ctx).await?;
        let row = store::logs::get(&mut tx, tenant).await?;
        Ok(LogState {
            origin: self.inner.origin(tenant),
            size: row.size,
            retained_from: row.retained_from,
            retention_days: row.retention_days,
            checkpoint: store::checkpoints::newest(&mut tx, tenant).await?,
        })
    }

    /// A page of a log's checkpoints, the newest first.
    ///
    /// # Errors
    /// As [`Governance::log_state`]; `invalid` for a wrong cursor.
    pub async fn checkpoints(&self, ctx: &Ctx, log: Log, page: &PageRequest) -> Result<Page<AuditCheckpoint>> {
        let ctx = log.bind(ctx, AuditRead, InstallationRead)?;
        let mut tx = self.inner.store.read(&ctx).await?;
        store::checkpoints::page(&mut tx, ctx.tenant()?, page).await
    }

    /// A record with the proof that it is under the newest checkpoint.
    ///
    /// # Errors
    /// As [`Governance::log_state`]; `not_found` (`audit_record_not_found`).
    pub async fn record(&self, ctx: &Ctx, log: Log, id: EventId) -> Result<AuditDetail> {
        let ctx = log.bind(ctx, AuditRead, InstallationRead)?;
        let tenant = ctx.tenant()?;
        let mut tx = self.inner.store.read(&ctx).await?;
        let row = store::records::by_id(&mut tx, tenant, id).await?.ok_or_else(|| {
            Error::not_found("audit_record_not_found", format!("there is no record {id} in this audit log"))
                .remedy("what happened a moment ago is there within a second; what is too old has been removed")
        })?;
        let stored = leaf(&mut tx, tenant, row.leaf).await?;
        let proof = match store::checkpoints::newest(&mut tx, tenant).await? {
            Some(checkpoint) if checkpoint.size > row.leaf => {
                let path = path(&mut tx, tenant, &inclusion_ranges(row.leaf, checkpoint.size)).await?;
                // What was erased cannot be hashed again: there the leaf's hash alone is proven.
                let hash = if row.erased_by.is_some() { stored } else { leaf_hash(row.text.as_bytes()) };
                let root = root_of_inclusion(row.leaf, checkpoint.size, hash, &path);
                let signed = note::open(&checkpoint.note, &self.inner.key.public());
                let verified = signed.is_ok_and(|signed| {
                    signed.origin == self.inner.origin(tenant)
                        && signed.size == checkpoint.size
                        && Some(signed.root) == root
                });
                Some(CheckedProof { checkpoint, path: encoded(&path), verified })
            }
            _ => None,
        };
        let record = Record::read(&row.text)?.into();
        Ok(AuditDetail { record, canonical: row.text, leaf_hash: STANDARD.encode(stored), proof })
    }

    /// The proof that a leaf is in the tree of `size` leaves.
    ///
    /// # Errors
    /// As [`Governance::log_state`]; `invalid` for a leaf or a size that the log does not have.
    pub async fn inclusion_proof(&self, ctx: &Ctx, log: Log, at: u64, size: u64) -> Result<InclusionProof> {
        let ctx = log.bind(ctx, AuditRead, InstallationRead)?;
        let tenant = ctx.tenant()?;
        let mut tx = self.inner.store.read(&ctx).await?;
        check_size(&mut tx, tenant, "size", size).await?;
        if at >= size {
            return Err(Error::invalid("leaf", format!("must be less than the size {size}")));
        }
        let path = path(&mut tx, tenant, &inclusion_ranges(at, size)).await?;
        let hash = leaf(&mut tx, tenant, at).await?;
        let root = range_root(&mut tx, tenant, &(0..size)).await?;
        Ok(InclusionProof {
            leaf: at,
            size,
            leaf_hash: STANDARD.encode(hash),
            path: encoded(&path),
            root: STANDARD.encode(root),
        })
    }

    /// The proof that the tree of `from` leaves is the beginning of that of `to` leaves.
    ///
    /// # Errors
    /// As [`Governance::log_state`]; `invalid` for sizes that the log does not have or that are the wrong way round.
    pub async fn consistency_proof(&self, ctx: &Ctx, log: Log, from: u64, to: u64) -> Result<ConsistencyProof> {
        let ctx = log.bind(ctx, AuditRead, InstallationRead)?;
        let tenant = ctx.tenant()?;
        let mut tx = self.inner.store.read(&ctx).await?;
        check_size(&mut tx, tenant, "to", to).await?;
        if from > to {
            return Err(Error::invalid("from", format!("must not be more than {to}")));
        }
        let path = path(&mut tx, tenant, &consistency_ranges(from, to)).await?;
        let from_root = range_root(&mut tx, tenant, &(0..from)).await?;
        let to_root = range_root(&mut tx, tenant, &(0..to)).await?;
        Ok(ConsistencyProof {
            from,
            to,
            path: encoded(&path),
            from_root: STANDARD.encode(from_root),
            to_root: STANDARD.encode(to_root),
        })
    }
}

async fn check_size(tx: &mut Tx, log: TenantId, field: &'static str, size: u64) -> Result<()> {
    let row = store::logs::get(tx, log).await?;
    if size > row.size {
        return Err(Error::invalid(field, format!("the log has {} records, not {size}", row.size)));
    }
    Ok(())
}
