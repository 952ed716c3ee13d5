use std::{collections::VecDeque, time::Duration};

use plasma_kernel::Result;
use plasma_protocols::{
    Protocol, SseEvent, SseParser, Wrong, anthropic,
    bedrock::{
        self,
        event_stream::{EventMessage, EventStreamDecoder},
    },
    chat::Delta,
    gemini, openai_chat, openai_responses,
};
use reqwest::Response;

use super::Endpoint;

/// Bytes of one event: an image in an answer fits.
const EVENT_BYTES_MAX: usize = 16 << 20;
/// Bytes of a whole stream.
const STREAM_BYTES_MAX: usize = 256 << 20;
/// How long a finished stream is read on, so that its connection can be used again.
const DRAIN_MAX: Duration = Duration::from_secs(1);

/// A chat's answer as it comes from the provider. Dropping it closes the connection, which tells the provider to stop.
pub(crate) struct UpstreamStream {
    endpoint: Endpoint,
    protocol: Protocol,
    /// `None` when the answer is complete.
    response: Option<Response>,
    stall_timeout: Duration,
    pieces: Pieces,
    bytes: usize,
    /// The protocol's own mark of the end has come.
    has_ended: bool,
}

/// How bytes become events, and events become deltas.
enum Pieces {
    OpenAiChat(Sse, openai_chat::StreamReader),
    OpenAiResponses(Sse, openai_responses::StreamReader),
    Anthropic(Sse, anthropic::StreamReader),
    Gemini(Sse, gemini::StreamReader),
    Bedrock(EventStreamDecoder, VecDeque<EventMessage>, bedrock::StreamReader),
}

struct Sse {
    parser: SseParser,
    events: VecDeque<SseEvent>,
}

impl Sse {
    fn new() -> Self {
        Self { parser: SseParser::new(EVENT_BYTES_MAX), events: VecDeque::new() }
    }
}

/// One event of a stream.
pub(crate) struct Frame {
    /// As the provider wrote it; `None` where it is not a server-sent event.
    pub(crate) event: Option<SseEvent>,
    /// What it says.
    pub(crate) deltas: Vec<Delta>,
}

impl UpstreamStream {
    pub(super) fn new(endpoint: Endpoint, protocol: Protocol, response: Response, stall_timeout: Duration) -> Self {
        let pieces = match protocol {
            Protocol::OpenAiChat => Pieces::OpenAiChat(Sse::new(), openai_chat::StreamReader::new()),
            Protocol::OpenAiResponses => Pieces::OpenAiResponses(Sse::new(), openai_responses::StreamReader::new()),
            Protocol::Anthropic => Pieces::Anthropic(Sse::new(), anthropic::StreamReader::new()),
            Protocol::Gemini => Pieces::Gemini(Sse::new(), gemini::StreamReader::new()),
            Protocol::Bedrock => {
                Pieces::Bedrock(EventStreamDecoder::new(EVENT_BYTES_MAX), VecDeque::new(), bedrock::StreamReader::new())
            }
        };
        Self { endpoint, protocol, response: Some(response), stall_timeout, pieces, bytes: 0, has_ended: false }
    }

    pub(crate) fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// The next event; `None` when the answer is complete.
    ///
    /// # Errors
    /// `upstream` (`provider_stream_cut`) when the stream ends early, `timeout` when it stalls, or what an error event says.
    pub(crate) async fn next(&mut self) -> Result<Option<Frame>> {
        loop {
            if let Some(frame) = self.ready()? {
                return Ok(Some(frame));
            }
            let Some(response) = &mut self.response else { return Ok(None) };
            let piece = tokio::time::timeout(self.stall_timeout, response.chunk())
                .await
                .map_err(|_| {
                    self.endpoint.timeout(&format!("sent nothing for {} s", self.stall_timeout.as_secs_f32()))
                })?
                .map_err(|error| self.endpoint.broken(error))?;
            let Some(piece) = piece else {
                self.response = None;
                return if self.pieces.is_complete() { Ok(None) } else { Err(self.endpoint.cut()) };
            };
            self.bytes += piece.len();
            if self.bytes > STREAM_BYTES_MAX {
                return Err(self.endpoint.too_large(STREAM_BYTES_MAX));
            }
            self.pieces.push(&piece).map_err(|wrong| self.endpoint.wrong(wrong))?;
        }
    }

    /// The next event of what has come already; `None` when more must be waited for, or the answer is complete.
    ///
    /// # Errors
    /// What an error event says, or that an event is malformed.
    pub(crate) fn ready(&mut self) -> Result<Option<Frame>> {
        if self.has_ended {
            return Ok(None);
        }
        match self.pieces.next().map_err(|wrong| self.endpoint.wrong(wrong))? {
            Some(Next::Frame(frame)) => Ok(Some(frame)),
            Some(Next::End) => {
                self.has_ended = true;
                self.drain();
                Ok(None)
            }
            None => Ok(None),
        }
    }

    /// The answer is complete; what is left of the body is read off the request path.
    fn drain(&mut self) {
        if let Some(mut response) = self.response.take() {
            tokio::spawn(tokio::time::timeout(
                DRAIN_MAX,
                async move { while let Ok(Some(_)) = response.chunk().await {} },
            ));
        }
    }
}

enum Next {
    Frame(Frame),
    /// The protocol's own mark of the end.
    End,
}

impl Pieces {
    fn push(&mut self, bytes: &[u8]) -> Result<(), Wrong> {
        match self {
            Self::OpenAiChat(sse, _)
            | Self::OpenAiResponses(sse, _)
            | Self::Anthropic(sse, _)
            | Self::Gemini(sse, _) => sse.parser.push(bytes, &mut sse.events),
            Self::Bedrock(decoder, messages, _) => {
                let mut new = Vec::new();
                decoder.push(bytes, &mut new)?;
                messages.extend(new);
                Ok(())
            }
        }
    }

    fn is_complete(&self) -> bool {
        match self {
            Self::OpenAiChat(_, reader) => reader.is_complete(),
            Self::OpenAiResponses(_, reader) => reader.is_complete(),
            Self::Anthropic(_, reader) => reader.is_complete(),
            Self::Gemini(_, reader) => reader.is_complete(),
            Self::Bedrock(_, _, reader) => reader.is_complete(),
        }
    }

    /// What has come already; `None` when more bytes are needed.
    fn next(&mut self) -> Result<Option<Next>, Wrong> {
        // After these two have said everything, nothing follows; the others may still tell the tokens used.
        let said_all = matches!(self, Self::OpenAiResponses(..) | Self::Anthropic(..)) && self.is_complete();
        let mut deltas = Vec::new();
        let event = match self {
            Self::OpenAiChat(sse, reader) => {
                let Some(event) = next_event(sse) else { return Ok(None) };
                if event.data.trim() == "[DONE]" {
                    // Lets the reader close what is still open.
                    reader.read(&event, &mut deltas)?;
                    if deltas.is_empty() {
                        return Ok(Some(Next::End));
                    }
                    // Delivered without the mark; the mark itself comes next.
                    sse.events.push_front(event);
                    return Ok(Some(Next::Frame(Frame { event: None, deltas })));
                }
                reader.read(&event, &mut deltas)?;
                Some(event)
            }
            Self::OpenAiResponses(sse, reader) => {
                let Some(event) = next_event(sse) else { return Ok(said_all.then_some(Next::End)) };
                reader.read(&event, &mut deltas)?;
                Some(event)
            }
            Self::Anthropic(sse, reader) => {
                let Some(event) = next_event(sse) else { return Ok(said_all.then_some(Next::End)) };
                reader.read(&event, &mut deltas)?;
                Some(event)
            }
            Self::Gemini(sse, reader) => {
                let Some(event) = next_event(sse) else { return Ok(None) };
                reader.read(&event, &mut deltas)?;
                Some(event)
            }
            Self::Bedrock(_, messages, reader) => {
                let Some(message) = messages.pop_front() else { return Ok(None) };
                reader.read(&message, &mut deltas)?;
                None
            }
        };
        Ok(Some(Next::Frame(Frame { event, deltas })))
    }
}

fn next_event(sse: &mut Sse) -> Option<SseEvent> {
    loop {
        let event = sse.events.pop_front()?;
        // Some servers keep the connection alive with empty events.
        if !event.data.is_empty() {
            return Some(event);
        }
    }
}
