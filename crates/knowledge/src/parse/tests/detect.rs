use super::super::{Format, ParseError, detect};
use super::fixture;

fn found(error: ParseError) -> String {
    assert_eq!(error.reason(), "document_type_unsupported");
    error.to_string()
}

#[test]
fn content_decides_before_the_name() {
    let pdf = fixture("sample.pdf");
    assert_eq!(detect(Some("notes.txt"), Some("text/plain"), &pdf), Ok(Format::Pdf));
    assert_eq!(detect(None, None, &pdf), Ok(Format::Pdf));
    let mut late_header = b"\n\n mail header\n".to_vec();
    late_header.extend(&pdf);
    assert_eq!(detect(None, None, &late_header), Ok(Format::Pdf));
    assert_eq!(detect(Some("report"), Some("application/octet-stream"), &fixture("sample.docx")), Ok(Format::Docx));
}

#[test]
fn the_name_decides_among_texts() {
    for (name, format) in [
        ("Guide.MD", Format::Markdown),
        ("a.b.markdown", Format::Markdown),
        ("notes.txt", Format::Text),
        ("page.HTM", Format::Html),
        ("folder\\table.csv", Format::Csv),
        ("table.tsv", Format::Tsv),
    ] {
        assert_eq!(detect(Some(name), Some("application/octet-stream"), b"# text"), Ok(format), "{name}");
    }
}

#[test]
fn the_declared_type_decides_without_a_name() {
    assert_eq!(detect(None, Some("text/markdown; charset=utf-8"), b"# a"), Ok(Format::Markdown));
    assert_eq!(detect(Some("README"), Some("text/html"), b"a"), Ok(Format::Html));
    assert_eq!(detect(Some("README"), None, b"plain words"), Ok(Format::Text));
    assert_eq!(detect(None, None, b"  <!DOCTYPE html><p>a"), Ok(Format::Html));
    assert_eq!(detect(None, Some("text/x-unknown"), "naïve".as_bytes()), Ok(Format::Text));
}

#[test]
fn wrong_types_are_named_with_what_is_supported() {
    let png = found(detect(Some("a.pdf"), None, b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR").unwrap_err());
    assert!(png.contains("a PNG image") && png.contains("Markdown, plain text, HTML, PDF, DOCX, CSV and TSV"), "{png}");
    assert!(found(detect(Some("setup.exe"), None, b"MZ\x90\0\x03\0\0\0").unwrap_err()).contains("a program"));
    assert!(found(detect(Some("fake.png"), None, b"this is text").unwrap_err()).contains("a .png file"));
    assert!(found(detect(None, Some("image/webp"), b"words").unwrap_err()).contains("image/webp"));
    assert!(found(detect(None, None, &[0, 159, 146, 150, 0, 1, 2, 3]).unwrap_err()).contains("binary data"));
    assert!(
        found(detect(Some("old.doc"), None, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1 W\0o\0r\0d\0").unwrap_err())
            .contains("before 2007")
    );
}

#[test]
fn no_name_and_no_declared_type_turns_binary_data_into_text() {
    for (bytes, what) in [
        (b"BM\x46\0\0\0\0\0\0\0\x36\0\0\0".as_slice(), "an image"),
        (b"\0\0\x01\0\x01\0\x10\x10", "an image"),
        (b"wOF2\0\x01\0\0\0\0", "a font"),
        (b"\0\x01\0\0\0\x0c\0\x80", "a font"),
        (b"\xff\xfb\x90\0\0\0\0\0", "an audio file"),
        (b"!<arch>\ndebian-binary\0\0\0", "an archive"),
    ] {
        for (name, declared) in [("notes.txt", "text/plain"), ("page.html", "text/html"), ("table.csv", "text/csv")] {
            let error = found(detect(Some(name), Some(declared), bytes).unwrap_err());
            assert!(error.contains(what), "{name}: {error}");
        }
    }
    // Two letters of a signature begin many a text, and UTF-16 holds zero bytes.
    assert_eq!(detect(Some("notes.txt"), None, b"BM is short for bench mark"), Ok(Format::Text));
    let utf16: Vec<u8> = "\u{feff}BM".encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_eq!(detect(Some("notes.txt"), None, &utf16), Ok(Format::Text));
}

#[test]
fn archives_are_told_apart_by_their_entries() {
    for (entry, name) in [
        ("xl/workbook.xml", "Excel"),
        ("ppt/presentation.xml", "PowerPoint"),
        ("content.xml", "OpenDocument"),
        ("photo.jpg", "ZIP"),
    ] {
        let archive = super::docx::archive(&[(entry, b"x")]);
        assert!(found(detect(Some("file"), None, &archive).unwrap_err()).contains(name), "{entry}");
    }
}

#[test]
fn promised_documents_that_are_something_else_are_damaged() {
    assert_eq!(detect(Some("a.pdf"), None, b"<html>error 404</html>").unwrap_err().reason(), "document_damaged");
    assert_eq!(detect(Some("a.docx"), None, b"words").unwrap_err().reason(), "document_damaged");
    assert_eq!(detect(Some("a.docx"), None, b"PK\x03\x04 cut off").unwrap_err().reason(), "document_damaged");
    assert_eq!(detect(None, Some("application/pdf"), b"words").unwrap_err().reason(), "document_damaged");
    assert_eq!(detect(Some("a.txt"), None, b""), Err(ParseError::Empty));
}

#[test]
fn office_documents_with_a_password_are_recognized() {
    let mut file = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1".to_vec();
    file.extend("EncryptedPackage".encode_utf16().flat_map(u16::to_le_bytes));
    assert_eq!(detect(Some("a.docx"), None, &file), Err(ParseError::Encrypted));
}
