//! The report of security controls, from the command line and by the API; and small things that the catalogues ask for of every server.

use std::fs;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::harness::{Place, problem, program};

/// Results of a run in which everything passed that the catalogues name, but for one test.
fn results(report: &Value, failed: &str) -> String {
    let mut xml = String::from("<testsuites name=\"plasma\"><testsuite name=\"all\">");
    let controls = report["catalogues"].as_array().unwrap().iter().flat_map(|catalogue| {
        catalogue["chapters"].as_array().unwrap().iter().flat_map(|chapter| chapter["controls"].as_array().unwrap())
    });
    for test in controls.flat_map(|control| control["tests"].as_array().unwrap()) {
        let name = test["name"].as_str().unwrap();
        let (class, path) = name.split_once(' ').unwrap();
        let inside = if name == failed { "<failure type=\"test failure\"/>" } else { "" };
        xml.push_str(&format!("<testcase name=\"{path}\" classname=\"{class}\">{inside}</testcase>"));
    }
    xml.push_str("</testsuite></testsuites>");
    xml
}

const WALL: &str = "plasma-server::it isolation::another_tenant_finds_nothing::sqlite";

#[test]
fn the_report_is_printed_and_a_failed_test_shows() {
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| {
        program().args(["compliance", "report"]).args(arguments).current_dir(folder.path()).output().unwrap()
    };
    let printed = |arguments: &[&str]| String::from_utf8(run(arguments).stdout).unwrap();
    // Without a test run it says only what the catalogues say, and so does the exit code.
    let bare = run(&["--json"]);
    assert_eq!(bare.status.code(), Some(1));
    let report: Value = serde_json::from_slice(&bare.stdout).unwrap();
    assert_eq!((&report["run"], &report["problem"]), (&Value::Null, &Value::Null));
    let counts = &report["catalogues"][1]["counts"];
    let sum: u64 = counts.as_object().unwrap().values().map(|count| count.as_u64().unwrap()).sum();
    assert_eq!((sum, counts["not_shown"].as_u64()), (253, Some(0)));
    assert!(printed(&[]).contains("no test run is known"));

    let file = folder.path().join("junit.xml");
    let name = file.to_str().unwrap();
    fs::write(&file, results(&report, "")).unwrap();
    let whole = run(&["--results", name]);
    assert_eq!(whole.status.code(), Some(0), "{}", String::from_utf8_lossy(&whole.stdout));
    fs::write(&file, results(&report, WALL)).unwrap();
    let failed = run(&["--results", name, "--catalogue", "asvs-5.0"]);
    let text = String::from_utf8(failed.stdout).unwrap();
    assert_eq!(failed.status.code(), Some(1), "{text}");
    assert!(text.contains("V8.4.1 (not shown, level 2)") && text.contains(&format!("FAILED: {WALL}")), "{text}");
    assert!(!text.contains("API1:2023"), "{text}");
    // Where `make test` leaves its results they are found without being named.
    let made = folder.path().join("target/nextest/full");
    fs::create_dir_all(&made).unwrap();
    fs::write(made.join("junit.xml"), results(&report, "")).unwrap();
    assert_eq!(run(&[]).status.code(), Some(0));
    assert!(printed(&["--list", "not_met"]).contains("(not met, level"));
    for wrong in [["--results", "absent.xml"], ["--catalogue", "asvs-9"]] {
        let refused = run(&wrong);
        assert_eq!(refused.status.code(), Some(1));
        let told = String::from_utf8(refused.stderr).unwrap();
        assert!(told.contains(wrong[1]), "{told}");
    }
    assert_eq!(run(&["--list", "maybe"]).status.code(), Some(2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_report_is_for_those_who_may_see_it_and_knows_the_last_run() {
    let mut place = Place::sqlite();
    let file = place.folder.path().join("junit.xml");
    place.set("PLASMA_COMPLIANCE_RESULTS_FILE", file.to_str().unwrap());
    let server = place.start();
    let report = server.get("/api/v1/compliance").await;
    assert_eq!(report["run"], Value::Null);
    let told = report["problem"].as_str().unwrap();
    assert!(told.contains("compliance_results_file") && !told.contains("junit.xml"), "{told}");
    fs::write(&file, results(&report, WALL)).unwrap();
    let report = server.get("/api/v1/compliance").await;
    assert_eq!((&report["run"]["failed"], &report["problem"]), (&json!(1), &Value::Null));
    assert!(report["run"]["passed"].as_u64().unwrap() > 100);
    assert!(report["catalogues"][1]["counts"]["not_shown"].as_u64().unwrap() >= 1);
    let editor = server.post("/api/v1/api-keys", json!({"name": "editor", "role": "editor"})).await;
    let request = server.request(Method::GET, "/api/v1/compliance").bearer_auth(editor["key"].as_str().unwrap());
    assert_eq!(problem(request, 403).await["reason"], "forbidden");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_server_traces_lists_folders_or_shows_its_sources() {
    let server = Place::sqlite().start();
    let trace = Method::from_bytes(b"TRACE").unwrap();
    for path in ["/", "/api/v1/me", "/v1/models", "/healthz", "/login/"] {
        let answer = server.owner(trace.clone(), path).header("x-told", "in-confidence").send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::METHOD_NOT_ALLOWED, "{path}");
        assert!(!answer.text().await.unwrap().contains("in-confidence"), "{path}");
    }
    // A program without the dashboard says 503; with it there is no such page.
    for path in [
        "/.git/config",
        "/.git/HEAD",
        "/.env",
        "/Cargo.toml",
        "/plasma.toml",
        "/master.key",
        "/_next/",
        "/_next/static/",
    ] {
        let answer = server.owner(Method::GET, path).send().await.unwrap();
        assert!(matches!(answer.status().as_u16(), 404 | 503), "{path}: {}", answer.status());
        let text = answer.text().await.unwrap();
        assert!(!text.contains("Index of") && !text.contains("[core]") && !text.contains("[workspace]"), "{path}");
    }
}
