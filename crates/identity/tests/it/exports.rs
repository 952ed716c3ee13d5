//! A copy of all that a tenant has.

use std::{
    collections::BTreeMap,
    io::{Cursor, Read as _},
    time::{Duration, Instant},
};

use futures::TryStreamExt as _;
use plasma_identity::{Export, ExportState};
use plasma_kernel::{Code, Ctx, ExportId, Role};
use plasma_testkit::on_each_database;
use serde_json::Value;

use crate::{
    isolation::second_tenant,
    support::{DAY, World, all_of, page, reason, refused},
    tenant_life::worker,
};

async fn ended(world: &World, ctx: &Ctx, id: ExportId) -> Export {
    let begun = Instant::now();
    loop {
        let export = world.identity.export(ctx, id).await.unwrap();
        if !matches!(export.state, ExportState::Queued | ExportState::Running) {
            return export;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "the export does not end: {export:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn entries(world: &World, ctx: &Ctx, id: ExportId) -> BTreeMap<String, String> {
    let (export, bytes) = world.identity.export_content(ctx, id).await.unwrap();
    let bytes: Vec<u8> = bytes.try_collect::<Vec<_>>().await.unwrap().concat();
    assert_eq!(export.size_bytes, Some(bytes.len() as u64));
    let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).unwrap();
    let mut entries = BTreeMap::new();
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index).unwrap();
        let mut text = String::new();
        entry.read_to_string(&mut text).unwrap();
        entries.insert(entry.name().unwrap().into_owned(), text);
    }
    entries
}

on_each_database! {
    async fn an_archive_holds_all_of_a_tenant_and_no_secret(test: TestStore) {
        let world = World::new(test.store()).await;
        let bea = second_tenant(&world).await;
        world.add("ada", Role::Editor).await;
        let key = world.identity.create_api_key(&world.owner, all_of(Role::Editor)).await.unwrap().key;
        for number in 0..3 {
            world.store.blobs().put(&world.owner, &format!("knowledge/{number}"), format!("file {number}").into()).await.unwrap();
        }
        world.store.blobs().put(&bea, "knowledge/9", "not ours".into()).await.unwrap();
        let workflows = worker(&world).await;
        let asked = world.identity.request_export(&world.owner).await.unwrap();
        assert_eq!(asked.state, ExportState::Queued);
        let export = ended(&world, &world.owner, asked.id).await;
        assert_eq!((export.state, export.error.clone()), (ExportState::Ready, None));
        assert!(export.total > 3 && export.done == export.total);
        assert_eq!(export.expires_at, Some(world.clock.now() + 7 * 86_400_000_000));

        let entries = entries(&world, &world.owner, asked.id).await;
        let manifest: Value = serde_json::from_str(&entries["manifest.json"]).unwrap();
        assert_eq!(manifest["format"], "plasma-export/1");
        assert_eq!(manifest["files"], 3);
        let tenant = world.owner.tenant().unwrap().to_string();
        for table in manifest["tables"].as_array().unwrap() {
            let name = table["name"].as_str().unwrap();
            let lines: Vec<Value> = entries[&format!("tables/{name}.jsonl")].lines().map(|line| serde_json::from_str(line).unwrap()).collect();
            assert_eq!(lines.len() as u64, table["rows"].as_u64().unwrap(), "{name}");
            assert!(lines.iter().all(|line| line["tenant_id"] == tenant.as_str()), "{name}");
        }
        assert!(entries["users.jsonl"].contains("ada@example.org") && !entries["users.jsonl"].contains("bea@example.org"));
        assert_eq!(entries["files/knowledge/1"], "file 1");
        assert!(entries["tables/events.jsonl"].contains("identity.api_key.created"));
        assert!(!entries.contains_key("tables/tenant_keys.jsonl"));
        let all: String = entries.values().map(String::as_str).collect();
        for secret in ["token_hash\":", "password_hash\":", "not ours", "bea@example.org", key.expose(), "argon2"] {
            assert!(!all.contains(secret), "{secret}");
        }
        assert_eq!(world.count_events(&world.owner, "identity.export.fetched", asked.id).await, 1);

        // For the next one, this one is no file of the tenant's.
        let next = world.identity.request_export(&world.owner).await.unwrap();
        ended(&world, &world.owner, next.id).await;
        let again = self::entries(&world, &world.owner, next.id).await;
        assert!(again.keys().all(|name| !name.starts_with("files/exports/")));
        workflows.stop().await;
    }

    async fn others_find_no_export_and_small_roles_make_none(test: TestStore) {
        let world = World::new(test.store()).await;
        let bea = second_tenant(&world).await;
        world.add("ada", Role::Admin).await;
        let (_, admin) = world.enter("ada").await;
        assert_eq!(reason(world.identity.request_export(&admin).await), "forbidden");
        let asked = world.identity.request_export(&world.owner).await.unwrap();
        assert_eq!(reason(world.identity.request_export(&world.owner).await), "export_under_way");
        assert_eq!(reason(world.identity.export(&bea, asked.id).await), "export_not_found");
        assert_eq!(reason(world.identity.delete_export(&bea, asked.id).await), "export_not_found");
        assert!(world.identity.exports(&bea, &page()).await.unwrap().data.is_empty());
        assert_eq!(refused(world.identity.export_content(&world.owner, asked.id).await).reason(), "export_not_ready");
        // Given up before a worker took it.
        world.identity.delete_export(&world.owner, asked.id).await.unwrap();
        let workflows = worker(&world).await;
        let next = world.identity.request_export(&world.owner).await.unwrap();
        assert_eq!(ended(&world, &world.owner, next.id).await.state, ExportState::Ready);
        workflows.stop().await;
    }

    async fn a_closed_tenant_can_still_be_taken_out_and_the_archive_goes_after_a_week(test: TestStore) {
        let world = World::new(test.store()).await;
        let bea = second_tenant(&world).await;
        world.identity.suspend_tenant(&world.owner, bea.tenant().unwrap(), None).await.unwrap();
        let workflows = worker(&world).await;
        let asked = world.identity.request_export(&bea).await.unwrap();
        assert_eq!(ended(&world, &bea, asked.id).await.state, ExportState::Ready);
        workflows.stop().await;

        world.clock.advance(7 * DAY);
        assert_eq!(refused(world.identity.export_content(&bea, asked.id).await).code(), Code::Gone);
        let workflows = worker(&world).await;
        let begun = Instant::now();
        while world.identity.export(&bea, asked.id).await.unwrap().state != ExportState::Expired {
            assert!(begun.elapsed() < Duration::from_secs(60), "the archive is still there");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert_eq!(futures::StreamExt::count(world.store.blobs().list(&bea).unwrap()).await, 0);
        workflows.stop().await;
    }
}
