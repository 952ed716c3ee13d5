//! Weights on this machine: fetching them from a hub, telling what a file holds, removing them.
//!
//! A hub is a server with Hugging Face's layout: `/api/models/ORG/REPO/revision/REV` lists files and license,
//! `/ORG/REPO/resolve/REV/FILE` gives one. A file appears under its final name only after its size, and its SHA-256 where the
//! hub or the manifest names one, were right. What was interrupted goes on where it stopped.

mod download;
pub(crate) mod gguf;
mod hub;
mod pull;

use std::{
    fs::{self, File, TryLockError},
    path::{Component, Path, PathBuf},
};

use plasma_kernel::{Error, Result};

pub use hub::{HUB_URL_DEFAULT, Hub};
pub use pull::{PullEvent, PullRequest, Pulled};

use crate::manifest::Manifest;

/// Bytes of a name, and of a file's path.
const NAME_BYTES_MAX: usize = 200;
const PATH_DEPTH_MAX: usize = 4;

/// A model's folder in the models directory: for `local/…` of the manifest, or for `ORG/REPO` of a hub.
///
/// # Errors
/// `invalid` (`model`) for a name that is neither.
pub fn folder_of(models_dir: &Path, name: &str) -> Result<PathBuf> {
    let parts: Vec<&str> = name.split('/').collect();
    let allowed = |part: &&str| {
        !part.is_empty()
            && !part.starts_with(['.', '-'])
            && part.bytes().all(|letter| letter.is_ascii_alphanumeric() || b"._-".contains(&letter))
    };
    if parts.len() != 2 || name.len() > NAME_BYTES_MAX || !parts.iter().all(allowed) {
        let shown: String = name.chars().take(NAME_BYTES_MAX).collect();
        return Err(Error::invalid("model", format!("`{shown}` is no model's name"))
            .remedy("give a name of the manifest such as local/all-minilm-l6-v2, or ORG/REPO of a hub"));
    }
    Ok(models_dir.join(parts.join("--")))
}

/// A file's path below its model's folder, checked: it never leads out of it, and names nothing hidden.
fn safe_path(path: &str) -> Result<&Path> {
    let relative = Path::new(path);
    let mut depth = 0;
    let safe = !path.is_empty()
        && path.len() <= NAME_BYTES_MAX
        && !path.contains(['\\', ':'])
        // Names of our own.
        && !path.ends_with(".part")
        && !matches!(path, "pulled.json" | "verified.json")
        && !path.chars().any(char::is_control)
        && relative.components().all(|component| {
            depth += 1;
            matches!(component, Component::Normal(name) if !name.to_string_lossy().starts_with('.'))
        })
        && depth <= PATH_DEPTH_MAX;
    if safe {
        return Ok(relative);
    }
    let shown: String = path.chars().filter(|letter| !letter.is_control()).take(NAME_BYTES_MAX).collect();
    Err(Error::invalid("file", format!("`{shown}` is not a safe name of a file")))
}

/// A model in the models directory.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Installed {
    /// `local/…` of the manifest, or `ORG/REPO`.
    pub name: String,
    /// `ready`, `partial` (something is missing) or `missing`; those of the manifest are listed when missing too.
    pub state: &'static str,
    /// Bytes of its files on this machine.
    pub size_bytes: u64,
    /// SPDX name of the license, where it is known.
    pub license: Option<String>,
    /// Where it is.
    pub folder: PathBuf,
}

/// What the models directory holds, those of the manifest first.
///
/// # Errors
/// `unavailable` when the folder cannot be read; one that does not exist is empty.
pub fn installed(manifest: &Manifest, models_dir: &Path) -> Result<Vec<Installed>> {
    let mut found: Vec<Installed> = manifest
        .models
        .iter()
        .map(|entry| {
            let folder = entry.directory(models_dir);
            let size_bytes = size_of(&folder);
            let state = match entry.require_files(models_dir) {
                Ok(()) => "ready",
                Err(_) if size_bytes > 0 => "partial",
                Err(_) => "missing",
            };
            Installed { name: entry.id.clone(), state, size_bytes, license: Some(entry.license.clone()), folder }
        })
        .collect();
    let folders = match fs::read_dir(models_dir) {
        Ok(folders) => folders,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(found),
        Err(error) => return Err(unusable(models_dir, error)),
    };
    let mut others: Vec<Installed> = folders
        .flatten()
        .map(|entry| entry.path())
        .filter(|folder| folder.is_dir() && !found.iter().any(|known| known.folder == *folder))
        .filter_map(|folder| {
            let (org, repo) = folder.file_name()?.to_str()?.split_once("--")?;
            let record = Pulled::read(&folder);
            let state =
                if record.as_ref().is_some_and(|record| record.is_complete(&folder)) { "ready" } else { "partial" };
            let license = record.and_then(|record| record.license);
            Some(Installed { name: format!("{org}/{repo}"), state, size_bytes: size_of(&folder), license, folder })
        })
        .collect();
    others.sort_by(|a, b| a.name.cmp(&b.name));
    found.extend(others);
    Ok(found)
}

/// Removes a model's weights and returns how many bytes they had.
///
/// # Errors
/// `invalid` for a name that is none, `not_found` when they are not there, `conflict` (`model_in_use`) while a process
/// has them in memory or fetches them.
pub fn remove(models_dir: &Path, name: &str) -> Result<u64> {
    let folder = folder_of(models_dir, name)?;
    // A link would lead somewhere else.
    let is_folder = fs::symlink_metadata(&folder).is_ok_and(|metadata| metadata.is_dir());
    if !is_folder {
        return Err(Error::not_found(
            "weights_not_found",
            format!("there are no weights of `{name}` in {}", models_dir.display()),
        ));
    }
    let _fetching = pull::lock(models_dir)?;
    let lock = File::open(&folder).map_err(|error| unusable(&folder, error))?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            return Err(Error::conflict("model_in_use", format!("the weights of `{name}` are in use"))
                .remedy("stop the server, or wait until the model is idle for some minutes"));
        }
        Err(TryLockError::Error(error)) => return Err(unusable(&folder, error)),
    }
    let size = size_of(&folder);
    fs::remove_dir_all(&folder).map_err(|error| unusable(&folder, error))?;
    Ok(size)
}

/// Marks a folder's weights as in use for as long as the handle lives, also by other processes' [`remove`]. `None` where
/// the system has no such locks.
pub(crate) fn in_use(folder: &Path) -> Option<File> {
    let handle = File::open(folder).ok()?;
    handle.lock_shared().ok()?;
    Some(handle)
}

fn size_of(folder: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(folder) else { return 0 };
    entries
        .flatten()
        .map(|entry| match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => size_of(&entry.path()),
            Ok(metadata) if metadata.is_file() => metadata.len(),
            _ => 0,
        })
        .sum()
}

fn unusable(path: &Path, error: std::io::Error) -> Error {
    let shown = path.display();
    match error.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
            Error::unavailable("disk_full", format!("there is no space left for {shown}"))
                .remedy("free some space, or choose another folder with PLASMA_MODELS_DIR; what was fetched is kept")
        }
        _ => Error::unavailable("models_dir_unusable", format!("{shown}: {error}"))
            .remedy("choose a folder that can be written with PLASMA_MODELS_DIR"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_paths_never_lead_out_of_the_models_directory() {
        let folder = Path::new("/models");
        assert_eq!(folder_of(folder, "local/all-minilm-l6-v2").unwrap(), Path::new("/models/local--all-minilm-l6-v2"));
        for wrong in ["", "a", "a/b/c", "../x", "a/..", "/a", "a/", "a/.b", ".a/b", "a/b c", "-a/b", "a/b\0"] {
            assert!(folder_of(folder, wrong).is_err(), "{wrong:?}");
        }
        for right in ["model.gguf", "1_Pooling/config.json", "onnx/a-b_c.1.onnx"] {
            safe_path(right).unwrap();
        }
        for wrong in [
            "",
            "..",
            "../a",
            "a/../../b",
            "/etc/passwd",
            "a/.hidden",
            ".env",
            "a\\b",
            "c:x",
            "a\nb",
            "a/b/c/d/e",
            "a.part",
            "pulled.json",
        ] {
            assert!(safe_path(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_full_disk_says_so() {
        let error =
            std::io::Write::write_all(&mut File::options().write(true).open("/dev/full").unwrap(), b"x").unwrap_err();
        assert_eq!(unusable(Path::new("weights"), error).reason(), "disk_full");
    }

    #[test]
    fn weights_in_use_are_not_removed() {
        let models = tempfile::tempdir().unwrap();
        let folder = models.path().join("org--repo");
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("model.gguf"), [0; 10]).unwrap();
        let held = in_use(&folder).unwrap();
        let also = in_use(&folder).unwrap();
        assert_eq!(remove(models.path(), "org/repo").unwrap_err().reason(), "model_in_use");
        drop((held, also));
        assert_eq!(remove(models.path(), "org/repo").unwrap(), 10);
        assert_eq!(remove(models.path(), "org/repo").unwrap_err().reason(), "weights_not_found");
        // A link is not followed.
        let elsewhere = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(elsewhere.path(), &folder).unwrap();
        assert_eq!(remove(models.path(), "org/repo").unwrap_err().reason(), "weights_not_found");
        assert!(elsewhere.path().exists());
    }
}
