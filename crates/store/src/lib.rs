#![doc = include_str!("../README.md")]

mod blobs;
mod changes;
mod consumer;
mod error;
mod events;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
mod migrate;
mod quotas;
mod read_only;
pub mod search_node;
mod secrets;
mod snapshot;
mod store;
mod tenant_data;
mod tx;
mod value;

pub use blobs::{BlobInfo, BlobWriter, Blobs};
pub use changes::mask_secrets;
pub use consumer::Consumer;
pub use events::{Event, EventFilter, EventPosition, NewEvent};
pub use quotas::QUOTA_NEAR;
pub use read_only::Snapshot;
pub use secrets::{
    DataKeyVersion, Destruction, KeyRotation, MasterKeyKind, MasterKeyUse, ResealBatch, ResealPlace, RewrapBatch,
    RotationState, SHREDDED_WITHIN, SealedColumn, SealedStatements, VaultConfig, VaultToken,
};
pub use snapshot::{SQLITE_FILE, check_sqlite, snapshot_sqlite};
pub use store::{Dialect, Store, StoreConfig};
pub use tenant_data::{RowKey, TenantRows, TenantTable};
pub use tx::Tx;
pub use value::{FromColumn, Row, Sql, Value, id_array, page_key};
