use axum::extract::State;
use plasma_http::{Caller, Json, Path, Problem, ProblemBody, Query};
use plasma_kernel::{CallId, Error};
use serde::{Deserialize, Serialize};

use crate::{
    Feedback, Models, NewFeedback, QualitySettings, ScoreGroups, ScoreSource, ScoreSums, calls::date_text,
    quality::RUBRIC_DEFAULT,
};

const CURRENCY_DEFAULT: &str = "USD";

/// A thumb.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Thumbs {
    /// A good answer: the score 1.
    Up,
    /// A bad answer: the score 0.
    Down,
}

/// What one thinks of a call's answer: either `score` or `thumbs`.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewCallFeedback, example = json!({ "thumbs": "up", "comment": "Short and right." }))]
pub struct NewFeedbackBody {
    /// 0 (bad) to 1, kept in thousandths.
    #[schema(minimum = 0, maximum = 1)]
    score: Option<f64>,
    /// Instead of a score.
    thumbs: Option<Thumbs>,
    /// In words, at most 2,000 characters.
    comment: Option<String>,
    /// Short words such as `wrong` or `too-long`: at most 10 of at most 50 characters.
    #[serde(default)]
    labels: Vec<String>,
}

/// What the workspace says about quality.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = QualitySettings)]
pub struct QualitySettingsBody {
    /// The chat model that judges; null: nothing is judged.
    #[schema(required)]
    pub judge_model: Option<String>,
    /// The part of chat calls that are judged, 0 to 1.
    pub judge_share: f64,
    /// By what the judge scores.
    pub rubric: String,
    /// Whether that is the default rubric.
    pub rubric_is_default: bool,
    /// What the judge may cost in a calendar month (UTC), in millionths of the currency; null: nothing is judged. It is kept
    /// as a budget with the subject `judge`.
    #[schema(required)]
    pub judge_limit_micros: Option<i64>,
    /// ISO 4217 code.
    pub currency: String,
    /// How much the cost counts against the quality in the strategy `bandit`.
    pub cost_weight: f64,
}

impl From<QualitySettings> for QualitySettingsBody {
    fn from(settings: QualitySettings) -> Self {
        let QualitySettings { judge_model, judge_share, rubric, judge_limit_micros, currency, cost_weight } = settings;
        let rubric_is_default = rubric == RUBRIC_DEFAULT;
        Self { judge_model, judge_share, rubric, rubric_is_default, judge_limit_micros, currency, cost_weight }
    }
}

/// The quality settings to set, as a whole: what is absent is as by default.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewQualitySettings)]
pub struct NewQualitySettingsBody {
    /// The chat model that judges.
    judge_model: Option<String>,
    /// The part of chat calls that are judged, 0 to 1; 0 when absent.
    #[schema(minimum = 0, maximum = 1)]
    judge_share: Option<f64>,
    /// By what the judge scores: at most 8,000 characters. The default rubric when absent.
    rubric: Option<String>,
    /// What the judge may cost in a calendar month (UTC), in millionths of the currency; needed with a judge. With 0 only a
    /// judge that costs nothing works.
    #[schema(minimum = 0, maximum = 10_000_000_000_000_000_i64, example = 5_000_000)]
    judge_limit_micros: Option<i64>,
    /// ISO 4217 code; USD when absent.
    currency: Option<String>,
    /// How much the cost counts against the quality in the strategy `bandit`: 0 to 10, 0.2 when absent.
    #[schema(minimum = 0, maximum = 10)]
    cost_weight: Option<f64>,
}

/// `?group_by=&days=`
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ScoresQuery {
    /// What to sum up by, separated by commas: `day`, `model`, `route`, `task`, `source`. `model` when absent.
    #[param(example = "model,task")]
    group_by: Option<String>,
    /// How many days, today included: 1 to 366, 30 when absent.
    #[param(minimum = 1, maximum = 366)]
    days: Option<u32>,
}

/// The scores of one group.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = QualityScores)]
pub struct ScoresBody {
    /// The date, when grouped by day.
    #[schema(required, example = "2026-11-22")]
    pub day: Option<String>,
    /// The model that answered, when grouped by model.
    #[schema(required)]
    pub model: Option<String>,
    /// The route that chose it, when grouped by route; empty for calls that named a model.
    #[schema(required)]
    pub route: Option<String>,
    /// What the calls were for, when grouped by task: the header `plasma-task`, or the call's purpose.
    #[schema(required)]
    pub task: Option<String>,
    /// Where the scores come from, when grouped by source.
    #[schema(required)]
    pub source: Option<ScoreSource>,
    /// How many scores.
    pub n: i64,
    /// Their mean, 0 to 1.
    pub mean: f64,
    /// Their standard deviation; null for a single score.
    #[schema(required)]
    pub standard_deviation: Option<f64>,
    /// The lower end of the mean's 95% confidence interval (Wilson).
    pub interval_low: f64,
    /// Its upper end.
    pub interval_high: f64,
}

impl ScoresBody {
    /// `None` for a group without scores.
    fn of(sums: ScoreSums) -> Option<Self> {
        let (mean, (interval_low, interval_high)) = (sums.mean()?, sums.interval()?);
        Some(Self {
            standard_deviation: sums.deviation(),
            day: sums.day.map(date_text),
            model: sums.model,
            route: sums.route,
            task: sums.task,
            source: sums.source,
            n: sums.scores,
            mean,
            interval_low,
            interval_high,
        })
    }
}

/// Scores, summed up.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct QualityScoreList {
    /// Most scores first; at most 10,000.
    pub data: Vec<ScoresBody>,
}

/// Rate a call's answer
///
/// A second rating by the same user or key takes the place of the first.
#[utoipa::path(
    post, path = "/api/v1/models/calls/{id}/feedback", tag = "models", request_body = NewFeedbackBody, security(("bearer" = [])),
    params(("id" = CallId, Path, description = "The call's id, as in the header `plasma-call-id`")),
    extensions(("x-permission" = json!("models:invoke"))),
    responses(
        (status = 200, body = Feedback),
        (status = "default", body = ProblemBody, content_type = "application/problem+json", description = "What went wrong"),
    )
)]
pub(super) async fn give_call_feedback(
    State(models): State<Models>,
    Caller(ctx): Caller,
    Path(id): Path<CallId>,
    Json(body): Json<NewFeedbackBody>,
) -> Result<Json<Feedback>, Problem> {
    let NewFeedbackBody { score, thumbs, comment, labels } = body;
    let score = match (score, thumbs) {
        (Some(score), None) => score,
        (None, Some(Thumbs::Up)) => 1.0,
        (None, Some(Thumbs::Down)) => 0.0,
        _ => return Err(Problem(Error::invalid("score", "give either `score` or `thumbs`"))),
    };
    Ok(Json(models.give_feedback(&ctx, id, NewFeedback { score, comment, labels }).await?))
}

/// Get the quality settings
#[utoipa::path(
    get, path = "/api/v1/models/quality", tag = "models", security(("bearer" = [])),
    extensions(("x-permission" = json!("models:read"))),
    responses(
        (status = 200, body = QualitySettingsBody),
        (status = "default", body = ProblemBody, content_type = "application/problem+json", description = "What went wrong"),
    )
)]
pub(super) async fn get_quality_settings(
    State(models): State<Models>,
    Caller(ctx): Caller,
) -> Result<Json<QualitySettingsBody>, Problem> {
    Ok(Json(models.quality_settings(&ctx).await?.into()))
}

/// Set the quality settings
///
/// Which model judges a sample of answers, by which rubric, and what that may cost.
#[utoipa::path(
    put, path = "/api/v1/models/quality", tag = "models", request_body = NewQualitySettingsBody, security(("bearer" = [])),
    extensions(("x-permission" = json!("models:write"))),
    responses(
        (status = 200, body = QualitySettingsBody),
        (status = "default", body = ProblemBody, content_type = "application/problem+json", description = "What went wrong"),
    )
)]
pub(super) async fn put_quality_settings(
    State(models): State<Models>,
    Caller(ctx): Caller,
    Json(body): Json<NewQualitySettingsBody>,
) -> Result<Json<QualitySettingsBody>, Problem> {
    let default = QualitySettings::default();
    let settings = QualitySettings {
        judge_model: body.judge_model,
        judge_share: body.judge_share.unwrap_or(default.judge_share),
        rubric: body.rubric.unwrap_or(default.rubric),
        judge_limit_micros: body.judge_limit_micros,
        currency: body.currency.unwrap_or_else(|| CURRENCY_DEFAULT.to_owned()),
        cost_weight: body.cost_weight.unwrap_or(default.cost_weight),
    };
    Ok(Json(models.put_quality_settings(&ctx, settings).await?.into()))
}

/// Sum up scores
///
/// Scores of the rules, of the judge and of people over the last days, with the mean and its confidence interval.
#[utoipa::path(
    get, path = "/api/v1/models/quality/scores", tag = "models", params(ScoresQuery), security(("bearer" = [])),
    extensions(("x-permission" = json!("models:read"))),
    responses(
        (status = 200, body = QualityScoreList),
        (status = "default", body = ProblemBody, content_type = "application/problem+json", description = "What went wrong"),
    )
)]
pub(super) async fn list_quality_scores(
    State(models): State<Models>,
    Caller(ctx): Caller,
    Query(query): Query<ScoresQuery>,
) -> Result<Json<QualityScoreList>, Problem> {
    const DAYS_DEFAULT: u32 = 30;
    let groups = groups(query.group_by.as_deref().unwrap_or("model"))?;
    let sums = models.quality_scores(&ctx, groups, query.days.unwrap_or(DAYS_DEFAULT)).await?;
    Ok(Json(QualityScoreList { data: sums.into_iter().filter_map(ScoresBody::of).collect() }))
}

fn groups(names: &str) -> Result<ScoreGroups, Problem> {
    let mut groups = ScoreGroups::default();
    for name in names.split(',').map(str::trim) {
        match name {
            "day" => groups.day = true,
            "model" => groups.model = true,
            "route" => groups.route = true,
            "task" => groups.task = true,
            "source" => groups.source = true,
            _ => {
                let message = "must be names of day, model, route, task and source, separated by commas";
                return Err(Problem(Error::invalid("group_by", message)));
            }
        }
    }
    Ok(groups)
}
