//! `plasma compliance report`: which security controls are met, by the last test run on this machine. It needs no server.

use std::path::PathBuf;

use anyhow::{Result, ensure};
use clap::Args;
use plasma_kernel::{Timestamp, date_of_day};

use super::{printable, table};
use crate::compliance::{
    ComplianceControl, ComplianceCounts, ComplianceOutcome, ComplianceReport, ComplianceTestResult, catalogues,
    read_results, report,
};

/// Where `make test` leaves the results, in the repository: see `.config/nextest.toml`.
const RESULTS: &str = "target/nextest/full/junit.xml";
const MICROS_A_MINUTE: i64 = 60_000_000;
const MINUTES_A_DAY: i64 = 24 * 60;

/// `plasma compliance report`
#[derive(Debug, Args)]
#[command(after_help = "Example: plasma compliance report --catalogue asvs-5.0 --list not_shown --list not_met\n\
                  Exit codes: 0 every control that says to be met is shown by the test run; 1 some are not, no test run is known, or \
                  the results cannot be read.")]
pub struct ComplianceReportArgs {
    /// Results of a test run in JUnit's form [default: what the last `make test` wrote]
    #[arg(long, env = "PLASMA_COMPLIANCE_RESULTS_FILE", value_name = "FILE")]
    results: Option<PathBuf>,
    /// Only this catalogue, such as asvs-5.0
    #[arg(short, long, value_name = "NAME")]
    catalogue: Option<String>,
    /// Also list the controls that come to this; may be repeated
    #[arg(
        short,
        long,
        value_name = "OUTCOME",
        value_parser = ["met", "partly", "not_met", "not_applicable", "not_shown"]
    )]
    list: Vec<String>,
    /// Print JSON instead of text
    #[arg(long)]
    json: bool,
}

impl ComplianceReportArgs {
    /// The file that is named, or the one that `make test` wrote if there is one.
    fn results(&self) -> Option<PathBuf> {
        let made = || Some(PathBuf::from(RESULTS)).filter(|path| path.is_file());
        self.results.clone().or_else(made)
    }
}

/// Prints the report. `Ok(false)` when the test run does not show all that the catalogues say.
///
/// # Errors
/// When the results cannot be read, or there is no such catalogue.
pub async fn compliance_report(arguments: ComplianceReportArgs) -> Result<bool> {
    let run = arguments.results().map(|path| read_results(&path)).transpose()?;
    let mut report = report(catalogues()?, run.as_ref());
    if let Some(name) = &arguments.catalogue {
        let known: Vec<String> = report.catalogues.iter().map(|catalogue| catalogue.name.clone()).collect();
        report.catalogues.retain(|catalogue| catalogue.name == *name);
        ensure!(!report.catalogues.is_empty(), "there is no catalogue `{name}`; there are {}", known.join(", "));
    }
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print!("{}", text(&report, &arguments.list));
    }
    let not_shown: u32 = report.catalogues.iter().map(|catalogue| catalogue.counts.not_shown).sum();
    Ok(report.run.is_some() && not_shown == 0)
}

const HEADINGS: [&str; 7] = ["CHAPTER", "", "MET", "PARTLY", "NOT MET", "NOT APPLICABLE", "NOT SHOWN"];

fn text(report: &ComplianceReport, listed: &[String]) -> String {
    let mut text = String::new();
    for catalogue in &report.catalogues {
        text.push_str(&format!("{} ({})\n\n", printable(&catalogue.title), catalogue.name));
        let mut rows = vec![HEADINGS.map(str::to_owned).to_vec()];
        for chapter in &catalogue.chapters {
            rows.push(row(&chapter.id, &printable(&chapter.title), chapter.counts));
        }
        rows.push(row("", "All", catalogue.counts));
        text.push_str(&table(&rows));
        text.push('\n');
        let controls = catalogue.chapters.iter().flat_map(|chapter| &chapter.controls);
        for control in controls.filter(|control| is_listed(control, listed)) {
            text.push_str(&describe(control));
        }
    }
    match &report.run {
        Some(run) => text.push_str(&format!(
            "by the test run of {}: {} passed, {} failed, {} left out\n",
            moment(run.ended_at),
            run.passed,
            run.failed,
            run.skipped
        )),
        None => text.push_str(
            "no test run is known, so this is only what the catalogues say: run `make test`, or name its results with --results\n",
        ),
    }
    text
}

fn row(id: &str, title: &str, counts: ComplianceCounts) -> Vec<String> {
    let ComplianceCounts { met, partly, not_met, not_applicable, not_shown } = counts;
    let numbers = [met, partly, not_met, not_applicable, not_shown].map(|count| count.to_string());
    [id.to_owned(), title.to_owned()].into_iter().chain(numbers).collect()
}

/// What is not shown is always listed: it is what somebody has to look at.
fn is_listed(control: &ComplianceControl, listed: &[String]) -> bool {
    control.outcome == ComplianceOutcome::NotShown || listed.iter().any(|outcome| outcome == control.outcome.as_str())
}

fn describe(control: &ComplianceControl) -> String {
    let level = control.level.map(|level| format!(", level {level}")).unwrap_or_default();
    let outcome = control.outcome.as_str().replace('_', " ");
    let mut text = format!("{} ({outcome}{level}): {}\n", control.id, printable(&control.text));
    if let Some(reason) = &control.reason {
        text.push_str(&format!("    {}\n", printable(reason)));
    }
    for test in &control.tests {
        let result = match test.result {
            ComplianceTestResult::Passed => "passed",
            ComplianceTestResult::Failed => "FAILED",
            ComplianceTestResult::Missing => "not run",
            ComplianceTestResult::Unknown => "not known",
        };
        text.push_str(&format!("    {result}: {}\n", test.name));
    }
    for document in &control.documents {
        let heading = document.heading.as_ref().map(|heading| format!(", {heading}")).unwrap_or_default();
        text.push_str(&format!("    see {}{heading}\n", document.path));
    }
    text.push('\n');
    text
}

/// A moment to the minute, in UTC.
fn moment(at: Timestamp) -> String {
    let minutes = at.div_euclid(MICROS_A_MINUTE);
    let (year, month, day) = date_of_day(minutes.div_euclid(MINUTES_A_DAY));
    let minute = minutes.rem_euclid(MINUTES_A_DAY);
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02} UTC", minute / 60, minute % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_told_to_the_minute() {
        assert_eq!(moment(0), "1970-01-01 00:00 UTC");
        assert_eq!(moment(1_795_392_059_999_999), "2026-11-23 00:00 UTC");
    }

    #[test]
    fn a_report_counts_by_chapter_and_lists_what_is_asked_for() {
        let report = report(catalogues().unwrap(), None);
        let whole = text(&report, &[]);
        assert!(
            whole.contains("CHAPTER") && whole.contains("NOT SHOWN") && whole.contains("no test run is known"),
            "{whole}"
        );
        assert!(!whole.contains("see docs/"), "{whole}");
        let listed = text(&report, &["not_met".to_owned()]);
        assert!(listed.contains("(not met"), "{listed}");
    }
}
