//! Which security controls are met, and what shows it: catalogues that are built into the program, held against the results of a test
//! run. A control that says to be met and whose test has failed, or was not run, is told apart: it is not shown.

mod catalogue;
mod report;
mod results;
#[cfg(test)]
mod tests;

use std::{
    fs::File,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::{Context as _, Result, ensure};
use plasma_kernel::{Ctx, Error, Permission, Timestamp};

pub(crate) use catalogue::all as catalogues;
pub(crate) use report::{
    ComplianceControl, ComplianceCounts, ComplianceOutcome, ComplianceReport, ComplianceTestResult, report,
};
pub(crate) use results::Run;

/// Larger than the results of a hundred thousand tests.
const RESULTS_BYTES_MAX: u64 = 64 << 20;

/// What the server knows of its controls.
pub struct Compliance {
    results: Option<PathBuf>,
    last: Mutex<Option<Known>>,
}

/// A file of results as it was read.
struct Known {
    modified: SystemTime,
    bytes: u64,
    run: Arc<Run>,
}

impl Compliance {
    /// `results` is the file of the last test run, if there is one on this machine.
    pub(crate) fn new(results: Option<PathBuf>) -> Self {
        Self { results, last: Mutex::new(None) }
    }

    /// Every catalogue, held against the last test run.
    ///
    /// # Errors
    /// `forbidden` without `compliance:read`; `internal` when a built-in catalogue cannot be read, which a test excludes.
    pub(crate) async fn report(self: &Arc<Self>, ctx: &Ctx) -> plasma_kernel::Result<ComplianceReport> {
        ctx.require(Permission::ComplianceRead)?;
        let compliance = Arc::clone(self);
        let made = tokio::task::spawn_blocking(move || compliance.report_now()).await;
        made.map_err(|error| Error::from_source("the report of controls was not made", error))?
            .map_err(|error| Error::internal(format!("{error:#}")))
    }

    fn report_now(&self) -> Result<ComplianceReport> {
        let catalogues = catalogues()?;
        let Some(file) = &self.results else { return Ok(report(catalogues, None)) };
        match self.run(file) {
            Ok(run) => Ok(report(catalogues, Some(&run))),
            Err(error) => {
                tracing::warn!(file = %file.display(), error = %format_args!("{error:#}"), "the results of tests cannot be read");
                let problem = "the file that `compliance_results_file` names cannot be read; the server's log says why";
                Ok(ComplianceReport { problem: Some(problem.to_owned()), ..report(catalogues, None) })
            }
        }
    }

    /// The file is read again only after it has changed.
    fn run(&self, file: &Path) -> Result<Arc<Run>> {
        let metadata = file.metadata().context("cannot look at it")?;
        let (modified, bytes) = (metadata.modified().context("its age is not known")?, metadata.len());
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = last.as_ref().filter(|known| known.modified == modified && known.bytes == bytes) {
            return Ok(Arc::clone(&known.run));
        }
        let run = Arc::new(read_results(file)?);
        *last = Some(Known { modified, bytes, run: Arc::clone(&run) });
        Ok(run)
    }
}

/// Reads the results of a test run from a file in JUnit's form.
///
/// # Errors
/// When it cannot be read, is too large, or holds no results.
pub(crate) fn read_results(path: &Path) -> Result<Run> {
    let open = || -> Result<Run> {
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        ensure!(metadata.is_file(), "it is no file");
        ensure!(metadata.len() <= RESULTS_BYTES_MAX, "it is larger than {} MiB", RESULTS_BYTES_MAX >> 20);
        let ended_at = micros(metadata.modified()?);
        Run::parse(std::io::BufReader::new(std::io::Read::take(file, RESULTS_BYTES_MAX)), ended_at)
    };
    open().with_context(|| format!("the results of tests in {} cannot be read", path.display()))
}

fn micros(time: SystemTime) -> Timestamp {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::try_from(since.as_micros()).unwrap_or(Timestamp::MAX)
}
