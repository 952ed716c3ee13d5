//! The events that this crate writes.

/// A provider was added: `{name, kind, base_url}`.
pub const PROVIDER_CREATED: &str = "models.provider.created";
/// A provider's address or key was changed: `{name, base_url, api_key_changed}`.
pub const PROVIDER_CHANGED: &str = "models.provider.changed";
/// A provider was removed, and its models with it: `{name, models}`.
pub const PROVIDER_DELETED: &str = "models.provider.deleted";
/// A provider's model was added: `{kind, provider_id}`.
pub const MODEL_CREATED: &str = "models.model.created";
/// What a provider's model can do was stated anew: `{capabilities}`, null when it is not known.
pub const MODEL_CHANGED: &str = "models.model.changed";
/// An administrator set or took away the price of a provider's model: `{price}`, null when the snapshot's counts again.
pub const MODEL_PRICED: &str = "models.model.priced";
/// A provider's model was removed: `{}`.
pub const MODEL_DELETED: &str = "models.model.deleted";
/// An alias was added or changed: `{target}`.
pub const ALIAS_CHANGED: &str = "models.alias.changed";
/// An alias was removed: `{}`.
pub const ALIAS_DELETED: &str = "models.alias.deleted";
/// A benchmark was begun: `{name, suite, models, cases}`.
pub const BENCHMARK_CREATED: &str = "models.benchmark.created";
/// A benchmark ended: `{name, state, error}` with the state `succeeded`, `failed` or `cancelled`.
pub const BENCHMARK_ENDED: &str = "models.benchmark.ended";
/// A benchmark was removed with its results: `{name}`.
pub const BENCHMARK_DELETED: &str = "models.benchmark.deleted";
/// Somebody has weights fetched onto the server's machine: `{name, files, max_bytes}`.
pub const PULL_CREATED: &str = "models.pull.created";
/// Weights are in place, or will not be: `{name, state, reason}` with the state `done`, `failed` or `cancelled`.
pub const PULL_ENDED: &str = "models.pull.ended";
/// A budget was set: `{subject, period, limit}`.
pub const BUDGET_CREATED: &str = "models.budget.created";
/// A budget's limit was changed: `{subject, period, limit, previous_limit}`.
pub const BUDGET_CHANGED: &str = "models.budget.changed";
/// A budget was removed: `{subject, period}`.
pub const BUDGET_DELETED: &str = "models.budget.deleted";
/// Recorded calls have cost 80 or 100 percent of a budget, once for each of the two and each period: `{budget, subject,
/// period, period_start_at, threshold_percent, spent, limit}`.
pub const BUDGET_THRESHOLD_REACHED: &str = "models.budget.threshold_reached";
/// A limit was set: `{subject, requests_per_minute, tokens_per_minute, concurrency}`.
pub const LIMIT_CREATED: &str = "models.limit.created";
/// A limit was changed: the same fields.
pub const LIMIT_CHANGED: &str = "models.limit.changed";
/// A limit was removed: `{subject}`.
pub const LIMIT_DELETED: &str = "models.limit.deleted";
/// How the cache of answers works was set: `{settings}`.
pub const CACHE_CHANGED: &str = "models.cache.changed";
/// All kept answers were thrown away: `{}`.
pub const CACHE_PURGED: &str = "models.cache.purged";
/// A prompt was added: `{description}`.
pub const PROMPT_CREATED: &str = "models.prompt.created";
/// A prompt was removed, and its versions and aliases with it: `{versions}`.
pub const PROMPT_DELETED: &str = "models.prompt.deleted";
/// A prompt has a new version: `{version, note}`.
pub const PROMPT_VERSION_CREATED: &str = "models.prompt.version_created";
/// A prompt's alias was added or changed: `{alias, split, previous_split}`.
pub const PROMPT_ALIAS_CHANGED: &str = "models.prompt.alias_changed";
/// A prompt's alias was removed: `{alias}`.
pub const PROMPT_ALIAS_DELETED: &str = "models.prompt.alias_deleted";
/// A file was brought, or written by a batch: `{filename, purpose, size_bytes}`.
pub const FILE_CREATED: &str = "models.file.created";
/// A file was deleted: `{filename}`.
pub const FILE_DELETED: &str = "models.file.deleted";
/// A batch was created: `{endpoint, input_file_id}`.
pub const BATCH_CREATED: &str = "models.batch.created";
/// A batch has another status or has answered some lines: `{status, total, completed, failed}`.
pub const BATCH_CHANGED: &str = "models.batch.changed";
/// A batch has its last status: the same fields.
pub const BATCH_ENDED: &str = "models.batch.ended";
/// A call ended, well or not: the fields of the call's record, with the one who called as `actor` and its `request_id`.
pub const CALL_COMPLETED: &str = "models.call.completed";
/// What is kept of calls was changed: the settings without the patterns of redactions, which may tell secrets.
pub const CAPTURE_CHANGED: &str = "models.capture.changed";
/// Somebody read what a call asked and was answered: `{}`.
pub const PAYLOAD_READ: &str = "models.payload.read";
/// What was kept of a call was removed by hand: `{}`.
pub const PAYLOAD_DELETED: &str = "models.payload.deleted";
/// Somebody rated a call's answer, again or for the first time: `{model, route, task, score, previous_score, labels}`.
pub const FEEDBACK_GIVEN: &str = "models.feedback.given";
/// The judge scored a call's answer, or could not: `{model, route, task, score, error, judge_model, judge_call_id}`.
pub const CALL_JUDGED: &str = "models.call.judged";
/// The quality settings were changed: `{judge_model, judge_share, judge_limit_micros, currency, cost_weight, own_rubric}`.
pub const QUALITY_CHANGED: &str = "models.quality.changed";
/// A route was added or changed: `{name, settings}`.
pub const ROUTE_CHANGED: &str = "models.route.changed";
/// A route was removed: `{}`.
pub const ROUTE_DELETED: &str = "models.route.deleted";
