//! What every request brings: headers with tokens and cookies, JSON, query strings.

use axum::{
    body::Body,
    extract::{FromRequest as _, FromRequestParts as _, Request},
    http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, header},
};
use plasma_http::{Json, PageQuery, Query};
use plasma_identity::{Identity, http};

use crate::Target;

pub const TARGETS: &[Target] = &[("headers", headers), ("json_body", json), ("query", query)];

/// Runs a future of an extractor to its end.
pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    thread_local! {
        static RUNTIME: tokio::runtime::Runtime =
            tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    }
    RUNTIME.with(|runtime| runtime.block_on(future))
}

/// Lines `name: value`, as many as a request may have.
fn header_lines(bytes: &[u8]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in bytes.split(|byte| *byte == b'\n').take(100) {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
        let (name, value) = line.split_at(colon);
        let value = value.get(1..).unwrap_or_default().trim_ascii();
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name), HeaderValue::from_bytes(value)) {
            headers.append(name, value);
        }
    }
    headers
}

fn headers(bytes: &[u8]) {
    let headers = header_lines(bytes);
    let token = Identity::token_from_headers(&headers);
    // What the browser sends by itself comes from a cookie only.
    if let Some((_, true)) = token {
        assert!(headers.contains_key(header::COOKIE));
    }
    http::fuzzing::visitor(&headers);
    let own = http::same_origin(&headers);
    assert!(http::csrf_ok(&Method::GET, &headers) && http::csrf_ok(&Method::POST, &headers) == own);
    if headers.get("sec-fetch-site").is_some_and(|site| site == "cross-site") {
        assert!(!own);
    }
}

fn json(bytes: &[u8]) {
    let request = Request::builder().header(header::CONTENT_TYPE, "application/json").body(Body::from(bytes.to_vec()));
    let Ok(request) = request else { return };
    if let Ok(Json(value)) = block_on(Json::<serde_json::Value>::from_request(request, &())) {
        // What was read can be written and read again.
        let text = serde_json::to_vec(&value).unwrap_or_default();
        assert!(serde_json::from_slice::<serde_json::Value>(&text).is_ok());
    }
}

fn query(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let Ok(uri) = format!("/list?{text}").parse::<Uri>() else { return };
    let Ok(request) = Request::builder().uri(uri).body(()) else { return };
    let (mut parts, ()) = request.into_parts();
    if let Ok(Query(page)) = block_on(Query::<PageQuery>::from_request_parts(&mut parts, &())) {
        let _ = page.into_request();
    }
}
