use super::super::{Format, Limits, ParseError, parse};
use super::{blocks, error, read};

#[test]
fn blank_lines_separate_paragraphs() {
    let parsed = read(Format::Text, "One line\nand its next.\r\n \t\r\nSecond.\r\rThird.\x0cFourth.\n\n\n");
    assert_eq!(
        blocks(&parsed),
        [("p", "One line\nand its next."), ("p", "Second."), ("p", "Third."), ("p", "Fourth.")]
    );
    assert_eq!(parsed.text, "One line\nand its next.\n\nSecond.\n\nThird.\n\nFourth.");
}

#[test]
fn encodings_are_recognized() {
    let text = "Größe — naïve café €5";
    assert_eq!(read(Format::Text, text).text, text);
    assert_eq!(read(Format::Text, format!("\u{feff}{text}")).text, text);
    let little: Vec<u8> = [0xff, 0xfe].into_iter().chain(text.encode_utf16().flat_map(u16::to_le_bytes)).collect();
    assert_eq!(read(Format::Text, little).text, text);
    let big: Vec<u8> = [0xfe, 0xff].into_iter().chain(text.encode_utf16().flat_map(u16::to_be_bytes)).collect();
    assert_eq!(read(Format::Text, big).text, text);
    assert_eq!(read(Format::Text, b"Gr\xf6\xdfe \x96 na\xefve caf\xe9 \x80 5").text, "Größe – naïve café € 5");
}

#[test]
fn bytes_that_are_not_text_are_refused_with_their_place() {
    for bytes in
        [&b"hello \xff\xfe world"[..], b"abc \xc3\x28 def", b"caf\xc3\xa9 and \xe9", b"\xe2\x82", b"a\xf0\x28\x8c\xbc"]
    {
        let error = error(Format::Text, bytes);
        assert_eq!(error.reason(), "text_encoding_unknown", "{bytes:?}");
        assert!(error.to_string().contains("offset"), "{error}");
        assert!(error.remedy().contains("UTF-8"));
    }
    assert!(error(Format::Text, b"abc \xc3\x28 def").to_string().contains("byte 0xc3 at offset 4"));
    assert!(error(Format::Text, b"text\0with zeros").to_string().contains("zero bytes"));
    assert!(error(Format::Text, b"\x01\x02\x03\x04\x05\x06\x0e\x0f").to_string().contains("control characters"));
    assert!(error(Format::Text, b"\xff\xfe\x00\xd8").to_string().contains("UTF-16LE"));
}

#[test]
fn characters_that_are_not_text_are_left_out() {
    assert_eq!(read(Format::Text, "a\u{7}b\u{ad}c\u{feff}d\u{2028}e\u{85}f\tg").text, "abcd\ne\nf\tg");
}

#[test]
fn empty_and_too_large_documents_are_refused() {
    assert_eq!(error(Format::Text, ""), ParseError::Empty);
    assert_eq!(error(Format::Text, " \n\u{a0}\t\r\n"), ParseError::Empty);
    let limits = Limits { input_bytes_max: 10, ..Limits::default() };
    assert_eq!(parse(Format::Text, b"eleven byte", &limits), Err(ParseError::TooLarge { what: "bytes", limit: 10 }));
    let limits = Limits { text_bytes_max: 10, ..Limits::default() };
    assert_eq!(
        parse(Format::Text, b"eleven byte", &limits),
        Err(ParseError::TooLarge { what: "bytes of text", limit: 10 })
    );
    let limits = Limits { blocks_max: 2, ..Limits::default() };
    assert_eq!(parse(Format::Text, b"a\n\nb\n\nc", &limits).unwrap_err().reason(), "document_too_large");
}
