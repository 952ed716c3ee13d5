//! What may stand only in certain places.

use std::collections::BTreeMap;

use super::Finding;
use crate::scan::{Source, line_of};

/// Folders of one machine that have no meaning on another. Written in pieces, or this file would be a finding itself.
const MACHINE_PATHS: &[&str] = &[concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/tmp/ta", "rget")];

pub(super) fn check(sources: &[Source]) -> Vec<Finding> {
    let mut findings = migrations(sources);
    for source in sources {
        findings.extend(machine_paths(source));
        if source.path.starts_with("crates/") && source.path.ends_with(".rs") && !source.is_test() {
            findings.extend(transport(source));
        }
    }
    findings
}

fn machine_paths(source: &Source) -> Vec<Finding> {
    // A lock file's hashes are no paths, and it is long.
    if source.path.ends_with("-lock.json") || source.path.ends_with("Cargo.lock") {
        return Vec::new();
    }
    MACHINE_PATHS
        .iter()
        .filter_map(|path| source.text.find(path))
        .map(|place| Finding::at(source, line_of(&source.text, place), "names a folder of one machine"))
        .collect()
}

/// axum and the routes belong to the edge: `http.rs`, `http/`, and the two crates that are nothing else.
fn transport(source: &Source) -> Vec<Finding> {
    let at_the_edge = source.path.ends_with("/http.rs")
        || source.path.contains("/http/")
        || source.path.starts_with("crates/http/")
        || source.path.starts_with("crates/server/")
        || source.path.starts_with("crates/xtask/");
    if at_the_edge {
        return Vec::new();
    }
    ["axum::", "utoipa::path", "utoipa_axum::"]
        .iter()
        .filter_map(|name| Some((name, source.without_tests().find(name)?)))
        .map(|(name, place)| {
            let what = format!("`{name}` belongs into http.rs or http/: the rules of a domain know nothing of HTTP");
            Finding::at(source, line_of(&source.text, place), what)
        })
        .collect()
}

/// A number names one migration: `NNNN_name.sql`, or the pair for the two engines.
fn migrations(sources: &[Source]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut known: BTreeMap<&str, &str> = BTreeMap::new();
    for source in sources {
        let Some(file) = source.path.strip_prefix("migrations/").filter(|file| file.ends_with(".sql")) else {
            continue;
        };
        let name = file.split('.').next().unwrap_or_default();
        let Some((number, _)) = name.split_once('_').filter(|(number, _)| number.len() == 4) else {
            findings.push(Finding::of(source, "a migration is named NNNN_name.sql"));
            continue;
        };
        if let Some(other) = known.insert(number, name)
            && other != name
        {
            findings.push(Finding::of(source, format!("the number {number} is taken by {other}")));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(path: &str, text: &str) -> Source {
        Source { path: path.to_owned(), text: text.to_owned() }
    }

    #[test]
    fn what_stands_in_the_wrong_place_is_found() {
        let sources = [
            source("crates/a/src/rules.rs", "use axum::Router;"),
            source("crates/a/src/http/rules.rs", "use axum::Router;"),
            source("docs/a.md", &format!("see {}x", MACHINE_PATHS[0])),
            source("migrations/0001_a.sqlite.sql", ""),
            source("migrations/0001_a.postgres.sql", ""),
            source("migrations/0001_b.sql", ""),
        ];
        let places: Vec<_> = check(&sources).into_iter().map(|finding| finding.place).collect();
        assert_eq!(places, ["migrations/0001_b.sql", "crates/a/src/rules.rs:1", "docs/a.md:1"]);
    }
}
