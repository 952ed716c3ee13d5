//! How two versions differ, line by line.

use std::{
    ops::Range,
    time::{Duration, Instant},
};

use plasma_kernel::{Error, Result};
use serde::Serialize;
use similar::{Algorithm, DiffOp, capture_diff_slices_deadline, group_diff_ops};

use super::types::PromptDefinition;

/// Equal lines around a change.
const CONTEXT_LINES: usize = 3;
/// After this the result is still right, but shows larger blocks than necessary.
const COMPARE_TIME_MAX: Duration = Duration::from_millis(300);

/// How two versions differ. A version is read as a text: each message under its role, then the variables, the model and the
/// parameters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct PromptDiff {
    /// One version's number.
    pub from: u32,
    /// The other's.
    pub to: u32,
    /// The places that differ, with up to three equal lines around them.
    pub hunks: Vec<PromptDiffHunk>,
    /// Lines that only `to` has.
    pub added: u32,
    /// Lines that only `from` has.
    pub removed: u32,
}

/// A place that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct PromptDiffHunk {
    /// The number of its first line in `from`, from 1.
    pub from_line: u32,
    /// The number of its first line in `to`, from 1.
    pub to_line: u32,
    /// Its lines in order; removed ones come before those that replace them.
    pub lines: Vec<PromptDiffLine>,
}

/// A line of a hunk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct PromptDiffLine {
    /// Which side has it.
    pub kind: PromptDiffLineKind,
    /// Without its line break.
    pub text: String,
}

/// Which side has a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PromptDiffLineKind {
    /// Both.
    Same,
    /// Only `from`.
    Removed,
    /// Only `to`.
    Added,
}

/// A version as a text that people compare.
fn text(definition: &PromptDefinition) -> Result<String> {
    let mut text = String::new();
    for message in &definition.messages {
        text.push_str(&format!("[{}]\n{}\n\n", message.role.as_str(), message.content));
    }
    let pretty = |value: &serde_json::Value| {
        serde_json::to_string_pretty(value).map_err(|error| Error::from_source("a prompt's version", error))
    };
    let value = serde_json::to_value(definition).map_err(|error| Error::from_source("a prompt's version", error))?;
    for variable in value.get("variables").and_then(serde_json::Value::as_array).into_iter().flatten() {
        text.push_str(&format!("[variable]\n{}\n\n", pretty(&without_empty(variable))?));
    }
    if let Some(model) = &definition.model {
        text.push_str(&format!("[model]\n{model}\n\n"));
    }
    let parameters = without_empty(value.get("parameters").unwrap_or(&serde_json::Value::Null));
    if parameters.as_object().is_some_and(|fields| !fields.is_empty()) {
        text.push_str(&format!("[parameters]\n{}\n", pretty(&parameters)?));
    }
    Ok(text)
}

/// An object without what was not set.
fn without_empty(value: &serde_json::Value) -> serde_json::Value {
    let is_set = |value: &serde_json::Value| {
        !value.is_null()
            && value.as_array().is_none_or(|items| !items.is_empty())
            && value.as_object().is_none_or(|fields| !fields.is_empty())
    };
    match value.as_object() {
        Some(fields) => fields
            .iter()
            .map(|(name, value)| (name.clone(), if name == "limits" { without_empty(value) } else { value.clone() }))
            .filter(|(_, value)| is_set(value))
            .collect(),
        None => value.clone(),
    }
}

/// Compares two versions. Takes up to a third of a second of computing: not on a thread of the runtime.
pub(super) fn compare(from: (u32, &PromptDefinition), to: (u32, &PromptDefinition)) -> Result<PromptDiff> {
    let (old_text, new_text) = (text(from.1)?, text(to.1)?);
    let (old, new): (Vec<&str>, Vec<&str>) = (old_text.lines().collect(), new_text.lines().collect());
    let deadline = Instant::now() + COMPARE_TIME_MAX;
    let operations = capture_diff_slices_deadline(Algorithm::Myers, &old, &new, Some(deadline));
    let (mut added, mut removed) = (0, 0);
    for operation in operations.iter().filter(|operation| !matches!(operation, DiffOp::Equal { .. })) {
        removed += operation.old_range().len();
        added += operation.new_range().len();
    }
    let groups = group_diff_ops(operations, CONTEXT_LINES);
    let hunks = groups.iter().filter(|group| !group.is_empty()).map(|group| hunk(group, &old, &new)).collect();
    Ok(PromptDiff { from: from.0, to: to.0, hunks, added: count(added), removed: count(removed) })
}

fn hunk(group: &[DiffOp], old: &[&str], new: &[&str]) -> PromptDiffHunk {
    let mut lines = Vec::new();
    let mut push = |kind, texts: &[&str], range: Range<usize>| {
        let texts = texts.get(range).unwrap_or_default();
        lines.extend(texts.iter().map(|text| PromptDiffLine { kind, text: (*text).to_owned() }));
    };
    for operation in group {
        if let DiffOp::Equal { .. } = operation {
            push(PromptDiffLineKind::Same, old, operation.old_range());
        } else {
            push(PromptDiffLineKind::Removed, old, operation.old_range());
            push(PromptDiffLineKind::Added, new, operation.new_range());
        }
    }
    let first = group.first();
    let start = |range: fn(&DiffOp) -> Range<usize>| count(first.map_or(0, |first| range(first).start) + 1);
    PromptDiffHunk { from_line: start(DiffOp::old_range), to_line: start(DiffOp::new_range), lines }
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
