//! The audit of the whole program: what every kind of request leaves behind, from where it came, and that it survives a killed
//! process; then what `plasma audit verify` says of logs that were tampered with.

use std::{collections::BTreeSet, fs, path::Path, process::Output};

use plasma_governance::{Governance, GovernanceConfig};
use plasma_http::outbound::Outbound;
use plasma_kernel::{Clock, Ctx, Random};
use plasma_store::{Store, StoreConfig, Tx};
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{EMAIL, KEY, PASSWORD, PATIENCE, Place, Plasma, on_each_database, problem, program, success};

/// A record of the audit log, which is there a moment after what it tells of, and a sink.
pub(crate) async fn audited(server: &Plasma) -> (String, String) {
    let sink = json!({"name": "anchor", "target": {"kind": "anchor_file"}});
    let sink = server.post("/api/v1/audit/sinks", sink).await["id"].as_str().unwrap().to_owned();
    let begun = std::time::Instant::now();
    loop {
        let page = server.get("/api/v1/audit?limit=1").await;
        if let Some(record) = page["data"][0]["id"].as_str() {
            return (record.to_owned(), sink);
        }
        assert!(begun.elapsed() < PATIENCE, "nothing was audited\n{}", server.log());
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
}

/// Waits until the log has a record of this type, and returns the newest.
async fn record(server: &Plasma, kind: &str) -> Value {
    let begun = std::time::Instant::now();
    loop {
        let page = server.get(&format!("/api/v1/audit?action={kind}&limit=1")).await;
        if !page["data"][0].is_null() {
            return page["data"][0].clone();
        }
        assert!(begun.elapsed() < PATIENCE, "there is no record of {kind}\n{}", server.log());
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
}

async fn login(server: &Plasma, email: &str, password: &str) -> reqwest::Response {
    let login = json!({"email": email, "password": password});
    server.request(Method::POST, "/api/v1/auth/login").json(&login).send().await.unwrap()
}

on_each_database! {
    async fn every_kind_of_request_leaves_a_record_with_its_origin(place: Place) {
        place.set("PLASMA_TRUSTED_PROXIES", "127.0.0.1,::1");
        let server = place.start();
        let through_proxy = |request: reqwest::RequestBuilder| {
            request.header("x-forwarded-for", "1.1.1.1, 203.0.113.7").header("user-agent", "audit test")
        };
        // A write, with what was before and after.
        let user = json!({"email": "ada@example.com", "name": "Ada", "role": "editor", "password": "a long password"});
        let user = success(through_proxy(server.owner(Method::POST, "/api/v1/users")).json(&user).send().await.unwrap()).await;
        let path = format!("/api/v1/users/{}", user["id"].as_str().unwrap());
        let change = json!({"role": "viewer"});
        success(through_proxy(server.owner(Method::PATCH, &path)).json(&change).send().await.unwrap()).await;
        let updated = record(&server, "identity.user.updated").await;
        assert_eq!(updated["origin"], json!({"address": "203.0.113.7", "user_agent": "audit test"}), "{updated}");
        assert_eq!((&updated["data"]["before"], &updated["data"]["after"]), (&json!({"role": "editor"}), &json!({"role": "viewer"})));
        // Those who read events do not see it.
        let events = server.get("/api/v1/events?type=identity.user.updated").await;
        assert_eq!(events["data"][0]["data"]["before"], Value::Null, "{events}");
        // Logins that succeed and fail.
        success(login(&server, EMAIL, PASSWORD).await).await;
        assert_eq!(login(&server, EMAIL, "a wrong password").await.status(), 401);
        assert_eq!(record(&server, "identity.login.succeeded").await["origin"]["address"], "127.0.0.1");
        assert_eq!(record(&server, "identity.login.failed").await["origin"]["address"], "127.0.0.1");
        // A refusal.
        let viewer = server.post("/api/v1/api-keys", json!({"name": "small", "role": "viewer"})).await;
        for _ in 0..3 {
            let request = server.request(Method::GET, "/api/v1/users").bearer_auth(viewer["key"].as_str().unwrap());
            problem(request, 403).await;
        }
        let denied = record(&server, "audit.access.denied").await;
        assert_eq!((&denied["data"]["operation"], &denied["data"]["reason"]), (&json!("GET /api/v1/users"), &json!("forbidden")));
        assert_eq!(denied["actor"]["id"], viewer["id"]);
        // Personal data that was read.
        server.get(&path).await;
        let subject = user["id"].as_str().unwrap();
        let begun = std::time::Instant::now();
        loop {
            let path = format!("/api/v1/audit?action=audit.personal_data.read&subject={subject}");
            let page = server.get(&path).await;
            if page["data"][0]["data"]["operation"] == "GET /api/v1/users/{id}" {
                break;
            }
            assert!(begun.elapsed() < PATIENCE, "{page}");
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
        // An export.
        let exported = server.owner(Method::GET, "/api/v1/audit/export?format=csv").send().await.unwrap();
        assert_eq!(exported.status(), 200);
        assert!(exported.text().await.unwrap().contains("identity.user.created"));
        assert_eq!(record(&server, "audit.log.exported").await["data"]["format"], "csv");
        // Compressed, it has an end too.
        let compressed = server.owner(Method::GET, "/api/v1/audit/export").header("accept-encoding", "gzip");
        let compressed = compressed.send().await.unwrap();
        assert_eq!(compressed.headers()["content-encoding"], "gzip");
        assert!(!compressed.bytes().await.unwrap().is_empty());
    }

    async fn a_killed_process_loses_and_doubles_nothing(place: Place) {
        let server = place.start();
        for number in 0..50 {
            server.create_collection(&format!("before {number}")).await;
        }
        server.kill();
        let server = place.start();
        for number in 0..20 {
            server.create_collection(&format!("after {number}")).await;
        }
        let events: BTreeSet<String> = server
            .all("/api/v1/events?type=knowledge.collection.created")
            .await
            .iter()
            .map(|event| event["id"].as_str().unwrap().to_owned())
            .collect();
        assert_eq!(events.len(), 70);
        let begun = std::time::Instant::now();
        loop {
            let records = server.all("/api/v1/audit?action=knowledge.collection.created").await;
            let ids: BTreeSet<String> =
                records.iter().map(|record| record["id"].as_str().unwrap().to_owned()).collect();
            assert_eq!(ids.len(), records.len(), "a record came twice");
            if ids == events {
                break;
            }
            assert!(begun.elapsed() < PATIENCE, "{} of {} records", ids.len(), events.len());
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
    }
}

/// Runs `plasma audit verify` and returns its exit code and output.
fn verify(arguments: &[&str]) -> (Option<i32>, String) {
    let output: Output = program().args(["audit", "verify"]).args(arguments).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
    (output.status.code(), text)
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for name in ["plasma.db", "plasma.db-wal", "master.key"] {
        if from.join(name).exists() {
            fs::copy(from.join(name), to.join(name)).unwrap();
        }
    }
}

/// Opens a copied database as somebody who rules it would, and changes it.
async fn tamper(folder: &Path, change: impl AsyncFnOnce(&mut Tx)) {
    let store = Store::open(StoreConfig::sqlite(folder)).await.unwrap();
    let ctx = Ctx::system("tamper", Clock::system(), Random::system());
    let mut tx = store.begin(&ctx).await.unwrap();
    change(&mut tx).await;
    tx.commit().await.unwrap();
    store.close().await;
}

/// Signs what has no checkpoint yet, as the program would a minute later, and returns the newest checkpoint of a log.
async fn newest_note(folder: &Path, tenant: &str) -> String {
    let store = Store::open(StoreConfig::sqlite(folder)).await.unwrap();
    let ctx = Ctx::system("sign", Clock::system(), Random::system());
    let config = GovernanceConfig { anchor_dir: folder.join("anchors"), outbound: Outbound::guarded(Vec::new()) };
    let governance = Governance::open(store.clone(), ctx.clone(), config).await.unwrap();
    governance.catch_up().await.unwrap();
    governance.checkpoint_all().await.unwrap();
    let mut tx = store.read(&ctx).await.unwrap();
    let newest = "SELECT note FROM audit_checkpoints WHERE tenant_id = $1 ORDER BY size DESC LIMIT 1";
    let note = tx.fetch_one(newest, [tenant.into()]).await.unwrap().get("note").unwrap();
    drop(tx);
    store.close().await;
    note
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn verify_names_four_kinds_of_tampering_with_a_copied_database() {
    let place = Place::sqlite();
    let server = place.start();
    for number in 0..12 {
        server.create_collection(&format!("number {number}")).await;
    }
    record(&server, "knowledge.collection.created").await;
    let tenant = server.get("/api/v1/me").await["tenant"]["id"].as_str().unwrap().to_owned();
    let key = server.get("/api/v1/audit/key").await["pem"].as_str().unwrap().to_owned();
    assert!(server.stop().success());
    let original = place.setup.data_dir.clone();
    let anchor = place.folder.path().join("anchor.txt");
    fs::write(&anchor, newest_note(&original, &tenant).await).unwrap();
    let key_file = place.folder.path().join("key.pem");
    fs::write(&key_file, key).unwrap();
    let (anchor, key_file) = (anchor.to_str().unwrap(), key_file.to_str().unwrap());
    let check = |folder: &Path, json: bool| {
        let folder = folder.to_str().unwrap();
        let mut arguments = vec!["--data-dir", folder, "--key", key_file, "--anchor", anchor];
        arguments.extend(json.then_some("--json"));
        verify(&arguments)
    };
    let (code, text) = check(&original, false);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("intact"), "{text}");
    const EDIT: &str = "UPDATE audit_records SET record = replace(record, 'number 3', 'number X') WHERE tenant_id = $1";
    const SWAP: [&str; 3] = [
        "UPDATE audit_records SET leaf = -1 WHERE tenant_id = $1 AND leaf = 5",
        "UPDATE audit_records SET leaf = 5 WHERE tenant_id = $1 AND leaf = 6",
        "UPDATE audit_records SET leaf = 6 WHERE tenant_id = $1 AND leaf = -1",
    ];
    const REMOVE: &str = "DELETE FROM audit_records WHERE tenant_id = $1 AND leaf = 4";
    const CUT: [&str; 4] = [
        "DELETE FROM audit_records WHERE tenant_id = $1 AND leaf >= 8",
        "UPDATE audit_tiles SET hashes = substr(hashes, 1, 256) WHERE tenant_id = $1",
        "DELETE FROM audit_checkpoints WHERE tenant_id = $1",
        "UPDATE audit_logs SET size = 8, checkpoint_size = 0 WHERE tenant_id = $1",
    ];
    let kinds: [(&str, &[&'static str]); 4] =
        [("edited", &[EDIT]), ("reordered", &SWAP), ("removed", &[REMOVE]), ("cut off", &CUT)];
    for (kind, statements) in kinds {
        let folder = place.folder.path().join(kind.replace(' ', "_"));
        copy(&original, &folder);
        tamper(&folder, async |tx: &mut Tx| {
            for statement in statements {
                tx.execute(*statement, [tenant.as_str().into()]).await.unwrap();
            }
        })
        .await;
        let (code, text) = check(&folder, false);
        assert_eq!(code, Some(3), "{kind}: {text}");
        assert!(text.contains(&format!("TAMPERED: {kind}:")), "{kind}: {text}");
        let (code, text) = check(&folder, true);
        assert_eq!(code, Some(3), "{kind}: {text}");
        let report: Value = serde_json::from_str(&text).unwrap();
        let log = report["logs"].as_array().unwrap().iter().find(|log| log["log"] == tenant.as_str()).unwrap();
        assert_eq!(log["findings"][0]["kind"], kind.replace(' ', "_"), "{text}");
        assert_eq!((&report["intact"], &log["intact"]), (&json!(false), &json!(false)));
    }
    let nowhere = place.folder.path().join("nowhere");
    assert_eq!(verify(&["--data-dir", nowhere.to_str().unwrap()]).0, Some(1));
    assert_eq!(verify(&["--nonsense"]).0, Some(2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_exported_log_is_verified_without_the_server() {
    let place = Place::sqlite();
    let server = place.start();
    server.create_collection("one").await;
    record(&server, "knowledge.collection.created").await;
    let file = place.folder.path().join("audit.jsonl");
    let file = file.to_str().unwrap();
    let run = |arguments: &[&str]| {
        let output =
            program().args(arguments).env("PLASMA_URL", &server.url).env("PLASMA_API_KEY", KEY).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    run(&["audit", "export", "-o", file]);
    assert_eq!(verify(&[file]).0, Some(0));
    let bundle = fs::read_to_string(file).unwrap();
    let edited = bundle.replace("\"name\":\"one\"", "\"name\":\"two\"");
    assert_ne!(edited, bundle);
    fs::write(file, edited).unwrap();
    let (code, text) = verify(&[file]);
    assert_eq!(code, Some(3), "{text}");
    assert!(text.contains("TAMPERED: edited:"), "{text}");
    // The export is a record itself, and the list shows it.
    record(&server, "audit.log.exported").await;
    let listed = run(&["audit", "ls", "--action", "audit.*"]);
    assert!(listed.contains("audit.log.exported") && listed.starts_with("TIME"), "{listed}");
    let csv = run(&["audit", "export", "--format", "csv", "--action", "knowledge.*"]);
    assert!(csv.starts_with("leaf,id,at,type") && csv.contains("knowledge.collection.created"), "{csv}");
}
