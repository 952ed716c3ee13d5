//! Drafts by a provider's model: everything but the wording is certain.

use std::{sync::atomic::Ordering, time::Duration};

use futures::StreamExt as _;
use plasma_content::{DocumentFilter, DraftEvent, DraftRequest, RevisionKind};
use plasma_kernel::{Code, PageRequest, Permission, Permissions};
use plasma_knowledge::ask::{AskDone, AskEvent, AskPassage, Citation};
use plasma_models::{CallStatus, Purpose};
use plasma_testkit::{TestStore, on_each_database, with_permissions};

use crate::{
    support::{Setup, slice},
    upstream::{Upstream, Writes},
};

const WRITTEN: &str = "# Backups you can trust 🎉\n\n## How long\n\nDaily copies are kept for 30 days [1]. They taste of 77 berries [9].\n\n\
    ## How safe\n\nA restore needs the master key and 4 GB of free disk space.\n";
const BODY: &str = "## How long\n\nDaily copies are kept for 30 days [1]. They taste of 77 berries.\n\n\
    ## How safe\n\nA restore needs the master key and 4 GB of free disk space.";

fn request(brief: &str) -> DraftRequest {
    DraftRequest {
        brief: brief.to_owned(),
        collection: "handbook".to_owned(),
        model: Some("acme/writer".to_owned()),
        title: None,
    }
}

const BRIEF: &str = "A short article for customers: how long are daily copies kept, and what does a restore need?";

async fn setup(test: TestStore, writes: Writes) -> (Setup, Upstream) {
    let (upstream, url) = Upstream::start(writes).await;
    (Setup::local(test).with_handbook().await.with_provider(&url).await, upstream)
}

/// What a stream told.
#[derive(Default)]
pub struct Told {
    pub passages: Vec<AskPassage>,
    pub text: String,
    pub citations: Vec<Citation>,
    pub document: Option<plasma_content::Document>,
    pub done: Option<AskDone>,
    pub error: Option<plasma_kernel::Error>,
    pub stages: Vec<String>,
}

pub async fn listen(mut events: plasma_content::DraftStream) -> Told {
    let mut told = Told::default();
    while let Some(event) = events.next().await {
        assert!(told.done.is_none() && told.error.is_none(), "nothing follows the end, but {event:?}");
        match event {
            DraftEvent::Document(document) => told.document = Some(*document),
            DraftEvent::Writing(AskEvent::Passage(passage)) => told.passages.push(passage),
            DraftEvent::Writing(AskEvent::Token(token)) => told.text += &token.text,
            DraftEvent::Writing(AskEvent::Citation(citation)) => told.citations.push(citation),
            DraftEvent::Writing(AskEvent::Done(done)) => told.done = Some(*done),
            DraftEvent::Writing(AskEvent::Error(error)) => told.error = Some(error),
            DraftEvent::Writing(AskEvent::Progress(progress)) => {
                let stage = format!("{:?}", progress.stage).to_lowercase();
                if told.stages.last() != Some(&stage) {
                    told.stages.push(stage);
                }
            }
        }
    }
    told
}

async fn stored(setup: &Setup) -> u64 {
    setup.content.count(&setup.ctx).await.unwrap()
}

on_each_database! {
    async fn a_draft_becomes_a_document_with_its_sources(test: TestStore) {
        let (setup, upstream) = setup(test, Writes::Text(WRITTEN.to_owned())).await;
        let told = listen(setup.content.draft(&setup.ctx, request(BRIEF)).await.unwrap()).await;
        assert!(told.error.is_none(), "{:?}", told.error);
        let (done, document) = (told.done.unwrap(), told.document.unwrap());
        assert_eq!(told.text, done.answer);
        assert_eq!(told.citations, done.citations);
        assert_eq!(told.stages, ["retrieving", "writing"]);

        assert_eq!((document.title.as_str(), document.body.as_str()), ("Backups you can trust 🎉", BODY));
        assert_eq!((document.revision, document.brief.as_deref()), (1, Some(BRIEF)));
        assert_eq!(document.collection_id, Some(told.passages[0].collection_id));
        assert_eq!(document.call_id, done.call_id);
        // What the sources say is cited at its place; what they do not say is not.
        let cited: Vec<_> = document
            .citations
            .iter()
            .map(|citation| (slice(&document.body, citation.body_start, citation.body_end), citation.quote.as_str()))
            .collect();
        assert_eq!(cited, [
            (
                "Daily copies are kept for 30 days [1].".to_owned(),
                "Daily copies are kept for 30 days, and monthly copies for two years."
            ),
            (
                "A restore needs the master key and 4 GB of free disk space.".to_owned(),
                "A restore needs the master key and about 4 GB of free disk space."
            ),
        ]);
        for citation in &document.citations {
            let passage = told.passages.iter().find(|passage| passage.passage_id == citation.passage_id).unwrap();
            assert_eq!(slice(&passage.text, citation.start, citation.end), citation.quote);
            assert_eq!((citation.title.as_str(), citation.document_id), ("Backup handbook", passage.document_id));
        }
        assert_eq!(setup.content.document(&setup.ctx, document.id).await.unwrap(), document);
        let revision = setup.content.revision(&setup.ctx, document.id, 1).await.unwrap();
        assert_eq!((revision.kind, revision.call_id), (RevisionKind::Generated, document.call_id));

        let call = setup.only_chat().await;
        assert_eq!((Some(call.id), call.purpose, call.status), (document.call_id, Purpose::Draft, CallStatus::Succeeded));
        assert_eq!((call.usage.input_tokens, done.usage.output_tokens), (321, 45));
        let event = setup.events().await.pop().unwrap();
        assert_eq!((event.kind.as_str(), &event.data["citations"]), ("content.document.created", &2.into()));
        let filter = DocumentFilter { state: None, collection: document.collection_id };
        let listed = setup.content.documents(&setup.ctx, &filter, &PageRequest::default()).await.unwrap().data;
        assert_eq!(listed[0].excerpt, "How long Daily copies are kept for 30 days. They taste of 77 berries. How safe \
            A restore needs the master key and 4 GB of free disk space.");

        // What does not change comes first, so that a model can keep it; the brief comes after the passages.
        let asked = upstream.asked.lock().await.take().unwrap();
        assert_eq!(asked["messages"][0]["role"], "system");
        let (passages, rest) = asked["messages"][1]["content"].as_str().unwrap().split_once("</passages>").unwrap();
        assert!(passages.contains("Daily copies are kept") && rest.starts_with(&format!("\n\nBrief: {BRIEF}\n")), "{asked}");
    }

    async fn citations_go_along_with_their_sentences(test: TestStore) {
        let (setup, _upstream) = setup(test, Writes::Text(WRITTEN.to_owned())).await;
        let told = listen(setup.content.draft(&setup.ctx, request(BRIEF)).await.unwrap()).await;
        let document = told.document.unwrap();
        // One sentence moves behind an emoji, the other is reworded.
        let body = "🎉🎉 News!\n\nA restore needs the **master key** and 4 GB of free disk space.\n\nDaily copies are kept for 30 years [1].";
        let edited = setup.edit(document.id, 1, &document.title, body).await.unwrap();
        let cited: Vec<_> = edited.citations.iter().map(|citation| slice(body, citation.body_start, citation.body_end)).collect();
        assert_eq!(cited, ["A restore needs the **master key** and 4 GB of free disk space."]);
        assert_eq!(setup.content.document(&setup.ctx, document.id).await.unwrap(), edited);
        // The first revision still has both, and brings them back.
        let restored = setup.content.restore(&setup.ctx, document.id, 1).await.unwrap();
        assert_eq!((restored.revision, &restored.citations), (3, &document.citations));
    }

    async fn who_leaves_before_the_end_stores_nothing(test: TestStore) {
        let (setup, upstream) = setup(test, Writes::Hangs("# Title\n\nDaily copies are kept for 30 days [1]. And ".to_owned())).await;
        let mut events = setup.content.draft(&setup.ctx, request(BRIEF)).await.unwrap();
        loop {
            match events.next().await.unwrap() {
                DraftEvent::Writing(AskEvent::Citation(_)) => break,
                DraftEvent::Writing(AskEvent::Error(error)) => panic!("{error}"),
                _ => {}
            }
        }
        drop(events);
        let call = setup.only_chat().await;
        assert_eq!((call.status, call.purpose), (CallStatus::Cancelled, Purpose::Draft));
        for _ in 0..100 {
            if upstream.dropped.load(Ordering::SeqCst) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert!(upstream.dropped.load(Ordering::SeqCst), "the provider is told");
        assert_eq!((stored(&setup).await, setup.events().await.len()), (0, 0));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_brief_without_sources_is_not_written() {
    let (setup, upstream) = setup(TestStore::sqlite().await, Writes::Text(WRITTEN.to_owned())).await;
    let brief = "A recipe for apple pie with cinnamon";
    let told = listen(setup.content.draft(&setup.ctx, request(brief)).await.unwrap()).await;
    let done = told.done.unwrap();
    assert_eq!((done.call_id, done.finish_reason.as_str()), (None, "no_match"));
    assert!(told.document.is_none() && told.passages.is_empty());
    assert!(upstream.asked.lock().await.is_none(), "no model is asked");
    assert_eq!(stored(&setup).await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_goes_wrong_is_the_last_event_and_nothing_is_stored() {
    let (setup, _upstream) = setup(TestStore::sqlite().await, Writes::Fails).await;
    let told = listen(setup.content.draft(&setup.ctx, request(BRIEF)).await.unwrap()).await;
    assert_eq!(told.error.unwrap().code(), Code::Upstream);
    assert!(told.done.is_none() && told.document.is_none());
    assert_eq!(stored(&setup).await, 0);
    assert_eq!(setup.only_chat().await.status, CallStatus::Failed);

    let (setup, _upstream) = self::setup(TestStore::sqlite().await, Writes::Text("# Only a title".to_owned())).await;
    let told = listen(setup.content.draft(&setup.ctx, request(BRIEF)).await.unwrap()).await;
    assert_eq!(told.error.unwrap().reason(), "model_wrote_nothing");
    assert_eq!(stored(&setup).await, 0);

    let (setup, _upstream) =
        self::setup(TestStore::sqlite().await, Writes::Text("The station has one more very nice module. ".repeat(50)))
            .await;
    let told = listen(setup.content.draft(&setup.ctx, request(BRIEF)).await.unwrap()).await;
    assert_eq!(told.error.unwrap().reason(), "model_repeats_itself");
    assert!(told.text.len() < 500, "it is stopped soon");
    assert_eq!(stored(&setup).await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_requests_are_refused_at_once() {
    let (setup, _upstream) = setup(TestStore::sqlite().await, Writes::Text(WRITTEN.to_owned())).await;
    let refused = async |request: DraftRequest| match setup.content.draft(&setup.ctx, request).await {
        Ok(_) => panic!("it should be refused"),
        Err(error) => (error.code(), error.reason()),
    };
    assert_eq!(refused(request(" ")).await.0, Code::Invalid);
    assert_eq!(refused(request(&"x".repeat(8_001))).await.0, Code::TooLarge);
    assert_eq!(refused(DraftRequest { title: Some("x".repeat(301)), ..request(BRIEF) }).await.0, Code::TooLarge);
    let nowhere = DraftRequest { collection: "nowhere".to_owned(), ..request(BRIEF) };
    assert_eq!(refused(nowhere).await, (Code::NotFound, "collection_not_found"));
    let nobody = DraftRequest { model: Some("acme/nobody".to_owned()), ..request(BRIEF) };
    assert_eq!(refused(nobody).await, (Code::NotFound, "model_not_found"));
    for missing in [Permission::ContentWrite, Permission::SearchQuery, Permission::ModelsInvoke] {
        let permissions: Permissions = Permissions::all().iter().filter(|permission| *permission != missing).collect();
        let ctx = with_permissions(&setup.ctx, permissions);
        let Err(error) = setup.content.draft(&ctx, request(BRIEF)).await else { panic!("{missing} is needed") };
        assert_eq!(error.code(), Code::Forbidden);
    }
    // A given title is used.
    let titled = DraftRequest { title: Some("My own".to_owned()), ..request(BRIEF) };
    let told = listen(setup.content.draft(&setup.ctx, titled).await.unwrap()).await;
    assert_eq!(told.document.unwrap().title, "My own");
}
