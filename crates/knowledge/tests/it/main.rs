//! Ingestion, search and the index over both databases, with the real local embedding model.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod access;
mod collections;
mod failures;
mod http;
mod index;
mod ingestion;
mod isolation;
mod nodes;
mod ranking;
mod reembedding;
mod replacement;
mod reranker;
mod search;
mod support;
mod tenants;
mod text;
mod vectors;
