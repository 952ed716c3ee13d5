use std::net::IpAddr;

pub use plasma_kernel::Secret;
use plasma_kernel::{Actor, ApiKeyId, Permission, Permissions, Role, SessionId, TeamId, TenantId, Timestamp, UserId};

/// An organization's walled-off workspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tenant {
    /// Its id.
    pub id: TenantId,
    /// What people call it.
    pub name: String,
    /// When it was made, in microseconds since 1970 UTC.
    pub created_at: Timestamp,
}

/// What a new tenant needs: a name and its first owner.
#[derive(Clone, Debug)]
pub struct NewTenant {
    /// 1 to 200 characters.
    pub name: String,
    /// The owner's e-mail, new to the installation.
    pub owner_email: String,
    /// The owner's name.
    pub owner_name: String,
    /// The owner's first password.
    pub owner_password: Secret,
}

/// A person as seen in one tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Their id.
    pub id: UserId,
    /// Their login, in lower case.
    pub email: String,
    /// What to call them.
    pub name: String,
    /// Their role in this tenant.
    pub role: Role,
    /// Whether they are locked out.
    pub disabled: bool,
    /// Whether they manage the whole installation.
    pub operator: bool,
    /// When they were added, in microseconds since 1970 UTC.
    pub created_at: Timestamp,
    /// Their last successful login.
    pub last_login_at: Option<Timestamp>,
}

impl User {
    /// All that this person may do.
    pub fn permissions(&self) -> Permissions {
        permissions_of(self.role, self.operator)
    }
}

/// What managing the installation takes; no role holds these.
pub(crate) const INSTALLATION: [Permission; 2] = [Permission::InstallationRead, Permission::InstallationManage];

/// A role's permissions, with the installation's for operators.
pub(crate) fn permissions_of(role: Role, installation: bool) -> Permissions {
    let permissions = role.permissions();
    if installation { INSTALLATION.into_iter().fold(permissions, Permissions::with) } else { permissions }
}

/// What a new user needs.
#[derive(Clone, Debug)]
pub struct NewUser {
    /// New to the installation; kept in lower case.
    pub email: String,
    /// 1 to 200 characters.
    pub name: String,
    /// Not higher than the creator's own.
    pub role: Role,
    /// 10 to 200 characters, not the e-mail.
    pub password: Secret,
}

/// What to change about a user; `None` leaves it.
#[derive(Clone, Debug, Default)]
pub struct UserChange {
    /// What to call them.
    pub name: Option<String>,
    /// Their role in this tenant.
    pub role: Option<Role>,
    /// Locks them out, or lets them in again.
    pub disabled: Option<bool>,
}

/// People of a tenant whose model calls are counted together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Team {
    /// Its id.
    pub id: TeamId,
    /// What people call it; unique in the tenant, whatever the case.
    pub name: String,
    /// What it is for; may be empty.
    pub description: String,
    /// How many people are in it.
    pub member_count: u64,
    /// When it was made, in microseconds since 1970 UTC.
    pub created_at: Timestamp,
    /// When its name or description was changed last.
    pub updated_at: Timestamp,
}

/// What a new team needs.
#[derive(Clone, Debug)]
pub struct NewTeam {
    /// 1 to 200 characters.
    pub name: String,
    /// At most 1,000 characters.
    pub description: String,
}

/// What to change about a team; `None` leaves it.
#[derive(Clone, Debug, Default)]
pub struct TeamChange {
    /// What people call it.
    pub name: Option<String>,
    /// What it is for.
    pub description: Option<String>,
}

/// A person in a team.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TeamMember {
    /// The person.
    pub user: UserId,
    /// Their name, for those who may see people.
    pub name: Option<String>,
    /// Their login, for those who may see people.
    pub email: Option<String>,
    /// Whether their calls are counted to this team, unless an API key says otherwise.
    pub is_default: bool,
    /// When they joined, in microseconds since 1970 UTC.
    pub joined_at: Timestamp,
}

/// A program's credential. The key itself is known only when it is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKey {
    /// Its id.
    pub id: ApiKeyId,
    /// What it is for.
    pub name: String,
    /// The key's first 12 characters, to recognize it by.
    pub prefix: String,
    /// What it may do at most.
    pub role: Role,
    /// Narrows the role; `None` means all of it.
    pub scopes: Option<Permissions>,
    /// Whether it may use installation permissions while its creator is an operator.
    pub installation: bool,
    /// The person whose permissions bound it.
    pub created_by: UserId,
    /// The team to which its calls are counted; `None`: the default team of its person.
    pub team: Option<TeamId>,
    /// When it was made, in microseconds since 1970 UTC.
    pub created_at: Timestamp,
    /// From when on it is refused.
    pub expires_at: Option<Timestamp>,
    /// About when it was last used: written at most once a minute.
    pub last_used_at: Option<Timestamp>,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
}

impl ApiKey {
    /// What the key itself allows: its role narrowed by its scopes. Its creator's permissions bound it further.
    pub fn permissions(&self) -> Permissions {
        let permissions = permissions_of(self.role, self.installation);
        self.scopes.map_or(permissions, |scopes| permissions.intersection(scopes))
    }
}

/// What a new API key needs.
#[derive(Clone, Debug)]
pub struct NewApiKey {
    /// What it is for: 1 to 200 characters.
    pub name: String,
    /// What it may do at most.
    pub role: Role,
    /// Narrows the role; `None` means all of it.
    pub scopes: Option<Vec<Permission>>,
    /// From when on it is refused; `None` means never.
    pub expires_at: Option<Timestamp>,
    /// The team to which its calls are counted; `None`: the default team of its person.
    pub team: Option<TeamId>,
}

/// A key that was just made.
#[derive(Clone, Debug)]
pub struct CreatedApiKey {
    /// What is kept of it.
    pub api_key: ApiKey,
    /// The key itself; it cannot be shown again.
    pub key: Secret,
}

/// Somebody tries to log in.
#[derive(Clone, Debug)]
pub struct Login {
    /// Who they say they are.
    pub email: String,
    /// How they prove it.
    pub password: Secret,
    /// Where they come from, to throttle by; `None` for calls that do not come over the network.
    pub address: Option<IpAddr>,
}

/// A login that succeeded.
#[derive(Clone, Debug)]
pub struct LoggedIn {
    /// The session's token; only its hash is kept.
    pub token: Secret,
    /// The session.
    pub session: SessionId,
    /// When the session ends at the latest.
    pub expires_at: Timestamp,
    /// Who logged in.
    pub user: User,
    /// Into which tenant.
    pub tenant: Tenant,
}

/// Who the caller is.
#[derive(Clone, Debug)]
pub struct Me {
    /// A person, a key or an application.
    pub actor: Actor,
    /// The person's, the key's or the application's name.
    pub name: String,
    /// The person, if it is one, or the one for whom the application acts.
    pub user: Option<User>,
    /// The caller's tenant.
    pub tenant: Tenant,
    /// The role that the caller acts in.
    pub role: Role,
    /// What the caller may do.
    pub permissions: Permissions,
}
