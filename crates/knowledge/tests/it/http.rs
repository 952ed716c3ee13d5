//! The routes, over a real connection.

use axum::Extension;
use plasma_kernel::UserId;
use plasma_knowledge::{DocumentState, routes};
use plasma_testkit::on_each_database;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use crate::support::{Setup, fixture};

/// A server whose every request comes from the setup's user.
struct Server {
    address: std::net::SocketAddr,
}

struct Answer {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&self.body)))
    }

    /// Status, code and field of a problem.
    fn problem(&self) -> (u16, String, String) {
        assert!(self.head.to_ascii_lowercase().contains("content-type: application/problem+json"), "{}", self.head);
        let body = self.json();
        let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
        (self.status, text("code"), text("field"))
    }
}

impl Server {
    async fn start(setup: &Setup) -> Self {
        let (router, _) = routes().split_for_parts();
        let router = router.with_state(setup.knowledge.clone()).layer(Extension(setup.ctx.clone()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address }
    }

    async fn send(&self, method: &str, path: &str, content_type: &str, body: &[u8]) -> Answer {
        let mut connection = TcpStream::connect(self.address).await.unwrap();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: plasma\r\nconnection: close\r\ncontent-type: {content_type}\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        connection.write_all(head.as_bytes()).await.unwrap();
        // A server that refuses a large body may close before it has read all of it.
        let _ = connection.write_all(body).await;
        let mut answer = Vec::new();
        let _ = connection.read_to_end(&mut answer).await;
        let split = answer.windows(4).position(|window| window == b"\r\n\r\n").expect("an answer");
        let head = String::from_utf8(answer[..split].to_vec()).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Answer { status, head, body: answer[split + 4..].to_vec() }
    }

    async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, "text/plain", b"").await
    }

    async fn json(&self, method: &str, path: &str, body: Value) -> Answer {
        self.send(method, path, "application/json", body.to_string().as_bytes()).await
    }

    async fn form(&self, path: &str, parts: &[(&str, Option<&str>, &[u8])]) -> Answer {
        let mut body = Vec::new();
        for (name, file, bytes) in parts {
            body.extend_from_slice(b"--boundary\r\n");
            let file = file.map(|file| format!("; filename=\"{file}\"")).unwrap_or_default();
            body.extend_from_slice(format!("content-disposition: form-data; name=\"{name}\"{file}\r\n\r\n").as_bytes());
            body.extend_from_slice(bytes);
            body.extend_from_slice(b"\r\n");
        }
        body.extend_from_slice(b"--boundary--\r\n");
        self.send("POST", path, "multipart/form-data; boundary=boundary", &body).await
    }
}

on_each_database! {
    async fn documents_come_and_go_over_http(test: TestStore) {
        let setup = Setup::start(test).await;
        let server = Server::start(&setup).await;
        let made = server.json("POST", "/api/v1/collections", json!({"name": "Handbook"})).await;
        assert_eq!(made.status, 201);
        let collection = made.json();
        assert_eq!(collection["description"], "");
        let path = format!("/api/v1/collections/{}", collection["id"].as_str().unwrap());
        let documents = format!("{path}/documents");

        let body = json!({
            "title": "Lamp", "markdown": "# Lamp\n\nThe lamp turns once in ten seconds.", "key": "lamp",
            "metadata": {"team": "keepers", "height": 31, "lit": true}
        });
        let added = server.json("POST", &documents, body.clone()).await;
        assert_eq!(added.status, 202);
        let lamp = added.json();
        assert_eq!((lamp["state"].as_str(), lamp["key"].as_str(), lamp["file_name"].is_null()), (Some("queued"), Some("lamp"), true));
        assert_eq!(lamp["metadata"], body["metadata"]);
        let metadata = br#"{"team": "keepers"}"#;
        let parts: [(&str, Option<&str>, &[u8]); 3] = [
            ("title", None, b"The handbook"),
            ("metadata", None, metadata),
            ("file", Some("hand\u{2014}book.pdf"), &fixture("sample.pdf")),
        ];
        let added = server.form(&documents, &parts).await;
        assert_eq!(added.status, 202, "{}", String::from_utf8_lossy(&added.body));
        let handbook = added.json();
        assert_eq!((handbook["title"].as_str(), handbook["media_type"].as_str()), (Some("The handbook"), Some("application/pdf")));

        let stored = setup.knowledge.get_collection(&setup.ctx, "Handbook").await.unwrap();
        for document in [&lamp, &handbook] {
            setup.ready(&stored, document["id"].as_str().unwrap().parse().unwrap()).await;
        }
        let listed = server.get(&format!("{documents}?state=ready&limit=1")).await.json();
        assert_eq!((listed["data"][0]["id"].clone(), listed["has_more"].clone()), (handbook["id"].clone(), json!(true)));
        let found = server.json("POST", "/api/v1/search", json!({"collection": "Handbook", "query": "turning lamp", "limit": 3})).await;
        assert_eq!(found.status, 200);
        let found = found.json();
        assert_eq!((found["results"][0]["document_id"].clone(), found["mode"].as_str()), (lamp["id"].clone(), Some("hybrid")));
        assert!(found["results"][0]["why"]["fusion"]["formula"].is_string() && found["took_ms"]["total"].is_number());

        let one = format!("{documents}/{}", handbook["id"].as_str().unwrap());
        let text = server.get(&format!("{one}/text")).await.json();
        assert!(text["text"].as_str().unwrap().contains("ighthouse") && text["passages"][0]["start"] == 0);
        let file = server.get(&format!("{one}/file")).await;
        assert_eq!(file.body, fixture("sample.pdf"));
        let head = file.head.to_ascii_lowercase();
        assert!(head.contains("content-type: application/pdf") && head.contains("x-content-type-options: nosniff"), "{head}");
        assert!(head.contains("content-disposition: attachment; filename=\"hand_book.pdf\"; filename*=utf-8''hand%e2%80%94book.pdf"), "{head}");

        assert_eq!(server.send("DELETE", &one, "text/plain", b"").await.status, 204);
        assert_eq!(server.get(&one).await.problem().0, 404);
        let renamed = server.json("PATCH", &path, json!({"name": "Manual"})).await.json();
        assert_eq!((renamed["name"].as_str(), renamed["document_count"].as_u64()), (Some("Manual"), Some(1)));
        assert_eq!(server.send("DELETE", &path, "text/plain", b"").await.status, 204);
        assert_eq!(server.get("/api/v1/collections").await.json()["data"], json!([]));
    }

    async fn a_page_is_downloaded_as_bytes(test: TestStore) {
        let setup = Setup::start(test).await;
        let server = Server::start(&setup).await;
        let collection = setup.collection("pages").await;
        let documents = format!("/api/v1/collections/{}/documents", collection.id);
        let added = server.json("POST", &documents, json!({"title": "a \"page\"", "html": "<p>one</p><script>alert(1)</script>"})).await;
        let id = added.json()["id"].as_str().unwrap().to_owned();
        let file = server.get(&format!("{documents}/{id}/file")).await;
        let head = file.head.to_ascii_lowercase();
        assert!(head.contains("content-type: application/octet-stream") && head.contains("filename=\"a _page_.html\""), "{head}");
    }

    async fn who_may_see_a_document_is_said_over_http(test: TestStore) {
        let setup = Setup::start(test).await;
        let server = Server::start(&setup).await;
        let made = server.json("POST", "/api/v1/collections", json!({"name": "Typed", "fields": {"due": {"type": "time"}}})).await;
        assert_eq!((made.status, made.json()["fields"].clone()), (201, json!({"due": {"type": "time"}})));
        let documents = format!("/api/v1/collections/{}/documents", made.json()["id"].as_str().unwrap());
        let user = UserId::new(&setup.ctx).to_string();
        let body = json!({
            "title": "Lamp", "text": "The lamp turns.", "access": {"users": [user]},
            "metadata": {"due": "2026-03-01T13:00:00+01:00", "tags": ["a", 1], "place": {"lat": 1.5, "lon": 2.0}}
        });
        let added = server.json("POST", &documents, body).await;
        assert_eq!(added.status, 202, "{}", String::from_utf8_lossy(&added.body));
        let lamp = added.json();
        assert_eq!(lamp["access"], json!({"users": [user], "teams": []}));
        let kept = json!({"due": {"time": "2026-03-01T12:00:00Z"}, "tags": ["a", 1], "place": {"lat": 1.5, "lon": 2.0}});
        assert_eq!(lamp["metadata"], kept);

        let parts: [(&str, Option<&str>, &[u8]); 3] =
            [("file", Some("a.txt"), b"A text."), ("access", None, br#"{"teams": []}"#), ("key", None, b"a")];
        let added = server.form(&documents, &parts).await.json();
        assert_eq!(added["access"], json!({"users": [], "teams": []}));
        let path = format!("{documents}/{}/access", added["id"].as_str().unwrap());
        let opened = server.json("PATCH", &path, json!({"access": null})).await;
        assert_eq!((opened.status, opened.json()["access"].clone()), (200, Value::Null));

        // Nothing is opened by a body that says nothing.
        let invalid = |field: &str| (400, "invalid".to_owned(), field.to_owned());
        assert_eq!(server.json("PATCH", &path, json!({})).await.problem().0, 400);
        assert_eq!(server.json("PATCH", &path, json!({"access": {"groups": []}})).await.problem().0, 400);
        assert_eq!(server.json("PATCH", &path, json!({"access": {"users": ["ada"]}})).await.problem().0, 400);
        let wrong = json!({"title": "a", "text": "b", "metadata": {"due": 5}});
        assert_eq!(server.json("POST", &documents, wrong).await.problem(), invalid("metadata.due"));
        let parts: [(&str, Option<&str>, &[u8]); 2] = [("file", Some("a.txt"), b"A text."), ("access", None, b"everybody")];
        assert_eq!(server.form(&documents, &parts).await.problem(), invalid("access"));
        let wrong = json!({"name": "x", "fields": {"due": {"type": "date"}}});
        assert_eq!(server.json("POST", "/api/v1/collections", wrong).await.problem().0, 400);
    }

    async fn wrong_requests_get_a_clear_problem(test: TestStore) {
        let setup = Setup::start(test).await;
        let server = Server::start(&setup).await;
        let collection = setup.collection("strict").await;
        let documents = format!("/api/v1/collections/{}/documents", collection.id);
        let invalid = |field: &str| (400, "invalid".to_owned(), field.to_owned());
        let too_large = |field: &str| (413, "too_large".to_owned(), field.to_owned());

        let both = json!({"title": "a", "text": "b", "markdown": "c"});
        assert_eq!(server.json("POST", &documents, both).await.problem(), invalid("text"));
        assert_eq!(server.json("POST", &documents, json!({"title": "a"})).await.problem(), invalid("text"));
        assert_eq!(server.json("POST", &documents, json!({"title": "a", "text": "b", "txt": 1})).await.problem(), invalid("txt"));
        let nested = json!({"title": "a", "text": "b", "metadata": {"team": {"name": "x"}}});
        assert_eq!(server.json("POST", &documents, nested).await.problem(), invalid("metadata.team"));
        assert_eq!(server.send("POST", &documents, "text/plain", b"words").await.problem(), invalid("content-type"));
        assert_eq!(server.send("POST", &documents, "application/json", &[0xff, 0xfe]).await.problem(), invalid("body"));
        let deep = "[".repeat(10_000);
        assert_eq!(server.send("POST", &documents, "application/json", deep.as_bytes()).await.problem().0, 400);

        assert_eq!(server.form(&documents, &[("title", None, b"no file")]).await.problem(), invalid("file"));
        assert_eq!(server.form(&documents, &[("color", None, b"red")]).await.problem(), invalid("color"));
        let twice: [(&str, Option<&str>, &[u8]); 2] = [("file", Some("a.txt"), b"a"), ("file", Some("b.txt"), b"b")];
        assert_eq!(server.form(&documents, &twice).await.problem(), invalid("file"));
        assert_eq!(server.form(&documents, &[("metadata", None, b"[1]")]).await.problem(), invalid("metadata"));
        assert_eq!(server.form(&documents, &[("title", None, &[0xff, 0xfe])]).await.problem(), invalid("title"));
        let cut = b"--boundary\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\nhalf of";
        let answer = server.send("POST", &documents, "multipart/form-data; boundary=boundary", cut).await;
        assert_eq!(answer.problem(), invalid("body"));
        let answer = server.send("POST", &documents, "multipart/form-data", b"").await;
        assert_eq!(answer.problem(), invalid("content-type"));

        let large = vec![b'x'; 26 * 1024 * 1024];
        assert_eq!(server.form(&documents, &[("file", Some("large.txt"), &large)]).await.problem(), too_large("file"));
        let query = json!({"collection": "strict", "query": "x".repeat(8_001)});
        assert_eq!(server.json("POST", "/api/v1/search", query).await.problem(), too_large("query"));
        let huge = json!({"collection": "strict", "query": "x".repeat(10 * 1024 * 1024)});
        assert_eq!(server.json("POST", "/api/v1/search", huge).await.problem(), too_large("body"));

        assert_eq!(server.json("POST", "/api/v1/collections", json!({"name": "a", "owner": "b"})).await.problem(), invalid("owner"));
        let missing = json!({"collection": "nowhere", "query": "a"});
        assert_eq!(server.json("POST", "/api/v1/search", missing).await.problem().0, 404);
        assert_eq!(server.get("/api/v1/collections/nonsense").await.problem().0, 404);
        assert_eq!(server.get(&format!("{documents}?state=done")).await.problem().0, 400);
        assert_eq!(setup.versions().await, 0);
        let page = plasma_kernel::PageRequest::default();
        let none = setup.knowledge.list_documents(&setup.ctx, collection.id, Some(DocumentState::Queued), &page).await.unwrap();
        assert!(none.data.is_empty());
    }
}
