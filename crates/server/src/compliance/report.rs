//! Catalogues held against a test run. The types are the API's answer and the command's JSON alike.

use plasma_kernel::Timestamp;
use serde::Serialize;

use super::{
    catalogue::{Catalogue, Chapter, ComplianceStatus, Control},
    results::{Run, TestResult},
};

/// Which controls are met, and what shows it.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct ComplianceReport {
    /// The test run that the controls are held against; null when none is known. Then every outcome is only what its catalogue says.
    #[schema(required)]
    pub(crate) run: Option<ComplianceRun>,
    /// Why no test run is known, though there should be one; null when nothing is wrong.
    #[schema(required)]
    pub(crate) problem: Option<String>,
    /// The catalogues, by name.
    pub(crate) catalogues: Vec<ComplianceCatalogue>,
}

/// A test run.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct ComplianceRun {
    /// When its results were written, in microseconds since 1970 UTC.
    pub(crate) ended_at: Timestamp,
    /// Tests that passed.
    pub(crate) passed: u64,
    /// Tests that failed or could not be run.
    pub(crate) failed: u64,
    /// Tests that were left out.
    pub(crate) skipped: u64,
}

/// A catalogue of controls.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct ComplianceCatalogue {
    /// Its name, for programs.
    #[schema(example = "asvs-5.0")]
    pub(crate) name: String,
    /// What it is called.
    pub(crate) title: String,
    /// The address of the requirements themselves.
    pub(crate) source: String,
    /// What to know of it.
    pub(crate) note: String,
    /// Over all chapters.
    pub(crate) counts: ComplianceCounts,
    /// Its parts, in the order of the source.
    pub(crate) chapters: Vec<ComplianceChapter>,
}

/// A part of a catalogue.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct ComplianceChapter {
    /// As the source numbers it.
    #[schema(example = "V1")]
    pub(crate) id: String,
    /// What it is about.
    pub(crate) title: String,
    /// Over its controls.
    pub(crate) counts: ComplianceCounts,
    /// Its controls, in the order of the source.
    pub(crate) controls: Vec<ComplianceControl>,
}

/// How many controls have which outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub(crate) struct ComplianceCounts {
    /// Met.
    pub(crate) met: u32,
    /// Partly met.
    pub(crate) partly: u32,
    /// Not met.
    pub(crate) not_met: u32,
    /// Not about anything here.
    pub(crate) not_applicable: u32,
    /// Said to be met or partly met, and the test run does not show it.
    pub(crate) not_shown: u32,
}

/// A control.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct ComplianceControl {
    /// As the source numbers it.
    #[schema(example = "V1.2.4")]
    pub(crate) id: String,
    /// Its level, where the source has levels; else null.
    #[schema(required)]
    pub(crate) level: Option<u8>,
    /// What it asks for, in our words.
    pub(crate) text: String,
    /// What the catalogue says.
    pub(crate) status: ComplianceStatus,
    /// What is left of that when it is held against the test run.
    pub(crate) outcome: ComplianceOutcome,
    /// What is missing, or why it does not apply, or what to know about it; null when there is nothing to say.
    #[schema(required)]
    pub(crate) reason: Option<String>,
    /// Tests that show it.
    pub(crate) tests: Vec<ComplianceTest>,
    /// Documents that show it.
    pub(crate) documents: Vec<ComplianceDocument>,
}

/// What a control comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ComplianceOutcome {
    /// Met, and every test that shows it has passed.
    Met,
    /// A part is met, and every test that shows it has passed.
    Partly,
    /// Not met.
    NotMet,
    /// There is nothing here that it could be about.
    NotApplicable,
    /// A test that should show it has failed or was not run.
    NotShown,
}

/// A test.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct ComplianceTest {
    /// Program and test, as nextest prints them.
    #[schema(example = "plasma-server::it isolation::another_tenant_finds_nothing::sqlite")]
    pub(crate) name: String,
    /// What it came to.
    pub(crate) result: ComplianceTestResult,
}

/// What a test came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ComplianceTestResult {
    /// It passed.
    Passed,
    /// It failed or could not be run.
    Failed,
    /// It was not run.
    Missing,
    /// No test run is known.
    Unknown,
}

/// A place in the documents of the repository.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct ComplianceDocument {
    /// The file.
    #[schema(example = "docs/security.md")]
    pub(crate) path: String,
    /// The heading in it; null for all of it.
    #[schema(required, example = "Pages")]
    pub(crate) heading: Option<String>,
}

impl ComplianceCounts {
    fn add(&mut self, outcome: ComplianceOutcome) {
        let count = match outcome {
            ComplianceOutcome::Met => &mut self.met,
            ComplianceOutcome::Partly => &mut self.partly,
            ComplianceOutcome::NotMet => &mut self.not_met,
            ComplianceOutcome::NotApplicable => &mut self.not_applicable,
            ComplianceOutcome::NotShown => &mut self.not_shown,
        };
        *count += 1;
    }

    fn of<'a>(controls: impl Iterator<Item = &'a ComplianceControl>) -> Self {
        let mut counts = Self::default();
        for control in controls {
            counts.add(control.outcome);
        }
        counts
    }
}

impl ComplianceOutcome {
    /// The text form, as in `not_met`.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Met => "met",
            Self::Partly => "partly",
            Self::NotMet => "not_met",
            Self::NotApplicable => "not_applicable",
            Self::NotShown => "not_shown",
        }
    }
}

/// The catalogues as `run` shows them; without a run, as they are written.
pub(crate) fn report(catalogues: &[Catalogue], run: Option<&Run>) -> ComplianceReport {
    ComplianceReport {
        run: run.map(|run| ComplianceRun {
            ended_at: run.ended_at,
            passed: run.count(TestResult::Passed),
            failed: run.count(TestResult::Failed),
            skipped: run.count(TestResult::Skipped),
        }),
        problem: None,
        catalogues: catalogues.iter().map(|catalogue| of_catalogue(catalogue, run)).collect(),
    }
}

fn of_catalogue(catalogue: &Catalogue, run: Option<&Run>) -> ComplianceCatalogue {
    let chapters: Vec<_> = catalogue.chapters.iter().map(|chapter| of_chapter(chapter, run)).collect();
    ComplianceCatalogue {
        name: catalogue.name.clone(),
        title: catalogue.head.title.clone(),
        source: catalogue.head.source.clone(),
        note: catalogue.head.note.clone(),
        counts: ComplianceCounts::of(chapters.iter().flat_map(|chapter| &chapter.controls)),
        chapters,
    }
}

fn of_chapter(chapter: &Chapter, run: Option<&Run>) -> ComplianceChapter {
    let controls: Vec<_> = chapter.controls.iter().map(|control| of_control(control, run)).collect();
    ComplianceChapter {
        id: chapter.id.clone(),
        title: chapter.title.clone(),
        counts: ComplianceCounts::of(controls.iter()),
        controls,
    }
}

fn of_control(control: &Control, run: Option<&Run>) -> ComplianceControl {
    let tests: Vec<_> =
        control.tests.iter().map(|name| ComplianceTest { name: name.clone(), result: result_of(name, run) }).collect();
    let is_shown = run.is_none() || tests.iter().all(|test| test.result == ComplianceTestResult::Passed);
    let outcome = match control.status {
        ComplianceStatus::Met if is_shown => ComplianceOutcome::Met,
        ComplianceStatus::Partly if is_shown => ComplianceOutcome::Partly,
        ComplianceStatus::Met | ComplianceStatus::Partly => ComplianceOutcome::NotShown,
        ComplianceStatus::NotMet => ComplianceOutcome::NotMet,
        ComplianceStatus::NotApplicable => ComplianceOutcome::NotApplicable,
    };
    let documents = control
        .documents
        .iter()
        .map(|document| ComplianceDocument { path: document.path.clone(), heading: document.heading.clone() });
    ComplianceControl {
        id: control.id.clone(),
        level: control.level,
        text: control.text.clone(),
        status: control.status,
        outcome,
        reason: control.reason.clone(),
        tests,
        documents: documents.collect(),
    }
}

fn result_of(name: &str, run: Option<&Run>) -> ComplianceTestResult {
    let Some(run) = run else { return ComplianceTestResult::Unknown };
    match run.result(name) {
        Some(TestResult::Passed) => ComplianceTestResult::Passed,
        Some(TestResult::Failed) => ComplianceTestResult::Failed,
        // What was left out shows nothing.
        Some(TestResult::Skipped) | None => ComplianceTestResult::Missing,
    }
}
