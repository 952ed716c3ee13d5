//! What `plasma login` keeps: a file that only this user can read, with the tokens of each server.

use std::{
    collections::BTreeMap,
    env,
    fs::{self, File, OpenOptions, TryLockError},
    io::{ErrorKind, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, Result, anyhow, bail};
use plasma_kernel::Clock;
use serde::{Deserialize, Serialize};
use url::Url;

/// A token is renewed when it is good for less than this.
const RENEWED_BEFORE_SECONDS: i64 = 60;
/// The file is small: anything larger is some other file.
const FILE_BYTES_MAX: u64 = 1 << 20;
/// How long a command waits for another one that renews the same tokens.
const LOCK_WAIT: Duration = Duration::from_secs(30);
const LOCK_INTERVAL: Duration = Duration::from_millis(50);

/// The tokens of one server.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Login {
    pub(super) access_token: String,
    pub(super) refresh_token: String,
    /// In seconds since 1970 UTC.
    pub(super) expires_at: i64,
}

impl Login {
    /// Whether the access token is good for some time yet.
    pub(super) fn is_fresh(&self) -> bool {
        self.expires_at - now() > RENEWED_BEFORE_SECONDS
    }
}

/// Seconds since 1970 UTC.
pub(super) fn now() -> i64 {
    Clock::system().now() / 1_000_000
}

/// The file's content.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Content {
    /// By the server's address.
    servers: BTreeMap<String, Login>,
}

/// The file.
#[derive(Clone, Debug)]
pub(super) struct Credentials {
    path: PathBuf,
}

/// Held while the file is read, changed and written.
pub(super) struct Held {
    _lock: File,
}

impl Credentials {
    /// `plasma/credentials.json` in the user's configuration directory; `None` when there is none.
    pub(super) fn of_user() -> Option<Self> {
        let absolute = |name: &str| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let folder = absolute("XDG_CONFIG_HOME").or_else(|| Some(absolute("HOME")?.join(".config")))?;
        Some(Self { path: folder.join("plasma/credentials.json") })
    }

    /// The tokens for the server at `url`, if somebody has logged in there.
    pub(super) fn get(&self, url: &Url) -> Result<Option<Login>> {
        Ok(self.read()?.servers.remove(&key(url)))
    }

    /// Keeps tokens, or with `None` forgets them.
    pub(super) fn put(&self, _held: &Held, url: &Url, login: Option<Login>) -> Result<()> {
        let mut content = self.read()?;
        match login {
            Some(login) => drop(content.servers.insert(key(url), login)),
            None => drop(content.servers.remove(&key(url))),
        }
        self.write(&content).with_context(|| format!("{} cannot be written", self.path.display()))
    }

    /// Waits until no other command changes the file. Not by blocking: another task of this command may hold it.
    pub(super) async fn hold(&self) -> Result<Held> {
        let folder = self.folder()?;
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .with_context(|| format!("the folder {} cannot be made", folder.display()))?;
        let path = self.path.with_extension("lock");
        let lock = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(&path);
        let lock = lock.with_context(|| format!("{} cannot be opened", path.display()))?;
        let deadline = tokio::time::Instant::now() + LOCK_WAIT;
        loop {
            match lock.try_lock() {
                Ok(()) => return Ok(Held { _lock: lock }),
                Err(TryLockError::WouldBlock) if tokio::time::Instant::now() < deadline => {
                    tokio::time::sleep(LOCK_INTERVAL).await;
                }
                Err(TryLockError::WouldBlock) => bail!("another plasma holds {} for too long", path.display()),
                Err(TryLockError::Error(error)) => {
                    return Err(error).with_context(|| format!("{} cannot be locked", path.display()));
                }
            }
        }
    }

    fn folder(&self) -> Result<&Path> {
        self.path.parent().ok_or_else(|| anyhow!("{} is in no folder", self.path.display()))
    }

    fn read(&self) -> Result<Content> {
        let metadata = match fs::metadata(&self.path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Content::default()),
            other => other.with_context(|| format!("{} cannot be read", self.path.display()))?,
        };
        let mode = metadata.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            bail!(
                "{} can be read by other users (mode {mode:o}): run `chmod 600` on it, then `plasma logout` and `plasma login`",
                self.path.display()
            );
        }
        if metadata.len() > FILE_BYTES_MAX {
            bail!("{} is larger than 1 MiB: it is not what plasma wrote", self.path.display());
        }
        let text = fs::read_to_string(&self.path).with_context(|| format!("{} cannot be read", self.path.display()))?;
        // The text is never quoted: it holds tokens.
        serde_json::from_str(&text)
            .map_err(|_| anyhow!("{} is damaged: remove it and run `plasma login` again", self.path.display()))
    }

    /// Whole or not at all, and never readable by others, not even for a moment.
    fn write(&self, content: &Content) -> std::io::Result<()> {
        let temporary = self.path.with_extension(format!("new-{}", std::process::id()));
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
        file.write_all(&serde_json::to_vec_pretty(content)?)?;
        file.sync_all()?;
        fs::rename(&temporary, &self.path)
    }
}

/// The same for every way to write an address.
fn key(url: &Url) -> String {
    url.as_str().trim_end_matches('/').to_owned()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn login(token: &str) -> Login {
        Login { access_token: token.to_owned(), refresh_token: "plr_x".to_owned(), expires_at: now() + 3_600 }
    }

    #[tokio::test]
    async fn tokens_are_kept_for_each_server_and_for_this_user_alone() {
        let folder = tempfile::tempdir().unwrap();
        let credentials = Credentials { path: folder.path().join("plasma/credentials.json") };
        let (here, there): (Url, Url) =
            ("http://127.0.0.1:8080".parse().unwrap(), "https://p.example/x/".parse().unwrap());
        assert!(credentials.get(&here).unwrap().is_none());
        let held = credentials.hold().await.unwrap();
        credentials.put(&held, &here, Some(login("pla_1"))).unwrap();
        credentials.put(&held, &there, Some(login("pla_2"))).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&credentials.path), 0o600);
        assert_eq!(mode(credentials.path.parent().unwrap()), 0o700);
        assert_eq!(credentials.get(&"http://127.0.0.1:8080/".parse().unwrap()).unwrap().unwrap().access_token, "pla_1");
        assert_eq!(credentials.get(&"https://p.example/x".parse().unwrap()).unwrap().unwrap().access_token, "pla_2");
        credentials.put(&held, &here, None).unwrap();
        assert!(credentials.get(&here).unwrap().is_none());
        assert!(credentials.get(&there).unwrap().is_some());
    }

    #[tokio::test]
    async fn a_file_that_others_can_read_is_not_used() {
        let folder = tempfile::tempdir().unwrap();
        let credentials = Credentials { path: folder.path().join("plasma/credentials.json") };
        let here: Url = "http://127.0.0.1:8080".parse().unwrap();
        let held = credentials.hold().await.unwrap();
        credentials.put(&held, &here, Some(login("pla_1"))).unwrap();
        fs::set_permissions(&credentials.path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(credentials.get(&here).unwrap_err().to_string().contains("chmod 600"));
        fs::set_permissions(&credentials.path, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&credentials.path, "{\"servers\": {\"x\": \"pla_secret").unwrap();
        let error = format!("{:#}", credentials.get(&here).unwrap_err());
        assert!(error.contains("damaged") && !error.contains("pla_secret"), "{error}");
    }

    #[tokio::test]
    async fn one_command_at_a_time_changes_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let credentials = Credentials { path: folder.path().join("plasma/credentials.json") };
        let held = credentials.hold().await.unwrap();
        let waits = tokio::time::timeout(Duration::from_millis(200), credentials.hold()).await;
        assert!(waits.is_err());
        drop(held);
        credentials.hold().await.unwrap();
    }
}
