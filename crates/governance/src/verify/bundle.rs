//! A whole log in a file, as `GET /api/v1/audit/export?format=bundle` writes it.

use std::{
    fs::File,
    io::{BufRead as _, BufReader, Read as _},
    path::Path,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use plasma_kernel::{Error, Result};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Found, LogReport, Trust, Verification};
use crate::{export::BUNDLE_FORMAT, merkle::hashes_of, note::PublicKey};

/// Bytes of a line: a record has at most some 40 KiB.
const LINE_BYTES_MAX: u64 = 4 << 20;

/// A line, as far as it is looked at.
#[derive(Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Line {
    Log { format: String, log: String, origin: String, public_key: String, size: u64 },
    Hashes { from: u64, hashes: String },
    Checkpoint { note: String },
}

#[derive(Deserialize)]
struct Kind<'a> {
    #[serde(borrow)]
    kind: &'a str,
}

/// A record's line; its text stays as it is written.
#[derive(Deserialize)]
struct RecordLine<'a> {
    leaf: u64,
    erased_by: Option<String>,
    #[serde(borrow)]
    record: &'a RawValue,
}

/// Verifies the log in a file.
///
/// # Errors
/// `not_found` when the file cannot be opened, `invalid` when it is no exported log, or an anchor is of another log.
pub fn verify_bundle(path: &Path, trust: &Trust) -> Result<LogReport> {
    let mut verification = None;
    // First what was signed and hashed, then the records: they may stand in any order.
    for_each_line(path, |number, line| {
        match (kind_of(&line), verification.as_mut()) {
            (Some("record"), Some(_)) => {}
            (Some("log"), None) => verification = Some(begin(&line, trust)?),
            (_, None) => return Err(no_bundle(path)),
            (_, Some(verification)) => read_line(verification, number, &line),
        }
        Ok(())
    })?;
    let mut verification = verification.ok_or_else(|| no_bundle(path))?;
    for anchor in &trust.anchors {
        if !verification.anchor(anchor) {
            let message =
                format!("{} is a checkpoint of {}, not of {}", anchor.source, anchor.origin(), verification.origin());
            return Err(Error::invalid("anchor", message));
        }
    }
    for_each_line(path, |number, line| {
        if kind_of(&line) == Some("record") {
            match serde_json::from_str::<RecordLine<'_>>(&line) {
                Ok(RecordLine { leaf, erased_by, record }) => {
                    verification.record(&Found { leaf, text: record.get(), erased_by: erased_by.as_deref() });
                }
                Err(error) => verification.damaged(format!("line {number} cannot be read: {error}")),
            }
        }
        Ok(())
    })?;
    Ok(verification.finish())
}

fn no_bundle(path: &Path) -> Error {
    Error::invalid("file", format!("{} is not an exported audit log", path.display()))
        .remedy("export one with `plasma audit export --format bundle`")
}

fn begin(line: &str, trust: &Trust) -> Result<Verification> {
    let unreadable =
        |error: serde_json::Error| Error::invalid("file", format!("its first line cannot be read: {error}"));
    let Line::Log { format, log, origin, public_key, size } = serde_json::from_str(line).map_err(unreadable)? else {
        return Err(Error::invalid("file", "does not begin with the line of a log"));
    };
    if format != BUNDLE_FORMAT {
        return Err(Error::invalid("file", format!("has the form `{format}`, which this program does not know")));
    }
    let own = PublicKey::parse(&public_key)?;
    let key = trust.key.unwrap_or(own);
    let mut verification = Verification::new(log, origin, key);
    verification.claims(size);
    match trust.key {
        None => verification.note(
            "the public key is the one in the file itself: compare it with one that you keep elsewhere, or give it with --key",
        ),
        Some(key) if key != own => verification.note("the file brings another public key along than the one that was given"),
        Some(_) => {}
    }
    Ok(verification)
}

fn read_line(verification: &mut Verification, number: u64, line: &str) {
    match serde_json::from_str(line) {
        Ok(Line::Hashes { from, hashes }) => match STANDARD.decode(hashes) {
            Ok(bytes) => verification.hashes(from, &hashes_of(&bytes)),
            Err(error) => verification.damaged(format!("line {number} holds no hashes: {error}")),
        },
        Ok(Line::Checkpoint { note }) => verification.checkpoint(&note),
        Ok(Line::Log { .. }) => verification.damaged(format!("line {number} begins another log")),
        Err(error) => verification.damaged(format!("line {number} cannot be read: {error}")),
    }
}

fn kind_of(line: &str) -> Option<&str> {
    serde_json::from_str::<Kind<'_>>(line).ok().map(|line| line.kind)
}

fn for_each_line(path: &Path, mut each: impl FnMut(u64, String) -> Result<()>) -> Result<()> {
    let failed = |error: std::io::Error| {
        Error::not_found("file_not_found", format!("{} cannot be read: {error}", path.display()))
    };
    let mut reader = BufReader::new(File::open(path).map_err(failed)?);
    for number in 1.. {
        let mut line = Vec::new();
        let read = reader.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut line).map_err(failed)?;
        if read == 0 {
            break;
        }
        if read as u64 == LINE_BYTES_MAX {
            return Err(Error::too_large("file", format!("line {number} is longer than {LINE_BYTES_MAX} bytes")));
        }
        let line = String::from_utf8_lossy(&line).trim_end().to_owned();
        if !line.is_empty() {
            each(number, line)?;
        }
    }
    Ok(())
}
