//! Reads sources as far as the tasks need: files, strings, the arguments of a call.

use std::{fs, path::Path, process::Command};

use anyhow::{Context as _, Result, bail};

/// A file of the repository.
pub struct Source {
    /// Its path from the root, with forward slashes.
    pub path: String,
    /// Its text.
    pub text: String,
}

impl Source {
    /// The text before the file's unit tests.
    pub fn without_tests(&self) -> &str {
        self.text.split("#[cfg(test)]").next().unwrap_or_default()
    }

    /// Whether it is part of a crate's tests, examples or benchmarks.
    pub fn is_test(&self) -> bool {
        ["/tests/", "/examples/", "/benches/"].iter().any(|folder| self.path.contains(folder))
            || self.path.ends_with("/tests.rs")
    }
}

/// Every text file that git tracks or would track, in a stable order.
pub fn files(root: &Path) -> Result<Vec<Source>> {
    let output = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .current_dir(root)
        .output()
        .context("cannot run git")?;
    if !output.status.success() {
        bail!("`git ls-files` failed: {}", String::from_utf8_lossy(&output.stderr));
    }
    let mut paths: Vec<String> = String::from_utf8(output.stdout)?.lines().map(str::to_owned).collect();
    paths.sort();
    paths.dedup();
    // Deleted files are still listed; binary ones are no sources.
    Ok(paths
        .into_iter()
        .filter_map(|path| Some(Source { text: fs::read_to_string(root.join(&path)).ok()?, path }))
        .collect())
}

/// The line (from 1) of a place in a text.
pub fn line_of(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
}

/// A string literal: where it begins and what it says, with escapes resolved.
pub struct Literal {
    /// The place of its first quote.
    pub offset: usize,
    /// The place after its last quote.
    pub end: usize,
    /// Its value.
    pub value: String,
}

/// The string literals of Rust code, in order. Comments and character literals are stepped over.
pub fn literals(code: &str) -> Vec<Literal> {
    let bytes = code.as_bytes();
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'/' if bytes.get(at + 1) == Some(&b'/') => at += until(code, at, "\n"),
            b'/' if bytes.get(at + 1) == Some(&b'*') => at += until(code, at, "*/"),
            b'\'' => at += character_length(bytes.get(at..).unwrap_or_default()),
            b'"' => {
                let hashes = bytes.get(..at).unwrap_or_default().iter().rev().take_while(|byte| **byte == b'#').count();
                let is_raw = at > hashes && bytes.get(at - hashes - 1) == Some(&b'r');
                let literal = if is_raw { raw(code, at, hashes) } else { escaped(code, at) };
                at = literal.end;
                found.push(literal);
            }
            _ => at += 1,
        }
    }
    found
}

fn until(code: &str, at: usize, end: &str) -> usize {
    let rest = code.get(at..).unwrap_or_default();
    rest.find(end).map_or(rest.len(), |place| place + end.len())
}

/// `'x'`, `'\n'` or a lifetime, which ends nothing.
fn character_length(bytes: &[u8]) -> usize {
    match bytes {
        [b'\'', b'\\', _, rest @ ..] => 3 + rest.iter().take_while(|byte| **byte != b'\'').count() + 1,
        [b'\'', _, b'\'', ..] => 3,
        _ => 1,
    }
}

fn raw(code: &str, offset: usize, hashes: usize) -> Literal {
    let close = format!("\"{}", "#".repeat(hashes));
    let rest = code.get(offset + 1..).unwrap_or_default();
    let length = rest.find(&close).unwrap_or(rest.len());
    Literal { offset, end: offset + 1 + length + close.len(), value: rest.get(..length).unwrap_or_default().to_owned() }
}

fn escaped(code: &str, offset: usize) -> Literal {
    let mut value = String::new();
    let mut characters = code.get(offset + 1..).unwrap_or_default().char_indices();
    while let Some((index, character)) = characters.next() {
        match character {
            '"' => return Literal { offset, end: offset + 1 + index + 1, value },
            '\\' => match characters.next() {
                // A line that goes on: the break and the next line's indentation are no part of the value.
                Some((_, '\n')) => {
                    let rest = characters.as_str();
                    let skipped = rest.chars().take_while(|character| character.is_whitespace()).count();
                    for _ in 0..skipped {
                        characters.next();
                    }
                }
                Some((_, 'n')) => value.push('\n'),
                Some((_, other)) => value.push(other),
                None => break,
            },
            _ => value.push(character),
        }
    }
    Literal { offset, end: code.len(), value }
}

/// The length of the call whose opening parenthesis is at the start of `code`, with both parentheses.
pub fn call_length(code: &str) -> usize {
    let strings = literals(code);
    let mut depth = 0_usize;
    let mut skip_to = 0;
    for (index, byte) in code.bytes().enumerate() {
        if index < skip_to {
            continue;
        }
        if let Some(literal) = strings.iter().find(|literal| literal.offset == index) {
            skip_to = literal.end;
            continue;
        }
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return index + 1;
                }
            }
            _ => {}
        }
    }
    code.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(code: &str) -> Vec<String> {
        literals(code).into_iter().map(|literal| literal.value).collect()
    }

    #[test]
    fn strings_are_told_from_comments_and_characters() {
        assert_eq!(values(r#"a("x", 'y', '"', "z\"w") // "no"#), ["x", "z\"w"]);
        assert_eq!(values("/* \"no\" */ r#\"raw \" text\"# fn f<'a>(b: &'a str) \"c\""), ["raw \" text", "c"]);
        assert_eq!(values("\"one \\\n     two\""), ["one two"]);
    }

    #[test]
    fn calls_end_at_their_own_parenthesis() {
        let code = "(\"a)\", f(1)).remedy(2)";
        assert_eq!(&code[..call_length(code)], "(\"a)\", f(1))");
    }
}
