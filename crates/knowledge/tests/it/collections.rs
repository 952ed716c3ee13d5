use plasma_kernel::{Code, PageRequest};
use plasma_knowledge::{CollectionChange, KnowledgeCounts, NewCollection, SearchMode};
use plasma_testkit::on_each_database;

use crate::support::{Setup, markdown, request};

on_each_database! {
    async fn a_collection_is_made_named_changed_and_deleted(test: TestStore) {
        let setup = Setup::start(test).await;
        let made = setup.collection("Handbook").await;
        assert_eq!(made.embedding_model, "local/all-minilm-l6-v2");
        for reference in [made.id.to_string(), made.name.clone()] {
            assert_eq!(setup.knowledge.get_collection(&setup.ctx, &reference).await.unwrap().id, made.id);
        }

        let again = NewCollection { name: "Handbook".to_owned(), ..NewCollection::default() };
        let error = setup.knowledge.create_collection(&setup.ctx, again).await.unwrap_err();
        assert_eq!((error.code(), error.reason()), (Code::Conflict, "collection_name_taken"));

        // A list that was just read shows the change at once.
        let page = PageRequest::default();
        assert_eq!(setup.knowledge.list_collections(&setup.ctx, &page).await.unwrap().data[0].name, "Handbook");
        let change = CollectionChange {
            name: Some("Manual".to_owned()),
            description: Some("for all".to_owned()),
            ..CollectionChange::default()
        };
        setup.knowledge.update_collection(&setup.ctx, made.id, change).await.unwrap();
        let listed = setup.knowledge.list_collections(&setup.ctx, &page).await.unwrap();
        assert_eq!((listed.data[0].name.as_str(), listed.data[0].description.as_str()), ("Manual", "for all"));
        let error = setup.knowledge.get_collection(&setup.ctx, "Handbook").await.unwrap_err();
        assert_eq!(error.reason(), "collection_not_found");

        setup.knowledge.delete_collection(&setup.ctx, made.id).await.unwrap();
        assert!(setup.knowledge.list_collections(&setup.ctx, &page).await.unwrap().data.is_empty());
        let error = setup.knowledge.get_collection(&setup.ctx, "Manual").await.unwrap_err();
        assert_eq!(error.code(), Code::NotFound);
    }

    async fn names_are_checked(test: TestStore) {
        let setup = Setup::start(test).await;
        let id = setup.collection("first").await.id.to_string();
        for name in [String::new(), "   ".to_owned(), "x".repeat(201), "a\nb".to_owned(), id] {
            let new = NewCollection { name, ..NewCollection::default() };
            let error = setup.knowledge.create_collection(&setup.ctx, new).await.unwrap_err();
            assert_eq!((error.code(), error.field_name()), (Code::Invalid, Some("name")));
        }
        let new = NewCollection { name: "second".to_owned(), description: Some("x".repeat(2_001)), ..NewCollection::default() };
        let error = setup.knowledge.create_collection(&setup.ctx, new).await.unwrap_err();
        assert_eq!(error.field_name(), Some("description"));
    }

    async fn a_list_has_pages(test: TestStore) {
        let setup = Setup::start(test).await;
        let mut made = Vec::new();
        for number in 0..5 {
            made.push(setup.collection(&format!("collection {number}")).await.id);
            // Ids order by milliseconds.
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
        made.reverse();
        let mut listed = Vec::new();
        let mut request = PageRequest { limit: 2, cursor: None };
        loop {
            let page = setup.knowledge.list_collections(&setup.ctx, &request).await.unwrap();
            listed.extend(page.data.iter().map(|collection| collection.id));
            assert_eq!(page.has_more, page.next_cursor.is_some());
            match page.next_cursor {
                Some(cursor) => request.cursor = Some(cursor),
                None => break,
            }
        }
        assert_eq!(listed, made);
    }

    async fn a_deleted_collection_leaves_nothing_behind(test: TestStore) {
        let setup = Setup::start(test).await;
        let kept = setup.collection("kept").await;
        let doomed = setup.collection("doomed").await;
        setup.bring(&kept, markdown("kept", "The lighthouse keeper writes a ledger.")).await;
        for number in 0..3 {
            setup.bring(&doomed, markdown("doomed", &format!("The lighthouse number {number} is white."))).await;
        }
        assert_eq!(setup.search(&doomed, SearchMode::Text, "lighthouse").await.results.len(), 3);
        let counts = setup.knowledge.counts(&setup.ctx).await.unwrap();
        assert_eq!(counts, KnowledgeCounts { collections: 2, documents: 4, passages: 4 });

        setup.knowledge.delete_collection(&setup.ctx, doomed.id).await.unwrap();
        let error = setup.knowledge.search(&setup.ctx, request("doomed", SearchMode::Text, "lighthouse")).await.unwrap_err();
        assert_eq!(error.reason(), "collection_not_found");
        let counts = setup.knowledge.counts(&setup.ctx).await.unwrap();
        assert_eq!(counts, KnowledgeCounts { collections: 1, documents: 1, passages: 1 });
        setup.until_idle().await;
        assert_eq!((setup.passages().await, setup.versions().await), (1, 1));
        // The original and its text.
        assert_eq!(setup.blobs(), 2);

        // The name is free again, and the new collection is empty.
        let again = setup.collection("doomed").await;
        assert!(setup.search(&again, SearchMode::Hybrid, "lighthouse").await.results.is_empty());
        assert_eq!(setup.search(&kept, SearchMode::Hybrid, "lighthouse").await.results.len(), 1);
    }
}
