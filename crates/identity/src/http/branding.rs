use axum::{
    body::Bytes,
    extract::{State, rejection::BytesRejection},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use plasma_http::{Caller, Json, Path, Problem, ProblemBody};
use plasma_kernel::{Error, TenantId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{Identity, Logo, NewBranding, tenant_types};

const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
/// What the program is called where nobody says otherwise.
const PROGRAM_NAME: &str = "Plasma";

/// How a workspace looks and what it is told by.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct Branding {
    /// What people call the workspace.
    name: String,
    /// The colour of what can be acted on, on light pages: `#rrggbb`. Null: the program's own.
    #[schema(required)]
    accent_color: Option<String>,
    /// The same on dark pages. Null: the program's own.
    #[schema(required)]
    accent_color_dark: Option<String>,
    /// Whether `accent_color_dark` was chosen; false when it was made from `accent_color`.
    accent_color_dark_is_chosen: bool,
    /// Whom people turn to: an e-mail or an https address.
    #[schema(required)]
    support_contact: Option<String>,
    /// Below every mail; may be empty.
    mail_footer: String,
    /// The hash of the logo at `/api/v1/tenants/current/logo`; another one is another picture. Null: there is none.
    #[schema(required)]
    logo: Option<String>,
    /// The host name that the workspace asked for.
    #[schema(required)]
    domain: Option<CustomDomain>,
}

/// A host name of a workspace's own.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct CustomDomain {
    /// Such as `knowledge.example.com`.
    name: String,
    /// When the workspace asked for it, in microseconds since 1970 UTC.
    requested_at: Timestamp,
    /// When an operator of the installation confirmed it; null before, when nothing is shown under it.
    #[schema(required)]
    confirmed_at: Option<Timestamp>,
}

impl From<tenant_types::Branding> for Branding {
    fn from(branding: tenant_types::Branding) -> Self {
        Self {
            name: branding.name,
            accent_color: branding.accent_color,
            accent_color_dark: branding.accent_color_dark,
            accent_color_dark_is_chosen: branding.dark_is_given,
            support_contact: branding.support_contact,
            mail_footer: branding.mail_footer,
            logo: branding.logo.map(|logo| logo.hash),
            domain: branding.domain.map(|domain| CustomDomain {
                name: domain.name,
                requested_at: domain.requested_at,
                confirmed_at: domain.confirmed_at,
            }),
        }
    }
}

/// How a workspace is to look: all of it. What is absent or null is none.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PutBranding {
    /// `#rrggbb`; text in this colour must have a contrast of 4.5:1 on the light pages.
    #[schema(max_length = 7, example = "#2238d0")]
    accent_color: Option<String>,
    /// The same for dark pages. Absent: it is made from the other.
    #[schema(max_length = 7, example = "#9db0ff")]
    accent_color_dark: Option<String>,
    /// An e-mail or an https address.
    #[schema(max_length = 254, example = "help@example.com")]
    support_contact: Option<String>,
    /// Below every mail.
    #[schema(max_length = 1000, example = "Keepers Ltd, 1 Harbor Street")]
    mail_footer: Option<String>,
}

/// A host name.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DomainName {
    /// Without `https://` and without a port.
    #[schema(max_length = 253, example = "knowledge.example.com")]
    domain: String,
}

/// How pages look under a host name, before anybody has logged in.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct PublicBranding {
    /// The workspace's name, or the program's.
    name: String,
    /// As in the workspace's own branding.
    #[schema(required)]
    accent_color: Option<String>,
    /// As in the workspace's own branding.
    #[schema(required)]
    accent_color_dark: Option<String>,
    /// The hash of the logo at `/api/v1/branding/logo`. Null: there is none.
    #[schema(required)]
    logo: Option<String>,
}

/// Bytes as the specification knows them.
#[derive(utoipa::ToSchema)]
#[schema(value_type = String, format = Binary)]
#[allow(dead_code)] // only its schema is used
struct LogoBytes(Vec<u8>);

/// Shows how your workspace looks.
#[utoipa::path(
    get, path = "/api/v1/tenants/current/branding", tag = "Identity",
    responses(
        (status = 200, description = "The looks", body = Branding),
        (status = "default", description = "What went wrong", body = ProblemBody, content_type = "application/problem+json")
    ),
    security(("bearer" = [])),
    extensions(("x-permission" = json!("authenticated")), ("x-while-suspended" = json!("owner")))
)]
pub(crate) async fn get_branding(
    State(identity): State<Identity>,
    Caller(ctx): Caller,
) -> Result<Json<Branding>, Problem> {
    Ok(Json(identity.own_branding(&ctx).await?.into()))
}

/// Replaces your workspace's colours, contact and mail footer.
#[utoipa::path(
    put, path = "/api/v1/tenants/current/branding", tag = "Identity",
    request_body = PutBranding,
    responses(
        (status = 200, description = "The looks", body = Branding),
        (status = "default", description = "What went wrong", body = ProblemBody, content_type = "application/problem+json")
    ),
    security(("bearer" = [])),
    extensions(("x-permission" = json!("tenants:write")))
)]
pub(crate) async fn put_branding(
    State(identity): State<Identity>,
    Caller(ctx): Caller,
    Json(request): Json<PutBranding>,
) -> Result<Json<Branding>, Problem> {
    let new = NewBranding {
        accent_color: request.accent_color,
        accent_color_dark: request.accent_color_dark,
        support_contact: request.support_contact,
        mail_footer: request.mail_footer.unwrap_or_default(),
    };
    Ok(Json(identity.put_branding(&ctx, new).await?.into()))
}

/// Shows your workspace's logo.
#[utoipa::path(
    get, path = "/api/v1/tenants/current/logo", tag = "Identity",
    responses(
        (status = 200, description = "The picture", content(
            (inline(LogoBytes) = "image/png"), (inline(LogoBytes) = "image/jpeg"), (inline(LogoBytes) = "image/webp")
        )),
        (status = 304, description = "It is still the one that you have"),
        (status = "default", description = "What went wrong", body = ProblemBody, content_type = "application/problem+json")
    ),
    security(("bearer" = [])),
    extensions(("x-permission" = json!("authenticated")), ("x-while-suspended" = json!("owner")))
)]
pub(crate) async fn get_logo(
    State(identity): State<Identity>,
    Caller(ctx): Caller,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let (logo, bytes) = identity.logo(&ctx).await?;
    Ok(picture(&logo, bytes, &headers))
}

/// Puts your workspace's logo.
///
/// PNG, JPEG or WebP of at most 256 KiB and 2,048 pixels along each side, known by its own first bytes.
#[utoipa::path(
    put, path = "/api/v1/tenants/current/logo", tag = "Identity",
    request_body(content = inline(LogoBytes), content_type = "application/octet-stream", description = "The picture"),
    responses(
        (status = 200, description = "The looks", body = Branding),
        (status = "default", description = "What went wrong", body = ProblemBody, content_type = "application/problem+json")
    ),
    security(("bearer" = [])),
    extensions(("x-permission" = json!("tenants:write")))
)]
pub(crate) async fn put_logo(
    State(identity): State<Identity>,
    Caller(ctx): Caller,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Branding>, Problem> {
    let bytes = body.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Error::too_large("logo", "the picture is larger than this route accepts"),
        _ => Error::invalid("logo", "the request body could not be read to its end"),
    })?;
    Ok(Json(identity.put_logo(&ctx, bytes).await?.into()))
}

/// Takes your workspace's logo away.
#[utoipa::path(
    delete, path = "/api/v1/tenants/current/logo", tag = "Identity",
    responses(
        (status = 204, description = "There is no logo any more"),
        (status = "default", description = "What went wrong", body = ProblemBody, content_type = "application/problem+json")
    ),
    security(("bearer" = [])),
    extensions(("x-permission" = json!("tenants:write")))
)]
pub(crate) async fn delete_logo(State(identity): State<Identity>, Caller(ctx): Caller) -> Result<StatusCode, Problem> {
    identity.remove_logo(&ctx).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Asks for a host name of your workspace's own.
///
/// Let it lead to this server first. It shows your workspace's looks once an operator of the installation has confirmed that it is
/// yours; links in your invitations then begin with it.
#[utoipa::path(
    put, path = "/api/v1/tenants/current/domain", tag = "Identity",
    request_body = DomainName,
    responses(
        (status = 200, description = "The looks", body = Branding),
        (status = "default", description = "What went wrong", body = ProblemBody, content_type = "application/problem+json")
    ),
    security(("bearer" = [])),
    extensions(("x-permission" = json!("tenants:write")))
)]
pub(crate) async fn put_domain(
    State(identity): State<Identity>,
    Caller(ctx): Caller,
    Json(request): Json<DomainName>,
) -> Result<Json<Branding>, Problem> {
    Ok(Json(identity.put_domain(&ctx, &request.domain).await?.into()))
}

/// Gives your workspace's host name up.
#[utoipa::path(
    delete, path = "/api/v1/tenants/current/domain", tag = "Identity",
    responses(
        (status = 204, description = "The workspace has no host name of its own any more"),
        (status = "default", description = "What went wrong", body = ProblemBody, content_type = "application/problem+json")
    ),
    security(("bearer" = [])),
    extensions(("x-permission" = json!("tenants:write")))
)]
pub(crate) async fn delete_domain(
    State(identity): State<Identity>,
    Caller(ctx): Caller,
) -> Result<StatusCode, Problem> {
    identity.remove_domain(&ctx).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Shows how a workspace looks. Only operators of the installation may.
#[utoipa::path(
    get, path = "/api/v1/tenants/{id}/branding", tag = "Identity",
    params(("id" = TenantId, Path, description = "The workspace's id")),
    responses(
        (status = 200, description = "The looks", body = Branding),
        (status = "default", description = "What went wrong", body = ProblemBody, content_type = "application/problem+json")
    ),
    security(("bearer" = [])),
    extensions(("x-permission" = json!("installation:manage")))
)]
pub(crate) async fn get_tenant_branding(
    State(identity): State<Identity>,
    Caller(ctx): Caller,
    Path(id): Path<TenantId>,
) -> Result<Json<Branding>, Problem> {
    Ok(Json(identity.branding_of(&ctx, id).await?.into()))
}

/// Confirms that a host name belongs to a workspace that asks for it. Only operators of the installation may.
#[utoipa::path(
    put, path = "/api/v1/tenants/{id}/domain", tag = "Identity",
    params(("id" = TenantId, Path, description = "The workspace's id")),
    request_body = DomainName,
    responses(
        (status = 200, description = "The looks", body = Branding),
        (status = "default", description = "What went wrong", body = ProblemBody, content_type = "application/problem+json")
    ),
    security(("bearer" = [])),
    extensions(("x-permission" = json!("installation:manage")))
)]
pub(crate) async fn confirm_tenant_domain(
    State(identity): State<Identity>,
    Caller(ctx): Caller,
    Path(id): Path<TenantId>,
    Json(request): Json<DomainName>,
) -> Result<Json<Branding>, Problem> {
    Ok(Json(identity.confirm_domain(&ctx, id, &request.domain).await?.into()))
}

/// Shows how pages look under the host name of this request, for whoever has not logged in yet.
#[utoipa::path(
    get, path = "/api/v1/branding", tag = "Identity",
    responses(
        (status = 200, description = "The looks", body = PublicBranding),
        (status = "default", description = "What went wrong", body = ProblemBody, content_type = "application/problem+json")
    ),
    extensions(("x-permission" = json!("none")))
)]
pub(crate) async fn get_public_branding(
    State(identity): State<Identity>,
    headers: HeaderMap,
) -> Result<Json<PublicBranding>, Problem> {
    let found = identity.branding_of_host(host(&headers)).await?;
    Ok(Json(match found {
        Some((_, branding)) => PublicBranding {
            name: branding.name,
            accent_color: branding.accent_color,
            accent_color_dark: branding.accent_color_dark,
            logo: branding.logo.map(|logo| logo.hash),
        },
        None => {
            PublicBranding { name: PROGRAM_NAME.to_owned(), accent_color: None, accent_color_dark: None, logo: None }
        }
    }))
}

/// Shows the logo under the host name of this request.
#[utoipa::path(
    get, path = "/api/v1/branding/logo", tag = "Identity",
    responses(
        (status = 200, description = "The picture", content(
            (inline(LogoBytes) = "image/png"), (inline(LogoBytes) = "image/jpeg"), (inline(LogoBytes) = "image/webp")
        )),
        (status = 304, description = "It is still the one that you have"),
        (status = "default", description = "What went wrong", body = ProblemBody, content_type = "application/problem+json")
    ),
    extensions(("x-permission" = json!("none")))
)]
pub(crate) async fn get_public_logo(State(identity): State<Identity>, headers: HeaderMap) -> Result<Response, Problem> {
    let (logo, bytes) = identity.logo_of_host(host(&headers)).await?;
    Ok(picture(&logo, bytes, &headers))
}

/// The host name by which the browser came. It decides only what a page looks like, so a proxy's word is taken.
fn host(headers: &HeaderMap) -> &str {
    let text = |name: &HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    text(&X_FORWARDED_HOST)
        .and_then(|hosts| hosts.split(',').next())
        .or_else(|| text(&header::HOST))
        .unwrap_or("")
        .trim()
}

/// Somebody else's picture: shown as what it is by its own bytes, and never as a page of this site.
fn picture(logo: &Logo, bytes: Bytes, request: &HeaderMap) -> Response {
    let etag = format!("\"{}\"", logo.hash);
    let known = request.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    let is_known = known.is_some_and(|known| known.split(',').any(|one| one.trim().trim_start_matches("W/") == etag));
    let mut response = if is_known { StatusCode::NOT_MODIFIED.into_response() } else { bytes.into_response() };
    let headers = response.headers_mut();
    let media_type = match logo.media_type.as_str() {
        "image/png" => "image/png",
        "image/jpeg" => "image/jpeg",
        "image/webp" => "image/webp",
        _ => "application/octet-stream",
    };
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("sandbox; default-src 'none'"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    // A hash is hexadecimal.
    if let Ok(etag) = HeaderValue::from_str(&etag) {
        headers.insert(header::ETAG, etag);
    }
    response
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn logo(media_type: &str) -> Logo {
        Logo { media_type: media_type.to_owned(), hash: "ab".to_owned(), blob: String::new() }
    }

    #[test]
    fn a_picture_is_never_served_as_a_page() {
        let response = picture(&logo("text/html"), Bytes::from_static(b"<script>"), &HeaderMap::new());
        assert_eq!(response.headers()[header::CONTENT_TYPE], "application/octet-stream");
        let response = picture(&logo("image/png"), Bytes::from_static(b"x"), &HeaderMap::new());
        assert_eq!(response.headers()[header::CONTENT_TYPE], "image/png");
        assert_eq!(response.headers()[header::CONTENT_SECURITY_POLICY], "sandbox; default-src 'none'");
        let mut known = HeaderMap::new();
        known.insert(header::IF_NONE_MATCH, HeaderValue::from_static("W/\"ab\""));
        assert_eq!(picture(&logo("image/png"), Bytes::new(), &known).status(), StatusCode::NOT_MODIFIED);
    }

    #[test]
    fn the_host_is_the_browsers() {
        let mut headers = HeaderMap::new();
        assert_eq!(host(&headers), "");
        headers.insert(header::HOST, HeaderValue::from_static("127.0.0.1:8080"));
        assert_eq!(host(&headers), "127.0.0.1:8080");
        headers.insert(X_FORWARDED_HOST, HeaderValue::from_static("knowledge.example.com, inner"));
        assert_eq!(host(&headers), "knowledge.example.com");
    }
}
