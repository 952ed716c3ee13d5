//! `/v1` with the real local models: needs their weights, which `make run` fetches.

use std::path::PathBuf;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use plasma_models::{CallStatus, LocalModels, LocalSettings, Manifest, Models, ModelsConfig, Purpose, manifest};
use plasma_testkit::{TestStore, system, tenant};
use serde_json::{Value, json};

use crate::{
    support::{Setup, assert_status, call_id, data, serve},
    upstream::{Answer, Upstream},
};

const CHAT_MODEL: &str = "local/qwen2.5-coder-0.5b-instruct";

async fn setup() -> Setup {
    let test = TestStore::sqlite().await;
    let folder =
        std::env::var_os("PLASMA_MODELS_DIR").map(PathBuf::from).or_else(manifest::default_models_dir).unwrap();
    let local = LocalModels::new(&Manifest::builtin().unwrap(), &folder, &LocalSettings::default());
    let models = Models::new(&system(), test.store(), local, ModelsConfig::default()).unwrap();
    let ctx = tenant();
    let url = serve(&models, &ctx).await;
    let upstream = Upstream::start(Answer::Silence).await;
    let provider = plasma_kernel::ProviderId::from_bits(0);
    Setup { test, models, ctx, upstream, provider, url, client: reqwest::Client::new() }
}

fn chat(extra: &str) -> String {
    format!(
        r#"{{"model":"{CHAT_MODEL}","messages":[{{"role":"user","content":"Reply with the single word: yes"}}],
            "temperature":0,"max_tokens":8,"user":"somebody"{extra}}}"#
    )
}

#[tokio::test]
async fn embeddings_of_a_local_model_in_both_encodings() {
    let setup = setup().await;
    let texts =
        r#""model":"local/all-minilm-l6-v2","input":["a cat sits on the mat","a kitten rests on a rug","tax law"]"#;
    let response = setup.post("/v1/embeddings", format!("{{{texts}}}")).await;
    assert_eq!(response.status(), 200);
    let call = setup.call(&call_id(&response)).await;
    let answer: Value = response.json().await.unwrap();
    assert_eq!((&answer["object"], &answer["model"]), (&json!("list"), &json!("local/all-minilm-l6-v2")));
    let vectors: Vec<Vec<f32>> = answer["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| serde_json::from_value(item["embedding"].clone()).unwrap())
        .collect();
    assert_eq!(vectors.iter().map(Vec::len).collect::<Vec<_>>(), [384, 384, 384]);
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f32>();
    assert!((dot(&vectors[0], &vectors[0]) - 1.0).abs() < 1e-3);
    assert!(dot(&vectors[0], &vectors[1]) > dot(&vectors[0], &vectors[2]) + 0.2);
    let tokens = answer["usage"]["prompt_tokens"].as_u64().unwrap();
    assert!(tokens > 15 && answer["usage"]["total_tokens"] == tokens);
    assert_status(&call, CallStatus::Succeeded);
    assert_eq!((call.purpose, call.usage.input_tokens), (Purpose::Api, tokens));
    assert_eq!(call.cost.unwrap().amount_micros, 0);

    let response =
        setup.post("/v1/embeddings", format!(r#"{{{texts},"encoding_format":"base64","dimensions":384}}"#)).await;
    let answer: Value = response.json().await.unwrap();
    let bytes = STANDARD.decode(answer["data"][2]["embedding"].as_str().unwrap()).unwrap();
    let decoded: Vec<f32> = bytes.chunks(4).map(|number| f32::from_le_bytes(number.try_into().unwrap())).collect();
    assert!(dot(&decoded, &vectors[2]) > 0.9999);
}

#[tokio::test]
async fn a_text_that_a_local_model_would_cut_is_refused_with_its_length() {
    let setup = setup().await;
    let body = json!({ "model": "local/all-minilm-l6-v2", "input": ["short", "many words ".repeat(300)] });
    let response = setup.post("/v1/embeddings", body.to_string()).await;
    assert_eq!(response.status(), 400);
    let error: Value = response.json().await.unwrap();
    assert_eq!((&error["error"]["code"], &error["error"]["param"]), (&json!("input_too_long"), &json!("input[1]")));
    assert!(error["error"]["message"].as_str().unwrap().contains("600 tokens"), "{error}");
    assert_status(&setup.only_call().await, CallStatus::Failed);
}

#[tokio::test]
async fn a_chat_with_a_local_model_streamed_and_whole() {
    let setup = setup().await;
    let response = setup.post("/v1/chat/completions", chat("")).await;
    assert_eq!(response.status(), 200);
    let id = call_id(&response);
    let whole: Value = response.json().await.unwrap();
    assert_eq!((&whole["object"], &whole["model"]), (&json!("chat.completion"), &json!(CHAT_MODEL)));
    assert_eq!(whole["id"], format!("chatcmpl-{id}"));
    let message = &whole["choices"][0]["message"];
    assert_eq!((&message["role"], &message["refusal"]), (&json!("assistant"), &Value::Null));
    let content = message["content"].as_str().unwrap();
    assert!(content.to_lowercase().contains("yes"), "{content}");
    let usage = &whole["usage"];
    let (input, output) = (usage["prompt_tokens"].as_u64().unwrap(), usage["completion_tokens"].as_u64().unwrap());
    assert!(input > 10 && (1..=8).contains(&output) && usage["total_tokens"] == input + output);
    let call = setup.call(&id).await;
    assert_status(&call, CallStatus::Succeeded);
    assert_eq!((call.usage.input_tokens, call.usage.output_tokens), (input, output));
    assert_eq!(call.cost.unwrap().amount_micros, 0);
    assert!(!call.streamed);

    let response =
        setup.post("/v1/chat/completions", chat(r#","stream":true,"stream_options":{"include_usage":true}"#)).await;
    assert_eq!(response.status(), 200);
    let id = call_id(&response);
    let text = response.text().await.unwrap();
    let events = data(&text);
    assert_eq!(events.last(), Some(&"[DONE]"));
    let chunks: Vec<Value> =
        events[..events.len() - 1].iter().map(|event| serde_json::from_str(event).unwrap()).collect();
    assert_eq!(chunks[0]["choices"][0]["delta"], json!({ "role": "assistant", "content": "", "refusal": null }));
    let (last, pieces) = chunks.split_last().unwrap();
    let streamed: String = pieces.iter().filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str()).collect();
    assert_eq!(streamed, content, "the same request with temperature 0 has the same answer");
    for chunk in pieces {
        assert_eq!(
            (&chunk["object"], &chunk["id"]),
            (&json!("chat.completion.chunk"), &json!(format!("chatcmpl-{id}")))
        );
        assert_eq!(chunk.get("usage"), Some(&Value::Null));
    }
    assert_eq!(pieces.last().unwrap()["choices"][0]["finish_reason"], whole["choices"][0]["finish_reason"]);
    assert_eq!(last["choices"], json!([]));
    assert_eq!(last["usage"]["completion_tokens"], usage["completion_tokens"]);
    assert!(last["usage"]["prompt_tokens_details"]["cached_tokens"].is_u64());
    let call = setup.call(&id).await;
    assert!(call.streamed && call.first_token_ms.is_some());
}

#[tokio::test]
async fn a_prompt_that_is_too_long_gets_its_status_even_in_a_stream() {
    let setup = setup().await;
    let long = "word ".repeat(20_000);
    let body = json!({ "model": CHAT_MODEL, "stream": true, "messages": [{ "role": "user", "content": long }] });
    let response = setup.post("/v1/chat/completions", body.to_string()).await;
    assert_eq!(response.status(), 400);
    let error: Value = response.json().await.unwrap();
    assert_eq!(error["error"]["code"], "prompt_too_long");
    assert_status(&setup.only_call().await, CallStatus::Failed);
}
