//! Server-sent events, parsed piece by piece as the bytes come (WHATWG HTML, section 9.2.6).

use crate::Wrong;

/// One event: its `data` lines joined, and its name when it has one.
#[derive(Debug, PartialEq, Eq)]
pub struct SseEvent {
    /// The event's name, when it has one.
    pub name: Option<String>,
    /// Its lines of data, joined.
    pub data: String,
}

/// Writes an event to the end of `out`: a line with its name when it has one, one for each line of its data, and an empty one.
pub fn write_sse_event(name: Option<&str>, data: &str, out: &mut String) {
    if let Some(name) = name {
        out.extend(["event: ", name, "\n"]);
    }
    for line in data.split('\n') {
        out.extend(["data: ", line, "\n"]);
    }
    out.push('\n');
}

/// Keeps what has come of the current line and event. Neither may grow beyond `bytes_max`.
pub struct SseParser {
    line: Vec<u8>,
    name: Option<String>,
    data: Option<String>,
    /// The last byte was a CR that ended a line: an LF right after it belongs to the same line end.
    after_carriage_return: bool,
    at_start: bool,
    bytes_max: usize,
}

impl SseParser {
    /// A parser of one stream, for events of at most `bytes_max`.
    pub fn new(bytes_max: usize) -> Self {
        Self { line: Vec::new(), name: None, data: None, after_carriage_return: false, at_start: true, bytes_max }
    }

    /// Takes the next bytes, wherever they are cut, and appends the events that they complete. What has come of an
    /// event that no empty line ends is not an event.
    ///
    /// # Errors
    /// When an event is too long or the bytes are not UTF-8.
    pub fn push(&mut self, mut bytes: &[u8], events: &mut impl Extend<SseEvent>) -> Result<(), Wrong> {
        if self.after_carriage_return && !bytes.is_empty() {
            self.after_carriage_return = false;
            bytes = bytes.strip_prefix(b"\n").unwrap_or(bytes);
        }
        while let Some(end) = memchr::memchr2(b'\n', b'\r', bytes) {
            let (head, tail) = bytes.split_at(end);
            bytes = match tail {
                [b'\r', b'\n', rest @ ..] => rest,
                [b'\r'] => {
                    self.after_carriage_return = true;
                    &[]
                }
                [_, rest @ ..] => rest,
                [] => &[],
            };
            self.check_length(head)?;
            if self.line.is_empty() {
                events.extend(self.end_line(head)?);
                continue;
            }
            let mut line = std::mem::take(&mut self.line);
            line.extend_from_slice(head);
            events.extend(self.end_line(&line)?);
            // Keeps the buffer for the next line that comes in pieces.
            self.line = line;
            self.line.clear();
        }
        self.check_length(bytes)?;
        self.line.extend_from_slice(bytes);
        Ok(())
    }

    fn check_length(&self, bytes: &[u8]) -> Result<(), Wrong> {
        if self.line.len() + self.data.as_ref().map_or(0, String::len) + bytes.len() > self.bytes_max {
            return Err(Wrong::Malformed(format!("an event of the stream has more than {} bytes", self.bytes_max)));
        }
        Ok(())
    }

    fn end_line(&mut self, line: &[u8]) -> Result<Option<SseEvent>, Wrong> {
        let line = std::str::from_utf8(line).map_err(|_| Wrong::malformed("the stream is not UTF-8"))?;
        let line = if std::mem::take(&mut self.at_start) { line.trim_start_matches('\u{feff}') } else { line };
        if line.is_empty() {
            let name = self.name.take();
            return Ok(self.data.take().map(|data| SseEvent { name, data }));
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "data" => match &mut self.data {
                Some(data) => {
                    data.push('\n');
                    data.push_str(value);
                }
                None => self.data = Some(value.to_owned()),
            },
            "event" => self.name = Some(value.to_owned()),
            // A comment (an empty field name), `id`, `retry` and unknown fields mean nothing here.
            _ => {}
        }
        Ok(None)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;

    fn parse(pieces: &[&[u8]]) -> Vec<SseEvent> {
        let mut parser = SseParser::new(1_000);
        let mut events = Vec::new();
        for piece in pieces {
            parser.push(piece, &mut events).unwrap();
        }
        events
    }

    fn data(events: &[SseEvent]) -> Vec<&str> {
        events.iter().map(|event| event.data.as_str()).collect()
    }

    #[test]
    fn every_cut_gives_the_same_events() {
        let text = "\u{feff}: hello\r\ndata: {\"a\":\"ü\"}\r\n\r\nevent: error\rdata: one\rdata: two\r\r\
                    : ping\n\ndata:[DONE]\n\nid: 7\nretry: 5\nnonsense\n\ndata: unfinished\n";
        let bytes = text.as_bytes();
        let whole = parse(&[bytes]);
        assert_eq!(data(&whole), ["{\"a\":\"ü\"}", "one\ntwo", "[DONE]"]);
        assert_eq!(whole[1].name.as_deref(), Some("error"));
        assert_eq!(whole[2].name, None);
        for cut in 0..=bytes.len() {
            assert_eq!(parse(&[&bytes[..cut], &bytes[cut..]]), whole, "cut at {cut}");
        }
        assert_eq!(parse(&bytes.chunks(1).collect::<Vec<_>>()), whole);
    }

    #[test]
    fn what_is_written_is_read_again() {
        let events = [(None, "{\"a\":1}"), (Some("message_start"), "one\n\ntwo"), (None, "[DONE]")];
        let mut text = String::new();
        for (name, data) in events {
            write_sse_event(name, data, &mut text);
        }
        let read: Vec<(Option<String>, String)> =
            parse(&[text.as_bytes()]).into_iter().map(|event| (event.name, event.data)).collect();
        assert_eq!(read, events.map(|(name, data)| (name.map(str::to_owned), data.to_owned())));
    }

    #[test]
    fn an_empty_data_line_is_an_event_and_an_empty_event_is_not() {
        assert_eq!(data(&parse(&[b"data\n\n\n\ndata:\n\n"])), ["", ""]);
    }

    #[test]
    fn a_line_or_event_without_end_is_refused() {
        let mut parser = SseParser::new(100);
        let mut events = Vec::new();
        assert!(parser.push(&[b'x'; 101], &mut events).is_err());
        let mut parser = SseParser::new(100);
        let outcome = (0..20).try_for_each(|_| parser.push(b"data: 0123456789\n", &mut events));
        assert!(matches!(outcome, Err(Wrong::Malformed(what)) if what.contains("100 bytes")));
        assert!(events.is_empty());
    }

    #[test]
    fn bytes_that_are_not_utf8_are_an_error() {
        let mut parser = SseParser::new(100);
        assert!(parser.push(b"data: \xff\n\n", &mut Vec::new()).is_err());
    }
}
