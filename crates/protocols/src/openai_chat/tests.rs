#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod answer;
mod error;
mod hostile;
mod read_request;
mod stream_reader;
mod stream_writer;
mod write_request;

use serde_json::Value;

use super::*;
use crate::{
    Losses, Protocol, WireEvent,
    chat::{Answer, Collector, Content, Delta, Part, Reasoning, Request, Signature, ToolCall},
    read::Wrong,
    sse::SseEvent,
};

fn signature(maker: Protocol, text: &str) -> Option<Signature> {
    Some(Signature { maker, text: text.to_owned() })
}

fn thought(text: &str, signature: Option<Signature>) -> Part {
    Part::new(Content::Reasoning(Reasoning { text: text.to_owned(), signature, ..Reasoning::default() }))
}

fn call(id: &str, name: &str, arguments: &str) -> Part {
    Part::new(Content::ToolCall(ToolCall { id: id.to_owned(), name: name.to_owned(), arguments: arguments.to_owned() }))
}

fn fields(losses: &Losses) -> Vec<&str> {
    losses.iter().map(|loss| loss.field.as_str()).collect()
}

/// Reads a request that loses nothing.
fn read(body: Value) -> Request {
    let mut losses = Losses::default();
    let request = read_request(body, &mut losses).unwrap();
    assert!(losses.is_empty(), "{losses:?}");
    request
}

/// Writes a request that loses nothing.
fn write(request: &Request) -> Value {
    let mut losses = Losses::default();
    let body = write_request(request, &mut losses).unwrap();
    assert!(losses.is_empty(), "{losses:?}");
    body
}

fn event(data: &str) -> SseEvent {
    SseEvent { name: None, data: data.to_owned() }
}

/// Reads a stream's chunks; whether it is complete, too.
fn deltas(chunks: &[Value]) -> Result<(Vec<Delta>, bool), Wrong> {
    let mut reader = StreamReader::new();
    let mut deltas = Vec::new();
    for chunk in chunks {
        let data = chunk.as_str().map_or_else(|| chunk.to_string(), str::to_owned);
        reader.read(&event(&data), &mut deltas)?;
    }
    in_order(&deltas);
    Ok((deltas, reader.is_complete()))
}

/// Reads a complete stream into an answer.
fn collected(chunks: &[Value]) -> Answer {
    let (deltas, complete) = deltas(chunks).unwrap();
    assert!(complete);
    collect(deltas)
}

fn collect(deltas: Vec<Delta>) -> Answer {
    let mut collector = Collector::default();
    deltas.into_iter().for_each(|delta| collector.push(delta));
    collector.finish()
}

/// The order that [`Delta`] promises.
fn in_order(deltas: &[Delta]) {
    let (mut open, mut stopped) = (Vec::new(), Vec::new());
    for (place, delta) in deltas.iter().enumerate() {
        assert_eq!(matches!(delta, Delta::Start { .. }), place == 0, "{deltas:?}");
        match delta {
            Delta::Open { choice, .. } => {
                assert!(!open.contains(choice) && !stopped.contains(choice), "{deltas:?}");
                open.push(*choice);
            }
            Delta::Append { choice, text } => assert!(open.contains(choice) && !text.is_empty(), "{deltas:?}"),
            Delta::Signature { choice, .. } | Delta::Logprobs { choice, .. } => {
                assert!(open.contains(choice), "{deltas:?}");
            }
            Delta::Close { choice } => {
                assert!(open.contains(choice), "{deltas:?}");
                open.retain(|open| open != choice);
            }
            Delta::Stop { choice, .. } => {
                assert!(!open.contains(choice) && !stopped.contains(choice), "{deltas:?}");
                stopped.push(*choice);
            }
            Delta::Start { .. } | Delta::Usage(_) => {}
        }
    }
}

/// The JSON of a stream's events, `[DONE]` as text.
fn json_of(events: &[WireEvent]) -> Vec<Value> {
    events
        .iter()
        .map(|event| {
            assert_eq!(event.name, None);
            assert!(!event.data.contains('\n'));
            serde_json::from_str(&event.data).unwrap_or_else(|_| Value::String(event.data.clone()))
        })
        .collect()
}

/// The chunks that a client gets of an answer.
fn written(answer: Answer, stream_usage: bool) -> Vec<Value> {
    let mut writer = StreamWriter::new(stream_usage);
    let mut events = Vec::new();
    answer.into_deltas().into_iter().for_each(|delta| writer.write(delta, &mut events));
    writer.finish(&mut events);
    json_of(&events)
}
