//! Budgets as resources. What they promise to calls is tested beside the ledger, in `src/budgets/tests`.

use plasma_kernel::{ApiKeyId, Code, PageRequest, Permission, Permissions, TeamId, UserId};
use plasma_models::{BudgetPeriod, BudgetSubject, Models, NewBudget, events};
use plasma_store::EventFilter;
use plasma_testkit::{on_each_database, tenant, with_permissions};
use serde_json::{Value, json};

use crate::support::{open, serve};

const BUDGETS: &str = "/api/v1/models/budgets";

/// Plasma's routes under a context, and a client.
pub struct Api {
    url: String,
    client: reqwest::Client,
}

impl Api {
    pub async fn new(models: &Models, ctx: &plasma_kernel::Ctx) -> Self {
        Self::at(&serve(models, ctx).await)
    }

    /// The same where they are served already.
    pub fn at(url: &str) -> Self {
        Self { url: url.to_owned(), client: reqwest::Client::new() }
    }

    pub async fn send(&self, method: &str, path: &str, body: Value) -> (u16, Value) {
        let request = self.client.request(method.parse().unwrap(), format!("{}{path}", self.url));
        let request = if body.is_null() { request } else { request.json(&body) };
        let response = request.send().await.unwrap();
        (response.status().as_u16(), response.json().await.unwrap_or(Value::Null))
    }

    pub async fn get(&self, path: &str) -> (u16, Value) {
        self.send("GET", path, Value::Null).await
    }
}

fn tenant_budget(period: BudgetPeriod) -> NewBudget {
    NewBudget { subject: BudgetSubject::Tenant {}, period, limit_micros: 5, currency: "USD".to_owned() }
}

on_each_database! {
    async fn a_budget_lives_and_dies_over_http(test: TestStore) {
        let models = open(test.store());
        let ctx = tenant();
        let api = Api::new(&models, &ctx).await;
        let key = ApiKeyId::new(&ctx);
        let new = json!({ "subject": { "kind": "api_key", "id": key }, "period": "month", "limit_micros": 50_000_000 });
        let (status, budget) = api.send("POST", BUDGETS, new.clone()).await;
        assert_eq!(status, 201, "{budget}");
        assert_eq!(budget["subject"], new["subject"]);
        let money = |micros: i64| json!({ "amount_micros": micros, "currency": "USD" });
        assert_eq!((&budget["limit"], &budget["spent"], &budget["reserved"]), (&money(50_000_000), &money(0), &money(0)));
        let (start, end) = (budget["period_start_at"].as_i64().unwrap(), budget["resets_at"].as_i64().unwrap());
        assert!(start <= ctx.now() && ctx.now() < end && (28..=31).contains(&((end - start) / 86_400_000_000)));
        let path = format!("{BUDGETS}/{}", budget["id"].as_str().unwrap());
        assert_eq!(api.get(&path).await, (200, budget.clone()));

        let (status, problem) = api.send("POST", BUDGETS, new).await;
        assert_eq!((status, &problem["reason"], &problem["field"]), (409, &json!("budget_exists"), &json!("subject")));
        // The same subject may have a budget for another period, and it may be in another currency.
        let route = json!({ "kind": "route", "name": "cheap" });
        let team = json!({ "kind": "team", "id": TeamId::new(&ctx) });
        for (subject, period) in [(json!({ "kind": "api_key", "id": key }), "day"), (json!({ "kind": "tenant" }), "total"), (route, "day"), (team, "day")] {
            let new = json!({ "subject": &subject, "period": period, "limit_micros": 1, "currency": "EUR" });
            let (status, budget) = api.send("POST", BUDGETS, new).await;
            assert_eq!((status, &budget["limit"]["currency"]), (201, &json!("EUR")), "{budget}");
            assert_eq!(budget["subject"], subject);
            assert_eq!(budget["resets_at"].is_null(), period == "total");
        }

        let (status, changed) = api.send("PATCH", &path, json!({ "limit_micros": 60_000_000 })).await;
        assert_eq!((status, &changed["limit"]), (200, &money(60_000_000)));
        let (_, list) = api.get(&format!("{BUDGETS}?limit=4")).await;
        assert_eq!((list["data"].as_array().unwrap().len(), &list["has_more"]), (4, &json!(true)));
        let (_, rest) = api.get(&format!("{BUDGETS}?limit=4&cursor={}", list["next_cursor"].as_str().unwrap())).await;
        assert_eq!(rest["data"], json!([changed]));

        assert_eq!(api.send("DELETE", &path, Value::Null).await, (204, Value::Null));
        for (method, body) in [("GET", Value::Null), ("DELETE", Value::Null), ("PATCH", json!({ "limit_micros": 1 }))] {
            let (status, problem) = api.send(method, &path, body).await;
            assert_eq!((status, &problem["reason"]), (404, &json!("budget_not_found")), "{method}");
        }

        let mut tx = test.read(&ctx).await.unwrap();
        let filter = EventFilter { kind: Some("models.budget.*".to_owned()) };
        let told = tx.events_page(&filter, &PageRequest::default()).await.unwrap().data;
        let kinds: Vec<&str> = told.iter().rev().map(|event| event.kind.as_str()).collect();
        let created = events::BUDGET_CREATED;
        assert_eq!(kinds, [created, created, created, created, created, events::BUDGET_CHANGED, events::BUDGET_DELETED]);
        let change = &told[1].data;
        assert_eq!((&change["limit"], &change["previous_limit"]), (&money(60_000_000), &money(50_000_000)));
    }

    async fn wrong_budgets_are_refused_by_the_name_of_the_field(test: TestStore) {
        let models = open(test.store());
        let ctx = tenant();
        let api = Api::new(&models, &ctx).await;
        let user = UserId::new(&ctx);
        let with = |name: &str, value: Value| {
            let mut new = json!({ "subject": { "kind": "tenant" }, "period": "day", "limit_micros": 1 });
            new[name] = value;
            new
        };
        for (body, field) in [
            (with("limit_micros", json!(-1)), "limit_micros"),
            (with("limit_micros", json!(10_000_000_000_000_001_i64)), "limit_micros"),
            (with("limit_micros", json!(1.5)), "limit_micros"),
            (with("currency", json!("usd")), "currency"),
            (with("currency", json!("US Dollar")), "currency"),
            (with("period", json!("week")), "period"),
            (with("extra", json!(1)), "extra"),
            (with("subject", json!({ "kind": "department", "id": "x" })), "subject.kind"),
            (with("subject", json!({ "kind": "team", "id": "key_00000000000000000000000000" })), "subject"),
            (with("subject", json!({ "kind": "tenant", "id": user })), "subject.id"),
            (with("subject", json!({ "kind": "user", "id": "key_00000000000000000000000000" })), "subject"),
            (with("subject", json!({ "kind": "route", "name": "" })), "subject.name"),
            (with("subject", json!({ "kind": "route", "name": "x".repeat(201) })), "subject.name"),
            (with("subject", json!({ "kind": "route", "name": "a\u{0}" })), "subject.name"),
        ] {
            let (status, problem) = api.send("POST", BUDGETS, body.clone()).await;
            assert_eq!((status, &problem["field"]), (400, &json!(field)), "{body} {problem}");
        }
        let id = models.create_budget(&ctx, tenant_budget(BudgetPeriod::Day)).await.unwrap().budget.id;
        let path = format!("{BUDGETS}/{id}");
        for body in [json!({ "limit_micros": -1 }), json!({ "limit_micros": null }), json!({ "period": "day", "limit_micros": 1 }), json!({})] {
            assert_eq!(api.send("PATCH", &path, body.clone()).await.0, 400, "{body}");
        }
        assert_eq!(api.get(&format!("{BUDGETS}?limit=201")).await.0, 400);
        assert_eq!(api.get(&format!("{BUDGETS}/nonsense")).await.0, 404);
    }

    async fn budgets_need_permissions_and_belong_to_their_tenant(test: TestStore) {
        let models = open(test.store());
        let ctx = tenant();
        let reader = with_permissions(&ctx, Permissions::none().with(Permission::ModelsRead));
        let writer = with_permissions(&ctx, Permissions::none().with(Permission::ModelsWrite));
        let error = models.create_budget(&reader, tenant_budget(BudgetPeriod::Day)).await.unwrap_err();
        assert_eq!(error.code(), Code::Forbidden);
        let id = models.create_budget(&writer, tenant_budget(BudgetPeriod::Day)).await.unwrap().budget.id;
        models.budget(&reader, id).await.unwrap();
        models.change_budget(&writer, id, 7).await.unwrap();
        assert_eq!(models.change_budget(&reader, id, 7).await.unwrap_err().code(), Code::Forbidden);
        assert_eq!(models.delete_budget(&reader, id).await.unwrap_err().code(), Code::Forbidden);
        assert_eq!(models.budget(&writer, id).await.unwrap_err().code(), Code::Forbidden);
        assert_eq!(models.budgets(&writer, &PageRequest::default()).await.unwrap_err().code(), Code::Forbidden);

        let stranger = tenant();
        assert!(models.budgets(&stranger, &PageRequest::default()).await.unwrap().data.is_empty());
        assert_eq!(models.budget(&stranger, id).await.unwrap_err().code(), Code::NotFound);
        assert_eq!(models.change_budget(&stranger, id, 1).await.unwrap_err().code(), Code::NotFound);
        assert_eq!(models.delete_budget(&stranger, id).await.unwrap_err().code(), Code::NotFound);
        assert_eq!(models.budget(&ctx, id).await.unwrap().budget.limit_micros, 7);
    }

    async fn a_workspace_has_at_most_a_thousand_budgets(test: TestStore) {
        let models = open(test.store());
        let ctx = tenant();
        let mut tx = test.begin(&ctx).await.unwrap();
        for _ in 0..999 {
            let route = plasma_kernel::BudgetId::new(&ctx);
            tx.execute(
                "INSERT INTO model_budgets (tenant_id, id, subject_kind, subject_id, period, limit_micros, currency, created_at, updated_at)
                 VALUES ($1, $2, 'route', $2, 'day', 1, 'USD', 0, 0)",
                [ctx.tenant().unwrap().into(), route.into()],
            )
            .await
            .unwrap();
        }
        tx.commit().await.unwrap();
        models.create_budget(&ctx, tenant_budget(BudgetPeriod::Day)).await.unwrap();
        let error = models.create_budget(&ctx, tenant_budget(BudgetPeriod::Month)).await.unwrap_err();
        assert_eq!((error.code(), error.field_name()), (Code::TooLarge, Some("subject")));
        models.create_budget(&tenant(), tenant_budget(BudgetPeriod::Month)).await.unwrap();
    }
}
