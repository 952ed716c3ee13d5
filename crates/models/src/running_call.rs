//! A call from its start to its record.

use plasma_kernel::{Actor, CallId, Code, Ctx, Error, Money, RequestId, Result, TeamId, TenantId, Timestamp};
use plasma_protocols::chat::{Answer, Delta};
use tokio::{sync::oneshot, time::Instant};
use tracing::{Span, field::Empty};

use crate::{
    AttemptRecord, CacheHit, CacheKind, CallStatus, Decision, ModelCall, ModelKind, Price, PromptUse, Purpose,
    TokenUsage,
    budgets::Reservation,
    call_log::{CallLog, Entry, Place},
    capture::Payload,
    cost,
    gateway::KeptAnswer,
    limits::Admission,
};

/// Bytes of text that make a token, about.
const BYTES_PER_TOKEN: u64 = 4;
/// Characters of an error that are kept in a record.
const ERROR_CHARS_MAX: usize = 500;

/// What is known of a call when it starts.
pub(crate) struct CallStart {
    pub(crate) model: String,
    pub(crate) kind: ModelKind,
    pub(crate) purpose: Purpose,
    pub(crate) streamed: bool,
    pub(crate) price: Option<Price>,
}

/// A call under way. It ends with [`RunningCall::succeed`] or [`RunningCall::fail`]; dropped before, it is recorded as
/// cancelled: the caller went away.
pub(crate) struct RunningCall {
    id: CallId,
    start: CallStart,
    tenant: TenantId,
    actor: Actor,
    team: Option<TeamId>,
    request: RequestId,
    created_at: Timestamp,
    /// For a collector of traces.
    span: Span,
    started: Instant,
    queued_ms: Option<u64>,
    first_token_ms: Option<u64>,
    usage: TokenUsage,
    /// Whether `usage` is what the engine or provider counted to the end.
    usage_known: bool,
    /// What a provider has read and written so far, about; `None` until it writes.
    about: Option<About>,
    /// The answer so far, where somebody needs all of it after its end.
    kept: Option<KeptAnswer>,
    /// What is kept of the request and the answer, where the workspace wants it.
    payload: Option<Payload>,
    /// Where the answer comes from, when no model gives it, or not all of it.
    cached: Option<CacheHit>,
    attempts: Vec<AttemptRecord>,
    /// How a route chose the model, when the caller did not.
    decision: Option<Decision>,
    prompt: Option<PromptUse>,
    /// What is set aside of budgets for the model that is asked.
    reservation: Option<Reservation>,
    /// Places within limits: of the caller, and of the provider that is asked.
    admission: Option<Admission>,
    provider_admission: Option<Admission>,
    /// Given up when the record is sent.
    place: Option<Place>,
}

/// What is known of a provider's stream before its end, where it tells its usage.
#[derive(Clone, Copy)]
struct About {
    input_tokens: u64,
    output_tokens_max: u64,
    output_bytes: u64,
}

/// What a caller learns of a call that succeeded.
pub(crate) struct Finished {
    pub(crate) usage: TokenUsage,
    pub(crate) first_token_ms: Option<u64>,
    pub(crate) duration_ms: u64,
    pub(crate) cost: Option<Money>,
}

impl RunningCall {
    pub(crate) async fn start(log: &CallLog, ctx: &Ctx, start: CallStart) -> Result<Self> {
        let place = log.reserve().await?;
        Ok(Self {
            id: CallId::new(ctx),
            span: span(&start),
            start,
            tenant: ctx.tenant()?,
            actor: ctx.actor().clone(),
            team: ctx.team(),
            request: ctx.request(),
            created_at: ctx.now(),
            started: Instant::now(),
            queued_ms: None,
            first_token_ms: None,
            usage: TokenUsage::default(),
            usage_known: false,
            about: None,
            kept: None,
            payload: None,
            cached: None,
            attempts: Vec::new(),
            decision: None,
            prompt: None,
            reservation: None,
            admission: None,
            provider_admission: None,
            place: Some(place),
        })
    }

    pub(crate) fn id(&self) -> CallId {
        self.id
    }

    /// From here on another model is asked.
    pub(crate) fn goes_to(&mut self, start: CallStart) {
        self.start = start;
        self.usage = TokenUsage::default();
        self.usage_known = false;
        self.about = None;
        self.first_token_ms = None;
        self.kept = self.kept.take().map(|_| KeptAnswer::default());
    }

    /// The answer will be wanted as a whole, by [`RunningCall::take_answer`].
    pub(crate) fn keep_answer(&mut self) {
        self.kept = Some(KeptAnswer::default());
    }

    /// The call's record is to have this payload, and the answer in it when it is wanted.
    pub(crate) fn captures(&mut self, payload: Payload) {
        if payload.wants_answer() && self.kept.is_none() {
            self.keep_answer();
        }
        self.payload = Some(payload);
    }

    /// Pieces of the answer have come.
    pub(crate) fn has_pieces(&mut self, deltas: &[Delta]) {
        if self.kept.as_mut().is_some_and(|kept| !kept.take(deltas)) {
            self.kept = None;
        }
    }

    /// The answer has come whole.
    pub(crate) fn has_whole(&mut self, answer: &Answer) {
        self.kept = self.kept.take().map(|_| KeptAnswer::from(answer));
    }

    /// The answer, complete when the call succeeds. `None` when it is not kept, is too long, or was begun by one model and ended
    /// by another.
    pub(crate) fn take_answer(&mut self) -> Option<Answer> {
        let answer = self.kept.take().map(KeptAnswer::finish);
        if let (Some(payload), Some(answer)) = (&mut self.payload, &answer) {
            payload.answered(answer, &self.start.model);
        }
        answer
    }

    /// The cache answers, or gives a part of the answer.
    pub(crate) fn answered_by_cache(&mut self, mut hit: CacheHit) {
        if hit.kind == CacheKind::Partial {
            // A record has one currency: that of what the rest costs.
            let currency = self.start.price.as_ref().map(|price| price.currency.as_str());
            hit.saved = hit.saved.take().filter(|saved| currency == Some(saved.currency.as_str()));
        }
        self.cached = Some(hit);
    }

    /// A route chose the candidates.
    pub(crate) fn decided(&mut self, decision: Option<Decision>) {
        self.decision = decision;
    }

    /// The messages come from a prompt.
    pub(crate) fn uses_prompt(&mut self, prompt: Option<PromptUse>) {
        self.prompt = prompt;
    }

    /// The caller has been let through its limits.
    pub(crate) fn admitted(&mut self, admission: Admission) {
        self.admission = Some(admission);
    }

    /// The next model's worst case has been set aside, and its provider's limits allow the call. What was held for the model
    /// before is free again.
    pub(crate) fn reserved(&mut self, reservation: Option<Reservation>, admission: Option<Admission>) {
        self.reservation = reservation;
        self.provider_admission = admission;
    }

    /// Frees what is held for the model that was asked last.
    pub(crate) fn release(&mut self) {
        self.reserved(None, None);
    }

    /// An attempt has ended or has begun to answer.
    pub(crate) fn attempted(&mut self, attempt: AttemptRecord) {
        self.attempts.push(attempt);
    }

    /// The stream of the last attempt broke after it had begun.
    pub(crate) fn broke(&mut self, error: &str, message: String, at_ms: u64) {
        self.kept = None;
        if let Some(attempt) = self.attempts.last_mut() {
            attempt.duration_ms = at_ms.saturating_sub(attempt.started_ms);
            attempt.error = Some(error.to_owned());
            attempt.message = Some(message);
        }
    }

    /// The call's turn has come, after waiting for others.
    pub(crate) fn leaves_queue(&mut self) {
        if self.queued_ms.is_none() {
            self.queued_ms = Some(self.elapsed_ms());
        }
    }

    /// A piece of the answer has come; the first one is timed.
    pub(crate) fn has_token(&mut self) {
        if self.first_token_ms.is_none() {
            self.first_token_ms = Some(self.elapsed_ms());
        }
    }

    /// Tokens counted while the call runs: what is recorded if it is cancelled.
    pub(crate) fn counts(&mut self, usage: TokenUsage) {
        self.usage = usage;
        self.usage_known = true;
    }

    /// A provider streams its answer, of so many tokens at most, to a prompt of about so many.
    pub(crate) fn streams(&mut self, input_tokens: u64, output_tokens_max: u64) {
        self.about = Some(About { input_tokens, output_tokens_max, output_bytes: 0 });
    }

    /// The stream has brought so many bytes of text more.
    pub(crate) fn has_text(&mut self, bytes: usize) {
        if let Some(about) = &mut self.about {
            about.output_bytes = about.output_bytes.saturating_add(bytes as u64);
        }
    }

    /// A stream that ended before the provider told its usage was paid for all the same: what it wrote is reckoned by its
    /// length.
    fn reckon_unfinished(&mut self) {
        let Some(About { input_tokens, output_tokens_max, output_bytes }) = self.about else { return };
        if output_bytes == 0 {
            return;
        }
        if !self.usage_known {
            self.usage.input_tokens = input_tokens;
        }
        let written = output_bytes.div_ceil(BYTES_PER_TOKEN).min(output_tokens_max);
        self.usage.output_tokens = self.usage.output_tokens.max(written);
        self.usage_known = true;
    }

    /// Ends the call well and returns when its record is durable.
    ///
    /// # Errors
    /// `unavailable` when it cannot be recorded: then the answer must not go out either.
    pub(crate) async fn succeed(mut self) -> Result<Finished> {
        let written = self.record(CallStatus::Succeeded, None, true);
        let finished = self.finished();
        if let Some(written) = written {
            written.await.unwrap_or_else(|_| {
                Err(Error::unavailable("call_not_recorded", "the model call could not be recorded: the server stops"))
            })?;
        }
        Ok(finished)
    }

    /// Ends the call well without waiting for its record: for work that costs nothing and is not a client's answer.
    pub(crate) fn succeed_without_waiting(mut self) -> Finished {
        self.record(CallStatus::Succeeded, None, false);
        self.finished()
    }

    /// Ends the call badly, returns when its record is durable, and gives the error back.
    pub(crate) async fn fail(mut self, error: Error) -> Error {
        if let Some(written) = self.record(CallStatus::Failed, Some(public_text(&error)), true) {
            // If it could not be recorded the log has said so; the caller needs the first error.
            let _ = written.await;
        }
        error
    }

    fn finished(&self) -> Finished {
        Finished {
            usage: self.usage,
            first_token_ms: self.first_token_ms,
            duration_ms: self.elapsed_ms(),
            cost: self.cost(),
        }
    }

    fn cost(&self) -> Option<Money> {
        // A model that embedded the texts that were not known is paid for them.
        if let Some(hit) = self.cached.as_ref().filter(|hit| hit.kind != CacheKind::Partial) {
            let price = self.start.price.as_ref().map(|price| &price.currency);
            let currency = hit.saved.as_ref().map(|saved| &saved.currency).or(price);
            return Some(Money { amount_micros: 0, currency: currency.map_or("USD", String::as_str).to_owned() });
        }
        // A model that costs nothing costs nothing, however many tokens it used.
        let free = self.start.price == Some(cost::free());
        if self.usage_known || free { cost::cost(self.start.price.as_ref(), &self.usage) } else { None }
    }

    /// Milliseconds since the start.
    pub(crate) fn elapsed_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// What a collector of traces learns when the call ends.
    fn tell_trace(&self, call: &ModelCall) {
        if self.span.is_disabled() {
            return;
        }
        self.span.record("otel.name", format!("{} {}", operation(call.kind), call.model));
        self.span.record("gen_ai.response.model", call.model.as_str());
        self.span.record("gen_ai.provider.name", call.model.split('/').next().unwrap_or_default());
        self.span.record("gen_ai.usage.input_tokens", call.usage.input_tokens);
        self.span.record("gen_ai.usage.output_tokens", call.usage.output_tokens);
        self.span.record("plasma.call.id", tracing::field::display(call.id));
        self.span.record("plasma.attempts", call.attempts.len());
        if let Some(decision) = &call.decision {
            self.span.record("plasma.route", decision.route.as_str());
        }
        if call.status != CallStatus::Succeeded {
            self.span.record("otel.status_code", "ERROR");
            let attempt = call.attempts.last().and_then(|attempt| attempt.error.as_deref());
            self.span.record("error.type", attempt.unwrap_or(call.status.as_str()));
        }
    }

    /// Sends the record to the log, once.
    fn record(
        &mut self,
        status: CallStatus,
        error: Option<String>,
        wait: bool,
    ) -> Option<oneshot::Receiver<Result<()>>> {
        let place = self.place.take()?;
        if status != CallStatus::Succeeded {
            self.reckon_unfinished();
        }
        // Of a call that failed or was cancelled: what has come of its answer.
        drop(self.take_answer());
        let (sender, receiver) = oneshot::channel();
        let call = ModelCall {
            id: self.id,
            model: self.start.model.clone(),
            decision: self.decision.take(),
            attempts: std::mem::take(&mut self.attempts),
            prompt: self.prompt.take(),
            kind: self.start.kind,
            purpose: self.start.purpose,
            status,
            streamed: self.start.streamed,
            usage: self.usage,
            queued_ms: self.queued_ms.unwrap_or(0),
            first_token_ms: self.first_token_ms,
            duration_ms: self.elapsed_ms(),
            cost: self.cost(),
            cache: self.cached.clone(),
            error,
            actor: self.actor.clone(),
            team: self.team,
            request: self.request,
            created_at: self.created_at,
        };
        self.tell_trace(&call);
        for admission in [self.admission.as_mut(), self.provider_admission.as_mut()].into_iter().flatten() {
            admission.used_tokens(self.usage.input_tokens.saturating_add(self.usage.output_tokens));
        }
        let settlement = self.reservation.take().map(|reservation| reservation.settle(call.cost.as_ref()));
        let (payload, written) = (self.payload.take(), wait.then_some(sender));
        place.send_settled(Entry { tenant: self.tenant, call, payload, written }, settlement);
        (self.admission, self.provider_admission) = (None, None);
        wait.then_some(receiver)
    }
}

/// The span of a call, by OpenTelemetry's semantic conventions for generative AI. Neither what was asked nor what was answered
/// is in it. Only a collector listens to its target: see `telemetry` in the server.
fn span(start: &CallStart) -> Span {
    tracing::info_span!(
        target: "plasma::trace",
        "model_call",
        otel.name = Empty,
        otel.kind = "client",
        otel.status_code = Empty,
        gen_ai.operation.name = operation(start.kind),
        gen_ai.request.model = start.model.as_str(),
        gen_ai.response.model = Empty,
        gen_ai.provider.name = Empty,
        gen_ai.usage.input_tokens = Empty,
        gen_ai.usage.output_tokens = Empty,
        error.type = Empty,
        plasma.call.id = Empty,
        plasma.route = Empty,
        plasma.attempts = Empty,
    )
}

/// The operation's name in the conventions.
fn operation(kind: ModelKind) -> &'static str {
    match kind {
        ModelKind::Chat => "chat",
        ModelKind::Embedding => "embeddings",
        ModelKind::Image => "image_generation",
        ModelKind::Transcription => "transcription",
        ModelKind::Speech => "speech",
        ModelKind::Rerank => "rerank",
    }
}

impl Drop for RunningCall {
    fn drop(&mut self) {
        self.record(CallStatus::Cancelled, None, false);
    }
}

/// A failure, with the record of the call if one had begun.
#[derive(Debug)]
pub(crate) struct CallError {
    pub(crate) call_id: Option<CallId>,
    pub(crate) error: Error,
}

impl CallError {
    /// Ends `call` with `error`.
    pub(crate) async fn of(call: RunningCall, error: Error) -> Self {
        Self { call_id: Some(call.id()), error: call.fail(error).await }
    }
}

impl From<Error> for CallError {
    fn from(error: Error) -> Self {
        Self { call_id: None, error }
    }
}

/// What a reader of the call log may see of an error.
pub(crate) fn public_text(error: &Error) -> String {
    let text = match error.code() {
        Code::Internal => "something went wrong inside Plasma; the server's log has the details".to_owned(),
        _ => error.to_string(),
    };
    // Postgres stores no NUL, and a list shows one line.
    text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).take(ERROR_CHARS_MAX).collect()
}
