//! The events that this crate writes. `data` always holds `collection_id`.

use plasma_kernel::{CollectionId, KnowledgeDocumentId};
use plasma_store::NewEvent;
use serde_json::json;

/// A collection was made: `{collection_id, name}`.
pub const COLLECTION_CREATED: &str = "knowledge.collection.created";
/// A collection's name, description or recall target was changed: `{collection_id, name}`.
pub const COLLECTION_UPDATED: &str = "knowledge.collection.updated";
/// A collection was deleted, and all of its documents with it: `{collection_id, name}`.
pub const COLLECTION_DELETED: &str = "knowledge.collection.deleted";
/// A collection's vectors are to be elsewhere, are there now, or stay after all: `{collection_id, name, nodes, moving_to}`; an empty list
/// of nodes stands for the processes' own indexes, `moving_to` is null when it is not on its way.
pub const COLLECTION_PLACED: &str = "knowledge.collection.placed";
/// A document, or a new version of it, waits to be read: `{collection_id, title, version}`; with `reason` when something is in
/// its way, such as an absent model.
pub const DOCUMENT_QUEUED: &str = "knowledge.document.queued";
/// A document is being read: `{collection_id, title, version}`.
pub const DOCUMENT_PARSING: &str = "knowledge.document.parsing";
/// A document's passages are being embedded: `{collection_id, title, version, passages}`.
pub const DOCUMENT_EMBEDDING: &str = "knowledge.document.embedding";
/// A document is searchable: `{collection_id, title, version, passages}`.
pub const DOCUMENT_READY: &str = "knowledge.document.ready";
/// A document could not be read: `{collection_id, title, version, reason}`.
pub const DOCUMENT_FAILED: &str = "knowledge.document.failed";
/// A document was deleted: `{collection_id, title}`.
pub const DOCUMENT_DELETED: &str = "knowledge.document.deleted";

pub(crate) fn collection(kind: &'static str, id: CollectionId, name: &str) -> NewEvent {
    NewEvent::new(kind, id, json!({ "collection_id": id, "name": name }))
}

pub(crate) fn document_deleted(id: KnowledgeDocumentId, collection: CollectionId, title: &str) -> NewEvent {
    NewEvent::new(DOCUMENT_DELETED, id, json!({ "collection_id": collection, "title": title }))
}

pub(crate) fn collection_placed(
    id: CollectionId,
    name: &str,
    nodes: &[String],
    moving_to: Option<&[String]>,
) -> NewEvent {
    let data = json!({ "collection_id": id, "name": name, "nodes": nodes, "moving_to": moving_to });
    NewEvent::new(COLLECTION_PLACED, id, data)
}
