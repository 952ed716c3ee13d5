//! Documents that cannot be read, and requests that are refused.

use std::io::Write as _;

use plasma_kernel::{Code, Ctx, PageRequest, Permission, Permissions};
use plasma_knowledge::{
    CollectionChange, Document, DocumentState, Metadata, MetadataValue, NewCollection, NewContent, NewDocument,
    SearchMode, parse::Format,
};
use plasma_testkit::{on_each_database, with_permissions};

use crate::support::{Setup, file, fixture, markdown, request};

/// A DOCX of a few kilobytes whose text would unpack to 200 MiB.
fn bomb() -> Vec<u8> {
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Deflated);
    archive.start_file("[Content_Types].xml", options).unwrap();
    archive.write_all(b"<Types xmlns=\"http://schemas.openxmlformats.org/package/2006/content-types\"/>").unwrap();
    archive.start_file("word/document.xml", options).unwrap();
    let block = vec![b' '; 1 << 20];
    for _ in 0..200 {
        archive.write_all(&block).unwrap();
    }
    archive.finish().unwrap().into_inner()
}

on_each_database! {
    async fn an_unreadable_document_says_why(test: TestStore) {
        let setup = Setup::start(test).await;
        let collection = setup.collection("broken").await;
        let cases = [
            ("broken.pdf", fixture("broken.pdf"), "document_damaged"),
            ("encrypted.pdf", fixture("encrypted.pdf"), "document_encrypted"),
            ("scanned.pdf", fixture("scanned.pdf"), "pdf_without_text"),
            ("empty.txt", Vec::new(), "document_empty"),
            ("blank.md", b"  \n\n ".to_vec(), "document_empty"),
            ("picture.txt", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec(), "document_type_unsupported"),
            ("bomb.docx", bomb(), "archive_bomb"),
            ("not-a.pdf", b"just some words".to_vec(), "document_damaged"),
        ];
        let mut added: Vec<(Document, &str)> = Vec::new();
        for (name, bytes, reason) in cases {
            added.push((setup.add(&collection, file(name, bytes)).await, reason));
        }
        let failed = |document: &Document| document.state == DocumentState::Failed;
        for (document, reason) in &added {
            let document = setup.until(&collection, document.id, failed).await;
            let error = document.error.unwrap();
            assert_eq!(error.reason, *reason, "{}: {}", document.title, error.detail);
            assert!(!error.detail.is_empty() && error.remedy.is_some());
            let text = setup.knowledge.document_text(&setup.ctx, collection.id, document.id).await.unwrap_err();
            assert_eq!(text.reason(), "document_not_ready");
            // The original stays, so that it can be looked at.
            setup.knowledge.document_file(&setup.ctx, collection.id, document.id).await.unwrap();
        }
        let counted = setup.knowledge.get_collection(&setup.ctx, "broken").await.unwrap();
        assert_eq!((counted.document_count, counted.failed_count, counted.ready_count), (8, 8, 0));
        let listed = setup
            .knowledge
            .list_documents(&setup.ctx, collection.id, Some(DocumentState::Failed), &PageRequest::default())
            .await
            .unwrap();
        assert_eq!(listed.data.len(), 8);

        // Trying again ends the same way, and is counted once.
        let (first, reason) = &added[0];
        let retried = setup.knowledge.retry_document(&setup.ctx, collection.id, first.id).await.unwrap();
        assert_eq!((retried.state, retried.error.is_none()), (DocumentState::Queued, true));
        assert_eq!(setup.until(&collection, first.id, failed).await.error.unwrap().reason, *reason);
        let counted = setup.knowledge.get_collection(&setup.ctx, "broken").await.unwrap();
        assert_eq!(counted.failed_count, 8);
        for (document, _) in &added {
            setup.knowledge.delete_document(&setup.ctx, collection.id, document.id).await.unwrap();
        }
        setup.until_idle().await;
        let counted = setup.knowledge.get_collection(&setup.ctx, "broken").await.unwrap();
        assert_eq!((counted.document_count, counted.failed_count, counted.chunk_count), (0, 0, 0));
        assert_eq!((setup.versions().await, setup.blobs()), (0, 0));
    }

    async fn a_ready_document_is_not_tried_again(test: TestStore) {
        let setup = Setup::start(test).await;
        let collection = setup.collection("ready").await;
        let document = setup.bring(&collection, markdown("fine", "The door is green.")).await;
        let error = setup.knowledge.retry_document(&setup.ctx, collection.id, document.id).await.unwrap_err();
        assert_eq!((error.code(), error.reason()), (Code::Conflict, "document_not_failed"));
    }

    async fn wrong_documents_are_refused_with_their_field(test: TestStore) {
        let setup = Setup::start(test).await;
        let collection = setup.collection("strict").await;
        let good = || markdown("title", "text");
        let text = |text: String| NewContent::Text { format: Format::Html, text };
        let metadata = |name: &str, value: &str| Metadata::from([(name.to_owned(), MetadataValue::Text(value.to_owned()))]);
        let cases = [
            (NewDocument { title: Some(" ".to_owned()), ..good() }, "title"),
            (NewDocument { title: Some("x".repeat(501)), ..good() }, "title"),
            (NewDocument { title: Some("a\0b".to_owned()), ..good() }, "title"),
            (NewDocument { key: Some(String::new()), ..good() }, "key"),
            (NewDocument { key: Some("x".repeat(201)), ..good() }, "key"),
            (NewDocument { content: text(" \n".to_owned()), ..good() }, "html"),
            (NewDocument { content: text("x".repeat(25 * 1024 * 1024 + 1)), ..good() }, "html"),
            (NewDocument { metadata: metadata("summary", &"x".repeat(1_001)), ..good() }, "metadata.summary"),
            (NewDocument { metadata: metadata("", "x"), ..good() }, "metadata"),
            (file("large.txt", vec![b'x'; 25 * 1024 * 1024 + 1]), "file"),
        ];
        for (document, field) in cases {
            let error = setup.knowledge.add_document(&setup.ctx, collection.id, document).await.unwrap_err();
            assert_eq!(error.field_name(), Some(field), "{error}");
            assert!(matches!(error.code(), Code::Invalid | Code::TooLarge));
        }
        assert_eq!((setup.blobs(), setup.versions().await), (0, 0));
    }

    async fn each_verb_needs_its_permission(test: TestStore) {
        let setup = Setup::start(test).await;
        let collection = setup.collection("guarded").await;
        let document = setup.bring(&collection, markdown("fine", "The door is green.")).await;
        let holding = |permission: Option<Permission>| -> Ctx {
            with_permissions(&setup.ctx, permission.into_iter().collect::<Permissions>())
        };
        let knowledge = &setup.knowledge;
        for permission in [None, Some(Permission::CollectionsRead), Some(Permission::CollectionsWrite), Some(Permission::SearchQuery)] {
            let ctx = holding(permission);
            let page = PageRequest::default();
            let reads = permission == Some(Permission::CollectionsRead);
            let allowed = |outcome: Option<plasma_kernel::Error>| outcome.is_none_or(|error| error.code() != Code::Forbidden);
            assert_eq!(allowed(knowledge.list_collections(&ctx, &page).await.err()), reads);
            assert_eq!(allowed(knowledge.get_collection(&ctx, "guarded").await.err()), reads);
            assert_eq!(allowed(knowledge.counts(&ctx).await.err()), reads);
            assert_eq!(allowed(knowledge.list_documents(&ctx, collection.id, None, &page).await.err()), reads);
            assert_eq!(allowed(knowledge.get_document(&ctx, collection.id, document.id).await.err()), reads);
            assert_eq!(allowed(knowledge.document_text(&ctx, collection.id, document.id).await.err()), reads);
            assert_eq!(allowed(knowledge.document_file(&ctx, collection.id, document.id).await.err()), reads);
            let writes = permission == Some(Permission::CollectionsWrite);
            let new = NewCollection { name: "another".to_owned(), ..NewCollection::default() };
            assert_eq!(allowed(knowledge.create_collection(&ctx, new).await.err()), writes);
            assert_eq!(
                allowed(knowledge.update_collection(&ctx, collection.id, CollectionChange::default()).await.err()),
                writes
            );
            assert_eq!(allowed(knowledge.add_document(&ctx, collection.id, markdown("a", "b")).await.err()), writes);
            assert_eq!(allowed(knowledge.retry_document(&ctx, collection.id, document.id).await.err()), writes);
            let searches = permission == Some(Permission::SearchQuery);
            let found = knowledge.search(&ctx, request("guarded", SearchMode::Hybrid, "door")).await;
            assert_eq!(allowed(found.err()), searches);
            if !writes {
                assert!(!allowed(knowledge.delete_document(&ctx, collection.id, document.id).await.err()));
                assert!(!allowed(knowledge.delete_collection(&ctx, collection.id).await.err()));
            }
        }
    }
}
