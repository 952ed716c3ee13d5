//! Access policies at the edge of the real program: paths, second permissions, addresses, and trying out.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::harness::{KEY, Plasma, on_each_database, problem, success};

async fn key(server: &Plasma, role: &str, addresses: &[&str]) -> String {
    let key = json!({"name": format!("{role} key"), "role": role, "addresses": addresses});
    server.post("/api/v1/api-keys", key).await["key"].as_str().unwrap().to_owned()
}

async fn policy(server: &Plasma, name: &str, text: &str) -> Value {
    server.post("/api/v1/policies", json!({"name": name, "text": text})).await
}

async fn status(server: &Plasma, path: &str, key: &str) -> StatusCode {
    server.request(Method::GET, path).bearer_auth(key).send().await.unwrap().status()
}

/// A person's session.
async fn person(server: &Plasma, name: &str, role: &str) -> String {
    let email = format!("{name}@example.com");
    let password = "a long password";
    server.post("/api/v1/users", json!({"email": email, "name": name, "role": role, "password": password})).await;
    let login = json!({"email": email, "password": password});
    let session = success(server.request(Method::POST, "/api/v1/auth/login").json(&login).send().await.unwrap()).await;
    session["token"].as_str().unwrap().to_owned()
}

on_each_database! {
    async fn a_collection_is_closed_however_its_path_is_written(place: Place) {
        let server = place.start();
        let (closed, open) = (server.create_collection("closed").await, server.create_collection("open").await);
        let document = server.add_text(&closed, "Note", "A note.").await;
        let editor = key(&server, "editor", &[]).await;
        let text = format!("forbid (principal in Role::\"editor\", action, resource in Resource::\"{closed}\");");
        policy(&server, "Closed", &text).await;
        let refused = server.request(Method::GET, &format!("/api/v1/collections/{closed}")).bearer_auth(&editor);
        let refused = problem(refused, 403).await;
        assert_eq!(refused["reason"], "forbidden_by_policy");
        assert!(refused["detail"].as_str().unwrap().contains("Closed"), "{refused}");
        for path in [
            format!("/api/v1/collections/{}", closed.replace('_', "%5F")),
            format!("/api/v1/collections/{}", closed.replace('c', "%63")),
            format!("/api/v1/collections/{closed}/documents"),
            format!("/api/v1/collections/{closed}/documents/{document}"),
            format!("/api/v1/collections/{closed}/documents/{document}/text"),
        ] {
            assert_eq!(status(&server, &path, &editor).await, 403, "{path}");
        }
        assert_eq!(status(&server, &format!("/api/v1/collections/{open}"), &editor).await, 200);
        assert_eq!(status(&server, &format!("/api/v1/collections/{closed}"), KEY).await, 200);
    }

    async fn a_verbs_second_permission_is_bound_too(place: Place) {
        let server = place.start();
        let collection = server.create_collection("notes").await;
        let editor = key(&server, "editor", &[]).await;
        let path = format!("/api/v1/collections/{collection}/documents");
        let add = |body: Value| server.request(Method::POST, &path).bearer_auth(&editor).json(&body);
        let restricted = json!({"title": "One", "text": "Text.", "access": {"users": [], "teams": []}});
        success(add(restricted.clone()).send().await.unwrap()).await;
        let text = "forbid (principal in Role::\"editor\", action == Action::\"documents:write\", resource);";
        let kept = policy(&server, "No restrictions", text).await;
        let refused = problem(add(restricted.clone()), 403).await;
        assert!(refused["detail"].as_str().unwrap().contains("documents:write"), "{refused}");
        success(add(json!({"title": "Two", "text": "Text."})).send().await.unwrap()).await;
        let off = json!({"expected_version": 1, "enabled": false});
        let path = format!("/api/v1/policies/{}", kept["id"].as_str().unwrap());
        success(server.owner(Method::PATCH, &path).json(&off).send().await.unwrap()).await;
        success(add(restricted).send().await.unwrap()).await;
    }

    async fn what_policies_give_and_take_is_seen_by_its_owner(place: Place) {
        let server = place.start();
        let ada = person(&server, "ada", "editor").await;
        let permissions = async || {
            let me = success(server.request(Method::GET, "/api/v1/me").bearer_auth(&ada).send().await.unwrap()).await;
            let names: Vec<String> =
                me["permissions"].as_array().unwrap().iter().map(|name| name.as_str().unwrap().to_owned()).collect();
            (names.contains(&"users:read".to_owned()), names.contains(&"content:write".to_owned()))
        };
        assert_eq!(permissions().await, (false, true));
        assert_eq!(status(&server, "/api/v1/users", &ada).await, 403);
        let text = "permit (principal is User, action == Action::\"users:read\", resource);
                    forbid (principal in Role::\"editor\", action == Action::\"content:write\", resource);";
        policy(&server, "Both", text).await;
        assert_eq!(permissions().await, (true, false));
        assert_eq!(status(&server, "/api/v1/users", &ada).await, 200);
        assert_eq!(status(&server, "/api/v1/users", &key(&server, "editor", &[]).await).await, 403);
        let explain = json!({"action": "content:write"});
        let asked = server.request(Method::POST, "/api/v1/access/explain").bearer_auth(&ada).json(&explain);
        let told = success(asked.send().await.unwrap()).await;
        assert_eq!((&told["allowed"], &told["decided_by"]), (&json!(false), &json!("policy")));
    }

    async fn addresses_bound_keys_and_policies(place: Place) {
        let server = place.start();
        let elsewhere = key(&server, "viewer", &["10.0.0.0/8"]).await;
        let refused = server.request(Method::GET, "/api/v1/collections").bearer_auth(&elsewhere);
        assert_eq!(problem(refused, 403).await["reason"], "api_key_address_refused");
        let here = key(&server, "viewer", &["127.0.0.0/8", "::1"]).await;
        assert_eq!(status(&server, "/api/v1/collections", &here).await, 200);
        let text = "forbid (principal in Role::\"viewer\", action, resource) when { context.network == \"loopback\" };";
        policy(&server, "Not from here", text).await;
        assert_eq!(status(&server, "/api/v1/collections", &here).await, 403);
        let shut = json!({"name": "All", "text": "forbid (principal, action, resource) unless { context.address.isInRange(ip(\"10.0.0.0/8\")) };"});
        // The caller is a key, so it is the owners who could not come back.
        let shut = server.owner(Method::POST, "/api/v1/policies").json(&shut);
        assert_eq!(problem(shut, 409).await["reason"], "policy_locks_out");
    }

    async fn a_policy_is_tried_out_on_what_was_asked(place: Place) {
        let server = place.start();
        let viewer = key(&server, "viewer", &[]).await;
        for _ in 0..3 {
            assert_eq!(status(&server, "/api/v1/collections", &viewer).await, 200);
        }
        let text = "forbid (principal is ApiKey in Role::\"viewer\", action == Action::\"collections:read\", resource);";
        let test = server.post("/api/v1/policies/test", json!({"text": text})).await;
        assert_eq!((&test["valid"], &test["newly_refused"], &test["newly_allowed"]), (&json!(true), &json!(1), &json!(0)));
        let change = &test["changes"][0];
        assert_eq!((&change["name"], &change["count"], &change["path"]), (&json!("viewer key"), &json!(3), &json!("/api/v1/collections")));
        assert_eq!((&change["allowed"], &change["method"]), (&json!(false), &json!("GET")));
        assert_eq!(status(&server, "/api/v1/collections", &viewer).await, 200);
    }
}
