//! What the step `knowledge.settle_vectors` does: empties the second place of passages for vectors, in small transactions.

use plasma_kernel::Result;
use plasma_workflows::Run;

use crate::{
    Knowledge,
    steps::SettleVectors,
    store::{collections, vectors},
};

/// Documents looked at in one statement.
const DOCUMENTS_PAGE: u32 = 200;
/// Passages changed in one transaction: other writers wait no longer than for these.
const PASSAGES_MAX: u32 = 500;

pub(crate) async fn run(knowledge: &Knowledge, step: &SettleVectors, run: &Run) -> Result<()> {
    let (ctx, generation) = (run.ctx(), step.generation);
    let mut after = None;
    loop {
        let mut tx = knowledge.store().read(ctx).await?;
        let page = vectors::documents_after(&mut tx, step.collection, after, DOCUMENTS_PAGE).await?;
        drop(tx);
        let Some(last) = page.last() else { break };
        after = Some(*last);
        for document in page {
            loop {
                if run.cancellation().is_cancelled() {
                    return Err(Run::interrupted());
                }
                let mut tx = knowledge.store().begin(ctx).await?;
                // A generation that was given up never becomes the searched one, and one that was searched stays it until the next
                // change has moved its vectors.
                let collection = collections::by_reference(&mut tx, &step.collection.to_string()).await?;
                let keep = collection.is_some_and(|stored| stored.generation == generation);
                let places = vectors::of_generation(&mut tx, document, generation, PASSAGES_MAX).await?;
                for place in &places {
                    vectors::settle(&mut tx, document, *place, generation, keep).await?;
                }
                tx.commit().await?;
                if places.len() < PASSAGES_MAX as usize {
                    break;
                }
            }
        }
    }
    let mut tx = knowledge.store().begin(ctx).await?;
    run.complete(&mut tx).await?;
    tx.commit().await?;
    Ok(())
}
