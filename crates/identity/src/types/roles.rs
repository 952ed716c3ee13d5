use std::{fmt, str::FromStr};

use plasma_kernel::{Error, Permission, Permissions, Role, RoleId, Timestamp};
use serde::{Deserialize, Deserializer, de};

use super::INSTALLATION;

/// A role that a tenant made, as a person or a key holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CustomRole {
    /// Its id.
    pub id: RoleId,
    /// What people call it.
    pub name: String,
    /// What it allows.
    pub permissions: Permissions,
}

/// What a role is named by: a built-in one by its word, one of the tenant's own by its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoleName {
    /// As in `editor`.
    BuiltIn(Role),
    /// As in `role_01jd…`.
    Custom(RoleId),
}

impl From<Role> for RoleName {
    fn from(role: Role) -> Self {
        Self::BuiltIn(role)
    }
}

impl From<RoleId> for RoleName {
    fn from(id: RoleId) -> Self {
        Self::Custom(id)
    }
}

impl fmt::Display for RoleName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BuiltIn(role) => fmt::Display::fmt(role, formatter),
            Self::Custom(id) => fmt::Display::fmt(id, formatter),
        }
    }
}

impl FromStr for RoleName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        if let Ok(id) = text.parse() {
            return Ok(Self::Custom(id));
        }
        text.parse().map(Self::BuiltIn).map_err(|_| {
            Error::invalid("role", "is not a role")
                .remedy("use owner, admin, editor, viewer, service, or the id of a role of your workspace (role_…)")
        })
    }
}

impl<'de> Deserialize<'de> for RoleName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(|error: Error| de::Error::custom(error.message()))
    }
}

/// A role with what it allows and who has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoleDetails {
    /// What it is named by.
    pub id: RoleName,
    /// What people call it.
    pub name: String,
    /// What it is for; may be empty.
    pub description: String,
    /// What it allows.
    pub permissions: Permissions,
    /// How many people have it.
    pub user_count: u64,
    /// How many API keys that are not revoked have it.
    pub api_key_count: u64,
    /// When it was made; `None` for a built-in one.
    pub created_at: Option<Timestamp>,
    /// When it was changed last; `None` for a built-in one.
    pub updated_at: Option<Timestamp>,
}

/// What a new role needs.
#[derive(Clone, Debug)]
pub struct NewRole {
    /// 1 to 200 characters, unique in the tenant whatever the case.
    pub name: String,
    /// At most 1,000 characters.
    pub description: String,
    /// What it allows: nothing that its maker may not do, and nothing of the installation.
    pub permissions: Vec<Permission>,
}

/// What to change of a role; `None` leaves it.
#[derive(Clone, Debug, Default)]
pub struct RoleChange {
    /// What people call it.
    pub name: Option<String>,
    /// What it is for.
    pub description: Option<String>,
    /// What it allows.
    pub permissions: Option<Vec<Permission>>,
}

/// What a role allows: the tenant's own if there is one, else the built-in one; with the installation's for operators.
pub(crate) fn held(role: Role, custom: Option<&CustomRole>, installation: bool) -> Permissions {
    let permissions = custom.map_or_else(|| role.permissions(), |custom| custom.permissions);
    if installation { INSTALLATION.into_iter().fold(permissions, Permissions::with) } else { permissions }
}

/// The highest built-in role below these permissions, for labels and for order. Never owner: who owns a workspace is not a
/// question of permissions, which may be taken from a role later.
pub(crate) fn nearest_built_in(permissions: Permissions) -> Role {
    [Role::Admin, Role::Editor]
        .into_iter()
        .find(|role| permissions.contains_all(role.permissions()))
        .unwrap_or(Role::Viewer)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Any set of permissions.
    fn permissions() -> impl Strategy<Value = Permissions> {
        proptest::collection::vec(any::<bool>(), Permission::ALL.len()).prop_map(|chosen| {
            Permission::ALL
                .iter()
                .zip(chosen)
                .filter(|(_, chosen)| *chosen)
                .map(|(permission, _)| *permission)
                .collect()
        })
    }

    proptest! {
        #[test]
        fn the_nearest_role_is_never_above(permissions in permissions()) {
            let nearest = nearest_built_in(permissions);
            prop_assert!(nearest != Role::Owner);
            prop_assert!(nearest == Role::Viewer || permissions.contains_all(nearest.permissions()));
        }

        #[test]
        fn a_custom_role_takes_the_place_of_the_built_in_one(permissions in permissions()) {
            let custom = CustomRole { id: RoleId::from_bits(1), name: "x".to_owned(), permissions };
            for role in [Role::Viewer, Role::Service, Role::Editor, Role::Admin, Role::Owner] {
                prop_assert_eq!(held(role, Some(&custom), false), permissions);
            }
        }

        #[test]
        fn names_survive_their_text_form(bits: u128) {
            let name = RoleName::Custom(RoleId::from_bits(bits));
            prop_assert_eq!(name.to_string().parse::<RoleName>().unwrap(), name);
        }
    }

    #[test]
    fn built_in_roles_are_named_by_their_words() {
        assert_eq!("editor".parse::<RoleName>().unwrap(), RoleName::BuiltIn(Role::Editor));
        assert_eq!(RoleName::from(Role::Owner).to_string(), "owner");
        assert!("king".parse::<RoleName>().is_err());
        assert!("role_x".parse::<RoleName>().is_err());
    }

    #[test]
    fn a_role_with_everything_is_called_an_administrators() {
        assert_eq!(nearest_built_in(Role::Owner.permissions()), Role::Admin);
        assert_eq!(nearest_built_in(Role::Admin.permissions()), Role::Admin);
        assert_eq!(nearest_built_in(Role::Service.permissions()), Role::Editor);
        assert_eq!(nearest_built_in(Permissions::none()), Role::Viewer);
    }
}
