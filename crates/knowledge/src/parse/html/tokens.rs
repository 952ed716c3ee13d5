/// One piece of markup. Character references in text and attributes are not resolved yet.
pub(super) enum Token<'a> {
    /// Character data.
    Text(&'a str),
    /// A start tag: its name in lower case and everything between the name and `>`.
    Start { name: String, attributes: &'a str },
    /// An end tag: its name in lower case.
    End { name: String },
}

/// Splits a page into tags and text in one pass, without building a tree: a tree takes quadratic time on markup that is
/// nested or unclosed on purpose, and the reading order is all that is needed here.
pub(super) struct Tokens<'a> {
    rest: &'a str,
    /// An element whose content is not markup: everything up to its end tag is text.
    raw_text_of: Option<String>,
}

impl<'a> Tokens<'a> {
    pub(super) fn new(markup: &'a str) -> Self {
        Self { rest: markup, raw_text_of: None }
    }

    fn take(&mut self, count: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at_checked(count).unwrap_or((self.rest, ""));
        self.rest = rest;
        taken
    }

    /// Skips to after `end`, or to the end of the page.
    fn skip_past(&mut self, end: &str) {
        let count = self.rest.find(end).map_or(self.rest.len(), |start| start + end.len());
        self.take(count);
    }

    fn tag(&mut self, name_start: usize) -> Option<(String, &'a str)> {
        let length = tag_length(self.rest);
        let whole = self.take(length.unwrap_or(self.rest.len()));
        // A page that ends inside a tag has no such tag.
        length?;
        let inner = whole.get(name_start..whole.len().saturating_sub(1))?;
        let name_end = inner.find(|c: char| c.is_ascii_whitespace() || c == '/').unwrap_or(inner.len());
        let (name, attributes) = inner.split_at_checked(name_end)?;
        Some((name.to_ascii_lowercase(), attributes))
    }
}

impl<'a> Iterator for Tokens<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        loop {
            if self.rest.is_empty() {
                return None;
            }
            if let Some(element) = self.raw_text_of.take() {
                let end = raw_text_end(self.rest, &element);
                let text = self.take(end);
                if !text.is_empty() {
                    return Some(Token::Text(text));
                }
                continue;
            }
            let mut ahead = self.rest.chars();
            match (ahead.next(), ahead.next(), ahead.next()) {
                (Some('<'), Some(letter), _) if letter.is_ascii_alphabetic() => {
                    let Some((name, attributes)) = self.tag(1) else { continue };
                    if matches!(
                        name.as_str(),
                        "script" | "style" | "title" | "textarea" | "xmp" | "iframe" | "noembed" | "noframes"
                    ) {
                        self.raw_text_of = Some(name.clone());
                    }
                    return Some(Token::Start { name, attributes });
                }
                (Some('<'), Some('/'), Some(letter)) if letter.is_ascii_alphabetic() => {
                    let Some((name, _)) = self.tag(2) else { continue };
                    return Some(Token::End { name });
                }
                (Some('<'), Some('!'), _) if self.rest.starts_with("<!--") => {
                    self.take("<!--".len());
                    self.skip_past("-->");
                }
                (Some('<'), Some('!' | '?' | '/'), _) => self.skip_past(">"),
                (Some(first), _, _) => {
                    let after_first = self.rest.get(first.len_utf8()..).unwrap_or_default();
                    let end = after_first.find('<').map_or(self.rest.len(), |next| next + first.len_utf8());
                    return Some(Token::Text(self.take(end)));
                }
                (None, _, _) => return None,
            }
        }
    }
}

/// The length of the tag at the start of `markup`, with its `>`; quoted attribute values may contain `>`.
fn tag_length(markup: &str) -> Option<usize> {
    let mut quote = None;
    let mut after_equals = false;
    for (index, byte) in markup.bytes().enumerate() {
        match (quote, byte) {
            (Some(open), _) if byte == open => quote = None,
            (Some(_), _) => {}
            (None, b'>') => return Some(index + 1),
            (None, b'"' | b'\'') if after_equals => {
                quote = Some(byte);
                after_equals = false;
            }
            (None, b'=') => after_equals = true,
            (None, b' ' | b'\t' | b'\n' | b'\r' | b'\x0c') => {}
            (None, _) => after_equals = false,
        }
    }
    None
}

/// Where the end tag of a raw text element begins, or the end of the page.
fn raw_text_end(markup: &str, element: &str) -> usize {
    let mut from = 0;
    while let Some(found) = markup.get(from..).and_then(|rest| rest.find("</")) {
        let start = from + found;
        let name_start = start + 2;
        let name_end = name_start + element.len();
        let is_name = markup.get(name_start..name_end).is_some_and(|name| name.eq_ignore_ascii_case(element));
        let ends = markup
            .as_bytes()
            .get(name_end)
            .is_none_or(|byte| matches!(byte, b'>' | b'/' | b' ' | b'\t' | b'\n' | b'\r' | b'\x0c'));
        if is_name && ends {
            return start;
        }
        from = name_start;
    }
    markup.len()
}

/// The value of an attribute (unresolved), empty for one without a value.
pub(super) fn attribute<'a>(attributes: &'a str, name: &str) -> Option<&'a str> {
    let is_space = |c: char| c.is_ascii_whitespace() || c == '/';
    let mut rest = attributes.trim_start_matches(is_space);
    while !rest.is_empty() {
        let key_end = rest.find(|c: char| c.is_ascii_whitespace() || c == '/' || c == '=').unwrap_or(rest.len());
        let (key, after_key) = rest.split_at_checked(key_end)?;
        let (value, after) = match after_key.trim_start().strip_prefix('=') {
            None => ("", after_key),
            Some(after_equals) => attribute_value(after_equals.trim_start()),
        };
        if key.eq_ignore_ascii_case(name) {
            return Some(value);
        }
        // A stray "=" must not stop the walk.
        rest = if key.is_empty() && after.len() == rest.len() { after.get(1..).unwrap_or_default() } else { after };
        rest = rest.trim_start_matches(is_space);
    }
    None
}

fn attribute_value(text: &str) -> (&str, &str) {
    for quote in ['"', '\''] {
        if let Some(inner) = text.strip_prefix(quote) {
            return inner.split_once(quote).unwrap_or((inner, ""));
        }
    }
    let end = text.find(|c: char| c.is_ascii_whitespace()).unwrap_or(text.len());
    text.split_at_checked(end).unwrap_or((text, ""))
}
