//! What a caller may bring, in one place.

use plasma_kernel::{Error, Result};

use crate::Text;

/// Characters of a title.
pub const TITLE_CHARS_MAX: usize = 300;
/// Bytes of a body: 1 MiB, a book.
pub const BODY_BYTES_MAX: usize = 1024 * 1024;
/// Characters of a brief.
pub const BRIEF_CHARS_MAX: usize = 8_000;
/// Characters of a revision's note.
pub const NOTE_CHARS_MAX: usize = 500;
/// Revisions of a document. At an edit a minute this is a month without sleep.
pub const REVISIONS_MAX: u32 = 50_000;
/// Lines of a difference: more is another document, not a change.
pub const DIFF_LINES_MAX: usize = 20_000;

/// A text in the form in which it is kept: no white space around the title, line breaks as `\n`.
///
/// # Errors
/// `invalid` or `too_large`, naming the field.
pub(crate) fn check_text(text: Text) -> Result<Text> {
    let title = check_title(&text.title)?;
    if text.body.len() > BODY_BYTES_MAX {
        let message = format!("has {} bytes, the limit is {BODY_BYTES_MAX}", text.body.len());
        return Err(Error::too_large("body", message).remedy("divide the document"));
    }
    refuse_nul("body", &text.body)?;
    Ok(Text { title, body: text.body.replace("\r\n", "\n") })
}

/// A title without white space around it.
///
/// # Errors
/// `invalid` or `too_large`, naming `title`.
pub(crate) fn check_title(title: &str) -> Result<String> {
    let title = line("title", title, TITLE_CHARS_MAX)?;
    if title.is_empty() {
        return Err(Error::invalid("title", "is empty").remedy("give the document a title"));
    }
    Ok(title)
}

/// What to write.
///
/// # Errors
/// `invalid` or `too_large`, naming `brief`.
pub(crate) fn check_brief(brief: &str) -> Result<String> {
    let brief = brief.trim();
    if brief.is_empty() {
        return Err(Error::invalid("brief", "is empty").remedy("say what to write, for whom and how long"));
    }
    check_length("brief", brief, BRIEF_CHARS_MAX)?;
    refuse_nul("brief", brief)?;
    Ok(brief.to_owned())
}

/// A note; an empty one is none.
///
/// # Errors
/// `invalid` or `too_large`, naming `note`.
pub(crate) fn check_note(note: Option<String>) -> Result<Option<String>> {
    let note = note.map(|note| line("note", &note, NOTE_CHARS_MAX)).transpose()?;
    Ok(note.filter(|note| !note.is_empty()))
}

fn line(field: &str, text: &str, characters_max: usize) -> Result<String> {
    let text = text.trim();
    check_length(field, text, characters_max)?;
    if text.chars().any(char::is_control) {
        return Err(Error::invalid(field, "contains a line break or another control character"));
    }
    Ok(text.to_owned())
}

fn check_length(field: &str, text: &str, characters_max: usize) -> Result<()> {
    let characters = text.chars().count();
    if characters > characters_max {
        return Err(Error::too_large(field, format!("has {characters} characters, the limit is {characters_max}")));
    }
    Ok(())
}

/// Postgres cannot keep it, and no text needs it.
fn refuse_nul(field: &str, text: &str) -> Result<()> {
    match text.find('\0') {
        Some(position) => Err(Error::invalid(field, format!("contains a NUL character at byte {position}"))),
        None => Ok(()),
    }
}
