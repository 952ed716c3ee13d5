//! How results are ordered, and that every number of an explanation is true.

use plasma_kernel::{Code, Ctx, Permission};
use plasma_knowledge::{
    Collection, CollectionChange, ComponentSource, Explanation, Hit, RankingSettings, SearchAnswer, SearchMode,
    SearchRequest,
};
use plasma_models::{CallFilter, EmbedRequest, ModelKind, Priority, Purpose};
use plasma_testkit::{on_each_database, tenant, with_permissions};
use serde_json::{Value, json};

use crate::{
    reranker::Reranker,
    support::{Setup, keyed, markdown, request, with_metadata},
};

const DAY: i64 = 86_400_000_000;
const LAMP: &str = "The lamp of the tower turns once in ten seconds, and its keeper lights it at dusk.";

/// A request by its JSON, as clients write it.
fn ranked(settings: Value) -> SearchRequest {
    let mut fields = json!({"collection": "tower", "query": "who lights the lamp at dusk?", "explain": true});
    fields.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
    serde_json::from_value(fields).unwrap()
}

async fn search(setup: &Setup, settings: Value) -> SearchAnswer {
    setup.knowledge.search(&setup.ctx, ranked(settings)).await.unwrap()
}

fn titles(answer: &SearchAnswer) -> Vec<&str> {
    answer.results.iter().map(|hit| hit.title.as_str()).collect()
}

/// Documents on a lighthouse, of different ages and popularity.
async fn tower(setup: &Setup) -> Collection {
    let collection = setup.collection("tower").await;
    let now = setup.ctx.now();
    let documents = [
        ("Lamp", LAMP, json!({"views": 3, "published": now - 400 * DAY})),
        (
            "Oil",
            "The keeper carries oil up the stairs at dusk, so that the lamp burns until dawn.",
            json!({"views": 9_000, "published": now}),
        ),
        (
            "Stairs",
            "Two hundred stairs lead to the gallery, and the keeper counts them each evening.",
            json!({"views": 50, "published": now - 30 * DAY}),
        ),
        ("Ships", "Ships pass the reef at night and look for the light of the tower.", json!({"views": 700})),
        ("Kitchen", "Pancakes are made of flour, milk and eggs.", json!({})),
    ];
    for (title, text, metadata) in documents {
        setup.bring(&collection, with_metadata(markdown(title, text), metadata)).await;
    }
    collection
}

#[track_caller]
fn explanation(hit: &Hit) -> &Explanation {
    let explanation = hit.explanation.as_ref().expect("an explanation was asked for");
    let sum: f64 = explanation.components.iter().map(|component| component.contribution).sum();
    assert!(
        (sum - hit.score).abs() < 1e-9 && explanation.score == hit.score,
        "{sum} is not {}: {explanation:?}",
        hit.score
    );
    assert!(explanation.components.iter().all(|component| !component.summary.is_empty()));
    for component in &explanation.components {
        let terms: f64 = component.terms.iter().map(|term| term.score).sum();
        let expected = if component.source == ComponentSource::Text { component.raw.unwrap() } else { 0.0 };
        assert!((terms - expected).abs() <= 1e-2 * expected.max(0.1), "{terms} is not {expected}: {component:?}");
        for (term, fields) in component.terms.iter().filter_map(|term| Some((term, term.fields?))) {
            let sum = fields.title + fields.heading + fields.text;
            assert!((sum - term.score).abs() <= 1e-2 * term.score, "{term:?}");
        }
    }
    explanation
}

fn contribution(hit: &Hit, source: ComponentSource) -> Option<f64> {
    explanation(hit)
        .components
        .iter()
        .find(|component| component.source == source)
        .map(|component| component.contribution)
}

#[track_caller]
fn assert_true(answer: &SearchAnswer) {
    assert!(!answer.results.is_empty());
    assert!(answer.results.is_sorted_by(|left, right| left.score >= right.score));
    for hit in &answer.results {
        explanation(hit);
    }
}

on_each_database! {
    async fn both_halves_are_fused_as_the_request_says(test: TestStore) {
        let setup = Setup::start(test).await;
        tower(&setup).await;
        let plain = search(&setup, json!({"fusion": {"method": "rrf"}})).await;
        assert_true(&plain);
        for hit in &plain.results {
            assert_eq!(hit.score, hit.why.fusion.score);
        }
        let stages = plain.explanation.as_ref().unwrap();
        assert_eq!((stages.candidates.vector, stages.filter.passages, stages.filter.selectivity), (5, 5, 1.0));
        assert!(stages.candidates.text >= 2 && stages.candidates.both == stages.candidates.text, "{stages:?}");
        assert!(stages.stages.iter().any(|stage| stage.contains("k 60")), "{stages:?}");

        // BM25 is told word by word and field by field: the lamp stands in the title too.
        let lamp = plain.results.iter().find(|hit| hit.title == "Lamp").unwrap();
        let words = explanation(lamp).components.iter().find(|component| component.source == ComponentSource::Text).unwrap();
        let word = words.terms.iter().find(|term| term.term == "lamp").unwrap_or_else(|| panic!("{words:?}"));
        assert!(word.fields.is_some_and(|fields| fields.title > 0.0 && fields.text > 0.0 && fields.heading == 0.0), "{word:?}");

        let weighted = search(&setup, json!({"fusion": {"method": "weighted", "vector_weight": 3}})).await;
        assert_true(&weighted);
        let best = &weighted.results[0];
        assert!(best.score <= 1.0 && best.why.fusion.formula.ends_with(") / 4"), "{}", best.why.fusion.formula);
        // Of few candidates the nearest by meaning is 1.
        let nearest = weighted.results.iter().find(|hit| hit.why.vector.as_ref().unwrap().rank == 1).unwrap();
        assert_eq!(contribution(nearest, ComponentSource::Vector), Some(0.75));

        // Without the weight of one half the other decides.
        let by_words = search(&setup, json!({"fusion": {"method": "rrf", "vector_weight": 0, "k": 1}})).await;
        assert_true(&by_words);
        let ranks: Vec<u32> = by_words.results.iter().filter_map(|hit| hit.why.text.as_ref()).map(|reason| reason.rank).collect();
        assert!(ranks.is_sorted(), "{ranks:?}");
        assert_eq!(by_words.results[0].why.fusion.formula.split(" + ").last(), Some("1/(1+1)"));
        let quiet = setup.knowledge.search(&setup.ctx, SearchRequest { explain: false, ..ranked(json!({})) }).await.unwrap();
        assert!(quiet.explanation.is_none() && quiet.results.iter().all(|hit| hit.explanation.is_none()));
    }

    async fn signals_lift_what_is_new_or_popular(test: TestStore) {
        let setup = Setup::start(test).await;
        tower(&setup).await;
        // By ranks, for by scores the last candidate has nothing that could be lifted.
        let by_ranks = json!({"method": "rrf"});
        let popular = search(&setup, json!({"fusion": by_ranks, "popularity": {"field": "views", "weight": 10}})).await;
        assert_true(&popular);
        assert_eq!(popular.results[0].title, "Oil");
        let lift = |answer: &SearchAnswer, title: &str, source| {
            let hit = answer.results.iter().find(|hit| hit.title == title).unwrap();
            contribution(hit, source).unwrap() / hit.why.fusion.score
        };
        assert!((lift(&popular, "Oil", ComponentSource::Popularity) - 10.0).abs() < 1e-9);
        let expected = 10.0 * 4.0_f64.ln() / 9_001.0_f64.ln();
        assert!((lift(&popular, "Lamp", ComponentSource::Popularity) - expected).abs() < 1e-9);
        assert_eq!(lift(&popular, "Kitchen", ComponentSource::Popularity), 0.0);

        let recent = search(&setup, json!({"fusion": by_ranks, "recency": {"field": "published", "half_life_days": 30, "weight": 2}})).await;
        assert_true(&recent);
        assert!((lift(&recent, "Stairs", ComponentSource::Recency) - 1.0).abs() < 1e-3);
        assert_eq!(lift(&recent, "Ships", ComponentSource::Recency), 0.0);
        // The documents' own times: all have just been brought.
        for field in ["$updated_at", "$created_at"] {
            let own = search(&setup, json!({"fusion": by_ranks, "recency": {"field": field, "half_life_days": 1, "weight": 1}})).await;
            assert_true(&own);
            assert!((lift(&own, "Kitchen", ComponentSource::Recency) - 1.0).abs() < 0.1, "{field}");
        }
        let unknown = search(&setup, json!({"popularity": {"field": "vies"}})).await;
        assert!(unknown.warnings.iter().any(|warning| warning.contains("`vies`")), "{:?}", unknown.warnings);
    }

    async fn near_identical_passages_are_folded(test: TestStore) {
        let setup = Setup::start(test).await;
        let collection = tower(&setup).await;
        setup.bring(&collection, markdown("Lamp", &LAMP.replace("dusk.", "dusk!"))).await;
        // Almost the same words, but another number.
        setup.bring(&collection, markdown("Lamp", &format!("{LAMP} It has 1000 candles."))).await;
        setup.bring(&collection, markdown("Lamp", &format!("{LAMP} It has 2000 candles."))).await;
        let folded = search(&setup, json!({})).await;
        assert_true(&folded);
        let lamps: Vec<&Hit> = folded.results.iter().filter(|hit| hit.title == "Lamp").collect();
        assert_eq!(lamps.len(), 3, "{:?}", titles(&folded));
        let duplicates: Vec<_> = lamps.iter().flat_map(|hit| &hit.duplicates).collect();
        assert_eq!((duplicates.len(), folded.explanation.as_ref().unwrap().folded), (1, 1));
        let duplicate = duplicates[0];
        assert_eq!((duplicate.title.as_str(), duplicate.ordinal), ("Lamp", 0));
        assert!(duplicate.similarity.unwrap() >= 0.95 && folded.results.iter().all(|hit| hit.passage_id != duplicate.passage_id));
        let better = lamps.iter().find(|hit| !hit.duplicates.is_empty()).unwrap();
        assert!(better.score >= duplicate.score);
        // By words alone as well: the vectors are there in every mode.
        let words = search(&setup, json!({"mode": "text"})).await;
        assert_eq!(words.results.iter().map(|hit| hit.duplicates.len()).sum::<usize>(), 1);
        let all = search(&setup, json!({"deduplicate": false})).await;
        assert_eq!(titles(&all).iter().filter(|title| **title == "Lamp").count(), 4);
        assert!(all.results.iter().all(|hit| hit.duplicates.is_empty()));
    }

    async fn results_may_be_diverse_and_of_many_documents(test: TestStore) {
        let setup = Setup::start(test).await;
        let collection = tower(&setup).await;
        let long = format!("# The lamp\n\n{LAMP}\n\n# The lamp's glass\n\nThe keeper polishes the glass of the lamp before dusk.\n\n# The lamp's wick\n\nAt dusk the keeper trims the wick, then lights the lamp.");
        setup.bring(&collection, markdown("Manual", &long)).await;
        let plain = search(&setup, json!({"limit": 3})).await;
        let one_each = search(&setup, json!({"per_document": 1, "limit": 6})).await;
        assert_true(&one_each);
        let mut of: Vec<String> = one_each.results.iter().map(|hit| hit.document_id.to_string()).collect();
        of.sort_unstable();
        of.dedup();
        assert_eq!(of.len(), one_each.results.len());
        let diverse = search(&setup, json!({"diversity": 0.7, "limit": 3})).await;
        assert_true(&diverse);
        assert_eq!(diverse.results[0].passage_id, plain.results[0].passage_id);
        assert!(diverse.results.iter().all(|hit| contribution(hit, ComponentSource::Diversity).is_some()));
        assert_ne!(
            diverse.results.iter().map(|hit| hit.passage_id).collect::<Vec<_>>(),
            plain.results.iter().map(|hit| hit.passage_id).collect::<Vec<_>>(),
        );
    }

    async fn a_collection_has_its_own_ranking_which_a_request_overrides(test: TestStore) {
        let setup = Setup::start(test).await;
        let collection = tower(&setup).await;
        assert_eq!(collection.ranking, RankingSettings::default());
        let settings = json!({"fusion": {"k": 5}, "per_document": 1, "popularity": {"field": "views", "weight": 10}});
        let ranking: RankingSettings = serde_json::from_value(settings).unwrap();
        let change = CollectionChange { ranking: Some(ranking.clone()), ..CollectionChange::default() };
        // Remembered with the settings before.
        assert!(search(&setup, json!({})).await.results[0].why.fusion.formula.ends_with(") / 1"));
        let changed = setup.knowledge.update_collection(&setup.ctx, collection.id, change).await.unwrap();
        assert_eq!(changed.ranking, ranking);
        assert_eq!(setup.knowledge.get_collection(&setup.ctx, "tower").await.unwrap().ranking, ranking);
        let own = search(&setup, json!({})).await;
        assert_true(&own);
        assert_eq!((own.results[0].title.as_str(), own.took_ms.cached), ("Oil", false));
        assert!(own.results[0].why.fusion.formula.contains("5+"), "{}", own.results[0].why.fusion.formula);
        let overridden = search(&setup, json!({"popularity": {"weight": 0}, "fusion": {"k": 7}})).await;
        assert!(overridden.results[0].why.fusion.formula.contains("7+"));
        assert_eq!(contribution(&overridden.results[0], ComponentSource::Popularity), None);
        let wrong: RankingSettings = serde_json::from_value(json!({"fusion": {"k": 0}})).unwrap();
        let change = CollectionChange { ranking: Some(wrong), ..CollectionChange::default() };
        let error = setup.knowledge.update_collection(&setup.ctx, collection.id, change).await.unwrap_err();
        assert_eq!((error.code(), error.field_name()), (Code::Invalid, Some("ranking.fusion.k")));
    }

    async fn a_reranker_orders_the_candidates_anew(test: TestStore) {
        let setup = Setup::start(test).await;
        let collection = tower(&setup).await;
        setup.bring(&collection, markdown("Advertisement", "lamp lamp lamp lamp lamp lamp lamp")).await;
        let reranker = Reranker::start(&setup).await;
        let settings = json!({"rerank": {"model": "acme/rerank", "top": 4}, "limit": 3});
        let answer = search(&setup, settings.clone()).await;
        assert_true(&answer);
        assert_eq!((answer.results.len(), answer.warnings.len()), (3, 0));
        let best = &answer.results[0];
        let reason = best.why.rerank.as_ref().unwrap();
        assert_eq!((best.title.as_str(), reason.model.as_str(), reason.rank), ("Advertisement", "acme/rerank", 1));
        assert!((best.score - reason.score).abs() < 1e-12 && best.why.summary.contains("reranker"), "{}", best.why.summary);
        assert!(contribution(best, ComponentSource::Rerank).is_some());
        assert!(answer.took_ms.rerank >= 50.0);
        assert_eq!(answer.explanation.as_ref().unwrap().reranked, 4);
        let asked = reranker.asked();
        assert_eq!((asked.len(), asked[0]["documents"].as_array().unwrap().len()), (1, 4));
        assert_eq!((&asked[0]["model"], &asked[0]["query"]), (&json!("rerank"), &json!("who lights the lamp at dusk?")));
        // It is a call like any other.
        let calls = setup.models.calls(&setup.ctx, &CallFilter::default(), &Default::default()).await.unwrap().data;
        assert!(calls.iter().any(|call| call.kind == ModelKind::Rerank && call.purpose == Purpose::Search && call.usage.input_tokens == 100));

        // When it fails, the order is that of the fusion.
        reranker.fail(true);
        let fused = search(&setup, json!({"limit": 3, "diversity": 0})).await;
        let failing = json!({"rerank": {"model": "acme/rerank", "top": 4}, "limit": 3, "diversity": 0});
        for _ in 0..2 {
            let degraded = search(&setup, failing.clone()).await;
            assert_true(&degraded);
            assert_eq!(titles(&degraded), titles(&fused));
            assert!(degraded.warnings[0].contains("acme/rerank") && degraded.warnings[0].contains("did not order"), "{:?}", degraded.warnings);
            // What is degraded is not remembered.
            assert!(!degraded.took_ms.cached && degraded.results[0].why.rerank.is_none());
        }
        reranker.fail(false);
        assert!(search(&setup, failing).await.warnings.is_empty());
        let unknown = search(&setup, json!({"rerank": {"model": "acme/unknown"}})).await;
        assert!(unknown.warnings[0].contains("acme/unknown"), "{:?}", unknown.warnings);
        let wrong = ranked(json!({"rerank": {"model": "local/all-minilm-l6-v2"}}));
        let error = setup.knowledge.search(&setup.ctx, wrong).await.unwrap_err();
        assert_eq!((error.code(), error.field_name()), (Code::Invalid, Some("rerank.model")));
    }

    async fn a_vector_takes_the_place_of_the_query(test: TestStore) {
        let setup = Setup::start(test).await;
        let collection = tower(&setup).await;
        let embed = EmbedRequest {
            model: Some(collection.embedding_model.clone()),
            inputs: vec!["who lights the lamp at dusk?".to_owned()],
            purpose: Purpose::Search,
            priority: Priority::Urgent,
        };
        let vector = setup.models.embed(&setup.ctx, embed).await.unwrap().vectors.remove(0);
        // Its length does not matter.
        let long: Vec<f32> = vector.iter().map(|number| 3.0 * number).collect();
        let own = search(&setup, json!({"mode": "vector"})).await;
        let given = search(&setup, json!({"mode": "vector", "query": "", "vector": long})).await;
        assert_eq!(titles(&given), titles(&own));
        for (given, own) in given.results.iter().zip(&own.results) {
            assert!((given.score - own.score).abs() < 1e-5);
        }
        assert_true(&search(&setup, json!({"vector": vector.clone()})).await);
        let refused = async |settings: Value| setup.knowledge.search(&setup.ctx, ranked(settings)).await.unwrap_err();
        let error = refused(json!({"vector": [1.0, 2.0]})).await;
        assert_eq!((error.code(), error.reason(), error.field_name()), (Code::Invalid, "vector_dimensions", Some("vector")));
        assert!(error.message().contains("384") && error.remedy_text().unwrap().contains(&collection.embedding_model));
        assert_eq!(refused(json!({"vector": vec![0.0; 384]})).await.reason(), "vector_zero");
        assert_eq!(refused(json!({"query": "", "vector": vector})).await.field_name(), Some("query"));
        let not_a_number = SearchRequest { vector: Some(vec![f32::NAN; 384]), ..ranked(json!({})) };
        assert_eq!(setup.knowledge.search(&setup.ctx, not_a_number).await.unwrap_err().reason(), "vector_not_finite");
    }

    async fn the_same_search_is_answered_from_memory(test: TestStore) {
        let setup = Setup::start(test).await;
        let collection = tower(&setup).await;
        let first = search(&setup, json!({})).await;
        let again = search(&setup, json!({})).await;
        assert_eq!((first.took_ms.cached, again.took_ms.cached), (false, true));
        assert_eq!(titles(&first), titles(&again));
        assert_eq!(again.took_ms.embedding + again.took_ms.vector + again.took_ms.text, 0.0);
        assert!(!search(&setup, json!({"limit": 4})).await.took_ms.cached);
        // Whoever may see the same gets the same; whoever may see others, and another workspace, do not.
        let colleague = Ctx::new(
            setup.ctx.tenant().unwrap(),
            tenant().actor().clone(),
            *setup.ctx.permissions(),
            setup.ctx.clock().clone(),
            setup.ctx.random().clone(),
        );
        assert!(setup.knowledge.search(&colleague, ranked(json!({}))).await.unwrap().took_ms.cached);
        let reader = with_permissions(&setup.ctx, [Permission::SearchQuery].into_iter().collect());
        let for_reader = setup.knowledge.search(&reader, ranked(json!({}))).await.unwrap();
        assert_eq!((for_reader.took_ms.cached, titles(&for_reader)), (false, titles(&first)));
        let stranger = tenant();
        assert_eq!(setup.knowledge.search(&stranger, ranked(json!({}))).await.unwrap_err().code(), Code::NotFound);
        // A change is seen at once.
        let document = setup.bring(&collection, keyed("new", "Foghorn", "In fog nobody lights the lamp at dusk: the horn calls.")).await;
        let changed = search(&setup, json!({})).await;
        assert!(!changed.took_ms.cached && titles(&changed).contains(&"Foghorn"));
        setup.knowledge.delete_document(&setup.ctx, collection.id, document.id).await.unwrap();
        let deleted = search(&setup, json!({})).await;
        assert!(!deleted.took_ms.cached && !titles(&deleted).contains(&"Foghorn"));
    }

    async fn an_answer_from_memory_asks_no_database(test: TestStore) {
        let setup = Setup::start(test).await;
        tower(&setup).await;
        // The first one waits for the index to take up the documents, which drops what it remembered of the collection before.
        search(&setup, json!({})).await;
        search(&setup, json!({})).await;
        setup.test.close().await;
        assert!(search(&setup, json!({})).await.took_ms.cached);
    }

    async fn a_burst_of_equal_searches_is_one(test: TestStore) {
        let setup = Setup::start(test).await;
        tower(&setup).await;
        let reranker = Reranker::start(&setup).await;
        let settings = json!({"rerank": {"model": "acme/rerank"}});
        let searches = (0..20).map(|_| search(&setup, settings.clone()));
        let answers = futures::future::join_all(searches).await;
        assert_eq!(reranker.asked().len(), 1);
        assert!(answers.iter().all(|answer| titles(answer) == titles(&answers[0]) && answer.warnings.is_empty()));
        assert_eq!(answers.iter().filter(|answer| !answer.took_ms.cached).count(), 1);
    }

    async fn bad_input_is_refused_with_a_remedy(test: TestStore) {
        let setup = Setup::start(test).await;
        tower(&setup).await;
        for (settings, code, field) in [
            (json!({"limit": 1_000_000_000}), Code::Invalid, "limit"),
            (json!({"query": ""}), Code::Invalid, "query"),
            (json!({"query": "lamp ".repeat(200_000)}), Code::TooLarge, "query"),
            (json!({"fusion": {"k": 1_001}}), Code::Invalid, "fusion.k"),
            (json!({"fusion": {"text_weight": -1}}), Code::Invalid, "fusion.text_weight"),
            (json!({"diversity": 2}), Code::Invalid, "diversity"),
            (json!({"per_document": 0}), Code::Invalid, "per_document"),
            (json!({"rerank": {"top": 5}}), Code::Invalid, "rerank.model"),
            (json!({"recency": {"field": "$read_at"}}), Code::Invalid, "recency.field"),
            (json!({"vector": [1], "mode": "text"}), Code::Invalid, "vector"),
        ] {
            let error = setup.knowledge.search(&setup.ctx, ranked(settings)).await.unwrap_err();
            assert_eq!((error.code(), error.field_name()), (code, Some(field)), "{error}");
        }
        assert_eq!(request("tower", SearchMode::Hybrid, "lamp").limit, None);
    }
}
