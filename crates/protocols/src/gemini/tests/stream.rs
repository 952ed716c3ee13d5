use plasma_kernel::{Code, Error};

use super::*;
use crate::{
    Wrong,
    chat::{PartStart, StopReason, TokenLogprob, Usage},
};

fn chunk(parts: Value, more: Value) -> Value {
    let mut chunk = json!({
        "candidates": [{"content": {"role": "model", "parts": parts}}], "modelVersion": "gemini-3-pro", "responseId": "r1",
    });
    for (name, value) in more.as_object().unwrap() {
        chunk["candidates"][0][name] = value.clone();
    }
    chunk
}

fn read_all(events: Vec<Value>) -> (Vec<Delta>, bool) {
    let mut reader = StreamReader::new();
    let mut deltas = Vec::new();
    for data in events {
        reader.read(&event(data), &mut deltas).unwrap();
    }
    (deltas, reader.is_complete())
}

fn start() -> Delta {
    Delta::Start { id: "r1".to_owned(), model: "gemini-3-pro".to_owned(), created: None }
}

fn open(part: PartStart) -> Delta {
    Delta::Open { choice: 0, part }
}

fn append(text: &str) -> Delta {
    Delta::Append { choice: 0, text: text.to_owned() }
}

fn reasoning(summary: bool) -> Delta {
    open(PartStart::Reasoning { summary, id: None })
}

fn sign(text: &str) -> Delta {
    Delta::Signature { choice: 0, signature: signature(Protocol::Gemini, text).unwrap() }
}

fn stop(reason: StopReason) -> Delta {
    Delta::Stop { choice: 0, reason, sequence: None }
}

const CLOSE: Delta = Delta::Close { choice: 0 };

#[test]
fn a_documented_stream_is_read_in_order() {
    let mut last =
        chunk(json!([{"text": "", "thoughtSignature": "ZW5k"}]), json!({"finishReason": "STOP", "index": 0}));
    last["usageMetadata"] = json!({"promptTokenCount": 5, "candidatesTokenCount": 2, "thoughtsTokenCount": 3});
    let mut first = chunk(json!([{"thought": true, "text": "Let me"}]), json!({}));
    first["usageMetadata"] = json!({"promptTokenCount": 5});
    let mut same = chunk(json!([{"thought": true, "text": " think."}]), json!({}));
    same["usageMetadata"] = first["usageMetadata"].clone();
    let (deltas, is_complete) = read_all(vec![
        first,
        same,
        chunk(json!([{"text": "Hel"}]), json!({})),
        chunk(json!([{"text": "lo"}]), json!({})),
        last,
    ]);
    assert!(is_complete);
    let usage = |output_tokens, reasoning_tokens| {
        Delta::Usage(Usage { input_tokens: 5, output_tokens, reasoning_tokens, ..Usage::default() })
    };
    assert_eq!(
        deltas,
        [
            start(),
            reasoning(true),
            append("Let me"),
            usage(0, 0),
            append(" think."),
            CLOSE,
            open(PartStart::Text),
            append("Hel"),
            append("lo"),
            CLOSE,
            reasoning(false),
            sign("ZW5k"),
            CLOSE,
            stop(StopReason::End),
            usage(5, 3),
        ]
    );
}

#[test]
fn parallel_calls_come_whole_and_the_first_is_signed() {
    let (deltas, is_complete) = read_all(vec![
        chunk(
            json!([
                {"functionCall": {"id": "x", "name": "f", "args": {"a": 1}}, "thoughtSignature": "c2ln"},
                {"functionCall": {"name": "g", "args": {}}},
            ]),
            json!({}),
        ),
        chunk(json!([{"text": ""}]), json!({"finishReason": "STOP"})),
        json!({"usageMetadata": {"promptTokenCount": 1}, "modelVersion": "gemini-3-pro"}),
    ]);
    assert!(is_complete);
    let call = |id: &str, name: &str| open(PartStart::ToolCall { id: id.to_owned(), name: name.to_owned() });
    assert_eq!(
        deltas[..12],
        [
            start(),
            reasoning(false),
            sign("c2ln"),
            CLOSE,
            call("x", "f"),
            append(r#"{"a":1}"#),
            CLOSE,
            call("call_gemini_r1_1", "g"),
            append("{}"),
            CLOSE,
            stop(StopReason::ToolUse),
            Delta::Usage(Usage { input_tokens: 1, ..Usage::default() }),
        ]
    );
    assert_eq!(deltas.len(), 12);
}

#[test]
fn candidates_may_alternate() {
    let two = |first: &str, second: &str, reason: Value| {
        json!({"candidates": [
            {"content": {"parts": [{"text": first}]}, "finishReason": reason},
            {"index": 1, "content": {"parts": [{"text": second}]}},
        ]})
    };
    let mut events = vec![two("a", "b", Value::Null), two("c", "d", json!("MAX_TOKENS"))];
    let (deltas, is_complete) = read_all(events.clone());
    assert!(!is_complete, "the second has not ended");
    assert!(deltas.contains(&Delta::Append { choice: 1, text: "d".to_owned() }));
    assert!(deltas.contains(&stop(StopReason::MaxTokens)));
    events.push(json!({"candidates": [{"index": 1, "finishReason": "SAFETY"}]}));
    let (deltas, is_complete) = read_all(events);
    assert!(is_complete);
    assert_eq!(deltas.last(), Some(&Delta::Stop { choice: 1, reason: StopReason::Refusal, sequence: None }));
}

#[test]
fn probabilities_belong_to_the_open_text() {
    let result =
        |token: &str| json!({"logprobsResult": {"chosenCandidates": [{"token": token, "logProbability": -0.5}]}});
    let token = |token: &str| TokenLogprob { token: token.to_owned(), bytes: None, logprob: -0.5, top: Vec::new() };
    let logprobs = |text: &str| Delta::Logprobs { choice: 0, tokens: vec![token(text)] };
    let (deltas, _) = read_all(vec![
        chunk(json!([{"text": "a"}]), result("a")),
        chunk(json!([]), result("b")),
        chunk(json!([{"functionCall": {"name": "f"}}]), result("c")),
        chunk(json!([]), json!({"finishReason": "STOP"})),
    ]);
    assert_eq!(deltas[1..5], [open(PartStart::Text), append("a"), logprobs("a"), logprobs("b")]);
    assert_eq!(deltas[deltas.len() - 2..], [logprobs("c"), stop(StopReason::ToolUse)]);
}

#[test]
fn a_stream_is_complete_only_when_it_says_so() {
    let (_, is_complete) = read_all(vec![]);
    assert!(!is_complete);
    let (_, is_complete) =
        read_all(vec![chunk(json!([{"text": "a"}]), json!({"finishReason": "FINISH_REASON_UNSPECIFIED"}))]);
    assert!(!is_complete);
    let (deltas, is_complete) = read_all(vec![json!({"promptFeedback": {"blockReason": "SAFETY"}})]);
    assert!(is_complete);
    assert_eq!(deltas[1..], [stop(StopReason::Refusal)]);
}

#[test]
fn unknown_events_mean_nothing_and_broken_ones_are_errors() {
    let mut reader = StreamReader::new();
    let mut deltas = Vec::new();
    let mut read = |data: &str| reader.read(&SseEvent { name: None, data: data.to_owned() }, &mut deltas);
    for nothing in ["", " ", "[DONE]", "{}", r#"{"somethingNew": 1}"#] {
        assert_eq!(read(nothing), Ok(()), "{nothing}");
    }
    for broken in ["{", "7", "<html>", r#"{"candidates": 7}"#] {
        assert!(matches!(read(broken), Err(Wrong::Malformed(_))), "{broken}");
    }
    let error = read(r#"{"error": {"code": 429, "message": "slow", "status": "RESOURCE_EXHAUSTED"}}"#);
    let Err(Wrong::Told(told)) = error else { panic!("{error:?}") };
    assert_eq!((told.status, told.kind.as_str()), (Some(429), "RESOURCE_EXHAUSTED"));
    let ended = chunk(json!([{"text": "a"}]), json!({"finishReason": "STOP"}));
    assert_eq!(read(&ended.to_string()), Ok(()));
    assert_eq!(read(&chunk(json!([{"text": ""}]), json!({"finishReason": "STOP"})).to_string()), Ok(()));
    assert!(matches!(read(&ended.to_string()), Err(Wrong::Malformed(what)) if what.contains("finishReason")));
    assert!(deltas.iter().filter(|delta| matches!(delta, Delta::Start { .. })).count() == 1);
}

#[test]
fn a_stream_is_written_as_gemini_does() {
    let events = written(vec![
        start(),
        reasoning(true),
        append("Hm"),
        append("."),
        CLOSE,
        reasoning(false),
        sign("c2ln"),
        CLOSE,
        open(PartStart::ToolCall { id: "1".to_owned(), name: "f".to_owned() }),
        append("{\"a\":"),
        append("1}"),
        CLOSE,
        open(PartStart::ToolCall { id: "2".to_owned(), name: "g".to_owned() }),
        CLOSE,
        stop(StopReason::ToolUse),
        Delta::Usage(Usage { input_tokens: 3, output_tokens: 2, ..Usage::default() }),
    ]);
    let event = |part: Value| {
        json!({"candidates": [{"content": {"parts": [part], "role": "model"}, "index": 0}],
            "modelVersion": "gemini-3-pro", "responseId": "r1"})
    };
    let mut last = event(json!({"text": ""}));
    last["candidates"][0]["finishReason"] = json!("STOP");
    last["usageMetadata"] = json!({"promptTokenCount": 3, "candidatesTokenCount": 2, "totalTokenCount": 5});
    assert_eq!(
        events,
        [
            event(json!({"thought": true, "text": "Hm"})),
            event(json!({"thought": true, "text": "."})),
            event(json!({"functionCall": {"id": "1", "name": "f", "args": {"a": 1}}, "thoughtSignature": "c2ln"})),
            event(json!({"functionCall": {"id": "2", "name": "g", "args": {}}})),
            last,
        ]
    );
}

#[test]
fn seals_follow_their_thoughts_and_open_signatures_are_not_forgotten() {
    let foreign = Delta::Signature { choice: 0, signature: signature(Protocol::Anthropic, "abc").unwrap() };
    let events = written(vec![
        start(),
        reasoning(false),
        append("Hm."),
        foreign.clone(),
        CLOSE,
        reasoning(false),
        foreign,
        CLOSE,
        reasoning(false),
        sign("YQ=="),
        CLOSE,
        open(PartStart::Text),
        append("a"),
        append("b"),
        CLOSE,
        reasoning(false),
        sign("Yg=="),
        CLOSE,
        stop(StopReason::End),
    ]);
    let parts: Vec<&Value> = events.iter().map(|event| &event["candidates"][0]["content"]["parts"][0]).collect();
    assert_eq!(parts[0], &json!({"thought": true, "text": "Hm."}));
    assert_eq!((&parts[1]["thought"], &parts[1]["text"]), (&json!(true), &json!("")));
    assert_eq!(parts[1], parts[2]);
    assert_eq!(parts[3], &json!({"text": "a", "thoughtSignature": "YQ=="}));
    assert_eq!(parts[4], &json!({"text": "b"}));
    assert_eq!(parts[5], &json!({"text": "", "thoughtSignature": "Yg=="}));
    assert!(events[6].get("usageMetadata").is_none());
    // What the client keeps of it and sends back.
    let contents: Vec<&Value> = events.iter().map(|event| &event["candidates"][0]["content"]).collect();
    let parts = read(json!({"contents": contents})).messages.remove(0).parts;
    let foreign = signature(Protocol::Anthropic, "abc");
    let silent = Part::new(Content::Reasoning(Reasoning { signature: foreign.clone(), ..Reasoning::default() }));
    assert_eq!(parts, [thought("Hm.", foreign), silent, seal_part("YQ=="), Part::text("ab"), seal_part("Yg==")]);
}

#[test]
fn a_stream_ends_with_an_error_without_our_secrets() {
    let data = |error: &Error| -> Value {
        let mut events = Vec::new();
        StreamWriter::new(true).error(error, &mut events);
        assert_eq!((events.len(), events[0].name), (1, None));
        serde_json::from_str(&events[0].data).unwrap()
    };
    let limited = Error::new(Code::RateLimited, "rate_limited", "too fast").remedy("wait").retry_after_ms(1_500);
    let limited = data(&limited);
    assert_eq!(limited["error"]["code"], 429);
    assert_eq!(limited["error"]["message"], "too fast (wait)");
    assert_eq!(limited["error"]["details"][1]["retryDelay"], "1.500s");
    assert!(!data(&Error::internal("password hunter2")).to_string().contains("hunter2"));
}
