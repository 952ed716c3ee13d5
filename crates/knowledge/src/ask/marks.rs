//! Citation marks such as `[1]` in text that a model writes.

use std::ops::Range;

/// Characters between the brackets at most: `[1, 2, 3, 4, 5, 6, 7, 8]` fits, prose does not.
const MARK_CHARS_MAX: usize = 24;
/// Spaces before a mark that disappear with it.
const SPACES_MAX: usize = 4;
/// A range such as `[1-3]` names at most as many passages as a prompt holds.
const RANGE_MAX: usize = 8;

/// What stands at a `[`.
#[derive(Debug, PartialEq, Eq)]
enum Found {
    /// Something else: `[see]`, `[x]`, `[0]`, `[2024]`, or a link such as `[1](https://…)`.
    Other,
    /// Too little text to tell.
    Unfinished,
    /// A mark of this many bytes that names these numbers.
    Mark(usize, Vec<usize>),
}

/// Reads the mark at the start of `text`, which begins with `[`. `ended` says that no more text will come.
fn read_mark(text: &str, ended: bool) -> Found {
    let mut numbers: Vec<usize> = Vec::new();
    let mut current: Option<usize> = None;
    let mut digits = 0;
    let mut range_from: Option<usize> = None;
    for (count, (at, letter)) in text.char_indices().skip(1).enumerate() {
        if count > MARK_CHARS_MAX {
            return Found::Other;
        }
        if let Some(digit) = letter.to_digit(10) {
            digits += 1;
            if digits > 2 {
                return Found::Other;
            }
            current = Some(current.unwrap_or(0) * 10 + digit as usize);
            continue;
        }
        // A list index, a year, an empty pair of brackets or a word is no mark.
        let separates = matches!(letter, ',' | ';' | '-' | '–' | ']');
        match current.take() {
            None if letter == ' ' && !numbers.is_empty() => continue,
            Some(0) => return Found::Other,
            Some(number) if separates => {
                let from = range_from.take().unwrap_or(number);
                if from > number || number - from >= RANGE_MAX {
                    return Found::Other;
                }
                numbers.extend(from..=number);
                digits = 0;
                if matches!(letter, '-' | '–') {
                    numbers.pop();
                    range_from = Some(number);
                }
            }
            _ => return Found::Other,
        }
        if letter == ']' {
            if range_from.is_some() {
                return Found::Other;
            }
            let end = at + 1;
            return match text.get(end..).unwrap_or_default().chars().next() {
                Some('(') => Found::Other,
                None if !ended => Found::Unfinished,
                _ => Found::Mark(end, numbers),
            };
        }
    }
    Found::Unfinished
}

/// The marks in `text`: where each stands and which numbers it names.
pub(super) fn marks(text: &str) -> Vec<(Range<usize>, Vec<usize>)> {
    let mut found = Vec::new();
    let mut from = 0;
    while let Some(offset) = text.get(from..).and_then(|rest| rest.find('[')) {
        let start = from + offset;
        match read_mark(text.get(start..).unwrap_or_default(), true) {
            Found::Mark(length, numbers) => {
                found.push((start..start + length, numbers));
                from = start + length;
            }
            _ => from = start + 1,
        }
    }
    found
}

/// The bytes of the mark at the very start of `text`, if one stands there.
pub(super) fn mark_at_start(text: &str) -> Option<usize> {
    match read_mark(text, true) {
        Found::Mark(length, _) if text.starts_with('[') => Some(length),
        _ => None,
    }
}

/// `text` without its marks and the spaces before them.
pub fn without_marks(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut from = 0;
    for (range, _) in marks(text) {
        plain.push_str(text.get(from..range.start).unwrap_or_default().trim_end_matches(' '));
        from = range.end;
    }
    plain.push_str(text.get(from..).unwrap_or_default());
    plain
}

/// Lets an answer pass piece by piece, and takes out marks that name no passage. A list such as `[1, 7]` becomes `[1]`.
///
/// What may be the start of a mark is held back until the next piece tells. Code between backticks is left alone: there,
/// `rows[7]` is an index.
#[derive(Debug)]
pub(super) struct MarkFilter {
    passages: usize,
    held: String,
    /// The number of backticks that opened the code that the text is in.
    code: Option<usize>,
    at_line_start: bool,
    /// A mark was taken out at the start of a line: the space after it goes too.
    skip_space: bool,
}

impl MarkFilter {
    /// For an answer that may cite the passages 1 to `passages`.
    pub(super) fn new(passages: usize) -> Self {
        Self { passages, held: String::new(), code: None, at_line_start: true, skip_space: false }
    }

    /// The part of the text so far that is decided and not given out yet.
    pub(super) fn push(&mut self, piece: &str) -> String {
        let text = std::mem::take(&mut self.held) + piece;
        self.pass(&text, false)
    }

    /// The rest. A mark that broke off, as in `… [1`, is left out, and so is white space at the end.
    pub(super) fn finish(&mut self) -> String {
        let text = std::mem::take(&mut self.held);
        let mut out = self.pass(&text, true);
        out.truncate(out.trim_end().len());
        out
    }

    fn pass(&mut self, text: &str, ended: bool) -> String {
        let mut out = String::with_capacity(text.len());
        let mut at = 0;
        while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
            let step = match rest.as_bytes().first() {
                Some(b'`') => self.backticks(rest, ended),
                Some(b' ' | b'[') if self.code.is_none() => self.mark(rest, ended, &mut out),
                _ => Some(0),
            };
            match step {
                None => {
                    self.held.push_str(rest);
                    break;
                }
                Some(0) => {
                    let letter = rest.chars().next().unwrap_or_default();
                    self.give(letter, &mut out);
                    at += letter.len_utf8().max(1);
                }
                Some(bytes) => {
                    if rest.starts_with('`') {
                        out.extend(rest.chars().take(bytes));
                        self.at_line_start = false;
                    }
                    at += bytes;
                }
            }
        }
        out
    }

    fn give(&mut self, letter: char, out: &mut String) {
        if letter == '\n' {
            self.at_line_start = true;
            // Code in a line ends with it at the latest: a lone backtick must not switch the filter off.
            if self.code.is_some_and(|backticks| backticks < 3) {
                self.code = None;
            }
        } else {
            if std::mem::take(&mut self.skip_space) && letter == ' ' {
                return;
            }
            self.at_line_start = false;
        }
        out.push(letter);
    }

    /// The bytes of a run of backticks, which opens or closes code; `None` while the run may grow.
    fn backticks(&mut self, rest: &str, ended: bool) -> Option<usize> {
        let run = rest.bytes().take_while(|byte| *byte == b'`').count();
        if run == rest.len() && !ended {
            return None;
        }
        self.code = match self.code {
            None => Some(run),
            Some(open) if open == run => None,
            open => open,
        };
        Some(run)
    }

    /// The bytes that a mark and the spaces before it take, after writing what remains of it; 0 when there is none and
    /// `None` while that is open.
    fn mark(&mut self, rest: &str, ended: bool, out: &mut String) -> Option<usize> {
        let spaces = rest.bytes().take_while(|byte| *byte == b' ').count();
        if spaces > SPACES_MAX {
            return Some(0);
        }
        let after = rest.get(spaces..).unwrap_or_default();
        if after.is_empty() {
            return if ended { Some(0) } else { None };
        }
        if !after.starts_with('[') {
            return Some(0);
        }
        match read_mark(after, ended) {
            Found::Other => Some(0),
            Found::Unfinished if !ended => None,
            // `… [1` at the end of an answer that was cut off. A lone `[` is not ours to judge.
            Found::Unfinished if after.len() > 1 => Some(rest.len()),
            Found::Unfinished => Some(0),
            Found::Mark(length, mut numbers) => {
                numbers.retain(|number| *number <= self.passages);
                numbers.sort_unstable();
                numbers.dedup();
                if numbers.is_empty() {
                    self.skip_space = self.at_line_start;
                } else {
                    out.push_str(rest.get(..spaces).unwrap_or_default());
                    self.at_line_start = false;
                    for number in numbers {
                        out.push_str(&format!("[{number}]"));
                    }
                }
                Some(spaces + length)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// However an answer is cut into pieces, the same text comes out.
    fn filtered(passages: usize, text: &str) -> String {
        let whole = {
            let mut filter = MarkFilter::new(passages);
            filter.push(text) + &filter.finish()
        };
        for size in [1, 2, 3, 5] {
            let letters: Vec<char> = text.chars().collect();
            let mut filter = MarkFilter::new(passages);
            let mut out = String::new();
            for piece in letters.chunks(size) {
                out += &filter.push(&piece.iter().collect::<String>());
            }
            out += &filter.finish();
            assert_eq!(out, whole, "cut into pieces of {size}");
        }
        whole
    }

    #[test]
    fn marks_of_passages_stay_and_others_go() {
        assert_eq!(filtered(3, "It is blue [1]. It is red [7]."), "It is blue [1]. It is red.");
        assert_eq!(filtered(3, "Both hold[2][3]."), "Both hold[2][3].");
        assert_eq!(filtered(3, "Lists [1, 7] and ranges [1-3] and [4–6]."), "Lists [1] and ranges [1][2][3] and.");
        assert_eq!(filtered(3, "[9] First.\n[8] Second."), "First.\nSecond.");
        assert_eq!(filtered(2, "Größe 🎉 [3] bleibt 🎉 [2]"), "Größe 🎉 bleibt 🎉 [2]");
    }

    #[test]
    fn what_is_no_mark_is_left_alone() {
        for text in [
            "a list [x], a year [2024], the first item items[0], [see], [], [1-], [-3]",
            "a link [7](https://example.org) stays",
            "code `rows[7]` stays, and\n```\nrows[7] = [9]\n```\ntoo",
            "a - [ ] task",
            "text with    many      spaces",
        ] {
            assert_eq!(filtered(3, text), text);
        }
    }

    #[test]
    fn a_lone_backtick_ends_with_its_line() {
        assert_eq!(filtered(1, "a ` tick\nwrong [5] mark"), "a ` tick\nwrong mark");
    }

    #[test]
    fn a_mark_that_broke_off_is_left_out() {
        assert_eq!(filtered(3, "It is so [1"), "It is so");
        assert_eq!(filtered(3, "It is so [12, "), "It is so");
        assert_eq!(filtered(3, "It is so. "), "It is so.");
    }

    #[test]
    fn nothing_that_may_become_a_wrong_mark_is_given_out_early() {
        let mut filter = MarkFilter::new(1);
        assert_eq!(filter.push("true"), "true");
        assert_eq!(filter.push(" ["), "");
        assert_eq!(filter.push("7"), "");
        assert_eq!(filter.push("]"), "");
        assert_eq!(filter.push("."), ".");
    }

    #[test]
    fn marks_are_found_where_they_stand() {
        let found = marks("One [1]. Two [2, 3] 🎉[4](x)");
        let numbers: Vec<_> = found.iter().map(|(_, numbers)| numbers.clone()).collect();
        assert_eq!(numbers, [vec![1], vec![2, 3]]);
        assert_eq!(found.first().map(|(range, _)| range.clone()), Some(4..7));
        assert_eq!(without_marks("One [1]. Two [2][3], 🎉 [x]"), "One. Two, 🎉 [x]");
    }
}
