//! The authorization server over a real socket: forms, headers and the shapes of its answers.

use std::net::SocketAddr;

use axum::{
    Router,
    extract::{Request, State},
    middleware::{self, Next},
    response::Response,
};
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use plasma_identity::{Identity, http};
use plasma_testkit::on_each_database;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use crate::{
    oauth::{CALLBACK, VERIFIER, carried, confidential, public},
    support::{OWNER, PASSWORD, World},
};

const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

/// As the server does it: whoever has no valid token is nobody.
async fn authenticate(State(identity): State<Identity>, mut request: Request, next: Next) -> Response {
    if let Some((token, _)) = Identity::token_from_headers(request.headers())
        && let Ok(authenticated) = identity.authenticate(token).await
    {
        request.extensions_mut().insert(authenticated.ctx);
    }
    next.run(request).await
}

struct Answer {
    status: u16,
    head: String,
    body: Value,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        self.head
            .lines()
            .filter_map(|line| line.split_once(": "))
            .find(|header| header.0 == name)
            .map(|header| header.1)
    }
}

struct Site {
    address: SocketAddr,
    bearer: String,
}

impl Site {
    async fn new(world: &World) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router: Router = http::routes()
            .split_for_parts()
            .0
            .layer(middleware::from_fn_with_state(world.identity.clone(), authenticate))
            .with_state(world.identity.clone());
        let service = router.into_make_service_with_connect_info::<SocketAddr>();
        tokio::spawn(async move { axum::serve(listener, service).await });
        let token = world.login(OWNER, PASSWORD).await.unwrap().token;
        Self { address, bearer: format!("Bearer {}", token.expose()) }
    }

    async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut text = format!(
            "{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: {}\r\n",
            body.len()
        );
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

    async fn form(&self, path: &str, headers: &[(&str, &str)], pairs: &[(&str, &str)]) -> Answer {
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
        self.send("POST", path, &[&[FORM], headers].concat(), &body).await
    }

    /// As the owner, in JSON.
    async fn owner(&self, method: &str, path: &str, body: Option<Value>) -> Answer {
        let headers = [("authorization", self.bearer.as_str()), ("content-type", "application/json")];
        self.send(method, path, &headers, &body.map(|body| body.to_string()).unwrap_or_default()).await
    }
}

/// A right request as the page sends it.
fn request(client_id: &str) -> Value {
    let challenge = {
        use base64::engine::general_purpose::URL_SAFE_NO_PAD;
        use sha2::Digest as _;
        URL_SAFE_NO_PAD.encode(sha2::Sha256::digest(VERIFIER.as_bytes()))
    };
    json!({
        "response_type": "code", "client_id": client_id, "redirect_uri": CALLBACK, "scope": "openid email offline_access content:read",
        "state": "x y", "code_challenge": challenge, "code_challenge_method": "S256", "nonce": "n", "ui_locales": "en"
    })
}

fn query(request: &Value) -> String {
    let pairs = request.as_object().unwrap().iter().map(|(name, value)| (name.as_str(), value.as_str().unwrap()));
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

/// The id and the secret of a new application, as the answers show it.
async fn registered(world: &World, site: &Site) -> (String, String) {
    let new = json!({
        "name": "Letters", "kind": "confidential", "redirect_uris": [CALLBACK], "scopes": ["content:read"],
        "own_permissions": ["search:query"]
    });
    let created = site.owner("POST", "/api/v1/applications", Some(new)).await;
    assert_eq!(created.status, 201, "{}", created.body);
    let (id, secret) = (created.body["id"].as_str().unwrap(), created.body["client_secret"].as_str().unwrap());
    let now = world.clock.now();
    assert_eq!(
        created.body,
        json!({
            "id": id, "name": "Letters", "description": "", "homepage": null, "kind": "confidential", "redirect_uris": [CALLBACK],
            "scopes": ["content:read"], "own_permissions": ["search:query"], "device": false, "disabled": false,
            "created_by": world.owner_id(), "created_at": now, "updated_at": now, "last_used_at": null,
            "secrets": [{ "prefix": &secret[..12], "created_at": now, "expires_at": null }], "client_secret": secret
        })
    );
    let path = format!("/api/v1/applications/{id}");
    let shown = site.owner("GET", &path, None).await.body;
    assert_eq!((&shown["client_secret"], &shown["name"]), (&Value::Null, &json!("Letters")));
    (id.to_owned(), secret.to_owned())
}

on_each_database! {
    async fn a_whole_authorization_keeps_to_the_contract(test: TestStore) {
        let world = World::new(test.store()).await;
        let site = Site::new(&world).await;
        let (id, secret) = registered(&world, &site).await;
        let (id, secret) = (id.as_str(), secret.as_str());
        let asked = request(id);
        let page = format!("/api/v1/oauth/authorization-requests?{}", query(&asked));
        let nobody = site.send("GET", &page, &[], "").await;
        assert_eq!((nobody.status, &nobody.body["action"], &nobody.body["application"]), (200, &json!("login"), &Value::Null));
        let shown = site.owner("GET", &page, None).await.body;
        assert_eq!((&shown["action"], &shown["consent_required"]), (&json!("decide"), &json!(true)));
        assert_eq!(shown["application"]["name"], "Letters");
        assert_eq!(shown["scopes"][3], json!({ "scope": "content:read", "words": "see content", "held": true }));
        let decision = json!({ "request": asked, "allow": true });
        let path = "/api/v1/oauth/authorization-requests";
        assert_eq!(site.send("POST", path, &[("content-type", "application/json")], &decision.to_string()).await.status, 401);
        let decided = site.owner("POST", path, Some(decision)).await;
        assert_eq!(decided.status, 200, "{}", decided.body);
        let redirect = decided.body["redirect_to"].as_str().unwrap();
        assert_eq!((carried(redirect, "state").unwrap(), carried(redirect, "iss").unwrap()), ("x y".to_owned(), "http://localhost".to_owned()));

        let basic = format!("Basic {}", BASE64.encode(format!("{}:{secret}", id.replace('_', "%5F"))));
        let basic = [("authorization", basic.as_str())];
        let code = carried(redirect, "code").unwrap();
        let pairs = [("grant_type", "authorization_code"), ("code", code.as_str()), ("code_verifier", VERIFIER), ("redirect_uri", CALLBACK)];
        let tokens = site.form("/oauth/token", &basic, &pairs).await;
        assert_eq!(tokens.status, 200, "{}", tokens.body);
        assert_eq!((tokens.header("cache-control"), tokens.header("pragma")), (Some("no-store"), Some("no-cache")));
        assert_eq!((&tokens.body["token_type"], &tokens.body["expires_in"]), (&json!("Bearer"), &json!(3_600)));
        assert_eq!(tokens.body["scope"], "openid email offline_access content:read");
        assert_eq!(tokens.body["id_token"].as_str().unwrap().split('.').count(), 3);
        let (access_token, refresh_token) = (tokens.body["access_token"].as_str().unwrap(), tokens.body["refresh_token"].as_str().unwrap());

        let bearer = format!("Bearer {access_token}");
        let bearer = [("authorization", bearer.as_str())];
        for method in ["GET", "POST"] {
            let info = site.send(method, "/oauth/userinfo", &bearer, "").await;
            let tenant = world.owner.tenant().unwrap();
            assert_eq!((info.status, info.body), (200, json!({ "sub": world.owner_id(), "tenant": tenant, "email": OWNER })));
        }
        let me = site.send("GET", "/api/v1/me", &bearer, "").await.body;
        assert_eq!(me["actor"], json!({ "kind": "application", "id": id, "name": "Letters" }));
        assert_eq!((&me["user"]["email"], &me["permissions"]), (&json!(OWNER), &json!(["content:read"])));
        let known = site.form("/oauth/introspect", &basic, &[("token", access_token)]).await.body;
        let seconds = world.clock.now() / 1_000_000;
        assert_eq!(
            known,
            json!({
                "active": true, "scope": "openid email offline_access content:read", "client_id": id, "sub": world.owner_id(),
                "tenant": world.owner.tenant().unwrap(), "token_type": "Bearer", "iss": "http://localhost", "iat": seconds,
                "exp": seconds + 3_600
            })
        );
        // In the body as well as in the header.
        let pairs = [("grant_type", "refresh_token"), ("refresh_token", refresh_token), ("client_id", id), ("client_secret", secret)];
        let first = site.form("/oauth/token", &[], &pairs).await.body;
        let second = site.form("/oauth/token", &[], &pairs).await.body;
        assert_eq!(first, second);
        let own = site.form("/oauth/token", &basic, &[("grant_type", "client_credentials")]).await.body;
        assert_eq!((&own["scope"], &own["refresh_token"], &own["id_token"]), (&json!("search:query"), &Value::Null, &Value::Null));

        let grants = site.owner("GET", "/api/v1/me/grants", None).await.body;
        assert_eq!((&grants["data"][0]["application_name"], &grants["data"][0]["authorizations"]), (&json!("Letters"), &json!(1)));
        let revoked = site.form("/oauth/revoke", &basic, &[("token", first["refresh_token"].as_str().unwrap())]).await;
        assert_eq!((revoked.status, revoked.body), (200, Value::Null));
        assert_eq!(site.form("/oauth/introspect", &basic, &[("token", access_token)]).await.body, json!({ "active": false }));
        let grant = format!("/api/v1/me/grants/{}", grants["data"][0]["id"].as_str().unwrap());
        assert_eq!(site.owner("DELETE", &grant, None).await.status, 204);
        assert_eq!(site.owner("DELETE", &grant, None).await.status, 404);
    }

    async fn mistakes_have_oauths_shape(test: TestStore) {
        let world = World::new(test.store()).await;
        let site = Site::new(&world).await;
        let app = confidential(&world).await;
        let id = app.credentials.id.as_deref().unwrap();
        let wrong = site.form("/oauth/token", &[], &[("grant_type", "client_credentials"), ("client_id", id), ("client_secret", "plc_x")]).await;
        assert_eq!((wrong.status, &wrong.body["error"]), (401, &json!("invalid_client")));
        assert_eq!(wrong.header("www-authenticate"), Some("Basic realm=\"plasma\""));
        assert_eq!(wrong.header("cache-control"), Some("no-store"));
        assert!(wrong.body["error_description"].as_str().unwrap().is_ascii());
        let error = async |body: &str, headers: &[(&str, &str)]| {
            let answer = site.send("POST", "/oauth/token", headers, body).await;
            (answer.status, answer.body["error"].as_str().unwrap_or_default().to_owned())
        };
        let invalid = (400, "invalid_request".to_owned());
        assert_eq!(error("grant_type=client_credentials", &[("content-type", "application/json")]).await, invalid);
        assert_eq!(error("grant_type=client_credentials", &[]).await, invalid);
        assert_eq!(error("grant_type=a&grant_type=b", &[FORM]).await, invalid);
        assert_eq!(error("", &[FORM]).await, invalid);
        assert_eq!(error(&"a=b&".repeat(10_000), &[FORM]).await, invalid);
        assert_eq!(error(&format!("grant_type=x&code={}", "a".repeat(9_000)), &[FORM]).await, invalid);
        let both = ("authorization", "Basic YTpi");
        assert_eq!(error("grant_type=x&client_id=a&client_secret=b", &[FORM, both]).await, invalid);
        assert_eq!(error("grant_type=x", &[FORM, ("authorization", "Basic %%%")]).await, (401, "invalid_client".to_owned()));
        for path in ["/oauth/introspect", "/oauth/revoke", "/oauth/device"] {
            let answer = site.form(path, &[], &[("token", "x")]).await;
            assert_eq!((answer.status, &answer.body["error"]), (401, &json!("invalid_client")), "{path}");
        }
        // What the pages ask has problems as everything else has.
        let page = "/api/v1/oauth/authorization-requests?client_id=a&client_id=b";
        assert_eq!(site.owner("GET", page, None).await.status, 400);
        let unknown = json!({ "request": {}, "allow": true, "why": "x" });
        let answer = site.owner("POST", "/api/v1/oauth/authorization-requests", Some(unknown)).await;
        assert_eq!((answer.status, &answer.body["field"]), (400, &json!("why")));
        let answer = site.owner("POST", "/api/v1/oauth/authorization-requests", Some(json!({ "request": {}, "allow": true }))).await;
        assert_eq!((answer.status, &answer.body["reason"]), (404, &json!("application_not_found")));
        for application in [json!({ "name": "A" }), json!({ "name": "A", "kind": "open" }), json!({ "name": "A", "kind": "public", "secret": 1 })] {
            assert_eq!(site.owner("POST", "/api/v1/applications", Some(application)).await.status, 400);
        }
        assert_eq!(site.owner("GET", "/oauth/userinfo", None).await.status, 403);
        assert_eq!(site.send("GET", "/oauth/userinfo", &[], "").await.status, 401);
    }

    async fn the_server_describes_itself(test: TestStore) {
        let world = World::new(test.store()).await;
        let site = Site::new(&world).await;
        let described = site.send("GET", "/.well-known/openid-configuration", &[], "").await;
        assert_eq!((described.status, described.header("cache-control")), (200, Some("public, max-age=600")));
        let metadata = described.body;
        assert_eq!(site.send("GET", "/.well-known/oauth-authorization-server", &[], "").await.body, metadata);
        assert_eq!(metadata["issuer"], "http://localhost");
        assert_eq!(metadata["authorization_endpoint"], "http://localhost/oauth/authorize/");
        assert_eq!(metadata["code_challenge_methods_supported"], json!(["S256"]));
        assert_eq!(metadata["authorization_response_iss_parameter_supported"], true);
        // Every endpoint but the page is a route.
        for endpoint in ["token", "userinfo", "revocation", "introspection", "device_authorization"] {
            let path = metadata[format!("{endpoint}_endpoint")].as_str().unwrap().strip_prefix("http://localhost").unwrap();
            assert_ne!(site.form(path, &[], &[]).await.status, 404, "{path}");
        }
        let keys = site.send("GET", metadata["jwks_uri"].as_str().unwrap().strip_prefix("http://localhost").unwrap(), &[], "").await.body;
        let key = &keys["keys"][0];
        assert_eq!((&key["kty"], &key["crv"], &key["use"], &key["alg"]), (&json!("EC"), &json!("P-256"), &json!("sig"), &json!("ES256")));
        assert!(key["d"].is_null());
        let made = site.owner("POST", "/api/v1/oauth/signing-keys", Some(json!({}))).await;
        assert_eq!((made.status, &made.body["signs_from"]), (201, &json!(world.clock.now() + 3_600 * 1_000_000)));
    }

    async fn a_device_logs_in(test: TestStore) {
        let world = World::new(test.store()).await;
        let site = Site::new(&world).await;
        let app = public(&world).await;
        let id = app.credentials.id.as_deref().unwrap();
        let begun = site.form("/oauth/device", &[], &[("client_id", id), ("scope", "content:read")]).await;
        assert_eq!(begun.status, 200, "{}", begun.body);
        let user_code = begun.body["user_code"].as_str().unwrap();
        assert_eq!(begun.body["verification_uri"], "http://localhost/device/");
        assert_eq!(begun.body["verification_uri_complete"], format!("http://localhost/device/?code={user_code}"));
        assert_eq!((&begun.body["expires_in"], &begun.body["interval"]), (&json!(600), &json!(5)));
        let grant = ("grant_type", "urn:ietf:params:oauth:grant-type:device_code");
        let pairs = [grant, ("client_id", id), ("device_code", begun.body["device_code"].as_str().unwrap())];
        let waiting = site.form("/oauth/token", &[], &pairs).await;
        assert_eq!((waiting.status, &waiting.body["error"]), (400, &json!("authorization_pending")));
        let asked = site.owner("POST", "/api/v1/oauth/device-requests", Some(json!({ "user_code": user_code }))).await;
        assert_eq!((asked.status, &asked.body["application"]["id"]), (200, &json!(id)));
        assert_eq!(asked.body["scopes"][0]["scope"], "content:read");
        let decision = json!({ "user_code": user_code, "allow": true });
        assert_eq!(site.owner("POST", "/api/v1/oauth/device-decisions", Some(decision)).await.status, 204);
        assert_eq!(site.form("/oauth/token", &[], &pairs).await.status, 200);
        let wrong = site.owner("POST", "/api/v1/oauth/device-requests", Some(json!({ "user_code": "BBBB-BBBB" }))).await;
        assert_eq!((wrong.status, &wrong.body["reason"]), (404, &json!("device_code_not_found")));
    }
}
