//! The specification of the whole API, put together from the routes of every domain.

use std::sync::OnceLock;

use utoipa::openapi::{
    Components, Info, License, OpenApi, PathItem,
    path::Operation,
    security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme},
    tag::{Tag, TagBuilder},
};

/// What each group of routes is for, in the order in which people read them.
const TAGS: &[(&str, &str)] = &[
    ("collections", "What is searched together."),
    ("documents", "What you know: bring files and texts into a collection, and watch them become searchable."),
    ("search", "Find passages by meaning and by words, and ask questions that are answered from them, with citations."),
    ("content", "Documents that people and models write: drafts with citations, revisions, differences."),
    ("models", "Models, the providers that offer them, every call with its tokens, time and cost."),
    ("prompts", "Messages for models under a name, in numbered versions with variables."),
    ("openai", "The same models by OpenAI's protocol: existing clients work by changing the base URL."),
    ("anthropic", "The same models by Anthropic's Messages protocol."),
    ("gemini", "The same models by Gemini's protocol."),
    ("identity", "Workspaces, users, teams, sessions and API keys."),
    (
        "audit",
        "Who did what, when and from where: a log that can be proven whole, its checkpoints, proofs, anchors and exports.",
    ),
    ("encryption", "The keys that seal secrets, and their rotation."),
    (
        "oauth",
        "Applications that act for people who allowed it, or for themselves: OAuth 2.1 and OpenID Connect. The endpoints under /oauth \
         take forms.",
    ),
    ("compliance", "Which security controls are met, and what shows it."),
    ("jobs", "Background work: what waits, runs, is done and has failed."),
    ("events", "Everything that happens, as a log to read and as a live stream."),
    ("operations", "For whoever runs the server: health, metrics, this specification."),
];

const NO_SCOPES: [&str; 0] = [];

/// Schemas that are called as their Rust type is, and the names that they have here.
const RENAMED: &[(&str, &str)] = &[("i64", "Timestamp"), ("BTreeMap", "Metadata")];

const DESCRIPTION: &str = "\
Plasma Engine's API. Send `Authorization: Bearer` with an API key (`plk_…`, made in the dashboard under Settings) or a \
session's token; the dashboard's cookie works too.

Errors are `application/problem+json` (RFC 9457) with a stable `code` and `reason`, the `field` at fault and a `remedy`; \
under `/v1` they have OpenAI's shape. Unknown fields in a request are errors. Lists take `limit` (1 to 200) and `cursor`, \
and answer `data`, `has_more` and `next_cursor`. Times are microseconds since 1970 UTC. Every answer names its request in \
`x-request-id`. A busy server answers 503 or 429 with `Retry-After`. Answers to a workspace say in `RateLimit-Policy` and `RateLimit` \
(draft-ietf-httpapi-ratelimit-headers) how many requests it may make, and how many are left; one too many is answered with 429 \
(`tenant_rate_limited`).";

/// The specification. `x-permission` of an operation names the permission that it needs, or `authenticated`, or `none`.
pub fn document() -> OpenApi {
    let mut info = Info::new("Plasma Engine", env!("CARGO_PKG_VERSION"));
    info.description = Some(DESCRIPTION.to_owned());
    let mut license = License::new("Apache License 2.0");
    license.identifier = Some("Apache-2.0".to_owned());
    info.license = Some(license);
    let mut document = OpenApi::new(info, utoipa::openapi::Paths::new());
    for part in [
        plasma_identity::http::routes().into_openapi(),
        plasma_models::http::routes().into_openapi(),
        plasma_knowledge::http::routes().into_openapi(),
        plasma_content::http::routes().into_openapi(),
        plasma_governance::http::routes().into_openapi(),
        plasma_workflows::routes().into_openapi(),
        crate::http::routes().into_openapi(),
    ] {
        document.merge(part);
    }
    for item in document.paths.paths.values_mut() {
        for operation in operations_mut(item) {
            for tag in operation.tags.iter_mut().flatten() {
                tag.make_ascii_lowercase();
            }
            // The dashboard's cookie works wherever a bearer token does.
            let bearer = SecurityRequirement::new("bearer", NO_SCOPES);
            if operation.security.as_ref().is_some_and(|ways| ways.contains(&bearer)) {
                operation.security = Some(vec![bearer, SecurityRequirement::new("cookie", NO_SCOPES)]);
            }
        }
    }
    let components = document.components.get_or_insert_with(Components::new);
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("plk_…, pls_… or pla_…").build();
    components.add_security_scheme("bearer", SecurityScheme::Http(bearer));
    let cookie = ApiKey::Cookie(ApiKeyValue::new(plasma_identity::http::SESSION_COOKIE));
    components.add_security_scheme("cookie", SecurityScheme::ApiKey(cookie));
    document.tags = Some(TAGS.iter().map(|(name, description)| tag(name, description)).collect());
    document
}

fn operations_mut(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [&mut item.get, &mut item.put, &mut item.post, &mut item.delete, &mut item.patch].into_iter().flatten()
}

fn tag(name: &str, description: &str) -> Tag {
    TagBuilder::new().name(name).description(Some(description)).build()
}

/// Extensions of operations in the order of their names: the types' own maps of them come in any order.
fn sort_extensions(document: &mut serde_json::Value) {
    let paths = document.get_mut("paths").and_then(serde_json::Value::as_object_mut);
    let items = paths.into_iter().flat_map(|paths| paths.values_mut()).filter_map(serde_json::Value::as_object_mut);
    for operation in items.flat_map(|item| item.values_mut()).filter_map(serde_json::Value::as_object_mut) {
        let mut names: Vec<String> = operation.keys().filter(|name| name.starts_with("x-")).cloned().collect();
        names.sort();
        for name in names {
            if let Some(extension) = operation.shift_remove(&name) {
                operation.insert(name, extension);
            }
        }
    }
}

/// The specification as it is served and committed: keys in a stable order, indented.
pub fn pretty() -> &'static str {
    static TEXT: OnceLock<String> = OnceLock::new();
    TEXT.get_or_init(|| {
        let mut value = serde_json::to_value(document()).unwrap_or_default();
        sort_extensions(&mut value);
        let mut text = serde_json::to_string_pretty(&value).unwrap_or_default();
        for (name, better) in RENAMED {
            let reference = |name: &str| format!("\"#/components/schemas/{name}\"");
            text = text
                .replace(&reference(name), &reference(better))
                .replace(&format!("\n      \"{name}\": {{"), &format!("\n      \"{better}\": {{"));
        }
        text.push('\n');
        text
    })
}
