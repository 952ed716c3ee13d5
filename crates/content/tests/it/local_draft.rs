//! A draft by the real local model: needs its weights, which `make models` fetches.

use plasma_content::DraftRequest;
use plasma_models::CallStatus;
use plasma_testkit::TestStore;

use crate::{
    drafts::listen,
    support::{Setup, alone, slice},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_local_model_writes_a_draft_that_rests_on_its_sources() {
    let _alone = alone();
    let setup = Setup::local(TestStore::sqlite().await).with_handbook().await;
    let request = DraftRequest {
        brief: "A short article for customers: how long are copies kept, and what does a restore need?".to_owned(),
        collection: "handbook".to_owned(),
        model: None,
        title: None,
    };
    let told = listen(setup.content.draft(&setup.ctx, request).await.unwrap()).await;
    assert!(told.error.is_none(), "{:?}", told.error);
    let (done, document) = (told.done.unwrap(), told.document.unwrap());
    println!("--- {}\n{}\n---\n{:?}", document.title, document.body, done.usage);
    for citation in &document.citations {
        println!(
            "[{}] {} <- {}",
            citation.number,
            slice(&document.body, citation.body_start, citation.body_end),
            citation.quote
        );
    }
    println!(
        "first token after {:?} ms, all after {} ms, stages {:?}",
        done.first_token_ms, done.duration_ms, told.stages
    );
    assert!(told.stages.iter().any(|stage| stage == "reading"), "{:?}", told.stages);
    assert_eq!(document.call_id, done.call_id);
    assert!(!document.title.is_empty() && document.body.len() > 80);
    // A model of this size wanders, but not so far that nothing of the handbook remains.
    assert!(!document.citations.is_empty(), "{}", document.body);
    for citation in &document.citations {
        let passage = told.passages.iter().find(|passage| passage.passage_id == citation.passage_id).unwrap();
        assert_eq!(slice(&passage.text, citation.start, citation.end), citation.quote);
    }
    assert_eq!(setup.only_chat().await.status, CallStatus::Succeeded);
}
