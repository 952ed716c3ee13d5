//! Data keys in versions: rotation while others write, destruction, shredding, and other master keys.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use plasma_kernel::{CallId, Code, Ctx};
use plasma_store::{Destruction, ResealPlace, RotationState, SealedColumn, SealedStatements, Store, sealed_column};
use plasma_testkit::{TestStore, on_each_database, system, tenant};

pub(crate) fn purpose(keys: &[String]) -> String {
    format!("test/{}", keys.join("/"))
}

/// Declares one real column, and for every other of the schema one that finds nothing: they belong to other crates.
pub(crate) async fn declare(store: &Store) {
    store.declare_sealed(&[sealed_column!("model_judge_work", ["call_id"], "sealed", purpose)]);
    let mut tx = store.read(&system()).await.unwrap();
    for name in store.undeclared_sealed_columns(&mut tx).await.unwrap() {
        let (table, column) = name.split_once('.').unwrap();
        store.declare_sealed(&[SealedColumn {
            table: table.to_owned().leak(),
            column: column.to_owned().leak(),
            keys: &["tenant_id"],
            purpose,
            of_installation: false,
            statements: SealedStatements {
                count: "SELECT COUNT(*) AS number FROM tenant_keys WHERE tenant_id = $1 AND wrapped <> $2 AND 1 = 0",
                next: "SELECT tenant_id AS key_1, wrapped AS sealed FROM tenant_keys
                       WHERE tenant_id = $1 AND wrapped <> $2 AND tenant_id > $3 AND 1 = 0 LIMIT $4",
                replace: "UPDATE tenant_keys SET wrapped = $2 WHERE tenant_id = $1 AND wrapped = $3 AND tenant_id = $4",
            },
        }]);
    }
}

/// Keeps a sealed value in the table.
pub(crate) async fn put(store: &Store, ctx: &Ctx, text: &str) -> CallId {
    let id = CallId::new(ctx);
    let mut tx = store.begin(ctx).await.unwrap();
    let sealed = store.seal_secret(&mut tx, &format!("test/{id}"), text).await.unwrap();
    insert(&mut tx, id, sealed).await;
    tx.commit().await.unwrap();
    id
}

async fn insert(tx: &mut plasma_store::Tx, id: CallId, sealed: Vec<u8>) {
    tx.execute(
        "INSERT INTO model_judge_work (tenant_id, call_id, sealed, created_at) VALUES ($1, $2, $3, 0)",
        [tx.tenant().unwrap().into(), id.into(), sealed.into()],
    )
    .await
    .unwrap();
}

async fn sealed(store: &Store, ctx: &Ctx, id: CallId) -> Vec<u8> {
    let select = "SELECT sealed FROM model_judge_work WHERE tenant_id = $1 AND call_id = $2";
    let mut tx = store.read(ctx).await.unwrap();
    tx.fetch_one(select, [ctx.tenant().unwrap().into(), id.into()]).await.unwrap().get("sealed").unwrap()
}

pub(crate) async fn get(store: &Store, ctx: &Ctx, id: CallId) -> plasma_kernel::Result<String> {
    let sealed = sealed(store, ctx, id).await;
    let mut tx = store.read(ctx).await.unwrap();
    store.open_secret(&mut tx, &format!("test/{id}"), &sealed).await.map(|text| text.as_str().to_owned())
}

pub(crate) async fn rotate(store: &Store, ctx: &Ctx) {
    let mut tx = store.begin(ctx).await.unwrap();
    store.rotate_data_key(&mut tx).await.unwrap();
    tx.commit().await.unwrap();
}

/// The work that a durable job does: one pass over everything.
async fn reseal(store: &Store, ctx: &Ctx) -> RotationState {
    let mut tx = store.begin(ctx).await.unwrap();
    store.begin_resealing(&mut tx).await.unwrap();
    tx.commit().await.unwrap();
    let (mut place, mut unreadable) = (ResealPlace::default(), 0);
    loop {
        let batch = store.reseal_batch(ctx, &place).await.unwrap();
        unreadable += batch.unreadable;
        match batch.next {
            Some(next) => place = next,
            None => break,
        }
    }
    let mut tx = store.begin(ctx).await.unwrap();
    let state = store.end_resealing(&mut tx, unreadable, "somewhere").await.unwrap();
    tx.commit().await.unwrap();
    state
}

async fn destroy(store: &Store, ctx: &Ctx) -> Destruction {
    let mut tx = store.begin(ctx).await.unwrap();
    let destruction = store.destroy_retired_keys(&mut tx).await.unwrap();
    tx.commit().await.unwrap();
    destruction
}

pub(crate) async fn finish(store: &Store, ctx: &Ctx) {
    for _ in 0..20 {
        assert_eq!(reseal(store, ctx).await, RotationState::Destroying);
        if matches!(destroy(store, ctx).await, Destruction::Destroyed(_)) {
            return;
        }
    }
    panic!("values stay under the old key");
}

async fn versions(store: &Store, ctx: &Ctx) -> Vec<u32> {
    let mut tx = store.read(ctx).await.unwrap();
    store.data_key_versions(&mut tx).await.unwrap().iter().map(|key| key.version).collect()
}

async fn rotations(store: &Store, ctx: &Ctx) -> Vec<(u32, RotationState, u64, u64)> {
    let mut tx = store.read(ctx).await.unwrap();
    let rotations = store.key_rotations(&mut tx).await.unwrap();
    rotations.iter().map(|one| (one.version, one.state, one.done, one.total)).collect()
}

/// As the program sealed before data keys had versions.
fn without_version(store_folder: &std::path::Path, tenant: &str, wrapped: &[u8], purpose: &str, text: &str) -> Vec<u8> {
    use chacha20poly1305::{
        KeyInit as _, XChaCha20Poly1305, XNonce,
        aead::{Aead as _, Payload},
    };
    let file = std::fs::read_to_string(store_folder.join("master.key")).unwrap();
    let bytes: Vec<u8> = (0..32).map(|at| u8::from_str_radix(&file[at * 2..at * 2 + 2], 16).unwrap()).collect();
    let cipher = |key: &[u8]| XChaCha20Poly1305::new(<&[u8; 32]>::try_from(key).unwrap().into());
    let nonce = |bytes: &[u8]| XNonce::from(<[u8; 24]>::try_from(bytes).unwrap());
    let associated = format!("data-key/{tenant}/1");
    let payload = Payload { msg: &wrapped[24..], aad: associated.as_bytes() };
    let key = cipher(&bytes).decrypt(&nonce(&wrapped[..24]), payload).unwrap();
    let associated = format!("{tenant}/{purpose}");
    let payload = Payload { msg: text.as_bytes(), aad: associated.as_bytes() };
    [vec![7; 24], cipher(&key).encrypt(&nonce(&[7; 24]), payload).unwrap()].concat()
}

on_each_database! {
    async fn a_rotation_seals_everything_again_and_destroys_the_old_key(test: TestStore) {
        declare(&test).await;
        let (ours, theirs) = (tenant(), tenant());
        let mut ids = Vec::new();
        for number in 0..100 {
            ids.push(put(&test, &ours, &format!("secret {number}")).await);
        }
        let other = put(&test, &theirs, "another tenant's").await;
        rotate(&test, &ours).await;
        assert_eq!(versions(&test, &ours).await, [2, 1]);
        // Both versions open from now on, and the new one seals.
        assert_eq!(get(&test, &ours, ids[0]).await.unwrap(), "secret 0");
        let late = put(&test, &ours, "sealed while it was rotated").await;
        assert_eq!(&sealed(&test, &ours, late).await[..8], b"PSE\x01\0\0\0\x02");
        let error = test.rotate_data_key(&mut test.begin(&ours).await.unwrap()).await.unwrap_err();
        assert_eq!(error.reason(), "key_rotation_running");

        let before = sealed(&test, &ours, ids[0]).await;
        assert_eq!(reseal(&test, &ours).await, RotationState::Destroying);
        assert_eq!(rotations(&test, &ours).await, [(2, RotationState::Destroying, 100, 100)]);
        assert_eq!(destroy(&test, &ours).await, Destruction::Destroyed(1));
        assert_eq!(versions(&test, &ours).await, [2]);
        assert_eq!(rotations(&test, &ours).await, [(2, RotationState::Done, 100, 100)]);
        for (number, id) in ids.iter().enumerate() {
            assert_eq!(get(&test, &ours, *id).await.unwrap(), format!("secret {number}"));
        }
        assert_eq!(get(&test, &ours, late).await.unwrap(), "sealed while it was rotated");
        // A copy from before is worth nothing now, and the other tenant noticed nothing.
        let mut tx = test.read(&ours).await.unwrap();
        assert!(test.open_secret(&mut tx, &format!("test/{}", ids[0]), &before).await.is_err());
        assert_eq!(versions(&test, &theirs).await, [1]);
        assert_eq!(get(&test, &theirs, other).await.unwrap(), "another tenant's");
    }

    async fn values_from_before_there_were_versions_open_and_are_sealed_again(test: TestStore) {
        declare(&test).await;
        let ctx = tenant();
        put(&test, &ctx, "makes the key").await;
        let owner = ctx.tenant().unwrap().to_string();
        let select = "SELECT wrapped FROM tenant_keys WHERE tenant_id = $1";
        let mut tx = test.begin(&ctx).await.unwrap();
        let wrapped: Vec<u8> = tx.fetch_one(select, [owner.as_str().into()]).await.unwrap().get("wrapped").unwrap();
        // Before, it was not written down which key of the file wrapped it.
        tx.execute("UPDATE tenant_keys SET wrapping_key = NULL WHERE tenant_id = $1", [owner.as_str().into()]).await.unwrap();
        let id = CallId::new(&ctx);
        let old = without_version(test.data_dir(), &owner, &wrapped, &format!("test/{id}"), "from long ago");
        insert(&mut tx, id, old).await;
        tx.commit().await.unwrap();
        assert_eq!(get(&test, &ctx, id).await.unwrap(), "from long ago");
        rotate(&test, &ctx).await;
        finish(&test, &ctx).await;
        assert_eq!(get(&test, &ctx, id).await.unwrap(), "from long ago");
        assert_eq!(&sealed(&test, &ctx, id).await[..4], b"PSE\x01");
        assert_eq!(versions(&test, &ctx).await, [2]);
    }

    async fn writers_lose_nothing_while_keys_are_rotated(test: TestStore) {
        declare(&test).await;
        let (ctx, stop) = (tenant(), Arc::new(AtomicBool::new(false)));
        put(&test, &ctx, "the first").await;
        let writers: Vec<_> = (0..4)
            .map(|writer| {
                let (store, ctx, stop) = (test.store(), ctx.clone(), Arc::clone(&stop));
                tokio::spawn(async move {
                    let mut written = Vec::new();
                    while !stop.load(Ordering::SeqCst) {
                        let text = format!("{writer}/{}", written.len());
                        let id = CallId::new(&ctx);
                        let mut tx = store.begin(&ctx).await.unwrap();
                        let sealed = store.seal_secret(&mut tx, &format!("test/{id}"), &text).await.unwrap();
                        // Some are long under way between sealing and commit.
                        tokio::time::sleep(std::time::Duration::from_millis(written.len() as u64 % 7)).await;
                        insert(&mut tx, id, sealed).await;
                        tx.commit().await.unwrap();
                        assert_eq!(get(&store, &ctx, id).await.unwrap(), text);
                        written.push((id, text));
                    }
                    written
                })
            })
            .collect();
        for version in 2..5 {
            rotate(&test, &ctx).await;
            finish(&test, &ctx).await;
            assert_eq!(versions(&test, &ctx).await, [version]);
        }
        stop.store(true, Ordering::SeqCst);
        let mut number = 0;
        for writer in writers {
            for (id, text) in writer.await.unwrap() {
                assert_eq!(get(&test, &ctx, id).await.unwrap(), text);
                number += 1;
            }
        }
        assert!(number > 20, "only {number} were written");
    }

    async fn a_value_that_does_not_open_keeps_the_old_key(test: TestStore) {
        declare(&test).await;
        let ctx = tenant();
        let good = put(&test, &ctx, "good").await;
        let bad = put(&test, &ctx, "bad").await;
        let damage = "UPDATE model_judge_work SET sealed = $3 WHERE tenant_id = $1 AND call_id = $2";
        let mut tx = test.begin(&ctx).await.unwrap();
        tx.execute(damage, [ctx.tenant().unwrap().into(), bad.into(), vec![1_u8; 60].into()]).await.unwrap();
        tx.commit().await.unwrap();
        rotate(&test, &ctx).await;
        assert_eq!(reseal(&test, &ctx).await, RotationState::Stuck);
        assert_eq!(versions(&test, &ctx).await, [2, 1]);
        assert_eq!(get(&test, &ctx, good).await.unwrap(), "good");
        // It is mended, and the rotation is taken up again without another key.
        let mut tx = test.begin(&ctx).await.unwrap();
        tx.execute("DELETE FROM model_judge_work WHERE tenant_id = $1 AND call_id = $2", [ctx.tenant().unwrap().into(), bad.into()])
            .await
            .unwrap();
        assert_eq!(test.rotate_data_key(&mut tx).await.unwrap().version, 2);
        tx.commit().await.unwrap();
        finish(&test, &ctx).await;
        assert_eq!(versions(&test, &ctx).await, [2]);
        assert_eq!(get(&test, &ctx, good).await.unwrap(), "good");
    }

    async fn a_late_value_under_the_old_key_is_found_before_it_is_destroyed(test: TestStore) {
        declare(&test).await;
        let ctx = tenant();
        let id = put(&test, &ctx, "late").await;
        let old = sealed(&test, &ctx, id).await;
        rotate(&test, &ctx).await;
        assert_eq!(reseal(&test, &ctx).await, RotationState::Destroying);
        // As a transaction does that sealed before the rotation and ends only now.
        let late = "UPDATE model_judge_work SET sealed = $3 WHERE tenant_id = $1 AND call_id = $2";
        let mut tx = test.begin(&ctx).await.unwrap();
        tx.execute(late, [ctx.tenant().unwrap().into(), id.into(), old.into()]).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(destroy(&test, &ctx).await, Destruction::Remaining(1));
        assert_eq!(versions(&test, &ctx).await, [2, 1]);
        finish(&test, &ctx).await;
        assert_eq!(get(&test, &ctx, id).await.unwrap(), "late");
    }

    async fn a_column_that_nobody_declared_stops_a_rotation(test: TestStore) {
        let ctx = tenant();
        put(&test, &ctx, "x").await;
        let error = test.rotate_data_key(&mut test.begin(&ctx).await.unwrap()).await.unwrap_err();
        assert_eq!(error.code(), Code::Internal);
        assert!(error.message().contains("model_judge_work.sealed"), "{error}");
    }

    async fn a_shredded_tenant_has_lost_its_secrets_in_every_process(test: TestStore) {
        declare(&test).await;
        let (ours, theirs) = (tenant(), tenant());
        let (id, other) = (put(&test, &ours, "ours").await, put(&test, &theirs, "theirs").await);
        rotate(&test, &ours).await;
        let second = test.open_again().await;
        assert_eq!(get(&second, &ours, id).await.unwrap(), "ours");
        let mut tx = test.begin(&ours).await.unwrap();
        assert_eq!(test.shred_tenant(&mut tx).await.unwrap(), 2);
        tx.commit().await.unwrap();
        for store in [&test.store(), &second] {
            assert!(get(store, &ours, id).await.is_err());
            assert_eq!(get(store, &theirs, other).await.unwrap(), "theirs");
        }
        // The work of a rotation that was under way finds nothing to do, and makes no key.
        assert!(test.reseal_batch(&ours, &ResealPlace::default()).await.unwrap().next.is_none());
        assert_eq!(destroy(&test, &ours).await, Destruction::Destroyed(0));
        assert!(versions(&test, &ours).await.is_empty());
        assert!(test.shred_tenant(&mut test.begin(&system()).await.unwrap()).await.is_err());
    }

    async fn an_undone_first_key_leaves_nothing_that_later_values_need(test: TestStore) {
        let ctx = tenant();
        let mut tx = test.begin(&ctx).await.unwrap();
        test.seal_secret(&mut tx, "p", "undone").await.unwrap();
        drop(tx);
        assert!(versions(&test, &ctx).await.is_empty());
        let id = put(&test, &ctx, "kept").await;
        assert_eq!(get(&test.open_again().await, &ctx, id).await.unwrap(), "kept");
    }

    async fn the_installation_has_a_key_of_its_own(test: TestStore) {
        let (system, ctx) = (system(), tenant());
        let mut tx = test.begin(&system).await.unwrap();
        let sealed = test.seal_secret(&mut tx, "p", "of the installation").await.unwrap();
        assert_eq!(*test.open_secret(&mut tx, "p", &sealed).await.unwrap(), "of the installation");
        drop(tx);
        put(&test, &ctx, "x").await;
        let mut tx = test.begin(&ctx).await.unwrap();
        assert!(test.open_secret(&mut tx, "p", &sealed).await.is_err());
    }

    async fn a_new_master_key_wraps_every_data_key_anew(test: TestStore) {
        let (one, two) = (tenant(), tenant());
        let ids = [(&one, put(&test, &one, "1").await), (&two, put(&test, &two, "2").await)];
        let second = test.open_again().await;
        let old = test.master_key_file_names();
        let mut tx = test.begin(&system()).await.unwrap();
        test.rotate_master_key(&mut tx).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(test.master_key_file_names()[1..], old);
        let rewrapped = rewrap(&test).await;
        assert_eq!(rewrapped, 3, "two tenants and the installation");
        for (ctx, id) in ids {
            // The other process reads the new key from the file when it meets it.
            assert_eq!(get(&test, ctx, id).await.unwrap(), get(&second, ctx, id).await.unwrap());
        }
        let mut tx = test.begin(&system()).await.unwrap();
        let (uses, _) = test.master_key_uses(&mut tx).await.unwrap();
        assert_eq!(uses.iter().map(|one| (one.current, one.data_keys)).collect::<Vec<_>>(), [(true, 3)]);
        assert_eq!(test.forget_master_keys(&mut tx).await.unwrap(), old);
        tx.commit().await.unwrap();
        let third = test.open_again().await;
        assert_eq!(get(&third, &one, ids[0].1).await.unwrap(), "1");
    }

    async fn a_master_key_that_is_needed_is_not_forgotten(test: TestStore) {
        let ctx = tenant();
        let id = put(&test, &ctx, "x").await;
        let mut tx = test.begin(&system()).await.unwrap();
        test.rotate_master_key(&mut tx).await.unwrap();
        assert!(test.forget_master_keys(&mut tx).await.unwrap().is_empty());
        tx.execute("UPDATE tenant_keys SET wrapping_key = NULL", []).await.unwrap();
        assert_eq!(test.forget_master_keys(&mut tx).await.unwrap_err().reason(), "rewrap_first");
        tx.commit().await.unwrap();
        assert_eq!(get(&test, &ctx, id).await.unwrap(), "x");
    }
}

pub(crate) async fn rewrap(store: &Store) -> u64 {
    let (system, mut after, mut rewrapped) = (system(), (String::new(), 0), 0);
    loop {
        let batch = store.rewrap_batch(&system, &after).await.unwrap();
        assert_eq!(batch.failed, 0, "{:?}", batch.error);
        rewrapped += batch.rewrapped;
        match batch.next {
            Some(next) => after = next,
            None => return rewrapped,
        }
    }
}

/// SQLite's file holds nothing of a destroyed key: not in a free page either.
#[tokio::test]
async fn a_destroyed_key_is_overwritten_in_the_file() {
    let test = TestStore::sqlite().await;
    let ctx = tenant();
    put(&test, &ctx, "x").await;
    let select = "SELECT wrapped FROM tenant_keys WHERE tenant_id = $1";
    let mut tx = test.begin(&ctx).await.unwrap();
    let wrapped: Vec<u8> = tx.fetch_one(select, [ctx.tenant().unwrap().into()]).await.unwrap().get("wrapped").unwrap();
    test.shred_tenant(&mut tx).await.unwrap();
    tx.commit().await.unwrap();
    let folder = test.data_dir().to_owned();
    // Closing folds the log into the file.
    test.close().await;
    let file = std::fs::read(folder.join("plasma.db")).unwrap();
    assert!(!file.windows(wrapped.len()).any(|window| window == wrapped), "the wrapped key is still in the file");
}
