//! All SQL of identity, one file for each family of tables.

pub(crate) mod api_keys;
pub(crate) mod applications;
pub(crate) mod bootstrap;
pub(crate) mod oauth_codes;
pub(crate) mod oauth_devices;
pub(crate) mod oauth_grants;
pub(crate) mod oauth_tokens;
pub(crate) mod sessions;
pub(crate) mod signing_keys;
pub(crate) mod teams;
pub(crate) mod tenants;
pub(crate) mod users;
