//! An identity provider that says whatever a test wants, and a browser that walks between it and Plasma.

use std::{
    collections::{BTreeMap, HashMap},
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicUsize, Ordering},
    },
};

use axum::{
    Router,
    body::Bytes,
    extract::{Request, State},
    http::{HeaderMap, StatusCode},
    middleware::{self, Next},
    response::{IntoResponse as _, Response},
    routing,
};
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD, Engine as _};
use openidconnect::{
    JsonWebKeyId, PrivateSigningKey as _,
    core::{CoreEdDsaPrivateSigningKey, CoreHmacKey, CoreJwsSigningAlgorithm},
};
use plasma_http::{Problem, outbound::Outbound};
use plasma_identity::{Identity, http};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::net::TcpListener;
use url::Url;

use crate::support::World;

pub const CLIENT: &str = "plasma";
pub const SECRET: &str = "a client secret of some length";

/// A key of the provider.
#[derive(Clone)]
pub struct Key {
    pub id: String,
    key: Arc<CoreEdDsaPrivateSigningKey>,
}

impl Key {
    pub fn new(id: &str, seed: u8) -> Self {
        // PKCS #8 around the 32 bytes of an Ed25519 key (RFC 8410).
        let mut der =
            vec![0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];
        der.extend([seed; 32]);
        let label = "PRIVATE KEY";
        let pem = format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", BASE64_STANDARD.encode(der));
        let key = CoreEdDsaPrivateSigningKey::from_ed25519_pem(&pem, Some(JsonWebKeyId::new(id.to_owned()))).unwrap();
        Self { id: id.to_owned(), key: Arc::new(key) }
    }

    pub fn public(&self) -> Value {
        serde_json::to_value(self.key.as_verification_key()).unwrap()
    }
}

/// With what a token is signed.
#[derive(Clone)]
pub enum Signer {
    Key(Key),
    Hmac(Vec<u8>),
    Nobody,
}

/// A token before it is signed.
#[derive(Clone)]
pub struct Token {
    pub header: Value,
    pub claims: Value,
    pub signer: Signer,
}

impl Token {
    pub fn signed(&self) -> String {
        let encoded = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", encoded(&self.header), encoded(&self.claims));
        let signature = match &self.signer {
            Signer::Key(key) => key.key.sign(&CoreJwsSigningAlgorithm::EdDsa, signed.as_bytes()).unwrap(),
            Signer::Hmac(secret) => {
                CoreHmacKey::new(secret.clone()).sign(&CoreJwsSigningAlgorithm::HmacSha256, signed.as_bytes()).unwrap()
            }
            Signer::Nobody => Vec::new(),
        };
        format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
    }
}

type Change = Arc<dyn Fn(&mut Token) + Send + Sync>;

/// What a code stands for.
struct Grant {
    challenge: String,
    redirect_uri: String,
    token: Token,
}

pub struct Shape {
    /// Those that it publishes.
    pub published: Vec<Key>,
    /// That with which it signs.
    pub signs_with: Key,
    /// Laid over its discovery document.
    pub discovery: Value,
    /// What it tells beside the token, laid over the subject of the last one.
    pub userinfo: Value,
    last_subject: Value,
    /// Makes a token something else before it is signed.
    pub change: Option<Change>,
    grants: HashMap<String, Grant>,
}

#[derive(Clone)]
pub struct Provider {
    pub issuer: String,
    shape: Arc<Mutex<Shape>>,
    /// How often its keys were asked for.
    pub keys_asked: Arc<AtomicUsize>,
    now_seconds: Arc<dyn Fn() -> i64 + Send + Sync>,
}

impl Provider {
    pub async fn start(world: &World) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer = format!("http://{}", listener.local_addr().unwrap());
        world.identity.use_outbound(Outbound::guarded(vec!["127.0.0.0/8".parse().unwrap()]));
        let key = Key::new("first", 1);
        let shape = Shape {
            published: vec![key.clone()],
            signs_with: key,
            discovery: json!({}),
            userinfo: json!({}),
            last_subject: Value::Null,
            change: None,
            grants: HashMap::new(),
        };
        let clock = world.clock.clone();
        let provider = Self {
            issuer,
            shape: Arc::new(Mutex::new(shape)),
            keys_asked: Arc::default(),
            now_seconds: Arc::new(move || clock.now() / 1_000_000),
        };
        let router = Router::new()
            .route("/.well-known/openid-configuration", routing::get(discovery))
            .route("/keys", routing::get(keys))
            .route("/token", routing::post(token))
            .route("/userinfo", routing::get(userinfo))
            .with_state(provider.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        provider
    }

    pub fn shape(&self) -> MutexGuard<'_, Shape> {
        self.shape.lock().unwrap()
    }

    /// From now on every token is made something else before it is signed.
    pub fn lies(&self, change: impl Fn(&mut Token) + Send + Sync + 'static) {
        self.shape().change = Some(Arc::new(change));
    }

    pub fn is_honest(&self) {
        self.shape().change = None;
    }

    pub fn keys_asked(&self) -> usize {
        self.keys_asked.load(Ordering::SeqCst)
    }

    pub fn now(&self) -> i64 {
        (self.now_seconds)()
    }

    /// Lets the person of these claims in, who was sent here with `query`, and returns the code.
    pub fn allow(&self, query: &BTreeMap<String, String>, claims: Value) -> String {
        let mut all = json!({
            "iss": self.issuer, "aud": CLIENT, "iat": self.now(), "exp": self.now() + 300, "nonce": query["nonce"],
        });
        all.as_object_mut().unwrap().extend(claims.as_object().unwrap().clone());
        let mut shape = self.shape();
        let signer = shape.signs_with.clone();
        let header = json!({"alg": "EdDSA", "kid": signer.id, "typ": "JWT"});
        let token = Token { header, claims: all, signer: Signer::Key(signer) };
        let code = format!("code-{}", shape.grants.len());
        let grant =
            Grant { challenge: query["code_challenge"].clone(), redirect_uri: query["redirect_uri"].clone(), token };
        shape.grants.insert(code.clone(), grant);
        code
    }

    /// A logout token about these claims.
    pub fn logout_token(&self, claims: Value) -> Token {
        let mut all = json!({
            "iss": self.issuer, "aud": CLIENT, "iat": self.now(), "exp": self.now() + 120, "jti": "one",
            "events": {"http://schemas.openid.net/event/backchannel-logout": {}},
        });
        all.as_object_mut().unwrap().extend(claims.as_object().unwrap().clone());
        let signer = self.shape().signs_with.clone();
        let header = json!({"alg": "EdDSA", "kid": signer.id, "typ": "logout+jwt"});
        Token { header, claims: all, signer: Signer::Key(signer) }
    }
}

async fn discovery(State(provider): State<Provider>) -> Response {
    let issuer = &provider.issuer;
    let mut document = json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{issuer}/authorize"),
        "token_endpoint": format!("{issuer}/token"),
        "jwks_uri": format!("{issuer}/keys"),
        "userinfo_endpoint": format!("{issuer}/userinfo"),
        "end_session_endpoint": format!("{issuer}/logout"),
        "response_types_supported": ["code"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["EdDSA"],
        "code_challenge_methods_supported": ["S256"],
        "backchannel_logout_supported": true,
    });
    let over = provider.shape().discovery.clone();
    document.as_object_mut().unwrap().extend(over.as_object().unwrap().clone());
    axum::Json(document).into_response()
}

async fn keys(State(provider): State<Provider>) -> Response {
    provider.keys_asked.fetch_add(1, Ordering::SeqCst);
    let keys: Vec<Value> = provider.shape().published.iter().map(Key::public).collect();
    axum::Json(json!({ "keys": keys })).into_response()
}

async fn token(State(provider): State<Provider>, headers: HeaderMap, body: Bytes) -> Response {
    let form: BTreeMap<String, String> = serde_urlencoded::from_bytes(&body).unwrap();
    let refused = |status, error: &str| (status, axum::Json(json!({ "error": error }))).into_response();
    let encoded: String = url::form_urlencoded::byte_serialize(SECRET.as_bytes()).collect();
    let basic = format!("Basic {}", BASE64_STANDARD.encode(format!("{CLIENT}:{encoded}")));
    if headers.get("authorization").and_then(|value| value.to_str().ok()) != Some(basic.as_str()) {
        return refused(StatusCode::UNAUTHORIZED, "invalid_client");
    }
    let mut shape = provider.shape();
    let Some(grant) = shape.grants.remove(&form["code"]) else {
        return refused(StatusCode::BAD_REQUEST, "invalid_grant");
    };
    let challenge = BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(form["code_verifier"].as_bytes()));
    if challenge != grant.challenge || form["redirect_uri"] != grant.redirect_uri {
        return refused(StatusCode::BAD_REQUEST, "invalid_grant");
    }
    let mut token = grant.token;
    shape.last_subject = token.claims["sub"].clone();
    if let Some(change) = &shape.change {
        change(&mut token);
    }
    let body = json!({
        "access_token": "an access token", "token_type": "Bearer", "expires_in": 300, "id_token": token.signed(),
    });
    axum::Json(body).into_response()
}

async fn userinfo(State(provider): State<Provider>, headers: HeaderMap) -> Response {
    if headers.get("authorization").and_then(|value| value.to_str().ok()) != Some("Bearer an access token") {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let shape = provider.shape();
    let mut told = json!({ "sub": shape.last_subject });
    told.as_object_mut().unwrap().extend(shape.userinfo.as_object().unwrap().clone());
    axum::Json(told).into_response()
}

async fn authenticate(State(identity): State<Identity>, mut request: Request, next: Next) -> Response {
    if let Some((token, _)) = Identity::token_from_headers(request.headers()) {
        match identity.authenticate(token).await {
            Ok(authenticated) => drop(request.extensions_mut().insert(authenticated.ctx)),
            Err(error) => return Problem(error).into_response(),
        }
    }
    next.run(request).await
}

/// Plasma's routes on a socket.
pub struct Plasma {
    pub url: String,
    http: reqwest::Client,
}

/// An answer of Plasma.
pub struct Answer {
    pub status: u16,
    pub location: Option<String>,
    pub body: Value,
}

impl Answer {
    /// The word for what went wrong, where a browser is sent.
    pub fn problem(&self) -> Option<String> {
        let location = Url::parse("http://same.invalid").unwrap().join(self.location.as_deref()?).unwrap();
        location.query_pairs().find(|(name, _)| name == "problem").map(|(_, reason)| reason.into_owned())
    }

    /// The query of the address to which a browser is sent.
    pub fn query(&self) -> BTreeMap<String, String> {
        let location = Url::parse(self.location.as_deref().unwrap()).unwrap();
        location.query_pairs().into_owned().collect()
    }
}

impl Plasma {
    pub async fn start(world: &World) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router: Router = http::routes()
            .split_for_parts()
            .0
            .layer(middleware::from_fn_with_state(world.identity.clone(), authenticate))
            .with_state(world.identity.clone());
        let service = router.into_make_service_with_connect_info::<SocketAddr>();
        tokio::spawn(async move { axum::serve(listener, service).await });
        let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        Self { url, http }
    }

    /// A browser without any cookie.
    pub fn browser(&self) -> Browser<'_> {
        Browser { plasma: self, cookies: BTreeMap::new() }
    }

    pub async fn post_form(&self, path: &str, form: &[(&str, &str)]) -> u16 {
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let request = self.http.post(format!("{}{path}", self.url)).body(body);
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        request.send().await.unwrap().status().as_u16()
    }
}

/// Keeps cookies, and follows no redirect by itself.
pub struct Browser<'a> {
    plasma: &'a Plasma,
    pub cookies: BTreeMap<String, String>,
}

impl Browser<'_> {
    pub async fn send(&mut self, method: &str, path: &str, body: Option<Value>) -> Answer {
        let method = method.parse().unwrap();
        let mut request = self.plasma.http.request(method, format!("{}{path}", self.plasma.url));
        let cookies: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        if !cookies.is_empty() {
            request = request.header("cookie", cookies.join("; "));
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        let response = request.send().await.unwrap();
        for cookie in response.headers().get_all("set-cookie") {
            let cookie = cookie.to_str().unwrap();
            let (name, value) = cookie.split(';').next().unwrap().split_once('=').unwrap();
            self.cookies.insert(name.to_owned(), value.to_owned());
        }
        let location = response.headers().get("location").map(|value| value.to_str().unwrap().to_owned());
        let status = response.status().as_u16();
        let body = serde_json::from_str(&response.text().await.unwrap()).unwrap_or(Value::Null);
        Answer { status, location, body }
    }

    pub async fn get(&mut self, path: &str) -> Answer {
        self.send("GET", path, None).await
    }

    /// Begins a login, and returns with what the provider is asked.
    pub async fn begin(&mut self, connection: &str) -> BTreeMap<String, String> {
        let answer = self.get(&format!("/api/v1/auth/sso/{connection}/start?next=/knowledge/")).await;
        assert_eq!(answer.status, 302, "{}", answer.body);
        answer.query()
    }

    /// Comes back from the provider.
    pub async fn come_back(&mut self, state: &str, code: &str) -> Answer {
        self.get(&format!("/api/v1/auth/sso/callback?state={state}&code={code}")).await
    }

    /// A whole login of the person of these claims.
    pub async fn login(&mut self, provider: &Provider, connection: &str, claims: Value) -> Answer {
        let query = self.begin(connection).await;
        let code = provider.allow(&query, claims);
        self.come_back(&query["state"], &code).await
    }

    pub fn session(&self) -> Option<&str> {
        self.cookies.get("plasma_session").map(String::as_str).filter(|token| !token.is_empty())
    }
}
