use std::fmt;

use plasma_kernel::{Code, Error};

use super::Format;

/// Why a document could not be read. Every variant has a stable [`ParseError::reason`], a message for a person and,
/// where something can be done about it, a remedy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ParseError {
    /// The file is of a kind that is not read at all.
    Unsupported {
        /// What the file seems to be, such as `a PNG image`.
        found: String,
    },
    /// The file has no bytes, or nothing in it is text.
    Empty,
    /// A size, count or depth limit was passed.
    TooLarge {
        /// What was counted, such as `bytes of text`.
        what: &'static str,
        /// The limit that was passed.
        limit: u64,
    },
    /// Decompressing the file would produce far more data than a document of its size holds.
    ExpandsTooMuch {
        /// Which part and which limit.
        detail: String,
    },
    /// The file claims a format that its content does not follow.
    Damaged {
        /// The format that was expected.
        format: Format,
        /// Where and what, as far as it is known.
        detail: String,
    },
    /// The file is protected with a password.
    Encrypted,
    /// A PDF whose pages hold pictures only.
    NoText {
        /// Number of pages that were looked at.
        pages: usize,
    },
    /// The bytes are not text in an encoding that can be recognized.
    NotText {
        /// Where and what.
        detail: String,
    },
}

impl ParseError {
    pub(crate) fn damaged(format: Format, detail: impl Into<String>) -> Self {
        Self::Damaged { format, detail: detail.into() }
    }

    /// The stable identifier that programs may match on.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Unsupported { .. } => "document_type_unsupported",
            Self::Empty => "document_empty",
            Self::TooLarge { .. } => "document_too_large",
            Self::ExpandsTooMuch { .. } => "archive_bomb",
            Self::Damaged { .. } => "document_damaged",
            Self::Encrypted => "document_encrypted",
            Self::NoText { .. } => "pdf_without_text",
            Self::NotText { .. } => "text_encoding_unknown",
        }
    }

    /// What the person who brought the document can do.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::Unsupported { .. } => "convert the document to one of the supported formats and upload it again",
            Self::Empty => "upload a document that contains text",
            Self::TooLarge { .. } => "split the document into smaller ones",
            Self::ExpandsTooMuch { .. } => {
                "open the document in the program that made it, save it anew and upload the new file"
            }
            Self::Damaged { .. } => {
                "check that the file opens in the program that made it, save it anew and upload the new file"
            }
            Self::Encrypted => "remove the password from the document and upload it again",
            Self::NoText { .. } => "run text recognition (OCR) on the document first, then upload the result",
            Self::NotText { .. } => "save the document as UTF-8 text and upload it again",
        }
    }

    /// The class of failure: over a limit, or a wrong document. Trying again with the same bytes never helps.
    pub fn code(&self) -> Code {
        match self {
            Self::TooLarge { .. } | Self::ExpandsTooMuch { .. } => Code::TooLarge,
            _ => Code::Invalid,
        }
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unsupported { found } => {
                write!(formatter, "the file is {found}, which cannot be read; supported are {}", Format::SUPPORTED)
            }
            Self::Empty => formatter.write_str("the document contains no text"),
            Self::TooLarge { what, limit } => write!(formatter, "the document has more than {limit} {what}"),
            Self::ExpandsTooMuch { detail } => {
                write!(formatter, "the document unpacks to far more data than it may: {detail}")
            }
            Self::Damaged { format, detail } => write!(formatter, "the {format} document is damaged: {detail}"),
            Self::Encrypted => formatter.write_str("the document is protected with a password"),
            Self::NoText { pages: 1 } => {
                formatter.write_str("the PDF has one page without any text; it is probably a scan")
            }
            Self::NoText { pages } => {
                write!(formatter, "the PDF has {pages} pages without any text; it is probably a scan")
            }
            Self::NotText { detail } => write!(formatter, "the document is not readable text: {detail}"),
        }
    }
}

impl std::error::Error for ParseError {}

impl From<ParseError> for Error {
    fn from(error: ParseError) -> Self {
        Error::new(error.code(), error.reason(), error.to_string()).remedy(error.remedy())
    }
}
