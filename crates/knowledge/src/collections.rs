use std::sync::Arc;

use plasma_kernel::{CollectionId, Ctx, Error, Page, PageRequest, Permission, Result};
use plasma_workflows::enqueue;

use crate::{
    Collection, CollectionChange, Knowledge, KnowledgeCounts, NewCollection, events, limits,
    nodes::moving,
    steps::PurgeCollection,
    store::{
        collections::{self, StoredCollection},
        placements,
    },
};

fn check_name(name: &str) -> Result<()> {
    let characters = name.chars().count();
    if name.trim().is_empty() || characters > limits::COLLECTION_NAME_CHARS_MAX {
        return Err(Error::invalid(
            "name",
            format!("must have 1 to {} characters, not only spaces", limits::COLLECTION_NAME_CHARS_MAX),
        ));
    }
    if name.chars().any(char::is_control) {
        return Err(Error::invalid("name", "must not contain control characters"));
    }
    // A name must never be taken for another collection's id.
    if name.parse::<CollectionId>().is_ok() {
        return Err(Error::invalid("name", "must not have the form of a collection's id"));
    }
    Ok(())
}

fn check_description(description: &str) -> Result<()> {
    if description.chars().count() > limits::COLLECTION_DESCRIPTION_CHARS_MAX {
        return Err(Error::invalid(
            "description",
            format!("must have at most {} characters", limits::COLLECTION_DESCRIPTION_CHARS_MAX),
        ));
    }
    if description.contains('\0') {
        return Err(Error::invalid("description", "must not contain NUL characters"));
    }
    Ok(())
}

fn check_recall_target(target: f64) -> Result<()> {
    let range = limits::RECALL_TARGET_MIN..=limits::RECALL_TARGET_MAX;
    if range.contains(&target) {
        return Ok(());
    }
    Err(Error::invalid("recall_target", format!("must be {} to {}, got {target}", range.start(), range.end())))
}

fn name_taken(error: Error, name: &str) -> Error {
    if error.reason() == "already_exists" {
        return Error::conflict("collection_name_taken", format!("there is a collection named `{name}` already"))
            .field("name");
    }
    error
}

pub(crate) fn not_found(reference: &str) -> Error {
    // What was asked for may be long and hostile.
    let shown: String = reference.chars().filter(|character| !character.is_control()).take(100).collect();
    Error::not_found("collection_not_found", format!("there is no collection `{shown}`"))
        .remedy("name a collection by its id or its exact name; GET /api/v1/collections lists them")
}

impl Knowledge {
    /// Makes a collection, for the default embedding model.
    ///
    /// # Errors
    /// `forbidden` without `collections:write`; `invalid` naming the field; `conflict` (`collection_name_taken`);
    /// `too_large` beyond 10,000 collections.
    pub async fn create_collection(&self, ctx: &Ctx, new: NewCollection) -> Result<Collection> {
        ctx.require(Permission::CollectionsWrite)?;
        let description = new.description.unwrap_or_default();
        check_name(&new.name)?;
        check_description(&description)?;
        let recall_target = new.recall_target.unwrap_or(limits::RECALL_TARGET_DEFAULT);
        check_recall_target(recall_target)?;
        let model = self.models().embedding_model_default()?;
        let now = ctx.now();
        let collection = Collection {
            id: CollectionId::new(ctx),
            name: new.name,
            description,
            embedding_model: model.to_owned(),
            document_count: 0,
            ready_count: 0,
            failed_count: 0,
            chunk_count: 0,
            recall_target,
            created_at: now,
            updated_at: now,
        };
        let mut tx = self.store().begin(ctx).await?;
        if collections::count(&mut tx).await? >= limits::COLLECTIONS_MAX {
            return Err(Error::too_large(
                "name",
                format!("a workspace has at most {} collections", limits::COLLECTIONS_MAX),
            ));
        }
        collections::insert(&mut tx, &collection).await.map_err(|error| name_taken(error, &collection.name))?;
        tx.emit(events::collection(events::COLLECTION_CREATED, collection.id, &collection.name)).await?;
        self.commit(tx).await?;
        Ok(collection)
    }

    /// A page of the tenant's collections, newest first.
    ///
    /// # Errors
    /// `forbidden` without `collections:read`.
    pub async fn list_collections(&self, ctx: &Ctx, page: &PageRequest) -> Result<Page<Collection>> {
        ctx.require(Permission::CollectionsRead)?;
        let cache = self.caches().of(ctx.tenant()?);
        if let Some(page) = cache.page(page) {
            return Ok(page);
        }
        let collections = collections::list(&mut self.store().read(ctx).await?, page).await?;
        cache.remember_page(page, collections.clone());
        Ok(collections)
    }

    /// The collection with this id or exact name.
    ///
    /// # Errors
    /// `forbidden` without `collections:read`, `not_found`.
    pub async fn get_collection(&self, ctx: &Ctx, reference: &str) -> Result<Collection> {
        ctx.require(Permission::CollectionsRead)?;
        Ok(self.collection(ctx, reference).await?.collection.clone())
    }

    /// Changes a collection's name, description or recall target, or begins to move its vectors.
    ///
    /// # Errors
    /// `forbidden` without `collections:write`, `not_found`, `invalid` naming the field, `conflict`
    /// (`collection_name_taken`, `search_node_dimensions`), `unavailable` (`search_nodes_not_configured`).
    pub async fn update_collection(&self, ctx: &Ctx, id: CollectionId, change: CollectionChange) -> Result<Collection> {
        ctx.require(Permission::CollectionsWrite)?;
        change.name.as_deref().map_or(Ok(()), check_name)?;
        change.description.as_deref().map_or(Ok(()), check_description)?;
        change.recall_target.map_or(Ok(()), check_recall_target)?;
        let mut tx = self.store().begin(ctx).await?;
        let Some(stored) = collections::lock(&mut tx, id).await? else { return Err(not_found(&id.to_string())) };
        let mut collection = stored.collection;
        if let Some(choice) = change.placement {
            moving::begin(self, &mut tx, &collection, stored.dimensions, choice).await?;
        } else if change.name.is_none() && change.description.is_none() && change.recall_target.is_none() {
            return Ok(collection);
        }
        collection.name = change.name.unwrap_or(collection.name);
        collection.description = change.description.unwrap_or(collection.description);
        collection.recall_target = change.recall_target.unwrap_or(collection.recall_target);
        collection.updated_at = ctx.now();
        collections::update(&mut tx, &collection).await.map_err(|error| name_taken(error, &collection.name))?;
        tx.emit(events::collection(events::COLLECTION_UPDATED, collection.id, &collection.name)).await?;
        self.commit(tx).await?;
        Ok(collection)
    }

    /// Deletes a collection with all of its documents. It is hidden at once; a background step removes what it held.
    ///
    /// # Errors
    /// `forbidden` without `collections:write`, `not_found`.
    pub async fn delete_collection(&self, ctx: &Ctx, id: CollectionId) -> Result<()> {
        ctx.require(Permission::CollectionsWrite)?;
        let mut tx = self.store().begin(ctx).await?;
        let Some(stored) = collections::lock(&mut tx, id).await? else { return Err(not_found(&id.to_string())) };
        collections::delete(&mut tx, id).await?;
        placements::delete(&mut tx, id).await?;
        tx.emit(events::collection(events::COLLECTION_DELETED, id, &stored.collection.name)).await?;
        enqueue(&mut tx, &PurgeCollection { collection: id }, &id.to_string(), None).await?;
        self.commit_searchable(tx).await
    }

    /// How many collections, documents and passages the tenant has.
    ///
    /// # Errors
    /// `forbidden` without `collections:read`.
    pub async fn counts(&self, ctx: &Ctx) -> Result<KnowledgeCounts> {
        ctx.require(Permission::CollectionsRead)?;
        collections::counts(&mut self.store().read(ctx).await?).await
    }

    /// The collection with this id or exact name, from memory when it was asked for before.
    pub(crate) async fn collection(&self, ctx: &Ctx, reference: &str) -> Result<Arc<StoredCollection>> {
        if reference.chars().count() > limits::COLLECTION_NAME_CHARS_MAX {
            return Err(not_found(reference));
        }
        let cache = self.caches().of(ctx.tenant()?);
        if let Some(collection) = cache.collection(reference) {
            return Ok(collection);
        }
        let found = collections::by_reference(&mut self.store().read(ctx).await?, reference).await?;
        let collection = Arc::new(found.ok_or_else(|| not_found(reference))?);
        cache.remember_collection(reference, Arc::clone(&collection));
        Ok(collection)
    }
}
