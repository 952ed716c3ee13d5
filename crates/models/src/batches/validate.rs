//! The first step: the whole file is read and checked before any model is called.

use std::collections::BTreeMap;

use plasma_kernel::{Error, Result};
use plasma_workflows::Run;

use super::{Batch, BatchError, BatchStatus, Cursor, changed, lines::Lines, provider, work};
use crate::{Models, files::File, store};

/// Lines of one batch, empty ones not counted.
const LINES_MAX: u64 = 50_000;
const YIELD_LINES: u64 = 100;
/// Mistakes that are told.
const ERRORS_MAX: usize = 100;

pub(super) async fn run(models: &Models, batch: &Batch, run: &Run) -> Result<()> {
    let checked = match store::batches::input(&mut models.inner.store.read(run.ctx()).await?, batch).await? {
        Some(file) => check(models, batch, &file, run).await?,
        None => Err(vec![BatchError::from(&crate::files::not_found(batch.input_file_id))]),
    };
    let provider_model = match &checked {
        Ok(Checked { model: Some(model), .. }) => provider::of(models, batch, run, model).await?,
        _ => None,
    };
    let now = run.ctx().now();
    let mut tx = models.inner.store.begin(run.ctx()).await?;
    match checked {
        Ok(Checked { total, .. }) => {
            // A batch that was cancelled in the meantime stays so.
            store::batches::begin(&mut tx, batch.id, total, provider_model.as_deref(), now).await?;
            work::go_on(&mut tx, batch.id, run).await?;
        }
        Err(errors) => {
            store::batches::set_errors(&mut tx, batch.id, &errors).await?;
            store::batches::end(&mut tx, batch.id, BatchStatus::Failed, (None, None), now).await?;
            run.complete(&mut tx).await?;
        }
    }
    if let Some(batch) = store::batches::get(&mut tx, batch.id).await? {
        changed(&mut tx, &batch).await?;
    }
    tx.commit().await.map(drop)
}

/// What is known of a file that is valid.
struct Checked {
    /// How many lines there are.
    total: u64,
    /// The model that all of them name; `None` too when one uses a prompt.
    model: Option<String>,
}

/// Reads the whole file, or tells what is wrong with it.
async fn check(models: &Models, batch: &Batch, file: &File, run: &Run) -> Result<Result<Checked, Vec<BatchError>>> {
    let mut lines = Lines::open(models, run.ctx(), file, Cursor::START).await?;
    let mut first_lines = BTreeMap::new();
    let mut errors = Vec::new();
    let mut total = 0_u64;
    let mut model = None;
    while let Some(line) = lines.next().await? {
        if run.cancellation().is_cancelled() {
            return Err(Run::interrupted());
        }
        total += 1;
        if total > LINES_MAX {
            errors.push(about_all("too_many_lines", format!("a batch has at most {LINES_MAX} lines")));
            break;
        }
        match line.parse(batch.endpoint) {
            Ok(asked) => {
                // A prompt of Plasma's is put in, and may choose the model, only where the line is called here.
                let named =
                    if asked.body.has("prompt") { None } else { asked.body.get::<String>("model").ok().flatten() };
                model = if total == 1 || model == named { named } else { None };
                match line.duplicate(&asked.custom_id, &first_lines) {
                    Some(error) => errors.push(error),
                    None => drop(first_lines.insert(asked.custom_id, line.number)),
                }
            }
            Err(error) => errors.push(error),
        }
        if errors.len() >= ERRORS_MAX {
            break;
        }
        if total.is_multiple_of(YIELD_LINES) {
            // A long file must not keep a thread from other work.
            tokio::task::yield_now().await;
        }
    }
    if total == 0 {
        errors.push(about_all("empty_file", "the file has no lines".to_owned()));
    }
    Ok(if errors.is_empty() { Ok(Checked { total, model }) } else { Err(errors) })
}

fn about_all(code: &'static str, message: String) -> BatchError {
    BatchError::from(&Error::new(plasma_kernel::Code::Invalid, code, message))
}
