//! Streams of `ConverseStream`.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::Value;

use super::{
    answer::{image, is_server_tool, read_usage, redacted, signature, stop_reason, stop_sequence, text},
    error::read_exception,
    event_stream::EventMessage,
};
use crate::{
    Wrong,
    chat::{Content, Delta, Part, PartStart},
};

/// The choice of an answer that has one.
const CHOICE: u32 = 0;
/// Bytes of a signature, of sealed thoughts or of an image: these are kept until they are complete. Real ones have some
/// megabytes at most.
const KEPT_BYTES_MAX: usize = 32 * 1024 * 1024;

/// Reads the messages of one stream.
#[derive(Debug, Default)]
pub struct StreamReader {
    started: bool,
    /// The block that has begun and not ended, with its number.
    open: Option<(u64, Block)>,
    stopped: bool,
}

#[derive(Debug)]
enum Block {
    Text,
    Reasoning {
        signature: String,
    },
    ToolCall,
    /// Sealed thoughts, told when they are complete.
    Redacted(Vec<u8>),
    /// An image, told when it is complete.
    Image {
        format: String,
        bytes: Vec<u8>,
    },
    /// Of a tool that runs at AWS.
    Ignored,
}

impl StreamReader {
    /// A reader of one stream.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether the answer is complete. The tokens used follow in one more message.
    pub fn is_complete(&self) -> bool {
        self.stopped
    }

    /// Takes the next message and appends the pieces that it brings.
    ///
    /// # Errors
    /// [`Wrong::Told`] when it is an exception, [`Wrong::Malformed`] when it does not follow the protocol.
    pub fn read(&mut self, message: &EventMessage, deltas: &mut Vec<Delta>) -> Result<(), Wrong> {
        if message.exception_type.is_some() || matches!(message.message_type.as_str(), "exception" | "error") {
            return Err(Wrong::Told(read_exception(message)));
        }
        let event = message.event_type.as_deref().unwrap_or("");
        let known = match event {
            "metadata" => true,
            "messageStart" | "contentBlockStart" | "contentBlockDelta" | "contentBlockStop" | "messageStop" => {
                !self.stopped
            }
            _ => false,
        };
        if !known {
            return Ok(());
        }
        let body: Value = serde_json::from_slice(&message.payload)
            .map_err(|error| Wrong::Malformed(format!("an event `{event}` of the stream is not JSON: {error}")))?;
        if !self.started {
            self.started = true;
            deltas.push(Delta::Start { id: String::new(), model: String::new(), created: None });
        }
        match event {
            "contentBlockStart" => self.start_block(&body, deltas),
            "contentBlockDelta" => return self.append(&body, deltas),
            // A text block without text has not been opened.
            "contentBlockStop" if matches!(&self.open, Some((index, _)) if *index == block_index(&body)) => {
                self.close(deltas);
            }
            "messageStop" => {
                self.close(deltas);
                self.stopped = true;
                let (reason, sequence) = (stop_reason(&body), stop_sequence(&body));
                deltas.push(Delta::Stop { choice: CHOICE, reason, sequence });
            }
            "metadata" => deltas.extend(body.get("usage").and_then(read_usage).map(Delta::Usage)),
            _ => {}
        }
        Ok(())
    }

    fn start_block(&mut self, body: &Value, deltas: &mut Vec<Delta>) {
        self.close(deltas);
        let Some(start) = body.get("start").and_then(Value::as_object) else { return };
        let block = if let Some(tool) = start.get("toolUse") {
            if is_server_tool(tool) {
                Block::Ignored
            } else {
                let (id, name) = (text(tool, "toolUseId").to_owned(), text(tool, "name").to_owned());
                deltas.push(Delta::Open { choice: CHOICE, part: PartStart::ToolCall { id, name } });
                Block::ToolCall
            }
        } else if let Some(image) = start.get("image") {
            Block::Image { format: text(image, "format").to_owned(), bytes: Vec::new() }
        } else if start.contains_key("toolResult") {
            Block::Ignored
        } else {
            // Texts and thoughts say what they are with their first piece.
            return;
        };
        self.open = Some((block_index(body), block));
    }

    fn append(&mut self, body: &Value, deltas: &mut Vec<Delta>) -> Result<(), Wrong> {
        let index = block_index(body);
        let Some(delta) = body.get("delta").and_then(Value::as_object) else { return Ok(()) };
        if matches!(&self.open, Some((open, Block::Ignored)) if *open == index) {
            return Ok(());
        }
        for (kind, piece) in delta {
            match kind.as_str() {
                "text" => {
                    let more = piece.as_str().unwrap_or("");
                    self.append_text(index, more, Block::Text, deltas);
                }
                "toolUse" => {
                    if !matches!(&self.open, Some((open, Block::ToolCall)) if *open == index) {
                        return Err(Wrong::malformed("the stream brings a tool's input outside of its call"));
                    }
                    append(text(piece, "input"), deltas);
                }
                "reasoningContent" => self.append_reasoning(index, piece, deltas)?,
                "image" => {
                    let more = piece.get("source").map_or("", |source| text(source, "bytes"));
                    if let Some((open, Block::Image { bytes, .. })) = &mut self.open
                        && *open == index
                    {
                        keep(bytes, &decode(more)?)?;
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn append_reasoning(&mut self, index: u64, piece: &Value, deltas: &mut Vec<Delta>) -> Result<(), Wrong> {
        let thought = || Block::Reasoning { signature: String::new() };
        self.append_text(index, text(piece, "text"), thought(), deltas);
        let seal = text(piece, "signature");
        if !seal.is_empty()
            && let Block::Reasoning { signature } = self.ensure(index, thought(), deltas)
        {
            if signature.len() + seal.len() > KEPT_BYTES_MAX {
                return Err(too_long());
            }
            signature.push_str(seal);
        }
        let sealed = text(piece, "redactedContent");
        if !sealed.is_empty()
            && let Block::Redacted(bytes) = self.ensure(index, Block::Redacted(Vec::new()), deltas)
        {
            keep(bytes, &decode(sealed)?)?;
        }
        Ok(())
    }

    fn append_text(&mut self, index: u64, more: &str, block: Block, deltas: &mut Vec<Delta>) {
        if !more.is_empty() {
            self.ensure(index, block, deltas);
            append(more, deltas);
        }
    }

    /// The open block, when it is of this number and kind; else `block`, which is opened.
    fn ensure(&mut self, index: u64, block: Block, deltas: &mut Vec<Delta>) -> &mut Block {
        let same = |(open, kind): &(u64, Block)| {
            *open == index && std::mem::discriminant(kind) == std::mem::discriminant(&block)
        };
        if !self.open.as_ref().is_some_and(same) {
            self.close(deltas);
            let part = match &block {
                Block::Text => Some(PartStart::Text),
                Block::Reasoning { .. } => Some(PartStart::Reasoning { summary: false, id: None }),
                _ => None,
            };
            deltas.extend(part.map(|part| Delta::Open { choice: CHOICE, part }));
            self.open = None;
        }
        &mut self.open.get_or_insert((index, block)).1
    }

    fn close(&mut self, deltas: &mut Vec<Delta>) {
        let whole = match self.open.take() {
            None | Some((_, Block::Ignored)) => return,
            Some((_, Block::Text | Block::ToolCall)) => None,
            Some((_, Block::Reasoning { signature: seal })) => {
                deltas.extend(signature(seal).map(|signature| Delta::Signature { choice: CHOICE, signature }));
                None
            }
            Some((_, Block::Redacted(bytes))) => Some(Content::Reasoning(redacted(STANDARD.encode(bytes)))),
            Some((_, Block::Image { bytes, .. })) if bytes.is_empty() => return,
            Some((_, Block::Image { format, bytes })) => Some(image(&format, STANDARD.encode(bytes))),
        };
        if let Some(content) = whole {
            deltas.push(Delta::Open { choice: CHOICE, part: PartStart::Whole(Part::new(content)) });
        }
        deltas.push(Delta::Close { choice: CHOICE });
    }
}

fn block_index(body: &Value) -> u64 {
    body.get("contentBlockIndex").and_then(Value::as_u64).unwrap_or(0)
}

fn append(more: &str, deltas: &mut Vec<Delta>) {
    if !more.is_empty() {
        deltas.push(Delta::Append { choice: CHOICE, text: more.to_owned() });
    }
}

fn decode(base64: &str) -> Result<Vec<u8>, Wrong> {
    STANDARD.decode(base64).map_err(|error| Wrong::Malformed(format!("the stream's bytes are not base64: {error}")))
}

fn keep(bytes: &mut Vec<u8>, more: &[u8]) -> Result<(), Wrong> {
    if bytes.len() + more.len() > KEPT_BYTES_MAX {
        return Err(too_long());
    }
    bytes.extend_from_slice(more);
    Ok(())
}

fn too_long() -> Wrong {
    Wrong::Malformed(format!("a block of the stream has more than {KEPT_BYTES_MAX} bytes"))
}

#[cfg(test)]
mod tests;
