//! Keys are changed while the program runs, is killed, and moves to Vault.

use std::{
    path::Path,
    process::Output,
    time::{Duration, Instant},
};

use plasma_kernel::{CallId, Clock, Ctx, Random, TenantId};
use plasma_store::{Store, StoreConfig};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use crate::harness::{KEY, PATIENCE, Place, Plasma, on_each_database, problem, program};

/// Enough that a rotation can be killed in its middle.
const VALUES: usize = 4_000;
const API_KEY: &str = "sk-of-the-provider";

/// A provider that lists no models and tells which key it was asked with.
async fn provider() -> (String, tokio::sync::mpsc::UnboundedReceiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    let (sender, receiver) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = vec![0; 4_096];
            let read = stream.read(&mut head).await.unwrap_or(0);
            let _ = sender.send(String::from_utf8_lossy(&head[..read]).into_owned());
            let body = r#"{"object": "list", "data": []}"#;
            let answer = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                body.len()
            );
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    (url, receiver)
}

async fn add_provider(server: &Plasma, url: &str) -> String {
    let provider = json!({"name": "acme", "kind": "openai", "base_url": url, "api_key": API_KEY});
    server.post("/api/v1/providers", provider).await["id"].as_str().unwrap().to_owned()
}

/// The provider is asked with the key that was sealed.
async fn key_is_used(server: &Plasma, id: &str, asked: &mut tokio::sync::mpsc::UnboundedReceiver<String>) {
    let answer = server.post(&format!("/api/v1/providers/{id}/test"), json!({})).await;
    assert!(answer["error"].is_null(), "{answer}");
    let head = tokio::time::timeout(PATIENCE, asked.recv()).await.unwrap().unwrap();
    assert!(head.contains(API_KEY), "{head}");
}

async fn rotated(server: &Plasma) -> Value {
    let begun = Instant::now();
    loop {
        let status = server.get("/api/v1/encryption").await;
        if status["rotations"][0]["state"] == "done" {
            return status;
        }
        assert!(begun.elapsed() < PATIENCE, "{status}\n{}", server.log());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn versions(status: &Value) -> Vec<u64> {
    status["keys"].as_array().unwrap().iter().map(|key| key["version"].as_u64().unwrap()).collect()
}

/// The database of a server that does not run.
async fn store(place: &Place) -> Store {
    let mut config = StoreConfig::sqlite(&place.setup.data_dir);
    config.database_url = place.setup.settings.get("PLASMA_DATABASE_URL").cloned();
    Store::open(config).await.unwrap()
}

/// Keeps sealed values as the judge's jobs do.
async fn add_values(store: &Store, ctx: &Ctx) -> Vec<CallId> {
    let mut ids = Vec::new();
    let mut tx = store.begin(ctx).await.unwrap();
    for number in 0..VALUES {
        let id = CallId::new(ctx);
        let sealed =
            store.seal_secret(&mut tx, &format!("models.judge/{id}"), &format!("value {number}")).await.unwrap();
        tx.execute(
            "INSERT INTO model_judge_work (tenant_id, call_id, sealed, created_at) VALUES ($1, $2, $3, $4)",
            [ctx.tenant().unwrap().into(), id.into(), sealed.into(), ctx.now().into()],
        )
        .await
        .unwrap();
        ids.push(id);
    }
    tx.commit().await.unwrap();
    ids
}

async fn check_values(store: &Store, ctx: &Ctx, ids: &[CallId]) {
    let mut tx = store.read(ctx).await.unwrap();
    for (number, id) in ids.iter().enumerate() {
        let select = "SELECT sealed FROM model_judge_work WHERE tenant_id = $1 AND call_id = $2";
        let row = tx.fetch_one(select, [ctx.tenant().unwrap().into(), (*id).into()]).await.unwrap();
        let sealed: Vec<u8> = row.get("sealed").unwrap();
        assert_eq!(&sealed[..8], b"PSE\x01\0\0\0\x02", "value {number}");
        let text = store.open_secret(&mut tx, &format!("models.judge/{id}"), &sealed).await.unwrap();
        assert_eq!(*text, format!("value {number}"));
    }
    let keys = store.data_key_versions(&mut tx).await.unwrap();
    assert_eq!(keys.iter().map(|key| key.version).collect::<Vec<_>>(), [2]);
}

fn plasma(server: &Plasma, folder: &Path, arguments: &[&str]) -> Output {
    program()
        .args(arguments)
        .env("PLASMA_URL", &server.url)
        .env("PLASMA_API_KEY", KEY)
        .current_dir(folder)
        .output()
        .unwrap()
}

fn said(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// Until every data key is under the current master key.
async fn rewrapped(server: &Plasma) -> Value {
    let begun = Instant::now();
    loop {
        let status = server.get("/api/v1/installation/encryption").await;
        let keys = status["master_keys"].as_array().unwrap().clone();
        if keys.len() == 1 && keys[0]["current"] == true {
            return status;
        }
        assert!(begun.elapsed() < PATIENCE, "{status}\n{}", server.log());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

on_each_database! {
    async fn a_workspace_gets_a_new_key_and_keeps_its_secrets(place: Place) {
        let (url, mut asked) = provider().await;
        let server = place.start();
        let id = add_provider(&server, &url).await;
        let before = server.get("/api/v1/encryption").await;
        assert_eq!((versions(&before), before["master_key"].as_str()), (vec![1], Some("file")), "{before}");
        let begun = server.post("/api/v1/encryption/rotate", json!(null)).await;
        assert_eq!((begun["version"].as_u64(), begun["state"].as_str()), (Some(2), Some("resealing")), "{begun}");
        let again = problem(server.owner(Method::POST, "/api/v1/encryption/rotate"), 409).await;
        assert_eq!(again["reason"], "key_rotation_running");
        key_is_used(&server, &id, &mut asked).await;
        let after = rotated(&server).await;
        assert_eq!(versions(&after), [2]);
        assert_eq!((after["rotations"][0]["done"].as_u64(), after["rotations"][0]["unreadable"].as_u64()), (Some(1), Some(0)), "{after}");
        key_is_used(&server, &id, &mut asked).await;
        let told = server.all("/api/v1/events?type=encryption.*").await;
        let mut kinds: Vec<&str> = told.iter().map(|event| event["type"].as_str().unwrap()).collect();
        kinds.sort_unstable();
        assert_eq!(kinds, ["encryption.rotation.finished", "encryption.rotation.started"]);
        // What belongs to no workspace has a key of its own.
        server.post("/api/v1/installation/encryption/rotate", json!(null)).await;
        let begun = Instant::now();
        loop {
            let status = server.get("/api/v1/installation/encryption").await;
            if status["own"]["rotations"][0]["state"] == "done" {
                break;
            }
            assert!(begun.elapsed() < PATIENCE, "{status}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let server = { assert!(server.stop().success()); place.start() };
        key_is_used(&server, &id, &mut asked).await;
    }

    async fn a_rotation_survives_kill_9(place: Place) {
        let server = place.start();
        let me = server.get("/api/v1/me").await;
        let tenant: TenantId = me["tenant"]["id"].as_str().unwrap().parse().unwrap();
        assert!(server.stop().success());
        let ctx = Ctx::system("test", Clock::system(), Random::system()).for_tenant(tenant, "test");
        let direct = store(&place).await;
        let ids = add_values(&direct, &ctx).await;
        direct.close().await;

        let mut server = place.start();
        server.post("/api/v1/encryption/rotate", json!(null)).await;
        let mut kills = 0;
        let begun = Instant::now();
        loop {
            let status = server.get("/api/v1/encryption").await;
            let rotation = &status["rotations"][0];
            let (done, state) = (rotation["done"].as_u64().unwrap(), rotation["state"].as_str().unwrap().to_owned());
            if state == "done" {
                assert_eq!((done, rotation["total"].as_u64()), (VALUES as u64, Some(VALUES as u64)), "{status}");
                break;
            }
            // In the middle, twice.
            if done > (kills + 1) * VALUES as u64 / 8 && kills < 2 && state == "resealing" {
                server.kill();
                kills += 1;
                server = place.start();
            }
            assert!(begun.elapsed() < PATIENCE, "{status}\n{}", server.log());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert!(kills > 0, "it was over before the program could be killed");
        assert!(server.stop().success());
        let direct = store(&place).await;
        check_values(&direct, &ctx, &ids).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_master_key_is_rotated_and_forgotten_from_the_command_line() {
    let (url, mut asked) = provider().await;
    let place = Place::sqlite();
    let server = place.start();
    let folder = place.folder.path();
    let id = add_provider(&server, &url).await;
    let file = place.setup.data_dir.join("master.key");
    let first = std::fs::read_to_string(&file).unwrap();
    assert!(said(&plasma(&server, folder, &["keys", "status"])).starts_with("MASTER KEY"));
    assert!(said(&plasma(&server, folder, &["keys", "forget-old"])).contains("no master key was removed"));
    assert!(said(&plasma(&server, folder, &["keys", "rotate-master"])).contains("plasma keys status"));
    let status = rewrapped(&server).await;
    assert_eq!(status["file_keys"].as_array().unwrap().len(), 2, "{status}");
    let both = std::fs::read_to_string(&file).unwrap();
    assert!(both.ends_with(first.trim()) && both.lines().count() == 2);
    key_is_used(&server, &id, &mut asked).await;
    assert!(said(&plasma(&server, folder, &["keys", "forget-old"])).contains("removed 1 master keys"));
    assert!(!std::fs::read_to_string(&file).unwrap().contains(first.trim()));
    assert!(said(&plasma(&server, folder, &["keys", "rotate"])).contains("data key 2 seals"));
    assert_eq!(versions(&rotated(&server).await), [2]);
    assert!(server.stop().success());
    let server = place.start();
    key_is_used(&server, &id, &mut asked).await;
    // No key of a workspace's own may do that.
    let admin = server.post("/api/v1/api-keys", json!({"name": "admin", "role": "admin"})).await;
    let admin = admin["key"].as_str().unwrap();
    let refused = server.request(Method::POST, "/api/v1/installation/encryption/rotate-master-key").bearer_auth(admin);
    problem(refused, 403).await;
    problem(server.request(Method::GET, "/api/v1/encryption").bearer_auth(admin), 403).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_installation_moves_to_vault() {
    let (url, mut asked) = provider().await;
    let mut place = Place::sqlite();
    let server = place.start();
    let id = add_provider(&server, &url).await;
    assert!(server.stop().success());
    let vault = plasma_testkit::fresh_vault_key().await;
    let plasma_store::VaultToken::Text(token) = &vault.token else { panic!("a text") };
    place.set("PLASMA_VAULT_URL", &vault.url);
    place.set("PLASMA_VAULT_TOKEN", token.expose());
    place.set("PLASMA_VAULT_KEY", &vault.key);
    let server = place.start();
    key_is_used(&server, &id, &mut asked).await;
    assert_eq!(server.get("/api/v1/encryption").await["master_key"], "vault");
    said(&plasma(&server, place.folder.path(), &["keys", "rewrap"]));
    let status = rewrapped(&server).await;
    assert_eq!(status["master_keys"][0]["key"], format!("transit/{}:v1", vault.key), "{status}");
    said(&plasma(&server, place.folder.path(), &["keys", "rotate-master"]));
    let status = rewrapped(&server).await;
    assert_eq!(status["master_keys"][0]["key"], format!("transit/{}:v2", vault.key), "{status}");
    assert!(server.stop().success());
    // The key file is of no use any more.
    std::fs::remove_file(place.setup.data_dir.join("master.key")).unwrap();
    let server = place.start();
    key_is_used(&server, &id, &mut asked).await;
    assert!(server.stop().success());
    // Without Vault the start says what is missing.
    place.set("PLASMA_VAULT_URL", "http://127.0.0.1:1");
    let output = program()
        .args(["serve", "--data-dir", place.setup.data_dir.to_str().unwrap()])
        .envs(&place.setup.settings)
        .current_dir(place.folder.path())
        .output()
        .unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{errors}");
    assert!(errors.contains("127.0.0.1:1") && errors.contains("vault_url"), "{errors}");
}
