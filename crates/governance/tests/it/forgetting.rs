//! Records that are removed because of their age, and people who are erased: the log stays provable.

use plasma_governance::{Log, RecordFilter};
use plasma_kernel::{PageRequest, UserId};
use plasma_testkit::on_each_database;
use serde_json::json;

use crate::support::{DAY, World};

async fn all(world: &World, filter: RecordFilter) -> Vec<plasma_governance::AuditRecord> {
    let page = PageRequest { limit: 200, cursor: None };
    world.governance.records(&world.owner, Log::Workspace, filter, &page).await.unwrap().data
}

on_each_database! {
    async fn old_records_go_and_the_log_tells_of_it(test: TestStore) {
        let world = World::new(&test).await;
        world.fill(600).await;
        world.clock.advance(DAY * 400);
        world.fill(100).await;
        let governance = &world.governance;
        // Kept for ever as long as nobody says otherwise.
        assert_eq!(governance.expire_records().await.unwrap(), 0);
        let short = governance.set_retention(&world.owner, Log::Workspace, Some(30)).await.unwrap_err();
        assert_eq!(short.field_name(), Some("days"));
        let state = governance.set_retention(&world.owner, Log::Workspace, Some(365)).await.unwrap();
        assert_eq!(state.retention_days, Some(365));
        // Whole blocks only: 512 of 600.
        assert_eq!(governance.expire_records().await.unwrap(), 512);
        assert_eq!(governance.expire_records().await.unwrap(), 0);
        world.catch_up().await;
        governance.checkpoint_all().await.unwrap();
        let state = governance.log_state(&world.owner, Log::Workspace).await.unwrap();
        assert_eq!((state.retained_from, state.size), (512, 702));
        let told = all(&world, RecordFilter { action: Some("audit.records.expired".to_owned()), ..Default::default() }).await;
        assert_eq!((&told[0].data["from"], &told[0].data["until"]), (&json!(0), &json!(512)));
        let proof = governance.consistency_proof(&world.owner, Log::Workspace, 512, 700).await.unwrap();
        assert_eq!(told[0].data["root"], proof.from_root);
        let report = world.verify(&[]).await;
        assert!(report.intact, "{report:#?}");
        assert_eq!((report.expired, report.proven), (512, 702));
        // What still goes missing is tampering.
        world.execute("DELETE FROM audit_records WHERE tenant_id = $1 AND leaf = 512").await;
        assert!(!world.verify(&[]).await.intact);
        // The change of the retention is a record too, with what was before.
        let changed = all(&world, RecordFilter { action: Some("audit.retention.changed".to_owned()), ..Default::default() }).await;
        assert_eq!((&changed[0].data["before"], &changed[0].data["after"]), (&json!({"days": null}), &json!({"days": 365})));
    }

    async fn an_erased_person_leaves_hashes_and_nothing_else(test: TestStore) {
        let world = World::new(&test).await;
        let (person, ctx) = world.colleague();
        world.fill(300).await;
        world.emit(&world.owner, "identity.user.created", &person.to_string(), json!({"after": {"name": "Ada"}})).await;
        world.emit(&ctx, "content.document.created", "doc_1", json!({"title": "Ada's plan"})).await;
        world.emit(&world.owner, "identity.team.member_added", "team_1", json!({"user": person, "note": "Ada"})).await;
        world.fill(300).await;
        let governance = &world.governance;
        let ada = RecordFilter { text: Some("ada".to_owned()), ..Default::default() };
        assert_eq!(all(&world, ada.clone()).await.len(), 3);
        assert_eq!(governance.erase_person(&world.owner, person).await.unwrap(), 3);
        assert_eq!(governance.erase_person(&world.owner, person).await.unwrap(), 0);
        world.catch_up().await;
        governance.checkpoint_all().await.unwrap();
        assert!(all(&world, ada).await.is_empty(), "it is still found by its words");
        // What happened when stays, without details; neither do the events have them any more.
        let mentions = RecordFilter { text: Some(person.to_string()), ..Default::default() };
        let mentions = all(&world, mentions).await;
        let erased: Vec<_> = mentions.iter().filter(|record| record.erased_by.is_some()).collect();
        assert_eq!(erased.len(), 2, "{mentions:#?}");
        assert!(erased.iter().all(|record| record.data == json!({}) && record.origin.is_none()));
        let mut tx = world.store.read(&world.system()).await.unwrap();
        for sql in ["SELECT data FROM events", "SELECT record AS data FROM audit_records"] {
            for row in tx.fetch_all(sql, []).await.unwrap() {
                assert!(!row.get::<String>("data").unwrap().contains("Ada"));
            }
        }
        drop(tx);
        let report = world.verify(&[]).await;
        assert!(report.intact, "{report:#?}");
        assert_eq!((report.erased, report.records), (3, 604));
        // An erased record is proven to be in the log by its hash.
        let detail = governance.record(&world.owner, Log::Workspace, erased[0].id).await.unwrap();
        assert!(detail.proof.unwrap().verified);
        // Somebody who erases without the log telling is found.
        world.execute("UPDATE audit_records SET erased_by = 'evt_00000000000000000000000001', record = '{}' WHERE tenant_id = $1 AND leaf = 1").await;
        assert!(!world.verify(&[]).await.intact);
    }

    async fn nobody_erases_their_own_traces(test: TestStore) {
        let world = World::new(&test).await;
        world.fill(3).await;
        let own: UserId = world.owner.person().unwrap();
        let refused = world.governance.erase_person(&world.owner, own).await.unwrap_err();
        assert_eq!(refused.reason(), "forbidden");
        assert!(world.verify(&[]).await.intact);
    }
}
