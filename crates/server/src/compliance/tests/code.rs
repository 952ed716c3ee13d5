//! What the sources of the program promise.

use std::{fs, path::Path};

use super::sources::root;

/// The program's own sources, without those that only developers and tests use: path and text before its tests.
fn sources() -> Vec<(String, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(root().join("crates")).unwrap() {
        let folder = entry.unwrap().path();
        if !folder.ends_with("xtask") && !folder.ends_with("testkit") {
            read(&folder.join("src"), &mut found);
        }
    }
    found.sort();
    found
}

fn read(folder: &Path, found: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let shown = path.strip_prefix(root()).unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            if !shown.ends_with("/tests") {
                read(&path, found);
            }
        } else if shown.ends_with(".rs") && !shown.ends_with("/tests.rs") {
            let text = fs::read_to_string(&path).unwrap();
            found.push((shown, text.split("#[cfg(test)]").next().unwrap().to_owned()));
        }
    }
}

/// Where a word stands in code, apart from comments.
fn places(word: &str) -> Vec<String> {
    let uses = |text: &str| text.lines().any(|line| line.split("//").next().unwrap().contains(word));
    sources().into_iter().filter(|(_, text)| uses(text)).map(|(path, _)| path).collect()
}

#[test]
fn only_the_command_line_starts_another_program_and_that_is_the_browser() {
    assert!(sources().len() > 300);
    assert_eq!(places("Command::new("), ["crates/server/src/client/browser.rs"]);
    assert!(places("/bin/sh").is_empty());
}

#[test]
fn weak_hashes_are_used_for_one_time_passwords_only() {
    // RFC 6238 and every authenticator want HMAC-SHA-1.
    assert_eq!(places("sha1::"), ["crates/identity/src/totp.rs"]);
    for weak in ["md5::", "Md5", "md4::", "Md4", "ripemd"] {
        assert!(places(weak).is_empty(), "{weak} in {:?}", places(weak));
    }
}
