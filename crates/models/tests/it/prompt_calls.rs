//! Prompts in calls of all four protocols: what is really sent, what the record says, and what is refused.

use futures::StreamExt as _;
use plasma_models::{
    CallFilter, ChatMessage, ChatRequest, PromptCall, PromptReference, ProviderKind, ProviderOptions, Purpose, Role,
};
use plasma_testkit::{TestStore, on_each_database};
use serde_json::{Value, json};

use crate::{
    prompts::{setup, version},
    support::{Setup, call_id, data},
    upstream::{Answer, Upstream, finish_chunk, text_chunk, usage_chunk, whole_answer},
};

const CHAT: &str = "/v1/chat/completions";

async fn setup_of(kind: ProviderKind, options: ProviderOptions, answer: Value) -> Setup {
    let setup =
        Setup::of_kind(TestStore::sqlite().await, Upstream::start(Answer::json(answer)).await, kind, options).await;
    setup.add_prompt("support", &[support()]).await;
    setup
}

/// Instructions, an example, parameters and a model.
fn support() -> Value {
    json!({
        "messages": [
            { "role": "system", "content": "Answer in {{ language }}." },
            { "role": "user", "content": "Example?" },
            { "role": "assistant", "content": "Yes." },
        ],
        "variables": [{ "name": "language", "type": "string" }, { "name": "n", "type": "integer", "default": 1 }],
        "model": "acme/chat",
        "parameters": { "temperature": 0.25, "max_tokens": 77, "stop": ["END"] },
    })
}

async fn post(setup: &Setup, path: &str, headers: &[(&str, &str)], body: &Value) -> reqwest::Response {
    let mut request = setup.client.post(format!("{}{path}", setup.url)).json(body);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.send().await.unwrap()
}

fn ask(prompt: Value) -> Value {
    json!({ "model": "acme/chat", "prompt": prompt, "messages": [{ "role": "user", "content": "hi" }] })
}

on_each_database! {
    async fn the_record_names_prompt_and_version_and_lists_filter_by_them(test: TestStore) {
        let setup = setup(test).await;
        setup.add_prompt("support", &[version("1 {{ language }}", "x"), version("2 {{ language }}", "x")]).await;
        let variables = json!({ "language": "French" });
        let response = post(&setup, CHAT, &[], &ask(json!({ "name": "support", "version": 1, "variables": variables }))).await;
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["plasma-prompt"], "support@1");
        let call = setup.call(&call_id(&response)).await;
        assert_eq!(call.prompt.map(|used| (used.name, used.version)), Some(("support".to_owned(), 1)));
        let body = ask(json!({ "name": "support", "variables": variables }));
        assert_eq!(post(&setup, CHAT, &[], &body).await.headers()["plasma-prompt"], "support@2");
        assert_eq!(post(&setup, CHAT, &[], &ask(Value::Null)).await.headers().get("plasma-prompt"), None);
        let count = |filter: CallFilter| {
            let setup = &setup;
            async move { setup.models.calls(&setup.ctx, &filter, &plasma_kernel::PageRequest::default()).await.unwrap().data.len() }
        };
        let by_prompt = CallFilter { prompt: Some("support".to_owned()), ..CallFilter::default() };
        assert_eq!(count(by_prompt.clone()).await, 2);
        assert_eq!(count(CallFilter { prompt_version: Some(2), ..by_prompt }).await, 1);
        assert_eq!(count(CallFilter::default()).await, 3);
        let (_, list) = setup.get("/api/v1/models/calls?prompt=support&prompt_version=1").await;
        assert_eq!(list["data"].as_array().unwrap().len(), 1);
        assert_eq!(list["data"][0]["prompt"], json!({ "name": "support", "version": 1 }));
    }

    async fn an_alias_keeps_each_subject_at_one_version(test: TestStore) {
        let setup = setup(test).await;
        setup.add_prompt("support", &[version("1 {{ language }}", "x"), version("2 {{ language }}", "x")]).await;
        setup.alias_prompt("support", "production", json!([{ "version": 1, "weight": 1 }, { "version": 2, "weight": 1 }])).await;
        let used = |subject: Option<String>, user: Option<String>| {
            let setup = &setup;
            async move {
                let mut body = ask(json!({ "name": "support", "alias": "production", "variables": { "language": "x" } }));
                if let Some(user) = user {
                    body["user"] = json!(user);
                }
                let subject = subject.map(|subject| ("plasma-subject", subject));
                let headers: Vec<(&str, &str)> = subject.iter().map(|(name, value)| (*name, value.as_str())).collect();
                let response = post(setup, CHAT, &headers, &body).await;
                assert_eq!(response.status(), 200);
                response.headers()["plasma-prompt"].to_str().unwrap().to_owned()
            }
        };
        let mut seen = std::collections::BTreeSet::new();
        for number in 0..12 {
            let key = format!("person-{number}");
            let first = used(None, Some(key.clone())).await;
            assert_eq!(used(None, Some(key.clone())).await, first);
            // The header counts before the body's field.
            assert_eq!(used(Some(key), Some("other".to_owned())).await, first);
            seen.insert(first);
        }
        assert_eq!(seen.len(), 2, "{seen:?}");
    }

    async fn a_change_is_used_by_the_next_call(test: TestStore) {
        let setup = setup(test).await;
        setup.add_prompt("support", &[version("1 {{ language }}", "x"), version("2 {{ language }}", "x")]).await;
        let body = ask(json!({ "name": "support", "variables": { "language": "x" } }));
        for version in [1, 2, 1] {
            setup.alias_prompt("support", "production", json!([{ "version": version }])).await;
            let response = post(&setup, CHAT, &[], &body).await;
            assert_eq!(response.headers()["plasma-prompt"], format!("support@{version}").as_str());
        }
    }
}

#[tokio::test]
async fn an_openai_chat_has_the_prompts_messages_first_and_its_own_fields_untouched() {
    let setup = setup_of(ProviderKind::Openai, ProviderOptions::default(), whole_answer("Hello", 7, 2)).await;
    let text = r#"{"prompt":{"name":"support","variables":{"language":"French"}},"never_heard_of":{"a":[1,2.50]},
        "messages":[{"role":"developer","content":"Mine.","x":1.50},{"role":"user","content":"hi"}],"temperature":1}"#;
    let response = setup.post(CHAT, text).await;
    assert_eq!(response.status(), 200, "{}", response.text().await.unwrap());
    let seen = setup.upstream.only();
    assert!(seen.text.contains(r#"{"a":[1,2.50]}"#) && seen.text.contains(r#""x":1.50"#), "{}", seen.text);
    assert!(seen.json.get("prompt").is_none(), "{}", seen.text);
    let expected = json!([
        { "role": "system", "content": "Answer in French." },
        { "role": "developer", "content": "Mine.", "x": 1.5 },
        { "role": "user", "content": "Example?" },
        { "role": "assistant", "content": "Yes." },
        { "role": "user", "content": "hi" },
    ]);
    assert_eq!(seen.json["messages"], expected);
    // The caller named no model, and its own temperature counts.
    assert_eq!((&seen.json["model"], &seen.json["temperature"]), (&json!("upstream-model"), &json!(1)));
    assert_eq!((&seen.json["max_tokens"], &seen.json["stop"]), (&json!(77), &json!(["END"])));
}

#[tokio::test]
async fn a_prompt_alone_is_a_whole_request() {
    let setup = setup_of(ProviderKind::Openai, ProviderOptions::default(), whole_answer("Hello", 7, 2)).await;
    let variables = [("plasma-prompt-variables", r#"{"language":"French"}"#)];
    let response = post(&setup, CHAT, &variables, &json!({ "model": "prompt:support@1" })).await;
    assert_eq!(response.status(), 200, "{}", response.text().await.unwrap());
    assert_eq!(setup.upstream.only().json["messages"].as_array().unwrap().len(), 3);
    assert_eq!(response.headers()["plasma-model"], "acme/chat");
}

#[tokio::test]
async fn a_stream_names_its_prompt_too() {
    let chunks = [text_chunk("Hel"), finish_chunk("stop"), usage_chunk(7, 0, 2)];
    let setup = Setup::new(TestStore::sqlite().await, Answer::events(chunks).done()).await;
    setup.add_prompt("support", &[support()]).await;
    let mut body = ask(json!({ "name": "support", "variables": { "language": "French" } }));
    body["stream"] = json!(true);
    let response = post(&setup, CHAT, &[], &body).await;
    assert_eq!(response.headers()["plasma-prompt"], "support@1");
    let text = response.text().await.unwrap();
    assert_eq!(*data(&text).last().unwrap(), "[DONE]");
}

#[tokio::test]
async fn openais_own_shape_of_responses_is_understood() {
    let answer = json!({
        "id": "resp_up", "object": "response", "status": "completed", "model": "upstream-model", "created_at": 1,
        "output": [{ "type": "message", "id": "msg_1", "role": "assistant", "status": "completed",
                     "content": [{ "type": "output_text", "text": "Hello", "annotations": [] }] }],
        "usage": { "input_tokens": 7, "output_tokens": 2, "total_tokens": 9 },
    });
    let options = ProviderOptions { responses: true, ..ProviderOptions::default() };
    let setup = setup_of(ProviderKind::Openai, options, answer).await;
    let prompt = json!({ "id": "support", "version": "1", "variables": { "language": "French", "n": "3" } });
    let body = json!({ "model": "acme/chat", "prompt": prompt, "input": "hi", "instructions": "Mine.", "never_heard_of": true });
    let response = post(&setup, "/v1/responses", &[], &body).await;
    assert_eq!(response.status(), 200, "{}", response.text().await.unwrap());
    assert!(response.headers()["plasma-warning"].to_str().unwrap().starts_with("prompt.parameters.stop"));
    let seen = setup.upstream.only();
    assert_eq!(seen.path, "/v1/responses");
    assert_eq!(seen.json["instructions"], "Answer in French.\n\nMine.");
    let expected = json!([
        { "role": "user", "content": "Example?" }, { "role": "assistant", "content": "Yes." },
        { "role": "user", "content": "hi" },
    ]);
    assert_eq!(seen.json["input"], expected);
    assert_eq!((&seen.json["max_output_tokens"], &seen.json["never_heard_of"]), (&json!(77), &json!(true)));
    assert!(seen.json.get("prompt").is_none());

    // What OpenAI stores itself passes on.
    let own = json!({ "id": "pmpt_abc", "version": "2" });
    let response =
        post(&setup, "/v1/responses", &[], &json!({ "model": "acme/chat", "prompt": own, "input": "hi" })).await;
    assert_eq!(response.status(), 200);
    assert_eq!(setup.upstream.seen()[1].json["prompt"], own);
    assert_eq!(response.headers().get("plasma-prompt"), None);
    // Not beside one of this server, which would take its place.
    let body = json!({ "model": "acme/chat", "prompt": own, "input": "hi" });
    let response = post(&setup, "/v1/responses", &[("plasma-prompt", "support")], &body).await;
    assert_eq!(response.status(), 400);
    let error = response.json::<Value>().await.unwrap();
    assert_eq!(error["error"]["param"], "plasma-prompt", "{error}");
    assert_eq!(setup.upstream.seen().len(), 2);
}

#[tokio::test]
async fn responses_with_a_prompt_are_translated_too() {
    let setup = setup_of(ProviderKind::Openai, ProviderOptions::default(), whole_answer("Hello", 7, 2)).await;
    let prompt = json!({ "id": "support", "variables": { "language": "French" } });
    let response = post(&setup, "/v1/responses", &[], &json!({ "prompt": prompt })).await;
    assert_eq!(response.status(), 200, "{}", response.text().await.unwrap());
    let seen = setup.upstream.only();
    assert_eq!(seen.path, CHAT);
    assert_eq!(seen.json["messages"][0]["content"], "Answer in French.");
    assert_eq!(seen.json["messages"].as_array().unwrap().len(), 3);
}

fn anthropic_answer() -> Value {
    json!({
        "id": "msg_1", "type": "message", "role": "assistant", "model": "upstream-model", "stop_reason": "end_turn",
        "stop_sequence": null, "content": [{ "type": "text", "text": "Hello" }],
        "usage": { "input_tokens": 5, "output_tokens": 9 },
    })
}

#[tokio::test]
async fn anthropics_clients_name_prompts_by_headers() {
    let setup = setup_of(ProviderKind::Anthropic, ProviderOptions::default(), anthropic_answer()).await;
    let headers = [("plasma-prompt", "support@1"), ("plasma-prompt-variables", r#"{"language":"French"}"#)];
    let cached = json!([{ "type": "text", "text": "Mine.", "cache_control": { "type": "ephemeral" } }]);
    for (system, expected) in [
        (Value::Null, json!("Answer in French.")),
        (json!("Mine."), json!("Answer in French.\n\nMine.")),
        (cached.clone(), json!([{ "type": "text", "text": "Answer in French." }, cached[0]])),
    ] {
        let mut body = json!({ "model": "acme/chat", "messages": [{ "role": "user", "content": "hi" }], "metadata": { "user_id": "u" } });
        if !system.is_null() {
            body["system"] = system;
        }
        let response = post(&setup, "/anthropic/v1/messages", &headers, &body).await;
        assert_eq!(response.status(), 200, "{}", response.text().await.unwrap());
        assert_eq!(response.headers()["plasma-prompt"], "support@1");
        let seen = setup.upstream.seen().pop().unwrap();
        assert_eq!(seen.json["system"], expected);
        let roles: Vec<&str> =
            seen.json["messages"].as_array().unwrap().iter().map(|message| message["role"].as_str().unwrap()).collect();
        assert_eq!(roles, ["user", "assistant", "user"]);
        assert_eq!((&seen.json["max_tokens"], &seen.json["stop_sequences"]), (&json!(77), &json!(["END"])));
        assert!(seen.headers.get("plasma-prompt").is_none());
    }
    let body = json!({ "model": "prompt:support", "messages": [] });
    let response = post(&setup, "/anthropic/v1/messages", &headers[1..], &body).await;
    assert_eq!(response.status(), 200, "{}", response.text().await.unwrap());
    assert_eq!(setup.upstream.seen().pop().unwrap().json["model"], "upstream-model");
}

#[tokio::test]
async fn tokens_are_counted_with_the_prompt() {
    let setup = setup_of(ProviderKind::Anthropic, ProviderOptions::default(), json!({ "input_tokens": 12 })).await;
    let headers = [("plasma-prompt", "support"), ("plasma-prompt-variables", r#"{"language":"French"}"#)];
    let body = json!({ "model": "acme/chat", "messages": [{ "role": "user", "content": "hi" }] });
    let response = post(&setup, "/anthropic/v1/messages/count_tokens", &headers, &body).await;
    assert_eq!(response.json::<Value>().await.unwrap(), json!({ "input_tokens": 12 }));
    assert_eq!(setup.upstream.only().json["messages"].as_array().unwrap().len(), 3);
    let contents = json!({ "contents": [{ "role": "user", "parts": [{ "text": "hi" }] }] });
    let response = post(&setup, "/gemini/v1beta/models/prompt:support:countTokens", &headers[1..], &contents).await;
    assert_eq!(response.json::<Value>().await.unwrap(), json!({ "totalTokens": 12 }));
}

#[tokio::test]
async fn geminis_clients_name_prompts_by_headers_or_in_the_address() {
    let answer = json!({
        "candidates": [{ "index": 0, "content": { "role": "model", "parts": [{ "text": "Hello" }] }, "finishReason": "STOP" }],
        "usageMetadata": { "promptTokenCount": 7, "candidatesTokenCount": 2, "totalTokenCount": 9 },
        "modelVersion": "upstream-model", "responseId": "r1",
    });
    let setup = setup_of(ProviderKind::Gemini, ProviderOptions::default(), answer).await;
    let headers = [("plasma-prompt", "support@latest"), ("plasma-prompt-variables", r#"{"language":"French"}"#)];
    let body = json!({
        "contents": [{ "role": "user", "parts": [{ "text": "hi" }] }],
        "systemInstruction": { "parts": [{ "text": "Mine." }] }, "generationConfig": { "topK": 3, "temperature": 1.5 },
    });
    for (path, headers) in [
        ("/gemini/v1beta/models/acme/chat:generateContent", &headers[..]),
        ("/gemini/v1beta/models/prompt:support@1:generateContent", &headers[1..]),
    ] {
        let response = post(&setup, path, headers, &body).await;
        assert_eq!(response.status(), 200, "{}", response.text().await.unwrap());
        assert_eq!(response.headers()["plasma-prompt"], "support@1");
        let seen = setup.upstream.seen().pop().unwrap();
        assert_eq!(
            seen.json["systemInstruction"]["parts"],
            json!([{ "text": "Answer in French." }, { "text": "Mine." }])
        );
        let roles: Vec<&str> =
            seen.json["contents"].as_array().unwrap().iter().map(|content| content["role"].as_str().unwrap()).collect();
        assert_eq!(roles, ["user", "model", "user"]);
        let config = json!({ "topK": 3, "temperature": 1.5, "maxOutputTokens": 77, "stopSequences": ["END"] });
        assert_eq!(seen.json["generationConfig"], config);
    }
}

#[tokio::test]
async fn rust_callers_use_prompts() {
    let chunks = [text_chunk("Hel"), finish_chunk("stop"), usage_chunk(7, 0, 2)];
    let setup = Setup::new(TestStore::sqlite().await, Answer::events(chunks).done()).await;
    setup.add_prompt("support", &[support()]).await;
    let messages = [(Role::System, "Mine."), (Role::User, "hi")];
    let messages = messages.map(|(role, content)| ChatMessage { role, content: content.to_owned() }).to_vec();
    let variables = serde_json::from_value(json!({ "language": "French" })).unwrap();
    let prompt = PromptCall {
        name: "support".to_owned(),
        reference: PromptReference::Newest,
        variables,
        ..PromptCall::default()
    };
    let request = ChatRequest { prompt: Some(prompt), ..ChatRequest::new(Purpose::Draft, messages) };
    let mut stream = setup.models.chat(&setup.ctx, request).await.unwrap();
    while let Some(event) = stream.next().await {
        event.unwrap();
    }
    let seen = setup.upstream.only();
    let texts: Vec<&Value> =
        seen.json["messages"].as_array().unwrap().iter().map(|message| &message["content"]).collect();
    assert_eq!(texts.len(), 4, "{}", seen.text);
    assert_eq!((&seen.json["temperature"], &seen.json["max_tokens"]), (&json!(0.25), &json!(77)));
    assert_eq!(setup.only_call().await.prompt.unwrap().version, 1);
}

#[tokio::test]
async fn refusals_name_the_callers_field_and_near_names() {
    let setup = setup_of(ProviderKind::Openai, ProviderOptions::default(), whole_answer("Hello", 7, 2)).await;
    let language = json!({ "language": "French" });
    for (body, status, code, param) in [
        (ask(json!({ "name": "suport", "variables": language })), 404, "prompt_not_found", "prompt"),
        (ask(json!({ "name": "support", "version": 9 })), 404, "prompt_version_not_found", "prompt"),
        (ask(json!({ "name": "support", "alias": "nope" })), 404, "prompt_alias_not_found", "prompt"),
        (ask(json!({ "name": "support" })), 400, "prompt_variable_missing", "prompt.variables.language"),
        (
            ask(json!({ "name": "support", "variables": { "language": 1 } })),
            400,
            "prompt_variable_wrong",
            "prompt.variables.language",
        ),
        (ask(json!({ "name": "support", "version": 1, "alias": "a" })), 400, "invalid", "prompt.alias"),
        (ask(json!({ "name": "support", "colour": 1 })), 400, "invalid", "prompt"),
        (ask(json!("support")), 400, "invalid", "prompt"),
        (json!({ "model": "prompt:suport", "messages": [] }), 404, "prompt_not_found", "model"),
    ] {
        let response = post(&setup, CHAT, &[], &body).await;
        assert_eq!(response.status(), status, "{body}");
        let answer: Value = response.json().await.unwrap();
        assert_eq!((&answer["error"]["code"], &answer["error"]["param"]), (&json!(code), &json!(param)), "{answer}");
        if code == "prompt_not_found" {
            assert!(answer["error"]["message"].as_str().unwrap().contains("near names: `support`"), "{answer}");
        }
    }
    let given = ask(json!({ "name": "support", "variables": language }));
    let plain = ask(Value::Null);
    for (headers, body, param) in [
        ([("plasma-prompt", "support"), ("x", "y")], &given, "plasma-prompt"),
        ([("plasma-prompt-variables", "{}"), ("x", "y")], &plain, "plasma-prompt-variables"),
        ([("plasma-prompt-variables", "{}x"), ("plasma-prompt", "support")], &plain, "plasma-prompt-variables"),
        ([("plasma-prompt-variables", "{}"), ("plasma-prompt", "support")], &plain, "plasma-prompt-variables.language"),
        ([("plasma-prompt-variables", r#"{"language":"a"}"#), ("x", "y")], &given, "plasma-prompt-variables"),
        ([("plasma-prompt", "nothing"), ("x", "y")], &plain, "plasma-prompt"),
    ] {
        let response = post(&setup, CHAT, &headers, body).await;
        assert!(response.status().is_client_error(), "{headers:?}");
        let answer: Value = response.json().await.unwrap();
        assert_eq!(answer["error"]["param"], param, "{answer}");
    }
    assert!(setup.upstream.seen().is_empty());
    // What is refused before is not a call.
    assert!(setup.calls().await.is_empty());
}
