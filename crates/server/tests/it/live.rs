//! The WebSocket: nothing lost, nothing twice, nobody else's.

use std::time::Duration;

use futures::{SinkExt as _, StreamExt as _};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{Error, Message, client::IntoClientRequest as _, protocol::CloseFrame},
};

use crate::harness::{EMAIL, KEY, PASSWORD, Place, Plasma, on_each_database, success};

struct Live {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

async fn connect(server: &Plasma, headers: &[(&'static str, &str)]) -> Result<Live, Error> {
    let address = server.url.replace("http://", "ws://");
    let mut request = format!("{address}/api/v1/live").into_client_request().unwrap();
    for (name, value) in headers {
        request.headers_mut().insert(*name, value.parse().unwrap());
    }
    connect_async(request).await.map(|(socket, _)| Live { socket })
}

fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

impl Live {
    async fn subscribe(server: &Plasma, topics: &[&str], after: Option<&str>) -> Self {
        let mut live = connect(server, &[("authorization", &bearer(KEY))]).await.unwrap();
        live.say(&json!({"type": "subscribe", "topics": topics, "after": after})).await;
        live
    }

    async fn say(&mut self, message: &Value) {
        self.socket.send(Message::text(message.to_string())).await.unwrap();
    }

    /// The next message, or why the connection was closed.
    async fn next(&mut self) -> Result<Value, Option<CloseFrame>> {
        loop {
            let message =
                tokio::time::timeout(Duration::from_secs(45), self.socket.next()).await.expect("nothing came");
            match message {
                Some(Ok(Message::Text(text))) => return Ok(serde_json::from_str(&text).unwrap()),
                Some(Ok(Message::Close(frame))) => return Err(frame),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Err(None),
            }
        }
    }

    /// The subjects of events until `ready`, then the head.
    async fn replayed(&mut self) -> (Vec<Value>, Option<String>) {
        let mut events = Vec::new();
        loop {
            let message = self.next().await.unwrap();
            match message["type"].as_str() {
                Some("event") => events.push(message["event"].clone()),
                Some("ready") => return (events, message["head"].as_str().map(str::to_owned)),
                _ => panic!("{message}"),
            }
        }
    }

    async fn event(&mut self) -> Value {
        loop {
            let message = self.next().await.unwrap();
            if message["type"] == "event" {
                return message["event"].clone();
            }
        }
    }
}

on_each_database! {
    async fn a_client_that_resumes_misses_nothing_and_gets_nothing_twice(place: Place) {
        let server = place.start();
        let mut live = Live::subscribe(&server, &["knowledge.collection.*"], None).await;
        let (before, _) = live.replayed().await;
        assert!(before.is_empty(), "{before:?}");
        let mut seen = Vec::new();
        let mut created = Vec::new();
        for number in 0..5 {
            created.push(server.create_collection(&format!("one {number}")).await);
            // An event that the client did not ask for.
            server.post("/api/v1/content/documents", json!({"title": "x", "body": "y"})).await;
        }
        for _ in 0..5 {
            seen.push(live.event().await);
        }
        let last = seen.last().unwrap()["id"].as_str().unwrap().to_owned();
        // The connection breaks without a goodbye, and things go on.
        drop(live);
        for number in 0..300 {
            created.push(server.create_collection(&format!("two {number}")).await);
        }
        let mut live = Live::subscribe(&server, &["knowledge.collection.*"], Some(&last)).await;
        // Also while the client is catching up.
        let writer = async {
            let mut created = Vec::new();
            for number in 0..20 {
                created.push(server.create_collection(&format!("three {number}")).await);
            }
            created
        };
        let reader = async {
            let mut seen = Vec::new();
            while seen.len() < 320 {
                seen.push(live.event().await);
            }
            seen
        };
        let (written, read) = tokio::join!(writer, reader);
        created.extend(written);
        seen.extend(read);
        let subjects: Vec<&str> = seen.iter().map(|event| event["subject"].as_str().unwrap()).collect();
        assert_eq!(subjects, created);
        assert!(seen.iter().all(|event| event["type"] == "knowledge.collection.created"));
        // A head is a place to resume from, too.
        let mut live = Live::subscribe(&server, &["*"], None).await;
        let (_, head) = live.replayed().await;
        drop(live);
        let next = server.create_collection("four").await;
        let mut live = Live::subscribe(&server, &["knowledge.*"], head.as_deref()).await;
        assert_eq!(live.replayed().await.0[0]["subject"], next);
    }

    async fn two_servers_tell_the_same_story(place: Place) {
        if !place.setup.settings.contains_key("PLASMA_DATABASE_URL") {
            return; // SQLite belongs to one process.
        }
        let first = place.start();
        let mut setup = place.setup.clone();
        setup.data_dir = place.folder.path().join("second");
        let key = place.setup.data_dir.join("master.key");
        setup.settings.insert("PLASMA_MASTER_KEY_FILE".to_owned(), key.to_str().unwrap().to_owned());
        let second = Plasma::start(&setup);
        let mut live = Live::subscribe(&second, &["knowledge.collection.created"], None).await;
        live.replayed().await;
        let mut created = Vec::new();
        for number in 0..20 {
            let server = if number % 2 == 0 { &first } else { &second };
            created.push(server.create_collection(&format!("{number}")).await);
        }
        let mut seen = Vec::new();
        while seen.len() < 20 {
            seen.push(live.event().await["subject"].as_str().unwrap().to_owned());
        }
        assert_eq!(seen, created);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ingestion_shows_its_progress() {
    let server = Place::sqlite().start();
    let collection = server.create_collection("progress").await;
    let mut live = Live::subscribe(&server, &["knowledge.*"], None).await;
    live.replayed().await;
    let text =
        (0..400).map(|number| format!("# Part {number}\n\nThis part tells of the number {number} at length.\n\n"));
    let body = json!({"title": "Long", "markdown": text.collect::<String>()});
    let document = server.post(&format!("/api/v1/collections/{collection}/documents"), body).await;
    let mut progress = 0;
    loop {
        let message = live.next().await.unwrap();
        match message["type"].as_str() {
            Some("progress") => {
                assert_eq!(message["document_id"], document["id"], "{message}");
                assert_eq!(message["collection_id"], collection);
                progress += 1;
            }
            Some("event") if message["event"]["type"] == "knowledge.document.ready" => break,
            _ => {}
        }
    }
    assert!(progress > 0, "no progress was told");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_the_own_tenant_is_heard() {
    let server = Place::sqlite().start();
    let password = "another password";
    let owner = json!({"email": "eve@example.com", "name": "Eve", "password": password});
    server.post("/api/v1/tenants", json!({"name": "Strangers", "owner": owner})).await;
    let login = json!({"email": "eve@example.com", "password": password});
    let session = success(server.request(Method::POST, "/api/v1/auth/login").json(&login).send().await.unwrap()).await;
    let token = bearer(session["token"].as_str().unwrap());
    let mut live = connect(&server, &[("authorization", &token)]).await.unwrap();
    live.say(&json!({"type": "subscribe", "topics": ["knowledge.*"], "after": null})).await;
    live.replayed().await;
    server.create_collection("secret").await;
    let own = json!({"name": "own"});
    let request = server.request(Method::POST, "/api/v1/collections").header("authorization", &token).json(&own);
    let own = success(request.send().await.unwrap()).await;
    assert_eq!(live.event().await["subject"], own["id"]);
    // Another tenant's event is no place to resume from.
    let foreign = server.all("/api/v1/events?type=knowledge.*").await[0]["id"].clone();
    live.say(&json!({"type": "subscribe", "topics": ["*"], "after": foreign})).await;
    let told = live.next().await.unwrap();
    assert_eq!(
        (told["type"].as_str(), told["error"]["reason"].as_str()),
        (Some("error"), Some("event_not_found")),
        "{told}"
    );
    assert_eq!(u16::from(live.next().await.unwrap_err().unwrap().code), 4404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_may_not_watch_is_refused() {
    let server = Place::sqlite().start();
    let refused = |result: Result<Live, Error>| match result {
        Err(Error::Http(response)) => response.status().as_u16(),
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("the connection was taken"),
    };
    assert_eq!(refused(connect(&server, &[]).await), 401);
    assert_eq!(refused(connect(&server, &[("authorization", "Bearer plk_wrong")]).await), 401);
    let viewer = server.post("/api/v1/api-keys", json!({"name": "viewer", "role": "viewer"})).await;
    assert_eq!(refused(connect(&server, &[("authorization", &bearer(viewer["key"].as_str().unwrap()))]).await), 403);
    // A page of another site cannot use the browser's cookie.
    let login = json!({"email": EMAIL, "password": PASSWORD});
    let session = success(server.request(Method::POST, "/api/v1/auth/login").json(&login).send().await.unwrap()).await;
    let cookie = format!("plasma_session={}", session["token"].as_str().unwrap());
    assert_eq!(refused(connect(&server, &[("cookie", &cookie), ("origin", "https://evil.example")]).await), 403);
    assert_eq!(refused(connect(&server, &[("cookie", &cookie)]).await), 403);
    let own = server.url.clone();
    let mut live = connect(&server, &[("cookie", &cookie), ("origin", &own)]).await.unwrap();
    live.say(&json!({"type": "subscribe", "topics": ["*"], "after": null})).await;
    live.replayed().await;
    // When the session ends, so does the connection, within half a minute.
    let logout = server.request(Method::POST, "/api/v1/auth/logout").bearer_auth(session["token"].as_str().unwrap());
    assert_eq!(logout.send().await.unwrap().status(), 204);
    loop {
        match live.next().await {
            Ok(_) => {}
            Err(frame) => {
                assert_eq!(u16::from(frame.unwrap().code), 4401);
                break;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_messages_end_the_connection_with_a_reason() {
    let server = Place::sqlite().start();
    let many: Vec<String> = (0..33).map(|number| format!("a.{number}")).collect();
    for message in [
        "nonsense".to_owned(),
        json!({"type": "subscribe"}).to_string(),
        json!({"type": "subscribe", "topics": []}).to_string(),
        json!({"type": "subscribe", "topics": many}).to_string(),
        json!({"type": "subscribe", "topics": ["*"], "extra": 1}).to_string(),
    ] {
        let mut live = connect(&server, &[("authorization", &bearer(KEY))]).await.unwrap();
        live.socket.send(Message::text(message.clone())).await.unwrap();
        let told = live.next().await.unwrap();
        assert_eq!(told["type"], "error", "{message}: {told}");
        assert_eq!(u16::from(live.next().await.unwrap_err().unwrap().code), 1008, "{message}");
    }
    let mut live = connect(&server, &[("authorization", &bearer(KEY))]).await.unwrap();
    let _ = live.socket.send(Message::text("x".repeat(1 << 20))).await;
    assert!(live.next().await.is_err());
    // A stop says goodbye.
    let mut live = Live::subscribe(&server, &["*"], None).await;
    live.replayed().await;
    server.signal("-TERM");
    loop {
        match live.next().await {
            Ok(_) => {}
            Err(frame) => {
                assert_eq!(u16::from(frame.unwrap().code), 1001);
                break;
            }
        }
    }
}
