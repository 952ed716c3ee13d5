#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod csv;
mod detect;
mod docx;
mod hostile;
mod html;
mod markdown;
mod pdf;
mod text;

use std::path::PathBuf;

use super::{Block, BlockKind, Format, Limits, ParseError, Parsed, parse};

/// A file of `tests/fixtures`.
fn fixture(name: &str) -> Vec<u8> {
    let path = PathBuf::from("tests/fixtures").join(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Reads a document that must be readable, and checks what holds for every document.
fn read(format: Format, bytes: impl AsRef<[u8]>) -> Parsed {
    let parsed = parse(format, bytes.as_ref(), &Limits::default()).unwrap();
    check(&parsed);
    parsed
}

fn error(format: Format, bytes: impl AsRef<[u8]>) -> ParseError {
    parse(format, bytes.as_ref(), &Limits::default()).unwrap_err()
}

/// The promises of [`Parsed`] and [`Block`].
fn check(parsed: &Parsed) {
    let mut end = 0;
    for Block { range, .. } in &parsed.blocks {
        assert!(
            parsed.text[end..range.start].chars().all(|c| c == '\n'),
            "text outside of blocks: {:?}",
            &parsed.text[end..range.start]
        );
        assert!(!parsed.text[range.clone()].trim().is_empty());
        assert_eq!(parsed.text[range.clone()].trim_end().len(), range.len());
        end = range.end;
    }
    assert_eq!(end, parsed.text.len());
    assert!(parsed.text.chars().all(|c| !c.is_control() || c == '\n' || c == '\t'));
    assert!(parsed.title.as_ref().is_none_or(|title| !title.trim().is_empty() && !title.contains('\n')));
}

/// The blocks as short kinds with their text.
fn blocks(parsed: &Parsed) -> Vec<(&'static str, &str)> {
    let name = |kind| match kind {
        BlockKind::Heading { level: 1 } => "h1",
        BlockKind::Heading { level: 2 } => "h2",
        BlockKind::Heading { level: 3 } => "h3",
        BlockKind::Heading { .. } => "h4+",
        BlockKind::Paragraph => "p",
        BlockKind::ListItem => "li",
        BlockKind::Code => "code",
        BlockKind::TableRow => "row",
    };
    parsed.blocks.iter().map(|block| (name(block.kind), &parsed.text[block.range.clone()])).collect()
}
