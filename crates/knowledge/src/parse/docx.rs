mod body;
mod styles;
mod xml;

use std::collections::HashMap;

use super::{BlockKind, Format, Limits, ParseError, Parsed, archive::Archive, builder::TextBuilder};
use body::{Body, NoteKind, read_notes};
use styles::{Numbering, Styles};
use xml::{Node, attribute, walk};

/// Where the main part is in every archive that Word writes.
const MAIN_PART: &str = "word/document.xml";

/// A Word document: headings, paragraphs, lists, tables and notes, in reading order. Headers, footers, comments, deleted
/// text, hidden text and generated tables of contents are left out.
pub(super) fn parse(bytes: &[u8], limits: &Limits) -> Result<Parsed, ParseError> {
    let mut archive = Archive::open(bytes, limits)?;
    let depth_max = limits.xml_depth_max;
    let main_part = archive
        .read("_rels/.rels", |source| main_part(source, depth_max))?
        .flatten()
        .unwrap_or_else(|| MAIN_PART.to_owned());
    let folder = main_part.rsplit_once('/').map_or("word", |(folder, _)| folder).to_owned();
    let styles =
        archive.read(&format!("{folder}/styles.xml"), |source| Styles::read(source, depth_max))?.unwrap_or_default();
    let mut numbering = archive
        .read(&format!("{folder}/numbering.xml"), |source| Numbering::read(source, depth_max))?
        .unwrap_or_default();
    let stated_title = archive.read("docProps/core.xml", |source| title(source, depth_max))?.flatten();

    let mut builder = TextBuilder::new(limits);
    let mut body = Body::new(&styles, &mut numbering, &mut builder);
    let read = archive.read(&main_part, |source| walk(source, depth_max, &mut |node| body.node(node)))?;
    if read.is_none() {
        return Err(ParseError::damaged(Format::Docx, format!("the archive has no {main_part}")));
    }
    let (title_paragraph, references) = (body.title, body.notes);
    push_notes(&mut archive, &folder, &references, &mut builder, depth_max)?;
    let first_heading = builder.first_text(|kind| kind == BlockKind::Heading { level: 1 }).map(str::to_owned);
    Ok(builder.finish(stated_title.or(title_paragraph).or(first_heading)))
}

/// The main part's name as the archive's own relations state it.
fn main_part(source: &mut dyn std::io::Read, depth_max: usize) -> Result<Option<String>, ParseError> {
    let mut target = None;
    walk(source, depth_max, &mut |node| {
        if let Node::Start("Relationship", element) = node
            && attribute(element, "Type").is_some_and(|kind| kind.ends_with("/officeDocument"))
        {
            target = attribute(element, "Target").map(|target| target.trim_start_matches('/').to_owned());
        }
        Ok(())
    })?;
    Ok(target)
}

/// The title in the document's properties.
fn title(source: &mut dyn std::io::Read, depth_max: usize) -> Result<Option<String>, ParseError> {
    let mut title = String::new();
    let mut in_title = false;
    walk(source, depth_max, &mut |node| {
        match node {
            Node::Start(name, _) => in_title = name == "title",
            Node::End(_) => in_title = false,
            Node::Text(text) if in_title => title.push_str(text),
            Node::Text(_) => {}
        }
        Ok(())
    })?;
    Ok((!title.trim().is_empty()).then_some(title))
}

/// Notes stand at the end, each with the number that the text refers to it by.
fn push_notes(
    archive: &mut Archive<'_>,
    folder: &str,
    references: &[(NoteKind, String)],
    builder: &mut TextBuilder<'_>,
    depth_max: usize,
) -> Result<(), ParseError> {
    if references.is_empty() {
        return Ok(());
    }
    let mut read = |name: &str| -> Result<HashMap<String, String>, ParseError> {
        Ok(archive.read(&format!("{folder}/{name}.xml"), |source| read_notes(source, depth_max))?.unwrap_or_default())
    };
    let footnotes = read("footnotes")?;
    let endnotes = read("endnotes")?;
    for (index, (kind, id)) in references.iter().enumerate() {
        let notes = if *kind == NoteKind::Footnote { &footnotes } else { &endnotes };
        if let Some(text) = notes.get(id).filter(|text| !text.trim().is_empty()) {
            builder.push(BlockKind::Paragraph, &format!("[{}] {}", index + 1, text.trim()))?;
        }
    }
    Ok(())
}
