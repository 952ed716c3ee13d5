//! The routes over a real socket, with the authentication that the server puts in front of them.

use std::net::SocketAddr;

use axum::{
    Router,
    extract::{Request, State},
    middleware::{self, Next},
    response::{IntoResponse as _, Response},
};
use plasma_http::Problem;
use plasma_identity::{Identity, http};
use plasma_testkit::on_each_database;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use crate::support::{OWNER, PASSWORD, World};

async fn authenticate(State(identity): State<Identity>, mut request: Request, next: Next) -> Response {
    if let Some((token, _)) = Identity::token_from_headers(request.headers()) {
        match identity.authenticate(token).await {
            Ok(authenticated) => drop(request.extensions_mut().insert(authenticated.ctx)),
            Err(error) => return Problem(error).into_response(),
        }
    }
    next.run(request).await
}

pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Value,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head
            .lines()
            .filter_map(|line| line.split_once(": "))
            .find(|header| header.0 == name)
            .map(|header| header.1)
    }
}

pub struct Client {
    address: SocketAddr,
}

impl Client {
    pub async fn new(world: &World) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router: Router = http::routes()
            .split_for_parts()
            .0
            .layer(middleware::from_fn_with_state(world.identity.clone(), authenticate))
            .with_state(world.identity.clone());
        let service = router.into_make_service_with_connect_info::<SocketAddr>();
        tokio::spawn(async move { axum::serve(listener, service).await });
        Self { address }
    }

    pub async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Option<Value>) -> Answer {
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        let mut text = format!(
            "{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: {}\r\n",
            body.len()
        );
        if !body.is_empty() {
            text.push_str("content-type: application/json\r\n");
        }
        for (name, value) in headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(format!("{text}\r\n{body}").as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Answer { status, head: head.to_owned(), body: serde_json::from_str(body).unwrap_or(Value::Null) }
    }

    pub async fn login(&self, headers: &[(&str, &str)]) -> Answer {
        let body = json!({ "email": OWNER, "password": PASSWORD });
        self.send("POST", "/api/v1/auth/login", headers, Some(body)).await
    }
}

on_each_database! {
    async fn a_browser_logs_in_looks_around_and_logs_out(test: TestStore) {
        let world = World::new(test.store()).await;
        let client = Client::new(&world).await;
        let login = client.login(&[]).await;
        assert_eq!(login.status, 200);
        let token = login.body["token"].as_str().unwrap();
        assert_eq!(
            login.header("set-cookie").unwrap(),
            format!("plasma_session={token}; HttpOnly; SameSite=Strict; Path=/; Max-Age=2592000")
        );
        assert_eq!(login.body["user"]["email"], OWNER);
        assert_eq!(login.body["tenant"]["name"], "Default workspace");
        assert!(client.login(&[("x-forwarded-proto", "https")]).await.header("set-cookie").unwrap().ends_with("; Secure"));

        let cookie = format!("theme=dark; plasma_session={token}");
        let cookie = [("cookie", cookie.as_str())];
        let me = client.send("GET", "/api/v1/me", &cookie, None).await.body;
        assert_eq!(me["actor"], json!({ "kind": "user", "id": world.owner_id().to_string(), "name": "Owner" }));
        assert_eq!((&me["role"], &me["user"]["operator"]), (&json!("owner"), &json!(true)));
        assert!(me["permissions"].as_array().unwrap().contains(&json!("installation:manage")));
        let renamed = client.send("PATCH", "/api/v1/me", &cookie, Some(json!({ "name": "Olga" }))).await;
        assert_eq!((renamed.status, &renamed.body["name"]), (200, &json!("Olga")));

        let logout = client.send("POST", "/api/v1/auth/logout", &cookie, None).await;
        assert_eq!(logout.status, 204);
        assert_eq!(logout.header("set-cookie").unwrap(), "plasma_session=; HttpOnly; SameSite=Strict; Path=/; Max-Age=0");
        assert_eq!(client.send("GET", "/api/v1/me", &cookie, None).await.status, 401);
        assert_eq!(client.send("GET", "/api/v1/me", &[], None).await.status, 401);
    }

    async fn users_keys_and_tenants_keep_to_the_contract(test: TestStore) {
        let world = World::new(test.store()).await;
        let client = Client::new(&world).await;
        let bearer = format!("Bearer {}", client.login(&[]).await.body["token"].as_str().unwrap());
        let owner = [("authorization", bearer.as_str())];

        let ada = json!({ "email": "Ada@example.org", "name": "Ada", "role": "editor", "password": PASSWORD });
        let created = client.send("POST", "/api/v1/users", &owner, Some(ada)).await;
        assert_eq!(created.status, 201);
        let now = world.clock.now();
        assert_eq!(
            created.body,
            json!({ "id": created.body["id"], "email": "ada@example.org", "name": "Ada", "role": "editor", "custom_role": null,
                    "disabled": false, "operator": false, "created_at": now, "last_login_at": null })
        );
        let user = format!("/api/v1/users/{}", created.body["id"].as_str().unwrap());
        let changed = client.send("PATCH", &user, &owner, Some(json!({ "disabled": true }))).await;
        assert_eq!((changed.status, &changed.body["disabled"]), (200, &json!(true)));
        let listed = client.send("GET", "/api/v1/users?limit=1", &owner, None).await.body;
        assert_eq!((&listed["has_more"], listed["data"].as_array().unwrap().len()), (&json!(true), 1));
        assert_eq!(client.send("DELETE", &user, &owner, None).await.status, 204);
        assert_eq!(client.send("GET", &user, &owner, None).await.status, 404);

        let new = json!({ "name": "CI", "role": "service", "scopes": ["search:query"], "expires_at": now + 1 });
        let key = client.send("POST", "/api/v1/api-keys", &owner, Some(new)).await;
        assert_eq!(key.status, 201);
        let secret = key.body["key"].as_str().unwrap();
        assert_eq!(
            key.body,
            json!({ "id": key.body["id"], "name": "CI", "prefix": &secret[..12], "role": "service", "custom_role": null,
                    "scopes": ["search:query"], "addresses": [], "created_by": world.owner_id().to_string(), "team": null,
                    "created_at": now, "expires_at": now + 1, "last_used_at": null, "last_used_address": null,
                    "revoked_at": null, "replaces": null, "replaced_by": null, "key": secret })
        );
        let by_key = [("authorization", format!("Bearer {secret}"))];
        let by_key = [(by_key[0].0, by_key[0].1.as_str())];
        let me = client.send("GET", "/api/v1/me", &by_key, None).await.body;
        assert_eq!((&me["actor"]["kind"], &me["user"], &me["permissions"]), (&json!("api_key"), &Value::Null, &json!(["search:query"])));
        assert_eq!(client.send("GET", "/api/v1/users", &by_key, None).await.status, 403);
        let path = format!("/api/v1/api-keys/{}", key.body["id"].as_str().unwrap());
        assert_eq!(client.send("DELETE", &path, &owner, None).await.status, 204);
        assert_eq!(client.send("GET", "/api/v1/me", &by_key, None).await.status, 401);
        let listed = client.send("GET", "/api/v1/api-keys", &owner, None).await.body;
        assert_eq!((&listed["data"][0]["revoked_at"], &listed["data"][0]["key"]), (&json!(now), &Value::Null));

        let bea = json!({ "name": "Bea Ltd", "owner": { "email": "bea@example.org", "name": "Bea", "password": PASSWORD } });
        let tenant = client.send("POST", "/api/v1/tenants", &owner, Some(bea)).await;
        assert_eq!((tenant.status, &tenant.body), (201, &json!({ "id": tenant.body["id"], "name": "Bea Ltd", "state": "active", "state_reason": null, "plan": "standard", "delete_at": null, "created_at": now })));
        let path = format!("/api/v1/tenants/{}", tenant.body["id"].as_str().unwrap());
        assert_eq!(client.send("PATCH", &path, &owner, Some(json!({ "name": "Bea" }))).await.body["name"], "Bea");
        assert_eq!(client.send("GET", &path, &owner, None).await.body["name"], "Bea");
        assert_eq!(client.send("GET", "/api/v1/tenants", &owner, None).await.body["data"].as_array().unwrap().len(), 2);
    }

    async fn teams_keep_to_the_contract(test: TestStore) {
        let world = World::new(test.store()).await;
        let client = Client::new(&world).await;
        let bearer = format!("Bearer {}", client.login(&[]).await.body["token"].as_str().unwrap());
        let owner = [("authorization", bearer.as_str())];
        let (now, user) = (world.clock.now(), world.owner_id().to_string());
        let created = client.send("POST", "/api/v1/teams", &owner, Some(json!({ "name": "Blue" }))).await;
        let id = created.body["id"].as_str().unwrap().to_owned();
        let team = |name: &str, description: &str, members: u64| {
            json!({ "id": id, "name": name, "description": description, "member_count": members, "created_at": now, "updated_at": now })
        };
        assert_eq!((created.status, &created.body), (201, &team("Blue", "", 0)));
        let path = format!("/api/v1/teams/{id}");
        let change = json!({ "name": "Navy", "description": "Ships." });
        let changed = client.send("PATCH", &path, &owner, Some(change)).await;
        assert_eq!((changed.status, &changed.body), (200, &team("Navy", "Ships.", 0)));

        let member = json!({ "user": user, "name": "Owner", "email": OWNER, "is_default": true, "joined_at": now });
        let put = client.send("PUT", &format!("{path}/members/{user}"), &owner, Some(json!({}))).await;
        assert_eq!((put.status, &put.body), (200, &member));
        let listed = client.send("GET", &format!("{path}/members"), &owner, None).await;
        assert_eq!(listed.body, json!({ "data": [member], "has_more": false, "next_cursor": null }));
        assert_eq!(client.send("GET", &path, &owner, None).await.body["member_count"], 1);
        let new = json!({ "name": "CI", "role": "service", "team": id });
        let key = client.send("POST", "/api/v1/api-keys", &owner, Some(new)).await;
        assert_eq!((key.status, &key.body["team"]), (201, &json!(id)));

        let wrong = |answer: Answer| (answer.status, answer.body["reason"].clone(), answer.body["field"].clone());
        let send = async |method: &str, path: &str, body: Value| wrong(client.send(method, path, &owner, Some(body)).await);
        assert_eq!(send("POST", "/api/v1/teams", json!({ "name": "NAVY" })).await, (409, json!("team_name_taken"), json!("name")));
        assert_eq!(send("POST", "/api/v1/teams", json!({ "name": "Red", "colour": 1 })).await.2, json!("colour"));
        assert_eq!(send("PATCH", &path, json!({ "members": [] })).await.2, json!("members"));
        let own = format!("{path}/members/{user}");
        assert_eq!(send("PUT", &own, json!({ "is_default": 1 })).await.2, json!("is_default"));
        assert_eq!(send("PUT", &own, json!({ "is_default": false })).await, (409, json!("default_team_needed"), json!("is_default")));
        let key = json!({ "name": "CI", "role": "service", "team": "team_00000000000000000000000000" });
        assert_eq!(send("POST", "/api/v1/api-keys", key).await, (404, json!("team_not_found"), json!("team")));

        assert_eq!(client.send("DELETE", &own, &owner, None).await.status, 204);
        assert_eq!(client.send("DELETE", &own, &owner, None).await.status, 404);
        assert_eq!(client.send("DELETE", &path, &owner, None).await.status, 204);
        assert_eq!(client.send("GET", &path, &owner, None).await.status, 404);
        assert_eq!(client.send("GET", "/api/v1/teams", &owner, None).await.body["data"], json!([]));
    }

    async fn mistakes_are_named(test: TestStore) {
        let world = World::new(test.store()).await;
        let client = Client::new(&world).await;
        let bearer = format!("Bearer {}", client.login(&[]).await.body["token"].as_str().unwrap());
        let owner = [("authorization", bearer.as_str())];
        let field = async |method: &str, path: &str, body: Value| {
            let answer = client.send(method, path, &owner, Some(body)).await;
            assert_eq!(answer.status, 400, "{}", answer.body);
            answer.body["field"].as_str().unwrap().to_owned()
        };
        assert_eq!(field("POST", "/api/v1/auth/login", json!({ "email": OWNER, "password": PASSWORD, "otp": 1 })).await, "otp");
        let role = json!({ "email": "a@example.org", "name": "A", "role": "king", "password": PASSWORD });
        assert_eq!(field("POST", "/api/v1/users", role).await, "role");
        let scopes = json!({ "name": "A", "role": "viewer", "scopes": ["rockets:launch"] });
        assert_eq!(field("POST", "/api/v1/api-keys", scopes).await, "scopes[0]");
        let owner_of = json!({ "name": "A", "owner": { "email": "x", "name": "A", "password": PASSWORD } });
        assert_eq!(field("POST", "/api/v1/tenants", owner_of).await, "owner.email");
        let password = json!({ "current_password": "not this one", "new_password": "a new long password" });
        assert_eq!(field("POST", "/api/v1/me/password", password).await, "current_password");
        assert_eq!(client.send("GET", "/api/v1/users/nonsense", &owner, None).await.status, 404);
        assert_eq!(client.send("GET", "/api/v1/users?limit=0", &owner, None).await.status, 400);
        let last = format!("/api/v1/users/{}", world.owner_id());
        assert_eq!(client.send("DELETE", &last, &owner, None).await.status, 409);
    }

    async fn a_throttled_login_is_told_when_to_come_back(test: TestStore) {
        let world = World::new(test.store()).await;
        let client = Client::new(&world).await;
        let guess = async |number: usize| {
            let body = json!({ "email": format!("user{number}@example.org"), "password": "wrong horse battery" });
            client.send("POST", "/api/v1/auth/login", &[], Some(body)).await
        };
        for _ in 0..4 {
            let answer = guess(0).await;
            assert_eq!((answer.status, &answer.body["reason"]), (401, &json!("login_failed")));
        }
        let answer = guess(0).await;
        assert_eq!((answer.status, answer.header("retry-after")), (429, Some("1")));
        // The address counts over all accounts: 4 failures so far, 46 more are taken.
        for number in 1..=46 {
            assert_eq!(guess(number).await.status, 401);
        }
        assert_eq!(guess(47).await.status, 429);
        assert_eq!(client.login(&[]).await.status, 429);
    }
}

#[test]
fn every_operation_says_which_permission_it_needs() {
    let specification = serde_json::to_value(http::routes().split_for_parts().1).unwrap();
    let mut operations = 0;
    for (path, methods) in specification["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            operations += 1;
            let permission = operation["x-permission"].as_str().unwrap_or_else(|| panic!("{method} {path}"));
            let known = ["none", "authenticated"].contains(&permission)
                || permission.parse::<plasma_kernel::Permission>().is_ok();
            assert!(known, "{method} {path}: {permission}");
            assert_eq!(operation["security"].is_null(), permission == "none", "{method} {path}");
            assert!(operation["summary"].as_str().is_some_and(|summary| !summary.is_empty()), "{method} {path}");
            assert!(operation["responses"]["default"].is_object(), "{method} {path}");
        }
    }
    assert_eq!(operations, 154);
}
