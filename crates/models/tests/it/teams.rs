//! Calls that are counted to a team: their budget, their limit and their records, over HTTP.

use plasma_kernel::{PageRequest, TeamId};
use plasma_models::{CallFilter, CallStatus};
use plasma_testkit::on_each_database;
use serde_json::{Value, json};

use crate::{
    budgets::Api,
    support::{Setup, serve},
    upstream::{Answer, whole_answer},
};

/// At 2.50 and 10.00 USD for a million tokens this may cost some 3,200 millionths, and costs 38.
const BODY: &str = r#"{"model":"acme/chat","messages":[{"role":"user","content":"Hi"}],"max_tokens":50}"#;

on_each_database! {
    async fn a_teams_budget_and_limit_hold_for_its_calls_and_no_others(test: TestStore) {
        let setup = Setup::new(test, Answer::json(whole_answer("Hello", 7, 2))).await;
        let team = TeamId::new(&setup.ctx);
        let url = serve(&setup.models, &setup.ctx.clone().with_team(Some(team))).await;
        let of_team = Api::at(&url);
        let nobodys = Api::at(&setup.url);
        let ask = async |api: &Api| {
            let (status, answer) = api.send("POST", "/v1/chat/completions", serde_json::from_str(BODY).unwrap()).await;
            (status, answer["error"]["code"].clone(), answer["error"]["message"].as_str().unwrap_or_default().to_owned())
        };

        let subject = json!({ "kind": "team", "id": team });
        let budget = json!({ "subject": subject, "period": "day", "limit_micros": 5_000 });
        let (status, budget) = nobodys.send("POST", "/api/v1/models/budgets", budget).await;
        assert_eq!(status, 201, "{budget}");
        let budget = format!("/api/v1/models/budgets/{}", budget["id"].as_str().unwrap());
        assert_eq!((ask(&of_team).await.0, ask(&nobodys).await.0), (200, 200));
        let (_, state) = nobodys.get(&budget).await;
        assert_eq!((&state["spent"]["amount_micros"], &state["reserved"]["amount_micros"]), (&json!(38), &json!(0)));
        nobodys.send("PATCH", &budget, json!({ "limit_micros": 100 })).await;
        let (status, code, message) = ask(&of_team).await;
        assert_eq!((status, code), (402, json!("over_budget")));
        assert!(message.contains(&format!("the daily budget of the team {team}")), "{message}");
        assert_eq!(ask(&nobodys).await.0, 200);
        assert_eq!(nobodys.send("DELETE", &budget, Value::Null).await.0, 204);

        let limit = json!({ "subject": subject, "requests_per_minute": 1 });
        assert_eq!(nobodys.send("POST", "/api/v1/models/limits", limit).await.0, 201);
        assert_eq!(ask(&of_team).await.0, 200);
        let (status, code, message) = ask(&of_team).await;
        assert_eq!((status, code), (429, json!("model_limit_reached")));
        assert!(message.contains(&format!("the limit of the team {team}")), "{message}");
        assert_eq!(ask(&nobodys).await.0, 200);

        let filter = CallFilter { team: Some(team), status: Some(CallStatus::Succeeded), ..CallFilter::default() };
        let calls = setup.models.calls(&setup.ctx, &filter, &PageRequest::default()).await.unwrap().data;
        assert_eq!(calls.len(), 2);
        assert!(calls.iter().all(|call| call.team == Some(team) && call.actor == *setup.ctx.actor()));
        let (_, shown) = nobodys.get(&format!("/api/v1/models/calls/{}", calls[0].id)).await;
        assert_eq!(shown["team"], json!(team));
        let (_, usage) = nobodys.get(&format!("/api/v1/usage?group_by=team&team={team}")).await;
        assert_eq!((&usage["data"][0]["team"], &usage["total"]["cost"][0]["amount_micros"]), (&json!(team), &json!(76)));
    }
}
