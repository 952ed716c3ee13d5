use std::fmt;

use plasma_kernel::{Error, Result};
use plasma_protocols::{Protocol, bedrock::sigv4};
use reqwest::header::{AUTHORIZATION, HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};

use crate::ProviderKind;

const ANTHROPIC_VERSION: &str = "2023-06-01";
/// The last version of Azure's dated API that is generally available. Addresses that end in `/openai/v1` need none.
const AZURE_API_VERSION: &str = "2024-10-21";

/// What a provider of a kind may need beyond its address and key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ProviderOptions {
    /// `openai` and `azure`: the server also has `/responses`. Requests of the Responses format then pass through, and
    /// those of other formats than OpenAI's are translated to it, which keeps sealed thoughts.
    pub responses: bool,
    /// `openai`: the server also has `/files` and `/batches`. A batch whose lines all name one model of the provider is then
    /// answered by the provider's own batch API, unless a budget applies.
    pub batch: bool,
    /// `azure`: the dated API's version; `2024-10-21` when absent.
    #[schema(max_length = 40, example = "2024-10-21")]
    pub api_version: Option<String>,
    /// `bedrock`: the region, when the address does not name it as in `bedrock-runtime.us-east-1.amazonaws.com`.
    #[schema(max_length = 40, example = "us-east-1")]
    pub region: Option<String>,
}

/// Where and how a provider is called.
#[derive(Clone, Debug)]
pub(crate) struct Endpoint {
    /// The provider's name, for messages.
    pub(crate) provider: String,
    pub(crate) kind: ProviderKind,
    /// Without a slash at the end.
    pub(super) base_url: String,
    pub(super) credential: Credential,
    options: ProviderOptions,
    /// Whether the address may lead anywhere.
    pub(super) unguarded: bool,
}

/// How a request proves who sends it. Header values are marked sensitive, so that no debug output shows them.
#[derive(Clone)]
pub(super) enum Credential {
    None,
    Header(HeaderName, HeaderValue),
    Aws { credentials: sigv4::Credentials, region: String },
}

impl fmt::Debug for Credential {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::None => "none",
            Self::Header(..) => "header",
            Self::Aws { .. } => "aws",
        })
    }
}

/// What is asked of a provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    /// A chat in the protocol, streamed or not.
    Chat(Protocol, bool),
    /// Counting the tokens of a chat's prompt.
    CountTokens(Protocol),
    /// An operation of OpenAI's format, by its path, such as `/embeddings`.
    OpenAi(&'static str),
}

fn secret_header(name: HeaderName, value: &str) -> Result<Credential> {
    let mut value = HeaderValue::from_str(value)
        .map_err(|_| Error::invalid("api_key", "has characters that no HTTP header can carry"))?;
    value.set_sensitive(true);
    Ok(Credential::Header(name, value))
}

impl Endpoint {
    pub(crate) fn new(
        provider: &str,
        kind: ProviderKind,
        base_url: &str,
        api_key: Option<&str>,
        options: ProviderOptions,
    ) -> Result<Self> {
        let base_url = base_url.trim_end_matches('/').to_owned();
        let credential = match (kind, api_key) {
            (_, None) => Credential::None,
            (ProviderKind::Anthropic, Some(key)) => secret_header(HeaderName::from_static("x-api-key"), key)?,
            (ProviderKind::Gemini, Some(key)) => secret_header(HeaderName::from_static("x-goog-api-key"), key)?,
            (ProviderKind::Azure, Some(key)) => secret_header(HeaderName::from_static("api-key"), key)?,
            (ProviderKind::Bedrock, Some(key)) => aws_credential(key, &base_url, &options)?,
            (ProviderKind::Openai | ProviderKind::Local, Some(key)) => {
                secret_header(AUTHORIZATION, &format!("Bearer {key}"))?
            }
        };
        Ok(Self { provider: provider.to_owned(), kind, base_url, credential, options, unguarded: false })
    }

    /// The same, where somebody entered the address (or not) who manages the installation.
    pub(crate) fn with_unguarded(mut self, unguarded: bool) -> Self {
        self.unguarded = unguarded;
        self
    }

    /// Texts of the credential that must stand in no message.
    pub(super) fn secrets(&self) -> Vec<&str> {
        match &self.credential {
            Credential::None => Vec::new(),
            Credential::Header(_, value) => {
                let text = value.to_str().unwrap_or_default();
                vec![text.strip_prefix("Bearer ").unwrap_or(text)]
            }
            Credential::Aws { credentials, .. } => {
                let mut secrets = vec![credentials.secret_access_key.as_str(), credentials.access_key_id.as_str()];
                secrets.extend(credentials.session_token.as_deref());
                secrets
            }
        }
    }

    /// Whether the provider has a batch API in OpenAI's format.
    pub(crate) fn has_batches(&self) -> bool {
        self.options.batch
    }

    /// The protocol in which a request that came in `inbound` goes to this provider: the same where it speaks it.
    pub(crate) fn protocol_for(&self, inbound: Protocol) -> Protocol {
        match self.kind {
            ProviderKind::Anthropic => Protocol::Anthropic,
            ProviderKind::Gemini => Protocol::Gemini,
            ProviderKind::Bedrock => Protocol::Bedrock,
            ProviderKind::Openai | ProviderKind::Azure | ProviderKind::Local => {
                if self.options.responses && inbound != Protocol::OpenAiChat {
                    Protocol::OpenAiResponses
                } else {
                    Protocol::OpenAiChat
                }
            }
        }
    }

    /// The address of an operation of `model` (the provider's name of it).
    ///
    /// # Errors
    /// `invalid` (`operation_unsupported`) when the provider's kind does not have it.
    pub(super) fn url(&self, operation: Operation, model: &str) -> Result<String> {
        let base = &self.base_url;
        let encoded = path_segment(model);
        Ok(match (self.kind, operation) {
            (ProviderKind::Anthropic, Operation::Chat(..)) => format!("{base}/messages"),
            (ProviderKind::Anthropic, Operation::CountTokens(_)) => format!("{base}/messages/count_tokens"),
            (ProviderKind::Gemini, Operation::Chat(_, false)) => format!("{base}/models/{encoded}:generateContent"),
            (ProviderKind::Gemini, Operation::Chat(_, true)) => {
                format!("{base}/models/{encoded}:streamGenerateContent?alt=sse")
            }
            (ProviderKind::Gemini, Operation::CountTokens(_)) => format!("{base}/models/{encoded}:countTokens"),
            // Gemini serves OpenAI's format beside its own.
            (ProviderKind::Gemini, Operation::OpenAi(path)) => format!("{base}/openai{path}"),
            (ProviderKind::Bedrock, Operation::Chat(_, false)) => format!("{base}/model/{encoded}/converse"),
            (ProviderKind::Bedrock, Operation::Chat(_, true)) => format!("{base}/model/{encoded}/converse-stream"),
            (ProviderKind::Openai | ProviderKind::Azure | ProviderKind::Local, Operation::Chat(protocol, _)) => {
                match protocol {
                    Protocol::OpenAiResponses => self.openai_url("/responses", &encoded),
                    _ => self.openai_url("/chat/completions", &encoded),
                }
            }
            (ProviderKind::Openai | ProviderKind::Azure | ProviderKind::Local, Operation::OpenAi(path)) => {
                self.openai_url(path, &encoded)
            }
            _ => {
                return Err(Error::invalid(
                    "model",
                    format!("providers of the kind `{}` cannot do this", self.kind.as_str()),
                )
                .remedy("name a model of another provider"));
            }
        })
    }

    fn openai_url(&self, path: &str, model: &str) -> String {
        let base = &self.base_url;
        if self.kind != ProviderKind::Azure || base.ends_with("/openai/v1") {
            return format!("{base}{path}");
        }
        let version = self.options.api_version.as_deref().unwrap_or(AZURE_API_VERSION);
        if path == "/responses" {
            return format!("{base}/openai{path}?api-version={version}");
        }
        format!("{base}/openai/deployments/{model}{path}?api-version={version}")
    }

    /// The address of the list of models.
    pub(super) fn models_url(&self) -> Result<String> {
        let base = &self.base_url;
        Ok(match self.kind {
            ProviderKind::Azure if !base.ends_with("/openai/v1") => {
                let version = self.options.api_version.as_deref().unwrap_or(AZURE_API_VERSION);
                format!("{base}/openai/models?api-version={version}")
            }
            ProviderKind::Bedrock => {
                return Err(Error::invalid(
                    "kind",
                    "Bedrock's runtime address lists no models: try one of them instead, on the page Models",
                ));
            }
            _ => format!("{base}/models"),
        })
    }

    /// Headers that every request of the provider's kind has, but for the credential.
    pub(super) fn headers(&self) -> &'static [(&'static str, &'static str)] {
        match self.kind {
            ProviderKind::Anthropic => &[("anthropic-version", ANTHROPIC_VERSION)],
            _ => &[],
        }
    }
}

/// An AWS key pair, `ACCESS_KEY_ID:SECRET_ACCESS_KEY` with `:SESSION_TOKEN` for temporary ones, or a Bedrock API key.
fn aws_credential(key: &str, base_url: &str, options: &ProviderOptions) -> Result<Credential> {
    let mut parts = key.splitn(3, ':');
    let (Some(access_key_id), Some(secret_access_key)) = (parts.next(), parts.next()) else {
        return secret_header(AUTHORIZATION, &format!("Bearer {key}"));
    };
    let region = options.region.clone().or_else(|| region_of(base_url)).ok_or_else(|| {
        Error::invalid("region", "cannot be read from the address").remedy("give it as `options.region`")
    })?;
    let credentials = sigv4::Credentials {
        access_key_id: access_key_id.to_owned(),
        secret_access_key: secret_access_key.to_owned(),
        session_token: parts.next().map(str::to_owned),
    };
    Ok(Credential::Aws { credentials, region })
}

fn region_of(base_url: &str) -> Option<String> {
    let host = url::Url::parse(base_url).ok()?.host_str()?.to_owned();
    let mut labels = host.split('.');
    let service = labels.next()?;
    let region = labels.next()?;
    (service.starts_with("bedrock") && host.contains("amazonaws")).then(|| region.to_owned())
}

/// A text as one segment of a path (RFC 3986: all but the unreserved characters is encoded).
pub(super) fn path_segment(text: &str) -> String {
    let mut segment = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            segment.push(char::from(byte));
        } else {
            segment.push_str(&format!("%{byte:02X}"));
        }
    }
    segment
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn endpoint(kind: ProviderKind, base_url: &str, options: ProviderOptions) -> Endpoint {
        Endpoint::new("acme", kind, base_url, Some("key"), options).unwrap()
    }

    #[test]
    fn each_kind_has_its_addresses() {
        let chat = Operation::Chat(Protocol::OpenAiChat, true);
        let url =
            |kind, base, operation| endpoint(kind, base, ProviderOptions::default()).url(operation, "m:1/x").unwrap();
        assert_eq!(url(ProviderKind::Openai, "http://h/v1", chat), "http://h/v1/chat/completions");
        assert_eq!(url(ProviderKind::Anthropic, "http://h/v1/", chat), "http://h/v1/messages");
        assert_eq!(
            url(ProviderKind::Gemini, "http://h/v1beta", chat),
            "http://h/v1beta/models/m%3A1%2Fx:streamGenerateContent?alt=sse"
        );
        assert_eq!(
            url(ProviderKind::Bedrock, "http://h", Operation::Chat(Protocol::Bedrock, false)),
            "http://h/model/m%3A1%2Fx/converse"
        );
        assert_eq!(
            url(ProviderKind::Azure, "https://n.openai.azure.com", Operation::OpenAi("/embeddings")),
            "https://n.openai.azure.com/openai/deployments/m%3A1%2Fx/embeddings?api-version=2024-10-21"
        );
        assert_eq!(
            url(ProviderKind::Azure, "https://n.openai.azure.com/openai/v1", chat),
            "https://n.openai.azure.com/openai/v1/chat/completions"
        );
        let anthropic = endpoint(ProviderKind::Anthropic, "http://h/v1", ProviderOptions::default());
        assert_eq!(anthropic.url(Operation::OpenAi("/embeddings"), "m").unwrap_err().field_name(), Some("model"));
    }

    #[test]
    fn responses_are_spoken_only_where_they_are_known() {
        let plain = endpoint(ProviderKind::Openai, "http://h/v1", ProviderOptions::default());
        let options = ProviderOptions { responses: true, ..ProviderOptions::default() };
        let both = endpoint(ProviderKind::Openai, "http://h/v1", options);
        for inbound in Protocol::ALL {
            assert_eq!(plain.protocol_for(inbound), Protocol::OpenAiChat);
            let expected =
                if inbound == Protocol::OpenAiChat { Protocol::OpenAiChat } else { Protocol::OpenAiResponses };
            assert_eq!(both.protocol_for(inbound), expected);
        }
    }

    #[test]
    fn bedrock_takes_key_pairs_and_api_keys() {
        let region = |base: &str| region_of(base);
        assert_eq!(region("https://bedrock-runtime.eu-west-3.amazonaws.com").as_deref(), Some("eu-west-3"));
        assert_eq!(region("https://vpce-1.bedrock.internal"), None);
        let new =
            |key: &str, options| Endpoint::new("aws", ProviderKind::Bedrock, "http://127.0.0.1:1", Some(key), options);
        assert!(matches!(new("one-token", ProviderOptions::default()).unwrap().credential, Credential::Header(..)));
        assert_eq!(new("AKIA:secret", ProviderOptions::default()).unwrap_err().field_name(), Some("region"));
        let options = ProviderOptions { region: Some("us-east-1".to_owned()), ..ProviderOptions::default() };
        let endpoint = new("AKIA:secret:session:token", options).unwrap();
        assert_eq!(endpoint.secrets(), ["secret", "AKIA", "session:token"]);
        assert!(!format!("{endpoint:?}").contains("secret"));
    }
}
