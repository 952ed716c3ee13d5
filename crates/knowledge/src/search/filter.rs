//! Conditions on documents: what a filter means. `parse` reads it, `columns` and `select` evaluate it over a whole view.

pub(crate) mod columns;
mod geo;
mod parse;
pub(crate) mod select;
#[cfg(test)]
mod tests;
mod view;

use std::ops::Bound;

use plasma_kernel::{KnowledgeDocumentId, Timestamp};

use crate::{Access, GeoPoint, Metadata, MetadataValue, metadata::Scalar};
use geo::{Circle, Rectangle};

/// Conditions on documents; the empty one lets everything through.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Filter {
    root: Node,
    key: FilterKey,
}

/// A hash of a filter's text: what is known about a filter is remembered under it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct FilterKey([u8; 32]);

impl Default for Filter {
    fn default() -> Self {
        Self { root: Node::All(Vec::new()), key: FilterKey::default() }
    }
}

#[derive(Clone, Debug, PartialEq)]
enum Node {
    All(Vec<Node>),
    Any(Vec<Node>),
    Not(Box<Node>),
    Test(Field, Test),
}

/// What of a document is tested.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Field {
    Metadata(String),
    Title,
    CreatedAt,
    UpdatedAt,
    DocumentId,
}

/// What a field must be. A list fits when one of its entries does.
#[derive(Clone, Debug, PartialEq)]
enum Test {
    Exists(bool),
    /// Equal to one of these.
    AnyOf(Vec<Operand>),
    /// Each of these is there.
    AllOf(Vec<Operand>),
    Numbers(Span<f64>),
    Times(Span<Timestamp>),
    Prefix(String),
    Near(Circle),
    Within(Rectangle),
}

/// A value that a document's values are compared with.
#[derive(Clone, Debug, PartialEq)]
enum Operand {
    /// A text that reads as a time also equals that time.
    Text(String, Option<Timestamp>),
    Integer(i64),
    Float(f64),
    Bool(bool),
    Time(Timestamp),
    Geo(GeoPoint),
    Document(KnowledgeDocumentId),
}

/// From one bound to another.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Span<T> {
    from: Bound<T>,
    to: Bound<T>,
}

impl<T: PartialOrd> Span<T> {
    fn is_before(&self, value: &T) -> bool {
        match &self.from {
            Bound::Included(from) => value < from,
            Bound::Excluded(from) => value <= from,
            Bound::Unbounded => false,
        }
    }

    fn is_after(&self, value: &T) -> bool {
        match &self.to {
            Bound::Included(to) => value > to,
            Bound::Excluded(to) => value >= to,
            Bound::Unbounded => false,
        }
    }

    fn contains(&self, value: &T) -> bool {
        !self.is_before(value) && !self.is_after(value)
    }
}

/// A document as filters see it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DocumentFields<'a> {
    pub(crate) id: KnowledgeDocumentId,
    pub(crate) title: &'a str,
    pub(crate) metadata: &'a Metadata,
    pub(crate) created_at: Timestamp,
    pub(crate) updated_at: Timestamp,
    /// `None`: everybody may see it.
    pub(crate) access: Option<&'a Access>,
    /// Searchable passages.
    pub(crate) passages: u64,
}

/// The documents of one view, in the order of their places.
pub(crate) trait Documents {
    /// How many there are.
    fn count(&self) -> usize;
    /// The one at this place.
    fn fields(&self, place: usize) -> Option<DocumentFields<'_>>;
    /// Where a document is.
    fn place_of(&self, id: KnowledgeDocumentId) -> Option<usize>;
}

impl Filter {
    /// Whether it lets everything through.
    pub(crate) fn is_empty(&self) -> bool {
        matches!(&self.root, Node::All(nodes) if nodes.is_empty())
    }

    /// Whether the document fits.
    pub(crate) fn accepts(&self, document: &DocumentFields<'_>) -> bool {
        self.root.accepts(document)
    }

    /// Names of metadata that it tests for more than their presence, each once.
    fn names(&self) -> Vec<&str> {
        let mut names = Vec::new();
        self.root.note_names(&mut names);
        names.sort_unstable();
        names.dedup();
        names
    }
}

impl Node {
    fn accepts(&self, document: &DocumentFields<'_>) -> bool {
        match self {
            Self::All(nodes) => nodes.iter().all(|node| node.accepts(document)),
            Self::Any(nodes) => nodes.iter().any(|node| node.accepts(document)),
            Self::Not(node) => !node.accepts(document),
            Self::Test(field, test) => test.accepts(field, document),
        }
    }

    fn note_names<'a>(&'a self, names: &mut Vec<&'a str>) {
        match self {
            Self::All(nodes) | Self::Any(nodes) => nodes.iter().for_each(|node| node.note_names(names)),
            Self::Not(node) => node.note_names(names),
            Self::Test(Field::Metadata(name), test) if !matches!(test, Test::Exists(_)) => names.push(name),
            Self::Test(..) => {}
        }
    }
}

impl Field {
    /// The field's values; `None` when the document has no such field.
    fn scalars<'a>(&self, document: &DocumentFields<'a>) -> Option<impl Iterator<Item = Scalar<'a>>> {
        let (own, value): (Option<Scalar<'a>>, Option<&'a MetadataValue>) = match self {
            Self::Metadata(name) => (None, Some(document.metadata.get(name)?)),
            Self::Title => (Some(Scalar::Text(document.title)), None),
            Self::CreatedAt => (Some(Scalar::Time(document.created_at)), None),
            Self::UpdatedAt => (Some(Scalar::Time(document.updated_at)), None),
            Self::DocumentId => (Some(Scalar::Document(document.id)), None),
        };
        Some(own.into_iter().chain(value.into_iter().flat_map(|value| value.scalars())))
    }
}

impl Test {
    fn accepts(&self, field: &Field, document: &DocumentFields<'_>) -> bool {
        let Some(mut scalars) = field.scalars(document) else { return matches!(self, Self::Exists(false)) };
        match self {
            Self::Exists(wanted) => *wanted,
            Self::AnyOf(operands) => scalars.any(|scalar| operands.iter().any(|operand| operand.equals(scalar))),
            Self::AllOf(operands) => {
                let all: Vec<Scalar<'_>> = scalars.collect();
                operands.iter().all(|operand| all.iter().any(|scalar| operand.equals(*scalar)))
            }
            Self::Numbers(span) => scalars.any(|scalar| number(scalar).is_some_and(|number| span.contains(&number))),
            Self::Times(span) => scalars.any(|scalar| matches!(scalar, Scalar::Time(time) if span.contains(&time))),
            Self::Prefix(prefix) => {
                scalars.any(|scalar| matches!(scalar, Scalar::Text(text) if text.starts_with(prefix.as_str())))
            }
            Self::Near(circle) => scalars.any(|scalar| matches!(scalar, Scalar::Geo(point) if circle.contains(point))),
            Self::Within(rectangle) => {
                scalars.any(|scalar| matches!(scalar, Scalar::Geo(point) if rectangle.contains(point)))
            }
        }
    }
}

#[allow(clippy::cast_precision_loss)] // beyond 2^53 neighbors are equal, as in every JSON program
fn as_float(number: i64) -> f64 {
    number as f64
}

fn number(scalar: Scalar<'_>) -> Option<f64> {
    match scalar {
        Scalar::Integer(number) => Some(as_float(number)),
        Scalar::Float(number) => Some(number),
        _ => None,
    }
}

impl Operand {
    /// Equality as filters mean it: of the same type, and `1` equals `1.0`.
    fn equals(&self, scalar: Scalar<'_>) -> bool {
        match (self, scalar) {
            (Self::Text(text, _), Scalar::Text(other)) => text == other,
            (Self::Text(_, Some(time)) | Self::Time(time), Scalar::Time(other)) => *time == other,
            (Self::Integer(number), Scalar::Integer(other)) => *number == other,
            (Self::Integer(number), Scalar::Float(other)) => as_float(*number) == other,
            (Self::Float(number), Scalar::Integer(other)) => *number == as_float(other),
            (Self::Float(number), Scalar::Float(other)) => *number == other,
            (Self::Bool(flag), Scalar::Bool(other)) => *flag == other,
            (Self::Geo(point), Scalar::Geo(other)) => *point == other,
            (Self::Document(id), Scalar::Document(other)) => *id == other,
            _ => false,
        }
    }
}
