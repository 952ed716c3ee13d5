use std::time::{Duration, Instant};

use plasma_kernel::{Code, PageRequest};
use plasma_knowledge::{Collection, NewReembedding, Reembedding, ReembeddingState, SearchMode};
use plasma_models::{CallFilter, NewCustomModel, Purpose, manifest::Precision};
use plasma_store::EventFilter;
use plasma_testkit::on_each_database;

use crate::support::{Setup, keyed, long_text, markdown};

const PATIENCE: Duration = Duration::from_secs(240);
const BEFORE: &str = "local/all-minilm-l6-v2";
const AFTER: &str = "local/quick";

fn to(model: &str) -> NewReembedding {
    NewReembedding { model: model.to_owned() }
}

impl Setup {
    /// The same weights in 8-bit integers are another model.
    async fn add_other_model(&self) {
        let new = NewCustomModel {
            name: "quick".to_owned(),
            path: "local--all-minilm-l6-v2".to_owned(),
            domain: None,
            description: None,
            context_length: None,
            precision: Some(Precision::Int8),
        };
        let started = Instant::now();
        // One model's weights are read at a time in a process.
        while let Err(error) = self.models.create_custom_model(&self.ctx, new.clone()).await {
            assert!(error.reason() == "weights_being_read" && started.elapsed() < PATIENCE, "{error}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    async fn begin(&self, collection: &Collection, model: &str) -> Reembedding {
        self.knowledge.begin_reembedding(&self.ctx, collection.id, to(model)).await.unwrap()
    }

    async fn reembedding(&self, collection: &Collection) -> Reembedding {
        self.knowledge.reembedding(&self.ctx, collection.id).await.unwrap()
    }

    async fn until_reembedding(&self, collection: &Collection, wanted: impl Fn(&Reembedding) -> bool) -> Reembedding {
        let started = Instant::now();
        loop {
            let now = self.reembedding(collection).await;
            if wanted(&now) {
                return now;
            }
            assert!(started.elapsed() < PATIENCE, "{now:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn model_of(&self, collection: &Collection) -> String {
        self.knowledge.get_collection(&self.ctx, &collection.id.to_string()).await.unwrap().embedding_model
    }

    async fn ingest_calls(&self) -> usize {
        let page = PageRequest { limit: 200, cursor: None };
        let calls = self.models.calls(&self.ctx, &CallFilter::default(), &page).await.unwrap().data;
        calls.iter().filter(|call| call.purpose == Purpose::Ingest).count()
    }

    /// Passages whose vectors are not settled, and passages of another generation than `generation`.
    async fn unsettled(&self, generation: i64) -> (i64, i64) {
        let mut tx = self.test.read(&self.ctx).await.unwrap();
        let tenant = self.ctx.tenant().unwrap();
        let row = tx
            .fetch_one(
                "SELECT COUNT(next_generation) AS next,
                        CAST(COALESCE(SUM(CASE WHEN embedding_generation <> $2 THEN 1 ELSE 0 END), 0) AS BIGINT) AS others
                 FROM passages WHERE tenant_id = $1",
                [tenant.into(), generation.into()],
            )
            .await
            .unwrap();
        (row.get("next").unwrap(), row.get("others").unwrap())
    }
}

on_each_database! {
    async fn the_model_changes_while_the_collection_is_searched_and_filled(test: TestStore) {
        let setup = Setup::start(test).await;
        setup.add_other_model().await;
        let collection = setup.collection("moving").await;
        let long = setup.bring(&collection, keyed("long", "Ledger", &long_text(60))).await;
        let before = setup.search(&collection, SearchMode::Vector, "who bakes bread").await;

        let begun = setup.begin(&collection, AFTER).await;
        assert_eq!((begun.state, begun.generation, begun.model.as_str()), (ReembeddingState::Running, 1, AFTER));
        assert_eq!(begun.total, long.chunk_count);
        let again = setup.knowledge.begin_reembedding(&setup.ctx, collection.id, to(AFTER)).await.unwrap_err();
        assert_eq!((again.code(), again.reason()), (Code::Conflict, "reembedding_running"));
        // Added, and replaced, meanwhile.
        let added = setup.add(&collection, markdown("Tides", "High water reaches the outer pier twice a day.")).await;
        let replaced = setup.add(&collection, keyed("long", "Ledger", &long_text(50))).await;
        let mut searches = 0;
        loop {
            let now = setup.reembedding(&collection).await;
            let found = setup.search(&collection, SearchMode::Vector, "who bakes bread").await;
            assert!(!found.results.is_empty() && found.results[0].why.vector.as_ref().unwrap().similarity > 0.1);
            searches += 1;
            if now.state != ReembeddingState::Running {
                assert_eq!((now.state, now.error), (ReembeddingState::Done, None));
                break;
            }
        }
        setup.ready(&collection, added.id).await;
        setup.ready(&collection, replaced.id).await;
        assert!(searches > 0);
        assert_eq!(setup.model_of(&collection).await, AFTER);
        let after = setup.search(&collection, SearchMode::Vector, "who bakes bread").await;
        let similarity = |answer: &plasma_knowledge::SearchAnswer| answer.results[0].why.vector.as_ref().unwrap().similarity;
        // The vectors are others, and near to those from before.
        assert!((similarity(&before) - similarity(&after)).abs() < 0.05);
        let found = setup.search(&collection, SearchMode::Vector, "when is the sea high").await;
        assert_eq!(found.results[0].document_id, added.id);

        setup.until_idle().await;
        assert_eq!(setup.unsettled(1).await, (0, 0));
        let found_settled = setup.search(&collection, SearchMode::Vector, "when is the sea high").await;
        assert_eq!(found_settled.results[0].why.vector, found.results[0].why.vector);
        let mut tx = setup.test.read(&setup.ctx).await.unwrap();
        let page = PageRequest { limit: 200, cursor: None };
        let events = tx.events_page(&EventFilter::default(), &page).await.unwrap().data;
        drop(tx);
        let count = |kind: &str| events.iter().filter(|event| event.kind == kind).count();
        assert_eq!(count("knowledge.collection.reembedding"), 1);
        assert_eq!(count("knowledge.collection.reembedded"), 1);

        // And back again, which the passages' hashes do not shorten: those of the first model are gone.
        setup.begin(&collection, BEFORE).await;
        let ended = setup.until_reembedding(&collection, |now| now.state != ReembeddingState::Running).await;
        assert_eq!((ended.state, ended.generation, ended.done), (ReembeddingState::Done, 2, ended.total));
        setup.until_idle().await;
        assert_eq!((setup.model_of(&collection).await.as_str(), setup.unsettled(2).await), (BEFORE, (0, 0)));
        let setup = setup.restart().await;
        let found = setup.search(&collection, SearchMode::Vector, "when is the sea high").await;
        assert_eq!(found.results[0].document_id, added.id);
    }

    async fn a_restart_in_the_middle_goes_on(test: TestStore) {
        let setup = Setup::start(test).await;
        setup.add_other_model().await;
        let collection = setup.collection("interrupted").await;
        setup.bring(&collection, markdown("Ledger", &long_text(120))).await;
        setup.begin(&collection, AFTER).await;
        setup.until_reembedding(&collection, |now| now.done > 0).await;
        let calls = setup.ingest_calls().await;
        let setup = setup.restart().await;
        let ended = setup.until_reembedding(&collection, |now| now.state != ReembeddingState::Running).await;
        assert_eq!((ended.state, ended.done), (ReembeddingState::Done, ended.total));
        // What was kept was not embedded again: all calls together are those of all batches, and at most one that was cut off.
        let batches = ended.total.div_ceil(16) as usize;
        assert!(setup.ingest_calls().await <= 2 * batches + 2, "{calls} calls before, {}", setup.ingest_calls().await);
        assert_eq!(setup.model_of(&collection).await, AFTER);
        setup.until_idle().await;
        assert_eq!(setup.unsettled(1).await, (0, 0));
    }

    async fn a_cancelled_change_leaves_nothing_behind(test: TestStore) {
        let setup = Setup::start(test).await;
        setup.add_other_model().await;
        let collection = setup.collection("cancelled").await;
        let document = setup.bring(&collection, markdown("Ledger", &long_text(160))).await;
        let none = setup.knowledge.cancel_reembedding(&setup.ctx, collection.id).await.unwrap_err();
        assert_eq!(none.reason(), "reembedding_not_found");
        setup.begin(&collection, AFTER).await;
        setup.until_reembedding(&collection, |now| now.done > 0).await;
        let ended = setup.knowledge.cancel_reembedding(&setup.ctx, collection.id).await.unwrap();
        assert_eq!(ended.state, ReembeddingState::Cancelled);
        assert!(ended.ended_at.is_some() && ended.done < document.chunk_count, "{ended:?}");
        setup.until_idle().await;
        assert_eq!((setup.model_of(&collection).await.as_str(), setup.unsettled(0).await), (BEFORE, (0, 0)));
        assert!(!setup.search(&collection, SearchMode::Vector, "who bakes bread").await.results.is_empty());
        // Cancelling again changes nothing, and another change gets another number.
        assert_eq!(setup.knowledge.cancel_reembedding(&setup.ctx, collection.id).await.unwrap().state, ReembeddingState::Cancelled);
        assert_eq!(setup.begin(&collection, AFTER).await.generation, 2);
        setup.knowledge.delete_collection(&setup.ctx, collection.id).await.unwrap();
        setup.until_idle().await;
        assert_eq!(setup.passages().await, 0);
        assert_eq!(setup.rows("SELECT COUNT(*) AS number FROM collection_reembeddings WHERE tenant_id = $1").await, 0);
    }

    async fn models_that_cannot_embed_are_refused_and_an_empty_collection_changes_at_once(test: TestStore) {
        let setup = Setup::start(test).await;
        setup.add_other_model().await;
        let collection = setup.collection("empty").await;
        let missing = setup.knowledge.reembedding(&setup.ctx, collection.id).await.unwrap_err();
        assert_eq!(missing.reason(), "reembedding_not_found");
        for (model, code) in [
            ("local/nothing", Code::NotFound),
            ("local/qwen2.5-coder-0.5b-instruct", Code::Invalid),
            ("", Code::Invalid),
        ] {
            let error = setup.knowledge.begin_reembedding(&setup.ctx, collection.id, to(model)).await.unwrap_err();
            assert_eq!((error.code(), error.field_name()), (code, Some("model")), "{model}");
        }
        setup.begin(&collection, AFTER).await;
        setup.until_reembedding(&collection, |now| now.state == ReembeddingState::Done).await;
        setup.bring(&collection, markdown("Lamp", "The lamp turns once in ten seconds.")).await;
        assert_eq!((setup.model_of(&collection).await.as_str(), setup.unsettled(1).await), (AFTER, (0, 0)));
        assert_eq!(setup.search(&collection, SearchMode::Vector, "rotating light").await.results.len(), 1);
    }

    async fn the_same_text_is_embedded_once_for_a_tenant(test: TestStore) {
        let setup = Setup::start(test).await;
        let (one, two) = (setup.collection("one").await, setup.collection("two").await);
        setup.bring(&one, markdown("Lamp", "The lamp turns once in ten seconds.")).await;
        let calls = setup.ingest_calls().await;
        assert!(calls > 0);
        setup.bring(&two, markdown("Lamp", "The lamp turns once in ten seconds.")).await;
        assert_eq!(setup.ingest_calls().await, calls);
        assert_eq!(setup.search(&two, SearchMode::Vector, "rotating light").await.results.len(), 1);
        setup.bring(&two, markdown("Horn", "The fog horn is tested on Mondays.")).await;
        assert!(setup.ingest_calls().await > calls);
        // By another model it is another vector.
        setup.add_other_model().await;
        let calls = setup.ingest_calls().await;
        setup.begin(&one, AFTER).await;
        setup.until_reembedding(&one, |now| now.state == ReembeddingState::Done).await;
        assert!(setup.ingest_calls().await > calls);
    }
}
