//! Logs as files: for tables, for other programs, and whole ones that `plasma audit verify` checks. An export is itself a record.

use std::{collections::HashMap, fmt::Write as _, sync::Arc};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use plasma_kernel::{
    Ctx, Error,
    Permission::{AuditRead, InstallationRead},
    Result, TenantId,
};
use plasma_store::NewEvent;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::{
    AuditRecord, Governance, Inner, Log, RecordFilter,
    merkle::TILE_WIDTH,
    search::{self, Query},
    store, time,
};

/// What the first line of a whole log says of its form.
pub(crate) const BUNDLE_FORMAT: &str = "plasma-audit-log/1";
/// Records, rows of hashes or checkpoints of one read.
const PAGE: u32 = 500;
/// Pieces that wait for a slow client.
const PIECES_MAX: usize = 4;

/// The form of an export.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ExportFormat {
    /// A table.
    Csv,
    /// A JSON object for each record.
    Jsonl,
    /// The whole log with its hashes and checkpoints, as `plasma audit verify` reads it.
    Bundle,
}

impl ExportFormat {
    fn content_type(self) -> &'static str {
        match self {
            Self::Csv => "text/csv; charset=utf-8; header=present",
            Self::Jsonl | Self::Bundle => "application/jsonl; charset=utf-8",
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Jsonl => "jsonl",
            Self::Bundle => "bundle",
        }
    }

    fn extension(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Jsonl | Self::Bundle => "jsonl",
        }
    }
}

/// A file on its way.
pub struct Export {
    /// Its media type.
    pub content_type: &'static str,
    /// What to call it.
    pub file_name: String,
    /// Its contents, piece by piece; an error is the last.
    pub pieces: mpsc::Receiver<Result<Bytes>>,
}

type Pieces = mpsc::Sender<Result<Bytes>>;

impl Governance {
    /// The records that fit, the newest first; or, as a bundle, the whole log, the oldest first.
    ///
    /// # Errors
    /// `forbidden` without `audit:read`, for the installation's log also without `installation:read`; `invalid` naming the
    /// field, also for a bundle with a filter.
    pub async fn export(&self, ctx: &Ctx, log: Log, format: ExportFormat, filter: RecordFilter) -> Result<Export> {
        let ctx = log.bind(ctx, AuditRead, InstallationRead)?;
        if format == ExportFormat::Bundle && filter != RecordFilter::default() {
            return Err(Error::invalid("format", "a bundle holds the whole log: it takes no filter")
                .remedy("ask for csv or jsonl to export some records"));
        }
        let tenant = ctx.tenant()?;
        let query = Query::new(filter.clone())?;
        let mut tx = self.inner.store.begin(&ctx).await?;
        let size = store::logs::get(&mut tx, tenant).await?.size;
        let data = json!({ "format": format, "records": size, "filter": described(&filter) });
        tx.emit(NewEvent::new("audit.log.exported", tenant, data)).await?;
        tx.commit().await?;
        let (sender, pieces) = mpsc::channel(PIECES_MAX);
        let name = match log {
            Log::Workspace => tenant.to_string(),
            Log::Installation => "installation".to_owned(),
        };
        let day = time::basic(ctx.now());
        let file_name = format!("audit-{name}-{day}.{}.{}", format.name(), format.extension());
        let inner = Arc::clone(&self.inner);
        tokio::spawn(async move {
            let written = match format {
                ExportFormat::Bundle => Box::pin(inner.write_bundle(&ctx, tenant, &sender)).await,
                _ => Box::pin(inner.write_records(&ctx, tenant, &query, format, &sender)).await,
            };
            if let Err(error) = written {
                tracing::warn!(?error, "an export of the audit log broke off");
                // Nobody may be listening any more.
                let _ = sender.send(Err(error)).await;
            }
        });
        Ok(Export { content_type: format.content_type(), file_name, pieces })
    }
}

/// What was asked for, for the record of the export.
fn described(filter: &RecordFilter) -> Value {
    let RecordFilter { actor, action, subject, address, from, to, text } = filter;
    let given: HashMap<&str, Value> = [
        ("actor", json!(actor)),
        ("action", json!(action)),
        ("subject", json!(subject)),
        ("address", json!(address)),
        ("from", json!(from)),
        ("to", json!(to)),
        ("text", json!(text)),
    ]
    .into_iter()
    .filter(|(_, value)| !value.is_null())
    .collect();
    json!(given)
}

/// Hands a piece on; false when nobody takes it any more.
async fn send(pieces: &Pieces, piece: String) -> bool {
    piece.is_empty() || pieces.send(Ok(Bytes::from(piece))).await.is_ok()
}

impl Inner {
    async fn write_records(
        &self,
        ctx: &Ctx,
        log: TenantId,
        query: &Query,
        format: ExportFormat,
        pieces: &Pieces,
    ) -> Result<()> {
        if format == ExportFormat::Csv && !send(pieces, csv_lines([&COLUMNS.map(str::to_owned)])?).await {
            return Ok(());
        }
        let mut below = u64::MAX;
        loop {
            let mut tx = self.store.read(ctx).await?;
            let found = search::look(&mut tx, log, query, below, PAGE as usize).await?;
            drop(tx);
            let piece = match format {
                ExportFormat::Csv => {
                    let rows: Vec<_> = found.records.iter().map(row).collect();
                    csv_lines(&rows)?
                }
                _ => json_lines(&found.records)?,
            };
            if !send(pieces, piece).await {
                return Ok(());
            }
            match found.below {
                Some(next) => below = next,
                None => return Ok(()),
            }
        }
    }

    /// Everything that a verifier needs, of the log as it is when this begins.
    async fn write_bundle(&self, ctx: &Ctx, log: TenantId, pieces: &Pieces) -> Result<()> {
        let mut tx = self.store.read(ctx).await?;
        let row = store::logs::get(&mut tx, log).await?;
        drop(tx);
        let size = row.size;
        let head = json!({
            "kind": "log",
            "format": BUNDLE_FORMAT,
            "log": log,
            "origin": self.origin(log),
            "public_key": self.key.public().base64(),
            "size": size,
            "retained_from": row.retained_from,
            "exported_at": ctx.now(),
        });
        if !send(pieces, format!("{head}\n")).await
            || !self.write_hashes(ctx, log, size, pieces).await?
            || !self.write_notes(ctx, log, size, pieces).await?
        {
            return Ok(());
        }
        let mut from = 0;
        while from < size {
            let mut tx = self.store.read(ctx).await?;
            let rows = store::records::range(&mut tx, log, from, size, PAGE).await?;
            drop(tx);
            let Some(last) = rows.last() else { break };
            from = last.leaf + 1;
            let mut piece = String::new();
            for row in &rows {
                let erased = row.erased_by.map(|by| format!("\"erased_by\":\"{by}\",")).unwrap_or_default();
                // Writing to a text cannot fail. The record stands there exactly as it was hashed.
                let _ =
                    writeln!(piece, "{{\"kind\":\"record\",\"leaf\":{},{erased}\"record\":{}}}", row.leaf, row.text);
            }
            if !send(pieces, piece).await {
                return Ok(());
            }
        }
        Ok(())
    }

    /// The hashes of all leaves, also of those whose records are gone.
    async fn write_hashes(&self, ctx: &Ctx, log: TenantId, size: u64, pieces: &Pieces) -> Result<bool> {
        let mut number = 0;
        while number * TILE_WIDTH < size {
            let mut tx = self.store.read(ctx).await?;
            let rows = store::tiles::rows(&mut tx, log, 0, number, PAGE).await?;
            drop(tx);
            let Some((last, _)) = rows.last() else { break };
            number = last + 1;
            let mut piece = String::new();
            for (number, mut hashes) in rows {
                let from = number * TILE_WIDTH;
                hashes.truncate(usize::try_from(size.saturating_sub(from)).unwrap_or(usize::MAX));
                let line = json!({ "kind": "hashes", "from": from, "hashes": STANDARD.encode(hashes.concat()) });
                if !hashes.is_empty() {
                    let _ = writeln!(piece, "{line}");
                }
            }
            if !send(pieces, piece).await {
                return Ok(false);
            }
        }
        Ok(true)
    }

    async fn write_notes(&self, ctx: &Ctx, log: TenantId, size: u64, pieces: &Pieces) -> Result<bool> {
        let mut after = 0;
        loop {
            let mut tx = self.store.read(ctx).await?;
            let notes = store::checkpoints::notes(&mut tx, log, after, size, PAGE).await?;
            drop(tx);
            let Some((last, _)) = notes.last() else { return Ok(true) };
            after = *last;
            let mut piece = String::new();
            for (_, note) in &notes {
                let _ = writeln!(piece, "{}", json!({ "kind": "checkpoint", "note": note }));
            }
            if !send(pieces, piece).await {
                return Ok(false);
            }
        }
    }
}

fn json_lines(records: &[AuditRecord]) -> Result<String> {
    let mut lines = String::new();
    for record in records {
        let line = serde_json::to_string(record)
            .map_err(|error| Error::from_source("a record cannot be written as JSON", error))?;
        lines.push_str(&line);
        lines.push('\n');
    }
    Ok(lines)
}

const COLUMNS: [&str; 12] = [
    "leaf",
    "id",
    "at",
    "type",
    "subject",
    "actor_kind",
    "actor_id",
    "address",
    "user_agent",
    "request_id",
    "data",
    "erased_by",
];

fn row(record: &AuditRecord) -> [String; COLUMNS.len()] {
    let actor = json!(record.actor);
    let actor_text = |name: &str| actor.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let actor_id = match actor_text("id") {
        id if id.is_empty() => actor_text("reason"),
        id => id,
    };
    let origin = record.origin.clone().unwrap_or_default();
    let cells = [
        record.leaf.to_string(),
        record.id.to_string(),
        time::extended(record.at),
        record.kind.clone(),
        record.subject.clone(),
        actor_text("kind"),
        actor_id,
        origin.address.map(|address| address.to_string()).unwrap_or_default(),
        origin.user_agent.unwrap_or_default(),
        record.request_id.clone(),
        record.data.to_string(),
        record.erased_by.map(|by| by.to_string()).unwrap_or_default(),
    ];
    cells.map(harmless)
}

/// A spreadsheet takes a cell that begins so for a formula.
fn harmless(cell: String) -> String {
    if cell.starts_with(['=', '+', '-', '@', '\t', '\r']) { format!("'{cell}") } else { cell }
}

/// For fuzzing only: a record as a row of a table and as a line, which hold it and nothing else.
#[cfg(fuzzing)]
pub(crate) fn fuzz(record: &AuditRecord) {
    let cells = row(record);
    let is_formula = |cell: &String| cell.starts_with(['=', '+', '-', '@', '\t', '\r']);
    assert!(!cells.iter().any(is_formula), "a cell that a spreadsheet runs");
    let table = csv_lines([&cells]).unwrap_or_default();
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(table.as_bytes());
    let rows: Vec<csv::StringRecord> = reader.records().filter_map(std::result::Result::ok).collect();
    let [read] = rows.as_slice() else { unreachable!("one record became {} rows", rows.len()) };
    assert!(read.iter().eq(cells.iter().map(String::as_str)), "a cell is read otherwise than it was written");
    let lines = json_lines(std::slice::from_ref(record)).unwrap_or_default();
    assert!(lines.ends_with('\n') && lines.matches('\n').count() == 1, "one record became several lines");
}

fn csv_lines<'a>(rows: impl IntoIterator<Item = &'a [String; COLUMNS.len()]>) -> Result<String> {
    let failed = |error: csv::Error| Error::from_source("a table cannot be written", error);
    let mut writer = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new());
    for row in rows {
        writer.write_record(row).map_err(failed)?;
    }
    let bytes = writer.into_inner().map_err(|error| Error::internal(format!("a table cannot be written: {error}")))?;
    String::from_utf8(bytes).map_err(|error| Error::from_source("a table is not UTF-8", error))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use plasma_kernel::{Actor, EventId, Origin};

    use super::*;

    #[test]
    fn a_table_has_no_formulas() {
        let record = AuditRecord {
            id: EventId::from_bits(1),
            leaf: 0,
            at: 0,
            kind: "a.b".to_owned(),
            subject: "=1+1".to_owned(),
            actor: Actor::System { reason: "first start".to_owned() },
            request_id: "req".to_owned(),
            origin: Some(Origin { address: None, user_agent: Some("@evil, \"x\"".to_owned()) }),
            data: json!({"a": "b"}),
            erased_by: None,
        };
        let lines = csv_lines(&[row(&record)]).unwrap();
        assert_eq!(
            lines,
            "0,evt_00000000000000000000000001,1970-01-01T00:00:00.000000Z,a.b,'=1+1,system,first start,,\
             \"'@evil, \"\"x\"\"\",req,\"{\"\"a\"\":\"\"b\"\"}\",\r\n"
        );
    }

    #[test]
    fn the_record_of_an_export_says_what_was_asked_for() {
        let filter = RecordFilter { actor: Some("usr_1".to_owned()), from: Some(5), ..RecordFilter::default() };
        assert_eq!(described(&filter), json!({"actor": "usr_1", "from": 5}));
    }
}
