//! The dashboard: the exported files of `apps/web`, embedded into the program.

use std::{
    borrow::Cow,
    collections::HashMap,
    sync::{Arc, OnceLock},
};

use axum::{
    body::Body,
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header},
    response::{IntoResponse as _, Response},
};
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use bytes::Bytes;
use plasma_http::Problem;
use plasma_kernel::Error;
use rust_embed::{EmbeddedFile, RustEmbed};

use crate::{content_policy, edge::is_model_protocol};

#[derive(RustEmbed)]
#[folder = "../../apps/web/out"]
struct Exported;

/// All files, ready to be sent.
#[derive(Clone)]
pub struct Dashboard {
    files: Arc<HashMap<String, File>>,
}

struct File {
    bytes: Bytes,
    headers: HeaderMap,
    is_page: bool,
    /// A page's policy, made when it is first asked for: the pages of a file that nobody reads take no memory.
    policy: OnceLock<String>,
}

impl Dashboard {
    /// Works out the headers of the embedded files once.
    pub fn new() -> Self {
        let files = Exported::iter()
            .filter_map(|path| Some((path.to_string(), File::new(&path, Exported::get(&path)?))))
            .collect();
        Self { files: Arc::new(files) }
    }

    /// `/content/` is the file `content/index.html`; `/content` too, for the address bar forgives a missing slash.
    fn find(&self, path: &str) -> Option<&File> {
        let path = path.trim_start_matches('/');
        let folder = path.trim_end_matches('/');
        if folder.is_empty() {
            return self.files.get("index.html");
        }
        if path == folder
            && let Some(file) = self.files.get(path)
        {
            return Some(file);
        }
        self.files.get(&format!("{folder}/index.html"))
    }
}

impl File {
    fn new(path: &str, embedded: EmbeddedFile) -> Self {
        let bytes = match embedded.data {
            Cow::Borrowed(bytes) => Bytes::from_static(bytes),
            Cow::Owned(bytes) => Bytes::from(bytes),
        };
        let mime = mime_guess::from_path(path).first_or_octet_stream();
        let mut content_type = mime.to_string();
        if mime.type_() == mime_guess::mime::TEXT || matches!(mime.subtype().as_str(), "javascript" | "json") {
            content_type.push_str("; charset=utf-8");
        }
        let mut headers = HeaderMap::new();
        let mut set = |name: HeaderName, value: String| {
            if let Ok(value) = HeaderValue::try_from(value) {
                headers.insert(name, value);
            }
        };
        set(header::CONTENT_TYPE, content_type);
        set(header::ETAG, format!("\"{}\"", BASE64.encode(embedded.metadata.sha256_hash())));
        // Next puts a hash of the content into the names under this folder.
        let forever = path.starts_with("_next/static/");
        set(header::CACHE_CONTROL, if forever { "public, max-age=31536000, immutable" } else { "no-cache" }.to_owned());
        Self { bytes, headers, is_page: mime == mime_guess::mime::TEXT_HTML, policy: OnceLock::new() }
    }

    fn answer(&self, status: StatusCode, request: &HeaderMap, uri: &Uri, head: bool) -> Response {
        let etag = self.headers.get(header::ETAG);
        let known = etag.is_some_and(|etag| matches_etag(request, etag));
        let mut response = if known && status == StatusCode::OK {
            StatusCode::NOT_MODIFIED.into_response()
        } else {
            (status, if head { Body::empty() } else { Body::from(self.bytes.clone()) }).into_response()
        };
        response.headers_mut().extend(self.headers.clone());
        if self.is_page {
            let policy = self.policy.get_or_init(|| content_policy::of_page(&String::from_utf8_lossy(&self.bytes)));
            let policy = format!("{policy}; {}", content_policy::connect_src(request, uri));
            if let Ok(policy) = HeaderValue::try_from(policy) {
                response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
            }
        }
        response
    }
}

/// Whether the browser's copy is the same as ours.
pub(crate) fn matches_etag(request: &HeaderMap, etag: &HeaderValue) -> bool {
    let (Some(known), Ok(etag)) = (request.get(header::IF_NONE_MATCH), etag.to_str()) else { return false };
    // A compressing proxy marks its copy as weak.
    known
        .to_str()
        .is_ok_and(|known| known.split(',').any(|one| one.trim().trim_start_matches("W/") == etag || one.trim() == "*"))
}

/// The file for the path, or the dashboard's own page that says that there is none.
pub async fn serve(State(dashboard): State<Dashboard>, method: Method, uri: Uri, headers: HeaderMap) -> Response {
    let path = uri.path();
    let is_api = path.starts_with("/api/") || is_model_protocol(path) || matches!(path, "/api" | "/v1");
    if is_api {
        return crate::edge::refusal(no_such_route(path), path);
    }
    let head = method == Method::HEAD;
    if !head && method != Method::GET {
        return crate::edge::method_not_allowed(path);
    }
    if let Some(file) = dashboard.find(path) {
        return file.answer(StatusCode::OK, &headers, &uri, head);
    }
    if dashboard.files.is_empty() {
        return Problem(
            Error::unavailable("dashboard_missing", "the dashboard was not built into this program")
                .remedy("run `make web` and build again; the API works without it"),
        )
        .into_response();
    }
    match dashboard.files.get("404.html") {
        Some(page) => page.answer(StatusCode::NOT_FOUND, &headers, &uri, head),
        None => Problem(no_such_route(path)).into_response(),
    }
}

fn no_such_route(path: &str) -> Error {
    let shown: String = path.chars().take(200).collect();
    Error::not_found("route_not_found", format!("there is no route {shown}")).remedy("/openapi.json lists every route")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The policy forbids what it says only if no page needs it: an element with a style attribute in the markup would stay
    /// unstyled, and nobody would notice here.
    #[test]
    fn no_page_of_the_export_has_styles_in_its_markup() {
        for (path, file) in Dashboard::new().files.iter().filter(|(_, file)| file.is_page) {
            let html = String::from_utf8_lossy(&file.bytes);
            let markup =
                html.split("<script").map(|part| part.split_once("</script>").map_or(part, |(_, after)| after));
            for part in markup {
                assert!(!part.contains(" style=\""), "{path} has a style attribute");
                assert!(
                    !part.contains(" onclick=") && !part.contains("javascript:"),
                    "{path} has a script in its markup"
                );
            }
            assert!(!content_policy::of_page(&html).contains("unsafe-"), "{path}");
        }
    }
}
