//! Documents that not everybody may see: no way leads to them for the others.

use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, Instant},
};

use futures::{StreamExt as _, future::BoxFuture};
use plasma_kernel::{
    Actor, Clock, Code, Ctx, Error, KnowledgeDocumentId, PageRequest, Permission, Permissions, Random, Result, Role,
    TeamId, UserId,
};
use plasma_knowledge::{
    Access, Collection, Document, Knowledge, KnowledgeCounts, NewDocument, People, Person, SearchMode, SearchRequest,
    ask::{AskEvent, AskRequest},
};
use plasma_store::EventFilter;
use plasma_testkit::{on_each_database, system};
use plasma_workflows::Workflows;
use serde_json::json;

use crate::support::{Setup, keyed, markdown, models_dir, open_models, request, with_metadata};

const MODES: [SearchMode; 3] = [SearchMode::Hybrid, SearchMode::Vector, SearchMode::Text];

/// A person of the setup's tenant in a role, who is in these teams.
fn person(setup: &Setup, role: Role, user: UserId, teams: &[TeamId]) -> Ctx {
    let tenant = setup.ctx.tenant().unwrap();
    Ctx::new(tenant, Actor::User { id: user }, role.permissions(), Clock::system(), Random::system())
        .with_access_of(user, teams.into())
}

/// A program whose key nobody in particular made.
fn program(setup: &Setup) -> Ctx {
    let tenant = setup.ctx.tenant().unwrap();
    let actor = Actor::ApiKey { id: plasma_kernel::ApiKeyId::new(&setup.ctx) };
    Ctx::new(tenant, actor, Role::Service.permissions(), Clock::system(), Random::system())
}

fn only(users: &[UserId], teams: &[TeamId]) -> Option<Access> {
    Some(Access { users: users.to_vec(), teams: teams.to_vec() })
}

fn restricted(access: Option<Access>, document: NewDocument) -> NewDocument {
    NewDocument { access, ..document }
}

/// Titles of all that a caller is shown, by every way that there is. All documents are about the cartographer.
async fn shown(knowledge: &Knowledge, ctx: &Ctx, collection: &Collection, all: &[Document]) -> BTreeSet<String> {
    let page = PageRequest::default();
    let listed = knowledge.list_documents(ctx, collection.id, None, &page).await.unwrap().data;
    let titles: BTreeSet<String> = listed.iter().map(|document| document.title.clone()).collect();
    for mode in MODES {
        let answer = knowledge.search(ctx, request(&collection.name, mode, "cartographer island")).await.unwrap();
        let found: BTreeSet<String> = answer.results.iter().map(|hit| hit.title.clone()).collect();
        assert_eq!(found, titles, "{mode:?}");
        assert_eq!(answer.total_passages, titles.len() as u64, "{mode:?}");
        assert!(answer.withheld.is_none());
    }
    for document in all {
        let visible = titles.contains(&document.title);
        let (collection, id) = (collection.id, document.id);
        let read = [
            knowledge.get_document(ctx, collection, id).await.err(),
            knowledge.document_text(ctx, collection, id).await.err(),
            knowledge.document_file(ctx, collection, id).await.err(),
        ];
        for error in read {
            assert_eq!(
                error.map(|error| error.reason()),
                (!visible).then_some("document_not_found"),
                "{}",
                document.title
            );
        }
        // A filter that names it does not lead to it either.
        let filter = json!({"$document_id": id}).as_object().unwrap().clone();
        let by_id = SearchRequest { filter: Some(filter), ..request("atlas", SearchMode::Text, "cartographer") };
        let answer = knowledge.search(ctx, by_id).await.unwrap();
        assert_eq!((answer.results.len(), answer.total_passages), (usize::from(visible), u64::from(visible)));
    }
    let seen = knowledge.get_collection(ctx, &collection.id.to_string()).await.unwrap();
    let count = titles.len() as u64;
    assert_eq!((seen.document_count, seen.ready_count, seen.chunk_count), (count, count, count));
    let listed = knowledge.list_collections(ctx, &page).await.unwrap().data;
    assert_eq!((listed[0].document_count, listed[0].chunk_count), (count, count));
    let counts = KnowledgeCounts { collections: 1, documents: count, passages: count };
    assert_eq!(knowledge.counts(ctx).await.unwrap(), counts);
    titles
}

fn titles(titles: &[&str]) -> BTreeSet<String> {
    titles.iter().map(|title| (*title).to_owned()).collect()
}

/// A collection with an open document, one for a person, one for a team, and one for nobody.
async fn atlas(setup: &Setup, user: UserId, team: TeamId) -> (Collection, Vec<Document>) {
    let collection = setup.collection("atlas").await;
    let all =
        [("open", None), ("personal", only(&[user], &[])), ("shared", only(&[], &[team])), ("locked", only(&[], &[]))];
    let mut documents = Vec::new();
    for (title, access) in all {
        let text = format!("The cartographer draws the {title} island.");
        let document = with_metadata(markdown(title, &text), json!({ title: true }));
        documents.push(setup.bring(&collection, restricted(access, document)).await);
    }
    (collection, documents)
}

fn refused(result: Result<impl Sized>) -> (Code, &'static str) {
    let error: Error = result.err().expect("it should be refused");
    (error.code(), error.reason())
}

struct Known(Vec<(UserId, Permissions, Vec<TeamId>)>);

impl People for Known {
    fn person<'a>(&'a self, _: &'a Ctx, user: UserId) -> BoxFuture<'a, Result<Person>> {
        let found = self.0.iter().find(|(known, ..)| *known == user);
        let person =
            found.map(|(_, permissions, teams)| Person { permissions: *permissions, teams: teams.clone().into() });
        Box::pin(async move { person.ok_or_else(|| Error::not_found("user_not_found", "there is no such user")) })
    }
}

on_each_database! {
    async fn nobody_is_shown_what_they_may_not_see(test: TestStore) {
        let setup = Setup::start(test).await;
        let (user, stranger) = (UserId::new(&setup.ctx), UserId::new(&setup.ctx));
        let (team, other) = (TeamId::new(&setup.ctx), TeamId::new(&setup.ctx));
        let (collection, all) = atlas(&setup, user, team).await;
        let knowledge = &setup.knowledge;
        let everything = titles(&["open", "personal", "shared", "locked"]);
        // In an order in which whatever is remembered for one would show at the next.
        let cases = [
            (setup.ctx.clone(), everything.clone()),
            (person(&setup, Role::Viewer, stranger, &[]), titles(&["open"])),
            (person(&setup, Role::Viewer, user, &[]), titles(&["open", "personal"])),
            (person(&setup, Role::Editor, stranger, &[other, team]), titles(&["open", "shared"])),
            (person(&setup, Role::Editor, user, &[team]), titles(&["open", "personal", "shared"])),
            (person(&setup, Role::Admin, stranger, &[]), everything.clone()),
            (program(&setup), titles(&["open"])),
            (person(&setup, Role::Owner, stranger, &[]), everything),
        ];
        for round in 0..2 {
            for (ctx, expected) in &cases {
                assert_eq!(&shown(knowledge, ctx, &collection, &all).await, expected, "{:?} in round {round}", ctx.actor());
            }
        }
        // Not even the names of the metadata.
        let ctx = person(&setup, Role::Viewer, stranger, &[]);
        let filter = json!({"lockd": true}).as_object().unwrap().clone();
        let mistyped = SearchRequest { filter: Some(filter), ..request("atlas", SearchMode::Text, "cartographer") };
        let warnings = knowledge.search(&ctx, mistyped).await.unwrap().warnings;
        assert!(warnings[0].ends_with("there are: open"), "{warnings:?}");
    }

    async fn what_may_not_be_seen_cannot_be_changed(test: TestStore) {
        let setup = Setup::start(test).await;
        let (collection, all) = atlas(&setup, UserId::new(&setup.ctx), TeamId::new(&setup.ctx)).await;
        let setup_key = restricted(only(&[], &[]), keyed("plan", "plan", "The cartographer plans."));
        let keyed_document = setup.bring(&collection, setup_key).await;
        let ctx = person(&setup, Role::Editor, UserId::new(&setup.ctx), &[]);
        let (knowledge, id) = (&setup.knowledge, collection.id);
        for document in all.iter().skip(1).chain([&keyed_document]) {
            let not_found = (Code::NotFound, "document_not_found");
            assert_eq!(refused(knowledge.set_document_access(&ctx, id, document.id, None).await), not_found);
            assert_eq!(refused(knowledge.delete_document(&ctx, id, document.id).await), not_found);
            assert_eq!(refused(knowledge.retry_document(&ctx, id, document.id).await), not_found);
        }
        let mine = knowledge.add_document(&ctx, id, keyed("plan", "mine", "Mine.")).await;
        assert_eq!(refused(mine), (Code::Conflict, "document_key_taken"));
        assert_eq!(setup.get(&collection, keyed_document.id).await.title, "plan");
        // Who may not say who sees a document can neither bring a restricted one nor change one.
        let viewer = person(&setup, Role::Viewer, UserId::new(&setup.ctx), &[]);
        let open = all[0].id;
        assert_eq!(refused(knowledge.set_document_access(&viewer, id, open, None).await).0, Code::Forbidden);
        let permissions = Permissions::none().with(Permission::CollectionsWrite);
        let writer = Ctx::new(ctx.tenant().unwrap(), ctx.actor().clone(), permissions, Clock::system(), Random::system());
        let new = restricted(only(&[], &[]), markdown("x", "Text."));
        assert_eq!(refused(knowledge.add_document(&writer, id, new).await).0, Code::Forbidden);
        let many: Vec<UserId> = (0..1_001).map(UserId::from_bits).collect();
        let error = knowledge.set_document_access(&ctx, id, open, only(&many, &[])).await.unwrap_err();
        assert_eq!((error.code(), error.field_name()), (Code::TooLarge, Some("access")));
    }

    async fn a_change_holds_at_once_and_embeds_nothing(test: TestStore) {
        let setup = Setup::start(test).await;
        let (user, team) = (UserId::new(&setup.ctx), TeamId::new(&setup.ctx));
        let (collection, all) = atlas(&setup, user, team).await;
        let (knowledge, id) = (&setup.knowledge, collection.id);
        let store = setup.test.open_again().await;
        let workflows = Workflows::new(store.clone(), system());
        let second = Knowledge::new(store.clone(), open_models(store, &models_dir()), &workflows, system());
        second.start();
        let ctx = person(&setup, Role::Editor, user, &[]);
        assert_eq!(shown(&second, &ctx, &collection, &all).await, titles(&["open", "personal"]));
        let rows = (setup.passages().await, setup.versions().await);

        let by_word = |word: &'static str| request("atlas", SearchMode::Text, word);
        for _ in 0..5 {
            knowledge.set_document_access(&setup.ctx, id, all[3].id, only(&[user], &[])).await.unwrap();
            assert_eq!(knowledge.search(&ctx, by_word("locked")).await.unwrap().results.len(), 1);
            knowledge.set_document_access(&setup.ctx, id, all[3].id, only(&[], &[])).await.unwrap();
            assert_eq!(knowledge.search(&ctx, by_word("locked")).await.unwrap().results.len(), 0);
        }
        let changed = knowledge.set_document_access(&setup.ctx, id, all[2].id, None).await.unwrap();
        assert_eq!((changed.access, changed.chunk_count), (None, 1));
        let expected = titles(&["open", "personal", "shared"]);
        assert_eq!(shown(knowledge, &ctx, &collection, &all).await, expected);
        let taken = knowledge.set_document_access(&ctx, id, all[0].id, only(&[], &[team])).await.unwrap();
        assert_eq!(taken.access, only(&[], &[team]));
        let expected = titles(&["personal", "shared"]);
        assert_eq!(shown(knowledge, &ctx, &collection, &all).await, expected);
        assert_eq!((setup.passages().await, setup.versions().await), rows);

        let started = Instant::now();
        loop {
            let answer = second.search(&ctx, by_word("cartographer")).await.unwrap();
            let found: BTreeSet<String> = answer.results.into_iter().map(|hit| hit.title).collect();
            if found == expected {
                break;
            }
            assert!(started.elapsed() < Duration::from_secs(30), "the other process shows {found:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert_eq!(shown(&second, &ctx, &collection, &all).await, expected);
        second.stop().await;
    }

    async fn a_replacement_stays_as_restricted_as_it_was(test: TestStore) {
        let setup = Setup::start(test).await;
        let collection = setup.collection("atlas").await;
        let user = UserId::new(&setup.ctx);
        let first = restricted(only(&[user], &[]), keyed("plan", "plan", "The cartographer draws an island."));
        let first = setup.bring(&collection, first).await;
        let replaced = setup.bring(&collection, keyed("plan", "plan", "The cartographer draws a new island.")).await;
        assert_eq!((replaced.id, replaced.access), (first.id, only(&[user], &[])));
        let stranger = person(&setup, Role::Viewer, UserId::new(&setup.ctx), &[]);
        let all = [first];
        assert_eq!(shown(&setup.knowledge, &stranger, &collection, &all).await, titles(&[]));
        // A new version that says who may see it takes the searchable one along, before it is read itself.
        let locked = restricted(only(&[], &[]), keyed("plan", "plan", "The cartographer draws the last island."));
        let added = setup.add(&collection, locked).await;
        let reader = person(&setup, Role::Viewer, user, &[]);
        let answer = setup.knowledge.search(&reader, request("atlas", SearchMode::Text, "cartographer")).await.unwrap();
        assert!(answer.results.is_empty());
        setup.ready(&collection, added.id).await;
        assert_eq!(shown(&setup.knowledge, &reader, &collection, &all).await, titles(&[]));
        setup.knowledge.delete_document(&setup.ctx, collection.id, added.id).await.unwrap();
        assert_eq!(setup.rows("SELECT COUNT(*) AS number FROM knowledge_document_readers WHERE tenant_id = $1").await, 0);
        let stored = "SELECT restricted_count AS number FROM collections WHERE tenant_id = $1";
        assert_eq!(setup.rows(stored).await, 0);
    }

    async fn answers_rest_only_on_what_may_be_seen(test: TestStore) {
        let setup = Setup::start(test).await;
        let collection = setup.collection("atlas").await;
        let text = "The vault of the lighthouse opens with the word heliotrope.";
        setup.bring(&collection, restricted(only(&[], &[]), markdown("vault", text))).await;
        let ctx = person(&setup, Role::Editor, UserId::new(&setup.ctx), &[]);
        let question = AskRequest {
            collection: "atlas".to_owned(),
            question: "Which word opens the vault of the lighthouse?".to_owned(),
            model: None,
            limit: None,
            filter: None,
        };
        let events: Vec<AskEvent> = setup.knowledge.ask(&ctx, question).await.unwrap().collect().await;
        assert!(!format!("{events:?}").contains("heliotrope"));
        match events.last() {
            Some(AskEvent::Done(done)) => assert_eq!((done.finish_reason.as_str(), done.call_id), ("no_match", None)),
            other => panic!("{other:?}"),
        }
    }

    async fn events_do_not_name_restricted_documents(test: TestStore) {
        let setup = Setup::start(test).await;
        let (collection, all) = atlas(&setup, UserId::new(&setup.ctx), TeamId::new(&setup.ctx)).await;
        setup.knowledge.set_document_access(&setup.ctx, collection.id, all[1].id, None).await.unwrap();
        setup.knowledge.delete_document(&setup.ctx, collection.id, all[3].id).await.unwrap();
        let page = PageRequest { limit: PageRequest::LIMIT_MAX, cursor: None };
        let mut tx = setup.test.read(&setup.ctx).await.unwrap();
        let events = tx.events_page(&EventFilter::default(), &page).await.unwrap().data;
        let texts: Vec<String> = events.iter().map(|event| event.data.to_string()).collect();
        assert!(texts.iter().all(|text| !text.contains("locked") && !text.contains("shared")), "{texts:?}");
        assert!(texts.iter().any(|text| text.contains(r#""title":"open""#)));
        assert!(events.iter().any(|event| event.kind == "knowledge.document.access_changed" && event.data["title"] == "personal"));
    }

    async fn a_search_on_behalf_of_a_person_is_theirs(test: TestStore) {
        let setup = Setup::start(test).await;
        let (user, admin) = (UserId::new(&setup.ctx), UserId::new(&setup.ctx));
        let team = TeamId::new(&setup.ctx);
        let (collection, all) = atlas(&setup, user, team).await;
        let knowledge = &setup.knowledge;
        let for_user = |user| SearchRequest {
            on_behalf_of: Some(user),
            ..request(&collection.name, SearchMode::Hybrid, "cartographer island")
        };
        let error = knowledge.search(&setup.ctx, for_user(user)).await.unwrap_err();
        assert_eq!((error.code(), error.field_name()), (Code::Unavailable, Some("on_behalf_of")));
        let people = Known(vec![
            (user, Role::Viewer.permissions(), vec![team]),
            (admin, Role::Admin.permissions(), vec![]),
        ]);
        knowledge.use_people(Arc::new(people));
        let answer = knowledge.search(&setup.ctx, for_user(user)).await.unwrap();
        let found: BTreeSet<String> = answer.results.iter().map(|hit| hit.title.clone()).collect();
        assert_eq!((found, answer.withheld), (titles(&["open", "personal", "shared"]), Some(1)));
        let answer = knowledge.search(&setup.ctx, for_user(admin)).await.unwrap();
        assert_eq!((answer.results.len(), answer.withheld), (all.len(), Some(0)));
        assert_eq!(refused(knowledge.search(&setup.ctx, for_user(UserId::from_bits(1))).await).1, "user_not_found");
        // Who does not see all learns nothing, also not about themselves.
        let ctx = person(&setup, Role::Editor, user, &[team]);
        assert_eq!(refused(knowledge.search(&ctx, for_user(user)).await).0, Code::Forbidden);
        let unknown = KnowledgeDocumentId::from_bits(1);
        assert_eq!(refused(knowledge.get_document(&ctx, collection.id, unknown).await).1, "document_not_found");
        assert_eq!(refused(knowledge.get_document(&ctx, collection.id, all[3].id).await).1, "document_not_found");
    }
}
