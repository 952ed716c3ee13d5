//! `kill -9` loses nothing and doubles nothing.

use std::{collections::BTreeMap, time::Duration};

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{PATIENCE, Plasma, on_each_database, success};

const DOCUMENTS: usize = 200;

/// A word that only this document has.
fn word(number: usize) -> String {
    let letter = |index: usize| char::from(b'a' + (index % 26) as u8);
    format!("quokka{}{}{}", letter(number), letter(number / 26), letter(number / 676))
}

async fn add_all(server: &Plasma, collection: &str) -> BTreeMap<String, usize> {
    let mut ids = BTreeMap::new();
    for number in 0..DOCUMENTS {
        let text = format!("Report {number}. The code word of this report is {}.", word(number));
        ids.insert(server.add_text(collection, &format!("Report {number}"), &text).await, number);
    }
    ids
}

async fn count(server: &Plasma, collection: &str, state: &str) -> usize {
    server.all(&format!("/api/v1/collections/{collection}/documents?state={state}")).await.len()
}

on_each_database! {
    async fn two_hundred_documents_survive_kill_9(place: Place) {
        let server = place.start();
        let collection = server.create_collection("reports").await;
        let ids = add_all(&server, &collection).await;
        // In the middle: some are ready, some are being read, most wait.
        let begun = std::time::Instant::now();
        loop {
            let ready = count(&server, &collection, "ready").await;
            assert!(ready < DOCUMENTS, "all were ready before the program could be killed");
            if ready >= 20 {
                break;
            }
            assert!(begun.elapsed() < PATIENCE, "{}", server.log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        server.kill();

        let server = place.start();
        let documents = server.settled(&collection).await;
        assert_eq!(documents.len(), DOCUMENTS);
        for document in &documents {
            assert_eq!(document["state"], "ready", "{document}");
            assert_eq!(document["chunk_count"], 1, "{document}");
            assert!(ids.contains_key(document["id"].as_str().unwrap()));
        }
        let state = server.get(&format!("/api/v1/collections/{collection}")).await;
        assert_eq!((state["ready_count"].as_u64(), state["chunk_count"].as_u64()), (Some(200), Some(200)), "{state}");
        // Each became ready once, in the log too.
        let mut told: BTreeMap<String, usize> = BTreeMap::new();
        for event in server.all("/api/v1/events?type=knowledge.document.ready").await {
            *told.entry(event["subject"].as_str().unwrap().to_owned()).or_default() += 1;
        }
        assert_eq!(told.len(), DOCUMENTS);
        assert!(told.values().all(|times| *times == 1), "{told:?}");
        // And each is found once, by its word.
        for (id, number) in &ids {
            let body = json!({"collection": collection, "query": word(*number), "mode": "text", "limit": 10});
            let answer = server.post("/api/v1/search", body).await;
            let found: Vec<&str> =
                answer["results"].as_array().unwrap().iter().map(|hit| hit["document_id"].as_str().unwrap()).collect();
            assert_eq!(found, [id.as_str()], "{}", word(*number));
        }
        let hit: Value = server.post("/api/v1/search", json!({"collection": "reports", "query": "code word", "limit": 100})).await;
        assert_eq!(hit["total_passages"], 200);
    }

    async fn two_servers_on_one_database_share_the_work(place: Place) {
        if !place.setup.settings.contains_key("PLASMA_DATABASE_URL") {
            return; // SQLite belongs to one process, which another test shows.
        }
        let first = place.start();
        // The master key and the files are shared; everything else is each process's own.
        let mut setup = place.setup.clone();
        setup.data_dir = place.folder.path().join("second");
        std::fs::create_dir_all(&setup.data_dir).unwrap();
        std::os::unix::fs::symlink(place.setup.data_dir.join("blobs"), setup.data_dir.join("blobs")).unwrap();
        let key = place.setup.data_dir.join("master.key");
        setup.settings.insert("PLASMA_MASTER_KEY_FILE".to_owned(), key.to_str().unwrap().to_owned());
        let second = Plasma::start(&setup);
        let collection = first.create_collection("shared").await;
        let mut ids = Vec::new();
        for number in 0..40 {
            let server = if number % 2 == 0 { &first } else { &second };
            ids.push(server.add_text(&collection, &format!("Note {number}"), &format!("The word is {}.", word(number))).await);
        }
        assert!(first.settled(&collection).await.iter().all(|document| document["state"] == "ready"));
        // Both find everything, whoever read it in.
        for server in [&first, &second] {
            for (number, id) in ids.iter().enumerate() {
                let body = json!({"collection": collection, "query": word(number), "mode": "text"});
                let begun = std::time::Instant::now();
                loop {
                    let answer = server.post("/api/v1/search", body.clone()).await;
                    let found: Vec<&str> = answer["results"].as_array().unwrap().iter().map(|hit| hit["document_id"].as_str().unwrap()).collect();
                    if found == [id.as_str()] {
                        break;
                    }
                    assert!(begun.elapsed() < Duration::from_secs(20), "{}: {answer}", word(number));
                    tokio::time::sleep(Duration::from_millis(200)).await;
                }
            }
        }
        // Each document was read by one of them, once.
        let events = first.all("/api/v1/events?type=knowledge.document.ready").await;
        assert_eq!(events.len(), 40);
        // One goes, and the other does the rest.
        for number in 40..60 {
            first.add_text(&collection, &format!("Note {number}"), &format!("The word is {}.", word(number))).await;
        }
        first.kill();
        let documents = second.settled(&collection).await;
        assert_eq!(documents.len(), 60);
        assert!(documents.iter().all(|document| document["state"] == "ready"), "{documents:#?}");
        let me = success(second.owner(Method::GET, "/api/v1/me").send().await.unwrap()).await;
        assert_eq!(me["role"], "owner");
    }
}
