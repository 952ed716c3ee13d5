//! Proofs that whoever keeps a checkpoint can check without trusting the program.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use plasma_governance::{
    Log, RecordFilter, canonical,
    merkle::{Hash, is_consistent, leaf_hash, root_of_inclusion},
    note::{self, PublicKey},
};
use plasma_kernel::{Ctx, PageRequest, Permission, Permissions};
use plasma_testkit::{on_each_database, with_permissions};

use crate::support::World;

fn hash(text: &str) -> Hash {
    STANDARD.decode(text).unwrap().try_into().unwrap()
}

fn path(hashes: &[String]) -> Vec<Hash> {
    hashes.iter().map(|text| hash(text)).collect()
}

on_each_database! {
    async fn a_record_is_proven_to_be_under_a_checkpoint(test: TestStore) {
        let world = World::new(&test).await;
        world.fill(700).await;
        let key = world.governance.key(&world.owner, Log::Workspace).unwrap();
        let key = PublicKey::parse(&key.verifier_key).unwrap();
        let page = PageRequest { limit: 200, cursor: None };
        let records = world.governance.records(&world.owner, Log::Workspace, RecordFilter::default(), &page).await.unwrap();
        for record in records.data.iter().step_by(37) {
            let detail = world.governance.record(&world.owner, Log::Workspace, record.id).await.unwrap();
            let proof = detail.proof.unwrap();
            assert!(proof.verified);
            // What anybody can do with the answer alone.
            let value: serde_json::Value = serde_json::from_str(&detail.canonical).unwrap();
            assert_eq!(canonical(&value), detail.canonical);
            let signed = note::open(&proof.checkpoint.note, &key).unwrap();
            assert_eq!(signed.size, 700);
            let leaf = leaf_hash(detail.canonical.as_bytes());
            assert_eq!(root_of_inclusion(record.leaf, signed.size, leaf, &path(&proof.path)), Some(signed.root));
        }
    }

    async fn the_log_is_proven_to_have_only_grown(test: TestStore) {
        let world = World::new(&test).await;
        let mut sizes = Vec::new();
        for count in [1, 255, 1, 300, 513] {
            world.fill(count).await;
            sizes.push(world.governance.log_state(&world.owner, Log::Workspace).await.unwrap().size);
        }
        assert_eq!(sizes, [1, 256, 257, 557, 1_070]);
        let governance = &world.governance;
        for (place, from) in sizes.iter().enumerate() {
            for to in &sizes[place..] {
                let proof = governance.consistency_proof(&world.owner, Log::Workspace, *from, *to).await.unwrap();
                let (old, new) = (hash(&proof.from_root), hash(&proof.to_root));
                assert!(is_consistent(*from, *to, &old, &new, &path(&proof.path)), "{from} {to}");
            }
        }
        // The roots are those that were signed.
        let page = PageRequest::default();
        for checkpoint in governance.checkpoints(&world.owner, Log::Workspace, &page).await.unwrap().data {
            let proof = governance.inclusion_proof(&world.owner, Log::Workspace, 0, checkpoint.size).await.unwrap();
            assert_eq!(proof.root, checkpoint.root);
            let root = root_of_inclusion(0, checkpoint.size, hash(&proof.leaf_hash), &path(&proof.path));
            assert_eq!(root, Some(hash(&checkpoint.root)));
        }
        let wrong = governance.inclusion_proof(&world.owner, Log::Workspace, 5, 5).await.unwrap_err();
        assert_eq!(wrong.field_name(), Some("leaf"));
        let wrong = governance.consistency_proof(&world.owner, Log::Workspace, 1, 5_000).await.unwrap_err();
        assert_eq!(wrong.field_name(), Some("to"));
        let wrong = governance.consistency_proof(&world.owner, Log::Workspace, 9, 5).await.unwrap_err();
        assert_eq!(wrong.field_name(), Some("from"));
    }

    async fn a_log_that_was_changed_is_not_signed_again(test: TestStore) {
        let world = World::new(&test).await;
        world.fill(300).await;
        let before = world.newest_note().await;
        // Somebody who rules the database changes a hash at the edge of the tree.
        let hashes = "SELECT hashes FROM audit_tiles WHERE tenant_id = $1 AND level = 0 AND tile = 1";
        let mut tx = world.store.begin(&world.system()).await.unwrap();
        let mut bytes: Vec<u8> = tx.fetch_one(hashes, [world.tenant().into()]).await.unwrap().get("hashes").unwrap();
        bytes[0] ^= 1;
        let change = "UPDATE audit_tiles SET hashes = $2 WHERE tenant_id = $1 AND level = 0 AND tile = 1";
        tx.execute(change, [world.tenant().into(), bytes.into()]).await.unwrap();
        tx.commit().await.unwrap();
        world.fill(1).await;
        assert_eq!(world.newest_note().await, before, "two histories were signed");
        let page = PageRequest { limit: 1, cursor: None };
        let filter = RecordFilter { subject: Some("thing_299".to_owned()), ..RecordFilter::default() };
        let record = world.governance.records(&world.owner, Log::Workspace, filter, &page).await.unwrap().data.remove(0);
        let detail = world.governance.record(&world.owner, Log::Workspace, record.id).await.unwrap();
        assert!(!detail.proof.unwrap().verified);
    }

    async fn nobody_reads_the_log_without_the_permission(test: TestStore) {
        let world = World::new(&test).await;
        world.fill(1).await;
        let page = PageRequest::default();
        let nobody = with_permissions(&world.owner, Permissions::none());
        let reader = with_permissions(&world.owner, Permissions::none().with(Permission::AuditRead));
        let governance = &world.governance;
        let list = async |ctx: &Ctx, log: Log| governance.records(ctx, log, RecordFilter::default(), &page).await.map(|page| page.data);
        assert_eq!(list(&nobody, Log::Workspace).await.unwrap_err().reason(), "forbidden");
        assert_eq!(list(&reader, Log::Workspace).await.unwrap().len(), 1);
        // The installation's log takes more.
        assert_eq!(list(&reader, Log::Installation).await.unwrap_err().reason(), "forbidden");
        let record = list(&reader, Log::Workspace).await.unwrap().remove(0);
        let stranger = world.stranger();
        let foreign = governance.record(&stranger, Log::Workspace, record.id).await.unwrap_err();
        assert_eq!(foreign.reason(), "audit_record_not_found");
        let refused = governance.set_retention(&reader, Log::Workspace, None).await.unwrap_err();
        assert_eq!(refused.reason(), "forbidden");
    }
}
