//! All SQL of identity, one file for each family of tables.

pub(crate) mod api_keys;
pub(crate) mod bootstrap;
pub(crate) mod branding;
pub(crate) mod connections;
pub(crate) mod exports;
pub(crate) mod factors;
pub(crate) mod invitations;
pub(crate) mod links;
pub(crate) mod login_policies;
pub(crate) mod mails;
pub(crate) mod memberships;
pub(crate) mod passkeys;
pub(crate) mod pending;
pub(crate) mod policies;
pub(crate) mod quotas;
pub(crate) mod roles;
pub(crate) mod sealed;
pub(crate) mod service_identities;
pub(crate) mod sessions;
pub(crate) mod sso;
pub(crate) mod sso_domains;
pub(crate) mod teams;
pub(crate) mod tenants;
pub(crate) mod users;
