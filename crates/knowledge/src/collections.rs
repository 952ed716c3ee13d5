use std::{collections::HashMap, sync::Arc};

use plasma_kernel::{CollectionId, Ctx, Error, Page, PageRequest, Permission, Result};
use plasma_workflows::enqueue;

use crate::{
    Collection, CollectionChange, Knowledge, KnowledgeCounts, NewCollection, RankingSettings,
    access::Viewer,
    events,
    index::language::Language,
    limits, metadata,
    nodes::moving,
    steps::PurgeCollection,
    store::{
        access::{self, Hidden},
        collections::{self, StoredCollection},
        placements, reembeddings, synonyms,
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

fn check_language(language: &str) -> Result<()> {
    Language::parse("language", language).map(drop)
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

/// A collection with the counts of someone who does not see all of its documents.
fn as_seen(mut collection: Collection, hidden: &HashMap<CollectionId, Hidden>) -> Collection {
    if let Some(hidden) = hidden.get(&collection.id) {
        collection.document_count = collection.document_count.saturating_sub(hidden.documents);
        collection.ready_count = collection.ready_count.saturating_sub(hidden.ready);
        collection.failed_count = collection.failed_count.saturating_sub(hidden.failed);
        collection.chunk_count = collection.chunk_count.saturating_sub(hidden.passages);
    }
    collection
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
        let fields = new.fields.unwrap_or_default();
        check_name(&new.name)?;
        check_description(&description)?;
        metadata::check_declarations(&fields)?;
        let recall_target = new.recall_target.unwrap_or(limits::RECALL_TARGET_DEFAULT);
        check_recall_target(recall_target)?;
        new.language.as_deref().map_or(Ok(()), check_language)?;
        let model = self.models().embedding_model_default()?;
        let now = ctx.now();
        let collection = Collection {
            id: CollectionId::new(ctx),
            name: new.name,
            description,
            embedding_model: model.to_owned(),
            ranking: RankingSettings::default(),
            fields,
            language: new.language,
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
        let stored = match cache.page(page) {
            Some(stored) => stored,
            None => {
                let stored = collections::list(&mut self.store().read(ctx).await?, page).await?;
                cache.remember_page(page, stored.clone());
                stored
            }
        };
        let hidden = self.hidden(ctx, &stored.data).await?;
        Ok(stored.map(|stored| as_seen(stored.collection, &hidden)))
    }

    /// The collection with this id or exact name.
    ///
    /// # Errors
    /// `forbidden` without `collections:read`, `not_found`.
    pub async fn get_collection(&self, ctx: &Ctx, reference: &str) -> Result<Collection> {
        ctx.require(Permission::CollectionsRead)?;
        let stored = self.collection(ctx, reference).await?;
        let hidden = self.hidden(ctx, std::slice::from_ref(&stored)).await?;
        Ok(as_seen(stored.collection.clone(), &hidden))
    }

    /// What the counts of these collections have too much for whoever acts: documents that they may not see.
    async fn hidden<S: AsRef<StoredCollection>>(
        &self,
        ctx: &Ctx,
        stored: &[S],
    ) -> Result<HashMap<CollectionId, Hidden>> {
        let restricted = |stored: &S| {
            let stored: &StoredCollection = stored.as_ref();
            (stored.restricted > 0).then_some(stored.collection.id)
        };
        let restricted: Vec<CollectionId> = stored.iter().filter_map(restricted).collect();
        let Some(readers) = Viewer::of(ctx).readers().filter(|_| !restricted.is_empty()) else {
            return Ok(HashMap::new());
        };
        access::hidden(&mut self.store().read(ctx).await?, Some(restricted), readers).await
    }

    /// Changes a collection's name, description, language, declared fields, recall target, or how its results are ranked, or begins to
    /// move its vectors.
    ///
    /// # Errors
    /// `forbidden` without `collections:write`, `not_found`, `invalid` naming the field, `conflict`
    /// (`collection_name_taken`, `search_node_dimensions`, `search_nodes_not_configured`).
    pub async fn update_collection(&self, ctx: &Ctx, id: CollectionId, change: CollectionChange) -> Result<Collection> {
        ctx.require(Permission::CollectionsWrite)?;
        change.name.as_deref().map_or(Ok(()), check_name)?;
        change.description.as_deref().map_or(Ok(()), check_description)?;
        change.fields.as_ref().map_or(Ok(()), metadata::check_declarations)?;
        change.language.as_deref().map_or(Ok(()), check_language)?;
        change.recall_target.map_or(Ok(()), check_recall_target)?;
        change.ranking.as_ref().map_or(Ok(()), RankingSettings::check)?;
        let mut tx = self.store().begin(ctx).await?;
        let Some(mut stored) = collections::lock(&mut tx, id).await? else { return Err(not_found(&id.to_string())) };
        let before = events::state_of_collection(&stored.collection);
        let CollectionChange { name, description, language, fields, recall_target, ranking, placement } = change;
        let mut changes = name.is_some() || description.is_some() || fields.is_some() || recall_target.is_some();
        let dimensions = stored.dimensions;
        let collection = &mut stored.collection;
        if let Some(choice) = placement {
            moving::begin(self, &mut tx, collection, dimensions, choice).await?;
            changes = true;
        }
        if let Some(name) = name {
            collection.name = name;
        }
        if let Some(description) = description {
            collection.description = description;
        }
        if language.is_some() {
            collection.language = language;
            changes = true;
        }
        if let Some(fields) = fields {
            collection.fields = fields;
        }
        if let Some(recall_target) = recall_target {
            collection.recall_target = recall_target;
        }
        if let Some(ranking) = ranking {
            collections::set_ranking(&mut tx, id, &ranking).await?;
            collection.ranking = ranking;
            changes = true;
        }
        if changes {
            collection.updated_at = ctx.now();
            collections::update(&mut tx, collection).await.map_err(|error| name_taken(error, &collection.name))?;
            let event = events::collection(events::COLLECTION_UPDATED, collection.id, &collection.name);
            tx.emit(event.changed(before, events::state_of_collection(collection))).await?;
            self.commit(tx).await?;
        } else {
            // Another connection counts what is hidden: this one must not wait for it.
            drop(tx);
        }
        let hidden = self.hidden(ctx, std::slice::from_ref(&stored)).await?;
        Ok(as_seen(stored.collection, &hidden))
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
        synonyms::delete(&mut tx, id).await?;
        reembeddings::delete_of(&mut tx, id).await?;
        placements::delete(&mut tx, id).await?;
        tx.emit(events::collection(events::COLLECTION_DELETED, id, &stored.collection.name)).await?;
        enqueue(&mut tx, &PurgeCollection { collection: id }, &id.to_string(), None).await?;
        self.commit_searchable(tx).await
    }

    /// How many collections, documents and passages the tenant has, as far as whoever asks may see them.
    ///
    /// # Errors
    /// `forbidden` without `collections:read`.
    pub async fn counts(&self, ctx: &Ctx) -> Result<KnowledgeCounts> {
        ctx.require(Permission::CollectionsRead)?;
        let mut tx = self.store().read(ctx).await?;
        let (mut counts, restricted) = collections::counts(&mut tx).await?;
        if let Some(readers) = Viewer::of(ctx).readers().filter(|_| restricted > 0) {
            for hidden in access::hidden(&mut tx, None, readers).await?.values() {
                counts.documents = counts.documents.saturating_sub(hidden.documents);
                counts.passages = counts.passages.saturating_sub(hidden.passages);
            }
        }
        Ok(counts)
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
