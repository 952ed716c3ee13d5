use plasma_kernel::{Code, Error};
use serde_json::{Value, json};

use super::{answers, collect, in_order, parsed, seal};
use crate::{
    Losses, Protocol, SseEvent, WireEvent,
    chat::*,
    openai_responses::{StreamReader, StreamWriter, write_answer},
};

fn written(deltas: Vec<Delta>) -> Vec<WireEvent> {
    let mut writer = StreamWriter::new(false);
    let mut events = Vec::new();
    deltas.into_iter().for_each(|delta| writer.write(delta, &mut events));
    writer.finish(&mut events);
    events
}

fn answer(parts: Vec<Part>, stop: StopReason) -> Answer {
    let choice = Choice { index: 0, parts, stop, stop_sequence: None, logprobs: Vec::new() };
    Answer { id: "resp_1".to_owned(), model: "m".to_owned(), created: Some(7), choices: vec![choice], usage: None }
}

fn read_back(events: &[WireEvent]) -> Answer {
    let mut reader = StreamReader::new();
    let mut deltas = Vec::new();
    for event in events {
        let event = SseEvent { name: event.name.map(str::to_owned), data: event.data.clone() };
        reader.read(&event, &mut deltas).unwrap();
    }
    assert!(reader.is_complete());
    in_order(&deltas);
    collect(deltas)
}

fn kinds(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["type"].as_str().unwrap().trim_start_matches("response.")).collect()
}

#[test]
fn a_written_stream_is_read_as_the_same_answer() {
    let full = answers::full();
    assert_eq!(read_back(&written(full.clone().into_deltas())), full);
    for stop in [
        StopReason::End,
        StopReason::MaxTokens,
        StopReason::Refusal,
        StopReason::Pause,
        StopReason::Other("x".to_owned()),
    ] {
        let answer = answer(vec![Part::text("Hi")], stop);
        assert_eq!(read_back(&written(answer.clone().into_deltas())), answer);
    }
    let refusal = answer(vec![Part::new(Content::Refusal("No.".to_owned()))], StopReason::Refusal);
    assert_eq!(read_back(&written(refusal.clone().into_deltas())), refusal);
}

#[test]
fn the_last_event_holds_the_whole_answer() {
    let cut = answer(vec![Part::text("Hel")], StopReason::MaxTokens);
    for (answer, kind) in [(answers::full(), "response.completed"), (cut, "response.incomplete")] {
        let events = parsed(&written(answer.clone().into_deltas()));
        let last = events.last().unwrap();
        assert_eq!(last["type"], kind);
        assert_eq!(last["response"], write_answer(&answer, &mut Losses::default()));
    }
}

#[test]
fn events_are_numbered_named_and_placed() {
    let events = written(answers::full().into_deltas());
    let values = parsed(&events);
    let output = values.last().unwrap()["response"]["output"].as_array().unwrap().clone();
    for (number, (event, value)) in events.iter().zip(&values).enumerate() {
        assert_eq!(value["sequence_number"], number);
        assert_eq!(value["type"].as_str(), event.name);
        assert!(!event.data.contains('\n'));
        if let Some(index) = value.get("output_index") {
            let item = &output[index.as_u64().unwrap() as usize];
            let id = value.get("item_id").unwrap_or(&value["item"]["id"]);
            assert_eq!(id, &item["id"], "{value}");
            if value["type"] == "response.output_item.done" {
                assert_eq!(&value["item"], item);
            }
        }
        if value["type"] == "response.content_part.done" {
            let item = &output[value["output_index"].as_u64().unwrap() as usize];
            let content = &item["content"][value["content_index"].as_u64().unwrap() as usize];
            assert_eq!(&value["part"], content);
        }
    }
}

#[test]
fn events_come_in_the_documented_order() {
    let thoughts = |summary| {
        let text = "Hm.".to_owned();
        Part::new(Content::Reasoning(Reasoning { text, summary, ..Reasoning::default() }))
    };
    let call = ToolCall { id: "c".to_owned(), name: "f".to_owned(), arguments: String::new() };
    let parts = vec![
        thoughts(true),
        thoughts(false),
        Part::text("Hi"),
        Part::new(Content::Refusal("No.".to_owned())),
        Part::new(Content::ToolCall(call)),
    ];
    let events = parsed(&written(answer(parts, StopReason::ToolUse).into_deltas()));
    let expected = [
        "created",
        "in_progress",
        "output_item.added",
        "reasoning_summary_part.added",
        "reasoning_summary_text.delta",
        "reasoning_summary_text.done",
        "reasoning_summary_part.done",
        "output_item.done",
        "output_item.added",
        "content_part.added",
        "reasoning_text.delta",
        "reasoning_text.done",
        "content_part.done",
        "output_item.done",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "content_part.added",
        "refusal.delta",
        "refusal.done",
        "content_part.done",
        "output_item.done",
        "output_item.added",
        "function_call_arguments.delta",
        "function_call_arguments.done",
        "output_item.done",
        "completed",
    ];
    assert_eq!(kinds(&events), expected);
    assert_eq!(events[0]["response"]["status"], "in_progress");
    assert_eq!((&events[19]["content_index"], &events[19]["output_index"]), (&json!(1), &json!(2)));
    assert_eq!(events[20]["delta"], "No.");
    // A call without arguments is an empty object, in pieces and as a whole.
    assert_eq!((&events[25]["delta"], &events[26]["arguments"]), (&json!("{}"), &json!("{}")));
    assert_eq!(events[24]["item"]["arguments"], "");
}

#[test]
fn seals_of_other_makers_are_marked_and_hidden_thoughts_written() {
    let signed =
        Reasoning { text: "Hm.".to_owned(), signature: Some(seal(Protocol::Gemini, "sig")), ..Reasoning::default() };
    let hidden = Reasoning { encrypted: Some(seal(Protocol::Anthropic, "x")), ..Reasoning::default() };
    let parts = [signed, hidden].map(|reasoning| Part::new(Content::Reasoning(reasoning))).to_vec();
    let answer = answer(parts, StopReason::End);
    let events = parsed(&written(answer.clone().into_deltas()));
    let done: Vec<_> = events.iter().filter(|event| event["type"] == "response.output_item.done").collect();
    assert_eq!(done[0]["item"]["encrypted_content"], "plasma.gemini.sig");
    assert_eq!(done[1]["item"]["encrypted_content"], "plasma.encrypted.anthropic.x");
    assert_eq!(events.last().unwrap()["response"], write_answer(&answer, &mut Losses::default()));
}

#[test]
fn probabilities_follow_their_text() {
    let token = TokenLogprob { token: "Hi".to_owned(), bytes: None, logprob: -0.5, top: Vec::new() };
    let mut answer = answer(vec![Part::text("Hi")], StopReason::End);
    answer.choices[0].logprobs = vec![token];
    let events = parsed(&written(answer.into_deltas()));
    let expected = json!([{ "token": "Hi", "bytes": [72, 105], "logprob": -0.5, "top_logprobs": [] }]);
    assert_eq!((&events[4]["delta"], &events[4]["logprobs"]), (&json!("Hi"), &json!([])));
    assert_eq!((&events[5]["delta"], &events[5]["logprobs"]), (&json!(""), &expected));
    assert_eq!((&events[6]["text"], &events[6]["logprobs"]), (&json!("Hi"), &expected));
    assert_eq!(events[7]["part"]["logprobs"], expected);
}

#[test]
fn a_stream_without_usage_start_or_stop_is_ended_all_the_same() {
    let events = parsed(&written(vec![
        Delta::Open { choice: 0, part: PartStart::Text },
        Delta::Append { choice: 0, text: "Hi".to_owned() },
        Delta::Append { choice: 1, text: "another answer".to_owned() },
    ]));
    assert_eq!(kinds(&events)[..3], ["created", "in_progress", "output_item.added"]);
    let last = &events.last().unwrap()["response"];
    assert_eq!((&last["status"], &last["usage"]), (&json!("completed"), &Value::Null));
    assert_eq!(last["output"][0]["content"][0]["text"], "Hi");
    assert_eq!(kinds(&parsed(&written(Vec::new()))), ["created", "in_progress", "completed"]);
}

#[test]
fn an_error_ends_the_stream() {
    let mut writer = StreamWriter::new(true);
    let mut events = Vec::new();
    writer.write(Delta::Start { id: "resp_1".to_owned(), model: "m".to_owned(), created: None }, &mut events);
    writer.error(&Error::new(Code::Upstream, "provider_failed", "it broke").remedy("try again"), &mut events);
    assert_eq!(events[2].name, Some("error"));
    let expected = json!({
        "type": "error", "code": "provider_failed", "message": "it broke (try again)", "param": null,
        "sequence_number": 2,
    });
    assert_eq!(parsed(&events)[2], expected);
    writer.error(&Error::internal("the password is 1234"), &mut events);
    assert!(!events[3].data.contains("1234"));
}
