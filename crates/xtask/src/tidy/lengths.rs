//! Lengths of files and functions.

use super::Finding;
use crate::scan::Source;

const RUST_FILE_LINES_MAX: usize = 500;
const COMPONENT_FILE_LINES_MAX: usize = 400;
const FUNCTION_LINES_MAX: usize = 70;

pub(super) fn check(sources: &[Source]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in sources {
        let lines = source.text.lines().count();
        let lines_max = match source.path.rsplit_once('.') {
            Some((_, "rs")) => RUST_FILE_LINES_MAX,
            Some((_, "tsx")) => COMPONENT_FILE_LINES_MAX,
            _ => continue,
        };
        if lines > lines_max {
            findings.push(Finding::of(source, format!("has {lines} lines; split it, {lines_max} are enough")));
        }
        if source.path.ends_with(".rs") {
            findings.extend(long_functions(source));
        }
    }
    findings
}

/// A function ends at the first line that closes a brace at the function's own indentation, as rustfmt writes it.
fn long_functions(source: &Source) -> Vec<Finding> {
    let lines: Vec<&str> = source.text.lines().collect();
    let mut findings = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        let Some(name) = function_name(line) else { continue };
        let indentation: String = line.chars().take_while(|character| *character == ' ').collect();
        let close = format!("{indentation}}}");
        let length = lines.iter().skip(index).position(|line| {
            *line == close || line.ends_with(';') && line.starts_with(&indentation) && is_declaration(line)
        });
        if let Some(length) = length.map(|length| length + 1).filter(|length| *length > FUNCTION_LINES_MAX) {
            let what = format!("the function {name} has {length} lines; {FUNCTION_LINES_MAX} are enough");
            findings.push(Finding::at(source, index + 1, what));
        }
    }
    findings
}

/// A function of a trait without a body, on one line.
fn is_declaration(line: &str) -> bool {
    function_name(line).is_some() && line.ends_with(';')
}

fn function_name(line: &str) -> Option<&str> {
    let mut words = line.trim_start();
    loop {
        let (word, rest) = words.split_once(' ')?;
        if word == "fn" {
            return rest.split(['(', '<']).next();
        }
        let is_qualifier = word.starts_with("pub") || matches!(word, "async" | "const" | "unsafe" | "extern");
        if !is_qualifier {
            return None;
        }
        words = rest;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_functions_are_found_at_any_depth() {
        let body = "        x();\n".repeat(80);
        let text = format!(
            "impl A {{\n    pub async fn long(&self) {{\n{body}    }}\n\n    fn short() {{\n        x();\n    }}\n}}\n"
        );
        let findings = check(&[Source { path: "crates/a/src/a.rs".to_owned(), text }]);
        assert_eq!(findings.len(), 1);
        assert_eq!(findings[0].place, "crates/a/src/a.rs:2");
        assert!(findings[0].what.contains("long has 82 lines"), "{}", findings[0].what);
    }
}
