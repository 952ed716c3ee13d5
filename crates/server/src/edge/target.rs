//! What a request acts on, as access policies see it: found in its path, before anything is read.

use axum::{
    RequestExt as _,
    extract::{RawPathParams, Request},
    http::Method,
};
use plasma_identity::AccessRequest;

use super::{Access, template};

/// A thing with the things around it, and the path that names them.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Target {
    /// The route's template with the decoded values in it: however a client spells a path, policies see one.
    path: String,
    id: Option<String>,
    within: Vec<String>,
}

impl Target {
    pub(super) async fn of(request: &mut Request) -> Self {
        let Some(template) = template(request).map(str::to_owned) else {
            return Self { path: request.uri().path().to_owned(), id: None, within: Vec::new() };
        };
        if !template.contains('{') {
            return Self { path: template, id: None, within: Vec::new() };
        }
        // A value that is not UTF-8 names nothing; the handler refuses it.
        let parameters = match request.extract_parts::<RawPathParams>().await {
            Ok(parameters) => parameters.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
            Err(_) => Vec::new(),
        };
        Self::from_parameters(&template, parameters)
    }

    /// The last id of the path is what the request is about, and what stands before it is around it: a document is in its
    /// collection. Where nothing is called an id, the first name is it: a prompt with its versions, a route.
    fn from_parameters(template: &str, mut parameters: Vec<(String, String)>) -> Self {
        let path = filled(template, &parameters);
        let chosen = parameters.iter().rposition(|(name, _)| name == "id" || name.ends_with("_id")).unwrap_or(0);
        parameters.truncate(chosen + 1);
        let id = parameters.pop().map(|(_, value)| value);
        let within = parameters.into_iter().map(|(_, value)| value).collect();
        Self { path, id, within }
    }

    pub(super) fn request<'a>(&'a self, access: Access, method: &'a Method) -> AccessRequest<'a> {
        let action = match access {
            Access::Permission(permission) => Some(permission),
            Access::Public | Access::Watch | Access::Authenticated => None,
        };
        AccessRequest {
            action,
            id: self.id.as_deref(),
            within: &self.within,
            path: &self.path,
            method: method.as_str(),
        }
    }
}

fn filled(template: &str, parameters: &[(String, String)]) -> String {
    let mut path = String::with_capacity(template.len() + 32);
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        let (name, after) = after.split_once('}').unwrap_or((after, ""));
        let name = name.trim_start_matches('*');
        path.push_str(before);
        if let Some((_, value)) = parameters.iter().find(|(known, _)| known == name) {
            path.push_str(value);
        }
        rest = after;
    }
    path.push_str(rest);
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(template: &str, parameters: &[(&str, &str)]) -> Target {
        let parameters = parameters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Target::from_parameters(template, parameters.collect())
    }

    #[test]
    fn a_path_tells_what_it_is_about_and_what_is_around_it() {
        let found = target(
            "/api/v1/collections/{id}/documents/{document_id}/access",
            &[("id", "col_1"), ("document_id", "kdoc_1")],
        );
        assert_eq!(found.path, "/api/v1/collections/col_1/documents/kdoc_1/access");
        assert_eq!((found.id.as_deref(), found.within.as_slice()), (Some("kdoc_1"), ["col_1".to_owned()].as_slice()));

        let found = target("/api/v1/teams/{id}/members/{user}", &[("id", "team_1"), ("user", "usr_1")]);
        assert_eq!((found.id.as_deref(), found.within.len()), (Some("team_1"), 0));
        assert_eq!(found.path, "/api/v1/teams/team_1/members/usr_1");

        let found = target("/api/v1/prompts/{name}/versions/{version}", &[("name", "greeting"), ("version", "1")]);
        assert_eq!((found.id.as_deref(), found.within.len()), (Some("greeting"), 0));

        let found = target("/files/{*rest}", &[("rest", "a/b")]);
        assert_eq!((found.path.as_str(), found.id.as_deref()), ("/files/a/b", Some("a/b")));

        let found = target("/api/v1/models/{id}", &[]);
        assert_eq!((found.path.as_str(), found.id), ("/api/v1/models/", None));
    }
}
