//! What somebody who rules the database may do to a log, and that each of it is found, named and placed.

use plasma_governance::{
    Log,
    verify::{LogReport, Tampering, Trust, verify_bundle, verify_logs, verify_snapshot},
};
use plasma_store::Snapshot;
use plasma_testkit::{TestStore, on_each_database};

use crate::support::World;

/// Kinds and places of what was found.
fn found(report: &LogReport) -> Vec<(Tampering, u64, u64)> {
    report.findings.iter().map(|finding| (finding.kind, finding.from, finding.until)).collect()
}

/// Hashes of leaves are changed as one who knows the format would: the leaf of each record is computed anew.
async fn rehash(world: &World) {
    use plasma_governance::merkle::leaf_hash;
    let mut tx = world.store.begin(&world.system()).await.unwrap();
    let sql = "SELECT record FROM audit_records WHERE tenant_id = $1 ORDER BY leaf";
    let rows = tx.fetch_all(sql, [world.tenant().into()]).await.unwrap();
    let hashes: Vec<u8> =
        rows.iter().flat_map(|row| leaf_hash(row.get::<String>("record").unwrap().as_bytes())).collect();
    let sql = "UPDATE audit_tiles SET hashes = $2 WHERE tenant_id = $1 AND level = 0 AND tile = 0";
    tx.execute(sql, [world.tenant().into(), hashes.into()]).await.unwrap();
    tx.commit().await.unwrap();
}

async fn whole(test: &TestStore, count: usize) -> World {
    let world = World::new(test).await;
    world.fill(count).await;
    let report = world.verify(&[]).await;
    assert!(report.intact && report.proven == count as u64, "{report:#?}");
    world
}

on_each_database! {
    async fn a_whole_log_is_intact(test: TestStore) {
        let world = whole(&test, 700).await;
        let note = world.newest_note().await;
        world.fill(33).await;
        let report = world.verify(&[&note]).await;
        assert!(report.intact, "{report:#?}");
        assert_eq!((report.records, report.proven, report.checkpoints, report.anchors), (733, 733, 2, 1));
    }

    async fn an_edited_record_is_found(test: TestStore) {
        let world = whole(&test, 700).await;
        world.execute("UPDATE audit_records SET record = replace(record, 'thing41', 'thing42') WHERE tenant_id = $1 AND leaf = 41").await;
        assert_eq!(found(&world.verify(&[]).await), [(Tampering::Edited, 41, 42)]);
    }

    async fn an_edited_record_whose_hash_was_computed_anew_is_found(test: TestStore) {
        let world = whole(&test, 100).await;
        world.fill(50).await;
        world.execute("UPDATE audit_records SET record = replace(record, 'thing41', 'thing42') WHERE tenant_id = $1 AND leaf = 141").await;
        rehash(&world).await;
        // The last checkpoint that is right bounds the place.
        assert_eq!(found(&world.verify(&[]).await), [(Tampering::Edited, 100, 150)]);
    }

    async fn reordered_records_are_found(test: TestStore) {
        let world = whole(&test, 700).await;
        for statement in [
            "UPDATE audit_records SET leaf = -1 WHERE tenant_id = $1 AND leaf = 300",
            "UPDATE audit_records SET leaf = 300 WHERE tenant_id = $1 AND leaf = 500",
            "UPDATE audit_records SET leaf = 500 WHERE tenant_id = $1 AND leaf = -1",
        ] {
            world.execute(statement).await;
        }
        let report = world.verify(&[]).await;
        assert_eq!(found(&report), [(Tampering::Reordered, 300, 301), (Tampering::Reordered, 500, 501)]);
    }

    async fn reordered_records_whose_hashes_were_computed_anew_are_found(test: TestStore) {
        let world = whole(&test, 100).await;
        for statement in [
            "UPDATE audit_records SET leaf = -1 WHERE tenant_id = $1 AND leaf = 30",
            "UPDATE audit_records SET leaf = 30 WHERE tenant_id = $1 AND leaf = 50",
            "UPDATE audit_records SET leaf = 50 WHERE tenant_id = $1 AND leaf = -1",
        ] {
            world.execute(statement).await;
        }
        rehash(&world).await;
        assert_eq!(found(&world.verify(&[]).await)[0].0, Tampering::Reordered);
    }

    async fn what_is_under_no_checkpoint_explains_nothing(test: TestStore) {
        let world = whole(&test, 100).await;
        world.fill(50).await;
        // The newest checkpoint goes, and the last record becomes one that tells that the first ten have expired.
        world.execute("DELETE FROM audit_checkpoints WHERE tenant_id = $1 AND size = 150").await;
        let mut tx = world.store.begin(&world.system()).await.unwrap();
        let sql = "SELECT record FROM audit_records WHERE tenant_id = $1 AND leaf = 149";
        let text: String = tx.fetch_one(sql, [world.tenant().into()]).await.unwrap().get("record").unwrap();
        let told = text.replace("test.thing.made", "audit.records.expired").replace("\"number\":49", "\"until\":10");
        assert!(told.contains("expired") && told.contains("\"until\":10"), "{told}");
        let sql = "UPDATE audit_records SET record = $2 WHERE tenant_id = $1 AND leaf = 149";
        tx.execute(sql, [world.tenant().into(), told.into()]).await.unwrap();
        tx.commit().await.unwrap();
        rehash(&world).await;
        assert!(world.verify(&[]).await.intact, "the newest records are not proven");
        world.execute("DELETE FROM audit_records WHERE tenant_id = $1 AND leaf < 10").await;
        assert_eq!(found(&world.verify(&[]).await), [(Tampering::Removed, 0, 10)]);
    }

    async fn a_removed_record_is_found(test: TestStore) {
        let world = whole(&test, 700).await;
        world.execute("DELETE FROM audit_records WHERE tenant_id = $1 AND leaf = 256").await;
        assert_eq!(found(&world.verify(&[]).await), [(Tampering::Removed, 256, 257)]);
    }

    async fn a_removed_record_whose_place_was_closed_is_found(test: TestStore) {
        let world = whole(&test, 100).await;
        world.execute("DELETE FROM audit_records WHERE tenant_id = $1 AND leaf = 10").await;
        // Each statement moves one, so that no two are ever at the same place.
        let mut tx = world.store.begin(&world.system()).await.unwrap();
        for leaf in 11_i64..100 {
            let sql = "UPDATE audit_records SET leaf = $2 WHERE tenant_id = $1 AND leaf = $3";
            tx.execute(sql, [world.tenant().into(), (leaf - 1).into(), leaf.into()]).await.unwrap();
        }
        tx.commit().await.unwrap();
        assert_eq!(found(&world.verify(&[]).await), [(Tampering::Removed, 10, 11)]);
        // With hashes that fit again, the numbers inside the records tell.
        rehash(&world).await;
        world.execute("UPDATE audit_logs SET size = 99 WHERE tenant_id = $1").await;
        assert_eq!(found(&world.verify(&[]).await), [(Tampering::Removed, 10, 11)]);
    }

    async fn records_cut_off_at_the_end_are_found(test: TestStore) {
        let world = whole(&test, 100).await;
        world.execute("DELETE FROM audit_records WHERE tenant_id = $1 AND leaf >= 95").await;
        assert_eq!(found(&world.verify(&[]).await), [(Tampering::CutOff, 95, 100)]);
        // The hashes too: the log's own checkpoint tells.
        rehash(&world).await;
        assert_eq!(found(&world.verify(&[]).await), [(Tampering::CutOff, 95, 100)]);
    }

    async fn a_log_that_was_cut_off_with_its_checkpoints_is_found_by_an_anchor(test: TestStore) {
        let world = whole(&test, 60).await;
        world.fill(40).await;
        let anchor = world.newest_note().await;
        world.execute("DELETE FROM audit_records WHERE tenant_id = $1 AND leaf >= 60").await;
        rehash(&world).await;
        world.execute("DELETE FROM audit_checkpoints WHERE tenant_id = $1 AND size > 60").await;
        world.execute("UPDATE audit_logs SET size = 60, checkpoint_size = 60, unsigned_since = NULL WHERE tenant_id = $1").await;
        // Nothing in the database shows it, and the report says that it cannot know.
        let report = world.verify(&[]).await;
        assert!(report.intact && report.notes.iter().any(|note| note.contains("--anchor")), "{report:#?}");
        assert_eq!(found(&world.verify(&[&anchor]).await), [(Tampering::CutOff, 60, 100)]);
    }

    async fn a_log_that_is_gone_altogether_is_found_by_an_anchor(test: TestStore) {
        let world = whole(&test, 10).await;
        let anchor = world.newest_note().await;
        for table in [
            "DELETE FROM audit_records WHERE tenant_id = $1",
            "DELETE FROM audit_tiles WHERE tenant_id = $1",
            "DELETE FROM audit_checkpoints WHERE tenant_id = $1",
            "DELETE FROM audit_logs WHERE tenant_id = $1",
        ] {
            world.execute(table).await;
        }
        let anchors = plasma_governance::verify::Anchor::read_all("anchor", &anchor).unwrap();
        let mut tx = world.store.read(&world.system()).await.unwrap();
        let reports = verify_logs(&mut tx, None, &Trust { key: None, anchors }).await.unwrap();
        let gone = reports.iter().find(|report| report.log == world.tenant().to_string()).unwrap();
        assert_eq!(found(gone), [(Tampering::CutOff, 0, 10)]);
    }

    async fn added_records_and_forged_checkpoints_are_found(test: TestStore) {
        let world = whole(&test, 20).await;
        world.execute(
            "INSERT INTO audit_records (tenant_id, leaf, id, at, record) VALUES ($1, 20, 'evt_7zzzzzzzzzzzzzzzzzzzzzzzzz', 1, '{\"leaf\":20}')",
        ).await;
        assert_eq!(found(&world.verify(&[]).await), [(Tampering::Added, 20, 21)]);
        world.execute("DELETE FROM audit_records WHERE tenant_id = $1 AND leaf = 20").await;
        world.execute("UPDATE audit_checkpoints SET note = replace(note, '20', '21') WHERE tenant_id = $1").await;
        assert_eq!(found(&world.verify(&[]).await)[0].0, Tampering::Forged);
    }

    async fn a_key_from_outside_finds_a_log_that_was_signed_anew(test: TestStore) {
        let world = whole(&test, 20).await;
        let other = plasma_governance::note::PublicKey([7; 32]);
        let mut tx = world.store.read(&world.system()).await.unwrap();
        let trust = Trust { key: Some(other), anchors: Vec::new() };
        let report = verify_logs(&mut tx, Some(world.tenant()), &trust).await.unwrap().remove(0);
        assert_eq!(report.findings[0].kind, Tampering::Forged);
        assert_eq!(report.proven, 0);
    }

    async fn a_changed_inner_hash_is_found(test: TestStore) {
        let world = whole(&test, 700).await;
        let mut tx = world.store.begin(&world.system()).await.unwrap();
        let sql = "SELECT hashes FROM audit_tiles WHERE tenant_id = $1 AND level = 1 AND tile = 0";
        let mut hashes: Vec<u8> = tx.fetch_one(sql, [world.tenant().into()]).await.unwrap().get("hashes").unwrap();
        hashes[40] ^= 1;
        let sql = "UPDATE audit_tiles SET hashes = $2 WHERE tenant_id = $1 AND level = 1 AND tile = 0";
        tx.execute(sql, [world.tenant().into(), hashes.into()]).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(found(&world.verify(&[]).await), [(Tampering::Edited, 256, 512)]);
    }

    async fn a_database_is_verified_without_being_opened_by_the_program(test: TestStore) {
        let world = whole(&test, 30).await;
        world.execute("DELETE FROM audit_records WHERE tenant_id = $1 AND leaf = 7").await;
        let snapshot = Snapshot::open(test.config()).await.unwrap();
        let reports = verify_snapshot(&snapshot, &world.system(), None, &Trust::default()).await.unwrap();
        let report = reports.iter().find(|report| report.log == world.tenant().to_string()).unwrap();
        assert_eq!(found(report), [(Tampering::Removed, 7, 8)]);
        let stranger = world.stranger().tenant().unwrap();
        let missing = verify_snapshot(&snapshot, &world.system(), Some(stranger), &Trust::default()).await;
        assert_eq!(missing.unwrap_err().reason(), "audit_log_not_found");
        snapshot.close().await;
    }

    async fn an_exported_log_is_verified_line_by_line(test: TestStore) {
        let world = whole(&test, 300).await;
        let format = plasma_governance::ExportFormat::Bundle;
        let mut export =
            world.governance.export(&world.owner, Log::Workspace, format, Default::default()).await.unwrap();
        let mut bundle = Vec::new();
        while let Some(piece) = export.pieces.recv().await {
            bundle.extend_from_slice(&piece.unwrap());
        }
        let bundle = String::from_utf8(bundle).unwrap();
        let lines: Vec<&str> = bundle.lines().collect();
        let first = lines.iter().position(|line| line.contains("\"kind\":\"record\"")).unwrap();
        let file = test.data_dir().join("bundle.jsonl");
        let verify = |lines: &[&str]| {
            std::fs::write(&file, lines.join("\n")).unwrap();
            found(&verify_bundle(&file, &Trust::default()).unwrap())
        };
        assert!(verify(&lines).is_empty());
        let mut edited = lines.clone();
        let line = edited[first + 9].replace("thing9", "thing8");
        edited[first + 9] = &line;
        assert_eq!(verify(&edited), [(Tampering::Edited, 9, 10)]);
        let mut reordered = lines.clone();
        reordered.swap(first + 3, first + 4);
        assert_eq!(verify(&reordered), [(Tampering::Reordered, 3, 4)]);
        let mut removed = lines.clone();
        removed.remove(first + 5);
        assert_eq!(verify(&removed), [(Tampering::Removed, 5, 6)]);
        assert_eq!(verify(&lines[..lines.len() - 10]), [(Tampering::CutOff, 290, 300)]);
        let mut damaged = lines.clone();
        damaged[first + 2] = "{\"kind\":\"record\",";
        assert_eq!(verify(&damaged).iter().map(|found| found.0).collect::<Vec<_>>(), [Tampering::Damaged, Tampering::Removed]);
        assert_eq!(verify_bundle(&test.data_dir().join("none"), &Trust::default()).unwrap_err().reason(), "file_not_found");
        std::fs::write(&file, "{\"a\":1}").unwrap();
        assert_eq!(verify_bundle(&file, &Trust::default()).unwrap_err().field_name(), Some("file"));
    }
}
