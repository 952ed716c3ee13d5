//! The routes of roles, policies, explanations and rotation, as clients see them.

use plasma_testkit::on_each_database;
use serde_json::{Value, json};

use crate::{
    http::{Answer, Client},
    support::World,
};

struct Owner {
    client: Client,
    bearer: String,
}

impl Owner {
    async fn new(world: &World) -> Self {
        let client = Client::new(world).await;
        let bearer = format!("Bearer {}", client.login(&[]).await.body["token"].as_str().unwrap());
        Self { client, bearer }
    }

    async fn send(&self, method: &str, path: &str, body: Option<Value>) -> Answer {
        self.client.send(method, path, &[("authorization", self.bearer.as_str())], body).await
    }

    async fn post(&self, path: &str, body: Value) -> Answer {
        self.send("POST", path, Some(body)).await
    }

    /// Status, reason and field of a refusal.
    async fn refusal(&self, method: &str, path: &str, body: Option<Value>) -> (u16, String, Value) {
        let answer = self.send(method, path, body).await;
        (answer.status, answer.body["reason"].as_str().unwrap_or_default().to_owned(), answer.body["field"].clone())
    }
}

on_each_database! {
    async fn roles_keep_to_the_contract(test: TestStore) {
        let world = World::new(test.store()).await;
        let owner = Owner::new(&world).await;
        let now = world.clock.now();
        let new = json!({ "name": "Publisher", "permissions": ["content:write", "content:read"] });
        let made = owner.post("/api/v1/roles", new).await;
        let id = made.body["id"].as_str().unwrap().to_owned();
        let role = |name: &str, users: u64| {
            json!({ "id": id, "name": name, "description": "", "built_in": false,
                    "permissions": ["content:read", "content:write"], "user_count": users, "api_key_count": 0,
                    "created_at": now, "updated_at": now })
        };
        assert_eq!((made.status, &made.body), (201, &role("Publisher", 0)));
        let path = format!("/api/v1/roles/{id}");
        assert_eq!(owner.send("GET", &path, None).await.body, role("Publisher", 0));
        let editor = owner.send("GET", "/api/v1/roles/editor", None).await.body;
        assert_eq!((&editor["id"], &editor["built_in"], &editor["created_at"]), (&json!("editor"), &json!(true), &Value::Null));
        let listed = owner.send("GET", "/api/v1/roles", None).await.body;
        assert_eq!((listed["data"].as_array().unwrap().len(), &listed["has_more"]), (6, &json!(false)));

        let ada = json!({ "email": "ada@example.org", "name": "Ada", "role": "viewer", "password": "correct horse battery" });
        let ada = owner.post("/api/v1/users", ada).await.body["id"].as_str().unwrap().to_owned();
        let given = owner.send("PUT", &format!("/api/v1/users/{ada}/role"), Some(json!({ "role": id }))).await;
        assert_eq!((given.status, &given.body["custom_role"]), (200, &json!({ "id": id, "name": "Publisher" })));
        let renamed = owner.send("PATCH", &path, Some(json!({ "name": "Press" }))).await;
        assert_eq!((renamed.status, &renamed.body), (200, &role("Press", 1)));
        assert_eq!(owner.refusal("DELETE", &path, None).await.1, "role_in_use");
        assert_eq!(owner.refusal("DELETE", &format!("{path}?replacement=king"), None).await.2, json!("replacement"));
        assert_eq!(owner.send("DELETE", &format!("{path}?replacement=editor"), None).await.status, 204);
        assert_eq!(owner.send("GET", &path, None).await.status, 404);
        let user = owner.send("GET", &format!("/api/v1/users/{ada}"), None).await.body;
        assert_eq!((&user["role"], &user["custom_role"]), (&json!("editor"), &Value::Null));

        let role_path = format!("/api/v1/users/{ada}/role");
        assert_eq!(owner.refusal("PUT", &role_path, Some(json!({ "role": "king" }))).await, (400, "invalid".to_owned(), json!("role")));
        assert_eq!(owner.refusal("PUT", &role_path, Some(json!({ "role": id }))).await, (404, "role_not_found".to_owned(), json!("role")));
        assert_eq!(owner.refusal("PATCH", "/api/v1/roles/owner", Some(json!({ "name": "King" }))).await.1, "built_in_role");
        assert_eq!(owner.send("GET", "/api/v1/roles/king", None).await.status, 404);
        let unknown = json!({ "name": "A", "permissions": ["rockets:launch"] });
        assert_eq!(owner.refusal("POST", "/api/v1/roles", Some(unknown)).await.2, json!("permissions[0]"));
    }

    async fn policies_keep_to_the_contract(test: TestStore) {
        let world = World::new(test.store()).await;
        let owner = Owner::new(&world).await;
        let now = world.clock.now();
        let text = "forbid (principal in Role::\"editor\", action == Action::\"content:write\", resource);";
        let made = owner.post("/api/v1/policies", json!({ "name": "Freeze", "text": text })).await;
        let id = made.body["id"].as_str().unwrap().to_owned();
        let by = json!({ "kind": "user", "id": world.owner_id().to_string() });
        assert_eq!(
            (made.status, &made.body),
            (201, &json!({ "id": id, "name": "Freeze", "description": "", "text": text, "statements": 1, "enabled": true,
                           "version": 1, "created_at": now, "updated_at": now, "updated_by": by }))
        );
        let path = format!("/api/v1/policies/{id}");
        assert_eq!(owner.send("GET", &path, None).await.body, made.body);
        let off = owner.send("PATCH", &path, Some(json!({ "expected_version": 1, "enabled": false }))).await;
        assert_eq!((off.status, &off.body["enabled"], &off.body["version"]), (200, &json!(false), &json!(2)));
        assert_eq!(owner.refusal("PATCH", &path, Some(json!({ "expected_version": 1 }))).await.1, "policy_changed");
        assert_eq!(owner.refusal("PATCH", &path, Some(json!({ "enabled": true }))).await.0, 400);
        let versions = owner.send("GET", &format!("{path}/versions"), None).await.body;
        assert_eq!(versions["data"].as_array().unwrap().len(), 2);
        assert_eq!(
            versions["data"][1],
            json!({ "version": 1, "name": "Freeze", "description": "", "text": text, "enabled": true, "changed_at": now, "changed_by": by })
        );
        let schema = owner.send("GET", "/api/v1/policies/schema", None).await.body;
        assert!(schema["cedar"].as_str().unwrap().contains("entity Resource"));
        assert!(schema["actions"].as_array().unwrap().contains(&json!("content:write")));
        assert_eq!(owner.send("GET", "/api/v1/policies", None).await.body["data"].as_array().unwrap().len(), 1);

        let wrong = owner.post("/api/v1/policies/test", json!({ "text": "forbid (principal,\n  action, resourse);" })).await;
        assert_eq!((wrong.status, &wrong.body["valid"]), (200, &json!(false)));
        assert_eq!((&wrong.body["problems"][0]["is_error"], &wrong.body["problems"][0]["start"]["line"]), (&json!(true), &json!(2)));
        let fine = owner.post("/api/v1/policies/test", json!({ "id": id, "text": text })).await.body;
        assert_eq!((&fine["valid"], &fine["changes"], &fine["since"]), (&json!(true), &json!([]), &Value::Null));
        assert_eq!(owner.send("DELETE", &path, None).await.status, 204);
        assert_eq!(owner.send("GET", &path, None).await.status, 404);
        assert_eq!(owner.send("GET", &format!("{path}/versions"), None).await.status, 404);
    }

    async fn explanations_keep_to_the_contract(test: TestStore) {
        let world = World::new(test.store()).await;
        let owner = Owner::new(&world).await;
        let own = owner.post("/api/v1/access/explain", json!({ "action": "users:read" })).await;
        assert_eq!(
            (own.status, &own.body),
            (200, &json!({ "allowed": true, "decided_by": "role",
                           "text": "Owner may do `users:read`: the role owner allows it, and no policy forbids it.",
                           "role": "owner", "role_name": "owner", "missing": null, "roles_with_it": ["owner", "admin"],
                           "policies": [] }))
        );
        let context = json!({ "address": "192.0.2.1", "at": 0, "method": "POST", "multi_factor": true });
        let asked = json!({ "principal": world.owner_id().to_string(), "action": "content:write", "resource": { "id": "doc_1" }, "context": context });
        assert_eq!(owner.post("/api/v1/access/explain", asked).await.body["allowed"], true);
        let wrong = json!({ "action": "content:write", "context": { "address": "the office" } });
        assert_eq!(owner.refusal("POST", "/api/v1/access/explain", Some(wrong)).await.2, json!("context.address"));
        let many = json!({ "action": "content:write", "resource": { "within": vec!["x"; 11] } });
        assert_eq!(owner.refusal("POST", "/api/v1/access/explain", Some(many)).await.0, 413);
        assert_eq!(owner.client.send("POST", "/api/v1/access/explain", &[], Some(json!({ "action": "users:read" }))).await.status, 401);
    }

    async fn keys_are_changed_and_rotated(test: TestStore) {
        let world = World::new(test.store()).await;
        let owner = Owner::new(&world).await;
        let now = world.clock.now();
        let new = json!({ "name": "CI", "role": "viewer", "addresses": ["192.0.2.1", "2001:db8::/32"] });
        let key = owner.post("/api/v1/api-keys", new).await;
        assert_eq!((key.status, &key.body["addresses"]), (201, &json!(["192.0.2.1/32", "2001:db8::/32"])));
        let path = format!("/api/v1/api-keys/{}", key.body["id"].as_str().unwrap());
        let changed = owner.send("PATCH", &path, Some(json!({ "name": "Build", "addresses": [] }))).await;
        assert_eq!((changed.status, &changed.body["name"], &changed.body["addresses"]), (200, &json!("Build"), &json!([])));
        let rotated = owner.post(&format!("{path}/rotate"), json!({ "overlap_seconds": 60 })).await;
        assert_eq!((rotated.status, &rotated.body["replaces"]), (201, &key.body["id"]));
        assert_ne!(rotated.body["key"], key.body["key"]);
        let listed = owner.send("GET", "/api/v1/api-keys", None).await.body;
        let old = listed["data"].as_array().unwrap().iter().find(|row| row["id"] == key.body["id"]).unwrap();
        assert_eq!((&old["replaced_by"], &old["expires_at"]), (&rotated.body["id"], &json!(now + 60_000_000)));
        assert_eq!(owner.refusal("POST", &format!("{path}/rotate"), Some(json!({}))).await.1, "api_key_rotated");

        let role = owner.post("/api/v1/roles", json!({ "name": "Searcher", "permissions": ["search:query"] })).await.body;
        let of_role = owner.post("/api/v1/api-keys", json!({ "name": "Search", "custom_role": role["id"] })).await;
        assert_eq!((of_role.status, &of_role.body["custom_role"]["name"], &of_role.body["scopes"]), (201, &json!("Searcher"), &json!(["search:query"])));
        let both = json!({ "name": "A", "role": "viewer", "custom_role": role["id"] });
        assert_eq!(owner.refusal("POST", "/api/v1/api-keys", Some(both)).await, (400, "invalid".to_owned(), json!("role")));
        assert_eq!(owner.refusal("POST", "/api/v1/api-keys", Some(json!({ "name": "A" }))).await.2, json!("role"));
        let long = json!({ "overlap_seconds": 2_592_001 });
        let path = format!("/api/v1/api-keys/{}/rotate", rotated.body["id"].as_str().unwrap());
        assert_eq!(owner.refusal("POST", &path, Some(long)).await.2, json!("overlap_seconds"));
    }
}
