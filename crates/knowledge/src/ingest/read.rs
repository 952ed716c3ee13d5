//! The original bytes to text and passages.

use std::sync::Arc;

use bytes::Bytes;
use plasma_kernel::{Code, Error, Result};
use plasma_models::TokenCounter;
use plasma_workflows::Run;

use crate::{
    Knowledge,
    chunk::{ChunkOptions, CodePointIndex, chunk},
    index::language::Language,
    limits,
    parse::{self, Format, Limits},
    store::{collections::StoredCollection, documents::StoredDocument, versions::text_blob},
};

/// What was found in a document.
pub(super) struct ReadDocument {
    pub(super) title: String,
    pub(super) media_type: &'static str,
    pub(super) character_count: usize,
    pub(super) language: Language,
    pub(super) passages: Arc<[ReadPassage]>,
}

/// A passage that has no vector yet.
pub(super) struct ReadPassage {
    /// In Unicode code points of the extracted text.
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) heading: Option<String>,
    pub(super) page: Option<u32>,
    pub(super) token_count: usize,
    pub(super) text: String,
}

struct Source {
    bytes: Bytes,
    /// `None` when the text came in the request, whose media type is certain.
    file_name: Option<String>,
    media_type: String,
    counter: TokenCounter,
    /// As the caller names it.
    language: Option<Language>,
    /// What a text is taken for whose language cannot be told.
    fallback: Language,
}

/// Parses and cuts the version, and stores its text.
pub(super) async fn read(
    knowledge: &Knowledge,
    run: &Run,
    collection: &StoredCollection,
    stored: &StoredDocument,
) -> Result<ReadDocument> {
    let ctx = run.ctx();
    let source = Source {
        // Asked for first: without its tokenizer there is nothing to do yet.
        counter: knowledge.models().token_counter(ctx, &collection.collection.embedding_model).await?,
        bytes: knowledge.store().blobs().get(ctx, &stored.blob).await?,
        file_name: stored.document.file_name.clone(),
        media_type: stored.document.media_type.clone(),
        language: stored.document.language.as_deref().and_then(Language::from_code),
        fallback: collection.language(),
    };
    let (parsed_title, mut read, text) = parse_off_thread(source).await?;
    read.title = match parsed_title {
        Some(found) if stored.title_is_guessed => found,
        _ => stored.document.title.clone(),
    };
    knowledge.throughput().parsed(stored.document.size_bytes, read.passages.len());
    knowledge.store().blobs().put(ctx, &text_blob(&stored.blob), text).await?;
    Ok(read)
}

type Found = (Option<String>, ReadDocument, Bytes);

/// The parsers are bounded, but by size: a thread that takes too long is left to end by itself.
async fn parse_off_thread(source: Source) -> Result<Found> {
    let work = tokio::task::spawn_blocking(move || parse_and_cut(&source));
    match tokio::time::timeout(limits::PARSE_TIME_MAX, work).await {
        Ok(Ok(found)) => found,
        Ok(Err(panicked)) => {
            // The same bytes would end the same way: not transient.
            tracing::error!(error = %panicked, "a document parser panicked");
            Err(Error::new(Code::Invalid, "document_damaged", "the document could not be read: the parser gave up")
                .remedy("open the document in the program that made it, save it anew and upload the new file"))
        }
        Err(_) => Err(Error::new(
            Code::Invalid,
            "document_too_slow",
            format!("reading the document took longer than {} seconds", limits::PARSE_TIME_MAX.as_secs()),
        )
        .remedy("split the document into smaller ones")),
    }
}

fn parse_and_cut(source: &Source) -> Result<Found> {
    let format = match (&source.file_name, Format::from_media_type(&source.media_type)) {
        (None, Some(format)) => format,
        (name, _) => parse::detect(name.as_deref(), Some(&source.media_type), &source.bytes)?,
    };
    let parsed = parse::parse(format, &source.bytes, &Limits::default())?;
    // The tokenizer only fails on broken files of its own, and an estimate serves as well.
    let count_tokens = |text: &str| source.counter.count(text).unwrap_or(text.len() / 4);
    let chunks = chunk(&parsed, &ChunkOptions::default(), &count_tokens);
    if chunks.len() > limits::PASSAGES_MAX {
        return Err(Error::new(
            Code::TooLarge,
            "document_too_large",
            format!("the document has {} passages; at most {} are kept", chunks.len(), limits::PASSAGES_MAX),
        )
        .remedy("split the document into smaller ones"));
    }
    let index = CodePointIndex::new(&parsed.text);
    let passages: Arc<[ReadPassage]> = chunks
        .into_iter()
        .map(|chunk| ReadPassage {
            start: index.code_points(chunk.start),
            end: index.code_points(chunk.end),
            page: chunk.page,
            token_count: chunk.tokens,
            text: chunk.text(&parsed.text).to_owned(),
            heading: chunk.heading,
        })
        .collect();
    let read = ReadDocument {
        title: String::new(),
        media_type: format.media_type(),
        character_count: index.code_points(parsed.text.len()),
        language: source.language.unwrap_or_else(|| Language::of(&parsed.text, source.fallback)),
        passages,
    };
    Ok((parsed.title, read, parsed.text.into()))
}
