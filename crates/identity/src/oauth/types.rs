use std::str::FromStr;

use plasma_kernel::{ApplicationId, Error, GrantId, Permission, Permissions, Result, TenantId, Timestamp, UserId};

use super::Scopes;
use crate::Secret;

/// The command line of Plasma itself, built into every installation: `app_…0c11`.
pub const COMMAND_LINE: ApplicationId = ApplicationId::from_bits((12 << 10) | (1 << 5) | 1);

/// Whether an application can keep a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ApplicationKind {
    /// It runs on people's devices or in their browsers, where nothing is secret.
    Public,
    /// It runs on a server and has a secret.
    Confidential,
}

impl ApplicationKind {
    /// The text form.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Confidential => "confidential",
        }
    }
}

impl FromStr for ApplicationKind {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        [Self::Public, Self::Confidential]
            .into_iter()
            .find(|kind| kind.as_str() == text)
            .ok_or_else(|| Error::invalid("kind", "must be public or confidential"))
    }
}

/// A program that acts for people who allowed it, or for itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Application {
    /// Its id, which is also its `client_id`.
    pub id: ApplicationId,
    /// What people call it.
    pub name: String,
    /// What it is for; may be empty.
    pub description: String,
    /// Its page, for people who want to know more.
    pub homepage: Option<String>,
    /// Whether it can keep a secret.
    pub kind: ApplicationKind,
    /// The exact addresses to which codes may go.
    pub redirect_uris: Vec<String>,
    /// The most that it may ask a person for.
    pub scopes: Permissions,
    /// What it may do for itself.
    pub own_permissions: Permissions,
    /// Whether it may ask on devices without a browser.
    pub device: bool,
    /// Who registered it; `None` for the one that is built in.
    pub created_by: Option<UserId>,
    /// When it was registered, in microseconds since 1970 UTC.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
    /// What people allowed before this time is asked again.
    pub consent_since: Timestamp,
    /// When it was locked out.
    pub disabled_at: Option<Timestamp>,
    /// About when it last acted for itself: written at most once a minute.
    pub last_used_at: Option<Timestamp>,
    /// Its secrets that have not ended.
    pub secrets: Vec<ApplicationSecret>,
}

/// What is kept of an application's secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApplicationSecret {
    /// Its first 12 characters, to recognize it by.
    pub prefix: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// From when on it is refused; `None`: until another takes its place.
    pub expires_at: Option<Timestamp>,
}

/// What a new application needs.
#[derive(Clone, Debug)]
pub struct NewApplication {
    /// 1 to 200 characters.
    pub name: String,
    /// At most 1,000 characters.
    pub description: String,
    /// Its page: `https://…`.
    pub homepage: Option<String>,
    /// Whether it can keep a secret.
    pub kind: ApplicationKind,
    /// At most 20 addresses to which codes may go.
    pub redirect_uris: Vec<String>,
    /// The most that it may ask a person for.
    pub scopes: Vec<Permission>,
    /// What it may do for itself; confidential applications only, and not more than the caller may do.
    pub own_permissions: Vec<Permission>,
    /// Whether it may ask on devices without a browser.
    pub device: bool,
}

/// What to change about an application; `None` leaves it.
#[derive(Clone, Debug, Default)]
pub struct ApplicationChange {
    /// What people call it.
    pub name: Option<String>,
    /// What it is for.
    pub description: Option<String>,
    /// Its page; an empty text removes it.
    pub homepage: Option<String>,
    /// The addresses to which codes may go.
    pub redirect_uris: Option<Vec<String>>,
    /// The most that it may ask a person for.
    pub scopes: Option<Vec<Permission>>,
    /// What it may do for itself.
    pub own_permissions: Option<Vec<Permission>>,
    /// Whether it may ask on devices without a browser.
    pub device: Option<bool>,
    /// Locks it out, or lets it in again.
    pub disabled: Option<bool>,
}

/// An application with the secret that was just made.
#[derive(Clone, Debug)]
pub struct ApplicationWithSecret {
    /// The application.
    pub application: Application,
    /// The secret, which cannot be shown again; `None` for public applications.
    pub secret: Option<Secret>,
}

/// What a person allowed an application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// Its id.
    pub id: GrantId,
    /// The application.
    pub application: ApplicationId,
    /// Its name.
    pub application_name: String,
    /// Its page.
    pub homepage: Option<String>,
    /// What it may do.
    pub scopes: Scopes,
    /// When it was allowed first, in microseconds since 1970 UTC.
    pub created_at: Timestamp,
    /// When it was allowed last.
    pub updated_at: Timestamp,
    /// How many authorizations live: one for each device or browser.
    pub authorizations: u64,
    /// About when one was used last.
    pub last_used_at: Option<Timestamp>,
}

/// What an application asks for when it sends a person to `/oauth/authorize/`. Unknown parameters are of no account.
#[derive(Clone, Debug, Default, serde::Deserialize, utoipa::ToSchema, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct AuthorizationParameters {
    /// `code`.
    #[schema(max_length = 100, nullable = false)]
    pub response_type: Option<String>,
    /// The application.
    #[schema(max_length = 100, example = "app_00000000000000000000000c11", nullable = false)]
    pub client_id: Option<String>,
    /// Exactly one of the application's addresses; a loopback address may have any port.
    #[schema(max_length = 2000, nullable = false)]
    pub redirect_uri: Option<String>,
    /// Names separated by spaces; absent: all that the application may ask for.
    #[schema(max_length = 4096, nullable = false)]
    pub scope: Option<String>,
    /// Comes back as it is.
    #[schema(max_length = 2000, nullable = false)]
    pub state: Option<String>,
    /// The SHA-256 of the verifier, in base64url.
    #[schema(max_length = 128, nullable = false)]
    pub code_challenge: Option<String>,
    /// `S256`.
    #[schema(max_length = 100, nullable = false)]
    pub code_challenge_method: Option<String>,
    /// Comes back in the ID token.
    #[schema(max_length = 500, nullable = false)]
    pub nonce: Option<String>,
    /// `none`, or `login` and `consent`.
    #[schema(max_length = 100, nullable = false)]
    pub prompt: Option<String>,
    /// The person must have proved who they are in the last so many seconds.
    #[schema(max_length = 20, nullable = false)]
    pub max_age: Option<String>,
    /// Not supported: a request that has it is refused.
    #[schema(max_length = 4096, nullable = false)]
    pub request: Option<String>,
    /// Not supported: a request that has it is refused.
    #[schema(max_length = 2000, nullable = false)]
    pub request_uri: Option<String>,
    /// `query`.
    #[schema(max_length = 100, nullable = false)]
    pub response_mode: Option<String>,
}

/// What the page of an authorization request shows or does.
#[derive(Clone, Debug)]
pub enum AuthorizationStep {
    /// Sign in first.
    Login {
        /// Somebody is signed in, but did so too long ago for this request.
        again: bool,
    },
    /// Show what is asked for and let the person decide; without `consent` they have allowed it before.
    Decide {
        /// Who asks.
        application: Box<Application>,
        /// What it asks for.
        scopes: Scopes,
        /// Whether the person must be asked.
        consent: bool,
    },
    /// Go there: the request is wrong in a way that the application must hear of.
    Redirect(String),
}

/// Who a client of the token endpoint says it is.
#[derive(Clone, Debug, Default)]
pub struct ClientCredentials {
    /// The application.
    pub id: Option<String>,
    /// Its secret.
    pub secret: Option<Secret>,
}

/// What the token endpoint answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenAnswer {
    /// For `Authorization: Bearer`.
    pub access_token: Secret,
    /// From when on the access token is refused, in microseconds since 1970 UTC.
    pub expires_at: Timestamp,
    /// For the next access token.
    pub refresh_token: Option<Secret>,
    /// What the access token may be used for.
    pub scopes: Scopes,
    /// Who the person is, signed.
    pub id_token: Option<String>,
}

/// What a device shows to its person, and asks with.
#[derive(Clone, Debug)]
pub struct DeviceAuthorization {
    /// For the token endpoint.
    pub device_code: Secret,
    /// For the person: `BCDF-GHJK`.
    pub user_code: String,
    /// Seconds for which both are good.
    pub expires_in: i64,
    /// Seconds between two questions of the device, at least.
    pub interval: i64,
}

/// What a device asks a person for.
#[derive(Clone, Debug)]
pub struct DeviceRequest {
    /// Who asks.
    pub application: Application,
    /// What it asks for.
    pub scopes: Scopes,
    /// When it began to ask, in microseconds since 1970 UTC.
    pub created_at: Timestamp,
}

/// What a token is good for (RFC 7662).
#[derive(Clone, Debug)]
pub struct Introspection {
    /// The workspace.
    pub tenant: TenantId,
    /// The application that it was issued to.
    pub application: ApplicationId,
    /// For whom the application acts; `None`: for itself.
    pub user: Option<UserId>,
    /// What it may be used for.
    pub scopes: Scopes,
    /// Whether it is an access token; else it is a refresh token.
    pub is_access_token: bool,
    /// When it was issued, in microseconds since 1970 UTC.
    pub issued_at: Timestamp,
    /// From when on it is refused.
    pub expires_at: Timestamp,
}

/// What an application may know of its person.
#[derive(Clone, Debug)]
pub struct UserInfo {
    /// The person.
    pub user: UserId,
    /// The workspace.
    pub tenant: TenantId,
    /// Their name, with the scope `profile`.
    pub name: Option<String>,
    /// Their login, with the scope `email`.
    pub email: Option<String>,
}

impl Application {
    /// Whether it belongs to Plasma itself.
    pub fn is_built_in(&self) -> bool {
        self.id == COMMAND_LINE
    }

    /// All that it may ask a person for.
    pub fn ceiling(&self) -> Scopes {
        Scopes { permissions: self.scopes, ..Scopes::everything() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_recognized_by_its_id() {
        assert_eq!(COMMAND_LINE.to_string(), "app_00000000000000000000000c11");
    }
}
