use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

macro_rules! define_permissions {
    ($($(#[$documentation:meta])* $name:ident = $text:tt;)*) => {
        /// An action on a kind of resource, such as `content:write`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema)]
        #[repr(u8)]
        pub enum Permission {$(
            $(#[$documentation])*
            #[serde(rename = $text)]
            $name,
        )*}

        impl Permission {
            /// Every permission, in the order of their declaration.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The text form, as in `collections:read`.
            pub fn as_str(self) -> &'static str {
                match self {$(Self::$name => $text),*}
            }

            /// The kind of resource that it is about, as in `collections`.
            pub fn kind(self) -> &'static str {
                self.as_str().split(':').next().unwrap_or_default()
            }
        }
    };
}

define_permissions! {
    /// See collections, their documents and passages.
    CollectionsRead = "collections:read";
    /// Create, change and delete collections and their documents.
    CollectionsWrite = "collections:write";
    /// Say which people and teams may see a document.
    DocumentsWrite = "documents:write";
    /// See every document, whoever may see it, and search as another person would.
    DocumentsReadAll = "documents:read_all";
    /// Search collections.
    SearchQuery = "search:query";
    /// See models, providers, calls and usage.
    ModelsRead = "models:read";
    /// Add, change and remove providers and models.
    ModelsWrite = "models:write";
    /// Call models: chat, embeddings, ask, drafts.
    ModelsInvoke = "models:invoke";
    /// See content documents.
    ContentRead = "content:read";
    /// Create, change and delete content documents.
    ContentWrite = "content:write";
    /// See the workspace's users.
    UsersRead = "users:read";
    /// Create, change and delete users.
    UsersWrite = "users:write";
    /// See teams and who is in them.
    TeamsRead = "teams:read";
    /// Create, change and delete teams, and say who is in them.
    TeamsWrite = "teams:write";
    /// See API keys (never the keys themselves).
    ApiKeysRead = "api_keys:read";
    /// Create and revoke API keys.
    ApiKeysWrite = "api_keys:write";
    /// See the tenant.
    TenantsRead = "tenants:read";
    /// Change the tenant.
    TenantsWrite = "tenants:write";
    /// Take everything that the tenant has out of it.
    TenantsExport = "tenants:export";
    /// Delete the tenant, or take a deletion back.
    TenantsDelete = "tenants:delete";
    /// See roles and what they allow.
    RolesRead = "roles:read";
    /// Make, change and delete the tenant's own roles.
    RolesWrite = "roles:write";
    /// See access policies, and have decisions explained.
    PoliciesRead = "policies:read";
    /// Change access policies.
    PoliciesWrite = "policies:write";
    /// See the sessions of other people.
    SessionsRead = "sessions:read";
    /// End the sessions of other people.
    SessionsWrite = "sessions:write";
    /// See how people must log in, and the connections to identity providers.
    SecurityRead = "security:read";
    /// Say how people must log in, and connect identity providers.
    SecurityWrite = "security:write";
    /// See the applications that act for people.
    ApplicationsRead = "applications:read";
    /// Register, change and remove applications that act for people.
    ApplicationsWrite = "applications:write";
    /// Read the audit log.
    AuditRead = "audit:read";
    /// Say where the audit log is anchored and exported to.
    AuditWrite = "audit:write";
    /// Rotate the keys that encrypt the tenant's secrets.
    EncryptionWrite = "encryption:write";
    /// See which security controls are met.
    ComplianceRead = "compliance:read";
    /// Read the event log.
    EventsRead = "events:read";
    /// See background jobs.
    JobsRead = "jobs:read";
    /// See the installation's metrics and state across tenants.
    InstallationRead = "installation:read";
    /// Create tenants and manage the installation.
    InstallationManage = "installation:manage";
}

impl fmt::Display for Permission {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl FromStr for Permission {
    type Err = crate::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.iter().copied().find(|permission| permission.as_str() == text).ok_or_else(|| {
            crate::Error::invalid("scopes", format!("`{text}` is not a permission"))
                .remedy("use names such as `collections:read`; /docs lists them all")
        })
    }
}

/// A set of permissions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Permissions(u64);

impl Permissions {
    /// No permission.
    pub const fn none() -> Self {
        Self(0)
    }

    /// Every permission: for the system itself.
    pub fn all() -> Self {
        Permission::ALL.iter().copied().collect()
    }

    /// Whether `permission` is in the set.
    pub fn contains(self, permission: Permission) -> bool {
        self.0 & (1 << permission as u8) != 0
    }

    /// The set with `permission` added.
    #[must_use]
    pub fn with(self, permission: Permission) -> Self {
        Self(self.0 | (1 << permission as u8))
    }

    /// What both sets hold.
    #[must_use]
    pub fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// What one of the sets holds, or both.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// What this set holds and the other does not.
    #[must_use]
    pub fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether there is no permission in the set.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether every permission of `other` is in this set.
    pub fn contains_all(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// The permissions of the set, in their declared order.
    pub fn iter(self) -> impl Iterator<Item = Permission> {
        Permission::ALL.iter().copied().filter(move |permission| self.contains(*permission))
    }
}

impl FromIterator<Permission> for Permissions {
    fn from_iter<I: IntoIterator<Item = Permission>>(permissions: I) -> Self {
        permissions.into_iter().fold(Self::none(), Self::with)
    }
}

/// A built-in role: a named set of permissions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Reads and searches.
    Viewer,
    /// A program: what an editor may do, for API keys.
    Service,
    /// Also writes knowledge and content and calls models.
    Editor,
    /// Also manages models, users and keys.
    Admin,
    /// Everything in the tenant.
    Owner,
}

impl Role {
    /// What the role allows inside its tenant. Installation permissions come only from being an operator.
    pub fn permissions(self) -> Permissions {
        use Permission as P;
        let mut permissions: Permissions =
            [P::CollectionsRead, P::SearchQuery, P::ModelsRead, P::ContentRead, P::JobsRead].into_iter().collect();
        if self >= Self::Service {
            permissions = [P::CollectionsWrite, P::DocumentsWrite, P::ModelsInvoke, P::ContentWrite, P::EventsRead]
                .into_iter()
                .fold(permissions, Permissions::with);
        }
        if self >= Self::Admin {
            permissions = [
                P::DocumentsReadAll,
                P::ModelsWrite,
                P::UsersRead,
                P::UsersWrite,
                P::TeamsRead,
                P::TeamsWrite,
                P::ApiKeysRead,
                P::ApiKeysWrite,
                P::TenantsRead,
                P::RolesRead,
                P::RolesWrite,
                P::PoliciesRead,
                P::SessionsRead,
                P::SessionsWrite,
                P::SecurityRead,
                P::ApplicationsRead,
                P::ApplicationsWrite,
                P::AuditRead,
                P::ComplianceRead,
            ]
            .into_iter()
            .fold(permissions, Permissions::with);
        }
        if self == Self::Owner {
            permissions = [
                P::TenantsWrite,
                P::TenantsExport,
                P::TenantsDelete,
                P::PoliciesWrite,
                P::SecurityWrite,
                P::AuditWrite,
                P::EncryptionWrite,
            ]
            .into_iter()
            .fold(permissions, Permissions::with);
        }
        permissions
    }

    /// The text form, as in `editor`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Service => "service",
            Self::Editor => "editor",
            Self::Admin => "admin",
            Self::Owner => "owner",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl FromStr for Role {
    type Err = crate::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Self::Viewer, Self::Service, Self::Editor, Self::Admin, Self::Owner]
            .into_iter()
            .find(|role| role.as_str() == text)
            .ok_or_else(|| {
                crate::Error::invalid("role", format!("`{text}` is not a role"))
                    .remedy("use one of owner, admin, editor, viewer, service")
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_higher_role_never_loses_a_permission() {
        let roles = [Role::Viewer, Role::Service, Role::Editor, Role::Admin, Role::Owner];
        for (lower, higher) in roles.iter().zip(roles.iter().skip(1)) {
            assert!(higher.permissions().contains_all(lower.permissions()), "{higher} lacks something of {lower}");
        }
    }

    #[test]
    fn sets_are_added_and_taken_from_each_other() {
        let (viewer, editor) = (Role::Viewer.permissions(), Role::Editor.permissions());
        assert_eq!(viewer.union(editor), editor);
        assert!(viewer.without(editor).is_empty() && !editor.without(viewer).is_empty());
        assert_eq!(editor.without(viewer).union(viewer), editor);
        assert_eq!(Permission::DocumentsReadAll.kind(), "documents");
        for (number, permission) in Permission::ALL.iter().enumerate() {
            assert_eq!(usize::from(*permission as u8), number, "{permission}");
        }
    }

    #[test]
    fn only_those_who_manage_a_workspace_see_every_document() {
        for role in [Role::Viewer, Role::Service, Role::Editor] {
            assert!(!role.permissions().contains(Permission::DocumentsReadAll), "{role}");
        }
        assert!(Role::Admin.permissions().contains(Permission::DocumentsReadAll));
    }

    #[test]
    fn no_role_manages_the_installation() {
        assert!(!Role::Owner.permissions().contains(Permission::InstallationManage));
        assert!(!Role::Owner.permissions().contains(Permission::InstallationRead));
    }
}
