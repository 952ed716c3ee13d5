//! What the catalogues name as evidence is there: a test that was renamed, or a heading that was changed, is noticed here.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::compliance::catalogues;

pub(super) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The file that a test's path leads to, and what is left of the path: modules within the file and the function.
fn file_of(test: &str) -> Option<(PathBuf, Vec<String>)> {
    let (binary, path) = test.split_once(' ')?;
    let (package, target) = match binary.split_once("::") {
        Some((package, target)) => (package, Some(target)),
        None => (binary, None),
    };
    let package = root().join("crates").join(package.strip_prefix("plasma-")?);
    let (mut folder, mut file) = match target {
        None => (package.join("src"), package.join("src/lib.rs")),
        Some(target) if target.starts_with("bin/") => (package.join("src"), package.join("src/main.rs")),
        Some(target) if package.join(format!("tests/{target}.rs")).is_file() => {
            (package.join("tests"), package.join(format!("tests/{target}.rs")))
        }
        Some(target) => (package.join("tests").join(target), package.join(format!("tests/{target}/main.rs"))),
    };
    if target.is_none() && !file.is_file() {
        file = package.join("src/main.rs");
    }
    let parts: Vec<&str> = path.split("::").collect();
    let (_, modules) = parts.split_last()?;
    let mut taken = 0;
    for module in modules {
        let (beside, inside) = (folder.join(format!("{module}.rs")), folder.join(module).join("mod.rs"));
        file = if beside.is_file() {
            beside
        } else if inside.is_file() {
            inside
        } else {
            break;
        };
        folder = folder.join(module);
        taken += 1;
    }
    Some((file, parts.into_iter().skip(taken).map(str::to_owned).collect()))
}

/// The code without line comments, in which names of tests may stand.
fn code_of(file: &Path) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    Some(text.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n"))
}

/// Whether the function is there and is a test. `before` is the code in front of its name.
fn is_test(before: &str) -> bool {
    // Between the end of what stands before and the function there are only its attributes.
    let start = before.rfind(['}', ';']).map_or(0, |place| place + 1);
    let head = before.get(start..).unwrap_or_default();
    head.contains("#[test]") || head.contains("#[tokio::test")
}

fn is_there(test: &str) -> bool {
    let Some((file, rest)) = file_of(test) else { return false };
    let Some(code) = code_of(&file) else { return false };
    let Some((name, modules)) = rest.split_last() else { return false };
    // `on_each_database!` makes a module of a function, with a test for each database.
    if let Some((function, outer)) = modules.split_last()
        && matches!(name.as_str(), "sqlite" | "postgres")
        && code.contains("on_each_database! {")
        && code.contains(&format!("    async fn {function}("))
    {
        return outer.iter().all(|module| code.contains(&format!("mod {module} {{")));
    }
    let is_inside = modules.iter().all(|module| code.contains(&format!("mod {module} {{")));
    let function = format!("fn {name}(");
    is_inside && code.match_indices(&function).any(|(place, _)| is_test(code.get(..place).unwrap_or_default()))
}

fn has_heading(text: &str, heading: &str) -> bool {
    let mut in_code = false;
    text.lines().any(|line| {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        }
        !in_code && line.starts_with('#') && line.trim_start_matches('#').trim() == heading
    })
}

#[test]
fn every_test_that_is_named_as_evidence_is_there() {
    let controls =
        catalogues().unwrap().iter().flat_map(|catalogue| &catalogue.chapters).flat_map(|part| &part.controls);
    let missing: Vec<String> = controls
        .flat_map(|control| control.tests.iter().map(move |test| (control, test)))
        .filter(|(_, test)| !is_there(test))
        .map(|(control, test)| format!("{}: {test}", control.id))
        .collect();
    assert!(missing.is_empty(), "these tests are nowhere in the sources:\n{}", missing.join("\n"));
}

#[test]
fn every_document_that_is_named_as_evidence_is_there() {
    let controls =
        catalogues().unwrap().iter().flat_map(|catalogue| &catalogue.chapters).flat_map(|part| &part.controls);
    let mut missing = Vec::new();
    for control in controls {
        for document in &control.documents {
            let is_there = fs::read_to_string(root().join(&document.path))
                .is_ok_and(|text| document.heading.as_ref().is_none_or(|heading| has_heading(&text, heading)));
            if !is_there {
                let heading = document.heading.as_deref().unwrap_or("(all of it)");
                missing.push(format!("{}: {}, {heading}", control.id, document.path));
            }
        }
    }
    assert!(missing.is_empty(), "these are nowhere in the documents:\n{}", missing.join("\n"));
}

#[test]
fn tests_and_headings_are_found_only_where_they_are() {
    for there in [
        "plasma-server compliance::tests::the_catalogues_are_complete",
        "plasma-server compliance::tests::sources::tests_and_headings_are_found_only_where_they_are",
        "plasma-server client::tests::control_sequences_do_not_reach_the_terminal",
        "plasma-server::it isolation::another_tenant_finds_nothing::sqlite",
        "plasma-server::it isolation::another_tenant_finds_nothing::postgres",
        "plasma-server::it edge::every_answer_names_its_request",
        "plasma-store::it isolation::a_tenant_reads_only_its_own_rows::postgres",
    ] {
        assert!(is_there(there), "{there}");
    }
    for absent in [
        "plasma-server compliance::tests::the_catalogues_are_incomplete",
        "plasma-server compliance::tests::results",
        "plasma-server isolation::another_tenant_finds_nothing::sqlite",
        "plasma-server::it isolation::another_tenant_finds_nothing",
        "plasma-server::it isolation::another_tenant_finds_nothing::mysql",
        "plasma-server::it isolation::another_tenant_finds_something::sqlite",
        "plasma-nothing a::b",
        "server a::b",
    ] {
        assert!(!is_there(absent), "{absent}");
    }
    let text = "# One\n\n```\n## Two\n```\n\n### Three and four\n";
    assert!(has_heading(text, "One") && has_heading(text, "Three and four"));
    assert!(!has_heading(text, "Two") && !has_heading(text, "Three"));
}
