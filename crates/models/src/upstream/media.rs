//! Requests whose body or answer is no JSON: recordings.

use bytes::Bytes;
use futures::{StreamExt as _, stream::BoxStream};
use plasma_kernel::Result;
use plasma_protocols::Protocol;
use reqwest::{Method, RequestBuilder, header::CONTENT_TYPE, multipart::Form};

use super::{
    client::{Outgoing, UpstreamClient, accepted, within},
    endpoint::{Endpoint, Operation},
};

/// Bytes of an answer.
const ANSWER_BYTES_MAX: usize = 128 << 20;

/// An answer as bytes, while they come.
pub(crate) struct MediaAnswer {
    /// The media type, as the provider says.
    pub(crate) content_type: String,
    /// At most 128 MiB.
    pub(crate) body: BoxStream<'static, Result<Bytes>>,
}

impl UpstreamClient {
    /// Posts JSON whose answer is bytes. Returns when the provider has begun to answer.
    ///
    /// # Errors
    /// `timeout`, `rate_limited`, `invalid` or `upstream`, as the provider's answer says.
    pub(crate) async fn post_for_bytes(&self, outgoing: Outgoing<'_>) -> Result<MediaAnswer> {
        let endpoint = outgoing.endpoint;
        let request = self.post(outgoing)?;
        self.media_answer(endpoint, request).await
    }

    /// Posts a form. Returns when the provider has begun to answer.
    ///
    /// # Errors
    /// As [`UpstreamClient::post_for_bytes`].
    pub(crate) async fn post_form(
        &self,
        endpoint: &Endpoint,
        operation: Operation,
        model: &str,
        form: Form,
    ) -> Result<MediaAnswer> {
        let request = self.request(endpoint, Method::POST, &endpoint.url(operation, model)?)?.multipart(form);
        let request = self.authorized(endpoint, request, operation);
        self.media_answer(endpoint, request).await
    }

    async fn media_answer(&self, endpoint: &Endpoint, request: RequestBuilder) -> Result<MediaAnswer> {
        let request = request.timeout(self.config.total_timeout);
        let response =
            within(self.config.stall_timeout, endpoint, accepted(endpoint, Protocol::OpenAiChat, request)).await?;
        let content_type = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let content_type = content_type.unwrap_or("application/octet-stream").to_owned();
        let (endpoint, mut bytes) = (endpoint.clone(), 0_usize);
        let body = response.bytes_stream().map(move |piece| {
            let piece = piece.map_err(|error| endpoint.broken(error))?;
            bytes = bytes.saturating_add(piece.len());
            if bytes > ANSWER_BYTES_MAX { Err(endpoint.too_large(ANSWER_BYTES_MAX)) } else { Ok(piece) }
        });
        Ok(MediaAnswer { content_type, body: body.boxed() })
    }
}
