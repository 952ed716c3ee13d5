//! The commands that talk to a running server, or look after its models, keys and backups: `plasma login`, `search`, `ask`, `ingest`,
//! `usage`, `prompts`, `tenants …`, `access explain`, `audit …`, `batches run`, `models …`, `keys …`, `signing-keys …`, `backup …`,
//! `compliance report` and `bench …`.

mod access;
mod api;
mod ask;
mod audit;
mod audit_verify;
mod backups;
mod batches;
mod bench;
mod bench_embed;
mod browser;
mod calibrate;
mod compliance;
mod credentials;
mod ingest;
mod keys;
mod login;
mod models;
mod oauth;
mod prompts;
mod search;
mod signing_keys;
mod tenants;
mod try_model;
mod usage;
mod weights;

use std::{future::Future, path::PathBuf, process::ExitCode};

use anyhow::Result;
use clap::Args;

pub use access::{ExplainArgs, explain};
pub use ask::{AskArgs, ask};
pub use audit::{AuditExportArgs, AuditListArgs, audit_export, audit_list};
pub use audit_verify::{AuditVerifyArgs, audit_verify};
pub(crate) use backups::{
    CreateBackupArgs, KeygenArgs, OpenArgs, RestoreBackupArgs, SealArgs, VerifyBackupArgs, create_backup, keygen, open,
    restore_backup, seal, verify_backup,
};
pub use batches::{RunBatchArgs, run_batch};
pub use bench::{BenchArgs, bench};
pub use bench_embed::{BenchEmbedArgs, bench_embed};
pub use calibrate::{CalibrateArgs, calibrate};
pub use compliance::{ComplianceReportArgs, compliance_report};
pub use ingest::{IngestArgs, ingest};
pub use keys::{KeysArgs, forget_old_keys, keys_status, rewrap_keys, rotate_data_key, rotate_master_key};
pub use login::{LoginArgs, LogoutArgs, login, logout};
pub use models::{ModelsArgs, models};
pub use prompts::{PromptsArgs, prompts};
pub use search::{SearchArgs, search};
pub use signing_keys::{RotateSigningKeysArgs, rotate_signing_keys};
pub use tenants::{TenantsArgs, tenants};
pub use try_model::{TryArgs, try_model};
pub use usage::{UsageArgs, usage};
pub use weights::{PullArgs, RemoveArgs, pull, remove};

#[cfg(fuzzing)]
pub(crate) use browser::fuzz as fuzz_browser;

/// Where the server is and who calls.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Server")]
pub struct ServerArgs {
    /// The server's address
    #[arg(long, env = "PLASMA_URL", default_value = "http://127.0.0.1:8080")]
    url: url::Url,
    /// Certificates (PEM) that the server's is checked with, when a private authority signed it
    #[arg(long, env = "PLASMA_CA_FILE", value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// An API key (plk_…), made in the dashboard under Settings; prefer the variable, a flag is seen by other users. Without one, the
    /// login of `plasma login` is used
    #[arg(long, env = "PLASMA_API_KEY", hide_env_values = true)]
    api_key: Option<String>,
    /// Print JSON instead of text
    #[arg(long)]
    json: bool,
}

/// Runs a command to its end. `Ok(false)` means that it did its work but something failed.
pub fn run(command: impl Future<Output = Result<bool>>) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("plasma: cannot start: {error}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(command) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("plasma: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Text from documents and models, safe for a terminal: control characters could move the cursor or rename the window.
fn printable(text: &str) -> String {
    text.chars()
        .map(|letter| if letter.is_control() && letter != '\n' && letter != '\t' { '\u{fffd}' } else { letter })
        .collect()
}

/// Rows of cells as lines with aligned columns.
fn table(rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let mut lines = String::new();
    for row in rows {
        let cells: Vec<String> =
            row.iter().enumerate().map(|(column, cell)| format!("{cell:width$}", width = width(column))).collect();
        lines.push_str(cells.join("  ").trim_end());
        lines.push('\n');
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_sequences_do_not_reach_the_terminal() {
        assert_eq!(printable("a\u{1b}[2Jb\nc\u{7}"), "a\u{fffd}[2Jb\nc\u{fffd}");
    }
}
