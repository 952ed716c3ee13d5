use std::{path::Path, sync::Arc};

use bytes::Bytes;
use object_store::{ObjectStore, ObjectStoreExt as _, local::LocalFileSystem, path::Path as Key};
use plasma_kernel::{Ctx, Error, Result};

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

fn storage_error(error: object_store::Error) -> Error {
    match error {
        object_store::Error::NotFound { .. } => Error::not_found("file_not_found", "the file is no longer stored"),
        error => Error::unavailable("blobs_unavailable", "the file storage failed")
            .remedy("check the free space and permissions of the data directory")
            .source(error),
    }
}
