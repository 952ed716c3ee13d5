//! Two tenants over one database and one index.

use plasma_kernel::{CollectionId, Ctx, Error, KnowledgeDocumentId, PageRequest};
use plasma_knowledge::{CollectionChange, KnowledgeCounts, NewCollection, SearchAnswer, SearchMode};
use plasma_testkit::{on_each_database, tenant};

use crate::support::{Setup, keyed, markdown, request};

/// The same setup, acting for another tenant.
fn as_tenant(setup: Setup, ctx: &Ctx) -> Setup {
    Setup { ctx: ctx.clone(), ..setup }
}

fn scores(answer: &SearchAnswer) -> Vec<(String, Option<f32>, Option<f32>, f64)> {
    answer
        .results
        .iter()
        .map(|hit| {
            let vector = hit.why.vector.as_ref().map(|reason| reason.similarity);
            (hit.text.clone(), vector, hit.why.text.as_ref().map(|reason| reason.bm25), hit.score)
        })
        .collect()
}

on_each_database! {
    async fn nothing_of_a_tenant_is_reached_by_another(test: TestStore) {
        let setup = Setup::start(test).await;
        let (ours, theirs) = (setup.ctx.clone(), tenant());
        let collection = setup.collection("secrets").await;
        let document = setup.bring(&collection, keyed("plan", "Plan", "The vault opens with the word heliotrope.")).await;
        let setup = as_tenant(setup, &theirs);
        let knowledge = &setup.knowledge;

        let page = PageRequest::default();
        assert!(knowledge.list_collections(&theirs, &page).await.unwrap().data.is_empty());
        assert_eq!(knowledge.counts(&theirs).await.unwrap(), KnowledgeCounts::default());
        let not_found = |error: Option<Error>| assert!(error.unwrap().reason().ends_with("_not_found"));
        for reference in [collection.id.to_string(), collection.name.clone()] {
            not_found(knowledge.get_collection(&theirs, &reference).await.err());
            for mode in [SearchMode::Hybrid, SearchMode::Text, SearchMode::Vector] {
                not_found(knowledge.search(&theirs, request(&reference, mode, "heliotrope")).await.err());
            }
        }
        let (id, document) = (collection.id, document.id);
        not_found(knowledge.update_collection(&theirs, id, CollectionChange::default()).await.err());
        not_found(knowledge.delete_collection(&theirs, id).await.err());
        not_found(knowledge.list_documents(&theirs, id, None, &page).await.err());
        not_found(knowledge.add_document(&theirs, id, keyed("plan", "Mine", "mine")).await.err());

        // Ids guessed right, under a collection of their own.
        let own = setup.collection("secrets").await;
        for (collection, document) in [(id, document), (own.id, document), (own.id, KnowledgeDocumentId::from_bits(1))] {
            not_found(knowledge.get_document(&theirs, collection, document).await.err());
            not_found(knowledge.document_text(&theirs, collection, document).await.err());
            not_found(knowledge.document_file(&theirs, collection, document).await.err());
            not_found(knowledge.retry_document(&theirs, collection, document).await.err());
            not_found(knowledge.delete_document(&theirs, collection, document).await.err());
        }
        not_found(knowledge.list_documents(&theirs, CollectionId::from_bits(1), None, &page).await.err());

        // The same name and the same key are different things.
        setup.bring(&own, keyed("plan", "Theirs", "The vault opens with the word marigold.")).await;
        for (ctx, word, other) in [(&theirs, "marigold", "heliotrope"), (&ours, "heliotrope", "marigold")] {
            for mode in [SearchMode::Hybrid, SearchMode::Text, SearchMode::Vector] {
                let answer = knowledge.search(ctx, request("secrets", mode, "vault word")).await.unwrap();
                assert_eq!((answer.results.len(), answer.total_passages), (1, 1), "{mode:?}");
                assert!(answer.results[0].text.contains(word));
                let answer = knowledge.search(ctx, request("secrets", mode, other)).await.unwrap();
                assert!(answer.results.iter().all(|hit| !hit.text.contains(other)), "{mode:?}");
            }
        }
        let kept = knowledge.get_document(&ours, id, document).await.unwrap();
        assert_eq!((kept.title.as_str(), kept.chunk_count), ("Plan", 1));
    }

    async fn the_scores_of_a_tenant_do_not_move_with_the_texts_of_another(test: TestStore) {
        let setup = Setup::start(test).await;
        let collection = setup.collection("ours").await;
        for text in ["The granite bridge is old.", "The iron bridge is new.", "A ferry crosses the granite gorge."] {
            setup.bring(&collection, markdown("bridges", text)).await;
        }
        let query = "granite bridge";
        let mut before = Vec::new();
        for mode in [SearchMode::Text, SearchMode::Hybrid] {
            before.push(scores(&setup.search(&collection, mode, query).await));
        }
        let ours = setup.ctx.clone();
        let setup = as_tenant(setup, &tenant());
        let new = NewCollection { name: "theirs".to_owned(), ..NewCollection::default() };
        let theirs = setup.knowledge.create_collection(&setup.ctx, new).await.unwrap();
        for number in 0..6 {
            setup.bring(&theirs, markdown("granite", &format!("Granite bridge, granite bridge number {number}."))).await;
        }
        let setup = as_tenant(setup, &ours);
        for (mode, before) in [SearchMode::Text, SearchMode::Hybrid].into_iter().zip(before) {
            assert_eq!(scores(&setup.search(&collection, mode, query).await), before);
        }
    }
}
