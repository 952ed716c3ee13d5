use plasma_kernel::{ConnectionId, Role, RoleId, TeamId, TenantId, Timestamp, UserId};
use serde::{Deserialize, Serialize};

use crate::{LoginConnection, Secret};

/// A provider whose issuer and peculiarities are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = ConnectionPreset)]
pub enum Preset {
    /// Any provider that has discovery: its issuer is given.
    Custom,
    /// Google Workspace: `account` is the organization's primary domain, as in `example.com`.
    GoogleWorkspace,
    /// Microsoft Entra ID: `account` is the directory's (tenant's) id, a UUID.
    EntraId,
    /// Okta: `account` is the organization's host, as in `example.okta.com`, with `/oauth2/NAME` behind it for another
    /// authorization server than the organization's own.
    Okta,
    /// Auth0: `account` is the tenant's host, as in `example.eu.auth0.com`.
    Auth0,
}

/// What becomes of somebody in whom a claim has a value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MappingRule {
    /// Which claim: a name, or the way into nested ones with dots (`realm_access.roles`) or as a JSON pointer
    /// (`/resource_access/plasma/roles`). A claim whose own name has dots is found by that name first.
    #[schema(min_length = 1, max_length = 200, example = "groups")]
    pub claim: String,
    /// What it must be, or what must be among its values. Upper and lower case matter.
    #[schema(min_length = 1, max_length = 500, example = "plasma-editors")]
    pub value: String,
    /// The role to give. The first rule that fits and gives one decides. `owner` only by a rule that an owner makes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
    /// The workspace's own role to give, in place of `role`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub custom_role: Option<RoleId>,
    /// The team to put them into. Every rule that fits counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub team: Option<TeamId>,
}

/// A claim without which nobody is let in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RequiredClaim {
    /// Which claim, named as in a rule.
    #[schema(min_length = 1, max_length = 200, example = "hd")]
    pub claim: String,
    /// What it must be, or what must be among its values.
    #[schema(min_length = 1, max_length = 500, example = "example.com")]
    pub value: String,
}

/// A rule, and who made it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MadeRule {
    pub(crate) rule: MappingRule,
    /// The person who made it, or behind the key that did.
    pub(crate) made_by: Option<UserId>,
    /// Whether they were an owner at that time. Without it the rule gives nobody the role of an owner.
    pub(crate) by_owner: bool,
}

/// What became of a claim to an e-mail domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DomainState {
    /// Nobody has verified yet that it is the workspace's. It has no effect.
    Pending,
    /// It is the workspace's: its people find the connection by their e-mail and may be let in.
    Verified,
    /// Another workspace of the installation has it.
    Taken,
}

/// Who verified that a domain is a workspace's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DomainVerifier {
    /// An operator of the installation.
    Operator,
    /// Google or Microsoft, who know whose the domain is, at somebody's login.
    Provider,
}

impl DomainVerifier {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::Provider => "provider",
        }
    }

    pub(crate) fn from_text(text: &str) -> Self {
        if text == "provider" { Self::Provider } else { Self::Operator }
    }
}

/// An e-mail domain that a connection claims.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectionDomain {
    /// In lower case; other letters than ASCII as in DNS.
    pub domain: String,
    /// What became of it.
    pub state: DomainState,
    /// When it was verified.
    pub verified_at: Option<Timestamp>,
    /// By whom.
    pub verified_by: Option<DomainVerifier>,
}

/// A domain as an operator of the installation sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimedDomain {
    /// The domain.
    pub domain: String,
    /// The workspace that claims it.
    pub tenant: TenantId,
    /// That workspace's name.
    pub tenant_name: String,
    /// By which of its connections.
    pub connection: ConnectionId,
    /// When it was claimed.
    pub claimed_at: Timestamp,
    /// When it was verified.
    pub verified_at: Option<Timestamp>,
    /// By whom.
    pub verified_by: Option<DomainVerifier>,
}

/// A connection to an identity provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    /// Its id.
    pub id: ConnectionId,
    /// What people read on the button.
    pub name: String,
    /// Which kind of provider.
    pub preset: Preset,
    /// What names the organization at the preset's provider.
    pub account: Option<String>,
    /// Who signs the tokens, letter by letter.
    pub issuer: String,
    /// Who Plasma is at the provider.
    pub client_id: String,
    /// Whether a client secret is stored. The secret itself is never given out.
    pub has_client_secret: bool,
    /// What is asked for; `openid` is among it.
    pub scopes: Vec<String>,
    /// The claim that says whether the provider has verified the e-mail.
    pub email_verified_claim: String,
    /// Claims that must have these values.
    pub required_claims: Vec<RequiredClaim>,
    /// The e-mail domains that it claims.
    pub domains: Vec<ConnectionDomain>,
    /// From claims to roles and teams, in order.
    pub rules: Vec<MappingRule>,
    /// The role of whom no rule gives one; `None`: they are not let in.
    pub default_role: Option<Role>,
    /// Whether whoever is new is made a user at the first login.
    pub creates_users: bool,
    /// Whether people may log in by it.
    pub enabled: bool,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
    /// When somebody logged in by it last.
    pub last_login_at: Option<Timestamp>,
}

/// What a new connection needs.
#[derive(Clone, Debug)]
pub struct NewConnection {
    /// 1 to 200 characters.
    pub name: String,
    /// Which kind of provider.
    pub preset: Preset,
    /// For a preset.
    pub account: Option<String>,
    /// For a custom provider.
    pub issuer: Option<String>,
    /// Who Plasma is at the provider.
    pub client_id: String,
    /// Its secret; `None` for a public client.
    pub client_secret: Option<Secret>,
    /// `None`: the preset's.
    pub scopes: Option<Vec<String>>,
    /// `None`: the preset's.
    pub email_verified_claim: Option<String>,
    /// Beside the preset's.
    pub required_claims: Vec<RequiredClaim>,
    /// The e-mail domains to claim.
    pub domains: Vec<String>,
    /// In order.
    pub rules: Vec<MappingRule>,
    /// Not `owner`.
    pub default_role: Option<Role>,
    /// Whether whoever is new is made a user at the first login.
    pub creates_users: bool,
    /// Whether people may log in by it.
    pub enabled: bool,
}

/// What to change about a connection; `None` leaves it.
#[derive(Clone, Debug, Default)]
pub struct ConnectionChange {
    /// What people read on the button.
    pub name: Option<String>,
    /// For a preset. The client secret must be given with it.
    pub account: Option<String>,
    /// For a custom provider. The client secret must be given with it.
    pub issuer: Option<String>,
    /// Who Plasma is at the provider.
    pub client_id: Option<String>,
    /// Another secret; `Some(None)` forgets it.
    pub client_secret: Option<Option<Secret>>,
    /// What is asked for.
    pub scopes: Option<Vec<String>>,
    /// The claim that says whether the provider has verified the e-mail.
    pub email_verified_claim: Option<String>,
    /// Beside the preset's.
    pub required_claims: Option<Vec<RequiredClaim>>,
    /// All e-mail domains to claim.
    pub domains: Option<Vec<String>>,
    /// All rules, in order.
    pub rules: Option<Vec<MappingRule>>,
    /// `Some(None)`: nobody without a rule is let in.
    pub default_role: Option<Option<Role>>,
    /// Whether whoever is new is made a user at the first login.
    pub creates_users: Option<bool>,
    /// Whether people may log in by it.
    pub enabled: Option<bool>,
}

/// How a part of a test went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ConnectionCheckState {
    /// As it should be.
    Passed,
    /// Logins work, but something could be better.
    Warning,
    /// Logins cannot work.
    Failed,
}

/// A part of the test of a connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct ConnectionCheck {
    /// What was looked at: `discovery`, `issuer`, `endpoints`, `flow`, `signatures`, `keys`, `client`, `logout` or `domains`.
    pub name: &'static str,
    /// How it went.
    pub state: ConnectionCheckState,
    /// What was found, in words.
    pub detail: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub remedy: Option<String>,
}

/// What a tenant has decided about single sign-on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SingleSignOn {
    /// Whether every other way to log in is refused.
    pub enforced: bool,
    /// Owners who may still log in with a password and a second factor.
    pub break_glass: Vec<UserId>,
}

/// A connection of a person's tenant, and their account there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkedAccount {
    /// The connection.
    pub connection: ConnectionId,
    /// Its name.
    pub name: String,
    /// Which kind of provider.
    pub preset: Preset,
    /// Whether the person has linked an account there.
    pub linked: bool,
    /// The account's e-mail, as the provider said last.
    pub email: Option<String>,
    /// When it was linked.
    pub linked_at: Option<Timestamp>,
    /// When it was used last.
    pub last_login_at: Option<Timestamp>,
}

/// A person with an account at a connection's provider, as an administrator sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkedPerson {
    /// The person.
    pub user: UserId,
    /// Their name.
    pub name: String,
    /// The account's e-mail, as the provider said last.
    pub email: Option<String>,
    /// When it was linked.
    pub linked_at: Timestamp,
    /// When it was used last.
    pub last_login_at: Option<Timestamp>,
}

/// What single sign-on offers to an e-mail, told by its domain alone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SingleSignOnOffer {
    /// The connections of the tenant that has the domain.
    pub connections: Vec<LoginConnection>,
    /// Whether that tenant refuses every other way.
    pub enforced: bool,
}
