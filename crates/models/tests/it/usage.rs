//! Usage over HTTP: dimensions, names, CSV; and the call log's filters.

use plasma_kernel::{Actor, ApiKeyId, Clock, Ctx, Permission, Permissions, Random, TeamId};
use plasma_models::ModelKind;
use plasma_testkit::{TestStore, on_each_database};
use serde_json::{Value, json};

use crate::{
    support::{Setup, add_model, call_id, serve},
    upstream::{Answer, Upstream, finish_chunk, text_chunk, usage_chunk, whole_answer},
};

const CHAT: &str = "/v1/chat/completions";
const BODY: &str = r#"{"model":"acme/chat","messages":[]}"#;

/// The team of the key's call.
const TEAM: TeamId = TeamId::from_bits(5);

/// Two calls of the tenant's user, the second fails, and a streamed one with a key.
async fn three_calls(test: TestStore) -> (Setup, ApiKeyId, Vec<String>) {
    let streamed = Answer::events([text_chunk("a"), finish_chunk("stop"), usage_chunk(100, 40, 10)]).done();
    let answers = [Answer::json(whole_answer("a", 7, 2)), Answer::error(500, "no"), streamed];
    let setup = Setup::with(test, Upstream::start_with(answers).await).await;
    add_model(&setup.models, &setup.ctx, setup.provider, "other", ModelKind::Chat).await;
    let key = ApiKeyId::new(&setup.ctx);
    let program = as_key(&setup.ctx, key, Permissions::all()).with_team(Some(TEAM));
    let route = json!({ "strategy": "ordered", "candidates": [{ "model": "acme/other" }] });
    let put = setup.client.put(format!("{}/api/v1/routes/ours", setup.url)).json(&route).send().await.unwrap();
    assert_eq!(put.status(), 200);
    let mut ids = Vec::new();
    for _ in 0..2 {
        ids.push(call_id(&setup.post(CHAT, BODY).await));
    }
    let url = serve(&setup.models, &program).await;
    let body = json!({ "model": "ours", "messages": [], "stream": true });
    let response = setup.client.post(format!("{url}{CHAT}")).json(&body).send().await.unwrap();
    ids.push(call_id(&response));
    assert!(response.text().await.unwrap().contains("[DONE]"));
    (setup, key, ids)
}

fn as_key(ctx: &Ctx, key: ApiKeyId, permissions: Permissions) -> Ctx {
    Ctx::new(ctx.tenant().unwrap(), Actor::ApiKey { id: key }, permissions, Clock::system(), Random::system())
}

/// A key, a person and a team with names, as identity would make them.
async fn name_them(setup: &Setup, key: ApiKeyId) {
    let (tenant, user) = (setup.ctx.tenant().unwrap(), setup.ctx.user().unwrap());
    let mut tx = setup.test.begin(&setup.ctx).await.unwrap();
    tx.execute(
        "INSERT INTO users (id, email, name, password_hash, operator, created_at) VALUES ($1, 'eve@example.org', 'Eve, \"E\"', '', 0, 0)",
        [user.into()],
    )
    .await
    .unwrap();
    tx.execute(
        "INSERT INTO memberships (tenant_id, user_id, role, created_at) VALUES ($1, $2, 'owner', 0)",
        [tenant.into(), user.into()],
    )
    .await
    .unwrap();
    tx.execute(
        "INSERT INTO api_keys (tenant_id, id, name, prefix, token_hash, role, installation, bootstrap, created_by, created_at)
         VALUES ($1, $2, '=cmd()', '', $3, 'service', 0, 0, $4, 0)",
        [tenant.into(), key.into(), vec![1_u8].into(), user.into()],
    )
    .await
    .unwrap();
    tx.execute(
        "INSERT INTO teams (tenant_id, id, name, name_key, description, created_at, updated_at) VALUES ($1, $2, 'Blue', 'blue', '', 0, 0)",
        [tenant.into(), TEAM.into()],
    )
    .await
    .unwrap();
    tx.commit().await.unwrap();
}

on_each_database! {
    async fn usage_is_grouped_filtered_named_and_written_as_csv(test: TestStore) {
        let (setup, key, _) = three_calls(test).await;
        name_them(&setup, key).await;
        let user = setup.ctx.user().unwrap().to_string();
        let (status, usage) = setup.get("/api/v1/usage?group_by=key,user,route").await;
        assert_eq!(status, 200, "{usage}");
        let lines = usage["data"].as_array().unwrap();
        assert_eq!(lines.len(), 2);
        let own = &lines[0];
        assert_eq!((&own["user"], &own["user_name"]), (&json!(user), &json!("Eve, \"E\"")));
        assert_eq!((&own["key"], &own["route"], &own["day"]), (&Value::Null, &Value::Null, &Value::Null));
        assert_eq!((&own["calls"], &own["failed"], &own["error_rate"]), (&json!(2), &json!(1), &json!(0.5)));
        assert_eq!((&own["unpriced_calls"], &own["first_token_ms_p50"]), (&json!(1), &Value::Null));
        let programs = &lines[1];
        assert_eq!((&programs["key_name"], &programs["route"]), (&json!("=cmd()"), &json!("ours")));
        assert_eq!((&programs["cached_input_tokens"], &programs["output_tokens"]), (&json!(40), &json!(10)));
        assert!(programs["first_token_ms_p95"].is_u64() && programs["duration_ms_p50"].is_u64());
        assert_eq!(usage["total"]["calls"], 3);
        assert_eq!((&usage["has_more"], &usage["group_by"]), (&json!(false), &json!(["key", "user", "route"])));

        for (query, calls) in [
            ("", 3), (&format!("&team={TEAM}"), 1), (&format!("&team={TEAM}&user={user}"), 0), ("&model=acme/other", 1), ("&provider=acme", 3), ("&provider=ac", 0), ("&route=ours", 1),
            (&format!("&key={key}"), 1), (&format!("&user={user}"), 2), (&format!("&user={user}&route=ours"), 0),
        ] {
            let (_, usage) = setup.get(&format!("/api/v1/usage?group_by=day{query}")).await;
            assert_eq!(usage["total"]["calls"], calls, "{query}");
        }
        for (wrong, field) in [
            ("group_by=colour", "group_by"), ("group_by=", "group_by"), ("from=yesterday", "from"), ("limit=0", "limit"),
            ("from=2026-02-01&to=2026-01-01", "from"), ("from=2020-01-01", "from"), ("colour=red", "colour"),
        ] {
            let (status, problem) = setup.get(&format!("/api/v1/usage?{wrong}")).await;
            assert_eq!((status, &problem["field"]), (400, &json!(field)), "{wrong}: {problem}");
        }
        let (_, usage) = setup.get("/api/v1/usage?group_by=team,key").await;
        let (none, blue) = (&usage["data"][0], &usage["data"][1]);
        assert_eq!((&none["team"], &none["team_name"], &none["calls"]), (&Value::Null, &Value::Null, &json!(2)));
        assert_eq!((&blue["team"], &blue["team_name"], &blue["key_name"]), (&json!(TEAM), &json!("Blue"), &json!("=cmd()")));

        // The same as a spreadsheet reads it.
        let get = |path: &str, accept: &str| setup.client.get(format!("{}{path}", setup.url)).header("accept", accept).send();
        let response = get("/api/v1/usage?group_by=key,user", "text/csv, application/json").await.unwrap();
        assert_eq!(response.headers()["content-type"], "text/csv; charset=utf-8; header=present");
        assert!(response.headers()["content-disposition"].to_str().unwrap().starts_with("attachment; filename=\"usage-20"));
        let csv = response.text().await.unwrap();
        let rows: Vec<&str> = csv.split_terminator("\r\n").collect();
        assert!(rows[0].starts_with("key,key_name,user,user_name,calls,failed,cancelled,") && rows[0].ends_with(",cost_USD"));
        assert!(rows[1].starts_with(&format!(",,{user},\"Eve, \"\"E\"\"\",2,1,0,0,0.500000,7,")), "{csv}");
        assert!(rows[1].ends_with(",0.000038"), "{csv}");
        assert!(rows[2].starts_with(&format!("{key},'=cmd(),,,1,0,0,")) && rows[2].ends_with(",0.000350"), "{csv}");
        assert_eq!(rows.len(), 3);
        let response = get("/api/v1/usage?group_by=key,user&format=csv", "application/json").await.unwrap();
        assert_eq!(response.text().await.unwrap(), csv);
        let response = get("/api/v1/usage?group_by=team&format=csv", "application/json").await.unwrap();
        let csv = response.text().await.unwrap();
        assert!(csv.starts_with("team,team_name,calls,") && csv.contains(&format!("\r\n{TEAM},Blue,1,")), "{csv}");
        let response = get("/api/v1/usage?format=json", "text/csv").await.unwrap();
        assert_eq!(response.headers()["content-type"], "application/json");

        // Who may see usage but neither keys nor people nor teams gets their ids only.
        let reader = as_key(&setup.ctx, key, [Permission::ModelsRead].into_iter().collect());
        let url = serve(&setup.models, &reader).await;
        let response = setup.client.get(format!("{url}/api/v1/usage?group_by=key,user")).send().await.unwrap();
        let usage: Value = response.json().await.unwrap();
        assert_eq!((&usage["data"][0]["user"], &usage["data"][0]["user_name"]), (&json!(user), &Value::Null));
        assert_eq!((&usage["data"][1]["key"], &usage["data"][1]["key_name"]), (&json!(key.to_string()), &Value::Null));
        let response = setup.client.get(format!("{url}/api/v1/usage?group_by=team")).send().await.unwrap();
        let usage: Value = response.json().await.unwrap();
        assert_eq!((&usage["data"][1]["team"], &usage["data"][1]["team_name"]), (&json!(TEAM), &Value::Null));
    }

    async fn the_call_log_of_usage_is_filtered(test: TestStore) {
        let (setup, key, ids) = three_calls(test).await;
        let user = setup.ctx.user().unwrap();
        let today = |end: &str| format!("{}{end}", plasma_models_day(setup.ctx.now()));
        for (query, expected) in [
            ("".to_owned(), vec![2, 1, 0]),
            ("model=acme/chat".to_owned(), vec![1, 0]),
            ("provider=acme".to_owned(), vec![2, 1, 0]),
            ("provider=acm".to_owned(), vec![]),
            ("route=ours".to_owned(), vec![2]),
            ("status=failed".to_owned(), vec![1]),
            ("status=succeeded".to_owned(), vec![2, 0]),
            ("purpose=api".to_owned(), vec![2, 1, 0]),
            ("purpose=ask".to_owned(), vec![]),
            (format!("key={key}"), vec![2]),
            (format!("team={TEAM}"), vec![2]),
            (format!("team={TEAM}&user={user}"), vec![]),
            (format!("team={}", TeamId::from_bits(6)), vec![]),
            (format!("user={user}"), vec![1, 0]),
            (format!("user={user}&status=failed&model=acme/chat"), vec![1]),
            ("min_cost_micros=39".to_owned(), vec![2]),
            ("min_cost_micros=38".to_owned(), vec![2, 0]),
            ("min_duration_ms=3600000".to_owned(), vec![]),
            ("min_duration_ms=0&limit=2".to_owned(), vec![2, 1]),
            ("to=2020-01-01".to_owned(), vec![]),
            ("from=2020-01-01".to_owned(), vec![2, 1, 0]),
            (format!("from={}&to={}", today(""), today("")), vec![2, 1, 0]),
            (format!("from={}", today("T23:59:59Z")), vec![]),
            (format!("to={}", today("T00:00:00Z")), vec![]),
        ] {
            let (status, page) = setup.get(&format!("/api/v1/models/calls?{query}")).await;
            assert_eq!(status, 200, "{query}: {page}");
            let found: Vec<&str> = page["data"].as_array().unwrap().iter().map(|call| call["id"].as_str().unwrap()).collect();
            let expected: Vec<&str> = expected.into_iter().map(|place: usize| ids[place].as_str()).collect();
            assert_eq!(found, expected, "{query}");
        }
        for wrong in [format!("key={key}&user={user}"), "from=now".to_owned(), "key=usr_1".to_owned(), "team=blue".to_owned(), "min_cost_micros=-1".to_owned()] {
            assert_eq!(setup.get(&format!("/api/v1/models/calls?{wrong}")).await.0, 400, "{wrong}");
        }
    }
}

/// The date of a time, as `date` writes it.
fn plasma_models_day(now: i64) -> String {
    let output = std::process::Command::new("date")
        .args(["-u", "-d", &format!("@{}", now / 1_000_000), "+%Y-%m-%d"])
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}
