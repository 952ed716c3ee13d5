//! What the design asks for and a machine can see.

mod arrows;
mod lengths;
mod places;
mod statements;

use std::path::Path;

use anyhow::{Result, bail};

use crate::scan::{self, Source};

/// Something that is not as it should be.
pub struct Finding {
    /// The file, with the line when there is one.
    pub place: String,
    /// What is wrong and what would be right.
    pub what: String,
}

impl Finding {
    /// At a line of a file.
    pub fn at(source: &Source, line: usize, what: impl Into<String>) -> Self {
        Self { place: format!("{}:{line}", source.path), what: what.into() }
    }

    /// About a whole file.
    pub fn of(source: &Source, what: impl Into<String>) -> Self {
        Self { place: source.path.clone(), what: what.into() }
    }
}

/// Checks everything and lists every finding.
pub fn run(root: &Path) -> Result<()> {
    let sources = scan::files(root)?;
    let mut findings = arrows::check(&sources)?;
    findings.extend(places::check(&sources));
    findings.extend(statements::check(&sources));
    findings.extend(lengths::check(&sources));
    for finding in &findings {
        eprintln!("{}: {}", finding.place, finding.what);
    }
    if !findings.is_empty() {
        bail!("{} findings", findings.len());
    }
    println!("tidy: {} files are as they should be", sources.len());
    Ok(())
}
