//! What the step `knowledge.reembed` does.

use plasma_kernel::{Code, Error, Result};
use plasma_store::Tx;
use plasma_workflows::{Run, enqueue};

use super::give_up;
use crate::{
    DocumentError, Knowledge, ReembeddingState, events, ingest,
    known_vectors::{self, EmbeddedInput},
    steps::{ReembedCollection, SettleVectors},
    store::{
        collections,
        reembeddings::{self, StoredReembedding},
        vectors::{self, LackingDocument, LackingPassage, NextVector},
    },
};

/// Documents taken at once.
const DOCUMENTS_PAGE: u32 = 50;
/// Passages in one call of the model and one transaction: about a second of work on two cores.
const BATCH_PASSAGES: u32 = 16;

/// Which vectors are made, and beside which.
struct Work<'a> {
    knowledge: &'a Knowledge,
    run: &'a Run,
    step: &'a ReembedCollection,
    model: &'a str,
    /// The generation that is searched. It cannot change while this runs: only this step changes it.
    searched: u64,
}

/// What one sweep over the lacking documents came to.
enum Sweep {
    /// Some were embedded; there may be more.
    Further,
    /// None lacks anything.
    Complete,
    /// The change was cancelled, or the collection is gone.
    Ended,
}

pub(crate) async fn run(knowledge: &Knowledge, step: &ReembedCollection, run: &Run) -> Result<()> {
    loop {
        let mut tx = knowledge.store().read(run.ctx()).await?;
        let stored = reembeddings::running(&mut tx, step.collection, step.generation).await?;
        let collection = collections::by_reference(&mut tx, &step.collection.to_string()).await?;
        drop(tx);
        let (Some(stored), Some(collection)) = (stored, collection) else { return complete(knowledge, run).await };
        let model = stored.reembedding.model.as_str();
        let work = Work { knowledge, run, step, model, searched: collection.generation };
        match work.sweep(&stored).await? {
            Sweep::Further => {}
            Sweep::Ended => return complete(knowledge, run).await,
            Sweep::Complete => {
                if swap(knowledge, step, run).await? {
                    return Ok(());
                }
            }
        }
    }
}

/// There is nothing to do any more.
async fn complete(knowledge: &Knowledge, run: &Run) -> Result<()> {
    let mut tx = knowledge.store().begin(run.ctx()).await?;
    run.complete(&mut tx).await?;
    tx.commit().await?;
    Ok(())
}

impl Work<'_> {
    /// Goes once through all documents that lack vectors.
    async fn sweep(&self, stored: &StoredReembedding) -> Result<Sweep> {
        let (mut after, mut done) = (None, stored.reembedding.done);
        loop {
            let mut tx = self.knowledge.store().read(self.run.ctx()).await?;
            let (collection, generation) = (self.step.collection, self.step.generation);
            let page = vectors::lacking_documents(&mut tx, collection, generation, after, DOCUMENTS_PAGE).await?;
            drop(tx);
            let Some(last) = page.last() else {
                return Ok(if after.is_none() { Sweep::Complete } else { Sweep::Further });
            };
            after = Some(last.document);
            for document in &page {
                if !self.embed_document(document, &mut done, stored.reembedding.total).await? {
                    return Ok(Sweep::Ended);
                }
            }
        }
    }

    /// Embeds what a document lacks; `false` when the change does not run any more.
    async fn embed_document(&self, document: &LackingDocument, done: &mut u64, total: u64) -> Result<bool> {
        let (ctx, generation) = (self.run.ctx(), self.step.generation);
        let mut from = 0;
        loop {
            let mut tx = self.knowledge.store().read(ctx).await?;
            let passages = vectors::lacking_passages(&mut tx, document, generation, from, BATCH_PASSAGES).await?;
            drop(tx);
            let Some(last) = passages.last() else { break };
            from = last.ordinal.saturating_add(1);
            let inputs = passages.iter().map(|passage| {
                ingest::input_of(&document.title, passage.heading.as_deref(), &passage.text, passage.token_count)
            });
            let embedded = tokio::select! {
                embedded = known_vectors::embed(self.knowledge, ctx, self.model, inputs.collect()) => embedded?,
                () = self.run.cancellation().cancelled() => return Err(Run::interrupted()),
            };
            if !self.keep(document, &passages, &embedded).await? {
                return Ok(false);
            }
            *done += passages.len() as u64;
            // A job's progress never says that it is over before the swap.
            self.run.progress((*done).min(total.saturating_sub(1)), total.max(1)).await?;
        }
        let mut tx = self.knowledge.store().begin(ctx).await?;
        vectors::set_reembedded(&mut tx, document.document, document.version, generation).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Writes a batch of vectors and how far the change is; `false` when it does not run any more.
    async fn keep(
        &self,
        document: &LackingDocument,
        passages: &[LackingPassage],
        embedded: &[EmbeddedInput],
    ) -> Result<bool> {
        let (collection, generation) = (self.step.collection, self.step.generation);
        let actual = embedded.first().map_or(0, |input| input.vector.len());
        let mut tx = self.knowledge.store().begin(self.run.ctx()).await?;
        // First: it holds the record, so that a cancellation waits, and what it removes has what is written here.
        let expected = reembeddings::advance(&mut tx, collection, generation, passages.len(), actual).await?;
        let Some(expected) = expected else { return Ok(false) };
        if expected != actual || embedded.iter().any(|input| input.vector.len() != expected) {
            let message = format!("`{}` gave vectors of {expected} numbers, and now of {actual}", self.model);
            return Err(Error::new(Code::Conflict, "embedding_dimensions_changed", message)
                .remedy("choose a model whose vectors keep their length"));
        }
        for (passage, input) in passages.iter().zip(embedded) {
            let next = NextVector {
                document: document.document,
                version: document.version,
                ordinal: passage.ordinal,
                vector: &input.vector,
                input_hash: &input.hash,
                generation,
                searched: self.searched,
            };
            vectors::set_next(&mut tx, next).await?;
        }
        tx.commit().await?;
        Ok(true)
    }
}

/// Lets searches use the new vectors, in one transaction; `false` when a document came that lacks them.
async fn swap(knowledge: &Knowledge, step: &ReembedCollection, run: &Run) -> Result<bool> {
    let mut tx = knowledge.store().begin(run.ctx()).await?;
    // Held to the end: a document that becomes searchable holds it too, and so comes before this or after.
    let collection = collections::lock(&mut tx, step.collection).await?;
    let stored = reembeddings::running(&mut tx, step.collection, step.generation).await?;
    let (Some(collection), Some(stored)) = (collection, stored) else {
        run.complete(&mut tx).await?;
        tx.commit().await?;
        return Ok(true);
    };
    if !vectors::lacking_documents(&mut tx, step.collection, step.generation, None, 1).await?.is_empty() {
        return Ok(false);
    }
    reembeddings::swap(&mut tx, step.collection, &stored).await?;
    reembeddings::end(&mut tx, step.collection, step.generation, ReembeddingState::Done, None).await?;
    let name = &collection.collection.name;
    tx.emit(events::reembedding(events::COLLECTION_REEMBEDDED, name, &stored.reembedding)).await?;
    let settle = SettleVectors { collection: step.collection, generation: step.generation };
    enqueue(&mut tx, &settle, &step.collection.to_string(), None).await?;
    run.complete(&mut tx).await?;
    knowledge.commit_searchable(tx).await?;
    tracing::info!(collection = %step.collection, model = stored.reembedding.model, "a collection has another embedding model");
    Ok(true)
}

/// Gives the change up, in the transaction that gives its job up.
pub(crate) async fn fail(tx: &mut Tx, step: &ReembedCollection, error: &Error) -> Result<()> {
    let Some(stored) = reembeddings::running(tx, step.collection, step.generation).await? else { return Ok(()) };
    give_up(tx, &stored.reembedding, ReembeddingState::Failed, Some(&DocumentError::from(error))).await
}
