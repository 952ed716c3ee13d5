//! Suites: what models are asked, and what a right answer is.

use plasma_kernel::{Error, Result};
use serde::{Deserialize, Serialize};

use super::check::Check;

/// Cases in a suite.
pub const CASES_MAX: usize = 500;
/// Regular expressions of all cases together.
const PATTERNS_MAX: usize = 500;
/// Bytes of a suite as JSON.
const SUITE_BYTES_MAX: usize = 1 << 20;
const NAME_CHARS_MAX: usize = 200;
const TEXT_CHARS_MAX: usize = 2_000;
const ID_CHARS_MAX: usize = 100;
const PROMPT_CHARS_MAX: usize = 20_000;
const MAX_TOKENS_MAX: u32 = 8_192;
const MAX_TOKENS_DEFAULT: u32 = 256;

/// Questions to models with a check for each answer. `docs/benchmarks.md` describes the format.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = BenchmarkSuite)]
pub struct Suite {
    /// Its name, at most 200 characters.
    pub name: String,
    /// What it measures, at most 2,000 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Where its cases come from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// SPDX name of the cases' license.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub license: Option<String>,
    /// Tokens of an answer at most: 1 to 8,192, 256 when absent. Models that think need more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u32>,
    /// 1 to 500, each with another id.
    pub cases: Vec<Case>,
}

/// A question with the check of its answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = BenchmarkCase)]
pub struct Case {
    /// Letters, digits and `._-`, at most 100.
    pub id: String,
    /// A word by which results are summed up, such as `arithmetic`; at most 100 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    /// The system's message, at most 20,000 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system: Option<String>,
    /// The user's message: 1 to 20,000 characters.
    pub prompt: String,
    /// Tokens of the answer at most; the suite's when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u32>,
    /// What a right answer is.
    pub check: Check,
    /// A right answer. A suite whose own reference does not pass its check is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
}

impl Suite {
    /// The suite that is part of this program: `models/suites/general.json`.
    ///
    /// # Errors
    /// `internal` if it is malformed, which a test excludes.
    pub fn general() -> Result<Self> {
        serde_json::from_str(include_str!("../../../../models/suites/general.json"))
            .map_err(|source| Error::from_source("models/suites/general.json is malformed", source))
    }

    /// Blocks: it compiles every pattern.
    ///
    /// # Errors
    /// `invalid` or `too_large` with the place as field; the message names the case.
    pub fn check(&self) -> Result<()> {
        let is_shown = self.name.chars().any(|letter| !letter.is_whitespace()) && !self.name.contains(char::is_control);
        if !is_shown || self.name.chars().count() > NAME_CHARS_MAX {
            return Err(Error::invalid("suite.name", format!("must be 1 to {NAME_CHARS_MAX} printable characters")));
        }
        for (field, text) in [("description", &self.description), ("source", &self.source), ("license", &self.license)]
        {
            if text.as_ref().is_some_and(|text| text.chars().count() > TEXT_CHARS_MAX) {
                let message = format!("must be at most {TEXT_CHARS_MAX} characters");
                return Err(Error::too_large(format!("suite.{field}"), message));
            }
        }
        check_max_tokens(self.max_tokens).map_err(|message| Error::invalid("suite.max_tokens", message))?;
        if self.cases.is_empty() {
            return Err(Error::invalid("suite.cases", "at least one case is needed"));
        }
        if self.cases.len() > CASES_MAX {
            let message = format!("{} cases, the limit is {CASES_MAX}", self.cases.len());
            return Err(Error::too_large("suite.cases", message));
        }
        // What bounds the work of the checks that follow.
        let size = serde_json::to_vec(self).map(|text| text.len()).unwrap_or(usize::MAX);
        if size > SUITE_BYTES_MAX {
            return Err(Error::too_large("suite", format!("{size} bytes of JSON, the limit is {SUITE_BYTES_MAX}")));
        }
        let patterns: usize = self.cases.iter().map(|case| case.check.patterns()).sum();
        if patterns > PATTERNS_MAX {
            let message = format!("{patterns} regular expressions, the limit is {PATTERNS_MAX}");
            return Err(Error::too_large("suite.cases", message));
        }
        let mut ids = std::collections::HashSet::new();
        for (index, case) in self.cases.iter().enumerate() {
            let twice = !ids.insert(case.id.as_str());
            case.check(twice).map_err(|(field, message)| {
                let shown: String = case.id.chars().take(ID_CHARS_MAX).collect();
                Error::invalid(format!("suite.cases[{index}].{field}"), format!("case `{shown}`: {message}"))
            })?;
        }
        Ok(())
    }

    /// Tokens that the answer to `case` may have.
    pub(super) fn max_tokens_of(&self, case: &Case) -> u32 {
        case.max_tokens.or(self.max_tokens).unwrap_or(MAX_TOKENS_DEFAULT)
    }
}

fn check_max_tokens(max_tokens: Option<u32>) -> Result<(), String> {
    match max_tokens {
        Some(tokens) if !(1..=MAX_TOKENS_MAX).contains(&tokens) => Err(format!("must be 1 to {MAX_TOKENS_MAX}")),
        _ => Ok(()),
    }
}

impl Case {
    /// What is wrong: the field and why.
    fn check(&self, twice: bool) -> Result<(), (&'static str, String)> {
        let allowed = |letter: u8| letter.is_ascii_alphanumeric() || b"._-".contains(&letter);
        if self.id.is_empty() || self.id.len() > ID_CHARS_MAX || !self.id.bytes().all(allowed) {
            return Err(("id", format!("must be 1 to {ID_CHARS_MAX} letters, digits or `._-`")));
        }
        if twice {
            return Err(("id", "another case has this id too".to_owned()));
        }
        if self.category.as_ref().is_some_and(|name| name.is_empty() || name.chars().count() > ID_CHARS_MAX) {
            return Err(("category", format!("must be 1 to {ID_CHARS_MAX} characters")));
        }
        if self.prompt.trim().is_empty() || self.prompt.chars().count() > PROMPT_CHARS_MAX {
            return Err(("prompt", format!("must be 1 to {PROMPT_CHARS_MAX} characters")));
        }
        if self.system.as_ref().is_some_and(|text| text.chars().count() > PROMPT_CHARS_MAX) {
            return Err(("system", format!("must be at most {PROMPT_CHARS_MAX} characters")));
        }
        check_max_tokens(self.max_tokens).map_err(|message| ("max_tokens", message))?;
        self.check.check().map_err(|message| ("check", message))?;
        let Some(reference) = &self.reference else { return Ok(()) };
        let verdict = self.check.judge(reference);
        if verdict.score < 1.0 {
            let why = verdict.reason.unwrap_or_default();
            return Err(("reference", format!("the reference does not pass the case's own check: {why}")));
        }
        Ok(())
    }
}
