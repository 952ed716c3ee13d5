//! Files that are made from the sources and committed, so that a change of the API is seen in review.

use std::{fs, path::Path, process::Command};

use anyhow::{Context as _, Result, bail};

use crate::error_catalogue;

/// Writes them, or with `check` says which are stale.
pub fn run(root: &Path, check: bool) -> Result<()> {
    let folder = root.join("openapi");
    fs::create_dir_all(&folder).context("the folder openapi")?;
    // First, because the program has the catalogue inside.
    let mut stale = put(&folder.join("errors.json"), &error_catalogue::generate(root)?, check)?;
    stale |= put(&folder.join("openapi.json"), &specification(root)?, check)?;
    if stale {
        bail!("generated files are stale: run `cargo xtask gen` and commit what it writes");
    }
    Ok(())
}

/// `true` when the file is stale and was left so.
fn put(file: &Path, text: &str, check: bool) -> Result<bool> {
    let fresh = fs::read_to_string(file).is_ok_and(|known| known == text);
    if !fresh && check {
        eprintln!("{} is not what the sources say", file.display());
    } else if !fresh {
        fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))?;
        println!("wrote {}", file.display());
    }
    Ok(!fresh && check)
}

/// What the program itself prints. Run, not linked: so the other tasks compile in seconds.
fn specification(root: &Path) -> Result<String> {
    let output = Command::new("cargo")
        .args(["run", "--release", "--quiet", "--bin", "plasma", "--", "openapi"])
        .current_dir(root)
        .stderr(std::process::Stdio::inherit())
        .output()
        .context("cannot run cargo")?;
    if !output.status.success() {
        bail!("`plasma openapi` failed");
    }
    String::from_utf8(output.stdout).context("the specification is not UTF-8")
}
