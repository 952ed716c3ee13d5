use plasma_kernel::{Code, Error};
use proptest::prelude::*;
use serde_json::json;

use super::{answer::full, *};
use crate::{
    SseEvent,
    chat::{PartStart, StopReason, TokenLogprob, Usage},
};

fn event(data: &Value) -> SseEvent {
    SseEvent { name: data["type"].as_str().map(str::to_owned), data: data.to_string() }
}

fn stream(events: &[Value]) -> (Vec<Delta>, StreamReader) {
    let mut reader = StreamReader::new();
    let mut deltas = Vec::new();
    for one in events {
        reader.read(&event(one), &mut deltas).unwrap();
    }
    check_order(&deltas);
    (deltas, reader)
}

/// The order that `Delta` promises.
fn check_order(deltas: &[Delta]) {
    let mut open = false;
    let mut stopped = false;
    for (index, delta) in deltas.iter().enumerate() {
        assert_eq!(matches!(delta, Delta::Start { .. }), index == 0, "{deltas:?}");
        match delta {
            Delta::Open { .. } => {
                assert!(!open && !stopped, "{deltas:?}");
                open = true;
            }
            Delta::Append { text, .. } => assert!(open && !text.is_empty(), "{deltas:?}"),
            Delta::Signature { .. } => assert!(open, "{deltas:?}"),
            Delta::Close { .. } => assert!(std::mem::replace(&mut open, false), "{deltas:?}"),
            Delta::Stop { .. } => assert!(!open && !std::mem::replace(&mut stopped, true), "{deltas:?}"),
            Delta::Start { .. } | Delta::Usage(_) | Delta::Logprobs { .. } => {}
        }
    }
}

fn collect(deltas: Vec<Delta>) -> Answer {
    let mut collector = Collector::default();
    deltas.into_iter().for_each(|delta| collector.push(delta));
    collector.finish()
}

fn delta(index: u64, delta: Value) -> Value {
    json!({"type": "content_block_delta", "index": index, "delta": delta})
}

fn block(index: u64, block: Value) -> Value {
    json!({"type": "content_block_start", "index": index, "content_block": block})
}

fn stop(index: u64) -> Value {
    json!({"type": "content_block_stop", "index": index})
}

/// A documented stream of the answer `full()`, with every type of event.
fn documented() -> Vec<Value> {
    vec![
        json!({"type": "message_start", "message": {
            "id": "msg_1", "type": "message", "role": "assistant", "model": "a-model", "content": [],
            "stop_reason": null, "stop_sequence": null,
            "usage": {"input_tokens": 10, "cache_creation_input_tokens": 30, "cache_read_input_tokens": 60,
                      "output_tokens": 1},
        }}),
        block(0, json!({"type": "thinking", "thinking": "", "signature": ""})),
        json!({"type": "ping"}),
        delta(0, json!({"type": "thinking_delta", "thinking": "Let me "})),
        delta(0, json!({"type": "thinking_delta", "thinking": "see."})),
        delta(0, json!({"type": "signature_delta", "signature": "c2ln"})),
        stop(0),
        block(1, json!({"type": "redacted_thinking", "data": "c2VhbGVk"})),
        stop(1),
        block(2, json!({"type": "text", "text": ""})),
        delta(2, json!({"type": "text_delta", "text": "Two "})),
        delta(2, json!({"type": "citations_delta", "citation": {"type": "char_location", "cited_text": "x"}})),
        delta(2, json!({"type": "text_delta", "text": "calls:"})),
        stop(2),
        block(3, json!({"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}})),
        delta(3, json!({"type": "input_json_delta", "partial_json": "{}"})),
        stop(3),
        block(4, json!({"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {}})),
        delta(4, json!({"type": "input_json_delta", "partial_json": ""})),
        delta(4, json!({"type": "input_json_delta", "partial_json": r#"{"zebra":1,"#})),
        delta(4, json!({"type": "input_json_delta", "partial_json": r#""apple":[{"b":1,"a":2}]}"#})),
        stop(4),
        block(5, json!({"type": "tool_use", "id": "toolu_2", "name": "time", "input": {}})),
        delta(5, json!({"type": "input_json_delta", "partial_json": ""})),
        stop(5),
        json!({"type": "message_delta", "delta": {"stop_reason": "tool_use", "stop_sequence": null},
               "usage": {"output_tokens": 20, "output_tokens_details": {"thinking_tokens": 5}}}),
        json!({"type": "message_stop"}),
        json!({"type": "news", "delta": "of a later version"}),
    ]
}

#[test]
fn a_documented_stream_gives_the_whole_answer() {
    let (deltas, reader) = stream(&documented());
    assert!(reader.is_complete());
    assert_eq!(collect(deltas), full());
}

#[test]
fn a_cut_stream_is_not_complete() {
    let events = documented();
    for cut in 0..events.len() {
        let (_, reader) = stream(&events[..cut]);
        assert_eq!(reader.is_complete(), cut > events.len() - 3, "cut at {cut}");
    }
}

#[test]
fn habits_of_servers_that_resemble_anthropics_are_borne() {
    // No `message_start`, texts in the start of a block, no indices, no end of a block, no `message_delta`.
    let (deltas, reader) = stream(&[
        json!({"type": "content_block_start", "content_block": {"type": "text", "text": "a"}}),
        json!({"type": "content_block_delta", "delta": {"type": "text_delta", "text": "b"}}),
        block(7, json!({"type": "tool_use", "id": "t", "name": "f", "input": {"a": 1}})),
        json!({"type": "message_stop"}),
        block(8, json!({"type": "text", "text": "late"})),
    ]);
    assert!(reader.is_complete());
    let answer = collect(deltas);
    assert_eq!(answer.choices[0].parts, [Part::text("ab"), call("t", "f", r#"{"a":1}"#)]);
    assert_eq!((&answer.choices[0].stop, answer.usage), (&StopReason::End, None));

    let mut reader = StreamReader::new();
    let mut deltas = Vec::new();
    for data in ["[DONE]", "", "{}"] {
        reader.read(&SseEvent { name: Some("ping".to_owned()), data: data.to_owned() }, &mut deltas).unwrap();
    }
    // The type may stand in the event's name alone.
    let named = SseEvent { name: Some("message_start".to_owned()), data: "{}".to_owned() };
    reader.read(&named, &mut deltas).unwrap();
    assert!(matches!(deltas.as_slice(), [Delta::Start { .. }]));
}

#[test]
fn counts_of_a_stream_replace_each_other() {
    let (deltas, _) = stream(&[
        json!({"type": "message_start", "message": {
            "usage": {"input_tokens": 10, "cache_read_input_tokens": 5, "output_tokens": 1},
        }}),
        json!({"type": "message_delta", "delta": {}, "usage": {"output_tokens": 7}}),
        json!({"type": "message_delta", "delta": {"stop_reason": "stop_sequence", "stop_sequence": "END"},
               "usage": {"input_tokens": 12, "output_tokens": 9, "cache_read_input_tokens": null}}),
    ]);
    let usages: Vec<_> = deltas.iter().filter(|delta| matches!(delta, Delta::Usage(_))).collect();
    assert_eq!(usages.len(), 3);
    let answer = collect(deltas);
    let usage = Usage { input_tokens: 17, cached_input_tokens: 5, output_tokens: 9, ..Usage::default() };
    assert_eq!(answer.usage, Some(usage));
    assert_eq!(answer.choices[0].stop_sequence.as_deref(), Some("END"));
}

#[test]
fn an_error_in_a_stream_is_told() {
    let mut reader = StreamReader::new();
    let error = json!({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}});
    let told = reader.read(&event(&error), &mut Vec::new());
    assert!(matches!(told, Err(Wrong::Told(told)) if told.kind == "overloaded_error"));
    assert!(matches!(reader.read(&event(&json!({"type": "error"})), &mut Vec::new()), Err(Wrong::Told(_))));
    assert!(!reader.is_complete());
}

#[test]
fn malformed_events_are_refused() {
    let mut cases = vec![
        "not json".to_owned(),
        "[]".to_owned(),
        r#"{"type":"content_block_start"}"#.to_owned(),
        r#"{"type":"content_block_start","content_block":7}"#.to_owned(),
        r#"{"type":"content_block_delta","index":0}"#.to_owned(),
        r#"{"type":"message_start","message":"hello"}"#.to_owned(),
        r#"{"type":"message_delta","delta":7}"#.to_owned(),
        // A piece for another block than the open one would spoil it.
        delta(3, json!({"type": "text_delta", "text": "x"})).to_string(),
    ];
    cases.push(format!("{{\"type\":\"ping\",\"usage\":{}", "[".repeat(100_000)));
    for data in cases {
        let mut reader = StreamReader::new();
        let mut deltas = Vec::new();
        reader.read(&event(&block(0, json!({"type": "text", "text": ""}))), &mut deltas).unwrap();
        let outcome = reader.read(&SseEvent { name: None, data: data.clone() }, &mut deltas);
        assert!(matches!(outcome, Err(Wrong::Malformed(_))), "{data:.100}");
    }
}

fn written(deltas: impl IntoIterator<Item = Delta>) -> Vec<WireEvent> {
    let mut writer = StreamWriter::new(false);
    let mut events = Vec::new();
    deltas.into_iter().for_each(|delta| writer.write(delta, &mut events));
    writer.finish(&mut events);
    events
}

fn data(events: &[WireEvent]) -> Vec<Value> {
    let parsed: Vec<Value> = events.iter().map(|event| serde_json::from_str(&event.data).unwrap()).collect();
    for (event, data) in events.iter().zip(&parsed) {
        assert_eq!(event.name, data["type"].as_str());
        assert!(!event.data.contains('\n'));
    }
    parsed
}

#[test]
fn a_written_stream_reads_as_the_answer() {
    let events = data(&written(full().into_deltas()));
    let (deltas, reader) = stream(&events);
    assert!(reader.is_complete());
    assert_eq!(collect(deltas), full());
    let (deltas, _) = stream(&documented());
    let (again, _) = stream(&data(&written(deltas)));
    assert_eq!(collect(again), full());
}

#[test]
fn a_written_stream_has_the_documented_events() {
    let usage = Usage { input_tokens: 9, output_tokens: 4, ..Usage::default() };
    let deltas = vec![
        Delta::Start { id: String::new(), model: "m".to_owned(), created: Some(1) },
        Delta::Open { choice: 0, part: PartStart::Text },
        Delta::Append { choice: 0, text: "Hi".to_owned() },
        Delta::Close { choice: 0 },
        Delta::Open { choice: 0, part: PartStart::ToolCall { id: "t".to_owned(), name: "f".to_owned() } },
        Delta::Append { choice: 0, text: "{\"a\"".to_owned() },
        Delta::Append { choice: 0, text: ":1}".to_owned() },
        Delta::Close { choice: 0 },
        Delta::Stop { choice: 0, reason: StopReason::End, sequence: None },
        Delta::Usage(Usage::default()),
        Delta::Usage(usage),
    ];
    let counted = |input: u64, output: u64| {
        json!({
            "input_tokens": input, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0,
            "output_tokens": output,
        })
    };
    assert_eq!(
        data(&written(deltas)),
        [
            json!({"type": "message_start", "message": {
                "id": "msg_plasma", "type": "message", "role": "assistant", "model": "m", "content": [],
                "stop_reason": null, "stop_sequence": null, "usage": counted(0, 0),
            }}),
            block(0, json!({"type": "text", "text": ""})),
            delta(0, json!({"type": "text_delta", "text": "Hi"})),
            stop(0),
            block(1, json!({"type": "tool_use", "id": "t", "name": "f", "input": {}})),
            delta(1, json!({"type": "input_json_delta", "partial_json": "{\"a\""})),
            delta(1, json!({"type": "input_json_delta", "partial_json": ":1}"})),
            stop(1),
            json!({"type": "message_delta", "delta": {"stop_reason": "tool_use", "stop_sequence": null},
                   "usage": counted(9, 4)}),
            json!({"type": "message_stop"}),
        ]
    );
}

#[test]
fn the_start_tells_the_tokens_read_when_they_are_known() {
    let start = Delta::Start { id: "msg_1".to_owned(), model: "m".to_owned(), created: None };
    let usage = Delta::Usage(Usage { input_tokens: 9, cached_input_tokens: 4, ..Usage::default() });
    let events = data(&written([start, usage]));
    assert_eq!(events[0]["message"]["usage"]["input_tokens"], 5);
    assert_eq!(events[0]["message"]["usage"]["cache_read_input_tokens"], 4);
}

#[test]
fn thoughts_of_other_makers_are_marked_in_a_stream() {
    let summary = Reasoning {
        text: "summary".to_owned(),
        encrypted: Some(signature(Protocol::OpenAiResponses, "gAAA")),
        ..Reasoning::default()
    };
    let events = data(&written(vec![
        Delta::Open { choice: 0, part: PartStart::Reasoning { summary: true, id: None } },
        Delta::Signature { choice: 0, signature: signature(Protocol::Gemini, "x") },
        Delta::Close { choice: 0 },
        Delta::Open { choice: 0, part: PartStart::Whole(Part::new(Content::Reasoning(summary))) },
        Delta::Close { choice: 0 },
    ]));
    let thinking = json!({"type": "thinking", "thinking": "", "signature": ""});
    assert_eq!(
        events[1..8],
        [
            block(0, thinking.clone()),
            delta(0, json!({"type": "signature_delta", "signature": "plasma.gemini.x"})),
            stop(0),
            block(1, thinking),
            delta(1, json!({"type": "thinking_delta", "thinking": "summary"})),
            stop(1),
            block(2, json!({"type": "redacted_thinking", "data": "plasma.responses.gAAA"})),
        ]
    );
}

#[test]
fn what_a_stream_cannot_hold_leaves_no_trace() {
    let token = TokenLogprob { token: "a".to_owned(), bytes: None, logprob: -0.1, top: vec![] };
    let image = Content::Image(media(None, MediaSource::Url("https://example.com".to_owned())));
    let events = data(&written(vec![
        Delta::Open { choice: 0, part: PartStart::Text },
        Delta::Close { choice: 0 },
        Delta::Open { choice: 0, part: PartStart::Whole(Part::new(image)) },
        Delta::Close { choice: 0 },
        Delta::Open { choice: 1, part: PartStart::Text },
        Delta::Append { choice: 1, text: "other".to_owned() },
        Delta::Close { choice: 1 },
        Delta::Open { choice: 0, part: PartStart::Refusal },
        Delta::Append { choice: 0, text: "No.".to_owned() },
        Delta::Logprobs { choice: 0, tokens: vec![token] },
        Delta::Close { choice: 0 },
        Delta::Stop { choice: 0, reason: StopReason::End, sequence: None },
        Delta::Stop { choice: 1, reason: StopReason::MaxTokens, sequence: None },
    ]));
    let kinds: Vec<_> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!(
        kinds,
        [
            "message_start",
            "content_block_start",
            "content_block_delta",
            "content_block_stop",
            "message_delta",
            "message_stop"
        ]
    );
    assert_eq!(events[1]["index"], 0);
    assert_eq!(events[2]["delta"], json!({"type": "text_delta", "text": "No."}));
    assert_eq!(events[4]["delta"]["stop_reason"], "refusal");
}

#[test]
fn a_stream_that_fails_ends_in_an_error_event() {
    let ended = |error: &Error| {
        let mut events = Vec::new();
        StreamWriter::new(true).error(error, &mut events);
        data(&events)
    };
    let limited = Error::new(Code::RateLimited, "provider_rate_limited", "too many requests").remedy("wait");
    let error = json!({"type": "rate_limit_error", "message": "too many requests (wait)"});
    assert_eq!(ended(&limited), [json!({"type": "error", "error": error})]);
    let internal = ended(&Error::internal("the database at 10.0.0.1 is gone"));
    assert!(!internal[0].to_string().contains("10.0.0.1"));
}

proptest! {
    /// Whatever events come in whatever order: no panic, and the promised order of deltas.
    #[test]
    fn any_order_of_events_keeps_the_order_of_deltas(picks in proptest::collection::vec(0_usize..28, 0..40)) {
        let events = documented();
        let mut reader = StreamReader::new();
        let mut deltas = Vec::new();
        for pick in picks {
            if reader.read(&event(&events[pick]), &mut deltas).is_err() {
                break;
            }
        }
        check_order(&deltas);
        let mut writer = StreamWriter::new(true);
        let mut written = Vec::new();
        deltas.into_iter().for_each(|delta| writer.write(delta, &mut written));
        writer.finish(&mut written);
        let (again, reader) = stream(&data(&written));
        prop_assert!(reader.is_complete());
        check_order(&again);
    }

    #[test]
    fn any_text_in_place_of_json_is_survived(text in ".{0,200}") {
        let _ = read_answer(&text);
        let _ = read_count(&text);
        let _ = read_error(text.as_bytes());
        let event = SseEvent { name: Some("message_delta".to_owned()), data: text };
        let _ = StreamReader::new().read(&event, &mut Vec::new());
    }
}
