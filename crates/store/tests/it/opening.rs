use plasma_kernel::Code;
use plasma_store::{Dialect, NewEvent, Store, StoreConfig};
use plasma_testkit::{fresh_postgres_database, on_each_database, tenant};

on_each_database! {
    async fn it_opens_again_with_what_was_written(test: TestStore) {
        let ctx = tenant();
        let mut tx = test.begin(&ctx).await.unwrap();
        tx.emit(NewEvent::new("test.happened", "kept", serde_json::json!({}))).await.unwrap();
        tx.commit().await.unwrap();
        test.close().await;
        let again = test.open_again().await;
        again.ping().await.unwrap();
        assert_eq!(again.read(&ctx).await.unwrap().events_after(Default::default(), 9).await.unwrap().len(), 1);
    }

    async fn a_database_of_a_newer_program_is_refused(test: TestStore) {
        let mut tx = test.begin(&plasma_testkit::system()).await.unwrap();
        let future = tx.execute("INSERT INTO schema_migrations (number, name, applied_at) VALUES (9999, 'future', 0)", []).await;
        // On Postgres the runtime role may write rows of every table, so both engines get here.
        future.unwrap();
        tx.commit().await.unwrap();
        let error = Store::open(test.config().clone()).await.err().unwrap();
        assert_eq!(error.reason(), "database_too_new");
        assert!(error.remedy_text().is_some());
    }
}

#[tokio::test]
async fn processes_that_start_together_migrate_once() {
    let url = fresh_postgres_database().await;
    let folder = tempfile::tempdir().unwrap();
    let config = StoreConfig { database_url: Some(url), ..StoreConfig::sqlite(folder.path()) };
    let starts: Vec<_> = (0..4).map(|_| tokio::spawn(Store::open(config.clone()))).collect();
    for start in starts {
        let store = start.await.unwrap().unwrap();
        assert_eq!(store.dialect(), Dialect::Postgres);
    }
}

#[tokio::test]
async fn an_unreachable_postgres_is_named_without_its_password() {
    let folder = tempfile::tempdir().unwrap();
    let config = StoreConfig {
        database_url: Some("postgres://someone:hunter2-secret@127.0.0.1:1/nowhere".to_owned()),
        ..StoreConfig::sqlite(folder.path())
    };
    let error = Store::open(config).await.err().unwrap();
    assert_eq!(error.code(), Code::Unavailable);
    let told = format!("{error} {error:?}");
    assert!(told.contains("127.0.0.1:1") && !told.contains("hunter2"), "{told}");
}

#[tokio::test]
async fn a_wrong_url_is_explained_without_repeating_it() {
    let folder = tempfile::tempdir().unwrap();
    let config = StoreConfig { database_url: Some("mysql//secret".to_owned()), ..StoreConfig::sqlite(folder.path()) };
    let error = Store::open(config).await.err().unwrap();
    assert_eq!((error.code(), error.field_name()), (Code::Invalid, Some("database_url")));
    assert!(!format!("{error:?}").contains("secret"));
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("plasma.db"), "this is a letter to grandmother, not a database at all").unwrap();
    assert!(Store::open(StoreConfig::sqlite(folder.path())).await.is_err());
}
