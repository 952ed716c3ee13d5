//! Passages to vectors, batch by batch; each batch is kept as soon as it is there.

use plasma_kernel::{Code, Error, Result};
use plasma_store::Tx;
use plasma_workflows::Run;
use serde_json::json;
use tokio::time::Instant;

use super::{
    IngestDocument, event, lock,
    read::{ReadDocument, ReadPassage},
    state, tell,
};
use crate::{
    DocumentProgress, DocumentState, Knowledge, events, index,
    known_vectors::{self, EmbeddedInput},
    progress,
    store::{
        collections::{self, StoredCollection},
        documents,
        passages::{self, NewPassage},
        vectors,
        versions::{self, ParsedVersion},
    },
};

/// Passages in one call of the model and one transaction: about a second of work on two cores.
const BATCH_PASSAGES: usize = 16;
/// Tokens that a small model reads of a text. The headings are put before a passage only as far as they fit.
const INPUT_TOKENS_MAX: usize = 250;
/// A cautious guess of a token's bytes, for headings.
const HEADING_BYTES_PER_TOKEN: usize = 3;
/// Rows deleted at once when an older program had cut the same version differently.
const STALE_PASSAGES_MAX: u32 = 1_000;

/// Embeds what has no vector yet; `false` when the version is no longer wanted.
pub(super) async fn embed(
    knowledge: &Knowledge,
    step: &IngestDocument,
    run: &Run,
    collection: &StoredCollection,
    read: &ReadDocument,
) -> Result<bool> {
    let ctx = run.ctx();
    let model = &collection.collection.embedding_model;
    let Some(mut done) = begin(knowledge, step, run, collection, read).await? else { return Ok(false) };
    let total = read.passages.len();
    let (resumed_at, started) = (done, Instant::now());
    for (number, batch) in read.passages.chunks(BATCH_PASSAGES).enumerate() {
        let first = number * BATCH_PASSAGES;
        if first + batch.len() <= resumed_at {
            continue;
        }
        let inputs = batch.iter().map(|passage| input(&read.title, passage)).collect();
        let batch_started = Instant::now();
        let embedded = tokio::select! {
            embedded = known_vectors::embed(knowledge, ctx, model, inputs) => embedded?,
            () = run.cancellation().cancelled() => return Err(Run::interrupted()),
        };
        // What was known says nothing of how fast the model is.
        if embedded.iter().all(|input| input.is_new) {
            knowledge.throughput().embedded(batch.len(), batch_started, Instant::now());
        }
        done = first + batch.len();
        let left = progress::remaining_seconds(done - resumed_at, total - done, started.elapsed());
        let written = DocumentProgress { done: done as u64, total: total as u64, unit: "passages", seconds_left: left };
        if !keep(
            knowledge,
            step,
            run,
            collection,
            &Batch { first, passages: batch, embedded, title: &read.title },
            &written,
        )
        .await?
        {
            return Ok(false);
        }
        tell(knowledge, step, run, DocumentState::Embedding, (written.done, written.total), left)?;
        run.progress(written.done, written.total).await?;
    }
    Ok(true)
}

fn input(title: &str, passage: &ReadPassage) -> String {
    input_of(title, passage.heading.as_deref(), &passage.text, passage.token_count)
}

/// What the model reads: the passage under its headings, or under the document's title.
pub(crate) fn input_of(title: &str, heading: Option<&str>, text: &str, token_count: usize) -> String {
    let context = heading.unwrap_or(title);
    let fits = token_count + context.len().div_ceil(HEADING_BYTES_PER_TOKEN) <= INPUT_TOKENS_MAX;
    if fits && !text.starts_with(context) { format!("{context}\n{text}") } else { text.to_owned() }
}

/// Says that the version is being embedded, and returns how many passages have been already.
async fn begin(
    knowledge: &Knowledge,
    step: &IngestDocument,
    run: &Run,
    collection: &StoredCollection,
    read: &ReadDocument,
) -> Result<Option<usize>> {
    let done = match resume(knowledge, step, run, collection.generation, read).await? {
        Some(done) => done,
        None => return Ok(None),
    };
    let mut tx = knowledge.store().begin(run.ctx()).await?;
    let Some((_, mut stored)) = lock(&mut tx, step).await? else { return Ok(None) };
    let parsed = ParsedVersion {
        title: &read.title,
        media_type: read.media_type,
        character_count: read.character_count,
        language: read.language,
    };
    versions::set_parsed(&mut tx, step.document, step.version, parsed).await?;
    documents::set_state(&mut tx, &stored, state(DocumentState::Embedding)).await?;
    let total = read.passages.len() as u64;
    let progress = DocumentProgress { done: done as u64, total, unit: "passages", seconds_left: None };
    documents::set_progress(&mut tx, step.document, step.version, &progress).await?;
    stored.document.title.clone_from(&read.title);
    tx.emit(event(events::DOCUMENT_EMBEDDING, &stored, json!({ "passages": total }))).await?;
    knowledge.commit(tx).await?;
    tell(knowledge, step, run, DocumentState::Embedding, (done as u64, total), None)?;
    Ok(Some(done))
}

/// How many passages an attempt before has kept. Those that do not fit the document as it is cut now are removed, and so are those
/// that another model has embedded.
async fn resume(
    knowledge: &Knowledge,
    step: &IngestDocument,
    run: &Run,
    generation: u64,
    read: &ReadDocument,
) -> Result<Option<usize>> {
    let mut tx = knowledge.store().read(run.ctx()).await?;
    let kept = passages::ranges(&mut tx, step.document, step.version).await?;
    let has_others = vectors::has_others(&mut tx, step.document, step.version, generation).await?;
    drop(tx);
    let fits = !has_others
        && kept.len() <= read.passages.len()
        && kept.iter().zip(read.passages.iter()).enumerate().all(|(place, (kept, passage))| {
            kept.ordinal as usize == place
                && (kept.start as usize, kept.end as usize) == (passage.start, passage.end)
                && kept.heading == passage.heading
        });
    if fits {
        return Ok(Some(kept.len()));
    }
    loop {
        let mut tx = knowledge.store().begin(run.ctx()).await?;
        if lock(&mut tx, step).await?.is_none() {
            return Ok(None);
        }
        let deleted = passages::delete_some(&mut tx, step.document, step.version, STALE_PASSAGES_MAX).await?;
        tx.commit().await?;
        if deleted == 0 {
            return Ok(Some(0));
        }
    }
}

struct Batch<'a> {
    first: usize,
    passages: &'a [ReadPassage],
    embedded: Vec<EmbeddedInput>,
    title: &'a str,
}

/// Writes a batch and how far the document is; `false` when the version is no longer wanted.
async fn keep(
    knowledge: &Knowledge,
    step: &IngestDocument,
    run: &Run,
    collection: &StoredCollection,
    batch: &Batch<'_>,
    progress: &DocumentProgress,
) -> Result<bool> {
    let mut tx = knowledge.store().begin(run.ctx()).await?;
    if !settle_dimensions(&mut tx, collection, batch).await? {
        return Ok(false);
    }
    // Before the passages: it holds the document, so that a deletion waits, and its purge sees what is written here.
    if !documents::set_progress(&mut tx, step.document, step.version, progress).await? {
        return Ok(false);
    }
    for (place, (passage, embedded)) in batch.passages.iter().zip(&batch.embedded).enumerate() {
        let indexed = index::words::indexed_text(batch.title, passage.heading.as_deref(), &passage.text);
        let row = NewPassage {
            ordinal: batch.first + place,
            start: passage.start,
            end: passage.end,
            heading: passage.heading.as_deref(),
            page: passage.page,
            word_count: index::words::count(&indexed),
            token_count: passage.token_count,
            text: &passage.text,
            embedding: &embedded.vector,
            generation: collection.generation,
            input_hash: &embedded.hash,
        };
        passages::insert(&mut tx, step.document, step.version, row).await?;
    }
    tx.commit().await?;
    Ok(true)
}

/// All vectors of a collection have one length, that of the first; `false` when the collection is gone or has another model now.
async fn settle_dimensions(tx: &mut Tx, collection: &StoredCollection, batch: &Batch<'_>) -> Result<bool> {
    let actual = batch.embedded.first().map_or(0, |input| input.vector.len());
    let expected = match collection.dimensions {
        Some(expected) => expected,
        None => {
            match collections::settle_dimensions(tx, collection.collection.id, collection.generation, actual).await? {
                Some(expected) => expected,
                None => return Ok(false),
            }
        }
    };
    if expected == actual {
        return Ok(true);
    }
    let model = &collection.collection.embedding_model;
    Err(Error::new(
        Code::Conflict,
        "embedding_dimensions_changed",
        format!("`{model}` now gives vectors of {actual} numbers, but this collection's have {expected}"),
    )
    .remedy("embed the collection anew: POST /api/v1/collections/{id}/reembed"))
}
