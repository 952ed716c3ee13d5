#![doc = include_str!("../README.md")]

mod add_document;
pub mod ask;
mod caches;
pub mod chunk;
mod collection_index;
mod collections;
mod documents;
mod embedding;
pub mod events;
pub mod http;
mod index;
mod ingest;
mod knowledge;
pub mod limits;
mod metadata;
pub mod nodes;
pub mod parse;
mod progress;
mod purge;
mod search;
mod steps;
mod store;
mod types;
mod waiting;

pub use collection_index::{CollectionIndex, CollectionIndexState, IndexBuild, IndexEffort, IndexRecall, RecallSource};
pub use http::routes;
pub use knowledge::Knowledge;
pub use metadata::{Metadata, MetadataValue};
pub use search::{
    Fusion, Highlight, Hit, SearchAnswer, SearchMode, SearchRequest, TextReason, Took, VectorReason, Why,
};
pub use types::{
    Collection, CollectionChange, Document, DocumentError, DocumentFile, DocumentProgress, DocumentState, DocumentText,
    IndexStatus, IngestProgress, KnowledgeCounts, NewCollection, NewContent, NewDocument, PassageRange,
};
