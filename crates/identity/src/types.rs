mod policies;
mod roles;

use std::net::IpAddr;

use ipnet::IpNet;
pub use plasma_kernel::Secret;
use plasma_kernel::{Actor, ApiKeyId, Permission, Permissions, Role, TeamId, TenantId, Timestamp, UserId};

use crate::TenantState;

pub use policies::{
    AccessExplanation, AccessQuestion, AccessRequest, AccessResource, Circumstances, DecidedBy, NewPolicy, Policy,
    PolicyChange, PolicyDraft, PolicyEffect, PolicyMatch, PolicyProblem, PolicyTest, PolicyVersion, TestedRequest,
    TextPlace,
};
pub use roles::{CustomRole, NewRole, RoleChange, RoleDetails, RoleName};
pub(crate) use roles::{held, nearest_built_in};

/// An organization's walled-off workspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tenant {
    /// Its id.
    pub id: TenantId,
    /// What people call it.
    pub name: String,
    /// Where it is in its life.
    pub state: TenantState,
    /// Why it is suspended, in words for its people.
    pub state_reason: Option<String>,
    /// What its plan is called.
    pub plan: String,
    /// From when on it is erased, if that was asked for.
    pub delete_at: Option<Timestamp>,
    /// When it was made, in microseconds since 1970 UTC.
    pub created_at: Timestamp,
}

/// The plan of a tenant to which no operator gave another.
const PLAN_DEFAULT: &str = "standard";

impl Tenant {
    /// A new one that works.
    pub(crate) fn new(id: TenantId, name: String, created_at: Timestamp) -> Self {
        Self {
            id,
            name,
            state: TenantState::Active,
            state_reason: None,
            plan: PLAN_DEFAULT.to_owned(),
            delete_at: None,
            created_at,
        }
    }
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
    /// Their role in this tenant; with a custom one, the nearest built-in role below it.
    pub role: Role,
    /// The tenant's own role that takes the place of `role`.
    pub custom_role: Option<CustomRole>,
    /// Whether they are locked out of this tenant.
    pub disabled: bool,
    /// Whether they manage the whole installation.
    pub operator: bool,
    /// When they were added, in microseconds since 1970 UTC.
    pub created_at: Timestamp,
    /// When they entered this tenant last.
    pub last_login_at: Option<Timestamp>,
}

impl User {
    /// All that this person may do.
    pub fn permissions(&self) -> Permissions {
        held(self.role, self.custom_role.as_ref(), self.operator)
    }
}

/// What managing the installation takes; no role holds these.
pub(crate) const INSTALLATION: [Permission; 2] = [Permission::InstallationRead, Permission::InstallationManage];

/// A role's permissions, with the installation's for operators.
pub(crate) fn permissions_of(role: Role, installation: bool) -> Permissions {
    held(role, None, installation)
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
    /// What it may do at most; with a custom role, the nearest built-in one below it.
    pub role: Role,
    /// The tenant's own role that takes the place of `role`.
    pub custom_role: Option<CustomRole>,
    /// Narrows the role; `None` means all of it.
    pub scopes: Option<Permissions>,
    /// From where it may be used; empty means from anywhere.
    pub addresses: Vec<IpNet>,
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
    /// From where that was.
    pub last_used_address: Option<IpAddr>,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
    /// The key whose place it took.
    pub replaces: Option<ApiKeyId>,
    /// The key that took its place; it ends at `expires_at`.
    pub replaced_by: Option<ApiKeyId>,
}

impl ApiKey {
    /// What the key itself allows: its role narrowed by its scopes. Its creator's permissions bound it further.
    pub fn permissions(&self) -> Permissions {
        let permissions = held(self.role, self.custom_role.as_ref(), self.installation);
        self.scopes.map_or(permissions, |scopes| permissions.intersection(scopes))
    }
}

/// What a new API key needs.
#[derive(Clone, Debug)]
pub struct NewApiKey {
    /// What it is for: 1 to 200 characters.
    pub name: String,
    /// What it may do at most.
    pub role: RoleName,
    /// Narrows the role; `None` means all of it.
    pub scopes: Option<Vec<Permission>>,
    /// From where it may be used: addresses and networks such as `192.0.2.0/24`. Empty means from anywhere.
    pub addresses: Vec<String>,
    /// From when on it is refused; `None` means never.
    pub expires_at: Option<Timestamp>,
    /// The team to which its calls are counted; `None`: the default team of its person.
    pub team: Option<TeamId>,
}

/// What to change of an API key; `None` leaves it.
#[derive(Clone, Debug, Default)]
pub struct ApiKeyChange {
    /// What it is for.
    pub name: Option<String>,
    /// From where it may be used; empty means from anywhere.
    pub addresses: Option<Vec<String>>,
}

/// How a key gets a successor.
#[derive(Clone, Copy, Debug)]
pub struct ApiKeyRotation {
    /// For how long the old key works beside the new one.
    pub overlap_seconds: u32,
    /// From when on the successor is refused; `None`: it lives as long as the old key was to live.
    pub expires_at: Option<Timestamp>,
}

/// A key that was just made.
#[derive(Clone, Debug)]
pub struct CreatedApiKey {
    /// What is kept of it.
    pub api_key: ApiKey,
    /// The key itself; it cannot be shown again.
    pub key: Secret,
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
    /// The role that the caller acts in; with a custom one, the nearest built-in role below it.
    pub role: Role,
    /// The tenant's own role that takes the place of `role`.
    pub custom_role: Option<CustomRole>,
    /// What the caller may do.
    pub permissions: Permissions,
}
