//! Credentials that are worth nothing any more, tenants that are closed, and routes that nobody thought of.

use plasma_kernel::Clock;

use super::*;

/// Text that is known to begin with an id: `^col_[0-9a-hjkmnp-tv-z]{26}$`.
fn is_id(schema: &Value) -> bool {
    schema["pattern"].as_str().is_some_and(|pattern| pattern.ends_with("_[0-9a-hjkmnp-tv-z]{26}$"))
}

/// Whether a value of this schema may hold an id anywhere.
fn holds_an_id(specification: &Value, schema: &Value, depth: usize) -> bool {
    if depth > 12 {
        return false;
    }
    if let Some(reference) = schema["$ref"].as_str() {
        let target = specification.pointer(reference.trim_start_matches('#')).unwrap();
        return holds_an_id(specification, target, depth + 1);
    }
    let lists = ["oneOf", "anyOf", "allOf"].iter().filter_map(|name| schema[*name].as_array()).flatten();
    let fields = schema["properties"].as_object().into_iter().flat_map(|fields| fields.values());
    let inner = [&schema["items"], &schema["additionalProperties"]].into_iter().filter(|inner| inner.is_object());
    is_id(schema) || lists.chain(fields).chain(inner).any(|part| holds_an_id(specification, part, depth + 1))
}

#[tokio::test]
async fn a_route_whose_body_names_things_is_known_to_these_tests() {
    let server = Place::sqlite().start();
    let specification = server.get("/openapi.json").await;
    for operation in operations(&specification) {
        let Some(schema) = operation.description.pointer("/requestBody/content/application~1json/schema") else {
            continue;
        };
        let is_tried = operation.permission == "none"
            || operation.path.contains('{')
            || NAMING.contains(&operation.id.as_str())
            || NAMING_BLINDLY.contains(&operation.id.as_str());
        assert!(
            is_tried || !holds_an_id(&specification, schema, 0),
            "the body of {} may name another tenant's thing: add it to NAMING and give Things::body one of the tenant's",
            operation.id
        );
    }
}

/// A key that the owner makes, and its id.
async fn key(server: &Plasma, body: Value) -> (String, String) {
    let made = server.post("/api/v1/api-keys", body).await;
    (made["key"].as_str().unwrap().to_owned(), made["id"].as_str().unwrap().to_owned())
}

async fn login(server: &Plasma, email: &str, password: &str) -> String {
    let body = json!({"email": email, "password": password});
    let answer = server.request(Method::POST, "/api/v1/auth/login").json(&body).send().await.unwrap();
    success(answer).await["token"].as_str().unwrap().to_owned()
}

/// As whoever holds the token.
async fn send(server: &Plasma, token: &str, method: Method, path: &str, body: Option<Value>) -> Value {
    let request = server.request(method, path).bearer_auth(token);
    let request = match &body {
        Some(body) => request.json(body),
        None => request,
    };
    success(request.send().await.unwrap()).await
}

/// A second tenant with an owner and an administrator.
struct Closed {
    id: String,
    owner_session: String,
    owner_key: String,
    admin_key: String,
}

impl Closed {
    async fn make(server: &Plasma) -> Self {
        let password = "another password of theirs";
        let owner = json!({"email": "mallory@example.com", "name": "Mallory", "password": password});
        let tenant = server.post("/api/v1/tenants", json!({"name": "Closed", "owner": owner})).await;
        let owner_session = login(server, "mallory@example.com", password).await;
        let key = async |role: &str| {
            let body = json!({"name": role, "role": role});
            let made = send(server, &owner_session, Method::POST, "/api/v1/api-keys", Some(body)).await;
            made["key"].as_str().unwrap().to_owned()
        };
        let (owner_key, admin_key) = (key("owner").await, key("admin").await);
        Self { id: tenant["id"].as_str().unwrap().to_owned(), owner_session, owner_key, admin_key }
    }

    /// Every operation, by everybody in the tenant: refused for `reason`, but for those that say that they are open.
    async fn check(&self, server: &Plasma, things: &Things, specification: &Value, word: &str) {
        let (mut closed, mut open) = (0, 0);
        for operation in operations(specification) {
            // Logging out would end the test.
            if operation.permission == "none" || LOGOUTS.contains(&operation.id.as_str()) {
                continue;
            }
            let path = things.path(&operation);
            let body = things.body(specification, &operation);
            let open_to = operation.description["x-while-suspended"].as_str();
            for (token, is_owner) in [(&self.admin_key, false), (&self.owner_key, true), (&self.owner_session, true)] {
                let may = match open_to {
                    Some("anyone") => true,
                    Some("owner") => is_owner,
                    _ => false,
                };
                let answer = call(server, &operation, &path, body.as_ref(), Some(token)).await;
                let is_refused = answer.status == 403 && answer.text.contains(word);
                assert_eq!(is_refused, !may, "{} ({open_to:?}) as owner {is_owner}: {}", operation.id, answer.text);
                if may { open += 1 } else { closed += 1 }
            }
        }
        assert!(closed > 200 && open > 10, "{closed} calls were refused and {open} were not");
    }
}

on_each_database! {
    async fn what_has_ended_opens_nothing(place: Place) {
        let server = place.start();
        let specification = server.get("/openapi.json").await;
        let things = Things::make(&server).await;
        let soon = Clock::system().now() + 1_500_000;
        let (expired, _) = key(&server, json!({"name": "expired", "role": "owner", "expires_at": soon})).await;
        let (revoked, id) = key(&server, json!({"name": "revoked", "role": "owner"})).await;
        let path = format!("/api/v1/api-keys/{id}");
        success(server.owner(Method::DELETE, &path).send().await.unwrap()).await;
        let mut gone = Vec::new();
        for name in ["disabled", "deleted", "ended"] {
            let (email, password) = (format!("{name}@example.com"), "a password of somebody who goes");
            let user = json!({"email": email, "name": name, "role": "owner", "password": password});
            let user = server.post("/api/v1/users", user).await["id"].as_str().unwrap().to_owned();
            let session = login(&server, &email, password).await;
            let body = json!({"name": "theirs", "role": "owner"});
            let made = send(&server, &session, Method::POST, "/api/v1/api-keys", Some(body)).await;
            gone.push((user, session, made["key"].as_str().unwrap().to_owned()));
        }
        let (_, ended, _) = gone.pop().unwrap();
        success(server.request(Method::POST, "/api/v1/auth/logout").bearer_auth(&ended).send().await.unwrap()).await;
        let path = format!("/api/v1/users/{}", gone[0].0);
        let disable = json!({"disabled": true});
        success(server.owner(Method::PATCH, &path).json(&disable).send().await.unwrap()).await;
        let path = format!("/api/v1/users/{}", gone[1].0);
        success(server.owner(Method::DELETE, &path).send().await.unwrap()).await;
        let mut worthless = vec![("an expired key", expired), ("a revoked key", revoked), ("an ended session", ended)];
        for (who, (_, session, key)) in ["a disabled person", "a deleted person"].into_iter().zip(gone) {
            worthless.extend([(who, session), (who, key)]);
        }
        while Clock::system().now() < soon {
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
        for operation in operations(&specification) {
            if operation.permission == "none" {
                continue;
            }
            let path = things.path(&operation);
            let body = things.body(&specification, &operation);
            for (what, token) in &worthless {
                let answer = call(&server, &operation, &path, body.as_ref(), Some(token)).await;
                assert_eq!(answer.status, 401, "{} with {what}: {}", operation.id, answer.text);
            }
        }
        assert_eq!(server.all("/api/v1/collections").await.len(), 1);
    }

    async fn a_suspended_tenant_is_closed_but_for_what_says_otherwise(place: Place) {
        let server = place.start();
        let specification = server.get("/openapi.json").await;
        let things = Things::make(&server).await;
        let closed = Closed::make(&server).await;
        server.post(&format!("/api/v1/tenants/{}/suspend", closed.id), json!({"reason": "Unpaid."})).await;
        closed.check(&server, &things, &specification, "suspended").await;
        let body = json!({"email": "mallory@example.com", "password": "another password of theirs"});
        let login = server.request(Method::POST, "/api/v1/auth/login").json(&body).send().await.unwrap();
        assert!(login.status().is_success(), "an owner may still log in, to take the data out");
        server.post(&format!("/api/v1/tenants/{}/resume", closed.id), json!({})).await;
        send(&server, &closed.admin_key, Method::GET, "/api/v1/collections", None).await;
    }

    async fn a_tenant_that_is_to_be_deleted_is_closed_and_its_owner_takes_it_back(place: Place) {
        let server = place.start();
        let specification = server.get("/openapi.json").await;
        let things = Things::make(&server).await;
        let closed = Closed::make(&server).await;
        let path = format!("/api/v1/tenants/{}/deletion", closed.id);
        let asked = send(&server, &closed.owner_session, Method::POST, &path, Some(json!({"name": "Closed"}))).await;
        assert_eq!(asked["state"], "deleting");
        closed.check(&server, &things, &specification, "to be deleted").await;
        let back = send(&server, &closed.owner_session, Method::DELETE, &path, None).await;
        assert_eq!((back["state"].as_str(), &back["delete_at"]), (Some("active"), &Value::Null));
        send(&server, &closed.admin_key, Method::GET, "/api/v1/collections", None).await;
    }
}
