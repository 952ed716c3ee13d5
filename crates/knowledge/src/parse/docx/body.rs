use std::{collections::HashMap, io::Read};

use quick_xml::events::BytesStart;

use super::super::{BlockKind, ParseError, builder::TextBuilder};
use super::{
    styles::{ListPlace, Numbering, Role, Styles, number},
    xml::{Node, attribute, is_on, walk},
};

/// Footnotes and endnotes together; a book has a few thousand.
const NOTES_MAX: usize = 100_000;

/// Which of the two note parts a reference points into.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum NoteKind {
    Footnote,
    Endnote,
}

/// Reads the text of the main part into blocks.
pub(super) struct Body<'a, 'b> {
    styles: &'a Styles,
    numbering: &'a mut Numbering,
    builder: &'a mut TextBuilder<'b>,
    /// Open paragraphs: text boxes nest them.
    paragraphs: Vec<Paragraph>,
    /// The cells of open table rows: tables nest.
    rows: Vec<Vec<String>>,
    /// Depth inside an element whose content is left out; 0 outside.
    skipped: usize,
    in_text: bool,
    in_properties: bool,
    run_hidden: bool,
    /// The first paragraph in the style Title.
    pub(super) title: Option<String>,
    /// References to notes in the order of the text: the note `[n]` is at `n - 1`.
    pub(super) notes: Vec<(NoteKind, String)>,
}

#[derive(Default)]
struct Paragraph {
    text: String,
    style: Option<String>,
    outline_level: Option<u8>,
    place: ListPlace,
}

impl<'a, 'b> Body<'a, 'b> {
    pub(super) fn new(styles: &'a Styles, numbering: &'a mut Numbering, builder: &'a mut TextBuilder<'b>) -> Self {
        Self {
            styles,
            numbering,
            builder,
            paragraphs: Vec::new(),
            rows: Vec::new(),
            skipped: 0,
            in_text: false,
            in_properties: false,
            run_hidden: false,
            title: None,
            notes: Vec::new(),
        }
    }

    pub(super) fn node(&mut self, node: Node<'_>) -> Result<(), ParseError> {
        match node {
            Node::Start(..) if self.skipped > 0 => self.skipped += 1,
            Node::End(_) if self.skipped > 0 => self.skipped -= 1,
            Node::Text(_) if self.skipped > 0 => {}
            Node::Start(name, element) => self.start(name, element),
            Node::End(name) => self.end(name)?,
            Node::Text(text) => {
                if self.in_text && !self.run_hidden {
                    self.append(text);
                }
            }
        }
        Ok(())
    }

    fn append(&mut self, text: &str) {
        if let Some(paragraph) = self.paragraphs.last_mut() {
            paragraph.text.push_str(text);
        }
    }

    fn start(&mut self, name: &str, element: &BytesStart<'_>) {
        match name {
            // Deleted and moved text, field codes, former properties, and the old-Word copy of a text box.
            "del" | "moveFrom" | "instrText" | "pPrChange" | "rPrChange" | "sectPrChange" | "tblPrChange"
            | "Fallback" | "fldData" => self.skipped = 1,
            "p" => self.paragraphs.push(Paragraph::default()),
            "pPr" => self.in_properties = true,
            "r" => self.run_hidden = false,
            "vanish" if !self.in_properties => self.run_hidden = is_on(element),
            "t" => self.in_text = true,
            "tab" | "ptab" if !self.in_properties => self.append("\t"),
            "br" | "cr" => self.append("\n"),
            "noBreakHyphen" => self.append("-"),
            "footnoteReference" => self.reference(NoteKind::Footnote, element),
            "endnoteReference" => self.reference(NoteKind::Endnote, element),
            "tr" => self.rows.push(Vec::new()),
            "tc" => {
                if let Some(row) = self.rows.last_mut() {
                    row.push(String::new());
                }
            }
            _ if self.in_properties => self.property(name, element),
            _ => {}
        }
    }

    fn property(&mut self, name: &str, element: &BytesStart<'_>) {
        let Some(paragraph) = self.paragraphs.last_mut() else { return };
        match name {
            "pStyle" => paragraph.style = attribute(element, "val"),
            "outlineLvl" => paragraph.outline_level = number(attribute(element, "val")),
            "numId" => paragraph.place.list = attribute(element, "val"),
            "ilvl" => paragraph.place.level = number(attribute(element, "val")).unwrap_or(0),
            _ => {}
        }
    }

    fn reference(&mut self, kind: NoteKind, element: &BytesStart<'_>) {
        let Some(id) = attribute(element, "id").filter(|_| self.notes.len() < NOTES_MAX) else { return };
        self.notes.push((kind, id));
        self.append(&format!("[{}]", self.notes.len()));
    }

    fn end(&mut self, name: &str) -> Result<(), ParseError> {
        match name {
            "p" => {
                if let Some(paragraph) = self.paragraphs.pop() {
                    self.finish_paragraph(paragraph)?;
                }
            }
            "pPr" => self.in_properties = false,
            "t" => self.in_text = false,
            "tr" => {
                let text = self.rows.pop().unwrap_or_default().join(" | ");
                if text.trim_matches([' ', '|']).is_empty() {
                    return Ok(());
                }
                match self.rows.last_mut().and_then(|row| row.last_mut()) {
                    Some(cell) => append_line(cell, &text),
                    None => self.builder.push(BlockKind::TableRow, &text)?,
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn finish_paragraph(&mut self, paragraph: Paragraph) -> Result<(), ParseError> {
        let text = paragraph.text.trim();
        if text.is_empty() {
            return Ok(());
        }
        if let Some(cell) = self.rows.last_mut().and_then(|row| row.last_mut()) {
            append_line(cell, text);
            return Ok(());
        }
        let style = paragraph.style.as_deref().unwrap_or_default();
        let role = match paragraph.outline_level {
            Some(level @ 0..=8) => Role::Heading((level + 1).min(6)),
            _ => self.styles.role(style),
        };
        match role {
            Role::Contents => Ok(()),
            Role::Title => {
                self.title.get_or_insert_with(|| text.to_owned());
                self.builder.push(BlockKind::Heading { level: 1 }, text)
            }
            Role::Heading(level) => self.builder.push(BlockKind::Heading { level }, text),
            Role::Body => {
                let place =
                    if paragraph.place.list.is_some() { Some(paragraph.place) } else { self.styles.place(style) };
                match place.as_ref().and_then(|place| Some((place.list.as_deref()?, place.level))) {
                    None | Some(("0", _)) => self.builder.push(BlockKind::Paragraph, text),
                    Some((list, level)) => {
                        let marker = self.numbering.next_marker(list, level);
                        self.builder.push(BlockKind::ListItem, &(marker + text))
                    }
                }
            }
        }
    }
}

/// Adds a paragraph to a cell, which stays on one line.
fn append_line(cell: &mut String, text: &str) {
    for word in text.split_whitespace() {
        if !cell.is_empty() {
            cell.push(' ');
        }
        cell.push_str(word);
    }
}

/// The text of footnotes or endnotes by id.
pub(super) fn read_notes(source: &mut dyn Read, depth_max: usize) -> Result<HashMap<String, String>, ParseError> {
    let mut notes = HashMap::new();
    let mut open: Option<(String, String)> = None;
    let mut in_text = false;
    walk(source, depth_max, &mut |node| {
        match (node, &mut open) {
            (Node::Start("footnote" | "endnote", element), _) => {
                // Separator lines are notes with a type.
                let is_note = attribute(element, "type").is_none_or(|kind| kind == "normal");
                open = attribute(element, "id")
                    .filter(|_| is_note && notes.len() < NOTES_MAX)
                    .map(|id| (id, String::new()));
            }
            (Node::End("footnote" | "endnote"), _) => {
                if let Some((id, text)) = open.take() {
                    notes.insert(id, text);
                }
            }
            (Node::Start("t", _), _) => in_text = true,
            (Node::End("t"), _) => in_text = false,
            (Node::End("p"), Some((_, text))) => text.push(' '),
            (Node::Text(piece), Some((_, text))) if in_text => text.push_str(piece),
            _ => {}
        }
        Ok(())
    })?;
    Ok(notes)
}
