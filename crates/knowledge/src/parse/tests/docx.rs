use std::io::{Cursor, Write};

use zip::{ZipWriter, write::SimpleFileOptions};

use super::super::{Format, Limits, ParseError, parse};
use super::{blocks, error, fixture, read};

/// A ZIP archive with these entries, compressed.
pub(super) fn archive(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in entries {
        writer.start_file(*name, SimpleFileOptions::default()).unwrap();
        writer.write_all(content).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

fn document(body: &str) -> Vec<u8> {
    archive(&[("word/document.xml", main_part(body).as_bytes())])
}

fn main_part(body: &str) -> String {
    format!(
        "<?xml version=\"1.0\"?><w:document xmlns:w=\"urn:w\" xmlns:mc=\"urn:mc\"><w:body>{body}</w:body></w:document>"
    )
}

fn paragraph(text: &str) -> String {
    format!("<w:p><w:r><w:t>{text}</w:t></w:r></w:p>")
}

#[test]
fn a_document_of_word_is_read() {
    let parsed = read(Format::Docx, fixture("sample.docx"));
    assert_eq!(parsed.title.as_deref(), Some("Harbour Rules"));
    assert_eq!(
        blocks(&parsed),
        [
            ("h1", "Harbour Rules"),
            ("h1", "Mooring"),
            (
                "p",
                "Vessels moor at the berth that the harbour office assigns. A berth is free for three hours; after that a fee of twelve crowns applies."
            ),
            ("li", "- Fenders on both sides."),
            ("li", "- Lines doubled in a storm."),
            ("h2", "Fees"),
            ("li", "1. Report to the office."),
            ("li", "2. Pay before departure."),
            ("row", "Vessel | Length | Fee"),
            ("row", "Dinghy | under 5 m | 2 crowns"),
            ("row", "Yacht | 5 to 12 m | 12 crowns"),
            ("row", "Trawler | over 12 m | 40 crowns"),
            ("h1", "Quiet hours"),
            ("p", "Engines rest between ten at night and six in the morning, except for the lifeboat & the pilot."),
        ]
    );
}

#[test]
fn headings_are_told_by_the_names_of_styles_in_any_language() {
    let styles = "<w:styles xmlns:w='urn:w'>
        <w:style w:styleId='berschrift2'><w:name w:val='heading 2'/></w:style>
        <w:style w:styleId='Kapitel'><w:name w:val='Kapitel'/><w:basedOn w:val='berschrift2'/></w:style>
        <w:style w:styleId='Gliederung'><w:name w:val='eigene'/><w:pPr><w:outlineLvl w:val='2'/></w:pPr></w:style>
        <w:style w:styleId='Verzeichnis1'><w:name w:val='toc 1'/></w:style>
        <w:style w:styleId='A'><w:name w:val='a'/><w:basedOn w:val='B'/></w:style>
        <w:style w:styleId='B'><w:name w:val='b'/><w:basedOn w:val='A'/></w:style></w:styles>";
    let styled = |style: &str, text: &str| {
        format!("<w:p><w:pPr><w:pStyle w:val='{style}'/></w:pPr><w:r><w:t>{text}</w:t></w:r></w:p>")
    };
    let body: String = [
        ("Verzeichnis1", "Eins ... 1"),
        ("berschrift2", "Eins"),
        ("Kapitel", "Zwei"),
        ("Gliederung", "Drei"),
        ("A", "Text"),
        ("fehlt", "Mehr"),
    ]
    .map(|(style, text)| styled(style, text))
    .concat();
    let file = archive(&[("word/styles.xml", styles.as_bytes()), ("word/document.xml", main_part(&body).as_bytes())]);
    assert_eq!(
        blocks(&read(Format::Docx, file)),
        [("h2", "Eins"), ("h2", "Zwei"), ("h3", "Drei"), ("p", "Text"), ("p", "Mehr")]
    );
}

#[test]
fn only_visible_text_is_read() {
    let body = "<w:p><w:r><w:t>kept</w:t><w:tab/><w:t>&lt;too&#33;&gt;</w:t><w:br/><w:t>line</w:t></w:r>
        <w:del><w:r><w:delText>deleted</w:delText></w:r></w:del><w:ins><w:r><w:t> inserted</w:t></w:r></w:ins>
        <w:r><w:rPr><w:vanish/></w:rPr><w:t>hidden</w:t></w:r><w:r><w:rPr><w:vanish w:val='0'/></w:rPr><w:t> shown</w:t></w:r>
        <w:r><w:instrText>PAGE</w:instrText></w:r></w:p>
        <w:p><w:r><mc:AlternateContent><mc:Choice><w:txbxContent><w:p><w:r><w:t>box</w:t></w:r></w:p></w:txbxContent></mc:Choice>
        <mc:Fallback><w:p><w:r><w:t>box again</w:t></w:r></w:p></mc:Fallback></mc:AlternateContent><w:t>around</w:t></w:r></w:p>";
    assert_eq!(
        blocks(&read(Format::Docx, document(body))),
        [("p", "kept\t<too!>\nline inserted shown"), ("p", "box"), ("p", "around")]
    );
}

#[test]
fn tables_in_tables_and_notes_are_read() {
    let cell = |content: &str| format!("<w:tc>{content}</w:tc>");
    let inner = format!("<w:tbl><w:tr>{}{}</w:tr></w:tbl>", cell(&paragraph("x")), cell(&paragraph("y")));
    let body = format!(
        "<w:tbl><w:tr>{}{}</w:tr></w:tbl><w:p><w:r><w:t>Claim</w:t><w:footnoteReference w:id='2'/></w:r></w:p>",
        cell(&(paragraph("a") + &paragraph("b"))),
        cell(&inner)
    );
    let notes = "<w:footnotes xmlns:w='urn:w'><w:footnote w:id='0' w:type='separator'><w:p/></w:footnote>
        <w:footnote w:id='2'><w:p><w:r><w:t>Proof.</w:t></w:r></w:p></w:footnote></w:footnotes>";
    let file = archive(&[("word/document.xml", main_part(&body).as_bytes()), ("word/footnotes.xml", notes.as_bytes())]);
    assert_eq!(blocks(&read(Format::Docx, file)), [("row", "a b | x | y"), ("p", "Claim[1]"), ("p", "[1] Proof.")]);
}

#[test]
fn a_main_part_with_another_name_is_found() {
    let relations =
        "<Relationships><Relationship Type='http://x/officeDocument' Target='/word/document2.xml'/></Relationships>";
    let file = archive(&[
        ("_rels/.rels", relations.as_bytes()),
        ("word/document2.xml", main_part(&paragraph("found")).as_bytes()),
    ]);
    assert_eq!(read(Format::Docx, file).text, "found");
}

#[test]
fn a_bomb_is_refused_before_it_takes_memory() {
    // 200 MB of spaces in 200 kB.
    let huge = main_part(&format!("<w:p>{}</w:p>", " ".repeat(200_000_000)));
    let mut bomb = archive(&[("word/document.xml", huge.as_bytes())]);
    assert!(bomb.len() < 1_000_000);
    let refused = error(Format::Docx, &bomb);
    assert_eq!(refused.reason(), "archive_bomb");
    assert!(refused.to_string().contains("word/document.xml is larger than 64 MiB"), "{refused}");
    // The same with a directory that lies about the size.
    let size = u32::try_from(huge.len()).unwrap().to_le_bytes();
    let places: Vec<usize> =
        bomb.windows(4).enumerate().filter(|(_, window)| *window == size).map(|(place, _)| place).collect();
    assert!(!places.is_empty());
    for place in places {
        bomb[place..place + 4].copy_from_slice(&1_000_u32.to_le_bytes());
    }
    let reason = error(Format::Docx, &bomb).reason();
    assert!(["archive_bomb", "document_damaged"].contains(&reason), "{reason}");
}

#[test]
fn limits_of_the_archive_hold() {
    let limits = Limits { archive_entry_bytes_max: 10_000, ..Limits::default() };
    let spread = document(&paragraph(&"word ".repeat(3_000)));
    assert_eq!(parse(Format::Docx, &spread, &limits).unwrap_err().reason(), "archive_bomb");
    let limits = Limits { archive_bytes_max: 10_000, ..Limits::default() };
    assert_eq!(parse(Format::Docx, &spread, &limits).unwrap_err().reason(), "archive_bomb");
    let limits = Limits { archive_entries_max: 2, ..Limits::default() };
    let main = main_part(&paragraph("a"));
    let file = archive(&[("word/document.xml", main.as_bytes()), ("a", b""), ("b", b"")]);
    assert_eq!(parse(Format::Docx, &file, &limits).unwrap_err().reason(), "archive_bomb");
    let limits = Limits { text_bytes_max: 1_000, ..Limits::default() };
    assert_eq!(parse(Format::Docx, &spread, &limits).unwrap_err().reason(), "document_too_large");
}

#[test]
fn archives_in_archives_are_never_opened() {
    let mut inner = archive(&[("zeros", &vec![0; 50_000_000])]);
    for _ in 0..3 {
        inner = archive(&[("again.zip", &inner), ("word/document.xml", b"never read")]);
    }
    let main = main_part(&paragraph("outside"));
    let entries: [(&str, &[u8]); 4] = [
        ("word/document.xml", main.as_bytes()),
        ("word/embeddings/inner.zip", &inner),
        ("word/embeddings/inner.docx", &inner),
        ("../../outside.xml", b"<x/>"),
    ];
    assert_eq!(read(Format::Docx, archive(&entries)).text, "outside");
}

#[test]
fn dangerous_xml_is_refused() {
    let deep = document(&format!("{}{}", "<w:p>".repeat(10_000), "</w:p>".repeat(10_000)));
    assert_eq!(error(Format::Docx, deep), ParseError::TooLarge { what: "nested elements", limit: 256 });
    let entities = "<!DOCTYPE x [<!ENTITY a SYSTEM 'file:///etc/passwd'>]><w:document xmlns:w='urn:w'><w:body><w:p><w:r><w:t>&a;</w:t></w:r></w:p></w:body></w:document>";
    let refused = error(Format::Docx, archive(&[("word/document.xml", entities.as_bytes())]));
    assert!(refused.to_string().contains("document type declaration"), "{refused}");
    assert_eq!(
        error(Format::Docx, document("<w:p><w:r><w:t>&unknown;</w:t></w:r></w:p>")).reason(),
        "document_damaged"
    );
}

#[test]
fn damage_is_told() {
    assert_eq!(error(Format::Docx, b"PK\x03\x04nothing").reason(), "document_damaged");
    assert_eq!(error(Format::Docx, archive(&[("other.xml", b"<a/>")])).reason(), "document_damaged");
    assert_eq!(error(Format::Docx, document("<w:p>")).reason(), "document_damaged");
    let half = fixture("sample.docx");
    assert_eq!(error(Format::Docx, &half[..half.len() / 2]).reason(), "document_damaged");
    assert_eq!(error(Format::Docx, document("<w:p/>")), ParseError::Empty);
    assert_eq!(
        error(Format::Docx, archive(&[("word/document.xml", b"<w:document>\xff\xfe</w:document>")])).reason(),
        "document_damaged"
    );
}
