use serde_json::json;

use super::*;
use crate::chat::{
    CacheControl, Effort, Media, MediaSource, Message, OutputFormat, OutputSchema, ReasoningRequest, Role, Tool,
    ToolChoice, ToolResult,
};

fn message(role: Role, parts: Vec<Part>) -> Message {
    Message { role, name: None, parts }
}

fn asking(messages: Vec<Message>) -> Request {
    Request { model: "m".to_owned(), messages, ..Request::default() }
}

fn result(id: &str, parts: Vec<Part>) -> Part {
    Part::new(Content::ToolResult(ToolResult { call_id: id.to_owned(), name: None, parts, is_error: false }))
}

fn image() -> Media {
    Media {
        media_type: Some("image/png".to_owned()),
        source: MediaSource::Base64("AAAA".to_owned()),
        name: None,
        detail: Some("high".to_owned()),
    }
}

fn tool(name: &str) -> Tool {
    Tool {
        name: name.to_owned(),
        description: Some("d".to_owned()),
        parameters: Some(json!({"type": "object", "properties": {"z": {}, "a": {}}})),
        strict: Some(true),
        cache: None,
    }
}

fn refused(request: &Request) -> String {
    write_request(request, &mut Losses::default()).unwrap_err().field_name().unwrap().to_owned()
}

/// All that the protocol can carry.
fn full() -> Request {
    let document = |source, name: Option<&str>, kind: Option<&str>| {
        Part::new(Content::Document(Media {
            media_type: kind.map(str::to_owned),
            source,
            name: name.map(str::to_owned),
            detail: None,
        }))
    };
    let audio = Media { media_type: Some("audio/wav".to_owned()), detail: None, ..image() };
    let pdf = MediaSource::Base64("BBBB".to_owned());
    let messages = vec![
        Message {
            role: Role::User,
            name: Some("ann".to_owned()),
            parts: vec![
                Part::text("look"),
                Part::new(Content::Image(image())),
                Part::new(Content::Audio(audio)),
                document(pdf, Some("b.pdf"), Some("application/pdf")),
                document(MediaSource::File("file-1".to_owned()), None, None),
            ],
        },
        message(
            Role::Assistant,
            vec![
                thought("t", signature(Protocol::OpenAiChat, r#"{"type":"reasoning.text","signature":"s","index":0}"#)),
                Part::text("calling"),
                call("c1", "f", r#"{"z":1,"a":2}"#),
                call("c2", "g", "{}"),
            ],
        ),
        message(Role::User, vec![result("c1", vec![Part::text("one")]), result("c2", vec![Part::text("two")])]),
        message(Role::User, vec![Part::text("and?")]),
        message(Role::System, vec![Part::text("be brief")]),
        message(Role::Assistant, vec![Part::new(Content::Refusal("no".to_owned()))]),
        message(Role::User, vec![Part::text("why?")]),
    ];
    Request {
        system: vec![Part::text("be kind")],
        tools: vec![tool("f"), tool("g")],
        tool_choice: Some(ToolChoice::Named(vec!["f".to_owned()])),
        parallel_tool_calls: Some(true),
        output: OutputFormat::Schema(OutputSchema {
            name: Some("n".to_owned()),
            description: Some("d".to_owned()),
            schema: json!({"type": "object"}),
            strict: Some(false),
        }),
        max_output_tokens: Some(7),
        temperature: Some(0.5),
        top_p: Some(0.9),
        frequency_penalty: Some(0.1),
        presence_penalty: Some(0.2),
        seed: Some(3),
        stop: vec!["x".to_owned()],
        choices: Some(2),
        logprobs: Some(0),
        reasoning: Some(ReasoningRequest { effort: Some(Effort::Max), ..ReasoningRequest::default() }),
        user: Some("u".to_owned()),
        stream: true,
        stream_usage: true,
        ..asking(messages)
    }
}

#[test]
fn what_the_protocol_can_carry_comes_back() {
    let body = write(&full());
    assert_eq!(read(body.clone()), full());
    assert_eq!(body["max_tokens"], 7);
    assert!(body.get("max_completion_tokens").is_none() && body.get("top_logprobs").is_none());
    assert_eq!(body["stream_options"], json!({"include_usage": true}));
    assert_eq!(body["reasoning_effort"], "xhigh");
    assert_eq!(body["tools"][0]["function"]["parameters"].to_string(), tool("f").parameters.unwrap().to_string());
    assert_eq!(body["messages"][2]["tool_calls"][0]["function"]["arguments"], r#"{"z":1,"a":2}"#);
}

#[test]
fn an_empty_wish_is_a_short_request() {
    let request = asking(vec![message(Role::User, vec![Part::text("hi")])]);
    assert_eq!(write(&request), json!({"model": "m", "messages": [{"role": "user", "content": "hi"}]}));
    let silent = Request { tool_choice: Some(ToolChoice::Auto), parallel_tool_calls: Some(false), ..request.clone() };
    assert_eq!(write(&silent), write(&request));
    assert_eq!(refused(&Request { tool_choice: Some(ToolChoice::Required), ..request }), "tool_choice");
}

#[test]
fn contents_of_only_text_are_one_text() {
    let notes = Media {
        source: MediaSource::Text("notes".to_owned()),
        name: Some("n.txt".to_owned()),
        media_type: None,
        detail: None,
    };
    let request = Request {
        system: vec![Part::text("a"), Part::text("b")],
        ..asking(vec![
            message(Role::User, vec![Part::text("c"), Part::new(Content::Document(notes))]),
            message(Role::Assistant, vec![Part::text("d"), Part::text("e")]),
            message(Role::Assistant, vec![call("1", "f", "")]),
            message(Role::Assistant, Vec::new()),
        ])
    };
    let calls = json!([{"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]);
    let expected = json!([
        {"role": "system", "content": "a\n\nb"},
        {"role": "user", "content": "c\n\nn.txt\n\nnotes"},
        {"role": "assistant", "content": "de"},
        {"role": "assistant", "content": null, "tool_calls": calls},
        {"role": "assistant", "content": ""},
    ]);
    assert_eq!(write(&request)["messages"], expected);
}

#[test]
fn results_follow_their_calls_and_what_they_cannot_hold_follows_them() {
    let picture = || Part::new(Content::Image(Media { detail: None, ..image() }));
    let mut failed = result("c1", vec![Part::text("seen"), picture()]);
    if let Content::ToolResult(result) = &mut failed.content {
        result.is_error = true;
    }
    let request = asking(vec![
        message(Role::Assistant, vec![call("c1", "f", "{}"), call("c2", "f", "{}")]),
        message(Role::User, vec![Part::text("here"), failed]),
        message(Role::User, vec![result("c2", vec![picture()])]),
    ]);
    let mut losses = Losses::default();
    let body = write_request(&request, &mut losses).unwrap();
    let url = json!({"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}});
    let expected = json!([
        {"role": "tool", "content": "seen", "tool_call_id": "c1"},
        {"role": "tool", "content": "The result stands in the next message.", "tool_call_id": "c2"},
        {"role": "user", "content": [
            {"type": "text", "text": "The result of the tool call c1:"}, url,
            {"type": "text", "text": "The result of the tool call c2:"}, url,
            {"type": "text", "text": "here"},
        ]},
    ]);
    assert_eq!(body["messages"].as_array().unwrap()[1..], expected.as_array().unwrap()[..]);
    assert_eq!(fields(&losses), ["messages[1].parts[1]", "messages[1].parts[1].is_error"]);
    // Before an instruction, and at the end.
    let alone = asking(vec![
        message(Role::User, vec![result("c1", vec![picture()])]),
        message(Role::System, vec![Part::text("go on")]),
    ]);
    let body = write_request(&alone, &mut Losses::default()).unwrap();
    let roles: Vec<&str> = body["messages"].as_array().unwrap().iter().map(|m| m["role"].as_str().unwrap()).collect();
    assert_eq!(roles, ["tool", "user", "system"]);
}

#[test]
fn only_seals_of_this_protocol_go_back() {
    let with = |parts: Vec<Part>| {
        asking(vec![
            message(Role::User, vec![Part::text("hi")]),
            message(Role::Assistant, parts),
            message(Role::User, vec![result("c", vec![Part::text("r")])]),
        ])
    };
    // Foreign: a loss, once.
    let foreign = || thought("t", signature(Protocol::Anthropic, "abc"));
    let mut losses = Losses::default();
    let request = with(vec![foreign(), foreign(), call("c", "f", "{}")]);
    let body = write_request(&request, &mut losses).unwrap();
    assert_eq!(fields(&losses), ["messages[1].parts[0]"]);
    assert!(!body.to_string().contains("reasoning"));
    // Bare: of no use to a provider, and refused by some.
    assert!(!write(&with(vec![thought("t", None), call("c", "f", "{}")])).to_string().contains("reasoning"));
    // Its own, as it came.
    let item = r#"{"type":"reasoning.text","format":"anthropic-claude-v1","index":0,"signature":"s"}"#;
    let hidden = r#"{"type":"reasoning.encrypted","data":"d","id":"rs_1","index":1}"#;
    let hidden = Reasoning { encrypted: signature(Protocol::OpenAiChat, hidden), ..Reasoning::default() };
    let own = [
        thought("t", signature(Protocol::OpenAiChat, item)),
        Part::new(Content::Reasoning(hidden)),
        thought("u", signature(Protocol::OpenAiChat, "not JSON")),
    ];
    let details = json!([
        {"type": "reasoning.text", "format": "anthropic-claude-v1", "index": 0, "signature": "s", "text": "t"},
        {"type": "reasoning.encrypted", "data": "d", "id": "rs_1", "index": 1},
        {"type": "reasoning.text", "text": "u", "index": 2, "signature": "not JSON"},
    ]);
    assert_eq!(write(&with(own.to_vec()))["messages"][1]["reasoning_details"], details);
}

#[test]
fn reasoning_content_goes_back_where_tools_were_called() {
    let sealed = |text: &str| thought(text, signature(Protocol::OpenAiChat, "reasoning_content"));
    let request = asking(vec![
        message(Role::User, vec![Part::text("hi")]),
        message(Role::Assistant, vec![sealed("t0"), Part::text("hello")]),
        message(Role::User, vec![Part::text("do")]),
        message(Role::Assistant, vec![sealed("t1"), call("c1", "f", "{}")]),
        message(Role::User, vec![result("c1", vec![Part::text("r")])]),
        message(Role::Assistant, vec![call("c2", "f", "{}")]),
        message(Role::User, vec![result("c2", vec![Part::text("r")])]),
        message(Role::Assistant, vec![sealed("t2"), Part::text("done")]),
        message(Role::User, vec![Part::text("thanks")]),
    ]);
    let body = write(&request);
    let thoughts = |place: usize| body["messages"][place].get("reasoning_content").cloned();
    assert_eq!(
        [thoughts(1), thoughts(3), thoughts(5), thoughts(7)],
        [None, Some(json!("t1")), Some(json!("")), Some(json!("t2"))]
    );
    assert!(!body.to_string().contains("reasoning_details"));
}

#[test]
fn several_names_are_the_only_tools_and_one_must_be_called() {
    let request = Request {
        tools: vec![tool("a"), tool("b"), tool("c")],
        tool_choice: Some(ToolChoice::Named(vec!["a".to_owned(), "c".to_owned()])),
        ..asking(Vec::new())
    };
    let body = write(&request);
    assert_eq!(body["tool_choice"], "required");
    let names: Vec<&Value> = body["tools"].as_array().unwrap().iter().map(|tool| &tool["function"]["name"]).collect();
    assert_eq!(names, ["a", "c"]);
}

#[test]
fn what_does_not_change_the_meaning_is_lost_and_told() {
    let marked = Part { content: Content::Text("x".to_owned()), cache: Some(CacheControl::default()) };
    let request = Request {
        top_k: Some(4),
        user: Some("u".repeat(65)),
        system: vec![marked.clone()],
        reasoning: Some(ReasoningRequest { effort: None, budget_tokens: Some(5_000), visible: Some(false) }),
        ..asking(vec![message(Role::User, vec![marked])])
    };
    let mut losses = Losses::default();
    let body = write_request(&request, &mut losses).unwrap();
    assert_eq!(fields(&losses), ["cache", "top_k", "reasoning.visible", "reasoning.budget_tokens", "user"]);
    assert_eq!(body["reasoning_effort"], "medium");
    let off = ReasoningRequest { budget_tokens: Some(0), ..ReasoningRequest::default() };
    let off = Request { reasoning: Some(off), ..asking(Vec::new()) };
    assert_eq!(write(&off)["reasoning_effort"], "none");
}

#[test]
fn what_cannot_be_said_is_refused_at_its_part() {
    let media = |source| Media { source, media_type: None, name: None, detail: None };
    let url = || media(MediaSource::Url("https://example.com/x".to_owned()));
    let file = || media(MediaSource::File("file_011".to_owned()));
    for content in [
        Content::Document(url()),
        Content::Document(file()),
        Content::Image(file()),
        Content::Video(file()),
        Content::Audio(url()),
        Content::Audio(media(MediaSource::Base64("AA".to_owned()))),
        Content::Refusal("no".to_owned()),
        Content::ToolCall(ToolCall { id: "c".to_owned(), name: "f".to_owned(), arguments: String::new() }),
    ] {
        let parts = vec![Part::text("x"), Part::new(content)];
        assert_eq!(refused(&asking(vec![message(Role::User, parts)])), "messages[0].parts[1]");
    }
    let picture = || vec![Part::new(Content::Image(image()))];
    assert_eq!(refused(&asking(vec![message(Role::Assistant, picture())])), "messages[0].parts[0]");
    assert_eq!(refused(&asking(vec![message(Role::System, picture())])), "messages[0].parts[0]");
    assert_eq!(refused(&Request { system: picture(), ..asking(Vec::new()) }), "system[0]");
    let misplaced = asking(vec![message(Role::Assistant, vec![result("c", Vec::new())])]);
    assert_eq!(refused(&misplaced), "messages[0].parts[0]");
}
