use std::{collections::HashMap, io::Read};

use super::super::ParseError;
use super::xml::{Node, attribute, walk};

/// A document defines a few hundred styles and lists; more than this are ignored.
const DEFINITIONS_MAX: usize = 10_000;
/// Styles build on one another at most this deep; it ends circles.
const BASED_ON_MAX: usize = 16;

/// What a paragraph's style says about its role.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Title,
    /// 1 to 6.
    Heading(u8),
    /// An entry of a generated table of contents.
    Contents,
    Body,
}

/// A place in a numbered or bulleted list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ListPlace {
    /// Which list; "0" takes a paragraph out of its style's list.
    pub(super) list: Option<String>,
    /// How deep, from 0.
    pub(super) level: u8,
}

#[derive(Default)]
struct Style {
    /// Built-in styles keep their English name in every language of Word.
    name: String,
    based_on: Option<String>,
    /// 0 to 8 for headings, 9 for body text.
    outline_level: Option<u8>,
    place: ListPlace,
}

/// The styles of a document by id.
#[derive(Default)]
pub(super) struct Styles(HashMap<String, Style>);

impl Styles {
    pub(super) fn read(source: &mut dyn Read, depth_max: usize) -> Result<Self, ParseError> {
        let mut styles = HashMap::new();
        let mut open: Option<(String, Style)> = None;
        walk(source, depth_max, &mut |node| {
            match (node, &mut open) {
                (Node::Start("style", element), _) => {
                    open = attribute(element, "styleId").map(|id| (id, Style::default()));
                }
                (Node::Start("name", element), Some((_, style))) => {
                    style.name = attribute(element, "val").unwrap_or_default().to_lowercase();
                }
                (Node::Start("basedOn", element), Some((_, style))) => style.based_on = attribute(element, "val"),
                (Node::Start("outlineLvl", element), Some((_, style))) => {
                    style.outline_level = number(attribute(element, "val"))
                }
                (Node::Start("numId", element), Some((_, style))) => style.place.list = attribute(element, "val"),
                (Node::Start("ilvl", element), Some((_, style))) => {
                    style.place.level = number(attribute(element, "val")).unwrap_or(0)
                }
                (Node::End("style"), _) => {
                    if let Some((id, style)) = open.take().filter(|_| styles.len() < DEFINITIONS_MAX) {
                        styles.insert(id, style);
                    }
                }
                _ => {}
            }
            Ok(())
        })?;
        Ok(Self(styles))
    }

    /// A style and those it builds on, nearest first.
    fn chain<'a>(&'a self, id: &'a str) -> impl Iterator<Item = &'a Style> {
        std::iter::successors(self.0.get(id), |style| self.0.get(style.based_on.as_deref()?)).take(BASED_ON_MAX)
    }

    pub(super) fn role(&self, id: &str) -> Role {
        for style in self.chain(id) {
            let heading = style.name.strip_prefix("heading ").and_then(|level| level.parse::<u8>().ok());
            if let Some(level) = heading.filter(|level| *level > 0) {
                return Role::Heading(level.min(6));
            }
            match style.outline_level {
                Some(level @ 0..=8) => return Role::Heading((level + 1).min(6)),
                Some(_) => return Role::Body,
                None => {}
            }
            if style.name == "title" {
                return Role::Title;
            }
            if style.name.starts_with("toc ") {
                return Role::Contents;
            }
        }
        Role::Body
    }

    /// The list that a style puts its paragraphs into.
    pub(super) fn place(&self, id: &str) -> Option<ListPlace> {
        self.chain(id).map(|style| &style.place).find(|place| place.list.is_some()).cloned()
    }
}

#[derive(Clone, Copy)]
enum NumberFormat {
    Bullet,
    None,
    Letter { upper: bool },
    Decimal,
}

/// The lists of a document and how far each has been counted.
#[derive(Default)]
pub(super) struct Numbering {
    /// Format and first number for a definition and a level.
    levels: HashMap<(String, u8), (NumberFormat, u64)>,
    /// The definition that each list follows.
    definitions: HashMap<String, String>,
    /// The last number for a list and a level.
    counters: HashMap<(String, u8), u64>,
}

impl Numbering {
    pub(super) fn read(source: &mut dyn Read, depth_max: usize) -> Result<Self, ParseError> {
        let mut numbering = Self::default();
        let mut definition = String::new();
        let mut list = String::new();
        let mut level = 0;
        walk(source, depth_max, &mut |node| {
            let Node::Start(name, element) = node else { return Ok(()) };
            if numbering.levels.len() + numbering.definitions.len() >= DEFINITIONS_MAX {
                return Ok(());
            }
            match name {
                "abstractNum" => definition = attribute(element, "abstractNumId").unwrap_or_default(),
                "lvl" => {
                    level = number(attribute(element, "ilvl")).unwrap_or(0);
                    numbering.levels.insert((definition.clone(), level), (NumberFormat::Decimal, 1));
                }
                "numFmt" => {
                    let format = match attribute(element, "val").as_deref() {
                        Some("bullet") => NumberFormat::Bullet,
                        Some("none") => NumberFormat::None,
                        Some("lowerLetter") => NumberFormat::Letter { upper: false },
                        Some("upperLetter") => NumberFormat::Letter { upper: true },
                        _ => NumberFormat::Decimal,
                    };
                    if let Some(entry) = numbering.levels.get_mut(&(definition.clone(), level)) {
                        entry.0 = format;
                    }
                }
                "start" => {
                    let first = attribute(element, "val").and_then(|first| first.parse().ok()).unwrap_or(1);
                    if let Some(entry) = numbering.levels.get_mut(&(definition.clone(), level)) {
                        entry.1 = first;
                    }
                }
                "num" => {
                    list = attribute(element, "numId").unwrap_or_default();
                    definition.clear();
                }
                "abstractNumId" => {
                    numbering.definitions.insert(list.clone(), attribute(element, "val").unwrap_or_default());
                }
                _ => {}
            }
            Ok(())
        })?;
        Ok(numbering)
    }

    /// The marker of the next item at a place, such as `- ` or `3. `.
    pub(super) fn next_marker(&mut self, list: &str, level: u8) -> String {
        let Some(definition) = self.definitions.get(list) else { return "- ".to_owned() };
        let (format, first) =
            self.levels.get(&(definition.clone(), level)).copied().unwrap_or((NumberFormat::Bullet, 1));
        let counter = self.counters.entry((list.to_owned(), level)).or_insert(first.saturating_sub(1));
        *counter = counter.saturating_add(1);
        let count = *counter;
        for deeper in level.saturating_add(1)..=9 {
            self.counters.remove(&(list.to_owned(), deeper));
        }
        match format {
            NumberFormat::Bullet => "- ".to_owned(),
            NumberFormat::None => String::new(),
            NumberFormat::Decimal => format!("{count}. "),
            NumberFormat::Letter { upper } => {
                let letter = u8::try_from(count.saturating_sub(1) % 26).map_or('a', |offset| char::from(b'a' + offset));
                let letter = if upper { letter.to_ascii_uppercase() } else { letter };
                format!("{letter}. ")
            }
        }
    }
}

pub(super) fn number(value: Option<String>) -> Option<u8> {
    value?.parse().ok()
}
