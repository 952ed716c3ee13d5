//! `plasma audit verify`: needs no server, and trusts none.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context as _, Result, anyhow};
use clap::Args;
use plasma_governance::{
    note::PublicKey,
    verify::{Anchor, LogReport, Trust, verify_bundle, verify_snapshot},
};
use plasma_kernel::{Clock, Ctx, Error, Random, TenantId};
use plasma_store::{Snapshot, StoreConfig};
use serde_json::json;

use super::printable;
use crate::config::Layers;

/// Exit code of a verification that found tampering.
const EXIT_TAMPERED: u8 = 3;

/// `plasma audit verify`
#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes: 0 the log is whole, 3 it was tampered with, 1 it could not be verified, 2 wrong arguments.\n\nExamples: plasma audit verify audit.jsonl --key audit-key.pem --anchor checkpoints.jsonl\n          plasma audit verify --data-dir /backup/plasma --json"
)]
pub struct AuditVerifyArgs {
    /// An exported log (`plasma audit export`); without it the logs of a database are verified
    #[arg(value_name = "FILE", conflicts_with_all = ["data_dir", "database_url", "tenant"])]
    file: Option<PathBuf>,
    /// Data directory, or a copy of one, whose database is verified [default: data_dir of plasma.toml or PLASMA_DATA_DIR]
    #[arg(long, value_name = "PATH", conflicts_with = "database_url")]
    data_dir: Option<PathBuf>,
    /// Postgres whose logs are verified [default: database_url of the configuration]; prefer the variable PLASMA_DATABASE_URL, a
    /// flag is seen by other users
    #[arg(long, value_name = "URL")]
    database_url: Option<String>,
    /// Only the log of this workspace (ten_…)
    #[arg(long, value_name = "ID")]
    tenant: Option<TenantId>,
    /// The public key, or a file of it, as you keep it outside; without it the one that the log brings along is believed
    #[arg(long, value_name = "KEY|FILE")]
    key: Option<String>,
    /// A file of checkpoints that were kept outside: what a file anchor wrote, or a signed note; may be given several times
    #[arg(long, value_name = "FILE")]
    anchor: Vec<PathBuf>,
    /// Print JSON instead of text
    #[arg(long)]
    json: bool,
}

/// Verifies and says what was found.
pub fn audit_verify(arguments: AuditVerifyArgs) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("plasma: cannot start: {error}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(Box::pin(verified(&arguments))) {
        Ok(reports) => {
            let intact = reports.iter().all(|report| report.intact);
            if arguments.json {
                println!("{:#}", json!({ "intact": intact, "logs": reports }));
            } else {
                reports.iter().for_each(print);
            }
            if intact { ExitCode::SUCCESS } else { ExitCode::from(EXIT_TAMPERED) }
        }
        Err(error) => {
            eprintln!("plasma: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn verified(arguments: &AuditVerifyArgs) -> Result<Vec<LogReport>> {
    let trust = trust(arguments)?;
    if let Some(file) = &arguments.file {
        return Ok(vec![verify_bundle(file, &trust).map_err(described)?]);
    }
    let config = place(arguments)?;
    let snapshot = Snapshot::open(&config).await.map_err(described)?;
    let ctx = Ctx::system("verify the audit logs", Clock::system(), Random::system());
    let reports = Box::pin(verify_snapshot(&snapshot, &ctx, arguments.tenant, &trust)).await.map_err(described)?;
    snapshot.close().await;
    Ok(reports)
}

fn described(error: Error) -> anyhow::Error {
    anyhow!("{error}")
}

fn trust(arguments: &AuditVerifyArgs) -> Result<Trust> {
    let key = match &arguments.key {
        Some(text) => {
            let path = Path::new(text);
            let text = if path.is_file() { read(path)? } else { text.clone() };
            Some(PublicKey::parse(&text).map_err(described)?)
        }
        None => None,
    };
    let mut anchors = Vec::new();
    for path in &arguments.anchor {
        anchors.extend(Anchor::read_all(&path.display().to_string(), &read(path)?).map_err(described)?);
    }
    Ok(Trust { key, anchors })
}

fn read(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

/// The database that was named, or that of the configuration.
fn place(arguments: &AuditVerifyArgs) -> Result<StoreConfig> {
    if let Some(folder) = &arguments.data_dir {
        return Ok(StoreConfig::sqlite(folder));
    }
    if let Some(url) = &arguments.database_url {
        return Ok(StoreConfig { database_url: Some(url.clone()), ..StoreConfig::sqlite("") });
    }
    let Ok((config, _)) = Layers::read(None, &[]).finish() else {
        return Err(anyhow!("the configuration has mistakes: see `plasma config check`, or give --data-dir"));
    };
    let database_url = config.database_url.as_ref().map(|url| url.expose().to_owned());
    Ok(StoreConfig { database_url, ..StoreConfig::sqlite(config.data_dir) })
}

fn print(report: &LogReport) {
    println!("log {} ({})", report.log, printable(&report.origin));
    let LogReport { records, proven, checkpoints, anchors, .. } = report;
    println!("  {records} records, {proven} of them proven by {checkpoints} checkpoints and {anchors} from outside");
    if report.erased + report.expired > 0 {
        println!("  {} records were erased and {} expired, as the log tells", report.erased, report.expired);
    }
    for finding in &report.findings {
        let record = finding.record.as_ref().map(|id| format!(" ({})", printable(id))).unwrap_or_default();
        println!("  TAMPERED: {}: {}{record}", finding.kind, printable(&finding.detail));
    }
    if report.more_findings > 0 {
        println!("  TAMPERED: {} more findings", report.more_findings);
    }
    for note in &report.notes {
        println!("  note: {}", printable(note));
    }
    if report.intact {
        println!("  intact: nothing was edited, reordered, removed or cut off");
    }
}
