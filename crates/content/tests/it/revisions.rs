use std::sync::Arc;

use plasma_content::{DiffLineKind, Edit, RevisionKind};
use plasma_kernel::{Code, PageRequest};
use plasma_testkit::on_each_database;

use crate::support::{Setup, text};

on_each_database! {
    async fn an_edit_is_a_new_revision_and_the_old_ones_stay(test: TestStore) {
        let setup = Setup::new(test);
        let made = setup.create("One", "First.").await;
        let edit = Edit { text: text("Two", "Second."), expected_revision: 1, note: Some(" why ".to_owned()) };
        let edited = setup.content.edit(&setup.ctx, made.id, edit).await.unwrap();
        assert_eq!((edited.revision, edited.title.as_str(), edited.body.as_str()), (2, "Two", "Second."));
        assert!(edited.updated_at > made.updated_at && edited.created_at == made.created_at);
        assert_eq!(setup.content.document(&setup.ctx, made.id).await.unwrap(), edited);

        let revisions = setup.content.revisions(&setup.ctx, made.id, &PageRequest::default()).await.unwrap().data;
        let told: Vec<_> = revisions.iter().map(|row| (row.number, row.kind, row.note.as_deref(), &row.body)).collect();
        assert_eq!(told, [
            (2, RevisionKind::Edited, Some("why"), &None),
            (1, RevisionKind::Created, None, &None)
        ]);
        let first = setup.content.revision(&setup.ctx, made.id, 1).await.unwrap();
        assert_eq!((first.title.as_str(), first.body.as_deref()), ("One", Some("First.")));
        let missing = setup.content.revision(&setup.ctx, made.id, 3).await.unwrap_err();
        assert_eq!(missing.reason(), "revision_not_found");
        assert_eq!(setup.events().await.last().unwrap().data["revision"], 2);
    }

    async fn an_unchanged_text_makes_no_revision(test: TestStore) {
        let setup = Setup::new(test);
        let made = setup.create("One", "First.\nSecond.").await;
        let same = setup.edit(made.id, 1, " One ", "First.\r\nSecond.").await.unwrap();
        assert_eq!(same, made);
        assert_eq!(setup.events().await.len(), 1);
    }

    async fn a_stale_edit_changes_nothing(test: TestStore) {
        let setup = Setup::new(test);
        let made = setup.create("One", "First.").await;
        let newest = setup.edit(made.id, 1, "One", "Second.").await.unwrap();
        for expected in [0, 1, 3] {
            let error = setup.edit(made.id, expected, "One", "Third.").await.unwrap_err();
            assert_eq!((error.code(), error.reason()), (Code::Conflict, "revision_stale"));
        }
        assert_eq!(setup.content.document(&setup.ctx, made.id).await.unwrap(), newest);
    }

    async fn of_twenty_editors_at_once_one_wins_each_round(test: TestStore) {
        const EDITORS: u32 = 20;
        const ROUNDS: u32 = 4;
        let setup = Arc::new(Setup::new(test));
        let made = setup.create("Contended", "Start.").await;
        for round in 1..=ROUNDS {
            let editors: Vec<_> = (0..EDITORS)
                .map(|editor| {
                    let setup = Arc::clone(&setup);
                    let body = format!("Round {round}, editor {editor}.");
                    tokio::spawn(async move { setup.edit(made.id, round, "Contended", &body).await })
                })
                .collect();
            let mut winners = Vec::new();
            for editor in editors {
                match editor.await.unwrap() {
                    Ok(document) => winners.push(document),
                    Err(error) => assert_eq!(error.reason(), "revision_stale", "{error}"),
                }
            }
            assert_eq!(winners.len(), 1, "round {round}");
            assert_eq!(winners[0].revision, round + 1);
            assert_eq!(setup.content.document(&setup.ctx, made.id).await.unwrap(), winners[0]);
        }
        let revisions = setup.content.revisions(&setup.ctx, made.id, &PageRequest::default()).await.unwrap().data;
        assert_eq!(revisions.len() as u32, ROUNDS + 1);
        assert_eq!(setup.events().await.len() as u32, ROUNDS + 1);
    }

    async fn restoring_brings_an_old_text_back_as_a_new_revision(test: TestStore) {
        let setup = Setup::new(test);
        let made = setup.create("One", "First.").await;
        setup.edit(made.id, 1, "Two", "Second.").await.unwrap();
        let restored = setup.content.restore(&setup.ctx, made.id, 1).await.unwrap();
        assert_eq!((restored.revision, restored.title.as_str(), restored.body.as_str()), (3, "One", "First."));
        let revision = setup.content.revision(&setup.ctx, made.id, 3).await.unwrap();
        assert_eq!((revision.kind, revision.note.as_deref()), (RevisionKind::Restored, Some("from revision 1")));
        // It reads so already.
        assert_eq!(setup.content.restore(&setup.ctx, made.id, 3).await.unwrap(), restored);
        assert_eq!(setup.content.restore(&setup.ctx, made.id, 1).await.unwrap(), restored);
        let missing = setup.content.restore(&setup.ctx, made.id, 9).await.unwrap_err();
        assert_eq!(missing.reason(), "revision_not_found");
    }

    async fn revisions_are_compared_line_by_line(test: TestStore) {
        let setup = Setup::new(test);
        let body: String = (1..=12).map(|number| format!("Line {number}.\n")).collect();
        let made = setup.create("One", &body).await;
        let changed = body.replace("Line 6.", "Line six.").replace("Line 12.\n", "");
        setup.edit(made.id, 1, "Two", &changed).await.unwrap();
        let diff = setup.content.diff(&setup.ctx, made.id, 1, 2).await.unwrap();
        assert_eq!((diff.from, diff.to, diff.title.from.as_str(), diff.title.to.as_str()), (1, 2, "One", "Two"));
        assert_eq!((diff.added, diff.removed, diff.hunks.len()), (1, 2, 1));
        let hunk = &diff.hunks[0];
        assert_eq!((hunk.from_line, hunk.to_line, hunk.lines.len()), (3, 3, 11));
        let changes: Vec<_> = hunk
            .lines
            .iter()
            .filter(|line| line.kind != DiffLineKind::Same)
            .map(|line| (line.kind, line.text.as_str()))
            .collect();
        assert_eq!(changes, [
            (DiffLineKind::Removed, "Line 6."),
            (DiffLineKind::Added, "Line six."),
            (DiffLineKind::Removed, "Line 12.")
        ]);
        // Backwards, and with itself.
        let back = setup.content.diff(&setup.ctx, made.id, 2, 1).await.unwrap();
        assert_eq!((back.added, back.removed), (2, 1));
        assert!(setup.content.diff(&setup.ctx, made.id, 2, 2).await.unwrap().hunks.is_empty());
        assert_eq!(setup.content.diff(&setup.ctx, made.id, 1, 7).await.unwrap_err().reason(), "revision_not_found");
    }

    async fn revisions_are_paged(test: TestStore) {
        let setup = Setup::new(test);
        let made = setup.create("One", "0").await;
        for number in 1..=4 {
            setup.edit(made.id, number, "One", &number.to_string()).await.unwrap();
        }
        let first = setup.content.revisions(&setup.ctx, made.id, &PageRequest { limit: 3, cursor: None }).await.unwrap();
        let numbers: Vec<_> = first.data.iter().map(|row| row.number).collect();
        assert_eq!((numbers, first.next_cursor.as_deref()), (vec![5, 4, 3], Some("3")));
        let rest = PageRequest { limit: 3, cursor: first.next_cursor };
        let rest = setup.content.revisions(&setup.ctx, made.id, &rest).await.unwrap();
        assert_eq!((rest.data.len(), rest.has_more), (2, false));
        let wrong = PageRequest { limit: 3, cursor: Some("x".to_owned()) };
        let error = setup.content.revisions(&setup.ctx, made.id, &wrong).await.unwrap_err();
        assert_eq!(error.field_name(), Some("cursor"));
    }
}
