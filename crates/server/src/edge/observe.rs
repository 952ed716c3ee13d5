//! What is counted, logged and traced of every request.

use std::{
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use axum::{
    extract::Request,
    http::{HeaderMap, Method, StatusCode},
    response::Response,
};
use metrics::{Counter, Gauge, Histogram};
use opentelemetry::propagation::{Extractor, TextMapPropagator as _};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use plasma_http::{ErrorReason, ProblemBody};
use plasma_kernel::TenantId;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use super::Arrival;

/// The meters of one operation; one pair for each status that it has answered with.
pub(super) struct Meters {
    template: Arc<str>,
    method: Method,
    by_status: RwLock<Vec<(StatusCode, Counter, Histogram)>>,
}

impl Meters {
    pub(super) fn new(template: Arc<str>, method: Method) -> Self {
        Self { template, method, by_status: RwLock::default() }
    }

    fn record(&self, status: StatusCode, took: Duration) {
        let known = self.by_status.read().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, requests, duration)) = known.iter().find(|(known, ..)| *known == status) {
            requests.increment(1);
            duration.record(took);
            return;
        }
        drop(known);
        let labels = [
            ("route", self.template.to_string()),
            ("method", self.method.to_string()),
            ("status", status.as_str().to_owned()),
        ];
        let requests = metrics::counter!("plasma_http_requests_total", &labels);
        let duration = metrics::histogram!("plasma_http_request_duration_seconds", &labels);
        requests.increment(1);
        duration.record(took);
        self.by_status.write().unwrap_or_else(PoisonError::into_inner).push((status, requests, duration));
    }
}

/// Counts a request for as long as it is worked on, however that ends.
pub(super) struct InFlight(Gauge);

impl InFlight {
    pub(super) fn begin() -> Self {
        let gauge = metrics::gauge!("plasma_http_requests_in_flight");
        gauge.increment(1);
        Self(gauge)
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.decrement(1);
    }
}

struct Headers<'a>(&'a HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(|name| name.as_str()).collect()
    }
}

/// The span in which the request is worked on: every log line of its work names the request. Path parameters are ids; the
/// query is left out, it may hold what people search for.
pub(super) fn span(arrival: &Arrival, request: &Request) -> Span {
    let span = tracing::info_span!(
        "request",
        otel.name = tracing::field::Empty,
        otel.kind = tracing::field::Empty,
        request_id = %arrival.id,
        method = %request.method(),
        path = arrival.path,
        http.response.status_code = tracing::field::Empty,
    );
    // For the collector only; log lines have their own.
    if arrival.traced {
        span.record("otel.kind", "server");
        span.record("otel.name", format!("{} {}", request.method(), arrival.operation.template));
        let parent = TraceContextPropagator::new().extract(&Headers(request.headers()));
        // Without a valid `traceparent` the context is empty, and the trace begins here.
        let _ = span.set_parent(parent);
    }
    span
}

/// One line in the access log and one sample in the metrics. Health checks and the dashboard's files are logged only when
/// details are asked for.
pub(super) fn answered(span: &Span, arrival: &Arrival, tenant: Option<TenantId>, response: &Response) {
    let took = arrival.started.elapsed();
    let status = response.status();
    arrival.operation.meters.record(status, took);
    if arrival.traced {
        span.record("http.response.status_code", status.as_u16());
    }
    let route = &*arrival.operation.template;
    let duration_ms = (took.as_secs_f64() * 100_000.0).round() / 100.0;
    let tenant = tenant.map(tracing::field::display);
    let peer = arrival.origin.address.map(tracing::field::display);
    let extensions = response.extensions();
    let reason = extensions.get::<ProblemBody>().map(|problem| problem.reason.as_str());
    let reason = reason.or(extensions.get::<ErrorReason>().map(|reason| reason.0));
    let quiet = arrival.operation.is_quiet() && !status.is_server_error();
    span.in_scope(|| {
        if quiet {
            tracing::debug!(target: "plasma::access", route, status = status.as_u16(), duration_ms, tenant, peer, reason, "answered");
        } else {
            tracing::info!(target: "plasma::access", route, status = status.as_u16(), duration_ms, tenant, peer, reason, "answered");
        }
    });
}
