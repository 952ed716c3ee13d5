use axum::{
    extract::State,
    http::{HeaderMap, StatusCode},
};
use plasma_http::{Caller, Json, PageQuery, Path, Problem, ProblemBody, Query};
use plasma_kernel::{ConnectionId, Page, Role, Timestamp, UserId};
use serde::{Deserialize, Deserializer, Serialize};
use url::Url;

use crate::{
    ConnectionChange, ConnectionCheck, DomainState, DomainVerifier, Identity, MappingRule, NewConnection, Preset,
    RequiredClaim, Secret, sso,
};

/// A connection to an identity provider.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct Connection {
    /// Its id.
    id: ConnectionId,
    /// What the button on the login page says.
    name: String,
    /// Which kind of provider.
    preset: Preset,
    /// What names the organization at the preset's provider; null for `custom`.
    #[schema(required)]
    account: Option<String>,
    /// Who signs the tokens, letter by letter.
    issuer: String,
    /// Who Plasma is at the provider.
    client_id: String,
    /// Whether a client secret is stored. The secret itself is never given out.
    has_client_secret: bool,
    /// What is asked for.
    scopes: Vec<String>,
    /// The claim that says whether the provider has verified the e-mail.
    email_verified_claim: String,
    /// Claims that must have these values, beside the preset's own.
    required_claims: Vec<RequiredClaim>,
    /// The e-mail domains that it claims.
    domains: Vec<ConnectionDomain>,
    /// From claims to roles and teams, in order.
    rules: Vec<MappingRule>,
    /// The role of whom no rule gives one; null: they are not let in.
    #[schema(required)]
    default_role: Option<Role>,
    /// Whether whoever is new is made a user at the first login.
    creates_users: bool,
    /// Whether people may log in by it.
    enabled: bool,
    /// What the provider must have as redirect URI.
    redirect_uri: String,
    /// Where a login by this connection begins; can be passed on as a link.
    login_url: String,
    /// What the provider must have as back-channel logout URI.
    backchannel_logout_uri: String,
    /// What the provider must have as post-logout redirect URI.
    post_logout_redirect_uri: String,
    /// When it was made, in microseconds since 1970 UTC.
    created_at: Timestamp,
    /// When it was changed last.
    updated_at: Timestamp,
    /// When somebody logged in by it last; null means never.
    #[schema(required)]
    last_login_at: Option<Timestamp>,
}

/// An e-mail domain that a connection claims.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct ConnectionDomain {
    /// In lower case; other letters than ASCII as in DNS.
    domain: String,
    /// What became of it.
    state: DomainState,
    /// When it was verified.
    #[schema(required)]
    verified_at: Option<Timestamp>,
    /// By whom.
    #[schema(required)]
    verified_by: Option<DomainVerifier>,
}

impl Connection {
    fn of(connection: crate::Connection, public_url: &Url) -> Self {
        let here = public_url.as_str().trim_end_matches('/');
        let id = connection.id;
        let domains = connection.domains.into_iter().map(|domain| {
            let crate::ConnectionDomain { domain, state, verified_at, verified_by } = domain;
            ConnectionDomain { domain, state, verified_at, verified_by }
        });
        Self {
            id,
            name: connection.name,
            preset: connection.preset,
            account: connection.account,
            issuer: connection.issuer,
            client_id: connection.client_id,
            has_client_secret: connection.has_client_secret,
            scopes: connection.scopes,
            email_verified_claim: connection.email_verified_claim,
            required_claims: connection.required_claims,
            domains: domains.collect(),
            rules: connection.rules,
            default_role: connection.default_role,
            creates_users: connection.creates_users,
            enabled: connection.enabled,
            redirect_uri: sso::login::redirect_uri(public_url),
            login_url: format!("{here}/api/v1/auth/sso/{id}/start"),
            backchannel_logout_uri: format!("{here}/api/v1/auth/sso/{id}/backchannel-logout"),
            post_logout_redirect_uri: format!("{here}/login/"),
            created_at: connection.created_at,
            updated_at: connection.updated_at,
            last_login_at: connection.last_login_at,
        }
    }
}

/// A connection to make.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateConnection {
    /// What the button on the login page says.
    #[schema(min_length = 1, max_length = 200, example = "Acme login")]
    name: String,
    /// Which kind of provider. It cannot be changed later.
    preset: Preset,
    /// What names the organization at the preset's provider. Absent for `custom`.
    #[schema(max_length = 253)]
    account: Option<String>,
    /// For `custom`: the address before `/.well-known/openid-configuration`.
    #[schema(max_length = 500, example = "https://login.example.com")]
    issuer: Option<String>,
    /// Who Plasma is at the provider.
    #[schema(min_length = 1, max_length = 500, example = "plasma")]
    client_id: String,
    /// The client's secret; stored encrypted. Absent for a public client.
    #[schema(max_length = 4000, format = "password")]
    client_secret: Option<String>,
    /// What to ask for; `openid` is added. Absent: `openid email profile`.
    #[schema(max_items = 20)]
    scopes: Option<Vec<String>>,
    /// The claim that says whether the provider has verified the e-mail. Absent: the preset's, `email_verified` or, for Entra ID,
    /// `xms_edov`.
    #[schema(min_length = 1, max_length = 200)]
    email_verified_claim: Option<String>,
    /// Claims without which nobody is let in, beside the preset's own.
    #[serde(default)]
    #[schema(max_items = 20)]
    required_claims: Vec<RequiredClaim>,
    /// The e-mail domains to claim. They have an effect once they are verified.
    #[serde(default)]
    #[schema(max_items = 100)]
    domains: Vec<String>,
    /// From claims to roles and teams, in order.
    #[serde(default)]
    #[schema(max_items = 100)]
    rules: Vec<MappingRule>,
    /// The role of whom no rule gives one. Null: they are not let in. Absent: `viewer`. Never `owner`.
    #[serde(default = "viewer")]
    default_role: Option<Role>,
    /// Whether whoever is new is made a user at the first login. Absent: yes.
    #[serde(default = "yes")]
    creates_users: bool,
    /// Whether people may log in by it. Absent: yes.
    #[serde(default = "yes")]
    enabled: bool,
}

fn viewer() -> Option<Role> {
    Some(Role::Viewer)
}

fn yes() -> bool {
    true
}

/// What to change; absent fields stay.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UpdateConnection {
    /// What the button on the login page says.
    #[schema(min_length = 1, max_length = 200)]
    name: Option<String>,
    /// Another organization at the preset's provider. `client_secret` must be given with it.
    #[schema(max_length = 253)]
    account: Option<String>,
    /// Another issuer of a custom provider. `client_secret` must be given with it.
    #[schema(max_length = 500)]
    issuer: Option<String>,
    /// Who Plasma is at the provider.
    #[schema(min_length = 1, max_length = 500)]
    client_id: Option<String>,
    /// Another secret; null forgets it.
    #[serde(default, deserialize_with = "given")]
    #[schema(max_length = 4000, format = "password")]
    client_secret: Option<Option<String>>,
    /// What to ask for.
    #[schema(max_items = 20)]
    scopes: Option<Vec<String>>,
    /// The claim that says whether the provider has verified the e-mail.
    #[schema(min_length = 1, max_length = 200)]
    email_verified_claim: Option<String>,
    /// All claims without which nobody is let in.
    #[schema(max_items = 20)]
    required_claims: Option<Vec<RequiredClaim>>,
    /// All e-mail domains to claim.
    #[schema(max_items = 100)]
    domains: Option<Vec<String>>,
    /// All rules, in order. One that is there already keeps its maker.
    #[schema(max_items = 100)]
    rules: Option<Vec<MappingRule>>,
    /// The role of whom no rule gives one; null: they are not let in.
    #[serde(default, deserialize_with = "given")]
    default_role: Option<Option<Role>>,
    /// Whether whoever is new is made a user at the first login.
    creates_users: Option<bool>,
    /// Whether people may log in by it. When not, the sessions that began with it end.
    enabled: Option<bool>,
}

/// Tells null from an absent field.
fn given<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// What came of a test.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct ConnectionTest {
    /// Whether logins can work.
    ok: bool,
    /// What was looked at, in order.
    checks: Vec<ConnectionCheck>,
}

/// Lists the workspace's connections to identity providers, newest first.
#[utoipa::path(
    get, path = "/api/v1/connections", tag = "Identity",
    params(PageQuery),
    responses(
        (status = 200, description = "A page of connections", body = Page<Connection>),
        (status = "default", description = "What went wrong", body = ProblemBody, content_type = "application/problem+json")
    ),
    security(("bearer" = [])),
    extensions(("x-permission" = json!("security:read")))
)]
pub(crate) async fn list_connections(
    State(identity): State<Identity>,
    Caller(ctx): Caller,
    headers: HeaderMap,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<Connection>>, Problem> {
    let here = identity.public_url(&headers);
    let page = identity.connections(&ctx, &page.into_request()?).await?;
    Ok(Json(page.map(|connection| Connection::of(connection, &here))))
}

/// Connects an identity provider.
///
/// The provider is not asked now; test the connection afterwards. You must have proved lately who you are.
#[utoipa::path(
    post, path = "/api/v1/connections", tag = "Identity",
    request_body = CreateConnection,
    responses(
        (status = 201, description = "The new connection", body = Connection),
        (status = "default", description = "What went wrong", body = ProblemBody, content_type = "application/problem+json")
    ),
    security(("bearer" = [])),
    extensions(("x-permission" = json!("security:write")))
)]
pub(crate) async fn create_connection(
    State(identity): State<Identity>,
    Caller(ctx): Caller,
    headers: HeaderMap,
    Json(request): Json<CreateConnection>,
) -> Result<(StatusCode, Json<Connection>), Problem> {
    let new = NewConnection {
        name: request.name,
        preset: request.preset,
        account: request.account,
        issuer: request.issuer,
        client_id: request.client_id,
        client_secret: request.client_secret.map(Secret::new),
        scopes: request.scopes,
        email_verified_claim: request.email_verified_claim,
        required_claims: request.required_claims,
        domains: request.domains,
        rules: request.rules,
        default_role: request.default_role,
        creates_users: request.creates_users,
        enabled: request.enabled,
    };
    let connection = Box::pin(identity.create_connection(&ctx, new)).await?;
    Ok((StatusCode::CREATED, Json(Connection::of(connection, &identity.public_url(&headers)))))
}

/// Shows a connection.
#[utoipa::path(
    get, path = "/api/v1/connections/{id}", tag = "Identity",
    params(("id" = ConnectionId, Path, description = "The connection's id")),
    responses(
        (status = 200, description = "The connection", body = Connection),
        (status = "default", description = "What went wrong", body = ProblemBody, content_type = "application/problem+json")
    ),
    security(("bearer" = [])),
    extensions(("x-permission" = json!("security:read")))
)]
pub(crate) async fn get_connection(
    State(identity): State<Identity>,
    Caller(ctx): Caller,
    headers: HeaderMap,
    Path(id): Path<ConnectionId>,
) -> Result<Json<Connection>, Problem> {
    let connection = identity.connection(&ctx, id).await?;
    Ok(Json(Connection::of(connection, &identity.public_url(&headers))))
}

/// Changes a connection.
///
/// You must have proved lately who you are.
#[utoipa::path(
    patch, path = "/api/v1/connections/{id}", tag = "Identity",
    params(("id" = ConnectionId, Path, description = "The connection's id")),
    request_body = UpdateConnection,
    responses(
        (status = 200, description = "The changed connection", body = Connection),
        (status = "default", description = "What went wrong", body = ProblemBody, content_type = "application/problem+json")
    ),
    security(("bearer" = [])),
    extensions(("x-permission" = json!("security:write")))
)]
pub(crate) async fn update_connection(
    State(identity): State<Identity>,
    Caller(ctx): Caller,
    headers: HeaderMap,
    Path(id): Path<ConnectionId>,
    Json(request): Json<UpdateConnection>,
) -> Result<Json<Connection>, Problem> {
    let change = ConnectionChange {
        name: request.name,
        account: request.account,
        issuer: request.issuer,
        client_id: request.client_id,
        client_secret: request.client_secret.map(|secret| secret.map(Secret::new)),
        scopes: request.scopes,
        email_verified_claim: request.email_verified_claim,
        required_claims: request.required_claims,
        domains: request.domains,
        rules: request.rules,
        default_role: request.default_role,
        creates_users: request.creates_users,
        enabled: request.enabled,
    };
    let connection = Box::pin(identity.update_connection(&ctx, id, change)).await?;
    Ok(Json(Connection::of(connection, &identity.public_url(&headers))))
}

/// Deletes a connection.
///
/// Its linked accounts and domains go with it, and the sessions that began with it end. Its people stay in the workspace. You must
/// have proved lately who you are.
#[utoipa::path(
    delete, path = "/api/v1/connections/{id}", tag = "Identity",
    params(("id" = ConnectionId, Path, description = "The connection's id")),
    responses(
        (status = 204, description = "The connection is deleted"),
        (status = "default", description = "What went wrong", body = ProblemBody, content_type = "application/problem+json")
    ),
    security(("bearer" = [])),
    extensions(("x-permission" = json!("security:write")))
)]
pub(crate) async fn delete_connection(
    State(identity): State<Identity>,
    Caller(ctx): Caller,
    Path(id): Path<ConnectionId>,
) -> Result<StatusCode, Problem> {
    identity.delete_connection(&ctx, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Tests a connection: asks the provider and says in words what is wrong.
#[utoipa::path(
    post, path = "/api/v1/connections/{id}/test", tag = "Identity",
    params(("id" = ConnectionId, Path, description = "The connection's id")),
    responses(
        (status = 200, description = "What was found", body = ConnectionTest),
        (status = "default", description = "What went wrong", body = ProblemBody, content_type = "application/problem+json")
    ),
    security(("bearer" = [])),
    extensions(("x-permission" = json!("security:write")))
)]
pub(crate) async fn test_connection(
    State(identity): State<Identity>,
    Caller(ctx): Caller,
    headers: HeaderMap,
    Path(id): Path<ConnectionId>,
) -> Result<Json<ConnectionTest>, Problem> {
    let here = identity.public_url(&headers);
    let checks = Box::pin(identity.test_connection(&ctx, id, &here)).await?;
    Ok(Json(ConnectionTest { ok: sso::check::is_ok(&checks), checks }))
}

/// A person with an account at a connection's provider.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct ConnectionAccount {
    /// The person.
    user: UserId,
    /// Their name.
    name: String,
    /// The account's e-mail, as the provider said last.
    #[schema(required)]
    email: Option<String>,
    /// When it was linked, in microseconds since 1970 UTC.
    linked_at: Timestamp,
    /// When it was used last; null means never.
    #[schema(required)]
    last_login_at: Option<Timestamp>,
}

/// Lists who has linked an account at a connection.
#[utoipa::path(
    get, path = "/api/v1/connections/{id}/accounts", tag = "Identity",
    params(("id" = ConnectionId, Path, description = "The connection's id"), PageQuery),
    responses(
        (status = 200, description = "A page of people", body = Page<ConnectionAccount>),
        (status = "default", description = "What went wrong", body = ProblemBody, content_type = "application/problem+json")
    ),
    security(("bearer" = [])),
    extensions(("x-permission" = json!("security:read")), ("x-audit" = json!("personal_data")))
)]
pub(crate) async fn list_connection_accounts(
    State(identity): State<Identity>,
    Caller(ctx): Caller,
    Path(id): Path<ConnectionId>,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<ConnectionAccount>>, Problem> {
    let people = identity.people_of_connection(&ctx, id, &page.into_request()?).await?;
    Ok(Json(people.map(|person| {
        let crate::LinkedPerson { user, name, email, linked_at, last_login_at } = person;
        ConnectionAccount { user, name, email, linked_at, last_login_at }
    })))
}

/// Unlinks somebody's account at a connection, and ends the sessions that began with it.
///
/// For an account that was lost, or that belongs to somebody else by now. You must have proved lately who you are.
#[utoipa::path(
    delete, path = "/api/v1/connections/{id}/accounts/{user}", tag = "Identity",
    params(
        ("id" = ConnectionId, Path, description = "The connection's id"),
        ("user" = UserId, Path, description = "The person's id")
    ),
    responses(
        (status = 204, description = "The account is unlinked"),
        (status = "default", description = "What went wrong", body = ProblemBody, content_type = "application/problem+json")
    ),
    security(("bearer" = [])),
    extensions(("x-permission" = json!("security:write")))
)]
pub(crate) async fn unlink_connection_account(
    State(identity): State<Identity>,
    Caller(ctx): Caller,
    Path((id, user)): Path<(ConnectionId, UserId)>,
) -> Result<StatusCode, Problem> {
    identity.unlink_person(&ctx, id, user).await?;
    Ok(StatusCode::NO_CONTENT)
}
