//! What the schema tells of a tenant's rows, and the sums that its plan limits.

use futures::StreamExt as _;
use plasma_kernel::{Code, Ctx, QuotaResource};
use plasma_store::{NewEvent, QUOTA_NEAR, Store, TenantTable, Value};
use plasma_testkit::{on_each_database, system, tenant};

async fn emit(store: &Store, ctx: &Ctx, count: usize) {
    let mut tx = store.begin(ctx).await.unwrap();
    for number in 0..count {
        tx.emit(NewEvent::new("test.happened", number, serde_json::json!({"number": number}))).await.unwrap();
    }
    tx.commit().await.unwrap();
}

async fn table(store: &Store, name: &str) -> TenantTable {
    let mut tx = store.read(&system()).await.unwrap();
    tx.tenant_tables().await.unwrap().into_iter().find(|table| table.name() == name).unwrap()
}

async fn limit(store: &Store, ctx: &Ctx, resource: QuotaResource, max: i64) {
    let mut tx = store.begin(ctx).await.unwrap();
    let insert = "INSERT INTO tenant_quotas (tenant_id, resource, limit_max) VALUES ($1, $2, $3)";
    tx.execute(insert, [ctx.tenant().unwrap().into(), resource.as_str().into(), max.into()]).await.unwrap();
    tx.commit().await.unwrap();
}

on_each_database! {
    async fn every_table_with_a_tenant_is_known_and_only_those(test: TestStore) {
        let mut tx = test.read(&system()).await.unwrap();
        let names: Vec<String> = tx.tenant_tables().await.unwrap().iter().map(|table| table.name().to_owned()).collect();
        for name in ["api_keys", "collections", "events", "invitations", "jobs", "memberships", "model_cache_settings", "tenant_keys"] {
            assert!(names.iter().any(|known| known == name), "{name} is missing: {names:?}");
        }
        for name in ["tenants", "users", "schema_migrations", "schedules", "event_consumers"] {
            assert!(names.iter().all(|known| known != name), "{name} belongs to no tenant");
        }
        let mut sorted = names.clone();
        sorted.sort();
        sorted.dedup();
        assert_eq!(names.len(), sorted.len());
    }

    async fn rows_are_read_page_by_page_and_those_of_others_never(test: TestStore) {
        let (ours, theirs) = (tenant(), tenant());
        emit(&test, &ours, 5).await;
        emit(&test, &theirs, 3).await;
        let events = table(&test, "events").await;
        let mut tx = test.read(&ours).await.unwrap();
        assert_eq!(tx.count_tenant_rows(&events).await.unwrap(), 5);
        let (mut subjects, mut after) = (Vec::new(), None);
        loop {
            let page = tx.tenant_rows(&events, after.as_ref(), 2).await.unwrap();
            assert!(page.rows.len() <= 2);
            for row in page.rows {
                assert_eq!(row["tenant_id"], ours.tenant().unwrap().to_string());
                subjects.push(row["subject"].as_str().unwrap().to_owned());
            }
            match page.next {
                Some(next) => after = Some(next),
                None => break,
            }
        }
        assert_eq!(subjects, ["0", "1", "2", "3", "4"]);
    }

    async fn bytes_and_single_rows_are_read_too(test: TestStore) {
        let ours = tenant();
        let mut tx = test.begin(&ours).await.unwrap();
        test.seal_secret(&mut tx, "test", "a secret").await.unwrap();
        tx.commit().await.unwrap();
        let keys = table(&test, "tenant_keys").await;
        let page = test.read(&ours).await.unwrap().tenant_rows(&keys, None, 10).await.unwrap();
        assert_eq!((page.rows.len(), page.next), (1, None));
        assert!(page.rows[0]["wrapped"].as_str().unwrap().starts_with("\\x"));
        assert_eq!(page.rows[0]["version"], 1);
    }

    async fn deleting_takes_a_tenants_rows_in_steps_and_leaves_the_others(test: TestStore) {
        let (ours, theirs) = (tenant(), tenant());
        emit(&test, &ours, 5).await;
        emit(&test, &theirs, 3).await;
        let events = table(&test, "events").await;
        let mut tx = test.begin(&ours).await.unwrap();
        for expected in [2, 2, 1, 0] {
            assert_eq!(tx.delete_tenant_rows(&events, 2).await.unwrap(), expected);
        }
        tx.commit().await.unwrap();
        assert_eq!(test.read(&theirs).await.unwrap().count_tenant_rows(&events).await.unwrap(), 3);
    }

    async fn nobody_deletes_or_reads_for_all_tenants_at_once(test: TestStore) {
        let events = table(&test, "events").await;
        emit(&test, &tenant(), 1).await;
        let mut tx = test.begin(&system()).await.unwrap();
        assert_eq!(tx.delete_tenant_rows(&events, 10).await.unwrap_err().code(), Code::Internal);
        assert_eq!(tx.tenant_rows(&events, None, 10).await.unwrap_err().code(), Code::Internal);
        assert_eq!(tx.count_tenant_rows(&events).await.unwrap_err().code(), Code::Internal);
    }

    async fn a_tenants_files_are_listed_and_no_others(test: TestStore) {
        let (ours, theirs) = (tenant(), tenant());
        test.blobs().put(&ours, "files/a", "abc".into()).await.unwrap();
        test.blobs().put(&ours, "knowledge/b", "de".into()).await.unwrap();
        test.blobs().put(&theirs, "files/c", "f".into()).await.unwrap();
        let mut found: Vec<(String, u64)> = test
            .blobs()
            .list(&ours)
            .unwrap()
            .map(|blob| blob.map(|blob| (blob.name, blob.size_bytes)).unwrap())
            .collect()
            .await;
        found.sort();
        assert_eq!(found, [("files/a".to_owned(), 3), ("knowledge/b".to_owned(), 2)]);
        assert_eq!(test.blobs().list(&tenant()).unwrap().count().await, 0);
        assert!(test.blobs().list(&system()).is_err());
    }

    async fn a_limit_holds_however_many_take_at_once(test: TestStore) {
        let ctx = tenant();
        limit(&test, &ctx, QuotaResource::Documents, 5).await;
        let tries = (0..12).map(|_| {
            let (store, ctx) = (test.store(), ctx.clone());
            tokio::spawn(async move {
                let mut tx = store.begin(&ctx).await.unwrap();
                tx.take_quota(QuotaResource::Documents, 1).await?;
                tx.commit().await.map(drop)
            })
        });
        let mut taken = 0;
        for outcome in futures::future::join_all(tries).await {
            match outcome.unwrap() {
                Ok(()) => taken += 1,
                Err(error) => assert_eq!((error.code(), error.reason()), (Code::Conflict, "quota_exceeded")),
            }
        }
        assert_eq!(taken, 5);
        let mut tx = test.begin(&ctx).await.unwrap();
        assert_eq!(tx.quota_used(QuotaResource::Documents).await.unwrap(), 5);
        assert_eq!(tx.quota_room(QuotaResource::Documents).await.unwrap(), Some(0));
        tx.give_back_quota(QuotaResource::Documents, 2).await.unwrap();
        assert_eq!(tx.quota_room(QuotaResource::Documents).await.unwrap(), Some(2));
        tx.give_back_quota(QuotaResource::Documents, 99).await.unwrap();
        assert_eq!(tx.quota_used(QuotaResource::Documents).await.unwrap(), 0);
        // Nothing limits the others.
        tx.take_quota(QuotaResource::StorageBytes, 1 << 50).await.unwrap();
        assert_eq!(tx.quota_room(QuotaResource::StorageBytes).await.unwrap(), None);
    }

    async fn passing_four_fifths_is_told_once(test: TestStore) {
        let ctx = tenant();
        limit(&test, &ctx, QuotaResource::Collections, 10).await;
        for _ in 0..10 {
            let mut tx = test.begin(&ctx).await.unwrap();
            tx.take_quota(QuotaResource::Collections, 1).await.unwrap();
            tx.commit().await.unwrap();
        }
        let mut tx = test.read(&ctx).await.unwrap();
        let rows = tx
            .fetch_all(
                "SELECT data FROM events WHERE tenant_id = $1 AND type = $2",
                [Value::from(ctx.tenant().unwrap()), QUOTA_NEAR.into()],
            )
            .await
            .unwrap();
        assert_eq!(rows.len(), 1);
        let data: serde_json::Value = rows[0].json("data").unwrap();
        assert_eq!(data, serde_json::json!({"resource": "collections", "used": 8, "limit": 10}));
    }
}
