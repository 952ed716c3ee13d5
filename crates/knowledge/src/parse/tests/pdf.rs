use std::fmt::Write;

use super::super::{Format, Limits, ParseError, parse};
use super::{blocks, error, fixture, read};

/// A file made of objects (from number 1 on), with an end mark but without a cross-reference table. Object 1 is the catalog.
fn file(objects: &[&str]) -> Vec<u8> {
    let mut file = "%PDF-1.7\n".to_owned();
    for (number, object) in (1..).zip(objects) {
        write!(file, "{number} 0 obj\n{object}\nendobj\n").unwrap();
    }
    file.push_str("trailer <</Root 1 0 R>>\nstartxref\n0\n%%EOF\n");
    // Bytes above 127 are written as Latin-1, as content does.
    file.chars().map(|character| u8::try_from(u32::from(character)).unwrap()).collect()
}

fn stream(dictionary: &str, content: &str) -> String {
    format!("<<{dictionary}/Length {}>>\nstream\n{content}\nendstream", content.chars().count())
}

/// A page in Helvetica (`/F`) with this content; further objects are from number 6 on.
fn page(content: &str, resources: &str, objects: &[&str]) -> Vec<u8> {
    let page = format!("<</Type/Page/Parent 2 0 R/Contents 4 0 R/Resources<</Font<</F 5 0 R>>{resources}>>>>");
    let content = stream("", content);
    let mut all = vec!["<</Type/Catalog/Pages 2 0 R>>", "<</Type/Pages/Kids[3 0 R]/Count 1>>", &page, &content];
    all.push("<</Type/Font/Subtype/Type1/BaseFont/Helvetica/Encoding/WinAnsiEncoding>>");
    all.extend(objects);
    file(&all)
}

fn text(file: Vec<u8>) -> String {
    read(Format::Pdf, file).text
}

const HANDBOOK: [(&str, &str, u32); 10] = [
    ("h1", "Lighthouse Handbook", 1),
    ("h1", "Keeping the lamp", 1),
    (
        "p",
        "The keeper lights the lamp at dusk and trims the wick every four hours. A clean lens throws the light nineteen nautical miles, while a film of salt on the glass halves that distance within a single stormy night. The brass must never be polished with sand, because scratches scatter the beam and mislead the pilots who steer by its rhythm.",
        1,
    ),
    (
        "p",
        "Oil is drawn from the cellar in the morning. Each can holds eleven litres, which lasts for about three nights in winter and five in summer.",
        1,
    ),
    ("h2", "Before every watch", 1),
    ("li", "• Wind the clockwork that turns the lens.", 1),
    ("li", "• Write the barometer into the log.", 1),
    ("li", "• Test the fog signal for ten seconds.", 1),
    ("h1", "Fog signals", 2),
    (
        "p",
        "In fog the siren sounds twice every ninety seconds. The café on the quay complains about the noise, yet the harbour office keeps the interval because ships report that a shorter one is mistaken for the buoy at Müller Rock.",
        2,
    ),
];

#[test]
fn pages_become_headings_paragraphs_and_items() {
    // The same document plain, with objects packed into streams, and encrypted but open without a password.
    for name in ["sample.pdf", "object-streams.pdf", "owner-locked.pdf"] {
        let parsed = read(Format::Pdf, fixture(name));
        assert_eq!(parsed.title.as_deref(), Some("Lighthouse Handbook"));
        let pages: Vec<u32> = parsed.blocks.iter().map(|block| block.page.unwrap()).collect();
        let found: Vec<(&str, &str, u32)> =
            blocks(&parsed).into_iter().zip(pages).map(|((kind, text), page)| (kind, text, page)).collect();
        assert_eq!(found, HANDBOOK, "{name}");
    }
}

#[test]
fn files_that_cannot_be_read_say_why() {
    assert_eq!(error(Format::Pdf, fixture("encrypted.pdf")), ParseError::Encrypted);
    assert_eq!(error(Format::Pdf, fixture("scanned.pdf")), ParseError::NoText { pages: 1 });
    let broken = error(Format::Pdf, fixture("broken.pdf"));
    assert_eq!(broken.reason(), "document_damaged");
    assert!(broken.to_string().contains("cut off"), "{broken}");
    assert_eq!(error(Format::Pdf, b"%PDF-1.7\nnothing more").reason(), "document_damaged");
    assert_eq!(error(Format::Pdf, file(&["<</Type/Catalog>>"])).reason(), "document_damaged");
    assert_eq!(error(Format::Pdf, page("", "", &[])), ParseError::NoText { pages: 1 });
    let gone = file(&["<</Pages 2 0 R>>", "<</Kids[3 0 R]>>", "<</Type/Page/Contents 9 0 R>>"]);
    assert!(error(Format::Pdf, gone).to_string().contains("the content of page 1 is missing"));
    let unpackable = file(&[
        "<</Pages 2 0 R>>",
        "<</Kids[3 0 R]>>",
        "<</Type/Page/Contents 4 0 R>>",
        &stream("/Filter/FlateDecode", "xxnot deflated"),
    ]);
    assert!(error(Format::Pdf, unpackable).to_string().contains("the content of page 1 cannot be unpacked"));
}

#[test]
fn a_wrong_cross_reference_table_does_not_matter() {
    let mut bytes = fixture("sample.pdf");
    let table = bytes.windows(4).position(|window| window == b"xref").unwrap();
    bytes[table + 4..table + 60].fill(b'7');
    assert_eq!(read(Format::Pdf, bytes).text, read(Format::Pdf, fixture("sample.pdf")).text);
}

#[test]
fn later_definitions_replace_earlier_ones() {
    let mut bytes = page("BT /F 12 Tf (old words) Tj ET", "", &[]);
    let newer = stream("", "BT /F 12 Tf (new words) Tj ET");
    bytes.extend(format!("4 0 obj\n{newer}\nendobj\nstartxref\n0\n%%EOF").bytes());
    assert_eq!(text(bytes), "new words");
}

#[test]
fn every_way_to_show_text_is_read() {
    let content = "BT /F 10 Tf 72 700 Td (Tj) Tj 12 TL T* [(T) -20 (J) -300 (spaced)] TJ (next) ' 0 0 (double) \" 1 0 0 1 72 600 Tm <686578> Tj (\\050esc\\)\\
aped\\051) Tj 0 -40 TD (caf\u{e9} \u{93}q\u{94}) Tj ET";
    let parsed = read(Format::Pdf, page(content, "", &[]));
    assert_eq!(parsed.text, "Tj TJ spaced next double\n\nhex(esc)aped)\n\ncafé “q”");
    // Content in several streams, one of them an image with bytes that look like operators.
    let pieces = file(&[
        "<</Pages 2 0 R>>",
        "<</Kids[3 0 R]/Resources<</Font<</F 6 0 R>>>>>>",
        "<</Type/Page/Contents[4 0 R 5 0 R]>>",
        &stream("", "BT /F 10 Tf (one) Tj ET BI /W 1 /H 1 ID (x) Tj \nEI"),
        &stream("", "BT 1 0 0 1 0 -50 Tm (two) Tj ET"),
        "<</Type/Font/Subtype/TrueType/BaseFont/Arial>>",
    ]);
    assert_eq!(text(pieces), "one\n\ntwo");
}

#[test]
fn lines_are_joined_and_words_put_together() {
    let content = "BT /F 10 Tf 72 700 Td 12 TL (The interna-) Tj T* (tional well-) Tj T* (Known \\256ling) Tj ET";
    assert_eq!(text(page(content, "", &[])), "The international well-Known ®ling");
    let bold = "BT /F 10 Tf 72 700 Td (fake) Tj ET BT 1 0 0 1 72.2 700 Tm (fake) Tj ET";
    assert_eq!(text(page(bold, "", &[])), "fake");
}

#[test]
fn running_lines_and_page_numbers_are_left_out_after_the_first() {
    let mut objects = vec![
        "<</Pages 2 0 R>>".to_owned(),
        "<</Kids[4 0 R 6 0 R 8 0 R 10 0 R]/Resources<</Font<</F 3 0 R>>>>>>".to_owned(),
    ];
    objects.push("<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>".to_owned());
    for (number, words) in (1..).zip(["a sentence goes", "on over", "four pages.", "End."]) {
        objects.push(format!("<</Type/Page/Contents {} 0 R>>", 3 + number * 2));
        let lines = format!(
            "BT /F 10 Tf 1 0 0 1 72 800 Tm (Manual {number}) Tj 1 0 0 1 72 500 Tm ({words}) Tj 1 0 0 1 300 30 Tm ({number}) Tj ET"
        );
        objects.push(stream("", &lines));
    }
    let objects: Vec<&str> = objects.iter().map(String::as_str).collect();
    assert_eq!(text(file(&objects)), "Manual 1\n\na sentence goes on over four pages.\n\nEnd.");
}

#[test]
fn fonts_say_what_their_codes_mean() {
    let unicode = stream(
        "",
        "1 begincodespacerange <0000><ffff> endcodespacerange 1 beginbfchar <0001> <0041> endbfchar 2 beginbfrange <0002> <0003> <0062> <0004> <0005> [<00660069> <d83dde00>] endbfrange",
    );
    let composite = "<</Type/Font/Subtype/Type0/BaseFont/X/Encoding/Identity-H/DescendantFonts[<</W[1[600 600] 3 5 600]>>]/ToUnicode 7 0 R>>";
    let content = "BT /G 10 Tf <00010002000300040005> Tj ET";
    assert_eq!(text(page(content, "/Font<</G 6 0 R>>", &[composite, &unicode])), "Abcfi😀");
    let names = "<</Type/Font/Subtype/Type1/BaseFont/Y/FirstChar 1/LastChar 4/Widths[500 500 500 500]/Encoding<</Differences[1/Aacute/uni0416/f_i/nothing]>>>>";
    assert_eq!(text(page("BT /G 10 Tf (\\001\\002\\003\\004) Tj ET", "/Font<</G 6 0 R>>", &[names])), "ÁЖfi");
    let greek = "<</Type/Font/Subtype/Type1/BaseFont/Symbol>>";
    assert_eq!(text(page("BT /G 10 Tf (abg) Tj ET", "/Font<</G 6 0 R>>", &[greek])), "αβγ");
    let chinese = "<</Type/Font/Subtype/Type0/BaseFont/Z/Encoding/GBK-EUC-H/DescendantFonts[<<>>]>>";
    assert_eq!(text(page("BT /G 10 Tf <d6d0cec441> Tj ET", "/Font<</G 6 0 R>>", &[chinese])), "中文A");
}

#[test]
fn forms_are_read_within_limits() {
    let form = |content: &str| {
        stream("/Subtype/Form/Matrix[1 0 0 1 10 10]/Resources<</Font<</F 5 0 R>>/XObject<</A 6 0 R>>>>", content)
    };
    let words = page(
        "/A Do BT /F 10 Tf (outside) Tj ET",
        "/XObject<</A 6 0 R>>",
        &[&form("BT /F 10 Tf 0 100 Td (inside) Tj ET")],
    );
    assert_eq!(text(words), "inside\n\noutside");
    // A form that runs itself ends by its depth, one that multiplies by the allowance.
    let itself = page("/A Do", "/XObject<</A 6 0 R>>", &[&form("BT /F 10 Tf 0 50 Td (again) Tj ET /A Do")]);
    assert_eq!(read(Format::Pdf, itself).text.matches("again").count(), 12);
    let many = page(&"/A Do ".repeat(10), "/XObject<</A 6 0 R>>", &[&form(&"/A Do ".repeat(10))]);
    assert_eq!(error(Format::Pdf, many).reason(), "archive_bomb");
}

#[test]
fn filters_are_undone_within_limits() {
    let hexadecimal: String = b"BT /F 10 Tf (hex) Tj ET".iter().map(|byte| format!("{byte:02x}")).collect();
    let with = |filter: &str, content: &str| {
        file(&[
            "<</Pages 2 0 R>>",
            "<</Kids[3 0 R]>>",
            "<</Contents 4 0 R/Resources<</Font<</F 5 0 R>>>>>>",
            &stream(filter, content),
            "<</Subtype/Type1/BaseFont/Helvetica>>",
        ])
    };
    assert_eq!(text(with("/Filter/ASCIIHexDecode", &hexadecimal)), "hex");
    assert_eq!(text(with("/Filter[/AHx]", &format!("{hexadecimal}>junk"))), "hex");
    assert_eq!(text(with("/Filter/RunLengthDecode", "\u{6}BT /F 1\u{ff}0\u{b} Tf (run) Tj\u{80}")), "run");
    // The repeated letters would be 256 MiB and more.
    let bomb = with("/Filter[/RL/RL/RL]", &"\u{81}\u{81}".repeat(1_000_000));
    assert_eq!(error(Format::Pdf, bomb).reason(), "archive_bomb");
    assert_eq!(error(Format::Pdf, with("/Filter/DCTDecode", "jpeg")).reason(), "document_damaged");
}

#[test]
fn circles_in_the_structure_end() {
    let pages =
        file(&["<</Pages 2 0 R>>", "<</Kids[2 0 R 3 0 R 3 0 R]/Parent 2 0 R>>", "<</Contents 4 0 R>>", "4 0 R"]);
    assert_eq!(error(Format::Pdf, pages).reason(), "document_damaged");
    let length = page("BT /F 10 Tf (x) Tj ET", "", &["<</Length 6 0 R>>\nstream\nx\nendstream"]);
    assert_eq!(text(length), "x");
}

#[test]
fn limits_on_pages_and_text_hold() {
    let limits = Limits { pages_max: 1, ..Limits::default() };
    assert_eq!(
        parse(Format::Pdf, &fixture("sample.pdf"), &limits),
        Err(ParseError::TooLarge { what: "pages", limit: 1 })
    );
    let limits = Limits { text_bytes_max: 100, ..Limits::default() };
    assert_eq!(parse(Format::Pdf, &fixture("sample.pdf"), &limits).unwrap_err().reason(), "document_too_large");
    let limits = Limits { pdf_expanded_bytes_max: 100, ..Limits::default() };
    assert_eq!(parse(Format::Pdf, &fixture("sample.pdf"), &limits).unwrap_err().reason(), "archive_bomb");
}
