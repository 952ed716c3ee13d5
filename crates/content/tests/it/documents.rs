use plasma_content::{DocumentFilter, DocumentState, RevisionKind};
use plasma_kernel::{Code, PageRequest, Permission, Permissions};
use plasma_testkit::{TestStore, on_each_database, tenant, with_permissions};

use crate::support::{Setup, text};

fn first_page() -> PageRequest {
    PageRequest::default()
}

on_each_database! {
    async fn a_document_is_found_as_it_was_made(test: TestStore) {
        let setup = Setup::new(test);
        let made = setup.create("  Größe 🎉 ", "# Kopf\r\n\r\nErster *Satz*.\nZweiter.").await;
        assert_eq!((made.title.as_str(), made.body.as_str()), ("Größe 🎉", "# Kopf\n\nErster *Satz*.\nZweiter."));
        assert_eq!((made.revision, made.state), (1, DocumentState::Draft));
        assert_eq!(made.created_by, *setup.ctx.actor());
        assert_eq!((made.brief.as_ref(), made.call_id, made.citations.len()), (None, None, 0));
        assert_eq!(setup.content.document(&setup.ctx, made.id).await.unwrap(), made);

        let revision = setup.content.revision(&setup.ctx, made.id, 1).await.unwrap();
        assert_eq!((revision.kind, revision.body.as_deref()), (RevisionKind::Created, Some(made.body.as_str())));
        let events = setup.events().await;
        assert_eq!(events.len(), 1);
        assert_eq!((events[0].kind.as_str(), events[0].subject.clone()), ("content.document.created", made.id.to_string()));
        assert_eq!(events[0].data["title"], "Größe 🎉");
    }

    async fn lists_are_paged_newest_first_without_bodies(test: TestStore) {
        let setup = Setup::new(test);
        let mut made = Vec::new();
        for number in 0..5 {
            made.push(setup.create(&format!("Number {number}"), "**Body** of it.").await.id);
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
        made.reverse();
        let filter = DocumentFilter { state: Some(DocumentState::Draft), collection: None };
        let mut page = PageRequest { limit: 2, cursor: None };
        let mut seen = Vec::new();
        loop {
            let rows = setup.content.documents(&setup.ctx, &filter, &page).await.unwrap();
            assert!(rows.data.len() <= 2 && rows.data.iter().all(|row| row.excerpt == "Body of it."));
            seen.extend(rows.data.iter().map(|row| row.id));
            assert_eq!(rows.has_more, rows.next_cursor.is_some());
            match rows.next_cursor {
                Some(cursor) => page.cursor = Some(cursor),
                None => break,
            }
        }
        assert_eq!(seen, made);
        assert_eq!(setup.content.count(&setup.ctx).await.unwrap(), 5);
        let elsewhere = DocumentFilter { state: None, collection: Some(plasma_kernel::CollectionId::from_bits(1)) };
        assert!(setup.content.documents(&setup.ctx, &elsewhere, &first_page()).await.unwrap().data.is_empty());
    }

    async fn a_deleted_document_is_gone_for_everybody(test: TestStore) {
        let setup = Setup::new(test);
        let made = setup.create("Short-lived", "Body").await;
        setup.edit(made.id, 1, "Short-lived", "Other").await.unwrap();
        setup.content.delete(&setup.ctx, made.id).await.unwrap();
        let (content, ctx, id) = (&setup.content, &setup.ctx, made.id);
        for error in [
            content.document(ctx, id).await.unwrap_err(),
            content.delete(ctx, id).await.unwrap_err(),
            content.restore(ctx, id, 1).await.unwrap_err(),
            content.revision(ctx, id, 1).await.unwrap_err(),
            content.revisions(ctx, id, &first_page()).await.unwrap_err(),
            content.diff(ctx, id, 1, 2).await.unwrap_err(),
            setup.edit(id, 2, "Title", "Body").await.unwrap_err(),
        ] {
            assert_eq!((error.code(), error.reason()), (Code::NotFound, "content_document_not_found"));
        }
        assert_eq!(content.count(ctx).await.unwrap(), 0);
        assert!(content.documents(ctx, &DocumentFilter::default(), &first_page()).await.unwrap().data.is_empty());
        assert_eq!(setup.events().await.last().unwrap().kind, "content.document.deleted");
    }

    async fn another_tenant_sees_and_changes_nothing(test: TestStore) {
        let mut setup = Setup::new(test);
        let made = setup.create("Secret", "Body").await;
        let owner = std::mem::replace(&mut setup.ctx, tenant());
        let (content, stranger) = (&setup.content, &setup.ctx);
        for error in [
            content.document(stranger, made.id).await.unwrap_err(),
            content.revision(stranger, made.id, 1).await.unwrap_err(),
            content.revisions(stranger, made.id, &first_page()).await.unwrap_err(),
            content.diff(stranger, made.id, 1, 1).await.unwrap_err(),
            content.restore(stranger, made.id, 1).await.unwrap_err(),
            content.delete(stranger, made.id).await.unwrap_err(),
            setup.edit(made.id, 1, "Mine", "Now").await.unwrap_err(),
        ] {
            assert_eq!(error.code(), Code::NotFound);
        }
        assert_eq!(content.count(stranger).await.unwrap(), 0);
        assert!(content.documents(stranger, &DocumentFilter::default(), &first_page()).await.unwrap().data.is_empty());
        assert_eq!(content.document(&owner, made.id).await.unwrap(), made);
    }
}

#[tokio::test]
async fn every_verb_needs_its_permission() {
    let setup = Setup::new(TestStore::sqlite().await);
    let made = setup.create("Title", "Body").await;
    let (content, id) = (&setup.content, made.id);
    let reader = with_permissions(&setup.ctx, Permissions::none().with(Permission::ContentRead));
    let writer = with_permissions(&setup.ctx, Permissions::none().with(Permission::ContentWrite));
    let edit = plasma_content::Edit { text: text("New", "Body"), expected_revision: 1, note: None };
    for error in [
        content.create(&reader, text("Title", "Body")).await.unwrap_err(),
        content.edit(&reader, id, edit.clone()).await.unwrap_err(),
        content.restore(&reader, id, 1).await.unwrap_err(),
        content.delete(&reader, id).await.unwrap_err(),
        content.document(&writer, id).await.unwrap_err(),
        content.documents(&writer, &DocumentFilter::default(), &first_page()).await.unwrap_err(),
        content.count(&writer).await.unwrap_err(),
        content.revisions(&writer, id, &first_page()).await.unwrap_err(),
        content.revision(&writer, id, 1).await.unwrap_err(),
        content.diff(&writer, id, 1, 1).await.unwrap_err(),
    ] {
        assert_eq!(error.code(), Code::Forbidden, "{error}");
    }
    content.document(&reader, id).await.unwrap();
    content.edit(&writer, id, edit).await.unwrap();
}

#[tokio::test]
async fn what_is_too_large_or_wrong_is_refused_by_its_field() {
    let setup = Setup::new(TestStore::sqlite().await);
    let long_title = "x".repeat(301);
    let long_body = "x".repeat(1024 * 1024 + 1);
    for (title, body, field, code) in [
        ("", "Body", "title", Code::Invalid),
        (" \t ", "Body", "title", Code::Invalid),
        ("two\nlines", "Body", "title", Code::Invalid),
        (long_title.as_str(), "Body", "title", Code::TooLarge),
        ("Title", long_body.as_str(), "body", Code::TooLarge),
        ("Title", "a\0b", "body", Code::Invalid),
    ] {
        let error = setup.content.create(&setup.ctx, text(title, body)).await.unwrap_err();
        assert_eq!((error.field_name(), error.code()), (Some(field), code), "{error}");
    }
    let largest = setup.create(&"x".repeat(300), &"x".repeat(1024 * 1024)).await;
    assert_eq!(setup.content.document(&setup.ctx, largest.id).await.unwrap().body.len(), 1024 * 1024);
    // An empty document is where most begin.
    setup.create("Untitled", "").await;
}
