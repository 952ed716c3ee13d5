//! Who may answer a question, and how persistently they are asked.

use std::time::Duration;

use plasma_kernel::{Code, Ctx, Error, Result, TenantId};
use plasma_protocols::chat::Content;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::{Asked, Question, by_quality::QualityRatings, complexity::Complexity};
use crate::{
    Capability, Model, ModelKind, Models, Purpose, RouteCache, TokenUsage,
    catalog::Target,
    cost,
    routes::{BrokenStream, Residency, Route, RouteCandidate, RouteSettings, Strategy},
    running_call::CallStart,
};

/// Tokens of an answer that strategies which look at costs reckon with.
pub(super) const ANSWER_TOKENS: u64 = 500;
/// Bytes of a request for a token of its prompt, about: JSON, English.
const BYTES_PER_TOKEN: u64 = 4;
/// Tokens of a picture, a recording or a document, about.
const MEDIA_TOKENS: u64 = 1_000;

/// The candidates for a question, best first.
pub(crate) struct Plan {
    /// How they were chosen; `None` when the caller named a model.
    pub(crate) decision: Option<Decision>,
    pub(crate) candidates: Vec<Target>,
    pub(crate) policy: Policy,
}

/// How persistently candidates are asked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Policy {
    /// Attempts at one candidate, the first included.
    pub(crate) attempts_max: u32,
    /// To the first token of one attempt, when the route sets it.
    pub(crate) first_token_timeout: Option<Duration>,
    pub(crate) on_broken_stream: BrokenStream,
    /// Which answers are given again; `None` when the caller named a model: then the workspace's settings say it.
    pub(crate) cache: Option<RouteCache>,
}

/// How a route chose among its candidates.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Decision {
    /// The route's name.
    pub route: String,
    /// How it orders candidates.
    pub strategy: Strategy,
    /// The candidates in the order in which they are asked, and after them those that were left out.
    pub candidates: Vec<Considered>,
}

/// What a route thought of one candidate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Considered {
    /// The model's name.
    pub model: String,
    /// Whether it is asked at all.
    pub eligible: bool,
    /// What it was ordered by, the lowest first: millionths of the currency, milliseconds, the place in the list, or 1 less
    /// the utility or quality.
    #[schema(required)]
    pub score: Option<f64>,
    /// The score or the exclusion in words.
    pub reason: String,
}

impl Models {
    /// The plan for the name that a caller gave, a model's or a route's, or for the default chat model.
    ///
    /// # Errors
    /// `not_found` (`model_not_found`), `invalid` for a model that cannot chat, `unavailable` (`route_empty`) when none of a
    /// route's candidates may be asked.
    pub(crate) async fn plan_chat(&self, ctx: &Ctx, name: Option<&str>, question: &Question) -> Result<Plan> {
        if let Some(name) = name
            && !name.contains('/')
        {
            let aliased = self.alias_target(ctx, name).await?;
            let name = aliased.as_deref().unwrap_or(name);
            if !name.contains('/')
                && let Some(route) = self.find_route(ctx, name).await?
            {
                // Boxed: the calls of named models must not carry its weight.
                return Box::pin(self.plan_route(ctx, route, question)).await;
            }
        }
        let target = self.resolve(ctx, name, ModelKind::Chat).await?;
        let policy = Policy {
            attempts_max: self.inner.config.attempts_max,
            first_token_timeout: None,
            on_broken_stream: BrokenStream::EndWithError,
            cache: None,
        };
        Ok(Plan { decision: None, candidates: vec![target], policy })
    }

    async fn plan_route(&self, ctx: &Ctx, route: Route, question: &Question) -> Result<Plan> {
        let tenant = ctx.tenant()?;
        let listed = self.listed(ctx, &route.settings).await?;
        let demand = Demand::of(question, &listed)?;
        let quality = self.quality_ratings(ctx, &route, question.task(), &listed, &demand).await;
        let complexity = match route.settings.strategy {
            // What only passes through cannot be measured: then the cost decides.
            Strategy::Complexity => question.translated().ok().and_then(|(request, _)| Complexity::of(request).ok()),
            _ => None,
        };
        let settings = &route.settings;
        let rater = Rater { models: self, ctx, tenant, settings, tokens: demand.tokens, complexity, quality };
        let mut rated: Vec<(Model, Rating)> = Vec::with_capacity(listed.len());
        let mut considered = Vec::new();
        for (place, (model, weight)) in listed.into_iter().enumerate() {
            if let Some(reason) = excluded(settings, &model, &demand) {
                considered.push(Considered { model: model.id, eligible: false, score: None, reason });
                continue;
            }
            let rating = rater.rate(&model, weight, place);
            rated.push((model, rating));
        }
        rated.sort_by(|(_, a), (_, b)| a.is_open.cmp(&b.is_open).then(a.score.total_cmp(&b.score)));
        let mut candidates = Vec::with_capacity(rated.len());
        let mut chosen = Vec::with_capacity(rated.len() + considered.len());
        for (model, rating) in rated {
            candidates.push(self.resolve(ctx, Some(&model.id), ModelKind::Chat).await?);
            chosen.push(Considered {
                model: model.id,
                eligible: true,
                score: Some(rating.score).filter(|score| score.is_finite()),
                reason: rating.reason,
            });
        }
        chosen.extend(considered);
        let decision = Decision { route: route.name, strategy: route.settings.strategy, candidates: chosen };
        if candidates.is_empty() {
            return Err(decision.nobody());
        }
        let policy = Policy {
            attempts_max: route.settings.attempts_max,
            first_token_timeout: route.settings.first_token_timeout_ms.map(Duration::from_millis),
            on_broken_stream: route.settings.on_broken_stream,
            cache: Some(route.settings.cache),
        };
        Ok(Plan { decision: Some(decision), candidates, policy })
    }

    /// The models that a route names and that exist, with their weights; all chat models when it names none.
    async fn listed(&self, ctx: &Ctx, settings: &RouteSettings) -> Result<Vec<(Model, u32)>> {
        let models = self.chat_models(ctx).await?;
        if settings.candidates.is_empty() {
            return Ok(models.iter().map(|model| (model.clone(), 1)).collect());
        }
        let find = |candidate: &RouteCandidate| {
            let model = models.iter().find(|model| model.id == candidate.model)?;
            Some((model.clone(), candidate.weight))
        };
        Ok(settings.candidates.iter().filter_map(find).collect())
    }
}

/// What a question demands of whoever answers it.
pub(super) struct Demand {
    /// Of its prompt, about.
    pub(super) tokens: u64,
    pub(super) needs: Vec<Capability>,
}

impl Demand {
    fn of(question: &Question, listed: &[(Model, u32)]) -> Result<Self> {
        // A question is read for what it needs only where that can make a difference.
        let counts = listed.iter().any(|(model, _)| model.capabilities.is_some());
        Ok(Self { tokens: question.tokens_about()?, needs: if counts { question.needs() } else { Vec::new() } })
    }
}

/// What candidates of one question are rated by.
struct Rater<'a> {
    models: &'a Models,
    ctx: &'a Ctx,
    tenant: TenantId,
    settings: &'a RouteSettings,
    /// Of the prompt, about.
    tokens: u64,
    /// Of the question, with the strategy `complexity`.
    complexity: Option<Complexity>,
    /// With the strategies that learn.
    quality: QualityRatings,
}

impl Rater<'_> {
    fn rate(&self, model: &Model, weight: u32, place: usize) -> Rating {
        let health = &self.models.inner.health;
        let is_open = health.is_open(self.tenant, &model.id, Instant::now());
        let (score, reason) = match self.settings.strategy {
            Strategy::Ordered => (place as f64, format!("number {} of the list", place + 1)),
            Strategy::Weighted => (drawn(self.ctx, weight), format!("drawn with weight {weight}")),
            Strategy::LowestCost => self.cost(model),
            Strategy::Complexity => self.by_complexity(model),
            Strategy::LowestLatency => match health.first_token_p95_ms(self.tenant, &model.id) {
                Some(p95) => (f64::from(p95), format!("95% of its calls began to answer within {p95} ms")),
                None => (-1.0, "not measured yet".to_owned()),
            },
            Strategy::Bandit | Strategy::HighestQuality => self.quality.of(&model.id),
        };
        let reason = if is_open { format!("{reason}; failing lately, asked last") } else { reason };
        Rating { score, reason, is_open }
    }

    /// About what the request would cost; infinite when that is unknown.
    fn cost(&self, model: &Model) -> (f64, String) {
        let usage = TokenUsage { input_tokens: self.tokens, output_tokens: ANSWER_TOKENS, ..TokenUsage::default() };
        match cost::cost(model.price.as_ref(), &usage) {
            Some(cost) => {
                let micros = cost.amount_micros;
                (micros as f64, format!("about {micros} millionths of {} for this request", cost.currency))
            }
            None => (f64::INFINITY, "its price is unknown".to_owned()),
        }
    }

    fn by_complexity(&self, model: &Model) -> (f64, String) {
        let (cost, told) = self.cost(model);
        let Some(complexity) = &self.complexity else { return (cost, told) };
        let threshold = self.settings.complexity_threshold.unwrap_or(complexity.threshold);
        let (score, order) =
            if complexity.score < threshold || cost.is_infinite() { (cost, "below") } else { (-cost, "not below") };
        (score, format!("{}, {order} {threshold:.2}; {told}", complexity.reason()))
    }
}

struct Rating {
    score: f64,
    reason: String,
    is_open: bool,
}

/// A key by which sorting draws without replacement in proportion to the weights (Efraimidis and Spirakis, 2006, with the
/// order reversed: the smallest of `-ln(u) / weight` comes first).
fn drawn(ctx: &Ctx, weight: u32) -> f64 {
    let mut bytes = [0_u8; 4];
    ctx.random().fill(&mut bytes);
    let uniform = (f64::from(u32::from_le_bytes(bytes)) + 1.0) / (f64::from(u32::MAX) + 2.0);
    // Weight 0 gives infinity: only when all others have failed.
    -uniform.ln() / f64::from(weight)
}

/// Why a model may not be asked at all.
pub(super) fn excluded(settings: &RouteSettings, model: &Model, demand: &Demand) -> Option<String> {
    if settings.residency == Residency::Private && model.provider_id.is_some() {
        return Some("requests of this route stay in this process".to_owned());
    }
    if let Some(domain) = settings.requires_domain.as_ref().filter(|domain| model.domain.as_ref() != Some(*domain)) {
        return Some(format!("it is not for the domain `{domain}`, which this route requires"));
    }
    if let Some(known) = &model.capabilities {
        let lack = |wanted: &[Capability]| wanted.iter().find(|capability| !known.contains(capability)).copied();
        if let Some(capability) = lack(&settings.requires) {
            return Some(format!("it {}, which this route requires", capability.lack()));
        }
        if let Some(capability) = lack(&demand.needs) {
            return Some(format!("it {}, which this request needs", capability.lack()));
        }
    }
    if model.state == crate::ModelState::Missing {
        return Some("its weights are missing".to_owned());
    }
    let context_length = model.context_length?;
    if settings.context_length_min.is_some_and(|least| context_length < least) {
        return Some(format!("its context of {context_length} tokens is too small for this route"));
    }
    // An estimate errs; only what is far too long is kept away.
    (demand.tokens / 2 > u64::from(context_length))
        .then(|| format!("its context of {context_length} tokens is too small"))
}

impl Decision {
    fn nobody(&self) -> Error {
        let reasons: Vec<String> =
            self.candidates.iter().map(|candidate| format!("{}: {}", candidate.model, candidate.reason)).collect();
        let why = if reasons.is_empty() { "none of its models exists".to_owned() } else { reasons.join("; ") };
        Error::new(Code::Unavailable, "route_empty", format!("the route `{}` has no model to ask ({why})", self.route))
            .remedy("add a model, or change the route")
    }
}

impl Question {
    /// How many tokens the request has, about.
    pub(super) fn tokens_about(&self) -> Result<u64> {
        if let Asked::Client { body, .. } = &self.asked
            && !self.may_have_media()
        {
            return Ok(body.values().map(str::len).sum::<usize>() as u64 / BYTES_PER_TOKEN);
        }
        let (request, _) = self.translated()?;
        let parts = request.system.iter().chain(request.messages.iter().flat_map(|message| &message.parts));
        Ok(parts
            .map(|part| match &part.content {
                Content::Text(text) => text.len() as u64 / BYTES_PER_TOKEN,
                Content::Image(_) | Content::Audio(_) | Content::Video(_) | Content::Document(_) => MEDIA_TOKENS,
                _ => 0,
            })
            .sum())
    }
}

impl Target {
    /// What a call's record says of this candidate.
    pub(super) fn call_start(&self, purpose: Purpose, streamed: bool) -> CallStart {
        let price = match self {
            Self::Local(_) => Some(cost::free()),
            Self::Remote(remote) => remote.price.clone(),
        };
        CallStart { model: self.id().to_owned(), kind: ModelKind::Chat, purpose, streamed, price }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ModelState, ProviderKind};

    fn model(capabilities: Option<&[Capability]>) -> Model {
        Model {
            id: "acme/large".to_owned(),
            kind: ModelKind::Chat,
            provider_id: Some(plasma_kernel::ProviderId::from_bits(1)),
            provider_name: "acme".to_owned(),
            provider_kind: ProviderKind::Openai,
            state: ModelState::Remote,
            remedy: None,
            context_length: Some(1_000),
            dimensions: None,
            precision: None,
            license: None,
            size_bytes: None,
            memory_bytes: None,
            price: None,
            price_source: None,
            default: false,
            capabilities: capabilities.map(<[Capability]>::to_vec),
            domain: None,
            description: None,
            created_at: 0,
        }
    }

    fn settings(requires: &[Capability]) -> RouteSettings {
        RouteSettings {
            strategy: Strategy::Ordered,
            candidates: Vec::new(),
            residency: Residency::Any,
            context_length_min: None,
            complexity_threshold: None,
            requires_domain: None,
            requires: requires.to_vec(),
            attempts_max: 1,
            first_token_timeout_ms: None,
            on_broken_stream: BrokenStream::EndWithError,
            cache: RouteCache::default(),
        }
    }

    #[test]
    fn a_model_that_is_known_to_lack_what_is_needed_is_not_asked() {
        use Capability::{Thinking, Tools, Vision};
        let why = |requires: &[Capability], known: Option<&[Capability]>, needs: &[Capability]| {
            excluded(&settings(requires), &model(known), &Demand { tokens: 10, needs: needs.to_vec() })
        };
        assert_eq!(why(&[], Some(&[]), &[]), None);
        assert_eq!(why(&[], Some(&[Tools, Vision]), &[Vision, Tools]), None);
        assert_eq!(
            why(&[], Some(&[Vision]), &[Tools]).as_deref(),
            Some("it cannot use tools, which this request needs")
        );
        assert_eq!(
            why(&[Thinking, Vision], Some(&[Thinking]), &[]).as_deref(),
            Some("it cannot see images, which this route requires")
        );
        // What a route requires comes first: the request is not at fault.
        let both = why(&[Vision], Some(&[]), &[Tools]);
        assert_eq!(both.as_deref(), Some("it cannot see images, which this route requires"));
        // Nobody says what this one can do.
        assert_eq!(why(&[Thinking, Vision], None, &[Tools]), None);
    }

    #[test]
    fn the_length_of_the_prompt_still_counts() {
        let demand = Demand { tokens: 3_000, needs: Vec::new() };
        let reason = excluded(&settings(&[]), &model(None), &demand);
        assert_eq!(reason.as_deref(), Some("its context of 1000 tokens is too small"));
    }
}
