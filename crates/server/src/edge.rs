//! What happens to every request, in one place and in this order: a request id, room for it, who calls and whether they
//! may, how large its body and how long its work may be, the handler, and an answer that names the request.

mod access;
mod answer;
mod audit;
mod body;
mod caller;
#[cfg(fuzzing)]
pub(crate) mod fuzzing;
mod observe;
mod origin;
mod rate;
mod target;

use std::{
    convert::Infallible,
    future::Future,
    net::SocketAddr,
    panic::AssertUnwindSafe,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use axum::{
    extract::{ConnectInfo, DefaultBodyLimit, MatchedPath, Request},
    response::Response,
};
use futures::FutureExt as _;
use ipnet::IpNet;
use plasma_governance::Governance;
use plasma_identity::Identity;
use plasma_kernel::{Clock, Code, Ctx, Error, Origin, Random, RequestId, Result};
use tokio::sync::Semaphore;
use tower::{Layer, Service};
use tracing::Instrument as _;

use crate::config::Config;

use access::{Operation, Operations, Work};
use rate::{Rates, Standing};

pub use access::Access;
pub(crate) use access::is_model_protocol;
pub(crate) use answer::{method_not_allowed, refusal};
pub(crate) use caller::{Token, check_websocket_origin};

/// A batch's file in its form.
const BATCH_FILE_BODY_BYTES_MAX: usize = 201_000_000;

/// What the edge needs for every request.
pub struct Edge {
    identity: Identity,
    governance: Governance,
    /// Proxies whose word on a client's address counts.
    trusted_proxies: Vec<IpNet>,
    operations: Operations,
    limits: Limits,
    rates: Rates,
    /// Requests of a workspace a minute, where its plan says nothing else.
    requests_per_minute: u32,
    /// Requests that may be worked on at the same time.
    room: Semaphore,
    /// Makes request ids.
    ctx: Ctx,
    secure: bool,
    /// Whether traces are exported, so that a caller's `traceparent` matters.
    traced: bool,
}

struct Limits {
    json_body_bytes: usize,
    model_body_bytes: usize,
    upload_body_bytes: usize,
    ordinary: Duration,
    upload: Duration,
    model: Duration,
}

impl Edge {
    /// The edge of the API that `specification` describes.
    ///
    /// # Errors
    /// `internal` when an operation of the specification does not say who may call it.
    pub fn new(
        config: &Config,
        identity: Identity,
        governance: Governance,
        specification: &utoipa::openapi::OpenApi,
    ) -> Result<Self> {
        let ordinary = config.request_timeout();
        Ok(Self {
            identity,
            governance,
            trusted_proxies: config.trusted_proxies.clone(),
            operations: Operations::from_specification(specification)?,
            limits: Limits {
                json_body_bytes: config.json_body_bytes_max,
                model_body_bytes: config.model_body_bytes_max,
                upload_body_bytes: config.upload_body_bytes_max,
                ordinary,
                upload: ordinary * 10,
                // A local model on a small machine may need many minutes for a long answer that is not streamed.
                model: Duration::from_secs(3600),
            },
            rates: Rates::new(),
            requests_per_minute: config.tenant_requests_per_minute,
            room: Semaphore::new(config.concurrency_max),
            ctx: Ctx::system("edge", Clock::system(), Random::system()),
            secure: config.is_secure(),
            traced: config.otlp_endpoint.is_some(),
        })
    }

    fn limits_of(&self, work: Work) -> (usize, Duration) {
        match work {
            Work::Ordinary => (self.limits.json_body_bytes, self.limits.ordinary),
            Work::Upload => (self.limits.upload_body_bytes, self.limits.upload),
            // The route itself stops at 200 MB of file; the form's own bytes come on top.
            Work::BatchFile => (BATCH_FILE_BODY_BYTES_MAX, self.limits.model),
            Work::Answer => (self.limits.json_body_bytes, self.limits.model),
            Work::Model => (self.limits.model_body_bytes, self.limits.model),
        }
    }
}

/// Puts [`Edge`] around every route.
#[derive(Clone)]
pub struct EdgeLayer(pub Arc<Edge>);

impl<S> Layer<S> for EdgeLayer {
    type Service = EdgeService<S>;

    fn layer(&self, inner: S) -> EdgeService<S> {
        EdgeService { edge: Arc::clone(&self.0), inner }
    }
}

/// A route with the edge around it.
#[derive(Clone)]
pub struct EdgeService<S> {
    edge: Arc<Edge>,
    inner: S,
}

impl<S> Service<Request> for EdgeService<S>
where
    S: Service<Request, Response = Response, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let edge = Arc::clone(&self.edge);
        // The service that was made ready is the one to call; its copy waits for the next request.
        let copy = self.inner.clone();
        let inner = std::mem::replace(&mut self.inner, copy);
        Box::pin(async move { Ok(edge.handle(request, inner).await) })
    }
}

/// What is known of a request before its work begins.
struct Arrival {
    started: Instant,
    id: RequestId,
    operation: Arc<Operation>,
    path: String,
    /// From where it came.
    origin: Arc<Origin>,
    /// Whether traces are exported.
    traced: bool,
}

impl Edge {
    async fn handle<S>(&self, mut request: Request, inner: S) -> Response
    where
        S: Service<Request, Response = Response, Error = Infallible> + Send,
        S::Future: Send,
    {
        let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| peer.ip());
        let arrival = Arrival {
            started: Instant::now(),
            id: self.request_id(&request),
            operation: self.operations.of(&request),
            path: request.uri().path().to_owned(),
            origin: Arc::new(origin::of(peer, request.headers(), &self.trusted_proxies)),
            traced: self.traced,
        };
        let in_flight = observe::InFlight::begin();
        let span = observe::span(&arrival, &request);
        let method = request.method().clone();
        let (mut caller, mut standing) = (None, None);
        let work = self.work(&mut caller, &mut standing, &arrival, &mut request, inner);
        let worked = work.instrument(span.clone()).await;
        let mut response = match worked {
            Ok(response) => response,
            Err(error) => span.in_scope(|| answer::refusal(error, &arrival.path)),
        };
        if let Some(ctx) = &caller {
            audit::tell(&self.governance, ctx, &arrival, &method, &response);
        }
        answer::finish(&mut response, arrival.id, self.secure);
        if let Some(standing) = standing {
            standing.tell(&mut response);
        }
        drop(in_flight);
        observe::answered(&span, &arrival, caller.and_then(|ctx| ctx.tenant_scope()), &response);
        response
    }

    /// `caller` is set as soon as it is known who calls, also when they may not.
    async fn work<S>(
        &self,
        caller: &mut Option<Ctx>,
        standing: &mut Option<Standing>,
        arrival: &Arrival,
        request: &mut Request,
        mut inner: S,
    ) -> Result<Response>
    where
        S: Service<Request, Response = Response, Error = Infallible> + Send,
        S::Future: Send,
    {
        let operation = &arrival.operation;
        // Whoever watches over the server must be answered also when it is full.
        let _room = match operation.access {
            Access::Watch => None,
            _ => Some(self.room.try_acquire().map_err(|_| overloaded())?),
        };
        // The login has no context of its own; it takes the id and the origin from here.
        request.extensions_mut().insert(arrival.id);
        request.extensions_mut().insert(Arc::clone(&arrival.origin));
        if let Some(known) = self.caller(arrival, caller, request).await? {
            let tenant = known.ctx.tenant_scope();
            request.extensions_mut().insert(known.ctx);
            if let (Some(tenant), false) = (tenant, operation.access == Access::Watch) {
                let per_minute = known.requests_per_minute.unwrap_or(self.requests_per_minute);
                let counted = self.rates.count(tenant, per_minute);
                *standing = Some(counted);
                counted.admit()?;
            }
        }
        let (body_bytes_max, time_max) = self.limits_of(operation.work);
        // The limit is in the body itself; axum's own would be another one.
        DefaultBodyLimit::disable().apply(request);
        let request = body::bounded(std::mem::take(request), body_bytes_max)?;
        let handled = AssertUnwindSafe(inner.call(request)).catch_unwind();
        match tokio::time::timeout(time_max, handled).await {
            Ok(Ok(Ok(response))) => Ok(response),
            Ok(Ok(Err(never))) => match never {},
            // The panic's own message is on the error stream; a handler that panicked holds no locks of ours.
            Ok(Err(_panic)) => Err(Error::internal("a handler panicked")),
            Err(_elapsed) => Err(Error::new(
                Code::Timeout,
                "request_timeout",
                format!("the request took longer than {} seconds and was given up", time_max.as_secs_f64()),
            )
            .remedy("try again, or ask for less at once")),
        }
    }

    /// The caller's own request id if it has the form of ours, else a new one.
    fn request_id(&self, request: &Request) -> RequestId {
        let given = request.headers().get(answer::REQUEST_ID).and_then(|value| value.to_str().ok()?.parse().ok());
        given.unwrap_or_else(|| RequestId::new(&self.ctx))
    }
}

fn overloaded() -> Error {
    Error::unavailable("overloaded", "the server is busy with as many requests as it can work on")
        .remedy("try again in a second")
        .retry_after_ms(1_000)
}

/// What stands in `path` in the place of the first parameter of `template`; `None` when it has none.
fn template_parameter<'a>(template: &str, path: &'a str) -> Option<&'a str> {
    template.split('/').zip(path.split('/')).find(|(name, _)| name.starts_with('{')).map(|(_, value)| value)
}

/// The template of the route that a request matched, as in `/api/v1/collections/{id}`.
fn template(request: &Request) -> Option<&str> {
    request.extensions().get::<MatchedPath>().map(MatchedPath::as_str)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use axum::{body::Body, http::StatusCode};
    use plasma_governance::GovernanceConfig;
    use plasma_http::outbound::Outbound;
    use plasma_identity::IdentityConfig;
    use plasma_testkit::TestStore;

    use super::*;
    use crate::config::Layers;

    async fn governance(store: &TestStore) -> Governance {
        let config =
            GovernanceConfig { anchor_dir: store.data_dir().join("anchors"), outbound: Outbound::guarded(Vec::new()) };
        Governance::open(store.store(), plasma_testkit::system(), config).await.unwrap()
    }

    #[test]
    fn the_thing_that_a_path_names_is_found() {
        assert_eq!(template_parameter("/api/v1/users/{id}", "/api/v1/users/usr_1"), Some("usr_1"));
        assert_eq!(template_parameter("/api/v1/teams/{id}/members/{user}", "/api/v1/teams/a/members/b"), Some("a"));
        assert_eq!(template_parameter("/api/v1/users", "/api/v1/users"), None);
    }

    #[tokio::test]
    async fn a_handler_that_panics_is_a_problem_and_leaves_room() {
        let store = TestStore::sqlite().await;
        let identity = Identity::new(store.store(), Clock::system(), Random::system(), IdentityConfig::default());
        let (mut config, _) = Layers::read(None, &[]).finish().unwrap();
        config.concurrency_max = 1;
        let specification =
            utoipa::openapi::OpenApi::new(utoipa::openapi::Info::new("", ""), utoipa::openapi::Paths::new());
        let edge = Arc::new(Edge::new(&config, identity, governance(&store).await, &specification).unwrap());
        let panics = tower::service_fn(|_: Request| async { panic!("on purpose") });
        for _ in 0..3 {
            let mut service = EdgeLayer(Arc::clone(&edge)).layer(panics);
            let response = service.call(Request::new(Body::empty())).await.unwrap();
            assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
            assert!(response.headers().contains_key("x-request-id"));
            let body = axum::body::to_bytes(response.into_body(), 10_000).await.unwrap();
            let body = String::from_utf8(body.to_vec()).unwrap();
            assert!(body.contains("\"reason\":\"internal\"") && !body.contains("on purpose"), "{body}");
        }
    }

    #[tokio::test]
    async fn an_operation_that_does_not_say_who_may_call_it_is_refused_at_the_start() {
        let store = TestStore::sqlite().await;
        let identity = Identity::new(store.store(), Clock::system(), Random::system(), IdentityConfig::default());
        let (config, _) = Layers::read(None, &[]).finish().unwrap();
        let mut specification = crate::openapi::document();
        let item = specification.paths.paths.get_mut("/api/v1/events").unwrap();
        item.get.as_mut().unwrap().extensions = None;
        let edge = Edge::new(&config, identity, governance(&store).await, &specification);
        let Err(error) = edge else { panic!("it was taken") };
        assert!(error.message().contains("list_events"), "{error:?}");
    }
}
