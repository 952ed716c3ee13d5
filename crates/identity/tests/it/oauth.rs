//! The authorization server: what its tests share.

mod applications;
mod authorization;
mod codes;
mod device;
mod grants;
mod id_tokens;
mod refresh;
mod tokens;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL};
use plasma_identity::{
    Identity, Secret,
    oauth::{
        Application, ApplicationKind, AuthorizationParameters, AuthorizationStep, ClientCredentials, Form,
        NewApplication, TokenAnswer,
    },
};
use plasma_kernel::{Ctx, Permission, Result};
use sha2::{Digest as _, Sha256};

use crate::support::World;

pub const ISSUER: &str = "https://plasma.example";
pub const CALLBACK: &str = "https://app.example/callback";
pub const VERIFIER: &str = "a-verifier-that-is-long-enough-for-the-specification";

/// An application with what it knows.
pub struct App {
    pub application: Application,
    pub credentials: ClientCredentials,
}

pub fn new_application(kind: ApplicationKind) -> NewApplication {
    NewApplication {
        name: "Newsletter builder".to_owned(),
        description: String::new(),
        homepage: Some("https://app.example/".to_owned()),
        kind,
        redirect_uris: vec![CALLBACK.to_owned()],
        scopes: vec![Permission::SearchQuery, Permission::ContentRead, Permission::ContentWrite, Permission::UsersRead],
        own_permissions: Vec::new(),
        device: true,
    }
}

pub async fn register(world: &World, new: NewApplication) -> App {
    let made = world.identity.create_application(&world.owner, new).await.unwrap();
    let credentials = ClientCredentials { id: Some(made.application.id.to_string()), secret: made.secret };
    App { application: made.application, credentials }
}

pub async fn confidential(world: &World) -> App {
    register(world, new_application(ApplicationKind::Confidential)).await
}

pub async fn public(world: &World) -> App {
    register(world, new_application(ApplicationKind::Public)).await
}

/// A right request for these scopes.
pub fn asks(app: &App, scope: &str) -> AuthorizationParameters {
    AuthorizationParameters {
        response_type: Some("code".to_owned()),
        client_id: app.credentials.id.clone(),
        redirect_uri: Some(CALLBACK.to_owned()),
        scope: Some(scope.to_owned()),
        state: Some("a state & more".to_owned()),
        code_challenge: Some(BASE64URL.encode(Sha256::digest(VERIFIER.as_bytes()))),
        code_challenge_method: Some("S256".to_owned()),
        nonce: Some("a nonce".to_owned()),
        ..AuthorizationParameters::default()
    }
}

/// What a redirect carries in its query.
pub fn carried(redirect: &str, name: &str) -> Option<String> {
    let url: url::Url = redirect.parse().unwrap();
    url.query_pairs().find(|(known, _)| known == name).map(|(_, value)| value.into_owned())
}

pub fn form(pairs: &[(&str, &str)]) -> Form {
    let text = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
    Form::parse(text.as_bytes()).unwrap()
}

pub async fn step(world: &World, person: &Ctx, parameters: &AuthorizationParameters) -> Result<AuthorizationStep> {
    world.identity.authorization_step(&world.system(), Some(person), ISSUER, parameters).await
}

/// The error that the application is told of.
pub async fn told(world: &World, person: &Ctx, parameters: &AuthorizationParameters) -> String {
    let Ok(AuthorizationStep::Redirect(redirect)) = step(world, person, parameters).await else {
        panic!("this must be told to the application: {parameters:?}")
    };
    assert!(redirect.starts_with(CALLBACK), "{redirect}");
    assert_eq!(carried(&redirect, "iss").as_deref(), Some(ISSUER));
    assert_eq!(carried(&redirect, "state"), parameters.state.clone());
    assert_eq!(carried(&redirect, "code"), None);
    carried(&redirect, "error").unwrap()
}

/// The code that a person's consent gives.
pub async fn code(world: &World, person: &Ctx, app: &App, scope: &str) -> String {
    let redirect = world.identity.decide_authorization(person, ISSUER, &asks(app, scope), true).await.unwrap();
    carried(&redirect, "code").unwrap_or_else(|| panic!("no code: {redirect}"))
}

pub async fn token(world: &World, app: &App, pairs: &[(&str, &str)]) -> Result<TokenAnswer> {
    token_of(&world.identity, world, app, pairs).await
}

pub async fn token_of(identity: &Identity, world: &World, app: &App, pairs: &[(&str, &str)]) -> Result<TokenAnswer> {
    identity.issue_tokens(&world.system(), ISSUER, &app.credentials, &form(pairs), None).await
}

pub async fn exchange(world: &World, app: &App, code: &str) -> Result<TokenAnswer> {
    let pairs = [("grant_type", "authorization_code"), ("code", code), ("code_verifier", VERIFIER)];
    token(world, app, &pairs).await
}

pub async fn refresh(world: &World, app: &App, refresh_token: &str) -> Result<TokenAnswer> {
    token(world, app, &[("grant_type", "refresh_token"), ("refresh_token", refresh_token)]).await
}

/// The first tokens that a person's consent gives.
pub async fn authorized(world: &World, person: &Ctx, app: &App, scope: &str) -> TokenAnswer {
    let code = code(world, person, app, scope).await;
    exchange(world, app, &code).await.unwrap()
}

pub fn refresh_token(answer: &TokenAnswer) -> &str {
    answer.refresh_token.as_ref().map(Secret::expose).expect("a refresh token")
}

pub async fn ctx_of(world: &World, answer: &TokenAnswer) -> Ctx {
    world.identity.authenticate(answer.access_token.expose()).await.unwrap().ctx
}

/// How many rows a table has in all tenants.
pub async fn rows(world: &World, sql: &'static str) -> i64 {
    let mut tx = world.store.read(&world.system()).await.unwrap();
    tx.fetch_one(sql, []).await.unwrap().get("number").unwrap()
}

pub async fn families(world: &World) -> i64 {
    rows(world, "SELECT COUNT(*) AS number FROM oauth_families").await
}
