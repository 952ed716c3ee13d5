use std::{collections::HashMap, time::Duration};

use plasma_kernel::{ChunkId, PageRequest};
use plasma_knowledge::{DocumentState, NewContent, NewDocument, SearchMode, parse::Format};
use plasma_models::{CallFilter, CallStatus, Purpose};
use plasma_store::EventFilter;
use plasma_testkit::on_each_database;

use crate::support::{Setup, file, fixture, long_text, markdown, models_dir};

const PAGE: &str = "<!doctype html><html><head><title>Tide tables</title></head><body><h1>Tides</h1>\
    <p>High water reaches the outer pier twice a day.</p><script>alert('never shown')</script></body></html>";
const TABLE: &str = "station,keeper,height\nNorth point,Imogen Hale,31\nSkerry,Tobias Lund,44\n";

fn documents() -> Vec<NewDocument> {
    vec![
        file("sample.pdf", fixture("sample.pdf")),
        file("object-streams.pdf", fixture("object-streams.pdf")),
        file("owner-locked.pdf", fixture("owner-locked.pdf")),
        file("sample.docx", fixture("sample.docx")),
        file("tides.html", PAGE),
        file("stations.csv", TABLE),
        file("notes.txt", "Paint the railing in May.\n\nOil the hinges in autumn."),
        file("notes.md", "# Lamp\n\nThe lamp turns once in ten seconds."),
        NewDocument {
            content: NewContent::Text {
                format: Format::Html,
                text: "<p>The fog horn is tested on Mondays.</p>".to_owned(),
            },
            ..markdown("Fog horn", "")
        },
    ]
}

/// Characters of `text` from `start` to `end`.
fn slice(text: &str, start: u32, end: u32) -> String {
    text.chars().skip(start as usize).take((end - start) as usize).collect()
}

on_each_database! {
    async fn every_kind_of_document_becomes_searchable(test: TestStore) {
        let setup = Setup::start(test).await;
        let collection = setup.collection("all kinds").await;
        let mut added = Vec::new();
        for document in documents() {
            added.push(setup.add(&collection, document).await);
        }
        let mut passages = 0;
        for document in &added {
            let document = setup.ready(&collection, document.id).await;
            assert!(document.error.is_none() && document.progress.is_none());
            assert!(document.chunk_count > 0 && document.character_count > 0, "{}", document.title);
            passages += document.chunk_count;
            let read = setup.knowledge.document_text(&setup.ctx, collection.id, document.id).await.unwrap();
            assert_eq!(read.passages.len() as u64, document.chunk_count);
            assert_eq!(read.text.chars().count() as u64, document.character_count);
            assert!(!read.text.contains("never shown"));
            // A phrase out of the document finds its passage first.
            let wanted = &read.passages[read.passages.len() / 2];
            let text = slice(&read.text, wanted.start, wanted.end);
            let answer = setup.search(&collection, SearchMode::Hybrid, &text).await;
            // Some of the fixtures are one text in several forms.
            assert_eq!(answer.results[0].text, text, "{}", document.title);
            let found = answer.results.iter().find(|hit| hit.passage_id == wanted.id);
            let folded = answer.results.iter().flat_map(|hit| &hit.duplicates).any(|copy| copy.passage_id == wanted.id);
            assert!(found.is_some() || folded, "{}", document.title);
            if let Some(found) = found {
                assert_eq!((found.document_id, found.start, found.end), (document.id, wanted.start, wanted.end));
            }
            assert!(answer.warnings.is_empty(), "{:?}", answer.warnings);
        }
        let titles: Vec<String> = setup
            .knowledge
            .list_documents(&setup.ctx, collection.id, Some(DocumentState::Ready), &PageRequest::default())
            .await
            .unwrap()
            .data
            .into_iter()
            .map(|document| document.title)
            .collect();
        // The documents' own titles where they have one, else their names.
        for title in ["Lighthouse Handbook", "Tide tables", "stations", "Lamp", "Fog horn"] {
            assert!(titles.iter().any(|known| known == title), "{title} is not in {titles:?}");
        }
        let collection = setup.knowledge.get_collection(&setup.ctx, "all kinds").await.unwrap();
        let counts = (collection.document_count, collection.ready_count, collection.failed_count, collection.chunk_count);
        assert_eq!(counts, (added.len() as u64, added.len() as u64, 0, passages));
        assert_eq!(setup.passages().await as u64, passages);
    }

    async fn a_document_is_searched_as_soon_as_it_is_ready(test: TestStore) {
        let setup = Setup::start(test).await;
        let collection = setup.collection("fresh").await;
        for number in 0..8 {
            let word = format!("zebra{number}");
            let text = format!("The {word} crosses the river at dawn.");
            let document = setup.bring(&collection, markdown(&format!("document {number}"), &text)).await;
            for mode in [SearchMode::Text, SearchMode::Vector, SearchMode::Hybrid] {
                let answer = setup.search(&collection, mode, &word).await;
                assert_eq!(answer.total_passages, number + 1);
                let found = answer.results.iter().any(|hit| hit.document_id == document.id);
                assert!(found, "{mode:?} does not find document {number}");
            }
        }
    }

    async fn the_way_of_a_document_is_told(test: TestStore) {
        let setup = Setup::start(test).await;
        let collection = setup.collection("told").await;
        let mut feed = setup.knowledge.progress_feed();
        let document = setup.bring(&collection, markdown("long", &long_text(40))).await;
        let page = PageRequest { limit: 200, cursor: None };
        let filter = EventFilter { kind: Some("knowledge.*".to_owned()) };
        let mut tx = setup.test.read(&setup.ctx).await.unwrap();
        let events = tx.events_page(&filter, &page).await.unwrap().data;
        let mut kinds: Vec<&str> = events.iter().map(|event| event.kind.as_str()).collect();
        kinds.reverse();
        assert_eq!(kinds, [
            "knowledge.collection.created",
            "knowledge.document.queued",
            "knowledge.document.parsing",
            "knowledge.document.embedding",
            "knowledge.document.ready",
        ]);
        assert!(events[..4].iter().all(|event| event.subject == document.id.to_string()));
        assert!(events.iter().all(|event| event.data["collection_id"] == collection.id.to_string()));

        // The last is told a moment after its transaction can be seen.
        let mut told: Vec<plasma_knowledge::IngestProgress> = Vec::new();
        while told.last().is_none_or(|progress| progress.state != DocumentState::Ready) {
            let progress = tokio::time::timeout(Duration::from_secs(10), feed.recv()).await.unwrap().unwrap();
            assert_eq!((progress.document, progress.tenant), (document.id, setup.ctx.tenant().unwrap()));
            told.push(progress);
        }
        assert_eq!(told.first().unwrap().state, DocumentState::Parsing);
        let last = told.last().unwrap();
        assert_eq!((last.state, last.done, last.total), (DocumentState::Ready, document.chunk_count, document.chunk_count));
        let embedding: Vec<_> = told.iter().filter(|progress| progress.state == DocumentState::Embedding).collect();
        assert!(embedding.len() > 2 && embedding.is_sorted_by_key(|progress| progress.done));
        assert!(embedding.iter().skip(1).all(|progress| progress.seconds_left.is_some()));
    }

    async fn a_restart_embeds_nothing_twice(test: TestStore) {
        let mut setup = Setup::start(test).await;
        let collection = setup.collection("restart").await;
        let document = setup.add(&collection, markdown("long", &long_text(160))).await;
        let begun = setup
            .until(&collection, document.id, |document| document.progress.as_ref().is_some_and(|progress| progress.done > 0))
            .await;
        assert_eq!(begun.state, DocumentState::Embedding);
        setup.workflows.stop().await;
        let kept = passage_ids(&setup).await;
        assert!(!kept.is_empty() && kept.len() < 160);
        setup = setup.restart().await;
        let document = setup.ready(&collection, document.id).await;
        let now = passage_ids(&setup).await;
        assert_eq!(now.len() as u64, document.chunk_count);
        assert!(kept.iter().all(|(ordinal, id)| now[ordinal] == *id), "a passage was written again");

        // One call for each batch of 16, and at most one that the stop cut off.
        let calls = setup
            .models
            .calls(&setup.ctx, &CallFilter::default(), &PageRequest { limit: 200, cursor: None })
            .await
            .unwrap()
            .data;
        let ingest = |status: CallStatus| {
            calls.iter().filter(|call| call.purpose == Purpose::Ingest && call.status == status).count()
        };
        let batches = now.len().div_ceil(16);
        assert!(ingest(CallStatus::Succeeded) <= batches + 1, "{} calls", ingest(CallStatus::Succeeded));
        let answer = setup.search(&collection, SearchMode::Text, "ledger").await;
        assert_eq!(answer.total_passages, document.chunk_count);
    }

    async fn documents_wait_for_their_model_and_are_taken_up(test: TestStore) {
        let folder = tempfile::TempDir::new().unwrap();
        let setup = Setup::start_with(test, folder.path()).await;
        let collection = setup.collection("waiting").await;
        let document = setup.add(&collection, markdown("patient", "The lamp turns once in ten seconds.")).await;
        let waiting = setup.until(&collection, document.id, |document| document.error.is_some()).await;
        assert_eq!(waiting.state, DocumentState::Queued);
        let error = waiting.error.unwrap();
        assert_eq!(error.reason, "model_weights_missing");
        assert!(error.remedy.is_some());
        setup.until_idle().await;

        let name = "local--all-minilm-l6-v2";
        std::os::unix::fs::symlink(models_dir().join(name), folder.path().join(name)).unwrap();
        let ready = setup.ready(&collection, document.id).await;
        assert!(ready.error.is_none());
        assert_eq!(setup.search(&collection, SearchMode::Vector, "rotating light").await.results.len(), 1);
    }
}

/// The ids of all passages by ordinal.
async fn passage_ids(setup: &Setup) -> HashMap<i64, ChunkId> {
    let mut tx = setup.test.read(&setup.ctx).await.unwrap();
    let tenant = setup.ctx.tenant().unwrap();
    let rows = tx.fetch_all("SELECT ordinal, id FROM passages WHERE tenant_id = $1", [tenant.into()]).await.unwrap();
    rows.iter().map(|row| (row.get("ordinal").unwrap(), row.get("id").unwrap())).collect()
}
