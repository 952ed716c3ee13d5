mod cmap;
mod content;
mod file;
mod filters;
mod fonts;
mod lines;
mod paragraphs;
mod quiet;
mod scan;
mod simple_font;
mod syntax;

use std::panic::{AssertUnwindSafe, catch_unwind};

use pdf_extract::decode_text_string;

use super::{BlockKind, Limits, ParseError, Parsed, builder::TextBuilder};
use file::{File, damaged};
use fonts::Fonts;
use lines::Lines;
use quiet::Quiet;

/// A PDF: the text of its pages in paragraphs, with headings told by their type size.
///
/// Files that open without a password are read even if they are encrypted. A file with pages but without text is most
/// likely a scan and gives [`ParseError::NoText`].
pub(super) fn parse(bytes: &[u8], limits: &Limits) -> Result<Parsed, ParseError> {
    let _quiet = Quiet::begin();
    // The parts of the library that may panic are caught where they are called; this is for what nobody has thought of.
    catch_unwind(AssertUnwindSafe(|| read(bytes, limits))).unwrap_or_else(|_| {
        tracing::error!(size_bytes = bytes.len(), "reading a PDF panicked");
        Err(damaged("it could not be read"))
    })
}

fn read(bytes: &[u8], limits: &Limits) -> Result<Parsed, ParseError> {
    let file = File::open(bytes, limits)?;
    let pages = file.pages(limits.pages_max)?;
    let mut fonts = Fonts::default();
    let mut lines = Lines::new(limits);
    for (page, number) in pages.iter().zip(1_u32..) {
        lines.start_page(number);
        content::read_page(&file, &mut fonts, page, number as usize, &mut lines)?;
    }
    file.check_allowance()?;
    if lines.lines.is_empty() {
        return Err(ParseError::NoText { pages: pages.len() });
    }
    let mut builder = TextBuilder::new(limits);
    paragraphs::push_all(lines.lines, &mut builder)?;
    let title = stated_title(&file)
        .or_else(|| builder.first_text(|kind| kind == BlockKind::Heading { level: 1 }).map(str::to_owned));
    Ok(builder.finish(title))
}

/// The title in the properties, unless a program filled in something meaningless.
fn stated_title(file: &File<'_>) -> Option<String> {
    let title = decode_text_string(&file.stated_title()?).ok()?;
    let lower = title.trim().to_lowercase();
    let is_file_name = [".doc", ".docx", ".odt", ".rtf", ".dvi", ".tex", ".indd", ".ppt", ".pptx"]
        .iter()
        .any(|ending| lower.ends_with(ending));
    let meaningless = lower.chars().count() < 2
        || lower.starts_with("untitled")
        || lower.starts_with("microsoft word - ")
        || is_file_name;
    (!meaningless).then_some(title)
}
