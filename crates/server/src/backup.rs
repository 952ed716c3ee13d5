//! Backups: what is in them, how they are made of a running server's data, and how they become a data directory again.
//!
//! A backup holds the database (of SQLite) as it was at one moment, and the files. Indexes are made again from them. The master key is
//! not in it unless that is asked for: whoever finds a backup then still lacks what opens the stored secrets.

mod archive;
mod format;
#[cfg(fuzzing)]
pub(crate) mod fuzzing;
mod keys;

use std::{
    fs::{self, File, OpenOptions, Permissions, TryLockError},
    io::{self, BufReader, BufWriter, Read, Write},
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, anyhow, bail};
use plasma_kernel::{Clock, Random, Timestamp};
use serde::{Deserialize, Serialize};

use archive::{ArchiveReader, ArchiveWriter};
use format::{OpenReader, SealWriter};

pub(crate) use keys::{Identity, Opener, PublicKey, Recipient, generate, passphrase};

/// Of the format of what is inside.
const FORMAT: u32 = 1;
const MANIFEST: &str = "manifest.json";
const END: &str = "end.json";
const MASTER_KEY: &str = "master.key";
const BLOBS: &str = "blobs";
const LAST: &str = "last-backup.json";
/// While a backup is made, and while one is restored.
const COPY_FOLDER: &str = "backup.tmp";
const RESTORE_FOLDER: &str = "restore.tmp";
const SMALL_BYTES_MAX: u64 = 64 << 10;
const BUFFER_BYTES: usize = 256 << 10;

/// The first file of a backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Manifest {
    format: u32,
    /// The version of the program that made it.
    pub(crate) program: String,
    /// When, in microseconds since 1970 UTC.
    pub(crate) created_at: Timestamp,
    /// Whether the database is in it.
    pub(crate) database: bool,
    /// Whether the master key is in it.
    pub(crate) master_key: bool,
}

/// The last file of a backup.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Totals {
    /// Files before it, the manifest included.
    pub(crate) files: u64,
    /// Their bytes.
    pub(crate) bytes: u64,
}

/// What is known of the last backup of a data directory.
#[derive(Clone, Debug, Serialize, Deserialize, utoipa::ToSchema)]
pub(crate) struct LastBackup {
    /// When it was complete, in microseconds since 1970 UTC.
    finished_at: Timestamp,
    /// Files in it.
    files: u64,
    /// Their bytes.
    bytes: u64,
    /// Whether the database is in it; on Postgres it is backed up by itself.
    database: bool,
}

/// What goes into a backup.
pub(crate) struct Sources {
    pub(crate) data_dir: PathBuf,
    /// Whether `data_dir` holds the database.
    pub(crate) database: bool,
    /// The master key's file, when it shall be in the backup.
    pub(crate) master_key: Option<PathBuf>,
    /// Where the copy of the database lies until it is written; the data directory when it is not said.
    pub(crate) temporary: Option<PathBuf>,
}

/// Removes a folder when it is done with, however that ends.
struct Temporary(PathBuf);

impl Temporary {
    /// Makes it anew, for this user only.
    fn new(folder: PathBuf) -> Result<Self> {
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir(&folder).with_context(|| format!("{} cannot be made", folder.display()))?;
        fs::set_permissions(&folder, Permissions::from_mode(0o700))?;
        Ok(Self(folder))
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // What cannot be removed now is removed by the next backup.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The last backup that was made of `data_dir`, if it is known.
pub(crate) fn last(data_dir: &Path) -> Option<LastBackup> {
    let mut text = String::new();
    File::open(data_dir.join(LAST)).ok()?.take(SMALL_BYTES_MAX).read_to_string(&mut text).ok()?;
    serde_json::from_str(&text).ok()
}

/// Makes a backup of data that may be in use, into `target`. What is written is only as large in memory as one piece of it.
pub(crate) async fn create(
    sources: &Sources,
    target: impl Write,
    recipients: &[Recipient],
    skipped: &mut Vec<String>,
) -> Result<Totals> {
    let _one_at_a_time = lock(&sources.data_dir)?;
    let folder = match &sources.temporary {
        // Others may use it too.
        Some(folder) => folder.join(format!("plasma-{}-{COPY_FOLDER}", std::process::id())),
        None => sources.data_dir.join(COPY_FOLDER),
    };
    let copy = Temporary::new(folder)?;
    // First the database, then the files: a file that a row names was there before the row.
    let database = copy.0.join(plasma_store::SQLITE_FILE);
    if sources.database {
        Box::pin(plasma_store::snapshot_sqlite(&sources.data_dir, &database)).await?;
    }
    let manifest = Manifest {
        format: FORMAT,
        program: env!("CARGO_PKG_VERSION").to_owned(),
        created_at: Clock::system().now(),
        database: sources.database,
        master_key: sources.master_key.is_some(),
    };
    let sealed = SealWriter::new(target, recipients, &Random::system())?;
    let mut writer = Counted { inner: ArchiveWriter::new(sealed), totals: Totals::default() };
    writer.add_bytes(MANIFEST, &serde_json::to_vec(&manifest)?)?;
    if sources.database {
        writer.add_file(plasma_store::SQLITE_FILE, &database)?;
    }
    drop(copy);
    if let Some(file) = &sources.master_key {
        writer.add_file(MASTER_KEY, file)?;
    }
    writer.add_folder(BLOBS, &sources.data_dir.join(BLOBS), skipped)?;
    let totals = writer.totals;
    writer.add_bytes(END, &serde_json::to_vec(&totals)?)?;
    writer.inner.finish()?.finish().context("the backup cannot be written")?;
    remember(sources, totals);
    Ok(totals)
}

/// Notes it for the dashboard. The backup is good also when this fails.
fn remember(sources: &Sources, totals: Totals) {
    let Totals { files, bytes } = totals;
    let last = LastBackup { finished_at: Clock::system().now(), files, bytes, database: sources.database };
    let file = sources.data_dir.join(LAST);
    let temporary = file.with_extension("new");
    if let Ok(text) = serde_json::to_vec(&last) {
        let _ = fs::write(&temporary, text).and_then(|()| fs::rename(&temporary, &file));
    }
}

/// Two backups at once would share the folder of the copy.
fn lock(data_dir: &Path) -> Result<File> {
    let path = data_dir.join("backup.lock");
    let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path);
    let file =
        file.with_context(|| format!("{} is no data directory of Plasma, or cannot be written", data_dir.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => bail!("another backup of {} is being made", data_dir.display()),
        Err(TryLockError::Error(error)) => Err(error).context("the lock of backups"),
    }
}

/// Counts what goes into an archive.
struct Counted<W> {
    inner: ArchiveWriter<W>,
    totals: Totals,
}

impl<W: Write> Counted<W> {
    fn add(&mut self, name: &str, size: u64, content: &mut impl Read) -> Result<()> {
        self.inner.add(name, size, content)?;
        self.totals.files += 1;
        self.totals.bytes += size;
        Ok(())
    }

    fn add_bytes(&mut self, name: &str, bytes: &[u8]) -> Result<()> {
        self.add(name, bytes.len() as u64, &mut &*bytes)
    }

    fn add_file(&mut self, name: &str, path: &Path) -> Result<()> {
        let mut file = File::open(path).with_context(|| format!("{} cannot be read", path.display()))?;
        let size = file.metadata()?.len();
        self.add(name, size, &mut file)
    }

    /// All files below a folder. Files that are deleted meanwhile are `skipped`.
    fn add_folder(&mut self, name: &str, folder: &Path, skipped: &mut Vec<String>) -> Result<()> {
        let entries = match fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error).with_context(|| format!("{} cannot be read", folder.display())),
        };
        for entry in entries {
            let path = entry?.path();
            let own = path.file_name().and_then(|name| name.to_str());
            let own = own.ok_or_else(|| anyhow!("{} has a name that is not valid Unicode", path.display()))?;
            let name = format!("{name}/{own}");
            // Links to elsewhere are followed: the folder of the files may be one.
            match fs::metadata(&path) {
                Ok(found) if found.is_dir() => self.add_folder(&name, &path, skipped)?,
                // Half written files of uploads have a name with a number sign.
                Ok(_) if own.contains('#') => {}
                Ok(_) => match File::open(&path) {
                    Ok(mut file) => {
                        let size = file.metadata()?.len();
                        self.add(&name, size, &mut file)?;
                    }
                    Err(error) if error.kind() == io::ErrorKind::NotFound => skipped.push(name),
                    Err(error) => return Err(error).with_context(|| format!("{} cannot be read", path.display())),
                },
                Err(error) if error.kind() == io::ErrorKind::NotFound => skipped.push(name),
                Err(error) => return Err(error).with_context(|| format!("{} cannot be read", path.display())),
            }
        }
        Ok(())
    }
}

/// Reads a backup from its beginning to its end and does nothing with it: what is damaged anywhere is found.
pub(crate) fn verify(source: impl Read, opener: &Opener) -> Result<(Manifest, Totals)> {
    read(source, opener, |_, _| Ok(()))
}

/// Makes a data directory out of a backup. Nothing is in its place before all of the backup was read.
pub(crate) async fn restore(source: impl Read, opener: &Opener, data_dir: &Path) -> Result<(Manifest, Totals)> {
    refuse_used(data_dir)?;
    let folder = Temporary::new(data_dir.join(RESTORE_FOLDER))?;
    let read = read(source, opener, |path, content| write_file(&folder.0.join(path), content))?;
    if read.0.database {
        Box::pin(plasma_store::check_sqlite(&folder.0.join(plasma_store::SQLITE_FILE))).await?;
    }
    for name in [BLOBS, MASTER_KEY, plasma_store::SQLITE_FILE] {
        let restored = folder.0.join(name);
        if restored.exists() {
            fs::rename(&restored, data_dir.join(name)).with_context(|| format!("{name} cannot be put into place"))?;
        }
    }
    File::open(data_dir)?.sync_all()?;
    Ok(read)
}

/// A data directory into which is restored holds at most the master key.
fn refuse_used(data_dir: &Path) -> Result<()> {
    for entry in fs::read_dir(data_dir).with_context(|| format!("{} cannot be read", data_dir.display()))? {
        let name = entry?.file_name();
        if !["plasma.lock", MASTER_KEY, RESTORE_FOLDER].iter().any(|known| name == **known) {
            bail!("{} is not empty: restore into a new folder", data_dir.display());
        }
    }
    Ok(())
}

fn write_file(path: &Path, content: &mut dyn Read) -> Result<()> {
    let wrong = || format!("{} cannot be written", path.display());
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).with_context(wrong)?;
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).with_context(wrong)?;
    io::copy(content, &mut file).with_context(wrong)?;
    file.sync_all().with_context(wrong)
}

/// Gives every file of a backup to `take`, and makes sure that all are there.
fn read(
    source: impl Read,
    opener: &Opener,
    mut take: impl FnMut(&Path, &mut dyn Read) -> Result<()>,
) -> Result<(Manifest, Totals)> {
    let opened = OpenReader::new(BufReader::with_capacity(BUFFER_BYTES, source), opener)?;
    let mut archive = ArchiveReader::new(opened);
    let first = archive.next_entry()?.filter(|entry| entry.path == Path::new(MANIFEST));
    let size = first.ok_or_else(|| anyhow!("the backup does not begin as a backup does"))?.size;
    let manifest: Manifest = small(&mut archive, size)?;
    if manifest.format != FORMAT {
        bail!("the backup was made by plasma {}, which is newer than this one", manifest.program);
    }
    let mut totals = Totals { files: 1, bytes: size };
    while let Some(entry) = archive.next_entry()? {
        if entry.path == Path::new(END) {
            let expected: Totals = small(&mut archive, entry.size)?;
            if expected != totals || archive.next_entry()?.is_some() {
                bail!("the backup does not hold what it says");
            }
            // The end of the archive is read, but the container's end is still to come.
            io::copy(&mut archive.into_inner(), &mut io::sink()).context("the backup's end")?;
            return Ok((manifest, totals));
        }
        take(&entry.path, &mut archive)?;
        totals.files += 1;
        totals.bytes += entry.size;
    }
    bail!("the backup has no end")
}

fn small<T: serde::de::DeserializeOwned>(archive: &mut impl Read, size: u64) -> Result<T> {
    if size > SMALL_BYTES_MAX {
        bail!("the backup does not look like one");
    }
    let mut text = Vec::new();
    archive.read_to_end(&mut text)?;
    serde_json::from_slice(&text).context("the backup does not look like one")
}

/// Encrypts what is read, for what no command of ours makes: a dump of Postgres.
pub(crate) fn seal(mut source: impl Read, target: impl Write, recipients: &[Recipient]) -> Result<u64> {
    let mut writer = SealWriter::new(BufWriter::with_capacity(BUFFER_BYTES, target), recipients, &Random::system())?;
    let bytes = io::copy(&mut source, &mut writer).context("what is to be encrypted cannot be read or written")?;
    let mut inner = writer.finish().context("the backup cannot be written")?;
    inner.flush().context("the backup cannot be written")?;
    Ok(bytes)
}

/// The opposite. Every byte that it writes is as it was; the end is an error when something was cut off.
pub(crate) fn open(source: impl Read, mut target: impl Write, opener: &Opener) -> Result<u64> {
    let mut reader = OpenReader::new(BufReader::with_capacity(BUFFER_BYTES, source), opener)?;
    let bytes = io::copy(&mut reader, &mut target).context("the backup cannot be read to its end")?;
    target.flush()?;
    Ok(bytes)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
