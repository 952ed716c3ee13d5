use axum::{extract::State, http::StatusCode};
use plasma_http::{Caller, Json, PageQuery, Path, Problem, ProblemBody, Query};
use plasma_kernel::{ApplicationId, Page, Permission, Permissions, Timestamp, UserId};
use serde::{Deserialize, Serialize};

use crate::{
    Identity,
    oauth::{self, ApplicationChange, ApplicationKind, NewApplication, OVERLAP_SECONDS_DEFAULT},
};

/// A program that acts for people who allowed it, or for itself.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct Application {
    /// Its id, which is also its `client_id`.
    id: ApplicationId,
    /// What people call it.
    name: String,
    /// What it is for; may be empty.
    description: String,
    /// Its page.
    #[schema(required)]
    homepage: Option<String>,
    /// Whether it can keep a secret.
    kind: ApplicationKind,
    /// The exact addresses to which codes may go.
    redirect_uris: Vec<String>,
    /// The most that it may ask a person for, beside the scopes of OpenID Connect.
    scopes: Vec<Permission>,
    /// What it may do for itself.
    own_permissions: Vec<Permission>,
    /// Whether it may ask on devices without a browser.
    device: bool,
    /// Whether it is locked out.
    disabled: bool,
    /// Who registered it.
    #[schema(required)]
    created_by: Option<UserId>,
    /// When it was registered, in microseconds since 1970 UTC.
    created_at: Timestamp,
    /// When it was changed last.
    updated_at: Timestamp,
    /// When it last acted for itself, to the minute; null means never.
    #[schema(required)]
    last_used_at: Option<Timestamp>,
    /// Its secrets that work, newest first.
    secrets: Vec<ApplicationSecret>,
}

/// What is kept of an application's secret.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct ApplicationSecret {
    /// Its first 12 characters, to recognize it by.
    #[schema(example = "plc_abcd1234")]
    prefix: String,
    /// When it was made, in microseconds since 1970 UTC.
    created_at: Timestamp,
    /// From when on it is refused; null: when another takes its place.
    #[schema(required)]
    expires_at: Option<Timestamp>,
}

impl From<oauth::Application> for Application {
    fn from(application: oauth::Application) -> Self {
        let secret = |secret: oauth::ApplicationSecret| {
            let oauth::ApplicationSecret { prefix, created_at, expires_at } = secret;
            ApplicationSecret { prefix, created_at, expires_at }
        };
        let listed = |permissions: Permissions| permissions.iter().collect();
        Self {
            id: application.id,
            name: application.name,
            description: application.description,
            homepage: application.homepage,
            kind: application.kind,
            redirect_uris: application.redirect_uris,
            scopes: listed(application.scopes),
            own_permissions: listed(application.own_permissions),
            device: application.device,
            disabled: application.disabled_at.is_some(),
            created_by: application.created_by,
            created_at: application.created_at,
            updated_at: application.updated_at,
            last_used_at: application.last_used_at,
            secrets: application.secrets.into_iter().map(secret).collect(),
        }
    }
}

/// An application, with a secret that was just made.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct ApplicationWithSecret {
    #[serde(flatten)]
    application: Application,
    /// The secret. It is not stored and cannot be shown again; null for public applications.
    #[schema(required, example = "plc_…")]
    client_secret: Option<String>,
}

impl From<oauth::ApplicationWithSecret> for ApplicationWithSecret {
    fn from(made: oauth::ApplicationWithSecret) -> Self {
        let client_secret = made.secret.map(|secret| secret.expose().to_owned());
        Self { application: made.application.into(), client_secret }
    }
}

/// What to register.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateApplication {
    /// What people call it; they see it when they are asked.
    #[schema(min_length = 1, max_length = 200, example = "Newsletter builder")]
    name: String,
    /// What it is for.
    #[serde(default)]
    #[schema(max_length = 1000)]
    description: String,
    /// Its page: `https://…`.
    #[schema(max_length = 2000)]
    homepage: Option<String>,
    /// Whether it can keep a secret: `confidential` for a server, `public` for what runs on people's devices.
    kind: ApplicationKind,
    /// The exact addresses to which codes may go: `https://…`, `http://127.0.0.1/…` or a public application's own scheme.
    #[serde(default)]
    #[schema(max_items = 20)]
    redirect_uris: Vec<String>,
    /// The most that it may ask a person for, beside the scopes of OpenID Connect.
    #[serde(default)]
    scopes: Vec<Permission>,
    /// What it may do for itself; confidential applications only, and not more than you may do yourself.
    #[serde(default)]
    own_permissions: Vec<Permission>,
    /// Whether it may ask on devices without a browser.
    #[serde(default)]
    device: bool,
}

/// What to change; absent fields stay.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UpdateApplication {
    /// What people call it.
    #[schema(min_length = 1, max_length = 200)]
    name: Option<String>,
    /// What it is for.
    #[schema(max_length = 1000)]
    description: Option<String>,
    /// Its page; an empty text removes it.
    #[schema(max_length = 2000)]
    homepage: Option<String>,
    /// All addresses to which codes may go. After a new one everybody is asked again.
    #[schema(max_items = 20)]
    redirect_uris: Option<Vec<String>>,
    /// The most that it may ask a person for.
    scopes: Option<Vec<Permission>>,
    /// What it may do for itself; not more than you may do yourself.
    own_permissions: Option<Vec<Permission>>,
    /// Whether it may ask on devices without a browser.
    device: Option<bool>,
    /// Locks it out, or lets it in again.
    disabled: Option<bool>,
}

/// How to change secrets.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RotateSecret {
    /// Seconds for which the secrets until now go on working; 0 ends them at once. Absent: a day.
    #[schema(minimum = 0, maximum = 2592000)]
    overlap_seconds: Option<u32>,
}

/// Lists the workspace's applications, newest first.
#[utoipa::path(
    get, path = "/api/v1/applications", tag = "OAuth",
    params(PageQuery),
    responses(
        (status = 200, description = "A page of applications", body = Page<Application>),
        (status = "default", description = "What went wrong", body = ProblemBody, content_type = "application/problem+json")
    ),
    security(("bearer" = [])),
    extensions(("x-permission" = json!("applications:read")))
)]
pub(crate) async fn list_applications(
    State(identity): State<Identity>,
    Caller(ctx): Caller,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<Application>>, Problem> {
    Ok(Json(identity.applications(&ctx, &page.into_request()?).await?.map(Application::from)))
}

/// Registers an application. For a confidential one, the answer is the only place where its secret appears.
#[utoipa::path(
    post, path = "/api/v1/applications", tag = "OAuth",
    request_body = CreateApplication,
    responses(
        (status = 201, description = "The new application", body = ApplicationWithSecret),
        (status = "default", description = "What went wrong", body = ProblemBody, content_type = "application/problem+json")
    ),
    security(("bearer" = [])),
    extensions(("x-permission" = json!("applications:write")))
)]
pub(crate) async fn create_application(
    State(identity): State<Identity>,
    Caller(ctx): Caller,
    Json(request): Json<CreateApplication>,
) -> Result<(StatusCode, Json<ApplicationWithSecret>), Problem> {
    let CreateApplication { name, description, homepage, kind, redirect_uris, scopes, own_permissions, device } =
        request;
    let new = NewApplication { name, description, homepage, kind, redirect_uris, scopes, own_permissions, device };
    Ok((StatusCode::CREATED, Json(identity.create_application(&ctx, new).await?.into())))
}

/// Shows an application.
#[utoipa::path(
    get, path = "/api/v1/applications/{id}", tag = "OAuth",
    params(("id" = ApplicationId, Path, description = "The application's id")),
    responses(
        (status = 200, description = "The application", body = Application),
        (status = "default", description = "What went wrong", body = ProblemBody, content_type = "application/problem+json")
    ),
    security(("bearer" = [])),
    extensions(("x-permission" = json!("applications:read")))
)]
pub(crate) async fn get_application(
    State(identity): State<Identity>,
    Caller(ctx): Caller,
    Path(id): Path<ApplicationId>,
) -> Result<Json<Application>, Problem> {
    Ok(Json(identity.application(&ctx, id).await?.into()))
}

/// Changes an application.
#[utoipa::path(
    patch, path = "/api/v1/applications/{id}", tag = "OAuth",
    params(("id" = ApplicationId, Path, description = "The application's id")),
    request_body = UpdateApplication,
    responses(
        (status = 200, description = "The changed application", body = Application),
        (status = "default", description = "What went wrong", body = ProblemBody, content_type = "application/problem+json")
    ),
    security(("bearer" = [])),
    extensions(("x-permission" = json!("applications:write")))
)]
pub(crate) async fn update_application(
    State(identity): State<Identity>,
    Caller(ctx): Caller,
    Path(id): Path<ApplicationId>,
    Json(request): Json<UpdateApplication>,
) -> Result<Json<Application>, Problem> {
    let UpdateApplication { name, description, homepage, redirect_uris, scopes, own_permissions, device, disabled } =
        request;
    let change =
        ApplicationChange { name, description, homepage, redirect_uris, scopes, own_permissions, device, disabled };
    Ok(Json(identity.update_application(&ctx, id, change).await?.into()))
}

/// Deletes an application. Its tokens are refused at once, in other processes of the installation within 5 seconds.
#[utoipa::path(
    delete, path = "/api/v1/applications/{id}", tag = "OAuth",
    params(("id" = ApplicationId, Path, description = "The application's id")),
    responses(
        (status = 204, description = "The application is deleted"),
        (status = "default", description = "What went wrong", body = ProblemBody, content_type = "application/problem+json")
    ),
    security(("bearer" = [])),
    extensions(("x-permission" = json!("applications:write")))
)]
pub(crate) async fn delete_application(
    State(identity): State<Identity>,
    Caller(ctx): Caller,
    Path(id): Path<ApplicationId>,
) -> Result<StatusCode, Problem> {
    identity.delete_application(&ctx, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Makes a new secret of an application. The answer is the only place where it appears.
#[utoipa::path(
    post, path = "/api/v1/applications/{id}/secrets", tag = "OAuth",
    params(("id" = ApplicationId, Path, description = "The application's id")),
    request_body = RotateSecret,
    responses(
        (status = 201, description = "The application with its new secret", body = ApplicationWithSecret),
        (status = "default", description = "What went wrong", body = ProblemBody, content_type = "application/problem+json")
    ),
    security(("bearer" = [])),
    extensions(("x-permission" = json!("applications:write")))
)]
pub(crate) async fn rotate_application_secret(
    State(identity): State<Identity>,
    Caller(ctx): Caller,
    Path(id): Path<ApplicationId>,
    Json(request): Json<RotateSecret>,
) -> Result<(StatusCode, Json<ApplicationWithSecret>), Problem> {
    let overlap_seconds = request.overlap_seconds.unwrap_or(OVERLAP_SECONDS_DEFAULT);
    let made = identity.rotate_application_secret(&ctx, id, overlap_seconds).await?;
    Ok((StatusCode::CREATED, Json(made.into())))
}
