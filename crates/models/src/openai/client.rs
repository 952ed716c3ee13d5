use std::time::Duration;

use bytes::{Bytes, BytesMut};
use plasma_kernel::{Error, Result};
use reqwest::{
    RequestBuilder, Response,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue},
};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{ChunkStream, RawObject, wire};
use crate::ModelsConfig;

/// Bytes of a whole answer: 2,048 vectors of 3,072 numbers fit.
const ANSWER_BYTES_MAX: usize = 128 << 20;
/// Bytes of an error answer that are read.
const ERROR_BYTES_MAX: usize = 64 << 10;
/// Names of models that a provider's list may have.
const LISTED_MODELS_MAX: usize = 1_000;

/// Where and how a provider is called.
#[derive(Clone, Debug)]
pub(crate) struct Endpoint {
    /// The provider's name, for messages.
    pub(super) provider: String,
    /// Without a slash at the end.
    pub(super) base_url: String,
    /// `Bearer …`, marked sensitive so that no debug output shows it.
    authorization: Option<HeaderValue>,
}

impl Endpoint {
    pub(crate) fn new(provider: &str, base_url: &str, api_key: Option<&str>) -> Result<Self> {
        let authorization = api_key
            .map(|key| {
                let mut value = HeaderValue::from_str(&format!("Bearer {key}"))
                    .map_err(|_| Error::invalid("api_key", "has characters that no HTTP header can carry"))?;
                value.set_sensitive(true);
                Ok::<_, Error>(value)
            })
            .transpose()?;
        Ok(Self { provider: provider.to_owned(), base_url: base_url.trim_end_matches('/').to_owned(), authorization })
    }

    pub(super) fn api_key(&self) -> Option<&str> {
        self.authorization.as_ref()?.to_str().ok()?.strip_prefix("Bearer ")
    }
}

/// Calls providers over pooled connections.
#[derive(Clone)]
pub(crate) struct OpenAiClient {
    http: reqwest::Client,
    config: ModelsConfig,
}

impl OpenAiClient {
    pub(crate) fn new(config: ModelsConfig) -> Result<Self> {
        let http = reqwest::Client::builder()
            .connect_timeout(config.connect_timeout)
            // A redirect would carry the prompt, and on the same host the key, to an address that nobody configured.
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("plasma/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| Error::from_source("the HTTP client could not be made", error))?;
        Ok(Self { http, config })
    }

    fn post(&self, endpoint: &Endpoint, path: &str, body: String) -> RequestBuilder {
        self.authorized(endpoint, self.http.post(format!("{}{path}", endpoint.base_url)))
            .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .body(body)
    }

    fn authorized(&self, endpoint: &Endpoint, request: RequestBuilder) -> RequestBuilder {
        match &endpoint.authorization {
            Some(value) => request.header(AUTHORIZATION, value.clone()),
            None => request,
        }
    }

    /// Posts a request and reads the whole answer: a JSON object without an `error`.
    ///
    /// # Errors
    /// `timeout`, `rate_limited`, `invalid` or `upstream`, as the provider's answer says.
    pub(crate) async fn post_json(&self, endpoint: &Endpoint, path: &str, body: String) -> Result<RawObject> {
        let request = self.post(endpoint, path, body);
        within(self.config.total_timeout, endpoint, read_object(endpoint, request)).await
    }

    /// Posts a request whose answer comes as a stream of chunks. Returns when the provider has begun to answer.
    ///
    /// # Errors
    /// As [`OpenAiClient::post_json`].
    pub(crate) async fn post_stream(&self, endpoint: &Endpoint, path: &str, body: String) -> Result<ChunkStream> {
        let request = self
            .post(endpoint, path, body)
            .header(ACCEPT, HeaderValue::from_static("text/event-stream"))
            .timeout(self.config.total_timeout);
        let response = within(self.config.stall_timeout, endpoint, accepted(endpoint, request)).await?;
        let content_type = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
        if !content_type.trim_start().to_ascii_lowercase().starts_with("text/event-stream") {
            // Success by status, but one whole answer: an error object, or a server that cannot stream.
            let answer =
                within(self.config.stall_timeout, endpoint, read_limited(endpoint, response, ERROR_BYTES_MAX)).await;
            if let Ok(answer) = answer {
                object(endpoint, &answer)?;
            }
            return Err(wire::invalid_answer("a stream was asked for, but it answered as a whole"));
        }
        Ok(ChunkStream::new(endpoint.clone(), response, self.config.stall_timeout))
    }

    /// The provider's own names of its models, at most 1,000.
    ///
    /// # Errors
    /// As [`OpenAiClient::post_json`].
    pub(crate) async fn list_models(&self, endpoint: &Endpoint) -> Result<Vec<String>> {
        #[derive(Deserialize)]
        struct Listed {
            id: String,
        }
        let request = self.authorized(endpoint, self.http.get(format!("{}/models", endpoint.base_url)));
        let answer = within(self.config.test_timeout, endpoint, read_object(endpoint, request)).await?;
        let listed: Vec<Listed> = answer
            .get("data")
            .map_err(wire::invalid_answer)?
            .ok_or_else(|| wire::invalid_answer("`data` is missing"))?;
        Ok(listed.into_iter().map(|model| model.id).take(LISTED_MODELS_MAX).collect())
    }
}

async fn within<T>(timeout: Duration, endpoint: &Endpoint, work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::time::timeout(timeout, work)
        .await
        .unwrap_or_else(|_| Err(endpoint.timeout(&format!("did not answer within {} s", timeout.as_secs_f32()))))
}

/// Sends the request; a status that is not a success is an error.
async fn accepted(endpoint: &Endpoint, request: RequestBuilder) -> Result<Response> {
    let response = request.send().await.map_err(|error| endpoint.broken(error))?;
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let headers = response.headers().clone();
    // The status tells enough when the body does not come.
    let body = read_limited(endpoint, response, ERROR_BYTES_MAX).await.unwrap_or_default();
    Err(endpoint.refused(status, &headers, &body))
}

async fn read_object(endpoint: &Endpoint, request: RequestBuilder) -> Result<RawObject> {
    let response = accepted(endpoint, request).await?;
    let answer = read_limited(endpoint, response, ANSWER_BYTES_MAX).await?;
    object(endpoint, &answer)
}

/// Reads a body that may be longer than it claims.
async fn read_limited(endpoint: &Endpoint, mut response: Response, bytes_max: usize) -> Result<Bytes> {
    let mut body = BytesMut::new();
    while let Some(piece) = response.chunk().await.map_err(|error| endpoint.broken(error))? {
        if body.len() + piece.len() > bytes_max {
            return Err(endpoint.too_large(bytes_max));
        }
        body.extend_from_slice(&piece);
    }
    Ok(body.freeze())
}

fn object(endpoint: &Endpoint, answer: &[u8]) -> Result<RawObject> {
    let text = std::str::from_utf8(answer).map_err(|_| wire::invalid_answer("it is not UTF-8"))?;
    let object = RawObject::parse(text).map_err(|_| wire::invalid_answer("it is not a JSON object"))?;
    if let Some(error) = object.get::<Box<RawValue>>("error")? {
        return Err(endpoint.told_error(&error));
    }
    Ok(object)
}
