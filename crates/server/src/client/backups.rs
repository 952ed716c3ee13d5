//! `plasma backup …`: on this machine's files, without a server's help.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufWriter, Read, Write},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};
use clap::Args;
use plasma_kernel::{Clock, Random, Timestamp, date_of_day};
use serde_json::json;

use crate::{
    backup::{self, Identity, Manifest, Opener, PublicKey, Recipient, Sources, Totals},
    cli::Settings,
    config::Config,
    lock::DataDirLock,
};

const BUFFER_BYTES: usize = 256 << 10;
const KEY_FILE_BYTES_MAX: u64 = 64 << 10;

/// For whom.
#[derive(Debug, Args)]
#[command(next_help_heading = "Encryption")]
pub(crate) struct RecipientArgs {
    /// Whom to encrypt for: what `plasma backup keygen` printed, or a file that holds it. May be given several times
    #[arg(long = "recipient", value_name = "KEY|FILE")]
    recipients: Vec<String>,
    /// File whose first line is the passphrase to encrypt with
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
}

/// With what.
#[derive(Debug, Args)]
#[command(next_help_heading = "Encryption")]
pub(crate) struct OpenerArgs {
    /// File of the identity that `plasma backup keygen` wrote
    #[arg(long, value_name = "FILE", conflicts_with = "passphrase_file")]
    identity: Option<PathBuf>,
    /// File whose first line is the passphrase
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
}

/// `plasma backup create`
#[derive(Debug, Args)]
pub(crate) struct CreateBackupArgs {
    /// File to write; a folder gets one with the time in its name; - is the standard output
    #[arg(long, value_name = "FILE|FOLDER")]
    to: PathBuf,
    #[command(flatten)]
    recipients: RecipientArgs,
    /// Put the master key into the backup too. Who opens it can then read all stored secrets
    #[arg(long)]
    with_master_key: bool,
    /// Only the files: where the database is Postgres, which pg_dump backs up
    #[arg(long)]
    files_only: bool,
    /// Where the copy of the database lies while it is written, as large as the database [default: the data directory]
    #[arg(long, value_name = "FOLDER")]
    temporary: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) settings: Settings,
}

/// `plasma backup restore`
#[derive(Debug, Args)]
pub(crate) struct RestoreBackupArgs {
    /// The backup; - is the standard input
    file: PathBuf,
    #[command(flatten)]
    opener: OpenerArgs,
    #[command(flatten)]
    pub(crate) settings: Settings,
}

/// `plasma backup verify`
#[derive(Debug, Args)]
pub(crate) struct VerifyBackupArgs {
    /// The backup; - is the standard input
    file: PathBuf,
    #[command(flatten)]
    opener: OpenerArgs,
    /// Print JSON instead of text
    #[arg(long)]
    json: bool,
}

/// `plasma backup seal`
#[derive(Debug, Args)]
pub(crate) struct SealArgs {
    #[command(flatten)]
    recipients: RecipientArgs,
}

/// `plasma backup open`
#[derive(Debug, Args)]
pub(crate) struct OpenArgs {
    #[command(flatten)]
    opener: OpenerArgs,
}

/// `plasma backup keygen`
#[derive(Debug, Args)]
pub(crate) struct KeygenArgs {
    /// New file for the identity; keep it where no backup is
    #[arg(long, value_name = "FILE")]
    to: PathBuf,
}

fn small_file(path: &Path) -> Result<String> {
    let mut text = String::new();
    let file = File::open(path).with_context(|| format!("{} cannot be read", path.display()))?;
    file.take(KEY_FILE_BYTES_MAX)
        .read_to_string(&mut text)
        .with_context(|| format!("{} cannot be read", path.display()))?;
    Ok(text)
}

impl RecipientArgs {
    fn read(&self) -> Result<Vec<Recipient>> {
        let mut recipients = Vec::new();
        for key in &self.recipients {
            // A key is no file's name: it has a colon and is long.
            let text = if key.contains(':') { key.clone() } else { small_file(Path::new(key))? };
            recipients.push(Recipient::Key(PublicKey::parse(&text)?));
        }
        if let Some(file) = &self.passphrase_file {
            recipients.push(Recipient::Passphrase(backup::passphrase(&small_file(file)?)?));
        }
        if recipients.is_empty() {
            bail!(
                "a backup is always encrypted: name whom for with --recipient (make a key with `plasma backup keygen --to FILE`) \
                 or give --passphrase-file"
            );
        }
        Ok(recipients)
    }
}

impl OpenerArgs {
    fn read(&self) -> Result<Opener> {
        match (&self.identity, &self.passphrase_file) {
            (Some(file), _) => Ok(Opener::Identity(Identity::parse(&small_file(file)?)?)),
            (None, Some(file)) => Ok(Opener::Passphrase(backup::passphrase(&small_file(file)?)?)),
            (None, None) => bail!("say what opens the backup: --identity FILE or --passphrase-file FILE"),
        }
    }
}

/// Makes a backup.
///
/// # Errors
/// What is wrong with the files or the keys.
pub(crate) async fn create_backup(config: Config, arguments: CreateBackupArgs) -> Result<bool> {
    if config.database_url.is_some() && !arguments.files_only {
        bail!(
            "the database is Postgres: back it up with `pg_dump --format=custom … | plasma backup seal --recipient … > FILE`, and \
             its files with --files-only"
        );
    }
    let recipients = arguments.recipients.read()?;
    let master_key = config.master_key_file.clone().unwrap_or_else(|| config.data_dir.join("master.key"));
    let sources = Sources {
        database: !arguments.files_only,
        master_key: arguments.with_master_key.then_some(master_key),
        temporary: arguments.temporary.clone(),
        data_dir: config.data_dir,
    };
    let mut skipped = Vec::new();
    if arguments.to == Path::new("-") {
        let target = BufWriter::with_capacity(BUFFER_BYTES, io::stdout().lock());
        let totals = backup::create(&sources, target, &recipients, &mut skipped).await?;
        eprintln!("{}", told(totals));
        return Ok(true);
    }
    let file = if arguments.to.is_dir() { arguments.to.join(file_name(Clock::system().now())) } else { arguments.to };
    if file.exists() {
        bail!("{} exists already", file.display());
    }
    // Under its name only when it is whole.
    let part = file.with_extension("part");
    let wrong = || format!("{} cannot be written", part.display());
    let opened =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&part).with_context(wrong)?;
    let mut target = BufWriter::with_capacity(BUFFER_BYTES, opened);
    let made = backup::create(&sources, &mut target, &recipients, &mut skipped).await;
    let totals = match made {
        Ok(totals) => totals,
        Err(error) => {
            let _ = fs::remove_file(&part);
            return Err(error);
        }
    };
    target.flush().with_context(wrong)?;
    target.get_ref().sync_all().with_context(wrong)?;
    fs::rename(&part, &file).with_context(|| format!("{} cannot be put into place", file.display()))?;
    println!("{}: {}", file.display(), told(totals));
    if !skipped.is_empty() {
        println!("{} files were deleted meanwhile and are not in it", skipped.len());
    }
    if !arguments.with_master_key {
        println!("the master key is not in it: keep a copy of it, and not beside this backup");
    }
    Ok(true)
}

fn told(totals: Totals) -> String {
    format!("{} files, {:.1} MB", totals.files, totals.bytes as f64 / 1e6)
}

/// As in `plasma-2026-11-27-231500.backup`, in UTC.
fn file_name(at: Timestamp) -> String {
    format!("plasma-{}.backup", written(at, '-', ""))
}

fn written(at: Timestamp, between: char, colon: &str) -> String {
    let seconds = at.div_euclid(1_000_000);
    let (year, month, day) = date_of_day(seconds.div_euclid(86_400));
    let second = seconds.rem_euclid(86_400);
    let (hours, minutes, seconds) = (second / 3_600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}{between}{hours:02}{colon}{minutes:02}{colon}{seconds:02}")
}

fn source(file: &Path) -> Result<Box<dyn Read>> {
    if file == Path::new("-") {
        return Ok(Box::new(io::stdin().lock()));
    }
    Ok(Box::new(File::open(file).with_context(|| format!("{} cannot be read", file.display()))?))
}

/// Makes a data directory from a backup.
///
/// # Errors
/// What is wrong with the backup, the key or the folder.
pub(crate) async fn restore_backup(config: Config, arguments: RestoreBackupArgs) -> Result<bool> {
    let opener = arguments.opener.read()?;
    let source = source(&arguments.file)?;
    let _lock = DataDirLock::take(&config.data_dir)?;
    let (manifest, totals) = backup::restore(source, &opener, &config.data_dir).await?;
    println!("{} holds {}", config.data_dir.display(), told(totals));
    if !manifest.database {
        println!(
            "the database was Postgres and is not in the backup: restore its dump with `plasma backup open … | pg_restore`"
        );
    }
    let has_key =
        manifest.master_key || config.data_dir.join("master.key").exists() || config.master_key_file.is_some();
    if !has_key && config.vault_url.is_none() {
        println!("put the master key into {} before the first start", config.data_dir.join("master.key").display());
    }
    Ok(true)
}

/// Says whether a backup is whole.
///
/// # Errors
/// What is wrong with it.
pub(crate) async fn verify_backup(arguments: VerifyBackupArgs) -> Result<bool> {
    let opener = arguments.opener.read()?;
    let (manifest, totals) = backup::verify(source(&arguments.file)?, &opener)?;
    let Manifest { program, created_at, database, master_key, .. } = manifest;
    if arguments.json {
        let summary = json!({
            "created_at": created_at, "program": program, "database": database, "master_key": master_key,
            "files": totals.files, "bytes": totals.bytes,
        });
        println!("{}", serde_json::to_string_pretty(&summary)?);
        return Ok(true);
    }
    let with = |is_there: bool| if is_there { "with" } else { "without" };
    println!(
        "whole: {}, {} the database, {} the master key, made {} UTC by plasma {}",
        told(totals),
        with(database),
        with(master_key),
        written(created_at, ' ', ":"),
        super::printable(&program)
    );
    Ok(true)
}

/// Encrypts the standard input to the standard output.
///
/// # Errors
/// What is wrong with the keys or the streams.
pub(crate) async fn seal(arguments: SealArgs) -> Result<bool> {
    backup::seal(io::stdin().lock(), io::stdout().lock(), &arguments.recipients.read()?)?;
    Ok(true)
}

/// Decrypts the standard input to the standard output.
///
/// # Errors
/// What is wrong with the key or the streams; then what was written is not whole.
pub(crate) async fn open(arguments: OpenArgs) -> Result<bool> {
    let target = BufWriter::with_capacity(BUFFER_BYTES, io::stdout().lock());
    backup::open(io::stdin().lock(), target, &arguments.opener.read()?)?;
    Ok(true)
}

/// Makes a key for backups.
///
/// # Errors
/// When the file exists or cannot be written.
pub(crate) async fn keygen(arguments: KeygenArgs) -> Result<bool> {
    let (identity, recipient) = backup::generate(&Random::system())?;
    let wrong = || format!("{} cannot be made", arguments.to.display());
    let mut file =
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(&arguments.to).with_context(wrong)?;
    writeln!(file, "# Opens backups of Plasma. Keep it secret, and apart from them.\n{}", identity.as_str())
        .with_context(wrong)?;
    file.sync_all().with_context(wrong)?;
    println!("{recipient}");
    eprintln!("the identity that opens such backups is in {}; without it they are lost", arguments.to.display());
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backup_is_named_by_its_time() {
        assert_eq!(file_name(1_795_821_300_000_000), "plasma-2026-11-27-231500.backup");
        assert_eq!(written(0, ' ', ":"), "1970-01-01 00:00:00");
    }
}
