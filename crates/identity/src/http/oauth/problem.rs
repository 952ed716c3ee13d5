use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use plasma_http::{client_error, public_message};
use plasma_kernel::{Code, Error};
use serde::Serialize;

use super::keep_nowhere;

/// The reasons that OAuth has a name for; they are the same names.
const OF_OAUTH: [&str; 12] = [
    "invalid_request",
    "invalid_client",
    "invalid_grant",
    "invalid_scope",
    "unauthorized_client",
    "unsupported_grant_type",
    "authorization_pending",
    "slow_down",
    "access_denied",
    "expired_token",
    "insufficient_scope",
    "temporarily_unavailable",
];
const DESCRIPTION_CHARS_MAX: usize = 500;

/// What went wrong, as RFC 6749 says it (section 5.2).
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct OAuthErrorBody {
    /// A name of RFC 6749 or RFC 8628.
    #[schema(example = "invalid_grant")]
    error: String,
    /// For the application's makers, in ASCII.
    error_description: String,
}

/// A kernel error in the shape that OAuth's clients understand.
#[derive(Debug)]
pub(crate) struct OAuthProblem(pub(crate) Error);

impl From<Error> for OAuthProblem {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

impl IntoResponse for OAuthProblem {
    fn into_response(self) -> Response {
        let body = OAuthErrorBody { error: name(&self.0).to_owned(), error_description: description(&self.0) };
        let mut response = client_error(&self.0, serde_json::to_value(body).unwrap_or_default());
        let is_unauthorized = response.status() == StatusCode::UNAUTHORIZED;
        let headers = response.headers_mut();
        keep_nowhere(headers);
        if is_unauthorized {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"plasma\""));
        }
        response
    }
}

fn name(error: &Error) -> &'static str {
    if let Some(name) = OF_OAUTH.into_iter().find(|name| *name == error.reason()) {
        return name;
    }
    match error.code() {
        Code::Unauthenticated => "invalid_client",
        Code::Forbidden => "unauthorized_client",
        Code::RateLimited | Code::Unavailable | Code::Timeout => "temporarily_unavailable",
        Code::Internal | Code::Upstream => "server_error",
        _ => "invalid_request",
    }
}

/// Only the characters that RFC 6749 allows here.
fn description(error: &Error) -> String {
    let plain = |character: char| match character {
        '"' | '`' | '\\' => '\'',
        ' '..='~' => character,
        _ => '?',
    };
    public_message(error).chars().take(DESCRIPTION_CHARS_MAX).map(plain).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_have_oauths_names_and_plain_descriptions() {
        let error = Error::new(Code::Invalid, "invalid_grant", "the `code` is \"wrong\" \u{2026}\n");
        assert_eq!(name(&error), "invalid_grant");
        assert_eq!(description(&error), "the 'code' is 'wrong' ??");
        assert_eq!(name(&Error::invalid("body", "x")), "invalid_request");
        assert_eq!(name(&Error::internal("the database fell over")), "server_error");
        assert!(!description(&Error::internal("the database fell over")).contains("database"));
        assert_eq!(name(&Error::unavailable("database_unavailable", "x")), "temporarily_unavailable");
    }

    #[test]
    fn an_unknown_client_is_told_how_to_authenticate_and_nothing_is_kept() {
        let response = OAuthProblem(Error::new(Code::Unauthenticated, "invalid_client", "who?")).into_response();
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
        assert_eq!(response.headers()[header::CACHE_CONTROL], "no-store");
        assert!(response.headers().contains_key(header::WWW_AUTHENTICATE));
    }
}
