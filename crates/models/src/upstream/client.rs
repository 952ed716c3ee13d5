use std::time::Duration;

use bytes::{Bytes, BytesMut};
use plasma_http::outbound::{Outbound, OutboundClient};
use plasma_kernel::{Clock, Error, Result};
use plasma_protocols::{Protocol, bedrock::sigv4};
use reqwest::{
    Method, RequestBuilder, Response, Url,
    header::{ACCEPT, CONTENT_TYPE, HeaderName, HeaderValue},
};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    RawObject, UpstreamStream,
    endpoint::{Credential, Endpoint, Operation},
    raw,
};
use crate::{ModelsConfig, ProviderKind};

/// Bytes of a whole answer: 2,048 vectors of 3,072 numbers fit.
const ANSWER_BYTES_MAX: usize = 128 << 20;
/// Bytes of an error answer that are read.
const ERROR_BYTES_MAX: usize = 64 << 10;
/// Names of models that a provider's list may have.
const LISTED_MODELS_MAX: usize = 1_000;
/// Connections that are kept open to one provider while nothing happens.
const IDLE_CONNECTIONS_MAX: usize = 256;

/// A request to a provider.
pub(crate) struct Outgoing<'a> {
    pub(crate) endpoint: &'a Endpoint,
    pub(crate) operation: Operation,
    /// The provider's name of the model.
    pub(crate) model: &'a str,
    /// JSON.
    pub(crate) body: String,
    /// A header of the client that belongs to the protocol and goes on, such as `anthropic-beta`.
    pub(crate) header: Option<(HeaderName, HeaderValue)>,
}

/// Calls providers over pooled connections.
#[derive(Clone)]
pub(crate) struct UpstreamClient {
    /// For addresses that somebody entered who does not manage the installation.
    guarded: OutboundClient,
    /// For the others. It has connections of its own: a guarded call must not find one to a private address.
    unguarded: OutboundClient,
    pub(super) config: ModelsConfig,
    clock: Clock,
}

impl UpstreamClient {
    pub(crate) fn new(config: ModelsConfig, outbound: &Outbound, clock: Clock) -> Result<Self> {
        let client = |outbound: &Outbound| {
            let builder = reqwest::Client::builder()
                .connect_timeout(config.connect_timeout)
                .pool_max_idle_per_host(IDLE_CONNECTIONS_MAX)
                .tcp_nodelay(true)
                .user_agent(concat!("plasma/", env!("CARGO_PKG_VERSION")));
            // A redirect would carry the prompt, and on the same host the key, to an address that nobody configured.
            outbound.client(builder, 0)
        };
        Ok(Self { guarded: client(outbound)?, unguarded: client(&Outbound::unguarded())?, config, clock })
    }

    /// Which addresses may be entered by somebody who does not manage the installation.
    pub(crate) fn guard(&self) -> &Outbound {
        self.guarded.guard()
    }

    pub(super) fn request(&self, endpoint: &Endpoint, method: Method, url: &str) -> Result<RequestBuilder> {
        let url = Url::parse(url).map_err(|error| Error::from_source("a provider's address is not a URL", error))?;
        let client = if endpoint.unguarded { &self.unguarded } else { &self.guarded };
        client.request(method, url).map_err(|refused| endpoint.not_allowed(refused))
    }

    pub(super) fn post(&self, outgoing: Outgoing<'_>) -> Result<RequestBuilder> {
        let endpoint = outgoing.endpoint;
        let url = endpoint.url(outgoing.operation, outgoing.model)?;
        let mut request = self
            .request(endpoint, Method::POST, &url)?
            .header(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Credential::Aws { credentials, region } = &endpoint.credential {
            for (name, value) in self.aws_headers(credentials, region, &url, outgoing.body.as_bytes())? {
                request = request.header(name, value);
            }
        }
        request = self.authorized(endpoint, request, outgoing.operation);
        if let Some((name, value)) = outgoing.header {
            request = request.header(name, value);
        }
        Ok(request.body(outgoing.body))
    }

    pub(super) fn authorized(
        &self,
        endpoint: &Endpoint,
        mut request: RequestBuilder,
        operation: Operation,
    ) -> RequestBuilder {
        for (name, value) in endpoint.headers() {
            request = request.header(*name, *value);
        }
        match &endpoint.credential {
            // Gemini's OpenAI-compatible paths know the key by OpenAI's header only.
            Credential::Header(_, value)
                if endpoint.kind == ProviderKind::Gemini && matches!(operation, Operation::OpenAi(_)) =>
            {
                request.bearer_auth(value.to_str().unwrap_or_default())
            }
            Credential::Header(name, value) => request.header(name.clone(), value.clone()),
            Credential::None | Credential::Aws { .. } => request,
        }
    }

    fn aws_headers(
        &self,
        credentials: &sigv4::Credentials,
        region: &str,
        url: &str,
        body: &[u8],
    ) -> Result<Vec<(&'static str, String)>> {
        let url = Url::parse(url).map_err(|error| Error::from_source("a provider's address is not a URL", error))?;
        let host = match (url.host_str(), url.port()) {
            (Some(host), Some(port)) => format!("{host}:{port}"),
            (Some(host), None) => host.to_owned(),
            (None, _) => return Err(Error::internal("a provider's address has no host")),
        };
        let now = self.clock.now() / 1_000_000;
        let query = url.query().unwrap_or("");
        Ok(sigv4::sign(credentials, region, "bedrock", "POST", &host, url.path(), query, body, now))
    }

    /// Posts a request and reads the whole answer, a JSON text.
    ///
    /// # Errors
    /// `timeout`, `rate_limited`, `invalid` or `upstream`, as the provider's answer says.
    pub(crate) async fn post_whole(&self, outgoing: Outgoing<'_>) -> Result<String> {
        let (endpoint, protocol) = (outgoing.endpoint, protocol_of(outgoing.operation));
        let request = self.post(outgoing)?;
        let work = async {
            let response = accepted(endpoint, protocol, request).await?;
            let answer = read_limited(endpoint, response, ANSWER_BYTES_MAX).await?;
            String::from_utf8(answer.into()).map_err(|_| endpoint.malformed("it is not UTF-8"))
        };
        within(self.config.total_timeout, endpoint, work).await
    }

    /// The same where the answer is a JSON object of OpenAI's format.
    ///
    /// # Errors
    /// As [`UpstreamClient::post_whole`].
    pub(crate) async fn post_object(&self, outgoing: Outgoing<'_>) -> Result<RawObject> {
        let endpoint = outgoing.endpoint;
        let answer = self.post_whole(outgoing).await?;
        object(endpoint, &answer)
    }

    /// Posts a request whose answer comes as a stream. Returns when the provider has begun to answer.
    ///
    /// # Errors
    /// As [`UpstreamClient::post_whole`].
    pub(crate) async fn post_stream(&self, outgoing: Outgoing<'_>) -> Result<UpstreamStream> {
        let (endpoint, protocol) = (outgoing.endpoint, protocol_of(outgoing.operation));
        let expected = match protocol {
            Protocol::Bedrock => "application/vnd.amazon.eventstream",
            _ => "text/event-stream",
        };
        let request =
            self.post(outgoing)?.header(ACCEPT, HeaderValue::from_static(expected)).timeout(self.config.total_timeout);
        let response = within(self.config.stall_timeout, endpoint, accepted(endpoint, protocol, request)).await?;
        let content_type = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
        if !content_type.trim_start().to_ascii_lowercase().starts_with(expected) {
            // Success by status, but one whole answer: an error object, or a server that cannot stream.
            let answer =
                within(self.config.stall_timeout, endpoint, read_limited(endpoint, response, ERROR_BYTES_MAX)).await;
            if let Ok(text) = answer.as_deref().map(|answer| String::from_utf8_lossy(answer)) {
                object(endpoint, &text)?;
            }
            return Err(endpoint.malformed("a stream was asked for, but it answered as a whole"));
        }
        Ok(UpstreamStream::new(endpoint.clone(), protocol, response, self.config.stall_timeout))
    }

    /// The provider's own names of its models, at most 1,000.
    ///
    /// # Errors
    /// As [`UpstreamClient::post_whole`].
    pub(crate) async fn list_models(&self, endpoint: &Endpoint) -> Result<Vec<String>> {
        #[derive(Deserialize)]
        struct Listed {
            #[serde(alias = "name")]
            id: String,
        }
        let operation = Operation::Chat(endpoint.protocol_for(Protocol::OpenAiChat), false);
        let request = self.request(endpoint, Method::GET, &endpoint.models_url()?)?;
        let request = self.authorized(endpoint, request, operation);
        let work = async {
            let response = accepted(endpoint, protocol_of(operation), request).await?;
            let answer = read_limited(endpoint, response, ANSWER_BYTES_MAX).await?;
            let text = std::str::from_utf8(&answer).map_err(|_| endpoint.malformed("it is not UTF-8"))?;
            object(endpoint, text)
        };
        let answer = within(self.config.test_timeout, endpoint, work).await?;
        // Gemini calls the list `models`, and each `models/NAME`.
        let list = if answer.has("data") { "data" } else { "models" };
        let listed: Vec<Listed> = answer
            .get(list)
            .map_err(|error| endpoint.malformed(error))?
            .ok_or_else(|| endpoint.malformed("`data` is missing"))?;
        let name = |model: Listed| model.id.strip_prefix("models/").map(str::to_owned).unwrap_or(model.id);
        Ok(listed.into_iter().map(name).take(LISTED_MODELS_MAX).collect())
    }
}

fn protocol_of(operation: Operation) -> Protocol {
    match operation {
        Operation::Chat(protocol, _) | Operation::CountTokens(protocol) => protocol,
        Operation::OpenAi(_) => Protocol::OpenAiChat,
    }
}

pub(super) async fn within<T>(
    timeout: Duration,
    endpoint: &Endpoint,
    work: impl Future<Output = Result<T>>,
) -> Result<T> {
    tokio::time::timeout(timeout, work)
        .await
        .unwrap_or_else(|_| Err(endpoint.timeout(&format!("did not answer within {} s", timeout.as_secs_f32()))))
}

/// Sends the request; a status that is not a success is an error.
pub(super) async fn accepted(endpoint: &Endpoint, protocol: Protocol, request: RequestBuilder) -> Result<Response> {
    let response = request.send().await.map_err(|error| endpoint.broken(error))?;
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let headers = response.headers().clone();
    // The status tells enough when the body does not come.
    let body = read_limited(endpoint, response, ERROR_BYTES_MAX).await.unwrap_or_default();
    Err(endpoint.refused(protocol, status, &headers, &body))
}

/// Reads a body that may be longer than it claims.
pub(super) async fn read_limited(endpoint: &Endpoint, mut response: Response, bytes_max: usize) -> Result<Bytes> {
    let mut body = BytesMut::new();
    while let Some(piece) = response.chunk().await.map_err(|error| endpoint.broken(error))? {
        if body.len() + piece.len() > bytes_max {
            return Err(endpoint.too_large(bytes_max));
        }
        body.extend_from_slice(&piece);
    }
    Ok(body.freeze())
}

pub(super) fn object(endpoint: &Endpoint, answer: &str) -> Result<RawObject> {
    let object = RawObject::parse(answer).map_err(|_| endpoint.malformed("it is not a JSON object"))?;
    if let Some(error) = object.get::<Box<RawValue>>("error")? {
        return Err(endpoint.told(&raw::told(&error)));
    }
    Ok(object)
}
