use infer::MatcherType;

use super::{Format, Limits, ParseError, archive::Archive, text};

/// How many bytes at the start decide what a text is.
const HEAD_BYTES: usize = 4_096;
/// Readers accept a PDF whose header stands within this many bytes.
const PDF_HEADER_BYTES: usize = 1_024;

/// First bytes of formats that people upload by mistake, with what to call them.
const SIGNATURES: &[(&[u8], &str)] = &[
    (b"\x89PNG\r\n\x1a\n", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"GIF87a", "a GIF image"),
    (b"GIF89a", "a GIF image"),
    (b"II*\0", "a TIFF image"),
    (b"MM\0*", "a TIFF image"),
    (b"\x7fELF", "a program"),
    (b"MZ", "a program"),
    (b"\xcf\xfa\xed\xfe", "a program"),
    (b"\xca\xfe\xba\xbe", "a program"),
    (b"\0asm", "a program"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    (b"Rar!\x1a\x07", "a RAR archive"),
    (b"BZh", "a bzip2 archive"),
    (b"\xfd7zXZ\0", "an xz archive"),
    (b"\x28\xb5\x2f\xfd", "a Zstandard archive"),
    (b"{\\rtf", "a rich text (RTF) document"),
    (b"%!PS", "a PostScript document"),
    (b"SQLite format 3\0", "a database"),
    (b"PAR1", "a Parquet file"),
    (b"ID3", "an audio file"),
    (b"OggS", "an audio file"),
    (b"fLaC", "an audio file"),
    (b"RIFF", "an image, audio or video file"),
    (b"\x1aE\xdf\xa3", "a video file"),
];

/// File name extensions of formats that are not read, whatever their content looks like.
const OTHER_EXTENSIONS: &[&str] = &[
    "png", "jpg", "jpeg", "gif", "webp", "bmp", "tif", "tiff", "svg", "ico", "heic", "avif", "psd", "mp3", "wav",
    "flac", "ogg", "m4a", "mp4", "mov", "avi", "mkv", "webm", "exe", "dll", "so", "bin", "iso", "dmg", "msi", "apk",
    "jar", "class", "wasm", "zip", "gz", "tgz", "tar", "bz2", "xz", "7z", "rar", "zst", "doc", "dot", "xls", "xlsx",
    "xlsm", "xlsb", "ods", "ppt", "pptx", "odp", "odt", "rtf", "pages", "numbers", "key", "epub", "mobi", "ps", "eps",
    "db", "sqlite", "parquet", "woff", "woff2", "ttf", "otf", "msg", "pst",
];

/// First bytes of an OLE compound file: old Office documents, and new ones with a password.
const OLE_SIGNATURE: &[u8] = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1";

/// Decides what a document is: by its content, then by the file's name, then by the declared media type.
///
/// # Errors
///
/// [`ParseError::Empty`]; [`ParseError::Unsupported`] for everything that is not read; [`ParseError::Encrypted`] for an
/// Office document with a password; [`ParseError::Damaged`] when the name promises a PDF or DOCX that the content is not.
pub fn detect(file_name: Option<&str>, declared_media_type: Option<&str>, bytes: &[u8]) -> Result<Format, ParseError> {
    if bytes.is_empty() {
        return Err(ParseError::Empty);
    }
    let by_name = file_name.and_then(from_extension);
    if bytes.get(..bytes.len().min(PDF_HEADER_BYTES)).is_some_and(|head| contains(head, b"%PDF-")) {
        return Ok(Format::Pdf);
    }
    if bytes.starts_with(b"PK\x03\x04") || bytes.starts_with(b"PK\x05\x06") {
        return from_archive(bytes, by_name);
    }
    if bytes.starts_with(OLE_SIGNATURE) {
        return Err(from_compound_file(bytes));
    }
    if let Some(found) = from_signature(bytes) {
        return Err(ParseError::Unsupported { found: found.to_owned() });
    }
    if let Some(other) =
        file_name.and_then(extension).filter(|extension| OTHER_EXTENSIONS.contains(&extension.as_str()))
    {
        return Err(ParseError::Unsupported { found: format!("a .{other} file") });
    }
    match by_name {
        Some(Format::Pdf) => Err(ParseError::damaged(Format::Pdf, "the file does not begin with a PDF header")),
        Some(Format::Docx) => Err(ParseError::damaged(Format::Docx, "the file is not a Word document inside")),
        Some(format) => Ok(format),
        None => from_text(file_name, declared_media_type, bytes),
    }
}

fn extension(file_name: &str) -> Option<String> {
    let base = file_name.rsplit(['/', '\\']).next()?;
    let (stem, extension) = base.rsplit_once('.')?;
    (!stem.is_empty() && !extension.is_empty()).then(|| extension.to_ascii_lowercase())
}

fn from_extension(file_name: &str) -> Option<Format> {
    match extension(file_name)?.as_str() {
        "md" | "markdown" | "mdown" | "mkd" | "mdx" => Some(Format::Markdown),
        "txt" | "text" | "log" => Some(Format::Text),
        "html" | "htm" | "xhtml" => Some(Format::Html),
        "pdf" => Some(Format::Pdf),
        "docx" | "docm" | "dotx" => Some(Format::Docx),
        "csv" => Some(Format::Csv),
        "tsv" | "tab" => Some(Format::Tsv),
        _ => None,
    }
}

fn from_signature(bytes: &[u8]) -> Option<&'static str> {
    if bytes.get(4..8) == Some(b"ftyp") {
        return Some("a video or image file");
    }
    // Two or three letters may also begin a text; programs and media hold zero bytes soon.
    let head_holds = |wanted: u8| bytes.iter().take(HEAD_BYTES).any(|byte| *byte == wanted);
    match SIGNATURES.iter().find(|(signature, _)| bytes.starts_with(signature)) {
        Some((signature, found)) => (signature.len() > 3 || head_holds(0) || head_holds(0xff)).then_some(*found),
        None if head_holds(0) && !text::is_marked_utf16(bytes) => from_rare_signature(bytes),
        None => None,
    }
}

/// What the tables of others know. Their shortest signatures have two bytes, so ask only about what is no text.
fn from_rare_signature(bytes: &[u8]) -> Option<&'static str> {
    Some(match infer::get(bytes)?.matcher_type() {
        MatcherType::App => "a program",
        MatcherType::Archive => "an archive",
        MatcherType::Audio => "an audio file",
        MatcherType::Book => "a book in a form that is not read",
        MatcherType::Doc => "an office document in a form that is not read",
        MatcherType::Font => "a font",
        MatcherType::Image => "an image",
        MatcherType::Video => "a video file",
        MatcherType::Text | MatcherType::Custom => return None,
    })
}

fn from_archive(bytes: &[u8], by_name: Option<Format>) -> Result<Format, ParseError> {
    let archive = match Archive::open(bytes, &Limits::default()) {
        Ok(archive) => archive,
        Err(error @ ParseError::ExpandsTooMuch { .. }) => return Err(error),
        Err(error) if by_name == Some(Format::Docx) => return Err(error),
        Err(_) => return Err(ParseError::Unsupported { found: "a ZIP archive".to_owned() }),
    };
    if archive.any_name(|name| name.starts_with("word/document") && name.ends_with(".xml")) {
        return Ok(Format::Docx);
    }
    let found = if archive.any_name(|name| name == "xl/workbook.xml" || name == "xl/workbook.bin") {
        "an Excel workbook"
    } else if archive.any_name(|name| name == "ppt/presentation.xml") {
        "a PowerPoint presentation"
    } else if archive.any_name(|name| name == "META-INF/container.xml") {
        "an EPUB book"
    } else if archive.any_name(|name| name == "content.xml") {
        "an OpenDocument file"
    } else {
        "a ZIP archive"
    };
    Err(ParseError::Unsupported { found: found.to_owned() })
}

/// Office wraps a document with a password into a compound file whose directory names `EncryptedPackage` (in UTF-16).
fn from_compound_file(bytes: &[u8]) -> ParseError {
    let name: Vec<u8> = "EncryptedPackage".encode_utf16().flat_map(u16::to_le_bytes).collect();
    if contains(bytes, &name) {
        ParseError::Encrypted
    } else {
        ParseError::Unsupported { found: "an old Office document (before 2007)".to_owned() }
    }
}

/// No helpful name: the declared type decides among the kinds of text, but only if the content is text at all.
fn from_text(file_name: Option<&str>, declared_media_type: Option<&str>, bytes: &[u8]) -> Result<Format, ParseError> {
    let declared = declared_media_type.map(str::trim).filter(|declared| !declared.is_empty());
    let by_type = declared.and_then(Format::from_media_type);
    if matches!(by_type, Some(Format::Pdf | Format::Docx)) {
        let format = by_type.unwrap_or(Format::Pdf);
        return Err(ParseError::damaged(format, format!("the content is not {format}")));
    }
    let head = text::decode_head(bytes, HEAD_BYTES);
    let Some(head) = head else {
        let found = match (file_name.and_then(extension), declared) {
            (Some(extension), _) => format!("a .{extension} file with binary content"),
            (None, Some(declared)) if !declared.starts_with("text/") => {
                format!("of type {}", declared.chars().take(80).collect::<String>())
            }
            _ => "binary data".to_owned(),
        };
        return Err(ParseError::Unsupported { found });
    };
    if let Some(format) = by_type {
        return Ok(format);
    }
    if declared
        .is_some_and(|declared| ["image/", "audio/", "video/", "font/"].iter().any(|class| declared.starts_with(class)))
    {
        let found = format!("of type {}", declared.unwrap_or_default().chars().take(80).collect::<String>());
        return Err(ParseError::Unsupported { found });
    }
    let start = head.trim_start().to_ascii_lowercase();
    let is_html = start.starts_with("<!doctype html")
        || start.starts_with("<html")
        || (start.starts_with("<?xml") && start.contains("<html"));
    Ok(if is_html { Format::Html } else { Format::Text })
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}
