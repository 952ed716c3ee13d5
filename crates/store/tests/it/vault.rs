//! Data keys that a real Vault (OpenBao) wraps.

use std::time::{Duration, Instant};

use plasma_store::{MasterKeyKind, Store, StoreConfig, VaultConfig, VaultToken};
use plasma_testkit::{TestStore, fresh_vault_key, system, tenant, vault_call};

use crate::encryption::{declare, finish, get, put, rewrap, rotate};

async fn reopened(test: &TestStore, change: impl FnOnce(&mut StoreConfig)) -> plasma_kernel::Result<Store> {
    let mut config = test.config().clone();
    change(&mut config);
    Store::open(config).await
}

async fn kinds(store: &Store) -> Vec<(MasterKeyKind, bool, u64)> {
    let mut tx = store.read(&system()).await.unwrap();
    let (uses, error) = store.master_key_uses(&mut tx).await.unwrap();
    assert!(error.is_none(), "{error:?}");
    uses.iter().map(|one| (one.kind, one.current, one.data_keys)).collect()
}

#[tokio::test]
async fn data_keys_move_to_vault_and_back_while_they_are_used() {
    let test = TestStore::sqlite().await;
    let ctx = tenant();
    let id = put(&test, &ctx, "moved").await;
    let vault = fresh_vault_key().await;
    // Another process with Vault: it opens what the file wrapped, and wraps new keys with Vault.
    let second = reopened(&test, |config| config.vault = Some(vault.clone())).await.unwrap();
    assert_eq!(second.master_key_kind(), MasterKeyKind::Vault);
    assert_eq!(get(&second, &ctx, id).await.unwrap(), "moved");
    let other = tenant();
    let made_with_vault = put(&second, &other, "new").await;
    assert_eq!(rewrap(&second).await, 2);
    assert_eq!(kinds(&second).await, [(MasterKeyKind::Vault, true, 3)]);
    assert_eq!(get(&second, &ctx, id).await.unwrap(), "moved");
    // Without Vault the key file opens nothing any more, and says so.
    let error = get(&test, &ctx, id).await.unwrap_err();
    assert_eq!(error.reason(), "vault_not_configured");
    assert!(error.remedy_text().unwrap().contains("vault_url"));
    assert_eq!(reopened(&test, |_| ()).await.err().unwrap().reason(), "vault_not_configured");
    // And back.
    let third = reopened(&test, |config| {
        config.vault = Some(vault.clone());
        config.master_key = Some(MasterKeyKind::File);
    });
    let third = third.await.unwrap();
    assert_eq!(rewrap(&third).await, 3);
    assert_eq!(kinds(&third).await, [(MasterKeyKind::File, true, 3)]);
    assert_eq!(get(&test, &ctx, id).await.unwrap(), "moved");
    assert_eq!(get(&test, &other, made_with_vault).await.unwrap(), "new");
}

#[tokio::test]
async fn an_installation_with_vault_has_no_key_file() {
    let vault = fresh_vault_key().await;
    let test = TestStore::sqlite_with(|config| config.vault = Some(vault)).await;
    declare(&test).await;
    let ctx = tenant();
    let id = put(&test, &ctx, "x").await;
    rotate(&test, &ctx).await;
    finish(&test, &ctx).await;
    assert_eq!(get(&test.open_again().await, &ctx, id).await.unwrap(), "x");
    assert!(!test.data_dir().join("master.key").exists());
}

#[tokio::test]
async fn a_rotated_vault_key_wraps_anew() {
    let vault = fresh_vault_key().await;
    let test = TestStore::sqlite_with(|config| config.vault = Some(vault.clone())).await;
    let ctx = tenant();
    let id = put(&test, &ctx, "x").await;
    let mut tx = test.begin(&system()).await.unwrap();
    test.rotate_master_key(&mut tx).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(kinds(&test).await, [(MasterKeyKind::Vault, false, 2), (MasterKeyKind::Vault, true, 0)]);
    assert_eq!(rewrap(&test).await, 2);
    assert_eq!(kinds(&test).await, [(MasterKeyKind::Vault, true, 2)]);
    assert_eq!(rewrap(&test).await, 0);
    // The old version may now be taken away in Vault.
    let path = format!("transit/keys/{}/config", vault.key);
    vault_call(&vault, "POST", &path, r#"{"min_decryption_version": 2}"#).await;
    assert_eq!(get(&test.open_again().await, &ctx, id).await.unwrap(), "x");
}

/// While Vault is away, what was used lately still opens, and quickly: nothing waits for it.
#[tokio::test]
async fn hot_keys_do_not_need_vault() {
    let vault = fresh_vault_key().await;
    let test = TestStore::sqlite_with(|config| config.vault = Some(vault.clone())).await;
    let (ctx, cold) = (tenant(), tenant());
    let id = put(&test, &ctx, "x").await;
    let cold_id = put(&test, &cold, "y").await;
    let second = test.open_again().await;
    assert_eq!(get(&second, &ctx, id).await.unwrap(), "x");
    // Nobody can decrypt with the key any more: as when Vault is gone for this tenant's key.
    let path = format!("transit/keys/{}", vault.key);
    vault_call(&vault, "POST", &format!("{path}/config"), r#"{"deletion_allowed": true}"#).await;
    vault_call(&vault, "DELETE", &path, "").await;
    let begun = Instant::now();
    for _ in 0..200 {
        assert_eq!(get(&second, &ctx, id).await.unwrap(), "x");
    }
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    let error = get(&second, &cold, cold_id).await.unwrap_err();
    assert_eq!(error.reason(), "vault_key_missing");
}

#[tokio::test]
async fn shredding_ends_a_key_that_is_still_in_memory() {
    let vault = fresh_vault_key().await;
    let test = TestStore::sqlite_with(|config| config.vault = Some(vault.clone())).await;
    let ctx = tenant();
    let id = put(&test, &ctx, "x").await;
    let second = test.open_again().await;
    assert_eq!(get(&second, &ctx, id).await.unwrap(), "x");
    let mut tx = test.begin(&ctx).await.unwrap();
    test.shred_tenant(&mut tx).await.unwrap();
    tx.commit().await.unwrap();
    assert!(get(&second, &ctx, id).await.is_err());
    assert!(get(&test, &ctx, id).await.is_err());
}

#[tokio::test]
async fn a_vault_that_cannot_be_used_stops_the_start_with_a_remedy() {
    let vault = fresh_vault_key().await;
    let reason = async |change: &dyn Fn(&mut VaultConfig)| {
        let mut config = vault.clone();
        change(&mut config);
        let folder = tempfile::tempdir().unwrap();
        let config = StoreConfig { vault: Some(config), ..StoreConfig::sqlite(folder.path()) };
        let shown = format!("{:?}", config.vault);
        let error = Store::open(config).await.err().unwrap_or_else(|| panic!("opened with {shown}"));
        assert!(error.remedy_text().is_some(), "{error:?}");
        error.reason()
    };
    assert_eq!(reason(&|config: &mut VaultConfig| config.key = "absent".to_owned()).await, "vault_key_missing");
    assert_eq!(reason(&|config: &mut VaultConfig| config.mount = "nowhere".to_owned()).await, "vault_mount_missing");
    let text = |text: &str| VaultToken::Text(plasma_kernel::Secret::new(text));
    assert_eq!(reason(&|config: &mut VaultConfig| config.token = text("wrong")).await, "vault_denied");
    assert_eq!(
        reason(&|config: &mut VaultConfig| config.token = VaultToken::File("/nowhere/token".into())).await,
        "vault_token_unusable"
    );
    assert_eq!(
        reason(&|config: &mut VaultConfig| config.url = "http://127.0.0.1:1".to_owned()).await,
        "vault_unreachable"
    );
}

#[tokio::test]
async fn the_token_file_is_read_for_every_call() {
    let mut vault = fresh_vault_key().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    let VaultToken::Text(token) = &vault.token else { panic!("a text") };
    std::fs::write(&file, format!("{}\n", token.expose())).unwrap();
    vault.token = VaultToken::File(file.clone());
    let test = TestStore::sqlite_with(|config| config.vault = Some(vault)).await;
    let ctx = tenant();
    let id = put(&test, &ctx, "x").await;
    std::fs::write(&file, "expired").unwrap();
    let mut tx = test.begin(&tenant()).await.unwrap();
    assert_eq!(test.seal_secret(&mut tx, "p", "y").await.unwrap_err().reason(), "vault_denied");
    drop(tx);
    assert_eq!(get(&test, &ctx, id).await.unwrap(), "x");
}
