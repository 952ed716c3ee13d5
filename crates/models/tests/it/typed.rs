//! Chat and embeddings as Rust callers use them, with a model of a provider.

use std::time::Duration;

use futures::StreamExt as _;
use plasma_kernel::{Code, Permission, Permissions};
use plasma_models::{
    CallStatus, ChatDone, ChatEvent, ChatMessage, ChatRequest, EmbedRequest, ModelKind, NewModel, Priority, Purpose,
    Role,
};
use plasma_testkit::{TestStore, on_each_database, with_permissions};
use serde_json::{Value, json};

use crate::{
    support::{Setup, assert_status},
    upstream::{Answer, Piece, Upstream, finish_chunk, text_chunk, usage_chunk},
};

fn ask(model: &str) -> ChatRequest {
    let message = |role, content: &str| ChatMessage { role, content: content.to_owned() };
    let messages = vec![message(Role::System, "Be brief."), message(Role::User, "hi")];
    ChatRequest { model: Some(model.to_owned()), max_tokens: Some(5), ..ChatRequest::new(Purpose::Ask, messages) }
}

fn embed(inputs: &[&str]) -> EmbedRequest {
    EmbedRequest {
        model: Some("acme/embed".to_owned()),
        inputs: inputs.iter().map(|input| (*input).to_owned()).collect(),
        purpose: Purpose::Ingest,
        priority: Priority::Ordinary,
    }
}

fn embeddings(vectors: &[(usize, &[f32])]) -> Answer {
    let data: Vec<Value> = vectors
        .iter()
        .map(|(index, vector)| json!({ "object": "embedding", "index": index, "embedding": vector }))
        .collect();
    Answer::json(
        json!({ "object": "list", "data": data, "model": "x", "usage": { "prompt_tokens": 6, "total_tokens": 6 } }),
    )
}

async fn chat(setup: &Setup, request: ChatRequest) -> (String, ChatDone) {
    let mut stream = setup.models.chat(&setup.ctx, request).await.unwrap();
    let mut text = String::new();
    loop {
        match stream.next().await.expect("an end").unwrap() {
            ChatEvent::Token { text: piece } => text.push_str(&piece),
            ChatEvent::Done(done) => {
                assert_eq!(done.call_id, stream.call_id());
                assert!(stream.next().await.is_none());
                return (text, done);
            }
            other => panic!("a provider has no {other:?}"),
        }
    }
}

on_each_database! {
    async fn a_chat_is_a_stream_that_ends_with_its_account(test: TestStore) {
        let answer = Answer::events([text_chunk(""), text_chunk("Hel"), text_chunk("lo"), finish_chunk("length"), usage_chunk(7, 4, 2)]);
        let setup = Setup::new(test, answer.done()).await;
        let (text, done) = chat(&setup, ask("acme/chat")).await;
        assert_eq!((text.as_str(), done.finish_reason.as_str()), ("Hello", "length"));
        assert_eq!((done.usage.input_tokens, done.usage.cached_input_tokens, done.usage.output_tokens), (7, 4, 2));
        assert_eq!(done.cost.as_ref().unwrap().amount_micros, 38);
        let sent = setup.upstream.only().json;
        assert_eq!(sent["messages"], json!([{ "role": "system", "content": "Be brief." }, { "role": "user", "content": "hi" }]));
        assert_eq!((&sent["max_tokens"], &sent["model"], &sent["stream"]), (&json!(5), &json!("upstream-model"), &json!(true)));
        assert!(sent.get("temperature").is_none() && sent.get("stop").is_none());
        // The record is there when the end is.
        let call = setup.models.call(&setup.ctx, done.call_id).await.unwrap();
        assert_status(&call, CallStatus::Succeeded);
        assert_eq!((call.purpose, call.cost), (Purpose::Ask, done.cost));
    }

    async fn dropping_a_chat_stops_the_provider(test: TestStore) {
        let answer = Answer::events([text_chunk("Hel")]).then(Piece::Wait(Duration::from_secs(60)));
        let setup = Setup::new(test, answer).await;
        let mut stream = setup.models.chat(&setup.ctx, ask("acme/chat")).await.unwrap();
        assert!(matches!(stream.next().await, Some(Ok(ChatEvent::Token { .. }))));
        drop(stream);
        setup.upstream.abandoned().await;
        assert_status(&setup.only_call().await, CallStatus::Cancelled);
    }

    async fn embeddings_come_in_the_order_of_the_texts(test: TestStore) {
        let setup = Setup::new(test, embeddings(&[(1, &[0.0, 1.0]), (0, &[1.0, 0.0])])).await;
        let answer = setup.models.embed(&setup.ctx, embed(&["a", "b"])).await.unwrap();
        assert_eq!(answer.vectors, [[1.0, 0.0], [0.0, 1.0]]);
        assert_eq!((answer.model.as_str(), answer.input_tokens), ("acme/embed", 6));
        assert_eq!(setup.upstream.only().json["input"], json!(["a", "b"]));
        // A provider's embedding costs money: its record does not wait for later.
        let call = setup.models.call(&setup.ctx, answer.call_id).await.unwrap();
        assert_eq!((call.kind, call.purpose, call.usage.input_tokens), (ModelKind::Embedding, Purpose::Ingest, 6));
        assert_eq!(call.cost.unwrap().amount_micros, 15);
    }
}

#[tokio::test]
async fn a_cut_stream_is_an_error_at_the_end() {
    let setup = Setup::new(TestStore::sqlite().await, Answer::events([text_chunk("Hel")])).await;
    let mut stream = setup.models.chat(&setup.ctx, ask("acme/chat")).await.unwrap();
    assert!(matches!(stream.next().await, Some(Ok(ChatEvent::Token { .. }))));
    assert_eq!(stream.next().await.unwrap().unwrap_err().reason(), "provider_stream_cut");
    assert!(stream.next().await.is_none());
    assert_status(&setup.only_call().await, CallStatus::Failed);
}

#[tokio::test]
async fn a_model_that_knows_only_the_newer_name_of_the_limit_is_asked_with_it() {
    let refusal = Answer::error(400, "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.");
    let answer = Answer::events([text_chunk("Hello"), finish_chunk("stop"), usage_chunk(1, 0, 1)]).done();
    let setup = Setup::with(TestStore::sqlite().await, Upstream::start_with([refusal, answer]).await).await;
    assert_eq!(chat(&setup, ask("acme/chat")).await.0, "Hello");
    let sent = &setup.upstream.seen()[1].json;
    assert_eq!((sent.get("max_tokens"), &sent["max_completion_tokens"]), (None, &json!(5)));
}

#[tokio::test]
async fn vectors_that_do_not_fit_are_refused() {
    let setup = Setup::new(TestStore::sqlite().await, embeddings(&[(0, &[1.0, 0.0])])).await;
    let error = setup.models.embed(&setup.ctx, embed(&["a", "b"])).await.unwrap_err();
    assert_eq!(error.reason(), "provider_answer_invalid");
    assert_status(&setup.only_call().await, CallStatus::Failed);
    let new = NewModel {
        provider: setup.provider,
        name: "wide".to_owned(),
        upstream_name: None,
        kind: ModelKind::Embedding,
        context_length: None,
        dimensions: Some(3),
        price: Some(plasma_models::Price { free: true, ..plasma_models::Price::default() }),
        capabilities: None,
        domain: None,
        description: None,
    };
    setup.models.create_model(&setup.ctx, new).await.unwrap();
    assert_eq!(setup.models.embedding_dimensions(&setup.ctx, "acme/wide").await.unwrap(), Some(3));
    let request = EmbedRequest { model: Some("acme/wide".to_owned()), ..embed(&["a"]) };
    let error = setup.models.embed(&setup.ctx, request).await.unwrap_err();
    assert!(error.message().contains("vectors of 2 numbers"), "{error}");
}

#[tokio::test]
async fn each_purpose_needs_its_own_permission() {
    let setup = Setup::new(TestStore::sqlite().await, embeddings(&[(0, &[1.0])])).await;
    let viewer = with_permissions(&setup.ctx, Permissions::none().with(Permission::SearchQuery));
    let request = |purpose| EmbedRequest { purpose, ..embed(&["a"]) };
    setup.models.embed(&viewer, request(Purpose::Search)).await.unwrap();
    for purpose in [Purpose::Api, Purpose::Ingest, Purpose::Ask] {
        assert_eq!(setup.models.embed(&viewer, request(purpose)).await.unwrap_err().code(), Code::Forbidden);
    }
    assert_eq!(setup.models.chat(&viewer, ask("acme/chat")).await.err().unwrap().code(), Code::Forbidden);
}

#[tokio::test]
async fn wrong_requests_are_refused_before_a_call() {
    let setup = Setup::new(TestStore::sqlite().await, Answer::Silence).await;
    let refusal = |request: ChatRequest| async { setup.models.chat(&setup.ctx, request).await.err().unwrap() };
    assert_eq!(refusal(ChatRequest { messages: vec![], ..ask("acme/chat") }).await.field_name(), Some("messages"));
    let long = ChatMessage { role: Role::User, content: "x".repeat(4_000_001) };
    assert_eq!(refusal(ChatRequest { messages: vec![long], ..ask("acme/chat") }).await.code(), Code::TooLarge);
    assert_eq!(refusal(ask("acme/embed")).await.field_name(), Some("model"));
    assert_eq!(refusal(ask("acme/none")).await.reason(), "model_not_found");
    assert_eq!(setup.models.embed(&setup.ctx, embed(&[])).await.unwrap_err().field_name(), Some("input"));
    assert!(setup.calls().await.is_empty());
}

#[tokio::test]
async fn local_models_without_weights_fail_with_a_remedy_and_are_recorded() {
    let setup = Setup::new(TestStore::sqlite().await, Answer::Silence).await;
    let default = setup.models.embedding_model_default().unwrap().to_owned();
    assert_eq!(setup.models.embedding_dimensions(&setup.ctx, &default).await.unwrap(), Some(384));
    let mut stream = setup.models.chat(&setup.ctx, ChatRequest { model: None, ..ask("") }).await.unwrap();
    assert_eq!(stream.model(), setup.models.chat_model_default().unwrap());
    let error = stream.next().await.unwrap().unwrap_err();
    assert_eq!(error.code(), Code::Unavailable);
    assert!(error.remedy_text().is_some());
    assert!(stream.next().await.is_none());
    let call = setup.only_call().await;
    assert_status(&call, CallStatus::Failed);
    assert_eq!(call.cost.unwrap().amount_micros, 0);
    let request = EmbedRequest { model: None, ..embed(&["a"]) };
    assert_eq!(setup.models.embed(&setup.ctx, request).await.unwrap_err().code(), Code::Unavailable);
}
