//! Local models with their real weights: `make models` fetches them.

mod chat;
mod embedding;

use std::{
    fs::File,
    path::{Path, PathBuf},
    time::Duration,
};

use plasma_kernel::Code;
use plasma_models::{
    local::{ChatMessage, ChatRequest, LocalModels, LocalSettings, LocalState, Priority, Role},
    manifest::{Manifest, ModelKind, default_models_dir},
};
use tokio_util::sync::CancellationToken;

const EMBEDDING: &str = "local/all-minilm-l6-v2";
const CHAT: &str = "local/qwen2.5-coder-0.5b-instruct";

/// The folder of the weights, complete.
pub fn models_dir() -> PathBuf {
    let folder = std::env::var_os("PLASMA_MODELS_DIR").map(PathBuf::from).or_else(default_models_dir).unwrap();
    for model in &Manifest::builtin().unwrap().models {
        if let Err(error) = model.require_files(&folder) {
            panic!(
                "these tests need the weights of the local models in {}: run `make models` ({error})",
                folder.display()
            );
        }
    }
    folder
}

/// One thread for each model: tests run beside each other, and threads that wait for each other would crawl then.
pub fn settings() -> LocalSettings {
    LocalSettings { threads: 1, ..LocalSettings::default() }
}

pub fn local_models(settings: &LocalSettings) -> LocalModels {
    LocalModels::new(&Manifest::builtin().unwrap(), &models_dir(), settings)
}

/// Tests that generate text run one at a time, whatever the number of test processes. Held until dropped.
fn alone() -> File {
    let file = File::create(std::env::temp_dir().join("plasma-models-tests.lock")).unwrap();
    file.lock().unwrap();
    file
}

fn resident_mb() -> i64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<i64>().unwrap() / 1000
}

fn state(models: &LocalModels, id: &str) -> LocalState {
    models.model(id).unwrap().state
}

async fn wait_for_state(models: &LocalModels, id: &str, wanted: LocalState) {
    for _ in 0..600 {
        if state(models, id) == wanted {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{id} did not become {wanted:?}");
}

fn hello() -> ChatRequest {
    ChatRequest::new(vec![ChatMessage { role: Role::User, content: "hello".to_owned() }])
}

/// A models folder in which the files of a model have the right size but hold only zeros.
fn zeroed(folder: &Path, id: &str) {
    let manifest = Manifest::builtin().unwrap();
    let model = manifest.model(id).unwrap();
    std::fs::create_dir_all(model.directory(folder)).unwrap();
    for file in &model.files {
        File::create(model.directory(folder).join(&file.path)).unwrap().set_len(file.size_bytes).unwrap();
    }
}

#[tokio::test]
async fn missing_weights_are_reported_with_a_remedy_and_found_once_they_are_there() {
    let folder = tempfile::tempdir().unwrap();
    let manifest = Manifest::builtin().unwrap();
    let models = LocalModels::new(&manifest, folder.path(), &settings());
    for model in models.models() {
        assert_eq!(model.state, LocalState::Missing);
        assert!(model.remedy.unwrap().contains("make models"));
    }
    let chat = models.chat(CHAT, hello(), CancellationToken::new()).unwrap_err();
    let embed = models.embed(EMBEDDING, vec!["hello".to_owned()], Priority::Urgent).await.unwrap_err();
    let count = models.token_counter(EMBEDDING).await.err().unwrap();
    for error in [chat, embed, count] {
        assert_eq!((error.code(), error.reason()), (Code::Unavailable, "model_weights_missing"));
        assert!(error.remedy_text().unwrap().contains("make models"), "{error}");
    }

    let entry = manifest.model(EMBEDDING).unwrap();
    std::os::unix::fs::symlink(entry.directory(&models_dir()), entry.directory(folder.path())).unwrap();
    assert_eq!(state(&models, EMBEDDING), LocalState::Idle);
    models.embed(EMBEDDING, vec!["hello".to_owned()], Priority::Urgent).await.unwrap();
    assert_eq!(state(&models, EMBEDDING), LocalState::Ready);
}

#[tokio::test]
async fn damaged_weights_are_an_error_and_not_a_crash() {
    let folder = tempfile::tempdir().unwrap();
    zeroed(folder.path(), EMBEDDING);
    zeroed(folder.path(), CHAT);
    let models = LocalModels::new(&Manifest::builtin().unwrap(), folder.path(), &settings());
    let error = models.embed(EMBEDDING, vec!["hello".to_owned()], Priority::Urgent).await.unwrap_err();
    assert_eq!((error.code(), error.reason()), (Code::Unavailable, "model_weights_damaged"));
    assert!(error.message().contains("model.safetensors") && error.remedy_text().is_some(), "{error}");

    let mut events = models.chat(CHAT, hello(), CancellationToken::new()).unwrap();
    let error = chat::finish(&mut events).await.unwrap_err();
    assert_eq!((error.code(), error.reason()), (Code::Unavailable, "model_weights_damaged"));
    assert_eq!(state(&models, CHAT), LocalState::Idle);
}

#[tokio::test]
async fn models_are_described_and_not_confused() {
    let models = local_models(&settings());
    let listed = models.models();
    let kinds: Vec<(&str, ModelKind)> =
        listed.iter().map(|model| (model.entry.id.as_str(), model.entry.kind)).collect();
    assert_eq!(kinds, [(EMBEDDING, ModelKind::Embedding), (CHAT, ModelKind::Chat)]);
    assert!(listed.iter().all(|model| model.state == LocalState::Idle && model.remedy.is_none()));

    let error = models.chat("local/none", hello(), CancellationToken::new()).unwrap_err();
    assert_eq!((error.code(), error.reason()), (Code::NotFound, "model_not_found"));
    let error = models.chat(EMBEDDING, hello(), CancellationToken::new()).unwrap_err();
    assert_eq!((error.code(), error.field_name()), (Code::Invalid, Some("model")));
    let error = models.embed(CHAT, vec!["hello".to_owned()], Priority::Urgent).await.unwrap_err();
    assert_eq!((error.code(), error.field_name()), (Code::Invalid, Some("model")));
}

#[tokio::test]
async fn an_idle_model_gives_its_memory_back_and_comes_again() {
    let _alone = alone();
    let models = local_models(&LocalSettings { idle_timeout: Duration::from_millis(800), ..settings() });
    let before = resident_mb();
    models.embed(EMBEDDING, vec!["hello".to_owned()], Priority::Urgent).await.unwrap();
    let with_embedding = resident_mb();
    assert!(with_embedding - before > 80, "{before} MB, then {with_embedding} MB");
    wait_for_state(&models, EMBEDDING, LocalState::Idle).await;
    let without = resident_mb();
    assert!(with_embedding - without > 70, "{with_embedding} MB, after unloading {without} MB");

    let mut request = hello();
    request.max_tokens = Some(2);
    let ask = async || chat::ask(&models, request.clone()).await.1;
    ask().await;
    let with_chat = resident_mb();
    assert!(with_chat - without > 400, "{without} MB, then {with_chat} MB");
    wait_for_state(&models, CHAT, LocalState::Idle).await;
    let without = resident_mb();
    assert!(with_chat - without > 400, "{with_chat} MB, after unloading {without} MB");

    assert_eq!(ask().await.cached_input_tokens, 0);
    models.embed(EMBEDDING, vec!["hello".to_owned()], Priority::Ordinary).await.unwrap();
}

#[tokio::test]
async fn shutdown_ends_running_and_waiting_work() {
    let _alone = alone();
    let models = local_models(&settings());
    let mut request = hello();
    request.messages[0].content = "Write a very long story about a river.".to_owned();
    let mut running = models.chat(CHAT, request, CancellationToken::new()).unwrap();
    chat::first_token(&mut running).await;
    let mut waiting = models.chat(CHAT, hello(), CancellationToken::new()).unwrap();
    models.embed(EMBEDDING, vec!["hello".to_owned()], Priority::Ordinary).await.unwrap();

    tokio::time::timeout(Duration::from_secs(20), models.shutdown()).await.expect("the threads end");
    for events in [&mut running, &mut waiting] {
        assert_eq!(chat::finish(events).await.unwrap_err().reason(), "shutting_down");
    }
    let error = models.chat(CHAT, hello(), CancellationToken::new()).unwrap_err();
    assert_eq!(error.reason(), "shutting_down");
    let error = models.embed(EMBEDDING, vec!["hello".to_owned()], Priority::Urgent).await.unwrap_err();
    assert_eq!(error.reason(), "shutting_down");
}
