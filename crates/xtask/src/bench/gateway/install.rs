//! Fetches the other gateways into the cache folder, once for each version.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail};

use super::Gateway;
use crate::bench::{cache_folder, servers::Group};

/// LiteLLM's version on PyPI.
pub const LITELLM: &str = "1.104.0";
/// Portkey's version on npm.
pub const PORTKEY: &str = "1.15.2";
/// What Portkey's own lock file has. npm would take newer ones, with which its streams fail (Portkey-AI/gateway #1389).
const PORTKEY_LOCKED: &[&str] = &["@hono/node-server@1.13.5", "@hono/node-ws@1.2.0"];

/// Where the gateways go: a folder in Plasma's cache.
pub fn folder() -> Result<PathBuf> {
    cache_folder("bench-gateway")
}

/// LiteLLM's command in the folder of installed gateways.
pub fn litellm_program(installed: &Path) -> PathBuf {
    litellm_folder(installed).join("bin/litellm")
}

/// Portkey's script for node in the folder of installed gateways.
pub fn portkey_program(installed: &Path) -> PathBuf {
    portkey_folder(installed).join("node_modules/@portkey-ai/gateway/build/start-server.js")
}

/// Installs a gateway, unless it is there.
pub fn install(gateway: Gateway, installed: &Path) -> Result<()> {
    match gateway {
        Gateway::Plasma => Ok(()),
        Gateway::Litellm => once(&litellm_folder(installed), |folder| {
            run(Command::new("python3").args(["-m", "venv"]).arg(folder))?;
            let package = format!("litellm[proxy]=={LITELLM}");
            run(Command::new(folder.join("bin/python")).args(["-m", "pip", "install", "--quiet", &package]))
        }),
        Gateway::Portkey => once(&portkey_folder(installed), |folder| {
            fs::create_dir_all(folder)?;
            let package = format!("@portkey-ai/gateway@{PORTKEY}");
            run(Command::new("npm")
                .args(["install", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error", "--prefix"])
                .arg(folder)
                .arg(package)
                .args(PORTKEY_LOCKED))
        }),
    }
}

fn litellm_folder(installed: &Path) -> PathBuf {
    installed.join(format!("litellm-{LITELLM}"))
}

fn portkey_folder(installed: &Path) -> PathBuf {
    installed.join(format!("portkey-{PORTKEY}"))
}

/// A folder without the mark of a finished installation is made anew. It cannot be moved into its place when it is done: a
/// virtual environment knows its own path.
fn once(folder: &Path, fill: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let mark = folder.join("installed");
    if mark.exists() {
        return Ok(());
    }
    println!("installing {}", folder.display());
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("cannot remove {}", folder.display()))?;
    }
    fill(folder)?;
    fs::write(&mark, "").with_context(|| format!("cannot write {}", mark.display()))
}

fn run(command: &mut Command) -> Result<()> {
    // What it says goes to the terminal; our own output may be read by a program.
    let status = Group::start(command.stdout(Stdio::null()))?.wait()?;
    if !status.success() {
        bail!("{} failed: {status}", command.get_program().to_string_lossy());
    }
    Ok(())
}
