//! The routes of content documents.

mod documents;
mod drafts;
mod revisions;

use utoipa_axum::{router::OpenApiRouter, routes};

use crate::Content;

/// `/api/v1/content`.
pub fn routes() -> OpenApiRouter<Content> {
    OpenApiRouter::new()
        .routes(routes!(drafts::draft_content))
        .routes(routes!(documents::list_content, documents::create_content))
        .routes(routes!(documents::get_content, documents::edit_content, documents::delete_content))
        .routes(routes!(documents::restore_content))
        .routes(routes!(revisions::list_content_revisions))
        .routes(routes!(revisions::get_content_revision))
        .routes(routes!(revisions::diff_content_revisions))
}
