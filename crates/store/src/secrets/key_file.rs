//! The local master keys: a file with one key on each line, the newest first. New data keys are wrapped with the first; the others
//! only open what was wrapped before.

use std::{
    fs::{self, File, OpenOptions},
    io::{ErrorKind, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
};

use plasma_kernel::{Error, Random, Result};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::cipher::{self, KEY_BYTES, Key};

/// Keys in the file. Each rotation adds one, and forgetting removes those that wrap nothing any more.
const KEYS_MAX: usize = 8;
/// The file is some other one when it is larger than this.
const FILE_BYTES_MAX: u64 = 4096;

#[derive(Clone)]
struct MasterKey {
    /// Names the key without telling it: the beginning of its hash.
    name: String,
    key: Key,
}

impl MasterKey {
    fn new(key: Key) -> Self {
        let digest = Sha256::new_with_prefix(b"plasma master key").chain_update(key.as_slice()).finalize();
        let name = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        Self { name, key }
    }
}

pub(super) struct KeyFile {
    path: PathBuf,
    /// The newest first; empty when there is no file and none is needed.
    keys: RwLock<Arc<Vec<MasterKey>>>,
}

impl KeyFile {
    /// Reads the file. When there is none and `make` says so, it is made, for this user only.
    pub(super) fn open(path: &Path, make: bool) -> Result<Self> {
        let mut keys = read(path)?;
        if keys.is_empty() && make {
            let fresh = MasterKey::new(Zeroizing::new(Random::system().bytes()));
            write_new(path, &text_of(std::slice::from_ref(&fresh))).map_err(|error| unusable(path, error))?;
            keys = vec![fresh];
        }
        Ok(Self { path: path.to_owned(), keys: RwLock::new(Arc::new(keys)) })
    }

    fn keys(&self) -> Arc<Vec<MasterKey>> {
        Arc::clone(&self.keys.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn set(&self, keys: Vec<MasterKey>) {
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(keys);
    }

    /// The names of all keys, the newest first.
    pub(super) fn names(&self) -> Vec<String> {
        self.keys().iter().map(|key| key.name.clone()).collect()
    }

    /// Wraps with the newest key, and names it.
    pub(super) fn wrap(&self, random: &Random, associated: &str, key: &Key) -> Result<(String, Vec<u8>)> {
        let keys = self.keys();
        let newest = keys.first().ok_or_else(|| unusable(&self.path, "does not exist"))?;
        Ok((newest.name.clone(), cipher::seal(&newest.key, random, associated, key.as_slice())?))
    }

    /// Opens what the key of this name wrapped, or any of the file's when it is not known which. A name that the file did not have
    /// when it was read last may have come since: another process may have rotated.
    pub(super) fn unwrap(&self, name: Option<&str>, associated: &str, wrapped: &[u8]) -> Result<Key> {
        if let Some(key) = open_with(&self.keys(), name, associated, wrapped) {
            return Ok(key);
        }
        self.reload()?;
        open_with(&self.keys(), name, associated, wrapped).ok_or_else(|| self.wrong_key())
    }

    fn wrong_key(&self) -> Error {
        let path = self.path.display();
        Error::unavailable(
            "master_key_wrong",
            format!("the master key {path} is not the one that this database was made with"),
        )
        .remedy("put the right file there, or name it with PLASMA_MASTER_KEY_FILE")
    }

    fn reload(&self) -> Result<()> {
        let keys = read(&self.path)?;
        // A file that is gone for a moment does not take the keys away from a running program.
        if !keys.is_empty() {
            self.set(keys);
        }
        Ok(())
    }

    /// Puts a new key in front, in the file first. The older ones stay.
    pub(super) fn add(&self, random: &Random) -> Result<String> {
        self.reload()?;
        let old = self.keys();
        if old.len() >= KEYS_MAX {
            return Err(Error::conflict(
                "too_many_master_keys",
                format!("the master key file has {KEYS_MAX} keys, and holds no more"),
            )
            .remedy("remove the older ones with `plasma keys forget-old` when no backup needs them any more"));
        }
        let fresh = MasterKey::new(Zeroizing::new(random.bytes()));
        let name = fresh.name.clone();
        let keys: Vec<MasterKey> = std::iter::once(fresh).chain(old.iter().cloned()).collect();
        self.replace(keys)?;
        Ok(name)
    }

    /// Removes every key but the newest, except those that are still `needed`. Returns the names of the removed.
    pub(super) fn forget_others(&self, needed: &[String]) -> Result<Vec<String>> {
        self.reload()?;
        let old = self.keys();
        let (kept, forgotten): (Vec<(usize, &MasterKey)>, Vec<_>) =
            old.iter().enumerate().partition(|(index, key)| *index == 0 || needed.contains(&key.name));
        if !forgotten.is_empty() {
            self.replace(kept.into_iter().map(|(_, key)| key.clone()).collect())?;
        }
        Ok(forgotten.into_iter().map(|(_, key)| key.name.clone()).collect())
    }

    fn replace(&self, keys: Vec<MasterKey>) -> Result<()> {
        replace_file(&self.path, &text_of(&keys)).map_err(|error| {
            Error::unavailable(
                "master_key_file_read_only",
                format!("the master key file {} cannot be written: {error}", self.path.display()),
            )
            .remedy(
                "put a new key (64 hexadecimal digits) as the first line into the file of every process yourself, then run \
                 `plasma keys rewrap`",
            )
        })?;
        self.set(keys);
        Ok(())
    }
}

fn open_with(keys: &[MasterKey], name: Option<&str>, associated: &str, wrapped: &[u8]) -> Option<Key> {
    keys.iter()
        .filter(|key| name.is_none_or(|name| name == key.name))
        .find_map(|key| cipher::open(&key.key, associated, wrapped))
        .and_then(|plain| cipher::key_from_bytes(&plain))
}

fn unusable(path: &Path, what: impl std::fmt::Display) -> Error {
    Error::unavailable("master_key_unusable", format!("the master key {}: {what}", path.display()))
        .remedy("restore the file from your backup; without it the stored provider keys cannot be read")
}

/// Empty when there is no such file.
fn read(path: &Path) -> Result<Vec<MasterKey>> {
    match fs::metadata(path) {
        Ok(file) if file.len() > FILE_BYTES_MAX => return Err(unusable(path, "is too large to be a key file")),
        _ => {}
    }
    let text = match fs::read_to_string(path) {
        Ok(text) => Zeroizing::new(text),
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(unusable(path, error)),
    };
    let keys: Option<Vec<MasterKey>> =
        text.split_whitespace().map(|line| parse_hexadecimal(line).map(MasterKey::new)).collect();
    match keys {
        Some(keys) if keys.len() > KEYS_MAX => Err(unusable(path, format!("has more than {KEYS_MAX} keys"))),
        Some(keys) if !keys.is_empty() => Ok(keys),
        _ => Err(unusable(path, "is not 64 hexadecimal digits on each line")),
    }
}

fn parse_hexadecimal(text: &str) -> Option<Key> {
    let mut key: Key = Zeroizing::new([0; KEY_BYTES]);
    // A number may have a sign; a key has none.
    if text.len() != KEY_BYTES * 2 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    for (byte, digits) in key.iter_mut().zip(text.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(key)
}

fn text_of(keys: &[MasterKey]) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(keys.len() * (KEY_BYTES * 2 + 1)));
    for key in keys {
        if !text.is_empty() {
            text.push('\n');
        }
        for byte in key.key.iter() {
            text.push_str(&format!("{byte:02x}"));
        }
    }
    text
}

/// For fuzzing only: what a key file may hold.
#[cfg(fuzzing)]
pub(super) fn fuzz(text: &str) {
    let words = || text.split_whitespace();
    let keys: Option<Vec<MasterKey>> = words().map(|word| parse_hexadecimal(word).map(MasterKey::new)).collect();
    if let Some(keys) = keys {
        let written: Vec<String> = words().map(str::to_ascii_lowercase).collect();
        assert_eq!(text_of(&keys).as_str(), written.join("\n"), "a key is read otherwise than it was written");
    }
}

fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

fn temporary(path: &Path) -> PathBuf {
    path.with_extension(format!("new-{}", std::process::id()))
}

/// Whole or not at all: the temporary file is synced and then linked, which fails when another process was first.
fn write_new(path: &Path, text: &str) -> std::io::Result<()> {
    let temporary = temporary(path);
    write_private(&temporary, text)?;
    let linked = fs::hard_link(&temporary, path);
    fs::remove_file(&temporary)?;
    linked
}

/// Whole or not at all, over what was there. The folder is synced too, so that the new keys survive a power cut: data keys will
/// have been wrapped with them.
fn replace_file(path: &Path, text: &str) -> std::io::Result<()> {
    let temporary = temporary(path);
    write_private(&temporary, text)?;
    fs::rename(&temporary, path)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn data_key() -> Key {
        Zeroizing::new([9; KEY_BYTES])
    }

    #[test]
    fn an_added_key_wraps_and_the_older_ones_still_open() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("master.key");
        let (file, random) = (KeyFile::open(&path, true).unwrap(), Random::system());
        let other_process = KeyFile::open(&path, true).unwrap();
        let (old, wrapped_old) = file.wrap(&random, "a", &data_key()).unwrap();
        let new = file.add(&random).unwrap();
        let (name, wrapped_new) = file.wrap(&random, "a", &data_key()).unwrap();
        assert_eq!((name.as_str(), file.names()), (new.as_str(), vec![new.clone(), old.clone()]));
        // Another process learns of the new key when it meets it.
        for process in [&file, &other_process, &KeyFile::open(&path, false).unwrap()] {
            assert_eq!(*process.unwrap(Some(&old), "a", &wrapped_old).unwrap(), *data_key());
            assert_eq!(*process.unwrap(Some(&new), "a", &wrapped_new).unwrap(), *data_key());
            assert_eq!(*process.unwrap(None, "a", &wrapped_old).unwrap(), *data_key());
            assert_eq!(process.unwrap(Some(&new), "a", &wrapped_old).unwrap_err().reason(), "master_key_wrong");
        }
        assert_eq!(file.forget_others(std::slice::from_ref(&old)).unwrap(), Vec::<String>::new());
        assert_eq!(file.forget_others(&[]).unwrap(), std::slice::from_ref(&old));
        assert!(file.unwrap(Some(&old), "a", &wrapped_old).is_err());
        assert_eq!(KeyFile::open(&path, false).unwrap().names(), [new]);
        let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&path).unwrap().permissions());
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn what_is_no_key_file_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("master.key");
        assert!(KeyFile::open(&path, false).unwrap().names().is_empty());
        assert!(!path.exists());
        let key = "ab".repeat(32);
        for wrong in [
            String::new(),
            "not a key".to_owned(),
            format!("{key}0"),
            format!("{key}\nshort"),
            format!("{key}\n").repeat(9),
            "0".repeat(5_000),
        ] {
            fs::write(&path, &wrong).unwrap();
            let Err(error) = KeyFile::open(&path, true) else { panic!("{wrong:?} was taken") };
            assert_eq!(error.reason(), "master_key_unusable");
        }
        fs::write(&path, format!("{key}\n")).unwrap();
        assert_eq!(KeyFile::open(&path, true).unwrap().names().len(), 1);
    }

    #[test]
    fn there_is_an_end_to_adding() {
        let folder = tempfile::tempdir().unwrap();
        let file = KeyFile::open(&folder.path().join("master.key"), true).unwrap();
        for _ in 1..KEYS_MAX {
            file.add(&Random::system()).unwrap();
        }
        assert_eq!(file.add(&Random::system()).unwrap_err().reason(), "too_many_master_keys");
        assert_eq!(file.names().len(), KEYS_MAX);
    }
}
