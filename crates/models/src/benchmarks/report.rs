//! What the results of runs say about each model, and about each two of them.

use std::collections::{BTreeMap, HashMap};

use plasma_kernel::{BenchmarkId, Money};
use serde::Serialize;

use super::{
    Benchmark, CaseResult,
    stats::{self, Estimate},
    suite::{Case, Suite},
};

/// Models (each of one run) that are compared.
pub const SUBJECTS_MAX: usize = 20;

/// The results of one run or several, summed up.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
#[schema(as = BenchmarkReport)]
pub struct Report {
    /// The models of each run, in the runs' order.
    pub models: Vec<ModelReport>,
    /// Each two of them that have cases in common.
    pub comparisons: Vec<Comparison>,
    /// Every case, in the suites' order.
    pub cases: Vec<CaseScores>,
}

/// How a model did in a run.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
#[schema(as = BenchmarkModelReport)]
pub struct ModelReport {
    /// The run.
    pub benchmark: BenchmarkId,
    /// Its name.
    pub benchmark_name: String,
    /// The model, route or alias that was asked.
    pub model: String,
    /// Cases that were answered.
    pub answered: usize,
    /// Cases whose call failed. They count in nothing else here.
    pub failed: usize,
    /// The mean score of answered cases, 0 to 1: Wilson's interval when all scores are 0 or 1, else a bootstrap's.
    #[schema(required)]
    pub quality: Option<Estimate>,
    /// The median of the milliseconds to the first token.
    #[schema(required)]
    pub first_token_ms: Option<Estimate>,
    /// The median of the tokens written in a second, from the first token to the end.
    #[schema(required)]
    pub tokens_per_second: Option<Estimate>,
    /// The median of the milliseconds of a whole answer.
    #[schema(required)]
    pub duration_ms: Option<Estimate>,
    /// What the answered cases have cost together; null when the cost of one is unknown.
    #[schema(required)]
    pub cost: Option<Money>,
    /// The mean cost of a case in millionths of the currency.
    #[schema(required)]
    pub cost_micros_per_case: Option<f64>,
    /// The mean score by category, in the order of their names.
    pub categories: Vec<CategoryScore>,
}

/// A model's mean score in a category.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
#[schema(as = BenchmarkCategoryScore)]
pub struct CategoryScore {
    /// The category.
    pub category: String,
    /// The mean score of its answered cases.
    pub quality: Estimate,
}

/// Two models on the cases that both have answered.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
#[schema(as = BenchmarkComparison)]
pub struct Comparison {
    /// The place of one in `models`.
    pub one: usize,
    /// The place of the other.
    pub other: usize,
    /// The mean of the score of the one minus that of the other, by a paired bootstrap.
    pub difference: Estimate,
    /// Cases that only the one passed (with the score 1).
    pub only_one: usize,
    /// Cases that only the other passed.
    pub only_other: usize,
    /// McNemar's exact test: how likely equally good models differ at least so much. Below 0.05 is usually called a
    /// difference; with many pairs some are below it by chance.
    pub p_value: f64,
}

/// A case and how each model did.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
#[schema(as = BenchmarkCaseScores)]
pub struct CaseScores {
    /// The case.
    pub id: String,
    /// Its category.
    #[schema(required)]
    pub category: Option<String>,
    /// The scores in the order of `models`; null where it was not asked or the call failed.
    pub scores: Vec<Option<f64>>,
}

/// A run with everything that was asked and answered.
pub(super) struct Run {
    pub(super) benchmark: Benchmark,
    pub(super) suite: Suite,
    pub(super) results: Vec<CaseResult>,
}

/// A model of a run, and its results by case.
struct Subject<'a> {
    run: &'a Run,
    model: &'a str,
    results: HashMap<&'a str, &'a CaseResult>,
}

/// Sums up at most [`SUBJECTS_MAX`] models. Takes some tens of milliseconds when there are many cases.
pub(super) fn report(runs: &[Run]) -> Report {
    let subjects: Vec<Subject<'_>> = runs
        .iter()
        .flat_map(|run| run.benchmark.models.iter().map(move |model| (run, model.as_str())))
        .take(SUBJECTS_MAX)
        .map(|(run, model)| {
            let own = run.results.iter().filter(|result| result.model == model);
            Subject { run, model, results: own.map(|result| (result.case.as_str(), result)).collect() }
        })
        .collect();
    // A case of two runs is the same one only when it asks and checks the same.
    let mut cases: Vec<&Case> = Vec::new();
    for case in runs.iter().flat_map(|run| &run.suite.cases) {
        if !cases.iter().any(|known| known.id == case.id) {
            cases.push(case);
        }
    }
    let scores: Vec<CaseScores> = cases
        .iter()
        .map(|case| CaseScores {
            id: case.id.clone(),
            category: case.category.clone(),
            scores: subjects.iter().map(|subject| subject.score(case)).collect(),
        })
        .collect();
    let mut comparisons = Vec::new();
    for one in 0..subjects.len() {
        comparisons.extend((one + 1..subjects.len()).filter_map(|other| compare(&scores, one, other)));
    }
    Report { models: subjects.iter().map(Subject::report).collect(), comparisons, cases: scores }
}

impl Subject<'_> {
    fn score(&self, case: &Case) -> Option<f64> {
        let own = self.run.suite.cases.iter().find(|own| own.id == case.id)?;
        if own.prompt != case.prompt || own.system != case.system || own.check != case.check {
            return None;
        }
        self.results.get(case.id.as_str())?.score
    }

    fn report(&self) -> ModelReport {
        let answered: Vec<&CaseResult> =
            self.results.values().copied().filter(|result| result.score.is_some()).collect();
        let scores: Vec<f64> = sorted(answered.iter().filter_map(|result| result.score));
        let milliseconds = |of: fn(&CaseResult) -> Option<u64>| {
            stats::median_of(&sorted(answered.iter().filter_map(|result| of(result)).map(|number| number as f64)))
        };
        let cost = total(&answered);
        ModelReport {
            benchmark: self.run.benchmark.id,
            benchmark_name: self.run.benchmark.name.clone(),
            model: self.model.to_owned(),
            answered: answered.len(),
            failed: self.results.len() - answered.len(),
            quality: stats::mean_score(&scores),
            first_token_ms: milliseconds(|result| result.first_token_ms),
            duration_ms: milliseconds(|result| Some(result.duration_ms)),
            tokens_per_second: stats::median_of(&sorted(
                answered.iter().filter_map(|result| result.tokens_per_second()),
            )),
            cost_micros_per_case: cost.as_ref().map(|cost| cost.amount_micros as f64 / answered.len() as f64),
            cost,
            categories: self.categories(),
        }
    }

    fn categories(&self) -> Vec<CategoryScore> {
        let mut scores: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
        for case in &self.run.suite.cases {
            if let (Some(category), Some(score)) = (&case.category, self.score(case)) {
                scores.entry(category).or_default().push(score);
            }
        }
        let score = |(category, scores): (&str, Vec<f64>)| {
            Some(CategoryScore { category: category.to_owned(), quality: stats::mean_score(&scores)? })
        };
        scores.into_iter().filter_map(score).collect()
    }
}

/// In an order that does not depend on a hash map's, so that a bootstrap repeats.
fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_unstable_by(f64::total_cmp);
    values
}

/// The sum of all costs; `None` when one is unknown, or a route's models have prices in several currencies.
fn total(answered: &[&CaseResult]) -> Option<Money> {
    let mut costs = answered.iter().map(|result| result.cost.as_ref());
    let mut sum = costs.next()??.clone();
    for cost in costs {
        let cost = cost.filter(|cost| cost.currency == sum.currency)?;
        sum.amount_micros = sum.amount_micros.checked_add(cost.amount_micros)?;
    }
    Some(sum)
}

fn compare(cases: &[CaseScores], one: usize, other: usize) -> Option<Comparison> {
    let score = |case: &CaseScores, place: usize| case.scores.get(place).copied().flatten();
    let pairs: Vec<(f64, f64)> =
        cases.iter().filter_map(|case| Some((score(case, one)?, score(case, other)?))).collect();
    let differences: Vec<f64> = pairs.iter().map(|(a, b)| a - b).collect();
    let passed = |score: f64| score >= 1.0;
    let only_one = pairs.iter().filter(|(a, b)| passed(*a) && !passed(*b)).count();
    let only_other = pairs.iter().filter(|(a, b)| !passed(*a) && passed(*b)).count();
    Some(Comparison {
        one,
        other,
        difference: stats::mean_difference(&differences)?,
        only_one,
        only_other,
        p_value: stats::mcnemar_p(only_one, only_other),
    })
}
