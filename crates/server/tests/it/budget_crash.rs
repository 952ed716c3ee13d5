//! A budget holds whatever happens: a thousand callers at once, streams that are left, and a program that is killed in the
//! middle.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{Router, body::Bytes, extract::State, response::Response, routing::post};
use futures::{StreamExt as _, future::join_all, stream};
use plasma_kernel::Random;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::{sync::watch, time::timeout};

use crate::harness::{KEY, PATIENCE, Place, Plasma, on_each_database};

const CALLERS: usize = 1_000;
/// Millionths of a dollar. About half of the calls fit.
const LIMIT: u64 = 60_000;
/// A token read costs one millionth, a token written ten.
const PRICES: (i64, i64) = (1_000_000, 10_000_000);
const ANSWER_TOKENS_MAX: u64 = 40;

/// Rounds with other random numbers; more are asked for by an environment variable.
fn rounds() -> u64 {
    std::env::var("PLASMA_BUDGET_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(1)
}

/// Numbers from 0 to below `end`.
fn below(random: &Random, end: u64) -> u64 {
    u64::from_le_bytes(random.bytes()) % end
}

/// A provider whose answers take their time, and whose streams tell their tokens at the end.
async fn answer(State(random): State<Random>, body: Bytes) -> Response {
    let asked: Value = serde_json::from_slice(&body).unwrap();
    let tokens = 1 + below(&random, ANSWER_TOKENS_MAX);
    let usage = json!({"prompt_tokens": 20, "completion_tokens": tokens, "total_tokens": 20 + tokens});
    let head = json!({"id": "a", "created": 1, "model": "m"});
    let with = |more: Value| {
        let mut whole = head.clone();
        whole.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        whole
    };
    if asked["stream"] != true {
        tokio::time::sleep(Duration::from_millis(below(&random, 60))).await;
        let message = json!({"role": "assistant", "content": "word ".repeat(tokens as usize)});
        let choices = json!([{"index": 0, "message": message, "finish_reason": "stop"}]);
        let whole = with(json!({"object": "chat.completion", "choices": choices, "usage": usage}));
        return Response::builder().header("content-type", "application/json").body(whole.to_string().into()).unwrap();
    }
    let chunk = |delta: Value, reason: Value| {
        with(json!({"object": "chat.completion.chunk",
                    "choices": [{"index": 0, "delta": delta, "finish_reason": reason}]}))
    };
    let mut events: Vec<String> =
        (0..tokens).map(|_| format!("data: {}\n\n", chunk(json!({"content": "word "}), Value::Null))).collect();
    events.push(format!("data: {}\n\n", chunk(json!({}), json!("stop"))));
    let last = with(json!({"object": "chat.completion.chunk", "choices": [], "usage": usage}));
    events.push(format!("data: {last}\n\ndata: [DONE]\n\n"));
    let events = stream::iter(events).then(|event| async move {
        tokio::time::sleep(Duration::from_millis(3)).await;
        Ok::<_, Infallible>(Bytes::from(event))
    });
    Response::builder().header("content-type", "text/event-stream").body(axum::body::Body::from_stream(events)).unwrap()
}

async fn provider(seed: u64) -> String {
    let router = Router::new().route("/v1/chat/completions", post(answer)).with_state(Random::seeded(seed));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    url
}

/// How the calls ended, as their callers saw it.
#[derive(Default)]
struct Tally {
    answered: AtomicUsize,
    refused: AtomicUsize,
    left: AtomicUsize,
    lost: AtomicUsize,
}

/// One caller: asks for a whole answer or a stream, and may go away at any moment.
async fn one_call(http: reqwest::Client, mut url: watch::Receiver<String>, random: Random, tally: Arc<Tally>) {
    tokio::time::sleep(Duration::from_millis(below(&random, 3_000))).await;
    let address = url.borrow_and_update().clone();
    let streamed = below(&random, 2) == 0;
    let body = json!({"model": "acme/chat", "stream": streamed, "max_tokens": ANSWER_TOKENS_MAX,
                      "messages": [{"role": "user", "content": "Say words."}]});
    let work = async {
        let response = http.post(format!("{address}/v1/chat/completions")).bearer_auth(KEY).json(&body).send().await?;
        let status = response.status().as_u16();
        response.text().await.map(|text| (status, text))
    };
    let patience = if below(&random, 4) == 0 { below(&random, 300) } else { 60_000 };
    match timeout(Duration::from_millis(patience), work).await {
        Err(_) => tally.left.fetch_add(1, Ordering::SeqCst),
        Ok(Err(_)) => tally.lost.fetch_add(1, Ordering::SeqCst),
        Ok(Ok((200, _))) => tally.answered.fetch_add(1, Ordering::SeqCst),
        Ok(Ok((402, text))) => {
            assert!(text.contains("over_budget"), "{text}");
            tally.refused.fetch_add(1, Ordering::SeqCst)
        }
        Ok(Ok((status, text))) => panic!("{status}: {text}"),
    };
}

async fn create(server: &Plasma, provider_url: &str) -> String {
    let provider = json!({"name": "acme", "kind": "openai", "base_url": provider_url});
    let provider = server.post("/api/v1/providers", provider).await;
    let model = json!({"provider": provider["id"], "name": "chat", "kind": "chat",
                       "input_price_micros_per_million": PRICES.0, "output_price_micros_per_million": PRICES.1});
    server.post("/api/v1/models", model).await;
    let budget = json!({"subject": {"kind": "tenant"}, "period": "total", "limit_micros": LIMIT});
    server.post("/api/v1/models/budgets", budget).await["id"].as_str().unwrap().to_owned()
}

async fn micros(server: &Plasma, budget: &str) -> (u64, u64) {
    let budget = server.get(&format!("/api/v1/models/budgets/{budget}")).await;
    let of = |name: &str| budget[name]["amount_micros"].as_u64().unwrap();
    (of("spent"), of("reserved"))
}

/// What all recorded calls have cost together.
async fn recorded(server: &Plasma) -> u64 {
    let calls = server.all("/api/v1/models/calls").await;
    calls.iter().filter_map(|call| call["cost"]["amount_micros"].as_u64()).sum()
}

async fn round(mut place: Place, seed: u64) {
    place.set("PLASMA_CONCURRENCY_MAX", "2000");
    let server = place.start();
    let budget = create(&server, &provider(seed).await).await;
    let (told, url) = watch::channel(server.url.clone());
    let (http, tally) = (reqwest::Client::new(), Arc::new(Tally::default()));
    let callers: Vec<_> = (0..CALLERS)
        .map(|number| {
            let random = Random::seeded(seed * 1_000_003 + number as u64);
            tokio::spawn(one_call(http.clone(), url.clone(), random, tally.clone()))
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(600 + seed * 137 % 900)).await;
    assert!(micros(&server, &budget).await.0 <= LIMIT);
    server.kill();
    let server = place.start();
    told.send(server.url.clone()).unwrap();
    for caller in join_all(callers).await {
        caller.unwrap();
    }

    // What was set aside for calls that nobody waits for any more, or by the program that died, becomes free.
    let begun = std::time::Instant::now();
    let spent = loop {
        let (spent, reserved) = micros(&server, &budget).await;
        assert!(spent + reserved <= LIMIT, "{spent} + {reserved}");
        if reserved == 0 {
            break spent;
        }
        assert!(begun.elapsed() < PATIENCE, "{reserved} is still set aside\n{}", server.log());
        tokio::time::sleep(Duration::from_millis(200)).await;
    };
    assert_eq!(spent, recorded(&server).await, "what is spent and what is recorded differ");
    let seen = [&tally.answered, &tally.refused, &tally.left, &tally.lost].map(|count| count.load(Ordering::SeqCst));
    eprintln!("seed {seed}: {spent} of {LIMIT} spent; answered, refused, left, lost: {seen:?}");
    assert!(seen.iter().all(|count| *count > 0), "not everything happened: {seen:?}");

    // To the end: what is left is still there to be spent.
    let ask = json!({"model": "acme/chat", "max_tokens": 1, "messages": [{"role": "user", "content": "Go on."}]});
    let request = server.owner(Method::POST, "/v1/chat/completions").json(&ask);
    let status = request.send().await.unwrap().status().as_u16();
    // Its worst case: somewhat more than a thousand tokens read, and one written.
    match LIMIT - spent {
        1_200.. => assert_eq!(status, 200, "{spent} of {LIMIT}"),
        1_000..1_200 => assert!(matches!(status, 200 | 402), "{status}"),
        _ => assert_eq!(status, 402, "{spent} of {LIMIT}"),
    }
    assert!(server.stop().success());
}

on_each_database! {
    async fn a_budget_holds_through_cancellations_and_kill_9(place: Place) {
        let postgres = place.setup.settings.contains_key("PLASMA_DATABASE_URL");
        round(place, 1).await;
        for seed in 2..=rounds() {
            round(if postgres { Place::postgres().await } else { Place::sqlite() }, seed).await;
        }
    }
}
