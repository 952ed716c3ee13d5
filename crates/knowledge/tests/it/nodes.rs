//! Collections whose vectors are on search nodes: databases with pgvector on private servers.

mod made;

use std::{
    collections::BTreeSet,
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

use plasma_kernel::{Actor, Clock, Code, Ctx, KnowledgeDocumentId, Random, Role, UserId};
use plasma_knowledge::{
    Access, Collection, CollectionChange, Knowledge, NewDocument, NewReembedding, SearchAnswer, SearchMode,
    SearchRequest,
    nodes::{CollectionPlacement, PlacementChoice},
};
use plasma_store::{
    EventPosition,
    search_node::{SearchNode, SearchNodeConfig, ShardFilter, ShardQuery, ShardTable},
};
use plasma_testkit::{
    TestStore, fresh_database_on, fresh_postgres_database, on_each_database, search_node_servers, system, tenant,
};
use plasma_workflows::Workflows;
use serde_json::json;

use self::made::{Mixer, fill};
use crate::support::{Setup, keyed, markdown, models_dir, open_models, request, with_metadata};

/// Other tests may use both cores for a long time.
const PATIENCE: Duration = Duration::from_secs(240);

const QUERIES: [&str; 4] = [
    "who keeps the library and when does it open",
    "a railway with many deliveries",
    "the glacier is repaired once a year",
    "something entirely different: tax law for bakers",
];

fn node(name: &str, url: String) -> SearchNodeConfig {
    // Its own database once more as a replica: half of the searches go there.
    SearchNodeConfig { name: name.to_owned(), replicas: vec![url.clone()], url }
}

/// Two nodes on two servers.
async fn two_nodes() -> Vec<SearchNodeConfig> {
    vec![node("a", fresh_database_on(&search_node_servers()[0]).await), node("b", fresh_postgres_database().await)]
}

async fn start(test: TestStore, nodes: &[SearchNodeConfig]) -> Setup {
    let models = open_models(test.store(), &models_dir());
    let workflows = Workflows::new(test.store(), system());
    let knowledge = Knowledge::with_nodes(test.store(), models.clone(), &workflows, system(), nodes).unwrap();
    knowledge.start();
    workflows.start(true).await.unwrap();
    Setup { test, ctx: tenant(), models, workflows, knowledge }
}

/// Stops everything and starts it again, as the next process would.
async fn restart(setup: Setup, nodes: &[SearchNodeConfig]) -> Setup {
    setup.workflows.stop().await;
    setup.knowledge.stop().await;
    let Setup { test, ctx, models, .. } = setup;
    let workflows = Workflows::new(test.store(), system());
    let knowledge = Knowledge::with_nodes(test.store(), models.clone(), &workflows, system(), nodes).unwrap();
    knowledge.start();
    workflows.start(true).await.unwrap();
    Setup { test, ctx, models, workflows, knowledge }
}

/// A collection with one real document, so that it knows the length of its vectors, and so many made ones.
async fn filled(setup: &Setup, name: &str, documents: usize) -> (Collection, Mixer) {
    let collection = setup.collection(name).await;
    setup.bring(&collection, markdown("first", "The first document of all.")).await;
    let mut mixer = Mixer::new(setup, &collection).await;
    fill(setup, &collection, &mut mixer, documents).await;
    until_searchable(setup, &collection).await;
    (collection, mixer)
}

async fn passages_of(setup: &Setup, collection: &Collection) -> u64 {
    let mut tx = setup.test.read(&setup.ctx).await.unwrap();
    let row = tx
        .fetch_one(
            "SELECT passage_count FROM collections WHERE tenant_id = $1 AND id = $2",
            [setup.ctx.tenant().unwrap().into(), collection.id.into()],
        )
        .await
        .unwrap();
    row.get("passage_count").unwrap()
}

/// What was written straight into the tables is found a moment later.
async fn until_searchable(setup: &Setup, collection: &Collection) {
    let started = Instant::now();
    loop {
        // A large index is built in the background, and says so.
        let answer = search(setup, collection, QUERIES[0], None).await;
        if answer.warnings.is_empty() && answer.total_passages == passages_of(setup, collection).await {
            return;
        }
        assert!(started.elapsed() < PATIENCE, "{} passages are searchable", answer.total_passages);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn place(setup: &Setup, collection: &Collection, nodes: &[&str], split: Option<u32>) {
    let nodes: Vec<String> = nodes.iter().map(|name| (*name).to_owned()).collect();
    let choice = if nodes.is_empty() { None } else { Some(PlacementChoice { nodes, split }) };
    let change = CollectionChange { placement: Some(choice), ..CollectionChange::default() };
    setup.knowledge.update_collection(&setup.ctx, collection.id, change).await.unwrap();
}

async fn until(
    setup: &Setup,
    collection: &Collection,
    wanted: impl Fn(&CollectionPlacement) -> bool,
) -> CollectionPlacement {
    let started = Instant::now();
    loop {
        let placement = setup.knowledge.collection_placement(&setup.ctx, collection.id).await.unwrap();
        if wanted(&placement) {
            return placement;
        }
        assert_eq!(placement.move_error, None);
        assert!(started.elapsed() < PATIENCE, "{placement:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Moves a collection and waits until it is there.
async fn moved(setup: &Setup, collection: &Collection, nodes: &[&str], split: Option<u32>) -> CollectionPlacement {
    place(setup, collection, nodes, split).await;
    let arrived = |placement: &CollectionPlacement| placement.moving.is_none() && placement.serving.nodes == nodes;
    until(setup, collection, arrived).await
}

async fn search(setup: &Setup, collection: &Collection, query: &str, filter: Option<&str>) -> SearchAnswer {
    let filter = filter.map(|parity| json!({"parity": parity}).as_object().unwrap().clone());
    // All made passages have the same words.
    let deduplicate = Some(false);
    let request = request(&collection.name, SearchMode::Vector, query);
    let request = SearchRequest { limit: Some(50), filter, deduplicate, ..request };
    setup.knowledge.search(&setup.ctx, request).await.unwrap()
}

type Found = Vec<(KnowledgeDocumentId, u32, f32)>;

fn found(answer: &SearchAnswer) -> Found {
    let similarity = |hit: &plasma_knowledge::Hit| hit.why.vector.as_ref().unwrap().similarity;
    answer.results.iter().map(|hit| (hit.document_id, hit.ordinal, similarity(hit))).collect()
}

/// The share of `truth` that was found.
fn recall(truth: &Found, found: &Found) -> f64 {
    let keys =
        |found: &Found| found.iter().map(|(document, ordinal, _)| (*document, *ordinal)).collect::<BTreeSet<_>>();
    keys(truth).intersection(&keys(found)).count() as f64 / truth.len() as f64
}

/// What the process's own index finds for each query: all, and only even documents.
async fn truths(setup: &Setup, collection: &Collection) -> Vec<(Found, Found)> {
    let mut truths = Vec::new();
    for query in QUERIES {
        let all = found(&search(setup, collection, query, None).await);
        truths.push((all, found(&search(setup, collection, query, Some("even")).await)));
    }
    truths
}

async fn assert_finds_the_same(setup: &Setup, collection: &Collection, truths: &[(Found, Found)], shards: u32) {
    let mut total = 0.0;
    for (query, (all, even)) in QUERIES.into_iter().zip(truths) {
        let answer = search(setup, collection, query, None).await;
        assert!(answer.warnings.is_empty(), "{:?}", answer.warnings);
        let report = answer.shards.as_ref().unwrap();
        assert_eq!((report.total, report.answered, report.failed.len()), (shards, shards, 0));
        total += recall(all, &found(&answer));
        // What a filter lets through is compared one by one; half precision may exchange neighbours.
        let filtered = found(&search(setup, collection, query, Some("even")).await);
        assert_eq!(filtered.len(), even.len());
        for (mine, theirs) in filtered.iter().zip(even) {
            assert!((mine.2 - theirs.2).abs() < 2e-3, "{query}: {mine:?} instead of {theirs:?}");
        }
    }
    let mean = total / QUERIES.len() as f64;
    assert!(mean >= 0.95, "recall {mean}");
}

on_each_database! {
    async fn on_nodes_a_collection_finds_what_it_found_before(test: TestStore) {
        let nodes = two_nodes().await;
        let setup = start(test, &nodes).await;
        let (collection, _) = filled(&setup, "placed", 300).await;
        let truths = truths(&setup, &collection).await;

        let placement = moved(&setup, &collection, &["a"], None).await;
        let shard = &placement.serving.shards[0];
        assert_eq!((shard.state.as_str(), shard.passages, shard.has_index), ("ready", 3_001, true));
        assert!(shard.recall.unwrap() > 0.9 && shard.ef_search.unwrap() >= 40, "{shard:?}");
        assert_finds_the_same(&setup, &collection, &truths, 1).await;

        let placement = moved(&setup, &collection, &["a", "b"], Some(3)).await;
        let passages: Vec<u64> = placement.serving.shards.iter().map(|shard| shard.passages).collect();
        assert_eq!(passages.iter().sum::<u64>(), 3_001);
        assert!(passages.iter().all(|passages| *passages > 500), "{passages:?}");
        assert_finds_the_same(&setup, &collection, &truths, 3).await;

        // What this process calls ready is found, and what it deleted is not.
        let text = "The astrolabe of the sixth observatory is polished by a heron.";
        let document = setup.bring(&collection, keyed("heron", "Heron", text)).await;
        let answer = search(&setup, &collection, "who polishes the astrolabe", None).await;
        assert_eq!(answer.results[0].document_id, document.id, "{:?}", answer.warnings);
        setup.bring(&collection, keyed("heron", "Heron", "Nothing of that kind any more.")).await;
        let answer = search(&setup, &collection, "who polishes the astrolabe", None).await;
        assert!(answer.results.iter().all(|hit| !hit.text.contains("heron")));
        setup.knowledge.delete_document(&setup.ctx, collection.id, document.id).await.unwrap();
        let answer = search(&setup, &collection, "nothing of that kind", None).await;
        assert!(answer.results.iter().all(|hit| hit.document_id != document.id));

        // And back.
        let placement = moved(&setup, &collection, &[], None).await;
        assert!(placement.serving.shards.is_empty());
        let answer = search(&setup, &collection, QUERIES[0], None).await;
        assert_eq!(answer.shards, None);
        assert!(recall(&truths[0].0, &found(&answer)) >= 0.95);
    }

    async fn a_collection_moves_while_it_is_written_to(test: TestStore) {
        let nodes = two_nodes().await;
        let mut setup = start(test, &nodes).await;
        let (collection, mut mixer) = filled(&setup, "moving", 100).await;
        moved(&setup, &collection, &["a"], None).await;
        place(&setup, &collection, &["b", "a"], Some(2)).await;
        let written = fill(&setup, &collection, &mut mixer, 20).await;
        // The process ends in the middle of it.
        setup = restart(setup, &nodes).await;
        for document in &written[..10] {
            setup.knowledge.delete_document(&setup.ctx, collection.id, *document).await.unwrap();
        }
        fill(&setup, &collection, &mut mixer, 5).await;
        until(&setup, &collection, |placement| placement.moving.is_none()).await;
        let wanted = passages_of(&setup, &collection).await;
        assert_eq!(wanted, 1_151);
        let complete = |placement: &CollectionPlacement| {
            placement.serving.nodes == ["b", "a"]
                && placement.serving.shards.iter().map(|shard| shard.passages).sum::<u64>() == wanted
        };
        until(&setup, &collection, complete).await;
        let answer = search(&setup, &collection, QUERIES[0], None).await;
        assert!(answer.results.iter().all(|hit| !written[..10].contains(&hit.document_id)));
        assert_eq!((answer.total_passages, answer.results.len()), (wanted, 50));
    }

    async fn a_move_can_be_cancelled_and_wrong_places_are_refused(test: TestStore) {
        let setup = start(test, &two_nodes().await).await;
        let collection = setup.collection("staying").await;
        setup.bring(&collection, markdown("one", "A document about herring.")).await;
        let knowledge = &setup.knowledge;
        let refused = async |nodes: &[&str], split: Option<u32>| {
            let choice = PlacementChoice { nodes: nodes.iter().map(|name| (*name).to_owned()).collect(), split };
            let change = CollectionChange { placement: Some(Some(choice)), ..CollectionChange::default() };
            knowledge.update_collection(&setup.ctx, collection.id, change).await.unwrap_err()
        };
        let error = refused(&["c"], None).await;
        assert_eq!(error.field_name(), Some("placement.nodes[0]"));
        assert!(error.remedy_text().unwrap().contains("a, b"), "{error}");
        assert_eq!(refused(&["a", "b"], Some(1)).await.field_name(), Some("placement.split"));
        assert_eq!(knowledge.cancel_move(&setup.ctx, collection.id).await.unwrap_err().reason(), "collection_not_moving");

        place(&setup, &collection, &["b"], None).await;
        // It may have arrived already.
        let cancelled = knowledge.cancel_move(&setup.ctx, collection.id).await;
        let nodes = cancelled.map_or_else(|_| vec!["b".to_owned()], |placement| placement.serving.nodes);
        let placement = until(&setup, &collection, |placement| placement.moving.is_none()).await;
        assert_eq!(placement.serving.nodes, nodes);
        let answer = search(&setup, &collection, "fish", None).await;
        assert_eq!(answer.results[0].title, "one", "{:?}", answer.warnings);
        setup.until_idle().await;
    }

    async fn a_node_shows_no_tenant_another_ones_passages(test: TestStore) {
        let nodes = two_nodes().await;
        let setup = start(test, &nodes).await;
        let ours = setup.collection("ours").await;
        setup.bring(&ours, markdown("secret", "The vault opens with the word heliotrope.")).await;
        moved(&setup, &ours, &["a"], None).await;
        let owner = setup.ctx.tenant().unwrap();
        let setup = Setup { ctx: tenant(), ..setup };
        let theirs = setup.collection("theirs").await;
        setup.bring(&theirs, markdown("other", "A word opens no vault here.")).await;
        moved(&setup, &theirs, &["a"], None).await;
        let answer = search(&setup, &theirs, "which word opens the vault", None).await;
        assert_eq!(answer.results.iter().map(|hit| hit.title.as_str()).collect::<Vec<_>>(), ["other"]);
        for error in [
            setup.knowledge.search(&setup.ctx, request(&ours.id.to_string(), SearchMode::Vector, "vault")).await.err(),
            setup.knowledge.collection_placement(&setup.ctx, ours.id).await.err(),
            setup.knowledge.cancel_move(&setup.ctx, ours.id).await.err(),
        ] {
            assert_eq!(error.unwrap().reason(), "collection_not_found");
        }
        // Even a statement on the right table finds nothing under the wrong tenant.
        let database = SearchNode::new(&nodes[0], 2).unwrap();
        let query = |tenant| ShardQuery {
            table: ShardTable::new(ours.id, 1, 0),
            tenant,
            vector: Arc::from(vec![0.05_f32; 384]),
            vectors: 0,
            limit: 10,
            filter: ShardFilter::All,
            wanted: EventPosition::START,
            takes_stale: true,
            timeout: Duration::from_secs(5),
        };
        assert_eq!(database.search(&query(owner)).await.unwrap().hits.len(), 1);
        let refused = database.search(&query(setup.ctx.tenant().unwrap())).await.unwrap_err();
        assert_eq!(refused.reason(), "search_shard_not_ready");
        database.close().await;
    }

    async fn who_may_see_what_holds_on_nodes_too(test: TestStore) {
        let setup = start(test, &two_nodes().await).await;
        let collection = setup.collection("vault").await;
        setup.bring(&collection, markdown("open", "The lobby opens at nine.")).await;
        let locked = NewDocument { access: Some(Access::default()), ..markdown("locked", "The vault opens at noon.") };
        setup.bring(&collection, locked).await;
        moved(&setup, &collection, &["a", "b"], None).await;
        let (tenant, user) = (setup.ctx.tenant().unwrap(), UserId::new(&setup.ctx));
        let permissions = Role::Editor.permissions();
        let reader = Ctx::new(tenant, Actor::User { id: user }, permissions, Clock::system(), Random::system());
        let titles = async |ctx: &Ctx| {
            let answer = setup.knowledge.search(ctx, request("vault", SearchMode::Vector, "when does it open")).await.unwrap();
            assert!(answer.shards.is_some());
            answer.results.into_iter().map(|hit| hit.title).collect::<BTreeSet<String>>()
        };
        assert_eq!(titles(&setup.ctx).await.len(), 2);
        assert_eq!(titles(&reader).await, BTreeSet::from(["open".to_owned()]));
    }

    async fn a_collection_on_nodes_keeps_its_embedding_model(test: TestStore) {
        let setup = start(test, &two_nodes().await).await;
        let collection = setup.collection("kept").await;
        setup.bring(&collection, markdown("one", "A document about herring.")).await;
        moved(&setup, &collection, &["a"], None).await;
        let anew = NewReembedding { model: collection.embedding_model.clone() };
        let error = setup.knowledge.begin_reembedding(&setup.ctx, collection.id, anew.clone()).await.unwrap_err();
        assert_eq!(error.reason(), "collection_on_search_nodes");
        moved(&setup, &collection, &[], None).await;
        setup.knowledge.begin_reembedding(&setup.ctx, collection.id, anew).await.unwrap();
        setup.until_idle().await;
        // With the vectors of the new generation.
        moved(&setup, &collection, &["b"], None).await;
        let answer = search(&setup, &collection, "fish", None).await;
        assert_eq!((answer.results[0].title.as_str(), answer.warnings.len()), ("one", 0));
    }

    async fn without_nodes_a_placement_is_refused_with_the_remedy(test: TestStore) {
        let setup = Setup::start(test).await;
        let collection = setup.collection("alone").await;
        let choice = PlacementChoice { nodes: vec!["a".to_owned()], split: None };
        let change = CollectionChange { placement: Some(Some(choice)), ..CollectionChange::default() };
        let error = setup.knowledge.update_collection(&setup.ctx, collection.id, change).await.unwrap_err();
        assert_eq!((error.code(), error.reason()), (Code::Conflict, "search_nodes_not_configured"));
        assert!(error.remedy_text().unwrap().contains("[search.nodes."), "{error}");
        // Where it is already.
        place(&setup, &collection, &[], None).await;
        let placement = setup.knowledge.collection_placement(&setup.ctx, collection.id).await.unwrap();
        assert!(placement.serving.nodes.is_empty() && placement.moving.is_none() && placement.available_nodes.is_empty());
        assert!(setup.knowledge.search_nodes(&setup.ctx).await.unwrap().nodes.is_empty());
    }
}

/// The server of the node that is killed.
struct Victim {
    port: String,
}

impl Victim {
    fn new(url: &str) -> Self {
        let port = url.rsplit(':').next().and_then(|rest| rest.split('/').next()).expect("a URL with a port");
        Self { port: port.to_owned() }
    }

    fn run(&self, verb: &str) {
        let mut command = Command::new("../../scripts/postgres.sh");
        let status = command.arg(verb).env("PLASMA_TEST_POSTGRES_PORT", &self.port).status().expect("the script runs");
        assert!(status.success(), "scripts/postgres.sh {verb}");
    }
}

/// A collection whose every part is on the node that is down.
async fn assert_degrades(setup: &Setup, collection: &Collection) {
    let vector = request(&collection.name, SearchMode::Vector, "herring");
    let error = setup.knowledge.search(&setup.ctx, vector).await.unwrap_err();
    assert_eq!(error.reason(), "search_nodes_unavailable", "{error}");
    assert!(!error.to_string().contains("postgres://"), "{error}");
    let answer = setup.search(collection, SearchMode::Hybrid, "herring").await;
    assert_eq!(answer.results[0].title, "fish");
    assert!(answer.warnings.iter().any(|warning| warning.contains("by words only")), "{:?}", answer.warnings);
}

async fn a_node_dies_and_comes_back(setup: Setup, victim: Victim) {
    let (collection, _) = filled(&setup, "split", 60).await;
    let alone = setup.collection("alone").await;
    setup.bring(&alone, with_metadata(markdown("fish", "A document about herring."), json!({"parity": "even"}))).await;
    moved(&setup, &collection, &["a", "b"], None).await;
    moved(&setup, &alone, &["b"], None).await;

    victim.run("crash");
    let answer = search(&setup, &collection, QUERIES[0], None).await;
    let report = answer.shards.as_ref().unwrap();
    assert_eq!((report.total, report.answered), (2, 1), "{report:?}");
    assert_eq!((report.failed[0].node.as_str(), report.failed[0].shard), ("b", 1));
    assert!(
        answer.warnings.iter().any(|warning| warning.contains("1 of the collection's 2 parts")),
        "{:?}",
        answer.warnings
    );
    assert!(!answer.results.is_empty());
    assert_degrades(&setup, &alone).await;
    let placement = setup.knowledge.collection_placement(&setup.ctx, collection.id).await.unwrap();
    assert_eq!(placement.serving.shards[1].state, "unreachable");
    let statuses = setup.knowledge.search_nodes(&setup.ctx).await.unwrap();
    let states: Vec<(&str, bool)> =
        statuses.nodes.iter().map(|node| (node.name.as_str(), node.databases[0].ok)).collect();
    assert_eq!(states, [("a", true), ("b", false)]);

    // What comes meanwhile is there once the node is.
    let mut texts = BTreeSet::new();
    for number in 0..6 {
        let title = format!("while it was down {number}");
        setup.bring(&collection, markdown(&title, &format!("The ferry number {number} waits for the tide."))).await;
        texts.insert(title);
    }
    victim.run("resume");
    let started = Instant::now();
    loop {
        let answer = search(&setup, &collection, "which ferry waits for the tide", None).await;
        let titles: BTreeSet<String> = answer.results.iter().map(|hit| hit.title.clone()).collect();
        if answer.shards.unwrap().failed.is_empty() && texts.is_subset(&titles) {
            break;
        }
        assert!(started.elapsed() < PATIENCE, "{titles:?} {:?}", answer.warnings);
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let wanted = passages_of(&setup, &collection).await;
    let caught_up = |placement: &CollectionPlacement| {
        placement.serving.shards.iter().map(|shard| shard.passages).sum::<u64>() == wanted
    };
    until(&setup, &collection, caught_up).await;
}

/// Once, for there is one server to kill.
#[test]
fn a_node_that_dies_is_reported_and_catches_up() {
    plasma_testkit::run(|| {
        Box::pin(async {
            let servers = search_node_servers();
            let victim = servers.last().unwrap();
            let nodes = [node("a", fresh_database_on(&servers[0]).await), node("b", fresh_database_on(victim).await)];
            let setup = start(TestStore::sqlite().await, &nodes).await;
            a_node_dies_and_comes_back(setup, Victim::new(victim)).await;
        })
    });
}
