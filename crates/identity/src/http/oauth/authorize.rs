use axum::{
    extract::State,
    http::{Extensions, HeaderMap},
};
use plasma_http::{Caller, Json, Problem, ProblemBody, Query};
use plasma_kernel::{Ctx, Permissions};
use serde::{Deserialize, Serialize};

use super::{AskingApplication, ScopeInWords, in_words, issuer, stranger};
use crate::{
    Identity,
    oauth::{AuthorizationParameters, AuthorizationStep},
};

/// What the page `/oauth/authorize/` does next.
#[derive(Clone, Copy, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum AuthorizationAction {
    /// Let the person sign in, and come back.
    Login,
    /// The person is signed in, but did so too long ago: let them sign in again, and come back.
    LoginAgain,
    /// Show who asks for what, and let the person decide.
    Decide,
    /// Go to `redirect_to`.
    Redirect,
}

/// An authorization request, checked.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct AuthorizationRequest {
    /// What the page does next.
    action: AuthorizationAction,
    /// Who asks; null unless the person is to decide.
    #[schema(required)]
    application: Option<AskingApplication>,
    /// What it asks for; empty unless the person is to decide.
    scopes: Vec<ScopeInWords>,
    /// Whether the person must be asked; false when they have allowed the same before.
    consent_required: bool,
    /// Where to go, when there is nothing to decide.
    #[schema(required)]
    redirect_to: Option<String>,
}

/// What the person decided.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AuthorizationDecision {
    /// The parameters of the page's own address.
    request: AuthorizationParameters,
    /// Whether the person allows it.
    allow: bool,
}

/// Where the person's browser goes next.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct AuthorizationRedirect {
    /// The application's address, with a code or with the refusal.
    redirect_to: String,
}

/// Checks an authorization request, for the page that shows it.
///
/// A wrong application or address is a problem, for it must not be told to anybody but the person; what else is wrong is told to
/// the application, in the address to which the page then goes.
#[utoipa::path(
    get, path = "/api/v1/oauth/authorization-requests", tag = "OAuth",
    params(AuthorizationParameters),
    responses(
        (status = 200, description = "What the page does next", body = AuthorizationRequest),
        (status = "default", description = "What went wrong", body = ProblemBody, content_type = "application/problem+json")
    ),
    extensions(("x-permission" = json!("none")))
)]
pub(crate) async fn get_authorization_request(
    State(identity): State<Identity>,
    headers: HeaderMap,
    extensions: Extensions,
    Query(parameters): Query<AuthorizationParameters>,
) -> Result<Json<AuthorizationRequest>, Problem> {
    let person = extensions.get::<Ctx>();
    let issuer = issuer(&identity, &headers);
    let ctx = stranger(&identity, &extensions);
    let step = identity.authorization_step(&ctx, person, &issuer, &parameters).await?;
    let nothing = AuthorizationRequest {
        action: AuthorizationAction::Login,
        application: None,
        scopes: Vec::new(),
        consent_required: false,
        redirect_to: None,
    };
    Ok(Json(match step {
        AuthorizationStep::Login { again: false } => nothing,
        AuthorizationStep::Login { again: true } => {
            AuthorizationRequest { action: AuthorizationAction::LoginAgain, ..nothing }
        }
        AuthorizationStep::Redirect(address) => {
            AuthorizationRequest { action: AuthorizationAction::Redirect, redirect_to: Some(address), ..nothing }
        }
        AuthorizationStep::Decide { application, scopes, consent } => AuthorizationRequest {
            action: AuthorizationAction::Decide,
            application: Some((*application).into()),
            scopes: in_words(scopes, person.map_or(Permissions::none(), |person| *person.permissions())),
            consent_required: consent,
            ..nothing
        },
    }))
}

/// Decides an authorization request. Only a person who is signed in can.
#[utoipa::path(
    post, path = "/api/v1/oauth/authorization-requests", tag = "OAuth",
    request_body = AuthorizationDecision,
    responses(
        (status = 200, description = "Where the browser goes next", body = AuthorizationRedirect),
        (status = "default", description = "What went wrong", body = ProblemBody, content_type = "application/problem+json")
    ),
    security(("bearer" = [])),
    extensions(("x-permission" = json!("authenticated")))
)]
pub(crate) async fn decide_authorization_request(
    State(identity): State<Identity>,
    Caller(ctx): Caller,
    headers: HeaderMap,
    Json(decision): Json<AuthorizationDecision>,
) -> Result<Json<AuthorizationRedirect>, Problem> {
    let AuthorizationDecision { request, allow } = decision;
    let issuer = issuer(&identity, &headers);
    let redirect_to = identity.decide_authorization(&ctx, &issuer, &request, allow).await?;
    Ok(Json(AuthorizationRedirect { redirect_to }))
}
