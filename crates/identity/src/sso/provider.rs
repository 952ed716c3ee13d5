//! What a provider says of itself: its discovery document and its keys. Both are kept for an hour; keys are fetched again when a
//! token names one that is not known, which is how providers change them.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use moka::{future, sync};
use openidconnect::{
    AsyncHttpClient, HttpRequest, HttpResponse,
    core::{CoreJsonWebKeySet, CoreJwsSigningAlgorithm},
};
use plasma_http::outbound::{Outbound, OutboundClient, failure};
use plasma_kernel::{Code, Error, Result};
use reqwest::Method;
use serde::Deserialize;
use url::Url;

use super::presets::DISCOVERY_PATH;
use crate::{Identity, authentication::shared_error, outbound};

/// Answers of providers: a large set of keys with certificates has some 30 KB.
const ANSWER_BYTES_MAX: usize = 512 << 10;
const KEPT_FOR: Duration = Duration::from_secs(60 * 60);
const KEPT_MAX: u64 = 1_000;
/// How often in a minute a set of keys may be fetched again because a token named an unknown one.
const REFETCHES_MAX: u32 = 3;
const REFETCHES_IN: Duration = Duration::from_secs(60);

/// What tokens may be signed with. `none` and the HMAC algorithms, whose key a client knows too, are not among them.
pub(crate) const ALGORITHMS: [CoreJwsSigningAlgorithm; 9] = [
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256,
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha384,
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha512,
    CoreJwsSigningAlgorithm::RsaSsaPssSha256,
    CoreJwsSigningAlgorithm::RsaSsaPssSha384,
    CoreJwsSigningAlgorithm::RsaSsaPssSha512,
    CoreJwsSigningAlgorithm::EcdsaP256Sha256,
    CoreJwsSigningAlgorithm::EcdsaP384Sha384,
    CoreJwsSigningAlgorithm::EdDsa,
];
/// Their names in discovery documents.
pub(crate) const ALGORITHM_NAMES: [&str; 9] =
    ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA"];

/// The discovery document, as far as it matters here.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct Discovery {
    pub(crate) issuer: Option<String>,
    pub(crate) authorization_endpoint: Option<String>,
    pub(crate) token_endpoint: Option<String>,
    pub(crate) jwks_uri: Option<String>,
    pub(crate) userinfo_endpoint: Option<String>,
    pub(crate) end_session_endpoint: Option<String>,
    #[serde(default)]
    pub(crate) response_types_supported: Vec<String>,
    #[serde(default)]
    pub(crate) id_token_signing_alg_values_supported: Vec<String>,
    pub(crate) token_endpoint_auth_methods_supported: Option<Vec<String>>,
    pub(crate) code_challenge_methods_supported: Option<Vec<String>>,
    #[serde(default)]
    pub(crate) authorization_response_iss_parameter_supported: bool,
    #[serde(default)]
    pub(crate) backchannel_logout_supported: bool,
}

/// A provider with which a login is possible.
#[derive(Clone, Debug)]
pub(crate) struct Provider {
    pub(crate) issuer: String,
    pub(crate) authorization_endpoint: Url,
    pub(crate) token_endpoint: Url,
    pub(crate) jwks_uri: Url,
    pub(crate) userinfo_endpoint: Option<Url>,
    pub(crate) end_session_endpoint: Option<Url>,
    /// Whether the client's secret goes into the body because the provider takes it nowhere else.
    pub(crate) secret_in_body: bool,
    /// Whether its answers name it (RFC 9207).
    pub(crate) names_itself: bool,
}

/// For what keys are fetched again: whoever sends logout tokens must not use up the tries of logins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Need {
    Login,
    Logout,
}

/// What is known of providers, and the client that asks them.
pub(crate) struct Providers {
    guard: OnceLock<Outbound>,
    http: OnceLock<ProviderHttp>,
    providers: future::Cache<String, Arc<Provider>>,
    keys: future::Cache<String, Arc<CoreJsonWebKeySet>>,
    refetches: sync::Cache<(String, Need), Arc<AtomicU32>>,
}

impl Providers {
    pub(crate) fn new() -> Self {
        Self {
            guard: OnceLock::new(),
            http: OnceLock::new(),
            providers: future::Cache::builder().max_capacity(KEPT_MAX).time_to_live(KEPT_FOR).build(),
            keys: future::Cache::builder().max_capacity(KEPT_MAX).time_to_live(KEPT_FOR).build(),
            refetches: sync::Cache::builder().max_capacity(KEPT_MAX).time_to_live(REFETCHES_IN).build(),
        }
    }

    /// Counts once, before anything is called.
    pub(crate) fn use_outbound(&self, outbound: Outbound) {
        let _ = self.guard.set(outbound);
    }

    /// What may be called: public addresses, unless [`Identity::use_outbound`] said otherwise.
    fn guard(&self) -> &Outbound {
        self.guard.get_or_init(|| Outbound::guarded(Vec::new()))
    }

    /// Whether somebody may enter this address as a provider's.
    ///
    /// # Errors
    /// `invalid` (`outbound_address_refused`), with what is wrong in words.
    pub(crate) fn check(&self, url: &Url) -> Result<()> {
        outbound::check(url)?;
        self.guard().check(url).map_err(Error::from)
    }

    /// The client of all calls to providers, made at the first one.
    pub(crate) fn http(&self) -> Result<&ProviderHttp> {
        if let Some(http) = self.http.get() {
            return Ok(http);
        }
        let made = ProviderHttp { client: outbound::client(self.guard())? };
        Ok(self.http.get_or_init(|| made))
    }

    /// The provider with this issuer.
    ///
    /// # Errors
    /// `upstream` or `timeout` when it does not answer, or answers what no login is possible with.
    pub(crate) async fn provider(&self, issuer: &str) -> Result<Arc<Provider>> {
        let load = async {
            let discovery = self.discovery(issuer).await?;
            checked(issuer, &discovery).map(Arc::new)
        };
        self.providers.try_get_with_by_ref(issuer, load).await.map_err(|error: Arc<Error>| shared_error(&error))
    }

    /// The discovery document, fetched now.
    pub(crate) async fn discovery(&self, issuer: &str) -> Result<Discovery> {
        let url = discovery_url(issuer)?;
        let body = self.http()?.get(&url, None).await?;
        serde_json::from_slice(&body).map_err(|error| {
            nonsense(format!("the document at `{url}` is no discovery document: {error}"))
                .remedy("check the issuer: it is the address before /.well-known/openid-configuration")
        })
    }

    /// The provider's keys.
    ///
    /// # Errors
    /// As [`Providers::provider`].
    pub(crate) async fn keys(&self, provider: &Provider) -> Result<Arc<CoreJsonWebKeySet>> {
        let load = async { self.fetch_keys(&provider.jwks_uri).await.map(Arc::new) };
        self.keys
            .try_get_with_by_ref(provider.jwks_uri.as_str(), load)
            .await
            .map_err(|error: Arc<Error>| shared_error(&error))
    }

    /// The keys once more, for a token that names one which is not known; `None` when that was done often lately.
    pub(crate) async fn newer_keys(&self, provider: &Provider, need: Need) -> Result<Option<Arc<CoreJsonWebKeySet>>> {
        let key = (provider.jwks_uri.to_string(), need);
        let refetches = self.refetches.get_with(key, Arc::default);
        if refetches.fetch_add(1, Ordering::Relaxed) >= REFETCHES_MAX {
            return Ok(None);
        }
        self.keys.invalidate(provider.jwks_uri.as_str()).await;
        self.keys(provider).await.map(Some)
    }

    /// The keys, fetched now.
    pub(crate) async fn fetch_keys(&self, jwks_uri: &Url) -> Result<CoreJsonWebKeySet> {
        let body = self.http()?.get(jwks_uri, None).await?;
        // Keys of kinds that are not known are left out.
        serde_json::from_slice(&body)
            .map_err(|error| nonsense(format!("the keys at `{jwks_uri}` cannot be read: {error}")))
    }

    /// Forgets what is known of a provider, after its connection was changed or tested.
    pub(crate) async fn forget(&self, issuer: &str) {
        if let Some(provider) = self.providers.remove(issuer).await {
            self.keys.invalidate(provider.jwks_uri.as_str()).await;
        }
    }
}

impl Identity {
    pub(crate) fn providers(&self) -> &Providers {
        &self.inner.sso.providers
    }
}

/// Where the discovery document of an issuer is (OpenID Connect Discovery 1.0, section 4).
pub(crate) fn discovery_url(issuer: &str) -> Result<Url> {
    let text = format!("{}{DISCOVERY_PATH}", issuer.trim_end_matches('/'));
    Url::parse(&text).map_err(|error| Error::from_source("a stored issuer is no URL", error))
}

/// What a login needs of a discovery document.
///
/// # Errors
/// `upstream` (`provider_unusable`), with the first thing that is wrong.
pub(crate) fn checked(issuer: &str, discovery: &Discovery) -> Result<Provider> {
    if discovery.issuer.as_deref() != Some(issuer) {
        let named = discovery.issuer.as_deref().unwrap_or("nobody");
        return Err(nonsense(format!("the provider calls itself `{}`, not `{issuer}`", excerpt(named)))
            .remedy("write the issuer letter by letter as the provider does, with or without a slash at its end"));
    }
    let endpoint = |name: &str, url: &Option<String>| endpoint(name, url.as_deref());
    let needed = |name: &str, url: &Option<String>| {
        endpoint(name, url)?.ok_or_else(|| nonsense(format!("the provider's discovery document has no `{name}`")))
    };
    let secret_in_body = discovery.token_endpoint_auth_methods_supported.as_ref().is_some_and(|methods| {
        let takes = |wanted: &str| methods.iter().any(|method| method == wanted);
        takes("client_secret_post") && !takes("client_secret_basic")
    });
    Ok(Provider {
        issuer: issuer.to_owned(),
        authorization_endpoint: needed("authorization_endpoint", &discovery.authorization_endpoint)?,
        token_endpoint: needed("token_endpoint", &discovery.token_endpoint)?,
        jwks_uri: needed("jwks_uri", &discovery.jwks_uri)?,
        userinfo_endpoint: endpoint("userinfo_endpoint", &discovery.userinfo_endpoint)?,
        end_session_endpoint: endpoint("end_session_endpoint", &discovery.end_session_endpoint)?,
        secret_in_body,
        names_itself: discovery.authorization_response_iss_parameter_supported,
    })
}

fn endpoint(name: &str, url: Option<&str>) -> Result<Option<Url>> {
    let Some(text) = url else { return Ok(None) };
    let url =
        Url::parse(text).map_err(|_| nonsense(format!("the provider's `{name}` is no URL: `{}`", excerpt(text))))?;
    outbound::check(&url)
        .map_err(|error| nonsense(format!("the provider's `{name}` cannot be used: {}", error.message())))?;
    Ok(Some(url))
}

/// The provider answered, but not with what the protocol asks for.
pub(crate) fn nonsense(what: String) -> Error {
    Error::new(Code::Upstream, "provider_unusable", what)
}

/// Keeps what is quoted of a provider's words short and on one line.
pub(crate) fn excerpt(text: &str) -> String {
    text.chars().take(200).map(|character| if character.is_control() { ' ' } else { character }).collect()
}

/// How errors name whom they are about. The host only: the rest of an address could hold a secret.
fn owner(url: &Url) -> String {
    format!("`{}`", url.host_str().unwrap_or_default())
}

/// Calls providers: bounded in time and size, without redirects.
#[derive(Clone)]
pub(crate) struct ProviderHttp {
    client: OutboundClient,
}

impl ProviderHttp {
    /// The body of a 200 answer.
    pub(crate) async fn get(&self, url: &Url, bearer: Option<&str>) -> Result<Vec<u8>> {
        let request = self.client.request(Method::GET, url.clone());
        let mut request =
            request.map_err(|refused| refused.into_upstream_error(&owner(url)))?.header("accept", "application/json");
        if let Some(token) = bearer {
            request = request.bearer_auth(token);
        }
        let request = request.build().map_err(|error| Error::from_source("a request cannot be made", error))?;
        let answer = self.send(request).await?;
        match answer.status().as_u16() {
            200 => Ok(answer.into_body()),
            status @ 300..=399 => {
                Err(nonsense(format!("`{url}` answers with a redirect ({status}), which is not followed"))
                    .remedy("use the address to which it leads"))
            }
            404 => Err(nonsense(format!("there is nothing at `{url}` (404)")).remedy("check the issuer")),
            status => Err(nonsense(format!("`{url}` answers with {status}"))),
        }
    }

    /// Sends a request and reads the whole answer. The only place from which anything goes out to a provider.
    async fn send(&self, request: reqwest::Request) -> Result<HttpResponse> {
        outbound::check(request.url())?;
        let owner = owner(request.url());
        let mut response = self.client.execute(&owner, request).await?;
        let mut body = Vec::new();
        while let Some(piece) = response.chunk().await.map_err(|error| failure(&owner, error))? {
            if body.len() + piece.len() > ANSWER_BYTES_MAX {
                return Err(nonsense(format!("{owner} answers with more than {ANSWER_BYTES_MAX} bytes")));
            }
            body.extend_from_slice(&piece);
        }
        let mut answer = HttpResponse::new(body);
        *answer.status_mut() = response.status();
        *answer.headers_mut() = std::mem::take(response.headers_mut());
        Ok(answer)
    }
}

impl<'c> AsyncHttpClient<'c> for ProviderHttp {
    type Error = Error;
    type Future = std::pin::Pin<Box<dyn Future<Output = Result<HttpResponse>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(async move {
            let request = reqwest::Request::try_from(request)
                .map_err(|error| Error::from_source("a request cannot be made", error))?;
            self.send(request).await
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn discovery() -> Discovery {
        let url = |path: &str| Some(format!("https://id.example.org/{path}"));
        Discovery {
            issuer: Some("https://id.example.org".to_owned()),
            authorization_endpoint: url("authorize"),
            token_endpoint: url("token"),
            jwks_uri: url("keys"),
            ..Discovery::default()
        }
    }

    #[test]
    fn the_issuer_must_be_the_one_that_was_asked_for() {
        assert!(checked("https://id.example.org", &discovery()).is_ok());
        for issuer in ["https://id.example.org/", "https://other.example.org", "https://ID.example.org"] {
            let error = checked(issuer, &discovery()).unwrap_err();
            assert!(error.message().contains("calls itself `https://id.example.org`"), "{error}");
        }
        assert!(checked("https://id.example.org", &Discovery { issuer: None, ..discovery() }).is_err());
    }

    #[test]
    fn endpoints_must_be_there_and_secure() {
        let without = Discovery { token_endpoint: None, ..discovery() };
        assert!(checked("https://id.example.org", &without).unwrap_err().message().contains("token_endpoint"));
        for url in ["http://id.example.org/keys", "nonsense", "file:///etc/passwd"] {
            let wrong = Discovery { jwks_uri: Some(url.to_owned()), ..discovery() };
            assert!(checked("https://id.example.org", &wrong).unwrap_err().message().contains("jwks_uri"), "{url}");
        }
    }

    #[test]
    fn the_secret_goes_into_the_header_unless_the_provider_takes_it_only_in_the_body() {
        let with = |methods: Option<&[&str]>| {
            let methods = methods.map(|methods| methods.iter().map(|method| (*method).to_owned()).collect());
            let discovery = Discovery { token_endpoint_auth_methods_supported: methods, ..discovery() };
            checked("https://id.example.org", &discovery).unwrap().secret_in_body
        };
        assert!(!with(None));
        assert!(!with(Some(&["client_secret_basic", "client_secret_post"])));
        assert!(with(Some(&["client_secret_post", "private_key_jwt"])));
    }

    #[test]
    fn discovery_is_beside_the_issuer() {
        let at = |issuer: &str| discovery_url(issuer).unwrap().to_string();
        assert_eq!(at("https://a.example/x/"), "https://a.example/x/.well-known/openid-configuration");
        assert_eq!(at("https://a.example"), "https://a.example/.well-known/openid-configuration");
    }

    #[test]
    fn no_algorithm_without_a_key_of_the_providers_own_is_allowed() {
        for name in ["none", "HS256", "HS384", "HS512"] {
            assert!(!ALGORITHM_NAMES.contains(&name));
        }
        let names: Vec<_> = ALGORITHMS
            .iter()
            .map(|algorithm| serde_json::to_value(algorithm).unwrap().as_str().unwrap().to_owned())
            .collect();
        assert_eq!(names, ALGORITHM_NAMES);
    }
}
