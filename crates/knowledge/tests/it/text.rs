//! What the half of a search that goes by words can do: languages, fields, signs, prefixes, slips, synonyms, facets.

use std::time::{Duration, Instant};

use plasma_kernel::{Code, Ctx};
use plasma_knowledge::{
    Boosts, Collection, CollectionChange, NewCollection, NewDocument, OneWaySynonyms, SearchAnswer, SearchMode,
    SearchRequest, SynonymSets, TypoTolerance,
};
use plasma_testkit::{on_each_database, tenant};
use serde_json::json;

use crate::support::{Setup, markdown, request, with_metadata};

const GERMAN: &str = "Die Rechnungen werden am Ende des Monats verschickt. Wer sie nicht innerhalb von dreißig Tagen bezahlt, bekommt \
    eine Mahnung, und das gilt auch für die Kunden, die schon seit vielen Jahren bei uns sind. Alle Häuser der Firma werden im \
    Winter geheizt, und die Schlüssel liegen beim Pförtner.";
const FRENCH: &str = "Les factures sont envoyées à la fin du mois. Les clients qui ne paient pas dans les trente jours reçoivent un \
    rappel, et cette règle est aussi valable pour ceux qui sont avec nous depuis des années. Les employés étudient le contrat \
    avant de le signer, et les horloges de la maison sont réglées chaque dimanche.";
const RUSSIAN: &str = "Счета отправляются в конце месяца. Клиенты, которые не платят в течение тридцати дней, получают напоминание. \
    Это правило действует и для тех, кто работает с нами уже много лет. Сотрудники читают договоры до того, как подписывают их, \
    а ключи лежат у охранника.";
const ENGLISH: &str = "The invoices are sent at the end of the month. Customers who do not pay within thirty days get a reminder, and \
    this is also true for those who have been with us for many years. The employees study the contract before they sign it.";

fn titles(answer: &SearchAnswer) -> Vec<&str> {
    let mut titles: Vec<&str> = answer.results.iter().map(|hit| hit.title.as_str()).collect();
    titles.sort_unstable();
    titles.dedup();
    titles
}

fn words(collection: &Collection, query: &str) -> SearchRequest {
    request(&collection.name, SearchMode::Text, query)
}

async fn ask(setup: &Setup, request: SearchRequest) -> SearchAnswer {
    setup.knowledge.search(&setup.ctx, request).await.unwrap()
}

fn marked(answer: &SearchAnswer) -> Vec<String> {
    let hit = &answer.results[0];
    let letters: Vec<char> = hit.text.chars().collect();
    hit.highlights.iter().map(|range| letters[range.start..range.end].iter().collect()).collect()
}

/// A small library of English documents.
async fn library(setup: &Setup) -> Collection {
    let collection = setup.collection("words").await;
    for (title, text, metadata) in [
        ("Budget", "The annual budget covers salaries and rent.", json!({"team": "finance", "year": 2024})),
        (
            "Budgeting",
            "Budgeting is done in autumn, with the plan for travel.",
            json!({"team": "finance", "year": 2025}),
        ),
        ("Television", "The television in the lobby shows the news.", json!({"team": "people", "year": 2025})),
        ("Kitchen", "Pancakes are made of flour, milk and eggs.", json!({"team": "people"})),
    ] {
        setup.bring(&collection, with_metadata(markdown(title, text), metadata)).await;
    }
    collection
}

on_each_database! {
    async fn documents_are_found_by_the_inflections_of_their_language(test: TestStore) {
        let setup = Setup::start(test).await;
        let collection = setup.collection("languages").await;
        for (title, text, language) in
            [("Deutsch", GERMAN, "de"), ("Français", FRENCH, "fr"), ("Русский", RUSSIAN, "ru"), ("English", ENGLISH, "en")]
        {
            let document = setup.bring(&collection, markdown(title, text)).await;
            assert_eq!(document.language.as_deref(), Some(language), "{title}");
        }
        for (query, title) in [
            ("Rechnung", "Deutsch"),
            ("haus", "Deutsch"),
            ("facture", "Français"),
            ("horloge", "Français"),
            ("договором", "Русский"),
            ("ключ", "Русский"),
            ("studying invoice", "English"),
        ] {
            let answer = ask(&setup, words(&collection, query)).await;
            assert_eq!(answer.results.first().map(|hit| hit.title.as_str()), Some(title), "{query}: {:?}", titles(&answer));
            assert!(!answer.results[0].highlights.is_empty(), "{query}");
            assert!(answer.corrections.is_empty(), "{query}: {:?}", answer.corrections);
        }
        assert_eq!(marked(&ask(&setup, words(&collection, "rechnung")).await), ["Rechnungen"]);
        // Articles of every language that the collection has are too common to be asked for.
        assert_eq!(titles(&ask(&setup, words(&collection, "die Rechnung")).await), ["Deutsch"]);
    }

    async fn a_language_can_be_given(test: TestStore) {
        let setup = Setup::start(test).await;
        let new = NewCollection { name: "german".to_owned(), language: Some("de".to_owned()), ..NewCollection::default() };
        let collection = setup.knowledge.create_collection(&setup.ctx, new).await.unwrap();
        assert_eq!(collection.language.as_deref(), Some("de"));
        // Too short to tell.
        let document = setup.bring(&collection, markdown("Kurz", "Zwei Rechnungen.")).await;
        assert_eq!(document.language.as_deref(), Some("de"));
        assert_eq!(titles(&ask(&setup, words(&collection, "rechnung")).await), ["Kurz"]);
        let given = NewDocument { language: Some("fr".to_owned()), ..markdown("Court", "Deux factures.") };
        assert_eq!(setup.bring(&collection, given).await.language.as_deref(), Some("fr"));
        assert_eq!(titles(&ask(&setup, words(&collection, "facture")).await), ["Court"]);
        let change = CollectionChange { language: Some("nl".to_owned()), ..CollectionChange::default() };
        let changed = setup.knowledge.update_collection(&setup.ctx, collection.id, change).await.unwrap();
        assert_eq!(changed.language.as_deref(), Some("nl"));
        for wrong in ["", "german", "EN", "tlh"] {
            let new = NewDocument { language: Some(wrong.to_owned()), ..markdown("x", "x") };
            let error = setup.knowledge.add_document(&setup.ctx, collection.id, new).await.unwrap_err();
            assert_eq!((error.code(), error.field_name()), (Code::Invalid, Some("language")), "{wrong}");
            let new = NewCollection { name: "x".to_owned(), language: Some(wrong.to_owned()), ..NewCollection::default() };
            let error = setup.knowledge.create_collection(&setup.ctx, new).await.unwrap_err();
            assert_eq!(error.field_name(), Some("language"), "{wrong}");
        }
    }

    async fn signs_hold_in_every_mode(test: TestStore) {
        let setup = Setup::start(test).await;
        let collection = library(&setup).await;
        for mode in [SearchMode::Text, SearchMode::Hybrid, SearchMode::Vector] {
            let answer = setup.search(&collection, mode, "budget -travel").await;
            assert!(titles(&answer).contains(&"Budget") && !titles(&answer).contains(&"Budgeting"), "{mode:?}");
            let answer = setup.search(&collection, mode, "budget +travel").await;
            assert_eq!(titles(&answer), ["Budgeting"], "{mode:?}");
            let answer = setup.search(&collection, mode, "budget +\"annual budget\"").await;
            assert_eq!(titles(&answer), ["Budget"], "{mode:?}");
            let answer = setup.search(&collection, mode, "budget -\"annual budget\"").await;
            assert!(!titles(&answer).contains(&"Budget"), "{mode:?}");
            assert!(setup.search(&collection, mode, "budget +nowhereatall").await.results.is_empty(), "{mode:?}");
        }
        // Only what must not be there: words find nothing by themselves.
        assert!(setup.search(&collection, SearchMode::Text, "-travel").await.results.is_empty());
        assert!(!titles(&setup.search(&collection, SearchMode::Hybrid, "-travel").await).contains(&"Budgeting"));
    }

    async fn a_star_finds_what_begins_so(test: TestStore) {
        let setup = Setup::start(test).await;
        let collection = library(&setup).await;
        assert_eq!(titles(&ask(&setup, words(&collection, "budgeti*")).await), ["Budgeting"]);
        let answer = ask(&setup, words(&collection, "televi*")).await;
        assert_eq!((titles(&answer), marked(&answer)), (vec!["Television"], vec!["television".to_owned()]));
        assert_eq!(answer.results[0].why.text.as_ref().unwrap().terms, ["televi*"]);
        assert!(ask(&setup, words(&collection, "xyz*")).await.results.is_empty());
    }

    async fn a_slip_of_the_keyboard_is_corrected_and_told(test: TestStore) {
        let setup = Setup::start(test).await;
        let collection = library(&setup).await;
        let answer = ask(&setup, words(&collection, "pancaeks")).await;
        assert_eq!((titles(&answer), marked(&answer)), (vec!["Kitchen"], vec!["Pancakes".to_owned()]));
        assert_eq!((answer.corrections[0].from.as_str(), answer.corrections[0].to.as_str()), ("pancaeks", "pancakes"));
        let why = &answer.results[0].why;
        assert_eq!(why.text.as_ref().unwrap().terms, ["pancakes (typed pancaeks)"]);
        assert!(why.summary.contains("pancakes (typed pancaeks)"), "{}", why.summary);
        // Two letters in a long word, one in a short one, and what is spelled right counts more.
        assert_eq!(titles(&ask(&setup, words(&collection, "televsiom")).await), ["Television"]);
        assert!(ask(&setup, words(&collection, "mlkk")).await.results.is_empty());
        let score = |answer: &SearchAnswer| answer.results[0].why.text.as_ref().unwrap().bm25;
        assert!(score(&ask(&setup, words(&collection, "pancakes")).await) > score(&answer));
        // A word that is known is taken at its word.
        assert!(ask(&setup, words(&collection, "budget")).await.corrections.is_empty());
        let always = SearchRequest { typo: Some(TypoTolerance::Always), ..words(&collection, "milk rend") };
        assert!(ask(&setup, always).await.corrections.iter().any(|correction| correction.to == "rent"));
        let off = SearchRequest { typo: Some(TypoTolerance::Off), ..words(&collection, "pancaeks") };
        assert!(ask(&setup, off).await.results.is_empty());
    }

    async fn fields_count_as_the_request_says(test: TestStore) {
        let setup = Setup::start(test).await;
        let collection = setup.collection("fields").await;
        setup.bring(&collection, markdown("Lighthouse", "It stands by the sea and is very old, as everyone in the village knows.")).await;
        setup.bring(&collection, markdown("Coast", "A lighthouse stands by the sea and is very old, as everyone knows.")).await;
        let first = |answer: &SearchAnswer| answer.results[0].title.clone();
        assert_eq!(first(&ask(&setup, words(&collection, "lighthouse")).await), "Lighthouse");
        let boosts = |title, text| Some(Boosts { title: Some(title), heading: None, text: Some(text) });
        let only_text = SearchRequest { boosts: boosts(0.0, 1.0), ..words(&collection, "lighthouse") };
        assert_eq!(titles(&ask(&setup, only_text).await), ["Coast"]);
        let more_text = SearchRequest { boosts: boosts(0.1, 10.0), ..words(&collection, "lighthouse") };
        assert_eq!(first(&ask(&setup, more_text).await), "Coast");
        let wrong = SearchRequest { boosts: boosts(11.0, 1.0), ..words(&collection, "lighthouse") };
        let error = setup.knowledge.search(&setup.ctx, wrong).await.unwrap_err();
        assert_eq!((error.code(), error.field_name()), (Code::Invalid, Some("boosts.title")));
    }

    async fn synonyms_apply_to_the_next_search(test: TestStore) {
        let setup = Setup::start(test).await;
        let collection = library(&setup).await;
        assert!(ask(&setup, words(&collection, "tv")).await.results.is_empty());
        assert_eq!(setup.knowledge.get_synonyms(&setup.ctx, collection.id).await.unwrap().updated_at, None);
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let sets = SynonymSets {
            sets: vec![texts(&["tv", "television"]), texts(&["yearly plan", "annual budget"])],
            one_way: vec![OneWaySynonyms { from: "breakfast".to_owned(), to: texts(&["pancakes"]) }],
        };
        setup.knowledge.put_synonyms(&setup.ctx, collection.id, sets.clone()).await.unwrap();
        let kept = setup.knowledge.get_synonyms(&setup.ctx, collection.id).await.unwrap();
        assert_eq!((kept.sets, kept.one_way, kept.updated_at.is_some()), (sets.sets, sets.one_way, true));
        let answer = ask(&setup, words(&collection, "tv")).await;
        assert_eq!((titles(&answer), marked(&answer)), (vec!["Television"], vec!["television".to_owned()]));
        assert_eq!(answer.results[0].why.text.as_ref().unwrap().terms, ["television (synonym of tv)"]);
        assert_eq!(titles(&ask(&setup, words(&collection, "breakfast")).await), ["Kitchen"]);
        let answer = ask(&setup, words(&collection, "yearly plan")).await;
        assert!(titles(&answer).contains(&"Budget"), "{:?}", titles(&answer));
        let budget = answer.results.iter().find(|hit| hit.title == "Budget").unwrap();
        assert_eq!(budget.why.text.as_ref().unwrap().terms, ["annual budget (synonym of yearly plan)"]);
        setup.knowledge.put_synonyms(&setup.ctx, collection.id, SynonymSets::default()).await.unwrap();
        assert!(ask(&setup, words(&collection, "tv")).await.results.is_empty());
        let wrong = SynonymSets { sets: vec![texts(&["alone"])], ..SynonymSets::default() };
        let error = setup.knowledge.put_synonyms(&setup.ctx, collection.id, wrong).await.unwrap_err();
        assert_eq!(error.field_name(), Some("sets.0"));
        // They go with their collection.
        setup.knowledge.put_synonyms(&setup.ctx, collection.id, sets_of(&["a", "b"])).await.unwrap();
        setup.knowledge.delete_collection(&setup.ctx, collection.id).await.unwrap();
        let left = setup.rows("SELECT COUNT(*) AS number FROM collection_synonyms WHERE tenant_id = $1").await;
        assert_eq!(left, 0);
    }

    async fn facets_count_documents_beyond_the_results(test: TestStore) {
        let setup = Setup::start(test).await;
        let collection = library(&setup).await;
        let counts = |answer: &SearchAnswer, place: usize| -> Vec<(String, u64)> {
            answer.facets[place].values.iter().map(|value| (value.value.to_string(), value.count)).collect()
        };
        let counted = |mode, query: &str| SearchRequest {
            facets: Some(vec!["team".to_owned(), "year".to_owned()]),
            limit: Some(1),
            ..request(&collection.name, mode, query)
        };
        let both = ask(&setup, counted(SearchMode::Text, "budget television")).await;
        assert_eq!(both.results.len(), 1);
        assert_eq!(counts(&both, 0), [("\"finance\"".to_owned(), 2), ("\"people\"".to_owned(), 1)]);
        let all = ask(&setup, counted(SearchMode::Vector, "budget")).await;
        assert_eq!(counts(&all, 0), [("\"finance\"".to_owned(), 2), ("\"people\"".to_owned(), 2)]);
        assert_eq!((counts(&all, 1), all.facets[1].missing), (vec![("2025".to_owned(), 2), ("2024".to_owned(), 1)], 1));
        let mut filtered = counted(SearchMode::Vector, "budget");
        filtered.filter = Some(json!({"year": 2025}).as_object().unwrap().clone());
        assert_eq!(counts(&ask(&setup, filtered).await, 0), [("\"finance\"".to_owned(), 1), ("\"people\"".to_owned(), 1)]);
        let unknown = SearchRequest { facets: Some(vec!["taem".to_owned()]), ..words(&collection, "budget") };
        let unknown = ask(&setup, unknown).await;
        assert!(unknown.warnings.iter().any(|warning| warning.contains("`taem`")), "{:?}", unknown.warnings);
        let many = (0..11).map(|number| number.to_string()).collect();
        let many = SearchRequest { facets: Some(many), ..words(&collection, "budget") };
        assert_eq!(setup.knowledge.search(&setup.ctx, many).await.unwrap_err().field_name(), Some("facets"));
    }

    async fn what_others_write_does_not_move_a_score(test: TestStore) {
        let setup = Setup::start(test).await;
        let collection = library(&setup).await;
        let scores = |answer: SearchAnswer| -> Vec<(String, f32)> {
            answer.results.into_iter().map(|hit| (hit.title, hit.why.text.unwrap().bm25)).collect()
        };
        let queries = ["annual budget", "bud*", "\"annual budget\"", "pancaeks", "budget -travel"];
        let mut before = Vec::new();
        for query in queries {
            before.push(scores(ask(&setup, words(&collection, query)).await));
        }
        let others: Ctx = tenant();
        let new = NewCollection { name: "words".to_owned(), ..NewCollection::default() };
        let theirs = setup.knowledge.create_collection(&others, new).await.unwrap();
        let document = markdown("Budget", "budget budgetary pancaeks pancake annual annual budget, and the annual budget again");
        let document = setup.knowledge.add_document(&others, theirs.id, document).await.unwrap();
        let started = Instant::now();
        while setup.knowledge.get_document(&others, theirs.id, document.id).await.unwrap().chunk_count == 0 {
            assert!(started.elapsed() < Duration::from_secs(120), "their document does not become ready");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        for (query, before) in queries.into_iter().zip(before) {
            assert_eq!(scores(ask(&setup, words(&collection, query)).await), before, "{query}");
        }
        // Their synonyms, words and prefixes are not found, either.
        assert!(ask(&setup, words(&collection, "budgetary*")).await.results.is_empty());
    }

    async fn hostile_queries_are_answered_soon(test: TestStore) {
        let setup = Setup::start(test).await;
        let collection = library(&setup).await;
        for query in [
            "*".repeat(8_000),
            "ab*".repeat(2_600),
            "a* ".repeat(2_600),
            (0..1_300).map(|number| format!("b{}* ", number % 100)).collect(),
            "+\"".repeat(4_000),
            "-".repeat(8_000),
            "\"a b\" ".repeat(1_300),
            (0..700_u16).map(|number| format!("wrongword{} ", char::from(b'a' + (number % 26) as u8))).collect(),
            "z".repeat(8_000),
        ] {
            let started = Instant::now();
            let request = SearchRequest { typo: Some(TypoTolerance::Always), ..words(&collection, &query) };
            ask(&setup, request).await;
            let shown: String = query.chars().take(20).collect();
            assert!(started.elapsed() < Duration::from_secs(2), "{shown} took {:?}", started.elapsed());
        }
    }
}

fn sets_of(terms: &[&str]) -> SynonymSets {
    SynonymSets { sets: vec![terms.iter().map(|term| (*term).to_owned()).collect()], ..SynonymSets::default() }
}
