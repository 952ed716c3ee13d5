//! Routes: named virtual models that choose among real ones.

use std::sync::Arc;

use plasma_kernel::{Ctx, Error, Permission, Result, RouteId, Timestamp};
use plasma_store::NewEvent;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{Capability, Models, RouteCache, capabilities::check_capabilities, custom::check_domain, events, store};

/// Routes of one tenant.
const ROUTES_MAX: usize = 200;
const CANDIDATES_MAX: usize = 50;
const NAME_CHARS_MAX: usize = 63;
const ATTEMPTS_MAX: u32 = 10;
const WEIGHT_MAX: u32 = 1_000_000;
const FIRST_TOKEN_TIMEOUT_MAX_MS: u64 = 600_000;

/// How a route orders its candidates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// As they are listed.
    Ordered,
    /// The first is drawn by weight, the others follow by weight.
    Weighted,
    /// The cheapest for this request first, by its length and the models' prices. Models without a known price come last.
    LowestCost,
    /// The quickest first: the lowest 95th percentile of the time to the first token over the last 128 calls. Models
    /// that have not been measured come first, so that they get measured.
    LowestLatency,
    /// The cheapest first where the question looks simple, the dearest first where it looks complex: see
    /// `complexity_threshold`. Models without a known price come last.
    Complexity,
    /// By the quality of earlier answers against the cost: a quality is drawn from what is known of each candidate (Thompson
    /// sampling), and the highest utility comes first. Candidates of which little is known are tried from time to time.
    Bandit,
    /// The best first, by the scores of earlier answers; the dearest of those that are not measured yet.
    HighestQuality,
}

/// Where a request may go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Residency {
    /// To any candidate.
    #[default]
    Any,
    /// Only to models in this process: nothing leaves the machine.
    Private,
}

/// What happens when a stream breaks after the first token has gone out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum BrokenStream {
    /// The stream ends with an error.
    #[default]
    EndWithError,
    /// The next candidate goes on where the text ended (only for answers that are text so far).
    ContinueOnNext,
}

/// A model that a route may choose.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RouteCandidate {
    /// The model's name.
    #[schema(example = "acme/large")]
    pub model: String,
    /// Its share with the strategy `weighted`: 0 to 1,000,000.
    #[serde(default = "one")]
    pub weight: u32,
}

fn one() -> u32 {
    1
}

/// What a route does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RouteSettings {
    /// How candidates are ordered.
    pub strategy: Strategy,
    /// At most 50. Empty: every chat model of the workspace.
    #[serde(default)]
    pub candidates: Vec<RouteCandidate>,
    /// Where requests may go.
    #[serde(default)]
    pub residency: Residency,
    /// Only models with at least this context (in tokens) or an unknown one.
    #[serde(default)]
    pub context_length_min: Option<u32>,
    /// With the strategy `complexity`: from which estimated probability that a small model errs a question counts as complex,
    /// 0 to 1. Null: the threshold that came out of training.
    #[serde(default)]
    pub complexity_threshold: Option<f64>,
    /// Only models of this domain, such as `legal`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 40)]
    pub requires_domain: Option<String>,
    /// Only models with all of these capabilities, or of which nobody says what they can do. What a request itself needs
    /// (tools, images, documents, recordings, a JSON schema, thinking) is required of its candidates in any case.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub requires: Vec<Capability>,
    /// Attempts at one candidate, the first included: 1 to 10.
    #[serde(default = "two")]
    pub attempts_max: u32,
    /// How long a candidate may take to its first token before the next is asked; at most 600,000.
    #[serde(default)]
    pub first_token_timeout_ms: Option<u64>,
    /// What happens when a stream breaks after its first token.
    #[serde(default)]
    pub on_broken_stream: BrokenStream,
    /// Which answers are given again.
    #[serde(default)]
    pub cache: RouteCache,
}

fn two() -> u32 {
    2
}

/// A route.
#[derive(Clone, Debug)]
pub struct Route {
    /// `None`: it exists by default and has not been changed.
    pub id: Option<RouteId>,
    /// What callers name as the model.
    pub name: String,
    /// What it does.
    pub settings: RouteSettings,
    /// When it was added; 0 for those that exist by default.
    pub created_at: Timestamp,
}

/// The routes that exist by default, over every chat model of the workspace.
fn built_in() -> Vec<Route> {
    let settings = |strategy, residency| RouteSettings {
        strategy,
        candidates: Vec::new(),
        residency,
        context_length_min: None,
        complexity_threshold: None,
        requires_domain: None,
        requires: Vec::new(),
        attempts_max: two(),
        first_token_timeout_ms: None,
        on_broken_stream: BrokenStream::EndWithError,
        cache: RouteCache::default(),
    };
    [
        ("auto", Strategy::Complexity, Residency::Any),
        ("auto-best", Strategy::HighestQuality, Residency::Any),
        ("auto-cheap", Strategy::LowestCost, Residency::Any),
        ("auto-fast", Strategy::LowestLatency, Residency::Any),
        ("auto-private", Strategy::LowestLatency, Residency::Private),
    ]
    .into_iter()
    .map(|(name, strategy, residency)| Route {
        id: None,
        name: name.to_owned(),
        settings: settings(strategy, residency),
        created_at: 0,
    })
    .collect()
}

/// Whether a route of this name exists by default.
pub(crate) fn is_built_in(name: &str) -> bool {
    built_in().iter().any(|route| route.name == name)
}

pub(crate) fn not_found(name: &str) -> Error {
    // A name comes from outside and may be long.
    let shown: String = name.chars().take(NAME_CHARS_MAX).collect();
    Error::not_found("route_not_found", format!("there is no route `{shown}`"))
}

impl Models {
    /// All routes of the tenant in the order of their names, those that exist by default included.
    ///
    /// # Errors
    /// `forbidden` without `models:read`.
    pub async fn routes(&self, ctx: &Ctx) -> Result<Vec<Route>> {
        ctx.require(Permission::ModelsRead)?;
        self.all_routes(ctx).await
    }

    /// The same for whoever may call them.
    pub(crate) async fn all_routes(&self, ctx: &Ctx) -> Result<Vec<Route>> {
        let mut routes = self.own_routes(ctx).await?.as_ref().clone();
        let missing = built_in().into_iter().filter(|route| !routes.iter().any(|own| own.name == route.name));
        let missing: Vec<Route> = missing.collect();
        routes.extend(missing);
        routes.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(routes)
    }

    /// The route with this name, if there is one.
    pub(crate) async fn find_route(&self, ctx: &Ctx, name: &str) -> Result<Option<Route>> {
        let own = self.own_routes(ctx).await?;
        Ok(own
            .iter()
            .find(|route| route.name == name)
            .cloned()
            .or_else(|| built_in().into_iter().find(|route| route.name == name)))
    }

    async fn own_routes(&self, ctx: &Ctx) -> Result<Arc<Vec<Route>>> {
        let load = || async {
            let mut tx = self.inner.store.read(ctx).await?;
            store::routes::all(&mut tx).await
        };
        // Boxed: few names are routes', and the others' calls must not carry its weight.
        Box::pin(self.inner.routes.get(ctx.tenant()?, load)).await
    }

    /// Adds a route, or changes what the one with this name does.
    ///
    /// # Errors
    /// `forbidden` without `models:write`, `invalid` naming the field, `conflict` (`alias_exists`) for an alias's name,
    /// `too_large` beyond 200 routes.
    pub async fn put_route(&self, ctx: &Ctx, name: &str, settings: RouteSettings) -> Result<Route> {
        ctx.require(Permission::ModelsWrite)?;
        check_name(name)?;
        self.check_settings(ctx, &settings).await?;
        let mut tx = self.inner.store.begin(ctx).await?;
        store::names::lock(&mut tx).await?;
        if store::aliases::exists(&mut tx, name).await? {
            return Err(Error::conflict("alias_exists", format!("`{name}` is an alias")).field("name"));
        }
        let existing = store::routes::all(&mut tx).await?;
        let now = ctx.now();
        let before = existing.iter().find(|route| route.name == name).map(|route| json!(route.settings));
        let route = match existing.iter().find(|route| route.name == name) {
            Some(route) => Route { settings, ..route.clone() },
            None if existing.len() >= ROUTES_MAX => {
                return Err(Error::too_large("name", format!("a workspace has at most {ROUTES_MAX} routes")));
            }
            None => Route { id: Some(RouteId::new(ctx)), name: name.to_owned(), settings, created_at: now },
        };
        store::routes::put(&mut tx, &route, now).await?;
        let data = json!({ "name": route.name, "settings": route.settings });
        let event = NewEvent::new(events::ROUTE_CHANGED, name, data);
        tx.emit(event.changed(json!(before), json!(route.settings))).await?;
        tx.commit().await?;
        self.inner.routes.changed();
        Ok(route)
    }

    /// Removes a route. One that exists by default is then as it was in the beginning.
    ///
    /// # Errors
    /// `forbidden` without `models:write`, `not_found`.
    pub async fn delete_route(&self, ctx: &Ctx, name: &str) -> Result<()> {
        ctx.require(Permission::ModelsWrite)?;
        let mut tx = self.inner.store.begin(ctx).await?;
        if !store::routes::delete(&mut tx, name).await? {
            return Err(not_found(name));
        }
        tx.emit(NewEvent::new(events::ROUTE_DELETED, name, json!({}))).await?;
        tx.commit().await?;
        self.inner.routes.changed();
        Ok(())
    }

    async fn check_settings(&self, ctx: &Ctx, settings: &RouteSettings) -> Result<()> {
        if settings.candidates.len() > CANDIDATES_MAX {
            return Err(Error::too_large("candidates", format!("a route has at most {CANDIDATES_MAX} candidates")));
        }
        if !(1..=ATTEMPTS_MAX).contains(&settings.attempts_max) {
            return Err(Error::invalid("attempts_max", format!("must be 1 to {ATTEMPTS_MAX}")));
        }
        if settings.first_token_timeout_ms.is_some_and(|limit| limit == 0 || limit > FIRST_TOKEN_TIMEOUT_MAX_MS) {
            let message = format!("must be 1 to {FIRST_TOKEN_TIMEOUT_MAX_MS}");
            return Err(Error::invalid("first_token_timeout_ms", message));
        }
        if settings.complexity_threshold.is_some_and(|threshold| !(0.0..=1.0).contains(&threshold)) {
            return Err(Error::invalid("complexity_threshold", "must be 0 to 1"));
        }
        settings.cache.check()?;
        settings.requires_domain.as_deref().map_or(Ok(()), |domain| check_domain("requires_domain", domain))?;
        check_capabilities("requires", &settings.requires)?;
        for (index, candidate) in settings.candidates.iter().enumerate() {
            let place = |field: &str| format!("candidates[{index}].{field}");
            if candidate.weight > WEIGHT_MAX {
                return Err(Error::invalid(place("weight"), format!("must be 0 to {WEIGHT_MAX}")));
            }
            if settings.candidates.iter().take(index).any(|earlier| earlier.model == candidate.model) {
                return Err(Error::invalid(place("model"), format!("`{}` stands twice", candidate.model)));
            }
            self.chat_model(ctx, &candidate.model).await.map_err(|error| error.field(place("model")))?;
        }
        Ok(())
    }
}

/// Names of routes and aliases: without a slash, so that they are no models' names.
pub(crate) fn check_name(name: &str) -> Result<()> {
    let allowed = |letter: u8| letter.is_ascii_lowercase() || letter.is_ascii_digit() || b"-_.".contains(&letter);
    if !name.is_empty() && name.len() <= NAME_CHARS_MAX && name.bytes().all(allowed) {
        return Ok(());
    }
    let message = format!("must be 1 to {NAME_CHARS_MAX} lowercase letters, digits or `-_.`");
    Err(Error::invalid("name", message).remedy("names with a slash are models' names"))
}
