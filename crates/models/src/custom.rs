//! Custom models: weights on this machine as a model of a workspace, and the domains that models are for.

use std::{fs, path::Path, sync::Arc};

use plasma_kernel::{Code, Ctx, Error, Permission, Result, Timestamp};
use plasma_store::NewEvent;
use serde::Deserialize;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use tokio::sync::Semaphore;

use crate::{
    Model, Models, events,
    manifest::{ModelEntry, ModelKind, Pooling, Precision, WeightFile},
    store,
    weights::{Pulled, gguf},
};

/// Custom models of one tenant.
const CUSTOM_MODELS_MAX: usize = 50;
const NAME_CHARS_MAX: usize = 100;
const DOMAIN_CHARS_MAX: usize = 40;
const DESCRIPTION_CHARS_MAX: usize = 500;
/// Tokens of a chat when nobody says: memory is reserved for them, and models are trained for far more than a machine has.
const CONTEXT_LENGTH_DEFAULT: u64 = 4_096;
/// What the BERT engine needs, in the order in which they are listed.
const EMBEDDING_FILES: [&str; 3] = ["model.safetensors", "tokenizer.json", "config.json"];
/// Bytes of a description of a model (`config.json` and the like).
const CONFIG_BYTES_MAX: u64 = 1 << 20;

/// Weights are read one model at a time in a process: they are large, and everybody else needs the disk and the cores too.
static READING: Semaphore = Semaphore::const_new(1);
const READING_RETRY_MS: u64 = 10_000;

/// Weights to add as a model.
#[derive(Clone, Debug)]
pub struct NewCustomModel {
    /// It is called as `local/<name>`: letters, digits and `._-`, at most 100; no name of the manifest.
    pub name: String,
    /// A GGUF file, or a folder with an embedding model of the BERT family, below the models directory or one that the
    /// configuration allows; relative paths begin at the models directory.
    pub path: String,
    /// What it is made for, such as `legal`: at most 40 lowercase letters, digits and hyphens.
    pub domain: Option<String>,
    /// For people, at most 500 characters.
    pub description: Option<String>,
    /// Tokens that it reads at most; what it was trained for, at most 4,096 for a chat, when absent.
    pub context_length: Option<u32>,
    /// In which numbers an embedding model multiplies; for embedding models only.
    pub precision: Option<Precision>,
}

/// A custom model.
#[derive(Clone, Debug)]
pub(crate) struct CustomModel {
    /// As in the manifest, with the folder of its files.
    pub(crate) entry: ModelEntry,
    pub(crate) domain: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) created_at: Timestamp,
}

impl Models {
    /// Adds weights that are on this machine as a model of the workspace. The files are read once, to be sure that they are
    /// what they seem and to notice when they change.
    ///
    /// # Errors
    /// `forbidden` without `models:write`, `invalid` naming the field (`path` also for what is outside of the allowed
    /// folders, cut off or of another kind), `conflict` (`model_exists`), `too_large` beyond 50 custom models,
    /// `rate_limited` (`weights_being_read`) while those of another model are read.
    pub async fn create_custom_model(&self, ctx: &Ctx, new: NewCustomModel) -> Result<Model> {
        ctx.require(Permission::ModelsWrite)?;
        check_name(&new.name)?;
        check_labels(new.domain.as_deref(), new.description.as_deref())?;
        let id = format!("local/{}", new.name);
        if self.inner.local_entries.iter().any(|entry| entry.id == id) {
            return Err(exists(&id));
        }
        // Once more below: what is refused in the end need not be read.
        check_place(&store::custom_models::all(&mut self.inner.store.read(ctx).await?).await?, &id)?;
        let path = self.inner.local.locate(&new.path)?;
        let permit = READING.try_acquire().map_err(|_| being_read())?;
        let name = id.clone();
        let wanted = Wanted { context_length: new.context_length, precision: new.precision };
        let read = move || {
            // Held to the end of the reading, also when nobody waits for it any more.
            let _permit = permit;
            inspect(&name, &path, wanted)
        };
        let entry = tokio::task::spawn_blocking(read)
            .await
            .map_err(|error| Error::from_source("looking at weights failed", error))??;
        let model = CustomModel { entry, domain: new.domain, description: new.description, created_at: ctx.now() };
        let mut tx = self.inner.store.begin(ctx).await?;
        check_place(&store::custom_models::all(&mut tx).await?, &id)?;
        store::custom_models::insert(&mut tx, &model).await.map_err(|error| match error.reason() {
            "already_exists" => exists(&id),
            _ => error,
        })?;
        let data = json!({ "kind": model.entry.kind, "provider_id": null });
        tx.emit(NewEvent::new(events::MODEL_CREATED, &id, data)).await?;
        tx.commit().await?;
        self.forget_models();
        self.inner.custom.changed();
        self.inner.local.adopt(&model.entry)?;
        Ok(self.custom_as_model(&model))
    }

    /// The tenant's custom models. Reads no SQL but once in 10 s.
    pub(crate) async fn custom_models(&self, ctx: &Ctx) -> Result<Arc<Vec<CustomModel>>> {
        let load = || async {
            let mut tx = self.inner.store.read(ctx).await?;
            store::custom_models::all(&mut tx).await
        };
        self.inner.custom.get(ctx.tenant()?, load).await
    }

    /// The custom model `id`, ready to be called; `None` when there is none.
    pub(crate) async fn custom_entry(&self, ctx: &Ctx, id: &str) -> Result<Option<ModelEntry>> {
        if !id.starts_with("local/") {
            return Ok(None);
        }
        // Boxed: few names are custom models', and the others' calls must not carry its weight.
        let models = Box::pin(self.custom_models(ctx)).await?;
        let Some(model) = models.iter().find(|model| model.entry.id == id) else { return Ok(None) };
        self.inner.local.adopt(&model.entry)?;
        Ok(Some(model.entry.clone()))
    }

    /// Removes a custom model; its files stay. `false` when there is none.
    pub(crate) async fn delete_custom_model(&self, ctx: &Ctx, id: &str) -> Result<bool> {
        let mut tx = self.inner.store.begin(ctx).await?;
        if !store::custom_models::delete(&mut tx, id).await? {
            return Ok(false);
        }
        tx.emit(NewEvent::new(events::MODEL_DELETED, id, json!({}))).await?;
        tx.commit().await?;
        self.forget_models();
        self.inner.custom.changed();
        Ok(true)
    }

    pub(crate) fn custom_as_model(&self, custom: &CustomModel) -> Model {
        let model = self.local_model(self.inner.local.describe_entry(&custom.entry));
        Model {
            domain: custom.domain.clone(),
            description: custom.description.clone(),
            created_at: custom.created_at,
            default: false,
            ..model
        }
    }
}

fn exists(id: &str) -> Error {
    Error::conflict("model_exists", format!("there is a model `{id}` already")).field("name")
}

fn being_read() -> Error {
    Error::new(Code::RateLimited, "weights_being_read", "the weights of another model are being read")
        .remedy("try again when that model is there")
        .retry_after_ms(READING_RETRY_MS)
}

/// Whether one more model fits beside `models`, under this name.
fn check_place(models: &[CustomModel], id: &str) -> Result<()> {
    if models.iter().any(|model| model.entry.id == id) {
        return Err(exists(id));
    }
    if models.len() >= CUSTOM_MODELS_MAX {
        let message = format!("a workspace has at most {CUSTOM_MODELS_MAX} custom models");
        return Err(Error::too_large("name", message));
    }
    Ok(())
}

fn check_name(name: &str) -> Result<()> {
    let allowed = |letter: u8| letter.is_ascii_alphanumeric() || b"._-".contains(&letter);
    if !name.is_empty() && name.len() <= NAME_CHARS_MAX && !name.starts_with('.') && name.bytes().all(allowed) {
        return Ok(());
    }
    Err(Error::invalid("name", format!("must be 1 to {NAME_CHARS_MAX} letters, digits or `._-`")))
}

/// A model's domain and description.
pub(crate) fn check_labels(domain: Option<&str>, description: Option<&str>) -> Result<()> {
    domain.map_or(Ok(()), |domain| check_domain("domain", domain))?;
    let printable = |text: &str| !text.chars().any(|letter| letter.is_control() && letter != '\n');
    if description.is_some_and(|text| text.chars().count() > DESCRIPTION_CHARS_MAX || !printable(text)) {
        let message = format!("must be at most {DESCRIPTION_CHARS_MAX} printable characters");
        return Err(Error::invalid("description", message));
    }
    Ok(())
}

/// A domain's word, as the field `field`.
pub(crate) fn check_domain(field: &'static str, domain: &str) -> Result<()> {
    let allowed = |letter: u8| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == b'-';
    let whole = !domain.starts_with('-') && !domain.ends_with('-');
    if !domain.is_empty() && domain.len() <= DOMAIN_CHARS_MAX && whole && domain.bytes().all(allowed) {
        return Ok(());
    }
    Err(Error::invalid(
        field,
        format!("must be 1 to {DOMAIN_CHARS_MAX} lowercase letters, digits or hyphens between them"),
    ))
}

/// What somebody wants of a model beside what its files say.
#[derive(Clone, Copy)]
struct Wanted {
    context_length: Option<u32>,
    precision: Option<Precision>,
}

/// What stands at a path, as the manifest would describe it. Reads all of it.
fn inspect(id: &str, path: &Path, wanted: Wanted) -> Result<ModelEntry> {
    let metadata = fs::metadata(path).map_err(|error| wrong(format!("it cannot be read: {error}")))?;
    if metadata.is_dir() { inspect_embedding(id, path, wanted) } else { inspect_gguf(id, path, wanted) }
}

fn wrong(message: impl Into<String>) -> Error {
    Error::invalid("path", message)
}

fn inspect_gguf(id: &str, path: &Path, wanted: Wanted) -> Result<ModelEntry> {
    if wanted.precision.is_some() {
        return Err(Error::invalid("precision", "is for embedding models only")
            .remedy("leave it out; the file of a chat model says in which numbers it is"));
    }
    let (Some(folder), Some(file)) = (path.parent(), path.file_name().and_then(|name| name.to_str())) else {
        return Err(wrong("it is no file"));
    };
    let header = gguf::read(path).map_err(|why| wrong(format!("{file} {why}")))?;
    if !header.has_chat_template {
        let message =
            format!("{file} has no chat template (tokenizer.chat_template): it does not say how messages are written");
        return Err(wrong(message)
            .remedy("choose an instruction-tuned or chat model; base models and GGUF embedding models cannot chat"));
    }
    let trained = header.context_length.unwrap_or(CONTEXT_LENGTH_DEFAULT);
    let context_length = match wanted.context_length.map(u64::from) {
        Some(wanted) if wanted == 0 || wanted > trained => {
            return Err(Error::invalid(
                "context_length",
                format!("must be 1 to {trained}, what the model was trained for"),
            ));
        }
        Some(wanted) => wanted,
        None => trained.min(CONTEXT_LENGTH_DEFAULT),
    };
    let files = vec![weight_file(folder, file)?];
    Ok(ModelEntry {
        kind: ModelKind::Chat,
        name: header.name.unwrap_or_else(|| id.trim_start_matches("local/").to_owned()),
        family: header.architecture,
        license: header.license.or_else(|| Pulled::read(folder)?.license).unwrap_or_else(|| "unknown".to_owned()),
        dimensions: None,
        pooling: None,
        normalize: false,
        ..entry(id, folder, files, context_length)?
    })
}

#[derive(Deserialize)]
struct BertConfig {
    model_type: Option<String>,
    hidden_size: usize,
    max_position_embeddings: u64,
}

fn inspect_embedding(id: &str, folder: &Path, wanted: Wanted) -> Result<ModelEntry> {
    let config: BertConfig = read_json(folder, "config.json")?;
    let family = config.model_type.unwrap_or_else(|| "bert".to_owned());
    if family != "bert" {
        let message = format!("its family is `{family}`; embedding models of the family `bert` run here");
        return Err(wrong(message).remedy("serve it with another program, and add that as a provider"));
    }
    if folder.join("1_Pooling/config.json").exists() {
        let pooling: serde_json::Value = read_json(folder, "1_Pooling/config.json")?;
        if pooling.get("pooling_mode_mean_tokens").and_then(serde_json::Value::as_bool) == Some(false) {
            return Err(wrong("it does not pool by the mean of its tokens, and no other pooling is known here"));
        }
    }
    let trained = config.max_position_embeddings;
    let context_length = match wanted.context_length.map(u64::from) {
        Some(wanted) if wanted < 3 || wanted > trained => {
            return Err(Error::invalid(
                "context_length",
                format!("must be 3 to {trained}, what the model was trained for"),
            ));
        }
        Some(wanted) => wanted,
        None => trained,
    };
    let files = EMBEDDING_FILES.iter().map(|file| weight_file(folder, file)).collect::<Result<Vec<_>>>()?;
    // Whether the engine can load it is known only by loading it.
    let precision = wanted.precision.unwrap_or_default();
    crate::local::check_embedding_model(folder, precision).map_err(|error| wrong(error.message().to_owned()))?;
    Ok(ModelEntry {
        kind: ModelKind::Embedding,
        family,
        license: Pulled::read(folder).and_then(|pulled| pulled.license).unwrap_or_else(|| "unknown".to_owned()),
        dimensions: Some(config.hidden_size),
        pooling: Some(Pooling::Mean),
        normalize: true,
        precision,
        ..entry(id, folder, files, context_length)?
    })
}

/// An entry whose particulars the caller fills in.
fn entry(id: &str, folder: &Path, files: Vec<WeightFile>, context_length: u64) -> Result<ModelEntry> {
    Ok(ModelEntry {
        id: id.to_owned(),
        kind: ModelKind::Chat,
        name: id.trim_start_matches("local/").to_owned(),
        family: String::new(),
        license: String::new(),
        context_length: usize::try_from(context_length).map_err(|_| Error::internal("a context length"))?,
        dimensions: None,
        pooling: None,
        normalize: false,
        precision: Precision::default(),
        memory_bytes: files.iter().map(|file| file.size_bytes).sum(),
        files,
        folder: Some(folder.to_owned()),
    })
}

fn read_json<T: serde::de::DeserializeOwned>(folder: &Path, file: &str) -> Result<T> {
    let path = inside(folder, file)?;
    let size = fs::metadata(&path).map_err(|error| wrong(format!("{file} cannot be read: {error}")))?.len();
    if size > CONFIG_BYTES_MAX {
        return Err(wrong(format!("{file} has {size} bytes, the limit is {CONFIG_BYTES_MAX}")));
    }
    let text = fs::read(&path).map_err(|error| wrong(format!("{file} cannot be read: {error}")))?;
    // What stands in the file is not shown: only that it is no such description.
    serde_json::from_slice(&text).map_err(|_| wrong(format!("{file} does not describe a model that runs here")))
}

fn weight_file(folder: &Path, file: &str) -> Result<WeightFile> {
    let path = inside(folder, file)?;
    let unreadable = |error: std::io::Error| wrong(format!("{file} cannot be read: {error}"));
    let mut source = fs::File::open(path).map_err(unreadable)?;
    let size_bytes = source.metadata().map_err(unreadable)?.len();
    let mut hasher = Sha256::new();
    let mut block = vec![0; 1 << 20];
    loop {
        let count = std::io::Read::read(&mut source, &mut block).map_err(unreadable)?;
        let Some(read) = block.get(..count).filter(|read| !read.is_empty()) else { break };
        hasher.update(read);
    }
    let sha256 = hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(WeightFile { path: file.to_owned(), size_bytes, sha256, sources: Vec::new() })
}

/// A file of a folder that was allowed. A link in it must not lead out of it.
fn inside(folder: &Path, file: &str) -> Result<std::path::PathBuf> {
    let path = folder.join(file).canonicalize().map_err(|_| wrong(format!("{file} is missing")))?;
    if path.starts_with(folder) && path.is_file() {
        return Ok(path);
    }
    Err(wrong(format!("{file} is no file of this folder")))
}
