#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod code;
mod pages;
mod sources;

use std::collections::BTreeMap;

use super::{
    catalogue::{self, Catalogue, ComplianceStatus},
    report::{ComplianceCounts, ComplianceOutcome, ComplianceTestResult, report},
    results::{Run, TestResult},
    *,
};

const HEAD: &str = "title = \"Rules\"\nsource = \"https://rules.example\"\nnote = \"Ours.\"\n";

fn catalogue(chapters: &[&str]) -> Result<Catalogue> {
    let files = chapters.iter().enumerate().map(|(number, text)| (format!("{number:02}.toml"), (*text).to_owned()));
    let head = ("catalogue.toml".to_owned(), HEAD.to_owned());
    catalogue::read("rules", files.chain([head]).collect())
}

const CHAPTER: &str = r#"
id = "R1"
title = "Doors"

[[control]]
id = "R1.1"
level = 1
text = "Doors are locked."
status = "met"
tests = ["house::it doors::locked::front", "house doors::tests::locked"]
documents = ["docs/doors.md#Locks and keys"]

[[control]]
id = "R1.2"
text = "Windows are locked."
status = "partly"
reason = "Those of the cellar are not."
documents = ["docs/windows.md"]

[[control]]
id = "R1.3"
level = 2
text = "There is a moat."
status = "not_met"
reason = "There is none."

[[control]]
id = "R1.4"
text = "Drawbridges are drawn up."
status = "not_applicable"
reason = "There is no drawbridge."
"#;

fn run(xml: &str) -> Result<Run> {
    Run::parse(xml.as_bytes(), 7)
}

/// As nextest writes it.
fn results(front: &str, inner: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <testsuites name=\"nextest-run\" tests=\"2\" failures=\"0\" errors=\"0\" uuid=\"u\" timestamp=\"2026-11-22T10:00:00.000+00:00\">\n\
         <testsuite name=\"house::it\" tests=\"1\"><testcase name=\"doors::locked::front\" classname=\"house::it\" time=\"0.1\">{front}</testcase></testsuite>\n\
         <testsuite name=\"house\" tests=\"1\">{inner}</testsuite>\n</testsuites>"
    )
}

const INNER: &str = "<testcase name=\"doors::tests::locked\" classname=\"house\" time=\"0.1\"/>";

fn outcomes(run: Option<&Run>) -> Vec<ComplianceOutcome> {
    let report = report(&[catalogue(&[CHAPTER]).unwrap()], run);
    report.catalogues[0].chapters[0].controls.iter().map(|control| control.outcome).collect()
}

#[test]
fn a_control_is_shown_only_when_every_test_of_it_passed() {
    use ComplianceOutcome::{Met, NotApplicable, NotMet, NotShown, Partly};
    let all = run(&results("", INNER)).unwrap();
    assert_eq!(outcomes(Some(&all)), [Met, Partly, NotMet, NotApplicable]);
    assert_eq!(outcomes(None), [Met, Partly, NotMet, NotApplicable]);
    let failure = "<failure type=\"test failure\" message=\"a &lt; b\">thread &apos;main&apos; panicked</failure>";
    for (front, inner) in [(failure, INNER), ("<error/>", INNER), ("<skipped/>", INNER), ("", "")] {
        let some = run(&results(front, inner)).unwrap();
        assert_eq!(outcomes(Some(&some)), [NotShown, Partly, NotMet, NotApplicable], "{front} {inner}");
    }
    // A test that passed at the second try passed.
    let flaky = run(&results("<flakyFailure type=\"flaky\"/>", INNER)).unwrap();
    assert_eq!(outcomes(Some(&flaky))[0], Met);
}

#[test]
fn counts_are_those_of_the_controls() {
    let report = report(&[catalogue(&[CHAPTER, "id = \"R2\"\ntitle = \"Dogs\"\ncontrol = []\n"]).unwrap()], None);
    let counts = ComplianceCounts { met: 1, partly: 1, not_met: 1, not_applicable: 1, not_shown: 0 };
    let catalogue = &report.catalogues[0];
    assert_eq!((catalogue.counts, catalogue.chapters[0].counts), (counts, counts));
    assert_eq!(catalogue.chapters[1].counts, ComplianceCounts::default());
    assert!(report.run.is_none() && report.problem.is_none());
    let failed = run(&results("<failure/>", INNER)).unwrap();
    let report = super::report(&[self::catalogue(&[CHAPTER]).unwrap()], Some(&failed));
    let counts = ComplianceCounts { met: 0, not_shown: 1, ..counts };
    assert_eq!(report.catalogues[0].counts, counts);
    let told = report.run.unwrap();
    assert_eq!((told.ended_at, told.passed, told.failed, told.skipped), (7, 1, 1, 0));
    let control = &report.catalogues[0].chapters[0].controls[0];
    let results: Vec<_> = control.tests.iter().map(|test| test.result).collect();
    assert_eq!(results, [ComplianceTestResult::Failed, ComplianceTestResult::Passed]);
    assert_eq!(control.documents[0].heading.as_deref(), Some("Locks and keys"));
}

#[test]
fn of_two_results_of_one_test_the_worse_counts() {
    let twice = |first: &str, second: &str| {
        let case = |inside: &str| format!("<testcase name=\"b\" classname=\"a\">{inside}</testcase>");
        let xml = format!("<testsuites><testsuite name=\"a\">{}{}</testsuite></testsuites>", case(first), case(second));
        run(&xml).unwrap().result("a b")
    };
    assert_eq!(twice("", ""), Some(TestResult::Passed));
    assert_eq!(twice("<failure/>", ""), Some(TestResult::Failed));
    assert_eq!(twice("", "<skipped/>"), Some(TestResult::Skipped));
    assert_eq!(twice("<skipped/>", "<error/>"), Some(TestResult::Failed));
    // Without a class a test is the suite's, and names may hold what XML escapes.
    let named = run("<testsuite name=\"a\"><testcase name=\"is &lt;b&gt;\"/></testsuite>").unwrap();
    assert_eq!((named.result("a is <b>"), named.result("a")), (Some(TestResult::Passed), None));
}

#[test]
fn what_is_no_test_run_is_refused() {
    let cut = results("", INNER);
    let deep = format!("{}<testcase name=\"a\"/>{}", "<x>".repeat(100), "</x>".repeat(100));
    for wrong in [
        "",
        "nonsense",
        "<testsuites/>",
        "<testsuite><testcase/></testsuite>",
        "<!DOCTYPE a [<!ENTITY b \"c\">]><testsuite><testcase name=\"a\"/></testsuite>",
        &cut[..cut.len() - 30],
        &deep,
    ] {
        assert!(run(wrong).is_err(), "{wrong}");
    }
    let folder = tempfile::tempdir().unwrap();
    assert!(read_results(folder.path()).is_err());
    assert!(read_results(&folder.path().join("absent.xml")).is_err());
    let file = folder.path().join("junit.xml");
    std::fs::write(&file, results("", INNER)).unwrap();
    let read = read_results(&file).unwrap();
    assert!(read.ended_at > 1_700_000_000_000_000 && read.count(TestResult::Passed) == 2);
}

#[test]
fn a_changed_file_is_read_again_and_a_broken_one_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("junit.xml");
    let compliance = Compliance::new(Some(file.clone()));
    let told = compliance.report_now().unwrap();
    assert!(told.run.is_none() && told.problem.is_some());
    std::fs::write(&file, results("", INNER)).unwrap();
    let told = compliance.report_now().unwrap();
    assert_eq!((told.run.unwrap().passed, told.problem), (2, None));
    std::fs::write(&file, results("<failure/>", INNER)).unwrap();
    assert_eq!(compliance.report_now().unwrap().run.unwrap().failed, 1);
    assert!(Compliance::new(None).report_now().unwrap().run.is_none());
}

#[test]
fn a_catalogue_that_claims_without_evidence_is_refused() {
    for (right, wrong, told) in [
        ("documents = [\"docs/windows.md\"]", "", "needs evidence"),
        ("reason = \"Those of the cellar are not.\"", "", "what is missing"),
        ("reason = \"There is none.\"", "", "needs a reason"),
        ("reason = \"There is none.\"", "reason = \"None.\"\ntests = [\"a b\"]", "show nothing"),
        ("id = \"R1.2\"", "id = \"R1.1\"", "twice"),
        ("status = \"met\"", "status = \"maybe\"", "maybe"),
        ("docs/windows.md", "../windows.md", "no document"),
        ("docs/windows.md", "docs/windows.md#", "no document"),
        ("house doors::tests::locked", "house", "no test such as"),
        ("house doors::tests::locked", "house::it doors::locked::front", "names a test twice"),
        ("text = \"There is a moat.\"", "text = \"\"", "no text"),
        ("level = 2", "grade = 2", "grade"),
    ] {
        let text = CHAPTER.replacen(right, wrong, 1);
        assert_ne!(text, CHAPTER, "{right}");
        let error = format!("{:#}", catalogue(&[&text]).unwrap_err());
        assert!(error.contains(told), "{told} is missing in: {error}");
    }
    let without = CHAPTER
        .replacen("tests = [\"house::it doors::locked::front\", \"house doors::tests::locked\"]", "", 1)
        .replacen("documents = [\"docs/doors.md#Locks and keys\"]", "", 1);
    assert!(format!("{:#}", catalogue(&[&without]).unwrap_err()).contains("nothing shows it"));
    assert!(catalogue(&[]).is_err());
    assert!(catalogue::read("rules", vec![("00.toml".to_owned(), CHAPTER.to_owned())]).is_err());
}

/// How many requirements the sources have at each level.
#[test]
fn the_catalogues_are_complete() {
    let catalogues = catalogues().unwrap();
    let names: Vec<&str> = catalogues.iter().map(|catalogue| catalogue.name.as_str()).collect();
    assert_eq!(names, ["api-security-2023", "asvs-5.0"]);
    let mut levels: BTreeMap<Option<u8>, usize> = BTreeMap::new();
    for chapter in &catalogues[1].chapters {
        for control in &chapter.controls {
            *levels.entry(control.level).or_default() += 1;
            let (inside, numbers) = (format!("{}.", chapter.id), control.id.split('.').count());
            assert!(control.id.starts_with(&inside) && numbers == 3, "{} is in {}", control.id, chapter.id);
        }
    }
    assert_eq!(levels, BTreeMap::from([(Some(1), 70), (Some(2), 183)]));
    assert_eq!(catalogues[1].chapters.len(), 17);
    let risks: Vec<_> = catalogues[0].chapters.iter().flat_map(|chapter| &chapter.controls).collect();
    assert_eq!(risks.iter().filter(|risk| risk.status != ComplianceStatus::NotApplicable).count(), 10);
}
