use plasma_kernel::{Code, Ctx};
use plasma_store::{NewEvent, Store};
use plasma_testkit::{TestStore, on_each_database, system, tenant};

async fn emit(store: &Store, ctx: &Ctx, subject: &str) {
    let mut tx = store.begin(ctx).await.unwrap();
    tx.emit(NewEvent::new("test.happened", subject, serde_json::json!({}))).await.unwrap();
    tx.commit().await.unwrap();
}

on_each_database! {
    async fn a_caller_that_goes_away_while_a_transaction_begins_leaves_nothing_open(test: TestStore) {
        let (ctx, other) = (tenant(), tenant());
        for round in 0..100 {
            // Given up at the first wait, wherever that is.
            let _ = tokio::time::timeout(std::time::Duration::ZERO, test.read(&other)).await;
            let _ = tokio::time::timeout(std::time::Duration::from_micros(50 * round % 700), test.begin(&other)).await;
            let mut tx = test.begin(&ctx).await.unwrap();
            tx.emit(NewEvent::new("test.happened", round, serde_json::json!({}))).await.unwrap();
            tx.commit().await.unwrap();
        }
        let mut tx = test.read(&ctx).await.unwrap();
        let count = "SELECT COUNT(*) AS events FROM events WHERE tenant_id = $1";
        let row = tx.fetch_one(count, [ctx.tenant().unwrap().into()]).await.unwrap();
        assert_eq!(row.get::<usize>("events").unwrap(), 100);
    }

    async fn a_tenant_reads_only_its_own_rows(test: TestStore) {
        let (ours, theirs) = (tenant(), tenant());
        emit(&test, &ours, "ours").await;
        emit(&test, &theirs, "theirs").await;
        let mut tx = test.read(&ours).await.unwrap();
        let page = tx.events_page(&Default::default(), &Default::default()).await.unwrap();
        assert_eq!(page.data.iter().map(|event| event.subject.as_str()).collect::<Vec<_>>(), ["ours"]);
    }

    async fn the_system_reads_across_tenants(test: TestStore) {
        emit(&test, &tenant(), "one").await;
        emit(&test, &tenant(), "two").await;
        // Whoever follows the log waits for transactions elsewhere in the server, such as those of other tests.
        let mut seen = 0;
        for _ in 0..200 {
            seen = test.read(&system()).await.unwrap().events_after(Default::default(), 10).await.unwrap().len();
            if seen == 2 {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        assert_eq!(seen, 2);
        let tx = test.read(&system()).await.unwrap();
        assert_eq!(tx.tenant().unwrap_err().code(), Code::Internal);
    }

    async fn a_dropped_transaction_leaves_nothing(test: TestStore) {
        let ctx = tenant();
        let mut tx = test.begin(&ctx).await.unwrap();
        tx.emit(NewEvent::new("test.happened", "x", serde_json::json!({}))).await.unwrap();
        drop(tx);
        let mut tx = test.read(&ctx).await.unwrap();
        assert!(tx.events_after(Default::default(), 10).await.unwrap().is_empty());
    }
}

/// The second wall: even a statement that forgets its predicate sees and changes nothing of another tenant on Postgres.
#[tokio::test]
async fn postgres_enforces_the_wall_where_a_statement_forgets_it() {
    let test = TestStore::postgres().await;
    let (ours, theirs) = (tenant(), tenant());
    emit(&test, &theirs, "theirs").await;
    let mut tx = test.begin(&ours).await.unwrap();
    let rows = tx.fetch_all("SELECT subject FROM events", []).await.unwrap();
    assert!(rows.is_empty(), "row-level security did not hide another tenant's row");
    assert_eq!(tx.execute("UPDATE events SET subject = 'stolen'", []).await.unwrap(), 0);
    assert_eq!(tx.execute("DELETE FROM events", []).await.unwrap(), 0);
    let planted = tx
        .execute(
            "INSERT INTO events (tenant_id, id, type, subject, actor, request_id, at, data)
             VALUES ($1, 'evt', 't', 's', '{}', 'r', 0, '{}')",
            [theirs.tenant().unwrap().into()],
        )
        .await;
    assert!(planted.is_err(), "a row was written into another tenant");
}

/// Every table that has a tenant is guarded, also those that later migrations add: row-level security is on, holds for the table's
/// owner too, and has our policy and no other. (A second permissive policy would let through what ours holds back.)
#[tokio::test]
async fn postgres_guards_every_table_that_has_a_tenant() {
    let test = TestStore::postgres().await;
    let mut tx = test.read(&system()).await.unwrap();
    let unguarded = tx
        .fetch_all(
            "SELECT c.relname::text AS name FROM pg_class c
             JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant_id' AND NOT a.attisdropped
             WHERE c.relkind IN ('r', 'p') AND c.relnamespace = 'public'::regnamespace
               AND NOT (c.relrowsecurity AND c.relforcerowsecurity
                 AND (SELECT COUNT(*) = 1 AND bool_and(
                          p.polname = 'tenant_isolation' AND p.polpermissive AND p.polcmd = '*' AND p.polroles = '{0}'
                          AND pg_get_expr(p.polqual, p.polrelid) LIKE '%tenant_id = current_setting(%'
                          AND pg_get_expr(p.polqual, p.polrelid) LIKE '% OR %''*''%'
                          AND pg_get_expr(p.polqual, p.polrelid) NOT LIKE '% OR % OR %'
                          AND p.polwithcheck IS NULL)
                      FROM pg_policy p WHERE p.polrelid = c.oid))",
            [],
        )
        .await
        .unwrap();
    let names: Vec<String> = unguarded.iter().map(|row| row.get("name").unwrap()).collect();
    assert!(names.is_empty(), "tables without our row-level security: {names:?}");
    let role = tx.fetch_one("SELECT current_user::text AS role", []).await.unwrap();
    assert_eq!(role.get::<String>("role").unwrap(), "plasma_runtime");
}

/// The role under which every statement runs can turn none of that off, and sees nothing past it through a view.
#[tokio::test]
async fn postgres_gives_the_runtime_role_rows_and_nothing_else() {
    let test = TestStore::postgres().await;
    let mut tx = test.read(&system()).await.unwrap();
    let row = tx
        .fetch_one(
            "SELECT (SELECT COUNT(*) FROM pg_class c WHERE c.relowner = 'plasma_runtime'::regrole) AS owned,
                    (SELECT COUNT(*) FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('v', 'm')) AS views,
                    (SELECT COUNT(*) FROM pg_roles r WHERE r.rolname = 'plasma_runtime'
                       AND (r.rolsuper OR r.rolbypassrls OR r.rolcreaterole OR r.rolcreatedb)) AS powers",
            [],
        )
        .await
        .unwrap();
    for name in ["owned", "views", "powers"] {
        assert_eq!(row.get::<i64>(name).unwrap(), 0, "{name}");
    }
    drop(tx);
    let ours = tenant();
    for statement in [
        "ALTER TABLE events DISABLE ROW LEVEL SECURITY",
        "DROP POLICY tenant_isolation ON events",
        "TRUNCATE events",
        "CREATE TABLE mine (id TEXT)",
    ] {
        let mut tx = test.begin(&ours).await.unwrap();
        assert!(tx.execute(statement, []).await.is_err(), "the runtime role may {statement}");
    }
}
