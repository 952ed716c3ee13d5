//! The logs in a database.

use std::collections::BTreeMap;

use plasma_kernel::{Ctx, Error, Result, TenantId};
use plasma_store::{Snapshot, Tx};

use super::{Finding, Found, LogReport, Tampering, Trust, Verification};
use crate::{
    merkle::{Hash, TILE_WIDTH, root_over},
    note::{self, PublicKey},
    store,
};

/// The migration that brought the audit logs.
const MIGRATION: i64 = 33;
/// Rows of one read.
const PAGE: u32 = 2_000;
/// Rows of hashes above each other in the largest log.
const LEVELS: u32 = 8;

/// Verifies the logs of a database that nobody need run: all of them, or that of `only`.
///
/// # Errors
/// `unavailable` (`audit_log_missing`) when the database is from before there were audit logs; `not_found` when there is no
/// log of `only`; what the database says.
pub async fn verify_snapshot(
    snapshot: &Snapshot,
    ctx: &Ctx,
    only: Option<TenantId>,
    trust: &Trust,
) -> Result<Vec<LogReport>> {
    let migration = snapshot.migration(ctx).await?;
    if migration < MIGRATION {
        return Err(Error::unavailable(
            "audit_log_missing",
            format!("the database has migration {migration}; audit logs came with {MIGRATION}"),
        )
        .remedy("start this version of Plasma on it once"));
    }
    let mut tx = snapshot.read(ctx).await?;
    Box::pin(verify_logs(&mut tx, only, trust)).await
}

/// The same in a transaction of a system context, which sees all tenants.
///
/// # Errors
/// As [`verify_snapshot`].
pub async fn verify_logs(tx: &mut Tx, only: Option<TenantId>, trust: &Trust) -> Result<Vec<LogReport>> {
    let Some(row) = store::keys::get(tx).await? else {
        return Err(Error::unavailable("audit_log_missing", "the database has no key of audit logs")
            .remedy("start this version of Plasma on it once"));
    };
    let own = <[u8; note::PUBLIC_KEY_BYTES]>::try_from(row.public_key.as_slice()).ok().map(PublicKey);
    let key = trust.key.or(own).ok_or_else(|| {
        Error::invalid("key", "the public key in the database is damaged").remedy("give the right one with --key")
    })?;
    let mut logs = store::logs::all(tx).await?;
    if let Some(only) = only {
        logs.retain(|log| *log == only);
        if logs.is_empty() {
            return Err(Error::not_found("audit_log_not_found", format!("there is no audit log of {only}")));
        }
    }
    let mut reports = Vec::new();
    let mut unmatched: Vec<_> = trust.anchors.iter().collect();
    for log in logs {
        let origin = format!("{}/audit/{log}", row.name);
        let mut verification = Verification::new(log.to_string(), origin, key);
        if trust.key.is_none() {
            verification.note(
                "the public key is the one in the database itself: compare it with one that you keep elsewhere, or give it \
                 with --key",
            );
        } else if own != Some(key) {
            verification.note("the database has another public key than the one that was given");
        }
        read_log(tx, log, &mut verification).await?;
        unmatched.retain(|anchor| !verification.anchor(anchor));
        reports.push(verification.finish());
    }
    if only.is_none() {
        let mut gone: BTreeMap<String, Verification> = BTreeMap::new();
        for anchor in unmatched {
            let origin = anchor.origin();
            let log = origin.rsplit('/').next().unwrap_or_default().to_owned();
            let verification = gone.entry(origin.clone()).or_insert_with(|| Verification::new(log, origin, key));
            verification.anchor(anchor);
        }
        // A log of which nothing is left has lost everything that its anchors say.
        reports.extend(gone.into_values().map(Verification::finish));
    }
    Ok(reports)
}

async fn read_log(tx: &mut Tx, log: TenantId, verification: &mut Verification) -> Result<()> {
    let state = store::logs::get(tx, log).await?;
    verification.claims(state.size);
    let mut number = 0;
    loop {
        let rows = store::tiles::rows(tx, log, 0, number, PAGE).await?;
        let Some((last, _)) = rows.last() else { break };
        number = last + 1;
        for (number, hashes) in rows {
            verification.hashes(number * TILE_WIDTH, &hashes);
        }
    }
    check_inner_rows(tx, log, verification).await?;
    let mut after = 0;
    loop {
        let notes = store::checkpoints::notes(tx, log, after, u64::MAX, PAGE).await?;
        let Some((last, _)) = notes.last() else { break };
        after = *last;
        for (_, note) in &notes {
            verification.checkpoint(note);
        }
    }
    let mut from = 0;
    loop {
        let rows = store::records::range(tx, log, from, u64::MAX, PAGE).await?;
        let Some(last) = rows.last() else { return Ok(()) };
        from = last.leaf + 1;
        for row in &rows {
            let erased_by = row.erased_by.map(|by| by.to_string());
            verification.record(&Found { leaf: row.leaf, text: &row.text, erased_by: erased_by.as_deref() });
        }
    }
}

/// The rows above the leaves are what proofs are made of: each hash in them must be the root of the row under it.
async fn check_inner_rows(tx: &mut Tx, log: TenantId, verification: &mut Verification) -> Result<()> {
    let full_roots = |hashes: &[Hash]| -> Vec<Hash> {
        let width = usize::try_from(TILE_WIDTH).unwrap_or(usize::MAX);
        hashes.chunks_exact(width).map(root_over).collect()
    };
    let mut expected = full_roots(verification.known_hashes());
    for level in 1..LEVELS {
        let mut stored: Vec<Hash> = Vec::new();
        let mut number = 0;
        loop {
            let rows = store::tiles::rows(tx, log, level, number, PAGE).await?;
            let Some((last, _)) = rows.last() else { break };
            number = last + 1;
            stored.extend(rows.into_iter().flat_map(|(_, hashes)| hashes));
        }
        let width = TILE_WIDTH.saturating_pow(level);
        let leaves_of = |place: usize| {
            let from = (place as u64).saturating_mul(width);
            from..from.saturating_add(width)
        };
        if let Some(place) = expected.iter().zip(&stored).position(|(one, other)| one != other) {
            let detail = format!("the hash {place} of level {level} of the tree is not that of what is under it");
            verification.found(Finding::new(Tampering::Edited, leaves_of(place), detail));
            return Ok(());
        }
        if expected.len() < stored.len() {
            let leaves = leaves_of(expected.len());
            let detail = format!("there were hashes of leaves from {} on, and they are gone", leaves.start);
            verification.found(Finding::new(Tampering::CutOff, leaves, detail));
            return Ok(());
        }
        if expected.len() > stored.len() {
            verification.damaged(format!("hashes of level {level} of the tree are missing: proofs cannot be made"));
            return Ok(());
        }
        if expected.is_empty() {
            return Ok(());
        }
        expected = full_roots(&expected);
    }
    Ok(())
}
