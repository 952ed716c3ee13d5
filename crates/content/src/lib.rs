#![doc = include_str!("../README.md")]

mod carry;
mod diff;
mod documents;
mod draft_text;
mod drafts;
pub mod events;
mod excerpt;
pub mod http;
pub mod limits;
mod revisions;
mod steps;
mod store;
mod types;

use std::time::Duration;

use plasma_knowledge::Knowledge;
use plasma_store::Store;
use plasma_workflows::Workflows;

pub use drafts::{DraftEvent, DraftStream};
pub use http::routes;
pub use types::{
    Citation, Diff, DiffHunk, DiffLine, DiffLineKind, Document, DocumentFilter, DocumentState, DocumentSummary,
    DraftRequest, Edit, Revision, RevisionKind, Text, TitleDiff,
};

/// How often deleted documents are looked for.
const PURGE_INTERVAL: Duration = Duration::from_secs(3600);

/// Documents, their revisions, and drafts by a model. Cheap to clone.
#[derive(Clone)]
pub struct Content {
    store: Store,
    knowledge: Knowledge,
}

impl Content {
    /// Content over `store`, with drafts based on `knowledge`. Registers its step and its schedule with `workflows`.
    pub fn new(store: Store, knowledge: Knowledge, workflows: &Workflows) -> Self {
        workflows.register::<steps::PurgeDeletedDocuments>(store.clone());
        workflows.every("content.purge", PURGE_INTERVAL, || steps::PurgeDeletedDocuments {});
        Self { store, knowledge }
    }
}
