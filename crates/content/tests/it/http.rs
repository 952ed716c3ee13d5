//! The routes over the wire.

use plasma_testkit::TestStore;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::{
    support::Setup,
    upstream::{Upstream, Writes},
};

/// Sends a request and reads the whole answer: status, and body without the chunks' lengths.
async fn send(address: &str, method: &str, path: &str, body: Option<Value>) -> (u16, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let body = body.map(|body| body.to_string()).unwrap_or_default();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    if !head.to_lowercase().contains("transfer-encoding: chunked") {
        return (status, body.to_owned());
    }
    let mut rest = body;
    let mut text = String::new();
    while let Some((length, after)) = rest.split_once("\r\n") {
        let length = usize::from_str_radix(length, 16).unwrap();
        text += &after[..length];
        rest = after[length..].strip_prefix("\r\n").unwrap_or_default();
    }
    (status, text)
}

async fn json(address: &str, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
    let (status, text) = send(address, method, path, body).await;
    (status, serde_json::from_str(&text).unwrap_or(Value::Null))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_document_lives_through_its_routes() {
    let setup = Setup::new(TestStore::sqlite().await);
    let address = setup.serve().await;
    let (status, made) =
        json(&address, "POST", "/api/v1/content/documents", Some(json!({"title": "One", "body": "First."}))).await;
    assert_eq!(status, 201);
    assert_eq!(made["created_by"], json!({"kind": "user", "id": setup.ctx.user().unwrap().to_string()}));
    assert_eq!(
        (&made["state"], &made["revision"], &made["brief"], &made["citations"]),
        (&json!("draft"), &json!(1), &Value::Null, &json!([]))
    );
    let path = format!("/api/v1/content/documents/{}", made["id"].as_str().unwrap());
    assert_eq!(json(&address, "GET", &path, None).await, (200, made.clone()));

    let edit = json!({"title": "One", "body": "Second.", "expected_revision": 1, "note": "better"});
    let (status, edited) = json(&address, "PUT", &path, Some(edit.clone())).await;
    assert_eq!((status, &edited["revision"]), (200, &json!(2)));
    let (status, problem) = json(&address, "PUT", &path, Some(edit)).await;
    assert_eq!((status, &problem["reason"]), (409, &json!("revision_stale")));

    let (_, revisions) = json(&address, "GET", &format!("{path}/revisions?limit=1"), None).await;
    assert_eq!((&revisions["data"][0]["note"], &revisions["has_more"]), (&json!("better"), &json!(true)));
    assert!(revisions["data"][0].get("body").is_none());
    let (_, revision) = json(&address, "GET", &format!("{path}/revisions/1"), None).await;
    assert_eq!((&revision["body"], &revision["kind"]), (&json!("First."), &json!("created")));
    let (_, diff) = json(&address, "GET", &format!("{path}/diff?from=1&to=2"), None).await;
    let lines = json!([{"kind": "removed", "text": "First."}, {"kind": "added", "text": "Second."}]);
    assert_eq!(
        diff,
        json!({
            "from": 1, "to": 2, "title": {"from": "One", "to": "One"}, "added": 1, "removed": 1,
            "hunks": [{"from_line": 1, "to_line": 1, "lines": lines}],
        })
    );
    let (status, restored) = json(&address, "POST", &format!("{path}/restore"), Some(json!({"revision": 1}))).await;
    assert_eq!((status, &restored["body"], &restored["revision"]), (200, &json!("First."), &json!(3)));

    let (_, list) = json(&address, "GET", "/api/v1/content/documents?state=draft", None).await;
    assert_eq!((&list["data"][0]["excerpt"], &list["next_cursor"]), (&json!("First."), &Value::Null));
    assert!(list["data"][0].get("body").is_none());
    assert_eq!(send(&address, "DELETE", &path, None).await, (204, String::new()));
    assert_eq!(json(&address, "GET", &path, None).await.0, 404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mistakes_are_named() {
    let setup = Setup::new(TestStore::sqlite().await);
    let made = setup.create("One", "First.").await;
    let address = setup.serve().await;
    let documents = "/api/v1/content/documents";
    let document = format!("{documents}/{}", made.id);
    for (method, path, body, status, field) in [
        ("POST", documents.to_owned(), Some(json!({"title": "One", "body": "", "color": 1})), 400, json!("color")),
        ("POST", documents.to_owned(), Some(json!({"title": "One"})), 400, json!("body")),
        (
            "PUT",
            document.clone(),
            Some(json!({"title": "One", "body": "x", "expected_revision": -1})),
            400,
            json!("expected_revision"),
        ),
        ("GET", format!("{documents}?limit=0"), None, 400, json!("limit")),
        ("GET", format!("{documents}?state=gone"), None, 400, json!("query")),
        ("GET", format!("{documents}?colour=red"), None, 400, json!("colour")),
        ("GET", format!("{document}/diff?from=1"), None, 400, json!("query")),
        ("GET", format!("{document}/revisions/9"), None, 404, Value::Null),
        ("GET", format!("{documents}/nonsense"), None, 404, Value::Null),
        (
            "POST",
            "/api/v1/content/drafts".to_owned(),
            Some(json!({"brief": " ", "collection": "x"})),
            400,
            json!("brief"),
        ),
        ("POST", "/api/v1/content/drafts".to_owned(), Some(json!({"brief": "b", "collection": "x"})), 404, Value::Null),
    ] {
        let (answered, problem) = json(&address, method, &path, body).await;
        assert_eq!((answered, &problem["field"]), (status, &field), "{method} {path}: {problem}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_draft_is_streamed_as_server_sent_events() {
    let written = "# Backups\n\nDaily copies are kept for 30 days [1].";
    let (_upstream, url) = Upstream::start(Writes::Text(written.to_owned())).await;
    let setup = Setup::local(TestStore::sqlite().await).with_handbook().await.with_provider(&url).await;
    let address = setup.serve().await;
    let draft = json!({"brief": "How long are daily copies kept?", "collection": "handbook", "model": "acme/writer"});
    let (status, text) = send(&address, "POST", "/api/v1/content/drafts", Some(draft)).await;
    assert_eq!(status, 200);
    let events: Vec<(String, Value)> = text
        .split("\n\n")
        .filter_map(|event| {
            let (name, data) = event.strip_prefix("event: ")?.split_once("\ndata: ")?;
            Some((name.to_owned(), serde_json::from_str(data).unwrap()))
        })
        .collect();
    let mut names: Vec<&str> = events.iter().map(|(name, _)| name.as_str()).collect();
    names.dedup();
    assert_eq!(names.first(), Some(&"passage"), "{names:?}");
    assert_eq!(names[names.len() - 2..], ["document", "done"], "{names:?}");
    let find = |wanted: &str| &events.iter().find(|(name, _)| name == wanted).unwrap().1;
    let whole: String =
        events.iter().filter(|(name, _)| name == "token").map(|(_, data)| data["text"].as_str().unwrap()).collect();
    assert_eq!(whole, written);
    let (document, done, citation) = (find("document"), find("done"), find("citation"));
    assert_eq!((&document["title"], &document["call_id"]), (&json!("Backups"), &done["call_id"]));
    assert_eq!(
        (&done["answer"], &done["finish_reason"], &done["model"]),
        (&json!(written), &json!("stop"), &json!("acme/writer"))
    );
    assert_eq!(done["citations"], json!([citation]));
    assert_eq!((&citation["answer_start"], &document["citations"][0]["body_start"]), (&json!(11), &json!(0)));
    assert_eq!(find("passage")["number"], 1);
}
