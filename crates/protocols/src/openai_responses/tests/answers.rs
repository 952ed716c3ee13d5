use serde_json::{Value, json};

use super::{lost, seal};
use crate::{
    Losses, Protocol, Wrong,
    chat::*,
    openai_responses::{read_answer, write_answer},
};

fn write(answer: &Answer) -> (Value, Losses) {
    let mut losses = Losses::default();
    let written = write_answer(answer, &mut losses);
    (written, losses)
}

fn answer(parts: Vec<Part>, stop: StopReason) -> Answer {
    Answer {
        id: "resp_1".to_owned(),
        model: "m".to_owned(),
        created: Some(1_700_000_000),
        choices: vec![Choice { index: 0, parts, stop, stop_sequence: None, logprobs: Vec::new() }],
        usage: None,
    }
}

fn call(id: &str, arguments: &str) -> Part {
    let (id, name, arguments) = (id.to_owned(), "f".to_owned(), arguments.to_owned());
    Part::new(Content::ToolCall(ToolCall { id, name, arguments }))
}

fn thoughts(text: &str, summary: bool, signature: Option<Signature>) -> Part {
    let (text, id) = (text.to_owned(), Some(format!("rs_x{}", text.len())));
    Part::new(Content::Reasoning(Reasoning { text, summary, signature, encrypted: None, id }))
}

/// Everything that a response can hold.
pub(super) fn full() -> Answer {
    let token = |token: &str, top| TokenLogprob {
        token: token.to_owned(),
        bytes: Some(token.as_bytes().to_vec()),
        logprob: -0.25,
        top,
    };
    let image = Media {
        media_type: Some("image/webp".to_owned()),
        source: MediaSource::Base64("AA==".to_owned()),
        name: None,
        detail: None,
    };
    let mut answer = answer(
        vec![
            thoughts("Think.\n\nAgain.", true, Some(seal(Protocol::OpenAiResponses, "sealed"))),
            thoughts("raw", false, None),
            thoughts("", false, Some(seal(Protocol::OpenAiResponses, "sealed too"))),
            Part::text("Hello"),
            Part::text(""),
            Part::new(Content::Image(image)),
            call("call_1", "{\"b\": 1}"),
            call("call_2", "{ broken"),
            Part::text("Done"),
        ],
        StopReason::ToolUse,
    );
    answer.choices[0].logprobs =
        vec![token("Hel", vec![token("Hel", Vec::new()), token("Ü", Vec::new())]), token("lo", vec![])];
    answer.usage = Some(Usage {
        input_tokens: 100,
        cached_input_tokens: 60,
        cache_write_tokens: 10,
        output_tokens: 50,
        reasoning_tokens: 20,
    });
    answer
}

#[test]
fn an_answer_survives_the_way_there_and_back() {
    let (written, losses) = write(&full());
    assert!(losses.is_empty(), "{losses:?}");
    assert_eq!(read_answer(&written.to_string()).unwrap(), full());
    for stop in [
        StopReason::End,
        StopReason::MaxTokens,
        StopReason::Refusal,
        StopReason::Pause,
        StopReason::Other("RECITATION".to_owned()),
    ] {
        let answer = answer(vec![Part::text("Hi")], stop);
        assert_eq!(read_answer(&write(&answer).0.to_string()).unwrap(), answer);
    }
    let refusal = answer(vec![Part::new(Content::Refusal("No.".to_owned()))], StopReason::Refusal);
    let (written, _) = write(&refusal);
    assert_eq!(written["status"], "completed");
    assert_eq!(read_answer(&written.to_string()).unwrap(), refusal);
}

#[test]
fn an_answer_has_the_fields_that_clients_demand() {
    let (written, _) = write(&full());
    for field in [
        "id",
        "object",
        "created_at",
        "status",
        "error",
        "incomplete_details",
        "instructions",
        "metadata",
        "model",
        "output",
        "parallel_tool_calls",
        "temperature",
        "text",
        "tool_choice",
        "tools",
        "top_p",
        "usage",
    ] {
        assert!(written.get(field).is_some(), "{field} is missing");
    }
    assert_eq!(written["object"], "response");
    let usage = json!({
        "input_tokens": 100, "input_tokens_details": { "cached_tokens": 60, "cache_write_tokens": 10 },
        "output_tokens": 50, "output_tokens_details": { "reasoning_tokens": 20 }, "total_tokens": 150,
    });
    assert_eq!(written["usage"], usage);
    let output = written["output"].as_array().unwrap();
    let ids: Vec<_> = output.iter().map(|item| item["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["rs_x14", "rs_x3", "rs_x0", "msg_1_3", "ig_1_4", "fc_1_5", "fc_1_6", "msg_1_7"]);
    assert_eq!(output[3]["content"].as_array().unwrap().len(), 2);
    assert_eq!(output[3]["content"][0]["logprobs"][0]["top_logprobs"][1]["bytes"], json!([195, 156]));
    assert_eq!(output[5]["call_id"], "call_1");
    let empty = answer(vec![call("c", "")], StopReason::ToolUse);
    assert_eq!(write(&empty).0["output"][0]["arguments"], "{}");
    let (bare, _) = write(&Answer::default());
    assert_eq!((&bare["id"], &bare["output"], &bare["usage"]), (&json!("resp_0"), &json!([]), &Value::Null));
    let other = Answer { id: "chatcmpl-9".to_owned(), ..Answer::default() };
    assert_eq!(write(&other).0["id"], "resp_chatcmpl-9");
}

#[test]
fn a_cut_answer_says_so() {
    let (written, _) = write(&answer(vec![call("c", "{}"), Part::text("Hel")], StopReason::MaxTokens));
    assert_eq!(written["status"], "incomplete");
    assert_eq!(written["incomplete_details"], json!({ "reason": "max_output_tokens" }));
    assert_eq!(
        (&written["output"][0]["status"], &written["output"][1]["status"]),
        (&json!("completed"), &json!("incomplete"))
    );
    let (written, _) = write(&answer(Vec::new(), StopReason::Refusal));
    assert_eq!(written["incomplete_details"], json!({ "reason": "content_filter" }));
}

#[test]
fn seals_of_other_makers_are_marked() {
    let parts = vec![
        thoughts("Hm.", true, Some(seal(Protocol::Anthropic, "sig"))),
        Part::new(Content::Reasoning(Reasoning {
            encrypted: Some(seal(Protocol::Anthropic, "hidden")),
            ..Reasoning::default()
        })),
    ];
    let (written, losses) = write(&answer(parts, StopReason::End));
    assert!(losses.is_empty());
    assert_eq!(written["output"][0]["encrypted_content"], "plasma.anthropic.sig");
    let hidden = json!({
        "type": "reasoning", "id": "rs_1_1", "summary": [], "encrypted_content": "plasma.encrypted.anthropic.hidden",
    });
    assert_eq!(written["output"][1], hidden);
}

#[test]
fn what_a_response_cannot_hold_is_lost() {
    let media =
        || Media { media_type: None, source: MediaSource::Url("https://e.com/a".to_owned()), name: None, detail: None };
    let parts = vec![Part::new(Content::Audio(media())), Part::text("a"), Part::new(Content::Image(media()))];
    let mut answer = answer(parts, StopReason::StopSequence);
    answer.choices[0].stop_sequence = Some("END".to_owned());
    answer.choices.push(answer.choices[0].clone());
    let (written, losses) = write(&answer);
    let expected = ["choices", "choices[0].stop_sequence", "choices[0].parts[0]", "choices[0].parts[2]"];
    assert_eq!(lost(&losses), expected);
    assert_eq!(written["output"].as_array().unwrap().len(), 1);
    assert_eq!(written["status"], "completed");
}

#[test]
fn answers_of_sloppy_servers_are_read() {
    let read = read_answer(
        r#"{"id":"resp_2","created_at":1700000000.75,"output":[
            {"type":"web_search_call","id":"ws_1"},
            {"type":"reasoning","id":"rs_1","summary":[],"content":[{"type":"reasoning_text","text":"raw"}],
                "encrypted_content":""},
            {"type":"reasoning","id":"rs_2","summary":[]},
            {"type":"message","content":[{"type":"output_text","text":"Hi"},{"type":"hologram"}]},
            {"type":"function_call","id":"fc_1","name":"f"},
            7
        ],"usage":{"input_tokens":5000000000,"input_tokens_details":{"cached_tokens":-3},"output_tokens":1.5,
            "output_tokens_details":{"reasoning_tokens":9}},"error":null,"future":{}}"#,
    )
    .unwrap();
    assert_eq!(read.created, Some(1_700_000_000));
    let choice = &read.choices[0];
    let raw = Reasoning { text: "raw".to_owned(), id: Some("rs_1".to_owned()), ..Reasoning::default() };
    assert_eq!(choice.parts, [Part::new(Content::Reasoning(raw)), Part::text("Hi"), call("fc_1", "")]);
    assert_eq!(choice.stop, StopReason::ToolUse);
    assert_eq!(read.usage, Some(Usage { input_tokens: 1_000_000_000, ..Usage::default() }));
}

#[test]
fn what_is_no_answer_is_refused() {
    for body in
        ["", "<html>", "[]", "{}", r#"{"output":{}}"#, r#"{"output":[],"status":"in_progress"}"#, r#"{"output":["#]
    {
        assert!(matches!(read_answer(body), Err(Wrong::Malformed(_))), "{body}");
    }
    let nameless = r#"{"output":[{"type":"function_call","call_id":"c"}]}"#;
    assert!(matches!(read_answer(nameless), Err(Wrong::Malformed(_))));
    let deep = "[".repeat(100_000);
    assert!(matches!(read_answer(&deep), Err(Wrong::Malformed(_))));
    let failed = r#"{"status":"failed","error":{"code":"rate_limit_exceeded","message":"slow down"},"output":[]}"#;
    let Err(Wrong::Told(told)) = read_answer(failed) else { panic!("it failed") };
    assert_eq!((told.kind.as_str(), told.message.as_str()), ("rate_limit_exceeded", "slow down"));
    let Err(Wrong::Told(told)) = read_answer(r#"{"status":"failed","output":[]}"#) else { panic!("it failed") };
    assert_eq!(told.message, "the answer failed");
    let cancelled = read_answer(r#"{"status":"cancelled","output":[]}"#).unwrap();
    assert_eq!(cancelled.choices[0].stop, StopReason::Other("cancelled".to_owned()));
}
