//! A tenant with knowledge over one database.

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use plasma_kernel::{Ctx, KnowledgeDocumentId};
use plasma_knowledge::{
    Collection, Document, DocumentState, Knowledge, Metadata, NewCollection, NewContent, NewDocument, SearchAnswer,
    SearchMode, SearchRequest, parse::Format,
};
use plasma_models::{LocalModels, LocalSettings, Manifest, Models, ModelsConfig, manifest::default_models_dir};
use plasma_store::Store;
use plasma_testkit::{TestStore, system, tenant};
use plasma_workflows::Workflows;
use serde_json::json;

/// Other tests may use both cores for a long time.
const PATIENCE: Duration = Duration::from_secs(240);

pub struct Setup {
    pub test: TestStore,
    pub ctx: Ctx,
    pub models: Models,
    pub workflows: Workflows,
    pub knowledge: Knowledge,
}

/// Where `make models` puts the weights.
pub fn models_dir() -> PathBuf {
    std::env::var_os("PLASMA_MODELS_DIR").map(PathBuf::from).or_else(default_models_dir).expect("a models directory")
}

pub fn open_models(store: Store, models_dir: &Path) -> Models {
    let local = LocalModels::new(&Manifest::builtin().unwrap(), models_dir, &LocalSettings::default());
    Models::new(&system(), store, local, ModelsConfig::default()).unwrap()
}

impl Setup {
    /// With the local embedding model, everything running.
    pub async fn start(test: TestStore) -> Self {
        Self::start_with(test, &models_dir()).await
    }

    pub async fn start_with(test: TestStore, models_dir: &Path) -> Self {
        let models = open_models(test.store(), models_dir);
        let workflows = Workflows::new(test.store(), system());
        let knowledge = Knowledge::new(test.store(), models.clone(), &workflows, system());
        knowledge.start();
        workflows.start(true).await.unwrap();
        Self { test, ctx: tenant(), models, workflows, knowledge }
    }

    /// Stops everything and starts it again over the same database and folder, as the next process would.
    pub async fn restart(self) -> Self {
        self.workflows.stop().await;
        self.knowledge.stop().await;
        let Self { test, ctx, models, .. } = self;
        let workflows = Workflows::new(test.store(), system());
        let knowledge = Knowledge::new(test.store(), models.clone(), &workflows, system());
        knowledge.start();
        workflows.start(true).await.unwrap();
        Self { test, ctx, models, workflows, knowledge }
    }

    pub async fn collection(&self, name: &str) -> Collection {
        let new = NewCollection { name: name.to_owned(), ..NewCollection::default() };
        self.knowledge.create_collection(&self.ctx, new).await.unwrap()
    }

    pub async fn add(&self, collection: &Collection, document: NewDocument) -> Document {
        self.knowledge.add_document(&self.ctx, collection.id, document).await.unwrap()
    }

    /// Adds a document and waits until it is searchable.
    pub async fn bring(&self, collection: &Collection, document: NewDocument) -> Document {
        let document = self.add(collection, document).await;
        self.ready(collection, document.id).await
    }

    pub async fn get(&self, collection: &Collection, id: KnowledgeDocumentId) -> Document {
        self.knowledge.get_document(&self.ctx, collection.id, id).await.unwrap()
    }

    /// Waits until a document is as `wanted` says.
    pub async fn until(
        &self,
        collection: &Collection,
        id: KnowledgeDocumentId,
        wanted: impl Fn(&Document) -> bool,
    ) -> Document {
        let started = Instant::now();
        loop {
            let document = self.get(collection, id).await;
            if wanted(&document) {
                return document;
            }
            assert!(started.elapsed() < PATIENCE, "still {:?}: {:?}", document.state, document.error);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub async fn ready(&self, collection: &Collection, id: KnowledgeDocumentId) -> Document {
        let settled = |document: &Document| matches!(document.state, DocumentState::Ready | DocumentState::Failed);
        let document = self.until(collection, id, settled).await;
        assert_eq!(document.state, DocumentState::Ready, "{:?}", document.error);
        document
    }

    pub async fn search(&self, collection: &Collection, mode: SearchMode, query: &str) -> SearchAnswer {
        self.knowledge.search(&self.ctx, request(&collection.name, mode, query)).await.unwrap()
    }

    /// Rows of a table of this tenant.
    pub async fn rows(&self, count: &'static str) -> i64 {
        let mut tx = self.test.read(&self.ctx).await.unwrap();
        let tenant = self.ctx.tenant().unwrap();
        tx.fetch_one(count, [tenant.into()]).await.unwrap().get("number").unwrap()
    }

    pub async fn passages(&self) -> i64 {
        self.rows("SELECT COUNT(*) AS number FROM passages WHERE tenant_id = $1").await
    }

    pub async fn versions(&self) -> i64 {
        self.rows("SELECT COUNT(*) AS number FROM knowledge_versions WHERE tenant_id = $1").await
    }

    /// Jobs that are not over.
    pub async fn jobs(&self) -> i64 {
        self.rows("SELECT COUNT(*) AS number FROM jobs WHERE tenant_id = $1 AND state IN ('queued', 'running')").await
    }

    pub async fn until_idle(&self) {
        let started = Instant::now();
        while self.jobs().await > 0 {
            assert!(started.elapsed() < PATIENCE, "background work does not end");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Files under `blobs/`.
    pub fn blobs(&self) -> usize {
        fn files(folder: &Path) -> usize {
            let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
            entries.map(|entry| entry.unwrap().path()).map(|path| if path.is_dir() { files(&path) } else { 1 }).sum()
        }
        files(&self.test.data_dir().join("blobs"))
    }
}

pub fn request(collection: &str, mode: SearchMode, query: &str) -> SearchRequest {
    SearchRequest {
        collection: collection.to_owned(),
        query: query.to_owned(),
        limit: None,
        filter: None,
        mode: Some(mode),
    }
}

pub fn markdown(title: &str, text: &str) -> NewDocument {
    NewDocument {
        title: Some(title.to_owned()),
        key: None,
        metadata: Metadata::new(),
        content: NewContent::Text { format: Format::Markdown, text: text.to_owned() },
    }
}

pub fn keyed(key: &str, title: &str, text: &str) -> NewDocument {
    NewDocument { key: Some(key.to_owned()), ..markdown(title, text) }
}

pub fn with_metadata(document: NewDocument, metadata: serde_json::Value) -> NewDocument {
    NewDocument { metadata: serde_json::from_value(metadata).unwrap(), ..document }
}

pub fn file(name: &str, bytes: impl Into<Vec<u8>>) -> NewDocument {
    NewDocument {
        title: None,
        key: None,
        metadata: serde_json::from_value(json!({"source": "upload"})).unwrap(),
        content: NewContent::File { name: name.to_owned(), media_type: None, bytes: bytes.into().into() },
    }
}

pub fn fixture(name: &str) -> Vec<u8> {
    let path = Path::new("tests/fixtures").join(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A document of `sections` sections, each at least one passage about something else.
pub fn long_text(sections: usize) -> String {
    let things = ["harbor", "orchard", "library", "foundry", "glacier", "bakery", "railway", "meadow"];
    (0..sections)
        .map(|number| {
            let thing = things[number % things.len()];
            format!(
                "# Section {number}\n\nThe {thing} number {number} opens at {} in the morning and is kept by {} people, who \
                 write down each visitor, each delivery and each repair in a ledger that is read aloud once a year.\n\n",
                number % 12,
                number + 3,
            )
        })
        .collect()
}
