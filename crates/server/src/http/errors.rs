//! Pages that explain every error's reason: where a problem's `type` leads. The catalogue is made from the sources by
//! `cargo xtask gen`.

use std::sync::{LazyLock, OnceLock};

use axum::{
    http::{StatusCode, header},
    response::{IntoResponse as _, Response},
};
use plasma_http::Path;
use serde::Deserialize;

use crate::content_policy;

const CATALOGUE: &str = include_str!("../../../../openapi/errors.json");

/// A reason that an error may have.
#[derive(Debug, Deserialize)]
struct Reason {
    reason: String,
    /// The class, as in `not_found`; `method_not_allowed` has none of its own.
    code: String,
    status: u16,
    /// What is said, with `…` where a value stands.
    details: Vec<String>,
    /// What is advised.
    remedies: Vec<String>,
}

fn catalogue() -> &'static [Reason] {
    static REASONS: OnceLock<Vec<Reason>> = OnceLock::new();
    // A test reads it too, so a broken file does not get this far.
    REASONS.get_or_init(|| serde_json::from_str(CATALOGUE).unwrap_or_default())
}

/// What a class of failure means, and what to do about it.
const CODES: &[(&str, u16, &str, &str)] = &[
    (
        "invalid",
        400,
        "The request is wrong.",
        "Correct the field that the answer names; sending the same again will not help.",
    ),
    (
        "unauthenticated",
        401,
        "There are no valid credentials.",
        "Log in, or send an API key that is neither expired nor revoked.",
    ),
    (
        "over_budget",
        402,
        "A budget is used up.",
        "Wait for the next period, or ask an administrator to raise the budget.",
    ),
    (
        "forbidden",
        403,
        "The credentials do not allow it.",
        "Ask an administrator of your workspace for a role that has the permission.",
    ),
    (
        "not_found",
        404,
        "There is no such thing in your workspace.",
        "Check the id; it may have been deleted, or belong to another workspace.",
    ),
    (
        "conflict",
        409,
        "The present state does not allow it.",
        "Look at the thing again and decide anew; somebody may have changed it.",
    ),
    ("gone", 410, "It existed and was removed.", "Use another; it does not come back."),
    (
        "too_large",
        413,
        "It is over a limit of size, depth or number.",
        "Send less at once; the answer names the limit.",
    ),
    ("rate_limited", 429, "Too many requests.", "Come back after the time in the header Retry-After."),
    (
        "internal",
        500,
        "Something went wrong on the server's side.",
        "Tell whoever runs the server the request's id: the log has the details.",
    ),
    ("upstream", 502, "Another system that was called failed.", "Try again; if it lasts, look at that system."),
    (
        "unavailable",
        503,
        "Something that is needed is absent or not ready.",
        "Do what the answer's remedy says, or come back later.",
    ),
    ("timeout", 504, "It took longer than allowed.", "Try again, or ask for less at once."),
];

/// One reason.
pub(crate) async fn explain_error(Path(wanted): Path<String>) -> Response {
    if let Some(reason) = catalogue().iter().find(|reason| reason.reason == wanted) {
        return page(StatusCode::OK, &reason.reason, &explain(reason));
    }
    // The classes themselves are reasons too, of errors that need no finer name.
    if let Some((code, status, meaning, remedy)) = CODES.iter().find(|(code, ..)| *code == wanted) {
        let body = format!("<p class=code>{code}, HTTP {status}</p><p>{meaning}</p><h2>What to do</h2><p>{remedy}</p>");
        return page(StatusCode::OK, code, &body);
    }
    if wanted == "method_not_allowed" {
        let body = "<p class=code>invalid, HTTP 405</p><p>The path exists, but not with this method.</p>\
                    <h2>What to do</h2><p>Look up the path's methods in the <a href=\"/docs/\">API reference</a>.</p>";
        return page(StatusCode::OK, "method_not_allowed", body);
    }
    page(StatusCode::NOT_FOUND, "Unknown error", "<p>No error of this program has this name.</p>")
}

/// All of them.
pub(crate) async fn list_errors() -> Response {
    let mut body = String::new();
    for (code, status, meaning, _) in CODES {
        body.push_str(&format!("<h2>{code}, HTTP {status}</h2><p>{meaning}</p><ul>"));
        for reason in catalogue().iter().filter(|reason| reason.code == *code) {
            let name = escape(&reason.reason);
            body.push_str(&format!("<li><a href=\"/docs/errors/{name}\">{name}</a></li>"));
        }
        body.push_str("</ul>");
    }
    page(StatusCode::OK, "Errors", &body)
}

fn explain(reason: &Reason) -> String {
    let mut body = format!("<p class=code>{}, HTTP {}</p>", escape(&reason.code), reason.status);
    let class = CODES.iter().find(|(code, ..)| *code == reason.code);
    if let Some((_, _, meaning, _)) = class {
        body.push_str(&format!("<p>{meaning}</p>"));
    }
    if !reason.details.is_empty() {
        body.push_str("<h2>What is said</h2><ul>");
        body.extend(reason.details.iter().map(|detail| format!("<li>{}</li>", escape(detail))));
        body.push_str("</ul>");
    }
    body.push_str("<h2>What to do</h2>");
    if reason.remedies.is_empty() {
        body.push_str(&format!("<p>{}</p>", class.map_or("", |(.., remedy)| remedy)));
    } else {
        body.push_str("<ul>");
        body.extend(reason.remedies.iter().map(|remedy| format!("<li>{}</li>", escape(remedy))));
        body.push_str("</ul>");
    }
    body
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// The pages' only style. The policy names its hash, so it is one text.
const STYLE: &str = ":root{color-scheme:light dark}body{font:1rem/1.6 system-ui,sans-serif;max-width:42rem;margin:3rem auto;\
                     padding:0 1rem}.code{opacity:.7}h1,h2{line-height:1.2}h2{font-size:1.1rem;margin-top:2rem}";

fn page(status: StatusCode, title: &str, body: &str) -> Response {
    static POLICY: LazyLock<String> = LazyLock::new(|| {
        let style = content_policy::hash_of(STYLE);
        format!("default-src 'none'; style-src {style}; frame-ancestors 'none'; base-uri 'none'; form-action 'none'")
    });
    let html = format!(
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content=\"width=device-width\">\
         <title>{title} - Plasma Engine</title><style>{STYLE}</style>\
         <nav><a href=\"/\">Dashboard</a> · <a href=\"/docs/\">API reference</a> · <a href=\"/docs/errors\">All errors</a></nav>\
         <main><h1>{title}</h1>{body}</main></html>",
        title = escape(title)
    );
    (
        status,
        [
            (header::CONTENT_TYPE, "text/html; charset=utf-8"),
            (header::CACHE_CONTROL, "no-cache"),
            (header::CONTENT_SECURITY_POLICY, POLICY.as_str()),
        ],
        html,
    )
        .into_response()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_catalogue_can_be_read_and_knows_every_class() {
        let reasons: Vec<Reason> = serde_json::from_str(CATALOGUE).unwrap();
        assert!(reasons.len() > 20);
        for reason in &reasons {
            assert!(CODES.iter().any(|(code, ..)| *code == reason.code), "{reason:?}");
        }
    }

    #[test]
    fn the_pages_policy_allows_their_style_and_nothing_else() {
        let response = page(StatusCode::OK, "Title", "<p>Body</p>");
        let policy = response.headers()[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert!(policy.contains(&format!("style-src {};", content_policy::hash_of(STYLE))), "{policy}");
        assert!(!policy.contains("unsafe-") && !policy.contains("script-src"), "{policy}");
    }

    #[test]
    fn what_sources_say_cannot_become_markup() {
        let reason = Reason {
            reason: "x".to_owned(),
            code: "invalid".to_owned(),
            status: 400,
            details: vec!["<script>".to_owned()],
            remedies: Vec::new(),
        };
        assert!(explain(&reason).contains("&lt;script&gt;"));
    }
}
