#![doc = include_str!("../README.md")]

mod blobs;
mod changes;
mod consumer;
mod error;
mod events;
mod migrate;
pub mod search_node;
mod secrets;
mod snapshot;
mod store;
mod tx;
mod value;

pub use blobs::{BlobWriter, Blobs};
pub use changes::mask_secrets;
pub use consumer::Consumer;
pub use events::{Event, EventFilter, EventPosition, NewEvent};
pub use snapshot::Snapshot;
pub use store::{Dialect, Store, StoreConfig};
pub use tx::Tx;
pub use value::{FromColumn, Row, Sql, Value, id_array, page_key};
