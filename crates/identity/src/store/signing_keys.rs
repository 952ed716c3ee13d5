//! The keys that sign ID tokens belong to the installation: row-level security does not guard them, their sealing does.

use plasma_kernel::{Result, Timestamp};
use plasma_store::{Sql, Tx};

/// A key as it is stored.
pub(crate) struct StoredKey {
    pub(crate) id: String,
    pub(crate) public_key: Vec<u8>,
    /// Sealed.
    pub(crate) private_key: Vec<u8>,
    pub(crate) created_at: Timestamp,
    pub(crate) signs_from: Timestamp,
}

/// Lets one process at a time make a key, until its transaction ends. The number is any constant. SQLite has one writer anyway.
pub(crate) async fn lock(tx: &mut Tx) -> Result<()> {
    const LOCK: Sql = Sql::each("SELECT 1", "SELECT pg_advisory_xact_lock(7306095473014)");
    tx.fetch_optional(LOCK, []).await?;
    Ok(())
}

/// All keys, in the order in which they begin to sign.
pub(crate) async fn all(tx: &mut Tx) -> Result<Vec<StoredKey>> {
    let rows = tx.fetch_all("SELECT * FROM oauth_signing_keys ORDER BY signs_from, created_at LIMIT 100", []).await?;
    rows.iter()
        .map(|row| {
            Ok(StoredKey {
                id: row.get("id")?,
                public_key: row.get("public_key")?,
                private_key: row.get("private_key_sealed")?,
                created_at: row.get("created_at")?,
                signs_from: row.get("signs_from")?,
            })
        })
        .collect()
}

pub(crate) async fn insert(tx: &mut Tx, algorithm: &str, key: &StoredKey) -> Result<()> {
    tx.execute(
        "INSERT INTO oauth_signing_keys (id, algorithm, public_key, private_key_sealed, created_at, signs_from)
         VALUES ($1, $2, $3, $4, $5, $6)",
        [
            key.id.as_str().into(),
            algorithm.into(),
            key.public_key.as_slice().into(),
            key.private_key.as_slice().into(),
            key.created_at.into(),
            key.signs_from.into(),
        ],
    )
    .await?;
    Ok(())
}

pub(crate) async fn delete(tx: &mut Tx, id: &str) -> Result<()> {
    tx.execute("DELETE FROM oauth_signing_keys WHERE id = $1", [id.into()]).await?;
    Ok(())
}

pub(crate) async fn delete_all(tx: &mut Tx) -> Result<()> {
    tx.execute("DELETE FROM oauth_signing_keys", []).await?;
    Ok(())
}
