//! `plasma audit ls` and `export`: the audit log of a running server.

use std::{io::Write as _, path::PathBuf};

use anyhow::{Context as _, Result, anyhow, bail};
use clap::{Args, ValueEnum};
use plasma_kernel::{date_of_day, day_of_date};
use serde_json::Value;

use super::{ServerArgs, api::Api, printable, table};

const DAY_MICROS: i64 = 24 * 3_600 * 1_000_000;
/// Rows of one request.
const PAGE: u32 = 200;

/// Which records.
#[derive(Debug, Clone, Args)]
pub struct FilterArgs {
    /// Only what this person, API key or application did (an id, or `system`)
    #[arg(long, value_name = "ID")]
    actor: Option<String>,
    /// Only this type of action; with .* at the end every type that begins so
    #[arg(long, value_name = "TYPE")]
    action: Option<String>,
    /// Only what happened to this thing (an id)
    #[arg(long, value_name = "ID")]
    subject: Option<String>,
    /// Only requests from this address
    #[arg(long, value_name = "IP")]
    address: Option<String>,
    /// Only records with all of these words
    #[arg(long, value_name = "WORDS")]
    text: Option<String>,
    /// The first day (UTC)
    #[arg(long, value_name = "DATE")]
    from: Option<String>,
    /// The last day (UTC), included
    #[arg(long, value_name = "DATE")]
    to: Option<String>,
    /// The log of the installation instead of the workspace's; needs an operator's key
    #[arg(long)]
    installation: bool,
}

impl FilterArgs {
    fn query(&self) -> Result<Vec<(&'static str, String)>> {
        let mut query = Vec::new();
        for (name, value) in [
            ("actor", &self.actor),
            ("action", &self.action),
            ("subject", &self.subject),
            ("address", &self.address),
            ("text", &self.text),
        ] {
            query.extend(value.iter().map(|value| (name, value.clone())));
        }
        if let Some(from) = &self.from {
            query.push(("from", day("--from", from)?.to_string()));
        }
        if let Some(to) = &self.to {
            query.push(("to", (day("--to", to)? + DAY_MICROS).to_string()));
        }
        if self.installation {
            query.push(("log", "installation".to_owned()));
        }
        Ok(query)
    }
}

/// The beginning of a day, in microseconds since 1970 UTC.
fn day(flag: &str, text: &str) -> Result<i64> {
    let mut parts = text.splitn(3, '-').map(str::parse::<i64>);
    let date = (|| day_of_date(parts.next()?.ok()?, parts.next()?.ok()?, parts.next()?.ok()?))();
    date.map(|day| day * DAY_MICROS).ok_or_else(|| anyhow!("{flag}: `{text}` is not a day such as 2026-11-22"))
}

/// `plasma audit ls`
#[derive(Debug, Args)]
#[command(after_help = "Example: plasma audit ls --action 'identity.*' --from 2026-11-01")]
pub struct AuditListArgs {
    #[command(flatten)]
    filter: FilterArgs,
    /// Records at most
    #[arg(short, long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    limit: u32,
    #[command(flatten)]
    server: ServerArgs,
}

/// Lists records, the newest first.
///
/// # Errors
/// What the server or the connection says.
pub async fn audit_list(arguments: AuditListArgs) -> Result<bool> {
    let api = Api::new(&arguments.server)?;
    let filter = arguments.filter.query()?;
    let limit = usize::try_from(arguments.limit).unwrap_or(usize::MAX);
    let mut records: Vec<Value> = Vec::new();
    let mut cursor: Option<String> = None;
    while records.len() < limit {
        let mut query = filter.clone();
        query.push(("limit", PAGE.min(arguments.limit).to_string()));
        query.extend(cursor.iter().map(|cursor| ("cursor", cursor.clone())));
        let response = api.send(|api| api.get(&["api", "v1", "audit"], &query)).await?;
        let page: Value = response.json().await.context("the answer is not JSON")?;
        records.extend(page.get("data").and_then(Value::as_array).cloned().unwrap_or_default());
        cursor = page.get("next_cursor").and_then(Value::as_str).map(str::to_owned);
        if cursor.is_none() {
            break;
        }
    }
    records.truncate(limit);
    if arguments.server.json {
        println!("{}", serde_json::to_string_pretty(&records)?);
        return Ok(true);
    }
    let mut rows = vec![["TIME", "ACTION", "SUBJECT", "ACTOR", "ADDRESS"].map(str::to_owned).to_vec()];
    rows.extend(records.iter().map(row));
    print!("{}", table(&rows));
    Ok(true)
}

fn row(record: &Value) -> Vec<String> {
    let text = |pointer: &str| record.pointer(pointer).and_then(Value::as_str).map(printable);
    let actor = text("/actor/id").or_else(|| text("/actor/reason")).or_else(|| text("/actor/kind"));
    vec![
        record.get("at").and_then(Value::as_i64).map(time).unwrap_or_default(),
        text("/type").unwrap_or_default(),
        text("/subject").unwrap_or_default(),
        actor.unwrap_or_default(),
        text("/origin/address").unwrap_or_else(|| "-".to_owned()),
    ]
}

/// As in `2026-11-22 10:09:08`.
fn time(at: i64) -> String {
    let seconds = at.div_euclid(1_000_000);
    let (year, month, day) = date_of_day(seconds.div_euclid(86_400));
    let rest = seconds.rem_euclid(86_400);
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02}:{:02}", rest / 3_600, rest / 60 % 60, rest % 60)
}

/// The form of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// The whole log with its hashes and checkpoints, for `plasma audit verify`
    Bundle,
    /// A JSON object for each record
    Jsonl,
    /// A table
    Csv,
}

/// `plasma audit export`
#[derive(Debug, Args)]
#[command(
    after_help = "Examples: plasma audit export -o audit.jsonl && plasma audit verify audit.jsonl\n          plasma audit export --format csv --action 'identity.*' -o identity.csv"
)]
pub struct AuditExportArgs {
    /// The form of the file; a bundle is the whole log and takes no filter
    #[arg(short, long, value_enum, default_value_t = Format::Bundle)]
    format: Format,
    /// File to write, which must not exist yet [default: the standard output]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    filter: FilterArgs,
    #[command(flatten)]
    server: ServerArgs,
}

/// Writes records into a file.
///
/// # Errors
/// What the server, the connection or the disk says.
pub async fn audit_export(arguments: AuditExportArgs) -> Result<bool> {
    let api = Api::new(&arguments.server)?;
    let mut query = arguments.filter.query()?;
    let format = match arguments.format {
        Format::Bundle => "bundle",
        Format::Jsonl => "jsonl",
        Format::Csv => "csv",
    };
    query.push(("format", format.to_owned()));
    // Before the request: it is recorded that somebody exported.
    let mut output: Box<dyn std::io::Write> = match &arguments.output {
        Some(path) => {
            let file = std::fs::OpenOptions::new().write(true).create_new(true).open(path);
            Box::new(file.with_context(|| format!("cannot write {}", path.display()))?)
        }
        None => Box::new(std::io::stdout()),
    };
    let mut response = api.send(|api| api.get(&["api", "v1", "audit", "export"], &query)).await?;
    let mut bytes = 0_usize;
    while let Some(piece) = response.chunk().await.context("the connection broke off: the file is not whole")? {
        output.write_all(&piece).context("the file cannot be written")?;
        bytes += piece.len();
    }
    output.flush().context("the file cannot be written")?;
    if bytes == 0 && arguments.format == Format::Bundle {
        bail!("the server sent nothing");
    }
    if let Some(path) = &arguments.output {
        eprintln!("{bytes} bytes in {}", path.display());
    }
    Ok(true)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn days_are_read() {
        assert_eq!(day("--from", "1970-01-02").unwrap(), DAY_MICROS);
        assert_eq!(time(day("--from", "2026-11-22").unwrap() + 36_548_000_000), "2026-11-22 10:09:08");
        for wrong in ["", "2026", "2026-13-01", "2026-02-30", "yesterday", "2026-11-22T10"] {
            assert!(day("--from", wrong).unwrap_err().to_string().contains("--from"), "{wrong}");
        }
    }
}
