//! Stopping in order, and starting again.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::json;

use crate::harness::{EMAIL, PASSWORD, Place, on_each_database, success};

on_each_database! {
    async fn a_stop_in_the_middle_of_work_loses_nothing(place: Place) {
        let server = place.start();
        let collection = server.create_collection("notes").await;
        for number in 0..60 {
            server.add_text(&collection, &format!("Note {number}"), &format!("Note number {number} about pelicans.")).await;
        }
        let begun = Instant::now();
        let status = server.stop();
        assert_eq!(status.code(), Some(0));
        assert!(begun.elapsed() < Duration::from_secs(25), "stopping took {:?}", begun.elapsed());

        let server = place.start();
        let documents = server.settled(&collection).await;
        assert_eq!(documents.len(), 60);
        assert!(documents.iter().all(|document| document["state"] == "ready"), "{documents:#?}");
        // The person and their password are the same, too.
        let login = json!({"email": EMAIL, "password": PASSWORD});
        let session = success(server.request(Method::POST, "/api/v1/auth/login").json(&login).send().await.unwrap()).await;
        assert_eq!(session["user"]["email"], EMAIL);
        assert!(!server.printed.iter().any(|line| line.contains("first start")), "{:?}", server.printed);
    }
}

#[tokio::test]
async fn a_request_that_runs_is_answered_and_new_ones_are_refused() {
    let place = Place::sqlite();
    let mut server = place.start();
    // A body that is still being sent while the program stops.
    let (sender, receiver) = futures::channel::mpsc::unbounded::<Result<Vec<u8>, std::io::Error>>();
    let body = reqwest::Body::wrap_stream(receiver);
    sender.unbounded_send(Ok(b"{\"name\": \"late".to_vec())).unwrap();
    let request =
        server.owner(Method::POST, "/api/v1/collections").header("content-type", "application/json").body(body);
    let running = tokio::spawn(request.send());
    tokio::time::sleep(Duration::from_millis(500)).await;
    server.signal("-TERM");
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(server.is_running());
    let refused = server.owner(Method::GET, "/api/v1/collections").send().await;
    assert!(refused.is_err_and(|error| error.is_connect()));
    sender.unbounded_send(Ok(b" but here\"}".to_vec())).unwrap();
    drop(sender);
    assert_eq!(running.await.unwrap().unwrap().status(), 201);
    let begun = Instant::now();
    while server.is_running() {
        assert!(begun.elapsed() < Duration::from_secs(15));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let server = place.start();
    assert_eq!(server.all("/api/v1/collections").await[0]["name"], "late but here");
}

#[tokio::test]
async fn a_second_signal_ends_the_program_at_once() {
    let mut server = Place::sqlite().start();
    // A request that never ends keeps the orderly stop waiting.
    let (_sender, receiver) = futures::channel::mpsc::unbounded::<Result<Vec<u8>, std::io::Error>>();
    let request = server
        .owner(Method::POST, "/api/v1/collections")
        .header("content-type", "application/json")
        .body(reqwest::Body::wrap_stream(receiver));
    tokio::spawn(request.send());
    tokio::time::sleep(Duration::from_millis(300)).await;
    server.signal("-INT");
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(server.is_running());
    server.signal("-INT");
    let begun = Instant::now();
    while server.is_running() {
        assert!(begun.elapsed() < Duration::from_secs(2));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
