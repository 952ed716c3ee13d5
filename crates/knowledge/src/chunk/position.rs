/// Bytes between two remembered positions: a lookup counts at most this many bytes.
const STRIDE: usize = 256;

/// Converts byte offsets of a text into offsets in Unicode code points and back. Building it reads the text once; each
/// conversion then takes well under a microsecond.
pub struct CodePointIndex<'a> {
    text: &'a str,
    /// Code points before each multiple of the stride; empty for pure ASCII, where both offsets are equal.
    before: Vec<usize>,
}

impl<'a> CodePointIndex<'a> {
    /// Reads a text.
    pub fn new(text: &'a str) -> Self {
        if text.is_ascii() {
            return Self { text, before: Vec::new() };
        }
        let mut count = 0;
        let before = text
            .as_bytes()
            .chunks(STRIDE)
            .map(|chunk| {
                let before = count;
                count += code_points_in(chunk);
                before
            })
            .collect();
        Self { text, before }
    }

    /// The number of code points before a byte offset. An offset inside a character counts as before it, one after the end
    /// as the end.
    pub fn code_points(&self, byte_offset: usize) -> usize {
        let mut offset = byte_offset.min(self.text.len());
        if self.before.is_empty() {
            return offset;
        }
        while !self.text.is_char_boundary(offset) {
            offset -= 1;
        }
        let stride = offset / STRIDE;
        match self.before.get(stride) {
            Some(before) => {
                before + code_points_in(self.text.as_bytes().get(stride * STRIDE..offset).unwrap_or_default())
            }
            // At the very end of a text whose length is a multiple of the stride.
            None => self.length(),
        }
    }

    /// The byte offset of a code point; the text's length for one after the end.
    pub fn byte_offset(&self, code_point: usize) -> usize {
        if self.before.is_empty() {
            return code_point.min(self.text.len());
        }
        let stride = self.before.partition_point(|before| *before <= code_point).saturating_sub(1);
        let start = stride * STRIDE;
        let mut left = code_point.saturating_sub(self.before.get(stride).copied().unwrap_or(0));
        for (index, byte) in self.text.as_bytes().get(start..).unwrap_or_default().iter().enumerate() {
            if starts_character(*byte) {
                if left == 0 {
                    return start + index;
                }
                left -= 1;
            }
        }
        self.text.len()
    }

    /// The number of code points of the whole text.
    pub fn length(&self) -> usize {
        match self.before.last() {
            None => self.text.len(),
            Some(before) => {
                before
                    + code_points_in(self.text.as_bytes().get((self.before.len() - 1) * STRIDE..).unwrap_or_default())
            }
        }
    }
}

fn starts_character(byte: u8) -> bool {
    byte & 0xc0 != 0x80
}

fn code_points_in(bytes: &[u8]) -> usize {
    bytes.iter().filter(|byte| starts_character(**byte)).count()
}
