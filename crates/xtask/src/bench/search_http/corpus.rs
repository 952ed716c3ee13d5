//! The passages that are searched and the queries that are asked: real texts, those of `benches/vector`.

use std::{
    collections::HashSet,
    fs,
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};

use crate::bench::{cache_folder, servers::Group};

/// Characters of a passage. Longer texts would be cut into several.
const PASSAGE_CHARS: std::ops::RangeInclusive<usize> = 60..=600;
/// Characters of a query: shorter texts are the queries, so that none of them is in the collection.
const QUERY_CHARS: std::ops::Range<usize> = 20..60;
/// Words of a query at least.
const QUERY_WORDS_MIN: usize = 3;
/// Passages of a document.
const PASSAGES_OF_DOCUMENT: usize = 16;
/// Words of a passage that are its heading: passages never cross one, so that each text becomes one passage.
const HEADING_WORDS: usize = 3;
/// Groups of documents, by a metadata field: one of them is a filter of 1%.
pub const SHARDS: usize = 100;

/// What is brought into the collection, and what is asked.
pub struct Corpus {
    /// Another corpus has another name.
    pub name: String,
    /// Bodies of requests that add documents.
    pub documents: Vec<Value>,
    /// Queries, each once.
    pub queries: Vec<String>,
}

impl Corpus {
    /// Reads the texts, and collects them first when they are not in the cache.
    ///
    /// # Errors
    /// When there are too few of them.
    pub fn read(root: &Path, passages: usize) -> Result<Self> {
        let folder = cache_folder("bench-vector")?;
        let file = folder.join("texts.json");
        if !file.exists() {
            collect(root, &folder)?;
        }
        let bytes = fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
        let texts: Vec<String> = serde_json::from_slice(&bytes).context("texts.json holds no texts")?;
        Self::choose(&texts, passages, bytes.len())
    }

    fn choose(texts: &[String], passages: usize, size: usize) -> Result<Self> {
        let fits = |text: &&String| PASSAGE_CHARS.contains(&text.chars().count());
        let chosen: Vec<&String> = texts.iter().filter(fits).take(passages).collect();
        if chosen.len() < passages {
            bail!("only {} texts have the length of a passage; {passages} are needed", chosen.len());
        }
        let mut known = HashSet::new();
        let queries = texts.iter().filter_map(|text| query(text)).filter(|query| known.insert(query.clone())).collect();
        let documents = chosen.chunks(PASSAGES_OF_DOCUMENT).enumerate().map(|(number, part)| document(number, part));
        Ok(Self { name: format!("http-{passages}-{size}"), documents: documents.collect(), queries })
    }
}

fn collect(root: &Path, folder: &Path) -> Result<()> {
    println!("collecting the texts, once");
    let script = root.join("benches/vector/embed.py");
    let mut command = Command::new("python3");
    // What it says goes to the terminal only through its errors; the numbers of each source are of no interest here.
    command.arg(script).arg("--texts").arg(folder).stdout(Stdio::null());
    let status = Group::start(&mut command)?.wait()?;
    if !status.success() {
        bail!("the texts could not be collected: {status}");
    }
    Ok(())
}

/// A short text as a query: without examples, and without quotes, which would ask for a phrase.
fn query(text: &str) -> Option<String> {
    if !QUERY_CHARS.contains(&text.chars().count()) {
        return None;
    }
    let words: Vec<&str> = text.split(';').next()?.split_whitespace().collect();
    let query = words.join(" ").replace('"', "");
    (words.len() >= QUERY_WORDS_MIN).then_some(query)
}

/// A document of some passages, each under a heading of its first words.
fn document(number: usize, passages: &[&String]) -> Value {
    let mut markdown = String::new();
    for passage in passages {
        let heading: Vec<&str> = passage.split_whitespace().take(HEADING_WORDS).collect();
        markdown.push_str(&format!("# {}\n\n{}\n\n", escaped(&heading.join(" ")), escaped(passage)));
    }
    json!({
        "title": format!("Texts {number}"), "key": format!("texts-{number}"), "markdown": markdown,
        "metadata": {"shard": number % SHARDS},
    })
}

/// Markdown that reads as the plain text: any ASCII punctuation may stand behind a backslash (CommonMark 0.31, section 2.4).
fn escaped(text: &str) -> String {
    let mut markdown = String::with_capacity(text.len() + text.len() / 8);
    for letter in text.chars() {
        if letter.is_ascii_punctuation() {
            markdown.push('\\');
        }
        markdown.push(letter);
    }
    markdown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passages_and_queries_are_of_different_texts() {
        let long = "a passage that is long enough to be one, for it has more than sixty letters";
        let short = "clunch: hardened clay; \"a wall of clunch\"";
        let mut texts: Vec<String> = (0..20).map(|number| format!("{long} {number}")).collect();
        texts.extend([short.to_owned(), "one two; and more text than that".to_owned(), short.to_owned()]);
        let corpus = Corpus::choose(&texts, 18, 5).unwrap();
        assert_eq!(corpus.name, "http-18-5");
        assert_eq!(corpus.queries, ["clunch: hardened clay"]);
        assert_eq!(corpus.documents.len(), 2);
        let markdown = corpus.documents[1]["markdown"].as_str().unwrap();
        assert_eq!(markdown.matches("# a passage that\n\n").count(), 2);
        assert_eq!(corpus.documents[1]["metadata"]["shard"], 1);
        assert!(Corpus::choose(&texts, 21, 5).is_err());
    }

    #[test]
    fn no_letter_of_a_text_is_markdown() {
        assert_eq!(escaped("1. *a* <b>"), "1\\. \\*a\\* \\<b\\>");
    }
}
