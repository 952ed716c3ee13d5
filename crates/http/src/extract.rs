use axum::{
    body::Bytes,
    extract::{FromRequest, FromRequestParts, Request, rejection::BytesRejection},
    http::{StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use plasma_kernel::{Ctx, Error, PageRequest, Result};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::Problem;

/// Who calls. The server's authentication has put the context into the request; without one this is a 401.
#[derive(Debug, Clone)]
pub struct Caller(pub Ctx);

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        parts.extensions.get::<Ctx>().cloned().map(Self).ok_or_else(|| {
            Problem(
                Error::unauthenticated("this needs a login or an API key")
                    .remedy("send `Authorization: Bearer plk_…`, or log in at /login"),
            )
        })
    }
}

/// JSON in and out. Input that is not JSON, has a wrong type or an unknown field is refused with the path of the place.
///
/// serde_json stops at 128 levels of nesting; the server bounds the size.
#[derive(Debug, Clone)]
pub struct Json<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        require_json(&request)?;
        let bytes = Bytes::from_request(request, state).await.map_err(body_error)?;
        parse_json(&bytes).map(Self).map_err(Problem)
    }
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        axum::Json(self.0).into_response()
    }
}

fn require_json(request: &Request) -> Result<(), Problem> {
    let content_type = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    let media_type = content_type.split(';').next().unwrap_or("").trim().to_ascii_lowercase();
    if media_type == "application/json" || media_type.ends_with("+json") {
        return Ok(());
    }
    Err(Problem(
        Error::invalid("content-type", format!("expected `application/json`, got `{}`", excerpt(content_type)))
            .remedy("send the header `Content-Type: application/json`"),
    ))
}

fn body_error(rejection: BytesRejection) -> Problem {
    if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
        return Problem(Error::too_large("body", "the request body is larger than this route accepts"));
    }
    Problem(Error::invalid("body", "the request body could not be read to its end"))
}

/// Parses a JSON body and names the place of the first mistake.
fn parse_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    if let Err(error) = std::str::from_utf8(bytes) {
        return Err(Error::invalid("body", format!("the body is not UTF-8: byte {} is wrong", error.valid_up_to())));
    }
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let path = error.path().to_string();
        let message = without_text(error.inner().to_string());
        let field = match unknown_field(&message) {
            Some(name) if path == "." => name.to_owned(),
            Some(name) if !path.ends_with(name) => format!("{path}.{name}"),
            // What breaks off or is no JSON at all is nobody's field.
            _ if path == "." || !error.inner().is_data() => "body".to_owned(),
            _ => path,
        };
        Error::invalid(field, excerpt(&message))
    })?;
    deserializer.end().map_err(|error| Error::invalid("body", excerpt(&error.to_string())))?;
    Ok(value)
}

/// serde repeats a text that stands where none is expected. It may be a password in the wrong place, and the message goes into the log.
fn without_text(message: String) -> String {
    for kind in ["invalid type: string", "invalid value: string"] {
        if let Some(rest) = message.strip_prefix(kind)
            && let Some((_, expected)) = rest.rsplit_once("\", expected ")
        {
            return format!("{kind}, expected {expected}");
        }
    }
    message
}

/// serde says "unknown field `x`, expected …"; the name belongs into the answer's `field`.
fn unknown_field(message: &str) -> Option<&str> {
    message.strip_prefix("unknown field `")?.split('`').next()
}

/// Keeps what we quote of hostile input short.
fn excerpt(text: &str) -> String {
    const CHARS_MAX: usize = 400;
    match text.char_indices().nth(CHARS_MAX) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// The query string as a type. Unknown parameters are refused when the type says `deny_unknown_fields`.
#[derive(Debug, Clone)]
pub struct Query<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        let query = parts.uri.query().unwrap_or("");
        serde_urlencoded::from_str(query).map(Self).map_err(|error| {
            let message = error.to_string();
            let field = unknown_field(&message).unwrap_or("query").to_owned();
            Problem(Error::invalid(field, excerpt(&message)))
        })
    }
}

/// The parameters in the path as a type, usually an id. An id of the wrong shape names nothing, so that is "not found".
#[derive(Debug, Clone)]
pub struct Path<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match axum::extract::Path::<T>::from_request_parts(parts, state).await {
            Ok(axum::extract::Path(value)) => Ok(Self(value)),
            Err(rejection) => Err(Problem(Error::not_found(
                "path_not_found",
                format!("no such thing: {}", excerpt(&rejection.body_text())),
            ))),
        }
    }
}

/// `?limit=&cursor=` of every list. Flatten is not supported by query strings, so lists with filters repeat the two fields.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PageQuery {
    /// Rows on the page: 1 to 200, 50 when absent.
    #[param(minimum = 1, maximum = 200)]
    pub limit: Option<u32>,
    /// `next_cursor` of the page before.
    pub cursor: Option<String>,
}

impl PageQuery {
    /// Checks the limit.
    ///
    /// # Errors
    /// `invalid` when the limit is not 1 to 200 or the cursor is longer than any that we give.
    pub fn into_request(self) -> Result<PageRequest> {
        Self::request(self.limit, self.cursor)
    }

    /// The same for lists that have further parameters.
    ///
    /// # Errors
    /// `invalid` when the limit is not 1 to 200 or the cursor is longer than any that we give.
    pub fn request(limit: Option<u32>, cursor: Option<String>) -> Result<PageRequest> {
        let limit = limit.unwrap_or(PageRequest::LIMIT_DEFAULT);
        if !(1..=PageRequest::LIMIT_MAX).contains(&limit) {
            return Err(Error::invalid("limit", format!("must be 1 to {}, got {limit}", PageRequest::LIMIT_MAX)));
        }
        if cursor.as_ref().is_some_and(|cursor| cursor.len() > 200) {
            return Err(Error::invalid("cursor", "is not a cursor of this list"));
        }
        Ok(PageRequest { limit, cursor })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code)]
    struct Body {
        name: String,
        inner: Option<Inner>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code)]
    struct Inner {
        count: u32,
    }

    #[track_caller]
    fn field_of(json: &str) -> String {
        parse_json::<Body>(json.as_bytes()).unwrap_err().field_name().unwrap().to_owned()
    }

    #[test]
    fn the_place_of_a_mistake_is_named() {
        assert_eq!(field_of(r#"{"name":"a","colour":"red"}"#), "colour");
        assert_eq!(field_of(r#"{"name":"a","inner":{"count":1,"x":2}}"#), "inner.x");
        assert_eq!(field_of(r#"{"name":"a","inner":{"count":"one"}}"#), "inner.count");
        assert_eq!(field_of(r#"{"name":"a"} trailing"#), "body");
        assert_eq!(field_of("nonsense"), "body");
        assert_eq!(field_of(r#"{"name":"a","inner":{"count""#), "body");
        assert_eq!(field_of(r#"{"name":"#), "body");
    }

    #[test]
    fn a_text_in_the_wrong_place_is_not_repeated() {
        for wrong in [
            r#""hunter2""#,
            r#"{"name":"a","inner":"hunter2\", expected nothing"}"#,
            r#"{"name":"a","inner":{"count":"hunter2"}}"#,
        ] {
            let error = parse_json::<Body>(wrong.as_bytes()).unwrap_err();
            assert!(error.message().starts_with("invalid type: string, expected "), "{error}");
            assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
        }
    }

    #[test]
    fn deep_nesting_is_refused_without_a_stack_overflow() {
        let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
        assert!(parse_json::<serde_json::Value>(deep.as_bytes()).unwrap_err().message().contains("recursion limit"));
    }
}
