//! The events that this crate writes. Their subject is the document's id.

/// A document was made: `{title, kind, revision, collection_id, call_id, citations}`.
pub const DOCUMENT_CREATED: &str = "content.document.created";
/// A document has a new revision: `{title, kind, revision, citations}`.
pub const DOCUMENT_REVISED: &str = "content.document.revised";
/// A document was deleted: `{title, revision}`.
pub const DOCUMENT_DELETED: &str = "content.document.deleted";
