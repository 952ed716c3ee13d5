//! Files of the models' API: what batches read and write.
//!
//! A file is seen by its creator, that is the person or the key that brought it, and by those who may change models
//! (`models:write`). For everybody else it does not exist.

use std::str::FromStr;

use bytes::Bytes;
use futures::stream::BoxStream;
use plasma_kernel::{Actor, Ctx, Error, FileId, Page, PageRequest, Permission, QuotaResource, Result, Timestamp};
use plasma_store::{BlobWriter, NewEvent, Tx};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{Models, events, store, types::words};

/// Bytes of one file.
pub(crate) const FILE_BYTES_MAX: u64 = 200_000_000;
/// Files of a workspace, those that batches wrote included.
const FILES_MAX: u64 = 10_000;
/// Bytes of all files of a workspace, those that batches wrote included.
const FILES_BYTES_MAX: u64 = 50_000_000_000;
const FILENAME_CHARS_MAX: usize = 200;

words! {
    /// What a file is for.
    FilePurpose, "purpose" {
        /// Lines for a batch.
        Batch = "batch",
        /// What a batch wrote.
        BatchOutput = "batch_output",
    }
}

/// A file of the models' API.
#[derive(Clone, Debug)]
pub struct File {
    /// Its id.
    pub id: FileId,
    /// What it is for.
    pub purpose: FilePurpose,
    /// The name that it was given, at most 200 characters.
    pub filename: String,
    /// Its length.
    pub size_bytes: u64,
    /// Whose it is.
    pub creator: Actor,
    /// When it was brought or written.
    pub created_at: Timestamp,
    pub(crate) blob: String,
}

/// Whose files and batches an actor sees.
pub(crate) struct Sight {
    pub(crate) creator: String,
    pub(crate) everything: bool,
}

impl Sight {
    pub(crate) fn of(ctx: &Ctx) -> Result<Self> {
        ctx.require(Permission::ModelsInvoke)?;
        Ok(Self {
            creator: creator_text(ctx.actor())?,
            everything: ctx.permissions().contains(Permission::ModelsWrite),
        })
    }
}

/// An actor as stored: its fields stand in one order always, so that texts can be compared.
pub(crate) fn creator_text(actor: &Actor) -> Result<String> {
    serde_json::to_string(actor).map_err(|error| Error::from_source("an actor could not be written", error))
}

/// A file that is being brought. Dropped before its end, it leaves nothing.
pub(crate) struct FileUpload {
    id: FileId,
    writer: BlobWriter,
    size_bytes: u64,
}

impl FileUpload {
    /// Adds bytes.
    ///
    /// # Errors
    /// `too_large` beyond 200 MB, `unavailable` when the storage fails.
    pub(crate) async fn write(&mut self, bytes: Bytes) -> Result<()> {
        self.size_bytes = self.size_bytes.saturating_add(bytes.len() as u64);
        if self.size_bytes > FILE_BYTES_MAX {
            return Err(file_too_large());
        }
        self.writer.write(bytes).await
    }
}

pub(crate) fn file_too_large() -> Error {
    Error::too_large("file", format!("a file has at most {} MB", FILE_BYTES_MAX / 1_000_000))
        .remedy("split it into several files")
}

pub(crate) fn no_room() -> Error {
    let message = format!("a workspace has at most {FILES_MAX} files and {} GB", FILES_BYTES_MAX / 1_000_000_000);
    Error::too_large("file", message).remedy("delete files that are no longer needed")
}

/// Refuses one more file of `bytes` where the workspace's files would be too many.
async fn check_room(tx: &mut Tx, bytes: u64) -> Result<()> {
    let (files, used) = store::files::count(tx).await?;
    if files >= FILES_MAX || used.saturating_add(bytes) > FILES_BYTES_MAX {
        return Err(no_room());
    }
    Ok(())
}

/// Bytes by which the workspace's files may still grow, by the program's bounds and by the tenant's plan.
pub(crate) async fn room(tx: &mut Tx) -> Result<u64> {
    let (_, used) = store::files::count(tx).await?;
    let room = FILES_BYTES_MAX.saturating_sub(used);
    let allowed = tx.quota_room(QuotaResource::StorageBytes).await?;
    Ok(allowed.map_or(room, |allowed| allowed.min(room)))
}

fn blob_name(id: FileId) -> String {
    format!("files/{id}")
}

pub(crate) fn not_found(id: FileId) -> Error {
    Error::not_found("file_not_found", format!("there is no file `{id}`")).field("file_id")
}

impl Models {
    /// Begins to bring a file.
    ///
    /// # Errors
    /// `forbidden` without `models:invoke`, `too_large` when the workspace's files are too many.
    pub(crate) async fn begin_file(&self, ctx: &Ctx) -> Result<FileUpload> {
        ctx.require(Permission::ModelsInvoke)?;
        check_room(&mut self.inner.store.read(ctx).await?, 1).await?;
        let id = FileId::new(ctx);
        let writer = self.inner.store.blobs().writer(ctx, &blob_name(id)).await?;
        Ok(FileUpload { id, writer, size_bytes: 0 })
    }

    /// Ends a file that was brought for a batch.
    ///
    /// # Errors
    /// `invalid` when it is empty, `too_large` when the workspace's files are too many by now, `unavailable` when the storage
    /// or the database fails.
    pub(crate) async fn finish_file(&self, ctx: &Ctx, upload: FileUpload, filename: &str) -> Result<File> {
        let FileUpload { id, writer, size_bytes } = upload;
        if size_bytes == 0 {
            return Err(Error::invalid("file", "is empty"));
        }
        writer.finish().await?;
        let file = File {
            id,
            purpose: FilePurpose::Batch,
            filename: clean_filename(filename),
            size_bytes,
            creator: ctx.actor().clone(),
            created_at: ctx.now(),
            blob: blob_name(id),
        };
        let recorded = async {
            let mut tx = self.inner.store.begin(ctx).await?;
            // Others may have been brought in the meantime.
            check_room(&mut tx, file.size_bytes).await?;
            record(&mut tx, &file).await?;
            tx.commit().await
        };
        if let Err(error) = recorded.await {
            // Nothing leads to the bytes any more.
            let _ = self.inner.store.blobs().delete(ctx, &file.blob).await;
            return Err(error);
        }
        Ok(file)
    }

    /// A page of the files that the actor sees, newest first.
    ///
    /// # Errors
    /// `forbidden` without `models:invoke`.
    pub async fn files(&self, ctx: &Ctx, purpose: Option<FilePurpose>, page: &PageRequest) -> Result<Page<File>> {
        let sight = Sight::of(ctx)?;
        store::files::list(&mut self.inner.store.read(ctx).await?, &sight, purpose, page).await
    }

    /// One file.
    ///
    /// # Errors
    /// `forbidden` without `models:invoke`, `not_found` (`file_not_found`), also for others' files.
    pub async fn file(&self, ctx: &Ctx, id: FileId) -> Result<File> {
        let sight = Sight::of(ctx)?;
        store::files::get(&mut self.inner.store.read(ctx).await?, &sight, id).await
    }

    /// A file and its bytes, piece by piece.
    ///
    /// # Errors
    /// As [`Models::file`]; `unavailable` when the storage fails.
    pub async fn file_content(&self, ctx: &Ctx, id: FileId) -> Result<(File, BoxStream<'static, Result<Bytes>>)> {
        let file = self.file(ctx, id).await?;
        let bytes = self.inner.store.blobs().stream(ctx, &file.blob, 0).await?;
        Ok((file, bytes))
    }

    /// Deletes a file.
    ///
    /// # Errors
    /// As [`Models::file`]; `conflict` (`file_in_use`) while a batch reads it.
    pub async fn delete_file(&self, ctx: &Ctx, id: FileId) -> Result<()> {
        let sight = Sight::of(ctx)?;
        let mut tx = self.inner.store.begin(ctx).await?;
        let file = store::files::get(&mut tx, &sight, id).await?;
        if store::batches::reads(&mut tx, id).await? {
            let message = format!("a batch that has not ended reads `{id}`");
            return Err(Error::conflict("file_in_use", message).remedy("wait for the batch, or cancel it"));
        }
        store::files::delete(&mut tx, id).await?;
        tx.emit(NewEvent::new(events::FILE_DELETED, id, json!({ "filename": file.filename }))).await?;
        tx.commit().await?;
        self.inner.store.blobs().delete(ctx, &file.blob).await
    }
}

/// Writes a file's row and tells of it. Its bytes are there already.
pub(crate) async fn record(tx: &mut Tx, file: &File) -> Result<()> {
    store::files::insert(tx, file).await?;
    let data = json!({ "filename": file.filename, "purpose": file.purpose, "size_bytes": file.size_bytes });
    tx.emit(NewEvent::new(events::FILE_CREATED, file.id, data)).await.map(drop)
}

/// The last part of a path, without control characters.
fn clean_filename(name: &str) -> String {
    let base = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let clean: String = base.chars().filter(|letter| !letter.is_control()).take(FILENAME_CHARS_MAX).collect();
    match clean.trim() {
        "" | "." | ".." => "file.jsonl".to_owned(),
        clean => clean.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_names_are_harmless() {
        assert_eq!(clean_filename("../../etc/passwd"), "passwd");
        assert_eq!(clean_filename("C:\\a\\b.jsonl"), "b.jsonl");
        assert_eq!(clean_filename("a\r\nb\0.jsonl"), "ab.jsonl");
        assert_eq!(clean_filename(".."), "file.jsonl");
        assert_eq!(clean_filename(&"é".repeat(500)).chars().count(), FILENAME_CHARS_MAX);
    }
}
