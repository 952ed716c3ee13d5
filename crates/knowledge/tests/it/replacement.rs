//! Replaced and deleted documents.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use plasma_knowledge::{DocumentState, SearchMode};
use plasma_testkit::on_each_database;

use crate::support::{Setup, file, fixture, keyed, long_text, markdown, request};

on_each_database! {
    async fn a_search_sees_the_old_version_or_the_new_one(test: TestStore) {
        let setup = Setup::start(test).await;
        let collection = setup.collection("replaced").await;
        let text = |edition: usize| {
            format!("# Opening hours\n\nThe museum opens at {edition} according to edition{edition}.\n\n# Tickets\n\n\
                Tickets cost {edition} coins according to edition{edition}.")
        };
        let first = setup.bring(&collection, keyed("hours", "Edition 0", &text(0))).await;
        assert_eq!(first.chunk_count, 2);
        let stop = Arc::new(AtomicBool::new(false));
        let searches = Arc::new(AtomicUsize::new(0));
        let mut searchers = Vec::new();
        for mode in [SearchMode::Hybrid, SearchMode::Text] {
            let (knowledge, ctx, stop) = (setup.knowledge.clone(), setup.ctx.clone(), Arc::clone(&stop));
            let searches = Arc::clone(&searches);
            searchers.push(tokio::spawn(async move {
                let mut newest = 0;
                while !stop.load(Ordering::Relaxed) {
                    let answer = knowledge.search(&ctx, request("replaced", mode, "museum tickets edition according")).await.unwrap();
                    let mut editions: Vec<usize> = answer
                        .results
                        .iter()
                        .map(|hit| hit.title.strip_prefix("Edition ").unwrap().parse().unwrap())
                        .collect();
                    assert_eq!(editions.len(), 2, "{mode:?} finds {editions:?}");
                    editions.dedup();
                    assert_eq!(editions.len(), 1, "{mode:?} finds {editions:?}");
                    assert!(answer.results.iter().all(|hit| hit.text.contains(&format!("edition{}", editions[0]))));
                    assert!(editions[0] >= newest, "{mode:?} finds an edition that was replaced");
                    newest = editions[0];
                    searches.fetch_add(1, Ordering::Relaxed);
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
                newest
            }));
        }
        for edition in 1..=6 {
            let replaced = setup.bring(&collection, keyed("hours", &format!("Edition {edition}"), &text(edition))).await;
            assert_eq!(replaced.id, first.id);
            let answer = setup.search(&collection, SearchMode::Text, "museum").await;
            assert_eq!(answer.results[0].title, format!("Edition {edition}"));
        }
        stop.store(true, Ordering::Relaxed);
        for searcher in searchers {
            assert_eq!(searcher.await.unwrap(), 6);
        }
        assert!(searches.load(Ordering::Relaxed) > 50);
        setup.until_idle().await;
        assert_eq!((setup.passages().await, setup.versions().await, setup.blobs()), (2, 1, 2));
        let counted = setup.knowledge.get_collection(&setup.ctx, "replaced").await.unwrap();
        assert_eq!((counted.document_count, counted.ready_count, counted.chunk_count), (1, 1, 2));
    }

    async fn the_old_version_stays_when_the_new_one_cannot_be_read(test: TestStore) {
        let setup = Setup::start(test).await;
        let collection = setup.collection("kept").await;
        let first = setup.bring(&collection, keyed("plan", "Plan", "The garden wall is two meters high.")).await;
        let mut broken = file("plan.pdf", fixture("broken.pdf"));
        broken.key = Some("plan".to_owned());
        setup.add(&collection, broken).await;
        let failed = setup.until(&collection, first.id, |document| document.state == DocumentState::Failed).await;
        assert_eq!((failed.chunk_count, failed.file_name.as_deref()), (1, Some("plan.pdf")));
        let counted = setup.knowledge.get_collection(&setup.ctx, "kept").await.unwrap();
        assert_eq!((counted.document_count, counted.ready_count, counted.failed_count, counted.chunk_count), (1, 0, 1, 1));
        let answer = setup.search(&collection, SearchMode::Hybrid, "garden wall").await;
        assert_eq!((answer.results.len(), answer.results[0].title.as_str()), (1, "Plan"));
        let text = setup.knowledge.document_text(&setup.ctx, collection.id, first.id).await.unwrap();
        assert_eq!(text.text, "The garden wall is two meters high.");

        // A good one mends it, and what the broken one left is removed.
        setup.bring(&collection, keyed("plan", "Plan B", "The garden wall is three meters high.")).await;
        let answer = setup.search(&collection, SearchMode::Hybrid, "garden wall").await;
        assert_eq!((answer.results.len(), answer.results[0].title.as_str()), (1, "Plan B"));
        setup.until_idle().await;
        assert_eq!((setup.passages().await, setup.versions().await, setup.blobs()), (1, 1, 2));
    }

    async fn versions_that_overtake_each_other_leave_one(test: TestStore) {
        let setup = Setup::start(test).await;
        let collection = setup.collection("hasty").await;
        let mut id = None;
        for version in 0..6 {
            let document = setup.add(&collection, keyed("log", &format!("Log {version}"), &long_text(20 + version))).await;
            assert!(id.is_none_or(|id| id == document.id));
            id = Some(document.id);
            tokio::time::sleep(Duration::from_millis(80 * version as u64)).await;
        }
        let ready = setup.ready(&collection, id.unwrap()).await;
        assert_eq!((ready.title.as_str(), ready.chunk_count), ("Log 5", 25));
        setup.until_idle().await;
        assert_eq!((setup.passages().await, setup.versions().await, setup.blobs()), (25, 1, 2));
        let counted = setup.knowledge.get_collection(&setup.ctx, "hasty").await.unwrap();
        assert_eq!((counted.document_count, counted.ready_count, counted.failed_count, counted.chunk_count), (1, 1, 0, 25));
        assert_eq!(setup.search(&collection, SearchMode::Text, "ledger").await.total_passages, 25);
    }

    async fn a_deleted_document_is_hidden_at_once(test: TestStore) {
        let setup = Setup::start(test).await;
        let collection = setup.collection("deleted").await;
        let kept = setup.bring(&collection, markdown("kept", "The blue whale sings below the ice.")).await;
        for number in 0..5 {
            let document = setup.bring(&collection, markdown("gone", &format!("The blue whale number {number} sings."))).await;
            for mode in [SearchMode::Text, SearchMode::Vector] {
                assert_eq!(setup.search(&collection, mode, "blue whale").await.results.len(), 2);
            }
            setup.knowledge.delete_document(&setup.ctx, collection.id, document.id).await.unwrap();
            for mode in [SearchMode::Text, SearchMode::Vector, SearchMode::Hybrid] {
                let answer = setup.search(&collection, mode, "blue whale").await;
                let found: Vec<_> = answer.results.iter().map(|hit| hit.document_id).collect();
                assert_eq!((found, answer.total_passages), (vec![kept.id], 1), "{mode:?}");
            }
            let error = setup.knowledge.get_document(&setup.ctx, collection.id, document.id).await.unwrap_err();
            assert_eq!(error.reason(), "document_not_found");
        }
        setup.until_idle().await;
        assert_eq!((setup.passages().await, setup.versions().await, setup.blobs()), (1, 1, 2));
    }

    async fn deleting_a_document_while_it_is_read_ends_cleanly(test: TestStore) {
        let setup = Setup::start(test).await;
        let collection = setup.collection("interrupted").await;
        let document = setup.add(&collection, markdown("long", &long_text(120))).await;
        let begun = |document: &plasma_knowledge::Document| document.progress.as_ref().is_some_and(|progress| progress.done > 0);
        setup.until(&collection, document.id, begun).await;
        setup.knowledge.delete_document(&setup.ctx, collection.id, document.id).await.unwrap();
        setup.until_idle().await;
        assert_eq!((setup.passages().await, setup.versions().await, setup.blobs()), (0, 0, 0));
        let failed = "SELECT COUNT(*) AS number FROM jobs WHERE tenant_id = $1 AND state = 'failed'";
        assert_eq!(setup.rows(failed).await, 0);

        // The same with the whole collection.
        let document = setup.add(&collection, markdown("long", &long_text(120))).await;
        setup.until(&collection, document.id, begun).await;
        setup.knowledge.delete_collection(&setup.ctx, collection.id).await.unwrap();
        setup.until_idle().await;
        assert_eq!((setup.passages().await, setup.versions().await, setup.blobs()), (0, 0, 0));
        assert_eq!(setup.rows(failed).await, 0);
        assert_eq!(setup.rows("SELECT COUNT(*) AS number FROM knowledge_documents WHERE tenant_id = $1").await, 0);
    }
}
