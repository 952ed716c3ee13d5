//! Documents that people bring, and forms with files.

use axum::{
    body::Body,
    extract::Request,
    http::{Method, header},
};
use plasma_knowledge::parse::{Format, Limits, detect, parse};

use crate::{Target, requests::block_on};

pub const TARGETS: &[Target] = &[
    ("document", document),
    ("document_pdf", pdf),
    ("document_docx", docx),
    ("upload_form", form),
    ("recording_form", recording),
];

const FORMATS: [Format; 7] =
    [Format::Markdown, Format::Text, Format::Html, Format::Pdf, Format::Docx, Format::Csv, Format::Tsv];

/// Small enough that they are met too.
fn limits() -> Limits {
    Limits {
        text_bytes_max: 100_000,
        blocks_max: 2_000,
        pages_max: 20,
        rows_max: 500,
        columns_max: 50,
        archive_entry_bytes_max: 1 << 20,
        archive_bytes_max: 2 << 20,
        pdf_expanded_bytes_max: 1 << 20,
        ..Limits::default()
    }
}

/// What the bytes are, else what the last one says.
fn document(bytes: &[u8]) {
    let declared = FORMATS[usize::from(bytes.last().copied().unwrap_or_default()) % FORMATS.len()];
    let found = detect(Some("a"), Some(declared.media_type()), bytes).unwrap_or(declared);
    read(found, bytes);
}

fn pdf(bytes: &[u8]) {
    read(Format::Pdf, bytes);
}

fn docx(bytes: &[u8]) {
    read(Format::Docx, bytes);
}

fn read(format: Format, bytes: &[u8]) {
    let Ok(parsed) = parse(format, bytes, &limits()) else { return };
    // What every document promises.
    assert!(parsed.text.len() <= limits().text_bytes_max && parsed.blocks.len() <= limits().blocks_max);
    let mut end = 0;
    for block in &parsed.blocks {
        assert!(
            block.range.start >= end
                && parsed.text.get(block.range.clone()).is_some_and(|text| !text.trim().is_empty())
        );
        end = block.range.end;
    }
}

/// A form whose parts `--part` divides.
fn posted(bytes: &[u8]) -> Option<Request> {
    Request::builder()
        .method(Method::POST)
        .header(header::CONTENT_TYPE, "multipart/form-data; boundary=part")
        .body(Body::from(bytes.to_vec()))
        .ok()
}

fn form(bytes: &[u8]) {
    if let Some(request) = posted(bytes) {
        block_on(plasma_knowledge::http::read_upload(request));
    }
}

fn recording(bytes: &[u8]) {
    if let Some(request) = posted(bytes) {
        block_on(plasma_models::http::read_recording(request));
    }
}
