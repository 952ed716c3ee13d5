use serde_json::{Value, json};

use super::{answers, collect, lost, read_all, seal, sse};
use crate::{
    Losses, Protocol, SseEvent, Wrong,
    chat::*,
    openai_responses::{StreamReader, read_answer, write_answer},
};

fn event(kind: &str, mut fields: Value) -> Value {
    fields["type"] = json!(kind);
    fields
}

fn begin() -> Vec<Value> {
    let response = json!({ "id": "resp_1", "model": "m", "created_at": 7, "status": "in_progress", "output": [] });
    vec![
        event("response.created", json!({ "response": response })),
        event("response.in_progress", json!({ "response": response })),
    ]
}

fn added(index: u64, item: Value) -> Value {
    event("response.output_item.added", json!({ "output_index": index, "item": item }))
}

fn done(index: u64, item: Value) -> Value {
    event("response.output_item.done", json!({ "output_index": index, "item": item }))
}

fn about(kind: &str, index: u64, fields: Value) -> Value {
    let mut event = event(&format!("response.{kind}"), fields);
    event["output_index"] = json!(index);
    event
}

fn end(response: Value) -> Value {
    event("response.completed", json!({ "response": response }))
}

fn call(index: u64, arguments: &str) -> Value {
    json!({ "type": "function_call", "id": format!("fc_{index}"), "call_id": format!("call_{index}"), "name": "f",
            "arguments": arguments })
}

fn answer_of(events: Vec<Value>) -> Answer {
    let (deltas, complete) = read_all(&[begin(), events].concat()).unwrap();
    assert!(complete);
    collect(deltas)
}

fn parts_of(events: Vec<Value>) -> Vec<Part> {
    answer_of(events).choices.remove(0).parts
}

fn call_part(index: u64, arguments: &str) -> Part {
    let (id, name, arguments) = (format!("call_{index}"), "f".to_owned(), arguments.to_owned());
    Part::new(Content::ToolCall(ToolCall { id, name, arguments }))
}

/// The documented order with every event, and the answer that the last event holds.
fn documented() -> (Vec<Value>, Value) {
    let text = json!({ "type": "output_text", "text": "Hello", "annotations": [], "logprobs": [
        { "token": "Hel", "bytes": [72, 101, 108], "logprob": -0.5, "top_logprobs": [] },
        { "token": "lo", "bytes": [108, 111], "logprob": -0.25, "top_logprobs": [] },
    ] });
    let refusal = json!({ "type": "refusal", "refusal": "But no." });
    let thoughts = json!({ "id": "rs_1", "type": "reasoning", "encrypted_content": "sealed", "summary": [
        { "type": "summary_text", "text": "First." }, { "type": "summary_text", "text": "Second." },
    ] });
    let raw = json!({ "id": "rs_2", "type": "reasoning", "summary": [],
                      "content": [{ "type": "reasoning_text", "text": "raw" }] });
    let message = json!({ "id": "msg_1", "type": "message", "role": "assistant", "status": "completed",
                          "content": [text, refusal] });
    let response = json!({
        "id": "resp_1", "model": "m", "created_at": 7, "status": "completed",
        "output": [thoughts, raw, message, call(3, "{\"a\":1}")],
        "usage": { "input_tokens": 9, "input_tokens_details": { "cached_tokens": 4 }, "output_tokens": 8,
                   "output_tokens_details": { "reasoning_tokens": 3 }, "total_tokens": 17 },
    });
    let section = |kind: &str, index: u64, field: &str, text: &str| {
        about(&format!("reasoning_summary_{kind}"), 0, json!({ "summary_index": index, field: text }))
    };
    let events = vec![
        added(0, json!({ "id": "rs_1", "type": "reasoning", "summary": [] })),
        about("reasoning_summary_part.added", 0, json!({ "summary_index": 0, "part": { "type": "summary_text" } })),
        section("text.delta", 0, "delta", "Fir"),
        section("text.delta", 0, "delta", "st."),
        section("text.done", 0, "text", "First."),
        about("reasoning_summary_part.done", 0, json!({ "summary_index": 0, "part": { "type": "summary_text" } })),
        about("reasoning_summary_part.added", 0, json!({ "summary_index": 1, "part": { "type": "summary_text" } })),
        section("text.delta", 1, "delta", "Second."),
        section("text.done", 1, "text", "Second."),
        done(0, thoughts),
        added(1, json!({ "id": "rs_2", "type": "reasoning", "summary": [] })),
        about("content_part.added", 1, json!({ "content_index": 0, "part": { "type": "reasoning_text", "text": "" } })),
        about("reasoning_text.delta", 1, json!({ "content_index": 0, "delta": "raw" })),
        about("reasoning_text.done", 1, json!({ "content_index": 0, "text": "raw" })),
        about(
            "content_part.done",
            1,
            json!({ "content_index": 0, "part": { "type": "reasoning_text", "text": "raw" } }),
        ),
        done(1, raw),
        added(2, json!({ "id": "msg_1", "type": "message", "role": "assistant", "content": [] })),
        about("content_part.added", 2, json!({ "content_index": 0, "part": { "type": "output_text", "text": "" } })),
        about("output_text.delta", 2, json!({ "content_index": 0, "delta": "Hel", "logprobs": [text["logprobs"][0]] })),
        about("output_text.delta", 2, json!({ "content_index": 0, "delta": "lo", "logprobs": [text["logprobs"][1]] })),
        about("output_text.annotation.added", 2, json!({ "content_index": 0, "annotation": {} })),
        about("output_text.done", 2, json!({ "content_index": 0, "text": "Hello", "logprobs": text["logprobs"] })),
        about("content_part.done", 2, json!({ "content_index": 0, "part": text })),
        about("content_part.added", 2, json!({ "content_index": 1, "part": { "type": "refusal", "refusal": "" } })),
        about("refusal.delta", 2, json!({ "content_index": 1, "delta": "But no." })),
        about("refusal.done", 2, json!({ "content_index": 1, "refusal": "But no." })),
        about("content_part.done", 2, json!({ "content_index": 1, "part": refusal })),
        done(2, message),
        added(3, call(3, "")),
        about("function_call_arguments.delta", 3, json!({ "delta": "{\"a\"" })),
        about("function_call_arguments.delta", 3, json!({ "delta": ":1}" })),
        about("function_call_arguments.done", 3, json!({ "arguments": "{\"a\":1}" })),
        done(3, call(3, "{\"a\":1}")),
        event("response.future_thing", json!({ "x": 1 })),
        end(response.clone()),
    ];
    (events, response)
}

#[test]
fn a_stream_in_the_documented_order_is_the_whole_answer() {
    let (events, response) = documented();
    let whole = read_answer(&response.to_string()).unwrap();
    assert_eq!(answer_of(events), whole);
    let thoughts = Reasoning {
        text: "First.\n\nSecond.".to_owned(),
        summary: true,
        signature: Some(seal(Protocol::OpenAiResponses, "sealed")),
        encrypted: None,
        id: Some("rs_1".to_owned()),
    };
    assert_eq!(whole.choices[0].parts[0].content, Content::Reasoning(thoughts));
    assert_eq!(whole.choices[0].stop, StopReason::ToolUse);
    assert_eq!(whole.choices[0].logprobs.len(), 2);
}

#[test]
fn pieces_come_at_once_and_the_seal_before_the_end() {
    let (events, _) = documented();
    let (deltas, complete) = read_all(&[begin(), events[..9].to_vec()].concat()).unwrap();
    assert!(!complete);
    let append = |text: &str| Delta::Append { choice: 0, text: text.to_owned() };
    let expected = [append("Fir"), append("st."), append("\n\n"), append("Second.")];
    assert_eq!(deltas[2..], expected);
    let (deltas, _) = read_all(&[begin(), events[..10].to_vec()].concat()).unwrap();
    let signature = seal(Protocol::OpenAiResponses, "sealed");
    assert_eq!(deltas[6..], [Delta::Signature { choice: 0, signature }, Delta::Close { choice: 0 }]);
}

#[test]
fn a_stream_without_pieces_is_the_same_answer() {
    let (_, response) = documented();
    let whole = read_answer(&response.to_string()).unwrap();
    let items = response["output"].as_array().unwrap();
    // Only the ends of the items, only the last event, or only ends of parts.
    let ends: Vec<_> = (0..).zip(items).map(|(index, item)| done(index, item.clone())).collect();
    assert_eq!(answer_of([ends, vec![end(response.clone())]].concat()), whole);
    assert_eq!(answer_of(vec![end(response.clone())]), whole);
    let (events, _) = documented();
    let is_delta = |event: &Value| event["type"].as_str().unwrap().ends_with(".delta");
    let without = events.into_iter().filter(|event| !is_delta(event)).collect();
    assert_eq!(answer_of(without), whole);
}

#[test]
fn hidden_thoughts_have_only_their_seal() {
    let thoughts = |seal: Value| json!({ "id": "rs_1", "type": "reasoning", "summary": [], "encrypted_content": seal });
    let parts = parts_of(vec![
        added(0, thoughts(Value::Null)),
        done(0, thoughts(json!("sealed"))),
        added(1, thoughts(Value::Null)),
        done(1, thoughts(Value::Null)),
        end(json!({})),
    ]);
    let hidden = Reasoning {
        signature: Some(seal(Protocol::OpenAiResponses, "sealed")),
        id: Some("rs_1".to_owned()),
        ..Reasoning::default()
    };
    assert_eq!(parts, [Part::new(Content::Reasoning(hidden))]);
}

#[test]
fn parallel_calls_are_told_one_after_another() {
    let piece = |index, delta: &str| about("function_call_arguments.delta", index, json!({ "delta": delta }));
    let parts = parts_of(vec![
        added(0, call(0, "")),
        added(1, call(1, "")),
        added(2, call(2, "")),
        piece(1, "{\"b\""),
        piece(0, "{\"a\""),
        piece(2, "{}"),
        piece(1, ":2}"),
        done(1, call(1, "{\"b\":2}")),
        piece(0, ":1}"),
        done(0, call(0, "{\"a\":1}")),
        done(2, call(2, "{}")),
        end(json!({ "output": [] })),
    ]);
    assert_eq!(parts, [call_part(0, "{\"a\":1}"), call_part(1, "{\"b\":2}"), call_part(2, "{}")]);
}

#[test]
fn servers_that_tell_all_ends_at_the_end_are_understood() {
    // No indexes but ids, and the ends of thoughts and message after the call's begin.
    let events = |thoughts: &Value, message: &Value| {
        vec![
            json!({ "type": "response.output_item.added", "item": { "id": "rs_1", "type": "reasoning" } }),
            json!({ "type": "response.reasoning_text.delta", "item_id": "rs_1", "delta": "Hm." }),
            json!({ "type": "response.output_item.added", "item": { "id": "msg_1", "type": "message" } }),
            json!({ "type": "response.content_part.added", "item_id": "msg_1", "part": { "type": "output_text" } }),
            json!({ "type": "response.output_text.delta", "item_id": "msg_1", "delta": "Hi" }),
            json!({ "type": "response.output_item.added", "item": call(2, "") }),
            json!({ "type": "response.function_call_arguments.delta", "item_id": "fc_2", "delta": "{}" }),
            json!({ "type": "response.output_item.done", "item": thoughts }),
            json!({ "type": "response.output_text.done", "item_id": "msg_1", "text": "Hi" }),
            json!({ "type": "response.content_part.done", "item_id": "msg_1", "part": { "type": "output_text" } }),
            json!({ "type": "response.output_item.done", "item": message }),
            json!({ "type": "response.output_item.done", "item": call(2, "{}") }),
            end(json!({ "status": "completed" })),
        ]
    };
    let thoughts = json!({ "id": "rs_1", "type": "reasoning", "summary": [], "encrypted_content": "",
                           "content": [{ "type": "reasoning_text", "text": "Hm." }] });
    let message = json!({ "id": "msg_1", "type": "message", "content": [{ "type": "output_text", "text": "Hi" }] });
    let answer = answer_of(events(&thoughts, &message));
    let hm = Reasoning { text: "Hm.".to_owned(), id: Some("rs_1".to_owned()), ..Reasoning::default() };
    assert_eq!(answer.choices[0].parts, [Part::new(Content::Reasoning(hm)), Part::text("Hi"), call_part(2, "{}")]);
    assert_eq!(answer.choices[0].stop, StopReason::ToolUse);
}

#[test]
fn an_item_that_goes_on_after_another_has_begun_begins_again() {
    let thought = |text: &str| about("reasoning_text.delta", 0, json!({ "delta": text }));
    let word = |text: &str| about("output_text.delta", 1, json!({ "delta": text }));
    let content = json!([{ "type": "output_text", "text": "ac" }]);
    let parts = parts_of(vec![
        added(0, json!({ "type": "reasoning" })),
        thought("One."),
        added(1, json!({ "type": "message" })),
        word("a"),
        thought("Two."),
        word("c"),
        done(0, json!({ "type": "reasoning", "content": [{ "text": "One.Two." }] })),
        about("output_text.done", 1, json!({ "text": "ac" })),
        done(1, json!({ "type": "message", "content": content })),
        end(json!({})),
    ]);
    let thoughts =
        |text: &str| Part::new(Content::Reasoning(Reasoning { text: text.to_owned(), ..Reasoning::default() }));
    assert_eq!(parts, [thoughts("One."), Part::text("a"), thoughts("Two."), Part::text("c")]);
}

#[test]
fn the_least_that_a_server_can_say_is_understood() {
    let events = [
        json!({ "type": "response.output_text.delta", "delta": "Hi" }),
        json!({ "type": "response.output_text.done", "text": "Hi" }),
        json!({ "type": "response.completed" }),
    ];
    let (deltas, complete) = read_all(&events).unwrap();
    assert!(complete);
    let answer = collect(deltas);
    assert_eq!((answer.id.as_str(), answer.usage), ("", None));
    assert_eq!(answer.choices[0].parts, [Part::text("Hi")]);
    assert_eq!(answer.choices[0].stop, StopReason::End);
}

#[test]
fn reasons_of_the_end_are_read() {
    let text = |text: &str| about("output_text.delta", 0, json!({ "delta": text }));
    let incomplete = |details: Value| {
        let response = json!({ "response": { "incomplete_details": details } });
        answer_of(vec![text("a"), event("response.incomplete", response)]).choices.remove(0).stop
    };
    assert_eq!(incomplete(json!({ "reason": "max_output_tokens" })), StopReason::MaxTokens);
    assert_eq!(incomplete(json!({ "reason": "content_filter" })), StopReason::Refusal);
    assert_eq!(incomplete(json!({ "reason": "steered" })), StopReason::Other("steered".to_owned()));
    assert_eq!(incomplete(Value::Null), StopReason::MaxTokens);
    let completed = json!({ "response": { "status": "incomplete" } });
    let answer = answer_of(vec![text("a"), event("response.completed", completed)]);
    assert_eq!(answer.choices[0].stop, StopReason::MaxTokens);
    let refused = answer_of(vec![about("refusal.delta", 0, json!({ "delta": "No." })), end(json!({}))]);
    assert_eq!(refused.choices[0].stop, StopReason::Refusal);
    // A call that was cut off: its end is not told.
    let cut = event(
        "response.incomplete",
        json!({ "response": { "incomplete_details": { "reason": "max_output_tokens" } } }),
    );
    let answer =
        answer_of(vec![added(0, call(0, "")), about("function_call_arguments.delta", 0, json!({ "delta": "{" })), cut]);
    assert_eq!(
        (&answer.choices[0].parts[..], &answer.choices[0].stop),
        (&[call_part(0, "{")][..], &StopReason::MaxTokens)
    );
}

#[test]
fn errors_in_the_stream_are_told() {
    let told = |event: Value| match read_all(&[begin(), vec![event]].concat()) {
        Err(Wrong::Told(told)) => told,
        other => panic!("not an error: {other:?}"),
    };
    let flat = told(event("error", json!({ "code": "server_error", "message": "oops", "param": null })));
    assert_eq!((flat.kind.as_str(), flat.message.as_str(), flat.param), ("server_error", "oops", None));
    let nested = told(event("error", json!({ "error": { "type": "rate_limit_error", "message": "slow" } })));
    assert_eq!((nested.kind.as_str(), nested.message.as_str()), ("rate_limit_error", "slow"));
    let failed = json!({ "response": { "status": "failed", "error": { "code": "server_error", "message": "oh" } } });
    assert_eq!(told(event("response.failed", failed)).message, "oh");
    assert_eq!(told(event("response.failed", json!({}))).message, "the answer failed");
    assert_eq!(told(json!({ "error": { "message": "bare" } })).message, "bare");
}

#[test]
fn what_is_no_stream_is_refused() {
    let read = |data: &str| {
        let event = SseEvent { name: None, data: data.to_owned() };
        StreamReader::new().read(&event, &mut Vec::new())
    };
    assert!(matches!(read("<html>"), Err(Wrong::Malformed(_))));
    assert!(matches!(read("{\"type\":"), Err(Wrong::Malformed(_))));
    for nothing in ["", " ", "[DONE]", "7", "{}", "[]"] {
        assert_eq!(read(nothing), Ok(()), "{nothing}");
    }
    let named = SseEvent { name: Some("error".to_owned()), data: r#"{"message":"by name"}"#.to_owned() };
    let Err(Wrong::Told(told)) = StreamReader::new().read(&named, &mut Vec::new()) else { panic!("it is an error") };
    assert_eq!(told.message, "by name");
    let many: Vec<_> = (0..1_000).map(|index| added(index, call(index, ""))).collect();
    assert!(matches!(read_all(&many), Err(Wrong::Malformed(what)) if what.contains("256")));
    let much = about("function_call_arguments.delta", 1, json!({ "delta": "x".repeat(1 << 19) }));
    let events = [vec![added(0, call(0, ""))], vec![much; 33]].concat();
    assert!(matches!(read_all(&events), Err(Wrong::Malformed(what)) if what.contains("16777216")));
}

#[test]
fn nothing_counts_after_the_end() {
    let mut reader = StreamReader::new();
    let mut deltas = Vec::new();
    for event in sse(&[end(json!({})), about("output_text.delta", 0, json!({ "delta": "late" })), end(json!({}))]) {
        reader.read(&event, &mut deltas).unwrap();
    }
    assert!(reader.is_complete());
    assert_eq!(deltas.len(), 2);
}

#[test]
fn an_image_comes_as_a_whole() {
    let mut losses = Losses::default();
    let written = write_answer(&answers::full(), &mut losses);
    assert!(lost(&losses).is_empty());
    let image = written["output"][4].clone();
    let parts = parts_of(vec![added(0, json!({ "type": "image_generation_call" })), done(0, image), end(json!({}))]);
    assert_eq!(parts, [answers::full().choices[0].parts[5].clone()]);
}
