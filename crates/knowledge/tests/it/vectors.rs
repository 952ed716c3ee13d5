//! The vector indexes of a process: kept over a restart, built anew when they must be, and never behind what is searched.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use plasma_kernel::{ChunkId, Code, KnowledgeDocumentId, PageRequest};
use plasma_knowledge::{Collection, CollectionChange, CollectionIndex, CollectionIndexState, SearchMode};
use plasma_testkit::{TestStore, on_each_database};

use crate::support::{Setup, keyed, markdown, request};

const PATIENCE: Duration = Duration::from_secs(120);
/// Of the local embedding model.
const DIMENSIONS: usize = 384;

fn folder(setup: &Setup) -> PathBuf {
    setup.test.data_dir().join("index/vectors-1")
}

/// Three documents about one word.
async fn brought(setup: &Setup) -> Collection {
    let collection = setup.collection("indexed").await;
    for number in 0..3 {
        let text = format!("The cartographer draws island number {number}.");
        setup.bring(&collection, markdown(&format!("island {number}"), &text)).await;
    }
    collection
}

/// What is found by its meaning, once searches have nothing to warn of.
async fn found(setup: &Setup, collection: &Collection) -> Vec<String> {
    let started = Instant::now();
    loop {
        let wanted = request(&collection.name, SearchMode::Vector, "who draws islands?");
        let troubles = match setup.knowledge.search(&setup.ctx, wanted).await {
            Ok(answer) if answer.warnings.is_empty() => {
                let mut titles: Vec<String> = answer.results.into_iter().map(|hit| hit.title).collect();
                titles.sort();
                return titles;
            }
            Ok(answer) => answer.warnings,
            Err(error) => vec![format!("{error:?}")],
        };
        assert!(started.elapsed() < PATIENCE, "{troubles:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

const ALL: [&str; 3] = ["island 0", "island 1", "island 2"];

/// Stops, lets `damage` work on the folder, and starts again.
async fn restarted_after(setup: Setup, damage: impl FnOnce(&Path)) -> Setup {
    setup.workflows.stop().await;
    setup.knowledge.stop().await;
    damage(&folder(&setup));
    setup.restart().await
}

fn copy(from: &Path, to: &Path) {
    let _ = fs::remove_dir_all(to);
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, target).unwrap();
        }
    }
}

/// The same while it is being written to: as a crash at this moment would leave it.
fn copy_what_is_there(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    let Ok(entries) = fs::read_dir(from) else { return };
    for path in entries.flatten().map(|entry| entry.path()) {
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy_what_is_there(&path, &target);
        } else {
            // It may be gone by now.
            let _ = fs::copy(&path, &target);
        }
    }
}

/// A crash keeps the order in which things became durable: vectors, their position, the text index. So they are copied in the
/// opposite order.
fn copy_moment(index: &Path, to: &Path) {
    copy_what_is_there(&index.join("text-1"), &to.join("text-1"));
    let (from, to) = (index.join("vectors-1"), to.join("vectors-1"));
    fs::create_dir_all(&to).unwrap();
    let state = fs::read(from.join("STATE"));
    copy_what_is_there(&from, &to);
    match state {
        Ok(state) => fs::write(to.join("STATE"), state).unwrap(),
        Err(_) => fs::remove_file(to.join("STATE")).unwrap_or_default(),
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

async fn index(setup: &Setup, collection: &Collection) -> CollectionIndex {
    setup.knowledge.collection_index(&setup.ctx, collection.id).await.unwrap()
}

/// Waits until the index has all passages in a segment.
async fn ready(setup: &Setup, collection: &Collection, passages: u64) -> CollectionIndex {
    let started = Instant::now();
    loop {
        let found = index(setup, collection).await;
        if found.state == CollectionIndexState::Ready && found.passages == passages {
            return found;
        }
        assert!(started.elapsed() < PATIENCE, "{found:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A reproducible direction.
fn embedding(seed: u32) -> Vec<u8> {
    let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(1);
    let numbers: Vec<f32> = (0..DIMENSIONS)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 24) as f32 - 0.5
        })
        .collect();
    let length = numbers.iter().map(|number| number * number).sum::<f32>().sqrt();
    numbers.iter().flat_map(|number| (number / length).to_le_bytes()).collect()
}

/// Writes searchable documents of `passages` passages each without reading and embedding them.
async fn synthetic(setup: &Setup, collection: &Collection, documents: u32, passages: u32) {
    let tenant = setup.ctx.tenant().unwrap();
    let mut tx = setup.test.begin(&setup.ctx).await.unwrap();
    for number in 0..documents {
        let id = KnowledgeDocumentId::new(&setup.ctx);
        tx.execute(
            "INSERT INTO knowledge_documents (tenant_id, id, collection_id, version, live_version, state, passage_count,
                                              queued_at, created_at, updated_at)
             VALUES ($1, $2, $3, 1, 1, 'ready', $4, 0, 0, 0)",
            [tenant.into(), id.into(), collection.id.into(), passages.into()],
        )
        .await
        .unwrap();
        tx.execute(
            "INSERT INTO knowledge_versions (tenant_id, document_id, version, collection_id, blob, title, title_is_guessed,
                                             media_type, size_bytes, metadata, created_at)
             VALUES ($1, $2, 1, $3, 'none', 'synthetic', 0, 'text/plain', 1, '{}', 0)",
            [tenant.into(), id.into(), collection.id.into()],
        )
        .await
        .unwrap();
        for ordinal in 0..passages {
            let passage = ChunkId::new(&setup.ctx);
            tx.execute(
                "INSERT INTO passages (tenant_id, document_id, version, ordinal, id, start_offset, end_offset, word_count,
                                       token_count, text, embedding)
                 VALUES ($1, $2, 1, $3, $4, 0, 1, 1, 1, 'x', $5)",
                [
                    tenant.into(),
                    id.into(),
                    ordinal.into(),
                    passage.into(),
                    embedding(number * passages + ordinal).into(),
                ],
            )
            .await
            .unwrap();
        }
    }
    tx.execute(
        "UPDATE collections SET passage_count = passage_count + $3, document_count = document_count + $4,
                ready_count = ready_count + $4
         WHERE tenant_id = $1 AND id = $2",
        [tenant.into(), collection.id.into(), (documents * passages).into(), documents.into()],
    )
    .await
    .unwrap();
    tx.commit().await.unwrap();
}

on_each_database! {
    async fn vectors_survive_a_restart_and_are_not_read_again(test: TestStore) {
        let mut setup = Setup::start(test).await;
        let collection = brought(&setup).await;
        assert_eq!(found(&setup, &collection).await, ALL);
        let before = index(&setup, &collection).await;
        assert_eq!((before.state, before.passages), (CollectionIndexState::Exact, 3));
        assert_eq!(before.dimensions, Some(DIMENSIONS as u64));
        assert!(before.disk_bytes > 0 && before.recall.is_none() && before.effort.is_none());
        setup.workflows.stop().await;
        setup.knowledge.stop().await;
        // Vectors that would be like nothing, if they were read again.
        let tenant = setup.ctx.tenant().unwrap();
        let mut tx = setup.test.begin(&setup.ctx).await.unwrap();
        let zeros = vec![0_u8; 4 * DIMENSIONS];
        tx.execute("UPDATE passages SET embedding = $2 WHERE tenant_id = $1", [tenant.into(), zeros.into()]).await.unwrap();
        tx.commit().await.unwrap();
        setup = setup.restart().await;
        assert_eq!(found(&setup, &collection).await, ALL);
        // Built anew they are read, and zeros are near to nothing.
        setup = restarted_after(setup, |folder| fs::remove_dir_all(folder).unwrap()).await;
        assert!(found(&setup, &collection).await.is_empty());
    }

    async fn absent_or_damaged_vectors_are_built_anew(test: TestStore) {
        let mut setup = Setup::start(test).await;
        let collection = brought(&setup).await;
        assert_eq!(found(&setup, &collection).await, ALL);
        let of_collection = collection.id.to_string();
        let count = files(&folder(&setup).join(&of_collection)).len();
        assert!(count >= 2);
        for number in 0..3 * count {
            setup = restarted_after(setup, |folder| {
                let files = files(&folder.join(&of_collection));
                let file = &files[number % files.len()];
                let mut bytes = fs::read(file).unwrap();
                match number % 3 {
                    0 => bytes.clear(),
                    1 => bytes.truncate(bytes.len() / 2),
                    _ => {
                        let middle = bytes.len() / 2;
                        bytes[middle] ^= 0x5a;
                    }
                }
                // The log of a crash may be cut: then the position says what is missing. Here nothing may be.
                if file.file_name().unwrap().to_str().unwrap().starts_with("log-") {
                    bytes.insert(40.min(bytes.len()), 0x77);
                }
                fs::write(file, bytes).unwrap();
            })
            .await;
            let now = found(&setup, &collection).await;
            assert!(now == ALL, "{now:?} after damage {number}");
        }
        setup = restarted_after(setup, |folder| fs::remove_dir_all(folder.join(&of_collection)).unwrap()).await;
        assert_eq!(found(&setup, &collection).await, ALL);
        setup = restarted_after(setup, |folder| fs::write(folder.join("STATE"), "nonsense").unwrap()).await;
        assert_eq!(found(&setup, &collection).await, ALL);
        setup = restarted_after(setup, |folder| {
            fs::remove_dir_all(folder).unwrap();
            fs::write(folder, "not a folder").unwrap();
        })
        .await;
        assert_eq!(found(&setup, &collection).await, ALL);
    }

    async fn vectors_of_another_database_are_not_believed(test: TestStore) {
        let other = Setup::start(TestStore::sqlite().await).await;
        brought(&other).await;
        other.workflows.stop().await;
        other.knowledge.stop().await;

        let setup = Setup::start(test).await;
        let collection = brought(&setup).await;
        let setup = restarted_after(setup, |here| copy(&folder(&other), here)).await;
        assert_eq!(found(&setup, &collection).await, ALL);
        let foreign = files(&folder(&setup)).into_iter().filter(|path| path.is_dir()).count();
        assert_eq!(foreign, 1);
    }

    async fn vectors_that_are_behind_catch_up(test: TestStore) {
        let setup = Setup::start(test).await;
        let collection = brought(&setup).await;
        setup.bring(&collection, keyed("atlas", "old atlas", "The atlas of old islands.")).await;
        setup.workflows.stop().await;
        setup.knowledge.stop().await;
        let before = tempfile::TempDir::new().unwrap();
        copy(&folder(&setup), before.path());
        let setup = setup.restart().await;
        setup.bring(&collection, markdown("island 3", "The cartographer draws island number 3.")).await;
        setup.bring(&collection, keyed("atlas", "new atlas", "The atlas of new islands.")).await;
        let page = PageRequest::default();
        let documents = setup.knowledge.list_documents(&setup.ctx, collection.id, None, &page).await.unwrap().data;
        let doomed = documents.into_iter().find(|document| document.title == "island 0").unwrap();
        setup.knowledge.delete_document(&setup.ctx, collection.id, doomed.id).await.unwrap();
        let now = ["island 1", "island 2", "island 3", "new atlas"];
        assert_eq!(found(&setup, &collection).await, now);
        // A crash that lost the vectors' last changes, but not those of the text index.
        let setup = restarted_after(setup, |folder| copy(before.path(), folder)).await;
        assert_eq!(found(&setup, &collection).await, now);
        // And nothing is there that is not shown.
        assert_eq!(index(&setup, &collection).await.passages, 4);
        setup.knowledge.delete_collection(&setup.ctx, collection.id).await.unwrap();
        let started = Instant::now();
        while folder(&setup).join(collection.id.to_string()).exists() {
            assert!(started.elapsed() < PATIENCE, "the vectors of a deleted collection stay");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn whatever_a_crash_leaves_is_caught_up(test: TestStore) {
        let mut setup = Setup::start(test).await;
        let collection = brought(&setup).await;
        let mut expected: Vec<String> = ALL.map(str::to_owned).to_vec();
        for round in 3..8_u64 {
            let index = folder(&setup).parent().unwrap().to_owned();
            let copied = tempfile::TempDir::new().unwrap();
            let (from, to) = (index.clone(), copied.path().to_owned());
            let copying = tokio::spawn(async move {
                tokio::time::sleep(Duration::from_millis(round * 53 % 200)).await;
                copy_moment(&from, &to);
            });
            let title = format!("island {round}");
            let text = format!("The cartographer draws island number {round}.");
            let brought = setup.bring(&collection, keyed(&title, &title, &text)).await;
            if round % 2 == 0 {
                setup.knowledge.delete_document(&setup.ctx, collection.id, brought.id).await.unwrap();
            } else {
                let replaced = format!("island {round}, replaced");
                setup.bring(&collection, keyed(&title, &replaced, &text)).await;
                expected.push(replaced);
            }
            copying.await.unwrap();
            setup = restarted_after(setup, |_| {
                for name in ["text-1", "vectors-1"] {
                    copy(&copied.path().join(name), &index.join(name));
                }
            })
            .await;
            assert_eq!(found(&setup, &collection).await, expected, "round {round}");
        }
    }

    async fn a_large_collection_is_built_in_the_background(test: TestStore) {
        let setup = Setup::start(test).await;
        let collection = setup.collection("large").await;
        setup.bring(&collection, markdown("map", "The cartographer draws an island.")).await;
        synthetic(&setup, &collection, 25, 100).await;
        let setup = restarted_after(setup, |folder| fs::remove_dir_all(folder).unwrap()).await;
        let built = ready(&setup, &collection, 2_501).await;
        assert!(built.segments == 1 && built.effort.is_some() && built.build.is_none(), "{built:?}");
        assert_eq!(found(&setup, &collection).await[0], "map");
        // A change while it is there, and the recall that is measured in the background.
        setup.bring(&collection, markdown("second map", "The cartographer draws two islands.")).await;
        let change = CollectionChange { recall_target: Some(0.95), ..CollectionChange::default() };
        setup.knowledge.update_collection(&setup.ctx, collection.id, change).await.unwrap();
        let started = Instant::now();
        let measured = loop {
            let now = index(&setup, &collection).await;
            match now.recall {
                Some(recall) if recall.target == 0.95 => break recall,
                _ => assert!(started.elapsed() < PATIENCE, "{now:?}"),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        };
        assert!(measured.measured >= 0.95 && measured.low <= measured.measured && measured.measured <= measured.high);

        let of_collection = collection.id.to_string();
        let segment = |folder: &Path| {
            let files = files(&folder.join(&of_collection));
            files.into_iter().find(|file| file.file_name().unwrap().to_str().unwrap().starts_with("segment-")).unwrap()
        };
        let setup = restarted_after(setup, |folder| {
            let bytes = fs::read(segment(folder)).unwrap();
            fs::write(segment(folder), &bytes[..bytes.len() / 2]).unwrap();
        })
        .await;
        ready(&setup, &collection, 2_502).await;
        // Vectors are only checked when they are read: a search finds that they are damaged, and they are built anew.
        let setup = restarted_after(setup, |folder| {
            let mut bytes = fs::read(segment(folder)).unwrap();
            let from = bytes.len() / 2;
            bytes[from..].fill(0x5a);
            fs::write(segment(folder), bytes).unwrap();
        })
        .await;
        let by_meaning = request(&collection.name, SearchMode::Vector, "who draws islands?");
        let refused = setup.knowledge.search(&setup.ctx, by_meaning).await.unwrap_err();
        assert_eq!((refused.code(), refused.reason()), (Code::Unavailable, "vector_index_unavailable"));
        let titles = found(&setup, &collection).await;
        assert!(titles.contains(&"map".to_owned()) && titles.contains(&"second map".to_owned()), "{titles:?}");
    }

    async fn a_recall_target_is_within_reason(test: TestStore) {
        let setup = Setup::start(test).await;
        let collection = setup.collection("aimed").await;
        assert!((collection.recall_target - 0.99).abs() < 1e-9);
        for target in [0.999, 0.8] {
            let change = CollectionChange { recall_target: Some(target), ..CollectionChange::default() };
            let changed = setup.knowledge.update_collection(&setup.ctx, collection.id, change).await.unwrap();
            assert!((changed.recall_target - target).abs() < 1e-9);
        }
        for target in [0.0, 0.79, 0.9991, 1.0, f64::NAN] {
            let change = CollectionChange { recall_target: Some(target), ..CollectionChange::default() };
            let error = setup.knowledge.update_collection(&setup.ctx, collection.id, change).await.unwrap_err();
            assert_eq!((error.code(), error.field_name()), (Code::Invalid, Some("recall_target")));
        }
        let empty = index(&setup, &collection).await;
        assert_eq!((empty.state, empty.dimensions, empty.disk_bytes), (CollectionIndexState::Empty, None, 0));
        assert!(!folder(&setup).join(collection.id.to_string()).exists());
    }
}
