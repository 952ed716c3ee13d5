//! What scores say of a model: a Beta distribution of its quality, from which routes choose.
//!
//! Each score `s` counts as `w·s` successes and `w·(1 − s)` failures, where `w` is the weight of its source, halved for every
//! [`HALF_LIFE_DAYS`] of its age, so that a model that got better or worse is noticed. An arm is a model for one route and one task.
//! What other routes and tasks say of the model counts for it as at most [`BORROWED_MAX`] opinions: a new route does not begin
//! from nothing.
//!
//! The strategy `bandit` draws a quality `q` from each arm's posterior (Thompson, 1933; Chapelle and Li, "An Empirical Evaluation of
//! Thompson Sampling", 2011) and asks the arm with the highest utility `q − cost_weight · c`, where `c` is the expected cost of this
//! request divided by that of the dearest candidate. `highest_quality` asks the arm with the highest posterior mean; where nothing
//! is measured the dearer model is taken for the better.

use std::collections::HashMap;

use plasma_kernel::Random;

use super::types::SCORE_SCALE;
use crate::{Strategy, store::quality::Learned};

/// After so many days an observation counts half.
const HALF_LIFE_DAYS: f64 = 14.0;
/// Older observations count less than 1.2% and are not read.
pub(super) const LEARNED_DAYS: i64 = 90;
/// Opinions that an arm takes over from the model's other arms, at most.
const BORROWED_MAX: f64 = 10.0;
/// The prior of the strategy `highest_quality`, in opinions, and its mean for the cheapest and the dearest candidate.
const RANK_OPINIONS: f64 = 2.0;
const RANK_MEANS: (f64, f64) = (0.3, 0.7);

/// What was observed, weighted.
#[derive(Clone, Copy, Debug, Default)]
struct Evidence {
    successes: f64,
    failures: f64,
}

impl Evidence {
    fn total(self) -> f64 {
        self.successes + self.failures
    }

    fn add(&mut self, successes: f64, failures: f64) {
        self.successes += successes;
        self.failures += failures;
    }

    fn without(self, part: Self) -> Self {
        Self {
            successes: (self.successes - part.successes).max(0.0),
            failures: (self.failures - part.failures).max(0.0),
        }
    }

    /// The same proportion, of so many opinions at most.
    fn at_most(self, opinions: f64) -> Self {
        let scale = if self.total() > opinions { opinions / self.total() } else { 1.0 };
        Self { successes: self.successes * scale, failures: self.failures * scale }
    }
}

/// A distribution of a model's quality; both parameters are above 0.
#[derive(Clone, Copy, Debug)]
pub(super) struct Beta {
    alpha: f64,
    beta: f64,
}

impl Beta {
    fn mean(self) -> f64 {
        self.alpha / (self.alpha + self.beta)
    }

    /// A draw, from two of the Gamma distribution. Both parameters are at least 1.
    fn draw(self, random: &Random) -> f64 {
        let (x, y) = (gamma(self.alpha, random), gamma(self.beta, random));
        x / (x + y)
    }
}

/// A draw from the Gamma distribution with a shape of at least 1, by Marsaglia and Tsang (2000).
fn gamma(shape: f64, random: &Random) -> f64 {
    /// Nineteen of twenty draws are taken at once.
    const TRIES: u32 = 100;
    let d = shape.max(1.0) - 1.0 / 3.0;
    let c = 1.0 / (9.0 * d).sqrt();
    for _ in 0..TRIES {
        let normal = normal(random);
        let v = (1.0 + c * normal).powi(3);
        if v > 0.0 && (1.0 - random.fraction()).ln() < 0.5 * normal * normal + d - d * v + d * v.ln() {
            return d * v;
        }
    }
    d
}

/// A draw from the normal distribution, by Box and Muller.
fn normal(random: &Random) -> f64 {
    // Above 0, for the logarithm.
    let radius = (-2.0 * (1.0 - random.fraction()).ln()).sqrt();
    radius * (std::f64::consts::TAU * random.fraction()).cos()
}

/// What is known of all models of a tenant.
#[derive(Debug, Default)]
pub(crate) struct Book {
    /// By model, route and task.
    arms: HashMap<String, HashMap<(String, String), Evidence>>,
    models: HashMap<String, Evidence>,
    /// As in [`crate::QualitySettings`].
    cost_weight: f64,
}

/// A model that a route may ask.
pub(crate) struct Arm<'a> {
    pub(crate) model: &'a str,
    /// The expected cost of this request; `None` when unknown.
    pub(crate) cost_micros: Option<i64>,
}

/// What a candidate is ordered by, the lowest first, and why.
pub(crate) type Rated = (f64, String);

impl Book {
    pub(super) fn learn(rows: Vec<Learned>, today: i64, cost_weight: f64) -> Self {
        let mut book = Self { cost_weight, ..Self::default() };
        for row in rows {
            let age_days = (today - row.subject.day).max(0) as f64;
            let weight = row.source.weight() * 0.5_f64.powf(age_days / HALF_LIFE_DAYS);
            let good = row.score_sum as f64 / SCORE_SCALE as f64;
            let (successes, failures) = (weight * good, weight * (row.scores as f64 - good).max(0.0));
            book.models.entry(row.subject.model.clone()).or_default().add(successes, failures);
            let arms = book.arms.entry(row.subject.model).or_default();
            arms.entry((row.subject.route, row.subject.task)).or_default().add(successes, failures);
        }
        book
    }

    fn posterior(&self, key: &(String, String), model: &str, prior: Beta) -> Beta {
        let own = self.arms.get(model).and_then(|arms| arms.get(key)).copied().unwrap_or_default();
        let all = self.models.get(model).copied().unwrap_or_default();
        let borrowed = all.without(own).at_most(BORROWED_MAX);
        Beta {
            alpha: prior.alpha + borrowed.successes + own.successes,
            beta: prior.beta + borrowed.failures + own.failures,
        }
    }

    /// Rates a route's candidates for a task, in their order.
    pub(crate) fn rate(
        &self,
        strategy: Strategy,
        route: &str,
        task: &str,
        arms: &[Arm<'_>],
        random: &Random,
    ) -> Vec<Rated> {
        let key = (route.to_owned(), task.to_owned());
        let dearest = arms.iter().filter_map(|arm| arm.cost_micros).max().unwrap_or(0);
        arms.iter()
            .map(|arm| match strategy {
                Strategy::HighestQuality => self.rate_mean(&key, arm, arms),
                _ => self.rate_draw(&key, arm, dearest, random),
            })
            .collect()
    }

    fn rate_draw(&self, key: &(String, String), arm: &Arm<'_>, dearest: i64, random: &Random) -> Rated {
        let posterior = self.posterior(key, arm.model, Beta { alpha: 1.0, beta: 1.0 });
        let quality = posterior.draw(random);
        let share = match arm.cost_micros {
            Some(_) if dearest == 0 => 0.0,
            Some(cost) => cost as f64 / dearest as f64,
            // What is unknown may be dear.
            None => 1.0,
        };
        let utility = quality - self.cost_weight * share;
        let reason = format!(
            "quality {quality:.3} drawn from Beta({:.1}, {:.1}), less {} x {share:.3} of the dearest cost: utility {utility:.3}",
            posterior.alpha, posterior.beta, self.cost_weight
        );
        (1.0 - utility, reason)
    }

    fn rate_mean(&self, key: &(String, String), arm: &Arm<'_>, arms: &[Arm<'_>]) -> Rated {
        let rank = price_rank(arm, arms);
        let prior_mean = RANK_MEANS.0 + (RANK_MEANS.1 - RANK_MEANS.0) * rank;
        let prior = Beta { alpha: RANK_OPINIONS * prior_mean, beta: RANK_OPINIONS * (1.0 - prior_mean) };
        let posterior = self.posterior(key, arm.model, prior);
        let opinions = posterior.alpha + posterior.beta - RANK_OPINIONS;
        let reason = if opinions > 0.0 {
            format!("mean quality {:.3} by {opinions:.1} opinions", posterior.mean())
        } else {
            format!("not measured yet; {prior_mean:.2} by its price among the candidates")
        };
        (1.0 - posterior.mean(), reason)
    }
}

/// From 0 for the cheapest candidate to 1 for the dearest; the middle where the price is unknown or all are alike.
fn price_rank(arm: &Arm<'_>, arms: &[Arm<'_>]) -> f64 {
    const MIDDLE: f64 = 0.5;
    let Some(cost) = arm.cost_micros else { return MIDDLE };
    let known: Vec<i64> = arms.iter().filter_map(|arm| arm.cost_micros).collect();
    let cheaper = known.iter().filter(|other| **other < cost).count();
    let dearer = known.iter().filter(|other| **other > cost).count();
    if cheaper + dearer == 0 { MIDDLE } else { cheaper as f64 / (cheaper + dearer) as f64 }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;
    use crate::{ScoreSource, store::quality::Subject};

    fn row(day: i64, model: &str, route: &str, scores: i64, score_sum: i64) -> Learned {
        let subject = Subject { day, model: model.to_owned(), route: route.to_owned(), task: "api".to_owned() };
        Learned { subject, source: ScoreSource::Feedback, scores, score_sum }
    }

    /// Calls of a day, with the same costs for all.
    const CALLS_A_DAY: usize = 40;

    struct Outcome {
        /// Expected quality that was missed, over all calls.
        regret: f64,
        /// The part of the last week's calls that went to the best.
        best_lately: f64,
    }

    /// Plays `days` days of a route with models of the true qualities `truth(day)`; the book is learned each night, as from the
    /// sums. `choose` picks a model.
    fn play(days: i64, truth: impl Fn(i64) -> [f64; 3], choose: impl Fn(&Book, &Random) -> usize) -> Outcome {
        const MODELS: [&str; 3] = ["a", "b", "c"];
        let random = Random::seeded(7);
        let mut rows: Vec<Learned> = Vec::new();
        let mut outcome = Outcome { regret: 0.0, best_lately: 0.0 };
        let mut lately = 0;
        for day in 0..days {
            let learned = rows.iter().map(|row| Learned { subject: row.subject.clone(), ..*row }).collect();
            let book = Book::learn(learned, day, 0.0);
            let qualities = truth(day);
            let best = qualities.iter().copied().fold(0.0, f64::max);
            let mut sums = [(0, 0); 3];
            for _ in 0..CALLS_A_DAY {
                let chosen = choose(&book, &random);
                outcome.regret += best - qualities[chosen];
                sums[chosen].0 += 1;
                sums[chosen].1 += if random.fraction() < qualities[chosen] { SCORE_SCALE } else { 0 };
                if day >= days - 7 {
                    lately += 1;
                    outcome.best_lately += f64::from(u8::from(qualities[chosen] == best));
                }
            }
            let of_day = sums.iter().zip(MODELS).filter(|((scores, _), _)| *scores > 0);
            rows.extend(of_day.map(|((scores, sum), model)| row(day, model, "smart", *scores, *sum)));
        }
        outcome.best_lately /= f64::from(lately);
        outcome
    }

    fn bandit(book: &Book, random: &Random) -> usize {
        let arms = ["a", "b", "c"].map(|model| Arm { model, cost_micros: Some(5) });
        let rated = book.rate(Strategy::Bandit, "smart", "api", &arms, random);
        (0..3).min_by(|a, b| rated[*a].0.total_cmp(&rated[*b].0)).unwrap()
    }

    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    fn uniform(_: &Book, random: &Random) -> usize {
        (random.fraction() * 3.0) as usize
    }

    #[test]
    fn the_bandit_finds_the_better_model_and_regrets_less_than_chance() {
        let truth = |_| [0.55, 0.8, 0.6];
        let (learned, chance) = (play(60, truth, bandit), play(60, truth, uniform));
        assert!(learned.best_lately > 0.9, "{} of the last calls went to the best", learned.best_lately);
        assert!(learned.regret < chance.regret / 3.0, "{} against {}", learned.regret, chance.regret);
        assert!(chance.best_lately < 0.5, "{}", chance.best_lately);
    }

    #[test]
    fn the_bandit_follows_when_the_better_model_becomes_the_worse() {
        let truth = |day| if day < 60 { [0.9, 0.6, 0.5] } else { [0.4, 0.8, 0.5] };
        let learned = play(120, truth, bandit);
        assert!(learned.best_lately > 0.9, "{} of the last calls went to the best", learned.best_lately);
    }

    #[test]
    fn draws_have_the_moments_of_the_distribution() {
        let random = Random::seeded(3);
        for (alpha, beta) in [(1.0, 1.0), (2.0, 5.0), (40.0, 3.0)] {
            let draws: Vec<f64> = (0..20_000).map(|_| Beta { alpha, beta }.draw(&random)).collect();
            let mean = draws.iter().sum::<f64>() / draws.len() as f64;
            let variance = draws.iter().map(|draw| (draw - mean).powi(2)).sum::<f64>() / draws.len() as f64;
            let total: f64 = alpha + beta;
            assert!((mean - alpha / total).abs() < 0.006, "Beta({alpha}, {beta}): mean {mean}");
            let expected = alpha * beta / (total * total * (total + 1.0));
            assert!((variance / expected - 1.0).abs() < 0.06, "Beta({alpha}, {beta}): variance {variance}");
        }
    }

    #[test]
    fn cost_counts_against_quality() {
        // Both are certainly good; one costs a hundredth.
        let rows = || vec![row(0, "dear", "smart", 2_000, 1_900_000), row(0, "cheap", "smart", 2_000, 1_800_000)];
        let arms = [Arm { model: "dear", cost_micros: Some(1_000) }, Arm { model: "cheap", cost_micros: Some(10) }];
        let first = |weight| {
            let rated =
                Book::learn(rows(), 0, weight).rate(Strategy::Bandit, "smart", "api", &arms, &Random::seeded(1));
            assert!(rated[0].1.contains("drawn from Beta("), "{}", rated[0].1);
            if rated[0].0 < rated[1].0 { "dear" } else { "cheap" }
        };
        assert_eq!((first(0.0), first(0.2)), ("dear", "cheap"));
    }

    #[test]
    fn the_highest_quality_is_the_dearest_until_it_is_measured() {
        let arms = |costs: [Option<i64>; 3]| {
            ["a", "b", "c"]
                .into_iter()
                .zip(costs)
                .map(|(model, cost_micros)| Arm { model, cost_micros })
                .collect::<Vec<_>>()
        };
        let best = |book: &Book, arms: &[Arm<'_>]| {
            let rated = book.rate(Strategy::HighestQuality, "auto-best", "api", arms, &Random::seeded(1));
            let best = (0..3).min_by(|a, b| rated[*a].0.total_cmp(&rated[*b].0)).unwrap();
            (best, rated[best].1.clone())
        };
        let priced = arms([Some(0), Some(900), Some(30)]);
        let (index, why) = best(&Book::default(), &priced);
        assert!(index == 1 && why.starts_with("not measured yet"), "{index}: {why}");
        // What other routes say of a model counts here too.
        let rows = vec![row(0, "b", "other", 30, 6_000), row(0, "a", "other", 30, 27_000)];
        let (index, why) = best(&Book::learn(rows, 0, 0.0), &priced);
        assert!(index == 0 && why.contains("by 10.0 opinions"), "{index}: {why}");
        // An unknown price is neither cheap nor dear.
        assert_eq!(best(&Book::default(), &arms([None, Some(5), Some(7)])).0, 2);
    }

    #[test]
    fn old_scores_fade() {
        let key = ("smart".to_owned(), "api".to_owned());
        let mean = |age: i64| {
            let rows = vec![row(100 - age, "a", "smart", 100, 0), row(100, "a", "smart", 50, 50_000)];
            Book::learn(rows, 100, 0.0).posterior(&key, "a", Beta { alpha: 1.0, beta: 1.0 }).mean()
        };
        // A hundred bad ones of fourteen days ago count as fifty.
        assert!((mean(14) - 0.5).abs() < 1e-9, "{}", mean(14));
        assert!(mean(0) < 0.35 && mean(70) > 0.9, "{} {}", mean(0), mean(70));
    }
}
