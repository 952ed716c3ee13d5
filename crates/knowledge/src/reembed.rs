//! Changing a collection's embedding model while it is searched.
//!
//! A durable step embeds all searchable passages with the new model; the vectors stand beside the old ones, which searches use until one
//! transaction makes the new ones count. What was added or replaced meanwhile is embedded before that. Nothing is lost when the
//! program is killed: vectors are kept batch by batch, and the step goes on with what lacks them.

pub(crate) mod settle;
pub(crate) mod work;

use plasma_kernel::{CollectionId, Ctx, Error, Permission, Result};
use plasma_workflows::enqueue;

use crate::{
    Knowledge, NewReembedding, Reembedding, ReembeddingState,
    collections::not_found,
    events, limits,
    steps::{ReembedCollection, SettleVectors},
    store::{
        collections, placements,
        reembeddings::{self, StoredReembedding},
    },
};

fn no_reembedding(id: CollectionId) -> Error {
    Error::not_found("reembedding_not_found", format!("the embedding model of collection {id} was never changed"))
}

impl Knowledge {
    /// Begins to embed a collection with another model in the background. Searches go on with the present one until all passages
    /// have vectors of the new one.
    ///
    /// # Errors
    /// `forbidden` without `collections:write`; `not_found` for the collection or (`model_not_found`) the model; `invalid`
    /// (`model`) for a model that does not embed; `conflict` while another change runs (`reembedding_running`), or when the vectors are
    /// on search nodes (`collection_on_search_nodes`).
    pub async fn begin_reembedding(&self, ctx: &Ctx, id: CollectionId, new: NewReembedding) -> Result<Reembedding> {
        ctx.require(Permission::CollectionsWrite)?;
        if new.model.is_empty() || new.model.chars().count() > limits::MODEL_NAME_CHARS_MAX {
            let message = format!("must have 1 to {} characters", limits::MODEL_NAME_CHARS_MAX);
            return Err(Error::invalid("model", message));
        }
        // It must be there and embed; whether its weights are is seen when it works.
        self.models().embedding_dimensions(ctx, &new.model).await.map_err(|error| match error.reason() {
            "model_not_found" => error.field("model"),
            _ => error,
        })?;
        let mut tx = self.store().begin(ctx).await?;
        let Some(stored) = collections::lock(&mut tx, id).await? else { return Err(not_found(&id.to_string())) };
        if placements::of(&mut tx, id).await?.places().any(|place| !place.is_in_process()) {
            let message = "the collection's vectors are on search nodes, or on their way: they keep their model";
            return Err(Error::conflict("collection_on_search_nodes", message).remedy(
                "move it to the processes' own indexes (`placement` null), change the model, and move it back",
            ));
        }
        let before = reembeddings::newest(&mut tx, id).await?;
        if before.is_some_and(|before| before.reembedding.state == ReembeddingState::Running) {
            return Err(Error::conflict(
                "reembedding_running",
                "the collection is being embedded with another model already",
            )
            .remedy("wait until that has ended, or cancel it"));
        }
        let generation = reembeddings::next_generation(&mut tx, id).await?;
        reembeddings::insert(&mut tx, id, generation, &new.model).await?;
        let begun = newest(&mut tx, id).await?.reembedding;
        tx.emit(events::reembedding(events::COLLECTION_REEMBEDDING, &stored.collection.name, &begun)).await?;
        enqueue(&mut tx, &ReembedCollection { collection: id, generation }, &id.to_string(), None).await?;
        self.commit(tx).await?;
        Ok(begun)
    }

    /// The last change of a collection's embedding model, running or ended.
    ///
    /// # Errors
    /// `forbidden` without `collections:read`; `not_found` for the collection, or (`reembedding_not_found`) when it never had one.
    pub async fn reembedding(&self, ctx: &Ctx, id: CollectionId) -> Result<Reembedding> {
        let collection = self.get_collection(ctx, &id.to_string()).await?.id;
        Ok(newest(&mut self.store().read(ctx).await?, collection).await?.reembedding)
    }

    /// Gives a running change up: searches go on with the model from before, and the new vectors are forgotten. Nothing happens to one
    /// that has ended.
    ///
    /// # Errors
    /// `forbidden` without `collections:write`; `not_found` as for [`Knowledge::reembedding`].
    pub async fn cancel_reembedding(&self, ctx: &Ctx, id: CollectionId) -> Result<Reembedding> {
        ctx.require(Permission::CollectionsWrite)?;
        let mut tx = self.store().begin(ctx).await?;
        if collections::lock(&mut tx, id).await?.is_none() {
            return Err(not_found(&id.to_string()));
        }
        let running = newest(&mut tx, id).await?;
        give_up(&mut tx, &running.reembedding, ReembeddingState::Cancelled, None).await?;
        let ended = newest(&mut tx, id).await?.reembedding;
        self.commit(tx).await?;
        Ok(ended)
    }
}

async fn newest(tx: &mut plasma_store::Tx, id: CollectionId) -> Result<StoredReembedding> {
    reembeddings::newest(tx, id).await?.ok_or_else(|| no_reembedding(id))
}

/// Ends a change that runs, with its event, and has its vectors removed.
async fn give_up(
    tx: &mut plasma_store::Tx,
    reembedding: &Reembedding,
    state: ReembeddingState,
    error: Option<&crate::DocumentError>,
) -> Result<()> {
    let (collection, generation) = (reembedding.collection_id, reembedding.generation);
    if !reembeddings::end(tx, collection, generation, state, error).await? {
        return Ok(());
    }
    let reason = error.map(|error| error.reason.as_str());
    tx.emit(events::reembedding_ended(reembedding, state, reason)).await?;
    enqueue(tx, &SettleVectors { collection, generation }, &collection.to_string(), None).await?;
    Ok(())
}
