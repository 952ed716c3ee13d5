//! Checks: whether an answer is right, decided by a program.

use regex::{Regex, RegexBuilder};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::schema;

/// Texts in a list, and checks in `all`.
const LIST_MAX: usize = 50;
const TEXT_CHARS_MAX: usize = 5_000;
const PATTERN_CHARS_MAX: usize = 1_000;
/// Bytes of a compiled pattern. A class of Unicode such as `\w` takes some ten thousand.
const PATTERN_BYTES_MAX: usize = 1 << 18;
/// Characters of an answer that a reason shows.
const SHOWN_CHARS_MAX: usize = 80;

/// What a right answer is.
///
/// `exact` and `one_of` compare without regard to case, spacing, and quotes, asterisks, backticks or a full stop around the
/// answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
#[schema(as = BenchmarkCheck)]
pub enum Check {
    /// The whole answer is this text.
    Exact {
        /// The text.
        expected: String,
    },
    /// The whole answer is one of these texts.
    OneOf {
        /// 1 to 50 texts.
        expected: Vec<String>,
    },
    /// The last number in the answer is this one. Commas between digits are separators of thousands.
    Number {
        /// The number.
        expected: f64,
        /// How far it may be away; 0 when absent.
        #[serde(default)]
        tolerance: f64,
    },
    /// The answer contains each of these texts, in any case; the score is the share that it contains.
    ContainsAll {
        /// 1 to 50 texts.
        expected: Vec<String>,
    },
    /// The answer contains none of these texts, in any case.
    ContainsNone {
        /// 1 to 50 texts.
        forbidden: Vec<String>,
    },
    /// The trimmed answer matches a regular expression (of the crate `regex`: no look-around, no back-references).
    Regex {
        /// At most 1,000 characters. `^` and `$` bind it to the whole answer.
        pattern: String,
    },
    /// The answer is JSON that equals this value, or contains such JSON; the order of an object's members does not matter.
    JsonEqual {
        /// The value.
        expected: Value,
    },
    /// The answer is JSON that fits a schema, or contains such JSON.
    JsonSchema {
        /// JSON Schema with the keywords that `docs/benchmarks.md` lists.
        schema: Value,
    },
    /// The answer has so many words, lines or characters.
    Count {
        /// What is counted.
        of: Counted,
        /// At least.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        min: Option<u32>,
        /// At most.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        max: Option<u32>,
    },
    /// All of these checks; the score is the lowest of theirs.
    All {
        /// 1 to 50 checks of other kinds.
        #[schema(no_recursion)]
        checks: Vec<Check>,
    },
}

/// What a check counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Counted {
    /// What stands between spaces and has a letter or a digit.
    Words,
    /// Lines that are not blank.
    Lines,
    /// Characters without spaces around the answer.
    Characters,
}

/// What a check thinks of an answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// 0 to 1.
    pub score: f64,
    /// Why it is less than 1.
    pub reason: Option<String>,
}

impl Verdict {
    fn of(right: bool, reason: impl FnOnce() -> String) -> Self {
        if right { Self { score: 1.0, reason: None } } else { Self { score: 0.0, reason: Some(reason()) } }
    }
}

impl Check {
    /// What is wrong with the check itself.
    pub(super) fn check(&self) -> Result<(), String> {
        match self {
            Self::Exact { expected } => check_text(expected),
            Self::OneOf { expected: texts }
            | Self::ContainsAll { expected: texts }
            | Self::ContainsNone { forbidden: texts } => check_texts(texts),
            Self::Number { expected, tolerance } => {
                if expected.is_finite() && tolerance.is_finite() && *tolerance >= 0.0 {
                    return Ok(());
                }
                Err("`expected` and `tolerance` must be finite, and `tolerance` not negative".to_owned())
            }
            Self::Regex { pattern } => compile(pattern).map(drop),
            Self::JsonEqual { .. } => Ok(()),
            Self::JsonSchema { schema } => schema::check(schema),
            Self::Count { min, max, .. } => match (min, max) {
                (None, None) => Err("`min` or `max` is needed".to_owned()),
                (Some(min), Some(max)) if min > max => Err(format!("`min` is {min}, which is more than `max`")),
                _ => Ok(()),
            },
            Self::All { checks } => {
                if checks.is_empty() || checks.len() > LIST_MAX {
                    return Err(format!("`checks` must have 1 to {LIST_MAX} checks"));
                }
                if checks.iter().any(|check| matches!(check, Self::All { .. })) {
                    return Err("`all` cannot stand inside `all`".to_owned());
                }
                checks.iter().try_for_each(Self::check)
            }
        }
    }

    /// How many regular expressions it has.
    pub(super) fn patterns(&self) -> usize {
        match self {
            Self::Regex { .. } => 1,
            Self::All { checks } => checks.iter().map(Self::patterns).sum(),
            _ => 0,
        }
    }

    /// Judges an answer.
    pub fn judge(&self, answer: &str) -> Verdict {
        match self {
            Self::Exact { expected } => Verdict::of(plain(answer) == plain(expected), || {
                format!("expected `{}`, got `{}`", shown(expected), shown(answer))
            }),
            Self::OneOf { expected } => {
                let answered = plain(answer);
                Verdict::of(expected.iter().any(|text| plain(text) == answered), || {
                    format!("`{}` is not one of `{}`", shown(answer), shown(&expected.join("`, `")))
                })
            }
            Self::Number { expected, tolerance } => match last_number(answer) {
                // A tolerance of 0 still forgives how decimal fractions are stored.
                Some(number) => {
                    let slack = tolerance + expected.abs() * 1e-12;
                    Verdict::of((number - expected).abs() <= slack, || format!("expected {expected}, got {number}"))
                }
                None => Verdict::of(false, || format!("no number in `{}`", shown(answer))),
            },
            Self::ContainsAll { expected } => contains_all(expected, answer),
            Self::ContainsNone { forbidden } => {
                let lower = answer.to_lowercase();
                let found = forbidden.iter().find(|text| lower.contains(&text.to_lowercase()));
                Verdict::of(found.is_none(), || {
                    format!("contains `{}`", found.map(|text| shown(text)).unwrap_or_default())
                })
            }
            Self::Regex { pattern } => {
                let matches = compile(pattern).is_ok_and(|pattern| pattern.is_match(answer.trim()));
                Verdict::of(matches, || format!("`{}` does not match", shown(answer)))
            }
            Self::JsonEqual { expected } => json_verdict(answer, |value| difference(expected, value, "$")),
            Self::JsonSchema { schema } => json_verdict(answer, |value| schema::misfit(schema, value, "$")),
            Self::Count { of, min, max } => {
                let count = of.count(answer);
                let least = min.map_or(0, |min| min as usize);
                let most = max.map_or(usize::MAX, |max| max as usize);
                Verdict::of((least..=most).contains(&count), || format!("{count} {}", of.noun()))
            }
            Self::All { checks } => checks.iter().map(|check| check.judge(answer)).fold(
                Verdict { score: 1.0, reason: None },
                |worst, verdict| {
                    if verdict.score < worst.score { verdict } else { worst }
                },
            ),
        }
    }
}

impl Counted {
    fn count(self, answer: &str) -> usize {
        match self {
            Self::Words => answer.split_whitespace().filter(|word| word.chars().any(char::is_alphanumeric)).count(),
            Self::Lines => answer.lines().filter(|line| !line.trim().is_empty()).count(),
            Self::Characters => answer.trim().chars().count(),
        }
    }

    fn noun(self) -> &'static str {
        match self {
            Self::Words => "words",
            Self::Lines => "lines",
            Self::Characters => "characters",
        }
    }
}

fn check_text(text: &str) -> Result<(), String> {
    if text.trim().is_empty() || text.chars().count() > TEXT_CHARS_MAX {
        return Err(format!("texts must have 1 to {TEXT_CHARS_MAX} characters"));
    }
    Ok(())
}

fn check_texts(texts: &[String]) -> Result<(), String> {
    if texts.is_empty() || texts.len() > LIST_MAX {
        return Err(format!("1 to {LIST_MAX} texts are needed"));
    }
    texts.iter().try_for_each(|text| check_text(text))
}

fn compile(pattern: &str) -> Result<Regex, String> {
    if pattern.is_empty() || pattern.chars().count() > PATTERN_CHARS_MAX {
        return Err(format!("`pattern` must have 1 to {PATTERN_CHARS_MAX} characters"));
    }
    RegexBuilder::new(pattern)
        .size_limit(PATTERN_BYTES_MAX)
        .build()
        .map_err(|error| format!("`pattern` is no regular expression: {error}"))
}

/// The beginning of a text on one line.
fn shown(text: &str) -> String {
    let mut shown: String = text
        .trim()
        .chars()
        .map(|letter| if letter.is_control() { ' ' } else { letter })
        .take(SHOWN_CHARS_MAX)
        .collect();
    if text.trim().chars().count() > SHOWN_CHARS_MAX {
        shown.push('…');
    }
    shown
}

/// A text without case, spacing, and what people put around a word.
fn plain(text: &str) -> String {
    let around = |letter: char| letter.is_whitespace() || "\"'`*.“”‘’".contains(letter);
    text.trim_matches(around).split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()
}

fn contains_all(expected: &[String], answer: &str) -> Verdict {
    let lower = answer.to_lowercase();
    let missing: Vec<&str> =
        expected.iter().filter(|text| !lower.contains(&text.to_lowercase())).map(String::as_str).collect();
    if missing.is_empty() {
        return Verdict { score: 1.0, reason: None };
    }
    let score = (expected.len() - missing.len()) as f64 / expected.len() as f64;
    Verdict { score, reason: Some(format!("`{}` is missing", shown(&missing.join("`, `")))) }
}

/// The last number in a text.
fn last_number(text: &str) -> Option<f64> {
    // A minus sign of typography is one too.
    let letters: Vec<char> = text.chars().map(|letter| if letter == '\u{2212}' { '-' } else { letter }).collect();
    let at = |index: usize| letters.get(index).copied().unwrap_or(' ');
    let mut found = None;
    let mut index = 0;
    while index < letters.len() {
        if !at(index).is_ascii_digit() {
            index += 1;
            continue;
        }
        let before = |back: usize| index.checked_sub(back).map_or(' ', &at);
        let mut number = String::new();
        // In `10-4` the hyphen joins two numbers, and in `b-4` it belongs to a word.
        if before(1) == '-' && !before(2).is_alphanumeric() {
            number.push('-');
        }
        loop {
            let letter = at(index);
            let goes_on = match letter {
                '0'..='9' => true,
                ',' => (1..=3).all(|ahead| at(index + ahead).is_ascii_digit()) && !at(index + 4).is_ascii_digit(),
                '.' => at(index + 1).is_ascii_digit() && !number.contains('.'),
                _ => false,
            };
            if !goes_on {
                break;
            }
            if letter != ',' {
                number.push(letter);
            }
            index += 1;
        }
        found = number.parse().ok().or(found);
    }
    found
}

fn json_verdict(answer: &str, misfit: impl Fn(&Value) -> Result<(), String>) -> Verdict {
    match json_in(answer) {
        Some(value) => match misfit(&value) {
            Ok(()) => Verdict { score: 1.0, reason: None },
            Err(reason) => Verdict { score: 0.0, reason: Some(shown(&reason)) },
        },
        None => Verdict { score: 0.0, reason: Some(format!("no JSON in `{}`", shown(answer))) },
    }
}

/// The answer as JSON, or else the first object or array in it: models like to put it into a fence or after a sentence.
fn json_in(answer: &str) -> Option<Value> {
    if let Ok(value) = serde_json::from_str(answer.trim()) {
        return Some(value);
    }
    for (start, _) in answer.match_indices(['{', '[']).take(LIST_MAX) {
        let rest = answer.get(start..)?;
        if let Some(Ok(value)) = serde_json::Deserializer::from_str(rest).into_iter::<Value>().next() {
            return Some(value);
        }
    }
    None
}

/// Where `actual` first differs from `expected`.
fn difference(expected: &Value, actual: &Value, place: &str) -> Result<(), String> {
    let differs = || Err(format!("{place}: expected {expected}, got {actual}"));
    match (expected, actual) {
        (Value::Number(one), Value::Number(other)) => match (one.as_f64(), other.as_f64()) {
            (Some(one), Some(other)) if (one - other).abs() <= one.abs() * 1e-12 => Ok(()),
            _ => differs(),
        },
        (Value::String(one), Value::String(other)) if one.trim() == other.trim() => Ok(()),
        (Value::Array(one), Value::Array(other)) if one.len() == other.len() => one
            .iter()
            .zip(other)
            .enumerate()
            .try_for_each(|(index, (one, other))| difference(one, other, &format!("{place}[{index}]"))),
        (Value::Object(one), Value::Object(other)) => {
            if let Some(more) = other.keys().find(|name| !one.contains_key(*name)) {
                return Err(format!("{place}.{more} is not expected"));
            }
            one.iter().try_for_each(|(name, value)| match other.get(name) {
                Some(other) => difference(value, other, &format!("{place}.{name}")),
                None => Err(format!("{place}.{name} is missing")),
            })
        }
        _ if expected == actual => Ok(()),
        _ => differs(),
    }
}
