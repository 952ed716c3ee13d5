//! All SQL of identity, one file for each family of tables.

pub(crate) mod api_keys;
pub(crate) mod bootstrap;
pub(crate) mod branding;
pub(crate) mod exports;
pub(crate) mod invitations;
pub(crate) mod memberships;
pub(crate) mod policies;
pub(crate) mod quotas;
pub(crate) mod roles;
pub(crate) mod service_identities;
pub(crate) mod sessions;
pub(crate) mod teams;
pub(crate) mod tenants;
pub(crate) mod users;
