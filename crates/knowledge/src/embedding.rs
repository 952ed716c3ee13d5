//! Vectors from models: checked, and brought to length 1.

use std::sync::Arc;

use moka::sync::Cache;
use plasma_kernel::{Code, Ctx, Error, Result, TenantId};
use plasma_models::{EmbedRequest, Models, Priority, Purpose};

use crate::limits;

/// Bytes of queries and their vectors that are remembered: a dashboard or a test repeats its queries.
const QUERY_CACHE_BYTES: u64 = 32 * 1024 * 1024;

type QueryKey = (TenantId, String, String);

/// Recent queries with their vectors.
pub(crate) struct QueryVectors {
    cache: Cache<QueryKey, Arc<[f32]>>,
}

impl QueryVectors {
    pub(crate) fn new() -> Self {
        let weigh = |key: &QueryKey, vector: &Arc<[f32]>| {
            u32::try_from(key.1.len() + key.2.len() + vector.len() * size_of::<f32>() + 128).unwrap_or(u32::MAX)
        };
        Self { cache: Cache::builder().max_capacity(QUERY_CACHE_BYTES).weigher(weigh).build() }
    }

    /// The vector of a search's query.
    pub(crate) async fn get(&self, models: &Models, ctx: &Ctx, model: &str, query: &str) -> Result<Arc<[f32]>> {
        let key = (ctx.tenant()?, model.to_owned(), query.to_owned());
        if let Some(vector) = self.cache.get(&key) {
            return Ok(vector);
        }
        let inputs = vec![query.to_owned()];
        let mut vectors = embed(models, ctx, model, inputs, Purpose::Search, Priority::Urgent).await?;
        let vector: Arc<[f32]> = vectors.pop().unwrap_or_default().into();
        self.cache.insert(key, Arc::clone(&vector));
        Ok(vector)
    }
}

/// The vectors of a document's passages, in their order.
pub(crate) async fn embed_passages(
    models: &Models,
    ctx: &Ctx,
    model: &str,
    inputs: Vec<String>,
) -> Result<Vec<Vec<f32>>> {
    embed(models, ctx, model, inputs, Purpose::Ingest, Priority::Ordinary).await
}

async fn embed(
    models: &Models,
    ctx: &Ctx,
    model: &str,
    inputs: Vec<String>,
    purpose: Purpose,
    priority: Priority,
) -> Result<Vec<Vec<f32>>> {
    let wanted = inputs.len();
    let request = EmbedRequest { model: Some(model.to_owned()), inputs, purpose, priority };
    let mut vectors = models.embed(ctx, request).await?.vectors;
    let dimensions = vectors.first().map_or(0, Vec::len);
    let well_formed = vectors.len() == wanted
        && (1..=limits::DIMENSIONS_MAX).contains(&dimensions)
        && vectors.iter().all(|vector| vector.len() == dimensions && vector.iter().all(|number| number.is_finite()));
    if !well_formed {
        return Err(Error::new(
            Code::Upstream,
            "embedding_invalid",
            format!(
                "`{model}` did not answer with one vector of 1 to {} finite numbers for each text",
                limits::DIMENSIONS_MAX
            ),
        )
        .remedy("choose another embedding model"));
    }
    vectors.iter_mut().for_each(|vector| normalize(vector));
    Ok(vectors)
}

/// Brings a vector to length 1, so that a dot product is the cosine. One that is all zeros stays: it is like nothing.
pub(crate) fn normalize(vector: &mut [f32]) {
    let length = vector.iter().map(|number| f64::from(*number) * f64::from(*number)).sum::<f64>().sqrt();
    if length > 0.0 {
        #[allow(clippy::cast_possible_truncation)] // the result is at most 1
        vector.iter_mut().for_each(|number| *number = (f64::from(*number) / length) as f32);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_have_length_one_or_none() {
        let mut vector = [3.0, 4.0];
        normalize(&mut vector);
        assert_eq!(vector, [0.6, 0.8]);
        let mut zeros = [0.0, 0.0];
        normalize(&mut zeros);
        assert_eq!(zeros, [0.0, 0.0]);
        let mut large = [f32::MAX, f32::MAX];
        normalize(&mut large);
        assert!((large.iter().map(|number| number * number).sum::<f32>() - 1.0).abs() < 1e-6);
    }
}
