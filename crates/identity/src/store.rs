//! All SQL of identity, one file for each family of tables.

pub(crate) mod api_keys;
pub(crate) mod bootstrap;
pub(crate) mod factors;
pub(crate) mod links;
pub(crate) mod mails;
pub(crate) mod passkeys;
pub(crate) mod pending;
pub(crate) mod policies;
pub(crate) mod sessions;
pub(crate) mod teams;
pub(crate) mod tenants;
pub(crate) mod users;
