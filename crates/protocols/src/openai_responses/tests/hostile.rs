//! JSON in the protocol's words and without its sense never panics.

use proptest::{collection::vec, prelude::*};
use serde_json::{Map, Value, json};

use super::{in_order, sse};
use crate::{
    Losses,
    openai_responses::{StreamReader, StreamWriter, read_answer, read_error, read_request, write_request},
};

const WORDS: &[&str] = &[
    "type",
    "id",
    "item",
    "item_id",
    "output",
    "output_index",
    "content",
    "content_index",
    "summary",
    "summary_index",
    "text",
    "delta",
    "part",
    "message",
    "reasoning",
    "function_call",
    "function_call_output",
    "call_id",
    "name",
    "arguments",
    "role",
    "user",
    "assistant",
    "system",
    "input",
    "input_text",
    "input_image",
    "input_file",
    "image_url",
    "file_data",
    "output_text",
    "refusal",
    "encrypted_content",
    "tools",
    "tool_choice",
    "function",
    "allowed_tools",
    "format",
    "json_schema",
    "schema",
    "usage",
    "input_tokens",
    "error",
    "status",
    "logprobs",
    "token",
    "bytes",
    "logprob",
    "top_logprobs",
    "image_generation_call",
    "result",
    "response",
    "instructions",
    "",
];

const EVENTS: &[&str] = &[
    "response.created",
    "response.output_item.added",
    "response.output_item.done",
    "response.content_part.added",
    "response.content_part.done",
    "response.output_text.delta",
    "response.output_text.done",
    "response.refusal.delta",
    "response.refusal.done",
    "response.function_call_arguments.delta",
    "response.function_call_arguments.done",
    "response.reasoning_summary_part.added",
    "response.reasoning_summary_text.delta",
    "response.reasoning_summary_text.done",
    "response.reasoning_text.delta",
    "response.reasoning_text.done",
];

const ITEMS: &[&str] = &["message", "reasoning", "function_call", "image_generation_call", "web_search_call"];
const PARTS: &[&str] = &["output_text", "refusal", "reasoning_text", "summary_text"];

fn nonsense() -> impl Strategy<Value = Value> {
    let word = || prop::sample::select(WORDS);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        Just(json!(1e308)),
        Just(json!(u64::MAX)),
        word().prop_map(Value::from),
        ".{0,4}".prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 64, 6, move |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            vec((word(), inner), 0..6).prop_map(|fields| Value::Object(
                fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect::<Map<_, _>>()
            )),
        ]
    })
}

/// An event of a stream, likely one about an item that another is about too.
fn event() -> impl Strategy<Value = Value> {
    let place = || prop_oneof![3 => (0..3_u64).prop_map(Value::from), 1 => Just(Value::Null)];
    let text = || prop_oneof![Just(""), Just("a"), Just("{}")];
    (prop::sample::select(EVENTS), prop::sample::select(ITEMS), prop::sample::select(PARTS), place(), place(), text())
        .prop_map(|(kind, item, part, index, place, text)| {
            let part = json!({ "type": part, "text": text, "refusal": text });
            json!({
                "type": kind, "output_index": index, "content_index": place, "summary_index": place, "delta": text,
                "text": text, "arguments": text, "refusal": text, "part": part, "item": {
                    "type": item, "call_id": "c", "name": "f", "arguments": text, "content": [part], "summary": [],
                    "encrypted_content": text, "result": text,
                },
            })
        })
}

proptest! {
    #[test]
    fn readers_never_panic(value in nonsense()) {
        let _ = read_answer(&value.to_string());
        let _ = read_error(value.to_string().as_bytes());
        let item = json!({ "model": "m", "input": [value.clone()] });
        let tool = json!({ "model": "m", "input": "", "tools": [value.clone()] });
        for body in [value.clone(), item, tool] {
            if let Ok(request) = read_request(body, &mut Losses::default()) {
                let _ = write_request(&request, &mut Losses::default());
            }
        }
        for kind in EVENTS {
            let mut event = value.clone();
            if let Some(fields) = event.as_object_mut() {
                fields.insert("type".to_owned(), json!(kind));
            }
            for event in sse(&[event]) {
                let _ = StreamReader::new().read(&event, &mut Vec::new());
            }
        }
    }

    #[test]
    fn streams_in_any_order_keep_the_order_of_deltas(events in vec(event(), 0..30)) {
        let mut reader = StreamReader::new();
        let mut deltas = Vec::new();
        for event in sse(&[events, vec![json!({ "type": "response.completed" })]].concat()) {
            reader.read(&event, &mut deltas).unwrap();
        }
        prop_assert!(reader.is_complete());
        in_order(&deltas);
        let mut writer = StreamWriter::new(true);
        let mut events = Vec::new();
        deltas.into_iter().for_each(|delta| writer.write(delta, &mut events));
        writer.finish(&mut events);
        prop_assert!(events.last().is_some_and(|event| event.name == Some("response.completed")));
    }
}

#[test]
fn a_cut_answer_is_malformed() {
    let body = r#"{"id":"r","output":[{"type":"message"}]}"#;
    assert!(read_answer(body).is_ok());
    for cut in 0..body.len() {
        assert!(read_answer(&body[..cut]).is_err(), "cut at {cut}");
    }
}
