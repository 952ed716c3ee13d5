use plasma_kernel::Error;
use serde_json::{Value, json};

use super::{lost, seal};
use crate::{
    Losses, Protocol,
    chat::*,
    openai_responses::{read_request, write_request},
};

fn write(request: &Request) -> (Value, Losses) {
    let mut losses = Losses::default();
    (write_request(request, &mut losses).unwrap(), losses)
}

fn refused(request: &Request) -> Error {
    write_request(request, &mut Losses::default()).unwrap_err()
}

fn asks(messages: Vec<Message>) -> Request {
    Request { model: "m".to_owned(), messages, ..Request::default() }
}

fn message(role: Role, contents: Vec<Content>) -> Message {
    Message { role, name: None, parts: contents.into_iter().map(Part::new).collect() }
}

fn text(text: &str) -> Content {
    Content::Text(text.to_owned())
}

fn call(id: &str) -> Content {
    Content::ToolCall(ToolCall {
        id: id.to_owned(),
        name: "f".to_owned(),
        arguments: "{\"b\": 1, \"a\": 2}".to_owned(),
    })
}

fn result(id: &str, parts: Vec<Part>) -> Content {
    Content::ToolResult(ToolResult { call_id: id.to_owned(), name: None, parts, is_error: false })
}

fn thoughts(text: &str, maker: Protocol) -> Reasoning {
    Reasoning {
        text: text.to_owned(),
        summary: !text.is_empty(),
        signature: Some(seal(maker, "sealed")),
        ..Reasoning::default()
    }
}

fn media(media_type: Option<&str>, source: MediaSource) -> Media {
    Media { media_type: media_type.map(str::to_owned), source, name: None, detail: None }
}

/// A conversation with everything in it that the protocol can carry.
fn conversation() -> Vec<Message> {
    let bytes = MediaSource::Base64("AA==".to_owned());
    let own = Reasoning { id: Some("rs_1".to_owned()), ..thoughts("Hm.", Protocol::OpenAiResponses) };
    vec![
        message(
            Role::User,
            vec![
                text("Look:"),
                Content::Image(Media { detail: Some("high".to_owned()), ..media(Some("image/png"), bytes.clone()) }),
                Content::Image(media(None, MediaSource::Url("https://e.com/a.png".to_owned()))),
                Content::Image(media(None, MediaSource::File("file-1".to_owned()))),
                Content::Document(Media { name: Some("a.pdf".to_owned()), ..media(Some("application/pdf"), bytes) }),
                Content::Document(media(None, MediaSource::Url("https://e.com/a.pdf".to_owned()))),
                Content::Document(media(None, MediaSource::File("file-2".to_owned()))),
            ],
        ),
        message(
            Role::Assistant,
            vec![
                Content::Reasoning(own),
                Content::Reasoning(thoughts("", Protocol::OpenAiResponses)),
                text("One"),
                text("two"),
                call("call_1"),
                call("call_2"),
            ],
        ),
        message(
            Role::User,
            vec![
                result("call_1", vec![Part::text("sun")]),
                result(
                    "call_2",
                    vec![
                        Part::text("noon"),
                        Part::new(Content::Image(media(None, MediaSource::Url("https://e.com/b.png".to_owned())))),
                    ],
                ),
                text("And?"),
            ],
        ),
        message(Role::System, vec![text("Be kind.")]),
        message(Role::Assistant, vec![text("No."), Content::Refusal("I will not.".to_owned())]),
        message(Role::User, vec![text("Why?")]),
    ]
}

/// Everything that the protocol can carry.
fn full() -> Request {
    Request {
        model: "gpt".to_owned(),
        system: vec![Part::text("Be short.")],
        messages: conversation(),
        tools: vec![Tool {
            name: "f".to_owned(),
            description: Some("does".to_owned()),
            parameters: Some(json!({ "type": "object", "properties": { "z": {}, "a": {} } })),
            strict: Some(true),
            cache: None,
        }],
        tool_choice: Some(ToolChoice::Named(vec!["f".to_owned()])),
        parallel_tool_calls: Some(false),
        output: OutputFormat::Schema(OutputSchema {
            name: Some("n".to_owned()),
            description: None,
            schema: json!({ "type": "object" }),
            strict: Some(true),
        }),
        max_output_tokens: Some(100),
        temperature: Some(0.5),
        top_p: Some(0.25),
        logprobs: Some(2),
        reasoning: Some(ReasoningRequest { effort: Some(Effort::High), budget_tokens: None, visible: Some(true) }),
        user: Some("u".to_owned()),
        stream: true,
        stream_usage: true,
        ..Request::default()
    }
}

#[test]
fn a_request_survives_the_way_there_and_back() {
    let (written, losses) = write(&full());
    assert!(losses.is_empty(), "{losses:?}");
    let mut losses = Losses::default();
    assert_eq!(read_request(written, &mut losses).unwrap(), full());
    assert!(losses.is_empty(), "{losses:?}");
    for choice in [ToolChoice::Auto, ToolChoice::None, ToolChoice::Required] {
        let request = Request { tool_choice: Some(choice), output: OutputFormat::Json, ..full() };
        assert_eq!(read_request(write(&request).0, &mut Losses::default()).unwrap(), request);
    }
    let names = ToolChoice::Named(vec!["f".to_owned(), "g".to_owned()]);
    let request = Request { system: vec![Part::text("a"), Part::text("b")], tool_choice: Some(names), ..full() };
    assert_eq!(read_request(write(&request).0, &mut Losses::default()).unwrap(), request);
}

#[test]
fn a_request_is_written_as_the_api_wants_it() {
    let (written, _) = write(&full());
    assert_eq!(written["instructions"], "Be short.");
    assert_eq!(written["store"], false);
    assert_eq!(written["include"], json!(["reasoning.encrypted_content", "message.output_text.logprobs"]));
    assert_eq!(written["reasoning"], json!({ "effort": "high", "summary": "auto" }));
    let input = written["input"].as_array().unwrap();
    let kinds: Vec<_> = input.iter().map(|item| item["type"].as_str().unwrap()).collect();
    let expected = [
        "message",
        "reasoning",
        "reasoning",
        "message",
        "function_call",
        "function_call",
        "function_call_output",
        "function_call_output",
        "message",
        "message",
        "message",
        "message",
    ];
    assert_eq!(kinds, expected);
    let image = json!({ "type": "input_image", "detail": "high", "image_url": "data:image/png;base64,AA==" });
    assert_eq!(input[0]["content"][1], image);
    assert_eq!(input[0]["content"][2]["detail"], "auto");
    let file = json!({ "type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,AA==" });
    assert_eq!(input[0]["content"][4], file);
    let thoughts = json!({
        "type": "reasoning", "id": "rs_1", "summary": [{ "type": "summary_text", "text": "Hm." }],
        "encrypted_content": "sealed",
    });
    assert_eq!(input[1], thoughts);
    assert_eq!(input[2], json!({ "type": "reasoning", "summary": [], "encrypted_content": "sealed" }));
    let call =
        json!({ "type": "function_call", "call_id": "call_1", "name": "f", "arguments": "{\"b\": 1, \"a\": 2}" });
    assert_eq!(input[4], call);
    assert_eq!(input[6], json!({ "type": "function_call_output", "call_id": "call_1", "output": "sun" }));
}

#[test]
fn a_plain_request_says_nothing_more_than_needed() {
    let request = Request {
        tools: vec![Tool { name: "f".to_owned(), description: None, parameters: None, strict: None, cache: None }],
        ..asks(vec![message(Role::User, vec![text("hi")]), message(Role::Assistant, vec![text("yes")])])
    };
    let (written, losses) = write(&request);
    assert!(losses.is_empty());
    let expected = json!({
        "model": "m",
        "input": [
            { "type": "message", "role": "user", "content": [{ "type": "input_text", "text": "hi" }] },
            { "type": "message", "role": "assistant", "content": "yes" },
        ],
        "tools": [{
            "type": "function", "name": "f", "strict": false, "parameters": { "type": "object", "properties": {} },
        }],
        "store": false,
    });
    assert_eq!(written, expected);
}

#[test]
fn thoughts_go_to_their_maker_only() {
    let foreign = thoughts("Hm.", Protocol::Anthropic);
    let bare = Reasoning { text: "Hm.".to_owned(), ..Reasoning::default() };
    let hidden = Reasoning { encrypted: Some(seal(Protocol::Anthropic, "x")), ..Reasoning::default() };
    let turn =
        |reasoning: &Reasoning| message(Role::Assistant, vec![Content::Reasoning(reasoning.clone()), text("yes")]);
    let (written, losses) = write(&asks(vec![
        turn(&foreign),
        message(Role::User, vec![text("a")]),
        turn(&bare),
        message(Role::User, vec![text("b")]),
        turn(&hidden),
    ]));
    assert_eq!(lost(&losses), ["messages[0].parts[0]"]);
    assert!(!written.to_string().contains("reasoning"), "{written}");
    let own = thoughts("", Protocol::OpenAiResponses);
    let (written, losses) = write(&asks(vec![turn(&own)]));
    assert!(losses.is_empty());
    assert_eq!(written["include"], json!(["reasoning.encrypted_content"]));
    assert_eq!(written["input"][0]["encrypted_content"], "sealed");
}

#[test]
fn thoughts_without_anything_after_them_are_left_out() {
    let own = Content::Reasoning(thoughts("Hm.", Protocol::OpenAiResponses));
    let (written, losses) =
        write(&asks(vec![message(Role::Assistant, vec![text("yes"), own]), message(Role::User, vec![text("go on")])]));
    assert_eq!(lost(&losses), ["messages[0].parts[1]"]);
    assert_eq!(written["input"].as_array().unwrap().len(), 2);
}

#[test]
fn efforts_stand_for_budgets() {
    let written = |effort, budget_tokens, visible| {
        let reasoning = Some(ReasoningRequest { effort, budget_tokens, visible });
        let (written, losses) = write(&Request { reasoning, ..asks(Vec::new()) });
        (written["reasoning"].clone(), written["include"].is_array(), lost(&losses).len())
    };
    assert_eq!(written(None, Some(0), None), (json!({ "effort": "none" }), false, 0));
    assert_eq!(written(None, Some(1_024), None), (json!({ "effort": "low" }), true, 1));
    assert_eq!(written(None, Some(8_000), None), (json!({ "effort": "medium" }), true, 1));
    assert_eq!(written(None, Some(u64::MAX), None), (json!({ "effort": "high" }), true, 1));
    assert_eq!(written(Some(Effort::Max), Some(9), None), (json!({ "effort": "xhigh" }), true, 1));
    assert_eq!(written(Some(Effort::Minimal), None, None), (json!({ "effort": "minimal" }), true, 0));
    assert_eq!(written(None, None, Some(true)), (json!({ "summary": "auto" }), true, 0));
    assert_eq!(written(None, None, Some(false)), (Value::Null, false, 0));
}

#[test]
fn what_the_api_lacks_is_lost_or_refused() {
    let marked = Part { cache: Some(CacheControl::default()), ..Part::text("hi") };
    let mut request = asks(vec![Message { role: Role::User, name: Some("Ann".to_owned()), parts: vec![marked] }]);
    request.messages.push(message(Role::Assistant, vec![call("c")]));
    let failed = ToolResult { call_id: "c".to_owned(), name: None, parts: Vec::new(), is_error: true };
    request.messages.push(message(Role::User, vec![Content::ToolResult(failed)]));
    let request = Request {
        seed: Some(1),
        top_k: Some(1),
        frequency_penalty: Some(1.0),
        presence_penalty: Some(1.0),
        choices: Some(1),
        ..request
    };
    let (written, losses) = write(&request);
    let expected = [
        "top_k",
        "frequency_penalty",
        "presence_penalty",
        "seed",
        "cache",
        "messages[0].name",
        "messages[2].parts[0].is_error",
    ];
    assert_eq!(lost(&losses), expected);
    assert_eq!(written["input"][2]["output"], "");

    let user = |content| asks(vec![message(Role::User, vec![text("a"), content])]);
    let stored = || media(None, MediaSource::File("file_011".to_owned()));
    let inline = || media(Some("audio/wav"), MediaSource::Base64("AA==".to_owned()));
    for (request, field) in [
        (Request { choices: Some(2), ..asks(Vec::new()) }, "choices"),
        (Request { stop: vec!["END".to_owned()], ..asks(Vec::new()) }, "stop"),
        (Request { system: vec![Part::new(Content::Image(stored()))], ..asks(Vec::new()) }, "system[0]"),
        (user(Content::Audio(inline())), "messages[0].parts[1]"),
        (user(Content::Video(inline())), "messages[0].parts[1]"),
        (user(Content::Image(stored())), "messages[0].parts[1]"),
        (user(Content::Document(stored())), "messages[0].parts[1]"),
        (user(Content::Image(media(None, MediaSource::Text("x".to_owned())))), "messages[0].parts[1]"),
        (user(call("c")), "messages[0].parts[1]"),
        (user(result("c", vec![Part::new(Content::Audio(inline()))])), "messages[0].parts[1].parts[0]"),
        (asks(vec![message(Role::Assistant, vec![Content::Image(inline())])]), "messages[0].parts[0]"),
        (asks(vec![message(Role::System, vec![Content::Image(inline())])]), "messages[0].parts[0]"),
    ] {
        let error = refused(&request);
        assert_eq!(error.field_name(), Some(field), "{error}");
        assert!(error.remedy_text().is_some() && error.message().contains("cannot"), "{error}");
    }
}

#[test]
fn documents_get_the_name_that_the_api_demands() {
    let file = |media| {
        let (written, losses) = write(&asks(vec![message(Role::User, vec![Content::Document(media)])]));
        (written["input"][0]["content"][0].clone(), lost(&losses).len())
    };
    let plain = media(None, MediaSource::Text("hi".to_owned()));
    let expected =
        json!({ "type": "input_file", "file_data": "data:text/plain;base64,aGk=", "filename": "document.txt" });
    assert_eq!(file(plain), (expected, 0));
    let (pdf, _) = file(media(Some("application/pdf"), MediaSource::Base64("AA==".to_owned())));
    assert_eq!(pdf["filename"], "document.pdf");
    let named = Media { name: Some("T".to_owned()), ..media(None, MediaSource::Url("https://e.com/a".to_owned())) };
    assert_eq!(file(named), (json!({ "type": "input_file", "file_url": "https://e.com/a" }), 1));
}
