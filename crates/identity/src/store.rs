//! All SQL of identity, one file for each family of tables.

pub(crate) mod api_keys;
pub(crate) mod bootstrap;
pub(crate) mod connections;
pub(crate) mod sessions;
pub(crate) mod sso;
pub(crate) mod sso_domains;
pub(crate) mod teams;
pub(crate) mod tenants;
pub(crate) mod users;
