//! No input makes a parser panic, whatever it is: random bytes, words of the format in random order, and damaged documents.

use proptest::{collection::vec, prelude::*, sample::select};

use super::super::{Format, Limits, parse};
use super::{check, fixture};

const FORMATS: [Format; 7] =
    [Format::Markdown, Format::Text, Format::Html, Format::Pdf, Format::Docx, Format::Csv, Format::Tsv];

/// Limits small enough that they are met, too.
fn limits() -> Limits {
    Limits {
        text_bytes_max: 20_000,
        blocks_max: 500,
        pages_max: 5,
        rows_max: 50,
        columns_max: 20,
        pdf_expanded_bytes_max: 1 << 20,
        ..Limits::default()
    }
}

fn attempt(format: Format, bytes: &[u8]) {
    match parse(format, bytes, &limits()) {
        Ok(parsed) => {
            check(&parsed);
            assert!(parsed.text.len() <= limits().text_bytes_max);
        }
        // What the last resort says about a panic that nobody has thought of.
        Err(error) => assert!(!error.to_string().ends_with("it could not be read"), "{error}"),
    }
}

/// Damage: bytes changed, a piece removed, a piece repeated.
fn damage(mut bytes: Vec<u8>, changes: &[(usize, u8)], cut: (usize, usize), repeat: (usize, usize)) -> Vec<u8> {
    for (place, value) in changes {
        let place = place % bytes.len();
        bytes[place] = *value;
    }
    let (start, length) = (repeat.0 % bytes.len(), repeat.1 % 200);
    let piece = bytes[start..(start + length).min(bytes.len())].to_vec();
    bytes.splice(start..start, piece);
    let start = cut.0 % bytes.len();
    let end = (start + cut.1 % 100).min(bytes.len());
    bytes.drain(start..end);
    bytes
}

/// Pieces of a format, separated by `¦`.
fn words(format: Format) -> Vec<&'static str> {
    let words = match format {
        Format::Markdown => {
            "# ¦a ¦*¦_¦`¦```\n¦\n¦\n\n¦- ¦1. ¦> ¦[¦](x)¦![¦|¦|-|-|\n¦<div>¦</p>¦---\n¦title: x\n¦&amp;¦    ¦[^1]¦[^1]: ¦é¦~~¦\\¦[x] "
        }
        Format::Html => {
            "<p>¦</p>¦<div¦>¦<¦</¦<!--¦-->¦<script>¦</script>¦<table>¦<tr>¦<td>¦</table>¦<ul>¦<li>¦</ul>¦<h1>¦</h1>¦<pre>¦</pre>¦\
             <main>¦</main>¦&lt;¦&eacute¦&#x¦a¦ ¦\n¦=\"¦'¦<title>¦</title>¦<nav>¦</nav>¦<svg/>¦é¦/"
        }
        Format::Docx => {
            "<w:p>¦</w:p>¦<w:r>¦</w:r>¦<w:t>¦</w:t>¦a¦&amp;¦&#9;¦<w:tbl>¦</w:tbl>¦<w:tr>¦</w:tr>¦<w:tc>¦</w:tc>¦<w:pPr>¦</w:pPr>¦\
             <w:del>¦</w:del>¦<w:br/>¦<w:numId w:val='1'/>¦<w:footnoteReference w:id='1'/>¦<w:outlineLvl w:val='9'/>"
        }
        Format::Pdf => {
            "1 0 obj¦2 0 obj¦3 0 obj¦endobj¦stream\n¦endstream¦<<¦>>¦[¦]¦(¦)¦<41>¦/Type¦/Page¦/Pages¦/Kids¦/Contents¦/Root¦\
             /Resources¦/Font¦/F¦1 0 R¦2 0 R¦3 0 R¦9 0 R¦ 12 ¦ -1 ¦ 99999999999 ¦trailer¦%%EOF¦\n¦ ¦Tj¦Tf¦TJ¦BT¦Do¦q¦Q¦cm¦BI¦\
             ID¦EI¦/Filter¦/FlateDecode¦/Length¦/W¦/Encoding¦/Differences¦/ToUnicode¦/ObjStm¦/N¦/First"
        }
        Format::Text | Format::Csv | Format::Tsv => "a¦\n¦\r¦,¦;¦\t¦\"¦1¦ ¦\u{c}¦é¦\u{feff}¦sep=¦|",
    };
    words.split('¦').collect()
}

proptest! {
    #[test]
    fn random_bytes(format in select(&FORMATS[..]), bytes in vec(any::<u8>(), 0..600)) {
        attempt(format, &bytes);
        let marked = match format {
            Format::Pdf => [&b"%PDF-1.4\n1 0 obj "[..], &bytes, b"%%EOF"].concat(),
            Format::Docx => [&b"PK\x03\x04"[..], &bytes].concat(),
            _ => bytes,
        };
        attempt(format, &marked);
    }

    #[test]
    fn words_in_random_order(format in select(&FORMATS[..]), indexes in vec(any::<usize>(), 0..150)) {
        let words = words(format);
        let text: String = indexes.iter().map(|index| words[index % words.len()]).collect();
        match format {
            Format::Pdf => {
                attempt(format, format!("%PDF-1.4\n{text}\n%%EOF").as_bytes());
                let head = "%PDF-1.4\n1 0 obj<</Pages 2 0 R>>endobj 2 0 obj<</Kids[3 0 R]>>endobj 3 0 obj<</Contents 4 0 R/Resources 5 0 R>>endobj ";
                let fonts = "5 0 obj<</Font<</F 6 0 R>>/XObject<</F 4 0 R>>>>endobj 6 0 obj<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>endobj";
                attempt(format, format!("{head}{fonts} 4 0 obj<<>>stream\n/F 9 Tf {text}\nendstream endobj trailer<</Root 1 0 R>>%%EOF").as_bytes());
                attempt(format, format!("{head} 4 0 obj<<>>stream\n/F 9 Tf(\u{1}A)Tj\nendstream endobj 5 0 obj<</Font<</F<<{text}>>>>>>endobj trailer<</Root 1 0 R>>%%EOF").as_bytes());
            }
            Format::Docx => {
                let main = format!("<w:document><w:body>{text}</w:body></w:document>");
                attempt(format, &super::docx::archive(&[("word/document.xml", main.as_bytes()), ("word/styles.xml", text.as_bytes()), ("word/numbering.xml", text.as_bytes())]));
            }
            _ => attempt(format, text.as_bytes()),
        }
    }

    #[test]
    fn random_text(format in select(&FORMATS[..]), text in "\\PC{0,300}") {
        attempt(format, text.as_bytes());
    }

    #[test]
    fn damaged_documents(
        name in select(&["sample.pdf", "object-streams.pdf", "owner-locked.pdf", "encrypted.pdf", "scanned.pdf", "sample.docx"][..]),
        changes in vec((any::<usize>(), any::<u8>()), 0..12),
        cut in any::<(usize, usize)>(),
        repeat in any::<(usize, usize)>(),
    ) {
        let format = if name.ends_with("docx") { Format::Docx } else { Format::Pdf };
        attempt(format, &damage(fixture(name), &changes, cut, repeat));
    }
}
