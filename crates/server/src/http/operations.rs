use std::{
    net::{IpAddr, SocketAddr},
    sync::OnceLock,
    time::{Duration, Instant},
};

use axum::{
    extract::{ConnectInfo, State},
    http::{Extensions, HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use plasma_http::{Json, Problem, ProblemBody};
use plasma_kernel::{Ctx, Error, Permission};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::{dashboard::matches_etag, metrics, openapi, system::System};

/// How long the database may take to show that it lives.
const PING_TIMEOUT: Duration = Duration::from_secs(2);

/// The program lives.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Health {
    /// Always `ok`: a program that is not does not answer.
    #[schema(example = "ok")]
    status: &'static str,
}

/// Whether the program lives
///
/// Answers as long as the process can answer at all; restart it when this fails.
#[utoipa::path(
    get, path = "/healthz", tag = "operations", extensions(("x-permission" = json!("none"))),
    responses(
        (status = 200, body = Health, description = "It lives"),
        (status = "default", body = ProblemBody, content_type = "application/problem+json", description = "What went wrong"),
    )
)]
pub(crate) async fn get_health() -> Json<Health> {
    Json(Health { status: "ok" })
}

/// Whether the program can do its work.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Readiness {
    /// `ready`, or `not_ready` when a check failed.
    #[schema(example = "ready")]
    status: &'static str,
    /// What was looked at.
    checks: Vec<Check>,
}

/// One thing that the work needs.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Check {
    /// What was looked at.
    #[schema(example = "database")]
    name: &'static str,
    /// Whether it is as it should be.
    ok: bool,
    /// What was found, and what to do when it is not ok.
    detail: String,
}

/// Whether the program can do its work
///
/// 200 when requests may be sent here, 503 when the database does not answer or the program is stopping. A search index that
/// is being built and models without weights are told, but do not keep the rest from working.
#[utoipa::path(
    get, path = "/readyz", tag = "operations", extensions(("x-permission" = json!("none"))),
    responses(
        (status = 200, body = Readiness, description = "It can"),
        (status = 503, body = Readiness, description = "It cannot now"),
        (status = "default", body = ProblemBody, content_type = "application/problem+json", description = "What went wrong"),
    )
)]
pub(crate) async fn get_readiness(State(system): State<System>) -> Response {
    let begun = Instant::now();
    let database = match tokio::time::timeout(PING_TIMEOUT, system.store().ping()).await {
        Ok(Ok(())) => Check {
            name: "database",
            ok: true,
            detail: format!(
                "{} answered in {:.1} ms",
                system.store().dialect().as_str(),
                begun.elapsed().as_secs_f64() * 1e3
            ),
        },
        Ok(Err(error)) => Check { name: "database", ok: false, detail: error.to_string() },
        Err(_) => {
            Check { name: "database", ok: false, detail: "no answer within 2 s; check the database server".to_owned() }
        }
    };
    let stopping = system.is_stopping();
    let running = Check {
        name: "running",
        ok: !stopping,
        detail: if stopping { "the program is stopping" } else { "the program takes requests" }.to_owned(),
    };
    let ready = database.ok && running.ok;
    let index = system.parts().knowledge.index_status();
    let index = Check { name: "search_index", ok: index.ready, detail: index.detail };
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let checks = vec![database, running, index, models(&system)];
    let body = Readiness { status: if ready { "ready" } else { "not_ready" }, checks };
    (status, Json(body)).into_response()
}

fn models(system: &System) -> Check {
    let parts = system.parts();
    let missing = parts.manifest.models.iter().find_map(|model| model.require_files(&parts.models_dir).err());
    match missing {
        None => Check { name: "local_models", ok: true, detail: "all weights are here".to_owned() },
        Some(error) => Check { name: "local_models", ok: false, detail: error.to_string() },
    }
}

/// Metrics
///
/// For Prometheus. Free from this machine itself; from elsewhere an API key with `installation:read` is needed.
#[utoipa::path(
    get, path = "/metrics", tag = "operations", extensions(("x-permission" = json!("none"))),
    security((), ("bearer" = [])),
    responses(
        (status = 200, body = String, content_type = "text/plain", description = "In Prometheus's text format"),
        (status = "default", body = ProblemBody, content_type = "application/problem+json", description = "What went wrong"),
    )
)]
pub(crate) async fn get_metrics(
    State(system): State<System>,
    headers: HeaderMap,
    extensions: Extensions,
) -> Result<Response, Problem> {
    let from_here =
        extensions.get::<ConnectInfo<SocketAddr>>().is_some_and(|ConnectInfo(peer)| peer.ip().is_loopback());
    // Behind a proxy on this machine everybody seems to be here.
    let forwarded = ["forwarded", "x-forwarded-for", "x-real-ip", "via"].iter().any(|name| headers.contains_key(*name));
    if !from_here || forwarded || !names_this_machine(&headers) {
        let ctx = extensions.get::<Ctx>().ok_or_else(|| {
            Error::unauthenticated("metrics are open only to this machine itself")
                .remedy("send an API key of an operator with the permission installation:read")
        })?;
        ctx.require(Permission::InstallationRead)?;
    }
    let text = metrics::render(&system).await;
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response())
}

/// Whether a request is for an address, for `localhost`, or for a machine of the own network. A public name is refused: somebody may point
/// it to this machine and read, by a page of that name, what the browser of somebody here gets.
fn names_this_machine(headers: &HeaderMap) -> bool {
    let Some(host) = headers.get(header::HOST).and_then(|host| host.to_str().ok()) else { return true };
    let is_port = |port: &str| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    let name = match host.rsplit_once(':') {
        Some((name, port)) if is_port(port) => name,
        _ => host,
    };
    let address = name.trim_start_matches('[').trim_end_matches(']');
    address.parse::<IpAddr>().is_ok() || name.eq_ignore_ascii_case("localhost") || !name.contains('.')
}

/// This specification
#[utoipa::path(
    get, path = "/openapi.json", tag = "operations", extensions(("x-permission" = json!("none"))),
    responses(
        (status = 200, body = Object, description = "OpenAPI 3.1"),
        (status = "default", body = ProblemBody, content_type = "application/problem+json", description = "What went wrong"),
    )
)]
pub(crate) async fn get_specification(headers: HeaderMap) -> Response {
    static ETAG: OnceLock<HeaderValue> = OnceLock::new();
    let etag = ETAG.get_or_init(|| {
        let digest = Sha256::digest(openapi::pretty().as_bytes());
        let short: String = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        HeaderValue::try_from(format!("\"{short}\"")).unwrap_or(HeaderValue::from_static("\"\""))
    });
    let caching = [(header::ETAG, etag.clone()), (header::CACHE_CONTROL, HeaderValue::from_static("no-cache"))];
    if matches_etag(&headers, etag) {
        return (StatusCode::NOT_MODIFIED, caching).into_response();
    }
    (caching, [(header::CONTENT_TYPE, "application/json")], openapi::pretty()).into_response()
}
