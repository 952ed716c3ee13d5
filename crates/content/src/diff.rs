//! How two texts differ, line by line.

use std::time::{Duration, Instant};

use plasma_kernel::{Error, Result};
use similar::{Algorithm, DiffOp, capture_diff_slices_deadline, group_diff_ops};

use crate::{DiffHunk, DiffLine, DiffLineKind, limits::DIFF_LINES_MAX};

/// Equal lines around a change.
const CONTEXT_LINES: usize = 3;
/// Two texts that have little in common take quadratic time to compare exactly. After this the result is still correct, but
/// shows larger blocks than necessary.
const COMPARE_TIME_MAX: Duration = Duration::from_millis(500);

/// Hunks, and how many lines were added and removed.
pub(crate) type Compared = (Vec<DiffHunk>, u32, u32);

/// Compares two texts. Takes up to half a second of computing: not on a thread of the runtime.
///
/// # Errors
/// `too_large` when more than [`DIFF_LINES_MAX`] lines would have to be shown.
pub(crate) fn compare(from: &str, to: &str) -> Result<Compared> {
    let old: Vec<&str> = from.lines().collect();
    let new: Vec<&str> = to.lines().collect();
    let deadline = Instant::now() + COMPARE_TIME_MAX;
    let operations = capture_diff_slices_deadline(Algorithm::Myers, &old, &new, Some(deadline));
    let (mut added, mut removed) = (0, 0);
    for operation in &operations {
        if !matches!(operation, DiffOp::Equal { .. }) {
            removed += operation.old_range().len();
            added += operation.new_range().len();
        }
    }
    if added + removed > DIFF_LINES_MAX {
        let message = format!("{} lines differ, the limit is {DIFF_LINES_MAX}", added + removed);
        return Err(Error::too_large("to", message).remedy("read the two revisions themselves"));
    }
    let hunks = group_diff_ops(operations, CONTEXT_LINES)
        .iter()
        .filter(|group| !group.is_empty())
        .map(|group| hunk(group, &old, &new))
        .collect();
    Ok((hunks, count(added), count(removed)))
}

fn hunk(group: &[DiffOp], old: &[&str], new: &[&str]) -> DiffHunk {
    let mut lines = Vec::new();
    let mut push = |kind: DiffLineKind, texts: Option<&[&str]>| {
        lines.extend(texts.unwrap_or_default().iter().map(|text| DiffLine { kind, text: (*text).to_owned() }));
    };
    for operation in group {
        if let DiffOp::Equal { .. } = operation {
            push(DiffLineKind::Same, old.get(operation.old_range()));
        } else {
            push(DiffLineKind::Removed, old.get(operation.old_range()));
            push(DiffLineKind::Added, new.get(operation.new_range()));
        }
    }
    let start = |range: fn(&DiffOp) -> std::ops::Range<usize>| group.first().map_or(0, |first| range(first).start);
    DiffHunk { from_line: count(start(DiffOp::old_range) + 1), to_line: count(start(DiffOp::new_range) + 1), lines }
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The hunks as a unified diff, which is easy to read.
    fn shown(from: &str, to: &str) -> String {
        let (hunks, added, removed) = compare(from, to).unwrap();
        let mut text = format!("+{added} -{removed}\n");
        for hunk in hunks {
            text += &format!("@@ {} {}\n", hunk.from_line, hunk.to_line);
            for line in hunk.lines {
                let sign = match line.kind {
                    DiffLineKind::Same => ' ',
                    DiffLineKind::Removed => '-',
                    DiffLineKind::Added => '+',
                };
                text += &format!("{sign}{}\n", line.text);
            }
        }
        text
    }

    #[test]
    fn equal_texts_have_no_hunks() {
        assert_eq!(shown("a\nb\n", "a\nb\n"), "+0 -0\n");
        assert_eq!(shown("", ""), "+0 -0\n");
    }

    #[test]
    fn a_change_is_shown_between_three_equal_lines() {
        let from = "one\ntwo\nthree\nfour\nfive\nsix\nseven\neight\nnine\n";
        let to = "one\ntwo\nthree\nfour\nFIVE\nfive and a half\nsix\nseven\neight\nnine\n";
        assert_eq!(
            shown(from, to),
            "+2 -1\n@@ 2 2\n two\n three\n four\n-five\n+FIVE\n+five and a half\n six\n seven\n eight\n"
        );
    }

    #[test]
    fn distant_changes_are_two_hunks_and_near_ones_are_one() {
        let lines: Vec<String> = (1..=20).map(|number| format!("line {number}")).collect();
        let from = lines.join("\n");
        let far = from.replace("line 2\n", "").replace("line 18", "LINE 18 🎉");
        assert_eq!(
            shown(&from, &far),
            "+1 -2\n@@ 1 1\n line 1\n-line 2\n line 3\n line 4\n line 5\n\
             @@ 15 14\n line 15\n line 16\n line 17\n-line 18\n+LINE 18 🎉\n line 19\n line 20\n"
        );
        let near = from.replace("line 5\n", "").replace("line 9\n", "");
        assert_eq!(shown(&from, &near).matches("@@").count(), 1);
    }

    #[test]
    fn from_and_to_nothing() {
        assert_eq!(shown("", "new\n"), "+1 -0\n@@ 1 1\n+new\n");
        assert_eq!(shown("old", ""), "+0 -1\n@@ 1 1\n-old\n");
    }

    #[test]
    fn too_many_lines_are_refused_and_hostile_texts_end_in_time() {
        let a: String = (0..400_000).map(|number| format!("{}\n", number % 7)).collect();
        let b: String = (0..400_000).map(|number| format!("{}\n", (number * 3 + 1) % 11)).collect();
        let started = Instant::now();
        assert_eq!(compare(&a, &b).unwrap_err().code(), plasma_kernel::Code::TooLarge);
        assert!(started.elapsed() < Duration::from_secs(20), "took {:?}", started.elapsed());
    }
}
