//! The semantic cache with the real weights of the embedding model.

use plasma_models::{CacheKind, ModelKind, Models, TextPair};
use plasma_testkit::{TestStore, system, tenant};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{CACHE, CHAT, ask, cache_header, question};
use crate::{
    budgets::Api,
    local::{local_models, settings},
    support::{Setup, add_model, add_provider, config, serve},
    upstream::{Answer, Upstream, whole_answer},
};

/// A tenant whose route `help` compares questions, with answers in turn.
async fn setup() -> Setup {
    let test = TestStore::sqlite().await;
    let models = Models::new(&system(), test.store(), local_models(&settings()), config()).unwrap();
    let ctx = tenant();
    let answers = (1..20).map(|number| Answer::json(whole_answer(&format!("answer {number}"), 7, 2)));
    let upstream = Upstream::start_with(answers).await;
    let provider = add_provider(&models, &ctx, "acme", &upstream.url).await;
    add_model(&models, &ctx, provider, "chat", ModelKind::Chat).await;
    let url = serve(&models, &ctx).await;
    Setup { test, models, ctx, upstream, provider, url, client: reqwest::Client::new() }
}

async fn set_route(setup: &Setup, cache: Value) {
    let route = json!({ "strategy": "ordered", "candidates": [{ "model": "acme/chat" }], "cache": cache });
    let (status, body) = Api::at(&setup.url).send("PUT", "/api/v1/routes/help", route).await;
    assert_eq!(status, 200, "{body}");
}

fn help(content: &str, extra: &str) -> String {
    question(content, extra).replace("acme/chat", "help")
}

#[tokio::test]
async fn a_similar_question_gets_the_answer_and_a_different_one_does_not() {
    let setup = setup().await;
    set_route(&setup, json!({ "mode": "semantic", "similarity_min": 0.85 })).await;
    let miss = |number: usize| (Some("miss".to_owned()), format!("answer {number}"));
    assert_eq!(ask(&setup, help("How do I reset my password?", "")).await, miss(1));
    // The same words are the exact cache's.
    let (header, answer) = ask(&setup, help("How do I reset my password?", "")).await;
    assert!(header.unwrap().starts_with("hit; age="));
    assert_eq!(answer, "answer 1");
    let response = setup.post(CHAT, help("How can I reset my password?", r#","stream":true"#)).await;
    let header = cache_header(&response).unwrap();
    let similarity: f64 =
        header.strip_prefix("semantic; similarity=").unwrap().split(';').next().unwrap().parse().unwrap();
    assert!((0.85..=1.0).contains(&similarity), "{header}");
    assert!(response.text().await.unwrap().contains("answer 1"));
    let hit = setup.calls().await.into_iter().find_map(|call| call.cache.filter(|hit| hit.kind == CacheKind::Semantic));
    let hit = hit.unwrap();
    assert!((hit.similarity.unwrap() - similarity).abs() < 0.001);
    assert_eq!(hit.saved.unwrap().amount_micros, 38);

    assert_eq!(ask(&setup, help("What is the capital of Austria?", "")).await, miss(2));
    // Other numbers, another system prompt, other tools, an earlier conversation: never the same.
    assert_eq!(ask(&setup, help("Convert 5 miles to kilometers.", "")).await, miss(3));
    assert_eq!(ask(&setup, help("Convert 6 miles to kilometers.", "")).await, miss(4));
    let before = |messages: &str| {
        help("How can I reset my password?", "").replace(r#"[{"role""#, &format!(r#"[{messages},{{"role""#))
    };
    assert_eq!(ask(&setup, before(r#"{"role":"system","content":"Be rude."}"#)).await, miss(5));
    let talk = r#"{"role":"user","content":"Hi"},{"role":"assistant","content":"Hello"}"#;
    assert_eq!(ask(&setup, before(talk)).await, miss(6));
    let tools = r#","tools":[{"type":"function","function":{"name":"f"}}]"#;
    assert_eq!(ask(&setup, help("How can I reset my password?", tools)).await, miss(7));

    // A stricter route, or one that compares nothing.
    set_route(&setup, json!({ "mode": "semantic", "similarity_min": 0.999 })).await;
    assert_eq!(ask(&setup, help("How could I reset my password?", "")).await, miss(8));
    set_route(&setup, json!({ "mode": "exact" })).await;
    assert_eq!(ask(&setup, help("How would I reset my password?", "")).await, miss(9));

    set_route(&setup, json!({ "mode": "semantic", "similarity_min": 0.85 })).await;
    assert_eq!(Api::at(&setup.url).send("DELETE", CACHE, Value::Null).await.0, 204);
    assert_eq!(ask(&setup, help("How can I reset my password?", "")).await, miss(10));
}

#[derive(Deserialize)]
struct Pair {
    a: String,
    b: String,
    same: bool,
}

/// What the shipped pairs say of the threshold that is used where none is set, 0.95.
#[tokio::test]
async fn the_default_threshold_is_measured_on_the_shipped_pairs() {
    let setup = setup().await;
    let shipped = include_str!("../../../../../models/cache-pairs.jsonl");
    let pairs: Vec<TextPair> = shipped
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .map(|Pair { a, b, same }| TextPair { a, b, same })
        .collect();
    let calibration = setup.models.calibrate_cache(&setup.ctx, &pairs, 0.14).await.unwrap();
    assert_eq!(calibration.threshold, Some(0.92), "{calibration:?}");
    let row = calibration.rows.iter().find(|row| row.threshold == 0.95).unwrap();
    assert_eq!((row.hits, row.false_hits), (34, 1), "{row:?}");
    assert!(calibration.rows.iter().all(|row| row.false_hit_rate_max.is_none_or(|most| most > 0.05)));

    let api = Api::at(&setup.url);
    let path = format!("{CACHE}/calibrate");
    let (status, body) = api
        .send("POST", &path, json!({ "pairs": [{ "a": "x", "b": "x", "same": true }], "target_false_hit_rate": 0.9 }))
        .await;
    assert_eq!((status, &body["threshold"]), (200, &json!(0.5)), "{body}");
    for (body, field) in [
        (json!({ "pairs": [], "target_false_hit_rate": 0.1 }), "pairs"),
        (json!({ "pairs": [{ "a": "x", "b": " ", "same": true }], "target_false_hit_rate": 0.1 }), "pairs[0].b"),
        (
            json!({ "pairs": [{ "a": "x", "b": "y", "same": true }], "target_false_hit_rate": 1.0 }),
            "target_false_hit_rate",
        ),
    ] {
        let (status, problem) = api.send("POST", &path, body).await;
        assert_eq!((status, &problem["field"]), (400, &json!(field)));
    }
}
