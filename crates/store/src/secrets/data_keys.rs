//! The rows of data keys: one for each owner and version.

use plasma_kernel::{Result, Timestamp};

use super::master::{MasterKeyKind, Wrapped};
use crate::{Row, Sql, Tx};

/// A row of `tenant_keys`.
pub(super) struct StoredKey {
    pub(super) version: u32,
    pub(super) wrapped: Wrapped,
    pub(super) created_at: Timestamp,
    pub(super) retired_at: Option<Timestamp>,
}

const ONE: &str = "SELECT version, wrapped, wrapped_by, wrapping_key, created_at, retired_at FROM tenant_keys
     WHERE tenant_id = $1 AND version = $2";
const ALL: &str = "SELECT version, wrapped, wrapped_by, wrapping_key, created_at, retired_at FROM tenant_keys
     WHERE tenant_id = $1 ORDER BY version DESC";
const NEWEST: &str = "SELECT version, wrapped, wrapped_by, wrapping_key, created_at, retired_at FROM tenant_keys
     WHERE tenant_id = $1 ORDER BY version DESC LIMIT 1";
// Whoever seals keeps the version from being destroyed until the sealed value is committed: the destroyer waits for this lock, and
// then finds the value. SQLite has one writer at a time.
const NEWEST_FOR_SEALING: Sql = Sql::each(
    NEWEST,
    "SELECT version, wrapped, wrapped_by, wrapping_key, created_at, retired_at FROM tenant_keys
     WHERE tenant_id = $1 ORDER BY version DESC LIMIT 1 FOR KEY SHARE",
);
const LOCK_BELOW: Sql = Sql::each(
    "SELECT version FROM tenant_keys WHERE tenant_id = $1 AND version < $2 ORDER BY version",
    "SELECT version FROM tenant_keys WHERE tenant_id = $1 AND version < $2 ORDER BY version FOR UPDATE",
);

fn from_row(row: &Row) -> Result<StoredKey> {
    Ok(StoredKey {
        version: row.get("version")?,
        wrapped: Wrapped {
            by: MasterKeyKind::from_text(&row.get::<String>("wrapped_by")?)?,
            key: row.get("wrapping_key")?,
            bytes: row.get("wrapped")?,
        },
        created_at: row.get("created_at")?,
        retired_at: row.get("retired_at")?,
    })
}

pub(super) async fn get(tx: &mut Tx, owner: &str, version: u32) -> Result<Option<StoredKey>> {
    tx.fetch_optional(ONE, [owner.into(), version.into()]).await?.as_ref().map(from_row).transpose()
}

/// The version that seals.
pub(super) async fn newest(tx: &mut Tx, owner: &str) -> Result<Option<StoredKey>> {
    tx.fetch_optional(NEWEST, [owner.into()]).await?.as_ref().map(from_row).transpose()
}

/// The same, kept until the end of the transaction.
pub(super) async fn newest_for_sealing(tx: &mut Tx, owner: &str) -> Result<Option<StoredKey>> {
    tx.fetch_optional(NEWEST_FOR_SEALING, [owner.into()]).await?.as_ref().map(from_row).transpose()
}

/// Every version, the newest first.
pub(super) async fn all(tx: &mut Tx, owner: &str) -> Result<Vec<StoredKey>> {
    tx.fetch_all(ALL, [owner.into()]).await?.iter().map(from_row).collect()
}

/// Waits for those who sealed under versions below this one, and keeps others from it until the end of the transaction.
pub(super) async fn lock_below(tx: &mut Tx, owner: &str, version: u32) -> Result<()> {
    tx.fetch_all(LOCK_BELOW, [owner.into(), version.into()]).await.map(drop)
}

/// The same for all versions.
pub(super) async fn lock_all(tx: &mut Tx, owner: &str) -> Result<()> {
    lock_below(tx, owner, u32::MAX).await
}

/// `false` when the version is there already.
pub(super) async fn insert(tx: &mut Tx, owner: &str, version: u32, wrapped: &Wrapped) -> Result<bool> {
    let now = tx.ctx().now();
    let inserted = tx
        .execute(
            "INSERT INTO tenant_keys (tenant_id, version, wrapped, wrapped_by, wrapping_key, created_at)
             VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (tenant_id, version) DO NOTHING",
            [
                owner.into(),
                version.into(),
                wrapped.bytes.as_slice().into(),
                wrapped.by.as_str().into(),
                wrapped.key.as_deref().into(),
                now.into(),
            ],
        )
        .await?;
    Ok(inserted == 1)
}

/// A newer version has taken over.
pub(super) async fn retire_below(tx: &mut Tx, owner: &str, version: u32) -> Result<()> {
    let now = tx.ctx().now();
    tx.execute(
        "UPDATE tenant_keys SET retired_at = $3 WHERE tenant_id = $1 AND version < $2 AND retired_at IS NULL",
        [owner.into(), version.into(), now.into()],
    )
    .await
    .map(drop)
}

pub(super) async fn delete_below(tx: &mut Tx, owner: &str, version: u32) -> Result<u64> {
    overwrite_deleted(tx).await?;
    tx.execute("DELETE FROM tenant_keys WHERE tenant_id = $1 AND version < $2", [owner.into(), version.into()]).await
}

pub(super) async fn delete_all(tx: &mut Tx, owner: &str) -> Result<u64> {
    overwrite_deleted(tx).await?;
    tx.execute("DELETE FROM tenant_keys WHERE tenant_id = $1", [owner.into()]).await
}

/// SQLite leaves deleted bytes in its file unless it is told to overwrite them. The setting stays on its writing connection.
async fn overwrite_deleted(tx: &mut Tx) -> Result<()> {
    const OVERWRITE: Sql = Sql::each("PRAGMA secure_delete = ON", "SELECT 1");
    tx.fetch_optional(OVERWRITE, []).await.map(drop)
}

/// Keys of all owners that another master key wrapped than `by` and `key`, in order, after the place `after`. Needs a system context.
pub(super) async fn wrapped_otherwise(
    tx: &mut Tx,
    by: MasterKeyKind,
    key: &str,
    after: &(String, u32),
    limit: usize,
) -> Result<Vec<(String, StoredKey)>> {
    let rows = tx
        .fetch_all(
            "SELECT tenant_id, version, wrapped, wrapped_by, wrapping_key, created_at, retired_at FROM tenant_keys
             WHERE (tenant_id, version) > ($1, $2)
               AND (wrapped_by <> $3 OR wrapping_key IS NULL OR wrapping_key <> $4)
             ORDER BY tenant_id, version LIMIT $5",
            [after.0.as_str().into(), after.1.into(), by.as_str().into(), key.into(), limit.into()],
        )
        .await?;
    rows.iter().map(|row| Ok((row.get("tenant_id")?, from_row(row)?))).collect()
}

/// Puts another wrapping of the same key into its place; `false` when it was changed or deleted meanwhile.
pub(super) async fn replace(tx: &mut Tx, owner: &str, version: u32, old: &[u8], new: &Wrapped) -> Result<bool> {
    let changed = tx
        .execute(
            "UPDATE tenant_keys SET wrapped = $4, wrapped_by = $5, wrapping_key = $6
             WHERE tenant_id = $1 AND version = $2 AND wrapped = $3",
            [
                owner.into(),
                version.into(),
                old.into(),
                new.bytes.as_slice().into(),
                new.by.as_str().into(),
                new.key.as_deref().into(),
            ],
        )
        .await?;
    Ok(changed == 1)
}

/// How many keys each master key wraps. Needs a system context.
pub(super) async fn counts(tx: &mut Tx) -> Result<Vec<(MasterKeyKind, Option<String>, u64)>> {
    let rows = tx
        .fetch_all(
            "SELECT wrapped_by, wrapping_key, COUNT(*) AS number FROM tenant_keys
             GROUP BY wrapped_by, wrapping_key ORDER BY wrapped_by, wrapping_key LIMIT 100",
            [],
        )
        .await?;
    rows.iter()
        .map(|row| {
            let kind = MasterKeyKind::from_text(&row.get::<String>("wrapped_by")?)?;
            Ok((kind, row.get("wrapping_key")?, row.get("number")?))
        })
        .collect()
}

/// The wrapped bytes of all keys of these owners, given as a JSON array. Needs a system context.
pub(super) async fn wrapped_of(tx: &mut Tx, owners: crate::Value) -> Result<Vec<Vec<u8>>> {
    const WRAPPED: Sql = Sql::each(
        "SELECT wrapped FROM tenant_keys WHERE tenant_id IN (SELECT value FROM json_each($1))",
        "SELECT wrapped FROM tenant_keys WHERE tenant_id IN (SELECT jsonb_array_elements_text($1::jsonb))",
    );
    tx.fetch_all(WRAPPED, [owners]).await?.iter().map(|row| row.get("wrapped")).collect()
}
