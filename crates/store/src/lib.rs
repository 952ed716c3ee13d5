#![doc = include_str!("../README.md")]

mod blobs;
mod consumer;
mod error;
mod events;
mod migrate;
mod quotas;
pub mod search_node;
mod secrets;
mod snapshot;
mod store;
mod tenant_data;
mod tx;
mod value;

pub use blobs::{BlobInfo, BlobWriter, Blobs};
pub use consumer::Consumer;
pub use events::{Event, EventFilter, EventPosition, NewEvent};
pub use quotas::QUOTA_NEAR;
pub use secrets::{
    DataKeyVersion, Destruction, KeyRotation, MasterKeyKind, MasterKeyUse, ResealBatch, ResealPlace, RewrapBatch,
    RotationState, SHREDDED_WITHIN, SealedColumn, SealedStatements, VaultConfig, VaultToken,
};
pub use snapshot::{SQLITE_FILE, check_sqlite, snapshot_sqlite};
pub use store::{Dialect, Store, StoreConfig};
pub use tenant_data::{RowKey, TenantRows, TenantTable};
pub use tx::Tx;
pub use value::{FromColumn, Row, Sql, Value, id_array, page_key};
