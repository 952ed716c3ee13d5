//! Files that come from people: pictures are what their bytes say, and what is given back is saved by a browser, never shown.

use axum::{
    body::Body,
    http::{HeaderValue, header},
    response::Response,
};
use plasma_kernel::{Error, Result};

/// Media types that a browser can be trusted to save and not to run.
const HARMLESS: &[&str] = &[
    "application/gzip",
    "application/json",
    "application/pdf",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "application/zip",
    "text/csv",
    "text/markdown",
    "text/plain",
    "text/tab-separated-values",
];

/// Kinds of pictures that are taken, with their whole signatures. SVG is a document that can hold scripts.
const PICTURES: &[(&str, &[u8])] = &[
    ("image/png", b"\x89PNG\r\n\x1a\n"),
    ("image/jpeg", b"\xff\xd8\xff"),
    ("image/gif", b"GIF87a"),
    ("image/gif", b"GIF89a"),
    ("image/webp", b"RIFF"),
];

/// The media type of a picture that somebody brings, such as a logo: what the bytes are, whatever was declared.
///
/// # Errors
/// `too_large` for more than `bytes_max` bytes; `invalid` for anything but PNG, JPEG, GIF and WebP, and where the declared type is another
/// one than the bytes'.
pub fn picture(field: &str, declared: Option<&str>, bytes: &[u8], bytes_max: usize) -> Result<&'static str> {
    if bytes.len() > bytes_max {
        return Err(Error::too_large(field, format!("has {} bytes; at most {bytes_max} are allowed", bytes.len())));
    }
    let kinds = "PNG, JPEG, GIF or WebP";
    let found = infer::get(bytes).map(|kind| kind.mime_type());
    let known = PICTURES.iter().find(|(kind, signature)| found == Some(*kind) && bytes.starts_with(signature));
    let Some(&(kind, _)) = known else {
        let found = found.map_or_else(String::new, |found| format!("; this is {found}"));
        return Err(Error::invalid(field, format!("must be a picture: {kinds}{found}")));
    };
    let declared = declared.map(|declared| declared.split(';').next().unwrap_or_default().trim().to_ascii_lowercase());
    match declared.as_deref() {
        None | Some("" | "application/octet-stream") => Ok(kind),
        Some(declared) if declared == kind || (declared == "image/jpg" && kind == "image/jpeg") => Ok(kind),
        Some(_) => Err(Error::invalid(field, format!("is declared as something else than it is: {kind}"))
            .remedy("send the file with its own media type")),
    }
}

/// A file to be saved and never shown as a page of this site, whatever it holds and whoever wrote it.
pub fn attachment(name: &str, media_type: &str, body: impl Into<Body>) -> Response {
    let essence = media_type.split(';').next().unwrap_or_default().trim();
    let media_type = HARMLESS.iter().find(|harmless| **harmless == essence).unwrap_or(&"application/octet-stream");
    let mut response = Response::new(body.into());
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("sandbox; default-src 'none'"));
    // Only ASCII without control characters comes out of `disposition`.
    if let Ok(disposition) = HeaderValue::from_str(&disposition(name)) {
        headers.insert(header::CONTENT_DISPOSITION, disposition);
    }
    response
}

/// `attachment` with the name twice: in ASCII for old programs, and in UTF-8 (RFC 6266, RFC 8187).
fn disposition(name: &str) -> String {
    use std::fmt::Write as _;
    let plain: String = name
        .chars()
        .map(|character| match character {
            '"' | '\\' | '/' | '%' => '_',
            ' '..='~' => character,
            _ => '_',
        })
        .collect();
    let mut encoded = String::new();
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"!#$&+-.^_`|~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            // Writing to a string never fails.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    format!("attachment; filename=\"{plain}\"; filename*=UTF-8''{encoded}")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01";

    #[test]
    fn a_picture_is_what_its_bytes_say() {
        let kind = |declared: Option<&str>, bytes: &[u8]| picture("logo", declared, bytes, 1_000);
        assert_eq!(kind(None, PNG).unwrap(), "image/png");
        assert_eq!(kind(Some("image/png; charset=binary"), PNG).unwrap(), "image/png");
        assert_eq!(kind(Some("application/octet-stream"), b"GIF89a\x01\0\x01\0").unwrap(), "image/gif");
        assert_eq!(kind(Some("image/jpg"), b"\xff\xd8\xff\xe0\0\x10JFIF").unwrap(), "image/jpeg");
        assert_eq!(kind(None, b"RIFF\x10\0\0\0WEBPVP8 ").unwrap(), "image/webp");
        for (declared, bytes) in [
            (Some("image/jpeg"), PNG),
            (Some("text/html"), PNG),
            (
                Some("image/svg+xml"),
                b"<svg xmlns=\"http://www.w3.org/2000/svg\"><script>alert(1)</script></svg>".as_slice(),
            ),
            (Some("image/png"), b"<html><script>alert(1)</script>".as_slice()),
            (Some("image/png"), b"\x89PNGnot quite".as_slice()),
            (Some("image/gif"), b"GIF89".as_slice()),
            (Some("image/webp"), b"AAAA\x10\0\0\0WEBPVP8 ".as_slice()),
            (Some("image/png"), b"PK\x03\x04archive".as_slice()),
            (Some("image/png"), b"".as_slice()),
            (None, b"BM looks like a bitmap".as_slice()),
        ] {
            let error = kind(declared, bytes).unwrap_err();
            assert_eq!(error.field_name(), Some("logo"), "{declared:?}: {error}");
        }
        assert_eq!(picture("logo", None, &[0; 1_001], 1_000).unwrap_err().code(), plasma_kernel::Code::TooLarge);
    }

    #[test]
    fn no_name_breaks_the_header() {
        let header = disposition("Plan \"für\"\r\nSet-Cookie: a=b; 2026%.pdf");
        assert!(header.is_ascii() && !header.contains(['\r', '\n']));
        assert!(header.starts_with(
            "attachment; filename=\"Plan _f_r___Set-Cookie: a=b; 2026_.pdf\"; filename*=UTF-8''Plan%20%22f%C3%BCr"
        ));
    }

    #[test]
    fn a_page_is_never_served_as_one() {
        for (media_type, served) in [
            ("text/html", "application/octet-stream"),
            ("image/svg+xml", "application/octet-stream"),
            ("application/xhtml+xml", "application/octet-stream"),
            ("text/markdown", "text/markdown"),
            ("text/csv; charset=utf-8", "text/csv"),
        ] {
            let response = attachment("a", media_type, "<script>alert(1)</script>");
            assert_eq!(response.headers()[header::CONTENT_TYPE], served);
            assert_eq!(response.headers()[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
            let disposition = response.headers()[header::CONTENT_DISPOSITION].to_str().unwrap();
            assert!(disposition.starts_with("attachment;"), "{disposition}");
        }
    }
}
