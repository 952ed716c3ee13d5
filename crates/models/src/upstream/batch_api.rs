//! A provider's own files and batches, in OpenAI's format.

use bytes::Bytes;
use futures::{StreamExt as _, stream::BoxStream};
use plasma_kernel::Result;
use plasma_protocols::Protocol;
use reqwest::{
    Body, Method, RequestBuilder,
    multipart::{Form, Part},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    RawObject,
    client::{UpstreamClient, accepted, object, read_limited, within},
    endpoint::{Endpoint, Operation, path_segment},
};

/// Bytes of an answer that is no file: a list of 100 batches fits.
const ANSWER_BYTES_MAX: usize = 8 << 20;
/// The note by which a batch is found again.
const NOTE: &str = "plasma_batch";

/// A provider's batch as it says.
#[derive(Debug, Deserialize)]
pub(crate) struct ProviderBatch {
    pub(crate) id: String,
    pub(crate) status: String,
    #[serde(default)]
    pub(crate) output_file_id: Option<String>,
    #[serde(default)]
    pub(crate) error_file_id: Option<String>,
    #[serde(default)]
    pub(crate) request_counts: Option<ProviderCounts>,
    #[serde(default)]
    metadata: Option<Value>,
    #[serde(default)]
    errors: Option<Value>,
}

/// How far it is.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct ProviderCounts {
    pub(crate) completed: u64,
    pub(crate) failed: u64,
}

impl ProviderBatch {
    /// Whether nothing changes any more.
    pub(crate) fn has_ended(&self) -> bool {
        matches!(self.status.as_str(), "completed" | "failed" | "expired" | "cancelled")
    }

    /// The first thing that the provider found wrong.
    pub(crate) fn complaint(&self) -> Option<&str> {
        self.errors.as_ref()?.pointer("/data/0/message")?.as_str()
    }
}

impl UpstreamClient {
    fn batch_request(&self, endpoint: &Endpoint, method: Method, path: &str) -> Result<RequestBuilder> {
        let request = self.request(endpoint, method, &format!("{}{path}", endpoint.base_url))?;
        Ok(self.authorized(endpoint, request, Operation::OpenAi("/batches")))
    }

    async fn batch_answer(&self, endpoint: &Endpoint, request: RequestBuilder) -> Result<RawObject> {
        let work = async {
            let response = accepted(endpoint, Protocol::OpenAiChat, request).await?;
            let answer = read_limited(endpoint, response, ANSWER_BYTES_MAX).await?;
            let text = std::str::from_utf8(&answer).map_err(|_| endpoint.malformed("it is not UTF-8"))?;
            object(endpoint, text)
        };
        within(self.config.total_timeout, endpoint, work).await
    }

    /// Brings a file of `size_bytes` for a batch; returns the provider's id of it.
    ///
    /// # Errors
    /// As the provider's answer says.
    pub(crate) async fn upload_batch_file(
        &self,
        endpoint: &Endpoint,
        bytes: BoxStream<'static, Result<Bytes>>,
        size_bytes: u64,
    ) -> Result<String> {
        // The cause of a failure stays in our log: it is the storage's.
        let bytes = bytes.map(|piece| piece.map_err(|error| std::io::Error::other(error.to_string())));
        let part = Part::stream_with_length(Body::wrap_stream(bytes), size_bytes).file_name("batch.jsonl");
        let form = Form::new().text("purpose", "batch").part("file", part);
        let request = self.batch_request(endpoint, Method::POST, "/files")?.multipart(form);
        let file = self.batch_answer(endpoint, request).await?;
        file.get::<String>("id")
            .map_err(|error| endpoint.malformed(error))?
            .ok_or_else(|| endpoint.malformed("`id` is missing"))
    }

    /// The batch that was created for `note`, if there is one among the last 100.
    ///
    /// # Errors
    /// As the provider's answer says.
    pub(crate) async fn find_batch(&self, endpoint: &Endpoint, note: &str) -> Result<Option<ProviderBatch>> {
        let request = self.batch_request(endpoint, Method::GET, "/batches?limit=100")?;
        let list = self.batch_answer(endpoint, request).await?;
        let batches: Vec<ProviderBatch> =
            list.get("data").map_err(|error| endpoint.malformed(error))?.unwrap_or_default();
        let is_ours = |batch: &ProviderBatch| {
            batch.metadata.as_ref().and_then(|metadata| metadata.get(NOTE)).and_then(Value::as_str) == Some(note)
        };
        Ok(batches.into_iter().find(is_ours))
    }

    /// Creates a batch of a file that was brought.
    ///
    /// # Errors
    /// As the provider's answer says.
    pub(crate) async fn create_batch(
        &self,
        endpoint: &Endpoint,
        file: &str,
        path: &str,
        note: &str,
    ) -> Result<ProviderBatch> {
        let body = json!({
            "input_file_id": file, "endpoint": path, "completion_window": "24h", "metadata": { NOTE: note },
        });
        let request = self.batch_request(endpoint, Method::POST, "/batches")?.json(&body);
        self.provider_batch(endpoint, request).await
    }

    /// Where a batch is.
    ///
    /// # Errors
    /// As the provider's answer says.
    pub(crate) async fn get_batch(&self, endpoint: &Endpoint, id: &str) -> Result<ProviderBatch> {
        let path = format!("/batches/{}", path_segment(id));
        self.provider_batch(endpoint, self.batch_request(endpoint, Method::GET, &path)?).await
    }

    /// Cancels a batch. One that has ended is an error there.
    ///
    /// # Errors
    /// As the provider's answer says.
    pub(crate) async fn cancel_batch(&self, endpoint: &Endpoint, id: &str) -> Result<ProviderBatch> {
        let path = format!("/batches/{}/cancel", path_segment(id));
        self.provider_batch(endpoint, self.batch_request(endpoint, Method::POST, &path)?).await
    }

    async fn provider_batch(&self, endpoint: &Endpoint, request: RequestBuilder) -> Result<ProviderBatch> {
        let answer = self.batch_answer(endpoint, request).await?;
        serde_json::from_str(&answer.to_json()?).map_err(|error| endpoint.malformed(error))
    }

    /// The bytes of a file, piece by piece.
    ///
    /// # Errors
    /// As the provider's answer says; each piece too.
    pub(crate) async fn batch_file(&self, endpoint: &Endpoint, id: &str) -> Result<BoxStream<'static, Result<Bytes>>> {
        let path = format!("/files/{}/content", path_segment(id));
        let request = self.batch_request(endpoint, Method::GET, &path)?.timeout(self.config.total_timeout);
        let response = accepted(endpoint, Protocol::OpenAiChat, request).await?;
        let endpoint = endpoint.clone();
        Ok(response.bytes_stream().map(move |piece| piece.map_err(|error| endpoint.broken(error))).boxed())
    }
}
