#![doc = include_str!("../README.md")]

mod blobs;
mod consumer;
mod error;
mod events;
mod migrate;
mod quotas;
pub mod search_node;
mod secrets;
mod store;
mod tenant_data;
mod tx;
mod value;

pub use blobs::{BlobInfo, BlobWriter, Blobs};
pub use consumer::Consumer;
pub use events::{Event, EventFilter, EventPosition, NewEvent};
pub use quotas::QUOTA_NEAR;
pub use store::{Dialect, Store, StoreConfig};
pub use tenant_data::{RowKey, TenantRows, TenantTable};
pub use tx::Tx;
pub use value::{FromColumn, Row, Sql, Value, id_array, page_key};
