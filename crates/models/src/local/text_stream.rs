//! Turns the bytes of generated tokens into text that may be shown: whole characters only, and nothing of a stop sequence.

/// Collects bytes and gives text out as soon as it is certain.
pub(super) struct TextStream {
    stops: Vec<String>,
    /// Bytes of a character that is not complete yet.
    bytes: Vec<u8>,
    /// Text that may turn out to be the beginning of a stop sequence.
    held: String,
    stopped: bool,
}

impl TextStream {
    /// Stops at the first occurrence of any of `stops`; empty ones are ignored.
    pub fn new(stops: Vec<String>) -> Self {
        let stops = stops.into_iter().filter(|stop| !stop.is_empty()).collect();
        Self { stops, bytes: Vec::new(), held: String::new(), stopped: false }
    }

    /// Whether a stop sequence was met. Nothing comes after it.
    pub fn stopped(&self) -> bool {
        self.stopped
    }

    /// Takes the bytes of a token; returns the text that is certain now, which may be empty.
    pub fn push(&mut self, bytes: &[u8]) -> String {
        self.bytes.extend_from_slice(bytes);
        self.decode(false);
        self.release(false)
    }

    /// The rest, when no more tokens come.
    pub fn finish(&mut self) -> String {
        self.decode(true);
        self.release(true)
    }

    /// Moves whole characters to `held`. Invalid bytes become U+FFFD; an incomplete character at the end waits unless it
    /// is the end.
    fn decode(&mut self, end: bool) {
        let bytes = std::mem::take(&mut self.bytes);
        for chunk in bytes.utf8_chunks() {
            self.held.push_str(chunk.valid());
            let invalid = chunk.invalid();
            let at_end = invalid.as_ptr_range().end == bytes.as_ptr_range().end;
            if invalid.is_empty() {
                continue;
            }
            if at_end && !end && could_continue(invalid) {
                self.bytes = invalid.to_vec();
            } else {
                self.held.push(char::REPLACEMENT_CHARACTER);
            }
        }
    }

    fn release(&mut self, end: bool) -> String {
        if self.stopped {
            self.held.clear();
            return String::new();
        }
        if let Some(start) = self.stops.iter().filter_map(|stop| self.held.find(stop.as_str())).min() {
            self.stopped = true;
            self.held.truncate(start);
            return std::mem::take(&mut self.held);
        }
        let keep = if end { 0 } else { self.stops.iter().map(|stop| overlap(&self.held, stop)).max().unwrap_or(0) };
        let rest = self.held.split_off(self.held.len() - keep);
        std::mem::replace(&mut self.held, rest)
    }
}

/// Whether more bytes could complete this invalid sequence to a character.
fn could_continue(bytes: &[u8]) -> bool {
    match std::str::from_utf8(bytes) {
        Err(error) => error.error_len().is_none(),
        Ok(_) => false,
    }
}

/// Length of the longest end of `text` that is a proper beginning of `stop`.
fn overlap(text: &str, stop: &str) -> usize {
    stop.char_indices()
        .map(|(index, _)| index)
        .rev()
        .find(|length| text.ends_with(stop.get(..*length).unwrap_or("")))
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(stops: &[&str], pieces: &[&[u8]]) -> (Vec<String>, bool) {
        let mut stream = TextStream::new(stops.iter().map(|stop| (*stop).to_owned()).collect());
        let mut shown: Vec<String> = pieces.iter().map(|piece| stream.push(piece)).collect();
        shown.push(stream.finish());
        (shown, stream.stopped())
    }

    #[test]
    fn characters_are_never_cut() {
        let (shown, _) = run(&[], &[b"a\xF0\x9F", b"\x99\x82", "é".as_bytes(), b"\xE6"]);
        assert_eq!(shown, ["a", "🙂", "é", "", "\u{FFFD}"]);
    }

    #[test]
    fn invalid_bytes_do_not_hold_up_what_follows() {
        let (shown, _) = run(&[], &[b"a\xFFb", b"\xC3", b"x"]);
        assert_eq!(shown, ["a\u{FFFD}b", "", "\u{FFFD}x", ""]);
    }

    #[test]
    fn stop_sequences_are_held_back_across_tokens_and_never_shown() {
        let (shown, stopped) = run(&["\n\nUser:"], &[b"Hello\n", b"\nUs", b"er: more"]);
        assert_eq!((shown.concat(), stopped), ("Hello".to_owned(), true));
        let (shown, stopped) = run(&["\n\nUser:"], &[b"Hello\n", b"\nUs", b" all"]);
        assert_eq!(
            (shown, stopped),
            (vec!["Hello".to_owned(), String::new(), "\n\nUs all".to_owned(), String::new()], false)
        );
    }

    #[test]
    fn the_earliest_of_several_stops_wins_and_an_unfinished_one_is_shown_at_the_end() {
        let (shown, stopped) = run(&["END", "b"], &[b"ab END"]);
        assert_eq!((shown.concat(), stopped), ("a".to_owned(), true));
        let (shown, stopped) = run(&["END", ""], &[b"x EN"]);
        assert_eq!((shown, stopped), (vec!["x ".to_owned(), "EN".to_owned()], false));
    }

    #[test]
    fn nothing_follows_a_stop() {
        let mut stream = TextStream::new(vec!["ab".to_owned()]);
        assert_eq!(
            (stream.push(b"aab"), stream.push(b"more"), stream.finish()),
            ("a".to_owned(), String::new(), String::new())
        );
    }

    #[test]
    fn stops_of_several_byte_characters_are_found() {
        let (shown, stopped) = run(&["é🙂"], &[b"x\xC3", b"\xA9", "🙂".as_bytes(), b"y"]);
        assert_eq!((shown.concat(), stopped), ("x".to_owned(), true));
    }
}
