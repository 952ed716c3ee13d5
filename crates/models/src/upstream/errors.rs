//! What a provider's refusals and failures mean, in the kernel's words. A provider's own text is quoted in part, and never
//! with the key in it.

use plasma_http::outbound::{self, RefusedAddress};
use plasma_kernel::{Code, Error};
use plasma_protocols::{Protocol, Told, Wrong, anthropic, bedrock, gemini, openai_chat, openai_responses};
use reqwest::{
    StatusCode,
    header::{HeaderMap, RETRY_AFTER},
};

use super::Endpoint;

/// Characters of a provider's error text that are passed on.
const QUOTE_CHARS_MAX: usize = 300;
/// Longer ids are not worth their place in a message.
const REQUEST_ID_CHARS_MAX: usize = 80;
/// A provider that wants longer waits than this gets no say.
const RETRY_AFTER_MAX_MS: u64 = 3_600_000;
/// Keys shorter than this are too likely to occur in ordinary words.
const REDACTED_KEY_CHARS_MIN: usize = 6;

impl Endpoint {
    /// The provider's words, short, on one line, and without the key.
    fn quote(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for secret in self.secrets().into_iter().filter(|secret| secret.len() >= REDACTED_KEY_CHARS_MIN) {
            text = text.replace(secret, "[key]");
        }
        let mut quoted: String =
            text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).take(QUOTE_CHARS_MAX).collect();
        if text.chars().nth(QUOTE_CHARS_MAX).is_some() {
            quoted.push('…');
        }
        quoted
    }

    /// An answer whose status is not a success.
    pub(super) fn refused(&self, protocol: Protocol, status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Error {
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let mut told = match protocol {
            Protocol::OpenAiChat => openai_chat::read_error(body),
            Protocol::OpenAiResponses => openai_responses::read_error(body),
            Protocol::Anthropic => anthropic::read_error(body),
            Protocol::Gemini => gemini::read_error(body),
            Protocol::Bedrock => bedrock::read_error(body, header("x-amzn-errortype")),
        };
        // What the provider's support asks for first.
        let request_id = ["x-request-id", "request-id", "x-amzn-requestid"].into_iter().find_map(header);
        if let Some(request_id) = request_id.filter(|id| id.len() <= REQUEST_ID_CHARS_MAX) {
            told.message = match told.message.as_str() {
                "" => format!("its request id is {request_id}"),
                message => format!("{} [request id {request_id}]", shortened(message)),
            };
        }
        self.classify(status.as_u16(), &told, retry_after_ms(headers))
    }

    /// An error in the middle of a stream, or in an answer whose status claims success.
    pub(super) fn told(&self, told: &Told) -> Error {
        let kind = told.kind.to_ascii_lowercase();
        let status = match kind.as_str() {
            kind if kind.contains("rate_limit") || kind.contains("throttling") || kind.contains("exhausted") => 429,
            kind if kind.contains("authentication") || kind.contains("invalid_api_key") => 401,
            kind if kind.contains("invalid_request") || kind.contains("invalid_argument") => 400,
            kind if kind.contains("overloaded") => 529,
            _ => told.status.unwrap_or(500),
        };
        self.classify(status, told, None)
    }

    /// What a reader of the provider's protocol found wrong.
    pub(crate) fn wrong(&self, wrong: Wrong) -> Error {
        match wrong {
            Wrong::Malformed(what) => self.malformed(what),
            Wrong::Told(told) => self.told(&told),
        }
    }

    /// An answer that does not follow the protocol.
    pub(crate) fn malformed(&self, what: impl std::fmt::Display) -> Error {
        let text = format!("the answer of the provider `{}` does not follow its protocol: {what}", self.provider);
        Error::new(Code::Upstream, "provider_answer_invalid", self.quote(&text))
            .remedy("check that the provider's kind and base URL are right")
    }

    fn classify(&self, status: u16, told: &Told, retry_after_ms: Option<u64>) -> Error {
        let provider = &self.provider;
        let said = match self.quote(&told.message) {
            message if message.is_empty() => String::new(),
            message => format!(": {message}"),
        };
        let out_of_credit = ["insufficient_quota", "billing"].iter().any(|word| told.kind.contains(word))
            || told.message.contains("credit balance is too low");
        if status == 402 || out_of_credit {
            return Error::new(
                Code::Upstream,
                "provider_quota_exhausted",
                format!("the provider `{provider}` says that its account has no credit left"),
            )
            .remedy("check the account's billing at the provider");
        }
        // Gemini calls a wrong key a bad request.
        let status = if told.message.starts_with("API key") { 401 } else { status };
        match status {
            // Its text is not quoted: some providers repeat a part of the key.
            401 | 403 => Error::new(
                Code::Upstream,
                "provider_key_refused",
                format!("the provider `{provider}` refused the API key ({status})"),
            )
            .remedy("check the provider's key"),
            404 => Error::new(
                Code::Upstream,
                "provider_model_unknown",
                format!("the provider `{provider}` does not know this model or address (404){said}"),
            )
            .remedy("check the provider's base URL and the model's upstream name"),
            429 => {
                let error = Error::new(
                    Code::RateLimited,
                    "provider_rate_limited",
                    format!("the provider `{provider}` limits the rate of requests{said}"),
                );
                error.retry_after_ms(retry_after_ms.unwrap_or(1_000))
            }
            413 => Error::new(
                Code::TooLarge,
                "provider_refused_request",
                format!("the request is too large for the provider `{provider}`{said}"),
            ),
            400 | 422 => {
                let error = Error::new(
                    Code::Invalid,
                    "provider_refused_request",
                    format!("the provider `{provider}` refused the request ({status}){said}"),
                );
                match &told.param {
                    Some(param) => error.field(self.quote(param)),
                    None => error,
                }
            }
            408 | 504 => self.timeout(&format!("gave up waiting ({status}){said}")),
            _ => Error::new(
                Code::Upstream,
                "provider_failed",
                format!("the provider `{provider}` failed ({status}){said}"),
            )
            .remedy(if status < 400 { "check the provider's base URL: it redirects" } else { "try again" }),
        }
    }

    pub(super) fn timeout(&self, what: &str) -> Error {
        Error::new(Code::Timeout, "provider_timeout", format!("the provider `{}` {what}", self.provider))
            .remedy("try again, or use a faster model")
    }

    /// No answer came, or its bytes stopped coming.
    pub(super) fn broken(&self, error: reqwest::Error) -> Error {
        if let Some(refused) = outbound::refusal(&error) {
            return self.not_allowed(refused.clone());
        }
        if error.is_timeout() {
            return self.timeout("took too long").source(error.without_url());
        }
        let provider = &self.provider;
        let (reason, message) = if error.is_connect() {
            ("provider_unreachable", format!("the provider `{provider}` cannot be reached at {}", self.base_url))
        } else {
            ("provider_connection_lost", format!("the connection to the provider `{provider}` broke"))
        };
        Error::new(Code::Upstream, reason, message)
            .remedy("check that the provider runs and that this server reaches it")
            .source(error.without_url())
    }

    /// The address leads to where this provider may not be called.
    pub(super) fn not_allowed(&self, refused: RefusedAddress) -> Error {
        refused.into_upstream_error(&format!("the provider `{}`", self.provider))
    }

    /// A stream that ended before the answer did.
    pub(super) fn cut(&self) -> Error {
        Error::new(
            Code::Upstream,
            "provider_stream_cut",
            format!("the provider `{}` ended the stream before the answer was complete", self.provider),
        )
        .remedy("try again")
    }

    pub(super) fn too_large(&self, bytes_max: usize) -> Error {
        Error::new(
            Code::Upstream,
            "provider_answer_too_large",
            format!("the provider `{}` answered with more than {bytes_max} bytes", self.provider),
        )
    }
}

fn shortened(message: &str) -> String {
    // Room for the request id within what is quoted.
    message.chars().take(QUOTE_CHARS_MAX - REQUEST_ID_CHARS_MAX - 20).collect()
}

fn retry_after_ms(headers: &HeaderMap) -> Option<u64> {
    let number = |name: &str| headers.get(name)?.to_str().ok()?.trim().parse::<f64>().ok();
    let milliseconds =
        number("retry-after-ms").or_else(|| number(RETRY_AFTER.as_str()).map(|seconds| seconds * 1_000.0))?;
    // A date or a negative number is no use; `as` saturates.
    (milliseconds >= 0.0).then(|| (milliseconds as u64).min(RETRY_AFTER_MAX_MS))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;
    use crate::{ProviderKind, upstream::ProviderOptions};

    fn endpoint() -> Endpoint {
        let options = ProviderOptions::default();
        Endpoint::new("acme", ProviderKind::Openai, "http://acme.example/v1", Some("sk-very-secret-key"), options)
            .unwrap()
    }

    fn refused(status: u16, body: &str) -> Error {
        endpoint().refused(
            Protocol::OpenAiChat,
            StatusCode::from_u16(status).unwrap(),
            &HeaderMap::new(),
            body.as_bytes(),
        )
    }

    #[test]
    fn each_status_has_its_meaning() {
        let expected = [
            (400, Code::Invalid, "provider_refused_request"),
            (401, Code::Upstream, "provider_key_refused"),
            (402, Code::Upstream, "provider_quota_exhausted"),
            (403, Code::Upstream, "provider_key_refused"),
            (404, Code::Upstream, "provider_model_unknown"),
            (408, Code::Timeout, "provider_timeout"),
            (413, Code::TooLarge, "provider_refused_request"),
            (422, Code::Invalid, "provider_refused_request"),
            (429, Code::RateLimited, "provider_rate_limited"),
            (302, Code::Upstream, "provider_failed"),
            (500, Code::Upstream, "provider_failed"),
            (503, Code::Upstream, "provider_failed"),
            (504, Code::Timeout, "provider_timeout"),
        ];
        for (status, code, reason) in expected {
            let error = refused(status, "<html>oops</html>");
            assert_eq!((error.code(), error.reason()), (code, reason), "status {status}");
            assert!(!error.to_string().contains("html"));
        }
    }

    #[test]
    fn the_providers_words_are_quoted_without_the_key() {
        let error =
            refused(400, r#"{"error":{"message":"bad\nkey sk-very-secret-key!","param":"messages","code":null}}"#);
        assert_eq!(error.field_name(), Some("messages"));
        assert!(error.message().ends_with("bad key [key]!"), "{error}");
        let error = refused(401, r#"{"error":{"message":"Incorrect API key provided: sk-very-****"}}"#);
        assert!(!error.to_string().contains("sk-"), "{error}");
        assert_eq!(error.remedy_text(), Some("check the provider's key"));
        let long = refused(500, &format!(r#"{{"detail":"{}"}}"#, "ä".repeat(10_000)));
        assert!(long.message().chars().count() < 400);
    }

    #[test]
    fn an_exhausted_account_is_not_a_rate_limit() {
        let error = refused(429, r#"{"error":{"message":"You exceeded your quota","code":"insufficient_quota"}}"#);
        assert_eq!(error.reason(), "provider_quota_exhausted");
    }

    #[test]
    fn retry_after_is_honored_in_both_forms() {
        let retry = |name: &'static str, value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(name, HeaderValue::from_static(value));
            endpoint().refused(Protocol::OpenAiChat, StatusCode::TOO_MANY_REQUESTS, &headers, b"{}").retry_after()
        };
        assert_eq!(retry("retry-after", "7"), Some(7_000));
        assert_eq!(retry("retry-after-ms", "250"), Some(250));
        assert_eq!(retry("retry-after", "Wed, 21 Oct 2026 07:28:00 GMT"), Some(1_000));
        assert_eq!(retry("retry-after", "1e30"), Some(RETRY_AFTER_MAX_MS));
        assert_eq!(retry("retry-after", "-5"), Some(1_000));
    }

    #[test]
    fn an_error_object_in_a_stream_is_classified_by_what_it_says() {
        let told = |text: &str| {
            let told = openai_chat::read_error(format!("{{\"error\":{text}}}").as_bytes());
            endpoint().told(&told).code()
        };
        assert_eq!(told(r#"{"message":"slow down","type":"rate_limit_error"}"#), Code::RateLimited);
        assert_eq!(told(r#"{"message":"x","code":429}"#), Code::RateLimited);
        assert_eq!(told(r#"{"message":"too long","type":"invalid_request_error"}"#), Code::Invalid);
        assert_eq!(told(r#""out of memory""#), Code::Upstream);
        assert_eq!(told(r#"{"message":"x","code":401}"#), Code::Upstream);
    }
}
