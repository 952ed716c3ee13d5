//! Backups of real data directories.

use plasma_store::{NewEvent, Store, StoreConfig};
use plasma_testkit::{TestStore, tenant};

use super::*;

fn key() -> (Recipient, Opener) {
    let (identity, recipient) = generate(&Random::system()).unwrap();
    (Recipient::Key(PublicKey::parse(&recipient).unwrap()), Opener::Identity(Identity::parse(&identity).unwrap()))
}

fn sources(data_dir: &Path, with_master_key: bool) -> Sources {
    let master_key = with_master_key.then(|| data_dir.join(MASTER_KEY));
    Sources { data_dir: data_dir.to_owned(), database: true, master_key, temporary: None }
}

async fn made(test: &TestStore, with_master_key: bool, recipients: &[Recipient]) -> Vec<u8> {
    let (mut backup, mut skipped) = (Vec::new(), Vec::new());
    create(&sources(test.data_dir(), with_master_key), &mut backup, recipients, &mut skipped).await.unwrap();
    assert!(skipped.is_empty());
    backup
}

/// Some events, a sealed secret, small files and a large one.
async fn filled() -> (TestStore, plasma_kernel::Ctx, Vec<u8>) {
    let (test, ctx) = (TestStore::sqlite().await, tenant());
    let mut tx = test.begin(&ctx).await.unwrap();
    for number in 0..500 {
        tx.emit(NewEvent::new("test.happened", number, serde_json::json!({ "text": "x".repeat(200) }))).await.unwrap();
    }
    let sealed = test.seal_secret(&mut tx, "p", "sk-very-secret").await.unwrap();
    tx.commit().await.unwrap();
    for (name, bytes) in [("a/one", 10), ("a/two", 0), ("b/large", 3_000_000)] {
        test.blobs().put(&ctx, name, vec![7_u8; bytes].into()).await.unwrap();
    }
    (test, ctx, sealed)
}

async fn events(store: &Store, ctx: &plasma_kernel::Ctx) -> u64 {
    let count = "SELECT COUNT(*) AS events FROM events WHERE tenant_id = $1";
    let mut tx = store.read(ctx).await.unwrap();
    tx.fetch_one(count, [ctx.tenant().unwrap().into()]).await.unwrap().get("events").unwrap()
}

#[tokio::test]
async fn a_backup_becomes_a_data_directory_again() {
    let (test, ctx, sealed) = filled().await;
    let (recipient, opener) = key();
    let backup = made(&test, true, &[recipient]).await;
    let known = last(test.data_dir()).unwrap();
    assert!(known.database && known.files == 6 && known.bytes > 3_000_000, "{known:?}");
    assert!(!test.data_dir().join(COPY_FOLDER).exists());
    let (manifest, totals) = verify(backup.as_slice(), &opener).unwrap();
    assert!(manifest.database && manifest.master_key && totals.files == 6);

    let folder = tempfile::tempdir().unwrap();
    restore(backup.as_slice(), &opener, folder.path()).await.unwrap();
    assert!(!folder.path().join(RESTORE_FOLDER).exists());
    let store = Store::open(StoreConfig::sqlite(folder.path())).await.unwrap();
    assert_eq!(events(&store, &ctx).await, 500);
    assert_eq!(store.blobs().get(&ctx, "b/large").await.unwrap().len(), 3_000_000);
    assert_eq!(store.blobs().get(&ctx, "a/two").await.unwrap().len(), 0);
    let mut tx = store.read(&ctx).await.unwrap();
    assert_eq!(*store.open_secret(&mut tx, "p", &sealed).await.unwrap(), "sk-very-secret");
    let mode = fs::metadata(folder.path().join(MASTER_KEY)).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[tokio::test]
async fn the_master_key_is_in_it_only_when_asked_for() {
    let (test, ctx, sealed) = filled().await;
    let (recipient, opener) = key();
    let backup = made(&test, false, &[recipient]).await;
    let folder = tempfile::tempdir().unwrap();
    // It was kept elsewhere, and is put there first.
    fs::copy(test.data_dir().join(MASTER_KEY), folder.path().join(MASTER_KEY)).unwrap();
    restore(backup.as_slice(), &opener, folder.path()).await.unwrap();
    let store = Store::open(StoreConfig::sqlite(folder.path())).await.unwrap();
    let mut tx = store.read(&ctx).await.unwrap();
    assert_eq!(*store.open_secret(&mut tx, "p", &sealed).await.unwrap(), "sk-very-secret");
    // Without it the start says what is missing.
    let other = tempfile::tempdir().unwrap();
    restore(backup.as_slice(), &opener, other.path()).await.unwrap();
    assert!(!other.path().join(MASTER_KEY).exists());
    assert_eq!(Store::open(StoreConfig::sqlite(other.path())).await.err().unwrap().reason(), "master_key_wrong");
}

#[tokio::test]
async fn a_running_database_is_copied_as_it_is_at_one_moment() {
    let (test, ctx, _) = filled().await;
    let (recipient, opener) = key();
    let writing = {
        let (store, ctx) = (test.store(), ctx.clone());
        tokio::spawn(async move {
            // Two events in each transaction: a copy with an odd number would have half of one.
            for number in 0..200 {
                let mut tx = store.begin(&ctx).await.unwrap();
                for _ in 0..2 {
                    tx.emit(NewEvent::new("test.happened", number, serde_json::json!({}))).await.unwrap();
                    tokio::task::yield_now().await;
                }
                tx.commit().await.unwrap();
            }
        })
    };
    let backup = made(&test, true, &[recipient]).await;
    writing.await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    restore(backup.as_slice(), &opener, folder.path()).await.unwrap();
    let store = Store::open(StoreConfig::sqlite(folder.path())).await.unwrap();
    let found = events(&store, &ctx).await;
    assert!(found >= 500 && found % 2 == 0 && found <= 900, "{found}");
}

#[tokio::test]
async fn damage_at_random_places_is_found_and_nothing_is_restored() {
    let (test, _, _) = filled().await;
    let (recipient, opener) = key();
    let whole = made(&test, true, &[recipient]).await;
    let random = Random::system();
    let place = || (random.fraction() * whole.len() as f64) as usize;
    for _ in 0..30 {
        let at = place();
        let mut changed = whole.clone();
        changed[at] ^= 1 << (at % 8);
        assert!(verify(changed.as_slice(), &opener).is_err(), "a change at {at} of {}", whole.len());
        let length = place();
        let folder = tempfile::tempdir().unwrap();
        let restored = restore(&whole[..length], &opener, folder.path()).await;
        assert!(restored.is_err(), "cut off at {length} of {}", whole.len());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
    verify(whole.as_slice(), &opener).unwrap();
}

#[tokio::test]
async fn only_those_for_whom_it_is_open_it() {
    let (test, _, _) = filled().await;
    let ((first, opens_first), (_, stranger)) = (key(), key());
    let secret = "a passphrase of some words";
    let recipients = [first, Recipient::Passphrase(passphrase(secret).unwrap())];
    let backup = made(&test, false, &recipients).await;
    verify(backup.as_slice(), &opens_first).unwrap();
    verify(backup.as_slice(), &Opener::Passphrase(passphrase(secret).unwrap())).unwrap();
    assert!(verify(backup.as_slice(), &stranger).is_err());
    assert!(verify(backup.as_slice(), &Opener::Passphrase(passphrase("another passphrase").unwrap())).is_err());
    for text in [b"sk-very-secret".as_slice(), b"SQLite format 3", b"test.happened", b"ustar"] {
        assert!(!backup.windows(text.len()).any(|window| window == text));
    }
}

#[tokio::test]
async fn a_used_folder_is_left_alone() {
    let (test, _, _) = filled().await;
    let (recipient, opener) = key();
    let backup = made(&test, false, &[recipient]).await;
    let error = restore(backup.as_slice(), &opener, test.data_dir()).await.unwrap_err();
    assert!(error.to_string().contains("not empty"), "{error}");
    let _held = lock(test.data_dir()).unwrap();
    let (recipient, _) = key();
    let again = create(&sources(test.data_dir(), false), Vec::new(), &[recipient], &mut Vec::new()).await;
    assert!(again.unwrap_err().to_string().contains("another backup"));
}

#[test]
fn a_stream_is_sealed_and_opened() {
    let (recipient, opener) = key();
    let dump: Vec<u8> = (0..500_000_u32).map(|number| (number % 251) as u8).collect();
    let (mut sealed, mut opened) = (Vec::new(), Vec::new());
    assert_eq!(seal(dump.as_slice(), &mut sealed, &[recipient]).unwrap(), 500_000);
    assert_eq!(open(sealed.as_slice(), &mut opened, &opener).unwrap(), 500_000);
    assert_eq!(opened, dump);
    assert!(open(&sealed[..sealed.len() - 70_000], Vec::new(), &opener).is_err());
}
