//! A model's files: which ones, from where, and the record of what came.

use std::{
    fs::{self, File, TryLockError},
    path::{Path, PathBuf},
};

use plasma_kernel::{Error, Result};
use serde::{Deserialize, Serialize};

use super::{
    download::{Wanted, fetch, sha256_of},
    folder_of,
    hub::Hub,
    safe_path, unusable,
};
use crate::manifest::{Manifest, ModelEntry, WeightFile};

/// The record of what was fetched, in a model's folder.
const RECORD: &str = "pulled.json";
const REVISION_DEFAULT: &str = "main";
const REVISION_BYTES_MAX: usize = 100;
const FILES_MAX: usize = 50;
/// What an embedding model of the BERT family is made of; the last is there in sentence-transformers' only.
const EMBEDDING_FILES: [&str; 4] = ["config.json", "tokenizer.json", "model.safetensors", "1_Pooling/config.json"];

/// What to fetch.
#[derive(Clone, Debug)]
pub struct PullRequest {
    /// `local/…` of the manifest, or `ORG/REPO` of the hub.
    pub name: String,
    /// Paths in the repository. Empty: its only GGUF file, or the files of an embedding model.
    pub files: Vec<String>,
    /// A branch, tag or commit of the repository; `main` when absent. The manifest names its own.
    pub revision: Option<String>,
    /// Bytes of all files together.
    pub bytes_max: u64,
}

impl PullRequest {
    /// Whether the request may be made at all; the hub decides the rest.
    ///
    /// # Errors
    /// `invalid` naming the field (`model`, `file`, `revision`), `too_large` (`files`) beyond 50.
    pub(crate) fn check(&self) -> Result<()> {
        folder_of(Path::new(""), &self.name)?;
        if self.files.len() > FILES_MAX {
            return Err(Error::too_large("files", format!("at most {FILES_MAX} files are fetched at once")));
        }
        self.files.iter().try_for_each(|file| safe_path(file).map(drop))?;
        let revision = self.revision.as_deref().unwrap_or(REVISION_DEFAULT);
        let allowed = |letter: u8| letter.is_ascii_alphanumeric() || b"._-".contains(&letter);
        let whole = !revision.is_empty() && revision.len() <= REVISION_BYTES_MAX && !revision.starts_with('.');
        if whole && revision.bytes().all(allowed) {
            return Ok(());
        }
        Err(Error::invalid("revision", "must be a branch, a tag or a commit without slashes"))
    }
}

/// What happens while weights are fetched.
#[derive(Clone, Debug)]
pub enum PullEvent<'a> {
    /// What will be fetched.
    Begins {
        /// SPDX name of the license, where it is known.
        license: Option<&'a str>,
        /// Where the files go.
        folder: &'a Path,
        /// Bytes of all files, as far as the hub says.
        size_bytes: u64,
    },
    /// A file has so many bytes.
    Progress {
        /// Its path in the folder.
        file: &'a str,
        /// So far.
        done_bytes: u64,
        /// In all, where it is known.
        size_bytes: Option<u64>,
    },
    /// A file is in place.
    Placed {
        /// Its path in the folder.
        file: &'a str,
        /// Its size.
        size_bytes: u64,
        /// Whether somebody named the SHA-256 that it should have; else its size was checked only.
        verified: bool,
    },
}

/// The files of a repository that were fetched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pulled {
    /// `ORG/REPO`.
    pub repo: String,
    /// The commit.
    pub revision: String,
    /// SPDX name of the license, where the repository says it.
    pub license: Option<String>,
    /// The files as in the manifest.
    pub files: Vec<WeightFile>,
}

impl Pulled {
    /// The record in a model's folder.
    pub fn read(folder: &Path) -> Option<Self> {
        serde_json::from_slice(&fs::read(folder.join(RECORD)).ok()?).ok()
    }

    /// Whether every file has its size.
    pub(super) fn is_complete(&self, folder: &Path) -> bool {
        self.files.iter().all(|file| file.state(folder) == crate::manifest::FileState::Present)
    }

    fn write(&self, folder: &Path) -> Result<()> {
        let text = serde_json::to_vec_pretty(self).map_err(|source| Error::from_source("a record", source))?;
        let (path, temporary) = (folder.join(RECORD), folder.join(format!("{RECORD}.part")));
        fs::write(&temporary, text).and_then(|()| fs::rename(&temporary, &path)).map_err(|error| unusable(&path, error))
    }
}

/// A file, where it comes from, and what it should be.
struct Item {
    file: String,
    url: url::Url,
    size_bytes: Option<u64>,
    sha256: Option<String>,
}

impl Hub {
    /// Fetches a model's weights into `models_dir` and returns their folder. Files that are there are not fetched again.
    ///
    /// # Errors
    /// `invalid` naming the field, `not_found`, `forbidden`, `too_large`, `conflict` (`pull_running`) while another process
    /// fetches, `upstream` (`hub_unreachable`, `hub_failed`, `hub_connection_lost`, `weights_damaged`), `unavailable`
    /// (`disk_full`, `models_dir_unusable`).
    pub async fn pull(
        &self,
        manifest: &Manifest,
        models_dir: &Path,
        request: &PullRequest,
        tell: &mut (dyn FnMut(PullEvent<'_>) + Send),
    ) -> Result<PathBuf> {
        let folder = folder_of(models_dir, &request.name)?;
        request.check()?;
        fs::create_dir_all(models_dir).map_err(|error| unusable(models_dir, error))?;
        let _lock = lock(models_dir)?;
        match manifest.model(&request.name) {
            Some(entry) => self.pull_entry(models_dir, entry, request, tell).await?,
            None => self.pull_repository(&folder, request, tell).await?,
        }
        Ok(folder)
    }

    async fn pull_entry(
        &self,
        models_dir: &Path,
        entry: &ModelEntry,
        request: &PullRequest,
        tell: &mut (dyn FnMut(PullEvent<'_>) + Send),
    ) -> Result<()> {
        if entry.verify(models_dir).is_ok() {
            return Ok(());
        }
        let folder = entry.directory(models_dir);
        let mut items = Vec::new();
        for file in &entry.files {
            safe_path(&file.path)?;
            let source = file.sources.iter().find_map(|source| source.huggingface.as_ref()).ok_or_else(|| {
                Error::not_found("not_on_hub", format!("the manifest names no hub for {}", file.path))
                    .remedy("run `make models`, which knows other sources")
            })?;
            items.push(Item {
                url: self.file_url(&source.repo, &source.revision, &source.file)?,
                file: file.path.clone(),
                size_bytes: Some(file.size_bytes),
                sha256: Some(file.sha256.clone()),
            });
        }
        self.fetch_all(&folder, Some(&entry.license), &items, request.bytes_max, tell).await?;
        // Writes the marker, so that the server does not read everything again.
        entry.verify(models_dir)
    }

    async fn pull_repository(
        &self,
        folder: &Path,
        request: &PullRequest,
        tell: &mut (dyn FnMut(PullEvent<'_>) + Send),
    ) -> Result<()> {
        let revision = request.revision.as_deref().unwrap_or(REVISION_DEFAULT);
        let repository = self.repository(&request.name, revision).await?;
        let mut items = Vec::new();
        for file in chosen(&repository.files, &request.files)? {
            let url = self.file_url(&request.name, &repository.revision, &file)?;
            let remote = self.file(&url).await?;
            items.push(Item { file, url, size_bytes: remote.size_bytes, sha256: remote.sha256 });
        }
        let license = repository.license.as_deref();
        let files = self.fetch_all(folder, license, &items, request.bytes_max, tell).await?;
        let mut pulled = Pulled {
            repo: request.name.clone(),
            revision: repository.revision,
            license: repository.license.clone(),
            files,
        };
        // Files of an earlier pull of the same commit stay in the record.
        if let Some(before) = Pulled::read(folder).filter(|before| before.revision == pulled.revision) {
            let more = before.files.into_iter().filter(|old| pulled.files.iter().all(|file| file.path != old.path));
            let more: Vec<WeightFile> = more.collect();
            pulled.files.extend(more);
        }
        pulled.write(folder)
    }

    async fn fetch_all(
        &self,
        folder: &Path,
        license: Option<&str>,
        items: &[Item],
        bytes_max: u64,
        tell: &mut (dyn FnMut(PullEvent<'_>) + Send),
    ) -> Result<Vec<WeightFile>> {
        let size_bytes = items.iter().filter_map(|item| item.size_bytes).fold(0, u64::saturating_add);
        if size_bytes > bytes_max {
            let message = format!("the files have {size_bytes} bytes together, the limit is {bytes_max}");
            return Err(Error::too_large("files", message).remedy("raise the limit with --max-bytes, or `max_bytes`"));
        }
        tell(PullEvent::Begins { license, folder, size_bytes });
        let known = Pulled::read(folder);
        let mut files: Vec<WeightFile> = Vec::with_capacity(items.len());
        for item in items {
            let path = folder.join(safe_path(&item.file)?);
            if let Some(parent) = path.parent() {
                fs::create_dir_all(parent).map_err(|error| unusable(parent, error))?;
            }
            let verified = item.sha256.is_some();
            let done = match already(known.as_ref(), folder, item) {
                Some(file) => Some(file),
                None => in_place(&path, item).await?,
            };
            let file = match done {
                Some(file) => file,
                None => {
                    let spent = files.iter().map(|file| file.size_bytes).fold(0, u64::saturating_add);
                    let wanted = Wanted {
                        url: item.url.clone(),
                        path,
                        size_bytes: item.size_bytes,
                        sha256: item.sha256.as_deref(),
                        bytes_max: bytes_max.saturating_sub(spent),
                    };
                    let mut told = |done_bytes| {
                        tell(PullEvent::Progress { file: &item.file, done_bytes, size_bytes: item.size_bytes });
                    };
                    let fetched = fetch(self, &wanted, &mut told).await?;
                    WeightFile {
                        path: item.file.clone(),
                        size_bytes: fetched.size_bytes,
                        sha256: fetched.sha256,
                        sources: Vec::new(),
                    }
                }
            };
            tell(PullEvent::Placed { file: &item.file, size_bytes: file.size_bytes, verified });
            files.push(file);
        }
        Ok(files)
    }
}

/// The file's entry in the record of an earlier pull, when it is there unchanged.
fn already(known: Option<&Pulled>, folder: &Path, item: &Item) -> Option<WeightFile> {
    let file = known?.files.iter().find(|file| file.path == item.file)?;
    let expected = item.sha256.as_ref()?;
    (file.sha256 == *expected && file.state(folder) == crate::manifest::FileState::Present).then(|| file.clone())
}

/// The file's entry, when a pull that ended early has put it into place: it is read to be sure. `None` when it has to be fetched.
async fn in_place(path: &Path, item: &Item) -> Result<Option<WeightFile>> {
    let (Some(expected), Some(size_bytes)) = (&item.sha256, item.size_bytes) else { return Ok(None) };
    if !fs::metadata(path).is_ok_and(|metadata| metadata.is_file() && metadata.len() == size_bytes) {
        return Ok(None);
    }
    let path = path.to_owned();
    let sha256 = tokio::task::spawn_blocking(move || sha256_of(&path))
        .await
        .map_err(|source| Error::from_source("hashing a file failed", source))?;
    // What cannot be read is fetched anew.
    let sha256 = sha256.ok().filter(|sha256| sha256 == expected);
    Ok(sha256.map(|sha256| WeightFile { path: item.file.clone(), size_bytes, sha256, sources: Vec::new() }))
}

/// Which files of a repository are fetched.
fn chosen(offered: &[String], named: &[String]) -> Result<Vec<String>> {
    if let Some(absent) = named.iter().find(|file| !offered.contains(file)) {
        return Err(Error::not_found("not_on_hub", format!("the repository has no file `{absent}`")));
    }
    if !named.is_empty() {
        return Ok(named.to_vec());
    }
    let weights: Vec<&String> = offered.iter().filter(|file| file.ends_with(".gguf")).collect();
    if let [only] = weights.as_slice() {
        return Ok(vec![(*only).clone()]);
    }
    if !weights.is_empty() {
        let names: Vec<&str> = weights.iter().take(30).map(|file| file.as_str()).collect();
        let message = format!("the repository has {} GGUF files: {}", weights.len(), names.join(", "));
        return Err(Error::invalid("files", message).remedy("name one of them with --file, or `files`"));
    }
    let found: Vec<String> = EMBEDDING_FILES
        .iter()
        .filter(|file| offered.iter().any(|offer| offer == *file))
        .map(|file| (*file).to_owned())
        .collect();
    if found.len() >= 3 && found.iter().any(|file| file == "model.safetensors") {
        return Ok(found);
    }
    Err(Error::invalid("files", "the repository has neither a GGUF file nor the files of an embedding model")
        .remedy("name files with --file, or `files`"))
}

/// Held until it is dropped, so that two processes never write the same files. `scripts/fetch_models.py` takes the same lock.
pub(super) fn lock(models_dir: &Path) -> Result<File> {
    let path = models_dir.join(".lock");
    let handle = File::options().create(true).append(true).open(&path).map_err(|error| unusable(&path, error))?;
    match handle.try_lock() {
        Ok(()) => Ok(handle),
        Err(TryLockError::WouldBlock) => {
            Err(Error::conflict("pull_running", "another process is fetching models into this folder")
                .remedy("wait until it has ended"))
        }
        Err(TryLockError::Error(error)) => Err(unusable(&path, error)),
    }
}
