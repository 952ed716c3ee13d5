//! A tenant with content, knowledge and models over one database.

use std::{
    fs::File,
    path::{Path, PathBuf},
    time::Duration,
};

use axum::Extension;
use plasma_content::{Content, Document, Edit, Text};
use plasma_kernel::{Ctx, DocumentId, PageRequest, Result};
use plasma_knowledge::{DocumentState, Knowledge, NewCollection, NewContent, NewDocument, parse::Format};
use plasma_models::{
    CallFilter, LocalModels, LocalSettings, Manifest, ModelCall, ModelKind, Models, ModelsConfig, NewModel,
    NewProvider, Price, ProviderKind, ProviderOptions, manifest::default_models_dir,
};
use plasma_store::{Event, EventFilter};
use plasma_testkit::{TestStore, system, tenant};
use plasma_workflows::Workflows;

/// What the tests' collection is about.
pub const HANDBOOK: &str = "# Backups\n\nThe archiver copies every database at 02:30. Daily copies are kept for 30 days, and monthly \
    copies for two years. Copies are encrypted with AES-256 before they leave the building.\n\n# Restoring\n\nA restore needs the \
    master key and about 4 GB of free disk space. Without the master key the copies cannot be read.";

pub struct Setup {
    pub test: TestStore,
    pub ctx: Ctx,
    pub models: Models,
    pub knowledge: Knowledge,
    pub content: Content,
    pub workflows: Workflows,
}

impl Setup {
    /// Without weights of local models: enough for everything but drafts.
    pub fn new(test: TestStore) -> Self {
        Self::with_models(test, Path::new("/nonexistent/models"))
    }

    /// With the weights that `make models` fetches.
    pub fn local(test: TestStore) -> Self {
        Self::with_models(test, &models_dir())
    }

    fn with_models(test: TestStore, models_dir: &Path) -> Self {
        let local = LocalModels::new(&Manifest::builtin().unwrap(), models_dir, &LocalSettings::default());
        let models = Models::new(&system(), test.store(), local, ModelsConfig::default()).unwrap();
        let workflows = Workflows::new(test.store(), system());
        let knowledge = Knowledge::new(test.store(), models.clone(), &workflows, system());
        let content = Content::new(test.store(), knowledge.clone(), &workflows);
        Self { test, ctx: tenant(), models, knowledge, content, workflows }
    }

    /// Starts the background work and brings the handbook into the collection `handbook`.
    pub async fn with_handbook(self) -> Self {
        self.knowledge.start();
        self.workflows.start(true).await.unwrap();
        let new = NewCollection { name: "handbook".to_owned(), ..NewCollection::default() };
        let collection = self.knowledge.create_collection(&self.ctx, new).await.unwrap();
        let document = NewDocument {
            title: Some("Backup handbook".to_owned()),
            key: None,
            metadata: Default::default(),
            content: NewContent::Text { format: Format::Markdown, text: HANDBOOK.to_owned() },
        };
        let document = self.knowledge.add_document(&self.ctx, collection.id, document).await.unwrap();
        for _ in 0..1_200 {
            let document = self.knowledge.get_document(&self.ctx, collection.id, document.id).await.unwrap();
            match document.state {
                DocumentState::Ready => return self,
                DocumentState::Failed => panic!("the handbook could not be read: {:?}", document.error),
                _ => tokio::time::sleep(Duration::from_millis(100)).await,
            }
        }
        panic!("the handbook did not become ready in two minutes");
    }

    /// A provider named `acme` at this address, with the chat model `acme/writer`.
    pub async fn with_provider(self, base_url: &str) -> Self {
        let provider = NewProvider {
            name: "acme".to_owned(),
            kind: ProviderKind::Openai,
            base_url: base_url.to_owned(),
            api_key: None,
            options: ProviderOptions::default(),
        };
        let provider = self.models.create_provider(&self.ctx, provider).await.unwrap().id;
        let model = NewModel {
            provider,
            name: "writer".to_owned(),
            upstream_name: None,
            kind: ModelKind::Chat,
            context_length: None,
            dimensions: None,
            price: Some(Price { free: true, ..Price::default() }),
            capabilities: None,
            domain: None,
            description: None,
        };
        self.models.create_model(&self.ctx, model).await.unwrap();
        self
    }

    pub async fn create(&self, title: &str, body: &str) -> Document {
        self.content.create(&self.ctx, text(title, body)).await.unwrap()
    }

    pub async fn edit(&self, id: DocumentId, expected_revision: u32, title: &str, body: &str) -> Result<Document> {
        self.content.edit(&self.ctx, id, Edit { text: text(title, body), expected_revision, note: None }).await
    }

    /// The tenant's content events, oldest first.
    pub async fn events(&self) -> Vec<Event> {
        let filter = EventFilter { kind: Some("content.*".to_owned()) };
        let mut tx = self.test.read(&self.ctx).await.unwrap();
        let mut events = tx.events_page(&filter, &PageRequest { limit: 200, cursor: None }).await.unwrap().data;
        events.reverse();
        events
    }

    /// The record of the tenant's only chat, when it has been written.
    pub async fn only_chat(&self) -> ModelCall {
        for _ in 0..100 {
            let calls =
                self.models.calls(&self.ctx, &CallFilter::default(), &PageRequest::default()).await.unwrap().data;
            let mut chats: Vec<_> = calls.into_iter().filter(|call| call.kind == ModelKind::Chat).collect();
            assert!(chats.len() <= 1, "one chat was expected: {chats:?}");
            if let Some(chat) = chats.pop() {
                return chat;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("no chat was recorded in ten seconds");
    }

    /// The routes on a port, for this tenant's caller.
    pub async fn serve(&self) -> String {
        let router = plasma_content::routes().with_state(self.content.clone());
        let router: axum::Router = router.split_for_parts().0;
        let router = router.layer(Extension(self.ctx.clone()));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        tokio::spawn(async move { axum::serve(listener, router).await });
        address
    }
}

pub fn text(title: &str, body: &str) -> Text {
    Text { title: title.to_owned(), body: body.to_owned() }
}

/// Code points `start..end` of a text.
pub fn slice(text: &str, start: u32, end: u32) -> String {
    text.chars().skip(start as usize).take((end - start) as usize).collect()
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

/// Tests that generate text run one at a time, whatever the number of test processes. Held until dropped.
pub fn alone() -> File {
    let file = File::create(std::env::temp_dir().join("plasma-models-tests.lock")).unwrap();
    file.lock().unwrap();
    file
}
