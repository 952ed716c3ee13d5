//! Limits as resources. What they do to calls is tested beside them, in `src/limits/tests.rs`.

use plasma_kernel::{ApiKeyId, Code, LimitId, PageRequest, Permission, Permissions, TeamId, UserId};
use plasma_models::{LimitChange, LimitSubject, NewLimit, events};
use plasma_store::EventFilter;
use plasma_testkit::{on_each_database, tenant, with_permissions};
use serde_json::{Value, json};

use crate::{
    budgets::Api,
    support::{add_provider, open},
};

const LIMITS: &str = "/api/v1/models/limits";

fn tenant_limit() -> NewLimit {
    let subject = LimitSubject::Tenant {};
    NewLimit { subject, requests_per_minute: Some(5), tokens_per_minute: None, concurrency: None }
}

on_each_database! {
    async fn a_limit_lives_and_dies_over_http(test: TestStore) {
        let models = open(test.store());
        let ctx = tenant();
        let api = Api::new(&models, &ctx).await;
        let provider = add_provider(&models, &ctx, "acme", "https://models.example/v1").await;
        let subjects = [
            json!({ "kind": "tenant" }),
            json!({ "kind": "user", "id": UserId::new(&ctx) }),
            json!({ "kind": "api_key", "id": ApiKeyId::new(&ctx) }),
            json!({ "kind": "team", "id": TeamId::new(&ctx) }),
            json!({ "kind": "provider", "id": provider }),
        ];
        let mut last = Value::Null;
        for subject in &subjects {
            let new = json!({ "subject": subject, "requests_per_minute": 600, "concurrency": 8 });
            let (status, limit) = api.send("POST", LIMITS, new.clone()).await;
            assert_eq!(status, 201, "{limit}");
            assert_eq!((&limit["subject"], &limit["requests_per_minute"]), (subject, &json!(600)));
            assert_eq!((&limit["tokens_per_minute"], &limit["concurrency"]), (&Value::Null, &json!(8)));
            let (status, problem) = api.send("POST", LIMITS, new).await;
            assert_eq!((status, &problem["reason"]), (409, &json!("limit_exists")));
            last = limit;
        }
        let path = format!("{LIMITS}/{}", last["id"].as_str().unwrap());
        // What is absent stays, what is null goes.
        let (status, changed) = api.send("PATCH", &path, json!({ "concurrency": null, "tokens_per_minute": 9 })).await;
        let numbers = |limit: &Value| ["requests_per_minute", "tokens_per_minute", "concurrency"].map(|name| limit[name].as_u64());
        assert_eq!((status, numbers(&changed)), (200, [Some(600), Some(9), None]));
        let (status, problem) = api.send("PATCH", &path, json!({ "requests_per_minute": null, "tokens_per_minute": null })).await;
        assert_eq!((status, &problem["field"]), (400, &json!("requests_per_minute")));
        assert_eq!(api.send("PATCH", &path, json!({})).await, (200, changed.clone()));

        let (_, list) = api.get(&format!("{LIMITS}?limit=4")).await;
        let (_, rest) = api.get(&format!("{LIMITS}?limit=4&cursor={}", list["next_cursor"].as_str().unwrap())).await;
        // Those of one millisecond have no order among themselves.
        let all: Vec<&Value> = [&list, &rest].iter().flat_map(|page| page["data"].as_array().unwrap()).collect();
        assert_eq!((all.len(), &list["has_more"], &rest["has_more"]), (5, &json!(true), &json!(false)));
        assert!(all.contains(&&changed) && subjects.iter().all(|subject| all.iter().any(|limit| limit["subject"] == *subject)));

        assert_eq!(api.send("DELETE", &path, Value::Null).await, (204, Value::Null));
        for (method, body) in [("DELETE", Value::Null), ("PATCH", json!({}))] {
            let (status, problem) = api.send(method, &path, body).await;
            assert_eq!((status, &problem["reason"]), (404, &json!("limit_not_found")), "{method}");
        }
        let mut tx = test.read(&ctx).await.unwrap();
        let filter = EventFilter { kind: Some("models.limit.*".to_owned()) };
        let told = tx.events_page(&filter, &PageRequest::default()).await.unwrap().data;
        let kinds: Vec<&str> = told.iter().rev().map(|event| event.kind.as_str()).collect();
        let (created, changed) = (events::LIMIT_CREATED, events::LIMIT_CHANGED);
        assert_eq!(kinds, [created, created, created, created, created, changed, changed, events::LIMIT_DELETED]);
    }

    async fn wrong_limits_are_refused_by_the_name_of_the_field(test: TestStore) {
        let models = open(test.store());
        let ctx = tenant();
        let api = Api::new(&models, &ctx).await;
        let with = |name: &str, value: Value| {
            let mut new = json!({ "subject": { "kind": "tenant" }, "requests_per_minute": 1 });
            new[name] = value;
            new
        };
        for (body, status, field) in [
            (with("requests_per_minute", json!(0)), 400, "requests_per_minute"),
            (with("requests_per_minute", json!(1_000_001)), 400, "requests_per_minute"),
            (with("requests_per_minute", json!(-1)), 400, "requests_per_minute"),
            (with("requests_per_minute", Value::Null), 400, "requests_per_minute"),
            (with("tokens_per_minute", json!(1_000_000_001)), 400, "tokens_per_minute"),
            (with("tokens_per_minute", json!(0)), 400, "tokens_per_minute"),
            (with("concurrency", json!(10_001)), 400, "concurrency"),
            (with("burst", json!(1)), 400, "burst"),
            (with("subject", json!({ "kind": "route", "name": "x" })), 400, "subject.kind"),
            (with("subject", json!({ "kind": "team", "id": "usr_00000000000000000000000000" })), 400, "subject"),
            (with("subject", json!({ "kind": "provider", "id": "prv_00000000000000000000000000" })), 404, "subject.id"),
        ] {
            let (is, problem) = api.send("POST", LIMITS, body.clone()).await;
            assert_eq!((is, &problem["field"]), (status, &json!(field)), "{body} {problem}");
        }
        let id = models.create_limit(&ctx, tenant_limit()).await.unwrap().id;
        let (status, problem) = api.send("PATCH", &format!("{LIMITS}/{id}"), json!({ "subject": { "kind": "tenant" } })).await;
        assert_eq!((status, &problem["field"]), (400, &json!("subject")));
    }

    async fn limits_need_permissions_and_belong_to_their_tenant(test: TestStore) {
        let models = open(test.store());
        let ctx = tenant();
        let reader = with_permissions(&ctx, Permissions::none().with(Permission::ModelsRead));
        let writer = with_permissions(&ctx, Permissions::none().with(Permission::ModelsWrite));
        assert_eq!(models.create_limit(&reader, tenant_limit()).await.unwrap_err().code(), Code::Forbidden);
        let id = models.create_limit(&writer, tenant_limit()).await.unwrap().id;
        let change = LimitChange { requests_per_minute: Some(Some(7)), ..LimitChange::default() };
        assert_eq!(models.change_limit(&reader, id, change).await.unwrap_err().code(), Code::Forbidden);
        assert_eq!(models.delete_limit(&reader, id).await.unwrap_err().code(), Code::Forbidden);
        assert_eq!(models.limits(&writer, &PageRequest::default()).await.unwrap_err().code(), Code::Forbidden);

        let stranger = tenant();
        assert_eq!(models.change_limit(&stranger, id, change).await.unwrap_err().code(), Code::NotFound);
        assert_eq!(models.delete_limit(&stranger, id).await.unwrap_err().code(), Code::NotFound);
        assert!(models.limits(&stranger, &PageRequest::default()).await.unwrap().data.is_empty());
        assert_eq!(models.limits(&reader, &PageRequest::default()).await.unwrap().data[0].requests_per_minute, Some(5));
        // A provider of another tenant is none.
        let provider = add_provider(&models, &stranger, "acme", "https://models.example/v1").await;
        let new = NewLimit { subject: LimitSubject::Provider { id: provider }, ..tenant_limit() };
        assert_eq!(models.create_limit(&ctx, new).await.unwrap_err().code(), Code::NotFound);
    }

    async fn a_workspace_has_at_most_a_thousand_limits(test: TestStore) {
        let models = open(test.store());
        let ctx = tenant();
        let mut tx = test.begin(&ctx).await.unwrap();
        for _ in 0..999 {
            tx.execute(
                "INSERT INTO model_limits (tenant_id, id, subject_kind, subject_id, concurrency, created_at, updated_at)
                 VALUES ($1, $2, 'user', $3, 1, 0, 0)",
                [ctx.tenant().unwrap().into(), LimitId::new(&ctx).into(), UserId::new(&ctx).into()],
            )
            .await
            .unwrap();
        }
        tx.commit().await.unwrap();
        models.create_limit(&ctx, tenant_limit()).await.unwrap();
        let new = NewLimit { subject: LimitSubject::User { id: UserId::new(&ctx) }, ..tenant_limit() };
        let error = models.create_limit(&ctx, new).await.unwrap_err();
        assert_eq!((error.code(), error.field_name()), (Code::TooLarge, Some("subject")));
    }
}
