mod answers;
mod errors;
mod hostile;
mod requests;
mod sending;
mod streams_read;
mod streams_written;

use serde_json::Value;

use crate::{
    Losses, Protocol, SseEvent, SseParser, WireEvent, Wrong,
    chat::{Answer, Collector, Delta, Signature},
    openai_responses::StreamReader,
};

/// The fields noted as lost.
fn lost(losses: &Losses) -> Vec<&str> {
    losses.iter().map(|loss| loss.field.as_str()).collect()
}

fn seal(maker: Protocol, text: &str) -> Signature {
    Signature { maker, text: text.to_owned() }
}

/// Events as the server-sent events of a connection.
fn sse(events: &[Value]) -> Vec<SseEvent> {
    let mut parsed = Vec::new();
    let mut parser = SseParser::new(1 << 20);
    for event in events {
        let text = format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap_or(""));
        parser.push(text.as_bytes(), &mut parsed).unwrap();
    }
    parsed
}

fn read_all(events: &[Value]) -> Result<(Vec<Delta>, bool), Wrong> {
    let mut reader = StreamReader::new();
    let mut deltas = Vec::new();
    for event in sse(events) {
        reader.read(&event, &mut deltas)?;
    }
    in_order(&deltas);
    Ok((deltas, reader.is_complete()))
}

/// What `Delta` promises.
fn in_order(deltas: &[Delta]) {
    let mut open = false;
    for (index, delta) in deltas.iter().enumerate() {
        match delta {
            Delta::Start { .. } => assert_eq!(index, 0, "the start comes first and once: {deltas:?}"),
            Delta::Open { .. } => assert!(!std::mem::replace(&mut open, true), "two parts are open: {deltas:?}"),
            Delta::Close { .. } => assert!(std::mem::replace(&mut open, false), "nothing is open: {deltas:?}"),
            Delta::Append { text, .. } => assert!(open && !text.is_empty(), "{deltas:?}"),
            Delta::Signature { .. } | Delta::Logprobs { .. } => assert!(open, "{deltas:?}"),
            Delta::Stop { .. } => assert!(!open, "{deltas:?}"),
            Delta::Usage(_) => {}
        }
    }
}

fn collect(deltas: Vec<Delta>) -> Answer {
    let mut collector = Collector::default();
    deltas.into_iter().for_each(|delta| collector.push(delta));
    collector.finish()
}

fn parsed(events: &[WireEvent]) -> Vec<Value> {
    events.iter().map(|event| serde_json::from_str(&event.data).unwrap()).collect()
}
