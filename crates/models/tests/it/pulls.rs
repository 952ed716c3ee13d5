//! Weights that are fetched by API, in the background: how far they are, who may, what becomes of them after a crash.

use std::{fs, path::Path, time::Duration};

use plasma_kernel::{Ctx, PageRequest, Permission, Permissions};
use plasma_models::{LocalModels, LocalSettings, Manifest, Models, events};
use plasma_store::EventFilter;
use plasma_testkit::{TestStore, on_each_database, system, tenant, with_permissions};
use plasma_workflows::Workflows;
use serde_json::{Value, json};

use crate::{
    budgets::Api,
    support::config,
    weights::{REVISION, Server, serving, sha256},
};

const PULLS: &str = "/api/v1/models/pulls";
const FILE: &str = "model.gguf";

/// An installation whose program knows the model `local/tiny`, and a hub that has it in `org/repo`.
struct Setup {
    test: TestStore,
    folder: tempfile::TempDir,
    hub_url: String,
    models: Models,
    ctx: Ctx,
    api: Api,
}

fn manifest(content: &[u8]) -> Manifest {
    let source = json!({ "huggingface": { "repo": "org/repo", "revision": REVISION, "file": FILE } });
    let file = json!({ "path": FILE, "size_bytes": content.len(), "sha256": sha256(content), "sources": [source] });
    let entry = json!({
        "id": "local/tiny", "kind": "chat", "name": "Tiny", "family": "qwen2", "license": "MIT", "context_length": 512,
        "memory_bytes": 1, "files": [file],
    });
    Manifest { models: vec![serde_json::from_value(entry).unwrap()] }
}

fn open(test: &TestStore, folder: &Path, hub_url: &str, content: &[u8]) -> Models {
    let settings = LocalSettings { hub_url: hub_url.to_owned(), ..LocalSettings::default() };
    let local = LocalModels::new(&manifest(content), folder, &settings);
    Models::new(&system(), test.store(), local, config()).unwrap()
}

async fn begin_work(test: &TestStore, models: &Models) -> Workflows {
    let workflows = Workflows::new(test.store(), system());
    models.register_steps(&workflows);
    workflows.start(true).await.unwrap();
    workflows
}

impl Setup {
    async fn new(test: TestStore, server: &Server, content: &[u8]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let hub_url = server.start().await;
        let models = open(&test, folder.path(), &hub_url, content);
        let ctx = tenant();
        let api = Api::new(&models, &ctx).await;
        Self { test, folder, hub_url, models, ctx, api }
    }

    async fn begin(&self, body: Value) -> String {
        let (status, pull) = self.api.send("POST", PULLS, body).await;
        assert_eq!((status, &pull["state"]), (202, &json!("queued")), "{pull}");
        pull["id"].as_str().unwrap().to_owned()
    }

    /// Waits until a pull is as `wanted` says.
    async fn until(&self, id: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        for _ in 0..3_000 {
            let (status, pull) = self.api.get(&format!("{PULLS}/{id}")).await;
            assert_eq!(status, 200, "{pull}");
            if wanted(&pull) {
                return pull;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("the pull {id} does not come so far");
    }

    async fn ended(&self, id: &str) -> Value {
        self.until(id, |pull| !pull["ended_at"].is_null()).await
    }

    async fn model_state(&self) -> Value {
        let (_, models) = self.api.get("/api/v1/models").await;
        let models = models["data"].as_array().unwrap();
        models.iter().find(|model| model["id"] == "local/tiny").unwrap()["state"].clone()
    }

    async fn told(&self, kind: &str) -> Vec<Value> {
        let mut tx = self.test.read(&self.ctx).await.unwrap();
        let filter = EventFilter { kind: Some(kind.to_owned()) };
        let page = tx.events_page(&filter, &PageRequest::default()).await.unwrap();
        page.data.into_iter().map(|event| event.data).collect()
    }
}

on_each_database! {
    async fn weights_of_a_model_of_the_program_are_fetched_in_the_background(test: TestStore) {
        let content = vec![7_u8; 50_000];
        let server = serving(&[(FILE, &content)]);
        let setup = Setup::new(test, &server, &content).await;
        let workflows = begin_work(&setup.test, &setup.models).await;
        assert_eq!(setup.model_state().await, "missing");
        let id = setup.begin(json!({ "name": "local/tiny" })).await;
        let pull = setup.ended(&id).await;
        assert_eq!((&pull["state"], &pull["error"]), (&json!("done"), &Value::Null), "{pull}");
        assert_eq!((&pull["done_bytes"], &pull["size_bytes"]), (&json!(50_000), &json!(50_000)));
        assert_eq!((&pull["license"], &pull["folder"]), (&json!("MIT"), &json!("local--tiny")));
        assert!(pull["started_at"].as_i64().unwrap() >= pull["created_at"].as_i64().unwrap());
        assert_eq!(setup.model_state().await, "idle");
        assert_eq!(fs::read(setup.folder.path().join("local--tiny").join(FILE)).unwrap(), content);

        // What is there is not fetched again, and is a whole.
        let again = setup.begin(json!({ "name": "local/tiny" })).await;
        let pull = setup.ended(&again).await;
        assert_eq!((&pull["state"], &pull["done_bytes"]), (&json!("done"), &json!(50_000)));
        assert_eq!(server.ranges(), [0]);
        let (status, list) = setup.api.get(&format!("{PULLS}?limit=1")).await;
        assert_eq!((status, &list["data"][0]["id"], &list["has_more"]), (200, &json!(again), &json!(true)));
        for (kind, field, value) in [(events::PULL_CREATED, "name", "local/tiny"), (events::PULL_ENDED, "state", "done")] {
            let told = setup.told(kind).await;
            assert_eq!((told.len(), &told[0][field]), (2, &json!(value)), "{kind}");
        }
        workflows.stop().await;
    }

    async fn a_repository_is_fetched_or_it_is_said_why_not(test: TestStore) {
        let server = serving(&[(FILE, b"0123456789")]);
        let setup = Setup::new(test, &server, b"").await;
        let workflows = begin_work(&setup.test, &setup.models).await;
        let id = setup.begin(json!({ "repository": "org/repo", "max_bytes": 10 })).await;
        let pull = setup.ended(&id).await;
        assert_eq!((&pull["state"], &pull["done_bytes"], &pull["size_bytes"]), (&json!("done"), &json!(10), &json!(10)));
        assert_eq!((&pull["license"], &pull["folder"]), (&json!("apache-2.0"), &json!("org--repo")));
        assert_eq!(fs::read(setup.folder.path().join("org--repo").join(FILE)).unwrap(), b"0123456789");
        for (body, reason) in [
            (json!({ "repository": "org/other" }), "not_on_hub"),
            (json!({ "repository": "org/repo", "files": ["other.gguf"] }), "not_on_hub"),
            (json!({ "repository": "org/repo", "max_bytes": 9 }), "too_large"),
        ] {
            let id = setup.begin(body).await;
            let pull = setup.ended(&id).await;
            assert_eq!((&pull["state"], &pull["error"]["reason"]), (&json!("failed"), &json!(reason)), "{pull}");
            assert!(pull["error"]["message"].as_str().is_some_and(|message| !message.is_empty()));
        }
        let told = setup.told(events::PULL_ENDED).await;
        assert_eq!((&told[0]["state"], &told[0]["reason"]), (&json!("failed"), &json!("too_large")));
        workflows.stop().await;
    }

    async fn wrong_pulls_are_refused_and_only_the_installations_managers_may(test: TestStore) {
        let setup = Setup::new(test, &serving(&[]), b"0123456789").await;
        for (body, status, field) in [
            (json!({}), 400, "name"),
            (json!({ "name": "local/tiny", "repository": "org/repo" }), 400, "name"),
            (json!({ "name": "local/huge" }), 404, "name"),
            (json!({ "name": "local/tiny", "files": ["a"] }), 400, "files"),
            (json!({ "name": "local/tiny", "revision": "main" }), 400, "revision"),
            (json!({ "repository": "local/tiny" }), 400, "repository"),
            (json!({ "repository": "../repo" }), 400, "repository"),
            (json!({ "repository": "org/repo", "files": ["../../outside"] }), 400, "files"),
            (json!({ "repository": "org/repo", "revision": "a/b" }), 400, "revision"),
            (json!({ "repository": "org/repo", "max_bytes": 0 }), 400, "max_bytes"),
            (json!({ "repository": "org/repo", "hub": "http://evil.example" }), 400, "hub"),
        ] {
            let (answered, problem) = setup.api.send("POST", PULLS, body.clone()).await;
            assert_eq!((answered, &problem["field"]), (status, &json!(field)), "{body}: {problem}");
        }
        // Nobody works on it.
        let id = setup.begin(json!({ "name": "local/tiny" })).await;
        let (status, problem) = setup.api.send("POST", PULLS, json!({ "name": "local/tiny" })).await;
        assert_eq!((status, &problem["reason"]), (409, &json!("pull_exists")));

        let path = format!("{PULLS}/{id}");
        let is_ours = |permission: &Permission| !permission.as_str().starts_with("installation:");
        let owner: Permissions = Permission::ALL.iter().copied().filter(is_ours).collect();
        let looker = Permissions::none().with(Permission::InstallationRead);
        for (permissions, may_look) in [(owner, 403), (looker, 200)] {
            let api = Api::new(&setup.models, &with_permissions(&setup.ctx, permissions)).await;
            assert_eq!((api.get(PULLS).await.0, api.get(&path).await.0), (may_look, may_look));
            assert_eq!(api.send("DELETE", &path, Value::Null).await.0, 403);
            assert_eq!(api.send("POST", PULLS, json!({ "repository": "org/repo" })).await.0, 403);
        }
        // Another workspace's manager of the installation sees it: weights are everybody's.
        let other = Api::new(&setup.models, &tenant()).await;
        assert_eq!(other.get(&path).await.1["id"], json!(id));

        let (status, pull) = setup.api.send("DELETE", &path, Value::Null).await;
        assert_eq!((status, &pull["state"]), (200, &json!("cancelled")));
        assert_eq!(setup.api.send("DELETE", &path, Value::Null).await.1["state"], "cancelled");
        assert_eq!(setup.told(events::PULL_ENDED).await.len(), 1);
        setup.begin(json!({ "name": "local/tiny" })).await;
        let unknown = format!("{PULLS}/{}", plasma_kernel::PullId::new(&setup.ctx));
        assert_eq!(setup.api.get(&unknown).await.0, 404);
    }
}

#[tokio::test]
async fn a_pull_that_was_cancelled_is_gone_on_with_by_the_next() {
    let content: Vec<u8> = (0..100_000_u32).map(|number| (number % 251) as u8).collect();
    let server = serving(&[(FILE, &content)]);
    server.stall_after(30_000);
    let setup = Setup::new(TestStore::sqlite().await, &server, &content).await;
    let workflows = begin_work(&setup.test, &setup.models).await;
    let id = setup.begin(json!({ "name": "local/tiny" })).await;
    let pull = setup.until(&id, |pull| pull["done_bytes"] == 30_000).await;
    assert_eq!((&pull["state"], &pull["size_bytes"]), (&json!("running"), &json!(100_000)));
    let (status, pull) = setup.api.send("DELETE", &format!("{PULLS}/{id}"), Value::Null).await;
    assert_eq!((status, &pull["state"], &pull["done_bytes"]), (200, &json!("cancelled"), &json!(30_000)));
    server.stall_after(0);
    let id = setup.begin(json!({ "name": "local/tiny" })).await;
    assert_eq!(setup.ended(&id).await["state"], "done");
    assert_eq!(server.ranges(), [0, 30_000]);
    assert_eq!(fs::read(setup.folder.path().join("local--tiny").join(FILE)).unwrap(), content);
    workflows.stop().await;
}

#[tokio::test]
async fn a_pull_goes_on_after_a_restart() {
    let content: Vec<u8> = (0..100_000_u32).map(|number| (number % 251) as u8).collect();
    let server = serving(&[(FILE, &content)]);
    server.stall_after(30_000);
    let setup = Setup::new(TestStore::sqlite().await, &server, &content).await;
    let workflows = begin_work(&setup.test, &setup.models).await;
    let id = setup.begin(json!({ "name": "local/tiny" })).await;
    setup.until(&id, |pull| pull["done_bytes"] == 30_000).await;
    workflows.stop().await;
    setup.models.shutdown().await;
    server.stall_after(0);
    let next = open(&setup.test, setup.folder.path(), &setup.hub_url, &content);
    let workflows = begin_work(&setup.test, &next).await;
    let pull = setup.ended(&id).await;
    assert_eq!((&pull["state"], &pull["done_bytes"]), (&json!("done"), &json!(100_000)), "{pull}");
    assert_eq!(server.ranges(), [0, 30_000]);
    workflows.stop().await;
}

#[tokio::test]
async fn a_pull_waits_while_another_process_fetches_into_the_folder() {
    let server = serving(&[(FILE, b"0123456789")]);
    let setup = Setup::new(TestStore::sqlite().await, &server, b"0123456789").await;
    let held = fs::File::create(setup.folder.path().join(".lock")).unwrap();
    held.lock().unwrap();
    let workflows = begin_work(&setup.test, &setup.models).await;
    let id = setup.begin(json!({ "name": "local/tiny" })).await;
    setup.until(&id, |pull| pull["state"] == "running").await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(server.ranges().is_empty());
    drop(held);
    assert_eq!(setup.ended(&id).await["state"], "done");
    workflows.stop().await;
}
