//! Scores of answers: feedback, the marks of rules, the judge, their sums, and routes that choose by them.

use std::time::Duration;

use plasma_kernel::{Code, Ctx, Permission, Permissions};
use plasma_models::{
    BudgetPeriod, BudgetSubject, CallStatus, ModelKind, NewBudget, NewFeedback, Purpose, QualitySettings, ScoreGroups,
    ScoreSource, ScoreSums, events,
};
use plasma_store::EventFilter;
use plasma_testkit::{TestStore, on_each_database, system, tenant, with_permissions};
use plasma_workflows::{JobFilter, JobState, Workflows, list_jobs};
use serde_json::{Value, json};

use crate::{
    budgets::Api,
    support::{STALL, Setup, add_model, add_provider, call_id, serve},
    upstream::{Answer, Upstream, finish_chunk, text_chunk, usage_chunk, whole_answer},
};

const CHAT: &str = "/v1/chat/completions";
const ANSWER: &str = "Backups are made every night.";

fn question(model: &str) -> Value {
    json!({ "model": model, "max_tokens": 50, "messages": [{ "role": "user", "content": "When are backups made?" }] })
}

async fn ask(setup: &Setup, body: &Value, task: Option<&str>) -> String {
    let mut request = setup.client.post(format!("{}{CHAT}", setup.url)).json(body);
    if let Some(task) = task {
        request = request.header("plasma-task", task);
    }
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), 200);
    let id = call_id(&response);
    response.text().await.unwrap();
    id
}

/// What is known of a call's quality, as soon as `ready` holds.
async fn quality_when(setup: &Setup, id: &str, ready: impl Fn(&Value) -> bool) -> Value {
    let mut seen = Value::Null;
    for _ in 0..1_000 {
        seen = setup.get(&format!("/api/v1/models/calls/{id}")).await.1["quality"].clone();
        if ready(&seen) {
            return seen;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the call {id} never got there: {seen}");
}

async fn marks_of(setup: &Setup, id: &str) -> Value {
    quality_when(setup, id, |quality| !quality["rule_score"].is_null()).await
}

fn mark(quality: &Value, name: &str) -> Option<f64> {
    quality["marks"].as_array().unwrap().iter().find(|mark| mark["name"] == name)?["value"].as_f64()
}

async fn all_sums(setup: &Setup, ctx: &Ctx) -> Vec<ScoreSums> {
    let groups = ScoreGroups { day: true, model: true, route: true, task: true, source: true };
    setup.models.quality_scores(ctx, groups, 2).await.unwrap()
}

fn rated(score: f64) -> NewFeedback {
    NewFeedback { score, ..NewFeedback::default() }
}

/// A tenant with the model `acme/chat` and the judge `court/chat`, whose answers are these, and a worker.
struct Court {
    setup: Setup,
    judge: Upstream,
    workflows: Workflows,
}

fn judges_settings(limit_micros: i64) -> QualitySettings {
    QualitySettings {
        judge_model: Some("court/chat".to_owned()),
        judge_share: 1.0,
        judge_limit_micros: Some(limit_micros),
        ..QualitySettings::default()
    }
}

fn verdict(text: &str) -> Answer {
    Answer::events([text_chunk(text), finish_chunk("stop"), usage_chunk(100, 0, 20)]).done()
}

impl Court {
    async fn new(test: TestStore, verdicts: impl IntoIterator<Item = Answer>, limit_micros: i64) -> Self {
        let setup = Setup::new(test, Answer::json(whole_answer(ANSWER, 7, 2))).await;
        let judge = Upstream::start_with(verdicts).await;
        let provider = add_provider(&setup.models, &setup.ctx, "court", &judge.url).await;
        add_model(&setup.models, &setup.ctx, provider, "chat", ModelKind::Chat).await;
        setup.models.put_quality_settings(&setup.ctx, judges_settings(limit_micros)).await.unwrap();
        let workflows = Workflows::new(setup.test.store(), system());
        setup.models.register_steps(&workflows);
        workflows.start(true).await.unwrap();
        Self { setup, judge, workflows }
    }

    async fn judged(&self, id: &str) -> Value {
        quality_when(&self.setup, id, |quality| !quality["judge"].is_null()).await["judge"].clone()
    }

    /// Returns when all jobs have ended, and how.
    async fn jobs(&self) -> Vec<JobState> {
        for _ in 0..1_000 {
            let jobs = list_jobs(&self.setup.ctx, &self.setup.test, &JobFilter::default(), &Default::default()).await;
            let jobs = jobs.unwrap().data;
            if !jobs.is_empty() && jobs.iter().all(|job| matches!(job.state, JobState::Succeeded | JobState::Failed)) {
                return jobs.iter().map(|job| job.state).collect();
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("the jobs did not end");
    }

    async fn waiting(&self) -> i64 {
        let mut tx = self.setup.test.read(&self.setup.ctx).await.unwrap();
        let tenant = self.setup.ctx.tenant().unwrap();
        let sql = "SELECT COUNT(*) AS waiting FROM model_judge_work WHERE tenant_id = $1";
        tx.fetch_one(sql, [tenant.into()]).await.unwrap().get("waiting").unwrap()
    }
}

on_each_database! {
    async fn feedback_is_one_of_each_actor_and_a_second_replaces_it(test: TestStore) {
        let setup = Setup::new(test, Answer::json(whole_answer(ANSWER, 7, 2))).await;
        let id = ask(&setup, &question("acme/chat"), Some("faq")).await;
        marks_of(&setup, &id).await;
        let path = format!("/api/v1/models/calls/{id}/feedback");
        let api = Api::new(&setup.models, &setup.ctx).await;
        let (status, first) = api.send("POST", &path, json!({ "thumbs": "up", "comment": "Short.", "labels": ["right"] })).await;
        assert_eq!((status, &first["score"], &first["comment"]), (200, &json!(1.0), &json!("Short.")), "{first}");
        let (status, second) = api.send("POST", &path, json!({ "score": 0.25 })).await;
        assert_eq!((status, &second["score"], &second["comment"]), (200, &json!(0.25), &Value::Null));
        assert_eq!(second["created_at"], first["created_at"]);
        // A colleague, who may call models and no more, has an opinion of their own.
        let colleague = Ctx::new(
            setup.ctx.tenant().unwrap(),
            tenant().actor().clone(),
            Permissions::none().with(Permission::ModelsInvoke),
            setup.ctx.clock().clone(),
            setup.ctx.random().clone(),
        );
        setup.models.give_feedback(&colleague, id.parse().unwrap(), rated(0.75)).await.unwrap();
        let quality = marks_of(&setup, &id).await;
        assert_eq!(quality["task"], "faq");
        let scores: Vec<&Value> = quality["feedback"].as_array().unwrap().iter().map(|one| &one["score"]).collect();
        assert_eq!(scores, [&json!(0.75), &json!(0.25)]);

        let (_, list) = api.get("/api/v1/models/quality/scores?group_by=task,source").await;
        let row = list["data"].as_array().unwrap().iter().find(|row| row["source"] == "feedback").unwrap().clone();
        assert_eq!((&row["task"], &row["n"], &row["mean"], &row["model"]), (&json!("faq"), &json!(2), &json!(0.5), &Value::Null));

        let mut tx = setup.test.read(&setup.ctx).await.unwrap();
        let filter = EventFilter { kind: Some(events::FEEDBACK_GIVEN.to_owned()) };
        let told = tx.events_page(&filter, &Default::default()).await.unwrap().data;
        assert_eq!(told.len(), 3);
        assert_eq!((&told[1].data["score"], &told[1].data["previous_score"]), (&json!(0.25), &json!(1.0)));
        assert!(told.iter().all(|event| !event.data.to_string().contains("Short.")), "comments stay out of the log");
        drop(tx);

        for (body, field) in [
            (json!({}), "score"),
            (json!({ "score": 0.5, "thumbs": "up" }), "score"),
            (json!({ "score": 1.01 }), "score"),
            (json!({ "score": 1, "labels": ["x".repeat(51)] }), "labels[0]"),
            (json!({ "score": 1, "comment": "x".repeat(2_001) }), "comment"),
            (json!({ "score": 1, "stars": 5 }), "stars"),
        ] {
            let (status, problem) = api.send("POST", &path, body).await;
            assert!(status == 400 || status == 413 || status == 422, "{status} {problem}");
            assert_eq!(problem["field"], field, "{problem}");
        }
    }

    async fn scores_stay_within_their_tenant(test: TestStore) {
        let setup = Setup::new(test, Answer::json(whole_answer(ANSWER, 7, 2))).await;
        let id = ask(&setup, &question("acme/chat"), None).await;
        marks_of(&setup, &id).await;
        let (stranger, id) = (tenant(), id.parse().unwrap());
        let refused = setup.models.give_feedback(&stranger, id, rated(1.0)).await.unwrap_err();
        assert_eq!(refused.reason(), "call_not_found");
        assert!(setup.models.call_quality(&stranger, id).await.unwrap().marks.is_empty());
        assert!(all_sums(&setup, &stranger).await.is_empty());
        assert_eq!(setup.models.quality_settings(&stranger).await.unwrap(), QualitySettings::default());
        let reader = with_permissions(&setup.ctx, Permissions::none().with(Permission::ModelsRead));
        assert_eq!(setup.models.give_feedback(&reader, id, rated(1.0)).await.unwrap_err().code(), Code::Forbidden);
        let refused = setup.models.put_quality_settings(&reader, QualitySettings::default()).await.unwrap_err();
        assert_eq!(refused.code(), Code::Forbidden);
    }

    async fn answers_get_the_marks_that_fit_them(test: TestStore) {
        let cut = {
            let mut answer = whole_answer("Backups are", 7, 2);
            answer["choices"][0]["finish_reason"] = json!("length");
            Answer::json(answer)
        };
        let streamed = Answer::events([text_chunk("I'm sorry, but I can't"), text_chunk(" help with that."), finish_chunk("stop"), usage_chunk(7, 0, 2)]);
        let upstream = Upstream::start_with([
            Answer::json(whole_answer(r#"{"city":"Bern"}"#, 7, 2)),
            Answer::json(whole_answer(r#"{"town":"Bern"}"#, 7, 2)),
            cut,
            streamed.done(),
            Answer::json(whole_answer(ANSWER, 7, 2)),
        ]);
        let setup = Setup::with(test, upstream.await).await;
        let mut with_schema = question("acme/chat");
        let schema = json!({ "type": "object", "required": ["city"], "properties": { "city": { "type": "string" } } });
        with_schema["response_format"] = json!({ "type": "json_schema", "json_schema": { "name": "x", "schema": schema } });
        let mut asked_streamed = question("acme/chat");
        asked_streamed["stream"] = json!(true);
        let plain = question("acme/chat");
        for (body, score, name, value) in [
            (&with_schema, 1.0, "schema", 1.0),
            (&with_schema, 0.0, "schema", 0.0),
            (&plain, 0.5, "truncation", 0.5),
            (&asked_streamed, 0.0, "refusal", 0.0),
        ] {
            let quality = marks_of(&setup, &ask(&setup, body, None).await).await;
            assert_eq!((quality["rule_score"].as_f64(), mark(&quality, name)), (Some(score), Some(value)), "{quality}");
            assert_eq!(quality["task"], "api");
        }
        // What is known later is added: the worst mark counts.
        let id = ask(&setup, &plain, None).await;
        assert_eq!(marks_of(&setup, &id).await["rule_score"], 1.0);
        setup.models.note_citations(&setup.ctx, id.parse().unwrap(), 1, 4);
        let quality = quality_when(&setup, &id, |quality| mark(quality, "citations").is_some()).await;
        assert_eq!((quality["rule_score"].as_f64(), mark(&quality, "truncation")), (Some(0.25), Some(1.0)));
        let sums = all_sums(&setup, &setup.ctx).await;
        assert_eq!(sums.len(), 1, "{sums:?}");
        assert_eq!((sums[0].scores, sums[0].score_sum), (5, 1_000 + 500 + 250));

        let wrong = setup.client.post(format!("{}{CHAT}", setup.url)).json(&plain).header("plasma-task", "Not a name");
        let wrong = wrong.send().await.unwrap();
        assert_eq!(wrong.status(), 400);
        assert_eq!(wrong.json::<Value>().await.unwrap()["error"]["param"], "plasma-task");
    }

    async fn sums_are_what_the_single_scores_add_up_to(test: TestStore) {
        let setup = Setup::new(test, Answer::json(whole_answer(ANSWER, 7, 2))).await;
        let mut ids = Vec::new();
        for task in ["a", "b", "a", "b", "a"] {
            ids.push(ask(&setup, &question("acme/chat"), Some(task)).await);
        }
        for id in &ids {
            marks_of(&setup, id).await;
        }
        // Ten people rate all calls at once, each twice: scores are replaced while others are written.
        let people: Vec<Ctx> = (0..10)
            .map(|_| Ctx::new(setup.ctx.tenant().unwrap(), tenant().actor().clone(), *setup.ctx.permissions(), setup.ctx.clock().clone(), setup.ctx.random().clone()))
            .collect();
        let ratings = people.iter().enumerate().flat_map(|(person, ctx)| {
            ids.iter().enumerate().map(move |(call, id)| (ctx, id, ((person * 7 + call * 3) % 11) as f64 / 10.0))
        });
        let models = &setup.models;
        let rate = ratings.map(|(ctx, id, score)| async move {
            for score in [1.0 - score, score] {
                models.give_feedback(ctx, id.parse().unwrap(), rated(score)).await.unwrap();
            }
        });
        futures::future::join_all(rate).await;

        let mut expected: std::collections::BTreeMap<(String, &str), (i64, i64, i64)> = Default::default();
        for id in &ids {
            let quality = setup.models.call_quality(&setup.ctx, id.parse().unwrap()).await.unwrap();
            let task = quality.task.unwrap();
            assert_eq!(quality.feedback.len(), 10);
            let feedback = quality.feedback.iter().map(|feedback| ("feedback", feedback.score));
            for (source, score) in feedback.chain(quality.rule_score.map(|score| ("rules", score))) {
                #[allow(clippy::cast_possible_truncation)]
                let score = (score * 1_000.0).round() as i64;
                let sums = expected.entry((task.clone(), source)).or_default();
                *sums = (sums.0 + 1, sums.1 + score, sums.2 + score * score);
            }
        }
        let sums = all_sums(&setup, &setup.ctx).await;
        let seen = sums.iter().map(|sums| {
            let key = (sums.task.clone().unwrap(), sums.source.unwrap().as_str());
            (key, (sums.scores, sums.score_sum, sums.square_sum))
        });
        assert_eq!(seen.collect::<std::collections::BTreeMap<_, _>>(), expected);
        assert_eq!(sums.iter().map(|sums| sums.scores).sum::<i64>(), 55);
    }

    async fn the_judge_scores_a_sample_in_the_background(test: TestStore) {
        let court = Court::new(test, [verdict(r#"{"score": 0.9, "reason": "Right and short."}"#)], 1_000_000).await;
        let id = ask(&court.setup, &question("acme/chat"), None).await;
        let judged = court.judged(&id).await;
        assert_eq!((&judged["score"], &judged["reason"], &judged["model"]), (&json!(0.9), &json!("Right and short."), &json!("court/chat")), "{judged}");
        let asked = court.judge.only().json.to_string();
        assert!(asked.contains("When are backups made?") && asked.contains(ANSWER) && asked.contains("1.0: correct"), "{asked}");
        // What it read is gone, and the judge's own call is neither marked nor judged.
        assert_eq!(court.jobs().await, [JobState::Succeeded]);
        assert_eq!(court.waiting().await, 0);
        let own = court.setup.call(judged["call_id"].as_str().unwrap()).await;
        assert_eq!((own.purpose, own.status, own.cost.as_ref().map(|cost| cost.amount_micros)), (Purpose::Judge, CallStatus::Succeeded, Some(450)));
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert!(court.setup.models.call_quality(&court.setup.ctx, own.id).await.unwrap().marks.is_empty());
        assert_eq!(court.judge.seen().len(), 1);
        // Its cost is in its budget.
        let budgets = court.setup.get("/api/v1/models/budgets").await.1;
        assert_eq!((&budgets["data"][0]["subject"]["kind"], &budgets["data"][0]["spent"]["amount_micros"]), (&json!("judge"), &json!(450)), "{budgets}");
        let sums = all_sums(&court.setup, &court.setup.ctx).await;
        let of_judge = sums.iter().find(|sums| sums.source == Some(ScoreSource::Judge)).unwrap();
        assert_eq!((of_judge.scores, of_judge.score_sum), (1, 900));
        // Switched off, it does not go on.
        court.setup.models.put_quality_settings(&court.setup.ctx, QualitySettings::default()).await.unwrap();
        let id = ask(&court.setup, &question("acme/chat"), None).await;
        marks_of(&court.setup, &id).await;
        assert_eq!((court.waiting().await, court.judge.seen().len()), (0, 1));
        court.workflows.stop().await;
    }

    async fn a_judge_that_does_not_keep_to_the_form_gives_no_score(test: TestStore) {
        let court = Court::new(test, [
            verdict("I would say 8 out of 10."),
            verdict(r#"{"score": 0.4, "reason": "Vague."}"#),
            verdict(r#"{"score": 8, "reason": "Good."}"#),
        ], 1_000_000).await;
        let id = ask(&court.setup, &question("acme/chat"), None).await;
        assert_eq!(court.judged(&id).await["score"], 0.4, "the second answer counts");
        let id = ask(&court.setup, &question("acme/chat"), None).await;
        let judged = court.judged(&id).await;
        assert_eq!((&judged["score"], &judged["error"]), (&Value::Null, &json!("the judge's answer is not the JSON that was asked for")));
        assert_eq!(court.jobs().await, [JobState::Succeeded, JobState::Succeeded]);
        assert_eq!((court.judge.seen().len(), court.waiting().await), (4, 0), "it is asked twice at most");
        let sums = all_sums(&court.setup, &court.setup.ctx).await;
        assert_eq!(sums.iter().find(|sums| sums.source == Some(ScoreSource::Judge)).unwrap().scores, 1);
        court.workflows.stop().await;
    }

    async fn a_judge_is_not_asked_when_its_budget_does_not_cover_it(test: TestStore) {
        // The worst case of a judgement is some thousands of millionths.
        let court = Court::new(test, [verdict(r#"{"score": 1, "reason": ""}"#)], 100).await;
        let id = ask(&court.setup, &question("acme/chat"), None).await;
        let judged = court.judged(&id).await;
        assert!(judged["score"].is_null() && judged["error"].as_str().unwrap().contains("budget"), "{judged}");
        assert_eq!(court.jobs().await, [JobState::Succeeded]);
        assert_eq!((court.judge.seen().len(), court.waiting().await), (0, 0));
        // Other calls have nothing to do with that budget.
        ask(&court.setup, &question("acme/chat"), None).await;
        court.workflows.stop().await;
    }
}

#[tokio::test]
async fn the_judges_budget_is_never_passed_by_many_at_once() {
    // One judgement may cost about 10,000 millionths and does cost 450; there is room for few at a time.
    let limit = 12_000;
    let court = Court::new(TestStore::sqlite().await, [verdict(r#"{"score": 1, "reason": ""}"#)], limit).await;
    let body = question("acme/chat");
    let ids = futures::future::join_all((0..40).map(|_| ask(&court.setup, &body, None))).await;
    for id in &ids {
        court.judged(id).await;
    }
    court.jobs().await;
    let budget = court.setup.get("/api/v1/models/budgets").await.1["data"][0].clone();
    let spent = budget["spent"]["amount_micros"].as_i64().unwrap();
    assert!(0 < spent && spent <= limit, "{budget}");
    assert_eq!(spent, 450 * i64::try_from(court.judge.seen().len()).unwrap());
    court.workflows.stop().await;
}

#[tokio::test]
async fn a_slow_judge_delays_no_answer() {
    let court = Court::new(TestStore::sqlite().await, [Answer::Silence], 1_000_000).await;
    let started = std::time::Instant::now();
    let mut last = String::new();
    for _ in 0..10 {
        last = ask(&court.setup, &question("acme/chat"), None).await;
    }
    // The judge is given up after `STALL`; whoever waited for it would wait ten times as long.
    let took = started.elapsed();
    assert!(took < STALL * 5, "ten answers took {took:?}");
    let quality = marks_of(&court.setup, &last).await;
    assert!(quality["judge"].is_null() && court.waiting().await > 0, "the judge is still at work: {quality}");
    court.workflows.stop().await;
}

#[tokio::test]
async fn settings_are_checked_and_the_limit_is_a_budget() {
    let setup = Setup::new(TestStore::sqlite().await, Answer::Silence).await;
    let api = Api::new(&setup.models, &setup.ctx).await;
    let path = "/api/v1/models/quality";
    let (_, settings) = api.get(path).await;
    assert_eq!(
        (&settings["judge_model"], &settings["judge_share"], &settings["rubric_is_default"]),
        (&Value::Null, &json!(0.0), &json!(true))
    );
    for (body, field) in [
        (json!({ "judge_model": "acme/chat" }), "judge_limit_micros"),
        (json!({ "judge_model": "acme/none", "judge_limit_micros": 1 }), "judge_model"),
        (json!({ "judge_model": "acme/embed", "judge_limit_micros": 1 }), "judge_model"),
        (json!({ "judge_share": 1.5 }), "judge_share"),
        (json!({ "cost_weight": -1 }), "cost_weight"),
        (json!({ "rubric": " " }), "rubric"),
        (json!({ "judge_limit_micros": -1 }), "judge_limit_micros"),
        (json!({ "judge_limit_micros": 1, "currency": "dollars" }), "currency"),
    ] {
        let (status, problem) = api.send("PUT", path, body).await;
        assert!((400..500).contains(&status), "{problem}");
        assert_eq!(problem["field"], field, "{problem}");
    }
    let body = json!({ "judge_model": "acme/chat", "judge_share": 0.05, "rubric": "Be kind.", "judge_limit_micros": 7, "cost_weight": 0.5 });
    let (status, settings) = api.send("PUT", path, body.clone()).await;
    assert_eq!(status, 200, "{settings}");
    for (name, value) in body.as_object().unwrap() {
        assert_eq!(&settings[name], value);
    }
    assert_eq!(api.get(path).await.1, settings);
    let budget = api.get("/api/v1/models/budgets").await.1["data"][0].clone();
    assert_eq!((&budget["subject"]["kind"], &budget["limit"]["amount_micros"]), (&json!("judge"), &json!(7)));
    // Another limit changes the budget, and what was spent of it stays.
    api.send("PUT", path, json!({ "judge_model": "acme/chat", "judge_limit_micros": 9 })).await;
    let changed = api.get("/api/v1/models/budgets").await.1["data"][0].clone();
    assert_eq!((&changed["id"], &changed["limit"]["amount_micros"]), (&budget["id"], &json!(9)));
    let second = NewBudget {
        subject: BudgetSubject::Judge {},
        period: BudgetPeriod::Month,
        limit_micros: 1,
        currency: "USD".to_owned(),
    };
    assert_eq!(setup.models.create_budget(&setup.ctx, second).await.unwrap_err().reason(), "budget_exists");
    // Without its budget there is no judge, whoever took it away.
    api.send("DELETE", &format!("/api/v1/models/budgets/{}", budget["id"].as_str().unwrap()), Value::Null).await;
    assert_eq!(api.get(path).await.1["judge_limit_micros"], Value::Null);
}

#[tokio::test]
async fn routes_choose_by_the_scores_and_tell_why() {
    let setup = Setup::new(TestStore::sqlite().await, Answer::json(whole_answer(ANSWER, 7, 2))).await;
    let other = Upstream::start(Answer::json(whole_answer(ANSWER, 7, 2))).await;
    let provider = add_provider(&setup.models, &setup.ctx, "other", &other.url).await;
    add_model(&setup.models, &setup.ctx, provider, "chat", ModelKind::Chat).await;
    let candidates = json!([{ "model": "acme/chat" }, { "model": "other/chat" }]);
    for (name, strategy) in [("best", "highest_quality"), ("smart", "bandit")] {
        let url = format!("{}/api/v1/routes/{name}", setup.url);
        let route = json!({ "strategy": strategy, "candidates": candidates });
        assert_eq!(setup.client.put(&url).json(&route).send().await.unwrap().status(), 200);
    }
    // People find the second far better.
    for _ in 0..12 {
        for (model, score) in [("acme/chat", 0.0), ("other/chat", 1.0)] {
            let id = ask(&setup, &question(model), None).await;
            setup.models.give_feedback(&setup.ctx, id.parse().unwrap(), rated(score)).await.unwrap();
        }
    }
    let decision = |id: String| {
        let setup = &setup;
        async move { setup.get(&format!("/api/v1/models/calls/{id}")).await.1["decision"].clone() }
    };
    let best = decision(ask(&setup, &question("best"), None).await).await;
    assert_eq!(best["candidates"][0]["model"], "other/chat", "{best}");
    assert!(best["candidates"][0]["reason"].as_str().unwrap().contains("opinions"), "{best}");
    let mut second = 0;
    for _ in 0..10 {
        let smart = decision(ask(&setup, &question("smart"), None).await).await;
        assert_eq!(smart["strategy"], "bandit");
        assert!(smart["candidates"][0]["reason"].as_str().unwrap().contains("drawn from Beta("), "{smart}");
        second += i32::from(smart["candidates"][0]["model"] == "other/chat");
    }
    assert!(second >= 8, "{second} of 10 went to the better model");
    // A stranger's routes have learned nothing of it, and a name of a route leads to the dearest model.
    let url = serve(&setup.models, &tenant()).await;
    let refused = setup.client.post(format!("{url}{CHAT}")).json(&question("auto-best")).send().await.unwrap();
    assert_eq!(refused.status(), 503, "a stranger has only local models, whose weights are missing");
}
