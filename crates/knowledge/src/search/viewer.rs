//! For whom a search is made.

use std::collections::HashSet;

use plasma_kernel::{CollectionId, Ctx, Error, KnowledgeDocumentId, Permission, Result, UserId};

use super::SearchAnswer;
use crate::{Knowledge, access::Viewer, store::access};

impl Knowledge {
    /// Whoever acts, or the person on whose behalf they search.
    ///
    /// # Errors
    /// `forbidden` without `documents:read_all`, `not_found` for the person, `unavailable` when nobody knows the people.
    pub(super) async fn viewer(&self, ctx: &Ctx, on_behalf_of: Option<UserId>) -> Result<Viewer> {
        let Some(user) = on_behalf_of else { return Ok(Viewer::of(ctx)) };
        ctx.require(Permission::DocumentsReadAll)?;
        let people = self.people().ok_or_else(|| {
            Error::unavailable("people_unknown", "this process does not know the people of the workspace")
                .field("on_behalf_of")
        })?;
        let person = people.person(ctx, user).await.map_err(|error| error.field("on_behalf_of"))?;
        if person.permissions.contains(Permission::DocumentsReadAll) {
            return Ok(Viewer::All);
        }
        Ok(Viewer::Reader { user: Some(user), teams: person.teams })
    }

    /// How many results of an answer for someone who sees all the viewer does not see.
    pub(super) async fn withheld(
        &self,
        ctx: &Ctx,
        collection: CollectionId,
        all: &SearchAnswer,
        viewer: &Viewer,
    ) -> Result<u64> {
        let documents: HashSet<KnowledgeDocumentId> = all.results.iter().map(|hit| hit.document_id).collect();
        let restricted = access::restricted_among(&mut self.store().read(ctx).await?, collection, documents).await?;
        let hidden = all.results.iter().filter(|hit| {
            let access = restricted.get(&hit.document_id);
            !viewer.may_see(access)
        });
        Ok(hidden.count() as u64)
    }
}
