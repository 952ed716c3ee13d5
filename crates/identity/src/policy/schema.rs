//! The words that policies are written in: types, attributes and actions, made from the program's own permissions.

use std::sync::LazyLock;

use cedar_policy as cedar;
use plasma_kernel::{Error, Permission, Result};

/// What is known of everybody who acts.
const PRINCIPAL: &str = "{
  // \"user\", \"api_key\" or \"application\"
  kind: String,
  // A built-in role's word such as \"editor\", or the id of a role of the workspace
  role: String,
  // What stands behind the @ of the person's e-mail; empty when nobody in particular acts
  email_domain: String,
  // The teams of the person
  teams: Set<Team>,
  // Whether the person logged in with two factors; false for keys and applications
  multi_factor: Bool,
}";

const RESOURCE: &str = "{
  // The permission's kind, such as \"collections\"
  kind: String,
  // The id of the thing; empty when the request names none
  id: String,
  // The path of the request
  path: String,
}";

const CONTEXT: &str = "{
    // Where the request comes from; 0.0.0.0 when it is not known
    address: ipaddr,
    // \"loopback\", \"private\", \"public\" or \"unknown\"
    network: String,
    // 0 to 23, in UTC
    hour: Long,
    // 1 (Monday) to 7 (Sunday), in UTC
    weekday: Long,
    // \"GET\", \"POST\", …
    method: String,
  }";

/// The schema in Cedar's own notation, as it is shown to people.
pub(crate) fn schema_text() -> &'static str {
    static TEXT: LazyLock<String> = LazyLock::new(|| {
        let actions: Vec<String> = Permission::ALL.iter().map(|action| format!("\"{action}\"")).collect();
        format!(
            "entity Role;
entity Team;
entity User in [Role, Team] = {PRINCIPAL};
// In User too: what is said of a person holds for their keys and for the applications that act for them.
entity ApiKey, Application in [User, Role, Team] = {PRINCIPAL};
// In Resource: a document is in its collection.
entity Resource in [Resource] = {RESOURCE};
action
  {}
appliesTo {{
  principal: [User, ApiKey, Application],
  resource: [Resource],
  context: {CONTEXT}
}};
",
            actions.join(",\n  ")
        )
    });
    &TEXT
}

/// The words, ready for use.
pub(crate) struct Vocabulary {
    pub(super) user: cedar::EntityTypeName,
    pub(super) api_key: cedar::EntityTypeName,
    pub(super) application: cedar::EntityTypeName,
    pub(super) team: cedar::EntityTypeName,
    pub(super) role: cedar::EntityTypeName,
    pub(super) resource: cedar::EntityTypeName,
    pub(super) validator: cedar::Validator,
    /// In the order of [`Permission::ALL`].
    actions: Vec<cedar::EntityUid>,
}

impl Vocabulary {
    fn new() -> std::result::Result<Self, String> {
        let name = |text: &str| text.parse::<cedar::EntityTypeName>().map_err(|error| error.to_string());
        let action = name("Action")?;
        let (schema, _warnings) =
            cedar::Schema::from_cedarschema_str(schema_text()).map_err(|error| format!("{error:?}"))?;
        let actions = Permission::ALL.iter().map(|permission| uid(&action, permission.as_str())).collect();
        Ok(Self {
            user: name("User")?,
            api_key: name("ApiKey")?,
            application: name("Application")?,
            team: name("Team")?,
            role: name("Role")?,
            resource: name("Resource")?,
            validator: cedar::Validator::new(schema),
            actions,
        })
    }

    /// The action that stands for a permission.
    pub(super) fn action(&self, permission: Permission) -> Result<cedar::EntityUid> {
        // Their numbers are their places in the list of all.
        let action = self.actions.get(usize::from(permission as u8)).cloned();
        action.ok_or_else(|| Error::internal(format!("the permission {permission} is no action of policies")))
    }
}

/// The words. They are made once.
///
/// # Errors
/// `internal` when the schema of this program is wrong, which a test would have found.
pub(super) fn vocabulary() -> Result<&'static Vocabulary> {
    static VOCABULARY: LazyLock<std::result::Result<Vocabulary, String>> = LazyLock::new(Vocabulary::new);
    VOCABULARY
        .as_ref()
        .map_err(|error| Error::internal(format!("the schema of access policies cannot be read: {error}")))
}

pub(super) fn uid(kind: &cedar::EntityTypeName, id: &str) -> cedar::EntityUid {
    cedar::EntityUid::from_type_name_and_id(kind.clone(), cedar::EntityId::new(id))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn every_permission_is_an_action() {
        let vocabulary = vocabulary().unwrap();
        for permission in Permission::ALL {
            let action = vocabulary.action(*permission).unwrap();
            assert_eq!(action.id().unescaped(), permission.as_str());
        }
        assert_eq!(vocabulary.validator.schema().actions().count(), Permission::ALL.len());
    }
}
