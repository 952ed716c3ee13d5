//! The key belongs to the installation: its table has no tenant.

use plasma_kernel::{Result, Timestamp};
use plasma_store::{Row, Tx};

/// The key as it is stored.
pub(crate) struct KeyRow {
    /// What the names of all logs begin with.
    pub(crate) name: String,
    pub(crate) public_key: Vec<u8>,
    pub(crate) private_key_sealed: Vec<u8>,
    pub(crate) created_at: Timestamp,
}

fn from_row(row: &Row) -> Result<KeyRow> {
    Ok(KeyRow {
        name: row.get("name")?,
        public_key: row.get("public_key")?,
        private_key_sealed: row.get("private_key_sealed")?,
        created_at: row.get("created_at")?,
    })
}

pub(crate) async fn get(tx: &mut Tx) -> Result<Option<KeyRow>> {
    let row = tx.fetch_optional("SELECT * FROM audit_keys WHERE number = 1", []).await?;
    row.as_ref().map(from_row).transpose()
}

/// Writes the key unless another process was first.
pub(crate) async fn insert(tx: &mut Tx, key: &KeyRow) -> Result<()> {
    tx.execute(
        "INSERT INTO audit_keys (number, name, public_key, private_key_sealed, created_at) VALUES (1, $1, $2, $3, $4)
         ON CONFLICT (number) DO NOTHING",
        [
            key.name.as_str().into(),
            key.public_key.as_slice().into(),
            key.private_key_sealed.as_slice().into(),
            key.created_at.into(),
        ],
    )
    .await?;
    Ok(())
}
