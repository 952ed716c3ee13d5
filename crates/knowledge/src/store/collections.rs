use plasma_kernel::{CollectionId, Error, Page, PageRequest, QuotaResource, Result, TenantId};
use plasma_store::{Row, Sql, Tx, page_key};

use crate::{Collection, FieldDeclarations, KnowledgeCounts, RankingSettings, index::language::Language};

/// A collection with what only the engine needs.
#[derive(Clone, Debug)]
pub(crate) struct StoredCollection {
    pub(crate) collection: Collection,
    /// Numbers in a vector; `None` until the first one was made.
    pub(crate) dimensions: Option<usize>,
    /// Documents that not everybody may see. The collection's counts have them too.
    pub(crate) restricted: u64,
    /// Of the vectors that are searched: another one for each embedding model that the collection has had.
    pub(crate) generation: u64,
}

impl AsRef<Self> for StoredCollection {
    fn as_ref(&self) -> &Self {
        self
    }
}

impl StoredCollection {
    /// The language that documents are taken for when their own cannot be told.
    pub(crate) fn language(&self) -> Language {
        self.collection.language.as_deref().and_then(Language::from_code).unwrap_or_default()
    }
}

/// How a transaction changes a collection's counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct CountChange {
    pub(crate) documents: i64,
    pub(crate) ready: i64,
    pub(crate) failed: i64,
    pub(crate) passages: i64,
    pub(crate) restricted: i64,
}

fn from_row(row: &Row) -> Result<StoredCollection> {
    let dimensions: Option<i64> = row.get("dimensions")?;
    Ok(StoredCollection {
        dimensions: dimensions.and_then(|dimensions| usize::try_from(dimensions).ok()),
        restricted: row.get("restricted_count")?,
        generation: row.get("embedding_generation")?,
        collection: Collection {
            id: row.get("id")?,
            name: row.get("name")?,
            description: row.get("description")?,
            embedding_model: row.get("embedding_model")?,
            ranking: ranking_from(&row.get::<String>("ranking")?)?,
            fields: fields_from(&row.get::<String>("fields")?)?,
            language: row.get("language")?,
            document_count: row.get("document_count")?,
            ready_count: row.get("ready_count")?,
            failed_count: row.get("failed_count")?,
            chunk_count: row.get("passage_count")?,
            recall_target: row.get("recall_target")?,
            created_at: row.get("created_at")?,
            updated_at: row.get("updated_at")?,
        },
    })
}

fn ranking_from(text: &str) -> Result<RankingSettings> {
    serde_json::from_str(text).map_err(|error| Error::from_source("column ranking", error))
}

fn fields_from(text: &str) -> Result<FieldDeclarations> {
    serde_json::from_str(text).map_err(|error| Error::from_source("column fields", error))
}

fn fields_text(fields: &FieldDeclarations) -> Result<String> {
    serde_json::to_string(fields).map_err(|error| Error::from_source("declared fields to JSON", error))
}

/// Refuses when the tenant's plan does not allow one more.
pub(crate) async fn insert(tx: &mut Tx, collection: &Collection) -> Result<()> {
    let tenant = tx.tenant()?;
    tx.take_quota(QuotaResource::Collections, 1).await?;
    tx.execute(
        "INSERT INTO collections (tenant_id, id, name, description, embedding_model, recall_target, created_at, updated_at,
                                  fields, language)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $7, $8, $9)",
        [
            tenant.into(),
            collection.id.into(),
            collection.name.as_str().into(),
            collection.description.as_str().into(),
            collection.embedding_model.as_str().into(),
            collection.recall_target.into(),
            collection.created_at.into(),
            fields_text(&collection.fields)?.into(),
            collection.language.as_deref().into(),
        ],
    )
    .await?;
    Ok(())
}

/// The collection with this id or exact name. A name that looks like another collection's id does not win over the id.
pub(crate) async fn by_reference(tx: &mut Tx, reference: &str) -> Result<Option<StoredCollection>> {
    let tenant = tx.tenant()?;
    tx.fetch_optional(
        "SELECT * FROM collections WHERE tenant_id = $1 AND (id = $2 OR name = $2)
         ORDER BY CASE WHEN id = $2 THEN 0 ELSE 1 END LIMIT 1",
        [tenant.into(), reference.into()],
    )
    .await?
    .as_ref()
    .map(from_row)
    .transpose()
}

/// The collection, held until the transaction ends. SQLite has one writer: there it is held anyway.
pub(crate) async fn lock(tx: &mut Tx, id: CollectionId) -> Result<Option<StoredCollection>> {
    const LOCK: Sql = Sql::each(
        "SELECT * FROM collections WHERE tenant_id = $1 AND id = $2",
        "SELECT * FROM collections WHERE tenant_id = $1 AND id = $2 FOR UPDATE",
    );
    let tenant = tx.tenant()?;
    tx.fetch_optional(LOCK, [tenant.into(), id.into()]).await?.as_ref().map(from_row).transpose()
}

pub(crate) async fn list(tx: &mut Tx, page: &PageRequest) -> Result<Page<StoredCollection>> {
    let tenant = tx.tenant()?;
    let rows = tx
        .fetch_all(
            "SELECT * FROM collections WHERE tenant_id = $1 AND id < $2 ORDER BY id DESC LIMIT $3",
            [tenant.into(), page_key(page.cursor.as_deref()).into(), page.fetch_limit().into()],
        )
        .await?;
    let collections = rows.iter().map(from_row).collect::<Result<Vec<_>>>()?;
    Ok(Page::from_rows(collections, page.limit, |stored| stored.collection.id.to_string()))
}

pub(crate) async fn count(tx: &mut Tx) -> Result<u64> {
    let tenant = tx.tenant()?;
    tx.fetch_one("SELECT COUNT(*) AS number FROM collections WHERE tenant_id = $1", [tenant.into()])
        .await?
        .get("number")
}

/// Counts of the tenant, and how many of the documents not everybody may see.
pub(crate) async fn counts(tx: &mut Tx) -> Result<(KnowledgeCounts, u64)> {
    let tenant = tx.tenant()?;
    let row = tx
        .fetch_one(
            "SELECT COUNT(*) AS collections, CAST(COALESCE(SUM(document_count), 0) AS BIGINT) AS documents,
                    CAST(COALESCE(SUM(passage_count), 0) AS BIGINT) AS passages,
                    CAST(COALESCE(SUM(restricted_count), 0) AS BIGINT) AS restricted
             FROM collections WHERE tenant_id = $1",
            [tenant.into()],
        )
        .await?;
    let counts = KnowledgeCounts {
        collections: row.get("collections")?,
        documents: row.get("documents")?,
        passages: row.get("passages")?,
    };
    Ok((counts, row.get("restricted")?))
}

pub(crate) async fn update(tx: &mut Tx, collection: &Collection) -> Result<()> {
    let tenant = tx.tenant()?;
    tx.execute(
        "UPDATE collections SET name = $3, description = $4, recall_target = $5, updated_at = $6, fields = $7, language = $8
         WHERE tenant_id = $1 AND id = $2",
        [
            tenant.into(),
            collection.id.into(),
            collection.name.as_str().into(),
            collection.description.as_str().into(),
            collection.recall_target.into(),
            collection.updated_at.into(),
            fields_text(&collection.fields)?.into(),
            collection.language.as_deref().into(),
        ],
    )
    .await?;
    Ok(())
}

/// Replaces how a collection's results are ranked.
pub(crate) async fn set_ranking(tx: &mut Tx, id: CollectionId, ranking: &RankingSettings) -> Result<()> {
    let tenant = tx.tenant()?;
    let ranking = serde_json::to_string(ranking).map_err(|error| Error::from_source("ranking to JSON", error))?;
    tx.execute(
        "UPDATE collections SET ranking = $3 WHERE tenant_id = $1 AND id = $2",
        [tenant.into(), id.into(), ranking.into()],
    )
    .await?;
    Ok(())
}

pub(crate) async fn delete(tx: &mut Tx, id: CollectionId) -> Result<()> {
    let tenant = tx.tenant()?;
    let deleted =
        tx.execute("DELETE FROM collections WHERE tenant_id = $1 AND id = $2", [tenant.into(), id.into()]).await?;
    tx.give_back_quota(QuotaResource::Collections, deleted).await
}

/// Removes up to `limit` collections of a tenant that is erased, in a transaction across tenants, and returns them.
pub(crate) async fn erase_some(tx: &mut Tx, tenant: TenantId, limit: u32) -> Result<Vec<CollectionId>> {
    let rows = tx
        .fetch_all(
            "DELETE FROM collections WHERE tenant_id = $1
               AND id IN (SELECT id FROM collections WHERE tenant_id = $1 ORDER BY id LIMIT $2) RETURNING id",
            [tenant.into(), limit.into()],
        )
        .await?;
    rows.iter().map(|row| row.get("id")).collect()
}

/// A page of all tenants' collections that have vectors, after the given one.
pub(crate) async fn with_vectors(
    tx: &mut Tx,
    after: Option<(TenantId, CollectionId)>,
    limit: u32,
) -> Result<Vec<(TenantId, CollectionId)>> {
    let (tenant, collection) = match after {
        Some((tenant, collection)) => (tenant.to_string(), collection.to_string()),
        None => (String::new(), String::new()),
    };
    let rows = tx
        .fetch_all(
            "SELECT tenant_id, id FROM collections
             WHERE (tenant_id, id) > ($1, $2) AND dimensions IS NOT NULL AND passage_count > 0
             ORDER BY tenant_id, id LIMIT $3",
            [tenant.into(), collection.into(), limit.into()],
        )
        .await?;
    rows.iter().map(|row| Ok((row.get("tenant_id")?, row.get("id")?))).collect()
}

/// Applies a change of the counts to a locked collection.
pub(crate) async fn adjust(tx: &mut Tx, id: CollectionId, change: CountChange) -> Result<()> {
    let tenant = tx.tenant()?;
    let now = tx.ctx().now();
    tx.execute(
        "UPDATE collections SET document_count = document_count + $3, ready_count = ready_count + $4,
                failed_count = failed_count + $5, passage_count = passage_count + $6, updated_at = $7,
                restricted_count = restricted_count + $8
         WHERE tenant_id = $1 AND id = $2",
        [
            tenant.into(),
            id.into(),
            change.documents.into(),
            change.ready.into(),
            change.failed.into(),
            change.passages.into(),
            now.into(),
            change.restricted.into(),
        ],
    )
    .await?;
    Ok(())
}

/// Sets the number of dimensions of a generation's vectors unless it is known, and returns the one that holds. `None` when the
/// collection is gone or has vectors of another generation now.
pub(crate) async fn settle_dimensions(
    tx: &mut Tx,
    id: CollectionId,
    generation: u64,
    dimensions: usize,
) -> Result<Option<usize>> {
    let tenant = tx.tenant()?;
    let row = tx
        .fetch_optional(
            "UPDATE collections SET dimensions = COALESCE(dimensions, $3)
             WHERE tenant_id = $1 AND id = $2 AND embedding_generation = $4 RETURNING dimensions",
            [tenant.into(), id.into(), dimensions.into(), i64::try_from(generation).unwrap_or(i64::MAX).into()],
        )
        .await?;
    row.map(|row| row.get("dimensions")).transpose()
}
