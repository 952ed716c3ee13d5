use serde_json::json;

use super::*;
use crate::chat::{CacheControl, Message, OutputFormat, OutputSchema, Request, Role, Tool, ToolChoice, ToolResult};

fn message(role: Role, parts: Vec<Part>) -> Message {
    Message { role, name: None, parts }
}

fn request(messages: Vec<Message>) -> Request {
    Request { model: "m".to_owned(), messages, max_output_tokens: Some(100), ..Request::default() }
}

fn asking(part: Part) -> Request {
    request(vec![message(Role::User, vec![part])])
}

fn hi() -> Request {
    asking(Part::text("Hi"))
}

fn result(call_id: &str, text: &str) -> Part {
    let parts = vec![Part::text(text)];
    Part::new(Content::ToolResult(ToolResult { call_id: call_id.to_owned(), name: None, parts, is_error: false }))
}

fn tool(name: &str) -> Tool {
    Tool { name: name.to_owned(), description: None, parameters: None, strict: None, cache: None }
}

#[test]
fn a_plain_request_has_the_documented_shape() {
    let (body, losses) = write(&Request { system: vec![Part::text("Be brief.")], stream: true, ..hi() });
    assert!(losses.is_empty());
    assert_eq!(
        body,
        json!({
            "model": "m", "max_tokens": 100, "stream": true,
            "system": [{"type": "text", "text": "Be brief."}],
            "messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}],
        })
    );
}

#[test]
fn a_missing_limit_is_set_and_told() {
    let (body, losses) = write(&Request { max_output_tokens: None, ..hi() });
    assert_eq!(body["max_tokens"], 4_096);
    let loss = losses.iter().next().unwrap();
    assert_eq!(loss.field, "max_output_tokens");
    assert!(loss.why.contains("4096"), "{}", loss.why);
}

#[test]
fn turns_alternate_and_results_of_tools_come_first() {
    let (body, losses) = write(&request(vec![
        message(Role::User, vec![Part::text("a")]),
        message(Role::System, vec![Part::text("Speak French.")]),
        message(Role::User, vec![Part::text(""), Part::text(" \n"), Part::text("b")]),
        message(Role::Assistant, vec![call("t1", "f", ""), call("t2", "g", "{}")]),
        message(Role::Assistant, vec![]),
        message(Role::User, vec![result("t1", "one")]),
        message(Role::User, vec![Part::text("c"), result("t2", "two")]),
    ]));
    assert_eq!(lost(&losses), ["messages[1]"]);
    assert_eq!(body["system"], json!([{"type": "text", "text": "Speak French."}]));
    let text = |text: &str| json!({"type": "text", "text": text});
    let answered = |id: &str, says: &str| json!({"type": "tool_result", "tool_use_id": id, "content": [text(says)]});
    assert_eq!(
        body["messages"],
        json!([
            {"role": "user", "content": [text("a"), text("b")]},
            {"role": "assistant", "content": [
                {"type": "tool_use", "id": "t1", "name": "f", "input": {}},
                {"type": "tool_use", "id": "t2", "name": "g", "input": {}},
            ]},
            {"role": "user", "content": [answered("t1", "one"), answered("t2", "two"), text("c")]},
        ])
    );
}

#[test]
fn a_conversation_begins_with_the_user_and_says_something() {
    let assistant = message(Role::Assistant, vec![Part::text("Hi")]);
    assert_eq!(unwritable(&request(vec![assistant.clone()])).0, "messages[0]");
    let empty = message(Role::User, vec![Part::text("")]);
    assert_eq!(unwritable(&request(vec![empty.clone(), assistant])).0, "messages[1]");
    assert_eq!(unwritable(&request(vec![empty])).0, "messages");
    assert_eq!(unwritable(&request(vec![])).0, "messages");
}

#[test]
fn an_answer_that_the_caller_began_does_not_end_in_white_space() {
    let (body, losses) = write(&request(vec![
        message(Role::User, vec![Part::text("a ")]),
        message(Role::Assistant, vec![Part::text("The answer is: \n")]),
    ]));
    assert_eq!(body["messages"][0]["content"][0]["text"], "a ");
    assert_eq!(body["messages"][1]["content"][0]["text"], "The answer is:");
    assert_eq!(lost(&losses), ["messages"]);
}

#[test]
fn only_own_signatures_are_sent_and_the_loss_is_told_once() {
    let (body, losses) = write(&request(vec![
        message(Role::User, vec![Part::text("a")]),
        message(
            Role::Assistant,
            vec![
                thoughts("unsigned", None),
                thoughts("foreign", Some(signature(Protocol::Gemini, "x"))),
                sealed(Protocol::OpenAiResponses, "y"),
                thoughts("", Some(signature(Protocol::Anthropic, "own"))),
                sealed(Protocol::Anthropic, "sealed"),
                Part::text("b"),
            ],
        ),
        message(Role::User, vec![Part::text("c")]),
    ]));
    assert_eq!(lost(&losses), ["messages[1].parts[0]"]);
    assert_eq!(
        body["messages"][1]["content"],
        json!([
            {"type": "thinking", "thinking": "", "signature": "own"},
            {"type": "redacted_thinking", "data": "sealed"},
            {"type": "text", "text": "b"},
        ])
    );
}

#[test]
fn media_are_sent_in_the_form_that_anthropic_reads() {
    let base64 = |media_type: &str, data: &str| media(Some(media_type), MediaSource::Base64(data.to_owned()));
    let source = |content| write(&asking(Part::new(content))).0["messages"][0]["content"][0]["source"].clone();
    assert_eq!(
        source(Content::Image(base64("image/jpg", "AA=="))),
        json!({"type": "base64", "media_type": "image/jpeg", "data": "AA=="})
    );
    let plain = json!({"type": "text", "media_type": "text/plain", "data": "a;ü"});
    assert_eq!(source(Content::Document(base64("text/csv; charset=utf-8", "YTvDvA=="))), plain);
    assert_eq!(source(Content::Document(media(None, MediaSource::Text("a;ü".to_owned())))), plain);

    let image =
        Media { name: Some("a.png".to_owned()), detail: Some("high".to_owned()), ..base64("image/png", "AA==") };
    let (_, losses) = write(&asking(Part::new(Content::Image(image))));
    assert_eq!(lost(&losses), ["messages[0].parts[0].detail", "messages[0].parts[0].name"]);
}

#[test]
fn media_that_anthropic_cannot_read_are_refused() {
    let url = |address: &str| MediaSource::Url(address.to_owned());
    let cases = [
        Content::Audio(media(Some("audio/wav"), MediaSource::Base64("AA==".to_owned()))),
        Content::Video(media(Some("video/mp4"), url("https://example.com/a.mp4"))),
        Content::Image(media(Some("image/svg+xml"), MediaSource::Base64("AA==".to_owned()))),
        Content::Image(media(None, MediaSource::Base64("AA==".to_owned()))),
        Content::Image(media(None, MediaSource::File("file-openai".to_owned()))),
        Content::Image(media(None, MediaSource::Text("<svg/>".to_owned()))),
        Content::Document(media(Some("application/msword"), MediaSource::Base64("AA==".to_owned()))),
        Content::Document(media(Some("text/html"), url("https://example.com/a.html"))),
        Content::Document(media(None, MediaSource::File("file-openai".to_owned()))),
    ];
    for content in cases {
        assert_eq!(unwritable(&asking(Part::new(content))).0, "messages[0].parts[0]");
    }
    let latin = Content::Document(media(Some("text/plain"), MediaSource::Base64("/w==".to_owned())));
    let error = write_request(&asking(Part::new(latin)), &mut Losses::default()).unwrap_err();
    assert!(error.to_string().contains("UTF-8"), "{error}");
}

#[test]
fn what_changes_the_meaning_is_refused() {
    let named = |names: &[&str]| Some(ToolChoice::Named(names.iter().map(|name| (*name).to_owned()).collect()));
    let tools = vec![tool("f"), tool("g")];
    let instructions = vec![Part::new(Content::Image(media(None, MediaSource::Url("https://example.com".to_owned()))))];
    let cases = [
        (Request { choices: Some(2), ..hi() }, "choices"),
        (Request { logprobs: Some(0), ..hi() }, "logprobs"),
        (Request { output: OutputFormat::Json, ..hi() }, "output"),
        (Request { tools: tools.clone(), tool_choice: named(&["f", "g"]), ..hi() }, "tool_choice"),
        (Request { tool_choice: Some(ToolChoice::Required), ..hi() }, "tool_choice"),
        (Request { system: instructions, ..hi() }, "system[0]"),
        (Request { stop: vec!["END".to_owned(), "\n".to_owned()], ..hi() }, "stop[1]"),
    ];
    for (request, field) in cases {
        assert_eq!(unwritable(&request).0, field);
    }
    for arguments in ["{\"a\":", "[1]", "null"] {
        let turns =
            vec![message(Role::User, vec![Part::text("a")]), message(Role::Assistant, vec![call("t", "f", arguments)])];
        assert_eq!(unwritable(&request(turns)).0, "messages[1].parts[0].arguments");
    }
    let nested = ToolResult { call_id: "t".to_owned(), name: None, parts: vec![call("t", "f", "{}")], is_error: false };
    assert_eq!(unwritable(&asking(Part::new(Content::ToolResult(nested)))).0, "messages[0].parts[0].parts[0]");
}

#[test]
fn what_does_not_change_the_meaning_is_a_loss() {
    let schema = OutputSchema {
        name: Some("answer".to_owned()),
        description: Some("An answer".to_owned()),
        schema: json!({"type": "object"}),
        strict: Some(false),
    };
    let named = Message { name: Some("Ada".to_owned()), ..message(Role::User, vec![Part::text("Hi")]) };
    let (body, losses) = write(&Request {
        seed: Some(7),
        frequency_penalty: Some(0.5),
        presence_penalty: Some(0.0),
        choices: Some(1),
        temperature: Some(1.7),
        stop: vec![String::new()],
        output: OutputFormat::Schema(schema),
        tool_choice: Some(ToolChoice::Auto),
        ..request(vec![named])
    });
    let mut places = lost(&losses);
    places.sort_unstable();
    assert_eq!(
        places,
        ["frequency_penalty", "messages[0].name", "output.description", "output.strict", "seed", "temperature",]
    );
    assert_eq!(body["temperature"], 1.0);
    assert_eq!(body["output_config"], json!({"format": {"type": "json_schema", "schema": {"type": "object"}}}));
    for absent in ["stop_sequences", "tool_choice", "tools", "seed"] {
        assert_eq!(body.get(absent), None, "{absent}");
    }
}

#[test]
fn a_temperature_and_top_p_are_not_sent_together() {
    let sent = |temperature, top_p| {
        let (body, losses) = write(&Request { temperature: Some(temperature), top_p: Some(top_p), ..hi() });
        (body["temperature"].as_f64(), body["top_p"].as_f64(), losses.is_empty())
    };
    assert_eq!(sent(0.5, 1.0), (Some(0.5), None, true));
    assert_eq!(sent(1.0, 0.5), (None, Some(0.5), true));
    assert_eq!(sent(0.5, 0.5), (Some(0.5), None, false));
}

#[test]
fn tools_have_the_schema_that_anthropic_demands() {
    let tools = vec![tool("f"), Tool { parameters: Some(json!({"properties": {"b": {}, "a": {}}})), ..tool("g") }];
    let (body, losses) = write(&Request { tools, parallel_tool_calls: Some(false), ..hi() });
    assert!(losses.is_empty());
    assert_eq!(
        body["tools"].to_string(),
        r#"[{"name":"f","input_schema":{"type":"object"}},"#.to_owned()
            + r#"{"name":"g","input_schema":{"properties":{"b":{},"a":{}},"type":"object"}}]"#
    );
    assert_eq!(body["tool_choice"], json!({"type": "auto", "disable_parallel_tool_use": true}));
    let wrong = vec![Tool { parameters: Some(json!("a schema")), ..tool("f") }];
    let error = write_request(&Request { tools: wrong, ..hi() }, &mut Losses::default()).unwrap_err();
    assert_eq!(error.field_name(), Some("tools[0].parameters"));
}

#[test]
fn ids_of_other_providers_are_made_acceptable_alike_in_call_and_result() {
    let (body, _) = write(&request(vec![
        message(Role::User, vec![Part::text("a")]),
        message(Role::Assistant, vec![call("call|f:1", "f", "{}")]),
        message(Role::User, vec![result("call|f:1", "one")]),
    ]));
    assert_eq!(body["messages"][1]["content"][0]["id"], "call_f_1");
    assert_eq!(body["messages"][2]["content"][0]["tool_use_id"], "call_f_1");
}

#[test]
fn no_more_cache_marks_than_anthropic_takes() {
    let marked =
        |ttl: Option<&str>| Part { cache: Some(CacheControl { ttl: ttl.map(str::to_owned) }), ..Part::text("a") };
    let parts = vec![marked(None), marked(Some("24h")), marked(Some("5m")), marked(Some("1h")), marked(None)];
    let (body, losses) = write(&request(vec![message(Role::User, parts)]));
    assert_eq!(lost(&losses), ["messages[0].parts[1].cache", "messages[0].parts[4].cache"]);
    let marks: Vec<_> = (0..5).map(|index| body["messages"][0]["content"][index]["cache_control"].clone()).collect();
    let mark = json!({"type": "ephemeral"});
    let five = json!({"type": "ephemeral", "ttl": "5m"});
    let hour = json!({"type": "ephemeral", "ttl": "1h"});
    assert_eq!(marks, [mark.clone(), mark, five, hour, Value::Null]);
}

#[test]
fn a_count_asks_for_the_prompt_alone() {
    let request = Request {
        tools: vec![tool("f")],
        temperature: Some(0.5),
        user: Some("u".to_owned()),
        stop: vec!["END".to_owned()],
        stream: true,
        max_output_tokens: None,
        ..hi()
    };
    let mut losses = Losses::default();
    let body = count_tokens_request(&request, &mut losses).unwrap();
    assert!(losses.is_empty());
    assert_eq!(
        body,
        json!({
            "model": "m",
            "messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}],
            "tools": [{"name": "f", "input_schema": {"type": "object"}}],
        })
    );
    assert_eq!(read_count(r#"{"input_tokens":14,"more":1}"#), Ok(14));
    assert_eq!(read_count(r#"{"input_tokens":1e300}"#), Ok(1_000_000_000));
    for wrong in ["", "{}", "[]", r#"{"input_tokens":-1}"#, r#"{"input_tokens":"14"}"#] {
        assert!(matches!(read_count(wrong), Err(Wrong::Malformed(_))), "{wrong}");
    }
    let told = read_count(r#"{"type":"error","error":{"type":"not_found_error","message":"model: x"}}"#);
    assert!(matches!(told, Err(Wrong::Told(told)) if told.kind == "not_found_error"));
}
