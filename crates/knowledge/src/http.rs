//! The routes of collections, documents, search and answers.

mod access;
mod ask;
mod collection_index;
mod collections;
mod documents;
mod nodes;
mod reembed;
mod search;
mod synonyms;
mod upload;

use axum::extract::DefaultBodyLimit;
use utoipa_axum::{
    router::{OpenApiRouter, UtoipaMethodRouterExt as _},
    routes,
};

use crate::{Knowledge, limits};

pub use ask::{AskStreamEvent, ask_event};

/// Reads a form or JSON as the route that brings documents does: for fuzzing only.
#[cfg(fuzzing)]
#[doc(hidden)]
pub async fn read_upload(request: axum::extract::Request) -> bool {
    upload::read(request).await.is_ok()
}

/// `/api/v1/collections`, `/api/v1/search` and `/api/v1/ask`.
pub fn routes() -> OpenApiRouter<Knowledge> {
    let upload = routes!(documents::add_document).layer(DefaultBodyLimit::max(limits::UPLOAD_BYTES_MAX));
    OpenApiRouter::new()
        .routes(routes!(collections::list_collections, collections::create_collection))
        .routes(routes!(collections::get_collection, collections::update_collection, collections::delete_collection))
        .routes(routes!(collection_index::get_collection_index))
        .routes(routes!(reembed::get_reembedding, reembed::begin_reembedding, reembed::cancel_reembedding))
        .routes(routes!(nodes::get_collection_placement))
        .routes(routes!(nodes::cancel_collection_move))
        .routes(routes!(documents::list_documents))
        .routes(upload)
        .routes(routes!(documents::get_document, documents::delete_document))
        .routes(routes!(documents::get_document_text))
        .routes(routes!(documents::get_document_file))
        .routes(routes!(documents::retry_document))
        .routes(routes!(access::change_document_access))
        .routes(routes!(synonyms::get_synonyms, synonyms::put_synonyms))
        .routes(routes!(search::search))
        .routes(routes!(nodes::list_search_nodes))
        .routes(routes!(ask::ask))
}
