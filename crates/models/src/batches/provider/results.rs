//! The results of a provider's own batch become lines of ours, and records of calls.

use std::collections::HashMap;

use bytes::Bytes;
use futures::stream::BoxStream;
use plasma_kernel::{CallId, Code, Error, Result};
use plasma_workflows::Run;
use serde::Deserialize;

use super::super::{
    Batch, Cursor,
    line::{self, LineResult},
    lines::{Lines, cut},
};
use crate::{
    CallStatus, ModelCall, Models, Purpose,
    catalog::RemoteModel,
    cost, store,
    upstream::{ProviderBatch, RawObject, usage_of},
};

/// Results that are written in one transaction.
const WRITTEN_AT_ONCE: usize = 50;
const STATUS_OK: u16 = 200;

/// A line of the provider's files.
#[derive(Deserialize)]
struct ProviderLine {
    custom_id: String,
    #[serde(default)]
    response: Option<ProviderResponse>,
    #[serde(default)]
    error: Option<ProviderError>,
}

#[derive(Deserialize)]
struct ProviderResponse {
    status_code: u16,
    body: RawObject,
}

#[derive(Deserialize)]
struct ProviderError {
    #[serde(default)]
    message: Option<String>,
}

/// Takes over what the provider has answered. A line of a batch that the provider calls completed and that has no result there gets
/// an error.
pub(super) async fn take_over(
    models: &Models,
    batch: &Batch,
    remote: &RemoteModel,
    there: &ProviderBatch,
    run: &Run,
) -> Result<()> {
    let mut numbers = numbers(models, batch, run).await?;
    // What the provider counted was about lines that are counted again now.
    let mut tx = models.inner.store.begin(run.ctx()).await?;
    store::batches::count_results(&mut tx, batch.id).await?;
    tx.commit().await?;
    let mut written = Written { models, batch, remote, run, waiting: Vec::new() };
    for file in [&there.output_file_id, &there.error_file_id].into_iter().flatten() {
        let bytes = models.inner.client.batch_file(&remote.endpoint, file).await?;
        written.read(bytes, &mut numbers).await?;
    }
    if there.status == "completed" {
        for (custom_id, number) in numbers {
            let error = Error::new(
                Code::Upstream,
                "provider_answer_missing",
                "the provider's batch has no result for this line",
            );
            written.add(number, &custom_id, Err(error)).await?;
        }
    }
    written.flush().await
}

/// The lines that have no result yet, by their `custom_id`.
async fn numbers(models: &Models, batch: &Batch, run: &Run) -> Result<HashMap<String, u64>> {
    let ctx = run.ctx();
    let mut tx = models.inner.store.read(ctx).await?;
    let input = store::batches::input(&mut tx, batch).await?;
    let input = input.ok_or_else(|| crate::files::not_found(batch.input_file_id))?;
    let recorded = store::batches::recorded(&mut tx, batch.id, Cursor::START.line).await?;
    drop(tx);
    let mut lines = Lines::open(models, ctx, &input, Cursor::START).await?;
    let mut numbers = HashMap::new();
    while let Some(line) = lines.next().await? {
        if !recorded.contains(&line.number) {
            let asked = line.parse(batch.endpoint).map_err(|mistake| Error::internal(mistake.message))?;
            numbers.insert(asked.custom_id, line.number);
        }
    }
    Ok(numbers)
}

/// Results on their way into the database.
struct Written<'a> {
    models: &'a Models,
    batch: &'a Batch,
    remote: &'a RemoteModel,
    run: &'a Run,
    waiting: Vec<(u64, LineResult, ModelCall)>,
}

impl Written<'_> {
    async fn read(
        &mut self,
        bytes: BoxStream<'static, Result<Bytes>>,
        numbers: &mut HashMap<String, u64>,
    ) -> Result<()> {
        let mut lines = Lines::of_results(bytes);
        while let Some(line) = lines.next().await? {
            if self.run.cancellation().is_cancelled() {
                return Err(Run::interrupted());
            }
            let text = line.text.as_deref().ok_or_else(|| self.remote.endpoint.malformed("a result is too long"))?;
            let told: ProviderLine =
                serde_json::from_slice(text).map_err(|error| self.remote.endpoint.malformed(error))?;
            // A line that is not ours, or that has a result already.
            let Some(number) = numbers.remove(&told.custom_id) else { continue };
            let outcome = match (told.response, told.error) {
                (Some(response), _) => Ok(response),
                (None, error) => {
                    let said =
                        error.and_then(|error| error.message).unwrap_or_else(|| "no reason was given".to_owned());
                    Err(Error::new(
                        Code::Upstream,
                        "provider_failed",
                        format!("the provider's batch says: {}", cut(&said)),
                    ))
                }
            };
            self.add(number, &told.custom_id, outcome).await?;
        }
        Ok(())
    }

    async fn add(&mut self, number: u64, custom_id: &str, outcome: Result<ProviderResponse>) -> Result<()> {
        let ctx = self.run.ctx();
        let id = CallId::new(ctx);
        let (status_code, body, usage, error) = match outcome {
            Ok(ProviderResponse { status_code, mut body }) => {
                let usage = usage_of(&body);
                if status_code == STATUS_OK {
                    body.set("model", &self.remote.id)?;
                }
                let error = (status_code != STATUS_OK).then(|| format!("the provider answered with {status_code}"));
                (status_code, body.to_json()?, usage, error)
            }
            Err(error) => {
                let (status, body) = line::refusal(&error);
                (status, body, None, Some(crate::running_call::public_text(&error)))
            }
        };
        let call = ModelCall {
            id,
            model: self.remote.id.clone(),
            decision: None,
            attempts: Vec::new(),
            kind: self.remote.kind,
            purpose: Purpose::Batch,
            status: if error.is_none() { CallStatus::Succeeded } else { CallStatus::Failed },
            streamed: false,
            usage: usage.unwrap_or_default(),
            queued_ms: 0,
            first_token_ms: None,
            duration_ms: 0,
            cost: usage.and_then(|usage| cost::batch_cost(self.remote.price.as_ref(), &usage)),
            error,
            cache: None,
            prompt: None,
            actor: self.batch.creator.clone(),
            team: self.batch.team,
            request: ctx.request(),
            created_at: ctx.now(),
        };
        let result = line::result(self.batch, number, custom_id, status_code, id.to_string(), body)?;
        self.waiting.push((number, result, call));
        if self.waiting.len() >= WRITTEN_AT_ONCE { self.flush().await } else { Ok(()) }
    }

    async fn flush(&mut self) -> Result<()> {
        let mut tx = self.models.inner.store.begin(self.run.ctx()).await?;
        for (number, result, call) in self.waiting.drain(..) {
            if store::batches::record(&mut tx, self.batch.id, number, &result).await? {
                store::calls::insert_with_event(&mut tx, &call).await?;
            }
        }
        tx.commit().await.map(drop)
    }
}
