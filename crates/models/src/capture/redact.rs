//! Replaces what must not be kept.

use std::{ops::Range, sync::LazyLock};

use plasma_kernel::{Error, Result};
use regex::{Regex, RegexBuilder};

use super::BuiltInRedaction;

const PATTERNS_MAX: usize = 20;
const PATTERN_CHARS_MAX: usize = 200;
/// Bytes of a compiled pattern.
const PATTERN_BYTES_MAX: usize = 1 << 20;
/// Bytes beyond a text's cut in which a match that begins before it may end, so that no half of a secret is kept.
const OVERLAP_BYTES: usize = 4 << 10;

/// A pattern of ours.
macro_rules! pattern {
    ($name:ident, $text:expr) => {
        // A pattern that does not compile matches nothing; a test compiles them all.
        static $name: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new($text).ok());
    };
}

pattern!(EMAIL, r"[\p{L}\p{N}._%+-]+@[\p{L}\p{N}-]+(?:\.[\p{L}\p{N}-]+)+");
pattern!(CARD_NUMBER, r"\b[0-9](?:[ -]?[0-9]){12,18}\b");
pattern!(
    API_KEY,
    r"(?x)
    \b(?: sk | pk | rk )[-_][A-Za-z0-9_-]{16,}
    | \bplk_[0-9a-z]{20,}
    | \b(?: gh[pousr]_ | github_pat_ | glpat- | hf_ | gsk_ | xai- | r8_ | npm_ )[A-Za-z0-9_-]{16,}
    | \b(?: AKIA | ASIA )[A-Z0-9]{16}\b
    | \bAIza[A-Za-z0-9_-]{30,}
    | \bxox[a-z]-[A-Za-z0-9-]{10,}
    | \beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*
    | (?i: \bbearer[\ ]+)[A-Za-z0-9._~+/=-]{16,}
    | -----BEGIN[A-Z\ ]*PRIVATE\ KEY-----[A-Za-z0-9+/=\s\\]*(?:-----END[A-Z\ ]*PRIVATE\ KEY-----)?"
);

/// What is recognized, and what stands in its place.
pub(super) struct Redactions {
    built_in: Vec<BuiltInRedaction>,
    patterns: Vec<Regex>,
}

impl Redactions {
    /// # Errors
    /// `invalid` or `too_large` naming the pattern.
    pub(super) fn new(built_in: &[BuiltInRedaction], patterns: &[String]) -> Result<Self> {
        if patterns.len() > PATTERNS_MAX {
            return Err(Error::too_large("redactions", format!("at most {PATTERNS_MAX} patterns")));
        }
        let mut built_in = built_in.to_vec();
        built_in.sort_by_key(|one| one.as_str());
        built_in.dedup();
        let compiled =
            patterns.iter().enumerate().map(|(place, pattern)| compile(&format!("redactions[{place}]"), pattern));
        Ok(Self { built_in, patterns: compiled.collect::<Result<_>>()? })
    }

    /// The first `limit` bytes of `text` (fewer where a character would be cut) without what is recognized. Something that
    /// begins before the cut is replaced as a whole.
    pub(super) fn apply(&self, text: &str, limit: usize) -> String {
        let limit = text.floor_char_boundary(limit.min(text.len()));
        let seen =
            text.get(..text.floor_char_boundary(limit.saturating_add(OVERLAP_BYTES).min(text.len()))).unwrap_or(text);
        let mut found = self.find(seen);
        found.retain(|(range, _)| range.start < limit);
        found.sort_by_key(|(range, _)| (range.start, std::cmp::Reverse(range.end)));
        let mut clean = String::with_capacity(limit);
        let mut done = 0;
        for (range, mark) in found {
            if range.start >= done {
                clean.push_str(seen.get(done..range.start).unwrap_or_default());
                clean.push_str(mark);
            }
            // What overlaps the match before is gone with it.
            done = done.max(range.end);
        }
        clean.push_str(seen.get(done..limit).unwrap_or_default());
        clean
    }

    fn find(&self, text: &str) -> Vec<(Range<usize>, &'static str)> {
        let mut found = Vec::new();
        for built_in in &self.built_in {
            let (pattern, mark) = match built_in {
                BuiltInRedaction::Email => (&*EMAIL, "[email]"),
                BuiltInRedaction::CardNumber => (&*CARD_NUMBER, "[card number]"),
                BuiltInRedaction::ApiKey => (&*API_KEY, "[api key]"),
            };
            let matches = pattern.iter().flat_map(|pattern| pattern.find_iter(text));
            let is_right = |digits: &str| *built_in != BuiltInRedaction::CardNumber || has_check_digit(digits);
            found.extend(matches.filter(|one| is_right(one.as_str())).map(|one| (one.range(), mark)));
        }
        for pattern in &self.patterns {
            // Other than at the beginning, `\b` and the like may match the empty text; it replaces nothing.
            let matches = pattern.find_iter(text).filter(|one| !one.is_empty());
            found.extend(matches.map(|one| (one.range(), "[redacted]")));
        }
        found
    }
}

fn compile(field: &str, pattern: &str) -> Result<Regex> {
    if pattern.chars().count() > PATTERN_CHARS_MAX {
        return Err(Error::too_large(field, format!("a pattern has at most {PATTERN_CHARS_MAX} characters")));
    }
    let compiled = RegexBuilder::new(pattern).size_limit(PATTERN_BYTES_MAX).build().map_err(|error| match error {
        regex::Error::CompiledTooBig(_) => Error::too_large(field, "the pattern is too large when it is compiled"),
        error => {
            // The last line says what is wrong; those before draw the pattern.
            let text = error.to_string();
            Error::invalid(field, text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned())
        }
    })?;
    if compiled.is_match("") {
        return Err(Error::invalid(field, "the pattern matches the empty text"));
    }
    Ok(compiled)
}

/// The check digit of payment cards (ISO/IEC 7812-1, annex B).
fn has_check_digit(text: &str) -> bool {
    let digits = text.bytes().rev().filter(u8::is_ascii_digit).map(|digit| u32::from(digit - b'0'));
    let sum: u32 = digits
        .enumerate()
        .map(|(place, digit)| match (place % 2, digit * 2) {
            (0, _) => digit,
            (_, double) if double > 9 => double - 9,
            (_, double) => double,
        })
        .sum();
    sum.is_multiple_of(10)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ALL: [BuiltInRedaction; 3] =
        [BuiltInRedaction::Email, BuiltInRedaction::CardNumber, BuiltInRedaction::ApiKey];

    fn clean(text: &str) -> String {
        Redactions::new(&ALL, &[]).unwrap().apply(text, text.len())
    }

    #[test]
    fn our_patterns_compile() {
        for pattern in [&EMAIL, &CARD_NUMBER, &API_KEY] {
            assert!(pattern.is_some());
        }
    }

    #[test]
    fn known_secrets_are_replaced_and_the_rest_stays() {
        for (text, expected) in [
            ("Write to ada.l+x@mail.example.org, now.", "Write to [email], now."),
            ("jörg@müller.example", "[email]"),
            ("4111 1111 1111 1111 and 4111-1111-1111-1112", "[card number] and 4111-1111-1111-1112"),
            ("id 1732700000000000 stays", "id 1732700000000000 stays"),
            ("key sk-proj-abcdefghijklmnop1234!", "key [api key]!"),
            ("plk_0123456789abcdefghjkmnpqrs", "[api key]"),
            ("Authorization: Bearer abcdefghijklmnopqrstu", "Authorization: [api key]"),
            ("AKIAIOSFODNN7EXAMPLE", "[api key]"),
            ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0abc.c2lnbmF0dXJl", "[api key]"),
            ("-----BEGIN RSA PRIVATE KEY-----\nMIIE\nabc=\n-----END RSA PRIVATE KEY-----!", "[api key]!"),
            ("a task-list, 2@3 and skip", "a task-list, 2@3 and skip"),
        ] {
            assert_eq!(clean(text), expected);
        }
    }

    #[test]
    fn own_patterns_have_limits() {
        let refused = |patterns: &[&str]| {
            let patterns: Vec<String> = patterns.iter().map(|text| (*text).to_owned()).collect();
            let error = Redactions::new(&[], &patterns).err().unwrap();
            (error.field_name().unwrap().to_owned(), error.code().as_str())
        };
        assert_eq!(refused(&["a", "("]), ("redactions[1]".to_owned(), "invalid"));
        assert_eq!(refused(&["x*"]), ("redactions[0]".to_owned(), "invalid"));
        assert_eq!(refused(&[&"a".repeat(201)]), ("redactions[0]".to_owned(), "too_large"));
        assert_eq!(refused(&[r"(?:\w{1000}){1000}"]), ("redactions[0]".to_owned(), "too_large"));
        assert_eq!(refused(&["a"; 21]), ("redactions".to_owned(), "too_large"));
        let own = Redactions::new(&[], &["KV-[0-9]+".to_owned(), "secret".to_owned()]).unwrap();
        assert_eq!(own.apply("the secret of KV-1234", 100), "the [redacted] of [redacted]");
    }

    #[test]
    fn a_cut_leaves_no_half_of_a_secret() {
        let all = Redactions::new(&ALL, &[]).unwrap();
        let text = "to ada@example.org";
        for limit in 0..=text.len() {
            let kept = all.apply(text, limit);
            assert!(["", "t", "to", "to ", "to [email]"].contains(&kept.as_str()), "{limit}: {kept}");
        }
        assert_eq!(all.apply("4111 1111 1111 1111", 14), "[card number]");
        assert_eq!(all.apply("äöü", 3), "ä");
    }

    proptest! {
        #[test]
        fn nothing_is_lost_but_what_is_recognized(words in prop::collection::vec("[a-z]{1,8}", 0..20), place in 0_usize..20) {
            let mut with: Vec<&str> = words.iter().map(String::as_str).collect();
            let place = place.min(with.len());
            with.insert(place, "ada@example.org");
            let text = with.join(" ");
            prop_assert_eq!(clean(&text), text.replace("ada@example.org", "[email]"));
        }
    }
}
