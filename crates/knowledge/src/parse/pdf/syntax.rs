use pdf_extract::{Dictionary, Object, StringFormat};

/// Arrays and dictionaries nested deeper than this are damage or an attack; real files stay below 20.
const DEPTH_MAX: usize = 64;
/// Values within one object; the largest real arrays (page lists, widths) have some tens of thousands.
const VALUES_MAX: usize = 1_000_000;

/// The bytes do not follow the syntax, or exceed its limits.
#[derive(Debug)]
pub(super) struct Malformed;

/// One piece of a PDF file or of a page's content.
pub(super) enum Item<'a> {
    Value(Object),
    /// An operator or a word of the file structure such as `endobj`.
    Word(&'a [u8]),
    End,
}

/// Reads values and words. Never looks back before its position, so a walk through a file is linear.
pub(super) struct Lexer<'a> {
    bytes: &'a [u8],
    pub(super) position: usize,
    values_left: usize,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(bytes: &'a [u8], position: usize) -> Self {
        Self { bytes, position, values_left: VALUES_MAX }
    }

    /// For content, which has many operators but each with few values.
    pub(super) fn forget_count(&mut self) {
        self.values_left = VALUES_MAX;
    }

    pub(super) fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.position..).unwrap_or_default()
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.position).copied()
    }

    fn peek_second(&self) -> Option<u8> {
        self.bytes.get(self.position + 1).copied()
    }

    pub(super) fn skip_space(&mut self) {
        while let Some(byte) = self.peek() {
            if byte == b'%' {
                while self.peek().is_some_and(|byte| byte != b'\n' && byte != b'\r') {
                    self.position += 1;
                }
            } else if is_space(byte) {
                self.position += 1;
            } else {
                return;
            }
        }
    }

    /// The next value or word.
    pub(super) fn next(&mut self) -> Result<Item<'a>, Malformed> {
        self.item(DEPTH_MAX)
    }

    /// The next value; a word or the end is an error.
    pub(super) fn value(&mut self) -> Result<Object, Malformed> {
        match self.next()? {
            Item::Value(value) => Ok(value),
            Item::Word(_) | Item::End => Err(Malformed),
        }
    }

    fn item(&mut self, depth: usize) -> Result<Item<'a>, Malformed> {
        self.skip_space();
        let Some(first) = self.peek() else { return Ok(Item::End) };
        self.values_left = self.values_left.checked_sub(1).ok_or(Malformed)?;
        let value = match first {
            b'/' => Object::Name(self.name()),
            b'(' => Object::String(self.literal_string()?, StringFormat::Literal),
            b'<' if self.peek_second() == Some(b'<') => {
                self.position += 2;
                Object::Dictionary(pairs(self.values_until(b">>", depth)?))
            }
            b'<' => Object::String(self.hexadecimal_string()?, StringFormat::Hexadecimal),
            b'[' => {
                self.position += 1;
                Object::Array(self.values_until(b"]", depth)?)
            }
            b'>' if self.peek_second() == Some(b'>') => return Ok(Item::Word(self.take(2))),
            b']' | b')' | b'>' | b'{' | b'}' => return Ok(Item::Word(self.take(1))),
            b'0'..=b'9' | b'+' | b'-' | b'.' => number(self.regular()),
            _ => match self.regular() {
                b"true" => Object::Boolean(true),
                b"false" => Object::Boolean(false),
                b"null" => Object::Null,
                word => return Ok(Item::Word(word)),
            },
        };
        Ok(Item::Value(value))
    }

    fn take(&mut self, count: usize) -> &'a [u8] {
        let taken = self.bytes.get(self.position..self.position + count).unwrap_or_default();
        self.position += count;
        taken
    }

    /// A run of characters without meaning of their own.
    fn regular(&mut self) -> &'a [u8] {
        let length =
            self.rest().iter().position(|byte| is_space(*byte) || is_delimiter(*byte)).unwrap_or(self.rest().len());
        self.take(length)
    }

    fn name(&mut self) -> Vec<u8> {
        self.position += 1;
        let raw = self.regular();
        if !raw.contains(&b'#') {
            return raw.to_vec();
        }
        let mut name = Vec::with_capacity(raw.len());
        let mut rest = raw;
        while let Some((first, after)) = rest.split_first() {
            let code =
                (*first == b'#').then(|| Some((hexadecimal(*after.first()?)?, hexadecimal(*after.get(1)?)?))).flatten();
            match code {
                Some((high, low)) => {
                    name.push(high * 16 + low);
                    rest = after.get(2..).unwrap_or_default();
                }
                None => {
                    name.push(*first);
                    rest = after;
                }
            }
        }
        name
    }

    fn literal_string(&mut self) -> Result<Vec<u8>, Malformed> {
        self.position += 1;
        let mut string = Vec::new();
        let mut open = 1_usize;
        while let Some(byte) = self.peek() {
            self.position += 1;
            match byte {
                b'(' => open += 1,
                b')' => {
                    open -= 1;
                    if open == 0 {
                        return Ok(string);
                    }
                }
                b'\\' => {
                    self.escape(&mut string);
                    continue;
                }
                b'\r' => {
                    if self.peek() == Some(b'\n') {
                        self.position += 1;
                    }
                    string.push(b'\n');
                    continue;
                }
                _ => {}
            }
            string.push(byte);
        }
        Err(Malformed)
    }

    fn escape(&mut self, string: &mut Vec<u8>) {
        let Some(byte) = self.peek() else { return };
        self.position += 1;
        match byte {
            b'n' => string.push(b'\n'),
            b'r' => string.push(b'\r'),
            b't' => string.push(b'\t'),
            b'b' => string.push(8),
            b'f' => string.push(12),
            b'\n' => {}
            b'\r' => {
                if self.peek() == Some(b'\n') {
                    self.position += 1;
                }
            }
            b'0'..=b'7' => {
                let mut code = u32::from(byte - b'0');
                for _ in 0..2 {
                    let Some(digit @ b'0'..=b'7') = self.peek() else { break };
                    code = code * 8 + u32::from(digit - b'0');
                    self.position += 1;
                }
                string.push((code & 0xff) as u8);
            }
            other => string.push(other),
        }
    }

    fn hexadecimal_string(&mut self) -> Result<Vec<u8>, Malformed> {
        self.position += 1;
        let mut string = Vec::new();
        let mut pending = None;
        while let Some(byte) = self.peek() {
            self.position += 1;
            if byte == b'>' {
                string.extend(pending.map(|high| high * 16));
                return Ok(string);
            }
            let Some(digit) = hexadecimal(byte) else { continue };
            match pending.take() {
                Some(high) => string.push(high * 16 + digit),
                None => pending = Some(digit),
            }
        }
        Err(Malformed)
    }

    /// The values up to a closing bracket, with `12 0 R` as one reference.
    fn values_until(&mut self, close: &[u8], depth: usize) -> Result<Vec<Object>, Malformed> {
        let depth = depth.checked_sub(1).ok_or(Malformed)?;
        let mut values = Vec::new();
        loop {
            match self.item(depth)? {
                Item::Value(value) => values.push(value),
                Item::Word(b"R") => {
                    let reference = match values.as_slice() {
                        [.., Object::Integer(id), Object::Integer(generation)] => {
                            u32::try_from(*id).ok().zip(u16::try_from(*generation).ok())
                        }
                        _ => None,
                    };
                    values.truncate(values.len().saturating_sub(2));
                    values.push(reference.map_or(Object::Null, Object::Reference));
                }
                Item::Word(word) if word == close => return Ok(values),
                // Structure words mean that the bracket was never closed.
                Item::Word(b"endobj" | b"obj" | b"stream" | b"endstream") | Item::End => return Err(Malformed),
                Item::Word(_) => {}
            }
        }
    }
}

/// Names and values in turn; a value without a name is dropped.
fn pairs(values: Vec<Object>) -> Dictionary {
    let mut dictionary = Dictionary::new();
    let mut key = None;
    for value in values {
        match (key.take(), value) {
            (Some(key), value) => dictionary.set::<Vec<u8>, Object>(key, value),
            (None, Object::Name(name)) => key = Some(name),
            (None, _) => {}
        }
    }
    dictionary
}

fn number(text: &[u8]) -> Object {
    let text = std::str::from_utf8(text).unwrap_or_default();
    if let Ok(integer) = text.parse::<i64>() {
        return Object::Integer(integer);
    }
    // Some writers produce "--5" or "12.-3"; readers take what comes before the mistake.
    let sign_end = text.len() - text.trim_start_matches(['+', '-']).len();
    let digits = text.get(sign_end..).unwrap_or_default();
    let end = digits.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(digits.len());
    let magnitude = digits.get(..end).and_then(|digits| digits.parse::<f32>().ok()).unwrap_or(0.0);
    Object::Real(if text.starts_with('-') { -magnitude } else { magnitude })
}

fn hexadecimal(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

pub(super) fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\n' | b'\r' | b'\t' | b'\x0c' | 0)
}

fn is_delimiter(byte: u8) -> bool {
    matches!(byte, b'(' | b')' | b'<' | b'>' | b'[' | b']' | b'{' | b'}' | b'/' | b'%')
}

/// A number as floating point, whichever way it is written.
pub(super) fn float(value: &Object) -> Option<f64> {
    match value {
        Object::Integer(integer) => Some(*integer as f64),
        Object::Real(real) => Some(f64::from(*real)),
        _ => None,
    }
}
