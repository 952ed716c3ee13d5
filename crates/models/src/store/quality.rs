use std::collections::BTreeMap;

use plasma_kernel::{Actor, CallId, Result, Timestamp};
use plasma_store::{Row, Tx, Value};

use crate::{
    CallQuality, Feedback, JudgeScore, Mark, ModelCall, QualitySettings, ScoreGroups, ScoreSource, ScoreSums,
    calls::DAY_MICROS,
    quality::{RUBRIC_DEFAULT, Score},
};

/// Ratings of one call that are shown.
const FEEDBACK_SHOWN_MAX: i64 = 200;
/// Groups of scores that one answer holds.
const GROUPS_MAX: i64 = 10_000;
/// Rows that the choice of models is learned from: the newest.
const LEARNED_ROWS_MAX: i64 = 50_000;
const SHARE_SCALE: f64 = 1_000_000.0;
const WEIGHT_SCALE: f64 = 1_000.0;

/// What scores of a call are summed up under.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Subject {
    pub(crate) day: i64,
    pub(crate) model: String,
    /// Empty when the caller named the model.
    pub(crate) route: String,
    pub(crate) task: String,
}

impl Subject {
    /// Of a recorded call, whose task is not known any more: its purpose stands for it.
    pub(crate) fn of(call: &ModelCall) -> Self {
        Self {
            day: call.created_at.div_euclid(DAY_MICROS),
            model: call.model.clone(),
            route: call.decision.as_ref().map(|decision| decision.route.clone()).unwrap_or_default(),
            task: call.purpose.as_str().to_owned(),
        }
    }
}

/// A scored call, locked until the end of the transaction.
pub(crate) struct Scored {
    pub(crate) subject: Subject,
    pub(crate) marks: Vec<Mark>,
    pub(crate) rule_score: Option<Score>,
    pub(crate) judge_score: Option<Score>,
}

/// Changes of the sums, in the order in which every process locks their rows.
#[derive(Default)]
pub(crate) struct Changes(BTreeMap<(Subject, &'static str), (i64, i64, i64)>);

impl Changes {
    /// One score takes the place of another.
    pub(crate) fn replace(&mut self, subject: &Subject, source: ScoreSource, old: Option<Score>, new: Score) {
        let (scores, sum, squares) = self.0.entry((subject.clone(), source.as_str())).or_default();
        for (sign, score) in [(-1, old), (1, Some(new))] {
            if let Some(score) = score.map(Score::thousandths) {
                *scores += sign;
                *sum += sign * score;
                *squares += sign * score * score;
            }
        }
    }

    pub(crate) async fn write(self, tx: &mut Tx) -> Result<()> {
        let tenant = tx.tenant()?;
        for ((subject, source), (scores, sum, squares)) in self.0 {
            if (scores, sum, squares) == (0, 0, 0) {
                continue;
            }
            tx.execute(
                "INSERT INTO model_quality_sums (tenant_id, day, model, route, task, source, scores, score_sum, square_sum)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
                 ON CONFLICT (tenant_id, day, model, route, task, source) DO UPDATE SET
                   scores = model_quality_sums.scores + $7, score_sum = model_quality_sums.score_sum + $8,
                   square_sum = model_quality_sums.square_sum + $9",
                [
                    tenant.into(),
                    subject.day.into(),
                    subject.model.into(),
                    subject.route.into(),
                    subject.task.into(),
                    source.into(),
                    scores.into(),
                    sum.into(),
                    squares.into(),
                ],
            )
            .await?;
        }
        Ok(())
    }
}

/// Locks the scores of a call, and begins them when it has none. What the first one said it is summed up under stays.
pub(crate) async fn lock(tx: &mut Tx, id: CallId, subject: &Subject) -> Result<Scored> {
    let tenant = tx.tenant()?;
    let now = tx.ctx().now();
    // Changing nothing locks the row.
    let row = tx
        .fetch_one(
            "INSERT INTO model_call_quality (tenant_id, call_id, day, model, route, task, created_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7)
             ON CONFLICT (tenant_id, call_id) DO UPDATE SET call_id = $2
             RETURNING day, model, route, task, marks, rule_score, judge_score",
            [
                tenant.into(),
                id.into(),
                subject.day.into(),
                (&subject.model).into(),
                (&subject.route).into(),
                (&subject.task).into(),
                now.into(),
            ],
        )
        .await?;
    Ok(Scored {
        subject: Subject {
            day: row.get("day")?,
            model: row.get("model")?,
            route: row.get("route")?,
            task: row.get("task")?,
        },
        marks: marks(&row)?,
        rule_score: score(&row, "rule_score")?,
        judge_score: score(&row, "judge_score")?,
    })
}

fn score(row: &Row, column: &'static str) -> Result<Option<Score>> {
    Ok(row.get::<Option<i64>>(column)?.map(Score::of_thousandths))
}

fn marks(row: &Row) -> Result<Vec<Mark>> {
    Ok(row.optional_json("marks")?.unwrap_or_default())
}

pub(crate) async fn set_marks(tx: &mut Tx, id: CallId, marks: &[Mark], score: Score) -> Result<()> {
    let tenant = tx.tenant()?;
    tx.execute(
        "UPDATE model_call_quality SET marks = $3, rule_score = $4 WHERE tenant_id = $1 AND call_id = $2",
        [tenant.into(), id.into(), Value::json(marks)?, score.thousandths().into()],
    )
    .await
    .map(drop)
}

/// What the judge said of a call.
pub(crate) async fn set_judged(tx: &mut Tx, id: CallId, judged: &JudgeScore) -> Result<()> {
    let tenant = tx.tenant()?;
    tx.execute(
        "UPDATE model_call_quality SET judge_score = $3, judge_reason = $4, judge_error = $5, judge_model = $6,
           judge_call_id = $7
         WHERE tenant_id = $1 AND call_id = $2",
        [
            tenant.into(),
            id.into(),
            judged.score.and_then(Score::of).map(Score::thousandths).into(),
            judged.reason.as_deref().into(),
            judged.error.as_deref().into(),
            judged.model.as_deref().into(),
            judged.call_id.into(),
        ],
    )
    .await
    .map(drop)
}

/// An actor's rating of a call.
pub(crate) async fn feedback_of(tx: &mut Tx, id: CallId, actor: &Actor) -> Result<Option<Feedback>> {
    let tenant = tx.tenant()?;
    let row = tx
        .fetch_optional(
            "SELECT * FROM model_call_feedback WHERE tenant_id = $1 AND call_id = $2 AND actor = $3",
            [tenant.into(), id.into(), Value::json(actor)?],
        )
        .await?;
    row.as_ref().map(feedback).transpose()
}

fn feedback(row: &Row) -> Result<Feedback> {
    Ok(Feedback {
        actor: row.json("actor")?,
        score: Score::of_thousandths(row.get("score")?).fraction(),
        comment: row.get("comment")?,
        labels: row.json("labels")?,
        created_at: row.get("created_at")?,
        updated_at: row.get("updated_at")?,
    })
}

pub(crate) async fn put_feedback(tx: &mut Tx, id: CallId, feedback: &Feedback, score: Score) -> Result<()> {
    let tenant = tx.tenant()?;
    tx.execute(
        "INSERT INTO model_call_feedback (tenant_id, call_id, actor, score, comment, labels, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
         ON CONFLICT (tenant_id, call_id, actor) DO UPDATE SET score = $4, comment = $5, labels = $6, updated_at = $8",
        [
            tenant.into(),
            id.into(),
            Value::json(&feedback.actor)?,
            score.thousandths().into(),
            feedback.comment.as_deref().into(),
            Value::json(&feedback.labels)?,
            feedback.created_at.into(),
            feedback.updated_at.into(),
        ],
    )
    .await
    .map(drop)
}

/// Everything that is known of a call's quality.
pub(crate) async fn of_call(tx: &mut Tx, id: CallId) -> Result<CallQuality> {
    let tenant = tx.tenant()?;
    let ratings = tx
        .fetch_all(
            "SELECT * FROM model_call_feedback WHERE tenant_id = $1 AND call_id = $2 ORDER BY updated_at DESC LIMIT $3",
            [tenant.into(), id.into(), FEEDBACK_SHOWN_MAX.into()],
        )
        .await?;
    let feedback = ratings.iter().map(feedback).collect::<Result<Vec<_>>>()?;
    let row = tx
        .fetch_optional(
            "SELECT task, marks, rule_score, judge_score, judge_reason, judge_error, judge_model, judge_call_id
             FROM model_call_quality WHERE tenant_id = $1 AND call_id = $2",
            [tenant.into(), id.into()],
        )
        .await?;
    let Some(row) = row else {
        return Ok(CallQuality { task: None, rule_score: None, marks: Vec::new(), judge: None, feedback });
    };
    let judge = JudgeScore {
        score: score(&row, "judge_score")?.map(Score::fraction),
        reason: row.get("judge_reason")?,
        error: row.get("judge_error")?,
        model: row.get("judge_model")?,
        call_id: row.get("judge_call_id")?,
    };
    Ok(CallQuality {
        task: Some(row.get("task")?),
        rule_score: score(&row, "rule_score")?.map(Score::fraction),
        marks: marks(&row)?,
        judge: (judge.score.is_some() || judge.error.is_some()).then_some(judge),
        feedback,
    })
}

/// The scores since a day, summed up by what is asked for. Most scores first.
pub(crate) async fn sums(tx: &mut Tx, since_day: i64, groups: ScoreGroups) -> Result<Vec<ScoreSums>> {
    let tenant = tx.tenant()?;
    let rows = tx
        .fetch_all(
            "SELECT CASE WHEN CAST($3 AS BIGINT) = 1 THEN day ELSE 0 END AS day,
               CASE WHEN CAST($4 AS BIGINT) = 1 THEN model ELSE '' END AS model,
               CASE WHEN CAST($5 AS BIGINT) = 1 THEN route ELSE '' END AS route,
               CASE WHEN CAST($6 AS BIGINT) = 1 THEN task ELSE '' END AS task,
               CASE WHEN CAST($7 AS BIGINT) = 1 THEN source ELSE '' END AS source,
               CAST(SUM(scores) AS BIGINT) AS scores, CAST(SUM(score_sum) AS BIGINT) AS score_sum,
               CAST(SUM(square_sum) AS BIGINT) AS square_sum
             FROM model_quality_sums WHERE tenant_id = $1 AND day >= $2
             GROUP BY 1, 2, 3, 4, 5 ORDER BY 6 DESC, 1, 2, 3, 4, 5 LIMIT $8",
            [
                tenant.into(),
                since_day.into(),
                groups.day.into(),
                groups.model.into(),
                groups.route.into(),
                groups.task.into(),
                groups.source.into(),
                GROUPS_MAX.into(),
            ],
        )
        .await?;
    rows.iter()
        .map(|row| {
            let source: String = row.get("source")?;
            Ok(ScoreSums {
                day: groups.day.then(|| row.get("day")).transpose()?,
                model: groups.model.then(|| row.get("model")).transpose()?,
                route: groups.route.then(|| row.get("route")).transpose()?,
                task: groups.task.then(|| row.get("task")).transpose()?,
                source: groups.source.then(|| source.parse()).transpose()?,
                scores: row.get("scores")?,
                score_sum: row.get("score_sum")?,
                square_sum: row.get("square_sum")?,
            })
        })
        .collect()
}

/// One row of sums, to learn from.
pub(crate) struct Learned {
    pub(crate) subject: Subject,
    pub(crate) source: ScoreSource,
    pub(crate) scores: i64,
    pub(crate) score_sum: i64,
}

/// The newest sums since a day.
pub(crate) async fn learned(tx: &mut Tx, since_day: i64) -> Result<Vec<Learned>> {
    let tenant = tx.tenant()?;
    let rows = tx
        .fetch_all(
            "SELECT day, model, route, task, source, scores, score_sum FROM model_quality_sums
             WHERE tenant_id = $1 AND day >= $2 ORDER BY day DESC LIMIT $3",
            [tenant.into(), since_day.into(), LEARNED_ROWS_MAX.into()],
        )
        .await?;
    rows.iter()
        .map(|row| {
            Ok(Learned {
                subject: Subject {
                    day: row.get("day")?,
                    model: row.get("model")?,
                    route: row.get("route")?,
                    task: row.get("task")?,
                },
                source: row.get::<String>("source")?.parse()?,
                scores: row.get("scores")?,
                score_sum: row.get("score_sum")?,
            })
        })
        .collect()
}

/// The settings without the judge's limit, which is a budget.
pub(crate) async fn settings(tx: &mut Tx) -> Result<QualitySettings> {
    let tenant = tx.tenant()?;
    let row = tx
        .fetch_optional(
            "SELECT judge_model, judge_share, rubric, cost_weight FROM model_quality_settings WHERE tenant_id = $1",
            [tenant.into()],
        )
        .await?;
    let Some(row) = row else { return Ok(QualitySettings::default()) };
    Ok(QualitySettings {
        judge_model: row.get("judge_model")?,
        judge_share: row.get::<i64>("judge_share")? as f64 / SHARE_SCALE,
        rubric: row.get::<Option<String>>("rubric")?.unwrap_or_else(|| RUBRIC_DEFAULT.to_owned()),
        cost_weight: row.get::<i64>("cost_weight")? as f64 / WEIGHT_SCALE,
        ..QualitySettings::default()
    })
}

pub(crate) async fn put_settings(tx: &mut Tx, settings: &QualitySettings) -> Result<()> {
    let tenant = tx.tenant()?;
    let now = tx.ctx().now();
    // Within 10^9: the verb has checked both.
    #[allow(clippy::cast_possible_truncation)]
    let scaled = |number: f64, scale: f64| (number * scale).round() as i64;
    let rubric = Some(settings.rubric.as_str()).filter(|rubric| *rubric != RUBRIC_DEFAULT);
    tx.execute(
        "INSERT INTO model_quality_settings (tenant_id, judge_model, judge_share, rubric, cost_weight, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (tenant_id) DO UPDATE SET judge_model = $2, judge_share = $3, rubric = $4, cost_weight = $5,
           updated_at = $6",
        [
            tenant.into(),
            settings.judge_model.as_deref().into(),
            scaled(settings.judge_share, SHARE_SCALE).into(),
            rubric.into(),
            scaled(settings.cost_weight, WEIGHT_SCALE).into(),
            now.into(),
        ],
    )
    .await
    .map(drop)
}

/// Keeps a sealed question and answer for the judge; `false` when they wait already.
pub(crate) async fn put_judge_work(tx: &mut Tx, id: CallId, sealed: Vec<u8>, now: Timestamp) -> Result<bool> {
    let tenant = tx.tenant()?;
    let inserted = tx
        .execute(
            "INSERT INTO model_judge_work (tenant_id, call_id, sealed, created_at) VALUES ($1, $2, $3, $4)
             ON CONFLICT (tenant_id, call_id) DO NOTHING",
            [tenant.into(), id.into(), sealed.into(), now.into()],
        )
        .await?;
    Ok(inserted > 0)
}

pub(crate) async fn judge_work(tx: &mut Tx, id: CallId) -> Result<Option<Vec<u8>>> {
    let tenant = tx.tenant()?;
    let row = tx
        .fetch_optional(
            "SELECT sealed FROM model_judge_work WHERE tenant_id = $1 AND call_id = $2",
            [tenant.into(), id.into()],
        )
        .await?;
    row.map(|row| row.get("sealed")).transpose()
}

pub(crate) async fn delete_judge_work(tx: &mut Tx, id: CallId) -> Result<()> {
    let tenant = tx.tenant()?;
    tx.execute("DELETE FROM model_judge_work WHERE tenant_id = $1 AND call_id = $2", [tenant.into(), id.into()])
        .await
        .map(drop)
}
