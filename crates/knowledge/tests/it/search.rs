use plasma_kernel::Code;
use plasma_knowledge::{
    Collection, CollectionChange, FieldDeclarations, FusionMethod, FusionSettings, Hit, NewCollection, SearchAnswer,
    SearchMode, SearchRequest,
};
use plasma_testkit::on_each_database;
use serde_json::{Value, json};

use crate::support::{Setup, markdown, request, with_metadata};

/// A small library with metadata.
async fn library(setup: &Setup) -> Collection {
    let collection = setup.collection("library").await;
    let documents = [
        (
            "Budget 2024",
            "The annual budget covers salaries, rent and travel.",
            json!({"team": "finance", "year": 2024, "public": true}),
        ),
        (
            "Budget 2025",
            "The annual budget grows by four percent.",
            json!({"team": "finance", "year": 2025, "public": false}),
        ),
        (
            "Vacation",
            "Everyone takes thirty days of vacation, and the annual party is in June.",
            json!({"team": "people", "year": 2025}),
        ),
        ("Kitchen", "Pancakes are made of flour, milk and eggs.", json!({})),
        ("Bees", "A hive of honey bees dances to tell where flowers bloom.", json!({"year": 2023.5})),
    ];
    for (title, text, metadata) in documents {
        setup.bring(&collection, with_metadata(markdown(title, text), metadata)).await;
    }
    collection
}

async fn filtered(setup: &Setup, mode: SearchMode, filter: Value) -> SearchAnswer {
    let mut request = request("library", mode, "annual budget");
    request.filter = Some(filter.as_object().unwrap().clone());
    setup.knowledge.search(&setup.ctx, request).await.unwrap()
}

fn titles(answer: &SearchAnswer) -> Vec<&str> {
    let mut titles: Vec<&str> = answer.results.iter().map(|hit| hit.title.as_str()).collect();
    titles.sort_unstable();
    titles
}

fn reciprocal(hit: &Hit) -> f64 {
    let ranks = [hit.why.vector.as_ref().map(|reason| reason.rank), hit.why.text.as_ref().map(|reason| reason.rank)];
    ranks.into_iter().flatten().map(|rank| 1.0 / (60.0 + f64::from(rank))).sum()
}

on_each_database! {
    async fn each_half_finds_what_the_other_misses(test: TestStore) {
        let setup = Setup::start(test).await;
        let collection = library(&setup).await;
        // No word in common with the passage.
        let answer = setup.search(&collection, SearchMode::Vector, "insects that collect nectar").await;
        assert_eq!(answer.results[0].title, "Bees");
        assert!(setup.search(&collection, SearchMode::Text, "insects that collect nectar").await.results.is_empty());
        let answer = setup.search(&collection, SearchMode::Hybrid, "insects that collect nectar").await;
        assert_eq!(answer.results[0].title, "Bees");
        // Inflected words and a title's word.
        assert_eq!(titles(&setup.search(&collection, SearchMode::Text, "pancake").await), ["Kitchen"]);
        assert_eq!(titles(&setup.search(&collection, SearchMode::Text, "kitchens").await), ["Kitchen"]);
        // Whatever is typed is taken for words.
        for query in ["budget AND (", "title:budget^2 ~\"", "+budget -kitchen *", "\"\" budget", "budget\\"] {
            let answer = setup.search(&collection, SearchMode::Text, query).await;
            assert!(titles(&answer).contains(&"Budget 2024"), "{query}");
        }
        assert!(setup.search(&collection, SearchMode::Text, "?!").await.results.is_empty());
    }

    async fn a_quoted_phrase_counts_more(test: TestStore) {
        let setup = Setup::start(test).await;
        let collection = setup.collection("phrases").await;
        setup.bring(&collection, markdown("apart", "The house is white, and a white fence is around it; the house is old.")).await;
        setup.bring(&collection, markdown("together", "In the garden of the old mansion stands a white house, which has a fence, and a well.")).await;
        let score = |answer: &SearchAnswer, title: &str| {
            answer.results.iter().find(|hit| hit.title == title).unwrap().why.text.as_ref().unwrap().bm25
        };
        let plain = setup.search(&collection, SearchMode::Text, "white house").await;
        let quoted = setup.search(&collection, SearchMode::Text, "\"white house\"").await;
        assert!(score(&quoted, "together") > score(&plain, "together"));
        assert_eq!(score(&quoted, "apart"), score(&plain, "apart"));
        assert_eq!(quoted.results[0].title, "together");
    }

    async fn filters_hold_in_both_halves(test: TestStore) {
        let setup = Setup::start(test).await;
        library(&setup).await;
        for mode in [SearchMode::Hybrid, SearchMode::Vector, SearchMode::Text] {
            let found = filtered(&setup, mode, json!({"team": "finance"})).await;
            assert_eq!((titles(&found), found.total_passages), (vec!["Budget 2024", "Budget 2025"], 2), "{mode:?}");
            let found = filtered(&setup, mode, json!({"team": "finance", "year": {"gte": 2025}})).await;
            assert_eq!(titles(&found), ["Budget 2025"], "{mode:?}");
            let found = filtered(&setup, mode, json!({"year": {"in": [2025, 1999]}})).await;
            assert_eq!(titles(&found), ["Budget 2025", "Vacation"], "{mode:?}");
            let found = filtered(&setup, mode, json!({"public": true})).await;
            assert_eq!(titles(&found), ["Budget 2024"], "{mode:?}");
            let found = filtered(&setup, mode, json!({"year": "2025"})).await;
            assert_eq!((titles(&found).len(), found.total_passages), (0, 0), "{mode:?}");
        }
        let found = filtered(&setup, SearchMode::Vector, json!({"year": {"gte": 2023, "lte": 2023.5}})).await;
        assert_eq!(titles(&found), ["Bees"]);
        let found = filtered(&setup, SearchMode::Hybrid, json!({"taem": "finance"})).await;
        assert!(found.results.is_empty());
        assert!(found.warnings[0].contains("`taem`") && found.warnings[0].contains("team"), "{:?}", found.warnings);
    }

    async fn typed_fields_are_checked_and_searched(test: TestStore) {
        let setup = Setup::start(test).await;
        let fields = json!({"due": {"type": "time"}, "tags": {"type": "list"}, "office": {"type": "geo"}, "pages": {"type": "number"}});
        let new = NewCollection {
            name: "library".to_owned(),
            fields: Some(serde_json::from_value(fields).unwrap()),
            ..NewCollection::default()
        };
        let collection = setup.knowledge.create_collection(&setup.ctx, new).await.unwrap();
        let stored = setup.knowledge.get_collection(&setup.ctx, "library").await.unwrap();
        assert_eq!(stored.fields, collection.fields);
        let report = |title: &str, metadata: Value| with_metadata(markdown(title, "The annual budget."), metadata);
        let munich = json!({"lat": 48.1372, "lon": 11.5756});
        let all = [
            report("spring", json!({"due": "2026-03-01T12:00:00Z", "tags": ["tax", 2026], "office": munich, "pages": 3})),
            report("autumn", json!({"due": {"time": "2026-10-01T02:00:00+02:00"}, "tags": ["tax", "audit"], "free": "text"})),
            report("none", json!({"tags": []})),
        ];
        let mut ids = Vec::new();
        for document in all {
            ids.push(setup.bring(&collection, document).await.id);
        }
        let cases = [
            (json!({"due": {"lt": "2026-06-01T00:00:00Z"}}), vec!["spring"]),
            (json!({"due": "2026-10-01T00:00:00Z"}), vec!["autumn"]),
            (json!({"tags": "tax", "not": {"tags": {"contains_all": ["audit"]}}}), vec!["spring"]),
            (json!({"or": [{"tags": {"contains_any": ["audit"]}}, {"pages": {"gt": 2}}]}), vec!["autumn", "spring"]),
            (json!({"office": {"near": {"lat": 48.0, "lon": 11.5, "within_m": 50_000}}}), vec!["spring"]),
            (json!({"office": {"box": {"south": 47, "west": 11, "north": 48, "east": 12}}}), vec![]),
            (json!({"due": {"exists": false}}), vec!["none"]),
            (json!({"$title": {"prefix": "au"}, "free": {"ne": "other"}}), vec!["autumn"]),
            (json!({"$document_id": {"in": [ids[2], ids[0]]}}), vec!["none", "spring"]),
            (json!({"$created_at": {"gte": "2020-01-01T00:00:00Z"}}), vec!["autumn", "none", "spring"]),
        ];
        for (filter, expected) in cases {
            for mode in [SearchMode::Hybrid, SearchMode::Vector, SearchMode::Text] {
                let found = filtered(&setup, mode, filter.clone()).await;
                assert_eq!(titles(&found), expected, "{filter} in {mode:?}");
                assert_eq!(found.total_passages, expected.len() as u64, "{filter} in {mode:?}");
            }
        }
        let found = filtered(&setup, SearchMode::Text, json!({"$title": "spring"})).await;
        let due = &found.results[0].metadata["due"];
        assert_eq!(serde_json::to_value(due).unwrap(), json!({"time": "2026-03-01T12:00:00Z"}));
        let wrong = report("wrong", json!({"due": "soon"}));
        let error = setup.knowledge.add_document(&setup.ctx, collection.id, wrong).await.unwrap_err();
        assert_eq!((error.code(), error.field_name()), (Code::Invalid, Some("metadata.due")));
        // What is declared later holds for what is brought later.
        let change = CollectionChange { fields: Some(FieldDeclarations::new()), ..CollectionChange::default() };
        let changed = setup.knowledge.update_collection(&setup.ctx, collection.id, change).await.unwrap();
        assert!(changed.fields.is_empty() && changed.name == "library");
        setup.bring(&collection, report("late", json!({"due": "soon"}))).await;
        assert_eq!(titles(&filtered(&setup, SearchMode::Text, json!({"due": "soon"})).await), ["late"]);
        assert_eq!(titles(&filtered(&setup, SearchMode::Text, json!({"due": {"gte": "2026-01-01T00:00:00Z"}})).await), ["autumn", "spring"]);
    }

    async fn every_number_of_an_explanation_is_true(test: TestStore) {
        let setup = Setup::start(test).await;
        let collection = library(&setup).await;
        let query = "annual budget party";
        let by_ranks = FusionSettings { method: Some(FusionMethod::Rrf), ..FusionSettings::default() };
        let asked = SearchRequest { fusion: Some(by_ranks), ..request(&collection.name, SearchMode::Hybrid, query) };
        let hybrid = setup.knowledge.search(&setup.ctx, asked).await.unwrap();
        let vector = setup.search(&collection, SearchMode::Vector, query).await;
        let text = setup.search(&collection, SearchMode::Text, query).await;
        assert_eq!((hybrid.mode, hybrid.total_passages, hybrid.results.len()), (SearchMode::Hybrid, 5, 5));
        assert_eq!((vector.results.len(), text.results.len()), (5, 3));
        assert!(hybrid.results.is_sorted_by(|left, right| left.score >= right.score));
        for hit in &hybrid.results {
            let expected = reciprocal(hit);
            assert!((hit.score - expected).abs() < 1e-12 && (hit.why.fusion.score - expected).abs() < 1e-12);
            // The ranks and numbers of each half are those of that half alone.
            let place = vector.results.iter().position(|other| other.passage_id == hit.passage_id).unwrap();
            let reason = hit.why.vector.as_ref().unwrap();
            assert_eq!(reason.rank as usize, place + 1);
            assert_eq!(vector.results[place].score, f64::from(reason.similarity));
            assert_eq!(vector.results[place].why.fusion.formula, "cosine");
            let place = text.results.iter().position(|other| other.passage_id == hit.passage_id);
            assert_eq!(hit.why.text.as_ref().map(|reason| reason.rank as usize), place.map(|place| place + 1));
            if let (Some(place), Some(reason)) = (place, &hit.why.text) {
                assert_eq!(text.results[place].score, f64::from(reason.bm25));
                let formula = format!("1/(60+{}) + 1/(60+{})", hit.why.vector.as_ref().unwrap().rank, place + 1);
                assert_eq!(hit.why.fusion.formula, formula);
                assert!(!reason.terms.is_empty());
                for term in &reason.terms {
                    assert!(query.contains(term.as_str()) && hit.why.summary.contains(term.as_str()));
                }
            }
        }
        let vacation = hybrid.results.iter().find(|hit| hit.title == "Vacation").unwrap();
        assert_eq!(vacation.why.text.as_ref().unwrap().terms, ["annual", "party"]);
        // BM25 of one word in one of five passages: idf ln(1 + 4.5 / 1.5), times 2.2 / (1 + 1.2 * (0.25 + 0.75 * length / mean)).
        let pancakes = setup.search(&collection, SearchMode::Text, "pancakes").await;
        let bm25 = f64::from(pancakes.results[0].why.text.as_ref().unwrap().bm25);
        let idf = (1.0_f64 + 4.5 / 1.5).ln();
        assert!(bm25 > idf && bm25 < idf * 2.2 / 1.3, "{bm25} is not in the range of idf {idf}");
        assert_eq!(pancakes.results[0].why.summary, format!("ranked 1st by words (BM25 {bm25:.1}: pancakes)"));
    }

    async fn highlights_are_code_points_of_the_text(test: TestStore) {
        let setup = Setup::start(test).await;
        let collection = setup.collection("emoji").await;
        let text = "🎉🎉 Die Café-Bären 🐻 feiern; the bears’ budget 予算 is small — budgets are always small 👩‍👩‍👧.";
        setup.bring(&collection, markdown("emoji", text)).await;
        let answer = setup.search(&collection, SearchMode::Hybrid, "bear cafe BUDGETS 予").await;
        let hit = &answer.results[0];
        let letters: Vec<char> = hit.text.chars().collect();
        let shown: Vec<String> =
            hit.highlights.iter().map(|range| letters[range.start..range.end].iter().collect()).collect();
        assert_eq!(shown, ["Café", "bears", "budget", "予", "budgets"]);
        assert_eq!(hit.end - hit.start, u32::try_from(letters.len()).unwrap());
    }

    async fn wrong_requests_are_refused(test: TestStore) {
        let setup = Setup::start(test).await;
        library(&setup).await;
        let good = || request("library", SearchMode::Hybrid, "budget");
        let filter = |json: Value| SearchRequest { filter: Some(json.as_object().unwrap().clone()), ..good() };
        let cases = [
            (SearchRequest { query: "  ".to_owned(), ..good() }, "query"),
            (SearchRequest { query: "x".repeat(8_001), ..good() }, "query"),
            (SearchRequest { limit: Some(0), ..good() }, "limit"),
            (SearchRequest { limit: Some(101), ..good() }, "limit"),
            (filter(json!({"year": {"about": 2024}})), "filter.year.about"),
            (filter(json!({"year": {"gte": "new"}})), "filter.year.gte"),
            (filter(json!({"team": null})), "filter.team"),
            (filter(json!({"or": [{"team": "x"}, {"$size": 1}]})), "filter.or[1].$size"),
        ];
        for (request, field) in cases {
            let error = setup.knowledge.search(&setup.ctx, request).await.unwrap_err();
            assert!(matches!(error.code(), Code::Invalid | Code::TooLarge));
            assert_eq!(error.field_name(), Some(field));
        }
        let long = SearchRequest { query: "word ".repeat(1_600), limit: Some(100), ..good() };
        assert!(setup.knowledge.search(&setup.ctx, long).await.unwrap().results.len() == 5);
        let many = (0..500).map(|number| format!("w{number} ")).collect::<String>() + "budget";
        let answer = setup.knowledge.search(&setup.ctx, SearchRequest { query: many, ..good() }).await.unwrap();
        assert!(answer.warnings.iter().any(|warning| warning.contains("64")), "{:?}", answer.warnings);
    }

    async fn without_its_model_a_search_goes_by_words_and_says_so(test: TestStore) {
        let setup = Setup::start(test).await;
        library(&setup).await;
        setup.workflows.stop().await;
        setup.knowledge.stop().await;
        let Setup { test, ctx, .. } = setup;
        let nothing = tempfile::TempDir::new().unwrap();
        let setup = Setup { ctx, ..Setup::start_with(test, nothing.path()).await };
        let answer = setup.knowledge.search(&setup.ctx, request("library", SearchMode::Hybrid, "budget")).await.unwrap();
        assert_eq!((answer.mode, titles(&answer)), (SearchMode::Text, vec!["Budget 2024", "Budget 2025"]));
        assert!(answer.warnings[0].contains("words only") && answer.warnings[0].contains("make models"), "{:?}", answer.warnings);
        assert_eq!(answer.results[0].why.fusion.formula, "BM25");
        let error = setup.knowledge.search(&setup.ctx, request("library", SearchMode::Vector, "budget")).await.unwrap_err();
        assert_eq!((error.code(), error.reason()), (Code::Unavailable, "model_weights_missing"));
        assert!(error.remedy_text().is_some());
    }
}
