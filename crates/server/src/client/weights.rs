//! The commands about weights on this machine: they need no running server.

use std::{
    io::IsTerminal as _,
    path::{Path, PathBuf},
};

use anyhow::{Result, anyhow};
use clap::Args;
use plasma_kernel::Error;
use plasma_models::{
    Manifest,
    weights::{self, HUB_URL_DEFAULT, Hub, PullEvent, PullRequest},
};

use super::{printable, table};
use crate::config::Layers;

/// Where weights are.
#[derive(Debug, Clone, Args)]
pub struct ModelsDirArgs {
    /// Folder of the local models' weights [default: models_dir of plasma.toml, PLASMA_MODELS_DIR, or the cache directory]
    #[arg(long, value_name = "PATH")]
    models_dir: Option<PathBuf>,
}

impl ModelsDirArgs {
    pub(super) fn folder(&self) -> Result<PathBuf> {
        if let Some(folder) = &self.models_dir {
            return Ok(folder.clone());
        }
        match Layers::read(None, &[]).finish() {
            Ok((config, _)) => Ok(config.models_dir),
            Err(_) => Err(anyhow!("the configuration has mistakes: see `plasma config check`, or give --models-dir")),
        }
    }
}

/// `plasma models pull`
#[derive(Debug, Args)]
#[command(
    after_help = "Examples: plasma models pull local/all-minilm-l6-v2\n          plasma models pull Qwen/Qwen2.5-0.5B-Instruct-GGUF --file qwen2.5-0.5b-instruct-q4_k_m.gguf"
)]
pub struct PullArgs {
    /// A model of the manifest (local/…), or ORG/REPO of the hub
    name: String,
    /// A file of the repository; may be given several times [default: its only GGUF file, or those of an embedding model]
    #[arg(short, long, value_name = "PATH")]
    file: Vec<String>,
    /// Branch, tag or commit of the repository
    #[arg(long, value_name = "REVISION")]
    revision: Option<String>,
    /// Address of the hub, with Hugging Face's layout [default: hub_url of plasma.toml, or https://huggingface.co]
    #[arg(long, env = "PLASMA_HUB_URL", value_name = "URL")]
    hub: Option<String>,
    /// Bytes that all files may have together
    #[arg(long, default_value_t = 50_000_000_000, value_name = "BYTES")]
    max_bytes: u64,
    #[command(flatten)]
    place: ModelsDirArgs,
}

/// Fetches weights, with a progress bar on a terminal.
///
/// # Errors
/// What the hub, the disk or a check says.
pub async fn pull(arguments: PullArgs) -> Result<bool> {
    let models_dir = arguments.place.folder()?;
    let hub = arguments.hub.unwrap_or_else(configured_hub);
    let hub = Hub::new(&hub).map_err(described)?;
    let request = PullRequest {
        name: arguments.name,
        files: arguments.file,
        revision: arguments.revision,
        bytes_max: arguments.max_bytes,
    };
    let mut bar = Bar { terminal: std::io::stderr().is_terminal(), last_percent: None };
    let manifest = Manifest::builtin().map_err(described)?;
    let folder = hub.pull(&manifest, &models_dir, &request, &mut |event| bar.show(&event)).await.map_err(|error| {
        bar.clear();
        described(error)
    })?;
    println!("{} is in place: {}", printable(&request.name), folder.display());
    Ok(true)
}

/// The hub of the configuration. Whoever names a folder needs none.
fn configured_hub() -> String {
    Layers::read(None, &[]).finish().map_or_else(|_| HUB_URL_DEFAULT.to_owned(), |(config, _)| config.hub_url)
}

/// What a bar has shown.
struct Bar {
    terminal: bool,
    last_percent: Option<u64>,
}

impl Bar {
    fn clear(&self) {
        if self.terminal {
            eprint!("\r\u{1b}[K");
        }
    }

    fn show(&mut self, event: &PullEvent<'_>) {
        match event {
            PullEvent::Begins { license, folder, size_bytes } => {
                let license = license.map_or("unknown: look at the model's page".to_owned(), printable);
                eprintln!("license: {license}; {} into {}", megabytes(*size_bytes), folder.display());
            }
            PullEvent::Progress { file, done_bytes, size_bytes } => {
                let percent = size_bytes.and_then(|size| done_bytes.saturating_mul(100).checked_div(size));
                if !self.terminal || percent == self.last_percent {
                    return;
                }
                self.last_percent = percent;
                eprint!("\r\u{1b}[K{}", bar_line(file, *done_bytes, percent));
            }
            PullEvent::Placed { file, size_bytes, verified } => {
                self.clear();
                self.last_percent = None;
                let how = if *verified { "SHA-256 verified" } else { "size checked; the hub names no SHA-256" };
                eprintln!("{}: {}, {how}", printable(file), megabytes(*size_bytes));
            }
        }
    }
}

fn bar_line(file: &str, done_bytes: u64, percent: Option<u64>) -> String {
    let done = megabytes(done_bytes);
    match percent {
        Some(percent) => {
            let filled = usize::try_from(percent.min(100) * 30 / 100).unwrap_or(0);
            format!("{} [{}{}] {percent}% {done}", printable(file), "#".repeat(filled), ".".repeat(30 - filled))
        }
        None => format!("{} {done}", printable(file)),
    }
}

fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}

/// An error of the crate in a line with its remedy.
pub(super) fn described(error: Error) -> anyhow::Error {
    let message = printable(error.message());
    match error.remedy_text() {
        Some(remedy) => anyhow!("{message} ({})", printable(remedy)),
        None => anyhow!(message),
    }
}

/// `plasma models rm`
#[derive(Debug, Args)]
pub struct RemoveArgs {
    /// A model of the manifest (local/…), or ORG/REPO as it was pulled
    name: String,
    #[command(flatten)]
    place: ModelsDirArgs,
}

/// Removes weights.
///
/// # Errors
/// When they are not there, or in use.
pub async fn remove(arguments: RemoveArgs) -> Result<bool> {
    let models_dir = arguments.place.folder()?;
    let freed = weights::remove(&models_dir, &arguments.name).map_err(described)?;
    println!("removed the weights of {}: {} are free", printable(&arguments.name), megabytes(freed));
    Ok(true)
}

/// The weights in the models directory as a table or as JSON.
pub(super) fn list(models_dir: &ModelsDirArgs, json: bool) -> Result<bool> {
    let folder = models_dir.folder()?;
    let models = weights::installed(&Manifest::builtin().map_err(described)?, &folder).map_err(described)?;
    if json {
        println!("{}", serde_json::to_string_pretty(&models)?);
        return Ok(true);
    }
    print!("{}", text(&models, &folder));
    Ok(true)
}

fn text(models: &[weights::Installed], folder: &Path) -> String {
    let mut rows = vec![["MODEL", "STATE", "SIZE", "LICENSE"].map(str::to_owned).to_vec()];
    rows.extend(models.iter().map(|model| {
        let size = if model.size_bytes == 0 { "-".to_owned() } else { megabytes(model.size_bytes) };
        let license = model.license.as_deref().map_or("-".to_owned(), printable);
        vec![printable(&model.name), model.state.to_owned(), size, license]
    }));
    format!("{}in {}\n", table(&rows), folder.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_shows_how_far_a_file_is() {
        assert_eq!(
            bar_line("model.gguf", 50_000_000, Some(50)),
            format!("model.gguf [{}{}] 50% 50.0 MB", "#".repeat(15), ".".repeat(15))
        );
        assert_eq!(bar_line("a\u{1b}b", 1_000_000, None), "a\u{fffd}b 1.0 MB");
    }
}
