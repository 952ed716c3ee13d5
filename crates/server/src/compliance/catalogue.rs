//! Catalogues of controls: TOML files in `compliance/controls`, a folder for each catalogue, built into the program. A further catalogue
//! is a further folder.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::OnceLock,
};

use anyhow::{Context as _, Result, bail, ensure};
use rust_embed::RustEmbed;
use serde::{Deserialize, Serialize};

/// The file that says what a catalogue is; every other file of the folder is a chapter, in the order of their names.
const HEAD: &str = "catalogue.toml";
/// Of a paraphrase or a reason, in characters.
const TEXT_CHARS_MAX: usize = 1_000;

#[derive(RustEmbed)]
#[folder = "../../compliance/controls"]
struct Files;

/// A list of controls that somebody else has written, and what is true of this program.
#[derive(Clone, Debug)]
pub(crate) struct Catalogue {
    /// The name of its folder, as in `asvs-5.0`.
    pub(crate) name: String,
    pub(crate) head: Head,
    pub(crate) chapters: Vec<Chapter>,
}

/// What a catalogue is.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Head {
    pub(crate) title: String,
    /// Where the requirements themselves stand.
    pub(crate) source: String,
    /// What somebody must know to read it, such as the licence of the source.
    pub(crate) note: String,
}

/// A part of a catalogue.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Chapter {
    pub(crate) id: String,
    pub(crate) title: String,
    #[serde(rename = "control")]
    pub(crate) controls: Vec<Control>,
}

/// A requirement, and how far this program meets it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Control {
    /// As its source numbers it.
    pub(crate) id: String,
    /// Its level, where the source has levels.
    pub(crate) level: Option<u8>,
    /// What it asks for, in our words.
    pub(crate) text: String,
    pub(crate) status: ComplianceStatus,
    /// Why it is not met, or only partly, or does not apply; or what to know about how it is met.
    pub(crate) reason: Option<String>,
    /// Tests that show it, as nextest prints them: `crate::binary module::name`.
    #[serde(default)]
    pub(crate) tests: Vec<String>,
    /// Documents that show it.
    #[serde(default)]
    pub(crate) documents: Vec<Document>,
}

/// How far a control is met, as its catalogue says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ComplianceStatus {
    /// All of it.
    Met,
    /// A part of it.
    Partly,
    /// Nothing of it, or nothing that could be shown.
    NotMet,
    /// There is nothing here that it could be about.
    NotApplicable,
}

/// A place in the documents: `docs/security.md#Pages`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Document {
    /// From the root of the repository.
    pub(crate) path: String,
    /// A heading in it, word by word; none stands for all of it.
    pub(crate) heading: Option<String>,
}

impl TryFrom<String> for Document {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let (path, heading) = match text.split_once('#') {
            Some((path, heading)) => (path, Some(heading.trim().to_owned())),
            None => (text.as_str(), None),
        };
        let is_inside = !path.is_empty() && !path.starts_with('/') && path.split('/').all(|part| part != "..");
        if !is_inside || heading.as_deref() == Some("") {
            return Err(format!("`{text}` is no document such as docs/security.md#Pages"));
        }
        Ok(Self { path: path.to_owned(), heading })
    }
}

/// Every catalogue of the program, in the order of their names.
///
/// # Errors
/// When a file is not as it should be; a test reads them all.
pub(crate) fn all() -> Result<&'static [Catalogue]> {
    static ALL: OnceLock<Result<Vec<Catalogue>, String>> = OnceLock::new();
    match ALL.get_or_init(|| load().map_err(|error| format!("{error:#}"))) {
        Ok(catalogues) => Ok(catalogues),
        Err(error) => bail!("a catalogue of controls cannot be read: {error}"),
    }
}

fn load() -> Result<Vec<Catalogue>> {
    let mut folders: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
    for path in Files::iter() {
        let file = Files::get(&path).with_context(|| format!("{path} is not there"))?;
        let text = String::from_utf8(file.data.into_owned()).with_context(|| format!("{path} is no text"))?;
        let (folder, name) = path.split_once('/').with_context(|| format!("{path} is in no catalogue's folder"))?;
        folders.entry(folder.to_owned()).or_default().push((name.to_owned(), text));
    }
    folders.into_iter().map(|(name, files)| read(&name, files)).collect()
}

/// Reads the files of one catalogue: their names in its folder, and their texts.
pub(super) fn read(name: &str, mut files: Vec<(String, String)>) -> Result<Catalogue> {
    files.sort();
    let mut head = None;
    let mut chapters = Vec::new();
    for (file, text) in &files {
        let place = || format!("{name}/{file}");
        if file == HEAD {
            head = Some(toml::from_str::<Head>(text).with_context(place)?);
        } else {
            chapters.push(toml::from_str::<Chapter>(text).with_context(place)?);
        }
    }
    let head = head.with_context(|| format!("{name} has no {HEAD}"))?;
    check(&chapters).with_context(|| name.to_owned())?;
    Ok(Catalogue { name: name.to_owned(), head, chapters })
}

fn check(chapters: &[Chapter]) -> Result<()> {
    ensure!(!chapters.is_empty(), "it has no chapters");
    let mut ids = BTreeSet::new();
    for control in chapters.iter().flat_map(|chapter| &chapter.controls) {
        let id = &control.id;
        ensure!(ids.insert(id), "{id} is there twice");
        let reason = control.reason.as_deref().unwrap_or_default();
        for text in [control.text.as_str(), reason] {
            ensure!(text.chars().count() <= TEXT_CHARS_MAX, "{id} has more than {TEXT_CHARS_MAX} characters in a text");
        }
        ensure!(!control.text.trim().is_empty(), "{id} has no text");
        let has_evidence = !control.tests.is_empty() || !control.documents.is_empty();
        let is_explained = !reason.trim().is_empty();
        match control.status {
            ComplianceStatus::Met => ensure!(has_evidence, "{id} is met, and nothing shows it"),
            ComplianceStatus::Partly => {
                ensure!(has_evidence && is_explained, "{id} is partly met: it needs evidence, and what is missing");
            }
            ComplianceStatus::NotMet | ComplianceStatus::NotApplicable => {
                ensure!(is_explained, "{id} needs a reason");
                ensure!(control.tests.is_empty(), "{id} has tests, though they show nothing that is met");
            }
        }
        let names: BTreeSet<&String> = control.tests.iter().collect();
        ensure!(names.len() == control.tests.len(), "{id} names a test twice");
        if let Some(test) = control.tests.iter().find(|test| !is_test_name(test)) {
            bail!(
                "{id}: `{test}` is no test such as `plasma-server::it isolation::another_tenant_finds_nothing::sqlite`"
            );
        }
    }
    Ok(())
}

/// A program and a path in it, with one space between.
fn is_test_name(text: &str) -> bool {
    text.split_once(' ').is_some_and(|(binary, path)| !binary.is_empty() && !path.is_empty() && !path.contains(' '))
}
