use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::{
    Protocol, Told,
    bedrock::{
        event_stream::{EventStreamDecoder, encode},
        read_answer,
    },
    chat::{Answer, Collector, Signature, StopReason, Usage},
};

fn event(event_type: &str, payload: Value) -> EventMessage {
    EventMessage {
        message_type: "event".to_owned(),
        event_type: Some(event_type.to_owned()),
        payload: payload.to_string().into_bytes(),
        ..EventMessage::default()
    }
}

fn start(index: u64, start: Value) -> EventMessage {
    event("contentBlockStart", json!({ "start": start, "contentBlockIndex": index, "p": "abcdef" }))
}

fn delta(index: u64, delta: Value) -> EventMessage {
    event("contentBlockDelta", json!({ "delta": delta, "contentBlockIndex": index, "p": "abc" }))
}

fn stop(index: u64) -> EventMessage {
    event("contentBlockStop", json!({ "contentBlockIndex": index }))
}

/// A stream in the documented order: thoughts, sealed thoughts, a text, two tool calls.
fn stream() -> Vec<EventMessage> {
    vec![
        event("messageStart", json!({ "role": "assistant" })),
        delta(0, json!({ "reasoningContent": { "text": "Let me " } })),
        delta(0, json!({ "reasoningContent": { "text": "see." } })),
        delta(0, json!({ "reasoningContent": { "signature": "c2Vh" } })),
        delta(0, json!({ "reasoningContent": { "signature": "bA==" } })),
        stop(0),
        delta(1, json!({ "reasoningContent": { "redactedContent": "AA==" } })),
        delta(1, json!({ "reasoningContent": { "redactedContent": "AQI=" } })),
        stop(1),
        delta(2, json!({ "text": "" })),
        delta(2, json!({ "text": "I look " })),
        delta(2, json!({ "text": "it up." })),
        stop(2),
        start(3, json!({ "toolUse": { "toolUseId": "tooluse_1", "name": "weather" } })),
        delta(3, json!({ "toolUse": { "input": "" } })),
        delta(3, json!({ "toolUse": { "input": "{\"z\":1," } })),
        delta(3, json!({ "toolUse": { "input": "\"a\":{\"y\":\"ü\"}}" } })),
        stop(3),
        start(4, json!({ "toolUse": { "toolUseId": "tooluse_2", "name": "time" } })),
        delta(4, json!({ "toolUse": { "input": "{}" } })),
        stop(4),
        event("messageStop", json!({ "stopReason": "tool_use", "additionalModelResponseFields": null })),
        event(
            "metadata",
            json!({
                "usage": { "inputTokens": 10, "outputTokens": 20, "totalTokens": 65, "cacheReadInputTokens": 30,
                           "cacheWriteInputTokens": 5 },
                "metrics": { "latencyMs": 900 },
            }),
        ),
    ]
}

/// The same as a whole answer.
const WHOLE: &str = r#"{
    "output": { "message": { "role": "assistant", "content": [
        { "reasoningContent": { "reasoningText": { "text": "Let me see.", "signature": "c2VhbA==" } } },
        { "reasoningContent": { "redactedContent": "AAEC" } },
        { "text": "I look it up." },
        { "toolUse": { "toolUseId": "tooluse_1", "name": "weather", "input": { "z": 1, "a": { "y": "ü" } } } },
        { "toolUse": { "toolUseId": "tooluse_2", "name": "time", "input": {} } }
    ] } },
    "stopReason": "tool_use",
    "usage": { "inputTokens": 10, "outputTokens": 20, "totalTokens": 65, "cacheReadInputTokens": 30,
               "cacheWriteInputTokens": 5 },
    "metrics": { "latencyMs": 900 }
}"#;

fn read(messages: &[EventMessage]) -> Result<Vec<Delta>, Wrong> {
    let mut reader = StreamReader::new();
    let mut deltas = Vec::new();
    messages.iter().try_for_each(|message| reader.read(message, &mut deltas))?;
    Ok(deltas)
}

fn collect(deltas: Vec<Delta>) -> Answer {
    let mut collector = Collector::default();
    deltas.into_iter().for_each(|delta| collector.push(delta));
    collector.finish()
}

/// Start first and once; at most one open part; nothing of a part while none is open; nothing but usage after the stop.
fn in_order(deltas: &[Delta]) -> bool {
    let (mut started, mut open, mut stopped) = (false, false, false);
    deltas.iter().all(|delta| {
        let fits = match delta {
            Delta::Start { .. } => !started,
            Delta::Open { .. } => started && !open && !stopped,
            Delta::Append { text, .. } => open && !text.is_empty(),
            Delta::Signature { .. } | Delta::Close { .. } => open,
            Delta::Stop { .. } => started && !open && !stopped,
            Delta::Usage(_) => started,
            Delta::Logprobs { .. } => false,
        };
        match delta {
            Delta::Start { .. } => started = true,
            Delta::Open { .. } => open = true,
            Delta::Close { .. } => open = false,
            Delta::Stop { .. } => stopped = true,
            _ => {}
        }
        fits
    })
}

#[test]
fn a_stream_says_what_the_whole_answer_says() {
    let deltas = read(&stream()).unwrap();
    assert!(in_order(&deltas), "{deltas:?}");
    assert_eq!(collect(deltas), read_answer(WHOLE).unwrap());
}

#[test]
fn the_deltas_are_those_of_the_documented_order() {
    let deltas = read(&stream()[..6]).unwrap();
    let append = |text: &str| Delta::Append { choice: 0, text: text.to_owned() };
    let expected = [
        Delta::Start { id: String::new(), model: String::new(), created: None },
        Delta::Open { choice: 0, part: PartStart::Reasoning { summary: false, id: None } },
        append("Let me "),
        append("see."),
        Delta::Signature { choice: 0, signature: Signature { maker: Protocol::Bedrock, text: "c2VhbA==".to_owned() } },
        Delta::Close { choice: 0 },
    ];
    assert_eq!(deltas, expected);
}

#[test]
fn a_stream_is_complete_when_the_message_has_stopped() {
    let mut reader = StreamReader::new();
    let mut deltas = Vec::new();
    for message in stream() {
        let before = reader.is_complete();
        reader.read(&message, &mut deltas).unwrap();
        let event = message.event_type.as_deref();
        assert_eq!(reader.is_complete(), before || event == Some("messageStop"), "{event:?}");
    }
    // The tokens used come after it, other events mean nothing any more.
    let length = deltas.len();
    reader.read(&delta(5, json!({ "text": "late" })), &mut deltas).unwrap();
    reader.read(&stream()[21], &mut deltas).unwrap();
    assert_eq!(deltas.len(), length);
    assert!(matches!(deltas.last(), Some(Delta::Usage(Usage { input_tokens: 45, .. }))));
}

#[test]
fn it_is_read_from_bytes_in_pieces() {
    let bytes: Vec<u8> = stream()
        .iter()
        .flat_map(|message| {
            let event = message.event_type.as_deref().unwrap();
            encode(&[(":event-type", event), (":message-type", "event")], &message.payload)
        })
        .collect();
    let mut decoder = EventStreamDecoder::new(10_000);
    let mut messages = Vec::new();
    for piece in bytes.chunks(7) {
        decoder.push(piece, &mut messages).unwrap();
    }
    assert_eq!(messages, stream());
}

#[test]
fn blocks_without_a_stop_or_a_start_are_closed_and_opened() {
    let deltas = read(&[
        delta(0, json!({ "text": "a" })),
        delta(1, json!({ "reasoningContent": { "text": "b" } })),
        delta(2, json!({ "reasoningContent": { "text": "c" } })),
        start(3, json!({ "toolUse": { "toolUseId": "t", "name": "f" } })),
        start(4, json!({})),
        stop(4),
        delta(5, json!({ "text": "d" })),
        event("messageStop", json!({ "stopReason": "end_turn" })),
    ])
    .unwrap();
    assert!(in_order(&deltas), "{deltas:?}");
    let answer = collect(deltas);
    assert_eq!(answer.choices[0].parts.len(), 5);
    assert_eq!(answer.choices[0].stop, StopReason::End);
}

#[test]
fn images_come_as_a_whole_and_tools_of_aws_not_at_all() {
    let deltas = read(&[
        event("messageStart", json!({ "role": "assistant" })),
        start(0, json!({ "toolUse": { "toolUseId": "s", "name": "nova_grounding", "type": "server_tool_use" } })),
        delta(0, json!({ "toolUse": { "input": "{}" } })),
        stop(0),
        start(1, json!({ "toolResult": { "toolUseId": "s" } })),
        delta(1, json!({ "toolResult": [{ "text": "…" }] })),
        stop(1),
        delta(2, json!({ "citation": { "title": "x" } })),
        stop(2),
        start(3, json!({ "image": { "format": "png" } })),
        delta(3, json!({ "image": { "source": { "bytes": "iVBORw==" } } })),
        delta(3, json!({ "image": { "source": { "bytes": "DQoaCg==" } } })),
        stop(3),
        start(4, json!({ "image": { "format": "png" } })),
        delta(4, json!({ "image": { "error": { "message": "no" } } })),
        stop(4),
        event("somethingNew", json!({ "x": 1 })),
        event(
            "messageStop",
            json!({
                "stopReason": "stop_sequence",
                "additionalModelResponseFields": { "delta": { "stop_sequence": "." } },
            }),
        ),
    ])
    .unwrap();
    assert!(in_order(&deltas), "{deltas:?}");
    let answer = collect(deltas);
    assert_eq!(answer.choices[0].parts, [Part::new(image("png", "iVBORw0KGgo=".to_owned()))]);
    assert_eq!(answer.choices[0].stop, StopReason::StopSequence);
    assert_eq!(answer.choices[0].stop_sequence.as_deref(), Some("."));
    assert_eq!(answer.usage, None);
}

#[test]
fn exceptions_are_told() {
    for (class, status) in [
        ("throttlingException", 429),
        ("validationException", 400),
        ("internalServerException", 500),
        ("modelStreamErrorException", 424),
        ("serviceUnavailableException", 503),
    ] {
        let message = EventMessage {
            message_type: "exception".to_owned(),
            exception_type: Some(class.to_owned()),
            payload: br#"{"message":"no"}"#.to_vec(),
            ..EventMessage::default()
        };
        let told = Told { status: Some(status), kind: class.to_owned(), message: "no".to_owned(), param: None };
        assert_eq!(read(&[message]), Err(Wrong::Told(told)));
    }
}

#[test]
fn what_does_not_follow_the_protocol_is_malformed() {
    let mut cut = delta(0, json!({ "text": "x" }));
    cut.payload.truncate(10);
    let mut deep = delta(0, json!({}));
    deep.payload = vec![b'['; 10_000];
    let streams = [
        vec![cut],
        vec![deep],
        // A call's input without its start, and in another block.
        vec![delta(0, json!({ "toolUse": { "input": "{}" } }))],
        vec![
            start(0, json!({ "toolUse": { "toolUseId": "t", "name": "f" } })),
            delta(1, json!({ "toolUse": { "input": "{}" } })),
        ],
        vec![delta(0, json!({ "reasoningContent": { "redactedContent": "not base64!" } }))],
    ];
    for messages in streams {
        assert!(matches!(read(&messages), Err(Wrong::Malformed(_))), "{messages:?}");
    }
    // Wrong types and absent fields mean nothing.
    let odd = [
        delta(0, json!(7)),
        delta(0, json!({ "text": 7, "reasoningContent": [], "image": null })),
        start(0, json!("x")),
        event("contentBlockStop", json!([])),
        event("metadata", json!({ "usage": "much" })),
        event("messageStart", Value::Null),
        EventMessage::default(),
    ];
    assert_eq!(read(&odd).unwrap().len(), 1);
}

proptest! {
    #[test]
    fn deltas_stay_in_order_whatever_comes(picks in prop::collection::vec((0_usize..23, 0_u64..3), 0..40)) {
        let events = stream();
        let mut reader = StreamReader::new();
        let mut deltas = Vec::new();
        for (pick, index) in picks {
            let mut message = events[pick].clone();
            let mut body: Value = serde_json::from_slice(&message.payload).unwrap();
            if body.get("contentBlockIndex").is_some() {
                body["contentBlockIndex"] = index.into();
            }
            message.payload = body.to_string().into_bytes();
            if reader.read(&message, &mut deltas).is_err() {
                break;
            }
        }
        prop_assert!(in_order(&deltas), "{deltas:?}");
    }
}
