//! The lines of a batch's input, read piece by piece.

use std::collections::BTreeMap;

use bytes::{Buf as _, Bytes, BytesMut};
use futures::{StreamExt as _, stream::BoxStream};
use plasma_kernel::{Ctx, Error, Result};
use serde::{Deserialize, Serialize};

use super::{BatchEndpoint, BatchError, Cursor};
use crate::{
    Models,
    files::File,
    upstream::{RawObject, depth_allowed},
};

/// Bytes of one line, without its end.
pub(super) const LINE_BYTES_MAX: usize = 1 << 20;
/// Bytes of one line of a provider's results.
const RESULT_BYTES_MAX: usize = 16 << 20;
const CUSTOM_ID_CHARS_MAX: usize = 256;
/// Characters of what is wrong with a line.
const MISTAKE_CHARS_MAX: usize = 300;
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// Reads lines from a place of a file on. Lines with nothing but spaces are left out, and counted.
pub(super) struct Lines {
    stream: BoxStream<'static, Result<Bytes>>,
    bytes_max: usize,
    buffer: BytesMut,
    /// Bytes of the buffer that have no line's end.
    searched: usize,
    /// Where the next line begins.
    next: Cursor,
    ended: bool,
}

/// One line.
pub(super) struct Line {
    pub(super) number: u64,
    /// `None` when it is too long.
    pub(super) text: Option<Bytes>,
}

impl Lines {
    /// The lines of `file` from `from` on.
    pub(super) async fn open(models: &Models, ctx: &Ctx, file: &File, from: Cursor) -> Result<Self> {
        let at_end = from.offset >= file.size_bytes;
        let stream = if at_end {
            futures::stream::empty().boxed()
        } else {
            models.inner.store.blobs().stream(ctx, &file.blob, from.offset).await?
        };
        Ok(Self::new(stream, from))
    }

    /// The lines of a provider's results.
    pub(super) fn of_results(stream: BoxStream<'static, Result<Bytes>>) -> Self {
        Self { bytes_max: RESULT_BYTES_MAX, ..Self::new(stream, Cursor::START) }
    }

    fn new(stream: BoxStream<'static, Result<Bytes>>, from: Cursor) -> Self {
        Self { stream, bytes_max: LINE_BYTES_MAX, buffer: BytesMut::new(), searched: 0, next: from, ended: false }
    }

    /// Where the line after the last one begins.
    pub(super) fn place(&self) -> Cursor {
        self.next
    }

    /// The next line that is not empty.
    pub(super) async fn next(&mut self) -> Result<Option<Line>> {
        loop {
            match self.any_line().await? {
                Some(line) if line.text.as_ref().is_some_and(|text| text.trim_ascii().is_empty()) => {}
                line => return Ok(line),
            }
        }
    }

    async fn any_line(&mut self) -> Result<Option<Line>> {
        let mut too_long = false;
        loop {
            let unsearched = self.buffer.get(self.searched..).unwrap_or_default();
            if let Some(end) = unsearched.iter().position(|byte| *byte == b'\n') {
                let bytes = self.searched + end;
                let text = self.buffer.split_to(bytes).freeze();
                self.buffer.advance(1);
                return Ok(Some(self.line(text, 1, too_long)));
            }
            self.searched = self.buffer.len();
            if self.buffer.len() > self.bytes_max {
                // The rest of it is passed over, not held.
                too_long = true;
                self.next.offset += self.buffer.len() as u64;
                self.buffer.clear();
                self.searched = 0;
            }
            if self.ended {
                let rest = self.buffer.split().freeze();
                return Ok((!rest.is_empty() || too_long).then(|| self.line(rest, 0, too_long)));
            }
            match self.stream.next().await.transpose()? {
                Some(piece) => self.buffer.extend_from_slice(&piece),
                None => self.ended = true,
            }
        }
    }

    fn line(&mut self, mut text: Bytes, end: u64, too_long: bool) -> Line {
        let number = self.next.line;
        let is_first = self.next == Cursor::START;
        self.next = Cursor { line: number + 1, offset: self.next.offset + text.len() as u64 + end };
        self.searched = 0;
        if text.ends_with(b"\r") {
            text.truncate(text.len() - 1);
        }
        if is_first && text.starts_with(BYTE_ORDER_MARK) {
            text.advance(BYTE_ORDER_MARK.len());
        }
        let fits = !too_long && text.len() <= self.bytes_max;
        Line { number, text: fits.then_some(text) }
    }
}

/// A line that can be answered.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) custom_id: String,
    pub(super) body: RawObject,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct WireLine {
    custom_id: String,
    method: String,
    url: String,
    body: RawObject,
}

impl Asked {
    /// The line once more.
    pub(super) fn into_json(self, endpoint: BatchEndpoint) -> Result<String> {
        let Self { custom_id, body } = self;
        let line = WireLine { custom_id, method: "POST".to_owned(), url: endpoint.as_str().to_owned(), body };
        serde_json::to_string(&line).map_err(|error| Error::from_source("a line could not be written", error))
    }
}

impl Line {
    /// What the line asks for, or what is wrong with it.
    pub(super) fn parse(&self, endpoint: BatchEndpoint) -> Result<Asked, BatchError> {
        let Some(text) = &self.text else {
            return Err(self.mistake("line_too_long", None, format!("a line has at most {LINE_BYTES_MAX} bytes")));
        };
        let line: WireLine = serde_json::from_slice(text).map_err(|error| {
            self.mistake("invalid_json_line", None, format!("is not a request of a batch: {error}"))
        })?;
        let WireLine { custom_id, method, url, body } = line;
        let characters = custom_id.chars().count();
        if characters == 0 || characters > CUSTOM_ID_CHARS_MAX || custom_id.contains('\0') {
            let message = format!("must have 1 to {CUSTOM_ID_CHARS_MAX} characters and no NUL");
            return Err(self.mistake("invalid_custom_id", Some("custom_id"), message));
        }
        if method != "POST" {
            return Err(self.mistake("invalid_method", Some("method"), "must be `POST`".to_owned()));
        }
        if url != endpoint.as_str() {
            let message = format!("must be `{}`, the batch's endpoint", endpoint.as_str());
            return Err(self.mistake("mismatched_url", Some("url"), message));
        }
        if !body.values().all(depth_allowed) {
            return Err(self.mistake("invalid_body", Some("body"), "is nested more than 128 levels deep".to_owned()));
        }
        if body.text("stream").is_some_and(|stream| stream != "false") {
            return Err(self.mistake("invalid_body", Some("body.stream"), "a batch answers no streams".to_owned()));
        }
        Ok(Asked { custom_id, body })
    }

    // A reader of JSON may repeat the whole line.
    fn mistake(&self, code: &str, param: Option<&str>, message: String) -> BatchError {
        BatchError {
            code: code.to_owned(),
            message: format!("line {}: {}", self.number, cut(&message)),
            param: param.map(str::to_owned),
            line: Some(self.number),
        }
    }

    /// The same `custom_id` stands in an earlier line.
    pub(super) fn duplicate(&self, custom_id: &str, earlier: &BTreeMap<String, u64>) -> Option<BatchError> {
        let first = earlier.get(custom_id)?;
        let message = format!("`{custom_id}` is the custom_id of line {first} too");
        Some(self.mistake("duplicate_custom_id", Some("custom_id"), message))
    }
}

/// The beginning of a message that was written elsewhere.
pub(super) fn cut(message: &str) -> String {
    message.chars().take(MISTAKE_CHARS_MAX).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn in_pieces(text: &[u8], piece: usize) -> BoxStream<'static, Result<Bytes>> {
        let pieces: Vec<_> = text.chunks(piece).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
        futures::stream::iter(pieces).boxed()
    }

    async fn all(text: &[u8], piece: usize) -> (Vec<(u64, Option<String>)>, Cursor) {
        let mut lines = Lines::new(in_pieces(text, piece), Cursor::START);
        let mut read = Vec::new();
        while let Some(line) = lines.next().await.unwrap() {
            read.push((line.number, line.text.map(|text| String::from_utf8(text.into()).unwrap())));
        }
        (read, lines.place())
    }

    #[tokio::test]
    async fn lines_are_the_same_however_the_bytes_come() {
        let text = "\u{feff}a\r\n\n  \nbé\nc".as_bytes();
        for piece in [1, 2, 3, 100] {
            let (lines, end) = all(text, piece).await;
            let wanted = [(1, "a"), (4, "bé"), (5, "c")].map(|(number, text)| (number, Some(text.to_owned())));
            assert_eq!(lines, wanted);
            assert_eq!(end, Cursor { line: 6, offset: text.len() as u64 });
        }
        assert_eq!(all(b"", 1).await.0, []);
    }

    #[tokio::test]
    async fn reading_goes_on_at_any_line() {
        let text = b"first\nsecond\nthird\n";
        let mut lines = Lines::new(in_pieces(text, 4), Cursor::START);
        lines.next().await.unwrap().unwrap();
        let place = lines.place();
        let rest = text.get(usize::try_from(place.offset).unwrap()..).unwrap();
        let mut lines = Lines::new(in_pieces(rest, 5), place);
        let second = lines.next().await.unwrap().unwrap();
        assert_eq!((second.number, second.text.as_deref()), (2, Some(b"second".as_slice())));
    }

    #[tokio::test]
    async fn a_line_that_is_too_long_is_passed_over() {
        let text = format!("{}\n{}\nend", "x".repeat(LINE_BYTES_MAX + 1), "y".repeat(LINE_BYTES_MAX));
        let (lines, end) = all(text.as_bytes(), 100_000).await;
        assert_eq!(lines.first(), Some(&(1, None)));
        assert_eq!(
            lines.get(1).map(|(number, text)| (*number, text.as_ref().unwrap().len())),
            Some((2, LINE_BYTES_MAX))
        );
        assert_eq!(lines.get(2), Some(&(3, Some("end".to_owned()))));
        assert_eq!(end.offset, text.len() as u64);
    }

    #[test]
    fn mistakes_name_their_line_and_field() {
        let parse = |text: &str| {
            let line = Line { number: 7, text: Some(Bytes::copy_from_slice(text.as_bytes())) };
            line.parse(BatchEndpoint::Embeddings)
        };
        let good = r#"{"custom_id":"a","method":"POST","url":"/v1/embeddings","body":{"input":"x"}}"#;
        assert_eq!(parse(good).unwrap().custom_id, "a");
        for (from, to, code, param) in [
            (good, "nonsense", "invalid_json_line", None),
            (good, "[]", "invalid_json_line", None),
            (r#""custom_id":"a","#, "", "invalid_json_line", None),
            (r#""a""#, r#""""#, "invalid_custom_id", Some("custom_id")),
            ("POST", "GET", "invalid_method", Some("method")),
            ("/v1/embeddings", "/v1/responses", "mismatched_url", Some("url")),
            (r#""input":"x""#, r#""stream":true"#, "invalid_body", Some("body.stream")),
            (r#"{"input":"x"}"#, "7", "invalid_json_line", None),
        ] {
            let error = parse(&good.replace(from, to)).unwrap_err();
            assert_eq!((error.code.as_str(), error.param.as_deref(), error.line), (code, param, Some(7)), "{error:?}");
            assert!(error.message.starts_with("line 7"), "{error:?}");
        }
        let long = "x".repeat(LINE_BYTES_MAX / 2);
        let error = parse(&good.replace("method", &long)).unwrap_err();
        assert!(error.message.chars().count() <= MISTAKE_CHARS_MAX + 10, "{} characters", error.message.len());
        let deep = format!(r#"{{"input":{}{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
        parse(&good.replace(r#"{"input":"x"}"#, &deep)).unwrap_err();
    }
}
