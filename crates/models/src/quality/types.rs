use std::str::FromStr;

use plasma_kernel::{Actor, CallId, Error, Result, Timestamp};
use serde::{Deserialize, Serialize};

use crate::types::words;

/// The rubric by which the judge scores, when a workspace has no own.
pub(crate) const RUBRIC_DEFAULT: &str = "\
1.0: correct, complete, follows every instruction of the question, and says nothing that its sources do not support.
0.75: correct and useful, with small gaps or needless text.
0.5: partly right or partly useful: something important is missing, vague or unsupported.
0.25: mostly wrong, off the topic, or ignores an instruction that matters.
0.0: wrong, harmful, empty, or refuses a request that it could fulfil.
Judge only what is asked for. Length is no merit. A text that says honestly that it does not know is better than an invention.";

words! {
    /// Where a score comes from.
    ScoreSource, "source" {
        /// The rules' marks, combined.
        Rules = "rules",
        /// The judge's.
        Judge = "judge",
        /// A person's, or a program's.
        Feedback = "feedback",
    }
}

impl ScoreSource {
    /// How much one score of it counts in the choice of a model, in opinions of one person. Rules see the form only, and
    /// there are many of them.
    pub(crate) fn weight(self) -> f64 {
        match self {
            Self::Rules => 0.25,
            Self::Judge | Self::Feedback => 1.0,
        }
    }
}

/// A score from 0 to 1, in thousandths.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Score(i64);

/// Thousandths in one.
pub(crate) const SCORE_SCALE: i64 = 1_000;

impl Score {
    /// `None` when it is not within 0 and 1.
    pub(crate) fn of(fraction: f64) -> Option<Self> {
        #[allow(clippy::cast_possible_truncation)] // at most 1,000
        (0.0..=1.0).contains(&fraction).then(|| Self((fraction * SCORE_SCALE as f64).round() as i64))
    }

    /// What a column holds.
    pub(crate) fn of_thousandths(thousandths: i64) -> Self {
        Self(thousandths.clamp(0, SCORE_SCALE))
    }

    pub(crate) fn thousandths(self) -> i64 {
        self.0
    }

    pub(crate) fn fraction(self) -> f64 {
        self.0 as f64 / SCORE_SCALE as f64
    }
}

/// What one rule says of an answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Mark {
    /// `schema`, `refusal`, `truncation`, `language` or `citations`.
    #[schema(example = "truncation")]
    pub name: String,
    /// 0 (bad) to 1.
    pub value: f64,
    /// Why, for a person.
    pub reason: String,
}

/// What the judge says of an answer.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
#[schema(as = JudgeScore)]
pub struct JudgeScore {
    /// 0 to 1; null when the judge gave none.
    #[schema(required)]
    pub score: Option<f64>,
    /// Why, in the judge's words.
    #[schema(required)]
    pub reason: Option<String>,
    /// Why there is no score.
    #[schema(required)]
    pub error: Option<String>,
    /// The model that judged.
    #[schema(required)]
    pub model: Option<String>,
    /// The judge's own call.
    #[schema(required)]
    pub call_id: Option<CallId>,
}

/// What somebody thinks of an answer.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
#[schema(as = CallFeedback)]
pub struct Feedback {
    /// Who rated.
    pub actor: Actor,
    /// 0 (bad) to 1, in steps of a thousandth.
    pub score: f64,
    /// In words.
    #[schema(required)]
    pub comment: Option<String>,
    /// Short words such as `wrong` or `too-long`.
    pub labels: Vec<String>,
    /// When the first of the actor's ratings came, in microseconds since 1970 UTC.
    pub created_at: Timestamp,
    /// When it was last replaced.
    pub updated_at: Timestamp,
}

/// A rating to give.
#[derive(Clone, Debug, Default)]
pub struct NewFeedback {
    /// 0 (bad) to 1.
    pub score: f64,
    /// At most 2,000 characters.
    pub comment: Option<String>,
    /// At most 10 of at most 50 characters.
    pub labels: Vec<String>,
}

/// What is known of the quality of one call's answer.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct CallQuality {
    /// Under which its scores are summed up: the header `plasma-task`, or the call's purpose.
    #[schema(required)]
    pub task: Option<String>,
    /// The lowest of the marks; null while the rules have not been applied.
    #[schema(required)]
    pub rule_score: Option<f64>,
    /// What each rule says. Rules that do not apply give none.
    pub marks: Vec<Mark>,
    /// What the judge says; null when it was not asked.
    #[schema(required)]
    pub judge: Option<JudgeScore>,
    /// What people and programs say, the newest first; at most 200.
    pub feedback: Vec<Feedback>,
}

/// What a workspace says about quality.
#[derive(Clone, Debug, PartialEq)]
pub struct QualitySettings {
    /// The chat model that judges; `None`: nothing is judged.
    pub judge_model: Option<String>,
    /// The part of chat calls that are judged, 0 to 1, in steps of a millionth.
    pub judge_share: f64,
    /// By what the judge scores.
    pub rubric: String,
    /// What the judge may cost in a calendar month (UTC), in millionths of `currency`. `None`: nothing is judged.
    pub judge_limit_micros: Option<i64>,
    /// ISO 4217 code.
    pub currency: String,
    /// How much the cost counts against the quality in the strategy `bandit`: 0 (not at all) to 10.
    pub cost_weight: f64,
}

impl Default for QualitySettings {
    /// No judge.
    fn default() -> Self {
        Self {
            judge_model: None,
            judge_share: 0.0,
            rubric: RUBRIC_DEFAULT.to_owned(),
            judge_limit_micros: None,
            currency: "USD".to_owned(),
            cost_weight: 0.2,
        }
    }
}

impl QualitySettings {
    /// The judge's model, where it may work at all.
    pub(crate) fn judge(&self) -> Option<&str> {
        self.judge_limit_micros?;
        self.judge_model.as_deref().filter(|_| self.judge_share > 0.0)
    }
}

/// By what scores are summed up.
#[derive(Clone, Copy, Debug, Default)]
pub struct ScoreGroups {
    /// By day.
    pub day: bool,
    /// By the model that answered.
    pub model: bool,
    /// By the route that chose it.
    pub route: bool,
    /// By task.
    pub task: bool,
    /// By where the scores come from.
    pub source: bool,
}

/// Scores of one group, summed up.
#[derive(Clone, Debug, PartialEq)]
pub struct ScoreSums {
    /// Days since 1970-01-01 UTC, when it is asked for.
    pub day: Option<i64>,
    /// The model, when it is asked for.
    pub model: Option<String>,
    /// The route, when it is asked for; empty for calls that named a model.
    pub route: Option<String>,
    /// The task, when it is asked for.
    pub task: Option<String>,
    /// Where the scores come from, when it is asked for.
    pub source: Option<ScoreSource>,
    /// How many scores.
    pub scores: i64,
    /// Their sum, in thousandths.
    pub score_sum: i64,
    /// The sum of their squares, in millionths.
    pub square_sum: i64,
}

impl ScoreSums {
    /// The mean score; `None` without a score.
    pub fn mean(&self) -> Option<f64> {
        (self.scores > 0).then(|| self.score_sum as f64 / self.scores as f64 / SCORE_SCALE as f64)
    }

    /// The standard deviation of the scores (of the sample); `None` with fewer than two.
    pub fn deviation(&self) -> Option<f64> {
        let scores = self.scores as f64;
        let mean = self.mean().filter(|_| self.scores > 1)?;
        let squares = self.square_sum as f64 / (SCORE_SCALE * SCORE_SCALE) as f64;
        Some(((squares - scores * mean * mean) / (scores - 1.0)).max(0.0).sqrt())
    }

    /// The 95% confidence interval of the mean by Wilson (1927), as if every score were a yes or a no. Scores in between vary
    /// less, so that it is wide rather than narrow; it holds for few scores too.
    pub fn interval(&self) -> Option<(f64, f64)> {
        const Z: f64 = 1.959_963_984_540_054;
        let (scores, mean) = (self.scores as f64, self.mean()?);
        let scale = 1.0 + Z * Z / scores;
        let center = (mean + Z * Z / (2.0 * scores)) / scale;
        let half = Z / scale * (mean * (1.0 - mean) / scores + Z * Z / (4.0 * scores * scores)).sqrt();
        Some(((center - half).max(0.0), (center + half).min(1.0)))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn sums(scores: &[f64]) -> ScoreSums {
        let scores: Vec<i64> = scores.iter().map(|score| Score::of(*score).unwrap().thousandths()).collect();
        ScoreSums {
            day: None,
            model: None,
            route: None,
            task: None,
            source: None,
            scores: scores.len() as i64,
            score_sum: scores.iter().sum(),
            square_sum: scores.iter().map(|score| score * score).sum(),
        }
    }

    #[test]
    fn means_deviations_and_intervals_are_those_of_the_textbook() {
        let close = |a: f64, b: f64| assert!((a - b).abs() < 5e-4, "{a} is not {b}");
        let some = sums(&[0.2, 0.4, 0.9]);
        close(some.mean().unwrap(), 0.5);
        close(some.deviation().unwrap(), 0.360_555);
        // Wilson's interval of 8 of 10: 0.4902 to 0.9433.
        let (low, high) = sums(&[1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.0, 0.0]).interval().unwrap();
        close(low, 0.4902);
        close(high, 0.9433);
        // One score says little, and no bound leaves 0 to 1.
        let (low, high) = sums(&[1.0]).interval().unwrap();
        close(low, 0.2065);
        close(high, 1.0);
        assert_eq!((sums(&[]).mean(), sums(&[1.0]).deviation()), (None, None));
    }

    #[test]
    fn scores_are_from_0_to_1() {
        assert_eq!(Score::of(0.8504).unwrap().thousandths(), 850);
        for wrong in [-0.001, 1.001, f64::NAN, f64::INFINITY] {
            assert_eq!(Score::of(wrong), None);
        }
    }
}
