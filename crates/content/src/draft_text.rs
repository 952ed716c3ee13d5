//! What a model wrote, as a title and a body.

use plasma_knowledge::ask::{AskPassage, Citation as AskCitation, without_marks};

use crate::{Citation, limits::TITLE_CHARS_MAX};

/// A first line without `#` is taken for the title up to this length.
const PLAIN_TITLE_CHARS_MAX: usize = 120;
/// Characters of a title that is made of the brief.
const BRIEF_TITLE_CHARS_MAX: usize = 80;

/// A draft in its parts.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct DraftText {
    pub(crate) title: String,
    pub(crate) body: String,
    /// Where the body starts in what the model wrote, in code points.
    pub(crate) offset: usize,
}

/// Finds the title: the heading that `answer` begins with, else a short first line that stands alone, else the beginning of
/// the brief. What follows is the body. `title` is used instead of whatever the model wrote.
pub(crate) fn split(answer: &str, title: Option<String>, brief: &str) -> DraftText {
    let start = answer.len() - answer.trim_start().len();
    let text = answer.get(start..).unwrap_or_default();
    let line = text.lines().next().unwrap_or_default();
    let rest = text.get(line.len()..).unwrap_or_default();
    let found = found_title(line, rest);
    let body_start = match found {
        Some(_) => answer.len() - rest.trim_start().len(),
        None => start,
    };
    let title = title
        .or(found)
        .map(|title| shortened(&title, TITLE_CHARS_MAX))
        .filter(|title| !title.is_empty())
        .unwrap_or_else(|| brief_title(brief));
    DraftText {
        title,
        body: answer.get(body_start..).unwrap_or_default().trim_end().replace('\0', "\u{fffd}"),
        offset: answer.get(..body_start).unwrap_or_default().chars().count(),
    }
}

/// The title that stands on the first line, if it is one.
fn found_title(line: &str, rest: &str) -> Option<String> {
    let line = line.trim();
    let heading = line.starts_with('#');
    let label = line.trim_start_matches(['*', '_']);
    let labelled = label.get(..6).is_some_and(|start| start.eq_ignore_ascii_case("title:"));
    let alone = rest.trim_start_matches([' ', '\r']).starts_with("\n\n") || rest.trim().is_empty();
    let short = line.chars().count() <= PLAIN_TITLE_CHARS_MAX
        && !line.ends_with(['.', ':', ',', ';', '!', '?'])
        && !line.starts_with(['-', '>', '|', '`'])
        && !line.starts_with(|letter: char| letter.is_ascii_digit());
    if !(heading || labelled || (alone && short)) {
        return None;
    }
    let text = if labelled { label.get(6..).unwrap_or_default() } else { line.trim_start_matches('#') };
    let title = plain(text);
    (!title.is_empty()).then_some(title)
}

/// A line without Markdown's signs and citation marks.
fn plain(text: &str) -> String {
    let text = without_marks(text).replace(['*', '`'], "");
    let text: String = text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
    text.trim_matches(|letter: char| letter.is_whitespace() || matches!(letter, '_' | '#' | '"' | '“' | '”')).to_owned()
}

/// The beginning of the brief's first line, cut at a word.
fn brief_title(brief: &str) -> String {
    let line = plain(brief.trim().lines().next().unwrap_or_default());
    let title = shortened(line.trim_end_matches(['.', ':', ',', ';']), BRIEF_TITLE_CHARS_MAX);
    if title.is_empty() { "Untitled draft".to_owned() } else { title }
}

fn shortened(text: &str, characters_max: usize) -> String {
    if text.chars().count() <= characters_max {
        return text.to_owned();
    }
    let cut: String = text.chars().take(characters_max - 1).collect();
    let words = cut.rsplit_once(char::is_whitespace).map_or(cut.as_str(), |(words, _)| words);
    format!("{}…", words.trim_end())
}

/// The citations of the body, with the words of their sources. Those in the title go.
pub(crate) fn body_citations(draft: &DraftText, citations: &[AskCitation], passages: &[AskPassage]) -> Vec<Citation> {
    let length = draft.body.chars().count();
    citations
        .iter()
        .filter_map(|citation| {
            let passage = passages.iter().find(|passage| passage.number == citation.number)?;
            let body_start = citation.answer_start.checked_sub(draft.offset)?;
            let body_end = citation.answer_end.checked_sub(draft.offset).filter(|end| *end <= length)?;
            Some(Citation {
                number: u32::try_from(citation.number).ok()?,
                passage_id: citation.passage_id,
                document_id: citation.document_id,
                collection_id: passage.collection_id,
                title: passage.title.clone(),
                quote: passage.text.chars().take(citation.end).skip(citation.start).collect(),
                start: u32::try_from(citation.start).ok()?,
                end: u32::try_from(citation.end).ok()?,
                body_start: u32::try_from(body_start).ok()?,
                body_end: u32::try_from(body_end).ok()?,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BRIEF: &str = "Write a short note about backups, for customers.";

    fn parts(answer: &str) -> (String, String) {
        let draft = split(answer, None, BRIEF);
        let from: String = answer.chars().skip(draft.offset).collect();
        assert!(from.starts_with(&draft.body), "the offset points at the body");
        (draft.title, draft.body)
    }

    #[test]
    fn the_first_heading_is_the_title() {
        for answer in [
            "# Backups you can trust\n\nBody [1].\n",
            "\n\n## **Backups** you can trust [1]\nBody [1].",
            "Title: Backups you can trust\n\nBody [1].",
            "**Title: Backups you can trust**\n\nBody [1].",
            "Backups you can trust\n\nBody [1].",
            "**Backups you can trust**\n\nBody [1].",
            "# \"Backups you can trust\"\r\n\r\nBody [1].",
        ] {
            assert_eq!(parts(answer), ("Backups you can trust".to_owned(), "Body [1].".to_owned()), "{answer:?}");
        }
    }

    #[test]
    fn without_a_title_the_brief_gives_one_and_nothing_is_lost() {
        let title = "Write a short note about backups, for customers";
        for answer in [
            "We keep copies for 30 days. They are encrypted.\n\nMore.",
            "- a list\n- goes on",
            "Here is the note:\n\nCopies.",
            "One line that goes on\nover two lines.",
            "#\n\nBody",
        ] {
            assert_eq!(parts(answer), (title.to_owned(), answer.to_owned()), "{answer:?}");
        }
        assert_eq!(split("# 🎉 Größe\n\nText 🎉", None, BRIEF).offset, 11);
    }

    #[test]
    fn a_given_title_wins_and_long_ones_are_cut() {
        let draft = split("# The model's title\n\nBody", Some("Mine".to_owned()), BRIEF);
        assert_eq!((draft.title.as_str(), draft.body.as_str()), ("Mine", "Body"));
        let draft = split(&format!("# {}\n\nBody", "word ".repeat(200)), None, BRIEF);
        assert!(draft.title.chars().count() <= TITLE_CHARS_MAX && draft.title.ends_with("word…"));
        let draft = split("Text goes on. And on.", None, &"brief ".repeat(100));
        assert!(draft.title.chars().count() <= BRIEF_TITLE_CHARS_MAX && draft.title.ends_with("brief…"));
        assert_eq!(split("", None, "***").title, "Untitled draft");
        assert_eq!(split("# Only a title", None, BRIEF).body, "");
    }
}
