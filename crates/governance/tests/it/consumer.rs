//! From the event log into the audit logs: each event once, whatever happens.

use std::{collections::HashSet, time::Duration};

use plasma_governance::{Log, RecordFilter};
use plasma_kernel::{Ctx, PageRequest};
use plasma_store::{NewEvent, Store};
use plasma_testkit::on_each_database;
use serde_json::json;

use crate::support::World;

async fn write(store: Store, ctx: Ctx, writer: usize, count: usize) {
    for number in 0..count {
        let mut tx = store.begin(&ctx).await.unwrap();
        let subject = format!("{writer}-{number}");
        tx.emit(NewEvent::new("test.happened", subject, json!({}))).await.unwrap();
        // Transactions overlap and end in another order than they began; some never do.
        tokio::time::sleep(Duration::from_micros(((writer * 131 + number) as u64 * 7_919) % 900)).await;
        if number % 5 == 4 {
            drop(tx);
        } else {
            tx.commit().await.unwrap();
        }
    }
}

on_each_database! {
    async fn every_event_becomes_one_record_in_the_log_of_its_tenant(test: TestStore) {
        let world = World::new(&test).await;
        let stranger = world.stranger();
        world.emit(&world.owner, "test.happened", "a", json!({"password": "hunter2"})).await;
        world.emit(&stranger, "test.happened", "b", json!({})).await;
        world.emit(&world.system(), "test.happened", "c", json!({})).await;
        // The program's own progress is no part of the audit.
        world.emit(&world.owner, "models.call.completed", "d", json!({})).await;
        assert_eq!(world.catch_up().await, 4);
        assert_eq!(world.catch_up().await, 0);
        for log in [world.tenant(), stranger.tenant().unwrap(), world.installation()] {
            assert_eq!(world.records(log).await, 1);
        }
        let page = PageRequest::default();
        let own = world.governance.records(&world.owner, Log::Workspace, RecordFilter::default(), &page).await.unwrap();
        let record = &own.data[0];
        assert_eq!((record.subject.as_str(), record.leaf), ("a", 0));
        assert_eq!(record.data, json!({"password": "***"}));
        assert_eq!(record.origin.as_ref(), world.owner.origin());
        assert_eq!(&record.actor, world.owner.actor());
        let log = Log::Installation;
        let system = world.governance.records(&world.owner, log, RecordFilter::default(), &page).await.unwrap();
        assert_eq!(system.data.iter().map(|record| record.subject.as_str()).collect::<Vec<_>>(), ["c"]);
    }

    async fn a_consumer_that_is_killed_again_and_again_loses_and_doubles_nothing(test: TestStore) {
        const WRITERS: usize = 4;
        const EACH: usize = 600;
        let world = World::new(&test).await;
        let writers: Vec<_> =
            (0..WRITERS).map(|writer| tokio::spawn(write(world.store.clone(), world.owner.clone(), writer, EACH))).collect();
        let expected = (WRITERS * EACH * 4 / 5) as i64;
        let mut kills = 0_u64;
        while writers.iter().any(|writer| !writer.is_finished()) {
            // A process of its own each time, which dies in the middle of its work.
            let governance = world.other_process(&test).await;
            let working = tokio::spawn(async move {
                loop {
                    let _ = governance.catch_up().await;
                }
            });
            tokio::time::sleep(Duration::from_millis(5 + kills * 7 % 40)).await;
            working.abort();
            kills += 1;
        }
        for writer in writers {
            writer.await.unwrap();
        }
        world.catch_up().await;
        assert!(kills > 1, "the writers ended too soon");
        assert_eq!(world.records(world.tenant()).await, expected);
        let mut subjects = HashSet::new();
        let mut cursor = None;
        loop {
            let page = PageRequest { limit: 200, cursor };
            let filter = RecordFilter::default();
            let records = world.governance.records(&world.owner, Log::Workspace, filter, &page).await.unwrap();
            assert!(records.data.iter().all(|record| subjects.insert(record.subject.clone())), "one came twice");
            cursor = records.next_cursor;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(subjects.len() as i64, expected);
        world.governance.checkpoint_all().await.unwrap();
        let report = world.verify(&[]).await;
        assert!(report.intact && report.proven == expected as u64, "{report:#?}");
    }

    async fn two_processes_at_once_share_the_work(test: TestStore) {
        let world = World::new(&test).await;
        let other = world.other_process(&test).await;
        for round in 0..5 {
            for number in 0..40 {
                world.emit(&world.owner, "test.happened", &format!("{round}-{number}"), json!({})).await;
            }
            let (one, two) = tokio::join!(world.governance.catch_up(), other.catch_up());
            // On SQLite one may be told that the database is busy; nothing is lost then either.
            let _ = (one, two);
        }
        world.catch_up().await;
        assert_eq!(world.records(world.tenant()).await, 200);
        world.governance.checkpoint_all().await.unwrap();
        assert!(world.verify(&[]).await.intact);
    }

    async fn checkpoints_are_made_by_number_and_by_time(test: TestStore) {
        let world = World::new(&test).await;
        world.emit(&world.owner, "test.happened", "a", json!({})).await;
        world.catch_up().await;
        let state = world.governance.log_state(&world.owner, Log::Workspace).await.unwrap();
        assert!(state.size == 1 && state.checkpoint.is_none(), "{state:?}");
        let mut tx = world.store.begin(&world.owner).await.unwrap();
        for number in 0..4_200 {
            tx.emit(NewEvent::new("test.happened", number, json!({}))).await.unwrap();
        }
        tx.commit().await.unwrap();
        world.catch_up().await;
        let state = world.governance.log_state(&world.owner, Log::Workspace).await.unwrap();
        assert_eq!((state.size, state.checkpoint.unwrap().size), (4_201, 4_201));
        // There is nothing new to sign.
        assert_eq!(world.governance.checkpoint_all().await.unwrap(), 0);
        world.emit(&world.owner, "test.happened", "b", json!({})).await;
        world.catch_up().await;
        let state = world.governance.log_state(&world.owner, Log::Workspace).await.unwrap();
        assert_eq!((state.size, state.checkpoint.unwrap().size), (4_202, 4_201));
        assert_eq!(world.governance.checkpoint_all().await.unwrap(), 1);
    }

    async fn what_was_noted_at_the_edge_becomes_events(test: TestStore) {
        let world = World::new(&test).await;
        for _ in 0..3 {
            world.governance.denied(&world.owner, "DELETE /api/v1/users/{id}", "forbidden");
        }
        world.governance.read_personal_data(&world.owner, "GET /api/v1/users/{id}", Some("usr_1"));
        // The system's own work is not noted.
        world.governance.read_personal_data(&world.system(), "GET /api/v1/users", None);
        world.governance.write_noted().await.unwrap();
        world.catch_up().await;
        let page = PageRequest::default();
        let filter = RecordFilter { action: Some("audit.*".to_owned()), ..RecordFilter::default() };
        let records = world.governance.records(&world.owner, Log::Workspace, filter, &page).await.unwrap().data;
        assert_eq!(records.len(), 2);
        let denied = records.iter().find(|record| record.kind == "audit.access.denied").unwrap();
        assert_eq!((denied.subject.as_str(), &denied.data["count"]), ("DELETE /api/v1/users/{id}", &json!(3)));
        assert_eq!((&denied.actor, denied.origin.as_ref()), (world.owner.actor(), world.owner.origin()));
        let read = records.iter().find(|record| record.kind == "audit.personal_data.read").unwrap();
        assert_eq!(read.subject, "usr_1");
    }

    async fn the_key_is_made_once_and_its_private_half_is_sealed(test: TestStore) {
        let world = World::new(&test).await;
        let other = world.other_process(&test).await;
        let key = world.governance.key(&world.owner, Log::Workspace).unwrap();
        assert_eq!(other.key(&world.owner, Log::Workspace).unwrap().public_key, key.public_key);
        let installation = world.governance.key(&world.owner, Log::Installation).unwrap();
        assert_eq!(installation.public_key, key.public_key);
        assert_ne!(installation.verifier_key, key.verifier_key);
        let mut tx = world.store.read(&world.system()).await.unwrap();
        let sql = "SELECT private_key_sealed FROM audit_keys";
        let sealed: Vec<u8> = tx.fetch_one(sql, []).await.unwrap().get("private_key_sealed").unwrap();
        // The seed's 64 digits, the nonce and the tag, and nothing that is digits alone.
        assert!(sealed.len() > 64 && !sealed.iter().all(u8::is_ascii_hexdigit));
    }
}
