//! Questions, with the real local models: `make models` fetches their weights.

use std::{
    fs::File,
    path::{Path, PathBuf},
    time::Duration,
};

use futures::StreamExt as _;
use plasma_kernel::{Code, Ctx, Error, PageRequest, Permission, Permissions};
use plasma_knowledge::{
    DocumentState, Knowledge, NewCollection, NewContent, NewDocument,
    ask::{AskDone, AskEvent, AskPassage, AskRequest, AskStage, AskStream, Citation},
    parse::Format,
};
use plasma_models::{
    CallFilter, CallStatus, LocalModels, LocalSettings, Manifest, ModelCall, ModelKind, Models, ModelsConfig, Purpose,
    manifest::default_models_dir,
};
use plasma_testkit::{TestStore, system, tenant, with_permissions};
use plasma_workflows::Workflows;

const DOCUMENTS: [(&str, &str); 4] = [
    (
        "Backup handbook",
        "# Backups\n\nThe archiver copies every database at 02:30. Daily copies are kept for 30 days, and monthly copies for two \
         years. Copies are encrypted with AES-256 before they leave the building.\n\n# Restoring\n\nA restore needs the master key \
         and about 4 GB of free disk space. Without the master key the copies cannot be read. Run `archiver restore` as the user \
         who owns the data directory.",
    ),
    (
        "Travel policy",
        "# Trips\n\nEmployees book trains in second class; first class is allowed for journeys of more than four hours. Flights \
         within the country are not refunded. A night in a hotel may cost up to 140 euros, in London and Zurich up to 220 euros.\n\n\
         # Refunds\n\nSend receipts to finance within six weeks. Money is paid back with the next salary.",
    ),
    (
        "Halley station 🚀",
        "# The station\n\nThe Halley VI research station stands on the Brunt Ice Shelf in Antarctica. 🧊 Its eight modules rest on \
         hydraulic legs with skis, so that tractors can tow them inland.\n\n# Winter\n\nIn winter the temperature falls to −55 °C, \
         and the sun does not rise for 105 days. Since 2017 nobody stays there from March to October, because a crack grows in \
         the ice.",
    ),
    (
        "Spare parts",
        "# Shelf 7\n\nPart QX-4411 is the seal of the coolant pump. Part QX-4412 is the bolt that holds the rotor. Both are ordered \
         from Brandt in Kiel and arrive within nine days.",
    ),
];

struct Setup {
    ctx: Ctx,
    models: Models,
    knowledge: Knowledge,
    /// What the parts work on; dropped last.
    _test: TestStore,
    _workflows: Workflows,
}

impl Setup {
    /// What the rules say of a call's citations, as soon as they have.
    async fn citations_mark(&self, call: &ModelCall) -> Option<f64> {
        for _ in 0..200 {
            let quality = self.models.call_quality(&self.ctx, call.id).await.unwrap();
            if let Some(mark) = quality.marks.iter().find(|mark| mark.name == "citations") {
                return Some(mark.value);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        None
    }

    /// The four documents in the collection `all`.
    async fn new(models_dir: &Path) -> Self {
        let test = TestStore::sqlite().await;
        let local = LocalModels::new(&Manifest::builtin().unwrap(), models_dir, &LocalSettings::default());
        let models = Models::new(&system(), test.store(), local, ModelsConfig::default()).unwrap();
        let workflows = Workflows::new(test.store(), system());
        let knowledge = Knowledge::new(test.store(), models.clone(), &workflows, system());
        knowledge.start();
        workflows.start(true).await.unwrap();
        let ctx = tenant();
        let new = NewCollection { name: "all".to_owned(), ..NewCollection::default() };
        let collection = knowledge.create_collection(&ctx, new).await.unwrap().id;
        for (title, text) in DOCUMENTS {
            let new = NewDocument {
                title: Some(title.to_owned()),
                key: None,
                metadata: Default::default(),
                content: NewContent::Text { format: Format::Markdown, text: text.to_owned() },
            };
            let document = knowledge.add_document(&ctx, collection, new).await.unwrap().id;
            let mut ready = false;
            for _ in 0..1_200 {
                let document = knowledge.get_document(&ctx, collection, document).await.unwrap();
                assert_ne!(document.state, DocumentState::Failed, "{:?}", document.error);
                ready = document.state == DocumentState::Ready;
                if ready {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            assert!(ready, "`{title}` did not become ready in a minute");
        }
        Self { ctx, models, knowledge, _test: test, _workflows: workflows }
    }

    async fn ask(&self, question: &str) -> Told {
        listen(self.knowledge.ask(&self.ctx, request(question)).await.unwrap()).await
    }

    async fn refusal(&self, ctx: &Ctx, request: AskRequest) -> Error {
        match self.knowledge.ask(ctx, request).await {
            Ok(_) => panic!("it should be refused"),
            Err(error) => error,
        }
    }

    async fn chats(&self) -> Vec<ModelCall> {
        let calls = self.models.calls(&self.ctx, &CallFilter::default(), &PageRequest::default()).await.unwrap().data;
        calls.into_iter().filter(|call| call.kind == ModelKind::Chat).collect()
    }
}

fn request(question: &str) -> AskRequest {
    AskRequest { collection: "all".to_owned(), question: question.to_owned(), model: None, limit: None, filter: None }
}

/// What a stream told.
#[derive(Default)]
struct Told {
    passages: Vec<AskPassage>,
    stages: Vec<AskStage>,
    text: String,
    citations: Vec<Citation>,
    done: Option<AskDone>,
    error: Option<Error>,
}

async fn listen(mut events: AskStream) -> Told {
    let mut told = Told::default();
    while let Some(event) = events.next().await {
        assert!(told.done.is_none() && told.error.is_none(), "nothing follows the end, but {event:?}");
        match event {
            AskEvent::Passage(passage) => {
                assert!(told.stages.is_empty(), "passages come first");
                told.passages.push(passage);
            }
            AskEvent::Progress(progress) => told.stages.push(progress.stage),
            AskEvent::Token(token) => told.text += &token.text,
            AskEvent::Citation(citation) => told.citations.push(citation),
            AskEvent::Done(done) => told.done = Some(*done),
            AskEvent::Error(error) => told.error = Some(error),
        }
    }
    told.stages.dedup();
    told
}

/// The folder of the weights, complete.
fn models_dir() -> PathBuf {
    let folder = std::env::var_os("PLASMA_MODELS_DIR").map(PathBuf::from).or_else(default_models_dir).unwrap();
    for model in &Manifest::builtin().unwrap().models {
        if let Err(error) = model.require_files(&folder) {
            panic!(
                "this test needs the weights of the local models in {}: run `make models` ({error})",
                folder.display()
            );
        }
    }
    folder
}

/// The embedding model's weights without the chat model's.
fn embedding_only() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(models_dir()).unwrap() {
        let entry = entry.unwrap();
        if entry.file_name().to_string_lossy().contains("minilm") {
            std::os::unix::fs::symlink(entry.path(), folder.path().join(entry.file_name())).unwrap();
        }
    }
    folder
}

/// Tests that generate text run one at a time, whatever the number of test processes. Held until dropped.
fn alone() -> File {
    let file = File::create(std::env::temp_dir().join("plasma-models-tests.lock")).unwrap();
    file.lock().unwrap();
    file
}

fn slice(text: &str, start: usize, end: usize) -> String {
    text.chars().skip(start).take(end - start).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_rests_on_passages_and_says_where() {
    let _alone = alone();
    let setup = Setup::new(&models_dir()).await;
    let mut cached = 0;
    for (question, word, title) in [
        ("How long are daily backup copies kept?", "30", "Backup handbook"),
        ("How much may a hotel night in London cost?", "220", "Travel policy"),
        ("For how many days does the sun not rise at the Halley station?", "105", "Halley station 🚀"),
    ] {
        let told = setup.ask(question).await;
        assert!(told.error.is_none(), "{:?}", told.error);
        let done = told.done.unwrap();
        println!(
            "{question}\n  {}\n  {:?}, first token {:?} ms, all {} ms",
            done.answer, done.usage, done.first_token_ms, done.duration_ms
        );
        assert_eq!(told.text, done.answer);
        assert_eq!(told.citations, done.citations);
        assert!(done.answer.contains(word), "{}", done.answer);
        assert_eq!(told.passages[0].title, title);
        assert!(
            told.passages.len() <= 3 && told.passages.iter().zip(1..).all(|(passage, number)| passage.number == number)
        );
        // At least one citation, and the figure is in the words that it points at.
        let supports: Vec<String> = done
            .citations
            .iter()
            .map(|citation| {
                let passage = &told.passages[citation.number - 1];
                assert_eq!((passage.passage_id, passage.document_id), (citation.passage_id, citation.document_id));
                println!("  [{}] {}", citation.number, slice(&done.answer, citation.answer_start, citation.answer_end));
                slice(&passage.text, citation.start, citation.end)
            })
            .collect();
        assert!(supports.iter().any(|support| support.contains(word)), "{supports:?}");
        for stage in [AskStage::Retrieving, AskStage::Reading, AskStage::Writing] {
            assert!(told.stages.contains(&stage), "{stage:?} is missing in {:?}", told.stages);
        }
        cached = done.usage.cached_input_tokens;
    }
    assert!(cached > 20, "the instructions are read once, not for every question: {cached}");
    let chats = setup.chats().await;
    assert_eq!(chats.len(), 3);
    assert!(
        chats.iter().all(|call| call.purpose == Purpose::Ask && call.status == CallStatus::Succeeded && call.streamed)
    );
    // The part of the sentences that cite a passage becomes a mark of each call, a moment later.
    for call in &chats {
        let cited = setup.citations_mark(call).await;
        assert!(cited.is_some_and(|cited| cited > 0.0), "{cited:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_goes_away_stops_the_model() {
    let _alone = alone();
    let setup = Setup::new(&models_dir()).await;
    let mut events = setup.knowledge.ask(&setup.ctx, request("What does a restore of a backup need?")).await.unwrap();
    while let Some(event) = events.next().await {
        match event {
            AskEvent::Token(_) => break,
            AskEvent::Done(_) | AskEvent::Error(_) => panic!("it ended before a token: {event:?}"),
            _ => {}
        }
    }
    drop(events);
    for _ in 0..100 {
        if !setup.chats().await.is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let chats = setup.chats().await;
    assert_eq!(chats.iter().map(|call| call.status).collect::<Vec<_>>(), [CallStatus::Cancelled]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn questions_without_an_answer_in_the_collection_reach_no_model() {
    let folder = embedding_only();
    let setup = Setup::new(folder.path()).await;
    for question in [
        "What is the capital of France?",
        "Who won the football world cup?",
        "How do I bake an apple pie?",
        "What is the price of a share of the company?",
        "Explain photosynthesis.",
        "How tall is Mount Everest?",
        "Write a poem about love.",
    ] {
        let told = setup.ask(question).await;
        let done = told.done.unwrap_or_else(|| panic!("{question}: {:?}", told.passages));
        assert_eq!((done.call_id, done.finish_reason.as_str()), (None, "no_match"), "{question}");
        assert!(
            done.answer.contains("nothing on this question") && done.citations.is_empty() && told.passages.is_empty()
        );
    }
    assert!(setup.chats().await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn questions_with_an_answer_find_it_first() {
    let folder = embedding_only();
    let setup = Setup::new(folder.path()).await;
    for (question, title) in [
        ("How long do we store archives?", "Backup handbook"),
        ("What must I have to get my data back?", "Backup handbook"),
        ("Can I read the copies without the key?", "Backup handbook"),
        ("What cipher is used?", "Backup handbook"),
        ("May I travel first class?", "Travel policy"),
        ("When do I get my money back?", "Travel policy"),
        ("What is the limit for a hotel in Zurich?", "Travel policy"),
        ("How cold does it get at Halley?", "Halley station 🚀"),
        ("Why does nobody stay at the station in winter?", "Halley station 🚀"),
        ("How is the station moved?", "Halley station 🚀"),
        ("QX-4412?", "Spare parts"),
        ("Who delivers the seal of the pump?", "Spare parts"),
    ] {
        let told = setup.ask(question).await;
        assert!(told.done.is_none(), "{question}: nothing was found");
        assert_eq!(told.passages[0].title, title, "{question}");
        // The chat model's weights are absent here, and that is what the stream says at its end.
        let error = told.error.unwrap();
        assert_eq!(error.code(), Code::Unavailable, "{error}");
        assert!(error.remedy_text().is_some());
    }
    assert!(setup.chats().await.iter().all(|call| call.status == CallStatus::Failed));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_requests_are_refused_at_once() {
    let folder = embedding_only();
    let setup = Setup::new(folder.path()).await;
    let question = "How long are copies kept?";
    for (request, code, field) in [
        (request("  "), Code::Invalid, "question"),
        (request(&"x".repeat(2_001)), Code::TooLarge, "question"),
        (AskRequest { limit: Some(0), ..request(question) }, Code::Invalid, "limit"),
        (AskRequest { limit: Some(9), ..request(question) }, Code::Invalid, "limit"),
    ] {
        let error = setup.refusal(&setup.ctx, request).await;
        assert_eq!((error.code(), error.field_name()), (code, Some(field)), "{error}");
    }
    let nowhere = AskRequest { collection: "nowhere".to_owned(), ..request(question) };
    assert_eq!(setup.refusal(&setup.ctx, nowhere).await.reason(), "collection_not_found");
    let nobody = AskRequest { model: Some("local/nobody".to_owned()), ..request(question) };
    assert_eq!(setup.refusal(&setup.ctx, nobody).await.reason(), "model_not_found");
    assert_eq!(setup.refusal(&tenant(), request(question)).await.reason(), "collection_not_found");
    for missing in [Permission::SearchQuery, Permission::ModelsInvoke] {
        let permissions: Permissions = Permissions::all().iter().filter(|permission| *permission != missing).collect();
        let error = setup.refusal(&with_permissions(&setup.ctx, permissions), request(question)).await;
        assert_eq!(error.code(), Code::Forbidden, "{missing}");
    }
}
