//! Which models Plasma can run in its own process, and whether their weights are on this machine.
//!
//! `models/manifest.json` is embedded into the binary; `scripts/fetch_models.py` reads the same file, and [`crate::weights`]
//! fetches by it too. Whether a file is
//! there is decided by its size; its content is checked when it is fetched, and again by [`ModelEntry::verify`] where no
//! marker says that this very file was checked. Both programs write and read the marker, so no start has to read half a
//! gigabyte.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    time::UNIX_EPOCH,
};

use plasma_kernel::{Error, Result};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Name of the marker in a model's folder.
const MARKER: &str = "verified.json";

/// The models that this build knows.
#[derive(Clone, Debug, Deserialize)]
pub struct Manifest {
    /// In the order in which they are offered.
    pub models: Vec<ModelEntry>,
}

/// What a model is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ModelKind {
    /// Answers messages.
    Chat,
    /// Turns text into vectors.
    Embedding,
}

/// How the vectors of a text's tokens become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pooling {
    /// The mean over all tokens.
    Mean,
}

/// In which numbers an embedding model multiplies. Its weights are those of the files either way; vectors differ slightly, so that
/// the precision is a part of what a model is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Precision {
    /// 32-bit floats.
    #[default]
    F32,
    /// The dense layers in 8-bit integers: faster, with cosines of about 0.999 to the vectors of `f32`.
    Int8,
}

impl Precision {
    /// The text form.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Int8 => "int8",
        }
    }

    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// One model and its files.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ModelEntry {
    /// The name to call it by, such as `local/all-minilm-l6-v2`.
    pub id: String,
    /// What it is for.
    pub kind: ModelKind,
    /// The name to show.
    pub name: String,
    /// Architecture family, such as `bert` or `qwen`.
    pub family: String,
    /// SPDX identifier of the weights' license.
    pub license: String,
    /// Tokens that it reads at most: of an embedding model's text (longer ones are cut), or of a chat's prompt and answer
    /// together (what memory is reserved for; the model may have been trained for more).
    pub context_length: usize,
    /// Length of an embedding model's vectors.
    pub dimensions: Option<usize>,
    /// How an embedding model pools.
    pub pooling: Option<Pooling>,
    /// Whether vectors have length 1.
    #[serde(default)]
    pub normalize: bool,
    /// In which numbers an embedding model multiplies.
    #[serde(default, skip_serializing_if = "Precision::is_default")]
    pub precision: Precision,
    /// Resident memory while it is loaded, in bytes, as measured.
    pub memory_bytes: u64,
    /// The weights.
    pub files: Vec<WeightFile>,
    /// Where they are; `None` for the folder that the model's name has in the models directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folder: Option<PathBuf>,
}

/// One file of a model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WeightFile {
    /// Name in the model's folder.
    pub path: String,
    /// Exact size.
    pub size_bytes: u64,
    /// SHA-256 of the content in lower-case hexadecimal.
    pub sha256: String,
    /// Where it can be fetched, best first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<WeightSource>,
}

/// A place where a file can be fetched. Those that only `scripts/fetch_models.py` knows have no `huggingface`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WeightSource {
    /// A file of a hub with Hugging Face's layout.
    pub huggingface: Option<HubFile>,
}

/// A file of a hub's repository.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HubFile {
    /// `ORG/REPO`.
    pub repo: String,
    /// The commit.
    pub revision: String,
    /// Its path in the repository.
    pub file: String,
}

/// What stands at a file's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileState {
    /// A file of the right size.
    Present,
    /// Nothing.
    Missing,
    /// A file of another size, as after an interrupted copy.
    Partial {
        /// Its size.
        size_bytes: u64,
    },
}

impl Manifest {
    /// The manifest embedded in this build.
    ///
    /// # Errors
    /// `internal` if it is malformed, which a test excludes.
    pub fn builtin() -> Result<Self> {
        serde_json::from_str(include_str!("../../../models/manifest.json"))
            .map_err(|source| Error::from_source("models/manifest.json is malformed", source))
    }

    /// The entry of a model.
    pub fn model(&self, id: &str) -> Option<&ModelEntry> {
        self.models.iter().find(|model| model.id == id)
    }
}

/// Where weights are kept unless configured otherwise: `plasma/models` in the user's cache directory. `None` where there is
/// neither `XDG_CACHE_HOME` nor a home directory.
pub fn default_models_dir() -> Option<PathBuf> {
    let cache = std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .filter(|path| path.is_absolute())
        .or_else(|| Some(std::env::home_dir()?.join(".cache")))?;
    Some(cache.join("plasma").join("models"))
}

impl ModelEntry {
    /// The model's folder inside the models directory.
    pub fn directory(&self, models_dir: &Path) -> PathBuf {
        match &self.folder {
            Some(folder) => folder.clone(),
            None => models_dir.join(self.id.replace('/', "--")),
        }
    }

    /// By what the engines tell models apart: two workspaces may give different weights the same name.
    pub(crate) fn key(&self) -> String {
        match (&self.folder, self.files.first()) {
            // The content too: what was replaced and added again is another model. So are other lengths and precisions.
            (Some(folder), Some(file)) => {
                let parts = [&folder.display().to_string(), &file.path, &file.sha256, &self.context_length.to_string()];
                format!("{}\u{1f}{}", parts.map(String::as_str).join("\u{1f}"), self.precision.as_str())
            }
            _ => self.id.clone(),
        }
    }

    /// Size of all files together.
    pub fn size_bytes(&self) -> u64 {
        self.files.iter().map(|file| file.size_bytes).sum()
    }

    /// An error that says what is missing and how to get it, unless every file stands at its place with the right size.
    /// Reads no content.
    ///
    /// # Errors
    /// `unavailable` with reason `model_weights_missing`.
    pub fn require_files(&self, models_dir: &Path) -> Result<()> {
        let directory = self.directory(models_dir);
        let mut lacking = Vec::new();
        for file in &self.files {
            match file.state(&directory) {
                FileState::Present => {}
                FileState::Missing => lacking.push(format!("{} is missing", file.path)),
                FileState::Partial { size_bytes } => {
                    lacking.push(format!("{} has {size_bytes} bytes instead of {}", file.path, file.size_bytes));
                }
            }
        }
        if lacking.is_empty() {
            return Ok(());
        }
        let message = format!("the weights of {} are not on this machine: {}", self.id, lacking.join(", "));
        Err(Error::unavailable("model_weights_missing", message).remedy(self.fetch_remedy()))
    }

    /// Reads each file whose content no marker vouches for and compares its SHA-256 with the manifest. Blocks: about
    /// half a second for 500 MB, nothing when all are marked.
    ///
    /// # Errors
    /// `unavailable`: `model_weights_missing`, or `model_weights_damaged` naming the file.
    pub fn verify(&self, models_dir: &Path) -> Result<()> {
        self.require_files(models_dir)?;
        let directory = self.directory(models_dir);
        let mut marker = Marker::read(&directory);
        let mut changed = false;
        for file in &self.files {
            let path = directory.join(&file.path);
            let unreadable =
                |source| Error::from_source(format!("{} of {} cannot be read", file.path, self.id), source);
            let mark = Mark::of(&path, &file.sha256).map_err(unreadable)?;
            if marker.files.get(&file.path) == Some(&mark) {
                continue;
            }
            let actual = sha256_of(&path).map_err(unreadable)?;
            if actual != file.sha256 {
                let message = format!(
                    "{} of {} is damaged: its SHA-256 is {actual}, expected {}",
                    file.path, self.id, file.sha256
                );
                return Err(Error::unavailable("model_weights_damaged", message).remedy(self.fetch_remedy()));
            }
            marker.files.insert(file.path.clone(), mark);
            changed = true;
        }
        if changed && let Err(error) = marker.write(&directory) {
            // A read-only folder: the files are checked again at each load.
            tracing::debug!(model = self.id, %error, "the marker of verified weights cannot be written");
        }
        Ok(())
    }

    fn fetch_remedy(&self) -> String {
        if self.folder.is_some() {
            return "put the files back as they were, or remove the model and add it again".to_owned();
        }
        format!(
            "fetch it under Models in the dashboard, or run `make models` or `plasma models pull {}` on the server (it fetches {} MB), or set PLASMA_MODELS_DIR to the folder that holds the weights",
            self.id,
            self.size_bytes().div_ceil(1_000_000)
        )
    }
}

impl WeightFile {
    /// What stands at the file's place in its model's folder.
    pub fn state(&self, directory: &Path) -> FileState {
        match fs::metadata(directory.join(&self.path)) {
            Ok(metadata) if metadata.is_file() && metadata.len() == self.size_bytes => FileState::Present,
            Ok(metadata) if metadata.is_file() => FileState::Partial { size_bytes: metadata.len() },
            _ => FileState::Missing,
        }
    }
}

/// Which files had the right content when they were last read.
#[derive(Default, Serialize, Deserialize)]
struct Marker {
    files: BTreeMap<String, Mark>,
}

/// A file that was changed since has another size or time.
#[derive(PartialEq, Eq, Serialize, Deserialize)]
struct Mark {
    sha256: String,
    size_bytes: u64,
    modified_ns: u64,
}

impl Mark {
    fn of(path: &Path, sha256: &str) -> io::Result<Self> {
        let metadata = fs::metadata(path)?;
        let modified = metadata.modified()?.duration_since(UNIX_EPOCH).map_err(io::Error::other)?;
        Ok(Self {
            sha256: sha256.to_owned(),
            size_bytes: metadata.len(),
            modified_ns: u64::try_from(modified.as_nanos()).map_err(io::Error::other)?,
        })
    }
}

impl Marker {
    fn read(directory: &Path) -> Self {
        fs::read(directory.join(MARKER)).ok().and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default()
    }

    fn write(&self, directory: &Path) -> io::Result<()> {
        let temporary = directory.join(format!(".{MARKER}.{}.tmp", std::process::id()));
        fs::write(&temporary, serde_json::to_vec_pretty(self)?)?;
        fs::rename(&temporary, directory.join(MARKER))
    }
}

fn sha256_of(path: &Path) -> io::Result<String> {
    let mut hasher = Sha256::new();
    let mut file = fs::File::open(path)?;
    let mut block = vec![0; 1 << 20];
    loop {
        let count = io::Read::read(&mut file, &mut block)?;
        let Some(read) = block.get(..count).filter(|read| !read.is_empty()) else {
            break;
        };
        hasher.update(read);
    }
    Ok(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn builtin_manifest_is_complete() {
        let manifest = Manifest::builtin().unwrap();
        for model in &manifest.models {
            assert!(model.id.starts_with("local/") && !model.files.is_empty(), "{}", model.id);
            assert_eq!(model.kind == ModelKind::Embedding, model.dimensions.is_some() && model.pooling.is_some());
            for file in &model.files {
                assert!(file.size_bytes > 0 && file.sha256.len() == 64, "{}: {}", model.id, file.path);
                assert!(!file.path.contains(['/', '\\']) && !file.path.starts_with('.'), "{}", file.path);
            }
        }
        assert!(manifest.model("local/all-minilm-l6-v2").is_some());
        assert!(manifest.model("local/unknown").is_none());
    }

    fn entry(content: &str) -> ModelEntry {
        serde_json::from_value(serde_json::json!({
            "id": "local/example", "kind": "chat", "name": "Example", "family": "qwen", "license": "Apache-2.0",
            "context_length": 512, "memory_bytes": 1,
            "files": [{"path": "weights.gguf", "size_bytes": content.len(), "sha256": format!("{:x}", Hex(content)), "sources": []}],
        }))
        .unwrap()
    }

    struct Hex<'a>(&'a str);

    impl std::fmt::LowerHex for Hex<'_> {
        fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            Sha256::digest(self.0).iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
        }
    }

    #[test]
    fn missing_partial_damaged_and_good_files_are_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        let entry = entry("right content");
        let directory = entry.directory(folder.path());
        let path = directory.join("weights.gguf");
        assert!(directory.ends_with("local--example"));

        let error = entry.verify(folder.path()).unwrap_err();
        assert_eq!((error.code(), error.reason()), (plasma_kernel::Code::Unavailable, "model_weights_missing"));
        assert!(error.remedy_text().unwrap().contains("make models"));

        fs::create_dir(&directory).unwrap();
        fs::write(&path, "right").unwrap();
        assert_eq!(entry.files[0].state(&directory), FileState::Partial { size_bytes: 5 });
        assert_eq!(entry.require_files(folder.path()).unwrap_err().reason(), "model_weights_missing");

        fs::write(&path, "wrong content").unwrap();
        entry.require_files(folder.path()).unwrap();
        assert_eq!(entry.verify(folder.path()).unwrap_err().reason(), "model_weights_damaged");
        assert!(!directory.join(MARKER).exists());

        fs::write(&path, "right content").unwrap();
        entry.verify(folder.path()).unwrap();
        assert!(directory.join(MARKER).exists());
        entry.verify(folder.path()).unwrap();
    }

    #[test]
    fn a_file_changed_after_it_was_marked_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let entry = entry("right content");
        let directory = entry.directory(folder.path());
        fs::create_dir(&directory).unwrap();
        fs::write(directory.join("weights.gguf"), "right content").unwrap();
        entry.verify(folder.path()).unwrap();

        let file = fs::File::options().write(true).open(directory.join("weights.gguf")).unwrap();
        io::Write::write_all(&mut &file, b"wrong content").unwrap();
        let before = file.metadata().unwrap().modified().unwrap();
        file.set_modified(before + std::time::Duration::from_secs(5)).unwrap();
        assert_eq!(entry.verify(folder.path()).unwrap_err().reason(), "model_weights_damaged");
    }
}
