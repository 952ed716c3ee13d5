use bytes::Bytes;
use plasma_kernel::Code;
use plasma_store::Store;
use plasma_testkit::{TestStore, on_each_database, system, tenant};
use proptest::prelude::*;

on_each_database! {
    async fn a_sealed_secret_opens_only_for_its_tenant_and_purpose(test: TestStore) {
        let (ours, theirs) = (tenant(), tenant());
        let mut tx = test.begin(&ours).await.unwrap();
        let sealed = test.seal_secret(&mut tx, "provider/1", "sk-very-secret").await.unwrap();
        assert!(!sealed.windows(6).any(|window| window == b"secret"));
        assert_eq!(*test.open_secret(&mut tx, "provider/1", &sealed).await.unwrap(), "sk-very-secret");
        assert!(test.open_secret(&mut tx, "provider/2", &sealed).await.is_err());
        tx.commit().await.unwrap();
        let mut tx = test.begin(&theirs).await.unwrap();
        assert!(test.open_secret(&mut tx, "provider/1", &sealed).await.is_err());
    }

    async fn a_tenant_without_its_key_has_lost_its_secrets(test: TestStore) {
        let ctx = tenant();
        let mut tx = test.begin(&ctx).await.unwrap();
        let sealed = test.seal_secret(&mut tx, "p", "secret").await.unwrap();
        tx.execute("DELETE FROM tenant_keys WHERE tenant_id = $1", [ctx.tenant().unwrap().into()]).await.unwrap();
        assert!(test.open_secret(&mut tx, "p", &sealed).await.is_err());
    }

    async fn another_master_key_is_noticed_at_start(test: TestStore) {
        test.close().await;
        std::fs::write(test.config().data_dir.join("master.key"), "ab".repeat(32)).unwrap();
        let error = Store::open(test.config().clone()).await.err().unwrap();
        assert_eq!(error.reason(), "master_key_wrong");
        std::fs::write(test.config().data_dir.join("master.key"), "not a key").unwrap();
        assert_eq!(Store::open(test.config().clone()).await.err().unwrap().reason(), "master_key_unusable");
    }
}

#[tokio::test]
async fn the_master_key_is_private_to_its_user() {
    use std::os::unix::fs::PermissionsExt as _;
    let test = TestStore::sqlite().await;
    let mode = std::fs::metadata(test.config().data_dir.join("master.key")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[tokio::test]
async fn blobs_are_kept_by_tenant() {
    let test = TestStore::sqlite().await;
    let (ours, theirs) = (tenant(), tenant());
    test.blobs().put(&ours, "a/b", Bytes::from_static(b"hello")).await.unwrap();
    test.blobs().put(&ours, "a/b", Bytes::from_static(b"hello again")).await.unwrap();
    assert_eq!(test.blobs().get(&ours, "a/b").await.unwrap(), "hello again");
    assert_eq!(test.blobs().get(&theirs, "a/b").await.unwrap_err().code(), Code::NotFound);
    test.blobs().delete(&ours, "a/b").await.unwrap();
    test.blobs().delete(&ours, "a/b").await.unwrap();
    assert_eq!(test.blobs().get(&ours, "a/b").await.unwrap_err().reason(), "file_not_found");
    assert!(test.blobs().put(&system(), "a", Bytes::new()).await.is_err(), "a blob without a tenant");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    /// Whatever bit of a sealed secret is flipped, it does not open, and nothing panics.
    #[test]
    fn a_changed_secret_never_opens(secret in "\\PC{0,60}", place: prop::sample::Index, bit in 0_u8..8) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let test = TestStore::sqlite().await;
            let store: Store = test.store();
            let ctx = tenant();
            let mut tx = store.begin(&ctx).await.unwrap();
            let mut sealed = store.seal_secret(&mut tx, "p", &secret).await.unwrap();
            assert_eq!(*store.open_secret(&mut tx, "p", &sealed).await.unwrap(), secret);
            let place = place.index(sealed.len());
            sealed[place] ^= 1 << bit;
            assert!(store.open_secret(&mut tx, "p", &sealed).await.is_err());
            sealed.truncate(place);
            assert!(store.open_secret(&mut tx, "p", &sealed).await.is_err());
        });
    }
}
