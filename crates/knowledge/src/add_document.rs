use bytes::Bytes;
use plasma_kernel::{CollectionId, Ctx, Error, KnowledgeDocumentId, Permission, Result};
use plasma_store::Tx;
use plasma_workflows::enqueue;

use crate::{
    Access, Document, Knowledge, Metadata, NewContent, NewDocument,
    collections::not_found,
    documents::visible,
    index::language::Language,
    limits, metadata,
    parse::{self, Format},
    steps::PurgeVersions,
    store::{
        access, collections, documents,
        versions::{self, NewVersion},
    },
};

/// A document that was checked, with its bytes stored.
struct Brought {
    key: Option<String>,
    title: String,
    title_is_guessed: bool,
    file_name: Option<String>,
    media_type: String,
    size_bytes: usize,
    metadata: Metadata,
    access: Option<Access>,
    language: Option<String>,
    /// A new id: that of the document if it is new, and the name of the blob in any case.
    id: KnowledgeDocumentId,
}

impl Brought {
    fn blob(&self) -> String {
        format!("knowledge/{}", self.id)
    }
}

impl Knowledge {
    /// Adds a document to a collection, or replaces the one with the same key. Its bytes are stored when this returns; it is
    /// read in the background.
    ///
    /// # Errors
    /// `forbidden` without `collections:write`, and with `access` without `documents:write`; `not_found` for the collection;
    /// `invalid` naming the field; `too_large` for a file over 25 MiB or beyond 10,000,000 documents; `conflict`
    /// (`document_key_taken`) when the key is that of a document that the caller may not see; `unavailable` when the storage
    /// fails.
    pub async fn add_document(&self, ctx: &Ctx, collection: CollectionId, mut new: NewDocument) -> Result<Document> {
        ctx.require(Permission::CollectionsWrite)?;
        if new.access.is_some() {
            ctx.require(Permission::DocumentsWrite)?;
        }
        let stored = self.collection(ctx, &collection.to_string()).await?;
        check(&new)?;
        metadata::conform(&mut new.metadata, &stored.collection.fields)?;
        new.access = new.access.map(Access::tidied).transpose()?;
        let (brought, bytes) = prepare(ctx, new).await?;
        let blob = brought.blob();
        self.store().blobs().put(ctx, &blob, bytes).await?;
        let recorded = self.record(ctx, collection, brought).await;
        if recorded.is_err()
            && let Err(error) = self.store().blobs().delete(ctx, &blob).await
        {
            tracing::warn!(?error, blob, "a file that no document refers to could not be removed");
        }
        recorded
    }

    async fn record(&self, ctx: &Ctx, collection: CollectionId, brought: Brought) -> Result<Document> {
        let mut tx = self.store().begin(ctx).await?;
        let Some(stored) = collections::lock(&mut tx, collection).await? else {
            return Err(not_found(&collection.to_string()));
        };
        let existing = match &brought.key {
            Some(key) => documents::lock_by_key(&mut tx, collection, key).await?,
            None => None,
        };
        let Some(existing) = existing else {
            if stored.collection.document_count >= limits::DOCUMENTS_MAX {
                return Err(Error::too_large(
                    "collection",
                    format!("a collection has at most {} documents", limits::DOCUMENTS_MAX),
                )
                .remedy("delete documents, or make another collection"));
            }
            let key = brought.key.as_deref();
            documents::insert(&mut tx, brought.id, collection, key, brought.access.as_ref()).await?;
            insert_version(&mut tx, collection, brought.id, 1, &brought).await?;
            return self.enqueue_ingest(tx, collection, brought.id, false).await;
        };
        if !visible(ctx, &existing) {
            return Err(Error::conflict("document_key_taken", "the key is that of a document that you may not see")
                .field("key")
                .remedy("choose another key, or ask whoever manages the collection"));
        }
        let id = existing.document.id;
        let version = existing.version + 1;
        insert_version(&mut tx, collection, id, version, &brought).await?;
        if existing.live_version != Some(existing.version) {
            // The version before was never ready, and never will be.
            let purge = PurgeVersions { document: id, versions: vec![existing.version] };
            enqueue(&mut tx, &purge, &id.to_string(), None).await?;
        }
        documents::requeue(&mut tx, &existing, version).await?;
        let access_changed = brought.access.is_some() && brought.access != existing.document.access;
        if access_changed {
            access::set(&mut tx, &existing, brought.access.as_ref()).await?;
        }
        self.enqueue_ingest(tx, collection, id, access_changed).await
    }
}

async fn insert_version(
    tx: &mut Tx,
    collection: CollectionId,
    document: KnowledgeDocumentId,
    version: u32,
    brought: &Brought,
) -> Result<()> {
    let blob = brought.blob();
    let row = NewVersion {
        document,
        version,
        collection,
        blob: &blob,
        title: &brought.title,
        title_is_guessed: brought.title_is_guessed,
        file_name: brought.file_name.as_deref(),
        media_type: &brought.media_type,
        size_bytes: brought.size_bytes,
        metadata: &brought.metadata,
        language: brought.language.as_deref(),
    };
    versions::insert(tx, row).await
}

fn check(new: &NewDocument) -> Result<()> {
    if let Some(title) = &new.title {
        check_line("title", title, limits::TITLE_CHARS_MAX)?;
    }
    if let Some(key) = &new.key {
        check_line("key", key, limits::KEY_CHARS_MAX)?;
    }
    metadata::check(&new.metadata)?;
    if let Some(language) = &new.language {
        Language::parse("language", language)?;
    }
    let (field, bytes) = match &new.content {
        NewContent::Text { format, text } => (text_field(*format), text.len()),
        NewContent::File { bytes, .. } => ("file", bytes.len()),
    };
    if bytes > limits::FILE_BYTES_MAX {
        return Err(file_too_large(field));
    }
    match &new.content {
        NewContent::Text { format, text } if text.trim().is_empty() => {
            Err(Error::invalid(text_field(*format), "contains no text"))
        }
        _ => Ok(()),
    }
}

pub(crate) fn file_too_large(field: &str) -> Error {
    Error::too_large(field, format!("a document has at most {} MiB", limits::FILE_BYTES_MAX / 1024 / 1024))
        .remedy("split the document into smaller ones")
}

fn text_field(format: Format) -> &'static str {
    match format {
        Format::Markdown => "markdown",
        Format::Html => "html",
        _ => "text",
    }
}

fn check_line(field: &str, text: &str, characters_max: usize) -> Result<()> {
    let characters = text.chars().count();
    if text.trim().is_empty() || characters > characters_max {
        return Err(Error::invalid(field, format!("must have 1 to {characters_max} characters, not only spaces")));
    }
    if text.chars().any(char::is_control) {
        return Err(Error::invalid(field, "must not contain control characters"));
    }
    Ok(())
}

async fn prepare(ctx: &Ctx, new: NewDocument) -> Result<(Brought, Bytes)> {
    let (file_name, media_type, bytes) = match new.content {
        NewContent::Text { format, text } => (None, format.media_type().to_owned(), Bytes::from(text)),
        NewContent::File { name, media_type, bytes } => {
            let name = clean_file_name(&name);
            let found = detect(name.clone(), media_type, bytes.clone()).await?;
            (Some(name), found, bytes)
        }
    };
    let guessed = || file_name.as_deref().map_or("Untitled", stem).to_owned();
    let brought = Brought {
        key: new.key,
        title_is_guessed: new.title.is_none(),
        title: new.title.unwrap_or_else(guessed),
        media_type,
        size_bytes: bytes.len(),
        metadata: new.metadata,
        access: new.access,
        language: new.language,
        id: KnowledgeDocumentId::new(ctx),
        file_name,
    };
    Ok((brought, bytes))
}

/// What kind of document the bytes are; what was declared counts only where they do not tell. A kind that cannot be read is stored all
/// the same, so that its document can say why it failed.
async fn detect(name: String, declared: Option<String>, bytes: Bytes) -> Result<String> {
    let work = move || match parse::detect(Some(&name), declared.as_deref(), &bytes) {
        Ok(format) => format.media_type().to_owned(),
        Err(_) => {
            let found = infer::get(&bytes).map(|kind| kind.mime_type().to_owned());
            found
                .or_else(|| declared.filter(|declared| is_media_type(declared)))
                .unwrap_or_else(|| "application/octet-stream".to_owned())
        }
    };
    tokio::task::spawn_blocking(work).await.map_err(|error| Error::from_source("looking at a file panicked", error))
}

fn is_media_type(declared: &str) -> bool {
    let allowed = |letter: u8| letter.is_ascii_alphanumeric() || b"!#$&^_.+-/".contains(&letter);
    declared.len() <= 100 && declared.matches('/').count() == 1 && declared.bytes().all(allowed)
}

/// The last part of a path, without control characters, cut in its middle when it is too long.
fn clean_file_name(name: &str) -> String {
    let base = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let clean: String = base.chars().filter(|character| !character.is_control()).collect();
    let clean = clean.trim();
    if clean.is_empty() || clean == "." || clean == ".." {
        return "document".to_owned();
    }
    let characters = clean.chars().count();
    if characters <= limits::FILE_NAME_CHARS_MAX {
        return clean.to_owned();
    }
    let tail: String = clean.chars().skip(characters - 40).collect();
    let head: String = clean.chars().take(limits::FILE_NAME_CHARS_MAX - 41).collect();
    format!("{head}…{tail}")
}

fn stem(file_name: &str) -> &str {
    match file_name.rsplit_once('.') {
        Some((stem, _)) if !stem.trim().is_empty() => stem,
        _ => file_name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_names_are_harmless() {
        assert_eq!(clean_file_name("../../etc/passwd"), "passwd");
        assert_eq!(clean_file_name("C:\\Users\\lee\\plan.pdf"), "plan.pdf");
        assert_eq!(clean_file_name("a\r\nb\0.txt"), "ab.txt");
        assert_eq!(clean_file_name(".."), "document");
        assert_eq!(clean_file_name(""), "document");
        let long = clean_file_name(&format!("{}.pdf", "é".repeat(500)));
        assert_eq!(long.chars().count(), limits::FILE_NAME_CHARS_MAX);
        assert!(long.ends_with(".pdf"));
        assert_eq!(stem("plan.v2.pdf"), "plan.v2");
        assert_eq!(stem(".profile"), ".profile");
    }

    #[test]
    fn only_well_formed_media_types_are_kept() {
        assert!(is_media_type("image/svg+xml"));
        assert!(!is_media_type("text/html; charset=utf-8\r\nSet-Cookie: a"));
        assert!(!is_media_type("nonsense"));
    }
}
