//! What the step `knowledge.ingest` does: original bytes to text, passages, vectors; then the switch to the new version.
//!
//! Every effect is idempotent by (document, version, ordinal). What was embedded before a crash stays; the text is parsed
//! again, which is cheap beside it. A version that is no longer wanted is noticed at each transaction, and removed.

mod embed;
mod read;

use plasma_kernel::{Code, Error, Result};
use plasma_store::{NewEvent, Tx};
use plasma_workflows::{Run, enqueue};
use serde_json::json;

use crate::{
    DocumentError, DocumentState, IngestProgress, Knowledge, events, purge,
    steps::{IngestDocument, PurgeVersions},
    store::{
        collections::{self, StoredCollection},
        documents::{self, StateChange, StoredDocument},
    },
};

/// How an attempt ended that did not fail.
enum Outcome {
    /// The version is searchable, and the job is complete.
    Ready,
    /// The document was replaced or deleted, or its collection was.
    Superseded,
}

pub(crate) async fn run(knowledge: &Knowledge, step: &IngestDocument, run: &Run) -> Result<()> {
    match ingest(knowledge, step, run).await {
        Ok(Outcome::Ready) => Ok(()),
        Ok(Outcome::Superseded) => abandon(knowledge, step, run).await,
        Err(error) if needs_model(&error) => set_aside(knowledge, step, run, &error).await,
        Err(error) if error.code().is_transient() && !matches!(error.reason(), "job_interrupted" | "lease_lost") => {
            note_failed_attempt(knowledge, step, run, &error).await?;
            Err(error)
        }
        Err(error) => Err(error),
    }
}

async fn ingest(knowledge: &Knowledge, step: &IngestDocument, run: &Run) -> Result<Outcome> {
    let Some((collection, stored)) = begin(knowledge, step, run).await? else { return Ok(Outcome::Superseded) };
    if stored.document.state == DocumentState::Ready {
        // The transaction that made it ready also completed its job, so this is another one for the same version.
        let mut tx = knowledge.store().begin(run.ctx()).await?;
        run.complete(&mut tx).await?;
        tx.commit().await?;
        return Ok(Outcome::Ready);
    }
    let read = read::read(knowledge, run, &collection, &stored).await?;
    if !embed::embed(knowledge, step, run, &collection, &read).await? {
        return Ok(Outcome::Superseded);
    }
    finish(knowledge, step, run, read.passages.len()).await
}

/// The collection and the document, both held until the transaction ends; `None` when the version is no longer wanted.
async fn lock(tx: &mut Tx, step: &IngestDocument) -> Result<Option<(StoredCollection, StoredDocument)>> {
    let Some(collection) = collections::lock(tx, step.collection).await? else { return Ok(None) };
    let Some(stored) = documents::lock(tx, step.collection, step.document).await? else { return Ok(None) };
    Ok((stored.version == step.version).then_some((collection, stored)))
}

fn event(kind: &'static str, stored: &StoredDocument, more: serde_json::Value) -> NewEvent {
    let mut data = json!({
        "collection_id": stored.document.collection_id,
        "title": stored.document.title,
        "version": stored.version,
    });
    if let (Some(data), serde_json::Value::Object(more)) = (data.as_object_mut(), more) {
        data.extend(more);
    }
    NewEvent::new(kind, stored.document.id, data)
}

pub(crate) fn queued_event(stored: &StoredDocument, reason: Option<&str>) -> NewEvent {
    let more = reason.map_or_else(|| json!({}), |reason| json!({ "reason": reason }));
    event(events::DOCUMENT_QUEUED, stored, more)
}

fn state(state: DocumentState) -> StateChange<'static> {
    StateChange { state, error: None, waits_for_model: false }
}

/// Says that the version is being read.
async fn begin(
    knowledge: &Knowledge,
    step: &IngestDocument,
    run: &Run,
) -> Result<Option<(StoredCollection, StoredDocument)>> {
    let mut tx = knowledge.store().begin(run.ctx()).await?;
    let Some((collection, stored)) = lock(&mut tx, step).await? else { return Ok(None) };
    if stored.document.state != DocumentState::Ready {
        documents::set_state(&mut tx, &stored, state(DocumentState::Parsing)).await?;
        tx.emit(event(events::DOCUMENT_PARSING, &stored, json!({}))).await?;
        knowledge.commit(tx).await?;
        tell(knowledge, step, run, DocumentState::Parsing, (0, 0), None)?;
    }
    Ok(Some((collection, stored)))
}

/// The switch: the version's passages are searched from now on, and those of the one before no longer.
async fn finish(knowledge: &Knowledge, step: &IngestDocument, run: &Run, passages: usize) -> Result<Outcome> {
    let mut tx = knowledge.store().begin(run.ctx()).await?;
    let Some((_, stored)) = lock(&mut tx, step).await? else { return Ok(Outcome::Superseded) };
    let written = crate::store::passages::written(&mut tx, step.document, step.version).await?;
    if written.passages != passages {
        let written = written.passages;
        return Err(Error::internal(format!("{written} passages were written, but the document has {passages}")));
    }
    documents::go_live(&mut tx, &stored, &written).await?;
    tx.emit(event(events::DOCUMENT_READY, &stored, json!({ "passages": passages }))).await?;
    if let Some(old) = stored.live_version.filter(|old| *old != step.version) {
        let purge = PurgeVersions { document: step.document, versions: vec![old] };
        enqueue(&mut tx, &purge, &step.document.to_string(), None).await?;
    }
    run.complete(&mut tx).await?;
    knowledge.commit_searchable(tx).await?;
    let done = passages as u64;
    tell(knowledge, step, run, DocumentState::Ready, (done, done), Some(0))?;
    Ok(Outcome::Ready)
}

/// Tells whoever watches how far the document is.
fn tell(
    knowledge: &Knowledge,
    step: &IngestDocument,
    run: &Run,
    state: DocumentState,
    (done, total): (u64, u64),
    seconds_left: Option<u64>,
) -> Result<()> {
    knowledge.tell(IngestProgress {
        tenant: run.ctx().tenant()?,
        collection: step.collection,
        document: step.document,
        state,
        done,
        total,
        seconds_left,
    });
    Ok(())
}

/// The version was replaced or deleted while it was worked on: removes what this work has left.
async fn abandon(knowledge: &Knowledge, step: &IngestDocument, run: &Run) -> Result<()> {
    purge::remove_version(knowledge, run.ctx(), step.document, step.version, &step.blob).await?;
    let mut tx = knowledge.store().begin(run.ctx()).await?;
    run.complete(&mut tx).await?;
    tx.commit().await?;
    tracing::debug!(document = %step.document, version = step.version, "a version that was replaced or deleted is removed");
    Ok(())
}

/// Whether the embedding model's files are what is missing: waiting for them is not a failure.
fn needs_model(error: &Error) -> bool {
    error.code() == Code::Unavailable && matches!(error.reason(), "model_weights_missing" | "model_weights_damaged")
}

/// Ends the job and lets the document wait for its model; [`crate::waiting`] takes it up again.
async fn set_aside(knowledge: &Knowledge, step: &IngestDocument, run: &Run, error: &Error) -> Result<()> {
    let mut tx = knowledge.store().begin(run.ctx()).await?;
    let Some((_, stored)) = lock(&mut tx, step).await? else {
        drop(tx);
        return abandon(knowledge, step, run).await;
    };
    let reason = DocumentError::from(error);
    let change = StateChange { state: DocumentState::Queued, error: Some(&reason), waits_for_model: true };
    documents::set_state(&mut tx, &stored, change).await?;
    tx.emit(queued_event(&stored, Some(error.reason()))).await?;
    run.complete(&mut tx).await?;
    knowledge.commit(tx).await?;
    tell(knowledge, step, run, DocumentState::Queued, (0, 0), None)
}

/// Shows why the attempt failed while the document waits for the next one.
async fn note_failed_attempt(knowledge: &Knowledge, step: &IngestDocument, run: &Run, error: &Error) -> Result<()> {
    let mut tx = knowledge.store().begin(run.ctx()).await?;
    let Some((_, stored)) = lock(&mut tx, step).await? else { return Ok(()) };
    let reason = DocumentError::from(error);
    let change = StateChange { state: DocumentState::Queued, error: Some(&reason), waits_for_model: false };
    documents::set_state(&mut tx, &stored, change).await?;
    tx.emit(queued_event(&stored, Some(error.reason()))).await?;
    knowledge.commit(tx).await
}

/// Marks the version as failed, in the transaction that gives its job up.
pub(crate) async fn fail(tx: &mut Tx, step: &IngestDocument, error: &Error) -> Result<()> {
    let Some((_, stored)) = lock(tx, step).await? else { return Ok(()) };
    let reason = DocumentError::from(error);
    let change = StateChange { state: DocumentState::Failed, error: Some(&reason), waits_for_model: false };
    documents::set_state(tx, &stored, change).await?;
    tx.emit(event(events::DOCUMENT_FAILED, &stored, json!({ "reason": error.reason() }))).await?;
    Ok(())
}

impl From<&Error> for DocumentError {
    fn from(error: &Error) -> Self {
        let (detail, remedy) = match error.code() {
            Code::Internal => (
                "something went wrong on our side; the server's log has the details".to_owned(),
                Some("try again; if it lasts, tell whoever runs this installation".to_owned()),
            ),
            _ => (error.message().to_owned(), error.remedy_text().map(str::to_owned)),
        };
        Self { reason: error.reason().to_owned(), detail, remedy }
    }
}
