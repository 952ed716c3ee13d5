//! Who may call an operation, and which kind of work it is, from the specification itself: an operation that does not
//! say cannot be started with.

use std::{collections::HashMap, sync::Arc};

use axum::{extract::Request, http::Method};
use plasma_kernel::{Error, Permission, Result};
use utoipa::openapi::{OpenApi, PathItem, path};

use super::{observe::Meters, template};

/// Who may call an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Anybody.
    Public,
    /// Anybody, also when the server is full: health checks and metrics.
    Watch,
    /// Whoever has a valid session or key.
    Authenticated,
    /// Whoever holds this permission.
    Permission(Permission),
}

/// Who may call an operation while their tenant is suspended or to be deleted (`x-while-suspended`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WhileSuspended {
    /// Nobody.
    Closed,
    /// The tenant's owners.
    Owner,
    /// Whoever may call it otherwise.
    Anyone,
}

/// Which limits fit an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Work {
    /// Small JSON in, an answer soon.
    Ordinary,
    /// A file in.
    Upload,
    /// A batch's lines in.
    BatchFile,
    /// Small JSON in, a model's answer out.
    Answer,
    /// A model called as at OpenAI.
    Model,
}

/// One method of one path.
pub(crate) struct Operation {
    /// As in `/api/v1/collections/{id}`; [`DASHBOARD`] for everything that is not the API.
    pub(super) template: Arc<str>,
    pub(super) access: Access,
    pub(super) while_suspended: WhileSuspended,
    pub(super) work: Work,
    /// Whether its answers hold personal data, so that reading them is recorded (`x-audit`).
    pub(super) shows_personal_data: bool,
    pub(super) meters: Meters,
}

impl Operation {
    /// Called so often, and telling so little, that the access log leaves it out.
    pub(super) fn is_quiet(&self) -> bool {
        self.access == Access::Watch || &*self.template == DASHBOARD
    }
}

/// What the routes that are no part of the specification are counted as.
const DASHBOARD: &str = "dashboard";

/// All operations of the specification.
pub(super) struct Operations {
    known: HashMap<Arc<str>, Vec<(Method, Arc<Operation>)>>,
    /// For routes of the API that the specification leaves out, such as another spelling of one that it has.
    unlisted: Arc<Operation>,
    /// For the dashboard, pages and paths that no route matches.
    dashboard: Arc<Operation>,
}

/// Paths for whoever watches over the server.
const WATCHED: [&str; 3] = ["/healthz", "/readyz", "/metrics"];

impl Operations {
    pub(super) fn from_specification(specification: &OpenApi) -> Result<Self> {
        let mut known: HashMap<Arc<str>, Vec<(Method, Arc<Operation>)>> = HashMap::new();
        for (path, item) in &specification.paths.paths {
            let template: Arc<str> = Arc::from(path.as_str());
            for (method, operation) in methods(item) {
                let access = access_of(path, operation)?;
                let operation = Operation {
                    template: Arc::clone(&template),
                    access,
                    while_suspended: while_suspended(path, operation)?,
                    work: work_of(path, &method),
                    shows_personal_data: said(operation, "x-audit") == Some("personal_data"),
                    meters: Meters::new(Arc::clone(&template), method.clone()),
                };
                known.entry(Arc::clone(&template)).or_default().push((method, Arc::new(operation)));
            }
        }
        let without_specification = |name: &str, access| {
            let template: Arc<str> = Arc::from(name);
            let meters = Meters::new(Arc::clone(&template), Method::GET);
            // Another spelling of a model's route, with a model's limits; of the others none takes a body.
            Arc::new(Operation {
                template,
                access,
                while_suspended: WhileSuspended::Closed,
                work: Work::Model,
                shows_personal_data: false,
                meters,
            })
        };
        Ok(Self {
            known,
            unlisted: without_specification("unlisted", Access::Authenticated),
            dashboard: without_specification(DASHBOARD, Access::Public),
        })
    }

    pub(super) fn of(&self, request: &Request) -> Arc<Operation> {
        let method = if request.method() == Method::HEAD { &Method::GET } else { request.method() };
        let Some(template) = template(request) else { return Arc::clone(&self.dashboard) };
        match self.known.get(template) {
            Some(operations) => {
                let operation = operations.iter().find(|(known, _)| known == method);
                // Without one, the router answers that the path does not have the method.
                Arc::clone(operation.map_or(&self.dashboard, |(_, operation)| operation))
            }
            None if template.starts_with("/api/") || is_model_protocol(template) => Arc::clone(&self.unlisted),
            None => Arc::clone(&self.dashboard),
        }
    }
}

/// The operations of a path with their methods.
fn methods(item: &PathItem) -> impl Iterator<Item = (Method, &path::Operation)> {
    [
        (Method::GET, &item.get),
        (Method::PUT, &item.put),
        (Method::POST, &item.post),
        (Method::DELETE, &item.delete),
        (Method::PATCH, &item.patch),
    ]
    .into_iter()
    .filter_map(|(method, operation)| Some((method, operation.as_ref()?)))
}

/// What an operation says of itself under this name.
fn said<'a>(operation: &'a path::Operation, name: &str) -> Option<&'a str> {
    operation.extensions.as_ref()?.get(name)?.as_str()
}

fn while_suspended(path: &str, operation: &path::Operation) -> Result<WhileSuspended> {
    match said(operation, "x-while-suspended") {
        None => Ok(WhileSuspended::Closed),
        Some("owner") => Ok(WhileSuspended::Owner),
        Some("anyone") => Ok(WhileSuspended::Anyone),
        Some(other) => {
            let name = operation.operation_id.as_deref().unwrap_or(path);
            Err(Error::internal(format!("the operation {name} says `{other}` as x-while-suspended")))
        }
    }
}

fn access_of(path: &str, operation: &path::Operation) -> Result<Access> {
    let name = operation.operation_id.as_deref().unwrap_or(path);
    let said = said(operation, "x-permission")
        .ok_or_else(|| Error::internal(format!("the operation {name} does not say who may call it (x-permission)")))?;
    match said {
        "none" if WATCHED.contains(&path) => Ok(Access::Watch),
        "none" => Ok(Access::Public),
        "authenticated" => Ok(Access::Authenticated),
        permission => permission
            .parse()
            .map(Access::Permission)
            .map_err(|_| Error::internal(format!("the operation {name} names an unknown permission `{permission}`"))),
    }
}

/// Whether a path belongs to one of the protocols that models' clients speak.
pub(crate) fn is_model_protocol(path: &str) -> bool {
    ["/v1/", "/anthropic/", "/gemini/"].iter().any(|prefix| path.starts_with(prefix))
}

fn work_of(path: &str, method: &Method) -> Work {
    if path == "/v1/files" && method == Method::POST {
        Work::BatchFile
    } else if is_model_protocol(path) {
        Work::Model
    } else if path.starts_with("/api/v1/collections/") && path.ends_with("/documents") && method == Method::POST {
        Work::Upload
    } else if matches!(path, "/api/v1/ask" | "/api/v1/content/drafts") {
        Work::Answer
    } else {
        Work::Ordinary
    }
}
