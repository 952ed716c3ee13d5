//! Content documents: revisions and citations on both databases, drafts by a provider's model and by the real local one.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod documents;
mod drafts;
mod http;
mod local_draft;
mod purge;
mod revisions;
mod support;
mod upstream;
