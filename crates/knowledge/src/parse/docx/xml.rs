use std::io::{BufReader, Read};

use quick_xml::{
    Reader,
    escape::resolve_predefined_entity,
    events::{BytesStart, Event},
};

use super::super::{Format, ParseError};

/// One step through an XML document. Names are without their namespace prefix.
pub(super) enum Node<'a> {
    /// An element begins.
    Start(&'a str, &'a BytesStart<'a>),
    /// An element ends; empty elements end right after they begin.
    End(&'a str),
    /// Character data, with references resolved; long runs arrive in pieces.
    Text(&'a str),
}

/// Walks through XML as it is unpacked. Document type declarations are refused, so there are no entities to expand.
pub(super) fn walk(
    source: &mut dyn Read,
    depth_max: usize,
    visit: &mut dyn FnMut(Node<'_>) -> Result<(), ParseError>,
) -> Result<(), ParseError> {
    let mut reader = Reader::from_reader(BufReader::new(source));
    reader.config_mut().expand_empty_elements = true;
    let mut buffer = Vec::new();
    let mut depth = 0_usize;
    loop {
        let event = reader.read_event_into(&mut buffer).map_err(|error| damaged(&error.to_string()))?;
        match event {
            Event::Start(element) => {
                depth += 1;
                if depth > depth_max {
                    return Err(ParseError::TooLarge { what: "nested elements", limit: depth_max as u64 });
                }
                visit(Node::Start(element.local_name().into_inner(), &element))?;
            }
            Event::End(element) => {
                depth = depth.saturating_sub(1);
                visit(Node::End(element.local_name().into_inner()))?;
            }
            Event::Text(text) => visit(Node::Text(&text.xml10_content()))?,
            Event::CData(text) => visit(Node::Text(&text.xml10_content()))?,
            Event::GeneralRef(reference) => {
                let character = reference.resolve_char_ref().map_err(|error| damaged(&error.to_string()))?;
                let name = reference.xml10_content();
                match (character, resolve_predefined_entity(&name)) {
                    (Some(character), _) => visit(Node::Text(character.encode_utf8(&mut [0; 4])))?,
                    (None, Some(text)) => visit(Node::Text(text))?,
                    (None, None) => return Err(damaged("an unknown entity is used")),
                }
            }
            Event::DocType(_) => return Err(damaged("a document type declaration is not allowed")),
            Event::Eof if depth > 0 => return Err(damaged("the XML ends inside an element")),
            Event::Eof => return Ok(()),
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::Empty(_) => {}
        }
        buffer.clear();
    }
}

/// The value of an attribute, by its name without prefix.
pub(super) fn attribute(element: &BytesStart<'_>, name: &str) -> Option<String> {
    let mut attributes = element.attributes();
    let attribute =
        attributes.with_checks(false).flatten().find(|attribute| attribute.key.local_name().into_inner() == name)?;
    quick_xml::escape::unescape(&attribute.value).ok().map(std::borrow::Cow::into_owned)
}

/// Whether a switch such as `<w:vanish/>` or `<w:vanish w:val="0"/>` is on.
pub(super) fn is_on(element: &BytesStart<'_>) -> bool {
    !matches!(attribute(element, "val").as_deref(), Some("0" | "false" | "off" | "none"))
}

fn damaged(detail: &str) -> ParseError {
    ParseError::damaged(Format::Docx, detail)
}
