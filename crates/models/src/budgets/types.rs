use std::{fmt, str::FromStr};

use plasma_kernel::{Actor, ApiKeyId, BudgetId, Code, Ctx, Error, Money, Result, TeamId, Timestamp, UserId};
use serde::{Deserialize, Serialize};

use crate::{
    calls::{date, date_text},
    quality::JUDGE,
    types::words,
};

const DAY_MICROS: i64 = 86_400_000_000;
/// More days than any month has, and fewer than any two.
const DAYS_INTO_NEXT_MONTH: i64 = 31;

words! {
    /// The time that a budget is for, by the UTC calendar.
    BudgetPeriod, "period" {
        /// From midnight to midnight.
        Day = "day",
        /// From the first of a month to the first of the next.
        Month = "month",
        /// For good: it does not start anew.
        Total = "total",
    }
}

impl BudgetPeriod {
    /// When the period that holds `now` began; 0 for [`BudgetPeriod::Total`].
    pub fn start_at(self, now: Timestamp) -> Timestamp {
        let day = now.div_euclid(DAY_MICROS);
        match self {
            Self::Day => day * DAY_MICROS,
            Self::Month => first_of_month(day) * DAY_MICROS,
            Self::Total => 0,
        }
    }

    /// When the period that began at `start_at` ends and the next begins.
    pub fn resets_at(self, start_at: Timestamp) -> Option<Timestamp> {
        let day = start_at.div_euclid(DAY_MICROS);
        match self {
            Self::Day => Some((day + 1) * DAY_MICROS),
            Self::Month => Some(first_of_month(day + DAYS_INTO_NEXT_MONTH) * DAY_MICROS),
            Self::Total => None,
        }
    }
}

/// Days count from 1970-01-01.
fn first_of_month(day: i64) -> i64 {
    let (_, _, day_of_month) = date(day);
    day - (day_of_month - 1)
}

/// Whose calls a budget pays for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum BudgetSubject {
    /// All calls of the workspace, those of Plasma itself included.
    Tenant {},
    /// Calls of a person who logged in.
    User {
        /// The person.
        id: UserId,
    },
    /// Calls with an API key.
    ApiKey {
        /// The key.
        id: ApiKeyId,
    },
    /// Calls that are counted to a team, whoever makes them.
    Team {
        /// The team.
        id: TeamId,
    },
    /// Calls that name a route.
    Route {
        /// The route's name.
        #[schema(min_length = 1, max_length = 200)]
        name: String,
    },
    /// Calls of the model that judges answers. The quality settings keep the monthly one of these.
    Judge {},
}

impl BudgetSubject {
    /// How it is stored: its kind, and its id or name.
    pub(crate) fn columns(&self) -> (&'static str, String) {
        match self {
            Self::Tenant {} => ("tenant", String::new()),
            Self::User { id } => ("user", id.to_string()),
            Self::ApiKey { id } => ("api_key", id.to_string()),
            Self::Team { id } => ("team", id.to_string()),
            Self::Route { name } => ("route", name.clone()),
            Self::Judge {} => ("judge", String::new()),
        }
    }

    /// Reads what [`BudgetSubject::columns`] gave.
    pub(crate) fn from_columns(kind: &str, id: &str) -> Result<Self> {
        let wrong = |error| Error::from_source("column subject_id holds a wrong id", error);
        match kind {
            "tenant" => Ok(Self::Tenant {}),
            "user" => Ok(Self::User { id: id.parse().map_err(wrong)? }),
            "api_key" => Ok(Self::ApiKey { id: id.parse().map_err(wrong)? }),
            "team" => Ok(Self::Team { id: id.parse().map_err(wrong)? }),
            "route" => Ok(Self::Route { name: id.to_owned() }),
            "judge" => Ok(Self::Judge {}),
            _ => Err(Error::internal(format!("column subject_kind holds `{kind}`"))),
        }
    }

    /// Whether a call under `ctx` through `route` is paid from it.
    pub(crate) fn covers(&self, ctx: &Ctx, route: Option<&str>) -> bool {
        let actor = ctx.actor();
        match self {
            Self::Tenant {} => true,
            Self::User { id } => {
                matches!(actor, Actor::User { id: caller } | Actor::Application { user: Some(caller), .. } if caller == id)
            }
            Self::ApiKey { id } => matches!(actor, Actor::ApiKey { id: caller } if caller == id),
            Self::Team { id } => ctx.team() == Some(*id),
            Self::Route { name } => route == Some(name),
            // The judge's job acts for the system under this name, and nothing else does.
            Self::Judge {} => matches!(actor, Actor::System { reason } if reason == JUDGE),
        }
    }
}

impl fmt::Display for BudgetSubject {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tenant {} => formatter.write_str("this workspace"),
            Self::User { id } => write!(formatter, "the user {id}"),
            Self::ApiKey { id } => write!(formatter, "the API key {id}"),
            Self::Team { id } => write!(formatter, "the team {id}"),
            Self::Route { name } => write!(formatter, "the route `{name}`"),
            Self::Judge {} => formatter.write_str("the judge of answers"),
        }
    }
}

/// How much the calls of a subject may cost in a period.
#[derive(Clone, Debug)]
pub struct Budget {
    /// Its id.
    pub id: BudgetId,
    /// Whose calls it pays for.
    pub subject: BudgetSubject,
    /// The time that it is for.
    pub period: BudgetPeriod,
    /// Millionths of one unit of `currency`.
    pub limit_micros: i64,
    /// ISO 4217 code.
    pub currency: String,
    /// When it was set.
    pub created_at: Timestamp,
}

impl Budget {
    /// An amount in the budget's currency.
    pub fn money(&self, amount_micros: i64) -> Money {
        Money { amount_micros, currency: self.currency.clone() }
    }
}

/// A budget to set.
#[derive(Clone, Debug)]
pub struct NewBudget {
    /// Whose calls it pays for. One subject has one budget for each period.
    pub subject: BudgetSubject,
    /// The time that it is for.
    pub period: BudgetPeriod,
    /// Millionths of one unit of `currency`, 0 to 10^16. At 0 only calls that cost nothing are allowed.
    pub limit_micros: i64,
    /// ISO 4217 code.
    pub currency: String,
}

/// A budget and where it stands in the current period.
#[derive(Clone, Debug)]
pub struct BudgetState {
    /// The budget.
    pub budget: Budget,
    /// When the current period began; 0 for [`BudgetPeriod::Total`].
    pub period_start_at: Timestamp,
    /// What recorded calls have cost.
    pub spent_micros: i64,
    /// What is set aside for running calls: in this process exactly, in others with what they hold for their next calls.
    pub reserved_micros: i64,
}

/// Where a budget stands when a call does not fit.
pub(crate) struct Standing {
    pub(crate) limit_micros: i64,
    pub(crate) spent_micros: i64,
    pub(crate) reserved_micros: i64,
    pub(crate) period_start_at: Timestamp,
}

impl Budget {
    /// Why a call that may cost `need_micros` is refused.
    pub(crate) fn refusal(&self, standing: &Standing, need_micros: i64) -> Error {
        let adjective = match self.period {
            BudgetPeriod::Day => "daily",
            BudgetPeriod::Month => "monthly",
            BudgetPeriod::Total => "total",
        };
        let (resets, remedy) = match self.period.resets_at(standing.period_start_at) {
            Some(at) => (
                format!("it starts anew at {} 00:00 UTC", date_text(at.div_euclid(DAY_MICROS))),
                "wait until it starts anew, ask for a shorter answer (`max_tokens`), or raise the budget",
            ),
            None => {
                ("it does not start anew".to_owned(), "ask for a shorter answer (`max_tokens`), or raise the budget")
            }
        };
        let message = format!(
            "the {adjective} budget of {subject} ({id}) does not cover this call: of {limit} {currency}, {spent} are spent and \
             {reserved} are reserved by running calls, and this call may cost {need}; {resets}",
            subject = self.subject,
            id = self.id,
            limit = amount(standing.limit_micros),
            currency = self.currency,
            spent = amount(standing.spent_micros),
            reserved = amount(standing.reserved_micros),
            need = amount(need_micros),
        );
        Error::new(Code::OverBudget, "over_budget", message).remedy(remedy)
    }
}

/// `9.80` of 9,800,000 millionths: at least two decimals, no more than needed.
fn amount(micros: i64) -> String {
    const DECIMALS_MIN: usize = 2;
    let sign = if micros < 0 { "-" } else { "" };
    let (whole, fraction) = (micros.unsigned_abs() / 1_000_000, micros.unsigned_abs() % 1_000_000);
    let mut decimals = format!("{fraction:06}");
    while decimals.len() > DECIMALS_MIN && decimals.ends_with('0') {
        decimals.pop();
    }
    format!("{sign}{whole}.{decimals}")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use plasma_testkit::{system, tenant};

    use super::*;

    /// 2026-11-22, 12:00 UTC.
    const NOON: Timestamp = 20_779 * DAY_MICROS + DAY_MICROS / 2;

    #[test]
    fn periods_follow_the_calendar() {
        let dates = |period: BudgetPeriod, now| {
            let start = period.start_at(now);
            let text = |at: Timestamp| date_text(at.div_euclid(DAY_MICROS));
            (text(start), period.resets_at(start).map(text).unwrap_or_default())
        };
        let pair = |start: &str, end: &str| (start.to_owned(), end.to_owned());
        assert_eq!(dates(BudgetPeriod::Day, NOON), pair("2026-11-22", "2026-11-23"));
        assert_eq!(dates(BudgetPeriod::Month, NOON), pair("2026-11-01", "2026-12-01"));
        assert_eq!(dates(BudgetPeriod::Total, NOON), pair("1970-01-01", ""));
        // From the last day of a year, and from each day of a short February.
        assert_eq!(dates(BudgetPeriod::Month, NOON + 39 * DAY_MICROS), pair("2026-12-01", "2027-01-01"));
        for day in 0..28 {
            let now = NOON + (71 + day) * DAY_MICROS;
            assert_eq!(dates(BudgetPeriod::Month, now), pair("2027-02-01", "2027-03-01"));
        }
        // The last and the first microsecond.
        let midnight = BudgetPeriod::Day.start_at(NOON);
        assert_eq!(BudgetPeriod::Day.start_at(midnight), midnight);
        assert_eq!(BudgetPeriod::Day.start_at(midnight - 1), midnight - DAY_MICROS);
    }

    #[test]
    fn every_moment_lies_in_its_own_period() {
        for day in -1_000..60_000 {
            for period in [BudgetPeriod::Day, BudgetPeriod::Month] {
                let now = day * DAY_MICROS + 7;
                let start = period.start_at(now);
                let end = period.resets_at(start).unwrap();
                assert!(start <= now && now < end, "{period:?} {day}");
                assert_eq!(period.start_at(end), end, "{period:?} {day}");
            }
        }
    }

    #[test]
    fn amounts_are_written_without_needless_zeros() {
        for (micros, text) in [
            (0, "0.00"),
            (10_000_000, "10.00"),
            (9_800_000, "9.80"),
            (38, "0.000038"),
            (1_234_500, "1.2345"),
            (-5, "-0.000005"),
        ] {
            assert_eq!(amount(micros), text);
        }
        assert_eq!(amount(i64::MIN), "-9223372036854.775808");
    }

    #[test]
    fn a_refusal_names_the_budget_and_the_way_out() {
        let budget = Budget {
            id: BudgetId::from_bits(7),
            subject: BudgetSubject::Route { name: "cheap".to_owned() },
            period: BudgetPeriod::Month,
            limit_micros: 1,
            currency: "EUR".to_owned(),
            created_at: 0,
        };
        let standing = Standing {
            limit_micros: 10_000_000,
            spent_micros: 9_800_000,
            reserved_micros: 150_000,
            period_start_at: BudgetPeriod::Month.start_at(NOON),
        };
        let error = budget.refusal(&standing, 120_000);
        assert_eq!((error.code(), error.reason()), (Code::OverBudget, "over_budget"));
        assert_eq!(
            error.message(),
            "the monthly budget of the route `cheap` (bud_00000000000000000000000007) does not cover this call: of 10.00 EUR, \
             9.80 are spent and 0.15 are reserved by running calls, and this call may cost 0.12; it starts anew at 2026-12-01 \
             00:00 UTC"
        );
        let total = Budget { period: BudgetPeriod::Total, ..budget }.refusal(&standing, 1);
        assert!(total.message().ends_with("it does not start anew"), "{total}");
        assert!(!total.remedy_text().unwrap().contains("wait"));
    }

    #[test]
    fn subjects_cover_their_own_calls() {
        let (key, team) = (ApiKeyId::from_bits(1), TeamId::from_bits(1));
        let person = tenant();
        let user = person.user().unwrap();
        let acting = |actor| {
            let (clock, random) = (person.clock().clone(), person.random().clone());
            Ctx::new(person.tenant().unwrap(), actor, *person.permissions(), clock, random)
        };
        let program = acting(Actor::ApiKey { id: key }).with_team(Some(team));
        let background = person.for_tenant(person.tenant().unwrap(), "ingestion");
        let covered = |subject: &BudgetSubject| {
            [(&person, None), (&program, Some("cheap")), (&background, None)]
                .map(|(ctx, route)| subject.covers(ctx, route))
        };
        assert_eq!(covered(&BudgetSubject::Tenant {}), [true, true, true]);
        assert_eq!(covered(&BudgetSubject::User { id: user }), [true, false, false]);
        assert_eq!(covered(&BudgetSubject::ApiKey { id: key }), [false, true, false]);
        assert_eq!(covered(&BudgetSubject::ApiKey { id: ApiKeyId::from_bits(2) }), [false; 3]);
        assert_eq!(covered(&BudgetSubject::Team { id: team }), [false, true, false]);
        assert_eq!(covered(&BudgetSubject::Team { id: TeamId::from_bits(2) }), [false; 3]);
        assert_eq!(covered(&BudgetSubject::Route { name: "cheap".to_owned() }), [false, true, false]);
        assert_eq!(covered(&BudgetSubject::Judge {}), [false; 3]);
        assert!(BudgetSubject::Judge {}.covers(&system().for_tenant(person.tenant().unwrap(), JUDGE), None));
        // What Plasma does by itself is no team's, whoever caused it.
        let caused = program.for_tenant(person.tenant().unwrap(), "ingestion");
        assert!(!BudgetSubject::Team { id: team }.covers(&caused, None));
    }
}
