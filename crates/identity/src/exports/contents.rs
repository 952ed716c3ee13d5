//! What an archive holds, and what it leaves out: whatever proves who somebody is, and whatever only this installation's keys open.

use futures::TryStreamExt as _;
use plasma_kernel::{Ctx, Result, TenantId};
use plasma_store::{BlobInfo, TenantTable};
use serde::Serialize;
use serde_json::{Map, Value as Json};

use super::BLOB_PREFIX;
use crate::Identity;

/// Tables of which nothing is of use elsewhere.
const TABLES_LEFT_OUT: [&str; 1] = ["tenant_keys"];
/// A column whose name holds one of these is left out.
const SECRET_WORDS: [&str; 12] = [
    "browser_hash",
    "code_hash",
    "device_hash",
    "key_hash",
    "password",
    "private_key",
    "sealed",
    "secret",
    "state_hash",
    "token_hash",
    "verifier",
    "wrapped",
];

/// What there is to write.
pub(super) struct Plan {
    pub(super) tables: Vec<(TenantTable, u64)>,
    pub(super) files: Vec<BlobInfo>,
}

impl Plan {
    /// Looks at all tables and files of the ctx's tenant.
    pub(super) async fn read(identity: &Identity, ctx: &Ctx) -> Result<Self> {
        let store = &identity.inner.store;
        let mut tx = store.read(ctx).await?;
        let mut tables = Vec::new();
        for table in tx.tenant_tables().await? {
            if !TABLES_LEFT_OUT.contains(&table.name()) {
                let rows = tx.count_tenant_rows(&table).await?;
                tables.push((table, rows));
            }
        }
        drop(tx);
        let mut files: Vec<BlobInfo> = store.blobs().list(ctx)?.try_collect().await?;
        files.retain(|file| !file.name.starts_with(BLOB_PREFIX));
        files.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(Self { tables, files })
    }

    /// Rows and files.
    pub(super) fn total(&self) -> u64 {
        self.tables.iter().map(|(_, rows)| rows).sum::<u64>() + self.files.len() as u64
    }
}

/// Whether a column is left out.
pub(super) fn is_secret(column: &str) -> bool {
    SECRET_WORDS.iter().any(|word| column.contains(word))
}

/// Takes what is left out off a row and notes its columns.
pub(super) fn without_secrets(mut row: Map<String, Json>, left_out: &mut Vec<String>) -> Map<String, Json> {
    let secret: Vec<String> = row.keys().filter(|column| is_secret(column)).cloned().collect();
    for column in secret {
        row.shift_remove(&column);
        if !left_out.contains(&column) {
            left_out.push(column);
        }
    }
    row
}

/// What the archive says of itself; its last entry.
#[derive(Serialize)]
pub(super) struct Manifest {
    pub(super) format: &'static str,
    pub(super) tenant: TenantId,
    pub(super) name: String,
    /// In microseconds since 1970 UTC.
    pub(super) exported_at: i64,
    pub(super) tables: Vec<ManifestTable>,
    pub(super) files: u64,
}

/// What it says of a table.
#[derive(Serialize)]
pub(super) struct ManifestTable {
    pub(super) name: String,
    pub(super) rows: u64,
    pub(super) columns_left_out: Vec<String>,
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_opens_or_proves_something_is_left_out_and_nothing_else() {
        for column in [
            "token_hash",
            "api_key_sealed",
            "wrapped",
            "client_secret",
            "previous_token_hash",
            "key_hash",
            "browser_hash",
            "private_key_sealed",
        ] {
            assert!(is_secret(column), "{column}");
        }
        for column in [
            "tenant_id",
            "input_tokens",
            "logo_hash",
            "leaf_hash",
            "document_key",
            "api_key_id",
            "token_count",
            "private_network",
        ] {
            assert!(!is_secret(column), "{column}");
        }
        let row = serde_json::json!({"id": "a", "token_hash": "\\x00", "name": "b"}).as_object().unwrap().clone();
        let mut left_out = Vec::new();
        let row = without_secrets(row, &mut left_out);
        assert_eq!(serde_json::to_string(&row).unwrap(), r#"{"id":"a","name":"b"}"#);
        assert_eq!(left_out, ["token_hash"]);
    }
}
