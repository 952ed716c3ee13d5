//! The protocols of models: what clients send, what providers answer, and streams that are cut anywhere.

use plasma_protocols::{
    Losses, SseEvent, SseParser, anthropic,
    bedrock::{self, event_stream::EventStreamDecoder},
    chat::{Answer, Request},
    gemini, openai_chat, openai_responses,
};
use serde_json::Value;

use crate::Target;

pub const TARGETS: &[Target] = &[
    ("requests", requests),
    ("answers", answers),
    ("event_streams", event_streams),
    ("aws_event_streams", aws_event_streams),
];

const EVENT_BYTES_MAX: usize = 64 << 10;

/// The first byte says in which protocol.
fn split(bytes: &[u8]) -> Option<(u8, &[u8])> {
    bytes.split_first().map(|(which, rest)| (*which, rest))
}

fn requests(bytes: &[u8]) {
    let Some((which, rest)) = split(bytes) else { return };
    let Ok(body) = serde_json::from_slice::<Value>(rest) else { return };
    let mut losses = Losses::default();
    let request = match which % 4 {
        0 => openai_chat::read_request(body, &mut losses),
        1 => openai_responses::read_request(body, &mut losses),
        2 => anthropic::read_request(body, &mut losses),
        _ => gemini::read_request(body, &mut losses),
    };
    if let Ok(request) = request {
        send(&request);
    }
}

/// Whatever was read can be written, or refused with a reason, in every protocol.
fn send(request: &Request) {
    let mut losses = Losses::default();
    let _ = openai_chat::write_request(request, &mut losses);
    let _ = openai_responses::write_request(request, &mut losses);
    let _ = anthropic::write_request(request, &mut losses);
    let _ = anthropic::count_tokens_request(request, &mut losses);
    let _ = gemini::write_request(request, &mut losses);
    let _ = gemini::count_tokens_request(request, &mut losses);
    let _ = bedrock::write_request(request, &mut losses);
}

fn answers(bytes: &[u8]) {
    let Some((which, rest)) = split(bytes) else { return };
    let told = match which % 5 {
        0 => openai_chat::read_error(rest),
        1 => openai_responses::read_error(rest),
        2 => anthropic::read_error(rest),
        3 => gemini::read_error(rest),
        _ => bedrock::read_error(rest, None),
    };
    drop(told);
    let Ok(text) = std::str::from_utf8(rest) else { return };
    let _ = anthropic::read_count(text);
    let _ = gemini::read_count(text);
    let answer = match which % 5 {
        0 => openai_chat::read_answer(text),
        1 => openai_responses::read_answer(text),
        2 => anthropic::read_answer(text),
        3 => gemini::read_answer(text),
        _ => bedrock::read_answer(text),
    };
    if let Ok(answer) = answer {
        give(&answer);
    }
}

fn give(answer: &Answer) {
    let mut losses = Losses::default();
    let _ = openai_chat::write_answer(answer, &mut losses);
    let _ = openai_responses::write_answer(answer, &mut losses);
    let _ = anthropic::write_answer(answer, &mut losses);
    let _ = gemini::write_answer(answer, &mut losses);
}

/// The events of a stream that comes in pieces, and whether it broke.
fn events(pieces: &[&[u8]]) -> (Vec<SseEvent>, bool) {
    let (mut parser, mut events) = (SseParser::new(EVENT_BYTES_MAX), Vec::new());
    let broken = pieces.iter().any(|piece| parser.push(piece, &mut events).is_err());
    (events, broken)
}

fn event_streams(bytes: &[u8]) {
    let Some((which, rest)) = split(bytes) else { return };
    let Some((cut, rest)) = split(rest) else { return };
    let (whole, broken) = events(&[rest]);
    // Where the network cuts makes no difference, as long as nothing is wrong.
    let (head, tail) = rest.split_at(rest.len() * usize::from(cut) / 256);
    let (pieces, broken_in_pieces) = events(&[head, tail]);
    if !broken && !broken_in_pieces {
        assert_eq!(whole, pieces);
    }
    let mut deltas = Vec::new();
    match which % 4 {
        0 => {
            let mut reader = openai_chat::StreamReader::new();
            whole.iter().all(|event| reader.read(event, &mut deltas).is_ok());
        }
        1 => {
            let mut reader = openai_responses::StreamReader::new();
            whole.iter().all(|event| reader.read(event, &mut deltas).is_ok());
        }
        2 => {
            let mut reader = anthropic::StreamReader::new();
            whole.iter().all(|event| reader.read(event, &mut deltas).is_ok());
        }
        _ => {
            let mut reader = gemini::StreamReader::new();
            whole.iter().all(|event| reader.read(event, &mut deltas).is_ok());
        }
    }
}

fn aws_event_streams(bytes: &[u8]) {
    let Some((cut, rest)) = split(bytes) else { return };
    let mut decoder = EventStreamDecoder::new(EVENT_BYTES_MAX);
    let (mut messages, mut deltas) = (Vec::new(), Vec::new());
    let (head, tail) = rest.split_at(rest.len() * usize::from(cut) / 256);
    if decoder.push(head, &mut messages).is_ok() {
        let _ = decoder.push(tail, &mut messages);
    }
    // Most bytes are no stream, for its checksums are wrong: what a message may hold is tried with them as a payload.
    messages.push(bedrock::event_stream::EventMessage {
        message_type: "event".to_owned(),
        event_type: Some("contentBlockDelta".to_owned()),
        payload: rest.to_vec(),
        ..Default::default()
    });
    let mut reader = bedrock::StreamReader::new();
    messages.iter().all(|message| reader.read(message, &mut deltas).is_ok());
}
