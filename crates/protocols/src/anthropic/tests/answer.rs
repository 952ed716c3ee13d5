use plasma_kernel::{Code, Error};
use serde_json::json;

use super::*;
use crate::{
    Told,
    chat::{Choice, StopReason, TokenLogprob, Usage},
};

pub(super) fn answer(parts: Vec<Part>, stop: StopReason) -> Answer {
    let choice = Choice { index: 0, parts, stop, stop_sequence: None, logprobs: Vec::new() };
    Answer {
        id: "msg_1".to_owned(),
        model: "a-model".to_owned(),
        created: None,
        choices: vec![choice],
        usage: Some(Usage {
            input_tokens: 100,
            cached_input_tokens: 60,
            cache_write_tokens: 30,
            output_tokens: 20,
            reasoning_tokens: 5,
        }),
    }
}

pub(super) fn full() -> Answer {
    answer(
        vec![
            thoughts("Let me see.", Some(signature(Protocol::Anthropic, "c2ln"))),
            sealed(Protocol::Anthropic, "c2VhbGVk"),
            Part::text("Two calls:"),
            call("toolu_1", "weather", r#"{"zebra":1,"apple":[{"b":1,"a":2}]}"#),
            call("toolu_2", "time", "{}"),
        ],
        StopReason::ToolUse,
    )
}

fn written(answer: &Answer) -> Value {
    let mut losses = Losses::default();
    let body = write_answer(answer, &mut losses);
    assert!(losses.is_empty(), "{:?}", lost(&losses));
    body
}

#[test]
fn an_answer_survives_both_ways() {
    let body = written(&full());
    assert_eq!(
        body["usage"],
        json!({
            "input_tokens": 10, "cache_creation_input_tokens": 30, "cache_read_input_tokens": 60,
            "output_tokens": 20, "output_tokens_details": {"thinking_tokens": 5},
        })
    );
    assert_eq!((&body["type"], &body["role"]), (&json!("message"), &json!("assistant")));
    assert_eq!(read_answer(&body.to_string()), Ok(full()));
    let stopped =
        Choice { stop_sequence: Some("END".to_owned()), ..answer(vec![], StopReason::StopSequence).choices.remove(0) };
    let stopped = Answer { choices: vec![stopped], ..full() };
    assert_eq!(read_answer(&written(&stopped).to_string()), Ok(stopped));
}

#[test]
fn arguments_are_kept_as_the_provider_wrote_them() {
    let body =
        r#"{"content":[{"type":"tool_use","id":"t","name":"f","input":{"n": 12345678901234567890123, "x":1.0}}]}"#;
    let answer = read_answer(body).unwrap();
    assert_eq!(answer.choices[0].parts, [call("t", "f", r#"{"n": 12345678901234567890123, "x":1.0}"#)]);
}

#[test]
fn every_reason_to_stop_has_its_word() {
    for (word, reason) in [
        ("end_turn", StopReason::End),
        ("max_tokens", StopReason::MaxTokens),
        ("stop_sequence", StopReason::StopSequence),
        ("tool_use", StopReason::ToolUse),
        ("pause_turn", StopReason::Pause),
        ("refusal", StopReason::Refusal),
    ] {
        let answer = answer(vec![Part::text("a")], reason);
        let body = written(&answer);
        assert_eq!(body["stop_reason"], word);
        assert_eq!(read_answer(&body.to_string()), Ok(answer));
    }
    let read = |word: &str| {
        let body = json!({"content": [], "stop_reason": word}).to_string();
        read_answer(&body).unwrap().choices.remove(0).stop
    };
    assert_eq!(read("model_context_window_exceeded"), StopReason::MaxTokens);
    assert_eq!(read("tired"), StopReason::Other("tired".to_owned()));
    assert_eq!(read_answer(r#"{"content":[],"stop_reason":null}"#).unwrap().choices[0].stop, StopReason::End);
}

#[test]
fn refusals_and_forced_calls_say_so_in_the_reason() {
    let refusal = answer(vec![Part::new(Content::Refusal("No.".to_owned()))], StopReason::End);
    let body = written(&refusal);
    assert_eq!(body["content"], json!([{"type": "text", "text": "No."}]));
    assert_eq!(body["stop_reason"], "refusal");
    assert_eq!(written(&answer(vec![call("t", "f", "")], StopReason::End))["stop_reason"], "tool_use");
    assert_eq!(written(&answer(vec![call("t", "f", "")], StopReason::MaxTokens))["stop_reason"], "max_tokens");
}

#[test]
fn foreign_signatures_are_marked_and_come_back_as_they_were() {
    let summary = Part::new(Content::Reasoning(Reasoning {
        text: "summary".to_owned(),
        encrypted: Some(signature(Protocol::OpenAiResponses, "gAAA")),
        ..Reasoning::default()
    }));
    let parts = vec![thoughts("", Some(signature(Protocol::Gemini, "x"))), summary, thoughts("plain", None)];
    let body = written(&answer(parts.clone(), StopReason::End));
    assert_eq!(
        body["content"],
        json!([
            {"type": "thinking", "thinking": "", "signature": "plasma.gemini.x"},
            {"type": "thinking", "thinking": "summary", "signature": ""},
            {"type": "redacted_thinking", "data": "plasma.responses.gAAA"},
            {"type": "thinking", "thinking": "plain", "signature": ""},
        ])
    );
    let (request, losses) = read(json!({"model": "m", "messages": [
        {"role": "user", "content": "Hi"}, {"role": "assistant", "content": body["content"]},
    ]}));
    assert!(losses.is_empty());
    assert_eq!(request.messages[1].parts, parts);
}

#[test]
fn what_an_answer_cannot_hold_is_noted() {
    let mut many = answer(
        vec![
            Part::text(""),
            thoughts("", None),
            Part::new(Content::Image(media(None, MediaSource::Url("https://example.com".to_owned())))),
            call("t", "f", "{\"a\":"),
        ],
        StopReason::Other("tired".to_owned()),
    );
    let token = TokenLogprob { token: "a".to_owned(), bytes: None, logprob: -0.1, top: vec![] };
    many.choices[0].logprobs.push(token);
    many.choices.push(many.choices[0].clone());
    many.usage = None;
    let mut losses = Losses::default();
    let body = write_answer(&many, &mut losses);
    assert_eq!(lost(&losses), ["choices", "parts[2]", "parts[3].arguments", "logprobs", "stop"]);
    assert_eq!(body["content"], json!([{"type": "tool_use", "id": "t", "name": "f", "input": "{\"a\":"}]));
    assert_eq!(body["usage"]["input_tokens"], 0);
    let empty = write_answer(&Answer::default(), &mut Losses::default());
    assert_eq!((&empty["id"], &empty["stop_reason"]), (&json!("msg_plasma"), &json!("end_turn")));
    let foreign = Answer { id: "chatcmpl-7".to_owned(), ..Answer::default() };
    assert_eq!(write_answer(&foreign, &mut Losses::default())["id"], "msg_chatcmpl-7");
}

#[test]
fn usage_includes_what_caches_did_and_is_bounded() {
    let usage = |usage: Value| read_answer(&json!({"content": [], "usage": usage}).to_string()).unwrap().usage;
    let counted = usage(json!({
        "input_tokens": 3, "cache_creation_input_tokens": 5, "cache_read_input_tokens": 7, "output_tokens": 11,
        "output_tokens_details": {"thinking_tokens": 4}, "server_tool_use": {"web_search_requests": 0},
    }));
    let expected = Usage {
        input_tokens: 15,
        cached_input_tokens: 7,
        cache_write_tokens: 5,
        output_tokens: 11,
        reasoning_tokens: 4,
    };
    assert_eq!(counted, Some(expected));
    assert_eq!(usage(Value::Null), None);
    assert_eq!(usage(json!("many")), Some(Usage::default()));
    let nulls = usage(json!({"input_tokens": 3, "cache_read_input_tokens": null, "output_tokens": "x"}));
    assert_eq!(nulls, Some(Usage { input_tokens: 3, ..Usage::default() }));
    let absurd = usage(json!({"input_tokens": u64::MAX, "cache_read_input_tokens": u64::MAX, "output_tokens": 1e300}));
    assert_eq!(absurd.unwrap().output_tokens, 1_000_000_000);
}

#[test]
fn an_answer_that_is_none_is_told_apart_from_an_error() {
    for wrong in ["", "<html>", "null", "[]", "7", "{}", r#"{"content":"text"}"#, r#"{"content":[7]}"#] {
        assert!(matches!(read_answer(wrong), Err(Wrong::Malformed(_))), "{wrong}");
    }
    let deep = format!(r#"{{"content":[{{"type":"text","text":{}1{}}}]}}"#, "[".repeat(100_000), "]".repeat(100_000));
    assert!(read_answer(&deep).is_err());
    let whole = written(&full()).to_string();
    for cut in 0..whole.len() {
        assert!(read_answer(&whole[..cut]).is_err(), "cut at {cut}");
    }
    let told = read_answer(r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#);
    assert!(matches!(told, Err(Wrong::Told(told)) if told.kind == "overloaded_error" && told.message == "Overloaded"));
}

#[test]
fn unknown_blocks_and_fields_mean_nothing() {
    let answer = read_answer(
        r#"{"id":7,"content":[{"type":"server_tool_use","id":"s","input":{}},
        {"type":"web_search_tool_result","content":[],"data":{"a":1}},
        {"type":"text","text":"a","citations":[{"x":1}]},{}]}"#,
    )
    .unwrap();
    assert_eq!(answer.choices[0].parts, [Part::text("a")]);
    assert_eq!(answer.id, "");
}

#[test]
fn error_bodies_are_read_in_whatever_form() {
    let told = |body: &str| read_error(body.as_bytes());
    let own = told(r#"{"type":"error","error":{"type":"rate_limit_error","message":"slow down"},"request_id":"r"}"#);
    let expected = Told { kind: "rate_limit_error".to_owned(), message: "slow down".to_owned(), ..Told::default() };
    assert_eq!(own, expected);
    let coded = told(r#"{"error":{"code":429,"message":"slow down","param":"model"}}"#);
    assert_eq!((coded.status, coded.param.as_deref()), (Some(429), Some("model")));
    assert_eq!(told(r#"{"error":"out of memory"}"#).message, "out of memory");
    assert_eq!(told(r#"{"message":"no such model"}"#).message, "no such model");
    for silent in ["", "<html><body>502</body></html>", "{", "null", "[]", r#"{"error":null}"#, r#"{"error":[1]}"#] {
        assert_eq!(told(silent), Told::default(), "{silent}");
    }
    assert_eq!(read_error(b"\xff\xfe"), Told::default());
}

#[test]
fn each_failure_has_its_type() {
    for (code, status, kind) in [
        (Code::Invalid, 400, "invalid_request_error"),
        (Code::Conflict, 409, "invalid_request_error"),
        (Code::Unauthenticated, 401, "authentication_error"),
        (Code::Forbidden, 403, "permission_error"),
        (Code::NotFound, 404, "not_found_error"),
        (Code::Gone, 410, "not_found_error"),
        (Code::TooLarge, 413, "request_too_large"),
        (Code::RateLimited, 429, "rate_limit_error"),
        (Code::OverBudget, 402, "billing_error"),
        (Code::Unavailable, 503, "overloaded_error"),
        (Code::Timeout, 504, "timeout_error"),
        (Code::Upstream, 502, "api_error"),
        (Code::Upstream, 529, "overloaded_error"),
        (Code::Internal, 500, "api_error"),
    ] {
        let body = write_error(&Error::new(code, "reason", "secret"), "shown", status);
        assert_eq!(body, json!({"type": "error", "error": {"type": kind, "message": "shown"}}));
    }
}

#[test]
fn an_error_names_the_field_once() {
    let message = |shown: &str| {
        let error = Error::invalid("stop_sequences", shown);
        write_error(&error, shown, 400)["error"]["message"].as_str().unwrap().to_owned()
    };
    assert_eq!(message("cannot be sent"), "stop_sequences: cannot be sent");
    assert_eq!(message("`stop_sequences` is too long"), "`stop_sequences` is too long");
}
