//! What the dashboard's sources promise to its users: texts stay texts, passwords are hidden and may be pasted, and what a browser keeps
//! is known.

use std::{fs, path::Path};

use super::sources::root;

/// The dashboard's sources but for its tests: path and text.
fn sources() -> Vec<(String, String)> {
    let mut found = Vec::new();
    for folder in ["apps/web/src", "apps/web/public", "packages/client/src"] {
        read(&root().join(folder), &mut found);
    }
    found.sort();
    found
}

fn read(folder: &Path, found: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let shown = path.strip_prefix(root()).unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            // Copied from the package of the API reference when the dashboard is built.
            if !shown.ends_with("docs-assets") {
                read(&path, found);
            }
        } else if [".ts", ".tsx", ".js"].iter().any(|end| shown.ends_with(end)) && !shown.contains(".test.") {
            found.push((shown, fs::read_to_string(&path).unwrap()));
        }
    }
}

#[test]
fn no_page_turns_texts_into_markup_or_code() {
    let sources = sources();
    assert!(sources.len() > 200, "{} files", sources.len());
    for (path, text) in sources {
        for forbidden in [
            "dangerouslySetInnerHTML",
            ".innerHTML",
            ".outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
            "new Function",
            "rehype-raw",
            "srcDoc",
            // No other window is listened to.
            "addEventListener(\"message\"",
            "onmessage",
        ] {
            let is_socket = forbidden == "onmessage" && text.contains("WebSocket");
            assert!(!text.contains(forbidden) || is_socket, "{path} has {forbidden}");
        }
    }
}

/// The elements that ask for a password: their text from `<` to `/>`.
fn password_fields(text: &str) -> Vec<&str> {
    let mut fields = Vec::new();
    for (place, start) in text.match_indices("label=\"") {
        let label = text[place + start.len()..].split('"').next().unwrap();
        if label.to_lowercase().contains("password") {
            let begin = text[..place].rfind('<').unwrap();
            let length = text[begin..].find("/>").unwrap();
            fields.push(&text[begin..begin + length]);
        }
    }
    fields
}

#[test]
fn passwords_are_hidden_and_may_be_pasted_and_filled_in() {
    let mut count = 0;
    for (path, text) in sources() {
        assert!(!text.contains("onPaste"), "{path} looks at what is pasted");
        for field in password_fields(&text) {
            count += 1;
            assert!(field.contains("type=\"password\""), "{path}: {field}");
            let is_known = ["current-password", "new-password"]
                .iter()
                .any(|purpose| field.contains(&format!("autoComplete=\"{purpose}\"")));
            assert!(is_known, "{path} does not tell password managers what it wants: {field}");
        }
    }
    assert!(count >= 8, "{count} fields");
}

/// What each of these keeps is said in docs/compliance.md.
const KEEPING: [&str; 4] = [
    "apps/web/src/features/content/unsaved-copy.ts",
    "apps/web/src/features/identity/invitation-token.ts",
    "apps/web/src/features/identity/pending-login.ts",
    "apps/web/src/lib/theme.ts",
];

#[test]
fn what_browsers_keep_is_known() {
    for (path, text) in sources() {
        let keeps =
            ["sessionStorage", "localStorage", "indexedDB", "document.cookie"].iter().any(|name| text.contains(name));
        let is_known = KEEPING.contains(&path.as_str()) || path == "apps/web/public/theme.js";
        assert!(
            !keeps || is_known,
            "{path} keeps something in the browser: say in docs/compliance.md what, then add it here"
        );
    }
}
