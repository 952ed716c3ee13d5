//! Prompts: versions that never change, aliases, dry runs, and who may see and do what.

use plasma_kernel::{Code, Permission, Permissions};
use plasma_testkit::{TestStore, on_each_database, tenant, with_permissions};
use serde_json::{Value, json};

use crate::{
    support::{Setup, open, serve},
    upstream::{Answer, whole_answer},
};

const PROMPTS: &str = "/api/v1/prompts";

pub fn version(system: &str, user: &str) -> Value {
    json!({
        "messages": [{ "role": "system", "content": system }, { "role": "user", "content": user }],
        "variables": [{ "name": "language", "type": "string" }],
    })
}

pub async fn setup(test: TestStore) -> Setup {
    Setup::new(test, Answer::json(whole_answer("Hello", 7, 2))).await
}

impl Setup {
    /// Sends JSON and reads JSON.
    pub async fn send(&self, method: reqwest::Method, path: &str, body: &Value) -> (u16, Value) {
        let response = self.client.request(method, format!("{}{path}", self.url)).json(body).send().await.unwrap();
        let status = response.status().as_u16();
        let text = response.text().await.unwrap();
        (status, serde_json::from_str(&text).unwrap_or(Value::Null))
    }

    pub async fn add_prompt(&self, name: &str, versions: &[Value]) {
        let (status, body) = self.send(reqwest::Method::POST, PROMPTS, &json!({ "name": name })).await;
        assert_eq!(status, 201, "{body}");
        for version in versions {
            let path = format!("{PROMPTS}/{name}/versions");
            let (status, body) = self.send(reqwest::Method::POST, &path, version).await;
            assert_eq!(status, 201, "{body}");
        }
    }

    pub async fn alias_prompt(&self, name: &str, alias: &str, split: Value) -> (u16, Value) {
        let path = format!("{PROMPTS}/{name}/aliases/{alias}");
        self.send(reqwest::Method::PUT, &path, &json!({ "split": split })).await
    }
}

on_each_database! {
    async fn versions_are_numbered_and_never_change(test: TestStore) {
        let setup = setup(test).await;
        let mut first = version("Answer in {{ language }}.", "Be short.");
        first["note"] = json!("the first");
        first["model"] = json!("acme/chat");
        first["parameters"] = json!({ "temperature": 0.2, "stop": ["END"] });
        setup.add_prompt("support", &[first, version("In {{ language }}!", "Be short.")]).await;
        let (status, one) = setup.get(&format!("{PROMPTS}/support/versions/1")).await;
        assert_eq!((status, &one["version"], &one["note"]), (200, &json!(1), &json!("the first")));
        assert_eq!(one["messages"][0]["content"], "Answer in {{ language }}.");
        assert_eq!(one["parameters"]["temperature"], 0.2);
        assert_eq!(one["actor"]["kind"], "user");
        let (_, prompt) = setup.get(&format!("{PROMPTS}/support")).await;
        assert_eq!(prompt["newest_version"], 2);
        let (_, list) = setup.get(&format!("{PROMPTS}/support/versions?limit=1")).await;
        assert_eq!((&list["data"][0]["version"], &list["has_more"]), (&json!(2), &json!(true)));
        let next = list["next_cursor"].as_str().unwrap();
        let (_, list) = setup.get(&format!("{PROMPTS}/support/versions?limit=1&cursor={next}")).await;
        assert_eq!((&list["data"][0]["version"], &list["has_more"]), (&json!(1), &json!(false)));

        // There is no way to change one.
        let path = format!("{PROMPTS}/support/versions/1");
        for method in [reqwest::Method::PUT, reqwest::Method::PATCH, reqwest::Method::DELETE, reqwest::Method::POST] {
            assert_eq!(setup.send(method, &path, &version("changed", "changed")).await.0, 405);
        }
        assert_eq!(setup.get(&path).await.1, one);
        let (_, unknown) = setup.get(&format!("{PROMPTS}/support/versions/3")).await;
        assert_eq!(unknown["reason"], "prompt_version_not_found");
    }

    async fn versions_that_are_added_at_once_get_numbers_of_their_own(test: TestStore) {
        let setup = setup(test).await;
        setup.add_prompt("busy", &[]).await;
        let path = format!("{PROMPTS}/busy/versions");
        let body = version("{{ language }}", "x");
        let added = futures::future::join_all((0..12).map(|_| setup.send(reqwest::Method::POST, &path, &body))).await;
        let mut numbers: Vec<u64> = added.iter().map(|(_, version)| version["version"].as_u64().unwrap()).collect();
        numbers.sort_unstable();
        assert_eq!(numbers, (1..=12).collect::<Vec<_>>());
    }

    async fn lists_have_pages_and_names_are_unique(test: TestStore) {
        let setup = setup(test).await;
        for name in ["c", "a", "b"] {
            setup.add_prompt(name, &[]).await;
        }
        let (status, body) = setup.send(reqwest::Method::POST, PROMPTS, &json!({ "name": "a" })).await;
        assert_eq!((status, &body["reason"]), (409, &json!("prompt_exists")));
        for name in ["", "A", "a b", "pmpt_x", &"x".repeat(64)] {
            let (status, body) = setup.send(reqwest::Method::POST, PROMPTS, &json!({ "name": name })).await;
            assert_eq!((status, &body["field"]), (400, &json!("name")), "{name}");
        }
        let (_, page) = setup.get(&format!("{PROMPTS}?limit=2")).await;
        assert_eq!((&page["data"][0]["name"], &page["data"][1]["name"]), (&json!("a"), &json!("b")));
        let (_, page) = setup.get(&format!("{PROMPTS}?limit=2&cursor=b")).await;
        assert_eq!((&page["data"][0]["name"], &page["has_more"]), (&json!("c"), &json!(false)));
        assert_eq!(setup.send(reqwest::Method::DELETE, &format!("{PROMPTS}/b"), &json!({})).await.0, 204);
        assert_eq!(setup.get(&format!("{PROMPTS}/b")).await.0, 404);
        // What comes back under the name of something removed has nothing of it.
        setup.add_prompt("b", &[]).await;
        assert_eq!(setup.get(&format!("{PROMPTS}/b")).await.1["newest_version"], 0);
    }

    async fn aliases_stand_for_versions_that_exist(test: TestStore) {
        let setup = setup(test).await;
        setup.add_prompt("support", &[version("1 {{ language }}", "x"), version("2 {{ language }}", "x")]).await;
        let (status, alias) = setup.alias_prompt("support", "production", json!([{ "version": 1 }])).await;
        assert_eq!((status, &alias["split"]), (200, &json!([{ "version": 1, "weight": 1 }])));
        for (alias, split, field) in [
            ("production", json!([{ "version": 3 }]), "split[0].version"),
            ("production", json!([]), "split"),
            ("production", json!([{ "version": 1, "weight": 0 }]), "split"),
            ("production", json!([{ "version": 1 }, { "version": 1 }]), "split[1].version"),
            ("production", json!([{ "version": 1, "weight": 1_000_001 }]), "split[0].weight"),
            ("latest", json!([{ "version": 1 }]), "alias"),
            ("7", json!([{ "version": 1 }]), "alias"),
        ] {
            let (status, body) = setup.alias_prompt("support", alias, split).await;
            assert!(status == 400 || status == 404, "{status} {body}");
            assert_eq!(body["field"], field, "{body}");
        }
        let render = |body: Value| {
            let setup = &setup;
            async move { setup.send(reqwest::Method::POST, &format!("{PROMPTS}/support/render"), &body).await.1 }
        };
        let variables = json!({ "language": "French" });
        assert_eq!(render(json!({ "variables": variables })).await["version"], 1);
        assert_eq!(render(json!({ "alias": "latest", "variables": variables })).await["version"], 2);
        let (_, moved) = setup.alias_prompt("support", "production", json!([{ "version": 2 }])).await;
        assert_eq!(moved["split"][0]["version"], 2);
        assert_eq!(render(json!({ "variables": variables })).await["messages"][0]["content"], "2 French");
        let path = format!("{PROMPTS}/support/aliases/production");
        assert_eq!(setup.send(reqwest::Method::DELETE, &path, &json!({})).await.0, 204);
        assert_eq!(setup.send(reqwest::Method::DELETE, &path, &json!({})).await.0, 404);
        let (_, prompt) = setup.get(&format!("{PROMPTS}/support")).await;
        assert_eq!(prompt["aliases"], json!([]));
    }

    async fn a_dry_run_names_what_is_wrong(test: TestStore) {
        let setup = setup(test).await;
        setup.add_prompt("support", &[version("Answer in {{ language }}.", "Hi.")]).await;
        let path = format!("{PROMPTS}/support/render");
        let post = |body: Value| {
            let (setup, path) = (&setup, &path);
            async move { setup.send(reqwest::Method::POST, path, &body).await }
        };
        let (status, rendered) = post(json!({ "variables": { "language": "{{ x }}" } })).await;
        assert_eq!(status, 200, "{rendered}");
        let expected = json!([{ "role": "system", "content": "Answer in {{ x }}." }, { "role": "user", "content": "Hi." }]);
        assert_eq!(rendered["messages"], expected);
        for (body, field, reason) in [
            (json!({}), "variables.language", "prompt_variable_missing"),
            (json!({ "variables": { "language": 1 } }), "variables.language", "prompt_variable_wrong"),
            (json!({ "variables": { "language": "a", "langage": 1 } }), "variables.langage", "prompt_variable_unknown"),
            (json!({ "version": 1, "alias": "a" }), "version", "invalid"),
        ] {
            let (status, body) = post(body).await;
            assert_eq!((status, &body["field"], &body["reason"]), (400, &json!(field), &json!(reason)), "{body}");
        }
        let draft = json!({ "messages": [{ "role": "user", "content": "{{ n * 2 }}" }], "variables": [{ "name": "n", "type": "integer" }] });
        let (status, body) = post(json!({ "draft": draft, "variables": { "n": 1 } })).await;
        assert_eq!((status, &body["field"]), (400, &json!("messages[0].content")));
        let draft = json!({ "messages": [{ "role": "user", "content": "{{ n - 2 }}" }], "variables": [{ "name": "n", "type": "integer" }] });
        let (status, body) = post(json!({ "draft": draft, "variables": { "n": 1 } })).await;
        assert_eq!((status, &body["version"], &body["messages"][0]["content"]), (200, &Value::Null, &json!("-1")));
    }

    async fn a_difference_shows_messages_variables_and_parameters(test: TestStore) {
        let setup = setup(test).await;
        let mut second = version("Answer in {{ language }}.", "Be\nvery\nshort.");
        second["parameters"] = json!({ "temperature": 0.5 });
        setup.add_prompt("support", &[version("Answer in {{ language }}.", "Be\nshort."), second]).await;
        let (status, diff) = setup.get(&format!("{PROMPTS}/support/diff?from=1&to=2")).await;
        assert_eq!((status, &diff["added"], &diff["removed"]), (200, &json!(5), &json!(0)), "{diff}");
        let lines: Vec<&str> = diff["hunks"].as_array().unwrap().iter()
            .flat_map(|hunk| hunk["lines"].as_array().unwrap())
            .filter(|line| line["kind"] == "added")
            .map(|line| line["text"].as_str().unwrap())
            .collect();
        assert_eq!(lines, ["very", "[parameters]", "{", "  \"temperature\": 0.5", "}"]);
        assert_eq!(setup.get(&format!("{PROMPTS}/support/diff?from=1&to=3")).await.0, 404);
        assert_eq!(setup.get(&format!("{PROMPTS}/support/diff?from=1")).await.0, 400);
    }

    async fn another_tenant_sees_and_changes_nothing(test: TestStore) {
        let mine = setup(test).await;
        mine.add_prompt("support", &[version("{{ language }}", "x")]).await;
        mine.alias_prompt("support", "production", json!([{ "version": 1 }])).await;
        let stranger = tenant();
        let url = serve(&mine.models, &stranger).await;
        let theirs = Setup { url, ..mine };
        assert_eq!(theirs.get(PROMPTS).await.1["data"], json!([]));
        let body = version("{{ language }}", "x");
        for (method, path, body) in [
            (reqwest::Method::GET, "", json!({})),
            (reqwest::Method::DELETE, "", json!({})),
            (reqwest::Method::GET, "/versions", json!({})),
            (reqwest::Method::POST, "/versions", body),
            (reqwest::Method::GET, "/versions/1", json!({})),
            (reqwest::Method::GET, "/diff?from=1&to=1", json!({})),
            (reqwest::Method::POST, "/render", json!({ "variables": { "language": "x" } })),
            (reqwest::Method::PUT, "/aliases/production", json!({ "split": [{ "version": 1 }] })),
            (reqwest::Method::DELETE, "/aliases/production", json!({})),
        ] {
            let (status, body) = theirs.send(method.clone(), &format!("{PROMPTS}/support{path}"), &body).await;
            assert_eq!(status, 404, "{method} {path}: {body}");
        }
        // The same name is free there, and both go on apart.
        theirs.add_prompt("support", &[version("theirs {{ language }}", "x")]).await;
        let own = open(theirs.test.store());
        assert_eq!(own.prompt_version(&theirs.ctx, "support", 1).await.unwrap().definition.messages[0].content, "{{ language }}");
    }

    async fn reading_and_writing_need_their_permissions(test: TestStore) {
        let setup = setup(test).await;
        setup.add_prompt("support", &[version("{{ language }}", "x")]).await;
        let reader = with_permissions(&setup.ctx, Permissions::none().with(Permission::ModelsRead));
        assert!(setup.models.prompt(&reader, "support").await.is_ok());
        assert_eq!(setup.models.create_prompt(&reader, "b", "").await.unwrap_err().code(), Code::Forbidden);
        assert_eq!(setup.models.delete_prompt(&reader, "support").await.unwrap_err().code(), Code::Forbidden);
        let split = vec![];
        assert_eq!(setup.models.put_prompt_alias(&reader, "support", "a", split).await.unwrap_err().code(), Code::Forbidden);
        let nobody = with_permissions(&setup.ctx, Permissions::none());
        assert_eq!(setup.models.prompt(&nobody, "support").await.unwrap_err().code(), Code::Forbidden);
    }
}
