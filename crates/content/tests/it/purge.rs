use std::time::Duration;

use plasma_kernel::{Clock, Ctx, Random};
use plasma_testkit::on_each_database;
use plasma_workflows::Workflows;

use crate::support::Setup;

/// Rows of deleted and living documents that are still in the tables.
async fn rows(setup: &Setup) -> i64 {
    let mut tx = setup.test.read(&setup.ctx).await.unwrap();
    let tenant = setup.ctx.tenant().unwrap();
    tx.fetch_one("SELECT COUNT(*) AS found FROM content_revisions WHERE tenant_id = $1", [tenant.into()])
        .await
        .unwrap()
        .get("found")
        .unwrap()
}

on_each_database! {
    async fn rows_of_a_deleted_document_go_after_a_week(test: TestStore) {
        let setup = Setup::new(test);
        let deleted = setup.create("Deleted", "Body").await;
        setup.edit(deleted.id, 1, "Deleted", "Other").await.unwrap();
        let kept = setup.create("Kept", "Body").await;
        setup.content.delete(&setup.ctx, deleted.id).await.unwrap();

        // The schedule runs at once in each program that starts; these live six and eight days from now.
        for (days, left) in [(6, 3), (8, 1)] {
            let later = Clock::manual(setup.ctx.now() + days * 24 * 3_600 * 1_000_000);
            let workflows = Workflows::new(setup.test.store(), Ctx::system("test", later, Random::system()));
            let _content = plasma_content::Content::new(setup.test.store(), setup.knowledge.clone(), &workflows);
            workflows.start(true).await.unwrap();
            for _ in 0..100 {
                if rows(&setup).await == left {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            // Nothing more goes than should.
            tokio::time::sleep(Duration::from_millis(700)).await;
            workflows.stop().await;
            assert_eq!(rows(&setup).await, left, "after {days} days");
        }
        setup.content.document(&setup.ctx, kept.id).await.unwrap();
    }
}
