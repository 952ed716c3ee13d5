//! The index of a process: built anew when it must be, and never applied twice.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use plasma_knowledge::{Collection, Document, Knowledge, SearchMode};
use plasma_testkit::{TestStore, on_each_database, system};
use plasma_workflows::Workflows;

use crate::support::{Setup, markdown, models_dir, open_models, request};

/// Three documents about one word.
async fn brought(setup: &Setup) -> Collection {
    let collection = setup.collection("indexed").await;
    for number in 0..3 {
        let text = format!("The cartographer draws island number {number}.");
        setup.bring(&collection, markdown(&format!("island {number}"), &text)).await;
    }
    collection
}

fn folder(setup: &Setup) -> PathBuf {
    setup.test.data_dir().join("index/text-1")
}

/// What a text search finds once the index says that it is complete.
async fn found(setup: &Setup, collection: &Collection, query: &str) -> Vec<String> {
    let started = Instant::now();
    while !setup.knowledge.index_status().ready {
        assert!(started.elapsed() < Duration::from_secs(60), "{:?}", setup.knowledge.index_status());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let answer = setup.search(collection, SearchMode::Text, query).await;
    assert!(answer.warnings.is_empty(), "{:?}", answer.warnings);
    let mut titles: Vec<String> = answer.results.into_iter().map(|hit| hit.title).collect();
    titles.sort();
    titles
}

const ALL: [&str; 3] = ["island 0", "island 1", "island 2"];

/// The files of the index, without its lock.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| !path.file_name().unwrap().to_str().unwrap().starts_with('.'));
    files.sort();
    files
}

fn copy(from: &Path, to: &Path) {
    let _ = fs::remove_dir_all(to);
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, to.join(path.file_name().unwrap())).unwrap();
    }
}

/// Stops, lets `damage` work on the folder, and starts again.
async fn restarted_after(setup: Setup, damage: impl FnOnce(&Path)) -> Setup {
    setup.workflows.stop().await;
    setup.knowledge.stop().await;
    damage(&folder(&setup));
    setup.restart().await
}

on_each_database! {
    async fn an_absent_or_damaged_index_is_built_anew(test: TestStore) {
        let mut setup = Setup::start(test).await;
        let collection = brought(&setup).await;
        setup = restarted_after(setup, |folder| fs::remove_dir_all(folder).unwrap()).await;
        assert_eq!(found(&setup, &collection, "cartographer").await, ALL);

        // Every file in turn: emptied, cut in half, with one byte changed.
        let names: Vec<PathBuf> = files(&folder(&setup)).iter().map(|path| path.file_name().unwrap().into()).collect();
        assert!(names.len() > 4);
        for (number, name) in names.iter().enumerate() {
            setup = restarted_after(setup, |folder| {
                // An index that was built anew has other names; any file of the same kind serves.
                let files = files(folder);
                let same_kind = files.iter().find(|path| path.extension() == name.extension()).unwrap_or(&files[0]).clone();
                let mut bytes = fs::read(&same_kind).unwrap();
                match number % 3 {
                    0 => bytes.clear(),
                    1 => bytes.truncate(bytes.len() / 2),
                    _ => {
                        let middle = bytes.len() / 2;
                        bytes[middle] ^= 0x5a;
                    }
                }
                fs::write(&same_kind, bytes).unwrap();
            })
            .await;
            assert_eq!(found(&setup, &collection, "cartographer").await, ALL, "{}", name.display());
        }

        setup = restarted_after(setup, |folder| {
            fs::remove_dir_all(folder).unwrap();
            fs::write(folder, "not a folder").unwrap();
        })
        .await;
        assert_eq!(found(&setup, &collection, "cartographer").await, ALL);
    }

    async fn an_index_of_another_database_is_not_believed(test: TestStore) {
        let other = Setup::start(TestStore::sqlite().await).await;
        let elsewhere = other.collection("elsewhere").await;
        for number in 0..4 {
            other.bring(&elsewhere, markdown("foreign", &format!("The cartographer number {number} sleeps."))).await;
        }
        other.workflows.stop().await;
        other.knowledge.stop().await;

        let setup = Setup::start(test).await;
        let collection = brought(&setup).await;
        let setup = restarted_after(setup, |folder_here| copy(&folder(&other), folder_here)).await;
        assert_eq!(found(&setup, &collection, "cartographer").await, ALL);
    }

    async fn what_happened_while_it_was_away_is_caught_up_once(test: TestStore) {
        let setup = Setup::start(test).await;
        let collection = brought(&setup).await;
        setup.workflows.stop().await;
        setup.knowledge.stop().await;
        let before = tempfile::TempDir::new().unwrap();
        copy(&folder(&setup), before.path());
        let setup = setup.restart().await;
        let added = setup.bring(&collection, markdown("island 3", "The cartographer draws island number 3.")).await;
        let deleted = first_document(&setup, &collection, "island 0").await;
        setup.knowledge.delete_document(&setup.ctx, collection.id, deleted.id).await.unwrap();
        let now = ["island 1", "island 2", "island 3"];
        assert_eq!(found(&setup, &collection, "cartographer").await, now);

        // A crash before the last commits: the index of the time before, over the database of now.
        let setup = restarted_after(setup, |folder| copy(before.path(), folder)).await;
        assert_eq!(found(&setup, &collection, "cartographer").await, now);

        // A commit that holds the changes but not the position, as if it had to be applied again.
        let setup = restarted_after(setup, |folder| {
            let older = tantivy::Index::open_in_dir(before.path()).unwrap().load_metas().unwrap().payload.unwrap();
            let index = tantivy::Index::open_in_dir(folder).unwrap();
            let newer = index.load_metas().unwrap().payload.unwrap();
            assert_ne!(older, newer);
            let mut writer: tantivy::IndexWriter = index.writer_with_num_threads(1, 20_000_000).unwrap();
            let mut commit = writer.prepare_commit().unwrap();
            commit.set_payload(&older);
            commit.commit().unwrap();
        })
        .await;
        assert_eq!(found(&setup, &collection, "cartographer").await, now);
        let answer = setup.search(&collection, SearchMode::Text, "island number 3").await;
        assert_eq!(answer.results[0].document_id, added.id);
        assert_eq!(answer.results.iter().filter(|hit| hit.document_id == added.id).count(), 1);
    }

    async fn an_index_that_breaks_while_running_repairs_itself(test: TestStore) {
        let setup = Setup::start(test).await;
        let collection = brought(&setup).await;
        let folder = folder(&setup);
        // Merges still write now and then.
        while fs::remove_dir_all(&folder).is_err() {}
        // The commit fails; the document is found by its meaning all the same.
        let document = setup.bring(&collection, markdown("island 3", "The cartographer draws island number 3.")).await;
        let answer = setup.search(&collection, SearchMode::Hybrid, "cartographer island").await;
        assert!(answer.results.iter().any(|hit| hit.document_id == document.id));
        assert_eq!(found(&setup, &collection, "cartographer").await, ["island 0", "island 1", "island 2", "island 3"]);
    }

    async fn another_process_sees_what_this_one_brings(test: TestStore) {
        let setup = Setup::start(test).await;
        let collection = brought(&setup).await;
        // The same database and data directory, as another process would open them.
        let store = setup.test.open_again().await;
        let models = open_models(store.clone(), &models_dir());
        let workflows = Workflows::new(store.clone(), system());
        let second = Knowledge::new(store, models, &workflows, system());
        second.start();
        let titles = async |expected: &[&str]| {
            let started = Instant::now();
            loop {
                let mut request = request("indexed", SearchMode::Hybrid, "cartographer");
                request.limit = Some(20);
                let answer = second.search(&setup.ctx, request).await.unwrap();
                let mut found: Vec<String> = answer.results.into_iter().map(|hit| hit.title).collect();
                found.sort();
                if found == expected {
                    return;
                }
                assert!(started.elapsed() < Duration::from_secs(30), "{found:?} instead of {expected:?}");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        titles(&ALL).await;
        setup.bring(&collection, markdown("island 3", "The cartographer draws island number 3.")).await;
        titles(&["island 0", "island 1", "island 2", "island 3"]).await;
        let deleted = first_document(&setup, &collection, "island 1").await;
        setup.knowledge.delete_document(&setup.ctx, collection.id, deleted.id).await.unwrap();
        titles(&["island 0", "island 2", "island 3"]).await;
        setup.knowledge.delete_collection(&setup.ctx, collection.id).await.unwrap();
        let started = Instant::now();
        while second.search(&setup.ctx, request("indexed", SearchMode::Text, "cartographer")).await.is_ok() {
            assert!(started.elapsed() < Duration::from_secs(30), "the deleted collection is still found");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        second.stop().await;
    }
}

async fn first_document(setup: &Setup, collection: &Collection, title: &str) -> Document {
    let page = plasma_kernel::PageRequest::default();
    let documents = setup.knowledge.list_documents(&setup.ctx, collection.id, None, &page).await.unwrap().data;
    documents.into_iter().find(|document| document.title == title).unwrap()
}
