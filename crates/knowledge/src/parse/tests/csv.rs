use super::super::{Format, Limits, ParseError, parse};
use super::{blocks, error, read};

#[test]
fn every_row_names_its_columns() {
    let parsed = read(Format::Csv, "name,city,note\nAda,London,\"first, and\nbest\"\nAlan,,\n");
    assert_eq!(blocks(&parsed), [("row", "name: Ada\ncity: London\nnote: first, and best"), ("row", "name: Alan")]);
    assert!(parsed.text.contains("best\n\nname: Alan"));
}

#[test]
fn separators_are_recognized() {
    for table in
        ["a;b\n1,5;2\n3,5;4\n", "a\tb\n1,5\t2\n", "a|b\n1,5|2\n", "sep=;\r\na;b\r\n1,5;2\r\n", "\u{feff}a;b\n1,5;2\n"]
    {
        assert_eq!(blocks(&read(Format::Csv, table))[0].1, "a: 1,5\nb: 2", "{table:?}");
    }
    assert_eq!(blocks(&read(Format::Tsv, "a\tb,c\n1\t2;3\n"))[0].1, "a: 1\nb,c: 2;3");
    assert_eq!(blocks(&read(Format::Csv, "word\none\ntwo\n")), [("row", "word: one"), ("row", "word: two")]);
}

#[test]
fn ragged_rows_and_missing_headers_are_tolerated() {
    assert_eq!(blocks(&read(Format::Csv, "a,b\n1\n1,2,3\n"))[1].1, "a: 1\nb: 2\ncolumn 3: 3");
    assert_eq!(
        blocks(&read(Format::Csv, "1,2\n3,4\n")),
        [("row", "column 1: 1\ncolumn 2: 2"), ("row", "column 1: 3\ncolumn 2: 4")]
    );
    assert_eq!(blocks(&read(Format::Csv, "a,b\n")), [("row", "a | b")]);
}

#[test]
fn limits_hold() {
    let limits = Limits { rows_max: 3, columns_max: 3, ..Limits::default() };
    assert!(parse(Format::Csv, b"a\n1\n2\n", &limits).is_ok());
    assert_eq!(parse(Format::Csv, b"a\n1\n2\n3\n", &limits), Err(ParseError::TooLarge { what: "rows", limit: 3 }));
    assert!(parse(Format::Csv, b"a,b,c\n\"1,2,3,\"\"4\",5,6\n", &limits).is_ok());
    assert_eq!(
        parse(Format::Csv, b"a,b,c\n1,2,3,4\n", &limits),
        Err(ParseError::TooLarge { what: "columns", limit: 3 })
    );
    assert_eq!(error(Format::Csv, b"a,b\n\x00\x01,\xff\n").reason(), "text_encoding_unknown");
}
