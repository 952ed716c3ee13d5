//! The results of a test run, from a file in JUnit's form as nextest and others write it.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    io::BufRead,
};

use anyhow::{Context as _, Result, bail, ensure};
use plasma_kernel::Timestamp;
use quick_xml::{
    Reader,
    events::{BytesStart, Event},
};

/// Tests of one run at most.
const TESTS_MAX: usize = 200_000;
/// Elements in each other at most; JUnit's form has four.
const DEPTH_MAX: usize = 32;

/// What a test came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum TestResult {
    /// It passed.
    Passed,
    /// It was left out.
    Skipped,
    /// It failed or could not be run.
    Failed,
}

/// A test run.
#[derive(Debug)]
pub(crate) struct Run {
    /// When its results were written, in microseconds since 1970 UTC.
    pub(crate) ended_at: Timestamp,
    results: BTreeMap<String, TestResult>,
}

impl Run {
    /// Reads the results of a run. Document types are refused, so there are no entities to expand.
    pub(super) fn parse(source: impl BufRead, ended_at: Timestamp) -> Result<Self> {
        let mut reader = Reader::from_reader(source);
        reader.config_mut().expand_empty_elements = true;
        let mut buffer = Vec::new();
        let mut results = BTreeMap::new();
        let mut suite = String::new();
        let mut open: Option<(String, TestResult)> = None;
        let mut depth = 0_usize;
        loop {
            match reader.read_event_into(&mut buffer).context("it is no XML")? {
                Event::Start(element) => {
                    depth += 1;
                    ensure!(depth <= DEPTH_MAX, "its elements are too deep in each other");
                    match element.local_name().into_inner() {
                        "testsuite" => suite = attribute(&element, "name").unwrap_or_default(),
                        "testcase" => open = Some((name_of(&element, &suite)?, TestResult::Passed)),
                        "failure" | "error" => worse(&mut open, TestResult::Failed),
                        "skipped" => worse(&mut open, TestResult::Skipped),
                        _ => {}
                    }
                }
                Event::End(element) => {
                    depth = depth.saturating_sub(1);
                    if element.local_name().into_inner() == "testcase"
                        && let Some((name, result)) = open.take()
                    {
                        note(&mut results, name, result)?;
                    }
                }
                Event::DocType(_) => bail!("it has a document type declaration, which no results of tests need"),
                Event::Eof => {
                    ensure!(depth == 0, "it ends in the middle");
                    ensure!(!results.is_empty(), "there are no tests in it");
                    return Ok(Self { ended_at, results });
                }
                _ => {}
            }
            buffer.clear();
        }
    }

    /// What the test of this name came to; `None` when the run does not know it.
    pub(super) fn result(&self, name: &str) -> Option<TestResult> {
        self.results.get(name).copied()
    }

    /// Tests that came to `result`.
    pub(super) fn count(&self, result: TestResult) -> u64 {
        self.results.values().filter(|known| **known == result).count() as u64
    }
}

/// `crate::binary module::name`, as nextest prints it.
fn name_of(element: &BytesStart<'_>, suite: &str) -> Result<String> {
    let name = attribute(element, "name").context("a test in it has no name")?;
    let class = attribute(element, "classname").filter(|class| !class.is_empty());
    Ok(format!("{} {name}", class.as_deref().unwrap_or(suite)))
}

/// Of two results the worse one counts.
fn worse(open: &mut Option<(String, TestResult)>, result: TestResult) {
    if let Some((_, known)) = open {
        *known = result.max(*known);
    }
}

fn note(results: &mut BTreeMap<String, TestResult>, name: String, result: TestResult) -> Result<()> {
    ensure!(results.len() < TESTS_MAX, "there are more than {TESTS_MAX} tests in it");
    match results.entry(name) {
        Entry::Vacant(entry) => {
            entry.insert(result);
        }
        Entry::Occupied(mut entry) => {
            let known = *entry.get();
            entry.insert(known.max(result));
        }
    }
    Ok(())
}

fn attribute(element: &BytesStart<'_>, name: &str) -> Option<String> {
    let mut attributes = element.attributes();
    let attribute =
        attributes.with_checks(false).flatten().find(|attribute| attribute.key.local_name().into_inner() == name)?;
    quick_xml::escape::unescape(&attribute.value).ok().map(std::borrow::Cow::into_owned)
}
