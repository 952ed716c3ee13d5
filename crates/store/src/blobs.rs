use std::{path::Path, sync::Arc};

use bytes::Bytes;
use futures::{StreamExt as _, stream::BoxStream};
use object_store::{
    GetOptions, GetRange, ObjectStore, ObjectStoreExt as _, WriteMultipart, local::LocalFileSystem, path::Path as Key,
};
use plasma_kernel::{Ctx, Error, Result};

/// Parts of some MiB that one [`BlobWriter`] has under way.
const WRITES_MAX: usize = 2;

/// Files and other large bytes, under the context's tenant.
#[derive(Clone)]
pub struct Blobs {
    objects: Arc<dyn ObjectStore>,
}

impl Blobs {
    pub(crate) fn local(folder: &Path) -> Result<Self> {
        let unavailable = |error: String| {
            Error::unavailable("blobs_unavailable", format!("the folder {} cannot be used: {error}", folder.display()))
                .remedy("check that this user may write the data directory")
        };
        std::fs::create_dir_all(folder).map_err(|error| unavailable(error.to_string()))?;
        let objects = LocalFileSystem::new_with_prefix(folder)
            .map_err(|error| unavailable(error.to_string()))?
            .with_automatic_cleanup(true);
        Ok(Self { objects: Arc::new(objects) })
    }

    /// `name` is ours (made of ids), never a caller's file name.
    fn key(ctx: &Ctx, name: &str) -> Result<Key> {
        Ok(Key::from(format!("{}/{name}", ctx.tenant()?)))
    }

    /// Stores `bytes` under `name`, replacing what was there: all of it or nothing.
    ///
    /// # Errors
    /// `unavailable` when the storage fails, such as when it is full.
    pub async fn put(&self, ctx: &Ctx, name: &str, bytes: Bytes) -> Result<()> {
        self.objects.put(&Self::key(ctx, name)?, bytes.into()).await.map(drop).map_err(storage_error)
    }

    /// The bytes under `name`.
    ///
    /// # Errors
    /// `not_found` when there are none, `unavailable` when the storage fails.
    pub async fn get(&self, ctx: &Ctx, name: &str) -> Result<Bytes> {
        let answer = self.objects.get(&Self::key(ctx, name)?).await.map_err(storage_error)?;
        answer.bytes().await.map_err(storage_error)
    }

    /// Writes under `name` piece by piece, for what is too large to be held in memory. What was there stays until
    /// [`BlobWriter::finish`].
    ///
    /// # Errors
    /// `unavailable` when the storage fails.
    pub async fn writer(&self, ctx: &Ctx, name: &str) -> Result<BlobWriter> {
        let upload = self.objects.put_multipart(&Self::key(ctx, name)?).await.map_err(storage_error)?;
        Ok(BlobWriter { upload: WriteMultipart::new(upload) })
    }

    /// The bytes under `name` from the byte `from` on, piece by piece. `from` lies before the end.
    ///
    /// # Errors
    /// `not_found` when there are none, `unavailable` when the storage fails; each piece too.
    pub async fn stream(&self, ctx: &Ctx, name: &str, from: u64) -> Result<BoxStream<'static, Result<Bytes>>> {
        let range = (from > 0).then_some(GetRange::Offset(from));
        let options = GetOptions { range, ..GetOptions::default() };
        let answer = self.objects.get_opts(&Self::key(ctx, name)?, options).await.map_err(storage_error)?;
        Ok(answer.into_stream().map(|piece| piece.map_err(storage_error)).boxed())
    }

    /// Everything that the tenant stores, in no particular order. Bytes that are still being written are not among it.
    ///
    /// # Errors
    /// `internal` for a system context; each piece `unavailable` when the storage fails.
    pub fn list(&self, ctx: &Ctx) -> Result<BoxStream<'static, Result<BlobInfo>>> {
        let tenant = ctx.tenant()?.to_string();
        let found = self.objects.list(Some(&Key::from(tenant.as_str())));
        let info = move |meta: object_store::ObjectMeta| {
            let location: &str = meta.location.as_ref();
            let name = location.strip_prefix(tenant.as_str()).map(|name| name.trim_start_matches('/'));
            let name = name.ok_or_else(|| Error::internal("the storage listed another tenant's file"))?;
            Ok(BlobInfo { name: name.to_owned(), size_bytes: meta.size })
        };
        Ok(found.map(move |meta| meta.map_err(storage_error).and_then(&info)).boxed())
    }

    /// Removes the bytes under `name`; already absent is fine.
    ///
    /// # Errors
    /// `unavailable` when the storage fails.
    pub async fn delete(&self, ctx: &Ctx, name: &str) -> Result<()> {
        match self.objects.delete(&Self::key(ctx, name)?).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(storage_error(error)),
        }
    }
}

/// Something that is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlobInfo {
    /// Its name, without the tenant.
    pub name: String,
    /// Its length.
    pub size_bytes: u64,
}

/// Bytes on their way into the storage. Dropped before its end, it leaves nothing.
pub struct BlobWriter {
    upload: WriteMultipart,
}

impl BlobWriter {
    /// Adds bytes; waits while the storage is slower than they come.
    ///
    /// # Errors
    /// `unavailable` when the storage fails.
    pub async fn write(&mut self, bytes: Bytes) -> Result<()> {
        self.upload.wait_for_capacity(WRITES_MAX).await.map_err(storage_error)?;
        self.upload.put(bytes);
        Ok(())
    }

    /// Makes what was written readable under its name: all of it.
    ///
    /// # Errors
    /// `unavailable` when the storage fails.
    pub async fn finish(self) -> Result<()> {
        self.upload.finish().await.map(drop).map_err(storage_error)
    }
}

fn storage_error(error: object_store::Error) -> Error {
    match error {
        object_store::Error::NotFound { .. } => Error::not_found("file_not_found", "the file is no longer stored"),
        error => Error::unavailable("blobs_unavailable", "the file storage failed")
            .remedy("check the free space and permissions of the data directory")
            .source(error),
    }
}
