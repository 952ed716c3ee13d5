//! The endpoints of the authorization server. What OAuth describes speaks forms and RFC 6749's errors; what the dashboard's own
//! pages ask speaks JSON as everything else does.

pub(crate) mod authorize;
pub(crate) mod device;
pub(crate) mod discovery;
mod form;
mod problem;
pub(crate) mod token;
pub(crate) mod token_state;
pub(crate) mod userinfo;

use std::sync::Arc;

use axum::http::{Extensions, HeaderMap, HeaderValue, header};
use plasma_kernel::{Ctx, Origin, Permissions, RequestId};
use serde::Serialize;

pub(crate) use form::FormBody;
pub(crate) use problem::{OAuthErrorBody, OAuthProblem};

use crate::{
    Identity,
    oauth::{Application, ClientCredentials, Form, Scopes, scope_in_words},
};

/// Who asks for access, as the pages show it.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct AskingApplication {
    /// Its id.
    id: String,
    /// What it calls itself.
    name: String,
    /// What it is for; may be empty.
    description: String,
    /// Its page.
    #[schema(required)]
    homepage: Option<String>,
    /// Whether it belongs to Plasma itself.
    built_in: bool,
}

impl From<Application> for AskingApplication {
    fn from(application: Application) -> Self {
        let built_in = application.is_built_in();
        let Application { id, name, description, homepage, .. } = application;
        Self { id: id.to_string(), name, description, homepage, built_in }
    }
}

/// A scope, for the person who is asked.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct ScopeInWords {
    /// Its name.
    #[schema(example = "search:query")]
    scope: String,
    /// What it allows: goes on after "may".
    #[schema(example = "search collections")]
    words: String,
    /// Whether the person may do this themselves now; what they may not, the application may not either.
    held: bool,
}

/// The scopes in words, for a person with these permissions.
pub(crate) fn in_words(scopes: Scopes, held: Permissions) -> Vec<ScopeInWords> {
    let in_words = |name: &'static str| ScopeInWords {
        scope: name.to_owned(),
        words: scope_in_words(name).to_owned(),
        held: name.parse().map_or(true, |permission| held.contains(permission)),
    };
    scopes.names().into_iter().map(in_words).collect()
}

/// The context of a request of which nobody is known yet.
fn stranger(identity: &Identity, extensions: &Extensions) -> Ctx {
    let mut ctx = identity.system("authorize applications");
    if let Some(request) = extensions.get::<RequestId>() {
        ctx = ctx.with_request(*request);
    }
    if let Some(origin) = extensions.get::<Arc<Origin>>() {
        ctx = ctx.with_origin(Arc::clone(origin));
    }
    ctx
}

/// The name of this authorization server: its public address, without a slash at its end.
fn issuer(identity: &Identity, headers: &HeaderMap) -> String {
    identity.public_url(headers).as_str().trim_end_matches('/').to_owned()
}

fn credentials(headers: &HeaderMap, form: &Form) -> Result<ClientCredentials, OAuthProblem> {
    let authorization = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    ClientCredentials::read(authorization, form).map_err(OAuthProblem)
}

/// Tokens are kept by nobody on the way (RFC 6749, section 5.1).
fn keep_nowhere(headers: &mut HeaderMap) {
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::PRAGMA, HeaderValue::from_static("no-cache"));
}
