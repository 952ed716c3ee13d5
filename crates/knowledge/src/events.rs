//! The events that this crate writes. `data` always holds `collection_id`. Whoever may read events need not see every document:
//! of one that not everybody may see, events have no title, and `restricted` is true.

use plasma_kernel::{CollectionId, TenantId};
use plasma_store::NewEvent;
use serde_json::{Value, json};

use crate::{Collection, Document, Reembedding, ReembeddingState};

/// A collection was made: `{collection_id, name}`.
pub const COLLECTION_CREATED: &str = "knowledge.collection.created";
/// A collection's name, description or settings were changed: `{collection_id, name}`.
pub const COLLECTION_UPDATED: &str = "knowledge.collection.updated";
/// A collection was deleted, and all of its documents with it: `{collection_id, name}`.
pub const COLLECTION_DELETED: &str = "knowledge.collection.deleted";
/// A collection's passages are embedded with another model: `{collection_id, name, model, generation}`.
pub const COLLECTION_REEMBEDDING: &str = "knowledge.collection.reembedding";
/// From now on searches use the new model: `{collection_id, name, model, generation}`.
pub const COLLECTION_REEMBEDDED: &str = "knowledge.collection.reembedded";
/// The change of the model was given up, and searches go on with the one from before: `{collection_id, model, generation, state}`, with
/// the state `failed` or `cancelled`, and `reason` when it failed.
pub const COLLECTION_REEMBEDDING_ENDED: &str = "knowledge.collection.reembedding_ended";
/// A collection's vectors are to be elsewhere, are there now, or stay after all: `{collection_id, name, nodes, moving_to}`; an empty list
/// of nodes stands for the processes' own indexes, `moving_to` is null when it is not on its way.
pub const COLLECTION_PLACED: &str = "knowledge.collection.placed";
/// Collections of a tenant that was erased, told in the installation's own log: `{collections}`. The subject is the tenant.
pub const COLLECTIONS_ERASED: &str = "knowledge.collections.erased";
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
/// Who may see a document was changed: `{collection_id, title}`. It does not say who.
pub const DOCUMENT_ACCESS_CHANGED: &str = "knowledge.document.access_changed";

pub(crate) fn collection(kind: &'static str, id: CollectionId, name: &str) -> NewEvent {
    NewEvent::new(kind, id, json!({ "collection_id": id, "name": name }))
}

/// What the audit log compares of a collection.
pub(crate) fn state_of_collection(collection: &Collection) -> Value {
    json!({
        "name": collection.name, "description": collection.description, "language": collection.language,
        "fields": collection.fields, "recall_target": collection.recall_target, "ranking": collection.ranking,
    })
}

pub(crate) fn reembedding(kind: &'static str, name: &str, reembedding: &Reembedding) -> NewEvent {
    let id = reembedding.collection_id;
    let data = json!({
        "collection_id": id, "name": name, "model": reembedding.model, "generation": reembedding.generation,
    });
    NewEvent::new(kind, id, data)
}

pub(crate) fn reembedding_ended(reembedding: &Reembedding, state: ReembeddingState, reason: Option<&str>) -> NewEvent {
    let id = reembedding.collection_id;
    let data = json!({
        "collection_id": id, "model": reembedding.model, "generation": reembedding.generation,
        "state": state, "reason": reason,
    });
    NewEvent::new(COLLECTION_REEMBEDDING_ENDED, id, data)
}

pub(crate) fn document_deleted(document: &Document) -> NewEvent {
    NewEvent::new(DOCUMENT_DELETED, document.id, named(document))
}

pub(crate) fn document_access_changed(document: &Document) -> NewEvent {
    NewEvent::new(DOCUMENT_ACCESS_CHANGED, document.id, named(document))
}

/// What every event of a document tells of it.
pub(crate) fn named(document: &Document) -> Value {
    if document.access.is_some() {
        return json!({ "collection_id": document.collection_id, "restricted": true });
    }
    json!({ "collection_id": document.collection_id, "title": document.title })
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

pub(crate) fn collections_erased(tenant: TenantId, collections: &[CollectionId]) -> NewEvent {
    NewEvent::new(COLLECTIONS_ERASED, tenant, json!({ "collections": collections }))
}
