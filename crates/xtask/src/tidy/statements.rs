//! SQL stands in `store.rs` and `store/` only, and every statement on a tenant's table names `tenant_id`.

use std::collections::BTreeSet;

use super::Finding;
use crate::scan::{Source, line_of, literals};

/// Statements that work across tenants on purpose: a part of the file's path and how the statement begins.
const ACROSS_TENANTS: &[(&str, &str)] = &[
    // A worker takes up what the last one left, whosever it is.
    ("crates/workflows/src/store.rs", "UPDATE jobs SET lease_until = $1 WHERE state = 'running'"),
    ("crates/workflows/src/store.rs", "DELETE FROM jobs WHERE state IN"),
    // A key's tenant is not known before the key is found, and a person belongs to no tenant.
    ("crates/identity/src/store/bootstrap.rs", "SELECT revoked_at FROM api_keys WHERE token_hash = $1"),
    ("crates/identity/src/store/users.rs", "DELETE FROM users WHERE email = $1 AND NOT EXISTS"),
    // The token endpoint knows an application, a device or its person's code before the tenant.
    ("crates/identity/src/store/applications.rs", "SELECT * FROM applications WHERE id = $1"),
    ("crates/identity/src/store/oauth_devices.rs", "SELECT COUNT(*) AS devices FROM oauth_devices"),
    ("crates/identity/src/store/oauth_devices.rs", "SELECT * FROM oauth_devices WHERE device_hash = $1"),
    ("crates/identity/src/store/oauth_devices.rs", "SELECT * FROM oauth_devices WHERE user_code = $1"),
    ("crates/identity/src/store/oauth_devices.rs", "UPDATE oauth_devices SET polled_at = $2"),
    ("crates/identity/src/store/oauth_devices.rs", "DELETE FROM oauth_devices WHERE device_hash = $1"),
    // What was deleted or has ended is removed, whosever it was.
    ("crates/identity/src/store/invitations.rs", "DELETE FROM invitations WHERE expires_at < $1"),
    ("crates/identity/src/store/exports.rs", "DELETE FROM tenant_exports WHERE state IN"),
    ("crates/identity/src/store/oauth_devices.rs", "DELETE FROM oauth_devices WHERE expires_at < $1"),
    ("crates/identity/src/store/oauth_codes.rs", "DELETE FROM oauth_codes WHERE expires_at < $1"),
    (
        "crates/identity/src/store/oauth_tokens.rs",
        "UPDATE oauth_refresh_tokens SET successor_sealed = $2 WHERE used_at < $1",
    ),
    ("crates/identity/src/store/oauth_tokens.rs", "DELETE FROM oauth_refresh_tokens WHERE used_at < $1"),
    ("crates/identity/src/store/oauth_tokens.rs", "DELETE FROM oauth_access_tokens WHERE expires_at <= $1"),
    ("crates/identity/src/store/oauth_tokens.rs", "DELETE FROM oauth_families WHERE expires_at <= $1"),
    ("crates/content/src/store/documents.rs", "DELETE FROM content_documents WHERE deleted_at < $1"),
    // What an operator sees.
    ("crates/server/src/store.rs", "SELECT state, COUNT(*) AS jobs FROM jobs"),
];

pub(super) fn check(sources: &[Source]) -> Vec<Finding> {
    let tables = tenant_tables(sources);
    let mut findings = Vec::new();
    for source in sources {
        let is_ours =
            source.path.starts_with("crates/") && source.path.ends_with(".rs") && source.path.contains("/src/");
        let is_exempt =
            ["crates/store/", "crates/testkit/", "crates/xtask/"].iter().any(|path| source.path.starts_with(path));
        if !is_ours || is_exempt || source.is_test() {
            continue;
        }
        let in_store = source.path.ends_with("/store.rs") || source.path.contains("/store/");
        let code = source.without_tests();
        for literal in literals(code).into_iter().filter(|literal| is_statement(&literal.value)) {
            let line = line_of(code, literal.offset);
            if !in_store {
                findings.push(Finding::at(source, line, "SQL belongs into store.rs or store/"));
            } else if let Some(table) = unbound(&literal.value, &tables) {
                let excepted = ACROSS_TENANTS
                    .iter()
                    .any(|(path, begin)| source.path.contains(path) && one_line(&literal.value).starts_with(begin));
                if !excepted {
                    findings.push(Finding::at(source, line, format!("a statement on {table} does not name tenant_id")));
                }
            }
        }
    }
    findings
}

fn is_statement(text: &str) -> bool {
    let words: Vec<&str> = text.split_whitespace().take(40).collect();
    match words.first() {
        Some(&"SELECT") => words.len() > 2,
        Some(&"INSERT") => words.get(1) == Some(&"INTO"),
        Some(&"UPDATE") => words.contains(&"SET"),
        Some(&"DELETE") => words.get(1) == Some(&"FROM"),
        Some(&"WITH") => words.contains(&"SELECT"),
        _ => false,
    }
}

/// The tenant's table that the statement touches without naming `tenant_id`.
fn unbound<'a>(statement: &str, tables: &'a BTreeSet<String>) -> Option<&'a str> {
    if statement.contains("tenant_id") {
        return None;
    }
    let words: BTreeSet<&str> =
        statement.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_').collect();
    tables.iter().map(String::as_str).find(|table| words.contains(table))
}

fn one_line(statement: &str) -> String {
    statement.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The tables that the migrations make with a `tenant_id`.
fn tenant_tables(sources: &[Source]) -> BTreeSet<String> {
    let migrations = sources.iter().filter(|source| source.path.starts_with("migrations/"));
    migrations
        .flat_map(|source| source.text.split("CREATE TABLE ").skip(1))
        .filter_map(|statement| {
            let (name, columns) = statement.split_once('(')?;
            let columns = columns.split(';').next()?;
            columns.contains("tenant_id").then(|| name.trim().trim_start_matches("IF NOT EXISTS ").to_owned())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(path: &str, text: &str) -> Source {
        Source { path: path.to_owned(), text: text.to_owned() }
    }

    #[test]
    fn unbound_and_misplaced_statements_are_found() {
        let sources = [
            source("migrations/0001_a.sql", "CREATE TABLE dogs (tenant_id TEXT); CREATE TABLE machines (id TEXT);"),
            source(
                "crates/a/src/store.rs",
                "f(\"SELECT * FROM dogs WHERE tenant_id = $1\"); g(\"SELECT * FROM machines\");",
            ),
            source("crates/a/src/store/b.rs", "\n\"DELETE FROM dogs WHERE id = $1\""),
            source("crates/a/src/rules.rs", "\"UPDATE dogs SET a = 1 WHERE tenant_id = $1\""),
            source("crates/a/src/words.rs", "\"UPDATE yourself\" \"SELECT one\""),
        ];
        let places: Vec<_> = check(&sources).into_iter().map(|finding| finding.place).collect();
        assert_eq!(places, ["crates/a/src/store/b.rs:2", "crates/a/src/rules.rs:1"]);
    }
}
