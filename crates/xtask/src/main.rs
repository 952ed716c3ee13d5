//! `cargo xtask`: generated files, style checks and benchmarks of this repository.

mod bench;
mod error_catalogue;
mod generate;
mod scan;
mod tidy;

use std::{
    env,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use clap::{Parser, Subcommand};

#[derive(Debug, Parser)]
#[command(name = "cargo xtask", about = "Generated files, style checks and benchmarks")]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Write openapi/openapi.json and openapi/errors.json from the sources
    Gen {
        /// Write nothing; fail when a committed file is not what the sources say
        #[arg(long)]
        check: bool,
    },
    /// Check what the design asks for and a machine can see: arrows between crates, where SQL and axum stand, lengths
    Tidy,
    /// Measure
    Bench {
        #[command(subcommand)]
        what: bench::What,
    },
}

fn main() -> Result<()> {
    let root = root()?;
    match Cli::parse().verb {
        Verb::Gen { check } => generate::run(&root, check),
        Verb::Tidy => tidy::run(&root),
        Verb::Bench { what } => bench::run(&root, &what),
    }
}

/// The repository: two folders above this package, where cargo runs it. Not as it was compiled: checkouts may share a build
/// folder.
fn root() -> Result<PathBuf> {
    let package = env::var_os("CARGO_MANIFEST_DIR").context("run this as `cargo xtask`")?;
    Path::new(&package).ancestors().nth(2).map(Path::to_owned).context("the package lies in crates/xtask")
}
