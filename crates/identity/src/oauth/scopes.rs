//! What applications ask for: permissions by their names, and the scopes of OpenID Connect.

use plasma_kernel::{Code, Error, Permission, Permissions, Result};

/// The greatest length of the parameter `scope`: all scopes together are shorter.
pub const SCOPE_BYTES_MAX: usize = 4_096;

/// The scopes that are no permissions.
const NAMED: [&str; 4] = ["openid", "profile", "email", "offline_access"];

/// A set of scopes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scopes {
    /// What may be done in a person's name.
    pub permissions: Permissions,
    /// An ID token, and the person's id.
    pub openid: bool,
    /// The person's name.
    pub profile: bool,
    /// The person's e-mail.
    pub email: bool,
    /// A refresh token.
    pub offline_access: bool,
}

impl Scopes {
    /// Only permissions.
    pub fn of(permissions: Permissions) -> Self {
        Self { permissions, ..Self::default() }
    }

    /// Everything that there is.
    pub fn everything() -> Self {
        Self { permissions: Permissions::all(), openid: true, profile: true, email: true, offline_access: true }
    }

    /// Reads the parameter `scope`: names separated by spaces.
    ///
    /// # Errors
    /// `invalid` (`invalid_scope`) for a name that is no scope, or a text that is too long.
    pub fn parse(text: &str) -> Result<Self> {
        if text.len() > SCOPE_BYTES_MAX {
            return Err(invalid_scope(format!("`scope` has at most {SCOPE_BYTES_MAX} bytes")));
        }
        let mut scopes = Self::default();
        for name in text.split(' ').filter(|name| !name.is_empty()) {
            if !scopes.add(name) {
                let shown: String = name.chars().take(60).collect();
                return Err(invalid_scope(format!("`{shown}` is not a scope")));
            }
        }
        Ok(scopes)
    }

    /// Reads what [`Scopes::to_text`] wrote. A scope that this version does not know grants nothing.
    pub(crate) fn from_stored(text: &str) -> Self {
        let mut scopes = Self::default();
        for name in text.split(' ') {
            scopes.add(name);
        }
        scopes
    }

    fn add(&mut self, name: &str) -> bool {
        match name {
            "openid" => self.openid = true,
            "profile" => self.profile = true,
            "email" => self.email = true,
            "offline_access" => self.offline_access = true,
            _ => match name.parse::<Permission>() {
                Ok(permission) => self.permissions = self.permissions.with(permission),
                Err(_) => return false,
            },
        }
        true
    }

    /// The names, those of OpenID Connect first.
    pub fn names(self) -> Vec<&'static str> {
        let named = [self.openid, self.profile, self.email, self.offline_access];
        let named = NAMED.into_iter().zip(named).filter_map(|(name, is_in)| is_in.then_some(name));
        named.chain(self.permissions.iter().map(Permission::as_str)).collect()
    }

    /// The names separated by spaces.
    pub fn to_text(self) -> String {
        self.names().join(" ")
    }

    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self == Self::default()
    }

    /// Whether every scope of `other` is in this set.
    pub fn contains_all(self, other: Self) -> bool {
        self.union(other) == self
    }

    /// What is in either set.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        Self {
            permissions: other.permissions.iter().fold(self.permissions, Permissions::with),
            openid: self.openid || other.openid,
            profile: self.profile || other.profile,
            email: self.email || other.email,
            offline_access: self.offline_access || other.offline_access,
        }
    }
}

/// Every scope that there is.
pub fn all_names() -> Vec<&'static str> {
    Scopes::everything().names()
}

pub(crate) fn invalid_scope(what: impl Into<String>) -> Error {
    Error::new(Code::Invalid, "invalid_scope", what)
        .field("scope")
        .remedy("ask for scopes that the application is registered for; /.well-known/openid-configuration lists all")
}

/// What a scope allows, in words for the person who is asked: "This application may …".
pub fn in_words(name: &str) -> &'static str {
    match name {
        "openid" => "know who you are in this workspace",
        "profile" => "know your name",
        "email" => "know your e-mail address",
        "offline_access" => "go on doing this while you are away",
        _ => name.parse().map_or("", permission_in_words),
    }
}

fn permission_in_words(permission: Permission) -> &'static str {
    use Permission as P;
    match permission {
        P::CollectionsRead => "see collections, their documents and passages",
        P::CollectionsWrite => "create, change and delete collections and their documents",
        P::DocumentsWrite => "say who may see a document",
        P::DocumentsReadAll => "see every document, also those that are not shared with you",
        P::SearchQuery => "search collections",
        P::ModelsRead => "see models, providers, calls and usage",
        P::ModelsWrite => "add, change and remove models and providers",
        P::ModelsInvoke => "call models, which may cost money",
        P::ContentRead => "see content",
        P::ContentWrite => "create, change and delete content",
        P::UsersRead => "see the people of this workspace",
        P::UsersWrite => "add, change and remove people",
        P::TeamsRead => "see teams and who is in them",
        P::TeamsWrite => "change teams and who is in them",
        P::ApiKeysRead => "see API keys, but not the keys themselves",
        P::ApiKeysWrite => "make and revoke API keys",
        P::TenantsRead => "see this workspace's settings",
        P::TenantsWrite => "change this workspace's settings",
        P::TenantsExport => "take a copy of everything out of this workspace",
        P::TenantsDelete => "delete this workspace",
        P::RolesRead => "see roles",
        P::RolesWrite => "make and change roles",
        P::PoliciesRead => "see access policies",
        P::PoliciesWrite => "change access policies",
        P::SessionsRead => "see where others are signed in",
        P::SessionsWrite => "sign others out",
        P::SecurityRead => "see how people must sign in",
        P::SecurityWrite => "say how people must sign in",
        P::ApplicationsRead => "see applications",
        P::ApplicationsWrite => "register and change applications",
        P::AuditRead => "read the audit log",
        P::AuditWrite => "say where the audit log is kept",
        P::EncryptionWrite => "rotate this workspace's encryption keys",
        P::ComplianceRead => "see which security controls are met",
        P::EventsRead => "read the log of events",
        P::JobsRead => "see background work",
        P::InstallationRead => "see the state of the whole installation",
        P::InstallationManage => "manage the whole installation",
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn scopes_survive_their_text_form() {
        let scopes = Scopes::parse("offline_access search:query openid search:query  content:read").unwrap();
        assert_eq!(scopes.to_text(), "openid offline_access search:query content:read");
        assert_eq!(Scopes::from_stored(&scopes.to_text()), scopes);
        assert_eq!(Scopes::parse(&Scopes::everything().to_text()).unwrap(), Scopes::everything());
        assert!(Scopes::everything().to_text().len() < SCOPE_BYTES_MAX / 2);
        assert!(Scopes::parse("").unwrap().is_empty());
    }

    #[test]
    fn what_is_no_scope_is_refused_in_requests_and_grants_nothing_in_the_database() {
        let long = "search:query ".repeat(1_000);
        for text in ["rockets:launch", "openid,profile", "OPENID", "search:query\tcontent:read", long.as_str()] {
            assert_eq!(Scopes::parse(text).unwrap_err().reason(), "invalid_scope", "{text:.20}");
        }
        assert_eq!(Scopes::from_stored("rockets:launch openid"), Scopes { openid: true, ..Scopes::default() });
    }

    #[test]
    fn every_scope_has_words() {
        for name in all_names() {
            assert!(!in_words(name).is_empty(), "{name}");
        }
    }

    #[test]
    fn a_set_contains_its_parts() {
        let all = Scopes::parse("openid search:query content:read").unwrap();
        assert!(all.contains_all(Scopes::parse("content:read").unwrap()));
        assert!(!all.contains_all(Scopes::parse("content:read email").unwrap()));
        assert!(!all.contains_all(Scopes::parse("content:write").unwrap()));
    }

    proptest! {
        #[test]
        fn hostile_text_never_panics(text in "\\PC{0,200}") {
            let _ = Scopes::parse(&text);
        }
    }
}
