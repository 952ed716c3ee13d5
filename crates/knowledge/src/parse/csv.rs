use csv::{ReaderBuilder, StringRecord};

use super::{BlockKind, Format, Limits, ParseError, Parsed, builder::TextBuilder, text};

/// Separators that occur in practice, most common first.
const SEPARATORS: [u8; 4] = [b',', b';', b'\t', b'|'];
/// Records that decide which separator a file uses.
const SAMPLE_RECORDS: usize = 50;
/// Bytes that decide which separator a file uses.
const SAMPLE_BYTES: usize = 64 * 1024;

/// A table file: each row becomes one block of `column: value` lines, so that it can be understood without the rest.
/// Rows may have more or fewer cells than the header.
pub(super) fn parse(bytes: &[u8], separator: Option<u8>, limits: &Limits) -> Result<Parsed, ParseError> {
    let text = text::decode(bytes)?;
    let format = if separator == Some(b'\t') { Format::Tsv } else { Format::Csv };
    let (stated, table) = stated_separator(&text);
    let separator = separator.or(stated).unwrap_or_else(|| recognize_separator(table));
    // Counted first, because the library reads a whole row into memory.
    if widest_row(table, separator) > limits.columns_max {
        return Err(ParseError::TooLarge { what: "columns", limit: limits.columns_max as u64 });
    }
    let mut reader =
        ReaderBuilder::new().delimiter(separator).has_headers(false).flexible(true).from_reader(table.as_bytes());
    let mut builder = TextBuilder::new(limits);
    let mut columns: Option<Vec<String>> = None;
    let mut record = StringRecord::new();
    let mut rows = 0;
    while reader.read_record(&mut record).map_err(|error| ParseError::damaged(format, error.to_string()))? {
        rows += 1;
        if rows > limits.rows_max {
            return Err(ParseError::TooLarge { what: "rows", limit: limits.rows_max as u64 });
        }
        match &columns {
            None if is_header(&record) => columns = Some(record.iter().map(one_line).collect()),
            None => {
                builder.push(BlockKind::TableRow, &row_text(&[], &record))?;
                columns = Some(Vec::new());
            }
            Some(columns) => builder.push(BlockKind::TableRow, &row_text(columns, &record))?,
        }
    }
    // A header without rows is still what the file says.
    if builder.is_empty()
        && let Some(columns) = columns
    {
        builder.push(BlockKind::TableRow, &columns.join(" | "))?;
    }
    Ok(builder.finish(None))
}

/// The most columns that a row has. Separators and line breaks within quotes are text.
fn widest_row(table: &str, separator: u8) -> usize {
    let (mut widest, mut columns) = (1, 1);
    let (mut quoted, mut at_start) = (false, true);
    for byte in table.bytes() {
        match byte {
            // A doubled quote leaves and enters again.
            b'"' if quoted || at_start => quoted = !quoted,
            _ if quoted => {}
            b'\n' | b'\r' => columns = 1,
            byte if byte == separator => columns += 1,
            _ => {}
        }
        // After a closing quote another one continues the quoted text.
        at_start = byte == separator || matches!(byte, b'\n' | b'\r' | b'"');
        widest = widest.max(columns);
    }
    widest
}

/// A first row names its columns if every cell is filled and none is a number.
fn is_header(record: &StringRecord) -> bool {
    record.iter().all(|cell| {
        let cell = cell.trim();
        !cell.is_empty() && cell.parse::<f64>().is_err()
    })
}

fn row_text(columns: &[String], record: &StringRecord) -> String {
    let mut lines = String::new();
    for (index, cell) in record.iter().enumerate() {
        let cell = cell.trim();
        if cell.is_empty() {
            continue;
        }
        if !lines.is_empty() {
            lines.push('\n');
        }
        match columns.get(index) {
            Some(column) => lines.push_str(column),
            None => lines.push_str(&format!("column {}", index + 1)),
        }
        lines.push_str(": ");
        // Line breaks inside a cell would look like further columns.
        lines.push_str(&one_line(cell));
    }
    lines
}

fn one_line(cell: &str) -> String {
    cell.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Spreadsheet programs write a first line `sep=;` to name the separator.
fn stated_separator(text: &str) -> (Option<u8>, &str) {
    let (line, rest) = text.split_once('\n').unwrap_or((text, ""));
    match line.trim_end_matches('\r').strip_prefix("sep=").map(str::as_bytes) {
        Some([separator]) if separator.is_ascii() => (Some(*separator), rest),
        _ => (None, text),
    }
}

/// The separator that gives the most columns in a steady number; a comma if none does.
fn recognize_separator(text: &str) -> u8 {
    let mut best = (0_u64, b',');
    for separator in SEPARATORS {
        let score = separator_score(text, separator);
        if score > best.0 {
            best = (score, separator);
        }
    }
    best.1
}

/// How well a separator fits: the share of sampled records with the commonest number of columns, times the columns beyond
/// the first (only the first few count, so that a steady few beat an unsteady many).
fn separator_score(text: &str, separator: u8) -> u64 {
    let sample = text.as_bytes().get(..text.len().min(SAMPLE_BYTES)).unwrap_or_default();
    let mut reader = ReaderBuilder::new().delimiter(separator).has_headers(false).flexible(true).from_reader(sample);
    let counts: Vec<usize> =
        reader.byte_records().take(SAMPLE_RECORDS).map_while(Result::ok).map(|record| record.len()).collect();
    let agreeing = |columns: usize| counts.iter().filter(|count| **count == columns).count();
    let Some(commonest) = counts.iter().copied().max_by_key(|columns| agreeing(*columns)) else { return 0 };
    let share_percent = agreeing(commonest) * 100 / counts.len().max(1);
    let beyond_first = commonest.saturating_sub(1).min(8);
    (share_percent * (100 + beyond_first) * usize::from(beyond_first > 0)) as u64
}
