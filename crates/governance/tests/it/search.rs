//! Finding records among many.

use plasma_governance::{ExportFormat, Log, RecordFilter};
use plasma_kernel::{PageRequest, Result};
use plasma_store::NewEvent;
use plasma_testkit::on_each_database;
use serde_json::json;

use crate::support::World;

async fn found(world: &World, filter: RecordFilter) -> Result<Vec<String>> {
    let mut subjects = Vec::new();
    let mut cursor = None;
    loop {
        let page = PageRequest { limit: 7, cursor };
        let records = world.governance.records(&world.owner, Log::Workspace, filter.clone(), &page).await?;
        assert!(records.data.len() <= 7);
        subjects.extend(records.data.into_iter().map(|record| record.subject));
        cursor = records.next_cursor;
        if cursor.is_none() {
            return Ok(subjects);
        }
    }
}

fn text(text: &str) -> RecordFilter {
    RecordFilter { text: Some(text.to_owned()), ..RecordFilter::default() }
}

on_each_database! {
    async fn each_filter_finds_what_fits_and_nothing_else(test: TestStore) {
        let world = World::new(&test).await;
        let (colleague, ctx) = world.colleague();
        world.fill(300).await;
        let began = world.owner.now();
        world.clock.advance(std::time::Duration::from_secs(60));
        let change = json!({"after": {"name": "Ada Lovelace", "city": "Zürich"}});
        world.emit(&ctx, "identity.user.updated", "usr_x", change).await;
        world.emit(&ctx, "identity.login.failed", "usr_x", json!({})).await;
        world.clock.advance(std::time::Duration::from_secs(60));
        world.fill(300).await;
        let only = RecordFilter::default;
        let of_colleague = RecordFilter { actor: Some(colleague.to_string()), ..only() };
        assert_eq!(found(&world, of_colleague.clone()).await.unwrap(), ["usr_x", "usr_x"]);
        let failed = RecordFilter { action: Some("identity.login.failed".to_owned()), ..of_colleague };
        assert_eq!(found(&world, failed).await.unwrap().len(), 1);
        let identity = RecordFilter { action: Some("identity.*".to_owned()), ..only() };
        assert_eq!(found(&world, identity).await.unwrap().len(), 2);
        assert!(found(&world, RecordFilter { action: Some("ident*".to_owned()), ..only() }).await.unwrap().is_empty());
        let address = RecordFilter { address: Some("203.0.113.7".to_owned()), ..only() };
        assert_eq!(found(&world, address).await.unwrap().len(), 600);
        assert_eq!(found(&world, text("lovelace ada")).await.unwrap(), ["usr_x"]);
        assert_eq!(found(&world, text("love")).await.unwrap(), ["usr_x"]);
        assert_eq!(found(&world, text("zürich")).await.unwrap(), ["usr_x"]);
        assert!(found(&world, text("ada turing")).await.unwrap().is_empty());
        // Both fillings have it; the newest comes first.
        assert_eq!(found(&world, text("thing299")).await.unwrap(), ["thing_299", "thing_299"]);
        let times = RecordFilter { from: Some(began + 1), to: Some(began + 60_000_001), ..only() };
        assert_eq!(found(&world, times).await.unwrap().len(), 2);
        let all = found(&world, only()).await.unwrap();
        assert_eq!((all.len(), all[0].as_str(), all[601].as_str()), (602, "thing_299", "thing_0"));
    }

    async fn a_wrong_filter_names_its_field(test: TestStore) {
        let world = World::new(&test).await;
        let field = async |filter| found(&world, filter).await.unwrap_err().field_name().unwrap().to_owned();
        assert_eq!(field(text("a b c d e f g h i")).await, "text");
        assert_eq!(field(RecordFilter { from: Some(2), to: Some(1), ..RecordFilter::default() }).await, "from");
        assert_eq!(field(RecordFilter { actor: Some("x".repeat(401)), ..RecordFilter::default() }).await, "actor");
        let page = PageRequest { limit: 1, cursor: Some("x".to_owned()) };
        let wrong = world.governance.records(&world.owner, Log::Workspace, RecordFilter::default(), &page).await;
        assert_eq!(wrong.unwrap_err().field_name(), Some("cursor"));
    }

    async fn exports_hold_what_fits_and_are_recorded(test: TestStore) {
        let world = World::new(&test).await;
        let mut tx = world.store.begin(&world.owner).await.unwrap();
        tx.emit(NewEvent::new("test.changed", "=cmd", json!({})).changed(json!({"a": 1}), json!({"a": 2}))).await.unwrap();
        tx.commit().await.unwrap();
        world.fill(600).await;
        let export = async |format, filter| {
            let mut export = world.governance.export(&world.owner, Log::Workspace, format, filter).await.unwrap();
            let mut whole = Vec::new();
            while let Some(piece) = export.pieces.recv().await {
                whole.extend_from_slice(&piece.unwrap());
            }
            (export.file_name, String::from_utf8(whole).unwrap())
        };
        let (name, csv) = export(ExportFormat::Csv, RecordFilter::default()).await;
        assert!(name.ends_with(".csv"), "{name}");
        assert_eq!(csv.lines().count(), 602);
        assert!(csv.contains(",'=cmd,"), "a formula");
        let only = RecordFilter { action: Some("test.changed".to_owned()), ..RecordFilter::default() };
        let (_, lines) = export(ExportFormat::Jsonl, only.clone()).await;
        let line: serde_json::Value = serde_json::from_str(lines.trim()).unwrap();
        assert_eq!(line["data"], json!({"before": {"a": 1}, "after": {"a": 2}}));
        world.catch_up().await;
        let exported = RecordFilter { action: Some("audit.log.exported".to_owned()), ..RecordFilter::default() };
        assert_eq!(found(&world, exported).await.unwrap().len(), 2);
        let refused = world.governance.export(&world.owner, Log::Workspace, ExportFormat::Bundle, only).await;
        assert_eq!(refused.err().unwrap().field_name(), Some("format"));
    }
}
