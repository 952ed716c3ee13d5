//! One file: fetched, continued, checked, and put into place.

use std::{
    fs,
    io::{Read as _, Write as _},
    path::{Path, PathBuf},
    time::Duration,
};

use plasma_kernel::{Code, Error, Result};
use reqwest::StatusCode;
use sha2::{Digest as _, Sha256};
use url::Url;

use super::{
    hub::{Hub, accepted, unreachable},
    unusable,
};

/// Attempts in a row that brought nothing new.
const ATTEMPTS_MAX: u32 = 5;
const PAUSE: Duration = Duration::from_millis(500);

/// A file to fetch.
pub(super) struct Wanted<'a> {
    pub(super) url: Url,
    /// Where it belongs; its folder exists.
    pub(super) path: PathBuf,
    pub(super) size_bytes: Option<u64>,
    pub(super) sha256: Option<&'a str>,
    /// It is given up beyond.
    pub(super) bytes_max: u64,
}

/// What stood on the disk in the end.
pub(super) struct Fetched {
    pub(super) size_bytes: u64,
    pub(super) sha256: String,
}

/// Fetches a file. `progress` is told how many bytes there are so far.
///
/// # Errors
/// `too_large` beyond the limit, `upstream` (`hub_unreachable`, `hub_failed`, `weights_damaged` for a wrong size or hash),
/// `not_found`, `forbidden`, `unavailable` (`disk_full`, `models_dir_unusable`).
pub(super) async fn fetch(hub: &Hub, wanted: &Wanted<'_>, progress: &mut (dyn FnMut(u64) + Send)) -> Result<Fetched> {
    let part = part_of(&wanted.path)?;
    let mut failures = 0;
    loop {
        let before = length(&part);
        if wanted.size_bytes.is_some_and(|size| before == size) {
            break;
        }
        let error = match attempt(hub, wanted, &part, progress).await {
            Ok(()) => break,
            Err(error) => error,
        };
        failures = if length(&part) > before { 0 } else { failures + 1 };
        let may_work = matches!(error.reason(), "hub_unreachable" | "hub_failed" | "hub_connection_lost");
        if !may_work || failures >= ATTEMPTS_MAX {
            return Err(error);
        }
        tokio::time::sleep(PAUSE * 2_u32.saturating_pow(failures)).await;
    }
    let size_bytes = length(&part);
    let hashed = part.clone();
    let sha256 = tokio::task::spawn_blocking(move || sha256_of(&hashed))
        .await
        .map_err(|source| Error::from_source("hashing a file failed", source))?
        .map_err(|error| unusable(&part, error))?;
    let wrong = match wanted.sha256 {
        Some(expected) if expected != sha256 => Some(format!("its SHA-256 is {sha256}, expected {expected}")),
        _ => wanted
            .size_bytes
            .filter(|expected| *expected != size_bytes)
            .map(|expected| format!("it has {size_bytes} bytes instead of {expected}")),
    };
    if let Some(wrong) = wrong {
        // Nothing of it may be found by the next run.
        fs::remove_file(&part).map_err(|error| unusable(&part, error))?;
        let message = format!("{} is damaged: {wrong}", wanted.path.display());
        return Err(Error::new(Code::Upstream, "weights_damaged", message).remedy("try again; it begins anew"));
    }
    fs::rename(&part, &wanted.path).map_err(|error| unusable(&wanted.path, error))?;
    Ok(Fetched { size_bytes, sha256 })
}

/// Asks once for what is missing, and appends it.
async fn attempt(hub: &Hub, wanted: &Wanted<'_>, part: &Path, progress: &mut (dyn FnMut(u64) + Send)) -> Result<()> {
    let limit = wanted.size_bytes.unwrap_or(wanted.bytes_max).min(wanted.bytes_max);
    let mut have = length(part);
    if have > limit {
        fs::remove_file(part).map_err(|error| unusable(part, error))?;
        have = 0;
    }
    let response = hub.open(&wanted.url, have).await.map_err(|error| unreachable(&error))?;
    if response.status() == StatusCode::RANGE_NOT_SATISFIABLE {
        // It is shorter now than what is here.
        fs::remove_file(part).map_err(|error| unusable(part, error))?;
        return Err(Error::new(Code::Upstream, "hub_failed", "the hub's file has changed"));
    }
    let mut response = accepted(response, wanted.url.path())?;
    let range = response.headers().get(reqwest::header::CONTENT_RANGE).and_then(|value| value.to_str().ok());
    let continues = response.status() == StatusCode::PARTIAL_CONTENT
        && range.is_some_and(|range| range.starts_with(&format!("bytes {have}-")));
    if !continues {
        have = 0;
    }
    if response.status() == StatusCode::PARTIAL_CONTENT && !continues {
        fs::remove_file(part).map_err(|error| unusable(part, error))?;
        return Err(Error::new(
            Code::Upstream,
            "hub_failed",
            "the hub sent another part of the file than was asked for",
        ));
    }
    let mut file = fs::File::options()
        .create(true)
        .write(true)
        .append(continues)
        .truncate(!continues)
        .open(part)
        .map_err(|error| unusable(part, error))?;
    progress(have);
    loop {
        let piece = response.chunk().await.map_err(|_| {
            let message = format!("the hub's connection broke after {have} bytes");
            Error::new(Code::Upstream, "hub_connection_lost", message).remedy("run it again: it goes on there")
        })?;
        let Some(piece) = piece else { break };
        have += piece.len() as u64;
        if have > limit {
            drop(file);
            fs::remove_file(part).map_err(|error| unusable(part, error))?;
            return Err(Error::too_large("file", format!("{} is larger than {limit} bytes", wanted.url.path())));
        }
        file.write_all(&piece).map_err(|error| unusable(part, error))?;
        progress(have);
    }
    if wanted.size_bytes.is_some_and(|size| have < size) {
        let message = format!("the hub's connection ended after {have} bytes");
        return Err(Error::new(Code::Upstream, "hub_connection_lost", message).remedy("run it again: it goes on there"));
    }
    file.sync_all().map_err(|error| unusable(part, error))
}

fn length(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |metadata| metadata.len())
}

/// What is fetched so far stands beside the final name.
fn part_of(path: &Path) -> Result<PathBuf> {
    let name = path.file_name().and_then(|name| name.to_str());
    let name = name.ok_or_else(|| Error::internal("a file without a name"))?;
    Ok(path.with_file_name(format!("{name}.part")))
}

pub(super) fn sha256_of(path: &Path) -> std::io::Result<String> {
    let mut hasher = Sha256::new();
    let mut file = fs::File::open(path)?;
    let mut block = vec![0; 1 << 20];
    loop {
        let count = file.read(&mut block)?;
        let Some(read) = block.get(..count).filter(|read| !read.is_empty()) else { break };
        hasher.update(read);
    }
    Ok(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}
