//! Where statements begin and end in prose and Markdown.
//!
//! A split is final as soon as text follows it: more text never moves the end of any sentence but the last. So a stream can
//! work on all sentences but the last of what it has.

use std::ops::Range;

use super::marks::{mark_at_start, marks};

/// A sentence longer than this is split at its line breaks: tables and lists without full stops.
const LONG_CHARS: usize = 400;

/// Words of a heading that counts as a sentence.
const SENTENCE_HEADING_WORDS_MIN: usize = 5;

/// Words with a full stop that ends no sentence.
const ABBREVIATIONS: [&str; 27] = [
    "approx", "bzw", "ca", "cf", "co", "corp", "d.h", "dr", "e.g", "eq", "fig", "i.e", "inc", "jr", "ltd", "mr", "mrs",
    "ms", "prof", "sec", "sr", "st", "usw", "vgl", "viz", "vs", "z.b",
];
/// Words with a full stop that ends no sentence before a number.
const NUMBER_ABBREVIATIONS: [&str; 8] = ["art", "ch", "no", "nr", "p", "pp", "vol", "ver"];

/// One statement of a text. Offsets are bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sentence {
    /// From its first letter to its closing punctuation: without a list's bullet, white space, and citation marks at its end.
    pub range: Range<usize>,
    /// The passage numbers that its marks name, in order, each once.
    pub marks: Vec<usize>,
}

/// The sentences of `text`. Headings, rules and code blocks state nothing, so they are no sentences; but small models write what they have
/// to say as headings: a long heading states something when it has a full stop, or when another one of its level or above follows at once.
pub fn sentences(text: &str) -> Vec<Sentence> {
    let mut found = Vec::new();
    for block in blocks(text) {
        for range in split_block(text, block) {
            found.extend(statement(text, range));
        }
    }
    found
}

/// Runs of lines that belong together: a paragraph, a list item, a table row.
fn blocks(text: &str) -> Vec<Range<usize>> {
    let mut blocks: Vec<Range<usize>> = Vec::new();
    let mut open: Option<Range<usize>> = None;
    let mut fence: Option<&str> = None;
    // A heading under which nothing has come yet, with its level.
    let mut alone: Option<(usize, Range<usize>)> = None;
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let line_start = start;
        start += line.len();
        let content = line.trim();
        let indent = line.len() - line.trim_start().len();
        let fence_here = ["```", "~~~"].into_iter().find(|fence| content.starts_with(fence));
        if fence.is_some() || fence_here.is_some() {
            blocks.extend(open.take());
            alone = None;
            fence = match (fence, fence_here) {
                (None, here) => here,
                (Some(opened), Some(here)) if opened == here => None,
                (opened, _) => opened,
            };
            continue;
        }
        if content.is_empty() || heading_level(content).is_some() || is_rule(content) {
            blocks.extend(open.take());
            if let Some(level) = heading_level(content) {
                // The next heading is no part of its section: all that it has to say, it says itself.
                blocks.extend(alone.take().filter(|(above, _)| level <= *above).map(|(_, heading)| heading));
                let heading = line_start + indent + level + 1..line_start + line.trim_end().len();
                // Only once the line is complete: more text could take its full stop from its end.
                if line.ends_with('\n') && is_long_heading(content) {
                    if content.ends_with('.') {
                        blocks.push(heading);
                    } else {
                        alone = Some((level, heading));
                    }
                }
            }
            continue;
        }
        alone = None;
        let bullet = bullet_length(content);
        match &mut open {
            Some(block) if bullet == 0 => block.end = line_start + line.trim_end().len(),
            _ => {
                blocks.extend(open.take());
                open = Some(line_start + indent + bullet..line_start + line.trim_end().len());
            }
        }
    }
    blocks.extend(open);
    blocks
}

/// The number of a heading's signs.
fn heading_level(line: &str) -> Option<usize> {
    let signs = line.bytes().take_while(|byte| *byte == b'#').count();
    ((1..=6).contains(&signs) && line.as_bytes().get(signs) == Some(&b' ')).then_some(signs)
}

/// Whether a heading has so many words that it can be a statement, and is no number or name.
fn is_long_heading(content: &str) -> bool {
    content.split_whitespace().skip(1).count() >= SENTENCE_HEADING_WORDS_MIN
}

/// `---`, `***`, `===`, and the line `|---|---|` of a table.
fn is_rule(line: &str) -> bool {
    line.len() >= 3 && line.chars().all(|letter| matches!(letter, '-' | '*' | '=' | '_' | '|' | ':' | ' '))
}

/// The bytes of what stands before a list item, a quotation or a table's row; 0 for plain text.
fn bullet_length(line: &str) -> usize {
    let mut length = 0;
    loop {
        let rest = line.get(length..).unwrap_or_default();
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let sign = match rest.as_bytes().get(digits) {
            Some(b'.' | b')') if (1..=3).contains(&digits) => digits + 1,
            Some(b'-' | b'*' | b'+' | b'>' | b'|') if digits == 0 => 1,
            _ => return length,
        };
        let spaces = rest.bytes().skip(sign).take_while(|byte| *byte == b' ').count();
        // `*bold*` and `-5` are text; a bullet has a space after it.
        if spaces == 0 && !rest.starts_with('|') {
            return length;
        }
        length += sign + spaces;
    }
}

/// Cuts a block after each full stop, question or exclamation mark that ends a sentence.
fn split_block(text: &str, block: Range<usize>) -> Vec<Range<usize>> {
    let mut ranges = Vec::new();
    let mut start = block.start;
    let mut skip_until = block.start;
    let content = text.get(block.clone()).unwrap_or_default();
    for (offset, letter) in content.char_indices() {
        let at = block.start + offset;
        if at < skip_until || !is_terminator(letter) {
            continue;
        }
        let before = text.get(start..at).unwrap_or_default();
        let Some((end, next)) = sentence_end(text.get(at..block.end).unwrap_or_default(), letter) else { continue };
        skip_until = at + end;
        if continues(before, letter, next) {
            continue;
        }
        ranges.push(start..at + end);
        start = at + end;
    }
    if start < block.end {
        ranges.push(start..block.end);
    }
    ranges.into_iter().flat_map(|range| split_long(text, range)).collect()
}

fn is_terminator(letter: char) -> bool {
    matches!(letter, '.' | '!' | '?' | '…' | '।' | '؟') || is_wide_terminator(letter)
}

/// Punctuation of scripts that put no space between sentences.
fn is_wide_terminator(letter: char) -> bool {
    matches!(letter, '。' | '！' | '？' | '｡')
}

/// For `rest` that begins with a terminator: the bytes up to the end of the sentence (terminators, closing quotes and
/// citation marks), and the first letter of what follows. `None` when the sentence goes on, as in `3.5` or `example.org`.
fn sentence_end(rest: &str, first: char) -> Option<(usize, Option<char>)> {
    let closing = |letter: char| matches!(letter, '"' | '\'' | ')' | ']' | '”' | '’' | '»' | '*' | '_' | '`');
    let mut end = rest.find(|letter: char| !is_terminator(letter)).unwrap_or(rest.len());
    end += rest.get(end..)?.find(|letter: char| !closing(letter)).unwrap_or(rest.len() - end);
    // Marks right after the full stop, with or without a space: ` [1][2]`.
    loop {
        let after = rest.get(end..)?;
        let spaces = after.len() - after.trim_start_matches(' ').len();
        match after.get(spaces..).and_then(mark_at_start) {
            Some(length) => end += spaces + length,
            None => break,
        }
    }
    let after = rest.get(end..)?;
    let next = after.trim_start().chars().next();
    let separated = after.chars().next().is_none_or(char::is_whitespace) || is_wide_terminator(first);
    separated.then_some((end, next))
}

/// Whether a terminator after `before` is part of the sentence: an abbreviation, an initial, a list's number.
fn continues(before: &str, terminator: char, next: Option<char>) -> bool {
    if next.is_some_and(char::is_lowercase) {
        return true;
    }
    if terminator != '.' {
        return false;
    }
    let word =
        before.rsplit(|letter: char| letter.is_whitespace() || matches!(letter, '(' | '"' | '“')).next().unwrap_or("");
    let lower = word.to_lowercase();
    let mut letters = word.chars();
    let initial = letters.next().is_some_and(char::is_uppercase) && letters.next().is_none();
    let number = before.trim().len() <= 3 && before.trim().bytes().all(|byte| byte.is_ascii_digit());
    initial
        || number
        || ABBREVIATIONS.contains(&lower.as_str())
        || (next.is_some_and(|letter| letter.is_ascii_digit()) && NUMBER_ABBREVIATIONS.contains(&lower.as_str()))
}

fn split_long(text: &str, range: Range<usize>) -> Vec<Range<usize>> {
    let content = text.get(range.clone()).unwrap_or_default();
    if content.chars().count() <= LONG_CHARS || !content.contains('\n') {
        return vec![range];
    }
    let mut start = range.start;
    content
        .split_inclusive('\n')
        .map(|line| {
            start += line.len();
            start - line.len()..start
        })
        .collect()
}

/// Trims white space and the marks at the end; `None` when nothing remains that could be a statement.
fn statement(text: &str, range: Range<usize>) -> Option<Sentence> {
    let content = text.get(range.clone())?;
    let found = marks(content);
    let mut numbers: Vec<usize> = Vec::new();
    for number in found.iter().flat_map(|(_, numbers)| numbers) {
        if !numbers.contains(number) {
            numbers.push(*number);
        }
    }
    let mut end = content.trim_end().len();
    for (mark, _) in found.iter().rev() {
        if mark.end != end {
            break;
        }
        end = content.get(..mark.start)?.trim_end().len();
    }
    let start = content.len() - content.trim_start().len();
    let statement = content.get(start..end)?;
    statement
        .chars()
        .any(char::is_alphanumeric)
        .then(|| Sentence { range: range.start + start..range.start + end, marks: numbers })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn texts(text: &str) -> Vec<&str> {
        sentences(text).into_iter().map(|sentence| &text[sentence.range]).collect()
    }

    #[test]
    fn prose_is_cut_at_its_full_stops() {
        assert_eq!(
            texts(
                "Dr. Smith paid 3.5 million, e.g. for v1.2. Was it worth it? Yes! See example.org for No. 5. “Good.” Then he left"
            ),
            [
                "Dr. Smith paid 3.5 million, e.g. for v1.2.",
                "Was it worth it?",
                "Yes!",
                "See example.org for No. 5.",
                "“Good.”",
                "Then he left"
            ]
        );
        assert_eq!(
            texts("J. R. Tolkien wrote it. He lived approx. 81 years."),
            ["J. R. Tolkien wrote it.", "He lived approx. 81 years."]
        );
        assert_eq!(texts("知识库很大。它很快！\n好"), ["知识库很大。", "它很快！", "好"]);
    }

    #[test]
    fn a_line_break_inside_a_paragraph_ends_nothing() {
        assert_eq!(
            texts("The index is\nrebuilt from\nSQL. It is\nfast."),
            ["The index is\nrebuilt from\nSQL.", "It is\nfast."]
        );
    }

    #[test]
    fn markdown_is_read_by_its_blocks() {
        let text = "# Title. No\n\nIntro line\n- first item\n- second item. With more\n1. numbered\n> quoted\n\n```\ncode. Here\n```\n| a | b |\n|---|---|\n| cell one | 2 |\n---\n**Bold** end.";
        assert_eq!(
            texts(text),
            [
                "Intro line",
                "first item",
                "second item.",
                "With more",
                "numbered",
                "quoted",
                "a | b |",
                "cell one | 2 |",
                "**Bold** end."
            ]
        );
    }

    #[test]
    fn marks_belong_to_the_sentence_before_them() {
        let text = "Ships use fuel [1][2]. Planes too. [3] [1] Cars [2] differ.[1] 🎉 Done [4]";
        let found = sentences(text);
        assert_eq!(texts(text), ["Ships use fuel [1][2].", "Planes too.", "Cars [2] differ.", "🎉 Done"]);
        let numbers: Vec<_> = found.iter().map(|sentence| sentence.marks.clone()).collect();
        assert_eq!(numbers, [vec![1, 2], vec![3, 1], vec![2, 1], vec![4]]);
    }

    #[test]
    fn a_heading_is_a_statement_only_when_it_is_a_whole_sentence() {
        assert_eq!(texts("### Copies are kept for 30 days.\nDaily."), ["Copies are kept for 30 days.", "Daily."]);
        assert!(texts("## Version 1.\n## Copies and how long they stay\n").is_empty());
        assert!(texts("### Copies are kept for 30 days.").is_empty(), "more text may come");
    }

    #[test]
    fn a_heading_with_nothing_under_it_is_a_statement() {
        let headings = "### Copies are kept for 30 days\n\n### A restore needs the master key\n\n## The end\n";
        assert_eq!(texts(headings), ["Copies are kept for 30 days", "A restore needs the master key"]);
        assert!(texts("# All about copies and restores\n\n## Copies are kept for 30 days\n").is_empty(), "a title");
        assert_eq!(texts("## How long are copies kept\n\nFor 30 days.\n\n## A\n"), ["For 30 days."]);
        assert!(texts("## How long are copies kept\n```\nls\n```\n## A\n").is_empty());
    }

    #[test]
    fn long_text_without_full_stops_is_cut_at_its_lines() {
        let text = "name: value; other: value\n".repeat(30);
        assert_eq!(sentences(&text).len(), 30);
    }

    proptest! {
        /// What a stream relies on: all but the last sentence of a beginning are sentences of the whole.
        #[test]
        fn more_text_changes_only_the_last_sentence(
            pieces in prop::collection::vec(
                prop::sample::select(vec![
                    "Word", "word", " ", "\n", ". ", "! ", "\n\n", "- ", "1. ", "# ", "[1]", " [2]", "🎉", "e.g.", "3.5", "```", "“", "”",
                    "。", "|", "---", "é", "A", "a", "long words that fill a line ", "> ",
                ]),
                0..40,
            ),
        ) {
            // A stream gives marks out whole, so a beginning never ends inside one.
            let mut beginning = String::new();
            let whole = pieces.concat();
            let all = sentences(&whole);
            for piece in pieces {
                beginning += piece;
                let some = sentences(&beginning);
                let settled = &some[..some.len().saturating_sub(1)];
                prop_assert_eq!(settled, &all[..settled.len().min(all.len())], "after {:?}", beginning);
            }
        }

        #[test]
        fn hostile_text_never_panics(text in "\\PC{0,200}") {
            for sentence in sentences(&text) {
                prop_assert!(text.get(sentence.range).is_some());
            }
        }
    }
}
