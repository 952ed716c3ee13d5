//! What budgets promise to one process.

use plasma_kernel::{Code, TeamId};
use plasma_testkit::on_each_database;
use serde_json::json;

use super::*;

on_each_database! {
    async fn a_call_sets_aside_its_worst_case_and_pays_what_it_cost(test: TestStore) {
        let (models, ctx, _) = start(&test);
        let budget = monthly(&models, &ctx, 1_000).await;
        let first = reserve(&models, &ctx, 600).await.unwrap();
        assert_eq!(standing(&models, &ctx, &budget).await, (0, 600));
        let message = refused(&models, &ctx, 401).await;
        assert_eq!(
            message,
            format!(
                "the monthly budget of this workspace ({}) does not cover this call: of 0.001 USD, 0.00 are spent and 0.0006 are \
                 reserved by running calls, and this call may cost 0.000401; it starts anew at 2026-12-01 00:00 UTC",
                budget.id
            )
        );
        let second = reserve(&models, &ctx, 400).await.unwrap();
        pay(&models, &ctx, first, 100).await;
        assert_eq!(standing(&models, &ctx, &budget).await, (100, 400));
        // The rest of the first call's worst case is free again.
        let third = reserve(&models, &ctx, 500).await.unwrap();
        refused(&models, &ctx, 1).await;
        drop(second);
        pay(&models, &ctx, third, 500).await;
        assert_eq!(standing(&models, &ctx, &budget).await, (600, 0));
        pay(&models, &ctx, reserve(&models, &ctx, 400).await.unwrap(), 400).await;
        refused(&models, &ctx, 1).await;
        assert_eq!(sums(&test, &ctx).await, Sums { spent: 1_000, leased: 0, leases: 0, recorded: 1_000 });
    }

    async fn every_budget_that_applies_must_agree(test: TestStore) {
        let (models, ctx, clock) = start(&test);
        assert!(models.reserve(&ctx, None, &usd(1)).await.unwrap().is_none(), "no budget applies yet");
        let user = set(&models, &ctx, BudgetSubject::User { id: ctx.user().unwrap() }, BudgetPeriod::Day, 100).await;
        let cheap = BudgetSubject::Route { name: "cheap".to_owned() };
        let route = set(&models, &ctx, cheap, BudgetPeriod::Total, 50).await;
        let all = monthly(&models, &ctx, 200).await;
        let program = program(&ctx);

        assert!(refused(&models, &ctx, 101).await.contains("the daily budget of the user usr_"));
        assert!(refused(&models, &program, 201).await.contains("the monthly budget of this workspace"));
        let error = models.reserve(&program, Some("cheap"), &usd(51)).await.err().unwrap();
        assert!(error.message().contains("the total budget of the route `cheap`"), "{error}");
        // What was refused by one is set aside of none.
        for budget in [&user, &route, &all] {
            assert_eq!(standing(&models, &ctx, budget).await, (0, 0));
        }

        let both = models.reserve(&ctx, Some("cheap"), &usd(40)).await.unwrap().unwrap();
        let other = models.reserve(&ctx, Some("other"), &usd(60)).await.unwrap().unwrap();
        let background = ctx.for_tenant(ctx.tenant().unwrap(), "ingestion");
        let system = reserve(&models, &background, 100).await.unwrap();
        assert_eq!(standing(&models, &ctx, &user).await, (0, 100));
        assert_eq!(standing(&models, &ctx, &route).await, (0, 40));
        assert_eq!(standing(&models, &ctx, &all).await, (0, 200));
        pay(&models, &ctx, both, 30).await;
        pay(&models, &ctx, other, 0).await;
        pay(&models, &background, system, 100).await;
        assert_eq!(standing(&models, &ctx, &user).await, (30, 0));
        assert_eq!(standing(&models, &ctx, &route).await, (30, 0));
        assert_eq!(standing(&models, &ctx, &all).await, (130, 0));
        // Another tenant is another matter.
        assert!(models.reserve(&tenant(&clock), None, &usd(1)).await.unwrap().is_none());
    }

    async fn a_team_pays_for_all_of_its_calls(test: TestStore) {
        let (models, ctx, _) = start(&test);
        let team = TeamId::new(&ctx);
        let budget = set(&models, &ctx, BudgetSubject::Team { id: team }, BudgetPeriod::Month, 100).await;
        let (person, program) = (ctx.clone().with_team(Some(team)), program(&ctx).with_team(Some(team)));
        assert!(refused(&models, &person, 101).await.contains(&format!("the monthly budget of the team {team} ({})", budget.id)));
        let first = reserve(&models, &person, 60).await.unwrap();
        refused(&models, &program, 41).await;
        let second = reserve(&models, &program, 40).await.unwrap();
        assert_eq!(standing(&models, &ctx, &budget).await, (0, 100));
        pay(&models, &person, first, 50).await;
        pay(&models, &program, second, 40).await;
        assert_eq!(standing(&models, &ctx, &budget).await, (90, 0));
        // Who is in no team, or in another, is not bound by it; nor is what Plasma does by itself.
        let other = ctx.clone().with_team(Some(TeamId::new(&ctx)));
        let background = person.for_tenant(person.tenant().unwrap(), "ingestion");
        for free in [&ctx, &other, &background] {
            assert!(models.reserve(free, None, &usd(1_000)).await.unwrap().is_none());
        }
        refused(&models, &program, 11).await;
    }

    async fn currencies_are_not_compared_and_free_calls_need_no_budget(test: TestStore) {
        let (models, ctx, _) = start(&test);
        monthly(&models, &ctx, 0).await;
        let euro = |amount_micros| Money { amount_micros, currency: "EUR".to_owned() };
        let error = models.reserve(&ctx, None, &euro(1)).await.err().unwrap();
        assert_eq!((error.code(), error.reason()), (Code::Conflict, "budget_currency_differs"));
        assert!(models.reserve(&ctx, None, &euro(0)).await.unwrap().is_none());
        assert!(models.reserve(&ctx, None, &usd(0)).await.unwrap().is_none());
        refused(&models, &ctx, 1).await;
        refused(&models, &ctx, i64::MAX).await;
    }

    async fn an_unknown_cost_counts_as_the_worst_case_of_a_call_that_succeeded(test: TestStore) {
        let (models, ctx, _) = start(&test);
        let budget = monthly(&models, &ctx, 1_000).await;
        for (status, spent) in [(CallStatus::Failed, 0), (CallStatus::Cancelled, 0), (CallStatus::Succeeded, 300)] {
            let settlement = reserve(&models, &ctx, 300).await.unwrap().settle(None);
            record(&models, &ctx, Some(settlement), None, status).await.unwrap();
            assert_eq!(standing(&models, &ctx, &budget).await, (spent, 0), "{status:?}");
        }
        // A cost above the worst case is recorded as it is: nothing more fits then.
        pay(&models, &ctx, reserve(&models, &ctx, 700).await.unwrap(), 900).await;
        assert_eq!(standing(&models, &ctx, &budget).await, (1_200, 0));
        refused(&models, &ctx, 1).await;
    }

    async fn thresholds_are_told_once_in_a_period(test: TestStore) {
        let (models, ctx, clock) = start(&test);
        let budget = set(&models, &ctx, BudgetSubject::Tenant {}, BudgetPeriod::Day, 1_000).await;
        let spend = async |micros| pay(&models, &ctx, reserve(&models, &ctx, micros).await.unwrap(), micros).await;
        spend(799).await;
        assert!(thresholds(&test, &ctx).await.is_empty());
        spend(1).await;
        spend(100).await;
        assert_eq!(thresholds(&test, &ctx).await, [80]);
        spend(100).await;
        assert_eq!(thresholds(&test, &ctx).await, [80, 100]);
        let told = told(&test, &ctx, events::BUDGET_THRESHOLD_REACHED).await;
        assert_eq!(told[1], json!({
            "budget": budget.id, "subject": { "kind": "tenant" }, "period": "day",
            "period_start_at": BudgetPeriod::Day.start_at(NOON), "threshold_percent": 100,
            "spent": { "amount_micros": 1_000, "currency": "USD" }, "limit": { "amount_micros": 1_000, "currency": "USD" },
        }));
        // A raised limit tells of nothing again in this period, a new period does.
        models.change_budget(&ctx, budget.id, 1_100).await.unwrap();
        spend(100).await;
        assert_eq!(thresholds(&test, &ctx).await, [80, 100]);
        clock.advance(Duration::from_secs(86_400));
        spend(500).await;
        assert_eq!(thresholds(&test, &ctx).await, [80, 100]);
        // A lowered limit may be reached without a call.
        models.change_budget(&ctx, budget.id, 600).await.unwrap();
        assert_eq!(thresholds(&test, &ctx).await, [80, 100, 80]);
        models.change_budget(&ctx, budget.id, 500).await.unwrap();
        models.change_budget(&ctx, budget.id, 400).await.unwrap();
        assert_eq!(thresholds(&test, &ctx).await, [80, 100, 80, 100]);
    }

    async fn a_period_starts_anew_and_a_call_counts_where_it_began(test: TestStore) {
        let (models, ctx, clock) = start(&test);
        let daily = set(&models, &ctx, BudgetSubject::Tenant {}, BudgetPeriod::Day, 100).await;
        let total = set(&models, &ctx, BudgetSubject::User { id: ctx.user().unwrap() }, BudgetPeriod::Total, 150).await;
        let late = reserve(&models, &ctx, 100).await.unwrap();
        assert!(refused(&models, &ctx, 1).await.contains("2026-11-23 00:00 UTC"));
        clock.advance(Duration::from_secs(12 * 3_600));
        let early = reserve(&models, &ctx, 50).await.unwrap();
        assert!(refused(&models, &ctx, 1).await.contains("does not start anew"));
        pay(&models, &ctx, late, 70).await;
        assert_eq!(standing(&models, &ctx, &daily).await, (0, 50));
        assert_eq!(standing(&models, &ctx, &total).await, (70, 50));
        pay(&models, &ctx, early, 50).await;
        assert_eq!(standing(&models, &ctx, &daily).await, (50, 0));
        let sums = all_given_back(&test, &ctx).await;
        assert_eq!((sums.spent, sums.recorded), (120 + 120, 120));
    }

    async fn a_changed_limit_counts_for_the_next_call(test: TestStore) {
        let (models, ctx, _) = start(&test);
        let budget = monthly(&models, &ctx, 1_000_000).await;
        // The lease is larger than the lowered limit.
        let running = reserve(&models, &ctx, 10_000).await.unwrap();
        assert!(sums(&test, &ctx).await.leased > 50_000);
        models.change_budget(&ctx, budget.id, 20_000).await.unwrap();
        refused(&models, &ctx, 10_001).await;
        let second = reserve(&models, &ctx, 10_000).await.unwrap();
        assert_eq!(sums(&test, &ctx).await.leased, 20_000);
        models.change_budget(&ctx, budget.id, 5_000).await.unwrap();
        refused(&models, &ctx, 1).await;
        pay(&models, &ctx, running, 10_000).await;
        drop(second);
        refused(&models, &ctx, 1).await;
        models.change_budget(&ctx, budget.id, 12_000).await.unwrap();
        pay(&models, &ctx, reserve(&models, &ctx, 2_000).await.unwrap(), 2_000).await;
        refused(&models, &ctx, 1).await;

        let running = {
            models.change_budget(&ctx, budget.id, 13_000).await.unwrap();
            reserve(&models, &ctx, 1_000).await.unwrap()
        };
        models.delete_budget(&ctx, budget.id).await.unwrap();
        assert!(models.reserve(&ctx, None, &usd(1_000_000)).await.unwrap().is_none());
        // The record of a call whose budget is gone is written like any other.
        pay(&models, &ctx, running, 1_000).await;
        assert_eq!(sums(&test, &ctx).await, Sums { spent: 0, leased: 0, leases: 0, recorded: 13_000 });
    }
}
