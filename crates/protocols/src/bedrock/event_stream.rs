//! The encoding of AWS event streams, `application/vnd.amazon.eventstream` ("Amazon Transcribe Developer Guide", "Event
//! stream encoding"; Smithy's "Amazon Event Stream Specification").
//!
//! A message is: its total length, the length of its headers, the CRC-32 of these eight bytes, the headers, the
//! payload, the CRC-32 of all before it. Numbers are big-endian, lengths and checksums of 32 bits.

use crate::Wrong;

/// The two lengths and their checksum.
const PRELUDE_BYTES: usize = 12;
/// The checksum at the end.
const CHECKSUM_BYTES: usize = 4;
/// The least that a message has: prelude and checksum.
const MESSAGE_BYTES_MIN: usize = PRELUDE_BYTES + CHECKSUM_BYTES;

/// A message of a stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventMessage {
    /// `event`, `exception` (an error that the service documents) or `error` (another); empty when it does not say.
    pub message_type: String,
    /// The event's name, such as `contentBlockDelta`.
    pub event_type: Option<String>,
    /// The class of an exception, such as `throttlingException`, or the code of an error.
    pub exception_type: Option<String>,
    /// What an error says; an exception says it in its payload.
    pub error_message: Option<String>,
    /// Mostly JSON.
    pub payload: Vec<u8>,
}

/// Takes a stream apart piece by piece as the bytes come.
#[derive(Debug)]
pub struct EventStreamDecoder {
    /// What has come of the message that is not complete.
    buffer: Vec<u8>,
    bytes_max: usize,
}

impl EventStreamDecoder {
    /// A decoder of one stream, for messages of at most `bytes_max`.
    pub fn new(bytes_max: usize) -> Self {
        Self { buffer: Vec::new(), bytes_max }
    }

    /// Takes the next bytes, wherever they are cut, and appends the messages that they complete.
    ///
    /// # Errors
    /// When a message is too long, damaged or wrongly built. The stream cannot be read on.
    pub fn push(&mut self, bytes: &[u8], messages: &mut Vec<EventMessage>) -> Result<(), Wrong> {
        self.buffer.extend_from_slice(bytes);
        let mut rest = self.buffer.as_slice();
        while let Some((message, tail)) = split_message(rest, self.bytes_max)? {
            messages.push(read_message(message)?);
            rest = tail;
        }
        let taken = self.buffer.len() - rest.len();
        self.buffer.drain(..taken);
        Ok(())
    }

    /// Whether a message has begun that is not complete.
    pub fn is_within_message(&self) -> bool {
        !self.buffer.is_empty()
    }
}

/// The parts of the first message, whose checksums have been verified, and what follows it; `None` when more bytes are
/// needed. The lengths are verified as soon as they are there, so that a damaged one does not make the reader wait for
/// gigabytes.
fn split_message(bytes: &[u8], bytes_max: usize) -> Result<Option<(Parts<'_>, &[u8])>, Wrong> {
    let mut rest = bytes;
    let (Some(total), Some(headers)) = (take_u32(&mut rest), take_u32(&mut rest)) else { return Ok(None) };
    let Some(checksum) = take_u32(&mut rest) else { return Ok(None) };
    let lengths = bytes.get(..PRELUDE_BYTES - CHECKSUM_BYTES).unwrap_or_default();
    if crc32fast::hash(lengths) != checksum {
        return Err(Wrong::malformed("the checksum of a message's lengths in the event stream is wrong"));
    }
    let (total, headers) = (total as usize, headers as usize);
    if total > bytes_max {
        return Err(Wrong::Malformed(format!("a message of the event stream has more than {bytes_max} bytes")));
    }
    let content = total.checked_sub(MESSAGE_BYTES_MIN);
    let Some(payload) = content.and_then(|content| content.checked_sub(headers)) else {
        return Err(Wrong::malformed("the lengths of a message in the event stream contradict each other"));
    };
    let Some((message, tail)) = bytes.split_at_checked(total) else { return Ok(None) };
    let (Some(headers), Some(payload), Some(checksum)) =
        (take(&mut rest, headers), take(&mut rest, payload), take_u32(&mut rest))
    else {
        return Ok(None);
    };
    if crc32fast::hash(message.get(..total - CHECKSUM_BYTES).unwrap_or_default()) != checksum {
        return Err(Wrong::malformed("the checksum of a message in the event stream is wrong"));
    }
    Ok(Some((Parts { headers, payload }, tail)))
}

struct Parts<'a> {
    headers: &'a [u8],
    payload: &'a [u8],
}

fn read_message(parts: Parts<'_>) -> Result<EventMessage, Wrong> {
    let mut message = EventMessage { payload: parts.payload.to_vec(), ..EventMessage::default() };
    let mut headers = parts.headers;
    while !headers.is_empty() {
        let Some((name, value)) = take_header(&mut headers) else {
            return Err(Wrong::malformed("the headers of a message in the event stream are wrongly built"));
        };
        let Some(value) = value else { continue };
        let text = || String::from_utf8_lossy(value).into_owned();
        match name {
            b":message-type" => message.message_type = text(),
            b":event-type" => message.event_type = Some(text()),
            b":exception-type" | b":error-code" => message.exception_type = Some(text()),
            b":error-message" => message.error_message = Some(text()),
            _ => {}
        }
    }
    Ok(message)
}

/// A header's name, and its value when that is a text. `None` when it is wrongly built.
fn take_header<'a>(bytes: &mut &'a [u8]) -> Option<(&'a [u8], Option<&'a [u8]>)> {
    let name_bytes = take_u8(bytes)?;
    let name = take(bytes, name_bytes.into())?;
    let kind = take_u8(bytes)?;
    let value_bytes = match kind {
        // True and false.
        0 | 1 => 0,
        // Whole numbers of 8, 16, 32 and 64 bits.
        2 => 1,
        3 => 2,
        4 => 4,
        5 => 8,
        // Bytes and a text, of a length that stands before them.
        6 | 7 => take_u16(bytes)?.into(),
        // Milliseconds since 1970.
        8 => 8,
        // A UUID.
        9 => 16,
        _ => return None,
    };
    let value = take(bytes, value_bytes)?;
    Some((name, (kind == 7).then_some(value)))
}

fn take<'a>(bytes: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (head, tail) = bytes.split_at_checked(count)?;
    *bytes = tail;
    Some(head)
}

fn take_array<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (head, tail) = bytes.split_first_chunk()?;
    *bytes = tail;
    Some(*head)
}

fn take_u8(bytes: &mut &[u8]) -> Option<u8> {
    take_array(bytes).map(u8::from_be_bytes)
}

fn take_u16(bytes: &mut &[u8]) -> Option<u16> {
    take_array(bytes).map(u16::from_be_bytes)
}

fn take_u32(bytes: &mut &[u8]) -> Option<u32> {
    take_array(bytes).map(u32::from_be_bytes)
}

/// A message with headers that are texts, for servers that play Bedrock. Names are cut at 255 bytes, values at 65,535.
pub fn encode(headers: &[(&str, &str)], payload: &[u8]) -> Vec<u8> {
    let mut written = Vec::new();
    for (name, value) in headers {
        let name_bytes = u8::try_from(name.len()).unwrap_or(u8::MAX);
        written.push(name_bytes);
        written.extend(name.bytes().take(name_bytes.into()));
        written.push(7);
        let value_bytes = u16::try_from(value.len()).unwrap_or(u16::MAX);
        written.extend(value_bytes.to_be_bytes());
        written.extend(value.bytes().take(value_bytes.into()));
    }
    let length = |bytes: usize| u32::try_from(bytes).unwrap_or(u32::MAX).to_be_bytes();
    let mut message = Vec::with_capacity(MESSAGE_BYTES_MIN + written.len() + payload.len());
    message.extend(length(MESSAGE_BYTES_MIN + written.len() + payload.len()));
    message.extend(length(written.len()));
    message.extend(crc32fast::hash(&message).to_be_bytes());
    message.extend(written);
    message.extend(payload);
    message.extend(crc32fast::hash(&message).to_be_bytes());
    message
}

#[cfg(test)]
mod tests;
